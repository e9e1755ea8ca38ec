#include "check/truth.h"
#include "base/json_kept.h"
#include "base/text.h"
#include "check/tolerance.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const truth_changes[TM_TRUTH_CHANGES] = { "CREATE", "UPDATE", "DELETE",
                                                             "UNDELETE", "HARD_DELETE" };
const char *const tm_truth_event_words[] = { "CREATE",     "UPDATE",       "DELETE",
                                             "UNDELETE",   "GAP_CREATE",   "GAP_UPDATE",
                                             "GAP_DELETE", "GAP_UNDELETE", "GAP_OVERFLOW",
                                             NULL };

#define TRUTH_COLUMNS                                                                              \
    "SELECT pos, object, id, version, txn, org_ms, intended_ms, intended_ns, actual_ns, change, "  \
    "event, replay_id, fields FROM history "
static const char truth_tail_sql[] = TRUTH_COLUMNS "WHERE pos > ?1 ORDER BY pos LIMIT ?2";
static const char truth_one_sql[] = TRUTH_COLUMNS "WHERE object = ?1 AND id = ?2 ORDER BY version";

#define TRUTH_SLOTS (1u << 12) /* to begin with; a power of two */

bool tm_truth_is_gone(uint8_t change)
{
    return change == TM_TRUTH_DELETE || change == TM_TRUTH_HARD_DELETE;
}

const char *tm_truth_change_name(uint8_t change)
{
    assert(change < TM_TRUTH_CHANGES);
    return truth_changes[change];
}

/* db: owned from here on, also after an error, unless borrowed. */
static enum tm_code truth_make(struct tm_truth **out, sqlite3 *db, bool borrowed,
                               struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_err quiet = { 0 };
    struct tm_truth *t = calloc(1, sizeof *t);
    if (t == NULL) {
        if (!borrowed)
            tm_sql_close(db);
        return tm_fail(err, TM_E_NOMEM, "truth: %zu bytes", sizeof *t);
    }
    t->db = db;
    t->borrowed = borrowed;
    if (tm_sql_prepare(&t->tail, t->db, truth_tail_sql, &quiet) != TM_OK ||
        tm_sql_prepare(
            &t->describes, t->db,
            "SELECT rowid, object, from_pos, json FROM describe WHERE rowid > ?1 ORDER BY rowid",
            &quiet) != TM_OK) {
        rc = TM_E_AGAIN;
        goto done;
    }
    t->slots_cap = TRUTH_SLOTS;
    t->slots = malloc(t->slots_cap * sizeof *t->slots);
    if (t->slots == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "truth: %zu slots", t->slots_cap);
        goto done;
    }
    memset(t->slots, 0xff, t->slots_cap * sizeof *t->slots);
    *out = t;
    t = NULL;
done:
    tm_truth_close(t);
    return rc;
}

enum tm_code tm_truth_on(struct tm_truth **out, sqlite3 *db, struct tm_err *err)
{
    return truth_make(out, db, true, err);
}

enum tm_code tm_truth_open(struct tm_truth **out, const char *path, struct tm_err *err)
{
    struct tm_err quiet = { 0 };
    sqlite3 *db = NULL;
    if (tm_sql_open(&db, path, TM_SQL_READ, &quiet) != TM_OK)
        return TM_E_AGAIN; /* not made yet, or being made */
    /* a mapped file would only count as the witness's memory */
    sqlite3_exec(db, "PRAGMA mmap_size=0", NULL, NULL, NULL);
    return truth_make(out, db, false, err);
}

void tm_truth_close(struct tm_truth *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->objects_count; i++) {
        struct tm_truth_object *o = &t->objects[i];
        for (size_t d = 0; d < o->describes_count; d++)
            tm_describe_close(o->describes[d].describe);
        free(o->describes);
        free(o->columns);
        free(o->heads);
    }
    free(t->records);
    free(t->versions);
    free(t->deltas);
    free(t->again);
    free(t->positions);
    free(t->trimmed);
    free(t->slots);
    sqlite3_finalize(t->tail);
    sqlite3_finalize(t->describes);
    if (!t->borrowed)
        tm_sql_close(t->db);
    free(t);
}

