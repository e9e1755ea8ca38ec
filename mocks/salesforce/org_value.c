#include "mocks/salesforce/org_impl.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum tm_code tm_org_refuse(struct tm_org *org, const char *code, const char *field,
                           struct tm_err *err, const char *fmt, ...)
{
    char text[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tm_text_cut(text);
    snprintf(org->error_code, sizeof org->error_code, "%s", code);
    snprintf(org->error_field, sizeof org->error_field, "%.95s", field);
    tm_text_cut(org->error_field);
    return tm_fail(err, TM_E_ARG, "%s", text);
}

const char *tm_org_error_code(const struct tm_org *org)
{
    return org->error_code;
}
const char *tm_org_error_field(const struct tm_org *org)
{
    return org->error_field;
}

bool org_value_equal(const struct tm_org_value *a, const struct tm_org_value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case TM_ORG_NULL: return true;
    case TM_ORG_INT: return a->i == b->i;
    case TM_ORG_REAL: return a->d == b->d;
    default: return strcmp(a->text, b->text) == 0;
    }
}

void org_value_read(struct tm_org_value *out, sqlite3_stmt *stmt, int column)
{
    *out = (struct tm_org_value){ TM_ORG_NULL, 0, 0, NULL };
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        out->kind = TM_ORG_INT;
        out->i = sqlite3_column_int64(stmt, column);
        break;
    case SQLITE_FLOAT:
        out->kind = TM_ORG_REAL;
        out->d = sqlite3_column_double(stmt, column);
        break;
    case SQLITE_TEXT:
        out->kind = TM_ORG_TEXT;
        out->text = (const char *)sqlite3_column_text(stmt, column);
        break;
    default: break;
    }
}

void org_value_bind(sqlite3_stmt *stmt, int parameter, const struct tm_org_value *value)
{
    switch (value->kind) {
    case TM_ORG_NULL: sqlite3_bind_null(stmt, parameter); break;
    case TM_ORG_INT: sqlite3_bind_int64(stmt, parameter, value->i); break;
    case TM_ORG_REAL: sqlite3_bind_double(stmt, parameter, value->d); break;
    case TM_ORG_TEXT: sqlite3_bind_text(stmt, parameter, value->text, -1, SQLITE_STATIC); break;
    }
}

static enum tm_code value_kind_refused(struct tm_org *org, const struct tm_field *f,
                                       struct tm_err *err)
{
    return org_refuse(org, "INVALID_FIELD", f->name, err, "%s: value not of required type: %s",
                      f->name, f->type);
}

static enum tm_code value_check_text(struct tm_org *org, struct tm_org_value *out,
                                     const struct tm_field *f, struct tm_err *err)
{
    int32_t days;
    size_t bytes = strlen(out->text), count = 0;
    if (bytes == 0) {
        *out = (struct tm_org_value){ TM_ORG_NULL, 0, 0, NULL };
        return TM_OK;
    }
    if (f->kind == TM_FIELD_ID) {
        char id[TM_ID_BYTES];
        if (tm_id18(id, out->text, NULL) != TM_OK)
            return org_refuse(org, "MALFORMED_ID", f->name, err,
                              "%s: id value of incorrect type: %.40s", f->name, out->text);
        if (bytes == 15) { /* kept for the commit in the org's own buffer */
            size_t at = org->arena.bytes;
            tm_buf_add(&org->arena, id, sizeof id);
            out->text = org->arena.data + at;
        }
        return TM_OK;
    }
    if (f->kind == TM_FIELD_DATE && (bytes != 10 || tm_date_parse(&days, out->text, NULL) != TM_OK))
        return value_kind_refused(org, f, err);
    if (f->length <= 0 || f->kind != TM_FIELD_TEXT || bytes <= (size_t)f->length)
        return TM_OK;
    for (const char *p = out->text; *p; p++)
        count += ((unsigned char)*p & 0xc0) != 0x80; /* characters, not bytes */
    if (count > (size_t)f->length)
        return org_refuse(org, "STRING_TOO_LONG", f->name, err,
                          "%s: data value too large: %.60s… (max length=%d)", f->name, out->text,
                          f->length);
    return TM_OK;
}

