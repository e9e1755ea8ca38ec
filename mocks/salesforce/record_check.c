#include "mocks/salesforce/record_impl.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void tm_record_refuse(struct tm_record *r, const char *code, const char *about, const char *fmt,
                      ...)
{
    va_list ap;
    snprintf(r->code, sizeof r->code, "%s", code);
    snprintf(r->about, sizeof r->about, "%s", about);
    va_start(ap, fmt);
    vsnprintf(r->message, sizeof r->message, fmt, ap);
    va_end(ap);
    tm_text_cut(r->about);
    tm_text_cut(r->message);
}

void record_sets_free(struct record_sets *s)
{
    free(s->sets);
    free(s->texts);
    *s = (struct record_sets){ 0 };
}

/* ---- values ---- */

static const char *record_token(const json_t *json) /* as the parser of the real API names it */
{
    switch (json_typeof(json)) {
    case JSON_OBJECT: return "START_OBJECT";
    case JSON_ARRAY: return "START_ARRAY";
    case JSON_STRING: return "VALUE_STRING";
    case JSON_INTEGER: return "VALUE_NUMBER_INT";
    case JSON_REAL: return "VALUE_NUMBER_FLOAT";
    case JSON_TRUE: return "VALUE_TRUE";
    case JSON_FALSE: return "VALUE_FALSE";
    default: return "VALUE_NULL";
    }
}

static bool record_no_value(struct tm_record *r, const struct tm_field *f, const json_t *json)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *string = json_string_value(json);
    tm_record_refuse(r, "JSON_PARSER_ERROR", "",
                     "Cannot deserialize instance of %s from %s value %.80s or request may be "
                     "missing a required field",
                     f->type, record_token(json),
                     string != NULL ? string
                     : text         ? text
                                    : "");
    free(text);
    return false;
}

/* "12.50", "true": what a URL or a careless client spells as text. */
static bool record_of_text(const struct tm_field *f, const char *text, struct tm_org_value *out)
{
    char *end = NULL;
    if (f->kind == TM_FIELD_BOOLEAN) {
        *out = (struct tm_org_value){ .kind = TM_ORG_INT, .i = strcasecmp(text, "true") == 0 };
        return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0;
    }
    if (strspn(text, "0123456789+-.eE") != strlen(text) || *text == '\0')
        return false;
    errno = 0;
    if (f->kind == TM_FIELD_INT) {
        long long n = strtoll(text, &end, 10);
        *out = (struct tm_org_value){ .kind = TM_ORG_INT, .i = n };
    } else {
        double d = strtod(text, &end);
        *out = (struct tm_org_value){ .kind = TM_ORG_REAL, .d = d };
    }
    return *end == '\0' && errno == 0;
}

/* "10:15:30" and "10:15:30.5Z" -> 10:15:30.500Z */
static bool record_time(const char *text, char out[TM_TIME_BYTES])
{
    char whole[32];
    size_t bytes = strlen(text);
    if (bytes < 8 || bytes > 20)
        return false;
    snprintf(whole, sizeof whole, "%s%s", text, text[bytes - 1] == 'Z' ? "" : "Z");
    return tm_time_of_day(out, whole, NULL) == TM_OK;
}

bool record_value(struct tm_record *r, const struct tm_field *f, const json_t *json,
                  char text[TM_TIME_BYTES], struct tm_org_value *out)
{
    const char *string = json_string_value(json);
    bool textual = f->kind == TM_FIELD_TEXT || f->kind == TM_FIELD_ID || f->kind == TM_FIELD_DATE ||
                   f->kind == TM_FIELD_DATETIME || f->kind == TM_FIELD_TIME;
    *out = (struct tm_org_value){ .kind = TM_ORG_NULL };
    if (json_is_null(json) || (string != NULL && *string == '\0'))
        return true;
    if (textual ? string == NULL : json_is_object(json) || json_is_array(json))
        return record_no_value(r, f, json);
    if (!textual && string != NULL)
        return record_of_text(f, string, out) || record_no_value(r, f, json);
    if (f->kind == TM_FIELD_TIME) {
        *out = (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = text };
        return record_time(string, text) || record_no_value(r, f, json);
    }
    return tm_org_value_of_json(out, text, f, json, NULL) == TM_OK || record_no_value(r, f, json);
}

