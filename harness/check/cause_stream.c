/* cause_stream: down the streaming road with what was left there. Where the raw tables have the
 * right thing on top, by the checker's own reading of the order of positions (R1, R9), the view is
 * the culprit; where they do not, the road is followed station by station to the one that lost it.
 */
#include "check/cause_inner.h"
#include "base/text.h"
#include "base/trace.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct stream_look {
    struct tm_cause *out;
    const struct tm_cause_stand *s;
    const struct tm_difference *d;
    const struct tm_road_row *rows; /* [count] of the record */
    size_t count;
    uint8_t object; /* of truth */
    uint32_t v;     /* the version at hand */
    char what[120]; /* in words */
};

/* ---- what the tables say ---- */

static const struct tm_road_row *stream_higher(const struct stream_look *l,
                                               const struct tm_road_row *a,
                                               const struct tm_road_row *b)
{
    return a == NULL || tm_road_order(l->s->road, b, a) > 0 ? b : a;
}

/* The row whose value of the column stands on top; NULL: none sets it. */
static const struct tm_road_row *stream_top(const struct stream_look *l, uint32_t column)
{
    const struct tm_road_row *top = NULL;
    for (size_t i = 0; column != TM_TRUTH_NONE && i < l->count; i++) {
        const struct tm_road_row *r = &l->rows[i];
        if (column < r->columns && l->s->road->set[r->set_first + column])
            top = stream_higher(l, top, r);
    }
    return top;
}

static bool stream_answered(const struct stream_look *l, uint32_t read)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->rows[i].kind == TM_ROAD_ANSWER && l->rows[i].read == read)
            return true;
    return false;
}

/* What says last whether the record is there: a full image, a removal, or a whole read in force
 * without it (then *out has the read's place and no word). */
static const struct tm_road_row *stream_life(const struct stream_look *l, bool *out_there,
                                             struct tm_road_row *unanswered)
{
    static const struct {
        const char *word;
        bool there;
    } words[] = { { "CREATE", true },  { "UNDELETE", true },    { "image", true },
                  { "DELETE", false }, { "GAP_DELETE", false }, { "removed", false } };
    const struct tm_road_row *top = NULL;
    *out_there = false;
    for (size_t i = 0; i < l->count; i++)
        for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
            if (l->rows[i].kind != TM_ROAD_ASK && strcasecmp(l->rows[i].word, words[k].word) == 0) {
                top = stream_higher(l, top, &l->rows[i]);
                *out_there = top == &l->rows[i] ? words[k].there : *out_there;
            }
    for (uint32_t i = 0; i < l->s->road->reads_count; i++) {
        const struct tm_road_read *read = &l->s->road->reads[i];
        struct tm_road_row place = { .kind = TM_ROAD_ANSWER,
                                     .record = l->d->record,
                                     .object = read->object,
                                     .epoch = read->epoch,
                                     .position = read->g,
                                     .written_ns = read->first_ns,
                                     .read = i };
        if (!read->whole || !read->in_force || read->object != l->object || stream_answered(l, i) ||
            (top != NULL && tm_road_order(l->s->road, &place, top) <= 0))
            continue;
        *unanswered = place;
        top = unanswered;
        *out_there = false;
    }
    return top;
}

static bool stream_covers(const struct tm_road_row *answer, const struct tm_road_row *event)
{
    return answer->epoch > event->epoch ||
           (answer->epoch == event->epoch && answer->position >= event->position);
}

/* A whole read in force that stands at or above the event (whole_only), or any read in force. */
static const struct tm_road_read *stream_read_above(const struct stream_look *l,
                                                    const struct tm_road_row *event)
{
    for (size_t i = 0; i < l->s->road->reads_count; i++) {
        const struct tm_road_read *r = &l->s->road->reads[i];
        struct tm_road_row place = { .epoch = r->epoch, .position = r->g };
        if (r->object == l->object && r->in_force && stream_covers(&place, event))
            return r;
    }
    return NULL;
}

/* ---- an event that is not in the raw table ---- */

