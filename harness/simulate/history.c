#include "simulate/history.h"
#include "simulate/history_schema.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HISTORY_SETS_MAX 40
#define HISTORY_CHANGES_MAX 5
#define HISTORY_TEXT_BYTES 2400
#define HISTORY_ARENA_BYTES (HISTORY_CHANGES_MAX * 4 * HISTORY_TEXT_BYTES)
#define HISTORY_BEFORE_MAX 6        /* records that were there before anybody listened */
#define HISTORY_SMALL_TXNS_MAX 6    /* of a small history */
#define HISTORY_SMALL_RECORDS_MAX 5 /* its dead ones among them */
#define HISTORY_YEARS_MS (3 * 365 * 86400000LL) /* records are older than events are kept */
#define HISTORY_HOUR_MS 3600000LL
#define HISTORY_PAUSE_MS 4000 /* at most, between two transactions */
#define HISTORY_SMALL_PAUSE_MS 2000
#define HISTORY_LONG_PAUSE_MS 60000
#define HISTORY_GAPS_MS 5000 /* gaps of a record closer than this are one over the other */

/* One transaction being made; texts live in the arena until it is committed. */
struct history_txn {
    struct tm_org_change changes[HISTORY_CHANGES_MAX];
    size_t records[HISTORY_CHANGES_MAX], count;
    struct tm_org_set sets[HISTORY_CHANGES_MAX][HISTORY_SETS_MAX];
    char arena[HISTORY_ARENA_BYTES];
    size_t arena_bytes;
};

static size_t history_weighted(struct tm_rng *rng, const unsigned *weights, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += weights[i];
    uint64_t at = tm_rng_below(rng, total);
    for (size_t i = 0; i < count; i++) {
        if (at < weights[i])
            return i;
        at -= weights[i];
    }
    return 0;
}

enum tm_code tm_sim_history_init(struct tm_sim_history *h, struct tm_sim_script *script,
                                 struct tm_org *org, const char *const *objects,
                                 size_t objects_count, struct tm_sim_stats *stats,
                                 struct tm_err *err)
{
    *h = (struct tm_sim_history){ .org = org,
                                  .script = script,
                                  .objects = objects,
                                  .objects_count = objects_count,
                                  .stats = stats };
    tm_rng_init(&h->rng, script->seed ^ 0x686973746f7279);
    h->announce[TM_ORG_NORMAL] = 4;
    h->kinds[TM_ORG_CREATE] = 2;
    h->kinds[TM_ORG_UPDATE] = 4;
    for (size_t i = 1; i < 6; i++)
        h->announce[i] = tm_rng_chance(&h->rng, 0.5) ? (unsigned)tm_rng_between(&h->rng, 1, 4) : 0;
    for (size_t i = 2; i < 5; i++)
        h->kinds[i] = tm_rng_chance(&h->rng, 0.6) ? (unsigned)tm_rng_between(&h->rng, 1, 4) : 0;
    h->null = tm_rng_chance(&h->rng, 0.7) ? 0.3 : 0;
    h->same_ms = tm_rng_chance(&h->rng, 0.5) ? 0.4 : 0;
    h->same_second = tm_rng_chance(&h->rng, 0.7) ? 0.5 : 0;
    h->stick = tm_rng_chance(&h->rng, 0.3) ? 0.5 : 0;
    h->revive = tm_rng_chance(&h->rng, 0.3) ? 0.5 : 0;
    h->vanish = tm_rng_chance(&h->rng, 0.3) ? 0.1 : 0;
    h->merge = tm_rng_chance(&h->rng, 0.3) ? 0.1 : 0;
    h->forget = tm_rng_chance(&h->rng, 0.2) ? 0.15 : 0;
    h->lead = tm_rng_chance(&h->rng, 0.2) ? 0.15 : 0;
    h->restart = tm_rng_chance(&h->rng, 0.2) ? 0.12 : 0;
    for (size_t i = TM_ORG_DELETE; h->revive > 0 && i <= TM_ORG_UNDELETE; i++)
        h->kinds[i] += 2;
    h->picklist = true;
    h->large = tm_sim_script_large(script);
    h->records_max = TM_SIM_RECORDS_MAX;
    if (h->large) {
        h->left = (size_t)tm_rng_between(&h->rng, 1, tm_rng_chance(&h->rng, 0.2) ? 60 : 16);
    } else {
        h->left = (size_t)tm_rng_between(&h->rng, 1, HISTORY_SMALL_TXNS_MAX);
        h->records_max = (size_t)tm_rng_between(&h->rng, 1, HISTORY_SMALL_RECORDS_MAX);
    }
    h->org_ms = TM_SIM_ORIGIN_MS;
    h->last_record = TM_SIM_RECORDS_MAX;
    return tm_org_replay_restart(org, tm_sim_history_line(h), err);
}

