/* check: for each class of truth and each anomaly, a history and a warehouse that have exactly it,
 * and near misses that stay silent (M6 of check/match.h). */
#include "check/breakdown.h"
#include "check/measure.h"
#include "check/plan.h"
#include "check/reader.h"
#include "check/rundb.h"
#include "tests/support_history.h"
#include <unistd.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROW(name, stage, amount)                                                                   \
    "{\"Name\":\"" name "\",\"Stage\":\"" stage "\",\"Amount\":" amount ",\"Private\":0}"

static void start(struct history_stand *s, const char *name)
{
    history_stand_open(s, name);
    history_commit(s->org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(s->org, 2, "CREATE", NULL, -1, ROW("b", "new", "2"));
    history_show(s, 1, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
    history_show(s, 2, 0, -100, "b", "new", 2, 0, history_stamp(-1), 0);
}

/* Exactly `rows` rows of `class`, and nothing else differs. */
static void exactly(struct history_stand *s, enum tm_row_class class, int flagged, uint64_t rows)
{
    history_match(s);
    assert_int_equal(history_final(s, class, flagged), rows);
    if (class != TM_ROW_EQUAL)
        assert_int_equal(history_differing(s), rows);
    assert_int_equal(s->match->differences_count, class == TM_ROW_EQUAL ? 0 : rows);
    history_stand_close(s);
}

static void what_never_changed_is_equal(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "equal");
    exactly(&s, TM_ROW_EQUAL, 0, 2);
}

static void a_row_the_relation_never_returned_is_missing(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "missing");
    history_commit(s.org, 3, "CREATE", "", 10, ROW("c", "new", "3"));
    exactly(&s, TM_ROW_MISSING, 0, 1);
}

static void a_partial_row_counts_as_missing_and_flagged(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "partial");
    history_commit(s.org, 3, "CREATE", "GAP_CREATE", 10, ROW("c", "new", "3"));
    history_commit(s.org, 3, "UPDATE", "", 20, "{\"Amount\":4}");
    history_show(&s, 3, 20, 5, NULL, NULL, 4, 0, history_stamp(20),
                 TM_SHOWN_DIRTY | TM_SHOWN_PARTIAL);
    exactly(&s, TM_ROW_MISSING, 1, 1);
}

static void a_row_whose_record_is_gone_is_a_phantom(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "phantom");
    history_commit(s.org, 1, "HARD_DELETE", NULL, 10, "{}");
    exactly(&s, TM_ROW_PHANTOM, 0, 1);
}

static void an_id_the_org_never_had_is_a_phantom(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "stranger");
    history_show(&s, 9, 10, 5, "z", "new", 9, 0, history_stamp(10), 0);
    exactly(&s, TM_ROW_PHANTOM, 0, 1);
}

static void a_removed_row_of_a_deleted_record_is_silent(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "silent");
    history_commit(s.org, 1, "DELETE", "", 10, "{}");
    history_hide(&s, 1, 10, 5);
    exactly(&s, TM_ROW_EQUAL, 0, 1);
}

static void one_older_whole_version_is_stale(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "stale");
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":5,\"Stage\":\"won\"}");
    exactly(&s, TM_ROW_STALE, 0, 1);
}

static void true_fields_of_no_single_version_are_mixed(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "mixed");
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    history_commit(s.org, 1, "UPDATE", "", 20, "{\"Stage\":\"won\"}");
    history_show(&s, 1, 20, 5, "a", "won", 1, 0, history_stamp(20), 0);
    exactly(&s, TM_ROW_MIXED, 0, 1);
}

static void a_value_never_held_is_wrong(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "wrong");
    history_show(&s, 1, 20, 5, "a", "new", 77, 0, history_stamp(-1), 0);
    exactly(&s, TM_ROW_WRONG, 0, 1);
}

static void a_null_where_there_never_was_one_is_wrong(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "null");
    history_show(&s, 1, 20, 5, NULL, "new", 1, 0, history_stamp(-1), 0);
    exactly(&s, TM_ROW_WRONG, 0, 1);
}

static void a_dirty_row_that_is_equal_is_equal_and_flagged(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "flagged");
    history_show(&s, 1, 20, 5, "a", "new", 1, 0, history_stamp(-1), TM_SHOWN_DIRTY);
    exactly(&s, TM_ROW_EQUAL, 1, 1);
}

