/* jwt: the signed assertion of a JWT bearer sign-in. in: "header.claims.signature" in base64url,
 * padded or not; out: its claims, and whether a key signed it. Pure: no I/O, clock. exp may be a
 * number or digits in a string (salesforce-wire.md 1.2: both are sent). Facts: RFC 7515 section 3,
 * RFC 7519 section 4.1. */
#ifndef TM_MOCKS_SALESFORCE_JWT_H
#define TM_MOCKS_SALESFORCE_JWT_H
#include "base/secret.h"

#define TM_JWT_BYTES_MAX 16384u
#define TM_JWT_CLAIM_BYTES 512
struct tm_jwt {
    char iss[TM_JWT_CLAIM_BYTES], sub[TM_JWT_CLAIM_BYTES], aud[TM_JWT_CLAIM_BYTES];
    int64_t exp_s; /* epoch seconds */
};
/* False: it is no RS256 assertion with these four claims. The signature is not looked at yet: whose
 * it should be is known by the claim iss. */
bool tm_jwt_read(struct tm_jwt *out, const char *assertion);
/* Is the signature of an assertion that was read this key's? */
bool tm_jwt_verify(const char *assertion, const struct tm_secret_key *key);
#endif
