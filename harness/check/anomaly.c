#include "check/anomaly.h"
#include "base/text.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool during;
} anomaly_words[TM_ANOMALIES] = {
    [TM_ANOMALY_LOST_UPDATE] = { "lost_update", false },
    [TM_ANOMALY_RESURRECTED] = { "resurrected_row", true },
    [TM_ANOMALY_PHANTOM] = { "phantom", false },
    [TM_ANOMALY_MISSING] = { "missing_row", false },
    [TM_ANOMALY_STALE] = { "stale_field", false },
    [TM_ANOMALY_NEVER_EXISTED] = { "never_existed_value", true },
    [TM_ANOMALY_TIME_TRAVEL] = { "time_travel", true },
    [TM_ANOMALY_TORN] = { "torn_transaction", true },
    [TM_ANOMALY_DUPLICATE] = { "duplicate", true },
    [TM_ANOMALY_UNREPAIRED] = { "unrepaired_gap", false },
    [TM_ANOMALY_FALSE_DELETE] = { "false_delete", true },
    [TM_ANOMALY_SCHEMA] = { "schema_loss", false },
};

const char *tm_anomaly_name(enum tm_anomaly_kind kind)
{
    assert(kind < TM_ANOMALIES);
    return anomaly_words[kind].name;
}

void tm_anomaly_seen(struct tm_anomaly *a, const struct tm_truth *truth, uint32_t record,
                     uint32_t row, uint32_t version)
{
    uint32_t size = record == TM_TRUTH_NONE ? 0 : truth->records[record].count;
    if (a->count++ > 0 && (size > a->size || (size == a->size && version >= a->version)))
        return;
    a->record = record;
    a->row = row;
    a->version = version;
    a->size = size;
}

/* The final differences, and the updates behind rows that are merely old. */
static bool anomaly_ends(struct tm_anomaly all[TM_ANOMALIES], const struct tm_truth *truth,
                         const struct tm_match *m)
{
    bool *old = calloc(truth->records_count + 1, sizeof *old);
    if (old == NULL)
        return false;
    for (size_t i = 0; i < m->differences_count; i++) {
        const struct tm_difference *d = &m->differences[i];
        int class = (d->code - 1) / 2;
        uint32_t v = d->record == TM_TRUTH_NONE ? TM_TRUTH_NONE : truth->records[d->record].last;
        enum tm_anomaly_kind kind = class == TM_ROW_MISSING   ? TM_ANOMALY_MISSING
                                    : class == TM_ROW_PHANTOM ? TM_ANOMALY_PHANTOM
                                    : class == TM_ROW_MIXED   ? TM_ANOMALY_STALE
                                                              : TM_ANOMALIES;
        if (kind != TM_ANOMALIES)
            tm_anomaly_seen(&all[kind], truth, d->record, d->row, v);
        else if (class == TM_ROW_STALE)
            old[d->record] = true;
    }
    for (uint32_t v = 0; v < m->samples_count; v++)
        if ((m->samples[v].flags & (TM_SAMPLE_OF | TM_SAMPLE_SEEN)) == TM_SAMPLE_OF &&
            old[truth->versions[v].record])
            tm_anomaly_seen(&all[TM_ANOMALY_LOST_UPDATE], truth, truth->versions[v].record,
                            TM_SHOWN_NONE, v);
    free(old);
    return true;
}

static json_t *anomaly_example(const struct tm_truth *truth, const struct tm_shown *shown,
                               const struct tm_anomaly *a)
{
    char at[TM_TIME_BYTES];
    if (a->record == TM_TRUTH_NONE && a->row == TM_SHOWN_NONE)
        return json_null();
    if (a->record == TM_TRUTH_NONE) /* an id the org never had */
        return json_pack("{s:s, s:s, s:n, s:n, s:n, s:n}", "object",
                         shown->objects[shown->rows[a->row].object].name, "id",
                         shown->rows[a->row].id, "pos", "org_ms", "at", "change");
    const struct tm_truth_record *r = &truth->records[a->record];
    const struct tm_truth_version *v =
        &truth->versions[a->version == TM_TRUTH_NONE ? r->last : a->version];
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "object", truth->objects[r->object].name,
                     "id", r->id, "pos",
                     (json_int_t)tm_truth_pos(truth, (uint32_t)(v - truth->versions)), "org_ms",
                     (json_int_t)v->org_ms, "at", tm_time_z(at, v->org_ms), "change",
                     tm_truth_change_name(v->change));
}

