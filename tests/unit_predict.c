/* predict: what option 1's views show is foretold from the raw rows. The worlds: events lost, sent
 * again, late; answers that overtake the events below them; reads without their end; records known
 * by updates alone. The judge of each is the SQL of the views itself, over the same raw tables. */
#include "base/rng.h"
#include "check/predict.h"
#include "check/vhash.h"
#include "tests/support_history.h"
#include "view/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROW(name, stage, amount)                                                                   \
    "{\"Name\":\"" name "\",\"Stage\":\"" stage "\",\"Amount\":" amount ",\"Private\":0}"
#define COLUMNS                                                                                    \
    "Name TEXT, Stage TEXT, Amount REAL, Private INTEGER BOOLEAN, LastModifiedDate INTEGER "       \
    "TIMESTAMP"
#define QUERY_NS INT64_C(3000000)
#define READS_MAX 40

struct raw_stand {
    struct history_stand s;
    sqlite3 *db;
    char path[200];
    struct tm_reader *reader, *views;
    struct tm_full_read reads[READS_MAX];
    size_t reads_count;
    int keys;               /* events have their transaction keys */
    int epoch;              /* of all that is written next; above 0: replay ids have begun anew */
    int read_seq, numbered; /* numbered: > 0: the number of every read, whatever its name */
};
static const char *const raw_objects[] = { "Opportunity" };
static int64_t raw_now_ns;

static int64_t raw_wall_ns(void)
{
    return raw_now_ns;
}

static void raw_open(struct raw_stand *r, const char *name)
{
    struct tm_err err = { 0 };
    struct tm_buf sql;
    char file[80];
    memset(r, 0, sizeof *r);
    history_stand_open(&r->s, name);
    snprintf(file, sizeof file, "%s.raw.db", name);
    snprintf(r->path, sizeof r->path, "%s", history_path(file));
    assert_int_equal(tm_sql_open(&r->db, r->path, TM_SQL_CREATE, &err), TM_OK);
    history_exec(
        r->db, "PRAGMA synchronous=OFF; CREATE TABLE sfdc_cdc_opportunity_raw(Id TEXT, ReplayId "
               "TEXT, ChangeEventHeader TEXT RECORD, " COLUMNS
               ", _DiffFields TEXT ARRAY, _epoch INTEGER DEFAULT 0);"
               "CREATE TABLE alerts_sfdc_opportunity_gap_events(Id TEXT, ReplayId TEXT, "
               "ChangeEventHeader TEXT RECORD, _kind TEXT, _reason TEXT, _epoch INTEGER DEFAULT 0);"
               "CREATE TABLE sfdc_recon_opportunity(_partition INTEGER, Id TEXT, _kind TEXT, _g "
               "INTEGER, _epoch INTEGER DEFAULT 0, _read_id TEXT, _read_seq INTEGER, _read_kind "
               "TEXT, _count INTEGER, _partitions INTEGER, " COLUMNS ");");
    tm_buf_init(&sql, 1 << 20);
    assert_int_equal(tm_view_sql_for(r->db, "Opportunity", &sql, &err), TM_OK);
    history_exec(r->db, tm_buf_text(&sql));
    tm_buf_free(&sql);
    assert_int_equal(tm_reader_open(&r->reader, r->path, true, raw_objects, 1, raw_wall_ns, &err),
                     TM_OK);
    assert_int_equal(tm_reader_open(&r->views, r->path, true, raw_objects, 1, raw_wall_ns, &err),
                     TM_OK);
}

static void raw_close(struct raw_stand *r)
{
    tm_reader_close(r->reader);
    tm_reader_close(r->views);
    tm_sql_close(r->db);
    history_stand_close(&r->s);
}

static void raw_run(sqlite3 *db, char *sql)
{
    history_exec(db, sql);
    sqlite3_free(sql);
}

