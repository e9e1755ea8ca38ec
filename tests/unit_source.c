/* source: restart, duplicates, first copy, evolving schemas, broken replay lines, merged and
 * whole-object events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "event/contract.h"
#include "tests/support_command.h"
#include "tests/support_event.h"
#include "tests/support_source.h"

#define RAW "sfdc.cdc.opportunity_raw"
#define ALERTS "alerts.sfdc.opportunity_gap_events"
#define ID1 "006000000000001AAA"
#define ID2 "006000000000002AAA"
#define ID3 "006000000000003AAA"
#define ONLY1 "[\"" ID1 "\"]"

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

/* A process starts and runs until it waits. */
static void start(struct source_world *w)
{
    source_world_start(w);
    run(w);
}

/* The process dies and the next goes on from what is durable. */
static void restart(struct source_world *w)
{
    source_world_crash(w);
    start(w);
}

static void put(struct source_world *w, const char *type, int64_t replay_id, const char *ids,
                const char *fields)
{
    source_world_event(w, support_change("Opportunity", type, replay_id, ids, "[]", fields));
}

/* One more event about one record, and the source has seen it. */
static void put_and_run(struct source_world *w, const char *type, int64_t replay_id,
                        const char *ids, const char *fields)
{
    put(w, type, replay_id, ids, fields);
    run(w);
}

/* The source is live and has seen the record's creation at replay id 5. */
static void start_with_one(struct source_world *w)
{
    start(w);
    put_and_run(w, "CREATE", 5, ONLY1, "{}");
}

static void refused(struct source_world *w, enum tm_code code, const char *words)
{
    char text[700];
    assert_int_equal(source_world_run(w), code);
    assert_non_null(strstr(tm_err_text(&w->err, text, sizeof text), words));
}

static const char *text_of(const json_t *record, const char *field)
{
    return json_string_value(json_object_get(record, field));
}

/* The record of (id, replay id); fails unless it is there exactly `times` times. */
static const json_t *record_of(const json_t *all, const char *id, const char *replay_id,
                               size_t times)
{
    const json_t *record, *found = NULL;
    size_t i, count = 0;
    json_array_foreach(all, i, record)
    {
        if (strcmp(text_of(record, "Id"), id) != 0 ||
            strcmp(text_of(record, "ReplayId"), replay_id) != 0)
            continue;
        found = record;
        count++;
    }
    if (count != times)
        fail_msg("%s at %s: %zu records, not %zu", id, replay_id, count, times);
    return found;
}

/* The topic has the record of (id, replay id) so many times. */
static void holds(struct source_world *w, const char *topic, const char *id, const char *replay_id,
                  size_t times)
{
    json_t *all = source_world_records(w, topic);
    record_of(all, id, replay_id, times);
    json_decref(all);
}

static int64_t epoch_of(const json_t *record)
{
    return json_integer_value(json_object_get(record, "_epoch"));
}

/* How many records of a topic are of this epoch. */
static size_t of_epoch(const json_t *all, int64_t epoch)
{
    const json_t *record;
    size_t i, count = 0;
    json_array_foreach(all, i, record) count += epoch_of(record) == epoch;
    return count;
}

static void events_become_records_keyed_by_id(void **state)
{
    struct source_world *w = *state;
    start(w);
    put(w, "CREATE", 5, ONLY1,
        "{\"StageName\":\"New\",\"Amount\":10.5,\"CloseDate\":\"2026-03-02\"}");
    put_and_run(w, "UPDATE", 7, ONLY1, "{\"StageName\":null,\"Description\":{\"diff\":\"--- \"}}");
    json_t *all = source_world_records(w, RAW);
    const json_t *create = record_of(all, ID1, "5", 1), *update = record_of(all, ID1, "7", 1);
    assert_string_equal(text_of(create, "_key"), ID1);
    assert_string_equal(text_of(create, "StageName"), "New");
    assert_string_equal(text_of(create, "CloseDate"), "2026-03-02");
    assert_string_equal(text_of(create, "_ObjectType"), "OpportunityChangeEvent");
    assert_string_equal(text_of(create, "_EventType"), "I8b-dYxvxs5wOtCBr4qsew");
    assert_int_equal(epoch_of(create), 0);
    assert_string_equal(text_of(json_object_get(create, "ChangeEventHeader"), "changeType"),
                        "CREATE");
    assert_true(json_is_null(json_object_get(update, "StageName")));
    assert_true(json_is_null(json_object_get(update, "Description")));
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(update, "_DiffFields"), 0)),
        "Description");
    assert_int_equal(json_integer_value(json_object_get(create, "_partition")),
                     json_integer_value(json_object_get(update, "_partition")));
    json_decref(all);
}

