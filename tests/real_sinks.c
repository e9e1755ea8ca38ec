/* Sinks on a real broker: processes of one group share the partitions, each into a file of its own,
 * and one of them dies; another group sees everything for itself; and stored offsets hold for the
 * cluster they are of. */
#include "base/sql.h"
#include "event/avro.h"
#include "support_command.h"
#include "support_real.h"
#include "topic/registry.h"
#include "topic/topic.h"
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PARTITIONS 6
#define FIRST 3000  /* records before a sink dies */
#define SECOND 3000 /* and after */
#define THIRD 4000  /* more than fits on the small disk */
#define PATIENCE_MS 60000
#define SCHEMA                                                                                     \
    "{\"type\":\"record\",\"name\":\"Tide\",\"namespace\":\"real\",\"fields\":[{\"name\":\"Id\","  \
    "\"type\":\"string\"},{\"name\":\"N\",\"type\":\"long\"}]}"

static char folder[64], topic[80], table[80];

static int setup(void **state)
{
    char config[512];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    snprintf(topic, sizeof topic, "real.sinks.%d", (int)getpid());
    snprintf(table, sizeof table, "real_sinks_%d", (int)getpid());
    for (int g = 0; g < 4; g++) {
        static const char *const names[] = { "billing.json", "assignment.json", "disk.json",
                                             "page.json" };
        snprintf(config, sizeof config,
                 "{\"topics\": \"%s\", \"sanitize.topics\": true, \"auto.create.tables\": true, "
                 "\"group.id\": \"%.4s-%d\", \"tidemark.partitions\": %d, \"tasks.max\": \"2\"}",
                 topic, names[g], (int)getpid(), PARTITIONS);
        tm_test_write_file(folder, names[g], config);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (getenv("TIDEMARK_KEEP") == NULL)
        tm_test_folder_remove(folder);
    return 0;
}

/* ---- what is written ---- */

struct writer {
    struct tm_topic *topic;
    struct tm_http *http;
    struct tm_registry *registry;
    struct tm_avro_schema *schema;
    int32_t schema_id;
};

static void writer_open(struct writer *w, const char *brokers)
{
    struct tm_err err = { .code = TM_OK };
    char subject[100];
    enum tm_code rc;
    const char *topics[] = { topic };
    const struct tm_kafka_options options = { .brokers = brokers };
    const struct tm_kafka_access access = { .brokers = brokers, .timeout_ms = 15000 };
    const struct tm_topics_plan plan = {
        .topics = topics, .topics_count = 1, .partitions = PARTITIONS, .replication = 1
    };
    if (tm_topic_kafka_ensure(&access, &plan, &err) != TM_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(tm_avro_schema_parse(&w->schema, SCHEMA, strlen(SCHEMA), &err), TM_OK);
    assert_int_equal(tm_http_curl_open(&w->http, "test", NULL, &err), TM_OK);
    assert_int_equal(tm_registry_open(&w->registry, w->http, getenv("TIDEMARK_REGISTRY"), &err),
                     TM_OK);
    snprintf(subject, sizeof subject, "%s-value", topic);
    do {
        struct tm_now now = tm_clock_now(NULL);
        rc = tm_registry_register(w->registry, &now, &w->schema_id, subject, SCHEMA, &err);
        if (rc == TM_E_AGAIN)
            (void)tm_http_curl_wait(w->http, NULL, 0, 20 * TM_NS_PER_MS, &err);
    } while (rc == TM_E_AGAIN);
    if (rc != TM_OK || tm_topic_kafka_open(&w->topic, &options, &err) != TM_OK)
        fail_msg("%s", err.msg);
}

static void writer_close(struct writer *w)
{
    w->topic->ops->close(w->topic);
    tm_registry_close(w->registry);
    w->http->ops->close(w->http);
    tm_avro_schema_close(w->schema);
}

static void writer_wait(struct writer *w)
{
    struct pollfd fd = { .fd = w->topic->ops->event_fd(w->topic), .events = POLLIN };
    poll(&fd, 1, 5);
}

static void write_records(struct writer *w, int first, int count)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_buf value;
    enum tm_code rc = TM_OK;
    tm_buf_init(&value, 1 << 16);
    for (int n = first; n < first + count; n++) {
        char id[20];
        snprintf(id, sizeof id, "006%015d", n % 97);
        const struct tm_value values[] = { { .kind = TM_V_TEXT, .as.t = { id, 18 } },
                                           { .kind = TM_V_INT, .as.i = n } };
        tm_buf_reset(&value);
        assert_int_equal(tm_avro_encode(w->schema, w->schema_id, &value, values, 2, &err), TM_OK);
        while ((rc = w->topic->ops->produce(w->topic, topic, -1, id, 18, value.data, value.bytes,
                                            &err)) == TM_E_AGAIN)
            writer_wait(w);
        if (rc != TM_OK)
            fail_msg("%s", err.msg);
    }
    while ((rc = w->topic->ops->flush(w->topic, &err)) == TM_E_AGAIN)
        writer_wait(w);
    if (rc != TM_OK)
        fail_msg("%s", err.msg);
    tm_buf_free(&value);
}

/* ---- who reads ---- */

static pid_t sink_start(const char *config, const char *file, const char *brokers)
{
    char config_path[128], path[128], log[128];
    snprintf(config_path, sizeof config_path, "%s/%s", folder, config);
    snprintf(path, sizeof path, "%s/%s.db", folder, file);
    const char *slash = strrchr(file, '/'); /* its words go beside a disk of its own */
    snprintf(log, sizeof log, "%s/%s.log", folder, slash != NULL ? slash + 1 : file);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen(log, "a", stderr) == NULL)
            _exit(1);
        execl(tm_test_binary(), "tidemark", "sink", config_path, "--warehouse", path, "--brokers",
              brokers, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int sink_end(pid_t pid, int signal)
{
    int status = 0;
    kill(pid, signal);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* One number over both files, the second as `b`; -1 while there is no such table. `sql` has %1$s
 * for the table. */
static int64_t count_in(const char *file, const char *other, const char *sql)
{
    struct tm_err err = { .code = TM_OK };
    char path[128], text[1024];
    sqlite3 *db = NULL;
    int64_t n = -1;
    snprintf(path, sizeof path, "%s/%s.db", folder, file);
    if (tm_sql_open(&db, path, TM_SQL_READ, &err) == TM_OK && other != NULL) {
        snprintf(text, sizeof text, "ATTACH '%s/%s.db' AS b", folder, other);
        (void)tm_sql_exec(db, text, &err);
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, sql, table);
#pragma GCC diagnostic pop
    if (err.code != TM_OK || tm_sql_int64(&n, db, text, &err) != TM_OK)
        n = -1;
    tm_sql_close(db);
    return n;
}

static void wait_count(const char *file, const char *other, const char *sql, int64_t wanted)
{
    int64_t n = -1;
    for (int ms = 0; ms < PATIENCE_MS && n != wanted; ms += 100) {
        n = count_in(file, other, sql);
        if (n != wanted)
            tm_test_pause(100);
    }
    if (n != wanted)
        fail_msg("%s: %" PRId64 ", not %" PRId64 ": %s", file, n, wanted, sql);
}

#define ROWS "SELECT count(*) FROM \"%1$s\""
#define PARTS "SELECT count(DISTINCT _partition) FROM \"%1$s\""
#define UNION                                                                                      \
    "SELECT count(DISTINCT N) FROM (SELECT N FROM main.\"%1$s\" UNION SELECT N FROM b.\"%1$s\")"
/* one position holds one and the same record in whichever file it stands */
#define CONFLICTS                                                                                  \
    "SELECT count(*) FROM main.\"%1$s\" JOIN b.\"%1$s\" AS o USING (_partition,_offset) WHERE "    \
    "main.\"%1$s\".N<>o.N"
#define TWICE "SELECT count(*)-count(DISTINCT N) FROM \"%1$s\""

static void a_group_over_two_processes_loses_nothing_when_one_dies(void **state)
{
    const char *brokers = getenv("TIDEMARK_BROKERS");
    struct writer w;
    (void)state;
    pid_t other = sink_start("assignment.json", "assignment", brokers);
    pid_t left = sink_start("billing.json", "left", brokers);
    pid_t right = sink_start("billing.json", "right", brokers);
    writer_open(&w, brokers);
    /* Sharing begins when both are in: until then what comes goes to whoever is. */
    int written = 0;
    for (int ms = 0; ms < PATIENCE_MS && (count_in("left", NULL, PARTS) < 1 ||
                                          count_in("right", NULL, PARTS) < 1 || written < FIRST);
         ms += 100) {
        write_records(&w, written, 100);
        written += 100;
        tm_test_pause(100);
    }
    wait_count("left", "right", UNION, written);
    assert_true(count_in("left", NULL, PARTS) >= 1);
    assert_true(count_in("right", NULL, PARTS) >= 1);
    write_records(&w, written, SECOND / 2);
    assert_int_equal(sink_end(left, SIGKILL), 128 + SIGKILL);
    write_records(&w, written + SECOND / 2, SECOND / 2);
    written += SECOND;
    /* What the dead one had was taken over from its beginning: this file alone has it all. */
    wait_count("right", NULL, ROWS, written);
    assert_int_equal(count_in("right", NULL, PARTS), PARTITIONS);
    assert_int_equal(count_in("right", NULL, TWICE), 0);
    assert_int_equal(count_in("left", NULL, TWICE), 0);
    assert_int_equal(count_in("left", "right", CONFLICTS), 0);
    /* The other service's group has seen every record once, whoever died elsewhere. */
    wait_count("assignment", NULL, ROWS, written);
    assert_int_equal(count_in("assignment", NULL, TWICE), 0);
    /* The dead one comes back to its file and takes its share: nothing stands there twice. */
    left = sink_start("billing.json", "left", brokers);
    write_records(&w, written, FIRST);
    written += FIRST;
    wait_count("left", "right", UNION, written);
    assert_int_equal(count_in("left", NULL, TWICE), 0);
    assert_int_equal(count_in("left", "right", CONFLICTS), 0);
    assert_int_equal(sink_end(left, SIGTERM), 0);
    assert_int_equal(sink_end(right, SIGTERM), 0);
    assert_int_equal(sink_end(other, SIGTERM), 0);
    writer_close(&w);
}

static void offsets_of_another_cluster_are_an_error_never_a_jump(void **state)
{
    struct tm_test_broker broker;
    struct writer w;
    char command[64];
    const char *const words[] = { "was filled from Kafka cluster", "another cluster", NULL };
    (void)state;
    tm_test_broker_new(&broker, folder);
    tm_test_broker_start(&broker);
    pid_t sink = sink_start("billing.json", "moved", broker.address);
    wait_count("moved", NULL, "SELECT count(*) FROM sqlite_master WHERE name='_offsets'", 1);
    writer_open(&w, broker.address);
    write_records(&w, 0, 10);
    wait_count("moved", NULL, ROWS, 10);
    assert_int_equal(sink_end(sink, SIGTERM), 0);
    writer_close(&w);
    /* Killed and started again it is the same cluster … */
    tm_test_broker_kill(&broker);
    tm_test_broker_start(&broker);
    sink = sink_start("billing.json", "moved", broker.address);
    writer_open(&w, broker.address);
    write_records(&w, 10, 10);
    wait_count("moved", NULL, ROWS, 20);
    assert_int_equal(sink_end(sink, SIGTERM), 0);
    writer_close(&w);
    /* … and formatted anew, at the same address, it is not. */
    tm_test_broker_kill(&broker);
    snprintf(command, sizeof command, "rm -rf %.40s/broker", folder);
    assert_int_equal(system(command), 0);
    tm_test_broker_start(&broker);
    tm_test_refused(64, words, 60,
                    "tidemark sink %s/billing.json --warehouse %s/moved.db --brokers %s", folder,
                    folder, broker.address);
    assert_int_equal(count_in("moved", NULL, ROWS), 20);
    tm_test_broker_kill(&broker);
}

/* ---- disks ---- */

static bool said(const char *file, const char *word)
{
    char command[200];
    snprintf(command, sizeof command, "grep -q '%s' %s/%s.log", word, folder, file);
    return system(command) == 0;
}

/* Its exit code, when it ends by itself. */
static int sink_ends(pid_t pid)
{
    int status = 0;
    for (int ms = 0; ms < PATIENCE_MS; ms += 100) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        tm_test_pause(100);
    }
    fail_msg("the sink goes on");
    return -1;
}

static void small_disk(const char *how, bool must)
{
    char command[200];
    snprintf(command, sizeof command, "mount -t tmpfs -o %s tmpfs %s/small 2>/dev/null", how,
             folder);
    int code = system(command);
    if (must)
        assert_int_equal(code, 0);
    else if (code != 0)
        skip();
}

/* Where nobody may mount, it is skipped. */
static void a_full_and_a_read_only_disk_stop_the_sink_and_lose_nothing(void **state)
{
    const char *brokers = getenv("TIDEMARK_BROKERS");
    char command[200];
    struct writer w;
    (void)state;
    snprintf(command, sizeof command, "mkdir -p %s/small", folder);
    assert_int_equal(system(command), 0);
    small_disk("size=300k", false);
    writer_open(&w, brokers);
    pid_t sink = sink_start("disk.json", "small/raw", brokers);
    write_records(&w, 100000, THIRD);
    assert_int_equal(sink_ends(sink), 2);
    assert_true(said("raw", "database or disk is full"));
    small_disk("remount,ro,size=64m", true);
    int64_t before = count_in("small/raw", NULL, ROWS);
    assert_int_not_equal(sink_ends(sink_start("disk.json", "small/raw", brokers)), 0);
    small_disk("remount,rw,size=64m", true);
    assert_int_equal(count_in("small/raw", NULL, ROWS), before);
    sink = sink_start("disk.json", "small/raw", brokers);
    wait_count("small/raw", NULL, "SELECT count(DISTINCT N) FROM \"%1$s\" WHERE N>=100000", THIRD);
    assert_int_equal(count_in("small/raw", NULL, TWICE), 0);
    assert_int_equal(sink_end(sink, SIGTERM), 0);
    snprintf(command, sizeof command, "umount -l %s/small", folder);
    assert_int_equal(system(command), 0);
    writer_close(&w);
}

static void a_file_whose_last_page_is_garbage_is_not_written_on_and_can_be_read_anew(void **state)
{
    const char *brokers = getenv("TIDEMARK_BROKERS");
    char command[400];
    struct writer w;
    (void)state;
    writer_open(&w, brokers);
    write_records(&w, 200000, 500);
    pid_t sink = sink_start("page.json", "page", brokers);
    wait_count("page", NULL, "SELECT count(DISTINCT N) FROM \"%1$s\" WHERE N>=200000", 500);
    assert_int_equal(sink_end(sink, SIGTERM), 0);
    snprintf(command, sizeof command,
             "f=%s/page.db; test ! -s $f-wal && n=$(($(stat -c %%s $f) / 4096 - 1)) && "
             "head -c 4096 /dev/urandom | dd of=$f bs=4096 seek=$n conv=notrunc 2>/dev/null",
             folder);
    assert_int_equal(system(command), 0);
    sink = sink_start("page.json", "page", brokers);
    write_records(&w, 200500, 500);
    int code = sink_ends(sink);
    snprintf(command, sizeof command, "cat %s/page.log >&2", folder);
    if (code == 0 || !said("page", "malformed"))
        fail_msg("exit %d, %d", code, system(command));
    snprintf(command, sizeof command, "rm %s/page.db*", folder);
    assert_int_equal(system(command), 0);
    sink = sink_start("page.json", "page", brokers);
    wait_count("page", NULL, "SELECT count(DISTINCT N) FROM \"%1$s\" WHERE N>=200000", 1000);
    assert_int_equal(count_in("page", NULL, TWICE), 0);
    assert_int_equal(sink_end(sink, SIGTERM), 0);
    writer_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_over_two_processes_loses_nothing_when_one_dies),
        cmocka_unit_test(a_full_and_a_read_only_disk_stop_the_sink_and_lose_nothing),
        cmocka_unit_test(a_file_whose_last_page_is_garbage_is_not_written_on_and_can_be_read_anew),
        cmocka_unit_test(offsets_of_another_cluster_are_an_error_never_a_jump),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
