#include "reports/words.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTENCE_BYTES 700

static const json_t *word_at(const json_t *object, const char *path)
{
    char key[80];
    while (object != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        assert(n < sizeof key);
        memcpy(key, path, n);
        key[n] = '\0';
        object = json_object_get(object, key);
        path += n + (path[n] == '.');
    }
    return object;
}

bool tm_word_number(const json_t *object, const char *path, double *out)
{
    const json_t *v = word_at(object, path);
    if (!json_is_number(v))
        return false;
    *out = json_number_value(v);
    return true;
}

const char *tm_word_text(const json_t *object, const char *path, const char *absent)
{
    const char *text = json_string_value(word_at(object, path));
    return text != NULL && *text != '\0' ? text : absent;
}

static const char *word_trim(char out[WORD_BYTES], double v, int digits, const char *unit)
{
    char number[WORD_BYTES / 2 + 8];
    snprintf(number, sizeof number, "%.*f", digits, v);
    if (strchr(number, '.') != NULL) {
        size_t n = strlen(number);
        while (number[n - 1] == '0')
            number[--n] = '\0';
        if (number[n - 1] == '.')
            number[--n] = '\0';
    }
    snprintf(out, WORD_BYTES, "%s%s%s", number, *unit ? " " : "", unit);
    return out;
}

const char *tm_word_span(char out[WORD_BYTES], double s)
{
    double a = fabs(s);
    if (a < 1e-9)
        return word_trim(out, 0, 0, "s");
    if (a < 0.001)
        return word_trim(out, s * 1e6, 0, "µs");
    if (a < 1)
        return word_trim(out, s * 1e3, a < 0.01 ? 1 : 0, "ms");
    if (a < 120)
        return word_trim(out, s, a < 10 ? 1 : 0, "s");
    if (a < 7200)
        return word_trim(out, s / 60, a < 600 ? 1 : 0, "min");
    if (a < 172800)
        return word_trim(out, s / 3600, 1, "h");
    return word_trim(out, s / 86400, 1, "d");
}

const char *tm_word_count(char out[WORD_BYTES], double count)
{
    char digits[WORD_BYTES];
    size_t n, o = 0;
    snprintf(digits, sizeof digits, "%.0f", fabs(count) < 1e15 ? fabs(count) : 1e15);
    n = strlen(digits);
    if (count < 0 && digits[0] != '0')
        out[o++] = '-';
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[o++] = ',';
        out[o++] = digits[i];
    }
    out[o] = '\0';
    return out;
}

