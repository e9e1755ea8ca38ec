#include "mocks/http/server.h"
#include "mocks/http/encoding.h"
#include "mocks/http/guard.h"
#include "mocks/http/held.h"
#include "mocks/http/listen.h"
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_BODY_BYTES_PRESET (8u << 20)
#define SERVER_DISCARD_BYTES_MAX                                                                   \
    (64u << 20) /* of a body that is too big: read and thrown away, then 413 */
#define SERVER_CONNECTION_BYTES                                                                    \
    65536u /* request line and headers; libmicrohttpd answers 414/431 beyond */
/* How long a peer may take, whatever it sends meanwhile: the head of its first request; that of a
 * later one, with the quiet before it; a body; taking an answer. */
#define SERVER_FIRST_HEAD_NS (30 * TM_NS_PER_S)
#define SERVER_IDLE_S 120u
#define SERVER_BODY_NS (300 * TM_NS_PER_S)
#define SERVER_ANSWER_NS (600 * TM_NS_PER_S)
/* of all requests, and of all answers, that are in memory at a time */
#define SERVER_BODIES_BYTES_MAX (512u << 20)
#define SERVER_ANSWERS_BYTES_MAX (1u << 30)
#define SERVER_ADDRESS_SHARE 8 /* one address leaves one of so many connections to others */
#define SERVER_WAIT_FDS_MAX 32
#define SERVER_EVENTS_MAX 64
#define SERVER_TLS "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3"
#define SERVER_CALLS_MAX 32          /* handler calls in one step, … */
#define SERVER_CALLS_BYTES_MAX 65536 /* … while their answers together are smaller than this */

enum server_state { SERVER_READING, SERVER_QUEUED, SERVER_HELD, SERVER_READY, SERVER_SENDING };
struct server_exchange {                     /* one request and its answer */
    struct server_exchange *next, *previous; /* while queued */
    struct tm_held_member held;              /* while held */
    struct tm_mock_server *server;
    struct MHD_Connection *connection;
    enum server_state state;
    int fd;
    bool started, failed, resumed, watched, told;
    bool unsent;                     /* something else was said than what the handler answered */
    unsigned refused;                /* status it will get without being handled, 0 = none */
    size_t received_bytes;           /* of the body, also what was thrown away */
    size_t body_bytes, answer_bytes; /* its part of what the server holds */
    struct tm_buf body;
    struct tm_mock_request request;
    struct tm_mock_response response;
};
struct server_list {
    struct server_exchange *first, *last;
};
struct tm_mock_server {
    struct MHD_Daemon *daemon;
    struct tm_mock_handler handler;
    int epoll_fd, port;
    size_t body_bytes_max, bodies_bytes, answers_bytes;
    int64_t now_ns, idle_ns; /* now_ns: of this step */
    char url[80];
    struct tm_guard guard;
    struct server_list queued;
    struct tm_held held;
    struct tm_mock_server_counts counts;
    bool closing;
};

static void server_list_add(struct server_list *list, struct server_exchange *x)
{
    x->previous = list->last;
    x->next = NULL;
    if (list->last != NULL)
        list->last->next = x;
    else
        list->first = x;
    list->last = x;
}

static void server_list_remove(struct server_list *list, struct server_exchange *x)
{
    if (x->previous != NULL)
        x->previous->next = x->next;
    else
        list->first = x->next;
    if (x->next != NULL)
        x->next->previous = x->previous;
    else
        list->last = x->previous;
    x->next = x->previous = NULL;
}

static void server_tell(struct server_exchange *x, bool sent)
{
    struct tm_mock_server *s = x->server;
    if (x->told || x->response.token == 0)
        return;
    x->told = true;
    if (s->handler.finished != NULL)
        s->handler.finished(s->handler.self, x->response.token,
                            sent && !x->unsent && !x->response.disowned);
}

/* ---- connections, and how long they may take ---- */

static void server_connection(void *self, struct MHD_Connection *connection, void **own,
                              enum MHD_ConnectionNotificationCode code)
{
    struct tm_mock_server *s = self;
    struct tm_guard_member *m = *own;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *own = m = malloc(sizeof *m); /* without memory it goes unguarded; the idle time holds */
        if (m != NULL)
            tm_guard_add(&s->guard, m, info != NULL ? info->connect_fd : -1,
                         s->now_ns + SERVER_FIRST_HEAD_NS);
    } else if (m != NULL) {
        tm_guard_remove(&s->guard, m);
        free(m);
        *own = NULL;
    }
}

