/* check: the independent witness. It knows the org's history (org.db) and what snapshot relations
 * show, nothing else: no event, no topic, no station. in: a plan (check/plan.h); out: run.db,
 * measures.json and a verdict. A live check is a station: stepped, one probe of one database a
 * step, never waiting. Owner: the caller of open. What is written: check/results.h. What the words
 * mean: README, "Reading a report"; how they are computed: check/match.h. */
#ifndef TM_CHECK_CHECK_H
#define TM_CHECK_CHECK_H
#include "base/clock.h"
#include "check/audit.h"
#include "check/journal.h"
#include "check/plan.h"
#include "check/reader.h"
#include "check/sampler.h"
#include "check/truth.h"

struct tm_check_ports {
    /* CLOCK_MONOTONIC; only full reads are timed by it, probes are timed by the driver */
    int64_t (*wall_ns)(void);
    bool virtual; /* time stands still during a step: no thread, and no query has a duration */
    /* Grows with every step of whoever writes `database`; NULL: the database is asked (reader.h).
     */
    uint64_t (*written)(void *self, const char *database);
    void *written_self;
};
struct tm_check_target { /* one pipeline while the run goes on */
    struct tm_reader *reader;
    struct tm_sampler *sampler; /* option 1 */
    struct tm_reader
        *views; /* option 1: the last full read of the views; option 2, batch: `reader` itself */
    struct tm_audit *audit; /* option 2, batch */
    struct tm_full_read final;
    int64_t next_ns, poll_ns, sample_ns, audit_ns;
};
struct tm_check {
    struct tm_plan *plan; /* owned */
    struct tm_check_ports ports;
    struct tm_truth *truth; /* NULL until org.db is there */
    int64_t truth_next_ns;
    struct tm_journal *journal; /* NULL: the plan names none */
    int64_t journal_ns;         /* when it is due */
    struct tm_check_target targets[TM_PLAN_PIPELINES_MAX];
    int64_t stop_ns; /* instant of the last read */
    uint64_t steps;
};
/* The plan is taken, also after an error. `org` "" in it: no history is at hand, what is seen is
 * written down for who has it (check/part.h). */
enum tm_code tm_check_on(struct tm_check **out, struct tm_plan *plan,
                         const struct tm_check_ports *ports, struct tm_err *err);
enum tm_code tm_check_open(struct tm_check **out, const char *plan_path,
                           const struct tm_check_ports *ports, struct tm_err *err);
enum tm_code tm_check_step(struct tm_check *c, const struct tm_now *now, struct tm_wake *wake,
                           struct tm_err *err);
/* Every pipeline's database was read once, as far as it is there. */
bool tm_check_ready(const struct tm_check *c);
/* The last read of every pipeline, in full. */
enum tm_code tm_check_last(struct tm_check *c, struct tm_err *err);
/* The rest of the history. */
enum tm_code tm_check_history(struct tm_check *c, struct tm_err *err);
/* The last read, all measures, run.db and measures.json. *out_exit: 0 pass, 1 fail, 2 inconclusive,
 * 70 a self-test failed. */
enum tm_code tm_check_finish(struct tm_check *c, int *out_exit, struct tm_err *err);
/* What was seen of one pipeline, once its results are made. */
void tm_check_forget(struct tm_check_target *t);
void tm_check_close(struct tm_check *c);
#endif
