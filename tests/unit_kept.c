/* States that no kept table can give back: for each way a state is kept, a history that has it and
 * one that misses it. */
#include "check/kept.h"
#include "tests/support_history.h"
#include "tests/support_raw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ROW(stage) "{\"Name\":\"a\",\"Stage\":\"" stage "\",\"Amount\":1,\"Private\":0}"
#define STAGE(stage) "{\"Stage\":\"" stage "\"}"

struct kept {
    struct history_stand s;
    sqlite3 *raw, *copy;
    char path[200];
};
static int64_t kept_now_ns(void)
{
    return HISTORY_WALL_NS;
}

static void kept_open(struct kept *k, const char *name)
{
    char file[80];
    struct tm_err err = { 0 };
    memset(k, 0, sizeof *k);
    history_stand_open(&k->s, name);
    snprintf(file, sizeof file, "%s.kept.db", name);
    snprintf(k->path, sizeof k->path, "%s", history_path(file));
    assert_int_equal(tm_sql_open(&k->raw, k->path, TM_SQL_CREATE, &err), TM_OK);
    raw_tables(k->raw);
    history_commit(k->s.org, 1, "CREATE", NULL, -1, ROW("new"));
    history_show(&k->s, 1, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
}

static void shows(struct kept *k, double minutes, const char *stage, double stamp)
{
    history_show(&k->s, 1, minutes, 5, "a", stage, 1, 0, history_stamp(stamp), 0);
}

/* stream: with the raw tables; else a polled copy. */
static void expect(struct kept *k, bool stream, uint64_t lost, uint64_t states)
{
    static const char *const objects[] = { "Opportunity" };
    struct tm_reader *raw = NULL;
    struct tm_kept kept;
    struct tm_err err = { 0 };
    bool changed;
    history_match(&k->s);
    if (stream) {
        assert_int_equal(tm_reader_open(&raw, k->path, true, objects, 1, kept_now_ns, &err), TM_OK);
        assert_int_equal(tm_reader_probe(raw, HISTORY_WALL_NS, &changed, &err), TM_OK);
    }
    assert_int_equal(tm_kept_count(&kept, k->s.truth, k->s.match, k->s.shown, raw,
                                   stream ? NULL : k->copy, &err),
                     TM_OK);
    assert_int_equal(kept.states, states);
    assert_int_equal(kept.lost, lost);
    assert_int_equal(kept.example == TM_TRUTH_NONE, lost == 0);
    tm_reader_close(raw);
    tm_sql_close(k->raw);
    tm_sql_close(k->copy);
    history_stand_close(&k->s);
}

static void a_polled_copy_gives_back_its_rows_as_they_stand_and_no_older_state(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "polled");
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "UPDATE", "", 20, STAGE("lost"));
    shows(&k, 11, "won", 10); /* shown once, and overwritten since */
    shows(&k, 21, "lost", 20);
    expect(&k, false, 1, 2);
}

static void a_copy_that_is_behind_gives_back_what_it_shows(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "behind");
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "UPDATE", "", 20, STAGE("lost"));
    shows(&k, 11, "won", 10);
    expect(&k, false, 1, 2);
}

static void a_delete_is_given_back_by_the_row_that_is_not_there(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "gone");
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "DELETE", "", 20, "{}");
    shows(&k, 11, "won", 10);
    history_hide(&k.s, 1, 21, 5);
    expect(&k, false, 1, 2);
}

static void a_delete_that_is_flagged_keeps_the_last_state_before_it(void **state)
{
    (void)state;
    struct kept k;
    char id[19];
    struct tm_err err = { 0 };
    kept_open(&k, "flagged");
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "DELETE", "", 20, "{}");
    shows(&k, 11, "won", 10);
    history_hide(&k.s, 1, 21, 5);
    history_id(id, 1);
    assert_int_equal(tm_sql_open(&k.copy, history_path("flagged.copy.db"), TM_SQL_CREATE, &err),
                     TM_OK);
    history_exec(k.copy,
                 "CREATE TABLE _all_Opportunity(Id TEXT, IsDeleted INTEGER, Name TEXT, Stage "
                 "TEXT, Amount REAL, Private INTEGER, LastModifiedDate INTEGER)");
    /* a delete leaves the fields, and moves the stamp */
    raw_run(k.copy, sqlite3_mprintf("INSERT INTO _all_Opportunity VALUES(%Q, 1, 'a', 'won', 1, 0, "
                                    "%lld)",
                                    id, (long long)history_stamp(20)));
    expect(&k, false, 0, 2);
}

