#include "simulate/compare.h"
#include "base/text.h"
#include "event/contract.h"
#include "simulate/flags.h"
#include "simulate/reader.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COMPARE_SQL_BYTES_MAX 65536
#define COMPARE_UNREADABLE_MAX 256
#define COMPARE_FIRST 2 /* columns before the fields: Id, _dirty */
static const char *const compare_options[] = { "option 1", "option 2" };

static void compare_word(char out[TM_SIM_WORD_BYTES], sqlite3_stmt *s, int column)
{
    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        snprintf(out, TM_SIM_WORD_BYTES, "null");
    else
        snprintf(out, TM_SIM_WORD_BYTES, "%.40s", (const char *)sqlite3_column_text(s, column));
}

static bool compare_equal(sqlite3_stmt *a, int i, sqlite3_stmt *b, int k)
{
    int ta = sqlite3_column_type(a, i), tb = sqlite3_column_type(b, k);
    bool number_a = ta == SQLITE_INTEGER || ta == SQLITE_FLOAT,
         number_b = tb == SQLITE_INTEGER || tb == SQLITE_FLOAT;
    if (number_a && number_b)
        return fabs(sqlite3_column_double(a, i) - sqlite3_column_double(b, k)) < 1e-9;
    if (ta != tb || ta == SQLITE_NULL)
        return ta == tb;
    return sqlite3_column_bytes(a, i) == sqlite3_column_bytes(b, k) &&
           memcmp(sqlite3_column_blob(a, i), sqlite3_column_blob(b, k),
                  (size_t)sqlite3_column_bytes(a, i)) == 0;
}

/* ---- findings ---- */

static void compare_found(struct tm_sim_finding *out, const char *rule, const char *where,
                          const char *object, const char *id, const char *what)
{
    assert(!out->found);
    out->found = true;
    snprintf(out->rule, sizeof out->rule, "%s", rule);
    snprintf(out->where, sizeof out->where, "%s", where);
    snprintf(out->object, sizeof out->object, "%s", object);
    snprintf(out->id, sizeof out->id, "%s", id);
    snprintf(out->text, sizeof out->text, "%s: %s %.18s: %.400s", where, object, id, what);
}

static void compare_found_field(struct tm_sim_finding *out, const char *rule, const char *where,
                                const char *object, const char *id, const char *field,
                                const char *what)
{
    compare_found(out, rule, where, object, id, what);
    snprintf(out->field, sizeof out->field, "%s", field);
}

/* ---- statements ---- */

static const char *compare_table(char *out, size_t out_bytes, const char *object)
{
    snprintf(out, out_bytes, "cur_%s", object);
    return out;
}

static enum tm_code compare_has(bool *out, struct tm_sim_relation *r, const char *column,
                                struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    bool row = false;
    *out = false;
    while (rc == TM_OK && !*out && (rc = tm_sql_step(r->columns, &row, err)) == TM_OK && row)
        *out = strcasecmp((const char *)sqlite3_column_text(r->columns, TM_SQL_COLUMN_NAME),
                          column) == 0;
    sqlite3_reset(r->columns);
    return rc;
}

/* Which of the describe's fields it has: one walk for all of them. */
static enum tm_code compare_columns(bool *has, struct tm_sim_relation *r,
                                    const struct tm_describe *d, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && (rc = tm_sql_step(r->columns, &row, err)) == TM_OK && row) {
        const char *column = (const char *)sqlite3_column_text(r->columns, TM_SQL_COLUMN_NAME);
        for (size_t i = 0; i < d->fields_count; i++)
            has[i] |= strcasecmp(d->fields[i].name, column) == 0;
    }
    sqlite3_reset(r->columns);
    return rc;
}

/* The SELECT of a relation's comparable columns; a column it has not got yet was never in any row:
 * NULL. */
