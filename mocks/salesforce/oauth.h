/* oauth: who may speak to the org: sign-in, tokens, and the check of every later request.
 * in: token requests (password, client_credentials; form fields or HTTP Basic), requests with an
 * Authorization of any form clients send; out: token answers, error bodies, yes or no. Pure towards
 * time (handed in) and, with a seed, chance. Facts: salesforce-wire.md 0 (forms of
 * Authorization), 1.2, 1.3. Every sign-in gets a token of its own, because clients revoke theirs
 * when they stop. */
#ifndef TM_MOCKS_SALESFORCE_OAUTH_H
#define TM_MOCKS_SALESFORCE_OAUTH_H
#include "base/rng.h"
#include "mocks/http/message.h"

#define TM_OAUTH_TOKENS_MAX 1000 /* the oldest goes first */
struct tm_oauth_settings { /* strings are copied by open; NULL = the defaults written beside them */
    const char *username;  /* integration@tidemark.example */
    const char *password;  /* tidemark */
    const char *password_token;   /* TOKEN: appended to the password by clients */
    const char *consumer_key;     /* tidemark-consumer-key */
    const char *consumer_secret;  /* tidemark-consumer-secret */
    int64_t token_ns_max;         /* a token's life, wall clock; 0 = 2 h */
    const char *org_id, *user_id; /* 18 characters each */
    uint64_t seed;
    bool seeded; /* simulation: tokens from the seed; else from the system */
};
struct tm_oauth;
enum tm_code tm_oauth_open(struct tm_oauth **out, const struct tm_oauth_settings *settings,
                           struct tm_err *err);
void tm_oauth_close(struct tm_oauth *o);
const struct tm_oauth_settings *tm_oauth_settings(const struct tm_oauth *o);
/* POST /services/oauth2/token, …/revoke, GET …/userinfo, GET /id/ORG/USER. base_url:
 * "http://host:port". */
void tm_oauth_token(struct tm_oauth *o, const struct tm_mock_request *r, const char *base_url,
                    struct tm_mock_response *out);
void tm_oauth_revoke(struct tm_oauth *o, const struct tm_mock_request *r,
                     struct tm_mock_response *out);
void tm_oauth_identity(struct tm_oauth *o, const char *base_url, bool userinfo,
                       struct tm_mock_response *out);
enum tm_oauth_verdict { TM_OAUTH_GOOD, TM_OAUTH_MISSING, TM_OAUTH_BAD };
enum tm_oauth_verdict tm_oauth_check(const struct tm_oauth *o, const struct tm_mock_request *r);
/* The token of a request, whatever header or parameter carries it; NULL when there is none.
 * Borrowed. */
const char *tm_oauth_token_of(const struct tm_mock_request *r);
/* a planted fault: every token is refused from now on */
void tm_oauth_expire_all(struct tm_oauth *o);
size_t tm_oauth_tokens(const struct tm_oauth *o);
/* A random text of `bytes` - 1 characters from [0-9a-z], terminated: client ids, cookies. */
void tm_oauth_random(struct tm_oauth *o, char *out, size_t bytes);
#endif
