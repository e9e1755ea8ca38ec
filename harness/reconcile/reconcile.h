/* reconcile: answers every ask for a read (design R8-R16). in: alerts.sfdc.<object>_gap_events;
 * out: sfdc.recon.<object>.
 *
 *   alerts -> window per object -> read (describe, SOQL, answers, end) -> acknowledged -> committed
 *                closes on event time,     | fails: another attempt, later, with a new read id
 *                idleness, age or size     | for good: [RECON-FAILED], `failed` alerts, rows dirty
 *
 * 1. An ask is never dropped, late ones join the window that is open. 2. An id is read once per
 * window, at the highest position asked. 3. One read at a time; per object in the order of its
 * windows. 4. Offsets of a window are committed when its answers, or its `failed` alerts, are
 * acknowledged: at least once. 5. overflow, conversion and copy come once per partition; copies of
 * one ask are answered by one read. 6. Read numbers grow across restarts and from member to member
 * (numbers.h); what is used up is in <state>/<name>-reads.db. Never waits. Ports
 * are borrowed. */
#ifndef TM_RECONCILE_RECONCILE_H
#define TM_RECONCILE_RECONCILE_H
#include "base/config.h"
#include "reconcile/read.h"
#include "topic/inbox.h"

#define TM_RECON_OBJECTS_MAX 256
#define TM_RECON_IDS_MAX 20000
#define TM_RECON_QUEUE_MAX 16 /* closed windows waiting; no more alerts are taken then */
struct tm_recon_settings {    /* strings are owned by the config or by the settings */
    const char *name, *group;
    char *objects[TM_RECON_OBJECTS_MAX];
    size_t objects_count;
    char *alerts[TM_RECON_OBJECTS_MAX], *recon[TM_RECON_OBJECTS_MAX]; /* topics */
    const char *const *readers;
    size_t readers_count;
    int64_t window_ms, idle_ns, ids_max;
    bool sees_all, overflow_range;
    int64_t bulk_rows_min; /* reads of so many rows go by a Bulk job; 0 = never */
    int bulk_page_rows;
    int64_t longest_ms, lag_ms; /* org time: longest transaction; index lag of range reads */
    int64_t attempts_max, backoff_ns, backoff_ns_max;
    struct tm_sf_settings salesforce;
};
/* Keys [preset]: objects and/or topics (alerts topics), group.id [tidemark-reconcile], alerts.topic
 * ["alerts.sfdc.${object}_gap_events"], recon.topic ["sfdc.recon.${object}"], reading.groups,
 * kafka.properties (a file, topic/properties.h), window.size.ms [5000] (event time; also the most a
 * window stays open on the wall clock), window.idle.ms [500], window.ids.max [2000],
 * user.sees.all.data [true], overflow.read whole|range [whole], transaction.longest.ms [600000],
 * index.lag.ms [0], bulk.rows.min [10000] (a whole or range read of at least so many rows goes by a
 * Bulk job; 0 = never), bulk.page.rows [10000] (its maxRecords), retries.max [5] (attempts of one
 * read), retry.backoff.ms [1000], retry.backoff.max.ms [60000], requests.per.second [0 = no limit],
 * salesforce.instance/.username/.password/.password.token/.consumer.key/
 * .consumer.secret/.grant.type/.version, request.max.retries.time.ms [30000],
 * salesforce.auth.retries.time.ms [30000]; input.data.format,
 * output.data.format [AVRO, nothing else]; accepted without effect: tasks.max and what places the
 * original in its cloud (topic/properties.h). */
enum tm_code tm_recon_settings_load(struct tm_recon_settings *out, struct tm_config **out_config,
                                    const char *path, const char *salesforce_url,
                                    struct tm_err *err);
void tm_recon_settings_free(struct tm_recon_settings *s);

struct tm_recon_counts {
    uint64_t alerts, ids, reads, reads_retried, reads_failed, windows, duplicates;
    struct tm_read_counts read;
};
struct tm_recon;
/* state_dir: folder of <name>-reads.db and <name>-aside.db. life: a word no other life of this
 * station has (read ids). real_offset_ns: real time of day minus the steps' wall_ns, which number
 * the reads. */
enum tm_code tm_recon_open(struct tm_recon **out, const struct tm_recon_settings *settings,
                           const struct tm_read_ports *ports, const char *state_dir,
                           const char *life, int64_t real_offset_ns, struct tm_err *err);
void tm_recon_close(struct tm_recon *r); /* NULL-safe */
/* The clock of this host may be set right while it runs: the offset as it is now. */
void tm_recon_real_time(struct tm_recon *r, int64_t real_offset_ns);
enum tm_code tm_recon_step(struct tm_recon *r, const struct tm_now *now, struct tm_wake *wake,
                           struct tm_err *err);
/* For the topic's owner: what was fetched from it is no longer ours to commit. */
void tm_recon_revoked(struct tm_recon *r, const char *topic, int32_t partition);
const struct tm_recon_counts *tm_recon_counts(const struct tm_recon *r);
uint64_t tm_recon_aside_count(const struct tm_recon *r);
#endif
