#include "base/log.h"
#include "base/clock.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const char *log_station = "tidemark";
static enum tm_level log_lowest = TM_LOG_INFO;
static char log_status[512]; /* "" = none stands there */

#define LOG_OVER "\r\033[K" /* to the line's begin, and nothing on it */
#define LOG_COLUMNS 80      /* of a terminal that does not say */

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
    fprintf(stderr, "%s%s.%03d %-5s %s: %s\n%s", log_status[0] != '\0' ? LOG_OVER : "", when,
            (int)(ns / TM_NS_PER_MS % 1000), names[level], log_station, line, log_status);
}

void tm_log_status(const char *text)
{
    struct winsize size = { 0 };
    if (!isatty(STDERR_FILENO) || (text[0] == '\0' && log_status[0] == '\0'))
        return;
    int columns =
        ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : LOG_COLUMNS;
    snprintf(log_status, sizeof log_status, "%.*s", columns - 1, text);
    fprintf(stderr, LOG_OVER "%s", log_status);
}
