#include "check/merge_inner.h"
#include "check/results.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MERGE_NONE UINT8_MAX
#define MERGE_PIPELINE "stream-view"

static enum tm_code merge_same(const struct merge_part *first, const struct merge_part *p,
                               const char *what, const char *of_first, const char *of_p,
                               struct tm_err *err)
{
    if (strcmp(of_first, of_p) == 0)
        return TM_OK;
    return tm_fail(err, TM_E_ARG, "%s is of %s \"%s\", %s of \"%s\": they are no parts of one copy",
                   p->folder, what, of_p, first->folder, of_first);
}

static enum tm_code merge_alike(const struct merge_work *w, struct tm_err *err)
{
    const struct merge_part *first = &w->parts[0];
    enum tm_code rc = TM_OK;
    for (size_t i = 1; rc == TM_OK && i < w->parts_count; i++) {
        const struct merge_part *p = &w->parts[i];
        const struct merge_part *filled = first; /* a sink that was given nothing knows none */
        while (filled < p && filled->cluster[0] == '\0')
            filled++;
        if (p->cluster[0] != '\0')
            rc = merge_same(filled, p, "Kafka cluster", filled->cluster, p->cluster, err);
        if (rc == TM_OK)
            rc = merge_same(first, p, "org", first->org_id, p->org_id, err);
        if (rc == TM_OK)
            rc = merge_same(first, p, "the org host's boot", first->org_boot_id, p->org_boot_id,
                            err);
        if (rc == TM_OK && p->objects_count != first->objects_count)
            rc = tm_fail(err, TM_E_ARG, "%s follows %zu objects, %s %zu: give all the same",
                         p->folder, p->objects_count, first->folder, first->objects_count);
        for (size_t o = 0; rc == TM_OK && o < p->objects_count; o++)
            rc = merge_same(first, p, "object", first->objects[o].name, p->objects[o].name, err);
    }
    return rc;
}

