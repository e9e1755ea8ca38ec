/* The two options against each other and against a third reading of R1-R16, small enough to be
 * checked by eye: it keeps every row, and for each record sorts what concerns it by position and
 * applies it one by one. Random histories of four records, seeded; compared at rest and at
 * prefixes. */
#include "base/rng.h"
#include "support_view.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RECORDS 4
#define ROWS_MAX 480
#define HISTORIES 250
static const char *const ids[RECORDS] = { "a0000000000000001", "a0000000000000002",
                                          "a0000000000000003", "a0000000000000004" };
static const char *const columns[SV_COLUMNS] = { "A", "B", "LastName" };
static const char *const spelled[SV_COLUMNS] = { "A", "B", "Name.LastName" };

/* ---- one history: rows of the three tables, in the order they arrive ---- */

enum row_table { ROW_EVENT, ROW_ALERT, ROW_ANSWER };
struct row {
    enum row_table table;
    int64_t epoch, place, seq; /* replay id, or g */
    const char *type;          /* change type, alert kind, answer kind */
    int own;
    unsigned ids;           /* own: record, or -1 overflow, -2 conversion; bit set of records */
    unsigned changed, diff; /* bit sets of columns */
    int values[SV_COLUMNS]; /* 0 = null */
    int read, partition;
    bool whole, retyped;
    int64_t count, partitions;
};
struct history {
    struct row rows[ROWS_MAX];
    size_t count;
    bool split, both; /* merged events exploded; or in either form */
    bool retypes;     /* B has two types, and so two columns */
    int64_t base;     /* of replay ids: text and number sort apart at powers of ten (R1) */
};

static void put(struct history *h, struct row row)
{
    assert_true(h->count < ROWS_MAX);
    h->rows[h->count++] = row;
}

static void add(struct history *h, struct tm_rng *rng, struct row row)
{
    row.retyped = h->retypes && tm_rng_chance(rng, 0.5);
    put(h, row);
    if (!tm_rng_chance(rng, 0.1))
        return;
    /* a redelivery; its values may differ (R2) */
    for (int c = 0; c < SV_COLUMNS && tm_rng_chance(rng, 0.5); c++)
        row.values[c] = row.values[c] == 0 ? 7000 : tm_rng_chance(rng, 0.3) ? 0 : 5000;
    row.retyped = h->retypes && tm_rng_chance(rng, 0.5);
    put(h, row);
}

static int value(struct tm_rng *rng)
{
    return tm_rng_chance(rng, 0.2) ? 0 : (int)tm_rng_between(rng, 1, 999);
}

/* Merged events: one row, whose Id is recordIds[0], or one row per id; or a redelivery in the other
 * form. */
static void add_forms(struct history *h, struct tm_rng *rng, struct row r)
{
    if (!h->split || h->both || r.own < 0) {
        while (r.own >= 0 && (r.ids & ((1u << r.own) - 1)) != 0)
            r.own--;
        while (r.own >= 0 && (r.ids & (1u << r.own)) == 0)
            r.own++;
        add(h, rng, r);
        if (r.own < 0 || !h->both || tm_rng_chance(rng, 0.5))
            return;
    }
    for (int i = 0; i < RECORDS; i++)
        if (r.ids & (1u << i)) {
            r.own = i;
            add(h, rng, r);
        }
}

