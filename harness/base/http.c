#include "base/http.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

#define HTTP_HEADERS_BYTES_MAX (256u << 10)

void tm_http_reply_init(struct tm_http_reply *reply)
{
    *reply = (struct tm_http_reply){ .status = 0 };
    tm_buf_init(&reply->headers, HTTP_HEADERS_BYTES_MAX);
    tm_buf_init(&reply->body, TM_HTTP_REPLY_BYTES_MAX);
}

void tm_http_reply_free(struct tm_http_reply *reply)
{
    tm_buf_free(&reply->headers);
    tm_buf_free(&reply->body);
}

bool tm_http_reply_header(const struct tm_http_reply *reply, const char *name, char *out,
                          size_t out_bytes)
{
    const char *line = tm_buf_text(&reply->headers);
    size_t n = strlen(name);
    assert(out_bytes > 0);
    while (*line != '\0') {
        size_t bytes = strcspn(line, "\r\n");
        if (bytes > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
            const char *from = line + n + 1, *end = line + bytes;
            while (from < end && (*from == ' ' || *from == '\t'))
                from++;
            while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
            size_t count = (size_t)(end - from) < out_bytes ? (size_t)(end - from) : out_bytes - 1;
            memcpy(out, from, count);
            out[count] = '\0';
            return true;
        }
        line += bytes;
        line += strspn(line, "\r\n");
    }
    return false;
}