/* The history judged is the one the parts' clocks were compared with. */
static enum tm_code merge_org(const struct merge_work *w, const struct tm_truth *truth,
                              struct tm_err *err)
{
    static const char *const keys[] = { "org_id", "boot_id" };
    const struct merge_part *p = &w->parts[0];
    const char *of_part[] = { p->org_id, p->org_boot_id };
    sqlite3_stmt *q = NULL;
    enum tm_code rc = tm_sql_prepare(&q, truth->db, "SELECT value FROM meta WHERE key=?1", err);
    for (int i = 0; rc == TM_OK && i < 2; i++) {
        bool row = false;
        sqlite3_bind_text(q, 1, keys[i], -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
        const char *value = row ? (const char *)sqlite3_column_text(q, 0) : "";
        if (rc == TM_OK && strcmp(value == NULL ? "" : value, of_part[i]) != 0)
            rc = tm_fail(err, TM_E_ARG,
                         "%s: its clock was compared with that of another org, or of another boot "
                         "of the org's host (%s \"%s\"), than %s tells of (\"%s\")",
                         p->folder, keys[i], of_part[i], w->args->org, value);
        sqlite3_reset(q);
    }
    tm_sql_finalize(q);
    return rc;
}

/* ---- who has which partition ---- */

struct merge_topics { /* of one object */
    const char *names[MERGE_TOPICS];
    size_t count;
    int64_t *next; /* [parts][MERGE_TOPICS][partitions]; 0: nothing of it */
    int32_t partitions;
};

static int64_t *merge_next(const struct merge_topics *t, size_t part, size_t topic,
                           int32_t partition)
{
    return &t->next[(part * MERGE_TOPICS + topic) * (size_t)t->partitions + (size_t)partition];
}

static enum tm_code merge_partitions(const struct merge_work *w, size_t object,
                                     struct merge_topics *t, struct tm_err *err)
{
    const struct merge_part *told = NULL;
    for (size_t i = 0; i < w->parts_count; i++) {
        const struct merge_part *p = &w->parts[i];
        int32_t n = p->objects[object].partitions;
        if (n > 0 && told != NULL && n != t->partitions)
            return tm_fail(err, TM_E_ARG,
                           "%s: its topics of %s have %d partitions, those of %s %d: their number "
                           "was changed under the records",
                           p->folder, p->objects[object].name, (int)n, told->folder,
                           (int)t->partitions);
        if (n > 0) {
            t->partitions = n;
            told = p;
        }
    }
    if (told == NULL)
        return tm_fail(err, TM_E_ARG,
                       "%s: no whole read has ended in any folder, so nobody knows how many "
                       "partitions its topics have: wait for the first copy",
                       w->parts[0].objects[object].name);
    t->next = calloc(w->parts_count * MERGE_TOPICS * (size_t)t->partitions, sizeof *t->next);
    return t->next != NULL ? TM_OK
                           : tm_fail(err, TM_E_NOMEM, "partitions of %zu parts", w->parts_count);
}

static enum tm_code merge_offsets(const struct merge_work *w, size_t object, struct merge_topics *t,
                                  struct tm_err *err)
{
    for (size_t i = 0; i < w->parts_count; i++) {
        const struct merge_part *p = &w->parts[i];
        for (size_t k = 0; k < p->offsets_count; k++) {
            const struct merge_offset *o = &p->offsets[k];
            size_t topic = 0;
            if ((size_t)o->object != object)
                continue;
            while (topic < t->count && strcmp(t->names[topic], o->topic) != 0)
                topic++;
            if (topic == MERGE_TOPICS || o->partition >= t->partitions)
                return tm_fail(err, TM_E_ARG,
                               "%s: partition %d of %s is one too many, of partitions (%d) or of "
                               "topics for %s",
                               p->folder, (int)o->partition, o->topic, (int)t->partitions,
                               p->objects[object].name);
            if (topic == t->count)
                t->names[t->count++] = o->topic;
            *merge_next(t, i, topic, o->partition) = o->next;
        }
    }
    return TM_OK;
}

/* Who has most of the topic's partition, the first of several. */
static size_t merge_furthest(const struct merge_work *w, const struct merge_topics *t, size_t topic,
                             int32_t partition)
{
    size_t best = 0;
    for (size_t i = 1; i < w->parts_count; i++)
        if (*merge_next(t, i, topic, partition) > *merge_next(t, best, topic, partition))
            best = i;
    return best;
}

/* Somebody's still: that all who have some of it lost it means that who got it is not here. */
static bool merge_left(const struct merge_work *w, size_t object, int32_t partition)
{
    for (size_t i = 0; i < w->parts_count; i++)
        for (size_t k = 0; k < w->parts[i].offsets_count; k++) {
            const struct merge_offset *o = &w->parts[i].offsets[k];
            if ((size_t)o->object == object && o->partition == partition && !o->lost)
                return true;
        }
    return false;
}

/* A part that has, of every topic, as much of the partition as anybody. */
static enum tm_code merge_owner(const struct merge_work *w, size_t object_number,
                                const struct merge_topics *t, int32_t partition,
                                struct merge_owners *out, struct tm_err *err)
{
    const char *object = w->parts[0].objects[object_number].name;
    uint8_t owner = MERGE_NONE;
    size_t holders = 0;
    for (size_t i = 0; i < w->parts_count; i++) {
        bool whole = true, some = false;
        for (size_t k = 0; k < t->count; k++) {
            int64_t next = *merge_next(t, i, k, partition);
            whole &= next >= *merge_next(t, merge_furthest(w, t, k, partition), k, partition);
            some |= next > 0;
        }
        holders += some;
        if (whole && some && owner == MERGE_NONE)
            owner = (uint8_t)i;
    }
    if (holders == 0)
        return tm_fail(err, TM_E_ARG,
                       "%s: no folder has partition %d of %d: of %s and the others given, one is "
                       "missing, or one sink has not come so far",
                       object, (int)partition, (int)t->partitions, w->parts[0].folder);
    if (!merge_left(w, object_number, partition))
        return tm_fail(err, TM_E_ARG,
                       "%s: no folder was left partition %d of %d: of %s and the others given, "
                       "whoever had some of it says that it moved on; one is missing, or the group "
                       "was not at rest",
                       object, (int)partition, (int)t->partitions, w->parts[0].folder);
    if (owner == MERGE_NONE) {
        size_t a = merge_furthest(w, t, 0, partition), k = 1;
        while (k + 1 < t->count && merge_furthest(w, t, k, partition) == a)
            k++;
        size_t b = merge_furthest(w, t, k, partition);
        return tm_fail(err, TM_E_ARG,
                       "no folder has all of partition %d: %s has most of %s, but %s of %s; wait "
                       "until the group is at rest, and see that its members share topics alike "
                       "(partition.assignment.strategy=range)",
                       (int)partition, w->parts[a].folder, t->names[0], w->parts[b].folder,
                       t->names[k]);
    }
    out->part[partition] = owner;
    out->also[partition] = (uint8_t)(holders - 1);
    return TM_OK;
}

static enum tm_code merge_owners(struct merge_work *w, struct tm_err *err)
{
    size_t objects = w->parts[0].objects_count;
    enum tm_code rc = TM_OK;
    w->owners = calloc(objects, sizeof *w->owners);
    if (w->owners == NULL)
        return tm_fail(err, TM_E_NOMEM, "owners of %zu objects", objects);
    for (size_t o = 0; rc == TM_OK && o < objects; o++) {
        struct merge_topics t = { .count = 0 };
        rc = merge_partitions(w, o, &t, err);
        if (rc == TM_OK)
            rc = merge_offsets(w, o, &t, err);
        for (int32_t i = 0; rc == TM_OK && i < t.partitions; i++)
            rc = merge_owner(w, o, &t, i, &w->owners[o], err);
        w->owners[o].count = t.partitions;
        free(t.next);
    }
    return rc;
}

/* ---- one check of all ---- */

static int64_t merge_meta(sqlite3 *db, const char *key, int64_t missing)
{
    char sql[120];
    int64_t value = missing, there = 0;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM meta WHERE key='%s'", key);
    if (tm_sql_int64(&there, db, sql, NULL) != TM_OK || there == 0)
        return missing;
    snprintf(sql, sizeof sql, "SELECT CAST(value AS INTEGER) FROM meta WHERE key='%s'", key);
    return tm_sql_int64(&value, db, sql, NULL) == TM_OK ? value : missing;
}

static enum tm_code merge_plan(const struct merge_work *w, sqlite3 *org, const char *copy,
                               struct tm_plan **out, struct tm_err *err)
{
    char measures[600], run_db[600];
    json_t *objects = json_array();
    snprintf(measures, sizeof measures, "%.580s/measures.json", w->args->out);
    snprintf(run_db, sizeof run_db, "%.580s/run.db", w->args->out);
    for (size_t o = 0; o < w->parts[0].objects_count; o++)
        json_array_append_new(objects, json_string(w->parts[0].objects[o].name));
    json_t *plan =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:i, s:[{s:s, s:s, s:i, s:s, s:o}]}",
                  "org", w->args->org, "run_db", run_db, "out", measures, "seed",
                  (json_int_t)merge_meta(org, "seed", 0), "compress",
                  (json_int_t)merge_meta(org, "compress", 1), "publish_delay_ms",
                  (json_int_t)merge_meta(org, "publish_delay_ms", 0), "index_lag_ms",
                  (json_int_t)merge_meta(org, "index_lag_ms", 0), "broker", "external", "cpus",
                  w->args->cpus, "pipelines", "name", MERGE_PIPELINE, "kind", "stream", "option", 2,
                  "database", copy, "objects", objects);
    enum tm_code rc = plan != NULL
                          ? tm_plan_from_json(out, plan, w->args->org, err)
                          : tm_fail(err, TM_E_NOMEM, "the plan of %zu parts", w->parts_count);
    json_decref(plan);
    return rc;
}