static void the_first_copy_is_asked_once_of_every_partition(void **state)
{
    struct source_world *w = *state;
    source_world_set(w, "salesforce.initial.start", "all");
    put(w, "CREATE", 5, ONLY1, "{}");
    start(w);
    json_t *alerts = source_world_records(w, ALERTS);
    assert_int_equal(json_array_size(alerts), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *alert = json_array_get(alerts, i);
        assert_int_equal(json_integer_value(json_object_get(alert, "_partition")), (int)i);
        assert_string_equal(text_of(alert, "_kind"), "copy");
        assert_string_equal(text_of(alert, "_key"), "Opportunity");
    }
    assert_true(tm_source_live(w->source));
    json_decref(alerts);
    restart(w);
    alerts = source_world_records(w, ALERTS);
    assert_int_equal(json_array_size(alerts), 3); /* the checkpoint says it was asked */
    json_decref(alerts);
}

static void a_copy_before_any_event_is_asked_at_zero_and_nothing_after_it_is_missed(void **state)
{
    struct source_world *w = *state;
    start(w);
    assert_int_equal(w->org.subscribed_from, -1);
    json_t *alerts = source_world_records(w, ALERTS);
    assert_string_equal(text_of(json_array_get(alerts, 0), "ReplayId"), "0");
    json_decref(alerts);
    source_world_crash(w);
    put(w, "CREATE", 5, ONLY1, "{}"); /* while it is down */
    start(w);
    assert_int_equal(w->org.subscribed_from, -2);
    holds(w, RAW, ID1, "5", 1);
}

static void a_restart_goes_on_behind_what_was_acknowledged(void **state)
{
    struct source_world *w = *state;
    start_with_one(w);
    source_world_crash(w);
    put(w, "UPDATE", 9, ONLY1, "{\"StageName\":\"x\"}");
    start(w);
    assert_int_equal(w->org.subscribed_from, 5);
    holds(w, RAW, ID1, "5", 1);
    holds(w, RAW, ID1, "9", 1);
}

static void a_crash_before_the_acknowledgement_repeats_the_events(void **state)
{
    struct source_world *w = *state;
    start_with_one(w);
    tm_mem_hold_acks(w->broker, true);
    put_and_run(w, "UPDATE", 9, ONLY1, "{}");
    source_world_crash(w);
    tm_mem_hold_acks(w->broker, false);
    start(w);
    assert_int_equal(w->org.subscribed_from, 5);
    holds(w, RAW, ID1, "9", 2); /* twice, never not at all */
}

