/* An external pipeline's own tables, looked at by its owner's queries while an org changes: for
 * each anomaly a history and a warehouse that has it and nothing else, and near misses that stay
 * silent, among them all that declared tolerances allow. */
#include "base/text.h"
#include "check/anomaly.h"
#include "check/given.h"
#include "support_history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define MAP                                                                                        \
    "\"query\":\"SELECT * FROM opp\",\"columns\":{\"Id\":\"sfid\",\"Stage\":\"st\",\"Amount\":"    \
    "\"usd\",\"LastModifiedDate\":\"ch\"}"
#define PLAIN "{\"Opportunity\":{" MAP "}}"
#define LOOSE                                                                                      \
    "{\"Opportunity\":{" MAP                                                                       \
    ",\"tolerances\":{\"LastModifiedDate\":\"1m\",\"Amount\":{\"scale\":0},\"Name\":[\"trim\","    \
    "\"empty\"]}}}"

static int64_t clock_ns;

static int64_t wall_ns(void)
{
    return ++clock_ns;
}

struct stand {
    sqlite3 *org, *w;
    char path[200];
    struct tm_truth *truth;
    struct tm_reader *reader;
    struct tm_plan_pipeline plan;
    json_t *relations;
    struct tm_match *match;
    struct tm_err err;
};

static void look(struct stand *s, double minutes)
{
    bool changed;
    size_t rows;
    clock_ns = history_wall_ns(minutes);
    assert_int_equal(tm_truth_tail(s->truth, 1000, &rows, &s->err), TM_OK);
    enum tm_code rc = tm_reader_probe(s->reader, clock_ns, &changed, &s->err);
    assert_true(rc == TM_OK || rc == TM_E_AGAIN);
}

/* The table as its owner writes it: 15 characters, text where the org has numbers. */
static void put(struct stand *s, int n, const char *name, const char *stage, const char *usd,
                double changed_minutes, int more_ms)
{
    char id[19], at[TM_TIME_BYTES], sql[400];
    history_id(id, n);
    tm_time_z(at, history_stamp(changed_minutes) + more_ms);
    snprintf(sql, sizeof sql,
             "INSERT OR REPLACE INTO opp VALUES('%.15s','%s','%s','%s','false','%s',0)", id, name,
             stage, usd, at);
    history_exec(s->w, sql);
}

static void drop(struct stand *s, int n)
{
    char id[19], sql[100];
    history_id(id, n);
    snprintf(sql, sizeof sql, "DELETE FROM opp WHERE sfid = '%.15s'", id);
    history_exec(s->w, sql);
}

#define FIELDS(stage) "{\"Name\":\"a\",\"Stage\":\"" stage "\",\"Amount\":1.25,\"Private\":0}"

static void open_stand(struct stand *s, const char *name, const char *relations, const char *pragma)
{
    char org[220];
    *s = (struct stand){ .relations = json_loads(relations, 0, NULL) };
    assert_non_null(s->relations);
    snprintf(org, sizeof org, "%s", history_path(name));
    strcat(org, ".org.db");
    snprintf(s->path, sizeof s->path, "%s", history_path(name));
    s->org = history_org(org, HISTORY_COMPRESS, HISTORY_WALL_NS);
    history_commit(s->org, 1, "CREATE", NULL, -1, FIELDS("new"));
    assert_int_equal(sqlite3_open(s->path, &s->w), SQLITE_OK);
    history_exec(s->w, pragma);
    history_exec(s->w,
                 "CREATE TABLE opp(sfid TEXT PRIMARY KEY, Name, st, usd, Private, ch, _dirty)");
    put(s, 1, "a", "new", "1.25", -1, 0);
    s->plan = (struct tm_plan_pipeline){ .name = "own",
                                         .database = s->path,
                                         .kind = TM_PIPELINE_EXTERNAL,
                                         .objects = { "Opportunity" },
                                         .objects_count = 1,
                                         .relations = s->relations,
                                         .map = "map.json" };
    assert_int_equal(tm_truth_open(&s->truth, org, &s->err), TM_OK);
    assert_int_equal(
        tm_reader_open(&s->reader, s->path, false, s->plan.objects, 1, wall_ns, &s->err), TM_OK);
    assert_int_equal(tm_given_attach(s->reader, &s->plan, &s->truth, &s->err), TM_OK);
    look(s, -0.5);
    look(s, 0);
}

