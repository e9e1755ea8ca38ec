#include "mocks/salesforce/soap_impl.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- envelopes ---- */

void soap_element(struct tm_buf *out, const char *name, const char *text)
{
    tm_buf_addf(out, "<%s>", name);
    tm_xml_escape(out, text, strlen(text));
    tm_buf_addf(out, "</%s>", name);
}

void soap_open(struct tm_buf *out, bool enterprise, bool fault)
{
    const char *dialect = enterprise ? "enterprise" : "partner";
    tm_buf_addz(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope "
                     "xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" ");
    if (fault)
        tm_buf_addf(out, "xmlns:sf=\"urn:fault.%s.soap.sforce.com\"", dialect);
    else
        tm_buf_addf(out,
                    "xmlns=\"urn:%s.soap.sforce.com\" xmlns:sf=\"urn:sobject.%s.soap.sforce.com\"",
                    dialect, dialect);
    tm_buf_addz(out, " xmlns:xsi=\"" SOAP_XSI "\"><soapenv:Body>");
}

void soap_close(struct tm_buf *out)
{
    tm_buf_addz(out, "</soapenv:Body></soapenv:Envelope>");
}

void soap_fault(struct tm_mock_response *out, bool enterprise, const char *type, const char *code,
                const char *message)
{
    struct tm_buf *b = &out->body;
    tm_mock_answer(out, 500, SOAP_TYPE, "");
    soap_open(b, enterprise, true);
    tm_buf_addf(b, "<soapenv:Fault><faultcode>sf:%s</faultcode><faultstring>%s: ", code, code);
    tm_xml_escape(b, message, strlen(message));
    tm_buf_addf(b, "</faultstring><detail><sf:%s xsi:type=\"sf:%s\">", type, type);
    soap_element(b, "sf:exceptionCode", code);
    soap_element(b, "sf:exceptionMessage", message);
    tm_buf_addf(b, "</sf:%s></detail></soapenv:Fault>", type);
    soap_close(b);
}

/* What is wrong with the envelope itself, not with what it asks for. */
static void soap_client_fault(const struct soap_call *c, const char *message)
{
    tm_mock_answer(c->out, 500, SOAP_TYPE, "");
    soap_open(&c->out->body, c->enterprise, true);
    tm_buf_addz(&c->out->body, "<soapenv:Fault><faultcode>soapenv:Client</faultcode>");
    soap_element(&c->out->body, "faultstring", message);
    tm_buf_addz(&c->out->body, "</soapenv:Fault>");
    soap_close(&c->out->body);
}

static void soap_good(const struct soap_call *c)
{
    tm_mock_answer(c->out, 200, SOAP_TYPE, "");
    soap_open(&c->out->body, c->enterprise, false);
}

const char *soap_header(const struct soap_call *c, const char *header, const char *member)
{
    return tm_xml_text(tm_xml_child(c->head, header), member);
}

/* ---- operations ---- */

static void soap_user_info(const struct soap_call *c)
{
    static const char *const rest[][2] = {
        { "orgAttachmentFileSizeLimit", "5242880" }, { "orgDefaultCurrencyIsoCode", "USD" },
        { "orgDefaultCurrencyLocale", "en_US" },     { "orgDisallowHtmlAttachments", "false" },
        { "orgHasPersonAccounts", "false" },
    };
    const struct tm_oauth_settings *s = tm_oauth_settings(c->api->oauth);
    struct tm_buf *b = &c->out->body;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(s->token_ns_max / TM_NS_PER_S));
    tm_buf_addz(b,
                "<accessibilityMode>false</accessibilityMode><currencySymbol>$</currencySymbol>");
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        soap_element(b, rest[i][0], rest[i][1]);
    soap_element(b, "organizationId", s->org_id);
    tm_buf_addz(b, "<organizationMultiCurrency>false</organizationMultiCurrency>"
                   "<organizationName>Tidemark</organizationName>"
                   "<profileId>00e000000000001AAA</profileId><roleId xsi:nil=\"true\"/>");
    soap_element(b, "sessionSecondsValid", seconds);
    tm_buf_addz(b, "<userDefaultCurrencyIsoCode xsi:nil=\"true\"/>");
    soap_element(b, "userEmail", s->username);
    tm_buf_addz(b, "<userFullName>Integration User</userFullName>");
    soap_element(b, "userId", s->user_id);
    tm_buf_addz(b, "<userLanguage>en_US</userLanguage><userLocale>en_US</userLocale>");
    soap_element(b, "userName", s->username);
    tm_buf_addz(b, "<userTimeZone>Etc/UTC</userTimeZone><userType>Standard</userType>"
                   "<userUiSkin>Theme3</userUiSkin>");
}

