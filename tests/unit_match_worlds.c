/* match in small worlds: one record of two states and "deleted" that changes five times, so that
 * states return, under every display that only ever goes forward. Second method: all ways to
 * explain what was displayed by versions. Nothing may travel in time, stay unseen, or be dated
 * outside what some explanation allows; the area under "versions behind" is the sum of the
 * latencies. */
#include "check/selftest.h"
#include "tests/support_history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define CHANGES 5
#define LOOKS (CHANGES + 1) /* one after each change, and one at the end, which shows the last */
#define STATES 3            /* 0, 1: values of Amount; 2: deleted */
#define COMMIT(k) (10.0 * (k))
#define LOOK(k) ((k) == LOOKS ? COMMIT(CHANGES) + 7 : COMMIT(k) + 5)

struct world {
    int states[CHANGES + 1]; /* of the version; 0: as created */
    int shown[LOOKS + 1];    /* the version on display after the look */
    int64_t pos[CHANGES + 1];
};
struct bounds {
    int lo[CHANGES + 1], hi[CHANGES + 1]; /* look that first shows the version, or a later one */
};

/* All non-decreasing explanations of what the looks from `look` on display. */
static void explain(struct bounds *b, const struct world *w, int *as, int look)
{
    if (look > LOOKS) {
        for (int v = 1; v <= CHANGES; v++) {
            int first = 1;
            while (as[first] < v)
                first++;
            b->lo[v] = first < b->lo[v] ? first : b->lo[v];
            b->hi[v] = first > b->hi[v] ? first : b->hi[v];
        }
        return;
    }
    int committed = look < LOOKS ? look : CHANGES;
    int least = look == LOOKS ? CHANGES : as[look - 1];
    for (int v = least; v <= committed; v++)
        if (w->states[v] == w->states[w->shown[look]]) {
            as[look] = v;
            explain(b, w, as, look + 1);
        }
}

static void world_commit(struct history_stand *s, struct world *w, int n)
{
    char fields[100];
    history_commit(s->org, n, "CREATE", NULL, -1,
                   "{\"Name\":\"a\",\"Stage\":\"new\",\"Amount\":0,\"Private\":0}");
    for (int k = 1; k <= CHANGES; k++) {
        bool gone = w->states[k] == 2, back = w->states[k - 1] == 2;
        snprintf(fields, sizeof fields,
                 back ? "{\"Name\":\"a\",\"Stage\":\"new\",\"Amount\":%d,\"Private\":0}"
                      : "{\"Amount\":%d}",
                 w->states[k]);
        w->pos[k] = history_commit(s->org, n,
                                   gone   ? "DELETE"
                                   : back ? "UNDELETE"
                                          : "UPDATE",
                                   "", COMMIT(k), gone ? "{}" : fields);
    }
}

/* A reader keeps what changed. */
static void world_show(struct history_stand *s, const struct world *w, int n)
{
    history_show(s, n, 0, -100, "a", "new", 0, 0, history_stamp(-1), 0);
    for (int k = 1; k <= LOOKS; k++) {
        int state = w->states[w->shown[k]];
        if (state == w->states[w->shown[k - 1]])
            continue;
        if (state == 2)
            history_hide(s, n, LOOK(k), 0);
        else
            history_show(s, n, LOOK(k), 0, "a", "new", state, 0, history_stamp(-1), 0);
    }
}

/* The first look at or after that instant. */
static int world_look_at(int64_t wall_ns)
{
    int k = 1;
    while (k < LOOKS && history_wall_ns(LOOK(k)) < wall_ns)
        k++;
    return k;
}

static void world_judge(const struct history_stand *s, const struct world *w)
{
    struct bounds b;
    int as[LOOKS + 1] = { 0 };
    for (int v = 1; v <= CHANGES; v++)
        b.lo[v] = LOOKS + 1, b.hi[v] = 0;
    explain(&b, w, as, 1);
    for (int v = 1; v <= CHANGES; v++) {
        const struct tm_sample *m = history_sample(s, w->pos[v]);
        assert_true((m->flags & TM_SAMPLE_SEEN) != 0);
        assert_true(m->lo_ns <= m->hi_ns);
        assert_in_range(world_look_at(m->hi_ns), b.lo[v], b.hi[v]);
        assert_true(world_look_at(m->lo_ns) <= b.hi[v]);
    }
}

/* Every display of one history: versions after each look that never go back. */
static void worlds_of(struct world *all, size_t *count, const int *states, int look)
{
    struct world *w = &all[*count];
    if (look == LOOKS) {
        w->shown[LOOKS] = CHANGES;
        all[*count + 1] = *w;
        ++*count;
        return;
    }
    for (int v = w->shown[look - 1]; v <= look; v++) {
        w = &all[*count];
        memcpy(w->states, states, sizeof w->states);
        w->shown[look] = v;
        worlds_of(all, count, states, look + 1);
    }
}

static void judge_history(const int *states)
{
    static struct world all[200];
    static int number;
    char name[32], same[120];
    struct history_stand s;
    struct tm_area area;
    struct tm_err err = { 0 };
    size_t count = 0;
    memset(all, 0, sizeof all);
    worlds_of(all, &count, states, 1);
    assert_int_equal(count, 132); /* the sixth Catalan number: monotone paths below the diagonal */
    snprintf(name, sizeof name, "world%d", number++);
    history_stand_open(&s, name);
    history_exec(s.org, "BEGIN");
    for (size_t i = 0; i < count; i++)
        world_commit(&s, &all[i], (int)i);
    /* no stamp tells a state from the same one later */
    snprintf(same, sizeof same,
             "UPDATE history SET fields = json_replace(fields, '$.LastModifiedDate', %lld); COMMIT",
             (long long)history_stamp(-1));
    history_exec(s.org, same);
    for (size_t i = 0; i < count; i++)
        world_show(&s, &all[i], (int)i);
    history_match(&s);
    assert_int_equal(s.match->time_travels, 0);
    assert_int_equal(history_differing(&s), 0);
    for (size_t i = 0; i < count; i++)
        world_judge(&s, &all[i]);
    assert_int_equal(tm_selftest_area(&area, s.truth, s.match, &s.timing, &err), TM_OK);
    assert_int_equal(area.first_wrong, TM_TRUTH_NONE);
    assert_int_equal(area.expected_us, area.measured_us);
    assert_int_equal(area.unordered, 0);
    history_stand_close(&s);
}

static void each_history(int *states, int k)
{
    if (k > CHANGES) {
        judge_history(states);
        return;
    }
    for (states[k] = 0; states[k] < STATES; states[k]++)
        if (states[k] != states[k - 1])
            each_history(states, k + 1);
}

static void states_that_return_are_dated_within_what_explains_them(void **state)
{
    int states[CHANGES + 1] = { 0 };
    (void)state;
    each_history(states, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_that_return_are_dated_within_what_explains_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
