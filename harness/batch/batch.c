#include "batch/batch.h"
#include "base/text.h"
#include "batch/batch_inner.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_RETRY_NS                                                                             \
    (2 * TM_NS_PER_S) /* first load that failed for a passing reason: again after so long */
#define BATCH_BUSY_NS TM_NS_PER_MS        /* database busy: again after so long */
#define BATCH_LOCATORS_LOST_MAX 3         /* in one poll of one object; one more fails it */

void batch_tell(struct tm_batch *b, const char *fmt, ...)
{
    char text[800];
    va_list ap;
    if (b->note == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    b->note(b->note_data, text);
}

enum tm_code tm_batch_open(struct tm_batch **out, const struct tm_batch_settings *settings,
                           struct tm_sf_session *session, const struct tm_http *http,
                           const char *database, tm_batch_note *note, void *note_data,
                           struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_batch *b = calloc(1, sizeof *b);
    if (b == NULL)
        return tm_fail(err, TM_E_NOMEM, "batch: a station");
    b->settings = settings;
    b->session = session;
    b->http = http;
    b->note = note;
    b->note_data = note_data;
    b->retry_ns = TM_NEVER;
    if ((rc = tm_store_open(&b->store, database, settings, err)) != TM_OK)
        goto done;
    for (size_t i = 0; i < settings->objects_count && rc == TM_OK; i++) {
        b->objects[i].name = settings->objects[i];
        b->objects_count++;
        rc = tm_store_state(b->store, settings->objects[i], &b->objects[i].state, err);
        if (rc == TM_OK)
            rc = tm_store_last_whole(b->store, settings->objects[i], &b->objects[i].whole_ms, err);
    }
    if (rc != TM_OK)
        goto done;
    *out = b;
    b = NULL;
done:
    tm_batch_close(b);
    return rc;
}

static void batch_drop_read(struct tm_batch *b)
{
    tm_fetch_close(b->fetch);
    tm_sf_query_close(b->query);
    tm_sf_call_close(b->call);
    json_decref(b->page);
    json_decref(b->suspects);
    json_decref(b->alive);
    b->fetch = NULL;
    b->query = NULL;
    b->call = NULL;
    b->page = b->suspects = b->alive = NULL;
    b->suspects_asked = 0;
}

void tm_batch_close(struct tm_batch *b)
{
    if (b == NULL)
        return;
    batch_drop_read(b);
    for (size_t i = 0; i < b->objects_count; i++)
        tm_describe_close(b->objects[i].describe);
    tm_store_close(b->store);
    free(b);
}

const struct tm_batch_counts *tm_batch_counts(const struct tm_batch *b)
{
    return &b->counts;
}

bool tm_batch_loaded(const struct tm_batch *b)
{
    for (size_t i = 0; i < b->objects_count; i++)
        if (!b->objects[i].state.loaded)
            return false;
    return true;
}

/* ---- polls and their grid ---- */

/* Objects this poll still has to read, from `at` on. */
static void batch_next_object(struct tm_batch *b)
{
    for (; b->at < b->objects_count; b->at++) {
        const struct tm_batch_state *s = &b->objects[b->at].state;
        if (b->first ? !s->loaded : s->done_grid_ms < b->grid_ms)
            break;
    }
    b->described_again = false;
    b->locators_lost = 0;
    b->phase = PHASE_DESCRIBE;
    b->calls_before = b->http->counts.calls;
    b->bytes_before = b->http->counts.bytes_in;
}

static void batch_poll_begin(struct tm_batch *b, bool first, int64_t grid_ms)
{
    b->polling = true;
    b->first = first;
    b->skipped = 0;
    if (!first) {
        b->skipped = (grid_ms - b->last_grid_ms) / b->settings->interval_ms - 1;
        assert(b->skipped >= 0);
        b->counts.grid_skipped += (uint64_t)b->skipped;
        b->last_grid_ms = grid_ms;
    }
    b->grid_ms = grid_ms;
    b->counts.polls++;
    b->at = 0;
    batch_next_object(b);
}

static void batch_next_grid(struct tm_batch *b, const struct tm_now *now)
{
    int64_t t = b->settings->interval_ms;
    b->next_ms = b->last_grid_ms + t;
    if (now->org_ms > b->next_ms)
        b->next_ms = tm_plan_grid_after(t, now->org_ms - 1);
}

/* The last poll may have been cut off by a crash: its grid point, and the objects it had not
 * finished (B2). */
static enum tm_code batch_start(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    bool any = false, under_way = false;
    int64_t last_ms = 0;
    enum tm_code rc = tm_store_last_grid(b->store, &any, &last_ms, err);
    if (rc != TM_OK)
        return rc;
    b->started = true;
    b->last_grid_ms = tm_plan_grid_floor(b->settings->interval_ms, any ? last_ms : now->org_ms);
    b->next_ms = b->last_grid_ms + b->settings->interval_ms; /* maybe past: taken up at once */
    if (!tm_batch_loaded(b)) {
        batch_poll_begin(b, true, now->org_ms);
        return TM_OK;
    }
    for (size_t i = 0; i < b->objects_count && any; i++) {
        const struct tm_batch_state *s = &b->objects[i].state;
        under_way |=
            s->read != TM_READ_NONE || (last_ms == b->last_grid_ms && s->done_grid_ms < last_ms);
    }
    if (!under_way)
        return TM_OK;
    batch_tell(b, "going on with the poll that was under way");
    b->polling = true;
    b->grid_ms = last_ms;
    b->counts.polls++;
    for (size_t i = 0; i < b->objects_count; i++)
        if (b->objects[i].state.read != TM_READ_NONE)
            b->skipped = b->objects[i].state.skipped;
    b->at = 0;
    batch_next_object(b);
    return TM_OK;
}

/* B1. A start that is late by less than T keeps its grid point; a station that was stopped for
 * longer than T takes the last point before now. */
static enum tm_code batch_idle(struct tm_batch *b, const struct tm_now *now, struct tm_wake *wake)
{
    int64_t t = b->settings->interval_ms;
    if (!tm_batch_loaded(b)) { /* a first load waits for its next try */
        if (now->wall_ns < b->retry_ns) {
            wake->wall_ns = b->retry_ns < wake->wall_ns ? b->retry_ns : wake->wall_ns;
            return TM_E_AGAIN;
        }
        batch_poll_begin(b, true, now->org_ms);
        return TM_OK;
    }
    if (now->org_ms < b->next_ms) {
        wake->org_ms = b->next_ms < wake->org_ms ? b->next_ms : wake->org_ms;
        return TM_E_AGAIN;
    }
    batch_poll_begin(
        b, false, now->org_ms - b->next_ms < t ? b->next_ms : tm_plan_grid_floor(t, now->org_ms));
    return TM_OK;
}

/* After the last object: grid points that passed while it ran are skipped, not made up for. */
static void batch_poll_end(struct tm_batch *b, const struct tm_now *now)
{
    b->polling = false;
    b->phase = PHASE_IDLE;
    if (!tm_batch_loaded(b))
        b->retry_ns = now->wall_ns + BATCH_RETRY_NS;
    batch_next_grid(b, now);
}

/* ---- failures ---- */

static bool batch_quota(const struct tm_err *why)
{
    return strstr(why->msg, "REQUEST_LIMIT_EXCEEDED") != NULL;
}

static void batch_tell_failure(struct tm_batch *b, const struct batch_object *o,
                               const struct tm_err *why)
{
    char text[sizeof why->msg + sizeof why->ctx + 8], when[TM_TIME_BYTES];
    int64_t used, limit;
    tm_err_text(why, text, sizeof text);
    tm_time_z(when, b->grid_ms);
    if (batch_quota(why) && tm_sf_session_usage(b->session, &used, &limit))
        batch_tell(b,
                   "poll of %s for %s given up, what was there stays: the org's API quota is used "
                   "up (%" PRId64 " of %" PRId64
                   " calls in 24 h); poll less often, or raise the quota: %s",
                   o->name, when, used, limit, text);
    else
        batch_tell(b, "poll of %s for %s given up, what was there stays: %s", o->name, when, text);
}

/* Failures of the other side end a poll; ours, and the database's, end the process. */
static bool batch_peer_failed(const struct tm_batch *b, const struct tm_err *why)
{
    if (why->code == TM_E_NOMEM)
        return false;
    return b->phase == PHASE_DESCRIBE || b->phase == PHASE_QUERY || b->phase == PHASE_DELETED ||
           b->phase == PHASE_VERIFY || why->code == TM_E_PROTO || why->code == TM_E_ARG;
}

/* A peer's failure ends the object's read. The first load keeps what it has and is tried again, if
 * that may help. */
static enum tm_code batch_give_up(struct tm_batch *b, const struct tm_now *now,
                                  const struct tm_err *why, struct tm_err *err)
{
    struct batch_object *o = &b->objects[b->at];
    char text[sizeof why->msg + sizeof why->ctx + 8];
    struct tm_batch_state failed = o->state;
    batch_drop_read(b);
    if (b->first && !why->retriable && !batch_quota(why)) {
        *err = *why;
        return tm_at(err, "first load of %s", o->name);
    }
    if (!b->first && failed.read == TM_READ_NONE)
        failed.read = b->phase >= PHASE_DELETED ? TM_READ_DELETED : TM_READ_INCREMENTAL;
    failed.grid_ms = b->grid_ms;
    enum tm_code rc = tm_store_give_up(b->store, o->name, &failed, b->first, now,
                                       tm_err_text(why, text, sizeof text), err);
    if (rc != TM_OK && rc != TM_E_AGAIN) /* busy: told and counted all the same, `_failures` just
                                            lacks the line */
        return rc;
    o->state = failed;
    if (!b->first)
        o->state.read = TM_READ_NONE;
    o->state.done_grid_ms = b->grid_ms;
    b->counts.polls_failed++;
    batch_tell_failure(b, o, why);
    b->at++;
    batch_next_object(b);
    return TM_OK;
}

/* ---- one object's read ---- */

struct batch_object *batch_object(struct tm_batch *b)
{
    return &b->objects[b->at];
}

static enum tm_code batch_describe(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    if (o->describe == NULL || b->settings->describe_each_poll || b->described_again) {
        struct tm_describe *d = NULL;
        enum tm_code rc = tm_sf_describe(b->session, now, &d, o->name, err);
        if (rc != TM_OK)
            return rc;
        tm_describe_close(o->describe);
        o->describe = d;
        if (strcmp(d->object, o->name) != 0)
            return tm_fail(err, TM_E_ARG, "objects names \"%s\"; the org spells it \"%s\"", o->name,
                           d->object);
    }
    if (b->settings->mode == TM_BATCH_INCREMENTAL &&
        tm_describe_field(o->describe, "SystemModstamp") == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s has no SystemModstamp to poll by; give it a preset with mode=full",
                       o->name);
    b->phase = PHASE_BEGIN;
    return TM_OK;
}

/* A nightly reload is due until it has ended well: a failure or a crash before it only puts it off
 * to the next poll. */
static bool batch_whole_due(const struct tm_batch *b)
{
    const struct batch_object *o = &b->objects[b->at];
    return o->gap || (o->whole_ms != INT64_MIN && o->whole_ms <= b->grid_ms &&
                      tm_plan_full_due(b->settings->full_at_ms, o->whole_ms, b->grid_ms));
}

/* The first range of a new read. */
static void batch_plan_read(struct tm_batch *b, const struct tm_now *now, struct tm_batch_state *s)
{
    const struct tm_batch_settings *set = b->settings;
    s->grid_ms = b->grid_ms;
    s->skipped = b->skipped;
    s->started_org_ms = now->org_ms;
    s->started_ns = now->wall_ns;
    s->calls = s->bytes = s->rows = 0;
    s->place = (struct tm_place){ .any = false };
    s->job = (struct tm_sf_bulk_place){ .job = "" };
    s->seen_ms = INT64_MIN;
    s->until_ms = TM_NEVER;
    s->range = (struct tm_range){ .whole = true, .until_ms = TM_NEVER };
    s->read = b->first                                           ? TM_READ_INITIAL
              : set->mode == TM_BATCH_FULL || batch_whole_due(b) ? TM_READ_FULL
                                                                 : TM_READ_INCREMENTAL;
    if (s->read == TM_READ_FULL || (s->read == TM_READ_INITIAL && set->start_ms == INT64_MIN))
        return;
    s->range.whole = false;
    s->range.from_ms = s->read == TM_READ_INITIAL ? set->start_ms : s->cursor_ms - set->overlap_ms;
    s->range.from_inclusive = set->inclusive || s->read == TM_READ_INITIAL;
    if (set->start_ms != INT64_MIN && s->range.from_ms < set->start_ms)
        s->range.from_ms = set->start_ms;
    if (set->slice_ms > 0) {
        s->until_ms = now->org_ms > s->range.from_ms ? now->org_ms : s->range.from_ms + 1;
        tm_plan_slice(set->slice_ms, s->range.from_ms, s->until_ms, &s->range.until_ms);
    }
}

static enum tm_code batch_begin(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    struct tm_batch_state next = o->state;
    bool resume = next.read != TM_READ_NONE && tm_plan_resumes(b->settings, &next.range), resumed;
    if (next.read == TM_READ_NONE || !resume)
        batch_plan_read(b, now, &next);
    if (resume && b->settings->checkpoint == TM_BATCH_SLICE)
        next.place.any = false;
    if (!resume || b->settings->checkpoint != TM_BATCH_PAGE)
        next.job = (struct tm_sf_bulk_place){ .job = "" };
    enum tm_code rc = tm_store_begin(b->store, o->describe, &next, resume, &resumed,
                                     &b->counts.columns_added, err);
    if (rc != TM_OK)
        return rc;
    if (resume && !resumed) { /* the columns changed meanwhile: the load table is empty again */
        batch_plan_read(b, now, &next);
        rc = tm_store_begin(b->store, o->describe, &next, false, &resumed, &b->counts.columns_added,
                            err);
        if (rc != TM_OK)
            return rc;
    }
    o->state = next;
    if (b->locators_lost == 0) { /* else they are in this process's counters */
        b->calls_kept = next.calls;
        b->bytes_kept = next.bytes;
    }
    b->read_pages = 0;
    b->phase = PHASE_QUERY;
    return TM_OK;
}

void batch_count_http(struct tm_batch *b)
{
    struct tm_batch_state *s = &batch_object(b)->state;
    s->calls = b->calls_kept + (int64_t)(b->http->counts.calls - b->calls_before);
    s->bytes = b->bytes_kept + (int64_t)(b->http->counts.bytes_in - b->bytes_before);
}

static enum tm_code batch_open_query(struct tm_batch *b, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    struct tm_buf soql;
    tm_buf_init(&soql, BATCH_SOQL_BYTES_MAX);
    bool limited = tm_plan_pages_by_limit(b->settings, &o->state.range);
    enum tm_code rc =
        tm_plan_soql(&soql, b->settings, o->describe, &o->state.range, &o->state.place, err);
    if (rc == TM_OK)
        rc = tm_fetch_open(&b->fetch, b->session, b->settings, o->describe, tm_buf_text(&soql),
                           limited, &o->state.job, err);
    tm_buf_free(&soql);
    b->query_rows = 0;
    return rc;
}

/* A field was removed between the describe and the query: describe again, once, and read anew. */
static bool batch_field_vanished(struct tm_batch *b)
{
    if (b->described_again || strcmp(tm_fetch_error(b->fetch), "INVALID_FIELD") != 0)
        return false;
    batch_drop_read(b);
    b->described_again = true;
    batch_object(b)->state.read = TM_READ_NONE;
    b->phase = PHASE_DESCRIBE;
    return true;
}

/* The server has forgotten the locator (idle too long, or too many others since), or the job: the
 * read goes on at its last page where its order allows that, else it begins again. */
static bool batch_locator_lost(struct tm_batch *b)
{
    struct batch_object *o = batch_object(b);
    bool resumes = tm_plan_resumes(b->settings, &o->state.range) && !b->settings->bulk;
    if (!tm_fetch_lost(b->fetch) || b->locators_lost == BATCH_LOCATORS_LOST_MAX)
        return false;
    b->locators_lost++;
    batch_tell(b, "the org no longer knows the %s of %s after %" PRId64 " rows: %s",
               b->settings->bulk ? "Bulk job" : "query locator", o->name, o->state.rows,
               resumes ? "going on from its last page" : "reading it again");
    batch_drop_read(b);
    if (b->settings->bulk) /* another job sees another moment: nothing of this one is kept */
        o->state.read = TM_READ_NONE;
    b->phase = PHASE_BEGIN;
    return true;
}

/* A job that was just made is kept before anything else: a crash goes on with it. */
static bool batch_job_made(const struct tm_batch *b)
{
    const struct tm_sf_bulk_place *place = tm_fetch_place(b->fetch);
    const struct tm_batch_state *s = &b->objects[b->at].state;
    return place != NULL && place->job[0] != '\0' && s->job.job[0] == '\0' &&
           b->settings->checkpoint == TM_BATCH_PAGE;
}

static enum tm_code batch_keep_job(struct tm_batch *b, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    struct tm_batch_state next = o->state;
    next.job = *tm_fetch_place(b->fetch);
    enum tm_code rc = tm_store_job(b->store, o->name, &next, err);
    if (rc != TM_OK)
        return rc;
    o->state = next;
    b->phase = PHASE_QUERY;
    return TM_OK;
}

static enum tm_code batch_query(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (b->fetch == NULL && (rc = batch_open_query(b, err)) != TM_OK)
        return rc;
    rc = tm_fetch_next(b->fetch, now, &b->page, &b->page_last, err);
    if (rc == TM_E_AGAIN && batch_job_made(b)) {
        b->phase = PHASE_JOB;
        return TM_OK;
    }
    if (rc == TM_E_AGAIN)
        return rc;
    if (rc != TM_OK && (batch_field_vanished(b) || batch_locator_lost(b))) {
        tm_err_clear(err);
        return TM_OK;
    }
    if (rc != TM_OK)
        return rc;
    b->query_rows += (int64_t)json_array_size(b->page);
    b->counts.pages++;
    if (++b->read_pages > TM_BATCH_PAGES_MAX)
        return tm_fail(err, TM_E_LIMIT, "%s: more than %d pages in one read", batch_object(b)->name,
                       TM_BATCH_PAGES_MAX);
    b->phase = PHASE_STORE;
    return TM_OK;
}

/* The page is stored: another page, another query, another slice, or done? */
static enum tm_code batch_after_page(struct tm_batch *b, const struct tm_place *before,
                                     struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    struct tm_batch_state *s = &o->state;
    const struct tm_batch_settings *set = b->settings;
    int64_t limit = set->page_rows > 0 ? set->page_rows : 2000;
    b->phase = PHASE_QUERY;
    if (!b->page_last)
        return TM_OK;
    tm_fetch_close(b->fetch);
    b->fetch = NULL;
    if (tm_plan_pages_by_limit(set, &s->range) && b->query_rows >= limit) {
        if (set->paging == TM_BATCH_STAMP && set->inclusive && before->any &&
            before->stamp_ms == s->place.stamp_ms)
            return tm_fail(err, TM_E_PROTO,
                           "a full page of %" PRId64
                           " rows shares one SystemModstamp: paging=stamp with >="
                           " would read it for ever; raise page.rows or use paging=keyset",
                           limit);
        return TM_OK;
    }
    int64_t from_ms = s->range.until_ms;
    if (set->slice_ms > 0 && !s->range.whole &&
        tm_plan_slice(set->slice_ms, from_ms, s->until_ms, &s->range.until_ms)) {
        s->range.from_ms = from_ms;
        s->range.from_inclusive = true;
        s->place.any = false;
        s->job = (struct tm_sf_bulk_place){ .job = "" };
        return TM_OK;
    }
    b->phase = PHASE_MERGE;
    return TM_OK;
}

static enum tm_code batch_store(struct tm_batch *b, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    struct tm_place before = o->state.place;
    size_t rows = json_array_size(b->page);
    batch_count_http(b);
    if (b->settings->bulk)
        o->state.job = *tm_fetch_place(b->fetch);
    enum tm_code rc = tm_store_page(b->store, o->describe, b->page, &o->state, err);
    if (rc != TM_OK)
        return rc;
    b->counts.rows_read += rows;
    json_decref(b->page);
    b->page = NULL;
    return batch_after_page(b, &before, err);
}

void batch_object_done(struct tm_batch *b)
{
    batch_drop_read(b);
    b->at++;
    batch_next_object(b);
}

static enum tm_code batch_merge(struct tm_batch *b, const struct tm_now *now, struct tm_err *err)
{
    struct batch_object *o = batch_object(b);
    enum tm_read_mode mode = o->state.read;
    uint64_t changed = 0, removed = 0;
    batch_count_http(b);
    enum tm_code rc = tm_store_merge(b->store, o->name, &o->state, now, &changed, &removed, err);
    if (rc != TM_OK)
        return rc;
    b->counts.rows_changed += changed;
    b->counts.rows_removed += removed;
    if (mode != TM_READ_INCREMENTAL) {
        o->gap = false;
        o->whole_ms = o->state.grid_ms;
    }
    if (mode == TM_READ_INITIAL)
        batch_tell(b, "first load of %s: %" PRId64 " rows", o->name, o->state.rows);
    if (b->settings->get_deleted && mode == TM_READ_INCREMENTAL) {
        b->calls_before = b->http->counts.calls;
        b->bytes_before = b->http->counts.bytes_in;
        b->calls_kept = b->bytes_kept = 0;
        o->state.rows = 0;
        o->state.started_org_ms = now->org_ms;
        o->state.started_ns = now->wall_ns;
        b->phase = PHASE_DELETED;
        return TM_OK;
    }
    batch_object_done(b);
    return TM_OK;
}

/* ---- steps ---- */

static enum tm_code batch_phase_step(struct tm_batch *b, const struct tm_now *now,
                                     struct tm_err *err)
{
    switch (b->phase) {
    case PHASE_DESCRIBE: return batch_describe(b, now, err);
    case PHASE_BEGIN: return batch_begin(b, now, err);
    case PHASE_QUERY: return batch_query(b, now, err);
    case PHASE_JOB: return batch_keep_job(b, err);
    case PHASE_STORE: return batch_store(b, err);
    case PHASE_MERGE: return batch_merge(b, now, err);
    case PHASE_DELETED: return batch_deleted(b, now, err);
    case PHASE_VERIFY: return batch_verify(b, now, err);
    case PHASE_REMOVE: return batch_remove(b, now, err);
    case PHASE_IDLE: break;
    }
    assert(b->phase != PHASE_IDLE); /* a poll has a phase */
    return TM_E_ARG;
}

enum tm_code tm_batch_step(struct tm_batch *b, const struct tm_now *now, struct tm_wake *wake,
                           struct tm_err *err)
{
    struct tm_err why = { .code = TM_OK };
    if (!b->started)
        return batch_start(b, now, err);
    if (!b->polling)
        return batch_idle(b, now, wake);
    if (b->at == b->objects_count) {
        batch_poll_end(b, now);
        return TM_OK;
    }
    enum tm_code rc = batch_phase_step(b, now, &why);
    if (rc == TM_E_AGAIN) {
        int64_t at = tm_sf_session_next_at(b->session);
        int64_t own = b->fetch != NULL ? tm_fetch_next_at(b->fetch) : TM_NEVER;
        at = own < at ? own : at;
        if (b->phase == PHASE_BEGIN || b->phase == PHASE_JOB || b->phase == PHASE_STORE ||
            b->phase == PHASE_MERGE || b->phase == PHASE_REMOVE)
            at = now->wall_ns + BATCH_BUSY_NS;
        wake->wall_ns = at < wake->wall_ns ? at : wake->wall_ns;
        return TM_E_AGAIN;
    }
    if (rc == TM_OK)
        return TM_OK;
    if (batch_peer_failed(b, &why))
        return batch_give_up(b, now, &why, err);
    *err = why;
    return tm_at(err, "%s", batch_object(b)->name);
}