int tm_truth_object(const struct tm_truth *t, const char *name)
{
    for (size_t i = 0; i < t->objects_count; i++)
        if (strcasecmp(t->objects[i].name, name) == 0)
            return (int)i;
    return -1;
}

int tm_truth_column(const struct tm_truth_object *o, const char *name)
{
    for (size_t i = 0; i < o->columns_count; i++) /* few names begin alike */
        if (((o->columns[i][0] ^ name[0]) & ~0x20) == 0 && strcasecmp(o->columns[i], name) == 0)
            return (int)i;
    return -1;
}

const struct tm_describe *tm_truth_describe_last(const struct tm_truth_object *o)
{
    return o->describes_count == 0 ? NULL : o->describes[o->describes_count - 1].describe;
}

static enum tm_code truth_object_add(struct tm_truth *t, const char *name, int *out,
                                     struct tm_err *err)
{
    *out = tm_truth_object(t, name);
    if (*out >= 0)
        return TM_OK;
    if (t->objects_count == TM_TRUTH_OBJECTS_MAX)
        return tm_fail(err, TM_E_LIMIT, "org.db: more than %d objects", TM_TRUTH_OBJECTS_MAX);
    struct tm_truth_object *o = &t->objects[t->objects_count];
    if (strlen(name) >= sizeof o->name)
        return tm_fail(err, TM_E_LIMIT, "org.db: object name %.90s is too long", name);
    strcpy(o->name, name);
    *out = (int)t->objects_count++;
    return TM_OK;
}

/* Makes room for one more column in every record's heads. */
static enum tm_code truth_widen(struct tm_truth_object *o, struct tm_err *err)
{
    if (o->columns_count < o->width)
        return TM_OK;
    size_t width = o->width == 0 ? 32 : o->width * 2;
    size_t cap = o->records_cap == 0 ? 1024 : o->records_cap;
    uint32_t *heads = malloc(cap * width * sizeof *heads);
    char(*columns)[80] = realloc(o->columns, width * sizeof *columns);
    if (columns != NULL)
        o->columns = columns;
    if (heads == NULL || columns == NULL) {
        free(heads);
        return tm_fail(err, TM_E_NOMEM, "truth: columns of %s", o->name);
    }
    memset(heads, 0xff, cap * width * sizeof *heads);
    for (size_t r = 0; r < o->records_count; r++)
        memcpy(heads + r * width, o->heads + r * o->width, o->columns_count * sizeof *heads);
    free(o->heads);
    o->heads = heads;
    o->width = width;
    o->records_cap = cap;
    return TM_OK;
}

static enum tm_code truth_column_add(struct tm_truth_object *o, const char *name, uint32_t *out,
                                     struct tm_err *err)
{
    int found = tm_truth_column(o, name);
    if (found >= 0) {
        *out = (uint32_t)found;
        return TM_OK;
    }
    if (o->columns_count == TM_TRUTH_COLUMNS_MAX || strlen(name) >= sizeof o->columns[0])
        return tm_fail(err, TM_E_LIMIT, "org.db: %s: too many columns, or %.90s is too long",
                       o->name, name);
    enum tm_code rc = truth_widen(o, err);
    if (rc != TM_OK)
        return rc;
    strcpy(o->columns[o->columns_count], name);
    *out = (uint32_t)o->columns_count++;
    return TM_OK;
}

static size_t truth_slot(const struct tm_truth *t, int object, const char *id)
{
    size_t mask = t->slots_cap - 1;
    size_t i = (size_t)tm_hash64(id, strlen(id), (uint64_t)object) & mask;
    while (t->slots[i] != TM_TRUTH_NONE) {
        const struct tm_truth_record *r = &t->records[t->slots[i]];
        if (r->object == object && strcmp(r->id, id) == 0)
            break;
        i = (i + 1) & mask;
    }
    return i;
}

uint32_t tm_truth_record(const struct tm_truth *t, int object, const char *id)
{
    return object < 0 ? TM_TRUTH_NONE : t->slots[truth_slot(t, object, id)];
}

