/* Out of memory at allocation 1, 2, 3 … until a run needs none more: each run ends well or says so;
 * nothing leaks (the sanitizers tell) and nothing half-made is taken for an answer. */
#include "base/config.h"
#include "base/describe.h"
#include "base/log.h"
#include "salesforce/cometd.h"
#include "salesforce/query.h"
#include "tests/support_fake_http.h"
#include "tests/support_fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static bool config_round(unsigned n)
{
    static const struct tm_key keys[] = {
        { "a", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL, NULL },
        { "b", TM_KEY_INT, 0, "7", 0, 0, NULL, NULL },
        { "c", TM_KEY_LIST, 0, NULL, 0, 0, NULL, NULL },
        { "d", TM_KEY_JSON, 0, NULL, 0, 0, NULL, NULL },
        { "e", TM_KEY_TEXT, 0, "One", 0, 0, "One|Two", NULL },
    };
    json_t *json = json_loads(
        "{\"a\":\"${env:HOME}\",\"c\":\"x,y\",\"d\":{\"k\":[\"v\",1]},\"e\":\"two\"}", 0, NULL);
    struct tm_config *c = NULL;
    struct tm_err err = { .code = TM_OK };
    const char *const *items;
    fault_arm(n);
    enum tm_code rc = tm_config_from_json(&c, json, "x.json", keys, 5, &err);
    bool hit = fault_disarm();
    if (rc == TM_OK) {
        assert_int_equal(tm_config_int(c, "b"), 7);
        assert_int_equal(tm_config_list(c, "c", &items), 2);
        assert_string_equal(tm_config_text(c, "e"), "Two");
        assert_int_equal(json_array_size(json_object_get(tm_config_json(c, "d"), "k")), 2);
    } else {
        assert_true(hit);
        assert_null(c);
        assert_int_equal(rc, TM_E_NOMEM);
    }
    tm_config_close(c);
    json_decref(json);
    return hit;
}

static bool describe_round(unsigned n)
{
    json_t *json =
        json_loads("{\"name\":\"Lead\",\"fields\":[{\"name\":\"Id\",\"type\":\"id\"},{\"name\":"
                   "\"Name\",\"type\":\"string\"},"
                   "{\"name\":\"LastName\",\"type\":\"string\",\"compoundFieldName\":\"Name\"}]}",
                   0, NULL);
    struct tm_describe *d = NULL;
    struct tm_err err = { .code = TM_OK };
    fault_arm(n);
    enum tm_code rc = tm_describe_parse(&d, json, &err);
    bool hit = fault_disarm();
    json_decref(json);
    if (rc == TM_OK)
        assert_string_equal(tm_describe_by_event_name(d, "Name.LastName")->part, "LastName");
    else
        assert_true(hit && rc == TM_E_NOMEM && d == NULL);
    tm_describe_close(d);
    return hit;
}

#define SIGN_IN                                                                                    \
    {                                                                                              \
        .expect = "POST /services/oauth2/token", .status = 200,                                    \
        .body = "{\"access_token\":\"T\",\"instance_url\":\"https://o\"}"                          \
    }
static const struct tm_sf_settings settings = {
    .instance = "https://o",
    .username = "u",
    .password = "p",
    .consumer_key = "k",
    .grant = TM_SF_PASSWORD,
    .api_version = "latest",
    .seed = 1,
};

static enum tm_code read_all(struct fake_http *f, struct tm_sf_session *s, size_t *rows,
                             struct tm_err *err)
{
    struct tm_sf_query *q = NULL;
    bool done = false;
    enum tm_code rc = tm_sf_query_open(&q, s, "SELECT Id FROM Lead", true, 200, err);
    while (!done && (rc == TM_OK || rc == TM_E_AGAIN)) {
        struct tm_now now = { .wall_ns = f->now_ns++ };
        json_t *records = NULL;
        rc = tm_sf_query_next(q, &now, &records, &done, err);
        *rows += json_array_size(records);
        json_decref(records);
    }
    tm_sf_query_close(q);
    return rc;
}

