#include "check/breakdown.h"
#include "base/clock.h"
#include "base/trace.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKS_KINDS 5 /* TM_TRACE_RECEIVED .. TM_TRACE_WRITTEN, index 0 unused */
struct marks_slot {
    int64_t key;
    uint32_t object;
    bool used;
    int64_t wall_ns[MARKS_KINDS];
};
struct tm_marks {
    struct marks_slot *slots;
    size_t cap, count;
    bool kinds[MARKS_KINDS];
};

const char *tm_segment_name(enum tm_segment s)
{
    static const char *const names[TM_SEGMENTS] = {
        "generator lateness", "published", "received", "in Kafka", "fetched", "written", "visible"
    };
    return names[s];
}

static struct marks_slot *marks_slot(const struct tm_marks *m, uint32_t object, int64_t key)
{
    uint64_t x = ((uint64_t)key ^ ((uint64_t)object << 32)) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(x >> 20) & (m->cap - 1);
    while (m->slots[i].used && (m->slots[i].key != key || m->slots[i].object != object))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static enum tm_code marks_grow(struct tm_marks *m, struct tm_err *err)
{
    if (m->count * 2 < m->cap)
        return TM_OK;
    struct tm_marks old = *m;
    m->cap = old.cap == 0 ? 1u << 14 : old.cap * 2;
    m->slots = calloc(m->cap, sizeof *m->slots);
    if (m->slots == NULL) {
        *m = old;
        return tm_fail(err, TM_E_NOMEM, "traces: %zu marks", old.cap);
    }
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].used)
            *marks_slot(m, old.slots[i].object, old.slots[i].key) = old.slots[i];
    free(old.slots);
    return TM_OK;
}

static enum tm_code marks_file(struct tm_marks *m, const char *path, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_trace_mark mark;
    FILE *f = fopen(path, "rb");
    if (f == NULL) /* a station that never came up left none */
        return errno == ENOENT ? TM_OK
                               : tm_fail(err, TM_E_IO, "trace %s: %s", path, strerror(errno));
    while (rc == TM_OK && fread(&mark, sizeof mark, 1, f) == 1) {
        if (mark.kind == 0 || mark.kind >= MARKS_KINDS) {
            rc = tm_fail(err, TM_E_PROTO, "trace %s: unknown mark %u", path, mark.kind);
            break;
        }
        rc = marks_grow(m, err);
        if (rc != TM_OK)
            break;
        struct marks_slot *s = marks_slot(m, mark.object_hash, mark.key);
        m->count += !s->used;
        s->used = true;
        s->key = mark.key;
        s->object = mark.object_hash;
        if (s->wall_ns[mark.kind] == 0 || mark.wall_ns < s->wall_ns[mark.kind])
            s->wall_ns[mark.kind] = mark.wall_ns;
        m->kinds[mark.kind] = true;
    }
    fclose(f);
    return rc;
}

enum tm_code tm_marks_load(struct tm_marks **out, const char *const *paths, size_t paths_count,
                           struct tm_err *err)
{
    struct tm_marks *m = calloc(1, sizeof *m);
    if (m == NULL)
        return tm_fail(err, TM_E_NOMEM, "traces");
    enum tm_code rc = marks_grow(m, err);
    for (size_t i = 0; rc == TM_OK && i < paths_count; i++)
        rc = marks_file(m, paths[i], err);
    if (rc != TM_OK) {
        tm_marks_close(m);
        return rc;
    }
    *out = m;
    return TM_OK;
}

void tm_marks_without(struct tm_marks *m, const struct tm_clock_pause *pauses, size_t count)
{
    for (size_t i = 0; count > 0 && i < m->cap; i++)
        for (int k = 0; m->slots[i].used && k < MARKS_KINDS; k++)
            if (m->slots[i].wall_ns[k] != 0)
                m->slots[i].wall_ns[k] = tm_clock_without(pauses, count, m->slots[i].wall_ns[k]);
}

