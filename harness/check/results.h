/* results: everything a live check leaves: run.db (check/rundb.h), measures.json, the verdict.
 * measures.json is the run's report.json with, besides (all numbers org clock unless the
 * name says otherwise): happened (check/happened.h); offered.lateness_ms_p50/_max, .achieved_share,
 * .workload_done; clock {compress, publish_delay_ms, index_lag_ms, start_ms, end_ms}; self_tests[]
 * also {pipeline, test, note, exercised (false: nothing to test, ok is null)}; pipelines[] also:
 * option, interval_s, objects; verdict (pass | fail | inconclusive | none: nothing was promised)
 * and reasons[]; freshness_s also: mean, unseen (= never), superseded (seen only through a later
 * version), ambiguous, coincident, negative (shown before their stamp); percentiles are
 * Kaplan-Meier's (check/measure.h): a change not seen counts as waiting until the run's end, one
 * that a preset never carries as waiting for ever; null is "not reached"; max and mean are of those
 * seen; freshness_low_s: the same with changes that two versions fit (ambiguous) counted by the
 * earlier look: freshness_s is the upper, this the lower bound; t_visibility [[seconds, share
 * readable by that age], …]; during_poll {changes, and without them p50, p90, p99, max} (batch):
 * committed while the poll that shows them ran, so with no wait at all; compressed org time makes
 * polls look longer, and these many; only_copies {count, max_wait_s, never, examples[{object, id,
 * change, pos, committed, wait_s}]} (streams): changes without an event that only a scheduled copy
 * showed (wait: org time, at most), and those that none has shown; freshness_curve [[share, seconds
 * | null], …]; freshness_by_change {CREATE: {count, p50, …, never}, …}; reader_ms {p50, p99, max}:
 * wall width of the interval in which each change became visible (what the witness cannot tell);
 * drift also: peak_at_ms, final_differing (= final_rows), row_seconds_by_class, flag {precision,
 * recall} (row-seconds of rows flagged dirty that differ, over those flagged, over those that
 * differ; null: none), starred (whole-object dirt at the end); curve {org_ms[], differing_max[],
 * missing[], phantom[], stale[], mixed[], wrong[], flagged[]}: at most 240 points; at_commits
 * {commits, equal, equal_share, peak_rows, peak_pos, longest_unequal_s}: as the reader's last look
 * before each commit of the workload found it, wall clock (where compress > 1 what a pipeline works
 * at looks that much longer); lost_history {states, share, measured, why, unkept_states,
 * unkept_share, unkept_pos}: states is null where compression would distort it (streams, compress >
 * 1); unkept: those that no kept table can give back, and one of them (check/kept.h); torn
 * {transactions, seconds, measured}: null unless compress is 1; age_s {mean, max}, behind {mean,
 * share: {"0": …, "1": …, "11+": …}}: time-weighted over records; read_weighted {age_s, stale}:
 * mean age, and share of reads that meet a row behind, of a reader who asks for a record as often
 * as it is changed (assumed); coverage {compared:
 * ["Object.Field"], left_out: [{column, why}]}; cost also: bytes_in, bytes_out, calls_by_kind,
 * daily (check/allocation.h), warehouse_bytes, polls, skipped_polls, query_ms_by_object (option 1);
 * cpu_s and rss_peak_bytes are null here, whoever started the stations fills them in; breakdown
 * {segment: {count, p50, …, mean}} (streams, wall ms), legs_by_rank (streams: check/legs.h),
 * query_by_history {rows[], ms[]} (streams: whole reads of the snapshot, and how many rows the raw
 * tables had by then; null: nothing tells, or no query has a duration), examples[] (see
 * check/diff.h, at most 20, phantoms last; each with the keys of check/cause.h), slowest
 * (check/slow.h), causes [{cause, station, rule, known, rows, example {object, id, pos, because}}]
 * (of every differing row; the words of check/cause.h), open_amount (check/amounts.h; null: not
 * shown); phantoms {count, examples:
 * [{object, id, deleted_org_ms, deleted, pos, change}]}; reads {probes, reads, busy, observations}.
 */
#ifndef TM_CHECK_RESULTS_H
#define TM_CHECK_RESULTS_H
#include "check/amounts.h"
#include "check/breakdown.h"
#include "check/check.h"
#include "check/pauses.h"
#include "check/rundb.h"
#include "check/selftest.h"

struct tm_results {
    struct tm_check *check;
    struct tm_run_db db;
    struct tm_timing timing; /* of the run; kind and polls are set per pipeline */
    struct tm_marks *marks;
    struct tm_pauses pauses; /* in which nothing ran; no instant knows of them any more */
    struct tm_amounts amounts; /* of the org's opportunities */
    json_t *self_tests, *pipelines, *reasons;
    json_t *queries; /* check/query.h by pipeline: both options', before either is forgotten */
    bool failed, inconclusive, broken; /* broken: a self-test failed */
};
/* Computes, writes run.db and measures.json, sets the exit code (base/err.h). */
enum tm_code tm_results_make(struct tm_check *c, int *out_exit, struct tm_err *err);
/* One pipeline: match, measures, self-tests; appends to r->pipelines, r->self_tests, r->reasons.
 * (pipeline.c) */
enum tm_code tm_results_pipeline(struct tm_results *r, size_t index, struct tm_err *err);
void tm_results_reason(struct tm_results *r, json_t *own, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum tm_code tm_results_selftest(struct tm_results *r, const char *pipeline, const char *name,
                                 bool ok, enum tm_exercised exercised, double expected,
                                 double measured, const char *note, struct tm_err *err);
/* Polls of a batch database, sorted by object and _seq. Caller frees. (cost.c) */
enum tm_code tm_polls_load(struct tm_poll **out, size_t *out_count, struct tm_reader *reader,
                           struct tm_err *err);
/* Cost of a pipeline as the org counted it. (cost.c) */
enum tm_code tm_cost_json(json_t **out, struct tm_truth *truth, const struct tm_plan_pipeline *p,
                          const struct tm_poll *polls, size_t polls_count, struct tm_err *err);
/* The figures that need no database. (figures.c) */
enum tm_code tm_figures_json(json_t *out, const struct tm_results *r,
                             const struct tm_plan_pipeline *p, const struct tm_match *m,
                             const struct tm_timing *t, const struct tm_curve *curve,
                             const struct tm_reader *reader, struct tm_err *err);
#endif
