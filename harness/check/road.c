#include "check/road.h"
#include "base/text.h"
#include "check/vhash.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ROAD_SQL_BYTES_MAX (1u << 16)
#define ROAD_COLUMNS_MAX 2000 /* of a table: SQLite's own limit */

enum { ROAD_NAMES = 16 };
static const char *const road_names[ROAD_NAMES] = {
    "_rowid_",   "Id",          "ReplayId",    "_epoch",           "_topic", "_partition",
    "_offset",   "_written_ns", "_kind",       "_reason",          "_g",     "_read_id",
    "_read_seq", "_read_kind",  "_DiffFields", "ChangeEventHeader"
};
enum {
    ROAD_ROWID,
    ROAD_ID,
    ROAD_REPLAY,
    ROAD_EPOCH,
    ROAD_TOPIC,
    ROAD_PARTITION,
    ROAD_OFFSET,
    ROAD_WRITTEN,
    ROAD_KIND,
    ROAD_REASON,
    ROAD_G,
    ROAD_READ_ID,
    ROAD_READ_SEQ,
    ROAD_READ_KIND,
    ROAD_DIFF,
    ROAD_HEADER
};
struct road_work { /* one table while it is read */
    struct tm_road *road;
    const struct tm_truth *truth;
    const bool *wanted;
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int object;
    int at[ROAD_NAMES];           /* columns of the statement; -1: none */
    int column[ROAD_COLUMNS_MAX]; /* statement column -> column of truth, -1: none */
    int count;
};

/* ---- growing ---- */

static enum tm_code road_room(void **array, size_t *cap, size_t need, size_t bytes,
                              struct tm_err *err)
{
    if (need <= *cap)
        return TM_OK;
    size_t want = need + need / 2 + 256;
    void *grown = realloc(*array, want * bytes);
    if (grown == NULL)
        return tm_fail(err, TM_E_NOMEM, "evidence: %zu bytes", want * bytes);
    *array = grown;
    *cap = want;
    return TM_OK;
}

static enum tm_code road_add(struct tm_road *road, const struct tm_road_row *row,
                             struct tm_err *err)
{
    if (road->rows_count == TM_ROAD_ROWS_MAX)
        return tm_fail(err, TM_E_LIMIT, "evidence: more than %d rows", TM_ROAD_ROWS_MAX);
    enum tm_code rc = road_room((void **)&road->rows, &road->rows_cap, road->rows_count + 1,
                                sizeof *road->rows, err);
    if (rc == TM_OK)
        road->rows[road->rows_count++] = *row;
    return rc;
}

/* Room for the values of one row, none of them set. */
static enum tm_code road_values(struct tm_road *road, struct tm_road_row *row, size_t columns,
                                struct tm_err *err)
{
    size_t need = road->values_count + columns;
    enum tm_code rc =
        road_room((void **)&road->values, &road->values_cap, need, sizeof *road->values, err);
    if (rc == TM_OK)
        rc = road_room((void **)&road->set, &road->set_cap, need, sizeof *road->set, err);
    if (rc != TM_OK)
        return rc;
    row->set_first = road->values_count;
    row->columns = columns;
    memset(road->values + row->set_first, 0, columns * sizeof *road->values);
    memset(road->set + row->set_first, 0, columns * sizeof *road->set);
    road->values_count = need;
    return TM_OK;
}

/* ---- one row ---- */

static const char *road_text(const struct road_work *w, int name)
{
    const char *text =
        w->at[name] < 0 ? NULL : (const char *)sqlite3_column_text(w->stmt, w->at[name]);
    return text == NULL ? "" : text;
}

static int64_t road_int(const struct road_work *w, int name)
{
    return w->at[name] < 0 ? 0 : sqlite3_column_int64(w->stmt, w->at[name]);
}

/* What all three tables say alike. */
static void road_head(const struct road_work *w, struct tm_road_row *row, enum tm_road_kind kind)
{
    *row = (struct tm_road_row){ .record = TM_TRUTH_NONE,
                                 .kind = (uint8_t)kind,
                                 .object = (uint8_t)w->object,
                                 .rowid = road_int(w, ROAD_ROWID),
                                 .epoch = road_int(w, ROAD_EPOCH),
                                 .position = kind == TM_ROAD_ANSWER ? road_int(w, ROAD_G)
                                                                    : road_int(w, ROAD_REPLAY),
                                 .written_ns = road_int(w, ROAD_WRITTEN),
                                 .read = TM_ROAD_NONE };
    snprintf(row->word, sizeof row->word, "%.20s", road_text(w, ROAD_KIND));
    snprintf(row->reason, sizeof row->reason, "%.70s", road_text(w, ROAD_REASON));
    tm_text_cut(row->reason);
    if (w->at[ROAD_TOPIC] >= 0)
        snprintf(row->place, sizeof row->place, "%.80s/%lld@%lld", road_text(w, ROAD_TOPIC),
                 (long long)road_int(w, ROAD_PARTITION), (long long)road_int(w, ROAD_OFFSET));
}

