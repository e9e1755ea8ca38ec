#include "tests/support_small.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* R1: text would put 10 and 100 below 9. A moved org's numbers start over. */
static const int places[2][SMALL_CHANGES_MAX + 1] = { { 0, 8, 9, 10, 100, 101 },
                                                      { 0, 9, 3, 4, 10, 11 } };

int small_place(const struct small_story *s, int change)
{
    return places[s->moved][change];
}

int small_epoch(const struct small_story *s, int change)
{
    return s->moved && change > 1 ? 2 : 1;
}

/* ---- stories ---- */

static const struct small_change creates[] = { { .type = "CREATE" },
                                               { .type = "CREATE", .how = SMALL_GAP },
                                               { .type = "CREATE", .how = SMALL_OVERFLOW } },
                                 undeletes[] = { { .type = "UNDELETE" },
                                                 { .type = "UNDELETE", .how = SMALL_GAP },
                                                 { .type = "UNDELETE", .how = SMALL_OVERFLOW } },
                                 others[] = {
                                     { .type = "UPDATE", .sets_a = true },
                                     { .type = "UPDATE", .sets_a = true, .clears = true },
                                     { .type = "UPDATE", .sets_b = true },
                                     { .type = "UPDATE", .sets_a = true, .how = SMALL_GAP },
                                     { .type = "UPDATE", .sets_a = true, .how = SMALL_DIFFED },
                                     { .type = "UPDATE", .sets_a = true, .how = SMALL_OVERFLOW },
                                     { .type = "UPDATE", .sets_a = true, .how = SMALL_CONVERSION },
                                     { .type = "DELETE" },
                                     { .type = "DELETE", .how = SMALL_GAP },
                                     { .type = "DELETE", .how = SMALL_OVERFLOW },
                                 };

struct tell {
    struct small_story s;
    int rows;
    void (*each)(const struct small_story *s, void *self);
    void *self;
};

static void tell_row(struct tell *t, enum small_kind kind, int of)
{
    t->s.rows[t->s.rows_count++] = (struct small_row){ kind, of };
}

static void tell_asked(struct tell *t, int alerted);

/* One read more, made no earlier than the last. */
static void tell_read(struct tell *t, struct small_read read)
{
    struct small_story kept = t->s;
    bool answers = small_answers(&t->s, &read);
    int rows = (read.scope != SMALL_IDS) + answers;
    if (t->s.rows_count + rows > t->rows || t->s.reads_count == SMALL_READS_MAX)
        return;
    if (answers)
        tell_row(t, SMALL_ANSWER, t->s.reads_count);
    if (read.scope != SMALL_IDS)
        tell_row(t, SMALL_END, t->s.reads_count);
    t->s.reads[t->s.reads_count++] = read;
    tell_asked(t, t->s.changes_count);
    t->s = kept;
}

/* Who may ask at change g: anybody for a copy, a gap, a diff and an update without base for the
 * record, an overflow for a range. */
static void tell_reads(struct tell *t)
{
    int first = t->s.reads_count > 0 ? t->s.reads[t->s.reads_count - 1].seen : 0;
    for (int g = 0; g <= t->s.changes_count; g++)
        for (int seen = g > first ? g : first; seen <= t->s.changes_count; seen++) {
            const struct small_change *c = &t->s.changes[g > 0 ? g - 1 : 0];
            tell_read(t, (struct small_read){ SMALL_WHOLE, g, seen, false });
            if (g == 0 || c->how == SMALL_CONVERSION)
                continue;
            if (c->how == SMALL_OVERFLOW) {
                tell_read(t, (struct small_read){ SMALL_RANGE, g, seen, false });
            } else if (c->how != SMALL_EVENT || strcmp(c->type, "UPDATE") == 0) {
                tell_read(t, (struct small_read){ SMALL_IDS, g, seen, false });
                tell_read(t, (struct small_read){ SMALL_IDS, g, seen, true });
            }
        }
}

/* Alerts for updates after change `alerted`, then reads, until there are enough rows. */
static void tell_asked(struct tell *t, int alerted)
{
    if (t->s.rows_count == t->rows) {
        if (!t->s.moved || t->s.changes_count > 1) /* else as if it had not moved */
            t->each(&t->s, t->self);
        return;
    }
    for (int i = alerted + 1; i <= t->s.changes_count && t->s.reads_count == 0; i++) {
        const struct small_change *c = &t->s.changes[i - 1];
        if (c->how != SMALL_EVENT || strcmp(c->type, "UPDATE") != 0)
            continue;
        tell_row(t, SMALL_NO_BASE, i);
        tell_asked(t, i);
        t->s.rows_count--;
    }
    tell_reads(t);
}

