/* faults_rule: one rule of a fault, from JSON and back. */
#include "base/config.h"
#include "base/text.h"
#include "mocks/salesforce/faults.h"
#include "mocks/salesforce/scenario.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define RULE_COUNT_MAX 1000000000
#define RULE_HOLD_MS_MAX (10 * 60000LL) /* the longest transaction of the platform */

/* Keys that only some kinds take. Every kind takes `at` and `for`. */
enum {
    KEY_WHO = 1,    /* class, method, path, client */
    KEY_CHANCE = 2, /* probability */
    KEY_COUNT = 4,  /* count */
    KEY_EVERY = 8,  /* every */
    KEY_SPAN = 16,  /* the kind's own duration, required */
    KEY_SPAN_OPT = 32 /* the same, with a preset */,
    KEY_BYTES = 64,
    KEY_STATUS = 128,
    KEY_OBJECT = 256
};
#define RULE_REQUEST (KEY_WHO | KEY_CHANCE | KEY_COUNT)
static const struct rule_kind {
    const char *name;
    enum tm_fault_family family;
    int keys;
    const char *span; /* what its own duration is called */
    enum tm_fault_class class;
} kinds[TM_FAULT_KINDS] = {
    [TM_FAULT_SLOW] = { "slow", TM_FAULT_OF_REQUEST, RULE_REQUEST | KEY_SPAN, "delay",
                        TM_FAULT_ANY },
    [TM_FAULT_DROP_REQUEST] = { "drop_request", TM_FAULT_OF_REQUEST, RULE_REQUEST, NULL,
                                TM_FAULT_ANY },
    [TM_FAULT_SERVER_ERROR] = { "server_error", TM_FAULT_OF_REQUEST, RULE_REQUEST | KEY_STATUS,
                                NULL, TM_FAULT_ANY },
    [TM_FAULT_REQUEST_LIMIT] = { "request_limit", TM_FAULT_OF_REQUEST, RULE_REQUEST, NULL,
                                 TM_FAULT_REST },
    [TM_FAULT_QUERY_TIMEOUT] = { "query_timeout", TM_FAULT_OF_REQUEST, RULE_REQUEST, NULL,
                                 TM_FAULT_QUERY },
    [TM_FAULT_ROW_LOCK] = { "row_lock", TM_FAULT_OF_REQUEST, RULE_REQUEST, NULL, TM_FAULT_WRITE },
    [TM_FAULT_STREAMING_BUSY] = { "streaming_busy", TM_FAULT_OF_REQUEST, RULE_REQUEST, NULL,
                                  TM_FAULT_SUBSCRIBE },
    [TM_FAULT_DROP_ANSWER] = { "drop_answer", TM_FAULT_OF_REQUEST, RULE_REQUEST, NULL,
                               TM_FAULT_ANY },
    [TM_FAULT_TRUNCATE_ANSWER] = { "truncate_answer", TM_FAULT_OF_REQUEST, RULE_REQUEST | KEY_BYTES,
                                   NULL, TM_FAULT_ANY },
    [TM_FAULT_REPEAT_EVENTS] = { "repeat_events", TM_FAULT_OF_REQUEST, RULE_REQUEST, NULL,
                                 TM_FAULT_CONNECT },
    [TM_FAULT_EXPIRE_TOKENS] = { "expire_tokens", TM_FAULT_OF_INSTANT, KEY_EVERY | KEY_COUNT, NULL,
                                 TM_FAULT_ANY },
    [TM_FAULT_FORGET_CLIENTS] = { "forget_clients", TM_FAULT_OF_INSTANT, KEY_EVERY | KEY_COUNT,
                                  NULL, TM_FAULT_ANY },
    [TM_FAULT_PURGE_BIN] = { "purge_bin", TM_FAULT_OF_INSTANT, KEY_EVERY | KEY_COUNT | KEY_SPAN_OPT,
                             "older", TM_FAULT_ANY },
    [TM_FAULT_PURGE_DELETE_LOG] = { "purge_delete_log", TM_FAULT_OF_INSTANT, KEY_EVERY | KEY_COUNT,
                                    NULL, TM_FAULT_ANY },
    [TM_FAULT_EXPIRE_EVENTS] = { "expire_events", TM_FAULT_OF_INSTANT, KEY_EVERY | KEY_COUNT, NULL,
                                 TM_FAULT_ANY },
    [TM_FAULT_RESET_REPLAY_IDS] = { "reset_replay_ids", TM_FAULT_OF_INSTANT, KEY_EVERY | KEY_COUNT,
                                    NULL, TM_FAULT_ANY },
    [TM_FAULT_LATE_ROWS] = { "late_rows", TM_FAULT_OF_TIME, KEY_SPAN, "lag", TM_FAULT_ANY },
    [TM_FAULT_HELD_TRANSACTIONS] = { "held_transactions", TM_FAULT_OF_TIME, KEY_SPAN | KEY_CHANCE,
                                     "hold", TM_FAULT_ANY },
    [TM_FAULT_MERGED_EVENTS] = { "merged_events", TM_FAULT_OF_TIME, KEY_CHANCE | KEY_OBJECT, NULL,
                                 TM_FAULT_ANY },
    [TM_FAULT_GAP_EVENTS] = { "gap_events", TM_FAULT_OF_TIME, KEY_CHANCE | KEY_OBJECT, NULL,
                              TM_FAULT_ANY },
    [TM_FAULT_OVERFLOW_EVENTS] = { "overflow_events", TM_FAULT_OF_TIME, KEY_CHANCE | KEY_OBJECT,
                                   NULL, TM_FAULT_ANY },
    [TM_FAULT_TEXT_DIFFS] = { "text_diffs", TM_FAULT_OF_TIME, KEY_CHANCE | KEY_OBJECT, NULL,
                              TM_FAULT_ANY },
    [TM_FAULT_SILENT_CHANGES] = { "silent_changes", TM_FAULT_OF_TIME, KEY_CHANCE | KEY_OBJECT, NULL,
                                  TM_FAULT_ANY },
    [TM_FAULT_MILLISECOND_STAMPS] = { "millisecond_stamps", TM_FAULT_OF_TIME, 0, NULL,
                                      TM_FAULT_ANY },
};
static const char *const class_names[TM_FAULT_CLASSES] = { "any",       "login",     "rest",
                                                           "query",     "describe",  "write",
                                                           "bulk",      "streaming", "handshake",
                                                           "subscribe", "connect" };

