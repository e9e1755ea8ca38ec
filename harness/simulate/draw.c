/* draw: what a run decides once: its settings, which faults it has and at what rates; and whether
 * the rules can be kept at all by what a script tells. */
#include "simulate/simulate_inner.h"
#include <assert.h>
#include <string.h>

#define DRAW_EXPIRIES_MAX 3 /* a client gives up when fresh tokens are refused again and again */
#define DRAW_INSTALLED_EACH 100 /* seeds whose sink installs the views themselves (reader.h) */

static double draw_rate(struct tm_rng *rng, double chance, double most)
{
    bool on = tm_rng_chance(rng, chance);
    double rate = tm_rng_unit(rng) * most;
    return on ? rate : 0;
}

/* A given script may say what only a large seed draws: its times are another seed's, or shrunk. */
struct tm_sim_scale tm_sim_draw_scale(const struct tm_sim_script *script)
{
    static const struct tm_sim_scale large = { .begin_ns = 15 * TM_NS_PER_S,
                                               .calm_ns = 10 * TM_NS_PER_S,
                                               .crashes = 40,
                                               .looks = UINT64_MAX,
                                               .two_objects = 0.25,
                                               .batch = 0.17 },
                                     small = { .begin_ns = 4 * TM_NS_PER_S,
                                               .calm_ns = 2 * TM_NS_PER_S,
                                               .crashes = 6,
                                               .looks = 4,
                                               .two_objects = 0.15,
                                               .batch = 0.17 };
    struct tm_sim_scale s = tm_sim_script_large(script) ? large : small;
    if (script->choices.given) {
        s.begin_ns = large.begin_ns;
        s.calm_ns = large.calm_ns;
    }
    return s;
}

struct tm_sim_settings tm_sim_draw_settings(struct tm_sim_script *script,
                                            const struct tm_sim_options *options)
{
    struct tm_sim_choices *c = &script->choices;
    const size_t at = TM_SIM_AT_SETTING;
    const struct tm_sim_scale scale = tm_sim_draw_scale(script);
    struct tm_sim_settings s = { .seed = script->seed,
                                 .planted_from = options->planted_from,
                                 .planted_to = options->planted_to,
                                 .views_installed = options->views_installed ||
                                                    options->at_end != NULL ||
                                                    script->seed % DRAW_INSTALLED_EACH == 0 };
    s.objects_count = tm_sim_chance(c, at, scale.two_objects) ? 2 : 1;
    s.tasks = tm_sim_chance(c, at, 0.3) ? 2 : 1;
    s.partitions = (int32_t)tm_sim_between(c, at, 1, 3);
    s.keep_merged = tm_sim_chance(c, at, 0.4);
    s.overflow_range = tm_sim_chance(c, at, 0.4);
    s.convert_changed_fields = tm_sim_chance(c, at, 0.2);
    s.start_all = tm_sim_chance(c, at, 0.3);
    s.publish_delay_ms = tm_sim_between(c, at, 0, tm_sim_chance(c, at, 0.4) ? 3000 : 0);
    s.index_lag_ms = tm_sim_between(c, at, 0, tm_sim_chance(c, at, 0.3) ? 3000 : 0);
    s.window_ms = tm_sim_between(c, at, 10, 3000);
    s.idle_ms = tm_sim_between(c, at, 0, 500);
    bool few_ids = tm_sim_chance(c, at, 0.3), few_rows = tm_sim_chance(c, at, 0.4),
         audits = tm_sim_chance(c, at, 0.25);
    int64_t ids = tm_sim_between(c, at, 1, 4), rows = tm_sim_between(c, at, 1, 5),
            audit_ms = 60000 - tm_sim_between(c, at, 0, 55000);
    s.ids_max = few_ids ? ids : 2000;
    s.rows_max = few_rows ? rows : 2000;
    s.audit_ms = audits ? audit_ms : 0;
    s.view_poll_ms = 1500 - tm_sim_between(c, at, 0, 1300);
    bool bulk = tm_sim_chance(c, at, 0.4);
    int64_t bulk_rows = tm_sim_between(c, at, 1, 4);
    s.bulk_ms = tm_sim_between(c, at, 0, tm_sim_chance(c, at, 0.5) ? 4000 : 0);
    s.bulk_rows = bulk ? bulk_rows : 0;
    /* Somebody's own logic is asked at rest only, and with all doubt repaired. */
    s.sees_all = !tm_sim_chance(c, at, 0.06) || options->own != NULL;
    s.longest_ms = tm_sim_chance(c, at, 0.5) ? 2000 : 600000;
    s.page_max = tm_sim_chance(c, at, 0.3) ? (size_t)tm_sim_between(c, at, 1, 4) : 0;
    bool batch = tm_sim_chance(c, at, scale.batch), reload = tm_sim_chance(c, at, 0.3);
    s.batch = !batch ? TM_SIM_NO_BATCH : reload ? TM_SIM_RELOAD : TM_SIM_INCREMENTAL;
    s.batch_keyset = tm_sim_chance(c, at, 0.7);
    /* Rows of one stamp on either side of a page's end. */
    int64_t few = tm_sim_between(c, at, 0, 3);
    if (s.batch == TM_SIM_INCREMENTAL && s.batch_keyset && s.page_max == 0)
        s.page_max = (size_t)few;
    s.batch_query_all = tm_sim_chance(c, at, 0.5);
    s.batch_from_start = tm_sim_chance(c, at, 0.5);
    s.batch_ms = tm_sim_between(c, at, 3, 10) * 1000;
    return s;
}

