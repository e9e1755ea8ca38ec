/* avro_node: a parsed schema as the codec walks it; private to avro.c and avro_wire.c. */
#ifndef TM_EVENT_AVRO_NODE_H
#define TM_EVENT_AVRO_NODE_H
#include "event/avro.h"

#define AVRO_DEPTH_MAX 8     /* nesting of records and arrays */
#define AVRO_FIELDS_MAX 2000 /* fields of one record; Salesforce has 800 */
#define AVRO_SCHEMA_BYTES_MAX (1u << 20)

/* Every type takes at least one byte on the wire, so a count can never exceed the bytes that are
 * left. */
struct avro_node {
    char *name; /* of the field; NULL for array items */
    enum tm_avro_type type;
    bool nullable;
    uint8_t null_branch;        /* 0 or 1: where the union has its null */
    struct avro_node *children; /* record: its fields; array: one item */
    size_t children_count;
};
struct tm_avro_schema {
    char *text;                   /* as given */
    struct avro_node root;        /* a record */
    struct tm_avro_field *fields; /* the root's fields, for callers */
};
#endif