/* The raw row of record n that the event at `replay_id` brings. */
static void raw_event(struct raw_stand *r, int n, int64_t replay_id)
{
    char id[19];
    history_id(id, n);
    raw_run(
        r->db,
        sqlite3_mprintf(
            "ATTACH %Q AS org; INSERT INTO sfdc_cdc_opportunity_raw "
            "SELECT id, CAST(replay_id AS TEXT), json_object('transactionKey', iif(keys, txn, "
            "NULL), "
            "'changeType', event, 'recordIds', "
            "(SELECT json_group_array(id) FROM (SELECT DISTINCT id FROM org.history WHERE "
            "replay_id = "
            "%lld ORDER BY pos)), 'changedFields', (SELECT json_group_array(key) FROM "
            "json_each(fields) "
            "WHERE change = 'UPDATE' AND key <> 'SystemModstamp')), "
            "iif(gap, NULL, json_extract(fields, '$.Name')), iif(gap, NULL, json_extract(fields, "
            "'$.Stage')), iif(gap, NULL, json_extract(fields, '$.Amount')), iif(gap, NULL, "
            "json_extract(fields, '$.Private')), iif(gap, NULL, json_extract(fields, "
            "'$.LastModifiedDate')), NULL, %d FROM (SELECT *, event LIKE 'GAP%%' AS gap, %d AS "
            "keys "
            "FROM org.history WHERE replay_id = %lld AND id = %Q AND event IS NOT NULL ORDER BY "
            "pos * %d LIMIT 1); DETACH org",
            sqlite3_db_filename(r->s.org, "main"), (long long)replay_id, r->epoch, r->keys,
            (long long)replay_id, id, r->epoch > 0 ? -1 : 1));
}

/* An event of the whole object: overflow, or a conversion. */
static void raw_star(struct raw_stand *r, int64_t replay_id, bool overflow)
{
    raw_run(r->db,
            sqlite3_mprintf("INSERT INTO sfdc_cdc_opportunity_raw(Id, ReplayId, ChangeEventHeader) "
                            "VALUES(%Q, '%lld', json_object('changeType', %Q, 'recordIds', "
                            "json_array(%Q)))",
                            overflow ? "000000000000000AAA" : "006*", (long long)replay_id,
                            overflow ? "GAP_OVERFLOW" : "UPDATE",
                            overflow ? "000000000000000AAA" : "006*"));
}

static void raw_alert(struct raw_stand *r, int n, int64_t replay_id, const char *kind)
{
    char id[19];
    history_id(id, n);
    raw_run(r->db, sqlite3_mprintf("INSERT INTO alerts_sfdc_opportunity_gap_events(Id, ReplayId, "
                                   "_kind, _epoch) VALUES(%Q, '%lld', %Q, %d)",
                                   id, (long long)replay_id, kind, r->epoch));
}

static int raw_number(const struct raw_stand *r, int read)
{
    return r->numbered > 0 ? r->numbered : read;
}

/* What a read sees of record n once position `seen` is committed, as the answer to g: its image, or
 * nothing (false) where it is gone. */
static bool raw_image(struct raw_stand *r, int n, int64_t g, int64_t seen, int seq,
                      const char *read_kind)
{
    static const char *const columns[] = { "Name", "Stage", "Amount", "Private",
                                           "LastModifiedDate" };
    char id[19], *values[5];
    history_id(id, n);
    uint32_t record = tm_truth_record(r->s.truth, 0, id), v;
    if (record == TM_TRUTH_NONE)
        return false;
    for (v = r->s.truth->records[record].last; v != TM_TRUTH_NONE && v + 1 > seen;
         v = r->s.truth->versions[v].prev)
        ;
    if (v == TM_TRUTH_NONE || tm_truth_is_gone(r->s.truth->versions[v].change))
        return false;
    for (int i = 0; i < 5; i++) {
        json_t *value = tm_truth_value(r->s.truth, v, columns[i]);
        values[i] = json_is_string(value) ? sqlite3_mprintf("%Q", json_string_value(value))
                    : json_is_null(value) ? sqlite3_mprintf("NULL")
                                          : sqlite3_mprintf("%.17g", json_number_value(value));
        json_decref(value);
    }
    raw_run(r->db,
            sqlite3_mprintf("INSERT INTO sfdc_recon_opportunity VALUES(%d, %Q, 'image', "
                            "%lld, %d, 'read-%d', %d, %Q, NULL, NULL, %s, %s, %s, %s, %s)",
                            n % 2, id, (long long)g, r->epoch, seq, raw_number(r, seq), read_kind,
                            values[0], values[1], values[2], values[3], values[4]));
    for (int i = 0; i < 5; i++)
        sqlite3_free(values[i]);
    return true;
}

