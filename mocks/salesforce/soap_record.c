/* soap_record: create, update, upsert, delete, undelete and emptyRecycleBin by SOAP. Fields are
 * texts here: the record's writer reads each as its field's type has it, as it does for CSV. An
 * empty element changes nothing; fieldsToNull empties. */
#include "mocks/salesforce/record.h"
#include "mocks/salesforce/soap_impl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct soap_write {
    struct tm_record *records;
    json_t **fields; /* [count] NULL where there are none */
    bool *created;   /* [count] upserts */
    size_t count;
    enum tm_org_kind kind;
    const char *external; /* field of an upsert; NULL: it is none */
};

static bool soap_bool(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

/* The type of a record: the partner dialect's first element, the enterprise dialect's xsi:type. */
static const char *soap_type(const struct tm_xml_node *node)
{
    const char *type = tm_xml_text(node, "type");
    return *type != '\0' ? type : node->type;
}

static json_t *soap_fields(const struct tm_xml_node *node, const char **out_id)
{
    json_t *fields = json_object();
    for (const struct tm_xml_node *at = node->child; at != NULL; at = at->next) {
        if (strcmp(at->name, "type") == 0)
            continue;
        if (strcmp(at->name, "fieldsToNull") == 0)
            json_object_set_new(fields, at->text, json_null());
        else if (out_id != NULL && strcasecmp(at->name, "Id") == 0)
            *out_id = at->text;
        else if (at->child != NULL) { /* a related record, by its external id */
            json_t *other = soap_fields(at, NULL);
            json_object_set_new(other, "attributes", json_pack("{s:s}", "type", soap_type(at)));
            json_object_set_new(fields, at->name, other);
        } else if (!at->nil && *at->text != '\0')
            json_object_set_new(fields, at->name, json_string(at->text));
    }
    return fields;
}

/* One of sObjects. */
static void soap_take(struct soap_call *c, struct soap_write *w, size_t i,
                      const struct tm_xml_node *node)
{
    struct tm_record *r = &w->records[i];
    const char *type = soap_type(node), *id = "";
    const struct tm_describe *d = tm_org_describe(c->api->org, type);
    w->fields[i] = soap_fields(node, &id);
    r->kind = w->kind;
    r->fields = w->fields[i];
    r->object = d != NULL ? d->object : "";
    if (d == NULL)
        tm_record_refuse(r, "INVALID_TYPE", "", "sObject type '%.80s' is not supported.", type);
    else if (w->kind == TM_ORG_CREATE && w->external == NULL && *id != '\0')
        tm_record_refuse(r, "INVALID_FIELD_FOR_INSERT_UPDATE", "Id",
                         "cannot specify Id in an insert call");
    else if (w->kind == TM_ORG_UPDATE && *id == '\0')
        tm_record_refuse(r, "MISSING_ARGUMENT", "", "Id not specified in an update call");
    if (strlen(id) < sizeof r->id)
        snprintf(r->id, sizeof r->id, "%s", id);
    else if (d != NULL)
        tm_record_refuse(r, "MALFORMED_ID", "Id", "malformed id %.40s", id);
}

/* An upsert finds what it changes by the external field, or by Id. */
static enum tm_code soap_upserted(struct soap_call *c, struct soap_write *w, size_t i,
                                  struct tm_err *err)
{
    struct tm_record *r = &w->records[i];
    json_t *ids = NULL;
    enum tm_code rc = TM_OK;
    if (strcasecmp(w->external, "Id") == 0) {
        w->created[i] = r->id[0] == '\0';
        r->kind = w->created[i] ? TM_ORG_CREATE : TM_ORG_UPDATE;
        return TM_OK;
    }
    const char *key;
    json_t *value = NULL, *at;
    json_object_foreach(w->fields[i], key, at) if (strcasecmp(key, w->external) == 0) value = at;
    r->id[0] = '\0';
    if (value == NULL || json_is_null(value)) {
        tm_record_refuse(r, "MISSING_ARGUMENT", "", "%.80s not specified", w->external);
        return TM_OK;
    }
    struct tm_err why = { 0 };
    rc = tm_record_find(c->api->org, r->object, w->external, value, 2, &ids, &why);
    if (rc == TM_E_ARG) {
        tm_record_refuse(r, "INVALID_FIELD", w->external, "%s", why.msg);
        return TM_OK;
    }
    if (rc != TM_OK) {
        *err = why;
        return rc;
    }
    w->created[i] = json_array_size(ids) == 0;
    r->kind = w->created[i] ? TM_ORG_CREATE : TM_ORG_UPDATE;
    if (json_array_size(ids) > 1)
        tm_record_refuse(r, "DUPLICATE_EXTERNAL_ID", w->external,
                         "%.80s: more than one record found for external id field", w->external);
    else if (json_array_size(ids) == 1)
        snprintf(r->id, sizeof r->id, "%s", json_string_value(json_array_get(ids, 0)));
    json_decref(ids);
    return TM_OK;
}

/* One of ids. */
static void soap_take_id(struct soap_call *c, struct soap_write *w, size_t i, const char *id)
{
    struct tm_record *r = &w->records[i];
    const struct tm_describe *d = tm_org_describe_by_prefix(c->api->org, id);
    r->kind = w->kind;
    r->object = d != NULL ? d->object : "";
    if (strlen(id) < sizeof r->id)
        snprintf(r->id, sizeof r->id, "%s", id);
    if (d == NULL || strlen(id) >= sizeof r->id || !tm_id_valid(id))
        tm_record_refuse(r, "MALFORMED_ID", "", "bad id %.40s", id);
}

static const char *soap_result_id(const struct tm_record *r)
{
    bool unknown =
        strcmp(r->code, "MALFORMED_ID") == 0 || strcmp(r->code, "INVALID_CROSS_REFERENCE_KEY") == 0;
    return r->code[0] != '\0' && (unknown || r->kind == TM_ORG_CREATE) ? "" : r->id;
}

static void soap_result(struct tm_buf *b, const struct soap_write *w, size_t i)
{
    const struct tm_record *r = &w->records[i];
    const char *id = soap_result_id(r);
    bool good = r->code[0] == '\0';
    tm_buf_addz(b, "<result>");
    if (w->external != NULL)
        soap_element(b, "created", good && w->created[i] ? "true" : "false");
    if (!good) {
        tm_buf_addz(b, "<errors>");
        for (const char *at = r->about; *at != '\0';) {
            size_t bytes = strcspn(at, ",");
            tm_buf_addz(b, "<fields>");
            tm_xml_escape(b, at, bytes);
            tm_buf_addz(b, "</fields>");
            at += bytes + (at[bytes] == ',');
        }
        soap_element(b, "message", r->message);
        soap_element(b, "statusCode", r->code);
        tm_buf_addz(b, "</errors>");
    }
    if (*id != '\0')
        soap_element(b, "id", id);
    else
        tm_buf_addz(b, "<id xsi:nil=\"true\"/>");
    soap_element(b, "success", good ? "true" : "false");
    tm_buf_addz(b, "</result>");
}

/* "com/salesforce/api/soap/59.0", and ";client=X" where the caller names itself. */
static const char *soap_origin(const struct soap_call *c, char *out, size_t out_bytes)
{
    const char *client = soap_header(c, "CallOptions", "client");
    snprintf(out, out_bytes, "com/salesforce/api/soap/%s%s%.60s", c->version,
             *client != '\0' ? ";client=" : "", client);
    tm_text_cut(out);
    return out;
}

static void soap_commit(struct soap_call *c, struct soap_write *w)
{
    char origin[128];
    struct tm_record_who who = { &c->request->now, NULL, soap_origin(c, origin, sizeof origin) };
    struct tm_err err = { 0 };
    struct tm_buf *b = &c->out->body;
    char text[700];
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < w->count && w->external != NULL && rc == TM_OK; i++)
        if (w->records[i].code[0] == '\0')
            rc = soap_upserted(c, w, i, &err);
    if (rc == TM_OK)
        rc = tm_record_write(c->api->org, w->records, w->count,
                             soap_bool(soap_header(c, "AllOrNoneHeader", "allOrNone")), &who, &err);
    if (rc != TM_OK) {
        soap_fault(c->out, c->enterprise, "UnexpectedErrorFault",
                   rc == TM_E_AGAIN ? "SERVER_UNAVAILABLE" : "UNKNOWN_EXCEPTION",
                   rc == TM_E_AGAIN ? "the org is busy, try again"
                                    : tm_err_text(&err, text, sizeof text));
        return;
    }
    tm_mock_answer(c->out, 200, SOAP_TYPE, "");
    soap_open(b, c->enterprise, false);
    tm_buf_addf(b, "<%sResponse>", c->body->name);
    for (size_t i = 0; i < w->count; i++)
        soap_result(b, w, i);
    tm_buf_addf(b, "</%sResponse>", c->body->name);
    soap_close(b);
}

