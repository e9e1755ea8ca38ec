/* support_batch: a small org behind the HTTP port, kept in SQLite so that its SOQL is SQL, and a
 * polling station on it. No threads, no sockets: time moves when a test says so. */
#ifndef SUPPORT_BATCH_H
#define SUPPORT_BATCH_H
#include "batch/batch.h"
#include <jansson.h>
#include <sqlite3.h>

#define POLL_ORIGIN_MS 1772438400000LL /* 2026-03-02T08:00:00Z */
#define POLL_MINUTE_MS 60000LL
#define POLL_RESULTS_MAX 64

struct poll_org {
    struct tm_http http; /* first: the port */
    sqlite3 *db;         /* Thing(Id, IsDeleted, Name, Amount, Total, SystemModstamp[, Extra__c]) */
    int page_rows;       /* of the server */
    bool extra, no_name; /* the describe has Extra__c; lacks Name */
    int fail_after;      /* data calls to let pass before failing; -1 = never */
    int fail_count;      /* how many then fail */
    int fail_status;
    const char *fail_code;
    json_t *results[POLL_RESULTS_MAX]; /* rest of a query, by locator */
    json_t *deleted;                   /* getDeleted's records */
    int64_t now_ms;
    unsigned calls, describes;
    char last_soql[4000], last_deleted[600]; /* the URL of the last getDeleted, decoded */
    bool describe_lags; /* describe still shows Name although queries refuse it */
};
struct poll_world {
    struct poll_org org;
    struct tm_batch_settings settings;
    struct tm_sf_session *session;
    struct tm_batch *batch;
    struct tm_now now;
    struct tm_err err;
    const char *objects[1];
    char path[64];
    char notes[4000];
    sqlite3 *reader; /* a second connection to the preset's database */
};
/* A world with an empty database file and `rows` rows r1…, one stamp a second before the origin. */
void poll_world_open(struct poll_world *w, int rows);
void poll_world_close(struct poll_world *w);
void poll_start(struct poll_world *w); /* the station, as after a start of its process */
void poll_crash(struct poll_world *w); /* its memory is gone */
enum tm_code poll_step(struct poll_world *w);
/* Steps until nothing is to do before some org instant; the code of the first error, else TM_OK. */
enum tm_code poll_settle(struct poll_world *w);
/* Org time moves to origin + minutes, then settle. */
enum tm_code poll_at(struct poll_world *w, int64_t minutes);
/* Writes row `id` (1..999999) with this name at origin + stamp_s seconds. */
void poll_put(struct poll_world *w, int id, const char *name, int64_t stamp_s);
void poll_delete(struct poll_world *w, int id, int64_t stamp_s);
void poll_purge(struct poll_world *w, int id, int64_t deleted_s,
                bool told); /* gone; told: getDeleted lists it */
/* First column of a query over the preset's database. */
int64_t poll_int(struct poll_world *w, const char *sql);
void poll_id(char out[19], int id);
#endif
