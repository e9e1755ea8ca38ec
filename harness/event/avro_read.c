/* avro_read: Avro binary to rows. libavro's reader walks the bytes (avro_consume_binary) and calls
 * back with every value; what arrives becomes a cell of the row or a piece of its JSON text.
 * libavro 1.11 asks its allocator for as many bytes as a length on the wire claims and loses the
 * memory where the bytes then fall short: while it reads here, its allocator lends it one buffer
 * as long as the record, and refuses more. One string is held at a time. */
#include "event/avro_node.h"
#include "event/row.h"
#include "base/text.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct tm_row *row;
    const struct avro_node *at; /* the field that is being read */
    const struct avro_node
        *cell;                 /* the root's field that `at` is, or is in; NULL before the first */
    struct tm_value *value;    /* of that cell */
    size_t from;               /* where its text begins in the arena */
    bool open[AVRO_DEPTH_MAX]; /* arrays that have begun and not ended, by depth */
    struct tm_buf *lent;
    bool refused; /* libavro asked for more bytes than the record has */
    struct tm_err *err;
};

/* ---- the allocator: libavro knows one for the process; it is asked for nothing but strings while
 * it reads ---- */

static _Thread_local struct reading *lending; /* NULL: libavro allocates as it always does */
static avro_allocator_t usual;

static void *read_allocate(void *data, void *old, size_t old_bytes, size_t bytes)
{
    struct reading *r = lending;
    if (r == NULL || (old != NULL && old != r->lent->data))
        return usual(data, old, old_bytes, bytes);
    if (bytes == 0)
        return NULL;
    r->refused = bytes > r->lent->bytes;
    return r->refused ? NULL : r->lent->data;
}

static void read_allocator_install(void)
{
    if (usual == NULL)
        usual = AVRO_CURRENT_ALLOCATOR.alloc;
    avro_set_allocator(read_allocate, AVRO_CURRENT_ALLOCATOR.user_data);
}

/* ---- values ---- */

static int read_bad(const struct reading *r, const char *why)
{
    tm_fail(r->err, TM_E_PROTO, "Avro record: field %s: %s", r->at->name ? r->at->name : "item",
            why);
    return EINVAL;
}

#define NODE_OF(consumer, member)                                                                  \
    ((const struct avro_node *)(const void *)((const char *)(consumer)-offsetof(struct avro_node,  \
                                                                                member)))

static int read_end(struct reading *r, const struct avro_node *n)
{
    for (size_t i = 0; i < n->closes; i++)
        tm_buf_addc(&r->row->arena, '}');
    return 0;
}

static int read_null(avro_consumer_t *c, void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, none);
    if (n->cell)
        return 0;
    tm_buf_add(&r->row->arena, "null", 4);
    return read_end(r, n);
}

static int read_text(avro_consumer_t *c, const void *text, size_t bytes_and_end, void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, value);
    size_t bytes = bytes_and_end - 1;
    if (n->cell) {
        tm_buf_add(&r->row->arena, text, bytes);
        tm_row_text(r->row, r->value, TM_V_TEXT, r->from);
        return 0;
    }
    tm_buf_add_json_string(&r->row->arena, text, bytes);
    return read_end(r, n);
}

static int read_boolean(avro_consumer_t *c, int yes, void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, value);
    if (yes != 0 && yes != 1)
        return read_bad(r, "boolean is neither 0 nor 1");
    if (n->cell) {
        *r->value = tm_value_of_bool(yes == 1);
        return 0;
    }
    tm_buf_addz(&r->row->arena, yes == 1 ? "true" : "false");
    return read_end(r, n);
}

static int read_double(avro_consumer_t *c, double number, void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, value);
    if (n->cell) {
        *r->value = tm_value_of_double(number);
        return 0;
    }
    if (isfinite(number))
        tm_buf_addf(&r->row->arena, "%.17g", number);
    else
        tm_buf_add(&r->row->arena, "null", 4); /* JSON has no word for it */
    return read_end(r, n);
}

static int read_long(avro_consumer_t *c, int64_t number, void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, value);
    if (n->cell) {
        *r->value = tm_value_of_int(number);
        return 0;
    }
    tm_buf_addf(&r->row->arena, "%" PRId64, number);
    return read_end(r, n);
}

