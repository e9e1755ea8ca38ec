/* support_soql: a small org to ask SOQL of: Acme and Beta, two opportunities and a deleted one. */
#ifndef TM_TESTS_SUPPORT_SOQL_H
#define TM_TESTS_SUPPORT_SOQL_H
#include "mocks/salesforce/soql.h"
#include "tests/support_org.h"

#define NOW_MS (ORG_ORIGIN_MS + 3600000)

struct soql_world {
    struct org_fixture f;
    char account[TM_ID_BYTES], beta[TM_ID_BYTES], one[TM_ID_BYTES], two[TM_ID_BYTES],
        gone[TM_ID_BYTES];
};
/* For cmocka: every test finds a world of its own in *state. */
int soql_world_open(void **state);
int soql_world_close(void **state);
/* TM_OK or TM_E_ARG with *error; all = queryAll. */
enum tm_code soql_world_run(struct soql_world *w, const char *text, bool all, int64_t now_ms,
                            struct tm_soql_result **out, struct tm_soql_error *error);
json_t *soql_world_rows(struct soql_world *w, const char *text, bool all); /* caller decrefs */
int64_t soql_world_count(struct soql_world *w, const char *text, bool all, int64_t now_ms);
/* The Names of the rows, commas between them. */
void soql_expect_names(struct soql_world *w, const char *text, const char *names);
void soql_expect_error(struct soql_world *w, const char *text, const char *code, const char *part);
/* The first row, as JSON text, holds the part. */
void soql_expect_row(struct soql_world *w, const char *text, const char *part);
#endif
