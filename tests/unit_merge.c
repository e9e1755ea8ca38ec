/* merge: the parts of a sink group, each followed by a witness on a host with a clock of its own,
 * are judged as one witness of the whole copy judges it; and what is no whole is refused by name.
 */
#include "base/config.h"
#include "check/merge.h"
#include "support_history.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define RECORDS 8
#define MINUTES 40
#define LEFT_NS (-7 * TM_NS_PER_S) /* how far the org's clock is ahead of the left host's */
#define RIGHT_NS (3 * TM_NS_PER_S)
#define CLOCKS_MAX 400

static int64_t org_now_ns;
static int64_t org_wall(void)
{
    return org_now_ns;
}
static int64_t left_wall(void)
{
    return org_now_ns - LEFT_NS;
}
static int64_t right_wall(void)
{
    return org_now_ns - RIGHT_NS;
}

/* ---- a run: the whole copy, and two halves of it ---- */

enum { WHOLE, LEFT, RIGHT, COPIES };
struct copy {
    char folder[200], view[220], raw[220];
    sqlite3 *warehouse, *tables;
    struct tm_check *check;
    int64_t (*wall_ns)(void);
    int64_t offset_ns;
    struct tm_clock_seen clocks[CLOCKS_MAX];
    size_t clocks_count;
};
struct world {
    char org_path[200];
    sqlite3 *org;
    struct copy copies[COPIES];
    int64_t bound_ns;
    bool leftovers; /* the right host once had the left one's partition, and lost it */
};

static void copy_open(struct world *w, int which, const char *name, int64_t (*wall_ns)(void),
                      int64_t offset_ns)
{
    struct copy *c = &w->copies[which];
    struct tm_err err = { .code = TM_OK };
    struct tm_plan *plan = NULL;
    const struct tm_check_ports ports = { .wall_ns = wall_ns, .virtual = true };
    char measures[250], run_db[250], journal[250];
    const char *folder = history_path(name);
    mkdir(folder, 0777);
    snprintf(c->folder, sizeof c->folder, "%s", folder);
    snprintf(c->view, sizeof c->view, "%s/view.db", folder);
    snprintf(c->raw, sizeof c->raw, "%s/raw.db", folder);
    snprintf(measures, sizeof measures, "%s/measures.json", folder);
    snprintf(run_db, sizeof run_db, "%s/run.db", folder);
    snprintf(journal, sizeof journal, "%s/" TM_PART_JOURNAL, folder);
    c->warehouse = history_warehouse(c->view);
    c->wall_ns = wall_ns;
    c->offset_ns = offset_ns;
    c->clocks_count = 0;
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:[{s:s, s:s, s:i, s:s, s:[s]}]}",
                             "org", which == WHOLE ? w->org_path : "", "run_db", run_db, "out",
                             measures, "journal", journal, "broker", "external", "compress",
                             HISTORY_COMPRESS, "pipelines", "name", "stream-view", "kind", "stream",
                             "option", 2, "database", c->view, "objects", "Opportunity");
    if (tm_plan_from_json(&plan, json, "test", &err) != TM_OK ||
        tm_check_on(&c->check, plan, &ports, &err) != TM_OK)
        fail_msg("%s", err.msg);
    json_decref(json);
}

static int partition_of(int n)
{
    return n % 2; /* even: the left host's */
}

static void look(struct world *w, double minutes, double late_ms)
{
    org_now_ns = history_wall_ns(minutes) + (int64_t)(late_ms * 1e6);
    for (int i = 0; i < COPIES; i++) {
        struct copy *c = &w->copies[i];
        struct tm_err err = { .code = TM_OK };
        for (int k = 0; k < 6; k++) { /* the history, a probe, a comparison */
            struct tm_now now = { .wall_ns = c->wall_ns() };
            struct tm_wake wake = { TM_NEVER, TM_NEVER };
            if (tm_check_step(c->check, &now, &wake, &err) != TM_OK)
                fail_msg("%s", err.msg);
        }
        assert_true(c->clocks_count < CLOCKS_MAX);
        c->clocks[c->clocks_count++] =
            (struct tm_clock_seen){ c->wall_ns(), { c->offset_ns, w->bound_ns } };
    }
}

