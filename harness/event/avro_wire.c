/* avro_wire: values to Avro binary and back, walked by hand. libavro's reader allocates what a
 * length on the wire claims and its generic values cost a heap tree per record; it stays the
 * reference that tests compare with. */
#include "event/avro_node.h"
#include "event/row.h"
#include "event/scan.h"
#include "base/text.h"
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- writing ---- */

static void wire_put_long(struct tm_buf *out, int64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    uint64_t z = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (z >= 0x80) {
        bytes[n++] = (uint8_t)(z | 0x80);
        z >>= 7;
    }
    bytes[n++] = (uint8_t)z;
    tm_buf_add(out, bytes, n);
}

static void wire_put_double(struct tm_buf *out, double value)
{
    uint64_t bits;
    uint8_t bytes[8];
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
    tm_buf_add(out, bytes, sizeof bytes);
}

static void wire_put_branch(struct tm_buf *out, const struct avro_node *n, bool null)
{
    if (n->nullable)
        wire_put_long(out, null ? n->null_branch : 1 - n->null_branch);
}

static enum tm_code wire_unfit(const struct avro_node *n, const char *why, struct tm_err *err)
{
    return tm_fail(err, TM_E_ARG, "field %s: %s", n->name ? n->name : "item", why);
}

static enum tm_code wire_put_int(struct tm_buf *out, const struct avro_node *n, int64_t value,
                                 struct tm_err *err)
{
    if (n->type == TM_AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
        return wire_unfit(n, "number is out of the range of int", err);
    wire_put_long(out, value);
    return TM_OK;
}

static enum tm_code wire_put_date(struct tm_buf *out, const struct avro_node *n, const char *text,
                                  struct tm_err *err)
{
    int32_t days;
    if (tm_date_parse(&days, text, NULL) != TM_OK)
        return wire_unfit(n, "text is not a date (YYYY-MM-DD)", err);
    wire_put_long(out, days);
    return TM_OK;
}

static enum tm_code wire_put_json(struct tm_buf *out, const struct avro_node *n, struct tm_scan *s,
                                  struct tm_err *err);

static enum tm_code wire_put_json_string(struct tm_buf *out, const struct avro_node *n,
                                         struct tm_scan *s, struct tm_err *err)
{
    const char *raw;
    size_t raw_bytes, plain;
    char date[TM_TIME_BYTES];
    if (!tm_scan_string(s, &raw, &raw_bytes, &plain))
        return wire_unfit(n, "JSON text where a string belongs", err);
    if (n->type == TM_AVRO_DATE) {
        snprintf(date, sizeof date, "%.*s", (int)(raw_bytes < sizeof date ? raw_bytes : 0), raw);
        return wire_put_date(out, n, date, err);
    }
    wire_put_long(out, (int64_t)plain);
    tm_scan_unescape(out, raw, raw_bytes);
    return TM_OK;
}

/* Members come in any order: first pass finds where each begins, second writes them in the schema's
 * order. */
static enum tm_code wire_put_json_record(struct tm_buf *out, const struct avro_node *n,
                                         struct tm_scan *s, struct tm_err *err)
{
    enum { MEMBERS_MAX = 64 };
    const char *at[MEMBERS_MAX] = { NULL }, *raw;
    size_t raw_bytes, plain;
    if (n->children_count > MEMBERS_MAX || !tm_scan_take(s, '{'))
        return wire_unfit(n, "JSON text is not an object of at most 64 members", err);
    for (bool first = true; !tm_scan_take(s, '}'); first = false) {
        size_t i = 0;
        if ((!first && !tm_scan_take(s, ',')) || !tm_scan_string(s, &raw, &raw_bytes, &plain) ||
            !tm_scan_take(s, ':'))
            return wire_unfit(n, "JSON text is broken", err);
        while (i < n->children_count && (strlen(n->children[i].name) != raw_bytes ||
                                         memcmp(n->children[i].name, raw, raw_bytes) != 0))
            i++;
        if (i == n->children_count)
            return tm_fail(err, TM_E_ARG,
                           "field %s has a member \"%.*s\" that its schema does not know", n->name,
                           (int)(raw_bytes < 60 ? raw_bytes : 60), raw);
        tm_scan_peek(s);
        at[i] = s->p;
        if (!tm_scan_skip(s, 0))
            return wire_unfit(&n->children[i], "JSON text is broken", err);
    }
    for (size_t i = 0; i < n->children_count; i++) {
        static const char missing[] = "null";
        struct tm_scan member = at[i] != NULL
                                    ? (struct tm_scan){ at[i], s->end }
                                    : (struct tm_scan){ missing, missing + sizeof missing - 1 };
        enum tm_code rc = wire_put_json(out, &n->children[i], &member, err);
        if (rc != TM_OK)
            return rc;
    }
    return TM_OK;
}

static enum tm_code wire_put_json_array(struct tm_buf *out, const struct avro_node *n,
                                        struct tm_scan *s, struct tm_err *err)
{
    if (!tm_scan_take(s, '['))
        return wire_unfit(n, "JSON text is not an array", err);
    struct tm_scan counting = *s;
    int64_t count = 0;
    while (tm_scan_peek(&counting) != ']') {
        if ((count > 0 && !tm_scan_take(&counting, ',')) || !tm_scan_skip(&counting, 0))
            return wire_unfit(n, "JSON text is broken", err);
        count++;
    }
    if (count > 0)
        wire_put_long(out, count);
    for (int64_t i = 0; i < count; i++) {
        if (i > 0)
            tm_scan_take(s, ',');
        enum tm_code rc = wire_put_json(out, &n->children[0], s, err);
        if (rc != TM_OK)
            return rc;
    }
    tm_scan_take(s, ']');
    wire_put_long(out, 0);
    return TM_OK;
}

static enum tm_code wire_put_json(struct tm_buf *out, const struct avro_node *n, struct tm_scan *s,
                                  struct tm_err *err)
{
    int64_t i;
    double d;
    if (tm_scan_peek(s) == 'n' && tm_scan_word(s, "null")) {
        if (!n->nullable)
            return wire_unfit(n, "null or missing, and the schema wants a value", err);
        wire_put_branch(out, n, true);
        return TM_OK;
    }
    wire_put_branch(out, n, false);
    switch (n->type) {
    case TM_AVRO_STRING:
    case TM_AVRO_DATE: return wire_put_json_string(out, n, s, err);
    case TM_AVRO_RECORD: return wire_put_json_record(out, n, s, err);
    case TM_AVRO_ARRAY: return wire_put_json_array(out, n, s, err);
    case TM_AVRO_BOOLEAN: {
        bool yes = tm_scan_word(s, "true");
        if (!yes && !tm_scan_word(s, "false"))
            return wire_unfit(n, "JSON text where true or false belongs", err);
        tm_buf_addc(out, yes ? 1 : 0);
        return TM_OK;
    }
    case TM_AVRO_DOUBLE:
        if (!tm_scan_double(s, &d))
            return wire_unfit(n, "JSON text where a number belongs", err);
        wire_put_double(out, d);
        return TM_OK;
    case TM_AVRO_INT:
    case TM_AVRO_LONG:
    case TM_AVRO_TIMESTAMP:
        if (!tm_scan_int(s, &i))
            return wire_unfit(n, "JSON text where a whole number belongs", err);
        return wire_put_int(out, n, i, err);
    }
    assert(0 && "a type of enum tm_avro_type");
    return TM_OK;
}

static enum tm_code wire_put_text(struct tm_buf *out, const struct avro_node *n,
                                  const struct tm_value *v, struct tm_err *err)
{
    struct tm_scan scan = { v->as.t.text, v->as.t.text + v->as.t.bytes };
    switch (n->type) {
    case TM_AVRO_STRING:
        wire_put_long(out, (int64_t)v->as.t.bytes);
        tm_buf_add(out, v->as.t.text, v->as.t.bytes);
        return TM_OK;
    case TM_AVRO_DATE: return wire_put_date(out, n, v->as.t.text, err);
    case TM_AVRO_RECORD: return wire_put_json_record(out, n, &scan, err);
    case TM_AVRO_ARRAY: return wire_put_json_array(out, n, &scan, err);
    default: return wire_unfit(n, "text where the schema wants a number or true/false", err);
    }
}

static enum tm_code wire_put_value(struct tm_buf *out, const struct avro_node *n,
                                   const struct tm_value *v, struct tm_err *err)
{
    if (v->kind == TM_V_NULL && !n->nullable)
        return wire_unfit(n, "null, and the schema wants a value", err);
    wire_put_branch(out, n, v->kind == TM_V_NULL);
    switch (v->kind) {
    case TM_V_NULL: return TM_OK;
    case TM_V_TEXT:
    case TM_V_JSON: return wire_put_text(out, n, v, err);
    case TM_V_BOOL:
        if (n->type != TM_AVRO_BOOLEAN)
            return wire_unfit(n, "true/false where the schema wants another kind", err);
        tm_buf_addc(out, v->as.b ? 1 : 0);
        return TM_OK;
    case TM_V_DOUBLE:
        if (n->type != TM_AVRO_DOUBLE)
            return wire_unfit(n, "a fraction where the schema wants another kind", err);
        wire_put_double(out, v->as.d);
        return TM_OK;
    case TM_V_INT:
        if (n->type == TM_AVRO_DOUBLE)
            wire_put_double(out, (double)v->as.i);
        else if (n->type == TM_AVRO_INT || n->type == TM_AVRO_LONG || n->type == TM_AVRO_TIMESTAMP)
            return wire_put_int(out, n, v->as.i, err);
        else
            return wire_unfit(n, "a number where the schema wants another kind", err);
        return TM_OK;
    }
    assert(0 && "a kind of enum tm_value_kind");
    return TM_OK;
}

enum tm_code tm_avro_encode(const struct tm_avro_schema *s, int32_t schema_id, struct tm_buf *out,
                            const struct tm_value *values, size_t values_count, struct tm_err *err)
{
    uint32_t id = (uint32_t)schema_id;
    const uint8_t frame[TM_AVRO_FRAME_BYTES] = { 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16),
                                                 (uint8_t)(id >> 8), (uint8_t)id };
    assert(values_count == s->root.children_count && schema_id >= 0);
    tm_buf_add(out, frame, sizeof frame);
    for (size_t i = 0; i < values_count; i++) {
        enum tm_code rc = wire_put_value(out, &s->root.children[i], &values[i], err);
        if (rc != TM_OK)
            return rc;
    }
    return tm_buf_check(out, "Avro record", err);
}

