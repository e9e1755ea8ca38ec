/* org_event: what subscribers are told of a transaction: an event a change, one for several where
 * they are merged, one for all of an object where they overflow or its type was converted. */
#include "mocks/salesforce/org_commit.h"
#include <stdio.h>
#include <string.h>

static const char *const event_words[] = { "CREATE", "UPDATE", "DELETE", "UNDELETE", "DELETE" };
static const char *const gap_words[] = { "GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE",
                                         "GAP_DELETE" };

/* Replay ids grow and leave gaps, as the real bus's do. */
static int64_t event_replay_next(struct tm_org *org)
{
    uint64_t number = (uint64_t)++org->events_count,
             h = tm_hash64(&number, sizeof number, org->settings.seed);
    org->replay_last += 1 + (int64_t)(h % 16 == 0 ? h / 16 % 40 : h / 16 % 2);
    return org->replay_last;
}

static enum tm_code event_put(struct org_commit *c, struct org_object *o, int64_t replay_id,
                              int64_t pos, const char *change, const char *fields,
                              const char *changed, const char *ids, int64_t seq, struct tm_err *err)
{
    struct tm_org *org = c->org;
    struct org_header h = { o->describe->object,
                            change,
                            c->user,
                            c->txn->origin != NULL ? c->txn->origin : "",
                            c->key,
                            c->number,
                            c->second_ms,
                            seq,
                            changed,
                            ids };
    tm_buf_reset(&org->body);
    org_render_event(&org->body, o->schema_id, fields, &h);
    if (tm_buf_check(&org->body, "change event", err) != TM_OK)
        return TM_E_LIMIT;
    sqlite3_stmt *s = org->event;
    sqlite3_bind_int64(s, 1, replay_id);
    sqlite3_bind_text(s, 2, o->describe->object, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, change, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, pos);
    sqlite3_bind_int64(s, 5, c->org_ms + org->settings.publish_delay_ms);
    sqlite3_bind_text(s, 6, org->body.data, (int)org->body.bytes, SQLITE_STATIC);
    o->replay_last = replay_id > o->replay_last ? replay_id : o->replay_last;
    return tm_sql_run(s, err);
}

enum tm_code org_commit_flush_merged(struct org_commit *c, struct tm_err *err)
{
    struct org_pending *p = &c->org->pending;
    if (!p->open)
        return TM_OK;
    p->open = false;
    return event_put(c, &c->org->objects[p->object], p->replay_id, p->pos, p->change,
                     tm_buf_text(&p->fields), tm_buf_text(&p->changed), tm_buf_text(&p->ids),
                     p->seq, err);
}

/* Joins the gathered event if it says the same, else starts a new one. out: the replay id of the
 * event. */
static enum tm_code event_merge(struct org_commit *c, struct org_object *o, const char *change,
                                int64_t pos, const char *ids, int64_t *out_replay,
                                struct tm_err *err)
{
    struct tm_org *org = c->org;
    struct org_pending *p = &org->pending;
    size_t object = (size_t)(o - org->objects);
    if (p->open && p->object == object && strcmp(p->change, change) == 0 &&
        strcmp(tm_buf_text(&p->fields), tm_buf_text(&org->fields)) == 0 &&
        strcmp(tm_buf_text(&p->changed), tm_buf_text(&org->changed)) == 0) {
        tm_buf_addc(&p->ids, ',');
        tm_buf_addz(&p->ids, ids);
        *out_replay = p->replay_id;
        return tm_buf_check(&p->ids, "recordIds of a merged event", err);
    }
    enum tm_code rc = org_commit_flush_merged(c, err);
    if (rc != TM_OK)
        return rc;
    p->open = true;
    p->object = object;
    p->change = change;
    p->pos = pos;
    p->seq = c->seq;
    *out_replay = p->replay_id = event_replay_next(org);
    tm_buf_reset(&p->fields);
    tm_buf_reset(&p->changed);
    tm_buf_reset(&p->ids);
    tm_buf_add(&p->fields, tm_buf_text(&org->fields), org->fields.bytes);
    tm_buf_add(&p->changed, tm_buf_text(&org->changed), org->changed.bytes);
    tm_buf_addz(&p->ids, ids);
    return tm_buf_check(&p->fields, "merged event", err);
}

