/* Several integration users: how each signs in, and whose its calls are. */
#include "mocks/salesforce/oauth.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct tm_oauth *open_users(const char *users)
{
    struct tm_oauth *o = NULL;
    struct tm_err err = { .code = TM_OK };
    struct tm_oauth_settings settings = { .users = users, .seeded = true, .seed = 3 };
    return tm_oauth_open(&o, &settings, &err) == TM_OK ? o : NULL;
}

/* The token the form gets, "" when it is refused. */
static void sign_in(struct tm_oauth *o, const char *form, char token[TM_OAUTH_TOKEN_BYTES])
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, "POST", "/services/oauth2/token", form, strlen(form), NULL),
        TM_OK);
    tm_mock_response_init(&out);
    tm_oauth_token(o, &r, "http://127.0.0.1", &out);
    json_t *json = json_loads(tm_buf_text(&out.body), 0, NULL);
    const char *given = json_string_value(json_object_get(json, "access_token"));
    snprintf(token, TM_OAUTH_TOKEN_BYTES, "%s", given != NULL ? given : "");
    json_decref(json);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

static void expect_client(struct tm_oauth *o, const char *token, const char *expected)
{
    struct tm_mock_request r;
    char bearer[TM_OAUTH_TOKEN_BYTES + 8], client[TM_OAUTH_CLIENT_BYTES];
    snprintf(bearer, sizeof bearer, "Bearer %s", token);
    assert_int_equal(tm_mock_request_init(&r, "GET", "/services/data", NULL, 0, NULL), TM_OK);
    assert_int_equal(tm_mock_pairs_add(&r.headers, "authorization", bearer, NULL), TM_OK);
    assert_int_equal(tm_mock_pairs_add(&r.headers, "user-agent", "curl/8.0", NULL), TM_OK);
    assert_string_equal(tm_oauth_client(o, &r, client), expected);
    tm_mock_request_free(&r);
}

#define KEY "client_id=tidemark-consumer-key"
#define SECRET "&client_secret=tidemark-consumer-secret"
#define PASSWORD "grant_type=password&password=tidemarkTOKEN&" KEY SECRET

static void calls_of_two_users_with_one_program_are_counted_apart(void **state)
{
    char one[TM_OAUTH_TOKEN_BYTES], two[TM_OAUTH_TOKEN_BYTES], first[TM_OAUTH_TOKEN_BYTES];
    struct tm_oauth *o = open_users("shell,nightly_2");
    (void)state;
    assert_non_null(o);
    sign_in(o, PASSWORD "&username=shell%40tidemark.example", one);
    sign_in(o, "grant_type=client_credentials&" KEY ".nightly_2" SECRET, two);
    sign_in(o, PASSWORD "&username=integration%40tidemark.example", first);
    expect_client(o, one, "shell@tidemark.example");
    expect_client(o, two, "nightly_2@tidemark.example");
    expect_client(o, first, "curl/8.0");
    tm_oauth_close(o);
}

static void a_user_nobody_named_and_a_wrong_password_are_refused(void **state)
{
    char token[TM_OAUTH_TOKEN_BYTES];
    struct tm_oauth *o = open_users("shell");
    (void)state;
    sign_in(o, PASSWORD "&username=shel%40tidemark.example", token);
    assert_string_equal(token, "");
    sign_in(o, PASSWORD "&username=%40tidemark.example", token);
    assert_string_equal(token, "");
    sign_in(o, "grant_type=password&password=x&" KEY SECRET "&username=shell%40tidemark.example",
            token);
    assert_string_equal(token, "");
    sign_in(o, "grant_type=client_credentials&" KEY ".other" SECRET, token);
    assert_string_equal(token, "");
    sign_in(o, "grant_type=client_credentials&" KEY "." SECRET, token);
    assert_string_equal(token, "");
    tm_oauth_close(o);
}

static void a_user_that_keeps_its_session_is_still_that_user_in_another_process(void **state)
{
    char token[TM_OAUTH_TOKEN_BYTES], rows[8][TM_OAUTH_ROW_BYTES_MAX] = { "" };
    struct tm_oauth *o = open_users("a,b"), *other = open_users("a,b");
    struct tm_now now = { 0, 0 };
    struct tm_buf text;
    size_t row;
    (void)state;
    sign_in(o, PASSWORD "&username=b%40tidemark.example", token);
    tm_buf_init(&text, TM_OAUTH_ROW_BYTES_MAX);
    while (tm_oauth_unkept(o, &row, &text)) {
        assert_true(row < 8);
        snprintf(rows[row], sizeof rows[row], "%s", tm_buf_text(&text));
        tm_oauth_kept(o);
        tm_buf_reset(&text);
    }
    tm_buf_free(&text);
    for (row = 0; row < tm_oauth_rows(other); row++)
        assert_int_equal(tm_oauth_load(other, row, rows[row], &now, NULL), TM_OK);
    expect_client(other, token, "b@tidemark.example");
    tm_oauth_close(o);
    tm_oauth_close(other);
}

static void names_that_would_need_quoting_are_refused(void **state)
{
    (void)state;
    assert_null(open_users("a b"));
    assert_null(open_users("a,"));
    assert_null(open_users(",a"));
    assert_null(open_users("a@b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_two_users_with_one_program_are_counted_apart),
        cmocka_unit_test(a_user_nobody_named_and_a_wrong_password_are_refused),
        cmocka_unit_test(a_user_that_keeps_its_session_is_still_that_user_in_another_process),
        cmocka_unit_test(names_that_would_need_quoting_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