void tm_sim_history_within(struct tm_sim_history *h, bool audited, bool sees_all)
{
    h->audited = audited;
    if (audited)
        h->announce[TM_ORG_SILENT] = (unsigned)tm_rng_between(&h->rng, 0, 3);
    if (!sees_all) { /* see tm_sim_fair */
        h->announce[TM_ORG_SILENT] = h->kinds[TM_ORG_HARD_DELETE] = 0;
        h->forget = h->restart = 0;
        h->vanish = tm_rng_chance(&h->rng, 0.7) ? 0.3 : 0;
    }
    h->hide = tm_rng_chance(&h->rng, 0.2) ? (audited ? 0.4 : 0.15) : 0;
    tm_sim_history_theme(h);
}

static void history_count(struct tm_sim_history *h, enum tm_sim_stat stat)
{
    h->stats->count[stat]++;
}

/* ---- values ---- */

/* Every third text has something in it that needs care on its way. */
static const char *history_text(struct history_txn *t, uint64_t number, size_t bytes)
{
    static const char *const tails[] = { "\"]", "\\n",       "\xc3\xa9", "\xf0\x9f\x99\x82",
                                         "'--", "\"Name\",", "\n%s*",    "{\"diff\":1}",
                                         " ",   "\t\xc2\xa0" };
    char *out = t->arena + t->arena_bytes;
    const char *tail =
        bytes == 0 && number % 3 == 0 ? tails[number / 3 % (sizeof tails / sizeof tails[0])] : "";
    int n = snprintf(out, HISTORY_TEXT_BYTES, "v%" PRIu64 "%s", number, tail);
    assert(t->arena_bytes + HISTORY_TEXT_BYTES <= sizeof t->arena && bytes < HISTORY_TEXT_BYTES);
    for (size_t i = (size_t)n; i < bytes; i++)
        out[i] = (i % 60) == 59 ? '\n' : (char)('a' + (number + i) % 26);
    size_t total = bytes > (size_t)n ? bytes : (size_t)n;
    out[total] = '\0';
    t->arena_bytes += total + 1;
    return out;
}

static struct tm_org_value history_value(struct tm_sim_history *h, struct history_txn *t,
                                         const struct tm_field *f, bool diff)
{
    uint64_t n = ++h->value;
    if (f->nillable && tm_rng_chance(&h->rng, h->null))
        return (struct tm_org_value){ .kind = TM_ORG_NULL };
    if (f->nillable && f->kind == TM_FIELD_TEXT && tm_rng_chance(&h->rng, h->null / 4))
        return (struct tm_org_value){ .kind = TM_ORG_TEXT,
                                      .text = "" }; /* the org takes it for null */
    if (tm_rng_chance(&h->rng, 0.1))
        n = tm_rng_below(&h->rng, n) + 1; /* a value that may have been there before */
    struct tm_org_value v = { .kind = TM_ORG_TEXT };
    char word[40];
    switch (f->kind) {
    case TM_FIELD_BOOLEAN:
        return (struct tm_org_value){ .kind = TM_ORG_INT, .i = (int64_t)(n % 2) };
    case TM_FIELD_INT: /* some need all 32 bits, some are below zero */
        return (struct tm_org_value){ .kind = TM_ORG_INT,
                                      .i = n % 3 == 0   ? INT32_MAX - (int64_t)n
                                           : n % 5 == 0 ? -(int64_t)n
                                                        : (int64_t)n };
    case TM_FIELD_NUMBER: /* cents beside millions */
        return (struct tm_org_value){ .kind = TM_ORG_REAL,
                                      .d = (double)((int64_t)n * 100003 + 7 +
                                                    (int64_t)(n % 4) * 12345678901) /
                                           (n % 5 == 0 ? -100 : 100) };
    case TM_FIELD_DATETIME:
        return (struct tm_org_value){ .kind = TM_ORG_INT,
                                      .i = TM_SIM_ORIGIN_MS + (int64_t)n * 1000 };
    case TM_FIELD_DATE:
        snprintf(word, sizeof word, "20%02d-%02d-%02d", (int)(n / 300 % 90) + 10,
                 (int)(n / 28 % 12) + 1, (int)(n % 28) + 1);
        break;
    case TM_FIELD_TIME:
        snprintf(word, sizeof word, "%02d:%02d:00.000Z", (int)(n / 60 % 24), (int)(n % 60));
        break;
    default:
        v.text = history_text(
            t, n, diff && f->length > 1500 ? (size_t)tm_rng_between(&h->rng, 1010, 1500) : 0);
        return v;
    }
    v.text = strcpy(t->arena + t->arena_bytes, word);
    t->arena_bytes += strlen(word) + 1;
    return v;
}

