/* Planted faults on the wire: the built server, real sockets, raw bytes; the README's examples as
 * they stand; and a day of trouble that the streaming road and the best polling must survive. */
#include "tests/support_command.h"
#include "tests/support_wire.h"
#include <jansson.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#define DATA "/services/data/v59.0"

static struct world {
    struct tm_test_server server;
    struct tm_wire wire;
    char folder[200], client[64];
} world;

static int wire(struct world *w, const char *method, const char *path, const char *body)
{
    return tm_wire_ask(&w->wire, method, path, NULL, body);
}

static void plant(struct world *w, const char *rules)
{
    if (wire(w, "POST", "/tidemark/v1/faults", rules) != 200)
        fail_msg("%s: %s", rules, w->wire.raw);
}

static int64_t accounts(struct world *w)
{
    assert_int_equal(wire(w, "GET", DATA "/query?q=SELECT+count()+FROM+Account", NULL), 200);
    json_t *json = tm_wire_json(&w->wire);
    int64_t count = json_integer_value(json_object_get(json, "totalSize"));
    json_decref(json);
    return count;
}

static int world_serve(void **state)
{
    struct world *w = &world;
    (void)state;
    snprintf(w->folder, sizeof w->folder, "%s", tm_test_folder());
    w->server = tm_test_server_start("tidemark serve --port 0 --org %s/org.db --quiet", w->folder);
    tm_wire_init(&w->wire, w->server.line);
    return 0;
}

static int world_stop(void **state)
{
    (void)state;
    tm_test_server_stop(&world.server);
    tm_test_folder_remove(world.folder);
    tm_wire_free(&world.wire);
    return 0;
}

/* One server for all: every test signs in anew, and no rule of another is left. */
static int world_begin(void **state)
{
    struct world *w = &world;
    assert_int_equal(wire(w, "DELETE", "/tidemark/v1/faults", NULL), 200);
    tm_wire_sign_in(&w->wire);
    *state = w;
    return 0;
}

/* ---- the wire ---- */

