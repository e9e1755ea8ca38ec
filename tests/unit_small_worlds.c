/* Small worlds, all of them: every history of a few changes of one record, every way in which they
 * may be told, every order of the rows, every single loss and every single repetition, through both
 * options and against support_small's reading of the rules. Worlds live side by side, each as
 * records of its own (R3: every other world has two, which share its events), in one database as
 * long as the rows that concern the whole object are the same and come at the same time.
 *   TIDEMARK_SMALL=4 …        all worlds of up to 4 rows; without it all of up to 2, and one in
 *                             eight of those with 3
 *   TIDEMARK_SMALL_EACH=10 …  of the largest ones only one in ten, those whose number leaves
 *   TIDEMARK_SMALL_AT=3 …     3 when it is divided by ten; 0 without it
 * In every eighth database option 2 starts anew at every row, from what it kept. */
#include "base/sql.h"
#include "support_small.h"
#include "view/follow.h"
#include "view/sql.h"
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define ROWS_PRESET 3
#define EACH_PRESET 8
#define SLOTS_MAX (SMALL_ROWS_MAX + 1) /* one row comes twice */
#define KEY_BYTES 48
#define WORLDS_MAX 1000 /* in one database */
#define GROUPS_MAX 1048576
#define NONE 0xff
#define AUDIT_SEQ 99
/* A and B, two parts of one compound field: changedFields spells them otherwise (R5) */
#define FIELD_A "BillingStreet"
#define FIELD_B "BillingCity"
#define OVERFLOW_ID "000000000000000AAA"

/* ---- worlds ---- */

struct world {
    uint32_t story;
    uint8_t rows[SLOTS_MAX], count;
    uint8_t late;    /* the row that is lost, and comes after the audit; NONE */
    uint8_t records; /* 2: its events are merged ones */
};
/* Worlds that share one database. */
struct group {
    char key[KEY_BYTES];
    struct world *worlds;
    uint32_t count, cap;
};
static struct {
    struct small_story *all;
    uint32_t count, cap;
} stories;
static struct group *groups;
static uint64_t worlds_run, rows_run, databases_run, flagged;
static int rows_most, each, each_at; /* of the worlds with rows_most rows, one in `each` is run */

static const struct small_story *story_of(const struct world *w)
{
    return &stories.all[w->story];
}

static void story_add(const struct small_story *s, void *self)
{
    (void)self;
    if (stories.count == stories.cap) {
        stories.cap = stories.cap > 0 ? stories.cap * 2 : 1024;
        stories.all = realloc(stories.all, stories.cap * sizeof *stories.all);
        assert_non_null(stories.all);
    }
    stories.all[stories.count++] = *s;
}

/* ---- rows of a group, in one database ---- */

static struct base {
    sqlite3 *raw, *db; /* raw.db with the views of option 1; view.db of option 2 */
    sqlite3_stmt *event, *alert, *answer, *rows, *doubt;
    struct tm_view_follow follow;
    struct tm_view_counts counts;
    bool following;
    int64_t offset;
} base;

static void ok(enum tm_code rc, const struct tm_err *err)
{
    char text[700];
    if (rc != TM_OK)
        fail_msg("%s: %s", tm_code_name(rc), tm_err_text(err, text, sizeof text));
}

static void run(sqlite3 *db, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    ok(tm_sql_exec(db, sql, &err), &err);
}

static sqlite3_stmt *prepared(sqlite3 *db, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3_stmt *stmt = NULL;
    ok(tm_sql_prepare(&stmt, db, sql, &err), &err);
    return stmt;
}

#define SEE_ROWS "SELECT Id," FIELD_A "," FIELD_B ",_dirty FROM Thing"
#define SEE_DOUBT "SELECT Id,kind,position,_epoch,_unknown FROM Thing_dirty"

