/* after_inner: what the files of the verdict on a finished warehouse share: after.c goes through
 * history and relations, after_class.c names what differs, after_report.c tells it. two.c borrows
 * words and paths. Nobody else includes it. */
#ifndef TM_CHECK_AFTER_INNER_H
#define TM_CHECK_AFTER_INNER_H
#include "check/after.h"
#include "check/anomaly.h"
#include "check/compare.h"
#include "check/fold.h"
#include "check/match.h"

#define AFTER_EXAMPLES_MAX 20
#define AFTER_PATH_MAX 1024

struct after_object {
    const char *name;
    struct tm_relation_spec spec;
    char path[AFTER_PATH_MAX];
    struct tm_warehouse *warehouse;
    struct tm_relation *relation; /* opened to learn its fields */
    struct tm_fold fold;
    struct tm_compare *compare;
    struct tm_coverage coverage;
    int64_t rows[TM_ROW_CLASSES], org_rows;
};
struct after_work {
    const struct tm_after_args *args;
    struct tm_truth *truth; /* describes alone */
    struct tm_shown *shown; /* columns alone */
    json_t *map;
    struct after_object objects[TM_TRUTH_OBJECTS_MAX];
    size_t objects_count;
    uint64_t changes;
    json_t *examples, *anomalies, *causes;
};
/* Each differing row's class, its story from the log, and the anomalies, a bounded number of
 * records at a time. */
enum tm_code after_class(struct after_work *w, struct after_object *o, struct tm_err *err);
/* "anomalies" once all objects are done. */
enum tm_code after_anomalies(struct after_work *w, struct tm_err *err);
/* Where an object's rows are: in its own database, beside the map, or in the common one. */
enum tm_code after_path(char out[AFTER_PATH_MAX], const struct tm_relation_spec *spec,
                        const char *map, const char *common, struct tm_err *err);
json_t *after_report(const struct after_work *w, int *out_exit);
void after_print_fields(FILE *out, const json_t *report);
void after_print_verdict(FILE *out, const json_t *report);
void after_print(FILE *out, const json_t *report);
/* Of one object: per differing field, how (check/compare.h). */
json_t *after_fields(const struct tm_compare *c);
#endif
