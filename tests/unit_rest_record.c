/* Single records by REST: what is written, what is refused and how the refusal reads, and the
 * change event of each write. */
#include "mocks/salesforce/record.h"
#include "tests/support_rest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ACCOUNTS DATA "/sobjects/Account"
#define OPPORTUNITIES DATA "/sobjects/Opportunity"

/* Creates one and returns its id, overwritten by the next call. */
static const char *create(struct rest_world *w, const char *target, const char *body)
{
    static char id[2][TM_ID_BYTES];
    static int turn;
    json_t *json = rest_ask(w, "POST", target, body, NULL);
    const char *got = json_string_value(json_object_get(json, "id"));
    if (w->status != 201 || got == NULL)
        fail_msg("%s: %d", body, w->status);
    turn = !turn;
    snprintf(id[turn], sizeof id[turn], "%s", got);
    json_decref(json);
    return id[turn];
}

/* A POST is refused with the code, a message that holds `part`, and the fields. */
static void refused(struct rest_world *w, const char *method, const char *target, const char *body,
                    const char *code, const char *part, const char *fields)
{
    json_t *json = rest_ask(w, method, target, body, NULL), *first = json_array_get(json, 0);
    char *text = json_dumps(first, JSON_COMPACT), *about;
    const char *message = json_string_value(json_object_get(first, "message"));
    if (w->status != 400 || message == NULL || strstr(message, part) == NULL ||
        strcmp(json_string_value(json_object_get(first, "errorCode")), code) != 0)
        fail_msg("%s: %d %s", body, w->status, text);
    about = json_object_get(first, "fields") != NULL
                ? json_dumps(json_object_get(first, "fields"), JSON_COMPACT)
                : strdup("none");
    if (strcmp(about, fields) != 0)
        fail_msg("%s: fields %s", body, about);
    free(about);
    free(text);
    json_decref(json);
}

static json_t *header_of(json_t *event)
{
    return json_object_get(json_object_get(event, "payload"), "ChangeEventHeader");
}

static void every_write_is_told_as_a_change_event_by_its_user_and_client(void **state)
{
    struct rest_world *w = *state;
    char target[200];
    json_decref(rest_ask(w, "POST", ACCOUNTS, "{\"Name\":\"Tide\"}",
                         "Sforce-Call-Options: client=tester, defaultNamespace=x"));
    assert_int_equal(w->status, 201);
    assert_non_null(strstr(w->answer.headers, "Location: " DATA "/sobjects/Account/001"));
    json_t *event = org_last_event(w->f.org, "Account"), *header = header_of(event);
    assert_string_equal(json_string_value(json_object_get(header, "changeType")), "CREATE");
    assert_string_equal(json_string_value(json_object_get(header, "changeOrigin")),
                        "com/salesforce/api/rest/59.0;client=tester");
    assert_string_equal(json_string_value(json_object_get(header, "commitUser")),
                        tm_org_user_id(w->f.org));
    snprintf(target, sizeof target, ACCOUNTS "/%s",
             json_string_value(json_array_get(json_object_get(header, "recordIds"), 0)));
    json_decref(event);
    w->now.org_ms += 60000;
    json_decref(rest_ask(w, "PATCH", target, "{\"Phone\":\"+1\",\"BillingCity\":\"Ebb\"}", NULL));
    assert_int_equal(w->status, 204);
    event = org_last_event(w->f.org, "Account");
    char *names = json_dumps(json_object_get(header_of(event), "changedFields"), JSON_COMPACT);
    assert_string_equal(names, "[\"BillingAddress.City\",\"Phone\",\"LastModifiedDate\"]");
    assert_string_equal(json_string_value(json_object_get(header_of(event), "changeOrigin")),
                        "com/salesforce/api/rest/59.0");
    free(names);
    json_decref(event);
    json_t *row = rest_get(w, target);
    assert_string_equal(json_string_value(json_object_get(row, "LastModifiedById")),
                        tm_org_user_id(w->f.org));
    assert_string_equal(json_string_value(json_object_get(row, "LastModifiedDate")),
                        "2026-03-02T09:01:00.000+0000");
    assert_string_equal(json_string_value(json_object_get(row, "CreatedDate")),
                        "2026-03-02T09:00:00.000+0000");
    json_decref(row);
    json_decref(rest_ask(w, "POST", target, "x", NULL)); /* not a method of a record */
    assert_int_equal(w->status, 405);
    char disguised[220];
    snprintf(disguised, sizeof disguised, "%s?_HttpMethod=PATCH", target);
    json_decref(rest_ask(w, "POST", disguised, "{\"Phone\":null}", NULL));
    assert_int_equal(w->status, 204);
    event = org_last_event(w->f.org, "Account");
    assert_true(json_is_null(json_object_get(json_object_get(event, "payload"), "Phone")));
    json_decref(event);
}

