/* support_sink: a sink over an in-memory broker and a table of schemas, writing a file of
 * its own. */
#ifndef TM_TESTS_SUPPORT_SINK_H
#define TM_TESTS_SUPPORT_SINK_H
#include "base/sql.h"
#include "mocks/kafka/topic_mem.h"
#include "sink/sink.h"

#define SS_SCHEMAS_MAX 16
struct ss_world {
    char dir[64], path[96];
    struct tm_mem_broker *broker;
    struct tm_topic *producer, *consumers[4];
    size_t tasks;
    sqlite3 *db;
    struct tm_sink *sink;
    struct tm_sink_settings settings;
    struct tm_trace *trace;
    struct tm_avro_schema *schemas[SS_SCHEMAS_MAX]; /* by id */
    unsigned schema_again;                          /* so many lookups answer TM_E_AGAIN first */
    unsigned views_made;
    int64_t wall_ns;
};
/* Topics "a.b" and "a_b" (2 partitions each), everything allowed, unionization on. */
void ss_open(struct ss_world *w);
void ss_close(struct ss_world *w);
enum tm_code ss_start(struct ss_world *w, struct tm_err *err); /* database, sink, consumers */
/* as a crash would: nothing is finished */
void ss_stop(struct ss_world *w);
/* fields: "Name:string,Amount:double,…" (nullable). */
void ss_schema(struct ss_world *w, int id, const char *fields);
/* values: text per field of the schema, "-" = null. */
void ss_produce(struct ss_world *w, const char *topic, int partition, int schema_id,
                const char *const *values);
void ss_produce_bytes(struct ss_world *w, const char *topic, int partition, const void *bytes,
                      size_t count);
/* steps until idle, or the first error */
enum tm_code ss_run(struct ss_world *w, struct tm_err *err);
void ss_run_ok(struct ss_world *w);
int64_t ss_int(struct ss_world *w, const char *sql);
/* first column of first row */
void ss_text(struct ss_world *w, char *out, size_t out_bytes, const char *sql);
#endif
