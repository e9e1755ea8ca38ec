/* arrivals: the raw tables behind option 1 as they grow: what every new row says of one record.
 * An event of many records says it of all of them, with the row of the first (R3). */
#include "check/reader_inner.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum tm_code arrivals_room(void **array, size_t *cap, size_t need, size_t bytes,
                                  struct tm_err *err)
{
    if (need <= *cap)
        return TM_OK;
    size_t want = need + need / 2 + 1024;
    void *grown = want > UINT32_MAX ? NULL : realloc(*array, want * bytes);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "reader: %zu rows of the raw tables", want);
    *array = grown;
    *cap = want;
    return TM_OK;
}

static void arrivals_table(char out[160], const char *prefix, const char *object,
                           const char *suffix)
{
    char lower[80];
    size_t i = 0;
    for (; object[i] != '\0' && i + 1 < sizeof lower; i++) {
        char c = object[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    lower[i] = '\0';
    snprintf(out, 160, "%s%s%s", prefix, lower, suffix);
}

void tm_arrivals_prepare(struct tm_reader *r, struct tm_reader_object *o)
{
    static const char since[] = " WHERE rowid > ?1 ORDER BY rowid";
    char table[160];
    arrivals_table(table, "sfdc_cdc_", o->name, "_raw");
    tm_reader_prepare(r, &o->raw,
                      "SELECT rowid, Id, ReplayId, _DiffFields, _epoch,"
                      " CASE WHEN json_extract(ChangeEventHeader, '$.recordIds[1]') IS NOT NULL AND"
                      " json_extract(ChangeEventHeader, '$.recordIds[0]') = Id"
                      " THEN json_extract(ChangeEventHeader, '$.recordIds') END,"
                      " json_extract(ChangeEventHeader, '$.transactionKey') FROM ",
                      table, "", since);
    arrivals_table(table, "alerts_sfdc_", o->name, "_gap_events");
    tm_reader_prepare(r, &o->alerts, "SELECT rowid, Id, ReplayId, _kind, _epoch FROM ", table, "",
                      since);
    arrivals_table(table, "sfdc_recon_", o->name, "");
    tm_reader_prepare(r, &o->recon, "SELECT rowid AS _rowid_, * FROM ", table, "", since);
    o->found = o->raw != NULL;
}

/* Copies bring the same image again and again: *out is where equal values are kept already, or
 * where new ones go. */
static enum tm_code arrivals_image(struct tm_reader *r, uint32_t row, const struct tm_arrival *a,
                                   const uint64_t *values, size_t *out, struct tm_err *err)
{
    size_t before = r->images_cap;
    enum tm_code rc =
        arrivals_room((void **)&r->images, &r->images_cap, (size_t)row + 1, sizeof *r->images, err);
    if (rc != TM_OK)
        return rc;
    memset(r->images + before, 0, (r->images_cap - before) * sizeof *r->images);
    const struct tm_arrival *last = r->images[row] == 0 ? NULL : &r->arrivals[r->images[row] - 1];
    r->images[row] = (uint32_t)r->arrivals_count + 1;
    if (last != NULL && last->values_count == a->values_count &&
        memcmp(r->values + last->values_first, values, a->values_count * sizeof *values) == 0) {
        *out = last->values_first;
        return TM_OK;
    }
    *out = r->values_count;
    rc = arrivals_room((void **)&r->values, &r->values_cap, r->values_count + a->values_count,
                       sizeof *r->values, err);
    if (rc != TM_OK)
        return rc;
    memcpy(r->values + r->values_count, values, a->values_count * sizeof *values);
    r->values_count += a->values_count;
    return TM_OK;
}

/* One more arrival; id NULL: of no record. */
static enum tm_code arrivals_add(struct tm_reader *r, struct tm_reader_object *o, const char *id,
                                 struct tm_arrival a, const uint64_t *values, struct tm_err *err)
{
    size_t first = a.values_first;
    enum tm_code rc = TM_OK;
    a.row = TM_SHOWN_NONE;
    a.object = (uint8_t)o->shown;
    if (id != NULL)
        rc = tm_shown_row(r->shown, o->shown, id, &a.row, err);
    if (rc == TM_OK)
        rc = arrivals_room((void **)&r->arrivals, &r->arrivals_cap, r->arrivals_count + 1,
                           sizeof *r->arrivals, err);
    if (rc == TM_OK && a.values_count > 0)
        rc = arrivals_image(r, a.row, &a, values, &first, err);
    if (rc != TM_OK)
        return rc;
    a.values_first = (uint32_t)first;
    r->arrivals[r->arrivals_count++] = a;
    return TM_OK;
}

/* ids: all records of the event, the first among them. */
static enum tm_code arrivals_of_many(struct tm_reader *r, struct tm_reader_object *o,
                                     const char *ids, const struct tm_arrival *a,
                                     struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    json_t *list = json_loadb(ids, strlen(ids), 0, NULL), *id;
    size_t i;
    json_array_foreach(list, i, id)
    {
        const char *text = json_string_value(id);
        if (rc == TM_OK && text != NULL && strlen(text) == 18)
            rc = arrivals_add(r, o, text, *a, NULL, err);
    }
    json_decref(list);
    return rc;
}

static enum tm_code arrivals_events(struct tm_reader *r, struct tm_reader_object *o, int64_t now_ns,
                                    bool *changed, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool more = false;
    if (o->raw == NULL)
        return TM_OK;
    sqlite3_bind_int64(o->raw, 1, o->read.raw);
    while ((rc = tm_sql_step(o->raw, &more, err)) == TM_OK && more) {
        const char *id = (const char *)sqlite3_column_text(o->raw, 1);
        const char *diff = (const char *)sqlite3_column_text(o->raw, 3);
        const char *many = (const char *)sqlite3_column_text(o->raw, 5);
        const char *txn = (const char *)sqlite3_column_text(o->raw, 6);
        bool diffs = diff != NULL && diff[0] != '\0' && strcmp(diff, "[]") != 0;
        if (sqlite3_column_int64(o->raw, 0) > o->until.raw)
            break;
        o->read.raw = sqlite3_column_int64(o->raw, 0);
        if (id == NULL)
            continue;
        struct tm_arrival a = { .lo_ns = r->last_ns,
                                .hi_ns = now_ns,
                                .rowid = o->read.raw,
                                .epoch = sqlite3_column_int64(o->raw, 4),
                                .txn = txn == NULL ? 0 : tm_hash64(txn, strlen(txn), 0),
                                .position = 2 * sqlite3_column_int64(o->raw, 2),
                                .kind = diffs ? TM_ARRIVAL_DIFF : TM_ARRIVAL_EVENT };
        bool overflow = strcmp(id, "000000000000000AAA") == 0;
        if (overflow || strchr(id, '*') != NULL) { /* they name no record (R3) */
            a.kind = overflow ? TM_ARRIVAL_OVERFLOW : TM_ARRIVAL_CONVERSION;
            rc = arrivals_add(r, o, NULL, a, NULL, err);
        } else if (strlen(id) == 18) {
            rc = many != NULL ? arrivals_of_many(r, o, many, &a, err)
                              : arrivals_add(r, o, id, a, NULL, err);
        }
        if (rc != TM_OK)
            break;
        *changed = true;
    }
    sqlite3_reset(o->raw);
    return rc;
}

static enum tm_code arrivals_alerts(struct tm_reader *r, struct tm_reader_object *o, int64_t now_ns,
                                    bool *changed, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool more = false;
    if (o->alerts == NULL)
        return TM_OK;
    sqlite3_bind_int64(o->alerts, 1, o->read.alerts);
    while ((rc = tm_sql_step(o->alerts, &more, err)) == TM_OK && more) {
        const char *id = (const char *)sqlite3_column_text(o->alerts, 1);
        const char *kind = (const char *)sqlite3_column_text(o->alerts, 3);
        if (sqlite3_column_int64(o->alerts, 0) > o->until.alerts)
            break;
        o->read.alerts = sqlite3_column_int64(o->alerts, 0);
        int64_t epoch = sqlite3_column_int64(o->alerts, 4);
        bool dirt = id != NULL && kind != NULL && strlen(id) == 18 &&
                    (strcmp(kind, "no_base") == 0 || strcmp(kind, "diff") == 0);
        if (!dirt && epoch <= o->alert_epoch)
            continue;
        o->alert_epoch = epoch > o->alert_epoch ? epoch : o->alert_epoch;
        struct tm_arrival a = { .lo_ns = r->last_ns,
                                .hi_ns = now_ns,
                                .rowid = o->read.alerts,
                                .epoch = epoch,
                                .position = 2 * sqlite3_column_int64(o->alerts, 2),
                                .kind = TM_ARRIVAL_ALERT };
        rc = arrivals_add(r, o, dirt ? id : NULL, a, NULL, err);
        if (rc != TM_OK)
            break;
        *changed = true;
    }
    sqlite3_reset(o->alerts);
    return rc;
}

/* The number of a read; new ones are mostly asked for again at once. */
static enum tm_code arrivals_read_number(struct tm_reader *r, const struct tm_reader_object *o,
                                         const struct tm_reader_row *row, uint32_t *out,
                                         struct tm_err *err)
{
    uint64_t name = tm_hash64(row->read_id, strlen(row->read_id), (uint64_t)o->shown);
    for (size_t i = r->reads_made_count; i-- > 0;)
        if (r->reads_made[i].name == name) {
            *out = (uint32_t)i;
            return TM_OK;
        }
    enum tm_code rc = arrivals_room((void **)&r->reads_made, &r->reads_made_cap,
                                    r->reads_made_count + 1, sizeof *r->reads_made, err);
    if (rc != TM_OK)
        return rc;
    *out = (uint32_t)r->reads_made_count;
    struct tm_arrival_read *made = &r->reads_made[r->reads_made_count++];
    *made = (struct tm_arrival_read){ .name = name,
                                      .seq = row->read_seq,
                                      .whole = strcmp(row->read_kind, "whole") == 0 };
    snprintf(made->id, sizeof made->id, "%s", row->read_id);
    return TM_OK;
}

static enum tm_code arrivals_answer(struct tm_reader *r, struct tm_reader_object *o,
                                    const struct tm_reader_row *row, const uint64_t *values,
                                    size_t columns, int64_t now_ns, struct tm_err *err)
{
    static const struct {
        const char *word;
        enum tm_arrival_kind kind;
    } kinds[] = { { "image", TM_ARRIVAL_IMAGE },
                  { "removed", TM_ARRIVAL_REMOVED },
                  { "unreadable", TM_ARRIVAL_UNREADABLE },
                  { "end", TM_ARRIVAL_END } };
    size_t k = 0;
    while (k < sizeof kinds / sizeof kinds[0] && strcmp(row->kind, kinds[k].word) != 0)
        k++;
    if (k == sizeof kinds / sizeof kinds[0])
        return TM_OK;
    struct tm_arrival a = { .lo_ns = r->last_ns,
                            .hi_ns = now_ns,
                            .rowid = row->rowid,
                            .epoch = row->epoch,
                            .position = 2 * row->g + 1,
                            .kind = (uint8_t)kinds[k].kind };
    enum tm_code rc = arrivals_read_number(r, o, row, &a.read, err);
    if (rc != TM_OK)
        return rc;
    if (a.kind == TM_ARRIVAL_IMAGE)
        a.values_count = (uint16_t)columns;
    if (a.kind != TM_ARRIVAL_END)
        return strlen(row->id) == 18 ? arrivals_add(r, o, row->id, a, values, err) : TM_OK;
    rc = arrivals_room((void **)&r->ends, &r->ends_cap, r->ends_count + 1, sizeof *r->ends, err);
    if (rc != TM_OK)
        return rc;
    a.values_first = (uint32_t)r->ends_count;
    r->ends[r->ends_count++] =
        (struct tm_arrival_end){ row->partition, row->partitions, row->count };
    return arrivals_add(r, o, NULL, a, NULL, err);
}

static enum tm_code arrivals_answers(struct tm_reader *r, struct tm_reader_object *o,
                                     int64_t now_ns, bool *changed, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool more = false;
    uint64_t values[TM_SHOWN_COLUMNS_MAX];
    if (o->recon == NULL)
        return TM_OK;
    sqlite3_bind_int64(o->recon, 1, o->read.recon);
    while ((rc = tm_sql_step(o->recon, &more, err)) == TM_OK && more) {
        struct tm_reader_row row;
        size_t columns;
        rc = tm_reader_take(r, o, o->recon, &row, values, &columns, err);
        if (rc != TM_OK || row.rowid > o->until.recon)
            break;
        o->read.recon = row.rowid;
        rc = arrivals_answer(r, o, &row, values, columns, now_ns, err);
        if (rc != TM_OK)
            break;
        *changed = true;
    }
    sqlite3_reset(o->recon);
    return rc;
}

enum tm_code tm_arrivals_read(struct tm_reader *r, struct tm_reader_object *o, int64_t now_ns,
                              bool *changed, struct tm_err *err)
{
    enum tm_code rc = arrivals_events(r, o, now_ns, changed, err);
    if (rc == TM_OK)
        rc = arrivals_alerts(r, o, now_ns, changed, err);
    return rc == TM_OK ? arrivals_answers(r, o, now_ns, changed, err) : rc;
}

static int64_t arrivals_last(struct tm_reader *r, const char *prefix, const char *object,
                             const char *suffix)
{
    char table[160];
    int64_t last = 0;
    sqlite3_stmt *stmt = NULL;
    arrivals_table(table, prefix, object, suffix);
    tm_reader_prepare(r, &stmt, "SELECT max(rowid) FROM ", table, "", "");
    if (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW)
        last = sqlite3_column_int64(stmt, 0);
    tm_sql_finalize(stmt);
    return last;
}

void tm_arrivals_cut(struct tm_reader *r, const char *object, struct tm_arrival_cut *out)
{
    *out =
        (struct tm_arrival_cut){ .raw = arrivals_last(r, "sfdc_cdc_", object, "_raw"),
                                 .alerts = arrivals_last(r, "alerts_sfdc_", object, "_gap_events"),
                                 .recon = arrivals_last(r, "sfdc_recon_", object, "") };
}
