/* sampler: full reads of option 1's views at chosen instants, in a thread of its own, since one
 * takes as long as a query of the user would and the reader must not stand still meanwhile; under a
 * virtual clock, which does not move while one reads, in the step that asks. in: a
 * request; out: observations in a reader of its own, and how long each object's query took, also by
 * option 2 of the same raw tables where there is one. Owner:
 * the caller of open; `reader` and `reads` may be read after stop only. */
#ifndef TM_CHECK_SAMPLER_H
#define TM_CHECK_SAMPLER_H
#include "check/reader.h"

#define TM_SAMPLER_READS_MAX 64
struct tm_sampler {
    struct tm_reader *reader; /* the thread's own connection */
    struct tm_full_read reads[TM_SAMPLER_READS_MAX];
    size_t reads_count;
    struct tm_reader *beside; /* NULL, or option 2 of the same tables */
    struct tm_full_read beside_reads[TM_SAMPLER_READS_MAX]; /* just after reads[] of that index */
    struct sampler_thread *thread;
};
enum tm_code tm_sampler_open(struct tm_sampler **out, const char *path, const char *const *objects,
                             size_t objects_count, int64_t (*wall_ns)(void), bool in_step,
                             struct tm_err *err);
/* Before the first ask: each read is followed by one of the kept relations in `path`, so that both
 * options are timed at one length of the history, one after the other. */
enum tm_code tm_sampler_beside(struct tm_sampler *s, const char *path, const char *const *objects,
                               size_t objects_count, struct tm_err *err);
/* Asks for one full read; does nothing while one is under way. */
void tm_sampler_ask(struct tm_sampler *s);
/* How long the last read took; 0: none yet. */
int64_t tm_sampler_took_ns(struct tm_sampler *s);
/* Waits for the read under way to end. */
void tm_sampler_stop(struct tm_sampler *s);
void tm_sampler_close(struct tm_sampler *s);
#endif
