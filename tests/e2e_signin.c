/* `tidemark serve` as somebody meets it who brings a client: what it prints is pasted into a shell,
 * HTTPS with its own authority, sessions over a restart. */
#include "salesforce/session.h"
#include "tests/support_command.h"
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#define WAIT_S_MAX 30
#define NAMES "integration@tidemark.example"

struct world {
    struct tm_test_server server;
    char folder[200], ca[260];
    char out[TM_TEST_OUTPUT_MAX]; /* of the last shell */
};

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    snprintf(w->folder, sizeof w->folder, "%s", tm_test_folder());
    snprintf(w->ca, sizeof w->ca, "%s/org.db.ca.pem", w->folder);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;
    if (w->server.pid > 0)
        tm_test_server_stop(&w->server);
    tm_test_folder_remove(w->folder);
    free(w);
    return 0;
}

static void serve(struct world *w, const char *more)
{
    w->server = tm_test_server_start("tidemark serve --org %s/org.db %s", w->folder, more);
}

static void read_file(const char *path, char *out, size_t out_bytes)
{
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(out, 1, out_bytes - 1, f) : 0;
    out[n] = '\0';
    if (f != NULL)
        fclose(f);
}

/* Runs a script in the world's folder; its exit code. Both its outputs are in w->out. */
static int shell(struct world *w, const char *script)
{
    char line[600];
    tm_test_write_file(w->folder, "script.sh", script);
    snprintf(line, sizeof line, "cd %s && timeout -k 5 60 sh script.sh >shell.out 2>&1 </dev/null",
             w->folder);
    int status = system(line);
    snprintf(line, sizeof line, "%s/shell.out", w->folder);
    read_file(line, w->out, sizeof w->out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What serve printed from the line that begins with `from` to before the one that begins with
 * `to`. */
static char *printed(const struct world *w, const char *from, const char *to)
{
    static char text[1 << 16];
    char all[1 << 16], start[80], stop[80];
    read_file(w->server.log_path, all, sizeof all);
    snprintf(start, sizeof start, "\n%s", from);
    snprintf(stop, sizeof stop, "\n%s", to);
    char *at = strstr(all, start), *end = at != NULL ? strstr(at, stop) : NULL;
    if (end == NULL)
        fail_msg("serve did not print \"%s\" before \"%s\":\n%s", from, to, all);
    *end = '\0';
    snprintf(text, sizeof text, "%s\n", at + 1);
    return text;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
        n++;
    return n;
}

static void the_printed_curl_example_works_when_pasted(void **state)
{
    static const char *const more[] = {
        "",
        "--tls",
        "--password 'p & \"w'\\''$HOME `x` \\\\ é%41' --username \"o'neil+a@tide.example\"",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        serve(w, more[i]);
        int code = shell(w, printed(w, "# curl", "# Python"));
        if (code != 0 || count(w->out, "\"totalSize\":3") != 1 ||
            count(w->out, "<success>true</success>") != 1 ||
            count(w->out, "\"event\":\"DELETE\"") != 1 ||
            count(w->out, "\"event\":\"UNDELETE\"") != 1 || count(w->out, "\"pos_last\":") != 1)
            fail_msg("exit %d:\n%s", code, w->out);
        assert_int_equal(tm_test_server_stop(&w->server), 0);
    }
}

/* The client itself is tried in `make test-clients`; here only that Python can read it. */
static void the_printed_python_example_is_python(void **state)
{
    struct world *w = *state;
    if (system("python3 -c 0 2>/dev/null") != 0)
        skip();
    serve(w, "--tls --password 'p & \"w'\\''$HOME `x` \\\\ é%41'");
    char script[1 << 16];
    char *text = printed(w, "# Python", "# connector");
    char *code = strstr(text, "<<'END'\n");
    assert_non_null(code);
    snprintf(script, sizeof script,
             "cat >e.py <<'END'\n%s"
             "python3 -c 'import ast; t = ast.parse(open(\"e.py\").read()); print(ast.dump(t))'\n",
             code + strlen("<<'END'\n"));
    assert_int_equal(shell(w, script), 0);
    assert_non_null(strstr(w->out, "org.db.ca.pem"));
}

static void the_printed_connector_streams_over_tls(void **state)
{
    struct world *w = *state;
    char script[4096];
    serve(w, "--tls");
    assert_int_equal(shell(w, printed(w, "# connector", "# then")), 0);
    struct tm_test_server registry = tm_test_server_start("tidemark registry");
    struct tm_test_server broker = tm_test_server_start(
        "tidemark kafka --topics sfdc.cdc.account_raw:1,alerts.sfdc.account_gap_events:1,"
        "tidemark.offsets:1");
    /* commits until the source says that it has produced: before it subscribed, none counts */
    snprintf(script, sizeof script,
             "T=%s; case $T in /*) ;; *) T=%s/$T;; esac\n"
             "$T source account.json --embedded --brokers %s --registry %s --ca-file %s "
             "--stats stats.json & P=$!\n"
             "n=0\nuntil grep -q '\"produced\":[1-9]' stats.json 2>/dev/null; do\n"
             "  n=$((n + 1)); [ $n -lt 100 ] || { kill $P; exit 1; }\n"
             "  curl -sS --cacert %s %s/tidemark/v1/commit -d '{\"changes\":[{\"change\":"
             "\"create\",\"object\":\"Account\",\"fields\":{\"Name\":\"Tide Ltd\"}}]}'\n"
             "  sleep 0.3\ndone\nkill $P; wait $P; exit $?\n",
             tm_test_binary(), getenv("PWD"), broker.line, registry.line, w->ca, w->ca,
             w->server.line);
    int code = shell(w, script);
    if (code != 0)
        fail_msg("exit %d:\n%s", code, w->out);
    tm_test_server_stop(&broker);
    tm_test_server_stop(&registry);
}

/* ---- TLS ---- */

static enum tm_code sign_in(const struct world *w, const char *url, const char *ca,
                            struct tm_err *err)
{
    struct tm_http *http = NULL;
    struct tm_sf_session *session = NULL;
    struct tm_sf_settings settings = { .instance = url,
                                       .username = NAMES,
                                       .password = "tidemark",
                                       .password_token = "TOKEN",
                                       .consumer_key = "tidemark-consumer-key",
                                       .consumer_secret = "tidemark-consumer-secret",
                                       .auth_retry_ns_max = 1,
                                       .seed = 1 };
    int64_t until_ns = tm_clock_monotonic_ns() + WAIT_S_MAX * TM_NS_PER_S;
    (void)w;
    assert_int_equal(tm_http_curl_open(&http, "tidemark-test/1", ca, err), TM_OK);
    enum tm_code rc = tm_sf_session_open(&session, http, &settings, err);
    while (rc == TM_OK || rc == TM_E_AGAIN) {
        struct tm_now now = tm_clock_now(NULL);
        rc = tm_sf_session_ready(session, &now, err);
        if (rc != TM_E_AGAIN)
            break;
        assert_true(now.wall_ns < until_ns);
        assert_int_equal(tm_http_curl_wait(http, NULL, 0, 20 * TM_NS_PER_MS, NULL), TM_OK);
    }
    if (rc == TM_OK)
        assert_string_equal(tm_sf_session_url(session), url);
    tm_sf_session_close(session);
    http->ops->close(http);
    return rc;
}

static void who_has_the_authority_signs_in_by_https_and_nobody_else(void **state)
{
    struct world *w = *state;
    struct tm_err err = { .code = TM_OK };
    char before[4096], after[4096], other[300], localhost[300];
    struct stat key;
    serve(w, "--tls --quiet");
    assert_memory_equal(w->server.line, "https://127.0.0.1:", 18);
    assert_int_equal(sign_in(w, w->server.line, w->ca, &err), TM_OK);
    snprintf(localhost, sizeof localhost, "https://localhost%s", w->server.line + 17);
    assert_int_equal(sign_in(w, localhost, w->ca, &err), TM_OK);
    assert_int_equal(sign_in(w, w->server.line, NULL, &err), TM_E_IO);
    assert_non_null(strstr(err.msg, "certificate"));
    snprintf(other, sizeof other, "%s/org.db.ca.key", w->folder);
    assert_int_equal(stat(other, &key), 0);
    assert_int_equal(key.st_mode & 0777, 0600);
    read_file(w->ca, before, sizeof before);
    assert_int_equal(tm_test_server_stop(&w->server), 0);
    serve(w, "--tls --quiet");
    read_file(w->ca, after, sizeof after);
    assert_string_equal(before, after);
    assert_int_equal(sign_in(w, w->server.line, w->ca, &err), TM_OK);
    assert_int_equal(tm_test_server_stop(&w->server), 0);
    assert_int_equal(remove(w->ca), 0); /* lost: a new one is made, and the old is not trusted */
    tm_test_write_file(w->folder, "old.pem", before);
    serve(w, "--tls --quiet");
    snprintf(other, sizeof other, "%s/old.pem", w->folder);
    tm_err_clear(&err);
    assert_int_equal(sign_in(w, w->server.line, other, &err), TM_E_IO);
    assert_int_equal(sign_in(w, w->server.line, w->ca, &err), TM_OK);
}

static void salesforces_own_names_are_served_and_told_back(void **state)
{
    static const char *const hosts[] = { "login.salesforce.com", "test.salesforce.com",
                                         "tide.my.salesforce.com", "na1.salesforce.com",
                                         "mock.internal" };
    struct world *w = *state;
    char script[1024], want[200];
    serve(w, "--tls --tls-names mock.internal --quiet");
    const char *port = strrchr(w->server.line, ':') + 1;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(script, sizeof script,
                 "curl -sS --cacert org.db.ca.pem --connect-to %s:443:127.0.0.1:%s "
                 "https://%s/services/oauth2/token -d grant_type=client_credentials -d "
                 "client_id=tidemark-consumer-key -d client_secret=tidemark-consumer-secret\n",
                 hosts[i], port, hosts[i]);
        assert_int_equal(shell(w, script), 0);
        snprintf(want, sizeof want, "\"instance_url\":\"https://%s\"", hosts[i]);
        assert_non_null(strstr(w->out, want));
    }
    snprintf(script, sizeof script,
             "curl -sS --cacert org.db.ca.pem --connect-to evil.example:443:127.0.0.1:%s "
             "https://evil.example/\n",
             port);
    assert_int_equal(shell(w, script), 60);
}

static void a_broken_authority_is_refused_by_the_name_of_its_file(void **state)
{
    struct world *w = *state;
    char org[300];
    serve(w, "--tls --quiet");
    tm_test_server_stop(&w->server);
    snprintf(org, sizeof org, "%s/org.db", w->folder);
    tm_test_write_file(w->folder, "org.db.ca.key", "nonsense");
    tm_test_refused(64, (const char *const[]){ "org.db.ca.key", "remove it", NULL }, 20,
                    "tidemark serve --tls --org %s", org);
    tm_test_write_file(w->folder, "org.db.ca.pem", "nonsense");
    tm_test_refused(64, (const char *const[]){ "org.db.ca.pem", "remove it", NULL }, 20,
                    "tidemark serve --tls --org %s", org);
    tm_test_refused(64, (const char *const[]){ "\"x/y\"", "no host name", NULL }, 20,
                    "tidemark serve --tls --tls-names 'x/y'");
    tm_test_refused(64, (const char *const[]){ "none.pem", NULL }, 20,
                    "tidemark serve --jwt-certificate %s/none.pem", w->folder);
    tm_test_refused(64, (const char *const[]){ "no certificate", NULL }, 20,
                    "tidemark serve --jwt-certificate tests/keys/jwt.key");
}

/* ---- sessions ---- */

#define LOGIN                                                                                      \
    "curl -sS %s/services/oauth2/token -d grant_type=client_credentials -d "                       \
    "client_id=tidemark-consumer-key -d client_secret=tidemark-consumer-secret"                    \
    " | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/' >token\n"
#define LIMITS                                                                                     \
    "curl -sS -o answer -w '%%{http_code}' -H \"Authorization: Bearer $(cat token)\" "             \
    "%s/services/data/v59.0/limits; echo; cat answer\n"

static void script_of(struct world *w, const char *fmt, const char *expected)
{
    char script[2048];
    snprintf(script, sizeof script, fmt, w->server.line); /* one of the two above */
    assert_int_equal(shell(w, script), 0);
    if (strncmp(w->out, expected, strlen(expected)) != 0)
        fail_msg("expected %s:\n%s", expected, w->out);
}

/* How many sessions the org's file holds. */
static int sessions_kept(const struct world *w)
{
    char path[300];
    int kept = -1;
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    snprintf(path, sizeof path, "%s/org.db", w->folder);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db,
                           "SELECT count(*) FROM meta WHERE key LIKE 'session %' AND "
                           "key <> 'session 0' AND value <> ''",
                           -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        kept = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return kept;
}

static void sessions_outlive_a_restart_and_a_crash_but_not_their_revocation(void **state)
{
    struct world *w = *state;
    char revoke[600];
    serve(w, "--quiet");
    script_of(w, LOGIN, "");
    assert_int_equal(tm_test_server_stop(&w->server), 0);
    serve(w, "--quiet");
    script_of(w, LIMITS, "200");
    script_of(w, LOGIN, "");
    for (int i = 0; i < 500 && sessions_kept(w) != 2; i++)
        tm_test_pause(20);
    assert_int_equal(sessions_kept(w), 2);
    kill(w->server.pid, SIGKILL);
    tm_test_server_stop(&w->server);
    serve(w, "--quiet");
    script_of(w, LIMITS, "200");
    snprintf(revoke, sizeof revoke,
             "curl -sS -o /dev/null -w '%%{http_code}' \"%s/services/oauth2/revoke?token=$(cat "
             "token)\"\n",
             w->server.line);
    assert_int_equal(shell(w, revoke), 0);
    assert_string_equal(w->out, "200");
    script_of(w, LIMITS,
              "401\n[{\"message\":\"Session expired or invalid\",\"errorCode\":"
              "\"INVALID_SESSION_ID\"}]");
    assert_int_equal(tm_test_server_stop(&w->server), 0);
    serve(w, "--quiet");
    script_of(w, LIMITS, "401");
    script_of(w, LOGIN, "");
    script_of(w, LIMITS, "200");
}

static void an_org_in_memory_forgets_its_sessions_and_its_authority(void **state)
{
    struct world *w = *state;
    char all[1 << 14], ca[200] = "";
    w->server = tm_test_server_start("tidemark serve --tls");
    read_file(w->server.log_path, all, sizeof all);
    for (int i = 0; i < 100 && strstr(all, "# then") == NULL; i++) {
        tm_test_pause(20);
        read_file(w->server.log_path, all, sizeof all);
    }
    char *at = strstr(all, "/tmp/tidemark-ca-");
    assert_non_null(at);
    snprintf(ca, sizeof ca, "%.*s", (int)strcspn(at, "\n"), at);
    struct stat s;
    assert_int_equal(stat(ca, &s), 0);
    assert_int_equal(tm_test_server_stop(&w->server), 0);
    assert_int_not_equal(stat(ca, &s), 0);
    *strrchr(ca, '/') = '\0';
    assert_int_not_equal(stat(ca, &s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        T(the_printed_curl_example_works_when_pasted),
        T(the_printed_python_example_is_python),
        T(the_printed_connector_streams_over_tls),
        T(who_has_the_authority_signs_in_by_https_and_nobody_else),
        T(salesforces_own_names_are_served_and_told_back),
        T(a_broken_authority_is_refused_by_the_name_of_its_file),
        T(sessions_outlive_a_restart_and_a_crash_but_not_their_revocation),
        T(an_org_in_memory_forgets_its_sessions_and_its_authority),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
