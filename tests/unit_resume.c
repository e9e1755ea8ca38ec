/* What a resumed run stands on: a clock that stood still, instants without the pauses, the
 * witness's journal, and what earlier lives used. */
#include "base/clock.h"
#include "base/sql.h"
#include "check/journal.h"
#include "check/pauses.h"
#include "run/usage.h"
#include "support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define S TM_NS_PER_S

static char folder[64];
static char path[128];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    return 0;
}

static int forget(void **state)
{
    (void)state;
    tm_test_folder_remove(folder);
    return 0;
}

/* ---- the clock ---- */

static void the_clock_goes_on_where_the_run_last_gave_a_sign_of_life(void **state)
{
    struct tm_clock_file *file = NULL;
    struct tm_clock_map map, first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_clock_file_create(&file, at("clock"), 1000, 10, &err), TM_OK);
    tm_clock_file_start(file, 100 * S);
    tm_clock_file_alive(file, 110 * S);
    tm_clock_file_close(file);
    assert_int_equal(tm_clock_file_resume(&file, at("clock"), 105 * S, &err), TM_OK);
    tm_clock_file_read(file, &map);
    assert_int_equal(map.wall_origin_ns, TM_NEVER);
    assert_int_equal(map.org_origin_ms, 1000 + 100000 + 1);
    tm_clock_file_start(file, 500 * S);
    tm_clock_file_read(file, &map);
    assert_int_equal(tm_clock_org_at(&map, 501 * S), 1000 + 100000 + 1 + 10000);
    assert_int_equal(tm_clock_file_history(file, &first, pauses), 1);
    assert_int_equal(first.wall_origin_ns, 100 * S);
    assert_int_equal(first.org_origin_ms, 1000);
    /* without the pause the first map says the same */
    assert_int_equal(tm_clock_org_at(&first, tm_clock_without(pauses, 1, 501 * S)),
                     tm_clock_org_at(&map, 501 * S));
    tm_clock_file_close(file);
    /* something durable is later than the sign of life */
    assert_int_equal(tm_clock_file_resume(&file, at("clock"), 510 * S, &err), TM_OK);
    assert_int_equal(tm_clock_file_history(file, &first, pauses), 2);
    assert_true(pauses[1].from_ns >= 510 * S);
    tm_clock_file_close(file);
    /* a try that never came to its start leaves the pause as it is */
    int64_t from_ns = pauses[1].from_ns;
    assert_int_equal(tm_clock_file_resume(&file, at("clock"), 600 * S, &err), TM_OK);
    assert_int_equal(tm_clock_file_history(file, &first, pauses), 2);
    assert_int_equal(pauses[1].from_ns, from_ns);
    tm_clock_file_close(file);
}

static void a_stopped_clock_is_not_stopped_twice(void **state)
{
    struct tm_clock_file *file = NULL;
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_clock_file_create(&file, at("stopped"), 0, 1, &err), TM_OK);
    tm_clock_file_stop(file, 5 * S); /* it has not started */
    assert_int_equal(tm_clock_file_history(file, &first, pauses), 0);
    tm_clock_file_close(file);
    assert_int_equal(tm_clock_file_resume(&file, at("stopped"), 0, &err), TM_E_ARG);
    tm_err_clear(&err);
    assert_null(file);
    assert_int_equal(tm_clock_file_create(&file, at("stopped"), 0, 1, &err), TM_OK);
    for (int i = 0; i < TM_CLOCK_PAUSES_MAX; i++) {
        tm_clock_file_start(file, (10 + 10 * i) * S);
        tm_clock_file_stop(file, (15 + 10 * i) * S);
        tm_clock_file_stop(file, (16 + 10 * i) * S);
        assert_int_equal(tm_clock_file_history(file, &first, pauses), i + 1);
        assert_int_equal(pauses[i].from_ns, (15 + 10 * i) * S + TM_NS_PER_MS);
        assert_int_equal(pauses[i].until_ns, TM_NEVER);
    }
    tm_clock_file_start(file, 1000 * S);
    tm_clock_file_close(file);
    assert_int_equal(tm_clock_file_resume(&file, at("stopped"), 0, &err), TM_E_LIMIT);
}

/* ---- instants ---- */

