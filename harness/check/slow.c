#include "check/slow.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/trace.h"
#include <stdio.h>
#include <string.h>

static int64_t slow_us(const struct tm_truth *truth, const struct tm_match *m, uint32_t v)
{
    return m->samples[v].visible_us - truth->versions[v].intended_ms * 1000;
}

/* The slowest of each record, the slowest first. */
static size_t slow_pick(uint32_t top[TM_SLOW_MAX], const struct tm_truth *truth,
                        const struct tm_match *m)
{
    size_t count = 0;
    for (uint32_t v = 0; v < m->samples_count; v++) {
        const unsigned want = TM_SAMPLE_OF | TM_SAMPLE_SEEN;
        if ((m->samples[v].flags & (want | TM_SAMPLE_COINCIDENT)) != want)
            continue;
        int64_t us = slow_us(truth, m, v);
        size_t same = 0, at;
        while (same < count && truth->versions[top[same]].record != truth->versions[v].record)
            same++;
        if (same < count && slow_us(truth, m, top[same]) >= us)
            continue;
        if (same < count)
            memmove(top + same, top + same + 1, (--count - same) * sizeof *top);
        for (at = count; at > 0 && slow_us(truth, m, top[at - 1]) < us;)
            at--;
        if (at == TM_SLOW_MAX)
            continue;
        size_t keep = (count < TM_SLOW_MAX ? count : TM_SLOW_MAX - 1) - at;
        memmove(top + at + 1, top + at, keep * sizeof *top);
        top[at] = v;
        count += count < TM_SLOW_MAX;
    }
    return count;
}

/* Where a plain event spent most of its time, by its traces; wall. */
static void slow_leg(char *out, size_t out_bytes, const struct tm_truth *truth,
                     const struct tm_sample *s, const struct tm_timing *t,
                     const struct tm_marks *marks, uint32_t v)
{
    static const char *const legs[] = { "from publication until the source received it",
                                        "from the source until Kafka had it",
                                        "from Kafka until the sink fetched it",
                                        "from the fetch until its row was written",
                                        "from its raw row until a reader was shown it" };
    const struct tm_truth_version *version = &truth->versions[v];
    const char *object = truth->objects[truth->records[version->record].object].name;
    int64_t before = version->actual_ns + t->delay_ms * TM_NS_PER_MS / t->compress, longest = -1;
    int leg = -1;
    for (int kind = TM_TRACE_RECEIVED; kind <= TM_TRACE_WRITTEN + 1; kind++) {
        int64_t ns = s->hi_ns;
        if (kind <= TM_TRACE_WRITTEN &&
            (!tm_marks_at(marks, object, version->replay_id, kind, &ns) || ns < version->actual_ns))
            continue;
        if (ns - before > longest) {
            longest = ns - before;
            leg = kind - TM_TRACE_RECEIVED;
        }
        before = ns;
    }
    snprintf(out, out_bytes, "the longest leg, %.0f ms of wall time, was %s", (double)longest / 1e6,
             legs[leg < 0 ? 4 : leg]);
}

static const char *slow_stream(char *out, size_t out_bytes, const struct tm_truth *truth,
                               const struct tm_match *m, const struct tm_timing *t,
                               const struct tm_marks *marks, uint32_t v)
{
    const struct tm_truth_version *version = &truth->versions[v];
    if (version->event == TM_TRUTH_SILENT) {
        snprintf(out, out_bytes, "it has no event: only a scheduled whole read shows it");
        return "R16";
    }
    if (version->event == TM_TRUTH_OVERFLOW) {
        snprintf(out, out_bytes,
                 "the org sent an overflow in place of its event: a read of the "
                 "object repaired it");
        return "R16";
    }
    if (version->event == TM_TRUTH_GAP) {
        snprintf(out, out_bytes, "it came as a gap event: a read of the record repaired it");
        return "R8";
    }
    slow_leg(out, out_bytes, truth, &m->samples[v], t, marks, v);
    return NULL;
}

static void slow_batch(char *out, size_t out_bytes, const struct tm_match *m,
                       const struct tm_timing *t, uint32_t v)
{
    const struct tm_sample *s = &m->samples[v];
    char at[TM_TIME_BYTES];
    if (s->poll == TM_TRUTH_NONE || t->polls[s->poll].grid_ms == INT64_MIN) {
        snprintf(out, out_bytes, "no poll that is told of carried it");
        return;
    }
    const struct tm_poll *poll = &t->polls[s->poll];
    snprintf(
        out, out_bytes,
        "%.0f s of it was the wait for the %s poll of %.8s%s; the poll and its merge took %.1f "
        "s of wall time",
        (double)s->wait_us / 1e6, poll->mode, tm_time_z(at, poll->grid_ms) + 11,
        poll->skipped > 0 ? ", before which grid points were skipped" : "",
        (double)s->work_ns / 1e9);
}

static void slow_external(char *out, size_t out_bytes, const struct tm_match *m,
                          const struct tm_timing *t, uint32_t v)
{
    const struct tm_sample *s = &m->samples[v];
    char at[TM_TIME_BYTES];
    if (t->polls_count == 0)
        snprintf(out, out_bytes, "when its pipeline looks is not known");
    else if (s->poll == TM_TRUTH_NONE || t->polls[s->poll].grid_ms == INT64_MIN)
        snprintf(out, out_bytes, "it was shown before the first start that was due");
    else
        snprintf(out, out_bytes,
                 "%.0f s of it was the wait for the start of %.8s%s; from there to its row it took "
                 "%.1f s of wall time",
                 (double)s->wait_us / 1e6, tm_time_z(at, t->polls[s->poll].grid_ms) + 11,
                 t->polls[s->poll].skipped > 0 ? ", before which starts were passed over" : "",
                 (double)s->work_ns / 1e9);
}

json_t *tm_slow_json(const struct tm_truth *truth, const struct tm_match *m,
                     const struct tm_timing *t, const struct tm_marks *marks)
{
    uint32_t top[TM_SLOW_MAX];
    size_t count = slow_pick(top, truth, m);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct tm_truth_version *v = &truth->versions[top[i]];
        const struct tm_truth_record *r = &truth->records[v->record];
        char because[300];
        const char *rule = NULL;
        if (t->kind == TM_PIPELINE_BATCH)
            slow_batch(because, sizeof because, m, t, top[i]);
        else if (t->kind == TM_PIPELINE_EXTERNAL)
            slow_external(because, sizeof because, m, t, top[i]);
        else
            rule = slow_stream(because, sizeof because, truth, m, t, marks, top[i]);
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s, s:I, s:f, s:s?, s:s}", "object",
                                              truth->objects[r->object].name, "id", r->id, "pos",
                                              (json_int_t)top[i] + 1, "change",
                                              tm_truth_change_name(v->change), "org_ms",
                                              (json_int_t)v->org_ms, "freshness_s",
                                              (double)slow_us(truth, m, top[i]) / 1e6, "rule", rule,
                                              "because", because));
    }
    return list;
}
