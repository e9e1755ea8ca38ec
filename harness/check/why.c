#include "check/why_inner.h"
#include "base/config.h"
#include "base/text.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHY_BEFORE 3 /* commits at or before the instant, and after it */
#define WHY_AFTER 2
#define WHY_LISTED 6 /* runs, ids or fields named in an error */
#define WHY_DAY_MS INT64_C(86400000)
#define WHY_TEXT_BYTES 150 /* of a list in an error; tm_err's own bound is near */

/* ---- the run ---- */

void tm_why_path(char out[WHY_PATH_BYTES], const struct why *w, const char *planned)
{
    const char *slash = strrchr(planned, '/');
    snprintf(out, WHY_PATH_BYTES, "%.800s/%.200s", w->args->run,
             slash == NULL ? planned : slash + 1);
    if (access(out, F_OK) != 0) /* traces are a folder down */
        snprintf(out, WHY_PATH_BYTES, "%.800s/trace/%.200s", w->args->run,
                 slash == NULL ? planned : slash + 1);
    if (access(out, F_OK) != 0)
        snprintf(out, WHY_PATH_BYTES, "%.1000s", planned);
}

/* One more name of a list in an error, while there is room for it. */
static void why_listed(char list[WHY_TEXT_BYTES], const char *name)
{
    size_t used = strlen(list);
    const char *comma = used > 0 ? ", " : "";
    if (strstr(list, "…") != NULL)
        return;
    if (used + strlen(name) + 8 < WHY_TEXT_BYTES)
        snprintf(list + used, WHY_TEXT_BYTES - used, "%s%s", comma, name);
    else if (used + 8 < WHY_TEXT_BYTES)
        snprintf(list + used, WHY_TEXT_BYTES - used, "%s…", comma);
}

/* Runs in the folder that should have held this one. */
static void why_runs(char out[WHY_TEXT_BYTES], const char *run)
{
    char folder[512], path[1024];
    int listed = 0;
    struct dirent *entry;
    snprintf(folder, sizeof folder, "%.500s", run);
    while (folder[0] != '\0' && folder[strlen(folder) - 1] == '/')
        folder[strlen(folder) - 1] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = '\0';
    else
        strcpy(folder, ".");
    out[0] = '\0';
    DIR *d = opendir(folder[0] == '\0' ? "/" : folder);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%.500s/%.255s/run.db", folder, entry->d_name);
        if (entry->d_name[0] == '.' || access(path, R_OK) != 0 || listed++ >= WHY_LISTED)
            continue;
        why_listed(out, entry->d_name);
    }
    if (d != NULL)
        closedir(d);
}

static enum tm_code why_folder(const struct why *w, struct tm_err *err)
{
    char path[WHY_PATH_BYTES], runs[WHY_TEXT_BYTES];
    const char *run = w->args->run;
    struct stat s;
    if (stat(run, &s) != 0 || !S_ISDIR(s.st_mode)) {
        why_runs(runs, run);
        tm_fail(err, TM_E_ARG, "there is no run folder %.90s", run);
        return runs[0] == '\0' ? TM_E_ARG : tm_at(err, "that folder has the runs %s", runs);
    }
    snprintf(path, sizeof path, "%.900s/run.db", run);
    if (access(path, R_OK) != 0)
        return tm_fail(err, TM_E_ARG,
                       "%.90s holds no run.db: it is no run, or one that was not measured", run);
    return TM_OK;
}