static int read_int(avro_consumer_t *c, int32_t number, void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, value);
    char date[TM_TIME_BYTES];
    if (n->type != TM_AVRO_DATE)
        return read_long(c, number, reading);
    tm_date_text(date, number);
    if (n->cell) {
        tm_buf_addz(&r->row->arena, date);
        tm_row_text(r->row, r->value, TM_V_TEXT, r->from);
        return 0;
    }
    tm_buf_addf(&r->row->arena, "\"%s\"", date);
    return read_end(r, n);
}

/* ---- what holds values ---- */

static int read_branch(avro_consumer_t *c, unsigned branch, avro_consumer_t **next,
                       void **next_data, void *reading)
{
    struct avro_node *n = (struct avro_node *)(void *)NODE_OF(c, either);
    if (branch > 1)
        return read_bad(reading, "union branch is neither null nor the type");
    *next = branch == n->null_branch ? &n->none : &n->value;
    *next_data = reading;
    return 0;
}

/* libavro hands the count over as 32 bits: one that ends the list too early is found by what comes
 * after the end. */
static int read_block(avro_consumer_t *c, int first, unsigned count, void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, value);
    bool *open = &r->open[n->depth];
    if (first)
        tm_buf_addc(&r->row->arena, '[');
    else if (!*open)
        return read_bad(r, "array goes on behind its end");
    *open = count > 0;
    if (*open)
        return 0;
    tm_buf_addc(&r->row->arena, ']');
    return read_end(r, n);
}

static int read_item(avro_consumer_t *c, unsigned index, avro_consumer_t **next, void **next_data,
                     void *reading)
{
    struct reading *r = reading;
    const struct avro_node *n = NODE_OF(c, value);
    if (!r->open[n->depth])
        return read_bad(r, "array goes on behind its end");
    if (r->row->arena.failed != TM_OK) /* the arena's limit also ends the work */
        return ENOMEM;
    if (index > 0)
        tm_buf_addc(&r->row->arena, ',');
    *next = n->children->nullable ? &n->children->either : &n->children->value;
    *next_data = reading;
    return 0;
}

static int read_record(avro_consumer_t *c, void *reading)
{
    struct reading *r = reading;
    if (NODE_OF(c, value)->depth > 0)
        tm_buf_addc(&r->row->arena, '{');
    return 0;
}

/* A record or array that is a cell has no callback for its end: the next cell's begin is. */
static void read_end_cell(struct reading *r)
{
    if (r->cell != NULL && (r->cell->type == TM_AVRO_RECORD || r->cell->type == TM_AVRO_ARRAY) &&
        r->row->arena.bytes > r->from)
        tm_row_text(r->row, r->value, TM_V_JSON, r->from);
    r->cell = NULL;
}

static int read_field(avro_consumer_t *c, unsigned index, avro_consumer_t **next, void **next_data,
                      void *reading)
{
    struct reading *r = reading;
    struct avro_node *n = &NODE_OF(c, value)->children[index];
    if (n->cell) {
        read_end_cell(r);
        r->cell = n;
        r->value = tm_row_add(r->row, n->name);
        r->from = r->row->arena.bytes;
    } else {
        tm_buf_add(&r->row->arena, n->lead, n->lead_bytes);
    }
    r->at = n;
    *next = n->nullable ? &n->either : &n->value;
    *next_data = reading;
    return 0;
}

/* ---- a schema's callbacks ---- */

static void read_callbacks(struct avro_node *n)
{
    n->either.union_branch = read_branch;
    n->none.null_value = read_null;
    n->value.string_value = read_text;
    n->value.boolean_value = read_boolean;
    n->value.int_value = read_int;
    n->value.long_value = read_long;
    n->value.double_value = read_double;
    n->value.array_start_block = read_block;
    n->value.array_element = read_item;
    n->value.record_start = read_record;
    n->value.record_field = read_field;
}

