/* SOAP sign-in: the envelopes that real clients send, what they read in the answers, and faults. */
#include "mocks/salesforce/soap.h"
#include "mocks/salesforce/xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BASE "http://127.0.0.1:8080"
#define PARTNER "urn:partner.soap.sforce.com"
#define ENTERPRISE "urn:enterprise.soap.sforce.com"
#define ENV "<se:Envelope xmlns:se=\"http://schemas.xmlsoap.org/soap/envelope/\">"
#define LOGIN(space, user, word)                                                                   \
    ENV "<se:Header/><se:Body><login xmlns=\"" space "\"><username>" user                          \
        "</username><password>" word "</password></login></se:Body></se:Envelope>"
#define USER "integration@tidemark.example"

struct world {
    struct tm_oauth *oauth;
    int status;
    char body[8192], headers[512];
};

static int open_world(void **state)
{
    static struct world w;
    struct tm_oauth_settings settings = { .seeded = true, .seed = 3 };
    w = (struct world){ .status = 0 };
    *state = &w;
    return tm_oauth_open(&w.oauth, &settings, NULL) == TM_OK ? 0 : -1;
}

static int close_world(void **state)
{
    struct world *w = *state;
    tm_oauth_close(w->oauth);
    return 0;
}

static void ask_by(struct world *w, const char *method, const char *path, const char *body)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    assert_int_equal(tm_mock_request_init(&r, method, path, body, strlen(body), NULL), TM_OK);
    r.now = (struct tm_now){ 1772438400000, TM_NS_PER_S };
    tm_mock_response_init(&out);
    tm_soap_request(&(struct tm_rest){ .oauth = w->oauth }, &r, BASE, &out);
    w->status = out.status;
    snprintf(w->body, sizeof w->body, "%s", tm_buf_text(&out.body));
    snprintf(w->headers, sizeof w->headers, "%s", tm_buf_text(&out.headers));
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

static void ask(struct world *w, const char *path, const char *body)
{
    ask_by(w, "POST", path, body);
}

/* What stands between <name> and </name>: "" when it is not there in just this spelling. */
static const char *element(const struct world *w, const char *name)
{
    static char value[4][256];
    static unsigned turn;
    char *out = value[turn++ % 4], open[64], close[64];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    const char *from = strstr(w->body, open);
    const char *to = from != NULL ? strstr(from, close) : NULL;
    *out = '\0';
    if (to != NULL)
        snprintf(out, 256, "%.*s", (int)(to - from - (long)strlen(open)), from + strlen(open));
    return out;
}

static bool good(const struct world *w, const char *token)
{
    struct tm_now now = { 1772438400000, TM_NS_PER_S };
    return tm_oauth_good(w->oauth, token, &now);
}

static void a_login_answers_with_what_every_client_looks_for(void **state)
{
    struct world *w = *state;
    ask(w, "/services/Soap/u/44.0/", LOGIN(PARTNER, USER, "tidemarkTOKEN"));
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(w->headers, "Content-Type: text/xml;charset=UTF-8"));
    assert_non_null(strstr(w->body, "xmlns=\"" PARTNER "\""));
    assert_string_equal(element(w, "serverUrl"), BASE "/services/Soap/u/44.0/00D000000000001");
    assert_string_equal(element(w, "metadataServerUrl"),
                        BASE "/services/Soap/m/44.0/00D000000000001");
    assert_string_equal(element(w, "userId"), "005000000000001AAA");
    assert_string_equal(element(w, "organizationId"), "00D000000000001EAA");
    assert_string_equal(element(w, "passwordExpired"), "false");
    assert_string_equal(element(w, "sandbox"), "false");
    assert_string_equal(element(w, "sessionSecondsValid"), "7200");
    assert_string_equal(element(w, "userName"), USER);
    assert_true(good(w, element(w, "sessionId")));
    assert_null(strchr(element(w, "sessionId"), '&'));
}

static void envelopes_are_read_whatever_their_prefixes(void **state)
{
    static const char *const bodies[] = {
        /* EMP-Connector, jsforce, simple-salesforce: shapes of salesforce-wire.md 1.1 */
        "<soapenv:Envelope xmlns:soapenv='http://schemas.xmlsoap.org/soap/envelope/' "
        "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:urn='" PARTNER
        "'><soapenv:Body><urn:login><urn:username>" USER
        "</urn:username><urn:password>tidemarkTOKEN</urn:password></urn:login></soapenv:Body>"
        "</soapenv:Envelope>",
        LOGIN(PARTNER, USER, "tidemarkTOKEN"),
        "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<env:Envelope\n  "
        "xmlns:xsd=\"http://www.w3.org/"
        "2001/XMLSchema\"\n  xmlns:env=\"http://schemas.xmlsoap.org/soap/envelope/\"\n  "
        "xmlns:urn=\"" PARTNER "\">\n<env:Header>\n <urn:CallOptions>\n <urn:client>RestForce</"
        "urn:client>\n <urn:defaultNamespace>sf</urn:defaultNamespace></urn:CallOptions>\n"
        "</env:Header>\n<env:Body>\n <n1:login xmlns:n1=\"" PARTNER "\">\n  <n1:username>" USER
        "</n1:username>\n  <n1:password>tidemark&#84;OKEN</n1:password>\n </n1:login>\n"
        "</env:Body>\n</env:Envelope>",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        ask(w, "/services/Soap/u/59.0", bodies[i]);
        assert_int_equal(w->status, 200);
    }
    assert_int_equal(tm_oauth_tokens(w->oauth), 3);
}

