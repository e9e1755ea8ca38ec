/* disturb_answer: the answers of a planted fault, and what is done to right ones. */
#include "mocks/salesforce/disturb_impl.h"
#include "mocks/salesforce/rest.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct answer_error { /* as each API spells it; http: of REST */
    int http;
    const char *code, *message;
    const char *bulk; /* exceptionCode of Bulk 1.0 */
};

/* Bulk 1.0 has errors of its own: XML, or JSON where the request spoke it. */
static void answer_async(const struct tm_mock_request *r, const struct answer_error *e,
                         struct tm_mock_response *out)
{
    const char *type = tm_mock_header(r, "Content-Type");
    bool json = type != NULL && strncasecmp(type, "application/json", 16) == 0;
    int status = e->http >= 500 ? e->http : 400;
    tm_mock_answer(out, status, json ? "application/json" : "application/xml", "");
    tm_buf_addf(&out->body,
                json ? "{\"exceptionCode\":\"%s\",\"exceptionMessage\":\"%s\"}"
                     : "<?xml version=\"1.0\" encoding=\"UTF-8\"?><error "
                       "xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\"><exceptionCode>%s"
                       "</exceptionCode><exceptionMessage>%s</exceptionMessage></error>",
                e->bulk, e->message);
}

static void answer_error(const struct tm_mock_request *r, const struct answer_error *e,
                         struct tm_mock_response *out)
{
    if (strncmp(r->path, "/services/async/", 16) == 0)
        answer_async(r, e, out);
    else if (tm_fault_is_class(r, TM_FAULT_REST) || tm_fault_is_class(r, TM_FAULT_BULK))
        tm_rest_error(out, e->http, e->code, e->message);
    else { /* what stands before the login and streaming servers answers in HTML */
        tm_mock_answer(out, e->http, "text/html;charset=UTF-8", "");
        tm_buf_addf(&out->body, "<html><head><title>%s</title></head><body>%s</body></html>\n",
                    e->code, e->message);
    }
}

static void answer_server_error(const struct tm_mock_request *r, int status,
                                struct tm_mock_response *out)
{
    struct answer_error e = { status, "SERVER_UNAVAILABLE",
                              "The server is temporarily unavailable. Try again later.",
                              "Unknown" };
    if (status == 500) {
        e.code = "UNKNOWN_EXCEPTION";
        e.message = "An unexpected error occurred. Please include this ErrorId if you contact "
                    "support: 0-0 (0)";
    } else if (status == 502) {
        e.code = "BAD_GATEWAY";
        e.message = "The server received an invalid response from an upstream server.";
    }
    answer_error(r, &e, out);
}

/* True: answered. A busy streaming server answers by itself. */
static bool answer_instead(struct tm_disturb *d, const struct tm_fault_rule *rule,
                           const struct tm_mock_request *r, struct tm_mock_response *out)
{
    static const struct answer_error limit = { 403, "REQUEST_LIMIT_EXCEEDED",
                                               "TotalRequests Limit exceeded.", "ExceededQuota" };
    static const struct answer_error timeout = { 400, "QUERY_TIMEOUT",
                                                 "Your query request was running for too long.",
                                                 "Timeout" };
    static const struct answer_error lock = {
        400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records",
        "TooManyLockFailure"
    };
    switch (rule->kind) {
    case TM_FAULT_DROP_REQUEST: out->outcome = TM_MOCK_DROP; return true;
    case TM_FAULT_SERVER_ERROR: answer_server_error(r, rule->status, out); return true;
    case TM_FAULT_REQUEST_LIMIT: answer_error(r, &limit, out); return true;
    case TM_FAULT_QUERY_TIMEOUT: answer_error(r, &timeout, out); return true;
    case TM_FAULT_ROW_LOCK: answer_error(r, &lock, out); return true;
    default:
        assert(rule->kind == TM_FAULT_STREAMING_BUSY);
        tm_bayeux_busy(d->ports.bayeux, rule->class == TM_FAULT_HANDSHAKE   ? "/meta/handshake"
                                        : rule->class == TM_FAULT_SUBSCRIBE ? "/meta/subscribe"
                                        : rule->class == TM_FAULT_CONNECT   ? "/meta/connect"
                                                                            : "");
        return false;
    }
}

static bool disturb_exempt(const struct tm_disturb *d, const struct tm_mock_request *r)
{
    return tm_faults_count(d->faults) == 0 || strncmp(r->path, "/tidemark/", 10) == 0;
}

bool tm_disturb_request(struct tm_disturb *d, const struct tm_mock_request *r, bool resumed,
                        struct tm_mock_response *out)
{
    struct tm_fault_rule *rule;
    if (disturb_exempt(d, r))
        return false;
    if (!resumed && (rule = tm_faults_strike(d->faults, TM_FAULT_ARRIVED, r, false)) != NULL) {
        disturb_log(d, rule, &r->now, 0, r, "");
        tm_mock_hold(out, TM_DISTURB_TOKEN + ++d->token_last,
                     (struct tm_wake){ TM_NEVER, r->now.wall_ns + rule->span_ms * TM_NS_PER_MS });
        return true;
    }
    if ((rule = tm_faults_strike(d->faults, TM_FAULT_SERVED, r, false)) == NULL)
        return false;
    disturb_log(d, rule, &r->now, 0, r, "");
    return answer_instead(d, rule, r, out);
}

/* Does the answer hold events, so that something depends on whether it arrives? */
static bool answer_has_events(const struct tm_mock_response *out)
{
    static const char mark[] = "\"event\":{\"replayId\":";
    return out->body.bytes > 0 &&
           memmem(out->body.data, out->body.bytes, mark, sizeof mark - 1) != NULL;
}

void tm_disturb_answer(struct tm_disturb *d, const struct tm_mock_request *r,
                       struct tm_mock_response *out)
{
    struct tm_fault_rule *rule;
    char detail[80] = "";
    tm_bayeux_busy(d->ports.bayeux, NULL); /* that request is over */
    if (out->outcome != TM_MOCK_ANSWER || disturb_exempt(d, r) ||
        (rule = tm_faults_strike(d->faults, TM_FAULT_ANSWERED, r, answer_has_events(out))) == NULL)
        return;
    if (rule->kind == TM_FAULT_DROP_ANSWER || out->body.bytes == 0) /* nothing to cut off */
        out->outcome = TM_MOCK_DROP;
    else if (rule->kind == TM_FAULT_REPEAT_EVENTS)
        out->disowned = true;
    else {
        out->cut = true;
        out->cut_bytes = rule->bytes >= 0 && (size_t)rule->bytes < out->body.bytes
                             ? (size_t)rule->bytes
                             : out->body.bytes / 2;
        if (rule->bytes >= 0 && (size_t)rule->bytes >= out->body.bytes)
            out->cut_bytes = out->body.bytes - 1;
        snprintf(detail, sizeof detail, "%zu of %zu bytes", out->cut_bytes, out->body.bytes);
    }
    disturb_log(d, rule, &r->now, 0, r, detail);
}
