#include "base/describe.h"
#include "base/buf.h"
#include "base/config.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DESCRIBE_FIELDS_MAX 2000 /* Salesforce allows 800 custom fields an object */

struct describe_entry {
    const char *name;
    size_t index;
};
struct describe_box {
    struct tm_describe d; /* first member: what callers see */
    char **owned;
    size_t owned_count;                             /* composed names the describe does not hold */
    struct describe_entry *by_name, *by_event_name; /* fields_count each, sorted, case ignored */
};

static const struct {
    const char *type;
    enum tm_field_kind kind;
} describe_types[] = {
    { "string", TM_FIELD_TEXT },
    { "picklist", TM_FIELD_TEXT },
    { "multipicklist", TM_FIELD_TEXT },
    { "textarea", TM_FIELD_TEXT },
    { "email", TM_FIELD_TEXT },
    { "phone", TM_FIELD_TEXT },
    { "url", TM_FIELD_TEXT },
    { "combobox", TM_FIELD_TEXT },
    { "encryptedstring", TM_FIELD_TEXT },
    { "base64", TM_FIELD_TEXT },
    { "anyType", TM_FIELD_TEXT },
    { "complexvalue", TM_FIELD_TEXT },
    { "masterrecord", TM_FIELD_TEXT },
    { "datacategorygroupreference", TM_FIELD_TEXT },
    { "calculated", TM_FIELD_TEXT },
    { "json", TM_FIELD_TEXT },
    { "byte", TM_FIELD_TEXT },
    { "id", TM_FIELD_ID },
    { "reference", TM_FIELD_ID },
    { "boolean", TM_FIELD_BOOLEAN },
    { "int", TM_FIELD_INT },
    { "long", TM_FIELD_INT },
    { "double", TM_FIELD_NUMBER },
    { "currency", TM_FIELD_NUMBER },
    { "percent", TM_FIELD_NUMBER },
    { "date", TM_FIELD_DATE },
    { "datetime", TM_FIELD_DATETIME },
    { "time", TM_FIELD_TIME },
    { "address", TM_FIELD_COMPOUND },
    { "location", TM_FIELD_COMPOUND },
};

static bool describe_kind(enum tm_field_kind *out, const char *type)
{
    for (size_t i = 0; i < sizeof describe_types / sizeof describe_types[0]; i++)
        if (strcmp(describe_types[i].type, type) == 0) {
            *out = describe_types[i].kind;
            return true;
        }
    return false;
}

static int describe_int(const json_t *f, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(f, key));
    return n < 0 ? 0 : n > 1 << 30 ? 1 << 30 : (int)n;
}

static bool describe_bool(const json_t *f, const char *key, bool preset)
{
    const json_t *v = json_object_get(f, key);
    return json_is_boolean(v) ? json_is_true(v) : preset;
}

static enum tm_code describe_field(struct tm_field *out, const char *object, size_t index,
                                   const json_t *f, struct tm_err *err)
{
    const char *name = json_string_value(json_object_get(f, "name"));
    const char *type = json_string_value(json_object_get(f, "type"));
    if (name == NULL || *name == '\0')
        return tm_fail(err, TM_E_PROTO, "describe of %s: field %zu has no name", object, index);
    if (type == NULL)
        return tm_fail(err, TM_E_PROTO, "describe of %s: field %s has no type", object, name);
    const char *compound = json_string_value(json_object_get(f, "compoundFieldName"));
    *out = (struct tm_field){
        .name = name,
        .type = type,
        .label = json_string_value(json_object_get(f, "label")),
        .length = describe_int(f, "length"),
        .precision = describe_int(f, "precision"),
        .scale = describe_int(f, "scale"),
        .nillable = describe_bool(f, "nillable", true),
        .custom = describe_bool(f, "custom", false),
        .calculated = describe_bool(f, "calculated", false),
        .createable = describe_bool(f, "createable", true),
        .updateable = describe_bool(f, "updateable", true),
        .hidden = describe_bool(f, "hidden", false),
        .compound = compound != NULL && strcasecmp(compound, name) != 0 ? compound : NULL,
        .event_name = name,
        .reference_to = json_string_value(json_array_get(json_object_get(f, "referenceTo"), 0)),
        .json = f,
    };
    if (out->label == NULL)
        out->label = name;
    if (!describe_kind(&out->kind, type))
        return tm_fail(err, TM_E_PROTO, "describe of %s: field %s has the unknown type \"%.40s\"",
                       object, name, type);
    return TM_OK;
}

