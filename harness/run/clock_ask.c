#include "run/clock_ask.h"
#include "run/command.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CLOCK_URL_MAX 1024

/* One exchange. The connection is kept, so that only the first pays for making it. */
static enum tm_code clock_exchange(struct tm_clock_answer *out, struct tm_http *http,
                                   const char *url, int timeout_ms, struct tm_err *err)
{
    struct tm_http_reply reply;
    tm_http_reply_init(&reply);
    int64_t sent_ns = tm_clock_monotonic_ns();
    enum tm_code rc = tm_command_get(http, url, timeout_ms, &reply, err);
    int64_t received_ns = tm_clock_monotonic_ns();
    json_t *body =
        rc == TM_OK ? json_loadb(tm_buf_text(&reply.body), reply.body.bytes, 0, NULL) : NULL;
    const json_t *theirs = json_object_get(body, "wall_ns");
    const char *org = json_string_value(json_object_get(body, "org_id")),
               *boot = json_string_value(json_object_get(body, "boot_id"));
    if (rc == TM_OK && (!json_is_integer(theirs) || org == NULL || boot == NULL))
        rc = tm_fail(err, TM_E_ARG,
                     "%.200s answers HTTP %d and no time; is it the address of `tidemark serve`?",
                     url, reply.status);
    if (rc == TM_OK) {
        tm_clock_compare(&out->offset, sent_ns, received_ns, json_integer_value(theirs));
        snprintf(out->org_id, sizeof out->org_id, "%s", org);
        snprintf(out->boot_id, sizeof out->boot_id, "%s", boot);
    }
    json_decref(body);
    tm_http_reply_free(&reply);
    return rc;
}

enum tm_code tm_clock_ask(struct tm_clock_answer *out, struct tm_http *http,
                          const char *salesforce_url, int exchanges, int timeout_ms,
                          struct tm_err *err)
{
    char url[CLOCK_URL_MAX];
    enum tm_code rc = TM_OK;
    *out = (struct tm_clock_answer){ .offset = { 0, -1 } };
    if (salesforce_url == NULL)
        return tm_fail(err, TM_E_ARG,
                       "whose? give --salesforce-url, which `tidemark serve` prints");
    if (snprintf(url, sizeof url, "%s/tidemark/v1/clock", salesforce_url) >= (int)sizeof url)
        return tm_fail(err, TM_E_ARG, "--salesforce-url is too long");
    for (int i = 0; rc == TM_OK && i < exchanges; i++)
        rc = clock_exchange(out, http, url, timeout_ms, err);
    return rc;
}
