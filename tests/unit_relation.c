/* Full comparisons: of two relations and of a relation with rows in memory; ranges and threads give
 * what one pass gives; every kind of difference is told apart; mistakes in a map are named. */
#include "base/text.h"
#include "check/compare.h"
#include "check/vhash.h"
#include "support_history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 3000

static void ident(char out[20], int n)
{
    char id[16];
    memset(out, 0, 20);
    snprintf(id, sizeof id, "006000000%06d", n);
    assert_int_equal(tm_id18(out, id, NULL), TM_OK);
}

static sqlite3 *table(const char *name, const char *key)
{
    sqlite3 *db = NULL;
    char sql[200];
    assert_int_equal(sqlite3_open(history_path(name), &db), SQLITE_OK);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=WAL; CREATE TABLE opp(Id TEXT %s, Name, Amount, At); BEGIN", key);
    history_exec(db, sql);
    return db;
}

static void put(sqlite3 *db, int n, const char *name, double amount, int64_t at)
{
    char id[20], sql[300];
    ident(id, n);
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO opp VALUES('%s','%s',%.17g,%lld)", id, name,
             amount, (long long)at);
    history_exec(db, sql);
}

static void filled(const char *name, const char *key)
{
    sqlite3 *db = table(name, key);
    for (int n = 1; n <= ROWS; n++)
        put(db, n, "a", n, 1000 * n);
    history_exec(db, "COMMIT");
    sqlite3_close(db);
}

static void change(const char *name, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(history_path(name), &db), SQLITE_OK);
    history_exec(db, sql);
    sqlite3_close(db);
}

struct sides {
    struct tm_relation_spec held, shown;
    char held_path[220], shown_path[220];
    json_t *map;
};

static void sides_open(struct sides *s, const char *held, const char *shown, const char *map)
{
    struct tm_err err = { 0 };
    s->map = json_loads(map, 0, NULL);
    assert_non_null(s->map);
    assert_int_equal(tm_relation_spec(&s->held, "map", "Opportunity", s->map, NULL, &err), TM_OK);
    assert_int_equal(tm_relation_spec(&s->shown, "map", "Opportunity", s->map, NULL, &err), TM_OK);
    snprintf(s->held_path, sizeof s->held_path, "%s", history_path(held));
    snprintf(s->shown_path, sizeof s->shown_path, "%s", history_path(shown));
}

static struct tm_compare *compare(struct sides *s, size_t threads)
{
    struct tm_compare *c = NULL;
    struct tm_err err = { 0 };
    char text[700];
    const struct tm_compare_side held = { &s->held, s->held_path },
                                 shown = { &s->shown, s->shown_path };
    const struct tm_compare_how how = { threads, 0 };
    if (tm_compare_relations(&c, &held, &shown, &how, &err) != TM_OK)
        fail_msg("%s", tm_err_text(&err, text, sizeof text));
    return c;
}

#define ALL "{\"query\":\"SELECT * FROM opp\"}"

static void ranges_and_threads_find_what_one_pass_finds(void **state)
{
    static const char *const keys[] = { "PRIMARY KEY", "", "PRIMARY KEY COLLATE NOCASE" };
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct sides s;
        char held[32], shown[32];
        snprintf(held, sizeof held, "held-%zu", k);
        snprintf(shown, sizeof shown, "shown-%zu", k);
        filled(held, keys[k]);
        filled(shown, keys[k]);
        change(shown,
               "DELETE FROM opp WHERE rowid % 500 = 7; UPDATE opp SET Name = 'b' WHERE rowid % "
               "300 = 5");
        change(held, "DELETE FROM opp WHERE rowid = 1234");
        sides_open(&s, held, shown, ALL);
        struct tm_compare *one = compare(&s, 1), *many = compare(&s, 3);
        assert_int_equal(one->ranges, 1);
        assert_int_equal(many->ranges > 1, k == 0); /* by an index of the right order alone */
        assert_int_equal(one->missing, ROWS / 500);
        assert_int_equal(one->extra, 1);
        assert_int_equal(one->differing, ROWS / 300);
        assert_int_equal(many->missing, one->missing);
        assert_int_equal(many->extra, one->extra);
        assert_int_equal(many->differing, one->differing);
        assert_int_equal(many->shown, one->shown);
        assert_int_equal(many->fields[0].differing, one->differing);
        tm_compare_close(one);
        tm_compare_close(many);
        json_decref(s.map);
    }
}