const char *tm_word_bytes(char out[WORD_BYTES], double bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    int unit = 0;
    while (fabs(bytes) >= 1000 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    return word_trim(out, bytes, unit > 0 && fabs(bytes) < 100 ? 1 : 0, units[unit]);
}

const char *tm_word_share(char out[WORD_BYTES], double share)
{
    if (share > 0 && share < 0.0001)
        return strcpy(out, "< 0.01 %");
    return word_trim(out, share * 100, share < 0.01 ? 2 : 1, "%");
}

const char *tm_word_at(char out[WORD_BYTES], const json_t *object, const char *path,
                       const char *(*form)(char *, double), double scale)
{
    double v;
    if (tm_word_number(object, path, &v))
        return form(out, v * scale);
    /* a percentile that falls on a change never shown is null, not absent */
    if (json_is_null(word_at(object, path)) && strncmp(path, "freshness_s.", 12) == 0 &&
        tm_word_number(object, "freshness_s.never", &v) && v > 0)
        return strcpy(out, "never");
    return strcpy(out, "–");
}

const char *tm_word_verdict(const json_t *report)
{
    const char *v = tm_word_text(report, "verdict", "");
    if (json_is_false(json_object_get(report, "harness_ok")))
        return "The harness contradicts itself";
    return strcmp(v, "pass") == 0 ? "Passed" : strcmp(v, "fail") == 0 ? "Failed" : "Inconclusive";
}

bool tm_word_untested(const json_t *self_test)
{
    return json_is_null(json_object_get(self_test, "ok")) &&
           json_is_false(json_object_get(self_test, "exercised"));
}

const char *tm_word_self_test(const json_t *self_test)
{
    static const struct {
        const char *test, *says;
    } tests[] = {
        { "area", "versions behind, summed over time, come to the sum of all delays" },
        { "poll_time", "every change a poll could carry was shown by the poll it was due in" },
        { "lost_states", "the states never shown are those replaced within one polling interval" },
        { "full_read", "reading everything at the end shows what following the changes showed" },
        { "predicted", "the views show what the raw rows under them foretell" },
        { "breakdown", "the legs of the road add up to the whole" },
        { "set_hash", "after every change the hashes of both sets say what the list of differing "
                      "rows says" },
        { "audit", "whole relations read meanwhile are as following their changes showed them" },
        { "known_delay", "a made-up pipeline with a known delay is measured to have just that" },
    };
    const char *test = tm_word_text(self_test, "test", "");
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (strcmp(test, tests[i].test) == 0)
            return tests[i].says;
    return "";
}

static const struct words_anomaly {
    const char *name, *word, *means;
} words_anomalies[] = {
    { "lost_update", "lost update", "an update never shown; the row stands as it was before" },
    { "resurrected_row", "resurrected row", "gone, then shown again, though nobody restored it" },
    { "phantom", "phantom", "a row of a record that the org no longer has" },
    { "missing_row", "missing row", "a record without a row" },
    { "stale_field", "stale field", "newer and older values side by side in one row" },
    { "never_existed_value", "never-existed value", "a value its record never held" },
    { "time_travel", "time travel", "a row went back to an older version" },
    { "torn_transaction", "torn transaction", "part of a transaction shown before the rest" },
    { "duplicate", "duplicate", "one id twice in one read" },
    { "unrepaired_gap", "unrepaired gap", "rows or objects still in doubt at the end" },
    { "false_delete", "false delete", "a row disappeared though its record was there" },
    { "schema_loss", "schema loss", "a field with values in the org and no column here" },
};

static const struct words_anomaly *words_anomaly(const char *name)
{
    for (size_t i = 0; i < sizeof words_anomalies / sizeof words_anomalies[0]; i++)
        if (strcmp(name, words_anomalies[i].name) == 0)
            return &words_anomalies[i];
    return NULL;
}

const char *tm_word_anomaly(const char *name)
{
    const struct words_anomaly *a = words_anomaly(name);
    return a != NULL ? a->word : name;
}

const char *tm_word_anomaly_means(const char *name)
{
    const struct words_anomaly *a = words_anomaly(name);
    return a != NULL ? a->means : "";
}

/* ---- findings ---- */

struct findings {
    void (*each)(void *, const char *);
    void *data;
    const json_t *pipelines;
};

/* The pipeline of a kind with the smallest median freshness. */
static const json_t *findings_fastest(const struct findings *f, const char *kind)
{
    const json_t *p, *best = NULL;
    double best_s = INFINITY, s;
    size_t i;
    json_array_foreach(f->pipelines, i, p) if (strcmp(tm_word_text(p, "kind", ""), kind) == 0 &&
                                               tm_word_number(p, "freshness_s.p50", &s) &&
                                               s < best_s)
    {
        best_s = s;
        best = p;
    }
    return best;
}

static void findings_speed(const struct findings *f, const json_t *stream, const json_t *batch)
{
    char text[SENTENCE_BYTES], a[2][WORD_BYTES], times[WORD_BYTES];
    double s, b;
    if (stream == NULL || batch == NULL || !tm_word_number(stream, "freshness_s.p50", &s) ||
        !tm_word_number(batch, "freshness_s.p50", &b))
        return;
    bool much = s > 0 && b > 2 * s;
    int n = snprintf(text, sizeof text,
                     "Half of all changes could be read within %s through %s, and within %s "
                     "through %s, the fastest polling of this run%s%s%s.",
                     tm_word_span(a[0], s), tm_word_text(stream, "name", "?"),
                     tm_word_span(a[1], b), tm_word_text(batch, "name", "?"), much ? ": " : "",
                     much ? tm_word_count(times, b / s) : "", much ? " times as long" : "");
    if (tm_word_number(stream, "freshness_s.p99", &s) &&
        tm_word_number(batch, "freshness_s.p99", &b))
        snprintf(text + n, sizeof text - (size_t)n, " One in a hundred took longer than %s and %s.",
                 tm_word_span(a[0], s), tm_word_span(a[1], b));
    f->each(f->data, text);
}

static const struct {
    const char *cause, *words;
} word_causes[] = {
    { "no_event", "no event for it, and no whole read since" },
    { "not_copied", "there before, and no first copy" },
    { "not_published", "not published by the end" },
    { "event_not_received", "published, never received" },
    { "source_behind", "published, the source had stopped receiving" },
    { "event_not_in_kafka", "received, never in Kafka" },
    { "event_not_fetched", "in Kafka, never fetched" },
    { "event_not_written", "fetched, never written" },
    { "event_lost", "lost before the raw table, no trace says where" },
    { "event_altered", "its raw row says something else" },
    { "not_asked", "a gap nobody asked about" },
    { "not_answered", "asked for, never read" },
    { "repair_failed", "the repair was given up" },
    { "read_too_early", "repaired with an image that was too old" },
    { "answer_altered", "repaired with a value never held" },
    { "removed_wrongly", "answered as gone" },
    { "not_returned", "a whole read did not return it" },
    { "no_base", "updates alone, the whole row never asked for" },
    { "view_wrong", "the raw tables have it right, the view does not" },
    { "delete_not_carried", "a delete the preset does not hear of" },
    { "hard_delete_not_carried", "a purge the preset does not hear of" },
    { "change_not_carried", "a kind of change the preset does not hear of" },
    { "same_second", "in the second of a change polled before" },
    { "stamp_not_moved", "its stamp did not move" },
    { "late_row", "stamped before a poll that came too early" },
    { "poll_failed", "its poll was given up" },
    { "after_last_poll", "no poll since" },
    { "never_created", "an id the org never had" },
    { "not_known", "not known: evidence missing" },
};

const char *tm_word_cause(const char *cause)
{
    for (size_t i = 0; i < sizeof word_causes / sizeof word_causes[0]; i++)
        if (strcmp(word_causes[i].cause, cause) == 0)
            return word_causes[i].words;
    return cause;
}

/* Rows of one cause. */
static double findings_cause(const json_t *p, const char *word)
{
    const json_t *one;
    size_t i;
    double rows = 0, some;
    json_array_foreach(json_object_get(p, "causes"), i, one)
    {
        if (strcmp(tm_word_text(one, "cause", ""), word) == 0 && tm_word_number(one, "rows", &some))
            rows += some;
    }
    return rows;
}

static void findings_final(const struct findings *f, const json_t *p)
{
    char text[SENTENCE_BYTES], a[3][WORD_BYTES];
    double rows, phantom = 0, missing = 0;
    if (!tm_word_number(p, "drift.final_rows", &rows) || rows < 1)
        return;
    tm_word_number(p, "drift.phantom", &phantom);
    tm_word_number(p, "drift.missing", &missing);
    int n;
    if (phantom == rows)
        n = snprintf(text, sizeof text,
                     "%s ends with %s %s that Salesforce no longer has: deletes it never heard of",
                     tm_word_text(p, "name", "?"), tm_word_count(a[0], rows),
                     rows < 2 ? "row" : "rows");
    else
        n = snprintf(text, sizeof text, "%s ends with %s %s that %s from Salesforce",
                     tm_word_text(p, "name", "?"), tm_word_count(a[0], rows),
                     rows < 2 ? "row" : "rows", rows < 2 ? "differs" : "differ");
    if (phantom >= 1 && phantom != rows)
        n += snprintf(text + n, sizeof text - (size_t)n, "; %s of them %s deleted there",
                      tm_word_count(a[1], phantom), phantom < 2 ? "was" : "were");
    if (missing >= 1)
        n += snprintf(text + n, sizeof text - (size_t)n, "; %s %s missing",
                      tm_word_count(a[2], missing), missing < 2 ? "is" : "are");
    double tied = findings_cause(p, "same_second"), unknown = findings_cause(p, "not_known");
    if (tied >= 1)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      ". For %s of them the last change was committed while a poll looked, in the "
                      "same second as another: SystemModstamp cannot tell them apart, and a poll "
                      "that goes on behind the newest stamp it saw does not ask again",
                      tm_word_count(a[0], tied));
    if (unknown >= 1)
        n += snprintf(text + n, sizeof text - (size_t)n, ". For %s of them no cause is known",
                      tm_word_count(a[0], unknown));
    snprintf(text + n, sizeof text - (size_t)n, ".");
    f->each(f->data, text);
}