/* The first answer of the first poll may bring events, before anything is known of a checkpoint. */
static void a_crash_after_the_very_first_events_leaves_no_hole_behind_them(void **state)
{
    struct source_world *w = *state;
    char text[700];
    w->org.eager = true;
    source_world_start(w);
    for (unsigned steps = 0;
         steps < 2000 && tm_mem_high(w->broker, RAW, 0) + tm_mem_high(w->broker, RAW, 1) +
                                 tm_mem_high(w->broker, RAW, 2) ==
                             0;
         steps++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        if (w->org.subscribes == 1 && json_array_size(w->org.events) == 0)
            put(w, "UPDATE", 5, ONLY1, "{\"StageName\":\"First\"}");
        w->http.now = w->now;
        enum tm_code rc = tm_source_step(w->source, &w->now, &wake, &w->err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            fail_msg("%s", tm_err_text(&w->err, text, sizeof text));
        w->now.wall_ns += rc == TM_E_AGAIN ? 10 * TM_NS_PER_MS : 0;
    }
    source_world_crash(w);
    put(w, "UPDATE", 6, ONLY1, "{\"StageName\":\"Meanwhile\"}");
    start(w);
    assert_int_equal(w->org.subscribed_from, -2);
    json_t *all = source_world_records(w, RAW);
    record_of(all, ID1, "5", 2);
    assert_string_equal(text_of(record_of(all, ID1, "6", 1), "StageName"), "Meanwhile");
    json_decref(all);
}

static void records_that_kafka_loses_are_sent_again(void **state)
{
    struct source_world *w = *state;
    start(w);
    put(w, "CREATE", 5, "[\"" ID1 "\",\"" ID2 "\"]", "{}");
    tm_mem_refuse(w->broker, 1);
    run(w);
    json_t *all = source_world_records(w, RAW);
    size_t i, first = 0, second = 0;
    const json_t *record;
    json_array_foreach(all, i, record)
    {
        first += strcmp(text_of(record, "Id"), ID1) == 0;
        second += strcmp(text_of(record, "Id"), ID2) == 0;
    }
    assert_true(first >= 1 && second >= 1);
    json_decref(all);
    tm_mem_refuse(w->broker, 1000);
    put(w, "UPDATE", 6, ONLY1, "{}");
    assert_int_equal(source_world_run(w), TM_E_IO); /* and given up in the end, aloud */
    tm_mem_refuse(w->broker, 0);
}

static void merged_events_are_exploded_or_kept(void **state)
{
    struct source_world *w = *state;
    put(w, "DELETE", 5, "[\"" ID1 "\",\"" ID2 "\",\"" ID3 "\"]", "{}");
    source_world_set(w, "salesforce.initial.start", "all");
    start(w);
    json_t *all = source_world_records(w, RAW);
    assert_int_equal(json_array_size(all), 3);
    const json_t *last = record_of(all, ID3, "5", 1);
    assert_string_equal(text_of(last, "_key"), ID3);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(last, "ChangeEventHeader"), "recordIds")),
        3);
    json_decref(all);
}

static void keep_leaves_the_connectors_single_record(void **state)
{
    struct source_world *w = *state;
    put(w, "DELETE", 5, "[\"" ID2 "\",\"" ID1 "\"]", "{}");
    source_world_set(w, "salesforce.initial.start", "all");
    source_world_set(w, "tidemark.merged.events", "keep");
    start(w);
    json_t *all = source_world_records(w, RAW);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(text_of(record_of(all, ID2, "5", 1), "_key"), ID2);
    json_decref(all);
}

static void overflow_and_conversion_reach_every_partition(void **state)
{
    struct source_world *w = *state;
    put(w, "GAP_OVERFLOW", 5, "[\"000000000000000AAA\"]", "{}");
    put(w, "UPDATE", 6, "[\"006*\"]", "{}");
    source_world_set(w, "salesforce.initial.start", "all");
    start(w);
    json_t *all = source_world_records(w, RAW);
    record_of(all, "000000000000000AAA", "5", 3);
    assert_string_equal(text_of(record_of(all, "006*", "6", 3), "_key"), "Opportunity");
    for (int32_t partition = 0; partition < 3; partition++)
        assert_int_equal(tm_mem_high(w->broker, RAW, partition), 2);
    json_decref(all);
}

static json_t *field_json(const char *name, const char *type)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "name", name, "type", type, "label", name, "custom",
                     1);
}

static void a_new_field_is_described_and_registered_before_its_event_is_produced(void **state)
{
    struct source_world *w = *state;
    start(w);
    put_and_run(w, "UPDATE", 5, ONLY1, "{\"StageName\":\"a\"}");
    json_array_append_new(json_object_get(w->org.describe, "fields"),
                          field_json("New__c", "double"));
    put_and_run(w, "UPDATE", 6, ONLY1, "{\"New__c\":4.5}");
    assert_int_equal(w->org.describes, 2);
    json_t *all = source_world_records(w, RAW);
    assert_true(json_real_value(json_object_get(record_of(all, ID1, "6", 1), "New__c")) == 4.5);
    assert_null(json_object_get(record_of(all, ID1, "5", 1), "New__c"));
    json_decref(all);
    json_t *other = support_change("Opportunity", "UPDATE", 7, ONLY1, "[]", "{\"New__c\":5.5}");
    json_object_set_new(other, "schema", json_string("another-schema-of-events"));
    source_world_event(w, other);
    run(w);
    /* a new event schema is a reason by itself */
    assert_int_equal(w->org.describes, 3);
}

