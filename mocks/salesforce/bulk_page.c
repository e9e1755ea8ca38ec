/* bulk_page: rows out of the store into an answer, BULK_PAGE_CHUNKS chunks a call. */
#include "mocks/salesforce/bulk_impl.h"
#include "mocks/salesforce/rest.h"
#include <assert.h>
#include <stdlib.h>

struct bulk_page {
    uint64_t token;
    struct bulk_run *run; /* NULL: its job was deleted meanwhile */
    int api;
    struct bulk_form form;
    int64_t row, row_end;
    struct tm_mock_response made; /* status, headers and the body so far */
};

static void page_free(struct tm_bulk *b, struct bulk_page *p)
{
    for (size_t i = 0; i < b->pages_count; i++)
        if (b->pages[i] == p)
            b->pages[i] = b->pages[--b->pages_count];
    tm_mock_response_free(&p->made);
    free(p);
}

void bulk_pages_close(struct tm_bulk *b)
{
    while (b->pages_count > 0)
        page_free(b, b->pages[0]);
}

void bulk_pages_forget(struct tm_bulk *b, const struct bulk_run *run)
{
    for (size_t i = 0; i < b->pages_count; i++)
        if (b->pages[i]->run == run)
            b->pages[i]->run = NULL;
}

static struct bulk_page *page_of(const struct tm_bulk *b, uint64_t token)
{
    for (size_t i = 0; i < b->pages_count; i++)
        if (b->pages[i]->token == token)
            return b->pages[i];
    return NULL;
}

static enum tm_code page_rows(struct tm_bulk *b, struct bulk_page *p, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (int i = 0; i < BULK_PAGE_CHUNKS && p->row < p->row_end && rc == TM_OK; i++) {
        int64_t chunk = p->row / BULK_CHUNK_ROWS, end = (chunk + 1) * BULK_CHUNK_ROWS;
        end = end < p->row_end ? end : p->row_end;
        rc = bulk_store_get(b->store, p->run->number, chunk, (size_t)(p->row % BULK_CHUNK_ROWS),
                            (size_t)(end - chunk * BULK_CHUNK_ROWS), &p->made.body, err);
        p->row = end;
    }
    return rc;
}

static void page_error(const struct bulk_page *p, struct tm_mock_response *out, int status,
                       const char *code, const char *message)
{
    if (p->api == 1)
        bulk_async_error(out, p->form.format == BULK_JSON, status == 404 ? 400 : status,
                         status == 404 ? "InvalidJob" : "Unknown", message);
    else
        tm_rest_error(out, status, code, message);
}

/* What all pages hold is bounded; one of them may always come to its end. */
static bool page_room(const struct tm_bulk *b, const struct bulk_page *p)
{
    size_t bytes = 0;
    bool oldest = true;
    for (size_t i = 0; i < b->pages_count; i++) {
        bytes += b->pages[i]->made.body.cap;
        oldest &= b->pages[i]->token >= p->token;
    }
    size_t most = b->settings.pages_bytes_max;
    return oldest || bytes <= (most != 0 ? most : BULK_PAGES_BYTES_MAX);
}

static void page_slice(struct tm_bulk *b, struct bulk_page *p, struct tm_mock_response *out)
{
    struct tm_err err = { 0 };
    enum tm_code rc = p->run != NULL ? page_rows(b, p, &err) : TM_OK;
    if (p->run == NULL) {
        page_error(p, out, 404, "NOT_FOUND", "The requested resource does not exist");
        page_free(b, p);
        return;
    }
    if (rc == TM_OK && p->row < p->row_end && !page_room(b, p)) {
        page_error(p, out, 503, "SERVER_UNAVAILABLE", "too many results are being read");
        page_free(b, p);
        return;
    }
    if (rc == TM_OK && p->row < p->row_end) {
        tm_mock_hold(out, p->token, (struct tm_wake){ 0, 0 });
        return;
    }
    if (rc == TM_OK && p->form.format == BULK_JSON && p->made.body.bytes > 1)
        p->made.body.data[--p->made.body.bytes] = '\0'; /* the last row's comma */
    tm_buf_addz(&p->made.body, bulk_rows_tail(&p->form));
    if (rc == TM_OK)
        rc = tm_buf_check(&p->made.body, "a page of Bulk results", &err);
    if (rc == TM_OK) {
        tm_mock_response_free(out);
        *out = p->made;
        tm_mock_response_init(&p->made);
    } else {
        page_error(p, out, 500, "UNKNOWN_EXCEPTION", err.msg);
    }
    page_free(b, p);
}

void bulk_page_answer(struct tm_bulk *b, struct bulk_run *run, int64_t row, int64_t row_end,
                      struct tm_mock_response *out)
{
    struct bulk_page made = { .api = run->job->api, .form = run->job->form };
    struct bulk_page *p = b->pages_count < BULK_PAGES_MAX ? calloc(1, sizeof *p) : NULL;
    assert(row <= row_end && row_end <= run->rows);
    if (p == NULL) {
        tm_mock_response_reset(out);
        page_error(&made, out, 503, "SERVER_UNAVAILABLE", "too many results are being read");
        return;
    }
    *p = (struct bulk_page){ .token = ++b->token_last,
                             .run = run,
                             .api = made.api,
                             .form = made.form,
                             .row = row,
                             .row_end = row_end,
                             .made = *out };
    tm_mock_response_init(out);
    tm_buf_addz(&p->made.body, run->head);
    b->pages[b->pages_count++] = p;
    page_slice(b, p, out);
}

void tm_bulk_resume(struct tm_bulk *b, const struct tm_mock_request *r, uint64_t token,
                    struct tm_mock_response *out)
{
    struct bulk_page *p = page_of(b, token);
    assert(p != NULL);
    bool counts = p->api == 1;
    page_slice(b, p, out);
    if (counts)
        bulk_async_count(b, r, out);
}

void tm_bulk_finished(struct tm_bulk *b, uint64_t token)
{
    struct bulk_page *p = page_of(b, token);
    if (p != NULL)
        page_free(b, p);
}
