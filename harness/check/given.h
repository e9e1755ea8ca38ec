/* given: the relations of an external pipeline, read by its owner's queries (check/relation.h)
 * while a run goes on. in: the queries, and the history for the objects' describes; out:
 * observations, as the reader of our own relations makes them (check/reader.h). Without _seq every
 * look is a full one: where a database changed, one read transaction on each of them, every query
 * to its end, and every row compared with what was shown; looks take at most one part in
 * TM_GIVEN_PART of the time. What is not seen twice between two looks counts from the look before
 * it: the interval is in every sample.
 *
 * The witness must not stand in its writer's way. In WAL it does not. In a rollback-journal
 * database a reader's lock can fail a writer's commit: there the file is looked at only from
 * outside until it was still for TM_GIVEN_STILL_NS with no journal beside it, and the report says
 * so. Never writes. */
#ifndef TM_CHECK_GIVEN_H
#define TM_CHECK_GIVEN_H
#include "check/match.h"
#include "check/reader.h"
#include "check/relation.h"

#define TM_GIVEN_PART 10
#define TM_GIVEN_STILL_NS (50 * TM_NS_PER_MS)
#define TM_GIVEN_DATABASES_MAX 16
struct tm_given_database {
    char path[512];
    struct tm_warehouse *warehouse;    /* NULL: not there yet */
    int64_t version;                   /* data_version at the last look; -1: none */
    uint64_t inode, stamp, stamp_seen; /* rollback journal: of the file now, at the last look */
    int64_t stamp_ns;                  /* since when it is so */
    bool wal, changed;
};
struct tm_given_object {
    struct tm_relation_spec spec;
    const json_t *json;
    const char *name;
    size_t database;
};
struct tm_given {
    const struct tm_plan_pipeline *plan; /* borrowed */
    struct tm_truth *const *truth;       /* borrowed; NULL until org.db is there */
    struct tm_given_database databases[TM_GIVEN_DATABASES_MAX];
    size_t databases_count;
    struct tm_given_object objects[TM_SHOWN_OBJECTS_MAX];
    size_t objects_count;
    int64_t next_ns, took_ns_max; /* not before; the longest look */
    uint64_t looks, failed;       /* failed: a query did not work, once it had */
    uint64_t duplicates;          /* the most in one look */
    char duplicate[20], error[320];
    bool rollback; /* some database has a rollback journal */
};
/* Attaches to a reader, whose probes and full reads go this way from then on; closed with it. */
enum tm_code tm_given_attach(struct tm_reader *r, const struct tm_plan_pipeline *p,
                             struct tm_truth *const *truth, struct tm_err *err);
void tm_given_close(struct tm_given *g); /* NULL-safe */
/* As tm_reader_probe and tm_reader_full. */
enum tm_code tm_given_probe(struct tm_reader *r, int64_t now_ns, bool *out_changed,
                            struct tm_err *err);
enum tm_code tm_given_full(struct tm_reader *r, struct tm_full_read *out, struct tm_err *err);
/* {"looks", "failed", "error", "longest_ms", "journal": "wal" | "rollback"} */
json_t *tm_given_json(const struct tm_given *g);
/* id -> {field: value as the query gives it}, of the rows among the first `count` differences. */
json_t *tm_given_values(struct tm_reader *r, const struct tm_match *m, size_t count);
int64_t tm_given_bytes(const struct tm_given *g); /* of the databases */
#endif
