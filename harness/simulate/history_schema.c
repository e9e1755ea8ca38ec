#include "simulate/history_schema.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_FIELDS_ADDED_MAX 3
#define SCHEMA_RESTARTS_MAX 3
#define SCHEMA_CHANGES_MAX 6 /* of fields, of a history: each has SQL prepared again all over */
#define SCHEMA_SHORT 40      /* a line begins so many ids below a power of ten, at most */
#define SCHEMA_NUMBER "Seats__c"
#define SCHEMA_TEXT_BYTES 80

int64_t tm_sim_history_line(const struct tm_sim_history *h)
{
    static const int64_t powers[] = { 10000000, 1000000, 100000, 10000 };
    assert(h->restarts <= SCHEMA_RESTARTS_MAX);
    return powers[h->restarts] - (int64_t)(h->script->seed % SCHEMA_SHORT);
}

/* ---- draw ---- */

/* Rates are such that a history of a few transactions has both halves of what it is about. */
void tm_sim_history_theme(struct tm_sim_history *h)
{
    double at = tm_rng_unit(&h->rng);
    h->theme = at < 0.1    ? TM_SIM_THEME_BACK
               : at < 0.14 ? TM_SIM_THEME_NUMBER
               : at < 0.18 ? TM_SIM_THEME_KIND
                           : TM_SIM_THEME_ANY;
    if (h->same_columns && h->theme >= TM_SIM_THEME_NUMBER)
        h->theme = TM_SIM_THEME_ANY;
    if (h->theme == TM_SIM_THEME_BACK && !h->audited) /* nobody would find that it is empty */
        h->theme = TM_SIM_THEME_ANY;
    if (h->theme != TM_SIM_THEME_ANY)
        h->schema = 0.5;
    else
        h->schema = tm_rng_chance(&h->rng, 0.25) ? 0.1 : 0;
}

static bool schema_set(struct tm_sim_event *e, enum tm_sim_event_kind kind, const char *field)
{
    e->kind = kind;
    snprintf(e->field, sizeof e->field, "%s", field);
    return true;
}

/* A field that is hidden may change and be shown again, which no event tells: only where there are
 * audits does it come back. */
static bool schema_draw_hide(struct tm_sim_history *h, struct tm_sim_event *e)
{
    const struct tm_describe *d = tm_org_describe(h->org, h->objects[e->object]);
    const char *fitting[64];
    size_t count = 0;
    if (h->hidden[e->object][0] != '\0')
        return h->audited && schema_set(e, TM_SIM_FIELD_SHOW, h->hidden[e->object]);
    for (size_t i = 0; i < d->fields_count && count < sizeof fitting / sizeof fitting[0]; i++) {
        const struct tm_field *f = &d->fields[i];
        bool retyped = strcmp(f->name, SCHEMA_NUMBER) == 0 || strcmp(f->name, "Stage__c") == 0 ||
                       strcmp(f->name, "Old__c") == 0;
        if (f->nillable && tm_field_in_events(f) && !retyped)
            fitting[count++] = f->name;
    }
    return count > 0 && schema_set(e, TM_SIM_FIELD_HIDE, fitting[tm_rng_below(&h->rng, count)]);
}

static bool schema_draw_field(struct tm_sim_history *h, struct tm_sim_event *e)
{
    char name[TM_SIM_FIELD_BYTES];
    if (h->theme == TM_SIM_THEME_BACK)
        return schema_set(e, h->removed[e->object] ? TM_SIM_FIELD_ADD : TM_SIM_FIELD_REMOVE,
                          "Old__c");
    if (h->theme == TM_SIM_THEME_KIND && e->object == 0)
        return schema_set(e, h->textual ? TM_SIM_FIELD_NUMBER : TM_SIM_FIELD_TEXT, SCHEMA_NUMBER);
    if (h->theme == TM_SIM_THEME_NUMBER && e->object == 0)
        return schema_set(e, h->decimals ? TM_SIM_FIELD_NARROW : TM_SIM_FIELD_WIDEN, SCHEMA_NUMBER);
    if (!h->removed[e->object] && tm_rng_chance(&h->rng, 0.4))
        return schema_set(e, TM_SIM_FIELD_REMOVE, "Old__c");
    if (e->object == 0 && tm_rng_chance(&h->rng, 0.4))
        return schema_set(e, TM_SIM_FIELD_RETYPE, "Stage__c");
    if (e->object == 0 && h->theme == TM_SIM_THEME_ANY && !h->same_columns &&
        tm_rng_chance(&h->rng, 0.5))
        return schema_set(e, h->decimals ? TM_SIM_FIELD_NARROW : TM_SIM_FIELD_WIDEN, SCHEMA_NUMBER);
    if (h->fields_added == SCHEMA_FIELDS_ADDED_MAX)
        return false;
    /* It comes back empty, which no event tells: only where there are audits. */
    if (h->removed[e->object] && h->audited && tm_rng_chance(&h->rng, 0.5))
        return schema_set(e, TM_SIM_FIELD_ADD, "Old__c");
    snprintf(name, sizeof name, "New%u__c", ++h->fields_added);
    return schema_set(e, TM_SIM_FIELD_ADD, name);
}

