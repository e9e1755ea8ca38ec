/* The mock's Bulk APIs as they are written through: 1.0 batches and 2.0 ingest jobs. */
#include "tests/support_bulk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sqlite3.h>

#define INGEST "/services/data/v59.0/jobs/ingest"

/* A closed 1.0 job with one batch of data; the batch's path. */
static void load(struct bulk_world *w, char path[200], const char *info, const char *data)
{
    char jid[TM_ID_BYTES], bid[TM_ID_BYTES];
    bulk_async(w, "POST", ASYNC, info, JSON);
    bulk_expect(w, w->body, 201, "\"state\":\"Open\"");
    bulk_id_of(w, jid, "\"id\":\"");
    snprintf(path, 200, ASYNC "/%s/batch", jid);
    bulk_async(w, "POST", path, data, NULL);
    bulk_id_of(w, bid, strstr(w->body, "<id>") != NULL ? "<id>" : "\"id\":\"");
    snprintf(path, 200, ASYNC "/%s/batch/%s", jid, bid);
}

static void json_batch_writes_its_records_and_tells_of_each(void **state)
{
    struct bulk_world *w = *state;
    char path[200], id[TM_ID_BYTES];
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         "[{\"Name\":\"one\",\"AnnualRevenue\":5.5},{\"Phone\":\"no name\"},{\"Name\":\"two\"}]");
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "\"state\":\"Completed\"");
    bulk_expect(w, w->body, 200, "\"numberRecordsFailed\":1");
    bulk_async(w, "GET", bulk_sub(path, "/result"), NULL, JSON);
    json_t *told_of = bulk_told(w), *first = json_array_get(told_of, 0);
    assert_int_equal(json_array_size(told_of), 3);
    assert_true(json_is_true(json_object_get(first, "success")));
    assert_true(json_is_true(json_object_get(first, "created")));
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(first, "id")));
    assert_true(json_is_false(json_object_get(json_array_get(told_of, 1), "success")));
    assert_non_null(strstr(w->body, "\"statusCode\":\"REQUIRED_FIELD_MISSING\""));
    json_decref(told_of);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 2);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM history WHERE change='CREATE'"),
                     2);
    json_t *event = org_last_event(w->f.org, "Account");
    assert_non_null(event); /* change events come out of it */
    json_decref(event);
    load(w, path, "{\"operation\":\"delete\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         "[{\"Id\":\"001000000000001AAA\"},{\"Id\":\"x\"},{}]");
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "\"numberRecordsFailed\":3");
    char one[80];
    snprintf(one, sizeof one, "[{\"Id\":\"%s\"}]", id);
    load(w, path, "{\"operation\":\"delete\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         one);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account WHERE IsDeleted=1"),
                     1);
}

static void csv_batch_leaves_empty_values_alone_and_sets_null_by_a_word(void **state)
{
    struct bulk_world *w = *state;
    char path[200], id[TM_ID_BYTES], data[300], want[100];
    struct tm_org_set sets[] = { { "Name", org_text("Acme") },
                                 { "Phone", org_text("1") },
                                 { "AnnualRevenue", org_real(2) },
                                 { NULL, org_null() } };
    org_one(w->f.org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", strcpy(id, ""), sets,
            ORG_ORIGIN_MS + 1000);
    snprintf(data, sizeof data, "Id,Name,Phone,AnnualRevenue\n%s,\"new \"\"name\"\"\",,#N/A\n", id);
    load(w, path, "{\"operation\":\"update\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         data);
    snprintf(want, sizeof want,
             "\"Id\",\"Success\",\"Created\",\"Error\"\n\"%s\",\"true\",\"false\",\"\"\n", id);
    assert_string_equal(bulk_async(w, "GET", bulk_sub(path, "/result"), NULL, JSON), want);
    char text[65536];
    assert_string_equal(
        org_ask(w->f.org,
                "SELECT Name || '|' || Phone || '|' || (AnnualRevenue IS NULL) FROM "
                "cur_Account",
                text),
        "new \"name\"|1|1");
    load(w, path,
         "{\"operation\":\"upsert\",\"object\":\"Account\",\"contentType\":\"CSV\","
         "\"externalIdFieldName\":\"Id\"}",
         "Id,Name\n,made by upsert\n");
    assert_non_null(
        strstr(bulk_async(w, "GET", bulk_sub(path, "/result"), NULL, JSON), "\"true\",\"true\""));
    for (int i = 0; i < 2; i++) { /* made, then found */
        load(w, path,
             "{\"operation\":\"upsert\",\"object\":\"Account\",\"contentType\":\"CSV\","
             "\"externalIdFieldName\":\"LegacyId__c\"}",
             "Name,LegacyId__c\ntwice,k1\ntwice,k1\n");
        bulk_async(w, "GET", bulk_sub(path, "/result"), NULL, JSON);
        assert_int_equal(strstr(w->body, "\"true\",\"true\"") != NULL, i == 0);
        assert_int_equal(
            org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account WHERE LegacyId__c='k1'"), 1);
    }
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         "Name,Phone\nonly one\n");
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "<state>Failed</state>");
    bulk_expect(w, w->body, 200, "row 1 has 1 values, the header 2");
}

