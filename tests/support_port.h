/* support_port: the HTTP port answered in process by mock handlers, for tests of clients. in:
 * requests by URL prefix; out: the handlers' answers, with planted trouble. A held answer is asked
 * again with each poll. No socket, no clock: the test sets `now`. */
#ifndef TM_TESTS_SUPPORT_PORT_H
#define TM_TESTS_SUPPORT_PORT_H
#include "base/http.h"
#include "mocks/http/message.h"

#define TM_TEST_ROUTES_MAX 4
struct tm_test_http {
    struct tm_http port; /* first member */
    struct {
        const char *prefix;
        struct tm_mock_handler handler;
    } routes[TM_TEST_ROUTES_MAX];
    size_t routes_count;
    struct tm_now now;
    unsigned polls_before_answer; /* TM_E_AGAIN so often for each call */
    unsigned fail_next;           /* so many exchanges end with a transport error */
    unsigned status_next;
    int status; /* so many are answered with this bare status instead */
    char seen[8][512];
    unsigned seen_count;     /* "METHOD url", the last eight; count of all */
    char authorization[256]; /* header of the last request, "" when none */
};
void tm_test_http_init(struct tm_test_http *h);
/* Requests whose URL begins with prefix ("http://registry") go to this handler, with the rest as
 * target. */
void tm_test_http_route(struct tm_test_http *h, const char *prefix, struct tm_mock_handler handler);
#endif
