#include "check/relation_inner.h"
#include "base/config.h"
#include "base/text.h"
#include "check/match.h"
#include "check/vhash.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define WAREHOUSE_PROGRESS_OPS 1000000 /* SQLite steps between two looks at the limit */
#define RELATION_SQL_BYTES_MAX (4 << 20)

/* ---- the warehouse ---- */

static int warehouse_authorize(void *self, int action, const char *a, const char *b, const char *db,
                               const char *trigger)
{
    const struct tm_warehouse *w = self;
    (void)a;
    (void)db;
    (void)trigger;
    if (w->own || action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    if (action == SQLITE_FUNCTION && b != NULL && sqlite3_stricmp(b, "load_extension") != 0)
        return SQLITE_OK;
    return SQLITE_DENY;
}

static int warehouse_progress(void *self)
{
    struct tm_warehouse *w = self;
    return ++w->looks > w->looks_max;
}

enum tm_code tm_warehouse_open(struct tm_warehouse **out, const char *path, int steps_max,
                               struct tm_err *err)
{
    struct tm_warehouse *w = calloc(1, sizeof *w);
    if (w == NULL)
        return tm_fail(err, TM_E_NOMEM, "warehouse %s", path);
    enum tm_code rc = TM_OK;
    if (strlen(path) >= sizeof w->path)
        rc = tm_fail(err, TM_E_ARG, "the path %.200s… is too long", path);
    else if (access(path, R_OK) != 0)
        rc = tm_fail(err, TM_E_ARG, "cannot read the warehouse %s: %s", path, strerror(errno));
    if (rc == TM_OK)
        rc = tm_sql_open(&w->db, path, TM_SQL_READ, err);
    if (rc != TM_OK) {
        free(w);
        return rc;
    }
    strcpy(w->path, path);
    w->looks_max = steps_max > 0 ? steps_max : TM_RELATION_STEPS_MAX;
    sqlite3_set_authorizer(w->db, warehouse_authorize, w);
    sqlite3_progress_handler(w->db, WAREHOUSE_PROGRESS_OPS, warehouse_progress, w);
    *out = w;
    return TM_OK;
}

void tm_warehouse_close(struct tm_warehouse *w)
{
    if (w == NULL)
        return;
    tm_sql_close(w->db);
    free(w);
}

static enum tm_code warehouse_int64(struct tm_warehouse *w, int64_t *out, const char *sql,
                                    struct tm_err *err)
{
    w->own = true;
    enum tm_code rc = tm_sql_int64(out, w->db, sql, err);
    w->own = false;
    return rc;
}

enum tm_code tm_warehouse_begin(struct tm_warehouse *w, struct tm_err *err)
{
    int64_t ignored;
    w->own = true;
    enum tm_code rc = tm_sql_exec(w->db, "BEGIN", err);
    w->own = false;
    /* in WAL the first SELECT, not BEGIN, fixes what is seen */
    if (rc == TM_OK &&
        (rc = warehouse_int64(w, &ignored, "SELECT count(*) FROM sqlite_schema", err)) != TM_OK)
        tm_warehouse_end(w);
    return rc;
}

void tm_warehouse_end(struct tm_warehouse *w)
{
    w->own = true;
    sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL);
    w->own = false;
}

enum tm_code tm_warehouse_version(struct tm_warehouse *w, int64_t *out, struct tm_err *err)
{
    return warehouse_int64(w, out, "PRAGMA data_version", err);
}

/* ---- the map ---- */

/* Without a describe a tolerance says by its form what the column holds. */
static enum tm_field_kind relation_kind(const struct tm_field *f, const json_t *tolerance)
{
    struct tm_tolerance ignored;
    struct tm_err quiet = { 0 };
    if (f != NULL)
        return f->kind;
    for (int kind = TM_FIELD_TEXT; tolerance != NULL && kind <= TM_FIELD_TIME; kind++) {
        tm_err_clear(&quiet);
        if (tm_tolerance_parse(&ignored, tolerance, (enum tm_field_kind)kind, "", "", &quiet) ==
            TM_OK)
            return kind == TM_FIELD_INT ? TM_FIELD_NUMBER : (enum tm_field_kind)kind;
    }
    return TM_FIELD_TEXT;
}

