#include "event/contract.h"
#include "reconcile/numbers.h"
#include "reconcile/reconcile.h"
#include "reconcile/window.h"
#include "tests/support_command.h"
#include "tests/support_recon_org.h"
#include "tests/support_stand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define ALERTS "alerts.sfdc.opportunity_gap_events"
#define RECON "sfdc.recon.opportunity"
#define GROUP "tidemark-reconcile"
#define PARTITIONS 3

static struct stand stand;
static struct tm_recon_settings set;
static struct tm_recon *recon;
static struct tm_topic *topic;
static struct tm_sf_session *session;
static char alert_schema[1 << 15], folder[256];
static unsigned lives;
static int alert_epoch;
static int64_t alert_commit_ms;

static void recon_up_as(const char *state_dir)
{
    struct tm_err err = { .code = TM_OK };
    char life[20];
    const char *topics[] = { ALERTS };
    struct tm_kafka_options o = { .group = GROUP, .topics = topics, .topics_count = 1 };
    struct tm_sf_settings sf = { .instance = "http://sf",
                                 .username = "u",
                                 .password = "p",
                                 .consumer_key = "k",
                                 .consumer_secret = "s",
                                 .api_version = "59.0",
                                 .request_retry_ns_max = TM_NS_PER_S,
                                 .auth_retry_ns_max = TM_NS_PER_S };
    assert_int_equal(tm_topic_mem_open(&topic, stand.broker, &o, &err), TM_OK);
    assert_int_equal(tm_sf_session_open(&session, &stand.http, &sf, &err), TM_OK);
    struct tm_read_ports ports = { session, stand.registry, topic };
    snprintf(life, sizeof life, "life%u", lives++);
    if (tm_recon_open(&recon, &set, &ports, state_dir, life, 0, &err) != TM_OK)
        fail_msg("%s", err.msg);
}

static void recon_up(void)
{
    recon_up_as(folder);
}

static void recon_down(void)
{
    tm_recon_close(recon);
    topic->ops->close(topic);
    tm_sf_session_close(session);
}

static int set_up(void **state)
{
    static char object[] = "Opportunity", alerts[] = ALERTS, answers[] = RECON;
    struct tm_err err = { .code = TM_OK };
    struct tm_describe only_name = { .object = "Opportunity" };
    struct tm_buf text;
    (void)state;
    stand_open(&stand);
    stand.answer = recon_org_answer;
    lives = 0;
    alert_epoch = 1;
    alert_commit_ms = 1772438400000;
    memset(&recon_org, 0, sizeof recon_org);
    recon_org.page = 2000;
    recon_org.fail_status = 400;
    recon_org.earliest = "2026-02-15T08:00:00.000+0000";
    recon_org.covered = "2026-03-02T08:01:00.000+0000";
    for (int i = 0; i < RECON_ORG_ROWS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "006%012d", i);
        assert_int_equal(tm_id18(recon_org.ids[i], id, &err), TM_OK);
    }
    recon_org.rows = 8;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    set = (struct tm_recon_settings){ .name = "recon",
                                      .group = GROUP,
                                      .objects = { object },
                                      .alerts = { alerts },
                                      .recon = { answers },
                                      .objects_count = 1,
                                      .window_ms = 5000,
                                      .idle_ns = 500 * TM_NS_PER_MS,
                                      .ids_max = 2000,
                                      .sees_all = true,
                                      .longest_ms = 600000,
                                      .attempts_max = 3,
                                      .backoff_ns = TM_NS_PER_S,
                                      .backoff_ns_max = 60 * TM_NS_PER_S };
    assert_int_equal(tm_mem_topic_create(stand.broker, ALERTS, PARTITIONS, &err), TM_OK);
    assert_int_equal(tm_mem_topic_create(stand.broker, RECON, PARTITIONS, &err), TM_OK);
    tm_mem_set_time(stand.broker, 1772438400000);
    tm_buf_init(&text, sizeof alert_schema - 1);
    assert_int_equal(tm_contract_schema_alerts(&text, &only_name, &err), TM_OK);
    strcpy(alert_schema, tm_buf_text(&text));
    tm_buf_free(&text);
    recon_up();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    recon_down();
    stand_close(&stand);
    tm_test_folder_remove(folder);
    return 0;
}

