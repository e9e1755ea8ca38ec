/* message: one HTTP request and its answer as a mock's handler sees them; no socket, so that a
 * server and a simulation call the same handlers. in: method, path, decoded query, headers, body,
 * the instant; out: a response, or "hold". Pure: no I/O, clock. Owner: whoever called init frees;
 * strings inside belong to the request. Facts: salesforce-wire.md section 0 (chunked bodies, header
 * case, + and %20). */
#ifndef TM_MOCK_HTTP_MESSAGE_H
#define TM_MOCK_HTTP_MESSAGE_H
#include "base/buf.h"
#include "base/clock.h"

/* query parameters, headers or cookies of one request */
#define TM_MOCK_PAIRS_MAX 128
#define TM_MOCK_BODY_BYTES_MAX (256u << 20) /* of a response */

struct tm_mock_pair {
    char *name, *value;
};
struct tm_mock_pairs {
    struct tm_mock_pair *items;
    size_t count, cap;
};
/* Copies. TM_E_LIMIT beyond TM_MOCK_PAIRS_MAX. */
enum tm_code tm_mock_pairs_add(struct tm_mock_pairs *p, const char *name, const char *value,
                               struct tm_err *err);
/* "a=1&b=x+y%20z" as forms and query strings spell it. TM_E_ARG on a bad escape or an
 * escaped NUL. */
enum tm_code tm_mock_pairs_parse(struct tm_mock_pairs *p, const char *text, size_t bytes,
                                 struct tm_err *err);
/* exact case; NULL when absent */
const char *tm_mock_pairs_get(const struct tm_mock_pairs *p, const char *name);
const char *tm_mock_pairs_get_nocase(const struct tm_mock_pairs *p, const char *name);
/* safe on a zeroed struct */
void tm_mock_pairs_free(struct tm_mock_pairs *p);

struct tm_mock_request {
    char *method; /* "GET" */
    char *path;   /* decoded, begins with '/', without the query */
    struct tm_mock_pairs query, headers, cookies;
    char *body; /* body[body_bytes] == 0; NULL when there is none */
    size_t body_bytes;
    size_t uri_bytes;  /* as it was on the wire, for limits on its length */
    struct tm_now now; /* the instant of this call of the handler */
};
/* From outside a server: `target` is "/path?query". Headers are added with tm_mock_pairs_add
 * afterwards. */
enum tm_code tm_mock_request_init(struct tm_mock_request *r, const char *method, const char *target,
                                  const void *body, size_t body_bytes, struct tm_err *err);
void tm_mock_request_free(struct tm_mock_request *r);
/* NULL when absent */
const char *tm_mock_query(const struct tm_mock_request *r, const char *name);
/* any case; NULL when absent */
const char *tm_mock_header(const struct tm_mock_request *r, const char *name);
const char *tm_mock_cookie(const struct tm_mock_request *r, const char *name);
/* "" when absent */
const char *tm_mock_user_agent(const struct tm_mock_request *r);
/* Fills cookies from the Cookie header; an empty header is none. */
enum tm_code tm_mock_request_cookies(struct tm_mock_request *r, struct tm_err *err);

enum tm_mock_outcome {
    TM_MOCK_ANSWER, /* status, headers and body are the answer */
    TM_MOCK_HOLD,   /* ask again (resume) at `until` or when `token` is woken */
    TM_MOCK_DROP    /* close the connection without a word (a planted fault) */
};
struct tm_mock_response {
    enum tm_mock_outcome outcome;
    int status;
    struct tm_buf headers; /* "Name: value\n" lines, Content-Type among them */
    struct tm_buf body;
    uint64_t token; /* the handler's own number for this exchange; 0 = it wants no `finished` */
    /* Planted faults. Of the body so much is sent, then the connection is closed; and the handler
     * is told that the answer did not arrive, although it did. */
    bool cut, disowned;
    size_t cut_bytes; /* of a cut one; fewer than the body has */
    struct tm_wake
        until; /* of a hold; both TM_NEVER = only when woken; now or earlier = next step */
};
void tm_mock_response_init(struct tm_mock_response *r);
void tm_mock_response_free(struct tm_mock_response *r);
void tm_mock_response_reset(struct tm_mock_response *r); /* as after init, memory kept */
void tm_mock_response_header(struct tm_mock_response *r, const char *name, const char *value);
/* Whole answer at once; content_type NULL = none. */
void tm_mock_answer(struct tm_mock_response *r, int status, const char *content_type,
                    const char *body);
void tm_mock_hold(struct tm_mock_response *r, uint64_t token, struct tm_wake until);

/* What serves. Handlers never block and never fail: an error is a response. `request` and `resume`
 * get an initialised response. `finished` tells how an exchange with a token ended, exactly once:
 * sent = the whole answer left for a peer that was still there. A held request whose peer has gone
 * is finished with sent = false and never resumed. */
struct tm_mock_handler {
    void *self;
    void (*request)(void *self, const struct tm_mock_request *request,
                    struct tm_mock_response *out);
    void (*resume)(void *self, const struct tm_mock_request *request, uint64_t token,
                   struct tm_mock_response *out);
    /* resume, finished: NULL when it never holds, never asks */
    void (*finished)(void *self, uint64_t token, bool sent);
};
#endif