/* One raw.db for all: parsing the views takes longer than most groups. */
static void base_open(struct base *b)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf views;
    memset(b, 0, sizeof *b);
    ok(tm_sql_open(&b->raw, ":memory:", TM_SQL_CREATE, &err), &err);
    run(b->raw,
        "CREATE TABLE sfdc_cdc_thing_raw(Id TEXT,ReplayId TEXT,ChangeEventHeader TEXT," FIELD_A
        " INTEGER," FIELD_B " INTEGER,_EventType TEXT,_DiffFields TEXT,_epoch INTEGER,_topic TEXT,"
        "_partition INTEGER,_offset INTEGER,_written_ns INTEGER,"
        "UNIQUE(_topic,_partition,_offset));"
        "CREATE TABLE alerts_sfdc_thing_gap_events(Id TEXT,ReplayId TEXT,_kind TEXT,"
        "_epoch INTEGER,_topic TEXT,_partition INTEGER,_offset INTEGER,_written_ns "
        "INTEGER);"
        "CREATE TABLE sfdc_recon_thing(Id TEXT,_kind TEXT,_g INTEGER,_epoch INTEGER,"
        "_read_id TEXT,_read_seq INTEGER,_read_kind TEXT,_count INTEGER,_partitions "
        "INTEGER," FIELD_A " INTEGER," FIELD_B
        " INTEGER,_topic TEXT,_partition INTEGER,_offset INTEGER,"
        "_written_ns INTEGER)");
    tm_buf_init(&views, TM_VIEW_SQL_BYTES_MAX);
    ok(tm_view_sql_for(b->raw, "Thing", &views, &err), &err);
    run(b->raw, tm_buf_text(&views));
    tm_buf_free(&views);
    b->event = prepared(b->raw, "INSERT INTO sfdc_cdc_thing_raw "
                                "VALUES(?1,?2,?3,?4,?5,'schema-1',?6,?7,'cdc',0,?8,?8)");
    b->alert = prepared(b->raw, "INSERT INTO alerts_sfdc_thing_gap_events "
                                "VALUES(?1,?2,'no_base',?3,'alerts',0,?4,?4)");
    b->answer = prepared(b->raw, "INSERT INTO sfdc_recon_thing "
                                 "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,1,?9,?10,'recon',0,?11,?11)");
    b->rows = prepared(b->raw, SEE_ROWS);
    b->doubt = prepared(b->raw, SEE_DOUBT);
}

static void follow_end(struct base *b)
{
    if (b->following)
        tm_view_follow_close(&b->follow);
    b->following = false;
}

/* Empty: raw.db, and a new view.db. */
static void base_begin(struct base *b)
{
    struct tm_err err = { .code = TM_OK };
    follow_end(b);
    tm_sql_close(b->db);
    b->db = NULL;
    run(b->raw, "DELETE FROM sfdc_cdc_thing_raw;DELETE FROM alerts_sfdc_thing_gap_events;"
                "DELETE FROM sfdc_recon_thing");
    ok(tm_sql_open(&b->db, ":memory:", TM_SQL_CREATE, &err), &err);
    ok(tm_view_store_create(b->db, &err), &err);
}

static void base_close(struct base *b)
{
    follow_end(b);
    tm_sql_close(b->db);
    tm_sql_close(b->raw);
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT);
}

static void bind_value(sqlite3_stmt *stmt, int at, int value)
{
    if (value != 0)
        sqlite3_bind_int(stmt, at, value);
    else
        sqlite3_bind_null(stmt, at);
}

static void put(sqlite3_stmt *stmt)
{
    struct tm_err err = { .code = TM_OK };
    ok(tm_sql_run(stmt, &err), &err);
    rows_run++;
}

static const char *record_id(char out[24], size_t record)
{
    snprintf(out, 24, "a%017zu", record);
    return out;
}