/* Steps for so long in virtual time; org time stands still. */
static enum tm_code run(int64_t ns, struct tm_err *err)
{
    int64_t until = stand.now.wall_ns + ns;
    tm_err_clear(err);
    for (int i = 0; i < 100000 && stand.now.wall_ns < until; i++) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        enum tm_code rc = tm_recon_step(recon, &stand.now, &wake, err);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        if (rc == TM_E_AGAIN)
            stand.now.wall_ns += 10 * TM_NS_PER_MS;
    }
    return TM_OK;
}

static void alert(const char *id, const char *kind, int64_t g, int32_t partition)
{
    char replay[24];
    snprintf(replay, sizeof replay, "%lld", (long long)g);
    stand_put(&stand, ALERTS, partition, id, alert_schema,
              json_pack("{s:s, s:s, s:{s:I}, s:s, s:s, s:i}", "Id", id, "ReplayId", replay,
                        "ChangeEventHeader", "commitTimestamp", (json_int_t)alert_commit_ms,
                        "_kind", kind, "_reason", "test", "_epoch", alert_epoch));
}

static void alert_all(const char *kind, int64_t g)
{
    for (int32_t p = 0; p < PARTITIONS; p++)
        alert("Opportunity", kind, g, p);
}

static const json_t *field(const json_t *list, size_t i, const char *name)
{
    return json_object_get(json_array_get(list, i), name);
}

static size_t count_kind(const json_t *list, const char *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        count += strcmp(json_string_value(field(list, i, "_kind")), kind) == 0;
    return count;
}

static const json_t *answer_of(const json_t *list, const char *id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(field(list, i, "Id")), id) == 0)
            return json_array_get(list, i);
    return NULL;
}

static void an_idle_window_is_read_once_at_the_highest_position_of_each_id(void **state)
{
    struct tm_err err;
    (void)state;
    alert(recon_org.ids[1], "gap", 10, -1);
    alert(recon_org.ids[1], "diff", 30, -1);
    alert(recon_org.ids[1], "gap", 20, -1);
    alert(recon_org.ids[2], "no_base", 15, -1);
    assert_int_equal(run(300 * TM_NS_PER_MS, &err), TM_OK);
    assert_int_equal(recon_org.queries, 0); /* not idle for long enough yet */
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 2);
    const json_t *one = answer_of(all, recon_org.ids[1]);
    assert_string_equal(json_string_value(json_object_get(one, "_kind")), "image");
    assert_int_equal(json_integer_value(json_object_get(one, "_g")), 30);
    assert_int_equal(json_integer_value(json_object_get(one, "_epoch")), 1);
    assert_string_equal(json_string_value(json_object_get(one, "_read_kind")), "ids");
    assert_string_equal(json_string_value(json_object_get(one, "_key")), recon_org.ids[1]);
    assert_string_equal(json_string_value(json_object_get(one, "LastName")), "name of 1");
    assert_true(json_real_value(json_object_get(one, "Amount")) == 1.25);
    assert_int_equal(json_integer_value(json_object_get(one, "LastModifiedDate")), 1772438405000);
    assert_true(json_is_null(json_object_get(one, "StageName")));
    assert_int_equal(json_integer_value(json_object_get(answer_of(all, recon_org.ids[2]), "_g")),
                     15);
    assert_int_equal(recon_org.queries, 1);
    assert_int_equal(recon_org.query_all, 1); /* so that soft-deleted rows are seen */
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_true(tm_mem_committed(stand.broker, GROUP, ALERTS, p) ==
                        tm_mem_high(stand.broker, ALERTS, p) ||
                    tm_mem_high(stand.broker, ALERTS, p) == 0);
    json_decref(all);
}

static void an_ask_of_a_newer_epoch_stands_above_all_of_an_older_one(void **state)
{
    struct tm_err err;
    (void)state;
    alert(recon_org.ids[1], "gap", 900, 0);
    alert_epoch = 2;
    alert(recon_org.ids[1], "gap", 5, 0);
    alert_epoch = 1;
    alert(recon_org.ids[1], "gap", 901, 0);
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 1);
    assert_int_equal(json_integer_value(field(all, 0, "_epoch")), 2);
    assert_int_equal(json_integer_value(field(all, 0, "_g")), 5);
    json_decref(all);
}

