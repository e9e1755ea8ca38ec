#include "tests/support_stand.h"
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct tm_http_call {
    int status;
    struct tm_buf body;
    unsigned polls;
};

static void stand_registry(struct stand *s, const struct tm_http_request *q, struct tm_http_call *c)
{
    const char *by_id = strstr(q->url, "/schemas/ids/");
    if (by_id != NULL) {
        size_t id = strtoul(by_id + strlen("/schemas/ids/"), NULL, 10);
        c->status = id >= 1 && id <= s->schemas_count ? 200 : 404;
        json_t *body = c->status == 200 ? json_pack("{s:s}", "schema", s->schemas[id - 1])
                                        : json_pack("{s:i, s:s}", "error_code", 40403, "message",
                                                    "Schema not found");
        char *text = json_dumps(body, JSON_COMPACT);
        tm_buf_addz(&c->body, text);
        free(text);
        json_decref(body);
        return;
    }
    json_t *body = json_loadb(q->body, q->body_bytes, 0, NULL);
    const char *text = json_string_value(json_object_get(body, "schema"));
    size_t i = 0;
    assert_non_null(text);
    while (i < s->schemas_count && strcmp(s->schemas[i], text) != 0)
        i++;
    if (i == s->schemas_count) {
        assert_true(i < STAND_SCHEMAS_MAX);
        s->schemas[s->schemas_count++] = strdup(text);
    }
    tm_buf_addf(&c->body, "{\"id\":%zu}", i + 1);
    c->status = 200;
    json_decref(body);
}

static enum tm_code stand_start(struct tm_http *http, struct tm_http_call **out,
                                const struct tm_http_request *q, struct tm_err *err)
{
    struct stand *s = (struct stand *)http;
    struct tm_http_call *c = calloc(1, sizeof *c);
    (void)err;
    assert_non_null(c);
    tm_buf_init(&c->body, 16u << 20);
    if (strstr(q->url, "//registry/") != NULL) {
        stand_registry(s, q, c);
    } else {
        struct tm_buf body;
        tm_buf_init(&body, 16u << 20);
        tm_buf_add(&body, q->body, q->body_bytes);
        assert_non_null(s->answer);
        s->calls++;
        c->status = s->answer(s->self, q->method, q->url, tm_buf_text(&body), &c->body);
        tm_buf_free(&body);
    }
    *out = c;
    http->counts.calls++;
    return TM_OK;
}

static void stand_drop(struct tm_http *http, struct tm_http_call *c)
{
    (void)http;
    if (c == NULL)
        return;
    tm_buf_free(&c->body);
    free(c);
}

static enum tm_code stand_poll(struct tm_http *http, struct tm_http_call *c,
                               struct tm_http_reply *reply, struct tm_err *err)
{
    struct stand *s = (struct stand *)http;
    if (c->polls++ == 0)
        return TM_E_AGAIN;
    enum tm_code rc = TM_OK;
    tm_buf_reset(&reply->headers);
    tm_buf_reset(&reply->body);
    reply->status = c->status;
    reply->started_ns = reply->done_ns = s->now.wall_ns;
    tm_buf_add(&reply->body, tm_buf_text(&c->body), c->body.bytes);
    if (c->status == 0)
        rc = tm_fail_retry(err, TM_E_IO, "the connection broke");
    stand_drop(http, c);
    return rc;
}

void stand_open(struct stand *s)
{
    static const struct tm_http_ops ops = { stand_start, stand_poll, stand_drop, NULL };
    struct tm_err err = { .code = TM_OK };
    struct tm_kafka_options writer = { .client_id = "test" };
    memset(s, 0, sizeof *s);
    s->http.ops = &ops;
    s->now = (struct tm_now){ .org_ms = 1772438400000, .wall_ns = 5 * TM_NS_PER_S };
    assert_int_equal(tm_mem_broker_open(&s->broker, &err), TM_OK);
    assert_int_equal(tm_topic_mem_open(&s->writer, s->broker, &writer, &err), TM_OK);
    assert_int_equal(tm_registry_open(&s->registry, &s->http, "http://registry", &err), TM_OK);
}

void stand_close(struct stand *s)
{
    tm_registry_close(s->registry);
    s->writer->ops->close(s->writer);
    tm_mem_broker_close(s->broker);
    for (size_t i = 0; i < s->schemas_count; i++) {
        free(s->schemas[i]);
        tm_avro_schema_close(s->parsed[i]);
    }
}