static void close_stand(struct stand *s)
{
    tm_match_close(s->match);
    tm_reader_close(s->reader);
    tm_truth_close(s->truth);
    sqlite3_close(s->w);
    sqlite3_close(s->org);
    json_decref(s->relations);
}

static void match(struct stand *s)
{
    static const char *const objects[] = { "Opportunity" };
    size_t rows = 1;
    struct tm_timing timing = { .kind = TM_PIPELINE_EXTERNAL,
                                .compress = HISTORY_COMPRESS,
                                .org_origin_ms = HISTORY_ORIGIN_MS,
                                .wall_origin_ns = HISTORY_WALL_NS,
                                .start_us = HISTORY_ORIGIN_MS * 1000,
                                .end_us = history_org_ms(60) * 1000 };
    while (rows > 0)
        assert_int_equal(tm_truth_tail(s->truth, 1000, &rows, &s->err), TM_OK);
    assert_int_equal(
        tm_match_make(&s->match, s->truth, s->reader->shown, &timing, objects, 1, &s->err), TM_OK);
}

/* All that is found, by name and count; closes the stand. */
static void expect(struct stand *s, const char *expected)
{
    char found[300] = "";
    const char *name;
    json_t *one;
    const struct tm_given *g = s->reader->given;
    struct tm_anomaly_extra extra = { .torn_measured = true,
                                      .duplicates = g->duplicates,
                                      .duplicate = g->duplicate };
    match(s);
    json_t *all = tm_anomalies_json(s->truth, s->reader->shown, s->match, &extra);
    json_object_foreach(all, name, one)
    {
        json_int_t count = json_integer_value(json_object_get(one, "count"));
        size_t used = strlen(found);
        if (count > 0)
            snprintf(found + used, sizeof found - used, "%s%s %d", used > 0 ? " " : "", name,
                     (int)count);
    }
    assert_string_equal(found, expected);
    json_decref(all);
    close_stand(s);
}

#define WAL "PRAGMA journal_mode=WAL"

static void a_table_in_its_owners_words_that_follows_has_no_anomaly(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "follows", PLAIN, WAL);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\",\"Amount\":2.5}");
    put(&s, 1, "a", "won", "2.50", 5, 0);
    look(&s, 6);
    history_commit(s.org, 1, "DELETE", "", 10, "{}");
    drop(&s, 1);
    look(&s, 11);
    history_commit(s.org, 1, "UNDELETE", "", 15, FIELDS("won"));
    put(&s, 1, "a", "won", "1.25", 15, 0);
    look(&s, 16);
    expect(&s, "");
}

static void what_every_tolerance_allows_is_silent(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "within", LOOSE, WAL);
    put(&s, 1, "  a ", "new", "1.9", -1, 59999);
    look(&s, 2);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\",\"Amount\":2.5,\"Name\":null}");
    put(&s, 1, "   ", "won", "3.4", 5, -59999);
    look(&s, 6);
    history_commit(s.org, 1, "UPDATE", "", 7, "{\"Stage\":\"lost\"}");
    put(&s, 1, "", "lost", "2", 7, 0);
    look(&s, 8);
    expect(&s, "");
}

/* A change by less than the tolerance cannot be told from none: shown at once, never lost. */
static void a_change_within_the_tolerance_is_not_waited_for(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "unseen", LOOSE, WAL);
    history_commit(s.org, 1, "UPDATE", "", 0, "{\"Amount\":1.75}");
    expect(&s, "");
}

static void what_goes_beyond_the_tolerance_is_a_value_never_held(void **state)
{
    static const struct {
        const char *name, *usd;
        int more_ms;
    } all[] = { { "a", "1.25", 60001 }, { "a", "2.25", 0 }, { "b", "1.25", 0 }, { "", "1.25", 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct stand s;
        char name[32];
        snprintf(name, sizeof name, "beyond-%zu", i);
        open_stand(&s, name, LOOSE, WAL);
        put(&s, 1, all[i].name, "new", all[i].usd, -1, all[i].more_ms);
        look(&s, 2);
        put(&s, 1, "a", "new", "1.25", -1, 0); /* mended: it was seen all the same */
        look(&s, 3);
        expect(&s, "never_existed_value 1");
    }
}

static void an_undeclared_cut_is_a_value_never_held(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "undeclared", PLAIN, WAL);
    put(&s, 1, "a", "new", "1.25", -1, -400);
    look(&s, 2);
    put(&s, 1, "a", "new", "1.25", -1, 0);
    look(&s, 3);
    expect(&s, "never_existed_value 1");
}

