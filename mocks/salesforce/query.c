#include "mocks/salesforce/query.h"
#include "mocks/salesforce/rest.h"
#include "mocks/salesforce/soql.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct query_cursor { /* one result; kept while it has a locator or a page under way */
    struct tm_soql_result *result;
    char id[TM_ID_BYTES]; /* "" = no locator: the first page was all of it */
    size_t page_rows;
    int64_t used_ns;
    unsigned pages;            /* under way */
    bool open;                 /* in the list of locators */
    struct query_cursor *next; /* every cursor is in one list */
};
struct query_page { /* an answer whose rows are being copied, then rendered */
    uint64_t token;
    struct query_cursor *cursor;
    size_t row, row_end, page_rows;
    const struct tm_query_form *form;
    bool begun; /* it is known where it ends, and its head is written */
    char version[8];
    struct tm_buf body;
};
struct tm_query {
    struct tm_org *org;
    struct tm_oauth *oauth;
    struct query_cursor *cursors;
    struct query_page **pages;
    size_t pages_count;
    uint64_t token_last;
    size_t page_max; /* 0 = as asked */
};

enum tm_code tm_query_open(struct tm_query **out, struct tm_org *org, struct tm_oauth *oauth,
                           struct tm_err *err)
{
    struct tm_query *q = calloc(1, sizeof *q);
    if (q == NULL)
        return tm_fail(err, TM_E_NOMEM, "queries");
    *q = (struct tm_query){ .org = org, .oauth = oauth, .token_last = TM_QUERY_TOKEN };
    *out = q;
    return TM_OK;
}

/* Frees the cursors nobody needs any more. */
static void query_sweep(struct tm_query *q)
{
    for (struct query_cursor **at = &q->cursors; *at != NULL;) {
        struct query_cursor *c = *at;
        if (c->open || c->pages > 0) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        tm_soql_result_close(c->result);
        free(c);
    }
}

static void query_page_free(struct tm_query *q, struct query_page *p)
{
    for (size_t i = 0; i < q->pages_count; i++)
        if (q->pages[i] == p)
            q->pages[i] = q->pages[--q->pages_count];
    p->cursor->pages--;
    tm_buf_free(&p->body);
    free(p);
    query_sweep(q);
}

void tm_query_close(struct tm_query *q)
{
    if (q == NULL)
        return;
    while (q->pages_count > 0)
        query_page_free(q, q->pages[0]);
    for (struct query_cursor *c = q->cursors; c != NULL; c = c->next)
        c->open = false;
    query_sweep(q);
    free(q->pages);
    free(q);
}

size_t tm_query_locators(const struct tm_query *q)
{
    size_t count = 0;
    for (const struct query_cursor *c = q->cursors; c != NULL; c = c->next)
        count += c->open;
    return count;
}

static void query_expire(struct tm_query *q, int64_t now_ns)
{
    for (struct query_cursor *c = q->cursors; c != NULL; c = c->next)
        if (c->open && now_ns - c->used_ns > TM_QUERY_IDLE_NS)
            c->open = false;
    query_sweep(q);
}

static void query_name(struct tm_query *q, struct query_cursor *c)
{
    char id15[16] = "01g";
    struct query_cursor *oldest = NULL;
    tm_oauth_random(q->oauth, id15 + 3, 13);
    if (tm_id18(c->id, id15, NULL) != TM_OK)
        assert(0 && "a locator is an id");
    c->open = true;
    if (tm_query_locators(q) <= TM_QUERY_OPEN_MAX)
        return;
    for (struct query_cursor *at = q->cursors; at != NULL; at = at->next)
        if (at->open && at != c && (oldest == NULL || at->used_ns < oldest->used_ns))
            oldest = at;
    assert(oldest != NULL); /* more than TM_QUERY_OPEN_MAX are open, c is one of them */
    oldest->open = false;
    query_sweep(q);
}

void tm_query_page_max(struct tm_query *q, size_t rows)
{
    q->page_max = rows;
}

static size_t query_page_rows(const struct tm_query *q, size_t asked, size_t preset)
{
    size_t rows = asked > 0 ? asked : preset;
    if (q->page_max > 0)
        return q->page_max;
    if (rows < TM_QUERY_PAGE_MIN)
        return TM_QUERY_PAGE_MIN;
    return rows > TM_QUERY_PAGE_PRESET ? TM_QUERY_PAGE_PRESET : rows;
}

/* ---- rendering ---- */

