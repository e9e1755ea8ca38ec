#include "mocks/salesforce/soap.h"
#include "base/text.h"
#include "mocks/salesforce/rest.h"
#include "mocks/salesforce/soap_read.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOAP_TYPE "text/xml;charset=UTF-8"

struct soap_call {
    struct tm_oauth *oauth;
    const struct tm_mock_request *request;
    struct tm_mock_response *out;
    const char *base, *dialect; /* "partner" or "enterprise" */
    char letter;                /* of the URL: 'u' or 'c' */
    char version[8];            /* "59.0"; "" = none that is served */
};

/* ---- envelopes ---- */

static void soap_text(struct tm_buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '&')
            tm_buf_addz(out, "&amp;");
        else if (*p == '<')
            tm_buf_addz(out, "&lt;");
        else if (*p == '>')
            tm_buf_addz(out, "&gt;");
        else
            tm_buf_addc(out, *p);
    }
}

static void soap_element(struct tm_buf *out, const char *name, const char *text)
{
    tm_buf_addf(out, "<%s>", name);
    soap_text(out, text);
    tm_buf_addf(out, "</%s>", name);
}

static void soap_open(const struct soap_call *c, int status)
{
    tm_mock_answer(c->out, status, SOAP_TYPE, "");
    tm_buf_addf(&c->out->body,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope "
                "xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" "
                "xmlns%s=\"urn:%s%s.soap.sforce.com\" "
                "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>",
                status == 200 ? "" : ":sf", status == 200 ? "" : "fault.", c->dialect);
}

static void soap_close(const struct soap_call *c)
{
    tm_buf_addz(&c->out->body, "</soapenv:Body></soapenv:Envelope>");
}

/* type: the element of the detail, LoginFault or UnexpectedErrorFault. */
static void soap_fault(const struct soap_call *c, const char *type, const char *code,
                       const char *message)
{
    struct tm_buf *b = &c->out->body;
    soap_open(c, 500);
    tm_buf_addf(b, "<soapenv:Fault><faultcode>sf:%s</faultcode><faultstring>%s: ", code, code);
    soap_text(b, message);
    tm_buf_addf(b, "</faultstring><detail><sf:%s xsi:type=\"sf:%s\">", type, type);
    soap_element(b, "sf:exceptionCode", code);
    soap_element(b, "sf:exceptionMessage", message);
    tm_buf_addf(b, "</sf:%s></detail></soapenv:Fault>", type);
    soap_close(c);
}

/* What is wrong with the envelope itself, not with what it asks for. */
static void soap_client_fault(const struct soap_call *c, const char *message)
{
    soap_open(c, 500);
    tm_buf_addz(&c->out->body, "<soapenv:Fault><faultcode>soapenv:Client</faultcode>");
    soap_element(&c->out->body, "faultstring", message);
    tm_buf_addz(&c->out->body, "</soapenv:Fault>");
    soap_close(c);
}

/* ---- operations ---- */

