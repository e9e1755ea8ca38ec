/* support_bulk: the mock's Bulk APIs through the one handler a server and a simulation call, signed
 * in to. Virtual time. */
#ifndef TM_TESTS_SUPPORT_BULK_H
#define TM_TESTS_SUPPORT_BULK_H
#include "mocks/salesforce/routes.h"
#include "tests/support_handler.h"
#include "tests/support_org.h"

#define ASYNC "/services/async/59.0/job"
#define JSON "Content-Type: application/json"
#define XML "Content-Type: application/xml"

struct bulk_world {
    struct org_fixture f;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char token[120];
    int status; /* of the last answer */
    struct handler_answer answer;
    char type[80];
    const char *body; /* the answer's */
};
/* For cmocka: every test finds a world of its own in *state. */
int bulk_world_open(void **state);
int bulk_world_close(void **state);
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, bulk_world_open, bulk_world_close)
void bulk_world_serve(struct bulk_world *w, struct tm_bulk_settings bulk); /* anew */
void bulk_world_fill(struct bulk_world *w, int accounts);
/* Steps until nothing is to do; how many. */
unsigned bulk_world_settle(struct bulk_world *w);
/* The body of the answer; headers: lines, NULL-terminated. */
const char *bulk_send(struct bulk_world *w, const char *method, const char *target,
                      const char *body, const char *const *headers);
const char *bulk_ask(struct bulk_world *w, const char *method, const char *target,
                     const char *body); /* signed in, as REST and 2.0 have it */
const char *bulk_async(struct bulk_world *w, const char *method, const char *target,
                       const char *body, const char *more); /* as 1.0 has it; more: a header line */
/* A header of the last answer, "" when it has none. */
void bulk_header(struct bulk_world *w, const char *name, char *out, size_t bytes);
json_t *bulk_told(struct bulk_world *w); /* the last answer, parsed; the caller decrefs */
/* The last answer has the status, and `code` stands in `body`. */
void bulk_expect(struct bulk_world *w, const char *body, int status, const char *code);
/* The id behind `before` in the last answer. */
void bulk_id_of(struct bulk_world *w, char out[TM_ID_BYTES], const char *before);
/* path and rest as one text; the last eight stay. */
const char *bulk_sub(const char *path, const char *rest);
#endif
