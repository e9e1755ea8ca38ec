#include "run/usage.h"
#include "base/config.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE_LINE_BYTES 256
#define USAGE_HEAD "run_ns,changes,process,pid,rss_bytes,cpu_ms\n"

struct usage_line {
    int64_t run_ns, changes, rss, cpu_ms;
    char process[64];
    long pid;
};

/* False at the end, and at a line that is not whole. */
static bool usage_read(FILE *f, struct usage_line *out)
{
    char text[USAGE_LINE_BYTES];
    for (;;) {
        if (fgets(text, sizeof text, f) == NULL || strchr(text, '\n') == NULL)
            return false;
        if (sscanf(text, "%" SCNd64 ",%" SCNd64 ",%63[^,],%ld,%" SCNd64 ",%" SCNd64, &out->run_ns,
                   &out->changes, out->process, &out->pid, &out->rss, &out->cpu_ms) == 6)
            return true;
    }
}

/* Each life of a process ends with its last line. */
static void usage_before(struct tm_usage *u, FILE *f)
{
    struct usage_line line;
    while (usage_read(f, &line)) {
        json_t *one = json_object_get(u->before, line.process);
        double was_s = json_number_value(json_object_get(one, "cpu_s"));
        double life_s = json_number_value(json_object_get(one, "life_s"));
        int64_t rss = json_integer_value(json_object_get(one, "rss"));
        bool same = json_integer_value(json_object_get(one, "pid")) == line.pid;
        double now_s = (double)line.cpu_ms / 1000;
        json_object_set_new(u->before, line.process,
                            json_pack("{s:f, s:f, s:I, s:I}", "cpu_s",
                                      same ? was_s - life_s + now_s : was_s + now_s, "life_s",
                                      now_s, "pid", (json_int_t)line.pid, "rss",
                                      (json_int_t)(line.rss > rss ? line.rss : rss)));
    }
}

enum tm_code tm_usage_open(struct tm_usage *u, const char *path, struct tm_err *err)
{
    FILE *was = fopen(path, "r");
    u->before = json_object();
    if (was != NULL) {
        usage_before(u, was);
        fclose(was);
    }
    u->f = fopen(path, "ae");
    if (u->f == NULL || u->before == NULL)
        return tm_fail(err, TM_E_IO, "cannot write %s: %s", path, strerror(errno));
    if (was == NULL)
        fputs(USAGE_HEAD, u->f);
    else
        fputc('\n', u->f); /* the last line may not be whole */
    return TM_OK;
}

void tm_usage_close(struct tm_usage *u)
{
    if (u->f != NULL)
        fclose(u->f);
    json_decref(u->before);
    *u = (struct tm_usage){ .f = NULL };
}

bool tm_usage_due(const struct tm_usage *u, int64_t now_ns)
{
    return u->f != NULL && now_ns >= u->next_ns;
}

/* /proc/PID/stat: fields 14, 15 utime and stime in ticks, 24 resident pages; the name in brackets
 * may hold anything (proc(5)). */
static bool usage_process(pid_t pid, int64_t *rss, int64_t *cpu_ms)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    int64_t value[25] = { 0 };
    for (int field = 3; at != NULL && field <= 24; field++) {
        at = strchr(at + 1, ' ');
        if (at != NULL && field > 3)
            value[field] = strtoll(at + 1, NULL, 10);
    }
    if (at == NULL)
        return false;
    *rss = value[24] * sysconf(_SC_PAGESIZE);
    *cpu_ms = (value[14] + value[15]) * 1000 / sysconf(_SC_CLK_TCK);
    return true;
}