static void event_time_closes_a_window_without_any_idleness(void **state)
{
    struct tm_err err;
    (void)state;
    set.idle_ns = 3600 * TM_NS_PER_S;
    set.window_ms = 60000;
    alert(recon_org.ids[1], "gap", 10, 0);
    tm_mem_set_time(stand.broker, 1772438400000 + 60000);
    alert(recon_org.ids[2], "gap", 11, 0);
    tm_mem_set_time(stand.broker, 1772438400000 + 1000);
    alert(recon_org.ids[3], "gap", 12, 0); /* late: joins the open window */
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 1);
    assert_non_null(answer_of(all, recon_org.ids[1]));
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), 1);
    json_decref(all);
    assert_int_equal(run(61 * TM_NS_PER_S, &err),
                     TM_OK); /* … which closes by its age on the wall clock */
    all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 3);
    assert_non_null(answer_of(all, recon_org.ids[3]));
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), 3);
    json_decref(all);
}

static void many_ids_are_asked_in_as_few_requests_as_limits_allow(void **state)
{
    struct tm_err err;
    (void)state;
    recon_org.rows = RECON_ORG_ROWS_MAX;
    for (int i = 0; i < RECON_ORG_ROWS_MAX; i++)
        alert(recon_org.ids[i], "gap", 100 + i, -1);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "image"), RECON_ORG_ROWS_MAX);
    assert_int_equal(json_array_size(all), RECON_ORG_ROWS_MAX);
    assert_int_equal(recon_org.queries, 3);
    assert_int_equal(recon_org.describes, 1);
    assert_true(recon_org.url_bytes_max <= TM_SOQL_GET_BYTES_MAX + 100);
    json_decref(all);
}

static void a_full_window_does_not_wait(void **state)
{
    struct tm_err err;
    (void)state;
    recon_down();
    set.ids_max = 2;
    set.idle_ns = 3600 * TM_NS_PER_S;
    set.window_ms = 86400000;
    recon_up();
    for (int i = 0; i < 5; i++)
        alert(recon_org.ids[i], "gap", 100 + i, 0);
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 4);
    json_decref(all);
}

static void a_missing_id_is_removed_only_when_the_user_sees_all(void **state)
{
    struct tm_err err;
    (void)state;
    recon_org.deleted[1] = true;
    recon_org.gone[2] = true;
    alert(recon_org.ids[1], "gap", 10, -1);
    alert(recon_org.ids[2], "gap", 11, -1);
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "removed"), 2);
    json_decref(all);
    set.sees_all = false;
    alert(recon_org.ids[1], "gap", 20, -1);
    alert(recon_org.ids[2], "gap", 21, -1);
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "removed"), 3);
    assert_int_equal(count_kind(all, "unreadable"), 1);
    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(json_string_value(field(all, i, "_kind")), "unreadable") == 0)
            assert_string_equal(json_string_value(field(all, i, "Id")), recon_org.ids[2]);
    json_decref(all);
}

static void a_whole_read_ends_in_every_partition_with_what_it_answered_there(void **state)
{
    struct tm_err err;
    (void)state;
    recon_org.page = 3;
    recon_org.gone[5] = true;
    recon_org.deleted[6] = true;
    alert_all("copy", 40);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "image"), 6);
    assert_int_equal(count_kind(all, "end"), PARTITIONS);
    const char *read_id = json_string_value(field(all, 0, "_read_id"));
    for (int p = 0; p < PARTITIONS; p++) {
        json_int_t answered = 0, told = -1;
        bool after_end = false;
        for (size_t i = 0; i < json_array_size(all); i++) {
            if (json_integer_value(field(all, i, "_partition")) != p)
                continue;
            assert_false(after_end); /* the end comes last */
            assert_string_equal(json_string_value(field(all, i, "_read_kind")), "whole");
            assert_string_equal(json_string_value(field(all, i, "_read_id")), read_id);
            assert_int_equal(json_integer_value(field(all, i, "_g")), 40);
            if (strcmp(json_string_value(field(all, i, "_kind")), "end") == 0) {
                told = json_integer_value(field(all, i, "_count"));
                assert_int_equal(json_integer_value(field(all, i, "_partitions")), PARTITIONS);
                after_end = true;
            } else {
                answered++;
            }
        }
        assert_int_equal(told, answered);
    }
    assert_int_equal(tm_recon_counts(recon)->duplicates,
                     PARTITIONS - 1); /* one read for the three copies of the ask */
    json_decref(all);
    alert_all("copy", 40); /* asked again at the same position: an audit */
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "end"), 2 * PARTITIONS);
    json_decref(all);
}

