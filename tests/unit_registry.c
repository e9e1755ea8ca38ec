#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "mocks/registry/avro_rules.h"
#include "mocks/registry/registry.h"
#include "tests/support_command.h"
#include "tests/support_port.h"
#include "topic/registry.h"

struct fixture {
    struct tm_mock_registry *mock;
    struct tm_test_http http;
    struct tm_registry *client;
    struct tm_now now;
};

static int setup(void **state)
{
    static struct fixture f;
    struct tm_err err = { .code = TM_OK };
    memset(&f, 0, sizeof f);
    assert_int_equal(tm_mock_registry_open(&f.mock, &err), TM_OK);
    tm_test_http_init(&f.http);
    tm_test_http_route(&f.http, "http://registry:8081", tm_mock_registry_handler(f.mock));
    assert_int_equal(
        tm_registry_open(&f.client, &f.http.port, "http://user:pa:ss@registry:8081/", &err), TM_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tm_registry_close(f->client);
    tm_mock_registry_close(f->mock);
    return 0;
}

/* Steps the wall clock to what the client asks for, a bounded number of times. */
static enum tm_code enroll(struct fixture *f, const char *subject, const char *text, int32_t *id,
                           struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    for (int i = 0; i < 1000 && rc == TM_E_AGAIN; i++) {
        rc = tm_registry_register(f->client, &f->now, id, subject, text, err);
        int64_t next = tm_registry_next_at(f->client);
        if (next != TM_NEVER && next > f->now.wall_ns)
            f->now.wall_ns = next;
    }
    return rc;
}

static enum tm_code find(struct fixture *f, int32_t id, const struct tm_avro_schema **s,
                         struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    for (int i = 0; i < 1000 && rc == TM_E_AGAIN; i++)
        rc = tm_registry_schema(f->client, &f->now, s, id, err);
    return rc;
}

static const char *record(const char *fields)
{
    static char text[4][2048];
    static unsigned turn;
    char *out = text[turn++ % 4];
    snprintf(out, sizeof text[0],
             "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":[%s]}", fields);
    return out;
}

#define STRING_A "{\"name\":\"a\",\"type\":[\"null\",\"string\"],\"default\":null}"
#define STRING_B "{\"name\":\"b\",\"type\":[\"null\",\"string\"],\"default\":null}"
#define DOUBLE_A "{\"name\":\"a\",\"type\":[\"null\",\"double\"],\"default\":null}"

static void registering_twice_asks_the_registry_once(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    int32_t id = 0, again = 0, other = 0;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_OK);
    unsigned calls = f->http.seen_count;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &again, &err), TM_OK);
    assert_int_equal(f->http.seen_count, calls);
    assert_int_equal(again, id);
    assert_int_equal(enroll(f, "u-value", record(STRING_A), &other, &err), TM_OK);
    assert_int_equal(other, id); /* same schema, same id */
    assert_string_equal(f->http.authorization, "Basic dXNlcjpwYTpzcw==");
    assert_string_equal(f->http.seen[0], "POST http://registry:8081/subjects/t-value/versions");
}

static void a_schema_is_fetched_by_id_and_kept(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    int32_t id;
    const struct tm_avro_schema *s, *again;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_OK);
    f->http.polls_before_answer = 3;
    assert_int_equal(find(f, id, &s, &err), TM_OK);
    assert_string_equal(tm_avro_schema_text(s), record(STRING_A));
    unsigned calls = f->http.seen_count;
    assert_int_equal(find(f, id, &again, &err), TM_OK);
    assert_ptr_equal(s, again);
    assert_int_equal(f->http.seen_count, calls);
    assert_int_equal(find(f, 99, &s, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "99"));
}

static void confluent_request(void *self, const struct tm_mock_request *request,
                              struct tm_mock_response *out)
{
    (void)self, (void)request;
    tm_mock_answer(
        out, 409, "application/vnd.schemaregistry.v1+json",
        "{\"error_code\":409,\"message\":\"Schema being registered is incompatible with an "
        "earlier schema for subject \\\"t-value\\\", details: [{errorType:'TYPE_MISMATCH', "
        "description:'The type (path '/fields/1/type/1') of a field in the new schema "
        "does not match with the old schema', additionalInfo:'reader type: DOUBLE not "
        "compatible with writer type: STRING'}, {oldSchemaVersion: 1}]\"}");
}

