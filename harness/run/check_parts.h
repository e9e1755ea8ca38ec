/* check_parts: `tidemark check --part` and `--merge`: the witness of a sink group whose files lie
 * on several hosts. --part follows the view.db of one host until SIGTERM, compares clocks with the
 * org's host all the while, and leaves DIR/part.db (check/part.h). --merge makes one run's folder,
 * with its report, of such folders and the org's history (check/merge.h). */
#ifndef TM_RUN_CHECK_PARTS_H
#define TM_RUN_CHECK_PARTS_H
#include "check/check.h"
#include "run/command.h"

struct tm_check_parts { /* flags; NULL where not given */
    const struct tm_station_flags *flags;
    const char *part, *raw;        /* --part DIR --raw FILE */
    const char *org, *out, *bound; /* --merge: --org FILE --out DIR --clock-bound-ms N */
};
/* Exit codes of the command. */
int tm_check_part(const struct tm_check_parts *given);
int tm_check_merge(const struct tm_check_parts *given);

/* Until SIGTERM or SIGINT. `also`: what is done every so often besides; NULL: nothing.
 * (cmd_check.c)
 */
struct tm_follow_also {
    void (*what)(void *self);
    void *self;
    int64_t every_ns;
};
enum tm_code tm_check_follow(struct tm_check *c, const struct tm_follow_also *also,
                             struct tm_err *err);
#endif
