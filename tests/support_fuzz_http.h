/* support_fuzz_http: the HTTP port of fuzz targets: an input cut at "\xff" is the answers that a
 * client gets, piece i to exchange i. What becomes of a piece the target says (fuzz_poll). */
#ifndef TM_TESTS_SUPPORT_FUZZ_HTTP_H
#define TM_TESTS_SUPPORT_FUZZ_HTTP_H
#include "base/http.h"
#include <stdlib.h>
#include <string.h>

struct fuzz_port {
    struct tm_http base;
    const uint8_t *data;
    size_t bytes;
};
struct tm_http_call {
    const uint8_t *data;
    size_t bytes;
};

static inline enum tm_code fuzz_start(struct tm_http *http, struct tm_http_call **out,
                                      const struct tm_http_request *request, struct tm_err *err)
{
    struct fuzz_port *p = (struct fuzz_port *)http;
    const uint8_t *end = p->bytes > 0 ? memchr(p->data, 0xff, p->bytes) : NULL;
    struct tm_http_call *call = malloc(sizeof *call);
    (void)err;
    /* what an answer says must not get into a request's line */
    if (*request->url == '\0' || call == NULL || strpbrk(request->url, " \r\n") != NULL)
        abort();
    *call = (struct tm_http_call){ p->data, end != NULL ? (size_t)(end - p->data) : p->bytes };
    p->bytes -= call->bytes + (end != NULL);
    p->data += call->bytes + (end != NULL);
    *out = call;
    return TM_OK;
}

static inline void fuzz_cancel(struct tm_http *http, struct tm_http_call *call)
{
    (void)http;
    free(call);
}

static inline void fuzz_close(struct tm_http *http)
{
    (void)http;
}
#endif