/* Its message gives the field's place only. */
static void a_refusal_in_confluents_words_names_the_field_too(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    int32_t id;
    tm_registry_close(f->client);
    tm_test_http_route(&f->http, "http://confluent",
                       (struct tm_mock_handler){ NULL, confluent_request, NULL, NULL });
    assert_int_equal(tm_registry_open(&f->client, &f->http.port, "http://confluent", &err), TM_OK);
    assert_int_equal(enroll(f, "t-value", record(STRING_A "," STRING_B), &id, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "subject t-value"));
    assert_non_null(strstr(err.msg, "field b"));
    assert_non_null(strstr(err.msg, "TYPE_MISMATCH"));
    assert_non_null(strstr(err.msg, "compatibility to NONE"));
}

static void an_incompatible_schema_is_refused_and_the_error_names_the_subject(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    int32_t id;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_OK);
    assert_int_equal(enroll(f, "t-value", record(DOUBLE_A), &id, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "t-value"));
    assert_non_null(strstr(err.msg, "409"));
    assert_non_null(strstr(err.msg, "field a"));
    tm_err_clear(&err);
    assert_int_equal(enroll(f, "t-value", record(STRING_A "," STRING_B), &id, &err), TM_OK);
    assert_int_equal(enroll(f, "x-value", "{\"type\":\"nonsense\"}", &id, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "422"));
}

static void a_registry_that_is_away_is_asked_again_with_growing_pauses(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    int32_t id = 0;
    f->http.status_next = 2;
    f->http.status = 503;
    f->http.fail_next = 2;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_OK);
    assert_int_equal(f->http.seen_count, 5);
    assert_true(f->now.wall_ns >= (100 + 200 + 400 + 800) * TM_NS_PER_MS);
}

struct cut {
    struct tm_mock_registry *mock;
    int left; /* answers still to be cut short */
};

static void cut_request(void *self, const struct tm_mock_request *request,
                        struct tm_mock_response *out)
{
    struct cut *c = self;
    tm_mock_registry_request(c->mock, request, out);
    if (c->left-- > 0)
        out->body.data[--out->body.bytes] = '\0';
}

static void an_answer_that_was_cut_short_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    struct cut cut = { f->mock, 2 };
    int32_t id = 0;
    tm_registry_close(f->client);
    tm_test_http_route(&f->http, "http://cut",
                       (struct tm_mock_handler){ &cut, cut_request, NULL, NULL });
    assert_int_equal(tm_registry_open(&f->client, &f->http.port, "http://cut", &err), TM_OK);
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_OK);
    assert_int_equal(id, 1);
    assert_int_equal(f->http.seen_count, 3);
    const struct tm_avro_schema *none;
    cut.left = 1; /* a refusal, too: that nobody knows the id is heard the second time */
    for (enum tm_code rc = TM_E_AGAIN; rc == TM_E_AGAIN;) {
        rc = tm_registry_schema(f->client, &f->now, &none, 99, &err);
        assert_true(rc == TM_E_AGAIN || rc == TM_E_PROTO);
        f->now.wall_ns += TM_NS_PER_S;
    }
    assert_non_null(strstr(err.msg, "does not know schema id 99"));
    tm_err_clear(&err);
    cut.left = 1000;
    assert_int_equal(enroll(f, "u-value", record(STRING_B), &id, &err), TM_E_IO);
    assert_non_null(strstr(err.msg, "no JSON"));
}

static void a_registry_that_stays_away_is_an_error_after_a_minute(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    int32_t id = 0;
    f->http.fail_next = 1000;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_E_IO);
    assert_true(f->now.wall_ns >= 60 * TM_NS_PER_S && f->now.wall_ns < 70 * TM_NS_PER_S);
    assert_non_null(strstr(err.msg, "registry:8081"));
    assert_null(strstr(err.msg, "pa:ss"));
}

static void an_abandoned_question_does_not_block_the_next(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    const struct tm_avro_schema *s;
    int32_t id = 0;
    assert_int_equal(tm_registry_schema(f->client, &f->now, &s, 4711, &err), TM_E_AGAIN);
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_OK);
    assert_int_equal(err.code, TM_OK);
}

static void a_server_that_is_no_registry_is_told_from_one_that_refuses(void **state)
{
    struct fixture *f = *state;
    struct tm_err err = { .code = TM_OK };
    int32_t id;
    f->http.status_next = 1;
    f->http.status = 404;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "--registry"));
    tm_err_clear(&err);
    f->http.status_next = 1;
    f->http.status = 401;
    assert_int_equal(enroll(f, "t-value", record(STRING_A), &id, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "credentials"));
}