/* Streaming and polling, each with its own best and worst share of states never shown. */
static void findings_lost(const struct findings *f, const char *kind, const char *called)
{
    char text[SENTENCE_BYTES], a[2][WORD_BYTES];
    const json_t *p, *least = NULL, *most = NULL;
    double least_share = INFINITY, most_share = -1, share;
    size_t i;
    json_array_foreach(f->pipelines, i, p)
    {
        if (strcmp(tm_word_text(p, "kind", ""), kind) != 0 ||
            !tm_word_number(p, "lost_history.share", &share))
            continue;
        if (share < least_share) {
            least_share = share;
            least = p;
        }
        if (share > most_share) {
            most_share = share;
            most = p;
        }
    }
    if (least == NULL)
        return;
    if (most_share <= 0)
        snprintf(text, sizeof text,
                 "%s showed every committed state, each before the next one replaced it.", called);
    else if (least == most || least_share == most_share)
        snprintf(text, sizeof text,
                 "%s never showed %s of all committed states: replaced before the next look.",
                 called, tm_word_share(a[0], most_share));
    else
        snprintf(text, sizeof text,
                 "%s never showed between %s (%s) and %s (%s) of all committed states: replaced "
                 "before the "
                 "next look.",
                 called, tm_word_share(a[0], least_share), tm_word_text(least, "name", "?"),
                 tm_word_share(a[1], most_share), tm_word_text(most, "name", "?"));
    f->each(f->data, text);
}

