#include "reconcile/reconcile.h"
#include "base/log.h"
#include "event/change.h"
#include "reconcile/failed.h"
#include "reconcile/numbers.h"
#include "reconcile/window.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECON_ASKED_MAX 8 /* asks of the last whole reads, to know their copies by */
#define RECON_LOG_IDS_MAX 20
#define RECON_MINUTE_MS 60000
#define RECON_COPY 'p' /* third letter: overflow, conversion, copy differ in it */

/* A whole ask arrives once per partition. Overflow and conversion are one event each, however often
 * it is delivered; a copy that comes a second time on the same partition is another ask (an audit
 * of a quiet object). */
struct recon_asked {
    char kind;
    struct tm_position at;
    uint64_t partitions[TM_WINDOW_PARTITIONS_MAX / 64];
};
struct recon_object {
    struct tm_window *open;
    struct recon_asked asked[RECON_ASKED_MAX];
    size_t asked_next;
    struct tm_failed *failed;
    int32_t alert_schema_id; /* of the last alert taken */
};
enum job_phase { JOB_IDS, JOB_ALL, JOB_COMMIT };
struct recon_job {
    struct tm_window *window;
    enum job_phase phase;
    unsigned attempts;
    int64_t retry_ns; /* 0 = now */
    bool failing;
    struct tm_failed_flight flight;
    unsigned flights;
    char why[320];
};
struct tm_recon {
    const struct tm_recon_settings *set;
    struct tm_read_ports ports;
    struct tm_inbox *inbox;
    struct tm_numbers *numbers;
    char life[48];
    int64_t real_offset_ns; /* real time - wall time */
    struct recon_object objects[TM_RECON_OBJECTS_MAX];
    struct recon_job jobs[TM_RECON_QUEUE_MAX];
    size_t jobs_count; /* oldest first */
    size_t running;    /* index of the job `read` belongs to */
    struct tm_read *read;
    struct tm_read_ask ask;
    bool signed_in; /* tried once at the start: wrong credentials are told before the first ask */
    struct tm_recon_counts counts;
};

enum tm_code tm_recon_open(struct tm_recon **out, const struct tm_recon_settings *settings,
                           const struct tm_read_ports *ports, const char *state_dir,
                           const char *life, int64_t real_offset_ns, struct tm_err *err)
{
    char path[4096];
    struct tm_recon *r = calloc(1, sizeof *r);
    if (r == NULL)
        return tm_fail(err, TM_E_NOMEM, "reconcile: %zu bytes", sizeof *r);
    r->set = settings;
    r->ports = *ports;
    snprintf(r->life, sizeof r->life, "%s", life);
    r->real_offset_ns = real_offset_ns;
    snprintf(path, sizeof path, "%s/%s-aside.db", state_dir, settings->name);
    enum tm_code rc = tm_inbox_open(&r->inbox, ports->topic, ports->registry, path, err);
    snprintf(path, sizeof path, "%s/%s-reads.db", state_dir, settings->name);
    if (rc == TM_OK)
        rc = tm_numbers_open(&r->numbers, path, life, err);
    for (size_t i = 0; rc == TM_OK && i < settings->objects_count; i++)
        rc = tm_failed_open(&r->objects[i].failed, ports->registry, ports->topic,
                            settings->objects[i], settings->alerts[i], err);
    if (rc != TM_OK) {
        tm_recon_close(r);
        return rc;
    }
    *out = r;
    return TM_OK;
}

void tm_recon_real_time(struct tm_recon *r, int64_t real_offset_ns)
{
    r->real_offset_ns = real_offset_ns;
}

void tm_recon_close(struct tm_recon *r)
{
    if (r == NULL)
        return;
    tm_read_close(r->read);
    for (size_t i = 0; i < r->jobs_count; i++)
        tm_window_close(r->jobs[i].window);
    for (size_t i = 0; i < r->set->objects_count; i++) {
        tm_window_close(r->objects[i].open);
        tm_failed_close(r->objects[i].failed);
    }
    tm_inbox_close(r->inbox);
    tm_numbers_close(r->numbers);
    free(r);
}

