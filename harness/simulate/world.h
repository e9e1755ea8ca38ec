/* world: one small simulated world: an org, its mock APIs, a broker, a registry, and every station
 * of the streaming road, in one thread under a virtual clock. in: a seed; out: stations that can be
 * stepped, crashed and started again from what they made durable. The org and mocks never crash.
 * Owner: the caller of open. */
#ifndef TM_SIMULATE_WORLD_H
#define TM_SIMULATE_WORLD_H
#include "batch/batch.h"
#include "event/contract.h"
#include "gap/gap.h"
#include "mocks/kafka/topic_mem.h"
#include "mocks/registry/registry.h"
#include "mocks/salesforce/routes.h"
#include "reconcile/reconcile.h"
#include "simulate/http.h"
#include "simulate/script.h"
#include "sink/sink.h"
#include "source/aside.h"
#include "source/source.h"
#include "view/view.h"

#define TM_SIM_ORIGIN_MS 1772438400000LL /* 2026-03-02T08:00:00Z */
#define TM_SIM_ORIGIN_NS (1000 * TM_NS_PER_S)
#define TM_SIM_OBJECTS_MAX 2
#define TM_SIM_STATIONS_MAX (TM_SIM_OBJECTS_MAX + 5)
#define TM_SIM_PATH_BYTES 256
/* Wall time goes with org time: compress 1. */
static inline int64_t tm_sim_wall_at(int64_t org_ms)
{
    return TM_SIM_ORIGIN_NS + (org_ms - TM_SIM_ORIGIN_MS) * TM_NS_PER_MS;
}
enum tm_sim_kind {
    TM_SIM_SOURCE,
    TM_SIM_GAP,
    TM_SIM_RECONCILE,
    TM_SIM_SINK,
    TM_SIM_VIEW,
    TM_SIM_BATCH
};
enum tm_sim_batch { TM_SIM_NO_BATCH, TM_SIM_INCREMENTAL, TM_SIM_RELOAD };

struct tm_sim_world;
struct tm_sim_reader;
struct tm_sim_station {
    enum tm_sim_kind kind;
    struct tm_sim_world *world;
    size_t object; /* of a source */
    struct tm_sim_http http;
    bool up;
    /* of one life of the process */
    struct tm_config *config;
    struct tm_source_settings source_settings;
    struct tm_sf_session *session;
    struct tm_registry *registry;
    struct tm_aside *aside; /* of a source */
    struct tm_topic *topics[3];
    size_t topics_count;
    sqlite3 *db;
    struct tm_batch_settings batch;
    void *self; /* struct tm_source, tm_gap, tm_recon, tm_sink, tm_view or tm_batch */
    /* of the driver */
    int64_t run_ns; /* when it wants to run; TM_NEVER = when something happens */
    uint64_t seen;  /* records in the broker when it last ran */
    uint64_t lives;
};
struct tm_sim_settings { /* what a seed decides once */
    uint64_t seed;
    size_t objects_count, tasks;
    int32_t partitions;
    bool keep_merged, overflow_range, convert_changed_fields, start_all;
    bool sees_all;           /* the user is known to see every record (R11) */
    int64_t longest_ms;      /* of a transaction: how far a range read begins before its commit */
    size_t page_max;         /* rows of a page of a query; 0 = as asked */
    enum tm_sim_batch batch; /* a polling pipeline beside the streaming one */
    bool batch_keyset, batch_query_all, batch_from_start;
    int64_t batch_ms;
    int64_t publish_delay_ms, index_lag_ms, window_ms, idle_ms, ids_max, view_poll_ms, rows_max,
        audit_ms /* 0 = never */, bulk_rows /* of a page of a Bulk read; 0 = none is made */,
        bulk_ms /* a Bulk job takes */;
    /* For showing that the simulation notices: in option 1's SQL this text becomes that one; NULL =
     * nothing does. */
    const char *planted_from, *planted_to;
    bool views_installed; /* option 1's views as they are in raw.db itself; else by reader.h */
};
/* What is asked of one object, of one option or of the org, and what that was prepared for: the
 * life of the station whose database it is, and the columns of both sides. */
