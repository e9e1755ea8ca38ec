/* amounts: the open pipeline by stage, as the org held it and as a copy showed it. */
#include "check/amounts.h"
#include "tests/support_history.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define ROW(stage, amount)                                                                         \
    "{\"Name\":\"a\",\"Stage\":\"" stage "\",\"Amount\":" amount ",\"Private\":0}"

static json_t *told;

static void tell(struct history_stand *s)
{
    struct tm_err err = { 0 };
    struct tm_amounts a;
    history_match(s);
    assert_int_equal(tm_amounts_read(&a, s->truth, "Opportunity", "Stage", "Amount", &err), TM_OK);
    assert_int_equal(tm_amounts_json(&told, &a, s->truth, s->shown, s->match, &s->timing, "Stage",
                                     "Amount", &err),
                     TM_OK);
    assert_non_null(told);
    tm_amounts_free(&a);
}

/* What a side ("org", "shown") has in a stage at a minute. */
static double at(const char *side, const char *stage, int minute)
{
    size_t s = 0;
    const json_t *stages = json_object_get(told, "stages"), *points = json_object_get(told, side);
    assert_int_equal(json_array_size(points), TM_AMOUNTS_POINTS);
    while (s < json_array_size(stages) &&
           strcmp(json_string_value(json_array_get(stages, s)), stage) != 0)
        s++;
    assert_true(s < json_array_size(stages));
    return json_number_value(json_array_get(json_array_get(points, (size_t)minute * 2), s));
}

static double figure(const char *name)
{
    const json_t *value = json_object_get(told, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void near(double is, double should)
{
    assert_float_equal(is, should, 1e-6);
}

static void close_all(struct history_stand *s)
{
    json_decref(told);
    told = NULL;
    history_stand_close(s);
}

static void a_late_change_leaves_the_old_amount_on_display_until_it_is_shown(void **state)
{
    struct history_stand s;
    (void)state;
    history_stand_open(&s, "late");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("new", "100"));
    history_commit(s.org, 2, "CREATE", NULL, -1, ROW("won soon", "300"));
    history_show(&s, 1, 0, -100, "a", "new", 100, 0, history_stamp(-1), 0);
    history_show(&s, 2, 0, -100, "a", "won soon", 300, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":150}");
    s.timing.delay_ms = 20 * HISTORY_MINUTE_MS; /* a wait of twenty minutes of the org's clock */
    history_show(&s, 1, 30, 0, "a", "new", 150, 0, history_stamp(10), 0);
    tell(&s);
    near(at("org", "new", 0), 100);
    near(at("shown", "new", 0), 100);
    near(at("org", "new", 20), 150);
    near(at("shown", "new", 20), 100);
    near(at("shown", "new", 31), 150);
    near(at("shown", "won soon", 31), 300);
    near(figure("org_peak"), 450);
    near(figure("peak_error"), 50);
    near(figure("peak_error_share"), 50.0 / 450);
    near(figure("peak_stage_error"), 50);
    assert_string_equal(json_string_value(json_object_get(told, "peak_stage")), "new");
    near(figure("off_share"), 20.0 / 60);
    near(figure("final_error"), 0);
    near(figure("unknown_rows"), 0);
    close_all(&s);
}

static void what_is_closed_or_deleted_is_in_no_stage(void **state)
{
    struct history_stand s;
    (void)state;
    history_stand_open(&s, "closed");
    for (int n = 1; n <= 3; n++) {
        history_commit(s.org, n, "CREATE", NULL, -1, ROW("new", "100"));
        history_show(&s, n, 0, -100, "a", "new", 100, 0, history_stamp(-1), 0);
    }
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Stage\":\"Closed Won\"}");
    history_commit(s.org, 2, "DELETE", "", 20, "{}");
    history_show(&s, 1, 10, 0, "a", "Closed Won", 100, 0, history_stamp(10), 0);
    tell(&s); /* the delete is never shown */
    near(at("org", "new", 5), 300);
    near(at("org", "new", 15), 200);
    near(at("org", "new", 25), 100);
    near(at("shown", "new", 15), 200);
    near(at("shown", "new", 60), 200);
    assert_int_equal(json_array_size(json_object_get(told, "stages")), 1);
    near(figure("final_error"), 100);
    near(figure("off_share"), 40.0 / 60);
    close_all(&s);
}