static void add_event(struct history *h, struct tm_rng *rng, int64_t epoch, int64_t place)
{
    static const char *const types[] = {
        "CREATE",     "CREATE",       "UPDATE",       "UPDATE",     "UPDATE",     "UPDATE",
        "UPDATE",     "DELETE",       "UNDELETE",     "GAP_CREATE", "gap_update", "GAP_UPDATE",
        "GAP_DELETE", "GAP_UNDELETE", "GAP_OVERFLOW", "SOMETHING"
    };
    struct row r = { .table = ROW_EVENT, .epoch = epoch, .place = place };
    r.type = types[tm_rng_below(rng, sizeof types / sizeof types[0])];
    r.own = (int)tm_rng_below(rng, RECORDS);
    r.ids = 1u << r.own;
    if (strcmp(r.type, "GAP_OVERFLOW") == 0) {
        r.own = -1;
        r.ids = 0;
    } else if (tm_rng_chance(rng, 0.05)) {
        r.own = -2;
        r.ids = 0;
        r.type = tm_rng_chance(rng, 0.5) ? "UPDATE" : "GAP_UPDATE";
    } else if (tm_rng_chance(rng, 0.3)) {
        r.ids |= (unsigned)tm_rng_below(rng, 1u << RECORDS);
    }
    if (strcmp(r.type, "UPDATE") == 0)
        r.changed = (unsigned)tm_rng_below(rng, 1u << SV_COLUMNS);
    if (tm_rng_chance(rng, 0.1))
        r.diff = r.changed & (unsigned)tm_rng_below(rng, 1u << SV_COLUMNS);
    for (int c = 0; c < SV_COLUMNS; c++)
        r.values[c] = value(rng);
    add_forms(h, rng, r);
}

static void add_answers(struct history *h, struct tm_rng *rng, struct row r, int scope,
                        unsigned asked)
{
    static const char *const kinds[] = { "image", "image", "image", "removed", "unreadable" };
    int64_t counts[2] = { 0, 0 };
    for (int i = 0; i < RECORDS; i++) {
        if ((asked & (1u << i)) == 0)
            continue;
        r.own = i;
        r.partition = i % 2;
        r.type = kinds[tm_rng_below(rng, 5)];
        for (int c = 0; c < SV_COLUMNS; c++)
            r.values[c] = value(rng);
        counts[r.partition]++;
        /* else lost: the read is never in force */
        if (!tm_rng_chance(rng, 0.05))
            add(h, rng, r);
    }
    for (int p = 0; p < 2 && scope > 0; p++) {
        r.type = "end";
        r.partition = p;
        r.count = counts[p];
        r.own = 0;
        if (!tm_rng_chance(rng, 0.05))
            add(h, rng, r);
    }
}

static void add_read(struct history *h, struct tm_rng *rng, int64_t epoch, int64_t places, int read)
{
    struct row r = { .table = ROW_ANSWER,
                     .epoch = epoch,
                     .place = tm_rng_chance(rng, 0.1)
                                  ? 0
                                  : h->base + (int64_t)tm_rng_below(rng, (uint64_t)places + 1),
                     .read = read,
                     /* two members may number alike */
                     .seq = tm_rng_chance(rng, 0.3) ? epoch * 10 : read,
                     .partitions = 2 };
    int scope = (int)tm_rng_below(rng, 3); /* ids, range, whole */
    unsigned asked = 0;
    r.whole = scope == 2;
    r.changed = (unsigned)scope;
    for (int i = 0; i < RECORDS; i++)
        if (tm_rng_chance(rng, r.whole ? 0.7 : 0.4))
            asked |= 1u << i;
    add_answers(h, rng, r, scope, asked);
    while (tm_rng_chance(rng, 0.2)) { /* it failed half way and is read again, as another read */
        r.seq += tm_rng_chance(rng, 0.3) ? 0 : 100;
        r.read += 100;
        add_answers(h, rng, r, scope, asked);
    }
}

