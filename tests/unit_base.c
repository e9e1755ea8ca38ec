/* The small things everything stands on: errors, clock map, randomness, text, buffers, SQL quoting,
 * trace. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "base/sql.h"
#include "base/text.h"
#include "base/trace.h"
#include "tests/support_folder.h"
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- err ---- */

static void err_keeps_the_first_cause_and_grows_context_outwards(void **state)
{
    struct tm_err err = { .code = TM_OK };
    char text[700];
    (void)state;
    assert_int_equal(tm_fail(&err, TM_E_IO, "disk %d", 3), TM_E_IO);
    assert_int_equal(tm_fail_retry(&err, TM_E_PROTO, "second"), TM_E_PROTO);
    assert_int_equal(err.code, TM_E_IO);
    assert_false(err.retriable);
    assert_int_equal(tm_at(&err, "window %d", 7), TM_E_IO);
    assert_int_equal(tm_at(&err, "sink"), TM_E_IO);
    assert_string_equal(tm_err_text(&err, text, sizeof text), "sink: window 7: disk 3");
    tm_err_clear(&err);
    assert_int_equal(tm_fail_retry(&err, TM_E_IO, "again"), TM_E_IO);
    assert_true(err.retriable);
    assert_string_equal(tm_err_text(&err, text, sizeof text), "again");
    assert_string_equal(tm_err_text(&err, text, 3), "ag");
    assert_int_equal(tm_fail(NULL, TM_E_ARG, "nobody listens"), TM_E_ARG);
}

static void err_cuts_long_texts_and_stays_terminated(void **state)
{
    struct tm_err err = { .code = TM_OK };
    char big[2000];
    (void)state;
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    tm_fail(&err, TM_E_ARG, "%s", big);
    for (int i = 0; i < 5; i++)
        tm_at(&err, "%s", big);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(strlen(err.ctx), sizeof err.ctx - 1);
}

static void err_codes_map_to_the_documented_exits(void **state)
{
    static const struct {
        enum tm_code code;
        int exit;
    } want[] = {
        { TM_OK, 0 },       { TM_E_ARG, 64 },   { TM_E_MISMATCH, 64 },
        { TM_E_NOMEM, 70 }, { TM_E_LIMIT, 70 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct tm_err err = { .code = want[i].code };
        assert_int_equal(tm_err_exit(&err), want[i].exit);
        assert_true(strlen(tm_code_name(want[i].code)) > 0);
    }
}

/* ---- clock ---- */

static void clock_map_stands_still_then_runs_compressed_and_inverts(void **state)
{
    struct tm_clock_map map = { .org_origin_ms = 1000000,
                                .wall_origin_ns = TM_NEVER,
                                .compress = 360 };
    (void)state;
    assert_int_equal(tm_clock_org_at(&map, 5 * TM_NS_PER_S), 1000000);
    assert_int_equal(tm_clock_wall_at(&map, 1000001), TM_NEVER);
    map.wall_origin_ns = 10 * TM_NS_PER_S;
    assert_int_equal(tm_clock_org_at(&map, 10 * TM_NS_PER_S), 1000000);
    assert_int_equal(tm_clock_org_at(&map, 11 * TM_NS_PER_S), 1360000);
    assert_int_equal(tm_clock_wall_at(&map, 1360000), 11 * TM_NS_PER_S);
    assert_int_equal(tm_clock_wall_at(&map, 5), 10 * TM_NS_PER_S);
    assert_int_equal(tm_clock_wall_at(&map, TM_NEVER), TM_NEVER);
    struct tm_rng rng;
    tm_rng_init(&rng, 1);
    /* wall_at is the first instant at which org time is there */
    for (int i = 0; i < 20000; i++) {
        int64_t org_ms = map.org_origin_ms + tm_rng_between(&rng, 1, 43200000);
        int64_t wall_ns = tm_clock_wall_at(&map, org_ms);
        assert_true(tm_clock_org_at(&map, wall_ns) >= org_ms);
        assert_true(tm_clock_org_at(&map, wall_ns - 1) < org_ms);
    }
}

static void clock_map_does_not_overflow_after_years(void **state)
{
    struct tm_clock_map map = { .org_origin_ms = 0, .wall_origin_ns = 0, .compress = 100000 };
    (void)state;
    int64_t year_ns = 365LL * 86400 * TM_NS_PER_S;
    assert_int_equal(tm_clock_org_at(&map, year_ns), year_ns / TM_NS_PER_MS * 100000);
    map.compress = 1;
    assert_int_equal(tm_clock_wall_at(&map, INT64_MAX / 2), TM_NEVER);
}

static void clock_file_shows_one_org_time_to_its_readers(void **state)
{
    struct tm_clock_file *writer = NULL, *reader = NULL;
    struct tm_clock_map map;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_clock_file_create(&writer, folder_path("clock"), 5000, 0, &err), TM_E_ARG);
    tm_err_clear(&err);
    assert_int_equal(tm_clock_file_create(&writer, folder_path("clock"), 5000, 10, &err), TM_OK);
    assert_int_equal(tm_clock_file_open(&reader, folder_path("clock"), &err), TM_OK);
    assert_int_equal(tm_clock_now(reader).org_ms, 5000);
    tm_clock_file_start(writer, 77);
    tm_clock_file_read(reader, &map);
    assert_int_equal(map.wall_origin_ns, 77);
    assert_int_equal(map.compress, 10);
    struct tm_now now = tm_clock_now(reader);
    assert_int_equal(now.org_ms, tm_clock_org_at(&map, now.wall_ns));
    tm_clock_file_close(reader);
    tm_clock_file_close(writer);
}

