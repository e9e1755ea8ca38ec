/* tidemark serve: the mock Salesforce, alone or under `tidemark run`. First line of stdout is its
 * base URL; then, unless
 * --quiet, the credentials and examples to copy. The scenario's users work inside its loop and come
 * before any request, so that a commit is late by no more than one slice of an answer. SIGTERM and
 * SIGINT close cleanly.
 *
 *   --port N --bind ADDR          where to listen; 127.0.0.1 and any free port unless told
 *   --org FILE                    the org's database; without it the org is in memory and gone when
 * the server stops
 *   --objects DIR                 describe files, fixtures/objects unless told
 *   --scenario FILE               population, delays, limits and what the users do; without it
 * nobody works but you
 *   --clock FILE                  shared clock of a run; without it the server has its own, which
 * POST /tidemark/v1/clock moves on: from a scenario's origin, or from now where there is none
 *   --seed N --long-poll-ms N --token-life-s N
 *   --subscribers N               streaming clients at a time, the edition's number unless told
 *   --username --password --password-token --consumer-key --consumer-secret --refresh-token
 *   --jwt-certificate FILE        PEM or DER: whose key signs the assertions of JWT bearer sign-ins
 *   --tls                         HTTPS by a certificate authority of its own, kept beside the
 * org's file (serve_tls.h); --tls-names A,B: further names it goes by, in the
 *   certificate and for the control API
 *   --quiet */
#include "base/log.h"
#include "mocks/http/server.h"
#include "mocks/salesforce/routes.h"
#include "mocks/salesforce/workload.h"
#include "run/command.h"
#include "run/serve_show.h"
#include "run/serve_tls.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* wall seconds between emptyings of the recycle bin */
#define SERVE_PURGE_S 60
#define SERVE_BODY_BYTES_MAX (32u << 20)
/* entries of history that the lagged copies take over in one step: about a millisecond */
#define SERVE_LAG_CHANGES_MAX 32
/* key in the org's meta table, of one row */
#define SERVE_SESSION "session %zu"
#define SERVE_KEY_BYTES 32
#define SERVE_ADVANCE_MS_MAX (3650 * 86400000LL)

enum serve_flag {
    SERVE_PORT,
    SERVE_BIND,
    SERVE_ORG,
    SERVE_SCENARIO,
    SERVE_SEED,
    SERVE_LONG_POLL,
    SERVE_SUBSCRIBERS,
    SERVE_TOKEN_LIFE,
    SERVE_USERNAME,
    SERVE_PASSWORD,
    SERVE_PASSWORD_TOKEN,
    SERVE_KEY,
    SERVE_SECRET,
    SERVE_REFRESH_TOKEN,
    SERVE_USERS,
    SERVE_JWT_CERTIFICATE,
    SERVE_TLS,
    SERVE_TLS_NAMES,
    SERVE_QUIET,
    SERVE_FLAGS
};
static const char *const serve_names[] = { "port",
                                           "bind",
                                           "org",
                                           "scenario",
                                           "seed",
                                           "long-poll-ms",
                                           "subscribers",
                                           "token-life-s",
                                           "username",
                                           "password",
                                           "password-token",
                                           "consumer-key",
                                           "consumer-secret",
                                           "refresh-token",
                                           "users",
                                           "jwt-certificate",
                                           "tls!",
                                           "tls-names",
                                           "quiet!",
                                           NULL };
struct serve {
    struct tm_station_flags flags;
    const char *given[SERVE_FLAGS];
    struct tm_scenario *scenario;
    struct tm_org *org;
    struct tm_workload *workload; /* NULL: nobody works */
    struct tm_salesforce *salesforce;
    struct tm_mock_server *server;
    struct tm_secret_key *jwt_certificate;
    struct tm_serve_tls tls;
    struct tm_clock_file *clock;
    bool started;     /* the clock runs and the workload knows */
    int64_t pos_told; /* history position subscribers were told of */
    unsigned seconds;
    struct tm_err broken; /* found outside a step; told by the next one */
};

