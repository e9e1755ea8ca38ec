/* session against a scripted HTTP port: sign-in, expiry, retry, rate limit, versions, describe.
 * Virtual time. */
#include "salesforce/session.h"
#include "tests/support_fake_http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TOKEN_REPLY(token)                                                                         \
    "{\"access_token\":\"" token                                                                   \
    "\",\"instance_url\":\"https://na1.example/\",\"token_type\":\"Bearer\"}"
#define SIGN_IN(token)                                                                             \
    {                                                                                              \
        .expect = "POST https://login.example/services/oauth2/token", .status = 200,               \
        .body = TOKEN_REPLY(token)                                                                 \
    }

static struct tm_sf_settings settings(void)
{
    return (struct tm_sf_settings){
        .instance = "https://login.example/",
        .username = "a@b.example",
        .password = "p&w",
        .password_token = "T=1",
        .consumer_key = "key",
        .consumer_secret = "secret",
        .grant = TM_SF_PASSWORD,
        .api_version = "59.0",
        .seed = 7,
    };
}

static struct tm_now at(const struct fake_http *f)
{
    return (struct tm_now){ .org_ms = 0, .wall_ns = f->now_ns };
}

/* Steps a call, jumping to the next instant it names, until it ends. */
static enum tm_code finish(struct fake_http *f, struct tm_sf_session *s, struct tm_sf_call *c,
                           json_t **out, struct tm_err *err)
{
    for (int i = 0; i < 1000; i++) {
        struct tm_now now = at(f);
        enum tm_code rc = tm_sf_call_poll(c, &now, out, err);
        if (rc != TM_E_AGAIN)
            return rc;
        int64_t next = tm_sf_session_next_at(s);
        if (next != TM_NEVER && next > f->now_ns)
            f->now_ns = next;
        else
            f->now_ns += TM_NS_PER_MS; /* an exchange is under way */
    }
    fail_msg("the call never ends");
    return TM_E_AGAIN;
}

static enum tm_code sign_in(struct fake_http *f, struct tm_sf_session *s, struct tm_err *err)
{
    for (int i = 0; i < 1000; i++) {
        struct tm_now now = at(f);
        enum tm_code rc = tm_sf_session_ready(s, &now, err);
        if (rc != TM_E_AGAIN)
            return rc;
        int64_t next = tm_sf_session_next_at(s);
        f->now_ns = next != TM_NEVER && next > f->now_ns ? next : f->now_ns + TM_NS_PER_MS;
    }
    fail_msg("signing in never ends");
    return TM_E_AGAIN;
}

static void open_session(struct fake_http *f, struct tm_sf_session **s,
                         const struct tm_sf_settings *set)
{
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_sf_session_open(s, &f->base, set, &err), TM_OK);
}

/* One GET under a fresh session; returns its code. */
static enum tm_code get(struct fake_http *f, const struct tm_sf_settings *set, json_t **out,
                        struct tm_err *err, char *error, unsigned *attempts)
{
    struct tm_sf_session *s;
    struct tm_sf_call *c;
    tm_err_clear(err);
    *out = NULL;
    open_session(f, &s, set);
    assert_int_equal(tm_sf_call_start(&c, s, "GET", "/services/data/v*/limits", NULL, err), TM_OK);
    enum tm_code rc = finish(f, s, c, out, err);
    if (error != NULL)
        strcpy(error, tm_sf_call_error(c));
    if (attempts != NULL)
        *attempts = tm_sf_call_attempts(c);
    tm_sf_call_close(c);
    tm_sf_session_close(s);
    return rc;
}

static void password_sign_in_sends_escaped_credentials_with_the_security_token(void **state)
{
    static const struct fake_line lines[] = {
        { .expect = "POST https://login.example/services/oauth2/token",
          .expect_body = "grant_type=password&client_id=key&client_secret=secret&username=a%40b."
                         "example&password=p%26wT%3D1",
          .expect_header = "Content-Type: application/x-www-form-urlencoded",
          .status = 200,
          .body = TOKEN_REPLY("T1") },
    };
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_sf_settings set = settings();
    struct tm_err err = { .code = TM_OK };
    (void)state;
    FAKE_HTTP(&f, lines);
    open_session(&f, &s, &set);
    assert_null(tm_sf_session_token(s));
    assert_int_equal(sign_in(&f, s, &err), TM_OK);
    assert_string_equal(tm_sf_session_token(s), "T1");
    assert_string_equal(tm_sf_session_url(s), "https://na1.example");
    assert_string_equal(tm_sf_session_version(s), "59.0");
    fake_http_done(&f);
    tm_sf_session_close(s);
}

