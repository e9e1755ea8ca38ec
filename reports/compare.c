#include "reports/compare.h"
#include "reports/report.h"
#include "reports/shift.h"
#include "reports/words.h"
#include <math.h>
#include <string.h>

#define COMPARE_SEED 20260301 /* of what is redrawn to say what could have been seen */
#define COMPARE_PATH_BYTES 120
#define COMPARE_COUNT(a) (sizeof(a) / sizeof(a)[0])

struct compare {
    struct tm_compare_side base, new, control;
    struct tm_compare_rules rules;
    bool virtual, other_machine, base_told;
    double alpha; /* of one figure */
    json_t *counters, *figures, *reasons;
    size_t failed, unsure, untold; /* untold: figures that are inconclusive */
};

/* ---- rules ---- */

static const struct {
    const char *name, *path, *words, *unit;
    unsigned bit;
} compare_figures[] = {
    { "work", "work_ms.p50", "work p50", "ms", TM_COMPARE_WORK },
    { "cpu", "cost.cpu_s", "CPU", "s", TM_COMPARE_CPU },
    { "query", "cost.query_ms", "query", "ms", TM_COMPARE_QUERY },
};

static enum tm_code compare_must(unsigned *out, const json_t *list, struct tm_err *err)
{
    const json_t *one;
    size_t i, k;
    *out = 0;
    if (!json_is_array(list))
        return tm_fail(err, TM_E_ARG, "slo: compare: \"must\" must be a list");
    json_array_foreach(list, i, one)
    {
        const char *name = json_is_string(one) ? json_string_value(one) : "";
        for (k = 0; k < COMPARE_COUNT(compare_figures); k++)
            if (strcmp(name, compare_figures[k].name) == 0)
                break;
        if (k == COMPARE_COUNT(compare_figures))
            return tm_fail(err, TM_E_ARG,
                           "slo: compare: must: \"%.40s\" is no figure; there are work, cpu, query",
                           name);
        *out |= compare_figures[k].bit;
    }
    return TM_OK;
}

static enum tm_code compare_rule(double *out, const char *key, const json_t *value, double below,
                                 struct tm_err *err)
{
    *out = json_number_value(value);
    if (!json_is_number(value) || !(*out > 0) || *out >= below)
        return tm_fail(err, TM_E_ARG, "slo: compare: \"%s\" must be a number above 0, below %g",
                       key, below);
    return TM_OK;
}

enum tm_code tm_compare_rules_read(struct tm_compare_rules *out, const json_t *compare,
                                   struct tm_err *err)
{
    const char *key;
    json_t *value;
    enum tm_code rc = TM_OK;
    *out = (struct tm_compare_rules){ 0.10, 0.20, 0.002, TM_COMPARE_CPU };
    if (compare == NULL)
        return TM_OK;
    if (!json_is_object(compare))
        return tm_fail(err, TM_E_ARG, "slo: \"compare\" must be an object");
    json_object_foreach((json_t *)(uintptr_t)compare, key, value)
    {
        if (strcmp(key, "effect_min") == 0)
            rc = compare_rule(&out->effect_min, key, value, 10, err);
        else if (strcmp(key, "effect_seen") == 0)
            rc = compare_rule(&out->effect_seen, key, value, 10, err);
        else if (strcmp(key, "alpha") == 0)
            rc = compare_rule(&out->alpha, key, value, 0.5, err);
        else if (strcmp(key, "must") == 0)
            rc = compare_must(&out->must, value, err);
        else
            rc = tm_fail(err, TM_E_ARG,
                         "slo: compare: unknown key \"%.60s\"; there are effect_min, "
                         "effect_seen, alpha, must",
                         key);
        if (rc != TM_OK)
            return rc;
    }
    if (out->effect_seen < out->effect_min)
        return tm_fail(err, TM_E_ARG, "slo: compare: effect_seen is less than effect_min");
    return TM_OK;
}

/* ---- the same experiment? ---- */