static void put(struct world *w, int n, const char *name, double amount, double minutes)
{
    for (int i = 0; i < COPIES; i++)
        if (i == WHOLE || (i == LEFT) == (partition_of(n) == 0))
            history_put(w->copies[i].warehouse, n, name, "Open", amount, 0, history_stamp(minutes),
                        0);
}

static void drop(struct world *w, int n)
{
    for (int i = 0; i < COPIES; i++)
        if (i == WHOLE || (i == LEFT) == (partition_of(n) == 0))
            history_remove(w->copies[i].warehouse, n);
}

/* Creates, updates that are shown after more or less time, deletes, one update that is never
 * shown, and one row that goes to a host it does not belong to. */
static void live(struct world *w)
{
    char fields[200], name[40];
    look(w, 0, 0);
    for (int m = 1; m <= MINUTES; m++) {
        int n = m % RECORDS;
        bool create = m <= RECORDS, gone = m == 30, lost = m == 33;
        if (m > 31 && n == 30 % RECORDS)
            continue;
        snprintf(name, sizeof name, "Tide %d", m);
        snprintf(fields, sizeof fields,
                 "{\"Name\":\"%s\",\"Stage\":\"Open\",\"Amount\":%d,\"Private\":0}", name, m);
        history_commit(w->org, n,
                       gone     ? "DELETE"
                       : create ? "CREATE"
                                : "UPDATE",
                       "", m, gone ? "{}" : fields);
        look(w, m, 1);
        if (gone)
            drop(w, n);
        else if (!lost)
            put(w, n, name, m, m);
        if (w->leftovers && m == 3)
            history_put(w->copies[RIGHT].warehouse, 2, "Tide 2", "Open", 2, 0, history_stamp(2), 0);
        look(w, m, 3 + m % 5);
    }
    look(w, MINUTES + 5, 0);
}

/* What a sink of that partition leaves: records of the topics, and how far each was written. */
static void tables(struct world *w, int which, int partition, int64_t raw_next, int64_t recon_next)
{
    struct copy *c = &w->copies[which];
    char sql[400], id[19];
    if (c->tables == NULL) {
        assert_int_equal(sqlite3_open(c->raw, &c->tables), SQLITE_OK);
        history_exec(
            c->tables,
            "CREATE TABLE sfdc_cdc_opportunity_raw(Id TEXT,_partition INTEGER);"
            "CREATE TABLE sfdc_recon_opportunity(Id TEXT,_partition INTEGER,_kind TEXT,"
            "_partitions INTEGER);"
            "CREATE TABLE _offsets(topic TEXT,partition INTEGER,next_offset INTEGER,cluster_id "
            "TEXT);INSERT INTO _offsets VALUES('another.topic',7,9,'tide')");
    }
    for (int n = 0; n < RECORDS; n++)
        if (partition_of(n) == partition) {
            history_id(id, n);
            snprintf(sql, sizeof sql, "INSERT INTO sfdc_cdc_opportunity_raw VALUES('%s',%d)", id,
                     partition);
            history_exec(c->tables, sql);
        }
    snprintf(sql, sizeof sql,
             "INSERT INTO sfdc_recon_opportunity VALUES('',%d,'end',2);"
             "INSERT INTO _offsets VALUES('sfdc.cdc.opportunity_raw',%d,%" PRId64 ",'tide'),"
             "('sfdc.recon.opportunity',%d,%" PRId64 ",'tide')",
             partition, partition, raw_next, partition, recon_next);
    history_exec(c->tables, sql);
}

static void leave_part(struct copy *c)
{
    struct tm_err err = { .code = TM_OK };
    char path[250];
    snprintf(path, sizeof path, "%s/" TM_PART_FILE, c->folder);
    const struct tm_part_facts facts = { .path = path,
                                         .raw = c->raw,
                                         .host = "host",
                                         .org_id = "00Dx",
                                         .org_boot_id = "boot",
                                         .clocks = c->clocks,
                                         .clocks_count = c->clocks_count };
    if (tm_check_last(c->check, &err) != TM_OK || tm_part_write(c->check, &facts, &err) != TM_OK)
        fail_msg("%s: %s", err.ctx, err.msg);
}

