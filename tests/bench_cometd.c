/* bench_cometd: what the streaming endpoint delivers to 1, 10 and 1,000 subscribers of one channel,
 * over loopback, the program as users start it (TIDEMARK_BIN serve). Every subscriber is a real
 * long-polling client on a connection of its own; one more commits through the control API, and the
 * next commit is sent when everybody has had the last one. CPU is the server's own; the clients,
 * all in this process, take the other core. Prints what the machine did; asserts nothing but that
 * each subscriber got each event once. */
#include "base/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS_MAX 1000
#define ANSWER_BYTES_MAX (2u << 20)
#define CHANNEL "/data/AccountChangeEvent"

struct client { /* one connection */
    int fd;
    char id[64];
    char *answer; /* [ANSWER_BYTES_MAX] only where one is under way */
    size_t bytes;
    long events;
};
static struct client clients[CLIENTS_MAX + 1]; /* the last one commits */
static char token[256];
static int port, epoll_fd;
static pid_t server;

static void stop(const char *what)
{
    fprintf(stderr, "bench_cometd: %s: %s\n", what, errno != 0 ? strerror(errno) : "unexpected");
    if (server > 0)
        kill(server, SIGTERM);
    exit(70);
}

static void start(void)
{
    const char *bin = getenv("TIDEMARK_BIN");
    char line[128] = "";
    int out[2];
    if (pipe(out) != 0)
        stop("pipe");
    fflush(stdout);
    server = fork();
    if (server == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(70);
        execl(bin != NULL ? bin : "build/release/tidemark", "tidemark", "serve", "--quiet",
              (char *)NULL);
        _exit(70);
    }
    close(out[1]);
    for (size_t n = 0; n + 1 < sizeof line && read(out[0], line + n, 1) == 1; n++)
        if (line[n] == '\n')
            break;
    close(out[0]);
    if (strrchr(line, ':') == NULL || (port = atoi(strrchr(line, ':') + 1)) == 0)
        stop("tidemark serve did not start");
}

/* ---- one connection ---- */

static void dial(struct client *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        stop("connect");
}

static void post(struct client *c, const char *path, const char *body)
{
    static char text[65536];
    int n = snprintf(text, sizeof text,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: OAuth %s\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     path, port, token, strlen(body), body);
    if (n < 0 || (size_t)n >= sizeof text || send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        stop("send");
    c->bytes = 0;
    if (c->answer == NULL && (c->answer = malloc(ANSWER_BYTES_MAX)) == NULL)
        stop("memory");
}

/* The body when the answer is whole, else NULL. */
static const char *received(struct client *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->answer + c->bytes, ANSWER_BYTES_MAX - 1 - c->bytes, 0);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            stop("an answer");
        c->bytes += (size_t)n;
    }
    c->answer[c->bytes] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n"),
               *length = strcasestr(c->answer, "content-length:");
    if (end == NULL || length == NULL ||
        (size_t)(c->answer + c->bytes - (end + 4)) < strtoul(length + 15, NULL, 10))
        return NULL;
    return end + 4;
}

static const char *ask(struct client *c, const char *path, const char *body)
{
    const char *answer;
    struct epoll_event event;
    post(c, path, body);
    while ((answer = received(c)) == NULL)
        if (epoll_wait(epoll_fd, &event, 1, 10000) == 0)
            stop(path);
    return answer;
}

static void take(const char *answer, const char *key, char *out, size_t out_bytes)
{
    const char *at = strstr(answer, key);
    if (at == NULL)
        stop(answer);
    snprintf(out, out_bytes, "%.*s", (int)strcspn(at + strlen(key), "\""), at + strlen(key));
}

/* ---- a subscriber ---- */

static void poll_again(struct client *c)
{
    char body[200];
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"id\":\"3\","
             "\"connectionType\":\"long-polling\"}]",
             c->id);
    post(c, "/cometd/59.0/connect", body);
}

static void subscribe(struct client *c)
{
    char body[300];
    dial(c);
    take(ask(c, "/cometd/59.0/handshake",
             "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"id\":\"1\","
             "\"supportedConnectionTypes\":[\"long-polling\"]}]"),
         "\"clientId\":\"", c->id, sizeof c->id);
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/subscribe\",\"clientId\":\"%s\",\"id\":\"2\","
             "\"subscription\":\"" CHANNEL "\"}]",
             c->id);
    if (strstr(ask(c, "/cometd/59.0/subscribe", body), "\"successful\":true") == NULL)
        stop("subscribe");
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"id\":\"3\","
             "\"connectionType\":\"long-polling\"}]",
             c->id);
    ask(c, "/cometd/59.0/connect", body);
    poll_again(c);
    c->events = 0;
}