static enum tm_code compare_select(struct tm_buf *sql, struct tm_sim_relation *r,
                                   const struct tm_describe *d, bool truth, struct tm_err *err)
{
    char table[TM_SIM_FIELD_BYTES];
    enum tm_code rc = TM_OK;
    const char *from = truth ? compare_table(table, sizeof table, d->object) : d->object;
    bool *has = calloc(d->fields_count, sizeof *has);
    if (has == NULL)
        return tm_fail(err, TM_E_NOMEM, "the columns of %s", d->object);
    if (!truth)
        rc = compare_columns(has, r, d, err);
    tm_buf_addz(sql, truth ? "SELECT Id, IsDeleted" : "SELECT Id, _dirty");
    for (size_t i = 0; i < d->fields_count && rc == TM_OK; i++) {
        if (!tm_contract_column(&d->fields[i]))
            continue;
        tm_buf_addc(sql, ',');
        if (truth || has[i])
            tm_sql_ident(sql, d->fields[i].name);
        else
            tm_buf_addz(sql, "NULL");
    }
    tm_buf_addz(sql, " FROM ");
    tm_sql_ident(sql, from);
    tm_buf_addz(sql, truth ? " WHERE Id >= ?1 AND IsDeleted <= ?2 ORDER BY Id" : " ORDER BY Id");
    free(has);
    return rc == TM_OK ? tm_buf_check(sql, "a comparison", err) : rc;
}

static enum tm_code compare_prepare_rows(struct tm_sim_relation *r, sqlite3 *db,
                                         const struct tm_describe *d, bool truth,
                                         struct tm_err *err)
{
    struct tm_buf sql;
    tm_buf_init(&sql, COMPARE_SQL_BYTES_MAX);
    enum tm_code rc = compare_select(&sql, r, d, truth, err);
    if (rc == TM_OK && r->reader != NULL)
        rc = tm_sim_reader_prepare(&r->rows, r->reader, tm_buf_text(&sql), err);
    else if (rc == TM_OK)
        rc = tm_sql_prepare(&r->rows, db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code compare_prepare_dirt(struct tm_sim_relation *r, sqlite3 *db, const char *object,
                                         struct tm_err *err)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT Id, kind, position, _unknown FROM \"%s_dirty\" ORDER BY 1, 2, 3", object);
    return r->reader != NULL ? tm_sim_reader_prepare(&r->dirt, r->reader, sql, err)
                             : tm_sql_prepare(&r->dirt, db, sql, err);
}

