#include "mocks/salesforce/workload_impl.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUES_CHUNK 5000 /* records of the population between progress checks */
#define VALUES_DAY_MS 86400000LL

static const char *const words[] = { "Harbor",       "Lighthouse",
                                     "Tideway",      "Anchor",
                                     "Meridian",     "Compass",
                                     "Breakwater",   "Estuary",
                                     "Northwind",    "Saltmarsh",
                                     "Pelican",      "Zürich Quay",
                                     "Smith & Sons", "O'Brien \"Marine\"",
                                     "Åland Ferry",  "日本海運",
                                     "Delta/East",   "Back\\water" };
#define WORDS_COUNT (sizeof words / sizeof *words)

struct wl_object *wl_object(struct wl_maker *m, const char *name)
{
    for (size_t i = 0; name != NULL && i < m->objects_count; i++)
        if (strcasecmp(m->objects[i].name, name) == 0)
            return &m->objects[i];
    return NULL;
}

/* ---- records ---- */
int64_t wl_number(const struct wl_maker *m, const char *id)
{
    char again[TM_ID_BYTES], prefix[4] = { id[0], id[1], id[2], 0 };
    int64_t n = 0;
    for (int i = 5; i < 15; i++) {
        int c = (unsigned char)id[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                    : c >= 'a' && c <= 'z' ? c - 'a' + 36
                                           : 62;
        if (digit == 62 || n > INT32_MAX)
            return -1;
        n = n * 62 + digit;
    }
    tm_org_id_of(m->org, again, prefix, n);
    return memcmp(again, id, 15) == 0 && n > 0 ? n : -1;
}

void wl_id(const struct wl_maker *m, char out[TM_ID_BYTES], const struct wl_object *o, size_t index)
{
    tm_org_id_of(m->org, out, o->describe->key_prefix, (int64_t)index + 1);
}

enum tm_code wl_note(struct wl_object *o, int64_t number, unsigned set, unsigned clear,
                     struct tm_err *err)
{
    if (number < 1 || number > 4 * (int64_t)TM_SCENARIO_RECORDS_MAX)
        return TM_OK; /* not one of ours: a test's own id */
    size_t index = (size_t)number - 1;
    if (index >= o->cap) {
        size_t cap = o->cap * 2 > index + 1024 ? o->cap * 2 : index + 1024;
        unsigned char *state = realloc(o->state, cap);
        if (state == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu records", cap);
        memset(state + o->cap, 0, cap - o->cap);
        o->state = state;
        o->cap = cap;
    }
    unsigned char before = o->state[index], after = (unsigned char)((before & ~clear) | set);
    o->count = index >= o->count ? index + 1 : o->count;
    o->state[index] = after;
    o->live = o->live + (after & WL_LIVE ? 1 : 0) - (before & WL_LIVE ? 1 : 0);
    o->bin = o->bin + (after & WL_BIN ? 1 : 0) - (before & WL_BIN ? 1 : 0);
    return TM_OK;
}

int64_t wl_pick(struct wl_maker *m, struct wl_object *o, bool hot, unsigned want, unsigned not_want)
{
    if (o->count == 0 || (want & WL_LIVE && o->live == 0) || (want & WL_BIN && o->bin == 0))
        return -1;
    size_t at =
        hot && o->first_count > 0
            ? (size_t)((tm_zipf_next(&o->zipf, &m->rng) * 2654435761u + 97) % o->first_count)
            : (size_t)tm_rng_below(&m->rng, o->count);
    for (size_t i = 0; i < o->count; i++, at = at + 1 == o->count ? 0 : at + 1)
        if ((o->state[at] & want) == want && (o->state[at] & not_want) == 0)
            return (int64_t)at;
    return -1;
}

struct wl_object *wl_pick_object(struct wl_maker *m, bool deletable)
{
    double total = 0;
    for (size_t i = 0; i < m->objects_count; i++)
        total += deletable && !m->objects[i].deletable ? 0 : m->objects[i].share;
    double at = tm_rng_unit(&m->rng) * total;
    for (size_t i = 0; i < m->objects_count; i++) {
        if (deletable && !m->objects[i].deletable)
            continue;
        if (at < m->objects[i].share)
            return &m->objects[i];
        at -= m->objects[i].share;
    }
    return &m->objects[0];
}

/* ---- values ---- */
static bool values_unique(const struct tm_field *f)
{
    static const char *const types[] = { "string",          "textarea", "phone",  "email", "url",
                                         "encryptedstring", "currency", "double", "int",   "long",
                                         "datetime",        "time" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], f->type) == 0)
            return (f->kind != TM_FIELD_TEXT || f->length == 0 || f->length >= 8) &&
                   (f->kind != TM_FIELD_NUMBER || f->precision >= 12);
    return false;
}

