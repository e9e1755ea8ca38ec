/* soql: SOQL text to rows of the org. in: a query, the org, the instant; out: rows as REST renders
 * them. Three steps: parse (text alone), run (names checked against the describes in force, SQL
 * with bound values, the whole result copied in one go, so that later pages show the org as it was
 * then), render (JSON, a slice of rows at a time). Pure towards time and chance. The caller owns
 * what parse and run hand out. Facts: salesforce-wire.md 3 and 4; date literals and functions,
 * grouping, semi-joins: SOQL and SOSL Reference, read 2026-11-30.
 *
 *   query     = SELECT item {"," item} FROM name [[AS] alias] [USING SCOPE name] [WHERE cond]
 *               [WITH (SECURITY_ENFORCED | USER_MODE | SYSTEM_MODE)]
 *               [GROUP BY value {"," value} [HAVING cond]] [ORDER BY key {"," key}] [LIMIT n]
 *               [OFFSET n] {FOR (VIEW | REFERENCE)}
 *   item      = COUNT "(" ")" | FIELDS "(" (ALL | STANDARD | CUSTOM) ")" | value [alias]
 *             | "(" query ")"    of child records: FROM a relationship of the describe, no further
 * one value     = path | function "(" path ")" | function "(" convertTimezone "(" path ")" ")" path
 * = name {"." name}    up to five relationships, then a field; the object or its alias may stand
 * before function  = COUNT COUNT_DISTINCT SUM AVG MIN MAX, toLabel, and the date functions cond =
 * unary {AND unary} | unary {OR unary}    mixed only with parentheses unary     = NOT unary | "("
 * cond ")" | value op literal | value LIKE string | value [NOT] IN "(" (literal {"," literal} |
 * query) ")" | value (INCLUDES | EXCLUDES) "(" string {"," string} ")" op        = "=" | "!=" |
 * "<>" | "<" | "<=" | ">" | ">=" literal   = NULL | TRUE | FALSE | number | 'string' | YYYY-MM-DD |
 *               YYYY-MM-DDThh:mm:ss[.f](Z|+hh:mm) | hh:mm:ss[.f]Z | TODAY | LAST_N_DAYS:n | ...
 *   string    : \n \r \t \b \f \" \' \\ \uXXXX, and in LIKE \% \_
 *   key       = value [ASC | DESC] [NULLS (FIRST | LAST)]    nulls come first unless told otherwise
 *
 * Words and names ignore case. 15- and 18-character ids are equal. Text compares without case, null
 * is never less or greater; != and NOT IN hold for null. The org's time zone is UTC, its week
 * begins on Sunday, its fiscal year in January. Refused with a reason: TYPEOF, ROLLUP and CUBE,
 * DISTANCE, FORMAT, convertCurrency, WITH DATA CATEGORY, ALL ROWS and FOR UPDATE (both Apex only).
 */
#ifndef TM_MOCKS_SALESFORCE_SOQL_H
#define TM_MOCKS_SALESFORCE_SOQL_H
#include "mocks/salesforce/org.h"

#define TM_SOQL_CHARACTERS_MAX 100000u
#define TM_SOQL_BYTES_MAX (4 * TM_SOQL_CHARACTERS_MAX)
#define TM_SOQL_STRING_CHARACTERS_MAX 4000 /* of one string of a condition */
#define TM_SOQL_DEPTH_MAX 64               /* nested parentheses and NOTs */
#define TM_SOQL_NODES_MAX 8192             /* conditions of one query */
#define TM_SOQL_LITERALS_MAX 20000         /* values of one query */
#define TM_SOQL_ITEMS_MAX 1600             /* selected fields */
#define TM_SOQL_KEYS_MAX 32                /* ORDER BY */
#define TM_SOQL_RELATIONS_MAX 20
#define TM_SOQL_LEVELS_MAX 6 /* the object itself and five relationships */
#define TM_SOQL_SEMIJOINS_MAX 2
#define TM_SOQL_CHILDREN_MAX 20
/* AggregateResults of one answer: there are no further pages of them */
#define TM_SOQL_GROUPS_MAX 2000
#define TM_SOQL_OFFSET_MAX 2000
/* FIELDS(ALL) and FIELDS(CUSTOM) need a LIMIT of at most this */
#define TM_SOQL_FIELDS_ROWS_MAX 200
#define TM_SOQL_RESULT_BYTES_MAX (UINT64_C(16) << 30) /* in a temporary file beyond 4 MB */

