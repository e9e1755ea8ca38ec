/* The token endpoint: one function a grant. */
#include "mocks/salesforce/jwt.h"
#include "mocks/salesforce/oauth_impl.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define OAUTH_BASIC_BYTES_MAX 1024
#define OAUTH_KEY_BYTES_MAX 512

void oauth_refuse(struct tm_mock_response *out, const char *error, const char *description)
{
    char body[256];
    snprintf(body, sizeof body, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error,
             description);
    tm_mock_response_header(out, "Cache-Control", "no-store");
    tm_mock_answer(out, 400, "application/json;charset=UTF-8", body);
}

/* client_id and client_secret from HTTP Basic become form fields, unless the form has them. */
static enum tm_code grant_basic(const struct tm_mock_request *r, struct tm_mock_pairs *form)
{
    const char *header = tm_mock_header(r, "Authorization");
    struct tm_buf pair;
    enum tm_code rc = TM_OK;
    if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
        return TM_OK;
    tm_buf_init(&pair, OAUTH_BASIC_BYTES_MAX);
    char *colon = tm_base64_decode(&pair, header + 6, strlen(header + 6)) && pair.bytes > 0
                      ? strchr(pair.data, ':')
                      : NULL;
    if (colon == NULL || strlen(pair.data) != pair.bytes)
        rc = TM_E_ARG;
    else
        *colon = '\0';
    if (rc == TM_OK && tm_mock_pairs_get(form, "client_id") == NULL)
        rc = tm_mock_pairs_add(form, "client_id", pair.data, NULL);
    if (rc == TM_OK && tm_mock_pairs_get(form, "client_secret") == NULL)
        rc = tm_mock_pairs_add(form, "client_secret", colon + 1, NULL);
    if (pair.data != NULL)
        tm_secret_wipe(pair.data, pair.bytes);
    tm_buf_free(&pair);
    return rc;
}

/* The user an app signs in for without a password; 0: no app has this key. */
static unsigned grant_app(const struct tm_oauth *o, const char *key)
{
    char head[OAUTH_KEY_BYTES_MAX];
    if (tm_secret_equal(key, o->settings.consumer_key))
        return 1;
    snprintf(head, sizeof head, "%s.", o->settings.consumer_key);
    return oauth_user_named(o, head, key, "");
}

/* 0: refused, and the answer says so. */
static unsigned grant_client(const struct tm_oauth *o, const struct tm_mock_pairs *form,
                             bool secret_needed, struct tm_mock_response *out)
{
    const char *id = tm_mock_pairs_get(form, "client_id"),
               *secret = tm_mock_pairs_get(form, "client_secret");
    unsigned user = id != NULL ? grant_app(o, id) : 0;
    if (id == NULL)
        oauth_refuse(out, "invalid_request", "missing required parameter: client_id");
    else if (user == 0)
        oauth_refuse(out, "invalid_client_id", "client identifier invalid");
    else if (secret == NULL ? secret_needed : !tm_secret_equal(secret, o->settings.consumer_secret))
        oauth_refuse(out, "invalid_client", "invalid client credentials");
    else
        return user;
    return 0;
}

static unsigned grant_password(const struct tm_oauth *o, const struct tm_mock_pairs *form,
                               struct tm_mock_response *out)
{
    const char *username = tm_mock_pairs_get(form, "username"),
               *password = tm_mock_pairs_get(form, "password");
    unsigned user = 0;
    if (grant_client(o, form, true, out) == 0)
        return 0;
    if (username == NULL || password == NULL)
        oauth_refuse(out, "invalid_request",
                     username == NULL ? "missing required parameter: username"
                                      : "missing required parameter: password");
    else if ((user = tm_oauth_user(o, username, password)) == 0)
        oauth_refuse(out, "invalid_grant", "authentication failure");
    return user;
}

/* The secret is optional, as an app may be set up (jsforce, mobile clients). */
static unsigned grant_refresh(const struct tm_oauth *o, const struct tm_mock_pairs *form,
                              struct tm_mock_response *out)
{
    const char *token = tm_mock_pairs_get(form, "refresh_token");
    unsigned user = grant_client(o, form, false, out);
    if (user == 0)
        return 0;
    if (token == NULL)
        oauth_refuse(out, "invalid_request", "missing required parameter: refresh_token");
    else if (o->refresh_revoked || !tm_secret_equal(token, o->settings.refresh_token))
        oauth_refuse(out, "invalid_grant", "expired access/refresh token");
    else
        return user;
    return 0;
}

/* The login servers' own names, or this one as the client reaches it; the token endpoint too. */
static bool grant_audience(const char *aud, const char *base_url)
{
    const char *const hosts[] = { "https://login.salesforce.com", "https://test.salesforce.com",
                                  base_url };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t bytes = strlen(hosts[i]);
        if (strncmp(aud, hosts[i], bytes) == 0 &&
            (aud[bytes] == '\0' || strcmp(aud + bytes, "/") == 0 ||
             strcmp(aud + bytes, "/services/oauth2/token") == 0))
            return true;
    }
    return false;
}

