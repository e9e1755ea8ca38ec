#include "run/command.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "run/help.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND_FLAGS_MAX 48
#define COMMAND_FDS_MAX 16
#define COMMAND_GET_NS (50 * TM_NS_PER_MS) /* between two looks at a call; news end it earlier */
#define COMMAND_TOPICS_MS 15000            /* for a broker to answer, and for topics to be there */
#define COMMAND_FROZEN_NS (50 * TM_NS_PER_MS) /* how often to ask whether org time has started */

/* ---- flags ---- */

struct command_flag {
    const char *name;  /* without the dashes */
    const char **text; /* where the value goes, or NULL for a switch */
    bool *flag;
    const char **mark; /* switch of the command's own: set to "1" */
};
struct command_flags {
    struct command_flag items[COMMAND_FLAGS_MAX];
    size_t count;
};

static void command_known(struct command_flags *f, struct tm_station_flags *out)
{
    const struct command_flag known[] = {
        { "brokers", &out->brokers, NULL, NULL },
        { "registry", &out->registry, NULL, NULL },
        { "warehouse", &out->warehouse, NULL, NULL },
        { "salesforce-url", &out->salesforce_url, NULL, NULL },
        { "clock", &out->clock_path, NULL, NULL },
        { "state", &out->state_dir, NULL, NULL },
        { "trace", &out->trace_path, NULL, NULL },
        { "stats", &out->stats_path, NULL, NULL },
        { "objects", &out->objects_dir, NULL, NULL },
        { "kafka-properties", &out->kafka_properties, NULL, NULL },
        { "ca-file", &out->ca_path, NULL, NULL },
        { "instance", &out->instance, NULL, NULL },
        { "embedded", NULL, &out->embedded, NULL },
        { "json", NULL, &out->json, NULL },
    };
    memcpy(f->items, known, sizeof known);
    f->count = sizeof known / sizeof known[0];
}

static bool command_truth(const char *text)
{
    return strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0;
}

static void command_environment(const struct command_flags *f)
{
    char name[64] = "TIDEMARK_";
    for (size_t i = 0; i < f->count; i++) {
        size_t n = strlen("TIDEMARK_");
        for (const char *p = f->items[i].name; *p != '\0' && n + 1 < sizeof name; p++)
            name[n++] = (char)(*p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? *p - 32 : *p);
        name[n] = '\0';
        const char *value = getenv(name);
        if (value == NULL || *value == '\0')
            continue;
        if (f->items[i].flag != NULL)
            *f->items[i].flag = command_truth(value);
        else if (f->items[i].text != NULL)
            *f->items[i].text = value;
    }
}

/* The text and the parser know the same flags, or one of them is wrong. */
static void command_help(const char *command, const struct command_flags *f, size_t first_own)
{
    const struct tm_help *help = tm_help_of(command);
    assert(help != NULL);
    for (size_t i = first_own; i < f->count; i++)
        assert(tm_help_names(help, f->items[i].name));
    tm_help_command(stdout, help);
}

static enum tm_code command_unknown(const char *word, size_t bytes, const struct command_flags *f,
                                    struct tm_err *err)
{
    const char *names[COMMAND_FLAGS_MAX];
    char name[80];
    snprintf(name, sizeof name, "%.*s", (int)(bytes < 79 ? bytes : 79), word);
    for (size_t i = 0; i < f->count; i++)
        names[i] = f->items[i].name;
    const char *near = tm_nearest(name, names, f->count);
    if (near != NULL)
        return tm_fail(err, TM_E_ARG, "unknown flag --%s; did you mean --%s?", name, near);
    return tm_fail(err, TM_E_ARG, "unknown flag --%s; --help lists them", name);
}

/* One "--name", "--name VALUE" or "--name=VALUE" at argv[*at]; *at moves past what was used. */
static enum tm_code command_take(const struct command_flags *f, int argc, char **argv, int *at,
                                 struct tm_err *err)
{
    const char *word = argv[*at] + 2, *equals = strchr(word, '='), *value;
    size_t bytes = equals != NULL ? (size_t)(equals - word) : strlen(word), i = 0;
    while (i < f->count &&
           (strlen(f->items[i].name) != bytes || strncmp(f->items[i].name, word, bytes) != 0))
        i++;
    (*at)++;
    if (i == f->count)
        return command_unknown(word, bytes, f, err);
    const struct command_flag *flag = &f->items[i];
    const struct tm_help *help = tm_help_of(argv[0]);
    if (strcmp(flag->name, "json") == 0 && help != NULL && !tm_help_names(help, "json"))
        return tm_fail(err, TM_E_ARG, "%s has no --json: it prints nothing for a program to read",
                       argv[0]);
    if (flag->text == NULL) {
        bool on = equals == NULL || command_truth(equals + 1);
        if (flag->flag != NULL)
            *flag->flag = on;
        else
            *flag->mark = on ? "1" : NULL;
        return TM_OK;
    }
    value = equals != NULL ? equals + 1 : *at < argc ? argv[(*at)++] : NULL;
    if (value == NULL || *value == '\0' || (equals == NULL && strncmp(value, "--", 2) == 0))
        return tm_fail(err, TM_E_ARG, "flag --%s wants a value", flag->name);
    *flag->text = value;
    return TM_OK;
}