static int64_t stream_publish_ms(const struct stream_look *l)
{
    const struct tm_truth_version *v = &l->s->truth->versions[l->v];
    sqlite3_stmt *q = NULL;
    int64_t ms = INT64_MIN;
    bool row = false;
    if (tm_sql_prepare(&q, l->s->truth->db,
                       "SELECT publish_ms FROM event WHERE replay_id=?1 AND pos=?2", NULL) != TM_OK)
        return ms;
    sqlite3_bind_int64(q, 1, v->replay_id);
    sqlite3_bind_int64(q, 2, (int64_t)l->v + 1);
    if (tm_sql_step(q, &row, NULL) == TM_OK && row)
        ms = sqlite3_column_int64(q, 0);
    tm_sql_finalize(q);
    return ms;
}

/* A mark that can be of this event: one made before its commit is of an older line of replay ids.
 */
static bool stream_mark(const struct stream_look *l, enum tm_trace_kind kind)
{
    const struct tm_truth_version *v = &l->s->truth->versions[l->v];
    int64_t ns;
    return tm_marks_at(l->s->marks, l->s->truth->objects[l->object].name, v->replay_id, (int)kind,
                       &ns) &&
           ns >= v->actual_ns;
}

static void stream_not_received(const struct stream_look *l)
{
    const struct tm_truth_version *v = &l->s->truth->versions[l->v];
    long long id = (long long)v->replay_id, last = (long long)l->s->road->replay_last[l->object];
    bool later = last > id || l->s->road->epoch_last[l->object] > 0;
    if (later)
        tm_cause_set(l->out, "event_not_received", "source", "R15",
                     "The %s was published as replay id %lld; the source has no mark of it, though "
                     "it received later ones (up to %lld).",
                     l->what, id, last);
    else
        tm_cause_set(l->out, "source_behind", "source", NULL,
                     "The %s was published as replay id %lld; the source received nothing of this "
                     "object from there on (its last is %lld).",
                     l->what, id, last);
}

static void stream_event_missing(const struct stream_look *l)
{
    const struct tm_cause_stand *s = l->s;
    long long id = (long long)s->truth->versions[l->v].replay_id;
    int64_t publish_ms = stream_publish_ms(l);
    char at[TM_TIME_BYTES];
    if (publish_ms != INT64_MIN && publish_ms * 1000 > s->timing->end_us)
        tm_cause_set(l->out, "not_published", NULL, NULL,
                     "The %s is published at %s, after the end of the run.", l->what,
                     tm_time_z(at, publish_ms));
    else if (s->marks == NULL || !tm_marks_any(s->marks, TM_TRACE_RECEIVED)) {
        tm_cause_unknown(l->out,
                         "The %s was published as replay id %lld and has no row in the raw table; "
                         "no trace of the source tells whether it was received: evidence missing.",
                         l->what, id);
        l->out->word = "event_lost";
    } else if (!stream_mark(l, TM_TRACE_RECEIVED))
        stream_not_received(l);
    else if (!stream_mark(l, TM_TRACE_PRODUCED))
        tm_cause_set(l->out, "event_not_in_kafka", "source", NULL,
                     "The %s, replay id %lld, was received; Kafka never acknowledged it.", l->what,
                     id);
    else if (!stream_mark(l, TM_TRACE_FETCHED) && tm_marks_any(s->marks, TM_TRACE_FETCHED))
        tm_cause_set(
            l->out, "event_not_fetched", "kafka", NULL,
            "The %s, replay id %lld, was acknowledged by Kafka; the sink never fetched it.",
            l->what, id);
    else
        tm_cause_set(l->out, "event_not_written", "sink", NULL,
                     "The %s, replay id %lld, came to Kafka; the raw table has no row of it (%lld "
                     "records could not be decoded).",
                     l->what, id, (long long)(s->road->undecodable < 0 ? 0 : s->road->undecodable));
}

/* ---- an event that tells too little ---- */

