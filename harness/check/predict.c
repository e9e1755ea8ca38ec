#include "check/predict.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct predict_row { /* by row of the reader's `shown` */
    uint32_t record; /* of truth */
    uint32_t mine;   /* row of `shown` here */
    int64_t life,
        dirt; /* position of the newest full image or removal; of the newest dirt, -1 none */
    bool present, left_out;
};
struct tm_predict {
    const struct tm_truth *truth;
    const struct tm_reader *reader;
    int64_t query_ns[TM_SHOWN_OBJECTS_MAX], clock_ns;
    struct tm_shown *shown;
    struct predict_row *rows;
    int64_t **set;     /* [row][column]: position of the value shown, owned, NULL until needed */
    uint64_t **values; /* [row][column] */
    size_t rows_count;
    bool *taken; /* by arrival */
    uint32_t *by_replay;
    size_t by_replay_count; /* versions with an event, by replay id */
    struct {
        uint64_t **values;
        uint8_t *flags;
        size_t rows;
    } seen; /* the views, as replayed by compare */
    uint32_t seen_obs;
};

static int predict_truth_object(const struct tm_predict *p, uint32_t row)
{
    return tm_truth_object(p->truth,
                           p->reader->shown->objects[p->reader->shown->rows[row].object].name);
}

static enum tm_code predict_row_init(struct tm_predict *p, uint32_t row, struct tm_err *err)
{
    struct predict_row *r = &p->rows[row];
    const struct tm_shown_row *theirs = &p->reader->shown->rows[row];
    int object = predict_truth_object(p, row), mine;
    *r = (struct predict_row){
        .record = TM_TRUTH_NONE, .mine = TM_SHOWN_NONE, .life = -1, .dirt = -1
    };
    if (object < 0)
        return TM_OK;
    const struct tm_truth_object *o = &p->truth->objects[object];
    r->record = tm_truth_record(p->truth, object, theirs->id);
    enum tm_code rc = tm_shown_object(p->shown, o->name, &mine, err);
    for (size_t c = 0; rc == TM_OK && c < o->columns_count; c++) {
        uint32_t column;
        if (p->shown->objects[mine].columns_count < o->columns_count)
            rc = tm_shown_column(p->shown, mine, o->columns[c], &column, err);
    }
    if (rc == TM_OK)
        rc = tm_shown_row(p->shown, mine, theirs->id, &r->mine, err);
    for (uint32_t v = r->record == TM_TRUTH_NONE ? TM_TRUTH_NONE
                                                 : p->truth->records[r->record].first;
         v != TM_TRUTH_NONE; v = p->truth->versions[v].next) {
        uint8_t event = p->truth->versions[v].event;
        if (p->truth->versions[v].intended_ns != INT64_MIN &&
            (event == TM_TRUTH_SILENT || event == TM_TRUTH_OVERFLOW))
            r->left_out = true;
    }
    r->left_out |= r->record == TM_TRUTH_NONE;
    p->set[row] = calloc(o->columns_count + 1, sizeof **p->set);
    p->values[row] = calloc(o->columns_count + 1, sizeof **p->values);
    if (p->set[row] == NULL || p->values[row] == NULL)
        return tm_fail(err, TM_E_NOMEM, "predict: row of %zu columns", o->columns_count);
    return rc;
}

static enum tm_code predict_index(struct tm_predict *p, struct tm_err *err)
{
    const struct tm_truth_version *v = p->truth->versions;
    size_t count = 0;
    p->by_replay = calloc(p->truth->versions_count + 1, sizeof *p->by_replay);
    if (p->by_replay == NULL)
        return tm_fail(err, TM_E_NOMEM, "predict: %zu versions", p->truth->versions_count);
    for (size_t i = 0; i < p->truth->versions_count; i++) {
        if (v[i].replay_id <= 0)
            continue;
        size_t at = count++; /* commits and replay ids go up together, but for a few */
        for (; at > 0 && v[p->by_replay[at - 1]].replay_id > v[i].replay_id; at--)
            p->by_replay[at] = p->by_replay[at - 1];
        p->by_replay[at] = (uint32_t)i;
    }
    p->by_replay_count = count;
    return TM_OK;
}