/* What is left of a part's column name inside its compound: BillingStreet of BillingAddress ->
 * Street; Site__Latitude__s of Site__c -> Latitude; LastName of Name -> LastName. */
static void describe_part(const struct tm_field *f, const char **out_from, size_t *out_bytes)
{
    size_t n = strlen(f->name), c = strlen(f->compound), skip = 0, cut = 0;
    if (c > 3 && strcmp(f->compound + c - 3, "__c") == 0) {
        if (strncmp(f->name, f->compound, c - 1) == 0)
            skip = c - 1;
        if (n > skip + 3 && strcmp(f->name + n - 3, "__s") == 0)
            cut = 3;
    } else if (c >= 7 && strcmp(f->compound + c - 7, "Address") == 0 &&
               strncmp(f->name, f->compound, c - 7) == 0) {
        skip = c - 7;
    }
    if (skip + cut >= n)
        skip = cut = 0;
    *out_from = f->name + skip;
    *out_bytes = n - skip - cut;
}

static const char *describe_keep(struct describe_box *box, const struct tm_buf *text)
{
    char *copy = text->failed == TM_OK ? strdup(tm_buf_text(text)) : NULL;
    if (copy != NULL)
        box->owned[box->owned_count++] = copy;
    return copy;
}

static enum tm_code describe_compounds(struct describe_box *box, struct tm_err *err)
{
    struct tm_describe *d = &box->d;
    enum tm_code rc = TM_OK;
    struct tm_buf text;
    tm_buf_init(&text, 1024);
    for (size_t i = 0; i < d->fields_count && rc == TM_OK; i++) {
        struct tm_field *f = &d->fields[i];
        const char *from;
        size_t bytes, owner = 0;
        if (f->compound == NULL)
            continue;
        while (owner < d->fields_count && strcasecmp(d->fields[owner].name, f->compound) != 0)
            owner++;
        if (owner == d->fields_count) {
            rc = tm_fail(err, TM_E_PROTO,
                         "describe of %s: field %s is part of %s, which is not there", d->object,
                         f->name, f->compound);
            break;
        }
        d->fields[owner].kind = TM_FIELD_COMPOUND; /* Name of a person has type "string" */
        f->compound = d->fields[owner].name;
        describe_part(f, &from, &bytes);
        tm_buf_reset(&text);
        tm_buf_add(&text, from, bytes);
        f->part = describe_keep(box, &text);
        tm_buf_reset(&text);
        tm_buf_addf(&text, "%s.%.*s", f->compound, (int)bytes, from);
        f->event_name = describe_keep(box, &text);
        if (f->part == NULL || f->event_name == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "describe of %s", d->object);
    }
    tm_buf_free(&text);
    return rc;
}

static int describe_compare(const void *a, const void *b)
{
    return strcasecmp(((const struct describe_entry *)a)->name,
                      ((const struct describe_entry *)b)->name);
}

static enum tm_code describe_index(struct describe_box *box, struct tm_err *err)
{
    struct tm_describe *d = &box->d;
    for (size_t i = 0; i < d->fields_count; i++) {
        box->by_name[i] = (struct describe_entry){ d->fields[i].name, i };
        box->by_event_name[i] = (struct describe_entry){ d->fields[i].event_name, i };
    }
    qsort(box->by_name, d->fields_count, sizeof *box->by_name, describe_compare);
    qsort(box->by_event_name, d->fields_count, sizeof *box->by_event_name, describe_compare);
    for (size_t i = 1; i < d->fields_count; i++)
        if (describe_compare(&box->by_name[i - 1], &box->by_name[i]) == 0)
            return tm_fail(err, TM_E_PROTO, "describe of %s: field %s stands twice", d->object,
                           box->by_name[i].name);
    return TM_OK;
}

