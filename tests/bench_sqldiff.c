/* A full comparison of two keyed copies, side by side with sqldiff: 1,000,000 rows of ten columns,
 * of which 1,000 differ in one field each, of two SQLite files of the same layout. Both programs
 * start cold as processes and take turns; medians. sqldiff prints statements; `tidemark check
 * --against` tells each differing field by how it differs. Then the running hash of both sets: one
 * change at a time, the equality known after each (check/drift.h). Prints what the machine did;
 * asserts only that both found the same rows. */
#include "base/clock.h"
#include "base/rng.h"
#include "base/sql.h"
#include "base/text.h"
#include "check/drift.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 1000000
#define DIFFER 1000
#define TURNS 7
#define CHANGES 4000000
static char dir[64], a_path[96], b_path[96], map_path[96], out_path[96];

static void need(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc == TM_OK)
        return;
    fprintf(stderr, "bench_sqldiff: %s\n", tm_err_text(err, text, sizeof text));
    exit(70);
}

static void bind_text(sqlite3_stmt *put, int at, const char *text)
{
    sqlite3_bind_text(put, at, text, -1, SQLITE_TRANSIENT);
}

/* The same history of rows for both; every ROWS / DIFFER-th row of the second has one field wrong.
 */
static void fill(const char *path, bool wrong)
{
    static const char *const stages[] = { "Prospecting", "Negotiation", "Closed Won" };
    struct tm_err err = { 0 };
    sqlite3 *db = NULL;
    sqlite3_stmt *put = NULL;
    struct tm_rng rng;
    tm_rng_init(&rng, 1);
    need(tm_sql_open(&db, path, TM_SQL_CREATE, &err), &err);
    need(tm_sql_exec(
             db,
             "PRAGMA synchronous=OFF; CREATE TABLE opp(Id TEXT PRIMARY KEY, Name TEXT, Stage "
             "TEXT, Amount REAL, Probability INT, Closed INT, CloseDate TEXT, OwnerId TEXT, "
             "Description TEXT, CreatedDate INT, LastModifiedDate INT) WITHOUT ROWID; BEGIN",
             &err),
         &err);
    need(tm_sql_prepare(&put, db, "INSERT INTO opp VALUES(?,?,?,?,?,?,?,?,?,?,?)", &err), &err);
    for (int n = 0; n < ROWS; n++) {
        char text[80], id[TM_ID_BYTES];
        bool bad = wrong && n % (ROWS / DIFFER) == ROWS / DIFFER / 2;
        int field = bad ? n / (ROWS / DIFFER) % 10 : -1;
        snprintf(text, sizeof text, "00600000%07d", n + 1);
        need(tm_id18(id, text, &err), &err);
        bind_text(put, 1, id);
        snprintf(text, sizeof text, "Opportunity %d", n);
        bind_text(put, 2, text);
        bind_text(put, 3, stages[tm_rng_below(&rng, 3)]);
        sqlite3_bind_double(put, 4, n * 1.25);
        sqlite3_bind_int(put, 5, n % 100);
        sqlite3_bind_int(put, 6, n % 2);
        snprintf(text, sizeof text, "2026-%02d-%02d", n % 12 + 1, n % 28 + 1);
        bind_text(put, 7, text);
        snprintf(text, sizeof text, "00500000%07d", n % 1000 + 1);
        need(tm_id18(id, text, &err), &err);
        bind_text(put, 8, id);
        snprintf(text, sizeof text, "what is to be said of %d", n);
        bind_text(put, 9, text);
        sqlite3_bind_int64(put, 10, INT64_C(1772438400000) + n);
        sqlite3_bind_int64(put, 11, INT64_C(1772438400000) + n * INT64_C(7));
        if (field == 0)
            sqlite3_bind_null(put, 9);
        else if (field > 0 && field % 2 == 0)
            sqlite3_bind_int64(put, 11, INT64_C(1772438400000) + n * INT64_C(7) + 400);
        else if (field > 0)
            bind_text(put, 3, "another stage");
        need(tm_sql_run(put, &err), &err);
    }
    need(tm_sql_exec(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE",
                     &err),
         &err);
    tm_sql_close(db);
}

struct turn {
    double wall_s, cpu_s;
};

static struct turn turn(const char *const *argv, int code)
{
    struct rusage usage;
    int status = 0;
    int64_t from_ns = tm_clock_monotonic_ns();
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 1);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        fprintf(stderr, "bench_sqldiff: cannot start %s\n", argv[0]);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != code) {
        fprintf(stderr, "bench_sqldiff: %s ended with status %d\n", argv[0], status);
        exit(70);
    }
    return (struct turn){ (double)(tm_clock_monotonic_ns() - from_ns) / 1e9,
                          (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6 };
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, TURNS, sizeof *values, by_number);
    return values[TURNS / 2];
}