static void tell_change(struct tell *t, const struct small_change *c)
{
    int n = ++t->s.changes_count;
    struct small_truth *now = &t->s.truth[n];
    *now = t->s.truth[n - 1];
    t->s.changes[n - 1] = *c;
    if (strcmp(c->type, "CREATE") == 0)
        *now = (struct small_truth){ true, 10 * n + 1, 10 * n + 2 };
    now->there = strcmp(c->type, "DELETE") != 0;
    if (c->sets_a)
        now->a = c->clears ? 0 : 10 * n + 1;
    if (c->sets_b)
        now->b = 10 * n + 2;
    tell_row(t, SMALL_CHANGE, n);
    tell_asked(t, 0);
    if (n < t->rows) {
        const struct small_change *next = now->there ? others : undeletes;
        size_t count =
            now->there ? sizeof others / sizeof others[0] : sizeof undeletes / sizeof undeletes[0];
        for (size_t i = 0; i < count; i++)
            tell_change(t, &next[i]);
    }
    t->s.rows_count--;
    t->s.changes_count--;
}

void small_stories(int rows, void (*each)(const struct small_story *s, void *self), void *self)
{
    assert(rows <= SMALL_ROWS_MAX && rows <= SMALL_CHANGES_MAX);
    for (int start = 0; start < 8; start++) {
        struct tell t = { .rows = rows, .each = each, .self = self };
        t.s.before = start & 1;
        t.s.copied = start & 2;
        t.s.moved = start & 4;
        t.s.truth[0] = t.s.before ? (struct small_truth){ true, 1, 2 } : (struct small_truth){ 0 };
        for (size_t i = 0; i < (t.s.before ? sizeof others / sizeof others[0]
                                           : sizeof creates / sizeof creates[0]);
             i++)
            tell_change(&t, t.s.before ? &others[i] : &creates[i]);
    }
}

bool small_answers(const struct small_story *s, const struct small_read *read)
{
    return read->scope != SMALL_WHOLE || s->truth[read->seen].there;
}

bool small_row_is_wide(const struct small_story *s, int row)
{
    const struct small_row *r = &s->rows[row];
    if (r->kind == SMALL_CHANGE)
        return s->changes[r->of - 1].how >= SMALL_OVERFLOW;
    return r->kind == SMALL_END;
}

/* ---- rules ---- */

/* Something received about the record. It ends all that is below it (full, gone), or it sets
 * fields, or it marks. */
struct fact {
    int epoch, place, side, seq; /* R1, R9 */
    enum { FULL, GONE, SETS, MARKS } does;
    bool sets_a, sets_b, diff;
    int a, b;
    enum small_mark mark;
};

static int fact_order(const struct fact *x, const struct fact *y)
{
    if (x->epoch != y->epoch)
        return x->epoch - y->epoch;
    if (x->place != y->place)
        return x->place - y->place;
    return x->side != y->side ? x->side - y->side : x->seq - y->seq;
}

static bool got(const uint8_t *rows, int count, int row)
{
    return memchr(rows, row, (size_t)count) != NULL;
}

/* R16: the end is there, and the answer if there is one. */
static bool in_force(const struct small_story *s, const uint8_t *rows, int count, int read)
{
    bool end = false, answer = !small_answers(s, &s->reads[read]);
    for (int i = 0; i < s->rows_count; i++) {
        if (s->rows[i].of != read || !got(rows, count, i))
            continue;
        end |= s->rows[i].kind == SMALL_END;
        answer |= s->rows[i].kind == SMALL_ANSWER;
    }
    return end && answer;
}

/* An event of its own about change `of` (R4, R5, R7, R8); false: it is about the whole object. */
static bool fact_of_change(struct fact *f, const struct small_story *s, int of)
{
    const struct small_change *c = &s->changes[of - 1];
    bool full = strcmp(c->type, "CREATE") == 0 || strcmp(c->type, "UNDELETE") == 0;
    f->a = s->truth[of].a;
    f->b = s->truth[of].b;
    f->diff = c->how == SMALL_DIFFED;
    f->sets_a = c->sets_a && !f->diff;
    f->sets_b = c->sets_b;
    f->mark = SMALL_IS_GAP;
    f->does = strcmp(c->type, "DELETE") == 0 ? GONE
              : c->how == SMALL_GAP          ? MARKS
              : full                         ? FULL
                                             : SETS;
    return c->how <= SMALL_DIFFED;
}

