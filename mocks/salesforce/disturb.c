#include "mocks/salesforce/disturb.h"
#include "base/text.h"
#include "mocks/salesforce/control.h"
#include "mocks/salesforce/disturb_impl.h"
#include "mocks/salesforce/scenario.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISTURB_LIST_MAX 2000
#define DISTURB_BUSY_NS (1 * TM_NS_PER_MS) /* org.db is locked: when to try again */

/* ---- the log ---- */

void disturb_log(struct tm_disturb *d, const struct tm_fault_rule *rule, const struct tm_now *now,
                 int64_t until_ms, const struct tm_mock_request *r, const char *detail)
{
    char request[256] = "";
    if (r != NULL)
        snprintf(request, sizeof request, "%.11s %.240s", r->method, r->path);
    const struct tm_org_fault fault = { .rule = rule->number,
                                        .what = tm_fault_name(rule->kind),
                                        .org_ms = now->org_ms,
                                        .wall_ns = now->wall_ns,
                                        .until_ms = until_ms == TM_NEVER ? 0 : until_ms,
                                        .request = request,
                                        .client = r != NULL ? tm_mock_user_agent(r) : "",
                                        .detail = detail };
    /* One that cannot be written is lost: the fault has struck, and the answer must not fail. */
    tm_org_fault_add(d->ports.org, &fault, NULL);
}

/* ---- what happens at an instant ---- */

static enum tm_code disturb_act(struct tm_disturb *d, const struct tm_fault_rule *rule,
                                const struct tm_now *now, char *detail, size_t detail_bytes,
                                struct tm_err *err)
{
    struct tm_org *org = d->ports.org;
    int64_t count = 0;
    enum tm_code rc = TM_OK;
    switch (rule->kind) {
    case TM_FAULT_EXPIRE_TOKENS: tm_oauth_expire_all(d->ports.oauth); break;
    case TM_FAULT_FORGET_CLIENTS:
        count = (int64_t)tm_bayeux_clients(d->ports.bayeux);
        tm_bayeux_forget_all(d->ports.bayeux);
        snprintf(detail, detail_bytes, "%" PRId64 " clients", count);
        break;
    case TM_FAULT_PURGE_BIN:
        rc = tm_org_purge_bin(org, now, rule->span_ms, &count, err);
        snprintf(detail, detail_bytes, "%" PRId64 " records", count);
        break;
    case TM_FAULT_PURGE_DELETE_LOG: rc = tm_org_purge_delete_log(org, now->org_ms, err); break;
    case TM_FAULT_EXPIRE_EVENTS:
        rc = tm_org_forget(org, now->org_ms, err);
        if (rc == TM_OK && d->ports.stream != NULL)
            rc = tm_stream_forget(d->ports.stream, now->org_ms, err);
        break;
    default: /* reset_replay_ids: its clients sit on positions of the old bus */
        rc = tm_org_replay_restart(org, 1, err);
        if (rc == TM_OK && d->ports.stream != NULL)
            rc = tm_stream_reset(d->ports.stream, err);
        if (rc == TM_OK)
            tm_bayeux_forget_all(d->ports.bayeux);
    }
    return rc;
}

static enum tm_code disturb_instants(struct tm_disturb *d, const struct tm_now *now,
                                     struct tm_err *err)
{
    struct tm_fault_rule *rule;
    while ((rule = tm_faults_due(d->faults, now->org_ms)) != NULL) {
        char detail[80] = "";
        enum tm_code rc = disturb_act(d, rule, now, detail, sizeof detail, err);
        if (rc != TM_OK) { /* not now: as if it had not been due yet */
            rule->happened--;
            rule->next_ms = now->org_ms;
            return rc;
        }
        disturb_log(d, rule, now, 0, NULL, detail);
    }
    return TM_OK;
}

/* ---- what lasts ---- */