/* The peer's time for what comes next; TM_NEVER: it waits for us. */
static void server_allow(const struct server_exchange *x, int64_t ns)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct tm_guard_member *m = info != NULL ? info->socket_context : NULL;
    if (m != NULL)
        m->until_ns = ns == TM_NEVER ? TM_NEVER : x->server->now_ns + ns;
}

/* libmicrohttpd finds the connection closed and ends it. */
static void server_late(struct tm_guard_member *m)
{
    if (m->fd >= 0)
        shutdown(m->fd, SHUT_RDWR);
}

/* ---- reading: what libmicrohttpd calls ---- */

/* First word of a request; what it returns becomes the request's own pointer in later calls. */
static void *server_begin(void *self, const char *uri, struct MHD_Connection *connection)
{
    struct tm_mock_server *s = self;
    struct server_exchange *x = calloc(1, sizeof *x);
    if (x == NULL)
        return NULL;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    x->server = s;
    x->connection = connection;
    x->fd = info != NULL ? info->connect_fd : -1;
    x->request.uri_bytes = strlen(uri);
    tm_buf_init(&x->body, s->body_bytes_max);
    tm_mock_response_init(&x->response);
    return x;
}

static void server_end(void *self, struct MHD_Connection *connection, void **own,
                       enum MHD_RequestTerminationCode code)
{
    struct server_exchange *x = *own;
    (void)self;
    (void)connection;
    if (x == NULL)
        return;
    if (x->state == SERVER_QUEUED)
        server_list_remove(&x->server->queued, x);
    if (x->state == SERVER_HELD)
        tm_held_remove(&x->server->held, &x->held);
    server_tell(x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK && x->state == SERVER_SENDING);
    server_allow(x, x->server->idle_ns);
    x->server->bodies_bytes -= x->body_bytes;
    x->server->answers_bytes -= x->answer_bytes;
    tm_buf_free(&x->body);
    tm_mock_request_free(&x->request);
    tm_mock_response_free(&x->response);
    free(x);
    *own = NULL;
}

static enum MHD_Result server_pair(void *self, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct server_exchange *x = self;
    struct tm_mock_pairs *to = kind == MHD_HEADER_KIND ? &x->request.headers : &x->request.query;
    if (tm_mock_pairs_add(to, name, value != NULL ? value : "", NULL) != TM_OK)
        x->failed = true;
    return x->failed ? MHD_NO : MHD_YES;
}

static bool server_heads(struct server_exchange *x, const char *path, const char *method)
{
    struct tm_mock_request *r = &x->request;
    /* without its body, which libmicrohttpd leaves out, the answer to HEAD is that to GET */
    r->method = strdup(strcmp(method, "HEAD") == 0 ? "GET" : method);
    r->path = strdup(path);
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, server_pair, x);
    MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, server_pair, x);
    return r->method != NULL && r->path != NULL && !x->failed &&
           tm_mock_request_cookies(r, NULL) == TM_OK;
}

static enum MHD_Result server_send_text(struct server_exchange *x, unsigned status,
                                        const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain;charset=UTF-8");
    enum MHD_Result rc = MHD_queue_response(x->connection, status, response);
    MHD_destroy_response(response);
    x->state = SERVER_SENDING;
    x->unsent = true;
    server_allow(x, SERVER_ANSWER_NS);
    return rc;
}

/* A body that ends too early: what is left of it, then an error, upon which the connection is
 * closed. */
struct server_cut {
    struct tm_buf body;
    size_t bytes;
};

static ssize_t server_cut_read(void *self, uint64_t at, char *out, size_t out_bytes)
{
    const struct server_cut *cut = self;
    if (at >= cut->bytes)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t bytes = cut->bytes - (size_t)at < out_bytes ? cut->bytes - (size_t)at : out_bytes;
    memcpy(out, cut->body.data + at, bytes);
    return (ssize_t)bytes;
}

