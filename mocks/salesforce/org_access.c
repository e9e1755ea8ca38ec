/* org_access: what the integration user may see of the org's fields. */
#include "mocks/salesforce/org_impl.h"

enum tm_code org_access_shown(struct tm_describe **out, const struct tm_describe *d,
                              struct tm_err *err)
{
    bool any = false;
    for (size_t i = 0; i < d->fields_count; i++)
        any = any || d->fields[i].hidden;
    if (!any)
        return TM_OK;
    json_t *json = json_deep_copy(d->json);
    if (json == NULL)
        return tm_fail(err, TM_E_NOMEM, "describe of %s", d->object);
    json_t *fields = json_object_get(json, "fields");
    for (size_t i = d->fields_count; i > 0; i--)
        if (d->fields[i - 1].hidden)
            json_array_remove(fields, i - 1);
    enum tm_code rc = tm_describe_parse(out, json, err);
    json_decref(json);
    return rc;
}

enum tm_code tm_org_field_hide(struct tm_org *org, const char *object, const char *field,
                               bool hidden, struct tm_err *err)
{
    struct org_object *o = org_find(org, object);
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    const struct tm_field *f = tm_describe_field(o->describe, field);
    if (f == NULL)
        return org_refuse(org, "INVALID_FIELD", field, err, "No such column '%s' on entity '%s'",
                          field, o->describe->object);
    if (!f->nillable || f->kind == TM_FIELD_COMPOUND || !tm_field_in_events(f))
        return org_refuse(org, "INVALID_FIELD", field, err,
                          "%s.%s: required, compound, computed and system fields are never hidden",
                          o->describe->object, f->name);
    json_t *describe = json_deep_copy(o->describe->json);
    if (describe == NULL)
        return tm_fail(err, TM_E_NOMEM, "field %s", field);
    json_t *at =
        json_array_get(json_object_get(describe, "fields"), (size_t)(f - o->describe->fields));
    enum tm_code rc = TM_OK;
    if (hidden && json_object_set_new(at, "hidden", json_true()) != 0)
        rc = tm_fail(err, TM_E_NOMEM, "field %s", field);
    else if (!hidden)
        json_object_del(at, "hidden");
    if (rc == TM_OK)
        rc = org_schema_replace(org, o, describe, err);
    json_decref(describe);
    return rc;
}
