#include "reconcile/read.h"
#include "event/contract.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_PLAIN 9       /* fields of the recon schema before its columns */
#define READ_ID_ENCODED 27 /* 'id', as it stands in a URL: %27 + 18 + %27%2C */
#define READ_MARGIN 128
#define READ_VALUE_BYTES_MAX (16u << 20)

enum read_state {
    READ_DESCRIBE,
    READ_REGISTER,
    READ_PARTITIONS,
    READ_QUERY,
    READ_EMIT,
    READ_DELETED,
    READ_PURGED,
    READ_MISSING,
    READ_END,
    READ_FLUSH
};
struct tm_read {
    struct tm_read_ports ports;
    const struct tm_read_ask *ask;
    char read_id[80];
    int64_t read_seq;
    enum read_state state;
    struct tm_describe *describe;
    const struct tm_field **columns;
    size_t columns_count;
    bool has_deleted;        /* the object has IsDeleted; User, for one, has not */
    struct tm_value *values; /* [READ_PLAIN + columns_count] */
    struct tm_avro_schema *schema;
    int32_t schema_id;
    struct tm_buf schema_text, soql, value, arena;
    char subject[TM_TOPIC_NAME_MAX + 8];
    struct tm_sf_query *query;
    struct tm_sf_bulk *bulk;    /* many rows: instead of query */
    bool many, refused;         /* a Bulk job is to read them; the org would not make one */
    struct tm_sf_call *deleted; /* getDeleted, when under way */
    size_t ids_asked;           /* ids [0, ids_asked) stand in a query already */
    bool *answered;             /* [ids->count] */
    json_t *page;
    size_t page_at;
    bool page_last;
    size_t missing_at;
    struct tm_idset seen; /* range and whole: ids answered, for the counts of `end` */
    int32_t partitions, end_at;
    int64_t per_partition[TM_READ_PARTITIONS_MAX];
    struct tm_read_counts counts;
};

int tm_position_compare(const struct tm_position *a, const struct tm_position *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return a->g == b->g ? 0 : a->g < b->g ? -1 : 1;
}

enum tm_code tm_read_open(struct tm_read **out, const struct tm_read_ports *ports,
                          const struct tm_read_ask *ask, const char *read_id, int64_t read_seq,
                          struct tm_err *err)
{
    struct tm_read *r = calloc(1, sizeof *r);
    if (r == NULL)
        return tm_fail(err, TM_E_NOMEM, "read: %zu bytes", sizeof *r);
    r->ports = *ports;
    r->ask = ask;
    r->read_seq = read_seq;
    snprintf(r->read_id, sizeof r->read_id, "%s", read_id);
    snprintf(r->subject, sizeof r->subject, "%s-value", ask->topic);
    tm_buf_init(&r->schema_text, 8u << 20);
    tm_buf_init(&r->soql, 1u << 20);
    tm_buf_init(&r->value, READ_VALUE_BYTES_MAX);
    tm_buf_init(&r->arena, 1u << 20);
    tm_idset_init(&r->seen, TM_READ_ROWS_MAX);
    if (ask->kind == TM_READ_IDS &&
        (r->answered = calloc(ask->ids->count + 1, sizeof *r->answered)) == NULL) {
        tm_read_close(r);
        return tm_fail(err, TM_E_NOMEM, "read of %zu ids", ask->ids->count);
    }
    *out = r;
    return TM_OK;
}

void tm_read_close(struct tm_read *r)
{
    if (r == NULL)
        return;
    tm_sf_query_close(r->query);
    tm_sf_bulk_close(r->bulk);
    tm_sf_call_close(r->deleted);
    json_decref(r->page);
    tm_avro_schema_close(r->schema);
    tm_describe_close(r->describe);
    tm_buf_free(&r->schema_text);
    tm_buf_free(&r->soql);
    tm_buf_free(&r->value);
    tm_buf_free(&r->arena);
    tm_idset_free(&r->seen);
    free(r->answered);
    free(r->values);
    free(r->columns);
    free(r);
}

const struct tm_read_counts *tm_read_counts(const struct tm_read *r)
{
    return &r->counts;
}

/* ---- before the query ---- */

