#include "simulate/story.h"
#include "simulate/history.h"
#include "event/contract.h"
#include "simulate/own.h"
#include "base/text.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORY_BYTES_MAX (1u << 20)
#define STORY_SQL_BYTES_MAX 65536
#define STORY_FIELDS_TOLD 6
#define STORY_TEXT_BYTES 24

struct story {
    struct tm_case out;
    struct tm_sim_script script;
    struct tm_buf text;
    const struct tm_sim_own *own; /* NULL = things have their own names */
    struct tm_sim_naming naming;
    size_t records[TM_SIM_RECORDS_MAX],
        records_count; /* of the history, as they are first told of */
};

/* Numbers of a shrunk history have holes: records are counted as they come. */
static size_t story_record(struct story *s, size_t record)
{
    size_t at = 0;
    while (at < s->records_count && s->records[at] != record)
        at++;
    if (at == s->records_count) {
        assert(at < TM_SIM_RECORDS_MAX);
        s->records[s->records_count++] = record;
    }
    return at + 1;
}

static const char *story_object(const struct story *s, size_t object)
{
    const char *name = s->own != NULL ? tm_sim_own_object(&s->naming, object) : NULL;
    return name != NULL ? name : tm_sim_objects[object];
}

/* NULL: not told, nothing stands for it. */
static const char *story_field(const struct story *s, size_t object, const char *field)
{
    if (s->own == NULL)
        return field;
    const struct tm_field *f = tm_sim_own_object(&s->naming, object) != NULL
                                   ? tm_sim_own_field(&s->naming, object, field)
                                   : NULL;
    return f != NULL ? f->name : NULL;
}

/* ---- what happened in the org ---- */

static const char *const story_kinds[] = { "created", "updated", "deleted", "undeleted",
                                           "erased for good" };

static const char *story_announced(const struct tm_sim_event *e, const struct tm_sim_change *c)
{
    if (e->before)
        return ", before anybody listened";
    switch (c->announce) {
    case TM_ORG_NORMAL:
        return c->kind == TM_ORG_HARD_DELETE ? "; a DELETE event tells of it if it was not deleted "
                                               "before"
                                             : "; an event tells of it";
    case TM_ORG_MERGED: return "; one event with all its records' ids tells of it";
    case TM_ORG_GAP: return "; only a gap event tells that something happened";
    case TM_ORG_OVERFLOW: return "; only a GAP_OVERFLOW event tells that something happened";
    case TM_ORG_DIFF: return "; its event carries long texts as differences";
    case TM_ORG_CONVERSION: return "; only a type conversion event tells of it";
    case TM_ORG_SILENT: return "; no event tells of it";
    }
    return "";
}

/* Values hold what hurts parsers: as JSON, nothing in them is invisible. */
static void story_text(struct tm_buf *b, const char *text)
{
    char head[STORY_TEXT_BYTES];
    size_t bytes = strlen(text), take = bytes < sizeof head ? bytes : sizeof head - 1;
    while (take < bytes && take > 0 && ((unsigned char)text[take] & 0xc0) == 0x80)
        take--; /* no half characters */
    memcpy(head, text, take);
    head[take] = '\0';
    json_t *json = json_string(head);
    char *shown = json != NULL ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    tm_buf_addz(b, shown != NULL ? shown : "(a text)");
    if (take < bytes)
        tm_buf_addf(b, "… (%zu bytes)", bytes);
    free(shown);
    json_decref(json);
}

static void story_value(struct tm_buf *b, const struct tm_org_value *v)
{
    switch (v->kind) {
    case TM_ORG_NULL: tm_buf_addz(b, "null"); break;
    case TM_ORG_INT: tm_buf_addf(b, "%" PRId64, v->i); break;
    case TM_ORG_REAL: tm_buf_addf(b, "%.15g", v->d); break;
    case TM_ORG_TEXT: story_text(b, v->text); break;
    }
}

