/* cometd against a scripted HTTP port: the ways a subscription can break, and that no way loses an
 * event. Virtual time. */
#include "salesforce/cometd.h"
#include "base/log.h"
#include "tests/support_fake_http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CH "/data/LeadChangeEvent"
#define SIGN_IN(token)                                                                             \
    {                                                                                              \
        .expect = "POST /services/oauth2/token", .status = 200,                                    \
        .body = "{\"access_token\":\"" token "\",\"instance_url\":\"https://na1.example\"}"        \
    }
#define META(channel_, expect_, body_)                                                             \
    {                                                                                              \
        .expect = "POST https://na1.example/cometd/59.0",                                          \
        .expect_body = "\"channel\":\"/meta/" channel_ "\"" expect_, .status = 200, .body = body_  \
    }
#define SHAKE(client)                                                                              \
    META("handshake", ",\"version\":\"1.0\"",                                                      \
         "[{\"ext\":{\"replay\":true},\"clientId\":\"" client                                      \
         "\",\"channel\":\"/meta/handshake\",\"successful\":true}]")
#define SUBSCRIBE(from)                                                                            \
    META("subscribe", ",\"subscription\":\"" CH "\",\"ext\":{\"replay\":{\"" CH "\":" from "}}",   \
         "[{\"channel\":\"/meta/subscribe\",\"subscription\":\"" CH "\",\"successful\":true}]")
#define FIRST                                                                                      \
    META("connect", ",\"connectionType\":\"long-polling\",\"advice\":{\"timeout\":0}",             \
         "[{\"advice\":{\"interval\":0,\"timeout\":40000,\"reconnect\":\"retry\"},\"channel\":\"/" \
         "meta/connect\",\"successful\":true}]")
/* A handshake, a subscription and the first poll: the client stands. */
#define STANDS(client, from) SHAKE(client), SUBSCRIBE(from), FIRST
#define CONNECTED "{\"channel\":\"/meta/connect\",\"successful\":true}"
#define EVENT(id) "{\"data\":{\"event\":{\"replayId\":" id "}},\"channel\":\"" CH "\"}"
#define CONNECT(events)                                                                            \
    META("connect", ",\"connectionType\":\"long-polling\"}]", "[" events CONNECTED "]")
#define REFUSED(channel_, error_, more)                                                            \
    META(channel_, "",                                                                             \
         "[{\"channel\":\"/meta/" channel_ "\",\"error\":\"" error_ "\",\"successful\":false" more \
         "}]")
#define HELD                                                                                       \
    {                                                                                              \
        .expect = "POST /cometd/59.0", .expect_body = "/meta/connect", .status = 200,              \
        .body = "[]", .delay_ns = TM_NEVER                                                         \
    }
#define BROKEN(what)                                                                               \
    {                                                                                              \
        .expect = "POST /cometd/59.0", .expect_body = what, .status = 0                            \
    }

struct world {
    struct fake_http f;
    struct tm_sf_session *s;
    struct tm_cometd *c;
    int64_t last_id;
    unsigned answers;
    struct tm_err err; /* of the last drive */
};

static void open_world(struct world *w, const struct fake_line *lines, size_t lines_count,
                       int64_t from)
{
    static const struct tm_sf_settings set = {
        .instance = "https://login.example",
        .consumer_key = "k",
        .consumer_secret = "s",
        .grant = TM_SF_CLIENT_CREDENTIALS,
        .api_version = "59.0",
        .request_retry_ns_max = 60 * TM_NS_PER_S,
        .seed = 1,
    };
    *w = (struct world){ .last_id = -100 };
    fake_http_init(&w->f, lines, lines_count);
    assert_int_equal(tm_sf_session_open(&w->s, &w->f.base, &set, &w->err), TM_OK);
    assert_int_equal(tm_cometd_open(&w->c, w->s, CH, from, 1000, &w->err), TM_OK);
}
#define COUNT(lines) (sizeof(lines) / sizeof((lines)[0]))
#define OPEN(w, lines, from) open_world(w, lines, COUNT(lines), from)

static void close_world(struct world *w)
{
    tm_cometd_close(w->c);
    tm_sf_session_close(w->s);
    fake_http_done(&w->f);
}

