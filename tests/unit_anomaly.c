/* Each anomaly alone: a history and a copy that has exactly it and nothing else; and near misses
 * that must stay silent. */
#include "support_history.h"
#include "check/anomaly.h"
#include "check/reader.h"
#include "check/torn.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define FIELDS(stage) "{\"Name\":\"a\",\"Stage\":\"" stage "\",\"Amount\":1,\"Private\":0}"
#define STAGE(stage) "{\"Stage\":\"" stage "\"}"

static void open_with_one(struct history_stand *s, const char *name)
{
    history_stand_open(s, name);
    history_commit(s->org, 1, "CREATE", NULL, -1, FIELDS("new"));
    history_show(s, 1, 0, 0, "a", "new", 1, 0, history_stamp(-1), 0);
}

static void show(struct history_stand *s, int n, double minutes, const char *stage, double stamp)
{
    history_show(s, n, minutes, 0, "a", stage, 1, 0, history_stamp(stamp), 0);
}

/* The names of all that was found, with their counts: "phantom 1 time_travel 2". */
static void expect_extra(struct history_stand *s, const char *expected, const char *example,
                         const struct tm_anomaly_extra *extra)
{
    char found[400] = "", id[19] = "";
    const char *name, *first = NULL;
    json_t *one, *all;
    history_match(s);
    all = tm_anomalies_json(s->truth, s->shown, s->match, extra);
    assert_int_equal(json_object_size(all), TM_ANOMALIES);
    json_object_foreach(all, name, one)
    {
        json_int_t count = json_integer_value(json_object_get(one, "count"));
        size_t used = strlen(found);
        if (count == 0)
            continue;
        snprintf(found + used, sizeof found - used, "%s%s %d", used > 0 ? " " : "", name,
                 (int)count);
        first = json_string_value(json_object_get(json_object_get(one, "example"), "id"));
        snprintf(id, sizeof id, "%s", first == NULL ? "" : first);
    }
    assert_string_equal(found, expected);
    if (example != NULL)
        assert_string_equal(id, example);
    json_decref(all);
    history_stand_close(s);
}

static void expect(struct history_stand *s, const char *expected)
{
    struct tm_anomaly_extra none = { .torn_measured = true };
    expect_extra(s, expected, NULL, &none);
}

static void a_copy_that_follows_has_none(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "none");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    show(&s, 1, 6, "won", 5);
    history_commit(s.org, 1, "DELETE", "", 10, "{}");
    history_hide(&s, 1, 11, 0);
    history_commit(s.org, 1, "UNDELETE", "", 15, FIELDS("won"));
    show(&s, 1, 16, "won", 15);
    expect(&s, "");
}

static void a_state_replaced_before_anybody_looked_is_no_lost_update(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "replaced");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    history_commit(s.org, 1, "UPDATE", "", 6, STAGE("lost"));
    show(&s, 1, 10, "lost", 6);
    expect(&s, "");
}

/* An update that never came also leaves the row stale: the two say one thing each, that a change
 * was lost and that the row is wrong for it. Where the row was deleted later, nothing is stale. */
static void an_update_that_is_never_shown_is_lost(void **state)
{
    struct history_stand s;
    struct tm_anomaly_extra none = { .torn_measured = true };
    char id[19];
    (void)state;
    open_with_one(&s, "lost");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    history_id(id, 1);
    expect_extra(&s, "lost_update 1", id, &none);
}

static void a_field_that_stays_behind_in_a_newer_row_is_stale(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "stale");
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\",\"Amount\":2}");
    history_show(&s, 1, 6, 0, "a", "new", 2, 0, history_stamp(5), 0); /* Stage was wiped back */
    expect(&s, "stale_field 1");
}

static void an_update_of_a_record_that_was_deleted_since_is_no_lost_update(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "moot");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    history_commit(s.org, 1, "DELETE", "", 6, "{}");
    expect(&s, "phantom 1");
}

