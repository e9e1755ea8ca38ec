#include "tests/support_recon_org.h"
#include "tests/support_event.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct recon_org recon_org;

static void org_decode(char *out, size_t cap, const char *in)
{
    size_t n = 0;
    for (; *in != '\0' && n + 1 < cap; in++) {
        unsigned c = (unsigned char)*in;
        if (c == '%' && sscanf(in + 1, "%2x", &c) == 1)
            in += 2;
        out[n++] = (char)(c == '+' ? ' ' : c);
    }
    out[n] = '\0';
}

static void org_row(json_t *records, int i)
{
    char name[40];
    snprintf(name, sizeof name, "name of %d", i);
    json_array_append_new(
        records, json_pack("{s:{s:s}, s:s, s:b, s:s, s:f, s:s, s:b, s:s}", "attributes", "type",
                           "Opportunity", "Id", recon_org.ids[i], "IsDeleted", recon_org.deleted[i],
                           "LastName", name, "Amount", i + 0.25, "CloseDate", "2026-03-02", "IsWon",
                           i % 2, "LastModifiedDate", "2026-03-02T08:00:05.000+0000"));
}

static int org_query(const char *soql, bool all, int from, struct tm_buf *reply)
{
    json_t *records = json_array(), *body;
    int total = 0, given = 0, at = from;
    bool by_id = strstr(soql, "WHERE Id IN (") != NULL;
    for (int i = 0; i < recon_org.rows; i++) {
        if (recon_org.gone[i] || (recon_org.deleted[i] && !all) ||
            (by_id && strstr(soql, recon_org.ids[i]) == NULL))
            continue;
        if (total++ >= from && given < recon_org.page) {
            org_row(records, i);
            given++;
            at = total;
        }
    }
    body =
        json_pack("{s:i, s:b, s:o}", "totalSize", total, "done", at >= total, "records", records);
    if (at < total) {
        char next[64];
        snprintf(next, sizeof next, "/services/data/v59.0/query/01g-%d", at);
        json_object_set_new(body, "nextRecordsUrl", json_string(next));
    }
    char *text = json_dumps(body, JSON_COMPACT);
    tm_buf_addz(reply, text);
    free(text);
    json_decref(body);
    return 200;
}

static int org_deleted(const char *url, struct tm_buf *reply)
{
    json_t *records = json_array();
    recon_org.deleted_calls++;
    org_decode(recon_org.last_deleted, sizeof recon_org.last_deleted, url);
    for (int i = 0; i < recon_org.rows; i++)
        if (recon_org.logged[i])
            json_array_append_new(records,
                                  json_pack("{s:s, s:s}", "id", recon_org.ids[i], "deletedDate",
                                            "2026-03-02T07:55:00.000+0000"));
    json_t *body = json_pack("{s:o, s:s, s:s}", "deletedRecords", records, "earliestDateAvailable",
                             recon_org.earliest, "latestDateCovered", recon_org.covered);
    char *text = json_dumps(body, JSON_COMPACT);
    tm_buf_addz(reply, recon_org.deleted_status == 0
                           ? text
                           : "[{\"errorCode\":\"EXCEEDED_ID_LIMIT\","
                             "\"message\":\"more than 600000 records\"}]");
    free(text);
    json_decref(body);
    return recon_org.deleted_status == 0 ? 200 : recon_org.deleted_status;
}

int recon_org_answer(void *self, const char *method, const char *url, const char *body,
                     struct tm_buf *reply)
{
    static char last_soql[32768];
    static bool last_all;
    (void)self, (void)method, (void)body;
    if (strlen(url) > recon_org.url_bytes_max)
        recon_org.url_bytes_max = strlen(url);
    if (strstr(url, "/oauth2/token") != NULL) {
        tm_buf_addz(
            reply,
            "{\"access_token\":\"T\",\"instance_url\":\"http://sf\",\"token_type\":\"Bearer\"}");
        return 200;
    }
    if (strstr(url, "/describe") != NULL) {
        json_t *d = support_describe_json("Opportunity");
        char *text = json_dumps(d, JSON_COMPACT);
        recon_org.describes++;
        tm_buf_addz(reply, text);
        free(text);
        json_decref(d);
        return 200;
    }
    if (strstr(url, "/deleted/?") != NULL)
        return org_deleted(url, reply);
    const char *more = strstr(url, "/query/01g-"), *q = strstr(url, "?q=");
    if (recon_org.fail_queries > 0) {
        recon_org.fail_queries--;
        tm_buf_addz(reply, "[{\"errorCode\":\"QUERY_TIMEOUT\",\"message\":\"Your query request was "
                           "running for too long.\"}]");
        return recon_org.fail_status;
    }
    recon_org.queries++;
    if (more != NULL)
        return org_query(last_soql, last_all, atoi(more + strlen("/query/01g-")), reply);
    assert_non_null(q);
    last_all = strstr(url, "/queryAll") != NULL;
    recon_org.query_all += last_all;
    org_decode(last_soql, sizeof last_soql, q + 3);
    strcpy(recon_org.last_query, last_soql);
    return org_query(last_soql, last_all, 0, reply);
}