static void client_credentials_sign_in_sends_no_password(void **state)
{
    static const struct fake_line lines[] = {
        { .expect = "POST /services/oauth2/token",
          .status = 200,
          .body = TOKEN_REPLY("T1"),
          .expect_body = "grant_type=client_credentials&client_id=key&client_secret=secret" },
    };
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_sf_settings set = settings();
    struct tm_err err = { .code = TM_OK };
    (void)state;
    FAKE_HTTP(&f, lines);
    set.grant = TM_SF_CLIENT_CREDENTIALS;
    open_session(&f, &s, &set);
    assert_int_equal(sign_in(&f, s, &err), TM_OK);
    assert_null(strstr(f.last_body, "password"));
    tm_sf_session_close(s);
}

static void version_latest_takes_the_highest_the_server_lists(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T1"),
        { .expect = "GET https://na1.example/services/data",
          .status = 200,
          .body = "[{\"version\":\"9.0\"},{\"version\":\"61.0\"},{\"version\":\"60.0\"}]" },
    };
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_sf_settings set = settings();
    struct tm_err err = { .code = TM_OK };
    (void)state;
    FAKE_HTTP(&f, lines);
    set.api_version = "latest";
    open_session(&f, &s, &set);
    assert_null(tm_sf_session_version(s));
    assert_int_equal(sign_in(&f, s, &err), TM_OK);
    assert_string_equal(tm_sf_session_version(s), "61.0");
    tm_sf_session_close(s);
}

static void wrong_password_is_a_usage_error_in_the_servers_words_and_not_tried_again(void **state)
{
    static const struct fake_line lines[] = {
        { .expect = "POST /services/oauth2/token",
          .status = 400,
          .body =
              "{\"error\":\"invalid_grant\",\"error_description\":\"authentication failure\"}" },
    };
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_sf_settings set = settings();
    struct tm_err err = { .code = TM_OK };
    (void)state;
    FAKE_HTTP(&f, lines);
    open_session(&f, &s, &set);
    assert_int_equal(sign_in(&f, s, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "invalid_grant: authentication failure"));
    assert_null(strstr(err.msg, "p&w"));
    assert_int_equal(tm_err_exit(&err), 64);
    tm_err_clear(&err);
    assert_int_equal(sign_in(&f, s, &err), TM_E_ARG);
    fake_http_done(&f);
    tm_sf_session_close(s);
}

static void sign_in_outlasts_a_busy_server_but_not_its_budget(void **state)
{
    static const struct fake_line busy = { .expect = "POST /services/oauth2/token", .status = 503 };
    struct fake_line lines[40];
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_sf_settings set = settings();
    struct tm_err err = { .code = TM_OK };
    (void)state;
    for (size_t i = 0; i < 40; i++)
        lines[i] = busy;
    lines[2] = (struct fake_line)SIGN_IN("T1");
    FAKE_HTTP(&f, lines);
    open_session(&f, &s, &set);
    assert_int_equal(sign_in(&f, s, &err), TM_OK);
    assert_int_equal(f.lines_used, 3);
    tm_sf_session_expired(s); /* from here on it stays busy */
    int64_t began_ns = f.now_ns;
    assert_int_equal(sign_in(&f, s, &err), TM_E_IO);
    assert_true(err.retriable);
    assert_true(f.now_ns - began_ns <= 30 * TM_NS_PER_S);
    assert_true(f.now_ns - began_ns > 10 * TM_NS_PER_S);
    /* Given up is not waiting: who asks again is heard at once, or has an instant to come
     * back at. */
    size_t sent = f.lines_used;
    struct tm_now now = at(&f);
    tm_err_clear(&err);
    assert_int_equal(tm_sf_session_ready(s, &now, &err), TM_E_AGAIN);
    assert_true(f.lines_used > sent || tm_sf_session_next_at(s) < TM_NEVER);
    tm_sf_session_close(s);
}