static void merge_audit(struct tm_audit *a, const struct merge_part *p)
{
    a->total_count += (size_t)p->audit_count;
    a->total.rows += (uint64_t)p->audit_rows;
    a->total.left_out += (uint64_t)p->audit_left_out;
    a->total.differing += (uint64_t)p->audit_differing;
    if (a->total.example[0] == '\0')
        memcpy(a->total.example, p->audit_example, sizeof a->total.example);
}

static void merge_final(struct tm_full_read *f, const struct merge_part *p, bool first)
{
    f->ok = (first || f->ok) && p->final_ok != 0;
    f->rows += (uint64_t)p->final_rows;
    f->changed += (uint64_t)p->final_changed;
    if (f->example[0] == '\0')
        memcpy(f->example, p->final_example, sizeof f->example);
    if (f->duplicates == 0)
        memcpy(f->duplicate, p->duplicate, sizeof f->duplicate);
    f->duplicates += (uint64_t)p->duplicates;
    for (size_t o = 0; o < p->objects_count; o++)
        if (p->objects[o].query_ns > f->query_ns[o])
            f->query_ns[o] = p->objects[o].query_ns;
}

static bool merge_has(const struct merge_work *w, size_t part, size_t object)
{
    for (int32_t i = 0; i < w->owners[object].count; i++)
        if (w->owners[object].part[i] == part)
            return true;
    return false;
}

