/* why_pipeline: one pipeline's part of a story: how each commit went along its road, and what the
 * reader saw. */
#include "check/why_inner.h"
#include "base/text.h"
#include "base/trace.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define WHY_SEEN_MAX 200 /* looks told of, the newest of those in the window */

struct why_road { /* one pipeline while its part is told */
    struct why *w;
    const struct tm_plan_pipeline *p;
    struct tm_road *road;
    sqlite3 *database;
    const struct tm_road_row *rows;
    size_t rows_count;
    json_t *steps; /* of the commit at hand */
};

static void why_step(struct why_road *r, const char *station, int64_t wall_ns, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void why_step(struct why_road *r, const char *station, int64_t wall_ns, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tm_text_cut(text);
    bool told = wall_ns > INT64_MIN;
    json_array_append_new(
        r->steps,
        json_pack("{s:s, s:s, s:o, s:o}", "station", station, "what", text, "org_ms",
                  told ? json_integer(tm_timing_org_us(&r->w->timing, wall_ns) / 1000)
                       : json_null(),
                  "wall_s", told ? json_real(tm_why_wall_s(r->w, wall_ns)) : json_null()));
}

/* ---- streams ---- */

static void why_published(struct why_road *r, uint32_t v)
{
    const struct tm_truth_version *version = &r->w->truth->versions[v];
    sqlite3_stmt *q = NULL;
    bool row = false;
    if (version->event == TM_TRUTH_SILENT) {
        why_step(r, "org", INT64_MIN,
                 "no event is sent for it: only a whole read of the object can "
                 "tell");
        return;
    }
    int64_t at_ns = INT64_MIN;
    char change[40] = "";
    if (tm_sql_prepare(&q, r->w->truth->db,
                       "SELECT publish_ms, change FROM event WHERE replay_id=?1", NULL) == TM_OK) {
        sqlite3_bind_int64(q, 1, version->replay_id);
        if (tm_sql_step(q, &row, NULL) == TM_OK && row) {
            at_ns = tm_timing_wall_ns(&r->w->timing, sqlite3_column_int64(q, 0));
            snprintf(change, sizeof change, "%.30s", (const char *)sqlite3_column_text(q, 1));
        }
    }
    sqlite3_finalize(q);
    why_step(r, "org", at_ns, "published as %s, replay id %lld",
             change[0] == '\0' ? "an event" : change, (long long)version->replay_id);
}

static void why_marks(struct why_road *r, uint32_t v)
{
    static const struct {
        enum tm_trace_kind kind;
        const char *station, *what;
    } kinds[] = { { TM_TRACE_RECEIVED, "source", "received" },
                  { TM_TRACE_PRODUCED, "kafka", "acknowledged" },
                  { TM_TRACE_FETCHED, "sink", "fetched" },
                  { TM_TRACE_WRITTEN, "sink", "written" } };
    const struct tm_truth_version *version = &r->w->truth->versions[v];
    const char *object = r->w->truth->objects[r->w->object].name;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int64_t ns;
        if (r->w->marks == NULL || !tm_marks_any(r->w->marks, (int)kinds[i].kind))
            continue;
        if (tm_marks_at(r->w->marks, object, version->replay_id, (int)kinds[i].kind, &ns) &&
            ns >= version->actual_ns)
            why_step(r, kinds[i].station, ns, "%s", kinds[i].what);
        else
            why_step(r, kinds[i].station, INT64_MIN, "never %s, by its trace", kinds[i].what);
    }
}

