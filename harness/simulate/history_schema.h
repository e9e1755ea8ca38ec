/* history_schema: what happens to the simulated org that is no transaction: fields that come, go,
 * come back, change their type, are hidden and shown again; events that expire; replay ids that go
 * back. in: a history and one event, drawn or given; out: the org changed, and what the driver has
 * still to do (forgot, restarted, narrowed in struct tm_sim_history). */
#ifndef TM_SIMULATE_HISTORY_SCHEMA_H
#define TM_SIMULATE_HISTORY_SCHEMA_H
#include "simulate/history.h"

/* First replay id of the line that is in force: each begins below the one before it, far enough
 * that it never reaches that. */
int64_t tm_sim_history_line(const struct tm_sim_history *h);
/* What the history's changes of fields are about, and how often they come. */
void tm_sim_history_theme(struct tm_sim_history *h);
/* Is it one of these that happens now? False: a transaction. True and still TM_SIM_TXN: nothing. */
bool tm_sim_history_schema_draw(struct tm_sim_history *h, struct tm_sim_event *e);
/* Of a script that has lost some of its events: can this one still happen? */
bool tm_sim_history_schema_fits(const struct tm_sim_history *h, const struct tm_sim_event *e);
enum tm_code tm_sim_history_schema_do(struct tm_sim_history *h, const struct tm_sim_event *e,
                                      struct tm_err *err);
#endif
