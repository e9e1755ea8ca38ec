/* cmd_batch: `tidemark batch CONFIG.json`: one polling preset into one database
 * file (--warehouse). */
#include "run/command.h"
#include "base/log.h"
#include "batch/batch.h"
#include <stdio.h>
#include <string.h>

struct cmd_batch {
    struct tm_batch *batch;
    struct tm_http *http;
    const char *stats_path, *name;
};

static void batch_note(void *data, const char *text)
{
    (void)data;
    tm_log(TM_LOG_INFO, "%s", text);
}

static enum tm_code batch_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                               struct tm_err *err)
{
    return tm_batch_step(((struct cmd_batch *)self)->batch, now, wake, err);
}

static void batch_second(void *self)
{
    struct cmd_batch *c = self;
    tm_stats_write(c->stats_path, c->name, c->http, NULL, 0);
}

static void batch_summary(const struct cmd_batch *c)
{
    const struct tm_batch_counts *n = tm_batch_counts(c->batch);
    tm_log(TM_LOG_INFO,
           "%llu polls (%llu failed, %llu grid points skipped), %llu pages, %llu rows read, %llu "
           "changed, "
           "%llu removed",
           (unsigned long long)n->polls, (unsigned long long)n->polls_failed,
           (unsigned long long)n->grid_skipped, (unsigned long long)n->pages,
           (unsigned long long)n->rows_read, (unsigned long long)n->rows_changed,
           (unsigned long long)n->rows_removed);
}

static enum tm_code batch_run(const struct tm_station_flags *flags,
                              const struct tm_batch_settings *settings, struct tm_err *err)
{
    struct cmd_batch c = { .stats_path = flags->stats_path, .name = settings->name };
    struct tm_sf_session *session = NULL;
    struct tm_sf_settings salesforce = settings->salesforce;
    struct tm_clock_file *clock = NULL;
    char agent[TM_AGENT_BYTES];
    enum tm_code rc = TM_OK;
    salesforce.real_ms_at_zero = tm_clock_real_ms_at_zero();
    if (flags->clock_path != NULL &&
        (rc = tm_clock_file_open(&clock, flags->clock_path, err)) != TM_OK)
        goto done;
    if ((rc = tm_http_curl_open(&c.http, tm_command_agent(agent, settings->name), flags->ca_path,
                                err)) != TM_OK ||
        (rc = tm_sf_session_open(&session, c.http, &salesforce, err)) != TM_OK ||
        (rc = tm_batch_open(&c.batch, settings, session, c.http, flags->warehouse, batch_note, NULL,
                            err)) != TM_OK)
        goto done;
    struct tm_driven driven = {
        .step = batch_step, .self = &c, .http = c.http, .clock = clock, .on_second = batch_second
    };
    rc = tm_drive(&driven, err);
    batch_second(&c);
    batch_summary(&c);
done:
    tm_batch_close(c.batch);
    tm_sf_session_close(session);
    if (c.http != NULL)
        c.http->ops->close(c.http);
    tm_clock_file_close(clock);
    return rc;
}

int tm_cmd_batch(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_station_flags flags;
    struct tm_batch_settings settings;
    struct tm_config *config = NULL;
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, NULL, NULL, &err);
    if (rc == TM_OK && flags.config_path == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no preset given; usage: tidemark batch CONFIG.json --warehouse FILE (see "
                     "fixtures/batch)");
    if (rc == TM_OK && flags.warehouse == NULL)
        rc = tm_fail(&err, TM_E_ARG,
                     "no --warehouse given: the SQLite file this preset writes, one file a preset");
    if (rc == TM_OK)
        rc = tm_batch_settings_load(&settings, &config, flags.config_path, flags.salesforce_url,
                                    &err);
    if (rc == TM_OK) {
        tm_log_init(settings.name, TM_LOG_INFO);
        rc = batch_run(&flags, &settings, &err);
    }
    int exit_code = rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("batch", &err);
    tm_config_close(config);
    return exit_code;
}
