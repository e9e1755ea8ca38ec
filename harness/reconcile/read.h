/* read: one read of an object, from a fresh describe to acknowledged answers. in: what is asked,
 * and at which position; out: records of sfdc.recon.<object> (contract.h's recon schema), ended by
 * `end` records where R16 wants them.
 *
 *   DESCRIBE -> REGISTER -> PARTITIONS -> QUERY <-> EMIT -> MISSING ------> END -> FLUSH -> done
 *                                                      `-> DELETED (range) -^
 *
 * One attempt: any failure ends it, and its caller begins another with a new read id (R16). Ports
 * are borrowed, the ask outlives the read. R9: it is opened after the ask was received, so every
 * row is read after that. A range read asks getDeleted for its time as well, after the rows: what
 * was purged from the recycle bin has no event and is in no row. R10, R11: ids asked for and not
 * returned are `removed` when the user sees all data, else `unreadable`. Where he does not, a read
 * of all rows cannot tell a missing row from a hidden one: it is then answered as a range (dirt
 * cleared, nothing removed). The first page of a query tells how many rows there are; where they
 * are many, nothing of it is used and a Bulk job made after it reads them all: a job sees what was
 * committed before it was made. An org that refuses the job is read page by page. */
#ifndef TM_RECONCILE_READ_H
#define TM_RECONCILE_READ_H
#include "reconcile/idset.h"
#include "salesforce/bulk.h"
#include "salesforce/query.h"
#include "topic/registry.h"
#include "topic/topic.h"

#define TM_READ_ROWS_MAX 20000000 /* rows of one whole read */
#define TM_READ_PARTITIONS_MAX 1024
enum tm_read_kind { TM_READ_IDS, TM_READ_RANGE, TM_READ_WHOLE };
struct tm_position {
    int64_t epoch, g;
}; /* R1 */
struct tm_read_ask {
    enum tm_read_kind kind;
    const char *object, *topic; /* the recon topic */
    const struct tm_idset *ids;
    const struct tm_position *positions; /* TM_READ_IDS: positions[i] of id i */
    struct tm_position at;               /* else */
    int64_t from_ms;                     /* TM_READ_RANGE: SystemModstamp >= this, org time */
    int64_t until_ms; /* TM_READ_RANGE: deletes up to here; a whole minute that is over */
    bool sees_all;
    int64_t bulk_rows_min; /* whole and range: so many rows are read by a Bulk job; 0 = never */
    int bulk_page_rows;    /* of its pages */
};
struct tm_read_ports {
    struct tm_sf_session *session;
    struct tm_registry *registry;
    struct tm_topic *topic;
};
struct tm_read_counts {
    uint64_t images, removed, unreadable, ends, calls, jobs /* Bulk */;
};

int tm_position_compare(const struct tm_position *a, const struct tm_position *b);
struct tm_read;
enum tm_code tm_read_open(struct tm_read **out, const struct tm_read_ports *ports,
                          const struct tm_read_ask *ask, const char *read_id, int64_t read_seq,
                          struct tm_err *err);
void tm_read_close(struct tm_read *r); /* NULL-safe */
struct tm_read_news {
    bool moved;  /* step again at once */
    bool fatal;  /* another attempt cannot help: topic, registry */
    bool untold; /* the deletes of the range cannot be told: only a whole read will do */
};
/* TM_OK: done and acknowledged. TM_E_AGAIN: step again, at once when something moved. Else the
 * attempt has failed. */
enum tm_code tm_read_step(struct tm_read *r, const struct tm_now *now, struct tm_read_news *out,
                          struct tm_err *err);
/* wall ns, besides what the ports know; TM_NEVER */
int64_t tm_read_next_at(const struct tm_read *r);
const struct tm_read_counts *tm_read_counts(const struct tm_read *r);
#endif