/* Batches of one job: what failed in each is summed up in the job. */
static void job_of_1_0_counts_the_failed_records_of_all_its_batches(void **state)
{
    struct bulk_world *w = *state;
    char path[200], job[200];
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         "[{\"Name\":\"one\"},{\"Phone\":\"no name\"},{\"Phone\":\"none either\"}]");
    snprintf(job, sizeof job, "%.*s", (int)(strstr(path, "/batch") - path), path);
    bulk_async(w, "POST", bulk_sub(job, "/batch"), "[{\"Phone\":\"3\"}]", JSON);
    bulk_expect(w, bulk_async(w, "GET", job, NULL, JSON), 200, "\"numberRecordsFailed\":3,");
    bulk_expect(w, w->body, 200, "\"numberRecordsProcessed\":4,");
}

static void many_records_are_written_a_slice_a_step(void **state)
{
    struct bulk_world *w = *state;
    char path[200], line[40];
    struct tm_buf data;
    tm_buf_init(&data, 1u << 20);
    tm_buf_addz(&data, "Name\n");
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "loaded %d\n", i);
        tm_buf_addz(&data, line);
    }
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         tm_buf_text(&data));
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "<state>InProgress</state>");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 200);
    bulk_world_settle(w);
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "<state>Completed</state>");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 500);
    tm_buf_free(&data);
}

static void ingest_job_of_2_0_runs_when_its_upload_is_complete(void **state)
{
    struct bulk_world *w = *state;
    char path[120], id[TM_ID_BYTES];
    bulk_ask(w, "POST", INGEST,
             "{\"operation\":\"insert\",\"object\":\"account\",\"lineEnding\":\"LF\"}");
    bulk_expect(w, w->body, 200, "\"state\":\"Open\"");
    bulk_expect(w, w->body, 200, "\"object\":\"Account\"");
    bulk_id_of(w, id, "\"id\":\"");
    snprintf(path, sizeof path, INGEST "/%s", id);
    bulk_expect(w, bulk_ask(w, "GET", bulk_sub(path, "/successfulResults"), NULL), 400,
                "INVALIDJOBSTATE");
    bulk_ask(w, "PUT", bulk_sub(path, "/batches"), "Name,Phone\ngood,1\n,2\n");
    assert_int_equal(w->status, 201);
    bulk_expect(w, bulk_ask(w, "PUT", bulk_sub(path, "/batches"), "Name\nx\n"), 400,
                "INVALIDJOBSTATE");
    bulk_expect(w, bulk_ask(w, "PATCH", path, "{\"state\":\"UploadComplete\"}"), 200, id);
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "\"state\":\"JobComplete\"");
    bulk_expect(w, w->body, 200, "\"numberRecordsProcessed\":2,\"numberRecordsFailed\":1");
    bulk_ask(w, "GET", bulk_sub(path, "/successfulResults"), NULL);
    bulk_expect(w, w->body, 200, "\"sf__Id\",\"sf__Created\",\"Name\",\"Phone\"\n\"001");
    bulk_expect(w, bulk_ask(w, "GET", bulk_sub(path, "/failedResults"), NULL), 200,
                "\"sf__Id\",\"sf__Error\",\"Name\",\"Phone\"\n\"\",\"REQUIRED_FIELD_MISSING:");
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/unprocessedrecords"), NULL),
                        "\"Name\",\"Phone\"\n"); /* none */
    bulk_expect(w, bulk_ask(w, "GET", INGEST, NULL), 200, "\"done\":true");
    bulk_ask(w, "DELETE", path, NULL);
    assert_int_equal(w->status, 204);
    bulk_expect(w, bulk_ask(w, "POST", INGEST, "{\"operation\":\"query\",\"object\":\"Account\"}"),
                400, "API_ERROR");
    bulk_expect(w, bulk_ask(w, "POST", INGEST, "{\"operation\":\"upsert\",\"object\":\"Account\"}"),
                400, "externalIdFieldName");
}

