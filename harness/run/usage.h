/* usage: memory and CPU of every process of a run, over time. in: the children, by /proc, every few
 * seconds; out: RUN/usage.csv (instant by the run's clock, changes of the org by then, process,
 * pid, resident bytes, CPU ms) and, for the report, first, last, highest and growth. What earlier
 * lives of a resumed run used is read from it again, to within one look. Owner: the caller. */
#ifndef TM_RUN_USAGE_H
#define TM_RUN_USAGE_H
#include "base/clock.h"
#include "run/supervise.h"
#include <jansson.h>
#include <stdio.h>

#define TM_USAGE_NS (5 * TM_NS_PER_S) /* between two looks */
/* of a run's end that growth is taken over: what is read in and filled at first has no part in it
 */
#define TM_USAGE_TAIL 0.5
/* changes in that tail from which on a growth per million says something */
#define TM_USAGE_CHANGES_MIN 20000

struct tm_usage { /* zero-initialised */
    FILE *f;
    int64_t next_ns;
    json_t *before; /* process -> {cpu_s, rss}: earlier lives; owned */
};
/* Goes on with the file of earlier lives, if there is one. */
enum tm_code tm_usage_open(struct tm_usage *u, const char *path, struct tm_err *err);
void tm_usage_close(struct tm_usage *u);
/* Is a look due? Then tm_usage_look: changes of the workload so far. */
bool tm_usage_due(const struct tm_usage *u, int64_t now_ns);
void tm_usage_look(struct tm_usage *u, const struct tm_children *kids, int64_t now_ns,
                   int64_t run_ns, int64_t changes);
/* Adds what earlier lives used to the children's own figures; once, when all have ended. */
void tm_usage_add(const struct tm_usage *u, struct tm_children *kids);
/* process -> {first_bytes, last_bytes, peak_bytes, looks, per_million_bytes (null: too few changes,
 * or too few looks)}: of each process's last life. Caller owns; NULL with *err set. */
json_t *tm_usage_json(const char *path, struct tm_err *err);
#endif
