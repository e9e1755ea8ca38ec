#include "view/sql.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

/* Position part of a key: epoch and replay id or g. */
#define SQL_PLACE_BYTES "29"
/* R10: what clears dirt below itself */
#define SQL_LIFE "'CREATE','UNDELETE','DELETE','GAP_DELETE'"
#define SQL_GROUP 64
#define SQL_OVERFLOW_ID "'000000000000000AAA'"

/* R1: the position of an event as sortable text; ReplayId is a string on the wire, compared as a
 * number. */
static void sql_event_key(const struct tm_view_shape *s, struct tm_buf *b, enum tm_view_table t,
                          const char *alias)
{
    tm_buf_addz(b, "printf('%010d%019d0',");
    tm_view_shape_epoch(s, b, t, alias);
    tm_buf_addf(b, ",CAST(%s.\"ReplayId\" AS INTEGER))", alias);
}

static void sql_from(const struct tm_view_shape *s, struct tm_buf *b, enum tm_view_table t,
                     const char *alias)
{
    tm_buf_addz(b, " FROM ");
    tm_sql_ident(b, s->tables[t]);
    tm_buf_addf(b, " %s", alias);
}

/* x, e: R3. Where every id has a row of its own, only the row of recordIds[0] speaks for the others
 * too: a row whose Id is another one belongs to that form, and reading its whole list as well would
 * make N rows of N ids N*N. */
static void sql_events(const struct tm_view_shape *s, struct tm_buf *b)
{
    if (!s->there[TM_VIEW_RAW]) {
        tm_buf_addz(b, "x(\"row\",\"Id\",\"key\",t,cf,df,ids) AS (SELECT "
                       "NULL,NULL,NULL,NULL,NULL,NULL,NULL WHERE 0),\n");
    } else {
        tm_buf_addz(b, "x AS MATERIALIZED (SELECT r.rowid AS \"row\",r.\"Id\" AS \"Id\",");
        sql_event_key(s, b, TM_VIEW_RAW, "r");
        tm_buf_addz(
            b, " AS \"key\",\n  CASE WHEN r.\"ChangeEventHeader\" IS NOT NULL THEN upper(coalesce("
               "json_extract(r.\"ChangeEventHeader\",'$.changeType'),'')) END AS t,\n"
               "  lower(json_extract(r.\"ChangeEventHeader\",'$.changedFields')) AS cf,");
        tm_buf_addz(b, s->has_diff ? "lower(nullif(r.\"_DiffFields\",'[]'))" : "NULL");
        tm_buf_addz(b, " AS df,\n  CASE WHEN "
                       "json_extract(r.\"ChangeEventHeader\",'$.recordIds[1]') IS NOT NULL"
                       " AND json_extract(r.\"ChangeEventHeader\",'$.recordIds[0]')=r.\"Id\""
                       " THEN json_extract(r.\"ChangeEventHeader\",'$.recordIds') END AS ids");
        sql_from(s, b, TM_VIEW_RAW, "r");
        tm_buf_addz(b, "),\n");
    }
    tm_buf_addz(b, "e AS MATERIALIZED (SELECT "
                   "id,\"key\",\"row\",\"key\"||printf('%019d',9223372036854775807-\"row\")"
                   " AS \"rank\",t,cf,df FROM (\n"
                   "  SELECT \"Id\" AS id,\"key\",\"row\",t,cf,df FROM x UNION ALL\n"
                   "  SELECT i.value,x.\"key\",x.\"row\",x.t,x.cf,x.df FROM x,json_each(x.ids) i"
                   " WHERE x.ids IS NOT NULL AND i.value<>x.\"Id\")\n"
                   "  WHERE t<>'GAP_OVERFLOW' AND id<>" SQL_OVERFLOW_ID " AND instr(id,'*')=0),\n");
}

/* c: answers of reads, just after g (R9), the name of the read last and ended by what no name
 * holds; a: the alerts that are dirt themselves (R8). */