static void missing_credentials_name_their_config_key(void **state)
{
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_err err = { .code = TM_OK };
    struct tm_sf_settings set = settings();
    (void)state;
    fake_http_init(&f, NULL, 0);
    set.password = "";
    assert_int_equal(tm_sf_session_open(&s, &f.base, &set, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "salesforce.password is missing"));
    tm_err_clear(&err);
    set = settings();
    set.instance = "login.example";
    assert_int_equal(tm_sf_session_open(&s, &f.base, &set, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "salesforce.instance"));
    tm_err_clear(&err);
    set = settings();
    set.api_version = "newest";
    assert_int_equal(tm_sf_session_open(&s, &f.base, &set, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "salesforce.version"));
}

#define LIMITS "GET https://na1.example/services/data/v59.0/limits"
#define BAD(status_, code_)                                                                        \
    {                                                                                              \
        .expect = LIMITS, .status = status_,                                                       \
        .body = "[{\"message\":\"so it is\",\"errorCode\":\"" code_ "\"}]"                         \
    }
#define GOOD                                                                                       \
    {                                                                                              \
        .expect = LIMITS, .status = 200, .body = "{\"ok\":1}",                                     \
        .headers = "Sforce-Limit-Info: api-usage=18/5000\r\n"                                      \
    }

static void expired_token_is_renewed_and_the_call_repeated(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("OLD"),
        BAD(401, "INVALID_SESSION_ID"),
        SIGN_IN("NEW"),
        { .expect = LIMITS,
          .expect_header = "Authorization: Bearer NEW",
          .status = 200,
          .body = "{\"ok\":1}" },
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_err err;
    json_t *out;
    unsigned attempts;
    (void)state;
    FAKE_HTTP(&f, lines);
    assert_int_equal(get(&f, &set, &out, &err, NULL, &attempts), TM_OK);
    assert_int_equal(attempts, 2);
    assert_int_equal(json_integer_value(json_object_get(out, "ok")), 1);
    json_decref(out);
    fake_http_done(&f);
}

static void two_calls_with_the_same_expired_token_sign_in_once(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("OLD"),
        BAD(401, "INVALID_SESSION_ID"),
        BAD(401, "INVALID_SESSION_ID"),
        SIGN_IN("NEW"),
        GOOD,
        GOOD,
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_sf_session *s;
    struct tm_sf_call *c[2];
    struct tm_err err = { .code = TM_OK };
    json_t *out[2] = { NULL, NULL };
    (void)state;
    FAKE_HTTP(&f, lines);
    open_session(&f, &s, &set);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tm_sf_call_start(&c[i], s, "GET", "/services/data/v*/limits", NULL, &err),
                         TM_OK);
    for (int round = 0; round < 20; round++) {
        struct tm_now now = at(&f);
        for (int i = 0; i < 2; i++) {
            enum tm_code rc = out[i] == NULL ? tm_sf_call_poll(c[i], &now, &out[i], &err) : TM_OK;
            assert_true(rc == TM_OK || rc == TM_E_AGAIN);
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_non_null(out[i]);
        json_decref(out[i]);
        tm_sf_call_close(c[i]);
    }
    fake_http_done(&f);
    tm_sf_session_close(s);
}

static void tokens_that_are_always_refused_end_the_call(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("1"), BAD(401, "INVALID_SESSION_ID"), SIGN_IN("2"), BAD(401, "INVALID_SESSION_ID"),
        SIGN_IN("3"), BAD(401, "INVALID_SESSION_ID"), SIGN_IN("4"), BAD(401, "INVALID_SESSION_ID"),
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_err err;
    json_t *out;
    (void)state;
    FAKE_HTTP(&f, lines);
    assert_int_equal(get(&f, &set, &out, &err, NULL, NULL), TM_E_PROTO);
    fake_http_done(&f);
}

static void busy_limited_locked_and_broken_answers_are_repeated_with_growing_pauses(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        BAD(503, "SERVER_UNAVAILABLE"),
        BAD(420, ""),
        BAD(429, ""),
        BAD(403, "REQUEST_LIMIT_EXCEEDED"),
        BAD(400, "UNABLE_TO_LOCK_ROW"),
        { .expect = LIMITS, .status = 0 },
        { .expect = LIMITS, .status = 200, .body = "<html>maintenance" },
        GOOD,
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_err err;
    json_t *out;
    (void)state;
    FAKE_HTTP(&f, lines);
    assert_int_equal(get(&f, &set, &out, &err, NULL, NULL), TM_OK);
    json_decref(out);
    fake_http_done(&f);
    assert_true(f.sent_ns[2] - f.sent_ns[1] >= 125 * TM_NS_PER_MS);
    assert_true(f.sent_ns[8] - f.sent_ns[7] >= 8 * TM_NS_PER_S);
    assert_true(f.sent_ns[8] - f.sent_ns[7] <= 17 * TM_NS_PER_S);
}