static void an_overflow_may_be_read_as_a_range_that_waits_for_the_index(void **state)
{
    struct tm_err err;
    (void)state;
    set.overflow_range = true;
    set.lag_ms = 60000;
    recon_org.deleted[3] = true;
    stand.now.org_ms = 1772438400000;
    alert_all("overflow", 50);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_int_equal(recon_org.queries, 0);
    /* Other asks of the object keep their order behind it: a commit beyond it would lose it. */
    alert(recon_org.ids[1], "gap", 51, 0);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_int_equal(recon_org.queries, 0);
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), -1);
    stand.now.org_ms = 1772438400000 + 60000 + 60000;
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "removed"), 1);
    assert_int_equal(count_kind(all, "end"), PARTITIONS);
    size_t of_range = 0;
    for (size_t i = 0; i < json_array_size(all); i++)
        of_range += strcmp(json_string_value(field(all, i, "_read_kind")), "range") == 0;
    assert_int_equal(of_range, 8 + PARTITIONS);
    json_decref(all);
    /* A conversion is always read whole, and once, however often it is delivered. */
    alert_all("conversion", 60);
    alert_all("conversion", 60);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "end"), 2 * PARTITIONS);
    assert_null(strstr(recon_org.last_query, "SystemModstamp >="));
    json_decref(all);
}

static void the_range_begins_the_longest_transaction_before_the_commit(void **state)
{
    struct tm_err err;
    (void)state;
    set.overflow_range = true;
    stand.now.org_ms = 1772438400000 + 60000;
    alert_all("overflow", 50);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_non_null(
        strstr(recon_org.last_query, "WHERE SystemModstamp >= 2026-03-02T07:50:00.000Z"));
    assert_int_equal(recon_org.query_all, 1);
}

/* Whatever comes last: before the first commit, and answering the highest position. */
static void one_range_answers_all_overflows_of_a_window(void **state)
{
    struct tm_err err;
    (void)state;
    set.overflow_range = true;
    stand.now.org_ms = 1772438400000 + 120000;
    alert_all("overflow", 50);
    alert_commit_ms += 40000;
    alert_all("overflow", 70);
    alert_commit_ms -= 20000;
    alert_all("overflow", 60);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_non_null(strstr(recon_org.last_query, ">= 2026-03-02T07:50:00.000Z"));
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "end"), PARTITIONS);
    assert_int_equal(json_integer_value(field(all, json_array_size(all) - 1, "_g")), 70);
    json_decref(all);
}

/* In whatever order they come: the highest position, all of the commits, and a whole read where one
 * of them needs it. */
static void a_window_that_must_be_read_whole_is_whatever_else_it_is_asked(void **state)
{
    static const struct {
        int64_t g, commit_ms;
        bool whole;
    } asks[] = { { 50, 4000, true }, { 70, 9000, false }, { 60, 1000, false } };
    (void)state;
    for (size_t first = 0; first < 3; first++) {
        struct tm_window *w = tm_window_open(0, 10, 0, 0);
        assert_non_null(w);
        for (size_t i = 0; i < 3; i++) {
            size_t k = (first + i) % 3;
            const struct tm_position at = { .g = asks[k].g };
            tm_window_ask_all(w, &at, asks[k].commit_ms, asks[k].whole);
        }
        assert_true(w->all && w->all_whole);
        assert_int_equal(w->at.g, 70);
        assert_int_equal(w->commit_first_ms, 1000);
        assert_int_equal(w->commit_last_ms, 9000);
        tm_window_close(w);
    }
}

/* R11, R16: what the overflowing transaction deleted and somebody purged since has no event and is
 * not in queryAll. */
