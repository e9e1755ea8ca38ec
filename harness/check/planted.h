/* planted: which changes a planted fault kept from range reads for longer than V: those committed
 * while rows became visible late, and those of transactions that were held open, whose stamps are
 * older than their commit. in: table `fault` of org.db (base/org_db.h); out: yes or no, so that the
 * closed forms of polling, which assume V and stamps of the commit, leave them out. Reads the table
 * once. Owner: the caller. Clock: org time. */
#ifndef TM_CHECK_PLANTED_H
#define TM_CHECK_PLANTED_H
#include "base/sql.h"

#define TM_PLANTED_MAX 1000000 /* of each kind */
struct tm_planted_time {
    int64_t from_ms, until_ms; /* until not included; INT64_MAX = no end */
};
struct tm_planted {
    struct tm_planted_time *late; /* [late_count] */
    size_t late_count;
    int64_t *held; /* [held_count], ascending: intended instants of commits that were held */
    size_t held_count;
};
/* A file made before there were faults has none. Free also after an error. */
enum tm_code tm_planted_read(struct tm_planted *out, sqlite3 *db, struct tm_err *err);
void tm_planted_free(struct tm_planted *p);
bool tm_planted_strikes(const struct tm_planted *p, int64_t org_ms, int64_t intended_ms,
                        int64_t index_lag_ms);
#endif
