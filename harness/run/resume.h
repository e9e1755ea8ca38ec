/* resume: a run that was interrupted (Ctrl-C, a crash, kill -9 of everything) goes on in its own
 * folder. in: RUN/run.json, written when the run began: its scenario, flags, the digests of all
 * that was read and of this program; RUN/clock; what the stations made durable. out: the same plan,
 * the org's clock standing where it stood, and where each source goes on if the embedded broker's
 * topics went with it. Refused, before anything is changed: a folder that is no run, a run that is
 * still alive or has come to its end, one of another build, scenario or boot, one whose org had not
 * started to work. */
#ifndef TM_RUN_RESUME_H
#define TM_RUN_RESUME_H
#include "run/run.h"

/* The folder is this process's until it ends. TM_E_ARG: another run is at work in it. */
enum tm_code tm_resume_lock(const struct tm_run *run, struct tm_err *err);
/* A new run's run.json, once its plan is made. */
enum tm_code tm_resume_save(struct tm_run *run, struct tm_err *err);
/* Before the plan: run->dir -> scenario, seed, flags. --brokers and --registry may say anew where
 * the same ones are by now. */
enum tm_code tm_resume_load(struct tm_run *run, struct tm_err *err);
/* After the plan: nothing it read has changed; then takes away the partial report, stops the org's
 * clock where it was, and finds out where the sources go on. */
enum tm_code tm_resume_begin(struct tm_run *run, struct tm_err *err);
/* "EPOCH:REPLAYID" for the source of one object; false: its checkpoint is on the broker. */
bool tm_resume_after(const struct tm_run *run, const char *object, char out[48]);
/* All that start-up has to bring back is there: on an embedded broker, a whole copy of every
 * object.
 */
bool tm_resume_copied(const struct tm_run *run);
/* "interrupted" or "killed", of each pause of the clock file; and the life of the embedded broker
 * that began then. */
const char *tm_resume_how(const struct tm_run *run, size_t pause, int *out_life);
/* Raw rows of events that came again because a broker's topics were lost before that life. */
int64_t tm_resume_again(const struct tm_run *run, int life);
#endif
