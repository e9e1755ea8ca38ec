#include "mocks/salesforce/pushtopic.h"
#include "mocks/salesforce/org_impl.h"
#include "mocks/salesforce/soql.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PUSHTOPIC_BODY_BYTES_MAX (1u << 20)

enum pushtopic_fields { PUSHTOPIC_ALL, PUSHTOPIC_REFERENCED, PUSHTOPIC_SELECT, PUSHTOPIC_WHERE };
static const char *const pushtopic_fields[] = { "All", "Referenced", "Select", "Where" };

struct pushtopic {
    char name[TM_PUSHTOPIC_NAME_BYTES_MAX * 4 + 1];
    struct tm_soql *query;
    enum pushtopic_fields fields;
    bool told[TM_ORG_HARD_DELETE + 1]; /* by kind of change */
    sqlite3_stmt *row;                 /* the selected fields of one record */
    uint64_t schema_version;           /* `row` was prepared at */
};
struct tm_pushtopics {
    struct tm_org *org;
    struct tm_stream *stream;
    struct pushtopic list[TM_PUSHTOPICS_MAX];
    size_t count;
    bool stale;       /* the records have changed since */
    int64_t read_pos; /* history position it was read at: below it the org was rolled back */
    struct tm_buf body;
};

/* ---- the records ---- */

static void pushtopic_free(struct pushtopic *t)
{
    tm_soql_close(t->query);
    tm_sql_finalize(t->row);
    *t = (struct pushtopic){ 0 };
}

static const char *pushtopic_text(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text != NULL ? text : "";
}

#define PUSHTOPIC_COLUMNS                                                                          \
    "\"Name\",\"Query\",\"NotifyForFields\",\"NotifyForOperationCreate\","                         \
    "\"NotifyForOperationUpdate\",\"NotifyForOperationDelete\",\"NotifyForOperationUndelete\""

/* A row of PUSHTOPIC_COLUMNS. TM_E_ARG fills *error: the query is not one. */
static enum tm_code pushtopic_of_row(struct pushtopic *out, sqlite3_stmt *s,
                                     struct tm_soql_error *error, struct tm_err *err)
{
    *out = (struct pushtopic){ .fields = PUSHTOPIC_REFERENCED };
    snprintf(out->name, sizeof out->name, "%s", pushtopic_text(s, 0));
    for (size_t i = 0; i < sizeof pushtopic_fields / sizeof *pushtopic_fields; i++)
        if (strcasecmp(pushtopic_fields[i], pushtopic_text(s, 2)) == 0)
            out->fields = (enum pushtopic_fields)i;
    out->told[TM_ORG_CREATE] = sqlite3_column_int(s, 3) != 0;
    out->told[TM_ORG_UPDATE] = sqlite3_column_int(s, 4) != 0;
    out->told[TM_ORG_DELETE] = out->told[TM_ORG_HARD_DELETE] = sqlite3_column_int(s, 5) != 0;
    out->told[TM_ORG_UNDELETE] = sqlite3_column_int(s, 6) != 0;
    return tm_soql_parse(&out->query, pushtopic_text(s, 1), error, err);
}

/* The active ones, as the records say. One whose query is no longer one is passed over. */
static enum tm_code pushtopic_read(struct tm_pushtopics *p, struct tm_err *err)
{
    struct tm_soql_error error;
    struct tm_err ignored;
    sqlite3_stmt *s = NULL;
    bool row = true;
    while (p->count > 0)
        pushtopic_free(&p->list[--p->count]);
    if (tm_org_describe(p->org, "PushTopic") == NULL)
        return TM_OK;
    enum tm_code rc = tm_sql_prepare(&s, tm_org_db(p->org),
                                     "SELECT " PUSHTOPIC_COLUMNS " FROM \"cur_PushTopic\" WHERE "
                                     "\"IsDeleted\"=0 AND \"IsActive\"=1 ORDER BY \"Id\"",
                                     err);
    while (rc == TM_OK && p->count < TM_PUSHTOPICS_MAX &&
           (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        tm_err_clear(&ignored);
        if (pushtopic_of_row(&p->list[p->count], s, &error, &ignored) == TM_OK)
            p->count++;
    }
    tm_sql_finalize(s);
    if (rc == TM_OK) {
        p->stale = false;
        p->read_pos = tm_org_pos_last(p->org);
    }
    return rc;
}

static enum tm_code pushtopic_fresh(struct tm_pushtopics *p, struct tm_err *err)
{
    return p->stale || tm_org_pos_last(p->org) < p->read_pos ? pushtopic_read(p, err) : TM_OK;
}

static struct pushtopic *pushtopic_find(struct tm_pushtopics *p, const char *name)
{
    if (pushtopic_fresh(p, NULL) != TM_OK)
        return NULL;
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->list[i].name, name) == 0)
            return &p->list[i];
    return NULL;
}

