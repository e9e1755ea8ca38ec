/* How fast the whole streaming road is: the program as users start it (TIDEMARK_BIN run …), mock
 * Salesforce to view.db, real time (compress 1), 20,000 records, every process on this machine. All
 * instants are of run.db: a change counts from its intended commit (open loop, the generator's
 * lateness is inside) to the first read of the independent reader that shows it. flood   offers
 * more than can be done; sustained = changes / (last visible - first intended commit). Beside it
 * the lag behind the actual commit in each third of the run: where it does not grow the generator
 * was the limit and the road keeps up with all that was committed; where it grows the road was the
 * limit, and the rate is its own. steady  1,000 changes a second: work p50, p99 of option 2. Raw
 * rows: until the transaction that holds the last of them began (_written_ns); option 1's query
 * time stands apart. Prints what the machine did; asserts nothing. */
#include "base/sql.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* last third's median lag against the middle third's */
#define LAG_GROWS 1.5
#define LAG_SLACK_MS 50
static char dir[64];

static void need(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc == TM_OK)
        return;
    fprintf(stderr, "bench_road: %s\n", tm_err_text(err, text, sizeof text));
    exit(70);
}

static double number(sqlite3 *db, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    need(tm_sql_prepare(&stmt, db, sql, &err), &err);
    need(tm_sql_step(stmt, &row, &err), &err);
    double n = row ? sqlite3_column_double(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return n;
}

static sqlite3 *opened(const char *run, const char *file)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    char path[256];
    snprintf(path, sizeof path, "%s/%s/%s", dir, run, file);
    need(tm_sql_open(&db, path, TM_SQL_READ, &err), &err);
    return db;
}

/* Runs the scenario into dir/run; its own words go to dir/run.log. */
static int run(const char *name)
{
    const char *bin = getenv("TIDEMARK_BIN");
    char scenario[128], out[128], log[128];
    int status = 0;
    snprintf(scenario, sizeof scenario, "fixtures/scenarios/bench-%s.json", name);
    snprintf(out, sizeof out, "%s/%s", dir, name);
    snprintf(log, sizeof log, "%s/%s.log", dir, name);
    fflush(stdout); /* else the child has it too */
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen(log, "w", stdout) == NULL || dup2(1, 2) < 0)
            _exit(70);
        execl(bin != NULL ? bin : "build/release/tidemark", "tidemark", "run", scenario, "--out",
              out, (char *)NULL);
        _exit(70);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) >= 64) {
        fprintf(stderr, "bench_road: %s did not run to its end; %s says why\n", scenario, log);
        exit(70);
    }
    return WEXITSTATUS(status);
}

/* Bytes of all values of the raw rows and how many rows, over the objects' change event tables. */
static void raw_rows(sqlite3 *raw, double *rows, double *bytes, double *last_ns)
{
    static const char *const tables[] = { "sfdc_cdc_account_raw", "sfdc_cdc_opportunity_raw",
                                          "sfdc_cdc_user_raw" };
    struct tm_err err = { .code = TM_OK };
    *rows = *bytes = *last_ns = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        struct tm_buf b;
        sqlite3_stmt *columns = NULL;
        bool row = false;
        char sql[160];
        tm_buf_init(&b, 1u << 20);
        tm_buf_addz(&b, "SELECT total(0");
        snprintf(sql, sizeof sql, "PRAGMA table_info(%s)", tables[t]);
        need(tm_sql_prepare(&columns, raw, sql, &err), &err);
        while (tm_sql_step(columns, &row, &err) == TM_OK && row) {
            tm_buf_addz(&b, "+ifnull(length(CAST(");
            tm_sql_ident(&b, (const char *)sqlite3_column_text(columns, 1));
            tm_buf_addz(&b, " AS BLOB)),0)");
        }
        sqlite3_finalize(columns);
        tm_buf_addf(&b, ") FROM %s", tables[t]);
        *bytes += number(raw, tm_buf_text(&b));
        tm_buf_free(&b);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[t]);
        *rows += number(raw, sql);
        snprintf(sql, sizeof sql, "SELECT max(_written_ns) FROM %s", tables[t]);
        double ns = number(raw, sql);
        *last_ns = ns > *last_ns ? ns : *last_ns;
    }
}

#define OF_VIEW                                                                                    \
    "FROM sample JOIN change USING(pos) WHERE pipeline='stream-view' AND visible_ns IS NOT NULL "

