#include "simulate/case_raw.h"
#include "base/describe.h"
#include "base/text.h"
#include "event/contract.h"
#include "sink/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define RAW_SQL_BYTES_MAX (1u << 20)

static enum tm_code raw_describe(struct tm_describe **out, bool *out_given, const char *dir,
                                 const char *object, struct tm_err *err)
{
    char path[TM_CASE_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s.json", dir, object);
    *out_given = access(path, R_OK) == 0;
    if (*out_given)
        return tm_describe_load(out, path, err);
    json_t *bare = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:i}]}", "name", object,
                             "keyPrefix", "000", "label", object, "fields", "name", "Id", "type",
                             "id", "label", "Id", "length", 18);
    enum tm_code rc = tm_describe_parse(out, bare, err);
    json_decref(bare);
    return rc;
}

static enum tm_code raw_table(sqlite3 *db, const struct tm_describe *d,
                              void (*topic)(char *, const char *),
                              enum tm_code (*spell)(struct tm_buf *, const struct tm_describe *,
                                                    struct tm_err *),
                              struct tm_err *err)
{
    static const struct tm_sink_rules rules = { .create_tables = true, .update_schemas = true };
    struct tm_sink_table table = { .there = false };
    struct tm_avro_schema *schema = NULL;
    char name[TM_TOPIC_NAME_MAX], sanitized[TM_TOPIC_NAME_MAX + 8];
    struct tm_buf text;
    bool changed = false;
    tm_buf_init(&text, RAW_SQL_BYTES_MAX);
    topic(name, d->object);
    tm_name_sanitize(sanitized, sizeof sanitized, name);
    enum tm_code rc = spell(&text, d, err);
    if (rc == TM_OK)
        rc = tm_avro_schema_parse(&schema, tm_buf_text(&text), text.bytes, err);
    if (rc == TM_OK)
        rc = tm_sink_table_open(&table, db, sanitized, err);
    if (rc == TM_OK)
        rc = tm_sink_table_fit(&table, db, &rules, &(struct tm_sink_schema){ 1, schema }, 1, 0,
                               &changed, err);
    tm_sink_table_close(&table);
    tm_avro_schema_close(schema);
    tm_buf_free(&text);
    return rc;
}

static enum tm_code raw_object(sqlite3 *db, bool *out_given, const char *dir, const char *object,
                               struct tm_err *err)
{
    struct tm_describe *d = NULL;
    enum tm_code rc = raw_describe(&d, out_given, dir, object, err);
    if (rc == TM_OK)
        rc = raw_table(db, d, tm_contract_topic_raw, tm_contract_schema_raw, err);
    if (rc == TM_OK)
        rc = raw_table(db, d, tm_contract_topic_alerts, tm_contract_schema_alerts, err);
    if (rc == TM_OK)
        rc = raw_table(db, d, tm_contract_topic_recon, tm_contract_schema_recon, err);
    tm_describe_close(d);
    return rc;
}

static const char *raw_type(const json_t *value)
{
    return json_is_integer(value) || json_is_boolean(value) ? "INTEGER"
           : json_is_real(value)                            ? "REAL"
           : json_is_null(value)                            ? ""
                                                            : "TEXT";
}