static struct tm_avro_schema *stand_schema(struct stand *s, size_t id)
{
    struct tm_err err = { .code = TM_OK };
    assert_true(id >= 1 && id <= s->schemas_count);
    if (s->parsed[id - 1] == NULL &&
        tm_avro_schema_parse(&s->parsed[id - 1], s->schemas[id - 1], strlen(s->schemas[id - 1]),
                             &err) != TM_OK)
        fail_msg("schema: %s", err.msg);
    return s->parsed[id - 1];
}

static struct tm_value stand_value(const json_t *j, char **text)
{
    if (json_is_string(j))
        return tm_value_of_text(json_string_value(j));
    if (json_is_integer(j))
        return tm_value_of_int(json_integer_value(j));
    if (json_is_real(j))
        return tm_value_of_double(json_real_value(j));
    if (json_is_boolean(j))
        return tm_value_of_bool(json_is_true(j));
    if (j == NULL || json_is_null(j))
        return (struct tm_value){ .kind = TM_V_NULL };
    *text = json_dumps(j, JSON_COMPACT);
    return tm_value_of_json(*text);
}

void stand_put_raw(struct stand *s, const char *topic, int32_t partition, const char *key,
                   const char *bytes, size_t count)
{
    struct tm_err err = { .code = TM_OK };
    if (s->writer->ops->produce(s->writer, topic, partition, key, key != NULL ? strlen(key) : 0,
                                bytes, count, &err) != TM_OK)
        fail_msg("produce: %s", err.msg);
}

void stand_put(struct stand *s, const char *topic, int32_t partition, const char *key,
               const char *schema_text, json_t *values)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_value row[256];
    char *texts[256] = { NULL };
    const struct tm_avro_field *fields;
    struct tm_buf out;
    size_t i = 0;
    while (i < s->schemas_count && strcmp(s->schemas[i], schema_text) != 0)
        i++;
    if (i == s->schemas_count)
        s->schemas[s->schemas_count++] = strdup(schema_text);
    struct tm_avro_schema *schema = stand_schema(s, i + 1);
    size_t count = tm_avro_schema_fields(schema, &fields);
    assert_true(count < 256);
    for (size_t f = 0; f < count; f++)
        row[f] = stand_value(json_object_get(values, fields[f].name), &texts[f]);
    tm_buf_init(&out, 16u << 20);
    if (tm_avro_encode(schema, (int32_t)i + 1, &out, row, count, &err) != TM_OK)
        fail_msg("encode: %s", err.msg);
    stand_put_raw(s, topic, partition, key, out.data, out.bytes);
    tm_buf_free(&out);
    for (size_t f = 0; f < count; f++)
        free(texts[f]);
    json_decref(values);
}

json_t *stand_get(struct stand *s, const char *topic, int32_t partition, int64_t offset)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_record r;
    struct tm_row row;
    int32_t id = 0;
    if (!tm_mem_record(s->broker, topic, partition, offset, &r))
        return NULL;
    assert_int_equal(tm_avro_frame_id(&id, r.value, r.value_bytes, &err), TM_OK);
    tm_row_init(&row);
    if (tm_avro_decode(stand_schema(s, (size_t)id), &row, r.value, r.value_bytes, &err) != TM_OK)
        fail_msg("decode: %s", err.msg);
    json_t *out = json_object();
    for (size_t i = 0; i < row.cells_count; i++) {
        const struct tm_value *v = &row.cells[i].value;
        json_t *j = v->kind == TM_V_NULL     ? json_null()
                    : v->kind == TM_V_BOOL   ? json_boolean(v->as.b)
                    : v->kind == TM_V_INT    ? json_integer(v->as.i)
                    : v->kind == TM_V_DOUBLE ? json_real(v->as.d)
                    : v->kind == TM_V_TEXT   ? json_string(tm_value_text(v))
                                             : json_loads(tm_value_text(v), 0, NULL);
        json_object_set_new(out, row.cells[i].name, j);
    }
    json_object_set_new(out, "_key",
                        r.key != NULL ? json_stringn(r.key, r.key_bytes) : json_null());
    json_object_set_new(out, "_partition", json_integer(partition));
    tm_row_free(&row);
    return out;
}

json_t *stand_all(struct stand *s, const char *topic)
{
    json_t *out = json_array();
    struct tm_err err = { .code = TM_OK };
    int32_t count = 0;
    assert_int_equal(s->writer->ops->partitions(s->writer, topic, &count, &err), TM_OK);
    for (int32_t p = 0; p < count; p++)
        for (int64_t o = 0; o < tm_mem_high(s->broker, topic, p); o++)
            json_array_append_new(out, stand_get(s, topic, p, o));
    return out;
}