static void serve_wake(void *data, uint64_t token)
{
    tm_mock_server_wake(data, token);
}

/* ---- opening ---- */

static enum tm_code serve_number(int64_t *out, const struct serve *s, enum serve_flag flag,
                                 int64_t preset, int64_t first, int64_t last, struct tm_err *err)
{
    const char *text = s->given[flag];
    char *end;
    *out = preset;
    if (text == NULL)
        return TM_OK;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || n < first || n > last)
        return tm_fail(err, TM_E_ARG,
                       "--%s %.40s: give a whole number from %" PRId64 " to %" PRId64,
                       serve_names[flag], text, first, last);
    *out = n;
    return TM_OK;
}

static enum tm_code serve_scenario(struct serve *s, struct tm_err *err)
{
    enum tm_code rc;
    int64_t seed;
    if (s->given[SERVE_SCENARIO] != NULL) {
        rc = tm_scenario_load(&s->scenario, s->given[SERVE_SCENARIO], err);
    } else {
        json_t *none = json_object();
        rc = tm_scenario_parse(&s->scenario, none, "tidemark serve", err);
        json_decref(none);
    }
    if (rc == TM_OK)
        rc = serve_number(&seed, s, SERVE_SEED, (int64_t)s->scenario->seed, 0, INT64_MAX, err);
    if (rc == TM_OK)
        s->scenario->seed = (uint64_t)seed;
    return rc;
}

/* Without the clock file of a run: a clock of our own, unlinked at once, started when all is open.
 * An org that was there before goes on no earlier than it stopped. */
static enum tm_code serve_own_clock(struct serve *s, bool works, struct tm_err *err)
{
    char path[] = "/tmp/tidemark-clock-XXXXXX";
    int fd = mkstemp(path);
    int64_t last_ms = tm_org_ms_last(s->org),
            origin_ms = works ? s->scenario->origin_ms : tm_clock_realtime_ns() / TM_NS_PER_MS;
    if (fd < 0)
        return tm_fail(err, TM_E_IO, "cannot make a clock file in /tmp");
    close(fd);
    enum tm_code rc =
        tm_clock_file_create(&s->clock, path, last_ms > origin_ms ? last_ms : origin_ms,
                             works ? s->scenario->compress : 1, err);
    unlink(path);
    return rc;
}

static const char *serve_boot_id(char *out, size_t out_bytes)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    *out = '\0';
    if (f != NULL && fgets(out, (int)out_bytes, f) != NULL)
        out[strcspn(out, "\n")] = '\0';
    if (f != NULL)
        fclose(f);
    return *out != '\0' ? out : NULL;
}

static enum tm_code serve_org(struct serve *s, struct tm_err *err)
{
    const struct tm_scenario *scenario = s->scenario;
    bool works = s->given[SERVE_SCENARIO] != NULL;
    char boot_id[64];
    struct tm_org_settings settings = {
        .path = s->given[SERVE_ORG] != NULL ? s->given[SERVE_ORG] : ":memory:",
        .objects_dir = s->flags.objects_dir != NULL ? s->flags.objects_dir : "fixtures/objects",
        .objects = scenario->objects,
        .seed = scenario->seed,
        .origin_ms = scenario->origin_ms,
        .compress = works ? scenario->compress : 1,
        .publish_delay_ms = scenario->publish_delay_ms,
        .index_lag_ms = scenario->index_lag_ms,
        .events_per_day = scenario->events_per_day,
        .api_calls_per_day = scenario->api_calls_per_day,
        .edition = scenario->edition,
        .scenario = scenario->name,
        .boot_id = serve_boot_id(boot_id, sizeof boot_id),
        .setup_objects = s->flags.clock_path == NULL, /* a run has no use for them */
    };
    enum tm_code rc = tm_org_open(&s->org, &settings, err);
    if (rc == TM_OK && s->flags.clock_path != NULL)
        rc = tm_clock_file_open(&s->clock, s->flags.clock_path, err);
    else if (rc == TM_OK)
        rc = serve_own_clock(s, works, err);
    if (rc == TM_OK)
        rc = tm_workload_populate(s->org, scenario, err);
    if (rc == TM_OK && works) /* before anything is served: it takes tens of milliseconds */
        rc = tm_org_lag_step(s->org, tm_clock_now(s->clock).org_ms, INT64_MAX, err);
    if (rc == TM_OK && works)
        rc = tm_workload_open(&s->workload, s->org, scenario, err);
    s->pos_told = rc == TM_OK ? tm_org_pos_last(s->org) : 0;
    return rc;
}