static bool history_may_set(const struct tm_field *f)
{
    static const char *const own[] = { "CreatedDate", "CreatedById", "LastModifiedDate",
                                       "LastModifiedById", "MasterRecordId" };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(f->name, own[i]) == 0)
            return false;
    return tm_field_in_events(f) && f->kind != TM_FIELD_ID;
}

static bool history_names(const struct tm_field *f)
{
    return strcmp(f->name, "Name") == 0 || strcmp(f->name, "LastName") == 0;
}

/* Somebody deletes a record and makes it anew, under the same name: another id. */
static const char *history_again(struct tm_sim_history *h, struct history_txn *t,
                                 const char *object, const struct tm_org_value *fresh)
{
    if (!tm_rng_chance(&h->rng, 0.3))
        return fresh->text;
    for (size_t i = 0; i < h->records_count; i++)
        if (h->records[i].name[0] != '\0' && h->records[i].state != TM_ORG_LIVE &&
            strcmp(h->objects[h->records[i].object], object) == 0) {
            char *text = t->arena + t->arena_bytes;
            t->arena_bytes += sizeof h->records[i].name;
            return strcpy(text, h->records[i].name);
        }
    return fresh->text;
}

/* Values for a create (every required field) or an update (a few fields). */
static void history_sets(struct tm_sim_history *h, struct history_txn *t, struct tm_org_change *c,
                         struct tm_org_set *sets)
{
    const struct tm_describe *d = tm_org_describe_whole(h->org, c->object);
    double share = tm_rng_chance(&h->rng, 0.2) ? 1 : 0.3;
    c->sets = sets;
    c->sets_count = 0;
    for (size_t i = 0; i < d->fields_count && c->sets_count < HISTORY_SETS_MAX; i++) {
        const struct tm_field *f = &d->fields[i];
        bool must = c->kind == TM_ORG_CREATE && !f->nillable, diff = c->announce == TM_ORG_DIFF;
        if (!history_may_set(f) ||
            !(must || tm_rng_chance(&h->rng, share) || (diff && f->length > 1500)))
            continue;
        struct tm_org_value value = history_value(h, t, f, diff || tm_rng_chance(&h->rng, 0.05));
        if (c->kind == TM_ORG_CREATE && history_names(f))
            value.text = history_again(h, t, c->object, &value);
        sets[c->sets_count++] = (struct tm_org_set){ f->name, value };
    }
}

/* ---- transactions ---- */

static bool history_fits(enum tm_org_kind kind, enum tm_org_state state)
{
    switch (kind) {
    case TM_ORG_CREATE: return false;
    case TM_ORG_UPDATE:
    case TM_ORG_DELETE: return state == TM_ORG_LIVE;
    case TM_ORG_UNDELETE: return state == TM_ORG_IN_BIN;
    case TM_ORG_HARD_DELETE: return state != TM_ORG_ABSENT;
    }
    return false;
}

