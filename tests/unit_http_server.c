/* The mocks' HTTP server over loopback, spoken to in raw bytes so that chunking, keep-alive and
 * death are ours to choose. */
#include "mocks/http/server.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define STEPS_MAX 2000
#define HELD_TOKEN 7

struct world {
    struct tm_mock_server *server;
    struct tm_now now;
    unsigned requests, resumes, finished_sent, finished_lost;
    bool events_ready;
    char last[256];
};

static void world_request(void *self, const struct tm_mock_request *r, struct tm_mock_response *out)
{
    struct world *w = self;
    const char *q = tm_mock_query(r, "q");
    w->requests++;
    snprintf(w->last, sizeof w->last, "%s %s q=%s agent=%s cookie=%s body=%s", r->method, r->path,
             q != NULL ? q : "-", tm_mock_user_agent(r),
             tm_mock_cookie(r, "BAYEUX") != NULL ? tm_mock_cookie(r, "BAYEUX") : "-",
             r->body != NULL ? r->body : "-");
    if (strcmp(r->path, "/hold") == 0)
        tm_mock_hold(out, HELD_TOKEN,
                     (struct tm_wake){ TM_NEVER, w->now.wall_ns + 1000 * TM_NS_PER_MS });
    else
        tm_mock_answer(out, 200, "text/plain", w->last);
}

static void world_resume(void *self, const struct tm_mock_request *r, uint64_t token,
                         struct tm_mock_response *out)
{
    struct world *w = self;
    (void)r;
    w->resumes++;
    assert_int_equal(token, HELD_TOKEN);
    out->token = token;
    tm_mock_answer(out, 200, "text/plain", w->events_ready ? "woken" : "timed out");
}

static void world_finished(void *self, uint64_t token, bool sent)
{
    struct world *w = self;
    assert_int_equal(token, HELD_TOKEN);
    if (sent)
        w->finished_sent++;
    else
        w->finished_lost++;
}

static int world_open(void **state)
{
    struct tm_err err = { 0 };
    struct world *w = calloc(1, sizeof *w);
    struct tm_mock_handler handler = { w, world_request, world_resume, world_finished };
    struct tm_mock_server_settings settings = { .body_bytes_max = 1000 };
    w->now = (struct tm_now){ 0, TM_NS_PER_S };
    assert_int_equal(tm_mock_server_open(&w->server, &settings, &handler, &err), TM_OK);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    tm_mock_server_close(w->server);
    free(w);
    return 0;
}

static int world_connect(const struct world *w)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)tm_mock_server_port(w->server)) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void world_step(struct world *w)
{
    struct tm_err err = { 0 };
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    assert_int_equal(tm_mock_server_step(w->server, &w->now, &wake, &err), TM_OK);
    assert_int_equal(tm_mock_server_wait(w->server, NULL, 0,
                                         wake.wall_ns <= w->now.wall_ns ? 0 : TM_NS_PER_MS, &err),
                     TM_OK);
}

/* Steps until the peer has read `wanted` somewhere in what came, or the connection ended. */
static void world_read(struct world *w, int fd, char *out, size_t out_bytes, const char *wanted)
{
    size_t bytes = 0;
    out[0] = '\0';
    for (int i = 0; i < STEPS_MAX && strstr(out, wanted) == NULL; i++) {
        world_step(w);
        ssize_t got = recv(fd, out + bytes, out_bytes - bytes - 1, MSG_DONTWAIT);
        if (got == 0)
            break;
        bytes += got > 0 ? (size_t)got : 0;
        out[bytes] = '\0';
    }
}

static void world_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* A peer whose request is held. */
static int world_hold(struct world *w)
{
    int fd = world_connect(w);
    world_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    while (w->requests == 0)
        world_step(w);
    return fd;
}

/* The held request ends, one way or the other. */
static void world_until_finished(struct world *w)
{
    for (int i = 0; i < STEPS_MAX && w->finished_sent + w->finished_lost == 0; i++)
        world_step(w);
}