/* An open 2.0 job with its data; the job's path. */
static void upload(struct bulk_world *w, char path[120], const char *info, const char *data)
{
    char id[TM_ID_BYTES];
    bulk_expect(w, bulk_ask(w, "POST", INGEST, info), 200, "\"state\":\"Open\"");
    bulk_id_of(w, id, "\"id\":\"");
    snprintf(path, 120, INGEST "/%s", id);
    bulk_ask(w, "PUT", bulk_sub(path, "/batches"), data);
}

/* "NAME", then `count` rows of it. */
static const char *names(struct tm_buf *out, int count, const char *line_end)
{
    tm_buf_reset(out);
    tm_buf_addf(out, "NAME%s", line_end);
    for (int i = 0; i < count; i++)
        tm_buf_addf(out, "loaded %d%s", i, line_end);
    return tm_buf_text(out);
}

/* Ten thousand are the most of a 1.0 batch; a 2.0 job is bound by its bytes. */
static void job_of_2_0_takes_more_records_than_a_batch_of_1_0(void **state)
{
    struct bulk_world *w = *state;
    char path[200];
    struct tm_buf data;
    tm_buf_init(&data, 1u << 20);
    names(&data, 10001, "\n");
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         tm_buf_text(&data));
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "more than 10000 records");
    upload(w, path, "{\"operation\":\"insert\",\"object\":\"Account\"}", tm_buf_text(&data));
    bulk_expect(w, bulk_ask(w, "PATCH", path, "{\"state\":\"UploadComplete\"}"), 200, "InProgress");
    bulk_world_settle(w);
    bulk_expect(w, bulk_ask(w, "GET", path, NULL), 200, "\"numberRecordsProcessed\":10001,");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 10001);
    tm_buf_free(&data);
}

static void aborted_job_of_2_0_gives_back_the_records_it_did_not_write(void **state)
{
    struct bulk_world *w = *state;
    char path[120];
    struct tm_buf data;
    tm_buf_init(&data, 1u << 20);
    tm_buf_addz(&data, "NAME;Phone;AnnualRevenue\r\n");
    for (int i = 0; i < 202; i++)
        tm_buf_addf(&data, "loaded %d;#N/A;\r\n", i);
    upload(w, path,
           "{\"operation\":\"insert\",\"object\":\"Account\",\"lineEnding\":\"CRLF\","
           "\"columnDelimiter\":\"SEMICOLON\"}",
           tm_buf_text(&data));
    bulk_ask(w, "PATCH", path, "{\"state\":\"UploadComplete\"}");
    bulk_expect(w, bulk_ask(w, "PATCH", path, "{\"state\":\"Aborted\"}"), 200, "Aborted");
    bulk_world_settle(w);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 200);
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/unprocessedrecords"), NULL),
                        "\"NAME\";\"Phone\";\"AnnualRevenue\"\r\n"
                        "\"loaded 200\";\"#N/A\";\"\"\r\n\"loaded 201\";\"#N/A\";\"\"\r\n");
    assert_string_equal(bulk_ask(w, "GET", bulk_sub(path, "/failedResults"), NULL),
                        "\"sf__Id\";\"sf__Error\";\"NAME\";\"Phone\";\"AnnualRevenue\"\r\n");
    tm_buf_free(&data);
}

