/* session against a scripted HTTP port: sign-in, expiry, retry, rate limit, versions, describe.
 * Virtual time. */
#include "base/secret.h"
#include "salesforce/session.h"
#include "tests/support_fake_http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
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

/* A scripted server, one session with it, and what the last question brought. */
struct world {
    struct fake_http f;
    struct tm_sf_settings set; /* change before `starts` */
    struct tm_sf_session *s;
    struct tm_err err;
    char error[64]; /* of the last call: the server's code */
    unsigned attempts;
};

static int setup(void **state)
{
    static struct world w;
    w = (struct world){ .set = settings() };
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    tm_sf_session_close(w->s);
    return 0;
}

static void starts(struct world *w, const struct fake_line *lines, size_t lines_count)
{
    fake_http_init(&w->f, lines, lines_count);
    assert_int_equal(tm_sf_session_open(&w->s, &w->f.base, &w->set, &w->err), TM_OK);
}
#define STARTS(w, lines) starts(w, lines, sizeof(lines) / sizeof((lines)[0]))

static struct tm_now at(const struct world *w)
{
    return (struct tm_now){ .org_ms = 0, .wall_ns = w->f.now_ns };
}

/* To the next instant the session names, or a little on: an exchange is under way. */
static void let_time_pass(struct world *w)
{
    int64_t next = tm_sf_session_next_at(w->s);
    w->f.now_ns = next != TM_NEVER && next > w->f.now_ns ? next : w->f.now_ns + TM_NS_PER_MS;
}

static enum tm_code sign_in(struct world *w)
{
    for (int i = 0; i < 1000; i++) {
        struct tm_now now = at(w);
        enum tm_code rc = tm_sf_session_ready(w->s, &now, &w->err);
        if (rc != TM_E_AGAIN)
            return rc;
        let_time_pass(w);
    }
    fail_msg("signing in never ends");
    return TM_E_AGAIN;
}

static struct tm_sf_call *ask_limits(struct world *w)
{
    struct tm_sf_call *c = NULL;
    assert_int_equal(tm_sf_call_start(&c, w->s, "GET", "/services/data/v*/limits", NULL, &w->err),
                     TM_OK);
    return c;
}

static enum tm_code finish(struct world *w, struct tm_sf_call *c, json_t **out)
{
    for (int i = 0; i < 1000; i++) {
        struct tm_now now = at(w);
        enum tm_code rc = tm_sf_call_poll(c, &now, out, &w->err);
        if (rc != TM_E_AGAIN)
            return rc;
        let_time_pass(w);
    }
    fail_msg("the call never ends");
    return TM_E_AGAIN;
}

/* One GET; its answer says {"ok": *ok}. */
static enum tm_code get(struct world *w, int64_t *ok)
{
    json_t *out = NULL;
    struct tm_sf_call *c = ask_limits(w);
    enum tm_code rc = finish(w, c, &out);
    snprintf(w->error, sizeof w->error, "%s", tm_sf_call_error(c));
    w->attempts = tm_sf_call_attempts(c);
    if (ok != NULL)
        *ok = json_integer_value(json_object_get(out, "ok"));
    json_decref(out);
    tm_sf_call_close(c);
    return rc;
}

/* Settings no session is opened with: the error names what is wrong. */
static void refuses(const struct tm_sf_settings *set, const char *words)
{
    struct fake_http f;
    struct tm_sf_session *s = NULL;
    struct tm_err err = { .code = TM_OK };
    fake_http_init(&f, NULL, 0);
    assert_int_equal(tm_sf_session_open(&s, &f.base, set, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, words));
}

static enum tm_code describe(struct world *w, struct tm_describe **d, const char *object)
{
    enum tm_code rc;
    do {
        struct tm_now now = at(w);
        rc = tm_sf_describe(w->s, &now, d, object, &w->err);
    } while (rc == TM_E_AGAIN);
    return rc;
}