static const char *values_base36(char out[16], int64_t n)
{
    size_t at = 15;
    out[15] = 0;
    do
        out[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36];
    while ((n /= 36) > 0 && at > 0);
    return out + at;
}

static const char *values_word(struct wl_maker *m)
{
    return words[tm_rng_below(&m->rng, WORDS_COUNT)];
}

static void values_picklist(struct wl_maker *m, const struct tm_field *f, char *out,
                            size_t out_bytes)
{
    const json_t *list = json_object_get(f->json, "picklistValues");
    size_t count = json_array_size(list), used = 0;
    bool many = strcmp(f->type, "multipicklist") == 0;
    *out = 0;
    if (count == 0)
        return;
    size_t first = (size_t)tm_rng_below(&m->rng, count);
    for (size_t i = first; i < count && (i == first || (many && tm_rng_chance(&m->rng, 0.5)));
         i++) {
        const char *v = json_string_value(json_object_get(json_array_get(list, i), "value"));
        int n = snprintf(out + used, out_bytes - used, "%s%s", used ? ";" : "", v != NULL ? v : "");
        if (n < 0 || used + (size_t)n >= out_bytes)
            return;
        used += (size_t)n;
    }
}

static void values_text(struct wl_maker *m, const struct tm_field *f, char *out, size_t out_bytes)
{
    char token[16];
    const char *t = values_base36(token, ++m->serial);
    if (strcmp(f->type, "phone") == 0)
        snprintf(out, out_bytes, "+1 (555) %03d-%04d", (int)(m->serial / 10000 % 1000),
                 (int)(m->serial % 10000));
    else if (strcmp(f->type, "email") == 0 || strcmp(f->name, "Username") == 0 ||
             strcmp(f->name, "Email") == 0)
        snprintf(out, out_bytes, "u%s@tide.example", t);
    else if (strcmp(f->type, "url") == 0)
        snprintf(out, out_bytes, "https://tide.example/%s", t);
    else if (strcmp(f->type, "textarea") == 0 && f->length >= 400) {
        int n = 0, lines = 1 + (int)tm_rng_below(&m->rng, 4);
        for (int i = 0; i < lines && n < 300; i++)
            n += snprintf(out + n, out_bytes - (size_t)n, "%s note %s line %d of the %s\n",
                          values_word(m), t, i + 1, values_word(m));
        out[n - 1] = 0;
    } else if (f->length > 0 && f->length < 40)
        snprintf(out, out_bytes, "%s", t);
    else
        snprintf(out, out_bytes, "%s %s", values_word(m), t);
}

static struct tm_org_value values_number(struct wl_maker *m, const struct tm_field *f)
{
    double n = (double)++m->serial;
    int64_t spread = m->serial * 7919; /* prime to every span below: no two serials meet */
    bool latitude = strstr(f->name, "Latitude") != NULL,
         longitude = strstr(f->name, "Longitude") != NULL;
    if (latitude || longitude) {
        int64_t unit = f->scale >= 6 ? 1000000 : 1000, span = (latitude ? 180 : 360) * unit;
        n = (double)(spread % span) / (double)unit - (latitude ? 90 : 180);
    } else if (strcmp(f->type, "percent") == 0)
        n = (double)tm_rng_below(&m->rng, 101);
    else if (f->scale > 0)
        n += (double)tm_rng_below(&m->rng, 100) / 100;
    return (struct tm_org_value){ TM_ORG_REAL, 0, n, NULL };
}