static void take(struct world *w, json_t *events, bool confirm)
{
    size_t i;
    json_t *e;
    w->answers++;
    json_array_foreach(events, i, e) w->last_id = json_integer_value(
        json_object_get(json_object_get(json_object_get(e, "data"), "event"), "replayId"));
    if (confirm && json_array_size(events) > 0)
        tm_cometd_confirm(w->c, w->last_id);
    json_decref(events);
}

/* One step at the present instant; what it brings is taken. */
static enum tm_code step(struct world *w, bool confirm)
{
    struct tm_now now = { .wall_ns = w->f.now_ns };
    json_t *events = NULL;
    enum tm_code rc = tm_cometd_next(w->c, &now, &events, &w->err);
    if (rc == TM_OK)
        take(w, events, confirm);
    return rc;
}

/* Steps until so many lines are used, without any time going by. */
static void step_up_to(struct world *w, size_t lines_used)
{
    while (w->f.lines_used < lines_used)
        step(w, false);
}

/* Steps until all lines are used and the last one has nothing more to say, or an error comes. */
static enum tm_code drive(struct world *w, bool confirm)
{
    tm_err_clear(&w->err);
    for (int i = 0, idle = 0; i < 2000 && idle < 5; i++) {
        enum tm_code rc = step(w, confirm);
        if (rc != TM_OK && rc != TM_E_AGAIN)
            return rc;
        int64_t next = tm_cometd_next_at(w->c);
        if (next != TM_NEVER && next > w->f.now_ns)
            w->f.now_ns = next;
        idle = w->f.lines_used == w->f.lines_count && rc == TM_E_AGAIN ? idle + 1 : 0;
    }
    assert_int_equal(w->f.lines_used, w->f.lines_count);
    return TM_E_AGAIN;
}

/* The rest of the script goes through without an error, every event confirmed. */
static void goes_through(struct world *w)
{
    assert_int_equal(drive(w, true), TM_E_AGAIN);
}

/* The script ends in an error that says so. */
static void fails(struct world *w, enum tm_code code, const char *words)
{
    assert_int_equal(drive(w, true), code);
    assert_non_null(strstr(w->err.msg, words));
}

/* A whole test: the script, from its first line to its last, asks for the right things. */
static void plays(const struct fake_line *lines, size_t lines_count, int64_t from)
{
    struct world w;
    open_world(&w, lines, lines_count, from);
    goes_through(&w);
    close_world(&w);
}
#define PLAYS(lines, from) plays(lines, COUNT(lines), from)

/* A whole test: a script that ends in an error. */
static void refused(const struct fake_line *lines, size_t lines_count, enum tm_code code,
                    const char *words)
{
    struct world w;
    open_world(&w, lines, lines_count, 7);
    fails(&w, code, words);
    close_world(&w);
}
#define REFUSES(lines, code, words) refused(lines, COUNT(lines), code, words)

static void events_come_in_order_and_the_next_poll_leaves_at_once(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"), STANDS("C1", "-1"),      CONNECT(EVENT("5") "," EVENT("6") ","),
        CONNECT(""),  CONNECT(EVENT("9") ","), HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, TM_REPLAY_NEW);
    assert_false(tm_cometd_live(w.c));
    goes_through(&w);
    assert_true(tm_cometd_live(w.c));
    assert_int_equal(w.last_id, 9);
    assert_int_equal(w.answers, 4);
    assert_int_equal(tm_cometd_handshakes(w.c), 1);
    assert_int_equal(w.f.now_ns, 1000 * TM_NS_PER_S); /* nothing was waited for */
    /* advice's 40 s and 20 s for the network */
    assert_int_equal(w.f.timeout_ns[7], 60 * TM_NS_PER_S);
    assert_int_equal(tm_cometd_next_at(w.c), TM_NEVER);
    close_world(&w);
}

static void interval_advice_spaces_the_polls(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        SHAKE("C1"),
        SUBSCRIBE("-2"),
        META("connect", "",
             "[{\"advice\":{\"interval\":2000,\"timeout\":40000},\"channel\":\"/meta/"
             "connect\",\"successful\":true}]"),
        HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, TM_REPLAY_ALL);
    goes_through(&w);
    assert_int_equal(w.f.sent_ns[4] - w.f.sent_ns[3], 2 * TM_NS_PER_S);
    close_world(&w);
}