static uint32_t road_record(const struct road_work *w, const char *id)
{
    uint32_t record = tm_truth_record(w->truth, w->object, id);
    return record != TM_TRUTH_NONE && w->wanted[record] ? record : TM_TRUTH_NONE;
}

/* The column that changedFields' `name` means: itself, or a part of a compound (R5). */
static int road_named(const struct tm_truth_object *o, const char *name)
{
    char joined[160];
    const char *dot = strchr(name, '.');
    int column = tm_truth_column(o, name);
    if (column >= 0 || dot == NULL)
        return column;
    size_t head = (size_t)(dot - name);
    if (head > 7 && strncasecmp(name + head - 7, "Address", 7) == 0)
        head -= 7;
    snprintf(joined, sizeof joined, "%.*s%s", (int)(head > 70 ? 70 : head), name, dot + 1);
    column = tm_truth_column(o, joined);
    return column >= 0 ? column : tm_truth_column(o, dot + 1);
}

/* Marks or unmarks the columns a list of names means. */
static void road_mark(const struct road_work *w, const struct tm_road_row *row, const json_t *names,
                      bool set)
{
    const struct tm_truth_object *o = &w->truth->objects[w->object];
    const json_t *name;
    size_t i;
    json_array_foreach(names, i, name)
    {
        const char *text = json_string_value(name);
        int column = text == NULL ? -1 : road_named(o, text);
        if (column >= 0 && (size_t)column < row->columns)
            w->road->set[row->set_first + (size_t)column] = set;
    }
}

/* `full`: every column; else none yet. A retyped field has columns of both types, one of them
 * filled. */
static enum tm_code road_take(const struct road_work *w, struct tm_road_row *row, bool full,
                              struct tm_err *err)
{
    enum tm_code rc = road_values(w->road, row, w->truth->objects[w->object].columns_count, err);
    for (int c = 0; rc == TM_OK && c < w->count; c++) {
        int column = w->column[c];
        if (column < 0)
            continue;
        uint64_t *value = &w->road->values[row->set_first + (size_t)column];
        if (*value == TM_VHASH_NULL)
            *value = tm_vhash_column(w->stmt, c);
    }
    for (size_t c = 0; rc == TM_OK && full && c < row->columns; c++)
        w->road->set[row->set_first + c] = true;
    return rc;
}

static bool road_gap(const char *word)
{
    return strncasecmp(word, "GAP_", 4) == 0;
}

static enum tm_code road_event_of(struct road_work *w, struct tm_road_row row, const json_t *header,
                                  const json_t *diffs, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool full = strcasecmp(row.word, "CREATE") == 0 || strcasecmp(row.word, "UNDELETE") == 0;
    if (!road_gap(row.word) && strcasecmp(row.word, "DELETE") != 0)
        rc = road_take(w, &row, full, err);
    if (rc == TM_OK && row.columns > 0) {
        if (!full)
            road_mark(w, &row, json_object_get(header, "changedFields"), true);
        road_mark(w, &row, diffs, false);
        row.diff = json_array_size(diffs) > 0;
    }
    return rc == TM_OK ? road_add(w->road, &row, err) : rc;
}

static void road_newest(struct tm_road *road, const struct tm_road_row *row)
{
    int64_t *epoch = &road->epoch_last[row->object], *replay = &road->replay_last[row->object];
    if (row->epoch > *epoch || (row->epoch == *epoch && row->position > *replay)) {
        *epoch = row->epoch;
        *replay = row->position;
    }
}