static void retry_after_is_honoured(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect = LIMITS, .status = 429, .headers = "Retry-After: 20\r\n" },
        GOOD,
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_err err;
    json_t *out;
    (void)state;
    FAKE_HTTP(&f, lines);
    assert_int_equal(get(&f, &set, &out, &err, NULL, NULL), TM_OK);
    json_decref(out);
    assert_true(f.sent_ns[2] - f.sent_ns[1] >= 20 * TM_NS_PER_S);
}

static void retry_budget_ends_a_call_with_its_cause(void **state)
{
    static const struct fake_line busy = BAD(503, "SERVER_UNAVAILABLE");
    struct fake_line lines[20];
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_err err;
    json_t *out;
    char error[64];
    (void)state;
    lines[0] = (struct fake_line)SIGN_IN("T");
    for (size_t i = 1; i < 20; i++)
        lines[i] = busy;
    set.request_retry_ns_max = 5 * TM_NS_PER_S;
    FAKE_HTTP(&f, lines);
    assert_int_equal(get(&f, &set, &out, &err, error, NULL), TM_E_IO);
    assert_true(err.retriable);
    assert_string_equal(error, "SERVER_UNAVAILABLE");
    assert_non_null(strstr(err.msg, "SERVER_UNAVAILABLE"));
    assert_true(f.now_ns - f.sent_ns[1] <= 5 * TM_NS_PER_S);
    assert_true(f.lines_used > 3);
}

static void refusals_of_the_request_itself_are_told_at_once(void **state)
{
    static const struct fake_line lines[] = { SIGN_IN("T"), BAD(404, "ENTITY_IS_DELETED") };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_err err;
    json_t *out;
    char error[64];
    (void)state;
    FAKE_HTTP(&f, lines);
    assert_int_equal(get(&f, &set, &out, &err, error, NULL), TM_E_PROTO);
    assert_false(err.retriable);
    assert_string_equal(error, "ENTITY_IS_DELETED");
    assert_non_null(strstr(err.msg, "HTTP 404 ENTITY_IS_DELETED: so it is"));
    fake_http_done(&f);
}

static void usage_is_read_with_and_without_the_per_app_part(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        GOOD,
        { .expect = LIMITS,
          .status = 200,
          .body = "{}",
          .headers =
              "sforce-limit-info: api-usage=19/5000; per-app-api-usage=17/250(appName=x)\r\n" },
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_sf_session *s;
    struct tm_err err = { .code = TM_OK };
    int64_t used, limit;
    (void)state;
    FAKE_HTTP(&f, lines);
    open_session(&f, &s, &set);
    assert_false(tm_sf_session_usage(s, &used, &limit));
    for (int i = 0; i < 2; i++) {
        struct tm_sf_call *c;
        json_t *out = NULL;
        assert_int_equal(tm_sf_call_start(&c, s, "GET", "/services/data/v*/limits", NULL, &err),
                         TM_OK);
        assert_int_equal(finish(&f, s, c, &out, &err), TM_OK);
        json_decref(out);
        tm_sf_call_close(c);
        assert_true(tm_sf_session_usage(s, &used, &limit));
        assert_int_equal(used, 18 + i);
        assert_int_equal(limit, 5000);
    }
    tm_sf_session_close(s);
}

static void rate_limit_lets_a_burst_pass_and_then_spaces_calls(void **state)
{
    static const struct fake_line lines[] = { SIGN_IN("T"), GOOD, GOOD, GOOD, GOOD };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_sf_session *s;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    FAKE_HTTP(&f, lines);
    set.calls_per_second_max = 2;
    open_session(&f, &s, &set);
    for (int i = 0; i < 4; i++) {
        struct tm_sf_call *c;
        json_t *out = NULL;
        assert_int_equal(tm_sf_call_start(&c, s, "GET", "/services/data/v*/limits", NULL, &err),
                         TM_OK);
        assert_int_equal(finish(&f, s, c, &out, &err), TM_OK);
        json_decref(out);
        tm_sf_call_close(c);
    }
    assert_true(f.sent_ns[2] - f.sent_ns[1] < 100 * TM_NS_PER_MS);
    assert_true(f.sent_ns[4] - f.sent_ns[3] > 400 * TM_NS_PER_MS);
    assert_true(f.sent_ns[4] - f.sent_ns[1] > 900 * TM_NS_PER_MS);
    tm_sf_session_close(s);
}