const struct tm_recon_counts *tm_recon_counts(const struct tm_recon *r)
{
    return &r->counts;
}
uint64_t tm_recon_aside_count(const struct tm_recon *r)
{
    return tm_inbox_aside_count(r->inbox);
}

static size_t recon_object_of(const struct tm_recon *r, const char *topic)
{
    size_t i = 0;
    while (i < r->set->objects_count && strcmp(r->set->alerts[i], topic) != 0)
        i++;
    return i;
}

void tm_recon_revoked(struct tm_recon *r, const char *topic, int32_t partition)
{
    size_t object = recon_object_of(r, topic);
    if (object == r->set->objects_count)
        return;
    if (r->objects[object].open != NULL)
        tm_window_forget(r->objects[object].open, partition);
    for (size_t i = 0; i < r->jobs_count; i++)
        if (r->jobs[i].window->object == object)
            tm_window_forget(r->jobs[i].window, partition);
}

/* ---- alerts into windows ---- */

static void recon_close_window(struct tm_recon *r, size_t object)
{
    assert(r->jobs_count < TM_RECON_QUEUE_MAX);
    r->jobs[r->jobs_count++] = (struct recon_job){ .window = r->objects[object].open };
    r->objects[object].open = NULL;
    r->counts.windows++;
}

static void recon_close_due(struct tm_recon *r, const struct tm_now *now)
{
    for (size_t i = 0; i < r->set->objects_count && r->jobs_count < TM_RECON_QUEUE_MAX; i++) {
        const struct tm_window *w = r->objects[i].open;
        if (w != NULL &&
            (tm_window_full(w) || tm_window_closes_at(w, r->set->window_ms * TM_NS_PER_MS,
                                                      r->set->idle_ns) <= now->wall_ns))
            recon_close_window(r, i);
    }
}

/* Is this one more copy of a whole ask that another partition brought? Remembers it if not. */
static bool recon_is_copy(struct recon_object *o, char kind, const struct tm_position *at,
                          int32_t partition)
{
    size_t word = (size_t)partition / 64 % (TM_WINDOW_PARTITIONS_MAX / 64);
    uint64_t bit = 1ULL << ((unsigned)partition % 64);
    for (size_t i = 0; i < RECON_ASKED_MAX; i++) {
        struct recon_asked *a = &o->asked[i];
        if (a->kind != kind || tm_position_compare(&a->at, at) != 0)
            continue;
        bool again = kind == RECON_COPY && (a->partitions[word] & bit) != 0;
        if (again)
            memset(a->partitions, 0, sizeof a->partitions);
        a->partitions[word] |= bit;
        return !again;
    }
    struct recon_asked *a = &o->asked[o->asked_next++ % RECON_ASKED_MAX];
    *a = (struct recon_asked){ .kind = kind, .at = *at };
    a->partitions[word] |= bit;
    return false;
}

struct recon_alert {
    const char *id, *kind;
    struct tm_position at;
    int64_t commit_ms;
};

/* What the alert says; false with *out_why when its topic promises more than it holds. */
static bool recon_parse(struct recon_alert *out, const struct tm_row *row, const char **out_why)
{
    const struct tm_value *replay = tm_row_get(row, "ReplayId"), *epoch = tm_row_get(row, "_epoch");
    const struct tm_value *header = tm_row_get(row, "ChangeEventHeader"),
                          *kind = tm_row_get(row, "_kind");
    const struct tm_value *id = tm_row_get(row, "Id");
    const char *text = replay != NULL ? tm_value_text(replay) : NULL;
    char *end = NULL;
    out->id = id != NULL ? tm_value_text(id) : NULL;
    out->kind = kind != NULL ? tm_value_text(kind) : NULL;
    out->at.g = text != NULL ? strtoll(text, &end, 10) : 0;
    out->at.epoch = epoch != NULL && epoch->kind == TM_V_INT ? epoch->as.i : 0;
    out->commit_ms = -1;
    if (out->id == NULL || out->kind == NULL || replay == NULL ||
        (text != NULL && (end == text || *end != '\0'))) {
        *out_why = "an alert needs Id, _kind and a numeric ReplayId";
        return false;
    }
    text = header != NULL ? tm_value_text(header) : NULL;
    if (text != NULL) {
        json_t *h = json_loadb(text, strlen(text), 0, NULL);
        const json_t *ms = json_object_get(h, "commitTimestamp");
        if (json_is_integer(ms))
            out->commit_ms = json_integer_value(ms);
        json_decref(h);
    }
    return true;
}

