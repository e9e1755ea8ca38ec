/* fuzz_bulk: any bytes as what Bulk reads from outside: a jobInfo in JSON and XML, the PK chunking
 * header, CSV, and every answer of a job to the client that reads it. The input is cut at "\xff":
 * piece i answers exchange i; its first byte picks the status. clang: -fsanitize=fuzzer with
 * -DTM_LIBFUZZER; otherwise a program that replays files, or a small corpus of its own. */
#include "base/log.h"
#include "mocks/salesforce/bulk_impl.h"
#include "salesforce/bulk.h"
#include "base/csv.h"
#include "tests/support_fuzz.h"
#include "tests/support_fuzz_http.h"

/* Behind the status: the locator up to a line end, then the body. */
static enum tm_code fuzz_poll(struct tm_http *http, struct tm_http_call *call,
                              struct tm_http_reply *reply, struct tm_err *err)
{
    static const int statuses[] = { 200, 204, 200, 400, 401, 404, 429, 500 };
    struct tm_http_call c = *call;
    fuzz_cancel(http, call);
    if (c.bytes == 0)
        return tm_fail_retry(err, TM_E_IO, "broken");
    reply->status = statuses[c.data[0] % (sizeof statuses / sizeof statuses[0])];
    const uint8_t *line = memchr(c.data, '\n', c.bytes);
    size_t head = line != NULL ? (size_t)(line - c.data) : 0;
    if (head > 1)
        tm_buf_addf(&reply->headers, "Sforce-Locator: %.*s\r\n", (int)(head - 1),
                    (const char *)c.data + 1);
    tm_buf_add(&reply->body, c.data + head + 1, c.bytes - head - 1);
    return TM_OK;
}

static void fuzz_client(const uint8_t *data, size_t bytes, const struct tm_describe *d)
{
    static const struct tm_http_ops ops = { fuzz_start, fuzz_poll, fuzz_cancel, fuzz_close };
    static const struct tm_sf_settings set = { .instance = "http://o",
                                               .consumer_key = "k",
                                               .consumer_secret = "s",
                                               .grant = TM_SF_CLIENT_CREDENTIALS,
                                               .api_version = "59.0",
                                               .seed = 1 };
    static const char signed_in[] = "\x10\n{\"access_token\":\"T\",\"instance_url\":\"http://o\"}";
    struct fuzz_port p = { .base = { .ops = &ops },
                           .data = (const uint8_t *)signed_in,
                           .bytes = sizeof signed_in - 1 };
    struct tm_sf_session *s = NULL;
    struct tm_sf_bulk *b = NULL;
    struct tm_now now = { .wall_ns = TM_NS_PER_S };
    if (tm_sf_session_open(&s, &p.base, &set, NULL) != TM_OK)
        abort();
    for (int i = 0; i < 10 && tm_sf_session_ready(s, &now, NULL) != TM_OK; i++)
        continue;
    p.data = data;
    p.bytes = bytes;
    if (tm_sf_bulk_open(&b, s, "SELECT Id FROM Account", false, 10, d, NULL, NULL) != TM_OK)
        abort();
    for (int i = 0; i < 200 && p.bytes > 0; i++, now.wall_ns += 10 * TM_NS_PER_S) {
        json_t *records = NULL;
        bool done = false;
        enum tm_code rc = tm_sf_bulk_next(b, &now, &records, &done, NULL);
        if (rc == TM_OK && !json_is_array(records))
            abort();
        json_decref(records);
        if (done || (rc != TM_OK && rc != TM_E_AGAIN))
            break;
    }
    tm_sf_bulk_close(b);
    tm_sf_session_close(s);
}

static void fuzz_csv(const uint8_t *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    struct tm_csv c;
    struct tm_csv_field fields[8];
    size_t count = 1;
    if (copy == NULL)
        abort();
    memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    tm_csv_init(&c, copy, bytes, ',');
    while (count > 0 && tm_csv_record(&c, fields, 8, &count, NULL) == TM_OK)
        for (size_t i = 0; i < count; i++)
            if (strlen(fields[i].text) != fields[i].bytes)
                abort();
    free(copy);
}

static void fuzz_words(const uint8_t *data, size_t bytes)
{
    struct bulk_words words;
    char *text = malloc(bytes + 1), from[TM_ID_BYTES], parent[96];
    int64_t rows;
    if (text == NULL)
        abort();
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    if (bulk_words_json(&words, text, bytes, NULL) == TM_OK && words.count > BULK_WORDS_MAX)
        abort();
    if (bulk_words_xml(&words, text, bytes, NULL) == TM_OK && words.count > BULK_WORDS_MAX)
        abort();
    if (bulk_words_chunking(text, &rows, from, parent, NULL) == TM_OK && rows < 0)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct tm_describe *d; /* read once, kept */
    tm_log_init("fuzz", TM_LOG_ERROR);
    if (d == NULL && tm_describe_load(&d, "fixtures/objects/Account.json", NULL) != TM_OK)
        abort();
    fuzz_words(data, bytes);
    fuzz_csv(data, bytes);
    fuzz_client(data, bytes, d);
    return 0;
}

#define MADE "\x10\n{\"id\":\"750000000000001AAA\"}\xff"
#define COMPLETE "\x10\n{\"state\":\"JobComplete\"}\xff"
static const char *const corpus[] = {
    "",
    "x",
    "\xff\xff\xff",
    "chunkSize=100000; startRow=001000000000001AAA; parent=Account",
    "chunkSize=0;;true;=",
    "{\"operation\":\"query\",\"object\":\"Account\",\"contentType\":\"CSV\",\"apiVersion\":59}",
    "{\"operation\":{\"a\":[]}}",
    "<jobInfo xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\"><operation>query</operation>"
    "<object>Account</object></jobInfo>",
    "<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;\">]><jobInfo><a>&d;</a></jobInfo>",
    "<a:jobInfo xmlns:a=\"b\"><a:c>&#0;</a:c>",
    "\"a\"\"b\",\"c\nd\"\r\n,\n\"",
    "a,b\rc\r\n\"\"\"\"\n",
    MADE COMPLETE "\x10MQ\n\"Id\",\"Name\"\n\"1\",\"a\"\xff\x10null\n\"Id\"\n\"2\"\n\xff\x09\n",
    MADE "\x10\n{\"state\":\"InProgress\"}\xff" COMPLETE "\x11\n\xff" COMPLETE "\x10\n\"Id\"\n",
    MADE COMPLETE
    "\x10null\n\"NumberOfEmployees\",\"IsDeleted\",\"AnnualRevenue\"\n\"1e\",\"maybe\","
    "\"0x\"\xff",
    MADE COMPLETE "\x10"
                  "a b?\n\"Id\"\n",
    MADE "\x10\n{\"state\":\"Failed\",\"errorMessage\":\"INVALID_FIELD\"}\xff",
    "\x13\n[{\"errorCode\":\"API_ERROR\",\"message\":\"x\"}]\xff",
};
FUZZ_PROGRAM(corpus)
