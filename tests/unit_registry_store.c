/* The embedded registry on a file: after any end it is what it was. */
#include "base/sql.h"
#include "mocks/registry/store.h"
#include "support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SCHEMA(field)                                                                              \
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":[{"          \
    "\\\"name\\\":\\\"" field "\\\",\\\"type\\\":[\\\"null\\\",\\\"string\\\"],"                   \
    "\\\"default\\\":null}]}\"}"

struct life {
    char folder[64], path[128];
    struct tm_mock_registry *registry;
    struct tm_registry_store *store;
};

static enum tm_code come_up(struct life *l, struct tm_err *err)
{
    tm_err_clear(err);
    assert_int_equal(tm_mock_registry_open(&l->registry, err), TM_OK);
    return tm_registry_store_open(&l->store, l->registry, l->path, err);
}

static void go(struct life *l)
{
    tm_registry_store_close(l->store);
    tm_mock_registry_close(l->registry);
    l->store = NULL;
    l->registry = NULL;
}

static void again(struct life *l)
{
    struct tm_err err;
    go(l);
    assert_int_equal(come_up(l, &err), TM_OK);
}

static int open_life(void **state)
{
    struct life *l = calloc(1, sizeof *l);
    struct tm_err err;
    snprintf(l->folder, sizeof l->folder, "%s", tm_test_folder());
    snprintf(l->path, sizeof l->path, "%s/registry.db", l->folder);
    assert_int_equal(come_up(l, &err), TM_OK);
    *state = l;
    return 0;
}

static int close_life(void **state)
{
    struct life *l = *state;
    go(l);
    tm_test_folder_remove(l->folder);
    free(l);
    return 0;
}

/* Its status; out, where it is not NULL: the body. */
static int ask(const struct life *l, const char *method, const char *target, const char *body,
               char *out)
{
    struct tm_mock_handler handler = tm_registry_store_handler(l->store);
    struct tm_mock_request request;
    struct tm_mock_response answer;
    struct tm_err err = { 0 };
    tm_mock_response_init(&answer);
    assert_int_equal(
        tm_mock_request_init(&request, method, target, body, body != NULL ? strlen(body) : 0, &err),
        TM_OK);
    handler.request(handler.self, &request, &answer);
    int status = answer.status;
    if (out != NULL)
        snprintf(out, 600, "%s", tm_buf_text(&answer.body));
    tm_mock_request_free(&request);
    tm_mock_response_free(&answer);
    return status;
}

static void answers(const struct life *l, const char *method, const char *target, const char *body,
                    const char *expected)
{
    char out[600];
    (void)ask(l, method, target, body, out);
    assert_string_equal(out, expected);
}

static int64_t kept(const struct life *l)
{
    sqlite3 *db = NULL;
    int64_t n = -1;
    struct tm_err err = { 0 };
    assert_int_equal(tm_sql_open(&db, l->path, TM_SQL_READ, &err), TM_OK);
    assert_int_equal(tm_sql_int64(&n, db, "SELECT count(*) FROM registry_request", &err), TM_OK);
    tm_sql_close(db);
    return n;
}

static void ids_and_versions_are_the_same_after_a_restart(void **state)
{
    struct life *l = *state;
    answers(l, "POST", "/subjects/a%20b/versions", SCHEMA("x"), "{\"id\":1}");
    answers(l, "POST", "/subjects/c/versions", SCHEMA("y"), "{\"id\":2}");
    again(l);
    answers(l, "POST", "/subjects/c/versions", SCHEMA("z"), "{\"id\":3}");
    again(l);
    answers(l, "POST", "/subjects/a%20b/versions", SCHEMA("x"), "{\"id\":1}");
    answers(l, "POST", "/subjects/c/versions", SCHEMA("y"), "{\"id\":2}");
    answers(l, "GET", "/subjects/c/versions", NULL, "[1,2]");
    answers(l, "GET", "/subjects", NULL, "[\"a b\",\"c\"]");
    assert_int_equal(ask(l, "GET", "/schemas/ids/3", NULL, NULL), 200);
    assert_int_equal(ask(l, "GET", "/schemas/ids/4", NULL, NULL), 404);
}

static void levels_and_both_kinds_of_deletion_outlive_a_restart(void **state)
{
    struct life *l = *state;
    answers(l, "POST", "/subjects/a/versions", SCHEMA("x"), "{\"id\":1}");
    answers(l, "POST", "/subjects/b/versions", SCHEMA("x"), "{\"id\":1}");
    answers(l, "PUT", "/config", "{\"compatibility\":\"FULL\"}", "{\"compatibility\":\"FULL\"}");
    answers(l, "PUT", "/config/b", "{\"compatibility\":\"NONE\"}", "{\"compatibility\":\"NONE\"}");
    assert_int_equal(ask(l, "DELETE", "/subjects/a", NULL, NULL), 200);
    assert_int_equal(ask(l, "DELETE", "/subjects/a?permanent=true", NULL, NULL), 200);
    again(l);
    answers(l, "GET", "/config", NULL, "{\"compatibilityLevel\":\"FULL\"}");
    answers(l, "GET", "/config/b", NULL, "{\"compatibilityLevel\":\"NONE\"}");
    answers(l, "GET", "/subjects", NULL, "[\"b\"]");
    answers(l, "POST", "/subjects/a/versions", SCHEMA("x"), "{\"id\":1}");
    answers(l, "GET", "/subjects/a/versions", NULL, "[2]"); /* the first is gone for good */
}

