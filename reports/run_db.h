/* run_db: see run_db.c. Part of report. */
#ifndef TM_REPORTS_RUN_DB_H
#define TM_REPORTS_RUN_DB_H
#include "reports/report.h"
void tm_curves_axis(struct tm_curves *c, double first_s, double last_s);
/* Fills the curves run.db has. */
enum tm_code tm_run_db_read(struct tm_curves *c, const json_t *report, const char *path,
                            struct tm_err *err);
#endif