static enum tm_code truth_slots_grow(struct tm_truth *t, struct tm_err *err)
{
    if (t->records_count * 10 < t->slots_cap * 7)
        return TM_OK;
    uint32_t *slots = malloc(2 * t->slots_cap * sizeof *slots);
    if (slots == NULL)
        return tm_fail(err, TM_E_NOMEM, "truth: %zu slots", 2 * t->slots_cap);
    free(t->slots);
    t->slots = slots;
    t->slots_cap *= 2;
    memset(slots, 0xff, t->slots_cap * sizeof *slots);
    for (size_t r = 0; r < t->records_count; r++)
        slots[truth_slot(t, t->records[r].object, t->records[r].id)] = (uint32_t)r;
    return TM_OK;
}

/* Room for one more element in a growing array. */
static enum tm_code truth_room(void **array, size_t *cap, size_t count, size_t bytes, size_t max,
                               struct tm_err *err)
{
    if (count < *cap)
        return TM_OK;
    size_t want = *cap == 0 ? 4096 : *cap + *cap / 2;
    if (want > max)
        want = max;
    if (count >= want)
        return tm_fail(err, TM_E_LIMIT, "truth: more than %zu elements", max);
    void *grown = realloc(*array, want * bytes);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "truth: %zu bytes", want * bytes);
    *array = grown;
    *cap = want;
    return TM_OK;
}

static enum tm_code truth_record_add(struct tm_truth *t, int object, const char *id, uint32_t *out,
                                     struct tm_err *err)
{
    struct tm_truth_object *o = &t->objects[object];
    *out = tm_truth_record(t, object, id);
    if (*out != TM_TRUTH_NONE)
        return TM_OK;
    if (strlen(id) != 18)
        return tm_fail(err, TM_E_PROTO, "org.db: %s id \"%.30s\" has not 18 characters", o->name,
                       id);
    enum tm_code rc = truth_slots_grow(t, err);
    if (rc == TM_OK)
        rc = truth_room((void **)&t->records, &t->records_cap, t->records_count, sizeof *t->records,
                        TM_TRUTH_NONE - 1, err);
    if (rc == TM_OK && o->width == 0)
        rc = truth_widen(o, err);
    if (rc != TM_OK)
        return rc;
    if (o->records_count == o->records_cap) {
        size_t cap = o->records_cap * 2;
        uint32_t *heads = realloc(o->heads, cap * o->width * sizeof *heads);
        if (heads == NULL)
            return tm_fail(err, TM_E_NOMEM, "truth: heads of %s", o->name);
        memset(heads + o->records_cap * o->width, 0xff,
               (cap - o->records_cap) * o->width * sizeof *heads);
        o->heads = heads;
        o->records_cap = cap;
    }
    struct tm_truth_record *r = &t->records[t->records_count];
    *r = (struct tm_truth_record){ .object = (uint8_t)object,
                                   .local = (uint32_t)o->records_count++,
                                   .first = TM_TRUTH_NONE,
                                   .last = TM_TRUTH_NONE };
    memcpy(r->id, id, 19);
    *out = (uint32_t)t->records_count++;
    t->slots[truth_slot(t, object, id)] = *out;
    return TM_OK;
}

static enum tm_code truth_delta_add(struct tm_truth *t, struct tm_truth_object *o, uint32_t version,
                                    uint32_t local, uint32_t column, uint64_t hash,
                                    struct tm_err *err)
{
    uint32_t *head = &o->heads[(size_t)local * o->width + column];
    uint64_t before = *head == TM_TRUTH_NONE ? TM_VHASH_NULL : t->deltas[*head].hash;
    if (hash == before && t->versions[version].change != TM_TRUTH_UPDATE)
        return TM_OK;
    if (hash == before) {
        enum tm_code again = truth_room((void **)&t->again, &t->again_cap, t->again_count,
                                        sizeof *t->again, TM_TRUTH_DELTAS_MAX, err);
        if (again == TM_OK)
            t->again[t->again_count++] = (struct tm_truth_again){ version, column };
        return again;
    }
    enum tm_code rc = truth_room((void **)&t->deltas, &t->deltas_cap, t->deltas_count,
                                 sizeof *t->deltas, TM_TRUTH_DELTAS_MAX, err);
    if (rc != TM_OK)
        return rc;
    t->deltas[t->deltas_count] = (struct tm_truth_delta){
        .hash = hash, .prev = *head, .version = version, .column = column
    };
    *head = (uint32_t)t->deltas_count++;
    t->versions[version].delta_count++;
    return TM_OK;
}

