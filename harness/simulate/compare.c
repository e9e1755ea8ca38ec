#include "simulate/compare.h"
#include "event/contract.h"
#include "simulate/flags.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COMPARE_SQL_BYTES_MAX 65536
#define COMPARE_WORD_BYTES 48
static const char *const compare_names[] = { "option 1", "option 2" };

static void compare_word(char out[COMPARE_WORD_BYTES], sqlite3_stmt *s, int column)
{
    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        snprintf(out, COMPARE_WORD_BYTES, "null");
    else
        snprintf(out, COMPARE_WORD_BYTES, "%.40s", (const char *)sqlite3_column_text(s, column));
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

/* A column the relation has not got yet was never in any row: NULL. */
static enum tm_code compare_has(sqlite3 *db, const char *object, const char *column, bool *out,
                                struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    enum tm_code rc = tm_sql_prepare(
        &s, db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE", err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(s, 1, object, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
    rc = tm_sql_step(s, out, err);
    sqlite3_finalize(s);
    return rc;
}

static enum tm_code compare_prepare(sqlite3_stmt **out, sqlite3 *db, const struct tm_describe *d,
                                    bool truth, struct tm_err *err)
{
    struct tm_buf sql;
    enum tm_code rc = TM_OK;
    tm_buf_init(&sql, COMPARE_SQL_BYTES_MAX);
    tm_buf_addz(&sql, truth ? "SELECT Id, 0" : "SELECT Id, _dirty");
    for (size_t i = 0; i < d->fields_count && rc == TM_OK; i++) {
        bool there = true;
        if (!tm_contract_column(&d->fields[i]))
            continue;
        if (!truth)
            rc = compare_has(db, d->object, d->fields[i].name, &there, err);
        tm_buf_addc(&sql, ',');
        if (there)
            tm_sql_ident(&sql, d->fields[i].name);
        else
            tm_buf_addz(&sql, "NULL");
    }
    tm_buf_addf(
        &sql, truth ? " FROM \"cur_%s\" WHERE IsDeleted=0 ORDER BY Id" : " FROM \"%s\" ORDER BY Id",
        d->object);
    if (rc == TM_OK)
        rc = tm_buf_check(&sql, "a comparison", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(out, db, tm_buf_text(&sql), err);
    tm_buf_free(&sql);
    return rc;
}

static const char *compare_column(const struct tm_describe *d, int at)
{
    for (size_t i = 0; i < d->fields_count; i++)
        if (tm_contract_column(&d->fields[i]) && at-- == 0)
            return d->fields[i].name;
    return "";
}

static void compare_found(struct tm_sim_finding *out, const char *rule, const char *where,
                          const char *object, const char *id, const char *what)
{
    if (out->found)
        return;
    out->found = true;
    snprintf(out->rule, sizeof out->rule, "%s", rule);
    snprintf(out->text, sizeof out->text, "%s: %s %.18s: %.400s", where, object, id, what);
}

/* Both statements stand on rows of one id. */
static void compare_row(struct tm_sim_finding *out, const char *where, const struct tm_describe *d,
                        sqlite3_stmt *truth, sqlite3_stmt *shown)
{
    char what[300], a[COMPARE_WORD_BYTES], b[COMPARE_WORD_BYTES];
    const char *id = (const char *)sqlite3_column_text(truth, 0);
    for (int i = 2; i < sqlite3_column_count(truth) && !out->found; i++) {
        if (compare_equal(truth, i, shown, i))
            continue;
        compare_word(a, truth, i);
        compare_word(b, shown, i);
        snprintf(what, sizeof what, "%s is %s in the org, shown as %s", compare_column(d, i - 2), a,
                 b);
        compare_found(out, "R13", where, d->object, id, what);
    }
    if (sqlite3_column_int(shown, 1) != 0)
        compare_found(out, "R10", where, d->object, id, "still dirty at rest");
}

static enum tm_code compare_rows(struct tm_sim_finding *out, const char *where,
                                 const struct tm_describe *d, sqlite3_stmt *truth,
                                 sqlite3_stmt *shown, struct tm_err *err)
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
        if (order < 0)
            compare_found(out, "R13", where, d->object, (const char *)sqlite3_column_text(truth, 0),
                          "missing");
        else if (order > 0)
            compare_found(out, "R13", where, d->object, (const char *)sqlite3_column_text(shown, 0),
                          "shown, but not in the org");
        else
            compare_row(out, where, d, truth, shown);
        if (order <= 0)
            rc = tm_sql_step(truth, &a, err);
        if (rc == TM_OK && order >= 0)
            rc = tm_sql_step(shown, &b, err);
    }
    return rc;
}

static enum tm_code compare_dirt(struct tm_sim_finding *out, const char *where, const char *object,
                                 sqlite3 *db, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    struct tm_buf sql;
    bool row = false;
    char what[200];
    tm_buf_init(&sql, COMPARE_SQL_BYTES_MAX);
    tm_buf_addf(&sql, "SELECT Id, kind, position FROM \"%s_dirty\" ORDER BY 1, 2, 3 LIMIT 1",
                object);
    enum tm_code rc = tm_sql_prepare(&s, db, tm_buf_text(&sql), err);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    if (rc == TM_OK && row) {
        snprintf(what, sizeof what, "dirt of kind %.40s at %.40s is left at rest",
                 (const char *)sqlite3_column_text(s, 1), (const char *)sqlite3_column_text(s, 2));
        compare_found(out, "R10", where, object, (const char *)sqlite3_column_text(s, 0), what);
    }
    sqlite3_finalize(s);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code compare_object(struct tm_sim_world *w, const char *object, sqlite3 *db,
                                   const char *where, struct tm_sim_finding *out,
                                   struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(w->org, object);
    sqlite3_stmt *truth = NULL, *shown = NULL;
    assert(d != NULL);
    enum tm_code rc = compare_prepare(&truth, tm_org_db(w->org), d, true, err);
    if (rc == TM_OK)
        rc = compare_prepare(&shown, db, d, false, err);
    if (rc == TM_OK)
        rc = compare_rows(out, where, d, truth, shown, err);
    sqlite3_finalize(truth);
    sqlite3_finalize(shown);
    return rc == TM_OK && !out->found ? compare_dirt(out, where, object, db, err) : rc;
}

enum tm_code tm_sim_compare_rest(struct tm_sim_world *w, struct tm_sim_finding *out,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (int option = 0; option < 2 && rc == TM_OK; option++) {
        struct tm_sim_station *s = &w->stations[w->stations_count - 2 + (size_t)option];
        assert(s->kind == (option == 0 ? TM_SIM_SINK : TM_SIM_VIEW) && s->up);
        for (size_t i = 0; i < w->set.objects_count && rc == TM_OK; i++)
            rc = compare_object(w, w->objects[i], s->db, compare_names[option], out, err);
    }
    return rc;
}

/* ---- in flight ---- */

/* Has option 2 applied every row that option 1 sees? */
static enum tm_code compare_caught_up(sqlite3 *raw, sqlite3 *view, const char *object, bool *out,
                                      struct tm_err *err)
{
    struct tm_view_object o;
    struct tm_view_shape shape;
    *out = false;
    enum tm_code rc = tm_view_store_object_load(view, &o, object, err);
    if (rc == TM_OK)
        rc = tm_view_shape_read(&shape, raw, object, err);
    if (rc != TM_OK)
        return rc;
    *out = true;
    for (int i = 0; i < TM_VIEW_TABLES && rc == TM_OK; i++) {
        char sql[TM_VIEW_NAME_MAX + 64];
        int64_t last = 0;
        snprintf(sql, sizeof sql, "SELECT max(rowid) FROM \"%s\"", shape.tables[i]);
        if (shape.there[i])
            rc = tm_sql_int64(&last, raw, sql, err);
        *out = *out && o.rows_read[i] == last;
    }
    tm_view_shape_free(&shape);
    return rc;
}

/* Two queries that must give the same rows. */
static enum tm_code compare_same(struct tm_sim_finding *out, const char *object, const char *what,
                                 sqlite3_stmt *a, sqlite3_stmt *b, struct tm_err *err)
{
    bool more_a = true, more_b = true;
    enum tm_code rc = TM_OK;
    while (rc == TM_OK && !out->found && (more_a || more_b)) {
        char text[300], x[COMPARE_WORD_BYTES], y[COMPARE_WORD_BYTES];
        rc = tm_sql_step(a, &more_a, err);
        if (rc == TM_OK)
            rc = tm_sql_step(b, &more_b, err);
        if (rc != TM_OK || (!more_a && !more_b))
            break;
        sqlite3_stmt *any = more_a ? a : b;
        if (more_a != more_b) {
            snprintf(text, sizeof text, "%s shown by %s only", what, compare_names[more_a ? 0 : 1]);
            compare_found(out, "agree", "in flight", object,
                          (const char *)sqlite3_column_text(any, 0), text);
        }
        for (int i = 0; more_a && more_b && i < sqlite3_column_count(a) && !out->found; i++) {
            if (compare_equal(a, i, b, i))
                continue;
            compare_word(x, a, i);
            compare_word(y, b, i);
            snprintf(text, sizeof text, "%s: %s is %s in option 1, %s in option 2", what,
                     sqlite3_column_name(a, i), x, y);
            compare_found(out, "agree", "in flight", object,
                          (const char *)sqlite3_column_text(a, 0), text);
        }
    }
    return rc;
}

static enum tm_code compare_agree(struct tm_sim_world *w, const char *object, sqlite3 *raw,
                                  sqlite3 *view, struct tm_sim_finding *out, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(w->org, object);
    sqlite3_stmt *a = NULL, *b = NULL;
    char sql[256];
    enum tm_code rc = compare_prepare(&a, raw, d, false, err);
    if (rc == TM_OK)
        rc = compare_prepare(&b, view, d, false, err);
    if (rc == TM_OK)
        rc = compare_same(out, object, "row", a, b, err);
    sqlite3_finalize(a);
    sqlite3_finalize(b);
    a = b = NULL;
    snprintf(sql, sizeof sql,
             "SELECT Id, kind, position, _unknown FROM \"%s_dirty\" ORDER BY 1, 2, 3", object);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&a, raw, sql, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&b, view, sql, err);
    if (rc == TM_OK)
        rc = compare_same(out, object, "dirt", a, b, err);
    sqlite3_finalize(a);
    sqlite3_finalize(b);
    return rc;
}

/* Every value shown stands somewhere in the record's history. Nulls are left out: they may be
 * unknown. */
static enum tm_code compare_held(struct tm_sim_world *w, const char *object, sqlite3 *db,
                                 const char *where, struct tm_sim_finding *out, struct tm_err *err)
{
    const struct tm_describe *d = tm_org_describe(w->org, object);
    sqlite3_stmt *shown = NULL, *held = NULL;
    bool more = false;
    enum tm_code rc = compare_prepare(&shown, db, d, false, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&held, tm_org_db(w->org),
                            "SELECT 1 FROM history WHERE object = ?1 AND id = ?2"
                            " AND json_extract(fields, '$.' || ?3) = ?4 LIMIT 1",
                            err);
    while (rc == TM_OK && !out->found && (rc = tm_sql_step(shown, &more, err)) == TM_OK && more) {
        for (int i = 2; i < sqlite3_column_count(shown) && rc == TM_OK && !out->found; i++) {
            char text[300], word[COMPARE_WORD_BYTES];
            bool there = false;
            if (sqlite3_column_type(shown, i) == SQLITE_NULL)
                continue;
            sqlite3_bind_text(held, 1, object, -1, SQLITE_STATIC);
            sqlite3_bind_value(held, 2, sqlite3_column_value(shown, 0));
            sqlite3_bind_text(held, 3, compare_column(d, i - 2), -1, SQLITE_STATIC);
            sqlite3_bind_value(held, 4, sqlite3_column_value(shown, i));
            rc = tm_sql_step(held, &there, err);
            sqlite3_reset(held);
            if (rc != TM_OK || there)
                continue;
            compare_word(word, shown, i);
            snprintf(text, sizeof text, "%s shows %s, which it never held",
                     compare_column(d, i - 2), word);
            compare_found(out, "R13", where, object, (const char *)sqlite3_column_text(shown, 0),
                          text);
        }
    }
    sqlite3_finalize(shown);
    sqlite3_finalize(held);
    return rc;
}

enum tm_code tm_sim_compare_flight(struct tm_sim_world *w, struct tm_sim_finding *out,
                                   struct tm_err *err)
{
    const struct tm_sim_station *sink = &w->stations[w->stations_count - 2],
                                *view = &w->stations[w->stations_count - 1];
    enum tm_code rc = TM_OK;
    assert(sink->kind == TM_SIM_SINK && view->kind == TM_SIM_VIEW && sink->up && view->up);
    for (size_t i = 0; i < w->set.objects_count && rc == TM_OK && !out->found; i++) {
        bool views = false, states = false, caught_up = false;
        const char *object = w->objects[i];
        rc = compare_has(sink->db, object, "Id", &views, err);
        if (rc == TM_OK)
            rc = compare_has(view->db, object, "Id", &states, err);
        if (rc == TM_OK && views)
            rc = compare_held(w, object, sink->db, "option 1, in flight", out, err);
        if (rc == TM_OK && states)
            rc = compare_held(w, object, view->db, "option 2, in flight", out, err);
        if (rc == TM_OK && views && states)
            rc = compare_caught_up(sink->db, view->db, object, &caught_up, err);
        if (rc == TM_OK && caught_up && !out->found)
            rc = compare_agree(w, object, sink->db, view->db, out, err);
        if (rc == TM_OK && views && !out->found)
            rc = tm_sim_flags_check(out, sink->db, sink->db, tm_org_db(w->org), "option 1", object,
                                    err);
        if (rc == TM_OK && caught_up && !out->found)
            rc = tm_sim_flags_check(out, sink->db, view->db, tm_org_db(w->org), "option 2", object,
                                    err);
    }
    return rc;
}
