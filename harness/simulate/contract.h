/* contract: what the topics promise to whoever reads them, beside what snapshots
 * make of it. in: raw.db at rest, which has every record of every topic, and the broker; out: the
 * first promise that was not kept. Independent of the views: plain SQL over raw rows.
 *
 *   everywhere  overflow and conversion, their alerts, and one copy of each epoch stand in every
 *               partition
 *   alerts      each gap and each diff asks for every one of its records, at its own position
 *   counts      an `end` counts no fewer ids than its partition has answers, and knows how many
 *               partitions there are
 *   reads       a _read_id has one _read_seq, and a _read_seq one _read_id: a retry is another read
 *   bare        an answer that is no image carries no values
 *   rows        a record with a value is one row of its table, or kept aside */
#ifndef TM_SIMULATE_CONTRACT_H
#define TM_SIMULATE_CONTRACT_H
#include "simulate/compare.h"

enum tm_code tm_sim_contract_check(struct tm_sim_world *w, struct tm_sim_finding *out,
                                   struct tm_err *err);
#endif