/* Change `of` as Salesforce tells it of `records` records, the first of which is `first`. */
static void put_change(struct base *b, const struct small_story *s, int of, size_t first,
                       int records)
{
    const struct small_change *c = &s->changes[of - 1];
    const struct small_truth *now = &s->truth[of];
    bool wide = c->how >= SMALL_OVERFLOW, gap = c->how == SMALL_GAP, empty = wide || gap;
    bool full = strcmp(c->type, "CREATE") == 0 || strcmp(c->type, "UNDELETE") == 0;
    char header[400], ids[2][24], place[16];
    const char *id = c->how == SMALL_OVERFLOW     ? OVERFLOW_ID
                     : c->how == SMALL_CONVERSION ? "a01*"
                                                  : record_id(ids[0], first);
    /* the third is stamped a second before the others (R1) */
    snprintf(header, sizeof header,
             "{\"entityName\":\"Thing\",\"recordIds\":[\"%s\"%s%s%s],\"changeType\":\"%s%s\","
             "\"changedFields\":[%s],\"commitTimestamp\":%s}",
             id, !wide && records > 1 ? ",\"" : "",
             !wide && records > 1 ? record_id(ids[1], first + 1) : "",
             !wide && records > 1 ? "\"" : "", empty ? "GAP_" : "",
             c->how == SMALL_OVERFLOW ? "OVERFLOW" : c->type,
             empty       ? ""
             : c->sets_a ? "\"BillingAddress.Street\""
             : c->sets_b ? "\"BillingAddress.City\""
                         : "",
             of == 3 ? "1699999999000" : "1700000000000");
    snprintf(place, sizeof place, "%d", small_place(s, of));
    bind_text(b->event, 1, id);
    bind_text(b->event, 2, place);
    bind_text(b->event, 3, header);
    bind_value(b->event, 4,
               c->how == SMALL_DIFFED          ? SMALL_DIFF
               : !empty && (full || c->sets_a) ? now->a
                                               : 0);
    bind_value(b->event, 5, !empty && (full || c->sets_b) ? now->b : 0);
    bind_text(b->event, 6, c->how == SMALL_DIFFED ? "[\"" FIELD_A "\"]" : "[]");
    sqlite3_bind_int(b->event, 7, small_epoch(s, of));
    sqlite3_bind_int64(b->event, 8, ++b->offset);
    put(b->event);
}

struct answer {
    const char *kind, *scope, *read;
    int place, epoch, seq;
    size_t count; /* of an end */
    const struct small_truth *image;
};

static void put_answer(struct base *b, const struct answer *a, const char *id)
{
    bind_text(b->answer, 1, id);
    bind_text(b->answer, 2, a->kind);
    sqlite3_bind_int(b->answer, 3, a->place);
    sqlite3_bind_int(b->answer, 4, a->epoch);
    bind_text(b->answer, 5, a->read);
    sqlite3_bind_int(b->answer, 6, a->seq);
    bind_text(b->answer, 7, a->scope);
    sqlite3_bind_int64(b->answer, 8, (int64_t)a->count);
    bind_value(b->answer, 9, a->image != NULL ? a->image->a : 0);
    bind_value(b->answer, 10, a->image != NULL ? a->image->b : 0);
    sqlite3_bind_int64(b->answer, 11, ++b->offset);
    put(b->answer);
}

static void put_image(struct base *b, const struct answer *of, const struct small_truth *image,
                      size_t first, int records)
{
    struct answer a = *of;
    char id[24];
    a.kind = image == NULL ? "unreadable" : image->there ? "image" : "removed";
    a.image = image != NULL && image->there ? image : NULL;
    for (int i = 0; i < records; i++)
        put_answer(b, &a, record_id(id, first + (size_t)i));
}

static void put_end(struct base *b, const struct answer *of, size_t count)
{
    struct answer a = *of;
    a.kind = "end";
    a.count = count;
    put_answer(b, &a, NULL);
}

static void put_alert(struct base *b, const struct small_story *s, int of, size_t first,
                      int records)
{
    char id[24], place[16];
    snprintf(place, sizeof place, "%d", small_place(s, of));
    for (int i = 0; i < records; i++) {
        bind_text(b->alert, 1, record_id(id, first + (size_t)i));
        bind_text(b->alert, 2, place);
        sqlite3_bind_int(b->alert, 3, small_epoch(s, of));
        sqlite3_bind_int64(b->alert, 4, ++b->offset);
        put(b->alert);
    }
}

