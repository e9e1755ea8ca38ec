/* bulk_ingest: records that a Bulk job writes: its data taken apart, written BULK_INGEST_SLICE a
 * call through the org's own write path (one transaction a call; an upsert one a record), and told
 * record by record. CSV: an empty value leaves a field alone, #N/A sets null. Facts: Bulk API
 * guide, "Prepare CSV Files", "View Batch Results", "Get Job Successful/Failed Record Results",
 * read 2026-11. */
#include "base/csv.h"
#include "mocks/salesforce/bulk_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INGEST_COLUMNS_MAX 800
#define INGEST_RESULT_BYTES_MAX (64u << 20)
#define INGEST_RECORD_BYTES 280 /* of memory: jansson's object, empty */
#define INGEST_VALUE_BYTES 130  /* a member of it, without its text */
#define INGEST_FULL "jobs that have not ended hold too much data: take less, or complete them"

static const char *const ingest_words[] = { "query", "insert", "update", "upsert", "delete" };

const char *bulk_op_word(enum bulk_op op)
{
    return ingest_words[op];
}

enum bulk_op bulk_op_of(const char *word)
{
    for (size_t i = BULK_INSERT; i <= BULK_DELETE; i++)
        if (strcasecmp(word, ingest_words[i]) == 0)
            return (enum bulk_op)i;
    return BULK_QUERY;
}

/* ---- data ---- */

static json_t *ingest_value(const struct tm_field *f, const struct tm_csv_field *csv)
{
    enum tm_field_kind kind = f != NULL ? f->kind : TM_FIELD_TEXT;
    char *end = NULL;
    if (strcmp(csv->text, "#N/A") == 0)
        return json_null();
    if (kind == TM_FIELD_BOOLEAN &&
        (strcasecmp(csv->text, "true") == 0 || strcmp(csv->text, "1") == 0))
        return json_true();
    if (kind == TM_FIELD_BOOLEAN &&
        (strcasecmp(csv->text, "false") == 0 || strcmp(csv->text, "0") == 0))
        return json_false();
    if (kind == TM_FIELD_INT || kind == TM_FIELD_NUMBER) {
        double d = strtod(csv->text, &end);
        json_t *number = kind == TM_FIELD_INT
                             ? json_integer((json_int_t)strtoll(csv->text, &end, 10))
                             : json_real(d);
        if (number != NULL && *end == '\0')
            return number;
        json_decref(number);
    }
    return json_stringn(csv->text, csv->bytes); /* what is wrong with it is told record by record */
}

struct ingest_data { /* records as they are read */
    struct tm_bulk *b;
    const struct tm_describe *d;
    struct bulk_job *job;
    json_t *rows;
    size_t bytes; /* about their memory */
    bool full;    /* there is no room for them */
    int64_t now_org_ms;
};

/* The name as the object spells it; another one as it came: the write refuses it. */
static const char *ingest_name(const struct tm_describe *d, const char *name)
{
    const struct tm_field *f = tm_describe_field(d, name);
    return f != NULL ? f->name : strcasecmp(name, "Id") == 0 ? "Id" : name;
}

static enum tm_code ingest_room(struct ingest_data *in, struct tm_err *err)
{
    in->full = !bulk_room(in->b, in->bytes, in->now_org_ms);
    return in->full ? tm_fail(err, TM_E_LIMIT, INGEST_FULL) : TM_OK;
}

/* One more record with so many values and bytes of text; takes it. */
static enum tm_code ingest_add(struct ingest_data *in, json_t *record, size_t values, size_t bytes,
                               struct tm_err *err)
{
    in->bytes += INGEST_RECORD_BYTES + values * INGEST_VALUE_BYTES + bytes;
    if (json_array_append_new(in->rows, record) != 0)
        return tm_fail(err, TM_E_NOMEM, "a batch of records");
    return json_array_size(in->rows) % BULK_INGEST_SLICE == 0 ? ingest_room(in, err) : TM_OK;
}