const char *tm_fault_name(enum tm_fault_kind kind)
{
    assert((unsigned)kind < TM_FAULT_KINDS);
    return kinds[kind].name;
}
enum tm_fault_family tm_fault_family(enum tm_fault_kind kind)
{
    assert((unsigned)kind < TM_FAULT_KINDS);
    return kinds[kind].family;
}

static enum tm_code rule_unknown(const char *what, const char *word, const char *const *known,
                                 size_t known_count, const char *where, struct tm_err *err)
{
    const char *near = tm_nearest(word, known, known_count);
    return tm_fail(err, TM_E_ARG, "%s: unknown %s \"%.40s\"%s%s%s", where, what, word,
                   near != NULL ? ": did you mean \"" : "", near != NULL ? near : "",
                   near != NULL ? "\"?" : "");
}

int tm_fault_kind_of(const char *name, const char *where, struct tm_err *err)
{
    const char *names[TM_FAULT_KINDS];
    for (int i = 0; i < TM_FAULT_KINDS; i++) {
        names[i] = kinds[i].name;
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    rule_unknown("key", name, names, TM_FAULT_KINDS, where, err);
    return -1;
}

/* ---- reading ---- */

struct rule_read { /* one rule while it is read */
    struct tm_fault_rule *out;
    const struct rule_kind *kind;
    const json_t *json;
    char where[200];
};

static enum tm_code rule_keys(const struct rule_read *r, struct tm_err *err)
{
    const char *known[16] = { "at", "for" }, *key;
    size_t count = 2;
    int keys = r->kind->keys;
    json_t *value;
    const struct {
        int bit;
        const char *name;
    } all[] = { { KEY_WHO, "class" },    { KEY_WHO, "method" },         { KEY_WHO, "path" },
                { KEY_WHO, "client" },   { KEY_CHANCE, "probability" }, { KEY_COUNT, "count" },
                { KEY_EVERY, "every" },  { KEY_BYTES, "bytes" },        { KEY_STATUS, "status" },
                { KEY_OBJECT, "object" } };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if ((keys & all[i].bit) != 0)
            known[count++] = all[i].name;
    if (r->kind->span != NULL)
        known[count++] = r->kind->span;
    json_object_foreach((json_t *)(uintptr_t)r->json, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(known[i], key) != 0)
            i++;
        if (i == count)
            return rule_unknown("key", key, known, count, r->where, err);
    }
    return TM_OK;
}