static void password_sign_in_sends_escaped_credentials_with_the_security_token(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        { .expect = "POST https://login.example/services/oauth2/token",
          .expect_body = "grant_type=password&client_id=key&client_secret=secret&username=a%40b."
                         "example&password=p%26wT%3D1",
          .expect_header = "Content-Type: application/x-www-form-urlencoded",
          .status = 200,
          .body = TOKEN_REPLY("T1") },
    };
    STARTS(w, lines);
    assert_null(tm_sf_session_token(w->s));
    assert_int_equal(sign_in(w), TM_OK);
    assert_string_equal(tm_sf_session_token(w->s), "T1");
    assert_string_equal(tm_sf_session_url(w->s), "https://na1.example");
    assert_string_equal(tm_sf_session_version(w->s), "59.0");
    fake_http_done(&w->f);
}

static void client_credentials_sign_in_sends_no_password(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        { .expect = "POST /services/oauth2/token",
          .status = 200,
          .body = TOKEN_REPLY("T1"),
          .expect_body = "grant_type=client_credentials&client_id=key&client_secret=secret" },
    };
    w->set.grant = TM_SF_CLIENT_CREDENTIALS;
    STARTS(w, lines);
    assert_int_equal(sign_in(w), TM_OK);
    assert_null(strstr(w->f.last_body, "password"));
}

/* The claims of the assertion in a form, once the certificate has verified its signature. */
static json_t *claims_of(const char *form)
{
    static const char head[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    struct tm_secret_key *certificate = NULL;
    struct tm_buf plain, signature;
    assert_memory_equal(form, head, strlen(head));
    const char *text = form + strlen(head), *dot = strchr(text, '.'), *last = strrchr(text, '.');
    assert_true(dot != NULL && last > dot);
    tm_buf_init(&plain, 4096);
    tm_buf_init(&signature, 4096);
    assert_int_equal(tm_secret_certificate_load(&certificate, "tests/keys/jwt.crt", NULL), TM_OK);
    assert_true(tm_base64_decode(&signature, last + 1, strlen(last + 1)));
    assert_true(tm_secret_verify(certificate, text, (size_t)(last - text), signature.data,
                                 signature.bytes));
    assert_true(tm_base64_decode(&plain, dot + 1, (size_t)(last - dot - 1)));
    json_t *json = json_loadb(plain.data, plain.bytes, 0, NULL);
    tm_secret_key_free(certificate);
    tm_buf_free(&plain);
    tm_buf_free(&signature);
    return json;
}

static void jwt_bearer_sign_in_signs_who_it_is_for_three_minutes(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *instance, *aud;
    } cases[] = {
        { "https://login.example/", "https://login.example" },
        { "https://acme.my.salesforce.com", "https://login.salesforce.com" },
        { "https://acme--dev.sandbox.my.salesforce.com/", "https://test.salesforce.com" },
    };
    static const struct fake_line lines[] = {
        { .expect = "POST /services/oauth2/token", .status = 200, .body = TOKEN_REPLY("T1") },
    };
    w->set.grant = TM_SF_JWT_BEARER;
    w->set.password = w->set.password_token = w->set.consumer_secret = NULL;
    w->set.keystore_path = "tests/keys/jwt.p12";
    w->set.keystore_password = "changeit";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        w->set.instance = cases[i].instance;
        tm_sf_session_close(w->s);
        w->set.real_ms_at_zero = 0;
        STARTS(w, lines);
        w->f.now_ns = 100 * TM_NS_PER_S;
        assert_int_equal(sign_in(w), TM_OK);
        json_t *claims = claims_of(w->f.last_body);
        assert_string_equal(json_string_value(json_object_get(claims, "iss")), "key");
        assert_string_equal(json_string_value(json_object_get(claims, "sub")), "a@b.example");
        assert_string_equal(json_string_value(json_object_get(claims, "aud")), cases[i].aud);
        assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 280);
        json_decref(claims);
    }
}

static void a_keystore_that_does_not_open_is_told_before_anything_is_sent(void **state)
{
    struct world *w = *state;
    w->set.grant = TM_SF_JWT_BEARER;
    refuses(&w->set, "salesforce.jwt.keystore.path is missing");
    w->set.keystore_path = "tests/keys/jwt.p12";
    w->set.keystore_password = "wrong";
    refuses(&w->set, "tests/keys/jwt.p12: this password does not open it");
    w->set.keystore_path = "tests/keys/none.p12";
    refuses(&w->set, "tests/keys/none.p12");
    w->set.username = NULL;
    refuses(&w->set, "salesforce.username is missing (grant type JWT_BEARER)");
}