static void every_instant_of_a_pause_is_its_first(void **state)
{
    struct tm_pauses p;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_pauses_parse(&p, "100:150,200:260", &err), TM_OK);
    assert_int_equal(p.count, 2);
    static const int64_t pairs[][2] = { { 0, 0 },     { 100, 100 }, { 101, 100 }, { 149, 100 },
                                        { 150, 100 }, { 151, 101 }, { 200, 150 }, { 230, 150 },
                                        { 260, 150 }, { 300, 190 } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_int_equal(tm_pauses_without(&p, pairs[i][0]), pairs[i][1]);
    assert_int_equal(tm_pauses_without(&p, INT64_MIN), INT64_MIN);
    assert_int_equal(tm_pauses_without(&p, INT64_MAX), INT64_MAX);
    for (int64_t ns = 0; ns < 400; ns++) /* there and back: the same, or the pause's end */
        assert_int_equal(tm_pauses_without(&p, tm_pauses_with(&p, ns)), ns);
    assert_int_equal(tm_pauses_with(&p, 100), 150);
    assert_int_equal(tm_pauses_with(&p, 150), 260);
}

static void pauses_that_cannot_be_are_refused(void **state)
{
    static const char *const bad[] = { "x", "1", "1:", "5:4", "1:3,2:4", "1:2;3:4", "1:2,x", ":2" };
    struct tm_pauses p;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_err err = { .code = TM_OK };
        if (tm_pauses_parse(&p, bad[i], &err) != TM_E_PROTO)
            fail_msg("\"%s\" is taken", bad[i]);
    }
}

/* ---- the journal ---- */

static int64_t never_asked(void)
{
    return 1;
}

static struct tm_reader *reader(const char *database, bool raw)
{
    static const char *const objects[] = { "Account", "User" };
    struct tm_err err = { .code = TM_OK };
    struct tm_reader *r = NULL;
    assert_int_equal(tm_reader_open(&r, database, raw, objects, 2, never_asked, &err), TM_OK);
    return r;
}

static void shows(struct tm_shown *s, int object, const char *id, unsigned flags, uint64_t name,
                  uint64_t amount, int64_t ns)
{
    struct tm_err err = { .code = TM_OK };
    uint64_t values[2] = { name, amount };
    uint32_t row, column;
    assert_int_equal(tm_shown_column(s, object, "Name", &column, &err), TM_OK);
    assert_int_equal(tm_shown_column(s, object, "Amount", &column, &err), TM_OK);
    assert_int_equal(tm_shown_row(s, object, id, &row, &err), TM_OK);
    s->reads++;
    assert_int_equal(tm_shown_set(s, row, flags, values, 2, ns - 5, ns, ns, NULL, &err), TM_OK);
}

static void save(struct tm_journal *j, const struct tm_reader *r)
{
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_journal_begin(j, &err), TM_OK);
    assert_int_equal(tm_journal_save(j, 0, r, &err), TM_OK);
    assert_int_equal(tm_journal_end(j, &err), TM_OK);
}

static void same_shown(const struct tm_shown *a, const struct tm_shown *b)
{
    assert_int_equal(a->obs_count, b->obs_count);
    assert_int_equal(a->deltas_count, b->deltas_count);
    assert_int_equal(a->rows_count, b->rows_count);
    assert_int_equal(a->stars_count, b->stars_count);
    assert_memory_equal(a->obs, b->obs, a->obs_count * sizeof *a->obs);
    for (size_t i = 0; i < a->deltas_count; i++) {
        assert_int_equal(a->deltas[i].hash, b->deltas[i].hash);
        assert_int_equal(a->deltas[i].column, b->deltas[i].column);
    }
    for (size_t i = 0; i < a->rows_count; i++) {
        assert_string_equal(a->rows[i].id, b->rows[i].id);
        assert_int_equal(a->rows[i].hash, b->rows[i].hash);
        assert_int_equal(a->rows[i].seq, b->rows[i].seq);
        assert_int_equal(a->rows[i].flags, b->rows[i].flags);
    }
    for (size_t i = 0; i < a->stars_count; i++) {
        assert_int_equal(a->stars[i].from_ns, b->stars[i].from_ns);
        assert_int_equal(a->stars[i].until_ns, b->stars[i].until_ns);
        assert_int_equal(a->stars[i].object, b->stars[i].object);
    }
}

