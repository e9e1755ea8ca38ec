/* tidemark kafka [--topics a:6,b:6]: the embedded broker, alone. First line of stdout is the
 * bootstrap address; runs until SIGTERM or SIGINT. Everything is in memory and gone with it.
 * tidemark kafka --wait SECONDS --brokers HOST:PORT: no broker of its own; until the brokers named
 * answer a request for metadata, with the TLS and sign-in of --kafka-properties. */
#include "mocks/kafka/embedded.h"
#include "run/command.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KAFKA_WAIT_S_MAX 3600

static enum tm_code kafka_wait(const struct tm_station_flags *flags, const char *seconds,
                               struct tm_err *err)
{
    struct tm_properties properties = { NULL, 0 };
    struct tm_kafka_cluster cluster;
    char *end;
    long s = strtol(seconds, &end, 10);
    if (*end != '\0' || s < 1 || s > KAFKA_WAIT_S_MAX)
        return tm_fail(err, TM_E_ARG, "--wait %.40s: 1 to %d seconds are wanted", seconds,
                       KAFKA_WAIT_S_MAX);
    if (flags->brokers == NULL)
        return tm_fail(err, TM_E_ARG, "--wait for which? give --brokers HOST:PORT");
    enum tm_code rc = tm_properties_load(&properties, flags->kafka_properties, err);
    const struct tm_kafka_access access = { flags->brokers, (const char *const *)properties.items,
                                            properties.count, (int)s * 1000 };
    if (rc == TM_OK)
        rc = tm_topic_kafka_cluster(&cluster, &access, err);
    if (rc == TM_OK && flags->json)
        tm_command_json(json_pack("{s:s, s:i}", "cluster", cluster.id, "brokers", cluster.brokers));
    else if (rc == TM_OK)
        printf("cluster %s, %d broker%s\n", cluster.id, cluster.brokers,
               cluster.brokers == 1 ? "" : "s");
    tm_properties_free(&properties);
    return rc;
}

int tm_cmd_kafka(int argc, char **argv)
{
    static const char *const known[] = { "topics", "wait", NULL };
    struct tm_station_flags flags;
    const char *given[2] = { NULL, NULL }, *topics;
    struct tm_embedded *broker = NULL;
    struct tm_err err;
    sigset_t signals;
    int caught = 0;
    tm_err_clear(&err);
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, known, given, &err);
    topics = given[0];
    if (rc == TM_OK && given[1] != NULL) {
        rc = kafka_wait(&flags, given[1], &err);
        return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("kafka", &err);
    }
    /* Blocked before the broker's threads start, so that sigwait is the only one to see them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    if (rc == TM_OK && flags.config_path != NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "\"%s\": this command takes no file; topics are given as --topics a:6,b:6",
                     flags.config_path);
    if (rc == TM_OK)
        rc = tm_embedded_open(&broker, &err);
    if (rc == TM_OK && topics != NULL)
        rc = tm_embedded_topics(broker, topics, &err);
    if (rc == TM_OK) {
        if (flags.json)
            tm_command_json(json_pack("{s:s}", "bootstrap", tm_embedded_bootstrap(broker)));
        else
            printf("%s\n", tm_embedded_bootstrap(broker));
        fflush(stdout);
        sigwait(&signals, &caught);
    }
    tm_embedded_close(broker);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("kafka", &err);
}
