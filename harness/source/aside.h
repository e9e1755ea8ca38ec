/* aside: change events that cannot be read, kept whole so that nothing is lost silently. in: the
 * delivery, why it was refused; out: a row of a SQLite file, once per event, and what can still be
 * told from the event: its position and the records it concerns, which the source then asks a read
 * for. One transaction a put; TM_E_AGAIN while the file is busy. */
#ifndef TM_SOURCE_ASIDE_H
#define TM_SOURCE_ASIDE_H
#include "base/err.h"
#include "base/text.h"
#include <jansson.h>
#include <stdint.h>

/* of one life: more is not one bad event, and ends the station */
#define TM_ASIDE_EVENTS_MAX 1000
/* record ids of one event */
#define TM_ASIDE_IDS_MAX 2000

struct tm_aside;
/* path: made when first needed; table aside(channel, replay_id, event, reason). Opens
 * nothing yet. */
enum tm_code tm_aside_open(struct tm_aside **out, const char *path, struct tm_err *err);
void tm_aside_close(struct tm_aside *a); /* NULL-safe */
enum tm_code tm_aside_put(struct tm_aside *a, const char *channel, const json_t *delivery,
                          const char *reason, struct tm_err *err);
const char *tm_aside_path(const struct tm_aside *a);
/* Position of the event; -1 = not readable. */
int64_t tm_aside_replay_id(const json_t *delivery);
/* The list of its record ids, borrowed, when every one of them is a record id; else NULL: any
 * record may be concerned. */
const json_t *tm_aside_ids(const json_t *delivery);
#endif