static void dropped_poll_is_renewed_after_the_last_confirmed_id(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        STANDS("C1", "40"),
        CONNECT(EVENT("41") "," EVENT("42") ","),
        BROKEN("/meta/connect"),
        STANDS("C2", "42"),
        HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 40);
    goes_through(&w);
    assert_int_equal(tm_cometd_handshakes(w.c), 2);
    close_world(&w);
}

static void events_nobody_confirmed_are_asked_for_again(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        STANDS("C1", "40"),
        CONNECT(EVENT("41") "," EVENT("42") ","),
        BROKEN("/meta/connect"),
        STANDS("C2", "40"),
        HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 40);
    assert_int_equal(drive(&w, false), TM_E_AGAIN);
    close_world(&w);
}

static void only_new_is_renewed_with_all_while_nothing_is_confirmed(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        SHAKE("C1"),
        BROKEN("/meta/subscribe"),
        STANDS("C2", "-1"), /* it never stood: only new is still right */
        BROKEN("/meta/connect"),
        STANDS("C3", "-2"),
        HELD,
    };
    (void)state;
    PLAYS(lines, TM_REPLAY_NEW);
}

static void torn_answer_starts_over_instead_of_skipping_events(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        STANDS("C1", "7"),
        META("connect", "", "[" EVENT("8") ",{\"data\":{\"eve"),
        STANDS("C2", "7"),
        META("connect", "", "[]"),
        STANDS("C3", "7"),
        HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    goes_through(&w);
    assert_int_equal(w.last_id, -100);
    close_world(&w);
}

static void unknown_client_shakes_hands_again_at_once(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        STANDS("C1", "7"),
        CONNECT(EVENT("8") ","),
        REFUSED("connect", "403::Unknown client",
                ",\"advice\":{\"interval\":0,\"reconnect\":\"handshake\"}"),
        STANDS("C2", "8"),
        HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    goes_through(&w);
    assert_int_equal(w.f.now_ns, 1000 * TM_NS_PER_S);
    close_world(&w);
}

static void refused_token_signs_in_again_in_all_its_spellings(void **state)
{
    static const struct fake_line refusals[] = {
        REFUSED("connect", "401::Authentication invalid",
                ",\"advice\":{\"reconnect\":\"none\",\"interval\":0}"),
        { .expect = "POST /cometd/59.0",
          .expect_body = "/meta/connect",
          .status = 401,
          .body = "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct fake_line lines[] = {
            SIGN_IN("A"),
            STANDS("C1", "7"),
            refusals[i],
            SIGN_IN("B"),
            REFUSED("handshake", "403::Handshake denied",
                    ",\"ext\":{\"sfdc\":{\"failureReason\":\"401::Authentication "
                    "invalid\"}},\"advice\":{\"reconnect\":\"none\"}"),
            SIGN_IN("C"),
            STANDS("C2", "7"),
            { .expect = "POST /cometd/59.0",
              .expect_header = "Authorization: Bearer C",
              .delay_ns = TM_NEVER },
        };
        struct world w;
        OPEN(&w, lines, 7);
        goes_through(&w);
        close_world(&w);
    }
}