bool tm_sim_history_schema_draw(struct tm_sim_history *h, struct tm_sim_event *e)
{
    if (h->schema_changes < SCHEMA_CHANGES_MAX && tm_rng_chance(&h->rng, h->schema)) {
        e->object = (size_t)tm_rng_below(&h->rng, h->objects_count);
        h->schema_changes++;
        (void)schema_draw_field(h, e);
        return true;
    }
    if (h->schema_changes < SCHEMA_CHANGES_MAX && tm_rng_chance(&h->rng, h->hide)) {
        h->schema_changes++;
        e->object = (size_t)tm_rng_below(&h->rng, h->objects_count);
        (void)schema_draw_hide(h, e);
        return true;
    }
    if (tm_rng_chance(&h->rng, h->forget)) {
        e->kind = TM_SIM_FORGET;
        return true;
    }
    if (h->restarts < SCHEMA_RESTARTS_MAX && tm_rng_chance(&h->rng, h->restart)) {
        e->kind = tm_rng_chance(&h->rng, 0.4) ? TM_SIM_RESTART : TM_SIM_RESTART_LIVE;
        h->again = true; /* whose events of before stand at higher replay ids */
        h->left += h->left == 0;
        return true;
    }
    return false;
}

/* ---- do ---- */

bool tm_sim_history_schema_fits(const struct tm_sim_history *h, const struct tm_sim_event *e)
{
    if (e->kind == TM_SIM_FORGET)
        return true;
    if (e->kind == TM_SIM_RESTART || e->kind == TM_SIM_RESTART_LIVE)
        return h->restarts < SCHEMA_RESTARTS_MAX;
    if (e->object >= h->objects_count)
        return false;
    const struct tm_field *f =
        tm_describe_field(tm_org_describe_whole(h->org, h->objects[e->object]), e->field);
    switch (e->kind) {
    case TM_SIM_FIELD_ADD: return f == NULL;
    case TM_SIM_FIELD_WIDEN:
    case TM_SIM_FIELD_TEXT: return f != NULL && f->kind == TM_FIELD_INT;
    case TM_SIM_FIELD_NUMBER: return f != NULL && f->kind == TM_FIELD_TEXT;
    case TM_SIM_FIELD_NARROW: return f != NULL && f->kind == TM_FIELD_NUMBER;
    case TM_SIM_FIELD_HIDE: return f != NULL && !f->hidden;
    case TM_SIM_FIELD_SHOW: return f != NULL && f->hidden;
    default: return f != NULL;
    }
}

/* What a conversion makes of the values that are there: one transaction, one event without ids. */
struct schema_converted {
    struct tm_org_change changes[TM_SIM_RECORDS_MAX];
    struct tm_org_set sets[TM_SIM_RECORDS_MAX];
    char texts[TM_SIM_RECORDS_MAX][SCHEMA_TEXT_BYTES];
    size_t count;
};

