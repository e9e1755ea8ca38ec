/* The schema registry as its client sees it: one suite over the embedded one and the one of
 * TIDEMARK_REGISTRY when set, both over real HTTP. What they differ in is not asked: ids are dense
 * here and have holes in Apicurio; a schema that another one's text equals but for blanks and the
 * order of keys has the same id in some and not in others; the words of a refusal are each one's
 * own. Facts: connectors.md 3.2. */
#include "base/http.h"
#include "mocks/http/server.h"
#include "mocks/http/tls.h"
#include "mocks/registry/registry.h"
#include "support_folder.h"
#include "topic/registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct world {
    struct tm_mock_registry *mock; /* NULL = another's */
    struct tm_mock_server *server;
    struct tm_tls *tls;
    struct tm_http *http;
    struct tm_registry *client;
    char url[512];
    unsigned subjects;
} world;

/* One look at both sides; nobody else steps the server. */
static void step(void)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_now now = tm_clock_now(NULL);
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    int fd = -1;
    if (world.server != NULL) {
        enum tm_code rc = tm_mock_server_step(world.server, &now, &wake, &err);
        assert_true(rc == TM_OK || rc == TM_E_AGAIN);
        fd = tm_mock_server_fd(world.server);
    }
    (void)tm_http_curl_wait(world.http, &fd, fd >= 0, 20 * TM_NS_PER_MS, &err);
}

/* What is tried again is tried at once: the client's pauses are of the time it is told. */
static struct tm_now later(void)
{
    static int64_t ahead_ns;
    int64_t next = tm_registry_next_at(world.client);
    struct tm_now now = tm_clock_now(NULL);
    if (next != TM_NEVER && next > now.wall_ns + ahead_ns)
        ahead_ns = next - now.wall_ns;
    now.wall_ns += ahead_ns;
    return now;
}

static enum tm_code enroll(const char *subject, const char *text, int32_t *id, struct tm_err *err)
{
    for (;;) {
        struct tm_now now = later();
        enum tm_code rc = tm_registry_register(world.client, &now, id, subject, text, err);
        if (rc != TM_E_AGAIN)
            return rc;
        step();
    }
}

static enum tm_code find(int32_t id, const struct tm_avro_schema **out, struct tm_err *err)
{
    for (;;) {
        struct tm_now now = later();
        enum tm_code rc = tm_registry_schema(world.client, &now, out, id, err);
        if (rc != TM_E_AGAIN)
            return rc;
        step();
    }
}

static void client_open(const char *url, const char *ca_file)
{
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_http_curl_open(&world.http, "contract", ca_file, &err), TM_OK);
    assert_int_equal(tm_registry_open(&world.client, world.http, url, &err), TM_OK);
}

static void client_close(void)
{
    tm_registry_close(world.client);
    if (world.http != NULL)
        world.http->ops->close(world.http);
    world.client = NULL;
    world.http = NULL;
}

/* A process of its own, with nothing in its cache. */
static void client_again(void)
{
    client_close();
    client_open(world.url, NULL);
}

static const char *fresh(char out[100], const char *what)
{
    snprintf(out, 100, "contract.%s.%d.%u-value", what, (int)getpid(), world.subjects++);
    return out;
}

/* Unlike any other process's: a registry that outlives the test knows none of them. */
static const char *record(char out[1000], const char *what, const char *fields)
{
    snprintf(out, 1000,
             "{\"type\":\"record\",\"name\":\"%s\",\"namespace\":\"contract%d\",\"fields\":[%s]}",
             what, (int)getpid(), fields);
    return out;
}

#define STRING_A "{\"name\":\"a\",\"type\":[\"null\",\"string\"],\"default\":null}"
#define STRING_B "{\"name\":\"b\",\"type\":[\"null\",\"string\"],\"default\":null}"
#define DOUBLE_A "{\"name\":\"a\",\"type\":[\"null\",\"double\"],\"default\":null}"

static void the_same_schema_has_the_same_id_also_for_another_process_and_subject(void **state)
{
    char one[100], two[100], text[1000];
    struct tm_err err = { .code = TM_OK };
    int32_t id = -1, again = -2, other = -3;
    (void)state;
    record(text, "Same", STRING_A);
    assert_int_equal(enroll(fresh(one, "same"), text, &id, &err), TM_OK);
    client_again();
    assert_int_equal(enroll(one, text, &again, &err), TM_OK);
    assert_int_equal(enroll(fresh(two, "same"), text, &other, &err), TM_OK);
    assert_int_equal(again, id);
    assert_int_equal(other, id);
}