enum tm_code tm_flags_parse(struct tm_station_flags *out, int argc, char **argv,
                            const char *const *names_extra, const char **out_extra,
                            struct tm_err *err)
{
    static char extra[COMMAND_FLAGS_MAX]
                     [64]; /* names without "--" and "!"; lives as long as the process */
    struct command_flags f;
    memset(out, 0, sizeof *out);
    command_known(&f, out);
    size_t shared = f.count;
    bool many = false;
    out->rest = argv + 1; /* compacted in place: what is kept is behind what is read */
    for (size_t i = 0; names_extra != NULL && names_extra[i] != NULL; i++) {
        if (strcmp(names_extra[i], "...") == 0) {
            many = true;
            break;
        }
        const char *name = names_extra[i] + (strncmp(names_extra[i], "--", 2) == 0 ? 2 : 0);
        size_t n = strcspn(name, "!");
        assert(f.count < COMMAND_FLAGS_MAX && n < sizeof extra[i]);
        snprintf(extra[i], sizeof extra[i], "%.*s", (int)n, name);
        out_extra[i] = NULL;
        f.items[f.count++] = (struct command_flag){ extra[i], name[n] == '!' ? NULL : &out_extra[i],
                                                    NULL, &out_extra[i] };
    }
    command_environment(&f);
    for (int at = 1; at < argc;) {
        enum tm_code rc = TM_OK;
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            command_help(argv[0], &f, shared);
            exit(fflush(stdout) == 0 ? TM_EXIT_PASS : TM_EXIT_INCONCLUSIVE);
        }
        if (strncmp(argv[at], "--", 2) == 0)
            rc = command_take(&f, argc, argv, &at, err);
        else if (argv[at][0] == '-' && argv[at][1] != '\0')
            rc = tm_fail(err, TM_E_ARG, "unknown flag %.60s; --help lists them", argv[at]);
        else if (out->config_path != NULL && many)
            out->rest[out->rest_count++] = argv[at++];
        else if (out->config_path != NULL)
            rc = tm_fail(err, TM_E_ARG, "unexpected argument \"%.80s\" after \"%.80s\"", argv[at],
                         out->config_path);
        else
            out->config_path = argv[at++];
        if (rc != TM_OK)
            return rc;
    }
    /* Configs say ${env:TIDEMARK_SALESFORCE_URL}: the flag must reach them too. */
    if (out->salesforce_url != NULL &&
        setenv("TIDEMARK_SALESFORCE_URL", out->salesforce_url, 1) != 0)
        return tm_fail(err, TM_E_NOMEM, "--salesforce-url");
    return TM_OK;
}

enum tm_code tm_command_properties(struct tm_properties *out, const struct tm_station_flags *flags,
                                   const struct tm_config *config, struct tm_err *err)
{
    const char *path = flags != NULL ? flags->kafka_properties : NULL;
    if (path == NULL)
        path = tm_config_text(config, TM_PROPERTIES_KEY);
    if (tm_properties_load(out, path, err) == TM_OK)
        return TM_OK;
    return tm_at(err, "%s",
                 flags != NULL && flags->kafka_properties != NULL ? "--kafka-properties"
                                                                  : TM_PROPERTIES_KEY);
}

enum tm_code tm_command_topics(const struct tm_station_flags *flags,
                               const struct tm_properties *properties,
                               const struct tm_config *config, const char *const *topics,
                               size_t topics_count, const char *compacted, struct tm_err *err)
{
    const struct tm_kafka_access access = { flags->brokers, (const char *const *)properties->items,
                                            properties->count, COMMAND_TOPICS_MS };
    const struct tm_topics_plan plan = {
        .topics = topics,
        .topics_count = topics_count,
        .compacted = compacted,
        .partitions = (int32_t)tm_config_int(config, "tidemark.partitions"),
        .replication = (int16_t)tm_config_int(config, "tidemark.replication.factor"),
        .partitions_must = tm_config_has(config, "tidemark.partitions")
    };
    return flags->embedded ? TM_OK : tm_topic_kafka_ensure(&access, &plan, err);
}

/* ---- the real driver ---- */

static volatile sig_atomic_t command_stop;
static int command_pipe[2] = { -1, -1 };
static pid_t command_pipe_owner; /* a forked child must not wake its parent */