/* Within the tolerance of one version in one field and of another in another: no single version. */
static void tolerances_do_not_hide_a_field_that_stays_behind(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "behind", LOOSE, WAL);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\",\"Amount\":40}");
    put(&s, 1, "a ", "new", "40.3", 5, 0);
    look(&s, 6);
    expect(&s, "stale_field 1");
}

static void an_update_that_never_comes_is_lost(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "lost", LOOSE, WAL);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\"}");
    expect(&s, "lost_update 1");
}

static void a_delete_that_is_forgotten_is_a_phantom(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "forgotten", LOOSE, WAL);
    history_commit(s.org, 1, "DELETE", "", 5, "{}");
    put(&s, 1, "a", "new", "1.3", -1, 0); /* written again, and no less a phantom */
    look(&s, 6);
    expect(&s, "phantom 1");
}

static void a_record_that_never_comes_is_missing(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "absent", LOOSE, WAL);
    history_commit(s.org, 2, "CREATE", "", 5, FIELDS("new"));
    expect(&s, "missing_row 1");
}

static void a_deleted_row_that_comes_back_is_resurrected(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "again", LOOSE, WAL);
    history_commit(s.org, 1, "DELETE", "", 5, "{}");
    drop(&s, 1);
    look(&s, 6);
    put(&s, 1, "a", "new", "1.25", -1, 0);
    look(&s, 7);
    drop(&s, 1);
    look(&s, 8);
    expect(&s, "resurrected_row 1");
}

static void an_older_version_shown_again_is_time_travel(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "travel", LOOSE, WAL);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\"}");
    put(&s, 1, "a", "won", "1.25", 5, 0);
    look(&s, 6);
    put(&s, 1, "a", "new", "1.25", -1, 0);
    look(&s, 7);
    put(&s, 1, "a", "won", "1.25", 5, 0);
    look(&s, 8);
    expect(&s, "time_travel 1");
}

static void a_row_dropped_for_a_moment_is_falsely_deleted(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "moment", LOOSE, WAL);
    drop(&s, 1);
    look(&s, 6);
    put(&s, 1, "a", "new", "1.25", -1, 0);
    look(&s, 7);
    expect(&s, "false_delete 1");
}

/* Replaced in one transaction, however slowly: nobody saw it gone. */
static void a_table_replaced_in_one_transaction_is_never_empty(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "replaced", LOOSE, WAL);
    history_exec(s.w, "BEGIN; DELETE FROM opp");
    look(&s, 6);
    put(&s, 1, "a", "new", "1.25", -1, 0);
    history_exec(s.w, "COMMIT");
    look(&s, 7);
    expect(&s, "");
}

static void an_id_returned_twice_is_a_duplicate(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "twice",
               "{\"Opportunity\":{\"query\":\"SELECT * FROM opp UNION ALL SELECT * FROM opp WHERE "
               "st = 'won'\",\"columns\":{\"Id\":\"sfid\",\"Stage\":\"st\",\"Amount\":\"usd\","
               "\"LastModifiedDate\":\"ch\"}}}",
               WAL);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\"}");
    put(&s, 1, "a", "won", "1.25", 5, 0);
    look(&s, 6);
    expect(&s, "duplicate 1");
}

static void a_field_without_a_column_is_lost_schema(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "narrow",
               "{\"Opportunity\":{\"query\":\"SELECT sfid, Name, Private, usd, ch FROM opp\","
               "\"columns\":{\"Id\":\"sfid\",\"Amount\":\"usd\",\"LastModifiedDate\":\"ch\"}}}",
               WAL);
    expect(&s, "schema_loss 1");
}