/* The asks that cover the event: of the record, or of the whole object. */
static const struct tm_road_row *stream_ask(const struct stream_look *l,
                                            const struct tm_road_row *event, bool failed)
{
    const struct tm_road *road = l->s->road;
    for (int whole = 0; whole < 2; whole++) {
        size_t first, count;
        tm_road_of(road, whole ? TM_TRUTH_NONE : l->d->record, &first, &count);
        for (size_t i = first; i < first + count; i++) {
            const struct tm_road_row *r = &road->rows[i];
            if (r->kind == TM_ROAD_ASK && r->object == l->object && stream_covers(r, event) &&
                (strcmp(r->word, "failed") == 0) == failed)
                return r;
        }
    }
    return NULL;
}

static const struct tm_road_row *stream_answer(const struct stream_look *l,
                                               const struct tm_road_row *event)
{
    const struct tm_road_row *top = NULL;
    for (size_t i = 0; i < l->count; i++)
        if (l->rows[i].kind == TM_ROAD_ANSWER && stream_covers(&l->rows[i], event))
            top = stream_higher(l, top, &l->rows[i]);
    return top;
}

/* The event needs a read of the record. True: what became of that explains it. */
static bool stream_unrepaired(const struct stream_look *l, const struct tm_road_row *event,
                              const char *rule)
{
    const struct tm_road *road = l->s->road;
    const struct tm_road_row *ask = stream_ask(l, event, false),
                             *failed = stream_ask(l, event, true);
    long long id = (long long)event->position;
    if (stream_answer(l, event) != NULL)
        return false;
    const struct tm_road_read *read = stream_read_above(l, event);
    if (read != NULL && read->whole)
        tm_cause_set(l->out, "not_returned", "reconcile", "R16",
                     "The whole read %.60s at position %lld is in force and did not return the "
                     "record.",
                     read->id, (long long)read->g);
    else if (failed != NULL)
        tm_cause_set(l->out, "repair_failed", "reconcile", rule,
                     "The %s came as %s, replay id %lld; reading the record was given up: %.70s.",
                     l->what, event->word, id,
                     failed->reason[0] != '\0' ? failed->reason : "no reason is told");
    else if (ask != NULL)
        tm_cause_set(l->out, "not_answered", "reconcile", rule,
                     "The %s came as %s, replay id %lld, and was asked for (%s at position %lld); "
                     "no answer is there.",
                     l->what, event->word, id, ask->word, (long long)ask->position);
    else if (!road->there[l->object][TM_ROAD_ALERTS])
        tm_cause_unknown(l->out,
                         "The %s came as %s, replay id %lld; the sink keeps no table of asks that "
                         "could tell whether it was asked for: evidence missing.",
                         l->what, event->word, id);
    else
        tm_cause_set(l->out, "not_asked", "gap", rule,
                     "The %s came as %s, replay id %lld, which tells too little; no ask for the "
                     "record is there.",
                     l->what, event->word, id);
    return true;
}

static void stream_no_event(const struct stream_look *l)
{
    const struct tm_truth_version *v = &l->s->truth->versions[l->v];
    bool before = v->intended_ns == INT64_MIN;
    const struct tm_road_read *copy = NULL;
    for (size_t i = 0; i < l->s->road->reads_count; i++)
        if (l->s->road->reads[i].object == l->object && l->s->road->reads[i].whole &&
            l->s->road->reads[i].in_force)
            copy = &l->s->road->reads[i];
    if (before && copy == NULL)
        tm_cause_set(l->out, "not_copied", "reconcile", "R14",
                     "The %s was there before streaming began, and no whole read of the object is "
                     "in force.",
                     l->what);
    else if (before)
        tm_cause_set(l->out, "not_returned", "reconcile", "R16",
                     "The %s was there before streaming began; the whole read %.60s did not return "
                     "it.",
                     l->what, copy->id);
    else
        tm_cause_set(l->out, "no_event", "source", "R16",
                     "The org sends no event for the %s; only a whole read of the object could "
                     "tell, and none that began after it has.",
                     l->what);
}

/* Why the version at hand did not come; false: it did, as far as its own event goes. `diff`: the
 * field in question came as a diff only. */
