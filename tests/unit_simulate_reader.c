/* Readers are a cache: how many histories went before decides nothing. */
#include "simulate/reader.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READERS_MAX 256 /* of one history */
#define READERS_KEPT 64 /* from those before */
#define QUESTIONS_MAX 64

static sqlite3 *raw_open(void)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3 *raw = NULL;
    assert_int_equal(tm_sql_open(&raw, ":memory:", TM_SQL_CREATE, &err), TM_OK);
    return raw;
}

/* The views of a shape nobody had before, installed as the sink does. */
static enum tm_code keep(sqlite3 *raw, int shape)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf out;
    char sql[200];
    snprintf(sql, sizeof sql,
             "CREATE VIEW Deal AS SELECT %d AS Id; CREATE VIEW Deal_dirty AS SELECT 1 AS Id",
             shape);
    tm_buf_init(&out, 4096);
    enum tm_code rc = tm_sim_reader_keep(&out, raw, "Deal", sql, &err);
    if (rc == TM_OK)
        assert_int_equal(tm_sql_exec(raw, tm_buf_text(&out), &err), TM_OK);
    tm_buf_free(&out);
    return rc;
}

static int asked(struct tm_sim_reader *r, const char *question, enum tm_code *out_rc)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3_stmt *s = NULL;
    bool row = false;
    *out_rc = tm_sim_reader_prepare(&s, r, question, &err);
    if (*out_rc != TM_OK)
        return -1;
    assert_int_equal(tm_sql_step(s, &row, &err), TM_OK);
    assert_true(row);
    int answer = sqlite3_column_int(s, 0);
    sqlite3_reset(s);
    return answer;
}

static struct tm_sim_reader *reader(sqlite3 *raw)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_sim_reader *r = NULL;
    assert_int_equal(tm_sim_reader_of(&r, raw, "Deal", &err), TM_OK);
    assert_non_null(r);
    return r;
}

static void shapes_of_earlier_histories_make_room(void **state)
{
    sqlite3 *raw = raw_open();
    enum tm_code rc;
    (void)state;
    for (int shape = 0; shape < READERS_MAX + 40; shape++) {
        assert_int_equal(keep(raw, shape), TM_OK);
        assert_int_equal(asked(reader(raw), "SELECT Id FROM Deal", &rc), shape);
        tm_sim_reader_done();
    }
    assert_int_equal(keep(raw, 3), TM_OK); /* long gone, and made anew */
    assert_int_equal(asked(reader(raw), "SELECT Id FROM Deal", &rc), 3);
    tm_sql_close(raw);
    tm_sim_reader_done();
}

/* A hundred thousand histories take no more memory than some hundred. */
static void what_is_kept_does_not_grow_with_the_histories(void **state)
{
    sqlite3 *raw = raw_open();
    sqlite3_int64 full = 0;
    (void)state;
    for (int shape = 0; shape < 3 * READERS_KEPT; shape++) {
        assert_int_equal(keep(raw, shape), TM_OK);
        tm_sim_reader_done();
        if (shape == READERS_KEPT - 1)
            full = sqlite3_memory_used();
    }
    assert_true(full > 0);
    assert_true(sqlite3_memory_used() < full + full / 4);
    tm_sql_close(raw);
}

/* Whatever is kept from before, exactly as many fit; and those of this history stay. */
static void only_a_history_with_too_many_shapes_of_its_own_finds_no_room(void **state)
{
    sqlite3 *raw = raw_open();
    enum tm_code rc;
    (void)state;
    for (int shape = 0; shape < READERS_MAX; shape++)
        assert_int_equal(keep(raw, shape), TM_OK);
    assert_int_equal(keep(raw, READERS_MAX), TM_E_LIMIT);
    assert_int_equal(keep(raw, 0), TM_OK);
    assert_int_equal(asked(reader(raw), "SELECT Id FROM Deal", &rc), 0);
    tm_sim_reader_done();
    assert_int_equal(keep(raw, READERS_MAX), TM_OK);
    tm_sql_close(raw);
    tm_sim_reader_done();
}

static void questions_of_earlier_histories_make_room(void **state)
{
    sqlite3 *raw = raw_open();
    enum tm_code rc = TM_OK;
    char question[80];
    (void)state;
    for (int i = 0; i < 2 * QUESTIONS_MAX; i++) {
        assert_int_equal(keep(raw, 5000), TM_OK);
        snprintf(question, sizeof question, "SELECT Id + %d FROM Deal", i);
        assert_int_equal(asked(reader(raw), question, &rc), 5000 + i);
        tm_sim_reader_done();
    }
    assert_int_equal(keep(raw, 5000), TM_OK);
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        snprintf(question, sizeof question, "SELECT Id - %d FROM Deal", i);
        assert_int_equal(asked(reader(raw), question, &rc), 5000 - i);
    }
    (void)asked(reader(raw), "SELECT 1", &rc);
    assert_int_equal(rc, TM_E_LIMIT);
    assert_int_equal(asked(reader(raw), "SELECT Id - 0 FROM Deal", &rc), 5000);
    tm_sql_close(raw);
    tm_sim_reader_done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_does_not_grow_with_the_histories),
        cmocka_unit_test(shapes_of_earlier_histories_make_room),
        cmocka_unit_test(only_a_history_with_too_many_shapes_of_its_own_finds_no_room),
        cmocka_unit_test(questions_of_earlier_histories_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