/* Sessions outlive a restart, as those of a real org outlive its maintenance: their digests are in
 * the org's file. */
static enum tm_code serve_sessions_load(struct serve *s, struct tm_err *err)
{
    struct tm_oauth *oauth = tm_salesforce_oauth(s->salesforce);
    struct tm_now now = tm_clock_now(s->clock);
    struct tm_err lost = { .code = TM_OK };
    enum tm_code rc = TM_OK;
    for (size_t row = 0; rc == TM_OK && row < tm_oauth_rows(oauth); row++) {
        char key[SERVE_KEY_BYTES], text[TM_OAUTH_ROW_BYTES_MAX];
        snprintf(key, sizeof key, SERVE_SESSION, row);
        rc = tm_org_meta_get(s->org, key, text, sizeof text, err);
        if (rc == TM_OK)
            tm_oauth_load(oauth, row, text, &now, &lost);
    }
    if (lost.code != TM_OK)
        tm_log(TM_LOG_WARN, "%s; who had it signs in again", lost.msg);
    return rc;
}

static enum tm_code serve_sessions_keep(struct serve *s, struct tm_err *err)
{
    struct tm_oauth *oauth = s->salesforce != NULL ? tm_salesforce_oauth(s->salesforce) : NULL;
    enum tm_code rc = TM_OK;
    struct tm_buf text;
    size_t row;
    tm_buf_init(&text, TM_OAUTH_ROW_BYTES_MAX);
    while (rc == TM_OK && oauth != NULL && tm_oauth_unkept(oauth, &row, &text)) {
        char key[SERVE_KEY_BYTES];
        snprintf(key, sizeof key, SERVE_SESSION, row);
        rc = tm_buf_check(&text, "sessions", err);
        if (rc == TM_OK)
            rc = tm_org_meta_set(s->org, key, tm_buf_text(&text), err);
        if (rc == TM_OK)
            tm_oauth_kept(oauth);
        tm_buf_reset(&text);
    }
    tm_buf_free(&text);
    return rc;
}

/* POST clock. The workload's steps that are passed over are done at once, late. */
static enum tm_code serve_advance(void *data, int64_t ms, struct tm_now *now, struct tm_err *err)
{
    struct serve *s = data;
    struct tm_clock_map map;
    if (ms > SERVE_ADVANCE_MS_MAX)
        return tm_fail(err, TM_E_ARG, "clock: 3650d at a time is the most");
    tm_clock_file_advance(s->clock, ms);
    tm_clock_file_read(s->clock, &map);
    now->org_ms = tm_clock_org_at(&map, now->wall_ns);
    if (s->workload != NULL)
        tm_workload_clock(s->workload, &map);
    return TM_OK;
}

/* Of a question about the clock. */
static struct tm_now serve_instant(void *data)
{
    return tm_clock_now(((const struct serve *)data)->clock);
}

static int64_t serve_hold(void *data, uint64_t number, const struct tm_now *now)
{
    struct serve *s = data;
    return tm_disturb_hold_ms(tm_salesforce_disturb(s->salesforce), number, now);
}

