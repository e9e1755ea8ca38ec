#include "check/predict.h"
#include "check/vhash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PREDICT_PARTITIONS_MAX 1024

struct predict_row {           /* by row of the reader's `shown` */
    uint32_t record;           /* of truth */
    uint32_t mine;             /* row of `shown` here */
    uint32_t read, whole_read; /* that answered it last */
    uint32_t found;            /* version of its last event; TM_TRUTH_NONE: none yet */
    int64_t life;              /* position of the newest full image or removal, -1 none */
    uint32_t life_read;        /* where it is an answer: of which read (R9) */
    int64_t dirt;              /* newest position in doubt, -1 none */
    bool full;                 /* of life: an image, no removal */
    bool updated, known, left_out;
};
struct predict_stars {                        /* R8, R14, R16: newest positions, -1 none */
    int64_t overflow, conversion, whole, any; /* whole, any: reads in force */
    int64_t epoch, copied; /* newest of all that arrived; of a whole read in force */
    bool stands;
};
struct predict_read { /* one read of the reconciler: R16 */
    int64_t epoch, position, answered, counted, partitions;
    int64_t ends;
    uint64_t ended[PREDICT_PARTITIONS_MAX / 64]; /* bit a partition */
    bool in_force;
};
struct tm_predict {
    const struct tm_truth *truth;
    const struct tm_reader *reader;
    int64_t query_ns[TM_SHOWN_OBJECTS_MAX], clock_ns;
    bool silent;                        /* for comparison only: no observations */
    int *columns[TM_SHOWN_OBJECTS_MAX]; /* of the reader's relation -> of truth, -1 none */
    struct tm_shown *shown;
    struct predict_row *rows;
    int64_t **set;     /* [row][column]: position of the value shown, owned, NULL until needed */
    uint64_t **values; /* [row][column] */
    size_t rows_count;
    bool *taken; /* by arrival */
    int64_t
        *rank; /* by arrival: its place among all (epoch, position): what is compared here (R1) */
    int64_t replay_id;                    /* of the arrival at hand */
    struct predict_read *reads;           /* by number of a read */
    uint32_t whole[TM_SHOWN_OBJECTS_MAX]; /* by object: newest whole read in force */
    struct predict_stars stars[TM_SHOWN_OBJECTS_MAX];
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
    *r = (struct predict_row){ .record = TM_TRUTH_NONE,
                               .found = TM_TRUTH_NONE,
                               .mine = TM_SHOWN_NONE,
                               .read = TM_SHOWN_NONE,
                               .whole_read = TM_SHOWN_NONE,
                               .life_read = TM_SHOWN_NONE,
                               .life = -1,
                               .dirt = -1 };
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
    r->left_out = r->record == TM_TRUTH_NONE;
    p->set[row] = calloc(o->columns_count + 1, sizeof **p->set);
    p->values[row] = calloc(o->columns_count + 1, sizeof **p->values);
    if (p->set[row] == NULL || p->values[row] == NULL)
        return tm_fail(err, TM_E_NOMEM, "predict: row of %zu columns", o->columns_count);
    return rc;
}

static enum tm_code predict_columns(struct tm_predict *p, struct tm_err *err)
{
    for (size_t i = 0; i < p->reader->shown->objects_count; i++) {
        const struct tm_shown_object *theirs = &p->reader->shown->objects[i];
        int object = tm_truth_object(p->truth, theirs->name);
        p->columns[i] = calloc(theirs->columns_count + 1, sizeof *p->columns[i]);
        if (p->columns[i] == NULL)
            return tm_fail(err, TM_E_NOMEM, "predict: columns of %s", theirs->name);
        for (size_t c = 0; c < theirs->columns_count; c++)
            p->columns[i][c] =
                object < 0 ? -1 : tm_truth_column(&p->truth->objects[object], theirs->columns[c]);
    }
    return TM_OK;
}

