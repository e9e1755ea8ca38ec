/* The libcurl adapter against a loopback server that answers raw bytes: whole, chunked, torn,
 * dropped, late, too large. */
#include "base/http.h"
#include "tests/support_http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define OK(body_bytes, body)                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " body_bytes             \
    "\r\n\r\n" body

static struct tm_http *open_client(void)
{
    struct tm_http *http = NULL;
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_http_curl_open(&http, "tidemark-test/1", NULL, &err), TM_OK);
    return http;
}

/* Waits in the adapter's own waiting place until the call ends; a bound on rounds, not on time. */
static enum tm_code finish(struct tm_http *http, struct tm_http_call *call,
                           struct tm_http_reply *reply, struct tm_err *err)
{
    for (int i = 0; i < 10000; i++) {
        enum tm_code rc = http->ops->poll(http, call, reply, err);
        if (rc != TM_E_AGAIN)
            return rc;
        assert_int_equal(tm_http_curl_wait(http, NULL, 0, TM_NS_PER_S, err), TM_OK);
    }
    fail_msg("the exchange never ends");
    return TM_E_AGAIN;
}

static enum tm_code exchange(struct tm_http *http, const struct tm_http_request *request,
                             struct tm_http_reply *reply, struct tm_err *err)
{
    struct tm_http_call *call = NULL;
    tm_err_clear(err);
    tm_http_reply_init(reply);
    enum tm_code rc = http->ops->start(http, &call, request, err);
    return rc != TM_OK ? rc : finish(http, call, reply, err);
}

