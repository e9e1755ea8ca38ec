/* run_faults: what befell the processes of a run from outside (killed, stopped, gone), for the
 * report: when, how long, and for each streaming pipeline how many changes were under way then, how
 * long after it one was shown that was committed later, and how many of those committed until then
 * were never shown. Killed is noticed within a look of the supervisor, 100 ms; the clock is the
 * run's own. */
#include "run/resume.h"
#include "run/run.h"
#include "base/sql.h"
#include <string.h>
#include <unistd.h>

/* ?1 pipeline, ?2 instant: when a change committed after it was shown first (0: never), how many
 * committed until then were not shown yet. */
#define FAULTS_AFTER                                                                               \
    "SELECT coalesce(min(CASE WHEN c.actual_ns > ?2 AND s.visible_ns >= c.actual_ns "              \
    "THEN s.visible_ns END), 0), "                                                                 \
    "count(CASE WHEN c.actual_ns <= ?2 AND (s.visible_ns IS NULL OR s.visible_ns > ?2) "           \
    "THEN 1 END) FROM sample s JOIN change c ON c.pos = s.pos WHERE s.pipeline = ?1"
/* how many committed until ?2 were never shown */
#define FAULTS_NEVER                                                                               \
    "SELECT count(*) FROM sample s JOIN change c ON c.pos = s.pos "                                \
    "WHERE s.pipeline = ?1 AND s.visible_ns IS NULL AND c.actual_ns <= ?2"

/* out[columns]: the one row of `sql`. */
static enum tm_code faults_ask(int64_t *out, int columns, sqlite3 *db, const char *sql,
                               const char *pipeline, int64_t ns, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&q, db, sql, err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, pipeline, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 2, ns);
        rc = tm_sql_step(q, &row, err);
    }
    for (int i = 0; rc == TM_OK && row && i < columns; i++)
        out[i] = sqlite3_column_int64(q, i);
    tm_sql_finalize(q);
    return rc;
}

static enum tm_code faults_recovered(json_t *list, sqlite3 *db, const char *pipeline, int64_t at_ns,
                                     struct tm_err *err)
{
    int64_t after[2] = { 0, 0 }, never = 0;
    enum tm_code rc = faults_ask(after, 2, db, FAULTS_AFTER, pipeline, at_ns, err);
    int64_t shown_ns = after[0];
    if (rc == TM_OK)
        rc = faults_ask(&never, 1, db, FAULTS_NEVER, pipeline, shown_ns == 0 ? INT64_MAX : shown_ns,
                        err);
    if (rc == TM_OK)
        json_array_append_new(
            list,
            json_pack("{s:s, s:o, s:I, s:I}", "name", pipeline, "shown_again_s",
                      shown_ns == 0 ? json_null() : json_real((double)(shown_ns - at_ns) / 1e9),
                      "under_way", (json_int_t)after[1], "never_shown", (json_int_t)never));
    return rc;
}

int64_t tm_run_without_pauses(const struct tm_run *run, int64_t wall_ns)
{
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    size_t count = tm_clock_file_history(run->clock, &first, pauses);
    return tm_clock_without(pauses, count, wall_ns);
}

/* What each streaming pipeline showed after an instant of the run's clock. */
static enum tm_code faults_pipelines(json_t **out, const json_t *report, int64_t at_ns, sqlite3 *db,
                                     struct tm_err *err)
{
    json_t *again = json_array(), *pipeline;
    enum tm_code rc = TM_OK;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, pipeline)
    {
        const char *kind = json_string_value(json_object_get(pipeline, "kind"));
        if (rc == TM_OK && kind != NULL && strcmp(kind, "stream") == 0)
            rc = faults_recovered(again, db, json_string_value(json_object_get(pipeline, "name")),
                                  at_ns, err);
    }
    *out = again;
    return rc;
}

static enum tm_code faults_add(json_t *list, const json_t *report, const struct tm_run *run,
                               const char *name, const char *what,
                               const struct tm_fault_seen *fault, sqlite3 *db, struct tm_err *err)
{
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    json_t *again = NULL;
    int64_t at_ns = tm_run_without_pauses(run, fault->at_ns);
    (void)tm_clock_file_history(run->clock, &first, pauses);
    enum tm_code rc = faults_pipelines(&again, report, at_ns, db, err);
    json_array_append_new(
        list,
        json_pack("{s:s, s:s, s:i, s:I, s:o, s:o}", "process", name, "fault", what, "signal",
                  fault->signal, "org_ms", (json_int_t)tm_clock_org_at(&first, at_ns), "lasted_s",
                  fault->until_ns == 0 ? json_null()
                                       : json_real((double)(fault->until_ns - fault->at_ns) / 1e9),
                  "pipelines", again));
    return rc;
}

/* The run itself was interrupted and resumed. Its clock stood still: no figure knows of it, but for
 * this one. */
