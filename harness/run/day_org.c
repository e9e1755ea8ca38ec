/* day_org: the org of a simulated day, as cmd_serve wires it, without a server. */
#include "run/day.h"
#include "event/contract.h"
#include <inttypes.h>
#include <stdio.h>

#define ORG_HOUSE_S 10   /* between two rounds of what a server does beside answering */
#define ORG_PURGE_EACH 6 /* rounds between emptyings of the recycle bin */
#define ORG_SETTLE_EACH 30 /* rounds between writing what was gathered, and counters */

static void org_wake(void *data, uint64_t token)
{
    struct day *d = data;
    for (size_t i = 0; i < d->stations_count; i++)
        tm_sim_http_woken(&d->stations[i].http, token);
}

static int64_t org_hold(void *data, uint64_t number, const struct tm_now *now)
{
    struct day *d = data;
    return tm_disturb_hold_ms(tm_salesforce_disturb(d->salesforce), number, now);
}

static enum tm_code org_topics(struct day *d, struct tm_err *err)
{
    char names[3][TM_TOPIC_NAME_MAX];
    enum tm_code rc = tm_mem_broker_open(&d->broker, err);
    for (size_t i = 0; i < d->run->objects_count && rc == TM_OK; i++) {
        tm_contract_topic_raw(names[0], d->run->objects[i]);
        tm_contract_topic_alerts(names[1], d->run->objects[i]);
        tm_contract_topic_recon(names[2], d->run->objects[i]);
        for (size_t k = 0; k < 3 && rc == TM_OK; k++)
            rc = tm_mem_topic_create(d->broker, names[k], TM_RUN_PARTITIONS, err);
    }
    return rc == TM_OK ? tm_mem_topic_create(d->broker, TM_TOPIC_OFFSETS, 1, err) : rc;
}

static enum tm_code org_people(struct day *d, struct tm_err *err)
{
    struct tm_scenario *s = d->scenario;
    const struct tm_org_settings org = { .path = d->run->org_path,
                                         .objects_dir = d->run->objects_dir,
                                         .objects = s->objects,
                                         .seed = s->seed,
                                         .origin_ms = s->origin_ms,
                                         .compress = 1,
                                         .publish_delay_ms = s->publish_delay_ms,
                                         .index_lag_ms = s->index_lag_ms,
                                         .events_per_day = s->events_per_day,
                                         .api_calls_per_day = s->api_calls_per_day,
                                         .edition = s->edition,
                                         .scenario = s->name };
    enum tm_code rc = tm_org_open(&d->org, &org, err);
    if (rc == TM_OK) /* pages are written again and again: to the file itself seldom */
        rc = tm_sql_exec(tm_org_db(d->org), "PRAGMA wal_autocheckpoint=20000", err);
    if (rc == TM_OK)
        rc = tm_workload_populate(d->org, s, err);
    if (rc == TM_OK)
        rc = tm_org_lag_step(d->org, s->origin_ms, INT64_MAX, err);
    if (rc == TM_OK)
        rc = tm_workload_open(&d->workload, d->org, s, err);
    d->pos_told = rc == TM_OK ? tm_org_pos_last(d->org) : 0;
    return rc;
}

enum tm_code day_org_open(struct day *d, struct tm_err *err)
{
    enum tm_code rc = tm_scenario_load(&d->scenario, d->run->scenario_path, err);
    if (rc != TM_OK)
        return rc;
    d->scenario->seed = (uint64_t)d->run->seed;
    const struct tm_salesforce_settings mock = {
        .base_url = "http://org",
        .oauth = { .seed = d->scenario->seed, .seeded = true },
        .bulk = { .job_ns = d->scenario->bulk_ms * TM_NS_PER_MS },
        .faults = d->scenario->faults,
    };
    rc = org_topics(d, err);
    if (rc == TM_OK)
        rc = org_people(d, err);
    if (rc == TM_OK)
        rc = tm_salesforce_open(&d->salesforce, d->org, &mock, err);
    if (rc == TM_OK)
        rc = tm_mock_registry_open(&d->schemas, err);
    if (rc != TM_OK)
        return rc;
    tm_salesforce_wired(d->salesforce, org_wake, d);
    tm_workload_holds(d->workload, org_hold, d);
    d->hosts[0] = (struct tm_sim_host){ "http://org", tm_salesforce_handler(d->salesforce) };
    d->hosts[1] = (struct tm_sim_host){ "http://registry", tm_mock_registry_handler(d->schemas) };
    return TM_OK;
}