static enum tm_code road_event(struct road_work *w, struct tm_err *err)
{
    struct tm_road_row row;
    const char *id = road_text(w, ROAD_ID);
    enum tm_code rc = TM_OK;
    road_head(w, &row, TM_ROAD_EVENT);
    road_newest(w->road, &row);
    bool whole = strcmp(id, "000000000000000AAA") == 0 || strchr(id, '*') != NULL;
    json_t *header = json_loads(road_text(w, ROAD_HEADER), 0, NULL);
    json_t *ids = json_object_get(header, "recordIds"), *one;
    const char *word = json_string_value(json_object_get(header, "changeType"));
    const char *txn = json_string_value(json_object_get(header, "transactionKey"));
    json_t *diffs = json_loads(road_text(w, ROAD_DIFF), 0, NULL);
    size_t i;
    snprintf(row.word, sizeof row.word, "%.20s", word == NULL ? "" : word);
    row.txn = txn == NULL ? 0 : tm_hash64(txn, strlen(txn), 0);
    if (whole)
        rc = road_add(w->road, &row, err);
    else if ((row.record = road_record(w, id)) != TM_TRUTH_NONE)
        rc = road_event_of(w, row, header, diffs, err);
    json_array_foreach(ids, i, one)
    {
        const char *other = json_string_value(one);
        if (rc != TM_OK || other == NULL || strcmp(other, id) == 0 ||
            strcmp(id, json_string_value(json_array_get(ids, 0)) == NULL
                           ? ""
                           : json_string_value(json_array_get(ids, 0))) != 0 ||
            (row.record = road_record(w, other)) == TM_TRUTH_NONE)
            continue;
        row.merged = true;
        rc = road_event_of(w, row, header, diffs, err);
    }
    json_decref(diffs);
    json_decref(header);
    return rc;
}

static enum tm_code road_ask(struct road_work *w, struct tm_err *err)
{
    struct tm_road_row row;
    const char *id = road_text(w, ROAD_ID);
    road_head(w, &row, TM_ROAD_ASK);
    if (strlen(id) == 18 && strcmp(id, "000000000000000AAA") != 0 && strchr(id, '*') == NULL &&
        (row.record = road_record(w, id)) == TM_TRUTH_NONE)
        return TM_OK;
    return road_add(w->road, &row, err);
}

static uint32_t road_read(const struct road_work *w, const char *id)
{
    for (size_t i = w->road->reads_count; i-- > 0;)
        if (w->road->reads[i].object == w->object && strcmp(w->road->reads[i].id, id) == 0)
            return (uint32_t)i;
    return TM_ROAD_NONE;
}

static enum tm_code road_answer(struct road_work *w, struct tm_err *err)
{
    struct tm_road_row row;
    enum tm_code rc = TM_OK;
    road_head(w, &row, TM_ROAD_ANSWER);
    if (strcmp(row.word, "end") == 0 ||
        (row.record = road_record(w, road_text(w, ROAD_ID))) == TM_TRUTH_NONE)
        return TM_OK;
    row.read = road_read(w, road_text(w, ROAD_READ_ID));
    if (strcmp(row.word, "image") == 0)
        rc = road_take(w, &row, true, err);
    return rc == TM_OK ? road_add(w->road, &row, err) : rc;
}

/* ---- tables ---- */

static const char *road_table(char out[160], const char *object, enum tm_road_table table)
{
    static const char *const before[] = { "sfdc_cdc_", "alerts_sfdc_", "sfdc_recon_" };
    static const char *const behind[] = { "_raw", "_gap_events", "" };
    char lower[80];
    tm_name_lower(lower, sizeof lower, object);
    snprintf(out, 160, "%s%s%s", before[table], lower, behind[table]);
    return out;
}

/* Which column of the org a column of the table holds: by name, or as `<Field>__<type>`. */
static int road_column(const struct tm_truth_object *o, const char *name)
{
    char head[80];
    int column = tm_truth_column(o, name);
    const char *cut = NULL;
    for (const char *at = strstr(name, "__"); at != NULL; at = strstr(at + 1, "__"))
        cut = at;
    if (column >= 0 || cut == NULL || name[0] == '_')
        return column;
    snprintf(head, sizeof head, "%.*s", (int)(cut - name > 79 ? 79 : cut - name), name);
    return tm_truth_column(o, head);
}

