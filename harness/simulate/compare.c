#include "simulate/compare.h"
#include "event/contract.h"
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
    bool number_a = ta == SQLITE_INTEGER || ta == SQLITE_FLOAT, number_b = tb == SQLITE_INTEGER || tb == SQLITE_FLOAT;
    if (number_a && number_b)
        return fabs(sqlite3_column_double(a, i) - sqlite3_column_double(b, k)) < 1e-9;
    if (ta != tb || ta == SQLITE_NULL)
        return ta == tb;
    return sqlite3_column_bytes(a, i) == sqlite3_column_bytes(b, k)
        && memcmp(sqlite3_column_blob(a, i), sqlite3_column_blob(b, k), (size_t)sqlite3_column_bytes(a, i)) == 0;
}

/* A column the relation has not got yet was never in any row: NULL. */
static enum tm_code compare_has(sqlite3 *db, const char *object, const char *column, bool *out, struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    enum tm_code rc = tm_sql_prepare(&s, db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE", err);
    if (rc != TM_OK)
        return rc;
    sqlite3_bind_text(s, 1, object, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
    rc = tm_sql_step(s, out, err);
    sqlite3_finalize(s);
    return rc;
}

static enum tm_code compare_prepare(sqlite3_stmt **out, sqlite3 *db, const struct tm_describe *d, bool truth,
                                    struct tm_err *err)
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
    tm_buf_addf(&sql, truth ? " FROM \"cur_%s\" WHERE IsDeleted=0 ORDER BY Id" : " FROM \"%s\" ORDER BY Id", d->object);
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

static void compare_found(struct tm_sim_finding *out, const char *rule, const char *where, const char *object, const char *id,
                          const char *what)
{
    if (out->found)
        return;
    out->found = true;
    snprintf(out->rule, sizeof out->rule, "%s", rule);
    snprintf(out->text, sizeof out->text, "%s: %s %.18s: %.400s", where, object, id, what);
}

/* Both statements stand on rows of one id. */
static void compare_row(struct tm_sim_finding *out, const char *where, const struct tm_describe *d, sqlite3_stmt *truth,
                        sqlite3_stmt *shown)
{
    char what[300], a[COMPARE_WORD_BYTES], b[COMPARE_WORD_BYTES];
    const char *id = (const char *)sqlite3_column_text(truth, 0);
    for (int i = 2; i < sqlite3_column_count(truth) && !out->found; i++) {
        if (compare_equal(truth, i, shown, i))
            continue;
        compare_word(a, truth, i);
        compare_word(b, shown, i);
        snprintf(what, sizeof what, "%s is %s in the org, shown as %s", compare_column(d, i - 2), a, b);
        compare_found(out, "R13", where, d->object, id, what);
    }
    if (sqlite3_column_int(shown, 1) != 0)
        compare_found(out, "R10", where, d->object, id, "still dirty at rest");
}

static enum tm_code compare_rows(struct tm_sim_finding *out, const char *where, const struct tm_describe *d,
                                 sqlite3_stmt *truth, sqlite3_stmt *shown, struct tm_err *err)
{
    bool a = false, b = false;
    enum tm_code rc = tm_sql_step(truth, &a, err);
    if (rc == TM_OK)
        rc = tm_sql_step(shown, &b, err);
    while (rc == TM_OK && (a || b) && !out->found) {
        int order = !a ? 1 : !b ? -1
            : strcmp((const char *)sqlite3_column_text(truth, 0), (const char *)sqlite3_column_text(shown, 0));
        if (order < 0)
            compare_found(out, "R13", where, d->object, (const char *)sqlite3_column_text(truth, 0), "missing");
        else if (order > 0)
            compare_found(out, "R13", where, d->object, (const char *)sqlite3_column_text(shown, 0), "shown, but not in the org");
        else
            compare_row(out, where, d, truth, shown);
        if (order <= 0)
            rc = tm_sql_step(truth, &a, err);
        if (rc == TM_OK && order >= 0)
            rc = tm_sql_step(shown, &b, err);
    }
    return rc;
}

static enum tm_code compare_dirt(struct tm_sim_finding *out, const char *where, const char *object, sqlite3 *db,
                                 struct tm_err *err)
{
    sqlite3_stmt *s = NULL;
    struct tm_buf sql;
    bool row = false;
    char what[200];
    tm_buf_init(&sql, COMPARE_SQL_BYTES_MAX);
    tm_buf_addf(&sql, "SELECT Id, kind, position FROM \"%s_dirty\" ORDER BY 1, 2, 3 LIMIT 1", object);
    enum tm_code rc = tm_sql_prepare(&s, db, tm_buf_text(&sql), err);
    if (rc == TM_OK)
        rc = tm_sql_step(s, &row, err);
    if (rc == TM_OK && row) {
        snprintf(what, sizeof what, "dirt of kind %.40s at %.40s is left at rest", (const char *)sqlite3_column_text(s, 1),
                 (const char *)sqlite3_column_text(s, 2));
        compare_found(out, "R10", where, object, (const char *)sqlite3_column_text(s, 0), what);
    }
    sqlite3_finalize(s);
    tm_buf_free(&sql);
    return rc;
}

static enum tm_code compare_object(struct tm_sim_world *w, const char *object, sqlite3 *db, const char *where,
                                   struct tm_sim_finding *out, struct tm_err *err)
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

enum tm_code tm_sim_compare_rest(struct tm_sim_world *w, struct tm_sim_finding *out, struct tm_err *err)
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
