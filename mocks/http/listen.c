#include "mocks/http/listen.h"
#include "mocks/http/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_OTHER_FDS 200 /* databases, logs, what the process has besides connections */

static enum tm_code listen_failed(struct tm_err *err, const char *address, int port, int why)
{
    if (why == EADDRINUSE)
        return tm_fail(err, TM_E_ARG,
                       "port %d on %s is in use; stop what listens there or choose another port "
                       "(0 takes any free one)",
                       port, address);
    return tm_fail(err, TM_E_ARG, "cannot listen on port %d of %s: %s", port, address,
                   strerror(why));
}

enum tm_code tm_mock_listen(int *out_fd, int *out_port, const char *address, int port,
                            struct tm_err *err)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    int one = 1;
    if (port < 0 || port > 65535)
        return tm_fail(err, TM_E_ARG, "port %d is not between 0 and 65535", port);
    if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
        return tm_fail(err, TM_E_ARG,
                       "\"%s\" is not an IP address to listen on (for example 127.0.0.1)", address);
    struct sockaddr *name = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t name_bytes = is_v4 ? sizeof v4 : sizeof v6;
    int fd = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return tm_fail(err, TM_E_IO, "a listening socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, name, name_bytes) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, name, &name_bytes) != 0) {
        int why = errno;
        close(fd);
        return listen_failed(err, address, port, why);
    }
    *out_fd = fd;
    *out_port = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
    return TM_OK;
}

unsigned tm_mock_connections(void)
{
    const rlim_t wanted = TM_MOCK_CONNECTIONS_MAX + LISTEN_OTHER_FDS;
    struct rlimit files = { .rlim_cur = 1024, .rlim_max = 1024 };
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < wanted) {
        files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= wanted)
        return TM_MOCK_CONNECTIONS_MAX;
    return files.rlim_cur > 2 * LISTEN_OTHER_FDS ? (unsigned)files.rlim_cur - LISTEN_OTHER_FDS
                                                 : LISTEN_OTHER_FDS;
}
