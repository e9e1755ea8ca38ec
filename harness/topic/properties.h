/* properties: what a Kafka client is told beyond its brokers (TLS, sign-in), from a file in the
 * form Kafka's own tools take: name=value a line, empty lines and lines that begin with # are
 * skipped. in: the file; out: "name=value" texts for tm_kafka_options. Names are librdkafka's; it
 * judges them, and the whole of them, when the file is read: a mistake is told in its words with
 * file and line. `${env:NAME}` and `${file:PATH}` in values are replaced, so that no secret need
 * stand in the file. What a station's promises rest on cannot be changed here: offsets,
 * acknowledgements, the partitioner; brokers and group have a place of their own. */
#ifndef TM_TOPIC_PROPERTIES_H
#define TM_TOPIC_PROPERTIES_H
#include "base/config.h"

/* the one key of every station's config that names such a file */
#define TM_PROPERTIES_KEY "kafka.properties"
#define TM_PROPERTIES_ENTRY                                                                        \
    {                                                                                              \
        TM_PROPERTIES_KEY, TM_KEY_TEXT, 0, NULL, 0, 0, NULL,                                       \
            "file of name=value lines for the Kafka client: TLS, sign-in"                          \
    }

/* of every station that needs topics; existing ones are used as they are */
#define TM_TOPICS_ENTRIES                                                                           \
    {                                                                                               \
        "tidemark.partitions", TM_KEY_INT, 0, "6", 1, 1000, NULL, "of topics that do not exist yet" \
    },                                                                                              \
    {                                                                                               \
        "tidemark.replication.factor", TM_KEY_INT, 0, "-1", -1, 100, NULL,                          \
            "of topics that do not exist yet; -1 = as the brokers are set"                          \
    }

/* What places a connector in somebody's cloud, in the config of every station that has topics:
 * taken and passed over. Brokers come from flags. */
#define TM_PROPERTIES_CLOUD_ENTRIES                                                                \
    TM_KEY_ACCEPTED("connector.class"), TM_KEY_ACCEPTED("kafka.auth.mode"),                        \
        TM_KEY_ACCEPTED_SECRET("kafka.api.key"), TM_KEY_ACCEPTED_SECRET("kafka.api.secret"),       \
        TM_KEY_ACCEPTED("kafka.service.account.id"), TM_KEY_ACCEPTED("kafka.endpoint"),            \
        TM_KEY_ACCEPTED("kafka.region")
/* of the stations between two topics, gap and reconcile */
#define TM_PROPERTIES_BETWEEN_ENTRIES                                                              \
    { "input.data.format", TM_KEY_TEXT, 0, "AVRO", 0, 0, "AVRO", "format of what is read" },       \
        { "output.data.format", TM_KEY_TEXT, 0, "AVRO", 0, 0, "AVRO", "format of what is sent" },  \
    {                                                                                              \
        "tasks.max", TM_KEY_INT, TM_KEY_IGNORED, NULL, 0, 0, NULL,                                 \
            "accepted; start more processes instead"                                               \
    }

struct tm_properties { /* zero-initialised = none */
    char **items;      /* "name=value"; owned */
    size_t count;
};
/* path NULL = none. TM_E_ARG names file and line, never a line's text: it may be a secret. */
enum tm_code tm_properties_load(struct tm_properties *out, const char *path, struct tm_err *err);
void tm_properties_free(struct tm_properties *p);
#endif
