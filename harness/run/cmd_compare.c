/* cmd_compare: `tidemark compare BASE NEW [--control RUNS] [--exact] [--json]`. */
#include "run/baseline.h"
#include "run/command.h"

int tm_cmd_compare(int argc, char **argv)
{
    static const char *const extra[] = { "control", "exact!", "...", NULL };
    const char *given[2] = { NULL, NULL };
    struct tm_baseline base = { .count = 0 }, new = { .count = 0 }, control = { .count = 0 };
    struct tm_station_flags flags;
    struct tm_err err;
    int code = TM_EXIT_OURS;
    tm_err_clear(&err);
    enum tm_code rc = tm_flags_parse(&flags, argc, argv, extra, given, &err);
    if (rc == TM_OK && (flags.config_path == NULL || flags.rest_count != 1))
        rc = tm_fail(&err, TM_E_ARG,
                     "two sides are compared; usage: tidemark compare BASE NEW, several runs of a "
                     "side with commas between, or in one folder");
    if (rc == TM_OK && (rc = tm_baseline_load(&base, flags.config_path, &err)) != TM_OK)
        tm_at(&err, "BASE");
    if (rc == TM_OK && (rc = tm_baseline_load(&new, flags.rest[0], &err)) != TM_OK)
        tm_at(&err, "NEW");
    if (rc == TM_OK && given[0] != NULL &&
        (rc = tm_baseline_load(&control, given[0], &err)) != TM_OK)
        tm_at(&err, "--control");
    if (rc == TM_OK)
        rc = tm_baseline_judge(&code, &base, &new, &control, given[1] != NULL, flags.json, &err);
    tm_baseline_free(&base);
    tm_baseline_free(&new);
    tm_baseline_free(&control);
    return rc == TM_OK ? code : tm_command_fail("compare", &err);
}