static void query_json_head(const struct tm_query_form *f, struct tm_buf *out, const char *version,
                            const char *locator, int64_t total)
{
    (void)f;
    tm_buf_addf(out, "{\"totalSize\":%" PRId64 ",\"done\":%s,", total,
                *locator == '\0' ? "true" : "false");
    if (*locator != '\0')
        tm_buf_addf(out, "\"nextRecordsUrl\":\"/services/data/v%s/query/%s\",", version, locator);
    tm_buf_addz(out, "\"records\":[");
}

static void query_json_rows(const struct tm_query_form *f, struct tm_buf *out,
                            const struct tm_soql_result *r, size_t row, size_t rows,
                            const char *version)
{
    (void)f;
    tm_soql_render(r, row, rows, version, out);
}

static void query_json_tail(const struct tm_query_form *f, struct tm_buf *out, int64_t total)
{
    (void)f, (void)total;
    tm_buf_addz(out, "]}");
}

static void query_json_refuse(const struct tm_query_form *f, struct tm_mock_response *out,
                              int status, const char *code, const char *message)
{
    (void)f;
    tm_rest_error(out, status, code, message);
}

const struct tm_query_form tm_query_json = { .type = "application/json;charset=UTF-8",
                                             .head = query_json_head,
                                             .rows = query_json_rows,
                                             .between = ",",
                                             .tail = query_json_tail,
                                             .refuse = query_json_refuse };

static void query_head(struct query_page *p)
{
    const struct query_cursor *c = p->cursor;
    char locator[TM_ID_BYTES + 24] = "";
    if (p->row_end < tm_soql_result_rows(c->result))
        snprintf(locator, sizeof locator, "%s-%zu", c->id, p->row_end);
    p->form->head(p->form, &p->body, p->version, locator, tm_soql_result_total(c->result));
}

static void query_broken(const struct tm_query_form *form, enum tm_code rc,
                         const struct tm_err *err, struct tm_mock_response *out)
{
    char text[700];
    if (rc == TM_E_AGAIN)
        form->refuse(form, out, 503, "SERVER_UNAVAILABLE", "the org is busy, try again");
    else
        form->refuse(form, out, 500, "UNKNOWN_EXCEPTION", tm_err_text(err, text, sizeof text));
}

/* All rows are there: where the page ends, and whether others follow. */
static void query_begin(struct tm_query *q, struct query_page *p)
{
    size_t rows = tm_soql_result_rows(p->cursor->result);
    assert(p->row <= rows);
    p->row_end = rows - p->row > p->page_rows ? p->row + p->page_rows : rows;
    p->begun = true;
    if (p->row_end < rows && !p->cursor->open)
        query_name(q, p->cursor);
    query_head(p);
}

/* One slice of rows copied, or the answer that they could not be. */
static void query_copy(struct tm_query *q, struct query_page *p, struct tm_mock_response *out)
{
    struct tm_err err = { 0 };
    enum tm_code rc = tm_soql_copy(p->cursor->result, TM_QUERY_COPY_ROWS, &err);
    if (rc == TM_OK) {
        tm_mock_hold(out, p->token, (struct tm_wake){ 0, 0 });
        return;
    }
    query_broken(p->form, rc, &err, out);
    query_page_free(q, p);
}

/* One slice; the last one hands the body over, any other asks for the next step. */
static void query_slice(struct tm_query *q, struct query_page *p, struct tm_mock_response *out)
{
    if (!tm_soql_result_whole(p->cursor->result)) {
        query_copy(q, p, out);
        return;
    }
    if (!p->begun)
        query_begin(q, p);
    size_t rows = p->row_end - p->row;
    if (rows > TM_QUERY_SLICE_ROWS)
        rows = TM_QUERY_SLICE_ROWS;
    p->form->rows(p->form, &p->body, p->cursor->result, p->row, rows, p->version);
    p->row += rows;
    if (p->row < p->row_end) {
        tm_buf_addz(&p->body, p->form->between);
        tm_mock_hold(out, p->token, (struct tm_wake){ 0, 0 });
        return;
    }
    p->form->tail(p->form, &p->body, tm_soql_result_total(p->cursor->result));
    tm_mock_answer(out, 200, p->form->type, "");
    tm_buf_free(&out->body);
    out->body = p->body;
    tm_buf_init(&p->body, 1);
    query_page_free(q, p);
}

