#include "check/rundb.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNDB_COMMITS_MAX 200000 /* rows of at_commit, a pipeline */

enum tm_code tm_run_db_open(struct tm_run_db *out, const char *path, struct tm_err *err)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", TM_RUN_DB_PART };
    char side[sizeof out->path + 8];
    *out = (struct tm_run_db){ 0 };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(side, sizeof side, "%.*s%s", (int)sizeof out->path - 1, path, suffixes[i]);
        if (unlink(side) != 0 && errno != ENOENT)
            return tm_fail(err, TM_E_IO, "cannot replace %s: %s", side, strerror(errno));
    }
    snprintf(out->path, sizeof out->path, "%s", path);
    snprintf(side, sizeof side, "%s" TM_RUN_DB_PART, out->path);
    enum tm_code rc = tm_sql_open(&out->db, side, TM_SQL_CREATE, err);
    if (rc == TM_OK)
        rc = tm_sql_fleeting(out->db, err);
    if (rc == TM_OK)
        rc = tm_sql_exec(out->db, "BEGIN; " TM_RUN_DB_SCHEMA, err);
    struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } all[] = { { &out->sample,
                  "INSERT INTO sample VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)" },
                { &out->curve, "INSERT INTO curve VALUES(?1,?2,?3,?4,?5)" },
                { &out->diff, "INSERT INTO final_diff VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)" },
                { &out->selftest, "INSERT INTO selftest VALUES(?1,?2,?3,?4,?5,?6)" },
                { &out->breakdown, "INSERT INTO breakdown VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)" },
                { &out->full, "INSERT INTO full_read VALUES(?1,?2,?3,?4,?5)" },
                { &out->at_commit, "INSERT INTO at_commit VALUES(?1,?2,?3,?4)" },
                { &out->anomaly, "INSERT INTO anomaly VALUES(?1,?2,?3,?4,?5,?6,?7)" },
                { &out->cause, "INSERT INTO cause VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)" },
                { &out->seen, "INSERT INTO seen VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)" } };
    for (size_t i = 0; rc == TM_OK && i < sizeof all / sizeof all[0]; i++)
        rc = tm_sql_prepare(all[i].stmt, out->db, all[i].sql, err);
    return rc;
}

