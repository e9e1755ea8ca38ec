#include "mocks/salesforce/soap_read.h"
#include <assert.h>
#include <expat.h>
#include <limits.h>
#include <string.h>

/* between namespace and name, as expat hands them over; no URI holds it */
#define SOAP_SEPARATOR '\n'

enum soap_place { SOAP_ELSEWHERE, SOAP_HEADER, SOAP_BODY };
struct soap_reader {
    XML_Parser parser;
    struct tm_soap_request *out;
    struct tm_err *err;
    enum tm_code rc;
    int depth;
    enum soap_place place;
    bool envelope, session_header, operation_seen;
    char *text; /* where characters go, or NULL */
    size_t text_bytes;
};

static void soap_stop(struct soap_reader *s, const char *why)
{
    if (s->rc == TM_OK)
        s->rc = tm_fail(s->err, TM_E_PROTO, "%s", why);
    XML_StopParser(s->parser, XML_FALSE);
}

/* "namespace\nname" -> the name; *space_bytes of namespace before it. */
static const char *soap_local(const char *name, size_t *space_bytes)
{
    const char *cut = strrchr(name, SOAP_SEPARATOR);
    *space_bytes = cut != NULL ? (size_t)(cut - name) : 0;
    return cut != NULL ? cut + 1 : name;
}

static void soap_operation(struct soap_reader *s, const char *name)
{
    size_t space_bytes;
    const char *local = soap_local(name, &space_bytes);
    if (s->operation_seen) {
        soap_stop(s, "the SOAP body holds more than one operation");
        return;
    }
    if (space_bytes >= TM_SOAP_NAME_BYTES || strlen(local) >= TM_SOAP_NAME_BYTES) {
        soap_stop(s, "the operation's name is too long");
        return;
    }
    s->operation_seen = true;
    memcpy(s->out->space, name, space_bytes);
    s->out->space[space_bytes] = '\0';
    memcpy(s->out->operation, local, strlen(local) + 1);
}

/* An element of the fourth level: an argument, or what is inside a header. */
static void soap_argument(struct soap_reader *s, const char *local)
{
    if (s->place == SOAP_BODY && strcmp(local, "username") == 0)
        s->text = s->out->username;
    else if (s->place == SOAP_BODY && strcmp(local, "password") == 0)
        s->text = s->out->password;
    else if (s->place == SOAP_HEADER && s->session_header && strcmp(local, "sessionId") == 0)
        s->text = s->out->session;
    s->text_bytes = 0;
    if (s->text != NULL)
        *s->text = '\0'; /* a second one counts, not both */
}

static void XMLCALL soap_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct soap_reader *s = self;
    size_t space_bytes;
    const char *local = soap_local(name, &space_bytes);
    (void)attributes;
    s->text = NULL;
    if (++s->depth > TM_SOAP_DEPTH_MAX) {
        soap_stop(s, "the XML is nested too deeply");
    } else if (s->depth == 1) {
        s->envelope = strcmp(local, "Envelope") == 0;
        if (!s->envelope)
            soap_stop(s, "the document is no SOAP envelope");
    } else if (s->depth == 2) {
        s->place = strcmp(local, "Header") == 0 ? SOAP_HEADER
                   : strcmp(local, "Body") == 0 ? SOAP_BODY
                                                : SOAP_ELSEWHERE;
    } else if (s->depth == 3 && s->place == SOAP_BODY) {
        soap_operation(s, name);
    } else if (s->depth == 3) {
        s->session_header = strcmp(local, "SessionHeader") == 0;
    } else if (s->depth == 4) {
        soap_argument(s, local);
    }
}

static void XMLCALL soap_end(void *self, const XML_Char *name)
{
    struct soap_reader *s = self;
    (void)name;
    assert(s->depth > 0);
    s->depth--;
    s->text = NULL;
}

static void XMLCALL soap_characters(void *self, const XML_Char *text, int bytes)
{
    struct soap_reader *s = self;
    if (s->text == NULL || bytes <= 0)
        return;
    if ((size_t)bytes >= TM_SOAP_TEXT_BYTES - s->text_bytes) {
        soap_stop(s, "a text is too long");
        return;
    }
    memcpy(s->text + s->text_bytes, text, (size_t)bytes);
    s->text_bytes += (size_t)bytes;
    s->text[s->text_bytes] = '\0';
}

static void XMLCALL soap_doctype(void *self, const XML_Char *name, const XML_Char *system_id,
                                 const XML_Char *public_id, int internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)internal;
    soap_stop(self, "DOCTYPE is not allowed");
}

enum tm_code tm_soap_read(struct tm_soap_request *out, const char *body, size_t body_bytes,
                          struct tm_err *err)
{
    struct soap_reader s = { .out = out, .err = err };
    *out = (struct tm_soap_request){ .operation = "" };
    if (body_bytes == 0 || body_bytes > INT_MAX)
        return tm_fail(err, TM_E_PROTO, "Unexpected EOF in prolog");
    s.parser = XML_ParserCreateNS(NULL, SOAP_SEPARATOR);
    if (s.parser == NULL)
        return tm_fail(err, TM_E_NOMEM, "an XML parser");
    XML_SetUserData(s.parser, &s);
    XML_SetElementHandler(s.parser, soap_start, soap_end);
    XML_SetCharacterDataHandler(s.parser, soap_characters);
    XML_SetStartDoctypeDeclHandler(s.parser, soap_doctype);
    if (XML_Parse(s.parser, body, (int)body_bytes, 1) != XML_STATUS_OK && s.rc == TM_OK)
        s.rc = tm_fail(err, TM_E_PROTO, "%s at line %lu, column %lu",
                       XML_ErrorString(XML_GetErrorCode(s.parser)),
                       XML_GetCurrentLineNumber(s.parser), XML_GetCurrentColumnNumber(s.parser));
    XML_ParserFree(s.parser);
    if (s.rc == TM_OK && !s.operation_seen)
        s.rc = tm_fail(err, TM_E_PROTO, "the SOAP body is empty");
    return s.rc;
}
