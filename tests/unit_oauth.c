/* Sign-in: the grants, every way they are refused, every way a token is carried and how it ends. */
#include "mocks/salesforce/oauth.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CLIENT "client_id=tidemark-consumer-key&client_secret=tidemark-consumer-secret"
#define USER "&username=integration%40tidemark.example&password=tidemarkTOKEN"
#define BASE "http://127.0.0.1:8080"
#define REFRESH "grant_type=refresh_token&client_id=tidemark-consumer-key"
#define JWT_GRANT "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
/* the wall clock showed 1 s at this epoch second: the requests' instant */
#define REAL_S 1772438400LL

static struct tm_secret_key *certificate, *signer;

static int load_keys(void **state)
{
    (void)state;
    return tm_secret_certificate_load(&certificate, "tests/keys/jwt.crt", NULL) == TM_OK &&
                   tm_secret_key_load(&signer, "tests/keys/jwt.p12", "changeit", NULL) == TM_OK
               ? 0
               : -1;
}

static int free_keys(void **state)
{
    (void)state;
    tm_secret_key_free(certificate);
    tm_secret_key_free(signer);
    return 0;
}

static int open_oauth(void **state)
{
    struct tm_oauth_settings settings = { .org_id = "00D000000000001EAA",
                                          .user_id = "005000000000001AAA",
                                          .seeded = true,
                                          .seed = 3,
                                          .certificate = certificate,
                                          .real_ms_at_zero = (REAL_S - 1) * 1000,
                                          .token_ns_max = 10 * TM_NS_PER_S };
    return tm_oauth_open((struct tm_oauth **)state, &settings, NULL) == TM_OK ? 0 : -1;
}

static int close_oauth(void **state)
{
    tm_oauth_close(*state);
    return 0;
}

/* Posts a form; the parsed answer. header: one "Authorization" value or NULL. */
static json_t *ask(struct tm_oauth *o, const char *form, const char *authorization, int status)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, "POST", "/services/oauth2/token", form, strlen(form), NULL),
        TM_OK);
    r.now = (struct tm_now){ 1772438400000, TM_NS_PER_S };
    if (authorization != NULL)
        assert_int_equal(tm_mock_pairs_add(&r.headers, "authorization", authorization, NULL),
                         TM_OK);
    tm_mock_response_init(&out);
    tm_oauth_token(o, &r, BASE, &out);
    assert_int_equal(out.status, status);
    json_t *json = json_loads(tm_buf_text(&out.body), 0, NULL);
    assert_non_null(json);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return json;
}

static void expect_refusal(struct tm_oauth *o, const char *form, const char *authorization,
                           const char *error)
{
    json_t *json = ask(o, form, authorization, 400);
    assert_string_equal(json_string_value(json_object_get(json, "error")), error);
    assert_non_null(json_object_get(json, "error_description"));
    assert_int_equal(tm_oauth_tokens(o), 0);
    json_decref(json);
}

static enum tm_oauth_verdict check(struct tm_oauth *o, const char *header, const char *value,
                                   int64_t now_ns)
{
    struct tm_mock_request r;
    assert_int_equal(tm_mock_request_init(&r, "GET", "/services/data/v59.0/limits", NULL, 0, NULL),
                     TM_OK);
    r.now.wall_ns = now_ns;
    if (header != NULL)
        assert_int_equal(tm_mock_pairs_add(&r.headers, header, value, NULL), TM_OK);
    enum tm_oauth_verdict verdict = tm_oauth_check(o, &r);
    tm_mock_request_free(&r);
    return verdict;
}

static void the_password_grant_answers_with_all_six_fields(void **state)
{
    static const char *const fields[] = { "access_token", "instance_url", "id",
                                          "token_type",   "issued_at",    "signature" };
    json_t *json = ask(*state, "grant_type=password&format=json&" CLIENT USER, NULL, 200);
    for (size_t i = 0; i < 6; i++)
        assert_true(json_is_string(json_object_get(json, fields[i])));
    assert_string_equal(json_string_value(json_object_get(json, "instance_url")), BASE);
    assert_string_equal(json_string_value(json_object_get(json, "id")),
                        BASE "/id/00D000000000001EAA/005000000000001AAA");
    assert_string_equal(json_string_value(json_object_get(json, "issued_at")), "1772438400000");
    json_decref(json);
}