/* What a stream only knows from reading everything again now and then. */
static void findings_copies(const struct findings *f)
{
    char text[SENTENCE_BYTES], a[2][WORD_BYTES];
    const json_t *p, *one;
    double count, wait = 0;
    size_t i, k;
    json_array_foreach(f->pipelines, i, p)
    {
        const json_t *list = json_object_get(json_object_get(p, "only_copies"), "examples");
        if (!tm_word_number(p, "only_copies.count", &count) || count < 1)
            continue;
        tm_word_number(p, "only_copies.max_wait_s", &wait);
        int n = snprintf(text, sizeof text,
                         "%s learned of %s %s only from a scheduled copy, at most %s late, because "
                         "Salesforce sent no event for %s:",
                         tm_word_text(p, "name", "?"), tm_word_count(a[0], count),
                         count < 2 ? "change" : "changes", tm_word_span(a[1], wait),
                         count < 2 ? "it" : "them");
        json_array_foreach(list, k, one) if (k < 3) n +=
            snprintf(text + n, sizeof text - (size_t)n, "%s %.20s of %.40s %.18s", k > 0 ? "," : "",
                     tm_word_text(one, "change", "?"), tm_word_text(one, "object", "?"),
                     tm_word_text(one, "id", "?"));
        snprintf(text + n, sizeof text - (size_t)n, "%s.", count > 3 ? " …" : "");
        f->each(f->data, text);
    }
}

/* Compressed org time lets many changes fall inside a poll: they waited for nothing. One sentence
 * for all pipelines, with those whose figures it moves. */
