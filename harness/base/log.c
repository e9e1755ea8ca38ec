#include "base/log.h"
#include "base/clock.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *log_station = "tidemark";
static enum tm_level log_lowest = TM_LOG_INFO;

void tm_log_init(const char *station, enum tm_level lowest)
{
    log_station = station;
    log_lowest = lowest;
}

void tm_log(enum tm_level level, const char *fmt, ...)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    char line[2048], when[32];
    va_list ap;
    if (level < log_lowest)
        return;
    int64_t ns = tm_clock_realtime_ns();
    time_t s = (time_t)(ns / TM_NS_PER_S);
    struct tm tm;
    gmtime_r(&s, &tm);
    strftime(when, sizeof when, "%H:%M:%S", &tm);
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s.%03d %-5s %s: %s\n", when, (int)(ns / TM_NS_PER_MS % 1000), names[level],
            log_station, line);
}