static void sql_answers(const struct tm_view_shape *s, struct tm_buf *b)
{
    if (s->there[TM_VIEW_RECON]) {
        tm_buf_addz(b, "c AS MATERIALIZED (SELECT c.rowid AS \"row\",c.\"Id\" AS "
                       "id,printf('%010d%019d1%019d',");
        tm_view_shape_epoch(s, b, TM_VIEW_RECON, "c");
        tm_buf_addz(b, ",CAST(c.\"_g\" AS INTEGER),CAST(c.\"_read_seq\" AS INTEGER))||"
                       "coalesce(c.\"_read_id\",'')||char(1) AS \"key\",c.\"_kind\" AS k,"
                       "c.\"_read_id\" AS \"read\",c.\"_read_kind\" AS rk,c.\"_partition\" AS part,"
                       "c.\"_count\" AS n,c.\"_partitions\" AS parts");
        sql_from(s, b, TM_VIEW_RECON, "c");
        tm_buf_addz(b, "),\n");
    } else {
        tm_buf_addz(b, "c(\"row\",id,\"key\",k,\"read\",rk,part,n,parts) AS"
                       " (SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL WHERE 0),\n");
    }
    if (s->there[TM_VIEW_ALERTS]) {
        tm_buf_addz(b, "a AS MATERIALIZED (SELECT a.\"Id\" AS id,a.\"_kind\" AS kind,");
        sql_event_key(s, b, TM_VIEW_ALERTS, "a");
        tm_buf_addz(b, " AS \"key\"");
        sql_from(s, b, TM_VIEW_ALERTS, "a");
        tm_buf_addz(b, "),\n");
    } else {
        tm_buf_addz(b, "a(id,kind,\"key\") AS (SELECT NULL,NULL,NULL WHERE 0),\n");
    }
}

/* reads, gone: R16. A read is in force once all its ends, and as many answers as they count, are
 * there. The missing answers are found by an outer join: (a, b) NOT IN scans the whole list for
 * NULLs at every miss. */
static void sql_reads(const struct tm_view_shape *s, struct tm_buf *b)
{
    tm_buf_addz(b, "reads AS MATERIALIZED (SELECT f.\"read\",max(f.\"key\") AS "
                   "\"key\",max(f.rk='whole') AS whole FROM\n"
                   "  (SELECT \"read\",part,max(n) AS n,max(parts) AS parts,max(\"key\") AS "
                   "\"key\",max(rk) AS rk FROM c"
                   " WHERE k='end'");
    tm_view_shape_ours(s, b, "part");
    tm_buf_addz(b, " GROUP BY 1,2) f\n"
                   "  LEFT JOIN (SELECT \"read\",part,count(DISTINCT id) AS n FROM c"
                   " WHERE k IN ('image','removed','unreadable') AND \"read\" IN (SELECT \"read\" "
                   "FROM c WHERE k='end')"
                   " GROUP BY 1,2) g ON g.\"read\"=f.\"read\" AND g.part=f.part\n"
                   "  WHERE coalesce(g.n,0)>=coalesce(f.n,0) GROUP BY f.\"read\" HAVING "
                   "count(*)>=");
    tm_view_shape_needed(s, b, "max(f.parts)");
    tm_buf_addz(b, "),\n"
                   "answered AS MATERIALIZED (SELECT \"read\",id FROM c WHERE k IN "
                   "('image','removed','unreadable')),\n"
                   "gone AS (SELECT w.id,max(r.\"key\") AS \"key\" FROM (SELECT id FROM e UNION "
                   "SELECT id FROM c"
                   " WHERE k IN ('image','removed','unreadable') UNION SELECT id FROM a WHERE kind "
                   "IN ('no_base','diff')) w,"
                   "reads r\n  LEFT JOIN answered n ON n.\"read\"=r.\"read\" AND n.id=w.id"
                   " WHERE r.whole AND n.id IS NULL GROUP BY w.id),\n");
}

