/* org_commit: what the files of a commit share: org_commit.c (state and history) and org_event.c.
 */
#ifndef TM_MOCKS_SALESFORCE_ORG_COMMIT_H
#define TM_MOCKS_SALESFORCE_ORG_COMMIT_H
#include "mocks/salesforce/org_impl.h"

struct org_commit { /* one transaction under way */
    struct tm_org *org;
    const struct tm_org_txn *txn;
    int64_t org_ms, second_ms; /* commit instant; cut to whole seconds */
    int64_t stamp_ms;          /* what rows are stamped with: before the commit, if it was held */
    char key[40], user[TM_ID_BYTES];
    int64_t number, seq;
};
/* Tells subscribers. org->mark names the columns that go along. out: what history.event and
 * replay_id say. */
enum tm_code org_commit_announce(struct org_commit *c, struct org_object *o,
                                 const struct tm_org_change *change, bool was_live,
                                 const char **out_event, int64_t *out_replay, struct tm_err *err);
/* The merged event that is still gathered goes out. */
enum tm_code org_commit_flush_merged(struct org_commit *c, struct tm_err *err);
/* Events that stand for many changes of an object, at the end of the transaction. */
enum tm_code org_commit_shared_events(struct org_commit *c, struct tm_err *err);
#endif
