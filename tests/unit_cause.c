/* The cause of a wrong row: for each word, a history, raw tables and traces that have exactly it;
 * the raw tables are written by hand, as a sink would have left them. */
#include "base/trace.h"
#include "check/cause.h"
#include "tests/support_history.h"
#include "tests/support_raw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define ROW(stage) "{\"Name\":\"a\",\"Stage\":\"" stage "\",\"Amount\":1,\"Private\":0}"
#define STAGE(stage) "{\"Stage\":\"" stage "\"}"

struct road {
    struct history_stand s;
    sqlite3 *raw;
    char path[200], trace_path[200];
    struct tm_trace *trace;
    struct tm_cause cause;
    struct tm_plan_pipeline p;
    int reads;
};

/* Record 1 was there before, and a whole read at position 0 brought it; both show it. */
static void open_road(struct road *r, const char *name)
{
    char file[80];
    struct tm_err err = { 0 };
    memset(r, 0, sizeof *r);
    history_stand_open(&r->s, name);
    snprintf(file, sizeof file, "%s.raw.db", name);
    snprintf(r->path, sizeof r->path, "%s", history_path(file));
    snprintf(file, sizeof file, "%s.trace", name);
    snprintf(r->trace_path, sizeof r->trace_path, "%s", history_path(file));
    assert_int_equal(tm_sql_open(&r->raw, r->path, TM_SQL_CREATE, &err), TM_OK);
    raw_tables(r->raw);
    r->p = (struct tm_plan_pipeline){ .name = "stream", .kind = TM_PIPELINE_STREAM };
    history_commit(r->s.org, 1, "CREATE", NULL, -1, ROW("new"));
    history_show(&r->s, 1, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
}

/* A whole read that returned record 1, as it was at first. */
static void copied(struct road *r)
{
    r->reads++;
    raw_answer(r->raw, r->reads, 1, 0, "whole", "new", -1);
    raw_end(r->raw, r->reads, 0, 1);
}

static void mark(struct road *r, enum tm_trace_kind kind, int64_t replay, double minutes)
{
    struct tm_err err = { 0 };
    if (r->trace == NULL)
        assert_int_equal(tm_trace_open(&r->trace, r->trace_path, &err), TM_OK);
    tm_trace_add(r->trace, kind, "Opportunity", replay, history_wall_ns(minutes));
}

/* The only difference, its cause. */
static void look(struct road *r)
{
    struct tm_marks *marks = NULL;
    struct tm_road *road = NULL;
    struct tm_err err = { 0 };
    const char *path = r->trace_path;
    tm_trace_close(r->trace);
    history_match(&r->s);
    bool *wanted = calloc(r->s.truth->records_count + 1, 1);
    memset(wanted, 1, r->s.truth->records_count);
    if (r->trace != NULL)
        assert_int_equal(tm_marks_load(&marks, &path, 1, &err), TM_OK);
    if (r->raw != NULL)
        assert_int_equal(tm_road_load(&road, r->s.truth, r->path, wanted, &err), TM_OK);
    struct tm_cause_stand stand = { .truth = r->s.truth,
                                    .m = r->s.match,
                                    .shown = r->s.shown,
                                    .timing = &r->s.timing,
                                    .plan = &r->p,
                                    .road = road,
                                    .marks = marks };
    assert_int_equal(r->s.match->differences_count, 1);
    tm_cause_of(&r->cause, &stand, &r->s.match->differences[0]);
    tm_road_close(road);
    tm_marks_close(marks);
    free(wanted);
}

static void expect_at(struct road *r, const char *word, const char *station, const char *rule,
                      uint32_t pos)
{
    look(r);
    assert_string_equal(r->cause.word, word);
    assert_string_equal(r->cause.station == NULL ? "" : r->cause.station, station);
    assert_string_equal(r->cause.rule == NULL ? "" : r->cause.rule, rule);
    assert_int_equal(r->cause.known, station[0] != '\0');
    assert_int_equal(r->cause.version + 1, pos);
    assert_true(r->cause.says[0] != '\0');
    tm_sql_close(r->raw);
    history_stand_close(&r->s);
}

static void expect(struct road *r, const char *word, const char *station, const char *rule)
{
    expect_at(r, word, station, rule, 2);
}

/* Record 1 was updated at 10 and shown as before. */
static void updated(struct road *r, const char *name, const char *event_word)
{
    open_road(r, name);
    copied(r);
    history_commit(r->s.org, 1, "UPDATE", event_word, 10, STAGE("won"));
}

/* ---- the event did not come ---- */

static void an_event_without_a_mark_of_the_source_was_not_received(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "notreceived", "");
    history_commit(r.s.org, 2, "CREATE", "", 11, ROW("new"));
    history_show(&r.s, 2, 11, 5, "a", "new", 1, 0, history_stamp(11), 0);
    raw_event(r.raw, 2, 3, "CREATE", "new", 11);
    mark(&r, TM_TRACE_RECEIVED, 3, 11.1);
    expect(&r, "event_not_received", "source", "R15");
}

