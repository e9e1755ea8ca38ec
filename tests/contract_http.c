/* What clients put on the wire and what must come back whatever they are: the whole mock behind its
 * server, spoken to in raw bytes. Facts: salesforce-wire.md section 0, Appendix A 1, 2, 11, 12. */
#include "mocks/http/server.h"
#include "mocks/salesforce/routes.h"
#include "tests/support_org.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define STEPS_MAX 3000
#define CRLF "\r\n"
#define LOGIN                                                                                      \
    "grant_type=client_credentials&client_id=tidemark-consumer-key&client_secret="                 \
    "tidemark-consumer-secret"

struct world {
    struct org_fixture org;
    struct tm_salesforce *mock;
    struct tm_mock_server *server;
    char token[200];
    int status;
    char reply[65536]; /* head and body of the last answer */
    const char *body;
};

static void world_wake(void *data, uint64_t token)
{
    tm_mock_server_wake(data, token);
}

static void world_step(struct world *w)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_now now = { .org_ms = ORG_ORIGIN_MS + 1000, .wall_ns = tm_clock_monotonic_ns() };
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    tm_salesforce_step(w->mock, &now, &wake);
    assert_int_equal(tm_mock_server_step(w->server, &now, &wake, &err), TM_OK);
    assert_int_equal(tm_mock_server_wait(w->server, NULL, 0,
                                         wake.wall_ns <= now.wall_ns ? 0 : TM_NS_PER_MS, &err),
                     TM_OK);
}

/* Is the answer whole: its head, and as much body as that says? */
static bool world_whole(struct world *w, bool head_only)
{
    char *end = strstr(w->reply, CRLF CRLF), *length;
    if (end == NULL)
        return false;
    w->body = end + 4;
    w->status = (int)strtol(w->reply + strlen("HTTP/1.1 "), NULL, 10);
    length = strstr(w->reply, "Content-Length: ");
    if (head_only || length == NULL || length > end)
        return head_only || w->status == 204;
    return strlen(w->body) >= strtoul(length + strlen("Content-Length: "), NULL, 10);
}

/* One request on a connection of its own, as the bytes stand; the answer in w. */
static void ask_raw(struct world *w, const char *bytes)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)tm_mock_server_port(w->server)) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t have = 0;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    w->status = 0;
    w->reply[0] = '\0';
    w->body = w->reply;
    for (int i = 0; i < STEPS_MAX && !world_whole(w, strncmp(bytes, "HEAD ", 5) == 0); i++) {
        world_step(w);
        ssize_t got = recv(fd, w->reply + have, sizeof w->reply - have - 1, MSG_DONTWAIT);
        if (got == 0)
            break;
        have += got > 0 ? (size_t)got : 0;
        w->reply[have] = '\0';
    }
    if (w->status == 0)
        fail_msg("no answer to %.200s", bytes);
    close(fd);
}

/* first: "GET /path"; headers: whole lines; body may be NULL */
static void ask(struct world *w, const char *first, const char *headers, const char *body)
{
    char bytes[8192];
    size_t body_bytes = body != NULL ? strlen(body) : 0;
    int n = snprintf(bytes, sizeof bytes, "%s HTTP/1.1" CRLF "Host: 127.0.0.1:%d" CRLF "%s", first,
                     tm_mock_server_port(w->server), headers);
    if (body != NULL)
        n += snprintf(bytes + n, sizeof bytes - (size_t)n, "Content-Length: %zu" CRLF, body_bytes);
    n += snprintf(bytes + n, sizeof bytes - (size_t)n, CRLF "%s", body != NULL ? body : "");
    assert_true(n > 0 && (size_t)n < sizeof bytes);
    ask_raw(w, bytes);
}

static const char *bearer(const struct world *w)
{
    static char line[300];
    snprintf(line, sizeof line, "Authorization: Bearer %s" CRLF, w->token);
    return line;
}

static void expect(const struct world *w, int status, const char *words)
{
    if (w->status != status || strstr(w->reply, words) == NULL)
        fail_msg("expected %d with %s, got:\n%.2000s", status, words, w->reply);
}

/* What stands between the quotes behind `"key":`. */
static void take(const struct world *w, const char *key, char *out, size_t out_bytes)
{
    char name[64];
    snprintf(name, sizeof name, "\"%s\":\"", key);
    const char *at = strstr(w->body, name);
    assert_non_null(at);
    at += strlen(name);
    snprintf(out, out_bytes, "%.*s", (int)strcspn(at, "\""), at);
}