/* life, u: R4, R5, R7, R9, R11. A removal hides the record until a full image beyond it. */
static void sql_life(struct tm_buf *b)
{
    tm_buf_addz(
        b,
        "life AS MATERIALIZED (SELECT id,max(\"rank\") AS \"rank\",\"key\",\"full\",src,\"row\" "
        "FROM (\n"
        "  SELECT id,\"rank\",\"key\",t IN ('CREATE','UNDELETE') AS \"full\",0 AS src,\"row\" FROM "
        "e"
        " WHERE t IN (" SQL_LIFE ") UNION ALL\n"
        "  SELECT "
        "id,\"key\"||printf('%019d',9223372036854775807-\"row\"),\"key\",k='image',1,\"row\" FROM c"
        " WHERE k IN ('image','removed') UNION ALL\n"
        "  SELECT id,\"key\"||'0000000000000000000',\"key\",0,2,NULL FROM gone) GROUP BY id),\n"
        "u AS MATERIALIZED (SELECT e.id,e.\"key\",e.\"rank\",e.cf,e.df,life.id IS NULL AS partial,"
        "coalesce(life.\"full\",0) AS \"full\" FROM e LEFT JOIN life ON life.id=e.id\n"
        "  WHERE e.t='UPDATE' AND (life.id IS NULL OR e.\"key\">life.\"key\")),\n");
}

/* One test that `list` (JSON array text in lower case) names the column, in any of its spellings:
 * Salesforce takes names that differ by case for the same. */
static void sql_named(struct tm_buf *b, const struct tm_view_column *c, const char *list)
{
    for (size_t k = 0; k < TM_VIEW_SPELLINGS_MAX && c->spellings[k] != NULL; k++) {
        struct tm_buf quoted;
        char lower[TM_VIEW_NAME_MAX * 2];
        tm_name_lower(lower, sizeof lower, c->spellings[k]);
        tm_buf_init(&quoted, 4096);
        tm_buf_add_json_string(&quoted, lower, strlen(lower));
        tm_buf_addz(b, k > 0 ? " OR instr(" : "instr(");
        tm_buf_addf(b, "%s,", list);
        tm_sql_literal(b, tm_buf_text(&quoted));
        tm_buf_addc(b, ')');
        tm_buf_free(&quoted);
    }
}

/* m: R5, R6: per field the row of the highest update that names it and does not carry a diff
 * of it. X wants it of every record shown, X_dirty only of those that have no full image (R12). */
static void sql_fields(const struct tm_view_shape *s, struct tm_buf *b, const char *of)
{
    tm_buf_addz(b, "m AS MATERIALIZED (SELECT id");
    for (size_t i = 0; i < s->columns_count; i++) {
        tm_buf_addz(b, ",\n  max(CASE WHEN (");
        sql_named(b, &s->columns[i], "cf");
        tm_buf_addz(b, ")");
        if (s->has_diff) {
            tm_buf_addz(b, " AND (df IS NULL OR NOT (");
            sql_named(b, &s->columns[i], "df");
            tm_buf_addz(b, "))");
        }
        tm_buf_addf(b, " THEN \"rank\" END) AS c%zu", i);
    }
    tm_buf_addf(b, " FROM u WHERE %s GROUP BY id),\n", of);
}

/* dirt: R8, R10, R11, R12. Nothing below life stands; a full image that carries a diff stands at
 * its own position. */
static void sql_dirt(struct tm_buf *b)
{
    tm_buf_addz(b, "dirt AS MATERIALIZED (SELECT d.id,d.kind,max(d.\"key\") AS \"key\" FROM (\n"
                   "  SELECT id,'gap' AS kind,\"key\" FROM e WHERE t NOT IN (" SQL_LIFE
                   ",'UPDATE') UNION ALL\n"
                   "  SELECT id,'diff',\"key\" FROM e WHERE df IS NOT NULL AND t IN "
                   "('CREATE','UNDELETE','UPDATE') UNION ALL\n"
                   "  SELECT id,'no_base',\"key\" FROM u WHERE NOT \"full\" UNION ALL\n"
                   "  SELECT id,kind,\"key\" FROM a WHERE kind IN ('no_base','diff') UNION ALL\n"
                   "  SELECT id,'unreadable',\"key\" FROM c WHERE k='unreadable') d LEFT JOIN life "
                   "ON life.id=d.id\n"
                   "  WHERE life.id IS NULL OR d.\"key\">=life.\"key\" GROUP BY 1,2)");
}

