#include "check/cause_inner.h"
#include "base/text.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tm_cause_set(struct tm_cause *out, const char *word, const char *station, const char *rule,
                  const char *fmt, ...)
{
    va_list ap;
    out->word = word;
    out->station = station;
    out->rule = rule;
    out->known = true;
    va_start(ap, fmt);
    vsnprintf(out->says, sizeof out->says, fmt, ap);
    va_end(ap);
    tm_text_cut(out->says);
}

void tm_cause_unknown(struct tm_cause *out, const char *fmt, ...)
{
    va_list ap;
    out->word = "not_known";
    out->station = out->rule = NULL;
    out->known = false;
    va_start(ap, fmt);
    vsnprintf(out->says, sizeof out->says, fmt, ap);
    va_end(ap);
    tm_text_cut(out->says);
}

const char *tm_cause_version(char out[120], const struct tm_truth *t, uint32_t version)
{
    char at[TM_TIME_BYTES];
    const struct tm_truth_version *v = &t->versions[version];
    snprintf(out, 120, "%s at position %" PRId64 " (%s)", tm_truth_change_name(v->change),
             tm_truth_pos(t, version), tm_time_z(at, v->org_ms));
    return out;
}

/* ---- the first commit not shown ---- */

static const struct tm_coverage *cause_coverage(const struct tm_match *m, int truth_object)
{
    for (size_t i = 0; i < m->coverage_count; i++)
        if (m->coverage[i].truth == truth_object)
            return &m->coverage[i];
    return NULL;
}

bool tm_cause_field(struct tm_cause_field *out, const struct tm_truth *truth,
                    const struct tm_match *m, const struct tm_shown *shown,
                    const struct tm_difference *d)
{
    const struct tm_truth_record *r = &truth->records[d->record];
    const struct tm_truth_object *o = &truth->objects[r->object];
    const struct tm_coverage *c = cause_coverage(m, r->object);
    bool found = false;
    if (c == NULL || d->row == TM_SHOWN_NONE)
        return false;
    const uint64_t *now = tm_shown_values(shown, d->row);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t is = now[c->shown_column[i]], should = 0;
        uint32_t head = TM_TRUTH_NONE;
        if (c->truth_column[i] >= 0)
            head = o->heads[(size_t)r->local * o->width + (size_t)c->truth_column[i]];
        uint32_t version = head == TM_TRUTH_NONE ? TM_TRUTH_NONE : truth->deltas[head].version;
        should = head == TM_TRUTH_NONE ? 0 : tm_coverage_value(c, truth, (uint32_t)i, head);
        /* what no version ever set comes last: any other field tells more */
        if (tm_tolerance_same(&c->tolerances[i], is, should) || (found && version >= out->version))
            continue;
        found = true;
        *out = (struct tm_cause_field){ .column = c->truth_column[i] < 0
                                                      ? TM_TRUTH_NONE
                                                      : (uint32_t)c->truth_column[i],
                                        .version = version,
                                        .should = should,
                                        .is = is,
                                        .name = c->names[i] };
    }
    return found;
}

uint32_t tm_cause_first(const struct tm_truth *truth, const struct tm_match *m,
                        const struct tm_shown *shown, const struct tm_difference *d)
{
    struct tm_cause_field field;
    int class = (d->code - 1) / 2;
    if (d->record == TM_TRUTH_NONE)
        return TM_TRUTH_NONE;
    uint32_t v = truth->records[d->record].last;
    if (class == TM_ROW_STALE && d->version != TM_TRUTH_NONE)
        return truth->versions[d->version].next == TM_TRUTH_NONE ? v
                                                                 : truth->versions[d->version].next;
    if (class == TM_ROW_PHANTOM)
        while (truth->versions[v].prev != TM_TRUTH_NONE &&
               tm_truth_is_gone(truth->versions[truth->versions[v].prev].change))
            v = truth->versions[v].prev;
    if (class == TM_ROW_MISSING)
        while (truth->versions[v].prev != TM_TRUTH_NONE &&
               truth->versions[v].change != TM_TRUTH_CREATE &&
               truth->versions[v].change != TM_TRUTH_UNDELETE)
            v = truth->versions[v].prev;
    if ((class == TM_ROW_MIXED || class == TM_ROW_WRONG) &&
        tm_cause_field(&field, truth, m, shown, d) && field.version != TM_TRUTH_NONE)
        v = field.version;
    return v;
}