static void a_range_read_removes_what_was_purged_from_the_recycle_bin(void **state)
{
    struct tm_err err;
    (void)state;
    set.overflow_range = true;
    recon_org.gone[2] = recon_org.logged[2] = true;
    recon_org.deleted[3] = recon_org.logged[3] = true;
    recon_org.logged[4] = true; /* came back while it was read: the rows say so */
    stand.now.org_ms = 1772438400000;
    alert_all("overflow", 50);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_int_equal(recon_org.queries, 0); /* getDeleted knows whole minutes only */
    stand.now.org_ms += 60000;
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_int_equal(recon_org.deleted_calls, 1);
    assert_non_null(strstr(recon_org.last_deleted, "start=2026-03-02T07:50:00"));
    assert_non_null(strstr(recon_org.last_deleted, "end=2026-03-02T08:01:00"));
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "removed"), 2);
    assert_int_equal(count_kind(all, "image"), 6);
    const json_t *purged = answer_of(all, recon_org.ids[2]);
    assert_string_equal(json_string_value(json_object_get(purged, "_kind")), "removed");
    assert_string_equal(json_string_value(json_object_get(purged, "_read_kind")), "range");
    assert_int_equal(json_integer_value(json_object_get(purged, "_g")), 50);
    json_int_t counted = 0;
    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(json_string_value(field(all, i, "_kind")), "end") == 0)
            counted += json_integer_value(field(all, i, "_count"));
    assert_int_equal(counted, 8);
    json_decref(all);
}

static void a_range_read_waits_until_deletes_are_covered(void **state)
{
    struct tm_err err;
    (void)state;
    set.overflow_range = true;
    recon_org.gone[2] = recon_org.logged[2] = true;
    recon_org.covered = "2026-03-02T08:00:00.000+0000";
    stand.now.org_ms = 1772438400000 + 60000;
    alert_all("overflow", 50);
    assert_int_equal(run(1500 * TM_NS_PER_MS, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "end"), 0);
    assert_int_equal(tm_recon_counts(recon)->reads_retried, 1);
    json_decref(all);
    recon_org.covered = "2026-03-02T08:01:00.000+0000";
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "end"), PARTITIONS);
    assert_int_equal(count_kind(all, "removed"), 1);
    json_decref(all);
}

static void a_range_whose_deletes_cannot_be_told_is_read_whole(void **state)
{
    struct tm_err err;
    (void)state;
    set.overflow_range = true;
    stand.now.org_ms = 1772438400000 + 60000;
    recon_org.earliest = "2026-03-02T07:51:00.000+0000";
    alert_all("overflow", 50);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    recon_org.deleted_status = 400;
    alert_all("overflow", 60);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "end"), 2 * PARTITIONS);
    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(json_string_value(field(all, i, "_kind")), "end") == 0)
            assert_string_equal(json_string_value(field(all, i, "_read_kind")), "whole");
    assert_int_equal(tm_recon_counts(recon)->reads_retried, 0);
    json_decref(all);
}

static void a_failed_read_starts_again_with_a_new_id(void **state)
{
    struct tm_err err;
    (void)state;
    recon_org.page = 3;
    alert_all("copy", 40);
    recon_org.fail_queries = 1;
    assert_int_equal(run(20 * TM_NS_PER_S, &err), TM_OK);
    recon_org.page = 3;
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "end"), PARTITIONS);
    assert_int_equal(tm_recon_counts(recon)->reads_retried, 1);
    char read_id[80]; /* of the second attempt: the first had the time before the back-off */
    int64_t seq = json_integer_value(field(all, 0, "_read_seq"));
    assert_true(seq > (stand.now.wall_ns - 19 * TM_NS_PER_S) / TM_NUMBERS_TICK_NS * 64);
    snprintf(read_id, sizeof read_id, "life0-%lld", (long long)seq);
    assert_string_equal(json_string_value(field(all, 0, "_read_id")), read_id);
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), 1);
    json_decref(all);
}

static void a_read_given_up_is_told_and_its_rows_stay_unanswered(void **state)
{
    struct tm_err err;
    (void)state;
    recon_org.fail_queries = 1000;
    alert(recon_org.ids[1], "gap", 10, 0);
    alert(recon_org.ids[2], "gap", 11, 1);
    assert_int_equal(run(60 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, ALERTS), *answers = stand_all(&stand, RECON);
    assert_int_equal(count_kind(all, "failed"), 2);
    assert_int_equal(json_array_size(answers), 0);
    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(json_string_value(field(all, i, "_kind")), "failed") == 0) {
            assert_non_null(strstr(json_string_value(field(all, i, "_reason")), "QUERY_TIMEOUT"));
            assert_string_equal(
                json_string_value(field(all, i, "ReplayId")),
                strcmp(json_string_value(field(all, i, "Id")), recon_org.ids[1]) == 0 ? "10"
                                                                                      : "11");
        }
    assert_int_equal(tm_recon_counts(recon)->reads_failed,
                     1); /* the failed alerts themselves ask for nothing */
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0),
                     tm_mem_high(stand.broker, ALERTS, 0));
    json_decref(all);
    json_decref(answers);
}