/* simple-salesforce and Data Loader users write "id" and "legacyid__c". */
static void fields_are_named_in_any_case(void **state)
{
    struct bulk_world *w = *state;
    char path[200], id[TM_ID_BYTES], data[200];
    org_make_account(w->f.org, id, "Acme", ORG_ORIGIN_MS);
    snprintf(data, sizeof data, "id,name\n%s,csv\n", id);
    load(w, path, "{\"operation\":\"update\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         data);
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200,
                "<numberRecordsFailed>0</numberRecordsFailed>");
    snprintf(data, sizeof data, "[{\"ID\":\"%s\",\"phone\":\"json\"}]", id);
    load(w, path, "{\"operation\":\"update\",\"object\":\"Account\",\"contentType\":\"JSON\"}",
         data);
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "\"numberRecordsFailed\":0");
    char text[65536];
    assert_string_equal(org_ask(w->f.org, "SELECT Name || Phone FROM cur_Account", text),
                        "csvjson");
    for (int i = 0; i < 2; i++)
        load(w, path,
             "{\"operation\":\"upsert\",\"object\":\"Account\",\"contentType\":\"CSV\","
             "\"externalIdFieldName\":\"LegacyId__c\"}",
             "NAME,legacyid__C\nkeyed,k1\n");
    bulk_expect(w, bulk_async(w, "GET", bulk_sub(path, "/result"), NULL, JSON), 200,
                "\"true\",\"false\"");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 2);
    load(w, path, "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}",
         "Name,name\na,b\n");
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "column 2 of the header, Name");
}

/* What is quoted in a message is cut to a length, and never inside a letter. */
static void reasons_with_long_names_of_other_letters_are_told(void **state)
{
    struct bulk_world *w = *state;
    char path[120], name[120] = "a", text[300];
    for (int i = 0; i < 50; i++)
        strcat(name, "\u00e9");
    snprintf(text, sizeof text, "%s,%s\n1,2\n", name, name);
    upload(w, path, "{\"operation\":\"insert\",\"object\":\"Account\"}", text);
    bulk_ask(w, "PATCH", path, "{\"state\":\"UploadComplete\"}");
    bulk_expect(w, w->body, 200, "\"errorMessage\":\"column 2 of the header, a\u00e9");
    snprintf(text, sizeof text, "{\"operation\":\"query\",\"object\":\"%s\"}", name);
    bulk_async(w, "POST", ASYNC, text, JSON);
    bulk_expect(w, w->body, 400, "\"exceptionCode\":\"InvalidEntity\"");
    bulk_expect(w, w->body, 400, "\u00e9' is not supported by the Bulk API.");
}

/* Uploads of open jobs, records to write and results are one allowance. */
static void what_ingest_jobs_hold_has_a_limit(void **state)
{
    static const char insert[] = "{\"operation\":\"insert\",\"object\":\"Account\"}";
    static const char batch[] =
        "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}";
    struct bulk_world *w = *state;
    char open[120], path[200], ended[120], id[TM_ID_BYTES];
    struct tm_buf data;
    bulk_world_serve(w, (struct tm_bulk_settings){ .held_bytes_max = 200000 });
    tm_buf_init(&data, 1u << 20);
    upload(w, ended, insert, names(&data, 1, "\n"));
    bulk_ask(w, "PATCH", ended, "{\"state\":\"UploadComplete\"}");
    bulk_expect(w, bulk_ask(w, "GET", ended, NULL), 200, "JobComplete");
    upload(w, open, insert, names(&data, 8000, "\n"));
    assert_int_equal(w->status, 201);
    upload(w, path, insert, tm_buf_text(&data));
    bulk_expect(w, w->body, 503, "SERVER_UNAVAILABLE");
    bulk_expect(w, bulk_ask(w, "GET", ended, NULL), 404, "NOT_FOUND"); /* it went to make room */
    bulk_expect(w, bulk_ask(w, "GET", open, NULL), 200, "\"state\":\"Open\"");
    bulk_async(w, "POST", ASYNC, batch, JSON);
    bulk_id_of(w, id, "\"id\":\"");
    snprintf(path, sizeof path, ASYNC "/%s/batch", id);
    bulk_expect(w, bulk_async(w, "POST", path, names(&data, 400, "\n"), NULL), 400,
                "ExceededQuota");
    bulk_ask(w, "PATCH", open, "{\"state\":\"Aborted\"}");
    bulk_async(w, "POST", path, tm_buf_text(&data), NULL);
    assert_int_equal(w->status, 201);
    bulk_world_settle(w);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 401);
    tm_buf_free(&data);
}

