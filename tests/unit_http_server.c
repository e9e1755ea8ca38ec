/* The mocks' HTTP server over loopback, spoken to in raw bytes so that chunking, keep-alive and
 * death are ours to choose. */
#include "mocks/http/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
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

/* More than a socket takes at once; it wants to know how it ended. */
static void world_large(struct tm_mock_response *out)
{
    tm_mock_answer(out, 200, "text/plain", "");
    for (int i = 0; i < 200000; i++)
        tm_buf_addz(&out->body, "a hundred bytes of an answer that is far too long for the buffers "
                                "of a socket, whichever it has.");
    out->token = HELD_TOKEN;
}

static void world_request(void *self, const struct tm_mock_request *r, struct tm_mock_response *out)
{
    struct world *w = self;
    const char *q = tm_mock_query(r, "q");
    w->requests++;
    snprintf(w->last, sizeof w->last, "%s %s q=%s agent=%s cookie=%s body=%s", r->method, r->path,
             q != NULL ? q : "-", tm_mock_user_agent(r),
             tm_mock_cookie(r, "BAYEUX") != NULL ? tm_mock_cookie(r, "BAYEUX") : "-",
             r->body != NULL ? r->body : "-");
    if (strcmp(r->path, "/hold/long") == 0)
        tm_mock_hold(out, HELD_TOKEN, (struct tm_wake){ TM_NEVER, TM_NEVER });
    else if (strcmp(r->path, "/hold") == 0)
        tm_mock_hold(out, HELD_TOKEN,
                     (struct tm_wake){ TM_NEVER, w->now.wall_ns + 1000 * TM_NS_PER_MS });
    else if (strcmp(r->path, "/large") == 0)
        world_large(out);
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

/* Loopback is at hand at once: no wait where the peer is the test itself. */
static struct tm_wake world_step_now(struct world *w)
{
    struct tm_err err = { 0 };
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    assert_int_equal(tm_mock_server_step(w->server, &w->now, &wake, &err), TM_OK);
    return wake;
}

static void world_step(struct world *w)
{
    struct tm_err err = { 0 };
    struct tm_wake wake = world_step_now(w);
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

/* ---- peers that take their time ---- */

/* Is the connection closed by now, after a few steps at the world's instant? */
static bool world_closed(struct world *w, int fd)
{
    char rest[4096];
    for (int i = 0; i < 4; i++) {
        world_step_now(w);
        ssize_t got = recv(fd, rest, sizeof rest, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return true;
    }
    return false;
}

/* Sends one byte of `text` a second, as long as the connection lives; how many seconds it did. */
static int world_trickle(struct world *w, int fd, const char *text, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        w->now.wall_ns += TM_NS_PER_S;
        if (send(fd, text + (size_t)i % strlen(text), 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1 ||
            world_closed(w, fd))
            return i;
    }
    return seconds;
}

static void a_head_that_trickles_in_ends_after_half_a_minute(void **state)
{
    struct world *w = *state;
    int fd = world_connect(w);
    world_send(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-A: ");
    assert_false(world_closed(w, fd));
    int seconds = world_trickle(w, fd, "a", 100);
    assert_in_range(seconds, 28, 32);
    assert_int_equal(w->requests, 0);
    close(fd);
}

static void a_later_head_has_the_idle_time_and_no_more(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_connect(w);
    world_send(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "body=-");
    assert_false(world_closed(w, fd));
    w->now.wall_ns += 100 * TM_NS_PER_S;
    assert_false(world_closed(w, fd)); /* quiet is no offence */
    world_send(fd, "GET /b HTTP/1.1\r\nX-A: ");
    assert_in_range(world_trickle(w, fd, "a", 100), 18, 22);
    close(fd);
}

static void a_body_that_trickles_in_ends_after_five_minutes(void **state)
{
    struct world *w = *state;
    int fd = world_connect(w);
    world_send(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n");
    assert_in_range(world_trickle(w, fd, "a", 400), 298, 302);
    assert_int_equal(w->requests, 0);
    close(fd);
}

static void a_held_poll_may_take_longer_than_any_of_these(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_connect(w);
    world_send(fd, "GET /hold/long HTTP/1.1\r\nHost: x\r\n\r\n");
    while (w->requests == 0)
        world_step(w);
    for (int i = 0; i < 1200; i++) { /* twenty minutes */
        w->now.wall_ns += TM_NS_PER_S;
        world_step_now(w);
    }
    assert_int_equal(w->finished_lost, 0);
    w->events_ready = true;
    tm_mock_server_wake(w->server, HELD_TOKEN);
    world_read(w, fd, reply, sizeof reply, "woken");
    assert_non_null(strstr(reply, "woken"));
    close(fd);
}

static void an_answer_nobody_takes_ends_after_ten_minutes_and_was_not_delivered(void **state)
{
    struct world *w = *state;
    int small = 2048;
    int fd = world_connect(w);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    world_send(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 50; i++)
        world_step(w);
    assert_int_equal(w->requests, 1);
    for (int i = 0; i < 598; i++) {
        char bit[16];
        w->now.wall_ns += TM_NS_PER_S;
        assert_true(recv(fd, bit, sizeof bit, 0) > 0); /* now and then a few bytes */
        world_step_now(w);
    }
    assert_int_equal(w->finished_lost, 0);
    for (int i = 0; i < 5 && w->finished_lost == 0; i++) {
        w->now.wall_ns += TM_NS_PER_S;
        for (int k = 0; k < 20; k++)
            world_step_now(w);
    }
    assert_int_equal(w->finished_lost, 1);
    assert_int_equal(w->finished_sent, 0);
    close(fd);
}

static void one_address_has_a_share_of_the_connections(void **state)
{
    struct world *w = *state;
    struct tm_err err = { 0 };
    struct tm_mock_handler handler = { w, world_request, world_resume, world_finished };
    struct tm_mock_server_settings settings = { .address_connections_max = 3 };
    char reply[2048];
    int fds[4];
    tm_mock_server_close(w->server);
    assert_int_equal(tm_mock_server_open(&w->server, &settings, &handler, &err), TM_OK);
    for (int i = 0; i < 4; i++)
        fds[i] = world_connect(w);
    for (int i = 0; i < 20; i++)
        world_step(w);
    assert_true(world_closed(w, fds[3]));
    close(fds[3]);
    for (int i = 0; i < 3; i++) {
        world_send(fds[i], "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
        world_read(w, fds[i], reply, sizeof reply, "body=-");
        assert_non_null(strstr(reply, "200 OK"));
        close(fds[i]);
    }
}

/* ---- what else the wire may bring ---- */

/* Sends a body of these bytes; the answer must hold `wanted`. */
static void world_post(struct world *w, const char *headers, const void *body, size_t bytes,
                       const char *wanted)
{
    char reply[2048];
    char head[300];
    int fd = world_connect(w);
    snprintf(head, sizeof head, "POST /z HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
             headers, bytes);
    world_send(fd, head);
    assert_int_equal(send(fd, body, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
    world_read(w, fd, reply, sizeof reply, wanted);
    assert_non_null(strstr(reply, wanted));
    close(fd);
}

static size_t gzip(uint8_t *out, size_t out_bytes, const void *text, size_t bytes, int window)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)bytes;
    z.next_out = out;
    z.avail_out = (uInt)out_bytes;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return out_bytes - z.avail_out;
}

static void a_compressed_body_is_taken_apart_up_to_the_limit(void **state)
{
    struct world *w = *state;
    uint8_t packed[600];
    char *zeros = calloc(1, 100000);
    size_t bytes = gzip(packed, sizeof packed, "words", 5, 15 + 16);
    world_post(w, "Content-Encoding: gzip\r\n", packed, bytes, "body=words");
    world_post(w, "Content-Encoding: gzip\r\n", packed, bytes - 1, "HTTP/1.1 400");
    bytes = gzip(packed, sizeof packed, "words", 5, 15);
    world_post(w, "Content-Encoding: deflate\r\n", packed, bytes, "body=words");
    bytes = gzip(packed, sizeof packed, zeros, 100000, 15 + 16);
    assert_true(bytes < 1000); /* small on the wire, large in memory */
    world_post(w, "Content-Encoding: gzip\r\n", packed, bytes, "HTTP/1.1 413");
    world_post(w, "Content-Encoding: br\r\n", "words", 5, "HTTP/1.1 415");
    world_post(w, "Content-Encoding: identity\r\n", "words", 5, "body=words");
    assert_int_equal(w->requests, 3);
    free(zeros);
}

static void head_is_answered_as_get_without_the_body(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_connect(w);
    world_send(fd, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "\r\n\r\n");
    assert_non_null(strstr(reply, "HTTP/1.1 200"));
    assert_memory_equal(w->last, "GET /x", 6);
    assert_non_null(strstr(reply, "Content-Length: "));
    assert_null(strstr(reply, "agent="));
    world_send(fd, "GET /y HTTP/1.1\r\nHost: x\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "body=-");
    assert_non_null(strstr(reply, "GET /y"));
    close(fd);
}

static void who_waits_for_100_continue_gets_it(void **state)
{
    struct world *w = *state;
    char reply[2048];
    int fd = world_connect(w);
    world_send(fd,
               "POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    world_read(w, fd, reply, sizeof reply, "\r\n\r\n");
    assert_non_null(strstr(reply, "HTTP/1.1 100"));
    world_send(fd, "abc");
    world_read(w, fd, reply, sizeof reply, "body=abc");
    assert_non_null(strstr(reply, "HTTP/1.1 200"));
    close(fd);
}

static void heads_beyond_their_room_and_nonsense_end_in_an_error(void **state)
{
    static const char *const nonsense[] = {
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    };
    struct world *w = *state;
    char reply[2048], *long_head = malloc(200000);
    memset(long_head, 'a', 199999);
    long_head[199999] = '\0';
    for (int i = 0; i < 2; i++) {
        int fd = world_connect(w);
        world_send(fd, i == 0 ? "GET /" : "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
        for (size_t at = 0; at < 199999;) {
            ssize_t sent = send(fd, long_head + at, 199999 - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno != EAGAIN)
                break;
            at += sent > 0 ? (size_t)sent : 0;
            world_step(w);
        }
        world_read(w, fd, reply, sizeof reply, "\r\n\r\n");
        if (reply[0] != '\0')
            assert_non_null(strstr(reply, i == 0 ? "HTTP/1.1 414" : "HTTP/1.1 431"));
        close(fd);
    }
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        int fd = world_connect(w);
        world_send(fd, nonsense[i]);
        shutdown(fd, SHUT_WR);
        for (int k = 0; k < 20; k++)
            world_step_now(w);
        ssize_t got = recv(fd, reply, sizeof reply - 1, MSG_DONTWAIT);
        reply[got > 0 ? got : 0] = '\0';
        if (reply[0] != '\0' && strncmp(reply, "HTTP/1.1 4", 10) != 0 &&
            strncmp(reply, "HTTP/1.1 5", 10) != 0)
            fail_msg("case %zu: %s", i, reply);
        close(fd);
    }
    assert_int_equal(w->requests, 0);
    free(long_head);
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
        T(a_head_that_trickles_in_ends_after_half_a_minute),
        T(a_later_head_has_the_idle_time_and_no_more),
        T(a_body_that_trickles_in_ends_after_five_minutes),
        T(a_held_poll_may_take_longer_than_any_of_these),
        T(an_answer_nobody_takes_ends_after_ten_minutes_and_was_not_delivered),
        T(one_address_has_a_share_of_the_connections),
        T(a_compressed_body_is_taken_apart_up_to_the_limit),
        T(head_is_answered_as_get_without_the_body),
        T(who_waits_for_100_continue_gets_it),
        T(heads_beyond_their_room_and_nonsense_end_in_an_error),
        T(closing_finishes_what_is_held),
        T(a_port_in_use_is_a_usage_error_that_names_it),
        T(a_request_can_be_made_without_a_socket),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
