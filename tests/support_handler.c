#include "tests/support_handler.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RESUMES_MAX 10000

static void add_header(struct tm_mock_request *r, const char *line)
{
    char name[80];
    const char *colon = strchr(line, ':');
    assert_non_null(colon);
    snprintf(name, sizeof name, "%.*s", (int)(colon - line), line);
    assert_int_equal(tm_mock_pairs_add(&r->headers, name, colon + 2, NULL), TM_OK);
}

void handler_ask(const struct tm_mock_handler *handler, const struct tm_now *now,
                 const char *method, const char *target, const char *body,
                 const char *const *headers, struct handler_answer *a)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(
        tm_mock_request_init(&r, method, target, body, body != NULL ? strlen(body) : 0, NULL),
        TM_OK);
    r.now = *now;
    for (; headers != NULL && *headers != NULL; headers++)
        add_header(&r, *headers);
    tm_mock_response_init(&out);
    handler->request(handler->self, &r, &out);
    for (a->calls = 1; out.outcome == TM_MOCK_HOLD && a->calls < RESUMES_MAX; a->calls++) {
        uint64_t token = out.token;
        tm_mock_response_reset(&out);
        handler->resume(handler->self, &r, token, &out);
    }
    assert_int_equal(out.outcome, TM_MOCK_ANSWER);
    a->status = out.status;
    snprintf(a->headers, sizeof a->headers, "%s", tm_buf_text(&out.headers));
    free(a->body);
    a->body = strdup(tm_buf_text(&out.body));
    assert_non_null(a->body);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

void handler_answer_free(struct handler_answer *a)
{
    free(a->body);
    a->body = NULL;
}

void handler_header(const struct handler_answer *a, const char *name, char *out, size_t bytes)
{
    const char *at = strstr(a->headers, name);
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, bytes, "%.*s", (int)strcspn(at + strlen(name) + 2, "\n"),
                 at + strlen(name) + 2);
}
