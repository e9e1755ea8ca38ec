/* relation_cut: a relation in ranges of its ids, where an index finds each. The letters of an id
 * stand in the order of their bytes (0-9A-Za-z), so ids are numbers to the base 62: bounds are put
 * evenly between the first and the last. Ids that do not lie evenly make uneven ranges, never wrong
 * ones. */
#include "check/relation_inner.h"
#include <stdio.h>
#include <string.h>

#define CUT_BASE 62
#define CUT_DIGITS 10 /* 62^10 < 2^63 */
static const char cut_letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Does SQLite find a range of ids by an index, whatever it joins then? */
static enum tm_code cut_found(bool *out, const struct tm_relation_spec *spec,
                              struct tm_warehouse *w, struct tm_err *err)
{
    const struct relation_rows rows = { .high = "zzz", .explain = true };
    struct tm_relation *r = NULL;
    bool row = false, search = false, scan = false;
    enum tm_code rc = relation_open(&r, spec, w, &rows, err);
    while (rc == TM_OK && (rc = tm_sql_step(r->stmt, &row, err)) == TM_OK && row) {
        const char *how = (const char *)sqlite3_column_text(r->stmt, 3);
        search |= how != NULL && strstr(how, "SEARCH") != NULL;
        scan |= how == NULL || strstr(how, "SCAN") != NULL || strstr(how, "MATERIALIZE") != NULL;
    }
    tm_relation_close(r);
    *out = search && !scan;
    return rc;
}

/* The first or last id, as 15 letters; "" = there is no row, or it is no id. */
static enum tm_code cut_end(char out[16], const struct tm_relation_spec *spec,
                            struct tm_warehouse *w, bool last, struct tm_err *err)
{
    struct tm_relation *r = NULL;
    sqlite3_stmt *end = NULL;
    struct tm_buf sql, id;
    out[0] = '\0';
    enum tm_code rc = tm_relation_open(&r, spec, w, NULL, NULL, err);
    if (rc != TM_OK)
        return rc;
    tm_buf_init(&sql, 4 << 20);
    tm_buf_init(&id, 4096);
    tm_sql_ident(&id, sqlite3_column_name(r->stmt, r->id_column));
    const char *query = sqlite3_sql(r->stmt);
    size_t bytes = strlen(query);
    while (bytes > 0 && strchr("; \t\r\n", query[bytes - 1]) != NULL)
        bytes--;
    tm_buf_addf(&sql, "SELECT %s FROM (", tm_buf_text(&id));
    tm_buf_add(&sql, query, bytes);
    tm_buf_addf(&sql, "\n) ORDER BY %s COLLATE BINARY%s LIMIT 1", tm_buf_text(&id),
                last ? " DESC" : "");
    rc = tm_buf_check(&sql, "a query", err);
    if (rc == TM_OK && sqlite3_prepare_v2(w->db, tm_buf_text(&sql), -1, &end, NULL) == SQLITE_OK &&
        sqlite3_step(end) == SQLITE_ROW && sqlite3_column_text(end, 0) != NULL)
        snprintf(out, 16, "%s", (const char *)sqlite3_column_text(end, 0));
    if (strlen(out) != 15 || strspn(out, cut_letters) != 15)
        out[0] = '\0';
    tm_sql_finalize(end);
    tm_buf_free(&sql);
    tm_buf_free(&id);
    tm_relation_close(r);
    return rc;
}

static uint64_t cut_number(const char *digits, size_t count)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++)
        n = n * CUT_BASE + (uint64_t)(strchr(cut_letters, digits[i]) - cut_letters);
    return n;
}

static void cut_digits(char *out, uint64_t n, size_t count)
{
    for (size_t i = count; i-- > 0; n /= CUT_BASE)
        out[i] = cut_letters[n % CUT_BASE];
}

enum tm_code tm_relation_cut(struct tm_relation_range *out, size_t *out_count, size_t count,
                             const struct tm_relation_spec *spec, struct tm_warehouse *w,
                             struct tm_err *err)
{
    char first[16] = "", last[16] = "";
    bool found = false;
    size_t same = 0;
    *out_count = 1;
    out[0] = (struct tm_relation_range){ "", "" };
    enum tm_code rc = count > 1 ? cut_found(&found, spec, w, err) : TM_OK;
    if (rc == TM_OK && found)
        rc = cut_end(first, spec, w, false, err);
    if (rc == TM_OK && found)
        rc = cut_end(last, spec, w, true, err);
    if (rc != TM_OK || first[0] == '\0' || last[0] == '\0')
        return rc; /* a first id that is null is told by whoever reads the rows */
    while (same < 15 && first[same] == last[same])
        same++;
    size_t digits = 15 - same < CUT_DIGITS ? 15 - same : CUT_DIGITS;
    uint64_t from = cut_number(first + same, digits), to = cut_number(last + same, digits);
    if (same == 15 || to - from < count)
        return TM_OK;
    for (size_t i = 1; i < count; i++) {
        char *bound = out[i].low;
        memset(&out[i], 0, sizeof out[i]);
        memcpy(bound, first, same);
        cut_digits(bound + same, from + (to - from) / count * i, digits);
        memcpy(out[i - 1].high, bound, 20);
    }
    *out_count = count;
    return TM_OK;
}
