#include "run/resume.h"
#include "base/config.h"
#include "base/log.h"
#include "base/sql.h"
#include "base/text.h"
#include "sink/offsets.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESUME_FORMAT 1
#define RESUME_FILE_BYTES_MAX (256u << 20) /* this program is the largest of them */

static void resume_path(const struct tm_run *run, char out[TM_PATH_MAX], const char *file)
{
    snprintf(out, TM_PATH_MAX, "%.900s/%s", run->dir, file);
}

/* ---- who is at work in the folder ---- */

enum tm_code tm_resume_lock(const struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    resume_path(run, path, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644); /* until this process ends */
    if (fd < 0)
        return tm_fail(err, TM_E_ARG, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return TM_OK;
    close(fd);
    return tm_fail(err, TM_E_ARG,
                   "%s: a run is still at work in this folder; end it, or wait until it is done",
                   run->dir);
}

/* ---- what was read ---- */

static enum tm_code resume_digest(char out[20], const char *path, struct tm_err *err)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (f == NULL || fstat(fileno(f), &st) != 0 || st.st_size > RESUME_FILE_BYTES_MAX) {
        if (f != NULL)
            fclose(f);
        return tm_fail(err, TM_E_ARG, "%s cannot be read", path);
    }
    size_t bytes = (size_t)st.st_size;
    char *text = malloc(bytes + 1);
    bool read = text != NULL && fread(text, 1, bytes, f) == bytes;
    fclose(f);
    if (read)
        snprintf(out, 20, "%016" PRIx64, tm_hash64(text, bytes, 0));
    free(text);
    return read ? TM_OK : tm_fail(err, TM_E_IO, "%s cannot be read", path);
}

static void resume_digested(json_t *out, const char *path, struct tm_err *err)
{
    char digest[20];
    if (err->code != TM_OK || resume_digest(digest, path, err) != TM_OK)
        return;
    char *whole = realpath(path, NULL); /* the same from any folder */
    json_object_set_new(out, whole != NULL ? whole : path, json_string(digest));
    free(whole);
}

/* Scenario, configs, describes: path -> digest. NULL with *err set. */
static json_t *resume_inputs(const struct tm_run *run, struct tm_err *err)
{
    json_t *out = json_object();
    char path[TM_PATH_MAX + 160];
    resume_digested(out, run->scenario_path, err);
    for (size_t i = 0; i < run->pipelines_count; i++) {
        const struct tm_run_pipeline *p = &run->pipelines[i];
        for (size_t s = 0; s < p->sources_count; s++)
            resume_digested(out, p->sources[s], err);
        const char *const files[] = { p->gap, p->reconcile, p->sink, p->view, p->config };
        for (size_t f = 0; f < sizeof files / sizeof files[0]; f++)
            if (files[f][0] != '\0')
                resume_digested(out, files[f], err);
    }
    for (size_t i = 0; i < run->objects_count; i++) {
        snprintf(path, sizeof path, "%s/%.100s.json", run->objects_dir, run->objects[i]);
        resume_digested(out, path, err);
    }
    if (run->kafka_properties != NULL)
        resume_digested(out, run->kafka_properties, err);
    if (err->code == TM_OK)
        return out;
    json_decref(out);
    return NULL;
}

static enum tm_code resume_write(const struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX], part[TM_PATH_MAX + 8];
    resume_path(run, path, "run.json");
    snprintf(part, sizeof part, "%s.part", path);
    if (json_dump_file(run->kept, part, JSON_INDENT(1)) != 0 || rename(part, path) != 0)
        return tm_fail(err, TM_E_IO, "cannot write %s: %s", path, strerror(errno));
    return TM_OK;
}

/* A path that is good from any folder. */
static json_t *resume_absolute(const char *path)
{
    char *whole = path != NULL ? realpath(path, NULL) : NULL;
    json_t *out = whole != NULL ? json_string(whole) : json_null();
    free(whole);
    return out;
}