static enum tm_code read_lead(struct avro_node *n, size_t index, struct tm_err *err)
{
    struct tm_buf lead;
    tm_buf_init(&lead, AVRO_SCHEMA_BYTES_MAX * 8);
    if (index > 0)
        tm_buf_addc(&lead, ',');
    tm_buf_add_json_string(&lead, n->name, strlen(n->name));
    tm_buf_addc(&lead, ':');
    enum tm_code rc = tm_buf_check(&lead, "schema field name", err);
    if (rc != TM_OK) {
        tm_buf_free(&lead);
        return rc;
    }
    n->lead_bytes = lead.bytes;
    n->lead = lead.data; /* owned by the node now */
    return TM_OK;
}

static enum tm_code read_bind(struct avro_node *n, avro_schema_t schema, uint8_t depth,
                              struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    assert(depth < AVRO_DEPTH_MAX);
    n->depth = depth;
    n->cell = depth == 1;
    read_callbacks(n);
    n->either.schema = schema;
    if (n->nullable) {
        n->none.schema = avro_schema_union_branch(schema, n->null_branch);
        schema = avro_schema_union_branch(schema, 1 - n->null_branch);
    }
    n->value.schema = schema;
    for (size_t i = 0; i < n->children_count && rc == TM_OK; i++) {
        struct avro_node *child = &n->children[i];
        bool record = n->type == TM_AVRO_RECORD;
        if (record && depth > 0) {
            rc = read_lead(child, i, err);
            child->closes = i + 1 == n->children_count ? n->closes + 1 : 0;
        }
        if (rc == TM_OK)
            rc = read_bind(child,
                           record ? avro_schema_record_field_get_by_index(schema, (int)i)
                                  : avro_schema_array_items(schema),
                           (uint8_t)(depth + 1), err);
    }
    return rc;
}

enum tm_code tm_avro_reading_bind(struct tm_avro_schema *s, struct tm_err *err)
{
    read_allocator_install();
    s->reader = avro_reader_memory("", 0);
    s->lent = calloc(1, sizeof *s->lent);
    if (s->reader == NULL || s->lent == NULL)
        return tm_fail(err, TM_E_NOMEM, "schema");
    tm_buf_init(s->lent, SIZE_MAX / 4);
    return read_bind(s->root, s->schema, 0, err);
}

/* ---- a record ---- */

static enum tm_code read_body(const struct tm_avro_schema *s, struct reading *r, const char *body,
                              size_t bytes)
{
    tm_buf_reset(r->lent);
    if (tm_buf_extend(r->lent, bytes + 1) == NULL)
        return tm_buf_check(r->lent, "Avro record", r->err);
    avro_reader_memory_set_source(s->reader, body, (int64_t)bytes);
    avro_set_error("%s", ""); /* libavro would put its words before those of last time */
    lending = r;
    int failed = avro_consume_binary(s->reader, &s->root->value, r);
    lending = NULL;
    read_end_cell(r);
    if (failed == 0 && avro_skip(s->reader, 1) == 0)
        return tm_fail(r->err, TM_E_PROTO, "Avro record: bytes are left behind its last field");
    enum tm_code rc = tm_buf_check(&r->row->arena, "Avro record", r->err);
    if (failed == 0 || rc != TM_OK)
        return rc;
    /* what a callback found wrong was said first and stays */
    read_bad(r, r->refused ? "string is longer than the record" : avro_strerror());
    return TM_E_PROTO;
}

enum tm_code tm_avro_decode(const struct tm_avro_schema *s, struct tm_row *out, const void *bytes,
                            size_t bytes_count, struct tm_err *err)
{
    int32_t id;
    struct reading r = { .row = out, .at = s->root, .lent = s->lent, .err = err };
    tm_row_reset(out);
    enum tm_code rc = tm_avro_frame_id(&id, bytes, bytes_count, err);
    if (rc == TM_OK)
        rc = tm_row_reserve(out, s->root->children_count, err);
    if (rc == TM_OK)
        rc = read_body(s, &r, (const char *)bytes + TM_AVRO_FRAME_BYTES,
                       bytes_count - TM_AVRO_FRAME_BYTES);
    if (rc != TM_OK) {
        tm_row_reset(out);
        return rc;
    }
    return tm_row_settle(out, "Avro record", err);
}