static void client_credentials_come_in_the_form_or_by_http_basic(void **state)
{
    json_decref(ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200));
    json_decref(ask(*state, "grant_type=client_credentials",
                    "Basic dGlkZW1hcmstY29uc3VtZXIta2V5OnRpZGVtYXJrLWNvbnN1bWVyLXNlY3JldA==", 200));
    assert_int_equal(tm_oauth_tokens(*state), 2);
}

static void wrong_or_missing_credentials_are_refused_by_name(void **state)
{
    expect_refusal(*state,
                   "grant_type=password&" CLIENT
                   "&username=integration%40tidemark.example&password=wrong",
                   NULL, "invalid_grant");
    expect_refusal(*state, "grant_type=password&" CLIENT "&username=someone&password=tidemarkTOKEN",
                   NULL, "invalid_grant");
    expect_refusal(*state,
                   "grant_type=password&" CLIENT
                   "&username=integration%40tidemark.example&password=tidemark",
                   NULL, "invalid_grant");
    expect_refusal(*state,
                   "grant_type=password&client_id=x&client_secret=tidemark-consumer-secret" USER,
                   NULL, "invalid_client_id");
    expect_refusal(*state,
                   "grant_type=password&client_id=tidemark-consumer-key&client_secret=x" USER, NULL,
                   "invalid_client");
    expect_refusal(*state, "grant_type=password&client_id=tidemark-consumer-key" USER, NULL,
                   "invalid_client");
    expect_refusal(*state, "grant_type=password&" CLIENT, NULL, "invalid_request");
    expect_refusal(*state, CLIENT USER, NULL, "invalid_request");
    expect_refusal(*state, "grant_type=authorization_code&" CLIENT, NULL, "unsupported_grant_type");
    expect_refusal(*state, "grant_type=refresh_token&" CLIENT, NULL, "invalid_request");
    expect_refusal(*state, "grant_type=client_credentials", "Basic %%%", "invalid_request");
    expect_refusal(*state, "grant_type=client_credentials", "Basic eDp5", "invalid_client_id");
    expect_refusal(*state, "grant_type=password&password=%zz", NULL, "invalid_request");
}

static void a_token_is_taken_in_every_form_clients_send(void **state)
{
    json_t *json = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    const char *token = json_string_value(json_object_get(json, "access_token"));
    char value[200];
    snprintf(value, sizeof value, "Bearer %s", token);
    assert_int_equal(check(*state, "Authorization", value, TM_NS_PER_S), TM_OAUTH_GOOD);
    snprintf(value, sizeof value, "OAuth %s", token);
    assert_int_equal(check(*state, "AUTHORIZATION", value, TM_NS_PER_S), TM_OAUTH_GOOD);
    assert_int_equal(check(*state, "authorization", token, TM_NS_PER_S), TM_OAUTH_GOOD);
    assert_int_equal(check(*state, "x-sfdc-session", token, TM_NS_PER_S), TM_OAUTH_GOOD);
    assert_int_equal(check(*state, NULL, NULL, TM_NS_PER_S), TM_OAUTH_MISSING);
    snprintf(value, sizeof value, "Bearer %.*s", (int)strlen(token) - 1, token);
    assert_int_equal(check(*state, "Authorization", value, TM_NS_PER_S), TM_OAUTH_BAD);
    assert_int_equal(check(*state, "Authorization", "Bearer ", TM_NS_PER_S), TM_OAUTH_MISSING);
    json_decref(json);
}

static void a_token_ends_with_its_time_and_when_all_are_expired(void **state)
{
    json_t *json = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    const char *token = json_string_value(json_object_get(json, "access_token"));
    assert_int_equal(check(*state, "Authorization", token, 11 * TM_NS_PER_S - 1), TM_OAUTH_GOOD);
    assert_int_equal(check(*state, "Authorization", token, 11 * TM_NS_PER_S), TM_OAUTH_BAD);
    tm_oauth_expire_all(*state);
    assert_int_equal(check(*state, "Authorization", token, TM_NS_PER_S), TM_OAUTH_BAD);
    json_decref(json);
}

