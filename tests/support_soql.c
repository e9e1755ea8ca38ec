#include "tests/support_soql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void soql_world_account(struct soql_world *w)
{
    struct tm_org_set beta[] = { { "Name", org_text("Beta 50%_off") },
                                 { "AnnualRevenue", org_real(1000) },
                                 { "NumberOfEmployees", org_int(7) },
                                 { "Active__c", org_int(1) },
                                 { "ContractEnd__c", org_text("2026-05-01") },
                                 { "OpensAt__c", org_text("08:30:00.000Z") },
                                 { NULL, org_null() } };
    org_make_account(w->f.org, w->account, "Acme", ORG_ORIGIN_MS + 1000);
    assert_int_equal(org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", w->beta, beta,
                             ORG_ORIGIN_MS + 2000),
                     TM_OK);
}

int soql_world_open(void **state)
{
    struct soql_world *w = calloc(1, sizeof *w);
    org_fixture_open(&w->f);
    soql_world_account(w);
    org_make_opportunity(w->f.org, w->one, "one", w->account, ORG_ORIGIN_MS + 10000);
    org_make_opportunity(w->f.org, w->two, "Two", NULL, ORG_ORIGIN_MS + 20000);
    org_make_opportunity(w->f.org, w->gone, "gone", w->beta, ORG_ORIGIN_MS + 30000);
    assert_int_equal(org_one(w->f.org, TM_ORG_DELETE, TM_ORG_NORMAL, "Opportunity", w->gone, NULL,
                             ORG_ORIGIN_MS + 40000),
                     TM_OK);
    *state = w;
    return 0;
}

int soql_world_close(void **state)
{
    struct soql_world *w = *state;
    org_fixture_close(&w->f);
    free(w);
    return 0;
}

enum tm_code soql_world_run(struct soql_world *w, const char *text, bool all, int64_t now_ms,
                            struct tm_soql_result **out, struct tm_soql_error *error)
{
    struct tm_soql *q = NULL;
    struct tm_err err = { 0 };
    memset(error, 0, sizeof *error);
    enum tm_code rc = tm_soql_parse(&q, text, error, &err);
    if (rc == TM_OK)
        rc = tm_soql_run(out, w->f.org, q, all, now_ms, error, &err);
    tm_soql_close(q);
    if (rc != TM_OK && rc != TM_E_ARG)
        fail_msg("%s: %s", text, err.msg);
    return rc;
}

json_t *soql_world_rows(struct soql_world *w, const char *text, bool all)
{
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    struct tm_buf body;
    if (soql_world_run(w, text, all, NOW_MS, &r, &error) != TM_OK)
        fail_msg("%s: %s %s", text, error.code, error.message);
    tm_buf_init(&body, 1u << 20);
    tm_buf_addc(&body, '[');
    tm_soql_render(r, 0, tm_soql_result_rows(r), "59.0", &body);
    tm_buf_addc(&body, ']');
    json_t *rows = json_loads(tm_buf_text(&body), 0, NULL);
    assert_non_null(rows);
    assert_int_equal(json_array_size(rows), tm_soql_result_rows(r));
    tm_buf_free(&body);
    tm_soql_result_close(r);
    return rows;
}

/* The Names of the rows with commas between them. */
void soql_expect_names(struct soql_world *w, const char *text, const char *names)
{
    json_t *rows = soql_world_rows(w, text, false), *row;
    char got[256] = "";
    size_t i;
    json_array_foreach(rows, i, row)
    {
        strncat(got, i > 0 ? "," : "", sizeof got - strlen(got) - 1);
        strncat(got, json_string_value(json_object_get(row, "Name")), sizeof got - strlen(got) - 1);
    }
    json_decref(rows);
    if (strcmp(got, names) != 0)
        fail_msg("%s: got %s, wanted %s", text, got, names);
}

void soql_expect_error(struct soql_world *w, const char *text, const char *code, const char *part)
{
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    assert_int_equal(soql_world_run(w, text, false, NOW_MS, &r, &error), TM_E_ARG);
    assert_null(r);
    if (strcmp(error.code, code) != 0 || strstr(error.message, part) == NULL)
        fail_msg("%s: got %s: %s", text, error.code, error.message);
}

int64_t soql_world_count(struct soql_world *w, const char *text, bool all, int64_t now_ms)
{
    struct tm_soql_result *r = NULL;
    struct tm_soql_error error;
    if (soql_world_run(w, text, all, now_ms, &r, &error) != TM_OK)
        fail_msg("%s: %s", text, error.message);
    int64_t total = tm_soql_result_total(r);
    tm_soql_result_close(r);
    return total;
}

/* The first row as text, to look for parts in it; the caller frees it. */
static char *soql_first_row(struct soql_world *w, const char *text)
{
    json_t *rows = soql_world_rows(w, text, false);
    char *row = json_dumps(json_array_get(rows, 0), JSON_COMPACT);
    assert_non_null(row);
    json_decref(rows);
    return row;
}

void soql_expect_row(struct soql_world *w, const char *text, const char *part)
{
    char *row = soql_first_row(w, text);
    if (strstr(row, part) == NULL)
        fail_msg("%s: %s is not in %s", text, part, row);
    free(row);
}