/* A record of `object` that the transaction does not have yet; records_count when none. */
static size_t history_pick(struct tm_sim_history *h, const struct history_txn *t, size_t object,
                           enum tm_org_kind kind)
{
    size_t fitting[TM_SIM_RECORDS_MAX], count = 0;
    if (h->stays && t->count == 0 && h->records[h->last_record].object == object &&
        history_fits(kind, h->records[h->last_record].state))
        return h->last_record;
    for (size_t i = 0; i < h->records_count; i++) {
        bool taken = false;
        for (size_t k = 0; k < t->count; k++)
            taken |= t->records[k] == i;
        if (!taken && h->records[i].object == object && history_fits(kind, h->records[i].state))
            fitting[count++] = i;
    }
    return count > 0 ? fitting[tm_rng_below(&h->rng, count)] : h->records_count;
}

static bool history_add(struct tm_sim_history *h, struct history_txn *t, size_t object,
                        enum tm_org_kind kind, enum tm_org_announce announce)
{
    size_t at = h->records_count;
    if (t->count == HISTORY_CHANGES_MAX)
        return false;
    if (kind == TM_ORG_CREATE) {
        if (h->records_count == h->records_max)
            return false;
        h->records[h->records_count++] =
            (struct tm_sim_record){ .object = object, .state = TM_ORG_ABSENT };
    } else if ((at = history_pick(h, t, object, kind)) == h->records_count) {
        return false;
    }
    struct tm_org_change *c = &t->changes[t->count];
    *c = (struct tm_org_change){ .kind = kind, .announce = announce, .object = h->objects[object] };
    memcpy(c->id, h->records[at].id, sizeof c->id);
    t->records[t->count++] = at;
    return true;
}

static void history_settle(struct tm_sim_history *h, const struct history_txn *t)
{
    static const enum tm_org_state after[] = { TM_ORG_LIVE, TM_ORG_LIVE, TM_ORG_IN_BIN, TM_ORG_LIVE,
                                               TM_ORG_ABSENT };
    for (size_t i = 0; i < t->count; i++) {
        struct tm_sim_record *r = &h->records[t->records[i]];
        h->last_record = t->records[i];
        h->last_announce = t->changes[i].announce;
        memcpy(r->id, t->changes[i].id, sizeof r->id);
        r->state = after[t->changes[i].kind];
        for (size_t k = 0; k < t->changes[i].sets_count; k++) {
            const struct tm_org_set *set = &t->changes[i].sets[k];
            bool name = strcmp(set->field, "Name") == 0 || strcmp(set->field, "LastName") == 0;
            if (name && set->value.text != NULL && strlen(set->value.text) < sizeof r->name)
                strcpy(r->name, set->value.text);
        }
    }
}

/* ---- what a transaction is made of ---- */

static void history_count_sets(struct tm_sim_history *h, const struct tm_org_change *c)
{
    const struct tm_describe *d = tm_org_describe_whole(h->org, c->object);
    for (size_t k = 0; k < c->sets_count; k++) {
        const struct tm_org_value *v = &c->sets[k].value;
        const struct tm_field *f = tm_describe_field(d, c->sets[k].field);
        if (v->kind == TM_ORG_NULL)
            history_count(h, TM_SIM_STAT_NULL);
        if (v->kind == TM_ORG_TEXT && v->text[0] == '\0')
            history_count(h, TM_SIM_STAT_EMPTY_TEXT);
        if (v->kind == TM_ORG_TEXT && strlen(v->text) > 1000)
            history_count(h, TM_SIM_STAT_LONG_TEXT);
        if (f != NULL && f->compound != NULL)
            history_count(h, TM_SIM_STAT_COMPOUND_PART);
        if (f != NULL && f->hidden)
            history_count(h, TM_SIM_STAT_HIDDEN_SET);
    }
}

