/* cmd_simulate: `tidemark simulate --seeds A..B`: random histories and faults on the whole
 * streaming road under a virtual clock. One line per failing seed, then a summary; the first
 * failing seeds are shrunk and told as cases. Exit 1 when a seed failed. With --jobs, child
 * processes run the seeds in turn and this one prints in order: the output is the same. */
#include "base/log.h"
#include "run/command.h"
#include "run/day.h"
#include "run/help.h"
#include "run/simulate_own.h"
#include "simulate/memory.h"
#include "simulate/story.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIMULATE_JOBS_MAX 256
#define SIMULATE_LOOKASIDE_BYTES 1200 /* of a slot; each connection has so many, for parsing */
#define SIMULATE_LOOKASIDE_SLOTS 100
#define SIMULATE_SHRUNK_MAX 3 /* failing seeds that are shrunk; the others are named */

struct simulate_flags {
    const char *seeds, *out, *jobs_text;
    bool fail_fast, verbose, json, no_shrink, help;
    uint64_t first, last, jobs;
};
struct simulate_job {
    pid_t pid;
    int from; /* results, one struct tm_sim_result a seed */
};
struct simulate {
    struct simulate_flags flags;
    struct tm_simulate_own own;
    struct simulate_job jobs[SIMULATE_JOBS_MAX]; /* when flags.jobs > 1 */
    char dir[TM_SIM_PATH_BYTES];
    struct tm_sim_result total, failed[SIMULATE_SHRUNK_MAX];
    struct tm_sim_stats stats; /* how many seeds had each kind */
    uint64_t failed_count;
    uint64_t small_count; /* seeds whose history is small (script.h), and what they took here */
    double small_cpu_s;
};

static enum tm_code simulate_seeds(uint64_t *out_first, uint64_t *out_last, const char *text,
                                   struct tm_err *err)
{
    char *end = NULL;
    bool digit = text[0] >= '0' && text[0] <= '9';
    errno = 0;
    *out_first = *out_last = strtoull(text, &end, 10);
    if (digit && strncmp(end, "..", 2) == 0 && end[2] >= '0' && end[2] <= '9')
        *out_last = strtoull(end + 2, &end, 10);
    if (!digit || *end != '\0' || errno != 0 || *out_first > *out_last || *out_last == UINT64_MAX)
        return tm_fail(err, TM_E_ARG,
                       "--seeds \"%.60s\" is not A..B with A not above B, as in --seeds 1..1000",
                       text);
    return TM_OK;
}

/* ---- arguments ---- */

static enum tm_code simulate_unknown(const char *arg, struct tm_err *err)
{
    static const char *const known[] = { "--seeds", "--jobs",    "--fail-fast", "--no-shrink",
                                         "--out",   "--verbose", "--json",      "--help",
                                         "--views", "--exec",    "--objects" };
    const char *near = tm_nearest(arg, known, sizeof known / sizeof known[0]);
    if (arg[0] != '-')
        return tm_fail(err, TM_E_ARG,
                       "\"%.60s\": with --seeds simulate takes no scenario; usage: tidemark "
                       "simulate --seeds A..B",
                       arg);
    return tm_fail(err, TM_E_ARG, "unknown flag %.60s%s%s", arg,
                   near != NULL ? "; did you mean " : "; see tidemark simulate --help",
                   near != NULL ? near : "");
}