bool tm_pushtopics_has(struct tm_pushtopics *p, const char *name)
{
    return pushtopic_find(p, name) != NULL;
}

/* ---- one that is written ---- */

static enum tm_code pushtopic_refuse(struct tm_pushtopics *p, struct tm_err *err, const char *code,
                                     const char *message)
{
    tm_err_clear(err);
    return tm_org_refuse(p->org, code, "Query", err, "%.150s", message);
}

/* A selected or compared field must be the object's own, and a single value. */
static enum tm_code pushtopic_field(struct tm_pushtopics *p, const struct tm_soql *q,
                                    const struct tm_soql_path *path, struct tm_err *err)
{
    char message[200];
    const struct tm_describe *d = tm_org_describe(p->org, q->object);
    const struct tm_field *f = tm_describe_field(d, path->field);
    bool own = path->levels == 0 ||
               (path->levels == 1 &&
                (strcasecmp(path->relations[0], q->object) == 0 ||
                 (q->alias != NULL && strcasecmp(path->relations[0], q->alias) == 0)));
    if (own && path->function == TM_SOQL_PLAIN && f != NULL &&
        (f->kind != TM_FIELD_COMPOUND || strcasecmp(f->name, "Name") == 0))
        return TM_OK;
    snprintf(message, sizeof message, "%s%s%s of %s cannot be used in a PushTopic query",
             own ? "" : path->relations[0], own ? "" : ".", path->field, d->object);
    return pushtopic_refuse(p, err, "INVALID_FIELD", message);
}

static enum tm_code pushtopic_check_query(struct tm_pushtopics *p, const struct tm_soql *q,
                                          struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(p->org, q->object);
    struct tm_soql_plan plan = { 0 };
    struct tm_soql_error error = { "", "" };
    bool id = false;
    char table[128];
    enum tm_code rc = TM_OK;
    if (d == NULL)
        return pushtopic_refuse(p, err, "INVALID_TYPE", "the query's object is not there");
    if (q->keys_count > 0 || q->limit >= 0 || q->offset > 0 || q->mine || q->semijoins > 0 ||
        tm_soql_grouped(q))
        return pushtopic_refuse(p, err, "MALFORMED_QUERY",
                                "a PushTopic query has SELECT, FROM and WHERE alone, and no query "
                                "in it");
    for (size_t i = 0; i < q->items_count && rc == TM_OK; i++) {
        if (q->items[i].kind != TM_SOQL_PATH)
            rc = pushtopic_refuse(p, err, "MALFORMED_QUERY",
                                  "a PushTopic query selects fields by their names");
        else
            rc = pushtopic_field(p, q, &q->items[i].path, err);
        id = id || (rc == TM_OK && strcasecmp(q->items[i].path.field, "Id") == 0);
    }
    for (size_t i = 0; i < q->nodes_count && rc == TM_OK; i++)
        if (q->nodes[i].op < TM_SOQL_AND)
            rc = pushtopic_field(p, q, &q->nodes[i].path, err);
    if (rc == TM_OK && !id)
        rc = pushtopic_refuse(p, err, "INVALID_FIELD", "a PushTopic query must select Id");
    if (rc != TM_OK)
        return rc;
    snprintf(table, sizeof table, "cur_%.100s", d->object);
    rc = tm_soql_plan(&plan, p->org, q, true, table, tm_org_ms_last(p->org), &error, err);
    tm_soql_plan_free(&plan);
    return rc == TM_E_ARG ? pushtopic_refuse(p, err, error.code, error.message) : rc;
}