static void describe_is_parsed_and_an_unknown_object_is_a_usage_error(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect = "GET /services/data/v59.0/sobjects/Lead/describe",
          .status = 200,
          .body = "{\"name\":\"Lead\",\"keyPrefix\":\"00Q\",\"fields\":[{\"name\":\"Id\",\"type\":"
                  "\"id\"}]}" },
        { .expect = "GET /services/data/v59.0/sobjects/Leaf/describe",
          .status = 404,
          .body = "[{\"message\":\"The requested resource does not "
                  "exist\",\"errorCode\":\"NOT_FOUND\"}]" },
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_sf_session *s;
    struct tm_describe *d = NULL;
    struct tm_err err = { .code = TM_OK };
    enum tm_code rc;
    (void)state;
    FAKE_HTTP(&f, lines);
    open_session(&f, &s, &set);
    do {
        struct tm_now now = at(&f);
        rc = tm_sf_describe(s, &now, &d, "Lead", &err);
    } while (rc == TM_E_AGAIN);
    assert_int_equal(rc, TM_OK);
    assert_string_equal(d->object, "Lead");
    tm_describe_close(d);
    do {
        struct tm_now now = at(&f);
        rc = tm_sf_describe(s, &now, &d, "Leaf", &err);
    } while (rc == TM_E_AGAIN);
    assert_int_equal(rc, TM_E_ARG);
    assert_non_null(strstr(err.msg, "no object \"Leaf\""));
    tm_err_clear(&err);
    struct tm_now now = at(&f);
    assert_int_equal(tm_sf_describe(s, &now, &d, "../limits", &err), TM_E_ARG);
    fake_http_done(&f);
    tm_sf_session_close(s);
}

static void closing_a_session_cancels_what_is_under_way(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect = LIMITS, .status = 200, .body = "{}", .delay_ns = TM_NEVER },
    };
    struct fake_http f;
    struct tm_sf_settings set = settings();
    struct tm_sf_session *s;
    struct tm_sf_call *c;
    struct tm_err err = { .code = TM_OK };
    json_t *out = NULL;
    (void)state;
    FAKE_HTTP(&f, lines);
    open_session(&f, &s, &set);
    assert_int_equal(tm_sf_call_start(&c, s, "GET", "/services/data/v*/limits", NULL, &err), TM_OK);
    for (int i = 0; i < 5; i++) {
        struct tm_now now = at(&f);
        assert_int_equal(tm_sf_call_poll(c, &now, &out, &err), TM_E_AGAIN);
    }
    assert_int_equal(f.under_way, 1);
    tm_sf_session_close(s);
    tm_sf_call_close(c);
    fake_http_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(password_sign_in_sends_escaped_credentials_with_the_security_token),
        cmocka_unit_test(client_credentials_sign_in_sends_no_password),
        cmocka_unit_test(version_latest_takes_the_highest_the_server_lists),
        cmocka_unit_test(wrong_password_is_a_usage_error_in_the_servers_words_and_not_tried_again),
        cmocka_unit_test(sign_in_outlasts_a_busy_server_but_not_its_budget),
        cmocka_unit_test(missing_credentials_name_their_config_key),
        cmocka_unit_test(expired_token_is_renewed_and_the_call_repeated),
        cmocka_unit_test(two_calls_with_the_same_expired_token_sign_in_once),
        cmocka_unit_test(tokens_that_are_always_refused_end_the_call),
        cmocka_unit_test(busy_limited_locked_and_broken_answers_are_repeated_with_growing_pauses),
        cmocka_unit_test(retry_after_is_honoured),
        cmocka_unit_test(retry_budget_ends_a_call_with_its_cause),
        cmocka_unit_test(refusals_of_the_request_itself_are_told_at_once),
        cmocka_unit_test(usage_is_read_with_and_without_the_per_app_part),
        cmocka_unit_test(rate_limit_lets_a_burst_pass_and_then_spaces_calls),
        cmocka_unit_test(describe_is_parsed_and_an_unknown_object_is_a_usage_error),
        cmocka_unit_test(closing_a_session_cancels_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