static void sql_common(const struct tm_view_shape *s, struct tm_buf *b, const char *fields_of)
{
    tm_buf_addz(b, "WITH\n");
    sql_events(s, b);
    sql_answers(s, b);
    sql_reads(s, b);
    sql_life(b);
    sql_fields(s, b, fields_of);
    sql_dirt(b);
    tm_buf_addc(b, '\n');
}

static void sql_create(const struct tm_view_shape *s, struct tm_buf *b, const char *suffix)
{
    char name[TM_VIEW_NAME_MAX + 16];
    snprintf(name, sizeof name, "%s%s", s->object, suffix);
    tm_buf_addz(b, "DROP VIEW IF EXISTS ");
    tm_sql_ident(b, name);
    tm_buf_addz(b, ";\nCREATE VIEW ");
    tm_sql_ident(b, name);
    tm_buf_addz(b, " AS ");
}

/* The value of one column: of the last update that set it, else of the full image below. */
static void sql_value(const struct tm_view_shape *s, struct tm_buf *b, size_t i)
{
    if (s->there[TM_VIEW_RAW]) {
        tm_buf_addf(b, ",\n  CASE WHEN m.c%zu IS NOT NULL THEN (SELECT ", i);
        tm_view_shape_value(s, b, TM_VIEW_RAW, "z", i);
        sql_from(s, b, TM_VIEW_RAW, "z");
        tm_buf_addf(b,
                    " WHERE z.rowid=9223372036854775807-CAST(substr(m.c%zu,31) AS INTEGER)) WHEN "
                    "p.src=0 THEN ",
                    i);
        tm_view_shape_value(s, b, TM_VIEW_RAW, "b", i);
        tm_buf_addz(b, " ELSE ");
    } else {
        tm_buf_addz(b, ",\n  ");
    }
    if (s->there[TM_VIEW_RECON])
        tm_view_shape_value(s, b, TM_VIEW_RECON, "d", i);
    else
        tm_buf_addz(b, "NULL");
    tm_buf_addz(b, s->there[TM_VIEW_RAW] ? " END AS " : " AS ");
    tm_sql_ident(b, s->columns[i].name);
}

/* R12: a record known by updates alone has a row, its other fields NULL. */
static void sql_relation(const struct tm_view_shape *s, struct tm_buf *b)
{
    sql_create(s, b, "");
    sql_common(s, b, "\"full\" OR partial");
    tm_buf_addz(b, "SELECT p.id AS \"Id\"");
    for (size_t i = 0; i < s->columns_count; i++)
        sql_value(s, b, i);
    tm_buf_addz(b, ",\n  p.id IN (SELECT id FROM dirt) AS \"_dirty\"\n"
                   "FROM (SELECT id,\"row\",src FROM life WHERE \"full\""
                   " UNION ALL SELECT DISTINCT id,NULL,NULL FROM u WHERE partial) p\n"
                   "LEFT JOIN m ON m.id=p.id");
    if (s->there[TM_VIEW_RAW]) {
        tm_buf_addz(b, "\nLEFT JOIN ");
        tm_sql_ident(b, s->tables[TM_VIEW_RAW]);
        tm_buf_addz(b, " b ON b.rowid=CASE WHEN p.src=0 THEN p.\"row\" END");
    }
    if (s->there[TM_VIEW_RECON]) {
        tm_buf_addz(b, "\nLEFT JOIN ");
        tm_sql_ident(b, s->tables[TM_VIEW_RECON]);
        tm_buf_addz(b, " d ON d.rowid=CASE WHEN p.src=1 THEN p.\"row\" END");
    }
    tm_buf_addz(b, ";\n");
}

/* `*`: R8, R14, R16. A whole read in force clears all at or below its g, a range read only
 * overflow; the object is `*` until a whole read of the newest epoch is in force. */