static enum tm_code ingest_header(struct ingest_data *in, const struct tm_csv_field *head,
                                  size_t columns, struct tm_err *err)
{
    json_t *seen = json_object();
    enum tm_code rc = TM_OK;
    if (columns == 0)
        rc = tm_fail(err, TM_E_PROTO,
                     "the data is empty: a CSV begins with the names of its fields");
    json_decref(in->job->columns);
    json_decref(in->job->fields);
    in->job->columns = json_array();
    in->job->fields = json_array();
    for (size_t i = 0; i < columns && rc == TM_OK; i++) {
        const char *name = ingest_name(in->d, head[i].text);
        if (json_object_get(seen, name) != NULL)
            rc = tm_fail(err, TM_E_PROTO, "column %zu of the header, %.80s, is there twice", i + 1,
                         name);
        else if (json_array_append_new(in->job->columns, json_string(head[i].text)) != 0 ||
                 json_array_append_new(in->job->fields, json_string(name)) != 0)
            rc = tm_fail(err, TM_E_PROTO, "column %zu of the header is no text", i + 1);
        json_object_set_new(seen, name, json_true());
    }
    json_decref(seen);
    return rc;
}

static enum tm_code ingest_row(struct ingest_data *in, const struct tm_csv_field *row, size_t count,
                               struct tm_err *err)
{
    size_t columns = json_array_size(in->job->fields), values = 0, bytes = 0;
    if (count != columns)
        return tm_fail(err, TM_E_PROTO, "row %zu has %zu values, the header %zu",
                       json_array_size(in->rows) + 1, count, columns);
    if (in->job->api == 1 && json_array_size(in->rows) == BULK_INGEST_ROWS_MAX)
        return tm_fail(err, TM_E_PROTO, "more than %d records in one batch", BULK_INGEST_ROWS_MAX);
    json_t *record = json_object();
    for (size_t i = 0; i < columns; i++) {
        const char *name = json_string_value(json_array_get(in->job->fields, i));
        if (row[i].bytes == 0)
            continue;
        json_object_set_new(record, name, ingest_value(tm_describe_field(in->d, name), &row[i]));
        bytes += row[i].bytes;
        values++;
    }
    return ingest_add(in, record, values, bytes, err);
}

static enum tm_code ingest_csv(struct ingest_data *in, char *text, size_t bytes, struct tm_err *err)
{
    struct tm_csv csv;
    struct tm_csv_field *row = calloc(INGEST_COLUMNS_MAX, sizeof *row);
    size_t count = 1;
    enum tm_code rc = row != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "a batch of records");
    tm_csv_init(&csv, text, bytes, in->job->form.delimiter);
    if (rc == TM_OK)
        rc = tm_csv_record(&csv, row, INGEST_COLUMNS_MAX, &count, err);
    if (rc == TM_OK)
        rc = ingest_header(in, row, count, err);
    while (rc == TM_OK && count > 0) {
        rc = tm_csv_record(&csv, row, INGEST_COLUMNS_MAX, &count, err);
        if (rc == TM_OK && count > 0)
            rc = ingest_row(in, row, count, err);
    }
    free(row);
    return rc == TM_E_LIMIT && !in->full ? TM_E_PROTO : rc; /* too many columns */
}

static enum tm_code ingest_json(struct ingest_data *in, const char *text, size_t bytes,
                                struct tm_err *err)
{
    json_error_t wrong;
    json_t *list = json_loadb(text, bytes, 0, &wrong), *row, *value;
    const char *key;
    size_t i;
    enum tm_code rc = TM_OK;
    if (!json_is_array(list) || json_array_size(list) > BULK_INGEST_ROWS_MAX)
        rc = tm_fail(err, TM_E_PROTO, "the data must be a JSON list of at most %d records",
                     BULK_INGEST_ROWS_MAX);
    in->bytes = rc == TM_OK ? bytes : 0;
    json_array_foreach(list, i, row)
    {
        if (rc == TM_OK && !json_is_object(row))
            rc = tm_fail(err, TM_E_PROTO, "record %zu is not an object", i);
        if (rc != TM_OK)
            break;
        json_t *record = json_object();
        json_object_foreach(row, key, value)
            json_object_set(record, ingest_name(in->d, key), value);
        rc = ingest_add(in, record, json_object_size(row), 0, err);
    }
    json_decref(list);
    return rc;
}