/* Highest row of each raw table that option 1 sees, or that option 2 has applied. */
static enum tm_code compare_prepare_applied(struct tm_sim_relation *r, sqlite3 *db,
                                            const char *object, bool state, struct tm_err *err)
{
    struct tm_buf sql;
    struct tm_view_shape shape = { .columns_count = 0 };
    enum tm_code rc = TM_OK;
    tm_buf_init(&sql, COMPARE_SQL_BYTES_MAX);
    if (state) {
        tm_buf_addz(&sql, "SELECT raw_row, alerts_row, recon_row FROM _objects WHERE object=");
        tm_sql_literal(&sql, object);
    } else {
        rc = tm_view_shape_read(&shape, db, object, err);
        for (int i = 0; i < TM_VIEW_TABLES && rc == TM_OK; i++) {
            tm_buf_addz(&sql, i == 0 ? "SELECT " : ", ");
            if (!shape.there[i]) {
                tm_buf_addz(&sql, "0");
                continue;
            }
            tm_buf_addz(&sql, "(SELECT ifnull(max(rowid), 0) FROM ");
            tm_sql_ident(&sql, shape.tables[i]);
            tm_buf_addc(&sql, ')');
        }
        tm_view_shape_free(&shape);
    }
    if (rc == TM_OK)
        rc = tm_sql_prepare(&r->applied, db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

static void compare_finalize(struct tm_sim_relation *r)
{
    if (r->reader == NULL) {
        tm_sql_finalize(r->rows);
        tm_sql_finalize(r->dirt);
        tm_sql_finalize(r->flags.asked);
    }
    for (size_t i = 0; i < TM_SIM_READER_TABLES; i++)
        tm_sql_finalize(r->copy[i]);
    tm_sql_finalize(r->applied);
    tm_sql_finalize(r->columns);
    memset(r, 0, sizeof *r);
}

void tm_sim_compare_forget(struct tm_sim_world *w)
{
    for (size_t i = 0; i < TM_SIM_OBJECTS_MAX; i++)
        compare_finalize(&w->truth[i]);
    tm_sql_finalize(w->held);
    tm_sql_finalize(w->known);
    w->held = w->known = NULL;
}

static struct tm_sim_station *compare_station(struct tm_sim_world *w, int option)
{
    struct tm_sim_station *s = &w->stations[w->stations_count - 2 + (size_t)option];
    assert(s->kind == (option == 0 ? TM_SIM_SINK : TM_SIM_VIEW) && s->up);
    return s;
}

/* Option 1's statements are those of a reader that knows such views, and its own only where they
 * are installed themselves (reader.h). */
static enum tm_code compare_prepare(struct tm_sim_relation *r, struct tm_sim_world *w,
                                    size_t object, int option, struct tm_err *err)
{
    const char *name = w->objects[object];
    sqlite3 *db = compare_station(w, option)->db, *shows = db;
    enum tm_code rc = TM_OK;
    r->copied = -1;
    if (option == 0 && !w->set.views_installed) {
        rc = tm_sim_reader_of(&r->reader, db, name, err);
        if (rc != TM_OK || r->reader == NULL)
            return rc;
        shows = tm_sim_reader_db(r->reader);
        rc = tm_sim_reader_wants(r->copy, r->reader, db, err);
    }
    if (rc == TM_OK)
        rc = tm_sql_columns(&r->columns, shows, name, err);
    if (rc == TM_OK)
        rc = compare_has(&r->there, r, "Id", err);
    if (rc != TM_OK || !r->there)
        return rc;
    rc = compare_prepare_rows(r, shows, tm_org_describe(w->org, name), false, err);
    if (rc == TM_OK)
        rc = compare_prepare_dirt(r, shows, name, err);
    if (rc == TM_OK)
        rc = compare_prepare_applied(r, db, name, option == 1, err);
    if (rc != TM_OK || option == 1)
        return rc;
    r->flags.known = w->known;
    rc = r->reader != NULL
             ? tm_sim_reader_flags(&r->flags, r->reader, tm_org_db(w->org), w->known, err)
             : tm_sim_flags_prepare(&r->flags, db, tm_org_db(w->org), name, err);
    w->known = r->flags.known;
    return rc;
}

/* The statements of an option; `there` false while the relation is not. */
static enum tm_code compare_relation(struct tm_sim_relation **out, struct tm_sim_world *w,
                                     size_t object, int option, struct tm_err *err)
{
    struct tm_sim_relation *r = *out = &w->relations[object][option];
    const struct tm_sim_station *s = compare_station(w, option);
    int64_t schema = 0, changes = sqlite3_total_changes(s->db);
    enum tm_code rc = tm_sql_int64(&schema, s->db, "PRAGMA schema_version", err);
    uint64_t org_schema = tm_org_schema_version(w->org);
    if (rc == TM_OK &&
        (r->lives != s->lives || r->schema != schema || r->org_schema != org_schema)) {
        if (r->lives == s->lives)
            compare_finalize(r);
        else /* they went with their database */
            memset(r, 0, sizeof *r);
        r->lives = s->lives;
        rc = compare_prepare(r, w, object, option, err);
        r->schema = schema;
        r->org_schema = org_schema;
    }
    if (rc == TM_OK && r->reader != NULL && r->copied != changes) {
        rc = tm_sim_reader_fill(r->reader, r->copy, r->copied < 0, err);
        r->copied = changes;
    }
    return rc;
}

/* The org's rows from id `from` on. */
static enum tm_code compare_truth(struct tm_sim_relation **out, struct tm_sim_world *w,
                                  size_t object, const char *from, bool deleted, struct tm_err *err)
{
    struct tm_sim_relation *r = *out = &w->truth[object];
    enum tm_code rc = TM_OK;
    if (r->rows == NULL || r->org_schema != tm_org_schema_version(w->org)) {
        compare_finalize(r);
        r->org_schema = tm_org_schema_version(w->org);
        rc = compare_prepare_rows(r, tm_org_db(w->org), tm_org_describe(w->org, w->objects[object]),
                                  true, err);
    }
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(r->rows, 1, from, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(r->rows, 2, deleted);
    return TM_OK;
}

static const char *compare_column(const struct tm_describe *d, int at)
{
    at -= COMPARE_FIRST;
    for (size_t i = 0; i < d->fields_count; i++)
        if (tm_contract_column(&d->fields[i]) && at-- == 0)
            return d->fields[i].name;
    return "";
}

/* ---- at rest ---- */

/* Records that no read returned to a user who may not see all (R11): there is no way to know
 * better. Or, with `all`, whatever is in doubt. */
struct compare_unreadable {
    bool all;
    char ids[COMPARE_UNREADABLE_MAX][TM_ID_BYTES];
    size_t count;
};

static enum tm_code compare_unreadable(struct compare_unreadable *out, sqlite3_stmt *dirt,
                                       struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = TM_OK;
    out->count = 0;
    while (rc == TM_OK && (rc = tm_sql_step(dirt, &row, err)) == TM_OK && row) {
        if (!out->all && strcmp((const char *)sqlite3_column_text(dirt, 1), "unreadable") != 0)
            continue;
        if (out->count == COMPARE_UNREADABLE_MAX)
            rc = tm_fail(err, TM_E_LIMIT, "more than %d records in doubt", COMPARE_UNREADABLE_MAX);
        else
            snprintf(out->ids[out->count++], TM_ID_BYTES, "%s",
                     (const char *)sqlite3_column_text(dirt, 0));
    }
    sqlite3_reset(dirt);
    return rc;
}

static bool compare_is_unreadable(const struct compare_unreadable *u, const char *id)
{
    for (size_t i = 0; i < u->count; i++)
        if (strcmp(u->ids[i], id) == 0)
            return true;
    return false;
}

/* Both statements stand on rows of one id. */
static void compare_row(struct tm_sim_finding *out, const char *where, const struct tm_describe *d,
                        sqlite3_stmt *truth, sqlite3_stmt *shown)
{
    char what[300], a[TM_SIM_WORD_BYTES], b[TM_SIM_WORD_BYTES];
    const char *id = (const char *)sqlite3_column_text(truth, 0);
    for (int i = COMPARE_FIRST; i < sqlite3_column_count(truth); i++) {
        if (compare_equal(truth, i, shown, i))
            continue;
        compare_word(a, truth, i);
        compare_word(b, shown, i);
        snprintf(what, sizeof what, "%s is %s in the org, shown as %s", compare_column(d, i), a, b);
        compare_found_field(out, "R13", where, d->object, id, compare_column(d, i), what);
        strcpy(out->expected, a);
        strcpy(out->shown, b);
        return;
    }
    if (sqlite3_column_int(shown, 1) == 0)
        return;
    compare_found_field(out, "R10", where, d->object, id, "_dirty", "still dirty at rest");
    strcpy(out->expected, "0");
    strcpy(out->shown, "1");
}

static enum tm_code compare_rows(struct tm_sim_finding *out, const char *where,
                                 const struct tm_describe *d, sqlite3_stmt *truth,
                                 sqlite3_stmt *shown, const struct compare_unreadable *u,
                                 struct tm_err *err)
{
    bool a = false, b = false;
    enum tm_code rc = tm_sql_step(truth, &a, err);
    if (rc == TM_OK)
        rc = tm_sql_step(shown, &b, err);
    while (rc == TM_OK && (a || b) && !out->found) {
        int order = !a   ? 1
                    : !b ? -1
                         : strcmp((const char *)sqlite3_column_text(truth, 0),
                                  (const char *)sqlite3_column_text(shown, 0));
        if (order < 0) {
            const char *id = (const char *)sqlite3_column_text(truth, 0);
            if (!u->all || !compare_is_unreadable(u, id))
                compare_found(out, "R13", where, d->object, id, "missing");
        } else if (compare_is_unreadable(u, (const char *)sqlite3_column_text(shown, 0)))
            order = order > 0 ? 1 : 0;
        else if (order > 0)
            compare_found(out, "R13", where, d->object, (const char *)sqlite3_column_text(shown, 0),
                          "shown, but not in the org");
        else
            compare_row(out, where, d, truth, shown);
        if (out->found && order != 0) {
            strcpy(out->expected, order < 0 ? "a row" : "no row");
            strcpy(out->shown, order < 0 ? "no row" : "a row");
        }
        if (order <= 0)
            rc = tm_sql_step(truth, &a, err);
        if (rc == TM_OK && order >= 0)
            rc = tm_sql_step(shown, &b, err);
    }
    sqlite3_reset(truth);
    sqlite3_reset(shown);
    return rc;
}

/* Where the user may not see all, no read is whole: `*` and what no read returned stay (R16). */
static bool compare_may_stay(const struct compare_unreadable *u, const char *id, const char *kind)
{
    if (strcmp(id, "*") == 0)
        return strcmp(kind, "copy") == 0 || strcmp(kind, "conversion") == 0;
    return compare_is_unreadable(u, id);
}

static enum tm_code compare_dirt(struct tm_sim_finding *out, const char *where, const char *object,
                                 sqlite3_stmt *s, const struct compare_unreadable *u, bool sees_all,
                                 struct tm_err *err)
{
    bool row = false;
    char what[200];
    enum tm_code rc = TM_OK;
    do
        rc = tm_sql_step(s, &row, err);
    while (rc == TM_OK && row && !sees_all &&
           compare_may_stay(u, (const char *)sqlite3_column_text(s, 0),
                            (const char *)sqlite3_column_text(s, 1)));
    if (rc == TM_OK && row) {
        snprintf(what, sizeof what, "dirt of kind %.40s at %.40s is left at rest",
                 (const char *)sqlite3_column_text(s, 1), (const char *)sqlite3_column_text(s, 2));
        compare_found_field(out, "R10", where, object, (const char *)sqlite3_column_text(s, 0),
                            "_dirty", what);
        out->about = TM_SIM_ABOUT_DIRT;
        strcpy(out->expected, "no dirt");
        compare_word(out->shown, s, 1);
    }
    sqlite3_reset(s);
    return rc;
}

static enum tm_code compare_object(struct tm_sim_finding *out, struct tm_sim_world *w,
                                   size_t object, int option, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(w->org, w->objects[object]);
    const char *where = compare_options[option];
    struct tm_sim_relation *truth = NULL, *shown = NULL;
    struct compare_unreadable u;
    assert(d != NULL);
    enum tm_code rc = compare_truth(&truth, w, object, "", false, err);
    if (rc == TM_OK)
        rc = compare_relation(&shown, w, object, option, err);
    if (rc == TM_OK && !shown->there) { /* a finding, as others: a later rest may have it */
        compare_found(out, "R13", where, d->object, "*", "no relation at rest");
        return TM_OK;
    }
    u.count = 0;
    u.all = false;
    if (rc == TM_OK && !w->set.sees_all)
        rc = compare_unreadable(&u, shown->dirt, err);
    if (rc == TM_OK)
        rc = compare_rows(out, where, d, truth->rows, shown->rows, &u, err);
    return rc == TM_OK && !out->found
               ? compare_dirt(out, where, d->object, shown->dirt, &u, w->set.sees_all, err)
               : rc;
}

/* What the preset promises: after its last poll, all that is in the org. */
static enum tm_code compare_batch(struct tm_sim_finding *out, struct tm_sim_world *w,
                                  struct tm_err *err)
{
    static const struct compare_unreadable none = { .count = 0 };
    const char *where = w->set.batch == TM_SIM_RELOAD ? "batch reload" : "batch incremental";
    sqlite3 *db = NULL;
    enum tm_code rc = tm_sql_open(&db, w->batch_path, TM_SQL_READ, err);
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK && !out->found; i++) {
        const struct tm_describe *d = tm_org_describe(w->org, w->objects[i]);
        struct tm_sim_relation *truth = NULL, r = { .there = false };
        rc = compare_truth(&truth, w, i, "", false, err);
        if (rc == TM_OK)
            rc = tm_sql_columns(&r.columns, db, w->objects[i], err);
        if (rc == TM_OK)
            rc = compare_has(&r.there, &r, "Id", err);
        if (rc == TM_OK && !r.there)
            compare_found(out, "B", where, w->objects[i], "*", "no relation after its first load");
        else if (rc == TM_OK)
            rc = compare_prepare_rows(&r, db, d, false, err);
        if (rc == TM_OK && !out->found)
            rc = compare_rows(out, where, d, truth->rows, r.rows, &none, err);
        compare_finalize(&r);
    }
    if (out->found)
        strcpy(out->rule, "B"); /* not one of R1 to R16: those are of streaming */
    tm_sql_close(db);
    return rc;
}

enum tm_code tm_sim_compare_rest(struct tm_sim_world *w, struct tm_sim_finding *out,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (int option = 0; option < 2 && rc == TM_OK && !out->found; option++)
        for (size_t i = 0; i < w->set.objects_count && rc == TM_OK && !out->found; i++)
            rc = compare_object(out, w, i, option, err);
    if (rc == TM_OK && !out->found && w->set.batch != TM_SIM_NO_BATCH && w->batch_promises)
        rc = compare_batch(out, w, err);
    return rc;
}

/* ---- in flight ---- */

/* Has option 2 applied every row that option 1 sees? */
static enum tm_code compare_caught_up(bool *out, sqlite3_stmt *seen, sqlite3_stmt *applied,
                                      struct tm_err *err)
{
    bool a = false, b = false;
    enum tm_code rc = tm_sql_step(seen, &a, err);
    if (rc == TM_OK)
        rc = tm_sql_step(applied, &b, err);
    *out = rc == TM_OK && a && b;
    for (int i = 0; i < TM_VIEW_TABLES && *out; i++)
        *out = sqlite3_column_int64(seen, i) == sqlite3_column_int64(applied, i);
    sqlite3_reset(seen);
    sqlite3_reset(applied);
    return rc;
}

static void compare_one_only(struct tm_sim_finding *out, const char *object, const char *what,
                             int option, sqlite3_stmt *s)
{
    char text[100];
    snprintf(text, sizeof text, "%s shown by %s only", what, compare_options[option]);
    compare_found_field(out, "agree", "in flight", object, (const char *)sqlite3_column_text(s, 0),
                        what, text);
    strcpy(out->expected, "the same in both");
    strcpy(out->shown, text);
}

/* Two queries that must give the same rows. */
static enum tm_code compare_same(struct tm_sim_finding *out, const char *object, const char *what,
                                 sqlite3_stmt *a, sqlite3_stmt *b, struct tm_err *err)
{
    bool more_a = true, more_b = true;
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && !out->found) {
        char text[300], x[TM_SIM_WORD_BYTES], y[TM_SIM_WORD_BYTES];
        rc = tm_sql_step(a, &more_a, err);
        if (rc == TM_OK)
            rc = tm_sql_step(b, &more_b, err);
        if (rc != TM_OK || (!more_a && !more_b))
            break;
        if (more_a != more_b)
            compare_one_only(out, object, what, more_a ? 0 : 1, more_a ? a : b);
        for (int i = 0; more_a && more_b && i < sqlite3_column_count(a) && !out->found; i++) {
            if (compare_equal(a, i, b, i))
                continue;
            compare_word(x, a, i);
            compare_word(y, b, i);
            snprintf(text, sizeof text, "%s: %s is %s in option 1, %s in option 2", what,
                     sqlite3_column_name(a, i), x, y);
            compare_found_field(out, "agree", "in flight", object,
                                (const char *)sqlite3_column_text(a, 0), sqlite3_column_name(a, i),
                                text);
            strcpy(out->expected, x);
            strcpy(out->shown, y);
        }
    }
    sqlite3_reset(a);
    sqlite3_reset(b);
    return rc;
}

/* Is the value somewhere in the record's history? */
static enum tm_code compare_ever(bool *out, struct tm_sim_world *w, const char *object,
                                 const char *column, sqlite3_stmt *shown, int at,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (w->held == NULL)
        rc = tm_sql_prepare(&w->held, tm_org_db(w->org),
                            "SELECT 1 FROM history WHERE object = ?1 AND id = ?2"
                            " AND json_extract(fields, '$.' || ?3) = ?4 LIMIT 1",
                            err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(w->held, 1, object, -1, SQLITE_STATIC);
    sqlite3_bind_value(w->held, 2, sqlite3_column_value(shown, 0));
    sqlite3_bind_text(w->held, 3, column, -1, SQLITE_STATIC);
    sqlite3_bind_value(w->held, 4, sqlite3_column_value(shown, at));
    rc = tm_sql_step(w->held, out, err);
    sqlite3_reset(w->held);
    return rc;
}

/* Every value shown is, or was, in the org. Nulls are left out: they may be unknown. */
static enum tm_code compare_held(struct tm_sim_finding *out, struct tm_sim_world *w, size_t object,
                                 int option, sqlite3_stmt *shown, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(w->org, w->objects[object]);
    struct tm_sim_relation *truth = NULL;
    char where[32], word[TM_SIM_WORD_BYTES], text[200];
    bool more = false, now = false;
    enum tm_code rc = compare_truth(&truth, w, object, "", true, err);
    snprintf(where, sizeof where, "%s, in flight", compare_options[option]);
    if (rc == TM_OK)
        rc = tm_sql_step(truth->rows, &now, err);
    while (rc == TM_OK && !out->found && (rc = tm_sql_step(shown, &more, err)) == TM_OK && more) {
        const char *id = (const char *)sqlite3_column_text(shown, 0);
        while (rc == TM_OK && now &&
               strcmp((const char *)sqlite3_column_text(truth->rows, 0), id) < 0)
            rc = tm_sql_step(truth->rows, &now, err);
        bool same = now && strcmp((const char *)sqlite3_column_text(truth->rows, 0), id) == 0;
        for (int i = COMPARE_FIRST; i < sqlite3_column_count(shown) && rc == TM_OK; i++) {
            bool ever = true;
            if (sqlite3_column_type(shown, i) == SQLITE_NULL ||
                (same && compare_equal(truth->rows, i, shown, i)))
                continue;
            rc = compare_ever(&ever, w, d->object, compare_column(d, i), shown, i, err);
            if (rc != TM_OK || ever || out->found)
                continue;
            compare_word(word, shown, i);
            snprintf(text, sizeof text, "%s shows %s, which it never held", compare_column(d, i),
                     word);
            compare_found_field(out, "R13", where, d->object, id, compare_column(d, i), text);
            strcpy(out->expected, "a value it held");
            strcpy(out->shown, word);
        }
    }
    sqlite3_reset(shown);
    if (truth != NULL)
        sqlite3_reset(truth->rows);
    return rc;
}

static enum tm_code compare_object_flight(struct tm_sim_finding *out, struct tm_sim_world *w,
                                          size_t object, struct tm_err *err)
{
    struct tm_sim_relation *views = NULL, *state = NULL;
    const char *name = w->objects[object];
    bool caught_up = false;
    enum tm_code rc = compare_relation(&views, w, object, 0, err);
    if (rc == TM_OK)
        rc = compare_relation(&state, w, object, 1, err);
    if (rc == TM_OK && views->there && state->there)
        rc = compare_caught_up(&caught_up, views->applied, state->applied, err);
    if (rc == TM_OK && state->there)
        rc = compare_held(out, w, object, 1, state->rows, err);
    if (rc == TM_OK && !out->found && views->there && !caught_up)
        rc = compare_held(out, w, object, 0, views->rows, err);
    if (rc == TM_OK && !out->found && caught_up) /* so option 1's were held, too */
        rc = compare_same(out, name, "row", views->rows, state->rows, err);
    if (rc == TM_OK && !out->found && caught_up) {
        rc = compare_same(out, name, "dirt", views->dirt, state->dirt, err);
        out->about = out->found ? TM_SIM_ABOUT_DIRT : TM_SIM_ABOUT_ROWS;
    }
    /* Where both are the same rows and the same dirt, one answer is both's: the cheaper one is
     * asked.
     */
    const struct tm_sim_relation *asked = caught_up ? state : views;
    if (rc == TM_OK && !out->found && views->there)
        rc =
            tm_sim_flags_check(out, &views->flags, asked->rows, asked->dirt, "option 1", name, err);
    return rc;
}

enum tm_code tm_sim_compare_flight(struct tm_sim_world *w, struct tm_sim_finding *out,
                                   struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK && !out->found; i++)
        rc = compare_object_flight(out, w, i, err);
    return rc;
}

/* ---- all told, not all answered ---- */

/* The sink has written every record there is, also of those that the broker still holds back. */
static bool compare_all_written(const struct tm_sim_world *w)
{
    for (size_t i = 0; i < w->set.objects_count * 3; i++)
        for (int32_t p = 0; p < w->set.partitions; p++) {
            struct tm_record next;
            int64_t written = tm_mem_committed(w->broker, "tidemark-sink", w->sink_topics[i], p);
            if (tm_mem_record(w->broker, w->sink_topics[i], p, written < 0 ? 0 : written, &next))
                return false;
        }
    return true;
}

/* Has every copy that was asked for been read? A source that lost its checkpoint asks again in the
 * same epoch, and nothing flags what it missed until that copy is there. */
static enum tm_code compare_copied(bool *out, const struct tm_sim_world *w, size_t object,
                                   sqlite3 *raw, struct tm_err *err)
{
    char alerts[TM_TOPIC_NAME_MAX], recon[TM_TOPIC_NAME_MAX], sql[1024];
    int64_t columns = 0, missing = 1;
    tm_name_sanitize(alerts, sizeof alerts, w->alerts[object]);
    tm_name_sanitize(recon, sizeof recon, w->recon[object]);
    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM pragma_table_info('%s') WHERE name='_kind')+(SELECT "
             "count(*) FROM pragma_table_info('%s') WHERE name='_kind')",
             alerts, recon);
    enum tm_code rc = tm_sql_int64(&columns, raw, sql, err);
    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM \"%s\" WHERE _kind='copy' AND _partition=0)-(SELECT "
             "count(DISTINCT _read_id) FROM \"%s\" WHERE _kind='end' AND _read_kind='whole')",
             alerts, recon);
    if (rc == TM_OK && columns == 2)
        rc = tm_sql_int64(&missing, raw, sql, err);
    *out = rc == TM_OK && missing <= 0;
    return rc;
}

