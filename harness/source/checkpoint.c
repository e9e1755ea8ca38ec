#include "source/checkpoint.h"
#include "event/contract.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHECKPOINT_BYTES_MAX 4096
#define CHECKPOINT_FETCH_MAX 500

const char tm_checkpoint_schema[] =
    "{\"type\":\"record\",\"name\":\"SourceCheckpoint\",\"namespace\":\"tidemark\",\"fields\":["
    "{\"name\":\"Object\",\"type\":\"string\",\"default\":\"\"},{\"name\":\"ReplayId\",\"type\":"
    "\"long\",\"default\":-1},"
    "{\"name\":\"_epoch\",\"type\":\"int\",\"default\":0},{\"name\":\"CommitTimestamp\",\"type\":"
    "\"long\",\"default\":0},"
    "{\"name\":\"CopyAsked\",\"type\":\"boolean\",\"default\":false},{\"name\":\"Org\",\"type\":"
    "\"string\",\"default\":\"\"},{\"name\":\"Topic\",\"type\":\"string\",\"default\":\"\"}]}";

enum tm_code tm_checkpoint_encode(struct tm_buf *out, const struct tm_avro_schema *schema,
                                  int32_t schema_id, const struct tm_checkpoint_home *home,
                                  const struct tm_checkpoint *c, struct tm_err *err)
{
    const struct tm_value values[] = {
        tm_value_of_text(home->object),  tm_value_of_int(c->replay_id),
        tm_value_of_int(c->epoch),       tm_value_of_int(c->commit_ms),
        tm_value_of_bool(c->copy_asked), tm_value_of_text(home->org),
        tm_value_of_text(home->topic)
    };
    tm_buf_reset(out);
    return tm_avro_encode(schema, schema_id, out, values, sizeof values / sizeof values[0], err);
}

void tm_checkpoint_reader_init(struct tm_checkpoint_reader *r, const char *object, const char *name)
{
    *r = (struct tm_checkpoint_reader){ .partition = -1, .last_offset = -1 };
    snprintf(r->object, sizeof r->object, "%s", object);
    snprintf(r->name, sizeof r->name, "%s", name);
    tm_buf_init(&r->last, CHECKPOINT_BYTES_MAX);
}

void tm_checkpoint_reader_free(struct tm_checkpoint_reader *r)
{
    tm_buf_free(&r->last);
}

/* Asked inside fetch, when the watermarks are known already. */
static int64_t checkpoint_start(void *self, const char *topic, int32_t partition)
{
    const struct tm_checkpoint_reader *r = self;
    (void)topic;
    return partition == r->partition ? r->next : TM_OFFSET_END;
}

struct tm_topic_owner tm_checkpoint_reader_owner(struct tm_checkpoint_reader *r)
{
    return (struct tm_topic_owner){ .start = checkpoint_start, .self = r };
}

static enum tm_code checkpoint_locate(struct tm_checkpoint_reader *r, struct tm_err *err)
{
    enum tm_code rc;
    int32_t count;
    if (r->partition < 0) {
        if ((rc = r->topic->ops->partitions(r->topic, r->name, &count, err)) != TM_OK)
            return rc;
        r->partition = tm_topic_partition(r->object, strlen(r->object), count);
    }
    if ((rc = r->topic->ops->watermarks(r->topic, r->name, r->partition, &r->low, &r->high, err)) !=
        TM_OK)
        return rc;
    r->next = r->low;
    r->known = true;
    return TM_OK;
}

static enum tm_code checkpoint_fetch(struct tm_checkpoint_reader *r, struct tm_err *err)
{
    struct tm_record records[CHECKPOINT_FETCH_MAX];
    size_t count = 0;
    enum tm_code rc = r->topic->ops->fetch(r->topic, records, CHECKPOINT_FETCH_MAX, &count, err);
    if (rc != TM_OK)
        return rc;
    for (size_t i = 0; i < count; i++) {
        const struct tm_record *record = &records[i];
        if (record->partition != r->partition)
            continue;
        r->next = record->offset + 1;
        if (record->key_bytes != strlen(r->object) ||
            memcmp(record->key, r->object, record->key_bytes) != 0)
            continue;
        tm_buf_reset(&r->last);
        if (record->value != NULL)
            tm_buf_add(&r->last, record->value, record->value_bytes);
        r->last_offset = record->offset;
    }
    return TM_OK;
}

