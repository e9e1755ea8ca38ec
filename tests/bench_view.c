/* How fast the two options are: 20,000 records, 200,000 raw rows of 25 columns, and a first copy of
 * 20,000 images. option 2: raw rows applied a second, one core, and rows of a catch-up after a
 * restart; option 1: one full read of X and of X_dirty through the views. Prints what the machine
 * did; asserts nothing.
 * `bench_view growth EVENTS DIR` (make growth; DIR gets growth.html and growth.json): the snapshot
 * read through both options while the history grows from 10,000 events on, two sizes a decade, what
 * keeping option 2 costs an event and how many bytes, and how often the snapshot must be read for
 * that to pay. CPU seconds, which a busy machine leaves alone. */
#include "base/clock.h"
#include "base/rng.h"
#include "reports/growth.h"
#include "view/sql.h"
#include "view/view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECORDS 20000
#define ROWS 200000
#define FIELDS 25
#define GROWTH_BYTES_MAX (4u << 20)
#define GROWTH_SLICE 100000 /* events a transaction: a longer one's log is as long as its rows */
static char dir[64], raw_path[96], view_path[96];

static void need(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc == TM_OK)
        return;
    fprintf(stderr, "bench_view: %s\n", tm_err_text(err, text, sizeof text));
    exit(70);
}

static void sql(sqlite3 *db, const char *text)
{
    struct tm_err err = { .code = TM_OK };
    need(tm_sql_exec(db, text, &err), &err);
}

static void tables(sqlite3 *raw)
{
    struct tm_buf b;
    tm_buf_init(&b, 1u << 20);
    for (int t = 0; t < 2; t++) {
        tm_buf_addz(
            &b,
            t == 0
                ? "CREATE TABLE sfdc_cdc_deal_raw(_topic TEXT,_partition INTEGER,_offset INTEGER,"
                  "_written_ns INTEGER,Id TEXT,ReplayId TEXT,ChangeEventHeader TEXT,_ObjectType "
                  "TEXT,"
                  "_EventType TEXT,_DiffFields TEXT,_epoch INTEGER"
                : "CREATE TABLE sfdc_recon_deal(_topic TEXT,_partition INTEGER,_offset INTEGER,"
                  "_written_ns INTEGER,Id TEXT,_kind TEXT,_g INTEGER,_epoch INTEGER,_read_id TEXT,"
                  "_read_seq INTEGER,_read_kind TEXT,_count INTEGER,_partitions INTEGER");
        for (int f = 0; f < FIELDS; f++)
            tm_buf_addf(&b, ",Field%02d__c", f);
        tm_buf_addz(&b, ",UNIQUE(_topic,_partition,_offset));");
    }
    sql(raw, tm_buf_text(&b));
    tm_buf_free(&b);
}

static sqlite3_stmt *insert_of(sqlite3 *raw, const char *table, int fixed)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf b;
    sqlite3_stmt *stmt = NULL;
    tm_buf_init(&b, 65536);
    tm_buf_addf(&b, "INSERT INTO %s VALUES(?1", table);
    for (int i = 2; i <= fixed + FIELDS; i++)
        tm_buf_addf(&b, ",?%d", i);
    tm_buf_addc(&b, ')');
    need(tm_sql_prepare(&stmt, raw, tm_buf_text(&b), &err), &err);
    tm_buf_free(&b);
    return stmt;
}

static void put(sqlite3_stmt *stmt)
{
    struct tm_err err = { .code = TM_OK };
    need(tm_sql_run(stmt, &err), &err);
    sqlite3_clear_bindings(stmt);
}

static void text(sqlite3_stmt *stmt, int at, const char *value)
{
    sqlite3_bind_text(stmt, at, value, -1, SQLITE_TRANSIENT);
}

static const char *id_of(char out[24], int record)
{
    snprintf(out, 24, "006000000%06dAAA", record);
    return out;
}