static void story_change(struct story *s, const struct tm_sim_event *e,
                         const struct tm_sim_change *c)
{
    struct tm_buf *b = &s->text;
    size_t told = 0;
    tm_buf_addf(b, "%s %zu (%s) is %s", story_object(s, c->object), story_record(s, c->record),
                c->id, story_kinds[c->kind]);
    for (size_t i = 0; i < c->sets_count; i++) {
        const char *field = story_field(s, c->object, c->sets[i].field);
        if (field == NULL)
            continue;
        if (told == STORY_FIELDS_TOLD) {
            tm_buf_addz(b, " and more");
            break;
        }
        tm_buf_addf(b, "%s%s = ", told++ == 0 ? ": " : ", ", field);
        story_value(b, &c->sets[i].value);
    }
    if (told == 0 && c->kind == TM_ORG_UPDATE)
        tm_buf_addz(b, ": nothing but its LastModifiedDate");
    tm_buf_addz(b, story_announced(e, c));
}

static void story_schema(struct story *s, const struct tm_sim_event *e)
{
    struct tm_buf *b = &s->text;
    const char *object = story_object(s, e->object), *field = story_field(s, e->object, e->field);
    if (field == NULL)
        field = e->field;
    switch (e->kind) {
    case TM_SIM_TXN:
        if (e->changes_count == 0)
            tm_buf_addz(b, "nothing");
        break;
    case TM_SIM_FIELD_ADD: tm_buf_addf(b, "field %s of %s is added", field, object); break;
    case TM_SIM_FIELD_REMOVE: tm_buf_addf(b, "field %s of %s is removed", field, object); break;
    case TM_SIM_FIELD_RETYPE:
        tm_buf_addf(b, "field %s of %s gets another type", field, object);
        break;
    case TM_SIM_FIELD_WIDEN:
        tm_buf_addf(b, "field %s of %s may have decimals from now on", field, object);
        break;
    case TM_SIM_FIELD_NARROW:
        tm_buf_addf(
            b,
            "field %s of %s becomes a whole number: decimals are cut off, a type conversion "
            "event tells of it, and the registry refuses the new schema until somebody lets "
            "it in",
            field, object);
        break;
    case TM_SIM_FIELD_TEXT:
    case TM_SIM_FIELD_NUMBER:
        tm_buf_addf(b,
                    "field %s of %s becomes %s; a type conversion event tells of the values, the "
                    "registry refuses the new schema until somebody lets it in, and the raw tables "
                    "have another column for it",
                    field, object,
                    e->kind == TM_SIM_FIELD_TEXT
                        ? "text"
                        : "a whole number, and null where the text was none");
        break;
    case TM_SIM_FIELD_HIDE:
        tm_buf_addf(b, "field %s of %s is hidden from the user", field, object);
        break;
    case TM_SIM_FIELD_SHOW:
        tm_buf_addf(b, "the user may see field %s of %s again", field, object);
        break;
    case TM_SIM_RESTART:
        tm_buf_addz(b, "the org was restored or moved while the sources were away, and its replay "
                       "ids begin anew, lower");
        break;
    case TM_SIM_RESTART_LIVE:
        tm_buf_addz(b, "the org was restored or moved, and its replay ids begin anew, lower; who "
                       "listened and had everything listens on");
        break;
    case TM_SIM_FORGET:
        tm_buf_addz(b, "events older than this can no longer be replayed, and the sources were "
                       "away");
        break;
    }
}

static void story_events(struct story *s)
{
    tm_buf_addz(&s->text, "## What the org did\n\n");
    for (size_t i = 0; i < s->script.events_count; i++) {
        const struct tm_sim_event *e = &s->script.events[i];
        char when[TM_TIME_BYTES];
        tm_time_z(when, e->org_ms);
        tm_buf_addf(&s->text, "%zu. %.12s: ", i + 1, when + 11);
        story_schema(s, e);
        for (size_t k = 0; k < e->changes_count; k++) {
            tm_buf_addz(&s->text, k > 0 ? "; in the same transaction " : "");
            story_change(s, e, &e->changes[k]);
        }
        tm_buf_addz(&s->text, ".\n");
    }
}

/* ---- what went wrong on the way ---- */