enum tm_code org_commit_shared_events(struct org_commit *c, struct tm_err *err)
{
    enum tm_code rc = org_commit_flush_merged(c, err);
    for (size_t i = 0; i < c->org->objects_count && rc == TM_OK; i++) {
        struct org_object *o = &c->org->objects[i];
        char ids[TM_ID_BYTES + 4];
        if (o->overflow_replay != 0)
            rc = event_put(c, o, o->overflow_replay, o->overflow_pos, "GAP_OVERFLOW", "", "[]",
                           "\"000000000000000AAA\"", o->overflow_seq, err);
        snprintf(ids, sizeof ids, "\"%s*\"", o->describe->key_prefix);
        if (rc == TM_OK && o->conversion_replay != 0)
            rc = event_put(c, o, o->conversion_replay, o->conversion_pos, "UPDATE", "", "[]", ids,
                           o->conversion_seq, err);
        o->overflow_replay = o->conversion_replay = 0;
    }
    return rc;
}

static int64_t event_shared_replay(struct org_commit *c, int64_t *replay, int64_t *pos,
                                   int64_t *seq)
{
    if (*replay == 0) {
        *replay = event_replay_next(c->org);
        *pos = c->org->pos_last;
        *seq = c->seq;
    }
    return *replay;
}

/* changedFields of the event: names as events spell them. */
static void event_names(struct tm_org *org, const struct org_object *o, bool update)
{
    bool first = true;
    tm_buf_reset(&org->changed);
    tm_buf_addc(&org->changed, '[');
    for (size_t i = 0; update && i < o->columns_count; i++) {
        if (!org->mark[i])
            continue;
        tm_buf_addz(&org->changed, first ? "\"" : ",\"");
        tm_buf_addz(&org->changed, o->columns[i].field->event_name);
        tm_buf_addc(&org->changed, '"');
        first = false;
    }
    tm_buf_addc(&org->changed, ']');
}

enum tm_code org_commit_announce(struct org_commit *c, struct org_object *o,
                                 const struct tm_org_change *change, bool was_live,
                                 const char **out_event, int64_t *out_replay, struct tm_err *err)
{
    struct tm_org *org = c->org;
    enum tm_org_announce how = change->announce;
    char ids[TM_ID_BYTES + 3];
    *out_event = NULL;
    *out_replay = 0;
    if (how == TM_ORG_SILENT || c->txn->before_origin || !o->announced ||
        (change->kind == TM_ORG_HARD_DELETE && !was_live && how == TM_ORG_NORMAL))
        return TM_OK;
    if (how == TM_ORG_OVERFLOW) {
        *out_event = "GAP_OVERFLOW";
        *out_replay =
            event_shared_replay(c, &o->overflow_replay, &o->overflow_pos, &o->overflow_seq);
        return TM_OK;
    }
    if (how == TM_ORG_CONVERSION) {
        *out_event = "UPDATE";
        *out_replay =
            event_shared_replay(c, &o->conversion_replay, &o->conversion_pos, &o->conversion_seq);
        return TM_OK;
    }
    bool bare =
        how == TM_ORG_GAP || change->kind == TM_ORG_DELETE || change->kind == TM_ORG_HARD_DELETE;
    snprintf(ids, sizeof ids, "\"%s\"", change->id);
    tm_buf_reset(&org->fields);
    if (!bare)
        org_render_body(&org->fields, o, org->mark, org->values,
                        how == TM_ORG_DIFF ? org->before : NULL);
    event_names(org, o, change->kind == TM_ORG_UPDATE && !bare);
    *out_event = (how == TM_ORG_GAP ? gap_words : event_words)[change->kind];
    if (how == TM_ORG_MERGED)
        return event_merge(c, o, *out_event, org->pos_last, ids, out_replay, err);
    *out_replay = event_replay_next(org);
    return event_put(c, o, *out_replay, org->pos_last, *out_event, tm_buf_text(&org->fields),
                     tm_buf_text(&org->changed), ids, c->seq, err);
}