static void a_source_that_received_nothing_more_is_behind(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "behind", "");
    mark(&r, TM_TRACE_RECEIVED, 1, 5);
    expect(&r, "source_behind", "source", "");
}

static void a_mark_older_than_the_commit_is_of_another_line_of_replay_ids(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "oldmark", "");
    mark(&r, TM_TRACE_RECEIVED, 2, 5); /* before the bus began anew */
    expect(&r, "source_behind", "source", "");
}

static void without_traces_it_is_not_known_where_an_event_was_lost(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "notraces", "");
    expect(&r, "event_lost", "", "");
}

static void an_event_that_kafka_never_acknowledged_stayed_in_the_source(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "notinkafka", "");
    mark(&r, TM_TRACE_RECEIVED, 2, 10.1);
    expect(&r, "event_not_in_kafka", "source", "");
}

static void an_event_the_sink_never_fetched_stayed_in_kafka(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "notfetched", "");
    mark(&r, TM_TRACE_RECEIVED, 2, 10.1);
    mark(&r, TM_TRACE_PRODUCED, 2, 10.2);
    mark(&r, TM_TRACE_FETCHED, 1, 5);
    expect(&r, "event_not_fetched", "kafka", "");
}

static void an_event_that_was_fetched_and_has_no_row_was_lost_by_the_sink(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "notwritten", "");
    mark(&r, TM_TRACE_RECEIVED, 2, 10.1);
    mark(&r, TM_TRACE_PRODUCED, 2, 10.2);
    mark(&r, TM_TRACE_FETCHED, 2, 10.3);
    expect(&r, "event_not_written", "sink", "");
}

static void a_purge_has_no_event_and_waits_for_a_whole_read(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "purge");
    copied(&r);
    history_commit(r.s.org, 1, "HARD_DELETE", NULL, 10, "{}");
    expect(&r, "no_event", "source", "R16");
}

static void what_was_there_before_needs_a_first_copy(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "nocopy");
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("new"));
    expect(&r, "not_copied", "reconcile", "R14");
}

static void a_first_copy_without_the_record_did_not_return_it(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "copywithout");
    copied(&r);
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("new"));
    expect(&r, "not_returned", "reconcile", "R16");
}

/* ---- it tells too little ---- */

static void a_gap_that_nobody_asked_about_is_the_gap_stations(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "notasked", "GAP_UPDATE");
    raw_event(r.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    expect(&r, "not_asked", "gap", "R8");
}

static void without_a_table_of_asks_it_is_not_known_who_forgot_a_gap(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "noalerts", "GAP_UPDATE");
    raw_event(r.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    history_exec(r.raw, "DROP TABLE alerts_sfdc_opportunity_gap_events");
    expect(&r, "not_known", "", "");
}