static const char *story_station(const struct tm_sim_world *w, size_t place, size_t kind)
{
    return place - kind < w->stations_count ? tm_sim_station_name(&w->stations[place - kind]) : "";
}

static void story_choice(struct tm_buf *b, const struct tm_sim_world *w,
                         const struct tm_sim_choice *c)
{
    static const char *const fates[] = {
        "",
        "is lost",
        "is never answered",
        "is refused with 503",
        "arrives twice",
        "gets an answer that is lost, which the server knows",
        "gets an answer that is lost, which the server does not know",
        "gets an answer that ends in the middle"
    };
    size_t place = c->place;
    if (place >= TM_SIM_AT_DOWN)
        return;
    if (place >= TM_SIM_AT_CRASH)
        tm_buf_addf(b, "- The %s crashes after its step %u and is started again.\n",
                    story_station(w, place, TM_SIM_AT_CRASH), c->number + 1);
    else if (place >= TM_SIM_AT_FATE)
        tm_buf_addf(b, "- Request %u of the %s %s.\n", c->number + 1,
                    story_station(w, place, TM_SIM_AT_FATE),
                    c->value >= 1 && c->value < TM_SIM_FATE_SLOW ? fates[c->value] : "fails");
}

static void story_faults(struct story *s, const struct tm_sim_world *w)
{
    size_t kinds[TM_SIM_AT_FATE] = { 0 }, hops = 0;
    const struct tm_sim_choices *c = &s->script.choices;
    struct tm_buf *b = &s->text;
    tm_buf_addz(b, "\n## What was unusual on the way\n\n");
    size_t before = b->bytes;
    for (size_t i = 0; i < c->count; i++) {
        story_choice(b, w, &c->list[i]);
        if (c->list[i].place < TM_SIM_AT_HOP)
            kinds[c->list[i].place]++;
        else if (c->list[i].place < TM_SIM_AT_FATE)
            hops++;
    }
    if (kinds[TM_SIM_AT_BROKER] > 0)
        tm_buf_addz(b, "- The broker duplicates, refuses or holds back records.\n");
    if (kinds[TM_SIM_AT_PICK] > 0)
        tm_buf_addf(b, "- Another station than the next in turn runs first (%zu times).\n",
                    kinds[TM_SIM_AT_PICK]);
    if (kinds[TM_SIM_AT_COMMIT] > 0)
        tm_buf_addf(b, "- A station runs before a commit that is due (%zu times).\n",
                    kinds[TM_SIM_AT_COMMIT]);
    if (kinds[TM_SIM_AT_BEGIN] > 0)
        tm_buf_addz(b, "- Stations, or the first commit, begin later than at once.\n");
    if (hops > 0)
        tm_buf_addf(b, "- Requests or answers take their time (%zu of them).\n", hops);
    if (kinds[TM_SIM_AT_SETTING] > 0)
        tm_buf_addf(b,
                    "- Settings: %zu object%s, %d partition%s, %zu sink task%s, merged events %s, "
                    "overflows repaired by %s reads%s%s, publish delay %" PRId64
                    " ms, index lag %" PRId64 " ms.\n",
                    w->set.objects_count, w->set.objects_count == 1 ? "" : "s", w->set.partitions,
                    w->set.partitions == 1 ? "" : "s", w->set.tasks, w->set.tasks == 1 ? "" : "s",
                    w->set.keep_merged ? "kept in one row" : "split by record",
                    w->set.overflow_range ? "range" : "whole",
                    w->set.start_all ? ", events from the oldest kept" : "",
                    w->set.audit_ms > 0 ? ", audits" : "", w->set.publish_delay_ms,
                    w->set.index_lag_ms);
    if (b->bytes == before)
        tm_buf_addz(b, "Nothing: no fault, no delay, every station in its turn.\n");
}

/* ---- what arrived ---- */