/* A 1.0 job that nobody closes keeps its results, but not for ever at the cost of others. */
static void results_of_an_open_job_go_when_it_is_idle_and_room_is_wanted(void **state)
{
    static const char insert[] = "{\"operation\":\"insert\",\"object\":\"Account\"}";
    static const char batch[] =
        "{\"operation\":\"insert\",\"object\":\"Account\",\"contentType\":\"CSV\"}";
    struct bulk_world *w = *state;
    char path[200], other[120], id[TM_ID_BYTES], result[260];
    struct tm_buf data;
    bulk_world_serve(w, (struct tm_bulk_settings){ .held_bytes_max = 400000 });
    tm_buf_init(&data, 1u << 20);
    bulk_async(w, "POST", ASYNC, batch, JSON);
    bulk_id_of(w, id, "\"id\":\"");
    snprintf(path, sizeof path, ASYNC "/%s/batch", id);
    bulk_async(w, "POST", path, names(&data, 800, "\n"), NULL);
    assert_int_equal(w->status, 201);
    bulk_world_settle(w);
    bulk_async(w, "GET", path, NULL, JSON);
    upload(w, other, insert, names(&data, 30000, "\n"));
    bulk_expect(w, w->body, 503, "SERVER_UNAVAILABLE");
    bulk_async(w, "GET", path, NULL, JSON);
    assert_int_equal(w->status, 200); /* still there */
    w->now.org_ms += 3600001;
    upload(w, other, insert, tm_buf_text(&data));
    assert_int_equal(w->status, 201);
    snprintf(result, sizeof result, ASYNC "/%s", id);
    bulk_expect(w, bulk_async(w, "GET", result, NULL, JSON), 400, "InvalidJob");
    tm_buf_free(&data);
}

static void a_unique_value_is_taken_once_within_one_batch(void **state)
{
    struct bulk_world *w = *state;
    char path[200];
    load(w, path, "{\"operation\":\"insert\",\"object\":\"User\",\"contentType\":\"CSV\"}",
         "Username,LastName,Email,Alias,TimeZoneSidKey,LocaleSidKey,LanguageLocaleKey\n"
         "a@b.example,One,a@b.example,ab,GMT,en_US,en_US\n"
         "a@b.example,Two,a@b.example,ab,GMT,en_US,en_US\n");
    bulk_async(w, "GET", bulk_sub(path, "/result"), NULL, JSON);
    assert_non_null(strstr(w->body, "DUPLICATE_VALUE"));
    assert_int_equal(
        org_ask_int(w->f.org, "SELECT count(*) FROM cur_User WHERE Username='a@b.example'"), 1);
}

static void a_lookup_that_cannot_be_made_fails_the_batch_and_blames_no_record(void **state)
{
    struct bulk_world *w = *state;
    char path[200];
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(w->f.path, &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(other, "ALTER TABLE cur_Account RENAME TO away", NULL, NULL, NULL), SQLITE_OK);
    load(w, path,
         "{\"operation\":\"upsert\",\"object\":\"Account\",\"contentType\":\"CSV\","
         "\"externalIdFieldName\":\"LegacyId__c\"}",
         "Name,LegacyId__c\none,k1\n");
    bulk_expect(w, bulk_async(w, "GET", path, NULL, JSON), 200, "<state>Failed</state>");
    bulk_expect(w, w->body, 200, "<numberRecordsProcessed>0</numberRecordsProcessed>");
    sqlite3_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(json_batch_writes_its_records_and_tells_of_each),
        IN_A_WORLD(csv_batch_leaves_empty_values_alone_and_sets_null_by_a_word),
        IN_A_WORLD(job_of_1_0_counts_the_failed_records_of_all_its_batches),
        IN_A_WORLD(many_records_are_written_a_slice_a_step),
        IN_A_WORLD(ingest_job_of_2_0_runs_when_its_upload_is_complete),
        IN_A_WORLD(job_of_2_0_takes_more_records_than_a_batch_of_1_0),
        IN_A_WORLD(aborted_job_of_2_0_gives_back_the_records_it_did_not_write),
        IN_A_WORLD(results_of_an_open_job_go_when_it_is_idle_and_room_is_wanted),
        IN_A_WORLD(a_unique_value_is_taken_once_within_one_batch),
        IN_A_WORLD(a_lookup_that_cannot_be_made_fails_the_batch_and_blames_no_record),
        IN_A_WORLD(fields_are_named_in_any_case),
        IN_A_WORLD(reasons_with_long_names_of_other_letters_are_told),
        IN_A_WORLD(what_ingest_jobs_hold_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
