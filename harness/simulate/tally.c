/* tally: what a run consisted of, for its statistics, and the digest of all it did. */
#include "base/text.h"
#include "simulate/simulate_inner.h"
#include <stdio.h>

void tm_sim_count(struct tm_sim *s, size_t stat, uint64_t times)
{
    s->result->stats.count[stat] += (uint32_t)times;
}

void tm_sim_digest(struct tm_sim *s, uint64_t number)
{
    s->result->digest = tm_hash64(&number, sizeof number, s->result->digest);
}

void tm_sim_digest_topics(struct tm_sim *s)
{
    struct tm_sim_world *w = &s->world;
    for (size_t i = 0; i < w->set.objects_count * 3; i++)
        for (int32_t p = 0; p < w->set.partitions; p++) {
            struct tm_record r;
            for (int64_t o = 0; tm_mem_record(w->broker, w->sink_topics[i], p, o, &r); o++)
                s->result->digest = tm_hash64(r.value, r.value_bytes, s->result->digest);
        }
}

/* What its port has seen is kept beyond its life. */
void tm_sim_count_http(struct tm_sim *s, const struct tm_sim_http *h)
{
    for (size_t f = TM_SIM_FATE_REQUEST_LOST; f < TM_SIM_FATES; f++) {
        tm_sim_count(s, TM_SIM_STAT_REQUEST_LOST + f - TM_SIM_FATE_REQUEST_LOST, h->fates[f]);
        s->result->faults += h->fates[f];
    }
}

static enum tm_code tally_rows(struct tm_sim *s, enum tm_sim_stat stat, const char *topic,
                               const char *where, struct tm_err *err)
{
    char table[TM_TOPIC_NAME_MAX], sql[512];
    const struct tm_sim_station *sink = &s->world.stations[s->world.stations_count - 2];
    int64_t there = 0, count = 0;
    if (sink->db == NULL)
        return TM_OK;
    tm_name_sanitize(table, sizeof table, topic);
    /* A record that nobody can read makes a table of the sink's own columns only. */
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pragma_table_info('%.200s') WHERE name='_kind'",
             table);
    enum tm_code rc = tm_sql_int64(&there, sink->db, sql, err);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%.200s\" WHERE %s", table, where);
    if (rc == TM_OK && there > 0)
        rc = tm_sql_int64(&count, sink->db, sql, err);
    tm_sim_count(s, stat, (uint64_t)count);
    return rc;
}

/* What is known at the end only. */
enum tm_code tm_sim_count_end(struct tm_sim *s, struct tm_err *err)
{
    const struct tm_sim_world *w = &s->world;
    const struct tm_mem_planted *p = tm_mem_planted(w->broker);
    uint32_t *merged = &s->result->stats.count[TM_SIM_STAT_MERGED_SPLIT];
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < w->stations_count; i++)
        tm_sim_count_http(s, &w->stations[i].http);
    tm_sim_count(s, TM_SIM_STAT_DUPLICATED, p->duplicated);
    tm_sim_count(s, TM_SIM_STAT_PRODUCE_REFUSED, p->refused);
    tm_sim_count(s, TM_SIM_STAT_SWAPPED, p->swapped);
    tm_sim_count(s, TM_SIM_STAT_ACKS_HELD, p->acks_held);
    tm_sim_count(s, TM_SIM_STAT_REGISTRY_REFUSED, tm_mock_registry_refused(w->schemas));
    if (w->set.keep_merged) {
        tm_sim_count(s, TM_SIM_STAT_MERGED_KEPT, *merged);
        *merged = 0;
    }
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK; i++) {
        rc = tally_rows(s, TM_SIM_STAT_EPOCH, w->alerts[i], "_kind='copy' AND _epoch>0", err);
        if (rc == TM_OK)
            rc = tally_rows(s, TM_SIM_STAT_UNREADABLE, w->recon[i], "_kind='unreadable'", err);
    }
    return rc;
}