static enum tm_code disturb_times(struct tm_disturb *d, const struct tm_now *now,
                                  struct tm_err *err)
{
    static const struct {
        enum tm_fault_kind kind;
        enum tm_org_announce how;
    } announced[] = { { TM_FAULT_MERGED_EVENTS, TM_ORG_MERGED },
                      { TM_FAULT_GAP_EVENTS, TM_ORG_GAP },
                      { TM_FAULT_OVERFLOW_EVENTS, TM_ORG_OVERFLOW },
                      { TM_FAULT_TEXT_DIFFS, TM_ORG_DIFF },
                      { TM_FAULT_SILENT_CHANGES, TM_ORG_SILENT } };
    struct tm_org_quirks quirks = { 0 };
    const struct tm_fault_rule *rule =
        tm_faults_in_force(d->faults, TM_FAULT_LATE_ROWS, now->org_ms);
    quirks.index_lag_ms = rule != NULL ? rule->span_ms : 0;
    quirks.millisecond_stamps =
        tm_faults_in_force(d->faults, TM_FAULT_MILLISECOND_STAMPS, now->org_ms) != NULL;
    for (size_t i = 0; i < sizeof announced / sizeof announced[0]; i++) {
        struct tm_org_quirk *q = &quirks.announce[announced[i].how];
        rule = tm_faults_in_force(d->faults, announced[i].kind, now->org_ms);
        if (rule == NULL)
            continue;
        q->probability = rule->probability;
        snprintf(q->object, sizeof q->object, "%s", rule->object);
    }
    for (size_t i = 0; i < tm_faults_count(d->faults); i++) {
        struct tm_fault_rule *each = tm_faults_at(d->faults, i);
        bool begins = tm_fault_family(each->kind) == TM_FAULT_OF_TIME && !each->in_force &&
                      tm_fault_begun(each, now->org_ms);
        if (!begins)
            continue;
        if (each->happened++ == 0) /* a server that was started again goes on with it */
            disturb_log(d, each, now, each->until_ms, NULL, "");
        each->in_force = true;
    }
    return tm_org_quirks_set(d->ports.org, &quirks, now->org_ms, err);
}

/* ---- transactions held open ---- */

static void disturb_held_log(struct tm_disturb *d, const struct disturb_held *h,
                             const struct tm_now *now, const char *detail)
{
    const struct tm_org_fault fault = { .what = tm_fault_name(TM_FAULT_HELD_TRANSACTIONS),
                                        .org_ms = h->written_ms,
                                        .wall_ns = now->wall_ns,
                                        .until_ms = h->due_ms,
                                        .request = "POST /tidemark/v1/commit",
                                        .client = "",
                                        .detail = detail };
    tm_org_fault_add(d->ports.org, &fault, NULL);
}

static void disturb_held_drop(struct tm_disturb *d, struct disturb_held *h)
{
    json_decref(h->request);
    *h = d->held[--d->held_count];
}

static enum tm_code disturb_held_due(struct tm_disturb *d, const struct tm_now *now,
                                     struct tm_err *err)
{
    for (size_t i = 0; i < d->held_count;) {
        struct disturb_held *h = &d->held[i];
        struct tm_err mine = { 0 };
        json_t *answer = NULL;
        char detail[TM_FAULT_TEXT_BYTES * 2] = "", text[700];
        if (h->due_ms > now->org_ms) {
            i++;
            continue;
        }
        tm_org_unlock(d->ports.org, h->number);
        enum tm_code rc =
            tm_control_commit(d->ports.org, h->request, now, h->written_ms, &answer, &mine);
        if (rc != TM_OK && rc != TM_E_ARG) {
            if (err != NULL)
                *err = mine;
            return rc;
        }
        if (rc == TM_OK)
            snprintf(detail, sizeof detail, "committed, position %" JSON_INTEGER_FORMAT,
                     json_integer_value(json_array_get(json_object_get(answer, "pos"), 0)));
        else
            snprintf(detail, sizeof detail, "rolled back: %.250s",
                     tm_err_text(&mine, text, sizeof text));
        json_decref(answer);
        disturb_held_log(d, h, now, detail);
        disturb_held_drop(d, h);
    }
    return TM_OK;
}

static enum tm_code disturb_lock(struct tm_disturb *d, int64_t number, const json_t *body,
                                 struct tm_err *err)
{
    size_t i;
    json_t *change;
    enum tm_code rc = TM_OK;
    json_array_foreach(json_object_get(body, "changes"), i, change)
    {
        const char *id = json_string_value(json_object_get(change, "id"));
        if (rc == TM_OK && id != NULL)
            rc = tm_org_lock(d->ports.org, number, id, err);
    }
    if (rc != TM_OK)
        tm_org_unlock(d->ports.org, number);
    return rc;
}