void tm_usage_look(struct tm_usage *u, const struct tm_children *kids, int64_t now_ns,
                   int64_t run_ns, int64_t changes)
{
    u->next_ns = now_ns + TM_USAGE_NS;
    for (size_t i = 0; i < kids->count; i++) {
        const struct tm_child *c = &kids->items[i];
        int64_t rss, cpu_ms;
        if (c->pid != 0 && usage_process(c->pid, &rss, &cpu_ms))
            fprintf(u->f, "%" PRId64 ",%" PRId64 ",%.63s,%ld,%" PRId64 ",%" PRId64 "\n", run_ns,
                    changes > 0 ? changes : 0, c->name, (long)c->pid, rss, cpu_ms);
    }
    fflush(u->f);
}

void tm_usage_add(const struct tm_usage *u, struct tm_children *kids)
{
    for (size_t i = 0; i < kids->count; i++) {
        struct tm_child *c = &kids->items[i];
        const json_t *before = json_object_get(u->before, c->name);
        int64_t rss = json_integer_value(json_object_get(before, "rss"));
        c->cpu_s += json_number_value(json_object_get(before, "cpu_s"));
        c->rss_peak_bytes = rss > c->rss_peak_bytes ? rss : c->rss_peak_bytes;
    }
}

/* ---- growth ---- */

struct usage_fit { /* least squares of bytes over changes */
    double n, x, y, xx, xy;
};

static json_t *usage_slope(const struct usage_fit *fit)
{
    double spread = fit->n * fit->xx - fit->x * fit->x;
    if (fit->n < 3 || spread <= 0)
        return json_null();
    double slope = (fit->n * fit->xy - fit->x * fit->y) / spread;
    return json_integer(llround(slope * 1e6));
}

/* The lines of one process's last life, which is lines[first..count). */
static json_t *usage_one(const struct usage_line *lines, size_t count, const char *process)
{
    const struct usage_line *first = NULL, *last = NULL;
    struct usage_fit fit = { 0 };
    int64_t peak = 0, looks = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(lines[i].process, process) != 0)
            continue;
        if (last == NULL || last->pid != lines[i].pid) {
            first = &lines[i];
            peak = looks = 0;
        }
        last = &lines[i];
        looks++;
        peak = last->rss > peak ? last->rss : peak;
    }
    int64_t from =
        first->changes + (int64_t)((double)(last->changes - first->changes) * (1 - TM_USAGE_TAIL));
    for (const struct usage_line *at = first; at <= last; at++) {
        /* the drain, in which nothing is committed, has copies and full polls of its own */
        if (strcmp(at->process, process) != 0 || at->changes < from || at->changes == last->changes)
            continue;
        double x = (double)(at->changes - from), y = (double)at->rss;
        fit.n++;
        fit.x += x;
        fit.y += y;
        fit.xx += x * x;
        fit.xy += x * y;
    }
    bool enough = last->changes - from >= TM_USAGE_CHANGES_MIN;
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "first_bytes", (json_int_t)first->rss,
                     "last_bytes", (json_int_t)last->rss, "peak_bytes", (json_int_t)peak, "looks",
                     (json_int_t)looks, "per_million_bytes",
                     enough ? usage_slope(&fit) : json_null());
}

json_t *tm_usage_json(const char *path, struct tm_err *err)
{
    struct usage_line *lines = NULL, line;
    size_t count = 0, cap = 0;
    json_t *out = json_object();
    FILE *f = fopen(path, "r");
    while (f != NULL && usage_read(f, &line)) {
        if (count == cap) {
            cap = cap * 2 + 1024;
            struct usage_line *grown = realloc(lines, cap * sizeof *lines);
            if (grown == NULL) {
                tm_fail(err, TM_E_NOMEM, "%s: %zu lines", path, cap);
                break;
            }
            lines = grown;
        }
        lines[count++] = line;
    }
    if (f != NULL)
        fclose(f);
    for (size_t i = 0; err->code == TM_OK && i < count; i++)
        if (json_object_get(out, lines[i].process) == NULL)
            json_object_set_new(out, lines[i].process, usage_one(lines, count, lines[i].process));
    free(lines);
    if (err->code == TM_OK)
        return out;
    json_decref(out);
    return NULL;
}