static enum tm_code relation_fields(const struct tm_relation_spec *s, const char *key,
                                    const json_t *map, bool tolerances, struct tm_err *err)
{
    const char *field;
    json_t *value;
    if (map != NULL && !json_is_object(map))
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be an object of fields", s->where, key);
    json_object_foreach((json_t *)(uintptr_t)map, field, value)
    {
        const struct tm_field *f =
            s->describe != NULL ? tm_describe_field(s->describe, field) : NULL;
        struct tm_tolerance ignored;
        if (f == NULL && s->describe != NULL) {
            const char *names[TM_SHOWN_COLUMNS_MAX];
            size_t count = 0;
            for (; count < s->describe->fields_count && count < TM_SHOWN_COLUMNS_MAX; count++)
                names[count] = s->describe->fields[count].name;
            const char *near = tm_nearest(field, names, count);
            return tm_fail(err, TM_E_ARG, "%s: %s names the unknown field \"%.60s\"%s%s%s",
                           s->where, key, field, near ? " (did you mean " : "", near ? near : "",
                           near ? "?)" : "");
        }
        if (!tolerances && !json_is_string(value))
            return tm_fail(err, TM_E_ARG, "%s: columns.%s must name a column of the query",
                           s->where, field);
        if (tolerances && f != NULL && tm_coverage_never(f) != NULL)
            return tm_fail(err, TM_E_ARG, "%s: tolerances.%s: %s, so it is not compared", s->where,
                           field, tm_coverage_never(f));
        if (tolerances && tm_tolerance_parse(&ignored, value, relation_kind(f, value), s->where,
                                             field, err) != TM_OK)
            return err->code;
    }
    return TM_OK;
}

/* Two fields cannot be one column. */
static enum tm_code relation_columns_once(const struct tm_relation_spec *s, struct tm_err *err)
{
    const char *a, *b;
    json_t *x, *y;
    json_object_foreach((json_t *)(uintptr_t)s->columns, a, x)
    {
        json_object_foreach((json_t *)(uintptr_t)s->columns, b, y)
        {
            if (strcmp(a, b) < 0 && strcasecmp(json_string_value(x), json_string_value(y)) == 0)
                return tm_fail(err, TM_E_ARG, "%s: columns: %s and %s are both \"%.60s\"", s->where,
                               a, b, json_string_value(x));
        }
    }
    return TM_OK;
}

enum tm_code tm_relation_spec(struct tm_relation_spec *out, const char *map, const char *object,
                              const json_t *json, const struct tm_describe *describe,
                              struct tm_err *err)
{
    static const char *const keys[] = { "query", "columns", "tolerances", "database" };
    const char *key;
    json_t *value;
    const json_t *database = json_object_get(json, "database");
    *out = (struct tm_relation_spec){ .object = object, .describe = describe };
    snprintf(out->where, sizeof out->where, "%.200s: %.80s", map, object);
    if (!json_is_object(json))
        return tm_fail(err, TM_E_ARG, "%s: must be {\"query\": …}", out->where);
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        size_t i = 0;
        while (i < 4 && strcmp(key, keys[i]) != 0)
            i++;
        const char *near = tm_nearest(key, keys, 4);
        if (i == 4)
            return tm_fail(err, TM_E_ARG, "%s: unknown key \"%.60s\"%s%s%s", out->where, key,
                           near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    }
    out->query = json_string_value(json_object_get(json, "query"));
    out->columns = json_object_get(json, "columns");
    out->tolerances = json_object_get(json, "tolerances");
    out->database = json_string_value(database);
    if (out->query == NULL)
        return tm_fail(err, TM_E_ARG, "%s: \"query\" must be a SELECT as text", out->where);
    if (database != NULL && (out->database == NULL || *out->database == '\0'))
        return tm_fail(err, TM_E_ARG, "%s: \"database\" must be the path of a SQLite file",
                       out->where);
    enum tm_code rc = relation_fields(out, "columns", out->columns, false, err);
    if (rc == TM_OK)
        rc = relation_columns_once(out, err);
    return rc == TM_OK ? relation_fields(out, "tolerances", out->tolerances, true, err) : rc;
}

/* ---- a query ---- */

