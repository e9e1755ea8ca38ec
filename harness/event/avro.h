/* avro: records of the topics as Avro binary in registry framing (0x00, 4-byte big-endian schema
 * id, body). in: schema JSON text, values; out: bytes, and back. The schema text is ours and is
 * kept as it was; values go through libavro, whose printer drops defaults and logical types.
 * Hostile bytes cost no more memory than the record is long (avro_read.c). libavro itself does not
 * survive running out of memory. Supported schemas: one record of the types below, each plain or in
 * a union with null; others are refused. Pure: no I/O, clock. Source: facts/connectors.md 1.2 and
 * 3.1 (wire). */
#ifndef TM_EVENT_AVRO_H
#define TM_EVENT_AVRO_H
#include "event/value.h"

#define TM_AVRO_FRAME_BYTES 5
enum tm_avro_type {
    TM_AVRO_STRING,
    TM_AVRO_BOOLEAN,
    TM_AVRO_INT,
    TM_AVRO_LONG,
    TM_AVRO_DOUBLE,
    TM_AVRO_DATE /* int days; value is text YYYY-MM-DD */,
    TM_AVRO_TIMESTAMP /* long ms */,
    TM_AVRO_RECORD,
    TM_AVRO_ARRAY /* both: value is JSON text */
};
struct tm_avro_field {
    const char *name;
    enum tm_avro_type type;
    bool nullable;
};
/* What a caller sees of it never changes after parse; it holds libavro's record and reader, so one
 * encode or decode at a time. */
struct tm_avro_schema;
enum tm_code tm_avro_schema_parse(struct tm_avro_schema **out, const char *json, size_t json_bytes,
                                  struct tm_err *err);
void tm_avro_schema_close(struct tm_avro_schema *s);
/* From now on, in this thread: schemas of the same text are one, parsed once, and kept for who
 * parses that text next. For a simulation, whose stations come and go by the thousand: what is
 * shared is a function of its text, and what one call leaves in it no other call sees. */
#define TM_AVRO_KEPT_MAX 32
void tm_avro_schemas_keep(void);
const char *tm_avro_schema_text(const struct tm_avro_schema *s); /* as given to parse */
size_t tm_avro_schema_fields(const struct tm_avro_schema *s, const struct tm_avro_field **out);
/* values[fields_count] in schema order. Appends frame and body to `out`. TM_E_ARG names a field
 * whose kind does not fit. */
enum tm_code tm_avro_encode(const struct tm_avro_schema *s, int32_t schema_id, struct tm_buf *out,
                            const struct tm_value *values, size_t values_count, struct tm_err *err);
/* Schema id of a framed value; TM_E_PROTO when it is not framed. */
enum tm_code tm_avro_frame_id(int32_t *out_id, const void *bytes, size_t bytes_count,
                              struct tm_err *err);
/* Decodes a framed value with its writer's schema. Every field becomes a cell, in schema order. */
enum tm_code tm_avro_decode(const struct tm_avro_schema *s, struct tm_row *out, const void *bytes,
                            size_t bytes_count, struct tm_err *err);
#endif