static void generate(struct history *h, uint64_t seed)
{
    /* 3 … 42: "9" sorts behind "12" as text; so does 9…96 behind 10…02 */
    static const int64_t bases[] = { 0, 0, 9980, INT64_C(999999999999999980),
                                     INT64_C(9223372036854775700) };
    struct tm_rng rng;
    tm_rng_init(&rng, seed);
    h->count = 0;
    h->split = tm_rng_chance(&rng, 0.5);
    h->both = tm_rng_chance(&rng, 0.2);
    h->retypes = tm_rng_chance(&rng, 0.3);
    h->base = bases[tm_rng_below(&rng, sizeof bases / sizeof bases[0])];
    int64_t places = tm_rng_between(&rng, 2, 14);
    for (int64_t epoch = 1; epoch <= (tm_rng_chance(&rng, 0.2) ? 2 : 1); epoch++) {
        for (int64_t i = 1; i <= places; i++)
            add_event(h, &rng, epoch, h->base + i * 3);
        for (int64_t reads = tm_rng_between(&rng, 0, 4); reads > 0; reads--)
            add_read(h, &rng, epoch, places * 3, (int)(epoch * 10 + reads));
    }
    static const char *const alerts[] = { "no_base", "diff", "gap", "copy", "failed" };
    for (int64_t n = tm_rng_between(&rng, 0, 3); n > 0; n--)
        add(h, &rng,
            (struct row){ .table = ROW_ALERT,
                          .epoch = tm_rng_between(&rng, 1, 2),
                          .place = h->base + tm_rng_between(&rng, 1, places * 3),
                          .own = (int)tm_rng_below(&rng, RECORDS),
                          .type = alerts[tm_rng_below(&rng, 5)] });
    for (size_t i = h->count; i > 1; i--) {
        size_t k = tm_rng_below(&rng, i);
        struct row t = h->rows[i - 1];
        h->rows[i - 1] = h->rows[k];
        h->rows[k] = t;
    }
}

/* ---- into the raw tables ---- */

static const char *json_list(char out[128], unsigned set, const char *const *names, int count,
                             int first)
{
    size_t n = 0;
    out[n++] = '[';
    if (first >= 0)
        n += (size_t)snprintf(out + n, 128 - n, "\"%s\"", names[first]);
    for (int i = 0; i < count; i++)
        if ((set & (1u << i)) && i != first)
            n += (size_t)snprintf(out + n, 128 - n, "%s\"%s\"", n > 1 ? "," : "", names[i]);
    snprintf(out + n, 128 - n, "]");
    return out;
}

static const char *read_name(char out[16], const struct row *r)
{
    snprintf(out, 16, "read-%d", r->read);
    return out;
}

static void insert(struct sv_world *w, const struct row *r)
{
    if (r->retyped)
        sv_retype(w);
    static const char *const read_kinds[] = { "ids", "range", "whole" };
    char texts[SV_COLUMNS][12], list[128], changed[128], diff[128], read[16];
    const char *values[SV_COLUMNS];
    for (int c = 0; c < SV_COLUMNS; c++) {
        snprintf(texts[c], sizeof texts[c], "%d", r->values[c]);
        values[c] = r->values[c] != 0 ? texts[c] : NULL;
    }
    if (r->table == ROW_ALERT) {
        sv_alert(w, r->epoch, r->place, ids[r->own], r->type);
    } else if (r->table == ROW_EVENT) {
        /* recordIds are in order of the bits, in both forms: recordIds[0] is the lowest */
        struct sv_event e = { .epoch = r->epoch,
                              .replay_id = r->place,
                              .type = r->type,
                              .own = r->own == -1   ? "000000000000000AAA"
                                     : r->own == -2 ? "001*"
                                                    : ids[r->own],
                              .ids = r->own < 0 ? NULL : json_list(list, r->ids, ids, RECORDS, -1),
                              .changed = json_list(changed, r->changed, spelled, SV_COLUMNS, -1),
                              .diff = json_list(diff, r->diff, columns, SV_COLUMNS, -1),
                              .retyped = r->retyped };
        memcpy(e.values, values, sizeof values);
        sv_event(w, &e);
    } else {
        bool end = strcmp(r->type, "end") == 0;
        struct sv_answer a = { .epoch = r->epoch,
                               .g = r->place,
                               .seq = r->seq,
                               .read_id = read_name(read, r),
                               .read_kind = read_kinds[r->changed],
                               .kind = r->type,
                               .id = end ? NULL : ids[r->own],
                               .partition = r->partition,
                               .count = r->count,
                               .partitions = r->partitions,
                               .retyped = r->retyped };
        if (strcmp(r->type, "image") == 0)
            memcpy(a.values, values, sizeof values);
        sv_answer(w, &a);
    }
}

/* ---- the third reading ---- */

struct fact {
    int64_t key[4];
    int rank;
    const struct row *row;
}; /* rank: what marks comes after what changes */