/* The field a column of the query stands for: by `columns`, else by its own name; NULL: none. */
static const char *relation_field(const struct tm_relation_spec *s, const char *column,
                                  const struct tm_field **out)
{
    const char *field;
    json_t *name;
    *out = NULL;
    json_object_foreach((json_t *)(uintptr_t)s->columns, field, name)
    {
        if (strcasecmp(json_string_value(name), column) != 0)
            continue;
        *out = s->describe != NULL ? tm_describe_field(s->describe, field) : NULL;
        return *out != NULL ? (*out)->name : field;
    }
    *out = s->describe != NULL ? tm_describe_field(s->describe, column) : NULL;
    if ((s->describe != NULL && *out == NULL) || column[0] == '_')
        return NULL;
    const char *own = *out != NULL ? (*out)->name : column;
    json_object_foreach((json_t *)(uintptr_t)s->columns, field, name)
    {
        if (strcasecmp(field, own) == 0)
            return NULL; /* another column stands for it */
    }
    return own;
}

static const json_t *relation_tolerance(const struct tm_relation_spec *s, const char *field)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)s->tolerances, name, value)
    {
        if (strcasecmp(name, field) == 0)
            return value;
    }
    return NULL;
}

static enum tm_code relation_column(struct tm_relation *r, int c, struct tm_err *err)
{
    const struct tm_relation_spec *s = r->spec;
    const struct tm_field *f;
    const char *name = sqlite3_column_name(r->stmt, c), *field;
    field = name != NULL ? relation_field(s, name, &f) : NULL;
    struct tm_relation_column *rc = &r->columns[c];
    if (name != NULL && strcmp(name, "_dirty") == 0)
        r->dirty_column = c;
    if (field == NULL ||
        (f != NULL && strcasecmp(field, "Id") != 0 && tm_coverage_never(f) != NULL))
        return TM_OK;
    if (strcasecmp(field, "Id") == 0) {
        if (r->id_column >= 0)
            return tm_fail(err, TM_E_ARG, "%s: the query gives Id twice, as columns %d and %d",
                           s->where, r->id_column + 1, c + 1);
        r->id_column = c;
        return TM_OK;
    }
    for (size_t i = 0; i < r->fields_count; i++)
        if (strcasecmp(r->fields[i], field) == 0)
            return tm_fail(err, TM_E_ARG, "%s: the query gives %s twice", s->where, field);
    const json_t *tolerance = relation_tolerance(s, field);
    char *owned = strdup(field);
    if (owned == NULL)
        return tm_fail(err, TM_E_NOMEM, "%s: a query", s->where);
    *rc = (struct tm_relation_column){ .field = owned,
                                       .kind = relation_kind(f, tolerance),
                                       .scale = f != NULL ? f->scale : -1,
                                       .index = (uint32_t)r->fields_count };
    r->fields[r->fields_count] = owned;
    r->kinds[r->fields_count] = rc->kind;
    r->fields_count++;
    if (tolerance != NULL &&
        tm_tolerance_parse(&rc->tolerance, tolerance, rc->kind, s->where, field, err) != TM_OK)
        return err->code;
    r->tolerances[rc->index] = rc->tolerance;
    return TM_OK;
}

/* What the map names and the query does not give. */
static enum tm_code relation_given(const struct tm_relation *r, struct tm_err *err)
{
    const struct tm_relation_spec *s = r->spec;
    const char *field;
    json_t *value;
    if (r->id_column < 0)
        return tm_fail(err, TM_E_ARG,
                       "%s: the query gives no Id (map it with \"columns\": {\"Id\": \"…\"})",
                       s->where);
    json_object_foreach((json_t *)(uintptr_t)s->columns, field, value)
    {
        int c = 0;
        while (c < r->columns_count &&
               strcasecmp(sqlite3_column_name(r->stmt, c), json_string_value(value)) != 0)
            c++;
        if (c == r->columns_count)
            return tm_fail(err, TM_E_ARG,
                           "%s: columns.%s names \"%.60s\", which the query does not give",
                           s->where, field, json_string_value(value));
    }
    json_object_foreach((json_t *)(uintptr_t)s->tolerances, field, value)
    {
        size_t i = 0;
        while (i < r->fields_count && strcasecmp(r->fields[i], field) != 0)
            i++;
        if (i == r->fields_count)
            return tm_fail(err, TM_E_ARG,
                           "%s: tolerances.%s is of a field that the query does not "
                           "give",
                           s->where, field);
    }
    return TM_OK;
}