static size_t records_of(const struct group *g)
{
    size_t n = 0;
    for (uint32_t w = 0; w < g->count; w++)
        n += g->worlds[w].records;
    return n;
}

static void put_row(struct base *b, const struct group *g, uint32_t w, int row)
{
    static const char *const scopes[] = { "ids", "range", "whole" };
    const struct world *world = &g->worlds[w];
    const struct small_story *s = story_of(world);
    const struct small_row *r = &s->rows[row];
    char read[16];
    if (r->kind == SMALL_CHANGE) {
        put_change(b, s, r->of, 2 * w, world->records);
        return;
    }
    if (r->kind == SMALL_NO_BASE) {
        put_alert(b, s, r->of, 2 * w, world->records);
        return;
    }
    const struct small_read *of = &s->reads[r->of];
    const struct answer a = { .scope = scopes[of->scope],
                              .read = read,
                              .place = small_place(s, of->g),
                              .epoch = small_epoch(s, of->g),
                              .seq = r->of + 1 };
    snprintf(read, sizeof read, "%s-%d", scopes[of->scope], r->of);
    if (r->kind == SMALL_ANSWER)
        put_image(b, &a, of->unreadable ? NULL : &s->truth[of->seen], 2 * w, world->records);
    else
        put_end(b, &a, small_answers(s, of) ? records_of(g) : 0);
}

/* A whole read of all that is there after `change` changes; all of them when -1. */
static void put_whole(struct base *b, const struct group *g, const struct answer *a, int change)
{
    size_t count = 0;
    for (uint32_t w = 0; w < g->count; w++) {
        const struct small_story *s = story_of(&g->worlds[w]);
        const struct small_truth *seen = &s->truth[change < 0 ? s->changes_count : change];
        if (!seen->there)
            continue;
        put_image(b, a, seen, 2 * w, g->worlds[w].records);
        count += g->worlds[w].records;
    }
    put_end(b, a, count);
}

/* Option 2 applies what is new; in every eighth database it begins anew at every row from what it
 * kept. */
static void follow(struct base *b)
{
    struct tm_err err = { .code = TM_OK };
    size_t rows = 1;
    int64_t seq;
    if (databases_run % 8 == 0)
        follow_end(b);
    run(b->db, "BEGIN");
    if (!b->following) {
        ok(tm_view_follow_open(&b->follow, b->raw, b->db, "Thing", &b->counts, &err), &err);
        ok(tm_view_follow_shape(&b->follow, &err), &err);
        b->following = true;
    }
    while (rows > 0) {
        ok(tm_view_store_seq(b->db, &seq, &err), &err);
        ok(tm_view_follow_apply(&b->follow, 100000, seq, &rows, &err), &err);
    }
    run(b->db, "COMMIT");
}

/* ---- what is shown ---- */

struct seen {
    struct small_shown records[2 * WORLDS_MAX];
    struct small_stars stars;
};
static struct seen shown;

static struct small_shown *seen_record(struct seen *out, const char *id)
{
    char *end;
    unsigned long record = id != NULL && *id == 'a' ? strtoul(id + 1, &end, 10) : ULONG_MAX;
    if (record >= 2 * WORLDS_MAX || *end != '\0')
        fail_msg("there is no record %s", id != NULL ? id : "NULL");
    return &out->records[record];
}