enum tm_code bulk_ingest_read(struct tm_bulk *b, struct bulk_job *job, const char *data,
                              size_t bytes, const struct tm_now *now, json_t **out,
                              size_t *out_bytes, struct tm_err *err)
{
    struct ingest_data in = { .b = b,
                              .d = tm_org_describe(b->org, job->object),
                              .job = job,
                              .rows = json_array(),
                              .now_org_ms = now->org_ms };
    char *copy = malloc(bytes + 1);
    enum tm_code rc =
        copy != NULL && in.rows != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "a batch of records");
    if (rc == TM_OK) {
        memcpy(copy, data, bytes);
        copy[bytes] = '\0';
        rc = job->form.format == BULK_CSV ? ingest_csv(&in, copy, bytes, err)
                                          : ingest_json(&in, copy, bytes, err);
    }
    free(copy);
    if (rc == TM_OK)
        rc = ingest_room(&in, err);
    if (rc == TM_OK) {
        *out = in.rows;
        *out_bytes = in.bytes;
    } else {
        json_decref(in.rows);
    }
    return rc;
}

/* ---- what is told of a record ---- */

static void ingest_cell(struct tm_buf *out, const struct bulk_form *form, const char *text,
                        bool first)
{
    if (!first)
        tm_buf_addc(out, form->delimiter);
    tm_buf_addc(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            tm_buf_addc(out, '"');
        tm_buf_addc(out, *text);
    }
    tm_buf_addc(out, '"');
}

/* CODE:message:fields -- */
static void ingest_error(char out[900], const struct tm_record *r)
{
    out[0] = '\0';
    if (r->code[0] != '\0')
        snprintf(out, 900, "%s:%s:%s --", r->code, r->message, r->about);
}

static void ingest_tell_csv(struct tm_buf *out, const struct bulk_form *form,
                            const struct tm_record *r)
{
    bool done = r->code[0] == '\0';
    char error[900];
    ingest_error(error, r);
    ingest_cell(out, form, r->id, true);
    ingest_cell(out, form, done ? "true" : "false", false);
    ingest_cell(out, form, done && r->kind == TM_ORG_CREATE ? "true" : "false", false);
    ingest_cell(out, form, error, false);
    tm_buf_addz(out, form->crlf ? "\r\n" : "\n");
}

static void ingest_tell_json(struct tm_buf *out, const struct tm_record *r)
{
    bool done = r->code[0] == '\0';
    json_t *errors = json_array(), *fields = json_array();
    char about[sizeof r->about], *save = NULL;
    snprintf(about, sizeof about, "%s", r->about);
    for (char *name = strtok_r(about, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save))
        json_array_append_new(fields, json_string(name));
    if (!done)
        json_array_append_new(errors,
                              json_pack("{s:s,s:O,s:s,s:n}", "message", r->message, "fields",
                                        fields, "statusCode", r->code, "extendedErrorDetails"));
    json_t *told =
        json_pack("{s:b,s:b,s:o,s:o}", "success", done, "created", done && r->kind == TM_ORG_CREATE,
                  "id", r->id[0] != '\0' ? json_string(r->id) : json_null(), "errors", errors);
    char *text = told != NULL ? json_dumps(told, JSON_COMPACT) : NULL;
    if (out->bytes > 0)
        tm_buf_addc(out, ',');
    tm_buf_addz(out, text != NULL ? text : "null");
    free(text);
    json_decref(told);
    json_decref(fields);
}

static void ingest_line_end(struct tm_buf *out, const struct bulk_form *form)
{
    tm_buf_addz(out, form->crlf ? "\r\n" : "\n");
}

/* As the value came; "" where the row had none. */
static void ingest_original(struct tm_buf *out, const struct bulk_form *form, const json_t *value,
                            bool first)
{
    char *text = NULL;
    if (value != NULL && !json_is_string(value) && !json_is_null(value))
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    ingest_cell(out, form,
                json_is_string(value) ? json_string_value(value)
                : json_is_null(value) ? "#N/A"
                : text != NULL        ? text
                                      : "",
                first);
    free(text);
}

void bulk_ingest_head(struct tm_buf *out, const struct bulk_job *job, bool good)
{
    json_t *name;
    size_t i;
    ingest_cell(out, &job->form, "sf__Id", true);
    ingest_cell(out, &job->form, good ? "sf__Created" : "sf__Error", false);
    json_array_foreach(job->columns, i, name)
        ingest_cell(out, &job->form, json_string_value(name), false);
    ingest_line_end(out, &job->form);
}

