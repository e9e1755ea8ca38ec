#include "simulate/contract.h"
#include "base/text.h"
#include "event/change.h"
#include "event/contract.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONTRACT_SQL_BYTES_MAX 65536

struct contract {
    struct tm_sim_finding *out;
    sqlite3 *db;
    const char *object;
    int32_t partitions;
    char raw[TM_TOPIC_NAME_MAX], alerts[TM_TOPIC_NAME_MAX], recon[TM_TOPIC_NAME_MAX]; /* tables */
};

/* A row of `sql` is a broken promise: its first column says where. */
static enum tm_code contract_ask(const struct contract *c, const char *promise, const char *sql,
                                 struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&s, c->db, sql, err);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    if (rc == TM_OK && row) {
        const char *where = (const char *)sqlite3_column_text(s, 0);
        struct tm_sim_finding *f = c->out;
        f->found = true;
        snprintf(f->rule, sizeof f->rule, "topics");
        snprintf(f->where, sizeof f->where, "%s", promise);
        snprintf(f->object, sizeof f->object, "%s", c->object);
        snprintf(f->text, sizeof f->text, "topics of %s, %s: %.300s", c->object, promise,
                 where != NULL ? where : "");
    }
    tm_sql_finalize(s);
    return rc;
}

/* An event of several records is one row that speaks for all (its Id is the first), or a row each.
 */
#define CONTRACT_IDS                                                                               \
    "SELECT i.value AS id,r._epoch AS ep,r.ReplayId AS "                                           \
    "pos,upper(json_extract(r.ChangeEventHeader,"                                                  \
    "'$.changeType')) AS t,r._DiffFields AS df FROM \"%s\" r,json_each(r.ChangeEventHeader,"       \
    "'$.recordIds') i WHERE instr(i.value,'*')=0 AND i.value<>'" TM_ID_OVERFLOW "'"

/* Of the newest epoch: what an older one left half done nobody finishes. */
static enum tm_code contract_everywhere(const struct contract *c, struct tm_err *err)
{
    char sql[2048];
    snprintf(sql, sizeof sql,
             "SELECT 'event '||ReplayId||' stands in '||count(DISTINCT _partition)||' partitions' "
             "FROM \"%s\" WHERE (Id='" TM_ID_OVERFLOW "' OR instr(Id,'*')>0) AND _epoch=(SELECT "
             "max(_epoch) FROM \"%s\") GROUP BY ReplayId HAVING count(DISTINCT _partition)<>%d",
             c->raw, c->alerts, (int)c->partitions);
    enum tm_code rc = contract_ask(c, "everywhere", sql, err);
    snprintf(sql, sizeof sql,
             "SELECT _kind||' '||ReplayId||' is asked in '||count(DISTINCT _partition)||"
             "' partitions' FROM \"%s\" WHERE _kind IN ('overflow','conversion') GROUP BY "
             "_kind,_epoch,ReplayId HAVING count(DISTINCT _partition)<>%d",
             c->alerts, (int)c->partitions);
    if (rc == TM_OK && !c->out->found)
        rc = contract_ask(c, "everywhere", sql, err);
    snprintf(sql, sizeof sql,
             "SELECT 'the copy of epoch '||_epoch||' is asked in '||max(n)||' partitions' FROM "
             "(SELECT _epoch,count(DISTINCT _partition) AS n FROM \"%s\" WHERE _kind='copy' AND "
             "_epoch=(SELECT max(_epoch) FROM \"%s\") GROUP BY ReplayId) HAVING max(n)<>%d",
             c->alerts, c->alerts, (int)c->partitions);
    if (rc == TM_OK && !c->out->found)
        rc = contract_ask(c, "everywhere", sql, err);
    return rc;
}

static enum tm_code contract_alerts(const struct contract *c, struct tm_err *err)
{
    char sql[2048];
    snprintf(
        sql, sizeof sql,
        "SELECT e.t||' of '||e.id||' at '||e.pos||' is not asked for' FROM (" CONTRACT_IDS
        ") e WHERE (e.t IN ('GAP_CREATE','GAP_UPDATE','GAP_DELETE','GAP_UNDELETE') OR (e.df IS "
        "NOT NULL AND e.df<>'[]')) AND NOT EXISTS (SELECT 1 FROM \"%s\" a WHERE a.Id=e.id AND "
        "a._epoch=e.ep AND a.ReplayId=e.pos AND a._kind IN ('gap','diff')) LIMIT 1",
        c->raw, c->alerts);
    return contract_ask(c, "alerts", sql, err);
}

static enum tm_code contract_reads(const struct contract *c, struct tm_err *err)
{
    char sql[2048];
    snprintf(sql, sizeof sql,
             "SELECT 'read '||e._read_id||' counts '||e._count||' of '||count(DISTINCT a.Id)||"
             "' answers in partition '||e._partition FROM \"%s\" e LEFT JOIN \"%s\" a ON "
             "a._read_id=e._read_id AND a._partition=e._partition AND a._kind<>'end' WHERE "
             "e._kind='end' GROUP BY e.rowid HAVING e._count<count(DISTINCT a.Id) OR "
             "e._partitions<>%d LIMIT 1",
             c->recon, c->recon, (int)c->partitions);
    enum tm_code rc = contract_ask(c, "counts", sql, err);
    snprintf(sql, sizeof sql,
             "SELECT 'number '||min(_read_seq)||', '||max(_read_seq)||' of read '||_read_id FROM "
             "\"%s\" GROUP BY _read_id HAVING min(_read_seq)<>max(_read_seq) UNION ALL "
             "SELECT 'reads '||min(_read_id)||', '||max(_read_id)||' of number '||_read_seq FROM "
             "\"%s\" GROUP BY _read_seq HAVING min(_read_id)<>max(_read_id) LIMIT 1",
             c->recon, c->recon);
    if (rc == TM_OK && !c->out->found)
        rc = contract_ask(c, "reads", sql, err);
    return rc;
}

