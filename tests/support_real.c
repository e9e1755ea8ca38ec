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

void tm_test_broker_new(struct tm_test_broker *b, const char *dir)
{
    *b = (struct tm_test_broker){ .pid = -1 };
    snprintf(b->dir, sizeof b->dir, "%s/broker", dir);
    b->port = REAL_PORT_FIRST + (int)(tm_clock_realtime_ns() / 1000 % REAL_PORTS);
    while (!port_is_free(b->port) || !port_is_free(b->port + 1))
        b->port = REAL_PORT_FIRST + (b->port - REAL_PORT_FIRST + 7) % REAL_PORTS;
    snprintf(b->address, sizeof b->address, "127.0.0.1:%d", b->port);
}

static void broker_exec(const struct tm_test_broker *b, pid_t parent)
{
    char log[160], port[16];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    mkdir(b->dir, 0777);
    snprintf(log, sizeof log, "%s/log", b->dir);
    snprintf(port, sizeof port, "%d", b->port);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, 1);
    dup2(fd, 2);
    if (b->properties != NULL)
        setenv("BROKER_PROPERTIES", b->properties, 1);
    execl("/bin/sh", "sh", "mocks/kafka/real.sh", "broker", b->dir, port, (char *)NULL);
    _exit(127);
}

void tm_test_broker_start(struct tm_test_broker *b)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_properties properties;
    struct tm_kafka_cluster cluster;
    pid_t parent = getpid();
    assert_int_equal(tm_properties_load(&properties, b->client, &err), TM_OK);
    const struct tm_kafka_access access = { b->address, (const char *const *)properties.items,
                                            properties.count, REAL_START_MS };
    b->pid = fork();
    assert_true(b->pid >= 0);
    if (b->pid == 0)
        broker_exec(b, parent);
    if (tm_topic_kafka_cluster(&cluster, &access, &err) != TM_OK)
        fail_msg("%s; see %s/log", err.msg, b->dir);
    tm_properties_free(&properties);
}

void tm_test_broker_kill(struct tm_test_broker *b)
{
    if (b->pid <= 0)
        return;
    kill(b->pid, SIGKILL);
    waitpid(b->pid, NULL, 0);
    b->pid = -1;
}