static enum tm_code read_describe(struct tm_read *r, const struct tm_now *now, struct tm_err *err)
{
    enum tm_code rc = tm_sf_describe(r->ports.session, now, &r->describe, r->ask->object, err);
    if (rc != TM_OK)
        return rc;
    r->counts.calls++;
    const struct tm_describe *d = r->describe;
    r->columns = calloc(d->fields_count + 1, sizeof *r->columns);
    r->values = calloc(d->fields_count + READ_PLAIN, sizeof *r->values);
    if (r->columns == NULL || r->values == NULL)
        return tm_fail(err, TM_E_NOMEM, "read of %s", r->ask->object);
    for (size_t i = 0; i < d->fields_count; i++)
        if (tm_contract_column(&d->fields[i]))
            r->columns[r->columns_count++] = &d->fields[i];
    r->has_deleted = tm_describe_field(d, "IsDeleted") != NULL;
    rc = tm_contract_schema_recon(&r->schema_text, d, err);
    if (rc == TM_OK)
        rc = tm_avro_schema_parse(&r->schema, tm_buf_text(&r->schema_text), r->schema_text.bytes,
                                  err);
    if (rc == TM_OK) {
        const struct tm_avro_field *fields;
        size_t count = tm_avro_schema_fields(r->schema, &fields);
        assert(count == READ_PLAIN + r->columns_count &&
               strcmp(fields[READ_PLAIN - 1].name, "_partitions") == 0);
        (void)count;
        r->state = READ_REGISTER;
    }
    return rc;
}

static void read_select(struct tm_read *r)
{
    tm_buf_reset(&r->soql);
    tm_buf_addz(&r->soql, "SELECT Id");
    if (r->has_deleted)
        tm_buf_addz(&r->soql, ",IsDeleted");
    for (size_t i = 0; i < r->columns_count; i++)
        tm_buf_addf(&r->soql, ",%s", r->columns[i]->name);
    tm_buf_addf(&r->soql, " FROM %s", r->describe->object);
}

/* As many ids as one request holds, from ids_asked on. */
static enum tm_code read_in_list(struct tm_read *r, struct tm_err *err)
{
    struct tm_buf encoded;
    tm_buf_init(&encoded, 1u << 20);
    tm_buf_addz(&r->soql, " WHERE Id IN (");
    tm_buf_add_urlencoded(&encoded, tm_buf_text(&r->soql));
    size_t room = encoded.bytes + READ_MARGIN < TM_SOQL_GET_BYTES_MAX
                      ? (TM_SOQL_GET_BYTES_MAX - encoded.bytes - READ_MARGIN) / READ_ID_ENCODED
                      : 0;
    tm_buf_free(&encoded);
    if (room == 0)
        return tm_fail(err, TM_E_LIMIT,
                       "%s has so many fields (%zu) that no id fits into a query beside them",
                       r->ask->object, r->columns_count);
    size_t last =
        r->ids_asked + room < r->ask->ids->count ? r->ids_asked + room : r->ask->ids->count;
    for (size_t i = r->ids_asked; i < last; i++)
        tm_buf_addf(&r->soql, "%s'%s'", i > r->ids_asked ? "," : "", r->ask->ids->ids[i]);
    tm_buf_addc(&r->soql, ')');
    r->ids_asked = last;
    return TM_OK;
}

/* queryAll shows soft-deleted rows, which answer `removed`; a whole read removes what it does not
 * return (R16), so that a plain query does, unless the user does not see all. */
static enum tm_code read_query(struct tm_read *r, struct tm_err *err)
{
    const struct tm_read_ask *ask = r->ask;
    enum tm_code rc = TM_OK;
    bool all = r->has_deleted && (ask->kind != TM_READ_WHOLE || !ask->sees_all);
    read_select(r);
    if (ask->kind == TM_READ_IDS) {
        rc = read_in_list(r, err);
    } else {
        char from[TM_TIME_BYTES];
        if (ask->kind == TM_READ_RANGE)
            tm_buf_addf(&r->soql, " WHERE SystemModstamp >= %s", tm_time_z(from, ask->from_ms));
        if (!r->many)
            tm_buf_addz(&r->soql, " ORDER BY Id");
    }
    if (rc == TM_OK)
        rc = tm_buf_check(&r->soql, "SOQL", err);
    if (rc == TM_OK && r->many)
        return tm_sf_bulk_open(&r->bulk, r->ports.session, tm_buf_text(&r->soql), all,
                               ask->bulk_page_rows, r->describe, NULL, err);
    if (rc == TM_OK)
        rc = tm_sf_query_open(&r->query, r->ports.session, tm_buf_text(&r->soql), all, 0, err);
    return rc;
}

static void read_query_over(struct tm_read *r)
{
    if (r->query != NULL)
        r->counts.calls += tm_sf_query_calls(r->query);
    if (r->bulk != NULL)
        r->counts.calls += tm_sf_bulk_calls(r->bulk);
    tm_sf_query_close(r->query);
    tm_sf_bulk_close(r->bulk);
    r->query = NULL;
    r->bulk = NULL;
}

