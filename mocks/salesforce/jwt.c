#include "mocks/salesforce/jwt.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jwt_parts {
    const char *texts[3]; /* header, claims, signature */
    size_t bytes[3];
    size_t signed_bytes; /* of "header.claims" */
};

static bool jwt_cut(struct jwt_parts *out, const char *assertion)
{
    size_t total = strlen(assertion);
    const char *at = assertion;
    if (total > TM_JWT_BYTES_MAX)
        return false;
    for (int i = 0; i < 3; i++) {
        const char *stop = i < 2 ? strchr(at, '.') : assertion + total;
        if (stop == NULL || stop == at)
            return false;
        out->texts[i] = at;
        out->bytes[i] = (size_t)(stop - at);
        if (i == 1)
            out->signed_bytes = (size_t)(stop - assertion);
        at = stop + 1;
    }
    return true;
}

/* NULL when the part is no base64url of a JSON object. */
static json_t *jwt_object(const char *text, size_t bytes)
{
    struct tm_buf plain;
    tm_buf_init(&plain, TM_JWT_BYTES_MAX);
    json_t *json = tm_base64_decode(&plain, text, bytes)
                       ? json_loadb(tm_buf_text(&plain), plain.bytes, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;
    tm_buf_free(&plain);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

/* One of two names, the second from before RFC 7519 (prn for sub), or NULL. */
static bool jwt_claim(char out[TM_JWT_CLAIM_BYTES], const json_t *claims, const char *name,
                      const char *old_name)
{
    const char *value = json_string_value(json_object_get(claims, name));
    if (value == NULL && old_name != NULL)
        value = json_string_value(json_object_get(claims, old_name));
    *out = '\0';
    if (value == NULL || strlen(value) >= TM_JWT_CLAIM_BYTES)
        return false;
    memcpy(out, value, strlen(value) + 1);
    return true;
}

static bool jwt_exp(int64_t *out, const json_t *exp)
{
    const char *text = json_string_value(exp);
    char *end;
    if (json_is_integer(exp)) {
        *out = json_integer_value(exp);
        return true;
    }
    if (json_is_real(exp) && json_real_value(exp) > 0 && json_real_value(exp) < 1e15) {
        *out = (int64_t)json_real_value(exp);
        return true;
    }
    if (text == NULL || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && (*end == '\0' || *end == '.');
}

bool tm_jwt_read(struct tm_jwt *out, const char *assertion)
{
    struct jwt_parts parts;
    *out = (struct tm_jwt){ .exp_s = 0 };
    if (!jwt_cut(&parts, assertion))
        return false;
    json_t *header = jwt_object(parts.texts[0], parts.bytes[0]);
    json_t *claims = jwt_object(parts.texts[1], parts.bytes[1]);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    bool good = alg != NULL && strcmp(alg, "RS256") == 0 && claims != NULL &&
                jwt_claim(out->iss, claims, "iss", NULL) &&
                jwt_claim(out->sub, claims, "sub", "prn") &&
                jwt_exp(&out->exp_s, json_object_get(claims, "exp"));
    if (good) /* a list of audiences is no error of form, but is nobody's audience */
        jwt_claim(out->aud, claims, "aud", NULL);
    json_decref(header);
    json_decref(claims);
    return good;
}

bool tm_jwt_verify(const char *assertion, const struct tm_secret_key *key)
{
    struct jwt_parts parts;
    struct tm_buf signature;
    tm_buf_init(&signature, TM_JWT_BYTES_MAX);
    bool good = jwt_cut(&parts, assertion) &&
                tm_base64_decode(&signature, parts.texts[2], parts.bytes[2]) &&
                tm_secret_verify(key, assertion, parts.signed_bytes, tm_buf_text(&signature),
                                 signature.bytes);
    tm_buf_free(&signature);
    return good;
}
