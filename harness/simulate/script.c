#include "simulate/script.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tm_sim_script_draw(struct tm_sim_script *s, uint64_t seed)
{
    *s = (struct tm_sim_script){ .seed = seed };
    tm_sim_choices_draw(&s->choices, seed);
}

bool tm_sim_script_large(const struct tm_sim_script *s)
{
    struct tm_rng rng;
    tm_rng_init(&rng, s->seed ^ 0x6c61726765);
    return tm_rng_below(&rng, TM_SIM_LARGE_EACH) == 0;
}

static void script_change_free(struct tm_sim_change *c)
{
    for (size_t i = 0; i < c->sets_count; i++)
        free((char *)c->sets[i].value.text);
    free(c->sets);
}

static void script_event_free(struct tm_sim_event *e)
{
    for (size_t i = 0; i < e->changes_count; i++)
        script_change_free(&e->changes[i]);
    free(e->changes);
}

void tm_sim_script_free(struct tm_sim_script *s)
{
    for (size_t i = 0; i < s->events_count; i++)
        script_event_free(&s->events[i]);
    free(s->events);
    tm_sim_choices_free(&s->choices);
    memset(s, 0, sizeof *s);
}

struct tm_sim_event *tm_sim_script_event(struct tm_sim_script *s)
{
    if (s->events_count == s->events_cap) {
        size_t cap = s->events_cap == 0 ? 32 : s->events_cap * 2;
        struct tm_sim_event *events = realloc(s->events, cap * sizeof *events);
        if (events == NULL)
            return NULL;
        s->events = events;
        s->events_cap = cap;
    }
    struct tm_sim_event *e = &s->events[s->events_count++];
    memset(e, 0, sizeof *e);
    return e;
}

enum tm_code tm_sim_event_change(struct tm_sim_event *e, const struct tm_org_change *change,
                                 size_t object, size_t record, struct tm_err *err)
{
    struct tm_sim_change *all = realloc(e->changes, (e->changes_count + 1) * sizeof *all);
    struct tm_sim_set *sets = calloc(change->sets_count + 1, sizeof *sets);
    if (all != NULL)
        e->changes = all;
    if (all == NULL || sets == NULL) {
        free(sets);
        return tm_fail(err, TM_E_NOMEM, "a change of the script");
    }
    struct tm_sim_change *c = &all[e->changes_count++];
    *c = (struct tm_sim_change){ .kind = change->kind,
                                 .announce = change->announce,
                                 .record = record,
                                 .object = object,
                                 .sets = sets,
                                 .sets_count = change->sets_count };
    for (size_t i = 0; i < c->sets_count; i++) {
        assert(strlen(change->sets[i].field) < sizeof sets[i].field);
        strcpy(sets[i].field, change->sets[i].field);
        sets[i].value = change->sets[i].value;
        if (sets[i].value.kind == TM_ORG_TEXT)
            sets[i].value.text = strdup(sets[i].value.text);
        else
            sets[i].value.text = NULL;
        if (sets[i].value.kind == TM_ORG_TEXT && sets[i].value.text == NULL)
            return tm_fail(err, TM_E_NOMEM, "a change of the script");
    }
    return TM_OK;
}

static enum tm_code script_event_copy(struct tm_sim_event *out, const struct tm_sim_event *from,
                                      struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    *out = *from;
    out->changes = NULL;
    out->changes_count = 0;
    for (size_t i = 0; i < from->changes_count && rc == TM_OK; i++) {
        const struct tm_sim_change *c = &from->changes[i];
        struct tm_org_set *sets = calloc(c->sets_count + 1, sizeof *sets);
        if (sets == NULL)
            return tm_fail(err, TM_E_NOMEM, "a change of the script");
        for (size_t k = 0; k < c->sets_count; k++)
            sets[k] = (struct tm_org_set){ c->sets[k].field, c->sets[k].value };
        const struct tm_org_change change = {
            .kind = c->kind, .announce = c->announce, .sets = sets, .sets_count = c->sets_count
        };
        rc = tm_sim_event_change(out, &change, c->object, c->record, err);
        free(sets);
    }
    return rc;
}

enum tm_code tm_sim_script_copy(struct tm_sim_script *out, const struct tm_sim_script *from,
                                struct tm_err *err)
{
    *out = (struct tm_sim_script){ .seed = from->seed };
    enum tm_code rc =
        tm_sim_choices_give(&out->choices, from->choices.list, from->choices.count, err);
    for (size_t i = 0; i < from->events_count && rc == TM_OK; i++) {
        struct tm_sim_event *e = tm_sim_script_event(out);
        rc = e != NULL ? script_event_copy(e, &from->events[i], err)
                       : tm_fail(err, TM_E_NOMEM, "an event of the script");
    }
    if (rc != TM_OK)
        tm_sim_script_free(out);
    return rc;
}

void tm_sim_script_drop_event(struct tm_sim_script *s, size_t event)
{
    assert(event < s->events_count);
    script_event_free(&s->events[event]);
    memmove(&s->events[event], &s->events[event + 1],
            (s->events_count - event - 1) * sizeof s->events[0]);
    s->events_count--;
}

void tm_sim_event_drop_change(struct tm_sim_event *e, size_t change)
{
    assert(change < e->changes_count);
    script_change_free(&e->changes[change]);
    memmove(&e->changes[change], &e->changes[change + 1],
            (e->changes_count - change - 1) * sizeof e->changes[0]);
    e->changes_count--;
}

void tm_sim_change_drop_set(struct tm_sim_change *c, size_t set)
{
    assert(set < c->sets_count);
    free((char *)c->sets[set].value.text);
    memmove(&c->sets[set], &c->sets[set + 1], (c->sets_count - set - 1) * sizeof c->sets[0]);
    c->sets_count--;
}
