#include "tests/support_event.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void support_field(json_t *fields, const char *name, const char *type, const char *compound)
{
    json_t *f = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:b, s:b}", "name", name, "type",
                          type, "label", name, "length", 255, "precision", 18, "scale", 2,
                          "nillable", 1, "custom", strstr(name, "__c") != NULL, "calculated",
                          strstr(name, "Formula") != NULL);
    assert_non_null(f);
    if (compound != NULL)
        json_object_set_new(f, "compoundFieldName", json_string(compound));
    json_array_append_new(fields, f);
}

json_t *support_describe_json(const char *object)
{
    static const char *const rows[][3] = {
        { "Id", "id", NULL },
        { "IsDeleted", "boolean", NULL },
        { "Name", "string", "Name" },
        { "LastName", "string", "Name" },
        { "FirstName", "string", "Name" },
        { "StageName", "picklist", NULL },
        { "Amount", "currency", NULL },
        { "Probability", "percent", NULL },
        { "CloseDate", "date", NULL },
        { "IsWon", "boolean", NULL },
        { "Visits", "int", NULL },
        { "Meet__c", "time", NULL },
        { "OwnerId", "reference", NULL },
        { "Description", "textarea", NULL },
        { "Formula__c", "double", NULL },
        { "BillingStreet", "textarea", "BillingAddress" },
        { "BillingCity", "string", "BillingAddress" },
        { "BillingLatitude", "double", "BillingAddress" },
        { "BillingAddress", "address", NULL },
        { "CreatedDate", "datetime", NULL },
        { "LastModifiedDate", "datetime", NULL },
        { "SystemModstamp", "datetime", NULL },
        { "Kind__c", "multipicklist", NULL },
    };
    json_t *fields = json_array();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        support_field(fields, rows[i][0], rows[i][1], rows[i][2]);
    return json_pack("{s:s, s:s, s:s, s:o}", "name", object, "label", object, "keyPrefix", "006",
                     "fields", fields);
}

struct tm_describe *support_describe(const char *object)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_describe *d = NULL;
    json_t *json = support_describe_json(object);
    if (tm_describe_parse(&d, json, &err) != TM_OK)
        fail_msg("describe: %s", err.msg);
    json_decref(json);
    return d;
}

json_t *support_change(const char *object, const char *type, long long replay_id, const char *ids,
                       const char *changed, const char *fields)
{
    json_error_t where;
    json_t *payload = json_loads(fields, JSON_DECODE_ANY, &where);
    assert_non_null(payload);
    json_t *header =
        json_pack("{s:s, s:o, s:s, s:o, s:s, s:s, s:i, s:I, s:s, s:I}", "entityName", object,
                  "recordIds", json_loads(ids, 0, &where), "changeType", type, "changedFields",
                  json_loads(changed, 0, &where), "changeOrigin", "com/salesforce/api/rest/60.0",
                  "transactionKey", "00026831-c8e1-13c6-e65f-c3b849d556ee", "sequenceNumber", 1,
                  "commitTimestamp", (json_int_t)(1655997704000 + replay_id * 1000), "commitUser",
                  "005000000000001AAA", "commitNumber", (json_int_t)(286001238094 + replay_id));
    assert_non_null(header);
    json_object_set_new(payload, "ChangeEventHeader", header);
    json_t *data = json_pack("{s:s, s:o, s:{s:I}}", "schema", "I8b-dYxvxs5wOtCBr4qsew", "payload",
                             payload, "event", "replayId", (json_int_t)replay_id);
    assert_non_null(data);
    return data;
}