static void what_a_witness_saw_is_there_for_the_next_one(void **state)
{
    struct tm_journal *j = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    struct tm_reader *first = reader(at("none.db"), false), *second, *third;
    assert_int_equal(tm_journal_open(&j, at("witness.db"), &err), TM_OK);
    save(j, first); /* before any look: nothing */
    shows(first->shown, 0, "001000000000001AAA", TM_SHOWN_PRESENT, 11, 12, 100);
    shows(first->shown, 1, "005000000000001AAA", TM_SHOWN_PRESENT | TM_SHOWN_DIRTY, 21, 0, 110);
    assert_int_equal(tm_shown_star(first->shown, 1, true, 110, &err), TM_OK);
    first->last_ns = 120;
    save(j, first);
    shows(first->shown, 0, "001000000000001AAA", TM_SHOWN_PRESENT, 11, 13, 200);
    shows(first->shown, 0, "001000000000001AAA", 0, 11, 13, 210);
    assert_int_equal(tm_shown_star(first->shown, 1, false, 215, &err), TM_OK);
    first->last_ns = 220;
    save(j, first);
    tm_journal_close(j);

    second = reader(at("none.db"), false);
    assert_int_equal(tm_journal_open(&j, at("witness.db"), &err), TM_OK);
    assert_int_equal(tm_journal_restore(j, 0, second, &err), TM_OK);
    assert_int_equal(second->last_ns, 220);
    same_shown(first->shown, second->shown);
    /* and it goes on with both lives in one journal */
    shows(second->shown, 0, "001000000000002AAA", TM_SHOWN_PRESENT, 31, 32, 300);
    second->last_ns = 310;
    save(j, second);
    tm_journal_close(j);
    third = reader(at("none.db"), false);
    assert_int_equal(tm_journal_open(&j, at("witness.db"), &err), TM_OK);
    assert_int_equal(tm_journal_restore(j, 0, third, &err), TM_OK);
    same_shown(second->shown, third->shown);
    tm_journal_close(j);
    tm_reader_close(first);
    tm_reader_close(second);
    tm_reader_close(third);
}

static void a_journal_of_other_pipelines_is_refused(void **state)
{
    static const char *const spoiled[] = {
        "UPDATE obs SET object = 7",
        "UPDATE obs SET lo_ns = hi_ns + 1",
        "UPDATE obs SET deltas = x'00'",
        "DELETE FROM shown_column WHERE number = 0",
        "UPDATE obs SET deltas = x'00000000000000000000000100000001ffffffffffffffff'",
    };
    (void)state;
    for (size_t i = 0; i < sizeof spoiled / sizeof spoiled[0]; i++) {
        struct tm_journal *j = NULL;
        struct tm_err err = { .code = TM_OK };
        struct tm_reader *r = reader(at("none.db"), false), *again = reader(at("none.db"), false);
        sqlite3 *db = NULL;
        char name[32];
        snprintf(name, sizeof name, "spoiled-%zu.db", i);
        assert_int_equal(tm_journal_open(&j, at(name), &err), TM_OK);
        shows(r->shown, 0, "001000000000001AAA", TM_SHOWN_PRESENT, 1, 2, 50);
        r->last_ns = 60;
        save(j, r);
        tm_journal_close(j);
        assert_int_equal(tm_sql_open(&db, at(name), TM_SQL_WRITE, &err), TM_OK);
        assert_int_equal(tm_sql_exec(db, spoiled[i], &err), TM_OK);
        tm_sql_close(db);
        assert_int_equal(tm_journal_open(&j, at(name), &err), TM_OK);
        if (tm_journal_restore(j, 0, again, &err) != TM_E_PROTO)
            fail_msg("taken: %s", spoiled[i]);
        tm_journal_close(j);
        tm_reader_close(r);
        tm_reader_close(again);
    }
}

