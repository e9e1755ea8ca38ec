/* SQLite's memory by lists of sizes (simulate/memory.h), asked for as SQLite asks. */
#include "base/rng.h"
#include "simulate/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <string.h>

#define BLOCKS 300
#define BYTES_MAX 12000 /* lists end at some 5,000 */
#define ROUNDS 40000

struct held {
    unsigned char *at;
    int bytes;
    unsigned char mark;
};

static void marked(const struct held *h, int bytes)
{
    for (int i = 0; i < bytes; i++)
        assert_int_equal(h->at[i], h->mark);
}

static void give(struct held *h, int bytes, unsigned char mark)
{
    assert_non_null(h->at);
    assert_int_equal((uintptr_t)h->at % 8, 0);
    assert_true(sqlite3_msize(h->at) >= (sqlite3_uint64)bytes);
    h->bytes = bytes;
    h->mark = mark;
    memset(h->at, mark, (size_t)bytes);
}

static int size(struct tm_rng *rng)
{
    return (int)tm_rng_between(rng, 1, tm_rng_chance(rng, 0.8) ? 400 : BYTES_MAX);
}

static void no_block_touches_another_and_growing_keeps_what_was_written(void **state)
{
    static struct held all[BLOCKS];
    struct tm_rng rng;
    (void)state;
    tm_rng_init(&rng, 1);
    for (int i = 0; i < ROUNDS; i++) {
        struct held *h = &all[tm_rng_between(&rng, 0, BLOCKS - 1)];
        int bytes = size(&rng);
        unsigned char mark = (unsigned char)i;
        if (h->at == NULL) {
            h->at = sqlite3_malloc(bytes);
            give(h, bytes, mark);
        } else if (tm_rng_chance(&rng, 0.5)) {
            marked(h, h->bytes);
            sqlite3_free(h->at);
            h->at = NULL;
        } else {
            marked(h, h->bytes);
            h->at = sqlite3_realloc(h->at, bytes);
            assert_non_null(h->at);
            marked(h, bytes < h->bytes ? bytes : h->bytes);
            give(h, bytes, mark);
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (all[i].at != NULL)
            marked(&all[i], all[i].bytes);
        sqlite3_free(all[i].at);
    }
}

static void a_database_holds_rows_of_every_size(void **state)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TABLE t(n INTEGER PRIMARY KEY, b); CREATE INDEX i ON t(b);"
                     "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<600)"
                     " INSERT INTO t SELECT n, zeroblob(n*n) FROM c;"
                     "DELETE FROM t WHERE n%3=0; UPDATE t SET b=zeroblob(length(b)+1)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT sum(length(b)=n*n+1), count(*), "
                                        "(SELECT integrity_check FROM pragma_integrity_check) "
                                        "FROM t",
                                        -1, &s, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(s, 0), 400);
    assert_int_equal(sqlite3_column_int(s, 1), 400);
    assert_string_equal((const char *)sqlite3_column_text(s, 2), "ok");
    sqlite3_finalize(s);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_block_touches_another_and_growing_keeps_what_was_written),
        cmocka_unit_test(a_database_holds_rows_of_every_size),
    };
    tm_sim_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