static bool stream_did_not_come(const struct stream_look *l, uint32_t column)
{
    const struct tm_truth_version *v = &l->s->truth->versions[l->v];
    if (v->event == TM_TRUTH_SILENT) {
        stream_no_event(l);
        return true;
    }
    const struct tm_road_row *event = tm_road_event(l->s->road, l->s->truth, l->v);
    if (event == NULL) {
        stream_event_missing(l);
        return true;
    }
    if (v->event != TM_TRUTH_PLAIN)
        return stream_unrepaired(l, event, v->event == TM_TRUTH_OVERFLOW ? "R16" : "R8");
    bool sets = column == TM_TRUTH_NONE ||
                (column < event->columns && l->s->road->set[event->set_first + column]);
    if (!sets && event->diff)
        return stream_unrepaired(l, event, "R5");
    if (!sets) {
        tm_cause_set(l->out, "event_altered", "source", "R5",
                     "The raw row of the %s (%s) does not name the field as changed.", l->what,
                     event->place[0] != '\0' ? event->place : event->word);
        return true;
    }
    return false;
}

/* ---- what stands on top is right, or is wrong itself ---- */

/* The version, newest first, that held the value; TM_TRUTH_NONE: none. */
static uint32_t stream_held(const struct stream_look *l, const struct tm_cause_field *f,
                            uint64_t value)
{
    const struct tm_truth *t = l->s->truth;
    const struct tm_truth_record *r = &t->records[l->d->record];
    const struct tm_truth_object *o = &t->objects[r->object];
    uint32_t d = f->column == TM_TRUTH_NONE ? TM_TRUTH_NONE
                                            : o->heads[(size_t)r->local * o->width + f->column];
    while (d != TM_TRUTH_NONE && t->deltas[d].hash != value)
        d = t->deltas[d].prev;
    return d == TM_TRUTH_NONE ? TM_TRUTH_NONE : t->deltas[d].version;
}

static bool stream_twice(const struct stream_look *l, const struct tm_road_row *top)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct tm_road_row *r = &l->rows[i];
        if (r != top && r->kind == TM_ROAD_EVENT && top->kind == TM_ROAD_EVENT &&
            r->epoch == top->epoch && r->position == top->position && r->columns == top->columns &&
            memcmp(l->s->road->values + r->set_first, l->s->road->values + top->set_first,
                   r->columns * sizeof *l->s->road->values) != 0)
            return true;
    }
    return false;
}

/* The shown value is that of an event whose replay id is the higher one as text, not as a number.
 */
static bool stream_as_text(const struct stream_look *l, const struct tm_cause_field *f,
                           const struct tm_road_row *top)
{
    char shown_id[24], top_id[24];
    uint32_t shown = stream_held(l, f, f->is);
    if (shown == TM_TRUTH_NONE || top->kind != TM_ROAD_EVENT)
        return false;
    int64_t id = l->s->truth->versions[shown].replay_id;
    snprintf(shown_id, sizeof shown_id, "%" PRId64, id);
    snprintf(top_id, sizeof top_id, "%" PRId64, top->position);
    return id > 0 && id < top->position && strcmp(shown_id, top_id) > 0;
}

/* The rule that a view breaks which does not show what stands on top. */
static const char *stream_rule(const struct stream_look *l, const struct tm_cause_field *f,
                               const struct tm_road_row *top)
{
    uint32_t shown = stream_held(l, f, f->is);
    if (top->merged)
        return "R3";
    if (stream_as_text(l, f, top))
        return "R1";
    if (stream_twice(l, top))
        return "R2";
    if (top->kind == TM_ROAD_ANSWER)
        return "R9";
    const struct tm_road_row *other =
        shown == TM_TRUTH_NONE ? NULL : tm_road_event(l->s->road, l->s->truth, shown);
    if (other != NULL && other->epoch != top->epoch)
        return "R15";
    if (strcasecmp(top->word, "UPDATE") != 0)
        return "R4";
    if (f->should == 0)
        return "R5";                      /* also to null */
    for (size_t i = 0; i < l->count; i++) /* an image below it that has what is shown */
        if (l->rows[i].kind == TM_ROAD_ANSWER && f->column < l->rows[i].columns &&
            l->s->road->values[l->rows[i].set_first + f->column] == f->is)
            return "R9";
    return shown == TM_TRUTH_NONE ? "R5" : "R6";
}

