#include "support_real.h"
#include "support_command.h"
#include "topic/properties.h"
#include "topic/topic.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define REAL_START_MS 90000
#define REAL_PORT_FIRST 15000 /* below those the system hands out to clients */
#define REAL_PORTS 16000

static bool port_is_free(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return ok;
}

static int real_port(void)
{
    int port = REAL_PORT_FIRST + (int)(tm_clock_realtime_ns() / 1000 % REAL_PORTS);
    while (!port_is_free(port) || !port_is_free(port + 1))
        port = REAL_PORT_FIRST + (port - REAL_PORT_FIRST + 7) % REAL_PORTS;
    return port;
}

/* mocks/kafka/real.sh PART DIR PORT, its words in DIR/log. */
static pid_t real_start(const char *part, const char *dir, int port, const char *properties)
{
    char log[160], number[16];
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    mkdir(dir, 0777);
    snprintf(log, sizeof log, "%s/log", dir);
    snprintf(number, sizeof number, "%d", port);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, 1);
    dup2(fd, 2);
    if (properties != NULL)
        setenv("BROKER_PROPERTIES", properties, 1);
    execl("/bin/sh", "sh", "mocks/kafka/real.sh", part, dir, number, (char *)NULL);
    _exit(127);
}

static void real_kill(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    *pid = -1;
}

void tm_test_broker_new(struct tm_test_broker *b, const char *dir)
{
    *b = (struct tm_test_broker){ .pid = -1, .port = real_port() };
    snprintf(b->dir, sizeof b->dir, "%s/broker", dir);
    snprintf(b->address, sizeof b->address, "127.0.0.1:%d", b->port);
}

void tm_test_broker_start(struct tm_test_broker *b)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_properties properties;
    struct tm_kafka_cluster cluster;
    assert_int_equal(tm_properties_load(&properties, b->client, &err), TM_OK);
    const struct tm_kafka_access access = { b->address, (const char *const *)properties.items,
                                            properties.count, REAL_START_MS };
    b->pid = real_start("broker", b->dir, b->port, b->properties);
    if (tm_topic_kafka_cluster(&cluster, &access, &err) != TM_OK)
        fail_msg("%s; see %s/log", err.msg, b->dir);
    tm_properties_free(&properties);
}

void tm_test_broker_kill(struct tm_test_broker *b)
{
    real_kill(&b->pid);
}

void tm_test_registry_new(struct tm_test_registry *r, const char *dir)
{
    *r = (struct tm_test_registry){ .pid = -1, .port = real_port() };
    snprintf(r->dir, sizeof r->dir, "%s/registry", dir);
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d/apis/ccompat/v7", r->port);
}

void tm_test_registry_start(struct tm_test_registry *r)
{
    char command[160];
    r->pid = real_start("registry", r->dir, r->port, NULL);
    snprintf(command, sizeof command, "curl -fs %s/subjects >/dev/null 2>&1", r->url);
    for (int ms = 0; system(command) != 0; ms += 200) {
        if (ms > REAL_START_MS)
            fail_msg("the registry is not up; see %s/log", r->dir);
        tm_test_pause(200);
    }
}

void tm_test_registry_kill(struct tm_test_registry *r)
{
    real_kill(&r->pid);
}