struct tm_sim_flags {
    sqlite3_stmt *asked, *known;
};
struct tm_sim_relation {
    sqlite3_stmt *rows, *dirt, *applied, *columns;
    struct tm_sim_flags flags; /* option 1's; known: the truth's */
    bool there;
    struct tm_sim_reader *reader; /* whose rows, dirt and flags these are; NULL = our own */
    sqlite3_stmt *copy[3];        /* rows of raw.db that it wants */
    int64_t copied;               /* changes of raw.db that it has; -1 = none */
    uint64_t lives, org_schema;
    int64_t schema;
};
struct tm_sim_world {
    struct tm_sim_settings set;
    char dir[TM_SIM_PATH_BYTES], raw_path[TM_SIM_PATH_BYTES + 16],
        view_path[TM_SIM_PATH_BYTES + 16], batch_path[TM_SIM_PATH_BYTES + 16];
    sqlite3_vfs *files; /* SQLite's own, before and after */
    bool raw_made;      /* by the sink's first life */
    struct tm_now now;
    struct tm_sim_choices *choices; /* borrowed */
    struct tm_sim_faults faults;
    struct tm_sim_host hosts[TM_SIM_HOSTS_MAX];
    struct tm_org *org;
    struct tm_salesforce *salesforce;
    struct tm_mock_registry *schemas;
    struct tm_mem_broker *broker;
    const char *objects[TM_SIM_OBJECTS_MAX];
    struct tm_describe *describes[TM_SIM_OBJECTS_MAX]; /* as they were at first: owned */
    char raw[TM_SIM_OBJECTS_MAX][TM_TOPIC_NAME_MAX], alerts[TM_SIM_OBJECTS_MAX][TM_TOPIC_NAME_MAX],
        recon[TM_SIM_OBJECTS_MAX][TM_TOPIC_NAME_MAX];
    const char *sink_topics[TM_SIM_OBJECTS_MAX * 3], *raw_topics[TM_SIM_OBJECTS_MAX],
        *alerts_topics[TM_SIM_OBJECTS_MAX];
    struct tm_gap_settings gap;
    struct tm_recon_settings recon_settings;
    struct tm_sim_station stations[TM_SIM_STATIONS_MAX];
    size_t stations_count;
    struct tm_sim_relation relations[TM_SIM_OBJECTS_MAX][2]; /* option 1, option 2 */
    struct tm_sim_relation truth[TM_SIM_OBJECTS_MAX];
    bool batch_promises;        /* nothing has happened that no poll of its preset can see */
    sqlite3_stmt *held, *known; /* of the org */
    struct tm_topic *stranger;  /* another member of a reading group; NULL = none */
};
extern const char *const tm_sim_objects[TM_SIM_OBJECTS_MAX];
/* Writes the describe of every object of the simulation into `dir`, where
 * tm_sim_world_open looks. */
enum tm_code tm_sim_objects_write(const char *dir, struct tm_err *err);
/* A scratch folder in memory where there is one, else in $TMPDIR, with "objects" in it; and its
 * end. */
enum tm_code tm_sim_scratch_make(char out[TM_SIM_PATH_BYTES], struct tm_err *err);
enum tm_code tm_sim_scratch_make_in(char out[TM_SIM_PATH_BYTES], const char *base,
                                    struct tm_err *err);
void tm_sim_scratch_remove(const char *dir);
/* dir: a folder of this world's own, with "objects" in it, made by tm_sim_objects_write. Until the
 * world is closed every database that this process opens by an absolute path is in memory, known
 * to SQLite by that path, and there for whoever opens it next as long as the world is: what a
 * station has committed outlives it, what it has not is rolled back. */
enum tm_code tm_sim_world_open(struct tm_sim_world *w, const char *dir,
                               const struct tm_sim_settings *set, struct tm_sim_choices *choices,
                               struct tm_err *err);
void tm_sim_world_close(struct tm_sim_world *w); /* and its databases; safe after a failed open */
enum tm_code tm_sim_station_start(struct tm_sim_station *s, struct tm_err *err);
void tm_sim_station_crash(
    struct tm_sim_station *s); /* its memory is gone; what it made durable stays */
enum tm_code tm_sim_station_step(struct tm_sim_station *s, struct tm_wake *wake,
                                 struct tm_err *err);
const char *tm_sim_station_name(const struct tm_sim_station *s);
/* Another member joins the group that this kind of station reads in, reads nothing, and leaves
 * again: partitions are taken away and handed out anew. One at a time. */
enum tm_code tm_sim_world_join(struct tm_sim_world *w, enum tm_sim_kind kind, struct tm_err *err);
void tm_sim_world_leave(struct tm_sim_world *w);
/* A record that nobody can read: one of several sorts, by `sort`. */
enum tm_code tm_sim_world_poison(struct tm_sim_world *w, const char *topic, int32_t partition,
                                 unsigned sort, struct tm_err *err);
/* Records ever appended to any topic, by all partitions. */
uint64_t tm_sim_world_records(const struct tm_sim_world *w);
#endif
