/* merge_inner: what merge.c (proof and verdict), merge_part.c (reading a part.db) and merge_shown.c
 * (observations on one clock) share. Nobody else includes it. */
#ifndef TM_CHECK_MERGE_INNER_H
#define TM_CHECK_MERGE_INNER_H
#include "check/merge.h"

enum { MERGE_NOWHERE = -2, MERGE_SEVERAL = -1 }; /* instead of a partition */
#define MERGE_TOPICS 3                           /* of an object */
#define MERGE_TEXT_BYTES 300

struct merge_offset {
    char topic[250];
    int object;
    int32_t partition;
    int64_t next;
    bool lost; /* the sink says that it is no longer, or not yet, its own */
};
struct merge_object {
    char name[80];
    bool found, starred;
    int64_t query_ns;
    int32_t partitions; /* 0: not known */
    uint32_t *columns;  /* [of the part's relation]: of the merged one */
};
struct merge_part {
    const char *folder; /* borrowed */
    char path[600], host[MERGE_TEXT_BYTES], warehouse[MERGE_TEXT_BYTES], cluster[MERGE_TEXT_BYTES],
        org_id[MERGE_TEXT_BYTES], org_boot_id[MERGE_TEXT_BYTES], final_example[20], duplicate[20],
        audit_example[20];
    int64_t stop_ns, probes, reads, busy, final_ok, final_rows, final_changed, final_begun_ns,
        duplicates, audit_count, audit_rows, audit_left_out, audit_differing;
    sqlite3 *db;
    struct tm_clock_seen *clocks;
    size_t clocks_count;
    struct merge_object objects[TM_SHOWN_OBJECTS_MAX];
    size_t objects_count;
    struct tm_reader *reader; /* what it saw, out of its journal */
    int32_t *partitions;      /* [reader->shown->rows_count] */
    struct merge_offset *offsets;
    size_t offsets_count;
    /* of merge_shown.c: the observation at hand, on the org's clock */
    size_t obs; /* index; obs_count: no more */
    int64_t lo_ns, hi_ns, bound_ns_max;
    uint32_t read_before;
    size_t records; /* whose partitions it owns */
};
struct merge_owners { /* of one object */
    int32_t count;
    uint8_t part[TM_MERGE_PARTITIONS_MAX];
    uint8_t also[TM_MERGE_PARTITIONS_MAX]; /* how many others hold some of it */
};
struct merge_work {
    const struct tm_merge_args *args;
    struct merge_part parts[TM_MERGE_PARTS_MAX];
    size_t parts_count;
    struct merge_owners *owners; /* [objects] */
};
enum tm_code merge_part_open(struct merge_part *p, const char *folder, struct tm_err *err);
void merge_part_close(struct merge_part *p);
/* An instant of the part on the org's clock; the bound must be within what is allowed. */
enum tm_code merge_offset_at(const struct merge_work *w, struct merge_part *p,
                             struct tm_clock_offset *out, int64_t at_ns, struct tm_err *err);
/* Replaces copy.db at `path`. (merge_copy.c) */
enum tm_code merge_copy(const struct merge_work *w, const char *path, struct tm_err *err);
/* Every observation of owned records into `s`, oldest first; stars too. */
enum tm_code merge_shown(struct merge_work *w, struct tm_shown *s, struct tm_err *err);
#endif
