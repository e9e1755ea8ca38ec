#include "tests/support_recount.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *const recount_objects[] = { "Account", "Opportunity", "User" };
#define RECOUNT_OBJECTS 3
/* a reload's commit may take this long after its finish is written down */
#define RECOUNT_COMMIT_S 5.0
/* share of changes whose state was there already (deleted twice, created and deleted between two
 * looks): they count as shown at once */
#define RECOUNT_AT_ONCE 0.01

/* The changes of the workload, and the clock. */
static const char recount_org_sql[] =
    "CREATE TEMP TABLE c AS SELECT max(value) FILTER (WHERE key='org_origin_ms')+0 AS ms,"
    " max(value) FILTER (WHERE key='wall_origin_ns')+0 AS ns,"
    " max(value) FILTER (WHERE key='compress')+0 AS x,"
    " max(value) FILTER (WHERE key='index_lag_ms')+0 AS lag,"
    " max(value) FILTER (WHERE key='publish_delay_ms')+0 AS d FROM o.meta;"
    "CREATE TEMP TABLE v AS SELECT h.*, h.change IN ('DELETE','HARD_DELETE') AS gone,"
    " coalesce((SELECT n.org_ms FROM o.history n WHERE n.object=h.object AND n.id=h.id"
    " AND n.version=h.version+1), 9e18) AS next_ms FROM o.history h WHERE intended_ns IS NOT NULL;";

/* A poll looked between s and f (org time); e: the two freshnesses a change can have, in s. */
static const char recount_poll_sql[] =
    "CREATE TEMP TABLE p AS SELECT object, mode='deleted' AS d, grid_org_ms AS g,"
    " started_org_ms-lag AS s, ms+(finished_ns-ns)*x/1000000 AS f, finished_ns AS fn"
    " FROM main._polls, c WHERE grid_org_ms IS NOT NULL AND mode<>'initial';"
    "CREATE TEMP TABLE e AS WITH w AS (SELECT v.*,"
    " (SELECT min(fn) FROM p WHERE p.object=v.object AND p.d<=gone AND f>=org_ms) AS lo,"
    " (SELECT min(fn) FROM p WHERE p.object=v.object AND s>=org_ms"
    "  AND p.d=(gone AND EXISTS(SELECT 1 FROM p WHERE p.d))) AS hi FROM v)"
    "SELECT (max(0,p.g-intended_ms)+(p.fn-(ns+(max(p.g,intended_ms)-ms)*1000000/x))/1e6)/1e3 AS lo,"
    " (max(0,q.g-intended_ms)+(q.fn-(ns+(max(q.g,intended_ms)-ms)*1000000/x))/1e6)/1e3 AS hi"
    " FROM w, c LEFT JOIN p ON p.object=w.object AND p.fn=w.lo"
    " LEFT JOIN p q ON q.object=w.object AND q.fn=w.hi;";

/* When the event of a change lay in its raw table; null for what came as a gap or not at all. */
static const char recount_raw_sql[] =
    "CREATE TEMP TABLE raw AS SELECT Id, ReplayId+0 AS r, min(_written_ns) AS w FROM ("
    "SELECT Id, ReplayId, _written_ns, ChangeEventHeader AS h FROM main.sfdc_cdc_account_raw"
    " UNION ALL SELECT Id, ReplayId, _written_ns, ChangeEventHeader"
    " FROM main.sfdc_cdc_opportunity_raw"
    " UNION ALL SELECT Id, ReplayId, _written_ns, ChangeEventHeader FROM main.sfdc_cdc_user_raw)"
    " WHERE json_extract(h,'$.changeType') NOT LIKE 'GAP%' GROUP BY 1,2;"
    "CREATE INDEX temp.raw_id ON raw(Id,r);"
    "CREATE TEMP TABLE e AS SELECT"
    " (d+(w-(ns+(intended_ms+d-ms)*1000000/x))/1e6)/1e3 AS lo FROM c, v"
    " LEFT JOIN raw ON raw.Id=v.id AND raw.r=v.replay_id;";

static void recount_exec(sqlite3 *db, const char *sql)
{
    char *text = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
        fail_msg("%s: %.200s", text, sql);
}

