#include "sink/table.h"
#include "base/text.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TABLE_SQL_BYTES_MAX (1u << 20)
static const char *const table_system[] = { "_topic", "_partition", "_offset", "_written_ns" };
#define TABLE_SYSTEM (sizeof table_system / sizeof table_system[0])

/* Declared so that SQLite's affinity keeps canonical values as they are, and the type can be read
 * back. */
static const char *table_sql_type(enum tm_avro_type type)
{
    static const char *const types[] = { [TM_AVRO_STRING] = "TEXT",
                                         [TM_AVRO_BOOLEAN] = "INTEGER BOOLEAN",
                                         [TM_AVRO_INT] = "INTEGER",
                                         [TM_AVRO_LONG] = "INTEGER",
                                         [TM_AVRO_DOUBLE] = "REAL",
                                         [TM_AVRO_DATE] = "TEXT DATE",
                                         [TM_AVRO_TIMESTAMP] = "INTEGER TIMESTAMP",
                                         [TM_AVRO_RECORD] = "TEXT RECORD",
                                         [TM_AVRO_ARRAY] = "TEXT ARRAY" };
    assert((size_t)type < sizeof types / sizeof types[0]);
    return types[type];
}

static const char *table_type_word(enum tm_avro_type type)
{
    static const char *const words[] = { [TM_AVRO_STRING] = "string",
                                         [TM_AVRO_BOOLEAN] = "boolean",
                                         [TM_AVRO_INT] = "int",
                                         [TM_AVRO_LONG] = "int",
                                         [TM_AVRO_DOUBLE] = "double",
                                         [TM_AVRO_DATE] = "date",
                                         [TM_AVRO_TIMESTAMP] = "timestamp",
                                         [TM_AVRO_RECORD] = "record",
                                         [TM_AVRO_ARRAY] = "array" };
    return words[type];
}