/* What the check of a single copy would hold after its last look. */
static enum tm_code merge_target(struct merge_work *w, struct tm_check *c, struct tm_err *err)
{
    struct tm_check_target *t = &c->targets[0];
    enum tm_code rc = TM_OK;
    for (size_t o = 0; o < t->reader->objects_count; o++)
        t->reader->objects[o].found = true;
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++) {
        struct merge_part *p = &w->parts[i];
        struct tm_clock_offset stop;
        t->reader->probes += (uint64_t)p->probes;
        t->reader->reads += (uint64_t)p->reads;
        t->reader->busy += (uint64_t)p->busy;
        merge_audit(t->audit, p);
        merge_final(&t->final, p, i == 0);
        for (size_t o = 0; o < p->objects_count; o++) {
            bool has = merge_has(w, i, o);
            t->reader->objects[o].found &= !has || p->objects[o].found;
            t->reader->objects[o].starred |= has && p->objects[o].starred;
        }
        rc = merge_offset_at(w, p, &stop, p->stop_ns, err);
        int64_t stop_ns = rc == TM_OK ? p->stop_ns + stop.offset_ns + stop.bound_ns : 0;
        /* what changed after a part stopped looking counts as not shown by it */
        c->stop_ns = i == 0 || stop_ns > c->stop_ns ? stop_ns : c->stop_ns;
        if (rc == TM_OK && i + 1 == w->parts_count)
            t->final.begun_ns = c->stop_ns;
    }
    return rc == TM_OK ? merge_shown(w, t->reader->shown, err) : rc;
}

static json_t *merge_told_partitions(const struct merge_work *w, size_t part, bool owned)
{
    json_t *out = json_object();
    const struct merge_part *p = &w->parts[part];
    for (size_t o = 0; o < p->objects_count; o++) {
        json_t *list = json_array();
        for (int32_t i = 0; i < w->owners[o].count; i++) {
            bool mine = w->owners[o].part[i] == part, some = false;
            for (size_t k = 0; k < p->offsets_count && !mine; k++)
                some |= (size_t)p->offsets[k].object == o && p->offsets[k].partition == i &&
                        p->offsets[k].next > 0;
            if (owned ? mine : some)
                json_array_append_new(list, json_integer(i));
        }
        json_object_set_new(out, p->objects[o].name, list);
    }
    return out;
}