/* ---- polls ---- */

static const char *const poll_station = "batch poll";

struct cause_polls { /* what the polls of one object did about one version */
    bool looked;     /* one began after it could be read */
    bool any, late;  /* one ran at all; one began between its stamp and when it could be read */
    uint32_t tie;    /* another change of its second, polled before; TM_TRUTH_NONE */
    int64_t first_ms, last_ms; /* the first that could have shown it; the last of all */
};

/* Another change of v's second that a poll had seen by until_ms. */
static uint32_t cause_tie(const struct tm_truth *truth, uint32_t v, int64_t until_ms)
{
    const struct tm_truth_version *last = &truth->versions[v];
    int64_t second_ms = last->org_ms - last->org_ms % 1000;
    uint8_t object = truth->records[last->record].object;
    for (uint32_t i = v; i-- > 0 && truth->versions[i].org_ms >= second_ms;) {
        const struct tm_truth_version *older = &truth->versions[i];
        if (older->org_ms < last->org_ms && older->org_ms <= until_ms &&
            truth->records[older->record].object == object)
            return i;
    }
    return TM_TRUTH_NONE;
}

static int64_t cause_stamp(const struct tm_cause_stand *s, uint32_t version)
{
    json_t *stamp = tm_truth_value(s->truth, version, "SystemModstamp");
    int64_t ms = json_is_integer(stamp) ? json_integer_value(stamp) : INT64_MIN;
    json_decref(stamp);
    return ms;
}

static void cause_look(struct cause_polls *out, const struct tm_cause_stand *s, uint32_t v,
                       int64_t stamp_ms)
{
    const struct tm_truth_version *version = &s->truth->versions[v];
    const struct tm_timing *t = s->timing;
    bool gone = tm_truth_is_gone(version->change);
    int object = -1;
    const struct tm_coverage *c = cause_coverage(s->m, s->truth->records[version->record].object);
    *out =
        (struct cause_polls){ .tie = TM_TRUTH_NONE, .first_ms = INT64_MAX, .last_ms = INT64_MIN };
    object = c == NULL ? -1 : c->shown;
    for (size_t i = 0; i < t->polls_count; i++) {
        const struct tm_poll *poll = &t->polls[i];
        int64_t from_ms = poll->started_org_ms - s->index_lag_ms,
                until_ms = tm_timing_org_us(t, poll->finished_ns) / 1000 - s->index_lag_ms;
        /* getDeleted tells of no row that is there */
        if (poll->object != object || poll->grid_ms == INT64_MIN ||
            (!gone && strcmp(poll->mode, "deleted") == 0))
            continue;
        out->any = true;
        out->last_ms = poll->started_org_ms > out->last_ms ? poll->started_org_ms : out->last_ms;
        out->late |= stamp_ms != INT64_MIN && from_ms >= stamp_ms && from_ms < version->org_ms;
        if (from_ms >= version->org_ms) {
            out->looked = true;
            if (poll->started_org_ms < out->first_ms)
                out->first_ms = poll->started_org_ms;
        } else if (!gone && out->tie == TM_TRUTH_NONE) {
            out->tie = cause_tie(s->truth, v, until_ms);
        }
    }
}