static void clock_file_of_another_kind_is_refused(void **state)
{
    struct tm_clock_file *file = NULL;
    struct tm_err err = { .code = TM_OK };
    char zeros[4096] = { 0 };
    (void)state;
    assert_int_equal(tm_clock_file_open(&file, folder_path("absent"), &err), TM_E_IO);
    tm_err_clear(&err);
    FILE *f = fopen(folder_path("short"), "w");
    fputs("x", f);
    fclose(f);
    assert_int_equal(tm_clock_file_open(&file, folder_path("short"), &err), TM_E_PROTO);
    tm_err_clear(&err);
    f = fopen(folder_path("zeros"), "w");
    fwrite(zeros, 1, sizeof zeros, f);
    fclose(f);
    assert_int_equal(tm_clock_file_open(&file, folder_path("zeros"), &err), TM_E_PROTO);
    assert_null(file);
}

/* ---- rng ---- */

static void rng_repeats_by_seed_and_forks_by_name(void **state)
{
    struct tm_rng a, b, c, d;
    (void)state;
    tm_rng_init(&a, 42);
    tm_rng_init(&b, 42);
    tm_rng_init(&c, 43);
    uint64_t first = tm_rng_u64(&a);
    assert_true(first == tm_rng_u64(&b));
    assert_true(first != tm_rng_u64(&c));
    tm_rng_fork(&a, &c, "one");
    tm_rng_fork(&a, &d, "two");
    assert_true(tm_rng_u64(&c) != tm_rng_u64(&d));
    tm_rng_fork(&a, &d, "one");
    tm_rng_fork(&a, &c, "one");
    assert_true(tm_rng_u64(&c) == tm_rng_u64(&d));
    assert_true(tm_rng_u64(&a) == tm_rng_u64(&b)); /* forking took nothing from the parent */
}