static void a_stale_row_that_catches_up_in_time_is_none(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "late");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    show(&s, 1, 59, "won", 5);
    expect(&s, "");
}

static void a_row_that_comes_back_after_its_delete_was_shown_is_resurrected(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "resurrected");
    history_commit(s.org, 1, "DELETE", "", 5, "{}");
    history_hide(&s, 1, 6, 0);
    show(&s, 1, 10, "new", -1);
    history_hide(&s, 1, 12, 0); /* so that it is no phantom */
    expect(&s, "resurrected_row 1");
}

static void a_row_that_comes_back_because_it_was_restored_is_none(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "restored");
    history_commit(s.org, 1, "DELETE", "", 5, "{}");
    history_hide(&s, 1, 6, 0);
    history_commit(s.org, 1, "UNDELETE", "", 8, FIELDS("new"));
    history_commit(s.org, 1, "DELETE", "", 9, "{}"); /* gone again before its return is shown */
    show(&s, 1, 10, "new", 8);
    history_hide(&s, 1, 11, 0);
    expect(&s, "");
}

static void a_row_of_a_deleted_record_is_a_phantom(void **state)
{
    struct history_stand s;
    struct tm_anomaly_extra none = { .torn_measured = true };
    char id[19];
    (void)state;
    open_with_one(&s, "phantom");
    history_commit(s.org, 1, "DELETE", "", 5, "{}");
    history_id(id, 1);
    expect_extra(&s, "phantom 1", id, &none);
}

static void an_id_the_org_never_had_is_a_phantom_with_its_id(void **state)
{
    struct history_stand s;
    struct tm_anomaly_extra none = { .torn_measured = true };
    char id[19];
    (void)state;
    open_with_one(&s, "stranger");
    show(&s, 7, 3, "new", 1);
    history_id(id, 7);
    expect_extra(&s, "phantom 1", id, &none);
}

static void a_record_without_a_row_is_missing(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "missing");
    history_commit(s.org, 2, "CREATE", "", 5, FIELDS("new"));
    expect(&s, "missing_row 1");
}

static void a_record_created_and_deleted_unseen_is_none(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "fleeting");
    history_commit(s.org, 2, "CREATE", "", 5, FIELDS("new"));
    history_commit(s.org, 2, "DELETE", "", 6, "{}");
    expect(&s, "");
}

static void a_value_its_record_never_held_is_named(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "never");
    show(&s, 1, 5, "invented", -1);
    show(&s, 1, 6, "new", -1); /* mended later: it was seen all the same */
    expect(&s, "never_existed_value 1");
}

static void values_each_held_once_are_mixed_not_invented(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "mixed");
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Stage\":\"won\",\"Amount\":2}");
    history_show(&s, 1, 6, 0, "a", "won", 1, 0, history_stamp(5), 0);
    history_show(&s, 1, 7, 0, "a", "won", 2, 0, history_stamp(5), 0);
    expect(&s, "");
}

static void a_record_that_goes_back_to_an_older_version_travels_in_time(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "travel");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    show(&s, 1, 6, "won", 5);
    show(&s, 1, 7, "new", -1);
    show(&s, 1, 8, "won", 5);
    expect(&s, "time_travel 1");
}

static void a_value_that_the_org_itself_set_back_is_no_time_travel(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "back");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    show(&s, 1, 6, "won", 5);
    history_commit(s.org, 1, "UPDATE", "", 7, STAGE("new"));
    show(&s, 1, 8, "new", 7);
    expect(&s, "");
}

static void a_row_that_disappears_without_a_delete_is_falsely_deleted(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "false");
    history_commit(s.org, 1, "UPDATE", "", 3, STAGE("won"));
    show(&s, 1, 4, "won", 3);
    history_hide(&s, 1, 5, 0);
    show(&s, 1, 6, "won", 3);
    expect(&s, "false_delete 1");
}