/* A poll that was to carry the version was given up: *out_why is why, "" none was. */
static void cause_failed_poll(char *out_why, size_t why_bytes, const struct tm_cause_stand *s,
                              uint32_t v)
{
    const struct tm_truth_version *version = &s->truth->versions[v];
    sqlite3_stmt *q = NULL;
    bool row = false;
    char at[TM_TIME_BYTES];
    out_why[0] = '\0';
    if (s->database == NULL ||
        tm_sql_prepare(&q, s->database,
                       "SELECT org_ms, why FROM _failures WHERE lower(object) = lower(?1) AND "
                       "org_ms >= ?2 ORDER BY failure LIMIT 1",
                       NULL) != TM_OK)
        return;
    sqlite3_bind_text(q, 1, s->truth->objects[s->truth->records[version->record].object].name, -1,
                      SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, version->org_ms);
    if (tm_sql_step(q, &row, NULL) == TM_OK && row)
        snprintf(out_why, why_bytes, "at %s: %.150s", tm_time_z(at, sqlite3_column_int64(q, 0)),
                 (const char *)sqlite3_column_text(q, 1));
    tm_sql_finalize(q);
}

/* The preset does not hear of such a change at all. */
static bool cause_not_carried(struct tm_cause *out, const struct tm_cause_stand *s, uint32_t v)
{
    const struct tm_truth_version *version = &s->truth->versions[v];
    char what[120];
    if ((s->plan->carries & (1u << version->change)) != 0)
        return false;
    const char *word = version->change == TM_TRUTH_HARD_DELETE ? "hard_delete_not_carried"
                       : tm_truth_is_gone(version->change)     ? "delete_not_carried"
                                                               : "change_not_carried";
    tm_cause_set(out, word, poll_station, NULL,
                 "The %s is of a kind that this preset's polls do not return.",
                 tm_cause_version(what, s->truth, v));
    return true;
}

static void cause_batch(struct tm_cause *out, const struct tm_cause_stand *s, uint32_t v)
{
    const struct tm_truth_version *version = &s->truth->versions[v];
    int64_t stamp_ms = cause_stamp(s, v),
            before_ms = version->prev == TM_TRUTH_NONE ? INT64_MIN : cause_stamp(s, version->prev);
    struct cause_polls polls;
    char what[120], other[120], why[200], at[TM_TIME_BYTES], at2[TM_TIME_BYTES];
    tm_cause_version(what, s->truth, v);
    if (cause_not_carried(out, s, v))
        return;
    cause_look(&polls, s, v, stamp_ms);
    cause_failed_poll(why, sizeof why, s, v);
    bool planted = s->planted != NULL && tm_planted_strikes(s->planted, version->org_ms,
                                                            version->intended_ms, s->index_lag_ms);
    if (!polls.looked && why[0] != '\0')
        tm_cause_set(out, "poll_failed", poll_station, NULL,
                     "The poll that was to carry the %s was given up %s.", what, why);
    else if (!polls.looked)
        tm_cause_set(out, "after_last_poll", poll_station, NULL,
                     "No poll began after the %s could be read; the last began at %s.", what,
                     polls.any ? tm_time_z(at, polls.last_ms) : "no time at all");
    else if (!tm_truth_is_gone(version->change) && before_ms != INT64_MIN &&
             stamp_ms == before_ms && version->change == TM_TRUTH_UPDATE &&
             version->org_ms - version->org_ms % 1000 > stamp_ms)
        tm_cause_set(out, "stamp_not_moved", poll_station, NULL,
                     "The %s left SystemModstamp at %s: a poll by stamp cannot see it.", what,
                     tm_time_z(at, stamp_ms));
    else if (polls.late && (planted || version->org_ms - stamp_ms >= 1000))
        tm_cause_set(out, "late_row", poll_station, NULL,
                     "The %s is stamped %s; a poll that began after that stamp and before it could "
                     "be read went on behind it.",
                     what, tm_time_z(at, stamp_ms));
    else if (planted)
        tm_cause_set(out, "late_row", poll_station, NULL,
                     "The %s could be read later than polls allow for; the poll that passed its "
                     "stamp went on behind it.",
                     what);
    else if (polls.tie != TM_TRUTH_NONE)
        tm_cause_set(out, "same_second", poll_station, NULL,
                     "The %s has the stamp of another change, the %s, that was polled first; the "
                     "next poll asked for newer stamps only.",
                     what, tm_cause_version(other, s->truth, polls.tie));
    else
        tm_cause_unknown(out,
                         "The %s could be read from %s on, polls began after that, the first at "
                         "%s, and none of the known limits of polling fits: evidence missing.",
                         what, tm_time_z(at, version->org_ms + s->index_lag_ms),
                         tm_time_z(at2, polls.first_ms));
}