static void version_latest_takes_the_highest_the_server_lists(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        SIGN_IN("T1"),
        { .expect = "GET https://na1.example/services/data",
          .status = 200,
          .body = "[{\"version\":\"9.0\"},{\"version\":\"61.0\"},{\"version\":\"60.0\"}]" },
    };
    w->set.api_version = "latest";
    STARTS(w, lines);
    assert_null(tm_sf_session_version(w->s));
    assert_int_equal(sign_in(w), TM_OK);
    assert_string_equal(tm_sf_session_version(w->s), "61.0");
}

static void wrong_password_is_a_usage_error_in_the_servers_words_and_not_tried_again(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        { .expect = "POST /services/oauth2/token",
          .status = 400,
          .body =
              "{\"error\":\"invalid_grant\",\"error_description\":\"authentication failure\"}" },
    };
    STARTS(w, lines);
    assert_int_equal(sign_in(w), TM_E_ARG);
    assert_non_null(strstr(w->err.msg, "invalid_grant: authentication failure"));
    assert_null(strstr(w->err.msg, "p&w"));
    assert_int_equal(tm_err_exit(&w->err), 64);
    tm_err_clear(&w->err);
    assert_int_equal(sign_in(w), TM_E_ARG);
    fake_http_done(&w->f);
}

/* It would stand in the line of every request. */
static void an_instance_url_with_blanks_is_no_answer(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        { .expect = "POST https://login.example/services/oauth2/token",
          .status = 200,
          .body = "{\"access_token\":\"A\",\"instance_url\":\"http://o /x\"}" },
    };
    STARTS(w, lines);
    assert_int_equal(sign_in(w), TM_E_PROTO);
    assert_non_null(strstr(w->err.msg, "no usable access_token and instance_url"));
    fake_http_done(&w->f);
}

static void sign_in_outlasts_a_busy_server_but_not_its_budget(void **state)
{
    struct world *w = *state;
    static const struct fake_line busy = { .expect = "POST /services/oauth2/token", .status = 503 };
    static struct fake_line lines[40];
    for (size_t i = 0; i < 40; i++)
        lines[i] = busy;
    lines[2] = (struct fake_line)SIGN_IN("T1");
    STARTS(w, lines);
    assert_int_equal(sign_in(w), TM_OK);
    assert_int_equal(w->f.lines_used, 3);
    tm_sf_session_expired(w->s); /* from here on it stays busy */
    int64_t began_ns = w->f.now_ns;
    assert_int_equal(sign_in(w), TM_E_IO);
    assert_true(w->err.retriable);
    assert_true(w->f.now_ns - began_ns <= 30 * TM_NS_PER_S);
    assert_true(w->f.now_ns - began_ns > 10 * TM_NS_PER_S);
    /* Given up is not waiting: who asks again is heard at once, or has an instant to come
     * back at. */
    size_t sent = w->f.lines_used;
    struct tm_now now = at(w);
    tm_err_clear(&w->err);
    assert_int_equal(tm_sf_session_ready(w->s, &now, &w->err), TM_E_AGAIN);
    assert_true(w->f.lines_used > sent || tm_sf_session_next_at(w->s) < TM_NEVER);
}

static void missing_credentials_name_their_config_key(void **state)
{
    struct tm_sf_settings set = settings();
    (void)state;
    set.password = "";
    refuses(&set, "salesforce.password is missing");
    set = settings();
    set.instance = "login.example";
    refuses(&set, "salesforce.instance");
    set = settings();
    set.api_version = "newest";
    refuses(&set, "salesforce.version");
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
    struct world *w = *state;
    static const struct fake_line lines[] = {
        SIGN_IN("OLD"),
        BAD(401, "INVALID_SESSION_ID"),
        SIGN_IN("NEW"),
        { .expect = LIMITS,
          .expect_header = "Authorization: Bearer NEW",
          .status = 200,
          .body = "{\"ok\":1}" },
    };
    int64_t ok;
    STARTS(w, lines);
    assert_int_equal(get(w, &ok), TM_OK);
    assert_int_equal(w->attempts, 2);
    assert_int_equal(ok, 1);
    fake_http_done(&w->f);
}

