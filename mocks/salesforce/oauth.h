/* oauth: who may speak to the org: sign-in, sessions, and the check of every later request.
 * in: token requests (password, client_credentials, refresh_token and JWT bearer; form fields or
 * HTTP Basic), a user's name and password from elsewhere (SOAP), requests with an Authorization of
 * any form clients send; out: token answers, error bodies, yes or no. Pure towards time (handed in)
 * and, with a seed, chance. Keeps digests of tokens, never the tokens. Every sign-in gets a token
 * of its own, because clients revoke theirs when they stop. Facts: salesforce-wire.md 0 (forms of
 * Authorization), 1.2, 1.3; error texts of JWT bearer: forcedotcom/cli#3325, omniphx/forrest#302,
 * airbytehq/airbyte#80788, salesforce.stackexchange.com/questions/282513, read 2026-11-30. */
#ifndef TM_MOCKS_SALESFORCE_OAUTH_H
#define TM_MOCKS_SALESFORCE_OAUTH_H
#include "base/rng.h"
#include "base/secret.h"
#include "mocks/http/message.h"

#define TM_OAUTH_TOKENS_MAX 5000 /* the oldest goes first */
#define TM_OAUTH_TOKEN_BYTES 112
#define TM_OAUTH_USERS_MAX 32    /* further ones */
#define TM_OAUTH_CLIENT_BYTES 96 /* of tm_oauth_client */
#define TM_OAUTH_USER_DOMAIN "@tidemark.example"
#define TM_OAUTH_ROW_BYTES_MAX 128 /* of tm_oauth_unkept */
struct tm_oauth_settings { /* strings are copied by open; NULL = the defaults written beside them */
    const char *username;  /* integration@tidemark.example */
    const char *password;  /* tidemark */
    const char *password_token;  /* TOKEN: appended to the password by clients */
    const char *consumer_key;    /* tidemark-consumer-key */
    const char *consumer_secret; /* tidemark-consumer-secret */
    const char *refresh_token;   /* tidemark-refresh-token: as if somebody had approved the app */
    const struct tm_secret_key *certificate; /* whose key signs JWT assertions; borrowed; NULL = no
                                                assertion is taken */
    int64_t token_ns_max;                    /* a token's life, wall clock; 0 = 2 h */
    int64_t real_ms_at_zero; /* epoch ms when the wall clock showed 0: for what other machines'
                                clocks say (exp of a JWT) and what outlives this process */
    /* further integration users, names with commas between: NAME signs in as NAME@tidemark.example
     * with the same password and token, or by the consumer key `consumer_key`.NAME; calls with its
     * sessions are counted as its own. "" */
    const char *users;
    const char *org_id, *user_id; /* 18 characters each */
    uint64_t seed;
    bool seeded; /* simulation: tokens from the seed; else from the system */
};
struct tm_oauth;
enum tm_code tm_oauth_open(struct tm_oauth **out, const struct tm_oauth_settings *settings,
                           struct tm_err *err);
void tm_oauth_close(struct tm_oauth *o);
const struct tm_oauth_settings *tm_oauth_settings(const struct tm_oauth *o);
/* POST /services/oauth2/token, …/revoke (GET too), …/userinfo and /id/ORG/USER (GET or POST).
 * base_url: "http://host:port". identity checks the token itself. */
void tm_oauth_token(struct tm_oauth *o, const struct tm_mock_request *r, const char *base_url,
                    struct tm_mock_response *out);
void tm_oauth_revoke(struct tm_oauth *o, const struct tm_mock_request *r,
                     struct tm_mock_response *out);
void tm_oauth_identity(const struct tm_oauth *o, const struct tm_mock_request *r,
                       const char *base_url, struct tm_mock_response *out);

enum tm_oauth_verdict { TM_OAUTH_GOOD, TM_OAUTH_MISSING, TM_OAUTH_BAD };
enum tm_oauth_verdict tm_oauth_check(const struct tm_oauth *o, const struct tm_mock_request *r);
/* The token of a request, whatever header or parameter carries it; NULL when there is none.
 * Borrowed. */
const char *tm_oauth_token_of(const struct tm_mock_request *r);

/* ---- for other ways to sign in and out ---- */
/* Which user is this, with password and security token as one word? 0: none. */
unsigned tm_oauth_user(const struct tm_oauth *o, const char *username, const char *password);
/* To the integration user; to any. */
void tm_oauth_give(struct tm_oauth *o, char out[TM_OAUTH_TOKEN_BYTES], const struct tm_now *now);
void tm_oauth_give_to(struct tm_oauth *o, char out[TM_OAUTH_TOKEN_BYTES], const struct tm_now *now,
                      unsigned user);
/* Whom a request counts for: the further user its session is of, else its User-Agent. Borrowed from
 * the request, or written into `out`. */
const char *tm_oauth_client(const struct tm_oauth *o, const struct tm_mock_request *r,
                            char out[TM_OAUTH_CLIENT_BYTES]);
/* The same of a token that stands elsewhere in the request (SOAP's header); NULL = none. */
const char *tm_oauth_client_by(const struct tm_oauth *o, const struct tm_mock_request *r,
                               const char *token, char out[TM_OAUTH_CLIENT_BYTES]);
bool tm_oauth_good(const struct tm_oauth *o, const char *token, const struct tm_now *now);
/* Wall clock, until when the session of the token with this digest (tm_secret_digest) lasts unless
 * it is ended before; 0: it has ended. */
int64_t tm_oauth_until(const struct tm_oauth *o, const uint8_t digest[TM_DIGEST_BYTES]);
/* Grows with every session that ends before its time: revoked, signed out, expired by a fault,
 * pushed out. */
uint64_t tm_oauth_ended(const struct tm_oauth *o);
/* The session ends; false when there is none of this token. */
bool tm_oauth_forget(struct tm_oauth *o, const char *token);
/* a planted fault: every token is refused from now on */
void tm_oauth_expire_all(struct tm_oauth *o);
size_t tm_oauth_tokens(const struct tm_oauth *o);
/* A random text of `bytes` - 1 characters from [0-9a-z], terminated: client ids, cookies. */
void tm_oauth_random(struct tm_oauth *o, char *out, size_t bytes);

/* ---- sessions that outlive the process, a row each: nobody can sign in with those ---- */
/* A row that is not kept as it is now: its number (0.. below tm_oauth_rows) and its text, appended;
 * nothing where no session is any more. False: all are kept. */
bool tm_oauth_unkept(const struct tm_oauth *o, size_t *out_row, struct tm_buf *out);
/* The row that tm_oauth_unkept told last is written. */
void tm_oauth_kept(struct tm_oauth *o);
/* Row 0 included; after row 0 was loaded, of those that are kept. */
size_t tm_oauth_rows(const struct tm_oauth *o);
/* Into one just opened: row 0 first, then all others in order, each once; "" =
 * nothing was kept. TM_E_PROTO when it is not what was given to keep: that
 * session is lost. */
enum tm_code tm_oauth_load(struct tm_oauth *o, size_t row, const char *text,
                           const struct tm_now *now, struct tm_err *err);
#endif