/* ---- reading ---- */

struct wire {
    const uint8_t *p, *end;
    struct tm_err *err;
};

static enum tm_code wire_bad(const struct wire *w, const struct avro_node *n, const char *why)
{
    return tm_fail(w->err, TM_E_PROTO, "Avro record: field %s: %s", n->name ? n->name : "item",
                   why);
}

static bool wire_long(struct wire *w, int64_t *out)
{
    uint64_t z = 0;
    for (unsigned shift = 0; shift < 64 && w->p < w->end; shift += 7) {
        uint8_t byte = *w->p++;
        if (shift == 63 && byte > 1)
            return false;
        z |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
            return true;
        }
    }
    return false;
}

static bool wire_int(struct wire *w, int64_t *out)
{
    return wire_long(w, out) && *out >= INT32_MIN && *out <= INT32_MAX;
}

static bool wire_double(struct wire *w, double *out)
{
    uint64_t bits = 0;
    if (w->end - w->p < 8)
        return false;
    for (int i = 0; i < 8; i++)
        bits |= (uint64_t)w->p[i] << (8 * i);
    memcpy(out, &bits, sizeof bits);
    w->p += 8;
    return true;
}

static bool wire_bytes(struct wire *w, const char **out, size_t *out_bytes)
{
    int64_t bytes;
    if (!wire_long(w, &bytes) || bytes < 0 || bytes > w->end - w->p)
        return false;
    *out = (const char *)w->p;
    *out_bytes = (size_t)bytes;
    w->p += bytes;
    return true;
}

