/* shape: what the snapshot of an object is made of, read from the raw tables that are there.
 * in: a connection on raw.db, an object's name; out: names of its three raw tables, the relation's
 * columns and, for each, the SQL that reads it from a raw row. Reads the schema only. Owner: the
 * caller of read. A column of the relation is a column of the raw (or recon) table that is not the
 * system's: not `_…`, ReplayId, ChangeEventHeader, nor Id, which comes first. `<Field>__<type>`,
 * where `<Field>` is there too, is the same field retyped: a row carries it in one of them, so the
 * relation shows whichever that row has. */
#ifndef TM_VIEW_SHAPE_H
#define TM_VIEW_SHAPE_H
#include "base/sql.h"

#define TM_VIEW_COLUMNS_MAX 1500 /* SQLite's own limit is 2,000 a table */
#define TM_VIEW_NAME_MAX 200
#define TM_VIEW_SPELLINGS_MAX 3
#define TM_VIEW_TYPES_MAX 9 /* <Field>, and <Field>__<type> for each other type */

enum tm_view_table { TM_VIEW_RAW, TM_VIEW_ALERTS, TM_VIEW_RECON, TM_VIEW_TABLES };
struct tm_view_column {
    char *name;                                 /* of the relation */
    char *spellings[TM_VIEW_SPELLINGS_MAX];     /* as changedFields may name it (R5): LastName,
                                                   Name.LastName; NULL ends */
    char *types[TM_VIEW_TYPES_MAX];             /* columns that hold it; NULL ends */
    bool in[TM_VIEW_TABLES][TM_VIEW_TYPES_MAX]; /* which of them a table has */
};
struct tm_view_shape {
    char object[TM_VIEW_NAME_MAX];
    char tables[TM_VIEW_TABLES][TM_VIEW_NAME_MAX];
    bool there[TM_VIEW_TABLES];
    /* raw.db is that of one process of several: its table _assigned says which partitions it has,
     * and a read is in force with the ends of those (R16). */
    bool shared;
    /* A table of another connector may lack them: 0, none, and no name of a row then. */
    bool has_epoch[TM_VIEW_TABLES], has_diff, has_place[TM_VIEW_TABLES];
    struct tm_view_column *columns;
    size_t columns_count;
};
enum tm_code tm_view_shape_read(struct tm_view_shape *out, sqlite3 *db, const char *object,
                                struct tm_err *err);
void tm_view_shape_free(struct tm_view_shape *shape); /* safe on a zeroed struct */
/* Appends SQL for column `column` of a row of `table` known as `alias`: "r"."Amount", or NULL where
 * it has none. */
void tm_view_shape_value(const struct tm_view_shape *shape, struct tm_buf *out,
                         enum tm_view_table table, const char *alias, size_t column);
/* Appends SQL, where raw.db is shared: " AND " and whether partition `column` is one of ours, as
 * far as that is known; and how many partitions' ends a read needs, of `parts` ones. Elsewhere
 * nothing, and `parts`. */
void tm_view_shape_ours(const struct tm_view_shape *shape, struct tm_buf *out, const char *column);
void tm_view_shape_needed(const struct tm_view_shape *shape, struct tm_buf *out, const char *parts);
/* Appends SQL for the row's epoch: "r"."_epoch", or 0. */
void tm_view_shape_epoch(const struct tm_view_shape *shape, struct tm_buf *out,
                         enum tm_view_table table, const char *alias);
/* Appends SQL for what names the row among all databases: topic, partition, offset, written_ns;
 * or ''. */
void tm_view_shape_place(const struct tm_view_shape *shape, struct tm_buf *out,
                         enum tm_view_table table, const char *alias);
/* Index of the column that changedFields' `name` means, or -1 (R5). */
int tm_view_shape_find(const struct tm_view_shape *shape, const char *name, size_t name_bytes);
#endif
