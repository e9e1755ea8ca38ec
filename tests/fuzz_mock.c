/* fuzz_mock: any bytes as requests to the mock Salesforce: sign-in, REST, CometD and its control
 * API, through the handler that its server calls. Requests are cut at "\xff"; each is
 * "METHOD target\nHeader: value\n\nbody". "TOKEN" and "CLIENT" stand for a good token and the last
 * client id a handshake gave. Demanded: every request is answered or held, a status that HTTP
 * knows, a body that is JSON or XML where its header says so, a held request ends. */
#include "mocks/salesforce/routes.h"
#include "mocks/salesforce/xml.h"
#include "tests/support_fuzz.h"

#define FUZZ_RUNS_MAX 300    /* inputs one org serves: what they leave behind stays bounded */
#define FUZZ_REQUESTS_MAX 16 /* of one input */
#define FUZZ_RESUMES_MAX 2000
#define FUZZ_ORIGIN_MS 1772438400000LL

struct fuzz_held {
    struct tm_mock_request request;
    uint64_t token;
};
struct fuzz_world {
    struct tm_org *org;
    struct tm_salesforce *salesforce;
    struct tm_mock_handler handler;
    struct tm_now now;
    char token[200], client[80], job[20], batch[20], result[20];
    struct fuzz_held held[FUZZ_REQUESTS_MAX];
    size_t held_count, runs;
};

