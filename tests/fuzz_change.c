/* fuzz_change: any JSON as the "data" of a delivery; what parses must also have a header text that
 * is JSON. clang: -fsanitize=fuzzer with -DTM_LIBFUZZER; otherwise a program that replays files, or
 * a small corpus of its own. */
#include "event/change.h"
#include "tests/support_fuzz.h"

static const char describe_text[] =
    "{\"name\":\"Account\",\"label\":\"Account\",\"keyPrefix\":\"001\",\"fields\":["
    "{\"name\":\"Id\",\"type\":\"id\"},{\"name\":\"Name\",\"type\":\"string\"},{\"name\":"
    "\"Amount\",\"type\":\"currency\"},"
    "{\"name\":\"CloseDate\",\"type\":\"date\"},{\"name\":\"At\",\"type\":\"datetime\"},{\"name\":"
    "\"Ok\",\"type\":\"boolean\"},"
    "{\"name\":\"BillingAddress\",\"type\":\"address\"},"
    "{\"name\":\"BillingStreet\",\"type\":\"textarea\",\"compoundFieldName\":\"BillingAddress\"},"
    "{\"name\":\"OwnerId\",\"type\":\"reference\"},{\"name\":\"N\",\"type\":\"int\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct tm_describe *d;
    struct tm_change_event e;
    struct tm_err err = { .code = TM_OK };
    if (d == NULL) {
        json_t *json = json_loads(describe_text, 0, NULL);
        if (tm_describe_parse(&d, json, NULL) != TM_OK)
            abort();
        json_decref(json);
    }
    json_t *json = json_loadb((const char *)data, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    tm_change_event_init(&e);
    e.convert_changed_fields = bytes % 2 == 1;
    if (tm_change_event_parse(&e, json, d, &err) == TM_OK) {
        json_t *header = json_loads(e.header_text.data, JSON_ALLOW_NUL, NULL);
        if (header == NULL || e.ids_count == 0)
            abort();
        json_decref(header);
    }
    tm_change_event_free(&e);
    json_decref(json);
    return 0;
}

static const char *const corpus[] = {
    "",
    "{}",
    "[]",
    "null",
    "{\"payload\":{\"ChangeEventHeader\":null},\"event\":{\"replayId\":1}}",
    ("{\"schema\":\"s\",\"payload\":{\"ChangeEventHeader\":{\"changeType\":\"UPDATE\","
     "\"recordIds\":[\"001000000000001AAA\"],"
     "\"changedFields\":[\"BillingAddress.Street\",\"Amount\"]},\"Amount\":1,"
     "\"BillingAddress\":{\"Street\":\"x\"},"
     "\"Name\":{\"diff\":\"--- "
     "\"},\"At\":\"2021-03-05T10:15:30.000Z\"},\"event\":{\"replayId\":7}}"),
    "{\"payload\":{\"ChangeEventHeader\":{\"changeType\":\"GAP_OVERFLOW\",\"recordIds\":[]}},"
    "\"event\":{\"replayId\":7}}",
    ("{\"payload\":{\"ChangeEventHeader\":{\"changeType\":\"UPDATE\",\"recordIds\":[\"001*\"]},"
     "\"BillingAddress\":null,"
     "\"BillingStreet\":\"twice\",\"New__c\":{\"a\":{\"b\":1}}},\"event\":{\"replayId\":7}}"),
};
FUZZ_PROGRAM(corpus)