static void server_cut_free(void *self)
{
    struct server_cut *cut = self;
    tm_buf_free(&cut->body);
    free(cut);
}

/* Takes the body. */
static struct MHD_Response *server_body_response(struct tm_mock_response *r)
{
    size_t bytes = r->body.bytes;
    struct tm_buf body = r->body;
    r->body = (struct tm_buf){ .max = r->body.max };
    if (!r->cut || r->cut_bytes >= bytes)
        return MHD_create_response_from_buffer(bytes, body.data, MHD_RESPMEM_MUST_FREE);
    struct server_cut *cut = malloc(sizeof *cut);
    if (cut == NULL) {
        tm_buf_free(&body);
        return NULL;
    }
    *cut = (struct server_cut){ body, r->cut_bytes };
    return MHD_create_response_from_callback(bytes, 65536, server_cut_read, cut, server_cut_free);
}

static enum MHD_Result server_send(struct server_exchange *x)
{
    struct tm_mock_response *r = &x->response;
    if (r->outcome == TM_MOCK_DROP)
        return MHD_NO;
    if (tm_buf_check(&r->body, "a response body", NULL) != TM_OK ||
        tm_buf_check(&r->headers, "headers", NULL) != TM_OK)
        return server_send_text(x, 500, "the answer is larger than this server allows\n");
    struct tm_mock_server *s = x->server;
    size_t bytes = r->body.bytes;
    if (s->answers_bytes > 0 && bytes > SERVER_ANSWERS_BYTES_MAX - s->answers_bytes)
        return server_send_text(x, 503, "too many large answers are under way\n");
    x->answer_bytes = bytes;
    s->answers_bytes += bytes;
    server_allow(x, SERVER_ANSWER_NS);
    struct MHD_Response *response = server_body_response(r);
    if (response == NULL)
        return MHD_NO;
    for (char *save = NULL,
              *line = r->headers.data != NULL ? strtok_r(r->headers.data, "\n", &save) : NULL;
         line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        assert(colon != NULL && colon[1] == ' ');
        *colon = '\0';
        MHD_add_response_header(response, line, colon + 2);
    }
    enum MHD_Result rc = MHD_queue_response(x->connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    s->counts.bytes_out += bytes;
    x->state = SERVER_SENDING;
    return rc;
}

static enum MHD_Result server_first(struct server_exchange *x, const char *path, const char *method)
{
    x->started = true;
    x->server->counts.requests++;
    server_allow(x, SERVER_BODY_NS);
    if (!server_heads(x, path, method))
        return server_send_text(x, 431, "too many headers or parameters\n");
    const char *length = tm_mock_header(&x->request, "Content-Length");
    if (length != NULL && strtoull(length, NULL, 10) > SERVER_DISCARD_BYTES_MAX)
        return server_send_text(x, 413, "request body too large\n");
    return MHD_YES;
}

static void server_body(struct server_exchange *x, const char *data, size_t bytes)
{
    x->received_bytes += bytes;
    x->server->counts.bytes_in += bytes;
    if (x->refused == 0 && bytes > SERVER_BODIES_BYTES_MAX - x->server->bodies_bytes)
        x->refused = 503;
    if (x->refused == 0)
        tm_buf_add(&x->body, data, bytes);
    if (x->refused == 0 &&
        (x->body.failed != TM_OK || x->received_bytes > x->server->body_bytes_max))
        x->refused = 413;
    if (x->refused == 0) {
        x->server->bodies_bytes += bytes;
        x->body_bytes += bytes;
    } else {
        tm_buf_free(&x->body);
    }
}

/* A body that came compressed is taken apart. */
static void server_decode(struct server_exchange *x)
{
    const char *encoding = tm_mock_header(&x->request, "Content-Encoding");
    struct tm_buf plain;
    if (encoding == NULL || x->body.bytes == 0 || strcasecmp(encoding, "identity") == 0)
        return;
    if (strcasecmp(encoding, "gzip") != 0 && strcasecmp(encoding, "x-gzip") != 0 &&
        strcasecmp(encoding, "deflate") != 0) {
        x->refused = 415;
        return;
    }
    size_t room = SERVER_BODIES_BYTES_MAX - x->server->bodies_bytes;
    tm_buf_init(&plain, room < x->server->body_bytes_max ? room : x->server->body_bytes_max);
    enum tm_code rc = tm_mock_inflate(&plain, x->body.data, x->body.bytes, NULL);
    if (rc != TM_OK) {
        x->refused = rc == TM_E_LIMIT ? 413 : rc == TM_E_NOMEM ? 503 : 400;
        tm_buf_free(&plain);
        return;
    }
    tm_buf_free(&x->body);
    x->body = plain;
    x->server->bodies_bytes += plain.bytes;
    x->body_bytes += plain.bytes;
}

static enum MHD_Result server_send_refusal(struct server_exchange *x)
{
    return server_send_text(x, x->refused,
                            x->refused == 413   ? "request body too large\n"
                            : x->refused == 415 ? "Content-Encoding: gzip or deflate, or none\n"
                            : x->refused == 400 ? "the compressed body is broken or cut short\n"
                                                : "too many large requests are under way\n");
}

static enum MHD_Result server_access(void *self, struct MHD_Connection *connection,
                                     const char *path, const char *method, const char *version,
                                     const char *data, size_t *data_bytes, void **own)
{
    struct server_exchange *x = *own;
    struct tm_mock_server *s = self;
    (void)version;
    (void)connection;
    if (x == NULL || s->closing)
        return MHD_NO;
    if (!x->started)
        return server_first(x, path, method);
    if (*data_bytes > 0) {
        server_body(x, data, *data_bytes);
        *data_bytes = 0;
        return x->received_bytes > SERVER_DISCARD_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    if (x->state == SERVER_READY)
        return server_send(x);
    if (x->state != SERVER_READING)
        return MHD_YES;
    if (x->refused == 0)
        server_decode(x);
    if (x->refused != 0)
        return server_send_refusal(x);
    server_allow(x, TM_NEVER);
    x->request.body = x->body.data;
    x->request.body_bytes = x->body.bytes;
    x->body = (struct tm_buf){ 0 };
    x->state = SERVER_QUEUED;
    server_list_add(&s->queued, x);
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* ---- held connections ---- */

static bool server_peer_gone(const struct server_exchange *x)
{
    struct pollfd p = { .fd = x->fd, .events = POLLRDHUP };
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static void server_watch(struct server_exchange *x, bool on)
{
    struct epoll_event event = { .events = EPOLLRDHUP, .data.ptr = x };
    if (on == x->watched || x->fd < 0)
        return;
    if (epoll_ctl(x->server->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, x->fd, &event) == 0 ||
        !on)
        x->watched = on;
}

/* The answer (or the silence) is ready: libmicrohttpd asks for it when it runs next. */
static void server_release(struct server_exchange *x)
{
    server_watch(x, false);
    x->state = SERVER_READY;
    MHD_resume_connection(x->connection);
}

static void server_drop(struct server_exchange *x)
{
    x->server->counts.gone++;
    server_tell(x, false);
    x->response.outcome = TM_MOCK_DROP;
    server_release(x);
}

static struct server_exchange *server_holder(struct tm_held_member *m)
{
    return (struct server_exchange *)(void *)((char *)m - offsetof(struct server_exchange, held));
}

static void server_requeue(struct server_exchange *x)
{
    tm_held_remove(&x->server->held, &x->held);
    x->state = SERVER_QUEUED;
    server_list_add(&x->server->queued, x);
}

static void server_reap(struct tm_mock_server *s)
{
    struct epoll_event events[SERVER_EVENTS_MAX];
    int count = epoll_wait(s->epoll_fd, events, SERVER_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct server_exchange *x = events[i].data.ptr;
        if (x == NULL)
            continue; /* libmicrohttpd's own descriptor */
        if (x->state == SERVER_HELD)
            tm_held_remove(&s->held, &x->held);
        else
            server_list_remove(&s->queued, x);
        server_drop(x);
    }
}

static void server_due(struct tm_mock_server *s, const struct tm_now *now)
{
    for (struct tm_held_member *m; (m = tm_held_due(&s->held, now)) != NULL;)
        server_requeue(server_holder(m));
}

void tm_mock_server_wake(struct tm_mock_server *s, uint64_t token)
{
    assert(token != 0);
    struct tm_held_member *m = tm_held_find(&s->held, token);
    if (m != NULL)
        server_requeue(server_holder(m));
}

/* ---- the step ---- */

/* Out: bytes of its answer; SIZE_MAX: it has work left and wants to be called again at once. */
static size_t server_call(struct tm_mock_server *s, struct server_exchange *x,
                          const struct tm_now *now)
{
    uint64_t token = x->response.token;
    server_list_remove(&s->queued, x);
    x->request.now = *now;
    if (x->resumed && server_peer_gone(x)) { /* a fresh one may half-close and still read */
        server_drop(x);
        return 0;
    }
    tm_mock_response_reset(&x->response);
    if (x->resumed) {
        assert(s->handler.resume != NULL);
        s->handler.resume(s->handler.self, &x->request, token, &x->response);
    } else {
        s->handler.request(s->handler.self, &x->request, &x->response);
    }
    if (x->response.outcome != TM_MOCK_HOLD) {
        size_t bytes = x->response.body.bytes;
        server_release(x);
        return bytes;
    }
    if (!tm_held_add(&s->held, &x->held, x->response.token, x->response.until)) {
        server_drop(x); /* out of memory */
        return 0;
    }
    x->resumed = true;
    x->state = SERVER_HELD;
    server_watch(x, true);
    return tm_held_due(&s->held, now) != NULL ? SIZE_MAX : 0;
}

static void server_wake_at(const struct tm_mock_server *s, const struct tm_now *now,
                           struct tm_wake *wake)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (s->queued.first != NULL)
        wake->wall_ns = now->wall_ns;
    tm_held_wake(&s->held, wake);
    if (tm_guard_next_ns(&s->guard) < wake->wall_ns)
        wake->wall_ns = tm_guard_next_ns(&s->guard);
    if (MHD_get_timeout(s->daemon, &timeout_ms) == MHD_YES) {
        int64_t at = now->wall_ns + (int64_t)timeout_ms * TM_NS_PER_MS;
        if (at < wake->wall_ns)
            wake->wall_ns = at;
    }
}

enum tm_code tm_mock_server_step(struct tm_mock_server *s, const struct tm_now *now,
                                 struct tm_wake *wake, struct tm_err *err)
{
    s->now_ns = now->wall_ns;
    tm_guard_look(&s->guard, s->now_ns, server_late);
    if (MHD_run(s->daemon) != MHD_YES)
        return tm_fail(err, TM_E_IO, "the HTTP server on %s stopped working", s->url);
    server_reap(s);
    server_due(s, now);
    size_t calls = 0, bytes = 0;
    while (s->queued.first != NULL && calls++ < SERVER_CALLS_MAX &&
           bytes < SERVER_CALLS_BYTES_MAX) {
        size_t more = server_call(s, s->queued.first, now);
        bytes = more == SIZE_MAX ? SIZE_MAX : bytes + more;
    }
    if (calls > 0) {
        if (MHD_run(s->daemon) != MHD_YES)
            return tm_fail(err, TM_E_IO, "the HTTP server on %s stopped working", s->url);
    }
    server_wake_at(s, now, wake);
    return TM_OK;
}

enum tm_code tm_mock_server_wait(struct tm_mock_server *s, const int *fds, size_t fds_count,
                                 int64_t timeout_ns, struct tm_err *err)
{
    struct pollfd polled[SERVER_WAIT_FDS_MAX + 1] = { { .fd = s->epoll_fd, .events = POLLIN } };
    struct timespec timeout = { .tv_sec = timeout_ns / TM_NS_PER_S,
                                .tv_nsec = timeout_ns % TM_NS_PER_S };
    assert(fds_count <= SERVER_WAIT_FDS_MAX);
    for (size_t i = 0; i < fds_count; i++)
        polled[i + 1] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    if (timeout_ns < 0)
        timeout = (struct timespec){ 0, 0 };
    if (ppoll(polled, (nfds_t)(fds_count + 1), timeout_ns == TM_NEVER ? NULL : &timeout, NULL) <
            0 &&
        errno != EINTR)
        return tm_fail(err, TM_E_IO, "waiting for connections: %s", strerror(errno));
    return TM_OK;
}

/* ---- opening and closing ---- */

static enum tm_code server_watch_daemon(struct tm_mock_server *s, struct tm_err *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (info == NULL || s->epoll_fd < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) != 0)
        return tm_fail(err, TM_E_IO, "epoll for the HTTP server: %s", strerror(errno));
    return TM_OK;
}

/* The listening socket is its own once it has started. */
static bool server_start(struct tm_mock_server *s, const struct tm_mock_server_settings *settings,
                         int listen_fd)
{
    unsigned connections = tm_mock_connections();
    unsigned of_address = settings->address_connections_max;
    unsigned idle_s = settings->idle_s_max != 0 ? settings->idle_s_max : SERVER_IDLE_S;
    bool tls = settings->tls_chain != NULL;
    struct MHD_OptionItem secure[] = {
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)settings->tls_key },
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)settings->tls_chain },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)SERVER_TLS },
        { MHD_OPTION_END, 0, NULL }
    };
    if (!tls)
        secure[0] = secure[3];
    if (of_address == 0)
        of_address = connections - connections / SERVER_ADDRESS_SHARE;
    s->idle_ns = idle_s * TM_NS_PER_S;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0u), 0, NULL, NULL,
        server_access, s, MHD_OPTION_ARRAY, secure, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_URI_LOG_CALLBACK, server_begin, s, MHD_OPTION_NOTIFY_COMPLETED, server_end, s,
        MHD_OPTION_NOTIFY_CONNECTION, server_connection, s, MHD_OPTION_CONNECTION_LIMIT,
        connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, of_address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_END);
    return s->daemon != NULL;
}