static void every_sign_in_gets_its_own_token_and_revoking_one_leaves_the_other(void **state)
{
    json_t *a = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    json_t *b = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    const char *first = json_string_value(json_object_get(a, "access_token"));
    const char *second = json_string_value(json_object_get(b, "access_token"));
    struct tm_mock_request r;
    struct tm_mock_response out;
    char form[256];
    assert_string_not_equal(first, second);
    snprintf(form, sizeof form, "token=%s", first);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            tm_mock_request_init(&r, "POST", "/services/oauth2/revoke", form, strlen(form), NULL),
            TM_OK);
        tm_mock_response_init(&out);
        tm_oauth_revoke(*state, &r, &out);
        assert_int_equal(out.status, i == 0 ? 200 : 400);
        tm_mock_response_free(&out);
        tm_mock_request_free(&r);
    }
    assert_int_equal(check(*state, "Authorization", first, TM_NS_PER_S), TM_OAUTH_BAD);
    assert_int_equal(check(*state, "Authorization", second, TM_NS_PER_S), TM_OAUTH_GOOD);
    json_decref(a);
    json_decref(b);
}

static void more_sign_ins_than_room_push_out_the_oldest(void **state)
{
    json_t *first = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    for (int i = 0; i < TM_OAUTH_TOKENS_MAX; i++)
        json_decref(ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200));
    assert_int_equal(tm_oauth_tokens(*state), TM_OAUTH_TOKENS_MAX);
    assert_int_equal(check(*state, "Authorization",
                           json_string_value(json_object_get(first, "access_token")), TM_NS_PER_S),
                     TM_OAUTH_BAD);
    json_decref(first);
}

static void revoke(struct tm_oauth *o, const char *method, const char *token, int status)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    char target[300] = "/services/oauth2/revoke", form[300] = "";
    if (strcmp(method, "GET") == 0)
        snprintf(target, sizeof target, "/services/oauth2/revoke?token=%s", token);
    else
        snprintf(form, sizeof form, "token=%s", token);
    assert_int_equal(tm_mock_request_init(&r, method, target, form, strlen(form), NULL), TM_OK);
    tm_mock_response_init(&out);
    tm_oauth_revoke(o, &r, &out);
    assert_int_equal(out.status, status);
    if (status != 200)
        assert_non_null(strstr(tm_buf_text(&out.body), "\"error\":\"unsupported_token_type\""));
    else
        assert_int_equal(out.body.bytes, 0);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

static void a_refresh_token_gives_new_tokens_and_the_old_ones_stay(void **state)
{
    json_t *a = ask(*state, REFRESH "&refresh_token=tidemark-refresh-token", NULL, 200);
    json_t *b = ask(*state,
                    REFRESH "&client_secret=tidemark-consumer-secret"
                            "&refresh_token=tidemark-refresh-token",
                    NULL, 200);
    const char *first = json_string_value(json_object_get(a, "access_token"));
    const char *second = json_string_value(json_object_get(b, "access_token"));
    assert_string_not_equal(first, second);
    assert_null(json_object_get(a, "refresh_token"));
    assert_int_equal(check(*state, "Authorization", first, TM_NS_PER_S), TM_OAUTH_GOOD);
    assert_int_equal(check(*state, "Authorization", second, TM_NS_PER_S), TM_OAUTH_GOOD);
    json_decref(a);
    json_decref(b);
}

static void a_wrong_refresh_token_is_told_in_the_words_airbyte_looks_for(void **state)
{
    json_t *json = ask(*state, REFRESH "&refresh_token=other", NULL, 400);
    assert_string_equal(json_string_value(json_object_get(json, "error")), "invalid_grant");
    assert_string_equal(json_string_value(json_object_get(json, "error_description")),
                        "expired access/refresh token");
    json_decref(json);
    expect_refusal(*state, REFRESH "&client_secret=wrong&refresh_token=tidemark-refresh-token",
                   NULL, "invalid_client");
}