/* Texts with outer blanks are rare: what they are without stands aside. */
static enum tm_code truth_trim(struct tm_truth *t, const json_t *value, struct tm_err *err)
{
    static const struct tm_tolerance trim = { .trim = true };
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    if (text == NULL || bytes == 0 ||
        (strchr(" \t\r\n", text[0]) == NULL && strchr(" \t\r\n", text[bytes - 1]) == NULL))
        return TM_OK;
    enum tm_code rc = truth_room((void **)&t->trimmed, &t->trimmed_cap, t->trimmed_count,
                                 sizeof *t->trimmed, TM_TRUTH_DELTAS_MAX, err);
    if (rc == TM_OK)
        t->trimmed[t->trimmed_count++] =
            (struct tm_truth_trimmed){ .delta = (uint32_t)t->deltas_count - 1,
                                       .hash = tm_tolerance_text(&trim, text, bytes) };
    return rc;
}

static bool truth_not_compared(const char *column)
{
    return strcmp(column, "SystemModstamp") == 0 || strcmp(column, "IsDeleted") == 0 ||
           strcmp(column, "Id") == 0;
}

static enum tm_code truth_deltas(struct tm_truth *t, uint32_t version, const char *text,
                                 struct tm_err *err)
{
    struct tm_truth_version *v = &t->versions[version];
    const struct tm_truth_record *r = &t->records[v->record];
    struct tm_truth_object *o = &t->objects[r->object];
    json_error_t bad = { .text = "" };
    json_t *fields = json_loadb(text, strlen(text), 0, NULL);
    if (fields == NULL)
        fields = json_loads(text, 0, &bad); /* says where it is wrong */
    enum tm_code rc = TM_OK;
    const char *name;
    json_t *value;
    if (!json_is_object(fields)) {
        rc = tm_fail(err, TM_E_PROTO, "org.db: history %u: fields are no JSON object: %s",
                     version + 1, bad.text);
        goto done;
    }
    json_object_foreach(fields, name, value)
    {
        uint32_t column = 0;
        if (truth_not_compared(name))
            continue;
        rc = truth_column_add(o, name, &column, err);
        size_t before = t->deltas_count;
        if (rc == TM_OK)
            rc = truth_delta_add(t, o, version, r->local, column, tm_vhash_json(value), err);
        if (rc == TM_OK && t->deltas_count > before)
            rc = truth_trim(t, value, err);
        if (rc != TM_OK)
            goto done;
    }
    /* a full image: what it does not name is null (org_db.h) */
    if (v->change == TM_TRUTH_UNDELETE)
        for (size_t c = 0; c < o->columns_count && rc == TM_OK; c++)
            if (json_object_get(fields, o->columns[c]) == NULL)
                rc = truth_delta_add(t, o, version, r->local, (uint32_t)c, TM_VHASH_NULL, err);
done:
    json_decref(fields);
    return rc;
}

static uint8_t truth_event_kind(struct tm_truth *t, const char *word)
{
    if (word == NULL)
        return TM_TRUTH_SILENT;
    for (size_t i = 0; tm_truth_event_words[i] != NULL; i++)
        if (strcasecmp(word, tm_truth_event_words[i]) == 0)
            t->event_kinds |= UINT64_C(1) << i;
    if (strcasecmp(word, "GAP_OVERFLOW") == 0)
        return TM_TRUTH_OVERFLOW;
    return strncasecmp(word, "GAP_", 4) == 0 ? TM_TRUTH_GAP : TM_TRUTH_PLAIN;
}

static int64_t truth_ns(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt, column) == SQLITE_NULL ? INT64_MIN
                                                            : sqlite3_column_int64(stmt, column);
}

static const char *truth_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text == NULL ? "" : text;
}

