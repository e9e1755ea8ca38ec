/* The checker at scale: histories of millions of changes written straight into org.db, and the
 * warehouse that belongs to each with a few rows wrong. Memory must go by records, not by changes:
 * the same records with ten times the changes take as much. TIDEMARK_SCALE="1000000 10000000" names
 * the sizes (make scale); `make test` runs a slice. */
#include "base/org_db.h"
#include "base/sql.h"
#include "base/text.h"
#include "support_command.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define SCALE_RECORDS 20000
#define SCALE_WRONG 100 /* rows that missed their last change */
#define SCALE_ORIGIN_MS INT64_C(1772438400000)
#define SCALE_SIZES_MAX 8
/* what the allocator and SQLite's caches may take more from one size to another */
#define SCALE_SLACK_KB 6144

static char folder[64];

static void must(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s", tm_err_text(err, text, sizeof text));
}

static void scale_id(char out[TM_ID_BYTES], int n)
{
    char id[24]; /* 15 are used; any int fits */
    snprintf(id, sizeof id, "006000000%06d", n + 1);
    assert_int_equal(tm_id18(out, id, NULL), TM_OK);
}

/* Change i of record i % SCALE_RECORDS: its create, then updates of two fields. */
static void scale_change(sqlite3_stmt *history, int64_t i)
{
    char id[TM_ID_BYTES], fields[300];
    int64_t version = i / SCALE_RECORDS + 1, ms = SCALE_ORIGIN_MS + i * 20;
    scale_id(id, (int)(i % SCALE_RECORDS));
    if (version == 1)
        snprintf(fields, sizeof fields,
                 "{\"Name\":\"record %lld\",\"StageName\":\"open\",\"Amount\":%lld.25}",
                 (long long)i, (long long)i);
    else
        snprintf(fields, sizeof fields, "{\"StageName\":\"stage %lld\",\"Amount\":%lld.5}",
                 (long long)version, (long long)i);
    sqlite3_bind_int64(history, 1, i + 1);
    sqlite3_bind_text(history, 2, id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(history, 3, version);
    sqlite3_bind_int64(history, 4, ms);
    sqlite3_bind_text(history, 5, version == 1 ? "CREATE" : "UPDATE", -1, SQLITE_STATIC);
    sqlite3_bind_text(history, 6, fields, -1, SQLITE_TRANSIENT);
    must(tm_sql_run(history, NULL), &(struct tm_err){ 0 });
}

static void scale_org(const char *path, int64_t changes)
{
    struct tm_err err = { 0 };
    sqlite3 *db = NULL;
    sqlite3_stmt *history = NULL, *describe = NULL;
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = fopen("fixtures/objects/Opportunity.json", "r");
    assert_non_null(f);
    assert_true(getdelim(&text, &bytes, '\0', f) > 0);
    fclose(f);
    must(tm_sql_open(&db, path, TM_SQL_CREATE, &err), &err);
    must(tm_sql_exec(db, TM_ORG_DB_SCHEMA "PRAGMA synchronous=OFF", &err), &err);
    must(tm_sql_prepare(&describe, db, "INSERT INTO describe VALUES('Opportunity', 0, ?)", &err),
         &err);
    sqlite3_bind_text(describe, 1, text, -1, SQLITE_STATIC);
    must(tm_sql_run(describe, &err), &err);
    must(tm_sql_prepare(&history, db,
                        "INSERT INTO history VALUES(?1,'Opportunity',?2,?3,'t'||?1,1,?4,?4,NULL,"
                        "NULL,?5,NULL,NULL,'[]',?6)",
                        &err),
         &err);
    must(tm_sql_exec(db, "BEGIN", &err), &err);
    for (int64_t i = 0; i < changes; i++)
        scale_change(history, i);
    must(tm_sql_exec(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)", &err), &err);
    tm_sql_close(db);
    free(text);
}

/* What the org holds at the end, but for the first SCALE_WRONG records, which missed a change. */
static void scale_warehouse(const char *path, int64_t changes)
{
    struct tm_err err = { 0 };
    sqlite3 *db = NULL;
    sqlite3_stmt *put = NULL;
    must(tm_sql_open(&db, path, TM_SQL_CREATE, &err), &err);
    must(tm_sql_exec(db, "CREATE TABLE opp(Id TEXT PRIMARY KEY, Name TEXT, StageName TEXT, Amount)",
                     &err),
         &err);
    must(tm_sql_prepare(&put, db, "INSERT INTO opp VALUES(?1,?2,?3,?4)", &err), &err);
    must(tm_sql_exec(db, "BEGIN", &err), &err);
    for (int n = 0; n < SCALE_RECORDS; n++) {
        char id[TM_ID_BYTES], name[40], stage[40];
        int64_t last = (changes - 1 - n) / SCALE_RECORDS * SCALE_RECORDS + n;
        last -= n < SCALE_WRONG ? SCALE_RECORDS : 0;
        scale_id(id, n);
        snprintf(name, sizeof name, "record %d", n);
        snprintf(stage, sizeof stage, "stage %lld", (long long)(last / SCALE_RECORDS + 1));
        sqlite3_bind_text(put, 1, id, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(put, 2, name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(put, 3, last < SCALE_RECORDS ? "open" : stage, -1, SQLITE_TRANSIENT);
        sqlite3_bind_double(put, 4, (double)last + (last < SCALE_RECORDS ? 0.25 : 0.5));
        must(tm_sql_run(put, &err), &err);
    }
    must(tm_sql_exec(db, "COMMIT", &err), &err);
    tm_sql_close(db);
}

struct scale_result {
    int64_t changes, rss_kb;
    double seconds;
    int code;
    json_t *report;
};

/* In a process of its own: what this one has held counts as held by whoever it starts. */
static void scale_write(const char *org, const char *warehouse, int64_t changes)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        scale_org(org, changes);
        scale_warehouse(warehouse, changes);
        _exit(0);
    }
    assert_true(pid > 0);
    while (waitpid(pid, &status, 0) != pid)
        assert_int_equal(errno, EINTR);
    assert_int_equal(status, 0);
}

/* `tidemark check` as a child, with what the system says of its memory. */
static struct scale_result scale_check(int64_t changes)
{
    char org[100], warehouse[100], map[100], out[100];
    struct scale_result r = { .changes = changes };
    struct rusage usage;
    struct timespec from, to;
    int status = 0;
    snprintf(org, sizeof org, "%s/org.db", folder);
    snprintf(warehouse, sizeof warehouse, "%s/warehouse.db", folder);
    snprintf(map, sizeof map, "%s/map.json", folder);
    snprintf(out, sizeof out, "%s/report.json", folder);
    scale_write(org, warehouse, changes);
    tm_test_write_file(folder, "map.json", "{\"Opportunity\":{\"query\":\"SELECT * FROM opp\"}}");
    clock_gettime(CLOCK_MONOTONIC, &from);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 1);
        execl(tm_test_binary(), "tidemark", "check", "--org", org, "--warehouse", warehouse,
              "--relations", map, "--json", (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    while (wait4(pid, &status, 0, &usage) != pid)
        assert_int_equal(errno, EINTR);
    clock_gettime(CLOCK_MONOTONIC, &to);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    r.rss_kb = usage.ru_maxrss;
    r.seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    r.report = json_load_file(out, 0, NULL);
    static const char *const names[] = { "org.db",       "org.db-wal",       "org.db-shm",
                                         "warehouse.db", "warehouse.db-wal", "warehouse.db-shm" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[120];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return r;
}

static void the_same_records_take_the_same_memory_whatever_happened_to_them(void **state)
{
    const char *sizes = getenv("TIDEMARK_SCALE");
    struct scale_result all[SCALE_SIZES_MAX];
    size_t count = 0;
    (void)state;
    for (const char *at = sizes != NULL ? sizes : "60000 300000";
         *at != '\0' && count < SCALE_SIZES_MAX;) {
        char *end;
        long long changes = strtoll(at, &end, 10);
        assert_true(end != at && changes >= 2 * SCALE_RECORDS);
        struct scale_result *r = &all[count++];
        *r = scale_check(changes);
        const json_t *one = json_object_get(json_object_get(r->report, "objects"), "Opportunity");
        printf("%lld changes of %d records: %.1f s, peak %.1f MB\n", changes, SCALE_RECORDS,
               r->seconds, (double)r->rss_kb / 1024);
        assert_int_equal(r->code, 1);
        assert_int_equal(json_integer_value(json_object_get(one, "stale")), SCALE_WRONG);
        assert_int_equal(json_integer_value(json_object_get(one, "equal")),
                         SCALE_RECORDS - SCALE_WRONG);
        assert_int_equal(json_integer_value(json_object_get(r->report, "changes")), changes);
        json_decref(r->report);
        at = end + strspn(end, " ");
    }
    for (size_t i = 1; i < count; i++)
        if (all[i].rss_kb > all[0].rss_kb + SCALE_SLACK_KB)
            fail_msg("%lld changes take %lld KB, %lld take %lld", (long long)all[i].changes,
                     (long long)all[i].rss_kb, (long long)all[0].changes, (long long)all[0].rss_kb);
}

static int open_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    tm_test_folder_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_records_take_the_same_memory_whatever_happened_to_them),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