static void a_dirty_stale_row_is_stale_and_flagged(void **state)
{
    (void)state;
    struct history_stand s;
    start(&s, "dirtystale");
    history_commit(s.org, 1, "UPDATE", "GAP_UPDATE", 10, "{\"Amount\":5}");
    history_show(&s, 1, 20, 5, "a", "new", 1, 0, history_stamp(-1), TM_SHOWN_DIRTY);
    exactly(&s, TM_ROW_STALE, 1, 1);
}

static void what_only_a_formula_would_tell_is_coverage_not_drift(void **state)
{
    (void)state;
    struct history_stand s;
    struct tm_coverage c;
    struct tm_err err = { 0 };
    start(&s, "coverage");
    history_commit(s.org, 1, "UPDATE", NULL, 10, "{\"Expected\":5}");
    history_match(&s);
    /* LastModifiedDate moved with it, as the org says; the formula itself is not compared */
    assert_int_equal(tm_coverage_make(&c, s.truth, s.shown, "Opportunity", &err), TM_OK);
    assert_int_equal(c.count, 5);
    char *left = json_dumps(c.left_out, 0);
    assert_non_null(strstr(left, "Expected"));
    assert_non_null(strstr(left, "SystemModstamp"));
    assert_non_null(strstr(left, "Place"));
    free(left);
    tm_coverage_free(&c);
    history_stand_close(&s);
}

static void a_field_added_while_it_runs_is_compared_once_the_relation_has_it(void **state)
{
    (void)state;
    struct history_stand s;
    uint32_t column;
    struct tm_err err = { 0 };
    start(&s, "added");
    history_add_field(s.org);
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Extra__c\":\"x\"}");
    history_show(&s, 1, 10, 5, "a", "new", 1, 0, history_stamp(10), 0);
    history_match(&s);
    assert_int_equal(history_differing(&s), 0); /* not in the relation: left out, listed */
    assert_int_equal(tm_shown_column(s.shown, s.object, "Extra__c", &column, &err), TM_OK);
    history_match(&s);
    assert_int_equal(history_differing(&s), 1); /* there, and null: an x is missing */
    assert_int_equal(history_final(&s, TM_ROW_MIXED, 0), 1);
    history_stand_close(&s);
}

static void the_curve_counts_rows_for_as_long_as_they_differ(void **state)
{
    (void)state;
    struct history_stand s;
    struct tm_curve *c = NULL;
    struct tm_err err = { 0 };
    start(&s, "curve");
    history_commit(s.org, 1, "UPDATE", "", 10, "{\"Amount\":5}");
    /* a quarter of a second, not stretched */
    history_show(&s, 1, 10, 250, "a", "new", 5, 0, history_stamp(10), 0);
    /* stale to the end: 30 minutes */
    history_commit(s.org, 2, "UPDATE", "", 30, "{\"Amount\":6}");
    history_match(&s);
    assert_int_equal(tm_curve_make(&c, s.match, &s.timing, &err), TM_OK);
    double stale_us = c->row_us[1 + 2 * TM_ROW_STALE];
    assert_true(fabs(stale_us - (250e3 + 30 * 60e6)) < 1);
    assert_int_equal(c->peak_rows, 1);
    assert_true(fabs(c->row_us[1 + 2 * TM_ROW_EQUAL] - (2 * 60 * 60e6 - stale_us)) < 1);
    assert_true(c->max_differing[TM_CURVE_BINS - 1] > 0.5 && c->max_differing[0] < 0.5);
    free(c);
    history_stand_close(&s);
}

static int64_t star_now_ns = 1000;

static int64_t star_wall_ns(void)
{
    return star_now_ns;
}