static int fact_order(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    for (int i = 0; i < 4; i++)
        if (x->key[i] != y->key[i])
            return x->key[i] < y->key[i] ? -1 : 1;
    if (x->key[2] == 1 && x->row->read != y->row->read) { /* R9: numbered alike */
        char one[16], two[16];
        return strcmp(read_name(one, x->row), read_name(two, y->row));
    }
    return x->rank - y->rank;
}

/* R16: all ends, and as many distinct answers as each counts. */
static bool in_force(const struct row *rows, size_t count, int read)
{
    int ends = 0;
    for (int p = 0; p < 2; p++) {
        const struct row *end = NULL;
        unsigned answered = 0;
        for (size_t i = 0; i < count; i++) {
            if (rows[i].table != ROW_ANSWER || rows[i].read != read || rows[i].partition != p)
                continue;
            if (strcmp(rows[i].type, "end") == 0)
                end = &rows[i];
            else
                answered |= 1u << rows[i].own;
        }
        ends += end != NULL && __builtin_popcount(answered) >= end->count;
    }
    return ends == 2;
}

static bool first_of_its_kind(const struct row *rows, size_t at, int id)
{
    for (size_t i = 0; i < at; i++) {
        const struct row *a = &rows[i], *b = &rows[at];
        if (a->table != b->table || a->epoch != b->epoch || a->place != b->place ||
            a->seq != b->seq || a->read != b->read)
            continue;
        if (a->table == ROW_ANSWER ? a->own == id && strcmp(a->type, "end") != 0
                                   : (a->own == id || (a->own >= 0 && (a->ids & (1u << id)) &&
                                                       (a->ids & ((1u << a->own) - 1)) == 0)))
            return false; /* R2: the first delivered counts */
    }
    return true;
}

static size_t facts_of(struct fact *out, const struct row *rows, size_t count, int id)
{
    size_t n = 0;
    static struct row gone[64];
    size_t gone_count = 0;
    bool known = false;
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        struct fact f = { { r->epoch, r->place, r->table == ROW_ANSWER,
                            r->table == ROW_ANSWER ? r->seq : 0 },
                          0,
                          r };
        if (r->table == ROW_EVENT) {
            bool head = r->own >= 0 && (r->ids & ((1u << r->own) - 1)) == 0;
            if (r->own < 0 || !(r->own == id || (head && (r->ids & (1u << id)))) ||
                !first_of_its_kind(rows, i, id))
                continue;
        } else if (r->table == ROW_ALERT) {
            if (r->own != id || (strcmp(r->type, "no_base") != 0 && strcmp(r->type, "diff") != 0))
                continue;
            f.rank = 1;
        } else if (r->own != id || strcmp(r->type, "end") == 0 || !first_of_its_kind(rows, i, id)) {
            continue;
        }
        known = true;
        out[n++] = f;
    }
    /* R16: no answer in a whole read in force */
    for (size_t i = 0; i < count && known; i++) {
        const struct row *r = &rows[i];
        bool answered = false;
        if (r->table != ROW_ANSWER || strcmp(r->type, "end") != 0 || !r->whole ||
            !in_force(rows, count, r->read))
            continue;
        for (size_t k = 0; k < count; k++)
            answered |= rows[k].table == ROW_ANSWER && rows[k].read == r->read &&
                        strcmp(rows[k].type, "end") != 0 && rows[k].own == id;
        if (answered || gone_count == 64)
            continue;
        gone[gone_count] = *r;
        gone[gone_count].type = "removed";
        out[n++] = (struct fact){ { r->epoch, r->place, 1, r->seq }, 0, &gone[gone_count] };
        gone_count++;
    }
    qsort(out, n, sizeof *out, fact_order);
    return n;
}

static const char *const dirt_kinds[] = { "diff", "gap", "no_base", "unreadable" };
struct told {
    enum { UNHEARD, PARTIAL, ALIVE, GONE } state;
    int values[SV_COLUMNS];
    unsigned known;
    int64_t dirt[4][2];
    bool dirty[4];
};

