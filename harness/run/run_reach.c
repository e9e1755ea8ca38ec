/* run_reach: asks the broker and the registry that --brokers and --registry name for a sign of
 * life, before anything is started. One of each is enough: the stations meet the same two. */
#include "run/run.h"
#include "run/command.h"
#include "base/config.h"
#include "base/http.h"
#include "event/contract.h"
#include "source/source.h"
#include <string.h>

#define REACH_MS 5000

const char *tm_run_no_secret(char out[256], const char *url)
{
    const char *host = strstr(url, "://"), *at = host != NULL ? strrchr(host, '@') : NULL;
    if (at == NULL)
        snprintf(out, 256, "%.250s", url);
    else
        snprintf(out, 256, "%.*s://…@%.200s", (int)(host - url), url, at + 1);
    return out;
}

/* What was named is wrong or down: in either case the user's to mend, and nothing was run. */
static enum tm_code reach_mistaken(struct tm_err *err, const char *flag)
{
    err->code = TM_E_ARG;
    err->retriable = false;
    return tm_at(err, "%s", flag);
}

/* Makes sure of every topic of the run, with the properties (TLS, sign-in) the source will use. */
static enum tm_code reach_topics(struct tm_run *run, const struct tm_kafka_access *access,
                                 const struct tm_config *config, struct tm_err *err)
{
    static char names[TM_RUN_TOPICS_MAX][TM_TOPIC_NAME_MAX];
    const char *topics[TM_RUN_TOPICS_MAX];
    const struct tm_topics_plan plan = {
        .topics = topics,
        .topics_count = tm_run_topics(run, names),
        .compacted = TM_TOPIC_OFFSETS,
        .partitions = (int32_t)tm_config_int(config, "tidemark.partitions"),
        .replication = (int16_t)tm_config_int(config, "tidemark.replication.factor"),
        .fresh = !run->resumes, /* then they are this run's own */
        .reset = run->reset_topics
    };
    for (size_t i = 0; i < plan.topics_count; i++)
        topics[i] = names[i];
    const char *was = json_string_value(json_object_get(run->kept, "cluster"));
    if (tm_topic_kafka_cluster(&run->cluster, access, err) != TM_OK)
        return err->code;
    if (run->resumes && was != NULL && strcmp(was, run->cluster.id) != 0)
        return tm_fail(
            err, TM_E_ARG,
            "%.200s is cluster %.100s, the run was started on %.100s: its topics are not "
            "there",
            access->brokers, run->cluster.id, was);
    return tm_topic_kafka_ensure(access, &plan, err);
}

static enum tm_code reach_brokers(struct tm_run *run, const char *source, struct tm_err *err)
{
    struct tm_source_settings settings;
    struct tm_config *config = NULL;
    struct tm_properties properties = { NULL, 0 };
    const struct tm_station_flags flags = { .kafka_properties = run->kafka_properties };
    size_t keys_count;
    const struct tm_key *keys = tm_source_keys(&keys_count);
    enum tm_code rc = tm_config_load(&config, source, keys, keys_count, err);
    if (rc == TM_OK)
        rc = tm_source_settings_read(&settings, config, NULL, err);
    if (rc == TM_OK)
        rc = tm_command_properties(&properties, &flags, config, err);
    const struct tm_kafka_access access = { run->brokers_given,
                                            (const char *const *)properties.items, properties.count,
                                            REACH_MS };
    if (rc == TM_OK && reach_topics(run, &access, config, err) != TM_OK)
        rc = reach_mistaken(err, "--brokers");
    tm_properties_free(&properties);
    tm_config_close(config);
    return rc;
}

static enum tm_code reach_registry(const struct tm_run *run, struct tm_err *err)
{
    struct tm_http *http = NULL;
    struct tm_err why = { .code = TM_OK };
    char shown[256], url[600];
    size_t bytes = strlen(run->registry_given);
    int status = 0;
    tm_run_no_secret(shown, run->registry_given);
    if (bytes > 500)
        return tm_fail(err, TM_E_ARG, "--registry %.60s… is too long", shown);
    while (bytes > 0 && run->registry_given[bytes - 1] == '/')
        bytes--;
    snprintf(url, sizeof url, "%.*s/subjects", (int)bytes, run->registry_given);
    enum tm_code rc = tm_http_curl_open(&http, "tidemark-run/1", run->ca_path, err);
    if (rc != TM_OK)
        return rc;
    struct tm_http_reply reply;
    tm_http_reply_init(&reply);
    rc = tm_command_get(http, url, REACH_MS, &reply, &why);
    status = reply.status;
    tm_http_reply_free(&reply);
    http->ops->close(http);
    if (rc != TM_OK)
        return tm_fail(
            err, TM_E_ARG,
            "--registry: no schema registry answers at %s; is it running? Leave the flag "
            "out for the embedded one",
            shown);
    if (status != 200)
        return tm_fail(err, TM_E_ARG,
                       "--registry: %s/subjects answers %d; is it the address of a schema "
                       "registry, with user:password@ where it wants them?",
                       shown, status);
    return TM_OK;
}

enum tm_code tm_run_reach(struct tm_run *run, struct tm_err *err)
{
    const struct tm_run_pipeline *stream = NULL;
    for (size_t i = 0; i < run->pipelines_count; i++)
        if (run->pipelines[i].kind == TM_RUN_STREAM)
            stream = &run->pipelines[i];
    if (stream == NULL) /* nothing speaks to either */
        return TM_OK;
    if (run->registry_given != NULL && reach_registry(run, err) != TM_OK)
        return err->code;
    return run->brokers_given != NULL ? reach_brokers(run, stream->sources[0], err) : TM_OK;
}
