#include "simulate/shrink.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SHRINK_ROUNDS_MAX 6
#define SHRINK_CHUNKS_MAX                                                                          \
    128                       /* of decisions: smaller pieces are not tried while there are many   \
                               */
#define SHRINK_PAUSE_MS 20000 /* long enough for the road to come to rest */
#define SHRINK_BEGIN_NS (15 * TM_NS_PER_S) /* the latest that a first commit is drawn */
#define SHRINK_TEXT_BYTES 12
#define SHRINK_MANY 12        /* decisions: more are no story */
#define SHRINK_FAULTS_MAX 8   /* different ones, tried alone */
#define SHRINK_MOMENTS_MAX 60 /* at which each is tried */

#define SHRINK_REST_STEPS 100000 /* that coming to rest may take, the first time */
#define SHRINK_STEPS_MORE 4000   /* than twice as many as before: a station that never rests */

struct shrink {
    struct tm_sim_script best;
    struct tm_sim_result result;
    struct tm_sim_options options;
    uint64_t runs;
    bool better; /* in this round */
    bool rest;   /* what was seen in flight is looked for at rest */
};

static bool shrink_flight(const struct tm_sim_finding *f)
{
    return f->found && strstr(f->where, "in flight") != NULL;
}

/* Which option it speaks of: 0 = of both, which do not agree. */
static int shrink_side(const struct tm_sim_finding *f)
{
    return strstr(f->where, "option 1") != NULL ? 1 : strstr(f->where, "option 2") != NULL ? 2 : 0;
}

/* At rest the same rule in the same place. In flight it depends on which warehouse is a step ahead
 * whether the rules or the other option are missed first: both are the same wrong. */
static bool shrink_same(const struct shrink *s, const struct tm_sim_finding *b)
{
    const struct tm_sim_finding *a = &s->result.finding;
    int x = shrink_side(a), y = shrink_side(b);
    if (shrink_flight(a) && (s->rest ? y > 0 && !shrink_flight(b) : shrink_flight(b)))
        return b->found && (x == 0 || y == 0 || x == y);
    return b->found && strcmp(a->rule, b->rule) == 0 && strcmp(a->where, b->where) == 0;
}

/* Decisions beyond those that the run came to say nothing. */
static void shrink_trim(struct tm_sim_choices *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].number < c->next[c->list[i].place])
            c->list[kept++] = c->list[i];
    c->count = kept;
}

/* Takes the candidate. */
static bool shrink_try(struct shrink *s, struct tm_sim_script *candidate)
{
    struct tm_sim_result r;
    struct tm_err err;
    tm_err_clear(&err);
    s->runs++;
    s->options.steps_max = 2 * s->result.finding.step + SHRINK_STEPS_MORE;
    bool good =
        tm_simulate_script(&r, candidate, &s->options, &err) == TM_OK && shrink_same(s, &r.finding);
    if (good) {
        tm_sim_script_free(&s->best);
        s->best = *candidate;
        s->result = r;
        s->better = true;
        shrink_trim(&s->best.choices);
    } else {
        tm_sim_script_free(candidate);
    }
    return good;
}

/* ---- parts that can go ---- */

struct shrink_part {
    size_t (*count)(const struct tm_sim_script *s);
    void (*drop)(struct tm_sim_script *s, size_t at, size_t count);
    size_t chunks_max; /* 0 = down to single ones */
};

static size_t shrink_events(const struct tm_sim_script *s)
{
    return s->events_count;
}

static void shrink_drop_events(struct tm_sim_script *s, size_t at, size_t count)
{
    for (; count > 0; count--)
        tm_sim_script_drop_event(s, at);
}

static size_t shrink_changes(const struct tm_sim_script *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->events_count; i++)
        count += s->events[i].changes_count;
    return count;
}

static void shrink_drop_changes(struct tm_sim_script *s, size_t at, size_t count)
{
    for (size_t i = 0; i < s->events_count && count > 0; i++) {
        struct tm_sim_event *e = &s->events[i];
        for (; count > 0 && at < e->changes_count; count--)
            tm_sim_event_drop_change(e, at);
        at -= at < e->changes_count ? at : e->changes_count;
    }
}

