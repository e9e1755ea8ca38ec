/* The source where a replay line breaks just at its last position, and where one event names more
 * than one whole object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "event/contract.h"
#include "tests/support_event.h"
#include "tests/support_source.h"

#define RAW "sfdc.cdc.opportunity_raw"
#define ID1 "006000000000001AAA"
#define ONLY1 "[\"" ID1 "\"]"
#define COMMIT_MS 1655997704000 /* of support_change's events */
#define LATER_MS 600000

static int setup(void **state)
{
    static struct source_world w;
    source_world_open(&w);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    source_world_close(*state);
    return 0;
}

static void run(struct source_world *w)
{
    char text[700];
    if (source_world_run(w) != TM_OK)
        fail_msg("%s", tm_err_text(&w->err, text, sizeof text));
}

static void put(struct source_world *w, int64_t replay_id, const char *ids, int64_t commit_ms,
                const char *fields)
{
    json_t *event = support_change("Opportunity", "UPDATE", replay_id, ids, "[]", fields);
    json_t *header = json_object_get(json_object_get(event, "payload"), "ChangeEventHeader");
    json_object_set_new(header, "commitTimestamp", json_integer(commit_ms));
    source_world_event(w, event);
}

/* All that is listened to comes from here on, as if from the beginning. */
static void deliver_anew(struct source_world *w)
{
    json_array_clear(w->org.events);
    w->org.position = 0;
}

/* How many records of the topic have this replay id, and this epoch. */
static size_t records_of(struct source_world *w, const char *replay_id, int64_t epoch)
{
    json_t *all = source_world_records(w, RAW), *record;
    size_t i, count = 0;
    json_array_foreach(all, i, record)
    {
        const char *at = json_string_value(json_object_get(record, "ReplayId"));
        count += strcmp(at, replay_id) == 0 &&
                 json_integer_value(json_object_get(record, "_epoch")) == epoch;
    }
    json_decref(all);
    return count;
}

/* An org restored elsewhere gives its next event the number that the last one had. */
static void another_event_at_the_last_replay_id_begins_a_new_epoch(void **state)
{
    struct source_world *w = *state;
    source_world_start(w);
    run(w);
    put(w, 500, ONLY1, COMMIT_MS, "{}");
    run(w);
    deliver_anew(w);
    put(w, 500, ONLY1, COMMIT_MS + LATER_MS, "{}");
    run(w);
    assert_int_equal(tm_source_counts(w->source)->epochs, 1);
    assert_int_equal(records_of(w, "500", 0), 1);
    assert_int_equal(records_of(w, "500", 1), 1);
}

static void the_last_event_delivered_again_does_not(void **state)
{
    struct source_world *w = *state;
    source_world_start(w);
    run(w);
    put(w, 499, ONLY1, COMMIT_MS - LATER_MS, "{}");
    put(w, 500, ONLY1, COMMIT_MS, "{}");
    run(w);
    w->org.position = 0; /* both come again */
    run(w);
    put(w, 501, ONLY1, COMMIT_MS, "{}");
    run(w);
    assert_int_equal(tm_source_counts(w->source)->epochs, 0);
    assert_true(records_of(w, "500", 0) >= 1);
}

/* Nobody could read when it was committed: it proves nothing about the line when it comes again,
 * and can be read then. */
static void an_event_that_was_kept_aside_and_comes_again_does_not(void **state)
{
    struct source_world *w = *state;
    source_world_start(w);
    run(w);
    put(w, 499, ONLY1, COMMIT_MS, "{}");
    put(w, 500, ONLY1, COMMIT_MS + LATER_MS, "{\"Amount\":\"twelve\"}");
    run(w);
    assert_int_equal(tm_source_counts(w->source)->aside, 1);
    deliver_anew(w);
    put(w, 500, ONLY1, COMMIT_MS + LATER_MS, "{\"Amount\":12}");
    run(w);
    assert_int_equal(tm_source_counts(w->source)->epochs, 0);
    assert_int_equal(records_of(w, "500", 0), 1);
}

static void each_whole_object_of_one_event_reaches_every_partition(void **state)
{
    struct source_world *w = *state;
    source_world_start(w);
    run(w);
    put(w, 5, "[\"006*\",\"00Q*\"]", COMMIT_MS, "{}");
    run(w);
    assert_int_equal(records_of(w, "5", 0), 6);
    for (int32_t partition = 0; partition < 3; partition++)
        assert_int_equal(tm_mem_high(w->broker, RAW, partition), 2);
}

static void every_record_of_a_merged_event_gets_its_own(void **state)
{
    struct source_world *w = *state;
    source_world_start(w);
    run(w);
    put(w, 5,
        "[\"" ID1 "\",\"006000000000002AAA\",\"006000000000003AAA\",\"006000000000004AAA\","
        "\"006000000000005AAA\"]",
        COMMIT_MS, "{}");
    run(w);
    assert_int_equal(records_of(w, "5", 0), 5);
}

/* R14: at the highest that was received, whatever came last. */
static void an_older_event_that_comes_again_does_not_lower_the_position_of_a_copy(void **state)
{
    struct source_world *w = *state;
    source_world_set(w, "tidemark.audit.interval.ms", "60000");
    source_world_start(w);
    run(w);
    put(w, 5, ONLY1, COMMIT_MS, "{}");
    put(w, 9, ONLY1, COMMIT_MS, "{}");
    run(w);
    deliver_anew(w);
    put(w, 5, ONLY1, COMMIT_MS, "{}");
    run(w);
    assert_int_equal(tm_source_counts(w->source)->epochs, 0);
    w->now.org_ms += 60000;
    run(w);
    json_t *alerts = source_world_records(w, "alerts.sfdc.opportunity_gap_events"), *alert;
    const char *last = NULL;
    size_t i;
    json_array_foreach(alerts, i, alert)
    {
        if (strcmp(json_string_value(json_object_get(alert, "_reason")), "audit") == 0 &&
            json_integer_value(json_object_get(alert, "_partition")) == 0)
            last = json_string_value(json_object_get(alert, "ReplayId"));
    }
    assert_non_null(last);
    assert_string_equal(last, "9");
    json_decref(alerts);
}

#define WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(another_event_at_the_last_replay_id_begins_a_new_epoch),
        WORLD(the_last_event_delivered_again_does_not),
        WORLD(an_event_that_was_kept_aside_and_comes_again_does_not),
        WORLD(every_record_of_a_merged_event_gets_its_own),
        WORLD(an_older_event_that_comes_again_does_not_lower_the_position_of_a_copy),
        WORLD(each_whole_object_of_one_event_reaches_every_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