/* Lines of sqldiff, or what our verdict counts. */
static long found(bool ours)
{
    long count = 0;
    if (ours) {
        json_t *report = json_load_file(out_path, 0, NULL);
        const json_t *one = json_object_get(json_object_get(report, "objects"), "Opportunity");
        count = (long)json_integer_value(json_object_get(one, "differing"));
        json_decref(report);
        return count;
    }
    FILE *f = fopen(out_path, "r");
    for (int c; f != NULL && (c = fgetc(f)) != EOF;)
        count += c == '\n';
    if (f != NULL)
        fclose(f);
    return count;
}

static void fields(void)
{
    const char *name;
    json_t *report = json_load_file(out_path, 0, NULL), *field;
    printf("  differing fields by how they differ:");
    json_object_foreach(
        json_object_get(json_object_get(json_object_get(report, "objects"), "Opportunity"),
                        "fields"),
        name, field) printf(" %s lost %lld, near %lld, other %lld;", name,
                            (long long)json_integer_value(json_object_get(field, "lost")),
                            (long long)json_integer_value(json_object_get(field, "near")),
                            (long long)json_integer_value(json_object_get(field, "other")));
    printf("\n");
    json_decref(report);
}

static void side_by_side(const char *tidemark)
{
    const char *const sqldiff[] = { "sqldiff", "--table", "opp", a_path, b_path, NULL };
    const char *one[] = { tidemark, "check",       "--against", a_path,      "--warehouse", b_path,
                          "--json", "--relations", map_path,    "--threads", "1",           NULL };
    const char *two[12];
    double wall[3][TURNS], cpu[3][TURNS];
    memcpy(two, one, sizeof two);
    two[10] = "2";
    for (int i = 0; i < TURNS; i++)
        for (int k = 0; k < 3; k++) {
            struct turn t = turn(k == 0 ? sqldiff : k == 1 ? one : two, k == 0 ? 0 : 1);
            wall[k][i] = t.wall_s;
            cpu[k][i] = t.cpu_s;
            if (found(k > 0) != DIFFER) {
                fprintf(stderr, "bench_sqldiff: %ld rows found, not %d\n", found(k > 0), DIFFER);
                exit(70);
            }
        }
    double diff = median(wall[0]), w1 = median(wall[1]), w2 = median(wall[2]);
    printf("compare: %d rows of ten columns, %d differ; medians of %d turns each, wall (CPU)\n",
           ROWS, DIFFER, TURNS);
    printf("  sqldiff              %.2f s (%.2f s)\n", diff, median(cpu[0]));
    printf("  tidemark, 1 thread   %.2f s (%.2f s): %.2f times as fast\n", w1, median(cpu[1]),
           diff / w1);
    printf("  tidemark, 2 threads  %.2f s (%.2f s): %.2f times as fast\n", w2, median(cpu[2]),
           diff / w2);
    fields();
}

/* Changes of either side at random rows, the equality asked after each. */
static void running_hash(void)
{
    struct tm_drift *d = NULL;
    struct tm_err err = { 0 };
    struct tm_rng rng;
    uint64_t equal = 0;
    tm_rng_init(&rng, 2);
    need(tm_drift_open(&d, ROWS, &err), &err);
    int64_t from_ns = tm_clock_monotonic_ns();
    for (int i = 0; i < CHANGES; i += 2) {
        uint32_t row = (uint32_t)tm_rng_below(&rng, ROWS);
        uint64_t hash = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) + 1;
        tm_drift_truth(d, row, hash);
        equal += tm_drift_equal(d);
        tm_drift_shown(d, row, hash);
        equal += tm_drift_equal(d);
    }
    double ns = (double)(tm_clock_monotonic_ns() - from_ns) / CHANGES;
    printf("running hash: %.0f ns a change over %d rows, equality known after each (%llu times "
           "equal)\n",
           ns, ROWS, (unsigned long long)equal);
    tm_drift_close(d);
}

int main(void)
{
    const char *tidemark = getenv("TIDEMARK_BIN");
    FILE *f;
    if (tidemark == NULL || access(tidemark, X_OK) != 0) {
        fprintf(stderr, "bench_sqldiff: TIDEMARK_BIN must name the program\n");
        return 70;
    }
    snprintf(dir, sizeof dir, "/tmp/bench_sqldiff.%ld", (long)getpid());
    snprintf(a_path, sizeof a_path, "%s.a.db", dir);
    snprintf(b_path, sizeof b_path, "%s.b.db", dir);
    snprintf(map_path, sizeof map_path, "%s.json", dir);
    snprintf(out_path, sizeof out_path, "%s.out", dir);
    f = fopen(map_path, "w");
    if (f == NULL)
        return 70;
    fputs("{\"Opportunity\": {\"query\": \"SELECT * FROM opp\", \"tolerances\": "
          "{\"LastModifiedDate\": "
          "\"1ms\"}}}",
          f);
    fclose(f);
    fill(a_path, false);
    fill(b_path, true);
    running_hash();
    side_by_side(tidemark);
    unlink(a_path);
    unlink(b_path);
    unlink(map_path);
    unlink(out_path);
    return 0;
}