static bool compare_virtual(const json_t *run)
{
    return strcmp(tm_word_text(run, "environment.clock", ""), "virtual") == 0;
}

/* A text, number or truth of both, by path: "" where they agree. */
static const json_t *compare_at(const json_t *object, const char *path)
{
    char step[COMPARE_PATH_BYTES];
    while (object != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        snprintf(step, sizeof step, "%.*s", (int)n, path);
        object = json_object_get(object, step);
        path += n + (path[n] == '.');
    }
    return object;
}

static const char *compare_shown(char out[WORD_BYTES], const json_t *value)
{
    if (json_is_string(value))
        snprintf(out, WORD_BYTES, "%.36s", json_string_value(value));
    else if (json_is_number(value))
        snprintf(out, WORD_BYTES, "%.12g", json_number_value(value));
    else
        snprintf(out, WORD_BYTES, "%s", value == NULL ? "nothing" : "another type");
    return out;
}

static enum tm_code compare_same(const json_t *a, const json_t *b, const char *path,
                                 const char *what, struct tm_err *err)
{
    const json_t *x = compare_at(a, path), *y = compare_at(b, path);
    char words[2][WORD_BYTES];
    if (x == y || (x != NULL && y != NULL &&
                   (json_equal(x, y) || (json_is_number(x) && json_is_number(y) &&
                                         json_number_value(x) == json_number_value(y)))))
        return TM_OK;
    return tm_fail(err, TM_E_ARG,
                   "these runs cannot be compared: the %s is %s in one, %s in another", what,
                   compare_shown(words[0], x), compare_shown(words[1], y));
}

static const json_t *compare_pipeline(const json_t *run, const char *name)
{
    const json_t *p;
    size_t i;
    json_array_foreach(json_object_get(run, "pipelines"), i,
                       p) if (strcmp(tm_word_text(p, "name", ""), name) == 0) return p;
    return NULL;
}

static enum tm_code compare_pipelines(const json_t *a, const json_t *b, struct tm_err *err)
{
    const json_t *p;
    size_t i;
    json_array_foreach(json_object_get(a, "pipelines"), i,
                       p) if (compare_pipeline(b, tm_word_text(p, "name", "")) ==
                              NULL) return tm_fail(err, TM_E_ARG,
                                                   "these runs cannot be compared: pipeline "
                                                   "\"%.60s\" is in one of them only",
                                                   tm_word_text(p, "name", ""));
    return TM_OK;
}

static enum tm_code compare_run(const json_t *first, const json_t *run, const char *side,
                                struct tm_err *err)
{
    static const struct {
        const char *path, *what;
    } same[] = {
        { "tidemark", "format of report.json" },
        { "scenario", "scenario" },
        { "seed", "seed" },
        { "environment.clock", "clock" },
        { "environment.kafka", "Kafka" },
        { "clock.compress", "compression of the org's clock" },
        { "clock.publish_delay_ms", "publish delay" },
        { "clock.index_lag_ms", "index lag" },
        { "offered.changes", "number of changes offered" },
        { "slo.compare", "rules of comparison (slo.compare)" },
    };
    enum tm_code rc = tm_report_check(run, side, err);
    for (size_t i = 0; rc == TM_OK && i < COMPARE_COUNT(same); i++)
        rc = compare_same(first, run, same[i].path, same[i].what, err);
    if (rc == TM_OK)
        rc = compare_pipelines(first, run, err);
    if (rc == TM_OK)
        rc = compare_pipelines(run, first, err);
    return rc;
}