enum tm_code tm_resume_save(struct tm_run *run, struct tm_err *err)
{
    char program[20], shown[256];
    json_t *inputs = resume_inputs(run, err);
    if (inputs == NULL || resume_digest(program, "/proc/self/exe", err) != TM_OK) {
        json_decref(inputs);
        return tm_at(err, "what --resume will need to know");
    }
    /* without user:password@, which belongs in no file of ours */
    const char *registry =
        run->registry_given != NULL ? tm_run_no_secret(shown, run->registry_given) : NULL;
    run->kept = json_pack(
        "{s:i, s:s, s:o, s:o, s:I, s:s?, s:s?, s:o, s:o, s:s?, s:i, s:[], s:{}}", "format", RESUME_FORMAT,
        "program", program, "inputs", inputs, "scenario", resume_absolute(run->scenario_path),
        "seed", (json_int_t)run->seed, "brokers", run->brokers_given, "registry", registry,
        "kafka_properties", resume_absolute(run->kafka_properties), "ca_file",
        resume_absolute(run->ca_path), "cluster",
        run->brokers_given != NULL ? run->cluster.id : NULL, "broker_life", 0, "ended", "after");
    return run->kept != NULL ? resume_write(run, err) : tm_fail(err, TM_E_NOMEM, "run.json");
}

/* ---- reading it again ---- */

static const char *resume_text(const struct tm_run *run, const char *key)
{
    return json_string_value(json_object_get(run->kept, key));
}

/* Where the same broker, or registry, is by now: as it was, unless said anew. */
static enum tm_code resume_server(const char **given, const char *was, const char *flag,
                                  struct tm_err *err)
{
    if (*given != NULL && was == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s: this run was started on the embedded one; leave the flag (and "
                       "TIDEMARK_%s) out",
                       flag, strcmp(flag, "--brokers") == 0 ? "BROKERS" : "REGISTRY");
    if (*given == NULL && was != NULL && strstr(was, "://…@") != NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s: this run's was %s, and its password is kept nowhere; give the flag "
                       "again",
                       flag, was);
    *given = *given != NULL ? *given : was;
    return TM_OK;
}

static enum tm_code resume_unfinished(const struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    json_t *report = NULL;
    struct tm_err none = { .code = TM_OK };
    resume_path(run, path, "report.json");
    if (access(path, F_OK) != 0)
        return TM_OK;
    bool partial = tm_json_load(&report, path, &none) == TM_OK &&
                   json_is_true(json_object_get(report, "partial"));
    json_decref(report);
    return partial ? TM_OK
                   : tm_fail(err, TM_E_ARG,
                             "%s: this run has come to its end; its report is %s/report.html",
                             run->dir, run->dir);
}

enum tm_code tm_resume_load(struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX], program[20];
    struct tm_err why = { .code = TM_OK };
    resume_path(run, path, "run.json");
    if (access(path, F_OK) != 0)
        return tm_fail(err, TM_E_ARG,
                       "%s is no run that can be resumed: it has no run.json; --resume wants the "
                       "--out folder of a run",
                       run->dir);
    if (tm_resume_lock(run, err) != TM_OK)
        return err->code;
    if (tm_json_load(&run->kept, path, &why) != TM_OK ||
        json_integer_value(json_object_get(run->kept, "format")) != RESUME_FORMAT ||
        resume_text(run, "program") == NULL || resume_text(run, "scenario") == NULL)
        return tm_fail(err, TM_E_ARG, "%s is damaged, or of another tidemark", path);
    if (resume_unfinished(run, err) != TM_OK ||
        resume_digest(program, "/proc/self/exe", err) != TM_OK)
        return err->code;
    if (strcmp(program, resume_text(run, "program")) != 0)
        return tm_fail(err, TM_E_ARG,
                       "%s: this run was started by another build of tidemark; resume it with that "
                       "one, or start it anew",
                       run->dir);
    if (strlen(resume_text(run, "scenario")) >= sizeof run->scenario_path)
        return tm_fail(err, TM_E_ARG, "%s is damaged", path);
    strcpy(run->scenario_path, resume_text(run, "scenario"));
    run->seed = json_integer_value(json_object_get(run->kept, "seed"));
    run->kafka_properties = run->kafka_properties != NULL ? run->kafka_properties
                                                          : resume_text(run, "kafka_properties");
    run->ca_path = run->ca_path != NULL ? run->ca_path : resume_text(run, "ca_file");
    if (resume_server(&run->brokers_given, resume_text(run, "brokers"), "--brokers", err) == TM_OK)
        resume_server(&run->registry_given, resume_text(run, "registry"), "--registry", err);
    return err->code;
}

static enum tm_code resume_same(const struct tm_run *run, struct tm_err *err)
{
    json_t *now = resume_inputs(run, err), *was = json_object_get(run->kept, "inputs"), *digest;
    const char *path;
    if (now == NULL)
        return err->code;
    for (size_t i = 0; err->code == TM_OK && i < run->pipelines_count; i++)
        if (run->pipelines[i].kind == TM_RUN_EXTERNAL)
            tm_fail(err, TM_E_ARG,
                    "pipeline \"%s\" is external: what it keeps, and whether it can go on, nobody "
                    "here can know; a run with one cannot be resumed",
                    run->pipelines[i].name);
    json_object_foreach(now, path, digest)
    {
        if (err->code == TM_OK && !json_equal(digest, json_object_get(was, path)))
            tm_fail(err, TM_E_ARG,
                    "%s has changed since the run was started: the rest would be of another run; "
                    "restore it, or start anew",
                    path);
    }
    json_decref(now);
    return err->code;
}

