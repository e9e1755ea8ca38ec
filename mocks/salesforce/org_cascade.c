/* org_cascade: what goes, and what comes back, with a record. */
#include "mocks/salesforce/org_impl.h"
#include <stdio.h>

static enum tm_code cascade_children(struct tm_org *org, const struct org_object *o,
                                     const struct org_object *child, const char *field,
                                     const char *id18, bool back, tm_org_child_row *out, void *data,
                                     struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    char sql[640];
    bool row = true;
    snprintf(sql, sizeof sql,
             back ? "SELECT \"Id\" FROM \"%s\" AS c WHERE \"%.80s\"=?1 AND \"IsDeleted\"=1 "
                    "AND (SELECT txn FROM history WHERE object=?2 AND id=c.\"Id\" ORDER BY version "
                    "DESC LIMIT 1)=(SELECT txn FROM history WHERE object=?3 AND id=?1 ORDER BY "
                    "version DESC LIMIT 1) ORDER BY _row"
                  : "SELECT \"Id\" FROM \"%s\" WHERE \"%.80s\"=?1 AND \"IsDeleted\"=0 ORDER BY "
                    "_row",
             child->cur, field);
    enum tm_code rc = tm_sql_prepare(&s, org->db, sql, err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, id18, -1, SQLITE_STATIC);
        if (back) {
            sqlite3_bind_text(s, 2, child->describe->object, -1, SQLITE_STATIC);
            sqlite3_bind_text(s, 3, o->describe->object, -1, SQLITE_STATIC);
        }
    }
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row)
        out(data, child->describe->object, (const char *)sqlite3_column_text(s, 0));
    tm_sql_finalize(s);
    return rc;
}

enum tm_code tm_org_cascade(struct tm_org *org, const char *object, const char *id18, bool back,
                            tm_org_child_row *row, void *data, struct tm_err *err)
{
    const struct org_object *o = org_find(org, object);
    enum tm_code rc = TM_OK;
    size_t i;
    json_t *relation;
    if (o == NULL)
        return org_refuse(org, "INVALID_TYPE", "", err, "sObject type '%s' is not supported",
                          object);
    json_array_foreach(json_object_get(o->describe->json, "childRelationships"), i, relation)
    {
        const json_t *name = json_object_get(relation, "childSObject");
        const struct org_object *child = org_find(org, json_string_value(name));
        const char *field = json_string_value(json_object_get(relation, "field"));
        if (rc == TM_OK && child != NULL && field != NULL &&
            json_is_true(json_object_get(relation, "cascadeDelete")) &&
            org_column_index(child, field) >= 0)
            rc = cascade_children(org, o, child, field, id18, back, row, data, err);
    }
    return rc;
}