static unsigned grant_jwt(const struct tm_oauth *o, const struct tm_mock_request *r,
                          const struct tm_mock_pairs *form, const char *base_url,
                          struct tm_mock_response *out)
{
    const char *assertion = tm_mock_pairs_get(form, "assertion");
    int64_t now_s = (r->now.wall_ns / TM_NS_PER_MS + o->settings.real_ms_at_zero) / 1000;
    struct tm_jwt jwt;
    unsigned user = 0;
    if (assertion == NULL)
        oauth_refuse(out, "invalid_request", "missing required parameter: assertion");
    else if (!tm_jwt_read(&jwt, assertion))
        oauth_refuse(out, "invalid_grant", "invalid assertion");
    else if (grant_app(o, jwt.iss) == 0)
        oauth_refuse(out, "invalid_client_id", "client identifier invalid");
    else if (o->settings.certificate == NULL)
        oauth_refuse(out, "invalid_grant",
                     "invalid assertion: this server was started without --jwt-certificate");
    else if (!tm_jwt_verify(assertion, o->settings.certificate))
        oauth_refuse(out, "invalid_grant", "invalid assertion");
    else if (!grant_audience(jwt.aud, base_url))
        oauth_refuse(out, "invalid_grant", "audience is invalid");
    else if (jwt.exp_s <= now_s)
        oauth_refuse(out, "invalid_grant", "expired authorization code");
    else if (tm_secret_equal(jwt.sub, o->settings.username))
        return 1;
    else if ((user = oauth_user_named(o, "", jwt.sub, TM_OAUTH_USER_DOMAIN)) == 0)
        oauth_refuse(out, "invalid_grant", "user hasn't approved this consumer");
    return user;
}

static void grant_given(struct tm_oauth *o, const struct tm_mock_request *r, const char *base_url,
                        unsigned user, bool refreshed, struct tm_mock_response *out)
{
    char token[TM_OAUTH_TOKEN_BYTES], signature[45];
    oauth_give(o, token, &r->now, user, refreshed);
    tm_oauth_random(o, signature, sizeof signature);
    signature[43] = '=';
    tm_mock_response_header(out, "Cache-Control", "no-store");
    tm_mock_answer(out, 200, "application/json;charset=UTF-8", "");
    tm_buf_addf(&out->body,
                "{\"access_token\":\"%s\",\"instance_url\":\"%s\",\"id\":\"%s/id/%s/"
                "%s\",\"token_type\":\"Bearer\","
                "\"issued_at\":\"%" PRId64 "\",\"signature\":\"%s\",\"scope\":\"%s\"}",
                token, base_url, base_url, o->settings.org_id, o->settings.user_id, r->now.org_ms,
                signature, refreshed ? "refresh_token api" : "api");
    tm_secret_wipe(token, sizeof token);
}

static void grant_answer(struct tm_oauth *o, const struct tm_mock_request *r,
                         const struct tm_mock_pairs *form, const char *base_url,
                         struct tm_mock_response *out)
{
    const char *grant = tm_mock_pairs_get(form, "grant_type");
    unsigned user;
    bool refreshed = false;
    if (grant == NULL) {
        oauth_refuse(out, "invalid_request", "missing required parameter: grant_type");
        return;
    }
    if (strcmp(grant, "password") == 0) {
        user = grant_password(o, form, out);
    } else if (strcmp(grant, "client_credentials") == 0) {
        user = grant_client(o, form, true, out);
    } else if (strcmp(grant, "refresh_token") == 0) {
        user = grant_refresh(o, form, out);
        refreshed = true;
    } else if (strcmp(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer") == 0) {
        user = grant_jwt(o, r, form, base_url, out);
    } else {
        oauth_refuse(out, "unsupported_grant_type", "grant type not supported");
        return;
    }
    if (user != 0)
        grant_given(o, r, base_url, user, refreshed, out);
}

void tm_oauth_token(struct tm_oauth *o, const struct tm_mock_request *r, const char *base_url,
                    struct tm_mock_response *out)
{
    struct tm_mock_pairs form = { 0 };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < r->query.count && rc == TM_OK;
         i++) /* some clients send the form in the URL */
        rc = tm_mock_pairs_add(&form, r->query.items[i].name, r->query.items[i].value, NULL);
    if (rc == TM_OK && r->body != NULL)
        rc = tm_mock_pairs_parse(&form, r->body, r->body_bytes, NULL);
    if (rc == TM_OK)
        rc = grant_basic(r, &form);
    if (rc != TM_OK || strcmp(r->method, "POST") != 0)
        oauth_refuse(out, "invalid_request", "the body must be a form sent by POST");
    else
        grant_answer(o, r, &form, base_url, out);
    tm_mock_pairs_free(&form);
}