static json_t *story_cell(sqlite3_stmt *s, int i)
{
    const char *text;
    switch (sqlite3_column_type(s, i)) {
    case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(s, i));
    case SQLITE_FLOAT: return json_real(sqlite3_column_double(s, i));
    case SQLITE_NULL: return json_null();
    default: break;
    }
    text = (const char *)sqlite3_column_text(s, i);
    const char *name = sqlite3_column_name(s, i);
    if (strcmp(name, "ChangeEventHeader") == 0 || strcmp(name, "_DiffFields") == 0) {
        json_t *parsed = json_loads(text, 0, NULL);
        if (parsed != NULL)
            return parsed;
    }
    return json_string(text);
}

static json_t *story_row(sqlite3_stmt *s, bool nulls)
{
    json_t *row = json_object();
    for (int i = 0; i < sqlite3_column_count(s); i++) {
        const char *name = sqlite3_column_name(s, i);
        if (strncmp(name, "story_", 6) == 0 || strcmp(name, "_topic") == 0 ||
            (strcmp(name, "_partition") == 0 && sqlite3_column_int(s, i) == 0) ||
            strcmp(name, "_offset") == 0 || strcmp(name, "_written_ns") == 0 ||
            strcmp(name, "_seq") == 0 || (!nulls && sqlite3_column_type(s, i) == SQLITE_NULL))
            continue;
        json_object_set_new(row, name, story_cell(s, i));
    }
    return row;
}

struct story_line {
    int64_t written_ns, rowid;
    size_t table;
    json_t *json;
};

static int story_order(const void *a, const void *b)
{
    const struct story_line *x = a, *y = b;
    if (x->written_ns != y->written_ns)
        return x->written_ns < y->written_ns ? -1 : 1;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return x->rowid < y->rowid ? -1 : x->rowid > y->rowid;
}

static enum tm_code story_table(struct story_line **lines, size_t *count, sqlite3 *db,
                                const char *table, size_t index, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    char sql[TM_TOPIC_NAME_MAX + 120];
    int64_t there = 0;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM sqlite_master WHERE name='%s'", table);
    enum tm_code rc = tm_sql_int64(&there, db, sql, err);
    if (rc != TM_OK || there == 0)
        return rc;
    snprintf(sql, sizeof sql,
             "SELECT _written_ns AS story_ns, rowid AS story_row, * FROM \"%s\" ORDER BY rowid",
             table);
    rc = tm_sql_prepare(&s, db, sql, err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        struct story_line *all = realloc(*lines, (*count + 1) * sizeof *all);
        if (all == NULL) {
            rc = tm_fail(err, TM_E_NOMEM, "raw rows");
            break;
        }
        *lines = all;
        all[(*count)++] = (struct story_line){ .written_ns = sqlite3_column_int64(s, 0),
                                               .rowid = sqlite3_column_int64(s, 1),
                                               .table = index,
                                               .json = json_pack("{s:s, s:o}", "table", table,
                                                                 "row", story_row(s, false)) };
    }
    tm_sql_finalize(s);
    return rc;
}

static enum tm_code story_rows(struct tm_case *out, struct tm_sim_world *w, struct tm_err *err)
{
    struct story_line *lines = NULL;
    size_t count = 0;
    sqlite3 *db = w->stations[w->stations_count - 2].db;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; db != NULL && i < w->set.objects_count * 3 && rc == TM_OK; i++) {
        char table[TM_TOPIC_NAME_MAX];
        tm_name_sanitize(table, sizeof table, w->sink_topics[i]);
        rc = story_table(&lines, &count, db, table, i, err);
    }
    if (count > 0)
        qsort(lines, count, sizeof *lines, story_order);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out->rows, lines[i].json);
    free(lines);
    return rc;
}