static void a_field_that_is_gone_is_left_out_after_one_more_look(void **state)
{
    struct source_world *w = *state;
    start(w);
    put(w, "UPDATE", 5, ONLY1, "{\"Gone__c\":1,\"StageName\":\"a\"}");
    put_and_run(w, "UPDATE", 6, ONLY1, "{\"Gone__c\":2,\"StageName\":\"b\"}");
    assert_int_equal(w->org.describes, 2);
    assert_int_equal(tm_source_counts(w->source)->unknown_fields, 1);
    json_t *all = source_world_records(w, RAW);
    assert_string_equal(text_of(record_of(all, ID1, "6", 1), "StageName"), "b");
    json_decref(all);
}

static void a_retyped_field_is_a_fatal_error_that_names_the_subject(void **state)
{
    struct source_world *w = *state;
    start_with_one(w);
    json_t *fields = json_object_get(w->org.describe, "fields"), *field;
    size_t i;
    json_array_foreach(fields, i, field) if (strcmp(text_of(field, "name"), "StageName") == 0)
        json_object_set_new(field, "type", json_string("double"));
    json_t *event = support_change("Opportunity", "UPDATE", 6, ONLY1, "[]", "{}");
    json_object_set_new(event, "schema", json_string("another"));
    source_world_event(w, event);
    assert_int_equal(source_world_run(w),
                     TM_E_PROTO); /* while it runs, at the event that shows it */
    assert_non_null(strstr(w->err.msg, RAW "-value"));
    assert_non_null(strstr(w->err.msg, "StageName"));
    assert_non_null(strstr(w->err.msg, "compatibility to NONE"));
    assert_int_equal(tm_err_exit(&w->err), 2);
    holds(w, RAW, ID1, "6", 0);
    json_t *all = source_world_records(w, TM_TOPIC_OFFSETS);
    json_array_foreach(all, i, field)
        assert_true(json_integer_value(json_object_get(field, "ReplayId")) <= 5);
    json_decref(all);
    source_world_crash(w);
    source_world_start(w);
    refused(w, TM_E_PROTO, "StageName"); /* and after a restart */
}

/* Its copy was asked and nothing came: after days away, what has expired nobody can tell. */
static void a_restart_without_a_position_begins_a_new_epoch_with_a_copy_of_its_own(void **state)
{
    struct source_world *w = *state;
    start(w);
    source_world_crash(w);
    w->org.low = 100; /* events up to here came and expired while it was away */
    put(w, "UPDATE", 120, ONLY1, "{}");
    start(w);
    json_t *alerts = source_world_records(w, ALERTS);
    assert_int_equal(of_epoch(alerts, 1), 3);
    json_decref(alerts);
}

static void a_refused_replay_id_raises_the_epoch_and_asks_for_a_new_copy(void **state)
{
    struct source_world *w = *state;
    start_with_one(w);
    source_world_crash(w);
    w->org.low = 100; /* retention has passed it */
    put(w, "UPDATE", 120, ONLY1, "{}");
    start(w);
    assert_int_equal(w->org.subscribed_from, -2);
    json_t *all = source_world_records(w, RAW), *alerts = source_world_records(w, ALERTS);
    assert_int_equal(epoch_of(record_of(all, ID1, "120", 1)), 1);
    assert_int_equal(json_array_size(alerts), 6);
    assert_int_equal(of_epoch(alerts, 1), 3);
    json_decref(all);
    json_decref(alerts);
    restart(w);
    /* the epoch and its position were kept */
    assert_int_equal(w->org.subscribed_from, 120);
}

static void a_refused_replay_id_is_an_error_where_the_config_says_fail(void **state)
{
    struct source_world *w = *state;
    source_world_set(w, "invalid.replay.id.behaviour", "fail");
    start_with_one(w);
    source_world_crash(w);
    w->org.low = 100;
    source_world_start(w);
    refused(w, TM_E_GAP, "invalid.replay.id.behaviour");
}

/* The org is another now: its events begin again at a low replay id, ten minutes later. */
static void restore_elsewhere(struct source_world *w)
{
    json_array_clear(w->org.events);
    json_t *early = support_change("Opportunity", "UPDATE", 3, ONLY1, "[]", "{}");
    json_t *header = json_object_get(json_object_get(early, "payload"), "ChangeEventHeader");
    json_object_set_new(header, "commitTimestamp", json_integer(1655997704000 + 600000));
    source_world_event(w, early);
    w->org.position = 0;
    run(w);
}

