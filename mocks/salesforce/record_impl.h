/* record_impl: what record.c and record_check.c share. */
#ifndef TM_MOCKS_SALESFORCE_RECORD_IMPL_H
#define TM_MOCKS_SALESFORCE_RECORD_IMPL_H
#include "mocks/salesforce/org_impl.h"
#include "mocks/salesforce/record.h"

struct record_sets { /* one record's values while a call is served */
    struct tm_org_set *sets;
    char (*texts)[TM_TIME_BYTES]; /* dates, ids that were looked up */
    size_t count;
};
/* Fields -> sets, all of them checked. TM_OK with r->code set when the record is refused. */
enum tm_code record_check(struct tm_org *org, struct tm_record *r, struct record_sets *out,
                          struct tm_err *err);
/* Refuses records[at], which is checked, if an earlier record of the call that is not refused
 * sets a unique field to the same value. */
void record_unique_among(struct tm_org *org, struct tm_record *records,
                         const struct record_sets *sets, size_t at);
void record_sets_free(struct record_sets *s);
/* A JSON value, or a text that spells one, as a value of the field. False: it is none; the reason
 * is in r. */
bool record_value(struct tm_record *r, const struct tm_field *f, const json_t *json,
                  char text[TM_TIME_BYTES], struct tm_org_value *out);
#endif
