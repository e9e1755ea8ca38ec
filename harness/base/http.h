/* http: the port through which a station makes one HTTP exchange. in: a request; out: a response,
 * later. The station starts a call in one step and polls it in later ones; nothing here waits.
 * Adapters: base/http_curl.c (curl multi; the driver waits in curl_multi_poll) and, in a
 * simulation, a call into the mock's own handlers. TM_E_AGAIN from poll = still under way. */
#ifndef TM_BASE_HTTP_H
#define TM_BASE_HTTP_H
#include "base/buf.h"
#include "base/clock.h"

#define TM_HTTP_HEADERS_MAX 16
#define TM_HTTP_REPLY_BYTES_MAX (64u << 20)

struct tm_http_request {
    const char *method, *url;                 /* copied by start */
    const char *headers[TM_HTTP_HEADERS_MAX]; /* "Name: value", NULL-terminated; copied by start */
    const void *body;
    size_t body_bytes;      /* copied by start */
    int64_t timeout_ns;     /* whole exchange; 0 = 30 s */
    size_t reply_bytes_max; /* 0 = TM_HTTP_REPLY_BYTES_MAX; more is TM_E_LIMIT */
};
struct tm_http_reply {
    int status;            /* 100..599 */
    struct tm_buf headers; /* raw, "Name: value\r\n" lines */
    struct tm_buf body;
    int64_t started_ns, done_ns; /* wall clock of the driver */
};
void tm_http_reply_init(struct tm_http_reply *reply);
void tm_http_reply_free(struct tm_http_reply *reply);
/* Value of the first header `name` (case-insensitive) copied into out; false when absent. */
bool tm_http_reply_header(const struct tm_http_reply *reply, const char *name, char *out,
                          size_t out_bytes);

struct tm_http_call; /* an exchange under way; owned by the adapter's caller */
struct tm_http_counts {
    uint64_t calls, failed, bytes_out, bytes_in;
};
struct tm_http;
struct tm_http_ops {
    enum tm_code (*start)(struct tm_http *http, struct tm_http_call **out,
                          const struct tm_http_request *request, struct tm_err *err);
    /* TM_OK: *reply is filled, the call is gone. TM_E_AGAIN: pending. Else transport error
     * (retriable), call gone. */
    enum tm_code (*poll)(struct tm_http *http, struct tm_http_call *call,
                         struct tm_http_reply *reply, struct tm_err *err);
    /* NULL-safe; the call is gone */
    void (*cancel)(struct tm_http *http, struct tm_http_call *call);
    void (*close)(struct tm_http *http);
};
struct tm_http {
    const struct tm_http_ops *ops;
    struct tm_http_counts counts;
};

/* Real adapter. `ca_file` NULL = the system's; one per process. Keeps connections and cookies. */
enum tm_code tm_http_curl_open(struct tm_http **out, const char *user_agent, const char *ca_file,
                               struct tm_err *err);
/* Waits until a transfer moves, one of extra_fds is readable, or timeout_ns passes: the driver's
 * only waiting place. */
enum tm_code tm_http_curl_wait(struct tm_http *http, const int *extra_fds, size_t extra_fds_count,
                               int64_t timeout_ns, struct tm_err *err);
#endif
