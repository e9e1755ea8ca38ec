/* growth: the snapshot computed at query time (option 1) against kept as rows arrive (option 2),
 * while the history grows. in: what was measured at each size; out: a JSON object, findings in
 * words, and a page with the chart. Pure. All costs are CPU seconds.
 *
 * One read in every k events costs option 1 its read, option 2 its read and k events' keeping. The
 * crossover for k is the history at which both cost the same: between the two sizes measured
 * around it, on the line through their ratios (log-log); nothing is said beyond the sizes' ends but
 * who is ahead there. k = 0 is the reader alone. */
#ifndef TM_REPORTS_GROWTH_H
#define TM_REPORTS_GROWTH_H
#include "base/buf.h"
#include <jansson.h>
#include <stdint.h>

#define TM_GROWTH_POINTS_MAX 16

struct tm_growth_point {
    int64_t events;       /* of the history; grows from point to point */
    double read_s[2];     /* one read of the whole snapshot: option 1, option 2; > 0 */
    double write_event_s; /* option 2, keeping an event, over those since the last size; > 0 */
    int64_t bytes[2];     /* the raw tables both need, what option 2 keeps besides them; > 0 */
};
/* TM_E_ARG: no point, too many, not growing, or a cost that is not above 0. The caller owns *out.
 */
enum tm_code tm_growth(json_t **out, const struct tm_growth_point *points, size_t count,
                       int records, int fields, struct tm_err *err);
/* A table and the findings, for a terminal. */
void tm_growth_words(struct tm_buf *out, const json_t *growth);
enum tm_code tm_growth_html(struct tm_buf *out, const json_t *growth, struct tm_err *err);
#endif