static bool record_number_fits(struct tm_record *r, const struct tm_field *f,
                               const struct tm_org_value *v)
{
    double d = v->kind == TM_ORG_INT ? (double)v->i : v->d;
    double most = strcmp(f->type, "int") == 0    ? 2147483648.0
                  : strcmp(f->type, "long") == 0 ? 9.2e18
                  : f->precision > 0             ? pow(10, f->precision - f->scale)
                                                 : 1e18;
    if (fabs(d) < most || (strcmp(f->type, "int") == 0 && d == -most))
        return true;
    tm_record_refuse(r, "NUMBER_OUTSIDE_VALID_RANGE", f->name,
                     "%s: value outside of valid range on numeric field: %.15G", f->label, d);
    return false;
}

static bool record_email_fits(const char *text)
{
    const char *at = strchr(text, '@'), *dot = at != NULL ? strrchr(at, '.') : NULL;
    return at != NULL && at != text && strchr(at + 1, '@') == NULL && dot != NULL && dot > at + 1 &&
           dot[1] != '\0' && strpbrk(text, " \t\r\n,;<>()") == NULL;
}

static bool record_listed(const struct tm_field *f, const char *value, size_t bytes)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(f->json, "picklistValues"), i, v)
    {
        const char *known = json_string_value(json_object_get(v, "value"));
        if (known != NULL && strlen(known) == bytes && strncasecmp(known, value, bytes) == 0)
            return true;
    }
    return false;
}

static bool record_picklist_fits(struct tm_record *r, const struct tm_field *f, const char *text)
{
    bool multi = strcmp(f->type, "multipicklist") == 0;
    if (!json_is_true(json_object_get(f->json, "restrictedPicklist")))
        return true;
    for (const char *part = text;; part++) {
        size_t bytes = multi ? strcspn(part, ";") : strlen(part);
        if (!record_listed(f, part, bytes)) {
            tm_record_refuse(r, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f->name,
                             "%s: bad value for restricted picklist field: %.*s", f->label,
                             (int)bytes, part);
            return false;
        }
        part += bytes;
        if (*part == '\0')
            return true;
    }
}

/* ---- what other records have to say ---- */

static enum tm_code record_reference_fits(struct tm_org *org, struct tm_record *r,
                                          const struct tm_field *f, const char *id,
                                          struct tm_err *err)
{
    const json_t *to = json_object_get(f->json, "referenceTo");
    const struct tm_describe *d = NULL;
    char id18[TM_ID_BYTES];
    size_t i, served = 0;
    json_t *name;
    enum tm_org_state state = TM_ORG_ABSENT;
    if (tm_id18(id18, id, NULL) != TM_OK) {
        tm_record_refuse(r, "MALFORMED_ID", f->name, "%s: id value of incorrect type: %.40s",
                         f->label, id);
        return TM_OK;
    }
    json_array_foreach(to, i, name)
    {
        const struct tm_describe *one = tm_org_describe(org, json_string_value(name));
        served += one != NULL;
        if (one != NULL && strncmp(one->key_prefix, id18, 3) == 0)
            d = one;
    }
    if (served == 0 || served < json_array_size(to)) /* records of that kind are not kept here */
        return TM_OK;
    if (d == NULL) {
        tm_record_refuse(r, "FIELD_INTEGRITY_EXCEPTION", f->name,
                         "%s: id value of incorrect type: %s", f->label, id18);
        return TM_OK;
    }
    enum tm_code rc = tm_org_record_state(org, d->object, id18, &state, err);
    if (rc == TM_OK && state == TM_ORG_ABSENT)
        tm_record_refuse(r, "INVALID_CROSS_REFERENCE_KEY", f->name, "invalid cross reference id");
    else if (rc == TM_OK && state == TM_ORG_IN_BIN)
        tm_record_refuse(r, "ENTITY_IS_DELETED", f->name, "entity is deleted");
    return rc;
}

static enum tm_code record_unique(struct tm_org *org, struct tm_record *r, const struct tm_field *f,
                                  const json_t *json, struct tm_err *err)
{
    json_t *ids = NULL;
    size_t i;
    json_t *id;
    if (!json_is_true(json_object_get(f->json, "unique")))
        return TM_OK;
    enum tm_code rc = tm_record_find(org, r->object, f->name, json, 2, &ids, err);
    json_array_foreach(ids, i, id) if (strcmp(json_string_value(id), r->id) != 0)
        tm_record_refuse(r, "DUPLICATE_VALUE", f->name,
                         "duplicate value found: %s duplicates value on record with id: %s",
                         f->name, json_string_value(id));
    json_decref(ids);
    return rc;
}

static const struct tm_org_value *record_set_of(const struct record_sets *s, const char *field)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->sets[i].field, field) == 0)
            return &s->sets[i].value;
    return NULL;
}

