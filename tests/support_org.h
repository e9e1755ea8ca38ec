/* support_org: an org in a temporary folder, and the few questions tests keep asking it. */
#ifndef TM_TESTS_SUPPORT_ORG_H
#define TM_TESTS_SUPPORT_ORG_H
#include "mocks/salesforce/org.h"

#define ORG_ORIGIN_MS 1772438400000LL /* Monday 2026-03-02T08:00:00Z */
struct org_fixture {
    char dir[64], path[96];
    struct tm_org_settings settings;
    struct tm_org *org;
};
/* settings preset; change and reopen for others */
void org_fixture_open(struct org_fixture *f);
void org_fixture_reopen(struct org_fixture *f);
void org_fixture_close(struct org_fixture *f); /* removes the folder */
/* For cmocka: every test finds an open fixture of its own in *state. */
int org_fixture_setup(void **state);
int org_fixture_teardown(void **state);
#define ON_AN_ORG(test)                                                                            \
    cmocka_unit_test_setup_teardown(test, org_fixture_setup, org_fixture_teardown)
struct tm_org_value org_text(const char *text);
struct tm_org_value org_int(int64_t i);
struct tm_org_value org_real(double d);
struct tm_org_value org_null(void);
/* Commits one change and expects code; CREATE writes id. Sets are {name, value} with a NULL name at
 * the end, or NULL. */
enum tm_code org_one(struct tm_org *org, enum tm_org_kind kind, enum tm_org_announce announce,
                     const char *object, char id[TM_ID_BYTES], const struct tm_org_set *sets,
                     int64_t org_ms);
void org_make_account(struct tm_org *org, char id[TM_ID_BYTES], const char *name, int64_t org_ms);
void org_make_opportunity(struct tm_org *org, char id[TM_ID_BYTES], const char *name,
                          const char *account, int64_t org_ms);
/* First column of the first row as text in `out` (size 65536), "(null)" for NULL, "(none)" for no
 * row. */
const char *org_ask(struct tm_org *org, const char *sql, char *out);
int64_t org_ask_int(struct tm_org *org, const char *sql);
/* Body of the last event of the object, parsed; caller decrefs. */
json_t *org_last_event(struct tm_org *org, const char *object);
#endif
