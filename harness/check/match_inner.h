/* match_inner: one record while it is matched: its versions, what was seen of it, what stood on
 * display when. match_walk.c tells which version an observation shows (M1-M3), match_time.c puts it
 * on the timeline (M4, M5, M7), match_area.c follows class, age and versions behind along it (M6,
 * M8); match.c goes through the records. Nobody else includes it. */
#ifndef TM_CHECK_MATCH_INNER_H
#define TM_CHECK_MATCH_INNER_H
#include "check/match.h"

#define MATCH_ABSENT UINT64_C(1) /* the row hash of "no row" */
#define MATCH_BEFORE (-1)        /* the state before the create */
enum {
    SHOWS_WHOLE = TM_SEEN_WHOLE,
    SHOWS_MIXED = TM_SEEN_MIXED,
    SHOWS_WRONG = TM_SEEN_WRONG,
    SHOWS_PARTIAL = TM_SEEN_PARTIAL
};

struct match_obs { /* one observation of the record at hand */
    const struct tm_shown_obs *o;
    uint64_t hash;
    int64_t version, certain; /* newest and oldest it can be of; MATCH_BEFORE; only when WHOLE */
    int64_t now;              /* newest version committed by then */
    size_t news_first, news_count; /* versions first shown by it: news[] */
    uint8_t shows;
    bool back; /* an older version than was shown before */
};
/* the display changes; or only: a version is shown (by columns) */
enum { EVENT_STATE, EVENT_MARK };
struct match_event {
    int64_t us;
    int64_t version;
    size_t obs;
    uint8_t kind;
};                  /* of the display, see timeline */
struct match_star { /* `*` of the object at hand begins or ends */
    int64_t us;
    int by; /* 1, -1 */
};
struct match_work { /* scratch for one record, grown to the largest */
    const struct tm_truth *truth;
    const struct tm_shown *shown;
    const struct tm_timing *timing;
    struct tm_match *m;
    const struct tm_coverage *c;
    uint32_t *index;
    uint64_t *hash;
    uint64_t *exact; /* of the columns without a tolerance */
    /* M9: values of those with one, and what they go by; [versions][c->loose_count] */
    uint64_t *held_loose, *named;
    size_t held_loose_cap, named_cap;
    int64_t *actual_ns, *lo, *hi;
    size_t *hi_obs;
    int64_t *commit_us;
    bool *coincident;
    size_t versions, versions_cap, first_counted; /* first_counted: first version of the workload */
    struct match_obs *obs;
    size_t obs_count, obs_cap;
    uint32_t *news;
    size_t news_count;
    struct match_event *events;
    size_t events_count, events_cap;
    struct match_star *stars; /* in order */
    size_t stars_count, stars_cap;
    uint32_t at[TM_TRUTH_COLUMNS_MAX]; /* delta in force per comparable column, at `now` */
    uint64_t values[TM_TRUTH_COLUMNS_MAX];
    int64_t held[TM_TRUTH_COLUMNS_MAX]; /* version index + 1 a shown value comes from, 0 null from
                                           the start, -1 never held */
    int64_t now;                        /* newest version committed, -1 none */
    int64_t frontier;                   /* newest version certainly shown by a whole row */
    uint64_t displayed;                 /* row hash of what is displayed */
    int64_t visible_us_max;             /* of the versions timed so far */
    bool displays;  /* those of this object are kept: tm_display */
    bool unordered; /* the record's displays had to be moved to stay in order: see M5 */
};

struct match_area {              /* running state of the sweep of one record */
    int64_t at_us, truth, shown; /* newest committed; newest shown by a whole row */
    int64_t riding;              /* newest coincident one committed, that is not shown yet */
    int64_t extra;               /* shown by columns, beyond `shown` */
    size_t display;              /* event on display, SIZE_MAX: nothing yet */
    int64_t behind_us, stale_us; /* stale: behind by one version or more */
    double age_us2;
    int stars; /* that stand */
    uint8_t code;
};

enum tm_code tm_match_grow(void **array, size_t *cap, size_t need, size_t bytes,
                           struct tm_err *err);
struct tm_sample *tm_match_sample(struct match_work *w, size_t i);

/* ---- match_walk.c ---- */
enum tm_code tm_match_load_versions(struct match_work *w, const struct tm_truth_record *r,
                                    struct tm_err *err);
enum tm_code tm_match_load_obs(struct match_work *w, uint32_t row, struct tm_err *err);
/* Pass over commits and reads in wall order. */
enum tm_code tm_match_walk(struct match_work *w, struct tm_err *err);

/* ---- match_anomaly.c ---- */
/* After the walk. */
void tm_match_anomalies(struct match_work *w, uint32_t record, uint32_t row);

/* ---- match_time.c ---- */
/* M4 for every version. */
void tm_match_times(struct match_work *w);
/* What is displayed from when on, on the org timeline. */
enum tm_code tm_match_timeline(struct match_work *w, struct tm_err *err);

/* ---- match_area.c ---- */
/* When `*` of the object at hand stood. */
enum tm_code tm_match_stars(struct match_work *w, struct tm_err *err);
/* Commits, displays and stars in order of the org timeline: class, versions behind and age at every
 * instant. */
enum tm_code tm_match_sweep(struct match_work *w, struct match_area *a, struct tm_err *err);
/* The end of the sweep. */
enum tm_code tm_match_difference(struct match_work *w, const struct match_area *a, uint32_t record,
                                 uint32_t row, struct tm_err *err);
#endif