static void revoking_the_refresh_token_ends_what_it_gave_and_itself(void **state)
{
    json_t *own = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    json_t *a = ask(*state, REFRESH "&refresh_token=tidemark-refresh-token", NULL, 200);
    json_t *b = ask(*state, REFRESH "&refresh_token=tidemark-refresh-token", NULL, 200);
    revoke(*state, "GET", "tidemark-refresh-token", 200);
    revoke(*state, "GET", "tidemark-refresh-token", 400);
    const json_t *all[] = { own, a, b };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(check(*state, "Authorization",
                               json_string_value(json_object_get(all[i], "access_token")),
                               TM_NS_PER_S),
                         i == 0 ? TM_OAUTH_GOOD : TM_OAUTH_BAD);
    json_decref(ask(*state, REFRESH "&refresh_token=tidemark-refresh-token", NULL, 400));
    json_decref(own);
    json_decref(a);
    json_decref(b);
}

static void a_token_is_revoked_by_get_and_by_post(void **state)
{
    static const char *const methods[] = { "GET", "POST" };
    for (size_t i = 0; i < 2; i++) {
        json_t *json = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
        const char *token = json_string_value(json_object_get(json, "access_token"));
        revoke(*state, methods[i], token, 200);
        assert_int_equal(check(*state, "Authorization", token, TM_NS_PER_S), TM_OAUTH_BAD);
        revoke(*state, methods[i], token, 400);
        json_decref(json);
    }
    revoke(*state, "POST", "", 400);
}

/* ---- JWT bearer ---- */

/* Signs these claims (and this header) with the key of the certificate, and asks with them. */
static json_t *ask_jwt(struct tm_oauth *o, const char *header, const char *claims, int status)
{
    struct tm_buf text, signature, form;
    tm_buf_init(&text, 4096);
    tm_buf_init(&signature, 4096);
    tm_buf_init(&form, 8192);
    tm_base64url_add(&text, header, strlen(header));
    tm_buf_addc(&text, '.');
    tm_base64url_add(&text, claims, strlen(claims));
    assert_int_equal(tm_secret_sign(signer, &signature, text.data, text.bytes, NULL), TM_OK);
    tm_buf_addc(&text, '.');
    tm_base64url_add(&text, signature.data, signature.bytes);
    tm_buf_addz(&form, JWT_GRANT);
    tm_buf_add_urlencoded(&form, tm_buf_text(&text));
    json_t *json = ask(o, tm_buf_text(&form), NULL, status);
    tm_buf_free(&text);
    tm_buf_free(&signature);
    tm_buf_free(&form);
    return json;
}

#define RS256 "{\"alg\":\"RS256\"}"
#define CLAIMS(iss, sub, aud, exp)                                                                 \
    "{\"iss\":\"" iss "\",\"sub\":\"" sub "\",\"aud\":" aud ",\"exp\":" exp "}"
#define KEY "tidemark-consumer-key"
#define ME "integration@tidemark.example"
#define LOGIN_URL "\"https://login.salesforce.com\""

static void expect_jwt_refused(struct tm_oauth *o, const char *header, const char *claims,
                               const char *error, const char *description)
{
    json_t *json = ask_jwt(o, header, claims, 400);
    assert_string_equal(json_string_value(json_object_get(json, "error")), error);
    assert_string_equal(json_string_value(json_object_get(json, "error_description")), description);
    assert_int_equal(tm_oauth_tokens(o), 0);
    json_decref(json);
}

static void an_assertion_signed_by_openssl_is_taken(void **state)
{
    char form[1024] = JWT_GRANT;
    FILE *f = fopen("tests/keys/assertion.txt", "r");
    assert_non_null(f);
    assert_non_null(fgets(form + strlen(form), (int)(sizeof form - strlen(form)), f));
    fclose(f);
    form[strcspn(form, "\n")] = '\0';
    json_t *json = ask(*state, form, NULL, 200);
    assert_null(json_object_get(json, "refresh_token"));
    json_decref(json);
    size_t last = strlen(form) - 30; /* inside the signature */
    form[last] = form[last] == 'A' ? 'B' : 'A';
    json = ask(*state, form, NULL, 400);
    assert_string_equal(json_string_value(json_object_get(json, "error_description")),
                        "invalid assertion");
    json_decref(json);
}