static void history_count_change(struct tm_sim_history *h, const struct tm_org_change *c,
                                 struct tm_sim_record *r)
{
    static const enum tm_sim_stat kinds[] = { TM_SIM_STAT_CREATE, TM_SIM_STAT_UPDATE,
                                              TM_SIM_STAT_DELETE, TM_SIM_STAT_UNDELETE,
                                              TM_SIM_STAT_HARD_DELETE },
                                  gaps[] = { TM_SIM_STAT_GAP_CREATE, TM_SIM_STAT_GAP_UPDATE,
                                             TM_SIM_STAT_GAP_DELETE, TM_SIM_STAT_GAP_UNDELETE,
                                             TM_SIM_STAT_GAP_DELETE };
    history_count(h, kinds[c->kind]);
    for (size_t i = 0; c->kind == TM_ORG_CREATE && i < h->records_count; i++)
        if (h->records[i].state != TM_ORG_LIVE && h->records[i].name[0] != '\0' &&
            h->records[i].object == r->object && strcmp(h->records[i].name, r->name) == 0) {
            history_count(h, TM_SIM_STAT_RECREATE);
            break;
        }
    switch (c->announce) {
    case TM_ORG_GAP:
        history_count(h, gaps[c->kind]);
        if (r->gap_ms != 0 && h->org_ms - r->gap_ms < HISTORY_GAPS_MS)
            history_count(h, TM_SIM_STAT_GAP_OVER_GAP);
        r->gap_ms = h->org_ms;
        break;
    case TM_ORG_OVERFLOW: history_count(h, TM_SIM_STAT_OVERFLOW); break;
    case TM_ORG_DIFF: history_count(h, TM_SIM_STAT_DIFF); break;
    case TM_ORG_CONVERSION: history_count(h, TM_SIM_STAT_CONVERSION); break;
    case TM_ORG_SILENT: history_count(h, TM_SIM_STAT_SILENT); break;
    case TM_ORG_MERGED:
    case TM_ORG_NORMAL: break;
    }
    history_count_sets(h, c);
}

static void history_count_txn(struct tm_sim_history *h, const struct history_txn *t,
                              int64_t before_ms)
{
    if (h->org_ms == before_ms)
        history_count(h, TM_SIM_STAT_SAME_INSTANT);
    else if (h->org_ms / 1000 == before_ms / 1000)
        history_count(h, TM_SIM_STAT_SAME_SECOND);
    bool normal = t->count > 1 && t->changes[0].announce == TM_ORG_NORMAL &&
                  t->changes[1].announce == TM_ORG_NORMAL;
    if (normal && t->changes[0].kind == TM_ORG_DELETE && t->changes[1].kind == TM_ORG_UPDATE)
        history_count(h, TM_SIM_STAT_MERGE);
    if (normal && t->changes[0].kind == TM_ORG_UPDATE && t->changes[1].kind == TM_ORG_CREATE)
        history_count(h, TM_SIM_STAT_LEAD_CONVERSION);
    for (size_t i = 0; i < t->count; i++) {
        const struct tm_org_change *c = &t->changes[i];
        history_count_change(h, c, &h->records[t->records[i]]);
        if (i > 0 && c->announce == TM_ORG_MERGED && c[-1].announce == TM_ORG_MERGED &&
            c->kind == c[-1].kind && c->object == c[-1].object)
            history_count(h, TM_SIM_STAT_MERGED_SPLIT);
    }
}

static enum tm_code history_vanish(struct tm_sim_history *h, struct history_txn *t,
                                   struct tm_err *err)
{
    struct tm_org_txn txn = { .changes = t->changes,
                              .org_ms = h->org_ms,
                              .intended_ns = tm_sim_wall_at(h->org_ms),
                              .actual_ns = tm_sim_wall_at(h->org_ms) };
    for (size_t i = 0; i < t->count; i++) {
        struct tm_org_change *c = &t->changes[i];
        if (c->announce != TM_ORG_GAP || h->records[t->records[i]].state != TM_ORG_LIVE)
            continue;
        c->kind = TM_ORG_HARD_DELETE;
        c->announce = TM_ORG_SILENT;
        c->sets_count = 0;
        t->records[txn.changes_count] = t->records[i];
        t->changes[txn.changes_count++] = *c;
    }
    t->count = txn.changes_count;
    if (t->count > 0)
        history_count(h, TM_SIM_STAT_VANISH);
    enum tm_code rc = t->count > 0 ? tm_org_commit(h->org, &txn, err) : TM_OK;
    if (rc != TM_OK)
        return tm_at(err, "the simulated history");
    history_settle(h, t);
    return TM_OK;
}