static enum tm_code pushtopic_check_row(struct tm_pushtopics *p, sqlite3_stmt *s,
                                        struct tm_err *err)
{
    struct pushtopic t;
    struct tm_soql_error error = { "", "" };
    bool known = false;
    const char *name = pushtopic_text(s, 0), *fields = pushtopic_text(s, 2);
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > TM_PUSHTOPIC_NAME_BYTES_MAX || strpbrk(name, "/?*{}\"\\ ") != NULL)
        return tm_org_refuse(p->org, "INVALID_FIELD", "Name", err,
                             "the name of a PushTopic has 1 to %d characters, none of / ? * and "
                             "blanks",
                             TM_PUSHTOPIC_NAME_BYTES_MAX);
    for (size_t i = 0; i < sizeof pushtopic_fields / sizeof *pushtopic_fields; i++)
        known = known || strcasecmp(pushtopic_fields[i], fields) == 0;
    if (!known)
        return tm_org_refuse(p->org, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "NotifyForFields",
                             err, "NotifyForFields: bad value for restricted picklist field: %.40s",
                             fields);
    if (sqlite3_column_int64(s, 7) > 1)
        return tm_org_refuse(p->org, "DUPLICATE_VALUE", "Name", err,
                             "duplicate value found: there is a PushTopic %.40s already", name);
    enum tm_code rc = pushtopic_of_row(&t, s, &error, err);
    if (rc == TM_OK)
        rc = pushtopic_check_query(p, t.query, err);
    else if (rc == TM_E_ARG)
        rc = pushtopic_refuse(p, err, error.code, error.message);
    pushtopic_free(&t);
    return rc;
}

static enum tm_code pushtopic_written(struct tm_pushtopics *p, const struct tm_org_seen *seen,
                                      struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    p->stale = true;
    if (seen->kind == TM_ORG_DELETE || seen->kind == TM_ORG_HARD_DELETE)
        return TM_OK;
    enum tm_code rc =
        tm_sql_prepare(&s, tm_org_db(p->org),
                       "SELECT " PUSHTOPIC_COLUMNS ",(SELECT count(*) FROM \"cur_PushTopic\" b "
                       "WHERE b.\"Name\"=a.\"Name\" AND b.\"IsDeleted\"=0) FROM \"cur_PushTopic\" "
                       "a WHERE a.\"Id\"=?",
                       err);
    if (rc == TM_OK) {
        sqlite3_bind_text(s, 1, seen->id, -1, SQLITE_STATIC);
        rc = tm_sql_step(s, &row, err);
    }
    if (rc == TM_OK && row)
        rc = pushtopic_check_row(p, s, err);
    tm_sql_finalize(s);
    return rc;
}

/* ---- a change of a record ---- */

static bool pushtopic_touched(const struct tm_pushtopics *p, const struct pushtopic *t,
                              const struct tm_org_seen *seen)
{
    bool select = t->fields == PUSHTOPIC_SELECT || t->fields == PUSHTOPIC_REFERENCED,
         where = t->fields == PUSHTOPIC_WHERE || t->fields == PUSHTOPIC_REFERENCED;
    if (seen->kind != TM_ORG_UPDATE || t->fields == PUSHTOPIC_ALL)
        return true;
    for (size_t i = 0; select && i < t->query->items_count; i++)
        if (tm_org_seen_changed(p->org, seen, t->query->items[i].path.field))
            return true;
    for (size_t i = 0; where && i < t->query->nodes_count; i++)
        if (t->query->nodes[i].op < TM_SOQL_AND &&
            tm_org_seen_changed(p->org, seen, t->query->nodes[i].path.field))
            return true;
    return false;
}

/* The query's WHERE, the word itself; NULL when it has none. No string stands before it. */
static const char *pushtopic_where(const struct pushtopic *t)
{
    const char *text = t->query->text, *at = text;
    while (t->query->has_where && (at = strcasestr(at, "WHERE")) != NULL) {
        if (at > text && strchr(" \t\r\n", at[-1]) != NULL && strchr(" \t\r\n(", at[5]) != NULL)
            return at;
        at++;
    }
    return NULL;
}

