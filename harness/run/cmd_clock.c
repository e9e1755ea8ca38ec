/* tidemark clock --salesforce-url URL: how far the monotonic clock of the mock's host is ahead of
 * this one's, and the bound of that, before instants of both are combined. */
#include "run/command.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_EXCHANGES 20
#define CLOCK_GET_MS 5000
#define CLOCK_URL_MAX 1024

/* One exchange. The connection is kept, so that only the first pays for making it. */
static enum tm_code clock_ask(struct tm_clock_offset *best, struct tm_http *http, const char *url,
                              struct tm_err *err)
{
    struct tm_http_reply reply;
    tm_http_reply_init(&reply);
    int64_t sent_ns = tm_clock_monotonic_ns();
    enum tm_code rc = tm_command_get(http, url, CLOCK_GET_MS, &reply, err);
    int64_t received_ns = tm_clock_monotonic_ns();
    json_t *body =
        rc == TM_OK ? json_loadb(tm_buf_text(&reply.body), reply.body.bytes, 0, NULL) : NULL;
    const json_t *theirs = json_object_get(body, "wall_ns");
    if (rc == TM_OK && !json_is_integer(theirs))
        rc = tm_fail(err, TM_E_ARG,
                     "%.200s answers HTTP %d and no time; is it the address of `tidemark serve`?",
                     url, reply.status);
    if (rc == TM_OK)
        tm_clock_compare(best, sent_ns, received_ns, json_integer_value(theirs));
    json_decref(body);
    tm_http_reply_free(&reply);
    return rc;
}

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
    struct tm_clock_offset best = { 0, -1 };
    struct tm_http *http = NULL;
    struct tm_err err = { .code = TM_OK };
    char url[CLOCK_URL_MAX];
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, none, NULL, &err);
    if (rc == TM_OK && flags.config_path != NULL)
        rc = tm_fail(&err, TM_E_ARG, "\"%.80s\": this command takes no file", flags.config_path);
    if (rc == TM_OK && flags.salesforce_url == NULL)
        rc = tm_fail(&err, TM_E_ARG, "whose? give --salesforce-url, which `tidemark serve` prints");
    if (rc == TM_OK &&
        snprintf(url, sizeof url, "%s/tidemark/v1/clock", flags.salesforce_url) >= (int)sizeof url)
        rc = tm_fail(&err, TM_E_ARG, "--salesforce-url is too long");
    if (rc == TM_OK)
        rc = tm_http_curl_open(&http, "tidemark-clock/1", flags.ca_path, &err);
    for (int i = 0; rc == TM_OK && i < CLOCK_EXCHANGES; i++)
        rc = clock_ask(&best, http, url, &err);
    if (http != NULL)
        http->ops->close(http);
    if (rc == TM_OK)
        clock_print(&best, flags.json);
    return rc == TM_OK ? TM_EXIT_PASS : tm_command_fail("clock", &err);
}
