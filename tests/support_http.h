/* A loopback HTTP server for tests: answers request i with line i of a script, raw bytes as
 * written. One thread, plain sockets, port chosen by the kernel. Owner: the test, by open and
 * close. */
#ifndef TM_TESTS_SUPPORT_HTTP_H
#define TM_TESTS_SUPPORT_HTTP_H
#include <stdbool.h>
#include <stddef.h>

#define SUPPORT_HTTP_REQUESTS_MAX 64
struct support_line {
    const char *bytes;  /* sent as it is: status line, headers, body; NULL = nothing */
    size_t bytes_count; /* 0 = strlen */
    bool drop;          /* close the connection afterwards */
    size_t after;       /* not before that many requests have arrived in all; SIZE_MAX = never */
};
struct support_http;
struct support_http *support_http_open(const struct support_line *lines, size_t lines_count);
#define SUPPORT_HTTP(lines) support_http_open(lines, sizeof(lines) / sizeof((lines)[0]))
void support_http_close(struct support_http *h);
/* "http://127.0.0.1:port" + path; overwritten by the next call. */
const char *support_http_url(struct support_http *h, const char *path);
size_t support_http_requests(struct support_http *h);    /* arrived so far */
size_t support_http_connections(struct support_http *h); /* accepted so far */
/* raw text, as it arrived */
const char *support_http_request(struct support_http *h, size_t index);
int support_closed_port(void); /* a port nobody listens on */
#endif