/* It is shown late, when the record is back already: late is not false. */
static void a_delete_shown_after_the_record_was_restored_is_no_false_delete(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "belated");
    history_commit(s.org, 1, "DELETE", "", 5, "{}");
    history_commit(s.org, 1, "UNDELETE", "", 6, FIELDS("new"));
    history_hide(&s, 1, 10, 0);
    show(&s, 1, 12, "new", 6);
    expect(&s, "");
}

/* Deleted, restored, deleted again in the org before the first of it is shown: a copy that shows
 * all three in order is only late. */
static void a_copy_that_is_late_by_several_deletes_is_none(void **state)
{
    struct history_stand s;
    (void)state;
    for (int restored = 0; restored < 2; restored++) {
        open_with_one(&s, restored ? "late4" : "late3");
        history_commit(s.org, 1, "DELETE", "", 5, "{}");
        history_commit(s.org, 1, "UNDELETE", "", 6, FIELDS("new"));
        history_commit(s.org, 1, "DELETE", "", 7, "{}");
        if (restored)
            history_commit(s.org, 1, "UNDELETE", "", 7.5, FIELDS("new"));
        history_hide(&s, 1, 8, 0);
        show(&s, 1, 9, "new", 6);
        history_hide(&s, 1, 10, 0);
        if (restored)
            show(&s, 1, 11, "new", 7.5);
        expect(&s, "");
    }
}

static void doubt_that_is_never_repaired_is_counted(void **state)
{
    struct history_stand s;
    struct tm_anomaly_extra star = { .torn_measured = true, .starred = 1 };
    char id[19];
    (void)state;
    open_with_one(&s, "doubt");
    history_show(&s, 1, 5, 0, "a", "new", 1, 0, history_stamp(-1), TM_SHOWN_DIRTY);
    history_id(id, 1);
    expect_extra(&s, "unrepaired_gap 2", id, &star); /* the row, and another object as a whole */
}

static void doubt_that_was_repaired_is_none(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "repaired");
    history_show(&s, 1, 5, 0, "a", "new", 1, 0, history_stamp(-1), TM_SHOWN_DIRTY);
    show(&s, 1, 6, "new", -1);
    expect(&s, "");
}

static void a_field_with_values_and_no_column_is_lost_schema(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "schema");
    history_add_field(s.org);
    history_commit(s.org, 1, "UPDATE", "", 5, "{\"Extra__c\":\"x\"}");
    show(&s, 1, 6, "new", 5);
    expect(&s, "schema_loss 1");
}

static void a_field_that_never_had_a_value_is_not_missed(void **state)
{
    struct history_stand s;
    (void)state;
    open_with_one(&s, "unused");
    history_add_field(s.org);
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    show(&s, 1, 6, "won", 5);
    expect(&s, "");
}

/* ---- torn transactions ---- */

static void two_of_one_transaction(struct history_stand *s, const char *name, double first,
                                   double second)
{
    open_with_one(s, name);
    history_commit(s->org, 2, "CREATE", NULL, -1, FIELDS("new"));
    show(s, 2, 0, "new", -1);
    history_commit(s->org, 1, "UPDATE", "", 5, STAGE("won"));
    history_commit(s->org, 2, "UPDATE", "", 5, STAGE("won"));
    show(s, 1, first, "won", 5);
    show(s, 2, second, "won", 5);
    history_match(s);
    s->truth->versions[3].txn = s->truth->versions[2].txn;
}

static void records_of_a_transaction_that_come_one_after_the_other_are_torn(void **state)
{
    struct history_stand s;
    struct tm_torn torn;
    struct tm_err err = { 0 };
    char id[19];
    (void)state;
    two_of_one_transaction(&s, "torn", 6, 8);
    assert_int_equal(tm_torn_count(&torn, s.truth, s.match, history_wall_ns(60), &err), TM_OK);
    assert_int_equal(torn.transactions, 1);
    assert_int_equal(torn.torn_ns, history_wall_ns(8) - history_wall_ns(6));
    assert_int_equal(torn.example, 3);
    struct tm_anomaly_extra extra = { .torn_measured = true,
                                      .torn = torn.transactions,
                                      .torn_version = torn.example };
    history_id(id, 2);
    expect_extra(&s, "torn_transaction 1", id, &extra);
}