/* A live record of the object a reference points to, as text in out; "" when there is none. */
static void values_reference(struct wl_maker *m, const struct tm_field *f, char out[TM_ID_BYTES])
{
    struct wl_object *to = wl_object(m, f->reference_to);
    int64_t at = to != NULL ? wl_pick(m, to, false, WL_LIVE, 0) : -1;
    *out = 0;
    if (at >= 0)
        wl_id(m, out, to, (size_t)at);
}

static int64_t values_origin(const struct wl_maker *m)
{
    return tm_org_settings(m->org)->origin_ms;
}

enum tm_code wl_set_fresh(struct wl_maker *m, const struct wl_object *o, const struct tm_field *f,
                          struct tm_err *err)
{
    char text[1024] = "";
    struct tm_org_value v = { TM_ORG_TEXT, 0, 0, text };
    int64_t spread;
    (void)o;
    switch (f->kind) {
    case TM_FIELD_BOOLEAN:
        v = (struct tm_org_value){ TM_ORG_INT, tm_rng_chance(&m->rng, 0.5), 0, NULL };
        break;
    case TM_FIELD_INT: v = (struct tm_org_value){ TM_ORG_INT, ++m->serial, 0, NULL }; break;
    case TM_FIELD_NUMBER: v = values_number(m, f); break;
    case TM_FIELD_DATE:
        tm_date_text(
            text, (int32_t)(values_origin(m) / VALUES_DAY_MS + tm_rng_between(&m->rng, -200, 400)));
        break;
    case TM_FIELD_DATETIME: /* six years of seconds before the origin, each once */
        spread = ++m->serial * 7919 % (6 * 365 * 86400LL);
        v = (struct tm_org_value){ TM_ORG_INT, values_origin(m) - spread * 1000, 0, NULL };
        break;
    case TM_FIELD_TIME:
        spread = ++m->serial * 7919 % VALUES_DAY_MS;
        snprintf(text, sizeof text, "%02d:%02d:%02d.%03dZ", (int)(spread / 3600000),
                 (int)(spread / 60000 % 60), (int)(spread / 1000 % 60), (int)(spread % 1000));
        break;
    case TM_FIELD_ID: values_reference(m, f, text); break;
    default:
        if (json_array_size(json_object_get(f->json, "picklistValues")) > 0)
            values_picklist(m, f, text, sizeof text);
        else
            values_text(m, f, text, sizeof text);
        break;
    }
    if (v.kind == TM_ORG_TEXT && *text == 0)
        v.kind = TM_ORG_NULL;
    if (v.kind == TM_ORG_NULL && !f->nillable)
        return TM_OK; /* nobody to point to yet: the org fills in or keeps */
    return wl_set(m, f, &v, err);
}

/* Over 1,000 characters: a new text of lines, or `before` with one line in the middle rewritten. */
enum tm_code wl_set_long(struct wl_maker *m, const struct tm_field *f, const char *before,
                         struct tm_err *err)
{
    char token[16], line[160];
    struct tm_buf text;
    tm_buf_init(&text, 1u << 17);
    const char *t = values_base36(token, ++m->serial);
    size_t lines = 18 + (size_t)tm_rng_below(&m->rng, 12);
    if (before != NULL) {
        const char *cut = strchr(before + strlen(before) / 3, '\n'),
                   *end = cut != NULL ? strchr(cut + 1, '\n') : NULL;
        size_t head = cut != NULL ? (size_t)(cut - before) + 1 : 0;
        snprintf(line, sizeof line,
                 "rewritten in version %s: %s meets the %s, as agreed by the two of them at the "
                 "quay\n",
                 t, values_word(m), values_word(m));
        tm_buf_add(&text, before, head);
        tm_buf_addz(&text, line);
        tm_buf_addz(&text, end != NULL ? end + 1 : cut != NULL ? "" : before);
    } else
        for (size_t i = 0; i < lines; i++) {
            snprintf(line, sizeof line,
                     "%zu. %s of text %s: the %s calls at the %s before the tide turns again\n",
                     i + 1, values_word(m), t, values_word(m), values_word(m));
            tm_buf_addz(&text, line);
        }
    struct tm_org_value v = { TM_ORG_TEXT, 0, 0, tm_buf_text(&text) };
    enum tm_code rc = tm_buf_check(&text, "long text", err);
    if (rc == TM_OK)
        rc = wl_set(m, f, &v, err);
    tm_buf_free(&text);
    return rc;
}

