/* xml: a document that somebody sent, as a small tree: what SOAP and Bulk 1.0 requests are read by.
 * Parsed by expat, namespaces resolved. One policy for all: a document type is refused before any
 * entity could be declared; depth, elements and namespaces have a maximum; what is kept never takes
 * more room than the document. Attributes other than xsi:type and xsi:nil are passed over, and so
 * is text beside elements. Pure: no I/O. The caller closes it; every string is lent by the tree. */
#ifndef TM_MOCKS_SALESFORCE_XML_H
#define TM_MOCKS_SALESFORCE_XML_H
#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>

#define TM_XML_DEPTH_MAX 32
#define TM_XML_NODES_MAX 200000 /* elements of one document */
#define TM_XML_SPACES_MAX 64    /* namespaces of one document */

struct tm_xml_node {
    const char *space, *name; /* "urn:partner.soap.sforce.com", "login"; space "" = none */
    const char *text;         /* of an element without elements inside; else "" */
    const char *type;         /* xsi:type without its prefix; "" = none */
    bool nil;                 /* xsi:nil is true */
    const struct tm_xml_node *child, *next;
};
struct tm_xml;
/* TM_E_PROTO says what is wrong with the document. */
enum tm_code tm_xml_parse(struct tm_xml **out, const char *text, size_t bytes, struct tm_err *err);
void tm_xml_close(struct tm_xml *x); /* wipes what it kept: there may be passwords; NULL-safe */
const struct tm_xml_node *tm_xml_root(const struct tm_xml *x);
/* The first element of this name inside the node; NULL when there is none, or no node. */
const struct tm_xml_node *tm_xml_child(const struct tm_xml_node *node, const char *name);
/* Its text: "" when there is none. Of several elements of the name the last one counts. */
const char *tm_xml_text(const struct tm_xml_node *node, const char *name);

/* For who writes XML: text between tags. Characters that no XML can hold are left out. */
void tm_xml_escape(struct tm_buf *out, const char *text, size_t bytes);
#endif