static void a_query_string_arrives_decoded_with_plus_and_percent20(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_connect(w);
    world_send(fd, "GET /query/?q=a+b%20c%2B1 HTTP/1.1\r\nHost: x\r\nuser-agent: me/1\r\nCookie: "
                   "a=b; BAYEUX=xyz\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "body=-");
    assert_non_null(strstr(reply, "HTTP/1.1 200"));
    assert_non_null(strstr(reply, "GET /query/ q=a b c+1 agent=me/1 cookie=xyz body=-"));
    close(fd);
}

static void a_chunked_request_body_is_put_together(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_connect(w);
    world_send(fd, "POST /cometd/59.0 HTTP/1.1\r\nHost: x\r\nCookie:\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n4\r\n[{\"a\r\n");
    world_read(w, fd, reply, 64, "never");
    assert_int_equal(w->requests, 0);
    world_send(fd, "6\r\n\":1}]\n\r\n0\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "body=[{\"a\":1}]\n");
    assert_int_equal(w->requests, 1);
    assert_non_null(strstr(reply, "cookie=- body=[{\"a\":1}]\n"));
    close(fd);
}

static void one_connection_carries_many_requests(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_connect(w);
    for (int i = 0; i < 5; i++) {
        world_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        world_read(w, fd, reply, sizeof reply, "body=abc");
        assert_non_null(strstr(reply, "body=abc"));
    }
    assert_int_equal(w->requests, 5);
    close(fd);
}

static void a_body_beyond_the_limit_gets_413_and_never_reaches_the_handler(void **state)
{
    struct world *w = *state;
    char reply[2048], body[1400];
    int fd = world_connect(w);
    memset(body, 'x', sizeof body);
    body[sizeof body - 1] = '\0';
    world_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1399\r\n\r\n");
    world_send(fd, body);
    world_read(w, fd, reply, sizeof reply, "too large");
    assert_non_null(strstr(reply, "HTTP/1.1 413"));
    world_send(fd, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n577\r\n");
    world_send(fd, body);
    world_send(fd, "\r\n0\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "too large");
    assert_non_null(strstr(reply, "HTTP/1.1 413"));
    assert_int_equal(w->requests, 0);
    close(fd);
}

static void a_held_poll_is_answered_when_its_token_is_woken(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_hold(w), other = world_connect(w);
    world_send(other, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    world_read(w, other, reply, sizeof reply, "body=-");
    assert_non_null(strstr(reply, "GET /b"));
    assert_int_equal(w->resumes, 0);
    w->events_ready = true;
    tm_mock_server_wake(w->server, HELD_TOKEN);
    world_read(w, fd, reply, sizeof reply, "woken");
    assert_non_null(strstr(reply, "woken"));
    world_until_finished(w);
    assert_int_equal(w->finished_sent, 1);
    assert_int_equal(w->finished_lost, 0);
    close(fd);
    close(other);
}

static void a_held_poll_is_answered_when_its_time_comes_and_not_before(void **state)
{
    struct world *w = *state;
    struct tm_err err = { 0 };
    char reply[2048];
    int fd = world_hold(w);
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    for (int i = 0; i < 4; i++) {
        wake = (struct tm_wake){ TM_NEVER, TM_NEVER };
        assert_int_equal(tm_mock_server_step(w->server, &w->now, &wake, &err), TM_OK);
    }
    assert_int_equal(wake.wall_ns, 2 * TM_NS_PER_S);
    assert_int_equal(w->resumes, 0);
    w->now.wall_ns = 2 * TM_NS_PER_S;
    world_read(w, fd, reply, sizeof reply, "timed out");
    assert_non_null(strstr(reply, "timed out"));
    close(fd);
}

static void a_held_poll_whose_peer_is_gone_is_finished_unsent_and_not_resumed(void **state)
{
    struct world *w = *state;
    int fd = world_hold(w);
    close(fd);
    tm_mock_server_wake(w->server, HELD_TOKEN);
    world_until_finished(w);
    assert_int_equal(w->finished_lost, 1);
    assert_int_equal(w->finished_sent, 0);
    assert_int_equal(w->resumes, 0);
    assert_int_equal(tm_mock_server_counts(w->server)->gone, 1);
}

static void a_dead_peer_is_noticed_without_being_woken(void **state)
{
    struct world *w = *state;
    int fd = world_hold(w);
    close(fd);
    world_until_finished(w);
    assert_int_equal(w->finished_lost, 1);
}

static void more_connections_than_a_process_usually_has_files_leave_room_for_one_more(void **state)
{
    struct world *w = *state; /* its opening raised the limit on files, if the system lets it */
    struct rlimit files;
    int fds[1100];
    char reply[2048];
    size_t count = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < 2 * 1100 + 200) /* both ends are in this process */
        skip();
    for (; count < sizeof fds / sizeof *fds; count++) {
        fds[count] = world_connect(w);
        world_send(fds[count], "GET / HTTP/1.1\r\nHo"); /* and never the rest */
        world_step(w);
    }
    int fd = world_connect(w);
    world_send(fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "body=-");
    assert_non_null(strstr(reply, "200 OK"));
    close(fd);
    while (count > 0)
        close(fds[--count]);
}

static void closing_finishes_what_is_held(void **state)
{
    struct world *w = *state;
    int fd = world_hold(w);
    tm_mock_server_close(w->server);
    w->server = NULL;
    assert_int_equal(w->finished_lost, 1);
    close(fd);
}

static void a_port_in_use_is_a_usage_error_that_names_it(void **state)
{
    struct world *w = *state;
    struct tm_err err = { 0 };
    struct tm_mock_server *second = NULL;
    struct tm_mock_handler handler = { w, world_request, NULL, NULL };
    struct tm_mock_server_settings settings = { .port = tm_mock_server_port(w->server) };
    char port[16];
    assert_int_equal(tm_mock_server_open(&second, &settings, &handler, &err), TM_E_ARG);
    snprintf(port, sizeof port, "%d", settings.port);
    assert_non_null(strstr(err.msg, port));
    assert_non_null(strstr(err.msg, "in use"));
    err = (struct tm_err){ 0 };
    settings = (struct tm_mock_server_settings){ .bind = "not an address" };
    assert_int_equal(tm_mock_server_open(&second, &settings, &handler, &err), TM_E_ARG);
    assert_null(second);
}

static void a_request_can_be_made_without_a_socket(void **state)
{
    struct tm_mock_request r;
    struct tm_err err = { 0 };
    (void)state;
    assert_int_equal(tm_mock_request_init(&r, "GET", "/a%20b?q=1+2&r=%3D&s", "x", 1, &err), TM_OK);
    assert_string_equal(r.path, "/a b");
    assert_string_equal(tm_mock_query(&r, "q"), "1 2");
    assert_string_equal(tm_mock_query(&r, "r"), "=");
    assert_string_equal(tm_mock_query(&r, "s"), "");
    assert_null(tm_mock_query(&r, "t"));
    tm_mock_request_free(&r);
    assert_int_equal(tm_mock_request_init(&r, "GET", "/a?q=%zz", NULL, 0, &err), TM_E_ARG);
    assert_int_equal(tm_mock_request_init(&r, "GET", "/a%00", NULL, 0, &err), TM_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(a_query_string_arrives_decoded_with_plus_and_percent20),
        T(a_chunked_request_body_is_put_together),
        T(one_connection_carries_many_requests),
        T(a_body_beyond_the_limit_gets_413_and_never_reaches_the_handler),
        T(a_held_poll_is_answered_when_its_token_is_woken),
        T(a_held_poll_is_answered_when_its_time_comes_and_not_before),
        T(a_held_poll_whose_peer_is_gone_is_finished_unsent_and_not_resumed),
        T(a_dead_peer_is_noticed_without_being_woken),
        T(more_connections_than_a_process_usually_has_files_leave_room_for_one_more),
        T(closing_finishes_what_is_held),
        T(a_port_in_use_is_a_usage_error_that_names_it),
        T(a_request_can_be_made_without_a_socket),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