bool tm_marks_at(const struct tm_marks *m, const char *object, int64_t replay_id, int kind,
                 int64_t *out_ns)
{
    const struct marks_slot *s = marks_slot(m, tm_trace_object_hash(object), replay_id);
    *out_ns = s->wall_ns[kind];
    return s->used && s->wall_ns[kind] != 0;
}

bool tm_marks_any(const struct tm_marks *m, int kind)
{
    return m->kinds[kind];
}

void tm_marks_close(struct tm_marks *m)
{
    if (m == NULL)
        return;
    free(m->slots);
    free(m);
}

static enum tm_code breakdown_one(struct tm_breakdown *b, const struct tm_truth_version *v,
                                  const struct tm_sample *s, const struct tm_timing *t,
                                  const struct marks_slot *marks, struct tm_err *err)
{
    int64_t delay_ns = t->delay_ms * TM_NS_PER_MS / t->compress;
    int64_t at[TM_SEGMENTS] = { v->actual_ns,
                                v->actual_ns + delay_ns,
                                marks->wall_ns[TM_TRACE_RECEIVED],
                                marks->wall_ns[TM_TRACE_PRODUCED],
                                marks->wall_ns[TM_TRACE_FETCHED],
                                marks->wall_ns[TM_TRACE_WRITTEN],
                                s->hi_ns };
    int64_t before = v->intended_ns;
    double sum_ms = 0;
    for (int i = 0; i < TM_SEGMENTS; i++)
        if (b->have[i] && at[i] == 0) {
            b->left_out++;
            return TM_OK;
        }
    for (int i = 0; i < TM_SEGMENTS; i++) {
        if (!b->have[i])
            continue;
        double ms = (double)(at[i] - before) / (double)TM_NS_PER_MS;
        enum tm_code rc = tm_series_add(&b->segments[i], ms, err);
        if (rc != TM_OK)
            return rc;
        sum_ms += ms;
        before = at[i];
    }
    b->counted++;
    b->sum_ms += sum_ms;
    b->expected_ms += (double)(s->work_ns + delay_ns) / (double)TM_NS_PER_MS;
    return TM_OK;
}

enum tm_code tm_breakdown_make(struct tm_breakdown *out, const struct tm_truth *truth,
                               const struct tm_match *m, const struct tm_timing *t,
                               const struct tm_marks *marks, struct tm_err *err)
{
    uint32_t hashes[TM_TRUTH_OBJECTS_MAX];
    enum tm_code rc = TM_OK;
    *out = (struct tm_breakdown){
        .have = { true, true, marks->kinds[TM_TRACE_RECEIVED], marks->kinds[TM_TRACE_PRODUCED],
                  marks->kinds[TM_TRACE_FETCHED], marks->kinds[TM_TRACE_WRITTEN], true }
    };
    for (size_t i = 0; i < truth->objects_count; i++)
        hashes[i] = tm_trace_object_hash(truth->objects[i].name);
    for (size_t i = 0; rc == TM_OK && i < m->samples_count; i++) {
        const struct tm_sample *s = &m->samples[i];
        const struct tm_truth_version *v = &truth->versions[i];
        if ((s->flags & TM_SAMPLE_SEEN) == 0 || (s->flags & TM_SAMPLE_COINCIDENT) != 0 ||
            v->event != TM_TRUTH_PLAIN)
            continue;
        rc = breakdown_one(
            out, v, s, t, marks_slot(marks, hashes[truth->records[v->record].object], v->replay_id),
            err);
    }
    if (out->counted > 0) {
        out->sum_ms /= (double)out->counted;
        out->expected_ms /= (double)out->counted;
    }
    return rc;
}

void tm_breakdown_free(struct tm_breakdown *b)
{
    for (int i = 0; i < TM_SEGMENTS; i++)
        tm_series_free(&b->segments[i]);
}