static void deleting_an_account_takes_its_opportunities_along_in_one_transaction(void **state)
{
    struct rest_world *w = *state;
    char account[TM_ID_BYTES], target[200], body[300];
    snprintf(account, sizeof account, "%s", create(w, ACCOUNTS, "{\"Name\":\"Tide\"}"));
    snprintf(body, sizeof body,
             "{\"Name\":\"O\",\"StageName\":\"Prospecting\",\"CloseDate\":\"2026-06-30\","
             "\"AccountId\":\"%s\"}",
             account);
    create(w, OPPORTUNITIES, body);
    snprintf(target, sizeof target, ACCOUNTS "/%s", account);
    json_decref(rest_ask(w, "DELETE", target, NULL, NULL));
    assert_int_equal(w->status, 204);
    json_t *one = org_last_event(w->f.org, "Account"),
           *two = org_last_event(w->f.org, "Opportunity");
    assert_string_equal(json_string_value(json_object_get(header_of(two), "changeType")), "DELETE");
    assert_string_equal(json_string_value(json_object_get(header_of(one), "transactionKey")),
                        json_string_value(json_object_get(header_of(two), "transactionKey")));
    json_decref(one);
    json_decref(two);
    rest_expect_error(w, "DELETE", target, NULL, 404, "ENTITY_IS_DELETED");
    rest_expect_error(w, "PATCH", target, "{\"Name\":\"x\"}", 404, "ENTITY_IS_DELETED");
    rest_expect_error(w, "DELETE", ACCOUNTS "/001000000000009AAA", NULL, 404, "NOT_FOUND");
}

static void a_bad_body_is_refused_with_its_place(void **state)
{
    struct rest_world *w = *state;
    refused(w, "POST", ACCOUNTS, "{\"Name\":", "JSON_PARSER_ERROR", "[line:1, column:8]", "none");
    refused(w, "POST", ACCOUNTS, "[]", "JSON_PARSER_ERROR", "object", "none");
    refused(w, "POST", ACCOUNTS, NULL, "JSON_PARSER_ERROR", "line:", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":5}", "JSON_PARSER_ERROR",
            "Cannot deserialize instance of string from VALUE_NUMBER_INT value 5", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"AnnualRevenue\":\"a lot\"}",
            "JSON_PARSER_ERROR",
            "Cannot deserialize instance of currency from VALUE_STRING value a lot", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"LastAudit__c\":\"2017-10-17 00:00:00\"}",
            "JSON_PARSER_ERROR", "datetime from VALUE_STRING value 2017-10-17 00:00:00", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"ContractEnd__c\":\"2026-02-30\"}",
            "JSON_PARSER_ERROR", "date from VALUE_STRING", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"OpensAt__c\":\"25:00\"}", "JSON_PARSER_ERROR",
            "time from VALUE_STRING", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"Regions__c\":[\"EMEA\"]}", "JSON_PARSER_ERROR",
            "multipicklist from START_ARRAY", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"Active__c\":\"maybe\"}", "JSON_PARSER_ERROR",
            "boolean from VALUE_STRING", "none");
}