static void soap_login(const struct soap_call *c)
{
    struct tm_oauth *oauth = c->api->oauth;
    const struct tm_oauth_settings *s = tm_oauth_settings(oauth);
    struct tm_buf *b = &c->out->body;
    char token[TM_OAUTH_TOKEN_BYTES], letter = c->enterprise ? 'c' : 'u';
    unsigned user =
        tm_oauth_user(oauth, tm_xml_text(c->body, "username"), tm_xml_text(c->body, "password"));
    if (user == 0) {
        soap_fault(c->out, c->enterprise, "LoginFault", "INVALID_LOGIN",
                   "Invalid username, password, security token; or user locked out.");
        return;
    }
    tm_oauth_give_to(oauth, token, &c->request->now, user);
    soap_good(c);
    tm_buf_addf(b,
                "<loginResponse><result><metadataServerUrl>%s/services/Soap/m/%s/%.15s"
                "</metadataServerUrl><passwordExpired>false</passwordExpired>"
                "<sandbox>false</sandbox><serverUrl>%s/services/Soap/%c/%s/%.15s</serverUrl>",
                c->base, c->version, s->org_id, c->base, letter, c->version, s->org_id);
    soap_element(b, "sessionId", token);
    soap_element(b, "userId", s->user_id);
    tm_buf_addz(b, "<userInfo>");
    soap_user_info(c);
    tm_buf_addz(b, "</userInfo></result></loginResponse>");
    soap_close(b);
    tm_secret_wipe(token, sizeof token);
}

static bool soap_admit(const struct soap_call *c)
{
    const char *session = soap_header(c, "SessionHeader", "sessionId");
    int64_t calls = 0, events, most = 0;
    if (*session == '\0' || !tm_oauth_good(c->api->oauth, session, &c->request->now)) {
        soap_fault(c->out, c->enterprise, "UnexpectedErrorFault", "INVALID_SESSION_ID",
                   "Invalid Session ID found in SessionHeader: Illegal Session");
        return false;
    }
    if (c->api->org != NULL) {
        most = tm_org_settings(c->api->org)->api_calls_per_day;
        tm_org_usage_day(c->api->org, c->request->now.org_ms, &calls, &events);
    }
    if (most > 0 && calls >= most && strcmp(c->body->name, "logout") != 0) {
        soap_fault(c->out, c->enterprise, "UnexpectedErrorFault", "REQUEST_LIMIT_EXCEEDED",
                   "TotalRequests Limit exceeded.");
        return false;
    }
    return true;
}

/* Who it is, what time it is, good bye. False: it is no such operation. */
static bool soap_session(const struct soap_call *c)
{
    const char *name = c->body->name;
    struct tm_buf *b = &c->out->body;
    char now[TM_TIME_BYTES];
    if (strcmp(name, "logout") == 0) {
        soap_good(c);
        tm_oauth_forget(c->api->oauth, soap_header(c, "SessionHeader", "sessionId"));
        tm_buf_addz(b, "<logoutResponse/>");
    } else if (strcmp(name, "getUserInfo") == 0) {
        soap_good(c);
        tm_buf_addz(b, "<getUserInfoResponse><result>");
        soap_user_info(c);
        tm_buf_addz(b, "</result></getUserInfoResponse>");
    } else if (strcmp(name, "getServerTimestamp") == 0) {
        soap_good(c);
        tm_buf_addf(b,
                    "<getServerTimestampResponse><result><timestamp>%s</timestamp></result>"
                    "</getServerTimestampResponse>",
                    tm_time_z(now, c->request->now.org_ms));
    } else {
        return false;
    }
    soap_close(b);
    return true;
}

static void soap_unknown(const struct soap_call *c)
{
    struct tm_buf message;
    tm_buf_init(&message, 4096);
    tm_buf_addf(&message,
                "No operation available for request {%.200s}%.200s, please check the WSDL for the "
                "service.",
                c->body->space, c->body->name);
    soap_client_fault(c, tm_buf_text(&message));
    tm_buf_free(&message);
}

static bool soap_served(const char *operation, bool org)
{
    static const char *const names[] = { "logout",  "getUserInfo", "getServerTimestamp",
                                         "create",  "update",      "upsert",
                                         "delete",  "undelete",    "emptyRecycleBin",
                                         "query",   "queryAll",    "queryMore",
                                         "retrieve" };
    for (size_t i = 0; i < (org ? sizeof names / sizeof names[0] : 3); i++)
        if (strcmp(operation, names[i]) == 0)
            return true;
    return false;
}

static void soap_run(struct soap_call *c)
{
    char space[64];
    snprintf(space, sizeof space, "urn:%s.soap.sforce.com",
             c->enterprise ? "enterprise" : "partner");
    bool ours = strcmp(c->body->space, space) == 0;
    if (ours && strcmp(c->body->name, "login") == 0)
        soap_login(c);
    else if (!ours || !soap_served(c->body->name, c->api->org != NULL))
        soap_unknown(c);
    else if (soap_admit(c) && !soap_session(c) && !soap_record(c) && !soap_query(c))
        soap_unknown(c);
}