static void a_gap_asked_about_and_never_read_is_the_reconcilers(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "notanswered", "GAP_UPDATE");
    raw_event(r.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    raw_ask(r.raw, 1, 2, "gap");
    expect(&r, "not_answered", "reconcile", "R8");
}

static void a_repair_that_was_given_up_says_so(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "failed", "GAP_UPDATE");
    raw_event(r.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    raw_ask(r.raw, 1, 2, "gap");
    raw_ask(r.raw, 1, 2, "failed");
    expect(&r, "repair_failed", "reconcile", "R8");
    assert_non_null(strstr(r.cause.says, "three tries"));
}

static void a_field_that_came_as_a_diff_is_asked_for_too(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "diff", "");
    raw_event_full(r.raw, 1, 0, 2, "UPDATE", "[\"Stage\"]", NULL, 10, "[\"Stage\"]", 0);
    expect(&r, "not_asked", "gap", "R5");
}

static void an_image_older_than_what_it_answers_was_read_too_early(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "early", "GAP_UPDATE");
    raw_event(r.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    raw_ask(r.raw, 1, 2, "gap");
    r.reads++;
    raw_answer(r.raw, r.reads, 1, 2, "ids", "new", -1);
    expect(&r, "read_too_early", "reconcile", "R9");
}

static void an_image_with_a_value_never_held_was_altered(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "answeraltered", "GAP_UPDATE");
    raw_event(r.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    raw_ask(r.raw, 1, 2, "gap");
    r.reads++;
    raw_answer(r.raw, r.reads, 1, 2, "ids", "nonsense", 10);
    history_show(&r.s, 1, 11, 5, "a", "nonsense", 1, 0, history_stamp(10), 0);
    expect(&r, "answer_altered", "reconcile", "R9");
}

static void a_record_answered_as_gone_was_removed_wrongly(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "removed", "GAP_UPDATE");
    raw_event(r.raw, 1, 2, "GAP_UPDATE", NULL, 10);
    raw_ask(r.raw, 1, 2, "gap");
    r.reads++;
    raw_answer(r.raw, r.reads, 1, 2, "ids", NULL, 10);
    history_hide(&r.s, 1, 11, 5);
    expect_at(&r, "removed_wrongly", "reconcile", "R11", 1);
}

static void a_created_record_answered_as_gone_was_removed_wrongly(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "removedcreated");
    copied(&r);
    history_commit(r.s.org, 2, "CREATE", "", 10, ROW("new"));
    raw_event(r.raw, 2, 2, "CREATE", "new", 10);
    r.reads++;
    raw_answer(r.raw, r.reads, 2, 5, "ids", NULL, 10);
    expect(&r, "removed_wrongly", "reconcile", "R11");
}

static void a_created_record_a_later_whole_read_lacks_was_not_returned(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "wholewithout");
    history_commit(r.s.org, 2, "CREATE", "", 10, ROW("new"));
    raw_event(r.raw, 2, 2, "CREATE", "new", 10);
    r.reads++;
    raw_answer(r.raw, r.reads, 1, 5, "whole", "new", -1);
    raw_end(r.raw, r.reads, 5, 1);
    expect(&r, "not_returned", "reconcile", "R16");
}

static void a_whole_read_that_is_not_in_force_removes_nothing(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "notinforce");
    history_commit(r.s.org, 2, "CREATE", "", 10, ROW("new"));
    raw_event(r.raw, 2, 2, "CREATE", "new", 10);
    r.reads++;
    raw_answer(r.raw, r.reads, 1, 5, "whole", "new", -1);
    raw_end(r.raw, r.reads, 5, 2); /* counts one answer more than is there */
    expect(&r, "view_wrong", "view", "R4");
}

/* ---- the raw tables have it right ---- */

static void an_update_on_top_that_is_not_shown_is_the_views(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "viewupdate", "");
    raw_event(r.raw, 1, 2, "UPDATE", "won", 10);
    expect(&r, "view_wrong", "view", "R9"); /* over the image that has the old value */
}

