/* tidemark registry [--port N]: the embedded schema registry, alone. First line of stdout is its
 * URL; runs until SIGTERM or SIGINT. Everything is in memory and gone with it. */
#include "base/log.h"
#include "mocks/http/server.h"
#include "mocks/registry/registry.h"
#include "run/command.h"
#include <stdio.h>
#include <stdlib.h>

static enum tm_code cmd_registry_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                      struct tm_err *err)
{
    enum tm_code rc = tm_mock_server_step(self, now, wake, err);
    return rc == TM_OK ? TM_E_AGAIN
                       : rc; /* what is still to do is in *wake and in the descriptor */
}

static enum tm_code cmd_registry_port(int *out, const char *text, struct tm_err *err)
{
    char *end;
    long port = text != NULL ? strtol(text, &end, 10) : 0;
    if (text != NULL && (*end != '\0' || port < 0 || port > 65535))
        return tm_fail(err, TM_E_ARG, "--port %s is not a port; give 0 (any free one) to 65535",
                       text);
    *out = (int)port;
    return TM_OK;
}

int tm_cmd_registry(int argc, char **argv)
{
    static const char *const known[] = { "port", NULL };
    struct tm_station_flags flags;
    struct tm_mock_server_settings settings = { .bind = "127.0.0.1" };
    struct tm_mock_registry *registry = NULL;
    struct tm_mock_server *server = NULL;
    const char *port = NULL;
    struct tm_err err;
    tm_log_init("registry", TM_LOG_INFO);
    tm_err_clear(&err);
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, known, &port, &err);
    if (rc == TM_OK && flags.config_path != NULL)
        rc = tm_fail(&err, TM_E_ARG, "\"%s\": this command takes no file", flags.config_path);
    if (rc == TM_OK)
        rc = cmd_registry_port(&settings.port, port, &err);
    if (rc == TM_OK)
        rc = tm_mock_registry_open(&registry, &err);
    if (rc == TM_OK) {
        struct tm_mock_handler handler = tm_mock_registry_handler(registry);
        rc = tm_mock_server_open(&server, &settings, &handler, &err);
    }
    if (rc == TM_OK) {
        const int fds[] = { tm_mock_server_fd(server) };
        const struct tm_driven driven = {
            .step = cmd_registry_step, .self = server, .fds = fds, .fds_count = 1
        };
        printf("%s\n", tm_mock_server_url(server));
        fflush(stdout);
        rc = tm_drive(&driven, &err);
    }
    tm_mock_server_close(server);
    tm_mock_registry_close(registry);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("registry", &err);
}