static enum tm_code compare_experiment(struct compare *c, struct tm_err *err)
{
    const struct {
        const struct tm_compare_side *side;
        const char *name;
    } sides[] = { { &c->base, "BASE" }, { &c->new, "NEW" }, { &c->control, "the control" } };
    const json_t *first = c->base.count > 0 ? c->base.runs[0] : NULL;
    for (size_t s = 0; s < COMPARE_COUNT(sides); s++) {
        size_t count = sides[s].side->count;
        if (count > TM_COMPARE_RUNS_MAX || (count == 0 && s < 2))
            return tm_fail(err, TM_E_ARG, "%s has %zu runs; 1 to %d can be compared", sides[s].name,
                           count, TM_COMPARE_RUNS_MAX);
        for (size_t i = 0; i < count; i++) {
            const json_t *run = sides[s].side->runs[i];
            if (compare_run(first, run, sides[s].name, err) != TM_OK)
                return err->code;
            c->other_machine |=
                !json_equal(compare_at(first, "environment.cpus"),
                            compare_at(run, "environment.cpus")) &&
                compare_at(first, "environment.cpus") != compare_at(run, "environment.cpus");
        }
    }
    c->virtual = compare_virtual(first);
    return TM_OK;
}

/* ---- answers ---- */

static void compare_reason(struct compare *c, const char *text)
{
    json_array_append_new(c->reasons, json_string(text));
}

/* ---- counters ---- */

struct compare_counter {
    const char *path, *words;
    bool promised; /* by a stream, on any machine and in real time too */
};
static const struct compare_counter compare_counters[] = {
    { "freshness_s.count", "changes", false },
    { "freshness_s.never", "changes never shown", true },
    { "drift.final_rows", "rows differing at the end", true },
    { "drift.dirty", "rows in doubt at the end", true },
    { "drift.wrong", "rows with a value never held", true },
    { "drift.peak_rows", "rows differing at the worst moment", false },
    { "drift.row_seconds", "rows differing x seconds", false },
    { "drift.missing", "rows missing at the end", false },
    { "drift.phantom", "phantom rows at the end", false },
    { "drift.stale", "stale rows at the end", false },
    { "drift.mixed", "mixed rows at the end", false },
    { "lost_history.states", "committed states never shown", false },
    { "torn.transactions", "torn transactions", false },
    { "cost.api_calls", "API calls", false },
    { "cost.events", "events delivered", false },
    { "cost.bytes_in", "bytes sent", false },
    { "cost.bytes_out", "bytes received", false },
    { "cost.polls", "polls", false },
    { "cost.skipped_polls", "polls skipped", false },
    { "wait_s.p50", "wait p50, s", false },
    { "wait_s.p99", "wait p99, s", false },
    { "work_ms.p50", "work p50, ms", false },
    { "work_ms.p99", "work p99, ms", false },
    { "freshness_s.p50", "freshness p50, s", false },
    { "freshness_s.p90", "freshness p90, s", false },
    { "freshness_s.p99", "freshness p99, s", false },
    { "freshness_s.max", "slowest change, s", false },
};

static double compare_number(const json_t *object, const char *path)
{
    double v;
    return tm_word_number(object, path, &v) ? v : NAN;
}