/* Record 1 has updates 2 .. 10; the view shows the one of replay id 9. */
static void replay_ids_taken_as_text_are_told_from_a_wrong_order(void **state)
{
    static const char *const stages[] = { "b", "c", "d", "e", "f", "g", "h", "i", "j" };
    (void)state;
    for (int text = 0; text < 2; text++) {
        struct road r;
        char fields[40];
        open_road(&r, text ? "astext" : "asnumber");
        for (int i = 0; i < 9; i++) {
            snprintf(fields, sizeof fields, "{\"Stage\":\"%s\"}", stages[i]);
            history_commit(r.s.org, 1, "UPDATE", "", 10 + i, fields);
            raw_event(r.raw, 1, i + 2, "UPDATE", stages[i], 10 + i);
        }
        int shown = text ? 7 : 0; /* 9 > 10 as text; 2 too, so one whose text is lower: */
        history_show(&r.s, 1, 30, 5, "a", text ? stages[shown] : "new", 1, 0,
                     text ? history_stamp(10 + shown) : history_stamp(-1), 0);
        expect_at(&r, "view_wrong", "view", text ? "R1" : "R6", text ? 10 : 2);
    }
}

static void a_merged_event_that_reached_the_first_id_only_is_told(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "merged");
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("new"));
    history_show(&r.s, 2, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
    history_commit(r.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    raw_event_full(r.raw, 1, 2, 3, "UPDATE", "[\"Stage\",\"LastModifiedDate\"]", "won", 10, NULL,
                   0);
    expect_at(&r, "view_wrong", "view", "R3", 3);
}

static void an_event_given_twice_with_other_contents_counts_as_first_delivered(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "twice");
    history_commit(r.s.org, 1, "UPDATE", "", 10, STAGE("won"));
    raw_event(r.raw, 1, 2, "UPDATE", "won", 10);
    raw_event(r.raw, 1, 2, "UPDATE", "new", 10);
    history_show(&r.s, 1, 11, 5, "a", "new", 1, 0, history_stamp(10), 0);
    expect(&r, "view_wrong", "view", "R2");
}

static void a_field_that_was_cleared_and_still_shows_is_r5(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "cleared");
    history_commit(r.s.org, 1, "UPDATE", "", 10, "{\"Stage\":null}");
    raw_event(r.raw, 1, 2, "UPDATE", NULL, 10);
    history_show(&r.s, 1, 11, 5, "a", "new", 1, 0, history_stamp(10), 0);
    expect(&r, "view_wrong", "view", "R5");
}

static void a_delete_that_is_in_the_raw_table_and_not_heeded_is_r7(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "deleted");
    copied(&r);
    history_commit(r.s.org, 1, "DELETE", "", 10, "{}");
    raw_event(r.raw, 1, 2, "DELETE", NULL, 10);
    expect(&r, "view_wrong", "view", "R7");
}

static void a_removal_by_a_whole_read_that_is_not_heeded_is_r16(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "unheeded");
    history_commit(r.s.org, 2, "CREATE", NULL, -1, ROW("new"));
    history_show(&r.s, 2, 0, -100, "a", "new", 1, 0, history_stamp(-1), 0);
    copied(&r);
    raw_answer(r.raw, r.reads, 2, 0, "whole", "new", -1);
    history_commit(r.s.org, 1, "HARD_DELETE", NULL, 10, "{}");
    r.reads++;
    raw_answer(r.raw, r.reads, 2, 5, "whole", "new", -1);
    raw_end(r.raw, r.reads, 5, 1);
    expect_at(&r, "view_wrong", "view", "R16", 3);
}

static void updates_without_a_whole_row_must_be_asked_for(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "nobase");
    history_commit(r.s.org, 2, "CREATE", "", 10, ROW("new"));
    history_commit(r.s.org, 2, "UPDATE", "", 20, STAGE("won"));
    raw_event(r.raw, 2, 3, "UPDATE", "won", 20);
    history_show(&r.s, 2, 20, 5, NULL, "won", 1, 0, history_stamp(20),
                 TM_SHOWN_DIRTY | TM_SHOWN_PARTIAL);
    expect(&r, "no_base", "view", "R12");
}