static void every_audience_and_form_of_exp_that_clients_send_is_taken(void **state)
{
    static const char *const claims[] = {
        CLAIMS(KEY, ME, LOGIN_URL, "1772438401"),
        CLAIMS(KEY, ME, "\"https://test.salesforce.com\"", "\"1772438401\""),
        CLAIMS(KEY, ME, "\"" BASE "\"", "1772438580.25"),
        CLAIMS(KEY, ME, "\"" BASE "/\"", "1772438580"),
        CLAIMS(KEY, ME, "\"https://login.salesforce.com/services/oauth2/token\"", "1772438580"),
        "{\"iss\":\"" KEY "\",\"prn\":\"" ME "\",\"aud\":" LOGIN_URL ",\"exp\":1772438580}",
    };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
        json_decref(ask_jwt(*state, "{\"typ\":\"JWT\",\"alg\":\"RS256\"}", claims[i], 200));
}

static void each_wrong_claim_is_refused_in_its_own_words(void **state)
{
    struct tm_oauth *o = *state;
    const char *grant = "invalid_grant";
    expect_jwt_refused(o, RS256, CLAIMS("other", ME, LOGIN_URL, "1772438580"), "invalid_client_id",
                       "client identifier invalid");
    expect_jwt_refused(o, RS256, CLAIMS(KEY, ME, "\"https://evil.example\"", "1772438580"), grant,
                       "audience is invalid");
    expect_jwt_refused(
        o, RS256, CLAIMS(KEY, ME, "\"https://login.salesforce.com.evil.example\"", "1772438580"),
        grant, "audience is invalid");
    expect_jwt_refused(o, RS256, CLAIMS(KEY, ME, "[" LOGIN_URL "]", "1772438580"), grant,
                       "audience is invalid");
    expect_jwt_refused(o, RS256, CLAIMS(KEY, ME, LOGIN_URL, "1772438400"), grant,
                       "expired authorization code");
    expect_jwt_refused(o, RS256, CLAIMS(KEY, "someone@else.example", LOGIN_URL, "1772438580"),
                       grant, "user hasn't approved this consumer");
    expect_jwt_refused(o, "{\"alg\":\"none\"}", CLAIMS(KEY, ME, LOGIN_URL, "1772438580"), grant,
                       "invalid assertion");
    expect_jwt_refused(o, "{\"alg\":\"HS256\"}", CLAIMS(KEY, ME, LOGIN_URL, "1772438580"), grant,
                       "invalid assertion");
    expect_jwt_refused(o, RS256, "{\"iss\":\"" KEY "\",\"aud\":" LOGIN_URL "}", grant,
                       "invalid assertion");
    expect_jwt_refused(o, RS256, CLAIMS(KEY, ME, LOGIN_URL, "\"soon\""), grant,
                       "invalid assertion");
    expect_jwt_refused(o, RS256, "[]", grant, "invalid assertion");
    expect_refusal(o, JWT_GRANT "a.b", NULL, grant);
    expect_refusal(o, JWT_GRANT "a.b.c", NULL, grant);
    expect_refusal(o, JWT_GRANT "..", NULL, grant);
    expect_refusal(o, "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer", NULL,
                   "invalid_request");
}

static void without_a_certificate_no_assertion_is_taken_and_the_reason_is_named(void **state)
{
    struct tm_oauth *o = NULL;
    struct tm_oauth_settings settings = *tm_oauth_settings(*state);
    settings.certificate = NULL;
    assert_int_equal(tm_oauth_open(&o, &settings, NULL), TM_OK);
    json_t *json = ask_jwt(o, RS256, CLAIMS(KEY, ME, LOGIN_URL, "1772438580"), 400);
    assert_non_null(
        strstr(json_string_value(json_object_get(json, "error_description")), "--jwt-certificate"));
    json_decref(json);
    tm_oauth_close(o);
}

/* ---- who is signed in ---- */