static void each_kind_of_difference_is_told_apart(void **state)
{
    struct sides s;
    (void)state;
    filled("kinds-held", "PRIMARY KEY");
    filled("kinds-shown", "PRIMARY KEY");
    change("kinds-held", "UPDATE opp SET Name = NULL WHERE rowid = 1");
    change(
        "kinds-shown",
        "UPDATE opp SET Name = '' WHERE rowid = 2; UPDATE opp SET Name = ' a' WHERE rowid = 3;"
        "UPDATE opp SET Name = 'other' WHERE rowid = 4; UPDATE opp SET Amount = Amount + 0.3, At = "
        "At + 500 WHERE rowid BETWEEN 5 AND 9; UPDATE opp SET Amount = 'x' WHERE rowid = 10");
    sides_open(&s, "kinds-held", "kinds-shown",
               "{\"query\":\"SELECT * FROM opp\",\"tolerances\":{\"Amount\":0.01,\"At\":\"1ms\"}}");
    struct tm_compare *c = compare(&s, 2);
    assert_int_equal(c->fields[0].extra, 1);
    assert_int_equal(c->fields[0].lost, 1);
    assert_int_equal(c->fields[0].blanks, 1);
    assert_int_equal(c->fields[0].other, 1);
    assert_int_equal(c->fields[1].near, 5);
    assert_int_equal(c->fields[2].near, 5);
    assert_true(c->fields[2].near_max > 499.9 && c->fields[2].near_max < 500.1);
    json_t *at = tm_compare_field_json(c, 2);
    assert_string_equal(json_string_value(json_object_get(at, "tolerance")), "1s");
    json_decref(at);
    json_t *name = tm_compare_field_json(c, 0); /* no one tolerance would cover all four */
    assert_null(json_object_get(name, "tolerance"));
    json_decref(name);
    tm_compare_close(c);
    json_decref(s.map);
    sides_open(&s, "kinds-held", "kinds-shown",
               "{\"query\":\"SELECT Id, At FROM opp\",\"tolerances\":{\"At\":\"500ms\"}}");
    c = compare(&s, 2);
    assert_int_equal(c->rows_count, 0);
    tm_compare_close(c);
    json_decref(s.map);
}

static void ids_of_15_and_18_characters_are_one_and_twice_is_a_duplicate(void **state)
{
    struct sides s;
    sqlite3 *db;
    (void)state;
    filled("short-held", "PRIMARY KEY");
    filled("short-shown", "PRIMARY KEY");
    change("short-shown", "UPDATE opp SET Id = substr(Id, 1, 15) WHERE rowid % 2 = 0");
    db = NULL;
    assert_int_equal(sqlite3_open(history_path("short-shown"), &db), SQLITE_OK);
    history_exec(db,
                 "INSERT INTO opp SELECT substr(Id, 1, 15), Name, Amount, At FROM opp WHERE rowid "
                 "= 1");
    sqlite3_close(db);
    sides_open(&s, "short-held", "short-shown", ALL);
    struct tm_compare *c = compare(&s, 3);
    assert_int_equal(c->rows_count, 0);
    assert_int_equal(c->duplicates, 1);
    tm_compare_close(c);
    json_decref(s.map);
}

static void rows_in_memory_in_any_order_are_found(void **state)
{
    struct tm_rows rows;
    struct tm_err err = { 0 };
    char id[20];
    uint32_t row;
    (void)state;
    tm_rows_init(&rows, 1);
    for (int n = 2000; n > 0; n--) {
        ident(id, n * 7 % 2003);
        assert_int_equal(tm_rows_add(&rows, id, &row, &err), TM_OK);
        tm_rows_values(&rows, row)[0] = (uint64_t)n;
    }
    assert_false(rows.sorted);
    assert_int_equal(tm_rows_index(&rows, &err), TM_OK);
    for (int n = 2000; n > 0; n--) {
        ident(id, n * 7 % 2003);
        row = tm_rows_find(&rows, id, 3);
        assert_true(row != TM_ROWS_NONE && tm_rows_values(&rows, row)[0] == (uint64_t)n);
    }
    ident(id, 2500);
    assert_int_equal(tm_rows_find(&rows, id, 0), TM_ROWS_NONE);
    tm_rows_free(&rows);
}