/* Asks and answers at or beyond the event, up to the first answer. */
static void why_repair(struct why_road *r, const struct tm_road_row *event)
{
    const struct tm_road_row *answer = NULL;
    bool asked = false;
    for (size_t i = 0; i < r->rows_count; i++) {
        const struct tm_road_row *row = &r->rows[i];
        if (row->epoch != event->epoch || row->position < event->position)
            continue;
        if (row->kind == TM_ROAD_ANSWER && answer == NULL)
            answer = row;
        if (row->kind != TM_ROAD_ASK || row->position != event->position)
            continue;
        asked = true;
        why_step(r, strcmp(row->word, "failed") == 0 ? "reconcile" : "gap", row->written_ns,
                 strcmp(row->word, "failed") == 0 ? "gave up (%s: %s)" : "asked for it (%s: %s)",
                 row->word, row->reason);
    }
    if (!asked)
        why_step(r, "gap", INT64_MIN, "no ask of its own is in the table of asks");
    if (answer != NULL)
        why_step(r, "reconcile", answer->written_ns, "answered with %s at position %lld (%s)",
                 strcmp(answer->word, "image") == 0 ? "an image" : answer->word,
                 (long long)answer->position, answer->place);
    else
        why_step(r, "reconcile", INT64_MIN, "no answer at or beyond it is there");
}

static void why_stream(struct why_road *r, uint32_t v)
{
    const struct tm_truth_version *version = &r->w->truth->versions[v];
    why_published(r, v);
    if (version->event == TM_TRUTH_SILENT)
        return;
    why_marks(r, v);
    if (r->road == NULL) {
        why_step(r, "sink", INT64_MIN, "the raw tables are not there any more");
        return;
    }
    const struct tm_road_row *event = tm_road_event(r->road, r->w->truth, v);
    if (event == NULL) {
        why_step(r, "sink", INT64_MIN, "no row of it is in the raw table");
        return;
    }
    why_step(r, "sink", event->written_ns > 0 ? event->written_ns : INT64_MIN,
             "raw row %lld, %s%s%s%s", (long long)event->rowid, event->word,
             event->place[0] != '\0' ? ", " : "", event->place,
             event->merged ? ", under the id of another record of the same event" : "");
    if (version->event != TM_TRUTH_PLAIN || event->diff)
        why_repair(r, event);
}

/* ---- polls ---- */

static bool why_poll_row(struct why_road *r, sqlite3_stmt *q, const char *did)
{
    char grid[TM_TIME_BYTES], began[TM_TIME_BYTES];
    bool row = false;
    if (tm_sql_step(q, &row, NULL) != TM_OK || !row)
        return false;
    why_step(r, "batch poll", tm_pauses_without(&r->w->pauses, sqlite3_column_int64(q, 3)),
             "%s: the %s poll of %.8s, which began at %.12s; %lld rows in %lld API calls%s", did,
             (const char *)sqlite3_column_text(q, 0),
             sqlite3_column_type(q, 1) == SQLITE_NULL
                 ? "the start"
                 : tm_time_z(grid, sqlite3_column_int64(q, 1)) + 11,
             tm_time_z(began, sqlite3_column_int64(q, 2)) + 11,
             (long long)sqlite3_column_int64(q, 5), (long long)sqlite3_column_int64(q, 6),
             sqlite3_column_int64(q, 7) > 0 ? "; grid points before it were skipped" : "");
    return true;
}

