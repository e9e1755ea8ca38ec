/* part: what the witness beside one file of a sink group saw, written down for whoever has the
 * org's history and the parts of the others (check/merge.h). in: a check that followed one view.db
 * to its end, with no history at hand (check/check.h: org ""), the raw.db behind it, and how this
 * host's clock stood to the org's; out: part.db in a folder, in one transaction. Hashes of values
 * (check/vhash.h) travel in it: `format` says of which kind. Never writes the files it is about.
 * Clocks: *_ns of a part are CLOCK_MONOTONIC of the host that wrote it. */
#ifndef TM_CHECK_PART_H
#define TM_CHECK_PART_H
#include "check/check.h"

#define TM_PART_FORMAT 1
#define TM_PART_FILE "part.db"
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
    "CREATE TABLE col(object INTEGER NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL," \
    " PRIMARY KEY(object, n)) WITHOUT ROWID;" \
    /* partition: where its records lie in the raw tables; NULL: nowhere */ \
    "CREATE TABLE row(n INTEGER PRIMARY KEY, object INTEGER NOT NULL, id TEXT NOT NULL," \
    " partition INTEGER);" \
    /* deltas: of 12 bytes, column (4) and hash (8), least significant byte first */ \
    "CREATE TABLE obs(n INTEGER PRIMARY KEY, row INTEGER NOT NULL, lo_ns INTEGER NOT NULL," \
    " hi_ns INTEGER NOT NULL, seq INTEGER NOT NULL, read INTEGER NOT NULL, flags INTEGER NOT NULL," \
    " deltas BLOB NOT NULL);" \
    /* and shown_<object> for each relation that was found: its rows at the end, as they stand */ \
    /* until_ns NULL: it stands */ \
    "CREATE TABLE star(n INTEGER PRIMARY KEY, object INTEGER NOT NULL, from_ns INTEGER NOT NULL," \
    " until_ns INTEGER);" \
    /* of raw.db: how far each partition was written; object NULL: a topic of none of them */ \
    "CREATE TABLE offset(topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT" \
    " NULL, object INTEGER, PRIMARY KEY(topic, partition)) WITHOUT ROWID;"
/* clang-format on */

struct tm_part_facts {
    const char *path, *raw, *host; /* part.db to write; raw.db */
    const char *org_id, *org_boot_id;
    const struct tm_clock_seen *clocks;
    size_t clocks_count;
};
/* After tm_check_last. Replaces what is at facts->path. TM_E_ARG: raw.db is not the file of a sink,
 * or not the one behind this view. */
enum tm_code tm_part_write(const struct tm_check *c, const struct tm_part_facts *facts,
                           struct tm_err *err);
#endif