static bool values_is_name(const struct tm_field *f)
{
    return f->compound != NULL && strcmp(f->compound, "Name") == 0;
}

/* All required fields, most of the common ones, some of the others. */
enum tm_code wl_create_sets(struct wl_maker *m, const struct wl_object *o, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < o->fields_count && rc == TM_OK; i++) {
        const struct tm_field *f = o->fields[i];
        double p = !f->nillable || values_is_name(f) ? 1 : f->custom ? 0.35 : 0.6;
        if (strcmp(f->name, WL_CONVERSION_FIELD) == 0)
            p = 0.02; /* few hold what a conversion will lose */
        if (strcmp(f->name, "AccountId") == 0)
            p = 0.97;
        if (strcmp(f->name, "ParentId") == 0 || f == o->long_text)
            p = 0.1;
        if (!tm_rng_chance(&m->rng, p))
            continue;
        rc = f == o->long_text && tm_rng_chance(&m->rng, 0.4) ? wl_set_long(m, f, NULL, err)
                                                              : wl_set_fresh(m, o, f, err);
    }
    return rc;
}

/* `count` different fields, at least one of which names its version. */
enum tm_code wl_update_sets(struct wl_maker *m, const struct wl_object *o, int64_t index,
                            size_t count, struct tm_err *err)
{
    const struct tm_field *chosen[16];
    size_t chosen_count = 0;
    enum tm_code rc = TM_OK;
    count = count > 16 ? 16 : count;
    for (size_t tries = 0; chosen_count < count && tries < 64; tries++) {
        bool first = chosen_count == 0 && o->unique_count > 0;
        const struct tm_field *f = first ? o->unique[tm_rng_below(&m->rng, o->unique_count)]
                                         : o->fields[tm_rng_below(&m->rng, o->fields_count)];
        bool twice =
            f == o->long_text && (o->state[index] & WL_LONG); /* long texts change by diff */
        for (size_t k = 0; k < chosen_count; k++)
            twice = twice || chosen[k] == f;
        if (twice || strcmp(f->name, WL_CONVERSION_FIELD) == 0)
            continue;
        chosen[chosen_count++] = f;
    }
    for (size_t i = 0; i < chosen_count && rc == TM_OK; i++)
        rc = wl_set_fresh(m, o, chosen[i], err);
    return rc;
}

/* ---- the transaction being written ---- */
enum tm_code wl_change(struct wl_maker *m, enum tm_org_kind kind, enum tm_org_announce announce,
                       const struct wl_object *o, int64_t index, struct tm_err *err)
{
    if (m->changes_count == WL_CHANGES_MAX)
        return tm_fail(err, TM_E_LIMIT, "a transaction of the workload has more than %d changes",
                       WL_CHANGES_MAX);
    struct tm_org_change *c = &m->changes[m->changes_count];
    *c = (struct tm_org_change){ .kind = kind, .announce = announce, .object = o->name };
    if (index >= 0)
        wl_id(m, c->id, o, (size_t)index);
    m->sets_first[m->changes_count++] = m->sets_count;
    return TM_OK;
}

enum tm_code wl_set(struct wl_maker *m, const struct tm_field *f, const struct tm_org_value *value,
                    struct tm_err *err)
{
    assert(m->changes_count > 0);
    if (m->sets_count == m->sets_cap) {
        size_t cap = m->sets_cap * 2 + 256;
        struct tm_org_set *sets = realloc(m->sets, cap * sizeof *sets);
        size_t *text_at = sets != NULL ? realloc(m->text_at, cap * sizeof *text_at) : NULL;
        m->sets = sets != NULL ? sets : m->sets;
        if (text_at == NULL)
            return tm_fail(err, TM_E_NOMEM, "%zu values", cap);
        m->text_at = text_at;
        m->sets_cap = cap;
    }
    m->sets[m->sets_count] = (struct tm_org_set){ f->name, *value };
    m->text_at[m->sets_count] = SIZE_MAX;
    if (value->kind == TM_ORG_TEXT) {
        m->text_at[m->sets_count] = m->texts.bytes;
        tm_buf_add(&m->texts, value->text, strlen(value->text) + 1);
    }
    m->sets_count++;
    return tm_buf_check(&m->texts, "texts of a transaction", err);
}