static bool fact_of(struct fact *f, const struct small_story *s, const uint8_t *rows, int count,
                    int row)
{
    const struct small_row *r = &s->rows[row];
    bool asked = r->kind == SMALL_ANSWER || r->kind == SMALL_END;
    const struct small_read *read = asked ? &s->reads[r->of] : NULL;
    int at = asked ? read->g : r->of;
    *f = (struct fact){ .epoch = small_epoch(s, at),
                        .place = small_place(s, at),
                        .side = asked,
                        .seq = asked ? r->of + 1 : 0 };
    switch (r->kind) {
    case SMALL_CHANGE: return fact_of_change(f, s, r->of);
    case SMALL_NO_BASE:
        f->does = MARKS;
        f->mark = SMALL_IS_NO_BASE;
        return true;
    case SMALL_ANSWER:
        f->does = read->unreadable ? MARKS : s->truth[read->seen].there ? FULL : GONE;
        f->mark = SMALL_IS_UNREADABLE;
        f->a = s->truth[read->seen].a;
        f->b = s->truth[read->seen].b;
        return true;
    case SMALL_END: /* R16: not answered by a whole read */
        f->does = GONE;
        return read->scope == SMALL_WHOLE && !small_answers(s, read) &&
               in_force(s, rows, count, r->of);
    }
    return false;
}

static void mark(struct small_shown *out, enum small_mark kind, const struct fact *f)
{
    out->marks[kind].stands = 1;
    out->marks[kind].place = f->place;
    out->marks[kind].epoch = f->epoch;
}

/* All facts in order of their positions, whatever the order of arrival (R2, R6). */
void small_rules(struct small_shown *out, const struct small_story *s, const uint8_t *rows,
                 int count)
{
    struct fact facts[SMALL_ROWS_MAX + 1], f;
    int n = 0;
    enum { UNHEARD, PARTIAL, WHOLE, REMOVED } is = UNHEARD;
    if (s->copied)
        facts[n++] = (struct fact){ .epoch = 1,
                                    .side = 1,
                                    .does = s->before ? FULL : GONE,
                                    .a = s->truth[0].a,
                                    .b = s->truth[0].b };
    for (int row = 0; row < s->rows_count; row++) {
        int i = n;
        if (!got(rows, count, row) || !fact_of(&f, s, rows, count, row))
            continue;
        for (; i > 0 && fact_order(&facts[i - 1], &f) > 0; i--)
            facts[i] = facts[i - 1];
        facts[i] = f;
        n++;
    }
    memset(out, 0, sizeof *out);
    out->unknown = 3;
    for (int i = 0; i < n; i++) {
        const struct fact *x = &facts[i];
        if (x->does == FULL || x->does == GONE)
            memset(out->marks, 0, sizeof out->marks); /* R10 */
        if (x->does == FULL || (x->does == SETS && x->sets_a))
            out->a = x->a;
        if (x->does == FULL || (x->does == SETS && x->sets_b))
            out->b = x->b;
        if (x->does == SETS) {
            is = is == UNHEARD ? PARTIAL : is;
            out->unknown &= ~((x->sets_a ? 1 : 0) | (x->sets_b ? 2 : 0));
            if (is != WHOLE)
                mark(out, SMALL_IS_NO_BASE, x); /* R7, R12 */
            if (x->diff)
                mark(out, SMALL_IS_DIFF, x); /* R5 */
        } else if (x->does == MARKS) {
            mark(out, x->mark, x); /* R8, R11 */
        } else {
            is = x->does == FULL ? WHOLE : REMOVED;
        }
    }
    out->there = is == WHOLE || is == PARTIAL;
    if (!out->there)
        out->a = out->b = 0;
    for (int k = 0; k < SMALL_MARKS; k++)
        out->dirty |= out->marks[k].stands;
    if (is != PARTIAL)
        out->unknown = 0;
}

/* ---- `*` ---- */

