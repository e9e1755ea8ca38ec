#include "check/after.h"
#include "base/config.h"
#include "base/text.h"
#include "check/diff.h"
#include "check/vhash.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* the one read of the warehouse: after every commit */
#define AFTER_READ_NS (INT64_MAX / 4)
#define AFTER_PROGRESS_OPS 1000000 /* SQLite steps between two looks at the limit */
/* older values of a field tried against a tolerance */
#define AFTER_TOLERANCE_WALK_MAX 200
#define AFTER_EXAMPLES_MAX 20

struct after_column {             /* one column of the user's query */
    const struct tm_field *field; /* NULL: not compared */
    uint32_t shown;
    int truth;        /* -1: no version ever named it */
    double tolerance; /* ms or number; 0 = exact */
};
struct after_work {
    const struct tm_after_args *args;
    sqlite3 *db;
    struct tm_truth *truth;
    struct tm_shown *shown;
    json_t *map, *given;
    const char *objects[TM_TRUTH_OBJECTS_MAX];
    size_t objects_count;
    uint64_t rows[TM_TRUTH_OBJECTS_MAX], duplicates;
    char duplicate[20];
    struct after_column columns[TM_SHOWN_COLUMNS_MAX];
    int id_column, dirty_column, looks, looks_max;
};

static int after_authorize(void *self, int action, const char *a, const char *b, const char *db,
                           const char *trigger)
{
    (void)self;
    (void)a;
    (void)db;
    (void)trigger;
    if (action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    if (action == SQLITE_FUNCTION && b != NULL && sqlite3_stricmp(b, "load_extension") != 0)
        return SQLITE_OK;
    return SQLITE_DENY;
}

static int after_progress(void *self)
{
    struct after_work *w = self;
    return ++w->looks > w->looks_max;
}

static enum tm_code after_tolerance(double *out, const json_t *value, const char *where,
                                    const char *field, struct tm_err *err)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "ms", 1 },    { "s", 1e3 },    { "m", 6e4 },
                  { "h", 3.6e6 }, { "d", 8.64e7 }, { "", 1 } };
    *out = json_number_value(value);
    if (json_is_number(value) && *out >= 0)
        return TM_OK;
    char *end = NULL;
    const char *text = json_string_value(value);
    *out = text == NULL ? -1 : strtod(text, &end);
    for (size_t i = 0; text != NULL && end != text && i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0 && *out >= 0) {
            *out *= units[i].ms;
            return TM_OK;
        }
    return tm_fail(err, TM_E_ARG,
                   "%s: the tolerance of %s must be a number or a time such as \"1s\"", where,
                   field);
}

/* The field a column of the query stands for: by `columns`, else by its own name. */
static const struct tm_field *after_field(const struct tm_describe *d, const json_t *columns,
                                          const char *column)
{
    const char *field;
    json_t *name;
    json_object_foreach((json_t *)(uintptr_t)columns, field,
                        name) if (strcasecmp(json_string_value(name), column) ==
                                  0) return tm_describe_field(d, field);
    const struct tm_field *f = tm_describe_field(d, column);
    return f == NULL || json_object_get(columns, f->name) != NULL ? NULL : f;
}