/* ---- any ---- */

/* Of a copy that was filled out of sight: what is unusual about the commit, by the org's own log.
 * No cause, but where to look for one. */
static const char *cause_unusual(const struct tm_cause_stand *s, uint32_t v)
{
    const struct tm_truth_version *version = &s->truth->versions[v];
    if (version->change == TM_TRUTH_HARD_DELETE)
        return "it is a purge, of which no event and no query tells";
    if (version->change == TM_TRUTH_DELETE)
        return "it is a delete, which plain queries do not return";
    if (version->change == TM_TRUTH_UPDATE && version->prev != TM_TRUTH_NONE &&
        cause_stamp(s, v) == cause_stamp(s, version->prev) &&
        version->org_ms - version->org_ms % 1000 > cause_stamp(s, v))
        return "it left SystemModstamp as it was, so that a query by stamp does not return it";
    if (version->intended_ns != INT64_MIN && version->event == TM_TRUTH_SILENT)
        return "the org sends no event for it";
    if (version->event == TM_TRUTH_GAP)
        return "its event is a gap event, which has no values";
    if (version->event == TM_TRUTH_OVERFLOW)
        return "an overflow stands in place of its event";
    return "nothing is unusual about it";
}

static void cause_unseen(struct tm_cause *out, const struct tm_cause_stand *s, const char *why)
{
    char what[120];
    out->hint = cause_unusual(s, out->version);
    tm_cause_unknown(out, "%s: evidence missing. Of the %s the org's log says: %s.", why,
                     tm_cause_version(what, s->truth, out->version), out->hint);
}

void tm_cause_of(struct tm_cause *out, const struct tm_cause_stand *s,
                 const struct tm_difference *d)
{
    *out = (struct tm_cause){ .version = tm_cause_first(s->truth, s->m, s->shown, d) };
    if (d->record == TM_TRUTH_NONE) {
        tm_cause_unknown(out, "The org never had this id; where it came from no evidence tells.");
        out->word = "never_created";
    } else if (s->plan == NULL) {
        cause_unseen(out, s, "A finished copy does not tell how it was filled");
    } else if (s->plan->kind == TM_PIPELINE_EXTERNAL) {
        cause_unseen(out, s, "What an external pipeline does with what it reads is not seen here");
    } else if (s->plan->kind == TM_PIPELINE_BATCH) {
        /* the last change: a poll carries the record as it stands, whatever came before */
        if (!tm_truth_is_gone(s->truth->versions[out->version].change) ||
            !cause_not_carried(out, s, out->version))
            cause_batch(out, s, s->truth->records[d->record].last);
    } else {
        tm_cause_stream(out, s, d);
    }
}

void tm_cause_json(json_t *out, const struct tm_cause *cause)
{
    json_object_set_new(out, "cause", json_string(cause->word));
    json_object_set_new(out, "station",
                        cause->station == NULL ? json_null() : json_string(cause->station));
    json_object_set_new(out, "rule", cause->rule == NULL ? json_null() : json_string(cause->rule));
    json_object_set_new(out, "cause_known", json_boolean(cause->known));
    json_object_set_new(out, "because", json_string(cause->says));
}