static size_t shrink_sets(const struct tm_sim_script *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->events_count; i++)
        for (size_t k = 0; k < s->events[i].changes_count; k++)
            count += s->events[i].changes[k].sets_count;
    return count;
}

static void shrink_drop_sets(struct tm_sim_script *s, size_t at, size_t count)
{
    for (size_t i = 0; i < s->events_count; i++)
        for (size_t k = 0; k < s->events[i].changes_count && count > 0; k++) {
            struct tm_sim_change *c = &s->events[i].changes[k];
            for (; count > 0 && at < c->sets_count; count--)
                tm_sim_change_drop_set(c, at);
            at -= at < c->sets_count ? at : c->sets_count;
        }
}

static size_t shrink_choices(const struct tm_sim_script *s)
{
    return s->choices.count;
}

static void shrink_drop_choices(struct tm_sim_script *s, size_t at, size_t count)
{
    struct tm_sim_choices *c = &s->choices;
    memmove(&c->list[at], &c->list[at + count], (c->count - at - count) * sizeof c->list[0]);
    c->count -= count;
}

/* Without pieces of all sizes, the last ones first. */
static void shrink_part(struct shrink *s, const struct shrink_part *part)
{
    size_t all = part->count(&s->best);
    for (size_t size = all; size > 0; size /= 2) {
        if (part->chunks_max > 0 && all / size > part->chunks_max)
            break;
        for (size_t at = part->count(&s->best); at > 0 && s->runs < TM_SIM_SHRINK_RUNS_MAX;) {
            struct tm_sim_script candidate;
            struct tm_err err;
            size_t count = size < at ? size : at;
            at -= count;
            tm_err_clear(&err);
            if (tm_sim_script_copy(&candidate, &s->best, &err) != TM_OK)
                return;
            part->drop(&candidate, at, count);
            (void)shrink_try(s, &candidate);
            if (at > part->count(&s->best))
                at = part->count(&s->best);
        }
    }
}

/* ---- whole kinds of decisions ---- */

static bool shrink_is_kind(size_t place, size_t kind)
{
    return kind < TM_SIM_AT_HOP ? place == kind
                                : place >= kind && place < kind + TM_SIM_PLACES_EACH;
}

static void shrink_kinds(struct shrink *s)
{
    static const size_t kinds[] = { TM_SIM_AT_CRASH,  TM_SIM_AT_BROKER, TM_SIM_AT_FATE,
                                    TM_SIM_AT_PICK,   TM_SIM_AT_HOP,    TM_SIM_AT_LOOK,
                                    TM_SIM_AT_COMMIT, TM_SIM_AT_CALM,   TM_SIM_AT_BEGIN,
                                    TM_SIM_AT_DOWN,   TM_SIM_AT_SETTING };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct tm_sim_script candidate;
        struct tm_err err;
        size_t kept = 0;
        tm_err_clear(&err);
        if (s->runs >= TM_SIM_SHRINK_RUNS_MAX ||
            tm_sim_script_copy(&candidate, &s->best, &err) != TM_OK)
            return;
        struct tm_sim_choices *c = &candidate.choices;
        for (size_t k = 0; k < c->count; k++)
            if (!shrink_is_kind(c->list[k].place, kinds[i]))
                c->list[kept++] = c->list[k];
        if (kept == c->count) {
            tm_sim_script_free(&candidate);
            continue;
        }
        c->count = kept;
        (void)shrink_try(s, &candidate);
    }
}

/* ---- simpler instead of fewer ---- */

static bool shrink_pauses(struct tm_sim_script *s, size_t at)
{
    bool changed = false;
    if (at > 0)
        return false;
    for (size_t i = 0; i < s->events_count; i++) {
        changed |= !s->events[i].before && s->events[i].pause_ms != SHRINK_PAUSE_MS;
        s->events[i].pause_ms = SHRINK_PAUSE_MS;
    }
    return changed;
}