static void raw_end(struct raw_stand *r, int64_t g, int seq, int partition, int count)
{
    raw_run(r->db,
            sqlite3_mprintf("INSERT INTO sfdc_recon_opportunity(_partition, Id, _kind, _g, _epoch, "
                            "_read_id, _read_seq, _read_kind, _count, _partitions) "
                            "VALUES(%d, '*', 'end', %lld, %d, 'read-%d', %d, 'whole', %d, 2)",
                            partition, (long long)g, r->epoch, seq, raw_number(r, seq), count));
}

/* All records up to n_max, as committed up to position `seen`, in answer to g. */
static void raw_whole(struct raw_stand *r, int n_max, int64_t g, int64_t seen)
{
    int count[2] = { 0, 0 }, seq = ++r->read_seq;
    for (int n = 1; n <= n_max; n++)
        count[n % 2] += raw_image(r, n, g, seen, seq, "whole");
    raw_end(r, g, seq, 0, count[0]);
    raw_end(r, g, seq, 1, count[1]);
}

static int64_t raw_rows(struct raw_stand *r)
{
    struct tm_err err = { 0 };
    int64_t rows = -1;
    assert_int_equal(tm_sql_int64(&rows, r->db, "SELECT count(*) FROM Opportunity", &err), TM_OK);
    return rows;
}

static void raw_load(struct raw_stand *r)
{
    struct tm_err err = { 0 };
    size_t rows = 1;
    while (rows > 0)
        assert_int_equal(tm_truth_tail(r->s.truth, 100, &rows, &err), TM_OK);
}

static void raw_probe(struct raw_stand *r)
{
    bool changed;
    struct tm_err err = { 0 };
    raw_now_ns += 1000000;
    assert_int_equal(tm_reader_probe(r->reader, raw_now_ns, &changed, &err), TM_OK);
}

static void raw_look(struct raw_stand *r)
{
    struct tm_err err = { 0 };
    assert_true(r->reads_count < READS_MAX);
    assert_int_equal(tm_reader_full(r->views, true, &r->reads[r->reads_count++], &err), TM_OK);
}

static struct tm_predict *raw_predict(struct raw_stand *r, bool all)
{
    struct tm_predict *p = NULL;
    struct tm_err err = { 0 };
    int64_t query_ns[TM_SHOWN_OBJECTS_MAX] = { QUERY_NS };
    assert_int_equal(tm_predict_open(&p, r->s.truth, r->reader, all ? query_ns : NULL, 0, &err),
                     TM_OK);
    if (all)
        assert_int_equal(tm_predict_to(p, NULL, &err), TM_OK);
    return p;
}

/* Every full read of the views showed what the raw rows it could see foretell. Returns the rows
 * compared. */
static uint64_t raw_agree(struct raw_stand *r, uint64_t *out_left_out)
{
    struct tm_predict *p;
    struct tm_predict_result result;
    struct tm_err err = { 0 };
    uint64_t rows = 0;
    raw_probe(r);
    p = raw_predict(r, false);
    *out_left_out = 0;
    for (size_t i = 0; i < r->reads_count; i++) {
        assert_int_equal(tm_predict_to(p, r->reads[i].cut, &err), TM_OK);
        assert_int_equal(tm_predict_compare(p, r->views->shown, &r->reads[i], &result, &err),
                         TM_OK);
        if (result.differing + result.stars_differing > 0)
            fail_msg("%s, read %zu: %s differs in %s", r->path, i + 1, result.example,
                     result.field);
        rows += result.rows;
        *out_left_out += result.left_out;
    }
    tm_predict_close(p);
    return rows;
}

