/* soap_query: query, queryAll, queryMore and retrieve by SOAP. Pages are those of REST's queries,
 * written as the WSDL's QueryResult. */
#include "mocks/salesforce/soap_impl.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void soap_page_head(const struct tm_query_form *f, struct tm_buf *out, const char *version,
                           const char *locator, int64_t total)
{
    (void)version, (void)total;
    soap_open(out, f->enterprise, false);
    tm_buf_addf(out, "<%sResponse><result xsi:type=\"QueryResult\"><done>%s</done>", f->operation,
                *locator == '\0' ? "true" : "false");
    if (*locator != '\0')
        soap_element(out, "queryLocator", locator);
    else
        tm_buf_addz(out, "<queryLocator xsi:nil=\"true\"/>");
}

static void soap_page_rows(const struct tm_query_form *f, struct tm_buf *out,
                           const struct tm_soql_result *r, size_t row, size_t rows,
                           const char *version)
{
    (void)version;
    soap_rows(out, r, row, rows, "records", f->enterprise);
}

static void soap_page_tail(const struct tm_query_form *f, struct tm_buf *out, int64_t total)
{
    tm_buf_addf(out, "<size>%" PRId64 "</size></result></%sResponse>", total, f->operation);
    soap_close(out);
}

/* What the WSDL calls the fault of an error code. */
static const char *soap_fault_type(const char *code)
{
    static const char *const types[][2] = {
        { "MALFORMED_QUERY", "MalformedQueryFault" },
        { "INVALID_FIELD", "InvalidFieldFault" },
        { "INVALID_TYPE", "InvalidSObjectFault" },
        { "INVALID_QUERY_LOCATOR", "InvalidQueryLocatorFault" },
        { "MALFORMED_ID", "InvalidIdFault" },
        { "INVALID_QUERY_FILTER_OPERATOR", "InvalidFieldFault" },
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(code, types[i][0]) == 0)
            return types[i][1];
    return "UnexpectedErrorFault";
}

static void soap_page_refuse(const struct tm_query_form *f, struct tm_mock_response *out,
                             int status, const char *code, const char *message)
{
    (void)status;
    soap_fault(out, f->enterprise, soap_fault_type(code), code, message);
}

#define FORM(name, dialect)                                                                        \
    {                                                                                              \
        .type = SOAP_TYPE, .head = soap_page_head, .rows = soap_page_rows, .between = "",          \
        .tail = soap_page_tail, .refuse = soap_page_refuse, .operation = name,                     \
        .enterprise = dialect                                                                      \
    }
static const struct tm_query_form soap_forms[] = {
    FORM("query", false), FORM("queryAll", false), FORM("queryMore", false),
    FORM("query", true),  FORM("queryAll", true),  FORM("queryMore", true),
};
#undef FORM

/* ---- retrieve ---- */

static bool soap_names(const char *text)
{
    return *text != '\0' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_., ") ==
               strlen(text);
}

/* One record at a time, in the order of the ids; what is not there is nil. */
static void soap_retrieved(struct soap_call *c, const struct tm_soql_result *result)
{
    struct tm_buf *b = &c->out->body;
    size_t rows = tm_soql_result_rows(result);
    struct tm_soql_cell *cells =
        calloc((size_t)tm_soql_result_plan(result)->sql_columns, sizeof *cells);
    for (const struct tm_xml_node *at = c->body->child; at != NULL && cells != NULL;
         at = at->next) {
        char id[TM_ID_BYTES];
        size_t row = 0;
        if (strcmp(at->name, "ids") != 0)
            continue;
        if (tm_id18(id, at->text, NULL) != TM_OK)
            row = rows;
        for (; row < rows; row++) {
            tm_soql_result_row(result, row, cells);
            if (cells[0].bytes == 18 && memcmp(cells[0].text, id, 18) == 0)
                break;
        }
        if (row < rows)
            soap_rows(b, result, row, 1, "result", c->enterprise);
        else
            tm_buf_addz(b, "<result xsi:nil=\"true\"/>");
    }
    if (cells == NULL)
        b->failed = TM_E_NOMEM;
    free(cells);
}