static bool recon_kind_is(const char *kind, const char *const *words)
{
    while (*words != NULL && strcmp(*words, kind) != 0)
        words++;
    return *words != NULL;
}

/* Puts one alert into the window of its object. */
static enum tm_code recon_ask(struct tm_recon *r, struct tm_window *w,
                              const struct tm_record *record, const struct tm_row *row,
                              const char **out_why, struct tm_err *err)
{
    static const char *const of_ids[] = { "gap", "diff", "no_base", NULL };
    static const char *const of_all[] = { "overflow", "conversion", "copy", NULL };
    struct recon_alert a;
    char id18[TM_ID_BYTES];
    if (!recon_parse(&a, row, out_why))
        return TM_OK;
    if (strcmp(a.kind, "failed") == 0) /* our own words */
        return TM_OK;
    if (recon_kind_is(a.kind, of_all)) {
        if (recon_is_copy(&r->objects[w->object], a.kind[2], &a.at, record->partition))
            r->counts.duplicates++;
        else
            tm_window_ask_all(w, &a.at, a.commit_ms, a.kind[0] == 'c' || !r->set->overflow_range);
        return TM_OK;
    }
    if (!recon_kind_is(a.kind, of_ids)) {
        *out_why = "the alert is of a _kind nobody knows";
        return TM_OK;
    }
    if (tm_id18(id18, a.id, NULL) != TM_OK) {
        *out_why = "the alert's Id is no record id";
        return TM_OK;
    }
    return tm_window_ask_id(w, id18, &a.at, err);
}