static void reply_carries_status_headers_and_body(void **state)
{
    static const struct support_line lines[] = {
        { .bytes = "HTTP/1.1 201 Created\r\nSforce-Limit-Info: api-usage=1/2\r\nContent-Length: "
                   "7\r\n\r\n{\"a\":1}" },
    };
    struct support_http *server = SUPPORT_HTTP(lines);
    struct tm_http *http = open_client();
    struct tm_http_reply reply;
    struct tm_err err;
    char value[32];
    (void)state;
    struct tm_http_request request = { .method = "POST",
                                       .url = support_http_url(server, "/x?y=1"),
                                       .body = "hello",
                                       .body_bytes = 5,
                                       .headers = { "Content-Type: application/json",
                                                    "X-One: 1" } };
    assert_int_equal(exchange(http, &request, &reply, &err), TM_OK);
    assert_int_equal(reply.status, 201);
    assert_string_equal(tm_buf_text(&reply.body), "{\"a\":1}");
    assert_true(tm_http_reply_header(&reply, "sforce-limit-info", value, sizeof value));
    assert_string_equal(value, "api-usage=1/2");
    assert_false(tm_http_reply_header(&reply, "Sforce", value, sizeof value));
    assert_true(reply.done_ns >= reply.started_ns && reply.started_ns > 0);
    const char *seen = support_http_request(server, 0);
    assert_non_null(strstr(seen, "POST /x?y=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "User-Agent: tidemark-test/1\r\n"));
    assert_non_null(strstr(seen, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(seen, "X-One: 1\r\n"));
    assert_non_null(strstr(seen, "\r\n\r\nhello"));
    assert_null(strstr(seen, "Expect:"));
    assert_int_equal(http->counts.calls, 1);
    assert_int_equal(http->counts.failed, 0);
    assert_true(http->counts.bytes_out >= strlen(seen));
    assert_true(http->counts.bytes_in >= strlen(lines[0].bytes));
    tm_http_reply_free(&reply);
    http->ops->close(http);
    support_http_close(server);
}

static void large_post_is_sent_without_waiting_for_100_continue(void **state)
{
    static const struct support_line lines[] = { { .bytes = OK("2", "[]") } };
    static char body[20000];
    struct support_http *server = SUPPORT_HTTP(lines);
    struct tm_http *http = open_client();
    struct tm_http_reply reply;
    struct tm_err err;
    (void)state;
    memset(body, 'x', sizeof body);
    struct tm_http_request request = { .method = "POST",
                                       .url = support_http_url(server, "/"),
                                       .body = body,
                                       .body_bytes = sizeof body };
    assert_int_equal(exchange(http, &request, &reply, &err), TM_OK);
    assert_null(strstr(support_http_request(server, 0), "100-continue"));
    assert_int_equal(strlen(strstr(support_http_request(server, 0), "\r\n\r\n") + 4), sizeof body);
    tm_http_reply_free(&reply);
    http->ops->close(http);
    support_http_close(server);
}

static void chunked_reply_after_an_interim_answer_is_whole(void **state)
{
    static const struct support_line lines[] = {
        { .bytes = "HTTP/1.1 102 Processing\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 "
                   "OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" },
    };
    struct support_http *server = SUPPORT_HTTP(lines);
    struct tm_http *http = open_client();
    struct tm_http_reply reply;
    struct tm_err err;
    char value[8];
    (void)state;
    struct tm_http_request request = { .method = "GET", .url = support_http_url(server, "/") };
    assert_int_equal(exchange(http, &request, &reply, &err), TM_OK);
    assert_string_equal(tm_buf_text(&reply.body), "hello world");
    assert_int_equal(reply.status, 200);
    assert_false(tm_http_reply_header(&reply, "X-Early", value, sizeof value));
    tm_http_reply_free(&reply);
    http->ops->close(http);
    support_http_close(server);
}

static void connection_and_cookie_are_kept_between_exchanges(void **state)
{
    static const struct support_line lines[] = {
        { .bytes = "HTTP/1.1 200 OK\r\nSet-Cookie: BAYEUX_BROWSER=abc123; Path=/; "
                   "HttpOnly\r\nContent-Length: 2\r\n\r\n[]" },
        { .bytes = OK("2", "[]") },
    };
    struct support_http *server = SUPPORT_HTTP(lines);
    struct tm_http *http = open_client();
    struct tm_http_reply reply;
    struct tm_err err;
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tm_http_request request = { .method = "POST",
                                           .url = support_http_url(server, "/cometd/59.0"),
                                           .body = "[]",
                                           .body_bytes = 2 };
        assert_int_equal(exchange(http, &request, &reply, &err), TM_OK);
        tm_http_reply_free(&reply);
    }
    assert_null(strstr(support_http_request(server, 0), "Cookie:"));
    assert_non_null(strstr(support_http_request(server, 1), "Cookie: BAYEUX_BROWSER=abc123"));
    assert_int_equal(support_http_connections(server), 1);
    http->ops->close(http);
    support_http_close(server);
}

static void held_call_does_not_stop_a_second_one(void **state)
{
    static const struct support_line lines[] = {
        { .bytes = OK("4", "held"), .after = 2 },
        { .bytes = OK("5", "other") },
    };
    struct support_http *server = SUPPORT_HTTP(lines);
    struct tm_http *http = open_client();
    struct tm_http_call *held = NULL, *other = NULL;
    struct tm_http_reply a, b;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    tm_http_reply_init(&a);
    tm_http_reply_init(&b);
    struct tm_http_request request = { .method = "GET", .url = support_http_url(server, "/held") };
    assert_int_equal(http->ops->start(http, &held, &request, &err), TM_OK);
    while (support_http_requests(server) == 0) {
        assert_int_equal(http->ops->poll(http, held, &a, &err), TM_E_AGAIN);
        assert_int_equal(tm_http_curl_wait(http, NULL, 0, TM_NS_PER_MS, &err), TM_OK);
    }
    request.url = support_http_url(server, "/other");
    assert_int_equal(http->ops->start(http, &other, &request, &err), TM_OK);
    assert_int_equal(finish(http, other, &b, &err), TM_OK);
    assert_string_equal(tm_buf_text(&b.body), "other");
    assert_int_equal(finish(http, held, &a, &err), TM_OK);
    assert_string_equal(tm_buf_text(&a.body), "held");
    tm_http_reply_free(&a);
    tm_http_reply_free(&b);
    http->ops->close(http);
    support_http_close(server);
}

/* One exchange that must fail with a retriable error that names method and host but not
 * the query. */
static void fails_retriably(const struct support_line *line, int64_t timeout_ns)
{
    struct support_http *server = support_http_open(line, 1);
    struct tm_http *http = open_client();
    struct tm_http_reply reply;
    struct tm_err err;
    struct tm_http_request request = { .method = "GET",
                                       .url = support_http_url(server, "/p?secret=1"),
                                       .timeout_ns = timeout_ns };
    assert_int_equal(exchange(http, &request, &reply, &err), TM_E_IO);
    assert_true(err.retriable);
    assert_non_null(strstr(err.msg, "GET http://127.0.0.1:"));
    assert_null(strstr(err.msg, "secret"));
    assert_int_equal(http->counts.failed, 1);
    tm_http_reply_free(&reply);
    http->ops->close(http);
    support_http_close(server);
}

static void torn_bodies_are_retriable_errors_never_short_replies(void **state)
{
    static const struct support_line by_length = {
        .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[{}", .drop = true
    };
    static const struct support_line by_chunk = {
        .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", .drop = true
    };
    (void)state;
    fails_retriably(&by_length, 0);
    fails_retriably(&by_chunk, 0);
}

static void dropped_connection_is_retriable(void **state)
{
    static const struct support_line line = { .drop = true };
    (void)state;
    fails_retriably(&line, 0);
}

static void silent_server_ends_in_a_timeout(void **state)
{
    static const struct support_line line = { .after = SIZE_MAX };
    (void)state;
    fails_retriably(&line, 50 * TM_NS_PER_MS);
}

static void nobody_listening_is_retriable(void **state)
{
    struct tm_http *http = open_client();
    struct tm_http_reply reply;
    struct tm_err err;
    char url[64];
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", support_closed_port());
    struct tm_http_request request = { .method = "GET", .url = url };
    assert_int_equal(exchange(http, &request, &reply, &err), TM_E_IO);
    assert_true(err.retriable);
    tm_http_reply_free(&reply);
    http->ops->close(http);
}

static void reply_beyond_its_bound_is_a_limit_error(void **state)
{
    static const struct support_line lines[] = {
        { .bytes = OK("10", "0123456789") },
        { .bytes =
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n012345678\r\n0\r\n\r\n" },
        { .bytes = OK("8", "01234567") },
    };
    struct support_http *server = SUPPORT_HTTP(lines);
    struct tm_http *http = open_client();
    struct tm_http_reply reply;
    struct tm_err err;
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct tm_http_request request = { .method = "GET",
                                           .url = support_http_url(server, "/"),
                                           .reply_bytes_max = 8 };
        assert_int_equal(exchange(http, &request, &reply, &err), i < 2 ? TM_E_LIMIT : TM_OK);
        if (i < 2)
            assert_non_null(strstr(err.msg, "larger than 8 bytes"));
        tm_http_reply_free(&reply);
    }
    http->ops->close(http);
    support_http_close(server);
}

static void url_that_is_none_is_a_usage_error(void **state)
{
    static const char *const urls[] = { "ftp://127.0.0.1/", "http://", "127.0.0.1:99999/" };
    struct tm_http *http = open_client();
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct tm_http_reply reply;
        struct tm_err err;
        struct tm_http_request request = { .method = "GET", .url = urls[i] };
        assert_int_equal(exchange(http, &request, &reply, &err), TM_E_ARG);
        assert_false(err.retriable);
        tm_http_reply_free(&reply);
    }
    http->ops->close(http);
}

static void wait_returns_when_an_extra_descriptor_is_readable(void **state)
{
    struct tm_http *http = open_client();
    struct tm_err err = { .code = TM_OK };
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    int64_t before_ns = tm_clock_monotonic_ns();
    assert_int_equal(tm_http_curl_wait(http, fds, 1, 60 * TM_NS_PER_S, &err), TM_OK);
    /* came back for the byte, not the timeout */
    assert_true(tm_clock_monotonic_ns() - before_ns < 30 * TM_NS_PER_S);
    close(fds[0]);
    close(fds[1]);
    http->ops->close(http);
}

static void cancelled_and_abandoned_calls_are_gone(void **state)
{
    static const struct support_line lines[] = { { .after = SIZE_MAX }, { .after = SIZE_MAX } };
    struct support_http *server = SUPPORT_HTTP(lines);
    struct tm_http *http = open_client();
    struct tm_http_call *a = NULL, *b = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    struct tm_http_request request = { .method = "GET", .url = support_http_url(server, "/") };
    assert_int_equal(http->ops->start(http, &a, &request, &err), TM_OK);
    assert_int_equal(http->ops->start(http, &b, &request, &err), TM_OK);
    http->ops->cancel(http, a);
    http->ops->cancel(http, NULL);
    http->ops->close(http); /* frees b: the sanitizers would tell */
    support_http_close(server);
}

static void exchanges_at_once_are_bounded(void **state)
{
    struct support_http *server = support_http_open(NULL, 0);
    struct tm_http *http = open_client();
    struct tm_err err = { .code = TM_OK };
    enum tm_code rc = TM_OK;
    int started = 0;
    (void)state;
    struct tm_http_request request = { .method = "GET", .url = support_http_url(server, "/") };
    for (; rc == TM_OK && started < 1000; started++) {
        struct tm_http_call *call;
        rc = http->ops->start(http, &call, &request, &err);
    }
    assert_int_equal(rc, TM_E_LIMIT);
    assert_int_equal(started, 65);
    http->ops->close(http);
    support_http_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_carries_status_headers_and_body),
        cmocka_unit_test(large_post_is_sent_without_waiting_for_100_continue),
        cmocka_unit_test(chunked_reply_after_an_interim_answer_is_whole),
        cmocka_unit_test(connection_and_cookie_are_kept_between_exchanges),
        cmocka_unit_test(held_call_does_not_stop_a_second_one),
        cmocka_unit_test(torn_bodies_are_retriable_errors_never_short_replies),
        cmocka_unit_test(dropped_connection_is_retriable),
        cmocka_unit_test(silent_server_ends_in_a_timeout),
        cmocka_unit_test(nobody_listening_is_retriable),
        cmocka_unit_test(reply_beyond_its_bound_is_a_limit_error),
        cmocka_unit_test(url_that_is_none_is_a_usage_error),
        cmocka_unit_test(wait_returns_when_an_extra_descriptor_is_readable),
        cmocka_unit_test(cancelled_and_abandoned_calls_are_gone),
        cmocka_unit_test(exchanges_at_once_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