static void agrees(struct raw_stand *r, uint64_t rows)
{
    uint64_t left_out;
    raw_look(r);
    assert_int_equal(raw_agree(r, &left_out), rows);
    assert_int_equal(left_out, 0);
    raw_close(r);
}

static void a_gap_is_dirty_until_its_image_and_later_events_stand_on_top(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "gap");
    raw_now_ns = history_wall_ns(-1);
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    int64_t gap = history_commit(r.s.org, 1, "UPDATE", "GAP_UPDATE", 10, "{\"Amount\":5}");
    int64_t next = history_commit(r.s.org, 1, "UPDATE", "", 20, "{\"Name\":\"z\"}");
    raw_load(&r);
    raw_whole(&r, 1, 0, 1); /* the first copy, g = 0 */
    raw_probe(&r);
    raw_event(&r, 1, gap);
    raw_probe(&r);
    int64_t gap_ns = raw_now_ns;
    raw_event(&r, 1, next);
    raw_probe(&r);
    raw_look(&r);
    assert_true(raw_image(&r, 1, gap, next, ++r.read_seq, "ids"));
    raw_probe(&r);
    struct tm_predict *p = raw_predict(&r, true);
    const struct tm_shown *shown = tm_predict_shown(p);
    assert_int_equal(shown->obs_count, 4);
    assert_int_equal(shown->obs[0].flags, TM_SHOWN_PRESENT);
    assert_int_equal(shown->obs[1].flags, TM_SHOWN_PRESENT | TM_SHOWN_DIRTY);
    assert_int_equal(shown->obs[3].flags, TM_SHOWN_PRESENT);
    assert_int_equal(shown->obs[1].hi_ns, gap_ns + QUERY_NS); /* the query's own time is added */
    tm_predict_close(p);
    agrees(&r, 2);
}

static void an_event_of_many_records_is_shown_for_all_with_its_first_row(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "merged");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "1"));
    int64_t one = history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    history_commit(r.s.org, 2, "UPDATE", "", 10, "{\"Amount\":5}");
    history_exec(r.s.org, "UPDATE history SET replay_id = 3 WHERE pos = 4");
    assert_int_equal(one, 3);
    raw_load(&r);
    raw_whole(&r, 2, 0, 2);
    raw_event(&r, 1, one);
    raw_probe(&r);
    struct tm_predict *p = raw_predict(&r, true);
    assert_int_equal(tm_predict_shown(p)->obs_count, 4);
    tm_predict_close(p);
    agrees(&r, 2);
}

/* Partitions are written on their own: a sink may be killed between them. */
static void another_row_of_an_event_of_many_records_speaks_for_itself_alone(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "second");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "1"));
    history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    history_commit(r.s.org, 2, "UPDATE", "", 10, "{\"Amount\":5}");
    history_exec(r.s.org, "UPDATE history SET replay_id = 3 WHERE pos = 4");
    raw_load(&r);
    raw_whole(&r, 2, 0, 2);
    raw_event(&r, 2, 3);
    agrees(&r, 2);
}

/* A source that was killed sends again what it had not checkpointed. */
static void a_gap_that_comes_again_after_its_image_is_not_dirty_again(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "again");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    int64_t gap = history_commit(r.s.org, 1, "UPDATE", "GAP_UPDATE", 10, "{\"Amount\":5}");
    raw_load(&r);
    raw_whole(&r, 1, 0, 1);
    raw_event(&r, 1, gap);
    assert_true(raw_image(&r, 1, gap, gap, ++r.read_seq, "ids"));
    raw_event(&r, 1, gap);
    agrees(&r, 1);
}