static void world_open(struct world *w)
{
    static int number;
    char name[40];
    *w = (struct world){ 0 };
    snprintf(name, sizeof name, "org-%d.db", ++number);
    snprintf(w->org_path, sizeof w->org_path, "%s", history_path(name));
    w->org = history_org(w->org_path, HISTORY_COMPRESS, HISTORY_WALL_NS);
    history_exec(w->org, "INSERT INTO meta VALUES('org_id','00Dx'),('boot_id','boot')");
    snprintf(name, sizeof name, "whole-%d", number);
    copy_open(w, WHOLE, name, org_wall, 0);
    snprintf(name, sizeof name, "left-%d", number);
    copy_open(w, LEFT, name, left_wall, LEFT_NS);
    snprintf(name, sizeof name, "right-%d", number);
    copy_open(w, RIGHT, name, right_wall, RIGHT_NS);
}

static void world_close(struct world *w)
{
    for (int i = 0; i < COPIES; i++) {
        tm_check_close(w->copies[i].check);
        sqlite3_close(w->copies[i].warehouse);
        sqlite3_close(w->copies[i].tables);
    }
    sqlite3_close(w->org);
}

/* A run whose parts are left. */
static void world_parts(struct world *w)
{
    live(w);
    tables(w, LEFT, 0, 20, 3);
    tables(w, RIGHT, 1, 21, 3);
    leave_part(&w->copies[LEFT]);
    leave_part(&w->copies[RIGHT]);
}

static json_t *measures(const char *folder)
{
    struct tm_err err = { .code = TM_OK };
    char path[250];
    json_t *out = NULL;
    snprintf(path, sizeof path, "%s/measures.json", folder);
    if (tm_json_load(&out, path, &err) != TM_OK)
        fail_msg("%s", err.msg);
    return out;
}

static json_t *whole(struct world *w, int *out_exit)
{
    struct tm_err err = { .code = TM_OK };
    if (tm_check_finish(w->copies[WHOLE].check, out_exit, &err) != TM_OK)
        fail_msg("%s: %s", err.ctx, err.msg);
    return measures(w->copies[WHOLE].folder);
}

static struct tm_merge_args merge_args(const struct world *w, const char *const *folders,
                                       size_t count)
{
    return (struct tm_merge_args){ .org = w->org_path,
                                   .out = w->copies[LEFT].folder,
                                   .folders = folders,
                                   .folders_count = count,
                                   .bound_ns_max = 50 * TM_NS_PER_MS,
                                   .wall_ns = org_wall,
                                   .cpus = 1 };
}

static json_t *merged(const struct world *w, json_t **parts, int *out_exit)
{
    struct tm_err err = { .code = TM_OK };
    const char *folders[] = { w->copies[LEFT].folder, w->copies[RIGHT].folder };
    const struct tm_merge_args args = merge_args(w, folders, 2);
    if (tm_merge_parts(&args, parts, out_exit, &err) != TM_OK)
        fail_msg("%s: %s", err.ctx, err.msg);
    return measures(w->copies[LEFT].folder);
}

static const json_t *of(const json_t *report, const char *key)
{
    const json_t *pipeline = json_array_get(json_object_get(report, "pipelines"), 0);
    const json_t *value = json_object_get(pipeline, key);
    assert_non_null(value);
    return value;
}

static const char *const figures[] = { "freshness_s",     "freshness_by_change",
                                       "freshness_curve", "t_visibility",
                                       "wait_s",          "work_ms",
                                       "drift",           "curve",
                                       "at_commits",      "anomalies",
                                       "age_s",           "behind",
                                       "examples",        "phantoms",
                                       "verdict",         "reasons",
                                       "reader_ms",       "coverage" };