struct predict_place {
    int64_t epoch, position;
    size_t arrival;
};
static int predict_place_order(const void *a, const void *b)
{
    const struct predict_place *x = a, *y = b;
    if (x->epoch != y->epoch)
        return x->epoch < y->epoch ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

/* Positions of several epochs become one line of numbers. */
static enum tm_code predict_ranks(struct tm_predict *p, struct tm_err *err)
{
    size_t count = p->reader->arrivals_count;
    struct predict_place *all = calloc(count + 1, sizeof *all);
    p->rank = calloc(count + 1, sizeof *p->rank);
    if (all == NULL || p->rank == NULL) {
        free(all);
        return tm_fail(err, TM_E_NOMEM, "predict: %zu positions", count);
    }
    for (size_t i = 0; i < count; i++)
        all[i] = (struct predict_place){ p->reader->arrivals[i].epoch,
                                         p->reader->arrivals[i].position, i };
    qsort(all, count, sizeof *all, predict_place_order);
    int64_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        rank += i > 0 && predict_place_order(&all[i - 1], &all[i]) != 0;
        p->rank[all[i].arrival] = rank;
    }
    free(all);
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
    p->silent = query_ns == NULL;
    if (query_ns != NULL)
        memcpy(p->query_ns, query_ns, reader->objects_count * sizeof *query_ns);
    p->rows_count = reader->shown->rows_count;
    p->rows = calloc(p->rows_count + 1, sizeof *p->rows);
    p->set = calloc(p->rows_count + 1, sizeof *p->set);
    p->values = calloc(p->rows_count + 1, sizeof *p->values);
    p->taken = calloc(reader->arrivals_count + 1, sizeof *p->taken);
    p->reads = calloc(reader->reads_made_count + 1, sizeof *p->reads);
    memset(p->whole, 0xff, sizeof p->whole);
    for (size_t i = 0; i < TM_SHOWN_OBJECTS_MAX; i++)
        p->stars[i] = (struct predict_stars){ -1, -1, -1, -1, -1, -1, false };
    if (p->rows == NULL || p->set == NULL || p->values == NULL || p->taken == NULL ||
        p->reads == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "predict: %zu rows", p->rows_count);
    if (rc == TM_OK)
        rc = predict_ranks(p, err);
    if (rc == TM_OK)
        rc = tm_shown_open(&p->shown, err);
    for (size_t i = 0; rc == TM_OK && i < reader->objects_count; i++) {
        int ignored;
        rc = tm_shown_object(p->shown, reader->objects[i].name, &ignored, err);
    }
    if (rc == TM_OK)
        rc = predict_columns(p, err);
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
    for (size_t i = 0; i < TM_SHOWN_OBJECTS_MAX; i++)
        free(p->columns[i]);
    free(p->seen.values);
    free(p->seen.flags);
    free(p->rows);
    free(p->set);
    free(p->values);
    free(p->taken);
    free(p->rank);
    free(p->reads);
    tm_shown_close(p->shown);
    free(p);
}

const struct tm_shown *tm_predict_shown(const struct tm_predict *p)
{
    return p->shown;
}

/* R7, R8, R12. A record known by updates alone has a row, in doubt, most of it never received. */
static unsigned predict_flags(const struct predict_row *r)
{
    if (r->life < 0)
        return r->updated ? TM_SHOWN_PRESENT | TM_SHOWN_DIRTY | TM_SHOWN_PARTIAL : 0u;
    return !r->full ? 0u : TM_SHOWN_PRESENT | (r->dirt >= r->life ? TM_SHOWN_DIRTY : 0u);
}

static void predict_put(struct tm_predict *p, uint32_t row, uint32_t column, uint64_t hash,
                        int64_t position)
{
    if (position < p->set[row][column])
        return;
    p->set[row][column] = position;
    p->values[row][column] = hash;
}