/* Takes alerts while there is room; TM_E_AGAIN when there are none. */
static enum tm_code recon_take(struct tm_recon *r, const struct tm_now *now, struct tm_err *err)
{
    const struct tm_record *record;
    const struct tm_row *row;
    while (r->jobs_count < TM_RECON_QUEUE_MAX) {
        enum tm_code rc = tm_inbox_take(r->inbox, now, &record, &row, err);
        if (rc != TM_OK)
            return rc;
        if (record == NULL) {
            rc = tm_inbox_fetch(r->inbox, err);
            if (rc != TM_OK)
                return rc;
            continue;
        }
        size_t object = recon_object_of(r, record->topic);
        assert(object < r->set->objects_count);
        struct recon_object *o = &r->objects[object];
        int64_t slot = record->timestamp_ms / r->set->window_ms;
        /* Event time has passed the window's end, or it is full. Late alerts join the one that is
         * open. */
        if (o->open != NULL && (slot > o->open->slot || tm_window_full(o->open)))
            recon_close_window(r, object);
        if (o->open == NULL &&
            (o->open = tm_window_open(object, (size_t)r->set->ids_max, slot, now->wall_ns)) == NULL)
            return tm_fail(err, TM_E_NOMEM, "window of %s", r->set->objects[object]);
        const char *why = NULL;
        r->counts.alerts++;
        (void)tm_avro_frame_id(&o->alert_schema_id, record->value, record->value_bytes,
                               NULL); /* it was decoded by it */
        rc = tm_window_came(o->open, record->partition, record->offset, now->wall_ns, err);
        if (rc == TM_OK)
            rc = recon_ask(r, o->open, record, row, &why, err);
        if (rc == TM_OK && why != NULL)
            rc = tm_inbox_refuse(r->inbox, why, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_E_AGAIN;
}

/* ---- reads ---- */

/* The end of the minute of the last commit: getDeleted cuts seconds off. The commit time of an
 * event is cut to whole seconds. */
static int64_t recon_until_ms(const struct tm_window *w)
{
    int64_t after_ms = w->commit_last_ms + 1000;
    return (after_ms + RECON_MINUTE_MS - 1) / RECON_MINUTE_MS * RECON_MINUTE_MS;
}

static void recon_job_ask(struct tm_recon *r, const struct recon_job *job)
{
    const struct tm_window *w = job->window;
    bool whole = w->all_whole;
    r->ask = (struct tm_read_ask){ .kind = job->phase == JOB_IDS ? TM_READ_IDS
                                           : whole               ? TM_READ_WHOLE
                                                                 : TM_READ_RANGE,
                                   .object = r->set->objects[w->object],
                                   .topic = r->set->recon[w->object],
                                   .ids = &w->ids,
                                   .positions = w->positions,
                                   .at = w->at,
                                   .from_ms = w->commit_first_ms - r->set->longest_ms,
                                   .until_ms = recon_until_ms(w),
                                   .sees_all = r->set->sees_all,
                                   .bulk_rows_min = r->set->bulk_rows_min,
                                   .bulk_page_rows = r->set->bulk_page_rows };
}

/* Org time from which the job may read: a range read must not be behind the commit it answers (R9),
 * nor must its list of deletes. */
static int64_t recon_ready_ms(const struct tm_recon *r, const struct recon_job *job)
{
    const struct tm_window *w = job->window;
    if (job->phase != JOB_ALL || w->all_whole)
        return INT64_MIN;
    return recon_until_ms(w) + r->set->lag_ms;
}

/* The oldest job that may go on now; jobs of one object never overtake each other. */
static size_t recon_pick(const struct tm_recon *r, const struct tm_now *now, struct tm_wake *wake)
{
    for (size_t i = 0; i < r->jobs_count; i++) {
        const struct recon_job *job = &r->jobs[i];
        bool behind = false;
        for (size_t k = 0; k < i; k++)
            behind = behind || r->jobs[k].window->object == job->window->object;
        if (behind)
            continue;
        int64_t ready_ms = recon_ready_ms(r, job);
        if (job->retry_ns <= now->wall_ns && ready_ms <= now->org_ms)
            return i;
        if (job->retry_ns > now->wall_ns && job->retry_ns < wake->wall_ns)
            wake->wall_ns = job->retry_ns;
        if (job->retry_ns <= now->wall_ns && ready_ms < wake->org_ms)
            wake->org_ms = ready_ms;
    }
    return r->jobs_count;
}

static void recon_log_failed(const struct tm_recon *r, const struct recon_job *job)
{
    const struct tm_window *w = job->window;
    struct tm_buf ids;
    tm_buf_init(&ids, 1u << 12);
    if (job->phase == JOB_ALL)
        tm_buf_addz(&ids, "the whole object");
    for (size_t i = 0; job->phase == JOB_IDS && i < w->ids.count && i < RECON_LOG_IDS_MAX; i++)
        tm_buf_addf(&ids, "%s%s", i > 0 ? "," : "", w->ids.ids[i]);
    if (job->phase == JOB_IDS && w->ids.count > RECON_LOG_IDS_MAX)
        tm_buf_addf(&ids, " and %zu more", w->ids.count - RECON_LOG_IDS_MAX);
    tm_log(TM_LOG_ERROR, "[RECON-FAILED] Failed to reconcile [%s] [%s] in %u attempts: %s",
           r->set->objects[w->object], tm_buf_text(&ids), job->attempts, job->why);
    tm_buf_free(&ids);
}

static int64_t recon_backoff(const struct tm_recon *r, unsigned failures)
{
    int64_t wait = r->set->backoff_ns;
    for (unsigned i = 1; i < failures && wait < r->set->backoff_ns_max; i++)
        wait *= 2;
    return wait < r->set->backoff_ns_max ? wait : r->set->backoff_ns_max;
}

/* The attempt is over: another later, or the read is given up. */
static void recon_attempt_failed(struct tm_recon *r, struct recon_job *job,
                                 const struct tm_now *now, struct tm_err *err)
{
    char text[sizeof err->msg + sizeof err->ctx + 4];
    tm_read_close(r->read);
    r->read = NULL;
    snprintf(job->why, sizeof job->why, "%.319s", tm_err_text(err, text, sizeof text));
    tm_err_clear(err);
    if (++job->attempts < (unsigned)r->set->attempts_max) {
        job->retry_ns = now->wall_ns + recon_backoff(r, job->attempts);
        r->counts.reads_retried++;
        tm_log(TM_LOG_WARN, "read of %s: attempt %u failed: %s",
               r->set->objects[job->window->object], job->attempts, job->why);
        return;
    }
    job->failing = true;
    if (job->phase == JOB_ALL) /* whoever asks again is heard again */
        memset(r->objects[job->window->object].asked, 0, sizeof r->objects[0].asked);
    r->counts.reads_failed++;
    recon_log_failed(r, job);
}

/* A range will not do: the whole object is read instead, at once. */
static void recon_read_whole(struct tm_recon *r, struct recon_job *job, struct tm_err *err)
{
    char text[sizeof err->msg + sizeof err->ctx + 4];
    tm_read_close(r->read);
    r->read = NULL;
    tm_log(TM_LOG_WARN, "read of %s: %s; the whole object is read instead",
           r->set->objects[job->window->object], tm_err_text(err, text, sizeof text));
    tm_err_clear(err);
    job->window->all_whole = true;
}

static void recon_phase_done(struct recon_job *job)
{
    job->phase++;
    job->attempts = job->flights = 0;
    job->retry_ns = 0;
    job->failing = false;
    job->flight = (struct tm_failed_flight){ 0 };
}

static void recon_count_read(struct tm_recon *r)
{
    const struct tm_read_counts *n = tm_read_counts(r->read);
    r->counts.reads++;
    r->counts.ids += r->ask.kind == TM_READ_IDS ? r->ask.ids->count : 0;
    r->counts.read.images += n->images;
    r->counts.read.removed += n->removed;
    r->counts.read.unreadable += n->unreadable;
    r->counts.read.ends += n->ends;
    r->counts.read.calls += n->calls;
    r->counts.read.jobs += n->jobs;
}

static enum tm_code recon_read_begin(struct tm_recon *r, struct recon_job *job,
                                     const struct tm_now *now, struct tm_err *err)
{
    char read_id[80];
    int64_t number = 0;
    enum tm_code rc = tm_sf_session_ready(r->ports.session, now, err);
    if (rc != TM_OK && rc != TM_E_AGAIN && rc != TM_E_ARG) {
        recon_attempt_failed(r, job, now, err);
        return TM_OK;
    }
    if (rc == TM_OK)
        rc = tm_numbers_next(r->numbers, now->wall_ns + r->real_offset_ns, &number, err);
    if (rc != TM_OK)
        return rc; /* refused credentials end the process: no read will ever succeed */
    snprintf(read_id, sizeof read_id, "%s-%" PRId64, r->life, number);
    recon_job_ask(r, job);
    return tm_read_open(&r->read, &r->ports, &r->ask, read_id, number, err);
}

static enum tm_code recon_read_step(struct tm_recon *r, struct recon_job *job,
                                    const struct tm_now *now, struct tm_err *err)
{
    struct tm_read_news news = { .moved = false };
    if (r->read == NULL)
        return recon_read_begin(r, job, now, err);
    enum tm_code rc = tm_read_step(r->read, now, &news, err);
    if (rc == TM_OK) {
        recon_count_read(r);
        tm_read_close(r->read);
        r->read = NULL;
        recon_phase_done(job);
        return TM_OK;
    }
    if (rc == TM_E_AGAIN)
        return news.moved ? TM_OK : TM_E_AGAIN;
    if (news.fatal || rc == TM_E_NOMEM)
        return tm_at(err, "read of %s", r->ask.object);
    if (news.untold)
        recon_read_whole(r, job, err);
    else
        recon_attempt_failed(r, job, now, err);
    return TM_OK;
}

static enum tm_code recon_failing_step(struct tm_recon *r, struct recon_job *job,
                                       const struct tm_now *now, struct tm_err *err)
{
    const struct recon_object *o = &r->objects[job->window->object];
    enum tm_code rc = tm_failed_step(o->failed, o->alert_schema_id, &job->flight, now, job->window,
                                     job->phase == JOB_ALL, job->why, err);
    if (rc == TM_OK) {
        recon_phase_done(job);
    } else if (rc != TM_E_AGAIN && err->retriable &&
               ++job->flights < (unsigned)r->set->attempts_max) {
        tm_err_clear(err);
        job->flight = (struct tm_failed_flight){ 0 };
        job->retry_ns = now->wall_ns + recon_backoff(r, job->flights);
        rc = TM_OK;
    }
    return rc;
}

static enum tm_code recon_commit(struct tm_recon *r, size_t at, struct tm_err *err)
{
    struct tm_window *w = r->jobs[at].window;
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < w->offsets_count; i++)
        rc = r->ports.topic->ops->commit(r->ports.topic, r->set->alerts[w->object],
                                         w->offsets[i].partition, w->offsets[i].next, err);
    if (rc != TM_OK)
        return rc;
    tm_window_close(w);
    memmove(&r->jobs[at], &r->jobs[at + 1], (r->jobs_count - at - 1) * sizeof r->jobs[0]);
    r->jobs_count--;
    return TM_OK;
}

static enum tm_code recon_job_step(struct tm_recon *r, const struct tm_now *now,
                                   struct tm_wake *wake, struct tm_err *err)
{
    size_t at = r->read != NULL ? r->running : recon_pick(r, now, wake);
    if (at == r->jobs_count)
        return TM_E_AGAIN;
    struct recon_job *job = &r->jobs[at];
    r->running = at;
    if (job->phase == JOB_IDS && job->window->ids.count == 0)
        job->phase = JOB_ALL;
    if (job->phase == JOB_ALL && !job->window->all)
        job->phase = JOB_COMMIT;
    if (recon_ready_ms(r, job) > now->org_ms)
        return TM_OK; /* the phase has just come: pick again, with its wake */
    if (job->phase == JOB_COMMIT)
        return recon_commit(r, at, err);
    return job->failing ? recon_failing_step(r, job, now, err) : recon_read_step(r, job, now, err);
}

static void recon_wake(const struct tm_recon *r, struct tm_wake *wake)
{
    int64_t at = tm_sf_session_next_at(r->ports.session);
    int64_t others[] = { at, r->read != NULL ? tm_read_next_at(r->read) : TM_NEVER,
                         tm_registry_next_at(r->ports.registry),
                         r->ports.topic->ops->next_at(r->ports.topic) };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i] < wake->wall_ns)
            wake->wall_ns = others[i];
    for (size_t i = 0; i < r->set->objects_count; i++)
        if (r->objects[i].open != NULL && r->jobs_count < TM_RECON_QUEUE_MAX) {
            at = tm_window_closes_at(r->objects[i].open, r->set->window_ms * TM_NS_PER_MS,
                                     r->set->idle_ns);
            if (at < wake->wall_ns)
                wake->wall_ns = at;
        }
}

/* Refused credentials end the process; an org out of reach is for the reads to try again. */
static enum tm_code recon_sign_in(struct tm_recon *r, const struct tm_now *now, struct tm_err *err)
{
    if (r->signed_in)
        return TM_OK;
    enum tm_code rc = tm_sf_session_ready(r->ports.session, now, err);
    if (rc == TM_E_ARG || rc == TM_E_NOMEM)
        return rc;
    if (rc != TM_E_AGAIN) {
        r->signed_in = true;
        tm_err_clear(err);
    }
    return TM_OK;
}

enum tm_code tm_recon_step(struct tm_recon *r, const struct tm_now *now, struct tm_wake *wake,
                           struct tm_err *err)
{
    enum tm_code rc = recon_sign_in(r, now, err);
    if (rc != TM_OK)
        return rc;
    recon_close_due(r, now);
    rc = recon_job_step(r, now, wake, err);
    if (rc == TM_E_AGAIN)
        rc = recon_take(r, now, err);
    recon_wake(r, wake);
    if (rc == TM_OK)
        wake->wall_ns = now->wall_ns;
    return rc;
}