static int world_open(void **state)
{
    static struct world w;
    struct tm_err err = { .code = TM_OK };
    w = (struct world){ .status = 0 };
    org_fixture_open(&w.org);
    char id[TM_ID_BYTES] = "";
    org_make_account(w.org.org, id, "Tide & Ebb Ltd", ORG_ORIGIN_MS + 500);
    struct tm_salesforce_settings settings = { .bayeux = { .long_poll_ms = 200 } };
    assert_int_equal(tm_salesforce_open(&w.mock, w.org.org, &settings, &err), TM_OK);
    struct tm_mock_handler handler = tm_salesforce_handler(w.mock);
    struct tm_mock_server_settings at = { .bind = "127.0.0.1" };
    assert_int_equal(tm_mock_server_open(&w.server, &at, &handler, &err), TM_OK);
    tm_salesforce_wired(w.mock, world_wake, w.server);
    ask(&w, "POST /services/oauth2/token", "Content-Type: application/x-www-form-urlencoded" CRLF,
        LOGIN);
    expect(&w, 200, "access_token");
    take(&w, "access_token", w.token, sizeof w.token);
    *state = &w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    tm_mock_server_close(w->server);
    tm_salesforce_close(w->mock);
    org_fixture_close(&w->org);
    return 0;
}

static void a_query_may_have_a_slash_and_spaces_of_both_kinds(void **state)
{
    static const char *const targets[] = {
        "GET /services/data/v59.0/query/?q=SELECT+Name+FROM+Account",
        "GET /services/data/v59.0/query?q=SELECT%20Name%20FROM%20Account",
        ("GET /services/data/v59.0/query/?q=SELECT+Name%20FROM%0AAccount+WHERE+Name+=+"
         "'Tide+%26+Ebb+Ltd'"),
        "GET /services/data/v59.0/query/?other=1&q=select+name+from+account&q2=",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ask(w, targets[i], bearer(w), NULL);
        expect(w, 200, "\"totalSize\":1");
        expect(w, 200, "Tide & Ebb Ltd");
    }
    static const char *const slashes[] = { "limits", "sobjects", "sobjects/Account",
                                           "sobjects/Account/describe", "" };
    for (size_t i = 0; i < 2 * (sizeof slashes / sizeof slashes[0]); i++) {
        char first[100];
        snprintf(first, sizeof first, "GET /services/data/v59.0/%s%s", slashes[i / 2],
                 i % 2 == 0 ? "" : "/");
        ask(w, first, bearer(w), NULL);
        expect(w, 200, "application/json");
    }
}

static void every_form_of_authorization_is_taken(void **state)
{
    static const char *const forms[] = { "Authorization: Bearer ", "authorization: OAuth ",
                                         "AUTHORIZATION: ",        "X-SFDC-Session: ",
                                         "x-sfdc-session: ",       "Authorization:   Bearer " };
    struct world *w = *state;
    char header[300], first[300];
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        snprintf(header, sizeof header, "%s%s" CRLF, forms[i], w->token);
        ask(w, "GET /services/data/v59.0/limits", header, NULL);
        expect(w, 200, "DailyApiRequests");
    }
    snprintf(first, sizeof first, "GET /id/%s/%s?oauth_token=%s", tm_org_id(w->org.org),
             tm_org_user_id(w->org.org), w->token);
    ask(w, first, "", NULL);
    expect(w, 200, "asserted_user");
}

#define SOAP(body)                                                                                 \
    "<se:Envelope xmlns:se=\"http://schemas.xmlsoap.org/soap/envelope/\">" body "</se:Envelope>"
#define PARTNER "xmlns=\"urn:partner.soap.sforce.com\""

static void a_chunked_soap_login_with_an_empty_cookie_is_read(void **state)
{
    struct world *w = *state;
    static const char login[] =
        SOAP("<se:Body><login " PARTNER "><username>integration@tidemark.example</username>"
             "<password>tidemarkTOKEN</password></login></se:Body>");
    char bytes[2048];
    int n = snprintf(bytes, sizeof bytes,
                     "POST /services/Soap/u/50.0 HTTP/1.1" CRLF "host: localhost:1" CRLF
                     "Cookie:" CRLF "Content-Type: text/xml" CRLF "SOAPAction: \"\"" CRLF
                     "transfer-encoding: chunked" CRLF CRLF "%x" CRLF "%.10s" CRLF,
                     10, login);
    snprintf(bytes + n, sizeof bytes - (size_t)n, "%zx;ext=1" CRLF "%s" CRLF "0" CRLF CRLF,
             strlen(login) - 10, login + 10);
    ask_raw(w, bytes);
    expect(w, 200, "<serverUrl>http://localhost:1/services/Soap/u/50.0/");
    expect(w, 200, "Content-Type: text/xml;charset=UTF-8");
}

static void a_websocket_probe_and_any_get_at_cometd_end_at_once(void **state)
{
    static const char *const firsts[] = { "GET /cometd/59.0",         "GET /cometd/59.0/",
                                          "GET /cometd/59.0/connect", "GET /cometd/replay/36.0",
                                          "HEAD /cometd/59.0",        "OPTIONS /cometd/59.0" };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        ask(w, firsts[i],
            "Connection: Upgrade" CRLF "Upgrade: websocket" CRLF
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" CRLF "Sec-WebSocket-Version: 13" CRLF,
            NULL);
        assert_in_range(w->status, 400, 499);
    }
}