static int64_t why_meta(const struct why *w, const char *key)
{
    sqlite3_stmt *q = NULL;
    int64_t value = INT64_MIN;
    bool row = false;
    if (tm_sql_prepare(&q, w->run, "SELECT CAST(value AS INTEGER) FROM meta WHERE key=?1", NULL) ==
        TM_OK) {
        sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
        if (tm_sql_step(q, &row, NULL) == TM_OK && row)
            value = sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    return value;
}

static enum tm_code why_plan(struct why *w, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    json_t *json = NULL;
    enum tm_code rc = tm_sql_prepare(&q, w->run, "SELECT value FROM meta WHERE key='plan'", err);
    if (rc == TM_OK)
        rc = tm_sql_step(q, &row, err);
    if (rc == TM_OK && row)
        json = json_loads((const char *)sqlite3_column_text(q, 0), 0, NULL);
    sqlite3_finalize(q);
    if (rc == TM_OK && json == NULL)
        rc = tm_fail(err, TM_E_ARG,
                     "%.90s/run.db does not say what was run: it is of an older tidemark, run the "
                     "scenario again",
                     w->args->run);
    if (rc == TM_OK)
        rc = tm_plan_from_json(&w->plan, json, "run.db", err);
    json_decref(json);
    w->timing = (struct tm_timing){ .compress = why_meta(w, "compress"),
                                    .org_origin_ms = why_meta(w, "org_origin_ms"),
                                    .wall_origin_ns = why_meta(w, "wall_origin_ns"),
                                    .end_us = why_meta(w, "end_ms") * 1000 };
    if (rc == TM_OK && (w->timing.compress < 1 || w->timing.org_origin_ms == INT64_MIN))
        rc = tm_fail(err, TM_E_ARG, "%.90s/run.db does not say how its clocks stood", w->args->run);
    w->timing.start_us = w->timing.org_origin_ms * 1000;
    return rc;
}

static enum tm_code why_open(struct why *w, struct tm_err *err)
{
    char path[WHY_PATH_BYTES], traces[TM_PLAN_NAMES_MAX][WHY_PATH_BYTES];
    const char *names[TM_PLAN_NAMES_MAX];
    size_t rows = 1;
    enum tm_code rc = why_folder(w, err);
    if (rc != TM_OK)
        return rc;
    snprintf(path, sizeof path, "%.900s/run.db", w->args->run);
    rc = tm_sql_open(&w->run, path, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = why_plan(w, err);
    if (rc != TM_OK)
        return rc;
    tm_why_path(path, w, w->plan->org);
    if (access(path, R_OK) != 0)
        return tm_fail(err, TM_E_ARG,
                       "%.90s holds no org.db: without the org's log nothing can be "
                       "told",
                       w->args->run);
    rc = tm_truth_open(&w->truth, path, err);
    while (rc == TM_OK && rows > 0)
        rc = tm_truth_tail(w->truth, 100000, &rows, err);
    if (rc == TM_E_AGAIN)
        rc = tm_fail(err, TM_E_ARG, "%.90s is no org database, or a run is still using it", path);
    for (size_t i = 0; i < w->plan->traces_count; i++) {
        tm_why_path(traces[i], w, w->plan->traces[i]);
        names[i] = traces[i];
    }
    if (rc == TM_OK && w->plan->traces_count > 0)
        rc = tm_marks_load(&w->marks, names, w->plan->traces_count, err);
    if (rc == TM_OK)
        rc = tm_pauses_read(&w->pauses, w->truth, err);
    if (rc == TM_OK)
        tm_pauses_truth(&w->pauses, w->truth);
    if (rc == TM_OK && w->marks != NULL)
        tm_marks_without(w->marks, w->pauses.items, w->pauses.count);
    return rc;
}

/* ---- what is asked for ---- */

static enum tm_code why_time_of_day(int64_t *out_ms, const char *text)
{
    int h = -1, m = -1, used = 0;
    double s = 0;
    if (sscanf(text, "%2d:%2d%n", &h, &m, &used) != 2)
        return TM_E_ARG;
    if (text[used] == ':') {
        char *end = NULL;
        s = strtod(text + used + 1, &end);
        if (end == text + used + 1 || *end != '\0')
            return TM_E_ARG;
    } else if (text[used] != '\0') {
        return TM_E_ARG;
    }
    if (h < 0 || h > 23 || m < 0 || m > 59 || !(s >= 0 && s < 60))
        return TM_E_ARG;
    *out_ms = ((int64_t)h * 60 + m) * 60000 + (int64_t)(s * 1000 + 0.5);
    return TM_OK;
}

enum tm_code tm_why_time(int64_t *out_ms, const char *text, int64_t start_ms, int64_t end_ms,
                         struct tm_err *err)
{
    char first[TM_TIME_BYTES], last[TM_TIME_BYTES];
    int64_t ms;
    if (why_time_of_day(&ms, text) == TM_OK) {
        ms += start_ms - start_ms % WHY_DAY_MS;
        if (ms < start_ms && ms + WHY_DAY_MS <= end_ms)
            ms += WHY_DAY_MS;
    } else if (tm_time_parse(&ms, text, NULL) != TM_OK) {
        return tm_fail(err, TM_E_ARG,
                       "\"%.40s\" is no time: give 14:05, 14:05:30 or 2026-03-02T14:05:30Z, on the "
                       "org's clock (UTC)",
                       text);
    }
    if (ms < start_ms || ms > end_ms)
        return tm_fail(err, TM_E_ARG, "%.40s is outside the run: its org clock went from %s to %s",
                       text, tm_time_z(first, start_ms), tm_time_z(last, end_ms));
    *out_ms = ms;
    return TM_OK;
}

static enum tm_code why_no_object(const struct why *w, const char *object, struct tm_err *err)
{
    char list[WHY_TEXT_BYTES] = "";
    const char *names[TM_TRUTH_OBJECTS_MAX];
    for (size_t i = 0; i < w->truth->objects_count; i++) {
        names[i] = w->truth->objects[i].name;
        why_listed(list, names[i]);
    }
    const char *near = tm_nearest(object, names, w->truth->objects_count);
    tm_fail(err, TM_E_ARG, "the run's org has no object \"%.40s\"%s%s%s", object,
            near != NULL ? " (did you mean " : "", near != NULL ? near : "",
            near != NULL ? "?)" : "");
    return tm_at(err, "it has the objects %s", list);
}

/* Ids that changed most are the likeliest to be wanted. */
static enum tm_code why_no_record(const struct why *w, const char *id, struct tm_err *err)
{
    char list[WHY_TEXT_BYTES] = "";
    const struct tm_truth *t = w->truth;
    uint32_t top[4] = { TM_TRUTH_NONE, TM_TRUTH_NONE, TM_TRUTH_NONE, TM_TRUTH_NONE };
    for (uint32_t r = 0; r < t->records_count; r++) {
        uint32_t now = r;
        if (t->records[r].object != w->object)
            continue;
        for (size_t i = 0; i < 4; i++)
            if (top[i] == TM_TRUTH_NONE || t->records[now].count > t->records[top[i]].count) {
                uint32_t out = top[i];
                top[i] = now;
                if (out == TM_TRUTH_NONE)
                    break;
                now = out;
            }
    }
    for (size_t i = 0; i < 4 && top[i] != TM_TRUTH_NONE; i++)
        why_listed(list, t->records[top[i]].id);
    tm_fail(err, TM_E_ARG, "%s %.30s was never in the org", t->objects[w->object].name, id);
    return tm_at(err, "it has %zu records, those that changed most are %s",
                 t->objects[w->object].records_count, list);
}

static enum tm_code why_no_field(const struct why *w, const char *field, struct tm_err *err)
{
    const struct tm_truth_object *o = &w->truth->objects[w->object];
    const char *names[TM_TRUTH_COLUMNS_MAX];
    char list[WHY_TEXT_BYTES] = "";
    for (size_t i = 0; i < o->columns_count; i++)
        names[i] = o->columns[i];
    const char *near = tm_nearest(field, names, o->columns_count);
    for (size_t i = 0; i < o->columns_count; i++)
        why_listed(list, names[i]);
    tm_fail(err, TM_E_ARG, "no commit ever set %s.%.40s%s%s%s", o->name, field,
            near != NULL ? " (did you mean " : "", near != NULL ? near : "",
            near != NULL ? "?)" : "");
    return tm_at(err, "it has %zu fields, %s", o->columns_count, list);
}

static enum tm_code why_target(struct why *w, struct tm_err *err)
{
    char object[80], id[TM_ID_BYTES], word[40];
    const char *slash = strchr(w->args->target, '/');
    if (slash == NULL || slash == w->args->target || slash[1] == '\0')
        return tm_fail(err, TM_E_ARG,
                       "\"%.60s\" is not Object/Id or Object/Id.Field, as in "
                       "Opportunity/006000000000001AAA.StageName",
                       w->args->target);
    snprintf(object, sizeof object, "%.*s", (int)(slash - w->args->target), w->args->target);
    const char *dot = strchr(slash, '.');
    snprintf(word, sizeof word, "%.*s", (int)(dot == NULL ? 39 : dot - slash - 1), slash + 1);
    w->object = tm_truth_object(w->truth, object);
    if (w->object < 0)
        return why_no_object(w, object, err);
    w->record =
        tm_id18(id, word, NULL) == TM_OK ? tm_truth_record(w->truth, w->object, id) : TM_TRUTH_NONE;
    if (w->record == TM_TRUTH_NONE)
        return why_no_record(w, word, err);
    w->at_ms = INT64_MIN;
    if (dot != NULL) {
        int column = tm_truth_column(&w->truth->objects[w->object], dot + 1);
        if (column < 0)
            return why_no_field(w, dot + 1, err);
        snprintf(w->field, sizeof w->field, "%s", w->truth->objects[w->object].columns[column]);
    }
    if (w->args->at == NULL)
        return TM_OK;
    return tm_why_time(&w->at_ms, w->args->at, w->timing.org_origin_ms, w->timing.end_us / 1000,
                       err);
}

/* ---- the org's part ---- */

double tm_why_wall_s(const struct why *w, int64_t wall_ns)
{
    return (double)(wall_ns - w->timing.wall_origin_ns) / 1e9;
}

json_t *tm_why_value(struct why *w, uint32_t version)
{
    if (version == TM_TRUTH_NONE || w->field[0] == '\0' ||
        tm_truth_is_gone(w->truth->versions[version].change))
        return json_null();
    return tm_truth_value(w->truth, version, w->field);
}

/* The version did something to what is asked for. */
static bool why_concerns(const struct why *w, uint32_t v)
{
    const struct tm_truth_version *version = &w->truth->versions[v];
    int column = tm_truth_column(&w->truth->objects[w->object], w->field);
    if (w->field[0] == '\0' || version->change != TM_TRUTH_UPDATE)
        return true;
    for (uint32_t d = 0; d < version->delta_count; d++)
        if ((int)w->truth->deltas[version->delta_first + d].column == column)
            return true;
    return false;
}

static enum tm_code why_choose(struct why *w, struct tm_err *err)
{
    const struct tm_truth_record *r = &w->truth->records[w->record];
    size_t count = 0, first = 0, last, at = 0;
    w->versions = calloc(r->count, sizeof *w->versions);
    if (w->versions == NULL)
        return tm_fail(err, TM_E_NOMEM, "%u versions", r->count);
    for (uint32_t v = r->first; v != TM_TRUTH_NONE; v = w->truth->versions[v].next) {
        if (!why_concerns(w, v))
            continue;
        w->versions[count++] = v;
        at += w->at_ms != INT64_MIN && w->truth->versions[v].org_ms <= w->at_ms;
    }
    size_t want = w->args->last > 0 ? (size_t)w->args->last : TM_WHY_LAST;
    last = count;
    if (w->at_ms != INT64_MIN) {
        first = at > WHY_BEFORE ? at - WHY_BEFORE : 0;
        last = at + WHY_AFTER < count ? at + WHY_AFTER : count;
    } else if (count > want) {
        first = count - want;
    }
    w->versions_count = last - first;
    w->until_ns = last < count ? w->truth->versions[w->versions[last]].actual_ns : INT64_MAX;
    memmove(w->versions, w->versions + first, w->versions_count * sizeof *w->versions);
    return TM_OK;
}

static void why_change(json_t *fields, struct why *w, const char *name, uint32_t v)
{
    const struct tm_truth_version *version = &w->truth->versions[v];
    bool was = version->prev != TM_TRUTH_NONE &&
               !tm_truth_is_gone(w->truth->versions[version->prev].change);
    json_t *before = was ? tm_truth_value(w->truth, version->prev, name) : json_null();
    json_t *after =
        tm_truth_is_gone(version->change) ? json_null() : tm_truth_value(w->truth, v, name);
    json_array_append_new(
        fields, json_pack("{s:s, s:o, s:o}", "field", name, "before", before, "after", after));
}

static json_t *why_commit(struct why *w, uint32_t v)
{
    static const char *const events[TM_TRUTH_EVENTS] = { NULL, "event", "gap event",
                                                         "overflow event" };
    const struct tm_truth_version *version = &w->truth->versions[v];
    const struct tm_truth_object *o = &w->truth->objects[w->object];
    json_t *fields = json_array();
    if (w->field[0] != '\0')
        why_change(fields, w, w->field, v);
    else
        for (uint32_t d = 0; d < version->delta_count && version->change == TM_TRUTH_UPDATE; d++)
            why_change(fields, w, o->columns[w->truth->deltas[version->delta_first + d].column], v);
    return json_pack(
        "{s:I, s:s, s:s?, s:I, s:I, s:o, s:o}", "pos", (json_int_t)v + 1, "change",
        tm_truth_change_name(version->change), "event", events[version->event], "replay_id",
        (json_int_t)version->replay_id, "org_ms", (json_int_t)version->org_ms, "wall_s",
        version->actual_ns == INT64_MIN ? json_null()
                                        : json_real(tm_why_wall_s(w, version->actual_ns)),
        "fields", fields);
}

/* What the org held at the instant, or holds at the end. */
static json_t *why_held(struct why *w)
{
    uint32_t held = TM_TRUTH_NONE;
    for (uint32_t v = w->truth->records[w->record].first; v != TM_TRUTH_NONE;
         v = w->truth->versions[v].next)
        if (w->at_ms == INT64_MIN || w->truth->versions[v].org_ms <= w->at_ms)
            held = v;
    bool there = held != TM_TRUTH_NONE && !tm_truth_is_gone(w->truth->versions[held].change);
    return json_pack("{s:o, s:o, s:b}", "pos",
                     held == TM_TRUTH_NONE ? json_null() : json_integer((json_int_t)held + 1),
                     "value", there ? tm_why_value(w, held) : json_null(), "there", there);
}

static json_t *why_org(struct why *w)
{
    json_t *commits = json_array();
    for (size_t i = 0; i < w->versions_count; i++)
        json_array_append_new(commits, why_commit(w, w->versions[i]));
    return json_pack("{s:I, s:o, s:o}", "versions", (json_int_t)w->truth->records[w->record].count,
                     "held_at", why_held(w), "commits", commits);
}

/* ---- all of it ---- */

static enum tm_code why_pipelines(json_t *list, struct why *w, struct tm_err *err)
{
    const char *names[TM_PLAN_PIPELINES_MAX];
    char all[WHY_TEXT_BYTES] = "";
    enum tm_code rc = TM_OK;
    size_t told = 0;
    for (size_t i = 0; rc == TM_OK && i < w->plan->pipelines_count; i++) {
        const struct tm_plan_pipeline *p = &w->plan->pipelines[i];
        bool has = false;
        names[i] = p->name;
        why_listed(all, p->name);
        for (size_t k = 0; k < p->objects_count; k++)
            has |= strcasecmp(p->objects[k], w->truth->objects[w->object].name) == 0;
        if (!has || (w->args->pipeline != NULL && strcmp(w->args->pipeline, p->name) != 0))
            continue;
        told++;
        rc = tm_why_pipeline(list, w, p, err);
        if (rc != TM_OK)
            rc = tm_at(err, "pipeline %s", p->name);
    }
    if (rc != TM_OK || told > 0)
        return rc;
    const char *near = w->args->pipeline == NULL
                           ? NULL
                           : tm_nearest(w->args->pipeline, names, w->plan->pipelines_count);
    tm_fail(err, TM_E_ARG, "no pipeline %.40s copies %s%s%s%s",
            w->args->pipeline == NULL ? "of the run" : w->args->pipeline,
            w->truth->objects[w->object].name, near != NULL ? " (did you mean " : "",
            near != NULL ? near : "", near != NULL ? "?)" : "");
    return tm_at(err, "the run has %s", all);
}

/* Does what was shown say the same as the org held? null: nothing was looked at. */
static json_t *why_equal(const json_t *held, const json_t *at, bool cell)
{
    const char *shows = json_string_value(json_object_get(at, "shows"));
    if (shows == NULL)
        return json_null();
    bool row = strcmp(shows, "gone") != 0;
    if (row != json_is_true(json_object_get(held, "there")))
        return json_false();
    if (!row)
        return json_true();
    if (cell)
        return json_boolean(
            json_equal(json_object_get(held, "value"), json_object_get(at, "value")));
    return json_boolean(strcmp(shows, "whole") == 0 &&
                        json_equal(json_object_get(held, "pos"), json_object_get(at, "pos")));
}

static void why_close(struct why *w)
{
    free(w->versions);
    tm_marks_close(w->marks);
    tm_truth_close(w->truth);
    tm_plan_close(w->plan);
    tm_sql_close(w->run);
}

enum tm_code tm_why(json_t **out, const struct tm_why_args *args, struct tm_err *err)
{
    struct why w = { .args = args };
    json_t *list = json_array();
    enum tm_code rc = why_open(&w, err);
    if (rc == TM_OK)
        rc = why_target(&w, err);
    if (rc == TM_OK)
        rc = why_choose(&w, err);
    if (rc == TM_OK)
        rc = why_pipelines(list, &w, err);
    if (rc == TM_OK) {
        json_t *org = why_org(&w), *one;
        size_t i;
        json_array_foreach(list, i, one)
            json_object_set_new(one, "equal_at",
                                why_equal(json_object_get(org, "held_at"),
                                          json_object_get(one, "at"), w.field[0] != '\0'));
        *out = json_pack(
            "{s:s, s:s, s:s, s:s, s:s?, s:o, s:I, s:{s:I, s:I}, s:o, s:O}", "run", args->run,
            "scenario", w.plan->scenario, "object", w.truth->objects[w.object].name, "id",
            w.truth->records[w.record].id, "field", w.field[0] == '\0' ? NULL : w.field, "at_ms",
            w.at_ms == INT64_MIN ? json_null() : json_integer(w.at_ms), "compress",
            (json_int_t)w.timing.compress, "clock", "start_ms", (json_int_t)w.timing.org_origin_ms,
            "end_ms", (json_int_t)(w.timing.end_us / 1000), "org", org, "pipelines", list);
        if (*out == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "the story");
    }
    json_decref(list);
    why_close(&w);
    return rc;
}