/* An acknowledgement was lost, the read is made again, and the first answer lands last. */
static void an_older_read_of_one_gap_that_lands_last_changes_nothing(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "older");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    int64_t gap = history_commit(r.s.org, 1, "UPDATE", "GAP_UPDATE", 10, "{\"Amount\":5}");
    int64_t next = history_commit(r.s.org, 1, "UPDATE", "GAP_UPDATE", 20, "{\"Name\":\"z\"}");
    raw_load(&r);
    raw_whole(&r, 1, 0, 1);
    raw_event(&r, 1, gap);
    assert_true(raw_image(&r, 1, gap, next, 9, "ids"));
    assert_true(raw_image(&r, 1, gap, gap, 8, "ids"));
    agrees(&r, 1);
}

/* Two members of a group may give one number: the names of their reads decide. */
static void of_two_reads_with_one_number_the_name_decides(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "alike");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "1"));
    int64_t gap = history_commit(r.s.org, 1, "UPDATE", "GAP_UPDATE", 10, "{\"Amount\":5}");
    int64_t next = history_commit(r.s.org, 1, "UPDATE", "GAP_UPDATE", 20, "{\"Name\":\"z\"}");
    raw_load(&r);
    raw_whole(&r, 2, 0, 1);
    r.numbered = 7;
    assert_true(raw_image(&r, 1, gap, next, 9, "ids")); /* read-9 stands above read-10 */
    assert_true(raw_image(&r, 1, gap, gap, 10, "ids"));
    assert_true(raw_image(&r, 2, gap, next, 4, "ids")); /* gone by the whole read 5, back by 6 */
    raw_end(&r, gap, 5, 0, 0);
    raw_end(&r, gap, 5, 1, 0);
    assert_int_equal(raw_rows(&r), 1);
    raw_look(&r);
    assert_true(raw_image(&r, 2, gap, next, 6, "ids"));
    assert_int_equal(raw_rows(&r), 2);
    agrees(&r, 4);
}

/* A delivery allocation that is used up: the delete is never told, a scheduled copy shows it. */
static void what_a_whole_read_did_not_answer_is_gone_though_its_delete_never_came(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "undelivered");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "1"));
    int64_t told = history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    history_commit(r.s.org, 2, "DELETE", "", 20, "{}");
    int64_t last = history_commit(r.s.org, 1, "UPDATE", "", 20, "{\"Amount\":7}");
    raw_load(&r);
    raw_whole(&r, 2, 0, 2);
    raw_event(&r, 1, told);
    raw_look(&r);
    raw_whole(&r, 2, told, last);
    agrees(&r, 4);
}

static void a_whole_read_without_all_its_ends_removes_nothing(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "half");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "1"));
    history_commit(r.s.org, 2, "HARD_DELETE", NULL, 20, "{}");
    raw_load(&r);
    raw_whole(&r, 2, 0, 2);
    assert_true(raw_image(&r, 1, 0, 3, ++r.read_seq, "whole"));
    raw_end(&r, 0, r.read_seq, 1, 1);
    raw_look(&r);
    raw_end(&r, 0, r.read_seq, 0, 0);
    agrees(&r, 4);
}

/* Stopped before the first copy was complete. */
static void a_record_known_by_updates_alone_has_a_partial_row_in_doubt(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "updates");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    int64_t pos = history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    raw_load(&r);
    raw_event(&r, 1, pos);
    raw_probe(&r);
    struct tm_predict *p = raw_predict(&r, true);
    assert_int_equal(tm_predict_shown(p)->obs[0].flags,
                     TM_SHOWN_PRESENT | TM_SHOWN_DIRTY | TM_SHOWN_PARTIAL);
    tm_predict_close(p);
    agrees(&r, 1);
}

static void a_raised_no_base_stands_until_it_is_answered(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "no_base");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    int64_t pos = history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    raw_load(&r);
    raw_event(&r, 1, pos);
    raw_alert(&r, 1, pos, "no_base");
    raw_whole(&r, 1, 0, pos);
    raw_look(&r);
    assert_true(raw_image(&r, 1, pos, pos, ++r.read_seq, "ids"));
    agrees(&r, 2);
}

