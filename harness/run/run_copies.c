/* run_copies: how each copy stands to the org while a run goes on, for who watches. Rows that are
 * not as last modified are counted by a plain question to the databases, rarely; no measure: the
 * witness's figures come with the report. */
#include "base/sql.h"
#include "run/run.h"
#include <inttypes.h>
#include <stdio.h>

#define COPIES_PAUSE_NS (3 * TM_NS_PER_S)
#define COPIES_PART 30 /* of the time at most goes into looking */

/* Rows that the org has and the copy does not show as they were last modified, and rows of the copy
 * that the org no longer has; -1: not to be told. */
static int64_t copies_differing(const struct tm_run *run, const char *path)
{
    sqlite3 *db = NULL;
    int64_t sum = 0;
    struct tm_err quiet = { .code = TM_OK };
    enum tm_code rc = tm_sql_open(&db, path, TM_SQL_READ, &quiet);
    if (rc == TM_OK)
        rc = tm_sql_execf(db, &quiet, "ATTACH %Q AS org", run->org_path);
    for (size_t i = 0; rc == TM_OK && i < run->objects_count; i++) {
        int64_t n = 0;
        char *sql = sqlite3_mprintf(
            "SELECT (SELECT count(*) FROM org.\"cur_%w\" o LEFT JOIN main.\"%w\" s ON s.Id=o.Id "
            "WHERE o.IsDeleted=0 AND s.LastModifiedDate IS NOT o.LastModifiedDate)+(SELECT "
            "count(*) FROM main.\"%w\" s LEFT JOIN org.\"cur_%w\" o ON o.Id=s.Id WHERE o.Id IS "
            "NULL "
            "OR o.IsDeleted<>0)",
            run->objects[i], run->objects[i], run->objects[i], run->objects[i]);
        rc = sql == NULL ? TM_E_NOMEM : tm_sql_int64(&n, db, sql, &quiet);
        sqlite3_free(sql);
        sum += n;
    }
    tm_sql_close(db);
    return rc == TM_OK ? sum : -1;
}

const char *tm_run_copies(struct tm_run_copies *c, const struct tm_run *run)
{
    int64_t at_ns = tm_clock_monotonic_ns();
    size_t used = 0;
    if (at_ns < c->next_ns)
        return c->text;
    c->text[0] = '\0';
    for (size_t i = 0; i < run->pipelines_count && used < sizeof c->text; i++) {
        const struct tm_run_pipeline *one = &run->pipelines[i];
        int64_t rows = one->kind == TM_RUN_EXTERNAL
                           ? -1
                           : copies_differing(run, one->kind == TM_RUN_STREAM ? run->view_path
                                                                              : one->database);
        if (rows < 0)
            continue;
        int n = snprintf(c->text + used, sizeof c->text - used, "%s%s %" PRId64,
                         used == 0 ? "; rows not as in the org: " : ", ", one->name, rows);
        used += n > 0 ? (size_t)n : 0;
    }
    int64_t took_ns = tm_clock_monotonic_ns() - at_ns;
    c->next_ns =
        at_ns + (took_ns * COPIES_PART > COPIES_PAUSE_NS ? took_ns * COPIES_PART : COPIES_PAUSE_NS);
    return c->text;
}
