#include "mocks/salesforce/xml.h"
#include "base/secret.h"
#include <assert.h>
#include <expat.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* between namespace and name, as expat hands them over; no URI holds it */
#define XML_SEPARATOR '\n'
#define XML_SCHEMA "http://www.w3.org/2001/XMLSchema-instance\n"

struct tm_xml {
    struct tm_xml_node *nodes; /* nodes[0] is the root */
    size_t nodes_count, nodes_cap;
    char *kept; /* every name and text, each with its end */
    size_t kept_cap;
};
/* Nodes move while they grow, so a link is an index until the whole document is here. */
struct xml_link {
    size_t name, text, type, space; /* in kept; space: in spaces */
    size_t child, next;             /* 0 = none: nothing points at the root */
    bool nil;
};
struct xml_reader {
    XML_Parser parser;
    struct tm_xml *x;
    struct xml_link *links; /* [x->nodes_count] */
    size_t spaces[TM_XML_SPACES_MAX], spaces_count;
    size_t kept_bytes, pending; /* behind what is final: text that may turn out to stand beside */
    size_t open[TM_XML_DEPTH_MAX], last[TM_XML_DEPTH_MAX], depth; /* last child so far, 0 = none */
    struct tm_err *err;
    enum tm_code rc;
};

static void xml_stop(struct xml_reader *r, enum tm_code code, const char *why)
{
    if (r->rc == TM_OK)
        r->rc = tm_fail(r->err, code, "%s", why);
    XML_StopParser(r->parser, XML_FALSE);
}

/* Where the copy begins. Every text kept stands in the document between at least as many bytes of
 * markup as its end takes, so there is room unless expat is not what it was. */
static size_t xml_keep(struct xml_reader *r, const char *text, size_t bytes)
{
    size_t at = r->kept_bytes;
    if (bytes >= r->x->kept_cap - at) {
        xml_stop(r, TM_E_PROTO, "the document is too long");
        return 0;
    }
    memcpy(r->x->kept + at, text, bytes);
    r->x->kept[at + bytes] = '\0';
    r->kept_bytes += bytes + 1;
    return at;
}

static size_t xml_space(struct xml_reader *r, const char *text, size_t bytes)
{
    for (size_t i = 0; i < r->spaces_count; i++) {
        const char *have = r->x->kept + r->spaces[i];
        if (strncmp(have, text, bytes) == 0 && have[bytes] == '\0')
            return i;
    }
    if (r->spaces_count == TM_XML_SPACES_MAX) {
        xml_stop(r, TM_E_PROTO, "the XML has too many namespaces");
        return 0;
    }
    r->spaces[r->spaces_count] = xml_keep(r, text, bytes);
    return r->spaces_count++;
}

static bool xml_grow(struct xml_reader *r)
{
    struct tm_xml *x = r->x;
    if (x->nodes_count < x->nodes_cap)
        return true;
    if (x->nodes_count == TM_XML_NODES_MAX) {
        xml_stop(r, TM_E_PROTO, "the XML has too many elements");
        return false;
    }
    size_t cap = x->nodes_cap == 0 ? 64 : x->nodes_cap * 2;
    cap = cap > TM_XML_NODES_MAX ? TM_XML_NODES_MAX : cap;
    struct xml_link *links = realloc(r->links, cap * sizeof *links);
    if (links != NULL)
        r->links = links;
    struct tm_xml_node *nodes = links != NULL ? realloc(x->nodes, cap * sizeof *nodes) : NULL;
    if (nodes == NULL) {
        xml_stop(r, TM_E_NOMEM, "out of memory");
        return false;
    }
    x->nodes = nodes;
    x->nodes_cap = cap;
    return true;
}

static void xml_attributes(struct xml_reader *r, struct xml_link *link, const XML_Char **attributes)
{
    for (size_t i = 0; attributes[i] != NULL; i += 2) {
        const char *value = attributes[i + 1], *colon = strrchr(value, ':');
        if (strncmp(attributes[i], XML_SCHEMA, strlen(XML_SCHEMA)) != 0)
            continue;
        const char *name = attributes[i] + strlen(XML_SCHEMA);
        value = colon != NULL ? colon + 1 : value;
        if (strcmp(name, "type") == 0)
            link->type = xml_keep(r, value, strlen(value));
        else if (strcmp(name, "nil") == 0)
            link->nil = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    }
}

static void XMLCALL xml_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct xml_reader *r = self;
    const char *cut = strrchr(name, XML_SEPARATOR);
    if (r->rc != TM_OK)
        return;
    r->pending = 0;
    if (r->depth == TM_XML_DEPTH_MAX) {
        xml_stop(r, TM_E_PROTO, "the XML is nested too deeply");
        return;
    }
    if (!xml_grow(r))
        return;
    size_t at = r->x->nodes_count++;
    struct xml_link link = { .nil = false };
    link.space = xml_space(r, name, cut != NULL ? (size_t)(cut - name) : 0);
    cut = cut != NULL ? cut + 1 : name;
    link.name = xml_keep(r, cut, strlen(cut));
    link.text = link.type = SIZE_MAX;
    xml_attributes(r, &link, attributes);
    r->links[at] = link;
    if (r->depth > 0) {
        size_t *last = &r->last[r->depth - 1];
        if (*last != 0)
            r->links[*last].next = at;
        else
            r->links[r->open[r->depth - 1]].child = at;
        *last = at;
    }
    r->open[r->depth] = at;
    r->last[r->depth++] = 0;
}

