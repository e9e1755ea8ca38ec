/* bulk_rows: one row of a query as Bulk writes it. CSV: every value in quotes, a quote doubled,
 * null = "", datetimes with Z. JSON: datetimes and dates as milliseconds since 1970. XML: sObject
 * records, null = xsi:nil. Facts: salesforce-wire.md 5.1, 5.2 (JSON times: simple-salesforce's Bulk
 * reading, unverified). */
#include "mocks/salesforce/bulk_impl.h"
#include "mocks/salesforce/xml.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A column's name between the quotes of its JSON key: "Name": */
static void rows_name(struct tm_buf *out, const struct tm_soql_column *c)
{
    size_t bytes = strlen(c->key);
    assert(bytes > 3 && c->key[0] == '"');
    tm_buf_add(out, c->key + 1, bytes - 3);
}

static const struct tm_soql_column *rows_related(const struct tm_soql_plan *plan, int relation)
{
    for (size_t i = 0; i < plan->columns_count; i++)
        if (plan->columns[i].shape == TM_SOQL_RELATED && plan->columns[i].relation == relation)
            return &plan->columns[i];
    return NULL;
}

/* ---- CSV ---- */

static void rows_csv_between(struct tm_buf *out, const struct bulk_form *form, bool *first)
{
    if (!*first)
        tm_buf_addc(out, form->delimiter);
    *first = false;
}

/* "Account.Owner." */
static void rows_path(struct tm_buf *out, const struct tm_soql_plan *plan, int relation, int depth)
{
    const struct tm_soql_column *by = relation >= 0 ? rows_related(plan, relation) : NULL;
    if (by == NULL || depth == TM_SOQL_LEVELS_MAX)
        return;
    rows_path(out, plan, by->parent, depth + 1);
    rows_name(out, by);
    tm_buf_addc(out, '.');
}

static void rows_csv_head(struct tm_buf *out, const struct bulk_form *form,
                          const struct tm_soql_plan *plan)
{
    bool first = true;
    for (size_t i = 0; i < plan->columns_count; i++) {
        const struct tm_soql_column *c = &plan->columns[i];
        if (c->shape != TM_SOQL_VALUE)
            continue;
        rows_csv_between(out, form, &first);
        tm_buf_addc(out, '"');
        rows_path(out, plan, c->relation, 0);
        rows_name(out, c);
        tm_buf_addc(out, '"');
    }
    tm_buf_addz(out, form->crlf ? "\r\n" : "\n");
}

static void rows_quoted(struct tm_buf *out, const char *text, size_t bytes)
{
    const char *end = text + bytes, *quote;
    while ((quote = memchr(text, '"', (size_t)(end - text))) != NULL) {
        tm_buf_add(out, text, (size_t)(quote - text) + 1);
        tm_buf_addc(out, '"');
        text = quote + 1;
    }
    tm_buf_add(out, text, (size_t)(end - text));
}

/* A value without quotes or escapes; text is not for this. */
static void rows_plain(struct tm_buf *out, enum tm_field_kind kind, const struct tm_soql_cell *v)
{
    char text[TM_TIME_BYTES];
    if (kind == TM_FIELD_BOOLEAN) {
        tm_buf_addz(out, (v->type == SQLITE_INTEGER ? v->i != 0 : v->d != 0) ? "true" : "false");
    } else if (kind == TM_FIELD_DATETIME && v->type == SQLITE_INTEGER) {
        tm_buf_addz(out, tm_time_z(text, v->i));
    } else if (kind == TM_FIELD_NUMBER || v->type == SQLITE_FLOAT) {
        tm_soql_double(out, v->type == SQLITE_INTEGER ? (double)v->i : v->d);
    } else {
        snprintf(text, sizeof text, "%" PRId64, v->i);
        tm_buf_addz(out, text);
    }
}

static bool rows_is_text(const struct tm_soql_cell *v)
{
    return v->type == SQLITE_TEXT || v->type == SQLITE_BLOB;
}

static void rows_csv(struct tm_buf *out, const struct bulk_form *form,
                     const struct tm_soql_plan *plan, const struct tm_soql_cell *cells)
{
    bool first = true;
    for (size_t i = 0; i < plan->columns_count; i++) {
        const struct tm_soql_column *c = &plan->columns[i];
        if (c->shape != TM_SOQL_VALUE)
            continue;
        const struct tm_soql_cell *v = &cells[c->sql_column];
        rows_csv_between(out, form, &first);
        tm_buf_addc(out, '"');
        if (rows_is_text(v))
            rows_quoted(out, v->text, v->bytes);
        else if (v->type != SQLITE_NULL)
            rows_plain(out, c->kind, v);
        tm_buf_addc(out, '"');
    }
    tm_buf_addz(out, form->crlf ? "\r\n" : "\n");
}

/* ---- JSON ---- */

