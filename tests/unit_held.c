/* Requests that wait, against a list that is looked through from end to end. */
#include "base/rng.h"
#include "mocks/http/held.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define MEMBERS 300

static void members_are_found_by_token_and_come_out_as_they_are_due(void **state)
{
    static struct tm_held_member members[MEMBERS];
    static bool in[MEMBERS];
    struct tm_held *h = calloc(1, sizeof *h);
    struct tm_rng rng;
    (void)state;
    assert_non_null(h);
    tm_rng_init(&rng, 11);
    for (int round = 0; round < 20000; round++) {
        size_t i = (size_t)tm_rng_below(&rng, MEMBERS);
        uint64_t token = 1 + i * (i % 3 == 0 ? TM_HELD_BUCKETS : 1); /* some share a bucket */
        if (in[i])
            tm_held_remove(h, &members[i]);
        else
            assert_true(tm_held_add(h, &members[i], token,
                                    (struct tm_wake){ (int64_t)tm_rng_below(&rng, 1000),
                                                      (int64_t)tm_rng_below(&rng, 1000) }));
        in[i] = !in[i];
        struct tm_wake want = { TM_NEVER, TM_NEVER }, got = { TM_NEVER, TM_NEVER };
        for (size_t k = 0; k < MEMBERS; k++) {
            want.org_ms =
                in[k] && members[k].due[0] < want.org_ms ? members[k].due[0] : want.org_ms;
            want.wall_ns =
                in[k] && members[k].due[1] < want.wall_ns ? members[k].due[1] : want.wall_ns;
        }
        tm_held_wake(h, &got);
        assert_int_equal(got.org_ms, want.org_ms);
        assert_int_equal(got.wall_ns, want.wall_ns);
        assert_ptr_equal(tm_held_find(h, token), in[i] ? &members[i] : NULL);
        struct tm_now now = { want.org_ms == TM_NEVER ? 0 : want.org_ms, -1 };
        struct tm_held_member *due = tm_held_due(h, &now);
        assert_true(want.org_ms == TM_NEVER ? due == NULL : due->due[0] == want.org_ms);
        now = (struct tm_now){ -1, want.wall_ns == TM_NEVER ? 0 : want.wall_ns };
        due = tm_held_due(h, &now);
        assert_true(want.wall_ns == TM_NEVER ? due == NULL : due->due[1] == want.wall_ns);
        assert_null(tm_held_due(h, &(struct tm_now){ -1, -1 }));
    }
    for (struct tm_held_member *m; (m = tm_held_any(h)) != NULL;)
        tm_held_remove(h, m);
    tm_held_free(h);
    free(h);
}

static void nothing_held_is_never_due(void **state)
{
    struct tm_held *h = calloc(1, sizeof *h);
    struct tm_wake wake = { 5, 6 };
    (void)state;
    assert_null(tm_held_due(h, &(struct tm_now){ INT64_MAX, INT64_MAX }));
    assert_null(tm_held_any(h));
    assert_null(tm_held_find(h, 1));
    tm_held_wake(h, &wake);
    assert_int_equal(wake.org_ms, 5);
    assert_int_equal(wake.wall_ns, 6);
    tm_held_free(h);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_by_token_and_come_out_as_they_are_due),
        cmocka_unit_test(nothing_held_is_never_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