/* The first page says that there are too many rows to read page by page. */
static bool read_is_large(const struct tm_read *r)
{
    const struct tm_read_ask *ask = r->ask;
    return r->query != NULL && ask->kind != TM_READ_IDS && ask->bulk_rows_min > 0 && !r->refused &&
           tm_sf_query_total(r->query) >= ask->bulk_rows_min;
}

/* No job was made, and trying again cannot help: Bulk is off, used up for today, or will not do for
 * this object. Nothing has been answered yet. */
static bool read_job_refused(const struct tm_read *r, const struct tm_err *err)
{
    return r->bulk != NULL && tm_sf_bulk_place(r->bulk)->job[0] == '\0' && !err->retriable &&
           err->code == TM_E_PROTO && strcmp(tm_sf_bulk_error(r->bulk), "INVALID_FIELD") != 0;
}

/* The next page into r->page. */
static enum tm_code read_page(struct tm_read *r, const struct tm_now *now, struct tm_err *err)
{
    enum tm_code rc = r->query != NULL || r->bulk != NULL ? TM_OK : read_query(r, err);
    if (rc == TM_OK)
        rc = r->bulk != NULL ? tm_sf_bulk_next(r->bulk, now, &r->page, &r->page_last, err)
                             : tm_sf_query_next(r->query, now, &r->page, &r->page_last, err);
    if (rc != TM_OK && rc != TM_E_AGAIN && read_job_refused(r, err)) {
        tm_err_clear(err);
        read_query_over(r);
        r->many = false;
        r->refused = true;
        return TM_OK;
    }
    if (rc != TM_OK)
        return rc;
    if (!r->many && read_is_large(r)) {
        json_decref(r->page);
        r->page = NULL;
        read_query_over(r);
        r->many = true;
        r->counts.jobs++;
        return TM_OK;
    }
    r->page_at = 0;
    if (r->page_last)
        read_query_over(r);
    r->state = READ_EMIT;
    return TM_OK;
}

int64_t tm_read_next_at(const struct tm_read *r)
{
    return r->bulk != NULL ? tm_sf_bulk_next_at(r->bulk) : TM_NEVER;
}

/* ---- answers ---- */

static const char *read_kind_word(const struct tm_read_ask *ask)
{
    if (ask->kind == TM_READ_IDS)
        return "ids";
    return ask->kind == TM_READ_WHOLE && ask->sees_all ? "whole" : "range";
}

/* Produces r->values, whose columns are filled or NULL. count < 0: not an end. */
static enum tm_code read_produce(struct tm_read *r, const char *id, const char *kind,
                                 const struct tm_position *at, int32_t partition, int64_t count,
                                 struct tm_err *err)
{
    struct tm_value *v = r->values;
    v[0] = tm_value_of_text(id);
    v[1] = tm_value_of_text(kind);
    v[2] = tm_value_of_int(at->g);
    v[3] = tm_value_of_int(at->epoch);
    v[4] = tm_value_of_text(r->read_id);
    v[5] = tm_value_of_int(r->read_seq);
    v[6] = tm_value_of_text(read_kind_word(r->ask));
    v[7] = v[8] = (struct tm_value){ .kind = TM_V_NULL };
    if (count >= 0) {
        v[7] = tm_value_of_int(count);
        v[8] = tm_value_of_int(r->partitions);
    }
    tm_buf_reset(&r->value);
    enum tm_code rc =
        tm_avro_encode(r->schema, r->schema_id, &r->value, v, READ_PLAIN + r->columns_count, err);
    if (rc != TM_OK)
        return tm_at(err, "answer %s of %s", id, r->ask->object);
    return r->ports.topic->ops->produce(r->ports.topic, r->ask->topic, partition, id, strlen(id),
                                        r->value.data, r->value.bytes, err);
}

static void read_columns_clear(struct tm_read *r)
{
    for (size_t i = 0; i < r->columns_count; i++)
        r->values[READ_PLAIN + i].kind = TM_V_NULL;
}

static enum tm_code read_columns_fill(struct tm_read *r, const json_t *row, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    tm_buf_reset(&r->arena);
    for (size_t i = 0; rc == TM_OK && i < r->columns_count; i++)
        rc = tm_contract_value(&r->values[READ_PLAIN + i], &r->arena, r->columns[i],
                               json_object_get(row, r->columns[i]->name), err);
    return rc;
}

