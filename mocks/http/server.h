/* server: HTTP/1.1, plain or over TLS, over libmicrohttpd for the mocks, one thread, a bounded
 * step. in: connections; out: calls of a struct tm_mock_handler, made from tm_mock_server_step
 * alone, so handlers need no lock.
 *
 *   read whole request ─► QUEUED ─handler─► answer ─► sent ─► finished(sent)
 *                           ▲  └─hold─► HELD ─ due or woken ─┐
 *                           └────────────────────────────────┘   peer gone while held: finished(not
 * sent)
 *
 * Held connections are watched for a peer that goes away. A peer has a bounded time for each part
 * of a request and for taking its answer, whatever it sends meanwhile; then its connection is
 * closed. Bodies (also chunked and compressed ones) beyond the limit get 413; what is in memory of
 * all requests, and of all answers, is bounded too (503). HEAD is handled as GET. The owner waits
 * on tm_mock_server_fd (readable = step) no longer than `wake` says. */
#ifndef TM_MOCK_HTTP_SERVER_H
#define TM_MOCK_HTTP_SERVER_H
#include "mocks/http/message.h"

/* two for each streaming client an org may have, and some; fewer where the system allows fewer
 * descriptors. Beyond, a connection waits until another ends. */
#define TM_MOCK_CONNECTIONS_MAX 4500
struct tm_mock_server_settings {
    const char *bind;                 /* address; NULL = 127.0.0.1 */
    int port;                         /* 0 = any free one */
    size_t body_bytes_max;            /* of a request; 0 = 8 MiB */
    const char *tls_chain, *tls_key;  /* PEM, borrowed until close: HTTPS; NULL = plain HTTP */
    unsigned address_connections_max; /* of one peer's address; 0 = seven eighths of all */
    unsigned idle_s_max;              /* keep-alive connections idle longer are closed; 0 = 120 */
};
struct tm_mock_server_counts {
    uint64_t requests, bytes_in, bytes_out, gone;
};
struct tm_mock_server;
/* TM_E_ARG names the address and port when it is in use or not ours to take. */
enum tm_code tm_mock_server_open(struct tm_mock_server **out,
                                 const struct tm_mock_server_settings *settings,
                                 const struct tm_mock_handler *handler, struct tm_err *err);
/* held requests are finished, not sent; NULL-safe */
void tm_mock_server_close(struct tm_mock_server *s);
int tm_mock_server_port(const struct tm_mock_server *s);
const char *tm_mock_server_url(const struct tm_mock_server *s); /* "http://127.0.0.1:8080" */
int tm_mock_server_fd(const struct tm_mock_server *s);
/* Moves bytes, then calls the handler: once, or for several requests as long as their answers are
 * small and none has work left over. Sets *wake to an earlier instant where needed. */
enum tm_code tm_mock_server_step(struct tm_mock_server *s, const struct tm_now *now,
                                 struct tm_wake *wake, struct tm_err *err);
/* The request held under `token` is resumed in a later step. No such one: nothing happens. */
void tm_mock_server_wake(struct tm_mock_server *s, uint64_t token);
/* Waits until the server or one of fds is readable, or timeout_ns passes; for an owner without a
 * loop of its own. */
enum tm_code tm_mock_server_wait(struct tm_mock_server *s, const int *fds, size_t fds_count,
                                 int64_t timeout_ns, struct tm_err *err);
const struct tm_mock_server_counts *tm_mock_server_counts(const struct tm_mock_server *s);
#endif
