/* table: one warehouse table and how it grows. in: schemas of records; out: columns, SQL types,
 * insert statements. Semantics of facts/connectors.md 2.3 (non-union and union mode), with one
 * defect of the original mended: a field that comes with another type than its column has gets a
 * column of its own, `<Field>__<type>`, and no row is lost. Columns are only ever added. All writes
 * happen in the caller's transaction. Owner: the caller of open. */
#ifndef TM_SINK_TABLE_H
#define TM_SINK_TABLE_H
#include "base/sql.h"
#include "event/avro.h"

#define TM_SINK_COLUMNS_MAX 1900 /* SQLite refuses more than 2,000 */
#define TM_SINK_NAME_MAX 300
/* schemas of one table with a prepared insert; more are an error */
#define TM_SINK_WRITERS_MAX 256

struct tm_sink_rules {
    bool create_tables, update_schemas, sanitize_fields, unionization;
};
struct tm_sink_column {
    char *name;
    char *type /* declared in SQL */;
};
struct tm_sink_writer { /* how records of one schema become rows of one table */
    int32_t schema_id;
    sqlite3_stmt *insert; /* ?1.. = _topic _partition _offset _written_ns, then the fields */
    size_t fields_count;
    int replay_id, object_type; /* field indexes for the trace; -1 = none */
};
struct tm_sink_table {
    char name[TM_SINK_NAME_MAX];
    bool there;
    struct tm_sink_column *columns;
    size_t columns_count;
    struct tm_sink_writer *writers;
    size_t writers_count;
};
struct tm_sink_schema {
    int32_t id;
    const struct tm_avro_schema *schema;
};
/* Reads the table as it is in `db`. */
enum tm_code tm_sink_table_open(struct tm_sink_table *t, sqlite3 *db, const char *name,
                                struct tm_err *err);
void tm_sink_table_close(struct tm_sink_table *t); /* safe on a zeroed struct */
/* Makes the table take a batch whose records have these schemas, in batch order, schemas[last]
 * being the last record's; *out_changed: columns were added. TM_E_ARG says which setting forbids
 * it. */
enum tm_code tm_sink_table_fit(struct tm_sink_table *t, sqlite3 *db,
                               const struct tm_sink_rules *rules,
                               const struct tm_sink_schema *schemas, size_t schemas_count,
                               size_t last, bool *out_changed, struct tm_err *err);
/* The prepared insert of a schema; the table must fit it. */
enum tm_code tm_sink_table_writer(struct tm_sink_table *t, struct tm_sink_writer **out, sqlite3 *db,
                                  const struct tm_sink_rules *rules,
                                  const struct tm_sink_schema *schema, struct tm_err *err);
/* Appends one row. */
enum tm_code tm_sink_writer_add(const struct tm_sink_writer *w, const char *topic,
                                int32_t partition, int64_t offset, int64_t written_ns,
                                const struct tm_row *row, struct tm_err *err);
#endif
