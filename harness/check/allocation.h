/* allocation: what share of Salesforce's daily allocations a pipeline would take: what it used in
 * the run's org hours, as if they went on for a day. in: calls and events, org hours; out:
 * {org_hours, api_calls, events, api_share {developer, enterprise, unlimited}, events_share {…}}.
 * Pure. Facts: allocations of 24 hours, Change Data Capture Developer Guide ("Change Data Capture
 * Allocations": events delivered) and Salesforce Developer Limits ("API Request Limits"; without
 * the calls that licences add), read 2026-11-30. */
#ifndef TM_CHECK_ALLOCATION_H
#define TM_CHECK_ALLOCATION_H
#include <jansson.h>

json_t *tm_allocation_json(double api_calls, double events, double org_hours);
#endif