static void story_arrived(struct story *s)
{
    size_t i;
    json_t *line;
    tm_buf_addz(&s->text, "\n## What arrived in the raw tables\n\n");
    json_array_foreach(s->out.rows, i, line)
    {
        const json_t *row = json_object_get(line, "row"),
                     *header = json_object_get(row, "ChangeEventHeader"),
                     *kind = json_object_get(row, "_kind"), *g = json_object_get(row, "_g"),
                     *replay = json_object_get(row, "ReplayId");
        tm_buf_addf(&s->text, "%zu. `%s`: ", i + 1,
                    json_string_value(json_object_get(line, "table")));
        if (json_is_string(kind))
            tm_buf_addf(&s->text, "%s", json_string_value(kind));
        else
            tm_buf_addf(&s->text, "%s",
                        json_is_string(json_object_get(header, "changeType"))
                            ? json_string_value(json_object_get(header, "changeType"))
                            : "an event");
        if (json_is_string(json_object_get(row, "Id")))
            tm_buf_addf(&s->text, " of %s", json_string_value(json_object_get(row, "Id")));
        if (g != NULL)
            tm_buf_addf(
                &s->text, ", answering position %" PRId64,
                json_is_integer(g)
                    ? (int64_t)json_integer_value(g)
                    : (int64_t)strtoll(json_string_value(g) != NULL ? json_string_value(g) : "0",
                                       NULL, 10));
        else if (json_is_string(replay))
            tm_buf_addf(&s->text, " at replay id %s", json_string_value(replay));
        tm_buf_addz(&s->text, "\n");
    }
    if (json_array_size(s->out.rows) == 0)
        tm_buf_addz(&s->text, "Nothing.\n");
}

/* ---- what should have been shown ---- */

static enum tm_code story_relation(struct tm_case *out, sqlite3 *db, const char *sql,
                                   const char *object, struct tm_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&stmt, db, sql, err);
    while (rc == TM_OK && (rc = tm_sql_step(stmt, &row, err)) == TM_OK && row)
        json_array_append_new(
            out->expected, json_pack("{s:s, s:o}", "object", object, "row", story_row(stmt, true)));
    tm_sql_finalize(stmt);
    return rc;
}

/* What is in doubt, where the finding is about that: as the option says that `db` belongs to, and
 * what the finding says must be. Else nothing is said of it. */
static enum tm_code story_doubt(struct tm_case *out, sqlite3 *db, const char *object,
                                const struct tm_sim_finding *f, struct tm_err *err)
{
    char name[TM_SIM_FIELD_BYTES + 8], text[240];
    bool missing = f->about == TM_SIM_ABOUT_FLAG && f->id[0] != '\0' &&
                   (strcmp(f->object, object) == 0 || f->object[0] == '\0');
    json_t *line;
    size_t i;
    if (!missing && f->about != TM_SIM_ABOUT_DIRT)
        return TM_OK;
    snprintf(name, sizeof name, "%s_dirty", object);
    json_array_append_new(out->expected, json_pack("{s:s}", "object", name));
    snprintf(text, sizeof text, "SELECT Id FROM \"%s\" ORDER BY Id", name);
    enum tm_code rc = db != NULL ? story_relation(out, db, text, name, err) : TM_OK;
    json_array_foreach(out->expected, i, line)
    {
        const char *id = json_string_value(json_object_get(json_object_get(line, "row"), "Id"));
        if (id != NULL && strcmp(id, f->id) == 0 &&
            strcmp(json_string_value(json_object_get(line, "object")), name) == 0)
            missing = false;
    }
    if (missing)
        json_array_append_new(out->expected,
                              json_pack("{s:s, s:{s:s}}", "object", name, "row", "Id", f->id));
    return rc;
}

/* At rest: the org's rows, and no dirt. In flight there is no truth but the rules': where one
 * option is at fault, the other one's answer. */
