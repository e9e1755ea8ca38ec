/* oauth_impl: what the files of sign-in share. Owner of everything here: struct tm_oauth. */
#ifndef TM_MOCKS_SALESFORCE_OAUTH_IMPL_H
#define TM_MOCKS_SALESFORCE_OAUTH_IMPL_H
#include "mocks/salesforce/oauth.h"

#define OAUTH_BUCKETS 8192 /* a power of two, more than sessions */

/* Found by digest in its bucket, where the bytes compared take constant time;
 * which bucket tells nothing of the token. */
struct oauth_session {
    struct oauth_session *next;          /* of its bucket, or of those that are free */
    struct oauth_session *older, *newer; /* by their ends */
    uint8_t digest[TM_DIGEST_BYTES];     /* of its token */
    int64_t until_ns;
    unsigned user;  /* 1: the integration user; 2 ..: further ones */
    bool refreshed; /* given for the refresh token: ends when that is revoked */
    bool open;      /* else free */
    bool unkept;    /* its row is older than it */
};
struct tm_oauth {
    struct tm_oauth_settings settings; /* strings owned */
    struct oauth_session *sessions;    /* TM_OAUTH_TOKENS_MAX; row n is sessions[n - 1] */
    struct oauth_session *buckets[OAUTH_BUCKETS];
    struct oauth_session *oldest, *newest, *free;
    size_t sessions_count, sessions_used; /* open; ever open: those behind were never */
    size_t *unkept;                       /* rows, TM_OAUTH_TOKENS_MAX + 1 */
    size_t unkept_count;
    uint64_t ended;
    bool refresh_revoked, head_unkept;
    struct tm_rng rng;
};
/* {"error":…,"error_description":…}, HTTP 400 */
void oauth_refuse(struct tm_mock_response *out, const char *error, const char *description);
/* As tm_oauth_give; the session of a refresh token ends with it. */
void oauth_give(struct tm_oauth *o, char out[TM_OAUTH_TOKEN_BYTES], const struct tm_now *now,
                unsigned user, bool refreshed);
/* A user by the whole text `head` NAME `tail`; 0: none is. */
unsigned oauth_user_named(const struct tm_oauth *o, const char *head, const char *text,
                          const char *tail);
/* A user's name, "" of the integration user. */
const char *oauth_user_name(const struct tm_oauth *o, unsigned user, char out[64]);
#endif