static void the_enterprise_dialect_answers_in_its_own_namespace(void **state)
{
    struct world *w = *state;
    ask(w, "/services/Soap/c/59.0/00D000000000001", LOGIN(ENTERPRISE, USER, "tidemarkTOKEN"));
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(w->body, "xmlns=\"" ENTERPRISE "\""));
    assert_string_equal(element(w, "serverUrl"), BASE "/services/Soap/c/59.0/00D000000000001");
    ask(w, "/services/Soap/c/59.0", LOGIN(ENTERPRISE, USER, "no"));
    assert_non_null(strstr(w->body, "xmlns:sf=\"urn:fault.enterprise.soap.sforce.com\""));
    ask(w, "/services/Soap/c/59.0", LOGIN(PARTNER, USER, "tidemarkTOKEN"));
    assert_int_equal(w->status, 500);
    assert_string_equal(element(w, "faultstring"), "No operation available for request {" PARTNER
                                                   "}login, please check the WSDL for the "
                                                   "service.");
}

static void wrong_credentials_are_a_fault_with_http_500_and_sf_codes(void **state)
{
    static const char *const bodies[] = {
        LOGIN(PARTNER, USER, "tidemark"),
        LOGIN(PARTNER, "someone", "tidemarkTOKEN"),
        LOGIN(PARTNER, "", ""),
        LOGIN(PARTNER, USER, "tidemarkTOKEN "),
        LOGIN(PARTNER, USER, "&lt;x&gt;"),
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        ask(w, "/services/Soap/u/59.0", bodies[i]);
        assert_int_equal(w->status, 500);
        assert_non_null(strstr(w->body, "xmlns:sf=\"urn:fault.partner.soap.sforce.com\""));
        assert_string_equal(element(w, "faultcode"), "sf:INVALID_LOGIN");
        assert_string_equal(element(w, "faultstring"),
                            "INVALID_LOGIN: Invalid username, password, security token; or user "
                            "locked out.");
        assert_string_equal(element(w, "sf:exceptionCode"), "INVALID_LOGIN");
        assert_string_equal(element(w, "sf:exceptionMessage"),
                            "Invalid username, password, security token; or user locked out.");
    }
    assert_int_equal(tm_oauth_tokens(w->oauth), 0);
}

static void a_logout_ends_its_own_session_and_no_other(void **state)
{
    struct world *w = *state;
    char first[256], second[256], body[1024];
    ask(w, "/services/Soap/u/59.0", LOGIN(PARTNER, USER, "tidemarkTOKEN"));
    snprintf(first, sizeof first, "%s", element(w, "sessionId"));
    ask(w, "/services/Soap/u/59.0", LOGIN(PARTNER, USER, "tidemarkTOKEN"));
    snprintf(second, sizeof second, "%s", element(w, "sessionId"));
    assert_string_not_equal(first, second);
    snprintf(body, sizeof body,
             ENV "<se:Header><SessionHeader xmlns=\"" PARTNER "\"><sessionId>%s</sessionId>"
                 "</SessionHeader></se:Header><se:Body><logout xmlns=\"" PARTNER
                 "\"/></se:Body></se:Envelope>",
             first);
    ask(w, "/services/Soap/u/59.0", body);
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(w->body, "<logoutResponse/>"));
    assert_false(good(w, first));
    assert_true(good(w, second));
    ask(w, "/services/Soap/u/59.0", body);
    assert_int_equal(w->status, 500);
    assert_string_equal(element(w, "faultcode"), "sf:INVALID_SESSION_ID");
}