/* Does read `a` stand above read `b` where both answer one position? */
static bool predict_read_above(const struct tm_predict *p, uint32_t a, uint32_t b)
{
    const struct tm_arrival_read *x = &p->reader->reads_made[a], *y = &p->reader->reads_made[b];
    return x->seq != y->seq ? x->seq > y->seq : strcmp(x->id, y->id) > 0;
}

/* A full image or a removal at `position`: R4, R7, R9. What is in doubt below it is settled (R10),
 * whichever came first. An answer names its read; no event shares a position with one. False: what
 * is there stands above it. */
static bool predict_life(struct tm_predict *p, uint32_t row, int64_t position, uint32_t read,
                         bool full)
{
    struct predict_row *r = &p->rows[row];
    if (position < r->life ||
        (position == r->life && read != TM_SHOWN_NONE && r->life_read != TM_SHOWN_NONE &&
         !predict_read_above(p, read, r->life_read)))
        return false;
    r->life = position;
    r->life_read = read;
    r->full = full;
    return true;
}

static void predict_doubt(struct tm_predict *p, uint32_t row, int64_t position)
{
    if (p->rows[row].dirt < position)
        p->rows[row].dirt = position;
}

/* The version that the event is of: one line of replay ids may begin anew, a transaction has one
 * key. */
static bool predict_is(const struct tm_truth_version *v, int64_t replay_id, uint64_t txn)
{
    return v->replay_id == replay_id && (txn == 0 || txn == v->txn);
}

/* Looked for from where the record's last event was found: events of one record come in order but
 * for repetitions, and a hot record has thousands of versions. */
static uint32_t predict_version(struct predict_row *r, const struct tm_truth *t, int64_t replay_id,
                                uint64_t txn)
{
    if (r->record == TM_TRUTH_NONE)
        return TM_TRUTH_NONE;
    uint32_t from = r->found != TM_TRUTH_NONE ? r->found : t->records[r->record].first, v = from;
    while (v != TM_TRUTH_NONE && !predict_is(&t->versions[v], replay_id, txn))
        v = t->versions[v].next;
    if (v == TM_TRUTH_NONE)
        for (v = from; v != TM_TRUTH_NONE && !predict_is(&t->versions[v], replay_id, txn);)
            v = t->versions[v].prev;
    r->found = v != TM_TRUTH_NONE ? v : r->found;
    return v;
}

static bool predict_sets(const struct tm_truth *t, uint32_t v, uint32_t column, uint64_t *out)
{
    const struct tm_truth_version *version = &t->versions[v];
    for (uint32_t i = 0; i < version->delta_count; i++)
        if (t->deltas[version->delta_first + i].column == column) {
            *out = t->deltas[version->delta_first + i].hash;
            return true;
        }
    return false;
}

/* What the record's column held after version v: looked for from both ends at once, for a busy
 * record has tens of thousands of versions, and which way is short depends on the column. */
static uint64_t predict_held(const struct tm_predict *p, uint32_t record, uint32_t column,
                             uint32_t v)
{
    const struct tm_truth *t = p->truth;
    const struct tm_truth_record *r = &t->records[record];
    const struct tm_truth_object *o = &t->objects[r->object];
    uint32_t newest = o->heads[(size_t)r->local * o->width + column], u = v;
    uint64_t hash;
    while (newest != TM_TRUTH_NONE && u != TM_TRUTH_NONE) {
        if (t->deltas[newest].version <= v)
            return t->deltas[newest].hash;
        if (predict_sets(t, u, column, &hash))
            return hash;
        newest = t->deltas[newest].prev;
        u = t->versions[u].prev;
    }
    return TM_VHASH_NULL; /* nobody has set it by then */
}