/* 1 = a value follows, 0 = null, -1 = neither branch. */
static int wire_branch(struct wire *w, const struct avro_node *n)
{
    int64_t branch;
    if (!n->nullable)
        return 1;
    if (!wire_long(w, &branch) || branch < 0 || branch > 1)
        return -1;
    return branch != n->null_branch;
}

static enum tm_code wire_json(struct wire *w, const struct avro_node *n, struct tm_buf *out);

static enum tm_code wire_json_record(struct wire *w, const struct avro_node *n, struct tm_buf *out)
{
    for (size_t i = 0; i < n->children_count; i++) {
        tm_buf_addc(out, i == 0 ? '{' : ',');
        tm_buf_add_json_string(out, n->children[i].name, strlen(n->children[i].name));
        tm_buf_addc(out, ':');
        enum tm_code rc = wire_json(w, &n->children[i], out);
        if (rc != TM_OK)
            return rc;
    }
    tm_buf_addc(out, '}');
    return TM_OK;
}

static enum tm_code wire_json_array(struct wire *w, const struct avro_node *n, struct tm_buf *out)
{
    bool first = true;
    tm_buf_addc(out, '[');
    for (;;) {
        int64_t count, bytes;
        if (!wire_long(w, &count) || count == INT64_MIN)
            return wire_bad(w, n, "array is cut short");
        if (count == 0)
            break;
        if (count < 0 && (count = -count, !wire_long(w, &bytes)))
            return wire_bad(w, n, "array is cut short");
        if (count > w->end - w->p) /* an item takes a byte at least */
            return wire_bad(w, n, "array claims more items than there are bytes");
        for (int64_t i = 0; i < count; i++, first = false) {
            if (!first)
                tm_buf_addc(out, ',');
            enum tm_code rc = wire_json(w, &n->children[0], out);
            if (rc != TM_OK)
                return rc;
            if (out->failed != TM_OK) /* the arena's limit also ends the work */
                return tm_buf_check(out, "Avro record", w->err);
        }
    }
    tm_buf_addc(out, ']');
    return TM_OK;
}