static void two_calls_with_the_same_expired_token_sign_in_once(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        SIGN_IN("OLD"),
        BAD(401, "INVALID_SESSION_ID"),
        BAD(401, "INVALID_SESSION_ID"),
        SIGN_IN("NEW"),
        GOOD,
        GOOD,
    };
    struct tm_sf_call *c[2];
    json_t *out[2] = { NULL, NULL };
    STARTS(w, lines);
    for (int i = 0; i < 2; i++)
        c[i] = ask_limits(w);
    for (int round = 0; round < 20; round++) {
        struct tm_now now = at(w);
        for (int i = 0; i < 2; i++) {
            enum tm_code rc =
                out[i] == NULL ? tm_sf_call_poll(c[i], &now, &out[i], &w->err) : TM_OK;
            assert_true(rc == TM_OK || rc == TM_E_AGAIN);
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_non_null(out[i]);
        json_decref(out[i]);
        tm_sf_call_close(c[i]);
    }
    fake_http_done(&w->f);
}

static void tokens_that_are_always_refused_end_the_call(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        SIGN_IN("1"), BAD(401, "INVALID_SESSION_ID"), SIGN_IN("2"), BAD(401, "INVALID_SESSION_ID"),
        SIGN_IN("3"), BAD(401, "INVALID_SESSION_ID"), SIGN_IN("4"), BAD(401, "INVALID_SESSION_ID"),
    };
    STARTS(w, lines);
    assert_int_equal(get(w, NULL), TM_E_PROTO);
    fake_http_done(&w->f);
}

static void busy_limited_locked_and_broken_answers_are_repeated_with_growing_pauses(void **state)
{
    struct world *w = *state;
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
    STARTS(w, lines);
    assert_int_equal(get(w, NULL), TM_OK);
    fake_http_done(&w->f);
    assert_true(w->f.sent_ns[2] - w->f.sent_ns[1] >= 125 * TM_NS_PER_MS);
    assert_true(w->f.sent_ns[8] - w->f.sent_ns[7] >= 8 * TM_NS_PER_S);
    assert_true(w->f.sent_ns[8] - w->f.sent_ns[7] <= 17 * TM_NS_PER_S);
}

static void retry_after_is_honoured(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect = LIMITS, .status = 429, .headers = "Retry-After: 20\r\n" },
        GOOD,
    };
    STARTS(w, lines);
    assert_int_equal(get(w, NULL), TM_OK);
    assert_true(w->f.sent_ns[2] - w->f.sent_ns[1] >= 20 * TM_NS_PER_S);
}

static void retry_budget_ends_a_call_with_its_cause(void **state)
{
    struct world *w = *state;
    static const struct fake_line busy = BAD(503, "SERVER_UNAVAILABLE");
    static struct fake_line lines[20];
    lines[0] = (struct fake_line)SIGN_IN("T");
    for (size_t i = 1; i < 20; i++)
        lines[i] = busy;
    w->set.request_retry_ns_max = 5 * TM_NS_PER_S;
    STARTS(w, lines);
    assert_int_equal(get(w, NULL), TM_E_IO);
    assert_true(w->err.retriable);
    assert_string_equal(w->error, "SERVER_UNAVAILABLE");
    assert_non_null(strstr(w->err.msg, "SERVER_UNAVAILABLE"));
    assert_true(w->f.now_ns - w->f.sent_ns[1] <= 5 * TM_NS_PER_S);
    assert_true(w->f.lines_used > 3);
}

static void refusals_of_the_request_itself_are_told_at_once(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = { SIGN_IN("T"), BAD(404, "ENTITY_IS_DELETED") };
    STARTS(w, lines);
    assert_int_equal(get(w, NULL), TM_E_PROTO);
    assert_false(w->err.retriable);
    assert_string_equal(w->error, "ENTITY_IS_DELETED");
    assert_non_null(strstr(w->err.msg, "HTTP 404 ENTITY_IS_DELETED: so it is"));
    fake_http_done(&w->f);
}

