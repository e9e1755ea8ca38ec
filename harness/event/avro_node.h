/* avro_node: a parsed schema as reading and writing walk it beside libavro's; private to avro*.c.
 * libavro drops logical types and defaults, so names and types are kept here, and each node carries
 * the callbacks (avro_consumer_t) that libavro's reader calls for its values. */
#ifndef TM_EVENT_AVRO_NODE_H
#define TM_EVENT_AVRO_NODE_H
#include "event/avro.h"
#include <avro.h>

#define AVRO_DEPTH_MAX 8     /* nesting of records and arrays */
#define AVRO_FIELDS_MAX 2000 /* fields of one record; Salesforce has 800 */
#define AVRO_SCHEMA_BYTES_MAX (1u << 20)

/* Every type takes at least one byte on the wire, so no array has more items than its record has
 * bytes. */
struct avro_node {
    char *name; /* of the field; NULL for the root and for array items */
    enum tm_avro_type type;
    bool nullable;
    uint8_t null_branch; /* 0 or 1: where the union has its null */
    uint8_t depth;
    struct avro_node *children; /* record: its fields; array: one item */
    size_t children_count;
    /* reading, set by tm_avro_reading_bind */
    avro_consumer_t either, none, value; /* the union; its null; the type itself */
    bool cell;                           /* a field of the root: a cell of the row, not JSON text */
    char *lead;                          /* JSON text before the value: comma, name, colon */
    size_t lead_bytes, closes;           /* closes: records that end with this value */
};
struct tm_avro_schema {
    unsigned users;               /* tm_avro_schemas_keep; else 1 */
    char *text;                   /* as given */
    struct avro_node *root;       /* a record */
    struct tm_avro_field *fields; /* the root's fields, for callers */
    avro_schema_t schema;
    avro_reader_t reader;      /* these five serve one call at a time */
    struct tm_buf *lent;       /* where libavro's reader puts strings, avro_read.c */
    avro_value_iface_t *class; /* of the record that is written */
    avro_value_t record;
    avro_writer_t writer;
};
/* Opens what reading needs, once the nodes and `schema` stand; closed by tm_avro_schema_close. */
enum tm_code tm_avro_reading_bind(struct tm_avro_schema *s, struct tm_err *err);
#endif