static void a_field_that_cannot_be_written_is_named(void **state)
{
    struct rest_world *w = *state;
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"Nmae\":\"y\"}", "INVALID_FIELD",
            "No such column 'Nmae' on sobject of type Account", "none");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"Id\":\"001000000000001AAA\"}",
            "INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", "[\"Id\"]");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"CreatedDate\":\"2026-01-01T00:00:00Z\"}",
            "INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: CreatedDate",
            "[\"CreatedDate\"]");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"RevenuePerHead__c\":5}",
            "INVALID_FIELD_FOR_INSERT_UPDATE", "RevenuePerHead__c", "[\"RevenuePerHead__c\"]");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"BillingAddress\":\"y\"}",
            "INVALID_FIELD_FOR_INSERT_UPDATE", "BillingAddress", "[\"BillingAddress\"]");
    refused(w, "POST", ACCOUNTS,
            "{\"Name\":\"x\",\"BillingCity\":"
            "\"0123456789012345678901234567890123456789X\"}",
            "STRING_TOO_LONG", "data value too large", "[\"BillingCity\"]");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"AnnualRevenue\":1e19}",
            "NUMBER_OUTSIDE_VALID_RANGE", "value outside of valid range on numeric field",
            "[\"AnnualRevenue\"]");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"NumberOfEmployees\":2147483648}",
            "NUMBER_OUTSIDE_VALID_RANGE", "field: 2147483648", "[\"NumberOfEmployees\"]");
    refused(w, "POST", OPPORTUNITIES, "{\"Name\":\"x\",\"ContactEmail__c\":\"nobody\"}",
            "INVALID_EMAIL_ADDRESS", "invalid email address: nobody", "[\"ContactEmail__c\"]");
    refused(w, "POST", OPPORTUNITIES, "{\"Name\":\"x\"}", "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [StageName, CloseDate]", "[\"StageName\",\"CloseDate\"]");
    char target[200];
    snprintf(target, sizeof target, ACCOUNTS "/%s", create(w, ACCOUNTS, "{\"Name\":\"x\"}"));
    refused(w, "PATCH", target, "{\"Name\":null}", "REQUIRED_FIELD_MISSING", "[Name]",
            "[\"Name\"]");
    refused(w, "PATCH", target, "{\"Id\":\"001000000000001AAA\"}",
            "INVALID_FIELD_FOR_INSERT_UPDATE", "should not be specified", "[\"Id\"]");
}

static void references_must_point_to_a_live_record_of_the_right_object(void **state)
{
    struct rest_world *w = *state;
    char body[200], target[200];
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"ParentId\":\"nonsense\"}", "MALFORMED_ID",
            "id value of incorrect type: nonsense", "[\"ParentId\"]");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"ParentId\":\"001000000000009AAA\"}",
            "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", "[\"ParentId\"]");
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"ParentId\":\"006000000000009AAA\"}",
            "FIELD_INTEGRITY_EXCEPTION", "id value of incorrect type", "[\"ParentId\"]");
    const char *id = create(w, ACCOUNTS, "{\"Name\":\"x\"}");
    snprintf(target, sizeof target, ACCOUNTS "/%s", id);
    snprintf(body, sizeof body, "{\"Name\":\"y\",\"ParentId\":\"%.15s\"}", id);
    create(w, ACCOUNTS, body); /* 15 characters are an id too */
    json_decref(rest_ask(w, "DELETE", target, NULL, NULL));
    refused(w, "POST", ACCOUNTS, body, "ENTITY_IS_DELETED", "entity is deleted", "[\"ParentId\"]");
    create(w, ACCOUNTS, "{\"Name\":\"ext\",\"LegacyId__c\":\"E1\"}");
    create(w, ACCOUNTS,
           "{\"Name\":\"z\",\"Parent\":{\"attributes\":{\"type\":\"Account\"},"
           "\"LegacyId__c\":\"e1\"}}");
    json_t *json = rest_get(w, DATA "/query?q=SELECT+Parent.Name+FROM+Account+WHERE+Name='z'");
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(json_array_get(json_object_get(json, "records"), 0), "Parent"),
            "Name")),
        "ext");
    json_decref(json);
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"z\",\"Parent\":{\"LegacyId__c\":\"none\"}}",
            "INVALID_FIELD",
            "Foreign key external ID: none not found for field LegacyId__c in entity Account",
            "none");
}

static void picklists_restricted_by_their_describe_take_listed_values_only(void **state)
{
    struct rest_world *w = *state;
    json_decref(rest_ask(
        w, "POST", "/tidemark/v1/schema",
        "{\"object\":\"Account\",\"add\":{\"name\":\"Tier__c\",\"type\":\"picklist\",\"length\":"
        "255,"
        "\"restrictedPicklist\":true,\"picklistValues\":[{\"value\":\"Gold\",\"label\":\"Or\"},"
        "{\"value\":\"Tin\",\"label\":\"Tin\"}]}}",
        NULL));
    assert_int_equal(w->status, 200);
    refused(w, "POST", ACCOUNTS, "{\"Name\":\"x\",\"Tier__c\":\"Lead\"}",
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "bad value for restricted picklist field: Lead", "[\"Tier__c\"]");
    create(w, ACCOUNTS, "{\"Name\":\"x\",\"Tier__c\":\"Gold\"}");
    create(w, ACCOUNTS, "{\"Name\":\"x\",\"SupportTier__c\":\"not in the list, not restricted\"}");
    json_t *json = rest_get(w, DATA "/query?q=SELECT+toLabel(Tier__c)+FROM+Account+WHERE+"
                                    "toLabel(Tier__c)='Or'");
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(json, "records"), 0), "Tier__c")),
                        "Or");
    json_decref(json);
}

