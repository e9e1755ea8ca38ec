/* part: what the witness beside one file of a sink group saw, written down for whoever has the
 * org's history and the parts of the others (check/merge.h). in: a check that followed one view.db
 * to its end, with no history at hand (check/check.h: org ""), the raw.db behind it, and how this
 * host's clock stood to the org's; out: a folder with the check's journal.db (check/journal.h),
 * which has what was shown and when, and part.db, written in one transaction. Hashes of values
 * (check/vhash.h) travel in the journal: `format` says of which kind. Changes nothing in the files
 * it is about. Clocks: *_ns of a part are CLOCK_MONOTONIC of the host that wrote it. */
#ifndef TM_CHECK_PART_H
#define TM_CHECK_PART_H
#include "check/check.h"

#define TM_PART_FORMAT 2
#define TM_PART_FILE "part.db"
#define TM_PART_JOURNAL "journal.db"
/* clang-format off */
#define TM_PART_SCHEMA \
    /* host, warehouse, raw: of who wrote it; cluster_id, org_id, org_boot_id; stop_ns; probes, \
       reads, busy; final_ok, final_rows, final_changed, final_begun_ns, final_example, duplicates, \
       duplicate; audit_count, audit_rows, audit_left_out, audit_differing, audit_example */ \
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;" \
    /* the org's clock against this host's, comparison by comparison */ \
    "CREATE TABLE clock(at_ns INTEGER PRIMARY KEY, offset_ns INTEGER NOT NULL, bound_ns INTEGER" \
    " NOT NULL);" \
    /* partitions: how many its topics have, as the ends of whole reads say; NULL: none was seen */ \
    "CREATE TABLE relation(object INTEGER PRIMARY KEY, name TEXT NOT NULL, found INTEGER NOT NULL," \
    " starred INTEGER NOT NULL, query_ns INTEGER NOT NULL, partitions INTEGER);" \
    /* where each record of the raw tables lies; -1: in several partitions */ \
    "CREATE TABLE place(object INTEGER NOT NULL, id TEXT NOT NULL, partition INTEGER NOT NULL," \
    " PRIMARY KEY(object, id)) WITHOUT ROWID;" \
    /* and shown_<object> for each relation that was found: its rows at the end, as they stand */ \
    /* of raw.db: how far each partition was written; object NULL: a topic of none of them; \
       assigned: whether it was this sink's last (its table _assigned), NULL: a sink that shares \
       with nobody */ \
    "CREATE TABLE offset(topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT" \
    " NULL, object INTEGER, assigned INTEGER, PRIMARY KEY(topic, partition)) WITHOUT ROWID;"
/* clang-format on */

struct tm_part_facts {
    const char *path, *raw, *host; /* part.db to write; raw.db */
    const char *org_id, *org_boot_id;
    const struct tm_clock_seen *clocks;
    size_t clocks_count;
};
/* After tm_check_last, of a check whose journal is beside it. Replaces what is at facts->path.
 * TM_E_ARG: raw.db is not the file of a sink, or not the one behind this view. */
enum tm_code tm_part_write(const struct tm_check *c, const struct tm_part_facts *facts,
                           struct tm_err *err);
#endif
