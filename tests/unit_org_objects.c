/* What describe files make of an org: objects by name, a file more, types of fields. */
#include "tests/support_org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A describe with the system fields and one field of each type in `types`, called F0__c, F1__c, …
 */
static void write_object(const char *path, const char *name, const char *const *types)
{
    static const char *const system[][2] = {
        { "Id", "id" },
        { "IsDeleted", "boolean" },
        { "CreatedDate", "datetime" },
        { "CreatedById", "reference" },
        { "LastModifiedDate", "datetime" },
        { "LastModifiedById", "reference" },
        { "SystemModstamp", "datetime" },
    };
    json_t *fields = json_array();
    for (size_t i = 0; i < sizeof system / sizeof *system; i++)
        json_array_append_new(fields, json_pack("{s:s,s:s,s:b}", "name", system[i][0], "type",
                                                system[i][1], "nillable", 0));
    for (size_t i = 0; types[i] != NULL; i++)
        json_array_append_new(fields,
                              json_pack("{s:o,s:s,s:i,s:b,s:b,s:b}", "name",
                                        json_sprintf("F%d__c", (int)i), "type", types[i], "length",
                                        5000, "nillable", 1, "createable", 1, "updateable", 1));
    json_t *d = json_pack("{s:s,s:s,s:s,s:b,s:o}", "name", name, "label", "Buoy", "keyPrefix",
                          "a07", "custom", 1, "fields", fields);
    assert_int_equal(json_dump_file(d, path, 0), 0);
    json_decref(d);
}

static void a_describe_file_more_is_an_object_more_with_fields_of_any_type(void **state)
{
    static const char *const types[] = { "anyType",    "base64",       "byte",
                                         "calculated", "complexvalue", "datacategorygroupreference",
                                         "json",       "masterrecord", NULL };
    struct org_fixture *f = *state;
    char path[160], id[TM_ID_BYTES] = "";
    struct tm_org_settings s = { .path = ":memory:", .objects_dir = f->dir, .seed = 1 };
    struct tm_org_set sets[9] = { { NULL, org_null() } };
    struct tm_org *org = NULL;
    char names[8][8];
    snprintf(path, sizeof path, "%s/Buoy__c.json", f->dir);
    write_object(path, "Buoy__c", types);
    assert_int_equal(tm_org_open(&org, &s, NULL), TM_OK);
    for (size_t i = 0; types[i] != NULL; i++) {
        snprintf(names[i], sizeof names[i], "F%zu__c", i);
        sets[i] = (struct tm_org_set){ names[i], org_text(types[i]) };
        sets[i + 1] = (struct tm_org_set){ NULL, org_null() };
    }
    assert_int_equal(org_one(org, TM_ORG_CREATE, TM_ORG_NORMAL, "Buoy__c", id, sets, ORG_ORIGIN_MS),
                     TM_OK);
    assert_memory_equal(id, "a07", 3);
    json_t *event = org_last_event(org, "Buoy__c"), *payload = json_object_get(event, "payload");
    for (size_t i = 0; types[i] != NULL; i++)
        assert_string_equal(json_string_value(json_object_get(payload, names[i])), types[i]);
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(payload, "ChangeEventHeader"), "entityName")),
                        "Buoy__c");
    json_decref(event);
    tm_org_close(org);
    assert_int_equal(remove(path), 0);
}

/* Types as describe spells them: facts/salesforce-wire.md 3, what a schema-driven client knows. */
static void the_objects_have_a_field_of_every_type_there_is(void **state)
{
    static const char *const types[] = {
        "id",       "string",       "picklist",     "textarea",
        "phone",    "url",          "reference",    "multipicklist",
        "combobox", "email",        "complexvalue", "encryptedstring",
        "base64",   "masterrecord", "double",       "datacategorygroupreference",
        "currency", "percent",      "datetime",     "date",
        "boolean",  "int",          "long",         "time",
        "address",  "location",     "anyType",      "calculated",
        "byte",     "json",
    };
    static const char *const objects[] = { "Account", "Opportunity", "User" };
    struct org_fixture *f = *state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        bool found = false;
        for (size_t o = 0; o < 3; o++) {
            const struct tm_describe *d = tm_org_describe(f->org, objects[o]);
            for (size_t k = 0; k < d->fields_count; k++)
                found |= strcmp(d->fields[k].type, types[i]) == 0;
        }
        if (!found)
            fail_msg("no field of type %s", types[i]);
    }
}

static void unknown_objects_and_folders_are_named(void **state)
{
    struct org_fixture *f = *state;
    const char *names[] = { "Account", "Opportunty", NULL };
    struct tm_org_settings s = {
        .path = ":memory:", .objects_dir = "fixtures/objects", .seed = 1, .objects = names
    };
    struct tm_org *org = NULL;
    struct tm_err err = { 0 };
    assert_int_equal(tm_org_open(&org, &s, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "Opportunty"));
    memset(&err, 0, sizeof err);
    s.objects_dir = "fixtures/nowhere";
    assert_int_equal(tm_org_open(&org, &s, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "fixtures/nowhere"));
    assert_null(tm_org_describe(f->org, "Contact"));
    assert_string_equal(tm_org_describe(f->org, "opportunity")->object, "Opportunity");
    assert_string_equal(tm_org_describe_by_prefix(f->org, "006x")->object, "Opportunity");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_AN_ORG(a_describe_file_more_is_an_object_more_with_fields_of_any_type),
        ON_AN_ORG(the_objects_have_a_field_of_every_type_there_is),
        ON_AN_ORG(unknown_objects_and_folders_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