static void see_doubt(struct seen *out, sqlite3_stmt *row)
{
    static const char *const kinds[] = { "diff", "gap", "no_base", "unreadable" };
    const char *id = (const char *)sqlite3_column_text(row, 0),
               *kind = (const char *)sqlite3_column_text(row, 1),
               *unknown = (const char *)sqlite3_column_text(row, 4);
    struct small_star *mark = NULL;
    if (id != NULL && strcmp(id, "*") == 0) {
        mark = strcmp(kind, "overflow") == 0     ? &out->stars.overflow
               : strcmp(kind, "conversion") == 0 ? &out->stars.conversion
                                                 : &out->stars.copy;
    } else {
        struct small_shown *r = seen_record(out, id);
        for (int k = 0; k < SMALL_MARKS; k++)
            if (strcmp(kind, kinds[k]) == 0)
                mark = &r->marks[k];
        if (unknown != NULL)
            r->unknown = (strstr(unknown, "\"" FIELD_A "\"") != NULL) |
                         (strstr(unknown, "\"" FIELD_B "\"") != NULL) << 1;
    }
    assert_non_null(mark);
    mark->stands++;
    mark->place = sqlite3_column_int(row, 2);
    mark->epoch = sqlite3_column_int(row, 3);
}

static void see(struct seen *out, const struct base *b, int option)
{
    struct tm_err err = { .code = TM_OK };
    sqlite3_stmt *rows = option == 1 ? b->rows : prepared(b->db, SEE_ROWS),
                 *doubt = option == 1 ? b->doubt : prepared(b->db, SEE_DOUBT);
    bool more;
    memset(out, 0, sizeof *out);
    while (ok(tm_sql_step(rows, &more, &err), &err), more) {
        struct small_shown *r = seen_record(out, (const char *)sqlite3_column_text(rows, 0));
        r->there++;
        r->a = sqlite3_column_int(rows, 1);
        r->b = sqlite3_column_int(rows, 2);
        r->dirty = sqlite3_column_int(rows, 3);
    }
    while (ok(tm_sql_step(doubt, &more, &err), &err), more)
        see_doubt(out, doubt);
    (option == 1 ? sqlite3_reset : sqlite3_finalize)(rows);
    (option == 1 ? sqlite3_reset : sqlite3_finalize)(doubt);
    for (size_t i = 0; i < 2 * WORLDS_MAX; i++) /* who has no row is dirty by its marks alone */
        for (int k = 0; k < SMALL_MARKS && !out->records[i].there; k++)
            out->records[i].dirty |= out->records[i].marks[k].stands;
}

static const char *said(const struct small_shown *r)
{
    static char texts[4][300];
    static unsigned next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0],
             "%s A=%d B=%d dirty=%d unknown=%d diff %d at %d/%d, gap %d at %d/%d, no_base %d at "
             "%d/%d, unreadable %d at %d/%d",
             r->there == 1  ? "a row"
             : r->there > 1 ? "SEVERAL ROWS"
                            : "no row",
             r->a, r->b, r->dirty, r->unknown, r->marks[0].stands, r->marks[0].epoch,
             r->marks[0].place, r->marks[1].stands, r->marks[1].epoch, r->marks[1].place,
             r->marks[2].stands, r->marks[2].epoch, r->marks[2].place, r->marks[3].stands,
             r->marks[3].epoch, r->marks[3].place);
    return text;
}

/* ---- the properties ---- */

/* Both are written once per value, so that a value names the change that wrote it. */
static bool had(const struct small_story *s, const struct small_shown *r)
{
    bool a = r->unknown & 1, b = r->unknown & 2;
    for (int i = s->before ? 0 : 1; i <= s->changes_count; i++) {
        a |= s->truth[i].there && s->truth[i].a == r->a;
        b |= s->truth[i].there && s->truth[i].b == r->b;
    }
    return a && b;
}

static bool is_truth(const struct small_story *s, const struct small_shown *r)
{
    const struct small_truth *now = &s->truth[s->changes_count];
    return r->there == now->there && (!r->there || (r->a == now->a && r->b == now->b));
}

static bool starred(const struct small_stars *stars)
{
    return stars->overflow.stands || stars->conversion.stands || stars->copy.stands;
}

/* R13, of the rules themselves: values are true ones; and where every event has come, who is in no
 * doubt is right. */