static void rng_below_and_between_keep_their_bounds_and_fill_them_evenly(void **state)
{
    struct tm_rng rng;
    unsigned seen[7] = { 0 };
    (void)state;
    tm_rng_init(&rng, 5);
    for (int i = 0; i < 70000; i++) {
        int64_t n = tm_rng_between(&rng, -3, 3);
        assert_true(n >= -3 && n <= 3);
        seen[n + 3]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_int_equal(tm_rng_below(&rng, 1), 0);
    assert_int_equal(tm_rng_between(&rng, 9, 9), 9);
    (void)tm_rng_between(&rng, INT64_MIN, INT64_MAX);
}

static void rng_exponential_has_its_mean_and_chance_its_share(void **state)
{
    struct tm_rng rng;
    double sum = 0;
    int hits = 0;
    (void)state;
    tm_rng_init(&rng, 6);
    for (int i = 0; i < 100000; i++) {
        double x = tm_rng_exponential(&rng, 50);
        assert_true(x >= 0 && isfinite(x));
        sum += x;
        hits += tm_rng_chance(&rng, 0.25);
    }
    assert_true(fabs(sum / 100000 - 50) < 1);
    assert_in_range(hits, 24300, 25700);
}

/* Exact probabilities against counts: every rank of a small world, for exponents below, at and
 * above 1. */
static void zipf_draws_ranks_with_their_exact_shares(void **state)
{
    static const double exponents[] = { 0.5, 0.99, 1.0, 1.5, 3.0 };
    enum { RANKS = 10, DRAWS = 100000 };
    (void)state;
    for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
        struct tm_zipf z;
        struct tm_rng rng;
        unsigned seen[RANKS] = { 0 };
        double total = 0;
        tm_rng_init(&rng, e);
        tm_zipf_init(&z, RANKS, exponents[e]);
        for (int i = 0; i < DRAWS; i++) {
            uint64_t rank = tm_zipf_next(&z, &rng);
            assert_true(rank < RANKS);
            seen[rank]++;
        }
        for (int k = 1; k <= RANKS; k++)
            total += pow(k, -exponents[e]);
        for (int k = 1; k <= RANKS; k++) {
            double p = pow(k, -exponents[e]) / total, sigma = sqrt(DRAWS * p * (1 - p));
            if (fabs(seen[k - 1] - DRAWS * p) > 5 * sigma + 1)
                fail_msg("exponent %g rank %d: %u draws, expected %g", exponents[e], k, seen[k - 1],
                         DRAWS * p);
        }
    }
}

static void zipf_of_one_rank_and_of_many_stays_in_range(void **state)
{
    struct tm_zipf z;
    struct tm_rng rng;
    (void)state;
    tm_rng_init(&rng, 1);
    tm_zipf_init(&z, 1, 1.1);
    assert_int_equal(tm_zipf_next(&z, &rng), 0);
    tm_zipf_init(&z, 20000, 0.99);
    for (int i = 0; i < 100000; i++)
        assert_true(tm_zipf_next(&z, &rng) < 20000);
}

/* ---- text ---- */

static void ids_get_the_suffix_salesforce_gives_them(void **state)
{
    static const char *const pairs[][2] = {
        /* published examples of 15 and 18 character ids */
        { "001A0000006Vm9r", "001A0000006Vm9rIAC" },
        { "0017F000002bZPa", "0017F000002bZPaQAM" },
        { "005000000000000", "005000000000000AAA" },
    };
    char out[TM_ID_BYTES];
    struct tm_err err = { .code = TM_OK };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(tm_id18(out, pairs[i][0], &err), TM_OK);
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(tm_id18(out, pairs[i][1], &err), TM_OK);
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(tm_id18(out, out, &err), TM_OK); /* in place */
    }
}

static void ids_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "001",
                                       "001A0000006Vm9",
                                       "001A0000006Vm9rIAD",
                                       "001A0000006Vm9-",
                                       "001A0000006Vm9rIA",
                                       "000000000000000AAA",
                                       "000000000000000" };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char out[TM_ID_BYTES];
        struct tm_err err = { .code = TM_OK };
        assert_int_equal(tm_id18(out, bad[i], &err), TM_E_ARG);
    }
}