static bool compare_equal(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static json_t *compare_json(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* values of BASE and NEW, one a run. Under the virtual clock all are the same; in real time NEW is
 * nowhere above the highest of BASE. */
static void compare_counter(struct compare *c, const char *name, const char *words,
                            const double *base, const double *new)
{
    double was = base[0], is = new[0];
    bool ok = true;
    char text[300], a[WORD_BYTES], b[WORD_BYTES];
    for (size_t i = 0; i < c->base.count; i++) {
        if (c->virtual && !compare_equal(base[i], was) && !c->base_told) {
            c->base_told = true;
            c->unsure++;
            compare_reason(c, "Repetitions of BASE under the virtual clock differ from each other: "
                              "it is no base to compare with.");
        }
        if (base[i] > was)
            was = base[i];
    }
    for (size_t i = 0; i < c->new.count; i++)
        if (c->virtual ? !compare_equal(new[i], was)
                       : new[i] > was || isnan(new[i]) != isnan(was)) {
            is = new[i];
            ok = false;
        }
    if (isnan(was) && isnan(is))
        return;
    json_array_append_new(c->counters,
                          json_pack("{s:s, s:s, s:o, s:o, s:b}", "pipeline", name, "counter", words,
                                    "base", compare_json(was), "new", compare_json(is), "ok", ok));
    if (ok)
        return;
    c->failed++;
    snprintf(a, sizeof a, "%.12g", was);
    snprintf(b, sizeof b, "%.12g", is);
    snprintf(text, sizeof text, "%s%s%s: %s, not %s as before.", name, name[0] != '\0' ? ": " : "",
             words, isnan(is) ? "gone" : b, isnan(was) ? "absent" : a);
    compare_reason(c, text);
}

static void compare_path(const struct compare *c, double *base, double *new, const char *pipeline,
                         const char *path)
{
    for (size_t i = 0; i < c->base.count; i++)
        base[i] = compare_number(
            pipeline != NULL ? compare_pipeline(c->base.runs[i], pipeline) : c->base.runs[i], path);
    for (size_t i = 0; i < c->new.count; i++)
        new[i] = compare_number(
            pipeline != NULL ? compare_pipeline(c->new.runs[i], pipeline) : c->new.runs[i], path);
}

static void compare_anomalies(struct compare *c, const json_t *p)
{
    double base[TM_COMPARE_RUNS_MAX], new[TM_COMPARE_RUNS_MAX];
    const char *name = tm_word_text(p, "name", ""), *anomaly;
    json_t *one;
    char path[COMPARE_PATH_BYTES], words[COMPARE_PATH_BYTES];
    json_object_foreach(json_object_get(p, "anomalies"), anomaly, one)
    {
        snprintf(path, sizeof path, "anomalies.%.60s.count", anomaly);
        snprintf(words, sizeof words, "anomaly %.60s", tm_word_anomaly(anomaly));
        compare_path(c, base, new, name, path);
        compare_counter(c, name, words, base, new);
    }
}

/* How many runs of a side have something that none should have. */
static void compare_runs(struct compare *c)
{
    double base[TM_COMPARE_RUNS_MAX], new[TM_COMPARE_RUNS_MAX];
    const struct tm_compare_side *sides[] = { &c->base, &c->new };
    double *values[] = { base, new };
    char text[400];
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sides[s]->count; i++) {
            const json_t *run = sides[s]->runs[i];
            const char *verdict = tm_word_text(run, "verdict", "");
            values[s][i] = strcmp(verdict, "fail") == 0;
            bool ours = json_is_false(json_object_get(run, "harness_ok"));
            if (strcmp(verdict, "inconclusive") != 0 && !ours)
                continue;
            const char *why = json_string_value(json_array_get(json_object_get(run, "reasons"), 0));
            c->unsure++;
            snprintf(text, sizeof text, "Run %zu of %s is itself %s: %.240s", i + 1,
                     s == 0 ? "BASE" : "NEW", ours ? "contradicting itself" : "inconclusive",
                     why != NULL ? why : "no reason given");
            compare_reason(c, text);
        }
    compare_counter(c, "", "verdict fail (1 = yes)", base, new);
    compare_path(c, base, new, NULL, "undecodable_records");
    compare_counter(c, "", "records nobody could decode", base, new);
}

static void compare_exactly(struct compare *c)
{
    double base[TM_COMPARE_RUNS_MAX], new[TM_COMPARE_RUNS_MAX];
    const json_t *p;
    size_t i;
    compare_runs(c);
    json_array_foreach(json_object_get(c->base.runs[0], "pipelines"), i, p)
    {
        const char *name = tm_word_text(p, "name", "");
        bool stream = strcmp(tm_word_text(p, "kind", ""), "stream") == 0;
        for (size_t k = 0; k < COMPARE_COUNT(compare_counters); k++) {
            const struct compare_counter *one = &compare_counters[k];
            if (!c->virtual && !(one->promised && stream))
                continue;
            compare_path(c, base, new, name, one->path);
            compare_counter(c, name, one->words, base, new);
        }
        if (c->virtual)
            compare_anomalies(c, p);
    }
}

/* ---- wall clock ---- */

struct compare_figure {
    const char *pipeline, *words, *unit;
    bool must;
    double base[TM_COMPARE_RUNS_MAX], new[TM_COMPARE_RUNS_MAX];
    double control[2][TM_COMPARE_RUNS_MAX];
    size_t controls[2];
};

static double compare_middle(const double *values, size_t count)
{
    double sorted[TM_COMPARE_RUNS_MAX];
    for (size_t i = 0; i < count; i++) {
        size_t k = i;
        for (; k > 0 && sorted[k - 1] > values[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = values[i];
    }
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* What should not move: BASE against the control, or, where there is none, every other repetition
 * of BASE against the rest. False: one repetition is no control. */
static bool compare_control(const struct compare *c, struct compare_figure *f, const char *path)
{
    f->controls[0] = f->controls[1] = 0;
    for (size_t i = 0; i < c->base.count; i++) {
        size_t half = c->control.count > 0 ? 0 : i % 2;
        f->control[half][f->controls[half]++] = f->base[i];
    }
    for (size_t i = 0; i < c->control.count; i++)
        f->control[1][f->controls[1]++] =
            compare_number(compare_pipeline(c->control.runs[i], f->pipeline), path);
    return f->controls[1] > 0;
}

static bool compare_positive(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(values[i] > 0))
            return false;
    return true;
}

/* "pass", "fail" or "inconclusive" with why ("" for a pass). */
static const char *compare_answer(const struct compare *c, const struct tm_shift *s, double control,
                                  bool controlled, char why[200])
{
    double seen = 1 + c->rules.effect_seen;
    why[0] = '\0';
    if (c->other_machine)
        snprintf(why, 200, "the runs are not of one machine");
    else if (!controlled)
        snprintf(why, 200, "one repetition of BASE is no control");
    else if (control >= seen || control <= 1 / seen)
        snprintf(why, 200, "the control, the same program, moved by %+.0f %% itself",
                 100 * (control - 1));
    else if (tm_shift_grew(s, c->rules.effect_min))
        return "fail";
    else if (s->at_most >= seen)
        snprintf(why, 200,
                 "a growth of %.0f %% is not excluded; more repetitions, or a quieter "
                 "machine",
                 100 * c->rules.effect_seen);
    return why[0] != '\0' ? "inconclusive" : "pass";
}

static void compare_judge(struct compare *c, const struct compare_figure *f, bool controlled)
{
    struct tm_shift_side base = { f->base, c->base.count }, new = { f->new, c->new.count };
    struct tm_shift s, control = { .ratio = NAN };
    char why[200], text[500];
    double alpha = c->alpha;
    tm_shift_estimate(&s, base, new, alpha, 0.05);
    if (controlled)
        tm_shift_estimate(&control, (struct tm_shift_side){ f->control[0], f->controls[0] },
                          (struct tm_shift_side){ f->control[1], f->controls[1] }, alpha, alpha);
    double seen = tm_shift_seen(base, new, alpha, c->rules.effect_min, COMPARE_SEED);
    const char *answer = compare_answer(c, &s, control.ratio, controlled, why);
    json_array_append_new(
        c->figures,
        json_pack("{s:s, s:s, s:s, s:b, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:s, s:s}", "pipeline",
                  f->pipeline, "figure", f->words, "unit", f->unit, "must", f->must, "base",
                  compare_middle(f->base, c->base.count), "new",
                  compare_middle(f->new, c->new.count), "ratio", s.ratio, "at_least",
                  s.at_least > 0 ? json_real(s.at_least) : json_null(), "at_most",
                  compare_json(s.at_most), "smallest_seen", compare_json(seen), "control",
                  compare_json(control.ratio), "answer", answer, "why", why));
    if (strcmp(answer, "pass") == 0)
        return;
    bool fail = strcmp(answer, "fail") == 0;
    c->failed += fail;
    c->untold += !fail;
    c->unsure += !fail && f->must;
    if (!fail)
        return; /* told once for all, below */
    snprintf(text, sizeof text,
             "%s: %s grew by %.0f %%, from %.4g to %.4g %s (by %.0f %% at least; chance of a false "
             "alarm %.2g in all).",
             f->pipeline, f->words, 100 * (s.ratio - 1), compare_middle(f->base, c->base.count),
             compare_middle(f->new, c->new.count), f->unit, 100 * (s.at_least - 1), c->rules.alpha);
    compare_reason(c, text);
}

/* Every figure that all runs have, above nought; returns how many. judge false: counts only. */
static size_t compare_each(struct compare *c, bool judge)
{
    const json_t *p;
    size_t i, count = 0;
    json_array_foreach(json_object_get(c->base.runs[0], "pipelines"), i,
                       p) for (size_t k = 0; k < COMPARE_COUNT(compare_figures); k++)
    {
        struct compare_figure f = { .pipeline = tm_word_text(p, "name", ""),
                                    .words = compare_figures[k].words,
                                    .unit = compare_figures[k].unit,
                                    .must = (c->rules.must & compare_figures[k].bit) != 0 };
        compare_path(c, f.base, f.new, f.pipeline, compare_figures[k].path);
        bool controlled = compare_control(c, &f, compare_figures[k].path);
        if (!compare_positive(f.base, c->base.count) || !compare_positive(f.new, c->new.count) ||
            !compare_positive(f.control[1], f.controls[1]))
            continue;
        count++;
        if (judge)
            compare_judge(c, &f, controlled);
    }
    return count;
}

static void compare_wall(struct compare *c)
{
    char text[400];
    size_t count = compare_each(c, false), unsure = c->unsure;
    if (count == 0)
        return;
    c->alpha = c->rules.alpha / (double)count;
    size_t least = tm_shift_repeats(c->alpha);
    compare_each(c, true);
    if (c->untold == 0)
        return;
    if (c->base.count < least || c->new.count < least)
        snprintf(text, sizeof text,
                 "%zu wall-clock figures want %zu repetitions on each side before a difference can "
                 "be told from noise; there are %zu and %zu.",
                 count, least, c->base.count, c->new.count);
    else
        snprintf(text, sizeof text,
                 "%zu of %zu wall-clock figures are inconclusive, %zu of these are among those "
                 "that must be told (slo.compare.must).",
                 c->untold, count, c->unsure - unsure);
    compare_reason(c, text);
}

static json_t *compare_musts(unsigned must)
{
    json_t *list = json_array();
    for (size_t k = 0; k < COMPARE_COUNT(compare_figures); k++)
        if ((must & compare_figures[k].bit) != 0)
            json_array_append_new(list, json_string(compare_figures[k].name));
    return list;
}

enum tm_code tm_compare(json_t **out, struct tm_compare_side base, struct tm_compare_side new,
                        struct tm_compare_side control, bool exact, struct tm_err *err)
{
    struct compare c = { .base = base, .new = new, .control = control };
    *out = NULL;
    if (compare_experiment(&c, err) != TM_OK)
        return err->code;
    if (tm_compare_rules_read(&c.rules, compare_at(base.runs[0], "slo.compare"), err) != TM_OK)
        return err->code;
    c.counters = json_array();
    c.figures = json_array();
    c.reasons = json_array();
    compare_exactly(&c);
    if (!c.virtual && !exact)
        compare_wall(&c);
    const char *control_kind = control.count > 0 ? "runs of its own"
                               : base.count > 1  ? "halves of BASE"
                                                 : "none";
    *out = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:o, s:{s:f, s:f, s:f, s:o}, s:{s:i, s:i, s:i, s:s}, s:o, s:o}",
        "tidemark", "1", "verdict",
        c.failed > 0   ? "fail"
        : c.unsure > 0 ? "inconclusive"
                       : "pass",
        "scenario", tm_word_text(base.runs[0], "scenario", ""), "seed",
        (json_int_t)compare_number(base.runs[0], "seed"), "clock", c.virtual ? "virtual" : "real",
        "reasons", c.reasons, "rules", "effect_min", c.rules.effect_min, "effect_seen",
        c.rules.effect_seen, "alpha", c.rules.alpha, "must", compare_musts(c.rules.must),
        "repetitions", "base", (int)base.count, "new", (int)new.count, "control",
        (int)control.count, "control_kind", control_kind, "counters", c.counters, "figures",
        c.figures);
    return *out != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "comparing");
}

