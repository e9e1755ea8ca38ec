/* soap: sign-in and sign-out by SOAP, in the partner (/services/Soap/u/NN.0) and the enterprise
 * (/services/Soap/c/NN.0) dialect: login, logout, getUserInfo, getServerTimestamp. in: requests;
 * out: envelopes, or faults with HTTP 500 and the codes clients look for. Pure: no socket, clock or
 * chance. Facts: salesforce-wire.md 1.1; fault shapes from the captures in jsforce's and
 * restforce's test data, read 2026-11-30. */
#ifndef TM_MOCKS_SALESFORCE_SOAP_H
#define TM_MOCKS_SALESFORCE_SOAP_H
#include "mocks/salesforce/oauth.h"

/* base_url: "http://host:port" as the client reached it. */
void tm_soap_request(struct tm_oauth *oauth, const struct tm_mock_request *r, const char *base_url,
                     struct tm_mock_response *out);
#endif