/* LastModifiedDate has whole seconds: two updates of one second name it with one value. */
/* R8, R14, R16 */
static void an_object_is_in_doubt_until_its_copy_and_after_an_overflow_until_a_read(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "star");
    raw_now_ns = history_wall_ns(1);
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    int64_t pos = history_commit(r.s.org, 1, "UPDATE", "GAP_OVERFLOW", 10, "{\"Amount\":5}");
    raw_load(&r);
    raw_image(&r, 1, 0, 1, 99, "ids");
    raw_look(&r);
    raw_probe(&r);
    raw_whole(&r, 1, 0, 1);
    raw_look(&r);
    raw_probe(&r);
    raw_star(&r, pos, true);
    raw_look(&r);
    raw_probe(&r);
    int64_t overflow_ns = raw_now_ns + QUERY_NS;
    raw_whole(&r, 1, pos, pos);
    raw_probe(&r);
    struct tm_predict *p = raw_predict(&r, true);
    const struct tm_shown *shown = tm_predict_shown(p);
    assert_int_equal(shown->stars_count, 2);
    assert_int_equal(shown->stars[0].until_ns, overflow_ns - 1000000);
    assert_int_equal(shown->stars[1].from_ns, overflow_ns);
    assert_int_equal(shown->stars[1].until_ns, overflow_ns + 1000000);
    tm_predict_close(p);
    agrees(&r, 4);
}

static void a_field_an_update_names_without_changing_it_is_set_by_it(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "named");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}"); /* lost */
    int64_t pos = history_commit(r.s.org, 1, "UPDATE", "", 10.005, "{\"Name\":\"z\"}");
    raw_load(&r);
    raw_whole(&r, 1, 0, 1);
    raw_event(&r, 1, pos);
    agrees(&r, 1);
}

static void a_view_that_shows_something_else_than_predicted_is_caught(void **state)
{
    (void)state;
    struct raw_stand r;
    struct tm_predict_result result;
    struct tm_full_read read = { .obs_last = 1, .columns = { 5 } };
    struct tm_err err = { 0 };
    raw_open(&r, "caught");
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    int64_t pos = history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    raw_load(&r);
    raw_whole(&r, 1, 0, 1);
    raw_event(&r, 1, pos);
    raw_probe(&r);
    struct tm_predict *p = raw_predict(&r, true);
    history_show(&r.s, 1, 11, 0, "a", "new", 5, 0, history_stamp(10), 0);
    assert_int_equal(tm_predict_compare(p, r.s.shown, &read, &result, &err), TM_OK);
    assert_int_equal(result.rows, 1);
    assert_int_equal(result.differing, 0);
    history_show(&r.s, 1, 12, 0, "a", "new", 1, 0, history_stamp(10), 0);
    read.obs_last = 2;
    assert_int_equal(tm_predict_compare(p, r.s.shown, &read, &result, &err), TM_OK);
    assert_int_equal(result.differing, 1);
    assert_string_equal(result.field, "Amount");
    tm_predict_close(p);
    raw_close(&r);
}

/* The org is restored: replay ids begin anew, below those already seen; what comes then stands
 * above all that came before, and the object is in doubt until it is copied again. */