/* A field that came later, or one whose describe is not here: a column of its own. */
static enum tm_code raw_column(sqlite3 *db, bool *out_added, const char *table, const char *name,
                               const json_t *value, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool there = false;
    struct tm_buf sql;
    enum tm_code rc = tm_sql_prepare(
        &stmt, db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE", err);
    if (rc == TM_OK) {
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC);
        rc = tm_sql_step(stmt, &there, err);
    }
    tm_sql_finalize(stmt);
    if (rc != TM_OK || there)
        return rc;
    *out_added = true;
    tm_buf_init(&sql, 4096);
    tm_buf_addz(&sql, "ALTER TABLE ");
    tm_sql_ident(&sql, table);
    tm_buf_addz(&sql, " ADD COLUMN ");
    tm_sql_ident(&sql, name);
    tm_buf_addf(&sql, " %s", raw_type(value));
    rc = tm_buf_check(&sql, "a column", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code raw_columns(sqlite3 *db, bool *out_added, const struct tm_case *c,
                                struct tm_err *err)
{
    size_t at;
    json_t *line, *value;
    const char *name;
    *out_added = false;
    json_array_foreach(c->rows, at, line)
    {
        const char *table = json_string_value(json_object_get(line, "table"));
        json_object_foreach(json_object_get(line, "row"), name, value)
        {
            enum tm_code rc = raw_column(db, out_added, table, name, value, err);
            if (rc != TM_OK)
                return tm_at(err, "%s/rows.jsonl: row %zu", c->path, at + 1);
        }
    }
    return TM_OK;
}

enum tm_code tm_case_raw_open(sqlite3 **out, bool *out_widened, const struct tm_case *c,
                              const char *objects_dir, struct tm_err *err)
{
    sqlite3 *db = NULL;
    bool described = true, added = false;
    enum tm_code rc = tm_sql_open(&db, ":memory:", TM_SQL_CREATE, err);
    for (size_t i = 0; i < c->objects_count && rc == TM_OK; i++) {
        bool given = false;
        rc = raw_object(db, &given, objects_dir, c->objects[i], err);
        described = described && given;
    }
    if (rc == TM_OK)
        rc = raw_columns(db, &added, c, err);
    *out_widened = added && described;
    if (rc == TM_OK) {
        *out = db;
        db = NULL;
    }
    tm_sql_close(db);
    return rc;
}

static void raw_bind(sqlite3_stmt *stmt, int at, const json_t *value)
{
    if (json_is_string(value)) {
        sqlite3_bind_text(stmt, at, json_string_value(value), (int)json_string_length(value),
                          SQLITE_TRANSIENT);
    } else if (json_is_object(value) || json_is_array(value)) {
        char *text = json_dumps(value, JSON_COMPACT);
        sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT);
        free(text);
    } else if (json_is_real(value)) {
        sqlite3_bind_double(stmt, at, json_real_value(value));
    } else if (json_is_null(value)) {
        sqlite3_bind_null(stmt, at);
    } else {
        sqlite3_bind_int64(
            stmt, at, json_is_boolean(value) ? json_is_true(value) : json_integer_value(value));
    }
}

enum tm_code tm_case_raw_add(sqlite3 *db, const struct tm_case *c, size_t index, struct tm_err *err)
{
    const json_t *line = json_array_get(c->rows, index);
    json_t *given = json_object_get(line, "row"), *value;
    /* where the record stood in its topic: of no meaning to the rules, but never the same twice */
    json_t *row = json_pack("{s:s, s:i, s:i, s:i}", "_topic",
                            json_string_value(json_object_get(line, "table")), "_partition", 0,
                            "_offset", (int)index, "_written_ns", (int)index);
    const char *name;
    struct tm_buf sql, marks;
    sqlite3_stmt *stmt = NULL;
    int at = 0;
    tm_buf_init(&sql, RAW_SQL_BYTES_MAX);
    tm_buf_init(&marks, RAW_SQL_BYTES_MAX);
    json_object_update(row, given);
    tm_buf_addz(&sql, "INSERT INTO ");
    tm_sql_ident(&sql, json_string_value(json_object_get(line, "table")));
    json_object_foreach(row, name, value)
    {
        tm_buf_addc(&sql, at == 0 ? '(' : ',');
        tm_sql_ident(&sql, name);
        tm_buf_addf(&marks, "%s?%d", at == 0 ? "" : ",", at + 1);
        at++;
    }
    tm_buf_addf(&sql, ") VALUES(%s)", tm_buf_text(&marks));
    enum tm_code rc = tm_buf_check(&sql, "a row", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&stmt, db, tm_buf_text(&sql), err);
    at = 0;
    json_object_foreach(row, name, value)
    {
        if (rc == TM_OK)
            raw_bind(stmt, ++at, value);
    }
    if (rc == TM_OK)
        rc = tm_sql_run(stmt, err);
    tm_sql_finalize(stmt);
    tm_buf_free(&sql);
    tm_buf_free(&marks);
    json_decref(row);
    return rc == TM_OK ? rc : tm_at(err, "%s/rows.jsonl: row %zu", c->path, index + 1);
}
