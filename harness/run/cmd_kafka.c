/* tidemark kafka [--topics a:6,b:6]: the embedded broker, alone. First line of stdout is the
 * bootstrap address; runs until SIGTERM or SIGINT. Everything is in memory and gone with it. */
#include "mocks/kafka/embedded.h"
#include "run/command.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

int tm_cmd_kafka(int argc, char **argv)
{
    static const char *const known[] = { "topics", NULL };
    struct tm_station_flags flags;
    const char *topics = NULL;
    struct tm_embedded *broker = NULL;
    struct tm_err err;
    sigset_t signals;
    int caught = 0;
    tm_err_clear(&err);
    /* Blocked before the broker's threads start, so that sigwait is the only one to see them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    enum tm_code rc = tm_flags_parse(&flags, argc, argv, known, &topics, &err);
    if (rc == TM_OK && flags.config_path != NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "\"%s\": this command takes no file; topics are given as --topics a:6,b:6",
                     flags.config_path);
    if (rc == TM_OK)
        rc = tm_embedded_open(&broker, &err);
    if (rc == TM_OK && topics != NULL)
        rc = tm_embedded_topics(broker, topics, &err);
    if (rc == TM_OK) {
        printf("%s\n", tm_embedded_bootstrap(broker));
        fflush(stdout);
        sigwait(&signals, &caught);
    }
    tm_embedded_close(broker);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("kafka", &err);
}
