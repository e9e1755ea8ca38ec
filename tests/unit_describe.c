/* describe: kinds, compounds and their parts, names as events spell them, and refusals. */
#include "base/describe.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* clang-format off */
#define F(name, type) "{\"name\":\"" name "\",\"type\":\"" type "\"}"
#define PART(name, type, of) \
    "{\"name\":\"" name "\",\"type\":\"" type "\",\"compoundFieldName\":\"" of "\"}"
static const char object[] =
    "{\"name\":\"Contact\",\"keyPrefix\":\"003\",\"label\":\"Contact\",\"fields\":["
    F("Id", "id") "," F("IsDeleted", "boolean") "," F("SystemModstamp", "datetime") ","
    PART("Name", "string", "Name") "," PART("LastName", "string", "Name") ","
    PART("FirstName", "string", "Name") ","
    F("MailingAddress", "address") "," PART("MailingStreet", "textarea", "MailingAddress") ","
    PART("MailingLatitude", "double", "MailingAddress") ","
    F("Address", "address") "," PART("Street", "textarea", "Address") ","
    F("Site__c", "location") "," PART("Site__Latitude__s", "double", "Site__c") ","
    "{\"name\":\"Amount__c\",\"type\":\"currency\",\"precision\":18,\"scale\":2,\"custom\":true,"
    "\"nillable\":true,\"length\":0},"
    "{\"name\":\"Total__c\",\"type\":\"double\",\"calculated\":true},"
    "{\"name\":\"AccountId\",\"type\":\"reference\",\"referenceTo\":[\"Account\"],"
    "\"nillable\":false,\"createable\":false},"
    F("Birthdate", "date") "," F("At", "time") "," F("Count", "int") "," F("Big", "long") ","
    F("Kind", "picklist") "]}";
/* clang-format on */