static void soap_user_info(const struct soap_call *c)
{
    static const char *const rest[][2] = {
        { "orgAttachmentFileSizeLimit", "5242880" }, { "orgDefaultCurrencyIsoCode", "USD" },
        { "orgDefaultCurrencyLocale", "en_US" },     { "orgDisallowHtmlAttachments", "false" },
        { "orgHasPersonAccounts", "false" },
    };
    const struct tm_oauth_settings *s = tm_oauth_settings(c->oauth);
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

static void soap_login(const struct soap_call *c, const struct tm_soap_request *asked)
{
    const struct tm_oauth_settings *s = tm_oauth_settings(c->oauth);
    struct tm_buf *b = &c->out->body;
    char token[TM_OAUTH_TOKEN_BYTES];
    unsigned user = tm_oauth_user(c->oauth, asked->username, asked->password);
    if (user == 0) {
        soap_fault(c, "LoginFault", "INVALID_LOGIN",
                   "Invalid username, password, security token; or user locked out.");
        return;
    }
    tm_oauth_give_to(c->oauth, token, &c->request->now, user);
    soap_open(c, 200);
    tm_buf_addf(b,
                "<loginResponse><result><metadataServerUrl>%s/services/Soap/m/%s/%.15s"
                "</metadataServerUrl><passwordExpired>false</passwordExpired>"
                "<sandbox>false</sandbox><serverUrl>%s/services/Soap/%c/%s/%.15s</serverUrl>",
                c->base, c->version, s->org_id, c->base, c->letter, c->version, s->org_id);
    soap_element(b, "sessionId", token);
    soap_element(b, "userId", s->user_id);
    tm_buf_addz(b, "<userInfo>");
    soap_user_info(c);
    tm_buf_addz(b, "</userInfo></result></loginResponse>");
    soap_close(c);
    tm_secret_wipe(token, sizeof token);
}

static void soap_signed_in(const struct soap_call *c, const struct tm_soap_request *asked)
{
    struct tm_buf *b = &c->out->body;
    char now[TM_TIME_BYTES];
    if (*asked->session == '\0' || !tm_oauth_good(c->oauth, asked->session, &c->request->now)) {
        soap_fault(c, "UnexpectedErrorFault", "INVALID_SESSION_ID",
                   "Invalid Session ID found in SessionHeader: Illegal Session");
        return;
    }
    soap_open(c, 200);
    if (strcmp(asked->operation, "logout") == 0) {
        tm_oauth_forget(c->oauth, asked->session);
        tm_buf_addz(b, "<logoutResponse/>");
    } else if (strcmp(asked->operation, "getUserInfo") == 0) {
        tm_buf_addz(b, "<getUserInfoResponse><result>");
        soap_user_info(c);
        tm_buf_addz(b, "</result></getUserInfoResponse>");
    } else {
        tm_buf_addf(b,
                    "<getServerTimestampResponse><result><timestamp>%s</timestamp></result>"
                    "</getServerTimestampResponse>",
                    tm_time_z(now, c->request->now.org_ms));
    }
    soap_close(c);
}

static void soap_run(const struct soap_call *c, const struct tm_soap_request *asked)
{
    char space[64], message[3 * TM_SOAP_NAME_BYTES];
    snprintf(space, sizeof space, "urn:%s.soap.sforce.com", c->dialect);
    bool ours = strcmp(asked->space, space) == 0;
    if (ours && strcmp(asked->operation, "login") == 0) {
        soap_login(c, asked);
    } else if (ours && (strcmp(asked->operation, "logout") == 0 ||
                        strcmp(asked->operation, "getUserInfo") == 0 ||
                        strcmp(asked->operation, "getServerTimestamp") == 0)) {
        soap_signed_in(c, asked);
    } else {
        snprintf(
            message, sizeof message,
            "No operation available for request {%s}%s, please check the WSDL for the service.",
            asked->space, asked->operation);
        soap_client_fault(c, message);
    }
}

/* "/services/Soap/u/59.0/00D…": false when the path is none of the two dialects'. */
static bool soap_address(struct soap_call *c)
{
    static const char folder[] = "/services/Soap/";
    const char *at = c->request->path + strlen(folder);
    if (strncmp(c->request->path, folder, strlen(folder)) != 0 ||
        (strncmp(at, "u/", 2) != 0 && strncmp(at, "c/", 2) != 0))
        return false;
    c->letter = *at;
    c->dialect = *at == 'u' ? "partner" : "enterprise";
    char *end;
    long version = strtol(at + 2, &end, 10);
    bool served = at[2] >= '0' && at[2] <= '9' && version >= TM_REST_VERSION_FIRST &&
                  version <= TM_REST_VERSION_LAST && strncmp(end, ".0", 2) == 0 &&
                  (end[2] == '\0' || end[2] == '/');
    if (served)
        snprintf(c->version, sizeof c->version, "%ld.0", version);
    return true;
}

void tm_soap_request(struct tm_oauth *oauth, const struct tm_mock_request *r, const char *base_url,
                     struct tm_mock_response *out)
{
    struct soap_call c = { .oauth = oauth, .request = r, .out = out, .base = base_url };
    struct tm_soap_request asked;
    struct tm_err err = { .code = TM_OK };
    if (!soap_address(&c)) {
        tm_mock_answer(out, 404, "text/plain;charset=UTF-8",
                       "SOAP is served at /services/Soap/u/NN.0 and /services/Soap/c/NN.0\n");
    } else if (strcmp(r->method, "POST") != 0) {
        tm_mock_response_header(out, "Allow", "POST");
        tm_mock_answer(out, 405, "text/plain;charset=UTF-8", "SOAP requests are sent by POST\n");
    } else if (c.version[0] == '\0') {
        soap_fault(&c, "UnexpectedErrorFault", "UNSUPPORTED_API_VERSION",
                   "Invalid Api version specified on URL");
    } else if (tm_soap_read(&asked, r->body, r->body_bytes, &err) != TM_OK) {
        soap_client_fault(&c, err.msg);
    } else {
        soap_run(&c, &asked);
        tm_secret_wipe(&asked, sizeof asked);
    }
}