static sqlite3 *recount_open(const char *folder, const char *warehouse)
{
    char path[256];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, warehouse);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    recount_exec(db, "PRAGMA temp_store=MEMORY");
    snprintf(path, sizeof path, "ATTACH '%s/org.db' AS o", folder);
    recount_exec(db, path);
    recount_exec(db, recount_org_sql);
    return db;
}

/* The one number, or text, of a query; NULL counts as "lots". */
static double recount_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        fail_msg("%s: %.200s", sqlite3_errmsg(db), sql);
    double value = sqlite3_column_type(s, 0) == SQLITE_NULL ? 1e18 : sqlite3_column_double(s, 0);
    sqlite3_finalize(s);
    return value;
}

static void recount_put(struct tm_test_recount *r, const char *pipeline, const char *group,
                        const char *key, double lo, double hi)
{
    struct tm_test_figure *f = &r->figures[r->count++];
    assert_true(r->count < TM_TEST_FIGURES_MAX);
    snprintf(f->pipeline, sizeof f->pipeline, "%s", pipeline);
    snprintf(f->group, sizeof f->group, "%s", group);
    snprintf(f->key, sizeof f->key, "%s", key);
    f->lo = lo;
    f->hi = hi;
}

struct recount_rows {
    double equal, missing, phantom, differ;
};

/* "a.x IS NOT b.x OR …" over what describe and relation both have; formulas are no data. */
static char *recount_unlike(sqlite3 *db, const char *object)
{
    sqlite3_stmt *s = NULL;
    char *sql = sqlite3_mprintf(
        "SELECT group_concat(printf('a.\"%%w\" IS NOT b.\"%%w\"',name,name),' OR ') FROM ("
        "SELECT name FROM pragma_table_info('%q','main') INTERSECT"
        " SELECT json_extract(f.value,'$.name') FROM o.describe d, json_each(d.json,'$.fields') f"
        " WHERE d.object='%q' AND d.from_pos=(SELECT max(from_pos) FROM o.describe WHERE"
        " object='%q') AND NOT coalesce(json_extract(f.value,'$.calculated'),0)"
        " AND json_extract(f.value,'$.name') NOT IN ('Id','IsDeleted','SystemModstamp') INTERSECT"
        " SELECT name FROM pragma_table_info('cur_%q','o'))",
        object, object, object, object);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    char *out = sqlite3_mprintf("%s", (const char *)sqlite3_column_text(s, 0));
    assert_true(strlen(out) > 100);
    sqlite3_finalize(s);
    sqlite3_free(sql);
    return out;
}

static void recount_compare(sqlite3 *db, struct recount_rows *out)
{
    *out = (struct recount_rows){ 0 };
    for (size_t i = 0; i < RECOUNT_OBJECTS; i++) {
        const char *object = recount_objects[i];
        char *unlike = recount_unlike(db, object);
        double *const into[] = { &out->missing, &out->phantom, &out->differ, &out->equal };
        char *sql[] = {
            sqlite3_mprintf("CREATE TEMP TABLE \"shown_%w\" AS SELECT * FROM main.\"%w\"; CREATE "
                            "UNIQUE INDEX temp.\"ix_%w\" ON \"shown_%w\"(Id)",
                            object, object, object, object),
            sqlite3_mprintf("SELECT count(*) FROM o.\"cur_%w\" WHERE IsDeleted=0 AND Id NOT IN "
                            "(SELECT Id FROM \"shown_%w\")",
                            object, object),
            sqlite3_mprintf("SELECT count(*) FROM \"shown_%w\" WHERE Id NOT IN "
                            "(SELECT Id FROM o.\"cur_%w\" WHERE IsDeleted=0)",
                            object, object),
            sqlite3_mprintf("SELECT count(*) FROM o.\"cur_%w\" a JOIN \"shown_%w\" b ON a.Id=b.Id "
                            "WHERE a.IsDeleted=0 AND (%s)",
                            object, object, unlike),
            sqlite3_mprintf("SELECT count(*) FROM o.\"cur_%w\" a JOIN \"shown_%w\" b ON a.Id=b.Id "
                            "WHERE a.IsDeleted=0 AND NOT (%s)",
                            object, object, unlike),
        };
        recount_exec(db, sql[0]);
        for (size_t k = 0; k < 4; k++)
            *into[k] += recount_number(db, sql[k + 1]);
        for (size_t k = 0; k < 5; k++)
            sqlite3_free(sql[k]);
        sqlite3_free(unlike);
    }
}