static void tell_dirt(struct told *t, int kind, const struct row *r)
{
    t->dirty[kind] = true;
    t->dirt[kind][0] = r->place;
    t->dirt[kind][1] = r->epoch;
}

static void tell(struct told *t, const struct row *r)
{
    const char *k = r->type;
    bool full = strcmp(k, "CREATE") == 0 || strcmp(k, "UNDELETE") == 0 || strcmp(k, "image") == 0;
    bool gone =
        strcmp(k, "DELETE") == 0 || strcmp(k, "GAP_DELETE") == 0 || strcmp(k, "removed") == 0;
    bool update = strcmp(k, "UPDATE") == 0;
    if (full || gone)
        memset(t->dirty, 0, sizeof t->dirty); /* R10 */
    if (full) {                               /* R4 */
        t->state = ALIVE;
        memcpy(t->values, r->values, sizeof t->values);
    } else if (gone) { /* R7, R11 */
        t->state = GONE;
    } else if (update) { /* R5, R7, R12 */
        if (t->state == UNHEARD)
            t->state = PARTIAL;
        if (t->state != ALIVE)
            tell_dirt(t, 2, r);
        for (int c = 0; c < SV_COLUMNS; c++)
            if ((r->changed & ~r->diff) & (1u << c)) {
                t->values[c] = r->values[c];
                t->known |= 1u << c;
            }
    } else if (r->table == ROW_ALERT) {
        tell_dirt(t, strcmp(k, "diff") == 0 ? 0 : 2, r);
    } else { /* R8, R11 */
        tell_dirt(t, strcmp(k, "unreadable") == 0 ? 3 : 1, r);
    }
    if (r->table == ROW_EVENT && r->diff != 0)
        tell_dirt(t, 0, r);
}

static void tell_record(struct tm_buf *rows_out, struct tm_buf *dirt_out, const struct row *rows,
                        size_t count, int id)
{
    static struct fact facts[ROWS_MAX * 2];
    struct told t = { .state = UNHEARD };
    char unknown[128];
    size_t n = facts_of(facts, rows, count, id);
    for (size_t i = 0; i < n; i++)
        tell(&t, facts[i].row);
    bool dirty = t.dirty[0] || t.dirty[1] || t.dirty[2] || t.dirty[3];
    if (t.state == ALIVE || t.state == PARTIAL) {
        tm_buf_addz(rows_out, ids[id]);
        for (int c = 0; c < SV_COLUMNS; c++)
            if (t.values[c] != 0)
                tm_buf_addf(rows_out, " %d", t.values[c]);
            else
                tm_buf_addz(rows_out, " -");
        tm_buf_addf(rows_out, " %d\n", dirty);
    }
    json_list(unknown, ~t.known & ((1u << SV_COLUMNS) - 1), columns, SV_COLUMNS, -1);
    for (int k = 0; k < 4; k++)
        if (t.dirty[k])
            tm_buf_addf(dirt_out, "~%s %s %" PRId64 " %" PRId64 " %s\n", ids[id], dirt_kinds[k],
                        t.dirt[k][0], t.dirt[k][1],
                        t.state == PARTIAL && strcmp(unknown, "[]") != 0 ? unknown : "-");
}