static void what_comes_with_a_new_epoch_stands_above_all_before(void **state)
{
    (void)state;
    struct raw_stand r;
    raw_open(&r, "epochs");
    r.keys = 1;
    history_commit(r.s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "1"));
    history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    history_commit(r.s.org, 1, "UPDATE", "", 20, "{\"Amount\":6}");
    history_commit(r.s.org, 2, "DELETE", "", 25, "{}");
    history_commit(r.s.org, 1, "UPDATE", "", 30, "{\"Amount\":7}");
    history_commit(r.s.org, 1, "UPDATE", "GAP_UPDATE", 40, "{\"Amount\":8}");
    history_commit(r.s.org, 2, "UNDELETE", "", 50, ROW("b", "back", "1"));
    history_exec(r.s.org, "UPDATE history SET replay_id = pos - 3 WHERE pos >= 6");
    raw_load(&r);
    raw_whole(&r, 2, 0, 2);
    raw_event(&r, 1, 3);
    raw_event(&r, 1, 4);
    raw_event(&r, 2, 5);
    raw_probe(&r);
    raw_look(&r);
    r.epoch = 1;
    raw_alert(&r, 1, 0, "copy"); /* the epoch begins with this word */
    raw_look(&r);
    raw_event(&r, 1, 3); /* Amount 7: the same number, below 4 */
    raw_look(&r);
    raw_event(&r, 1, 4); /* a gap */
    raw_event(&r, 2, 5); /* back, at the number it was deleted with */
    raw_look(&r);
    raw_whole(&r, 2, 2, 6);
    raw_look(&r);
    assert_true(raw_image(&r, 1, 4, 7, ++r.read_seq, "ids"));
    raw_probe(&r);
    struct tm_predict *p = raw_predict(&r, true);
    struct tm_match *m = NULL;
    struct tm_err err = { 0 };
    assert_int_equal(
        tm_match_make(&m, r.s.truth, tm_predict_shown(p), &r.s.timing, raw_objects, 1, &err),
        TM_OK);
    assert_int_equal(m->differences_count, 0);
    assert_int_equal(m->time_travels, 0);
    assert_int_equal(m->anomalies[TM_ANOMALY_NEVER_EXISTED].count, 0);
    tm_match_close(m);
    tm_predict_close(p);
    agrees(&r, 12);
}

/* ---- random worlds ---- */

#define WORLD_RECORDS 5
#define WORLD_CHANGES 24

/* A history of a few records, told with gaps and silences. Returns its last position. */
static int64_t world_history(struct raw_stand *r, struct tm_rng *rng)
{
    static const char *const gaps[] = { "GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE" };
    static const char *const changes[] = { "CREATE", "UPDATE", "DELETE", "UNDELETE" };
    int alive[WORLD_RECORDS + 1] = { 0 }; /* 1: there, 2: deleted */
    int64_t last = 0;
    for (int i = 0; i < WORLD_CHANGES; i++) {
        int n = (int)tm_rng_between(rng, 1, WORLD_RECORDS), change = 1;
        char fields[160];
        snprintf(fields, sizeof fields, ROW("n%d", "s%d", "%d"), i, i % 3, i);
        if (alive[n] != 1)
            change = alive[n] == 0 ? 0 : 3;
        else if (tm_rng_chance(rng, 0.2))
            change = 2;
        if (change == 1)
            snprintf(fields, sizeof fields, i % 2 ? "{\"Amount\":%d}" : "{\"Name\":\"u%d\"}", i);
        double minutes = i < 3 ? -1 : i * 0.006;
        const char *event = i < 3 ? NULL : "";
        if (event != NULL && tm_rng_chance(rng, 0.2))
            event = tm_rng_chance(rng, 0.3) ? NULL : gaps[change];
        last = history_commit(r->s.org, n, changes[change], event, minutes,
                              change == 2 ? "{}" : fields);
        alive[n] = change == 2 ? 2 : 1;
    }
    raw_load(r);
    return last;
}

static int world_number(const struct raw_stand *r, uint32_t v)
{
    char id[19];
    int n = 1;
    for (; n < WORLD_RECORDS; n++) {
        history_id(id, n);
        if (strcmp(id, r->s.truth->records[r->s.truth->versions[v].record].id) == 0)
            break;
    }
    return n;
}

static void world_deliver(struct raw_stand *r, uint32_t v)
{
    if (r->s.truth->versions[v].event != TM_TRUTH_SILENT)
        raw_event(r, world_number(r, v), r->s.truth->versions[v].replay_id);
}

/* A read in answer to what has come by then; now and then of one record, or without its last end.
 */