/* A checkpoint of another org, or of another topic, says nothing about this one: going on after it
 * would leave a hole nobody sees. Checkpoints of older versions name neither. */
static enum tm_code checkpoint_is_ours(const struct tm_checkpoint_reader *r,
                                       const struct tm_row *row,
                                       const struct tm_checkpoint_home *home, struct tm_err *err)
{
    static const char *const names[] = { "Org", "Topic" };
    const char *const ours[] = { home->org, home->topic };
    for (size_t i = 0; i < 2; i++) {
        const struct tm_value *value = tm_row_get(row, names[i]);
        const char *theirs = value != NULL ? tm_value_text(value) : NULL;
        if (theirs == NULL || *theirs == '\0' || *ours[i] == '\0' || strcmp(theirs, ours[i]) == 0)
            continue;
        return tm_fail(err, TM_E_MISMATCH,
                       "it is of %s %.80s, and this source is of %.80s: give each a topic of its "
                       "own by tidemark.offsets.topic, or write a record with key %s and no value "
                       "to %s to begin anew",
                       i == 0 ? "the org" : "kafka.topic", theirs, ours[i], r->object, r->name);
    }
    return TM_OK;
}

static enum tm_code checkpoint_decode(struct tm_checkpoint_reader *r, const struct tm_now *now,
                                      struct tm_registry *registry,
                                      const struct tm_checkpoint_home *home,
                                      struct tm_checkpoint *out, struct tm_err *err)
{
    int32_t id;
    const struct tm_avro_schema *schema;
    struct tm_row row;
    tm_row_init(&row);
    enum tm_code rc = tm_buf_check(&r->last, "checkpoint", err);
    if (rc == TM_OK)
        rc = tm_avro_frame_id(&id, r->last.data, r->last.bytes, err);
    if (rc == TM_OK)
        rc = tm_registry_schema(registry, now, &schema, id, err);
    if (rc == TM_OK)
        rc = tm_avro_decode(schema, &row, r->last.data, r->last.bytes, err);
    if (rc == TM_OK) {
        const struct tm_value *replay = tm_row_get(&row, "ReplayId"),
                              *epoch = tm_row_get(&row, "_epoch");
        const struct tm_value *commit = tm_row_get(&row, "CommitTimestamp"),
                              *copy = tm_row_get(&row, "CopyAsked");
        if (replay == NULL || replay->kind != TM_V_INT || epoch == NULL ||
            epoch->kind != TM_V_INT || epoch->as.i < 0 || epoch->as.i >= INT32_MAX ||
            commit == NULL || commit->kind != TM_V_INT || copy == NULL || copy->kind != TM_V_BOOL)
            rc =
                tm_fail(err, TM_E_PROTO,
                        "fields ReplayId, _epoch, CommitTimestamp and CopyAsked are not all there");
        else
            *out = (struct tm_checkpoint){ .replay_id = replay->as.i,
                                           .commit_ms = commit->as.i,
                                           .epoch = (int32_t)epoch->as.i,
                                           .copy_asked = copy->as.b };
        if (rc == TM_OK)
            rc = checkpoint_is_ours(r, &row, home, err);
    }
    tm_row_free(&row);
    if (rc != TM_OK && rc != TM_E_AGAIN)
        return tm_at(err, "checkpoint of %s at %s partition %" PRId32 " offset %" PRId64, r->object,
                     r->name, r->partition, r->last_offset);
    return rc;
}

enum tm_code tm_checkpoint_read(struct tm_checkpoint_reader *r, const struct tm_now *now,
                                struct tm_registry *registry, const struct tm_checkpoint_home *home,
                                struct tm_checkpoint *out, bool *out_found, struct tm_err *err)
{
    enum tm_code rc;
    *out_found = false;
    if (r->topic == NULL)
        return TM_E_AGAIN;
    if (!r->known && (rc = checkpoint_locate(r, err)) != TM_OK)
        return rc;
    if (r->next < r->high) {
        rc = checkpoint_fetch(r, err);
        if (rc != TM_OK || r->next < r->high)
            return rc != TM_OK ? rc : TM_E_AGAIN;
    }
    if (r->last.bytes == 0)
        return TM_OK; /* never written, or deleted by a tombstone: a fresh start */
    rc = checkpoint_decode(r, now, registry, home, out, err);
    *out_found = rc == TM_OK;
    return rc;
}
