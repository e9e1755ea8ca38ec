#include "simulate/flags.h"
#include "base/text.h"
#include "event/change.h"
#include "event/contract.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FLAGS_SQL_BYTES_MAX 16384
#define FLAGS_IDS_MAX 256
#define FLAGS_LIFE "'CREATE','UNDELETE','DELETE','GAP_DELETE'"

struct flags {
    struct tm_sim_finding *out;
    const char *where, *object;
    char raw[TM_TOPIC_NAME_MAX], recon[TM_TOPIC_NAME_MAX]; /* tables */
    struct flags_ids {
        char all[FLAGS_IDS_MAX][TM_ID_BYTES];
        size_t count;
    } dirty, based; /* of X_dirty, `*` among them; that have had a full image */
};

static void flags_found(struct flags *f, const char *rule, const char *id, const char *what)
{
    if (f->out->found)
        return;
    f->out->found = true;
    snprintf(f->out->rule, sizeof f->out->rule, "%s", rule);
    snprintf(f->out->where, sizeof f->out->where, "%s, in flight", f->where);
    snprintf(f->out->object, sizeof f->out->object, "%s", f->object);
    snprintf(f->out->id, sizeof f->out->id, "%s", id);
    strcpy(f->out->expected, strcmp(rule, "R3") == 0 ? "no row" : "flagged");
    f->out->about = strcmp(rule, "R3") == 0 ? TM_SIM_ABOUT_ROWS : TM_SIM_ABOUT_FLAG;
    strcpy(f->out->shown, strcmp(rule, "R3") == 0 ? "a row" : "not flagged");
    snprintf(f->out->text, sizeof f->out->text, "%s, in flight: %s %.18s: %s", f->where, f->object,
             id, what);
}

static bool flags_has(const struct flags_ids *ids, const char *id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (strcmp(ids->all[i], id) == 0)
            return true;
    return false;
}

static enum tm_code flags_add(struct flags_ids *ids, const char *id, struct tm_err *err)
{
    if (flags_has(ids, id))
        return TM_OK;
    if (ids->count == FLAGS_IDS_MAX)
        return tm_fail(err, TM_E_LIMIT, "more than %d ids", FLAGS_IDS_MAX);
    snprintf(ids->all[ids->count++], TM_ID_BYTES, "%s", id);
    return TM_OK;
}

static enum tm_code flags_load(struct flags *f, sqlite3_stmt *dirt, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && (rc = tm_sql_step(dirt, &row, err)) == TM_OK && row)
        rc = flags_add(&f->dirty, (const char *)sqlite3_column_text(dirt, 0), err);
    sqlite3_reset(dirt);
    return rc;
}

/* A record that strayed onto the topic may have made a table of other columns. */
static enum tm_code flags_there(bool *out, sqlite3 *raw, const char *table, const char *column,
                                struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_columns(&s, raw, table, err);
    while (rc == TM_OK && (rc = tm_sql_step(s, &row, err)) == TM_OK && row)
        *out |= strcasecmp((const char *)sqlite3_column_text(s, TM_SQL_COLUMN_NAME), column) == 0;
    tm_sql_finalize(s);
    return rc;
}

/* e: an event and a record it surely concerns: that of its row, and where the row is that of the
 * first id, all others too. c: answers. */
static void flags_rows(const struct flags *f, struct tm_buf *b, bool raw, bool recon)
{
    if (raw)
        tm_buf_addf(
            b,
            "WITH e AS MATERIALIZED (SELECT i.value AS id,r._epoch AS ep,CAST(r.ReplayId AS "
            "INTEGER) AS pos,upper(json_extract(r.ChangeEventHeader,'$.changeType')) AS t,"
            "r._DiffFields AS df FROM \"%s\" r,json_each(r.ChangeEventHeader,'$.recordIds')"
            " i WHERE i.value=r.Id OR "
            "json_extract(r.ChangeEventHeader,'$.recordIds[0]')=r.Id),\n",
            f->raw);
    else
        tm_buf_addz(b, "WITH e(id,ep,pos,t,df) AS (SELECT NULL,NULL,NULL,NULL,NULL WHERE 0),\n");
    if (recon)
        tm_buf_addf(b,
                    "c AS MATERIALIZED (SELECT Id AS id,_epoch AS ep,_g AS g,_kind AS k,"
                    "_read_kind='whole' AS whole FROM \"%s\")\n",
                    f->recon);
    else
        tm_buf_addz(b, "c(id,ep,g,k,whole) AS (SELECT NULL,NULL,NULL,NULL,NULL WHERE 0)\n");
}

/* 0: ids that must be flagged: a gap or a diff with no answer, no later lifecycle event and no
 * whole read beyond it; `*`: an overflow, a conversion or a first copy that no read has ended.
 * 1: ids that have had a full image. One statement, for what is dear is to take the headers
 * apart. */