static enum tm_code truth_row(struct tm_truth *t, sqlite3_stmt *s, struct tm_err *err)
{
    int64_t pos = sqlite3_column_int64(s, 0);
    int object;
    uint32_t record;
    uint8_t change = 0;
    if (t->one == NULL && pos != (int64_t)t->versions_count + 1)
        return tm_fail(err, TM_E_GAP, "org.db: history goes from position %zu to %lld",
                       t->versions_count, (long long)pos);
    while (change < TM_TRUTH_CHANGES && strcmp(truth_text(s, 9), truth_changes[change]) != 0)
        change++;
    if (change == TM_TRUTH_CHANGES)
        return tm_fail(err, TM_E_PROTO, "org.db: history %lld: unknown change \"%.40s\"",
                       (long long)pos, truth_text(s, 9));
    enum tm_code rc = truth_object_add(t, truth_text(s, 1), &object, err);
    if (rc == TM_OK)
        rc = truth_record_add(t, object, truth_text(s, 2), &record, err);
    if (rc == TM_OK)
        rc = truth_room((void **)&t->versions, &t->versions_cap, t->versions_count,
                        sizeof *t->versions, TM_TRUTH_VERSIONS_MAX, err);
    if (rc == TM_OK && t->one != NULL)
        rc = truth_room((void **)&t->positions, &t->positions_cap, t->versions_count,
                        sizeof *t->positions, TM_TRUTH_VERSIONS_MAX, err);
    if (rc != TM_OK)
        return rc;
    struct tm_truth_record *r = &t->records[record];
    const char *txn = truth_text(s, 4);
    uint32_t index = (uint32_t)t->versions_count;
    if (t->positions != NULL)
        t->positions[index] = pos;
    t->versions[index] = (struct tm_truth_version){
        .org_ms = sqlite3_column_int64(s, 5),
        .intended_ms = sqlite3_column_int64(s, 6),
        .intended_ns = truth_ns(s, 7),
        .actual_ns = truth_ns(s, 8),
        .replay_id = sqlite3_column_int64(s, 11),
        .txn = tm_hash64(txn, strlen(txn), 0),
        .record = record,
        .next = TM_TRUTH_NONE,
        .prev = r->last,
        .delta_first = (uint32_t)t->deltas_count,
        .change = change,
        .event = truth_event_kind(t, (const char *)sqlite3_column_text(s, 10))
    };
    rc = truth_deltas(t, index, truth_text(s, 12), err);
    if (rc != TM_OK)
        return rc;
    if (r->last == TM_TRUTH_NONE)
        r->first = index;
    else
        t->versions[r->last].next = index;
    r->last = index;
    r->count++;
    t->versions_count++;
    return TM_OK;
}

static enum tm_code truth_describes(struct tm_truth *t, struct tm_err *err)
{
    enum tm_code rc;
    bool row = false;
    sqlite3_bind_int64(t->describes, 1, t->describes_rowid);
    while ((rc = tm_sql_step(t->describes, &row, err)) == TM_OK && row) {
        int object;
        json_error_t bad;
        struct tm_describe *d = NULL;
        const char *text = truth_text(t->describes, 3);
        json_t *json = tm_json_kept(text, strlen(text), 0, &bad);
        if (json == NULL)
            rc = tm_fail(err, TM_E_PROTO, "org.db: describe of %s: %s", truth_text(t->describes, 1),
                         bad.text);
        if (rc == TM_OK)
            rc = truth_object_add(t, truth_text(t->describes, 1), &object, err);
        if (rc == TM_OK)
            rc = tm_describe_parse(&d, json, err);
        json_decref(json);
        if (rc != TM_OK)
            break;
        struct tm_truth_object *o = &t->objects[object];
        void *grown = realloc(o->describes, (o->describes_count + 1) * sizeof *o->describes);
        if (grown == NULL) {
            tm_describe_close(d);
            rc = tm_fail(err, TM_E_NOMEM, "describe of %s", o->name);
            break;
        }
        o->describes = grown;
        o->describes[o->describes_count++] =
            (struct tm_truth_describe){ sqlite3_column_int64(t->describes, 2), d };
        t->describes_rowid = sqlite3_column_int64(t->describes, 0);
    }
    sqlite3_reset(t->describes);
    return rc;
}