static void raw_tables_give_back_every_state_that_had_an_event_on_a_base(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "events");
    raw_answer(k.raw, 1, 1, 0, "whole", "new", -1);
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "UPDATE", "", 20, STAGE("lost"));
    history_commit(k.s.org, 1, "DELETE", "", 30, "{}");
    raw_event(k.raw, 1, 2, "UPDATE", "won", 10);
    raw_event(k.raw, 1, 3, "UPDATE", "lost", 20);
    raw_event(k.raw, 1, 4, "DELETE", NULL, 30);
    history_hide(&k.s, 1, 31, 5);
    expect(&k, true, 0, 3);
}

static void an_update_without_a_base_gives_back_no_state(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "nobase");
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "UPDATE", "", 20, STAGE("lost"));
    raw_event(k.raw, 1, 2, "UPDATE", "won", 10);
    raw_event(k.raw, 1, 3, "UPDATE", "lost", 20);
    shows(&k, 21, "lost", 20); /* the row as it stands is there, the one before is not */
    history_exec(k.s.org,
                 "UPDATE history SET fields = json_set(fields, '$.Amount', 2) WHERE pos=1");
    history_exec(k.s.org,
                 "UPDATE history SET fields = json_set(fields, '$.Amount', 1) WHERE pos=3");
    expect(&k, true, 1, 2);
}

/* What went before is lost, and none of it is needed: a delete leaves nothing, an undelete tells
 * all.
 */
static void a_delete_and_an_undelete_need_no_base(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "anew");
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "DELETE", "", 20, "{}");
    history_commit(k.s.org, 1, "UNDELETE", "", 30, "{}");
    history_commit(k.s.org, 1, "UPDATE", "", 40, STAGE("lost"));
    raw_event(k.raw, 1, 2, "UPDATE", "won", 10);
    raw_event(k.raw, 1, 3, "DELETE", NULL, 20);
    raw_event(k.raw, 1, 4, "UNDELETE", "won", 30);
    raw_event(k.raw, 1, 5, "UPDATE", "lost", 40);
    shows(&k, 41, "lost", 40);
    expect(&k, true, 1, 4);
}

static void a_gap_whose_image_came_after_the_next_change_lost_its_state(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "gap");
    raw_answer(k.raw, 1, 1, 0, "whole", "new", -1);
    history_commit(k.s.org, 1, "UPDATE", "GAP_UPDATE", 10, STAGE("won"));
    history_commit(k.s.org, 1, "UPDATE", "", 20, STAGE("lost"));
    raw_event(k.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    raw_event(k.raw, 1, 3, "UPDATE", "lost", 20);
    raw_answer(k.raw, 2, 1, 2, "ids", "lost", 20); /* read too late for the state of 10 */
    shows(&k, 21, "lost", 20);
    expect(&k, true, 1, 2);
}

static void a_gap_whose_image_came_in_time_lost_nothing(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "repaired");
    raw_answer(k.raw, 1, 1, 0, "whole", "new", -1);
    history_commit(k.s.org, 1, "UPDATE", "GAP_UPDATE", 10, STAGE("won"));
    history_commit(k.s.org, 1, "UPDATE", "", 20, STAGE("lost"));
    raw_event(k.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    raw_answer(k.raw, 2, 1, 2, "ids", "won", 10);
    raw_event(k.raw, 1, 3, "UPDATE", "lost", 20);
    shows(&k, 21, "lost", 20);
    expect(&k, true, 0, 2);
}

static void an_event_of_another_transaction_with_the_same_replay_id_keeps_nothing(void **state)
{
    (void)state;
    struct kept k;
    kept_open(&k, "again");
    raw_answer(k.raw, 1, 1, 0, "whole", "new", -1);
    history_commit(k.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    history_commit(k.s.org, 1, "UPDATE", "", 20, STAGE("lost"));
    history_exec(k.s.org,
                 "UPDATE history SET replay_id = 2 WHERE pos = 3"); /* the bus began anew */
    raw_event(k.raw, 1, 2, "UPDATE", "won", 10);
    expect(&k, true, 1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_polled_copy_gives_back_its_rows_as_they_stand_and_no_older_state),
        cmocka_unit_test(a_copy_that_is_behind_gives_back_what_it_shows),
        cmocka_unit_test(a_delete_is_given_back_by_the_row_that_is_not_there),
        cmocka_unit_test(a_delete_that_is_flagged_keeps_the_last_state_before_it),
        cmocka_unit_test(raw_tables_give_back_every_state_that_had_an_event_on_a_base),
        cmocka_unit_test(an_update_without_a_base_gives_back_no_state),
        cmocka_unit_test(a_delete_and_an_undelete_need_no_base),
        cmocka_unit_test(a_gap_whose_image_came_after_the_next_change_lost_its_state),
        cmocka_unit_test(a_gap_whose_image_came_in_time_lost_nothing),
        cmocka_unit_test(an_event_of_another_transaction_with_the_same_replay_id_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