static enum tm_code serve_listen(struct serve *s, struct tm_err *err)
{
    struct tm_mock_server_settings listen = { .bind = s->given[SERVE_BIND],
                                              .body_bytes_max = SERVE_BODY_BYTES_MAX };
    struct tm_salesforce_settings settings = {
        .faults = s->scenario->faults,
        .advance = s->flags.clock_path == NULL ? serve_advance : NULL,
        .advance_data = s,
        .instant = serve_instant,
        .instant_data = s,
        .oauth = { .username = s->given[SERVE_USERNAME],
                   .password = s->given[SERVE_PASSWORD],
                   .password_token = s->given[SERVE_PASSWORD_TOKEN],
                   .consumer_key = s->given[SERVE_KEY],
                   .consumer_secret = s->given[SERVE_SECRET],
                   .refresh_token = s->given[SERVE_REFRESH_TOKEN],
                   .users = s->given[SERVE_USERS],
                   .real_ms_at_zero = tm_clock_real_ms_at_zero() },
    };
    int64_t port, life_s, subscribers;
    enum tm_code rc = serve_number(&port, s, SERVE_PORT, 0, 0, 65535, err);
    if (rc == TM_OK)
        rc = serve_number(&settings.bayeux.long_poll_ms, s, SERVE_LONG_POLL, 0, 10, 3600000, err);
    if (rc == TM_OK)
        rc = serve_number(&subscribers, s, SERVE_SUBSCRIBERS, 0, 1, TM_MOCK_CONNECTIONS_MAX / 2,
                          err);
    if (rc == TM_OK)
        rc = serve_number(&life_s, s, SERVE_TOKEN_LIFE, 0, 1, 10000000, err);
    if (rc != TM_OK)
        return rc;
    listen.port = (int)port;
    settings.bulk.job_ns = s->scenario->bulk_ms * TM_NS_PER_MS;
    settings.bayeux.clients_max = (size_t)subscribers;
    settings.oauth.token_ns_max = life_s * TM_NS_PER_S;
    if (s->given[SERVE_JWT_CERTIFICATE] != NULL)
        rc = tm_secret_certificate_load(&s->jwt_certificate, s->given[SERVE_JWT_CERTIFICATE], err);
    settings.oauth.certificate = s->jwt_certificate;
    if (rc == TM_OK && s->given[SERVE_TLS] != NULL) {
        rc = tm_serve_tls_open(&s->tls, s->given[SERVE_ORG], listen.bind, s->given[SERVE_TLS_NAMES],
                               err);
        listen.tls_chain = rc == TM_OK ? tm_tls_chain(s->tls.tls) : NULL;
        listen.tls_key = rc == TM_OK ? tm_tls_key(s->tls.tls) : NULL;
        settings.base_url = "https://127.0.0.1";
    }
    settings.names = s->given[SERVE_TLS_NAMES];
    if (rc == TM_OK)
        rc = tm_salesforce_open(&s->salesforce, s->org, &settings, err);
    if (rc == TM_OK)
        rc = serve_sessions_load(s, err);
    if (rc != TM_OK)
        return rc;
    struct tm_streaming *streaming = tm_salesforce_streaming(s->salesforce);
    if (streaming != NULL)
        rc = tm_streaming_setup(streaming, s->scenario->streaming, tm_org_ms_last(s->org), err);
    else if (json_object_size(s->scenario->streaming) > 0)
        rc = tm_fail(err, TM_E_ARG,
                     "scenario %s: \"streaming\" is for tidemark serve alone, a run has no use for "
                     "it",
                     s->scenario->name);
    if (rc != TM_OK)
        return rc;
    struct tm_mock_handler handler = tm_salesforce_handler(s->salesforce);
    rc = tm_mock_server_open(&s->server, &listen, &handler, err);
    if (rc == TM_OK)
        tm_salesforce_wired(s->salesforce, serve_wake, s->server);
    if (rc == TM_OK && s->workload != NULL)
        tm_workload_holds(s->workload, serve_hold, s);
    return rc;
}