static enum tm_code story_expected(struct tm_case *out, struct tm_sim_world *w,
                                   const struct tm_sim_finding *f, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool flight = strstr(f->where, "in flight") != NULL;
    bool second = strstr(f->where, "option 1") != NULL;
    sqlite3 *db = w->stations[w->stations_count - (second ? 1 : 2)].db;
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK; i++) {
        const struct tm_describe *d = tm_org_describe(w->org, w->objects[i]);
        struct tm_buf sql;
        if (flight) {
            char text[200];
            snprintf(text, sizeof text, "SELECT * FROM \"%s\" ORDER BY Id", w->objects[i]);
            rc = db != NULL ? story_relation(out, db, text, w->objects[i], err) : TM_OK;
            if (rc == TM_OK)
                rc = story_doubt(out, db, w->objects[i], f, err);
            continue;
        }
        tm_buf_init(&sql, STORY_SQL_BYTES_MAX);
        tm_buf_addz(&sql, "SELECT Id, 0 AS _dirty");
        for (size_t k = 0; k < d->fields_count; k++)
            if (tm_contract_column(&d->fields[k])) {
                tm_buf_addc(&sql, ',');
                tm_sql_ident(&sql, d->fields[k].name);
            }
        tm_buf_addf(&sql, " FROM \"cur_%s\" WHERE IsDeleted=0 ORDER BY Id", w->objects[i]);
        rc = story_relation(out, tm_org_db(w->org), tm_buf_text(&sql), w->objects[i], err);
        tm_buf_free(&sql);
        char dirty[TM_SIM_FIELD_BYTES + 8];
        snprintf(dirty, sizeof dirty, "%s_dirty", w->objects[i]);
        json_array_append_new(out->expected, json_pack("{s:s}", "object", dirty));
    }
    return rc;
}

enum tm_code tm_sim_story_case(struct tm_case *out, struct tm_sim_world *w, struct tm_err *err)
{
    static const struct tm_sim_finding at_rest = { .found = false };
    enum tm_code rc = story_rows(out, w, err);
    return rc == TM_OK ? story_expected(out, w, &at_rest, err) : rc;
}

/* The rule by which the last event about the record and field is applied. */
static const char *story_rule(const struct story *s, const struct tm_sim_finding *f)
{
    const char *rule = "";
    for (size_t i = 0; i < s->script.events_count; i++)
        for (size_t k = 0; k < s->script.events[i].changes_count; k++) {
            const struct tm_sim_change *c = &s->script.events[i].changes[k];
            if (strcmp(c->id, f->id) != 0)
                continue;
            if (s->script.events[i].before) {
                rule = "R14";
                continue;
            }
            switch (c->announce) {
            case TM_ORG_GAP: rule = c->kind == TM_ORG_DELETE ? "R7" : "R8, R9"; break;
            case TM_ORG_OVERFLOW:
            case TM_ORG_CONVERSION:
            case TM_ORG_SILENT: rule = "R16"; break;
            case TM_ORG_MERGED: rule = "R3"; break;
            default:
                rule = c->kind == TM_ORG_UPDATE                                 ? "R5, R6"
                       : c->kind == TM_ORG_CREATE || c->kind == TM_ORG_UNDELETE ? "R4"
                                                                                : "R7";
            }
        }
    return rule;
}

/* R3: a merged event kept in one row concerns every id of its header. */
static bool story_concerns(const json_t *row, const char *record)
{
    const char *id = json_string_value(json_object_get(row, "Id"));
    const json_t *ids = json_object_get(json_object_get(row, "ChangeEventHeader"), "recordIds");
    size_t i;
    json_t *one;
    bool found = id != NULL && strcmp(id, record) == 0;
    json_array_foreach(ids, i, one) found |=
        json_is_string(one) && strcmp(json_string_value(one), record) == 0;
    return found;
}

/* How far news of the record's last event came. */
static void story_lost(struct story *s, const struct tm_sim_finding *f)
{
    const struct tm_sim_event *last = NULL;
    size_t line = 0, i;
    json_t *l;
    for (i = 0; i < s->script.events_count; i++)
        for (size_t k = 0; k < s->script.events[i].changes_count; k++)
            if (strcmp(s->script.events[i].changes[k].id, f->id) == 0 &&
                !s->script.events[i].before)
                last = &s->script.events[i];
    if (last == NULL)
        return;
    json_array_foreach(s->out.rows, i, l)
    {
        const json_t *row = json_object_get(l, "row"),
                     *header = json_object_get(row, "ChangeEventHeader");
        if (json_object_get(row, "_kind") == NULL && story_concerns(row, f->id) &&
            json_integer_value(json_object_get(header, "commitTimestamp")) / 1000 ==
                last->org_ms / 1000)
            line = i + 1;
    }
    if (line > 0)
        tm_buf_addf(&s->text,
                    "Event %td did arrive, as raw row %zu: the mistake is made after that, where "
                    "the snapshot is built from raw rows.\n",
                    last - s->script.events + 1, line);
    else
        tm_buf_addf(
            &s->text,
            "No raw row of this record carries the commit time of event %td: what is known of "
            "it came another way, or was lost before the warehouse.\n",
            last - s->script.events + 1);
}