/* 2.0: sf__Id, sf__Created or sf__Error, and the record as it came. */
static void ingest_tell_whole(struct tm_buf *out, const struct bulk_job *job,
                              const struct tm_record *r, const json_t *row)
{
    const struct bulk_form *form = &job->form;
    bool done = r->code[0] == '\0';
    json_t *name;
    size_t i;
    char error[900];
    ingest_error(error, r);
    if (out->bytes == 0)
        bulk_ingest_head(out, job, done);
    ingest_cell(out, form, r->id, true);
    ingest_cell(out, form, !done ? error : r->kind == TM_ORG_CREATE ? "true" : "false", false);
    json_array_foreach(job->fields, i, name)
        ingest_original(out, form, json_object_get(row, json_string_value(name)), false);
    ingest_line_end(out, form);
}

void bulk_ingest_left(const struct bulk_run *run, struct tm_buf *out)
{
    const struct bulk_job *job = run->job;
    json_t *name;
    size_t i;
    if (json_array_size(job->columns) == 0)
        return; /* its data had no header */
    json_array_foreach(job->columns, i, name)
        ingest_cell(out, &job->form, json_string_value(name), i == 0);
    ingest_line_end(out, &job->form);
    for (size_t at = (size_t)run->rows; at < json_array_size(run->data); at++) {
        const json_t *row = json_array_get(run->data, at);
        json_array_foreach(job->fields, i, name)
            ingest_original(out, &job->form, json_object_get(row, json_string_value(name)), i == 0);
        ingest_line_end(out, &job->form);
    }
}

static void ingest_tell(struct bulk_run *run, const struct tm_record *r, const json_t *row)
{
    const struct bulk_job *job = run->job;
    bool done = r->code[0] == '\0';
    run->failed += !done;
    run->rows++;
    if (job->api == 3)
        ingest_tell_whole(&run->told[done ? 0 : 1], job, r, row);
    else if (job->form.format == BULK_CSV)
        ingest_tell_csv(&run->told[0], &job->form, r);
    else
        ingest_tell_json(&run->told[0], r);
}

/* ---- writing ---- */

/* What the row asks for; refused when it lacks its id, or its key means several records. */
static enum tm_code ingest_record(struct tm_bulk *b, const struct bulk_job *job, const json_t *row,
                                  struct tm_record *r, struct tm_err *err)
{
    const char *id = json_string_value(json_object_get(row, "Id"));
    bool by_id = job->op != BULK_UPSERT || strcasecmp(job->key, "Id") == 0;
    json_t *found = NULL;
    *r = (struct tm_record){ .kind = job->op == BULK_DELETE   ? TM_ORG_DELETE
                                     : job->op == BULK_INSERT ? TM_ORG_CREATE
                                                              : TM_ORG_UPDATE,
                             .object = job->object,
                             .fields = job->op == BULK_DELETE ? NULL : row };
    if (job->op == BULK_INSERT)
        return TM_OK;
    if (by_id && id != NULL && tm_id18(r->id, id, NULL) != TM_OK) {
        tm_record_refuse(r, "MALFORMED_ID", "Id", "%s: id value of incorrect type: %.40s",
                         job->object, id);
    } else if (by_id && id == NULL && job->op == BULK_UPSERT) {
        r->kind = TM_ORG_CREATE;
    } else if (by_id && id == NULL) {
        tm_record_refuse(r, "MISSING_ARGUMENT", "Id", "Id not specified in an update call");
    } else if (!by_id) {
        const json_t *value = json_object_get(row, job->key);
        enum tm_code rc = value != NULL
                              ? tm_record_find(b->org, job->object, job->key, value, 2, &found, err)
                              : TM_OK;
        if (rc != TM_OK && rc != TM_E_ARG) /* locked or broken, which says nothing of the row */
            return rc;
        if (value == NULL || rc != TM_OK)
            tm_record_refuse(r, value == NULL ? "MISSING_ARGUMENT" : "INVALID_FIELD", job->key,
                             "%s not specified", job->key);
        else if (json_array_size(found) > 1)
            tm_record_refuse(r, "DUPLICATE_EXTERNAL_ID", job->key,
                             "%s: more than one record found for external id field", job->key);
        else if (json_array_size(found) == 1)
            snprintf(r->id, sizeof r->id, "%s", json_string_value(json_array_get(found, 0)));
        else
            r->kind = TM_ORG_CREATE;
        tm_err_clear(err);
        json_decref(found);
    }
    return TM_OK;
}

