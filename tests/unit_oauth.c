/* Sign-in: the two grants, every way they are refused, and every way a token is carried. */
#include "mocks/salesforce/oauth.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CLIENT "client_id=tidemark-consumer-key&client_secret=tidemark-consumer-secret"
#define USER "&username=integration%40tidemark.example&password=tidemarkTOKEN"
#define BASE "http://127.0.0.1:8080"

static int open_oauth(void **state)
{
    struct tm_oauth_settings settings = { .org_id = "00D000000000001EAA",
                                          .user_id = "005000000000001AAA",
                                          .seeded = true,
                                          .seed = 3,
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
    expect_refusal(*state, "grant_type=refresh_token&" CLIENT, NULL, "unsupported_grant_type");
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
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