static void a_crash_before_the_commit_answers_again_with_a_higher_number(void **state)
{
    struct tm_err err;
    (void)state;
    alert(recon_org.ids[1], "gap", 10, 0);
    tm_mem_hold_acks(stand.broker, true);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), -1);
    recon_down();
    tm_mem_hold_acks(stand.broker, false);
    recon_up();
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 2);
    assert_true(json_integer_value(field(all, 1, "_read_seq")) >
                json_integer_value(field(all, 0, "_read_seq")));
    assert_string_not_equal(json_string_value(field(all, 1, "_read_id")),
                            json_string_value(field(all, 0, "_read_id")));
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), 1);
    json_decref(all);
}

static void an_answer_that_is_not_delivered_is_read_again(void **state)
{
    struct tm_err err;
    (void)state;
    alert(recon_org.ids[1], "gap", 10, 0);
    tm_mem_refuse(stand.broker, 1);
    assert_int_equal(run(10 * TM_NS_PER_S, &err), TM_OK);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 1);
    assert_int_equal(tm_recon_counts(recon)->reads_retried, 1);
    json_decref(all);
}

static void a_partition_taken_away_is_not_committed(void **state)
{
    struct tm_err err;
    (void)state;
    alert(recon_org.ids[1], "gap", 10, 0);
    assert_int_equal(run(100 * TM_NS_PER_MS, &err), TM_OK);
    tm_recon_revoked(recon, ALERTS, 0);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), -1);
}

static void an_alert_that_makes_no_sense_is_kept_aside(void **state)
{
    struct tm_err err;
    (void)state;
    alert(recon_org.ids[1], "whatever", 10, 0);
    alert("not an id", "gap", 11, 0);
    stand_put_raw(&stand, ALERTS, 0, "k", "junk", 4);
    alert(recon_org.ids[2], "gap", 12, 0);
    assert_int_equal(run(5 * TM_NS_PER_S, &err), TM_OK);
    assert_int_equal(tm_recon_aside_count(recon), 3);
    json_t *all = stand_all(&stand, RECON);
    assert_int_equal(json_array_size(all), 1);
    json_decref(all);
    assert_int_equal(tm_mem_committed(stand.broker, GROUP, ALERTS, 0), 4);
}

/* The recon topic's read numbers in the order they were written, partition by partition: they grow.
 */
static int64_t numbers_grow(size_t *out_reads)
{
    json_t *all = stand_all(&stand, RECON), *reads = json_object();
    int64_t last[PARTITIONS] = { 0 }, highest = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_int_t p = json_integer_value(field(all, i, "_partition"));
        int64_t seq = json_integer_value(field(all, i, "_read_seq"));
        const char *read = json_string_value(field(all, i, "_read_id"));
        char number[24];
        assert_true(seq >= last[p]);  /* equal: two answers of one read */
        assert_true(seq < 1LL << 53); /* what JSON's readers can tell apart */
        last[p] = seq;
        highest = seq > highest ? seq : highest;
        snprintf(number, sizeof number, "%lld", (long long)seq);
        const char *known = json_string_value(json_object_get(reads, number));
        assert_true(known == NULL || strcmp(known, read) == 0);
        json_object_set_new(reads, number, json_string(read));
    }
    *out_reads = json_object_size(reads);
    json_decref(reads);
    json_decref(all);
    return highest;
}

/* Design 5: the number orders two answers at one position, whoever read them. */
static void read_numbers_grow_when_a_partition_changes_hands(void **state)
{
    struct tm_err err;
    char other[300];
    size_t reads = 0;
    (void)state;
    snprintf(other, sizeof other, "%s/other", folder);
    mkdir(other, 0777);
    for (int turn = 0; turn < 6; turn++) {
        for (int ask = 0; ask < (turn == 0 ? 5 : 1); ask++) {
            for (int32_t p = 0; p < PARTITIONS; p++)
                alert(recon_org.ids[p], "gap", 10, p);
            assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
        }
        recon_down(); /* the group goes to a member on another host, and back */
        recon_up_as(turn % 2 == 0 ? other : folder);
    }
    numbers_grow(&reads);
    assert_int_equal(reads, 10);
}