/* sql: rows of Id and what its value becomes. */
static enum tm_code schema_convert(struct schema_converted *c, const struct tm_sim_history *h,
                                   const struct tm_sim_event *e, const char *sql,
                                   struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    c->count = 0;
    enum tm_code rc = tm_sql_prepare(&s, tm_org_db(h->org), sql, err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        size_t at = c->count++;
        assert(at < TM_SIM_RECORDS_MAX && strcmp(h->objects[e->object], "Deal") == 0);
        struct tm_org_value v = { .kind = TM_ORG_NULL };
        if (sqlite3_column_type(s, 1) == SQLITE_INTEGER) {
            v = (struct tm_org_value){ .kind = TM_ORG_INT, .i = sqlite3_column_int64(s, 1) };
        } else if (sqlite3_column_type(s, 1) == SQLITE_TEXT) {
            snprintf(c->texts[at], sizeof c->texts[at], "%s",
                     (const char *)sqlite3_column_text(s, 1));
            v = (struct tm_org_value){ .kind = TM_ORG_TEXT, .text = c->texts[at] };
        }
        c->sets[at] = (struct tm_org_set){ SCHEMA_NUMBER, v };
        c->changes[at] = (struct tm_org_change){ .kind = TM_ORG_UPDATE,
                                                 .announce = TM_ORG_CONVERSION,
                                                 .object = h->objects[e->object],
                                                 .sets = &c->sets[at],
                                                 .sets_count = 1 };
        snprintf(c->changes[at].id, TM_ID_BYTES, "%s", (const char *)sqlite3_column_text(s, 0));
    }
    tm_sql_finalize(s);
    return rc;
}

static enum tm_code schema_commit(struct schema_converted *c, struct tm_sim_history *h,
                                  const struct tm_sim_event *e, struct tm_err *err)
{
    struct tm_org_txn txn = { .changes = c->changes,
                              .changes_count = c->count,
                              .org_ms = e->org_ms };
    return c->count > 0 ? tm_org_commit(h->org, &txn, err) : TM_OK;
}

static enum tm_code schema_type(struct tm_sim_history *h, const struct tm_sim_event *e,
                                const char *type, int scale, struct tm_err *err)
{
    const struct tm_now now = { e->org_ms, tm_sim_wall_at(e->org_ms) };
    json_t *patch = json_pack("{s:s, s:i, s:i}", "type", type, "scale", scale, "length",
                              strcmp(type, "string") == 0 ? SCHEMA_TEXT_BYTES : 0);
    enum tm_code rc =
        tm_org_field_retype(h->org, h->objects[e->object], e->field, patch, &now, err);
    json_decref(patch);
    return rc;
}

/* Whole numbers and text: what is a number stays one, all else becomes null. */
static enum tm_code schema_kind(struct tm_sim_history *h, const struct tm_sim_event *e,
                                struct tm_err *err)
{
    static _Thread_local struct schema_converted c;
    static const char to_text[] = "SELECT Id,CAST(" SCHEMA_NUMBER " AS TEXT) FROM cur_Deal WHERE "
                                  "IsDeleted=0 AND " SCHEMA_NUMBER " IS NOT NULL",
                      to_number[] =
                          "SELECT Id,CASE WHEN CAST(CAST(" SCHEMA_NUMBER " AS INTEGER) AS TEXT)"
                          "=" SCHEMA_NUMBER " THEN CAST(" SCHEMA_NUMBER " AS INTEGER) END FROM "
                          "cur_Deal WHERE IsDeleted=0 AND " SCHEMA_NUMBER " IS NOT NULL";
    h->textual = e->kind == TM_SIM_FIELD_TEXT;
    h->narrowed = true;
    enum tm_code rc = schema_convert(&c, h, e, h->textual ? to_text : to_number, err);
    if (rc == TM_OK)
        rc = schema_type(h, e, h->textual ? "string" : "int", 0, err);
    return rc == TM_OK ? schema_commit(&c, h, e, err) : rc;
}

static enum tm_code schema_narrow(struct tm_sim_history *h, const struct tm_sim_event *e,
                                  struct tm_err *err)
{
    static _Thread_local struct schema_converted c;
    h->decimals = false;
    h->narrowed = true;
    enum tm_code rc = schema_convert(
        &c, h, e,
        "SELECT Id,cut FROM (SELECT Id," SCHEMA_NUMBER " AS was,CASE WHEN abs(" SCHEMA_NUMBER
        ")<2147483648 THEN CAST(" SCHEMA_NUMBER " AS INTEGER) END AS cut FROM cur_Deal WHERE "
        "IsDeleted=0) WHERE was IS NOT cut",
        err);
    if (rc == TM_OK)
        rc = schema_commit(&c, h, e, err);
    return rc == TM_OK ? schema_type(h, e, "int", 0, err) : rc;
}

