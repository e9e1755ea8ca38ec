/* soap_read: what a SOAP request says. in: the bytes of an envelope; out: the operation asked for,
 * its namespace, and the few texts that sign-in needs. Parsed by expat, namespaces resolved,
 * prefixes and order as they come. A document type is refused before any entity could be declared.
 * Pure: no I/O, heap that outlives the call. */
#ifndef TM_MOCKS_SALESFORCE_SOAP_READ_H
#define TM_MOCKS_SALESFORCE_SOAP_READ_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define TM_SOAP_TEXT_BYTES 1024 /* of one text; more is refused */
#define TM_SOAP_DEPTH_MAX 32
#define TM_SOAP_NAME_BYTES 128
struct tm_soap_request {
    char operation[TM_SOAP_NAME_BYTES], space[TM_SOAP_NAME_BYTES];   /* "login" and its namespace */
    char username[TM_SOAP_TEXT_BYTES], password[TM_SOAP_TEXT_BYTES]; /* "" = not given */
    char session[TM_SOAP_TEXT_BYTES];                                /* SessionHeader/sessionId */
};
/* TM_E_PROTO says what is wrong with the XML or the envelope; the caller wipes *out when done. */
enum tm_code tm_soap_read(struct tm_soap_request *out, const char *body, size_t body_bytes,
                          struct tm_err *err);
#endif