static enum tm_code relation_sql_error(const struct tm_relation_spec *s, struct tm_warehouse *w,
                                       struct tm_err *err)
{
    int code = sqlite3_errcode(w->db) & 0xff;
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return TM_E_AGAIN;
    if (code == SQLITE_NOMEM)
        return tm_fail(err, TM_E_NOMEM, "%s: out of memory", s->where);
    if (code == SQLITE_INTERRUPT)
        return tm_fail(err, TM_E_ARG,
                       "%s: the query did not end within the limit of %d million steps "
                       "(--steps-max raises it)",
                       s->where, w->looks_max);
    if (code == SQLITE_AUTH)
        return tm_fail(err, TM_E_ARG, "%s: the query may only read: %s", s->where,
                       sqlite3_errmsg(w->db));
    return tm_fail(err, TM_E_ARG, "%s: the query failed: %s", s->where, sqlite3_errmsg(w->db));
}

/* The user's own statement, alone and reading; *out_bytes: of its text without what ends it. */
static enum tm_code relation_prepare(sqlite3_stmt **out, size_t *out_bytes,
                                     const struct tm_relation_spec *s, struct tm_warehouse *w,
                                     struct tm_err *err)
{
    const char *tail = NULL;
    if (sqlite3_prepare_v2(w->db, s->query, -1, out, &tail) != SQLITE_OK)
        return relation_sql_error(s, w, err);
    size_t bytes = tail != NULL ? (size_t)(tail - s->query) : strlen(s->query);
    while (tail != NULL && *tail != '\0' && strchr("; \t\r\n", *tail) != NULL)
        tail++;
    if (*out == NULL || !sqlite3_stmt_readonly(*out) || (tail != NULL && *tail != '\0') ||
        sqlite3_column_count(*out) == 0)
        return tm_fail(err, TM_E_ARG, "%s: the query must be one SELECT", s->where);
    if (sqlite3_column_count(*out) > TM_SHOWN_COLUMNS_MAX)
        return tm_fail(err, TM_E_ARG, "%s: the query gives more than %d columns", s->where,
                       TM_SHOWN_COLUMNS_MAX);
    while (bytes > 0 && strchr("; \t\r\n", s->query[bytes - 1]) != NULL)
        bytes--;
    *out_bytes = bytes;
    return TM_OK;
}

/* The user's query with the condition put round it. */
static enum tm_code relation_within(struct tm_relation *r, size_t bytes,
                                    const struct relation_rows *rows, struct tm_err *err)
{
    struct tm_buf sql, id;
    const char *and = "";
    size_t i;
    json_t *one;
    tm_buf_init(&sql, RELATION_SQL_BYTES_MAX);
    tm_buf_init(&id, RELATION_SQL_BYTES_MAX);
    tm_sql_ident(&id, sqlite3_column_name(r->stmt, r->id_column));
    tm_buf_addf(&sql, "%sSELECT * FROM (", rows->explain ? "EXPLAIN QUERY PLAN " : "");
    tm_buf_add(&sql, r->spec->query, bytes);
    tm_buf_addz(&sql, "\n) WHERE ");
    if (rows->low != NULL || rows->explain) {
        tm_buf_addf(&sql, "%s COLLATE BINARY >= ", tm_buf_text(&id));
        tm_sql_literal(&sql, rows->low != NULL ? rows->low : "");
        and = " AND ";
    }
    if (rows->high != NULL) {
        tm_buf_addf(&sql, "%s%s COLLATE BINARY < ", and, tm_buf_text(&id));
        tm_sql_literal(&sql, rows->high);
    }
    if (rows->ids != NULL)
        tm_buf_addf(&sql, "%s IN (NULL", tm_buf_text(&id));
    json_array_foreach(rows->ids, i, one)
    { /* as 15 characters and as 18 */
        char shorter[16];
        snprintf(shorter, sizeof shorter, "%.15s", json_string_value(one));
        tm_buf_addz(&sql, ", ");
        tm_sql_literal(&sql, json_string_value(one));
        tm_buf_addz(&sql, ", ");
        tm_sql_literal(&sql, shorter);
    }
    if (rows->ids != NULL)
        tm_buf_addc(&sql, ')');
    enum tm_code rc = tm_buf_check(&sql, "a query", err);
    tm_sql_finalize(r->stmt);
    r->stmt = NULL;
    if (rc == TM_OK &&
        sqlite3_prepare_v2(r->warehouse->db, tm_buf_text(&sql), -1, &r->stmt, NULL) != SQLITE_OK)
        rc = relation_sql_error(r->spec, r->warehouse, err);
    tm_buf_free(&sql);
    tm_buf_free(&id);
    return rc;
}