static void check_rules(const struct world *w, const struct small_shown *r,
                        const struct small_stars *stars, int count)
{
    const struct small_story *s = story_of(w);
    bool all = w->late == NONE || s->rows[w->late].kind != SMALL_CHANGE;
    for (int i = 0; i < s->rows_count; i++)
        all = all && (i == w->late || memchr(w->rows, i, (size_t)count) != NULL ||
                      s->rows[i].kind != SMALL_CHANGE);
    if (r->there && !had(s, r))
        fail_msg("the rules show a value that the record never had: %s\n%s", said(r),
                 small_told(s, w->rows, count));
    if (all && !r->dirty && !starred(stars) && !is_truth(s, r))
        fail_msg("the rules are in no doubt, and wrong: %s\n%s", said(r),
                 small_told(s, w->rows, count));
}

static void compare_record(const struct world *w, size_t record, const char *option,
                           const struct small_shown *expected, int count, const char *when)
{
    const struct small_shown *is = &shown.records[record];
    if (memcmp(is, expected, sizeof *is) != 0)
        fail_msg("%s%s%s\nexpected: %s\nshown:    %s\n%s", option, when,
                 record % 2 == 1 ? ", the other record of the merged events" : "", said(expected),
                 said(is), small_told(story_of(w), w->rows, count));
}

static void compare_stars(const struct group *g, const char *option,
                          const struct small_stars *expected, int count)
{
    const struct small_stars *is = &shown.stars;
    if (memcmp(is, expected, sizeof *is) != 0)
        fail_msg("%s: expected for the object: overflow %d at %d/%d, conversion %d at %d/%d, copy "
                 "%d in %d; shown: overflow %d at %d/%d, conversion %d at %d/%d, copy %d in %d\n%s",
                 option, expected->overflow.stands, expected->overflow.epoch,
                 expected->overflow.place, expected->conversion.stands, expected->conversion.epoch,
                 expected->conversion.place, expected->copy.stands, expected->copy.epoch,
                 is->overflow.stands, is->overflow.epoch, is->overflow.place, is->conversion.stands,
                 is->conversion.epoch, is->conversion.place, is->copy.stands, is->copy.epoch,
                 small_told(story_of(&g->worlds[0]), g->worlds[0].rows, count));
}

/* After `count` rows. */
static void compare_group(struct base *b, const struct group *g, int count, bool option_1)
{
    static struct small_shown expected[WORLDS_MAX];
    struct small_stars stars;
    int epoch = 0;
    for (uint32_t w = 0; w < g->count; w++) {
        int of = small_epoch_of(story_of(&g->worlds[w]), g->worlds[w].rows, count);
        epoch = of > epoch ? of : epoch;
    }
    small_rules_stars(&stars, story_of(&g->worlds[0]), g->worlds[0].rows, count, epoch);
    for (uint32_t w = 0; w < g->count; w++) {
        small_rules(&expected[w], story_of(&g->worlds[w]), g->worlds[w].rows, count);
        check_rules(&g->worlds[w], &expected[w], &stars, count);
        flagged += expected[w].dirty || starred(&stars);
    }
    for (int option = option_1 ? 1 : 2; option <= 2; option++) {
        const char *name = option == 1 ? "option 1" : "option 2";
        see(&shown, b, option);
        compare_stars(g, name, &stars, count);
        for (uint32_t w = 0; w < g->count; w++)
            for (size_t i = 0; i < g->worlds[w].records; i++)
                compare_record(&g->worlds[w], 2 * w + i, name, &expected[w], count, "");
    }
}

/* R13, R16: whatever was lost, after a whole read at a higher position both show what is true, and
 * are in no doubt; also when what was lost comes now. */