static void head_and_options_are_answered_like_anything_else(void **state)
{
    struct world *w = *state;
    ask(w, "HEAD /services/data", "", NULL);
    expect(w, 200, "Content-Type: application/json");
    assert_string_equal(w->body, "");
    ask(w, "HEAD /services/data/v59.0/limits", bearer(w), NULL);
    expect(w, 200, "Sforce-Limit-Info: api-usage=");
    ask(w, "HEAD /services/data/v59.0/limits", "", NULL);
    expect(w, 401, "");
    ask(w, "OPTIONS /services/data/v59.0/limits", bearer(w), NULL);
    expect(w, 405, "METHOD_NOT_ALLOWED");
    ask(w, "OPTIONS /services/oauth2/token", "", NULL);
    assert_in_range(w->status, 400, 499);
    ask(w, "BREW /services/data/v59.0/limits", bearer(w), NULL);
    expect(w, 405, "METHOD_NOT_ALLOWED");
}

/* A token that ended in the middle of things, in the words of each API. */
static void a_revoked_token_is_refused_everywhere_in_the_words_of_each_api(void **state)
{
    struct world *w = *state;
    char client[80], connect[300], form[300], session[300], soap[700];
    static const char handshake[] =
        "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"supportedConnectionTypes\":"
        "[\"long-polling\"],\"id\":\"1\"}]";
    ask(w, "POST /cometd/59.0/handshake", bearer(w), handshake);
    expect(w, 200, "\"successful\":true");
    take(w, "clientId", client, sizeof client);
    snprintf(connect, sizeof connect,
             "[{\"channel\":\"/meta/connect\",\"clientId\":\"%s\",\"connectionType\":"
             "\"long-polling\",\"id\":\"2\"}]",
             client);
    ask(w, "POST /cometd/59.0/connect", bearer(w), connect);
    expect(w, 200, "\"successful\":true");
    snprintf(form, sizeof form, "token=%s", w->token);
    ask(w, "POST /services/oauth2/revoke", "", form);
    expect(w, 200, "");

    static const char *const rest[] = {
        "GET /services/data/v59.0/limits",
        "GET /services/data/v59.0/query/?q=SELECT+Id+FROM+Account",
        "GET /services/data/v59.0/jobs/query/750000000000001",
    };
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        ask(w, rest[i], bearer(w), NULL);
        expect(w, 401,
               "[{\"message\":\"Session expired or invalid\",\"errorCode\":"
               "\"INVALID_SESSION_ID\"}]");
        expect(w, 401, "WWW-Authenticate: Token");
    }
    ask(w, "POST /services/data/v59.0/jobs/query", bearer(w), "{\"operation\":\"query\"}");
    expect(w, 401, "INVALID_SESSION_ID");
    snprintf(session, sizeof session, "X-SFDC-Session: %s" CRLF, w->token);
    ask(w, "GET /services/async/59.0/job/750000000000001/batch", session, NULL);
    expect(w, 400, "<exceptionCode>InvalidSessionId</exceptionCode>");
    snprintf(session, sizeof session,
             "X-SFDC-Session: %s" CRLF "Content-Type: application/json" CRLF, w->token);
    ask(w, "POST /services/async/59.0/job", session, "{\"operation\":\"query\"}");
    expect(w, 400, "\"exceptionCode\":\"InvalidSessionId\"");

    ask(w, "POST /cometd/59.0/connect", bearer(w), connect);
    expect(w, 200, "\"error\":\"401::Authentication invalid\"");
    expect(w, 200, "\"reconnect\":\"none\"");
    ask(w, "POST /cometd/59.0/handshake", bearer(w), handshake);
    expect(w, 200, "\"error\":\"403::Handshake denied\"");
    expect(w, 200, "\"failureReason\":\"401::Authentication invalid\"");
    ask(w, "POST /cometd/59.0/handshake", "", handshake);
    expect(w, 200, "\"failureReason\":\"401::Request requires authentication\"");

    snprintf(soap, sizeof soap,
             SOAP("<se:Header><SessionHeader " PARTNER "><sessionId>%s</sessionId>"
                  "</SessionHeader></se:Header><se:Body><getUserInfo " PARTNER "/></se:Body>"),
             w->token);
    ask(w, "POST /services/Soap/u/59.0", "", soap);
    expect(w, 500, "<faultcode>sf:INVALID_SESSION_ID</faultcode>");
    ask(w, "GET /services/oauth2/userinfo", bearer(w), NULL);
    expect(w, 403, "Bad_OAuth_Token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(a_query_may_have_a_slash_and_spaces_of_both_kinds),
        T(every_form_of_authorization_is_taken),
        T(a_chunked_soap_login_with_an_empty_cookie_is_read),
        T(a_websocket_probe_and_any_get_at_cometd_end_at_once),
        T(head_and_options_are_answered_like_anything_else),
        T(a_revoked_token_is_refused_everywhere_in_the_words_of_each_api),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