static enum tm_code rule_duration(const struct rule_read *r, int64_t *out, const char *key,
                                  struct tm_err *err)
{
    char path[260];
    const json_t *v = json_object_get(r->json, key);
    snprintf(path, sizeof path, "%s: %s", r->where, key);
    return v == NULL ? TM_OK : tm_duration_ms(out, v, path, err);
}

static enum tm_code rule_text(const struct rule_read *r, char *out, size_t out_bytes,
                              const char *key, struct tm_err *err)
{
    const json_t *v = json_object_get(r->json, key);
    const char *text = json_string_value(v);
    if (v == NULL)
        return TM_OK;
    if (text == NULL || *text == '\0' || strlen(text) >= out_bytes)
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a text of 1 to %zu characters", r->where,
                       key, out_bytes - 1);
    snprintf(out, out_bytes, "%s", text);
    return TM_OK;
}

static enum tm_code rule_whole(const struct rule_read *r, int64_t *out, const char *key,
                               int64_t last, struct tm_err *err)
{
    const json_t *v = json_object_get(r->json, key);
    if (v == NULL)
        return TM_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > last)
        return tm_fail(err, TM_E_ARG, "%s: \"%s\" must be a whole number from 1 to %lld", r->where,
                       key, (long long)last);
    *out = json_integer_value(v);
    return TM_OK;
}

static enum tm_code rule_when(const struct rule_read *r, int64_t origin_ms, struct tm_err *err)
{
    struct tm_fault_rule *out = r->out;
    int64_t at = 0, length = -1;
    enum tm_code rc = rule_duration(r, &at, "at", err);
    if (rc == TM_OK)
        rc = rule_duration(r, &length, "for", err);
    if (rc == TM_OK)
        rc = rule_duration(r, &out->every_ms, "every", err);
    if (rc == TM_OK && length == 0)
        rc = tm_fail(err, TM_E_ARG, "%s: \"for\" must not be zero; without it there is no end",
                     r->where);
    if (rc == TM_OK && out->every_ms == 0 && json_object_get(r->json, "every") != NULL)
        rc = tm_fail(err, TM_E_ARG, "%s: \"every\" must not be zero", r->where);
    out->from_ms = origin_ms + at;
    out->until_ms = length < 0 ? TM_NEVER : out->from_ms + length;
    out->next_ms = out->from_ms;
    return rc;
}

static enum tm_code rule_who(const struct rule_read *r, struct tm_err *err)
{
    struct tm_fault_rule *out = r->out;
    const json_t *class = json_object_get(r->json, "class");
    int i = 0;
    out->class = r->kind->class;
    if (class != NULL) {
        const char *name = json_is_string(class) ? json_string_value(class) : "";
        while (i < TM_FAULT_CLASSES && strcmp(class_names[i], name) != 0)
            i++;
        if (i == TM_FAULT_CLASSES)
            return rule_unknown("class", name, class_names, TM_FAULT_CLASSES, r->where, err);
        out->class = (enum tm_fault_class)i;
    }
    enum tm_code rc = rule_text(r, out->method, sizeof out->method, "method", err);
    if (rc == TM_OK)
        rc = rule_text(r, out->path, sizeof out->path, "path", err);
    return rc == TM_OK ? rule_text(r, out->client, sizeof out->client, "client", err) : rc;
}

static enum tm_code rule_span(const struct rule_read *r, struct tm_err *err)
{
    struct tm_fault_rule *out = r->out;
    enum tm_code rc = rule_duration(r, &out->span_ms, r->kind->span, err);
    if (rc == TM_OK && (r->kind->keys & KEY_SPAN) != 0 && out->span_ms == 0)
        rc = tm_fail(err, TM_E_ARG, "%s: needs \"%s\", a duration above zero", r->where,
                     r->kind->span);
    if (rc == TM_OK && out->kind == TM_FAULT_HELD_TRANSACTIONS && out->span_ms > RULE_HOLD_MS_MAX)
        rc = tm_fail(err, TM_E_ARG, "%s: \"hold\" is 10m at most: no transaction lasts longer",
                     r->where);
    return rc;
}

