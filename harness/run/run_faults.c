/* run_faults: what befell the processes of a run from outside (killed, stopped), for the report:
 * when, how long, and how long after it each streaming pipeline showed a change that was committed
 * later. Killed is noticed within a look of the supervisor, 50 ms; the clock is the run's own. */
#include "run/run.h"
#include "base/buf.h"
#include "base/sql.h"
#include <inttypes.h>
#include <string.h>

/* Seconds from the fault until the first change committed after it was shown; null = none was. */
static enum tm_code faults_recovered(json_t *list, sqlite3 *db, const char *pipeline, int64_t at_ns,
                                     struct tm_err *err)
{
    struct tm_buf sql;
    int64_t shown_ns = 0;
    tm_buf_init(&sql, 1024);
    tm_buf_addz(&sql, "SELECT coalesce(min(s.visible_ns),0) FROM sample s JOIN change c ON "
                      "c.pos=s.pos WHERE s.pipeline=");
    tm_sql_literal(&sql, pipeline);
    tm_buf_addf(&sql, " AND c.actual_ns>%" PRId64 " AND s.visible_ns>=c.actual_ns", at_ns);
    enum tm_code rc = tm_buf_check(&sql, "faults", err);
    if (rc == TM_OK)
        rc = tm_sql_int64(&shown_ns, db, tm_buf_text(&sql), err);
    if (rc == TM_OK)
        json_array_append_new(
            list,
            json_pack("{s:s, s:o}", "name", pipeline, "shown_again_s",
                      shown_ns == 0 ? json_null() : json_real((double)(shown_ns - at_ns) / 1e9)));
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code faults_add(json_t *list, const json_t *report, const struct tm_run *run,
                               const struct tm_child *child, const struct tm_child_fault *fault,
                               sqlite3 *db, struct tm_err *err)
{
    struct tm_clock_map map;
    json_t *again = json_array(), *pipeline;
    enum tm_code rc = TM_OK;
    size_t i;
    tm_clock_file_read(run->clock, &map);
    json_array_foreach(json_object_get(report, "pipelines"), i, pipeline)
    {
        const char *kind = json_string_value(json_object_get(pipeline, "kind"));
        if (rc == TM_OK && kind != NULL && strcmp(kind, "stream") == 0)
            rc = faults_recovered(again, db, json_string_value(json_object_get(pipeline, "name")),
                                  fault->at_ns, err);
    }
    json_array_append_new(
        list,
        json_pack("{s:s, s:s, s:i, s:I, s:o, s:o}", "process", child->name, "fault",
                  fault->signal == SIGSTOP ? "stopped" : "killed", "signal", fault->signal,
                  "org_ms", (json_int_t)tm_clock_org_at(&map, fault->at_ns), "lasted_s",
                  fault->until_ns == 0 ? json_null()
                                       : json_real((double)(fault->until_ns - fault->at_ns) / 1e9),
                  "pipelines", again));
    return rc;
}

enum tm_code tm_run_faults(json_t *report, const struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    sqlite3 *db = NULL;
    json_t *list = json_array();
    enum tm_code rc = TM_OK;
    snprintf(path, sizeof path, "%.800s/run.db", run->dir);
    for (size_t i = 0; i < run->kids.count && rc == TM_OK; i++)
        for (size_t k = 0; k < run->kids.items[i].faults_count && rc == TM_OK; k++) {
            if (db == NULL)
                rc = tm_sql_open(&db, path, TM_SQL_READ, err);
            if (rc == TM_OK)
                rc = faults_add(list, report, run, &run->kids.items[i],
                                &run->kids.items[i].faults[k], db, err);
        }
    tm_sql_close(db);
    if (rc == TM_OK && json_array_size(list) > 0)
        json_object_set(report, "faults", list);
    json_decref(list);
    return rc;
}