static double quantile(sqlite3 *db, const char *value, const char *where, double q)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "SELECT %s v " OF_VIEW
             "%s ORDER BY v LIMIT 1 OFFSET (SELECT CAST((count(*)-1)*%f AS INTEGER) " OF_VIEW "%s)",
             value, where, q, where);
    return number(db, sql) / 1e6;
}

static const char *verdict(int code)
{
    return code == 0 ? "pass" : code == 1 ? "FAIL" : "inconclusive (load came late)";
}

static void flood(void)
{
    int code = run("flood");
    sqlite3 *db = opened("flood", "run.db"), *raw = opened("flood", "raw.db"),
            *view = opened("flood", "view.db");
    double rows, bytes, raw_ns, lag[3];
    double changes = number(db, "SELECT count(*) " OF_VIEW),
           all = number(db, "SELECT count(*) FROM change");
    double first = number(db, "SELECT min(intended_ns) FROM change"),
           last = number(db, "SELECT max(visible_ns) " OF_VIEW);
    double offered_s = (number(db, "SELECT max(intended_ns) FROM change") - first) / 1e9;
    double committed_s = (number(db, "SELECT max(actual_ns) FROM change") - first) / 1e9;
    double records =
        number(view, "SELECT (SELECT count(*) FROM Account)+(SELECT count(*) FROM Opportunity)+"
                     "(SELECT count(*) FROM User)");
    double query_ms = number(
        db,
        "SELECT total(ms) FROM (SELECT avg(query_ms) ms FROM full_read WHERE pipeline='stream-sql' "
        "GROUP BY object)");
    for (int third = 0; third < 3; third++) {
        char where[200];
        snprintf(where, sizeof where,
                 "AND pos>(SELECT min(pos)+(max(pos)-min(pos))*%d/3 FROM change) AND pos<=(SELECT "
                 "min(pos)+(max(pos)-min(pos))*%d/3 FROM change)",
                 third, third + 1);
        lag[third] = quantile(db, "visible_ns-actual_ns", where, 0.5);
    }
    raw_rows(raw, &rows, &bytes, &raw_ns);
    bool grows = lag[2] > lag[1] * LAG_GROWS + LAG_SLACK_MS;
    printf("road, flood: %.0f records at the end, %.0f changes offered at %.0f/s, committed at "
           "%.0f/s, %.0f never visible, "
           "verdict %s\n",
           records, all, all / offered_s, all / committed_s, all - changes, verdict(code));
    printf("road, option 2 (view.db): %.0f changes/s sustained from intended commit to visible; "
           "median lag behind the commit "
           "by thirds %.0f %.0f %.0f ms: %s\n",
           changes / ((last - first) / 1e9), lag[0], lag[1], lag[2],
           grows ? "grows, the road is the limit" : "bounded, the generator is the limit");
    printf("road, raw rows: %.0f rows/s, mean row %.0f bytes; option 1 adds a query of %.0f ms for "
           "a full read of all "
           "objects\n",
           rows / ((raw_ns - first) / 1e9), rows > 0 ? bytes / rows : 0, query_ms);
    tm_sql_close(db);
    tm_sql_close(raw);
    tm_sql_close(view);
}

static void steady(void)
{
    int code = run("steady");
    sqlite3 *db = opened("steady", "run.db"), *raw = opened("steady", "raw.db");
    double rows, bytes, raw_ns, changes = number(db, "SELECT count(*) " OF_VIEW);
    double span_s = number(db, "SELECT (max(intended_ns)-min(intended_ns))/1e9 FROM change");
    raw_rows(raw, &rows, &bytes, &raw_ns);
    printf("road, steady: %.0f changes at %.0f/s, mean row %.0f bytes; option 2 work p50 %.1f ms, "
           "p99 %.1f ms, max %.1f ms "
           "(generator lateness inside: p99 %.1f ms), verdict %s\n",
           changes, changes / span_s, rows > 0 ? bytes / rows : 0, quantile(db, "work_ns", "", 0.5),
           quantile(db, "work_ns", "", 0.99), quantile(db, "work_ns", "", 1),
           quantile(db, "actual_ns-intended_ns", "", 0.99), verdict(code));
    tm_sql_close(db);
    tm_sql_close(raw);
}

int main(void)
{
    char command[96];
    strcpy(dir, "/tmp/tidemark-bench-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 70;
    flood();
    steady();
    if (getenv("TIDEMARK_KEEP") != NULL)
        return printf("kept: %s\n", dir) > 0 ? 0 : 70;
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command) == 0 ? 0 : 70;
}