static void an_undelete_brings_the_amount_back_in_the_stage_of_its_image(void **state)
{
    struct history_stand s;
    (void)state;
    history_stand_open(&s, "undelete");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("new", "100"));
    history_show(&s, 1, 0, -100, "a", "new", 100, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "DELETE", "", 10, "{}");
    history_hide(&s, 1, 10, 0);
    history_commit(s.org, 1, "UNDELETE", "", 20, ROW("new", "100"));
    history_show(&s, 1, 20, 0, "a", "new", 100, 0, history_stamp(20), 0);
    tell(&s);
    near(at("org", "new", 15), 0);
    near(at("shown", "new", 15), 0);
    near(at("org", "new", 25), 100);
    near(at("shown", "new", 25), 100);
    near(figure("off_share"), 0);
    close_all(&s);
}

/* Amount of the newest version, Stage of the oldest: each counts as it is shown. */
static void a_row_of_no_single_version_counts_as_its_columns_stand(void **state)
{
    struct history_stand s;
    (void)state;
    history_stand_open(&s, "mixed");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("new", "100"));
    history_show(&s, 1, 0, -100, "a", "new", 100, 0, history_stamp(-1), 0);
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Stage\":\"talks\"}");
    history_commit(s.org, 1, "UPDATE", "", 20, "{\"Amount\":150}");
    history_show(&s, 1, 20, 0, "a", "new", 150, 0, history_stamp(20), 0);
    tell(&s);
    near(at("org", "talks", 30), 150);
    near(at("shown", "talks", 30), 0);
    near(at("shown", "new", 30), 150);
    near(figure("peak_error"), 0); /* of the total */
    near(figure("peak_stage_error"), 150);
    near(figure("off_share"), 50.0 / 60);
    close_all(&s);
}

static void a_value_never_held_counts_nowhere_and_is_counted(void **state)
{
    struct history_stand s;
    (void)state;
    history_stand_open(&s, "wrong");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("new", "100"));
    history_show(&s, 1, 0, -100, "a", "new", 100, 0, history_stamp(-1), 0);
    history_show(&s, 1, 30, 0, "a", "new", 99, 0, history_stamp(-1), 0);
    tell(&s);
    near(at("shown", "new", 20), 100);
    near(at("shown", "new", 60), 0);
    near(figure("unknown_rows"), 1);
    near(figure("final_error"), 100);
    close_all(&s);
}

static void an_org_without_such_columns_has_none(void **state)
{
    struct history_stand s;
    struct tm_err err = { 0 };
    struct tm_amounts a;
    json_t *none = NULL;
    (void)state;
    history_stand_open(&s, "none");
    history_commit(s.org, 1, "CREATE", NULL, -1, ROW("new", "100"));
    history_match(&s);
    assert_int_equal(tm_amounts_read(&a, s.truth, "Lead", "Stage", "Amount", &err), TM_OK);
    assert_int_equal(a.stages_count, 0);
    assert_int_equal(
        tm_amounts_json(&none, &a, s.truth, s.shown, s.match, &s.timing, "Stage", "Amount", &err),
        TM_OK);
    assert_null(none);
    tm_amounts_free(&a);
    history_stand_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_change_leaves_the_old_amount_on_display_until_it_is_shown),
        cmocka_unit_test(what_is_closed_or_deleted_is_in_no_stage),
        cmocka_unit_test(an_undelete_brings_the_amount_back_in_the_stage_of_its_image),
        cmocka_unit_test(a_row_of_no_single_version_counts_as_its_columns_stand),
        cmocka_unit_test(a_value_never_held_counts_nowhere_and_is_counted),
        cmocka_unit_test(an_org_without_such_columns_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
