/* deleted: ids that getDeleted names since the last poll; those that no query returns any more
 * leave the database. In: the org's answers; out: rows removed, how far it is known. */
#include "batch/batch_inner.h"

enum tm_code batch_deleted(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    struct tm_sf_deleted answer;
    int64_t end_ms = now->org_ms - now->org_ms % 60000,
            oldest_ms = end_ms - TM_BATCH_DELETED_DAYS_MAX * TM_BATCH_DAY_MS;
    int64_t from_ms = o->state.deleted_until_ms - b->settings->overlap_ms;
    enum tm_code rc = TM_OK;
    if (b->call == NULL) {
        if (from_ms < oldest_ms)
            from_ms = oldest_ms + 60000;
        if (from_ms > end_ms - 60000)
            from_ms = end_ms - 60000;
        rc = tm_sf_deleted_start(&b->call, b->session, o->name, from_ms, end_ms, err);
        if (rc != TM_OK)
            return rc;
    }
    rc = tm_sf_deleted_poll(b->call, now, &answer, err);
    if (rc != TM_OK)
        return rc;
    tm_sf_call_close(b->call);
    b->call = NULL;
    if (answer.earliest_available_ms > o->state.deleted_until_ms) {
        batch_tell(
            b, "getDeleted of %s reaches back only part of the way: the next poll reads everything",
            o->name);
        o->gap =
            true; /* not known up to now until that read has ended: found again after a crash */
    }
    b->deleted_until_ms = !o->gap && answer.latest_covered_ms > o->state.deleted_until_ms
                              ? answer.latest_covered_ms
                              : o->state.deleted_until_ms;
    o->state.rows = (int64_t)json_array_size(answer.records);
    rc = tm_store_suspects(b->store, o->name, answer.records, &b->suspects, err);
    json_decref(answer.records);
    if (rc != TM_OK)
        return rc;
    b->alive = json_object();
    b->phase = json_array_size(b->suspects) > 0 ? PHASE_VERIFY : PHASE_REMOVE;
    return b->alive != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "batch: ids to verify");
}

static enum tm_code batch_verify_query(struct tm_batch *b, struct tm_err *err)
{
    struct tm_buf soql;
    size_t count = json_array_size(b->suspects), asked = 0;
    tm_buf_init(&soql, BATCH_SOQL_BYTES_MAX);
    tm_buf_addf(&soql, "SELECT Id FROM %s WHERE Id IN (", batch_object(b)->name);
    for (; asked < TM_BATCH_VERIFY_IDS_MAX && b->suspects_asked + asked < count; asked++)
        tm_buf_addf(&soql, "%s'%s'", asked > 0 ? "," : "",
                    json_string_value(json_array_get(b->suspects, b->suspects_asked + asked)));
    tm_buf_addz(&soql, ")");
    enum tm_code rc = tm_buf_check(&soql, "a verifying query", err);
    if (rc == TM_OK)
        rc = tm_sf_query_open(&b->query, b->session, tm_buf_text(&soql), false, 0, err);
    if (rc == TM_OK)
        b->suspects_asked += asked;
    tm_buf_free(&soql);
    return rc;
}

/* An id that getDeleted names may have been undeleted in the same second: only ids a query does not
 * return go. */
enum tm_code batch_verify(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    json_t *records = NULL, *record;
    bool last = false;
    size_t i;
    enum tm_code rc = TM_OK;
    if (b->query == NULL && (rc = batch_verify_query(b, err)) != TM_OK)
        return rc;
    rc = tm_sf_query_next(b->query, now, &records, &last, err);
    if (rc != TM_OK)
        return rc;
    json_array_foreach(records, i, record)
    {
        char id[TM_ID_BYTES];
        const char *text = json_string_value(json_object_get(record, "Id"));
        if (rc == TM_OK && (text == NULL || tm_id18(id, text, NULL) != TM_OK))
            rc = tm_fail(err, TM_E_PROTO, "a record of %s came without a usable Id",
                         batch_object(b)->name);
        if (rc == TM_OK)
            json_object_set_new(b->alive, id, json_true());
    }
    json_decref(records);
    if (rc != TM_OK || !last)
        return rc;
    tm_sf_query_close(b->query);
    b->query = NULL;
    if (b->suspects_asked == json_array_size(b->suspects))
        b->phase = PHASE_REMOVE;
    return TM_OK;
}

enum tm_code batch_remove(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    struct tm_batch_state next = o->state;
    uint64_t removed = 0;
    for (size_t i = json_array_size(b->suspects); i-- > 0;)
        if (json_object_get(b->alive, json_string_value(json_array_get(b->suspects, i))) != NULL)
            json_array_remove(b->suspects, i);
    batch_count_http(b);
    next.calls = o->state.calls;
    next.bytes = o->state.bytes;
    next.deleted_until_ms = b->deleted_until_ms;
    enum tm_code rc = tm_store_remove(b->store, o->name, b->suspects, &next, now, &removed, err);
    if (rc != TM_OK)
        return rc;
    o->state = next;
    b->counts.rows_removed += removed;
    batch_object_done(b);
    return TM_OK;
}