static enum tm_code after_spec(const json_t *spec, const struct tm_describe *d, const char *where,
                               struct tm_err *err)
{
    static const char *const keys[] = { "query", "columns", "tolerances" };
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)spec, key, value)
    {
        const char *near = tm_nearest(key, keys, 3);
        if (strcmp(key, keys[0]) != 0 && strcmp(key, keys[1]) != 0 && strcmp(key, keys[2]) != 0)
            return tm_fail(err, TM_E_ARG, "%s: unknown key \"%.60s\"%s%s%s", where, key,
                           near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    }
    if (!json_is_string(json_object_get(spec, "query")))
        return tm_fail(err, TM_E_ARG, "%s: \"query\" must be a SELECT as text", where);
    for (int i = 1; i < 3; i++) {
        const json_t *map = json_object_get(spec, keys[i]);
        if (map != NULL && !json_is_object(map))
            return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be an object of fields", where, keys[i]);
        json_object_foreach((json_t *)(uintptr_t)map, key, value)
        {
            if (tm_describe_field(d, key) == NULL)
                return tm_fail(err, TM_E_ARG, "%s: %s names the unknown field \"%.60s\"", where,
                               keys[i], key);
            if (i == 1 && !json_is_string(value))
                return tm_fail(err, TM_E_ARG, "%s: columns.%s must name a column of the query",
                               where, key);
            double ignored;
            if (i == 2 && after_tolerance(&ignored, value, where, key, err) != TM_OK)
                return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code after_columns(struct after_work *w, sqlite3_stmt *stmt, int object,
                                  const json_t *spec, const struct tm_describe *d,
                                  const char *where, struct tm_err *err)
{
    const json_t *columns = json_object_get(spec, "columns"),
                 *tolerances = json_object_get(spec, "tolerances");
    const struct tm_truth_object *to = &w->truth->objects[tm_truth_object(w->truth, d->object)];
    int count = sqlite3_column_count(stmt);
    const char *field;
    json_t *value;
    w->id_column = w->dirty_column = -1;
    for (int c = 0; c < count && c < TM_SHOWN_COLUMNS_MAX; c++) {
        const char *name = sqlite3_column_name(stmt, c);
        const struct tm_field *f = after_field(d, columns, name);
        struct after_column *ac = &w->columns[c];
        *ac = (struct after_column){ .truth = -1 };
        if (strcmp(name, "_dirty") == 0)
            w->dirty_column = c;
        if (f != NULL && strcasecmp(f->name, "Id") == 0)
            w->id_column = c;
        if (f == NULL || strcasecmp(f->name, "Id") == 0)
            continue;
        ac->field = f;
        ac->truth = tm_truth_column(to, f->name);
        enum tm_code rc = tm_shown_column(w->shown, object, f->name, &ac->shown, err);
        const json_t *tolerance = json_object_get(tolerances, f->name);
        if (rc == TM_OK && tolerance != NULL)
            rc = after_tolerance(&ac->tolerance, tolerance, where, f->name, err);
        if (rc != TM_OK)
            return rc;
    }
    if (w->id_column < 0)
        return tm_fail(err, TM_E_ARG,
                       "%s: the query gives no Id (map it with \"columns\": {\"Id\": \"…\"})",
                       where);
    json_object_foreach((json_t *)(uintptr_t)columns, field, value)
    {
        int c = 0;
        while (c < count && strcasecmp(sqlite3_column_name(stmt, c), json_string_value(value)) != 0)
            c++;
        if (c == count)
            return tm_fail(err, TM_E_ARG,
                           "%s: columns.%s names \"%.60s\", which the query does not give", where,
                           field, json_string_value(value));
    }
    return TM_OK;
}

static uint64_t after_number(double number, int scale)
{
    double unit = pow(10, scale);
    return tm_vhash_real(
        scale >= 0 && scale <= 18 && fabs(number) < 1e15 ? round(number * unit) / unit : number);
}

/* The user's value in canonical form, as its hash. What cannot be read as the field's type keeps
 * its own spelling. */
static uint64_t after_value(sqlite3_stmt *stmt, int c, const struct tm_field *f)
{
    const char *text = sqlite3_column_type(stmt, c) == SQLITE_TEXT
                           ? (const char *)sqlite3_column_text(stmt, c)
                           : NULL;
    char id[TM_ID_BYTES], *end = NULL;
    int64_t ms;
    if (text == NULL) {
        if (f->kind == TM_FIELD_NUMBER && sqlite3_column_type(stmt, c) == SQLITE_FLOAT)
            return after_number(sqlite3_column_double(stmt, c), f->scale);
        return tm_vhash_column(stmt, c);
    }
    switch (f->kind) {
    case TM_FIELD_BOOLEAN:
        if (strcasecmp(text, "true") == 0 || strcasecmp(text, "t") == 0 || strcmp(text, "1") == 0)
            return tm_vhash_int(1);
        if (strcasecmp(text, "false") == 0 || strcasecmp(text, "f") == 0 || strcmp(text, "0") == 0)
            return tm_vhash_int(0);
        break;
    case TM_FIELD_INT:
    case TM_FIELD_NUMBER: {
        double number = strtod(text, &end);
        if (end != text && *end == '\0')
            return after_number(number, f->kind == TM_FIELD_INT ? 0 : f->scale);
        break;
    }
    case TM_FIELD_DATETIME:
        if (tm_time_parse(&ms, text, NULL) == TM_OK)
            return tm_vhash_int(ms);
        break;
    case TM_FIELD_ID:
        if (tm_id18(id, text, NULL) == TM_OK)
            return tm_vhash_text(id, strlen(id));
        break;
    case TM_FIELD_DATE:
        if (strlen(text) > 10 && text[4] == '-' && text[7] == '-')
            return tm_vhash_text(text, 10);
        break;
    default: break;
    }
    return tm_vhash_column(stmt, c);
}

static bool after_number_of(sqlite3_stmt *stmt, int c, const struct tm_field *f, double *out)
{
    int type = sqlite3_column_type(stmt, c);
    int64_t ms;
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
        *out = sqlite3_column_double(stmt, c);
        return true;
    }
    if (type != SQLITE_TEXT)
        return false;
    const char *text = (const char *)sqlite3_column_text(stmt, c);
    if (f->kind == TM_FIELD_DATETIME && tm_time_parse(&ms, text, NULL) == TM_OK) {
        *out = (double)ms;
        return true;
    }
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

/* Within the tolerance of a value the field held, newest first: then it counts as that value. */
static uint64_t after_tolerated(struct after_work *w, const struct after_column *ac,
                                uint32_t record, sqlite3_stmt *stmt, int c, uint64_t hash)
{
    double shown, held;
    if (record == TM_TRUTH_NONE || ac->truth < 0 || !after_number_of(stmt, c, ac->field, &shown))
        return hash;
    const struct tm_truth_record *r = &w->truth->records[record];
    const struct tm_truth_object *o = &w->truth->objects[r->object];
    uint32_t d = o->heads[(size_t)r->local * o->width + (size_t)ac->truth];
    for (int i = 0; d != TM_TRUTH_NONE && i < AFTER_TOLERANCE_WALK_MAX;
         i++, d = w->truth->deltas[d].prev) {
        json_t *value =
            tm_truth_value(w->truth, w->truth->deltas[d].version, o->columns[ac->truth]);
        bool number = json_is_number(value);
        held = json_number_value(value);
        json_decref(value);
        if (number && fabs(held - shown) <= ac->tolerance)
            return w->truth->deltas[d].hash;
    }
    return hash;
}

static enum tm_code after_row(struct after_work *w, sqlite3_stmt *stmt, int object,
                              int truth_object, const char *where, struct tm_err *err)
{
    uint64_t values[TM_SHOWN_COLUMNS_MAX] = { 0 };
    char id[TM_ID_BYTES];
    uint32_t row, record;
    const char *text = (const char *)sqlite3_column_text(stmt, w->id_column);
    if (text == NULL || tm_id18(id, text, NULL) != TM_OK)
        return tm_fail(err, TM_E_ARG, "%s: row %llu has the Id \"%.30s\", which is no record id",
                       where, (unsigned long long)w->rows[object] + 1,
                       text == NULL ? "(null)" : text);
    w->rows[object]++;
    record = tm_truth_record(w->truth, truth_object, id);
    enum tm_code rc = tm_shown_row(w->shown, object, id, &row, err);
    if (rc != TM_OK)
        return rc;
    if (w->shown->rows[row].first != TM_SHOWN_NONE && w->duplicates++ == 0)
        strcpy(w->duplicate, id);
    for (int c = 0; c < sqlite3_column_count(stmt); c++) {
        const struct after_column *ac = &w->columns[c];
        if (ac->field == NULL)
            continue;
        values[ac->shown] = after_value(stmt, c, ac->field);
        if (ac->tolerance > 0)
            values[ac->shown] = after_tolerated(w, ac, record, stmt, c, values[ac->shown]);
    }
    unsigned flags = TM_SHOWN_PRESENT;
    if (w->dirty_column >= 0 && sqlite3_column_int(stmt, w->dirty_column) != 0)
        flags |= TM_SHOWN_DIRTY;
    return tm_shown_set(w->shown, row, flags, values, w->shown->objects[object].columns_count, 0,
                        AFTER_READ_NS, 0, NULL, err);
}

static enum tm_code after_sql_error(struct after_work *w, const char *where, struct tm_err *err)
{
    int code = sqlite3_errcode(w->db) & 0xff;
    if (code == SQLITE_INTERRUPT)
        return tm_fail(err, TM_E_ARG,
                       "%s: the query did not end within the limit of %d million steps "
                       "(--steps-max raises it)",
                       where, w->looks_max);
    if (code == SQLITE_AUTH)
        return tm_fail(err, TM_E_ARG, "%s: the query may only read: %s", where,
                       sqlite3_errmsg(w->db));
    return tm_fail(err, TM_E_ARG, "%s: the query failed: %s", where, sqlite3_errmsg(w->db));
}

static enum tm_code after_prepare(struct after_work *w, sqlite3_stmt **out, const json_t *spec,
                                  const char *where, struct tm_err *err)
{
    const char *tail = NULL;
    if (sqlite3_prepare_v2(w->db, json_string_value(json_object_get(spec, "query")), -1, out,
                           &tail) != SQLITE_OK)
        return after_sql_error(w, where, err);
    while (tail != NULL && (*tail == ';' || *tail == ' ' || *tail == '\n'))
        tail++;
    if (*out == NULL || !sqlite3_stmt_readonly(*out) || (tail != NULL && *tail != '\0'))
        return tm_fail(err, TM_E_ARG, "%s: the query must be one SELECT", where);
    return TM_OK;
}

static enum tm_code after_object(struct after_work *w, const char *name, const json_t *spec,
                                 struct tm_err *err)
{
    char where[300];
    int object = 0, truth_object = tm_truth_object(w->truth, name), code = SQLITE_DONE;
    sqlite3_stmt *stmt = NULL;
    snprintf(where, sizeof where, "%.200s: %.80s", w->args->relations, name);
    if (truth_object < 0 || tm_truth_describe_last(&w->truth->objects[truth_object]) == NULL) {
        const char *known[TM_TRUTH_OBJECTS_MAX];
        for (size_t i = 0; i < w->truth->objects_count; i++)
            known[i] = w->truth->objects[i].name;
        const char *near = tm_nearest(name, known, w->truth->objects_count);
        return tm_fail(err, TM_E_ARG, "%s: the org has no such object%s%s%s", where,
                       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    }
    const struct tm_describe *d = tm_truth_describe_last(&w->truth->objects[truth_object]);
    enum tm_code rc = json_is_object(spec)
                          ? after_spec(spec, d, where, err)
                          : tm_fail(err, TM_E_ARG, "%s: must be {\"query\": …}", where);
    if (rc == TM_OK)
        rc = tm_shown_object(w->shown, name, &object, err);
    if (rc == TM_OK)
        rc = after_prepare(w, &stmt, spec, where, err);
    if (rc == TM_OK)
        rc = after_columns(w, stmt, object, spec, d, where, err);
    while (rc == TM_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW)
        rc = after_row(w, stmt, object, truth_object, where, err);
    if (rc == TM_OK && code != SQLITE_DONE)
        rc = after_sql_error(w, where, err);
    sqlite3_finalize(stmt);
    w->objects[w->objects_count++] = name;
    return rc;
}

/* The values of differing rows, as the query gives them, for the examples. */
static enum tm_code after_values(struct after_work *w, const struct tm_match *m, struct tm_err *err)
{
    json_t *wanted = json_object();
    const char *name;
    json_t *spec;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < m->differences_count && i < TM_DIFF_DETAILS_MAX; i++)
        if (m->differences[i].record != TM_TRUTH_NONE)
            json_object_set_new(wanted, w->truth->records[m->differences[i].record].id,
                                json_true());
    json_object_foreach(w->map, name, spec)
    {
        sqlite3_stmt *stmt = NULL;
        int object;
        char id[TM_ID_BYTES];
        const struct tm_describe *d =
            tm_truth_describe_last(&w->truth->objects[tm_truth_object(w->truth, name)]);
        rc = tm_shown_object(w->shown, name, &object, err);
        if (rc == TM_OK)
            rc = after_prepare(w, &stmt, spec, name, err);
        if (rc == TM_OK)
            rc = after_columns(w, stmt, object, spec, d, name, err);
        while (rc == TM_OK && json_object_size(wanted) > 0 && sqlite3_step(stmt) == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(stmt, w->id_column);
            if (text == NULL || tm_id18(id, text, NULL) != TM_OK ||
                json_object_get(wanted, id) == NULL)
                continue;
            json_t *values = json_object();
            for (int c = 0; c < sqlite3_column_count(stmt); c++) {
                if (w->columns[c].field == NULL)
                    continue;
                int type = sqlite3_column_type(stmt, c);
                json_object_set_new(values, w->columns[c].field->name,
                                    type == SQLITE_NULL ? json_null()
                                    : type == SQLITE_INTEGER
                                        ? json_integer(sqlite3_column_int64(stmt, c))
                                    : type == SQLITE_FLOAT
                                        ? json_real(sqlite3_column_double(stmt, c))
                                        : json_string((const char *)sqlite3_column_text(stmt, c)));
            }
            json_object_set_new(w->given, id, values);
        }
        sqlite3_finalize(stmt);
        if (rc != TM_OK)
            break;
    }
    json_decref(wanted);
    return rc;
}

static void after_count(const struct after_work *w, const struct tm_match *m, const json_t *diff,
                        int object, int64_t out[TM_ROW_CLASSES], int64_t *out_org)
{
    const struct tm_coverage *c = &m->coverage[object];
    size_t i;
    json_t *one;
    memset(out, 0, TM_ROW_CLASSES * sizeof *out);
    *out_org = 0;
    for (size_t r = 0; r < w->truth->records_count; r++)
        *out_org += w->truth->records[r].object == c->truth &&
                    !tm_truth_is_gone(w->truth->versions[w->truth->records[r].last].change);
    json_array_foreach(diff, i, one)
    {
        if (strcasecmp(json_string_value(json_object_get(one, "object")), w->objects[object]) != 0)
            continue;
        for (int k = 1; k < TM_ROW_CLASSES; k++)
            out[k] += strcmp(json_string_value(json_object_get(one, "class")),
                             tm_row_class_name((enum tm_row_class)k)) == 0;
    }
    out[TM_ROW_EQUAL] =
        *out_org - out[TM_ROW_MISSING] - out[TM_ROW_STALE] - out[TM_ROW_MIXED] - out[TM_ROW_WRONG];
}

/* Records the org ever held of the object, the deleted ones too: a phantom of one would be seen. */
static size_t after_known(const struct after_work *w, const struct tm_match *m, size_t object)
{
    size_t known = 0;
    for (size_t r = 0; r < w->truth->records_count; r++)
        known += w->truth->records[r].object == m->coverage[object].truth;
    return known;
}

/* What was not looked at, in words. True when that leaves no verdict: an object without a column,
 * or nothing at all; one empty object among others is only told. */
static bool after_unseen(const struct after_work *w, const struct tm_match *m, json_t *reasons)
{
    size_t empty = 0, blind = 0;
    for (size_t o = 0; o < w->objects_count; o++) {
        if (w->rows[o] == 0 && after_known(w, m, o) == 0) {
            empty++;
            json_array_append_new(
                reasons, json_sprintf("nothing to compare of %s: the org never held a record and "
                                      "the query returned none",
                                      w->objects[o]));
        } else if (m->coverage[o].count == 0) {
            blind++;
            json_array_append_new(
                reasons,
                json_sprintf("no column of %s could be compared: let the query give fields "
                             "of the object, or name them under \"columns\"",
                             w->objects[o]));
        }
    }
    return blind > 0 || empty == w->objects_count;
}

static json_t *after_report(const struct after_work *w, const struct tm_match *m,
                            const json_t *diff, int *out_exit)
{
    json_t *objects = json_object(), *examples = json_array(), *reasons = json_array();
    for (size_t o = 0; o < w->objects_count; o++) {
        int64_t rows[TM_ROW_CLASSES], org;
        json_t *one = json_object(), *names = json_array();
        after_count(w, m, diff, (int)o, rows, &org);
        json_object_set_new(one, "org_rows", json_integer(org));
        json_object_set_new(one, "shown_rows", json_integer((json_int_t)w->rows[o]));
        for (int k = 0; k < TM_ROW_CLASSES; k++)
            json_object_set_new(one, tm_row_class_name((enum tm_row_class)k),
                                json_integer(rows[k]));
        for (size_t k = 0; k < m->coverage[o].count; k++)
            json_array_append_new(names, json_string(m->coverage[o].names[k]));
        json_object_set_new(one, "compared", names);
        json_object_set(one, "left_out", m->coverage[o].left_out);
        json_object_set_new(objects, w->objects[o], one);
    }
    for (size_t i = 0; i < json_array_size(diff) && i < AFTER_EXAMPLES_MAX; i++)
        json_array_append(examples, json_array_get(diff, i));
    if (m->differences_count > 0)
        json_array_append_new(reasons, json_sprintf("%zu rows differ", m->differences_count));
    if (w->duplicates > 0)
        json_array_append_new(reasons,
                              json_sprintf("%llu rows have an Id that came before, the first is %s",
                                           (unsigned long long)w->duplicates, w->duplicate));
    bool unseen = after_unseen(w, m, reasons);
    *out_exit = m->differences_count > 0 || w->duplicates > 0 ? 1 : unseen ? 2 : 0;
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "tidemark", "1", "verdict",
                     *out_exit == 1   ? "fail"
                     : *out_exit == 2 ? "inconclusive"
                                      : "pass",
                     "reasons", reasons, "objects", objects, "examples", examples);
}

static void after_print_value(FILE *out, const json_t *value)
{
    char *text = json_dumps(value == NULL ? json_null() : value, JSON_ENCODE_ANY | JSON_COMPACT);
    fprintf(out, "%.60s", text == NULL ? "?" : text);
    free(text);
}

static void after_print(FILE *out, const json_t *report)
{
    const char *name;
    json_t *one, *field;
    size_t i, k;
    fprintf(out, "%-24s %9s %9s %9s %8s %8s %8s %8s %8s\n", "object", "org", "shown", "equal",
            "missing", "phantom", "stale", "mixed", "wrong");
    json_object_foreach(json_object_get(report, "objects"), name, one)
    {
        static const char *const keys[] = { "org_rows", "shown_rows", "equal", "missing",
                                            "phantom",  "stale",      "mixed", "wrong" };
        fprintf(out, "%-24s", name);
        for (i = 0; i < 8; i++)
            fprintf(out, i < 3 ? " %9lld" : " %8lld",
                    (long long)json_integer_value(json_object_get(one, keys[i])));
        fprintf(out, "\n");
    }
    json_array_foreach(json_object_get(report, "examples"), i, one)
    {
        fprintf(out, "%s %s %s", json_string_value(json_object_get(one, "class")),
                json_string_value(json_object_get(one, "object")),
                json_string_value(json_object_get(one, "id")));
        if (json_object_get(one, "first_pos") == NULL)
            fprintf(out, ": the org never had it");
        else
            fprintf(out, ": since the %s at position %lld",
                    json_string_value(json_object_get(one, "first_change")),
                    (long long)json_integer_value(json_object_get(one, "first_pos")));
        json_array_foreach(json_object_get(one, "fields"), k, field)
        {
            fprintf(out, "%s %s: the org holds ", k == 0 ? ";" : ",",
                    json_string_value(json_object_get(field, "field")));
            after_print_value(out, json_object_get(field, "expected"));
            fprintf(out, ", shown is ");
            after_print_value(out, json_object_get(field, "shown"));
        }
        fprintf(out, "\n");
    }
    fprintf(out, "%s", json_string_value(json_object_get(report, "verdict")));
    json_array_foreach(json_object_get(report, "reasons"), i, one)
        fprintf(out, "%s %s", i == 0 ? ":" : ";", json_string_value(one));
    fprintf(out, "\n");
}

static enum tm_code after_load(struct after_work *w, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    size_t rows = 1;
    if (access(w->args->org, R_OK) != 0)
        return tm_fail(err, TM_E_ARG,
                       "cannot read %s: is it the org.db that `tidemark serve` or `run` wrote?",
                       w->args->org);
    if (access(w->args->warehouse, R_OK) != 0)
        return tm_fail(err, TM_E_ARG, "cannot read the warehouse %s", w->args->warehouse);
    rc = tm_json_load(&w->map, w->args->relations, err);
    if (rc == TM_OK && (!json_is_object(w->map) || json_object_size(w->map) == 0 ||
                        json_object_size(w->map) > TM_TRUTH_OBJECTS_MAX))
        rc = tm_fail(err, TM_E_ARG, "%s: must be an object of {object: {\"query\": …}}",
                     w->args->relations);
    if (rc == TM_OK)
        rc = tm_truth_open(&w->truth, w->args->org, err);
    while (rc == TM_OK && rows > 0)
        rc = tm_truth_tail(w->truth, 100000, &rows, err);
    if (rc == TM_E_AGAIN)
        rc = tm_fail(err, TM_E_ARG, "%s is no org database (or another process is changing it)",
                     w->args->org);
    if (rc == TM_OK)
        rc = tm_sql_open(&w->db, w->args->warehouse, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = tm_shown_open(&w->shown, err);
    return rc;
}

enum tm_code tm_after_check(const struct tm_after_args *args, FILE *out, int *out_exit,
                            struct tm_err *err)
{
    struct after_work w = { .args = args,
                            .given = json_object(),
                            .looks_max =
                                args->steps_max > 0 ? args->steps_max : TM_AFTER_STEPS_MAX };
    struct tm_timing timing = { .kind = TM_PIPELINE_STREAM, .compress = 1 };
    struct tm_match *m = NULL;
    json_t *diff = NULL, *report = NULL, *spec;
    const char *name;
    enum tm_code rc = after_load(&w, err);
    if (rc == TM_OK) {
        sqlite3_set_authorizer(w.db, after_authorize, &w);
        sqlite3_progress_handler(w.db, AFTER_PROGRESS_OPS, after_progress, &w);
        json_object_foreach(w.map, name, spec)
        {
            rc = after_object(&w, name, spec, err);
            if (rc != TM_OK)
                break;
        }
    }
    for (size_t i = 0; rc == TM_OK && i < w.truth->versions_count; i++)
        timing.end_us = w.truth->versions[i].intended_ms * 1000 > timing.end_us
                            ? w.truth->versions[i].intended_ms * 1000
                            : timing.end_us;
    timing.end_us += 1000000;
    timing.start_us = timing.end_us - 1;
    if (rc == TM_OK)
        rc = tm_match_make(&m, w.truth, w.shown, &timing, w.objects, w.objects_count, err);
    if (rc == TM_OK && m->differences_count > 0)
        rc = after_values(&w, m, err);
    if (rc == TM_OK)
        rc = tm_diff_json(&diff, w.truth, m, w.shown, NULL, w.given, err);
    if (rc == TM_OK) {
        report = after_report(&w, m, diff, out_exit);
        if (args->json)
            json_dumpf(report, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
        else
            after_print(out, report);
        if (args->json)
            fputc('\n', out);
    }
    tm_match_close(m);
    json_decref(report);
    json_decref(diff);
    json_decref(w.map);
    json_decref(w.given);
    tm_shown_close(w.shown);
    tm_truth_close(w.truth);
    tm_sql_close(w.db);
    return rc;
}
