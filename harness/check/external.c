#include "check/external.h"
#include "check/given.h"

static json_t *external_not_measured(const struct tm_plan_pipeline *p, const struct tm_given *given,
                                     const json_t *out, int64_t compress)
{
    json_t *list = json_array();
    json_int_t calls =
        json_integer_value(json_object_get(json_object_get(out, "cost"), "api_calls"));
    json_array_append_new(
        list,
        json_string("Its stations: nobody marks the way from the org to its tables, so latency "
                    "is not split, and the cause of a wrong row is not known."));
    json_array_append_new(
        list,
        json_string("The closed forms of polling: what one start takes in is its own secret."));
    json_array_append_new(
        list,
        json_string("Other tables it may keep: a state that its relation no longer shows counts "
                    "as one that no kept table gives back."));
    if (p->runs == NULL)
        json_array_append_new(
            list,
            json_string("Wait and work: when it looks is not known, so all of a latency counts "
                        "as wait, on the org's clock. Its CPU and memory: it was not started "
                        "here."));
    if (p->runs == NULL && compress > 1)
        json_array_append_new(
            list, json_sprintf("Its own pace: it knows nothing of the org's clock, which runs %lld "
                               "times as fast as its; at compress 1 both are one.",
                               (long long)compress));
    if (calls == 0)
        json_array_append_new(
            list,
            json_sprintf("API calls: the org counted none of %s. It signs in as somebody else, "
                         "whose calls are counted as theirs, or not at all.",
                         p->clients_count > 0 ? p->clients[0] : "its user"));
    json_array_append_new(
        list,
        json_sprintf("What stood in its tables for less than the time between two looks: each is "
                     "a full one, the longest took %.0f ms.",
                     (double)given->took_ns_max / 1e6));
    if (given->rollback)
        json_array_append_new(
            list,
            json_string(
                "What it wrote in quick succession: with a rollback journal a reader can fail "
                "a writer's commit, so its file is read only after it was still for 50 ms; "
                "PRAGMA journal_mode=WAL takes that limit away."));
    return list;
}

void tm_external_json(json_t *out, const struct tm_plan_pipeline *p, const struct tm_runs *runs,
                      const struct tm_given *given, int64_t compress)
{
    json_object_set(out, "runs", p->runs != NULL ? runs->json : json_null());
    json_object_set_new(out, "looks", tm_given_json(given));
    json_object_set_new(out, "not_measured", external_not_measured(p, given, out, compress));
}

bool tm_external_failed(struct tm_results *r, json_t *reasons, const struct tm_plan_pipeline *p,
                        const struct tm_runs *runs, const struct tm_given *given)
{
    const json_t *first = json_array_get(json_object_get(runs->json, "failures"), 0);
    const char *said = json_string_value(json_object_get(first, "said"));
    bool failed = (int64_t)runs->failed > p->failed_max;
    if (runs->failed > 0)
        tm_results_reason(
            r, reasons,
            "%s: %llu of %llu starts of its command failed%s; the first at %s, %s %lld: %s",
            p->name, (unsigned long long)runs->failed, (unsigned long long)runs->count,
            failed ? "" : ", as its slo allows", json_string_value(json_object_get(first, "at")),
            json_is_true(json_object_get(first, "killed")) ? "killed over its limit, exit code"
                                                           : "exit code",
            (long long)json_integer_value(json_object_get(first, "exit_code")),
            said != NULL ? said : "(it said nothing)");
    if (p->runs != NULL && runs->count == 0)
        tm_results_reason(r, reasons, "%s: its command was never started", p->name);
    if (given->error[0] != '\0')
        tm_results_reason(r, reasons, "%s: a query failed in %llu of %llu looks, at last: %s",
                          p->name, (unsigned long long)given->failed,
                          (unsigned long long)given->looks, given->error);
    return failed || given->failed > 0;
}