/* A merge whose delete the copy never hears of: torn to the end. */
static void a_transaction_of_which_one_record_is_never_shown_is_torn(void **state)
{
    struct history_stand s;
    struct tm_torn torn;
    struct tm_err err = { 0 };
    (void)state;
    open_with_one(&s, "half");
    history_commit(s.org, 2, "CREATE", NULL, -1, FIELDS("new"));
    show(&s, 2, 0, "new", -1);
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    history_commit(s.org, 2, "DELETE", "", 5, "{}");
    show(&s, 1, 6, "won", 5);
    history_match(&s);
    s.truth->versions[3].txn = s.truth->versions[2].txn;
    assert_int_equal(tm_torn_count(&torn, s.truth, s.match, history_wall_ns(60), &err), TM_OK);
    assert_int_equal(torn.transactions, 1);
    assert_int_equal(torn.torn_ns, history_wall_ns(60) - history_wall_ns(6));
    history_stand_close(&s);
}

static void records_of_a_transaction_that_come_with_one_read_are_not_torn(void **state)
{
    struct history_stand s;
    struct tm_torn torn;
    struct tm_err err = { 0 };
    (void)state;
    two_of_one_transaction(&s, "whole", 6, 6);
    assert_int_equal(tm_torn_count(&torn, s.truth, s.match, history_wall_ns(60), &err), TM_OK);
    assert_int_equal(torn.transactions, 0);
    expect(&s, "");
}

/* The record of the pair that was created and deleted between two reads: nobody could see it. */
static void a_record_of_a_transaction_that_was_gone_before_any_read_tears_nothing(void **state)
{
    struct history_stand s;
    struct tm_torn torn;
    struct tm_err err = { 0 };
    (void)state;
    open_with_one(&s, "flash");
    history_commit(s.org, 1, "UPDATE", "", 5, STAGE("won"));
    history_commit(s.org, 2, "CREATE", "", 5, FIELDS("new"));
    history_commit(s.org, 2, "DELETE", "", 7, "{}");
    show(&s, 1, 9, "won", 5);
    history_match(&s);
    s.truth->versions[2].txn = s.truth->versions[1].txn;
    assert_int_equal(tm_torn_count(&torn, s.truth, s.match, history_wall_ns(60), &err), TM_OK);
    assert_int_equal(torn.transactions, 0);
    assert_int_equal(torn.torn_ns, 0);
    expect(&s, "");
}

/* ---- duplicates: of a view, which no key keeps single ---- */

static int64_t wall_ns(void)
{
    static int64_t now_ns;
    return ++now_ns;
}

static void duplicates(const char *name, const char *view, uint64_t expected)
{
    static const char *const objects[] = { "Opportunity" };
    sqlite3 *w = history_warehouse(history_path(name));
    struct tm_reader *r = NULL;
    struct tm_full_read read;
    struct tm_err err = { 0 };
    char id[19];
    history_put(w, 1, "a", "new", 1, 0, history_stamp(1), 0);
    history_put(w, 2, "b", "new", 2, 0, history_stamp(1), 0);
    history_exec(w, "ALTER TABLE Opportunity RENAME TO rows");
    history_exec(w, view);
    assert_int_equal(tm_reader_open(&r, history_path(name), true, objects, 1, wall_ns, &err),
                     TM_OK);
    assert_int_equal(tm_reader_full(r, false, &read, &err), TM_OK);
    assert_int_equal(read.duplicates, expected);
    history_id(id, 2);
    assert_string_equal(read.duplicate, expected > 0 ? id : "");
    tm_reader_close(r);
    sqlite3_close(w);
}