static enum tm_code contract_bare(const struct contract *c, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    struct tm_buf b;
    bool row = false;
    tm_buf_init(&b, CONTRACT_SQL_BYTES_MAX);
    tm_buf_addz(&b, "SELECT _kind||' of '||Id||' carries values' FROM ");
    tm_sql_ident(&b, c->recon);
    tm_buf_addz(&b, " WHERE _kind<>'image' AND NOT (1");
    enum tm_code rc = tm_sql_columns(&s, c->db, c->recon, err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row) {
        const char *name = (const char *)sqlite3_column_text(s, TM_SQL_COLUMN_NAME);
        if (name[0] == '_' || strcmp(name, "Id") == 0)
            continue;
        tm_buf_addz(&b, " AND ");
        tm_sql_ident(&b, name);
        tm_buf_addz(&b, " IS NULL");
    }
    tm_sql_finalize(s);
    tm_buf_addz(&b, ") LIMIT 1");
    if (rc == TM_OK)
        rc = tm_buf_check(&b, "a promise", err);
    if (rc == TM_OK)
        rc = contract_ask(c, "bare", tm_buf_text(&b), err);
    tm_buf_free(&b);
    return rc;
}

/* Every record of the topic that has a value is one row, or kept aside; none is two. */
static enum tm_code contract_rows(const struct contract *c, const struct tm_mem_broker *broker,
                                  const char *topic, const char *table, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (int32_t p = 0; p < c->partitions && rc == TM_OK && !c->out->found; p++) {
        char sql[2048];
        struct tm_record r;
        int64_t sent = 0;
        for (int64_t o = 0; tm_mem_record(broker, topic, p, o, &r); o++)
            sent += r.value != NULL;
        snprintf(sql, sizeof sql,
                 "SELECT printf('partition %d holds %" PRId64 " records; there are %%d rows of %%d "
                 "of them, and %%d kept aside',n,offsets,aside) FROM (SELECT count(*) AS "
                 "n,count(DISTINCT _offset) AS offsets,(SELECT count(*) FROM _undecodable WHERE "
                 "topic='%s' AND partition=%d) AS aside FROM \"%s\" WHERE _partition=%d) WHERE "
                 "n<>offsets OR n+aside<>%" PRId64,
                 (int)p, sent, topic, (int)p, table, (int)p, sent);
        rc = contract_ask(c, "rows", sql, err);
    }
    return rc;
}

static enum tm_code contract_there(bool *out, const struct contract *c, const char *table,
                                   struct tm_err *err)
{
    char sql[TM_TOPIC_NAME_MAX + 64];
    int64_t count = 0;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM sqlite_master WHERE name='%s'", table);
    enum tm_code rc = tm_sql_int64(&count, c->db, sql, err);
    *out = count > 0;
    return rc;
}

static enum tm_code contract_object(const struct contract *c, const struct tm_sim_world *w,
                                    size_t object, struct tm_err *err)
{
    bool raw = false, alerts = false, recon = false;
    enum tm_code rc = contract_there(&raw, c, c->raw, err);
    if (rc == TM_OK)
        rc = contract_there(&alerts, c, c->alerts, err);
    if (rc == TM_OK)
        rc = contract_there(&recon, c, c->recon, err);
    if (rc == TM_OK && raw && alerts)
        rc = contract_everywhere(c, err);
    if (rc == TM_OK && raw && alerts && !c->out->found)
        rc = contract_alerts(c, err);
    if (rc == TM_OK && recon && !c->out->found)
        rc = contract_reads(c, err);
    if (rc == TM_OK && recon && !c->out->found)
        rc = contract_bare(c, err);
    if (rc == TM_OK && raw && !c->out->found)
        rc = contract_rows(c, w->broker, w->raw[object], c->raw, err);
    if (rc == TM_OK && alerts && !c->out->found)
        rc = contract_rows(c, w->broker, w->alerts[object], c->alerts, err);
    if (rc == TM_OK && recon && !c->out->found)
        rc = contract_rows(c, w->broker, w->recon[object], c->recon, err);
    return rc;
}

enum tm_code tm_sim_contract_check(struct tm_sim_world *w, struct tm_sim_finding *out,
                                   struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK && !out->found; i++) {
        struct contract c = { .out = out,
                              .db = w->stations[w->stations_count - 2].db,
                              .object = w->objects[i],
                              .partitions = w->set.partitions };
        tm_name_sanitize(c.raw, sizeof c.raw, w->raw[i]);
        tm_name_sanitize(c.alerts, sizeof c.alerts, w->alerts[i]);
        tm_name_sanitize(c.recon, sizeof c.recon, w->recon[i]);
        rc = contract_object(&c, w, i, err);
    }
    return rc == TM_OK ? rc : tm_at(err, "what the topics promise");
}
