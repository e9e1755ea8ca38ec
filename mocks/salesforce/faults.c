#include "mocks/salesforce/faults.h"
#include "base/text.h"
#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_ASKED_MAX 10000000 /* draws gone through after a restart */

struct tm_faults {
    uint64_t seed;
    struct tm_fault_rule rules[TM_FAULT_RULES_MAX]; /* [count], by number */
    size_t count;
    int64_t number_last;
};

enum tm_code tm_faults_open(struct tm_faults **out, uint64_t seed, struct tm_err *err)
{
    struct tm_faults *f = calloc(1, sizeof *f);
    if (f == NULL)
        return tm_fail(err, TM_E_NOMEM, "faults");
    f->seed = seed;
    *out = f;
    return TM_OK;
}

void tm_faults_close(struct tm_faults *f)
{
    free(f);
}

size_t tm_faults_count(const struct tm_faults *f)
{
    return f->count;
}

struct tm_fault_rule *tm_faults_at(const struct tm_faults *f, size_t index)
{
    assert(index < f->count);
    return (struct tm_fault_rule *)&f->rules[index];
}

/* ---- adding and removing ---- */

/* Puts one more rule behind those there; numbers are given by the caller. */
static enum tm_code faults_one(struct tm_faults *f, enum tm_fault_kind kind, const json_t *json,
                               int64_t from_ms, const char *where, struct tm_err *err)
{
    if (f->count == TM_FAULT_RULES_MAX)
        return tm_fail(err, TM_E_ARG, "%s: more than %d rules at a time", where,
                       TM_FAULT_RULES_MAX);
    enum tm_code rc = tm_fault_rule_parse(&f->rules[f->count], kind, json, from_ms, where, err);
    if (rc == TM_OK)
        f->rules[f->count++].number = ++f->number_last;
    return rc;
}

enum tm_code tm_faults_add(struct tm_faults *f, const json_t *kinds, int64_t from_ms,
                           const char *where, int64_t *out_first, struct tm_err *err)
{
    size_t count = f->count, i;
    int64_t number = f->number_last;
    enum tm_code rc = TM_OK;
    const char *name;
    json_t *value, *rule;
    if (!json_is_object(kinds))
        return tm_fail(err, TM_E_ARG, "%s must be an object {kind: rule or list of rules}", where);
    json_object_foreach((json_t *)(uintptr_t)kinds, name, value)
    {
        int kind = rc == TM_OK ? tm_fault_kind_of(name, where, err) : -1;
        if (kind < 0)
            rc = TM_E_ARG;
        else if (!json_is_array(value))
            rc = faults_one(f, (enum tm_fault_kind)kind, value, from_ms, where, err);
        else
            json_array_foreach(value, i, rule) if (rc == TM_OK) rc =
                faults_one(f, (enum tm_fault_kind)kind, rule, from_ms, where, err);
    }
    if (rc != TM_OK) {
        f->count = count;
        f->number_last = number;
    } else if (out_first != NULL)
        *out_first = number + 1;
    return rc;
}

enum tm_code tm_faults_check(const json_t *kinds, const char *where, struct tm_err *err)
{
    struct tm_faults *f = NULL;
    enum tm_code rc = tm_faults_open(&f, 0, err);
    if (rc == TM_OK)
        rc = tm_faults_add(f, kinds, 0, where, NULL, err);
    tm_faults_close(f);
    return rc;
}

size_t tm_faults_remove(struct tm_faults *f, int64_t number)
{
    size_t kept = 0, removed;
    for (size_t i = 0; i < f->count; i++)
        if (number != 0 && f->rules[i].number != number)
            f->rules[kept++] = f->rules[i];
    removed = f->count - kept;
    f->count = kept;
    return removed;
}

static bool fault_used_up(const struct tm_fault_rule *rule)
{
    return rule->count_max > 0 && rule->happened >= rule->count_max;
}

/* The first instant of the rule's after `ms`. */
static int64_t fault_instant_after(const struct tm_fault_rule *rule, int64_t ms)
{
    int64_t next = rule->from_ms;
    if (ms >= next && rule->every_ms == 0)
        return TM_NEVER;
    if (ms >= next)
        next += ((ms - next) / rule->every_ms + 1) * rule->every_ms;
    return next < rule->until_ms && !fault_used_up(rule) ? next : TM_NEVER;
}