static void an_id_that_one_read_returns_twice_is_a_duplicate(void **state)
{
    (void)state;
    duplicates("twice.db",
               "CREATE VIEW Opportunity AS SELECT * FROM rows UNION ALL SELECT * FROM rows "
               "WHERE Amount = 2",
               1);
}

static void equal_rows_of_two_ids_are_no_duplicates(void **state)
{
    (void)state;
    duplicates("once.db", "CREATE VIEW Opportunity AS SELECT * FROM rows", 0);
}

/* ---- examples ---- */

static void the_example_is_the_record_with_the_shortest_history(void **state)
{
    struct history_stand s;
    struct tm_anomaly_extra none = { .torn_measured = true };
    char id[19];
    (void)state;
    open_with_one(&s, "shortest");
    history_commit(s.org, 1, "UPDATE", "", 2, STAGE("won"));
    show(&s, 1, 3, "won", 2);
    history_commit(s.org, 2, "CREATE", NULL, 4, FIELDS("new"));
    show(&s, 2, 5, "new", 4);
    history_commit(s.org, 1, "DELETE", "", 6, "{}");
    history_commit(s.org, 2, "DELETE", "", 7, "{}");
    history_id(id, 2);
    expect_extra(&s, "phantom 2", id, &none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_that_follows_has_none),
        cmocka_unit_test(a_state_replaced_before_anybody_looked_is_no_lost_update),
        cmocka_unit_test(an_update_that_is_never_shown_is_lost),
        cmocka_unit_test(a_field_that_stays_behind_in_a_newer_row_is_stale),
        cmocka_unit_test(an_update_of_a_record_that_was_deleted_since_is_no_lost_update),
        cmocka_unit_test(a_stale_row_that_catches_up_in_time_is_none),
        cmocka_unit_test(a_row_that_comes_back_after_its_delete_was_shown_is_resurrected),
        cmocka_unit_test(a_row_that_comes_back_because_it_was_restored_is_none),
        cmocka_unit_test(a_row_of_a_deleted_record_is_a_phantom),
        cmocka_unit_test(an_id_the_org_never_had_is_a_phantom_with_its_id),
        cmocka_unit_test(a_record_without_a_row_is_missing),
        cmocka_unit_test(a_record_created_and_deleted_unseen_is_none),
        cmocka_unit_test(a_value_its_record_never_held_is_named),
        cmocka_unit_test(values_each_held_once_are_mixed_not_invented),
        cmocka_unit_test(a_record_that_goes_back_to_an_older_version_travels_in_time),
        cmocka_unit_test(a_value_that_the_org_itself_set_back_is_no_time_travel),
        cmocka_unit_test(a_row_that_disappears_without_a_delete_is_falsely_deleted),
        cmocka_unit_test(a_delete_shown_after_the_record_was_restored_is_no_false_delete),
        cmocka_unit_test(a_copy_that_is_late_by_several_deletes_is_none),
        cmocka_unit_test(doubt_that_is_never_repaired_is_counted),
        cmocka_unit_test(doubt_that_was_repaired_is_none),
        cmocka_unit_test(a_field_with_values_and_no_column_is_lost_schema),
        cmocka_unit_test(a_field_that_never_had_a_value_is_not_missed),
        cmocka_unit_test(records_of_a_transaction_that_come_one_after_the_other_are_torn),
        cmocka_unit_test(a_transaction_of_which_one_record_is_never_shown_is_torn),
        cmocka_unit_test(records_of_a_transaction_that_come_with_one_read_are_not_torn),
        cmocka_unit_test(a_record_of_a_transaction_that_was_gone_before_any_read_tears_nothing),
        cmocka_unit_test(an_id_that_one_read_returns_twice_is_a_duplicate),
        cmocka_unit_test(equal_rows_of_two_ids_are_no_duplicates),
        cmocka_unit_test(the_example_is_the_record_with_the_shortest_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