/* A host started with its clock an hour behind, and the clock was set since. */
static void read_numbers_go_by_the_clock_as_it_is_now(void **state)
{
    struct tm_err err;
    char other[300];
    size_t reads = 0;
    (void)state;
    snprintf(other, sizeof other, "%s/other", folder);
    mkdir(other, 0777);
    tm_recon_real_time(recon, 7200 * TM_NS_PER_S);
    alert(recon_org.ids[0], "gap", 10, 0);
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    recon_down();
    recon_up_as(other);
    tm_recon_real_time(recon, 3600 * TM_NS_PER_S);
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    tm_recon_real_time(recon, 7200 * TM_NS_PER_S);
    alert(recon_org.ids[0], "gap", 11, 0);
    assert_int_equal(run(2 * TM_NS_PER_S, &err), TM_OK);
    numbers_grow(&reads);
    assert_int_equal(reads, 2);
}

static void two_members_share_the_asks_and_never_a_number(void **state)
{
    struct tm_err err;
    char other[300];
    size_t reads = 0;
    (void)state;
    snprintf(other, sizeof other, "%s/other", folder);
    mkdir(other, 0777);
    struct tm_recon *first = recon;
    struct tm_topic *first_topic = topic;
    struct tm_sf_session *first_session = session;
    recon_up_as(other);
    for (int ask = 0; ask < 20; ask++) {
        for (int32_t p = 0; p < PARTITIONS; p++)
            alert(recon_org.ids[p], "gap", 10 + ask, p);
        for (int i = 0; i < 4; i++) {
            struct tm_recon *second = recon;
            assert_int_equal(run(300 * TM_NS_PER_MS, &err), TM_OK);
            recon = first;
            assert_int_equal(run(300 * TM_NS_PER_MS, &err), TM_OK);
            recon = second;
        }
    }
    numbers_grow(&reads);
    assert_true(tm_recon_counts(first)->reads >= 15);
    assert_true(tm_recon_counts(recon)->reads >= 15);
    assert_int_equal(reads, tm_recon_counts(first)->reads + tm_recon_counts(recon)->reads);
    recon_down();
    recon = first;
    topic = first_topic;
    session = first_session;
}

/* Also when the clock is set back, and for more reads than there are ticks. */
static void read_numbers_grow_across_lives(void **state)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_numbers *n = NULL;
    char path[300];
    int64_t last = 0, number = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/n.db", folder);
    for (int life = 0; life < 3; life++) {
        int64_t real_ns = 1772438400 * TM_NS_PER_S - life * 3600 * TM_NS_PER_S;
        assert_int_equal(tm_numbers_open(&n, path, "a word", &err), TM_OK);
        for (int i = 0; i < TM_NUMBERS_BLOCK_TICKS + 3; i++) {
            assert_int_equal(tm_numbers_next(n, real_ns, &number, &err), TM_OK);
            assert_true(number > last);
            last = number;
        }
        tm_numbers_close(n);
    }
    assert_true(last < 1LL << 53);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_idle_window_is_read_once_at_the_highest_position_of_each_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ask_of_a_newer_epoch_stands_above_all_of_an_older_one,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_time_closes_a_window_without_any_idleness, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_ids_are_asked_in_as_few_requests_as_limits_allow,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_window_does_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_id_is_removed_only_when_the_user_sees_all, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_whole_read_ends_in_every_partition_with_what_it_answered_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_overflow_may_be_read_as_a_range_that_waits_for_the_index,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_range_answers_all_overflows_of_a_window, set_up,
                                        tear_down),
        cmocka_unit_test(a_window_that_must_be_read_whole_is_whatever_else_it_is_asked),
        cmocka_unit_test_setup_teardown(the_range_begins_the_longest_transaction_before_the_commit,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_range_read_removes_what_was_purged_from_the_recycle_bin,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_range_read_waits_until_deletes_are_covered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_range_whose_deletes_cannot_be_told_is_read_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failed_read_starts_again_with_a_new_id, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_read_given_up_is_told_and_its_rows_stay_unanswered,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_crash_before_the_commit_answers_again_with_a_higher_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_is_not_delivered_is_read_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_partition_taken_away_is_not_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_alert_that_makes_no_sense_is_kept_aside, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(read_numbers_grow_when_a_partition_changes_hands, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(read_numbers_go_by_the_clock_as_it_is_now, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_members_share_the_asks_and_never_a_number, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(read_numbers_grow_across_lives, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