static enum tm_code values_note(struct wl_maker *m, const struct tm_org_txn *txn,
                                struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool robot = txn->user == NULL || strcmp(txn->user, tm_org_user_id(m->org)) == 0;
    for (size_t i = 0; i < m->changes_count && rc == TM_OK; i++) {
        const struct tm_org_change *c = &m->changes[i];
        struct wl_object *o = wl_object(m, c->object);
        unsigned set = robot ? WL_ROBOT : 0, clear = robot ? 0 : WL_ROBOT;
        for (size_t k = 0; k < c->sets_count; k++)
            if (o->long_text != NULL && c->sets[k].field == o->long_text->name) {
                bool is_long =
                    c->sets[k].value.kind == TM_ORG_TEXT && strlen(c->sets[k].value.text) > 1000;
                set |= is_long ? WL_LONG : 0;
                clear |= is_long ? 0 : WL_LONG;
            }
        if (c->announce == TM_ORG_CONVERSION)
            set = clear = 0;
        if (c->kind == TM_ORG_CREATE || c->kind == TM_ORG_UNDELETE)
            rc = wl_note(o, wl_number(m, c->id), set | WL_LIVE, clear | WL_BIN, err);
        else if (c->kind == TM_ORG_UPDATE)
            rc = wl_note(o, wl_number(m, c->id), set, clear, err);
        else { /* a merge's loser (it has a set) is not brought back */
            bool bin = c->kind == TM_ORG_DELETE && c->sets_count == 0;
            rc = wl_note(o, wl_number(m, c->id), set | (bin ? WL_BIN : 0),
                         clear | WL_LIVE | (bin ? 0 : WL_BIN), err);
        }
    }
    return rc;
}

enum tm_code wl_commit(struct wl_maker *m, struct tm_org_txn *txn, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < m->sets_count; i++)
        if (m->text_at[i] != SIZE_MAX)
            m->sets[i].value.text = m->texts.data + m->text_at[i];
    for (size_t i = 0; i < m->changes_count; i++) {
        m->changes[i].sets = m->sets + m->sets_first[i];
        m->changes[i].sets_count =
            (i + 1 < m->changes_count ? m->sets_first[i + 1] : m->sets_count) - m->sets_first[i];
    }
    txn->changes = m->changes;
    txn->changes_count = m->changes_count;
    if (m->changes_count > 0)
        rc = tm_org_commit(m->org, txn, err);
    if (rc == TM_OK)
        rc = values_note(m, txn, err);
    m->changes_count = m->sets_count = 0;
    tm_buf_reset(&m->texts);
    return rc;
}

/* ---- opening ---- */
static double values_share(const char *object)
{
    return strcmp(object, "Opportunity") == 0 ? 65
           : strcmp(object, "Account") == 0   ? 30
           : strcmp(object, "User") == 0      ? 5
                                              : 10;
}

enum tm_code wl_fields(struct wl_maker *m, struct tm_err *err)
{
    for (size_t i = 0; i < m->objects_count; i++) {
        struct wl_object *o = &m->objects[i];
        const struct tm_describe *d = o->describe = tm_org_describe(m->org, o->name);
        free(o->fields);
        free(o->unique);
        o->fields = calloc(d->fields_count, sizeof *o->fields);
        o->unique = calloc(d->fields_count, sizeof *o->unique);
        if (o->fields == NULL || o->unique == NULL)
            return tm_fail(err, TM_E_NOMEM, "fields of %s", o->name);
        o->fields_count = o->unique_count = 0;
        o->long_text = NULL;
        o->deletable = !json_is_false(json_object_get(d->json, "deletable"));
        for (size_t k = 0; k < d->fields_count; k++) {
            const struct tm_field *f = &d->fields[k];
            if (!f->updateable || !tm_field_in_events(f) ||
                (f->kind == TM_FIELD_ID && wl_object(m, f->reference_to) == NULL))
                continue;
            if (o->long_text == NULL && strcmp(f->type, "textarea") == 0 && f->length > 4000)
                o->long_text = f;
            o->fields[o->fields_count++] = f;
            if (values_unique(f) && f != o->long_text && strcmp(f->name, WL_CONVERSION_FIELD) != 0)
                o->unique[o->unique_count++] = f;
        }
    }
    m->schema_version = tm_org_schema_version(m->org);
    return TM_OK;
}