static void rows_json_value(struct tm_buf *out, const struct tm_soql_column *c,
                            const struct tm_soql_cell *v)
{
    int32_t days = 0;
    char text[16];
    if (v->type == SQLITE_NULL) {
        tm_buf_addz(out, "null");
    } else if (c->kind == TM_FIELD_DATETIME && v->type == SQLITE_INTEGER) {
        tm_buf_addf(out, "%" PRId64, v->i);
    } else if (c->kind == TM_FIELD_DATE && rows_is_text(v)) {
        snprintf(text, sizeof text, "%.*s", (int)v->bytes, v->text);
        if (tm_date_parse(&days, text, NULL) == TM_OK)
            tm_buf_addf(out, "%" PRId64, (int64_t)days * 86400000);
        else
            tm_buf_addz(out, "null");
    } else if (rows_is_text(v)) {
        tm_buf_add_json_string(out, v->text, v->bytes);
    } else {
        rows_plain(out, c->kind, v);
    }
}

static void rows_json_columns(struct tm_buf *out, const struct tm_soql_plan *plan, int relation,
                              const struct tm_soql_cell *cells)
{
    for (size_t i = 0; i < plan->columns_count; i++) {
        const struct tm_soql_column *c = &plan->columns[i];
        bool related = c->shape == TM_SOQL_RELATED;
        if ((related ? c->parent : c->relation) != relation)
            continue;
        tm_buf_addc(out, ',');
        tm_buf_addz(out, c->key);
        if (!related) {
            rows_json_value(out, c, &cells[c->sql_column]);
        } else if (cells[c->sql_column].type == SQLITE_NULL) {
            tm_buf_addz(out, "null");
        } else {
            tm_buf_addf(out, "{\"attributes\":{\"type\":\"%s\"}", c->object);
            rows_json_columns(out, plan, c->relation, cells);
            tm_buf_addc(out, '}');
        }
    }
}

static void rows_json(struct tm_buf *out, const struct bulk_form *form,
                      const struct tm_soql_plan *plan, const struct tm_soql_cell *cells)
{
    tm_buf_addf(out,
                "{\"attributes\":{\"type\":\"%s\",\"url\":\"/services/data/v%s/sobjects/%s/%.*s\"}",
                plan->object, form->version, plan->object, (int)cells[0].bytes, cells[0].text);
    rows_json_columns(out, plan, -1, cells);
    tm_buf_addz(out, "},");
}

/* ---- XML ---- */

static void rows_xml_columns(struct tm_buf *out, const struct tm_soql_plan *plan, int relation,
                             const struct tm_soql_cell *cells)
{
    for (size_t i = 0; i < plan->columns_count; i++) {
        const struct tm_soql_column *c = &plan->columns[i];
        const struct tm_soql_cell *v = &cells[c->sql_column];
        bool related = c->shape == TM_SOQL_RELATED;
        if ((related ? c->parent : c->relation) != relation)
            continue;
        tm_buf_addc(out, '<');
        rows_name(out, c);
        if (v->type == SQLITE_NULL) {
            tm_buf_addz(out, " xsi:nil=\"true\"/>");
            continue;
        }
        if (related) {
            tm_buf_addf(out, " xsi:type=\"sObject\"><type>%s</type>", c->object);
            rows_xml_columns(out, plan, c->relation, cells);
        } else {
            tm_buf_addc(out, '>');
            if (rows_is_text(v))
                tm_xml_escape(out, v->text, v->bytes);
            else
                rows_plain(out, c->kind, v);
        }
        tm_buf_addz(out, "</");
        rows_name(out, c);
        tm_buf_addc(out, '>');
    }
}

/* ---- all three ---- */

void bulk_rows_head(struct tm_buf *out, const struct bulk_form *form,
                    const struct tm_soql_plan *plan)
{
    if (form->format == BULK_CSV)
        rows_csv_head(out, form, plan);
    else if (form->format == BULK_JSON)
        tm_buf_addc(out, '[');
    else
        tm_buf_addz(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><queryResult "
                         "xmlns=\"" BULK_NAMESPACE
                         "\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">");
}

const char *bulk_rows_tail(const struct bulk_form *form)
{
    return form->format == BULK_CSV ? "" : form->format == BULK_JSON ? "]" : "</queryResult>";
}

void bulk_rows_add(struct tm_buf *out, const struct bulk_form *form,
                   const struct tm_soql_plan *plan, const struct tm_soql_cell *cells)
{
    if (form->format == BULK_CSV) {
        rows_csv(out, form, plan, cells);
    } else if (form->format == BULK_JSON) {
        rows_json(out, form, plan, cells);
    } else {
        tm_buf_addf(out, "<records xsi:type=\"sObject\"><type>%s</type>", plan->object);
        rows_xml_columns(out, plan, -1, cells);
        tm_buf_addz(out, "</records>");
    }
}
