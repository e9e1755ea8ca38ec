/* failed: the `failed` alerts of a read that was given up. in: a window, whether all or its ids
 * failed, why; out: alerts, one per id, or one for the object, written with the schema of the alert
 * that was answered so: it is in the registry, fits the topic, and spells the object as its
 * producer does. Acknowledged before TM_OK. Call again until it is done. */
#ifndef TM_RECONCILE_FAILED_H
#define TM_RECONCILE_FAILED_H
#include "reconcile/window.h"
#include "topic/registry.h"

struct tm_failed_flight {
    size_t at;
}; /* alerts produced so far; zero it to begin again */
struct tm_failed;
enum tm_code tm_failed_open(struct tm_failed **out, struct tm_registry *registry,
                            struct tm_topic *topic, const char *object, const char *alerts_topic,
                            struct tm_err *err);
void tm_failed_close(struct tm_failed *f); /* NULL-safe */
/* schema_id: of an alert of this topic. */
enum tm_code tm_failed_step(struct tm_failed *f, int32_t schema_id, struct tm_failed_flight *flight,
                            const struct tm_now *now, const struct tm_window *w, bool all,
                            const char *why, struct tm_err *err);
#endif