static void a_raw_row_that_says_something_else_was_altered(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "altered", "");
    raw_event(r.raw, 1, 2, "UPDATE", "wno", 10);
    history_show(&r.s, 1, 11, 5, "a", "wno", 1, 0, history_stamp(10), 0);
    expect(&r, "event_altered", "source", "R5");
}

static void a_raw_row_that_does_not_name_the_field_was_altered(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "unnamed", "");
    raw_event_full(r.raw, 1, 0, 2, "UPDATE", "[\"LastModifiedDate\"]", "won", 10, NULL, 0);
    history_show(&r.s, 1, 11, 5, "a", "new", 1, 0, history_stamp(10), 0);
    expect(&r, "event_altered", "source", "R5");
}

static void without_raw_tables_nothing_is_known(void **state)
{
    (void)state;
    struct road r;
    updated(&r, "noroad", "");
    tm_sql_close(r.raw);
    r.raw = NULL;
    expect(&r, "not_known", "", "");
}

static void an_id_the_org_never_had_was_never_created(void **state)
{
    (void)state;
    struct road r;
    open_road(&r, "stranger");
    history_show(&r.s, 9, 10, 5, "z", "new", 9, 0, history_stamp(10), 0);
    expect_at(&r, "never_created", "", "", 0);
}

/* ---- polls ---- */

/* Polls each ten minutes; record 1 changes at 15. */
static struct tm_poll polls[4];

static void open_batch(struct road *r, const char *name, const char *change, const char *fields)
{
    open_road(r, name);
    for (int i = 0; i < 4; i++)
        polls[i] = (struct tm_poll){ .grid_ms = history_org_ms(10 * (i + 1)),
                                     .started_org_ms = history_org_ms(10 * (i + 1)),
                                     .started_ns = history_wall_ns(10 * (i + 1)),
                                     .finished_ns = history_wall_ns(10 * (i + 1)) + 1000000,
                                     .seq_first = 1,
                                     .seq_last = 0,
                                     .object = r->s.object,
                                     .mode = "incremental" };
    r->s.timing.kind = TM_PIPELINE_BATCH;
    r->s.timing.polls = polls;
    r->s.timing.polls_count = 4;
    r->p = (struct tm_plan_pipeline){ .name = "batch",
                                      .kind = TM_PIPELINE_BATCH,
                                      .carries = 1u << TM_TRUTH_CREATE | 1u << TM_TRUTH_UPDATE };
    history_commit(r->s.org, 1, change, "", 15, fields);
}

static void a_purge_that_the_preset_does_not_hear_of_is_told(void **state)
{
    (void)state;
    struct road r;
    open_batch(&r, "batchpurge", "HARD_DELETE", "{}");
    expect(&r, "hard_delete_not_carried", "batch poll", "");
}

static void a_change_that_moves_no_stamp_is_not_seen_by_polls(void **state)
{
    (void)state;
    struct road r;
    open_batch(&r, "batchstamp", "UPDATE", STAGE("won"));
    history_exec(r.s.org, "UPDATE history SET fields = json_remove(fields, '$.SystemModstamp', "
                          "'$.LastModifiedDate') WHERE pos = 2");
    expect(&r, "stamp_not_moved", "batch poll", "");
}

static void a_row_stamped_before_a_poll_that_came_before_its_commit_is_late(void **state)
{
    (void)state;
    struct road r;
    open_batch(&r, "batchlate", "UPDATE", STAGE("won"));
    raw_run(r.s.org,
            sqlite3_mprintf("UPDATE history SET fields = json_set(fields, '$.SystemModstamp', "
                            "%lld) WHERE pos = 2",
                            (long long)history_stamp(8)));
    expect(&r, "late_row", "batch poll", "");
}