static void a_full_read_sees_a_star_that_was_not_there_before(void **state)
{
    (void)state;
    const char *const objects[] = { "Opportunity" };
    struct tm_reader *r = NULL;
    struct tm_full_read read;
    struct tm_err err = { 0 };
    sqlite3 *db = NULL;
    char path[80];
    snprintf(path, sizeof path, "/tmp/unit_check_star.%ld.db", (long)getpid());
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            db,
            "CREATE TABLE Opportunity(Id TEXT, Name TEXT, _dirty INTEGER);"
            "CREATE TABLE Opportunity_dirty(Id TEXT, position INTEGER, kind TEXT, _unknown TEXT);"
            "INSERT INTO Opportunity "
            "VALUES('006000000000001AAA','a',0),('006000000000002AAA','b',1),"
            "('006000000000003AAA','c',0);"
            "INSERT INTO Opportunity_dirty VALUES('006000000000002AAA',4,'gap',NULL)",
            NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(tm_reader_open(&r, path, true, objects, 1, star_wall_ns, &err), TM_OK);
    assert_int_equal(tm_reader_full(r, true, &read, &err), TM_OK);
    assert_false(read.starred[0]);
    assert_true(read.dirty_known[0]);
    assert_int_equal(r->shown->stars_count, 0);
    assert_int_equal(sqlite3_exec(db, "INSERT INTO Opportunity_dirty VALUES('*',9,'copy',NULL)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(tm_reader_full(r, true, &read, &err), TM_OK);
    assert_true(read.starred[0]);
    assert_int_equal(r->shown->stars_count, 1);
    assert_true(r->shown->stars[0].until_ns == INT64_MAX);
    tm_reader_close(r);
    sqlite3_close(db);
    assert_int_equal(unlink(path), 0);
}

struct star_stand {
    struct history_stand s;
    sqlite3 *w;
    struct tm_reader *reader;
};

/* Two records, shown as they are; an overflow at minute 10 changes the first, and `*` is shown
 * 5 ms of wall later. */
static void star_open(struct star_stand *t, const char *name)
{
    const char *const objects[] = { "Opportunity" };
    struct tm_err err = { 0 };
    char file[60];
    bool changed;
    snprintf(file, sizeof file, "%s.warehouse.db", name);
    const char *path = history_path(file);
    history_stand_open(&t->s, name);
    t->w = history_warehouse(path);
    assert_int_equal(tm_reader_open(&t->reader, path, false, objects, 1, star_wall_ns, &err),
                     TM_OK);
    history_commit(t->s.org, 1, "CREATE", NULL, -1, ROW("a", "new", "1"));
    history_commit(t->s.org, 2, "CREATE", NULL, -1, ROW("b", "new", "2"));
    history_commit(t->s.org, 1, "UPDATE", "GAP_OVERFLOW", 10, "{\"Amount\":5}");
    history_put(t->w, 1, "a", "new", 1, 0, history_stamp(-1), 0);
    history_put(t->w, 2, "b", "new", 2, 0, history_stamp(-1), 0);
    star_now_ns = history_wall_ns(-1);
    assert_int_equal(tm_reader_probe(t->reader, star_now_ns, &changed, &err), TM_OK);
    history_exec(t->w, "INSERT INTO Opportunity_dirty VALUES('*',3,'overflow',NULL)");
    star_now_ns = history_wall_ns(10) + 5000000;
    assert_int_equal(tm_reader_probe(t->reader, star_now_ns, &changed, &err), TM_OK);
}

static struct tm_curve *star_match(struct star_stand *t)
{
    struct tm_curve *curve = NULL;
    struct tm_err err = { 0 };
    tm_shown_close(t->s.shown);
    t->s.shown = t->reader->shown;
    history_match(&t->s);
    assert_int_equal(tm_curve_make(&curve, t->s.match, &t->s.timing, &err), TM_OK);
    return curve;
}

static void star_close(struct star_stand *t, struct tm_curve *curve)
{
    free(curve);
    t->reader->shown = NULL; /* the stand's by now */
    tm_reader_close(t->reader);
    sqlite3_close(t->w);
    history_stand_close(&t->s);
}

/* In ms of rows: the star lasts as long as it did on the wall, 20 ms; the first record differs from
 * its commit to its repair, 25 ms. */
static void a_star_flags_every_row_for_as_long_as_it_stands(void **state)
{
    (void)state;
    struct star_stand t;
    struct tm_err err = { 0 };
    bool changed;
    star_open(&t, "star");
    history_exec(t.w, "DELETE FROM Opportunity_dirty");
    history_put(t.w, 1, "a", "new", 5, 0, history_stamp(10), 0);
    star_now_ns = history_wall_ns(10) + 25000000;
    assert_int_equal(tm_reader_probe(t.reader, star_now_ns, &changed, &err), TM_OK);
    struct tm_curve *curve = star_match(&t);
    assert_int_equal(history_final(&t.s, TM_ROW_EQUAL, 0), 2);
    assert_float_equal(curve->row_us[1 + 2 * TM_ROW_STALE], 5000, 1e-6);
    assert_float_equal(curve->row_us[2 + 2 * TM_ROW_STALE], 20000, 1e-6);
    assert_float_equal(curve->row_us[2 + 2 * TM_ROW_EQUAL], 20000, 1e-6);
    star_close(&t, curve);
}

static void a_star_that_stands_at_the_end_flags_every_row_there(void **state)
{
    (void)state;
    struct star_stand t;
    star_open(&t, "star_end");
    struct tm_curve *curve = star_match(&t);
    assert_int_equal(history_final(&t.s, TM_ROW_EQUAL, 1), 1);
    assert_int_equal(history_final(&t.s, TM_ROW_STALE, 1), 1);
    assert_int_equal(history_final(&t.s, TM_ROW_EQUAL, 0), 0);
    star_close(&t, curve);
}

static sqlite3 *late_writer;

/* A writer commits just when the read asks for the time. */
static int64_t late_wall_ns(void)
{
    if (late_writer != NULL)
        history_put(late_writer, 1, "a", "new", 9, 0, history_stamp(-1), 0);
    late_writer = NULL;
    return star_now_ns;
}

static void a_read_is_dated_after_its_snapshot_stood_and_shows_nothing_newer(void **state)
{
    (void)state;
    const char *const objects[] = { "Opportunity" };
    const char *path = history_path("late.warehouse.db");
    sqlite3 *w = history_warehouse(path);
    struct tm_reader *r = NULL;
    struct tm_err err = { 0 };
    bool changed;
    assert_int_equal(tm_reader_open(&r, path, false, objects, 1, late_wall_ns, &err), TM_OK);
    star_now_ns = 1000;
    assert_int_equal(tm_reader_probe(r, 1000, &changed, &err), TM_OK);
    history_put(w, 1, "a", "new", 1, 0, history_stamp(-1), 0); /* after the step began, at 2000 */
    late_writer = w;
    star_now_ns = 2500;
    assert_int_equal(tm_reader_probe(r, 2000, &changed, &err), TM_OK);
    assert_null(late_writer);
    assert_int_equal(r->shown->obs_count, 1);
    assert_int_equal(r->shown->obs[0].lo_ns, 1000);
    assert_int_equal(r->shown->obs[0].hi_ns, 2500); /* not 2000: it was not there yet */
    star_now_ns = 3500;
    assert_int_equal(tm_reader_probe(r, 3000, &changed, &err), TM_OK);
    assert_int_equal(r->shown->obs_count, 2);
    assert_int_equal(r->shown->obs[1].lo_ns, 2000); /* the read at 2500 could not see it */
    assert_int_equal(r->shown->obs[1].hi_ns, 3500);
    tm_reader_close(r);
    sqlite3_close(w);
}

static void percentiles_are_exact_and_unseen_changes_push_them_out_of_reach(void **state)
{
    (void)state;
    struct tm_series s = { 0 };
    struct tm_err err = { 0 };
    double value = 0;
    for (int i = 100; i >= 1; i--)
        assert_int_equal(tm_series_add(&s, i, &err), TM_OK);
    assert_true(tm_series_at(&s, 0.5, &value));
    assert_true(fabs(value - 50) < 1e-9);
    assert_true(tm_series_at(&s, 0.99, &value));
    assert_true(fabs(value - 99) < 1e-9);
    for (int i = 0; i < 100; i++)
        assert_int_equal(tm_series_censor(&s, i % 2 == 0 ? 100 : INFINITY, &err), TM_OK);
    assert_true(tm_series_at(&s, 0.5, &value));
    assert_true(fabs(value - 100) < 1e-9);
    assert_false(tm_series_at(&s, 0.51, &value));
    tm_series_free(&s);
    assert_false(tm_series_at(&s, 0.5, &value));
}

/* What a reader of report.json gets; -1 where it says null. */
static double percentile(const double *values, size_t count, size_t never, const char *key)
{
    struct tm_series s = { 0 };
    struct tm_err err = { 0 };
    for (size_t i = 0; i < count; i++)
        assert_int_equal(tm_series_add(&s, values[i], &err), TM_OK);
    for (size_t i = 0; i < never; i++)
        assert_int_equal(tm_series_censor(&s, INFINITY, &err), TM_OK);
    json_t *all = tm_series_json(&s), *one = json_object_get(all, key);
    assert_non_null(one);
    double value = json_is_null(one) ? -1 : json_number_value(one);
    json_decref(all);
    tm_series_free(&s);
    return value;
}

static void is(double measured, double expected)
{
    if (fabs(measured - expected) > 1e-9)
        fail_msg("%g, should be %g", measured, expected);
}

static void percentiles_of_nothing_are_not_reached_whether_or_not_something_was_never_seen(
    void **state)
{
    static const char *const keys[] = { "p50", "p90", "p99", "p99_9", "max" };
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        is(percentile(NULL, 0, 0, keys[i]), -1);
        is(percentile(NULL, 0, 3, keys[i]), -1);
    }
}

static void one_sample_is_every_percentile_until_another_is_never_seen(void **state)
{
    static const double one[] = { 7 };
    (void)state;
    is(percentile(one, 1, 0, "p50"), 7);
    is(percentile(one, 1, 0, "p99_9"), 7);
    is(percentile(one, 1, 1, "p50"), 7); /* of two, the first is the median by rank */
    is(percentile(one, 1, 1, "p90"), -1);
    is(percentile(one, 1, 2, "p50"), -1); /* of three, the second */
    is(percentile(one, 1, 2, "max"), 7);  /* of those seen */
}

static void of_two_samples_the_smaller_is_the_median_and_the_larger_all_beyond(void **state)
{
    static const double two[] = { 9, -4 }; /* a negative sample is shown, not clamped */
    (void)state;
    is(percentile(two, 2, 0, "p50"), -4);
    is(percentile(two, 2, 0, "p90"), 9);
    is(percentile(two, 2, 0, "max"), 9);
    is(percentile(two, 2, 0, "mean"), 2.5);
    is(percentile(two, 2, 1, "p50"), 9);
    is(percentile(two, 2, 2, "p50"), 9);
    is(percentile(two, 2, 3, "p50"), -1);
}

static void ties_count_each_for_itself(void **state)
{
    static const double ties[] = { 5, 1, 5, 5, 5, 5, 5, 5, 8, 5 };
    (void)state;
    is(percentile(ties, 10, 0, "p50"), 5);
    is(percentile(ties, 10, 0, "p90"), 5); /* the ninth of ten */
    is(percentile(ties, 10, 0, "p99"), 8);
    is(percentile(ties, 10, 10, "p50"), 8);
    is(percentile(ties, 9, 0, "p90"), 8);
}

/* 0.99 * 100 and their like are no whole numbers in binary: the rank must not slip by one. */
static void every_rank_up_to_the_border_of_the_never_seen_is_exact(void **state)
{
    static const int shares[] = { 500, 900, 990, 999 };
    (void)state;
    for (size_t total = 1; total <= 2000; total = total < 250 ? total + 1 : total + 125)
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            struct tm_series s = { 0 };
            struct tm_err err = { 0 };
            double value = 0, share = shares[i] / 1000.0;
            size_t rank = (total * (size_t)shares[i] + 999) / 1000;
            for (size_t k = rank; k >= 1; k--) /* exactly as many seen as the rank asks for */
                assert_int_equal(tm_series_add(&s, (double)k, &err), TM_OK);
            for (size_t k = rank; k < total; k++)
                assert_int_equal(tm_series_censor(&s, INFINITY, &err), TM_OK);
            assert_true(tm_series_at(&s, share, &value));
            is(value, (double)rank);
            s.count--; /* the largest was never seen after all: the border moves past the rank */
            assert_int_equal(tm_series_censor(&s, INFINITY, &err), TM_OK);
            assert_false(tm_series_at(&s, share, &value));
            tm_series_free(&s);
        }
}