/* What the org holds now: state of every record, for a start in the middle as for one at the
 * beginning. */
static enum tm_code values_states(struct wl_maker *m, struct wl_object *o, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    char sql[400];
    bool row = true;
    bool master =
        tm_describe_field(o->describe, "MasterRecordId") != NULL; /* losers of a merge stay gone */
    snprintf(sql, sizeof sql,
             "SELECT \"Id\",\"IsDeleted\",\"LastModifiedById\",%s%s%s,%s FROM \"cur_%s\"",
             o->long_text != NULL ? "length(CAST(\"" : "0",
             o->long_text != NULL ? o->long_text->name : "",
             o->long_text != NULL ? "\" AS BLOB))>1000" : "",
             master ? "\"MasterRecordId\" IS NOT NULL" : "0", o->name);
    enum tm_code rc = tm_sql_prepare(&s, tm_org_db(m->org), sql, err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        unsigned set = sqlite3_column_int(s, 1) == 0   ? WL_LIVE
                       : sqlite3_column_int(s, 4) == 0 ? WL_BIN
                                                       : 0;
        if (strcmp((const char *)sqlite3_column_text(s, 2), tm_org_user_id(m->org)) == 0)
            set |= WL_ROBOT;
        if (sqlite3_column_int(s, 3))
            set |= WL_LONG;
        rc = wl_note(o, wl_number(m, (const char *)sqlite3_column_text(s, 0)), set, 0, err);
    }
    tm_sql_finalize(s);
    return rc;
}

enum tm_code wl_refresh(struct wl_maker *m, struct tm_err *err)
{
    enum tm_code rc = wl_fields(m, err);
    for (size_t i = 0; i < m->objects_count && rc == TM_OK; i++) {
        struct wl_object *o = &m->objects[i];
        if (o->state != NULL)
            memset(o->state, 0, o->cap);
        o->live = o->bin = 0;
        rc = values_states(m, o, err);
    }
    return rc;
}

enum tm_code wl_maker_open(struct wl_maker *m, struct tm_org *org, uint64_t seed, double zipf,
                           struct tm_err *err)
{
    char text[32];
    *m = (struct wl_maker){ .org = org };
    tm_rng_init(&m->rng, seed);
    tm_buf_init(&m->texts, WL_TEXT_BYTES_MAX);
    m->changes = calloc(WL_CHANGES_MAX, sizeof *m->changes);
    m->sets_first = calloc(WL_CHANGES_MAX, sizeof *m->sets_first);
    if (m->changes == NULL || m->sets_first == NULL)
        return tm_fail(err, TM_E_NOMEM, "workload");
    for (size_t i = 0; i < tm_org_objects(org); i++) {
        if (!tm_org_announced(org, tm_org_object_name(org, i)))
            continue; /* nobody's data: PushTopics and the like */
        struct wl_object *o = &m->objects[m->objects_count++];
        o->describe = tm_org_describe(org, tm_org_object_name(org, i));
        snprintf(o->name, sizeof o->name, "%s", tm_org_object_name(org, i));
        o->share = values_share(o->name);
    }
    enum tm_code rc = wl_fields(m, err);
    for (size_t i = 0; i < m->objects_count && rc == TM_OK; i++) {
        struct wl_object *o = &m->objects[i];
        rc = values_states(m, o, err);
        snprintf(text, sizeof text, "first_%.20s", o->name);
        char kept[32] = "";
        if (rc == TM_OK)
            rc = tm_org_meta_get(org, text, kept, sizeof kept, err);
        o->first_count = *kept ? (size_t)strtoull(kept, NULL, 10) : o->count;
        if (o->first_count > 0)
            tm_zipf_init(&o->zipf, o->first_count, zipf);
    }
    if (rc == TM_OK)
        rc = tm_org_meta_get(org, "workload_serial", text, sizeof text, err);
    m->serial = rc == TM_OK ? strtoll(text, NULL, 10) : 0;
    return rc;
}