static enum tm_code faults_pause(json_t *list, const json_t *report, const struct tm_run *run,
                                 size_t index, sqlite3 *db, struct tm_err *err)
{
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    json_t *again = NULL;
    (void)tm_clock_file_history(run->clock, &first, pauses);
    const struct tm_clock_pause *p = &pauses[index];
    int64_t at_ns = tm_run_without_pauses(run, p->from_ns);
    bool embedded = run->brokers_given == NULL;
    int life;
    const char *how = tm_resume_how(run, index, &life);
    if (p->until_ns == TM_NEVER) /* it did not come to its start */
        return TM_OK;
    int64_t again_rows = embedded ? tm_resume_again(run, life) : 0;
    enum tm_code rc = faults_pipelines(&again, report, at_ns, db, err);
    json_array_append_new(
        list,
        json_pack("{s:s, s:s, s:b, s:I, s:f, s:I, s:b, s:I, s:o}", "process", "the whole run",
                  "fault", how, "resumed", 1, "org_ms", (json_int_t)tm_clock_org_at(&first, at_ns),
                  "lasted_s", (double)(p->until_ns - p->from_ns) / 1e9, "real_ms",
                  (json_int_t)(tm_clock_real_ms_at_zero() + p->from_ns / TM_NS_PER_MS),
                  "topics_lost", embedded, "events_again", (json_int_t)again_rows, "pipelines",
                  again));
    return rc;
}

static enum tm_code faults_pauses(json_t *list, const json_t *report, const struct tm_run *run,
                                  sqlite3 **db, const char *path, struct tm_err *err)
{
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    size_t count = tm_clock_file_history(run->clock, &first, pauses);
    enum tm_code rc = count > 0 ? tm_sql_open(db, path, TM_SQL_READ, err) : TM_OK;
    for (size_t i = 0; i < count && rc == TM_OK; i++)
        rc = faults_pause(list, report, run, i, *db, err);
    return rc;
}

struct faults_work {
    const struct tm_run *run;
    const json_t *report;
    json_t *list, *missed;
    sqlite3 *db; /* opened with the first fault: a run without any need not have it */
};

/* what: NULL = as the signal says. */
static enum tm_code faults_of(struct faults_work *w, const char *name, const char *what,
                              const struct tm_befallen *b, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    enum tm_code rc = TM_OK;
    snprintf(path, sizeof path, "%.800s/run.db", w->run->dir);
    if (w->db == NULL && b->count > 0)
        rc = tm_sql_open(&w->db, path, TM_SQL_READ, err);
    for (size_t i = 0; i < b->count && rc == TM_OK; i++) {
        const char *said = b->faults[i].signal == SIGSTOP   ? "stopped"
                           : b->faults[i].signal == SIGTERM ? "shut down"
                           : b->faults[i].signal == 0       ? "gone"
                                                            : "killed";
        rc = faults_add(w->list, w->report, w->run, name, what != NULL ? what : said, &b->faults[i],
                        w->db, err);
    }
    if (b->missed > 0)
        json_object_set_new(w->missed, name, json_integer((json_int_t)b->missed));
    return rc;
}

/* What was planted in the org at an instant, and is got over or not: of its own log, since the
 * clock started. */
static enum tm_code faults_planted(struct faults_work *w, sqlite3 *org, struct tm_err *err)
{
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    sqlite3_stmt *q = NULL;
    bool row = false;
    int64_t kept = 0, missed = 0;
    (void)tm_clock_file_history(w->run->clock, &first, pauses);
    enum tm_code rc =
        tm_sql_prepare(&q, org,
                       "SELECT what,wall_ns FROM fault WHERE what IN ('expire_tokens',"
                       "'forget_clients','expire_events','reset_replay_ids') AND wall_ns>=?1 "
                       "ORDER BY n",
                       err);
    if (rc == TM_OK)
        sqlite3_bind_int64(q, 1, first.wall_origin_ns);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        int64_t at_ns = sqlite3_column_int64(q, 1);
        const struct tm_befallen one = { .faults = { { at_ns, at_ns, 0 } }, .count = 1 };
        if (kept++ < TM_BEFALLEN_MAX)
            rc = faults_of(w, "org", (const char *)sqlite3_column_text(q, 0), &one, err);
        else
            missed++;
    }
    tm_sql_finalize(q);
    if (missed > 0)
        json_object_set_new(w->missed, "org", json_integer(missed));
    return rc;
}

static enum tm_code faults_org(struct faults_work *w, struct tm_err *err)
{
    sqlite3 *org = NULL;
    if (access(w->run->org_path, R_OK) != 0)
        return TM_OK; /* it never came up: nothing befell it */
    enum tm_code rc = tm_sql_open(&org, w->run->org_path, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = faults_planted(w, org, err);
    tm_sql_close(org);
    return rc;
}

enum tm_code tm_run_faults(json_t *report, const struct tm_run *run, struct tm_err *err)
{
    struct faults_work w = {
        .run = run, .report = report, .list = json_array(), .missed = json_object()
    };
    const struct tm_befallen *gone;
    const char *name = NULL;
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%.800s/run.db", run->dir);
    enum tm_code rc =
        run->clock != NULL ? faults_pauses(w.list, report, run, &w.db, path, err) : TM_OK;
    for (size_t i = 0; i < run->kids.count && rc == TM_OK; i++)
        rc = faults_of(&w, run->kids.items[i].name, NULL, &run->kids.items[i].befell, err);
    for (size_t i = 0; rc == TM_OK && (gone = tm_outages_at(run->outages, i, &name)) != NULL; i++)
        rc = faults_of(&w, name, NULL, gone, err);
    if (rc == TM_OK)
        rc = faults_org(&w, err);
    tm_sql_close(w.db);
    if (rc == TM_OK && json_array_size(w.list) > 0)
        json_object_set(report, "faults", w.list);
    if (rc == TM_OK && json_object_size(w.missed) > 0)
        json_object_set(report, "faults_not_kept", w.missed);
    json_decref(w.list);
    json_decref(w.missed);
    return rc;
}