static bool above(int epoch, int place, int than_epoch, int than_place)
{
    return epoch != than_epoch ? epoch > than_epoch : place > than_place;
}

int small_epoch_of(const struct small_story *s, const uint8_t *rows, int count)
{
    int epoch = s->copied ? 1 : 0;
    for (int i = 0; i < count; i++) {
        const struct small_row *r = &s->rows[rows[i]];
        bool asked = r->kind == SMALL_ANSWER || r->kind == SMALL_END;
        int of = small_epoch(s, asked ? s->reads[r->of].g : r->of);
        epoch = of > epoch ? of : epoch;
    }
    return epoch;
}

/* R8, R14, R16: an overflow or conversion stands until a read above it, the copy until a whole read
 * of the newest epoch. */
void small_rules_stars(struct small_stars *out, const struct small_story *s, const uint8_t *rows,
                       int count, int epoch)
{
    int copied = s->copied ? 1 : -1;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < count; i++) {
        const struct small_row *r = &s->rows[rows[i]];
        if (r->kind == SMALL_END && s->reads[r->of].scope == SMALL_WHOLE &&
            in_force(s, rows, count, r->of) && small_epoch(s, s->reads[r->of].g) > copied)
            copied = small_epoch(s, s->reads[r->of].g);
        if (r->kind != SMALL_CHANGE || s->changes[r->of - 1].how < SMALL_OVERFLOW)
            continue;
        bool over = s->changes[r->of - 1].how == SMALL_OVERFLOW, read_above = false;
        int e = small_epoch(s, r->of), p = small_place(s, r->of);
        for (int k = 0; k < s->reads_count; k++)
            read_above |=
                s->reads[k].scope >= (over ? SMALL_RANGE : SMALL_WHOLE) &&
                in_force(s, rows, count, k) &&
                !above(e, p, small_epoch(s, s->reads[k].g), small_place(s, s->reads[k].g));
        struct small_star *star = over ? &out->overflow : &out->conversion;
        if (!read_above && (!star->stands || above(e, p, star->epoch, star->place)))
            *star = (struct small_star){ 1, p, e };
    }
    if (copied < epoch || copied < 0) {
        out->copy.stands = 1;
        out->copy.epoch = epoch;
    }
}

/* ---- words ---- */

static int told_row(char *out, size_t bytes, const struct small_story *s, const struct small_row *r)
{
    static const char *const hows[] = { "", "GAP_", "diff of ", "GAP_OVERFLOW over ",
                                        "type conversion over " };
    static const char *const scopes[] = { "ids", "range", "whole" };
    if (r->kind == SMALL_CHANGE || r->kind == SMALL_NO_BASE) {
        const struct small_change *c = &s->changes[r->of - 1];
        const char *fields = c->clears   ? " of A to null"
                             : c->sets_a ? " of A"
                             : c->sets_b ? " of B"
                                         : "";
        return snprintf(out, bytes, "  %s%s%s%s at %d/%d\n",
                        r->kind == SMALL_NO_BASE ? "no_base alert for " : "", hows[c->how], c->type,
                        fields, small_epoch(s, r->of), small_place(s, r->of));
    }
    const struct small_read *read = &s->reads[r->of];
    const struct small_truth *seen = &s->truth[read->seen];
    return snprintf(out, bytes, "  %s of a %s read at %d/%d, made after change %d\n",
                    r->kind == SMALL_END ? "end"
                    : read->unreadable   ? "unreadable"
                    : seen->there        ? "image"
                                         : "removed",
                    scopes[read->scope], small_epoch(s, read->g), small_place(s, read->g),
                    read->seen);
}

const char *small_told(const struct small_story *s, const uint8_t *rows, int count)
{
    static char text[4000];
    size_t n = 0;
    n += (size_t)snprintf(text, sizeof text,
                          "the record is %sthere at first, %s first copy; changes:\n",
                          s->before ? "" : "not ", s->copied ? "a" : "no");
    for (int i = 1; i <= s->changes_count; i++)
        n += (size_t)told_row(text + n, sizeof text - n, s, &(struct small_row){ SMALL_CHANGE, i });
    n += (size_t)snprintf(text + n, sizeof text - n, "rows in order of arrival:\n");
    for (int i = 0; i < count; i++)
        n += (size_t)told_row(text + n, sizeof text - n, s, &s->rows[rows[i]]);
    return text;
}