enum tm_code tm_predict_open(struct tm_predict **out, const struct tm_truth *truth,
                             const struct tm_reader *reader, const int64_t *query_ns,
                             int64_t clock_ns, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_predict *p = calloc(1, sizeof *p);
    if (p == NULL)
        return tm_fail(err, TM_E_NOMEM, "predict");
    p->truth = truth;
    p->reader = reader;
    p->clock_ns = clock_ns;
    memcpy(p->query_ns, query_ns, reader->objects_count * sizeof *query_ns);
    p->rows_count = reader->shown->rows_count;
    p->rows = calloc(p->rows_count + 1, sizeof *p->rows);
    p->set = calloc(p->rows_count + 1, sizeof *p->set);
    p->values = calloc(p->rows_count + 1, sizeof *p->values);
    p->taken = calloc(reader->arrivals_count + 1, sizeof *p->taken);
    if (p->rows == NULL || p->set == NULL || p->values == NULL || p->taken == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "predict: %zu rows", p->rows_count);
    if (rc == TM_OK)
        rc = predict_index(p, err);
    if (rc == TM_OK)
        rc = tm_shown_open(&p->shown, err);
    for (size_t i = 0; rc == TM_OK && i < reader->objects_count; i++) {
        int ignored;
        rc = tm_shown_object(p->shown, reader->objects[i].name, &ignored, err);
    }
    for (uint32_t row = 0; rc == TM_OK && row < p->rows_count; row++)
        rc = predict_row_init(p, row, err);
    if (rc == TM_OK) {
        *out = p;
        p = NULL;
    }
    tm_predict_close(p);
    return rc;
}

void tm_predict_close(struct tm_predict *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->rows_count; i++) {
        if (p->set != NULL)
            free(p->set[i]);
        if (p->values != NULL)
            free(p->values[i]);
    }
    for (size_t i = 0; i < p->seen.rows; i++)
        free(p->seen.values[i]);
    free(p->seen.values);
    free(p->seen.flags);
    free(p->rows);
    free(p->set);
    free(p->values);
    free(p->taken);
    free(p->by_replay);
    tm_shown_close(p->shown);
    free(p);
}

const struct tm_shown *tm_predict_shown(const struct tm_predict *p)
{
    return p->shown;
}

static void predict_put(struct tm_predict *p, uint32_t row, uint32_t column, uint64_t hash,
                        int64_t position)
{
    if (position < p->set[row][column])
        return;
    p->set[row][column] = position;
    p->values[row][column] = hash;
}

/* A full image at `position`: R4, R6, R10. */
static void predict_image(struct tm_predict *p, uint32_t row, int64_t position)
{
    struct predict_row *r = &p->rows[row];
    if (position >= r->life) {
        r->life = position;
        r->present = true;
    }
    if (r->dirt <= position)
        r->dirt = -1;
}

static void predict_gone(struct tm_predict *p, uint32_t row, int64_t position)
{
    struct predict_row *r = &p->rows[row];
    if (position >= r->life) {
        r->life = position;
        r->present = false;
    }
    if (r->dirt <= position)
        r->dirt = -1;
}

static uint32_t predict_version(const struct tm_predict *p, uint32_t record, int64_t replay_id)
{
    uint32_t v = record == TM_TRUTH_NONE ? TM_TRUTH_NONE : p->truth->records[record].last;
    while (v != TM_TRUTH_NONE && p->truth->versions[v].replay_id != replay_id)
        v = p->truth->versions[v].prev;
    return v;
}