enum tm_code tm_disturb_commit(struct tm_disturb *d, const json_t *body, const struct tm_now *now,
                               json_t **out, struct tm_err *err)
{
    const json_t *hold = json_object_get(body, "hold");
    int64_t hold_ms = 0;
    char until[TM_TIME_BYTES];
    if (hold == NULL)
        return tm_control_commit(d->ports.org, body, now, 0, out, err);
    enum tm_code rc = tm_duration_ms(&hold_ms, hold, "hold", err);
    if (rc == TM_OK && (hold_ms <= 0 || hold_ms > TM_DISTURB_HOLD_MS_MAX))
        rc = tm_fail(err, TM_E_ARG, "hold: above 0 and 10m at most: no transaction lasts longer");
    if (rc == TM_OK && d->held_count == TM_DISTURB_HELD_MAX)
        rc = tm_fail(err, TM_E_ARG, "hold: %d transactions are open already", TM_DISTURB_HELD_MAX);
    if (rc == TM_OK)
        rc = tm_control_check(d->ports.org, body, err);
    if (rc == TM_OK)
        rc = disturb_lock(d, d->held_last + 1, body, err);
    if (rc != TM_OK)
        return rc;
    struct disturb_held *h = &d->held[d->held_count++];
    *h = (struct disturb_held){ ++d->held_last, now->org_ms, now->org_ms + hold_ms,
                                json_deep_copy(body) };
    *out = json_pack("{s:I,s:I,s:s}", "held", (json_int_t)h->number, "commits_ms",
                     (json_int_t)h->due_ms, "commits", tm_time_z(until, h->due_ms));
    return h->request != NULL && *out != NULL ? TM_OK
                                              : tm_fail(err, TM_E_NOMEM, "an open transaction");
}

int64_t tm_disturb_hold_ms(struct tm_disturb *d, uint64_t number, const struct tm_now *now)
{
    int64_t hold_ms = tm_faults_hold_ms(d->faults, number, now->org_ms);
    struct tm_fault_rule *rule =
        hold_ms > 0 ? tm_faults_in_force(d->faults, TM_FAULT_HELD_TRANSACTIONS, now->org_ms) : NULL;
    if (rule != NULL)
        disturb_log(d, rule, now, now->org_ms + hold_ms, NULL, "a transaction stays open");
    return hold_ms;
}

/* ---- the step ---- */

static void disturb_wake(const struct tm_disturb *d, struct tm_wake *wake)
{
    if (d->edge_ms < wake->org_ms)
        wake->org_ms = d->edge_ms;
    for (size_t i = 0; i < d->held_count; i++)
        if (d->held[i].due_ms < wake->org_ms)
            wake->org_ms = d->held[i].due_ms;
}

enum tm_code tm_disturb_step(struct tm_disturb *d, const struct tm_now *now, struct tm_wake *wake,
                             struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (d->held_count > 0)
        rc = disturb_held_due(d, now, err);
    if (rc == TM_OK && now->org_ms >= d->edge_ms) {
        rc = disturb_instants(d, now, err);
        if (rc == TM_OK)
            rc = disturb_times(d, now, err);
        if (rc == TM_OK)
            d->edge_ms = tm_faults_next_ms(d->faults, now->org_ms);
    }
    if (rc == TM_E_AGAIN && now->wall_ns + DISTURB_BUSY_NS < wake->wall_ns)
        wake->wall_ns = now->wall_ns + DISTURB_BUSY_NS;
    disturb_wake(d, wake);
    return rc;
}

/* ---- opening ---- */

static void disturb_resume(void *data, int64_t rule, int64_t happened, int64_t last_ms)
{
    struct tm_disturb *d = data;
    tm_faults_resume(d->faults, rule, happened, last_ms);
}

/* An object that a rule names must be there: one that is not would be waited for in vain. */
static enum tm_code disturb_objects(const struct tm_disturb *d, int64_t first, struct tm_err *err)
{
    for (size_t i = 0; i < tm_faults_count(d->faults); i++) {
        const struct tm_fault_rule *rule = tm_faults_at(d->faults, i);
        if (rule->number >= first && rule->object[0] != '\0' &&
            tm_org_describe(d->ports.org, rule->object) == NULL)
            return tm_fail(err, TM_E_ARG, "faults: %s: this org has no object \"%.80s\"",
                           tm_fault_name(rule->kind), rule->object);
    }
    return TM_OK;
}

