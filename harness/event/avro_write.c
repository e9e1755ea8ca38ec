/* avro_write: values to Avro binary. libavro's generic record of the schema is filled, the parts
 * that travel as JSON text by walking that text in place, and written by libavro. Texts are lent to
 * it, not copied: the record holds them until the next one. */
#include "event/avro_node.h"
#include "event/scan.h"
#include "base/text.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WRITE_MEMBERS_MAX 64
#define WRITE_TEXT_MAX (64u << 20) /* of one text with escapes */

struct writing {
    struct tm_buf plain; /* a JSON text without its escapes */
    struct tm_err *err;
};

static enum tm_code write_unfit(const struct writing *w, const struct avro_node *n, const char *why)
{
    return tm_fail(w->err, TM_E_ARG, "field %s: %s", n->name ? n->name : "item", why);
}

/* libavro's own refusals: memory, or a value of another type than its schema, which is our mistake.
 */
static enum tm_code write_done(const struct writing *w, const struct avro_node *n, int failed)
{
    if (failed == 0)
        return TM_OK;
    return tm_fail(w->err, TM_E_NOMEM, "field %s: %s", n->name ? n->name : "item", avro_strerror());
}

/* Selects the union's branch; *at becomes the branch. */
static enum tm_code write_branch(const struct writing *w, const struct avro_node *n,
                                 avro_value_t *at, bool null)
{
    avro_value_t branch = { NULL, NULL };
    if (!n->nullable)
        return TM_OK;
    int failed = avro_value_set_branch(at, null ? n->null_branch : 1 - n->null_branch, &branch);
    *at = branch;
    return write_done(w, n, failed);
}

static enum tm_code write_int(const struct writing *w, const struct avro_node *n, avro_value_t *at,
                              int64_t value)
{
    if (n->type != TM_AVRO_INT)
        return write_done(w, n, avro_value_set_long(at, value));
    if (value < INT32_MIN || value > INT32_MAX)
        return write_unfit(w, n, "number is out of the range of int");
    return write_done(w, n, avro_value_set_int(at, (int32_t)value));
}

static enum tm_code write_date(const struct writing *w, const struct avro_node *n, avro_value_t *at,
                               const char *text)
{
    int32_t days;
    if (tm_date_parse(&days, text, NULL) != TM_OK)
        return write_unfit(w, n, "text is not a date (YYYY-MM-DD)");
    return write_done(w, n, avro_value_set_int(at, days));
}

/* libavro counts a terminator that it does not write. */
static enum tm_code write_string(const struct writing *w, const struct avro_node *n,
                                 avro_value_t *at, const char *text, size_t bytes)
{
    avro_wrapped_buffer_t lent;
    avro_wrapped_buffer_new(&lent, text, bytes + 1);
    return write_done(w, n, avro_value_give_string_len(at, &lent));
}

/* ---- JSON text ---- */

static enum tm_code write_json(struct writing *w, const struct avro_node *n, avro_value_t *at,
                               struct tm_scan *s);

static enum tm_code write_json_string(struct writing *w, const struct avro_node *n,
                                      avro_value_t *at, struct tm_scan *s)
{
    const char *raw;
    size_t raw_bytes, plain;
    char date[TM_TIME_BYTES];
    if (!tm_scan_string(s, &raw, &raw_bytes, &plain))
        return write_unfit(w, n, "JSON text where a string belongs");
    if (n->type == TM_AVRO_DATE) {
        snprintf(date, sizeof date, "%.*s", (int)(raw_bytes < sizeof date ? raw_bytes : 0), raw);
        return write_date(w, n, at, date);
    }
    if (raw_bytes == plain) /* every escape is longer than what it stands for */
        return write_string(w, n, at, raw, raw_bytes);
    tm_buf_reset(&w->plain);
    tm_scan_unescape(&w->plain, raw, raw_bytes);
    enum tm_code rc = tm_buf_check(&w->plain, "Avro record", w->err);
    return rc != TM_OK ? rc
                       : write_done(w, n, avro_value_set_string_len(at, w->plain.data, plain + 1));
}