static void values_come_back_as_their_type_writes_them(void **state)
{
    struct rest_world *w = *state;
    char target[300];
    snprintf(target, sizeof target, ACCOUNTS "/%s",
             create(w, ACCOUNTS,
                    "{\"Name\":\"x\",\"AnnualRevenue\":\"1200\",\"NumberOfEmployees\":4,"
                    "\"Active__c\":\"true\",\"ContractEnd__c\":\"2027-01-31\","
                    "\"OpensAt__c\":\"08:30:00\",\"LastAudit__c\":\"2026-01-02T03:04:05+02:00\","
                    "\"Regions__c\":\"EMEA;APAC\",\"BankAccount__c\":\"DE00\","
                    "\"HQ__Latitude__s\":54.5,\"HQ__Longitude__s\":10.25,"
                    "\"CreditLimit__c\":10.005}"));
    json_t *row = rest_get(w, target);
    char *text = json_dumps(row, JSON_COMPACT);
    static const char *const parts[] = {
        "\"AnnualRevenue\":1200.0",
        "\"NumberOfEmployees\":4,",
        "\"Active__c\":true",
        "\"ContractEnd__c\":\"2027-01-31\"",
        "\"OpensAt__c\":\"08:30:00.000Z\"",
        "\"LastAudit__c\":\"2026-01-02T01:04:05.000+0000\"",
        "\"Regions__c\":\"EMEA;APAC\"",
        "\"BankAccount__c\":\"DE00\"",
        "\"HQ__c\":{\"latitude\":54.5,\"longitude\":10.25}",
        "\"RevenuePerHead__c\":300.0",
        "\"ParentId\":null",
        "\"BillingAddress\":null",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(text, parts[i]) == NULL)
            fail_msg("%s is not in %s", parts[i], text);
    free(text);
    json_decref(row);
    strcat(target, "?fields=Name,RevenuePerHead__c");
    row = rest_get(w, target);
    assert_int_equal(json_object_size(row), 3);
    json_decref(row);
    strcat(target, ",Nope");
    rest_expect_error(w, "GET", target, NULL, 400, "INVALID_FIELD");
}

