/* What the report says of a fault: how much was under way, when something newer was shown, what was
 * never shown. Of a run.db that the test writes. */
#include "base/org_db.h"
#include "base/sql.h"
#include "check/rundb.h"
#include "run/run.h"
#include "support_command.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define S TM_NS_PER_S

struct after {
    struct tm_run run;
    char folder[64];
    sqlite3 *db;
    json_t *report;
};

static int open_after(void **state)
{
    struct after *a = calloc(1, sizeof *a);
    char path[128];
    snprintf(a->folder, sizeof a->folder, "%s", tm_test_folder());
    snprintf(a->run.dir, sizeof a->run.dir, "%s", a->folder);
    snprintf(path, sizeof path, "%s/run.db", a->folder);
    assert_int_equal(tm_sql_open(&a->db, path, TM_SQL_CREATE, NULL), TM_OK);
    assert_int_equal(tm_sql_exec(a->db, TM_RUN_DB_SCHEMA, NULL), TM_OK);
    snprintf(path, sizeof path, "%s/clock", a->folder);
    assert_int_equal(tm_clock_file_create(&a->run.clock, path, 1000000, 10, NULL), TM_OK);
    tm_clock_file_start(a->run.clock, 0);
    a->report = json_pack("{s:[{s:s, s:s}, {s:s, s:s}]}", "pipelines", "name", "it's", "kind",
                          "stream", "name", "hourly", "kind", "batch");
    *state = a;
    return 0;
}

static int close_after(void **state)
{
    struct after *a = *state;
    tm_sql_close(a->db);
    tm_clock_file_close(a->run.clock);
    json_decref(a->report);
    tm_test_folder_remove(a->folder);
    free(a);
    return 0;
}

/* Committed and shown, in seconds; shown < 0: never. */
static void change(struct after *a, int pos, int committed_s, int shown_s)
{
    assert_int_equal(tm_sql_execf(a->db, NULL,
                                  "INSERT INTO change(pos, actual_ns) VALUES(%d, %lld)", pos,
                                  (long long)(committed_s * S)),
                     TM_OK);
    assert_int_equal(tm_sql_execf(a->db, NULL,
                                  "INSERT INTO sample(pipeline, pos, visible_ns, censored) "
                                  "VALUES('it''s', %d, nullif(%lld, %lld), %d)",
                                  pos, (long long)(shown_s * S), (long long)(-1 * S), shown_s < 0),
                     TM_OK);
}

static void befell(struct after *a, int signal, int at_s, int until_s)
{
    struct tm_child *child = &a->run.kids.items[a->run.kids.count++];
    snprintf(child->name, sizeof child->name, "sink");
    struct tm_fault_seen *fault = tm_befallen_add(&child->befell, signal, at_s * S);
    fault->until_ns = until_s * S;
}

static void told(struct after *a, const char *expected)
{
    struct tm_err err = { 0 };
    assert_int_equal(tm_run_faults(a->report, &a->run, &err), TM_OK);
    char *text = json_dumps(json_object_get(a->report, "faults"), JSON_COMPACT | JSON_ENCODE_ANY);
    if (expected == NULL)
        assert_null(text);
    else
        assert_string_equal(text, expected);
    free(text);
}

static void a_fault_tells_what_was_under_way_and_when_newer_was_shown(void **state)
{
    struct after *a = *state;
    change(a, 1, 5, 8);   /* long since shown */
    change(a, 2, 9, 10);  /* shown at the instant itself */
    change(a, 3, 9, 14);  /* under way */
    change(a, 4, 10, 14); /* committed at the instant itself: under way */
    change(a, 5, 12, 13); /* the first newer one */
    change(a, 6, 11, 15);
    befell(a, SIGKILL, 10, 11);
    told(a, "[{\"process\":\"sink\",\"fault\":\"killed\",\"signal\":9,\"org_ms\":1100000,"
            "\"lasted_s\":1.0,\"pipelines\":[{\"name\":\"it's\",\"shown_again_s\":3.0,"
            "\"under_way\":2,\"never_shown\":0}]}]");
}

static void what_a_fault_lost_is_counted_up_to_the_recovery_and_no_further(void **state)
{
    struct after *a = *state;
    change(a, 1, 9, -1);  /* under way, and lost */
    change(a, 2, 12, -1); /* committed while it lasted, and lost */
    change(a, 3, 13, 15);
    change(a, 4, 16, -1); /* lost later, by something else */
    befell(a, SIGSTOP, 10, 14);
    told(a, "[{\"process\":\"sink\",\"fault\":\"stopped\",\"signal\":19,\"org_ms\":1100000,"
            "\"lasted_s\":4.0,\"pipelines\":[{\"name\":\"it's\",\"shown_again_s\":5.0,"
            "\"under_way\":1,\"never_shown\":2}]}]");
}

static void a_fault_that_nothing_came_after_says_so(void **state)
{
    struct after *a = *state;
    change(a, 1, 9, -1);
    change(a, 2, 20, -1);
    befell(a, SIGSTOP, 10, 0);
    told(a, "[{\"process\":\"sink\",\"fault\":\"stopped\",\"signal\":19,\"org_ms\":1100000,"
            "\"lasted_s\":null,\"pipelines\":[{\"name\":\"it's\",\"shown_again_s\":null,"
            "\"under_way\":1,\"never_shown\":2}]}]");
}

static void tokens_revoked_in_the_org_and_what_was_not_kept_are_told_too(void **state)
{
    struct after *a = *state;
    sqlite3 *org = NULL;
    snprintf(a->run.org_path, sizeof a->run.org_path, "%s/org.db", a->folder);
    assert_int_equal(tm_sql_open(&org, a->run.org_path, TM_SQL_CREATE, NULL), TM_OK);
    assert_int_equal(
        tm_sql_exec(org,
                    TM_ORG_DB_SCHEMA
                    "INSERT INTO fault VALUES(1,1,'expire_tokens',1,9000000000,NULL,'','',''),"
                    "(2,2,'late_rows',1,9000000000,NULL,'','',''),"
                    "(3,3,'expire_tokens',1,-1,NULL,'','','')",
                    NULL),
        TM_OK);
    tm_sql_close(org);
    change(a, 1, 8, 12);
    change(a, 2, 11, 13);
    struct tm_child *child = &a->run.kids.items[a->run.kids.count++];
    snprintf(child->name, sizeof child->name, "gap");
    child->befell.missed = 2; /* none of them kept: of a test alone */
    told(a, "[{\"process\":\"org\",\"fault\":\"expire_tokens\",\"signal\":0,\"org_ms\":1090000,"
            "\"lasted_s\":0.0,\"pipelines\":[{\"name\":\"it's\",\"shown_again_s\":4.0,"
            "\"under_way\":1,\"never_shown\":0}]}]");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(a->report, "faults_not_kept"), "gap")),
        2);
}

static void a_quiet_run_has_no_faults_in_its_report(void **state)
{
    struct after *a = *state;
    change(a, 1, 9, 10);
    told(a, NULL);
}

int main(void)
{
#define FAULTS_TEST(t) cmocka_unit_test_setup_teardown(t, open_after, close_after)
    const struct CMUnitTest tests[] = {
        FAULTS_TEST(a_fault_tells_what_was_under_way_and_when_newer_was_shown),
        FAULTS_TEST(what_a_fault_lost_is_counted_up_to_the_recovery_and_no_further),
        FAULTS_TEST(a_fault_that_nothing_came_after_says_so),
        FAULTS_TEST(tokens_revoked_in_the_org_and_what_was_not_kept_are_told_too),
        FAULTS_TEST(a_quiet_run_has_no_faults_in_its_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
