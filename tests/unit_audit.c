/* Full comparisons of a relation with what following it had shown. */
#include "support_history.h"
#include "check/audit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const char *const objects[] = { "Opportunity" };
static int64_t now_ns = 1000;
static void (*meanwhile)(void); /* once, right after a snapshot stood */

static int64_t wall_ns(void)
{
    void (*run)(void) = meanwhile;
    meanwhile = NULL;
    if (run != NULL)
        run();
    return ++now_ns;
}

struct stand {
    sqlite3 *w;
    struct tm_reader *reader;
    struct tm_audit *audit;
    struct tm_err err;
};
static struct stand *current;

static void put(int n, const char *stage)
{
    history_put(current->w, n, "a", stage, n, 0, history_stamp(n), 0);
}

static void open_stand(struct stand *s, const char *name)
{
    bool changed;
    *s = (struct stand){ .w = history_warehouse(history_path(name)) };
    current = s;
    for (int n = 1; n <= 5; n++)
        put(n, "new");
    assert_int_equal(
        tm_reader_open(&s->reader, history_path(name), false, objects, 1, wall_ns, &s->err), TM_OK);
    assert_int_equal(tm_reader_probe(s->reader, wall_ns(), &changed, &s->err), TM_OK);
    assert_int_equal(tm_audit_open(&s->audit, s->reader, &s->err), TM_OK);
}

static void close_stand(struct stand *s)
{
    tm_audit_close(s->audit);
    tm_reader_close(s->reader);
    sqlite3_close(s->w);
}

static const struct tm_audit_read *audit(struct stand *s, void (*between)(void))
{
    meanwhile = between;
    assert_int_equal(tm_audit_begin(s->audit, ++now_ns, &s->err), TM_OK);
    while (s->audit->open)
        assert_int_equal(tm_audit_slice(s->audit, 2, &s->err), TM_OK);
    assert_true(s->audit->total_count > 0);
    return &s->audit->now;
}

static void expect(const struct tm_audit_read *r, uint64_t rows, uint64_t left_out,
                   uint64_t differing)
{
    assert_int_equal(r->rows, rows);
    assert_int_equal(r->left_out, left_out);
    assert_int_equal(r->differing, differing);
}

static void a_relation_that_was_followed_rightly_has_no_row_that_differs(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "right.db");
    put(2, "won");
    history_remove(s.w, 4);
    history_put(s.w, 3, "a", "new", 3, 0, history_stamp(3), 1); /* dirty now */
    expect(audit(&s, NULL), 4, 0, 0);
    expect(audit(&s, NULL), 4, 0, 0);
    assert_int_equal(s.audit->total_count, 2);
    assert_int_equal(s.audit->total.rows, 8);
    close_stand(&s);
}

static void a_value_that_changed_without_its_seq_is_found(void **state)
{
    struct stand s;
    char id[19];
    (void)state;
    open_stand(&s, "silent.db");
    history_exec(s.w, "UPDATE Opportunity SET Stage = 'lost' WHERE Amount = 3");
    const struct tm_audit_read *r = audit(&s, NULL);
    expect(r, 5, 0, 1);
    history_id(id, 3);
    assert_string_equal(r->example, id);
    close_stand(&s);
}

static void a_row_that_went_without_a_word_is_found(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "went.db");
    history_exec(s.w, "DELETE FROM Opportunity WHERE Amount = 5");
    expect(audit(&s, NULL), 4, 0, 1);
    close_stand(&s);
}

static void a_flag_that_changed_without_its_seq_is_found(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "flag.db");
    history_exec(s.w, "UPDATE Opportunity SET _dirty = 1 WHERE Amount = 1");
    expect(audit(&s, NULL), 5, 0, 1);
    close_stand(&s);
}

static void change_some(void)
{
    put(1, "won");
    history_remove(current->w, 2);
    put(9, "new");
}

/* The follower reads beyond the snapshot: what it learned there is no difference. */
static void what_changes_between_snapshot_and_follower_is_left_out(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "between.db");
    expect(audit(&s, change_some), 5, 2, 0);
    expect(audit(&s, NULL), 5, 0, 0);
    close_stand(&s);
}

/* Rows may change while the slices go on: the snapshot stands. */
static void what_changes_during_the_slices_is_not_seen(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "slices.db");
    assert_int_equal(tm_audit_begin(s.audit, wall_ns(), &s.err), TM_OK);
    assert_int_equal(tm_audit_slice(s.audit, 2, &s.err), TM_OK);
    change_some();
    bool changed;
    assert_int_equal(tm_reader_probe(s.reader, wall_ns(), &changed, &s.err), TM_OK);
    assert_true(changed);
    while (s.audit->open)
        assert_int_equal(tm_audit_slice(s.audit, 2, &s.err), TM_OK);
    expect(&s.audit->now, 5, 0, 0);
    close_stand(&s);
}

static void a_relation_that_is_not_there_yet_is_asked_again_later(void **state)
{
    struct stand s;
    (void)state;
    open_stand(&s, "later.db");
    history_exec(s.w, "ALTER TABLE Opportunity RENAME TO Hidden");
    assert_int_equal(tm_audit_begin(s.audit, wall_ns(), &s.err), TM_E_AGAIN);
    assert_false(s.audit->open);
    history_exec(s.w, "ALTER TABLE Hidden RENAME TO Opportunity");
    expect(audit(&s, NULL), 5, 0, 0);
    close_stand(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relation_that_was_followed_rightly_has_no_row_that_differs),
        cmocka_unit_test(a_value_that_changed_without_its_seq_is_found),
        cmocka_unit_test(a_row_that_went_without_a_word_is_found),
        cmocka_unit_test(a_flag_that_changed_without_its_seq_is_found),
        cmocka_unit_test(what_changes_between_snapshot_and_follower_is_left_out),
        cmocka_unit_test(what_changes_during_the_slices_is_not_seen),
        cmocka_unit_test(a_relation_that_is_not_there_yet_is_asked_again_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
