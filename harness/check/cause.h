/* clang-format off */
/* cause: why a row of a copy is wrong at the end: the first commit it does not show, the station
 * that lost it, and the rule (harness/view/README.md) or the documented limit of polling behind it.
 * in: the history, what was shown, and what the stations left behind: polls of a batch; raw tables
 * (check/road.h) and traces of a stream; out: one word a row, and a sentence that names the
 * evidence. Where the evidence does not tell, it says so: `known` is false, and the station is not
 * guessed. Reads stamps and publish times from org.db; otherwise pure.
 *
 *   word                station     behind it
 *   no_event            source      R16: the org sends no event for it, only a whole read tells
 *   not_copied          reconcile   R14: it was there before, and no first copy is complete
 *   not_published       -           due later than the end of the run
 *   event_not_received  source      R15: published, never received, though later ones were
 *   source_behind       source      published, and nothing later of its object was received
 *   event_not_in_kafka  source      received, never acknowledged by Kafka
 *   event_not_fetched   kafka       acknowledged by Kafka, never fetched by the sink
 *   event_not_written   sink        fetched, no row of it in the raw table
 *   event_lost          -           no row of it in the raw table, no trace says where it went
 *   event_altered       source      its raw row says something else than the org did (R4, R5); the
 *                                   sink may have done it too: what Kafka held is gone
 *   not_asked           gap         R8, R5: the event tells too little, and nobody asked
 *   not_answered        reconcile   R8, R5, R16: asked for, never read
 *   repair_failed       reconcile   R8, R5, R16: reading was given up, and said so
 *   read_too_early      reconcile   R9: the image is older than what it answers
 *   answer_altered      reconcile   R9: the image has what the record never held
 *   removed_wrongly     reconcile   R11: answered as gone, though it is there
 *   not_returned        reconcile   R16: a whole read in force does not have it
 *   no_base             view        R12: known by updates alone, the whole row never asked for
 *   view_wrong          view        the raw tables have it right; the rule is the one that decides
 *   delete_not_carried       batch poll  the preset does not hear of deletes
 *   hard_delete_not_carried  batch poll  nor of records purged from the recycle bin
 *   change_not_carried       batch poll  nor of this kind of change
 *   same_second         batch poll  another change of the same whole second was polled before; who
 *                                   goes on with `>` behind the newest stamp never asks again (the
 *                                   defect of airbytehq/airbyte#17148)
 *   stamp_not_moved     batch poll  SystemModstamp stayed: a poll by stamp cannot see it
 *   late_row            batch poll  stamped before a poll that came before it could be read
 *   poll_failed         batch poll  the poll that was to carry it was given up
 *   after_last_poll     batch poll  no poll began after it could be seen
 *   never_created       -           the org never had the id
 *   not_known           -           evidence missing, or it does not tell */
/* clang-format on */
#ifndef TM_CHECK_CAUSE_H
#define TM_CHECK_CAUSE_H
#include "check/breakdown.h"
#include "check/planted.h"
#include "check/road.h"

struct tm_cause {
    const char *word, *station, *rule; /* station, rule: NULL where there is none to name */
    bool known;
    uint32_t version; /* the first commit not shown; TM_TRUTH_NONE: the org never had the id */
    const char *hint; /* of a copy filled out of sight: what the log says of that commit; or NULL */
    char says[400];
};
struct tm_cause_stand { /* one pipeline; all borrowed */
    struct tm_truth *truth;
    const struct tm_match *m;
    const struct tm_shown *shown; /* what the differences were found in */
    const struct tm_timing *timing;
    const struct tm_plan_pipeline *plan;
    int64_t index_lag_ms;
    const struct tm_road *road;   /* stream; NULL: no raw tables to look in */
    const struct tm_marks *marks; /* stream; NULL: no traces */
    const struct tm_planted *planted;
    sqlite3 *database; /* batch: of the pipeline, for polls that failed; NULL: not there */
};
void tm_cause_of(struct tm_cause *out, const struct tm_cause_stand *s,
                 const struct tm_difference *d);
/* The commit from which on a row of this class is not what it should be, by its values. */
uint32_t tm_cause_first(const struct tm_truth *truth, const struct tm_match *m,
                        const struct tm_shown *shown, const struct tm_difference *d);
/* {"cause", "station", "rule", "cause_known", "because"} */
void tm_cause_json(json_t *out, const struct tm_cause *cause);
#endif