/* The answer's body; header may be NULL. */
static char *identity(struct tm_oauth *o, const char *method, const char *target,
                      const char *authorization, const char *form, int status)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, method, target, form, form != NULL ? strlen(form) : 0, NULL),
        TM_OK);
    r.now = (struct tm_now){ 1772438400000, TM_NS_PER_S };
    if (authorization != NULL)
        assert_int_equal(tm_mock_pairs_add(&r.headers, "Authorization", authorization, NULL),
                         TM_OK);
    tm_mock_response_init(&out);
    tm_oauth_identity(o, &r, BASE, &out);
    assert_int_equal(out.status, status);
    char *text = strdup(tm_buf_text(&out.body));
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
    return text;
}

static void the_identity_url_answers_by_header_and_by_oauth_token(void **state)
{
    json_t *given = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    const char *token = json_string_value(json_object_get(given, "access_token"));
    const char *url = json_string_value(json_object_get(given, "id")) + strlen(BASE);
    char target[400];
    snprintf(target, sizeof target, "%s?version=59.0&oauth_token=%s", url, token);
    for (int i = 0; i < 2; i++) {
        char *text =
            identity(*state, "GET", i == 0 ? target : url, i == 0 ? NULL : token, NULL, 200);
        json_t *json = json_loads(text, 0, NULL);
        const json_t *urls = json_object_get(json, "urls");
        assert_string_equal(json_string_value(json_object_get(json, "id")),
                            json_string_value(json_object_get(given, "id")));
        assert_string_equal(json_string_value(json_object_get(json, "username")), ME);
        assert_string_equal(json_string_value(json_object_get(json, "organization_id")),
                            "00D000000000001EAA");
        assert_string_equal(json_string_value(json_object_get(urls, "rest")),
                            i == 0 ? BASE "/services/data/v59.0/"
                                   : BASE "/services/data/v{version}/");
        assert_string_equal(json_string_value(json_object_get(urls, "partner")),
                            i == 0 ? BASE "/services/Soap/u/59.0/00D000000000001"
                                   : BASE "/services/Soap/u/{version}/00D000000000001");
        json_decref(json);
        free(text);
    }
    json_decref(given);
}

static void userinfo_answers_by_get_and_by_post(void **state)
{
    json_t *given = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    const char *token = json_string_value(json_object_get(given, "access_token"));
    char form[300];
    snprintf(form, sizeof form, "access_token=%s", token);
    for (int i = 0; i < 2; i++) {
        char *text = identity(*state, i == 0 ? "GET" : "POST", "/services/oauth2/userinfo",
                              i == 0 ? token : NULL, i == 0 ? NULL : form, 200);
        json_t *json = json_loads(text, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(json, "preferred_username")), ME);
        assert_string_equal(json_string_value(json_object_get(json, "sub")),
                            json_string_value(json_object_get(given, "id")));
        json_decref(json);
        free(text);
    }
    json_decref(given);
}

static void a_stranger_is_told_off_in_one_word(void **state)
{
    static const char good_url[] = "/id/00D000000000001EAA/005000000000001AAA";
    static const struct {
        const char *target;
        int token, status; /* 0 = none, 1 = wrong, 2 = good */
        const char *word;
    } cases[] = {
        { good_url, 0, 403, "Missing_OAuth_Token" },
        { good_url, 1, 403, "Bad_OAuth_Token" },
        { "/services/oauth2/userinfo", 1, 403, "Bad_OAuth_Token" },
        { "/id/00D000000000001EAB/005000000000001AAA", 2, 404, "Bad_Id" }, /* wrong check letters */
        { "/id/00D000000000002/005000000000001", 2, 403, "Wrong_Org" },
        { "/id/00D000000000001/005000000000002", 2, 404, "Bad_Id" },
        { "/id/00D000000000001", 2, 404, "Bad_Id" },
        { "/id", 2, 404, "Bad_Id" },
        { "/id/00D000000000001/005000000000001/more", 2, 404, "Bad_Id" },
    };
    json_t *given = ask(*state, "grant_type=client_credentials&" CLIENT, NULL, 200);
    const char *tokens[] = { NULL, "Bearer nonsense",
                             json_string_value(json_object_get(given, "access_token")) };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text =
            identity(*state, "GET", cases[i].target, tokens[cases[i].token], NULL, cases[i].status);
        assert_string_equal(text, cases[i].word);
        free(text);
    }
    json_decref(given);
}

