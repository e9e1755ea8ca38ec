/* cmd_view: `tidemark view CONFIG.json`: follows raw.db (--raw, TIDEMARK_RAW; else raw.db beside
 * the warehouse) and keeps the snapshots (view/store.h) in a database of its own
 * (--warehouse). With raise.no_base it also asks, on the alerts topics, for records that lack a
 * full image. */
#include "run/command.h"
#include "base/config.h"
#include "base/describe.h"
#include "base/log.h"
#include "view/view.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct tm_key view_keys[] = {
    { "name", TM_KEY_TEXT, 0, "view", 0, 0, NULL, "of this station, in logs and counters" },
    { "objects", TM_KEY_LIST, TM_KEY_REQUIRED, NULL, 0, 0, NULL,
      "objects to keep: Opportunity, Account, …" },
    { "raise.no_base", TM_KEY_BOOL, 0, "false", 0, 0, NULL,
      "ask for records whose updates have no full image below" },
    { "poll.interval.ms", TM_KEY_INT, 0, "2", 1, 60000, NULL,
      "how often to look for new raw rows" },
    { "reading.groups", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "consumer groups that read the alerts topics (embedded broker)" },
    TM_PROPERTIES_ENTRY,
    { "batch.max.rows", TM_KEY_INT, 0, "2000", 1, 100000, NULL,
      "raw rows of a table applied in one transaction" },
};
#define VIEW_KEYS (sizeof view_keys / sizeof view_keys[0])

enum tm_code tm_view_config(struct tm_config **out, const char *path, struct tm_err *err)
{
    return tm_config_load(out, path, view_keys, VIEW_KEYS, err);
}

enum tm_code tm_view_settings_read(struct tm_view_settings *out, const struct tm_config *config,
                                   struct tm_err *err)
{
    *out = (struct tm_view_settings){ .raise_no_base = tm_config_bool(config, "raise.no_base"),
                                      .poll_ns =
                                          tm_config_int(config, "poll.interval.ms") * TM_NS_PER_MS,
                                      .rows_max = (size_t)tm_config_int(config, "batch.max.rows") };
    out->objects_count = tm_config_list(config, "objects", &out->objects);
    if (out->objects_count > TM_VIEW_OBJECTS_MAX)
        return tm_fail(err, TM_E_ARG, "objects: at most %d", TM_VIEW_OBJECTS_MAX);
    return TM_OK;
}

struct cmd_view {
    struct tm_view *view;
    struct tm_http *http;
    struct tm_topic *topic;
    struct tm_properties properties;
    const char *stats_path, *name;
};

static enum tm_code view_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                              struct tm_err *err)
{
    return tm_view_step(((struct cmd_view *)self)->view, now, wake, err);
}

static void view_second(void *self)
{
    struct cmd_view *c = self;
    tm_stats_write(c->stats_path, c->name, c->http, &c->topic, c->topic != NULL ? 1 : 0);
}

/* Describes are only needed to spell the alerts' schema as every other producer of the
 * topic does. */
static enum tm_code view_describes(struct tm_describe **out, const char *const *objects,
                                   size_t count, const char *dir, struct tm_err *err)
{
    for (size_t i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s.json", dir, objects[i]);
        enum tm_code rc = tm_describe_load(&out[i], path, err);
        if (rc != TM_OK)
            return tm_at(err, "raise.no_base: describe of %s", objects[i]);
    }
    return TM_OK;
}

static enum tm_code view_ports(struct cmd_view *c, struct tm_view_ports *ports,
                               const struct tm_station_flags *flags, const struct tm_config *config,
                               struct tm_err *err)
{
    struct tm_kafka_options kafka = { .brokers = flags->brokers,
                                      .client_id = "tidemark-view",
                                      .properties = (const char *const *)c->properties.items,
                                      .properties_count = c->properties.count,
                                      .embedded = flags->embedded };
    kafka.reading_groups_count = tm_config_list(config, "reading.groups", &kafka.reading_groups);
    if (flags->brokers == NULL || flags->registry == NULL || flags->objects_dir == NULL)
        return tm_fail(err, TM_E_ARG,
                       "raise.no_base wants --brokers, --registry and --objects (describe files)");
    enum tm_code rc = tm_http_curl_open(&c->http, "tidemark-view/1", flags->ca_path, err);
    if (rc == TM_OK)
        rc = tm_registry_open(&ports->registry, c->http, flags->registry, err);
    if (rc == TM_OK)
        rc = tm_topic_kafka_open(&c->topic, &kafka, err);
    ports->topic = c->topic;
    return rc;
}