/* Killed while it is written, or given up: no file that looks whole, nor an older one. */
static void a_run_db_is_there_only_when_it_is_whole(void **state)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_run_db r;
    char path[250], part[260];
    int64_t rows = 0;
    sqlite3 *db = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s", history_path("whole-run.db"));
    snprintf(part, sizeof part, "%s" TM_RUN_DB_PART, path);
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(tm_run_db_open(&r, path, &err), TM_OK);
        assert_int_equal(tm_run_db_meta(&r, "scenario", "tide", &err), TM_OK);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(access(part, F_OK), 0);
        if (turn == 1)
            tm_run_db_drop(&r);
        else
            assert_int_equal(tm_run_db_close(&r, &err), TM_OK);
        assert_int_equal(access(path, F_OK), turn == 1 ? -1 : 0);
        assert_int_equal(access(part, F_OK), -1);
    }
    assert_int_equal(tm_sql_open(&db, path, TM_SQL_READ, &err), TM_OK);
    assert_int_equal(tm_sql_int64(&rows, db, "SELECT count(*) FROM meta WHERE value='tide'", &err),
                     TM_OK);
    assert_int_equal(rows, 1);
    tm_sql_close(db);
}

static void a_plan_with_a_mistake_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *json, *told;
    } bad[] = {
        { "{\"orgg\":\"x\"}", "did you mean \"org\"" },
        { "{\"org\":\"a\",\"run_db\":\"b\",\"out\":\"c\",\"pipelines\":[]}", "pipelines" },
        { "{\"org\":\"a\",\"run_db\":\"b\",\"out\":\"c\",\"pipelines\":[{\"name\":\"p\",\"kind\":"
          "\"lake\",\"database\":\"d\"}]}",
          "lake" },
        { "{\"org\":\"a\",\"run_db\":\"b\",\"out\":\"c\",\"pipelines\":[{\"name\":\"p\",\"kind\":"
          "\"batch\",\"database\":\"d\","
          "\"objects\":[\"X\"]}]}",
          "interval_ms" },
        { "{\"org\":\"a\",\"run_db\":\"b\",\"out\":\"c\",\"pipelines\":[{\"name\":\"p\",\"kind\":"
          "\"stream\",\"database\":\"d\","
          "\"objects\":[\"X\"],\"slo\":{\"unsen\":0}}]}",
          "unseen" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_plan *plan = NULL;
        struct tm_err err = { 0 };
        json_t *json = json_loads(bad[i].json, 0, NULL);
        assert_non_null(json);
        assert_int_equal(tm_plan_from_json(&plan, json, "plan.json", &err), TM_E_ARG);
        assert_non_null(strstr(err.msg, bad[i].told));
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_never_changed_is_equal),
        cmocka_unit_test(a_row_the_relation_never_returned_is_missing),
        cmocka_unit_test(a_partial_row_counts_as_missing_and_flagged),
        cmocka_unit_test(a_row_whose_record_is_gone_is_a_phantom),
        cmocka_unit_test(an_id_the_org_never_had_is_a_phantom),
        cmocka_unit_test(a_removed_row_of_a_deleted_record_is_silent),
        cmocka_unit_test(one_older_whole_version_is_stale),
        cmocka_unit_test(true_fields_of_no_single_version_are_mixed),
        cmocka_unit_test(a_value_never_held_is_wrong),
        cmocka_unit_test(a_null_where_there_never_was_one_is_wrong),
        cmocka_unit_test(a_dirty_row_that_is_equal_is_equal_and_flagged),
        cmocka_unit_test(a_dirty_stale_row_is_stale_and_flagged),
        cmocka_unit_test(what_only_a_formula_would_tell_is_coverage_not_drift),
        cmocka_unit_test(a_field_added_while_it_runs_is_compared_once_the_relation_has_it),
        cmocka_unit_test(the_curve_counts_rows_for_as_long_as_they_differ),
        cmocka_unit_test(a_full_read_sees_a_star_that_was_not_there_before),
        cmocka_unit_test(a_star_flags_every_row_for_as_long_as_it_stands),
        cmocka_unit_test(a_star_that_stands_at_the_end_flags_every_row_there),
        cmocka_unit_test(a_read_is_dated_after_its_snapshot_stood_and_shows_nothing_newer),
        cmocka_unit_test(percentiles_are_exact_and_unseen_changes_push_them_out_of_reach),
        cmocka_unit_test(
            percentiles_of_nothing_are_not_reached_whether_or_not_something_was_never_seen),
        cmocka_unit_test(one_sample_is_every_percentile_until_another_is_never_seen),
        cmocka_unit_test(of_two_samples_the_smaller_is_the_median_and_the_larger_all_beyond),
        cmocka_unit_test(ties_count_each_for_itself),
        cmocka_unit_test(every_rank_up_to_the_border_of_the_never_seen_is_exact),
        cmocka_unit_test(a_run_db_is_there_only_when_it_is_whole),
        cmocka_unit_test(a_plan_with_a_mistake_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