static enum tm_code pushtopic_meets(struct tm_pushtopics *p, const char *soql, const char *table,
                                    int64_t now_org_ms, bool *out, struct tm_err *err)
{
    struct tm_soql *q = NULL;
    struct tm_soql_plan plan = { 0 };
    struct tm_soql_error error;
    sqlite3_stmt *s = NULL;
    enum tm_code rc = tm_soql_parse(&q, soql, &error, err);
    if (rc == TM_OK)
        rc = tm_soql_plan(&plan, p->org, q, true, table, now_org_ms, &error, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&s, tm_org_db(p->org), tm_buf_text(&plan.sql), err);
    for (size_t i = 0; rc == TM_OK && i < plan.binds_count; i++)
        org_value_bind(s, (int)i + 1, &plan.binds[i]);
    if (rc == TM_OK)
        rc = tm_sql_step(s, out, err);
    tm_sql_finalize(s);
    tm_soql_plan_free(&plan);
    tm_soql_close(q);
    return rc;
}

/* Does the record, as it is now, meet the query's WHERE? A field that is gone meets nothing. */
static enum tm_code pushtopic_matches(struct tm_pushtopics *p, const struct pushtopic *t,
                                      const struct tm_org_seen *seen, bool *out, struct tm_err *err)
{
    const char *where = pushtopic_where(t);
    char soql[2 * TM_PUSHTOPIC_QUERY_BYTES_MAX], table[128];
    *out = where == NULL;
    if (where == NULL || seen->kind == TM_ORG_HARD_DELETE) /* its row is gone */
        return TM_OK;
    snprintf(table, sizeof table, "cur_%.100s", seen->object);
    int n = snprintf(soql, sizeof soql, "%.*s WHERE Id = '%s' AND (%s)",
                     (int)(where - t->query->text), t->query->text, seen->id, where + 5);
    if (n < 0 || (size_t)n >= sizeof soql)
        return TM_OK;
    enum tm_code rc = pushtopic_meets(p, soql, table, seen->org_ms, out, err);
    if (rc != TM_E_ARG)
        return rc;
    tm_err_clear(err);
    *out = false;
    return TM_OK;
}

