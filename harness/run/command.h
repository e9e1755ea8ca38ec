/* command: the table of `tidemark` commands and what they share. Each cmd_<name>.c wires ports to a
 * station and runs it under the real driver. Results go to stdout, logs to stderr; exit codes are
 * those of the README: 0 pass, 1 fail, 2 inconclusive, 64 usage, 70 our own fault. */
#ifndef TM_RUN_COMMAND_H
#define TM_RUN_COMMAND_H
#include <jansson.h>
#include "base/clock.h"
#include "base/http.h"
#include "sink/sink.h"
#include "topic/properties.h"
#include "topic/topic.h"
#include "view/view.h"

enum {
    TM_EXIT_PASS = 0,
    TM_EXIT_FAIL = 1,
    TM_EXIT_INCONCLUSIVE = 2,
    TM_EXIT_USAGE = 64,
    TM_EXIT_OURS = 70
};
typedef int tm_command_main(int argc, char **argv); /* argv[0] is the command's name */
tm_command_main tm_cmd_run, tm_cmd_serve, tm_cmd_kafka, tm_cmd_registry, tm_cmd_source, tm_cmd_gap,
    tm_cmd_reconcile, tm_cmd_sink, tm_cmd_view, tm_cmd_batch, tm_cmd_check, tm_cmd_report,
    tm_cmd_simulate, tm_cmd_test, tm_cmd_why, tm_cmd_compare, tm_cmd_sweep;
tm_command_main tm_cmd_clock;
tm_command_main tm_cmd_external;

/* Flags every station command takes; each also from TIDEMARK_<NAME>. Long options are "--name
 * VALUE" or "--name=VALUE". */
struct tm_station_flags {
    const char *config_path;    /* the positional CONFIG */
    const char *brokers;        /* --brokers,  TIDEMARK_BROKERS: host:port,… */
    const char *registry;       /* --registry, TIDEMARK_REGISTRY: URL */
    const char *warehouse;      /* --warehouse, TIDEMARK_WAREHOUSE: SQLite file */
    const char *salesforce_url; /* --salesforce-url, TIDEMARK_SALESFORCE_URL: overrides
                                   salesforce.instance */
    const char *clock_path;     /* --clock, TIDEMARK_CLOCK: shared clock file; none = real time */
    const char *state_dir;   /* --state, TIDEMARK_STATE: folder for a station's own durable state */
    const char *trace_path;  /* --trace: file of trace marks */
    const char *stats_path;  /* --stats: JSON of counters, rewritten atomically about once a second
                                and at exit */
    const char *objects_dir; /* --objects: describe files, where a station cannot ask the org */
    const char *kafka_properties; /* --kafka-properties, TIDEMARK_KAFKA_PROPERTIES: a file; comes
                                     before the config's own */
    const char *ca_path;  /* --ca-file, TIDEMARK_CA_FILE: PEM certificates that https servers
                             (Salesforce, registry) are signed by; none = the system's */
    const char *instance; /* --instance, TIDEMARK_INSTANCE: the process's own name in its group */
    bool embedded;        /* --embedded, TIDEMARK_EMBEDDED=1: the broker is the embedded one */
    bool json;            /* --json */
    char **rest; /* arguments after CONFIG, of commands that take them ("..." among names_extra);
                    within argv */
    size_t rest_count;
};
/* Removes what it knows from argv; unknown --flags are TM_E_ARG with the nearest known one. Extra
 * flags a command has of its own: names_extra, NULL-terminated, values into out_extra in the same
 * order (NULL when not given). A name that ends in
 * '!' ("once!") is a switch without a value: "1" or NULL; "..." as the last name: more than one
 * argument is taken (rest). --help prints the flags and leaves. */
enum tm_code tm_flags_parse(struct tm_station_flags *out, int argc, char **argv,
                            const char *const *names_extra, const char **out_extra,
                            struct tm_err *err);

/* The configs of two stations that are read here, checked as the commands do; the caller closes
 * *out, also after an error. */