static enum tm_code history_write(struct tm_sim_history *h, struct history_txn *t,
                                  struct tm_sim_event *e, struct tm_err *err)
{
    struct tm_org_txn txn = { .changes = t->changes,
                              .changes_count = t->count,
                              .org_ms = e->org_ms,
                              .intended_ns = e->before ? 0 : tm_sim_wall_at(e->org_ms),
                              .actual_ns = e->before ? 0 : tm_sim_wall_at(e->org_ms),
                              .before_origin = e->before };
    static const char *const origins[] = { NULL, "com/salesforce/api/rest/63.0;client=tidemark",
                                           "com/salesforce/core/ui" };
    char user[TM_ID_BYTES];
    tm_org_id_of(h->org, user, "005", 77);
    txn.origin = origins[h->commits % 3];
    txn.user = h->commits % 5 == 4 ? user : NULL;
    int64_t before_ms = h->org_ms;
    enum tm_code rc = tm_org_commit(h->org, &txn, err);
    if (rc != TM_OK)
        return tm_at(err, "the simulated history");
    history_settle(h, t);
    for (size_t i = 0; i < e->changes_count; i++)
        memcpy(e->changes[i].id, h->records[e->changes[i].record].id, sizeof e->changes[i].id);
    h->commits++;
    h->org_ms = tm_org_ms_last(h->org);
    if (!e->before)
        history_count_txn(h, t, before_ms);
    return e->vanish ? history_vanish(h, t, err) : TM_OK;
}

/* Draws the values, tells the script, commits. */
static enum tm_code history_commit(struct tm_sim_history *h, struct history_txn *t,
                                   struct tm_sim_event *e, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < t->count && rc == TM_OK; i++) {
        struct tm_org_change *c = &t->changes[i];
        bool same = i > 0 && c->announce == TM_ORG_MERGED && c->kind == c[-1].kind &&
                    c->object == c[-1].object;
        if (same) {
            c->sets = c[-1].sets;
            c->sets_count = c[-1].sets_count;
        } else if (c->kind == TM_ORG_CREATE || c->kind == TM_ORG_UPDATE) {
            history_sets(h, t, c, t->sets[i]);
        }
        rc = tm_sim_event_change(e, c, h->records[t->records[i]].object, t->records[i], err);
    }
    return rc == TM_OK ? history_write(h, t, e, err) : rc;
}

static bool history_in_bin(const struct tm_sim_history *h, size_t object)
{
    for (size_t i = 0; i < h->records_count; i++)
        if (h->records[i].object == object && h->records[i].state == TM_ORG_IN_BIN)
            return true;
    return false;
}

/* One announcement for a group of changes, so that merged events, overflows and conversions have
 * several. Two gaps of one record in one window, or a gap and its undelete, need more than chance:
 * in some histories changes stay with a record, and what is deleted comes back. */
static void history_group(struct tm_sim_history *h, struct history_txn *t)
{
    enum tm_org_announce announce = (enum tm_org_announce)history_weighted(&h->rng, h->announce, 7);
    enum tm_org_kind kind = (enum tm_org_kind)history_weighted(&h->rng, h->kinds, 5);
    if (kind == TM_ORG_CREATE && h->records_count == h->records_max)
        kind = TM_ORG_UPDATE;
    size_t object = (size_t)tm_rng_below(&h->rng, h->objects_count), count = 1;
    h->stays = h->last_record < h->records_count && tm_rng_chance(&h->rng, h->stick);
    if (h->again && h->last_record < h->records_count) {
        h->stays = true;
        h->last_announce = TM_ORG_NORMAL;
        kind = TM_ORG_UPDATE;
    }
    h->again = false;
    if (h->stays) {
        object = h->records[h->last_record].object;
        if (h->announce[h->last_announce] > 0) /* a vanished one's is not drawn */
            announce = h->last_announce;
        if (kind == TM_ORG_CREATE)
            kind = TM_ORG_UPDATE;
    }
    if (tm_rng_chance(&h->rng, h->revive) && history_in_bin(h, object)) {
        kind = TM_ORG_UNDELETE;
        if (h->announce[TM_ORG_GAP] > 0 && tm_rng_chance(&h->rng, 0.3))
            announce = TM_ORG_GAP;
    }
    if (announce == TM_ORG_CONVERSION || announce == TM_ORG_DIFF)
        kind = TM_ORG_UPDATE;
    if (announce == TM_ORG_MERGED || announce == TM_ORG_OVERFLOW || tm_rng_chance(&h->rng, 0.1))
        count = (size_t)tm_rng_between(&h->rng, 1, 4);
    for (size_t i = 0; i < count; i++)
        if (!history_add(h, t, object, kind, announce))
            break;
    h->stays = false;
}