static void predict_event(struct tm_predict *p, uint32_t row, const struct tm_arrival *a)
{
    struct predict_row *r = &p->rows[row];
    uint32_t v = predict_version(p, r->record, a->position / 2);
    if (v == TM_TRUTH_NONE) {
        r->left_out = true; /* an event the history does not know */
        return;
    }
    const struct tm_truth_version *version = &p->truth->versions[v];
    bool gap = version->event == TM_TRUTH_GAP;
    if (tm_truth_is_gone(version->change)) {
        predict_gone(p, row, a->position);
        if (gap && r->dirt < a->position)
            r->dirt = a->position;
        return;
    }
    if (gap || a->kind == TM_ARRIVAL_DIFF)
        r->dirt = r->dirt < a->position ? a->position : r->dirt;
    if (gap)
        return;
    r->left_out |= a->kind == TM_ARRIVAL_DIFF; /* which fields it withholds is the event's affair */
    if (version->change != TM_TRUTH_UPDATE) {
        const struct tm_truth_object *o = &p->truth->objects[p->truth->records[r->record].object];
        predict_image(p, row, a->position);
        for (uint32_t c = 0; version->change == TM_TRUTH_UNDELETE && c < o->columns_count; c++) {
            uint32_t d = o->heads[(size_t)p->truth->records[r->record].local * o->width + c];
            while (d != TM_TRUTH_NONE && p->truth->deltas[d].version > v)
                d = p->truth->deltas[d].prev;
            predict_put(p, row, c, d == TM_TRUTH_NONE ? TM_VHASH_NULL : p->truth->deltas[d].hash,
                        a->position);
        }
        for (uint32_t c = 0; version->change == TM_TRUTH_CREATE && c < o->columns_count; c++)
            predict_put(p, row, c, TM_VHASH_NULL, a->position);
    }
    for (uint32_t d = 0; d < version->delta_count; d++) {
        const struct tm_truth_delta *delta = &p->truth->deltas[version->delta_first + d];
        predict_put(p, row, delta->column, delta->hash, a->position);
    }
}

static void predict_answer(struct tm_predict *p, const struct tm_arrival *a)
{
    const struct tm_shown_object *theirs =
        &p->reader->shown->objects[p->reader->shown->rows[a->row].object];
    int object = predict_truth_object(p, a->row);
    const struct tm_truth_object *o = &p->truth->objects[object];
    if (a->kind == TM_ARRIVAL_UNREADABLE) {
        p->rows[a->row].left_out = true;
        return;
    }
    if (a->kind == TM_ARRIVAL_REMOVED) {
        predict_gone(p, a->row, a->position);
        return;
    }
    predict_image(p, a->row, a->position);
    for (uint32_t c = 0; c < a->values_count; c++) {
        int column = tm_truth_column(o, theirs->columns[c]);
        if (column >= 0)
            predict_put(p, a->row, (uint32_t)column, p->reader->values[a->values_first + c],
                        a->position);
    }
}

static enum tm_code predict_apply(struct tm_predict *p, uint32_t row, const struct tm_arrival *a,
                                  struct tm_err *err)
{
    struct predict_row *r = &p->rows[row];
    if (r->mine == TM_SHOWN_NONE)
        return TM_OK;
    if (a->kind == TM_ARRIVAL_EVENT || a->kind == TM_ARRIVAL_DIFF)
        predict_event(p, row, a);
    else
        predict_answer(p, a);
    int64_t query_ns =
        a->hi_ns <= p->clock_ns ? 0 : p->query_ns[p->reader->shown->rows[a->row].object];
    unsigned flags = r->present ? TM_SHOWN_PRESENT | (r->dirt >= 0 ? TM_SHOWN_DIRTY : 0u) : 0u;
    const struct tm_shown_object *mine = &p->shown->objects[p->shown->rows[r->mine].object];
    return tm_shown_set(p->shown, r->mine, flags, p->values[row], mine->columns_count,
                        a->lo_ns + query_ns, a->hi_ns + query_ns, a->rowid, NULL, err);
}

/* A row of an event speaks for every id in its recordIds (R3): each of them shows it with the first
 * of its rows. */
static enum tm_code predict_take(struct tm_predict *p, const struct tm_arrival *a,
                                 struct tm_err *err)
{
    enum tm_code rc = predict_apply(p, a->row, a, err);
    const struct tm_shown *theirs = p->reader->shown;
    size_t first = 0, last = p->by_replay_count;
    if (a->kind != TM_ARRIVAL_EVENT && a->kind != TM_ARRIVAL_DIFF)
        return rc;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (p->truth->versions[p->by_replay[middle]].replay_id < a->position / 2)
            first = middle + 1;
        else
            last = middle;
    }
    int object = predict_truth_object(p, a->row);
    for (; rc == TM_OK && first < p->by_replay_count; first++) {
        const struct tm_truth_version *v = &p->truth->versions[p->by_replay[first]];
        if (v->replay_id != a->position / 2)
            break;
        uint32_t row =
            tm_shown_find(theirs, theirs->rows[a->row].object, p->truth->records[v->record].id);
        if (p->truth->records[v->record].object == object && row != TM_SHOWN_NONE && row != a->row)
            rc = predict_apply(p, row, a, err);
    }
    return rc;
}