/* The poll that carried it, by when it was shown; else the first that could have. */
static void why_batch(struct why_road *r, uint32_t v, int64_t visible_ns)
{
    static const char columns[] =
        "SELECT mode, grid_org_ms, started_org_ms, started_ns, finished_ns, rows, calls, skipped "
        "FROM _polls WHERE lower(object)=lower(?1) AND ";
    const struct tm_truth_version *version = &r->w->truth->versions[v];
    sqlite3_stmt *q = NULL;
    char sql[400], at[TM_TIME_BYTES];
    bool row = false;
    if (r->database == NULL)
        return;
    if ((r->p->carries & (1u << version->change)) == 0)
        why_step(r, "batch poll", INT64_MIN, "its polls do not return a %s",
                 tm_truth_change_name(version->change));
    snprintf(sql, sizeof sql, "%s%s", columns,
             visible_ns != INT64_MAX ? "finished_ns<=?2 ORDER BY finished_ns DESC LIMIT 1"
                                     : "started_org_ms>=?2 ORDER BY started_org_ms LIMIT 1");
    if (tm_sql_prepare(&q, r->database, sql, NULL) != TM_OK)
        return;
    sqlite3_bind_text(q, 1, r->w->truth->objects[r->w->object].name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(
        q, 2, visible_ns != INT64_MAX ? tm_pauses_with(&r->w->pauses, visible_ns)
                                 : version->org_ms + r->w->plan->index_lag_ms);
    if (!why_poll_row(r, q,
                      visible_ns != INT64_MAX ? "carried it" : "the first that could have seen it"))
        why_step(r, "batch poll", INT64_MIN, "no poll began after it could be seen");
    sqlite3_finalize(q);
    q = NULL;
    if (tm_sql_prepare(&q, r->database,
                       "SELECT org_ms, wall_ns, why FROM _failures WHERE lower(object)=lower(?1) "
                       "AND org_ms>=?2 AND wall_ns<?3 ORDER BY failure LIMIT 3",
                       NULL) != TM_OK)
        return;
    sqlite3_bind_text(q, 1, r->w->truth->objects[r->w->object].name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, version->org_ms);
    sqlite3_bind_int64(q, 3, tm_pauses_with(&r->w->pauses, visible_ns));
    while (tm_sql_step(q, &row, NULL) == TM_OK && row)
        why_step(r, "batch poll", tm_pauses_without(&r->w->pauses, sqlite3_column_int64(q, 1)),
                 "given up at %.12s: %.200s",
                 tm_time_z(at, sqlite3_column_int64(q, 0)) + 11,
                 (const char *)sqlite3_column_text(q, 2));
    sqlite3_finalize(q);
}

/* ---- shown ---- */

static int64_t why_ns(sqlite3_stmt *q, int column, int64_t missing)
{
    return sqlite3_column_type(q, column) == SQLITE_NULL ? missing
                                                         : sqlite3_column_int64(q, column);
}

static void why_shown(struct why_road *r, sqlite3_stmt *q)
{
    int64_t lo_ns = why_ns(q, 0, INT64_MIN), hi_ns = why_ns(q, 1, INT64_MIN);
    double wait_s = sqlite3_column_double(q, 2) / 1000, work_ms = sqlite3_column_double(q, 3) / 1e6,
           fresh_s = sqlite3_column_double(q, 4) / 1000;
    if (sqlite3_column_int(q, 5) != 0)
        why_step(r, "reader", INT64_MIN, "never shown, in this version or a later one");
    else if (sqlite3_column_int(q, 8) != 0)
        why_step(r, "reader", INT64_MIN, "its state was on display already when it was committed");
    else
        why_step(r, "reader", hi_ns,
                 "shown%s%s, %.3f s after the commit: waited %.3f s of org time, then %.1f ms of "
                 "work; the look before, %.1f ms earlier, did not show it",
                 sqlite3_column_int(q, 6) != 0 ? "" : " (through a later version)",
                 sqlite3_column_int(q, 7) != 0 ? " (its values fit two versions)" : "", fresh_s,
                 wait_s, work_ms, (double)(hi_ns - lo_ns) / 1e6);
}

static enum tm_code why_commits(json_t *out, struct why_road *r, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    json_t *list = json_array();
    enum tm_code rc = tm_sql_prepare(
        &q, r->w->run,
        "SELECT visible_lo_ns, visible_ns, wait_ms, work_ns, freshness_ms, censored, exact, "
        "ambiguous, coincident FROM sample WHERE pipeline=?1 AND pos=?2",
        err);
    for (size_t i = 0; rc == TM_OK && i < r->w->versions_count; i++) {
        uint32_t v = r->w->versions[i];
        bool row = false;
        r->steps = json_array();
        sqlite3_bind_text(q, 1, r->p->name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 2, (int64_t)v + 1);
        rc = tm_sql_step(q, &row, err);
        int64_t visible_ns = row ? why_ns(q, 1, INT64_MAX) : INT64_MAX;
        bool before = r->w->truth->versions[v].intended_ns == INT64_MIN;
        if (before)
            why_step(r, "org", INT64_MIN, "was there before the org's clock started");
        else if (r->p->kind == TM_PIPELINE_STREAM)
            why_stream(r, v);
        else if (r->p->kind == TM_PIPELINE_BATCH)
            why_batch(r, v, visible_ns);
        if (row)
            why_shown(r, q);
        sqlite3_reset(q);
        json_array_append_new(
            list, json_pack("{s:I, s:s, s:o, s:b}", "pos", (json_int_t)v + 1, "change",
                            tm_truth_change_name(r->w->truth->versions[v].change), "steps",
                            r->steps, "shown", before || visible_ns != INT64_MAX));
    }
    sqlite3_finalize(q);
    json_object_set_new(out, "commits", list);
    return rc;
}

/* ---- what the reader saw ---- */

/* The cell in a look: of a version, or of the part of it that came with the look; else as before.
 */
static void why_cell(json_t **cell, struct why *w, sqlite3_stmt *q)
{
    const char *fields = (const char *)sqlite3_column_text(q, 5);
    if (w->field[0] == '\0')
        return;
    if (sqlite3_column_type(q, 4) != SQLITE_NULL || fields == NULL) {
        int64_t pos = sqlite3_column_int64(q, 4);
        json_decref(*cell);
        *cell = pos > 0 && pos <= (int64_t)w->truth->versions_count
                    ? tm_why_value(w, (uint32_t)(pos - 1))
                    : json_null();
        return;
    }
    json_t *parts = json_loads(fields, 0, NULL), *part = json_object_get(parts, w->field);
    if (part != NULL) {
        json_int_t pos = json_integer_value(part);
        json_decref(*cell);
        *cell = json_is_null(part) ? json_string("(a value never held)")
                : pos > 0          ? tm_why_value(w, (uint32_t)(pos - 1))
                                   : json_null();
    }
    json_decref(parts);
}

static json_t *why_look(struct why *w, sqlite3_stmt *q, const json_t *cell)
{
    return json_pack(
        "{s:I, s:f, s:s, s:b, s:o, s:O}", "org_ms", (json_int_t)sqlite3_column_int64(q, 1),
        "wall_s", tm_why_wall_s(w, sqlite3_column_int64(q, 0)), "shows",
        (const char *)sqlite3_column_text(q, 2), "dirty", sqlite3_column_int(q, 3), "pos",
        sqlite3_column_type(q, 4) == SQLITE_NULL ? json_null()
                                                 : json_integer(sqlite3_column_int64(q, 4)),
        "value", cell);
}

/* Of a cell, a look that shows nothing new. */
static bool why_same_look(const struct why *w, const json_t *a, const json_t *b)
{
    static const char *const keys[] = { "value", "shows", "dirty" };
    bool same = a != NULL && w->field[0] != '\0';
    for (size_t i = 0; same && i < sizeof keys / sizeof keys[0]; i++)
        same = json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i]));
    return same;
}