enum tm_code tm_truth_tail(struct tm_truth *t, size_t rows_max, size_t *out_rows,
                           struct tm_err *err)
{
    bool row = false;
    *out_rows = 0;
    enum tm_code rc = truth_describes(t, err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_int64(t->tail, 1, (int64_t)t->versions_count);
    sqlite3_bind_int64(t->tail, 2, (int64_t)rows_max);
    while ((rc = tm_sql_step(t->tail, &row, err)) == TM_OK && row) {
        rc = truth_row(t, t->tail, err);
        if (rc != TM_OK)
            break;
        (*out_rows)++;
    }
    sqlite3_reset(t->tail);
    return rc;
}

enum tm_code tm_truth_read(struct tm_truth *t, const char *object, const char *id,
                           struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = TM_OK;
    assert(t->one != NULL || t->versions_count == 0); /* not beside tm_truth_tail */
    if (t->one == NULL)
        rc = tm_sql_prepare(&t->one, t->db, truth_one_sql, err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(t->one, 1, object, -1, SQLITE_STATIC);
    sqlite3_bind_text(t->one, 2, id, -1, SQLITE_STATIC);
    while ((rc = tm_sql_step(t->one, &row, err)) == TM_OK && row)
        if ((rc = truth_row(t, t->one, err)) != TM_OK)
            break;
    sqlite3_reset(t->one);
    return rc;
}

uint64_t tm_truth_trimmed(const struct tm_truth *t, uint32_t delta)
{
    size_t first = 0, end = t->trimmed_count;
    while (first < end) {
        size_t middle = (first + end) / 2;
        if (t->trimmed[middle].delta == delta)
            return t->trimmed[middle].hash;
        if (t->trimmed[middle].delta < delta)
            first = middle + 1;
        else
            end = middle;
    }
    return t->deltas[delta].hash;
}

int64_t tm_truth_pos(const struct tm_truth *t, uint32_t version)
{
    assert(version < t->versions_count);
    return t->positions != NULL ? t->positions[version] : (int64_t)version + 1;
}

void tm_truth_named_again(const struct tm_truth *t, uint32_t version, size_t *out_first,
                          size_t *out_count)
{
    size_t first = 0, last = t->again_count;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (t->again[middle].version < version)
            first = middle + 1;
        else
            last = middle;
    }
    *out_first = first;
    while (last < t->again_count && t->again[last].version == version)
        last++;
    *out_count = last - first;
}

int64_t tm_truth_meta(struct tm_truth *t, const char *key, int64_t missing)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = missing;
    bool row = false;
    if (tm_sql_prepare(
            &stmt, t->db,
            "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1 AND value IS NOT NULL",
            NULL) == TM_OK) {
        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        if (tm_sql_step(stmt, &row, NULL) == TM_OK && row)
            value = sqlite3_column_int64(stmt, 0);
    }
    tm_sql_finalize(stmt);
    return value;
}

json_t *tm_truth_value(struct tm_truth *t, uint32_t version, const char *column)
{
    sqlite3_stmt *stmt = NULL;
    json_t *value = NULL;
    bool row = false;
    if (tm_sql_prepare(&stmt, t->db, "SELECT fields, change FROM history WHERE pos = ?1", NULL) !=
        TM_OK)
        return json_null();
    for (uint32_t v = version; v != TM_TRUTH_NONE && value == NULL; v = t->versions[v].prev) {
        sqlite3_bind_int64(stmt, 1, tm_truth_pos(t, v));
        if (tm_sql_step(stmt, &row, NULL) != TM_OK || !row)
            break;
        json_t *fields = json_loads(truth_text(stmt, 0), 0, NULL);
        value = json_incref(json_object_get(fields, column));
        json_decref(fields);
        sqlite3_reset(stmt);
        if (t->versions[v].change == TM_TRUTH_UNDELETE || t->versions[v].change == TM_TRUTH_CREATE)
            break;
    }
    tm_sql_finalize(stmt);
    return value == NULL ? json_null() : value;
}