enum tm_code tm_predict_to(struct tm_predict *p, const int64_t *raw_rowid,
                           const int64_t *recon_rowid, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < p->reader->arrivals_count; i++) {
        const struct tm_arrival *a = &p->reader->arrivals[i];
        uint8_t object = p->reader->shown->rows[a->row].object;
        bool raw = a->kind == TM_ARRIVAL_EVENT || a->kind == TM_ARRIVAL_DIFF;
        const int64_t *cut = raw ? raw_rowid : recon_rowid;
        if (p->taken[i] || (cut != NULL && a->rowid > cut[object]))
            continue;
        p->taken[i] = true;
        rc = predict_take(p, a, err);
    }
    return rc;
}

/* The views' observations, replayed up to obs_last. */
static enum tm_code predict_replay(struct tm_predict *p, const struct tm_shown *views,
                                   uint32_t obs_last, struct tm_err *err)
{
    if (p->seen.values == NULL) {
        p->seen.values = calloc(views->rows_count + 1, sizeof *p->seen.values);
        p->seen.flags = calloc(views->rows_count + 1, 1);
        if (p->seen.values == NULL || p->seen.flags == NULL)
            return tm_fail(err, TM_E_NOMEM, "predict: views");
        p->seen.rows = views->rows_count;
    }
    for (; p->seen_obs < obs_last; p->seen_obs++) {
        const struct tm_shown_obs *o = &views->obs[p->seen_obs];
        uint64_t **values = &p->seen.values[o->row];
        if (*values == NULL &&
            (*values = calloc(views->objects[views->rows[o->row].object].columns_count + 1,
                              sizeof **values)) == NULL)
            return tm_fail(err, TM_E_NOMEM, "predict: a row");
        for (uint32_t d = 0; d < o->delta_count; d++)
            (*values)[views->deltas[o->delta_first + d].column] =
                views->deltas[o->delta_first + d].hash;
        p->seen.flags[o->row] = o->flags;
    }
    return TM_OK;
}

static bool predict_equal(const struct tm_predict *p, const struct tm_shown *views, uint32_t row,
                          uint32_t view_row, char field[80])
{
    const struct predict_row *r = &p->rows[row];
    unsigned flags = view_row == TM_SHOWN_NONE ? 0 : p->seen.flags[view_row];
    const struct tm_truth_object *o = &p->truth->objects[predict_truth_object(p, row)];
    const struct tm_describe *d = tm_truth_describe_last(o);
    if (((flags & TM_SHOWN_PRESENT) != 0) != r->present) {
        strcpy(field, "Id");
        return false;
    }
    if (!r->present)
        return true;
    if (((flags & TM_SHOWN_DIRTY) != 0) != (r->dirt >= 0)) {
        strcpy(field, "_dirty");
        return false;
    }
    const struct tm_shown_object *theirs = &views->objects[views->rows[view_row].object];
    for (size_t c = 0; c < theirs->columns_count; c++) {
        int column = tm_truth_column(o, theirs->columns[c]);
        const struct tm_field *f = d == NULL ? NULL : tm_describe_field(d, theirs->columns[c]);
        if (column < 0 || f == NULL || !tm_field_in_events(f))
            continue;
        if (p->seen.values[view_row][c] != p->values[row][column]) {
            memcpy(field, theirs->columns[c], 80);
            return false;
        }
    }
    return true;
}

enum tm_code tm_predict_compare(struct tm_predict *p, const struct tm_shown *views,
                                uint32_t obs_last, struct tm_predict_result *out,
                                struct tm_err *err)
{
    *out = (struct tm_predict_result){ 0 };
    enum tm_code rc = predict_replay(p, views, obs_last, err);
    for (uint32_t row = 0; rc == TM_OK && row < p->rows_count; row++) {
        const struct tm_shown_row *theirs = &p->reader->shown->rows[row];
        char field[80] = "";
        if (p->rows[row].left_out || p->rows[row].mine == TM_SHOWN_NONE || p->reader->epoch_moved) {
            out->left_out++;
            continue;
        }
        out->rows++;
        if (predict_equal(p, views, row, tm_shown_find(views, theirs->object, theirs->id), field))
            continue;
        if (out->differing++ == 0) {
            memcpy(out->example, theirs->id, sizeof out->example);
            memcpy(out->field, field, sizeof out->field);
        }
    }
    return rc;
}