/* A row names the version it shows by its stamp: what came after that was never shown. */
static double recount_never(sqlite3 *db)
{
    double never = 0;
    for (size_t i = 0; i < RECOUNT_OBJECTS; i++) {
        const char *object = recount_objects[i];
        char *after = sqlite3_mprintf(
            "SELECT count(*) FROM v JOIN \"shown_%w\" b ON b.Id=v.id WHERE v.object='%q' AND "
            "v.version>(SELECT max(version) FROM o.history h WHERE h.object=v.object AND "
            "h.id=v.id AND h.change NOT IN ('DELETE','HARD_DELETE') AND "
            "h.org_ms/1000*1000<=b.SystemModstamp)",
            object, object);
        char *absent = sqlite3_mprintf(
            "SELECT count(*) FROM v JOIN o.\"cur_%w\" a ON a.Id=v.id WHERE v.object='%q' AND "
            "a.IsDeleted=0 AND a.Id NOT IN (SELECT Id FROM \"shown_%w\") AND NOT gone AND "
            "v.version>coalesce((SELECT max(version) FROM v g WHERE g.object=v.object AND "
            "g.id=v.id AND g.gone),0)",
            object, object, object);
        never += recount_number(db, after) + recount_number(db, absent);
        sqlite3_free(after);
        sqlite3_free(absent);
    }
    return never;
}

/* The value at rank ceil(share * count), what is not there standing at `absent`. */
static double recount_rank(sqlite3 *db, const char *column, double share, const char *absent)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(%s,%s) AS f FROM e ORDER BY f LIMIT 1 OFFSET (SELECT "
             "max(0,min(count(*)-1,CAST(ceil(%.6f*count(*)) AS INTEGER)-1)) FROM e)",
             column, absent, share);
    return recount_number(db, sql);
}

static void recount_snapshot(struct tm_test_recount *r, sqlite3 *db, const char *name, bool stamps)
{
    struct recount_rows rows;
    double changes = recount_number(db, "SELECT count(*) FROM v");
    recount_compare(db, &rows);
    recount_put(r, name, "freshness_s", "count", changes, changes);
    recount_put(r, name, "drift", "equal", rows.equal, rows.equal);
    recount_put(r, name, "drift", "missing", rows.missing, rows.missing);
    recount_put(r, name, "drift", "phantom", rows.phantom, rows.phantom);
    double all = rows.missing + rows.phantom + rows.differ;
    recount_put(r, name, "drift", "final_rows", all, all);
    recount_put(r, name, "drift", "stale", 0, rows.differ);
    recount_put(r, name, "drift", "mixed", 0, rows.differ);
    recount_put(r, name, "drift", "wrong", 0, rows.differ);
    /* without stamps: who shows everything as it stands has shown every change */
    if (!stamps && all > 0)
        return;
    double never = stamps ? recount_never(db) : 0;
    recount_put(r, name, "freshness_s", "never", never, never);
    if (never * 100 > changes)
        recount_put(r, name, "freshness_s", "p99", -1, -1);
}

static void recount_polling(struct tm_test_recount *r, sqlite3 *db, const char *name, bool deletes)
{
    double changes = recount_number(db, "SELECT count(*) FROM v"),
           gone = recount_number(db, "SELECT count(*) FROM v WHERE gone");
    recount_exec(db, recount_poll_sql);
    double lo = recount_number(db, "SELECT count(*) FROM v WHERE NOT EXISTS(SELECT 1 FROM p WHERE "
                                   "p.object=v.object AND p.d<=gone AND s<next_ms AND f>=org_ms)"),
           hi = recount_number(db, "SELECT count(*) FROM v WHERE NOT EXISTS(SELECT 1 FROM p WHERE "
                                   "p.object=v.object AND p.d<=gone AND org_ms<=s AND f<next_ms)");
    recount_put(r, name, "lost_history", "states", lo - RECOUNT_AT_ONCE * changes,
                deletes ? hi : hi + gone);
    if (!deletes)
        return;
    static const struct {
        const char *key;
        double share;
    } at[] = { { "p50", .5 }, { "p90", .9 }, { "p99", .99 } };
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
        recount_put(r, name, "freshness_s", at[i].key,
                    recount_rank(db, "lo", at[i].share - RECOUNT_AT_ONCE, "0"),
                    recount_rank(db, "hi", at[i].share, "1e15") + RECOUNT_COMMIT_S);
}

