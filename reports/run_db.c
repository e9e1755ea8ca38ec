/* run_db: what the charts take from run.db (written by check): every sample, and rows differing by
 * org time. Read-only; a table or pipeline that is not there leaves its line out. */
#include "base/sql.h"
#include "reports/run_db.h"
#include "reports/words.h"
#include <math.h>
#include <string.h>

static enum tm_code run_query(sqlite3_stmt **out, sqlite3 *db, const char *sql,
                              const char *pipeline, struct tm_err *err)
{
    enum tm_code rc = tm_sql_prepare(out, db, sql, err);
    if (rc == TM_OK && pipeline != NULL)
        sqlite3_bind_text(*out, 1, pipeline, -1, SQLITE_TRANSIENT);
    return rc;
}

static enum tm_code run_has(sqlite3 *db, const char *table, bool *out, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    enum tm_code rc = run_query(&q, db, "SELECT 1 FROM sqlite_master WHERE name = ?1", table, err);
    if (rc == TM_OK)
        rc = tm_sql_step(q, out, err);
    tm_sql_finalize(q);
    return rc;
}

/* Share of all changes that were visible within each x of the axis. */
static enum tm_code run_distribution(double *y, const struct tm_curves *c, sqlite3 *db,
                                     const char *pipeline, struct tm_err *err)
{
    static const char sql[] = "SELECT freshness_ms FROM sample WHERE pipeline = ?1 ORDER BY "
                              "freshness_ms IS NULL, freshness_ms";
    sqlite3_stmt *q = NULL;
    bool row = false;
    double total = 0;
    size_t k = 0;
    enum tm_code rc = run_query(&q, db, sql, pipeline, err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        double s = sqlite3_column_double(q, 0) / 1000;
        bool never = sqlite3_column_type(q, 0) == SQLITE_NULL;
        while (k < c->freshness_count && (never || s > c->freshness_x[k]))
            y[k++] = total;
        total++;
    }
    while (k < c->freshness_count)
        y[k++] = total;
    for (k = 0; k < c->freshness_count; k++)
        y[k] = total > 0 ? 100 * y[k] / total : NAN;
    tm_sql_finalize(q);
    return rc;
}

/* A flat line to the right of the slowest change says nothing: it ends one point behind it. */
static void run_cut_tail(double *y, size_t count)
{
    size_t last = count;
    while (last > 1 && y[last - 1] == y[last - 2])
        last--;
    for (size_t k = last + 1; k < count; k++)
        y[k] = NAN;
    for (size_t k = 0; k + 1 < count && y[k] <= 0 && y[k + 1] <= 0; k++)
        y[k] = NAN;
}

static enum tm_code run_freshness(struct tm_curves *c, sqlite3 *db, const json_t *pipelines,
                                  struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    const json_t *p;
    bool row = false;
    size_t i;
    double first = 0, last = 0;
    enum tm_code rc =
        run_query(&q, db,
                  "SELECT min(CASE WHEN freshness_ms > 0 THEN freshness_ms END), max(freshness_ms)"
                  " FROM sample",
                  NULL, err);
    if (rc == TM_OK)
        rc = tm_sql_step(q, &row, err);
    if (rc == TM_OK && row) {
        first = sqlite3_column_double(q, 0) / 1000;
        last = sqlite3_column_double(q, 1) / 1000;
    }
    tm_sql_finalize(q);
    if (rc != TM_OK || last <= 0)
        return rc;
    tm_curves_axis(c, first, last);
    json_array_foreach(pipelines, i, p)
    {
        rc = run_distribution(c->freshness_y[i], c, db, tm_word_text(p, "name", ""), err);
        if (rc != TM_OK)
            break;
        run_cut_tail(c->freshness_y[i], c->freshness_count);
    }
    return rc;
}

/* Differing rows by org time. The axis is that of all pipelines together, thinned to the points a
 * picture can show. */
static enum tm_code run_drift_axis(struct tm_curves *c, sqlite3 *db, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = run_query(
        &q, db, "SELECT min(org_ms), max(org_ms) FROM curve WHERE class = 'differing_max'", NULL,
        err);
    if (rc == TM_OK)
        rc = tm_sql_step(q, &row, err);
    if (rc == TM_OK && row && sqlite3_column_type(q, 0) != SQLITE_NULL) {
        double first = sqlite3_column_double(q, 0) / 1000,
               last = sqlite3_column_double(q, 1) / 1000;
        if (last > first)
            for (size_t k = 0; k < TM_CURVE_POINTS_MAX; k++)
                c->drift_x[c->drift_count++] =
                    first + (last - first) * (double)k / (TM_CURVE_POINTS_MAX - 1);
    }
    tm_sql_finalize(q);
    return rc;
}

static enum tm_code run_drift(struct tm_curves *c, sqlite3 *db, const json_t *pipelines,
                              struct tm_err *err)
{
    const json_t *p;
    size_t i;
    enum tm_code rc = run_drift_axis(c, db, err);
    if (rc != TM_OK || c->drift_count < 2)
        return rc;
    double first = c->drift_x[0], width = c->drift_x[1] - c->drift_x[0];
    json_array_foreach(pipelines, i, p)
    {
        sqlite3_stmt *q = NULL;
        bool row = false;
        for (size_t k = 0; k < c->drift_count; k++)
            c->drift_y[i][k] = NAN;
        rc = run_query(
            &q, db,
            "SELECT org_ms, rows FROM curve WHERE pipeline = ?1 AND class = 'differing_max'",
            tm_word_text(p, "name", ""), err);
        while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
            double at = (sqlite3_column_double(q, 0) / 1000 - first) / width;
            size_t k = at <= 0                            ? 0
                       : at >= (double)c->drift_count - 1 ? c->drift_count - 1
                                                          : (size_t)(at + 0.5);
            double rows = sqlite3_column_double(q, 1);
            if (!(c->drift_y[i][k] >= rows)) /* keeps the peak; also true for NAN */
                c->drift_y[i][k] = rows;
        }
        tm_sql_finalize(q);
        if (rc != TM_OK)
            break;
    }
    return rc;
}

enum tm_code tm_run_db_read(struct tm_curves *c, const json_t *report, const char *path,
                            struct tm_err *err)
{
    const json_t *pipelines = json_object_get(report, "pipelines");
    sqlite3 *db = NULL;
    bool samples = false, curve = false;
    enum tm_code rc = tm_sql_open(&db, path, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = run_has(db, "sample", &samples, err);
    if (rc == TM_OK)
        rc = run_has(db, "curve", &curve, err);
    if (rc == TM_OK && samples)
        rc = run_freshness(c, db, pipelines, err);
    if (rc == TM_OK && curve)
        rc = run_drift(c, db, pipelines, err);
    tm_sql_close(db);
    if (rc == TM_E_AGAIN)
        rc = tm_fail_retry(err, TM_E_IO, "%s is being written; render again when the run has ended",
                           path);
    return rc == TM_OK ? rc : tm_at(err, "reading %s", path);
}