/* Rates are the seed's own, given script or not: a decision can be given only where one could have
 * been drawn. */
void tm_sim_draw_swarm(struct tm_sim *s)
{
    struct tm_rng rates, *r = &rates;
    tm_rng_init(r, s->script->seed ^ 0x737761726d);
    s->swarm = (struct tm_sim_swarm){ .crash = draw_rate(r, 0.5, 0.02),
                                      .duplicate = draw_rate(r, 0.5, 1),
                                      .refuse = draw_rate(r, 0.3, 1),
                                      .swap = draw_rate(r, 0.4, 1),
                                      .hold = draw_rate(r, 0.5, 1),
                                      .hold_acks = draw_rate(r, 0.3, 1),
                                      .expire = draw_rate(r, 0.3, 1),
                                      .join = draw_rate(r, 0.3, 1),
                                      .poison = draw_rate(r, 0.2, 0.5),
                                      .read_only = draw_rate(r, 0.15, 0.5),
                                      .expiries = DRAW_EXPIRIES_MAX,
                                      .look = draw_rate(r, 0.8, 0.1) };
    s->world.faults = (struct tm_sim_faults){ .lose_request = draw_rate(r, 0.4, 0.15),
                                              .lose_answer = draw_rate(r, 0.4, 0.15),
                                              .repeat = draw_rate(r, 0.4, 0.15),
                                              .refuse = draw_rate(r, 0.4, 0.15),
                                              .slow = draw_rate(r, 0.4, 0.3),
                                              .hang = draw_rate(r, 0.2, 0.05),
                                              .tear = draw_rate(r, 0.3, 0.1) };
}

/* Something about the record was told by an overflow, which names nobody. */
static bool draw_overflowed(const struct tm_sim_script *script, size_t events_count, size_t record)
{
    for (size_t i = 0; i < events_count; i++)
        for (size_t k = 0; k < script->events[i].changes_count; k++)
            if (script->events[i].changes[k].record == record &&
                script->events[i].changes[k].announce == TM_ORG_OVERFLOW)
                return true;
    return false;
}

/* What no event tells is found by audits only: no rule says otherwise. Nor is a row that is gone
 * for good told from one that the user may not see, where he may not see all; and a range read
 * after an overflow does not find it. */
bool tm_sim_fair(const struct tm_sim_script *script, size_t events_count,
                 const struct tm_sim_settings *set)
{
    assert(events_count <= script->events_count);
    for (size_t i = 0; i < events_count; i++) {
        const struct tm_sim_event *e = &script->events[i];
        bool untold = e->kind == TM_SIM_FIELD_SHOW ||
                      (e->kind == TM_SIM_FIELD_ADD && strcmp(e->field, "Old__c") == 0);
        bool epoch =
            e->kind == TM_SIM_FORGET || e->kind == TM_SIM_RESTART || e->kind == TM_SIM_RESTART_LIVE;
        if ((untold && set->audit_ms == 0) || (epoch && !set->sees_all))
            return false;
        for (size_t k = 0; k < e->changes_count; k++) {
            const struct tm_sim_change *c = &e->changes[k];
            bool gone = c->kind == TM_ORG_HARD_DELETE;
            if ((c->announce == TM_ORG_SILENT && (set->audit_ms == 0 || !set->sees_all)) ||
                (gone && !set->sees_all) ||
                (gone && set->overflow_range && set->audit_ms == 0 &&
                 draw_overflowed(script, events_count, c->record)))
                return false;
        }
    }
    return true;
}