static void an_external_id_finds_changes_creates_and_deletes(void **state)
{
    struct rest_world *w = *state;
    json_t *json = rest_ask(w, "PATCH", ACCOUNTS "/LegacyId__c/L-1", "{\"Name\":\"one\"}", NULL);
    assert_int_equal(w->status, 201);
    assert_true(json_is_true(json_object_get(json, "created")));
    json_decref(json);
    json = rest_ask(w, "PATCH", ACCOUNTS "/LegacyId__c/l-1", "{\"Name\":\"uno\"}", NULL);
    assert_int_equal(w->status, 200);
    assert_true(json_is_false(json_object_get(json, "created")));
    json_decref(json);
    json_decref(rest_ask(w, "PATCH", "/services/data/v45.0/sobjects/Account/LegacyId__c/L-1",
                         "{\"Name\":\"Eins\"}", NULL));
    assert_int_equal(w->status, 204);
    json = rest_get(w, ACCOUNTS "/LegacyId__c/L-1?fields=Name,LegacyId__c");
    assert_string_equal(json_string_value(json_object_get(json, "Name")), "Eins");
    assert_string_equal(json_string_value(json_object_get(json, "LegacyId__c")), "L-1");
    json_decref(json);
    json_decref(
        rest_ask(w, "PATCH", ACCOUNTS "/LegacyId__c/a%2Fb%20c%3F", "{\"Name\":\"slash\"}", NULL));
    assert_int_equal(w->status, 201);
    json = rest_get(w, ACCOUNTS "/LegacyId__c/a%2Fb%20c%3F/?fields=LegacyId__c");
    assert_string_equal(json_string_value(json_object_get(json, "LegacyId__c")), "a/b c?");
    json_decref(json);
    refused(w, "PATCH", ACCOUNTS "/LegacyId__c/L-1", "{\"LegacyId__c\":\"L-2\"}", "INVALID_FIELD",
            "should not be specified", "none");
    rest_expect_error(w, "PATCH", ACCOUNTS "/LegacyId__c/L-9?updateOnly=true", "{\"Name\":\"no\"}",
                      404, "NOT_FOUND");
    rest_expect_error(w, "GET", ACCOUNTS "/LegacyId__c/L-9", NULL, 404, "NOT_FOUND");
    rest_expect_error(w, "GET", ACCOUNTS "/Phone/5", NULL, 404, "NOT_FOUND");
    rest_expect_error(w, "PUT", ACCOUNTS "/LegacyId__c/L-1", NULL, 405, "METHOD_NOT_ALLOWED");
    create(w, ACCOUNTS, "{\"Name\":\"twin\",\"LegacyId__c\":\"L-1\"}");
    json = rest_ask(w, "PATCH", ACCOUNTS "/LegacyId__c/L-1", "{\"Name\":\"which\"}", NULL);
    assert_int_equal(w->status, 300);
    assert_int_equal(json_array_size(json), 2);
    const char *url = json_string_value(json_array_get(json, 1));
    json_decref(rest_ask(w, "DELETE", url, NULL, NULL));
    assert_int_equal(w->status, 204);
    json_decref(json);
    json_decref(rest_ask(w, "DELETE", ACCOUNTS "/LegacyId__c/L-1", NULL, NULL));
    assert_int_equal(w->status, 204);
    rest_expect_error(w, "GET", ACCOUNTS "/LegacyId__c/L-1", NULL, 404, "NOT_FOUND");
    json = rest_ask(w, "POST", ACCOUNTS "/Id", "{\"Name\":\"new\"}", NULL);
    assert_int_equal(w->status, 201);
    assert_true(json_is_true(json_object_get(json, "created")));
    json_decref(json);
}

static void a_unique_field_takes_a_value_once(void **state)
{
    struct rest_world *w = *state;
    static const char user[] = "{\"Username\":\"a@b.example\",\"LastName\":\"B\",\"Email\":"
                               "\"a@b.example\",\"Alias\":\"ab\",\"TimeZoneSidKey\":\"GMT\","
                               "\"LocaleSidKey\":\"en_US\",\"LanguageLocaleKey\":\"en_US\"}";
    char target[200];
    snprintf(target, sizeof target, DATA "/sobjects/User/%s",
             create(w, DATA "/sobjects/User", user));
    refused(w, "POST", DATA "/sobjects/User", user, "DUPLICATE_VALUE",
            "duplicate value found: Username duplicates value on record with id: 005",
            "[\"Username\"]");
    json_decref(rest_ask(w, "PATCH", target, "{\"Username\":\"A@B.example\"}", NULL));
    assert_int_equal(w->status, 204); /* its own value is nobody else's */
    rest_expect_error(w, "DELETE", target, NULL, 405, "METHOD_NOT_ALLOWED");
}

static void conditional_requests_look_at_the_last_modification(void **state)
{
    struct rest_world *w = *state;
    char target[200];
    snprintf(target, sizeof target, ACCOUNTS "/%s", create(w, ACCOUNTS, "{\"Name\":\"x\"}"));
    json_decref(
        rest_ask(w, "GET", target, NULL, "If-Modified-Since: Mon, 02 Mar 2026 09:00:00 GMT"));
    assert_int_equal(w->status, 304);
    json_decref(
        rest_ask(w, "GET", target, NULL, "If-Modified-Since: Mon, 02 Mar 2026 08:59:59 GMT"));
    assert_int_equal(w->status, 200);
    json_decref(rest_ask(w, "PATCH", target, "{\"Name\":\"y\"}",
                         "If-Unmodified-Since: Mon, 02 Mar 2026 08:59:59 GMT"));
    assert_int_equal(w->status, 412);
    json_decref(rest_ask(w, "PATCH", target, "{\"Name\":\"y\"}",
                         "If-Unmodified-Since: Mon, 02 Mar 2026 09:00:00 GMT"));
    assert_int_equal(w->status, 204);
    json_decref(rest_ask(w, "GET", target, NULL, "If-Modified-Since: yesterday"));
    assert_int_equal(w->status, 200);
}