static enum tm_code serve_open(struct serve *s, int argc, char **argv, struct tm_err *err)
{
    enum tm_code rc = tm_flags_parse(&s->flags, argc, argv, serve_names, s->given, err);
    if (rc == TM_OK && s->flags.json && s->given[SERVE_QUIET] != NULL)
        rc = tm_fail(err, TM_E_ARG,
                     "--json prints the address with what to sign in with, --quiet "
                     "the address alone: give either");
    if (rc == TM_OK && s->flags.config_path != NULL)
        rc = tm_fail(err, TM_E_ARG,
                     "\"%.80s\": this command takes no file; did you mean --scenario %.80s?",
                     s->flags.config_path, s->flags.config_path);
    if (rc == TM_OK)
        rc = serve_scenario(s, err);
    if (rc == TM_OK)
        rc = serve_org(s, err);
    return rc == TM_OK ? serve_listen(s, err) : rc;
}

static void serve_close(struct serve *s)
{
    /* first: it tells the handler how held requests end */
    tm_mock_server_close(s->server);
    tm_salesforce_close(s->salesforce);
    tm_secret_key_free(s->jwt_certificate);
    tm_serve_tls_close(&s->tls);
    tm_workload_close(s->workload);
    tm_org_close(s->org);
    tm_clock_file_close(s->clock);
    tm_scenario_close(s->scenario);
}

/* ---- what people see ---- */

static void serve_print(const struct serve *s)
{
    const struct tm_oauth_settings *o = tm_oauth_settings(tm_salesforce_oauth(s->salesforce));
    const char *bind = s->given[SERVE_BIND];
    const struct tm_serve_facts facts = {
        .url = tm_mock_server_url(s->server),
        .username = o->username,
        .password = o->password,
        .password_token = o->password_token,
        .consumer_key = o->consumer_key,
        .consumer_secret = o->consumer_secret,
        .refresh_token = o->refresh_token,
        .jwt_certificate = s->given[SERVE_JWT_CERTIFICATE],
        .org_path = s->given[SERVE_ORG],
        .ca_path = s->given[SERVE_TLS] != NULL ? s->tls.ca_path : NULL,
        .object =
            tm_org_describe(s->org, "Account") != NULL ? "Account" : tm_org_object_name(s->org, 0),
        .loopback = bind == NULL || strncmp(bind, "127.", 4) == 0 || strcmp(bind, "::1") == 0,
    };
    struct tm_buf text;
    tm_buf_init(&text, TM_SERVE_TEXT_BYTES_MAX);
    if (s->flags.json)
        tm_command_json(tm_serve_json(&facts));
    else if (s->given[SERVE_QUIET] == NULL)
        tm_serve_show(&text, &facts);
    else
        tm_buf_addf(&text, "%s\n", facts.url);
    fputs(tm_buf_text(&text), stdout);
    fflush(stdout);
    tm_buf_free(&text);
    if (!facts.loopback)
        tm_log(TM_LOG_WARN, "other machines can reach %s: the control API has no password",
               facts.url);
}

/* ---- the loop ---- */

static enum tm_code serve_start(struct serve *s, struct tm_err *err)
{
    struct tm_clock_map map, first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    char text[TM_CLOCK_PAUSES_MAX * 48] = "", origin[32];
    size_t used = 0;
    /* without a scenario or a run, history itself says when things were */
    if (s->started || (s->workload == NULL && s->flags.clock_path == NULL))
        return TM_OK;
    tm_clock_file_read(s->clock, &map);
    if (map.wall_origin_ns == TM_NEVER)
        return TM_OK;
    size_t count = tm_clock_file_history(s->clock, &first, pauses);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64 ":%" PRId64,
                                 i > 0 ? "," : "", pauses[i].from_ns, pauses[i].until_ns);
    snprintf(origin, sizeof origin, "%" PRId64, first.wall_origin_ns);
    enum tm_code rc = tm_org_meta_set(s->org, "wall_origin_ns", origin, err);
    if (rc == TM_OK && count > 0)
        rc = tm_org_meta_set(s->org, "pauses", text, err);
    if (rc == TM_OK && s->workload != NULL)
        tm_workload_clock(s->workload, &map);
    s->started = rc == TM_OK;
    return rc;
}