static void numbers_come_back_from_their_hashes_and_texts_keep_apart(void **state)
{
    static const double numbers[] = { 0, 1, -1, 0.1, -2.5, 1e15, 9007199254740993.0, 1e300, -1e-9 };
    double back;
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (i == 6)
            continue; /* beyond 2^53, an integer by its digits */
        assert_true(tm_vhash_number(&back, tm_vhash_real(numbers[i])));
        assert_memory_equal(&back, &numbers[i], sizeof back);
    }
    assert_int_equal(tm_vhash_int(7), tm_vhash_real(7.0));
    assert_int_equal(tm_vhash_real(-0.0), tm_vhash_int(0));
    assert_true(tm_vhash_int(INT64_MAX) != tm_vhash_int(INT64_MAX - 1));
    assert_int_equal(tm_vhash_real(1e18), tm_vhash_int(INT64_C(1000000000000000000)));
    assert_false(tm_vhash_number(&back, TM_VHASH_NULL));
    for (int i = 0; i < 1000; i++) { /* a text in a column of numbers is near none of them */
        const struct tm_tolerance wide = { .near = 1e300 };
        char text[16];
        snprintf(text, sizeof text, "x%d", i);
        assert_false(tm_tolerance_same(&wide, tm_vhash_text(text, strlen(text)), tm_vhash_int(0)));
    }
}

