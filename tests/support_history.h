/* support_history: an org's history and a warehouse's relations, written by hand with SQLite, for
 * tests of the witness. One object, Opportunity: Name, Stage, Amount, Private, LastModifiedDate,
 * and what is never compared: SystemModstamp, IsDeleted, a formula, a compound. Org time is minutes
 * after HISTORY_ORIGIN_MS; compress 1000: a minute is 60 ms of wall. */
#ifndef TM_TESTS_SUPPORT_HISTORY_H
#define TM_TESTS_SUPPORT_HISTORY_H
#include "check/match.h"
#include <sqlite3.h>
#include <stdint.h>

#define HISTORY_ORIGIN_MS INT64_C(1772438400000) /* 2026-03-02T08:00:00Z */
#define HISTORY_WALL_NS INT64_C(5000000000000)
#define HISTORY_COMPRESS 1000
#define HISTORY_MINUTE_MS INT64_C(60000)
int64_t history_org_ms(double minutes);
int64_t history_wall_ns(double minutes); /* when org time is there */
/* a fresh temporary folder, removed at exit */
const char *history_folder(void);
/* in it; caller frees nothing, valid for ever */
const char *history_path(const char *name);
/* 006000000000nnnAAA, valid 18 characters */
void history_id(char out[19], int n);

/* Makes org.db with describe and meta. `origin_wall_ns`: wall instant the clock started. */
sqlite3 *history_org(const char *path, int compress, int64_t origin_wall_ns);
/* One version; minutes < 0: initial population, before the clock started. fields: JSON without
 * LastModifiedDate and SystemModstamp, which are added. event NULL: none; "": the change's own
 * name. Returns its position. */
int64_t history_commit(sqlite3 *org, int n, const char *change, const char *event, double minutes,
                       const char *fields);
/* An object added with a second describe: field Extra__c exists from now on. */
void history_add_field(sqlite3 *org);
/* LastModifiedDate of a commit at that time: whole seconds */
int64_t history_stamp(double minutes);

/* A warehouse with Opportunity, Opportunity_removed, Opportunity_dirty and _polls, as in design
 * section 5. */
sqlite3 *history_warehouse(const char *path);
void history_put(sqlite3 *w, int n, const char *name, const char *stage, double amount, int private,
                 int64_t stamp, int dirty);
void history_remove(sqlite3 *w, int n);
int64_t history_seq(sqlite3 *w); /* the last _seq given */
void history_poll(sqlite3 *w, const char *mode, double grid_minutes, double finished_minutes,
                  int64_t seq_first, int64_t skipped);
void history_exec(sqlite3 *db, const char *sql);

/* The witness in memory: the history as read back, and rows shown as a test says. */
struct history_stand {
    sqlite3 *org;
    struct tm_truth *truth;
    struct tm_shown *shown;
    struct tm_timing timing; /* stream, D = 0, window of 60 minutes */
    struct tm_match *match;  /* of the last history_match */
    int object;
};
void history_stand_open(struct history_stand *s, const char *name);
void history_stand_close(struct history_stand *s);
/* The relation returns the row so, first read at `minutes` + `late_ms` of wall, last read without 1
 * ms before. */
void history_show(struct history_stand *s, int n, double minutes, double late_ms, const char *name,
                  const char *stage, double amount, int private, int64_t stamp, unsigned flags);
void history_hide(struct history_stand *s, int n, double minutes, double late_ms);
/* Reads the history to its end and matches. */
void history_match(struct history_stand *s);
/* Sample of position `pos`. */
const struct tm_sample *history_sample(const struct history_stand *s, int64_t pos);
/* Rows of a class at the end, flagged or not. */
uint64_t history_final(const struct history_stand *s, enum tm_row_class class, int flagged);
uint64_t history_differing(const struct history_stand *s);
#endif