enum tm_code relation_open(struct tm_relation **out, const struct tm_relation_spec *spec,
                           struct tm_warehouse *w, const struct relation_rows *rows,
                           struct tm_err *err)
{
    struct tm_relation *r = calloc(1, sizeof *r);
    size_t bytes = 0;
    if (r == NULL)
        return tm_fail(err, TM_E_NOMEM, "%s: a query", spec->where);
    r->spec = spec;
    r->warehouse = w;
    r->id_column = r->dirty_column = -1;
    w->looks = 0;
    enum tm_code rc = relation_prepare(&r->stmt, &bytes, spec, w, err);
    r->columns_count = rc == TM_OK ? sqlite3_column_count(r->stmt) : 0;
    for (int c = 0; rc == TM_OK && c < r->columns_count; c++)
        rc = relation_column(r, c, err);
    if (rc == TM_OK)
        rc = relation_given(r, err);
    if (rc == TM_OK &&
        (rows->low != NULL || rows->high != NULL || rows->ids != NULL || rows->explain))
        rc = relation_within(r, bytes, rows, err);
    if (rc == TM_OK)
        *out = r;
    else
        tm_relation_close(r);
    return rc;
}

enum tm_code tm_relation_open(struct tm_relation **out, const struct tm_relation_spec *spec,
                              struct tm_warehouse *w, const char *low, const char *high,
                              struct tm_err *err)
{
    const struct relation_rows rows = { .low = low, .high = high };
    return relation_open(out, spec, w, &rows, err);
}

enum tm_code tm_relation_open_ids(struct tm_relation **out, const struct tm_relation_spec *spec,
                                  struct tm_warehouse *w, const json_t *ids, struct tm_err *err)
{
    const struct relation_rows rows = { .ids = ids };
    return relation_open(out, spec, w, &rows, err);
}

void tm_relation_close(struct tm_relation *r)
{
    if (r == NULL)
        return;
    tm_sql_finalize(r->stmt);
    for (size_t i = 0; i < r->fields_count; i++)
        free(r->fields[i]);
    free(r);
}

/* ---- its rows ---- */

static uint64_t relation_number(double number, int scale)
{
    double unit = pow(10, scale);
    return tm_vhash_real(
        scale >= 0 && scale <= 18 && fabs(number) < 1e15 ? round(number * unit) / unit : number);
}

/* A text that stands for a value of another type; false: it is none. */
static bool relation_typed(uint64_t *out, const char *text, const struct tm_relation_column *c)
{
    char id[TM_ID_BYTES], *end = NULL;
    int64_t ms;
    switch (c->kind) {
    case TM_FIELD_BOOLEAN:
        *out = tm_vhash_int(1);
        if (strcasecmp(text, "true") == 0 || strcasecmp(text, "t") == 0 || strcmp(text, "1") == 0)
            return true;
        *out = tm_vhash_int(0);
        return strcasecmp(text, "false") == 0 || strcasecmp(text, "f") == 0 ||
               strcmp(text, "0") == 0;
    case TM_FIELD_INT:
    case TM_FIELD_NUMBER: {
        double number = strtod(text, &end);
        *out = relation_number(number, c->kind == TM_FIELD_INT ? 0 : c->scale);
        return end != text && *end == '\0';
    }
    case TM_FIELD_DATETIME:
        if (tm_time_parse(&ms, text, NULL) != TM_OK) {
            ms = strtoll(text, &end, 10); /* epoch ms as text */
            if (end == text || *end != '\0')
                return false;
        }
        *out = tm_vhash_int(ms);
        return true;
    case TM_FIELD_ID:
        if (tm_id18(id, text, NULL) != TM_OK)
            return false;
        *out = tm_vhash_text(id, 18);
        return true;
    case TM_FIELD_DATE:
        if (strlen(text) <= 10 || text[4] != '-' || text[7] != '-')
            return false;
        *out = tm_vhash_text(text, 10);
        return true;
    case TM_FIELD_TEXT:
    case TM_FIELD_TIME:
    case TM_FIELD_COMPOUND: break;
    }
    return false;
}