enum tm_code org_value_check(struct tm_org *org, struct tm_org_value *out,
                             const struct org_column *column, const struct tm_org_value *in,
                             struct tm_err *err)
{
    static const double power[10] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
    const struct tm_field *f = column->field;
    *out = *in;
    if (in->kind == TM_ORG_NULL)
        return TM_OK;
    switch (f->kind) {
    case TM_FIELD_BOOLEAN:
        if (in->kind != TM_ORG_INT || in->i < 0 || in->i > 1)
            return value_kind_refused(org, f, err);
        return TM_OK;
    case TM_FIELD_INT:
    case TM_FIELD_DATETIME:
        if (in->kind == TM_ORG_REAL && in->d == floor(in->d) && fabs(in->d) < 9e15)
            *out = (struct tm_org_value){ TM_ORG_INT, (int64_t)in->d, 0, NULL };
        else if (in->kind != TM_ORG_INT)
            return value_kind_refused(org, f, err);
        return TM_OK;
    case TM_FIELD_NUMBER:
        if (in->kind == TM_ORG_INT)
            *out = (struct tm_org_value){ TM_ORG_REAL, 0, (double)in->i, NULL };
        else if (in->kind != TM_ORG_REAL || !isfinite(in->d))
            return value_kind_refused(org, f, err);
        if (f->scale >= 0 && f->scale <= 9 && fabs(out->d) * power[f->scale] < 9e15)
            out->d = (double)llround(out->d * power[f->scale]) / power[f->scale];
        return TM_OK;
    default:
        return in->kind == TM_ORG_TEXT ? value_check_text(org, out, f, err)
                                       : value_kind_refused(org, f, err);
    }
}

enum tm_code tm_org_value_of_json(struct tm_org_value *out, char scratch[TM_TIME_BYTES],
                                  const struct tm_field *field, const json_t *json,
                                  struct tm_err *err)
{
    int32_t days;
    *out = (struct tm_org_value){ TM_ORG_NULL, 0, 0, NULL };
    if (json == NULL || json_is_null(json))
        return TM_OK;
    if (json_is_boolean(json) && field->kind == TM_FIELD_BOOLEAN) {
        out->kind = TM_ORG_INT;
        out->i = json_is_true(json);
    } else if (json_is_integer(json) && field->kind != TM_FIELD_BOOLEAN &&
               field->kind != TM_FIELD_DATETIME) {
        out->kind = TM_ORG_INT;
        out->i = json_integer_value(json);
    } else if (json_is_real(json)) {
        out->kind = TM_ORG_REAL;
        out->d = json_real_value(json);
    } else if (json_is_string(json) && field->kind == TM_FIELD_DATETIME) {
        out->kind = TM_ORG_INT;
        return tm_time_parse(&out->i, json_string_value(json), err);
    } else if (json_is_string(json) && field->kind == TM_FIELD_DATE) {
        if (tm_date_parse(&days, json_string_value(json), err) != TM_OK)
            return err != NULL ? err->code : TM_E_ARG;
        out->kind = TM_ORG_TEXT;
        out->text = tm_date_text(scratch, days);
    } else if (json_is_string(json)) {
        out->kind = TM_ORG_TEXT;
        out->text = json_string_value(json);
    } else
        return tm_fail(err, TM_E_ARG, "%s: value not of required type: %s", field->name,
                       field->type);
    return TM_OK;
}

void org_value_of_history(struct tm_org_value *out, const struct tm_field *f, const json_t *json)
{
    *out = (struct tm_org_value){ TM_ORG_NULL, 0, 0, NULL };
    bool number = f->kind == TM_FIELD_NUMBER || f->kind == TM_FIELD_INT;
    if (json_is_string(json) ? number : json_is_number(json) && f->kind == TM_FIELD_TEXT)
        return; /* from before it was of another kind */
    if (json_is_string(json)) {
        out->kind = TM_ORG_TEXT;
        out->text = json_string_value(json);
    } else if (json_is_number(json) && f->kind == TM_FIELD_NUMBER) {
        out->kind = TM_ORG_REAL;
        out->d = json_number_value(json);
    } else if (json_is_integer(json)) {
        out->kind = TM_ORG_INT;
        out->i = json_integer_value(json);
    } else if (json_is_real(json) &&
               f->kind == TM_FIELD_INT) { /* from before it was made narrower */
        out->kind = TM_ORG_INT;
        out->i = (int64_t)json_real_value(json);
    }
}
