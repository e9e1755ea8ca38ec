/* fuzz_salesforce: any bytes as the answers to sign-in, CometD, query and getDeleted: errors, never
 * a crash or an endless loop. The input is cut at "\xff": piece i answers exchange i; its first
 * byte picks the status. clang: -fsanitize=fuzzer with -DTM_LIBFUZZER; otherwise a program that
 * replays files, or a small corpus of its own. */
#include "base/log.h"
#include "salesforce/cometd.h"
#include "salesforce/query.h"
#include "tests/support_fuzz.h"
#include "tests/support_fuzz_http.h"

static enum tm_code fuzz_poll(struct tm_http *http, struct tm_http_call *call,
                              struct tm_http_reply *reply, struct tm_err *err)
{
    static const int statuses[] = { 200, 200, 200, 400, 401, 403, 404, 429, 500, 204 };
    struct tm_http_call c = *call;
    fuzz_cancel(http, call);
    if (c.bytes == 0)
        return tm_fail_retry(err, TM_E_IO, "broken");
    reply->status = statuses[(c.data[0] + 2u) % (sizeof statuses / sizeof statuses[0])];
    tm_buf_add(&reply->body, c.data + 1, c.bytes - 1);
    tm_buf_addf(&reply->headers, "Retry-After: %u\r\nSforce-Limit-Info: %.*s\r\n", c.data[0],
                (int)(c.bytes < 30 ? c.bytes : 30) - 1, (const char *)c.data + 1);
    return TM_OK;
}

static void fuzz_events(struct tm_sf_session *s, struct fuzz_port *p)
{
    struct tm_cometd *c = NULL;
    struct tm_now now = { .wall_ns = TM_NS_PER_S };
    if (tm_cometd_open(&c, s, "/data/LeadChangeEvent", TM_REPLAY_NEW, 0, NULL) != TM_OK)
        abort();
    for (int i = 0; i < 200 && p->bytes > 0; i++) {
        json_t *events = NULL;
        enum tm_code rc = tm_cometd_next(c, &now, &events, NULL);
        if (rc == TM_OK && !json_is_array(events))
            abort();
        if (rc == TM_E_GAP)
            tm_cometd_resume(c, TM_REPLAY_ALL);
        json_decref(events);
        if (tm_cometd_next_at(c) != TM_NEVER && tm_cometd_next_at(c) > now.wall_ns)
            now.wall_ns = tm_cometd_next_at(c);
    }
    tm_cometd_close(c);
}

static void fuzz_reads(struct tm_sf_session *s, struct fuzz_port *p, bool deleted)
{
    struct tm_sf_query *q = NULL;
    struct tm_sf_call *c = NULL;
    struct tm_now now = { .wall_ns = TM_NS_PER_S };
    if (tm_sf_query_open(&q, s, "SELECT Id FROM Lead", true, 0, NULL) != TM_OK ||
        tm_sf_deleted_start(&c, s, "Lead", 0, 3600000, NULL) != TM_OK)
        abort();
    for (int i = 0; i < 200 && p->bytes > 0; i++, now.wall_ns += 40 * TM_NS_PER_S) {
        json_t *records = NULL;
        struct tm_sf_deleted d = { .records = NULL };
        struct tm_err err = { .code = TM_OK };
        bool done;
        enum tm_code rc = deleted ? tm_sf_deleted_poll(c, &now, &d, &err)
                                  : tm_sf_query_next(q, &now, &records, &done, &err);
        if (rc == TM_OK && !json_is_array(deleted ? d.records : records))
            abort();
        json_decref(records);
        json_decref(d.records);
    }
    tm_sf_query_close(q);
    tm_sf_call_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct tm_http_ops ops = { fuzz_start, fuzz_poll, fuzz_cancel, fuzz_close };
    static const struct tm_sf_settings set = { .instance = "http://o",
                                               .consumer_key = "k",
                                               .consumer_secret = "s",
                                               .grant = TM_SF_CLIENT_CREDENTIALS,
                                               .api_version = "latest",
                                               .seed = 1 };
    tm_log_init("fuzz", TM_LOG_ERROR);
    for (int road = 0; road < 3; road++) {
        struct fuzz_port p = { .base = { .ops = &ops }, .data = data, .bytes = bytes };
        struct tm_sf_session *s = NULL;
        if (tm_sf_session_open(&s, &p.base, &set, NULL) != TM_OK)
            abort();
        if (road == 0)
            fuzz_events(s, &p);
        else
            fuzz_reads(s, &p, road == 2);
        tm_sf_session_close(s);
    }
    return 0;
}

#define SIGNED                                                                                     \
    "0{\"access_token\":\"T\",\"instance_url\":\"http://o\"}\xff"                                  \
    "0[{\"version\":\"59.0\"}]\xff"
#define SHAKEN                                                                                     \
    "0[{\"channel\":\"/meta/"                                                                      \
    "handshake\",\"clientId\":\"C\",\"successful\":true,\"ext\":{\"replay\":true}}]\xff"
static const char *const corpus[] = {
    "",
    "x",
    "\xff\xff\xff",
    "0{}\xff",
    "0[]\xff",
    "3{\"error\":\"invalid_grant\"}\xff",
    SIGNED SHAKEN "0[{\"channel\":\"/meta/subscribe\",\"successful\":true}]\xff"
                  "0[{\"channel\":\"/meta/connect\","
                  "\"successful\":true,\"advice\":{\"interval\":-1,\"timeout\":1e9}},{\"data\":"
                  "{},\"channel\":1}]\xff"
                  "0[null,[],1]\xff",
    SIGNED SHAKEN "0[{\"channel\":\"/meta/subscribe\",\"error\":\"400::The replayId {1} you "
                  "provided\",\"successful\":false}]\xff",
    SIGNED "0[{\"channel\":\"/meta/"
           "handshake\",\"error\":7,\"ext\":{\"sfdc\":[]},\"advice\":\"none\"}]\xff",
    SIGNED "0{\"records\":[{}],\"done\":false,\"totalSize\":-5,\"nextRecordsUrl\":\"http://"
           "services/data\"}\xff"
           "4\xff"
           "0x",
    SIGNED "0{\"deletedRecords\":[],\"latestDateCovered\":\"2013-13-45\"}\xff",
    SIGNED "5[{\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\"}]\xff"
           "3[[]]\xff",
};
FUZZ_PROGRAM(corpus)
