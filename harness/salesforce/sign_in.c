#include "salesforce/sign_in.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* of an assertion; Salesforce takes up to five minutes */
#define SIGN_IN_ASSERTION_S 180
#define SIGN_IN_TEXT_BYTES_MAX (32u << 10)

/* ---- settings ---- */

static bool sign_in_unset(const char *text)
{
    return text == NULL || *text == '\0';
}

void tm_sf_settings_read(struct tm_sf_settings *out, const struct tm_config *c, const char *url)
{
    const char *grant = tm_config_text(c, "salesforce.grant.type");
    out->instance = url != NULL ? url : tm_config_text(c, "salesforce.instance");
    out->username = tm_config_text(c, "salesforce.username");
    out->password = tm_config_text(c, "salesforce.password");
    out->password_token = tm_config_text(c, "salesforce.password.token");
    out->consumer_key = tm_config_text(c, "salesforce.consumer.key");
    out->consumer_secret = tm_config_text(c, "salesforce.consumer.secret");
    out->keystore_path = tm_config_text(c, "salesforce.jwt.keystore.path");
    out->keystore_password = tm_config_text(c, "salesforce.jwt.keystore.password");
    out->grant = strcasecmp(grant, "PASSWORD") == 0             ? TM_SF_PASSWORD
                 : strcasecmp(grant, "CLIENT_CREDENTIALS") == 0 ? TM_SF_CLIENT_CREDENTIALS
                                                                : TM_SF_JWT_BEARER;
    out->api_version = tm_config_text(c, "salesforce.version");
    out->request_retry_ns_max = tm_config_int(c, "request.max.retries.time.ms") * TM_NS_PER_MS;
    out->auth_retry_ns_max = tm_config_int(c, "salesforce.auth.retries.time.ms") * TM_NS_PER_MS;
}

/* What each grant cannot do without. */
static enum tm_code sign_in_check_grant(const struct tm_sf_settings *set, struct tm_err *err)
{
    static const char *const names[] = { "PASSWORD", "CLIENT_CREDENTIALS", "JWT_BEARER" };
    const char *missing = NULL;
    if (set->grant != TM_SF_CLIENT_CREDENTIALS && sign_in_unset(set->username))
        missing = "salesforce.username";
    else if (set->grant == TM_SF_PASSWORD && sign_in_unset(set->password))
        missing = "salesforce.password";
    else if (set->grant == TM_SF_CLIENT_CREDENTIALS && sign_in_unset(set->consumer_secret))
        missing = "salesforce.consumer.secret";
    else if (set->grant == TM_SF_JWT_BEARER && sign_in_unset(set->keystore_path))
        missing = "salesforce.jwt.keystore.path";
    return missing == NULL ? TM_OK
                           : tm_fail(err, TM_E_ARG, "%s is missing (grant type %s)", missing,
                                     names[set->grant]);
}

enum tm_code tm_sf_settings_check(const struct tm_sf_settings *set, struct tm_err *err)
{
    if (sign_in_unset(set->instance))
        return tm_fail(
            err, TM_E_ARG,
            "salesforce.instance is missing: the login URL, as https://login.salesforce.com");
    if (strncmp(set->instance, "http://", 7) != 0 && strncmp(set->instance, "https://", 8) != 0)
        return tm_fail(err, TM_E_ARG,
                       "salesforce.instance must be an http:// or https:// URL, not \"%.100s\"",
                       set->instance);
    if (sign_in_unset(set->consumer_key))
        return tm_fail(err, TM_E_ARG, "salesforce.consumer.key is missing");
    if (set->api_version != NULL && strcmp(set->api_version, "latest") != 0 &&
        (set->api_version[strspn(set->api_version, "0123456789.")] != '\0' ||
         !isdigit((unsigned char)set->api_version[0]) || strlen(set->api_version) > 8))
        return tm_fail(err, TM_E_ARG,
                       "salesforce.version must be \"latest\" or like \"59.0\", not \"%.20s\"",
                       set->api_version);
    return sign_in_check_grant(set, err);
}

/* ---- the form ---- */

static void sign_in_field(struct tm_buf *out, const char *name, const char *value)
{
    if (out->bytes > 0)
        tm_buf_addc(out, '&');
    tm_buf_addf(out, "%s=", name);
    tm_buf_add_urlencoded(out, value);
}