static struct tm_sink_column *table_column(const struct tm_sink_table *t, const char *name)
{
    for (size_t i = 0; i < t->columns_count; i++)
        /* the casing of what was there first stays */
        if (strcasecmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static enum tm_code table_keep(struct tm_sink_table *t, const char *name, const char *type,
                               struct tm_err *err)
{
    if (t->columns_count == TM_SINK_COLUMNS_MAX)
        return tm_fail(err, TM_E_LIMIT, "table %s has %d columns and cannot take %s", t->name,
                       TM_SINK_COLUMNS_MAX, name);
    struct tm_sink_column *all = realloc(t->columns, (t->columns_count + 1) * sizeof *all);
    if (all == NULL)
        return tm_fail(err, TM_E_NOMEM, "columns of %s", t->name);
    t->columns = all;
    struct tm_sink_column c = { strdup(name), strdup(type) };
    if (c.name == NULL || c.type == NULL) {
        free(c.name);
        free(c.type);
        return tm_fail(err, TM_E_NOMEM, "columns of %s", t->name);
    }
    t->columns[t->columns_count++] = c;
    return TM_OK;
}

static void table_forget(struct tm_sink_table *t)
{
    for (size_t i = 0; i < t->writers_count; i++)
        tm_sql_finalize(t->writers[i].insert);
    t->writers_count = 0;
    for (size_t i = 0; i < t->columns_count; i++) {
        free(t->columns[i].name);
        free(t->columns[i].type);
    }
    t->columns_count = 0;
}

enum tm_code tm_sink_table_open(struct tm_sink_table *t, sqlite3 *db, const char *name,
                                struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    char kept[TM_SINK_NAME_MAX];
    if (strlen(name) >= sizeof kept)
        return tm_fail(err, TM_E_ARG, "table name \"%.80s…\" is too long", name);
    snprintf(kept, sizeof kept, "%s", name);
    table_forget(t);
    memcpy(t->name, kept, sizeof kept);
    t->there = false;
    enum tm_code rc = tm_sql_columns(&stmt, db, t->name, err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        t->there = true;
        rc = table_keep(t, (const char *)sqlite3_column_text(stmt, TM_SQL_COLUMN_NAME),
                        (const char *)sqlite3_column_text(stmt, TM_SQL_COLUMN_TYPE), err);
    }
    tm_sql_finalize(stmt);
    return rc;
}

void tm_sink_table_close(struct tm_sink_table *t)
{
    table_forget(t);
    free(t->columns);
    free(t->writers);
    memset(t, 0, sizeof *t);
}

static enum tm_code table_field_name(char out[TM_SINK_NAME_MAX], const struct tm_sink_table *t,
                                     const struct tm_sink_rules *rules, const char *name,
                                     struct tm_err *err)
{
    if (strlen(name) + 2 >= TM_SINK_NAME_MAX)
        return tm_fail(err, TM_E_LIMIT, "table %s: the field name \"%.60s…\" is too long", t->name,
                       name);
    if (rules->sanitize_fields)
        tm_name_sanitize(out, TM_SINK_NAME_MAX, name);
    else
        snprintf(out, TM_SINK_NAME_MAX, "%s", name);
    for (size_t i = 0; i < TABLE_SYSTEM; i++)
        if (strcasecmp(out, table_system[i]) == 0)
            return tm_fail(err, TM_E_ARG,
                           "table %s: a field is called %s, which is a column of the sink's own",
                           t->name, out);
    return TM_OK;
}

/* The column a field of this type goes to: its own, or `<Field>__<type>` when that one has another
 * type. */
static void table_target(char out[TM_SINK_NAME_MAX], const struct tm_sink_table *t,
                         const char *name, enum tm_avro_type type)
{
    const struct tm_sink_column *own = table_column(t, name);
    if (own == NULL || strcasecmp(own->type, table_sql_type(type)) == 0)
        snprintf(out, TM_SINK_NAME_MAX, "%s", name);
    else
        snprintf(out, TM_SINK_NAME_MAX, "%.280s__%s", name, table_type_word(type));
}

/* A table that is not there yet gets its columns in memory first, then this one statement: every
 * ALTER TABLE has SQLite read the whole schema again, views and all. */
static enum tm_code table_create(struct tm_sink_table *t, sqlite3 *db, struct tm_err *err)
{
    struct tm_buf b;
    tm_buf_init(&b, TABLE_SQL_BYTES_MAX);
    tm_buf_addz(&b, "CREATE TABLE ");
    tm_sql_ident(&b, t->name);
    for (size_t i = 0; i < t->columns_count; i++) {
        tm_buf_addc(&b, i == 0 ? '(' : ',');
        tm_sql_ident(&b, t->columns[i].name);
        tm_buf_addf(&b, " %s%s", t->columns[i].type, i < TABLE_SYSTEM ? " NOT NULL" : "");
    }
    tm_buf_addz(&b, ",UNIQUE(\"_topic\",\"_partition\",\"_offset\"))");
    enum tm_code rc = tm_buf_check(&b, "SQL", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(db, tm_buf_text(&b), err);
    tm_buf_free(&b);
    t->there = rc == TM_OK;
    return rc;
}

static enum tm_code table_add(struct tm_sink_table *t, sqlite3 *db, const char *name,
                              const char *type, struct tm_err *err)
{
    struct tm_buf b;
    if (!t->there) /* table_create is to come */
        return table_keep(t, name, type, err);
    tm_buf_init(&b, TABLE_SQL_BYTES_MAX);
    tm_buf_addz(&b, "ALTER TABLE ");
    tm_sql_ident(&b, t->name);
    tm_buf_addz(&b, " ADD COLUMN ");
    tm_sql_ident(&b, name);
    tm_buf_addf(&b, " %s", type);
    enum tm_code rc = tm_buf_check(&b, "SQL", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(db, tm_buf_text(&b), err);
    tm_buf_free(&b);
    return rc == TM_OK ? table_keep(t, name, type, err) : rc;
}

/* First field of `schema` that has no column to go to; NULL when all have. */
static enum tm_code table_missing(const struct tm_sink_table *t, const struct tm_sink_rules *rules,
                                  const struct tm_avro_schema *schema, const char **out,
                                  struct tm_err *err)
{
    const struct tm_avro_field *fields;
    size_t count = tm_avro_schema_fields(schema, &fields);
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        char name[TM_SINK_NAME_MAX], target[TM_SINK_NAME_MAX];
        enum tm_code rc = table_field_name(name, t, rules, fields[i].name, err);
        if (rc != TM_OK)
            return rc;
        table_target(target, t, name, fields[i].type);
        if (table_column(t, target) != NULL)
            continue;
        *out = fields[i].name;
        return TM_OK;
    }
    return TM_OK;
}

static enum tm_code table_extend(struct tm_sink_table *t, sqlite3 *db,
                                 const struct tm_sink_rules *rules,
                                 const struct tm_avro_schema *schema, struct tm_err *err)
{
    const struct tm_avro_field *fields;
    size_t count = tm_avro_schema_fields(schema, &fields);
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        char name[TM_SINK_NAME_MAX], target[TM_SINK_NAME_MAX];
        rc = table_field_name(name, t, rules, fields[i].name, err);
        if (rc != TM_OK)
            break;
        table_target(target, t, name, fields[i].type);
        if (table_column(t, target) == NULL)
            rc = table_add(t, db, target, table_sql_type(fields[i].type), err);
    }
    return rc;
}

/* Is `column` where values of the field `name` go, be it in another type? */
static bool table_is_of(const char *column, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(column, name, n) != 0 || column[n] == '\0')
        return strcasecmp(column, name) == 0;
    for (enum tm_avro_type type = TM_AVRO_STRING; type <= TM_AVRO_ARRAY; type++)
        if (strncmp(column + n, "__", 2) == 0 && strcmp(column + n + 2, table_type_word(type)) == 0)
            return true;
    return false;
}

/* Non-union mode: the proposed schema replaces the table's, and a column that it lacks cannot be
 * dropped. Columns
 * `<Field>__<type>` stand for their field, and our own are never in a record. */
static enum tm_code table_nothing_dropped(const struct tm_sink_table *t,
                                          const struct tm_sink_rules *rules,
                                          const struct tm_sink_schema *proposed, struct tm_err *err)
{
    const struct tm_avro_field *fields;
    size_t count = tm_avro_schema_fields(proposed->schema, &fields);
    for (size_t c = 0; c < t->columns_count; c++) {
        const char *column = t->columns[c].name;
        bool named = false;
        for (size_t i = 0; i < TABLE_SYSTEM; i++)
            named |= strcasecmp(column, table_system[i]) == 0;
        for (size_t i = 0; i < count && !named; i++) {
            char name[TM_SINK_NAME_MAX];
            enum tm_code rc = table_field_name(name, t, rules, fields[i].name, err);
            if (rc != TM_OK)
                return rc;
            named = table_is_of(column, name);
        }
        if (!named)
            return tm_fail(
                err, TM_E_ARG,
                "table %s: schema %d adds columns but lacks \"%s\", which the table has and "
                "which cannot be dropped; set allow.schema.unionization=true",
                t->name, (int)proposed->id, column);
    }
    return TM_OK;
}

struct table_batch {
    const struct tm_sink_schema *schemas;
    size_t count, last;
};

static enum tm_code table_update(struct tm_sink_table *t, sqlite3 *db,
                                 const struct tm_sink_rules *rules, const struct table_batch *b,
                                 const char *missing, int32_t lacking, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (!t->there && !rules->create_tables)
        return tm_fail(err, TM_E_ARG, "table %s does not exist and auto.create.tables is false",
                       t->name);
    if (t->there && !rules->update_schemas)
        return tm_fail(
            err, TM_E_ARG,
            "table %s has no column for field \"%s\" of schema %d and auto.update.schemas is false",
            t->name, missing, (int)lacking);
    if (!rules->unionization && t->there)
        rc = table_nothing_dropped(t, rules, &b->schemas[b->last], err);
    for (size_t i = 0; i < TABLE_SYSTEM && rc == TM_OK && !t->there; i++)
        rc = table_add(t, db, table_system[i], i == 0 ? "TEXT" : "INTEGER", err);
    /* Union mode folds all schemas of the batch in, in order; else the last record's schema is the
     * proposal. */
    for (size_t i = 0; i < b->count && rc == TM_OK; i++)
        if (rules->unionization || i == b->last)
            rc = table_extend(t, db, rules, b->schemas[i].schema, err);
    if (rc == TM_OK && !t->there)
        rc = table_create(t, db, err);
    for (size_t i = 0; i < b->count && rc == TM_OK; i++) {
        rc = table_missing(t, rules, b->schemas[i].schema, &missing, err);
        if (rc == TM_OK && missing != NULL)
            rc = tm_fail(err, TM_E_ARG,
                         "table %s: after the update to schema %d, schema %d of the same batch "
                         "still has the "
                         "field \"%s\" too many; set allow.schema.unionization=true",
                         t->name, (int)b->schemas[b->last].id, (int)b->schemas[i].id, missing);
    }
    return rc;
}

enum tm_code tm_sink_table_fit(struct tm_sink_table *t, sqlite3 *db,
                               const struct tm_sink_rules *rules,
                               const struct tm_sink_schema *schemas, size_t schemas_count,
                               size_t last, bool *out_changed, struct tm_err *err)
{
    const struct table_batch batch = { schemas, schemas_count, last };
    assert(schemas_count > 0 && last < schemas_count);
    for (size_t i = 0; i < schemas_count; i++) {
        const char *missing = NULL;
        bool known = false;
        for (size_t k = 0; k < t->writers_count; k++)
            known |= t->writers[k].schema_id == schemas[i].id;
        if (known)
            continue;
        enum tm_code rc = table_missing(t, rules, schemas[i].schema, &missing, err);
        if (rc != TM_OK)
            return rc;
        if (missing == NULL && t->there)
            continue;
        *out_changed = true;
        return table_update(t, db, rules, &batch, missing, schemas[i].id, err);
    }
    return TM_OK;
}

static enum tm_code table_prepare(struct tm_sink_table *t, struct tm_sink_writer *w, sqlite3 *db,
                                  const struct tm_sink_rules *rules,
                                  const struct tm_avro_schema *schema, struct tm_err *err)
{
    const struct tm_avro_field *fields;
    struct tm_buf b, seen;
    enum tm_code rc = TM_OK;
    w->fields_count = tm_avro_schema_fields(schema, &fields);
    w->replay_id = w->object_type = -1;
    tm_buf_init(&b, TABLE_SQL_BYTES_MAX);
    tm_buf_init(&seen, TABLE_SQL_BYTES_MAX);
    tm_buf_addz(&b, "INSERT INTO ");
    tm_sql_ident(&b, t->name);
    tm_buf_addz(&b, "(\"_topic\",\"_partition\",\"_offset\",\"_written_ns\"");
    for (size_t i = 0; i < w->fields_count && rc == TM_OK; i++) {
        char name[TM_SINK_NAME_MAX], target[TM_SINK_NAME_MAX], mark[TM_SINK_NAME_MAX + 2],
            lower[TM_SINK_NAME_MAX];
        rc = table_field_name(name, t, rules, fields[i].name, err);
        if (rc != TM_OK)
            break;
        table_target(target, t, name, fields[i].type);
        assert(table_column(t, target) != NULL);
        tm_name_lower(lower, sizeof lower, target);
        snprintf(mark, sizeof mark, "|%s|", lower);
        if (strstr(tm_buf_text(&seen), mark) != NULL)
            rc = tm_fail(err, TM_E_ARG,
                         "table %s: two fields of a schema go to the one column \"%s\"", t->name,
                         target);
        tm_buf_addz(&seen, mark);
        tm_buf_addc(&b, ',');
        tm_sql_ident(&b, target);
        if (strcmp(fields[i].name, "ReplayId") == 0)
            w->replay_id = (int)i;
        if (strcmp(fields[i].name, "_ObjectType") == 0)
            w->object_type = (int)i;
    }
    tm_buf_addz(&b, ") VALUES(?1,?2,?3,?4");
    for (size_t i = 0; i < w->fields_count; i++)
        tm_buf_addf(&b, ",?%zu", i + TABLE_SYSTEM + 1);
    tm_buf_addc(&b, ')');
    if (rc == TM_OK)
        rc = tm_buf_check(&b, "SQL", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&w->insert, db, tm_buf_text(&b), err);
    tm_buf_free(&b);
    tm_buf_free(&seen);
    return rc;
}

enum tm_code tm_sink_table_writer(struct tm_sink_table *t, struct tm_sink_writer **out, sqlite3 *db,
                                  const struct tm_sink_rules *rules,
                                  const struct tm_sink_schema *schema, struct tm_err *err)
{
    for (size_t i = 0; i < t->writers_count; i++)
        if (t->writers[i].schema_id == schema->id) {
            *out = &t->writers[i];
            return TM_OK;
        }
    if (t->writers_count == TM_SINK_WRITERS_MAX)
        return tm_fail(err, TM_E_LIMIT,
                       "table %s was written with more than %d schemas in one process", t->name,
                       TM_SINK_WRITERS_MAX);
    struct tm_sink_writer *all = realloc(t->writers, (t->writers_count + 1) * sizeof *all);
    if (all == NULL)
        return tm_fail(err, TM_E_NOMEM, "table %s", t->name);
    t->writers = all;
    struct tm_sink_writer *w = &all[t->writers_count];
    memset(w, 0, sizeof *w);
    w->schema_id = schema->id;
    enum tm_code rc = table_prepare(t, w, db, rules, schema->schema, err);
    if (rc != TM_OK)
        return rc;
    t->writers_count++;
    *out = w;
    return TM_OK;
}

static void table_bind(sqlite3_stmt *stmt, int at, const struct tm_value *v)
{
    switch (v->kind) {
    case TM_V_NULL: sqlite3_bind_null(stmt, at); break;
    case TM_V_BOOL: sqlite3_bind_int(stmt, at, v->as.b); break;
    case TM_V_INT: sqlite3_bind_int64(stmt, at, v->as.i); break;
    case TM_V_DOUBLE: sqlite3_bind_double(stmt, at, v->as.d); break;
    case TM_V_TEXT:
    case TM_V_JSON:
        if (v->as.t.bytes == 0 && v->kind == TM_V_TEXT)
            /* canonical form: empty text = NULL */
            sqlite3_bind_null(stmt, at);
        else
            sqlite3_bind_text(stmt, at, v->as.t.text, (int)v->as.t.bytes, SQLITE_STATIC);
        break;
    }
}

enum tm_code tm_sink_writer_add(const struct tm_sink_writer *w, const char *topic,
                                int32_t partition, int64_t offset, int64_t written_ns,
                                const struct tm_row *row, struct tm_err *err)
{
    assert(row->cells_count == w->fields_count);
    sqlite3_bind_text(w->insert, 1, topic, -1, SQLITE_STATIC);
    sqlite3_bind_int(w->insert, 2, partition);
    sqlite3_bind_int64(w->insert, 3, offset);
    sqlite3_bind_int64(w->insert, 4, written_ns);
    for (size_t i = 0; i < w->fields_count; i++)
        table_bind(w->insert, (int)(i + TABLE_SYSTEM + 1), &row->cells[i].value);
    return tm_sql_run(w->insert, err);
}
