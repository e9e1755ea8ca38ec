/* oauth_impl: what the files of sign-in share. Owner of everything here: struct tm_oauth. */
#ifndef TM_MOCKS_SALESFORCE_OAUTH_IMPL_H
#define TM_MOCKS_SALESFORCE_OAUTH_IMPL_H
#include "mocks/salesforce/oauth.h"

struct oauth_session {
    uint8_t digest[TM_DIGEST_BYTES]; /* of its token */
    int64_t until_ns;
    uint64_t number;
    bool refreshed; /* given for the refresh token: ends when that is revoked */
};
struct tm_oauth {
    struct tm_oauth_settings settings; /* strings owned */
    struct oauth_session *sessions;
    size_t sessions_count;
    uint64_t given, changes, ended;
    bool refresh_revoked;
    struct tm_rng rng;
};
/* {"error":…,"error_description":…}, HTTP 400 */
void oauth_refuse(struct tm_mock_response *out, const char *error, const char *description);
/* As tm_oauth_give; the session of a refresh token ends with it. */
void oauth_give(struct tm_oauth *o, char out[TM_OAUTH_TOKEN_BYTES], const struct tm_now *now,
                bool refreshed);
#endif