static void a_row_that_polls_should_have_had_is_not_explained_away(void **state)
{
    (void)state;
    struct road r;
    open_batch(&r, "batchunknown", "UPDATE", STAGE("won"));
    expect(&r, "not_known", "", "");
}

static void a_change_behind_the_last_poll_is_told(void **state)
{
    (void)state;
    struct road r;
    open_batch(&r, "batchlast", "UPDATE", STAGE("won"));
    r.s.timing.polls_count = 1;
    expect(&r, "after_last_poll", "batch poll", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_without_a_mark_of_the_source_was_not_received),
        cmocka_unit_test(a_source_that_received_nothing_more_is_behind),
        cmocka_unit_test(a_mark_older_than_the_commit_is_of_another_line_of_replay_ids),
        cmocka_unit_test(without_traces_it_is_not_known_where_an_event_was_lost),
        cmocka_unit_test(an_event_that_kafka_never_acknowledged_stayed_in_the_source),
        cmocka_unit_test(an_event_the_sink_never_fetched_stayed_in_kafka),
        cmocka_unit_test(an_event_that_was_fetched_and_has_no_row_was_lost_by_the_sink),
        cmocka_unit_test(a_purge_has_no_event_and_waits_for_a_whole_read),
        cmocka_unit_test(what_was_there_before_needs_a_first_copy),
        cmocka_unit_test(a_first_copy_without_the_record_did_not_return_it),
        cmocka_unit_test(a_gap_that_nobody_asked_about_is_the_gap_stations),
        cmocka_unit_test(without_a_table_of_asks_it_is_not_known_who_forgot_a_gap),
        cmocka_unit_test(a_gap_asked_about_and_never_read_is_the_reconcilers),
        cmocka_unit_test(a_repair_that_was_given_up_says_so),
        cmocka_unit_test(a_field_that_came_as_a_diff_is_asked_for_too),
        cmocka_unit_test(an_image_older_than_what_it_answers_was_read_too_early),
        cmocka_unit_test(an_image_with_a_value_never_held_was_altered),
        cmocka_unit_test(a_record_answered_as_gone_was_removed_wrongly),
        cmocka_unit_test(a_created_record_answered_as_gone_was_removed_wrongly),
        cmocka_unit_test(a_created_record_a_later_whole_read_lacks_was_not_returned),
        cmocka_unit_test(a_whole_read_that_is_not_in_force_removes_nothing),
        cmocka_unit_test(an_update_on_top_that_is_not_shown_is_the_views),
        cmocka_unit_test(replay_ids_taken_as_text_are_told_from_a_wrong_order),
        cmocka_unit_test(a_merged_event_that_reached_the_first_id_only_is_told),
        cmocka_unit_test(an_event_given_twice_with_other_contents_counts_as_first_delivered),
        cmocka_unit_test(a_field_that_was_cleared_and_still_shows_is_r5),
        cmocka_unit_test(a_delete_that_is_in_the_raw_table_and_not_heeded_is_r7),
        cmocka_unit_test(a_removal_by_a_whole_read_that_is_not_heeded_is_r16),
        cmocka_unit_test(updates_without_a_whole_row_must_be_asked_for),
        cmocka_unit_test(a_raw_row_that_says_something_else_was_altered),
        cmocka_unit_test(a_raw_row_that_does_not_name_the_field_was_altered),
        cmocka_unit_test(without_raw_tables_nothing_is_known),
        cmocka_unit_test(an_id_the_org_never_had_was_never_created),
        cmocka_unit_test(a_purge_that_the_preset_does_not_hear_of_is_told),
        cmocka_unit_test(a_change_that_moves_no_stamp_is_not_seen_by_polls),
        cmocka_unit_test(a_row_stamped_before_a_poll_that_came_before_its_commit_is_late),
        cmocka_unit_test(a_row_that_polls_should_have_had_is_not_explained_away),
        cmocka_unit_test(a_change_behind_the_last_poll_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
