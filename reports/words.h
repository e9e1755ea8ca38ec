/* words: numbers and findings as people read them. Pure. */
#ifndef TM_REPORTS_WORDS_H
#define TM_REPORTS_WORDS_H
#include "base/buf.h"
#include <jansson.h>

#define WORD_BYTES 40
/* "a.b" inside objects; false when absent or not a number. */
bool tm_word_number(const json_t *object, const char *path, double *out);
const char *tm_word_text(const json_t *object, const char *path, const char *absent);
const char *tm_word_span(char out[WORD_BYTES], double seconds); /* 43 ms, 2.4 min, 3.1 h */
const char *tm_word_count(char out[WORD_BYTES], double count);  /* 52,310 */
const char *tm_word_bytes(char out[WORD_BYTES], double bytes);  /* 1.4 MB */
const char *tm_word_share(char out[WORD_BYTES], double share);  /* 12.4 % */
/* The value at path in one of the forms, or "–". scale: what one unit is in the form's own (ms ->
 * s: 0.001). */
const char *tm_word_at(char out[WORD_BYTES], const json_t *object, const char *path,
                       const char *(*form)(char *, double), double scale);
/* What a self-test says when it holds; "" for one that is not known. */
const char *tm_word_self_test(const json_t *self_test);
/* An anomaly of report.json as a person says it, and what it means. */
const char *tm_word_anomaly(const char *name);
const char *tm_word_anomaly_means(const char *name);
bool tm_word_untested(const json_t *self_test); /* it found nothing to test: neither good nor bad */
const char *tm_word_verdict(const json_t *report); /* Passed, Failed, Inconclusive */
/* Sentences that compare the pipelines, plain text, one callback each. */
void tm_word_findings(const json_t *report, void (*each)(void *data, const char *sentence),
                      void *data);
/* words_cost.c: a day's cost of what an org grants, and what a 5-minute poll would change (in
 * theory: even arrivals, a call an object); false where the report does not tell. */
bool tm_word_cost(char *out, size_t out_bytes, const json_t *report);
/* words_amount.c: the open pipeline by stage, as the best of streaming and of polling showed it;
 * false where nobody shows it. An amount in words. */
bool tm_word_open_amount(char *out, size_t out_bytes, const json_t *report);
const char *tm_word_amount(char out[WORD_BYTES], double amount);
/* words_road.c: a leg of the streaming road; itself where it is none. What one read of the whole
 * snapshot took as the history grew, by either option, or why nothing tells; false where the report
 * is older than the question. */
const char *tm_word_leg(const char *leg);
bool tm_word_query(char *out, size_t out_bytes, const json_t *report);
/* A word of check/cause.h as a few plain ones; itself where it is none. */
const char *tm_word_cause(const char *cause);
/* "tidemark why RUN Object/Id[.Field] 2026-03-02T08:23:26.292Z" for an example of the report, to be
 * pasted into a shell; nothing where it names no record. */
void tm_word_why(struct tm_buf *b, const json_t *report, const json_t *example);
/* What befell a process, behind "was": killed, stopped, made to revoke every token. */
const char *tm_word_fault(const char *fault);
/* "3 more of sink, 1 more of gap": what is not kept in the report; false: nothing. */
bool tm_word_faults_missed(struct tm_buf *b, const json_t *report);
/* words_parts.c: one host of a merged report ("parts" of check/merge.h), and what holds for all. */
struct tm_part_words {
    struct tm_buf partitions, left_out, clock; /* left_out: "" when nothing is */
};
void tm_word_part(struct tm_part_words *out, const json_t *part);
void tm_word_part_free(struct tm_part_words *words);
void tm_word_parts(struct tm_buf *b, const json_t *report);
#endif