enum tm_code tm_disturb_open(struct tm_disturb **out, const struct tm_disturb_ports *ports,
                             const json_t *rules, int64_t origin_ms, uint64_t seed,
                             struct tm_err *err)
{
    struct tm_disturb *d = calloc(1, sizeof *d);
    if (d == NULL)
        return tm_fail(err, TM_E_NOMEM, "faults");
    d->ports = *ports;
    d->edge_ms = INT64_MIN;
    enum tm_code rc = tm_faults_open(&d->faults, seed, err);
    if (rc == TM_OK && rules != NULL)
        rc = tm_faults_add(d->faults, rules, origin_ms, "faults", NULL, err);
    if (rc == TM_OK)
        rc = disturb_objects(d, 0, err);
    if (rc == TM_OK)
        rc = tm_org_fault_rules(ports->org, disturb_resume, d, err);
    if (rc == TM_OK)
        *out = d;
    else
        tm_disturb_close(d);
    return rc;
}

void tm_disturb_close(struct tm_disturb *d)
{
    if (d == NULL)
        return;
    while (d->held_count > 0) {
        tm_org_unlock(d->ports.org, d->held[0].number);
        disturb_held_drop(d, &d->held[0]);
    }
    tm_faults_close(d->faults);
    free(d);
}

/* ---- control ---- */

static json_t *disturb_rules(const struct tm_disturb *d, int64_t first, const struct tm_now *now)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < tm_faults_count(d->faults); i++) {
        const struct tm_fault_rule *rule = tm_faults_at(d->faults, i);
        if (rule->number >= first)
            json_array_append_new(rules, tm_fault_json(rule, now->org_ms));
    }
    return rules;
}

/* What begins now begins before the answer leaves. */
static enum tm_code disturb_at_once(struct tm_disturb *d, const struct tm_now *now,
                                    struct tm_err *err)
{
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    d->edge_ms = INT64_MIN;
    enum tm_code rc = tm_disturb_step(d, now, &wake, err);
    return rc == TM_E_AGAIN ? TM_OK : rc; /* a step will do it */
}

enum tm_code tm_disturb_rules_add(struct tm_disturb *d, const json_t *body,
                                  const struct tm_now *now, json_t **out, struct tm_err *err)
{
    int64_t first = 0, last;
    if (json_object_size(body) == 0)
        return tm_fail(err, TM_E_ARG,
                       "faults: give {kind: rule}, as {\"server_error\": {\"count\": 3}}");
    enum tm_code rc = tm_faults_add(d->faults, body, now->org_ms, "faults", &first, err);
    if (rc != TM_OK)
        return rc;
    last = first + (int64_t)tm_faults_count(d->faults); /* beyond the last one */
    rc = disturb_objects(d, first, err);
    if (rc != TM_OK) {
        for (int64_t n = first; n < last; n++)
            tm_faults_remove(d->faults, n);
        return rc;
    }
    rc = disturb_at_once(d, now, err);
    if (rc == TM_OK)
        *out = json_pack("{s:o}", "rules", disturb_rules(d, first, now));
    return rc;
}

enum tm_code tm_disturb_rules_list(struct tm_disturb *d, const json_t *parameters,
                                   const struct tm_now *now, json_t **out, struct tm_err *err)
{
    static const char *const known[] = { "after", "limit" };
    int64_t after = 0, limit = 200;
    json_t *happened = NULL;
    enum tm_code rc = tm_control_known(d->ports.org, parameters, known, 2, err);
    if (rc == TM_OK)
        rc = tm_control_number(d->ports.org, &after, parameters, "after", 0, INT64_MAX, err);
    if (rc == TM_OK)
        rc = tm_control_number(d->ports.org, &limit, parameters, "limit", 1, DISTURB_LIST_MAX, err);
    if (rc == TM_OK)
        rc = tm_org_faults(d->ports.org, after, limit, &happened, err);
    if (rc == TM_OK)
        *out = json_pack("{s:o,s:o}", "rules", disturb_rules(d, 0, now), "happened", happened);
    return rc;
}

enum tm_code tm_disturb_rules_remove(struct tm_disturb *d, const json_t *parameters,
                                     const struct tm_now *now, json_t **out, struct tm_err *err)
{
    static const char *const known[] = { "rule" };
    int64_t number = 0;
    enum tm_code rc = tm_control_known(d->ports.org, parameters, known, 1, err);
    if (rc == TM_OK)
        rc = tm_control_number(d->ports.org, &number, parameters, "rule", 1, INT64_MAX, err);
    if (rc != TM_OK)
        return rc;
    size_t removed = tm_faults_remove(d->faults, number);
    if (number != 0 && removed == 0)
        return tm_fail(err, TM_E_ARG, "faults: there is no rule %" PRId64, number);
    rc = disturb_at_once(d, now, err);
    if (rc == TM_OK)
        *out = json_pack("{s:I}", "removed", (json_int_t)removed);
    return rc;
}