static void same(const json_t *a, const json_t *b)
{
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        char *x = json_dumps(of(a, figures[i]), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        char *y = json_dumps(of(b, figures[i]), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        if (strcmp(x, y) != 0)
            fail_msg("%s: %.900s\nmerged: %.900s", figures[i], x, y);
        free(x);
        free(y);
    }
}

static void parts_of_two_clocks_merge_into_what_one_witness_of_the_whole_says(void **state)
{
    struct world w;
    json_t *parts = NULL;
    int exit_whole = -1, exit_merged = -1;
    (void)state;
    world_open(&w);
    world_parts(&w);
    json_t *one = whole(&w, &exit_whole), *two = merged(&w, &parts, &exit_merged);
    same(one, two);
    assert_int_equal(exit_whole, 1); /* one update was never shown */
    assert_int_equal(exit_merged, 1);
    assert_int_equal(json_integer_value(json_object_get(of(two, "freshness_s"), "never")), 1);
    assert_int_equal(json_array_size(parts), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *p = json_array_get(parts, i);
        assert_true(json_number_value(json_object_get(p, "clock_ahead_ms")) ==
                    (double)(i == 0 ? LEFT_NS : RIGHT_NS) / 1e6);
        assert_int_equal(json_integer_value(json_object_get(p, "records")), RECORDS / 2);
        assert_int_equal(json_integer_value(json_array_get(
                             json_object_get(json_object_get(p, "partitions"), "Opportunity"), 0)),
                         (json_int_t)i);
    }
    json_decref(parts);
    json_decref(one);
    json_decref(two);
    world_close(&w);
}

static double freshest_ms(const json_t *report, const char *key)
{
    return 1000 * json_number_value(json_object_get(of(report, "freshness_s"), key));
}

/* Visible was [lo, hi] by a clock that is known to +-2 ms: [lo - 2, hi + 2]. */
static void what_a_clock_leaves_open_is_in_every_interval(void **state)
{
    struct world exact, loose;
    json_t *parts[2] = { NULL, NULL };
    int code;
    (void)state;
    world_open(&exact);
    world_parts(&exact);
    json_t *one = merged(&exact, &parts[0], &code);
    world_open(&loose);
    loose.bound_ns = 2 * TM_NS_PER_MS;
    world_parts(&loose);
    json_t *two = merged(&loose, &parts[1], &code);
    assert_true(freshest_ms(two, "p50") - freshest_ms(one, "p50") > 1.999);
    assert_true(freshest_ms(two, "p50") - freshest_ms(one, "p50") < 2.001);
    const json_t *width[2] = { of(one, "reader_ms"), of(two, "reader_ms") };
    double wider = json_number_value(json_object_get(width[1], "p50")) -
                   json_number_value(json_object_get(width[0], "p50"));
    assert_true(wider > 3.999 && wider < 4.001);
    double bound =
        json_number_value(json_object_get(json_array_get(parts[1], 0), "clock_bound_ms"));
    assert_true(bound >= 2 && bound < 2.1);
    for (int i = 0; i < 2; i++)
        json_decref(parts[i]);
    json_decref(one);
    json_decref(two);
    world_close(&exact);
    world_close(&loose);
}

/* Rows that the right host still shows of a partition which went to the left one. */
static void what_a_host_kept_of_a_partition_it_lost_does_not_count(void **state)
{
    struct world w;
    json_t *parts = NULL;
    int code;
    (void)state;
    world_open(&w);
    w.leftovers = true;
    live(&w);
    tables(&w, LEFT, 0, 20, 3);
    tables(&w, RIGHT, 1, 21, 3);
    tables(&w, RIGHT, 0, 2, 3);
    leave_part(&w.copies[LEFT]);
    leave_part(&w.copies[RIGHT]);
    json_t *one = whole(&w, &code), *two = merged(&w, &parts, &code);
    same(one, two);
    const json_t *left_out =
        json_object_get(json_object_get(json_array_get(parts, 1), "left_out"), "Opportunity");
    assert_int_equal(json_array_size(left_out), 1);
    assert_int_equal(json_integer_value(json_array_get(left_out, 0)), 0);
    json_decref(parts);
    json_decref(one);
    json_decref(two);
    world_close(&w);
}

/* ---- what is no whole ---- */

static void refused(const struct tm_merge_args *args, const char *const *words)
{
    struct tm_err err = { .code = TM_OK };
    json_t *parts = NULL;
    char text[700];
    int code;
    enum tm_code rc = tm_merge_parts(args, &parts, &code, &err);
    tm_err_text(&err, text, sizeof text);
    for (; *words != NULL; words++)
        if (rc == TM_OK || strstr(text, *words) == NULL)
            fail_msg("code %d, and no \"%s\" in: %s", (int)rc, *words, text);
    json_decref(parts);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void alter(const struct copy *c, const char *file, const char *sql)
{
    sqlite3 *db;
    char path[250];
    snprintf(path, sizeof path, "%s/%s", c->folder, file);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    history_exec(db, sql);
    sqlite3_close(db);
}

static void parts_that_make_no_whole_are_refused_by_name(void **state)
{
    struct world w;
    (void)state;
    world_open(&w);
    world_parts(&w);
    const char *left = w.copies[LEFT].folder, *right = w.copies[RIGHT].folder;
    struct tm_merge_args args = merge_args(&w, &left, 1);
    refused(&args, WORDS("no folder has partition 1 of 2", left));
    const char *twice[] = { left, left }, *both[] = { left, right }, *nowhere[] = { left, "/nil" };
    args = merge_args(&w, twice, 2);
    refused(&args, WORDS(left, "given twice"));
    args = merge_args(&w, nowhere, 2);
    refused(&args, WORDS("/nil/part.db"));
    args = merge_args(&w, both, 2);
    static const struct {
        const char *undo, *sql, *words[3];
    } broken[] = {
        { "UPDATE offset SET assigned=NULL",
          "UPDATE offset SET assigned=0",
          { "no folder was left partition 1 of 2", "moved on" } },
        { "UPDATE meta SET value='tide' WHERE key='cluster_id'",
          "UPDATE meta SET value='ebb' WHERE key='cluster_id'",
          { "Kafka cluster", "ebb" } },
        { "UPDATE meta SET value='boot' WHERE key='org_boot_id'",
          "UPDATE meta SET value='later' WHERE key='org_boot_id'",
          { "boot", "later" } },
        { "UPDATE meta SET value=2 WHERE key='format'",
          "UPDATE meta SET value=9 WHERE key='format'",
          { "format 9" } },
        { "UPDATE relation SET name='Opportunity'",
          "UPDATE relation SET name='Account'",
          { "object", "Account" } },
        { "UPDATE relation SET partitions=2",
          "UPDATE relation SET partitions=3",
          { "3 partitions" } },
        { "DELETE FROM offset WHERE partition=0;UPDATE offset SET next_offset=21 WHERE topic LIKE "
          "'%raw'",
          "INSERT INTO offset VALUES('sfdc.cdc.opportunity_raw',0,99,0,NULL)",
          { "no folder has all of partition 0", "sfdc.recon.opportunity" } },
        { "INSERT INTO place SELECT 0,id,1 FROM place_was",
          "CREATE TABLE place_was AS SELECT id FROM place ORDER BY id LIMIT 1;"
          "DELETE FROM place WHERE id IN (SELECT id FROM place_was)",
          { "no raw row of its own" } },
        { "UPDATE place SET partition=1",
          "UPDATE place SET partition=-1",
          { "several partitions" } },
        { "UPDATE place SET partition=1",
          "UPDATE place SET partition=-7",
          { "not a part", "the place of a record" } },
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        alter(&w.copies[RIGHT], TM_PART_FILE, broken[i].sql);
        refused(&args, broken[i].words);
        alter(&w.copies[RIGHT], TM_PART_FILE, broken[i].undo);
    }
    json_t *parts = NULL;
    int code = -1;
    json_decref(merged(&w, &parts, &code)); /* undone, it is a whole again */
    json_decref(parts);
    history_exec(w.org, "UPDATE meta SET value='00Dy' WHERE key='org_id'");
    refused(&args, WORDS(left, "another org"));
    history_exec(w.org, "UPDATE meta SET value='00Dx' WHERE key='org_id'");
    alter(&w.copies[RIGHT], TM_PART_JOURNAL,
          "UPDATE obs SET deltas=x'0102' WHERE number=(SELECT max(number) FROM obs)");
    refused(&args, WORDS(right, "the witness's journal"));
    world_close(&w);
}

/* Its offsets alone look like a whole: it had everything, until another host took its share. */
static void a_part_whose_sink_lost_a_partition_to_a_host_not_given_is_refused(void **state)
{
    struct world w;
    (void)state;
    world_open(&w);
    live(&w);
    tables(&w, LEFT, 0, 20, 3);
    tables(&w, RIGHT, 1, 21, 3);
    tables(&w, RIGHT, 0, 2, 3);
    history_exec(w.copies[RIGHT].tables,
                 "CREATE TABLE _assigned(\"table\" TEXT,partition INTEGER);"
                 "INSERT INTO _assigned VALUES('sfdc_cdc_opportunity_raw',1),"
                 "('sfdc_recon_opportunity',1)");
    leave_part(&w.copies[LEFT]);
    leave_part(&w.copies[RIGHT]);
    const char *right = w.copies[RIGHT].folder;
    const struct tm_merge_args args = merge_args(&w, &right, 1);
    refused(&args, WORDS("no folder was left partition 0 of 2", right));
    json_t *parts = NULL;
    int code = -1;
    json_decref(merged(&w, &parts, &code)); /* with whoever has it, a whole */
    json_decref(parts);
    world_close(&w);
}

static void a_clock_that_is_not_known_well_enough_is_refused(void **state)
{
    struct world w;
    (void)state;
    world_open(&w);
    w.bound_ns = 4 * TM_NS_PER_MS;
    world_parts(&w);
    const char *both[] = { w.copies[LEFT].folder, w.copies[RIGHT].folder };
    struct tm_merge_args args = merge_args(&w, both, 2);
    args.bound_ns_max = 3 * TM_NS_PER_MS;
    refused(&args, WORDS(w.copies[LEFT].folder, "+-4.0 ms", "3.0 ms", "--clock-bound-ms"));
    args.bound_ns_max = 50 * TM_NS_PER_MS;
    alter(&w.copies[RIGHT], TM_PART_FILE,
          "UPDATE clock SET offset_ns=offset_ns+1000000000 WHERE "
          "at_ns=(SELECT max(at_ns) FROM clock)");
    refused(&args, WORDS(w.copies[RIGHT].folder, "a clock moved by more than 500 ppm"));
    world_close(&w);
}

static void a_part_wants_the_file_of_a_sink_behind_it(void **state)
{
    struct world w;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    world_open(&w);
    live(&w);
    struct copy *c = &w.copies[LEFT];
    char path[250];
    snprintf(path, sizeof path, "%s/" TM_PART_FILE, c->folder);
    struct tm_part_facts facts = { path, "/nil/raw.db", "h", "o", "b", c->clocks, c->clocks_count };
    assert_int_equal(tm_check_last(c->check, &err), TM_OK);
    assert_int_equal(tm_part_write(c->check, &facts, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "/nil/raw.db"));
    facts.raw = c->view; /* a database, but nobody's raw tables */
    tm_err_clear(&err);
    assert_int_equal(tm_part_write(c->check, &facts, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "not the file of a sink"));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_two_clocks_merge_into_what_one_witness_of_the_whole_says),
        cmocka_unit_test(what_a_clock_leaves_open_is_in_every_interval),
        cmocka_unit_test(what_a_host_kept_of_a_partition_it_lost_does_not_count),
        cmocka_unit_test(parts_that_make_no_whole_are_refused_by_name),
        cmocka_unit_test(a_part_whose_sink_lost_a_partition_to_a_host_not_given_is_refused),
        cmocka_unit_test(a_clock_that_is_not_known_well_enough_is_refused),
        cmocka_unit_test(a_part_wants_the_file_of_a_sink_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