static bool query_round(unsigned n)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        { .expect = "GET /services/data", .status = 200, .body = "[{\"version\":\"59.0\"}]" },
        { .expect = "GET /queryAll",
          .status = 200,
          .body = "{\"totalSize\":2,\"done\":false,\"nextRecordsUrl\":\"/services/"
                  "n\",\"records\":[{}]}" },
        { .expect = "GET /services/n",
          .status = 200,
          .body = "{\"totalSize\":2,\"done\":true,\"records\":[{}]}" },
    };
    struct fake_http f;
    struct tm_sf_session *s = NULL;
    struct tm_err err = { .code = TM_OK };
    size_t rows = 0;
    FAKE_HTTP(&f, lines);
    fault_arm(n);
    enum tm_code rc = tm_sf_session_open(&s, &f.base, &settings, &err);
    if (rc == TM_OK)
        rc = read_all(&f, s, &rows, &err);
    bool hit = fault_disarm();
    if (rc == TM_OK)
        assert_int_equal(rows, 2);
    else
        assert_true(hit && rc == TM_E_NOMEM && err.code == TM_E_NOMEM);
    tm_sf_session_close(s);
    assert_int_equal(f.under_way, 0);
    return hit;
}

static enum tm_code take_two_events(struct fake_http *f, struct tm_cometd *c, struct tm_err *err)
{
    size_t events_count = 0;
    enum tm_code rc = TM_E_AGAIN;
    while (events_count < 2 && (rc == TM_OK || rc == TM_E_AGAIN)) {
        struct tm_now now = { .wall_ns = f->now_ns++ };
        json_t *events = NULL;
        rc = tm_cometd_next(c, &now, &events, err);
        events_count += json_array_size(events);
        json_decref(events);
    }
    return rc;
}

static bool cometd_round(unsigned n)
{
    static const struct fake_line lines[] = {
        SIGN_IN,
        { .expect = "GET /services/data", .status = 200, .body = "[{\"version\":\"59.0\"}]" },
        { .expect = "POST /cometd/59.0",
          .status = 200,
          .body =
              "[{\"channel\":\"/meta/"
              "handshake\",\"clientId\":\"C\",\"successful\":true,\"ext\":{\"replay\":true}}]" },
        { .expect = "POST /cometd/59.0",
          .status = 200,
          .body = "[{\"channel\":\"/meta/subscribe\",\"successful\":true}]" },
        { .expect = "POST /cometd/59.0",
          .status = 200,
          .body = "[{\"channel\":\"/meta/connect\",\"successful\":true}]" },
        { .expect = "POST /cometd/59.0",
          .status = 200,
          .body =
              "[{\"data\":{}},{\"data\":{}},{\"channel\":\"/meta/connect\",\"successful\":true}]" },
        { .expect = "POST /cometd/59.0", .status = 200, .body = "[]", .delay_ns = TM_NEVER },
    };
    struct fake_http f;
    struct tm_sf_session *s = NULL;
    struct tm_cometd *c = NULL;
    struct tm_err err = { .code = TM_OK };
    FAKE_HTTP(&f, lines);
    fault_arm(n);
    enum tm_code rc = tm_sf_session_open(&s, &f.base, &settings, &err);
    if (rc == TM_OK)
        rc = tm_cometd_open(&c, s, "/data/LeadChangeEvent", 7, 0, &err);
    if (rc == TM_OK)
        rc = take_two_events(&f, c, &err);
    bool hit = fault_disarm();
    if (rc != TM_OK)
        assert_true(hit && rc == TM_E_NOMEM && err.code == TM_E_NOMEM);
    tm_cometd_close(c);
    tm_sf_session_close(s);
    assert_int_equal(f.under_way, 0);
    return hit;
}

static void config_tells_of_every_failed_allocation(void **state)
{
    (void)state;
    fault_until_nothing_fails(config_round, 10);
}
static void describe_tells_of_every_failed_allocation(void **state)
{
    (void)state;
    fault_until_nothing_fails(describe_round, 6);
}
static void session_and_query_tell_of_every_failed_allocation(void **state)
{
    (void)state;
    fault_until_nothing_fails(query_round, 15);
}
static void cometd_tells_of_every_failed_allocation(void **state)
{
    (void)state;
    fault_until_nothing_fails(cometd_round, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_tells_of_every_failed_allocation),
        cmocka_unit_test(describe_tells_of_every_failed_allocation),
        cmocka_unit_test(session_and_query_tell_of_every_failed_allocation),
        cmocka_unit_test(cometd_tells_of_every_failed_allocation),
    };
    tm_log_init("fault_base", TM_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