/* The statement that reads the selected fields; prepared again when the schema has changed. */
static enum tm_code pushtopic_prepare(struct tm_pushtopics *p, struct pushtopic *t,
                                      const struct tm_describe *d, struct tm_err *err)
{
    struct tm_buf sql;
    if (t->row != NULL && t->schema_version == tm_org_schema_version(p->org))
        return TM_OK;
    tm_sql_finalize(t->row);
    t->row = NULL;
    t->schema_version = tm_org_schema_version(p->org);
    tm_buf_init(&sql, PUSHTOPIC_BODY_BYTES_MAX);
    tm_buf_addz(&sql, "SELECT ");
    for (size_t i = 0; i < t->query->items_count; i++) {
        const struct tm_field *f = tm_describe_field(d, t->query->items[i].path.field);
        tm_buf_addz(&sql, i > 0 ? "," : "");
        if (f != NULL)
            tm_sql_ident(&sql, f->name);
        else
            tm_buf_addz(&sql, "NULL"); /* removed since */
    }
    tm_buf_addf(&sql, " FROM \"cur_%.100s\" WHERE \"Id\"=?", d->object);
    enum tm_code rc = tm_buf_check(&sql, "a PushTopic's fields", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&t->row, tm_org_db(p->org), tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

/* {"sobject":{…}} */
static enum tm_code pushtopic_render(struct tm_pushtopics *p, struct pushtopic *t,
                                     const struct tm_org_seen *seen, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(p->org, seen->object);
    bool row = false, first = true, gone = seen->kind == TM_ORG_DELETE;
    tm_buf_reset(&p->body);
    tm_buf_addz(&p->body, "{\"sobject\":{");
    enum tm_code rc = TM_OK;
    if (gone || seen->kind == TM_ORG_HARD_DELETE) {
        tm_buf_addf(&p->body, "\"Id\":\"%s\"", seen->id);
    } else {
        rc = pushtopic_prepare(p, t, d, err);
        if (rc != TM_OK)
            return rc;
        sqlite3_bind_text(t->row, 1, seen->id, -1, SQLITE_STATIC);
        rc = tm_sql_step(t->row, &row, err);
    }
    for (size_t i = 0; rc == TM_OK && row && i < t->query->items_count; i++) {
        const struct tm_field *f = tm_describe_field(d, t->query->items[i].path.field);
        struct tm_org_value value;
        if (f == NULL)
            continue;
        org_value_read(&value, t->row, (int)i);
        tm_buf_addf(&p->body, "%s\"%s\":", first ? "" : ",", f->name);
        org_render_wire(&p->body, f, &value);
        first = false;
    }
    sqlite3_reset(t->row);
    tm_buf_addz(&p->body, "}}");
    return rc == TM_OK ? tm_buf_check(&p->body, "a PushTopic's event", err) : rc;
}

static enum tm_code pushtopic_tell(struct tm_pushtopics *p, struct pushtopic *t,
                                   const struct tm_org_seen *seen, struct tm_err *err)
{
    static const char *const words[] = { "created", "updated", "deleted", "undeleted", "deleted" };
    char channel[sizeof t->name + 8], event[96], time[TM_TIME_BYTES];
    int64_t replay_id;
    bool matches = false;
    enum tm_code rc = pushtopic_matches(p, t, seen, &matches, err);
    if (rc != TM_OK || !matches)
        return rc;
    if ((rc = pushtopic_render(p, t, seen, err)) != TM_OK)
        return rc;
    snprintf(channel, sizeof channel, "/topic/%s", t->name);
    snprintf(event, sizeof event, "\"createdDate\":\"%s\",\"type\":\"%s\",",
             tm_time_z(time, seen->org_ms), words[seen->kind]);
    return tm_stream_put(p->stream, channel, seen->org_ms, tm_buf_text(&p->body), event, &replay_id,
                         err);
}

enum tm_code tm_pushtopics_seen(struct tm_pushtopics *p, const struct tm_org_seen *seen,
                                struct tm_err *err)
{
    if (strcmp(seen->object, "PushTopic") == 0)
        return pushtopic_written(p, seen, err);
    enum tm_code rc = pushtopic_fresh(p, err);
    if (seen->announce == TM_ORG_SILENT || seen->announce == TM_ORG_CONVERSION ||
        (seen->kind == TM_ORG_HARD_DELETE && !seen->was_live))
        return rc;
    for (size_t i = 0; i < p->count && rc == TM_OK; i++)
        if (strcasecmp(p->list[i].query->object, seen->object) == 0 &&
            p->list[i].told[seen->kind] && pushtopic_touched(p, &p->list[i], seen))
            rc = pushtopic_tell(p, &p->list[i], seen, err);
    return rc;
}

/* ---- opening and closing ---- */

bool tm_pushtopics_selects(struct tm_pushtopics *p, const char *name, const char *field)
{
    const struct pushtopic *t = pushtopic_find(p, name);
    for (size_t i = 0; t != NULL && i < t->query->items_count; i++)
        if (strcasecmp(t->query->items[i].path.field, field) == 0)
            return true;
    return false;
}

enum tm_code tm_pushtopics_open(struct tm_pushtopics **out, struct tm_org *org,
                                struct tm_stream *stream, struct tm_err *err)
{
    struct tm_pushtopics *p = calloc(1, sizeof *p);
    if (p == NULL)
        return tm_fail(err, TM_E_NOMEM, "PushTopics");
    p->org = org;
    p->stream = stream;
    tm_buf_init(&p->body, PUSHTOPIC_BODY_BYTES_MAX);
    enum tm_code rc = pushtopic_read(p, err);
    if (rc == TM_OK)
        *out = p;
    else
        tm_pushtopics_close(p);
    return rc;
}

void tm_pushtopics_close(struct tm_pushtopics *p)
{
    if (p == NULL)
        return;
    while (p->count > 0)
        pushtopic_free(&p->list[--p->count]);
    tm_buf_free(&p->body);
    free(p);
}