/* ---- words ---- */

static void compare_percent(char out[WORD_BYTES], const json_t *figure, const char *key)
{
    double v;
    if (tm_word_number(figure, key, &v))
        snprintf(out, WORD_BYTES, "%+.0f %%", 100 * (v - 1));
    else
        snprintf(out, WORD_BYTES, "none");
}

static void compare_words_figures(struct tm_buf *out, const json_t *figures)
{
    const json_t *f;
    size_t i;
    if (json_array_size(figures) == 0)
        return;
    tm_buf_addf(out, "\n%-16s %-9s %10s %10s %8s %10s %12s %8s  %s\n", "pipeline", "figure", "base",
                "new", "shift", "at most", "could see", "control", "answer");
    json_array_foreach(figures, i, f)
    {
        char shift[WORD_BYTES], most[WORD_BYTES], seen[WORD_BYTES], control[WORD_BYTES];
        char base[WORD_BYTES], new[WORD_BYTES];
        const char *unit = tm_word_text(f, "unit", ""), *why = tm_word_text(f, "why", "");
        snprintf(base, sizeof base, "%.4g %s", compare_number(f, "base"), unit);
        snprintf(new, sizeof new, "%.4g %s", compare_number(f, "new"), unit);
        compare_percent(shift, f, "ratio");
        compare_percent(most, f, "at_most");
        compare_percent(seen, f, "smallest_seen");
        compare_percent(control, f, "control");
        tm_buf_addf(out, "%-16s %-9s %10s %10s %8s %10s %12s %8s  %s%s%s\n",
                    tm_word_text(f, "pipeline", ""), tm_word_text(f, "figure", ""), base, new,
                    shift, most, seen, control, tm_word_text(f, "answer", ""),
                    why[0] != '\0' ? ": " : "", why);
    }
}