/* For the counts of `end`. */
static enum tm_code read_count(struct tm_read *r, const char *id, struct tm_err *err)
{
    size_t index = 0;
    bool fresh = false;
    enum tm_code rc = tm_idset_add(&r->seen, id, &index, &fresh, err);
    if (rc == TM_OK && fresh)
        r->per_partition[tm_topic_partition(id, strlen(id), r->partitions)]++;
    return rc;
}

static enum tm_code read_answer(struct tm_read *r, const json_t *row, struct tm_err *err)
{
    const struct tm_position *at = &r->ask->at;
    char id[TM_ID_BYTES];
    size_t index = 0;
    const char *text = json_string_value(json_object_get(row, "Id"));
    if (text == NULL || tm_id18(id, text, err) != TM_OK)
        return text != NULL ? tm_at(err, "row of %s", r->ask->object)
                            : tm_fail(err, TM_E_PROTO, "a row of %s has no Id", r->ask->object);
    if (r->ask->kind == TM_READ_IDS) {
        if (!tm_idset_find(r->ask->ids, id, &index) || r->answered[index])
            return TM_OK;
        at = &r->ask->positions[index];
    }
    bool removed = json_is_true(json_object_get(row, "IsDeleted"));
    read_columns_clear(r);
    enum tm_code rc = removed ? TM_OK : read_columns_fill(r, row, err);
    if (rc == TM_OK)
        rc = read_produce(r, id, removed ? "removed" : "image", at, -1, -1, err);
    if (rc != TM_OK)
        return rc;
    *(removed ? &r->counts.removed : &r->counts.images) += 1;
    if (r->ask->kind != TM_READ_IDS)
        return read_count(r, id, err);
    r->answered[index] = true;
    return TM_OK;
}

static enum tm_code read_emit(struct tm_read *r, struct tm_err *err)
{
    size_t count = json_array_size(r->page);
    for (; r->page_at < count; r->page_at++) {
        enum tm_code rc = read_answer(r, json_array_get(r->page, r->page_at), err);
        if (rc != TM_OK)
            return rc;
    }
    json_decref(r->page);
    r->page = NULL;
    bool more_ids = r->ask->kind == TM_READ_IDS && r->ids_asked < r->ask->ids->count;
    r->state = !r->page_last || more_ids       ? READ_QUERY
               : r->ask->kind == TM_READ_IDS   ? READ_MISSING
               : r->ask->kind == TM_READ_RANGE ? READ_DELETED
                                               : READ_END;
    return TM_OK;
}

/* Asked after the rows: an id they showed is never taken away by an older delete. A later delete
 * that is listed too has an event of its own, beyond the answered position. */
static enum tm_code read_deleted(struct tm_read *r, const struct tm_now *now, bool *out_untold,
                                 struct tm_err *err)
{
    const struct tm_read_ask *ask = r->ask;
    struct tm_sf_deleted answer = { .records = NULL };
    char covered[TM_TIME_BYTES], wanted[TM_TIME_BYTES];
    enum tm_code rc = TM_OK;
    if (r->deleted == NULL)
        rc = tm_sf_deleted_start(&r->deleted, r->ports.session, ask->object, ask->from_ms,
                                 ask->until_ms, err);
    if (rc == TM_OK)
        rc = tm_sf_deleted_poll(r->deleted, now, &answer, err);
    if (rc == TM_E_AGAIN)
        return rc;
    if (r->deleted != NULL)
        r->counts.calls += tm_sf_call_attempts(r->deleted);
    tm_sf_call_close(r->deleted);
    r->deleted = NULL;
    if (rc != TM_OK) {
        *out_untold = !err->retriable && rc != TM_E_NOMEM;
        return rc;
    }
    if (answer.earliest_available_ms > ask->from_ms) {
        *out_untold = true;
        rc = tm_fail(err, TM_E_GAP, "getDeleted of %s reaches back to %s only, not to %s",
                     ask->object, tm_time_z(covered, answer.earliest_available_ms),
                     tm_time_z(wanted, ask->from_ms));
    } else if (answer.latest_covered_ms < ask->until_ms) {
        rc = tm_fail_retry(err, TM_E_IO, "getDeleted of %s covers the time until %s only, not %s",
                           ask->object, tm_time_z(covered, answer.latest_covered_ms),
                           tm_time_z(wanted, ask->until_ms));
    }
    if (rc != TM_OK) {
        json_decref(answer.records);
        return rc;
    }
    r->page = answer.records;
    r->page_at = 0;
    r->state = READ_PURGED;
    return TM_OK;
}