enum tm_code tm_run_db_meta(struct tm_run_db *r, const char *key, const char *value,
                            struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    enum tm_code rc = tm_sql_prepare(&s, r->db, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, value, -1, SQLITE_STATIC);
        rc = tm_sql_run(s, err);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_run_db_pipeline(struct tm_run_db *r, const struct tm_plan_pipeline *p,
                                struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    enum tm_code rc =
        tm_sql_prepare(&s, r->db, "INSERT INTO pipeline VALUES(?1, ?2, ?3, ?4, ?5)", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, p->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, tm_pipeline_kind_name(p->kind), -1, SQLITE_STATIC);
        sqlite3_bind_int(s, 3, p->option);
        sqlite3_bind_text(s, 4, p->database, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 5, p->interval_ms);
        rc = tm_sql_run(s, err);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_run_db_changes(struct tm_run_db *r, const struct tm_truth *t, struct tm_err *err)
{
    static const char *const events[TM_TRUTH_EVENTS] = { NULL, "event", "gap", "overflow" };
    sqlite3_stmt *s = NULL;
    enum tm_code rc =
        tm_sql_prepare(&s, r->db, "INSERT INTO change VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)", err);
    for (size_t i = 0; rc == TM_OK && i < t->versions_count; i++) {
        const struct tm_truth_version *v = &t->versions[i];
        if (v->intended_ns == INT64_MIN)
            continue;
        sqlite3_bind_int64(s, 1, (int64_t)i + 1);
        sqlite3_bind_text(s, 2, t->objects[t->records[v->record].object].name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, t->records[v->record].id, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 4, tm_truth_change_name(v->change), -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 5, events[v->event], -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 6, v->org_ms);
        sqlite3_bind_int64(s, 7, v->intended_ms);
        sqlite3_bind_int64(s, 8, v->intended_ns);
        sqlite3_bind_int64(s, 9, v->actual_ns);
        sqlite3_bind_int64(s, 10, v->replay_id);
        rc = tm_sql_run(s, err);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_run_db_samples(struct tm_run_db *r, const char *pipeline, const struct tm_truth *t,
                               const struct tm_match *m, struct tm_err *err)
{
    sqlite3_stmt *q = r->sample;
    enum tm_code rc = TM_OK;
    sqlite3_bind_text(q, 1, pipeline, -1, SQLITE_TRANSIENT);
    for (size_t i = 0; rc == TM_OK && i < m->samples_count; i++) {
        const struct tm_sample *s = &m->samples[i];
        bool seen = (s->flags & TM_SAMPLE_SEEN) != 0,
             coincident = (s->flags & TM_SAMPLE_COINCIDENT) != 0;
        if ((s->flags & TM_SAMPLE_OF) == 0)
            continue;
        sqlite3_bind_int64(q, 2, (int64_t)i + 1);
        for (int c = 3; c <= 8; c++)
            sqlite3_bind_null(q, c);
        if (seen && !coincident) {
            sqlite3_bind_double(q, 3, (double)s->wait_us / 1000);
            sqlite3_bind_int64(q, 4, s->work_ns);
        }
        if (seen) {
            sqlite3_bind_int64(q, 5, s->lo_ns);
            sqlite3_bind_int64(q, 6, s->hi_ns);
            sqlite3_bind_double(q, 7, (double)s->visible_us / 1000);
            sqlite3_bind_double(q, 8,
                                (double)s->visible_us / 1000 - (double)t->versions[i].intended_ms);
        }
        sqlite3_bind_int(q, 9, !seen);
        sqlite3_bind_int(q, 10, (s->flags & TM_SAMPLE_EXACT) != 0);
        sqlite3_bind_int(q, 11, (s->flags & TM_SAMPLE_AMBIGUOUS) != 0);
        sqlite3_bind_int(q, 12, coincident);
        if (seen && s->poll != TM_TRUTH_NONE && !coincident)
            sqlite3_bind_int64(q, 13, s->poll);
        else
            sqlite3_bind_null(q, 13);
        rc = tm_sql_run(q, err);
    }
    return rc;
}

static enum tm_code rundb_curve_row(struct tm_run_db *r, int64_t org_ms, const char *class,
                                    int flagged, double rows, struct tm_err *err)
{
    sqlite3_bind_int64(r->curve, 2, org_ms);
    sqlite3_bind_text(r->curve, 3, class, -1, SQLITE_STATIC);
    sqlite3_bind_int(r->curve, 4, flagged);
    sqlite3_bind_double(r->curve, 5, rows);
    return tm_sql_run(r->curve, err);
}

enum tm_code tm_run_db_curve(struct tm_run_db *r, const char *pipeline, const struct tm_curve *c,
                             struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    sqlite3_bind_text(r->curve, 1, pipeline, -1, SQLITE_TRANSIENT);
    for (size_t i = 0; rc == TM_OK && i < TM_CURVE_BINS; i++) {
        int64_t org_ms = c->us[i] / 1000;
        for (int code = 1; rc == TM_OK && code < TM_ROW_CODES; code++)
            if (c->mean[i][code] > 0)
                rc = rundb_curve_row(r, org_ms,
                                     tm_row_class_name((enum tm_row_class)((code - 1) / 2)),
                                     (code - 1) % 2, c->mean[i][code], err);
        if (rc == TM_OK)
            rc = rundb_curve_row(r, org_ms, "differing_max", 0, c->max_differing[i], err);
    }
    return rc;
}

static void rundb_bind_json(sqlite3_stmt *q, int at, const json_t *value)
{
    if (json_is_integer(value))
        sqlite3_bind_int64(q, at, json_integer_value(value));
    else if (json_is_real(value))
        sqlite3_bind_double(q, at, json_real_value(value));
    else if (json_is_string(value))
        sqlite3_bind_text(q, at, json_string_value(value), -1, SQLITE_TRANSIENT);
    else if (json_is_boolean(value))
        sqlite3_bind_int(q, at, json_is_true(value));
    else
        sqlite3_bind_null(q, at);
}

static enum tm_code rundb_cause(struct tm_run_db *r, const json_t *one, struct tm_err *err)
{
    static const char *const keys[] = { "object",  "id",   "class",       "first_pos", "cause",
                                        "station", "rule", "cause_known", "because" };
    if (json_object_get(one, "cause") == NULL)
        return TM_OK;
    for (int i = 0; i < (int)(sizeof keys / sizeof keys[0]); i++)
        rundb_bind_json(r->cause, i + 2, json_object_get(one, keys[i]));
    return tm_sql_run(r->cause, err);
}

enum tm_code tm_run_db_diff(struct tm_run_db *r, const char *pipeline, const json_t *diff,
                            struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    size_t i;
    json_t *one;
    sqlite3_bind_text(r->diff, 1, pipeline, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(r->cause, 1, pipeline, -1, SQLITE_TRANSIENT);
    json_array_foreach(diff, i, one)
    {
        json_t *fields = json_object_get(one, "fields");
        size_t count = json_array_size(fields);
        rundb_bind_json(r->diff, 2, json_object_get(one, "object"));
        rundb_bind_json(r->diff, 3, json_object_get(one, "id"));
        rundb_bind_json(r->diff, 4, json_object_get(one, "class"));
        rundb_bind_json(r->diff, 5, json_object_get(one, "flagged"));
        rundb_bind_json(r->diff, 9, json_object_get(one, "first_pos"));
        rundb_bind_json(r->diff, 10, json_object_get(one, "first_org_ms"));
        for (size_t f = 0; rc == TM_OK && f < (count == 0 ? 1 : count); f++) {
            const json_t *field = json_array_get(fields, f);
            rundb_bind_json(r->diff, 6, json_object_get(field, "field"));
            rundb_bind_json(r->diff, 7, json_object_get(field, "expected"));
            rundb_bind_json(r->diff, 8, json_object_get(field, "shown"));
            rc = tm_sql_run(r->diff, err);
        }
        if (rc == TM_OK)
            rc = rundb_cause(r, one, err);
        if (rc != TM_OK)
            break;
    }
    return rc;
}

enum tm_code tm_run_db_anomalies(struct tm_run_db *r, const char *pipeline, const json_t *all,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    const char *name;
    json_t *one;
    sqlite3_bind_text(r->anomaly, 1, pipeline, -1, SQLITE_TRANSIENT);
    json_object_foreach((json_t *)(uintptr_t)all, name, one)
    {
        static const char *const keys[] = { "object", "id", "pos" };
        const json_t *example = json_object_get(one, "example");
        sqlite3_bind_text(r->anomaly, 2, name, -1, SQLITE_TRANSIENT);
        rundb_bind_json(r->anomaly, 3, json_object_get(one, "count"));
        rundb_bind_json(r->anomaly, 4, json_object_get(one, "when"));
        for (int i = 0; i < 3; i++)
            rundb_bind_json(r->anomaly, 5 + i, json_object_get(example, keys[i]));
        if ((rc = tm_sql_run(r->anomaly, err)) != TM_OK)
            break;
    }
    return rc;
}

enum tm_code tm_run_db_selftest(struct tm_run_db *r, const json_t *test, struct tm_err *err)
{
    static const char *const keys[] = { "pipeline", "test", "ok", "expected", "measured", "note" };
    for (int i = 0; i < 6; i++)
        rundb_bind_json(r->selftest, i + 1, json_object_get(test, keys[i]));
    return tm_sql_run(r->selftest, err);
}

enum tm_code tm_run_db_breakdown(struct tm_run_db *r, const char *pipeline, struct tm_breakdown *b,
                                 struct tm_err *err)
{
    static const double shares[] = { 0.5, 0.9, 0.99, 0.999, 1 };
    enum tm_code rc = TM_OK;
    sqlite3_stmt *q = r->breakdown;
    sqlite3_bind_text(q, 1, pipeline, -1, SQLITE_TRANSIENT);
    for (int i = 0; rc == TM_OK && i < TM_SEGMENTS; i++) {
        struct tm_series *s = &b->segments[i];
        if (!b->have[i])
            continue;
        sqlite3_bind_text(q, 2, tm_segment_name((enum tm_segment)i), -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 3, (int64_t)s->count);
        sqlite3_bind_double(q, 4, tm_series_mean(s));
        for (int k = 0; k < 5; k++) {
            double value;
            if (tm_series_at(s, shares[k], &value))
                sqlite3_bind_double(q, 5 + k, value);
            else
                sqlite3_bind_null(q, 5 + k);
        }
        rc = tm_sql_run(q, err);
    }
    return rc;
}

enum tm_code tm_run_db_drift(struct tm_run_db *r, const char *pipeline,
                             const struct tm_drift_run *d, struct tm_err *err)
{
    size_t every = d->commits_count / RUNDB_COMMITS_MAX + 1;
    enum tm_code rc = TM_OK;
    sqlite3_bind_text(r->at_commit, 1, pipeline, -1, SQLITE_TRANSIENT);
    for (size_t i = 0; rc == TM_OK && i < d->commits_count; i += every) {
        sqlite3_bind_int64(r->at_commit, 2, (int64_t)d->commits[i].version + 1);
        sqlite3_bind_int64(r->at_commit, 3, d->commits[i].differing);
        sqlite3_bind_int(r->at_commit, 4, d->commits[i].equal);
        rc = tm_sql_run(r->at_commit, err);
    }
    return rc;
}

enum tm_code tm_run_db_full_read(struct tm_run_db *r, const char *pipeline, int64_t begun_ns,
                                 const char *object, double query_ms, int64_t rows,
                                 struct tm_err *err)
{
    sqlite3_bind_text(r->full, 1, pipeline, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(r->full, 2, begun_ns);
    sqlite3_bind_text(r->full, 3, object, -1, SQLITE_TRANSIENT);
    sqlite3_bind_double(r->full, 4, query_ms);
    sqlite3_bind_int64(r->full, 5, rows);
    return tm_sql_run(r->full, err);
}

enum tm_code tm_run_db_close(struct tm_run_db *r, struct tm_err *err)
{
    char part[sizeof r->path + 8];
    enum tm_code rc = tm_sql_exec(r->db, "COMMIT", err);
    snprintf(part, sizeof part, "%s" TM_RUN_DB_PART, r->path);
    if (rc == TM_OK) {
        tm_sql_close(r->db);
        r->db = NULL;
        if (rename(part, r->path) != 0)
            rc = tm_fail(err, TM_E_IO, "cannot put %s in its place: %s", part, strerror(errno));
    }
    tm_run_db_drop(r);
    return rc;
}

void tm_run_db_drop(struct tm_run_db *r)
{
    char part[sizeof r->path + 8];
    tm_sql_close(r->db);
    r->db = NULL;
    snprintf(part, sizeof part, "%s" TM_RUN_DB_PART, r->path);
    if (r->path[0] != '\0')
        unlink(part);
}