/* On the other connection, since its own one is held. */
static void leave(const struct client *c)
{
    char body[200];
    snprintf(body, sizeof body,
             "[{\"channel\":\"/meta/disconnect\",\"clientId\":\"%s\",\"id\":\"9\"}]", c->id);
    ask(&clients[CLIENTS_MAX], "/cometd/59.0/disconnect", body);
}

static long count(const char *answer)
{
    long n = 0;
    for (const char *at = answer; (at = strstr(at, "\"replayId\":")) != NULL; at++)
        n++;
    return n;
}

/* ---- a round ---- */

static double server_cpu_s(void)
{
    char path[64], text[1024] = "";
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)server);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(text, sizeof text, f) == NULL || strrchr(text, ')') == NULL ||
        sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &kernel) != 2)
        stop(path);
    fclose(f);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double server_rss_mb(void)
{
    char path[64], line[256];
    double kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)server);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtod(line + 6, NULL);
    if (f != NULL)
        fclose(f);
    return kb / 1024;
}

static void commit(int changes, long number)
{
    static char body[32768];
    size_t n = (size_t)snprintf(body, sizeof body, "{\"changes\":[");
    for (int i = 0; i < changes && n < sizeof body - 200; i++)
        n += (size_t)snprintf(body + n, sizeof body - n,
                              "%s{\"change\":\"create\",\"object\":\"Account\",\"fields\":{"
                              "\"Name\":\"Tide %ld-%d\"}}",
                              i > 0 ? "," : "", number, i);
    snprintf(body + n, sizeof body - n, "]}");
    post(&clients[CLIENTS_MAX], "/tidemark/v1/commit", body);
}

static void round_of(int subscribers, int changes, double seconds)
{
    struct epoll_event events[256];
    for (int i = 0; i < subscribers; i++)
        subscribe(&clients[i]);
    double cpu = server_cpu_s();
    int64_t began = tm_clock_monotonic_ns(), until = began + (int64_t)(seconds * TM_NS_PER_S);
    long commits = 0, waiting = 0, delivered = 0, offered = 0;
    while (waiting > 0 || tm_clock_monotonic_ns() < until) {
        if (waiting == 0) {
            commit(changes, ++commits);
            offered += changes;
            waiting = 1 + (long)subscribers * changes;
        }
        int n = epoll_wait(epoll_fd, events, 256, 20000);
        if (n <= 0)
            stop("no deliveries");
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            const char *answer = received(c);
            if (answer == NULL)
                continue;
            if (c == &clients[CLIENTS_MAX]) {
                waiting--;
                continue;
            }
            long got = count(answer);
            c->events += got;
            delivered += got;
            waiting -= got;
            poll_again(c);
        }
    }
    double took = (double)(tm_clock_monotonic_ns() - began) / 1e9;
    for (int i = 0; i < subscribers; i++)
        if (clients[i].events != offered)
            stop("a subscriber did not get each event once");
    cpu = server_cpu_s() - cpu;
    printf("cometd: %4d subscribers, %3d events a commit: %8.0f deliveries/s, %7.1f events/s, "
           "server CPU %5.1f us a delivery (%.0f %%), %.0f MB\n",
           subscribers, changes, (double)delivered / took, (double)offered / took,
           cpu * 1e6 / (double)delivered, cpu / took * 100, server_rss_mb());
    for (int i = 0; i < subscribers; i++) {
        leave(&clients[i]);
        close(clients[i].fd);
        free(clients[i].answer);
        clients[i].answer = NULL;
    }
}

int main(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    start();
    struct client *writer = &clients[CLIENTS_MAX];
    dial(writer);
    char body[] = "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                  "client_secret=tidemark-consumer-secret";
    take(ask(writer, "/services/oauth2/token", body), "\"access_token\":\"", token, sizeof token);
    round_of(1, 1, 2);
    round_of(1, 100, 2);
    round_of(10, 1, 2);
    round_of(10, 100, 2);
    round_of(1000, 1, 4);
    round_of(1000, 20, 4);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return 0;
}