static void query_page(struct tm_query *q, struct query_cursor *c, size_t row, size_t page_rows,
                       const struct tm_query_ask *ask, struct tm_mock_response *out)
{
    struct query_page *p = calloc(1, sizeof *p);
    struct query_page **grown = realloc(q->pages, (q->pages_count + 1) * sizeof *grown);
    if (grown != NULL)
        q->pages = grown;
    if (p == NULL || grown == NULL) {
        free(p);
        ask->form->refuse(ask->form, out, 503, "SERVER_UNAVAILABLE", "out of memory");
        query_sweep(q);
        return;
    }
    *p = (struct query_page){
        .token = ++q->token_last, .cursor = c, .row = row, .page_rows = page_rows, .form = ask->form
    };
    snprintf(p->version, sizeof p->version, "%s", ask->version);
    tm_buf_init(&p->body, TM_MOCK_BODY_BYTES_MAX);
    c->pages++;
    q->pages[q->pages_count++] = p;
    if (tm_soql_result_whole(c->result))
        query_slice(q, p, out);
    else
        tm_mock_hold(out, p->token, (struct tm_wake){ 0, 0 });
}

void tm_query_start(struct tm_query *q, const struct tm_now *now, const struct tm_query_ask *ask,
                    struct tm_mock_response *out)
{
    const char *text = ask->text;
    struct tm_soql_error error = { 0 };
    struct tm_err err = { 0 };
    struct tm_soql *soql = NULL;
    struct query_cursor *c = calloc(1, sizeof *c);
    query_expire(q, now->wall_ns);
    enum tm_code rc = c == NULL      ? tm_fail(&err, TM_E_NOMEM, "a query")
                      : text != NULL ? tm_soql_parse(&soql, text, &error, &err)
                                     : TM_E_ARG;
    if (text == NULL)
        snprintf(error.code, sizeof error.code, "MALFORMED_QUERY");
    if (rc == TM_OK)
        rc = tm_soql_begin(&c->result, q->org, soql, ask->all, now->org_ms, TM_QUERY_COPY_ROWS,
                           &error, &err);
    tm_soql_close(soql);
    if (rc != TM_OK) {
        free(c);
        if (rc == TM_E_ARG)
            ask->form->refuse(ask->form, out, 400, error.code,
                              text != NULL ? error.message : "the query is missing: ?q=SELECT …");
        else
            query_broken(ask->form, rc, &err, out);
        return;
    }
    c->page_rows = query_page_rows(q, ask->page_rows, TM_QUERY_PAGE_PRESET);
    c->used_ns = now->wall_ns;
    c->next = q->cursors;
    q->cursors = c;
    query_page(q, c, 0, c->page_rows, ask, out);
}

void tm_query_more(struct tm_query *q, const struct tm_now *now, const struct tm_query_ask *ask,
                   struct tm_mock_response *out)
{
    const char *locator = ask->text, *dash = strchr(locator, '-');
    size_t id_bytes = dash != NULL ? (size_t)(dash - locator) : strlen(locator);
    char *end = NULL;
    unsigned long row =
        dash != NULL && dash[1] >= '0' && dash[1] <= '9' ? strtoul(dash + 1, &end, 10) : 0;
    struct query_cursor *c = NULL;
    query_expire(q, now->wall_ns);
    for (struct query_cursor *at = q->cursors; at != NULL; at = at->next)
        if (at->open && (id_bytes == 15 || id_bytes == 18) &&
            strncmp(at->id, locator, id_bytes) == 0)
            c = at;
    if (c == NULL || end == NULL || *end != '\0' || row > tm_soql_result_rows(c->result)) {
        ask->form->refuse(ask->form, out, 400, "INVALID_QUERY_LOCATOR", "invalid query locator");
        return;
    }
    c->used_ns = now->wall_ns;
    query_page(q, c, row, query_page_rows(q, ask->page_rows, c->page_rows), ask, out);
}

static struct query_page *query_of(const struct tm_query *q, uint64_t token)
{
    for (size_t i = 0; i < q->pages_count; i++)
        if (q->pages[i]->token == token)
            return q->pages[i];
    return NULL;
}

void tm_query_resume(struct tm_query *q, uint64_t token, struct tm_mock_response *out)
{
    struct query_page *p = query_of(q, token);
    assert(p != NULL);
    query_slice(q, p, out);
}

void tm_query_finished(struct tm_query *q, uint64_t token)
{
    struct query_page *p = query_of(q, token);
    if (p != NULL)
        query_page_free(q, p);
}
