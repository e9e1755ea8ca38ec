#include "run/outages.h"
#include "base/clock.h"
#include "base/log.h"
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTAGES_MAX 32
#define OUTAGES_TRY_NS (1000 * TM_NS_PER_MS)  /* what has not answered by then does not */
#define OUTAGES_AGAIN_NS (250 * TM_NS_PER_MS) /* between two tries */

struct outage {
    char name[80];
    struct tm_befallen befell;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    int fd; /* -1: none */
    bool connected, gone;
    int64_t tried_ns;
};
struct tm_outages {
    struct outage items[OUTAGES_MAX];
    size_t count;
};

/* ---- addresses ---- */

static void outage_add(struct tm_outages *o, const char *what, const char *host, const char *port)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (o->count == OUTAGES_MAX || getaddrinfo(host, port, &hints, &found) != 0)
        return;
    struct outage *one = &o->items[o->count++];
    one->fd = -1;
    snprintf(one->name, sizeof one->name, "%s %.40s:%.8s", what, host, port);
    assert(found->ai_addrlen <= sizeof one->address);
    memcpy(&one->address, found->ai_addr, found->ai_addrlen);
    one->address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
}

/* "host:port", "[::1]:port", "SCHEME://host"; what is no address is left out. */
static void outage_parse(struct tm_outages *o, const char *what, const char *text, size_t bytes,
                         const char *port_absent)
{
    char host[256], port[16];
    snprintf(host, sizeof host, "%.*s", (int)bytes, text);
    char *begin = host, *scheme = strstr(host, "://");
    begin = scheme != NULL ? scheme + 3 : begin;
    begin[strcspn(begin, "/?#")] = '\0';
    char *user = strrchr(begin, '@');
    begin = user != NULL ? user + 1 : begin;
    char *close = begin[0] == '[' ? strchr(begin, ']') : NULL;
    char *colon = strrchr(close != NULL ? close : begin, ':');
    snprintf(port, sizeof port, "%.15s", colon != NULL ? colon + 1 : port_absent);
    if (colon != NULL)
        *colon = '\0';
    if (close != NULL) {
        *close = '\0';
        begin++;
    }
    if (begin[0] != '\0' && port[0] != '\0')
        outage_add(o, what, begin, port);
}

enum tm_code tm_outages_open(struct tm_outages **out, const char *brokers, const char *registry,
                             struct tm_err *err)
{
    struct tm_outages *o = calloc(1, sizeof *o);
    if (o == NULL)
        return tm_fail(err, TM_E_NOMEM, "outages");
    for (const char *at = brokers; at != NULL && *at != '\0';) {
        size_t bytes = strcspn(at, ",");
        while (bytes > 0 && *at == ' ') {
            at++;
            bytes--;
        }
        outage_parse(o, "broker", at, bytes, "9092");
        at += bytes + (at[bytes] == ',');
    }
    if (registry != NULL)
        outage_parse(o, "registry", registry, strlen(registry),
                     strncmp(registry, "https:", 6) == 0 ? "443" : "80");
    *out = o;
    return TM_OK;
}

void tm_outages_close(struct tm_outages *o)
{
    for (size_t i = 0; o != NULL && i < o->count; i++)
        if (o->items[i].fd >= 0)
            close(o->items[i].fd);
    free(o);
}

/* ---- one look ---- */

static void outage_drop(struct outage *one)
{
    if (one->fd >= 0)
        close(one->fd);
    one->fd = -1;
    one->connected = false;
}

static void outage_connect(struct outage *one, int64_t now_ns)
{
    const int on = 1, seconds = 1, probes = 3;
    one->tried_ns = now_ns;
    one->fd = socket(one->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one->fd < 0)
        return;
    setsockopt(one->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(one->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(one->fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    setsockopt(one->fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    if (connect(one->fd, (const struct sockaddr *)&one->address, one->address_bytes) != 0 &&
        errno != EINPROGRESS)
        outage_drop(one);
}

/* 1: connected; 0: not yet; -1: refused, or too late. */
static int outage_connected(const struct outage *one, int64_t now_ns)
{
    struct pollfd look = { .fd = one->fd, .events = POLLOUT };
    int problem = 0;
    socklen_t bytes = sizeof problem;
    if (one->fd < 0)
        return -1;
    if (poll(&look, 1, 0) <= 0)
        return now_ns - one->tried_ns > OUTAGES_TRY_NS ? -1 : 0;
    if (getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &problem, &bytes) != 0 || problem != 0)
        return -1;
    return 1;
}

static bool outage_alive(const struct outage *one)
{
    char byte;
    ssize_t n = recv(one->fd, &byte, 1, MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

static void outage_back(struct outage *one, int64_t now_ns)
{
    struct tm_fault_seen *standing = tm_befallen_standing(&one->befell);
    if (!one->gone)
        return;
    one->gone = false;
    if (standing != NULL)
        standing->until_ns = now_ns;
    tm_log(TM_LOG_WARN, "%s is back", one->name);
}

/* Since the try that failed began. */
static void outage_gone(struct outage *one)
{
    if (one->gone)
        return;
    one->gone = true;
    (void)tm_befallen_add(&one->befell, 0, one->tried_ns);
    tm_log(TM_LOG_WARN, "%s is gone", one->name);
}

static void outage_look(struct outage *one, int64_t now_ns)
{
    if (one->connected && outage_alive(one))
        return;
    if (one->connected) { /* idle for too long for its taste, or gone: the next try tells */
        outage_drop(one);
        outage_connect(one, now_ns);
    } else if (one->fd < 0 && now_ns - one->tried_ns > OUTAGES_AGAIN_NS) {
        outage_connect(one, now_ns);
    } else if (one->fd < 0) {
        return;
    }
    int is = outage_connected(one, now_ns);
    if (is == 0)
        return;
    one->connected = is > 0;
    if (is > 0) {
        outage_back(one, now_ns);
    } else {
        outage_drop(one);
        outage_gone(one);
    }
}

void tm_outages_look(struct tm_outages *o)
{
    int64_t now_ns = tm_clock_monotonic_ns();
    for (size_t i = 0; o != NULL && i < o->count; i++)
        outage_look(&o->items[i], now_ns);
}

const struct tm_befallen *tm_outages_at(const struct tm_outages *o, size_t index,
                                        const char **out_name)
{
    if (o == NULL || index >= o->count)
        return NULL;
    *out_name = o->items[index].name;
    return &o->items[index].befell;
}
