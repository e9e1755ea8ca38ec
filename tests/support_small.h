/* support_small: small worlds: every history of a few changes of one record, and everything that
 * may be told of it. in: how many raw rows at most; out: stories, each a history with the rows that
 * a warehouse may get of it, and what a right snapshot shows after any of those rows, in any order
 * (harness/view/README.md). Shares no code with the product: it is the witness. Pure.
 *
 * A record has two fields, A and B. A change of it is told by an event of its own, by a gap event,
 * as a diff, or only by something of the whole object: an overflow, a type conversion. Reads answer
 * an ask at the position of change g (0: before all of them) with the record as it was after change
 * `seen`, g or later (R9). */
#ifndef TM_TESTS_SUPPORT_SMALL_H
#define TM_TESTS_SUPPORT_SMALL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMALL_CHANGES_MAX 5
#define SMALL_ROWS_MAX 5
#define SMALL_READS_MAX 3
#define SMALL_PLACES_MAX 1000 /* below which all positions are */
#define SMALL_DIFF 9999       /* what stands in the column of a field that came as a diff */

enum small_how { SMALL_EVENT, SMALL_GAP, SMALL_DIFFED, SMALL_OVERFLOW, SMALL_CONVERSION };
struct small_change {
    const char *type; /* CREATE, UPDATE, DELETE, UNDELETE */
    enum small_how how;
    bool sets_a, sets_b; /* of an UPDATE */
    bool clears;         /* sets A to null */
};
struct small_truth {
    bool there;
    int a, b; /* 0 = null; every other value is written once */
};
enum small_scope { SMALL_IDS, SMALL_RANGE, SMALL_WHOLE };
struct small_read {
    enum small_scope scope;
    int g, seen;
    bool unreadable;
};
enum small_kind { SMALL_CHANGE, SMALL_NO_BASE, SMALL_ANSWER, SMALL_END };
struct small_row {
    enum small_kind kind;
    int of; /* change, from 1; or read, from 0 */
};
/* What a reader sees of a record. */
enum small_mark { SMALL_IS_DIFF, SMALL_IS_GAP, SMALL_IS_NO_BASE, SMALL_IS_UNREADABLE, SMALL_MARKS };
struct small_star {
    int stands, place, epoch;
};
struct small_shown {
    int there, a, b, dirty, unknown /* 1: A, 2: B */;
    struct small_star marks[SMALL_MARKS];
};
/* `*` of the object. */
struct small_stars {
    struct small_star overflow, conversion, copy;
};
struct small_story {
    bool before; /* the record is there before the first change */
    bool copied; /* a first copy was read and received before everything else */
    bool moved;  /* the org is restored after the first change: epoch 2 (R15) */
    int changes_count, reads_count, rows_count;
    struct small_change changes[SMALL_CHANGES_MAX];
    struct small_truth truth[SMALL_CHANGES_MAX + 1]; /* after so many changes */
    struct small_read reads[SMALL_READS_MAX];        /* in the order in which they were made */
    struct small_row rows[SMALL_ROWS_MAX];
};
/* All stories of exactly `rows` raw rows. */
void small_stories(int rows, void (*each)(const struct small_story *s, void *self), void *self);
int small_place(const struct small_story *s, int change); /* replay id; 0 for change 0 */
int small_epoch(const struct small_story *s, int change);
/* Is the row one for all records: of an overflow or conversion, or an `end`? */
bool small_row_is_wide(const struct small_story *s, int row);
/* Does the read `of` answer for this record? */
bool small_answers(const struct small_story *s, const struct small_read *read);
/* What rows[0..count), indices of s->rows in order of arrival, and the first copy, must show. */
void small_rules(struct small_shown *out, const struct small_story *s, const uint8_t *rows,
                 int count);
/* `epoch`: the highest received of any record. */
void small_rules_stars(struct small_stars *out, const struct small_story *s, const uint8_t *rows,
                       int count, int epoch);
/* Highest epoch among the rows received. */
int small_epoch_of(const struct small_story *s, const uint8_t *rows, int count);
/* The changes, and rows in order of arrival, for a person; static memory. */
const char *small_told(const struct small_story *s, const uint8_t *rows, int count);
#endif
