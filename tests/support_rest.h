/* support_rest: the mock Salesforce as one handler, signed in to, asked without a socket. */
#ifndef TM_TESTS_SUPPORT_REST_H
#define TM_TESTS_SUPPORT_REST_H
#include "mocks/salesforce/routes.h"
#include "tests/support_handler.h"
#include "tests/support_org.h"

#define DATA "/services/data/v59.0"

struct rest_world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char authorization[200];
    int status; /* of the last answer */
    struct handler_answer answer;
};
/* For cmocka: every test finds a world of its own in *state. */
int rest_world_open(void **state);
int rest_world_close(void **state);
void rest_world_serve(struct rest_world *w); /* again, after the org was opened again */
void rest_world_fill(struct rest_world *w, int accounts);
/* The answer's body, NULL when it has none or is no JSON; the caller decrefs it. option: a header
 * as "Name: value", or NULL. */
json_t *rest_ask(struct rest_world *w, const char *method, const char *target, const char *body,
                 const char *option);
json_t *rest_get(struct rest_world *w, const char *target);
void rest_expect_error(struct rest_world *w, const char *method, const char *target,
                       const char *body, int status, const char *code);
#endif