/* The user's value in canonical form, as its hash. A value is taken once and asked by itself: for a
 * connection of one thread that is safe, and half the cost of asking the statement each time. */
static uint64_t relation_hash(sqlite3_value *value, const struct tm_relation_column *c)
{
    uint64_t hash;
    const char *text;
    switch (sqlite3_value_type(value)) {
    case SQLITE_NULL: return TM_VHASH_NULL;
    case SQLITE_INTEGER: hash = tm_vhash_int(sqlite3_value_int64(value)); break;
    case SQLITE_FLOAT:
        hash = c->kind == TM_FIELD_NUMBER ? relation_number(sqlite3_value_double(value), c->scale)
                                          : tm_vhash_real(sqlite3_value_double(value));
        break;
    case SQLITE_BLOB:
        return tm_vhash_text(sqlite3_value_blob(value), (size_t)sqlite3_value_bytes(value));
    default:
        text = (const char *)sqlite3_value_text(value);
        if (text == NULL)
            return TM_VHASH_NULL;
        if (c->kind == TM_FIELD_TEXT || !relation_typed(&hash, text, c))
            return tm_tolerance_text(&c->tolerance, text, (size_t)sqlite3_value_bytes(value));
    }
    return c->tolerance.empty ? tm_tolerance_value(&c->tolerance, hash) : hash;
}

static enum tm_code relation_id(const struct tm_relation *r, char out[20], const char *expected,
                                struct tm_err *err)
{
    sqlite3_value *value = sqlite3_column_value(r->stmt, r->id_column);
    const char *text = (const char *)sqlite3_value_text(value);
    memset(out, 0, 20);
    if (expected != NULL && text != NULL && sqlite3_value_bytes(value) == 18 &&
        memcmp(text, expected, 18) == 0) {
        memcpy(out, text, 18);
        return TM_OK;
    }
    if (text == NULL || tm_id18(out, text, NULL) != TM_OK)
        return tm_fail(err, TM_E_ARG, "%s: row %llu has the Id \"%.30s\", which is no record id",
                       r->spec->where, (unsigned long long)r->rows + 1,
                       text == NULL ? "(null)" : text);
    return TM_OK;
}

enum tm_code tm_relation_step(struct tm_relation *r, bool *out_row, struct tm_relation_row *out,
                              uint64_t *values, const char *expected, struct tm_err *err)
{
    int code = sqlite3_step(r->stmt);
    *out_row = code == SQLITE_ROW;
    if (code == SQLITE_DONE)
        return TM_OK;
    if (code != SQLITE_ROW)
        return relation_sql_error(r->spec, r->warehouse, err);
    enum tm_code rc = relation_id(r, out->id, expected, err);
    if (rc != TM_OK)
        return rc;
    r->rows++;
    out->dirty = r->dirty_column >= 0 && sqlite3_column_int(r->stmt, r->dirty_column) != 0;
    for (int c = 0; c < r->columns_count; c++)
        if (r->columns[c].field != NULL)
            values[r->columns[c].index] =
                relation_hash(sqlite3_column_value(r->stmt, c), &r->columns[c]);
    return TM_OK;
}

static int relation_column_of(const struct tm_relation *r, size_t field)
{
    int c = 0;
    while (r->columns[c].field == NULL || r->columns[c].index != field)
        c++;
    assert(c < r->columns_count);
    return c;
}

json_t *tm_relation_value(const struct tm_relation *r, size_t field)
{
    int c = relation_column_of(r, field);
    switch (sqlite3_column_type(r->stmt, c)) {
    case SQLITE_NULL: return json_null();
    case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(r->stmt, c));
    case SQLITE_FLOAT: return json_real(sqlite3_column_double(r->stmt, c));
    default: break;
    }
    json_t *text = json_string((const char *)sqlite3_column_text(r->stmt, c));
    return text == NULL ? json_string("(not UTF-8)") : text;
}

uint64_t tm_relation_trimmed(const struct tm_relation *r, size_t field)
{
    static const struct tm_tolerance trim = { .trim = true };
    int c = relation_column_of(r, field);
    const char *text = (const char *)sqlite3_column_text(r->stmt, c);
    return text == NULL ? TM_VHASH_NULL
                        : tm_tolerance_text(&trim, text, (size_t)sqlite3_column_bytes(r->stmt, c));
}