/* Option 1: the rows are read again, each with the instants of the look that met it. */
static void raw_rows_keep_the_looks_that_met_them(void **state)
{
    struct tm_journal *j = NULL;
    struct tm_err err = { .code = TM_OK };
    sqlite3 *db = NULL;
    bool changed;
    (void)state;
    char raw[128];
    snprintf(raw, sizeof raw, "%s", at("raw.db"));
    assert_int_equal(tm_sql_open(&db, raw, TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(
        tm_sql_exec(db,
                    "CREATE TABLE sfdc_cdc_account_raw(Id TEXT, ReplayId TEXT, _DiffFields TEXT, "
                    "_epoch INTEGER, ChangeEventHeader TEXT);"
                    "INSERT INTO sfdc_cdc_account_raw VALUES('001000000000001AAA','1','[]',0,'{}'),"
                    "('001000000000002AAA','2','[]',0,'{}')",
                    &err),
        TM_OK);
    struct tm_reader *first = reader(raw, true), *second = reader(raw, true);
    assert_int_equal(tm_journal_open(&j, at("raw-witness.db"), &err), TM_OK);
    assert_int_equal(tm_reader_probe(first, 1000, &changed, &err), TM_OK);
    save(j, first);
    assert_int_equal(
        tm_sql_exec(db,
                    "INSERT INTO sfdc_cdc_account_raw VALUES('001000000000001AAA','3','[]',0,'{}')",
                    &err),
        TM_OK);
    assert_int_equal(tm_reader_probe(first, 2000, &changed, &err), TM_OK);
    save(j, first);
    tm_journal_close(j);
    assert_int_equal(first->arrivals_count, 3);
    assert_int_equal(tm_journal_open(&j, at("raw-witness.db"), &err), TM_OK);
    assert_int_equal(tm_journal_restore(j, 0, second, &err), TM_OK);
    tm_journal_close(j);
    assert_int_equal(second->arrivals_count, 3);
    assert_memory_equal(first->arrivals, second->arrivals, 3 * sizeof *first->arrivals);
    assert_int_equal(second->last_ns, first->last_ns);
    /* a row that came while nobody looked is met by the next look */
    assert_int_equal(
        tm_sql_exec(db,
                    "INSERT INTO sfdc_cdc_account_raw VALUES('001000000000002AAA','4','[]',0,'{}')",
                    &err),
        TM_OK);
    int64_t last_ns = second->last_ns;
    assert_int_equal(tm_reader_probe(second, 9000, &changed, &err), TM_OK);
    assert_int_equal(second->arrivals_count, 4);
    assert_int_equal(second->arrivals[3].lo_ns, last_ns);
    tm_sql_close(db);
    tm_reader_close(first);
    tm_reader_close(second);
}

/* ---- usage ---- */

static void usage_of_earlier_lives_is_added_and_growth_is_of_the_last(void **state)
{
    static struct tm_children kids;
    struct tm_usage u = { .f = NULL };
    struct tm_err err = { .code = TM_OK };
    char text[4096] = "run_ns,changes,process,pid,rss_bytes,cpu_ms\n";
    (void)state;
    strcat(text, "1,0,sink,10,9000,1000\n2,10,sink,10,9900,3000\n3,20,view,11,500,70\n"
                 "4,20,sink,12,100,500\n");
    for (int i = 0; i <= 10; i++) /* two bytes a change in the second half, nothing in the first */
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d,%d,sink,12,%d,%d\n", 10 + i,
                 20 + i * 10000, i < 5 ? 100 : 100 + (i - 5) * 20000, 500 + i * 100);
    strcat(text, "99,120,sin"); /* torn by a crash */
    tm_test_write_file(folder, "usage.csv", text);
    assert_int_equal(tm_usage_open(&u, at("usage.csv"), &err), TM_OK);
    kids.count = 2;
    kids.items[0] = (struct tm_child){ .name = "sink", .cpu_s = 1, .rss_peak_bytes = 50 };
    kids.items[1] = (struct tm_child){ .name = "view", .cpu_s = 2, .rss_peak_bytes = 5000 };
    tm_usage_add(&u, &kids);
    assert_true(kids.items[0].cpu_s > 1 + 3 + 1.5 - 1e-9 && kids.items[0].cpu_s < 5.5 + 1e-9);
    assert_int_equal(kids.items[0].rss_peak_bytes, 100100);
    assert_int_equal(kids.items[1].rss_peak_bytes, 5000);
    kids.items[0].pid = getpid();
    tm_usage_look(&u, &kids, 5 * S, 200, 100020);
    assert_false(tm_usage_due(&u, 9 * S));
    assert_true(tm_usage_due(&u, 10 * S));
    tm_usage_close(&u);
    json_t *memory = tm_usage_json(at("usage.csv"), &err), *view = json_object_get(memory, "view");
    assert_non_null(memory);
    assert_int_equal(json_integer_value(json_object_get(view, "looks")), 1);
    assert_true(json_is_null(json_object_get(view, "per_million_bytes")));
    const json_t *mine = json_object_get(memory, "sink"); /* another process: this one */
    assert_int_equal(json_integer_value(json_object_get(mine, "looks")), 1);
    assert_true(json_integer_value(json_object_get(mine, "last_bytes")) > 100000);
    json_decref(memory);
    tm_test_write_file(folder, "grown.csv", text);
    memory = tm_usage_json(at("grown.csv"), &err);
    mine = json_object_get(memory, "sink");
    assert_int_equal(json_integer_value(json_object_get(mine, "first_bytes")), 100);
    assert_int_equal(json_integer_value(json_object_get(mine, "last_bytes")), 100100);
    assert_int_equal(json_integer_value(json_object_get(mine, "per_million_bytes")), 2000000);
    json_decref(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_goes_on_where_the_run_last_gave_a_sign_of_life),
        cmocka_unit_test(a_stopped_clock_is_not_stopped_twice),
        cmocka_unit_test(every_instant_of_a_pause_is_its_first),
        cmocka_unit_test(pauses_that_cannot_be_are_refused),
        cmocka_unit_test(what_a_witness_saw_is_there_for_the_next_one),
        cmocka_unit_test(a_journal_of_other_pipelines_is_refused),
        cmocka_unit_test(raw_rows_keep_the_looks_that_met_them),
        cmocka_unit_test(usage_of_earlier_lives_is_added_and_growth_is_of_the_last),
    };
    return cmocka_run_group_tests(tests, make, forget);
}