static void a_schema_comes_back_by_its_id_with_defaults_and_order(void **state)
{
    char subject[100], text[1000];
    struct tm_err err = { .code = TM_OK };
    const struct tm_avro_schema *s = NULL, *again = NULL;
    int32_t id = -1;
    (void)state;
    record(text, "ById", STRING_B "," STRING_A);
    assert_int_equal(enroll(fresh(subject, "by-id"), text, &id, &err), TM_OK);
    client_again();
    assert_int_equal(find(id, &s, &err), TM_OK);
    const char *told = tm_avro_schema_text(s);
    assert_non_null(strstr(told, "\"default\""));
    assert_true(strstr(told, "\"b\"") < strstr(told, "\"a\""));
    assert_int_equal(find(id, &again, &err), TM_OK); /* kept: ids never change their meaning */
    assert_ptr_equal(s, again);
}

static void an_unknown_id_is_an_error_that_names_it(void **state)
{
    struct tm_err err = { .code = TM_OK };
    const struct tm_avro_schema *s = NULL;
    (void)state;
    assert_int_equal(find(987654321, &s, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "987654321"));
    assert_non_null(strstr(err.msg, "404"));
}

static void a_second_version_that_can_read_the_first_is_taken(void **state)
{
    char subject[100], first[1000], second[1000];
    struct tm_err err = { .code = TM_OK };
    const struct tm_avro_schema *s = NULL;
    int32_t id = -1, next = -1;
    (void)state;
    record(first, "Grows", STRING_A);
    record(second, "Grows", STRING_A "," STRING_B);
    assert_int_equal(enroll(fresh(subject, "grows"), first, &id, &err), TM_OK);
    assert_int_equal(enroll(subject, second, &next, &err), TM_OK);
    assert_int_not_equal(next, id);
    client_again();
    assert_int_equal(find(id, &s, &err), TM_OK); /* values of the first are read for ever */
    assert_null(strstr(tm_avro_schema_text(s), "\"b\""));
    assert_int_equal(enroll(subject, first, &next, &err), TM_OK); /* and may be written again */
    assert_int_equal(next, id);
}

static void one_that_cannot_is_refused_by_name_and_leaves_the_first(void **state)
{
    char subject[100], first[1000], second[1000];
    struct tm_err err = { .code = TM_OK };
    int32_t id = -1, next = -1;
    (void)state;
    record(first, "Retyped", STRING_A);
    record(second, "Retyped", DOUBLE_A);
    assert_int_equal(enroll(fresh(subject, "retyped"), first, &id, &err), TM_OK);
    assert_int_equal(enroll(subject, second, &next, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, subject));
    assert_non_null(strstr(err.msg, "409"));
    assert_non_null(strstr(err.msg, "compatibility to NONE"));
    client_again();
    tm_err_clear(&err);
    assert_int_equal(enroll(subject, first, &next, &err), TM_OK);
    assert_int_equal(next, id);
}

static void what_is_no_schema_is_refused_by_the_subjects_name(void **state)
{
    char subject[100];
    struct tm_err err = { .code = TM_OK };
    int32_t id = -1;
    (void)state;
    fresh(subject, "nonsense");
    assert_int_equal(enroll(subject, "{\"type\":\"nonsense\"}", &id, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, subject));
    assert_non_null(strstr(err.msg, "422"));
}

/* ---- with sign-in and TLS, once ---- */

/* In front of the registry: who does not say user:password is not let in. */
static void guarded(void *self, const struct tm_mock_request *request, struct tm_mock_response *out)
{
    const char *said = tm_mock_header(request, "Authorization");
    if (said != NULL && strcmp(said, "Basic dXNlcjpwYXNzd29yZA==") == 0)
        tm_mock_registry_request(self, request, out);
    else
        tm_mock_answer(out, 401, "application/json",
                       "{\"error_code\":401,\"message\":\"Unauthorized\"}");
}

static char ca_path[300];

static const char *https_url(char out[200], const char *user)
{
    snprintf(out, 200, "https://%s127.0.0.1:%d", user, tm_mock_server_port(world.server));
    return out;
}

