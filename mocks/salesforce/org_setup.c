/* org_setup: objects that every Salesforce org has whatever its data: PushTopic and
 * StreamingChannel, which define streaming channels. Fields: Object Reference, PushTopic and
 * StreamingChannel (read 2026-11). */
#include "mocks/salesforce/org_impl.h"
#include <string.h>

struct setup_field {
    const char *name, *type;
    int length;
    const char *preset;  /* defaultValue: "true", a text; NULL = none */
    bool required, kept; /* kept by the org itself */
};
static const struct setup_field setup_system[] = {
    { "Id", "id", 18, NULL, true, true },
    { "IsDeleted", "boolean", 0, NULL, true, true },
    { "CreatedDate", "datetime", 0, NULL, true, true },
    { "CreatedById", "reference", 18, NULL, true, true },
    { "LastModifiedDate", "datetime", 0, NULL, true, true },
    { "LastModifiedById", "reference", 18, NULL, true, true },
    { "SystemModstamp", "datetime", 0, NULL, true, true },
};
static const struct setup_field setup_push_topic[] = {
    { "Name", "string", 25, NULL, true, false },
    { "Query", "string", 1300, NULL, true, false },
    { "ApiVersion", "double", 0, NULL, true, false },
    { "IsActive", "boolean", 0, "true", true, false },
    { "NotifyForFields", "picklist", 40, "Referenced", true, false },
    { "NotifyForOperations", "picklist", 40, "All", true, true },
    { "Description", "string", 400, NULL, false, false },
    { "NotifyForOperationCreate", "boolean", 0, "true", true, false },
    { "NotifyForOperationUpdate", "boolean", 0, "true", true, false },
    { "NotifyForOperationDelete", "boolean", 0, "true", true, false },
    { "NotifyForOperationUndelete", "boolean", 0, "true", true, false },
};
static const struct setup_field setup_streaming_channel[] = {
    { "Name", "string", 80, NULL, true, false },
    { "Description", "string", 255, NULL, false, false },
    { "IsDynamic", "boolean", 0, NULL, true, true },
};
#define COUNT(list) sizeof(list) / sizeof *(list)
static const struct setup_object {
    const char *name, *label, *prefix;
    const struct setup_field *fields;
    size_t fields_count;
} setup_objects[] = {
    { "PushTopic", "Push Topic", "0IF", setup_push_topic, COUNT(setup_push_topic) },
    { "StreamingChannel", "Streaming Channel", "0M6", setup_streaming_channel,
      COUNT(setup_streaming_channel) },
};

static void setup_add(json_t *fields, const struct setup_field *f)
{
    json_t *field = json_pack("{s:s,s:s,s:i,s:b,s:b,s:b}", "name", f->name, "type", f->type,
                              "length", f->length, "nillable", !f->required, "createable", !f->kept,
                              "updateable", !f->kept);
    if (strcmp(f->type, "boolean") == 0)
        json_object_set_new(field, "defaultValue", json_boolean(f->preset != NULL));
    else if (f->preset != NULL)
        json_object_set_new(field, "defaultValue", json_string(f->preset));
    if (strcmp(f->type, "double") == 0) {
        json_object_set_new(field, "precision", json_integer(18));
        json_object_set_new(field, "scale", json_integer(1));
    }
    if (strcmp(f->type, "reference") == 0)
        json_object_set_new(field, "referenceTo", json_pack("[s]", "User"));
    if (f->preset != NULL || strcmp(f->type, "boolean") == 0)
        json_object_set_new(field, "defaultedOnCreate", json_true());
    org_schema_fill(field);
    json_array_append_new(fields, field);
}

json_t *org_setup_describe(size_t index)
{
    if (index >= COUNT(setup_objects))
        return NULL;
    const struct setup_object *o = &setup_objects[index];
    json_t *fields = json_array();
    for (size_t i = 0; i < COUNT(setup_system); i++)
        setup_add(fields, &setup_system[i]);
    for (size_t i = 0; i < o->fields_count; i++)
        setup_add(fields, &o->fields[i]);
    return json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:o,s:[]}", "name", o->name, "label", o->label,
                     "keyPrefix", o->prefix, "triggerable", 0, "replicateable", 0, "mergeable", 0,
                     "fields", fields, "childRelationships");
}
