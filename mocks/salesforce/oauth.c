#include "mocks/salesforce/oauth.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define OAUTH_TOKEN_BYTES 120
#define OAUTH_LIFE_NS (7200 * TM_NS_PER_S)
#define OAUTH_SECRET_BYTES_MAX 512

struct oauth_token {
    char text[OAUTH_TOKEN_BYTES];
    int64_t until_ns;
    uint64_t number;
};
struct tm_oauth {
    struct tm_oauth_settings settings; /* strings owned */
    struct oauth_token *tokens;
    size_t tokens_count;
    uint64_t given;
    struct tm_rng rng;
};

static const char *oauth_copy(const char *given, const char *preset)
{
    return strdup(given != NULL ? given : preset);
}

enum tm_code tm_oauth_open(struct tm_oauth **out, const struct tm_oauth_settings *settings,
                           struct tm_err *err)
{
    if (settings->username != NULL && strpbrk(settings->username, "\"\\\r\n") != NULL)
        return tm_fail(err, TM_E_ARG,
                       "the username must not hold quotes, backslashes or line ends");
    struct tm_oauth *o = calloc(1, sizeof *o);
    if (o == NULL)
        return tm_fail(err, TM_E_NOMEM, "sign-in");
    struct tm_oauth_settings *s = &o->settings;
    *s = *settings;
    s->username = oauth_copy(settings->username, "integration@tidemark.example");
    s->password = oauth_copy(settings->password, "tidemark");
    s->password_token = oauth_copy(settings->password_token, "TOKEN");
    s->consumer_key = oauth_copy(settings->consumer_key, "tidemark-consumer-key");
    s->consumer_secret = oauth_copy(settings->consumer_secret, "tidemark-consumer-secret");
    s->org_id = oauth_copy(settings->org_id, "00D000000000001EAA");
    s->user_id = oauth_copy(settings->user_id, "005000000000001AAA");
    if (s->token_ns_max == 0)
        s->token_ns_max = OAUTH_LIFE_NS;
    tm_rng_init(&o->rng, settings->seed);
    o->tokens = calloc(TM_OAUTH_TOKENS_MAX, sizeof *o->tokens);
    if (s->username == NULL || s->password == NULL || s->password_token == NULL ||
        s->consumer_key == NULL || s->consumer_secret == NULL || s->org_id == NULL ||
        s->user_id == NULL || o->tokens == NULL) {
        tm_oauth_close(o);
        return tm_fail(err, TM_E_NOMEM, "sign-in");
    }
    *out = o;
    return TM_OK;
}

void tm_oauth_close(struct tm_oauth *o)
{
    if (o == NULL)
        return;
    free((char *)(uintptr_t)o->settings.username);
    free((char *)(uintptr_t)o->settings.password);
    free((char *)(uintptr_t)o->settings.password_token);
    free((char *)(uintptr_t)o->settings.consumer_key);
    free((char *)(uintptr_t)o->settings.consumer_secret);
    free((char *)(uintptr_t)o->settings.org_id);
    free((char *)(uintptr_t)o->settings.user_id);
    free(o->tokens);
    free(o);
}

const struct tm_oauth_settings *tm_oauth_settings(const struct tm_oauth *o)
{
    return &o->settings;
}
size_t tm_oauth_tokens(const struct tm_oauth *o)
{
    return o->tokens_count;
}
void tm_oauth_expire_all(struct tm_oauth *o)
{
    o->tokens_count = 0;
}

void tm_oauth_random(struct tm_oauth *o, char *out, size_t bytes)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    assert(bytes > 1);
    for (size_t i = 0; i + 1 < bytes; i++) {
        uint8_t b = 255;
        while (b >= 252) /* 252 = 7 * 36: no letter more likely than another */
            if (o->settings.seeded)
                b = (uint8_t)tm_rng_below(&o->rng, 252);
            else if (getrandom(&b, 1, 0) != 1)
                b = 255;
        out[i] = letters[b % 36];
    }
    out[bytes - 1] = '\0';
}

/* The time it takes tells nothing about where two secrets differ. */
static bool oauth_same(const char *a, const char *b)
{
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    unsigned different = a_bytes != b_bytes;
    if (a_bytes > OAUTH_SECRET_BYTES_MAX || b_bytes == 0)
        return a_bytes == b_bytes;
    for (size_t i = 0; i < a_bytes; i++)
        different |= (unsigned char)a[i] ^ (unsigned char)b[i % b_bytes];
    return different == 0;
}

/* ---- sign-in ---- */