static void what_changes_nothing_is_not_kept(void **state)
{
    struct life *l = *state;
    answers(l, "POST", "/subjects/a/versions", SCHEMA("x"), "{\"id\":1}");
    for (int i = 0; i < 3; i++)
        answers(l, "POST", "/subjects/a/versions", SCHEMA("x"), "{\"id\":1}");
    assert_int_equal(ask(l, "POST", "/subjects/a", SCHEMA("x"), NULL), 200);
    assert_int_equal(ask(l, "POST", "/subjects/a/versions", "{\"schema\":\"{\"}", NULL), 422);
    assert_int_equal(ask(l, "GET", "/subjects", NULL, NULL), 200);
    assert_int_equal(kept(l), 1);
}

static void a_registration_that_cannot_be_kept_is_refused_and_said(void **state)
{
    struct life *l = *state;
    sqlite3 *other = NULL;
    struct tm_err err = { 0 };
    assert_int_equal(tm_sql_open(&other, l->path, TM_SQL_WRITE, &err), TM_OK);
    assert_int_equal(tm_sql_exec(other, "BEGIN IMMEDIATE", &err), TM_OK);
    assert_int_equal(ask(l, "POST", "/subjects/a/versions", SCHEMA("x"), NULL), 500);
    assert_int_equal(tm_registry_store_broken(l->store, &err), TM_E_IO);
    assert_non_null(strstr(err.msg, "another process"));
    tm_sql_close(other);
    /* memory is ahead of the file: nothing more is promised */
    assert_int_equal(ask(l, "POST", "/subjects/b/versions", SCHEMA("y"), NULL), 500);
    again(l);
    answers(l, "GET", "/subjects", NULL, "[]");
}

static void a_file_of_somebody_else_is_refused_by_name(void **state)
{
    struct life *l = *state;
    sqlite3 *db = NULL;
    struct tm_err err = { 0 };
    char text[700];
    go(l);
    snprintf(l->path, sizeof l->path, "%s/theirs.db", l->folder);
    assert_int_equal(tm_sql_open(&db, l->path, TM_SQL_CREATE, &err), TM_OK);
    assert_int_equal(tm_sql_exec(db, "CREATE TABLE orders(id)", &err), TM_OK);
    tm_sql_close(db);
    assert_int_equal(come_up(l, &err), TM_E_ARG);
    assert_non_null(strstr(tm_err_text(&err, text, sizeof text), "theirs.db"));
    go(l);
    tm_test_write_file(l->folder, "text.db", "this is no database, and never was one at all, ever");
    snprintf(l->path, sizeof l->path, "%s/text.db", l->folder);
    assert_int_not_equal(come_up(l, &err), TM_OK);
    assert_non_null(strstr(tm_err_text(&err, text, sizeof text), "text.db"));
}

static void a_kept_request_that_means_nothing_now_is_an_error_and_no_silent_loss(void **state)
{
    struct life *l = *state;
    sqlite3 *db = NULL;
    struct tm_err err = { 0 };
    answers(l, "POST", "/subjects/a/versions", SCHEMA("x"), "{\"id\":1}");
    go(l);
    assert_int_equal(tm_sql_open(&db, l->path, TM_SQL_WRITE, &err), TM_OK);
    assert_int_equal(tm_sql_exec(db, "UPDATE registry_request SET body='[', query='?'", &err),
                     TM_OK);
    tm_sql_close(db);
    assert_int_equal(come_up(l, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "request 1 (POST /subjects/a/versions)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_and_versions_are_the_same_after_a_restart, open_life,
                                        close_life),
        cmocka_unit_test_setup_teardown(levels_and_both_kinds_of_deletion_outlive_a_restart,
                                        open_life, close_life),
        cmocka_unit_test_setup_teardown(what_changes_nothing_is_not_kept, open_life, close_life),
        cmocka_unit_test_setup_teardown(a_registration_that_cannot_be_kept_is_refused_and_said,
                                        open_life, close_life),
        cmocka_unit_test_setup_teardown(a_file_of_somebody_else_is_refused_by_name, open_life,
                                        close_life),
        cmocka_unit_test_setup_teardown(
            a_kept_request_that_means_nothing_now_is_an_error_and_no_silent_loss, open_life,
            close_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