static void first_copy(sqlite3 *raw)
{
    sqlite3_stmt *stmt = insert_of(raw, "sfdc_recon_deal", 13);
    char id[24], value[64];
    for (int r = 0; r <= RECORDS; r++) {
        text(stmt, 1, "sfdc.recon.deal");
        sqlite3_bind_int(stmt, 2, 0);
        sqlite3_bind_int(stmt, 3, r);
        sqlite3_bind_int(stmt, 4, 0);
        text(stmt, 5, r < RECORDS ? id_of(id, r) : "Deal");
        text(stmt, 6, r < RECORDS ? "image" : "end");
        sqlite3_bind_int(stmt, 7, 0);
        sqlite3_bind_int(stmt, 8, 1);
        text(stmt, 9, "copy-1");
        sqlite3_bind_int(stmt, 10, 1);
        text(stmt, 11, "whole");
        if (r == RECORDS) {
            sqlite3_bind_int(stmt, 12, RECORDS);
            sqlite3_bind_int(stmt, 13, 1);
        }
        for (int f = 0; f < FIELDS && r < RECORDS; f++) {
            snprintf(value, sizeof value, "first value %d of %d", f, r);
            text(stmt, 14 + f, value);
        }
        put(stmt);
    }
    sqlite3_finalize(stmt);
}

/* 90 % updates of 1-8 fields, hot records by Zipf 0.9; creates, deletes, undeletes, gaps and merged
 * events among them. */
static void history(sqlite3 *raw, struct tm_rng *rng, int64_t first, int64_t rows)
{
    sqlite3_stmt *stmt = insert_of(raw, "sfdc_cdc_deal_raw", 11);
    struct tm_zipf zipf;
    tm_zipf_init(&zipf, RECORDS, 0.9);
    for (int64_t n = first; n < first + rows; n++) {
        char id[24], replay[24], header[1024], changed[400] = "", value[64];
        unsigned set = 0;
        uint64_t dice = tm_rng_below(rng, 1000);
        const char *type = dice < 900   ? "UPDATE"
                           : dice < 960 ? "CREATE"
                           : dice < 980 ? "DELETE"
                           : dice < 990 ? "UNDELETE"
                                        : "GAP_UPDATE";
        id_of(id, (int)tm_zipf_next(&zipf, rng));
        for (uint64_t f = tm_rng_below(rng, 8) + 1; strcmp(type, "UPDATE") == 0 && f > 0; f--)
            set |= 1u << tm_rng_below(rng, FIELDS);
        for (int f = 0; f < FIELDS; f++)
            if (set & (1u << f))
                snprintf(changed + strlen(changed), sizeof changed - strlen(changed),
                         "%s\"Field%02d__c\"", changed[0] != '\0' ? "," : "", f);
        snprintf(header, sizeof header,
                 "{\"entityName\":\"Deal\",\"recordIds\":[\"%s\"],\"changeType\":\"%s\","
                 "\"changedFields\":"
                 "[%s],\"changeOrigin\":\"com/salesforce/api/rest/"
                 "60.0\",\"transactionKey\":\"00026831-c8e1-13c6-e65f-"
                 "c3b849d556ee\",\"sequenceNumber\":1,\"commitTimestamp\":1655997704000,"
                 "\"commitUser\":\"005000000000001AAA\","
                 "\"commitNumber\":%lld}",
                 id, type, changed, (long long)n);
        snprintf(replay, sizeof replay, "%lld", (long long)(8407465 + n * 3));
        text(stmt, 1, "sfdc.cdc.deal_raw");
        sqlite3_bind_int(stmt, 2, (int)(n % 6));
        sqlite3_bind_int64(stmt, 3, n);
        sqlite3_bind_int(stmt, 4, 0);
        text(stmt, 5, id);
        text(stmt, 6, replay);
        text(stmt, 7, header);
        text(stmt, 8, "DealChangeEvent");
        text(stmt, 9, "R1-FSrKj5");
        text(stmt, 10, "[]");
        sqlite3_bind_int(stmt, 11, 1);
        for (int f = 0; f < FIELDS; f++) {
            bool full = strcmp(type, "CREATE") == 0 || strcmp(type, "UNDELETE") == 0;
            if (!full && !(set & (1u << f)))
                continue;
            snprintf(value, sizeof value, "value %d of %lld", f, (long long)n);
            text(stmt, 12 + f, value);
        }
        put(stmt);
    }
    sqlite3_finalize(stmt);
}

