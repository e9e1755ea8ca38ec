/* rest: the REST API of the mock. in: requests under /services/data, with a good token; out:
 * answers and documented error bodies, each with Sforce-Limit-Info. Pure: no socket, clock or
 * chance. Facts: salesforce-wire.md sections 3 and 8. */
#ifndef TM_MOCKS_SALESFORCE_REST_H
#define TM_MOCKS_SALESFORCE_REST_H
#include "mocks/http/message.h"
#include "mocks/salesforce/bulk.h"
#include "mocks/salesforce/query.h"

#define TM_REST_URI_BYTES_MAX 16384
#define TM_REST_TOLD_MAX 16
#define TM_REST_VERSION_FIRST 37
#define TM_REST_VERSION_LAST 62
#define TM_REST_DELETED_IDS_MAX 600000
/* what api-usage shows where the edition sets no limit */
#define TM_REST_NO_LIMIT 5000000

struct tm_streaming;
struct tm_rest {
    struct tm_org *org;
    struct tm_oauth *oauth;
    struct tm_query *query;
    struct tm_bulk *bulk;
    struct tm_streaming *streaming; /* NULL = none */
    /* Answers to sobjects/X/describe as they were last made: connectors ask before every read. */
    struct tm_rest_told {
        char *text, object[80], version[8];
        uint64_t schema; /* tm_org_schema_version it is of */
    } told[TM_REST_TOLD_MAX];
    size_t told_next; /* the one that the next new answer takes the place of */
};
void tm_rest_forget(struct tm_rest *rest); /* frees what it keeps */
/* May hold with a token of tm_query or tm_bulk. */
void tm_rest_request(struct tm_rest *rest, const struct tm_mock_request *r,
                     struct tm_mock_response *out);
/* A held one (queries and Bulk results are) is asked again. */
void tm_rest_resume(struct tm_rest *rest, const struct tm_mock_request *r, uint64_t token,
                    struct tm_mock_response *out);

/* [{"message":…,"errorCode":…}] */
void tm_rest_error(struct tm_mock_response *out, int status, const char *code, const char *message);
/* The org cannot be read: 503 when trying again helps, else 500. */
void tm_rest_broken(struct tm_mock_response *out, enum tm_code rc, const struct tm_err *err);
/* 200 (or `status`) with the JSON; takes the reference. */
void tm_rest_json(struct tm_mock_response *out, int status, json_t *json);
#endif