static const char flags_question[] =
    "SELECT 0,e.id FROM e WHERE instr(e.id,'*')=0 AND e.id<>'" TM_ID_OVERFLOW "'"
    " AND (e.t IN ('GAP_CREATE','GAP_UPDATE','GAP_UNDELETE') OR"
    " (e.df IS NOT NULL AND e.df<>'[]' AND e.t IN ('CREATE','UNDELETE','UPDATE')))"
    " AND NOT EXISTS (SELECT 1 FROM c WHERE (c.ep,c.g)>=(e.ep,e.pos) AND"
    " ((c.id=e.id AND c.k IN ('image','removed')) OR (c.k='end' AND c.whole)))"
    " AND NOT EXISTS (SELECT 1 FROM e v WHERE v.id=e.id AND v.t IN (" FLAGS_LIFE ")"
    " AND (v.ep,v.pos)>(e.ep,e.pos))\n"
    "UNION ALL SELECT 0,'*' WHERE EXISTS (SELECT 1 FROM e WHERE"
    " (e.t='GAP_OVERFLOW' AND NOT EXISTS (SELECT 1 FROM c WHERE c.k='end' AND"
    " (c.ep,c.g)>=(e.ep,e.pos))) OR (instr(e.id,'*')>0 AND NOT EXISTS (SELECT 1 FROM c WHERE"
    " c.k='end' AND c.whole AND (c.ep,c.g)>=(e.ep,e.pos))))"
    " OR NOT EXISTS (SELECT 1 FROM c WHERE c.k='end' AND c.whole)\n"
    "UNION ALL SELECT 1,e.id FROM e WHERE e.t IN ('CREATE','UNDELETE')"
    " UNION ALL SELECT 1,c.id FROM c WHERE c.k='image'";

static enum tm_code flags_prepare(sqlite3_stmt **out, const struct flags *f, sqlite3 *db,
                                  struct tm_err *err)
{
    struct tm_buf b;
    bool raw = false, recon = false;
    tm_buf_init(&b, FLAGS_SQL_BYTES_MAX);
    enum tm_code rc = flags_there(&raw, db, f->raw, "ChangeEventHeader", err);
    if (rc == TM_OK)
        rc = flags_there(&recon, db, f->recon, "_g", err);
    flags_rows(f, &b, raw, recon);
    tm_buf_addz(&b, flags_question);
    if (rc == TM_OK)
        rc = tm_buf_check(&b, "a question", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(out, db, tm_buf_text(&b), err);
    tm_buf_free(&b);
    return rc;
}

static enum tm_code flags_answers(struct flags *f, sqlite3_stmt *asked, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && !f->out->found && (rc = tm_sql_step(asked, &row, err)) == TM_OK && row) {
        const char *id = (const char *)sqlite3_column_text(asked, 1);
        if (id == NULL)
            continue;
        if (sqlite3_column_int(asked, 0) == 1)
            rc = flags_add(&f->based, id, err);
        else if (!flags_has(&f->dirty, id))
            flags_found(f, "R8", id, "something about it is unanswered, and it is not flagged");
    }
    sqlite3_reset(asked);
    return rc;
}

static enum tm_code flags_ask(sqlite3_stmt *s, const char *id, bool *out, struct tm_err *err)
{
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    enum tm_code rc = tm_sql_step(s, out, err);
    sqlite3_reset(s);
    return rc;
}

static enum tm_code flags_shown(struct flags *f, const struct tm_sim_flags *q, sqlite3_stmt *rows,
                                struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = TM_OK;
    sqlite3_bind_text(q->known, 2, f->object, -1, SQLITE_STATIC);
    while (rc == TM_OK && !f->out->found && (rc = tm_sql_step(rows, &row, err)) == TM_OK && row) {
        const char *id = (const char *)sqlite3_column_text(rows, 0);
        bool dirty = sqlite3_column_int(rows, 1) != 0, is_known = false;
        rc = flags_ask(q->known, id, &is_known, err);
        if (rc != TM_OK)
            break;
        if (!is_known)
            flags_found(f, "R3", id, "has a row, and is no record of the org");
        if (!dirty && !flags_has(&f->based, id))
            flags_found(f, "R12", id, "has a row without a full image, and is not flagged");
        if (dirty != flags_has(&f->dirty, id))
            flags_found(f, "R8", id, "its row and the list of dirt disagree");
    }
    sqlite3_reset(rows);
    return rc;
}

static void flags_tables(struct flags *f)
{
    char topic[TM_TOPIC_NAME_MAX];
    tm_contract_topic_raw(topic, f->object);
    tm_name_sanitize(f->raw, sizeof f->raw, topic);
    tm_contract_topic_recon(topic, f->object);
    tm_name_sanitize(f->recon, sizeof f->recon, topic);
}

enum tm_code tm_sim_flags_known(sqlite3_stmt **out, sqlite3 *org, struct tm_err *err)
{
    return tm_sql_prepare(out, org, "SELECT 1 FROM history WHERE object=?2 AND id=?1 LIMIT 1", err);
}

enum tm_code tm_sim_flags_prepare(struct tm_sim_flags *q, sqlite3 *raw, sqlite3 *org,
                                  const char *object, struct tm_err *err)
{
    struct flags f = { .object = object };
    flags_tables(&f);
    enum tm_code rc = flags_prepare(&q->asked, &f, raw, err);
    if (rc == TM_OK && q->known == NULL)
        rc = tm_sim_flags_known(&q->known, org, err);
    return rc == TM_OK ? rc : tm_at(err, "flags of %s", object);
}

enum tm_code tm_sim_flags_check(struct tm_sim_finding *out, const struct tm_sim_flags *q,
                                sqlite3_stmt *rows, sqlite3_stmt *dirt, const char *where,
                                const char *object, struct tm_err *err)
{
    struct flags f = { .out = out, .where = where, .object = object };
    enum tm_code rc = flags_load(&f, dirt, err);
    if (rc == TM_OK)
        rc = flags_answers(&f, q->asked, err);
    if (rc == TM_OK)
        rc = flags_shown(&f, q, rows, err);
    return rc == TM_OK ? rc : tm_at(err, "flags of %s", object);
}