static void stream_top_wrong(const struct stream_look *l, const struct tm_cause_field *f,
                             const struct tm_road_row *top, uint64_t value)
{
    const struct tm_road_row *event = tm_road_event(l->s->road, l->s->truth, l->v);
    bool above = event == NULL ? top->kind == TM_ROAD_ANSWER : stream_covers(top, event);
    if (top->kind == TM_ROAD_ANSWER && above) {
        bool held = stream_held(l, f, value) != TM_TRUTH_NONE;
        tm_cause_set(l->out, held ? "read_too_early" : "answer_altered", "reconcile", "R9",
                     held ? "The image that answers position %lld (%s) has %s as it was before the "
                            "%s, which it should have."
                          : "The image that answers position %lld (%s) has a %s the record never "
                            "held; the %s set it.",
                     (long long)top->position, top->place[0] != '\0' ? top->place : "no place told",
                     f->name, l->what);
    } else if (top->kind == TM_ROAD_EVENT && (event == NULL || above)) {
        tm_cause_set(l->out, "event_altered", "source",
                     strcasecmp(top->word, "UPDATE") == 0 ? "R5" : "R4",
                     "The raw row of the %s with replay id %lld (%s) has another %s than the org "
                     "set; what Kafka held of it is gone, so it may have been the sink.",
                     top->word, (long long)top->position,
                     top->place[0] != '\0' ? top->place : "no place told", f->name);
    } else {
        tm_cause_unknown(l->out,
                         "The raw table has the event of the %s, and yet an older %s on top: "
                         "evidence does not tell why.",
                         l->what, f->name);
    }
}

static void stream_at(struct stream_look *l, uint32_t version)
{
    l->v = version;
    tm_cause_version(l->what, l->s->truth, version);
}

/* A row that is there, with a wrong field. */
static void stream_field(struct stream_look *l)
{
    struct tm_cause_field f;
    if (!tm_cause_field(&f, l->s->truth, l->s->m, l->s->shown, l->d)) {
        tm_cause_unknown(l->out, "No field of the last look at the row differs: evidence missing.");
        return;
    }
    const struct tm_road_row *top = stream_top(l, f.column);
    uint64_t value = top == NULL ? 0 : l->s->road->values[top->set_first + f.column];
    stream_at(l, f.version != TM_TRUTH_NONE ? f.version : l->s->truth->records[l->d->record].first);
    if (top != NULL && value == f.should) {
        const char *rule = stream_rule(l, &f, top);
        tm_cause_set(l->out, "view_wrong", "view", rule,
                     "The raw tables have the right %s on top, in the %s at position %lld (%s); "
                     "the view shows another.",
                     f.name, top->word, (long long)top->position,
                     top->place[0] != '\0' ? top->place : "no place told");
    } else if (!stream_did_not_come(l, f.column)) {
        if (top != NULL)
            stream_top_wrong(l, &f, top, value);
        else
            tm_cause_unknown(l->out,
                             "No row of the raw tables sets %s, and the %s came: evidence "
                             "does not tell.",
                             f.name, l->what);
    }
}

/* ---- a row too many, or too few ---- */

static const char *stream_life_rule(const struct tm_road_row *top, bool wanted)
{
    if (top->merged)
        return "R3";
    if (top->word[0] == '\0')
        return "R16";
    if (top->kind == TM_ROAD_ANSWER)
        return wanted ? "R9" : "R11";
    return wanted ? "R4" : "R7";
}

/* Known by updates alone: it must be asked for (R12). */
static bool stream_without_base(struct stream_look *l, const struct tm_road_row *top)
{
    const struct tm_road_row *update = NULL;
    if (top != NULL || (l->d->code - 1) / 2 != TM_ROW_MISSING)
        return false;
    for (size_t i = 0; i < l->count; i++)
        if (l->rows[i].kind == TM_ROAD_EVENT && strcasecmp(l->rows[i].word, "UPDATE") == 0)
            update = stream_higher(l, update, &l->rows[i]);
    if (update == NULL || stream_ask(l, update, false) != NULL ||
        stream_ask(l, update, true) != NULL || !l->s->road->there[l->object][TM_ROAD_ALERTS])
        return false;
    tm_cause_set(l->out, "no_base", "view", "R12",
                 "Of the record there are updates alone, the newest at position %lld; the whole "
                 "row was never asked for.",
                 (long long)update->position);
    return true;
}

