/* offsets: how far each partition was written, kept with the rows. in: next offsets; out: the same
 * after a restart. Compared and set inside the caller's transaction, so two writers of one file
 * cannot both advance; bound to one cluster. Where a broker lost its topics and they were made
 * anew, partitions go by other numbers in the warehouse, those of its next life: offsets begin at 0
 * again, and a row's place stays its own. */
#ifndef TM_SINK_OFFSETS_H
#define TM_SINK_OFFSETS_H
#include "base/sql.h"

#define TM_SINK_LIFE_PARTITIONS 100000 /* the warehouse's numbers of one life */
#define TM_SINK_LIVES_MAX 1000
struct tm_sink_partition {
    char *topic;
    int32_t partition;
    int64_t next;   /* next offset to write; in memory */
    int64_t stored; /* as the file has it; -1 = no row */
    bool moving;    /* a batch not yet committed has records of it */
    bool held;      /* the group gave it to this process */
};
struct tm_sink_offsets {
    struct tm_sink_partition *items;
    size_t count, cap, last_hit;
    int32_t base; /* of this life: the warehouse's number of partition 0 */
};
/* Creates `_offsets` and reads it. */
enum tm_code tm_sink_offsets_open(struct tm_sink_offsets *o, sqlite3 *db, int life,
                                  struct tm_err *err);
void tm_sink_offsets_close(struct tm_sink_offsets *o);
/* TM_E_MISMATCH when rows of another cluster are stored, of this life. */
enum tm_code tm_sink_offsets_check(const struct tm_sink_offsets *o, sqlite3 *db,
                                   const char *cluster_id, struct tm_err *err);
/* Index of the partition, added when new; SIZE_MAX when out of memory or too many. */
size_t tm_sink_offsets_find(struct tm_sink_offsets *o, const char *topic, int32_t partition);
/* First in the transaction that is to move offsets: is every moving partition still where this
 * process left it, and every row of this cluster? TM_E_MISMATCH: somebody else writes the file. */
enum tm_code tm_sink_offsets_compare(const struct tm_sink_offsets *o, sqlite3 *db,
                                     const char *cluster_id, struct tm_err *err);
/* Writes every partition whose next moved, in the same transaction. */
enum tm_code tm_sink_offsets_save(struct tm_sink_offsets *o, sqlite3 *db, const char *cluster_id,
                                  struct tm_err *err);
/* Table _assigned("table", partition): what this process was given, of a group that has others.
 * `name`: the table of a topic. Its own transaction. */
enum tm_code tm_sink_assigned_open(sqlite3 *db, struct tm_err *err);
enum tm_code tm_sink_assigned_save(const struct tm_sink_offsets *o, sqlite3 *db,
                                   const char *(*name)(const void *self, const char *topic),
                                   const void *self, struct tm_err *err);
void tm_sink_offsets_saved(struct tm_sink_offsets *o); /* the transaction is committed */
void tm_sink_offsets_undo(struct tm_sink_offsets *o);  /* it was rolled back */
#endif