/* Records [from, from + count) of the run: refused ones are left out of the write. */
static enum tm_code ingest_write(struct tm_bulk *b, struct bulk_run *run, size_t from, size_t count,
                                 struct tm_record *records, const struct tm_now *now,
                                 struct tm_err *err)
{
    char origin[64];
    struct tm_record good[BULK_INGEST_SLICE];
    json_t *bare[BULK_INGEST_SLICE] = { NULL };
    size_t at[BULK_INGEST_SLICE], good_count = 0;
    snprintf(origin, sizeof origin, "com/salesforce/api/bulk/%s", run->job->version);
    const struct tm_record_who who = { .now = now, .origin = origin };
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < count && rc == TM_OK; i++) {
        json_t *row = json_array_get(run->data, from + i);
        rc = ingest_record(b, run->job, row, &records[i], err);
        if (records[i].kind ==
            TM_ORG_UPDATE) { /* the id says which record, and is no field of it */
            bare[i] = json_copy(row);
            json_object_del(bare[i], "Id");
            records[i].fields = bare[i];
        }
        if (records[i].code[0] == '\0') {
            at[good_count] = i;
            good[good_count++] = records[i];
        }
    }
    if (rc == TM_OK && good_count > 0)
        rc = tm_record_write(b->org, good, good_count, false, &who, err);
    for (size_t i = 0; i < good_count; i++)
        records[at[i]] = good[i];
    for (size_t i = 0; i < count; i++)
        json_decref(bare[i]);
    return rc;
}

static void ingest_hold(struct tm_bulk *b, struct bulk_run *run)
{
    bulk_hold(b, &run->held_bytes, run->data_bytes + run->told[0].cap + run->told[1].cap);
}

/* True: all of the run's records are written. */
static enum tm_code ingest_slice(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now,
                                 bool *out_done, struct tm_err *err)
{
    struct tm_record records[BULK_INGEST_SLICE];
    size_t total = json_array_size(run->data), from = (size_t)run->rows;
    size_t count = total - from < BULK_INGEST_SLICE ? total - from : BULK_INGEST_SLICE;
    size_t step = run->job->op == BULK_UPSERT ? 1 : BULK_INGEST_SLICE;
    enum tm_code rc = TM_OK;
    for (size_t done = 0; done < count && rc == TM_OK; done += step) {
        size_t some = count - done < step ? count - done : step;
        rc = ingest_write(b, run, from + done, some, records, now, err);
        for (size_t i = 0; i < some && rc == TM_OK; i++)
            ingest_tell(run, &records[i], json_array_get(run->data, from + done + i));
    }
    for (size_t i = 0; i < 2 && rc == TM_OK; i++)
        rc = tm_buf_check(&run->told[i], "results of a Bulk job", err);
    ingest_hold(b, run);
    if (rc == TM_OK && !bulk_room(b, 0, now->org_ms))
        rc = tm_fail(err, TM_E_LIMIT, INGEST_FULL);
    *out_done = (size_t)run->rows == total;
    return rc;
}

void bulk_ingest_slice(struct tm_bulk *b, struct bulk_run *run, const struct tm_now *now)
{
    struct tm_err err = { .code = TM_OK };
    bool done = false;
    enum tm_code rc = ingest_slice(b, run, now, &done, &err);
    if (rc == TM_E_AGAIN) /* org.db is held by a reader's checkpoint: next step will do */
        return;
    bulk_run_over(b, run, rc, &err, done, now);
}

void bulk_ingest_open(struct tm_bulk *b, struct bulk_run *run, json_t *data, size_t data_bytes)
{
    run->data = data;
    run->data_bytes = data_bytes;
    for (size_t i = 0; i < 2; i++)
        tm_buf_init(&run->told[i], INGEST_RESULT_BYTES_MAX);
    ingest_hold(b, run);
}

void bulk_ingest_end(struct tm_bulk *b, struct bulk_run *run)
{
    if (run->data == NULL || (run->state != BULK_DONE && run->job->api == 3))
        return;
    json_decref(run->data);
    run->data = NULL;
    run->data_bytes = 0;
    ingest_hold(b, run);
}

void bulk_ingest_free(struct tm_bulk *b, struct bulk_run *run)
{
    bulk_hold(b, &run->held_bytes, 0);
    json_decref(run->data);
    for (size_t i = 0; i < 2; i++)
        tm_buf_free(&run->told[i]);
}