static void times_parse_in_every_spelling_of_the_wire(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } want[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2021-03-05T10:15:30.000Z", 1614939330000 },
        { "2021-03-05T10:15:30.000+0000", 1614939330000 },
        { "2021-03-05T12:15:30.123456789+02:00", 1614939330123 },
        { "2021-03-05T04:45:30.5-05:30", 1614939330500 },
        { "1969-12-31T23:59:59.999Z", -1 },
        { "2000-02-29T00:00:00Z", 951782400000 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        int64_t ms = 0;
        struct tm_err err = { .code = TM_OK };
        assert_int_equal(tm_time_parse(&ms, want[i].text, &err), TM_OK);
        assert_int_equal(ms, want[i].ms);
    }
}

static void times_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "2021",
                                       "2021-03-05",
                                       "2021-03-05T10:15:30",
                                       "2021-13-05T10:15:30Z",
                                       "2021-02-30T10:15:30Z",
                                       "1900-02-29T00:00:00Z",
                                       "2021-03-05T24:00:00Z",
                                       "2021-03-05T10:15:30.Z",
                                       "2021-03-05T10:15:30Zx",
                                       "2021-03-05 10:15:30Z",
                                       "2021-03-05T10:15:30+25:00" };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms;
        struct tm_err err = { .code = TM_OK };
        if (tm_time_parse(&ms, bad[i], &err) != TM_E_ARG)
            fail_msg("\"%s\" passed as a time", bad[i]);
    }
}

static void times_and_dates_round_trip(void **state)
{
    struct tm_rng rng;
    char text[TM_TIME_BYTES];
    struct tm_err err = { .code = TM_OK };
    (void)state;
    tm_rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        /* years 1 to 9999 */
        int64_t ms = tm_rng_between(&rng, -62135596800000, 253402300799999), back;
        assert_int_equal(tm_time_parse(&back, tm_time_z(text, ms), &err), TM_OK);
        assert_int_equal(back, ms);
        assert_int_equal(tm_time_parse(&back, tm_time_rest(text, ms), &err), TM_OK);
        assert_int_equal(back, ms);
        int32_t days = (int32_t)tm_rng_between(&rng, -719162, 2932896), days_back;
        assert_int_equal(tm_date_parse(&days_back, tm_date_text(text, days), &err), TM_OK);
        assert_int_equal(days_back, days);
    }
    assert_string_equal(tm_time_z(text, -1), "1969-12-31T23:59:59.999Z");
    assert_string_equal(tm_date_text(text, 0), "1970-01-01");
    int32_t days;
    assert_int_equal(tm_date_parse(&days, "2021-02-29", &err), TM_E_ARG);
}

static void a_text_that_was_cut_keeps_whole_letters_only(void **state)
{
    static const char *const texts[][2] = {
        { "", "" },
        { "ebb", "ebb" },
        { "\u20ac\u00e9\U0001f30a", "\u20ac\u00e9\U0001f30a" },
        { "a\xe2\x82", "a" },           /* at the end */
        { "a\xe2\x82 or b", "a or b" }, /* in the middle */
        { "\x82\xac\u20ac", "\u20ac" }, /* at the start */
        { "\xed\xa0\x80|\xc0\x80|\xff", "||" },
    };
    char text[40];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(text, sizeof text, "%s", texts[i][0]);
        tm_text_cut(text);
        assert_string_equal(text, texts[i][1]);
    }
}