static void command_on_signal(int number)
{
    int saved = errno;
    (void)number;
    command_stop = 1;
    if (write(command_pipe[1], "x", 1) < 0) { /* full: somebody will look anyway */
    }
    errno = saved;
}

static enum tm_code command_catch(struct tm_err *err)
{
    if (command_pipe[0] >= 0 && command_pipe_owner == getpid())
        return TM_OK;
    command_pipe_owner = getpid();
    if (pipe2(command_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return tm_fail(err, TM_E_IO, "pipe: %s", strerror(errno));
    struct sigaction sa = { .sa_handler = command_on_signal };
    sigemptyset(&sa.sa_mask);
    sigaction(SIGTERM, &sa, NULL);
    sa.sa_flags = (int)SA_RESETHAND; /* a second ^C ends it the hard way */
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    return TM_OK;
}

/* The wall instant of a wake, by the clock as it stands now. */
static int64_t command_wake_at(const struct tm_wake *wake, const struct tm_now *now,
                               const struct tm_clock_file *clock)
{
    struct tm_clock_map map;
    int64_t at = wake->wall_ns, by_org;
    if (wake->org_ms == TM_NEVER)
        return at;
    if (wake->org_ms <= now->org_ms)
        return now->wall_ns;
    if (clock == NULL) {
        int64_t ms = wake->org_ms - now->org_ms;
        by_org = ms > (TM_NEVER - now->wall_ns) / TM_NS_PER_MS ? TM_NEVER
                                                               : now->wall_ns + ms * TM_NS_PER_MS;
    } else {
        tm_clock_file_read(clock, &map);
        by_org = map.wall_origin_ns == TM_NEVER ? now->wall_ns + COMMAND_FROZEN_NS
                                                : tm_clock_wall_at(&map, wake->org_ms);
    }
    return by_org < at ? by_org : at;
}

static enum tm_code command_wait(const struct tm_driven *driven, int64_t timeout_ns,
                                 struct tm_err *err)
{
    struct pollfd polled[COMMAND_FDS_MAX + 1];
    int fds[COMMAND_FDS_MAX + 1];
    size_t count = 0;
    assert(driven->fds_count <= COMMAND_FDS_MAX);
    fds[count++] = command_pipe[0];
    for (size_t i = 0; i < driven->fds_count; i++)
        if (driven->fds[i] >= 0)
            fds[count++] = driven->fds[i];
    if (driven->http != NULL)
        return tm_http_curl_wait(driven->http, fds, count, timeout_ns, err);
    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    struct timespec ts = { .tv_sec = timeout_ns / TM_NS_PER_S,
                           .tv_nsec = timeout_ns % TM_NS_PER_S };
    if (ppoll(polled, count, &ts, NULL) < 0 && errno != EINTR)
        return tm_fail(err, TM_E_IO, "poll: %s", strerror(errno));
    return TM_OK;
}

enum tm_code tm_drive(const struct tm_driven *driven, struct tm_err *err)
{
    enum tm_code rc = command_catch(err);
    int64_t next_second_ns = tm_clock_monotonic_ns() + TM_NS_PER_S;
    while (rc == TM_OK && !command_stop) {
        struct tm_now now = tm_clock_now(driven->clock);
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        if (now.wall_ns >= next_second_ns) {
            next_second_ns = now.wall_ns + TM_NS_PER_S;
            if (driven->on_second != NULL)
                driven->on_second(driven->self);
        }
        rc = driven->step(driven->self, &now, &wake, err);
        if (rc != TM_E_AGAIN)
            continue; /* TM_OK: there may be more to do at once */
        int64_t at = command_wake_at(&wake, &now, driven->clock), wall_ns = tm_clock_monotonic_ns();
        if (at > next_second_ns)
            at = next_second_ns;
        rc = command_wait(driven, at > wall_ns ? at - wall_ns : 0, err);
    }
    return rc;
}

enum tm_code tm_command_registry(const struct tm_station_flags *flags, struct tm_err *err)
{
    if (flags->registry != NULL)
        return TM_OK;
    return tm_fail(err, TM_E_ARG,
                   "no schema registry: give --registry URL or set TIDEMARK_REGISTRY");
}

enum tm_code tm_command_folder(const char **out, const struct tm_station_flags *flags,
                               struct tm_err *err)
{
    *out = flags->state_dir != NULL ? flags->state_dir : ".";
    if (flags->state_dir != NULL && mkdir(flags->state_dir, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_ARG, "cannot make the folder --state %s: %s", flags->state_dir,
                       strerror(errno));
    return TM_OK;
}

enum tm_code tm_command_get(struct tm_http *http, const char *url, int timeout_ms,
                            struct tm_http_reply *reply, struct tm_err *err)
{
    struct tm_http_request request = { .method = "GET",
                                       .url = url,
                                       .timeout_ns = timeout_ms * TM_NS_PER_MS };
    struct tm_http_call *call = NULL;
    enum tm_code rc = http->ops->start(http, &call, &request, err);
    while (rc == TM_OK && (rc = http->ops->poll(http, call, reply, err)) == TM_E_AGAIN)
        rc = tm_http_curl_wait(http, NULL, 0, COMMAND_GET_NS, err);
    return rc;
}

const char *tm_command_agent(char out[TM_AGENT_BYTES], const char *name)
{
    snprintf(out, TM_AGENT_BYTES, "tidemark-%.100s/1", name);
    return out;
}

void tm_command_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    fflush(stdout);
    json_decref(json);
}

int tm_command_fail(const char *command, const struct tm_err *err)
{
    char text[sizeof err->msg + sizeof err->ctx + 8];
    const char *hint = "";
    if (err->code == TM_E_MISMATCH)
        hint = "\n  what is stored belongs to another cluster, org or boot: use fresh state, or "
               "the one it was made with";
    else if (err->retriable)
        hint = "\n  this may pass: see that the other side is up and reachable, then start again";
    fprintf(stderr, "tidemark %s: %s%s\n", command, tm_err_text(err, text, sizeof text), hint);
    return tm_err_exit(err);
}

/* ---- counters ---- */

static void command_count(struct tm_buf *b, const char *name, uint64_t n)
{
    tm_buf_addf(b, ",\"%s\":%" PRIu64, name, n);
}

static void command_usage(struct tm_buf *b)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return;
    command_count(b, "cpu_us",
                  (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
                      (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec));
    command_count(b, "rss_peak_bytes", (uint64_t)u.ru_maxrss * 1024u);
}

static uint64_t command_before(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

/* What earlier lives of this station counted: read once. */
static const struct tm_topic_counts *command_earlier(const char *path)
{
    static struct tm_topic_counts earlier;
    static bool read;
    json_t *json = NULL;
    struct tm_err quiet = { .code = TM_OK };
    if (!read && access(path, F_OK) == 0 && tm_json_load(&json, path, &quiet) == TM_OK)
        earlier = (struct tm_topic_counts){ command_before(json, "produced"),
                                            command_before(json, "produced_bytes"),
                                            command_before(json, "fetched"),
                                            command_before(json, "fetched_bytes"),
                                            command_before(json, "delivery_failed") };
    json_decref(json);
    read = true;
    return &earlier;
}

void tm_stats_write(const char *path, const char *station, const struct tm_http *http,
                    struct tm_topic *const *topics, size_t topics_count)
{
    struct tm_buf b, temporary;
    if (path == NULL)
        return;
    struct tm_topic_counts t = *command_earlier(path);
    tm_buf_init(&b, 1u << 16);
    tm_buf_init(&temporary, 4096);
    tm_buf_addz(&b, "{\"station\":");
    tm_buf_add_json_string(&b, station, strlen(station));
    tm_buf_addf(&b, ",\"wall_ns\":%" PRId64, tm_clock_monotonic_ns());
    if (http != NULL) {
        command_count(&b, "http_calls", http->counts.calls);
        command_count(&b, "http_failed", http->counts.failed);
        command_count(&b, "http_bytes_out", http->counts.bytes_out);
        command_count(&b, "http_bytes_in", http->counts.bytes_in);
    }
    for (size_t i = 0; i < topics_count; i++) {
        if (topics[i] == NULL)
            continue;
        t.produced += topics[i]->counts.produced;
        t.produced_bytes += topics[i]->counts.produced_bytes;
        t.fetched += topics[i]->counts.fetched;
        t.fetched_bytes += topics[i]->counts.fetched_bytes;
        t.delivery_failed += topics[i]->counts.delivery_failed;
    }
    if (topics_count > 0) {
        command_count(&b, "produced", t.produced);
        command_count(&b, "produced_bytes", t.produced_bytes);
        command_count(&b, "fetched", t.fetched);
        command_count(&b, "fetched_bytes", t.fetched_bytes);
        command_count(&b, "delivery_failed", t.delivery_failed);
    }
    command_usage(&b);
    tm_buf_addz(&b, "}\n");
    tm_buf_addf(&temporary, "%s.tmp.%ld", path, (long)getpid());
    FILE *f = fopen(tm_buf_text(&temporary), "w");
    bool ok = f != NULL && fwrite(b.data, 1, b.bytes, f) == b.bytes;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    if (!ok || rename(tm_buf_text(&temporary), path) != 0)
        tm_log(TM_LOG_WARN, "cannot write %s: %s", path, strerror(errno));
    tm_buf_free(&b);
    tm_buf_free(&temporary);
}