static void get_updated_lists_the_changed_ids_of_its_window(void **state)
{
    struct rest_world *w = *state;
    char target[200];
    const char *id = create(w, ACCOUNTS, "{\"Name\":\"x\"}");
    w->now.org_ms += 120000;
    json_t *json = rest_get(w, ACCOUNTS "/updated/?start=2026-03-02T09:00:00%2B00:00&"
                                        "end=2026-03-02T12:00:00Z");
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "ids"), 0)), id);
    assert_string_equal(json_string_value(json_object_get(json, "latestDateCovered")),
                        "2026-03-02T09:02:00.000+0000");
    json_decref(json);
    json = rest_get(w, ACCOUNTS "/updated?start=2026-03-02T09:00:01Z&end=2026-03-02T09:01:00Z");
    assert_int_equal(json_array_size(json_object_get(json, "ids")), 0);
    json_decref(json);
    snprintf(target, sizeof target, ACCOUNTS "/%s", id);
    json_decref(rest_ask(w, "DELETE", target, NULL, NULL));
    json = rest_get(w, ACCOUNTS "/updated?start=2026-03-02T09:00:00Z&end=2026-03-02T09:10:00Z");
    assert_int_equal(json_array_size(json_object_get(json, "ids")), 0);
    json_decref(json);
    rest_expect_error(w, "GET",
                      ACCOUNTS "/updated?start=2026-01-02T09:00:00Z&end=2026-03-02T09:10:00Z", NULL,
                      400, "INVALID_REPLICATION_DATE");
}

/* Every length puts another byte of a letter where the message is cut. */
static void a_refusal_that_quotes_letters_of_several_bytes_is_whole_json(void **state)
{
    struct rest_world *w = *state;
    char target[200], body[400], letters[200];
    snprintf(target, sizeof target, OPPORTUNITIES "/%s",
             create(w, OPPORTUNITIES,
                    "{\"Name\":\"x\",\"StageName\":\"Prospecting\",\"CloseDate\":\"2026-01-01\"}"));
    for (size_t before = 0; before < 4; before++) {
        snprintf(letters, sizeof letters, "%.*s", (int)before, "xyz");
        for (int i = 0; i < 30; i++)
            strcat(letters, "\u20ac");
        snprintf(body, sizeof body, "{\"Amount\":\"%s\"}", letters);
        refused(w, "PATCH", target, body, "JSON_PARSER_ERROR", "\u20ac or request", "none");
        snprintf(body, sizeof body, "{\"%s\":1}", letters);
        refused(w, "PATCH", target, body, "INVALID_FIELD", "\u20ac' on sobject", "none");
        snprintf(body, sizeof body, "{\"AccountId\":\"%s\"}", letters);
        refused(w, "PATCH", target, body, "MALFORMED_ID", "\u20ac", "[\"AccountId\"]");
    }
}

/* Opportunities whose CallTime__c the condition holds for, of the three of the next test. */
static void expect_calls(struct rest_world *w, const char *condition, const char *names)
{
    char target[300], got[40] = "";
    size_t i;
    json_t *row;
    snprintf(target, sizeof target,
             DATA "/query?q=SELECT+Name+FROM+Opportunity+WHERE+CallTime__c+%s+ORDER+BY+Name",
             condition);
    json_t *json = rest_get(w, target);
    assert_int_equal(w->status, 200);
    json_array_foreach(json_object_get(json, "records"), i, row)
        strcat(got, json_string_value(json_object_get(row, "Name")));
    json_decref(json);
    if (strcmp(got, names) != 0)
        fail_msg("%s: %s, not %s", condition, got, names);
}

static void a_time_of_the_day_is_found_however_the_query_spells_it(void **state)
{
    struct rest_world *w = *state;
    static const char *const times[] = { "10:15:30", "10:15:30.5Z", "23:00:00Z" };
    char body[200];
    for (size_t i = 0; i < 3; i++) {
        snprintf(body, sizeof body,
                 "{\"Name\":\"%c\",\"StageName\":\"Prospecting\",\"CloseDate\":\"2026-01-01\","
                 "\"CallTime__c\":\"%s\"}",
                 (int)('a' + i), times[i]);
        create(w, OPPORTUNITIES, body);
    }
    expect_calls(w, "=+10:15:30Z", "a");
    expect_calls(w, "=+10:15:30.000Z", "a");
    expect_calls(w, "IN+(10:15:30.50Z,+23:00:00Z)", "bc");
    expect_calls(w, "=+12:15:30%2B02:00", "a");
    expect_calls(w, "=+01:00:00%2B02:00", "c"); /* the evening before */
    expect_calls(w, "<+10:15:30Z", "");
    expect_calls(w, "<=+10:15:30Z", "a");
    expect_calls(w, ">+10:15:30Z", "bc");
}

