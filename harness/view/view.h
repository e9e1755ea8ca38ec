/* view: option 2: the snapshots of some objects, kept in view.db as raw rows arrive. in: raw.db,
 * followed by rowid over a read-only connection; out: view.db with X, X_removed, X_dirty per
 * object, and asks for a read (no_base, R12) on the alerts topic. Restarts from view.db alone.
 * Never waits: one transaction, one produced batch or one schema request a step.
 *
 *   WAIT ─raw.db is there→ SHAPE ─columns known→ FOLLOW ⟲ rows ─caught up, some record lacks its
 * base→ ASK ─→ FOLLOW ▲── raw tables gained columns ──┘ Invariants: 1 a row is applied and its
 * rowid kept in one transaction; 2 an ask leaves only after the rows that called for it are
 * durable, and is marked after it is acknowledged: a crash between repeats it, never loses it. */
#ifndef TM_VIEW_VIEW_H
#define TM_VIEW_VIEW_H
#include "topic/registry.h"
#include "topic/topic.h"
#include "view/follow.h"

#define TM_VIEW_OBJECTS_MAX 64
#define TM_VIEW_ROWS_MAX 2000 /* of each raw table, a step */
#define TM_VIEW_ASKS_MAX 200  /* a produced batch */
struct tm_view_settings {
    const char *raw_path;  /* strings borrowed for the view's life */
    const bool *raw_there; /* whether it is there yet; NULL = the file is looked for */
    const char *const *objects;
    size_t objects_count;
    bool raise_no_base;
    int64_t poll_ns; /* how often to look for new rows */
    size_t rows_max; /* 0 = TM_VIEW_ROWS_MAX */
};
struct tm_view_ports { /* all borrowed; the middle three only when raise_no_base */
    sqlite3 *db;       /* view.db, writable */
    struct tm_topic *topic;
    struct tm_registry *registry;
    const struct tm_describe *const *describes; /* [objects_count] */
    /* raw.db as its writer has it open, where both are one process that never leaves a transaction
     * open between steps: its pages are at hand. Closed after the view. NULL: a connection of its
     * own to settings.raw_path. */
    sqlite3 *raw;
};
struct tm_view;
enum tm_code tm_view_open(struct tm_view **out, const struct tm_view_settings *settings,
                          const struct tm_view_ports *ports, struct tm_err *err);
enum tm_code tm_view_step(struct tm_view *v, const struct tm_now *now, struct tm_wake *wake,
                          struct tm_err *err);
void tm_view_close(struct tm_view *v);
const struct tm_view_counts *tm_view_counted(const struct tm_view *v);
#endif
