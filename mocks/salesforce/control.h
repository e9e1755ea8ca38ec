/* control: the functions behind /tidemark/v1/ (commit, schema, clock, history, usage): the mock's
 * own API for tests and for people. in: a JSON request and the instant; out: a JSON answer. Pure:
 * the server routes HTTP to them. A user's mistake is TM_E_ARG and leaves the org as it was. */
#ifndef TM_MOCKS_SALESFORCE_CONTROL_H
#define TM_MOCKS_SALESFORCE_CONTROL_H
#include "mocks/salesforce/org.h"

/* POST commit:
 * {"changes":[{"change":"create|update|delete|undelete|hard_delete","object":"Account","id":"001…",
 *   "fields":{"Name":"…"},"announce":"normal|merged|gap|overflow|diff|conversion|silent"}],
 * "user":"005…","origin":"…"}
 * -> {"pos":[…],"ids":[…],"replay_last":N}. One transaction. Fields as REST writes them; compound
 * parts by column name. written_ms: when its rows were written, 0 = now (org.h). */
enum tm_code tm_control_commit(struct tm_org *org, const json_t *request, const struct tm_now *now,
                               int64_t written_ms, json_t **out, struct tm_err *err);
/* Would it be understood? Says nothing about the state of the records. */
enum tm_code tm_control_check(struct tm_org *org, const json_t *request, struct tm_err *err);
/* Every key of the request is one of these, or TM_E_ARG suggests the nearest. */
enum tm_code tm_control_known(struct tm_org *org, const json_t *request, const char *const *known,
                              size_t known_count, struct tm_err *err);
/* A whole number of a request, as a number or as text; *out stays where there is none. */
enum tm_code tm_control_number(struct tm_org *org, int64_t *out, const json_t *request,
                               const char *key, int64_t first, int64_t last, struct tm_err *err);
/* POST schema: {"object":"Account","add":{"name":"X__c","type":"string",…}} or
 * {"object":"Account","remove":"X__c"}
 * -> {"object":…,"schema":id,"from_pos":N} */
enum tm_code tm_control_schema(struct tm_org *org, const json_t *request, const struct tm_now *now,
                               json_t **out, struct tm_err *err);
/* GET history: {"object":…,"id":…,"after_pos":N,"limit":N}, all optional (limit 1..2000, preset
 * 200; numbers may be text)
 * ->
 * {"entries":[{"pos":…,"object":…,"id":…,"version":…,"txn":…,"seq":…,"change":…,"event":…,
 *     "replay_id":…,"changed":[…],"fields":{…},"org_ms":…,"intended_ms":…}],"pos_last":N} */
enum tm_code tm_control_history(struct tm_org *org, const json_t *request, json_t **out,
                                struct tm_err *err);
#endif
