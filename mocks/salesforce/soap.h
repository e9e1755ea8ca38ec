/* soap: the SOAP API, in the partner (/services/Soap/u/NN.0) and the enterprise
 * (/services/Soap/c/NN.0) dialect: login, logout, getUserInfo, getServerTimestamp; create, update,
 * upsert, delete, undelete, emptyRecycleBin; query, queryAll, queryMore, retrieve. in: requests;
 * out: envelopes, or faults with HTTP 500 and the codes clients look for. Pure: no socket, clock or
 * chance. Facts: salesforce-wire.md 1.1; fault shapes from the captures in jsforce's and
 * restforce's test data; results and their order: the partner WSDL as force-partner-api 59.0 has it
 * compiled, read 2026-11-30. */
#ifndef TM_MOCKS_SALESFORCE_SOAP_H
#define TM_MOCKS_SALESFORCE_SOAP_H
#include "mocks/salesforce/rest.h"

#define TM_SOAP_RECORDS_MAX 200            /* of one create, update, upsert, delete, undelete */
#define TM_SOAP_RETRIEVE_MAX 2000          /* ids of one retrieve */
#define TM_SOAP_PAGE_PRESET 500            /* rows of a query's page; QueryOptions says otherwise */
#define TM_SOAP_BODY_BYTES_MAX (32u << 20) /* what `tidemark serve` takes of any request */

/* base_url: "http://host:port" as the client reached it. api->org NULL: sign-in and sign-out are
 * all there is. May hold with a token of tm_query. */
void tm_soap_request(struct tm_rest *api, const struct tm_mock_request *r, const char *base_url,
                     struct tm_mock_response *out);
/* A held one is asked again. */
void tm_soap_resume(struct tm_rest *api, const struct tm_mock_request *r, uint64_t token,
                    struct tm_mock_response *out);
#endif