static void oauth_refuse(struct tm_mock_response *out, const char *error, const char *description)
{
    char body[256];
    snprintf(body, sizeof body, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error,
             description);
    tm_mock_answer(out, 400, "application/json;charset=UTF-8", body);
}

static int oauth_base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static bool oauth_base64(char *out, size_t out_bytes, const char *text)
{
    size_t n = 0;
    uint32_t bits = 0;
    int have = 0;
    for (; *text && *text != '='; text++) {
        int digit = oauth_base64_digit(*text);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (n + 1 >= out_bytes || (bits >> have & 0xff) == 0)
                return false;
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    out[n] = '\0';
    return true;
}

/* client_id and client_secret from HTTP Basic become form fields, unless the form has them. */
static enum tm_code oauth_basic(const struct tm_mock_request *r, struct tm_mock_pairs *form)
{
    const char *header = tm_mock_header(r, "Authorization");
    char pair[1024], *colon;
    if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
        return TM_OK;
    if (!oauth_base64(pair, sizeof pair, header + 6) || (colon = strchr(pair, ':')) == NULL)
        return TM_E_ARG;
    *colon = '\0';
    enum tm_code rc = TM_OK;
    if (tm_mock_pairs_get(form, "client_id") == NULL)
        rc = tm_mock_pairs_add(form, "client_id", pair, NULL);
    if (rc == TM_OK && tm_mock_pairs_get(form, "client_secret") == NULL)
        rc = tm_mock_pairs_add(form, "client_secret", colon + 1, NULL);
    return rc;
}

static bool oauth_client(const struct tm_oauth *o, const struct tm_mock_pairs *form,
                         struct tm_mock_response *out)
{
    const char *id = tm_mock_pairs_get(form, "client_id"),
               *secret = tm_mock_pairs_get(form, "client_secret");
    if (id == NULL)
        oauth_refuse(out, "invalid_request", "missing required parameter: client_id");
    else if (!oauth_same(id, o->settings.consumer_key))
        oauth_refuse(out, "invalid_client_id", "client identifier invalid");
    else if (secret == NULL || !oauth_same(secret, o->settings.consumer_secret))
        oauth_refuse(out, "invalid_client", "invalid client credentials");
    else
        return true;
    return false;
}

static bool oauth_user(const struct tm_oauth *o, const struct tm_mock_pairs *form,
                       struct tm_mock_response *out)
{
    const char *username = tm_mock_pairs_get(form, "username"),
               *password = tm_mock_pairs_get(form, "password");
    char wanted[OAUTH_SECRET_BYTES_MAX];
    if (username == NULL || password == NULL) {
        oauth_refuse(out, "invalid_request",
                     username == NULL ? "missing required parameter: username"
                                      : "missing required parameter: password");
        return false;
    }
    snprintf(wanted, sizeof wanted, "%s%s", o->settings.password, o->settings.password_token);
    bool user = oauth_same(username, o->settings.username), secret = oauth_same(password, wanted);
    if (!user || !secret)
        oauth_refuse(out, "invalid_grant", "authentication failure");
    return user && secret;
}

static const struct oauth_token *oauth_give(struct tm_oauth *o, int64_t now_ns)
{
    size_t at = o->tokens_count;
    char random[81];
    for (size_t i = 0; i < o->tokens_count; i++) /* an expired one first, else the oldest */
        if (o->tokens[i].until_ns <= now_ns)
            at = i;
    if (at == TM_OAUTH_TOKENS_MAX) {
        at = 0;
        for (size_t i = 1; i < o->tokens_count; i++)
            if (o->tokens[i].number < o->tokens[at].number)
                at = i;
    }
    if (at == o->tokens_count)
        o->tokens_count++;
    tm_oauth_random(o, random, sizeof random);
    struct oauth_token *t = &o->tokens[at];
    snprintf(t->text, sizeof t->text, "%.15s!AQ%s", o->settings.org_id, random);
    t->until_ns = now_ns + o->settings.token_ns_max;
    t->number = ++o->given;
    return t;
}

static void oauth_given(struct tm_oauth *o, const struct tm_mock_request *r, const char *base_url,
                        struct tm_mock_response *out)
{
    const struct oauth_token *t = oauth_give(o, r->now.wall_ns);
    char signature[45];
    tm_oauth_random(o, signature, sizeof signature);
    signature[43] = '=';
    tm_mock_response_header(out, "Cache-Control", "no-store");
    tm_mock_answer(out, 200, "application/json;charset=UTF-8", "");
    tm_buf_addf(&out->body,
                "{\"access_token\":\"%s\",\"instance_url\":\"%s\",\"id\":\"%s/id/%s/"
                "%s\",\"token_type\":\"Bearer\","
                "\"issued_at\":\"%" PRId64 "\",\"signature\":\"%s\",\"scope\":\"api\"}",
                t->text, base_url, base_url, o->settings.org_id, o->settings.user_id, r->now.org_ms,
                signature);
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
        rc = oauth_basic(r, &form);
    const char *grant = tm_mock_pairs_get(&form, "grant_type");
    if (rc != TM_OK || strcmp(r->method, "POST") != 0)
        oauth_refuse(out, "invalid_request", "the body must be a form sent by POST");
    else if (grant == NULL)
        oauth_refuse(out, "invalid_request", "missing required parameter: grant_type");
    else if (strcmp(grant, "password") != 0 && strcmp(grant, "client_credentials") != 0)
        oauth_refuse(out, "unsupported_grant_type", "grant type not supported");
    else if (oauth_client(o, &form, out) &&
             (strcmp(grant, "password") != 0 || oauth_user(o, &form, out)))
        oauth_given(o, r, base_url, out);
    tm_mock_pairs_free(&form);
}

/* ---- later requests ---- */

const char *tm_oauth_token_of(const struct tm_mock_request *r)
{
    static const char *const schemes[] = { "Bearer ", "OAuth ", "Token " };
    const char *header = tm_mock_header(r, "Authorization");
    for (size_t i = 0; header != NULL && i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncasecmp(header, schemes[i], strlen(schemes[i])) == 0)
            header += strlen(schemes[i]);
    if (header == NULL)
        header = tm_mock_header(r, "X-SFDC-Session");
    if (header == NULL)
        header = tm_mock_query(r, "oauth_token");
    while (header != NULL && *header == ' ')
        header++;
    return header != NULL && *header != '\0' ? header : NULL;
}

enum tm_oauth_verdict tm_oauth_check(const struct tm_oauth *o, const struct tm_mock_request *r)
{
    const char *token = tm_oauth_token_of(r);
    bool good = false;
    if (token == NULL)
        return TM_OAUTH_MISSING;
    for (size_t i = 0; i < o->tokens_count; i++)
        good |= oauth_same(token, o->tokens[i].text) && o->tokens[i].until_ns > r->now.wall_ns;
    return good ? TM_OAUTH_GOOD : TM_OAUTH_BAD;
}

void tm_oauth_revoke(struct tm_oauth *o, const struct tm_mock_request *r,
                     struct tm_mock_response *out)
{
    struct tm_mock_pairs form = { 0 };
    const char *token = tm_mock_query(r, "token");
    bool found = false;
    if (token == NULL && r->body != NULL &&
        tm_mock_pairs_parse(&form, r->body, r->body_bytes, NULL) == TM_OK)
        token = tm_mock_pairs_get(&form, "token");
    for (size_t i = 0; token != NULL && i < o->tokens_count && !found; i++)
        if (oauth_same(token, o->tokens[i].text)) {
            o->tokens[i] = o->tokens[--o->tokens_count];
            found = true;
        }
    if (found)
        tm_mock_answer(out, 200, NULL, "");
    else
        oauth_refuse(out, "unsupported_token_type", "this token is not known here");
    tm_mock_pairs_free(&form);
}

void tm_oauth_identity(struct tm_oauth *o, const char *base_url, bool userinfo,
                       struct tm_mock_response *out)
{
    const struct tm_oauth_settings *s = &o->settings;
    tm_mock_answer(out, 200, "application/json;charset=UTF-8", "");
    tm_buf_addf(&out->body,
                "{\"%s\":\"%s/id/%s/"
                "%s\",\"asserted_user\":true,\"user_id\":\"%s\",\"organization_id\":\"%s\","
                "\"%s\":\"%s\",\"display_name\":\"Integration User\",\"name\":\"Integration "
                "User\",\"email\":\"%s\",",
                userinfo ? "sub" : "id", base_url, s->org_id, s->user_id, s->user_id, s->org_id,
                userinfo ? "preferred_username" : "username", s->username, s->username);
    tm_buf_addf(&out->body,
                "\"urls\":{\"rest\":\"%s/services/data/v{version}/\",\"sobjects\":\"%s/services/"
                "data/v{version}/sobjects/\","
                "\"query\":\"%s/services/data/v{version}/query/"
                "\"},\"active\":true,\"user_type\":\"STANDARD\",\"language\":\"en_US\","
                "\"locale\":\"en_US\",\"utcOffset\":0,\"zoneinfo\":\"Etc/UTC\"}",
                base_url, base_url, base_url);
}
