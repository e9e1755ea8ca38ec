/* topic_rdkafka_properties: a properties file, read and tried on clients that connect nowhere. */
#include "topic/properties.h"
#include "topic/topic_rdkafka_inner.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROPERTIES_MAX 200
#define PROPERTIES_LINE_BYTES_MAX (16u << 10) /* a certificate may stand in a line */

static const struct {
    const char *name, *instead;
} properties_kept[] = {
    { "bootstrap.servers", "give the brokers by --brokers" },
    { "metadata.broker.list", "give the brokers by --brokers" },
    { "group.id", "the station's config has a key group.id" },
    { "enable.auto.commit", "offsets are committed after what was read is durable" },
    { "auto.commit.enable", "offsets are committed after what was read is durable" },
    { "enable.auto.offset.store", "offsets are committed after what was read is durable" },
    { "auto.offset.reset", "a lost position is an error here, never a jump" },
    { "enable.partition.eof", "the end of a partition is not a record" },
    { "acks", "every record is acknowledged by all replicas" },
    { "request.required.acks", "every record is acknowledged by all replicas" },
    { "enable.idempotence", "every record is written once and in order" },
    { "delivery.report.only.error", "every record is acknowledged by all replicas" },
    { "partitioner", "a record's history stays in one partition" },
};

static void properties_silent(const rd_kafka_t *rk, int level, const char *facility,
                              const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static char *properties_trim(char *text)
{
    size_t n;
    while (isspace((unsigned char)*text))
        text++;
    for (n = strlen(text); n > 0 && isspace((unsigned char)text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

/* Would a client of either kind take this one? */
static enum tm_code properties_judge(rd_kafka_conf_t *const conf[2], const char *name,
                                     const char *value, struct tm_err *err)
{
    char why[200];
    for (size_t i = 0; i < sizeof properties_kept / sizeof properties_kept[0]; i++)
        if (strcmp(properties_kept[i].name, name) == 0)
            return tm_fail(err, TM_E_ARG, "%s cannot be set here: %s", name,
                           properties_kept[i].instead);
    if (tm_rdk_own(name))
        return tm_rdk_own_ms(name, value, &(int){ 0 }, err);
    for (size_t i = 0; i < 2; i++)
        if (rd_kafka_conf_set(conf[i], name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
            return tm_fail(err, TM_E_ARG, "%s", why);
    return TM_OK;
}

/* One line, `text` included, is taken apart in place. */
static enum tm_code properties_line(struct tm_properties *out, rd_kafka_conf_t *const conf[2],
                                    char *text, struct tm_err *err)
{
    char *value = NULL, *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return tm_fail(err, TM_E_ARG, "is not name=value");
    if (out->count == PROPERTIES_MAX)
        return tm_fail(err, TM_E_LIMIT, "more than %d properties", PROPERTIES_MAX);
    *equals = '\0';
    const char *name = properties_trim(text);
    enum tm_code rc = tm_config_expand(&value, properties_trim(equals + 1), err);
    if (rc == TM_OK)
        rc = properties_judge(conf, name, value, err);
    if (rc == TM_OK) {
        size_t bytes = strlen(name) + strlen(value) + 2;
        char *item = malloc(bytes);
        if (item == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "kafka properties");
        else {
            snprintf(item, bytes, "%s=%s", name, value);
            out->items[out->count++] = item;
        }
    }
    free(value);
    return rc;
}

static enum tm_code properties_read(struct tm_properties *out, rd_kafka_conf_t *const conf[2],
                                    FILE *f, const char *path, struct tm_err *err)
{
    char *line = malloc(PROPERTIES_LINE_BYTES_MAX);
    enum tm_code rc = TM_OK;
    out->items = calloc(PROPERTIES_MAX, sizeof *out->items);
    if (line == NULL || out->items == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "kafka properties");
    for (unsigned at = 1; rc == TM_OK && fgets(line, PROPERTIES_LINE_BYTES_MAX, f) != NULL; at++) {
        if (strlen(line) == PROPERTIES_LINE_BYTES_MAX - 1)
            return free(line), tm_fail(err, TM_E_LIMIT, "%s:%u: longer than %u bytes", path, at,
                                       PROPERTIES_LINE_BYTES_MAX);
        char *text = properties_trim(line);
        if (*text != '\0' && *text != '#' && *text != '!' &&
            (rc = properties_line(out, conf, text, err)) != TM_OK)
            tm_at(err, "%s:%u", path, at);
    }
    free(line);
    if (rc == TM_OK && ferror(f))
        rc = tm_fail(err, TM_E_ARG, "cannot read %s: %s", path, strerror(errno));
    return rc;
}

/* What only shows when all are there: a certificate that cannot be read, a pair that excludes each
 * other. conf[i] becomes NULL where a client took it. */
static enum tm_code properties_try(rd_kafka_conf_t *conf[2], struct tm_err *err)
{
    static const rd_kafka_type_t types[] = { RD_KAFKA_PRODUCER, RD_KAFKA_CONSUMER };
    char why[200];
    for (size_t i = 0; i < 2; i++) {
        rd_kafka_conf_set_log_cb(conf[i], properties_silent);
        rd_kafka_t *rk = rd_kafka_new(types[i], conf[i], why, sizeof why);
        if (rk == NULL)
            return tm_fail(err, TM_E_ARG, "%s", why);
        conf[i] = NULL;
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    return TM_OK;
}

enum tm_code tm_properties_load(struct tm_properties *out, const char *path, struct tm_err *err)
{
    *out = (struct tm_properties){ NULL, 0 };
    if (path == NULL)
        return TM_OK;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return tm_fail(err, TM_E_ARG, "cannot read %s: %s", path, strerror(errno));
    rd_kafka_conf_t *conf[2] = { rd_kafka_conf_new(), rd_kafka_conf_new() };
    /* as every producer here has it: what it excludes is told now */
    rd_kafka_conf_set(conf[0], "enable.idempotence", "true", NULL, 0);
    enum tm_code rc = properties_read(out, conf, f, path, err);
    fclose(f);
    if (rc == TM_OK && out->count > 0 && (rc = properties_try(conf, err)) != TM_OK)
        tm_at(err, "%s", path);
    for (size_t i = 0; i < 2; i++)
        if (conf[i] != NULL)
            rd_kafka_conf_destroy(conf[i]);
    if (rc != TM_OK)
        tm_properties_free(out);
    return rc;
}

void tm_properties_free(struct tm_properties *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->items[i]);
    free(p->items);
    *p = (struct tm_properties){ NULL, 0 };
}