static enum tm_code compare_object_told(struct tm_sim_finding *out, struct tm_sim_world *w,
                                        size_t object, struct tm_err *err)
{
    static _Thread_local struct compare_unreadable doubt;
    const struct tm_describe *d = tm_org_describe(w->org, w->objects[object]);
    struct tm_sim_relation *truth = NULL, *shown = NULL;
    enum tm_code rc = compare_truth(&truth, w, object, "", false, err);
    if (rc == TM_OK)
        rc = compare_relation(&shown, w, object, 0, err);
    doubt.all = true;
    bool copied = false;
    if (rc == TM_OK && shown->there)
        rc = compare_copied(&copied, w, object, compare_station(w, 0)->db, err);
    if (rc != TM_OK || !copied)
        return rc;
    rc = compare_unreadable(&doubt, shown->dirt, err);
    if (rc == TM_OK && !compare_is_unreadable(&doubt, "*"))
        rc = compare_rows(out, "option 1, in flight", d, truth->rows, shown->rows, &doubt, err);
    if (out->found) {
        size_t at = strlen(out->text);
        snprintf(out->text + at, sizeof out->text - at,
                 "; every event is in the raw tables, and it is not flagged");
    }
    return rc;
}

enum tm_code tm_sim_compare_told(struct tm_sim_world *w, struct tm_sim_finding *out,
                                 bool *out_asked, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    *out_asked = compare_station(w, 0)->db != NULL && compare_all_written(w);
    for (size_t i = 0; *out_asked && i < w->set.objects_count && rc == TM_OK && !out->found; i++)
        rc = compare_object_told(out, w, i, err);
    return rc == TM_OK ? rc : tm_at(err, "what is told and not flagged");
}
