/* relation: a snapshot relation as a user's query gives it, of any warehouse.
 * in: a SQLite file, one object of a relations map
 *     {"query": "SELECT …", "columns": {"Amount": "amount_usd"},
 *      "tolerances": {"LastModifiedDate": "1s"}, "database": "other.db"}
 * query: one row a live record; must give Id (or the column `columns` maps it to), may give _dirty.
 * columns: field -> column of the query, where they differ. tolerances: check/tolerance.h.
 * database: where the object's rows are, if not where those of the others are; relative to the
 * folder of the map. out: rows as ids of 18 characters and hashes of canonical values
 * (check/vhash.h). Values may come as text: datetimes as ISO 8601 or epoch ms, booleans as
 * true/false, ids with 15 characters. What cannot be read as the field's type keeps its spelling.
 *
 * User SQL runs read-only under an authorizer with a limit of SQLite's own steps. A user's mistake
 * is TM_E_ARG naming map, object and column; busy is TM_E_AGAIN. Two warehouses can be compared
 * without a describe: then columns go by their names and values by SQLite's types. */
#ifndef TM_CHECK_RELATION_H
#define TM_CHECK_RELATION_H
#include "base/sql.h"
#include "check/shown.h"
#include "check/tolerance.h"

#define TM_RELATION_STEPS_MAX 5000 /* millions; about a minute of one core */

struct tm_warehouse { /* a connection for user SQL; heap, one thread at a time */
    char path[512];
    sqlite3 *db;
    bool own;             /* a statement of ours runs: the authorizer looks away */
    int looks, looks_max; /* millions of steps of the query at hand */
};
/* steps_max: millions; 0 = TM_RELATION_STEPS_MAX. TM_E_ARG: cannot be read. */
enum tm_code tm_warehouse_open(struct tm_warehouse **out, const char *path, int steps_max,
                               struct tm_err *err);
void tm_warehouse_close(struct tm_warehouse *w); /* NULL-safe */
/* A read transaction whose snapshot stands; ended by tm_warehouse_end. */
enum tm_code tm_warehouse_begin(struct tm_warehouse *w, struct tm_err *err);
void tm_warehouse_end(struct tm_warehouse *w);
/* PRAGMA data_version: moves when another connection has committed. */
enum tm_code tm_warehouse_version(struct tm_warehouse *w, int64_t *out, struct tm_err *err);

struct tm_relation_spec {                  /* one object of a map, checked; all borrowed */
    char where[300];                       /* "map.json: Opportunity" */
    const char *object, *query, *database; /* database NULL: the common one */
    const json_t *columns, *tolerances;    /* NULL: none */
    const struct tm_describe *describe;    /* NULL: compared by names and types alone */
};
/* map: names it in errors. */
enum tm_code tm_relation_spec(struct tm_relation_spec *out, const char *map, const char *object,
                              const json_t *json, const struct tm_describe *describe,
                              struct tm_err *err);

struct tm_relation_column {
    const char *field; /* NULL: not compared; owned by fields[] */
    enum tm_field_kind kind;
    int scale;
    uint32_t index; /* in values of a row */
    struct tm_tolerance tolerance;
};
struct tm_relation {                     /* a query under way; heap */
    const struct tm_relation_spec *spec; /* borrowed, as the warehouse */
    struct tm_warehouse *warehouse;
    sqlite3_stmt *stmt;
    struct tm_relation_column columns[TM_SHOWN_COLUMNS_MAX]; /* by column of the statement */
    int columns_count, id_column, dirty_column;
    char *fields[TM_SHOWN_COLUMNS_MAX]; /* owned; by index in values; fields_count are compared */
    struct tm_tolerance tolerances[TM_SHOWN_COLUMNS_MAX];
    enum tm_field_kind kinds[TM_SHOWN_COLUMNS_MAX];
    size_t fields_count;
    uint64_t rows;
};
struct tm_relation_row {
    char id[20]; /* 18 characters, the rest zero */
    bool dirty;
};
/* The rows with low <= Id < high; NULL: no bound. */
enum tm_code tm_relation_open(struct tm_relation **out, const struct tm_relation_spec *spec,
                              struct tm_warehouse *w, const char *low, const char *high,
                              struct tm_err *err);
/* Of these ids alone. */
enum tm_code tm_relation_open_ids(struct tm_relation **out, const struct tm_relation_spec *spec,
                                  struct tm_warehouse *w, const json_t *ids, struct tm_err *err);
void tm_relation_close(struct tm_relation *r); /* NULL-safe */
/* values[fields_count] are set. expected: the id that probably comes next, valid in 18 characters;
 * NULL: no idea. */
enum tm_code tm_relation_step(struct tm_relation *r, bool *out_row, struct tm_relation_row *out,
                              uint64_t *values, const char *expected, struct tm_err *err);
/* The value of the row at hand as the query gives it, and a text's hash without outer blanks. */
json_t *tm_relation_value(const struct tm_relation *r, size_t field);
uint64_t tm_relation_trimmed(const struct tm_relation *r, size_t field);
/* Bounds that cut the relation into at most `count` ranges that an index finds: low, high of each,
 * "" = none. *out_count 1: it cannot be cut.  */
struct tm_relation_range {
    char low[20], high[20];
};
enum tm_code tm_relation_cut(struct tm_relation_range *out, size_t *out_count, size_t count,
                             const struct tm_relation_spec *spec, struct tm_warehouse *w,
                             struct tm_err *err);
#endif