static void world_read(struct raw_stand *r, struct tm_rng *rng, int64_t g, int64_t last)
{
    int64_t seen = tm_rng_between(rng, g, last);
    r->numbered = tm_rng_chance(rng, 0.2) ? 1 + r->read_seq / 4 * 4 : 0;
    if (tm_rng_chance(rng, 0.4)) {
        raw_whole(r, WORLD_RECORDS, g, seen);
    } else if (tm_rng_chance(rng, 0.8)) {
        raw_image(r, (int)tm_rng_between(rng, 1, WORLD_RECORDS), g, seen, ++r->read_seq, "ids");
    } else {
        int seq = ++r->read_seq;
        int answered = raw_image(r, 1, g, seen, seq, "whole");
        raw_end(r, g, seq, 1, answered);
    }
}

/* Events in commit order, some never, some again, some late. */
static void world_run(struct raw_stand *r, struct tm_rng *rng, int64_t last)
{
    uint32_t late[WORLD_CHANGES];
    size_t late_count = 0;
    for (uint32_t v = 0; v < (uint32_t)last; v++) {
        if (tm_rng_chance(rng, 0.15)) {
            if (tm_rng_chance(rng, 0.5))
                late[late_count++] = v;
        } else {
            world_deliver(r, v);
        }
        if (tm_rng_chance(rng, 0.15))
            world_deliver(r, v - (uint32_t)tm_rng_below(rng, (uint64_t)v + 1));
        if (tm_rng_chance(rng, 0.2))
            world_read(r, rng, tm_rng_between(rng, 0, v), last);
        if (tm_rng_chance(rng, 0.1))
            raw_alert(r, world_number(r, v), v, "no_base");
        if (tm_rng_chance(rng, 0.06))
            raw_star(r, v, tm_rng_chance(rng, 0.5));
        if (late_count > 0 && tm_rng_chance(rng, 0.1))
            world_deliver(r, late[--late_count]);
        if (tm_rng_chance(rng, 0.4))
            raw_probe(r);
        if (tm_rng_chance(rng, 0.2))
            raw_look(r);
    }
    raw_look(r);
}

static void any_order_loss_and_repetition_shows_what_the_views_show(void **state)
{
    (void)state;
    uint64_t rows = 0, left_out = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct raw_stand r;
        struct tm_rng rng;
        uint64_t left;
        char name[40];
        snprintf(name, sizeof name, "world%llu", (unsigned long long)seed);
        tm_rng_init(&rng, seed);
        raw_open(&r, name);
        world_run(&r, &rng, world_history(&r, &rng));
        rows += raw_agree(&r, &left);
        left_out += left;
        raw_close(&r);
    }
    assert_true(rows > 1000); /* and none of them left out */
    assert_int_equal(left_out, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_is_dirty_until_its_image_and_later_events_stand_on_top),
        cmocka_unit_test(an_event_of_many_records_is_shown_for_all_with_its_first_row),
        cmocka_unit_test(another_row_of_an_event_of_many_records_speaks_for_itself_alone),
        cmocka_unit_test(a_gap_that_comes_again_after_its_image_is_not_dirty_again),
        cmocka_unit_test(an_older_read_of_one_gap_that_lands_last_changes_nothing),
        cmocka_unit_test(of_two_reads_with_one_number_the_name_decides),
        cmocka_unit_test(what_a_whole_read_did_not_answer_is_gone_though_its_delete_never_came),
        cmocka_unit_test(a_whole_read_without_all_its_ends_removes_nothing),
        cmocka_unit_test(a_record_known_by_updates_alone_has_a_partial_row_in_doubt),
        cmocka_unit_test(a_raised_no_base_stands_until_it_is_answered),
        cmocka_unit_test(an_object_is_in_doubt_until_its_copy_and_after_an_overflow_until_a_read),
        cmocka_unit_test(a_field_an_update_names_without_changing_it_is_set_by_it),
        cmocka_unit_test(a_view_that_shows_something_else_than_predicted_is_caught),
        cmocka_unit_test(what_comes_with_a_new_epoch_stands_above_all_before),
        cmocka_unit_test(any_order_loss_and_repetition_shows_what_the_views_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
