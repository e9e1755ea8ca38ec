/* cmd_report: `tidemark report RUN`: renders report.html, report.md and junit.xml of a run's folder
 * again. */
#include "run/command.h"
#include "reports/report.h"
#include <stdio.h>

int tm_cmd_report(int argc, char **argv)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_station_flags flags;
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, NULL, NULL, &err);
    if (rc == TM_OK && flags.config_path == NULL)
        rc = tm_fail(&err, TM_E_ARG, "no run given; usage: tidemark report reports/out/RUN");
    if (rc == TM_OK)
        rc = tm_report_render(flags.config_path, &err);
    if (rc != TM_OK)
        return tm_command_fail("report", &err);
    printf("%s/report.html\n", flags.config_path);
    return TM_EXIT_PASS;
}