static enum tm_code merge_told(struct merge_work *w, json_t **out, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    *out = json_array();
    for (size_t i = 0; rc == TM_OK && i < w->parts_count; i++) {
        struct merge_part *p = &w->parts[i];
        struct tm_clock_offset stop;
        rc = merge_offset_at(w, p, &stop, p->stop_ns, err);
        if (rc == TM_OK)
            json_array_append_new(*out, json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:f, s:f, s:I}",
                                                  "folder", p->folder, "host", p->host, "warehouse",
                                                  p->warehouse, "records", (json_int_t)p->records,
                                                  "partitions", merge_told_partitions(w, i, true),
                                                  "left_out", merge_told_partitions(w, i, false),
                                                  "clock_ahead_ms", (double)stop.offset_ns / 1e6,
                                                  "clock_bound_ms", (double)p->bound_ns_max / 1e6,
                                                  "comparisons", (json_int_t)p->clocks_count));
    }
    return rc;
}

static enum tm_code merge_judge(struct merge_work *w, json_t **out_parts, int *out_exit,
                                struct tm_err *err)
{
    const struct tm_check_ports ports = { .wall_ns = w->args->wall_ns, .virtual = true };
    struct tm_check *c = NULL;
    struct tm_plan *plan = NULL;
    sqlite3 *org = NULL;
    char copy[500];
    if (snprintf(copy, sizeof copy, "%s/" TM_MERGE_COPY, w->args->out) >= (int)sizeof copy)
        return tm_fail(err, TM_E_ARG, "%.200s…: the path is too long", w->args->out);
    enum tm_code rc = tm_sql_open(&org, w->args->org, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = merge_plan(w, org, copy, &plan, err);
    tm_sql_close(org);
    if (rc == TM_OK)
        rc = tm_check_on(&c, plan, &ports, err);
    if (rc == TM_OK)
        rc = tm_check_history(c, err);
    if (rc == TM_OK)
        rc = merge_org(w, c->truth, err);
    if (rc == TM_OK)
        rc = merge_target(w, c, err);
    if (rc == TM_OK)
        rc = merge_copy(w, copy, err);
    if (rc == TM_OK) /* what is quoted of a row is looked up there */
        rc = tm_sql_open(&c->targets[0].reader->db, copy, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = merge_told(w, out_parts, err);
    if (rc == TM_OK)
        rc = tm_results_make(c, out_exit, err);
    tm_check_close(c);
    return rc;
}

enum tm_code tm_merge_parts(const struct tm_merge_args *args, json_t **out_parts, int *out_exit,
                            struct tm_err *err)
{
    struct merge_work *w = calloc(1, sizeof *w);
    enum tm_code rc = TM_OK;
    assert(args->folders_count > 0);
    *out_parts = NULL;
    if (w == NULL)
        return tm_fail(err, TM_E_NOMEM, "%zu parts", args->folders_count);
    w->args = args;
    if (args->folders_count > TM_MERGE_PARTS_MAX)
        rc = tm_fail(err, TM_E_ARG, "%zu folders: at most %d parts", args->folders_count,
                     TM_MERGE_PARTS_MAX);
    for (size_t i = 0; rc == TM_OK && i < args->folders_count; i++) {
        for (size_t k = 0; rc == TM_OK && k < i; k++)
            if (strcmp(args->folders[k], args->folders[i]) == 0)
                rc = tm_fail(err, TM_E_ARG, "%s is given twice", args->folders[i]);
        if (rc == TM_OK)
            rc = merge_part_open(&w->parts[w->parts_count++], args->folders[i], err);
    }
    if (rc == TM_OK)
        rc = merge_alike(w, err);
    if (rc == TM_OK)
        rc = merge_owners(w, err);
    if (rc == TM_OK)
        rc = merge_judge(w, out_parts, out_exit, err);
    for (size_t i = 0; i < w->parts_count; i++)
        merge_part_close(&w->parts[i]);
    free(w->owners);
    free(w);
    return rc;
}