static bool soap_write_open(struct soap_call *c, struct soap_write *w, const char *element)
{
    char message[120];
    for (const struct tm_xml_node *at = c->body->child; at != NULL; at = at->next)
        w->count += strcmp(at->name, element) == 0;
    if (w->count > TM_SOAP_RECORDS_MAX) {
        snprintf(message, sizeof message,
                 "record limit reached. cannot submit more than %d records into this call",
                 TM_SOAP_RECORDS_MAX);
        soap_fault(c->out, c->enterprise, "UnexpectedErrorFault", "EXCEEDED_ID_LIMIT", message);
        return false;
    }
    w->records = calloc(w->count + 1, sizeof *w->records);
    w->fields = calloc(w->count + 1, sizeof *w->fields);
    w->created = calloc(w->count + 1, sizeof *w->created);
    if (w->records != NULL && w->fields != NULL && w->created != NULL)
        return true;
    soap_fault(c->out, c->enterprise, "UnexpectedErrorFault", "SERVER_UNAVAILABLE",
               "out of memory");
    return false;
}

static void soap_write(struct soap_call *c, struct soap_write *w, const char *element)
{
    size_t i = 0;
    c->kind = "write";
    if (!soap_write_open(c, w, element))
        return;
    for (const struct tm_xml_node *at = c->body->child; at != NULL; at = at->next) {
        if (strcmp(at->name, element) != 0)
            continue;
        if (strcmp(element, "ids") == 0)
            soap_take_id(c, w, i++, at->text);
        else
            soap_take(c, w, i++, at);
    }
    if (w->count > 0) {
        soap_commit(c, w);
        return;
    }
    tm_mock_answer(c->out, 200, SOAP_TYPE, "");
    soap_open(&c->out->body, c->enterprise, false);
    tm_buf_addf(&c->out->body, "<%sResponse/>", c->body->name);
    soap_close(&c->out->body);
}

bool soap_record(struct soap_call *c)
{
    static const struct {
        const char *name, *element;
        enum tm_org_kind kind;
    } operations[] = {
        { "create", "sObjects", TM_ORG_CREATE }, { "update", "sObjects", TM_ORG_UPDATE },
        { "upsert", "sObjects", TM_ORG_CREATE }, { "delete", "ids", TM_ORG_DELETE },
        { "undelete", "ids", TM_ORG_UNDELETE },  { "emptyRecycleBin", "ids", TM_ORG_HARD_DELETE },
    };
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        struct soap_write w = { .kind = operations[i].kind };
        if (strcmp(c->body->name, operations[i].name) != 0)
            continue;
        if (strcmp(c->body->name, "upsert") == 0)
            w.external = tm_xml_text(c->body, "externalIDFieldName");
        soap_write(c, &w, operations[i].element);
        for (size_t k = 0; k < w.count && w.fields != NULL; k++)
            json_decref(w.fields[k]);
        free(w.records);
        free(w.fields);
        free(w.created);
        return true;
    }
    return false;
}