/* How often it was asked until it had struck so often: the draws are the seed's, so they are the
 * same again. What was asked beyond its last stroke, in vain, is asked again, in vain. */
static int64_t fault_asked(const struct tm_faults *f, const struct tm_fault_rule *rule)
{
    int64_t asked = 0;
    for (int64_t struck = 0; struck < rule->happened && asked < FAULTS_ASKED_MAX; asked++)
        struck +=
            tm_fault_chance(rule->probability, f->seed, (uint64_t)rule->number, (uint64_t)asked);
    return asked;
}

void tm_faults_resume(struct tm_faults *f, int64_t number, int64_t happened, int64_t last_ms)
{
    if (number > f->number_last)
        f->number_last = number;
    for (size_t i = 0; i < f->count; i++) {
        struct tm_fault_rule *rule = &f->rules[i];
        if (rule->number != number)
            continue;
        rule->happened = happened;
        rule->asked = tm_fault_family(rule->kind) == TM_FAULT_OF_REQUEST ? fault_asked(f, rule) : 0;
        if (tm_fault_family(rule->kind) == TM_FAULT_OF_INSTANT)
            rule->next_ms = fault_instant_after(rule, last_ms);
    }
}

/* ---- who is struck ---- */

static bool fault_under(const char *path, const char *folder)
{
    size_t bytes = strlen(folder);
    return strncmp(path, folder, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/');
}

/* "/services/data/v59.0/query/…" -> "query/…"; "" where there is no such part. */
static const char *fault_resource(const char *path)
{
    static const char root[] = "/services/data/v";
    const char *slash =
        strncmp(path, root, sizeof root - 1) == 0 ? strchr(path + sizeof root - 1, '/') : NULL;
    return slash != NULL ? slash + 1 : "";
}

static bool fault_says(const struct tm_mock_request *r, const char *channel)
{
    return fault_under(r->path, "/cometd") && r->body != NULL &&
           memmem(r->body, r->body_bytes, channel, strlen(channel)) != NULL;
}

static bool fault_is_describe(const char *resource)
{
    size_t bytes = strlen(resource);
    bytes -= bytes > 0 && resource[bytes - 1] == '/';
    return bytes > 9 && strncmp(resource + bytes - 9, "/describe", 9) == 0;
}

bool tm_fault_is_class(const struct tm_mock_request *r, enum tm_fault_class class)
{
    const char *resource = fault_resource(r->path);
    bool rest = fault_under(r->path, "/services/data") && strncmp(resource, "jobs/", 5) != 0;
    switch (class) {
    case TM_FAULT_ANY: return true;
    case TM_FAULT_LOGIN:
        return fault_under(r->path, "/services/oauth2") || fault_under(r->path, "/services/Soap") ||
               fault_under(r->path, "/id");
    case TM_FAULT_REST: return rest;
    case TM_FAULT_QUERY: return rest && strncasecmp(resource, "query", 5) == 0; /* queryAll, too */
    case TM_FAULT_DESCRIBE: return rest && fault_is_describe(resource);
    case TM_FAULT_WRITE:
        return rest && strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0 &&
               (strncmp(resource, "sobjects/", 9) == 0 || strncmp(resource, "composite", 9) == 0);
    case TM_FAULT_BULK:
        return fault_under(r->path, "/services/async") || strncmp(resource, "jobs/", 5) == 0;
    case TM_FAULT_STREAMING: return fault_under(r->path, "/cometd");
    case TM_FAULT_HANDSHAKE: return fault_says(r, "/meta/handshake");
    case TM_FAULT_SUBSCRIBE: return fault_says(r, "/meta/subscribe");
    case TM_FAULT_CONNECT: return fault_says(r, "/meta/connect");
    case TM_FAULT_CLASSES: break;
    }
    assert(0 && "a class of requests");
    return false;
}

static enum tm_fault_stage fault_stage(enum tm_fault_kind kind)
{
    if (kind == TM_FAULT_SLOW)
        return TM_FAULT_ARRIVED;
    return kind <= TM_FAULT_STREAMING_BUSY ? TM_FAULT_SERVED : TM_FAULT_ANSWERED;
}

bool tm_fault_begun(const struct tm_fault_rule *rule, int64_t org_ms)
{
    return org_ms >= rule->from_ms && org_ms < rule->until_ms && !fault_used_up(rule);
}

static bool fault_matches(const struct tm_fault_rule *rule, const struct tm_mock_request *r)
{
    if (rule->kind == TM_FAULT_STREAMING_BUSY && !fault_under(r->path, "/cometd"))
        return false;
    return tm_fault_is_class(r, rule->class) &&
           (rule->method[0] == '\0' || strcmp(rule->method, r->method) == 0) &&
           (rule->path[0] == '\0' || fnmatch(rule->path, r->path, 0) == 0) &&
           (rule->client[0] == '\0' || fnmatch(rule->client, tm_mock_user_agent(r), 0) == 0);
}

bool tm_fault_chance(double probability, uint64_t seed, uint64_t a, uint64_t b)
{
    const uint64_t names[2] = { a, b };
    /* 53 bits: what a double holds */
    return (double)(tm_hash64(names, sizeof names, seed ^ 0x6661756c74) >> 11) * 0x1p-53 <
           probability;
}

struct tm_fault_rule *tm_faults_strike(struct tm_faults *f, enum tm_fault_stage stage,
                                       const struct tm_mock_request *r, bool events)
{
    for (size_t i = 0; i < f->count; i++) {
        struct tm_fault_rule *rule = &f->rules[i];
        if (tm_fault_family(rule->kind) != TM_FAULT_OF_REQUEST ||
            fault_stage(rule->kind) != stage ||
            (stage == TM_FAULT_ANSWERED && rule->class == TM_FAULT_CONNECT && !events) ||
            !tm_fault_begun(rule, r->now.org_ms) || !fault_matches(rule, r))
            continue;
        uint64_t asked = (uint64_t)rule->asked++;
        if (!tm_fault_chance(rule->probability, f->seed, (uint64_t)rule->number, asked))
            continue;
        rule->happened++;
        return rule;
    }
    return NULL;
}

/* ---- instants and times ---- */

struct tm_fault_rule *tm_faults_due(struct tm_faults *f, int64_t org_ms)
{
    struct tm_fault_rule *first = NULL;
    for (size_t i = 0; i < f->count; i++) {
        struct tm_fault_rule *rule = &f->rules[i];
        if (tm_fault_family(rule->kind) == TM_FAULT_OF_INSTANT && rule->next_ms <= org_ms &&
            (first == NULL || rule->next_ms < first->next_ms))
            first = rule;
    }
    if (first != NULL) {
        first->happened++;
        first->next_ms = fault_instant_after(first, org_ms);
    }
    return first;
}

struct tm_fault_rule *tm_faults_in_force(const struct tm_faults *f, enum tm_fault_kind kind,
                                         int64_t org_ms)
{
    assert(tm_fault_family(kind) == TM_FAULT_OF_TIME);
    for (size_t i = f->count; i-- > 0;)
        if (f->rules[i].kind == kind && org_ms >= f->rules[i].from_ms &&
            org_ms < f->rules[i].until_ms)
            return (struct tm_fault_rule *)&f->rules[i];
    return NULL;
}

int64_t tm_faults_hold_ms(const struct tm_faults *f, uint64_t name, int64_t org_ms)
{
    const struct tm_fault_rule *rule = tm_faults_in_force(f, TM_FAULT_HELD_TRANSACTIONS, org_ms);
    if (rule == NULL || !tm_fault_chance(rule->probability, f->seed, (uint64_t)rule->number, name))
        return 0;
    return rule->span_ms;
}

int64_t tm_faults_next_ms(const struct tm_faults *f, int64_t org_ms)
{
    int64_t next = TM_NEVER;
    for (size_t i = 0; i < f->count; i++) {
        const struct tm_fault_rule *rule = &f->rules[i];
        enum tm_fault_family family = tm_fault_family(rule->kind);
        if (family == TM_FAULT_OF_INSTANT && rule->next_ms < next)
            next = rule->next_ms;
        if (family == TM_FAULT_OF_TIME && rule->from_ms > org_ms && rule->from_ms < next)
            next = rule->from_ms;
        if (family == TM_FAULT_OF_TIME && rule->until_ms > org_ms && rule->until_ms < next)
            next = rule->until_ms;
    }
    return next;
}