static bool record_same(const struct tm_field *f, const struct tm_org_value *a,
                        const struct tm_org_value *b)
{
    if (a->kind == TM_ORG_TEXT && b->kind == TM_ORG_TEXT && f->kind == TM_FIELD_TEXT &&
        !json_is_true(json_object_get(f->json, "caseSensitive")))
        return strcasecmp(a->text, b->text) == 0;
    return org_value_equal(a, b);
}

void record_unique_among(struct tm_org *org, struct tm_record *records,
                         const struct record_sets *sets, size_t at)
{
    struct tm_record *r = &records[at];
    const struct tm_describe *d = tm_org_describe(org, r->object);
    for (size_t k = 0; k < sets[at].count && r->code[0] == '\0'; k++) {
        const struct tm_org_set *set = &sets[at].sets[k];
        const struct tm_field *f = tm_describe_field(d, set->field);
        if (set->value.kind == TM_ORG_NULL || !json_is_true(json_object_get(f->json, "unique")))
            continue;
        for (size_t i = 0; i < at; i++) {
            const struct tm_record *other = &records[i];
            const struct tm_org_value *v = record_set_of(&sets[i], f->name);
            if (v == NULL || other->code[0] != '\0' || !record_same(f, v, &set->value) ||
                tm_org_describe(org, other->object) != d ||
                (r->id[0] != '\0' && strcmp(r->id, other->id) == 0))
                continue;
            tm_record_refuse(r, "DUPLICATE_VALUE", f->name,
                             "duplicate value found: %s duplicates value on record with id: %s",
                             f->name, other->id[0] != '\0' ? other->id : "<unknown>");
            break;
        }
    }
}

/* {"Owner": {"Username": "x"}}: the reference by an external id of what it points to. */
static enum tm_code record_by_other(struct tm_org *org, struct tm_record *r,
                                    const struct tm_field *f, const json_t *json,
                                    char text[TM_TIME_BYTES], struct tm_org_value *out,
                                    struct tm_err *err)
{
    struct tm_err why = { 0 };
    const char *key = NULL, *field = NULL;
    json_t *value, *wanted = NULL, *ids = NULL;
    json_object_foreach((json_t *)(uintptr_t)json, key, value) if (strcmp(key, "attributes") != 0)
    {
        field = key;
        wanted = value;
    }
    if (field == NULL || f->reference_to == NULL || json_object_size(json) > 2) {
        tm_record_refuse(r, "JSON_PARSER_ERROR", "",
                         "a related record is named by one external id: {\"Field__c\": \"…\"}");
        return TM_OK;
    }
    enum tm_code rc = tm_record_find(org, f->reference_to, field, wanted, 2, &ids, &why);
    const char *shown = json_string_value(wanted);
    if (rc == TM_E_ARG || (rc == TM_OK && json_array_size(ids) != 1)) {
        tm_record_refuse(r, json_array_size(ids) > 1 ? "DUPLICATE_EXTERNAL_ID" : "INVALID_FIELD",
                         "",
                         "Foreign key external ID: %.60s not found for field %.60s in entity %s",
                         shown != NULL ? shown : "(no text)", field, f->reference_to);
        rc = TM_OK;
    } else if (rc == TM_OK) {
        snprintf(text, TM_TIME_BYTES, "%s", json_string_value(json_array_get(ids, 0)));
        *out = (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = text };
    } else if (err != NULL)
        *err = why;
    json_decref(ids);
    return rc;
}

/* ---- fields ---- */

/* The reference field of a relationship: Owner -> OwnerId, Champion__r -> Champion__c. */
static const struct tm_field *record_relation(const struct tm_describe *d, const char *name)
{
    for (size_t i = 0; i < d->fields_count; i++) {
        const char *told =
            json_string_value(json_object_get(d->fields[i].json, "relationshipName"));
        if (told != NULL && strcasecmp(told, name) == 0)
            return &d->fields[i];
    }
    return NULL;
}

/* The field a key of the body means, if this user may write it. */
static const struct tm_field *record_field(struct tm_record *r, const struct tm_describe *d,
                                           const char *key, const json_t *json)
{
    const struct tm_field *f =
        json_is_object(json) ? record_relation(d, key) : tm_describe_field(d, key);
    if (strcasecmp(key, "Id") == 0) {
        tm_record_refuse(r, "INVALID_FIELD_FOR_INSERT_UPDATE", "Id",
                         r->kind == TM_ORG_CREATE
                             ? "cannot specify Id in an insert call"
                             : "The Id field should not be specified in the sobject data.");
        return NULL;
    }
    if (f == NULL) {
        tm_record_refuse(r, "INVALID_FIELD", "", "No such column '%.80s' on sobject of type %s",
                         key, d->object);
        return NULL;
    }
    if (f->kind == TM_FIELD_COMPOUND || f->calculated ||
        (r->kind == TM_ORG_CREATE ? !f->createable : !f->updateable)) {
        tm_record_refuse(r, "INVALID_FIELD_FOR_INSERT_UPDATE", f->name,
                         "Unable to create/update fields: %s. Please check the security settings "
                         "of this field and verify that it is read/write for your profile or "
                         "permission set.",
                         f->name);
        return NULL;
    }
    return f;
}