/* A version that gave the column a value; TM_TRUTH_NONE: none ever did. */
static uint32_t anomaly_set(const struct tm_truth *truth, int object, const char *column)
{
    int c = tm_truth_column(&truth->objects[object], column);
    for (size_t v = 0; c >= 0 && v < truth->versions_count; v++) {
        const struct tm_truth_version *version = &truth->versions[v];
        if (truth->records[version->record].object != object)
            continue;
        for (uint32_t d = 0; d < version->delta_count; d++) {
            const struct tm_truth_delta *delta = &truth->deltas[version->delta_first + d];
            if (delta->column == (uint32_t)c && delta->hash != TM_VHASH_NULL)
                return (uint32_t)v;
        }
    }
    return TM_TRUTH_NONE;
}

static json_t *anomaly_schema(const struct tm_truth *truth, const struct tm_match *m)
{
    json_int_t count = 0;
    json_t *example = json_null();
    for (size_t i = 0; i < m->coverage_count; i++) {
        const json_t *one;
        size_t k;
        json_array_foreach(m->coverage[i].left_out, k, one)
        {
            const char *why = json_string_value(json_object_get(one, "why"));
            const char *column = json_string_value(json_object_get(one, "column"));
            if (strcmp(why, TM_COVERAGE_NOT_THERE) != 0)
                continue;
            uint32_t v = anomaly_set(truth, m->coverage[i].truth, column);
            if (v == TM_TRUTH_NONE || count++ > 0)
                continue;
            struct tm_anomaly a = { 1, truth->versions[v].record, TM_SHOWN_NONE, v, 0 };
            example = anomaly_example(truth, NULL, &a);
            json_object_set_new(example, "field", json_string(column));
        }
    }
    return json_pack("{s:I, s:s, s:o}", "count", count, "when", "end", "example", example);
}

static json_t *anomaly_duplicate(const struct tm_anomaly_extra *extra)
{
    json_t *example =
        extra->duplicates == 0 ? json_null() : json_pack("{s:s}", "id", extra->duplicate);
    return json_pack("{s:I, s:s, s:o}", "count", (json_int_t)extra->duplicates, "when", "during",
                     "example", example);
}

static json_t *anomaly_torn(const struct tm_truth *truth, const struct tm_anomaly_extra *extra)
{
    json_t *count = extra->torn_measured ? json_integer((json_int_t)extra->torn) : json_null();
    json_t *example = json_null();
    if (extra->torn_measured && extra->torn > 0) {
        uint32_t v = extra->torn_version;
        struct tm_anomaly a = { 1, truth->versions[v].record, TM_SHOWN_NONE, v, 0 };
        example = anomaly_example(truth, NULL, &a);
    }
    return json_pack("{s:o, s:s, s:o}", "count", count, "when", "during", "example", example);
}

json_t *tm_anomalies_json(const struct tm_truth *truth, const struct tm_shown *shown,
                          const struct tm_match *m, const struct tm_anomaly_extra *extra)
{
    struct tm_anomaly all[TM_ANOMALIES];
    memcpy(all, m->anomalies, sizeof all);
    if (!anomaly_ends(all, truth, m))
        return NULL;
    json_t *out = json_object();
    for (int k = 0; k < TM_ANOMALIES; k++) {
        const char *name = anomaly_words[k].name;
        uint64_t starred = k == TM_ANOMALY_UNREPAIRED ? extra->starred : 0;
        if (k == TM_ANOMALY_SCHEMA)
            json_object_set_new(out, name, anomaly_schema(truth, m));
        else if (k == TM_ANOMALY_DUPLICATE)
            json_object_set_new(out, name, anomaly_duplicate(extra));
        else if (k == TM_ANOMALY_TORN)
            json_object_set_new(out, name, anomaly_torn(truth, extra));
        else
            json_object_set_new(
                out, name,
                json_pack("{s:I, s:s, s:o}", "count", (json_int_t)(all[k].count + starred), "when",
                          anomaly_words[k].during ? "during" : "end", "example",
                          all[k].count > 0 ? anomaly_example(truth, shown, &all[k]) : json_null()));
    }
    return out;
}