static void tokens_always_refused_end_with_a_usage_error(void **state)
{
#define DENIED                                                                                     \
    REFUSED("handshake", "403::Handshake denied",                                                  \
            ",\"ext\":{\"sfdc\":{\"failureReason\":\"401::Authentication invalid\"}}")
    static const struct fake_line lines[] = {
        SIGN_IN("A"), DENIED, SIGN_IN("B"), DENIED, SIGN_IN("C"), DENIED, SIGN_IN("D"), DENIED,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    fails(&w, TM_E_ARG, "Authentication invalid");
    assert_int_equal(drive(&w, true), TM_E_ARG);
    close_world(&w);
}

static void token_renewed_by_somebody_else_is_used_without_a_sign_in(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("A"),      STANDS("C1", "7"),
        SIGN_IN("B"),      REFUSED("connect", "401::Authentication invalid", ""),
        STANDS("C2", "7"), HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    step_up_to(&w, 4);
    tm_sf_session_expired(w.s); /* a REST call noticed first */
    struct tm_now now = { .wall_ns = w.f.now_ns };
    while (tm_sf_session_ready(w.s, &now, &w.err) == TM_E_AGAIN)
        ;
    goes_through(&w);
    close_world(&w);
}

static void busy_server_is_given_time(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        REFUSED("handshake", "403::Handshake denied",
                ",\"ext\":{\"sfdc\":{\"failureReason\":\"503::Server is too busy. Please try\"}}"),
        { .expect = "POST /cometd/59.0",
          .expect_body = "/meta/handshake",
          .status = 502,
          .body = "<html>" },
        SHAKE("C1"),
        REFUSED("subscribe", "403::denied",
                ",\"ext\":{\"sfdc\":{\"failureReason\":\"503::Server is too busy.\"}}"),
        STANDS("C2", "7"),
        HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    goes_through(&w);
    assert_true(w.f.sent_ns[2] - w.f.sent_ns[1] >= 125 * TM_NS_PER_MS);
    assert_true(w.f.sent_ns[5] - w.f.sent_ns[4] > w.f.sent_ns[2] - w.f.sent_ns[1]);
    assert_string_equal(tm_cometd_trouble(w.c), "");
    close_world(&w);
}

static void endless_trouble_ends_with_its_cause_when_the_budget_is_spent(void **state)
{
    static const struct fake_line broken = BROKEN("/meta/handshake");
    struct fake_line lines[40];
    struct world w;
    (void)state;
    lines[0] = (struct fake_line)SIGN_IN("T");
    for (size_t i = 1; i < 40; i++)
        lines[i] = broken;
    OPEN(&w, lines, 7);
    assert_int_equal(drive(&w, true), TM_E_IO);
    assert_true(w.err.retriable);
    assert_non_null(strstr(w.err.msg, "connection broken"));
    assert_true(w.f.lines_used > 5);
    tm_cometd_close(w.c);
    tm_sf_session_close(w.s);
}

static void daily_limit_is_waited_out_beyond_any_budget_and_told(void **state)
{
#define DAILY REFUSED("connect", "403::Organization total events daily limit exceeded", "")
    static const struct fake_line lines[] = {
        SIGN_IN("T"),   SHAKE("C1"),    SUBSCRIBE("7"), DAILY,          SHAKE("C2"),
        SUBSCRIBE("7"), DAILY,          SHAKE("C3"),    SUBSCRIBE("7"), DAILY,
        SHAKE("C4"),    SUBSCRIBE("7"), HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    goes_through(&w);
    assert_true(w.f.sent_ns[4] - w.f.sent_ns[3] >= 60 * TM_NS_PER_S);
    assert_true(w.f.sent_ns[12] - w.f.sent_ns[0] >= 180 * TM_NS_PER_S);
    assert_non_null(strstr(tm_cometd_trouble(w.c), "daily limit exceeded"));
    assert_false(tm_cometd_live(w.c));
    close_world(&w);
}

#define GONE                                                                                       \
    "400::The replayId {7} you provided was invalid.  Please provide a valid ID, -2 to replay "    \
    "all events, "                                                                                 \
    "or -1 to replay only new events."

static void refused_replay_id_is_a_gap_until_the_owner_resumes(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"), SHAKE("C1"), REFUSED("subscribe", GONE, ""), SUBSCRIBE("-2"), FIRST, HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    fails(&w, TM_E_GAP, "replayId {7}");
    assert_int_equal(drive(&w, true), TM_E_GAP); /* it does not go away by itself */
    assert_int_equal(tm_cometd_next_at(w.c), TM_NEVER);
    tm_cometd_resume(w.c, TM_REPLAY_ALL);
    goes_through(&w);
    assert_true(tm_cometd_live(w.c));
    close_world(&w);
}

static void resuming_while_live_leaves_the_old_client_behind(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"), STANDS("C1", "7"), HELD, STANDS("C2", "-1"), HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    step_up_to(&w, 5);
    tm_cometd_resume(w.c, TM_REPLAY_NEW);
    assert_false(tm_cometd_live(w.c));
    goes_through(&w);
    close_world(&w);
}

static void too_large_delivery_names_the_setting(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        STANDS("C1", "7"),
        { .expect = "POST /cometd/59.0",
          .expect_body = "/meta/connect",
          .status = 200,
          .too_big = true },
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    fails(&w, TM_E_LIMIT, "connection.max.message.size (1000 bytes)");
    assert_int_equal(drive(&w, true), TM_E_LIMIT);
    close_world(&w);
}

static void channel_and_rights_errors_are_usage_errors_in_the_servers_words(void **state)
{
    static const char *const said[] = {
        "400::The channel you requested to subscribe to does not exist {" CH "}",
        "403::User not allowed to subscribe CDC without View All Data permissions",
        "403::Restricted channel",
    };
    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "[{\"channel\":\"/meta/subscribe\",\"error\":\"%s\",\"successful\":false}]",
                 said[i]);
        const struct fake_line lines[] = {
            SIGN_IN("T"),
            SHAKE("C1"),
            { .expect = "POST /cometd",
              .expect_body = "/meta/subscribe",
              .status = 200,
              .body = body },
        };
        REFUSES(lines, TM_E_ARG, said[i]);
    }
}