static struct tm_sim_change *shrink_change(struct tm_sim_script *s, size_t at)
{
    for (size_t i = 0; i < s->events_count; i++) {
        if (at < s->events[i].changes_count)
            return &s->events[i].changes[at];
        at -= s->events[i].changes_count;
    }
    return NULL;
}

static bool shrink_announce(struct tm_sim_script *s, size_t at)
{
    struct tm_sim_change *c = shrink_change(s, at);
    bool changed = c != NULL && c->announce != TM_ORG_NORMAL;
    if (changed)
        c->announce = TM_ORG_NORMAL;
    return changed;
}

static bool shrink_texts(struct tm_sim_script *s, size_t at)
{
    struct tm_sim_change *c = shrink_change(s, at);
    bool changed = false;
    for (size_t i = 0; c != NULL && i < c->sets_count; i++) {
        char *text = (char *)c->sets[i].value.text;
        if (text == NULL || strlen(text) <= SHRINK_TEXT_BYTES)
            continue;
        text[SHRINK_TEXT_BYTES] = '\0';
        changed = true;
    }
    return changed;
}

static void shrink_simplify(struct shrink *s, bool (*simplify)(struct tm_sim_script *, size_t),
                            size_t count)
{
    for (size_t i = 0; i < count && s->runs < TM_SIM_SHRINK_RUNS_MAX; i++) {
        struct tm_sim_script candidate;
        struct tm_err err;
        tm_err_clear(&err);
        if (tm_sim_script_copy(&candidate, &s->best, &err) != TM_OK)
            return;
        if (simplify(&candidate, i))
            (void)shrink_try(s, &candidate);
        else
            tm_sim_script_free(&candidate);
    }
}

/* An event that is only there so that the road is at work before the next one: the first commit
 * comes later instead. */
static void shrink_begin(struct shrink *s)
{
    struct tm_sim_script candidate;
    struct tm_err err;
    size_t first = 0;
    tm_err_clear(&err);
    while (first < s->best.events_count && s->best.events[first].before)
        first++;
    for (size_t i = 0; i < s->best.choices.count; i++)
        if (s->best.choices.list[i].place == TM_SIM_AT_BEGIN)
            return;
    if (first + 1 >= s->best.events_count || s->runs >= TM_SIM_SHRINK_RUNS_MAX ||
        tm_sim_script_copy(&candidate, &s->best, &err) != TM_OK)
        return;
    struct tm_sim_choices given = { .count = 0 };
    size_t count = candidate.choices.count;
    struct tm_sim_choice *list = malloc((count + 1) * sizeof *list);
    enum tm_code rc = list != NULL ? TM_OK : TM_E_NOMEM;
    if (rc == TM_OK) {
        memcpy(list, candidate.choices.list, count * sizeof *list);
        list[count] = (struct tm_sim_choice){ TM_SIM_AT_BEGIN, 0, SHRINK_BEGIN_NS };
        rc = tm_sim_choices_give(&given, list, count + 1, &err);
    }
    free(list);
    if (rc != TM_OK) {
        tm_sim_script_free(&candidate);
        return;
    }
    tm_sim_choices_free(&candidate.choices);
    candidate.choices = given;
    tm_sim_script_drop_event(&candidate, first);
    (void)shrink_try(s, &candidate);
}

/* ---- one fault instead of many ---- */

static bool shrink_only(struct shrink *s, const struct tm_sim_choice *fault, bool settings)
{
    struct tm_sim_script candidate;
    struct tm_err err;
    size_t kept = 0;
    tm_err_clear(&err);
    if (s->runs >= TM_SIM_SHRINK_RUNS_MAX ||
        tm_sim_script_copy(&candidate, &s->best, &err) != TM_OK)
        return false;
    struct tm_sim_choices *c = &candidate.choices;
    for (size_t i = 0; i < c->count; i++)
        if (settings && c->list[i].place == TM_SIM_AT_SETTING)
            c->list[kept++] = c->list[i];
    c->list[kept++] = *fault; /* there was one at least: this one */
    c->count = kept;
    return shrink_try(s, &candidate);
}