static enum tm_code wire_json(struct wire *w, const struct avro_node *n, struct tm_buf *out)
{
    int64_t i;
    double d;
    const char *text;
    size_t bytes;
    char date[TM_TIME_BYTES];
    int branch = wire_branch(w, n);
    if (branch < 0)
        return wire_bad(w, n, "union branch is neither null nor the type");
    if (branch == 0) {
        tm_buf_add(out, "null", 4);
        return TM_OK;
    }
    switch (n->type) {
    case TM_AVRO_RECORD: return wire_json_record(w, n, out);
    case TM_AVRO_ARRAY: return wire_json_array(w, n, out);
    case TM_AVRO_STRING:
        if (!wire_bytes(w, &text, &bytes))
            return wire_bad(w, n, "string is longer than the record");
        tm_buf_add_json_string(out, text, bytes);
        return TM_OK;
    case TM_AVRO_BOOLEAN:
        if (w->p == w->end || *w->p > 1)
            return wire_bad(w, n, "boolean is neither 0 nor 1");
        tm_buf_addz(out, *w->p++ ? "true" : "false");
        return TM_OK;
    case TM_AVRO_DOUBLE:
        if (!wire_double(w, &d))
            return wire_bad(w, n, "double is cut short");
        if (isfinite(d))
            tm_buf_addf(out, "%.17g", d);
        else
            tm_buf_add(out, "null", 4); /* JSON has no word for it */
        return TM_OK;
    case TM_AVRO_DATE:
        if (!wire_int(w, &i))
            return wire_bad(w, n, "date is no int");
        tm_buf_addf(out, "\"%s\"", tm_date_text(date, (int32_t)i));
        return TM_OK;
    case TM_AVRO_INT:
    case TM_AVRO_LONG:
    case TM_AVRO_TIMESTAMP:
        if (!(n->type == TM_AVRO_INT ? wire_int(w, &i) : wire_long(w, &i)))
            return wire_bad(w, n, "number is cut short or out of range");
        tm_buf_addf(out, "%" PRId64, i);
        return TM_OK;
    }
    assert(0 && "a type of enum tm_avro_type");
    return TM_OK;
}