static void other_calls_need_a_session_and_say_who_it_is(void **state)
{
    struct world *w = *state;
    char body[1024], token[256];
    ask(w, "/services/Soap/u/59.0",
        ENV "<se:Body><getUserInfo xmlns=\"" PARTNER "\"/></se:Body></se:Envelope>");
    assert_string_equal(element(w, "sf:exceptionCode"), "INVALID_SESSION_ID");
    ask(w, "/services/Soap/u/59.0", LOGIN(PARTNER, USER, "tidemarkTOKEN"));
    snprintf(token, sizeof token, "%s", element(w, "sessionId"));
    static const char *const operations[][2] = { { "getUserInfo", "userId" },
                                                 { "getServerTimestamp", "timestamp" } };
    for (size_t i = 0; i < 2; i++) {
        snprintf(body, sizeof body,
                 ENV "<se:Header><p:SessionHeader xmlns:p=\"" PARTNER
                     "\"><p:sessionId>%s</p:sessionId></p:SessionHeader></se:Header><se:Body>"
                     "<p:%s xmlns:p=\"" PARTNER "\"/></se:Body></se:Envelope>",
                 token, operations[i][0]);
        ask(w, "/services/Soap/u/59.0", body);
        assert_int_equal(w->status, 200);
        assert_true(*element(w, operations[i][1]) != '\0');
    }
    assert_string_equal(element(w, "timestamp"), "2026-03-02T08:00:00.000Z");
}

static void addresses_and_methods_that_are_not_served_are_told_apart(void **state)
{
    struct world *w = *state;
    static const char *const versions[] = { "36.0", "99.0", "59", "x", "", "59.5", "059.0x" };
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "/services/Soap/u/%s", versions[i]);
        ask(w, path, LOGIN(PARTNER, USER, "tidemarkTOKEN"));
        assert_int_equal(w->status, 500);
        assert_string_equal(element(w, "faultcode"), "sf:UNSUPPORTED_API_VERSION");
    }
    ask(w, "/services/Soap/m/59.0", "");
    assert_int_equal(w->status, 404);
    ask(w, "/services/Soap", "");
    assert_int_equal(w->status, 404);
    ask_by(w, "GET", "/services/Soap/u/59.0", "");
    assert_int_equal(w->status, 405);
    assert_non_null(strstr(w->headers, "Allow: POST"));
}

static void broken_envelopes_are_client_faults_that_say_why(void **state)
{
    static const char *const bodies[][2] = {
        { "", "Unexpected EOF in prolog" },
        { "grant_type=password", "invalid token" },
        { "<a/>", "no SOAP envelope" },
        { ENV "<se:Body></se:Body></se:Envelope>", "body is empty" },
        { ENV "<se:Body><a/><b/></se:Body></se:Envelope>", "more than one operation" },
        { ENV "<se:Body><a></se:Body></se:Envelope>", "mismatched tag" },
        { ENV "<se:Body>&login;</se:Body></se:Envelope>", "undefined entity" },
        { "<!DOCTYPE a [<!ENTITY b \"c\">]>" ENV "<se:Body/></se:Envelope>",
          "DOCTYPE is not allowed" },
        { ENV "<se:Body><query xmlns=\"" PARTNER "\"/></se:Body></se:Envelope>",
          "No operation available for request {" PARTNER "}query" },
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        ask(w, "/services/Soap/u/59.0", bodies[i][0]);
        assert_int_equal(w->status, 500);
        assert_string_equal(element(w, "faultcode"), "soapenv:Client");
        assert_non_null(strstr(element(w, "faultstring"), bodies[i][1]));
    }
}

/* A billion laughs, a deep tree and a long text end at their limits, not in memory. */
static void hostile_xml_is_refused_before_it_grows(void **state)
{
    struct tm_xml *asked = NULL;
    struct tm_err err = { .code = TM_OK };
    struct tm_buf b;
    (void)state;
    static const char laughs[] = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]>" ENV
                                 "<se:Body><login>&b;</login></se:Body></se:Envelope>";
    assert_int_equal(tm_xml_parse(&asked, laughs, sizeof laughs - 1, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "DOCTYPE"));
    tm_buf_init(&b, 1u << 20);
    tm_buf_addz(&b, ENV);
    for (int i = 0; i < 10000; i++)
        tm_buf_addz(&b, "<a>");
    tm_err_clear(&err);
    assert_int_equal(tm_xml_parse(&asked, b.data, b.bytes, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "too deeply"));
    tm_buf_reset(&b);
    tm_buf_addz(&b, "<a>");
    for (int i = 0; i <= TM_XML_NODES_MAX; i++)
        tm_buf_addz(&b, "<b/>");
    tm_buf_addz(&b, "</a>");
    tm_err_clear(&err);
    assert_int_equal(tm_xml_parse(&asked, b.data, b.bytes, &err), TM_E_PROTO);
    assert_non_null(strstr(err.msg, "too many elements"));
    assert_null(asked);
    tm_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
        T(a_login_answers_with_what_every_client_looks_for),
        T(envelopes_are_read_whatever_their_prefixes),
        T(the_enterprise_dialect_answers_in_its_own_namespace),
        T(wrong_credentials_are_a_fault_with_http_500_and_sf_codes),
        T(a_logout_ends_its_own_session_and_no_other),
        T(other_calls_need_a_session_and_say_who_it_is),
        T(addresses_and_methods_that_are_not_served_are_told_apart),
        T(broken_envelopes_are_client_faults_that_say_why),
        T(hostile_xml_is_refused_before_it_grows),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
