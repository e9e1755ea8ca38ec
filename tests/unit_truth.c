/* truth: the history as the witness keeps it, tailed while the org writes it. */
#include "check/truth.h"
#include "check/vhash.h"
#include "tests/support_history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <unistd.h>

#define ROW(name, stage, amount)                                                                   \
    "{\"Name\":\"" name "\",\"Stage\":\"" stage "\",\"Amount\":" amount ",\"Private\":0}"

static void truth_all(struct tm_truth *t)
{
    struct tm_err err = { 0 };
    size_t rows = 1;
    while (rows > 0)
        assert_int_equal(tm_truth_tail(t, 2, &rows, &err), TM_OK);
}

static uint64_t truth_now(struct tm_truth *t, int n, const char *column)
{
    char id[19];
    history_id(id, n);
    const struct tm_truth_object *o = &t->objects[0];
    const struct tm_truth_record *r = &t->records[tm_truth_record(t, 0, id)];
    uint32_t d = o->heads[(size_t)r->local * o->width + (size_t)tm_truth_column(o, column)];
    return d == TM_TRUTH_NONE ? TM_VHASH_NULL : t->deltas[d].hash;
}

static void a_record_is_what_its_changes_made_of_it(void **state)
{
    (void)state;
    struct history_stand s;
    history_stand_open(&s, "made");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(s.org, 1, "UPDATE", "", 1, "{\"Amount\":2.5,\"Stage\":null}");
    truth_all(s.truth);
    assert_true(truth_now(s.truth, 1, "Name") == tm_vhash_text("a", 1));
    assert_true(truth_now(s.truth, 1, "Amount") == tm_vhash_real(2.5));
    assert_true(truth_now(s.truth, 1, "Stage") == TM_VHASH_NULL);
    assert_int_equal(s.truth->versions_count, 2);
    assert_true(s.truth->versions[0].actual_ns == INT64_MIN);
    /* Amount, Stage, LastModifiedDate */
    assert_int_equal(s.truth->versions[1].delta_count, 3);
    history_stand_close(&s);
}

static void what_comes_while_tailing_is_found_by_the_next_tail(void **state)
{
    (void)state;
    struct history_stand s;
    history_stand_open(&s, "tail");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    truth_all(s.truth);
    for (int i = 0; i < 5; i++)
        history_commit(s.org, 2 + i, "CREATE", "", 1 + i, ROW("b", "new", "2"));
    truth_all(s.truth);
    assert_int_equal(s.truth->versions_count, 6);
    assert_int_equal(s.truth->records_count, 6);
    history_stand_close(&s);
}

static void an_undelete_names_what_is_not_null_and_nulls_the_rest(void **state)
{
    (void)state;
    struct history_stand s;
    history_stand_open(&s, "undelete");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(s.org, 1, "DELETE", "", 1, "{}");
    history_commit(s.org, 1, "UNDELETE", "", 2, "{\"Name\":\"a\",\"Private\":0}");
    truth_all(s.truth);
    assert_true(truth_now(s.truth, 1, "Stage") == TM_VHASH_NULL);
    assert_true(truth_now(s.truth, 1, "Amount") == TM_VHASH_NULL);
    assert_true(truth_now(s.truth, 1, "Name") == tm_vhash_text("a", 1));
    assert_true(tm_truth_is_gone(s.truth->versions[1].change));
    history_stand_close(&s);
}

static void a_value_set_again_is_no_change(void **state)
{
    (void)state;
    struct history_stand s;
    history_stand_open(&s, "again");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(s.org, 1, "UPDATE", "", 1, "{\"Amount\":1.0}");
    truth_all(s.truth);
    assert_int_equal(s.truth->versions[1].delta_count, 1); /* LastModifiedDate alone */
    history_stand_close(&s);
}

static void a_hole_in_the_history_is_told(void **state)
{
    (void)state;
    struct history_stand s;
    struct tm_err err = { 0 };
    size_t rows;
    history_stand_open(&s, "hole");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "1"));
    history_exec(s.org, "DELETE FROM history WHERE pos = 1");
    assert_int_equal(tm_truth_tail(s.truth, 10, &rows, &err), TM_E_GAP);
    assert_non_null(strstr(err.msg, "position"));
    history_stand_close(&s);
}

static void a_database_that_is_not_there_yet_is_asked_again(void **state)
{
    (void)state;
    struct tm_truth *t = NULL;
    struct tm_err err = { 0 };
    assert_int_equal(tm_truth_open(&t, history_path("nothing.db"), &err), TM_E_AGAIN);
    assert_null(t);
}

static void values_are_looked_up_as_the_org_spells_them(void **state)
{
    (void)state;
    struct history_stand s;
    history_stand_open(&s, "spelled");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(s.org, 1, "UPDATE", "", 1, "{\"Amount\":2.5}");
    truth_all(s.truth);
    json_t *name = tm_truth_value(s.truth, 1, "Name"),
           *amount = tm_truth_value(s.truth, 1, "Amount");
    assert_string_equal(json_string_value(name), "a");
    assert_true(json_real_value(amount) > 2.4);
    json_decref(name);
    json_decref(amount);
    history_stand_close(&s);
}

static void hundreds_of_records_and_columns_find_their_way(void **state)
{
    (void)state;
    struct history_stand s;
    history_stand_open(&s, "many");
    history_exec(s.org, "BEGIN");
    for (int i = 0; i < 900; i++) {
        char fields[120];
        snprintf(fields, sizeof fields, "{\"Name\":\"n%d\",\"F%d\":%d}", i, i % 90, i);
        history_commit(s.org, i, "CREATE", NULL, -1, fields);
    }
    history_exec(s.org, "COMMIT");
    truth_all(s.truth);
    assert_int_equal(s.truth->records_count, 900);
    assert_true(truth_now(s.truth, 777, "F57") == tm_vhash_int(777));
    assert_true(truth_now(s.truth, 777, "F58") == TM_VHASH_NULL);
    history_stand_close(&s);
}

static void one_and_one_point_nought_are_one_value(void **state)
{
    (void)state;
    assert_true(tm_vhash_int(1) == tm_vhash_real(1.0));
    assert_true(tm_vhash_int(1) != tm_vhash_text("1", 1));
    assert_true(tm_vhash_text("", 0) == TM_VHASH_NULL);
    assert_true(tm_vhash_real(0.1) != tm_vhash_real(0.2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_what_its_changes_made_of_it),
        cmocka_unit_test(what_comes_while_tailing_is_found_by_the_next_tail),
        cmocka_unit_test(an_undelete_names_what_is_not_null_and_nulls_the_rest),
        cmocka_unit_test(a_value_set_again_is_no_change),
        cmocka_unit_test(a_hole_in_the_history_is_told),
        cmocka_unit_test(a_database_that_is_not_there_yet_is_asked_again),
        cmocka_unit_test(values_are_looked_up_as_the_org_spells_them),
        cmocka_unit_test(hundreds_of_records_and_columns_find_their_way),
        cmocka_unit_test(one_and_one_point_nought_are_one_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