/* Two records become one: the loser goes, the winner takes values of it, others point to the winner
 * now. */
static void history_merge(struct tm_sim_history *h, struct history_txn *t)
{
    size_t object = (size_t)tm_rng_below(&h->rng, h->objects_count);
    size_t other = (size_t)tm_rng_below(&h->rng, h->objects_count);
    if (!history_add(h, t, object, TM_ORG_DELETE, TM_ORG_NORMAL) ||
        !history_add(h, t, object, TM_ORG_UPDATE, TM_ORG_NORMAL))
        return;
    for (size_t left = (size_t)tm_rng_between(&h->rng, 0, 3);
         left > 0 && history_add(h, t, other, TM_ORG_UPDATE, TM_ORG_MERGED);)
        left--;
}

/* A lead becomes an account, a contact and an opportunity: one transaction over objects. */
static void history_lead(struct tm_sim_history *h, struct history_txn *t)
{
    size_t lead = h->objects_count - 1;
    if (history_add(h, t, lead, TM_ORG_UPDATE, TM_ORG_NORMAL) &&
        history_add(h, t, 0, TM_ORG_CREATE, TM_ORG_NORMAL)) {
        history_add(h, t, lead, TM_ORG_CREATE, TM_ORG_NORMAL);
        history_add(h, t, 0, TM_ORG_UPDATE, TM_ORG_NORMAL); /* what hung on it hangs on that */
    }
}

/* ---- a given script ---- */

/* A value drawn when the field was of another kind does not fit any longer, or not yet. */
static bool history_suits(const struct tm_field *f, const struct tm_org_value *v)
{
    bool number = f != NULL && (f->kind == TM_FIELD_INT || f->kind == TM_FIELD_NUMBER);
    return f != NULL && (v->kind == TM_ORG_NULL || number == (v->kind != TM_ORG_TEXT) ||
                         f->kind == TM_FIELD_BOOLEAN || f->kind == TM_FIELD_DATETIME);
}

/* What of the event still fits: an update of a record that was never created does not. */
static void history_take(struct tm_sim_history *h, struct history_txn *t,
                         const struct tm_sim_event *e)
{
    for (size_t i = 0; i < e->changes_count && t->count < HISTORY_CHANGES_MAX; i++) {
        const struct tm_sim_change *from = &e->changes[i];
        struct tm_org_change *c = &t->changes[t->count];
        struct tm_sim_record *r = &h->records[from->record];
        bool born = r->id[0] != '\0';
        if (from->object >= h->objects_count ||
            (from->kind == TM_ORG_CREATE ? born : !born || !history_fits(from->kind, r->state)))
            continue;
        if (h->records_count <= from->record)
            h->records_count = from->record + 1;
        r->object = from->object;
        *c = (struct tm_org_change){ .kind = from->kind,
                                     .announce = from->announce,
                                     .object = h->objects[from->object],
                                     .sets = t->sets[t->count] };
        memcpy(c->id, r->id, sizeof c->id);
        for (size_t k = 0; k < from->sets_count; k++)
            if (history_suits(tm_describe_field(tm_org_describe_whole(h->org, c->object),
                                                from->sets[k].field),
                              &from->sets[k].value))
                t->sets[t->count][c->sets_count++] =
                    (struct tm_org_set){ from->sets[k].field, from->sets[k].value };
        t->records[t->count++] = from->record;
    }
}

static enum tm_code history_replay(struct tm_sim_history *h, struct tm_sim_event *e,
                                   struct tm_err *err)
{
    static _Thread_local struct history_txn t;
    if (e->kind != TM_SIM_TXN)
        return tm_sim_history_schema_fits(h, e) ? tm_sim_history_schema_do(h, e, err) : TM_OK;
    t.count = t.arena_bytes = 0;
    history_take(h, &t, e);
    return t.count > 0 ? history_write(h, &t, e, err) : TM_OK;
}

/* ---- one after the other ---- */

bool tm_sim_history_more(const struct tm_sim_history *h)
{
    return h->script->choices.given ? h->event < h->script->events_count : h->left > 0;
}