static void sql_stars(struct tm_buf *b)
{
    tm_buf_addz(b, "UNION ALL SELECT '*',CAST(substr(\"key\",11,19) AS "
                   "INTEGER),'overflow',NULL,CAST(substr(\"key\",1,10) AS INTEGER)"
                   " FROM (SELECT max(\"key\") AS \"key\" FROM x WHERE t='GAP_OVERFLOW' OR "
                   "\"Id\"=" SQL_OVERFLOW_ID ")\n"
                   "  WHERE substr(\"key\",1," SQL_PLACE_BYTES
                   ")>(SELECT coalesce(max(substr(\"key\",1," SQL_PLACE_BYTES ")),'') FROM reads)\n"
                   "UNION ALL SELECT '*',CAST(substr(\"key\",11,19) AS INTEGER),'conversion',NULL,"
                   "CAST(substr(\"key\",1,10) AS INTEGER)"
                   " FROM (SELECT max(\"key\") AS \"key\" FROM x WHERE t<>'GAP_OVERFLOW' AND "
                   "instr(\"Id\",'*')>0)\n"
                   "  WHERE substr(\"key\",1," SQL_PLACE_BYTES
                   ")>(SELECT coalesce(max(substr(\"key\",1," SQL_PLACE_BYTES
                   ")),'') FROM reads WHERE whole)\n"
                   "UNION ALL SELECT '*',0,'copy',NULL,epoch FROM (SELECT "
                   "coalesce(max(CAST(substr(\"key\",1,10) AS INTEGER)),0)"
                   " AS epoch FROM\n"
                   "  (SELECT max(\"key\") AS \"key\" FROM x UNION ALL SELECT max(\"key\") FROM a "
                   "UNION ALL SELECT max(\"key\") FROM c))\n"
                   "  WHERE NOT EXISTS (SELECT 1 FROM reads WHERE whole"
                   " AND CAST(substr(\"key\",1,10) AS INTEGER)=epoch);\n");
}

/* R12: JSON names of the fields no update has set, each behind a comma. In groups: SQLite parses no
 * expression deeper than 1,000. */
static void sql_unknown(const struct tm_view_shape *s, struct tm_buf *b)
{
    for (size_t i = 0; i < s->columns_count; i++) {
        struct tm_buf quoted;
        tm_buf_init(&quoted, 4096);
        tm_buf_addc(&quoted, ',');
        tm_buf_add_json_string(&quoted, s->columns[i].name, strlen(s->columns[i].name));
        if (i % SQL_GROUP == 0)
            tm_buf_addz(b, i == 0 ? "(''" : ")||(''");
        tm_buf_addf(b, "\n  ||CASE WHEN m.c%zu IS NULL THEN ", i);
        tm_sql_literal(b, tm_buf_text(&quoted));
        tm_buf_addz(b, " ELSE '' END");
        tm_buf_free(&quoted);
    }
    tm_buf_addz(b, s->columns_count > 0 ? ")" : "''");
}

static void sql_dirty_relation(const struct tm_view_shape *s, struct tm_buf *b)
{
    sql_create(s, b, "_dirty");
    sql_common(s, b, "partial");
    tm_buf_addz(b,
                "SELECT d.id AS \"Id\",CAST(substr(d.\"key\",11,19) AS INTEGER) AS position,d.kind "
                "AS kind,\n"
                "  CASE WHEN d.id IN (SELECT id FROM u WHERE partial) THEN nullif('['||substr(");
    sql_unknown(s, b);
    tm_buf_addz(
        b,
        ",2)||']','[]') END AS \"_unknown\",CAST(substr(d.\"key\",1,10) AS INTEGER) AS \"_epoch\"\n"
        "FROM dirt d LEFT JOIN m ON m.id=d.id\n");
    sql_stars(b);
}

void tm_view_sql(const struct tm_view_shape *shape, struct tm_buf *out)
{
    sql_relation(shape, out);
    sql_dirty_relation(shape, out);
}

enum tm_code tm_view_sql_for(sqlite3 *db, const char *object, struct tm_buf *out,
                             struct tm_err *err)
{
    struct tm_view_shape shape;
    enum tm_code rc = tm_view_shape_read(&shape, db, object, err);
    if (rc != TM_OK)
        return rc;
    tm_view_sql(&shape, out);
    tm_view_shape_free(&shape);
    return tm_buf_check(out, "view SQL", err);
}