static enum tm_code simulate_arguments(struct simulate *s, int argc, char **argv,
                                       struct tm_err *err)
{
    struct simulate_flags *f = &s->flags;
    const struct {
        const char *name;
        const char **value;
        bool *set;
    } flags[] = { { "--seeds", &f->seeds, NULL },
                  { "--out", &f->out, NULL },
                  { "--views", &s->own.views_dir, NULL },
                  { "--exec", &s->own.exec.command, NULL },
                  { "--objects", &s->own.objects_dir, NULL },
                  { "--jobs", &f->jobs_text, NULL },
                  { "--fail-fast", NULL, &f->fail_fast },
                  { "--no-shrink", NULL, &f->no_shrink },
                  { "--verbose", NULL, &f->verbose },
                  { "--json", NULL, &f->json },
                  { "--help", NULL, &f->help },
                  { "-h", NULL, &f->help } };
    for (int i = 1; i < argc; i++) {
        size_t k = 0, count = sizeof flags / sizeof flags[0], bytes = strcspn(argv[i], "=");
        while (k < count &&
               (strncmp(argv[i], flags[k].name, bytes) != 0 || flags[k].name[bytes] != '\0' ||
                (argv[i][bytes] == '=' && flags[k].value == NULL)))
            k++;
        if (k == count)
            return simulate_unknown(argv[i], err);
        if (flags[k].set != NULL)
            *flags[k].set = true;
        else if (argv[i][bytes] == '=')
            *flags[k].value = argv[i] + bytes + 1;
        else if (++i < argc)
            *flags[k].value = argv[i];
        else
            return tm_fail(err, TM_E_ARG, "flag %s wants a value; see tidemark simulate --help",
                           flags[k].name);
    }
    if (f->help)
        return TM_OK;
    if (f->seeds == NULL)
        return tm_fail(err, TM_E_ARG, "which seeds? usage: tidemark simulate --seeds A..B");
    char *end = NULL;
    f->jobs = f->jobs_text != NULL ? strtoull(f->jobs_text, &end, 10) : 1;
    if (f->jobs < 1 || f->jobs > SIMULATE_JOBS_MAX || (end != NULL && *end != '\0'))
        return tm_fail(err, TM_E_ARG, "--jobs \"%.20s\" is not a number from 1 to %d", f->jobs_text,
                       SIMULATE_JOBS_MAX);
    return simulate_seeds(&f->first, &f->last, f->seeds, err);
}

/* ---- child processes ---- */

static enum tm_code simulate_child(struct simulate *s, uint64_t number, int to, struct tm_err *err)
{
    const struct simulate_flags *f = &s->flags;
    char dir[TM_SIM_PATH_BYTES];
    signal(SIGPIPE, SIG_IGN); /* the parent may stop reading: the scratch folder must still go */
    enum tm_code rc = tm_sim_scratch_make(dir, err);
    struct tm_sim_options options = { .dir = dir };
    if (rc != TM_OK)
        return rc;
    tm_simulate_own_options(&s->own, &options);
    for (uint64_t seed = f->first + number; rc == TM_OK && seed <= f->last; seed += f->jobs) {
        struct tm_sim_result r;
        rc = tm_simulate(&r, seed, &options, err);
        /* A pipe nobody reads any more: the parent has seen enough. */
        if (rc == TM_OK && write(to, &r, sizeof r) != (ssize_t)sizeof r)
            break;
    }
    tm_sim_scratch_remove(dir);
    return rc;
}

static enum tm_code simulate_fork(struct simulate *s, struct tm_err *err)
{
    for (uint64_t i = 0; i < s->flags.jobs; i++) {
        int ends[2];
        if (pipe(ends) != 0)
            return tm_fail(err, TM_E_IO, "a pipe: %s", strerror(errno));
        fflush(NULL);
        pid_t pid = fork();
        if (pid < 0)
            return tm_fail(err, TM_E_IO, "a process: %s", strerror(errno));
        if (pid == 0) {
            for (uint64_t k = 0; k < i; k++)
                close(s->jobs[k].from);
            close(ends[0]);
            _exit(simulate_child(s, i, ends[1], err) == TM_OK ? TM_EXIT_PASS
                                                              : tm_command_fail("simulate", err));
        }
        close(ends[1]);
        s->jobs[i] = (struct simulate_job){ pid, ends[0] };
    }
    return TM_OK;
}

static void simulate_join(struct simulate *s)
{
    for (uint64_t i = 0; i < s->flags.jobs && s->jobs[i].pid > 0; i++)
        close(s->jobs[i].from); /* a child that still writes finds nobody there, and ends */
    for (uint64_t i = 0; i < s->flags.jobs && s->jobs[i].pid > 0; i++)
        waitpid(s->jobs[i].pid, NULL, 0);
}

