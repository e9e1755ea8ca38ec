/* html_inner: what the files that make the page share. Nobody else includes it. */
#ifndef TM_REPORTS_HTML_INNER_H
#define TM_REPORTS_HTML_INNER_H
#include "base/buf.h"
#include "reports/report.h"
#include <jansson.h>

/* Escaped for text and for attributes. */
void tm_html_text(struct tm_buf *b, const char *text);
/* For a <script>, which "</" would end. */
void tm_html_json(struct tm_buf *b, const json_t *json);
const json_t *tm_html_pipelines(const json_t *report);
/* The first cell of a pipeline's row: its colour, name, kind and verdict. */
void tm_html_name(struct tm_buf *b, const json_t *p, size_t index);
void tm_html_table(struct tm_buf *b, const char *head);
void tm_html_table_end(struct tm_buf *b);

/* html_anomalies.c: the matrix of what went wrong by name, with the smallest examples; nothing
 * where the report has no anomalies. */
void tm_html_anomalies(struct tm_buf *b, const json_t *report);
/* html_causes.c: why rows differ at the end; nothing where none does. The slowest changes; nothing
 * without. The command that tells an example's story, in <code>. */
void tm_html_causes(struct tm_buf *b, const json_t *report);
void tm_html_slowest(struct tm_buf *b, const json_t *report);
void tm_html_why(struct tm_buf *b, const json_t *report, const json_t *example);
/* html_measures.c: staleness and flags; shares of the daily allocations; nothing without them. */
void tm_html_staleness(struct tm_buf *b, const json_t *report);
void tm_html_allocations(struct tm_buf *b, const json_t *report);
/* html_external.c: starts, looks, and what is not measured of external pipelines; nothing without.
 */
void tm_html_external(struct tm_buf *b, const json_t *report);
/* How often the followed relations were compared whole, beside the curve; nothing without audits.
 */
void tm_html_audits(struct tm_buf *b, const json_t *report);
/* What befell the run's processes; nothing where nothing did. */
void tm_html_faults(struct tm_buf *b, const json_t *report);
/* html_parts.c: the hosts a merged report is of; nothing in the report of one. */
void tm_html_parts(struct tm_buf *b, const json_t *report);
/* html_amounts.c: the open pipeline's amount by stage; nothing where nobody shows it. */
void tm_html_amounts(struct tm_buf *b, const json_t *report);
/* html_road.c: the legs of the streaming road, nothing where none were marked; what a read of the
 * snapshot took as the history grew, nothing where the report does not say. */
void tm_html_road(struct tm_buf *b, const json_t *report);
void tm_html_query(struct tm_buf *b, const json_t *report);
/* html_data.c: what the page's script draws. */
void tm_html_data(struct tm_buf *b, const json_t *report, const struct tm_curves *curves);
/* The chance that a change can be read within some time; nothing without t_visibility. */
void tm_html_visibility(struct tm_buf *b, const json_t *report);
#endif