/* CPU seconds of this process: what a busy machine leaves alone. */
static double cpu_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double follow(sqlite3 *db, uint64_t *out_rows)
{
    static const char *const objects[] = { "Deal" };
    const struct tm_view_settings settings = {
        .raw_path = raw_path, .objects = objects, .objects_count = 1, .poll_ns = TM_NS_PER_MS
    };
    struct tm_err err = { .code = TM_OK };
    struct tm_view *view = NULL;
    int64_t began = tm_clock_monotonic_ns();
    need(tm_view_open(&view, &settings, &(struct tm_view_ports){ .db = db }, &err), &err);
    for (;;) {
        struct tm_now now = { 0, tm_clock_monotonic_ns() };
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        enum tm_code rc = tm_view_step(view, &now, &wake, &err);
        if (rc == TM_E_AGAIN && wake.wall_ns > now.wall_ns)
            break;
        if (rc != TM_E_AGAIN)
            need(rc, &err);
    }
    *out_rows = tm_view_counted(view)->rows;
    tm_view_close(view);
    return (double)(tm_clock_monotonic_ns() - began) / 1e9;
}

static double query(sqlite3 *db, const char *what, int64_t *out_rows)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    int64_t began = tm_clock_monotonic_ns();
    need(tm_sql_prepare(&stmt, db, what, &err), &err);
    for (*out_rows = -1; row; (*out_rows)++)
        need(tm_sql_step(stmt, &row, &err), &err);
    sqlite3_finalize(stmt);
    return (double)(tm_clock_monotonic_ns() - began) / 1e9;
}

/* ---- while the history grows ---- */

struct growth {
    sqlite3 *raw, *db, *reader;
    int64_t events;
    struct tm_growth_point points[TM_GROWTH_POINTS_MAX];
    size_t points_count;
};

static double read_cpu(sqlite3 *db, int64_t *out_rows)
{
    double began = cpu_s();
    query(db, "SELECT * FROM Deal", out_rows);
    return cpu_s() - began;
}

static int64_t bytes_of(sqlite3 *db)
{
    struct tm_err err = { .code = TM_OK };
    int64_t bytes = 0;
    need(tm_sql_int64(&bytes, db,
                      "SELECT page_count*page_size FROM pragma_page_count,pragma_page_size", &err),
         &err);
    return bytes;
}

/* Option 2 keeps up with `size`; both are read. */
static void growth_line(struct growth *g, int64_t size)
{
    int64_t one = 0, two = 0;
    uint64_t rows = 0;
    double began = cpu_s();
    follow(g->db, &rows);
    double write_s = (cpu_s() - began) / (double)(size - g->events);
    double q1 = read_cpu(g->reader, &one), q2 = read_cpu(g->db, &two);
    g->events = size;
    if (one != two) {
        fprintf(stderr, "bench_view: at %lld events the options differ: %lld and %lld records\n",
                (long long)g->events, (long long)one, (long long)two);
        exit(70);
    }
    g->points[g->points_count++] = (struct tm_growth_point){
        g->events, { q1, q2 }, write_s, { bytes_of(g->raw), bytes_of(g->db) }
    };
    fprintf(stderr, "%lld events: %.3f s and %.3f s, %.1f us an event to keep\n",
            (long long)g->events, q1, q2, write_s * 1e6);
}

static void growth_more(struct growth *g, struct tm_rng *rng, int64_t size)
{
    for (int64_t n = g->events; n < size; n += GROWTH_SLICE) {
        sql(g->raw, "BEGIN");
        history(g->raw, rng, n + 1, size - n < GROWTH_SLICE ? size - n : GROWTH_SLICE);
        sql(g->raw, "COMMIT");
    }
}

static void growth_put(const char *out, const char *name, const struct tm_buf *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", out, name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fwrite(tm_buf_text(text), 1, text->bytes, f) != text->bytes ||
        fclose(f) != 0) {
        fprintf(stderr, "bench_view: cannot write %s\n", path);
        exit(70);
    }
}