/* The query that reads what is asked for; false: the fault is written. */
static bool soap_retrieve_text(struct soap_call *c, struct tm_buf *text)
{
    const char *fields = tm_xml_text(c->body, "fieldList"),
               *type = tm_xml_text(c->body, "sObjectType");
    const struct tm_describe *d = tm_org_describe(c->api->org, type);
    char id[TM_ID_BYTES], message[160];
    size_t count = 0;
    if (d == NULL) {
        snprintf(message, sizeof message, "sObject type '%.80s' is not supported.", type);
        soap_fault(c->out, c->enterprise, "InvalidSObjectFault", "INVALID_TYPE", message);
        return false;
    }
    if (!soap_names(fields)) {
        soap_fault(c->out, c->enterprise, "InvalidFieldFault", "INVALID_FIELD",
                   "fieldList must be names with commas between them");
        return false;
    }
    tm_buf_addf(text, "SELECT %s FROM %s WHERE Id IN (null", fields, d->object);
    for (const struct tm_xml_node *at = c->body->child; at != NULL; at = at->next) {
        if (strcmp(at->name, "ids") != 0)
            continue;
        if (++count > TM_SOAP_RETRIEVE_MAX) {
            soap_fault(c->out, c->enterprise, "UnexpectedErrorFault", "EXCEEDED_ID_LIMIT",
                       "retrieve id limit reached: 2000");
            return false;
        }
        if (tm_id18(id, at->text, NULL) != TM_OK || strncmp(id, d->key_prefix, 3) != 0) {
            snprintf(message, sizeof message, "malformed id %.40s", at->text);
            soap_fault(c->out, c->enterprise, "InvalidIdFault", "MALFORMED_ID", message);
            return false;
        }
        tm_buf_addf(text, ",'%s'", id);
    }
    tm_buf_addc(text, ')');
    return true;
}

static void soap_retrieve(struct soap_call *c)
{
    const struct tm_query_form *form = &soap_forms[c->enterprise ? 3 : 0]; /* for its faults */
    struct tm_soql_error error = { 0 };
    struct tm_err err = { 0 };
    struct tm_soql *q = NULL;
    struct tm_soql_result *result = NULL;
    struct tm_buf text;
    char words[700];
    tm_buf_init(&text, TM_SOQL_BYTES_MAX);
    if (!soap_retrieve_text(c, &text))
        goto done;
    enum tm_code rc = tm_buf_check(&text, "a list of ids", &err);
    if (rc == TM_OK)
        rc = tm_soql_parse(&q, tm_buf_text(&text), &error, &err);
    if (rc == TM_OK)
        rc = tm_soql_run(&result, c->api->org, q, false, c->request->now.org_ms, &error, &err);
    if (rc == TM_E_ARG)
        form->refuse(form, c->out, 400, error.code, error.message);
    else if (rc != TM_OK)
        form->refuse(form, c->out, 500, "UNKNOWN_EXCEPTION",
                     tm_err_text(&err, words, sizeof words));
    if (rc != TM_OK)
        goto done;
    tm_mock_answer(c->out, 200, SOAP_TYPE, "");
    soap_open(&c->out->body, c->enterprise, false);
    tm_buf_addz(&c->out->body, "<retrieveResponse>");
    soap_retrieved(c, result);
    tm_buf_addz(&c->out->body, "</retrieveResponse>");
    soap_close(&c->out->body);
done:
    tm_soql_close(q);
    tm_soql_result_close(result);
    tm_buf_free(&text);
}

bool soap_query(struct soap_call *c)
{
    const char *name = c->body->name;
    long rows = strtol(soap_header(c, "QueryOptions", "batchSize"), NULL, 10);
    struct tm_query_ask ask = { .version = c->version, .all = strcmp(name, "queryAll") == 0 };
    c->kind = "query";
    if (strcmp(name, "retrieve") == 0) {
        soap_retrieve(c);
        return true;
    }
    for (size_t i = c->enterprise ? 3 : 0; i < (c->enterprise ? 6 : 3); i++)
        if (strcmp(name, soap_forms[i].operation) == 0)
            ask.form = &soap_forms[i];
    if (ask.form == NULL)
        return false;
    ask.page_rows = rows > 0 ? (size_t)rows : 0;
    if (strcmp(name, "queryMore") == 0) {
        ask.text = tm_xml_text(c->body, "queryLocator");
        tm_query_more(c->api->query, &c->request->now, &ask, c->out);
        return true;
    }
    ask.text = tm_xml_text(c->body, "queryString");
    ask.page_rows = ask.page_rows > 0 ? ask.page_rows : TM_SOAP_PAGE_PRESET;
    tm_query_start(c->api->query, &c->request->now, &ask, c->out);
    return true;
}