/* ---- where the sources go on ---- */

static const char *resume_table(char out[200], const char *prefix, const char *object,
                                const char *suffix)
{
    char lower[128];
    tm_name_lower(lower, sizeof lower, object);
    snprintf(out, 200, "%s%.100s%s", prefix, lower, suffix);
    return out;
}

/* A position up to which every event of the object is in raw.db: the sink wrote a prefix of each
 * partition, and events are in order within one. -1: nothing is there. */
static int64_t resume_position(const struct tm_run *run, const char *object, int64_t epoch,
                               int life)
{
    char table[200], sql[700];
    resume_table(table, "sfdc_cdc_", object, "_raw");
    int first = life * TM_SINK_LIFE_PARTITIONS;
    snprintf(sql, sizeof sql,
             "SELECT CASE WHEN count(*) = %d THEN min(m) ELSE -1 END FROM (SELECT "
             "max(CAST(ReplayId AS INTEGER)) m FROM \"%s\" WHERE _epoch = %" PRId64
             " AND _partition BETWEEN %d AND %d GROUP BY _partition)",
             TM_RUN_PARTITIONS, table, epoch, first, first + TM_RUN_PARTITIONS - 1);
    int64_t all = tm_run_ask(run->raw_path, sql);
    if (all >= 0)
        return all;
    /* a partition without a row yet: not before where this life began, or before the first event */
    const json_t *began = json_object_get(json_object_get(run->kept, "after"), object);
    if (json_is_string(began))
        return strtoll(strchr(json_string_value(began), ':') + 1, NULL, 10);
    snprintf(sql, sizeof sql,
             "SELECT coalesce(min(CAST(ReplayId AS INTEGER)) - 1, -1) FROM \"%s\" WHERE _epoch = "
             "%" PRId64,
             table, epoch);
    return tm_run_ask(run->raw_path, sql);
}

static void resume_sources(struct tm_run *run)
{
    char table[200], sql[300], text[48];
    json_t *after = json_object();
    for (size_t i = 0; i < run->objects_count; i++) {
        snprintf(sql, sizeof sql, "SELECT coalesce(max(_epoch), 0) FROM \"%s\"",
                 resume_table(table, "sfdc_cdc_", run->objects[i], "_raw"));
        int64_t epoch = tm_run_ask(run->raw_path, sql);
        epoch = epoch > 0 ? epoch : 0;
        int64_t position = resume_position(run, run->objects[i], epoch, run->broker_life);
        snprintf(text, sizeof text, "%" PRId64 ":%" PRId64, epoch, position);
        json_object_set_new(after, run->objects[i], json_string(text));
    }
    json_object_set_new(run->kept, "after", after);
    run->broker_life++;
    json_object_set_new(run->kept, "broker_life", json_integer(run->broker_life));
}

bool tm_resume_after(const struct tm_run *run, const char *object, char out[48])
{
    const char *text =
        json_string_value(json_object_get(json_object_get(run->kept, "after"), object));
    snprintf(out, 48, "%s", text != NULL ? text : "");
    return text != NULL;
}

bool tm_resume_copied(const struct tm_run *run)
{
    for (size_t i = 0; run->brokers_given == NULL && i < run->objects_count; i++) {
        char table[200], sql[400];
        int first = run->broker_life * TM_SINK_LIFE_PARTITIONS;
        snprintf(sql, sizeof sql,
                 "SELECT count(DISTINCT _partition) FROM \"%s\" WHERE _kind = 'end' AND "
                 "_partition BETWEEN %d AND %d",
                 resume_table(table, "sfdc_recon_", run->objects[i], ""), first,
                 first + TM_RUN_PARTITIONS - 1);
        if (tm_run_ask(run->raw_path, sql) < TM_RUN_PARTITIONS)
            return false;
    }
    return true;
}