static void an_https_registry_with_sign_in_serves_whom_it_knows(void **state)
{
    char url[200], subject[100], text[1000];
    struct tm_err err = { .code = TM_OK };
    int32_t id = -1;
    (void)state;
    record(text, "Guarded", STRING_A);
    fresh(subject, "guarded");
    client_open(https_url(url, "user:password@"), ca_path);
    assert_int_equal(enroll(subject, text, &id, &err), TM_OK);
    client_close();
    client_open(https_url(url, "user:passw0rd@"), ca_path);
    assert_int_equal(enroll(subject, text, &id, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "refuses these credentials"));
    assert_null(strstr(err.msg, "passw0rd"));
    client_close();
    tm_err_clear(&err);
    client_open(https_url(url, ""), ca_path);
    assert_int_equal(enroll(subject, text, &id, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "user:password@"));
    client_close();
}

static void an_https_registry_that_nobody_vouches_for_is_not_spoken_to(void **state)
{
    char url[200], subject[100], text[1000];
    struct tm_err err = { .code = TM_OK };
    int32_t id = -1;
    (void)state;
    record(text, "Unknown", STRING_A);
    client_open(https_url(url, "user:password@"), NULL);
    uint64_t before = tm_mock_server_counts(world.server)->requests;
    assert_int_equal(enroll(fresh(subject, "unknown"), text, &id, &err), TM_E_IO);
    assert_non_null(strstr(err.msg, "certificate"));
    assert_null(strstr(err.msg, "password"));
    assert_int_equal(tm_mock_server_counts(world.server)->requests, before);
    client_close();
}

/* ---- worlds ---- */

static void embedded_open(const struct tm_mock_server_settings *settings, bool guard)
{
    struct tm_err err = { .code = TM_OK };
    memset(&world, 0, sizeof world);
    assert_int_equal(tm_mock_registry_open(&world.mock, &err), TM_OK);
    struct tm_mock_handler handler = tm_mock_registry_handler(world.mock);
    if (guard)
        handler.request = guarded;
    assert_int_equal(tm_mock_server_open(&world.server, settings, &handler, &err), TM_OK);
    snprintf(world.url, sizeof world.url, "%s", tm_mock_server_url(world.server));
}

static int world_embedded(void **state)
{
    const struct tm_mock_server_settings settings = { .port = 0 };
    (void)state;
    embedded_open(&settings, false);
    client_open(world.url, NULL);
    return 0;
}

static int world_external(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    snprintf(world.url, sizeof world.url, "%s", getenv("TIDEMARK_REGISTRY"));
    client_open(world.url, NULL);
    return 0;
}

static int world_end(void **state)
{
    (void)state;
    client_close();
    tm_mock_server_close(world.server);
    tm_mock_registry_close(world.mock);
    tm_tls_close(world.tls);
    return 0;
}

static int world_https(void **state)
{
    static const char *const names[] = { "127.0.0.1" };
    struct tm_err err = { .code = TM_OK };
    struct tm_tls *tls = NULL;
    char key_path[300];
    if (folder_make(state) != 0)
        return -1;
    snprintf(ca_path, sizeof ca_path, "%s", folder_path("ca.pem"));
    snprintf(key_path, sizeof key_path, "%s", folder_path("ca.key"));
    assert_int_equal(tm_tls_open(&tls, ca_path, key_path, names, 1, &err), TM_OK);
    const struct tm_mock_server_settings settings = { .tls_chain = tm_tls_chain(tls),
                                                      .tls_key = tm_tls_key(tls) };
    embedded_open(&settings, true);
    world.tls = tls;
    return 0;
}

static int world_https_end(void **state)
{
    world_end(state);
    return folder_remove(state);
}

int main(void)
{
    const struct CMUnitTest contract[] = {
        cmocka_unit_test(the_same_schema_has_the_same_id_also_for_another_process_and_subject),
        cmocka_unit_test(a_schema_comes_back_by_its_id_with_defaults_and_order),
        cmocka_unit_test(an_unknown_id_is_an_error_that_names_it),
        cmocka_unit_test(a_second_version_that_can_read_the_first_is_taken),
        cmocka_unit_test(one_that_cannot_is_refused_by_name_and_leaves_the_first),
        cmocka_unit_test(what_is_no_schema_is_refused_by_the_subjects_name),
    };
    const struct CMUnitTest https[] = {
        cmocka_unit_test(an_https_registry_with_sign_in_serves_whom_it_knows),
        cmocka_unit_test(an_https_registry_that_nobody_vouches_for_is_not_spoken_to),
    };
    int failed = cmocka_run_group_tests_name("embedded", contract, world_embedded, world_end);
    failed += cmocka_run_group_tests_name("sign-in and TLS", https, world_https, world_https_end);
    if (getenv("TIDEMARK_REGISTRY") != NULL)
        failed += cmocka_run_group_tests_name("real registry", contract, world_external, world_end);
    return failed;
}