/* The instant before which looks are of no interest. */
static int64_t why_window_ns(const struct why *w)
{
    if (w->versions_count == 0)
        return INT64_MIN;
    return w->truth->versions[w->versions[0]].actual_ns;
}

static enum tm_code why_seen(json_t *out, struct why_road *r, struct tm_err *err)
{
    struct why *w = r->w;
    sqlite3_stmt *q = NULL;
    bool row = false;
    json_t *list = json_array(), *cell = json_null(), *at = json_null();
    int64_t from_ns = why_window_ns(w);
    enum tm_code rc =
        tm_sql_prepare(&q, w->run,
                       "SELECT visible_ns, org_ms, shows, dirty, pos, fields FROM seen "
                       "WHERE pipeline=?1 AND id=?2 ORDER BY visible_ns",
                       err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, r->p->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, w->truth->records[w->record].id, -1, SQLITE_STATIC);
    }
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        why_cell(&cell, w, q);
        json_t *look = why_look(w, q, cell);
        if (w->at_ms == INT64_MIN || sqlite3_column_int64(q, 1) <= w->at_ms) {
            json_decref(at);
            at = json_incref(look);
        }
        if (sqlite3_column_int64(q, 0) < from_ns)
            json_array_clear(list); /* but the last before the window is where it begins */
        if (json_array_size(list) == WHY_SEEN_MAX)
            json_array_remove(list, 0);
        if (sqlite3_column_int64(q, 0) <= w->until_ns &&
            !why_same_look(w, json_array_get(list, json_array_size(list) - 1), look))
            json_array_append(list, look);
        json_decref(look);
    }
    sqlite3_finalize(q);
    json_decref(cell);
    json_object_set_new(out, "seen", list);
    json_object_set_new(out, "at", at);
    return rc;
}