static enum tm_code road_prepare(struct road_work *w, enum tm_road_table table, bool *out_there,
                                 struct tm_err *err)
{
    char name[160];
    int64_t there = 0;
    struct tm_buf sql;
    const struct tm_truth_object *o = &w->truth->objects[w->object];
    sqlite3_stmt *has = NULL;
    road_table(name, o->name, table);
    enum tm_code rc = tm_sql_prepare(&has, w->db,
                                     "SELECT count(*) FROM sqlite_master WHERE type='table' AND "
                                     "name=?1",
                                     err);
    bool row = false;
    if (rc == TM_OK) {
        sqlite3_bind_text(has, 1, name, -1, SQLITE_STATIC);
        rc = tm_sql_step(has, &row, err);
        there = row ? sqlite3_column_int64(has, 0) : 0;
    }
    tm_sql_finalize(has);
    *out_there = there > 0;
    if (rc != TM_OK || there == 0)
        return rc;
    tm_buf_init(&sql, ROAD_SQL_BYTES_MAX);
    tm_buf_addz(&sql, "SELECT rowid AS _rowid_, * FROM ");
    tm_sql_ident(&sql, name);
    rc = tm_sql_prepare(&w->stmt, w->db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    if (rc != TM_OK)
        return rc;
    w->count = sqlite3_column_count(w->stmt);
    memset(w->at, 0xff, sizeof w->at);
    for (int c = 0; c < w->count && c < ROAD_COLUMNS_MAX; c++) {
        const char *column = sqlite3_column_name(w->stmt, c);
        w->column[c] = -1;
        for (int n = 0; n < ROAD_NAMES; n++)
            if (strcmp(column, road_names[n]) == 0)
                w->at[n] = c;
        if (column[0] != '_' && strcmp(column, "Id") != 0)
            w->column[c] = road_column(o, column);
    }
    return TM_OK;
}

static enum tm_code road_rows(struct road_work *w, enum tm_road_table table, struct tm_err *err)
{
    static enum tm_code (*const take[])(struct road_work *,
                                        struct tm_err *) = { road_event, road_ask, road_answer };
    bool more = false;
    enum tm_code rc = road_prepare(w, table, &w->road->there[w->object][table], err);
    while (rc == TM_OK && w->stmt != NULL && (rc = tm_sql_step(w->stmt, &more, err)) == TM_OK &&
           more)
        rc = take[table](w, err);
    tm_sql_finalize(w->stmt);
    w->stmt = NULL;
    return rc;
}

/* R16: a read counts once all its ends, and as many answers as they count, are there. */
static const char road_reads_sql[] =
    "SELECT _read_id, max(_read_kind)='whole', max(coalesce(_epoch,0)), max(_g), max(_read_seq),"
    " min(%s), max(%s),"
    " count(DISTINCT CASE WHEN _kind='end' THEN _partition END)>=max(coalesce(_partitions,1))"
    " AND sum(_kind='end')>0 AND"
    " count(DISTINCT CASE WHEN _kind<>'end' THEN Id END)>=(SELECT coalesce(sum(n),0) FROM (SELECT"
    " max(_count) AS n FROM \"%w\" e WHERE e._read_id=r._read_id AND e._kind='end' GROUP BY"
    " e._partition)) FROM \"%w\" r WHERE _read_id IS NOT NULL GROUP BY _read_id";

static enum tm_code road_reads(struct road_work *w, struct tm_err *err)
{
    char name[160];
    bool row = false, written = false;
    sqlite3_stmt *columns = NULL, *reads = NULL;
    road_table(name, w->truth->objects[w->object].name, TM_ROAD_RECON);
    enum tm_code rc = tm_sql_columns(&columns, w->db, name, err);
    bool there = false;
    while (rc == TM_OK && (rc = tm_sql_step(columns, &row, err)) == TM_OK && row) {
        there = true;
        written |= strcmp((const char *)sqlite3_column_text(columns, TM_SQL_COLUMN_NAME),
                          "_written_ns") == 0;
    }
    tm_sql_finalize(columns);
    if (rc != TM_OK || !there)
        return rc;
    const char *ns = written ? "_written_ns" : "0";
    char *sql = sqlite3_mprintf(road_reads_sql, ns, ns, name, name);
    rc = sql == NULL ? tm_fail(err, TM_E_NOMEM, "evidence: reads")
                     : tm_sql_prepare(&reads, w->db, sql, err);
    sqlite3_free(sql);
    while (rc == TM_OK && (rc = tm_sql_step(reads, &row, err)) == TM_OK && row) {
        struct tm_road *road = w->road;
        rc = road_room((void **)&road->reads, &road->reads_cap, road->reads_count + 1,
                       sizeof *road->reads, err);
        if (rc != TM_OK)
            break;
        struct tm_road_read *r = &road->reads[road->reads_count++];
        *r = (struct tm_road_read){ .object = (uint8_t)w->object,
                                    .whole = sqlite3_column_int(reads, 1) != 0,
                                    .epoch = sqlite3_column_int64(reads, 2),
                                    .g = sqlite3_column_int64(reads, 3),
                                    .seq = sqlite3_column_int64(reads, 4),
                                    .first_ns = sqlite3_column_int64(reads, 5),
                                    .last_ns = sqlite3_column_int64(reads, 6),
                                    .in_force = sqlite3_column_int(reads, 7) != 0 };
        snprintf(r->id, sizeof r->id, "%s", (const char *)sqlite3_column_text(reads, 0));
    }
    tm_sql_finalize(reads);
    return rc;
}

static enum tm_code road_undecodable(struct tm_road *road, sqlite3 *db, struct tm_err *err)
{
    int64_t there = 0;
    road->undecodable = -1;
    enum tm_code rc = tm_sql_int64(
        &there, db, "SELECT count(*) FROM sqlite_master WHERE name='_undecodable'", err);
    if (rc == TM_OK && there > 0)
        rc = tm_sql_int64(&road->undecodable, db, "SELECT count(*) FROM _undecodable", err);
    return rc;
}

/* ---- order ---- */

int tm_road_order(const struct tm_road *road, const struct tm_road_row *a,
                  const struct tm_road_row *b)
{
    int64_t sa = 0, sb = 0;
    const char *ia = "", *ib = "";
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->position != b->position)
        return a->position < b->position ? -1 : 1;
    bool answer_a = a->kind == TM_ROAD_ANSWER, answer_b = b->kind == TM_ROAD_ANSWER;
    if (answer_a != answer_b)
        return answer_a ? 1 : -1;
    if (!answer_a) /* R2: of one event the first delivered counts */
        return (a->rowid < b->rowid) - (a->rowid > b->rowid);
    if (a->read != TM_ROAD_NONE) {
        sa = road->reads[a->read].seq;
        ia = road->reads[a->read].id;
    }
    if (b->read != TM_ROAD_NONE) {
        sb = road->reads[b->read].seq;
        ib = road->reads[b->read].id;
    }
    return sa != sb ? (sa < sb ? -1 : 1) : strcmp(ia, ib);
}

