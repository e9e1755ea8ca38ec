#include "tests/support_http.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16
#define REQUEST_BYTES_MAX 65536

struct connection {
    int fd;
    size_t bytes, waiting;
    bool asked;
    char in[REQUEST_BYTES_MAX];
};
struct support_http {
    const struct support_line *lines;
    size_t lines_count;
    int listener, port, stop[2];
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    size_t requests, accepted;
    char *texts[SUPPORT_HTTP_REQUESTS_MAX];
    char url[256];
    struct connection connections[CONNECTIONS_MAX]; /* the thread's own */
};

static int support_listen(int *out_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &bytes) != 0)
        abort();
    *out_port = ntohs(a.sin_port);
    return fd;
}

int support_closed_port(void)
{
    int port;
    close(support_listen(&port));
    return port;
}

/* Bytes of the first whole request in `in`, 0 when it is not all there. Bodies by Content-Length
 * only. */
static size_t support_whole(const char *in, size_t bytes)
{
    const char *end = bytes > 0 ? strstr(in, "\r\n\r\n") : NULL;
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - in) + 4, body = 0;
    for (const char *line = in; line < end; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            body = (size_t)strtoul(line + 15, NULL, 10);
    return head + body <= bytes ? head + body : 0;
}

static void support_take(struct support_http *h, struct connection *c)
{
    size_t n = support_whole(c->in, c->bytes);
    if (n == 0 || c->asked)
        return;
    pthread_mutex_lock(&h->lock);
    if (h->requests < SUPPORT_HTTP_REQUESTS_MAX) {
        h->texts[h->requests] = strndup(c->in, n);
        c->waiting = h->requests++;
        c->asked = true;
    }
    pthread_mutex_unlock(&h->lock);
    memmove(c->in, c->in + n, c->bytes - n + 1);
    c->bytes -= n;
}

static void support_drop(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
    c->bytes = 0;
    c->asked = false;
}

static void support_answer(struct support_http *h, struct connection *c)
{
    static const struct support_line end = { .drop = true };
    const struct support_line *line = c->waiting < h->lines_count ? &h->lines[c->waiting] : &end;
    if (!c->asked || line->after > h->requests)
        return;
    size_t bytes = line->bytes == NULL      ? 0
                   : line->bytes_count != 0 ? line->bytes_count
                                            : strlen(line->bytes),
           sent = 0;
    while (sent < bytes) {
        ssize_t n = send(c->fd, line->bytes + sent, bytes - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    c->asked = false;
    if (line->drop || sent < bytes)
        support_drop(c);
}

static void support_read(struct support_http *h, struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->bytes, sizeof c->in - c->bytes - 1, 0);
    if (n <= 0) {
        support_drop(c);
        return;
    }
    c->bytes += (size_t)n;
    c->in[c->bytes] = '\0';
    support_take(h, c);
}

static void support_accept(struct support_http *h)
{
    int fd = accept(h->listener, NULL, NULL), one = 1;
    for (size_t i = 0; i < CONNECTIONS_MAX && fd >= 0; i++) {
        if (h->connections[i].fd >= 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        h->connections[i].fd = fd;
        h->connections[i].bytes = 0;
        h->connections[i].asked = false;
        pthread_mutex_lock(&h->lock);
        h->accepted++;
        pthread_mutex_unlock(&h->lock);
        return;
    }
    if (fd >= 0)
        close(fd);
}

static void *support_run(void *self)
{
    struct support_http *h = self;
    for (;;) {
        struct pollfd fds[CONNECTIONS_MAX + 2];
        fds[0] = (struct pollfd){ .fd = h->stop[0], .events = POLLIN };
        fds[1] = (struct pollfd){ .fd = h->listener, .events = POLLIN };
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            fds[i + 2] = (struct pollfd){ .fd = h->connections[i].fd, .events = POLLIN };
        poll(fds, CONNECTIONS_MAX + 2, -1);
        if (fds[0].revents != 0)
            return NULL;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            if (fds[i + 2].revents != 0)
                support_read(h, &h->connections[i]);
        if (fds[1].revents != 0)
            support_accept(h);
        /* also those whose `after` has just come true */
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            support_answer(h, &h->connections[i]);
    }
}

struct support_http *support_http_open(const struct support_line *lines, size_t lines_count)
{
    struct support_http *h = calloc(1, sizeof *h);
    if (h == NULL || pipe(h->stop) != 0)
        abort();
    h->lines = lines;
    h->lines_count = lines_count;
    h->listener = support_listen(&h->port);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        h->connections[i].fd = -1;
    pthread_mutex_init(&h->lock, NULL);
    if (pthread_create(&h->thread, NULL, support_run, h) != 0)
        abort();
    return h;
}

void support_http_close(struct support_http *h)
{
    if (write(h->stop[1], "x", 1) != 1)
        abort();
    pthread_join(h->thread, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (h->connections[i].fd >= 0)
            close(h->connections[i].fd);
    for (size_t i = 0; i < h->requests; i++)
        free(h->texts[i]);
    close(h->listener);
    close(h->stop[0]);
    close(h->stop[1]);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

const char *support_http_url(struct support_http *h, const char *path)
{
    snprintf(h->url, sizeof h->url, "http://127.0.0.1:%d%s", h->port, path);
    return h->url;
}

size_t support_http_requests(struct support_http *h)
{
    pthread_mutex_lock(&h->lock);
    size_t n = h->requests;
    pthread_mutex_unlock(&h->lock);
    return n;
}

size_t support_http_connections(struct support_http *h)
{
    pthread_mutex_lock(&h->lock);
    size_t n = h->accepted;
    pthread_mutex_unlock(&h->lock);
    return n;
}

const char *support_http_request(struct support_http *h, size_t index)
{
    pthread_mutex_lock(&h->lock);
    const char *text = index < h->requests ? h->texts[index] : "";
    pthread_mutex_unlock(&h->lock);
    return text;
}