static void replay_ids_that_go_back_begin_a_new_epoch(void **state)
{
    struct source_world *w = *state;
    start(w);
    put_and_run(w, "CREATE", 500, ONLY1, "{}");
    restore_elsewhere(w);
    assert_int_equal(tm_source_counts(w->source)->epochs, 1);
    json_t *all = source_world_records(w, RAW), *alerts = source_world_records(w, ALERTS);
    assert_int_equal(epoch_of(record_of(all, ID1, "3", 1)), 1);
    assert_int_equal(json_array_size(alerts), 6);
    json_decref(all);
    json_decref(alerts);
}

/* A position of the broken line must not survive in the subscription: it names another event, or
 * none, on the new one. */
static void a_dropped_poll_after_a_broken_line_goes_on_along_the_new_line(void **state)
{
    struct source_world *w = *state;
    source_world_set(w, "invalid.replay.id.behaviour", "latest");
    start(w);
    put_and_run(w, "CREATE", 500, ONLY1, "{}");
    restore_elsewhere(w);
    assert_int_equal(tm_source_counts(w->source)->epochs, 1);
    w->http.fail_next = 1; /* the poll breaks: subscribed again */
    put_and_run(w, "UPDATE", 4, ONLY1, "{}");
    assert_int_equal(w->org.subscribed_from, 3);
    assert_int_equal(tm_source_counts(w->source)->epochs, 1);
    json_t *all = source_world_records(w, RAW);
    assert_int_equal(epoch_of(record_of(all, ID1, "4", 1)), 1);
    json_decref(all);
}

static void events_delivered_twice_do_not_look_like_a_broken_line(void **state)
{
    struct source_world *w = *state;
    start(w);
    put(w, "CREATE", 5, ONLY1, "{}");
    put_and_run(w, "UPDATE", 6, ONLY1, "{}");
    w->org.position = 0;
    w->http.fail_next = 1; /* the poll breaks; all comes again */
    put_and_run(w, "UPDATE", 7, ONLY1, "{}");
    assert_int_equal(tm_source_counts(w->source)->epochs, 0);
    holds(w, RAW, ID1, "7", 1);
}

static void audits_ask_for_a_copy_on_the_grid_of_org_time(void **state)
{
    struct source_world *w = *state;
    source_world_set(w, "tidemark.audit.interval.ms", "60000");
    w->now.org_ms += 1000;
    start(w);
    int64_t grid_ms = 1772438400000LL + 60000;
    json_t *alerts = source_world_records(w, ALERTS);
    assert_true(w->now.org_ms >= grid_ms);
    assert_true(json_array_size(alerts) >= 6 && json_array_size(alerts) % 3 == 0);
    const json_t *alert;
    size_t i, audits = 0;
    json_array_foreach(alerts, i, alert) audits += strcmp(text_of(alert, "_reason"), "audit") == 0;
    assert_int_equal(audits, json_array_size(alerts) - 3);
    json_decref(alerts);
}

static void topics_may_be_named_by_template(void **state)
{
    struct source_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_mem_topic_create(
                         w->broker, "cdc.opportunitychangeevent.i8b-dyxvxs5wotcbr4qsew", 3, &err),
                     TM_OK);
    source_world_set(w, "kafka.topic", "cdc.${_ObjectType}.${_EventType}");
    start(w);
    put_and_run(w, "CREATE", 5, ONLY1, "{\"StageName\":\"a\"}");
    json_t *all = source_world_records(w, "cdc.opportunitychangeevent.i8b-dyxvxs5wotcbr4qsew");
    record_of(all, ID1, "5", 1);
    json_decref(all);
}