static void wrong_addresses_are_usage_errors(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = { "", "registry:8081", "ftp://registry", "http://" };
    for (size_t i = 0; i < 4; i++) {
        struct tm_err err = { .code = TM_OK };
        struct tm_registry *r;
        assert_int_equal(tm_registry_open(&r, &f->http.port, bad[i], &err), TM_E_ARG);
        assert_null(r);
    }
}

/* ---- the embedded registry itself ---- */

static int ask(struct fixture *f, const char *method, const char *target, const char *body,
               char *out, size_t out_bytes)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_mock_request request;
    struct tm_mock_response response;
    assert_int_equal(
        tm_mock_request_init(&request, method, target, body, body != NULL ? strlen(body) : 0, &err),
        TM_OK);
    tm_mock_response_init(&response);
    tm_mock_registry_request(f->mock, &request, &response);
    int status = response.status;
    snprintf(out, out_bytes, "%s", tm_buf_text(&response.body));
    tm_mock_response_free(&response);
    tm_mock_request_free(&request);
    return status;
}

static void the_embedded_registry_answers_as_confluents(void **state)
{
    struct fixture *f = *state;
    static const char a1[] = "{\"schema\":\"\\\"string\\\"\"}",
                      a2[] = "{\"schema\":\"{\\\"type\\\": \\\"int\\\"}\"}";
    const struct {
        const char *method, *target, *body;
        int status;
        const char *holds;
    } steps[] = {
        { "GET", "/subjects", NULL, 200, "[]" },
        { "POST", "/subjects/s/versions", a1, 200, "{\"id\":1}" },
        { "POST", "/subjects/s/versions", a1, 200, "{\"id\":1}" },
        { "POST", "/subjects/s/versions", a2, 409, "\"error_code\":409" },
        { "POST", "/subjects/s", a1, 200, "\"version\":1" },
        { "POST", "/subjects/s", a2, 404, "40403" },
        { "POST", "/subjects/none", a1, 404, "40401" },
        { "POST", "/subjects/s/versions", "{\"schema\":\"{\"}", 422, "42201" },
        { "POST", "/subjects/s/versions", "{\"schema\":\"{}\",\"schemaType\":\"PROTOBUF\"}", 422,
          "42201" },
        { "GET", "/subjects/s/versions", NULL, 200, "[1]" },
        { "GET", "/subjects/s/versions/latest", NULL, 200, "\"subject\":\"s\"" },
        { "GET", "/subjects/s/versions/1/schema", NULL, 200, "\"string\"" },
        { "GET", "/subjects/s/versions/2", NULL, 404, "40402" },
        { "GET", "/subjects/s/versions/zero", NULL, 422, "42202" },
        { "GET", "/subjects/none/versions", NULL, 404, "40401" },
        { "GET", "/schemas/ids/1", NULL, 200, "{\"schema\":\"\\\"string\\\"\"}" },
        { "GET", "/schemas/ids/9", NULL, 404, "40403" },
        { "GET", "/schemas/ids/1/versions", NULL, 200, "[{\"subject\":\"s\",\"version\":1}]" },
        { "GET", "/config", NULL, 200, "{\"compatibilityLevel\":\"BACKWARD\"}" },
        { "GET", "/config/s", NULL, 404, "40408" },
        { "GET", "/config/s?defaultToGlobal=true", NULL, 200, "BACKWARD" },
        { "PUT", "/config/s", "{\"compatibility\":\"SIDEWAYS\"}", 422, "42203" },
        { "POST", "/compatibility/subjects/s/versions/latest?verbose=true", a2, 200,
          "{\"is_compatible\":false,\"messages\":[" },
        { "PUT", "/config/s", "{\"compatibility\":\"none\"}", 200, "{\"compatibility\":\"NONE\"}" },
        { "POST", "/compatibility/subjects/s/versions/latest", a2, 200,
          "{\"is_compatible\":true}" },
        { "POST", "/subjects/s/versions", a2, 200, "{\"id\":2}" },
        { "GET", "/subjects/s/versions", NULL, 200, "[1,2]" },
        { "DELETE", "/subjects/s?permanent=true", NULL, 404, "40405" },
        { "DELETE", "/subjects/s", NULL, 200, "[1,2]" },
        { "GET", "/subjects/s/versions", NULL, 404, "40401" },
        { "GET", "/schemas/ids/2", NULL, 200, "int" },
        { "DELETE", "/subjects/s?permanent=true", NULL, 200, "[1,2]" },
        { "GET", "/nothing/here", NULL, 404, "404" },
        { "PUT", "/subjects/s/versions", a1, 405, "405" },
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char body[2048];
        int status = ask(f, steps[i].method, steps[i].target, steps[i].body, body, sizeof body);
        if (status != steps[i].status || strstr(body, steps[i].holds) == NULL)
            fail_msg("step %zu: %s %s: %d %s", i, steps[i].method, steps[i].target, status, body);
    }
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define INT_X "{\"name\":\"x\",\"type\":\"int\"}"

static void compatibility_follows_avros_resolution_rules(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new;
        bool backward, forward;
    } cases[] = {
        { RECORD(STRING_A), RECORD(STRING_A "," STRING_B), true, true },
        { RECORD(STRING_A "," STRING_B), RECORD(STRING_A), true, true },
        { RECORD(INT_X), RECORD(INT_X ",{\"name\":\"y\",\"type\":\"int\"}"), false, true },
        { RECORD(INT_X), RECORD("{\"name\":\"x\",\"type\":\"long\"}"), true, false },
        { RECORD(INT_X), RECORD("{\"name\":\"z\",\"aliases\":[\"x\"],\"type\":\"int\"}"), true,
          false },
        { RECORD(STRING_A), RECORD(DOUBLE_A), false, false },
        { RECORD(STRING_A),
          RECORD("{\"name\":\"a\",\"type\":[\"null\",\"string\",\"double\"],\"default\":null}"),
          true, false },
        { RECORD("{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"H\",\"fields\":[" INT_X
                 "]}},"
                 "{\"name\":\"s\",\"type\":\"H\"}"),
          RECORD("{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"H\",\"fields\":[]}},{"
                 "\"name\":\"s\",\"type\":\"H\"}"),
          true, false },
        { "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}",
          "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", true, false },
        { "{\"type\":\"array\",\"items\":\"float\"}", "{\"type\":\"array\",\"items\":\"double\"}",
          true, false },
        { "\"string\"", "\"bytes\"", true, true },
        { "{\"type\":\"map\",\"values\":\"int\"}", "{\"type\":\"array\",\"items\":\"int\"}", false,
          false },
    };
    struct tm_buf why;
    tm_buf_init(&why, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *old = json_loads(cases[i].old, JSON_DECODE_ANY, NULL),
               *new = json_loads(cases[i].new, JSON_DECODE_ANY, NULL);
        assert_true(old != NULL && new != NULL);
        if (tm_mock_avro_can_read(new, old, &why) != cases[i].backward)
            fail_msg("case %zu backward: %s", i, tm_buf_text(&why));
        tm_buf_reset(&why);
        if (tm_mock_avro_can_read(old, new, &why) != cases[i].forward)
            fail_msg("case %zu forward: %s", i, tm_buf_text(&why));
        tm_buf_reset(&why);
        json_decref(old);
        json_decref(new);
    }
    tm_buf_free(&why);
}