/* What the REST answer says: 400 with errorCode and message. */
struct tm_soql_error {
    char code[40];
    char message[1200];
};

enum tm_soql_unit { TM_SOQL_DAY, TM_SOQL_WEEK, TM_SOQL_MONTH, TM_SOQL_QUARTER, TM_SOQL_YEAR };
struct tm_soql_relative { /* LAST_WEEK and its kind: units from the current one, [first, past) */
    enum tm_soql_unit unit;
    int32_t first, past;
};
enum tm_soql_literal_kind {
    TM_SOQL_NULL,
    TM_SOQL_BOOLEAN,
    TM_SOQL_NUMBER,
    TM_SOQL_STRING,
    TM_SOQL_DATE,
    TM_SOQL_DATETIME,
    TM_SOQL_TIME,
    TM_SOQL_RELATIVE
};
struct tm_soql_literal {
    enum tm_soql_literal_kind kind;
    bool boolean;
    int64_t datetime_ms;
    struct tm_soql_relative relative;
    const char *text; /* STRING: unescaped but for \% \_; others as written */
    size_t at;        /* byte offset in the query */
};
enum tm_soql_op {
    TM_SOQL_EQ,
    TM_SOQL_NE,
    TM_SOQL_LT,
    TM_SOQL_LE,
    TM_SOQL_GT,
    TM_SOQL_GE,
    TM_SOQL_LIKE,
    TM_SOQL_IN,
    TM_SOQL_NOT_IN,
    TM_SOQL_INCLUDES,
    TM_SOQL_EXCLUDES,
    TM_SOQL_AND,
    TM_SOQL_OR,
    TM_SOQL_NOT
};
enum tm_soql_function {
    TM_SOQL_PLAIN, /* the field itself */
    TM_SOQL_TO_LABEL,
    TM_SOQL_COUNT_OF, /* aggregates: up to MAX */
    TM_SOQL_COUNT_DISTINCT,
    TM_SOQL_SUM,
    TM_SOQL_AVG,
    TM_SOQL_MIN,
    TM_SOQL_MAX,
    TM_SOQL_CALENDAR_MONTH, /* of a date or datetime */
    TM_SOQL_CALENDAR_QUARTER,
    TM_SOQL_CALENDAR_YEAR,
    TM_SOQL_DAY_IN_MONTH,
    TM_SOQL_DAY_IN_WEEK,
    TM_SOQL_DAY_IN_YEAR,
    TM_SOQL_DAY_ONLY,
    TM_SOQL_FISCAL_MONTH,
    TM_SOQL_FISCAL_QUARTER,
    TM_SOQL_FISCAL_YEAR,
    TM_SOQL_HOUR_IN_DAY,
    TM_SOQL_WEEK_IN_MONTH,
    TM_SOQL_WEEK_IN_YEAR
};
struct tm_soql_path {                          /* a field, or a function of it */
    const char *relations[TM_SOQL_LEVELS_MAX]; /* Account, Owner; the first may be the object */
    size_t levels;
    const char *field;
    enum tm_soql_function function;
    size_t at;
};
struct tm_soql_node {
    enum tm_soql_op op;
    struct tm_soql_path path; /* comparisons */
    size_t first, count;      /* comparisons: literals; AND OR NOT: entries of children */
    const struct tm_soql *in; /* IN, NOT IN: the query whose rows are meant, owned; else NULL */
};
enum tm_soql_item_kind {
    TM_SOQL_PATH,
    TM_SOQL_COUNT,
    TM_SOQL_FIELDS_ALL,
    TM_SOQL_FIELDS_STANDARD,
    TM_SOQL_FIELDS_CUSTOM,
    TM_SOQL_CHILDREN /* (SELECT … FROM Opportunities) */
};
struct tm_soql_item {
    enum tm_soql_item_kind kind;
    struct tm_soql_path path;
    const char *alias;        /* NULL when none */
    const struct tm_soql *in; /* CHILDREN: owned; its object is the name of a relationship */
};
struct tm_soql_key {
    struct tm_soql_path path;
    bool descending, nulls_last;
};
struct tm_soql {
    char *text;  /* the query, owned, for error messages; borrowed in a query within a query */
    char *words; /* every name and string, owned */
    size_t words_bytes;
    const char *object, *alias; /* alias NULL when none */
    size_t object_at;
    struct tm_soql_item *items;
    size_t items_count;
    struct tm_soql_node *nodes;
    size_t nodes_count;
    size_t *children;
    size_t children_count;
    struct tm_soql_literal *literals;
    size_t literals_count;
    struct tm_soql_path groups[TM_SOQL_KEYS_MAX];
    size_t groups_count;
    struct tm_soql_key keys[TM_SOQL_KEYS_MAX];
    size_t keys_count;
    bool has_where, has_having, mine /* USING SCOPE mine */, within /* another query's IN */;
    size_t where, having;  /* index of the root node */
    size_t semijoins;      /* INs of a query */
    int64_t limit, offset; /* limit -1 = none */
};
static inline bool tm_soql_aggregate(enum tm_soql_function f)
{
    return f >= TM_SOQL_COUNT_OF && f <= TM_SOQL_MAX;
}
/* GROUP BY or an aggregate: rows are AggregateResults, which come in one page. count() is none. */
bool tm_soql_grouped(const struct tm_soql *q);
/* The days [*out_first, *out_past) since 1970 that a relative date literal means at an instant.
 * False: out of the years 1700 to 4000. */
