#include "tests/support_wire.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#define WIRE_BYTES_MAX (4 << 20)
#define WIRE_REQUEST_BYTES_MAX 40000
#define WIRE_WAIT_S 30

void tm_wire_init(struct tm_wire *w, const char *url)
{
    *w = (struct tm_wire){ .port = atoi(strrchr(url, ':') + 1), .raw = malloc(WIRE_BYTES_MAX + 1) };
    assert_non_null(w->raw);
}

void tm_wire_free(struct tm_wire *w)
{
    free(w->raw);
    w->raw = NULL;
}

static int wire_connect(const struct tm_wire *w)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)w->port) };
    struct timeval wait = { .tv_sec = WIRE_WAIT_S };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static int wire_put(const struct tm_wire *w, const char *bytes)
{
    int fd = wire_connect(w);
    for (size_t at = 0, all = strlen(bytes); at < all;) {
        ssize_t n = send(fd, bytes + at, all - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
    return fd;
}

const char *tm_wire_body(const struct tm_wire *w)
{
    const char *end = strstr(w->raw, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

const char *tm_wire_header(const struct tm_wire *w, const char *name, char out[512])
{
    const char *body = tm_wire_body(w);
    size_t bytes = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(w->raw, "\r\n"); line != NULL && line + 2 < body;
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, bytes) == 0 && line[2 + bytes] == ':') {
            const char *value = line + 3 + bytes + strspn(line + 3 + bytes, " ");
            snprintf(out, 512, "%.*s", (int)strcspn(value, "\r"), value);
        }
    return out;
}

/* Is all there that the head promises? */
static bool wire_whole(const struct tm_wire *w)
{
    char value[512];
    const char *body = tm_wire_body(w);
    if (*body == '\0' && strstr(w->raw, "\r\n\r\n") == NULL)
        return false;
    if (strstr(w->raw, " 204 ") == w->raw + 8)
        return true;
    if (strcasecmp(tm_wire_header(w, "Transfer-Encoding", value), "chunked") == 0)
        return w->bytes >= 5 && memcmp(w->raw + w->bytes - 5, "0\r\n\r\n", 5) == 0;
    if (*tm_wire_header(w, "Content-Length", value) == '\0')
        return false; /* until the connection ends */
    return (size_t)(body - w->raw) + strtoul(value, NULL, 10) <= w->bytes;
}

/* Chunks become what they carry. */
static void wire_unchunk(struct tm_wire *w)
{
    char value[512];
    char *from = w->raw + (tm_wire_body(w) - w->raw), *to = from;
    if (strcasecmp(tm_wire_header(w, "Transfer-Encoding", value), "chunked") != 0)
        return;
    for (size_t bytes; (bytes = strtoul(from, &from, 16)) > 0; from += 2) {
        from = strstr(from, "\r\n") + 2;
        memmove(to, from, bytes);
        to += bytes;
        from += bytes;
    }
    *to = '\0';
    w->bytes = (size_t)(to - w->raw);
}

int tm_wire_take(struct tm_wire *w, int fd)
{
    w->bytes = 0;
    w->raw[0] = '\0';
    for (w->closed = false; !w->closed && !wire_whole(w);) {
        ssize_t got = recv(fd, w->raw + w->bytes, WIRE_BYTES_MAX - w->bytes, 0);
        w->closed = got <= 0;
        w->bytes += got > 0 ? (size_t)got : 0;
        w->raw[w->bytes] = '\0';
    }
    close(fd);
    if (!w->closed)
        wire_unchunk(w);
    return w->bytes > 12 ? atoi(w->raw + 9) : 0;
}

int tm_wire_send(struct tm_wire *w, const char *method, const char *target, const char *more,
                 const char *body)
{
    char *request = malloc(WIRE_REQUEST_BYTES_MAX);
    bool typed = more != NULL && strcasestr(more, "Content-Type:") != NULL;
    assert_non_null(request);
    int n = snprintf(request, WIRE_REQUEST_BYTES_MAX,
                     "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: raw/1\r\n%s%s%s%s%s"
                     "Content-Length: %zu\r\n\r\n%s",
                     method, target, w->port, w->token[0] != '\0' ? "Authorization: Bearer " : "",
                     w->token, w->token[0] != '\0' ? "\r\n" : "",
                     typed ? "" : "Content-Type: application/json\r\n", more != NULL ? more : "",
                     body != NULL ? strlen(body) : 0, body != NULL ? body : "");
    assert_true(n < WIRE_REQUEST_BYTES_MAX);
    int fd = wire_put(w, request);
    free(request);
    return fd;
}

int tm_wire_ask(struct tm_wire *w, const char *method, const char *target, const char *more,
                const char *body)
{
    return tm_wire_take(w, tm_wire_send(w, method, target, more, body));
}

int tm_wire_bytes(struct tm_wire *w, const char *bytes)
{
    return tm_wire_take(w, wire_put(w, bytes));
}

json_t *tm_wire_json(const struct tm_wire *w)
{
    return json_loads(tm_wire_body(w), 0, NULL);
}

void tm_wire_sign_in(struct tm_wire *w)
{
    w->token[0] = '\0';
    assert_int_equal(
        tm_wire_ask(w, "POST", "/services/oauth2/token",
                    "Content-Type: application/x-www-form-urlencoded\r\n",
                    "grant_type=client_credentials&client_id=tidemark-consumer-key&client_secret="
                    "tidemark-consumer-secret"),
        200);
    json_t *json = tm_wire_json(w);
    snprintf(w->token, sizeof w->token, "%s",
             json_string_value(json_object_get(json, "access_token")));
    json_decref(json);
}