/* ---- sessions that outlive the process ---- */

static char kept_rows[TM_OAUTH_TOKENS_MAX + 1][TM_OAUTH_ROW_BYTES_MAX];

/* Writes what is to be kept; how many rows that were. */
static size_t keep(struct tm_oauth *o)
{
    size_t row, count = 0;
    struct tm_buf text;
    tm_buf_init(&text, TM_OAUTH_ROW_BYTES_MAX);
    for (; tm_oauth_unkept(o, &row, &text); count++) {
        assert_true(row < tm_oauth_rows(o));
        assert_int_equal(text.failed, TM_OK);
        snprintf(kept_rows[row], sizeof kept_rows[row], "%s", tm_buf_text(&text));
        tm_buf_reset(&text);
        tm_oauth_kept(o);
    }
    tm_buf_free(&text);
    return count;
}

/* Another process, which has loaded what was kept. */
static struct tm_oauth *load(const struct tm_oauth_settings *settings, const struct tm_now *now)
{
    struct tm_oauth *o = NULL;
    assert_int_equal(tm_oauth_open(&o, settings, NULL), TM_OK);
    for (size_t row = 0; row < tm_oauth_rows(o); row++)
        assert_int_equal(tm_oauth_load(o, row, kept_rows[row], now, NULL), TM_OK);
    assert_int_equal(keep(o), 0);
    return o;
}

static void kept_sessions_are_good_in_another_process_until_their_time(void **state)
{
    struct tm_oauth *o = *state, *other = NULL;
    struct tm_oauth_settings settings = *tm_oauth_settings(o);
    struct tm_now later = { 0, 500 * TM_NS_PER_S }; /* its wall clock began elsewhere */
    json_t *a = ask(o, "grant_type=client_credentials&" CLIENT, NULL, 200);
    const char *token = json_string_value(json_object_get(a, "access_token"));
    revoke(o, "GET", "tidemark-refresh-token", 200);
    assert_int_equal(keep(o), 2);
    assert_null(strstr(kept_rows[1], token + 17));
    settings.real_ms_at_zero = (REAL_S + 4 - 500) * 1000; /* four seconds after the sign-in */
    other = load(&settings, &later);
    assert_int_equal(check(other, "Authorization", token, 506 * TM_NS_PER_S - 1), TM_OAUTH_GOOD);
    assert_int_equal(check(other, "Authorization", token, 506 * TM_NS_PER_S), TM_OAUTH_BAD);
    json_decref(ask(other, REFRESH "&refresh_token=tidemark-refresh-token", NULL, 400));
    tm_oauth_close(other);
    settings.real_ms_at_zero = (REAL_S + 10 - 500) * 1000; /* its ten seconds are over */
    other = load(&settings, &later);
    assert_int_equal(tm_oauth_tokens(other), 0);
    tm_oauth_close(other);
    json_decref(a);
}

static void a_sign_in_or_out_is_kept_in_its_own_row_alone(void **state)
{
    struct tm_oauth *o = *state, *other = NULL;
    struct tm_now now = { 0, TM_NS_PER_S };
    char first[TM_OAUTH_TOKEN_BYTES], token[TM_OAUTH_TOKEN_BYTES];
    tm_oauth_give(o, first, &now);
    for (int i = 0; i < 99; i++)
        tm_oauth_give(o, token, &now);
    assert_int_equal(keep(o), 101);
    assert_int_equal(keep(o), 0);
    assert_true(tm_oauth_forget(o, first));
    assert_int_equal(keep(o), 1);
    assert_string_equal(kept_rows[1], "");
    other = load(tm_oauth_settings(o), &now); /* with a free row in the middle */
    assert_int_equal(tm_oauth_tokens(other), 99);
    assert_false(tm_oauth_good(other, first, &now));
    assert_true(tm_oauth_good(other, token, &now));
    tm_oauth_give(other, first, &now);
    assert_int_equal(keep(other), 1);
    assert_true(tm_oauth_good(other, first, &now) && tm_oauth_good(other, token, &now));
    tm_oauth_expire_all(other);
    assert_int_equal(keep(other), 100);
    tm_oauth_close(other);
    other = load(tm_oauth_settings(o), &now);
    assert_int_equal(tm_oauth_tokens(other), 0);
    tm_oauth_close(other);
}