/* Loss is never silent, and one bad event does not stop the object for ever. */
static void an_event_that_cannot_be_read_is_kept_aside_asked_for_and_passed_over(void **state)
{
    struct source_world *w = *state;
    start(w);
    put(w, "UPDATE", 5, "[\"" ID1 "\",\"" ID2 "\"]", "{\"Amount\":\"twelve\"}");
    put_and_run(w, "UPDATE", 6, "[\"" ID3 "\"]", "{}");
    assert_int_equal(tm_source_counts(w->source)->aside, 1);
    json_t *all = source_world_records(w, RAW), *alerts = source_world_records(w, ALERTS);
    record_of(all, ID1, "5", 0);
    record_of(all, ID3, "6", 1);
    assert_string_equal(text_of(record_of(alerts, ID1, "5", 1), "_kind"), "diff");
    const json_t *alert = record_of(alerts, ID2, "5", 1);
    assert_non_null(strstr(text_of(alert, "_reason"), "Amount"));
    assert_string_equal(text_of(alert, "_key"), ID2);
    json_decref(all);
    json_decref(alerts);
    /* passed over for good: a restart goes on behind it */
    restart(w);
    assert_int_equal(w->org.subscribed_from, 6);
    assert_int_equal(tm_source_counts(w->source)->aside, 0);
}

/* Too large for the client, or for the topic: known at once, or only when it is delivered. */
static void an_event_that_kafka_refuses_is_kept_aside_asked_for_and_passed_over(void **state)
{
    struct source_world *w = *state;
    char fields[3000];
    memset(fields, 'x', sizeof fields);
    memcpy(fields, "{\"Description\":\"", 16);
    memcpy(fields + sizeof fields - 3, "\"}", 3);
    for (int late = 0; late < 2; late++) {
        start(w);
        tm_mem_set_message_max(w->broker, 2000, late);
        put(w, "UPDATE", 10 * late + 5, ONLY1, "{}");
        put(w, "UPDATE", 10 * late + 6, "[\"" ID1 "\",\"" ID2 "\"]", fields);
        put(w, "UPDATE", 10 * late + 7, "[\"" ID3 "\"]", "{}");
        run(w);
        assert_int_equal(tm_source_counts(w->source)->aside, 1);
        json_t *all = source_world_records(w, RAW), *alerts = source_world_records(w, ALERTS);
        record_of(all, ID1, late ? "16" : "6", 0);
        record_of(all, ID1, late ? "15" : "5", late ? 2 : 1); /* sent again, one by one */
        record_of(all, ID3, late ? "17" : "7", late ? 2 : 1);
        record_of(alerts, ID1, late ? "16" : "6", 1);
        const json_t *alert = record_of(alerts, ID2, late ? "16" : "6", 1);
        assert_string_equal(text_of(alert, "_kind"), "diff");
        assert_non_null(strstr(text_of(alert, "_reason"), "too large"));
        json_decref(all);
        json_decref(alerts);
        source_world_crash(w);
        start(w);
        assert_int_equal(w->org.subscribed_from, 10 * late + 7);
        assert_int_equal(tm_source_counts(w->source)->aside, 0);
        source_world_crash(w);
        tm_mem_set_message_max(w->broker, 0, false);
    }
}

static void an_event_that_names_no_records_asks_for_the_whole_object(void **state)
{
    struct source_world *w = *state;
    start(w);
    put(w, "CREATE", 4, ONLY1, "{}");
    source_world_event(
        w, json_pack("{s:{s:i}, s:{s:s}}", "event", "replayId", 5, "payload", "Name", "no header"));
    put_and_run(w, "UPDATE", 6, ONLY1, "{}");
    json_t *all = source_world_records(w, RAW), *alerts = source_world_records(w, ALERTS);
    assert_int_equal(tm_source_counts(w->source)->aside, 1);
    record_of(all, ID1, "6", 1);
    assert_string_equal(text_of(record_of(alerts, "*", "5", 3), "_kind"), "copy");
    json_decref(all);
    json_decref(alerts);
}

static void a_broken_checkpoint_names_topic_partition_and_offset(void **state)
{
    struct source_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    source_world_start(w);
    assert_int_equal(w->producer->ops->produce(w->producer, "tidemark.offsets", -1, "Opportunity",
                                               11, "junk", 4, &err),
                     TM_OK);
    assert_int_equal(w->producer->ops->flush(w->producer, &err), TM_OK);
    refused(w, TM_E_PROTO, "tidemark.offsets partition");
}

