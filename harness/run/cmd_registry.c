/* tidemark registry [--port N] [--store FILE]: the embedded schema registry, alone. First line of
 * stdout is its URL; runs until SIGTERM or SIGINT. Everything is in memory and gone with it, unless
 * --store names a file that keeps it over any end. */
#include "base/log.h"
#include "mocks/http/server.h"
#include "mocks/registry/registry.h"
#include "mocks/registry/store.h"
#include "run/command.h"
#include <stdio.h>
#include <stdlib.h>

struct cmd_registry {
    struct tm_mock_registry *registry;
    struct tm_registry_store *store; /* NULL: in memory */
    struct tm_mock_server *server;
};

static enum tm_code cmd_registry_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                                      struct tm_err *err)
{
    struct cmd_registry *c = self;
    enum tm_code rc = tm_mock_server_step(c->server, now, wake, err);
    if (c->store != NULL && tm_registry_store_broken(c->store, err) != TM_OK)
        return err->code;
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

static enum tm_code cmd_registry_open(struct cmd_registry *c, const char *port, const char *store,
                                      struct tm_err *err)
{
    struct tm_mock_server_settings settings = { .bind = "127.0.0.1" };
    struct tm_mock_handler handler;
    enum tm_code rc = cmd_registry_port(&settings.port, port, err);
    if (rc == TM_OK)
        rc = tm_mock_registry_open(&c->registry, err);
    if (rc == TM_OK && store != NULL)
        rc = tm_registry_store_open(&c->store, c->registry, store, err);
    if (rc != TM_OK)
        return rc;
    handler = c->store != NULL ? tm_registry_store_handler(c->store)
                               : tm_mock_registry_handler(c->registry);
    return tm_mock_server_open(&c->server, &settings, &handler, err);
}

int tm_cmd_registry(int argc, char **argv)
{
    static const char *const known[] = { "port", "store", NULL };
    const char *given[] = { NULL, NULL };
    struct cmd_registry c = { .registry = NULL };
    struct tm_station_flags flags;
    struct tm_err err;
    tm_log_init("registry", TM_LOG_INFO);
    tm_err_clear(&err);
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, known, given, &err);
    if (rc == TM_OK && flags.config_path != NULL)
        rc = tm_fail(&err, TM_E_ARG, "\"%s\": this command takes no file", flags.config_path);
    if (rc == TM_OK)
        rc = cmd_registry_open(&c, given[0], given[1], &err);
    if (rc == TM_OK) {
        const int fds[] = { tm_mock_server_fd(c.server) };
        const struct tm_driven driven = {
            .step = cmd_registry_step, .self = &c, .fds = fds, .fds_count = 1
        };
        if (flags.json)
            tm_command_json(json_pack("{s:s}", "url", tm_mock_server_url(c.server)));
        else
            printf("%s\n", tm_mock_server_url(c.server));
        fflush(stdout);
        rc = tm_drive(&driven, &err);
    }
    tm_mock_server_close(c.server);
    tm_registry_store_close(c.store);
    tm_mock_registry_close(c.registry);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("registry", &err);
}