static void a_full_house_is_kept_whole_and_nonsense_is_no_session(void **state)
{
    static const char *const heads[] = { "{}",         "[]",           "[false]", "[1,2]",
                                         "[false,-1]", "[false,5001]", "x" };
    static const char *const bad[] = { "{}", "[]", "[\"AA\",1772438500000,false]", "[1,2,3]", "7" };
    struct tm_oauth *o = *state, *other = NULL;
    struct tm_oauth_settings settings = *tm_oauth_settings(o);
    struct tm_now now = { 0, TM_NS_PER_S };
    char first[TM_OAUTH_TOKEN_BYTES], token[TM_OAUTH_TOKEN_BYTES];
    tm_oauth_give(o, first, &now);
    for (int i = 1; i < TM_OAUTH_TOKENS_MAX; i++, now.wall_ns++)
        tm_oauth_give(o, token, &now);
    keep(o);
    assert_int_equal(tm_oauth_open(&other, tm_oauth_settings(o), NULL), TM_OK);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        assert_int_equal(tm_oauth_load(other, 0, heads[i], &now, NULL), TM_E_PROTO);
        assert_int_equal(tm_oauth_rows(other), 1);
    }
    assert_int_equal(tm_oauth_load(other, 0, "[false,1]", &now, NULL), TM_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tm_oauth_load(other, 1, bad[i], &now, NULL), TM_E_PROTO);
        assert_int_equal(tm_oauth_tokens(other), 0);
    }
    tm_oauth_close(other);
    settings.seed++; /* tokens that were not given before */
    other = load(&settings, &now);
    assert_int_equal(tm_oauth_tokens(other), TM_OAUTH_TOKENS_MAX);
    assert_true(tm_oauth_good(other, first, &now) && tm_oauth_good(other, token, &now));
    tm_oauth_give(other, token, &now); /* pushes out the oldest, in its row */
    assert_false(tm_oauth_good(other, first, &now));
    assert_int_equal(keep(other), 1);
    tm_oauth_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, open_oauth, close_oauth)
        T(the_password_grant_answers_with_all_six_fields),
        T(client_credentials_come_in_the_form_or_by_http_basic),
        T(wrong_or_missing_credentials_are_refused_by_name),
        T(a_token_is_taken_in_every_form_clients_send),
        T(a_token_ends_with_its_time_and_when_all_are_expired),
        T(every_sign_in_gets_its_own_token_and_revoking_one_leaves_the_other),
        T(more_sign_ins_than_room_push_out_the_oldest),
        T(a_refresh_token_gives_new_tokens_and_the_old_ones_stay),
        T(a_wrong_refresh_token_is_told_in_the_words_airbyte_looks_for),
        T(revoking_the_refresh_token_ends_what_it_gave_and_itself),
        T(a_token_is_revoked_by_get_and_by_post),
        T(an_assertion_signed_by_openssl_is_taken),
        T(every_audience_and_form_of_exp_that_clients_send_is_taken),
        T(each_wrong_claim_is_refused_in_its_own_words),
        T(without_a_certificate_no_assertion_is_taken_and_the_reason_is_named),
        T(the_identity_url_answers_by_header_and_by_oauth_token),
        T(userinfo_answers_by_get_and_by_post),
        T(a_stranger_is_told_off_in_one_word),
        T(kept_sessions_are_good_in_another_process_until_their_time),
        T(a_sign_in_or_out_is_kept_in_its_own_row_alone),
        T(a_full_house_is_kept_whole_and_nonsense_is_no_session),
#undef T
    };
    return cmocka_run_group_tests(tests, load_keys, free_keys);
}
