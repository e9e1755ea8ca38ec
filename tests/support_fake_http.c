#include "tests/support_fake_http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct tm_http_call {
    const struct fake_line *line;
    int64_t due_ns, started_ns;
};

static void fake_check(struct fake_http *f, const struct fake_line *line,
                       const struct tm_http_request *r)
{
    char what[64];
    size_t n = strcspn(line->expect, " ");
    snprintf(what, sizeof what, "request %zu", f->lines_used);
    if (strncmp(line->expect, r->method, n) != 0 || strlen(r->method) != n ||
        strstr(r->url, line->expect + n + 1) == NULL)
        fail_msg("%s: expected \"%s\", got %s %s", what, line->expect, r->method, r->url);
    if (line->expect_body != NULL && strstr(f->last_body, line->expect_body) == NULL)
        fail_msg("%s: expected %s in the body, got %s", what, line->expect_body, f->last_body);
    bool found = line->expect_header == NULL;
    for (size_t i = 0; i < TM_HTTP_HEADERS_MAX && r->headers[i] != NULL; i++)
        found = found || strcmp(r->headers[i], line->expect_header) == 0;
    if (!found)
        fail_msg("%s: expected the header \"%s\"", what, line->expect_header);
}

static enum tm_code fake_start(struct tm_http *http, struct tm_http_call **out,
                               const struct tm_http_request *request, struct tm_err *err)
{
    struct fake_http *f = (struct fake_http *)http;
    if (f->lines_used == f->lines_count || f->lines_used == 64)
        fail_msg("one request too many: %s %s", request->method, request->url);
    const struct fake_line *line = &f->lines[f->lines_used];
    struct tm_http_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return tm_fail(err, TM_E_NOMEM, "fake call"); /* the line stays for the next try */
    snprintf(f->last_url, sizeof f->last_url, "%s", request->url);
    snprintf(f->last_body, sizeof f->last_body, "%.*s", (int)request->body_bytes,
             request->body != NULL ? (const char *)request->body : "");
    fake_check(f, line, request);
    f->sent_ns[f->lines_used] = f->now_ns;
    f->timeout_ns[f->lines_used++] = request->timeout_ns;
    *call = (struct tm_http_call){
        line, line->delay_ns == TM_NEVER ? TM_NEVER : f->now_ns + line->delay_ns, f->now_ns
    };
    f->under_way++;
    f->base.counts.calls++;
    *out = call;
    return TM_OK;
}

static void fake_cancel(struct tm_http *http, struct tm_http_call *call)
{
    if (call == NULL)
        return;
    ((struct fake_http *)http)->under_way--;
    free(call);
}

static enum tm_code fake_poll(struct tm_http *http, struct tm_http_call *call,
                              struct tm_http_reply *reply, struct tm_err *err)
{
    struct fake_http *f = (struct fake_http *)http;
    const struct fake_line *line = call->line;
    if (f->now_ns < call->due_ns)
        return TM_E_AGAIN;
    reply->started_ns = call->started_ns;
    reply->done_ns = f->now_ns;
    fake_cancel(http, call);
    if (line->too_big)
        return tm_fail(err, TM_E_LIMIT, "fake: the reply is too large");
    if (line->status == 0)
        return tm_fail_retry(err, TM_E_IO, "fake: connection broken");
    reply->status = line->status;
    tm_buf_addz(&reply->headers, line->headers != NULL ? line->headers : "");
    tm_buf_addz(&reply->body, line->body != NULL ? line->body : "");
    if (reply->headers.failed != TM_OK || reply->body.failed != TM_OK)
        return tm_fail(err, TM_E_NOMEM, "fake reply");
    return TM_OK;
}

static void fake_close(struct tm_http *http)
{
    (void)http;
}

void fake_http_init(struct fake_http *f, const struct fake_line *lines, size_t lines_count)
{
    static const struct tm_http_ops ops = { fake_start, fake_poll, fake_cancel, fake_close };
    *f = (struct fake_http){ .base = { .ops = &ops },
                             .lines = lines,
                             .lines_count = lines_count,
                             .now_ns = 1000 * TM_NS_PER_S };
}

void fake_http_done(const struct fake_http *f)
{
    assert_int_equal(f->lines_used, f->lines_count);
    assert_int_equal(f->under_way, 0);
}
