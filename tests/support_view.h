/* support_view: a small warehouse for tests of the two options: raw tables of one object "Thing"
 * with the columns A, B and LastName (R5: Name.LastName), views of option 1 over them, and option 2
 * following them into a file of its own. */
#ifndef TM_TESTS_SUPPORT_VIEW_H
#define TM_TESTS_SUPPORT_VIEW_H
#include "base/sql.h"
#include "view/view.h"

#define SV_COLUMNS 3 /* A, B, LastName */
struct sv_event {
    int64_t epoch /* 0 = 1 */, replay_id;
    const char *type, *own;         /* own: the row's Id */
    const char *ids;                /* JSON array; NULL = [own] */
    const char *changed;            /* JSON array; NULL = [] */
    const char *diff;               /* JSON array; NULL = [] */
    const char *values[SV_COLUMNS]; /* NULL = null */
    bool retyped;                   /* B stands in B__double; sv_retype came before */
};
struct sv_answer {
    int64_t epoch /* 0 = 1 */, g, seq;
    const char *read_id, *read_kind /* NULL = ids */, *kind, *id;
    int partition;
    int64_t count, partitions; /* of an end */
    const char *values[SV_COLUMNS];
    bool retyped;
};
struct sv_world {
    char dir[64], raw_path[96], view_path[96];
    sqlite3 *raw, *db;
    struct tm_view *view;
    int64_t offset, wall_ns;
    bool retyped;
    size_t rows_max; /* of option 2, from the next restart on; 0 = its own */
};
/* asserts on failure, as all of these do */
void sv_open(struct sv_world *w);
void sv_close(struct sv_world *w);
void sv_event(struct sv_world *w, const struct sv_event *e);
void sv_alert(struct sv_world *w, int64_t epoch, int64_t replay_id, const char *id,
              const char *kind);
void sv_answer(struct sv_world *w, const struct sv_answer *a);
/* The end of a whole read of nothing at position 0: R14 is satisfied, what follows stands alone. */
void sv_copied(struct sv_world *w);
void sv_views(struct sv_world *w);   /* option 1 made anew over the columns there are */
void sv_retype(struct sv_world *w);  /* raw and recon get B__double, once */
void sv_restart(struct sv_world *w); /* option 2 begins again from its file */
/* steps option 2 until it has nothing to do */
void sv_catch_up(struct sv_world *w);
void sv_sql(sqlite3 *db, const char *sql);
/* "Id A B LastName dirty" per row, "~Id kind position epoch unknown" per X_dirty row, sorted, one a
 * line. Caller frees. */
char *sv_dump(sqlite3 *db);
/* Both options show `expected`. */
void sv_expect(struct sv_world *w, const char *expected);
#endif