bool tm_soql_days(const struct tm_soql_relative *r, int64_t now_org_ms, int32_t *out_first,
                  int32_t *out_past);
/* TM_E_ARG fills *error. */
enum tm_code tm_soql_parse(struct tm_soql **out, const char *text, struct tm_soql_error *error,
                           struct tm_err *err);
void tm_soql_close(struct tm_soql *q); /* NULL-safe */
/* WHERE restricts SystemModstamp, LastModifiedDate or CreatedDate of the object itself. */
bool tm_soql_range_read(const struct tm_soql *q);
/* Writes an error as Salesforce points at a place: the text around it, a caret, "ERROR at
 * Row:1:Column:n", the words. */
enum tm_code tm_soql_complain(struct tm_soql_error *error, struct tm_err *err, const char *code,
                              const char *text, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* What one answer needs: a statement and how its columns become JSON. */
struct tm_soql_column {
    enum {
        TM_SOQL_VALUE,
        TM_SOQL_COMPOUND /* its parts follow */,
        TM_SOQL_RELATED /* its columns name it */
    } shape;
    enum tm_field_kind kind;
    char *key;      /* "Name": with quotes and colon, owned */
    int sql_column; /* VALUE; RELATED: the related Id */
    size_t parts;   /* COMPOUND: number of VALUEs right after it */
    int relation;   /* -1 = own; else the RELATED's number; RELATED: its own number */
    int parent;     /* RELATED: the one it is reached by, -1 = the record itself */
    char *object;   /* RELATED: its type, owned */
};
struct tm_soql_plan {
    struct tm_buf sql;
    struct tm_org_value *binds;
    size_t binds_count; /* text borrowed from the query or `texts` */
    char **texts;       /* owned: ids, dates, parts of multipicklists */
    size_t texts_count, texts_cap;
    struct tm_soql_column *columns;
    size_t columns_count;
    size_t binds_cap;
    int sql_columns;
    char *object;
    bool count_only;
    bool grouped; /* AggregateResults: no Id in column 0, no url */
    struct tm_soql_children *children;
    size_t children_count;
};
struct tm_soql_children { /* rows that hang on one row: its Id is the first value of their SQL */
    char *key;            /* "Opportunities": owned */
    struct tm_soql_plan plan;
};
/* Names and types checked, SQL written. relation is what tm_org_relation gave for the object; now
 * is what relative dates are relative to. */
enum tm_code tm_soql_plan(struct tm_soql_plan *out, struct tm_org *org, const struct tm_soql *q,
                          bool deleted_too, const char *relation, int64_t now_org_ms,
                          struct tm_soql_error *error, struct tm_err *err);
void tm_soql_plan_free(struct tm_soql_plan *p); /* safe on a zeroed struct */

struct tm_soql_result;
/* Runs the query on the org as it is at now_org_ms (less the index lag for a range read) and keeps
 * every row. TM_E_ARG fills *error. */
enum tm_code tm_soql_run(struct tm_soql_result **out, struct tm_org *org, const struct tm_soql *q,
                         bool deleted_too, int64_t now_org_ms, struct tm_soql_error *error,
                         struct tm_err *err);
/* The same, but only the first rows_max rows are copied at once: the others are to be asked for, as
 * the org was at this moment, whatever is committed meanwhile. Where they can be read by the org's
 * own connection alone (it is in memory, or the index lags), they are all copied when the org is
 * about to change. To be closed before the org. */
enum tm_code tm_soql_begin(struct tm_soql_result **out, struct tm_org *org, const struct tm_soql *q,
                           bool deleted_too, int64_t now_org_ms, size_t rows_max,
                           struct tm_soql_error *error, struct tm_err *err);
bool tm_soql_result_whole(const struct tm_soql_result *r);
/* Up to rows_max rows more, none when it is whole. After an error it is only to be closed. */
enum tm_code tm_soql_copy(struct tm_soql_result *r, size_t rows_max, struct tm_err *err);
void tm_soql_result_close(struct tm_soql_result *r); /* NULL-safe */
/* Total, rows and rendering speak of a whole result. */
int64_t tm_soql_result_total(const struct tm_soql_result *r); /* totalSize */
size_t tm_soql_result_rows(const struct tm_soql_result *r);   /* 0 for count() */
size_t tm_soql_result_bytes(const struct tm_soql_result *r);  /* memory it holds */
/* Records [row, row + rows) as JSON objects with commas between them. version "59.0". */
void tm_soql_render(const struct tm_soql_result *r, size_t row, size_t rows, const char *version,
                    struct tm_buf *out);

/* For who writes rows in a form of its own (Bulk): one row's cells in the order of the plan's
 * statement, cells[0] the record's Id, which a grouped query (tm_soql_grouped) has not. Text is
 * borrowed from the result. */
struct tm_soql_cell {
    int type; /* SQLite's */
    int64_t i;
    double d;
    const char *text;
    uint32_t bytes;
};
const struct tm_soql_plan *tm_soql_result_plan(const struct tm_soql_result *r);
void tm_soql_result_row(const struct tm_soql_result *r, size_t row,
                        struct tm_soql_cell *cells /* [plan->sql_columns] */);
/* The rows copied so far are written elsewhere: their memory is used again, row 0 is the next one
 * to be copied. Total and pages of such a result mean nothing. */
void tm_soql_result_forget(struct tm_soql_result *r);
/* Shortest text that reads back the same, always with a decimal point, as Salesforce writes
 * numbers: 1200.0 */
void tm_soql_double(struct tm_buf *out, double d);
#endif