static void names_become_sql_names_and_neighbours_are_found(void **state)
{
    static const char *const words[] = { "tasks.max", "topics", "batchSize" };
    char out[32], small[4];
    (void)state;
    tm_name_sanitize(out, sizeof out, "sfdc.cdc-x_Raw");
    assert_string_equal(out, "sfdc_cdc_x_Raw");
    tm_name_sanitize(out, sizeof out, "9.a");
    assert_string_equal(out, "_9_a");
    tm_name_sanitize(small, sizeof small, "abcdef");
    assert_string_equal(small, "abc");
    tm_name_lower(out, sizeof out, "OpporTunity__c");
    assert_string_equal(out, "opportunity__c");
    assert_string_equal(tm_nearest("task.max", words, 3), "tasks.max");
    assert_string_equal(tm_nearest("batchsiez", words, 3), "batchSize");
    assert_null(tm_nearest("entirely", words, 3));
    assert_true(tm_hash64("a", 1, 0) != tm_hash64("b", 1, 0));
    assert_true(tm_hash64("a", 1, 0) != tm_hash64("a", 1, 1));
}

/* ---- buf ---- */

static void numbers_are_written_in_decimal_whatever_their_size(void **state)
{
    const int64_t numbers[] = { 0, 7, -1, 1772438400000, INT64_MAX, INT64_MIN };
    struct tm_buf mine, theirs;
    (void)state;
    tm_buf_init(&mine, 256);
    tm_buf_init(&theirs, 256);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        tm_buf_add_int(&mine, numbers[i]);
        tm_buf_addf(&theirs, "%lld", (long long)numbers[i]);
        tm_buf_addc(&mine, ' ');
        tm_buf_addc(&theirs, ' ');
    }
    assert_string_equal(tm_buf_text(&mine), tm_buf_text(&theirs));
    tm_buf_free(&mine);
    tm_buf_free(&theirs);
}

static void buf_grows_to_its_bound_and_the_first_failure_sticks(void **state)
{
    struct tm_buf b;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    tm_buf_init(&b, 300);
    assert_string_equal(tm_buf_text(&b), "");
    for (int i = 0; i < 300; i++)
        tm_buf_addc(&b, 'x');
    assert_int_equal(tm_buf_check(&b, "test", &err), TM_OK);
    tm_buf_addc(&b, 'y');
    assert_int_equal(b.bytes, 300);
    assert_int_equal(tm_buf_check(&b, "test", &err), TM_E_LIMIT);
    assert_non_null(strstr(err.msg, "test: more than 300 bytes"));
    tm_buf_add(&b, "", 0);
    assert_int_equal(b.failed, TM_E_LIMIT);
    tm_buf_reset(&b);
    tm_buf_addf(&b, "%0280d|%s", 7, "end");
    assert_int_equal(b.bytes, 284);
    assert_string_equal(b.data + 279, "7|end");
    tm_buf_addf(&b, "%0290d", 7);
    assert_int_equal(b.failed, TM_E_LIMIT);
    tm_buf_free(&b);
    tm_buf_free(&b);
}

static void buf_escapes_for_urls_and_json(void **state)
{
    struct tm_buf b;
    static const char raw[] = "a\"\\\n\x01\x00z";
    (void)state;
    tm_buf_init(&b, 1000);
    tm_buf_add_urlencoded(&b, "a b&c=d/\xc3\xa9-._~");
    assert_string_equal(tm_buf_text(&b), "a%20b%26c%3Dd%2F%C3%A9-._~");
    tm_buf_reset(&b);
    tm_buf_add_json_string(&b, raw, sizeof raw - 1);
    assert_string_equal(tm_buf_text(&b), "\"a\\\"\\\\\\n\\u0001\\u0000z\"");
    tm_buf_free(&b);
}