static enum tm_code rule_rest(const struct rule_read *r, struct tm_err *err)
{
    struct tm_fault_rule *out = r->out;
    const json_t *p = json_object_get(r->json, "probability");
    int64_t status = 503;
    enum tm_code rc = TM_OK;
    out->probability = p == NULL ? 1 : json_number_value(p);
    if (p != NULL &&
        (!json_is_number(p) || !(json_number_value(p) > 0) || json_number_value(p) > 1))
        rc = tm_fail(err, TM_E_ARG, "%s: \"probability\" must be a number above 0, up to 1",
                     r->where);
    if (rc == TM_OK)
        rc = rule_whole(r, &out->count_max, "count", RULE_COUNT_MAX, err);
    out->bytes = -1;
    if (rc == TM_OK)
        rc = rule_whole(r, &out->bytes, "bytes", RULE_COUNT_MAX, err);
    if (rc == TM_OK)
        rc = rule_whole(r, &status, "status", 599, err);
    if (rc == TM_OK && status != 500 && status != 502 && status != 503)
        rc = tm_fail(err, TM_E_ARG, "%s: \"status\" must be 500, 502 or 503", r->where);
    out->status = (int)status;
    return rc == TM_OK ? rule_text(r, out->object, sizeof out->object, "object", err) : rc;
}

enum tm_code tm_fault_rule_parse(struct tm_fault_rule *out, enum tm_fault_kind kind,
                                 const json_t *json, int64_t from_ms, const char *where,
                                 struct tm_err *err)
{
    struct rule_read r = { .out = out, .kind = &kinds[kind], .json = json };
    *out = (struct tm_fault_rule){ .kind = kind };
    snprintf(r.where, sizeof r.where, "%.150s: %s", where, kinds[kind].name);
    if (!json_is_object(json))
        return tm_fail(err, TM_E_ARG, "%s must be a rule, as {\"at\": \"10m\"}, or a list of them",
                       r.where);
    enum tm_code rc = rule_keys(&r, err);
    if (rc == TM_OK)
        rc = rule_when(&r, from_ms, err);
    if (rc == TM_OK)
        rc = rule_who(&r, err);
    if (rc == TM_OK && r.kind->span != NULL)
        rc = rule_span(&r, err);
    return rc == TM_OK ? rule_rest(&r, err) : rc;
}

/* ---- telling ---- */

static void rule_tell_span(json_t *to, const char *key, int64_t ms)
{
    if (ms % 1000 == 0)
        json_object_set_new(to, key, json_sprintf("%llds", (long long)(ms / 1000)));
    else
        json_object_set_new(to, key, json_sprintf("%lldms", (long long)ms));
}

static void rule_tell_who(json_t *to, const struct tm_fault_rule *rule)
{
    const struct {
        const char *key, *text;
    } texts[] = { { "method", rule->method }, { "path", rule->path }, { "client", rule->client } };
    json_object_set_new(to, "class", json_string(class_names[rule->class]));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].text[0] != '\0')
            json_object_set_new(to, texts[i].key, json_string(texts[i].text));
}

json_t *tm_fault_json(const struct tm_fault_rule *rule, int64_t org_ms)
{
    const struct rule_kind *kind = &kinds[rule->kind];
    bool instant = kind->family == TM_FAULT_OF_INSTANT;
    char from[TM_TIME_BYTES], until[TM_TIME_BYTES];
    json_t *to = json_pack("{s:I,s:s,s:s,s:b}", "rule", (json_int_t)rule->number, "what",
                           kind->name, "from", tm_time_z(from, rule->from_ms), "in_force",
                           instant ? rule->next_ms != TM_NEVER : tm_fault_begun(rule, org_ms));
    json_object_set_new(to, "until",
                        rule->until_ms != TM_NEVER ? json_string(tm_time_z(until, rule->until_ms))
                                                   : json_null());
    json_object_set_new(to, "happened", json_integer(rule->happened));
    if (kind->family == TM_FAULT_OF_REQUEST)
        rule_tell_who(to, rule);
    if ((kind->keys & KEY_CHANCE) != 0)
        json_object_set_new(to, "probability", json_real(rule->probability));
    if (rule->count_max > 0)
        json_object_set_new(to, "count", json_integer(rule->count_max));
    if (rule->every_ms > 0)
        rule_tell_span(to, "every", rule->every_ms);
    if (kind->span != NULL)
        rule_tell_span(to, kind->span, rule->span_ms);
    if ((kind->keys & KEY_STATUS) != 0)
        json_object_set_new(to, "status", json_integer(rule->status));
    if (rule->bytes >= 0 && (kind->keys & KEY_BYTES) != 0)
        json_object_set_new(to, "bytes", json_integer(rule->bytes));
    if (rule->object[0] != '\0')
        json_object_set_new(to, "object", json_string(rule->object));
    return to;
}