/* Its position means nothing in another org: going on after it would skip what is there. */
static void a_checkpoint_of_another_org_is_refused(void **state)
{
    struct source_world *w = *state;
    char text[700];
    start_with_one(w);
    source_world_crash(w);
    w->org.id = "00D000000000001"; /* the same org, its short form */
    start(w);
    source_world_crash(w);
    w->org.id = "00D000000000002EAA";
    source_world_start(w);
    assert_int_equal(source_world_run(w), TM_E_MISMATCH);
    tm_err_text(&w->err, text, sizeof text);
    assert_non_null(strstr(text, "the org 00D000000000001EAA"));
    assert_non_null(strstr(text, "this source is of 00D000000000002EAA"));
    assert_non_null(strstr(text, "tidemark.offsets.topic"));
    assert_int_equal(tm_err_exit(&w->err), 64);
}

static void two_pipelines_of_one_object_keep_their_checkpoints_apart(void **state)
{
    struct source_world *w = *state;
    start_with_one(w);
    source_world_crash(w);
    source_world_set(w, "kafka.topic", "other.raw");
    source_world_start(w);
    refused(w, TM_E_MISMATCH, "sfdc.cdc.opportunity_raw");
    source_world_crash(w);
    source_world_set(w, "tidemark.offsets.topic", "other.offsets");
    source_world_set(w, "salesforce.initial.start", "all");
    start(w);
    holds(w, "other.raw", ID1, "5", 1);
    json_t *all = source_world_records(w, "other.offsets");
    assert_string_equal(text_of(json_array_get(all, 0), "Topic"), "other.raw");
    assert_string_equal(text_of(json_array_get(all, 0), "_key"), "Opportunity");
    json_decref(all);
}

static void configs_that_cannot_work_are_refused_by_key(void **state)
{
    struct source_world *w = *state;
    static const struct {
        const char *key, *value, *word;
    } bad[] = {
        { "output.data.format", "JSON", "output.data.format" },
        { "tasks.max", "2", "tasks.max" },
        { "salesforce.cdc.name", "Opportunity", "ChangeEvent" },
        { "salesforce.cdc.name", "ChangeEvents", "one connector per object" },
        { "salesforce.cdc.channel", "AccountChangeEvent", "salesforce.cdc.channel" },
        { "kafka.topic", "a b", "kafka.topic" },
        { "kafka.topic", "a.${Name}", "kafka.topic" },
        { "salesforce.grant.type", "JWT_BEARER", "JWT_BEARER" },
        { "salesforce.initial.start", "yesterday", "salesforce.initial.start" },
        { "salesforce.topic", "x", "salesforce.topic" },
        { "tidemark.merged.events", "both", "tidemark.merged.events" },
    };
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_err err = { .code = TM_OK };
        struct tm_config *config = NULL;
        char text[700];
        json_t *json = json_deep_copy(w->config_json);
        json_object_set_new(json, bad[i].key, json_string(bad[i].value));
        enum tm_code rc = tm_config_from_json(&config, json, "c.json", keys, keys_count, &err);
        if (rc == TM_OK)
            rc = tm_source_settings_read(&w->settings, config, NULL, &err);
        assert_int_equal(rc, TM_E_ARG);
        if (strstr(tm_err_text(&err, text, sizeof text), bad[i].word) == NULL)
            fail_msg("case %zu: \"%s\" does not name %s", i, text, bad[i].word);
        tm_config_close(config);
        json_decref(json);
    }
}

static void custom_objects_and_both_names_of_the_key_are_understood(void **state)
{
    struct source_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    struct tm_config *config;
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    json_object_del(w->config_json, "salesforce.cdc.name");
    source_world_set(w, "salesforce.cdc.channel", "Deal__ChangeEvent");
    assert_int_equal(tm_config_from_json(&config, w->config_json, "c", keys, keys_count, &err),
                     TM_OK);
    assert_int_equal(tm_source_settings_read(&w->settings, config, "http://other", &err), TM_OK);
    assert_string_equal(w->settings.object, "Deal__c");
    assert_string_equal(w->settings.channel, "/data/Deal__ChangeEvent");
    assert_string_equal(w->settings.session.instance, "http://other");
    tm_config_close(config);
}