static enum tm_code view_drive(struct cmd_view *c, const struct tm_station_flags *flags,
                               const struct tm_config *config, const char *raw_path,
                               struct tm_err *err)
{
    struct tm_view_settings settings;
    struct tm_view_ports ports = { .db = NULL };
    struct tm_describe *describes[TM_VIEW_OBJECTS_MAX] = { NULL };
    struct tm_clock_file *clock = NULL;
    sqlite3 *db = NULL;
    int fd = -1;
    enum tm_code rc = tm_view_settings_read(&settings, config, err);
    if (rc != TM_OK)
        return rc;
    settings.raw_path = raw_path;
    if (flags->clock_path != NULL)
        rc = tm_clock_file_open(&clock, flags->clock_path, err);
    if (rc == TM_OK)
        rc = tm_sql_open(&db, flags->warehouse, TM_SQL_CREATE, err);
    if (rc == TM_OK && settings.raise_no_base)
        rc = view_ports(c, &ports, flags, config, err);
    if (rc == TM_OK && settings.raise_no_base)
        rc = view_describes(describes, settings.objects, settings.objects_count, flags->objects_dir,
                            err);
    ports.db = db;
    ports.describes = (const struct tm_describe *const *)describes;
    if (rc == TM_OK)
        rc = tm_view_open(&c->view, &settings, &ports, err);
    if (rc == TM_OK) {
        struct tm_driven driven = {
            .step = view_step, .self = c, .http = c->http, .clock = clock, .on_second = view_second
        };
        if (c->topic != NULL && (fd = c->topic->ops->event_fd(c->topic)) >= 0) {
            driven.fds = &fd;
            driven.fds_count = 1;
        }
        if (access(raw_path, F_OK) != 0)
            tm_log(TM_LOG_INFO, "waiting for the sink to make %s", raw_path);
        rc = tm_drive(&driven, err);
        view_second(c);
        const struct tm_view_counts *n = tm_view_counted(c->view);
        tm_log(TM_LOG_INFO,
               "%llu raw rows, %llu events, %llu records written, %llu whole or range reads, %llu "
               "asks",
               (unsigned long long)n->rows, (unsigned long long)n->events,
               (unsigned long long)n->records, (unsigned long long)n->reads,
               (unsigned long long)n->asks);
    }
    tm_view_close(c->view);
    tm_registry_close(ports.registry);
    for (size_t i = 0; i < TM_VIEW_OBJECTS_MAX; i++)
        tm_describe_close(describes[i]);
    tm_sql_close(db);
    tm_clock_file_close(clock);
    return rc;
}

int tm_cmd_view(int argc, char **argv)
{
    static const char *const extra_names[] = { "raw", NULL };
    const char *extra[1] = { NULL };
    char beside[1024];
    struct tm_err err = { .code = TM_OK };
    struct tm_station_flags flags;
    struct tm_config *config = NULL;
    struct cmd_view c = { .view = NULL };
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, extra_names, extra, &err);
    if (rc == TM_OK && flags.config_path == NULL)
        rc = tm_fail(
            &err, TM_E_ARG,
            "no config given; usage: tidemark view CONFIG.json --raw raw.db --warehouse view.db");
    if (rc == TM_OK && flags.warehouse == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no --warehouse given: the SQLite file the view writes, one of its own");
    if (rc == TM_OK && extra[0] == NULL) {
        const char *slash = strrchr(flags.warehouse, '/');
        snprintf(beside, sizeof beside, "%.*sraw.db",
                 slash != NULL ? (int)(slash - flags.warehouse) + 1 : 0, flags.warehouse);
        extra[0] = beside;
    }
    if (rc == TM_OK && strcmp(flags.warehouse, extra[0]) == 0)
        rc = tm_fail(&err, TM_E_ARG,
                     "--raw and --warehouse are one file; the view needs one of its own");
    if (rc == TM_OK)
        rc = tm_view_config(&config, flags.config_path, &err);
    if (rc == TM_OK)
        rc = tm_command_properties(&c.properties, &flags, config, &err);
    if (rc == TM_OK) {
        c.name = tm_config_name(config);
        c.stats_path = flags.stats_path;
        tm_log_init(c.name, TM_LOG_INFO);
        rc = view_drive(&c, &flags, config, extra[0], &err);
    }
    int exit_code = rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("view", &err);
    if (c.topic != NULL)
        c.topic->ops->close(c.topic);
    if (c.http != NULL)
        c.http->ops->close(c.http);
    tm_properties_free(&c.properties);
    tm_config_close(config);
    return exit_code;
}
