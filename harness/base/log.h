/* log: one line an event on stderr, "time level station: text". in: text; out: stderr only.
 * Adapters, drivers and command lines log; pure station code reports through errors and counters,
 * except the few lines the design names (`[RECON-FAILED]`), which go through here too.
 * Never prints secrets: callers pass none. */
#ifndef TM_BASE_LOG_H
#define TM_BASE_LOG_H

enum tm_level { TM_LOG_DEBUG, TM_LOG_INFO, TM_LOG_WARN, TM_LOG_ERROR };
void tm_log_init(const char *station, enum tm_level lowest); /* `station` is borrowed for ever */
void tm_log(enum tm_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One line that stands below the log and is written over by the next: how far a command is. On a
 * terminal only, cut to its width; anywhere else nothing happens. "" takes it away. */
void tm_log_status(const char *text);
#endif
