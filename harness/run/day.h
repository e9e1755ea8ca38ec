/* day: the simulated driver over a whole scenario: the org, its users at work,
 * every pipeline and the witness in one thread under a virtual clock. in: a scenario file; out:
 * what `tidemark run` leaves (run.h), with org time as it is: a poll that is due at 14:00 starts at
 * 14:00, whatever it costs us to get there. Same station code, same plan, same witness, same
 * report; only the ports differ: HTTP is a call into the mocks' handlers that takes DAY_HOP_NS each
 * way, topics are in memory. Same scenario, seed and build: the same report.json, byte for byte.
 *
 *   OPEN ─► first copies, initial loads ─► witness ─► org clock starts ─► WORK ─► DRAIN ─► REPORT
 *
 * Computing takes no virtual time, so that "work" in this report is waiting for the network and for
 * timers, and what only a real clock can tell (CPU, memory, query time) is not in report.json: the
 * command prints where its own CPU seconds went. */
#ifndef TM_RUN_DAY_H
#define TM_RUN_DAY_H
#include "batch/batch.h"
#include "check/check.h"
#include "gap/gap.h"
#include "mocks/kafka/topic_mem.h"
#include "mocks/registry/registry.h"
#include "mocks/salesforce/routes.h"
#include "mocks/salesforce/workload.h"
#include "reconcile/reconcile.h"
#include "run/command.h"
#include "run/run.h"
#include "simulate/http.h"
#include "source/aside.h"
#include "source/source.h"

#define DAY_HOP_NS (75 * TM_NS_PER_MS) /* a request, or an answer, on its way */
#define DAY_FETCH_NS                                                                               \
    (500 * TM_NS_PER_MS) /* between two fetches of a consumer, when all is quiet                   \
                          */
#define DAY_TOPICS_MAX (TM_SINK_TASKS_MAX + 3)
#define DAY_STATIONS_MAX (TM_RUN_SOURCES_MAX + 4 + TM_RUN_PIPELINES_MAX)
/* Whose CPU seconds they are, besides the stations'. */
enum day_slot { DAY_ORG, DAY_WITNESS, DAY_DRIVER, DAY_REPORT, DAY_SLOTS };
enum day_kind { DAY_SOURCE, DAY_GAP, DAY_RECONCILE, DAY_SINK, DAY_VIEW, DAY_BATCH };

struct day;
struct day_station {
    enum day_kind kind;
    struct day *day;
    char name[64], agent[TM_AGENT_BYTES];
    const char *database; /* of a batch pipeline; borrowed */
    struct tm_sim_http http;
    union {
        struct tm_source_settings source;
        struct tm_gap_settings gap;
        struct tm_recon_settings reconcile;
        struct tm_sink_plan sink;
        struct tm_view_settings view;
        struct tm_batch_settings batch;
    } set;
    struct tm_config *config;
    struct tm_sf_session *session;
    struct tm_registry *registry;
    struct tm_topic *topics[DAY_TOPICS_MAX];
    size_t topics_count;
    struct tm_topic *offsets; /* of a source, while it needs them */
    struct tm_trace *trace;
    struct tm_aside *aside;
    struct tm_describe *describes[TM_VIEW_OBJECTS_MAX];
    sqlite3 *db;
    void *self;       /* struct tm_source, tm_gap, tm_recon, tm_sink, tm_view or tm_batch */
    int64_t run_ns;   /* when it wants to run; TM_NEVER = when something happens */
    uint64_t seen;    /* records in the broker when it last ran */
    int64_t fetch_ns; /* from when on it looks for more of them */
    /* Of a view that found nothing new: when that was, what the sink had done by then. Its looks go
     * on, but they are not taken before there is something to see. 0 = it is at work. */
    int64_t idle_ns;
    uint64_t idle_sink;
    uint64_t steps;
    int64_t cpu_ns;
};
struct day {
    struct tm_run *run;
    struct tm_now now;
    struct tm_clock_map clock;
    struct tm_sim_choices choices; /* every decision the usual one */
    struct tm_sim_faults faults;   /* none */
    struct tm_sim_host hosts[TM_SIM_HOSTS_MAX];
    /* the org */
    struct tm_scenario *scenario;
    struct tm_org *org;
    struct tm_workload *workload;
    struct tm_salesforce *salesforce;
    struct tm_mock_registry *schemas;
    struct tm_mem_broker *broker;
    int64_t org_ns, house_ns; /* when its users are next at work; when it next keeps house */
    int64_t fault_ns;         /* when something planted is next due */
    int64_t pos_told;         /* history position subscribers were told of */
    uint64_t rounds;
    /* the road */
    struct day_station *stations;
    size_t stations_count;
    struct tm_check *witness; /* NULL until every pipeline stands at the origin */
    int64_t witness_ns;
    const struct day_station *sink, *view; /* NULL without streaming */
    /* Where the time goes: who is charged, since when, by the monotonic clock, which a program may
     * read ten thousand times a second; bills are scaled to the CPU seconds that were used. */
    int64_t *meter, meter_ns, slots[DAY_SLOTS], began_ns, cpu_began_ns;
    int64_t told_ns;
    struct tm_progress progress; /* of our own time; set anew when the org's clock starts */
};

/* What is computed from here on is charged to *whose. */
void day_charge(struct day *d, int64_t *whose);
/* day_org.c: the org, opened and populated, its handlers, broker and registry; what is due of it
 * now. */
enum tm_code day_org_open(struct day *d, struct tm_err *err);
enum tm_code day_org_step(struct day *d, struct tm_err *err);
int64_t day_org_next(const struct day *d);
enum tm_code day_org_started(struct day *d, struct tm_err *err); /* the clock was */
void day_org_close(struct day *d);
/* day_stations.c */
enum tm_code day_stations_open(struct day *d, struct tm_err *err);
enum tm_code day_station_step(struct day_station *s, struct tm_wake *wake, struct tm_err *err);
void day_stations_close(struct day *d);
/* Frees records that every reader has done with. */
void day_stations_forget(struct day *d);
/* A planned run, without a word; *out_cpu: CPU seconds by station, the caller's. */
enum tm_code tm_day_go(struct tm_run *run, json_t **out_cpu, int *out_exit, struct tm_err *err);
/* day.c: `tidemark simulate SCENARIO.json [--out DIR] [--seed N] [--json]`. */
bool tm_day_wanted(int argc, char **argv); /* a scenario comes first, and no --seeds */
int tm_day_main(int argc, char **argv);
#endif