static void a_dropped_request_gets_no_byte_and_does_nothing(void **state)
{
    struct world *w = *state;
    int64_t before = accounts(w);
    plant(w, "{\"drop_request\":{\"class\":\"write\",\"count\":1}}");
    assert_int_equal(wire(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}"), 0);
    assert_true(w->wire.closed);
    assert_int_equal(w->wire.bytes, 0);
    assert_int_equal(accounts(w), before);
}

static void a_dropped_answer_gets_no_byte_and_was_done(void **state)
{
    struct world *w = *state;
    int64_t before = accounts(w);
    plant(w, "{\"drop_answer\":{\"class\":\"write\",\"count\":1}}");
    assert_int_equal(wire(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"x\"}"), 0);
    assert_true(w->wire.closed);
    assert_int_equal(w->wire.bytes, 0);
    assert_int_equal(accounts(w), before + 1);
}

static void a_truncated_body_is_shorter_than_it_says_and_the_connection_ends(void **state)
{
    struct world *w = *state;
    plant(w, "{\"truncate_answer\":{\"class\":\"rest\",\"bytes\":20,\"count\":1}}");
    assert_int_equal(wire(w, "GET", DATA "/limits", NULL), 200);
    assert_true(w->wire.closed);
    assert_int_equal(w->wire.bytes,
                     (size_t)(strstr(w->wire.raw, "\r\n\r\n") + 4 - w->wire.raw) + 20);
    assert_true(strtol(strcasestr(w->wire.raw, "content-length:") + 15, NULL, 10) > 100);
    assert_int_equal(wire(w, "GET", DATA "/limits", NULL), 200);
    assert_false(w->wire.closed);
}

static void errors_are_whole_answers_of_their_status(void **state)
{
    struct world *w = *state;
    plant(w, "{\"request_limit\":{\"count\":1},\"server_error\":{\"class\":\"streaming\",\"count\":"
             "1}}");
    assert_int_equal(wire(w, "GET", DATA "/limits", NULL), 403);
    assert_non_null(strstr(w->wire.raw, "\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\""));
    assert_int_equal(wire(w, "POST", "/cometd/59.0", "[]"), 503);
    assert_non_null(strstr(w->wire.raw, "text/html"));
}

static void a_slow_answer_waits_while_others_are_served(void **state)
{
    struct world *w = *state;
    struct timeval begun, ended;
    plant(w, "{\"slow\":{\"class\":\"query\",\"delay\":\"300ms\",\"count\":1}}");
    gettimeofday(&begun, NULL);
    accounts(w);
    gettimeofday(&ended, NULL);
    assert_true((ended.tv_sec - begun.tv_sec) * 1000 + (ended.tv_usec - begun.tv_usec) / 1000 >=
                300);
}

static const char *say(struct world *w, const char *fmt, ...)
{
    char body[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(body, sizeof body, fmt, ap);
    va_end(ap);
    wire(w, "POST", "/cometd/59.0", body);
    return w->wire.raw;
}

#define CONNECT                                                                                    \
    "[{\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\",\"clientId\":\"%s\"}]"

static void follow(struct world *w)
{
    const char *id = strstr(say(w, "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\","
                                   "\"supportedConnectionTypes\":[\"long-polling\"]}]"),
                            "\"clientId\":\"");
    assert_non_null(id);
    snprintf(w->client, sizeof w->client, "%.*s", (int)strcspn(id + 12, "\""), id + 12);
    say(w, CONNECT, w->client);
    assert_non_null(strstr(say(w,
                               "[{\"channel\":\"/meta/subscribe\",\"subscription\":\"/data/"
                               "AccountChangeEvent\",\"clientId\":\"%s\"}]",
                               w->client),
                           "\"successful\":true"));
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

/* The socket breaks after the events were written: they come again. */
static void events_of_a_broken_poll_are_written_twice(void **state)
{
    struct world *w = *state;
    follow(w);
    plant(w, "{\"truncate_answer\":{\"class\":\"connect\",\"bytes\":1000000,\"count\":1}}");
    assert_int_equal(wire(w, "POST", DATA "/sobjects/Account", "{\"Name\":\"twice\"}"), 201);
    say(w, CONNECT, w->client);
    assert_true(w->wire.closed);
    assert_int_equal(count_of(w->wire.raw, "\"Name\":\"twice\""), 1);
    say(w, CONNECT, w->client);
    assert_false(w->wire.closed);
    assert_int_equal(count_of(w->wire.raw, "\"Name\":\"twice\""), 1);
}

static void a_forgotten_client_is_unknown_on_the_wire(void **state)
{
    struct world *w = *state;
    follow(w);
    plant(w, "{\"forget_clients\":{}}");
    assert_non_null(strstr(say(w, CONNECT, w->client), "403::Unknown client"));
    assert_non_null(strstr(w->wire.raw, "\"reconnect\":\"handshake\""));
}

static void the_clock_moves_on_and_what_was_due_happens(void **state)
{
    struct world *w = *state;
    plant(w, "{\"expire_tokens\":{\"at\":\"1h\"}}");
    assert_int_equal(wire(w, "GET", DATA "/limits", NULL), 200);
    assert_int_equal(wire(w, "POST", "/tidemark/v1/clock", "{\"advance\":\"73h\"}"), 200);
    assert_int_equal(wire(w, "GET", DATA "/limits", NULL), 401);
    assert_int_equal(wire(w, "POST", "/tidemark/v1/clock", "{\"advance\":\"-1h\"}"), 400);
    assert_int_equal(wire(w, "POST", "/tidemark/v1/clock", "{\"advnce\":\"1h\"}"), 400);
    assert_non_null(strstr(w->wire.raw, "did you mean"));
    assert_int_equal(wire(w, "POST", "/tidemark/v1/clock", "{\"advance\":\"4000d\"}"), 400);
}

/* ---- the README ---- */

/* Every ```sh block of the file, one after the other, as one script that stops at what fails. */
static void readme_script(const char *folder, const char *url)
{
    char line[2000], path[300];
    bool inside = false;
    FILE *from = fopen("mocks/salesforce/README.md", "r");
    assert_non_null(from);
    snprintf(path, sizeof path, "%s/readme.sh", folder);
    FILE *to = fopen(path, "w");
    fprintf(to, "set -eu\nURL=%s\n", url);
    while (fgets(line, sizeof line, from) != NULL)
        if (strncmp(line, "```", 3) == 0)
            inside = strncmp(line, "```sh", 5) == 0;
        else if (inside)
            fputs(line, to);
    fclose(from);
    fclose(to);
}

static void the_examples_of_the_readme_work_as_they_stand(void **state)
{
    struct world *w = *state;
    char command[700];
    readme_script(w->folder, w->server.line);
    snprintf(command, sizeof command, "timeout 60 sh -x %s/readme.sh >%s/readme.log 2>&1",
             w->folder, w->folder);
    int code = system(command);
    snprintf(command, sizeof command, "%s/readme.log", w->folder);
    FILE *f = fopen(command, "r");
    assert_non_null(f);
    static char log[1 << 20];
    log[fread(log, 1, sizeof log - 1, f)] = '\0';
    fclose(f);
    if (code != 0)
        fail_msg("%s", log);
    assert_true(count_of(log, "+ curl") >= 10);
}

/* ---- survival ---- */

/* Everything that strikes requests, all day; and what makes events and rows strange. */
static const char trouble[] =
    "{\"server_error\":[{\"at\":\"3m\",\"for\":\"90s\",\"probability\":0.5},"
    "{\"at\":\"14m\",\"count\":3,\"class\":\"query\"}],"
    "\"request_limit\":{\"at\":\"5m\",\"for\":\"40s\"},\"query_timeout\":{\"at\":\"8m\",\"count\":"
    "2},"
    "\"slow\":{\"at\":\"9m\",\"for\":\"2m\",\"delay\":\"1s\",\"probability\":0.3},"
    "\"drop_request\":{\"at\":\"10m\",\"for\":\"1m\",\"probability\":0.2},"
    "\"drop_answer\":{\"at\":\"11m\",\"for\":\"1m\",\"probability\":0.2},"
    "\"truncate_answer\":{\"at\":\"12m\",\"for\":\"2m\",\"probability\":0.3},"
    "\"repeat_events\":{\"probability\":0.2},"
    "\"streaming_busy\":{\"at\":\"5m\",\"for\":\"1m\",\"class\":\"streaming\"},"
    "\"expire_tokens\":{\"at\":\"4m\",\"every\":\"7m\"},"
    "\"forget_clients\":{\"at\":\"5m\",\"every\":\"6m\"},"
    "\"expire_events\":{\"at\":\"15m\"},\"purge_bin\":{\"at\":\"13m\"},"
    "\"late_rows\":{\"at\":\"16m\",\"for\":\"5m\",\"lag\":\"1m\"},"
    "\"held_transactions\":{\"probability\":0.05,\"hold\":\"4m\"},"
    "\"gap_events\":{\"at\":\"12m\",\"for\":\"5m\",\"probability\":0.3},"
    "\"merged_events\":{\"probability\":0.5},\"text_diffs\":{\"probability\":0.3}}";

static void trouble_scenario(const char *folder, char out[300])
{
    static const char *const beside[] = { "objects", "connectors", "batch" };
    char cwd[2048], from[2200], to[300];
    json_t *s = json_load_file("fixtures/scenarios/short.json", 0, NULL);
    json_t *workload = json_object_get(s, "workload"), *pipelines = json_object_get(s, "pipelines");
    assert_non_null(getcwd(cwd, sizeof cwd));
    json_object_set_new(s, "hours", json_real(0.4));
    json_object_set_new(workload, "records", json_integer(300));
    json_object_set_new(workload, "changes", json_integer(700));
    json_object_set_new(workload, "kinds",
                        json_loads("{\"update\":70,\"create\":8,\"delete\":4,\"undelete\":1,"
                                   "\"transaction\":6}",
                                   0, NULL));
    json_object_set_new(s, "faults", json_loads(trouble, 0, NULL));
    json_object_set_new(json_object_get(json_array_get(pipelines, 0), "set"), "view",
                        json_pack("{s:i}", "poll.interval.ms", 500));
    json_array_remove(pipelines, 3);
    json_array_remove(pipelines, 1);
    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s/fixtures/%s", cwd, beside[i]);
        snprintf(to, sizeof to, "%s/%s", folder, beside[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    snprintf(out, 300, "%s/scenarios", folder);
    assert_int_equal(mkdir(out, 0777), 0);
    snprintf(out, 300, "%s/scenarios/trouble.json", folder);
    assert_int_equal(json_dump_file(s, out, JSON_INDENT(1)), 0);
    json_decref(s);
}

static int64_t fault_rows(const char *folder, const char *what)
{
    char path[300], sql[200];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    snprintf(path, sizeof path, "%s/run/org.db", folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM fault WHERE what='%s'", what);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return count;
}

static void a_day_of_trouble_ends_equal_for_streaming_and_the_best_polling(void **state)
{
    struct world *w = *state;
    char scenario[300], path[300];
    size_t i;
    json_t *p;
    const char *kind;
    trouble_scenario(w->folder, scenario);
    struct tm_test_output o =
        tm_test_command(200, "tidemark simulate %s --out %s/run", scenario, w->folder);
    snprintf(path, sizeof path, "%s/run/report.json", w->folder);
    json_t *report = json_load_file(path, 0, NULL), *kinds = json_loads(trouble, 0, NULL);
    if (report == NULL || o.code != 0)
        fail_msg("exit %d\n%s\n%s", o.code, o.err, o.out);
    assert_int_equal(json_array_size(json_object_get(report, "pipelines")), 3);
    json_array_foreach(json_object_get(report, "pipelines"), i, p) assert_int_equal(
        json_integer_value(json_object_get(json_object_get(p, "drift"), "final_rows")), 0);
    json_object_foreach(kinds, kind, p) if (fault_rows(w->folder, kind) == 0)
        fail_msg("%s did not happen", kind);
    json_decref(report);
    json_decref(kinds);
    tm_test_output_free(&o);
}

#define TEST(f) cmocka_unit_test_setup(f, world_begin)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dropped_request_gets_no_byte_and_does_nothing),
        TEST(a_dropped_answer_gets_no_byte_and_was_done),
        TEST(a_truncated_body_is_shorter_than_it_says_and_the_connection_ends),
        TEST(errors_are_whole_answers_of_their_status),
        TEST(a_slow_answer_waits_while_others_are_served),
        TEST(events_of_a_broken_poll_are_written_twice),
        TEST(a_forgotten_client_is_unknown_on_the_wire),
        TEST(the_clock_moves_on_and_what_was_due_happens),
        TEST(the_examples_of_the_readme_work_as_they_stand),
        TEST(a_day_of_trouble_ends_equal_for_streaming_and_the_best_polling),
    };
    return cmocka_run_group_tests(tests, world_serve, world_stop);
}