struct tm_sink_plan { /* stays where it was loaded: the settings point into it */
    struct tm_config *config;
    struct tm_sink_settings settings;
    const char *tables[TM_SINK_TOPICS_MAX];
};
enum tm_code tm_sink_plan_load(struct tm_sink_plan *out, const char *path, struct tm_err *err);
/* What the view is told; raw_path is left to the caller. */
enum tm_code tm_view_settings_read(struct tm_view_settings *out, const struct tm_config *config,
                                   struct tm_err *err);
enum tm_code tm_sink_config(struct tm_config **out, const char *path, struct tm_err *err);
enum tm_code tm_view_config(struct tm_config **out, const char *path, struct tm_err *err);

/* What the Kafka clients of a station are told: the file of --kafka-properties, else the one the
 * config's kafka.properties names (flags NULL = the config alone). The caller frees *out. */
enum tm_code tm_command_properties(struct tm_properties *out, const struct tm_station_flags *flags,
                                   const struct tm_config *config, struct tm_err *err);

/* On a broker that is not the embedded one: makes those of `topics` (NULL and "" = none) that are
 * missing, as the config's tidemark.partitions and tidemark.replication.factor say, and looks at
 * the others (tm_topic_kafka_ensure). `compacted`: of checkpoints, NULL = none of them. */
enum tm_code tm_command_topics(const struct tm_station_flags *flags,
                               const struct tm_properties *properties,
                               const struct tm_config *config, const char *const *topics,
                               size_t topics_count, const char *compacted, struct tm_err *err);

/* "no schema registry" as TM_E_ARG when none is given. */
enum tm_code tm_command_registry(const struct tm_station_flags *flags, struct tm_err *err);
/* The folder of --state, made when it is missing; "." without the flag. Borrowed from flags. */
enum tm_code tm_command_folder(const char **out, const struct tm_station_flags *flags,
                               struct tm_err *err);
/* One GET, waited for, by what tm_http_curl_open gave; *reply is initialised. For commands at
 * start-up. */
enum tm_code tm_command_get(struct tm_http *http, const char *url, int timeout_ms,
                            struct tm_http_reply *reply, struct tm_err *err);
/* How a station calls itself in HTTP, by which the mock counts its calls: "tidemark-<name>/1". */
#define TM_AGENT_BYTES 128
const char *tm_command_agent(char out[TM_AGENT_BYTES], const char *name);

/* A station under the real driver. step does at most one outside effect and sets *wake; TM_E_AGAIN
 * = nothing to do now. Any other error ends the process with the error printed (exit by
 * tm_err_exit). */
struct tm_driven {
    enum tm_code (*step)(void *self, const struct tm_now *now, struct tm_wake *wake,
                         struct tm_err *err);
    void *self;
    struct tm_http *http; /* may be NULL: then poll() on the descriptors alone */
    const int *fds;
    size_t fds_count;                  /* topic event descriptors */
    const struct tm_clock_file *clock; /* NULL = real time */
    void (*on_second)(void *self);     /* stats, about once a second; may be NULL */
};
/* Runs until SIGTERM/SIGINT (returns TM_OK, so that the caller closes cleanly) or an error. */
enum tm_code tm_drive(const struct tm_driven *driven, struct tm_err *err);
/* One line on stdout for programs, flushed. Takes over `json`. */
void tm_command_json(json_t *json);
/* Prints "tidemark <command>: <error>" with what to do, returns the exit code. */
int tm_command_fail(const char *command, const struct tm_err *err);
/* {"http_calls":…,"http_bytes_in":…,"produced":…, …} written atomically to path (NULL = off). http,
 * topics may be NULL. What the topics counted goes on from the file that an earlier life of the
 * station left there: a killed one loses what it counted since, about a second. Bytes are those of
 * keys and values, before compression. */
void tm_stats_write(const char *path, const char *station, const struct tm_http *http,
                    struct tm_topic *const *topics, size_t topics_count);
#endif