static void a_port_that_is_taken_or_wrong_is_a_usage_error(void **state)
{
    (void)state;
    struct tm_test_server first = tm_test_server_start("tidemark registry");
    const char *colon = strrchr(first.line, ':');
    static const char *const taken[] = { "in use", NULL }, *const wrong[] = { "--port", NULL };
    assert_non_null(strstr(first.line, "http://127.0.0.1:"));
    tm_test_refused(64, taken, 10, "tidemark registry --port %s", colon + 1);
    tm_test_refused(64, wrong, 10, "tidemark registry --port 99999");
    assert_int_equal(tm_test_server_stop(&first), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registering_twice_asks_the_registry_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_schema_is_fetched_by_id_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_in_confluents_words_names_the_field_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            an_incompatible_schema_is_refused_and_the_error_names_the_subject, setup, teardown),
        cmocka_unit_test_setup_teardown(a_registry_that_is_away_is_asked_again_with_growing_pauses,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_was_cut_short_is_asked_for_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_registry_that_stays_away_is_an_error_after_a_minute,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_abandoned_question_does_not_block_the_next, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_server_that_is_no_registry_is_told_from_one_that_refuses,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_addresses_are_usage_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(the_embedded_registry_answers_as_confluents, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compatibility_follows_avros_resolution_rules, setup,
                                        teardown),
        cmocka_unit_test(a_port_that_is_taken_or_wrong_is_a_usage_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
