/* match: which version of which record a shown row stands for, when every version became visible,
 * and what every row was worth at every instant. in: the history (truth), the observations of one
 * pipeline (shown), its timing; out: one sample a version, the steps of the drift curve, final
 * differences. Pure: no I/O, clock. Owner: the caller; one pipeline at a time. M1. A row equals a
 * version when all comparable columns agree; a record with no row stands for "before the create" or
 * for a delete. Comparable = describe in force at the end, and in the relation, less what no path
 * carries (coverage). M2. A version is shown when the row equals it or a later one, or when every
 * column it changed has its value or a later one. A delete is shown when the relation no longer
 * returns the id, or a later full image is shown. M3. What was shown only goes forward, where the
 * looks can be explained so: the oldest versions that explain them all give `hi`, the newest give
 * `lo` (optimistic); a sample whose bounds differ is counted as ambiguous. A version whose state
 * was shown already when it was committed is coincident: visible at once, unless a later look is of
 * an older one (a create still under way when its delete was committed). A record that ends in the
 * state on display has all its versions shown. M4. Timeline: visible = intended commit + wait +
 * work. stream: wait = D, work from intended + D on. batch: wait = up to the grid point of the poll
 * whose _seq range holds the row, work from there, or from the commit. An external pipeline's
 * command: as batch, up to the start that was under way when the row was read, or the last one
 * before; one that nobody starts here: all is wait, on the org's clock, work is not known. M5. An
 * observation that shows no version for the first time (a row turning dirty, or mixed) is put where
 * its record's oldest change not yet shown puts it, or the last one begun: start on the org clock +
 * the wall time since it, unstretched. Where an older change was shown after a newer one (a
 * repaired gap), the timeline can run backwards: the display is moved forward to stay in order, and
 * the record is left out of the area self-test, counted (UNORDERED). M6. Classes: missing = the org
 * has it, no row (or a row whose fields were never all received); phantom = a row, gone in the org;
 * stale = one older whole version; mixed = values each held once, of no single version; wrong = a
 * value never held. M7. A change with no event of its own (hard delete, silent conversion) is shown
 * by a copy, which the org's clock schedules: it waits in org time up to the org instant of the
 * read that shows it (an upper bound), with no work of its own. Where an event of a later version
 * supersedes it in the same read it is shown with that; where it left the state as it was (a purge
 * of what was deleted), with the version before. M8. While `*` stands, every row of the object is
 * flagged, a missing one too: it says the whole object cannot be trusted. It begins where the
 * newest overflow, or change without an event, begun by then puts it (as in M5), and lasts as long
 * as it was there in wall time, unstretched. M9. A column with a tolerance equals a version's value
 * when it is within it. Neighbouring versions whose values are within it of each other are not told
 * apart by it: it takes the first one's value for all of them, and the row too that equals one. */
#ifndef TM_CHECK_MATCH_H
#define TM_CHECK_MATCH_H
#include "check/plan.h"
#include "check/shown.h"
#include "check/truth.h"

enum tm_row_class {
    TM_ROW_EQUAL,
    TM_ROW_MISSING,
    TM_ROW_PHANTOM,
    TM_ROW_STALE,
    TM_ROW_MIXED,
    TM_ROW_WRONG,
    TM_ROW_CLASSES
};
const char *tm_row_class_name(enum tm_row_class c);
/* A row's code: 0 = neither side has it, else 1 + 2 * class + flagged. */
#define TM_ROW_CODES (1 + 2 * TM_ROW_CLASSES)