/* `*`: R8, R14, R16. */
static void tell_stars(struct tm_buf *out, const struct row *rows, size_t count)
{
    int64_t whole[2] = { -1, -1 }, any[2] = { -1, -1 }, stars[2][2] = { { -1, -1 }, { -1, -1 } },
            epoch = -1, copied = -1;
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        const int64_t at[2] = { r->epoch, r->place };
        if (r->epoch > epoch)
            epoch = r->epoch;
        if (r->table == ROW_EVENT && r->own < 0) {
            int64_t *s = stars[r->own == -1 ? 1 : 0];
            if (at[0] > s[0] || (at[0] == s[0] && at[1] > s[1]))
                memcpy(s, at, sizeof at);
        }
        if (r->table != ROW_ANSWER || strcmp(r->type, "end") != 0 ||
            !in_force(rows, count, r->read))
            continue;
        if (at[0] > any[0] || (at[0] == any[0] && at[1] > any[1]))
            memcpy(any, at, sizeof at);
        if (r->whole && (at[0] > whole[0] || (at[0] == whole[0] && at[1] > whole[1])))
            memcpy(whole, at, sizeof at);
        if (r->whole && r->epoch > copied)
            copied = r->epoch;
    }
    if (stars[0][0] > whole[0] ||
        (stars[0][0] >= 0 && stars[0][0] == whole[0] && stars[0][1] > whole[1]))
        tm_buf_addf(out, "~* conversion %" PRId64 " %" PRId64 " -\n", stars[0][1], stars[0][0]);
    if (copied < epoch || copied < 0)
        tm_buf_addf(out, "~* copy 0 %" PRId64 " -\n", epoch < 0 ? 0 : epoch);
    if (stars[1][0] > any[0] || (stars[1][0] >= 0 && stars[1][0] == any[0] && stars[1][1] > any[1]))
        tm_buf_addf(out, "~* overflow %" PRId64 " %" PRId64 " -\n", stars[1][1], stars[1][0]);
}

static void tell_all(struct tm_buf *out, const struct row *rows, size_t count)
{
    struct tm_buf dirt;
    tm_buf_init(&dirt, 1u << 20);
    tm_buf_reset(out);
    tell_stars(&dirt, rows, count);
    for (int id = 0; id < RECORDS; id++)
        tell_record(out, &dirt, rows, count, id);
    tm_buf_addz(out, tm_buf_text(&dirt));
    tm_buf_free(&dirt);
}

/* ---- the property ---- */

static void compare(struct sv_world *w, const struct history *h, size_t prefix, uint64_t seed)
{
    struct tm_buf model;
    tm_buf_init(&model, 1u << 20);
    tell_all(&model, h->rows, prefix);
    sv_catch_up(w);
    char *one = sv_dump(w->raw), *two = sv_dump(w->db);
    if (strcmp(tm_buf_text(&model), one) != 0 || strcmp(one, two) != 0) {
        for (size_t i = 0; i < prefix; i++) {
            const struct row *r = &h->rows[i];
            print_message(
                "%zu table=%d epoch=%d place=%lld seq=%d type=%s own=%d ids=%x changed=%x "
                "diff=%x %d %d %d read=%d part=%d "
                "n=%d\n",
                i, r->table, (int)r->epoch, (long long)r->place, (int)r->seq, r->type, r->own,
                r->ids, r->changed, r->diff, r->values[0], r->values[1], r->values[2], r->read,
                r->partition, (int)r->count);
        }
        fail_msg("seed %llu after %zu of %zu rows\nrules:\n%s\noption 1:\n%s\noption 2:\n%s",
                 (unsigned long long)seed, prefix, h->count, tm_buf_text(&model), one, two);
    }
    free(one);
    free(two);
    tm_buf_free(&model);
}

static void both_options_agree_with_the_rules_on_any_history_at_rest_and_in_flight(void **state)
{
    (void)state;
    static struct history h;
    uint64_t first = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) : 1;
    uint64_t count = getenv("SEEDS") != NULL ? strtoull(getenv("SEEDS"), NULL, 10) : HISTORIES;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sv_world w;
        struct tm_rng rng;
        generate(&h, seed);
        tm_rng_init(&rng, seed ^ 0x9e3779b9);
        sv_open(&w);
        w.rows_max = tm_rng_chance(&rng, 0.5) ? 1 + tm_rng_below(&rng, 5) : 0;
        for (size_t i = 0; i < h.count;) {
            size_t n = 1 + tm_rng_below(&rng, 1 + h.count / 3);
            sv_sql(w.raw, "BEGIN");
            for (; n > 0 && i < h.count; n--)
                insert(&w, &h.rows[i++]);
            sv_sql(w.raw, "COMMIT");
            if (tm_rng_chance(&rng, 0.2))
                sv_restart(&w);
            if (i == h.count || tm_rng_chance(&rng, 0.5))
                compare(&w, &h, i, seed);
        }
        sv_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_options_agree_with_the_rules_on_any_history_at_rest_and_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
