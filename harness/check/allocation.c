#include "check/allocation.h"
#include <stddef.h>

static const struct {
    const char *edition;
    double api_calls, events;
} allocations[] = { { "developer", 15000, 10000 },
                    { "enterprise", 100000, 25000 },
                    { "unlimited", 100000, 50000 } };

json_t *tm_allocation_json(double api_calls, double events, double org_hours)
{
    json_t *api = json_object(), *delivered = json_object();
    double days = org_hours > 0 ? org_hours / 24 : 1;
    for (size_t i = 0; i < sizeof allocations / sizeof allocations[0]; i++) {
        json_object_set_new(api, allocations[i].edition,
                            json_real(api_calls / days / allocations[i].api_calls));
        json_object_set_new(delivered, allocations[i].edition,
                            json_real(events / days / allocations[i].events));
    }
    return json_pack("{s:f, s:f, s:f, s:o, s:o}", "org_hours", org_hours, "api_calls",
                     api_calls / days, "events", events / days, "api_share", api, "events_share",
                     delivered);
}
