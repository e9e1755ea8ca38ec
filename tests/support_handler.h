/* support_handler: one request to a mock's handler and its answer, held as often as it likes, with
 * no socket and no time between. */
#ifndef TM_TESTS_SUPPORT_HANDLER_H
#define TM_TESTS_SUPPORT_HANDLER_H
#include "mocks/http/message.h"

struct handler_answer {
    int status;
    char headers[1000];
    char *body;     /* owned; handler_answer_free */
    unsigned calls; /* of the handler, until it answered */
};
/* headers: lines "Name: value", NULL-terminated; NULL = none. The last answer's body is freed. */
void handler_ask(const struct tm_mock_handler *handler, const struct tm_now *now,
                 const char *method, const char *target, const char *body,
                 const char *const *headers, struct handler_answer *out);
void handler_answer_free(struct handler_answer *a);
/* A header of the answer, "" when it has none. */
void handler_header(const struct handler_answer *a, const char *name, char *out, size_t bytes);
#endif