static enum tm_code serve_step(void *self, const struct tm_now *now, struct tm_wake *wake,
                               struct tm_err *err)
{
    struct serve *s = self;
    enum tm_code rc = serve_start(s, err);
    bool more = false;
    if (s->broken.code != TM_OK) {
        *err = s->broken;
        return err->code;
    }
    /* nobody works while a run's clock stands still */
    if (s->workload != NULL && s->started && (rc == TM_OK || rc == TM_E_AGAIN)) {
        rc = tm_workload_step(s->workload, now, wake, err);
        more = rc == TM_OK;
    }
    if (rc == TM_OK || rc == TM_E_AGAIN)
        rc = tm_salesforce_due(s->salesforce, now, wake, err);
    if (rc == TM_OK || rc == TM_E_AGAIN)
        rc = tm_org_lag_step(s->org, now->org_ms, SERVE_LAG_CHANGES_MAX, err);
    if (rc != TM_OK && rc != TM_E_AGAIN)
        return rc;
    if (tm_org_pos_last(s->org) != s->pos_told) {
        s->pos_told = tm_org_pos_last(s->org);
        tm_salesforce_news(s->salesforce);
    }
    rc = tm_mock_server_step(s->server, now, wake, err);
    if (rc != TM_OK)
        return rc;
    tm_salesforce_step(s->salesforce, now, wake);
    rc = serve_sessions_keep(s, err); /* at once: a killed server must know who had signed in */
    if (rc != TM_OK && rc != TM_E_AGAIN)
        return rc;
    return more ? TM_OK : TM_E_AGAIN; /* what is still to do is in *wake and in the descriptor */
}

static void serve_second(void *self)
{
    struct serve *s = self;
    struct tm_now now = tm_clock_now(s->clock);
    enum tm_code rc = tm_org_usage_flush(s->org, &s->broken);
    if (rc == TM_OK && ++s->seconds % SERVE_PURGE_S == 0)
        rc = tm_org_purge(s->org, &now, &s->broken);
    if (rc == TM_E_AGAIN)
        /* locked by a reader's checkpoint: next second will do */
        tm_err_clear(&s->broken);
    tm_stats_write(s->flags.stats_path, "serve", NULL, NULL, 0);
}

static void serve_farewell(const struct serve *s)
{
    const struct tm_mock_server_counts *served = tm_mock_server_counts(s->server);
    const struct tm_workload_counts *worked =
        s->workload != NULL ? tm_workload_counts(s->workload) : NULL;
    tm_log(TM_LOG_INFO,
           "stopped after %" PRIu64 " requests; workload %s, %" PRId64
           " changes, latest by %" PRId64 " ms",
           served->requests,
           worked == NULL                  ? "none"
           : tm_workload_done(s->workload) ? "done"
                                           : "not done",
           worked != NULL ? worked->changes : 0, worked != NULL ? worked->late_ms_max : 0);
}

int tm_cmd_serve(int argc, char **argv)
{
    struct serve s = { 0 };
    struct tm_err err;
    tm_log_init("serve", TM_LOG_INFO);
    tm_err_clear(&err);
    enum tm_code rc = serve_open(&s, argc, argv, &err);
    if (rc == TM_OK) {
        const int fds[] = { tm_mock_server_fd(s.server) };
        const struct tm_driven driven = { .step = serve_step,
                                          .self = &s,
                                          .fds = fds,
                                          .fds_count = 1,
                                          .clock = s.clock,
                                          .on_second = serve_second };
        if (s.flags.clock_path == NULL && s.clock != NULL)
            tm_clock_file_start(s.clock, tm_clock_monotonic_ns());
        serve_print(&s);
        rc = tm_drive(&driven, &err);
        serve_farewell(&s);
    }
    if (s.org != NULL &&
        (tm_org_usage_flush(s.org, rc == TM_OK ? &err : NULL) != TM_OK ||
         serve_sessions_keep(&s, rc == TM_OK ? &err : NULL) != TM_OK) &&
        rc == TM_OK)
        rc = err.code;
    serve_close(&s);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("serve", &err);
}