enum tm_code tm_mock_server_open(struct tm_mock_server **out,
                                 const struct tm_mock_server_settings *settings,
                                 const struct tm_mock_handler *handler, struct tm_err *err)
{
    const char *address = settings->bind != NULL ? settings->bind : "127.0.0.1";
    int listen_fd = -1;
    assert(handler->request != NULL);
    struct tm_mock_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "an HTTP server");
    s->handler = *handler;
    s->epoll_fd = -1;
    s->body_bytes_max =
        settings->body_bytes_max != 0 ? settings->body_bytes_max : SERVER_BODY_BYTES_PRESET;
    enum tm_code rc = tm_mock_listen(&listen_fd, &s->port, address, settings->port, err);
    if (rc != TM_OK)
        goto done;
    snprintf(s->url, sizeof s->url, strchr(address, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
             settings->tls_chain != NULL ? "https" : "http",
             strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : address, s->port);
    if (!server_start(s, settings, listen_fd)) {
        rc = tm_fail(err, TM_E_IO, "libmicrohttpd would not start on %s", s->url);
        goto done;
    }
    listen_fd = -1; /* the daemon closes it */
    rc = server_watch_daemon(s, err);
    if (rc != TM_OK)
        goto done;
    *out = s;
    s = NULL;
done:
    if (listen_fd >= 0)
        close(listen_fd);
    tm_mock_server_close(s);
    return rc;
}

void tm_mock_server_close(struct tm_mock_server *s)
{
    if (s == NULL)
        return;
    s->closing = true;
    for (struct tm_held_member *m; (m = tm_held_any(&s->held)) != NULL;)
        server_requeue(server_holder(m));
    while (s->queued.first !=
           NULL) { /* a suspended connection would make stopping the daemon abort */
        struct server_exchange *x = s->queued.first;
        server_list_remove(&s->queued, x);
        server_drop(x);
    }
    if (s->daemon != NULL) {
        MHD_run(s->daemon);
        MHD_stop_daemon(s->daemon);
    }
    if (s->epoll_fd >= 0)
        close(s->epoll_fd);
    tm_held_free(&s->held);
    free(s);
}

int tm_mock_server_port(const struct tm_mock_server *s)
{
    return s->port;
}
const char *tm_mock_server_url(const struct tm_mock_server *s)
{
    return s->url;
}
int tm_mock_server_fd(const struct tm_mock_server *s)
{
    return s->epoll_fd;
}
const struct tm_mock_server_counts *tm_mock_server_counts(const struct tm_mock_server *s)
{
    return &s->counts;
}