enum {
    TM_SAMPLE_OF = 1 /* a change of the workload, of an object of this pipeline */,
    TM_SAMPLE_SEEN = 2,
    TM_SAMPLE_EXACT = 4 /* its own state was shown */,
    TM_SAMPLE_AMBIGUOUS = 8,
    TM_SAMPLE_COINCIDENT = 16,
    TM_SAMPLE_NO_POLL = 32 /* batch: no poll owns the row that showed it */,
    TM_SAMPLE_UNORDERED = 64 /* see M5 */,
    TM_SAMPLE_COPY = 128 /* stream: no event told of it, only a scheduled copy showed it; see M7 */
};
struct tm_sample {            /* index = version index */
    int64_t lo_ns, hi_ns;     /* visible between these; INT64_MAX: never */
    int64_t wait_us, work_ns; /* of hi */
    int64_t visible_us;       /* org timeline, microseconds since 1970; INT64_MAX: never */
    uint32_t poll;            /* batch: index in polls; TM_TRUTH_NONE */
    uint32_t read;            /* read transaction that first showed it */
    uint8_t flags;
};
struct tm_poll {
    int64_t grid_ms; /* INT64_MIN: the initial load */
    int64_t started_org_ms, started_ns, finished_ns, seq_first, seq_last, skipped, calls, rows,
        bytes;
    int object; /* of shown */
    char mode[16];
};
struct tm_timing {
    enum tm_pipeline_kind kind;
    int64_t delay_ms; /* D */
    int64_t compress, org_origin_ms, wall_origin_ns;
    int64_t start_us, end_us; /* the window of curves and areas, org timeline */
    const struct tm_poll *polls;
    size_t polls_count;
};
int64_t tm_timing_wall_ns(const struct tm_timing *t, int64_t org_ms);
/* stretched, as the run's clock */
int64_t tm_timing_org_us(const struct tm_timing *t, int64_t wall_ns);
/* M4 from the other bound: where on the org timeline the version was visible if it was as early as
 * `lo_ns`. s: seen, of M4; that of one look is its own visible_us. */
int64_t tm_timing_low_us(const struct tm_timing *t, const struct tm_truth_version *v,
                         const struct tm_sample *s);

struct tm_coverage {                   /* one object */
    int truth, shown;                  /* object indexes; -1: the object is not there */
    uint32_t *from_truth, *from_shown; /* column -> comparable index or TM_TRUTH_NONE */
    int *truth_column, *shown_column;  /* comparable index -> column, -1 none */
    const char **names;
    struct tm_tolerance *tolerances; /* by comparable index */
    uint32_t *loose;                 /* those that have one; loose_count */
    size_t count, loose_count;
    json_t *left_out; /* [{"column", "why"}] */
};
struct tm_curve_step {
    int64_t us;
    uint8_t from, to;
};
struct tm_difference { /* a row that is not equal at the end */
    uint32_t record;   /* of truth, TM_TRUTH_NONE: an id the org never had */
    uint32_t row;      /* of shown, TM_SHOWN_NONE: never seen */
    uint32_t version;  /* the version it stands for; TM_TRUTH_NONE: none */
    uint8_t code;
};
enum tm_anomaly_kind { /* check/anomaly.h */
                       TM_ANOMALY_LOST_UPDATE,
                       TM_ANOMALY_RESURRECTED,
                       TM_ANOMALY_PHANTOM,
                       TM_ANOMALY_MISSING,
                       TM_ANOMALY_STALE,
                       TM_ANOMALY_NEVER_EXISTED,
                       TM_ANOMALY_TIME_TRAVEL,
                       TM_ANOMALY_TORN,
                       TM_ANOMALY_DUPLICATE,
                       TM_ANOMALY_UNREPAIRED,
                       TM_ANOMALY_FALSE_DELETE,
                       TM_ANOMALY_SCHEMA,
                       TM_ANOMALIES
};
struct tm_anomaly {
    uint64_t count;
    uint32_t record, row, version, size; /* of the smallest example; size: versions of its record */
};
/* What an observation shows: one version, whole (or no row, as it should be after a delete); true
 * values of no single version; a value never held; a row with fields never received. */