static int road_sort(const void *x, const void *y, void *road)
{
    const struct tm_road_row *a = x, *b = y;
    if (a->record != b->record)
        return a->record < b->record ? -1 : 1;
    return tm_road_order(road, a, b);
}

/* ---- all of it ---- */

enum tm_code tm_road_load(struct tm_road **out, const struct tm_truth *truth, const char *path,
                          const bool *wanted, struct tm_err *err)
{
    struct road_work w = { .truth = truth, .wanted = wanted };
    if (access(path, R_OK) != 0)
        return TM_E_AGAIN;
    enum tm_code rc = tm_sql_open(&w.db, path, TM_SQL_READ, err);
    w.road = calloc(1, sizeof *w.road);
    if (rc == TM_OK && w.road == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "evidence");
    for (int o = 0; rc == TM_OK && o < (int)truth->objects_count; o++) {
        w.object = o;
        w.road->epoch_last[o] = w.road->replay_last[o] = -1;
        rc = road_reads(&w, err);
        for (int table = 0; rc == TM_OK && table < TM_ROAD_TABLES; table++)
            rc = road_rows(&w, (enum tm_road_table)table, err);
    }
    if (rc == TM_OK)
        rc = road_undecodable(w.road, w.db, err);
    tm_sql_close(w.db);
    if (rc != TM_OK) {
        tm_road_close(w.road);
        return rc == TM_E_AGAIN ? rc : tm_at(err, "evidence in %s", path);
    }
    if (w.road->rows_count > 0)
        qsort_r(w.road->rows, w.road->rows_count, sizeof *w.road->rows, road_sort, w.road);
    *out = w.road;
    return TM_OK;
}

void tm_road_close(struct tm_road *road)
{
    if (road == NULL)
        return;
    free(road->rows);
    free(road->set);
    free(road->values);
    free(road->reads);
    free(road);
}

void tm_road_of(const struct tm_road *road, uint32_t record, size_t *out_first, size_t *out_count)
{
    size_t first = 0, last = road->rows_count;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (road->rows[middle].record < record)
            first = middle + 1;
        else
            last = middle;
    }
    *out_first = first;
    while (last < road->rows_count && road->rows[last].record == record)
        last++;
    *out_count = last - first;
}

const struct tm_road_row *tm_road_event(const struct tm_road *road, const struct tm_truth *truth,
                                        uint32_t version)
{
    const struct tm_truth_version *v = &truth->versions[version];
    size_t first, count;
    bool whole = v->event == TM_TRUTH_OVERFLOW;
    tm_road_of(road, whole ? TM_TRUTH_NONE : v->record, &first, &count);
    for (size_t i = first; i < first + count; i++) {
        const struct tm_road_row *row = &road->rows[i];
        if (row->kind == TM_ROAD_EVENT && row->position == v->replay_id &&
            row->object == truth->records[v->record].object &&
            (row->txn == 0 || row->txn == v->txn))
            return row;
    }
    return NULL;
}