static void findings_during_poll(const struct findings *f, const json_t *report)
{
    char text[SENTENCE_BYTES], word[WORD_BYTES], a[4][WORD_BYTES];
    const json_t *p;
    double compress = 1, changes, all = 0;
    size_t i, told = 0;
    tm_word_number(report, "clock.compress", &compress);
    json_array_foreach(f->pipelines, i, p) if (tm_word_number(p, "freshness_s.during_poll.changes",
                                                              &changes)) all += changes;
    if (compress <= 1 || all < 1)
        return;
    int n = snprintf(text, sizeof text,
                     "Polling looks a little fresher than it would be: org time runs %s times "
                     "faster here, so changes are often committed while the poll that shows them "
                     "runs, and wait for nothing.",
                     tm_word_count(word, compress));
    json_array_foreach(f->pipelines, i, p)
    {
        if (!tm_word_number(p, "freshness_s.during_poll.changes", &changes) || changes < 1)
            continue;
        tm_word_at(a[0], p, "freshness_s.during_poll.p50", tm_word_span, 1);
        tm_word_at(a[1], p, "freshness_s.during_poll.p99", tm_word_span, 1);
        tm_word_at(a[2], p, "freshness_s.p50", tm_word_span, 1);
        tm_word_at(a[3], p, "freshness_s.p99", tm_word_span, 1);
        if ((strcmp(a[0], a[2]) == 0 && strcmp(a[1], a[3]) == 0) ||
            n + 200 > (int)sizeof text) /* room for one more, and the end */
            continue;
        n += snprintf(text + n, sizeof text - (size_t)n, "%s %.60s (%s such)",
                      told++ == 0 ? " Without them:" : ";", tm_word_text(p, "name", "?"),
                      tm_word_count(word, changes));
        if (strcmp(a[0], a[2]) != 0)
            n += snprintf(text + n, sizeof text - (size_t)n, " p50 %s, not %s", a[0], a[2]);
        if (strcmp(a[1], a[3]) != 0)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s p99 %s, not %s",
                          strcmp(a[0], a[2]) != 0 ? "," : "", a[1], a[3]);
    }
    snprintf(text + n, sizeof text - (size_t)n, "%s",
             told > 0 ? "." : " It changes no figure of the table.");
    f->each(f->data, text);
}

/* What the scenario assumes of the org, and therefore part of every figure. */
static void findings_assumed(const struct findings *f, const json_t *report)
{
    char text[SENTENCE_BYTES], a[2][WORD_BYTES];
    double delay_ms = 0, lag_ms = 0;
    tm_word_number(report, "clock.publish_delay_ms", &delay_ms);
    tm_word_number(report, "clock.index_lag_ms", &lag_ms);
    if (delay_ms <= 0 && lag_ms <= 0)
        return;
    snprintf(text, sizeof text,
             "Assumed of the org, and part of the figures: an event is published %s after its "
             "commit (streaming waits for that), "
             "and a query by time sees the org as it was %s before (polling may wait for that).",
             tm_word_span(a[0], delay_ms / 1000), tm_word_span(a[1], lag_ms / 1000));
    f->each(f->data, text);
}

void tm_word_findings(const json_t *report, void (*each)(void *data, const char *sentence),
                      void *data)
{
    struct findings f = { each, data, json_object_get(report, "pipelines") };
    const json_t *p;
    size_t i;
    char cost[SENTENCE_BYTES], amount[SENTENCE_BYTES];
    findings_speed(&f, findings_fastest(&f, "stream"), findings_fastest(&f, "batch"));
    if (tm_word_open_amount(amount, sizeof amount, report))
        each(data, amount);
    if (tm_word_cost(cost, sizeof cost, report))
        each(data, cost);
    json_array_foreach(f.pipelines, i, p) findings_final(&f, p);
    findings_lost(&f, "stream", "Streaming");
    findings_lost(&f, "batch", "Polling");
    findings_copies(&f);
    findings_during_poll(&f, report);
    findings_assumed(&f, report);
}