int64_t tm_resume_again(const struct tm_run *run, int life)
{
    int64_t rows = 0;
    for (size_t i = 0; i < run->objects_count; i++) {
        char table[200], sql[700];
        int first = life * TM_SINK_LIFE_PARTITIONS;
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM \"%s\" a WHERE _partition BETWEEN %d AND %d AND "
                 "CAST(ReplayId AS INTEGER) <= (SELECT max(CAST(ReplayId AS INTEGER)) FROM \"%s\" "
                 "WHERE _partition < %d AND _epoch = a._epoch)",
                 resume_table(table, "sfdc_cdc_", run->objects[i], "_raw"), first,
                 first + TM_SINK_LIFE_PARTITIONS - 1, table, first);
        int64_t n = tm_run_ask(run->raw_path, sql);
        rows += n > 0 ? n : 0;
    }
    return rows;
}

/* ---- going on ---- */

const char *tm_resume_how(const struct tm_run *run, size_t pause, int *out_life)
{
    const json_t *one = json_array_get(json_object_get(run->kept, "ended"), pause);
    const char *how = json_string_value(json_object_get(one, "how"));
    *out_life = (int)json_integer_value(json_object_get(one, "broker_life"));
    return how != NULL ? how : "killed";
}

/* What an earlier life left that would be taken for this one's. Its report said that it is partial,
 * and will be made anew. */
static void resume_tidy(const struct tm_run *run)
{
    static const char *const files[] = { "report.json",   "report.html",      "report.md",
                                         "junit.xml",     "measures.json",    "log/kafka.out",
                                         "log/serve.out", "log/registry.out", "log/witness.out" };
    char path[TM_PATH_MAX];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        resume_path(run, path, files[i]);
        (void)unlink(path);
    }
}

/* The last instant that anything durable knows of: a commit of the org, a poll, a look of the
 * witness. Org time may not fall behind what anybody has met. */
static int64_t resume_last_ns(const struct tm_run *run)
{
    char journal[TM_PATH_MAX];
    resume_path(run, journal, "witness.db");
    int64_t last = tm_run_ask(run->org_path,
                              "SELECT coalesce(max(actual_ns), 0) FROM history WHERE pos > (SELECT "
                              "max(pos) FROM history) - 1000");
    int64_t look = tm_run_ask(journal, "SELECT coalesce(max(last_ns), 0) FROM state");
    last = look > last ? look : last;
    for (size_t i = 0; i < run->pipelines_count; i++) {
        if (run->pipelines[i].kind != TM_RUN_BATCH)
            continue;
        int64_t poll =
            tm_run_ask(run->pipelines[i].database, "SELECT max(coalesce(max(started_ns), 0), "
                                                   "coalesce(max(finished_ns), 0)) FROM _polls");
        last = poll > last ? poll : last;
    }
    return last;
}

enum tm_code tm_resume_begin(struct tm_run *run, struct tm_err *err)
{
    char path[TM_PATH_MAX];
    struct tm_clock_map first;
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    if (resume_same(run, err) != TM_OK)
        return err->code;
    resume_path(run, path, "report.json");
    const char *how = access(path, F_OK) == 0 ? "interrupted" : "killed";
    struct tm_err why = { .code = TM_OK };
    enum tm_code rc = tm_clock_file_resume(&run->clock, run->clock_path, resume_last_ns(run), &why);
    if (rc == TM_E_ARG)
        return tm_fail(err, rc,
                       "%s: the run had not come so far that there is anything to go on with: its "
                       "org was not at work yet; start it anew",
                       run->dir);
    if (rc == TM_E_MISMATCH)
        return tm_fail(
            err, TM_E_ARG,
            "%s: the machine was started anew since, and instants of another boot cannot "
            "be compared with today's; start the run anew",
            run->dir);
    if (rc != TM_OK) {
        *err = why;
        return rc;
    }
    size_t count = tm_clock_file_history(run->clock, &first, pauses);
    json_t *ended = json_object_get(run->kept, "ended");
    run->broker_life = (int)json_integer_value(json_object_get(run->kept, "broker_life"));
    if (run->brokers_given == NULL)
        resume_sources(run);
    if (json_array_size(ended) == count) { /* the last try did not come to its start */
        json_object_set_new(json_array_get(ended, count - 1), "broker_life",
                            json_integer(run->broker_life));
    } else {
        json_array_append_new(ended,
                              json_pack("{s:s, s:i}", "how", how, "broker_life", run->broker_life));
    }
    resume_tidy(run);
    rc = resume_write(run, err);
    if (rc == TM_OK)
        tm_log(TM_LOG_INFO, "goes on with %s, which was %s %.1f s ago", run->dir, how,
               (double)(tm_clock_monotonic_ns() - pauses[count - 1].from_ns) / 1e9);
    return rc;
}
