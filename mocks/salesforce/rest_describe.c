#include "mocks/salesforce/rest_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REST_MASTER_TYPE "012000000000000AAA"

static json_t *rest_urls(const struct rest_call *c, const char *object)
{
    json_t *urls = json_object();
    json_object_set_new(urls, "sobject",
                        json_sprintf("/services/data/v%s/sobjects/%s", c->version, object));
    json_object_set_new(
        urls, "describe",
        json_sprintf("/services/data/v%s/sobjects/%s/describe", c->version, object));
    json_object_set_new(urls, "rowTemplate",
                        json_sprintf("/services/data/v%s/sobjects/%s/{ID}", c->version, object));
    return urls;
}

/* What the list of objects and the head of a describe say; what the describe file tells wins. */
static json_t *rest_basic(const struct rest_call *c, const struct tm_describe *d)
{
    static const char *const yes[] = { "createable",  "deletable",     "layoutable",   "mergeable",
                                       "queryable",   "replicateable", "retrieveable", "searchable",
                                       "triggerable", "undeletable",   "updateable" };
    static const char *const no[] = {
        "activateable", "custom",      "customSetting", "deepCloneable", "deprecatedAndHidden",
        "feedEnabled",  "hasSubtypes", "isInterface",   "isSubtype",     "mruEnabled"
    };
    static const char *const lists[] = { "fields", "childRelationships", "recordTypeInfos",
                                         "namedLayoutInfos", "actionOverrides" };
    json_t *info = json_object();
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        json_object_set_new(info, yes[i], json_true());
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        json_object_set_new(info, no[i], json_false());
    json_object_set_new(info, "labelPlural", json_sprintf("%ss", d->label));
    json_object_update(info, d->json);
    json_object_set_new(info, "name", json_string(d->object));
    json_object_set_new(info, "keyPrefix", json_string(d->key_prefix));
    json_object_set_new(info, "urls", rest_urls(c, d->object));
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        json_object_del(info, lists[i]);
    return info;
}

void rest_sobjects(struct rest_call *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tm_org_objects(c->rest->org); i++)
        json_array_append_new(
            list,
            rest_basic(c, tm_org_describe(c->rest->org, tm_org_object_name(c->rest->org, i))));
    tm_rest_json(
        c->out, 200,
        json_pack("{s:s,s:i,s:o}", "encoding", "UTF-8", "maxBatchSize", 200, "sobjects", list));
}

void rest_object_info(struct rest_call *c, const struct tm_describe *d)
{
    tm_rest_json(c->out, 200,
                 json_pack("{s:o,s:[]}", "objectDescribe", rest_basic(c, d), "recentItems"));
}

/* What a describe says of a field when its file does not: every key that typed clients map. */
static const char rest_field_preset[] =
    "{\"aggregatable\":true,\"aiPredictionField\":false,\"cascadeDelete\":false,"
    "\"controllerName\":null,\"defaultValueFormula\":null,\"dependentPicklist\":false,"
    "\"displayLocationInDecimal\":false,\"filteredLookupInfo\":null,"
    "\"formulaTreatNullNumberAsZero\":false,\"highScaleNumber\":false,\"mask\":null,"
    "\"maskType\":null,\"polymorphicForeignKey\":false,\"queryByDistance\":false,"
    "\"referenceTargetField\":null,\"relationshipOrder\":null,\"restrictedDelete\":false,"
    "\"searchPrefilterable\":false,\"writeRequiresMasterRead\":false}";

static json_t *rest_fields(const struct tm_describe *d)
{
    json_t *fields = json_array(), *preset = json_loads(rest_field_preset, 0, NULL), *f;
    size_t i;
    json_array_foreach(json_object_get(d->json, "fields"), i, f)
    {
        json_t *copy = json_copy(f);
        json_object_update_missing(copy, preset);
        json_array_append_new(fields, copy);
    }
    json_decref(preset);
    return fields;
}

/* An object with no record types of its own has the master one. */
static void rest_record_types(const struct rest_call *c, const struct tm_describe *d, json_t *list)
{
    json_t *layout = json_sprintf("/services/data/v%s/sobjects/%s/describe/layouts/%s", c->version,
                                  d->object, REST_MASTER_TYPE);
    if (json_array_size(list) == 0)
        json_array_append_new(list, json_pack("{s:b,s:b,s:b,s:s,s:b,s:s,s:s,s:{s:O}}", "active", 1,
                                              "available", 1, "defaultRecordTypeMapping", 1,
                                              "developerName", "Master", "master", 1, "name",
                                              "Master", "recordTypeId", REST_MASTER_TYPE, "urls",
                                              "layout", layout));
    json_decref(layout);
}

static json_t *rest_describe_made(const struct rest_call *c, const struct tm_describe *d)
{
    static const char *const lists[] = { "childRelationships", "recordTypeInfos",
                                         "namedLayoutInfos", "actionOverrides" };
    json_t *info = rest_basic(c, d);
    json_object_set_new(info, "fields", rest_fields(d));
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        json_t *told = json_object_get(d->json, lists[i]);
        json_object_set_new(info, lists[i], json_is_array(told) ? json_incref(told) : json_array());
    }
    json_t *types = json_copy(json_object_get(info, "recordTypeInfos"));
    rest_record_types(c, d, types);
    json_object_set_new(info, "recordTypeInfos", types);
    return info;
}

/* NULL: memory is short. */
static const char *rest_describe_text(const struct rest_call *c, const struct tm_describe *d)
{
    struct tm_rest *rest = c->rest;
    uint64_t schema = tm_org_schema_version(rest->org);
    for (size_t i = 0; i < TM_REST_TOLD_MAX; i++) {
        const struct tm_rest_told *t = &rest->told[i];
        if (t->text != NULL && t->schema == schema && strcmp(t->object, d->object) == 0 &&
            strcmp(t->version, c->version) == 0)
            return t->text;
    }
    struct tm_rest_told *t = &rest->told[rest->told_next++ % TM_REST_TOLD_MAX];
    json_t *info = rest_describe_made(c, d);
    free(t->text);
    t->text = json_dumps(info, JSON_COMPACT);
    t->schema = schema;
    snprintf(t->object, sizeof t->object, "%s", d->object);
    snprintf(t->version, sizeof t->version, "%s", c->version);
    json_decref(info);
    return t->text;
}

void rest_describe(struct rest_call *c, const struct tm_describe *d)
{
    const char *text = rest_describe_text(c, d);
    c->kind = "describe";
    if (text != NULL)
        tm_mock_answer(c->out, 200, "application/json;charset=UTF-8", text);
    else
        tm_rest_error(c->out, 500, "UNKNOWN_EXCEPTION", "out of memory");
}

void tm_rest_forget(struct tm_rest *rest)
{
    for (size_t i = 0; i < TM_REST_TOLD_MAX; i++)
        free(rest->told[i].text);
    memset(rest->told, 0, sizeof rest->told);
}
