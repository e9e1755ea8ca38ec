/* fuzz_signin: any bytes as what a sign-in is made of. The first byte says what: a SOAP envelope, a
 * JWT assertion, a form at the token endpoint, sessions kept in the org's database, a compressed
 * body. Demanded: an answer of the right status and shape, no token for anybody who did not give
 * the credentials. */
#include "mocks/http/encoding.h"
#include "mocks/salesforce/jwt.h"
#include "mocks/salesforce/soap.h"
#include "mocks/salesforce/xml.h"
#include "tests/support_fuzz.h"
#include <jansson.h>

static struct tm_secret_key *fuzz_certificate;

static void fuzz_demand(bool ok)
{
    if (!ok)
        abort();
}

static struct tm_oauth *fuzz_oauth(void)
{
    struct tm_oauth *o = NULL;
    if (fuzz_certificate == NULL)
        fuzz_demand(tm_secret_certificate_load(&fuzz_certificate, "tests/keys/jwt.crt", NULL) ==
                    TM_OK);
    struct tm_oauth_settings settings = {
        .seeded = true, .seed = 1, .certificate = fuzz_certificate, .real_ms_at_zero = 1772438400000
    };
    fuzz_demand(tm_oauth_open(&o, &settings, NULL) == TM_OK);
    return o;
}

static void fuzz_soap(struct tm_oauth *o, const char *text, size_t bytes)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    fuzz_demand(tm_mock_request_init(&r, "POST", "/services/Soap/u/59.0", text, bytes, NULL) ==
                TM_OK);
    r.now = (struct tm_now){ 1772438400000, TM_NS_PER_S };
    tm_mock_response_init(&out);
    tm_soap_request(&(struct tm_rest){ .oauth = o }, &r, "http://h", &out);
    fuzz_demand(out.status == 200 || out.status == 500);
    /* every answer is an envelope that our own reader takes */
    struct tm_xml *back = NULL;
    struct tm_err err = { .code = TM_OK };
    fuzz_demand(tm_xml_parse(&back, tm_buf_text(&out.body), out.body.bytes, &err) == TM_OK);
    const char *operation = tm_xml_child(tm_xml_root(back), "Body")->child->name;
    fuzz_demand((out.status == 200) == (strcmp(operation, "Fault") != 0));
    if (tm_oauth_tokens(o) > 0)
        fuzz_demand(strcmp(operation, "loginResponse") == 0 &&
                    memmem(text, bytes, "tidemark", 8) != NULL);
    tm_xml_close(back);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

static void fuzz_form(struct tm_oauth *o, const char *text, size_t bytes)
{
    struct tm_mock_request r;
    struct tm_mock_response out;
    fuzz_demand(tm_mock_request_init(&r, "POST", "/services/oauth2/token", text, bytes, NULL) ==
                TM_OK);
    r.now = (struct tm_now){ 1772438400000, TM_NS_PER_S };
    tm_mock_response_init(&out);
    tm_oauth_token(o, &r, "http://h", &out);
    fuzz_demand(out.status == (tm_oauth_tokens(o) > 0 ? 200 : 400));
    json_t *json = json_loadb(tm_buf_text(&out.body), out.body.bytes, 0, NULL);
    fuzz_demand(json != NULL);
    fuzz_demand((json_object_get(json, "access_token") != NULL) == (out.status == 200));
    json_decref(json);
    tm_mock_response_free(&out);
    tm_mock_request_free(&r);
}

static void fuzz_jwt(const char *text)
{
    struct tm_jwt jwt;
    if (tm_jwt_read(&jwt, text))
        fuzz_demand(strlen(jwt.iss) < TM_JWT_CLAIM_BYTES && strlen(jwt.sub) < TM_JWT_CLAIM_BYTES);
    (void)tm_jwt_verify(text, fuzz_certificate);
}

/* A line a row, row 0 first. */
static void fuzz_sessions(struct tm_oauth *o, char *text)
{
    struct tm_now now = { 0, TM_NS_PER_S };
    size_t row = 0;
    for (char *line = text, *end; line != NULL && row < tm_oauth_rows(o); line = end, row++) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        tm_oauth_load(o, row, line, &now, NULL);
        fuzz_demand(tm_oauth_tokens(o) <= row);
    }
    size_t before = tm_oauth_tokens(o);
    char token[TM_OAUTH_TOKEN_BYTES];
    tm_oauth_give(o, token, &now);
    fuzz_demand(tm_oauth_good(o, token, &now) && tm_oauth_tokens(o) <= before + 1);
}

static void fuzz_inflate(const char *text, size_t bytes)
{
    struct tm_buf plain;
    tm_buf_init(&plain, 65536);
    if (tm_mock_inflate(&plain, text, bytes, NULL) == TM_OK)
        fuzz_demand(plain.bytes <= 65536);
    tm_buf_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    struct tm_oauth *o = fuzz_oauth();
    char *text = malloc(bytes);
    fuzz_demand(text != NULL);
    memcpy(text, data + 1, bytes - 1);
    text[bytes - 1] = '\0';
    switch (data[0]) {
    case 'S': fuzz_soap(o, text, bytes - 1); break;
    case 'F': fuzz_form(o, text, bytes - 1); break;
    case 'J': fuzz_jwt(text); break;
    case 'G': fuzz_inflate(text, bytes - 1); break;
    default: fuzz_sessions(o, text); break;
    }
    free(text);
    tm_oauth_close(o);
    return 0;
}

#define ENV "<se:Envelope xmlns:se=\"http://schemas.xmlsoap.org/soap/envelope/\">"
#define P "xmlns=\"urn:partner.soap.sforce.com\""
#define CLIENT "client_id=tidemark-consumer-key&client_secret=tidemark-consumer-secret"
static const char *const corpus[] = {
    "S" ENV "<se:Header/><se:Body><login " P "><username>integration@tidemark.example</username>"
    "<password>tidemarkTOKEN</password></login></se:Body></se:Envelope>",
    "S" ENV "<se:Header><SessionHeader " P "><sessionId>00D!x</sessionId></SessionHeader>"
    "</se:Header><se:Body><logout " P "/></se:Body></se:Envelope>",
    "S" ENV "<se:Body><getUserInfo xmlns=\"urn:&lt;x&gt;\"/></se:Body></se:Envelope>",
    "S<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]>" ENV
    "<se:Body><login>&b;</login></se:Body></se:Envelope>",
    "Fgrant_type=password&" CLIENT
    "&username=integration%40tidemark.example&password=tidemarkTOKEN&format=json",
    "Fgrant_type=refresh_token&client_id=tidemark-consumer-key&refresh_token=tidemark-refresh-"
    "token",
    "Fgrant_type=client_credentials&" CLIENT,
    "Fgrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJhbGciOiJSUzI1Ni"
    "J9.eyJpc3MiOiJ0aWRlbWFyay1jb25zdW1lci1rZXkiLCJzdWIiOiJ4IiwiYXVkIjoieCIsImV4cCI6IjEifQ.AAAA",
    "JeyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIiwic3ViIjoieCIsImF1ZCI6IngiLCJleHAiOjE3NzI0Mzg0MDB9.AAAA==",
    "J..",
    "Gx\x9cK\x04\xff",
    "K[false,2]\n[\"ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0\",1772438460000,false]\n",
    "K[true,5000]\n\n[\"ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0\",1772438460000,true]",
};
FUZZ_PROGRAM(corpus)