/* A crash or a lost answer often hits where it does only because of a hundred delays before it:
 * then the same fault, alone, is tried at other moments. */
static void shrink_to_one(struct shrink *s)
{
    struct tm_sim_choice faults[SHRINK_FAULTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < s->best.choices.count; i++) {
        const struct tm_sim_choice *c = &s->best.choices.list[i];
        bool known = c->place < TM_SIM_AT_FATE || c->place >= TM_SIM_AT_DOWN;
        for (size_t k = 0; k < count; k++)
            known |= faults[k].place == c->place && faults[k].value == c->value;
        if (!known && count < SHRINK_FAULTS_MAX)
            faults[count++] = *c;
    }
    for (uint32_t number = 0; number < SHRINK_MOMENTS_MAX; number++)
        for (size_t i = 0; i < count; i++) {
            faults[i].number = number;
            if (shrink_only(s, &faults[i], false) || shrink_only(s, &faults[i], true))
                return;
        }
}

static void shrink_round(struct shrink *s, bool first)
{
    static const struct shrink_part events = { shrink_events, shrink_drop_events, 0 },
                                    changes = { shrink_changes, shrink_drop_changes, 0 },
                                    sets = { shrink_sets, shrink_drop_sets, 0 },
                                    all = { shrink_choices, shrink_drop_choices, 1 },
                                    choices = { shrink_choices, shrink_drop_choices,
                                                SHRINK_CHUNKS_MAX };
    s->better = false;
    if (first)
        shrink_part(s, &all);
    shrink_kinds(s);
    shrink_part(s, &events);
    shrink_simplify(s, shrink_pauses, 1);
    if (s->best.choices.count > SHRINK_MANY)
        shrink_to_one(s);
    shrink_part(s, &changes);
    shrink_part(s, &choices);
    shrink_part(s, &sets);
    shrink_begin(s);
    shrink_simplify(s, shrink_announce, shrink_changes(&s->best));
    shrink_simplify(s, shrink_texts, shrink_changes(&s->best));
    if (s->best.events_count > 1)
        shrink_part(s, &events);
}

/* The whole run once more, looked at as its candidates will be: takes what it shows then. */
static bool shrink_again(struct shrink *s)
{
    struct tm_sim_script candidate;
    struct tm_err err;
    tm_err_clear(&err);
    return tm_sim_script_copy(&candidate, &s->best, &err) == TM_OK && shrink_try(s, &candidate);
}

/* What is seen in flight depends on when somebody looks. Where it is still wrong at rest, that is
 * the better story: there the org is the truth. Else: look always, and then it is seen earlier, and
 * may look otherwise. */
static void shrink_look(struct shrink *s)
{
    struct tm_sim_result flight = s->result;
    if (!shrink_flight(&flight.finding))
        return;
    s->options.look_never = true;
    s->result.finding.step = SHRINK_REST_STEPS;
    s->rest = true;
    if (shrink_again(s)) {
        s->rest = false;
        return;
    }
    s->rest = s->options.look_never = false;
    s->options.look_always = true;
    s->result = flight;
    (void)shrink_again(s);
}

enum tm_code tm_sim_shrink(struct tm_sim_shrunk *out, const struct tm_sim_script *script,
                           const struct tm_sim_result *found, const struct tm_sim_options *options,
                           struct tm_err *err)
{
    struct shrink s = { .result = *found, .options = *options };
    assert(found->finding.found);
    enum tm_code rc = tm_sim_script_copy(&s.best, script, err);
    if (rc != TM_OK)
        return rc;
    shrink_look(&s);
    for (int round = 0; round < SHRINK_ROUNDS_MAX; round++) {
        shrink_round(&s, round == 0);
        if (!s.better)
            break;
    }
    *out = (struct tm_sim_shrunk){
        .script = s.best, .result = s.result, .options = s.options, .runs = s.runs
    };
    return TM_OK;
}