static enum tm_code read_purged(struct tm_read *r, struct tm_err *err)
{
    char id[TM_ID_BYTES];
    size_t count = json_array_size(r->page), index = 0;
    read_columns_clear(r);
    for (; r->page_at < count; r->page_at++) {
        const char *text =
            json_string_value(json_object_get(json_array_get(r->page, r->page_at), "id"));
        if (text == NULL || tm_id18(id, text, NULL) != TM_OK)
            return tm_fail(err, TM_E_PROTO, "getDeleted of %s: an entry without a record id",
                           r->ask->object);
        if (tm_idset_find(&r->seen, id, &index))
            continue;
        enum tm_code rc = read_produce(r, id, "removed", &r->ask->at, -1, -1, err);
        if (rc == TM_OK)
            rc = read_count(r, id, err);
        if (rc != TM_OK)
            return rc;
        r->counts.removed++;
    }
    json_decref(r->page);
    r->page = NULL;
    r->state = READ_END;
    return TM_OK;
}

static enum tm_code read_missing(struct tm_read *r, struct tm_err *err)
{
    read_columns_clear(r);
    for (; r->missing_at < r->ask->ids->count; r->missing_at++) {
        if (r->answered[r->missing_at])
            continue;
        enum tm_code rc = read_produce(r, r->ask->ids->ids[r->missing_at],
                                       r->ask->sees_all ? "removed" : "unreadable",
                                       &r->ask->positions[r->missing_at], -1, -1, err);
        if (rc != TM_OK)
            return rc;
        *(r->ask->sees_all ? &r->counts.removed : &r->counts.unreadable) += 1;
    }
    r->state = READ_FLUSH;
    return TM_OK;
}

static enum tm_code read_end(struct tm_read *r, struct tm_err *err)
{
    read_columns_clear(r);
    for (; r->end_at < r->partitions; r->end_at++) {
        enum tm_code rc = read_produce(r, r->describe->object, "end", &r->ask->at, r->end_at,
                                       r->per_partition[r->end_at], err);
        if (rc != TM_OK)
            return rc;
        r->counts.ends++;
    }
    r->state = READ_FLUSH;
    return TM_OK;
}

static enum tm_code read_partitions(struct tm_read *r, struct tm_err *err)
{
    enum tm_code rc =
        r->ports.topic->ops->partitions(r->ports.topic, r->ask->topic, &r->partitions, err);
    if (rc != TM_OK)
        return rc;
    if (r->partitions > TM_READ_PARTITIONS_MAX)
        return tm_fail(err, TM_E_LIMIT, "topic %s has more than %d partitions", r->ask->topic,
                       TM_READ_PARTITIONS_MAX);
    r->state = READ_QUERY;
    return TM_OK;
}

enum tm_code tm_read_step(struct tm_read *r, const struct tm_now *now, struct tm_read_news *out,
                          struct tm_err *err)
{
    enum tm_code rc = TM_E_AGAIN;
    bool producing = false, fatal = false, untold = false;
    switch (r->state) {
    case READ_DESCRIBE: rc = read_describe(r, now, err); break;
    case READ_REGISTER:
        rc = tm_registry_register(r->ports.registry, now, &r->schema_id, r->subject,
                                  tm_buf_text(&r->schema_text), err);
        fatal = rc != TM_E_IO;
        if (rc == TM_OK)
            r->state = READ_PARTITIONS;
        break;
    case READ_PARTITIONS:
        rc = read_partitions(r, err);
        fatal = err->code == TM_E_ARG;
        break;
    case READ_QUERY: rc = read_page(r, now, err); break;
    case READ_EMIT:
        rc = read_emit(r, err);
        producing = true;
        break;
    case READ_DELETED: rc = read_deleted(r, now, &untold, err); break;
    case READ_PURGED:
        rc = read_purged(r, err);
        producing = true;
        break;
    case READ_MISSING:
        rc = read_missing(r, err);
        producing = true;
        break;
    case READ_END:
        rc = read_end(r, err);
        producing = true;
        break;
    case READ_FLUSH:
        *out = (struct tm_read_news){ .moved = false };
        return r->ports.topic->ops->flush(r->ports.topic, err);
    }
    if (producing && rc == TM_E_AGAIN) { /* room comes when deliveries are served */
        enum tm_code flushed = r->ports.topic->ops->flush(r->ports.topic, err);
        if (flushed != TM_OK && flushed != TM_E_AGAIN)
            rc = flushed;
    }
    out->untold = untold;
    out->fatal = fatal && rc != TM_OK && rc != TM_E_AGAIN;
    out->moved = rc == TM_OK;
    return rc == TM_OK ? TM_E_AGAIN
                       : rc; /* acknowledgements are asked for in a step of their own */
}