enum tm_code day_org_started(struct day *d, struct tm_err *err)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, d->clock.wall_origin_ns);
    tm_workload_clock(d->workload, &d->clock);
    d->org_ns = d->fault_ns = d->clock.wall_origin_ns;
    tm_org_gather(d->org); /* only the witness looks, later than house is kept */
    return tm_org_meta_set(d->org, "wall_origin_ns", text, err);
}

/* What a server does beside answering: counters to disk, copies for range reads, the bin. */
static enum tm_code org_house(struct day *d, struct tm_err *err)
{
    d->house_ns = d->now.wall_ns + ORG_HOUSE_S * TM_NS_PER_S;
    enum tm_code rc = tm_org_lag_step(d->org, d->now.org_ms, INT64_MAX, err);
    if (rc == TM_OK && ++d->rounds % ORG_PURGE_EACH == 0) {
        rc = tm_org_purge(d->org, &d->now, err);
        day_stations_forget(d);
    }
    if (rc == TM_OK && d->rounds % ORG_SETTLE_EACH == 0)
        rc = tm_org_settle(d->org, err);
    if (rc == TM_OK && d->rounds % ORG_SETTLE_EACH == 0)
        rc = tm_org_usage_flush(d->org, err);
    return rc == TM_E_AGAIN ? TM_OK : rc;
}

static enum tm_code org_faults(struct day *d, struct tm_err *err)
{
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    enum tm_code rc = tm_salesforce_due(d->salesforce, &d->now, &wake, err);
    int64_t org_ns = tm_clock_wall_at(&d->clock, wake.org_ms);
    d->fault_ns = wake.wall_ns < org_ns ? wake.wall_ns : org_ns;
    return rc == TM_E_AGAIN ? TM_OK : rc;
}

enum tm_code day_org_step(struct day *d, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (d->org_ns <= d->now.wall_ns) {
        struct tm_wake wake = { TM_NEVER, TM_NEVER };
        while ((rc = tm_workload_step(d->workload, &d->now, &wake, err)) == TM_OK)
            wake = (struct tm_wake){ TM_NEVER, TM_NEVER };
        int64_t org_ns = tm_clock_wall_at(&d->clock, wake.org_ms);
        d->org_ns = wake.wall_ns < org_ns ? wake.wall_ns : org_ns;
        rc = rc == TM_E_AGAIN ? TM_OK : rc;
    }
    if (rc == TM_OK && d->fault_ns <= d->now.wall_ns)
        rc = org_faults(d, err);
    if (rc == TM_OK && d->house_ns <= d->now.wall_ns)
        rc = org_house(d, err);
    if (tm_org_pos_last(d->org) != d->pos_told) {
        d->pos_told = tm_org_pos_last(d->org);
        tm_salesforce_news(d->salesforce);
    }
    for (struct tm_wake wake = { TM_NEVER, 0 }; wake.wall_ns != TM_NEVER;) {
        wake.wall_ns = TM_NEVER;
        tm_salesforce_step(d->salesforce, &d->now, &wake);
    }
    return rc == TM_OK ? rc : tm_at(err, "org");
}

int64_t day_org_next(const struct day *d)
{
    int64_t next_ns = d->org_ns < d->house_ns ? d->org_ns : d->house_ns;
    return next_ns < d->fault_ns ? next_ns : d->fault_ns;
}

void day_org_close(struct day *d)
{
    if (d->broker != NULL)
        tm_mem_broker_close(d->broker);
    tm_mock_registry_close(d->schemas);
    tm_salesforce_close(d->salesforce);
    tm_workload_close(d->workload);
    tm_org_close(d->org);
    tm_scenario_close(d->scenario);
}