void tm_compare_words(struct tm_buf *out, const json_t *result)
{
    const json_t *reason, *one;
    size_t i, good = 0, all = json_array_size(json_object_get(result, "counters"));
    json_array_foreach(json_object_get(result, "counters"), i, one) good +=
        json_is_true(json_object_get(one, "ok"));
    tm_buf_addf(out, "verdict: %s\n", tm_word_text(result, "verdict", "?"));
    json_array_foreach(json_object_get(result, "reasons"), i, reason)
        tm_buf_addf(out, "  - %s\n", json_string_value(reason));
    tm_buf_addf(out,
                "%s, seed %.0f, %s clock; repetitions: %.0f of BASE, %.0f of NEW; control: %s\n",
                tm_word_text(result, "scenario", "?"), compare_number(result, "seed"),
                tm_word_text(result, "clock", "?"), compare_number(result, "repetitions.base"),
                compare_number(result, "repetitions.new"),
                tm_word_text(result, "repetitions.control_kind", "?"));
    tm_buf_addf(out, "%zu of %zu counters that must not change are as they were\n", good, all);
    compare_words_figures(out, json_object_get(result, "figures"));
    if (json_array_size(json_object_get(result, "figures")) > 0)
        tm_buf_addf(out,
                    "\nshift: NEW against BASE. at most: with 95 %% confidence. could see: the "
                    "smallest growth\nthat would have failed in nine of ten such jobs. A growth "
                    "below %.0f %% never fails; a pass\nexcludes %.0f %%.\n",
                    100 * compare_number(result, "rules.effect_min"),
                    100 * compare_number(result, "rules.effect_seen"));
}