/* R4: every column. R5: those it names, also where they kept their value. */
static void predict_values(struct tm_predict *p, uint32_t row, uint32_t v, int64_t position)
{
    const struct tm_truth_version *version = &p->truth->versions[v];
    uint32_t record = p->rows[row].record;
    if (version->change != TM_TRUTH_UPDATE) {
        size_t columns = p->truth->objects[p->truth->records[record].object].columns_count;
        for (uint32_t c = 0; c < columns; c++)
            predict_put(p, row, c, predict_held(p, record, c, v), position);
        return;
    }
    for (uint32_t d = 0; d < version->delta_count; d++) {
        const struct tm_truth_delta *delta = &p->truth->deltas[version->delta_first + d];
        predict_put(p, row, delta->column, delta->hash, position);
    }
    size_t first, count;
    tm_truth_named_again(p->truth, v, &first, &count);
    for (size_t i = first; i < first + count; i++) {
        uint32_t column = p->truth->again[i].column;
        predict_put(p, row, column, predict_held(p, record, column, v), position);
    }
}

static void predict_event(struct tm_predict *p, uint32_t row, const struct tm_arrival *a)
{
    struct predict_row *r = &p->rows[row];
    uint32_t v = predict_version(r, p->truth, p->replay_id, a->txn);
    if (v == TM_TRUTH_NONE) {
        r->left_out = true; /* an event the history does not know */
        return;
    }
    const struct tm_truth_version *version = &p->truth->versions[v];
    /* which fields it withholds is the event's affair */
    r->left_out |= a->kind == TM_ARRIVAL_DIFF;
    if (tm_truth_is_gone(version->change)) {
        predict_life(p, row, a->position, TM_SHOWN_NONE, false);
        return;
    }
    if (version->event == TM_TRUTH_GAP || a->kind == TM_ARRIVAL_DIFF)
        predict_doubt(p, row, a->position);
    if (version->event == TM_TRUTH_GAP)
        return;
    if (version->change == TM_TRUTH_UPDATE)
        r->updated = true;
    else
        predict_life(p, row, a->position, TM_SHOWN_NONE, true);
    predict_values(p, row, v, a->position);
}

/* An image sets every column: to null those it does not carry. */
static void predict_image(struct tm_predict *p, const struct tm_arrival *a)
{
    const struct tm_truth_object *o = &p->truth->objects[predict_truth_object(p, a->row)];
    bool carried[TM_TRUTH_COLUMNS_MAX] = { false };
    if (!predict_life(p, a->row, a->position, a->read, true))
        return;
    for (uint32_t c = 0; c < a->values_count; c++) {
        int column = p->columns[a->object][c];
        if (column < 0)
            continue;
        carried[column] = true;
        predict_put(p, a->row, (uint32_t)column, p->reader->values[a->values_first + c],
                    a->position);
    }
    for (uint32_t c = 0; c < o->columns_count; c++)
        if (!carried[c])
            predict_put(p, a->row, c, TM_VHASH_NULL, a->position);
}

static void predict_answer(struct tm_predict *p, const struct tm_arrival *a)
{
    struct predict_row *r = &p->rows[a->row];
    const struct tm_arrival_read *read = &p->reader->reads_made[a->read];
    if (r->read != a->read)
        p->reads[a->read].answered++;
    r->read = a->read;
    if (read->whole)
        r->whole_read = a->read;
    if (a->kind == TM_ARRIVAL_IMAGE)
        predict_image(p, a);
    else if (a->kind == TM_ARRIVAL_REMOVED)
        predict_life(p, a->row, a->position, a->read, false);
    else
        r->left_out = true;
}

/* The row as it stands now, seen with arrival `a`. */
static enum tm_code predict_show(struct tm_predict *p, uint32_t row, const struct tm_arrival *a,
                                 struct tm_err *err)
{
    const struct predict_row *r = &p->rows[row];
    if (p->silent)
        return TM_OK;
    int64_t query_ns = a->hi_ns <= p->clock_ns ? 0 : p->query_ns[a->object];
    const struct tm_shown_object *mine = &p->shown->objects[p->shown->rows[r->mine].object];
    return tm_shown_set(p->shown, r->mine, predict_flags(r), p->values[row], mine->columns_count,
                        a->lo_ns + query_ns, a->hi_ns + query_ns, a->rowid, NULL, err);
}