static void tolerances_hold_to_the_last_digit_and_no_further(void **state)
{
    static const struct {
        const char *json;
        enum tm_field_kind kind;
        double a, b;
        bool same;
    } all[] = {
        { "\"1s\"", TM_FIELD_DATETIME, 1772438400000, 1772438401000, true },
        { "\"1s\"", TM_FIELD_DATETIME, 1772438400000, 1772438401001, false },
        { "0.01", TM_FIELD_NUMBER, 1.24, 1.25, true },
        { "0.01", TM_FIELD_NUMBER, 1.24, 1.2501, false },
        { "{\"scale\":2}", TM_FIELD_NUMBER, 1.239, 1.23, true }, /* cut */
        { "{\"scale\":2}", TM_FIELD_NUMBER, 1.235, 1.24, true }, /* rounded */
        { "{\"scale\":2}", TM_FIELD_NUMBER, 1.24, 1.25,
          false }, /* another number of two decimals */
        { "{\"scale\":0}", TM_FIELD_NUMBER, 7, 8, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct tm_tolerance t;
        struct tm_err err = { 0 };
        json_t *json = json_loads(all[i].json, JSON_DECODE_ANY, NULL);
        assert_int_equal(tm_tolerance_parse(&t, json, all[i].kind, "map", "F", &err), TM_OK);
        if (tm_tolerance_same(&t, tm_vhash_real(all[i].a), tm_vhash_real(all[i].b)) != all[i].same)
            fail_msg("%s: %.17g and %.17g", all[i].json, all[i].a, all[i].b);
        assert_false(tm_tolerance_same(&t, tm_vhash_real(all[i].a), TM_VHASH_NULL));
        json_decref(json);
    }
}

static void mistakes(const char *map, const char *a, const char *b)
{
    struct sides s = { .map = json_loads(map, 0, NULL) };
    struct tm_warehouse *w = NULL;
    struct tm_relation *r = NULL;
    struct tm_err err = { 0 };
    char text[700];
    assert_non_null(s.map);
    enum tm_code rc = tm_relation_spec(&s.shown, "map", "Opportunity", s.map, NULL, &err);
    if (rc == TM_OK)
        rc = tm_warehouse_open(&w, history_path("mistakes"), 20, &err);
    if (rc == TM_OK)
        rc = tm_relation_open(&r, &s.shown, w, NULL, NULL, &err);
    assert_int_equal(rc, TM_E_ARG);
    tm_err_text(&err, text, sizeof text);
    if (strstr(text, a) == NULL || strstr(text, b) == NULL)
        fail_msg("%s", text);
    tm_relation_close(r);
    tm_warehouse_close(w);
    json_decref(s.map);
}

static void mistakes_in_a_relation_are_named(void **state)
{
    (void)state;
    sqlite3 *db = table("mistakes", "PRIMARY KEY");
    history_exec(db, "COMMIT");
    sqlite3_close(db);
    mistakes("{\"query\":\"SELECT *, Id FROM opp\"}", "Id twice", "Opportunity");
    mistakes("{\"query\":\"SELECT Id, Name, Name FROM opp\"}", "gives Name twice", "Opportunity");
    mistakes("{\"query\":\"SELECT * FROM opp\",\"columns\":{\"A\":\"Name\",\"B\":\"name\"}}",
             "both", "Name");
    mistakes("{\"query\":\"SELECT * FROM opp\",\"tolerances\":{\"Gone\":\"trim\"}}", "Gone",
             "does not give");
    mistakes("{\"query\":\"SELECT * FROM opp\",\"tolerance\":{}}", "tolerance", "did you mean");
    mistakes("{\"query\":\"SELECT * FROM opp\",\"database\":7}", "database", "path");
    mistakes("{\"query\":\"UPDATE opp SET Name = 1 RETURNING Id\"}", "Opportunity", "only read");
    mistakes("{\"query\":\"PRAGMA table_info(opp)\"}", "Opportunity", "only read");
    mistakes("{\"query\":\"ATTACH 'x.db' AS x\"}", "Opportunity", "only read");
    mistakes("{\"query\":\"\"}", "one SELECT", "Opportunity");
}

static void a_tolerance_of_the_wrong_kind_is_told_what_it_may_be(void **state)
{
    static const struct {
        const char *json;
        enum tm_field_kind kind;
        const char *wanted;
    } all[] = {
        { "1", TM_FIELD_DATETIME, "\"1s\"" },
        { "\"1 parsec\"", TM_FIELD_DATETIME, "\"1s\"" },
        { "\"-1s\"", TM_FIELD_DATETIME, "\"1s\"" },
        { "\"1s\"", TM_FIELD_NUMBER, "scale" },
        { "{\"scale\":-1}", TM_FIELD_NUMBER, "scale" },
        { "-0.5", TM_FIELD_NUMBER, "scale" },
        { "\"trim\"", TM_FIELD_NUMBER, "scale" },
        { "0.5", TM_FIELD_TEXT, "\"trim\"" },
        { "[]", TM_FIELD_TEXT, "\"trim\"" },
        { "\"trim\"", TM_FIELD_BOOLEAN, "\"empty\"" },
        { "null", TM_FIELD_TEXT, "\"trim\"" },
        { "[\"trim\", 3]", TM_FIELD_TEXT, "\"trim\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct tm_tolerance t;
        struct tm_err err = { 0 };
        json_t *json = json_loads(all[i].json, JSON_DECODE_ANY, NULL);
        assert_int_equal(tm_tolerance_parse(&t, json, all[i].kind, "map", "Field", &err), TM_E_ARG);
        assert_non_null(strstr(err.msg, "Field"));
        assert_non_null(strstr(err.msg, all[i].wanted));
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_and_threads_find_what_one_pass_finds),
        cmocka_unit_test(each_kind_of_difference_is_told_apart),
        cmocka_unit_test(ids_of_15_and_18_characters_are_one_and_twice_is_a_duplicate),
        cmocka_unit_test(rows_in_memory_in_any_order_are_found),
        cmocka_unit_test(numbers_come_back_from_their_hashes_and_texts_keep_apart),
        cmocka_unit_test(tolerances_hold_to_the_last_digit_and_no_further),
        cmocka_unit_test(mistakes_in_a_relation_are_named),
        cmocka_unit_test(a_tolerance_of_the_wrong_kind_is_told_what_it_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