static void story_finding(struct story *s, const struct tm_sim_result *r)
{
    const struct tm_sim_finding *f = &r->finding;
    tm_buf_addz(&s->text, "\n## What is wrong\n\n");
    tm_buf_addf(&s->text, "%s\n", f->text);
    if (f->id[0] != '\0')
        story_lost(s, f);
    tm_buf_addf(&s->text, "Seen at step %" PRIu64 " of the run.\n", f->step);
    if (strcmp(f->rule, "agree") == 0)
        tm_buf_addz(&s->text, "The two options differ on the same raw rows; expected.jsonl holds "
                              "option 1's answer, the rules say which is right.\n");
    if (s->own == NULL)
        tm_buf_addz(&s->text, "Option 1 is the view computed from the raw rows, option 2 the table "
                              "kept as rows arrive.\n");
}

static enum tm_code story_end(void *self, struct tm_sim_world *w, struct tm_sim_result *r,
                              struct tm_err *err)
{
    struct story *s = self;
    const struct tm_sim_finding *f = &r->finding;
    enum tm_code rc = s->own != NULL ? tm_sim_own_end((void *)s->own, w, r, err) : TM_OK;
    if (rc != TM_OK)
        return rc;
    if (!f->found)
        return tm_fail(err, TM_E_MISMATCH, "the shrunk run no longer breaks a rule");
    rc = story_rows(&s->out, w, err);
    if (rc == TM_OK)
        rc = story_expected(&s->out, w, f, err);
    if (rc == TM_OK && s->own != NULL) {
        tm_sim_own_naming(&s->naming, s->own, w);
        rc = tm_sim_own_rename(&s->naming, &s->out, err);
    }
    if (rc != TM_OK)
        return rc;
    const char *more = story_rule(s, f);
    bool numbered = f->rule[0] == 'R' && f->rule[1] >= '0' && f->rule[1] <= '9';
    if (numbered && strncmp(more, f->rule, strlen(f->rule)) == 0)
        numbered = false; /* named already */
    snprintf(s->out.rules, sizeof s->out.rules, "%s%s%s", numbered ? f->rule : "",
             numbered && *more != '\0' ? ", " : "", more);
    tm_buf_addf(&s->text, "Seed %" PRIu64 ": %s: %s\n\n", r->seed, f->rule, f->text);
    story_events(s);
    story_faults(s, w);
    story_arrived(s);
    story_finding(s, r);
    return tm_buf_check(&s->text, "the story", err);
}

enum tm_code tm_sim_story_write(struct tm_sim_shrunk *shrunk, const char *path, struct tm_err *err)
{
    struct story s = { .out = { .rows = json_array(), .expected = json_array() } };
    struct tm_sim_options options = shrunk->options;
    struct tm_sim_result r;
    s.own = shrunk->options.own;
    options.at_end = story_end;
    options.at_end_self = &s;
    tm_buf_init(&s.text, STORY_BYTES_MAX);
    snprintf(s.out.path, sizeof s.out.path, "%s", path);
    enum tm_code rc = tm_sim_script_copy(&s.script, &shrunk->script, err);
    if (rc == TM_OK)
        rc = tm_simulate_script(&r, &s.script, &options, err);
    if (rc == TM_OK) {
        memcpy(shrunk->rules, s.out.rules, sizeof shrunk->rules);
        s.out.story = strdup(tm_buf_text(&s.text));
        rc = s.out.story != NULL ? tm_case_write(&s.out, err)
                                 : tm_fail(err, TM_E_NOMEM, "the story");
    }
    tm_buf_free(&s.text);
    tm_sim_script_free(&s.script);
    tm_case_free(&s.out);
    return rc == TM_OK ? rc : tm_at(err, "writing %s", path);
}
