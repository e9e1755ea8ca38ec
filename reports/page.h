/* page: the pages' templates, their one head and style, what all charts are drawn with, and the charting library they carry (uPlot 1.6.32,
 * MIT: reports/page/uplot.LICENSE), turned into C by reports/embed.sh at build time so that the
 * program needs no file beside it. */
#ifndef TM_REPORTS_PAGE_H
#define TM_REPORTS_PAGE_H
#include "base/buf.h"
extern const unsigned char tm_page_template[], tm_page_sweep[], tm_page_history[], tm_page_growth[],
    tm_page_head[], tm_page_style[], tm_page_chart[], tm_page_uplot_js[], tm_page_uplot_css[];

/* Adds what stands for {{MARK}}; false: no such mark. */
typedef bool tm_page_mark(struct tm_buf *out, const char *mark, const void *self);
/* The template with its marks filled: head, style, library and what charts share from here, all else by `mark`. what: the
 * template in words, for the error about a mark that nobody knows (TM_E_ARG). */
enum tm_code tm_page_fill(struct tm_buf *out, const unsigned char *page, const char *what,
                          tm_page_mark *mark, const void *self, struct tm_err *err);
#endif
