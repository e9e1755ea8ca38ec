/* record: records as a user of an API writes them: create, update, delete, undelete, empty from the
 * recycle bin, many at a time. in:
 * fields as JSON spells them, who and when; out: ids, or for each record the documented reason why
 * not. Everything goes through the org's one commit: a call is one transaction, so its events share
 * a transaction key; deletes that take along more than TM_RECORD_CHANGES_MAX are several. Pure
 * towards time and chance. Facts: REST API Developer Guide, "Status Codes and Error Responses" and
 * "sObject Collections"; messages as clients' issue trackers quote them, read 2026-11-30. */
#ifndef TM_MOCKS_SALESFORCE_RECORD_H
#define TM_MOCKS_SALESFORCE_RECORD_H
#include "mocks/salesforce/org.h"

#define TM_RECORD_CHANGES_MAX 10000 /* of one transaction, with what is deleted along */

struct tm_record {
    enum tm_org_kind kind; /* HARD_DELETE: of what is in the recycle bin */
    const char *object;    /* any case */
    char id[TM_ID_BYTES];  /* "" in a CREATE, which writes it */
    const json_t *fields;  /* lent; NULL but in CREATE and UPDATE. "attributes" is passed over */
    /* out: code "" = done */
    char code[48], message[300];
    char about[400]; /* names of the fields the reason is about, commas between them */
};
struct tm_record_who {
    const struct tm_now *now;
    const char *user;   /* NULL = the integration user */
    const char *origin; /* changeOrigin */
};
/* Writes what can be written; with all_or_none nothing unless all of it. TM_OK also when records
 * were refused: each says so. Children that a delete takes along, or an undelete
 * brings back, are part of the transaction. */
enum tm_code tm_record_write(struct tm_org *org, struct tm_record *records, size_t count,
                             bool all_or_none, const struct tm_record_who *who, struct tm_err *err);
/* Ids of the live records whose external id field has the value: a list the caller decrefs, at
 * most count_max. TM_E_ARG: the object has no such field, or it is none to look up by. */
enum tm_code tm_record_find(struct tm_org *org, const char *object, const char *field,
                            const json_t *value, size_t count_max, json_t **out,
                            struct tm_err *err);
void tm_record_refuse(struct tm_record *r, const char *code, const char *about, const char *fmt,
                      ...) __attribute__((format(printf, 4, 5)));
#endif
