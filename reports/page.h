/* page: the report's page template and the charting library it carries (uPlot 1.6.32, MIT:
 * reports/page/uplot.LICENSE), turned into C by reports/embed.sh at build time so that the program
 * needs no file beside it. */
#ifndef TM_REPORTS_PAGE_H
#define TM_REPORTS_PAGE_H
extern const unsigned char tm_page_template[], tm_page_sweep[], tm_page_history[],
    tm_page_uplot_js[], tm_page_uplot_css[];
#endif