enum tm_seen_as { TM_SEEN_WHOLE, TM_SEEN_MIXED, TM_SEEN_WRONG, TM_SEEN_PARTIAL };
struct tm_seen {      /* by observation of shown */
    uint32_t version; /* WHOLE: the newest it equals; TM_TRUTH_NONE: before the create */
    uint8_t as;       /* enum tm_seen_as */
};
struct tm_seen_part { /* a column that changed in an observation that is not WHOLE, by observation
                       */
    uint32_t obs, column; /* of shown; of the coverage */
    int64_t held; /* version + 1 its value comes from; 0: null from the start; -1: never held */
};
/* From when on a row displays what, on the org timeline; of objects that have an Amount alone
 * (check/amounts.h), a row's one after the other. */
struct tm_display {
    int64_t us;
    uint32_t obs, version; /* TM_TRUTH_NONE: gone, before the create, or of no single version */
};
#define TM_DISPLAYS_OF "Amount"
#define TM_BEHIND_BUCKETS 12 /* 0, 1 … 10, more */
struct tm_match {
    struct tm_sample *samples;
    size_t samples_count;
    /* comparable rows by version of truth and by observation of shown; 0: no row (check/drift.h) */
    uint64_t *version_hash, *obs_hash;
    struct tm_seen *seen;
    struct tm_seen_part *parts; /* by obs */
    size_t parts_count, parts_cap;
    struct tm_coverage *coverage;
    size_t coverage_count; /* by object of the pipeline */
    struct tm_curve_step *steps;
    size_t steps_count, steps_cap;
    struct tm_display *displays;
    size_t displays_count, displays_cap;
    struct tm_difference *differences;
    size_t differences_count, differences_cap;
    uint64_t initial[TM_ROW_CODES], final[TM_ROW_CODES]; /* rows by code at start_us and end_us */
    int64_t behind_us; /* integral of versions behind, from the states the reader saw; without
                          UNORDERED */
    int64_t *record_behind_us; /* the same, by record of truth */
    int64_t behind_time_us[TM_BEHIND_BUCKETS];
    double age_us2;                /* integral of age, us * us */
    int64_t age_max_us, record_us; /* record_us: time of all records, the weight of the means */
    /* as a reader meets it who asks for a record as often as it is changed (assumed): integrals of
     * age, of being behind at all, and of time, each record weighted by its changes */
    double read_age_us2, read_stale_us, read_us;
    struct tm_anomaly anomalies[TM_ANOMALIES]; /* those that matching sees happen */
    uint64_t observations, ambiguous_reads, time_travels, unknown_ids;
};
/* One more of its kind; keeps the smallest example. (anomaly.c) */
void tm_anomaly_seen(struct tm_anomaly *a, const struct tm_truth *truth, uint32_t record,
                     uint32_t row, uint32_t version);
/* why, in left_out: the relation lacks a column that it could have */
#define TM_COVERAGE_NOT_THERE "not in the relation"
/* Columns compared for one object; the relation's are those the reader saw. */
enum tm_code tm_coverage_make(struct tm_coverage *out, const struct tm_truth *truth,
                              const struct tm_shown *shown, const char *object, struct tm_err *err);
void tm_coverage_free(struct tm_coverage *c);
/* Comparable index of a column; TM_TRUTH_NONE: it is not compared. */
uint32_t tm_coverage_column(const struct tm_coverage *c, const char *name);
/* Why a field is compared in no copy; NULL: it is. */
const char *tm_coverage_never(const struct tm_field *f);
/* What a delta's value is under the column's tolerance. */
uint64_t tm_coverage_value(const struct tm_coverage *c, const struct tm_truth *truth,
                           uint32_t column, uint32_t delta);
enum tm_code tm_match_make(struct tm_match **out, const struct tm_truth *truth,
                           const struct tm_shown *shown, const struct tm_timing *timing,
                           const char *const *objects, size_t objects_count, struct tm_err *err);
void tm_match_close(struct tm_match *m);
#endif
