/* rest_impl: what the files of the REST API share and nobody else sees. */
#ifndef TM_MOCKS_SALESFORCE_REST_IMPL_H
#define TM_MOCKS_SALESFORCE_REST_IMPL_H
#include "mocks/salesforce/record.h"
#include "mocks/salesforce/rest.h"
#include "mocks/salesforce/soql.h"

#define REST_PARTS_MAX 8
#define REST_DAY_MS 86400000LL
#define REST_RECORDS_MAX 200   /* written by one composite/sobjects */
#define REST_RETRIEVE_MAX 2000 /* read by one */
#define REST_SUBREQUESTS_MAX 25

struct rest_call { /* one request, taken apart */
    struct tm_rest *rest;
    const struct tm_mock_request *request;
    struct tm_mock_response *out;
    const char *method; /* the request's, or what ?_HttpMethod= says instead */
    char version[8];    /* "59.0" */
    char path[512];
    char *parts[REST_PARTS_MAX]; /* behind the version: sobjects, Account, … */
    size_t parts_count;
    const char *kind; /* of usage */
    int64_t calls;    /* it counts as */
    bool within;      /* a subrequest of a composite one */
};

/* rest.c */
bool rest_method(struct rest_call *c, const char *method); /* false: 405 is written */
void rest_method_not(struct rest_call *c, const char *allowed);
void rest_not_found(struct rest_call *c);
/* Takes the call's path apart; false: no such resource. */
bool rest_split(struct rest_call *c);
void rest_dispatch(struct rest_call *c);
/* The body as a JSON object; NULL: the error is written. */
json_t *rest_body(struct rest_call *c);
/* "com/salesforce/api/rest/59.0", and ";client=X" where the caller names itself. */
const char *rest_origin(const struct rest_call *c, char *out, size_t out_bytes);
/* rest_describe.c: GET sobjects, sobjects/X, sobjects/X/describe */
void rest_sobjects(struct rest_call *c);
void rest_object_info(struct rest_call *c, const struct tm_describe *d);
void rest_describe(struct rest_call *c, const struct tm_describe *d);
/* rest_record.c */
/* Runs SOQL of our own making; NULL and an error answer when it cannot. */
struct tm_soql_result *rest_soql(struct rest_call *c, const char *text);
bool rest_field_list(struct rest_call *c, const char *fields); /* false: the error is written */
void rest_create(struct rest_call *c, const struct tm_describe *d, bool upsert);
void rest_by_id(struct rest_call *c, const struct tm_describe *d, const char *id18);
void rest_by_external(struct rest_call *c, const struct tm_describe *d);
json_t *rest_reasons(const struct tm_record *r, const char *code_key); /* [{…}] */
/* rest_replicate.c: getDeleted, getUpdated */
void rest_deleted(struct rest_call *c, const char *object);
void rest_updated(struct rest_call *c, const struct tm_describe *d);
/* rest_collection.c: composite/sobjects */
void rest_collection(struct rest_call *c);
/* rest_tree.c: composite/tree/X */
void rest_tree(struct rest_call *c, const struct tm_describe *d);
/* rest_explain.c: query/?explain= */
void rest_explain(struct rest_call *c, const char *text);
/* rest_composite.c: composite, composite/batch */
void rest_composite(struct rest_call *c);
#endif