static const json_t *recount_pipeline(const json_t *report, const char *name)
{
    size_t i;
    const json_t *p;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return p;
    }
    return NULL;
}

static double recount_slowest(const json_t *report, const char *pipeline, const char *group,
                              const char *leg)
{
    const json_t *found = json_object_get(recount_pipeline(report, pipeline), group);
    found = leg == NULL ? found : json_object_get(found, leg);
    return json_number_value(json_object_get(found, "max"));
}

/* Changes that came as gaps have no row to date them: no bound from above but the slowest. */
static void recount_streaming(struct tm_test_recount *r, sqlite3 *db, const char *name,
                              const json_t *report)
{
    static const struct {
        const char *key;
        double share;
    } at[] = { { "p50", .5 }, { "p90", .9 }, { "p99", .99 } };
    double behind_s = (recount_slowest(report, name, "breakdown", "written") +
                       recount_slowest(report, name, "breakdown", "visible")) /
                      1e3,
           max_s = recount_slowest(report, name, "freshness_s", NULL);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        double hi = recount_rank(db, "lo", at[i].share, "1e15") + behind_s;
        recount_put(r, name, "freshness_s", at[i].key,
                    recount_rank(db, "lo", at[i].share - RECOUNT_AT_ONCE, "0"),
                    hi < max_s ? hi : max_s);
    }
}

void tm_test_recount(struct tm_test_recount *out, const char *folder, const json_t *report)
{
    static const struct {
        const char *name, *database;
        bool deletes;
    } batch[] = { { "batch-naive", "batch-naive.db", false },
                  { "batch-best", "batch-best.db", true },
                  { "batch-full", "batch-full.db", true } };
    out->count = 0;
    for (size_t i = 0; i < sizeof batch / sizeof batch[0]; i++) {
        sqlite3 *db = recount_open(folder, batch[i].database);
        double changes = recount_number(db, "SELECT count(*) FROM v");
        if (i == 0) {
            recount_put(out, "", "offered", "changes", changes, changes);
            recount_put(out, "", "offered", "committed", changes, changes);
        }
        recount_snapshot(out, db, batch[i].name, true);
        recount_polling(out, db, batch[i].name, batch[i].deletes);
        sqlite3_close(db);
    }
    sqlite3 *view = recount_open(folder, "view.db"), *raw = recount_open(folder, "raw.db");
    recount_snapshot(out, view, "stream-view", false);
    recount_snapshot(out, raw, "stream-sql", false);
    recount_exec(raw, recount_raw_sql);
    recount_streaming(out, raw, "stream-view", report);
    recount_streaming(out, raw, "stream-sql", report);
    sqlite3_close(view);
    sqlite3_close(raw);
}

json_t *tm_test_recount_group(const json_t *report, const struct tm_test_figure *f)
{
    const json_t *of = f->pipeline[0] == '\0' ? report : recount_pipeline(report, f->pipeline);
    return json_object_get(of, f->group);
}

size_t tm_test_recount_differ(const struct tm_test_recount *r, const json_t *report, char *why,
                              size_t why_bytes)
{
    size_t differ = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct tm_test_figure *f = &r->figures[i];
        const json_t *is = json_object_get(tm_test_recount_group(report, f), f->key);
        double value = json_is_null(is) ? -1 : json_number_value(is);
        if (is != NULL && value >= f->lo - 1e-6 && value <= f->hi + 1e-6)
            continue;
        if (differ++ == 0)
            snprintf(why, why_bytes, "%s.%s.%s is %g, should be from %g to %g", f->pipeline,
                     f->group, f->key, value, f->lo, f->hi);
    }
    return differ;
}