static void fuzz_demand(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_no_wake(void *data, uint64_t token)
{
    (void)data;
    (void)token;
}

/* What stands between the quotes behind `"key":`. */
static void fuzz_take(const char *body, const char *key, char *out, size_t out_bytes)
{
    const char *at = body != NULL ? strstr(body, key) : NULL;
    if (at != NULL)
        snprintf(out, out_bytes, "%.*s", (int)strcspn(at + strlen(key), "\""), at + strlen(key));
}

/* An id with this prefix, in JSON or XML. */
static void fuzz_take_id(const char *body, const char *json, const char *xml, char out[20])
{
    const char *at = body != NULL ? strstr(body, json) : NULL;
    if (at == NULL && body != NULL)
        at = strstr(body, xml);
    if (at != NULL)
        snprintf(out, 20, "%.*s", (int)strcspn(at + 1, "\"</?&"), at + 1);
}

static void fuzz_check(struct fuzz_world *w, const struct tm_mock_response *out)
{
    fuzz_demand(out->outcome != TM_MOCK_HOLD);
    if (out->outcome != TM_MOCK_ANSWER)
        return;
    fuzz_demand(out->status >= 100 && out->status < 600);
    if (strstr(tm_buf_text(&out->headers), "application/json") != NULL) {
        json_t *json = json_loadb(tm_buf_text(&out->body), out->body.bytes, JSON_DECODE_ANY, NULL);
        fuzz_demand(json != NULL);
        json_decref(json);
    }
    if (strstr(tm_buf_text(&out->headers), "text/xml") != NULL ||
        strstr(tm_buf_text(&out->headers), "application/xml") != NULL) {
        struct tm_xml *xml = NULL;
        fuzz_demand(tm_xml_parse(&xml, tm_buf_text(&out->body), out->body.bytes, NULL) == TM_OK);
        tm_xml_close(xml);
    }
    fuzz_take(tm_buf_text(&out->body), "\"access_token\":\"", w->token, sizeof w->token);
    fuzz_take(tm_buf_text(&out->body), "\"clientId\":\"", w->client, sizeof w->client);
    fuzz_take_id(tm_buf_text(&out->body), "\"750", ">750", w->job);
    fuzz_take_id(tm_buf_text(&out->body), "\"751", ">751", w->batch);
    fuzz_take_id(tm_buf_text(&out->body), "\"752", ">752", w->result);
}

static void fuzz_answered(struct fuzz_world *w, struct tm_mock_response *out)
{
    fuzz_check(w, out);
    if (out->token != 0)
        w->handler.finished(w->handler.self, out->token, out->status != 200 || w->runs % 3 != 0);
    tm_mock_response_free(out);
}

/* A held request is asked again until it has its answer; nothing may be held for ever. */
static void fuzz_resume(struct fuzz_world *w, struct fuzz_held *h)
{
    struct tm_mock_response out;
    tm_mock_response_init(&out);
    out.outcome = TM_MOCK_HOLD;
    for (int i = 0; out.outcome == TM_MOCK_HOLD; i++) {
        fuzz_demand(i < FUZZ_RESUMES_MAX);
        tm_mock_response_reset(&out);
        w->now.wall_ns += 10 * TM_NS_PER_S;
        w->now.org_ms += 10000;
        h->request.now = w->now;
        w->handler.resume(w->handler.self, &h->request, h->token, &out);
        if (out.outcome == TM_MOCK_HOLD)
            h->token = out.token; /* a slow request may be held again by another */
    }
    fuzz_answered(w, &out);
    tm_mock_request_free(&h->request);
}

static void fuzz_ask(struct fuzz_world *w, struct tm_mock_request *r)
{
    struct tm_mock_response out;
    tm_mock_response_init(&out);
    w->now.wall_ns += TM_NS_PER_S;
    w->now.org_ms += 1000;
    r->now = w->now;
    w->handler.request(w->handler.self, r, &out);
    if (out.outcome == TM_MOCK_HOLD) {
        w->held[w->held_count++] = (struct fuzz_held){ *r, out.token };
        *r = (struct tm_mock_request){ 0 };
        tm_mock_response_free(&out);
        return;
    }
    fuzz_answered(w, &out);
    tm_mock_request_free(r);
}

/* ---- one request from text ---- */

/* Copies [from, end), TOKEN, CLIENT, JOBID, BATCH and RESULT filled in. */
static char *fuzz_fill(const struct fuzz_world *w, const char *from, const char *end,
                       size_t *out_bytes)
{
    struct tm_buf text;
    tm_buf_init(&text, 1u << 24);
    while (from < end) {
        size_t left = (size_t)(end - from);
        if (left >= 5 && memcmp(from, "TOKEN", 5) == 0) {
            tm_buf_addz(&text, w->token);
            from += 5;
        } else if (left >= 6 && memcmp(from, "CLIENT", 6) == 0) {
            tm_buf_addz(&text, w->client);
            from += 6;
        } else if (left >= 5 && memcmp(from, "JOBID", 5) == 0) {
            tm_buf_addz(&text, w->job);
            from += 5;
        } else if (left >= 5 && memcmp(from, "BATCH", 5) == 0) {
            tm_buf_addz(&text, w->batch);
            from += 5;
        } else if (left >= 6 && memcmp(from, "RESULT", 6) == 0) {
            tm_buf_addz(&text, w->result);
            from += 6;
        } else {
            tm_buf_addc(&text, *from++);
        }
    }
    *out_bytes = text.bytes;
    char *copy = malloc(text.bytes + 1);
    fuzz_demand(copy != NULL);
    memcpy(copy, tm_buf_text(&text), text.bytes + 1);
    tm_buf_free(&text);
    return copy;
}

static void fuzz_headers(struct tm_mock_request *r, char *line)
{
    while (line != NULL && *line != '\0') {
        char *next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        char *colon = strstr(line, ": ");
        if (colon != NULL) {
            *colon = '\0';
            tm_mock_pairs_add(&r->headers, line, colon + 2, NULL);
        }
        line = next;
    }
}

static void fuzz_request(struct fuzz_world *w, const char *from, const char *end)
{
    size_t bytes;
    char *text = fuzz_fill(w, from, end, &bytes);
    char *body = strstr(text, "\n\n"), *target = strchr(text, ' ');
    char *headers = strchr(text, '\n');
    struct tm_mock_request r;
    if (body != NULL)
        *body = '\0', body += 2;
    if (headers != NULL)
        *headers++ = '\0';
    if (target != NULL)
        *target++ = '\0';
    size_t body_bytes = body != NULL ? bytes - (size_t)(body - text) : 0;
    if (target != NULL && tm_mock_request_init(&r, text, target, body, body_bytes, NULL) == TM_OK) {
        fuzz_headers(&r, headers);
        if (tm_mock_request_cookies(&r, NULL) == TM_OK)
            fuzz_ask(w, &r);
        else
            tm_mock_request_free(&r);
    }
    free(text);
}

/* ---- the world ---- */

static void fuzz_serve(struct fuzz_world *w)
{
    static const char *const objects[] = { "Account", "Opportunity", "User", NULL };
    static const char form[] = "grant_type=client_credentials&client_id=tidemark-consumer-key&"
                               "client_secret=tidemark-consumer-secret";
    struct tm_org_settings org = { .path = ":memory:",
                                   .objects_dir = "fixtures/objects",
                                   .objects = objects,
                                   .seed = 1,
                                   .origin_ms = FUZZ_ORIGIN_MS,
                                   .index_lag_ms = 5000,
                                   .setup_objects = true,
                                   .publish_delay_ms = 2000 };
    struct tm_salesforce_settings settings = { .oauth = { .seeded = true, .seed = 9 } };
    struct tm_mock_request r;
    struct tm_err err = { .code = TM_OK };
    tm_salesforce_close(w->salesforce);
    tm_org_close(w->org);
    *w = (struct fuzz_world){ .now = { FUZZ_ORIGIN_MS + 3600000, TM_NS_PER_S } };
    if (tm_org_open(&w->org, &org, &err) != TM_OK ||
        tm_salesforce_open(&w->salesforce, w->org, &settings, &err) != TM_OK) {
        fprintf(stderr, "fuzz_mock: %s\n", err.msg);
        abort();
    }
    tm_salesforce_wired(w->salesforce, fuzz_no_wake, NULL);
    w->handler = tm_salesforce_handler(w->salesforce);
    fuzz_demand(tm_mock_request_init(&r, "POST", "/services/oauth2/token", form, strlen(form),
                                     NULL) == TM_OK);
    fuzz_ask(w, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct fuzz_world w;
    const char *at = (const char *)data, *end = at + bytes;
    if (w.org == NULL || w.runs == FUZZ_RUNS_MAX)
        fuzz_serve(&w);
    w.runs++;
    for (int i = 0; i < FUZZ_REQUESTS_MAX && at < end; i++) {
        const char *cut = memchr(at, 0xff, (size_t)(end - at));
        fuzz_request(&w, at, cut != NULL ? cut : end);
        at = cut != NULL ? cut + 1 : end;
    }
    for (size_t i = 0; i < w.held_count; i++)
        fuzz_resume(&w, &w.held[i]);
    w.held_count = 0;
    static const char remove[] = "DELETE /tidemark/v1/faults"; /* the next input finds none */
    fuzz_request(&w, remove, remove + sizeof remove - 1);
    return 0;
}

#define A "\nAuthorization: Bearer TOKEN\n\n"
#define D "/services/data/v59.0"
#define SOAP                                                                                       \
    "POST /services/Soap/u/59.0\n\n<e:Envelope "                                                   \
    "xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/"                                          \
    "\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "                                  \
    "xmlns=\"urn:partner.soap.sforce.com\"><e:Header><SessionHeader><sessionId>TOKEN</sessionId>"  \
    "</SessionHeader><QueryOptions><batchSize>200</batchSize></QueryOptions></e:Header><e:Body>"
#define POAS "</e:Body></e:Envelope>"
static const char *const corpus[] = {
    "GET /services/data",
    SOAP "<create><sObjects><type>Account</type><Name>a&amp;b</Name><fieldsToNull>Industry"
         "</fieldsToNull><Parent><type>Account</type><Name>x</Name></Parent></sObjects><sObjects "
         "xsi:type=\"x:Nope\" xsi:nil=\"true\"/></create>" POAS "\xff" SOAP
         "<upsert><externalIDFieldName>Id</externalIDFieldName><sObjects><type>Account"
         "</type><Id>001000000000001</Id></sObjects></upsert>" POAS,
    SOAP "<delete><ids>001000000000001</ids><ids>006</ids></delete>" POAS "\xff" SOAP
         "<undelete><ids>001000000000001</ids></undelete>" POAS "\xff" SOAP
         "<emptyRecycleBin><ids>x</ids></emptyRecycleBin>" POAS,
    SOAP "<query><queryString>SELECT Id, BillingAddress, Owner.Name, (SELECT Name FROM "
         "Opportunities) FROM Account</queryString></query>" POAS "\xff" SOAP
         "<queryMore><queryLocator>01g-200</queryLocator></queryMore>" POAS "\xff" SOAP
         "<retrieve><fieldList>Id,Name</fieldList><sObjectType>Account</sObjectType><ids>"
         "001000000000001</ids></retrieve>" POAS "\xff" SOAP
         "<queryAll><queryString>SELECT COUNT(Id) n FROM User</queryString></queryAll>" POAS,
    "GET " D "/limits" A "\xffGET " D A "\xffGET " D "/sobjects" A,
    "GET " D "/sobjects/Account/describe/" A "\xffGET /id/x/y?oauth_token=TOKEN",
    "GET " D "/query/?q=SELECT+Id,Name,Owner.Name+FROM+Account+WHERE+Name+LIKE+'a%25'+AND+"
    "SystemModstamp%3E2021-01-01T00:00:00Z+ORDER+BY+Id+LIMIT+10"
    "\nSforce-Query-Options: batchSize=200" A,
    "GET " D "/queryAll/?q=SELECT+FIELDS(ALL)+FROM+Opportunity+LIMIT+2" A "\xffGET " D
    "/query/01g000000000000AAA-2000" A,
    "GET " D
    "/sobjects/Account/deleted/?start=2026-03-02T08:00:00%2B00:00&end=2026-03-02T09:00:00Z" A
    "\xffGET " D
    "/sobjects/Account/updated/?start=2026-03-02T08:00:00%2B00:00&end=2026-03-02T09:00:00Z" A,
    "POST " D "/sobjects/Account" A "{\"Name\":\"N\",\"BillingCity\":null,\"AnnualRevenue\":1.5}"
    "\xffPATCH " D "/sobjects/Account/001uy0000000001" A "{\"Name\":\"M\"}"
    "\xffGET " D "/sobjects/Account/001uy0000000001?fields=Id,Name" A "\xff"
    "DELETE " D "/sobjects/Account/001uy0000000001" A,
    "POST " D "/composite/sobjects" A "{\"allOrNone\":true,\"records\":[{\"attributes\":{\"type\":"
    "\"Account\"},\"Name\":\"a\",\"Parent\":{\"LegacyId__c\":\"x\"}},{\"attributes\":{\"type\":"
    "\"Opportunity\"},\"Amount\":\"1e99\"}]}\xffPATCH " D
    "/composite/sobjects/Account/LegacyId__c" A
    "{\"records\":[{\"attributes\":{\"type\":\"Account\"},\"LegacyId__c\":\"x\",\"Name\":\"b\"}]}"
    "\xffPATCH " D "/sobjects/Account/LegacyId__c/x?updateOnly=true" A "{\"Active__c\":\"true\"}"
    "\xffGET " D "/composite/sobjects/Account?ids=001uy0000000001,x&fields=Id,Owner.Name" A "\xff"
    "DELETE " D "/composite/sobjects?allOrNone=true&ids=001uy0000000001,x" A,
    "POST " D "/composite/batch" A "{\"haltOnError\":true,\"batchRequests\":[{\"method\":\"GET\","
    "\"url\":\"v59.0/query?q=SELECT+Id+FROM+User\"},{\"method\":\"POST\",\"url\":\"v59.0/sobjects/"
    "Account\",\"richInput\":{\"Name\":\"c\"}},{\"method\":\"GET\",\"url\":\"v59.0/jobs/query\"}]}"
    "\xffPOST " D "/composite" A "{\"allOrNone\":true,\"compositeRequest\":[{\"method\":\"POST\","
    "\"url\":\"" D
    "/sobjects/Account\",\"referenceId\":\"a\",\"body\":{\"Name\":\"d\"}},{\"method\":"
    "\"GET\",\"url\":\"" D "/sobjects/Account/@{a.id}\",\"referenceId\":\"b\"}]}",
    "GET " D
    "/query?q=SELECT+StageName,COUNT(Id)+n+FROM+Opportunity+WHERE+CloseDate=NEXT_N_DAYS:90+"
    "AND+AccountId+IN+(SELECT+Id+FROM+Account)+GROUP+BY+StageName+HAVING+COUNT(Id)%3E1" A
    "\xffGET " D
    "/query?q=SELECT+Name,(SELECT+Id,Owner.Name+FROM+Opportunities+LIMIT+2)+FROM+Account" A,
    "POST /services/oauth2/token\n\ngrant_type=password&client_id=tidemark-consumer-key&client_"
    "secret=tidemark-consumer-secret&username=integration@tidemark.example&password=tidemarkTOKEN"
    "\xffPOST /services/oauth2/revoke\n\ntoken=x\xffGET /services/oauth2/userinfo" A,
    "POST /services/oauth2/token\nAuthorization: Basic "
    "dGlkZW1hcmstY29uc3VtZXIta2V5OnRpZGVtYXJrLWNvbnN1bWVyLXNlY3JldA==\n\ngrant_type=client_"
    "credentials",
    "POST /cometd/59.0" A "[{\"channel\":\"/meta/"
    "handshake\",\"version\":\"1.0\",\"supportedConnectionTypes\":[\"long-polling\"],\"id\":\"1\"}]"
    "\xffPOST /cometd/59.0/connect" A "[{\"channel\":\"/meta/"
    "connect\",\"clientId\":\"CLIENT\",\"connectionType\":\"long-polling\",\"id\":\"2\",\"advice\":"
    "{\"timeout\":0}}]"
    "\xffPOST /cometd/59.0" A "[{\"channel\":\"/meta/"
    "subscribe\",\"clientId\":\"CLIENT\",\"subscription\":\"/data/AccountChangeEvent\",\"id\":3,"
    "\"ext\":{\"replay\":{\"/data/AccountChangeEvent\":-2}}},{\"channel\":\"/meta/"
    "subscribe\",\"clientId\":\"CLIENT\",\"subscription\":\"/data/ChangeEvents\"}]"
    "\xffPOST /tidemark/v1/commit\n\n{\"changes\":[{\"change\":\"create\",\"object\":\"Account\","
    "\"fields\":{\"Name\":\"A\"},\"announce\":\"gap\"}]}"
    "\xffPOST /cometd/59.0" A "[{\"channel\":\"/meta/"
    "connect\",\"clientId\":\"CLIENT\",\"connectionType\":\"long-polling\",\"id\":\"4\"}]"
    "\xffPOST /cometd/59.0" A "[{\"channel\":\"/meta/"
    "unsubscribe\",\"clientId\":\"CLIENT\",\"subscription\":\"/data/ChangeEvents\"},{\"channel\":"
    "\"/meta/disconnect\",\"clientId\":\"CLIENT\"}]",
    "POST " D "/sobjects/PushTopic" A "{\"Name\":\"P\",\"Query\":\"SELECT Id, Name FROM Account "
    "WHERE Name != 'x'\",\"ApiVersion\":59.0,\"NotifyForFields\":\"Select\"}"
    "\xffPOST /tidemark/v1/channels\n\n{\"name\":\"S__chn\",\"members\":[{\"object\":\"Account\","
    "\"enriched\":[\"Name\",\"Phone\"]}]}"
    "\xffPOST /cometd/59.0" A "[{\"channel\":\"/meta/"
    "handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]"
    "\xffPOST /cometd/59.0" A "[{\"channel\":\"/meta/subscribe\",\"clientId\":\"CLIENT\","
    "\"subscription\":\"/topic/P?Name='A'&Id=x%20\",\"ext\":{\"replay\":{\"/topic/P\":-2}}},"
    "{\"channel\":\"/meta/subscribe\",\"clientId\":\"CLIENT\",\"subscription\":\"/data/S__chn\","
    "\"ext\":{\"replay\":{\"/data/S__chn\":-2}}},{\"channel\":\"/meta/subscribe\",\"clientId\":"
    "\"CLIENT\",\"subscription\":\"/event/Low_Ink__e\",\"ext\":{\"replay\":{\"/event/Low_Ink__e\":"
    "-2,\"/topic/P\":99}}}]"
    "\xffPOST " D "/sobjects/Low_Ink__e" A "{\"Printer_Model__c\":\"m\",\"Measured__c\":"
    "\"2026-03-02T08:00:00Z\"}"
    "\xffPOST /tidemark/v1/commit\n\n{\"changes\":[{\"change\":\"create\",\"object\":\"Account\","
    "\"fields\":{\"Name\":\"A\"}}]}"
    "\xffPOST /cometd/59.0" A "[{\"channel\":\"/meta/"
    "connect\",\"clientId\":\"CLIENT\",\"connectionType\":\"long-polling\"}]"
    "\xffPOST " D "/sobjects/StreamingChannel" A "{\"Name\":\"/u/n\"}"
    "\xffPOST " D "/sobjects/StreamingChannel/0M6uy0000000001/push" A
    "{\"pushEvents\":[{\"payload\":\"p\",\"userIds\":[]}]}\xffGET " D
    "/sobjects/Low_Ink__e/eventSchema" A "\xffPOST /tidemark/v1/events\n\n{\"object\":"
    "\"Low_Ink__e\",\"fields\":{}}",
    "POST /cometd/replay/36.0" A "{\"channel\":\"/meta/subscribe\",\"clientId\":\"CLIENT\","
    "\"subscription\":\"/data/X__ChangeEvent\",\"ext\":{\"replay\":{\"/data/X__ChangeEvent\":7}}}",
    "POST /tidemark/v1/schema\n\n{\"object\":\"Account\",\"add\":{\"name\":\"X__c\",\"type\":"
    "\"string\",\"length\":10}}\xffPOST /tidemark/v1/schema\n\n{\"object\":\"Account\",\"remove\":"
    "\"X__c\"}\xffPOST /tidemark/v1/faults\n\n{\"expire_tokens\":{}}",
    "POST "
    "/tidemark/v1/faults\n\n{\"slow\":{\"delay\":\"5s\",\"class\":\"query\",\"probability\":0.5},"
    "\"truncate_answer\":[{\"bytes\":7,\"path\":\"/services/"
    "[a-z]*\"}],\"late_rows\":{\"lag\":\"1m\",\"for\":"
    "\"1h\"},\"gap_events\":{\"object\":\"Account\"}}\xffGET " D "/limits" A
    "\xffGET /tidemark/v1/faults?after=0&limit=3\xff"
    "DELETE /tidemark/v1/faults?rule=1\xff"
    "DELETE /tidemark/v1/faults",
    "POST "
    "/tidemark/v1/faults\n\n{\"reset_replay_ids\":{\"every\":\"1m\"},\"purge_bin\":{\"older\":0},"
    "\"streaming_busy\":{\"class\":\"any\"},\"drop_answer\":{\"client\":\"[\"}}\xffPOST "
    "/cometd/59.0" A
    "[{\"channel\":\"/meta/handshake\",\"supportedConnectionTypes\":[\"long-polling\"]}]",
    "POST "
    "/tidemark/v1/commit\n\n{\"changes\":[{\"change\":\"create\",\"object\":\"Account\",\"fields\":"
    "{\"Name\":\"A\"}}],\"hold\":\"5m\"}\xffPOST /tidemark/v1/clock\n\n{\"advance\":\"1h\"}",
    "GET /tidemark/v1/history?limit=2&object=Account&after_pos=0\xffGET /tidemark/v1/clock\xffGET "
    "/tidemark/v1/usage\xffGET /\xffPUT /nowhere",
    "POST " D "/jobs/query" A "{\"operation\":\"queryAll\",\"query\":\"SELECT Id,Name FROM "
    "Account\",\"columnDelimiter\":\"TAB\"}\xffGET " D "/jobs/query/JOBID" A "\xffGET " D
    "/jobs/query/JOBID/results?maxRecords=1" A "\xffGET " D "/jobs/query/JOBID/results?locator=MQ" A
    "\xffGET " D "/jobs/query/JOBID/resultPages" A "\xffPATCH " D "/jobs/query/JOBID" A
    "{\"state\":\"Aborted\"}\xff"
    "DELETE " D "/jobs/query/JOBID" A,
    "POST " D "/jobs/ingest" A "{\"operation\":\"upsert\",\"object\":\"Account\","
    "\"externalIdFieldName\":\"LegacyId__c\"}\xffPUT " D "/jobs/ingest/JOBID/batches" A
    "Name,LegacyId__c\nx,1\n\"y\"\"\",1\n,#N/A\n\xffPATCH " D "/jobs/ingest/JOBID" A
    "{\"state\":\"UploadComplete\"}\xffGET " D "/jobs/ingest/JOBID/failedResults" A "\xffGET " D
    "/jobs/ingest" A,
    "POST /services/async/59.0/job" A "{\"operation\":\"query\",\"object\":\"Account\","
    "\"contentType\":\"JSON\"}\xffPOST /services/async/59.0/job/JOBID/batch" A
    "SELECT Id, Name FROM Account WHERE Name != 'x'\xffGET "
    "/services/async/59.0/job/JOBID/batch/BATCH/result" A
    "\xffGET /services/async/59.0/job/JOBID/batch/BATCH/result/RESULT" A
    "\xffGET /services/async/59.0/job/JOBID/batch/BATCH/request" A,
    "POST /services/async/59.0/job\nSforce-Enable-PKChunking: chunkSize=1" A
    "<jobInfo><operation>query</operation><object>Account</object></jobInfo>\xff"
    "POST /services/async/59.0/job/JOBID/batch" A "SELECT Id FROM Account\xffGET "
    "/services/async/59.0/job/JOBID/batch" A "\xffPOST /services/async/59.0/job/JOBID" A
    "<jobInfo><state>Aborted</state></jobInfo>",
    "POST /services/async/59.0/job" A "{\"operation\":\"insert\",\"object\":\"Account\","
    "\"contentType\":\"JSON\"}\xffPOST /services/async/59.0/job/JOBID/batch" A
    "[{\"Name\":\"x\",\"AnnualRevenue\":\"y\"},{\"Id\":[]}]\xff"
    "GET /services/async/59.0/job/JOBID/batch/BATCH/result" A,
};
FUZZ_PROGRAM(corpus)
