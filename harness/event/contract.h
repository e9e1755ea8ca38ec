/* contract: names and schemas of the topics between stations, built from a describe. in:
 * describe; out: topic names, Avro schema JSON text, column lists. Pure. Every producer of a topic
 * takes its schema from here. */
#ifndef TM_EVENT_CONTRACT_H
#define TM_EVENT_CONTRACT_H
#include "base/describe.h"
#include "event/avro.h"

#define TM_TOPIC_NAME_MAX 250
#define TM_TOPIC_OFFSETS "tidemark.offsets"
/* Opportunity -> sfdc.cdc.opportunity_raw, alerts.sfdc.opportunity_gap_events,
 * sfdc.recon.opportunity. */
void tm_contract_topic_raw(char out[TM_TOPIC_NAME_MAX], const char *object);
void tm_contract_topic_alerts(char out[TM_TOPIC_NAME_MAX], const char *object);
void tm_contract_topic_recon(char out[TM_TOPIC_NAME_MAX], const char *object);
/* Field order: raw: Id ReplayId ChangeEventHeader <columns> _ObjectType _EventType _DiffFields
 * _epoch. alerts: Id ReplayId ChangeEventHeader _kind _reason _epoch. recon: Id _kind _g _epoch
 * _read_id _read_seq _read_kind _count _partitions <columns>. <columns> = fields of the describe in
 * describe order that events (raw) or SOQL (recon) can carry: see tm_contract_column. Types:
 * facts/connectors.md 1.2 type map. */
enum tm_code tm_contract_schema_raw(struct tm_buf *out, const struct tm_describe *d,
                                    struct tm_err *err);
enum tm_code tm_contract_schema_alerts(struct tm_buf *out, const struct tm_describe *d,
                                       struct tm_err *err);
enum tm_code tm_contract_schema_recon(struct tm_buf *out, const struct tm_describe *d,
                                      struct tm_err *err);
/* Avro type text of a field that is no compound. */
const char *tm_contract_type(const struct tm_field *field);
/* one rule for raw and recon: tm_field_in_events */
bool tm_contract_column(const struct tm_field *field);
/* A REST, SOQL or CometD JSON value -> canonical value of the field. Text is borrowed from `json`
 * or from `arena`; reset the arena for each record: within one it never moves
 * (TM_E_LIMIT instead). */
enum tm_code tm_contract_value(struct tm_value *out, struct tm_buf *arena,
                               const struct tm_field *field, const json_t *json,
                               struct tm_err *err);
#endif