enum tm_code tm_sim_history_next(struct tm_sim_history *h, int64_t now_org_ms, struct tm_err *err)
{
    static _Thread_local struct history_txn t;
    assert(tm_sim_history_more(h));
    if (h->script->choices.given) {
        struct tm_sim_event *e = &h->script->events[h->event++];
        e->org_ms = now_org_ms;
        return history_replay(h, e, err);
    }
    struct tm_sim_event *e = tm_sim_script_event(h->script);
    if (e == NULL)
        return tm_fail(err, TM_E_NOMEM, "the simulated history");
    e->pause_ms = h->pause_ms;
    e->org_ms = now_org_ms;
    h->left--;
    if (tm_sim_history_schema_draw(h, e))
        return e->kind != TM_SIM_TXN ? tm_sim_history_schema_do(h, e, err) : TM_OK;
    t.count = t.arena_bytes = 0;
    e->vanish = tm_rng_chance(&h->rng, h->vanish);
    if (e->vanish)
        history_add(h, &t, (size_t)tm_rng_below(&h->rng, h->objects_count), TM_ORG_UPDATE,
                    TM_ORG_GAP);
    else if (tm_rng_chance(&h->rng, h->merge))
        history_merge(h, &t);
    else if (tm_rng_chance(&h->rng, h->lead))
        history_lead(h, &t);
    else
        do
            history_group(h, &t);
        while (t.count < 3 && tm_rng_chance(&h->rng, 0.25));
    if (t.count == 0)
        history_add(h, &t, (size_t)tm_rng_below(&h->rng, h->objects_count), TM_ORG_CREATE,
                    TM_ORG_NORMAL);
    return t.count > 0 ? history_commit(h, &t, e, err) : TM_OK;
}

enum tm_code tm_sim_history_cut(struct tm_sim_history *h, int64_t now_org_ms, struct tm_err *err)
{
    struct tm_sim_event *e = tm_sim_script_event(h->script);
    if (e == NULL)
        return tm_fail(err, TM_E_NOMEM, "the simulated history");
    e->pause_ms = h->pause_ms;
    e->org_ms = now_org_ms;
    return TM_OK;
}

enum tm_code tm_sim_history_populate(struct tm_sim_history *h, struct tm_err *err)
{
    static _Thread_local struct history_txn t;
    enum tm_code rc = TM_OK;
    struct tm_sim_script *s = h->script;
    if (s->choices.given) {
        while (rc == TM_OK && h->event < s->events_count && s->events[h->event].before)
            rc = history_replay(h, &s->events[h->event++], err);
        return rc;
    }
    size_t count = (size_t)tm_rng_between(
        &h->rng, 0, h->large ? HISTORY_BEFORE_MAX : (int64_t)h->records_max - 1);
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        struct tm_sim_event *e = tm_sim_script_event(s);
        if (e == NULL)
            return tm_fail(err, TM_E_NOMEM, "the simulated history");
        e->before = true;
        e->org_ms = TM_SIM_ORIGIN_MS - (i == 0 ? HISTORY_YEARS_MS : HISTORY_HOUR_MS);
        t.count = t.arena_bytes = 0;
        history_add(h, &t, (size_t)tm_rng_below(&h->rng, h->objects_count), TM_ORG_CREATE,
                    TM_ORG_NORMAL);
        rc = history_commit(h, &t, e, err);
    }
    return rc;
}

static int64_t history_pause(struct tm_sim_history *h)
{
    if (tm_rng_chance(&h->rng, h->same_ms))
        return 0;
    if (tm_rng_chance(&h->rng, h->same_second))
        return tm_rng_between(&h->rng, 1, 400);
    bool long_one = tm_rng_chance(&h->rng, h->large ? 0.1 : 0.03);
    return tm_rng_between(&h->rng, 1,
                          long_one   ? HISTORY_LONG_PAUSE_MS
                          : h->large ? HISTORY_PAUSE_MS
                                     : HISTORY_SMALL_PAUSE_MS);
}

int64_t tm_sim_history_pause_ms(struct tm_sim_history *h)
{
    h->pause_ms =
        h->script->choices.given ? h->script->events[h->event].pause_ms : history_pause(h);
    return h->pause_ms;
}