static void server_without_replay_is_refused(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        META("handshake", "",
             "[{\"clientId\":\"C\",\"channel\":\"/meta/handshake\",\"successful\":true}]"),
    };
    (void)state;
    REFUSES(lines, TM_E_PROTO, "does not offer replay");
}

static void wrong_password_comes_through_as_it_is(void **state)
{
    static const struct fake_line lines[] = {
        { .expect = "POST /services/oauth2/token",
          .status = 400,
          .body = "{\"error\":\"invalid_client\"}" },
    };
    (void)state;
    REFUSES(lines, TM_E_ARG, "invalid_client");
}

static void events_beside_a_subscribe_answer_are_delivered(void **state)
{
    static const struct fake_line lines[] = {
        SIGN_IN("T"),
        SHAKE("C1"),
        META("subscribe", "",
             "[{\"channel\":\"/meta/subscribe\",\"successful\":true}," EVENT("8") "]"),
        FIRST,
        HELD,
    };
    struct world w;
    (void)state;
    OPEN(&w, lines, 7);
    goes_through(&w);
    assert_int_equal(w.last_id, 8);
    close_world(&w);
}

static void channels_that_are_none_are_refused(void **state)
{
    struct world w;
    struct tm_cometd *c = NULL;
    (void)state;
    open_world(&w, NULL, 0, 7);
    assert_int_equal(tm_cometd_open(&c, w.s, "data/LeadChangeEvent", 7, 0, &w.err), TM_E_ARG);
    tm_err_clear(&w.err);
    assert_int_equal(tm_cometd_open(&c, w.s, CH, -3, 0, &w.err), TM_E_ARG);
    assert_null(c);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order_and_the_next_poll_leaves_at_once),
        cmocka_unit_test(interval_advice_spaces_the_polls),
        cmocka_unit_test(dropped_poll_is_renewed_after_the_last_confirmed_id),
        cmocka_unit_test(events_nobody_confirmed_are_asked_for_again),
        cmocka_unit_test(only_new_is_renewed_with_all_while_nothing_is_confirmed),
        cmocka_unit_test(torn_answer_starts_over_instead_of_skipping_events),
        cmocka_unit_test(unknown_client_shakes_hands_again_at_once),
        cmocka_unit_test(refused_token_signs_in_again_in_all_its_spellings),
        cmocka_unit_test(tokens_always_refused_end_with_a_usage_error),
        cmocka_unit_test(token_renewed_by_somebody_else_is_used_without_a_sign_in),
        cmocka_unit_test(busy_server_is_given_time),
        cmocka_unit_test(endless_trouble_ends_with_its_cause_when_the_budget_is_spent),
        cmocka_unit_test(daily_limit_is_waited_out_beyond_any_budget_and_told),
        cmocka_unit_test(refused_replay_id_is_a_gap_until_the_owner_resumes),
        cmocka_unit_test(resuming_while_live_leaves_the_old_client_behind),
        cmocka_unit_test(too_large_delivery_names_the_setting),
        cmocka_unit_test(channel_and_rights_errors_are_usage_errors_in_the_servers_words),
        cmocka_unit_test(server_without_replay_is_refused),
        cmocka_unit_test(wrong_password_comes_through_as_it_is),
        cmocka_unit_test(events_beside_a_subscribe_answer_are_delivered),
        cmocka_unit_test(channels_that_are_none_are_refused),
    };
    tm_log_init("unit_cometd", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