static void compare_audit(struct base *b, const struct group *g, const char *when)
{
    static const struct small_stars none;
    for (int option = 1; option <= 2; option++) {
        const char *name = option == 1 ? "option 1" : "option 2";
        see(&shown, b, option);
        compare_stars(g, name, &none, g->worlds[0].count);
        for (uint32_t w = 0; w < g->count; w++) {
            const struct small_story *s = story_of(&g->worlds[w]);
            const struct small_truth *now = &s->truth[s->changes_count];
            const struct small_shown expected = { .there = now->there,
                                                  .a = now->there ? now->a : 0,
                                                  .b = now->there ? now->b : 0 };
            for (size_t i = 0; i < g->worlds[w].records; i++)
                compare_record(&g->worlds[w], 2 * w + i, name, &expected, g->worlds[w].count, when);
        }
    }
}

static void put_slot(struct base *b, const struct group *g, int slot)
{
    run(b->raw, "BEGIN");
    for (uint32_t w = 0; w < g->count; w++) {
        int row = slot < g->worlds[w].count ? g->worlds[w].rows[slot] : g->worlds[w].late;
        put_row(b, g, w, row);
        if (small_row_is_wide(story_of(&g->worlds[w]), row))
            break; /* one for all */
    }
    run(b->raw, "COMMIT");
    follow(b);
}

static void audit_group(struct base *b, const struct group *g)
{
    const struct world *first = &g->worlds[0];
    run(b->raw, "BEGIN");
    put_whole(b, g,
              &(struct answer){ .scope = "whole",
                                .read = "audit",
                                .place = SMALL_PLACES_MAX,
                                .epoch = story_of(first)->moved ? 2 : 1,
                                .seq = AUDIT_SEQ },
              -1);
    run(b->raw, "COMMIT");
    follow(b);
    compare_audit(b, g, " after a whole read");
    if (first->late != NONE) {
        put_slot(b, g, first->count);
        compare_audit(b, g, " after a whole read, when the lost row comes after all");
    }
}

static void run_group(struct group *g)
{
    struct base *b = &base;
    const struct world *first = &g->worlds[0];
    base_begin(b);
    if (story_of(first)->copied) {
        run(b->raw, "BEGIN");
        put_whole(b, g, &(struct answer){ .scope = "whole", .read = "copy", .epoch = 1 }, 0);
        run(b->raw, "COMMIT");
        follow(b);
    }
    for (int slot = 0; slot < first->count; slot++) {
        put_slot(b, g, slot);
        compare_group(b, g, slot + 1, slot + 1 == first->count);
    }
    if (first->count <= story_of(first)->rows_count)
        audit_group(b, g);
    databases_run++;
    worlds_run += g->count;
    g->count = 0;
}

/* ---- which worlds share a database ---- */

static size_t key_row(char *out, const struct small_story *s, int row)
{
    const struct small_row *r = &s->rows[row];
    if (r->kind == SMALL_CHANGE && small_row_is_wide(s, row))
        return (size_t)sprintf(out, "%c%d", s->changes[r->of - 1].how == SMALL_OVERFLOW ? 'o' : 'c',
                               r->of);
    if (r->kind < SMALL_ANSWER || s->reads[r->of].scope == SMALL_IDS)
        return (size_t)sprintf(out, ".");
    return (size_t)sprintf(out, "%c%d%d%d%d", r->kind == SMALL_END ? 'e' : 'a', r->of,
                           s->reads[r->of].scope, s->reads[r->of].g,
                           small_answers(s, &s->reads[r->of]));
}

static struct group *group_of(const struct world *w)
{
    const struct small_story *s = story_of(w);
    char key[KEY_BYTES];
    uint32_t hash = 2166136261u;
    size_t n = (size_t)sprintf(key, "%d%d%d", s->copied, s->moved, w->count > s->rows_count);
    for (int i = 0; i < w->count; i++)
        n += key_row(key + n, s, w->rows[i]);
    if (w->late != NONE) {
        key[n++] = '/';
        n += key_row(key + n, s, w->late);
    }
    key[n] = '\0';
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)key[i]) * 16777619u;
    for (uint32_t probe = 0; probe < GROUPS_MAX; probe++) {
        struct group *g = &groups[(hash + probe) % GROUPS_MAX];
        if (g->key[0] == '\0')
            memcpy(g->key, key, n + 1);
        if (strcmp(g->key, key) == 0)
            return g;
    }
    fail_msg("more than %d groups of worlds", GROUPS_MAX);
    return NULL;
}

