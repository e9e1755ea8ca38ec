/* soap_impl: what the files of the SOAP API share and nobody else sees. */
#ifndef TM_MOCKS_SALESFORCE_SOAP_IMPL_H
#define TM_MOCKS_SALESFORCE_SOAP_IMPL_H
#include "mocks/salesforce/soap.h"
#include "mocks/salesforce/soql.h"
#include "mocks/salesforce/xml.h"

#define SOAP_TYPE "text/xml;charset=UTF-8"
#define SOAP_XSI "http://www.w3.org/2001/XMLSchema-instance"

struct soap_call { /* one request, taken apart */
    struct tm_rest *api;
    const struct tm_mock_request *request;
    struct tm_mock_response *out;
    const char *base;
    bool enterprise;
    char version[8];                       /* "59.0"; "" = none that is served */
    const struct tm_xml_node *head, *body; /* NULL where there is none; body: the operation */
    const char *kind;                      /* of usage */
};
/* soap.c */
void soap_element(struct tm_buf *out, const char *name, const char *text);
/* The envelope up to its body's contents. */
void soap_open(struct tm_buf *out, bool enterprise, bool fault);
void soap_close(struct tm_buf *out);
/* type: the element of the detail, LoginFault, UnexpectedErrorFault, … */
void soap_fault(struct tm_mock_response *out, bool enterprise, const char *type, const char *code,
                const char *message);
/* A member of a header: "AllOrNoneHeader", "allOrNone". "" when absent. */
const char *soap_header(const struct soap_call *c, const char *header, const char *member);
/* soap_record.c; false: it is no such operation */
bool soap_record(struct soap_call *c);
/* soap_query.c; false: it is no such operation */
bool soap_query(struct soap_call *c);
/* soap_rows.c: records of a result as elements named `element`, a field an element of sf:. */
void soap_rows(struct tm_buf *out, const struct tm_soql_result *r, size_t row, size_t rows,
               const char *element, bool enterprise);
#endif