static enum tm_code why_cause(json_t *out, struct why_road *r, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    json_t *cause = json_null();
    enum tm_code rc =
        tm_sql_prepare(&q, r->w->run,
                       "SELECT class, cause, station, rule, known, because FROM cause "
                       "WHERE pipeline=?1 AND id=?2",
                       err);
    if (rc == TM_OK) {
        sqlite3_bind_text(q, 1, r->p->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, 2, r->w->truth->records[r->w->record].id, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
    }
    if (rc == TM_OK && row)
        cause = json_pack(
            "{s:s, s:s, s:s?, s:s?, s:b, s:s}", "class", (const char *)sqlite3_column_text(q, 0),
            "cause", (const char *)sqlite3_column_text(q, 1), "station",
            (const char *)sqlite3_column_text(q, 2), "rule",
            (const char *)sqlite3_column_text(q, 3), "known", sqlite3_column_int(q, 4), "because",
            (const char *)sqlite3_column_text(q, 5));
    sqlite3_finalize(q);
    json_object_set_new(out, "cause", cause);
    return rc;
}

/* ---- all of it ---- */

static enum tm_code why_evidence(struct why_road *r, struct tm_err *err)
{
    char path[WHY_PATH_BYTES];
    enum tm_code rc = TM_OK;
    if (r->p->kind == TM_PIPELINE_STREAM && r->p->raw[0] != '\0') {
        bool *wanted = calloc(r->w->truth->records_count + 1, sizeof *wanted);
        if (wanted == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu records", r->w->truth->records_count);
        wanted[r->w->record] = true;
        tm_why_path(path, r->w, r->p->raw);
        rc = tm_road_load(&r->road, r->w->truth, path, wanted, err);
        free(wanted);
        if (rc == TM_OK) {
            size_t first;
            tm_road_of(r->road, r->w->record, &first, &r->rows_count);
            r->rows = r->road->rows + first;
        }
        return rc == TM_E_AGAIN ? TM_OK : rc;
    }
    tm_why_path(path, r->w, r->p->database);
    if (r->p->kind == TM_PIPELINE_BATCH && access(path, R_OK) == 0)
        rc = tm_sql_open(&r->database, path, TM_SQL_READ, err);
    return rc;
}

enum tm_code tm_why_pipeline(json_t *out, struct why *w, const struct tm_plan_pipeline *p,
                             struct tm_err *err)
{
    struct why_road r = { .w = w, .p = p };
    const char *kind = p->kind == TM_PIPELINE_STREAM  ? "stream"
                       : p->kind == TM_PIPELINE_BATCH ? "batch"
                                                      : "external";
    json_t *one = json_pack("{s:s, s:s, s:i, s:f}", "name", p->name, "kind", kind, "option",
                            p->option, "interval_s", (double)p->interval_ms / 1000);
    enum tm_code rc = why_evidence(&r, err);
    if (rc == TM_OK)
        rc = why_commits(one, &r, err);
    if (rc == TM_OK)
        rc = why_seen(one, &r, err);
    if (rc == TM_OK)
        rc = why_cause(one, &r, err);
    tm_road_close(r.road);
    tm_sql_close(r.database);
    json_array_append_new(out, one);
    return rc;
}