/* R16: whom a whole read in force did not answer is gone at its g. */
static void predict_not_answered(struct tm_predict *p, uint32_t row, uint32_t read)
{
    predict_life(p, row, p->reads[read].position, read, false);
}

static enum tm_code predict_take_one(struct tm_predict *p, const struct tm_arrival *a,
                                     struct tm_err *err)
{
    struct predict_row *r = &p->rows[a->row];
    if (r->mine == TM_SHOWN_NONE)
        return TM_OK;
    if (!r->known && p->whole[a->object] != TM_SHOWN_NONE)
        predict_not_answered(p, a->row, p->whole[a->object]);
    r->known = true;
    if (a->kind == TM_ARRIVAL_ALERT)
        predict_doubt(p, a->row, a->position);
    else if (a->kind == TM_ARRIVAL_EVENT || a->kind == TM_ARRIVAL_DIFF)
        predict_event(p, a->row, a);
    else
        predict_answer(p, a);
    return predict_show(p, a->row, a, err);
}

static void predict_end(struct tm_predict *p, const struct tm_arrival *a)
{
    const struct tm_arrival_end *end = &p->reader->ends[a->values_first];
    struct predict_read *read = &p->reads[a->read];
    uint64_t partition = (uint64_t)end->partition % PREDICT_PARTITIONS_MAX;
    uint64_t *word = &read->ended[partition / 64], bit = UINT64_C(1) << partition % 64;
    if ((*word & bit) == 0) {
        read->ends++;
        read->counted += end->count;
    }
    *word |= bit;
    read->partitions = end->partitions;
    read->position = a->position > read->position ? a->position : read->position;
    read->epoch = a->epoch > read->epoch ? a->epoch : read->epoch;
}

/* R16: in force once all ends, and as many answers as they count, are there. */
static enum tm_code predict_force(struct tm_predict *p, const struct tm_arrival *a,
                                  struct tm_err *err)
{
    struct predict_read *read = &p->reads[a->read];
    enum tm_code rc = TM_OK;
    if (read->in_force || read->ends == 0 || read->ends < read->partitions ||
        read->answered < read->counted)
        return TM_OK;
    struct predict_stars *s = &p->stars[a->object];
    bool whole = p->reader->reads_made[a->read].whole;
    read->in_force = true;
    s->any = read->position > s->any ? read->position : s->any;
    s->whole = whole && read->position > s->whole ? read->position : s->whole;
    s->copied = whole && read->epoch > s->copied ? read->epoch : s->copied;
    if (!whole)
        return TM_OK;
    uint32_t newest = p->whole[a->object];
    if (newest == TM_SHOWN_NONE || p->reads[newest].position < read->position ||
        (p->reads[newest].position == read->position && predict_read_above(p, a->read, newest)))
        p->whole[a->object] = a->read;
    for (uint32_t row = 0; rc == TM_OK && row < p->rows_count; row++) {
        const struct predict_row *r = &p->rows[row];
        if (!r->known || r->whole_read == a->read ||
            p->reader->shown->rows[row].object != a->object)
            continue;
        predict_not_answered(p, row, a->read);
        rc = predict_show(p, row, a, err);
    }
    return rc;
}

/* `*`: until a first copy is in force, and from overflow or conversion to a read beyond it. */
static enum tm_code predict_star(struct tm_predict *p, const struct tm_arrival *a,
                                 struct tm_err *err)
{
    struct predict_stars *s = &p->stars[a->object];
    int64_t query_ns = a->hi_ns <= p->clock_ns ? 0 : p->query_ns[a->object];
    if (a->kind == TM_ARRIVAL_OVERFLOW && a->position > s->overflow)
        s->overflow = a->position;
    if (a->kind == TM_ARRIVAL_CONVERSION && a->position > s->conversion)
        s->conversion = a->position;
    s->epoch = a->epoch > s->epoch ? a->epoch : s->epoch;
    s->stands = s->copied < s->epoch || s->overflow > s->any || s->conversion > s->whole;
    return tm_shown_star(p->shown, a->object, s->stands, a->hi_ns + query_ns, err);
}