static enum tm_code describe_fill(struct describe_box *box, const json_t *fields,
                                  struct tm_err *err)
{
    struct tm_describe *d = &box->d;
    size_t count = json_array_size(fields), i;
    json_t *f;
    d->fields = calloc(count, sizeof *d->fields);
    box->owned = calloc(2 * count, sizeof *box->owned);
    box->by_name = calloc(count, sizeof *box->by_name);
    box->by_event_name = calloc(count, sizeof *box->by_event_name);
    if (d->fields == NULL || box->owned == NULL || box->by_name == NULL ||
        box->by_event_name == NULL)
        return tm_fail(err, TM_E_NOMEM, "describe of %s: %zu fields", d->object, count);
    json_array_foreach(fields, i, f)
    {
        enum tm_code rc = describe_field(&d->fields[i], d->object, i, f, err);
        if (rc != TM_OK)
            return rc;
        d->fields_count++;
    }
    enum tm_code rc = describe_compounds(box, err);
    return rc != TM_OK ? rc : describe_index(box, err);
}

enum tm_code tm_describe_parse(struct tm_describe **out, json_t *json, struct tm_err *err)
{
    const char *object = json_string_value(json_object_get(json, "name"));
    const json_t *fields = json_object_get(json, "fields");
    if (object == NULL || *object == '\0')
        return tm_fail(err, TM_E_PROTO, "a describe without the object's \"name\"");
    if (!json_is_array(fields) || json_array_size(fields) == 0)
        return tm_fail(err, TM_E_PROTO,
                       "describe of %s: \"fields\" is not a list with fields in it", object);
    if (json_array_size(fields) > DESCRIBE_FIELDS_MAX)
        return tm_fail(err, TM_E_LIMIT, "describe of %s: more than %d fields", object,
                       DESCRIBE_FIELDS_MAX);
    struct describe_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return tm_fail(err, TM_E_NOMEM, "describe of %s", object);
    const char *label = json_string_value(json_object_get(json, "label"));
    box->d.object = object;
    box->d.key_prefix = json_string_value(json_object_get(json, "keyPrefix"));
    box->d.label = label != NULL ? label : object;
    box->d.json = json_incref(json);
    enum tm_code rc = describe_fill(box, fields, err);
    if (rc == TM_OK)
        *out = &box->d;
    else
        tm_describe_close(&box->d);
    return rc;
}

enum tm_code tm_describe_load(struct tm_describe **out, const char *path, struct tm_err *err)
{
    json_t *json = NULL;
    enum tm_code rc = tm_json_load(&json, path, err);
    if (rc == TM_OK && (rc = tm_describe_parse(out, json, err)) != TM_OK && err != NULL)
        tm_at(err, "%s", path);
    json_decref(json);
    return rc;
}

void tm_describe_close(struct tm_describe *d)
{
    struct describe_box *box = (struct describe_box *)d;
    if (box == NULL)
        return;
    for (size_t i = 0; i < box->owned_count; i++)
        free(box->owned[i]);
    free(box->owned);
    free(box->by_name);
    free(box->by_event_name);
    free(d->fields);
    json_decref(d->json);
    free(box);
}

static const struct tm_field *describe_find(const struct tm_describe *d,
                                            const struct describe_entry *entries, const char *name)
{
    struct describe_entry want = { name, 0 };
    const struct describe_entry *e =
        bsearch(&want, entries, d->fields_count, sizeof *entries, describe_compare);
    return e != NULL ? &d->fields[e->index] : NULL;
}

const struct tm_field *tm_describe_field(const struct tm_describe *d, const char *name)
{
    return describe_find(d, ((const struct describe_box *)d)->by_name, name);
}

const struct tm_field *tm_describe_by_event_name(const struct tm_describe *d, const char *name)
{
    const struct tm_field *f =
        describe_find(d, ((const struct describe_box *)d)->by_event_name, name);
    /* convert.changed.fields=true: column names */
    return f != NULL ? f : tm_describe_field(d, name);
}

bool tm_field_in_events(const struct tm_field *f)
{
    return f->kind != TM_FIELD_COMPOUND && !f->calculated && strcasecmp(f->name, "Id") != 0 &&
           strcasecmp(f->name, "IsDeleted") != 0 && strcasecmp(f->name, "SystemModstamp") != 0;
}