/* Where each of the record's members begins in the text; NULL = it has none. */
static enum tm_code write_members(const char *at[WRITE_MEMBERS_MAX], const struct writing *w,
                                  const struct avro_node *n, struct tm_scan *s)
{
    const char *raw;
    size_t raw_bytes, plain;
    if (n->children_count > WRITE_MEMBERS_MAX || !tm_scan_take(s, '{'))
        return write_unfit(w, n, "JSON text is not an object of at most 64 members");
    for (bool first = true; !tm_scan_take(s, '}'); first = false) {
        size_t i = 0;
        if ((!first && !tm_scan_take(s, ',')) || !tm_scan_string(s, &raw, &raw_bytes, &plain) ||
            !tm_scan_take(s, ':'))
            return write_unfit(w, n, "JSON text is broken");
        while (i < n->children_count && (strlen(n->children[i].name) != raw_bytes ||
                                         memcmp(n->children[i].name, raw, raw_bytes) != 0))
            i++;
        if (i == n->children_count)
            return tm_fail(w->err, TM_E_ARG,
                           "field %s has a member \"%.*s\" that its schema does not know",
                           n->name ? n->name : "item", (int)(raw_bytes < 60 ? raw_bytes : 60), raw);
        tm_scan_peek(s);
        at[i] = s->p;
        if (!tm_scan_skip(s, 0))
            return write_unfit(w, &n->children[i], "JSON text is broken");
    }
    return TM_OK;
}

/* Members come in any order and are written in the schema's. */
static enum tm_code write_json_record(struct writing *w, const struct avro_node *n,
                                      avro_value_t *at, struct tm_scan *s)
{
    static const char missing[] = "null";
    const char *members[WRITE_MEMBERS_MAX] = { NULL };
    enum tm_code rc = write_members(members, w, n, s);
    for (size_t i = 0; i < n->children_count && rc == TM_OK; i++) {
        struct tm_scan member = members[i] != NULL
                                    ? (struct tm_scan){ members[i], s->end }
                                    : (struct tm_scan){ missing, missing + sizeof missing - 1 };
        avro_value_t field;
        rc = write_done(w, n, avro_value_get_by_index(at, i, &field, NULL));
        if (rc == TM_OK)
            rc = write_json(w, &n->children[i], &field, &member);
    }
    return rc;
}

static enum tm_code write_json_array(struct writing *w, const struct avro_node *n, avro_value_t *at,
                                     struct tm_scan *s)
{
    if (!tm_scan_take(s, '['))
        return write_unfit(w, n, "JSON text is not an array");
    enum tm_code rc = write_done(w, n, avro_value_reset(at));
    for (bool first = true; rc == TM_OK && !tm_scan_take(s, ']'); first = false) {
        avro_value_t item;
        if (!first && !tm_scan_take(s, ','))
            return write_unfit(w, n, "JSON text is broken");
        rc = write_done(w, n, avro_value_append(at, &item, NULL));
        if (rc == TM_OK)
            rc = write_json(w, &n->children[0], &item, s);
    }
    return rc;
}

static enum tm_code write_json(struct writing *w, const struct avro_node *n, avro_value_t *at,
                               struct tm_scan *s)
{
    int64_t i;
    double d;
    bool null = tm_scan_peek(s) == 'n' && tm_scan_word(s, "null");
    if (null && !n->nullable)
        return write_unfit(w, n, "null or missing, and the schema wants a value");
    enum tm_code rc = write_branch(w, n, at, null);
    if (rc != TM_OK || null)
        return rc;
    switch (n->type) {
    case TM_AVRO_STRING:
    case TM_AVRO_DATE: return write_json_string(w, n, at, s);
    case TM_AVRO_RECORD: return write_json_record(w, n, at, s);
    case TM_AVRO_ARRAY: return write_json_array(w, n, at, s);
    case TM_AVRO_BOOLEAN: {
        bool yes = tm_scan_word(s, "true");
        if (!yes && !tm_scan_word(s, "false"))
            return write_unfit(w, n, "JSON text where true or false belongs");
        return write_done(w, n, avro_value_set_boolean(at, yes));
    }
    case TM_AVRO_DOUBLE:
        if (!tm_scan_double(s, &d))
            return write_unfit(w, n, "JSON text where a number belongs");
        return write_done(w, n, avro_value_set_double(at, d));
    case TM_AVRO_INT:
    case TM_AVRO_LONG:
    case TM_AVRO_TIMESTAMP:
        if (!tm_scan_int(s, &i))
            return write_unfit(w, n, "JSON text where a whole number belongs");
        return write_int(w, n, at, i);
    }
    assert(0 && "a type of enum tm_avro_type");
    return TM_OK;
}