static void XMLCALL xml_end(void *self, const XML_Char *name)
{
    struct xml_reader *r = self;
    (void)name;
    if (r->rc !=
        TM_OK) /* of an empty element expat tells the end of what was stopped at its start */
        return;
    assert(r->depth > 0);
    struct xml_link *link = &r->links[r->open[--r->depth]];
    if (link->child == 0) {
        link->text = r->kept_bytes;
        r->x->kept[r->kept_bytes + r->pending] = '\0';
        r->kept_bytes += r->pending + 1;
    }
    r->pending = 0;
}

static void XMLCALL xml_characters(void *self, const XML_Char *text, int bytes)
{
    struct xml_reader *r = self;
    if (bytes <= 0 || r->rc != TM_OK)
        return;
    if ((size_t)bytes + r->pending + 1 >= r->x->kept_cap - r->kept_bytes) {
        xml_stop(r, TM_E_PROTO, "the document is too long");
        return;
    }
    memcpy(r->x->kept + r->kept_bytes + r->pending, text, (size_t)bytes);
    r->pending += (size_t)bytes;
}

static void XMLCALL xml_doctype(void *self, const XML_Char *name, const XML_Char *system_id,
                                const XML_Char *public_id, int internal)
{
    (void)name, (void)system_id, (void)public_id, (void)internal;
    xml_stop(self, TM_E_PROTO, "DOCTYPE is not allowed");
}

/* Indices become pointers: nothing moves any more. */
static void xml_tie(struct xml_reader *r)
{
    struct tm_xml *x = r->x;
    for (size_t i = 0; i < x->nodes_count; i++) {
        const struct xml_link *l = &r->links[i];
        x->nodes[i] = (struct tm_xml_node){
            .space = x->kept + r->spaces[l->space],
            .name = x->kept + l->name,
            .text = l->text != SIZE_MAX ? x->kept + l->text : "",
            .type = l->type != SIZE_MAX ? x->kept + l->type : "",
            .nil = l->nil,
            .child = l->child != 0 ? &x->nodes[l->child] : NULL,
            .next = l->next != 0 ? &x->nodes[l->next] : NULL,
        };
    }
}

enum tm_code tm_xml_parse(struct tm_xml **out, const char *text, size_t bytes, struct tm_err *err)
{
    struct xml_reader r = { .err = err };
    if (bytes == 0 || bytes > INT_MAX / 4)
        return tm_fail(err, TM_E_PROTO, "Unexpected EOF in prolog");
    r.x = calloc(1, sizeof *r.x);
    r.parser = XML_ParserCreateNS(NULL, XML_SEPARATOR);
    if (r.x != NULL) { /* other encodings grow by less than this when they become UTF-8 */
        r.x->kept_cap = 2 * bytes + 2;
        r.x->kept = malloc(r.x->kept_cap);
    }
    if (r.x == NULL || r.parser == NULL || r.x->kept == NULL) {
        r.rc = tm_fail(err, TM_E_NOMEM, "an XML document of %zu bytes", bytes);
        goto done;
    }
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, xml_start, xml_end);
    XML_SetCharacterDataHandler(r.parser, xml_characters);
    XML_SetStartDoctypeDeclHandler(r.parser, xml_doctype);
    if (XML_Parse(r.parser, text, (int)bytes, 1) != XML_STATUS_OK && r.rc == TM_OK)
        r.rc = tm_fail(err, TM_E_PROTO, "%s at line %lu, column %lu",
                       XML_ErrorString(XML_GetErrorCode(r.parser)),
                       XML_GetCurrentLineNumber(r.parser), XML_GetCurrentColumnNumber(r.parser));
    if (r.rc == TM_OK) {
        xml_tie(&r);
        *out = r.x;
        r.x = NULL;
    }
done:
    if (r.parser != NULL)
        XML_ParserFree(r.parser);
    free(r.links);
    tm_xml_close(r.x);
    return r.rc;
}

void tm_xml_close(struct tm_xml *x)
{
    if (x == NULL)
        return;
    if (x->kept != NULL)
        tm_secret_wipe(x->kept, x->kept_cap);
    free(x->kept);
    free(x->nodes);
    free(x);
}

const struct tm_xml_node *tm_xml_root(const struct tm_xml *x)
{
    assert(x->nodes_count > 0);
    return &x->nodes[0];
}

const struct tm_xml_node *tm_xml_child(const struct tm_xml_node *node, const char *name)
{
    const struct tm_xml_node *at = node != NULL ? node->child : NULL;
    while (at != NULL && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

const char *tm_xml_text(const struct tm_xml_node *node, const char *name)
{
    const char *text = "";
    for (const struct tm_xml_node *at = tm_xml_child(node, name); at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            text = at->text;
    return text;
}

void tm_xml_escape(struct tm_buf *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '<')
            tm_buf_addz(out, "&lt;");
        else if (c == '>')
            tm_buf_addz(out, "&gt;");
        else if (c == '&')
            tm_buf_addz(out, "&amp;");
        else if (c == '\r')
            tm_buf_addz(out, "&#13;");
        else if (c == 0xef && i + 2 < bytes && (unsigned char)text[i + 1] == 0xbf &&
                 (unsigned char)text[i + 2] >= 0xbe)
            i += 2;                                   /* U+FFFE and U+FFFF */
        else if (c >= 0x20 || c == '\n' || c == '\t') /* no other control is XML */
            tm_buf_addc(out, (char)c);
    }
}