static void a_config_that_signs_in_by_keystore_is_read_and_no_key_stands_twice(void **state)
{
    struct source_world *w = *state;
    struct tm_err err = { .code = TM_OK };
    struct tm_config *config;
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    for (size_t i = 0; i < keys_count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(keys[i].name, keys[j].name);
    source_world_set(w, "salesforce.grant.type", "JWT_BEARER");
    source_world_set(w, "salesforce.jwt.keystore.path", "keys/a.p12");
    source_world_set(w, "salesforce.jwt.keystore.password", "word");
    json_object_del(w->config_json, "salesforce.password");
    assert_int_equal(tm_config_from_json(&config, w->config_json, "c", keys, keys_count, &err),
                     TM_OK);
    assert_int_equal(tm_source_settings_read(&w->settings, config, NULL, &err), TM_OK);
    assert_int_equal(w->settings.session.grant, TM_SF_JWT_BEARER);
    assert_string_equal(w->settings.session.keystore_path, "keys/a.p12");
    assert_string_equal(w->settings.session.keystore_password, "word");
    tm_config_close(config);
}

static void the_command_refuses_bad_input_with_64(void **state)
{
    (void)state;
    static const char *const missing[] = { "TIDEMARK_SALESFORCE_USERNAME", NULL }, *const file[] = {
        "nowhere.json", NULL
    };
    static const char *const brokers[] = { "--brokers", NULL };
    tm_test_refused(
        64, missing, 10,
        "env -u TIDEMARK_SALESFORCE_USERNAME TIDEMARK_SALESFORCE_URL=http://x tidemark source "
        "fixtures/connectors/source-opportunity.json");
    tm_test_refused(64, file, 10, "tidemark source nowhere.json");
    tm_test_refused(
        64, brokers, 10,
        "env -u TIDEMARK_BROKERS TIDEMARK_SALESFORCE_URL=http://x TIDEMARK_SALESFORCE_USERNAME=u "
        "TIDEMARK_SALESFORCE_PASSWORD=p TIDEMARK_SALESFORCE_TOKEN=t "
        "TIDEMARK_SALESFORCE_CLIENT_ID=i "
        "TIDEMARK_SALESFORCE_CLIENT_SECRET=s tidemark source "
        "fixtures/connectors/source-account.json");
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(events_become_records_keyed_by_id),
        WORLD(the_first_copy_is_asked_once_of_every_partition),
        WORLD(a_copy_before_any_event_is_asked_at_zero_and_nothing_after_it_is_missed),
        WORLD(a_restart_goes_on_behind_what_was_acknowledged),
        WORLD(a_crash_before_the_acknowledgement_repeats_the_events),
        WORLD(a_crash_after_the_very_first_events_leaves_no_hole_behind_them),
        WORLD(records_that_kafka_loses_are_sent_again),
        WORLD(merged_events_are_exploded_or_kept),
        WORLD(keep_leaves_the_connectors_single_record),
        WORLD(overflow_and_conversion_reach_every_partition),
        WORLD(a_new_field_is_described_and_registered_before_its_event_is_produced),
        WORLD(a_field_that_is_gone_is_left_out_after_one_more_look),
        WORLD(a_retyped_field_is_a_fatal_error_that_names_the_subject),
        WORLD(a_restart_without_a_position_begins_a_new_epoch_with_a_copy_of_its_own),
        WORLD(a_refused_replay_id_raises_the_epoch_and_asks_for_a_new_copy),
        WORLD(a_refused_replay_id_is_an_error_where_the_config_says_fail),
        WORLD(replay_ids_that_go_back_begin_a_new_epoch),
        WORLD(a_dropped_poll_after_a_broken_line_goes_on_along_the_new_line),
        WORLD(events_delivered_twice_do_not_look_like_a_broken_line),
        WORLD(audits_ask_for_a_copy_on_the_grid_of_org_time),
        WORLD(topics_may_be_named_by_template),
        WORLD(an_event_that_cannot_be_read_is_kept_aside_asked_for_and_passed_over),
        WORLD(an_event_that_kafka_refuses_is_kept_aside_asked_for_and_passed_over),
        WORLD(an_event_that_names_no_records_asks_for_the_whole_object),
        WORLD(a_broken_checkpoint_names_topic_partition_and_offset),
        WORLD(a_checkpoint_of_another_org_is_refused),
        WORLD(two_pipelines_of_one_object_keep_their_checkpoints_apart),
        WORLD(configs_that_cannot_work_are_refused_by_key),
        WORLD(custom_objects_and_both_names_of_the_key_are_understood),
        WORLD(a_config_that_signs_in_by_keystore_is_read_and_no_key_stands_twice),
        cmocka_unit_test(the_command_refuses_bad_input_with_64),
    };
    tm_log_init("test", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
