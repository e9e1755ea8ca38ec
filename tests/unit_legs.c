/* unit_legs: the legs of the road by how late a change was, and what a read of the snapshot took
 * by the length of the history. */
#include "check/legs.h"
#include "check/query.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Changes k = 0, 1, … in a mixed order, change k in count + 9 * k ms, of which its last leg is
 * visible_ms(k): neither leg alone orders them. */
static int visible_ms(int k)
{
    return k * 7 % 13;
}

static void crossing(struct tm_breakdown *b, int count)
{
    struct tm_err err = { 0 };
    *b = (struct tm_breakdown){ .counted = (uint64_t)count };
    b->have[TM_SEGMENT_PUBLISHED] = b->have[TM_SEGMENT_VISIBLE] = true;
    for (int i = 0; i < count; i++) {
        int k = i * 11 % count; /* every one once: no count here is a multiple of 11 */
        assert_int_equal(
            tm_series_add(&b->segments[TM_SEGMENT_PUBLISHED], count + 9 * k - visible_ms(k), &err),
            TM_OK);
        assert_int_equal(tm_series_add(&b->segments[TM_SEGMENT_VISIBLE], visible_ms(k), &err),
                         TM_OK);
    }
}

static json_t *legs_of(struct tm_breakdown *b)
{
    struct tm_err err = { 0 };
    json_t *legs = NULL;
    assert_int_equal(tm_legs_json(&legs, b, &err), TM_OK);
    tm_breakdown_free(b);
    return legs;
}

static double of(const json_t *band, const char *key)
{
    return json_number_value(json_object_get(band, key));
}

static double leg(const json_t *band, size_t i)
{
    return json_number_value(json_array_get(json_object_get(band, "ms"), i));
}

static void a_change_stands_where_its_whole_time_puts_it_not_where_one_leg_would(void **state)
{
    (void)state;
    struct tm_breakdown b;
    crossing(&b, 1000);
    json_t *legs = legs_of(&b), *bands = json_object_get(legs, "bands");
    assert_int_equal(json_array_size(json_object_get(legs, "legs")), 2);
    assert_int_equal(json_array_size(bands), 13);
    const json_t *first = json_array_get(bands, 0), *last = json_array_get(bands, 12);
    assert_int_equal(of(first, "changes"), 100); /* k = 0 .. 99 */
    double mean_ms = 0;
    for (int k = 0; k < 100; k++)
        mean_ms += visible_ms(k) / 100.0;
    assert_true(fabs(leg(first, 1) - mean_ms) < 1e-9);
    assert_true(fabs(leg(first, 0) - (1000 + 9 * 49.5 - mean_ms)) < 1e-9);
    assert_int_equal(of(last, "changes"), 1); /* k = 999 */
    assert_true(of(last, "from") == 0.999 && of(last, "to") == 1);
    assert_true(fabs(leg(last, 1) - visible_ms(999)) < 1e-9);
    assert_true(fabs(of(last, "total_ms") - (1000 + 9 * 999)) < 1e-9);
    json_decref(legs);
}

static void the_bands_together_are_all_changes_and_the_legs_of_each_add_up(void **state)
{
    (void)state;
    struct tm_breakdown b;
    crossing(&b, 777);
    json_t *legs = legs_of(&b), *band;
    double changes = 0, sum_ms = 0, before = -1;
    size_t i;
    json_array_foreach(json_object_get(legs, "bands"), i, band)
    {
        assert_true(fabs(leg(band, 0) + leg(band, 1) - of(band, "total_ms")) < 1e-9);
        assert_true(of(band, "total_ms") > before);
        before = of(band, "total_ms");
        changes += of(band, "changes");
        sum_ms += of(band, "changes") * of(band, "total_ms");
    }
    assert_int_equal(changes, 777);
    assert_int_equal(of(legs, "changes"), 777);
    /* sum of 777 + 9 k over k < 777 */
    assert_true(fabs(sum_ms - (777.0 * 777 + 9 * 777.0 * 776 / 2)) < 1e-3);
    json_decref(legs);
}

static void few_changes_leave_bands_out_and_none_leave_all_out(void **state)
{
    (void)state;
    struct tm_breakdown b;
    crossing(&b, 1);
    json_t *one = legs_of(&b);
    crossing(&b, 0);
    json_t *none = legs_of(&b);
    assert_int_equal(json_array_size(json_object_get(one, "bands")), 1);
    assert_int_equal(json_array_size(json_object_get(none, "bands")), 0);
    json_decref(one);
    json_decref(none);
}