static double simulate_cpu_s(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* A small history's own figure: a large one costs several times as much. */
static void simulate_account(struct simulate *s, uint64_t seed, double before_s)
{
    struct tm_sim_script script = { .seed = seed };
    if (tm_sim_script_large(&script))
        return;
    s->small_count++;
    s->small_cpu_s += simulate_cpu_s(RUSAGE_SELF) - before_s;
}

static enum tm_code simulate_result(struct simulate *s, struct tm_sim_result *out, uint64_t seed,
                                    struct tm_err *err)
{
    size_t have = 0;
    if (s->flags.jobs == 1) {
        struct tm_sim_options options = { .dir = s->dir };
        double before_s = simulate_cpu_s(RUSAGE_SELF);
        tm_simulate_own_options(&s->own, &options);
        enum tm_code rc = tm_simulate(out, seed, &options, err);
        simulate_account(s, seed, before_s);
        return rc;
    }
    while (have < sizeof *out) {
        ssize_t n = read(s->jobs[(seed - s->flags.first) % s->flags.jobs].from, (char *)out + have,
                         sizeof *out - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return tm_fail(err, TM_E_MISMATCH, "the process that ran seed %" PRIu64 " ended", seed);
        have += (size_t)n;
    }
    return TM_OK;
}

/* ---- output ---- */

static void simulate_json(const struct tm_sim_result *r)
{
    const struct tm_sim_finding *f = &r->finding;
    json_t *json =
        json_pack("{s:I, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "seed",
                  (json_int_t)r->seed, "failed", f->found, "rule", f->rule, "where", f->where,
                  "object", f->object, "record", f->id, "field", f->field, "expected", f->expected,
                  "shown", f->shown, "step", (json_int_t)f->step, "text", f->text);
    char digest[20];
    snprintf(digest, sizeof digest, "%016" PRIx64, r->digest);
    json_object_set_new(json, "digest", json_string(digest));
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static void simulate_line(const struct simulate_flags *f, const struct tm_sim_result *r)
{
    bool told = r->finding.expected[0] != '\0';
    if (f->json && (f->verbose || r->finding.found))
        simulate_json(r);
    else if (r->finding.found)
        printf("seed %" PRIu64 ": %s: %s%s%s%s%s (step %" PRIu64 ")\n", r->seed, r->finding.rule,
               r->finding.text, told ? "; expected " : "", told ? r->finding.expected : "",
               told ? ", shown " : "", told ? r->finding.shown : "", r->finding.step);
    else if (f->verbose)
        printf("seed %" PRIu64 ": passed; %" PRIu64 " steps, %" PRIu64 " transactions, %" PRIu64
               " faults, %" PRIu64 " crashes; digest %016" PRIx64 "\n",
               r->seed, r->steps, r->commits, r->faults, r->crashes, r->digest);
    fflush(stdout);
}

/* How many seeds had each kind, from `first` on; *out_never gets the names of those that none had.
 */
static void simulate_kinds(const struct simulate *s, const char *title, size_t first, size_t last,
                           struct tm_buf *never)
{
    printf("%s: ", title);
    for (size_t i = first; i < last; i++) {
        const char *name = tm_sim_stat_name((enum tm_sim_stat)i);
        printf("%s%s %" PRIu32, i > first ? ", " : "", name, s->stats.count[i]);
        if (s->stats.count[i] == 0)
            tm_buf_addf(never, "%s%s", never->bytes > 0 ? ", " : "", name);
    }
    putchar('\n');
}

static json_t *simulate_kinds_json(const struct simulate *s, size_t first, size_t last)
{
    json_t *json = json_object();
    for (size_t i = first; i < last; i++)
        json_object_set_new(json, tm_sim_stat_name((enum tm_sim_stat)i),
                            json_integer((json_int_t)s->stats.count[i]));
    return json;
}

static void simulate_summary_json(const struct simulate *s, uint64_t seeds)
{
    char digest[20];
    snprintf(digest, sizeof digest, "%016" PRIx64, s->total.digest);
    json_t *json = json_pack("{s:I, s:I, s:s, s:I, s:I, s:o, s:o}", "seeds", (json_int_t)seeds,
                             "failed_seeds", (json_int_t)s->failed_count, "digest", digest,
                             "at_commits", (json_int_t)s->total.at_commits, "at_commits_equal",
                             (json_int_t)s->total.at_commits_equal, "seeds_with_event",
                             simulate_kinds_json(s, 0, TM_SIM_STAT_FIRST_FAULT), "seeds_with_fault",
                             simulate_kinds_json(s, TM_SIM_STAT_FIRST_FAULT, TM_SIM_STATS));
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static void simulate_summary(const struct simulate *s, uint64_t seeds)
{
    const struct tm_sim_result *t = &s->total;
    struct tm_buf never;
    if (s->flags.json) {
        simulate_summary_json(s, seeds);
        return;
    }
    printf("%" PRIu64 " seeds, %" PRIu64 " failed; %" PRIu64 " steps, %" PRIu64
           " transactions, %" PRIu64 " records, %" PRIu64 " faults, %" PRIu64
           " crashes; digest %016" PRIx64 "\n",
           seeds, s->failed_count, t->steps, t->commits, t->records, t->faults, t->crashes,
           t->digest);
    if (seeds == 1)
        return;
    tm_buf_init(&never, 4096);
    printf("before %" PRIu64 " of %" PRIu64 " commits a copy followed by _seq was as the org\n",
           t->at_commits_equal, t->at_commits);
    simulate_kinds(s, "seeds whose history had", 0, TM_SIM_STAT_FIRST_FAULT, &never);
    simulate_kinds(s, "seeds that a fault struck", TM_SIM_STAT_FIRST_FAULT, TM_SIM_STATS, &never);
    if (never.bytes > 0)
        printf("never: %s%s\n", tm_buf_text(&never),
               seeds >= TM_SIM_STAT_SEEDS ? ": a hole in the simulation" : "");
    tm_buf_free(&never);
}

/* How fast, and what a history was: seeds a second say little without it. */
static void simulate_speed(const struct simulate *s, uint64_t seeds, double wall_s)
{
    char small[80] = "";
    const struct tm_sim_result *t = &s->total;
    double cpu_s = simulate_cpu_s(RUSAGE_SELF) + simulate_cpu_s(RUSAGE_CHILDREN),
           n = seeds > 0 ? (double)seeds : 1;
    if (s->small_cpu_s > 0)
        snprintf(small, sizeof small, " (small ones alone %.1f)",
                 (double)s->small_count / s->small_cpu_s);
    tm_log(TM_LOG_ERROR,
           "%.1f s, %.1f seeds a second, %.1f a CPU second%s; a history on average: %.1f "
           "transactions, %.0f steps, %.1f looks in flight, %.1f faults, %.1f crashes",
           wall_s, wall_s > 0 ? n / wall_s : 0, cpu_s > 0 ? n / cpu_s : 0, small,
           (double)t->commits / n, (double)t->steps / n, (double)t->looks / n,
           (double)t->faults / n, (double)t->crashes / n);
}

/* ---- shrinking ---- */

static enum tm_code simulate_folder(char *path, size_t path_bytes, const char *out, uint64_t seed,
                                    struct tm_err *err)
{
    const char *base = out != NULL ? out : "reports/out";
    snprintf(path, path_bytes, "%.700s", base);
    for (char *p = path + 1; *p != '\0'; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0777);
            *p = '/';
        }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_ARG, "cannot make %s: %s; --out names another folder", path,
                       strerror(errno));
    snprintf(path, path_bytes, "%.700s/simulate-%" PRIu64, base, seed);
    return TM_OK;
}

static enum tm_code simulate_shrink(struct simulate *s, const struct tm_sim_result *failed,
                                    struct tm_err *err)
{
    struct tm_sim_options options = { .dir = s->dir };
    struct tm_sim_script script;
    struct tm_sim_shrunk shrunk = { .runs = 0 };
    struct tm_sim_result again;
    char path[800];
    enum tm_code rc = simulate_folder(path, sizeof path, s->flags.out, failed->seed, err);
    if (rc != TM_OK)
        return rc;
    tm_simulate_own_options(&s->own, &options);
    tm_sim_script_draw(&script, failed->seed);
    rc = tm_simulate_script(&again, &script, &options, err);
    if (rc == TM_OK && again.digest != failed->digest)
        rc = tm_fail(err, TM_E_MISMATCH, "seed %" PRIu64 " gave another run the second time",
                     failed->seed);
    if (rc == TM_OK)
        rc = tm_sim_shrink(&shrunk, &script, &again, &options, err);
    if (rc == TM_OK)
        rc = tm_sim_story_write(&shrunk, path, err);
    if (rc == TM_OK && !s->flags.json)
        printf("seed %" PRIu64 " shrunk in %" PRIu64 " runs to %zu event%s and %zu unusual "
               "decision%s, breaking %s: %s\n",
               failed->seed, shrunk.runs, shrunk.script.events_count,
               shrunk.script.events_count == 1 ? "" : "s", shrunk.script.choices.count,
               shrunk.script.choices.count == 1 ? "" : "s",
               shrunk.rules[0] != '\0' ? shrunk.rules : shrunk.result.finding.rule, path);
    tm_sim_script_free(&shrunk.script);
    tm_sim_script_free(&script);
    return rc;
}

/* ---- all of it ---- */

static void simulate_add(struct simulate *s, const struct tm_sim_result *r)
{
    tm_sim_stats_add(&s->stats, &r->stats);
    s->total.steps += r->steps;
    s->total.commits += r->commits;
    s->total.records += r->records;
    s->total.crashes += r->crashes;
    s->total.faults += r->faults;
    s->total.looks += r->looks;
    s->total.at_commits += r->at_commits;
    s->total.at_commits_equal += r->at_commits_equal;
    s->total.digest = tm_hash64(&r->digest, sizeof r->digest, s->total.digest);
    if (!r->finding.found)
        return;
    if (s->failed_count < SIMULATE_SHRUNK_MAX)
        s->failed[s->failed_count] = *r;
    s->failed_count++;
}

static enum tm_code simulate_run(struct simulate *s, struct tm_err *err)
{
    struct simulate_flags *f = &s->flags;
    int64_t began_ns = tm_clock_monotonic_ns();
    enum tm_code rc = f->jobs > 1 ? simulate_fork(s, err) : TM_OK;
    uint64_t seeds = 0;
    for (uint64_t seed = f->first; rc == TM_OK && seed <= f->last; seed++) {
        struct tm_sim_result r;
        rc = simulate_result(s, &r, seed, err);
        if (rc != TM_OK)
            break;
        seeds++;
        simulate_add(s, &r);
        simulate_line(f, &r);
        if (f->fail_fast && r.finding.found)
            break;
    }
    if (f->jobs > 1)
        simulate_join(s);
    if (rc != TM_OK)
        return rc;
    simulate_summary(s, seeds);
    simulate_speed(s, seeds, (double)(tm_clock_monotonic_ns() - began_ns) / (double)TM_NS_PER_S);
    for (uint64_t i = 0; i < s->failed_count && i < SIMULATE_SHRUNK_MAX && rc == TM_OK; i++)
        rc = f->no_shrink ? TM_OK : simulate_shrink(s, &s->failed[i], err);
    return rc;
}

int tm_cmd_simulate(int argc, char **argv)
{
    static struct simulate s;
    struct tm_err err;
    if (tm_day_wanted(argc, argv))
        return tm_day_main(argc, argv);
    tm_log_init("simulate", TM_LOG_ERROR);
    tm_err_clear(&err);
    enum tm_code rc = simulate_arguments(&s, argc, argv, &err);
    if (rc == TM_OK && s.flags.help) {
        tm_help_command(stdout, tm_help_of("simulate"));
        return TM_EXIT_PASS;
    }
    /* One thread: no locks, and nobody asks how much memory is in use. */
    tm_sim_memory();
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, SIMULATE_LOOKASIDE_BYTES, SIMULATE_LOOKASIDE_SLOTS);
    if (rc == TM_OK)
        rc = tm_simulate_own_open(&s.own, &err);
    if (rc == TM_OK)
        rc = tm_sim_scratch_make(s.dir, &err);
    if (rc == TM_OK) {
        rc = simulate_run(&s, &err);
        tm_sim_scratch_remove(s.dir);
    }
    tm_simulate_own_close(&s.own);
    if (rc != TM_OK)
        return tm_command_fail("simulate", &err);
    return s.failed_count > 0 ? TM_EXIT_FAIL : TM_EXIT_PASS;
}