static void doubt_that_its_owner_flags_is_counted(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "doubt", LOOSE, WAL);
    history_exec(s.w, "UPDATE opp SET _dirty = 1");
    look(&s, 6);
    expect(&s, "unrepaired_gap 1");
}

/* A query that fails is no empty relation: its rows stand, and the failure is counted. */
static void a_query_that_fails_for_a_while_is_told_and_deletes_nothing(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "fails", LOOSE, WAL);
    history_exec(s.w, "ALTER TABLE opp RENAME TO elsewhere");
    look(&s, 6);
    assert_int_equal(s.reader->given->failed, 1);
    assert_non_null(strstr(s.reader->given->error, "no such table: opp"));
    assert_non_null(strstr(s.reader->given->error, "map.json: Opportunity"));
    history_exec(s.w, "ALTER TABLE elsewhere RENAME TO opp");
    look(&s, 7);
    expect(&s, "");
}

static void a_file_that_another_takes_the_place_of_is_read_anew(void **state)
{
    struct stand s;
    char sql[300], other[220];
    (void)state;
    open_stand(&s, "moved", LOOSE, "PRAGMA journal_mode=DELETE");
    look(&s, 2);
    look(&s, 4);
    assert_true(s.reader->given->looks > 0);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\"}");
    snprintf(other, sizeof other, "%s.new", s.path);
    snprintf(sql, sizeof sql, "VACUUM INTO '%s'", other);
    history_exec(s.w, sql);
    sqlite3_close(s.w);
    assert_int_equal(sqlite3_open(other, &s.w), SQLITE_OK);
    put(&s, 1, "a", "won", "1.25", 5, 0);
    sqlite3_close(s.w);
    s.w = NULL;
    assert_int_equal(rename(other, s.path), 0);
    look(&s, 6);
    look(&s, 8); /* with a rollback journal: once it was still */
    expect(&s, "");
}

/* Its lock could fail the writer's commit: not before the file was still for a while. */
static void a_rollback_journal_is_read_once_the_file_is_still(void **state)
{
    struct stand s;
    const double still = (double)TM_GIVEN_STILL_NS / 60e6; /* ms of wall as minutes of the org */
    (void)state;
    open_stand(&s, "rollback", LOOSE, "PRAGMA journal_mode=DELETE");
    look(&s, 1 + still);
    look(&s, 2 + still);
    uint64_t looks = s.reader->given->looks;
    assert_true(looks > 0);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\"}");
    put(&s, 1, "a", "won", "1.25", 5, 0);
    look(&s, 6);
    look(&s, 6 + still / 2);
    assert_int_equal(s.reader->given->looks, looks);
    look(&s, 6.01 + still);
    assert_int_equal(s.reader->given->looks, looks + 1);
    expect(&s, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_in_its_owners_words_that_follows_has_no_anomaly),
        cmocka_unit_test(what_every_tolerance_allows_is_silent),
        cmocka_unit_test(a_change_within_the_tolerance_is_not_waited_for),
        cmocka_unit_test(what_goes_beyond_the_tolerance_is_a_value_never_held),
        cmocka_unit_test(an_undeclared_cut_is_a_value_never_held),
        cmocka_unit_test(tolerances_do_not_hide_a_field_that_stays_behind),
        cmocka_unit_test(an_update_that_never_comes_is_lost),
        cmocka_unit_test(a_delete_that_is_forgotten_is_a_phantom),
        cmocka_unit_test(a_record_that_never_comes_is_missing),
        cmocka_unit_test(a_deleted_row_that_comes_back_is_resurrected),
        cmocka_unit_test(an_older_version_shown_again_is_time_travel),
        cmocka_unit_test(a_row_dropped_for_a_moment_is_falsely_deleted),
        cmocka_unit_test(a_table_replaced_in_one_transaction_is_never_empty),
        cmocka_unit_test(an_id_returned_twice_is_a_duplicate),
        cmocka_unit_test(a_field_without_a_column_is_lost_schema),
        cmocka_unit_test(doubt_that_its_owner_flags_is_counted),
        cmocka_unit_test(a_query_that_fails_for_a_while_is_told_and_deletes_nothing),
        cmocka_unit_test(a_file_that_another_takes_the_place_of_is_read_anew),
        cmocka_unit_test(a_rollback_journal_is_read_once_the_file_is_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