static void usage_is_read_with_and_without_the_per_app_part(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        GOOD,
        { .expect = LIMITS,
          .status = 200,
          .body = "{}",
          .headers =
              "sforce-limit-info: api-usage=19/5000; per-app-api-usage=17/250(appName=x)\r\n" },
    };
    int64_t used, limit;
    STARTS(w, lines);
    assert_false(tm_sf_session_usage(w->s, &used, &limit));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(w, NULL), TM_OK);
        assert_true(tm_sf_session_usage(w->s, &used, &limit));
        assert_int_equal(used, 18 + i);
        assert_int_equal(limit, 5000);
    }
}

static void rate_limit_lets_a_burst_pass_and_then_spaces_calls(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = { SIGN_IN("T"), GOOD, GOOD, GOOD, GOOD };
    w->set.calls_per_second_max = 2;
    STARTS(w, lines);
    for (int i = 0; i < 4; i++)
        assert_int_equal(get(w, NULL), TM_OK);
    assert_true(w->f.sent_ns[2] - w->f.sent_ns[1] < 100 * TM_NS_PER_MS);
    assert_true(w->f.sent_ns[4] - w->f.sent_ns[3] > 400 * TM_NS_PER_MS);
    assert_true(w->f.sent_ns[4] - w->f.sent_ns[1] > 900 * TM_NS_PER_MS);
}

static void describe_is_parsed_and_an_unknown_object_is_a_usage_error(void **state)
{
    struct world *w = *state;
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
    struct tm_describe *d = NULL;
    STARTS(w, lines);
    assert_int_equal(describe(w, &d, "Lead"), TM_OK);
    assert_string_equal(d->object, "Lead");
    tm_describe_close(d);
    assert_int_equal(describe(w, &d, "Leaf"), TM_E_ARG);
    assert_non_null(strstr(w->err.msg, "no object \"Leaf\""));
    tm_err_clear(&w->err);
    struct tm_now now = at(w);
    assert_int_equal(tm_sf_describe(w->s, &now, &d, "../limits", &w->err), TM_E_ARG);
    fake_http_done(&w->f);
}

static void closing_a_session_cancels_what_is_under_way(void **state)
{
    struct world *w = *state;
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        { .expect = LIMITS, .status = 200, .body = "{}", .delay_ns = TM_NEVER },
    };
    json_t *out = NULL;
    STARTS(w, lines);
    struct tm_sf_call *c = ask_limits(w);
    for (int i = 0; i < 5; i++) {
        struct tm_now now = at(w);
        assert_int_equal(tm_sf_call_poll(c, &now, &out, &w->err), TM_E_AGAIN);
    }
    assert_int_equal(w->f.under_way, 1);
    tm_sf_session_close(w->s);
    w->s = NULL;
    tm_sf_call_close(c);
    fake_http_done(&w->f);
}

#define SESSION(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION(password_sign_in_sends_escaped_credentials_with_the_security_token),
        SESSION(client_credentials_sign_in_sends_no_password),
        SESSION(jwt_bearer_sign_in_signs_who_it_is_for_three_minutes),
        SESSION(a_keystore_that_does_not_open_is_told_before_anything_is_sent),
        SESSION(version_latest_takes_the_highest_the_server_lists),
        SESSION(wrong_password_is_a_usage_error_in_the_servers_words_and_not_tried_again),
        SESSION(an_instance_url_with_blanks_is_no_answer),
        SESSION(sign_in_outlasts_a_busy_server_but_not_its_budget),
        SESSION(missing_credentials_name_their_config_key),
        SESSION(expired_token_is_renewed_and_the_call_repeated),
        SESSION(two_calls_with_the_same_expired_token_sign_in_once),
        SESSION(tokens_that_are_always_refused_end_the_call),
        SESSION(busy_limited_locked_and_broken_answers_are_repeated_with_growing_pauses),
        SESSION(retry_after_is_honoured),
        SESSION(retry_budget_ends_a_call_with_its_cause),
        SESSION(refusals_of_the_request_itself_are_told_at_once),
        SESSION(usage_is_read_with_and_without_the_per_app_part),
        SESSION(rate_limit_lets_a_burst_pass_and_then_spaces_calls),
        SESSION(describe_is_parsed_and_an_unknown_object_is_a_usage_error),
        SESSION(closing_a_session_cancels_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
