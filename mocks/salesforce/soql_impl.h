/* soql_impl: what the files of the SOQL engine share and nobody else sees: the parser (soql_token,
 * soql_condition, soql_parse), the planner (soql_plan, soql_where), the result (soql_result,
 * soql_render). */
#ifndef TM_MOCKS_SALESFORCE_SOQL_IMPL_H
#define TM_MOCKS_SALESFORCE_SOQL_IMPL_H
#include "mocks/salesforce/soql.h"
#include <stdio.h>

/* ---- parser ---- */
enum soql_token_kind {
    SOQL_END,
    SOQL_WORD,
    SOQL_LITERAL /* number, date, time */,
    SOQL_STRING,
    SOQL_SIGN
};
struct soql_token {
    enum soql_token_kind kind;
    size_t at, bytes;
};
struct soql_parser {
    struct tm_soql *q;
    const char *text;
    size_t at; /* next byte to scan */
    struct soql_token now;
    size_t nodes_cap, children_cap, literals_cap, items_cap, words_cap;
    size_t depth;
    struct tm_soql_error *error;
    struct tm_err *err;
};
/* soql_token.c. The next token; a string is only delimited, unescaped by the literal's reader. */
enum tm_code soql_next(struct soql_parser *p);
bool soql_is(const struct soql_parser *p, const char *word);   /* any case */
bool soql_sign(const struct soql_parser *p, const char *sign); /* the token is exactly that */
enum tm_code soql_want(struct soql_parser *p, const char *word_or_sign); /* takes it or complains */
enum tm_code soql_unexpected(struct soql_parser *p);
char *soql_keep(struct soql_parser *p, const char *from, size_t bytes); /* copy in q->words */
enum tm_code soql_grow(struct soql_parser *p, void **array, size_t count, size_t *cap,
                       size_t item_bytes, size_t max, const char *what);
enum tm_code soql_name(struct soql_parser *p, const char **out);
/* A path, or a function of one. `count()` with nothing in it is left to the select list: the path
 * is then the word and the next token the bracket. */
enum tm_code soql_value(struct soql_parser *p, struct tm_soql_path *out);
/* soql_condition.c */
enum tm_code soql_condition(struct soql_parser *p, size_t *out);
/* soql_date.c: NULL when there is no such word; a counted one (LAST_N_DAYS) is followed by ":n". */
struct soql_date_word;
const struct soql_date_word *soql_date_word(const char *word, size_t bytes);
bool soql_date_counted(const struct soql_date_word *w);
struct tm_soql_relative soql_date_relative(const struct soql_date_word *w, int32_t n);
/* soql_parse.c */
size_t soql_characters(const char *text); /* of UTF-8 */
/* A query inside IN ( … ), its closing bracket not taken. */
enum tm_code soql_within(struct soql_parser *p, const struct tm_soql **out);

/* ---- planner ---- */
#define SOQL_SQL_BYTES_MAX (8u << 20)

struct soql_relation {
    const struct tm_field *by;
    const struct tm_describe *to;
    int parent; /* -1 = the object itself */
    bool selected;
};
struct soql_planner {
    struct tm_soql_plan *plan;
    struct tm_org *org;
    const struct tm_soql *q;
    const struct tm_describe *object; /* given beforehand when q's object is a relationship */
    const char *hangs_by;             /* the field that holds the parent's Id, bound first; NULL */
    const char *self; /* alias of the object's table in SQL: "t"; relations are "t0", "t1" … */
    struct soql_relation relations[TM_SOQL_RELATIONS_MAX];
    size_t relations_count;
    struct tm_buf select, where, tail /* GROUP BY, HAVING, ORDER BY */;
    size_t columns_cap;
    int expressions;          /* expr0, expr1 … given so far */
    size_t semijoins;         /* written so far */
    bool deleted_too, having; /* conditions are those of HAVING */
    int64_t now_org_ms;
    struct tm_soql_error *error;
    struct tm_err *err;
};
struct soql_field { /* a value whose names are resolved */
    const struct tm_field *field;
    const struct tm_describe *object;
    int relation; /* -1 = own */
    enum tm_soql_function function;
    enum tm_field_kind kind; /* of the function's result */
};
/* soql_plan.c, soql_value.c */
enum tm_code soql_plan_open(struct soql_planner *p); /* the object and its buffers */
void soql_plan_close(struct soql_planner *p);
enum tm_code soql_plan_field(struct soql_planner *p, const struct tm_soql_path *path,
                             struct soql_field *out);
/* Of a grouped query: an aggregate, or in GROUP BY. */
enum tm_code soql_plan_grouped(struct soql_planner *p, const struct tm_soql_path *path,
                               const struct soql_field *f);
/* The value as an SQL expression. */
void soql_plan_value(const struct soql_planner *p, struct tm_buf *sql, const struct soql_field *f);
void soql_plan_name(const struct soql_planner *p, struct tm_buf *sql, int relation,
                    const char *column);
/* FROM with its joins, WHERE; p->where is complete. */
void soql_plan_from(struct soql_planner *p, const char *relation, struct tm_buf *sql);
bool soql_nested(const struct tm_field *f); /* address, location: an object in JSON, no column */
enum tm_field_kind soql_kind(const struct tm_field *f); /* Name of a person is text */
/* soql_where.c: conditions from node `index` on, appended to sql */
enum tm_code soql_plan_where(struct soql_planner *p, size_t index, struct tm_buf *sql);

/* ---- result ---- */
/* A cell: one type byte (SQLite's), then an int64, a double, or a length and the text. Behind a
 * row's own cells stand those of its children, each kind behind the number of its rows. A long
 * result stands in an unlinked temporary file, which is mapped once it is whole. */
struct tm_soql_result {
    struct tm_org_reader reader; /* on while stmt is of the org's connection and outlives a call */
    struct tm_soql_plan plan;
    struct tm_buf cells; /* what is not in the file */
    size_t *rows;
    size_t rows_count, rows_cap; /* where each row begins in the file, then cells */
    FILE *spool;                 /* NULL while cells hold everything */
    sqlite3_stmt **children;     /* [plan.children_count] on the connection of stmt */
    size_t spool_bytes;
    char *map; /* of the whole file */
    int64_t total;
    sqlite3_stmt *stmt; /* rows still to be copied; NULL = all are here */
    sqlite3 *own;       /* a connection of stmt's own: the org as it was then; NULL = the org's */
    enum tm_code rc;    /* of the copying that the org asked for, and why */
    struct tm_err why;
};
/* soql_render.c */
const char *soql_result_at(const struct tm_soql_result *r, size_t row); /* the row's first cell */
/* One row's cells; what stands behind them. */
const char *soql_cells(const char *at, const struct tm_soql_plan *plan, struct tm_soql_cell *cells);
/* The most columns that a row or one of its children has. */
size_t soql_result_width(const struct tm_soql_plan *plan);
#endif