/* "/services/Soap/u/59.0/00D…": false when the path is none of the two dialects'. */
static bool soap_address(struct soap_call *c)
{
    static const char folder[] = "/services/Soap/";
    const char *at = c->request->path + strlen(folder);
    if (strncmp(c->request->path, folder, strlen(folder)) != 0 ||
        (strncmp(at, "u/", 2) != 0 && strncmp(at, "c/", 2) != 0))
        return false;
    c->enterprise = *at == 'c';
    char *end;
    long version = strtol(at + 2, &end, 10);
    bool served = at[2] >= '0' && at[2] <= '9' && version >= TM_REST_VERSION_FIRST &&
                  version <= TM_REST_VERSION_LAST && strncmp(end, ".0", 2) == 0 &&
                  (end[2] == '\0' || end[2] == '/');
    if (served)
        snprintf(c->version, sizeof c->version, "%ld.0", version);
    return true;
}

/* The parts of the envelope; NULL or what is wrong with it. */
static const char *soap_envelope(struct soap_call *c, const struct tm_xml *xml)
{
    const struct tm_xml_node *root = tm_xml_root(xml);
    if (strcmp(root->name, "Envelope") != 0)
        return "the document is no SOAP envelope";
    c->head = tm_xml_child(root, "Header");
    const struct tm_xml_node *body = tm_xml_child(root, "Body");
    c->body = body != NULL ? body->child : NULL;
    if (c->body == NULL)
        return "the SOAP body is empty";
    return c->body->next == NULL ? NULL : "the SOAP body holds more than one operation";
}

/* A held answer is counted when it is whole. xml: NULL where the request is none. */
static void soap_count(struct tm_rest *api, const struct tm_mock_request *r,
                       const struct tm_xml *xml, const char *kind,
                       const struct tm_mock_response *out)
{
    const struct tm_xml_node *head = xml != NULL ? tm_xml_child(tm_xml_root(xml), "Header") : NULL;
    const char *session = tm_xml_text(tm_xml_child(head, "SessionHeader"), "sessionId");
    char client[TM_OAUTH_CLIENT_BYTES];
    struct tm_org_usage more = { .calls = 1,
                                 .bytes_in = (int64_t)r->body_bytes,
                                 .bytes_out = (int64_t)out->body.bytes };
    if (api->org != NULL && out->outcome == TM_MOCK_ANSWER)
        tm_org_usage_add(api->org, tm_oauth_client_by(api->oauth, r, session, client), kind, &more,
                         r->now.org_ms);
}

void tm_soap_request(struct tm_rest *api, const struct tm_mock_request *r, const char *base_url,
                     struct tm_mock_response *out)
{
    struct soap_call c = {
        .api = api, .request = r, .out = out, .base = base_url, .kind = "login"
    };
    struct tm_err err = { .code = TM_OK };
    struct tm_xml *xml = NULL;
    const char *wrong = NULL;
    if (!soap_address(&c)) {
        tm_mock_answer(out, 404, "text/plain;charset=UTF-8",
                       "SOAP is served at /services/Soap/u/NN.0 and /services/Soap/c/NN.0\n");
    } else if (strcmp(r->method, "POST") != 0) {
        tm_mock_response_header(out, "Allow", "POST");
        tm_mock_answer(out, 405, "text/plain;charset=UTF-8", "SOAP requests are sent by POST\n");
    } else if (c.version[0] == '\0') {
        soap_fault(out, c.enterprise, "UnexpectedErrorFault", "UNSUPPORTED_API_VERSION",
                   "Invalid Api version specified on URL");
    } else if (r->body_bytes > TM_SOAP_BODY_BYTES_MAX) {
        soap_client_fault(&c, "Maximum SOAP request size exceeded");
    } else if (tm_xml_parse(&xml, r->body, r->body_bytes, &err) != TM_OK) {
        soap_client_fault(&c, err.msg);
    } else if ((wrong = soap_envelope(&c, xml)) != NULL) {
        soap_client_fault(&c, wrong);
    } else {
        soap_run(&c);
    }
    soap_count(api, r, xml, c.kind, out);
    tm_xml_close(xml);
}

void tm_soap_resume(struct tm_rest *api, const struct tm_mock_request *r, uint64_t token,
                    struct tm_mock_response *out)
{
    struct tm_xml *xml = NULL;
    tm_query_resume(api->query, token, out);
    if (out->outcome == TM_MOCK_ANSWER && tm_xml_parse(&xml, r->body, r->body_bytes, NULL) != TM_OK)
        xml = NULL; /* no memory: it counts for the User-Agent */
    soap_count(api, r, xml, "query", out);
    tm_xml_close(xml);
}