static void a_leg_that_ended_before_it_began_stays_negative(void **state)
{
    (void)state;
    struct tm_breakdown b = { .counted = 1 };
    struct tm_err err = { 0 };
    b.have[TM_SEGMENT_FETCHED] = b.have[TM_SEGMENT_VISIBLE] = true;
    assert_int_equal(tm_series_add(&b.segments[TM_SEGMENT_FETCHED], -2.5, &err), TM_OK);
    assert_int_equal(tm_series_add(&b.segments[TM_SEGMENT_VISIBLE], 4, &err), TM_OK);
    json_t *legs = legs_of(&b);
    const json_t *band = json_array_get(json_object_get(legs, "bands"), 0);
    assert_true(fabs(leg(band, 0) + 2.5) < 1e-9);
    assert_true(fabs(of(band, "total_ms") - 1.5) < 1e-9);
    json_decref(legs);
}

/* ---- reads of the snapshot ---- */

struct timed {
    struct tm_check check;
    struct tm_plan plan;
    struct tm_sampler sampler;
};

static struct tm_full_read read_of(int64_t raw, int64_t answers, int64_t ms)
{
    struct tm_full_read r = { .ok = true };
    r.cut[0].raw = raw;
    r.cut[1].recon = answers;
    r.query_ns[0] = ms * TM_NS_PER_MS;
    return r;
}

/* Option 2 first, as a scenario's plan has it; two looks while the run went on, and the last one.
 */
static struct timed *timed(void)
{
    struct timed *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->check.plan = &t->plan;
    t->plan.pipelines_count = 2;
    for (size_t i = 0; i < 2; i++)
        t->plan.pipelines[i] = (struct tm_plan_pipeline){
            .kind = TM_PIPELINE_STREAM, .option = 2 - (int)i, .raw = "raw.db", .objects_count = 2
        };
    t->check.targets[1].sampler = &t->sampler;
    t->sampler.beside = (struct tm_reader *)&t->plan; /* only asked whether it is there */
    t->sampler.reads_count = 2;
    t->sampler.reads[0] = read_of(100, 50, 30);
    t->sampler.reads[1] = read_of(1000, 60, 300);
    t->sampler.beside_reads[0] = read_of(0, 0, 4);
    t->sampler.beside_reads[1] = read_of(0, 0, 5);
    t->check.targets[1].final = read_of(2000, 60, 600);
    t->check.targets[0].final = read_of(0, 0, 6);
    return t;
}

static void expect(json_t *got, const char *want)
{
    json_t *wanted = json_loads(want, JSON_DECODE_ANY, NULL);
    char *text = json_dumps(got, JSON_ENCODE_ANY);
    if (!json_equal(got, wanted))
        fail_msg("%s, not %s", text, want);
    free(text);
    json_decref(wanted);
    json_decref(got);
}

static void both_options_are_timed_at_the_lengths_option_1_saw(void **state)
{
    (void)state;
    struct timed *t = timed();
    expect(tm_query_history(&t->check, 1),
           "{\"rows\": [150, 1060, 2060], \"ms\": [30.0, 300.0, 600.0]}");
    expect(tm_query_history(&t->check, 0),
           "{\"rows\": [150, 1060, 2060], \"ms\": [4.0, 5.0, 6.0]}");
    free(t);
}

static void a_look_that_failed_is_no_point(void **state)
{
    (void)state;
    struct timed *t = timed();
    t->sampler.beside_reads[0].ok = false;
    t->check.targets[1].final.ok = false;
    expect(tm_query_history(&t->check, 0), "{\"rows\": [1060], \"ms\": [5.0]}");
    expect(tm_query_history(&t->check, 1), "{\"rows\": [150, 1060], \"ms\": [30.0, 300.0]}");
    free(t);
}

static void where_nothing_tells_there_is_null(void **state)
{
    (void)state;
    struct timed *t = timed();
    t->plan.pipelines[0].raw = "other.db"; /* not the same history */
    expect(tm_query_history(&t->check, 0), "null");
    t->plan.pipelines[0].raw = "raw.db";
    t->check.ports.virtual = true;
    expect(tm_query_history(&t->check, 0), "null");
    expect(tm_query_history(&t->check, 1), "null");
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_stands_where_its_whole_time_puts_it_not_where_one_leg_would),
        cmocka_unit_test(the_bands_together_are_all_changes_and_the_legs_of_each_add_up),
        cmocka_unit_test(few_changes_leave_bands_out_and_none_leave_all_out),
        cmocka_unit_test(a_leg_that_ended_before_it_began_stays_negative),
        cmocka_unit_test(both_options_are_timed_at_the_lengths_option_1_saw),
        cmocka_unit_test(a_look_that_failed_is_no_point),
        cmocka_unit_test(where_nothing_tells_there_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