/* ---- values ---- */

static enum tm_code write_text(struct writing *w, const struct avro_node *n, avro_value_t *at,
                               const struct tm_value *v)
{
    struct tm_scan scan = { v->as.t.text, v->as.t.text + v->as.t.bytes };
    switch (n->type) {
    case TM_AVRO_STRING: return write_string(w, n, at, v->as.t.text, v->as.t.bytes);
    case TM_AVRO_DATE: return write_date(w, n, at, v->as.t.text);
    case TM_AVRO_RECORD: return write_json_record(w, n, at, &scan);
    case TM_AVRO_ARRAY: return write_json_array(w, n, at, &scan);
    default: return write_unfit(w, n, "text where the schema wants a number or true/false");
    }
}

static enum tm_code write_value(struct writing *w, const struct avro_node *n, avro_value_t *at,
                                const struct tm_value *v)
{
    if (v->kind == TM_V_NULL && !n->nullable)
        return write_unfit(w, n, "null, and the schema wants a value");
    enum tm_code rc = write_branch(w, n, at, v->kind == TM_V_NULL);
    if (rc != TM_OK)
        return rc;
    switch (v->kind) {
    case TM_V_NULL: return TM_OK;
    case TM_V_TEXT:
    case TM_V_JSON: return write_text(w, n, at, v);
    case TM_V_BOOL:
        if (n->type != TM_AVRO_BOOLEAN)
            return write_unfit(w, n, "true/false where the schema wants another kind");
        return write_done(w, n, avro_value_set_boolean(at, v->as.b));
    case TM_V_DOUBLE:
        if (n->type != TM_AVRO_DOUBLE)
            return write_unfit(w, n, "a fraction where the schema wants another kind");
        return write_done(w, n, avro_value_set_double(at, v->as.d));
    case TM_V_INT:
        if (n->type == TM_AVRO_DOUBLE)
            return write_done(w, n, avro_value_set_double(at, (double)v->as.i));
        if (n->type == TM_AVRO_INT || n->type == TM_AVRO_LONG || n->type == TM_AVRO_TIMESTAMP)
            return write_int(w, n, at, v->as.i);
        return write_unfit(w, n, "a number where the schema wants another kind");
    }
    assert(0 && "a kind of enum tm_value_kind");
    return TM_OK;
}

static enum tm_code write_bytes(const struct tm_avro_schema *s, struct tm_buf *out,
                                avro_value_t *record, struct tm_err *err)
{
    size_t bytes = 0;
    const struct writing w = { .err = err };
    enum tm_code rc = write_done(&w, s->root, avro_value_sizeof(record, &bytes));
    if (rc != TM_OK)
        return rc;
    char *room = tm_buf_extend(out, bytes);
    if (room == NULL)
        return tm_buf_check(out, "Avro record", err);
    avro_writer_memory_set_dest(s->writer, room, (int64_t)bytes);
    rc = write_done(&w, s->root, avro_value_write(s->writer, record));
    assert(rc != TM_OK || avro_writer_tell(s->writer) == (int64_t)bytes);
    return rc;
}

enum tm_code tm_avro_encode(const struct tm_avro_schema *s, int32_t schema_id, struct tm_buf *out,
                            const struct tm_value *values, size_t values_count, struct tm_err *err)
{
    uint32_t id = (uint32_t)schema_id;
    const uint8_t frame[TM_AVRO_FRAME_BYTES] = { 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16),
                                                 (uint8_t)(id >> 8), (uint8_t)id };
    struct writing w = { .err = err };
    avro_value_t record = s->record;
    enum tm_code rc = TM_OK;
    assert(values_count == s->root->children_count && schema_id >= 0);
    tm_buf_init(&w.plain, WRITE_TEXT_MAX);
    tm_buf_add(out, frame, sizeof frame);
    for (size_t i = 0; i < values_count && rc == TM_OK; i++) {
        avro_value_t field;
        rc = write_done(&w, s->root, avro_value_get_by_index(&record, i, &field, NULL));
        if (rc == TM_OK)
            rc = write_value(&w, &s->root->children[i], &field, &values[i]);
    }
    if (rc == TM_OK)
        rc = write_bytes(s, out, &record, err);
    tm_buf_free(&w.plain);
    return rc != TM_OK ? rc : tm_buf_check(out, "Avro record", err);
}