static enum tm_code wire_cell(struct wire *w, const struct avro_node *n, struct tm_row *out,
                              struct tm_value *v)
{
    const char *text;
    size_t bytes, from = out->arena.bytes;
    int64_t i;
    char date[TM_TIME_BYTES];
    int branch = wire_branch(w, n);
    if (branch < 0)
        return wire_bad(w, n, "union branch is neither null nor the type");
    if (branch == 0)
        return TM_OK;
    switch (n->type) {
    case TM_AVRO_RECORD:
    case TM_AVRO_ARRAY: {
        enum tm_code rc = n->type == TM_AVRO_RECORD ? wire_json_record(w, n, &out->arena)
                                                    : wire_json_array(w, n, &out->arena);
        tm_row_text(out, v, TM_V_JSON, from);
        return rc;
    }
    case TM_AVRO_STRING:
        if (!wire_bytes(w, &text, &bytes))
            return wire_bad(w, n, "string is longer than the record");
        tm_buf_add(&out->arena, text, bytes);
        tm_row_text(out, v, TM_V_TEXT, from);
        return TM_OK;
    case TM_AVRO_BOOLEAN:
        if (w->p == w->end || *w->p > 1)
            return wire_bad(w, n, "boolean is neither 0 nor 1");
        *v = tm_value_of_bool(*w->p++ == 1);
        return TM_OK;
    case TM_AVRO_DOUBLE:
        v->kind = TM_V_DOUBLE;
        return wire_double(w, &v->as.d) ? TM_OK : wire_bad(w, n, "double is cut short");
    case TM_AVRO_DATE:
        if (!wire_int(w, &i))
            return wire_bad(w, n, "date is no int");
        tm_buf_addz(&out->arena, tm_date_text(date, (int32_t)i));
        tm_row_text(out, v, TM_V_TEXT, from);
        return TM_OK;
    case TM_AVRO_INT:
    case TM_AVRO_LONG:
    case TM_AVRO_TIMESTAMP:
        v->kind = TM_V_INT;
        if (!(n->type == TM_AVRO_INT ? wire_int(w, &v->as.i) : wire_long(w, &v->as.i)))
            return wire_bad(w, n, "number is cut short or out of range");
        return TM_OK;
    }
    assert(0 && "a type of enum tm_avro_type");
    return TM_OK;
}

enum tm_code tm_avro_decode(const struct tm_avro_schema *s, struct tm_row *out, const void *bytes,
                            size_t bytes_count, struct tm_err *err)
{
    int32_t id;
    struct wire w = { .err = err };
    tm_row_reset(out);
    enum tm_code rc = tm_avro_frame_id(&id, bytes, bytes_count, err);
    if (rc != TM_OK || (rc = tm_row_reserve(out, s->root.children_count, err)) != TM_OK)
        return rc;
    w.p = (const uint8_t *)bytes + TM_AVRO_FRAME_BYTES;
    w.end = (const uint8_t *)bytes + bytes_count;
    for (size_t i = 0; i < s->root.children_count && rc == TM_OK; i++)
        rc = wire_cell(&w, &s->root.children[i], out, tm_row_add(out, s->root.children[i].name));
    if (rc == TM_OK && w.p != w.end)
        rc = tm_fail(err, TM_E_PROTO, "Avro record: %zu bytes are left behind its last field",
                     (size_t)(w.end - w.p));
    if (rc != TM_OK) {
        tm_row_reset(out);
        return rc;
    }
    return tm_row_settle(out, "Avro record", err);
}