static enum tm_code schema_retype(struct tm_sim_history *h, const struct tm_sim_event *e,
                                  struct tm_err *err)
{
    if (e->kind == TM_SIM_FIELD_WIDEN) {
        h->decimals = true;
        return schema_type(h, e, "double", 2, err);
    }
    h->picklist = !h->picklist;
    json_t *patch = json_pack("{s:s}", "type", h->picklist ? "picklist" : "string");
    enum tm_code rc =
        tm_org_field_retype(h->org, h->objects[e->object], e->field, patch, NULL, err);
    json_decref(patch);
    return rc;
}

static enum tm_code schema_add(struct tm_sim_history *h, const struct tm_sim_event *e,
                               struct tm_err *err)
{
    json_t *field = json_pack("{s:s, s:s, s:i}", "name", e->field, "type", "string", "length", 80);
    const struct tm_now now = { e->org_ms, tm_sim_wall_at(e->org_ms) };
    enum tm_code rc = tm_org_field_add(h->org, h->objects[e->object], field, &now, err);
    json_decref(field);
    if (strcmp(e->field, "Old__c") == 0) {
        h->removed[e->object] = false;
        h->stats->count[TM_SIM_STAT_FIELD_BACK]++;
    }
    return rc;
}

static enum tm_code schema_hide(struct tm_sim_history *h, const struct tm_sim_event *e,
                                struct tm_err *err)
{
    bool hidden = e->kind == TM_SIM_FIELD_HIDE;
    snprintf(h->hidden[e->object], sizeof h->hidden[0], "%s", hidden ? e->field : "");
    return tm_org_field_hide(h->org, h->objects[e->object], e->field, hidden, err);
}

enum tm_code tm_sim_history_schema_do(struct tm_sim_history *h, const struct tm_sim_event *e,
                                      struct tm_err *err)
{
    static const enum tm_sim_stat stats[] = {
        [TM_SIM_FIELD_ADD] = TM_SIM_STAT_FIELD_ADD,
        [TM_SIM_FIELD_REMOVE] = TM_SIM_STAT_FIELD_REMOVE,
        [TM_SIM_FIELD_RETYPE] = TM_SIM_STAT_FIELD_RETYPE,
        [TM_SIM_FIELD_WIDEN] = TM_SIM_STAT_FIELD_WIDEN,
        [TM_SIM_FIELD_NARROW] = TM_SIM_STAT_FIELD_NARROW,
        [TM_SIM_FIELD_TEXT] = TM_SIM_STAT_FIELD_TEXT,
        [TM_SIM_FIELD_NUMBER] = TM_SIM_STAT_FIELD_NUMBER,
        [TM_SIM_FIELD_HIDE] = TM_SIM_STAT_FIELD_HIDE,
        [TM_SIM_FIELD_SHOW] = TM_SIM_STAT_FIELD_SHOW,
        [TM_SIM_FORGET] = TM_SIM_STAT_FORGET,
    };
    if (e->kind < sizeof stats / sizeof stats[0])
        h->stats->count[stats[e->kind]]++;
    switch (e->kind) {
    case TM_SIM_TXN: break;
    case TM_SIM_FIELD_ADD: return schema_add(h, e, err);
    case TM_SIM_FIELD_REMOVE:
        h->removed[e->object] = true;
        return tm_org_field_remove(h->org, h->objects[e->object], e->field, err);
    case TM_SIM_FIELD_RETYPE:
    case TM_SIM_FIELD_WIDEN: return schema_retype(h, e, err);
    case TM_SIM_FIELD_NARROW: return schema_narrow(h, e, err);
    case TM_SIM_FIELD_TEXT:
    case TM_SIM_FIELD_NUMBER: return schema_kind(h, e, err);
    case TM_SIM_FIELD_HIDE:
    case TM_SIM_FIELD_SHOW: return schema_hide(h, e, err);
    case TM_SIM_FORGET: h->forgot = true; return tm_org_forget(h->org, e->org_ms, err);
    case TM_SIM_RESTART:
    case TM_SIM_RESTART_LIVE: /* the driver does it: it knows who is away */
        h->restarted = true;
        h->restart_live = e->kind == TM_SIM_RESTART_LIVE;
        h->restarts++;
        break;
    }
    return TM_OK;
}