static void growth_tell(const struct growth *g, const char *out)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf words, page, data;
    json_t *growth = NULL;
    tm_buf_init(&words, GROWTH_BYTES_MAX);
    tm_buf_init(&page, GROWTH_BYTES_MAX);
    tm_buf_init(&data, GROWTH_BYTES_MAX);
    need(tm_growth(&growth, g->points, g->points_count, RECORDS, FIELDS, &err), &err);
    tm_growth_words(&words, growth);
    fputs(tm_buf_text(&words), stdout);
    need(tm_growth_html(&page, growth, &err), &err);
    char *text = json_dumps(growth, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    tm_buf_addz(&data, text != NULL ? text : "");
    growth_put(out, "growth.html", &page);
    growth_put(out, "growth.json", &data);
    printf("chart: %s/growth.html\n", out);
    free(text);
    json_decref(growth);
    tm_buf_free(&words);
    tm_buf_free(&page);
    tm_buf_free(&data);
}

/* Each size is the last one and as many events more as are missing. The first copy is kept before
 * the first of them: it is no part of what an event costs. */
static void growth(sqlite3 *raw, sqlite3 *db, struct tm_rng *rng, int64_t last, const char *out)
{
    struct tm_err err = { .code = TM_OK };
    struct growth g = { .raw = raw, .db = db };
    uint64_t copied = 0;
    need(tm_sql_open(&g.reader, raw_path, TM_SQL_READ, &err), &err);
    follow(db, &copied);
    for (int64_t size = 10000, ten = size; size <= last && g.points_count < TM_GROWTH_POINTS_MAX;
         size = size == ten ? ten * 3 : (ten *= 10)) {
        growth_more(&g, rng, size);
        growth_line(&g, size);
    }
    tm_sql_close(g.reader);
    growth_tell(&g, out);
}

int main(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_rng rng;
    struct tm_buf b;
    sqlite3 *raw = NULL, *db = NULL, *reader = NULL;
    int64_t n = 0;
    uint64_t rows = 0;
    int64_t grow_to = argc == 4 && strcmp(argv[1], "growth") == 0 ? atoll(argv[2]) : 0;
    if (argc > 1 && grow_to < 10000) {
        fprintf(stderr, "usage: bench_view [growth EVENTS DIR], at least 10000 events\n");
        return 64;
    }
    snprintf(dir, sizeof dir, "/tmp/bench_view_XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 70;
    snprintf(raw_path, sizeof raw_path, "%s/raw.db", dir);
    snprintf(view_path, sizeof view_path, "%s/view.db", dir);
    tm_rng_init(&rng, 1);
    need(tm_sql_open(&raw, raw_path, TM_SQL_CREATE, &err), &err);
    tables(raw);
    sql(raw, "BEGIN");
    first_copy(raw);
    sql(raw, "COMMIT; BEGIN");
    if (grow_to == 0)
        history(raw, &rng, 1, ROWS);
    sql(raw, "COMMIT");
    tm_buf_init(&b, TM_VIEW_SQL_BYTES_MAX);
    need(tm_view_sql_for(raw, "Deal", &b, &err), &err);
    sql(raw, tm_buf_text(&b));
    need(tm_sql_open(&db, view_path, TM_SQL_CREATE, &err), &err);
    if (grow_to > 0) {
        growth(raw, db, &rng, grow_to, argv[3]);
        goto done;
    }
    double cpu = cpu_s(), s = follow(db, &rows);
    cpu = cpu_s() - cpu;
    printf(
        "option 2: %llu raw rows of %d fields in %.2f s: %.0f rows/s (%.0f rows per CPU second)\n",
        (unsigned long long)rows, FIELDS, s, (double)rows / s, (double)rows / cpu);
    cpu = cpu_s();
    need(tm_sql_open(&reader, raw_path, TM_SQL_READ, &err), &err);
    s = query(reader, "SELECT * FROM Deal", &n);
    printf("option 1: %lld records read in %.2f s", (long long)n, s);
    s = query(reader, "SELECT * FROM Deal_dirty", &n);
    printf(", %lld dirty in %.2f s, over %d raw rows (%.2f CPU seconds)\n", (long long)n, s,
           ROWS + RECORDS, cpu_s() - cpu);
    s = query(db, "SELECT * FROM Deal", &n);
    printf("option 2: %lld records read in %.3f s\n", (long long)n, s);
done:
    tm_sql_close(reader);
    tm_sql_close(db);
    tm_sql_close(raw);
    tm_buf_free(&b);
    static const char *const files[] = { "raw.db",  "raw.db-wal",  "raw.db-shm",
                                         "view.db", "view.db-wal", "view.db-shm" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
    return 0;
}
