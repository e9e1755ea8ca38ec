/* fuzz_relations: any JSON as one object of a relations map. Demanded: a map that is taken has a
 * query, one that is refused says of which object, and whatever tolerance was taken treats a value
 * as itself. */
#include "check/relation.h"
#include "check/vhash.h"
#include "tests/support_fuzz.h"

static const char describe_text[] =
    "{\"name\":\"Deal\",\"label\":\"Deal\",\"keyPrefix\":\"006\",\"fields\":["
    "{\"name\":\"Id\",\"type\":\"id\"},{\"name\":\"Name\",\"type\":\"string\"},{\"name\":"
    "\"Amount\",\"type\":\"currency\"},{\"name\":\"CloseDate\",\"type\":\"date\"},{\"name\":\"At\","
    "\"type\":\"datetime\"},{\"name\":\"Ok\",\"type\":\"boolean\"},{\"name\":\"N\",\"type\":"
    "\"int\"}"
    ",{\"name\":\"F\",\"type\":\"double\",\"calculated\":true}]}";

static void fuzz_tolerances(const struct tm_relation_spec *spec)
{
    const char *field;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)spec->tolerances, field, value)
    {
        struct tm_tolerance t;
        const struct tm_field *f = tm_describe_field(spec->describe, field);
        if (f == NULL || tm_tolerance_parse(&t, value, f->kind, "map", field, NULL) != TM_OK)
            abort();
        uint64_t text = tm_tolerance_text(&t, " a ", 3), number = tm_vhash_real(2.5);
        if (!tm_tolerance_same(&t, text, text) || !tm_tolerance_same(&t, number, number) ||
            tm_tolerance_same(&t, text, number) || tm_tolerance_same(&t, number, TM_VHASH_NULL))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct tm_describe *d;
    struct tm_relation_spec spec;
    struct tm_err err = { .code = TM_OK };
    if (d == NULL) {
        json_t *json = json_loads(describe_text, 0, NULL);
        if (tm_describe_parse(&d, json, NULL) != TM_OK)
            abort();
        json_decref(json);
    }
    json_t *json = json_loadb((const char *)data, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (tm_relation_spec(&spec, "map", "Deal", json, d, &err) == TM_OK) {
        if (spec.query == NULL)
            abort();
        fuzz_tolerances(&spec);
    } else if (err.code != TM_E_ARG || strstr(err.msg, "map: Deal") == NULL) {
        abort();
    }
    json_decref(json);
    return 0;
}

static const char *const corpus[] = {
    "",
    "{}",
    "[1]",
    "{\"query\":\"SELECT * FROM deal\"}",
    ("{\"query\":\"SELECT * FROM "
     "deal\",\"database\":\"x.db\",\"columns\":{\"Name\":\"nm\",\"Amount\":"
     "\"usd\"},\"tolerances\":{\"At\":\"1s\",\"Amount\":{\"scale\":2},\"N\":0.5,\"Name\":[\"trim\","
     "\"empty\"],\"Ok\":\"empty\",\"CloseDate\":\"empty\"}}"),
    "{\"query\":\"SELECT 1\",\"columns\":{\"Name\":\"x\",\"Amount\":\"X\"}}",
    "{\"query\":\"SELECT 1\",\"columns\":{\"Nmae\":\"x\"}}",
    "{\"query\":\"SELECT 1\",\"columns\":{\"Name\":7}}",
    "{\"query\":\"SELECT 1\",\"tolerances\":{\"At\":\"1e999d\"}}",
    "{\"query\":\"SELECT 1\",\"tolerances\":{\"F\":1}}",
    "{\"query\":7,\"querry\":\"x\"}",
    "{\"query\":\"SELECT 1\",\"database\":\"\"}",
};
FUZZ_PROGRAM(corpus)
