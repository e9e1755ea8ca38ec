/* tidemark clock --salesforce-url URL: how far the monotonic clock of the mock's host is ahead of
 * this one's, and the bound of that, before instants of both are combined. */
#include "run/clock_ask.h"
#include "run/command.h"
#include <inttypes.h>
#include <stdio.h>

#define CLOCK_EXCHANGES 20
#define CLOCK_GET_MS 5000

static void clock_print(const struct tm_clock_offset *best, bool json)
{
    if (json)
        printf("{\"offset_ns\":%" PRId64 ",\"bound_ns\":%" PRId64 ",\"exchanges\":%d}\n",
               best->offset_ns, best->bound_ns, CLOCK_EXCHANGES);
    else
        printf("the org's clock is %.3f ms ahead of this host's, give or take %.3f ms (quickest of "
               "%d exchanges)\n",
               (double)best->offset_ns / 1e6, (double)best->bound_ns / 1e6, CLOCK_EXCHANGES);
}

int tm_cmd_clock(int argc, char **argv)
{
    static const char *const none[] = { NULL };
    struct tm_station_flags flags;
    struct tm_clock_answer answer;
    struct tm_http *http = NULL;
    struct tm_err err = { .code = TM_OK };
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, none, NULL, &err);
    if (rc == TM_OK && flags.config_path != NULL)
        rc = tm_fail(&err, TM_E_ARG, "\"%.80s\": this command takes no file", flags.config_path);
    if (rc == TM_OK)
        rc = tm_http_curl_open(&http, "tidemark-clock/1", flags.ca_path, &err);
    if (rc == TM_OK)
        rc = tm_clock_ask(&answer, http, flags.salesforce_url, CLOCK_EXCHANGES, CLOCK_GET_MS, &err);
    if (http != NULL)
        http->ops->close(http);
    if (rc == TM_OK)
        clock_print(&answer.offset, flags.json);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("clock", &err);
}