#define USER(name, nick)                                                                           \
    "{\"attributes\":{\"type\":\"User\"},\"Username\":\"" name "\",\"LastName\":\"" nick           \
    "\",\"Email\":\"a@b.example\",\"Alias\":\"ab\",\"TimeZoneSidKey\":\"GMT\","                    \
    "\"LocaleSidKey\":\"en_US\",\"LanguageLocaleKey\":\"en_US\"}"

static void a_unique_value_is_taken_once_within_one_call_too(void **state)
{
    struct rest_world *w = *state;
    json_t *json = rest_ask(w, "POST", DATA "/composite/sobjects",
                            "{\"records\":[" USER("a@b.example", "One") "," USER(
                                "A@b.example", "Two") "," USER("c@b.example", "Three") "]}",
                            NULL);
    static const int good[] = { true, false, true };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(json_is_true(json_object_get(json_array_get(json, i), "success")),
                         good[i]);
    const json_t *error = json_array_get(json_object_get(json_array_get(json, 1), "errors"), 0);
    assert_string_equal(json_string_value(json_object_get(error, "statusCode")), "DUPLICATE_VALUE");
    json_decref(json);
    json = rest_get(w, DATA "/query?q=SELECT+Id+FROM+User+WHERE+Username='a@b.example'");
    assert_int_equal(json_integer_value(json_object_get(json, "totalSize")), 1);
    json_decref(json);
}

static void deletes_that_take_too_much_along_are_several_transactions(void **state)
{
    struct rest_world *w = *state;
    static const int children[] = { 5000, 5000, 10000, 0 };
    static const char *const codes[] = { "", "", "DELETE_FAILED", "" };
    char account[4][TM_ID_BYTES], id[TM_ID_BYTES], target[200];
    assert_int_equal(tm_org_begin(w->f.org, NULL), TM_OK);
    for (size_t i = 0; i < 4; i++) {
        org_make_account(w->f.org, account[i], "a", ORG_ORIGIN_MS + 1000);
        for (int k = 0; k < children[i]; k++)
            org_make_opportunity(w->f.org, id, "o", account[i], ORG_ORIGIN_MS + 1000);
    }
    assert_int_equal(tm_org_end(w->f.org, NULL), TM_OK);
    snprintf(target, sizeof target, DATA "/composite/sobjects?ids=%s,%s,%s,%s", account[0],
             account[1], account[2], account[3]);
    json_t *json = rest_ask(w, "DELETE", target, NULL, NULL);
    for (size_t i = 0; i < 4; i++) {
        const json_t *one = json_array_get(json, i),
                     *error = json_array_get(json_object_get(one, "errors"), 0);
        const char *code = json_string_value(json_object_get(error, "statusCode"));
        assert_string_equal(code != NULL ? code : "", codes[i]);
        assert_int_equal(json_is_true(json_object_get(one, "success")), *codes[i] == '\0');
    }
    json_decref(json);
    json = rest_get(w, DATA "/query?q=SELECT+count()+FROM+Opportunity");
    assert_int_equal(json_integer_value(json_object_get(json, "totalSize")), 10000);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rest_world_open, rest_world_close)
        T(every_write_is_told_as_a_change_event_by_its_user_and_client),
        T(deleting_an_account_takes_its_opportunities_along_in_one_transaction),
        T(a_bad_body_is_refused_with_its_place),
        T(a_field_that_cannot_be_written_is_named),
        T(references_must_point_to_a_live_record_of_the_right_object),
        T(picklists_restricted_by_their_describe_take_listed_values_only),
        T(values_come_back_as_their_type_writes_them),
        T(an_external_id_finds_changes_creates_and_deletes),
        T(a_unique_field_takes_a_value_once),
        T(conditional_requests_look_at_the_last_modification),
        T(get_updated_lists_the_changed_ids_of_its_window),
        T(a_refusal_that_quotes_letters_of_several_bytes_is_whole_json),
        T(a_time_of_the_day_is_found_however_the_query_spells_it),
        T(a_unique_value_is_taken_once_within_one_call_too),
        T(deletes_that_take_too_much_along_are_several_transactions),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