static enum tm_code predict_take(struct tm_predict *p, const struct tm_arrival *a,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (a->kind == TM_ARRIVAL_END)
        predict_end(p, a);
    else if (a->row != TM_SHOWN_NONE)
        rc = predict_take_one(p, a, err);
    if (rc == TM_OK && a->kind >= TM_ARRIVAL_IMAGE)
        rc = predict_force(p, a, err);
    return rc == TM_OK ? predict_star(p, a, err) : rc;
}

enum tm_code tm_predict_to(struct tm_predict *p, const struct tm_arrival_cut *cut,
                           struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; rc == TM_OK && i < p->reader->arrivals_count; i++) {
        struct tm_arrival a = p->reader->arrivals[i];
        int64_t last = INT64_MAX;
        if (cut != NULL)
            last = a.kind < TM_ARRIVAL_ALERT    ? cut[a.object].raw
                   : a.kind == TM_ARRIVAL_ALERT ? cut[a.object].alerts
                                                : cut[a.object].recon;
        if (p->taken[i] || a.rowid > last)
            continue;
        p->taken[i] = true;
        p->replay_id = a.position / 2;
        a.position = p->rank[i];
        rc = predict_take(p, &a, err);
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
                          uint32_t view_row, const struct tm_full_read *read, char field[80])
{
    unsigned flags = view_row == TM_SHOWN_NONE ? 0 : p->seen.flags[view_row],
             mine = predict_flags(&p->rows[row]);
    const struct tm_truth_object *o = &p->truth->objects[predict_truth_object(p, row)];
    const struct tm_describe *d = tm_truth_describe_last(o);
    if (((flags ^ mine) & TM_SHOWN_PRESENT) != 0) {
        strcpy(field, "Id");
        return false;
    }
    if ((mine & TM_SHOWN_PRESENT) == 0)
        return true;
    if (((flags ^ mine) & TM_SHOWN_DIRTY) != 0) {
        strcpy(field, "_dirty");
        return false;
    }
    const struct tm_shown_object *theirs = &views->objects[views->rows[view_row].object];
    size_t count = read->columns[views->rows[view_row].object];
    for (size_t c = 0; c < count; c++) {
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
                                const struct tm_full_read *read, struct tm_predict_result *out,
                                struct tm_err *err)
{
    *out = (struct tm_predict_result){ 0 };
    enum tm_code rc = predict_replay(p, views, read->obs_last, err);
    for (size_t i = 0; rc == TM_OK && i < p->reader->objects_count; i++) {
        if (!read->dirty_known[i] || read->cut[i].raw + read->cut[i].recon == 0)
            continue;
        out->stars++;
        if (read->starred[i] == p->stars[i].stands)
            continue;
        out->stars_differing++;
        strcpy(out->example, "*");
        strcpy(out->field, p->reader->objects[i].name);
    }
    for (uint32_t row = 0; rc == TM_OK && row < p->rows_count; row++) {
        const struct tm_shown_row *theirs = &p->reader->shown->rows[row];
        char field[80] = "";
        if (p->rows[row].left_out || p->rows[row].mine == TM_SHOWN_NONE) {
            out->left_out++;
            continue;
        }
        out->rows++;
        if (predict_equal(p, views, row, tm_shown_find(views, theirs->object, theirs->id), read,
                          field))
            continue;
        if (out->differing++ == 0) {
            memcpy(out->example, theirs->id, sizeof out->example);
            memcpy(out->field, field, sizeof out->field);
        }
    }
    return rc;
}