static void world_add(struct world *w)
{
    static uint64_t number;
    struct group *g = group_of(w);
    /* by databases, where they hold few worlds */
    bool wide = strpbrk(g->key, "oce") != NULL;
    if (story_of(w)->rows_count == rows_most &&
        (wide ? (uint32_t)(g - groups) : w->story) % (uint32_t)each != (uint32_t)each_at)
        return;
    w->records = (uint8_t)(1 + number++ % 2);
    if (g->count == g->cap) {
        g->cap = g->cap > 0 ? g->cap * 2 : 4;
        g->worlds = realloc(g->worlds, g->cap * sizeof *g->worlds);
        assert_non_null(g->worlds);
    }
    g->worlds[g->count++] = *w;
    if (g->count == WORLDS_MAX)
        run_group(g);
}

/* All orders of rows that come left[i] times each. */
static void orders(struct world *w, uint8_t left[SMALL_ROWS_MAX], int rows)
{
    bool any = false;
    for (int i = 0; i < rows; i++) {
        if (left[i] == 0)
            continue;
        any = true;
        left[i]--;
        w->rows[w->count++] = (uint8_t)i;
        orders(w, left, rows);
        w->count--;
        left[i]++;
    }
    if (!any)
        world_add(w);
}

/* As it is; each row lost; each row twice. */
static void worlds_of(uint32_t story)
{
    int rows = stories.all[story].rows_count;
    for (int change = -rows; change <= rows; change++) {
        uint8_t left[SMALL_ROWS_MAX] = { 0 };
        struct world w = { .story = story, .late = change < 0 ? (uint8_t)(-change - 1) : NONE };
        memset(left, 1, (size_t)rows);
        if (change != 0)
            left[abs(change) - 1] = change < 0 ? 0 : 2;
        orders(&w, left, rows);
    }
}

static int number_of(const char *name, int preset, int least, int most)
{
    const char *given = getenv(name);
    int n = given != NULL ? atoi(given) : preset;
    if (n < least || n > most)
        fail_msg("%s=%s: a number from %d to %d", name, given, least, most);
    return n;
}

static void all_orders_losses_and_repetitions_of_small_histories_follow_the_rules(void **state)
{
    (void)state;
    struct timespec began, ended;
    rows_most = number_of("TIDEMARK_SMALL", ROWS_PRESET, 1, SMALL_ROWS_MAX);
    each = number_of("TIDEMARK_SMALL_EACH", getenv("TIDEMARK_SMALL") != NULL ? 1 : EACH_PRESET, 1,
                     1000);
    each_at = number_of("TIDEMARK_SMALL_AT", 0, 0, each - 1);
    clock_gettime(CLOCK_MONOTONIC, &began);
    base_open(&base);
    groups = calloc(GROUPS_MAX, sizeof *groups);
    assert_non_null(groups);
    for (int n = 1; n <= rows_most; n++)
        small_stories(n, story_add, NULL);
    for (uint32_t i = 0; i < stories.count; i++)
        worlds_of(i);
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        if (groups[i].count > 0)
            run_group(&groups[i]);
        free(groups[i].worlds);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    print_message("up to %d rows: %" PRIu32 " stories, %" PRIu64 " worlds, %" PRIu64
                  " raw rows in %" PRIu64 " databases, %.1f s; in doubt at %" PRIu64 " moments\n",
                  rows_most, stories.count, worlds_run, rows_run, databases_run,
                  (double)(ended.tv_sec - began.tv_sec) +
                      (double)(ended.tv_nsec - began.tv_nsec) / 1e9,
                  flagged);
    base_close(&base);
    free(groups);
    free(stories.all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_orders_losses_and_repetitions_of_small_histories_follow_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
