#include "reports/page.h"
#include <stdio.h>
#include <string.h>

#define PAGE_MARK_BYTES 32

static bool page_shared(struct tm_buf *out, const char *mark)
{
    const unsigned char *text = strcmp(mark, "HEAD") == 0        ? tm_page_head
                                : strcmp(mark, "STYLE") == 0     ? tm_page_style
                                : strcmp(mark, "CHART") == 0     ? tm_page_chart
                                : strcmp(mark, "UPLOT_CSS") == 0 ? tm_page_uplot_css
                                : strcmp(mark, "UPLOT_JS") == 0  ? tm_page_uplot_js
                                                                 : NULL;
    if (text != NULL)
        tm_buf_addz(out, (const char *)text);
    return text != NULL;
}

enum tm_code tm_page_fill(struct tm_buf *out, const unsigned char *page, const char *what,
                          tm_page_mark *mark, const void *self, struct tm_err *err)
{
    const char *at = (const char *)page, *open, *close;
    while ((open = strstr(at, "{{")) != NULL && (close = strstr(open, "}}")) != NULL) {
        char name[PAGE_MARK_BYTES];
        snprintf(name, sizeof name, "%.*s", (int)(close - open) - 2, open + 2);
        tm_buf_add(out, at, (size_t)(open - at));
        if (!page_shared(out, name) && !mark(out, name, self))
            return tm_fail(err, TM_E_ARG, "the %s has an unknown mark {{%s}}", what, name);
        at = close + 2;
    }
    tm_buf_addz(out, at);
    return TM_OK;
}
