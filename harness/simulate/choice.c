#include "simulate/choice.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

void tm_sim_choices_draw(struct tm_sim_choices *c, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    tm_rng_init(&c->rng, seed);
}

static int choices_order(const void *a, const void *b)
{
    const struct tm_sim_choice *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

enum tm_code tm_sim_choices_give(struct tm_sim_choices *c, const struct tm_sim_choice *list,
                                 size_t count, struct tm_err *err)
{
    memset(c, 0, sizeof *c);
    c->given = true;
    c->list = malloc((count + 1) * sizeof *c->list);
    if (c->list == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu choices", count);
    if (count > 0)
        memcpy(c->list, list, count * sizeof *list);
    c->count = c->cap = count;
    qsort(c->list, count, sizeof *c->list, choices_order);
    tm_sim_choices_rewind(c);
    return TM_OK;
}

void tm_sim_choices_rewind(struct tm_sim_choices *c)
{
    assert(c->given);
    memset(c->next, 0, sizeof c->next);
    for (size_t place = 0, at = 0; place < TM_SIM_PLACES; place++) {
        c->cursor[place] = at;
        while (at < c->count && c->list[at].place == place)
            at++;
    }
}

void tm_sim_choices_free(struct tm_sim_choices *c)
{
    free(c->list);
    memset(c, 0, sizeof *c);
}

static int64_t choices_given(struct tm_sim_choices *c, size_t place, uint32_t number)
{
    size_t *at = &c->cursor[place];
    while (*at < c->count && c->list[*at].place == place && c->list[*at].number < number)
        ++*at;
    return *at < c->count && c->list[*at].place == place && c->list[*at].number == number
               ? c->list[*at].value
               : 0;
}

static void choices_keep(struct tm_sim_choices *c, size_t place, uint32_t number, int64_t value)
{
    if (c->count == c->cap) {
        size_t cap = c->cap == 0 ? 1024 : c->cap * 2;
        struct tm_sim_choice *list = realloc(c->list, cap * sizeof *list);
        c->full |= list == NULL;
        if (list == NULL)
            return;
        c->list = list;
        c->cap = cap;
    }
    c->list[c->count++] = (struct tm_sim_choice){ (uint32_t)place, number, value };
}

bool tm_sim_chance(struct tm_sim_choices *c, size_t place, double p)
{
    assert(place < TM_SIM_PLACES);
    uint32_t number = c->next[place]++;
    if (c->given)
        return p > 0 && choices_given(c, place, number) != 0;
    bool yes = p > 0 && tm_rng_chance(&c->rng, p);
    if (yes)
        choices_keep(c, place, number, 1);
    return yes;
}

size_t tm_sim_fate(struct tm_sim_choices *c, size_t place, const double *chances, size_t count)
{
    assert(place < TM_SIM_PLACES);
    uint32_t number = c->next[place]++;
    size_t fate = 0;
    if (c->given) {
        int64_t value = choices_given(c, place, number);
        return value > 0 && (size_t)value <= count && chances[value - 1] > 0 ? (size_t)value : 0;
    }
    double p = tm_rng_unit(&c->rng);
    while (fate < count && (p -= chances[fate]) >= 0)
        fate++;
    fate = fate == count ? 0 : fate + 1;
    if (fate > 0)
        choices_keep(c, place, number, (int64_t)fate);
    return fate;
}

int64_t tm_sim_between(struct tm_sim_choices *c, size_t place, int64_t first, int64_t last)
{
    assert(place < TM_SIM_PLACES && first <= last);
    uint32_t number = c->next[place]++;
    if (c->given) {
        int64_t value = choices_given(c, place, number);
        return value >= 0 && value <= last - first ? first + value : last;
    }
    int64_t drawn = first == last ? first : tm_rng_between(&c->rng, first, last);
    if (drawn != first)
        choices_keep(c, place, number, drawn - first);
    return drawn;
}