void wl_maker_close(struct wl_maker *m)
{
    for (size_t i = 0; i < m->objects_count; i++) {
        free(m->objects[i].fields);
        free(m->objects[i].unique);
        free(m->objects[i].state);
    }
    free(m->changes);
    free(m->sets);
    free(m->sets_first);
    free(m->text_at);
    tm_buf_free(&m->texts);
    *m = (struct wl_maker){ 0 };
}

/* ---- initial population ---- */
static enum tm_code values_populate_one(struct wl_maker *m, struct wl_object *o, int64_t at_ms,
                                        struct tm_err *err)
{
    char user[TM_ID_BYTES] = "";
    struct wl_object *users = wl_object(m, "User");
    struct tm_org_txn txn = { .org_ms = at_ms, .before_origin = true };
    int64_t by =
        users != NULL && tm_rng_chance(&m->rng, 0.3) ? wl_pick(m, users, false, WL_LIVE, 0) : -1;
    if (by >= 0) {
        wl_id(m, user, users, (size_t)by);
        txn.user = user;
    }
    enum tm_code rc = wl_change(m, TM_ORG_CREATE, TM_ORG_SILENT, o, -1, err);
    if (rc == TM_OK)
        rc = wl_create_sets(m, o, err);
    return rc == TM_OK ? wl_commit(m, &txn, err) : rc;
}

/* Users, then accounts, then the rest: what others point to comes first. */
static enum tm_code values_populate_all(struct wl_maker *m, const struct tm_scenario *scenario,
                                        struct tm_err *err)
{
    static const char *const order[] = { "User", "Account", "" };
    int64_t records = scenario->workload.records, made = 0;
    int64_t first_ms = scenario->origin_ms - 400 * VALUES_DAY_MS, span_ms = 399 * VALUES_DAY_MS;
    double total = 0;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < m->objects_count; i++)
        total += m->objects[i].share;
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < m->objects_count && rc == TM_OK; i++) {
            struct wl_object *o = &m->objects[i];
            bool early = strcmp(o->name, order[0]) == 0 || strcmp(o->name, order[1]) == 0;
            if (k < 2 ? strcmp(o->name, order[k]) != 0 : early)
                continue;
            int64_t count = (int64_t)((double)records * o->share / total + 0.5);
            count = count < 2 ? 2 : count;
            for (int64_t n = 0; n < count && rc == TM_OK; n++, made++)
                rc = values_populate_one(m, o, first_ms + span_ms / (records + 16) * made, err);
        }
    return rc;
}

enum tm_code tm_workload_populate(struct tm_org *org, const struct tm_scenario *scenario,
                                  struct tm_err *err)
{
    struct wl_maker m = { 0 };
    char text[32], key[40];
    if (tm_org_pos_last(org) > 0)
        return TM_OK;
    enum tm_code rc =
        wl_maker_open(&m, org, scenario->seed ^ 0x706f70, scenario->workload.zipf, err);
    if (rc == TM_OK)
        rc = tm_org_begin(org, err);
    if (rc == TM_OK) {
        rc = values_populate_all(&m, scenario, err);
        snprintf(text, sizeof text, "%" PRId64, m.serial);
        if (rc == TM_OK)
            rc = tm_org_meta_set(org, "workload_serial", text, err);
        for (size_t i = 0; i < m.objects_count && rc == TM_OK; i++) {
            snprintf(text, sizeof text, "%zu", m.objects[i].count);
            snprintf(key, sizeof key, "first_%.20s", m.objects[i].name);
            rc = tm_org_meta_set(org, key, text, err);
        }
        if (rc == TM_OK)
            rc = tm_org_end(org, err);
    }
    if (rc == TM_E_AGAIN)
        rc = tm_fail_retry(err, TM_E_IO, "org.db is locked by another process");
    wl_maker_close(&m);
    return rc;
}