static struct tm_describe *parse(const char *text, enum tm_code want, const char *words)
{
    json_t *json = json_loads(text, 0, NULL);
    struct tm_describe *d = NULL;
    struct tm_err err = { .code = TM_OK };
    assert_non_null(json);
    assert_int_equal(tm_describe_parse(&d, json, &err), want);
    json_decref(json);
    if (words != NULL && strstr(err.msg, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    return d;
}

static void fields_come_in_describe_order_with_their_kinds(void **state)
{
    static const struct {
        const char *name;
        enum tm_field_kind kind;
    } want[] = {
        { "Id", TM_FIELD_ID },
        { "IsDeleted", TM_FIELD_BOOLEAN },
        { "SystemModstamp", TM_FIELD_DATETIME },
        { "Name", TM_FIELD_COMPOUND },
        { "LastName", TM_FIELD_TEXT },
        { "FirstName", TM_FIELD_TEXT },
        { "MailingAddress", TM_FIELD_COMPOUND },
        { "MailingStreet", TM_FIELD_TEXT },
        { "MailingLatitude", TM_FIELD_NUMBER },
        { "Address", TM_FIELD_COMPOUND },
        { "Street", TM_FIELD_TEXT },
        { "Site__c", TM_FIELD_COMPOUND },
        { "Site__Latitude__s", TM_FIELD_NUMBER },
        { "Amount__c", TM_FIELD_NUMBER },
        { "Total__c", TM_FIELD_NUMBER },
        { "AccountId", TM_FIELD_ID },
        { "Birthdate", TM_FIELD_DATE },
        { "At", TM_FIELD_TIME },
        { "Count", TM_FIELD_INT },
        { "Big", TM_FIELD_INT },
        { "Kind", TM_FIELD_TEXT },
    };
    (void)state;
    struct tm_describe *d = parse(object, TM_OK, NULL);
    assert_string_equal(d->object, "Contact");
    assert_string_equal(d->key_prefix, "003");
    assert_int_equal(d->fields_count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < d->fields_count; i++) {
        assert_string_equal(d->fields[i].name, want[i].name);
        assert_int_equal(d->fields[i].kind, want[i].kind);
    }
    tm_describe_close(d);
}

static void compound_parts_know_their_name_in_events(void **state)
{
    static const struct {
        const char *column, *part, *event_name;
    } want[] = {
        { "LastName", "LastName", "Name.LastName" },
        { "MailingStreet", "Street", "MailingAddress.Street" },
        { "Street", "Street", "Address.Street" },
        { "Site__Latitude__s", "Latitude", "Site__c.Latitude" },
    };
    (void)state;
    struct tm_describe *d = parse(object, TM_OK, NULL);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const struct tm_field *f = tm_describe_by_event_name(d, want[i].event_name);
        assert_non_null(f);
        assert_string_equal(f->name, want[i].column);
        assert_string_equal(f->part, want[i].part);
        assert_string_equal(f->event_name, want[i].event_name);
        assert_ptr_equal(tm_describe_by_event_name(d, want[i].column), f);
    }
    assert_null(tm_describe_field(d, "AccountId")->part);
    assert_null(tm_describe_by_event_name(d, "Name.Nickname"));
    tm_describe_close(d);
}

static void lookups_ignore_case_and_miss_cleanly(void **state)
{
    (void)state;
    struct tm_describe *d = parse(object, TM_OK, NULL);
    assert_string_equal(tm_describe_field(d, "accountID")->reference_to, "Account");
    assert_string_equal(tm_describe_by_event_name(d, "name.LASTNAME")->name, "LastName");
    assert_null(tm_describe_field(d, "Account"));
    assert_null(tm_describe_field(d, ""));
    assert_int_equal(tm_describe_field(d, "Amount__c")->scale, 2);
    assert_true(tm_describe_field(d, "Amount__c")->custom);
    assert_false(tm_describe_field(d, "AccountId")->nillable);
    assert_false(tm_describe_field(d, "AccountId")->createable);
    tm_describe_close(d);
}

static void events_carry_no_compound_formula_or_system_stamp(void **state)
{
    static const char *const out[] = { "Id",   "IsDeleted",      "SystemModstamp",
                                       "Name", "MailingAddress", "Total__c" };
    static const char *const in[] = { "LastName", "MailingStreet", "Amount__c", "AccountId",
                                      "Site__Latitude__s" };
    (void)state;
    struct tm_describe *d = parse(object, TM_OK, NULL);
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
        assert_false(tm_field_in_events(tm_describe_field(d, out[i])));
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
        assert_true(tm_field_in_events(tm_describe_field(d, in[i])));
    tm_describe_close(d);
}

static void name_of_an_account_is_a_plain_text_although_it_names_itself(void **state)
{
    (void)state;
    struct tm_describe *d = parse(
        "{\"name\":\"Account\",\"fields\":[" PART("Name", "string", "Name") "]}", TM_OK, NULL);
    assert_int_equal(d->fields[0].kind, TM_FIELD_TEXT);
    assert_null(d->fields[0].compound);
    assert_true(tm_field_in_events(&d->fields[0]));
    tm_describe_close(d);
}

static void wrong_describes_name_object_and_field(void **state)
{
    (void)state;
    parse("{\"fields\":[]}", TM_E_PROTO, "\"name\"");
    parse("{\"name\":\"Lead\"}", TM_E_PROTO, "describe of Lead: \"fields\"");
    parse("{\"name\":\"Lead\",\"fields\":[]}", TM_E_PROTO, "describe of Lead");
    parse("{\"name\":\"Lead\",\"fields\":[" F("Id", "id") ",{\"type\":\"id\"}]}", TM_E_PROTO,
          "field 1 has no name");
    parse("{\"name\":\"Lead\",\"fields\":[{\"name\":\"Id\"}]}", TM_E_PROTO, "field Id has no type");
    parse("{\"name\":\"Lead\",\"fields\":[" F("Id", "ident") "]}", TM_E_PROTO,
          "field Id has the unknown type \"ident\"");
    parse("{\"name\":\"Lead\",\"fields\":[" F("Id", "id") "," F("ID", "id") "]}", TM_E_PROTO,
          "stands twice");
    parse("{\"name\":\"Lead\",\"fields\":[" PART("City", "string", "Address") "]}", TM_E_PROTO,
          "part of Address");
    parse("[]", TM_E_PROTO, "name");
}

static void missing_file_is_named(void **state)
{
    struct tm_describe *d = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_describe_load(&d, "/nowhere/Lead.json", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "/nowhere/Lead.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_describe_order_with_their_kinds),
        cmocka_unit_test(compound_parts_know_their_name_in_events),
        cmocka_unit_test(lookups_ignore_case_and_miss_cleanly),
        cmocka_unit_test(events_carry_no_compound_formula_or_system_stamp),
        cmocka_unit_test(name_of_an_account_is_a_plain_text_although_it_names_itself),
        cmocka_unit_test(wrong_describes_name_object_and_field),
        cmocka_unit_test(missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