static void buf_json_strings_are_utf8_whatever_comes(void **state)
{
    static const struct {
        const char *raw, *json;
    } all[] = {
        { "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x8c\x8a", "\"\xc3\xa9\xe6\x97\xa5\xf0\x9f\x8c\x8a\"" },
        { "a\x97z", "\"a\\ufffdz\"" },                   /* a byte that begins nothing */
        { "\xc0\xaf", "\"\\ufffd\\ufffd\"" },            /* not the shortest form */
        { "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" }, /* a surrogate */
        { "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
        { "x\xe6\x97", "\"x\\ufffd\\ufffd\"" }, /* cut */
        { "\xc3\"", "\"\\ufffd\\\"\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct tm_buf b;
        tm_buf_init(&b, 100);
        tm_buf_add_json_string(&b, all[i].raw, strlen(all[i].raw));
        assert_string_equal(tm_buf_text(&b), all[i].json);
        tm_buf_free(&b);
    }
}

/* ---- sql ---- */

static void sql_quotes_hostile_names_and_texts(void **state)
{
    static const char *const hostile[] = { "a\"b", "a'b", "x\"; DROP TABLE t; --", "", "select",
                                           "\"\"", "'" };
    sqlite3 *db = NULL;
    struct tm_err err = { .code = TM_OK };
    struct tm_buf sql;
    (void)state;
    tm_buf_init(&sql, 4096);
    assert_int_equal(tm_sql_open(&db, ":memory:", TM_SQL_CREATE, &err), TM_OK);
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        sqlite3_stmt *stmt = NULL;
        bool row = false;
        tm_buf_reset(&sql);
        tm_buf_addz(&sql, "SELECT ");
        tm_sql_literal(&sql, hostile[i]);
        tm_buf_addz(&sql, " AS ");
        tm_sql_ident(&sql, *hostile[i] ? hostile[i] : "empty");
        assert_int_equal(tm_sql_prepare(&stmt, db, tm_buf_text(&sql), &err), TM_OK);
        assert_int_equal(tm_sql_step(stmt, &row, &err), TM_OK);
        assert_true(row);
        assert_string_equal((const char *)sqlite3_column_text(stmt, 0), hostile[i]);
        assert_string_equal(sqlite3_column_name(stmt, 0), *hostile[i] ? hostile[i] : "empty");
        sqlite3_finalize(stmt);
    }
    tm_buf_free(&sql);
    tm_sql_close(db);
}

static void sql_busy_is_again_and_errors_name_file_and_statement(void **state)
{
    sqlite3 *a = NULL, *b = NULL;
    struct tm_err err = { .code = TM_OK };
    int64_t n = 0;
    (void)state;
    assert_int_equal(tm_sql_open(&a, folder_path("w.db"), TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(tm_sql_open(&b, folder_path("w.db"), TM_SQL_WRITE, &err), TM_OK);
    assert_int_equal(
        tm_sql_exec(a, "CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES (7)", &err),
        TM_OK);
    assert_int_equal(tm_sql_exec(b, "BEGIN IMMEDIATE", &err), TM_E_AGAIN);
    assert_int_equal(err.code, TM_OK);
    assert_int_equal(tm_sql_exec(a, "COMMIT", &err), TM_OK);
    assert_int_equal(tm_sql_int64(&n, b, "SELECT x FROM t", &err), TM_OK);
    assert_int_equal(n, 7);
    assert_int_equal(tm_sql_execf(b, &err, "INSERT INTO %Q VALUES (1)", "nowhere"), TM_E_IO);
    assert_non_null(strstr(err.msg, "w.db"));
    assert_non_null(strstr(err.msg, "nowhere"));
    tm_err_clear(&err);
    tm_sql_close(b);
    assert_int_equal(tm_sql_open(&b, folder_path("w.db"), TM_SQL_READ, &err), TM_OK);
    assert_int_equal(tm_sql_exec(b, "INSERT INTO t VALUES (8)", &err), TM_E_IO);
    tm_err_clear(&err);
    tm_sql_close(b);
    tm_sql_close(a);
    assert_int_equal(tm_sql_open(&b, folder_path("no/such/folder.db"), TM_SQL_CREATE, &err),
                     TM_E_ARG);
    assert_non_null(strstr(err.msg, "no/such/folder.db"));
    tm_err_clear(&err);
    assert_int_equal(tm_sql_open(&b, folder_path("missing.db"), TM_SQL_READ, &err), TM_E_IO);
}

static void *release_soon(void *db)
{
    usleep(50 * 1000); /* so that the other side meets the lock */
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    return NULL;
}

/* Somebody looks into a file that is not WAL yet while its owner opens it for the first time. */
static void sql_the_first_open_waits_for_who_is_looking(void **state)
{
    sqlite3 *looking = NULL, *owner = NULL;
    struct tm_err err = { .code = TM_OK };
    pthread_t thread;
    (void)state;
    assert_int_equal(sqlite3_open(folder_path("new.db"), &looking), SQLITE_OK);
    assert_int_equal(sqlite3_exec(looking, "CREATE TABLE t(x); BEGIN EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(pthread_create(&thread, NULL, release_soon, looking), 0);
    if (tm_sql_open(&owner, folder_path("new.db"), TM_SQL_CREATE, &err) != TM_OK)
        print_error("%s\n", err.msg);
    pthread_join(thread, NULL);
    assert_non_null(owner);
    assert_int_equal(sqlite3_close(looking), SQLITE_OK);
    tm_sql_close(owner);
}

/* ---- trace ---- */

static void trace_appends_marks_of_24_bytes(void **state)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_trace_mark marks[5];
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct tm_trace *t = NULL;
        assert_int_equal(tm_trace_open(&t, folder_path("trace"), &err), TM_OK);
        tm_trace_add(t, TM_TRACE_RECEIVED, "Opportunity", 7 + round, 100);
        tm_trace_add(t, TM_TRACE_PRODUCED, "OPPORTUNITY", 7 + round, 200);
        tm_trace_flush(t);
        tm_trace_close(t);
    }
    FILE *f = fopen(folder_path("trace"), "r");
    assert_non_null(f);
    assert_int_equal(sizeof marks[0], 24);
    assert_int_equal(fread(marks, sizeof marks[0], 5, f), 4);
    fclose(f);
    assert_int_equal(marks[0].kind, TM_TRACE_RECEIVED);
    assert_int_equal(marks[3].kind, TM_TRACE_PRODUCED);
    assert_int_equal(marks[3].key, 8);
    assert_int_equal(marks[3].wall_ns, 200);
    assert_int_equal(marks[0].object_hash, marks[1].object_hash);
    assert_int_equal(marks[0].object_hash, tm_trace_object_hash("opportunity"));
    assert_true(tm_trace_object_hash("Account") != marks[0].object_hash);
    tm_trace_add(NULL, TM_TRACE_FETCHED, "Account", 1, 1); /* no trace: nothing happens */
    tm_trace_flush(NULL);
    tm_trace_close(NULL);
}

static void the_quickest_exchange_tells_another_clock_best(void **state)
{
    struct tm_clock_offset best = { 0, -1 };
    (void)state;
    tm_clock_compare(&best, 1000, 1400, 51200);
    assert_int_equal(best.offset_ns, 50000);
    assert_int_equal(best.bound_ns, 200);
    tm_clock_compare(&best, 2000, 3000, 52999); /* slower: tells less */
    assert_int_equal(best.offset_ns, 50000);
    tm_clock_compare(&best, 4000, 4101, 54090);
    assert_int_equal(best.offset_ns, 50040);
    assert_int_equal(best.bound_ns, 51);
    tm_clock_compare(&best, 6000, 6001, 5000); /* behind ours */
    assert_int_equal(best.offset_ns, -1000);
    /* Whenever between sending and receiving it was read, the truth (70) is within the bound. */
    for (int64_t read = 0; read <= 99; read++) {
        best = (struct tm_clock_offset){ 0, -1 };
        tm_clock_compare(&best, 500, 599, 500 + read + 70);
        assert_in_range(best.offset_ns + best.bound_ns, 70, 70 + 2 * best.bound_ns);
    }
}

/* Two clocks that stand 50 us apart, and run 100 ppm apart from then on. */
static void between_comparisons_a_clock_is_known_by_its_drift(void **state)
{
    const struct tm_clock_seen seen[] = { { 1000000000, { 50000, 200 } },
                                          { 2000000000, { 150000, 300 } } };
    struct tm_clock_offset at;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_clock_offset_at(&at, seen, 2, 1000000000, &err), TM_OK);
    assert_int_equal(at.offset_ns, 50000); /* a comparison holds where it was made */
    assert_int_equal(at.bound_ns, 200);
    for (int64_t t = 1000000000; t <= 2000000000; t += 50000000) {
        int64_t truth = 50000 + (t - 1000000000) / 10000;
        assert_int_equal(tm_clock_offset_at(&at, seen, 2, t, &err), TM_OK);
        assert_true(llabs(at.offset_ns - truth) <= at.bound_ns);
        assert_true(at.bound_ns <= 250300); /* half a second of 500 ppm, and the comparison's own */
    }
    /* Beyond the last one only the drift bounds it: 2 s of 500 ppm are 1 ms. */
    assert_int_equal(tm_clock_offset_at(&at, seen, 2, 4000000000, &err), TM_OK);
    assert_int_equal(at.offset_ns, 150000);
    assert_int_equal(at.bound_ns, 1000300);
    assert_int_equal(tm_clock_offset_at(&at, seen, 2, 0, &err), TM_OK);
    assert_int_equal(at.bound_ns, 500200);
    /* No clock drifts by a millisecond in a second: one was set. */
    const struct tm_clock_seen set[] = { seen[0], { 2000000000, { 2050000, 300 } } };
    assert_int_equal(tm_clock_offset_at(&at, set, 2, 1500000000, &err), TM_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_keeps_the_first_cause_and_grows_context_outwards),
        cmocka_unit_test(err_cuts_long_texts_and_stays_terminated),
        cmocka_unit_test(err_codes_map_to_the_documented_exits),
        cmocka_unit_test(clock_map_stands_still_then_runs_compressed_and_inverts),
        cmocka_unit_test(clock_map_does_not_overflow_after_years),
        cmocka_unit_test(clock_file_shows_one_org_time_to_its_readers),
        cmocka_unit_test(clock_file_of_another_kind_is_refused),
        cmocka_unit_test(rng_repeats_by_seed_and_forks_by_name),
        cmocka_unit_test(rng_below_and_between_keep_their_bounds_and_fill_them_evenly),
        cmocka_unit_test(rng_exponential_has_its_mean_and_chance_its_share),
        cmocka_unit_test(zipf_draws_ranks_with_their_exact_shares),
        cmocka_unit_test(zipf_of_one_rank_and_of_many_stays_in_range),
        cmocka_unit_test(ids_get_the_suffix_salesforce_gives_them),
        cmocka_unit_test(ids_that_are_none_are_refused),
        cmocka_unit_test(times_parse_in_every_spelling_of_the_wire),
        cmocka_unit_test(times_that_are_none_are_refused),
        cmocka_unit_test(times_and_dates_round_trip),
        cmocka_unit_test(a_text_that_was_cut_keeps_whole_letters_only),
        cmocka_unit_test(names_become_sql_names_and_neighbours_are_found),
        cmocka_unit_test(numbers_are_written_in_decimal_whatever_their_size),
        cmocka_unit_test(buf_grows_to_its_bound_and_the_first_failure_sticks),
        cmocka_unit_test(buf_escapes_for_urls_and_json),
        cmocka_unit_test(buf_json_strings_are_utf8_whatever_comes),
        cmocka_unit_test(sql_quotes_hostile_names_and_texts),
        cmocka_unit_test(sql_busy_is_again_and_errors_name_file_and_statement),
        cmocka_unit_test(sql_the_first_open_waits_for_who_is_looking),
        cmocka_unit_test(trace_appends_marks_of_24_bytes),
        cmocka_unit_test(the_quickest_exchange_tells_another_clock_best),
        cmocka_unit_test(between_comparisons_a_clock_is_known_by_its_drift),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