/* Everything a value can be refused for. */
static enum tm_code record_fits(struct tm_org *org, struct tm_record *r, const struct tm_field *f,
                                const json_t *json, const struct tm_org_value *v,
                                struct tm_err *err)
{
    struct org_object *o = org_find(org, r->object);
    struct tm_org_value checked;
    struct tm_err why = { 0 };
    if (v->kind == TM_ORG_NULL) {
        if (!f->nillable && f->kind != TM_FIELD_BOOLEAN)
            tm_record_refuse(r, "REQUIRED_FIELD_MISSING", f->name,
                             "Required fields are missing: [%s]", f->name);
        return TM_OK;
    }
    if (f->kind == TM_FIELD_ID)
        return record_reference_fits(org, r, f, v->text, err);
    if ((f->kind == TM_FIELD_NUMBER || f->kind == TM_FIELD_INT) && !record_number_fits(r, f, v))
        return TM_OK;
    if (strcmp(f->type, "email") == 0 && !record_email_fits(v->text)) {
        tm_record_refuse(r, "INVALID_EMAIL_ADDRESS", f->name, "%s: invalid email address: %.80s",
                         f->label, v->text);
        return TM_OK;
    }
    if (f->kind == TM_FIELD_TEXT && !record_picklist_fits(r, f, v->text))
        return TM_OK;
    tm_buf_reset(&org->arena);
    if (org_value_check(org, &checked, &o->columns[org_column_index(o, f->name)], v, &why) !=
        TM_OK) {
        tm_record_refuse(r, org->error_code, f->name, "%s", why.msg);
        return TM_OK;
    }
    return record_unique(org, r, f, json, err);
}

static void record_required(struct tm_record *r, const struct tm_describe *d,
                            const struct record_sets *s)
{
    char missing[sizeof r->about] = "";
    for (size_t i = 0; i < d->fields_count; i++) {
        const struct tm_field *f = &d->fields[i];
        bool given = f->nillable || !f->createable || f->kind == TM_FIELD_BOOLEAN ||
                     json_is_true(json_object_get(f->json, "defaultedOnCreate"));
        for (size_t k = 0; k < s->count && !given; k++)
            given = strcmp(s->sets[k].field, f->name) == 0;
        if (!given && strlen(missing) + strlen(f->name) + 3 < sizeof missing) {
            strcat(missing, *missing != '\0' ? ", " : "");
            strcat(missing, f->name);
        }
    }
    if (*missing == '\0')
        return;
    tm_record_refuse(r, "REQUIRED_FIELD_MISSING", "", "Required fields are missing: [%.250s]",
                     missing);
    char *to = r->about;
    for (const char *from = missing; *from != '\0'; from++)
        if (*from != ' ')
            *to++ = *from;
    *to = '\0';
}

enum tm_code record_check(struct tm_org *org, struct tm_record *r, struct record_sets *out,
                          struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(org, r->object);
    size_t count = json_object_size(r->fields);
    const char *key;
    json_t *json;
    enum tm_code rc = TM_OK;
    out->sets = calloc(count + 1, sizeof *out->sets);
    out->texts = calloc(count + 1, sizeof *out->texts);
    if (out->sets == NULL || out->texts == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu values", count);
    json_object_foreach((json_t *)(uintptr_t)r->fields, key, json)
    {
        struct tm_org_set *set = &out->sets[out->count];
        if (strcmp(key, "attributes") == 0)
            continue;
        const struct tm_field *f = record_field(r, d, key, json);
        if (f == NULL)
            return TM_OK;
        set->field = f->name;
        if (json_is_object(json))
            rc = record_by_other(org, r, f, json, out->texts[out->count], &set->value, err);
        else if (record_value(r, f, json, out->texts[out->count], &set->value))
            rc = record_fits(org, r, f, json, &set->value, err);
        if (rc != TM_OK || r->code[0] != '\0')
            return rc;
        out->count++;
    }
    if (r->kind == TM_ORG_CREATE)
        record_required(r, d, out);
    return TM_OK;
}