/* Salesforce takes the login hosts' names and not a My Domain's (audience is invalid); anything
 * else is taken for what it says. */
static void sign_in_audience(struct tm_buf *out, const char *instance)
{
    static const char domain[] = ".my.salesforce.com";
    size_t bytes = strlen(instance);
    while (bytes > 0 && instance[bytes - 1] == '/')
        bytes--;
    bool own = bytes > strlen(domain) &&
               strncasecmp(instance + bytes - strlen(domain), domain, strlen(domain)) == 0;
    if (!own)
        tm_buf_add(out, instance, bytes);
    else if (strstr(instance, "--") != NULL || strstr(instance, ".sandbox.") != NULL)
        tm_buf_addz(out, "https://test.salesforce.com");
    else
        tm_buf_addz(out, "https://login.salesforce.com");
}

/* "header.claims.signature" */
static enum tm_code sign_in_assertion(struct tm_buf *out, const struct tm_sf_settings *set,
                                      const struct tm_secret_key *key, const struct tm_now *now,
                                      struct tm_err *err)
{
    static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
    int64_t now_s = (now->wall_ns / TM_NS_PER_MS + set->real_ms_at_zero) / 1000;
    struct tm_buf claims, audience, signature;
    tm_buf_init(&claims, SIGN_IN_TEXT_BYTES_MAX);
    tm_buf_init(&audience, SIGN_IN_TEXT_BYTES_MAX);
    tm_buf_init(&signature, SIGN_IN_TEXT_BYTES_MAX);
    sign_in_audience(&audience, set->instance);
    tm_buf_addz(&claims, "{\"iss\":");
    tm_buf_add_json_string(&claims, set->consumer_key, strlen(set->consumer_key));
    tm_buf_addz(&claims, ",\"sub\":");
    tm_buf_add_json_string(&claims, set->username, strlen(set->username));
    tm_buf_addz(&claims, ",\"aud\":");
    tm_buf_add_json_string(&claims, tm_buf_text(&audience), audience.bytes);
    tm_buf_addf(&claims, ",\"exp\":%lld}", (long long)(now_s + SIGN_IN_ASSERTION_S));
    tm_base64url_add(out, header, strlen(header));
    tm_buf_addc(out, '.');
    tm_base64url_add(out, tm_buf_text(&claims), claims.bytes);
    enum tm_code rc = tm_buf_check(&claims, "an assertion", err);
    if (rc == TM_OK)
        rc = tm_secret_sign(key, &signature, tm_buf_text(out), out->bytes, err);
    tm_buf_addc(out, '.');
    tm_base64url_add(out, tm_buf_text(&signature), signature.bytes);
    tm_buf_free(&claims);
    tm_buf_free(&audience);
    tm_buf_free(&signature);
    return rc;
}

static enum tm_code sign_in_jwt(struct tm_buf *out, const struct tm_sf_settings *set,
                                const struct tm_secret_key *key, const struct tm_now *now,
                                struct tm_err *err)
{
    struct tm_buf assertion;
    assert(key != NULL);
    tm_buf_init(&assertion, SIGN_IN_TEXT_BYTES_MAX);
    enum tm_code rc = sign_in_assertion(&assertion, set, key, now, err);
    sign_in_field(out, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    sign_in_field(out, "assertion", tm_buf_text(&assertion));
    tm_buf_free(&assertion);
    return rc;
}

enum tm_code tm_sf_sign_in_form(struct tm_buf *out, const struct tm_sf_settings *set,
                                const struct tm_secret_key *key, const struct tm_now *now,
                                struct tm_err *err)
{
    if (set->grant == TM_SF_JWT_BEARER) {
        enum tm_code rc = sign_in_jwt(out, set, key, now, err);
        return rc == TM_OK ? tm_buf_check(out, "sign-in request", err) : rc;
    }
    sign_in_field(out, "grant_type",
                  set->grant == TM_SF_PASSWORD ? "password" : "client_credentials");
    sign_in_field(out, "client_id", set->consumer_key);
    if (!sign_in_unset(set->consumer_secret))
        sign_in_field(out, "client_secret", set->consumer_secret);
    if (set->grant == TM_SF_PASSWORD) {
        sign_in_field(out, "username", set->username);
        sign_in_field(out, "password", set->password);
        tm_buf_add_urlencoded(out, set->password_token != NULL ? set->password_token : "");
    }
    return tm_buf_check(out, "sign-in request", err);
}
