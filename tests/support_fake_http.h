/* A scripted HTTP port under virtual time: each started exchange must match the next line of the
 * script. in: lines with what is expected and what is answered; out: replies when `now_ns` has
 * passed their delay. A request that does not match, or one too many, fails the test at once. */
#ifndef TM_TESTS_SUPPORT_FAKE_HTTP_H
#define TM_TESTS_SUPPORT_FAKE_HTTP_H
#include "base/http.h"

struct fake_line {
    const char *expect;      /* "POST /services/oauth2/token": method, and what the URL contains */
    const char *expect_body; /* must stand in the body; NULL = anything */
    const char *expect_header; /* one whole header line; NULL = anything */
    int status;                /* 0 = the connection breaks */
    const char *headers;       /* raw lines, or NULL */
    const char *body;
    int64_t delay_ns; /* TM_NEVER = held for ever */
    bool too_big;     /* the reply passes reply_bytes_max */
};
struct fake_http {
    struct tm_http base;
    const struct fake_line *lines;
    size_t lines_count, lines_used;
    int64_t now_ns;
    size_t under_way;
    int64_t sent_ns[64]; /* when line i was asked for */
    int64_t timeout_ns[64];
    char last_body[4096], last_url[4096];
};
void fake_http_init(struct fake_http *f, const struct fake_line *lines, size_t lines_count);
#define FAKE_HTTP(f, lines) fake_http_init(f, lines, sizeof(lines) / sizeof((lines)[0]))
/* All lines were used and nothing is under way. */
void fake_http_done(const struct fake_http *f);
#endif