static void stream_gone_wrongly(const struct stream_look *l, const struct tm_road_row *top)
{
    if (top->word[0] == '\0')
        tm_cause_set(l->out, "not_returned", "reconcile", "R16",
                     "The whole read %.60s at position %lld is in force and did not return the "
                     "record, though the org had it.",
                     l->s->road->reads[top->read].id, (long long)top->position);
    else if (top->kind == TM_ROAD_ANSWER)
        tm_cause_set(l->out, "removed_wrongly", "reconcile", "R11",
                     "The answer at position %lld (%s) says the record is gone, though the org had "
                     "it.",
                     (long long)top->position, top->place[0] != '\0' ? top->place : top->word);
    else
        tm_cause_unknown(l->out,
                         "The raw table has the %s at position %lld on top, though the org brought "
                         "the record back later: evidence does not tell why.",
                         top->word, (long long)top->position);
}

/* What says that the record is gone stands above what brought it. */
static bool stream_taken_away(const struct stream_look *l, const struct tm_road_row *top)
{
    const struct tm_truth_version *v = &l->s->truth->versions[l->v];
    const struct tm_road_row *event = tm_road_event(l->s->road, l->s->truth, l->v);
    if (event != NULL)
        return tm_road_order(l->s->road, top, event) > 0;
    return v->event == TM_TRUTH_SILENT ? v->intended_ns == INT64_MIN
                                       : top->position >= v->replay_id;
}

static void stream_life_wrong(struct stream_look *l)
{
    bool wanted = (l->d->code - 1) / 2 == TM_ROW_MISSING, there = false;
    struct tm_road_row unanswered;
    const struct tm_road_row *top = stream_life(l, &there, &unanswered);
    stream_at(l, l->out->version);
    if (top != NULL && there == wanted) {
        tm_cause_set(l->out, "view_wrong", "view", stream_life_rule(top, wanted),
                     "The raw tables have the record as %s, by %s at position %lld; the view shows "
                     "%s.",
                     wanted ? "there" : "gone",
                     top->word[0] != '\0' ? top->word : "a whole read without it",
                     (long long)top->position, wanted ? "no whole row" : "a row");
        return;
    }
    if (wanted && top != NULL && stream_taken_away(l, top))
        stream_gone_wrongly(l, top);
    else if (stream_without_base(l, top) || stream_did_not_come(l, TM_TRUTH_NONE))
        return;
    else if (top != NULL && top->kind == TM_ROAD_ANSWER)
        tm_cause_set(l->out, "read_too_early", "reconcile", "R9",
                     "The image that answers position %lld (%s) has the record, which the %s had "
                     "taken away by then.",
                     (long long)top->position, top->place[0] != '\0' ? top->place : top->word,
                     l->what);
    else
        tm_cause_unknown(l->out,
                         "The event of the %s is in the raw table, and nothing there "
                         "explains the row: evidence missing.",
                         l->what);
}

void tm_cause_stream(struct tm_cause *out, const struct tm_cause_stand *s,
                     const struct tm_difference *d)
{
    struct stream_look l = { .out = out, .s = s, .d = d };
    int class = (d->code - 1) / 2;
    size_t first;
    assert(d->record != TM_TRUTH_NONE);
    l.object = s->truth->records[d->record].object;
    if (s->road == NULL) {
        tm_cause_unknown(out, "The raw tables could not be read: evidence missing.");
        return;
    }
    tm_road_of(s->road, d->record, &first, &l.count);
    l.rows = s->road->rows + first;
    if (class == TM_ROW_MISSING || class == TM_ROW_PHANTOM)
        stream_life_wrong(&l);
    else
        stream_field(&l);
}
