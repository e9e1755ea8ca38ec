/* merge_part: one part.db, read and looked at: it came from elsewhere. */
#include "check/merge_inner.h"
#include "check/journal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART_OFFSETS_MAX (TM_MERGE_PARTITIONS_MAX * MERGE_TOPICS * TM_SHOWN_OBJECTS_MAX)
#define PART_CLOCKS_MAX 10000000

static enum tm_code part_broken(const struct merge_part *p, const char *what, struct tm_err *err)
{
    return tm_fail(err, TM_E_ARG, "%s is not a part as tidemark check --part leaves it: %s",
                   p->path, what);
}

/* A text of at most `bytes` - 1; longer or missing is broken. */
static bool part_column(char *out, size_t bytes, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    if (text == NULL || strlen(text) >= bytes)
        return false;
    strcpy(out, text);
    return true;
}

static enum tm_code part_meta(struct merge_part *p, struct tm_err *err)
{
    const struct {
        const char *key;
        char *out;
        size_t bytes;
    } texts[] = { { "host", p->host, sizeof p->host },
                  { "warehouse", p->warehouse, sizeof p->warehouse },
                  { "cluster_id", p->cluster, sizeof p->cluster },
                  { "org_id", p->org_id, sizeof p->org_id },
                  { "org_boot_id", p->org_boot_id, sizeof p->org_boot_id },
                  { "final_example", p->final_example, sizeof p->final_example },
                  { "duplicate", p->duplicate, sizeof p->duplicate },
                  { "audit_example", p->audit_example, sizeof p->audit_example } };
    int64_t format = 0;
    const struct {
        const char *key;
        int64_t *out;
    } numbers[] = { { "format", &format },
                    { "stop_ns", &p->stop_ns },
                    { "probes", &p->probes },
                    { "reads", &p->reads },
                    { "busy", &p->busy },
                    { "final_ok", &p->final_ok },
                    { "final_rows", &p->final_rows },
                    { "final_changed", &p->final_changed },
                    { "final_begun_ns", &p->final_begun_ns },
                    { "duplicates", &p->duplicates },
                    { "audit_count", &p->audit_count },
                    { "audit_rows", &p->audit_rows },
                    { "audit_left_out", &p->audit_left_out },
                    { "audit_differing", &p->audit_differing } };
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(&q, p->db, "SELECT value FROM meta WHERE key=?1", err);
    for (size_t i = 0; rc == TM_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        sqlite3_bind_text(q, 1, numbers[i].key, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
        if (rc == TM_OK && (!row || sqlite3_column_type(q, 0) != SQLITE_INTEGER))
            rc = part_broken(p, numbers[i].key, err);
        if (rc == TM_OK)
            *numbers[i].out = sqlite3_column_int64(q, 0);
        sqlite3_reset(q);
    }
    for (size_t i = 0; rc == TM_OK && i < sizeof texts / sizeof texts[0]; i++) {
        sqlite3_bind_text(q, 1, texts[i].key, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
        if (rc == TM_OK && (!row || !part_column(texts[i].out, texts[i].bytes, q, 0)))
            rc = part_broken(p, texts[i].key, err);
        sqlite3_reset(q);
    }
    tm_sql_finalize(q);
    if (rc == TM_OK && format != TM_PART_FORMAT)
        rc = tm_fail(err, TM_E_ARG,
                     "%s was written in format %lld, this program reads %d: use one "
                     "version on all hosts",
                     p->path, (long long)format, TM_PART_FORMAT);
    return rc;
}

static enum tm_code part_objects(struct merge_part *p, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = tm_sql_prepare(
        &q, p->db,
        "SELECT object,name,found,starred,query_ns,coalesce(partitions,0) FROM relation ORDER BY "
        "object",
        err);
    while (rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row) {
        struct merge_object *o = &p->objects[p->objects_count];
        if (p->objects_count == TM_SHOWN_OBJECTS_MAX ||
            sqlite3_column_int64(q, 0) != (int64_t)p->objects_count ||
            !part_column(o->name, sizeof o->name, q, 1))
            rc = part_broken(p, "relations", err);
        int64_t partitions = sqlite3_column_int64(q, 5);
        if (rc == TM_OK && (partitions < 0 || partitions > TM_MERGE_PARTITIONS_MAX))
            rc = part_broken(p, "a number of partitions", err);
        if (rc != TM_OK)
            break;
        o->found = sqlite3_column_int(q, 2) != 0;
        o->starred = sqlite3_column_int(q, 3) != 0;
        o->query_ns = sqlite3_column_int64(q, 4);
        o->partitions = (int32_t)partitions;
        p->objects_count++;
    }
    tm_sql_finalize(q);
    return rc == TM_OK && p->objects_count == 0 ? part_broken(p, "no relation", err) : rc;
}

/* Room for as many as the table has. */
static enum tm_code part_room(void **out, size_t *count, struct merge_part *p, const char *sql,
                              size_t bytes, int64_t max, struct tm_err *err)
{
    int64_t rows = 0;
    enum tm_code rc = tm_sql_int64(&rows, p->db, sql, err);
    if (rc == TM_OK && (rows < 0 || rows > max))
        rc = part_broken(p, "too many rows", err);
    if (rc == TM_OK && (*out = calloc((size_t)rows + 1, bytes)) == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "%s: %lld rows", p->path, (long long)rows);
    *count = rc == TM_OK ? (size_t)rows : 0;
    return rc;
}

/* What it saw; and where each record that it saw lies. */
static enum tm_code part_shown(struct merge_part *p, struct tm_err *err)
{
    const char *names[TM_SHOWN_OBJECTS_MAX];
    char path[620];
    struct tm_journal *journal = NULL;
    snprintf(path, sizeof path, "%.580s/" TM_PART_JOURNAL, p->folder);
    if (access(path, R_OK) != 0) /* opening would make it */
        return part_broken(p, TM_PART_JOURNAL " is missing beside it", err);
    for (size_t o = 0; o < p->objects_count; o++)
        names[o] = p->objects[o].name;
    enum tm_code rc =
        tm_reader_open(&p->reader, p->warehouse, false, names, p->objects_count, NULL, err);
    if (rc == TM_OK)
        rc = tm_journal_open(&journal, path, err);
    if (rc == TM_OK)
        rc = tm_journal_restore(journal, 0, p->reader, err);
    tm_journal_close(journal);
    return rc == TM_OK ? TM_OK : tm_at(err, "%s", p->folder);
}

static enum tm_code part_places(struct merge_part *p, struct tm_err *err)
{
    const struct tm_shown *s = p->reader->shown;
    sqlite3_stmt *q = NULL;
    bool row = false;
    p->partitions = calloc(s->rows_count + 1, sizeof *p->partitions);
    if (p->partitions == NULL)
        return tm_fail(err, TM_E_NOMEM, "%s: %zu rows", p->path, s->rows_count);
    enum tm_code rc =
        tm_sql_prepare(&q, p->db, "SELECT partition FROM place WHERE object=?1 AND id=?2", err);
    for (size_t i = 0; rc == TM_OK && i < s->rows_count; i++) {
        sqlite3_bind_int(q, 1, s->rows[i].object);
        sqlite3_bind_text(q, 2, s->rows[i].id, -1, SQLITE_STATIC);
        rc = tm_sql_step(q, &row, err);
        int64_t partition = rc == TM_OK && row ? sqlite3_column_int64(q, 0) : MERGE_NOWHERE;
        sqlite3_reset(q);
        if (rc == TM_OK && (partition < MERGE_NOWHERE || partition >= TM_MERGE_PARTITIONS_MAX))
            rc = part_broken(p, "the place of a record", err);
        p->partitions[i] = (int32_t)partition;
    }
    tm_sql_finalize(q);
    return rc;
}

static enum tm_code part_offsets(struct merge_part *p, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc = part_room((void **)&p->offsets, &p->offsets_count, p,
                                "SELECT count(*) FROM offset WHERE object IS NOT NULL",
                                sizeof *p->offsets, PART_OFFSETS_MAX, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&q, p->db,
                            "SELECT topic,partition,next_offset,object,assigned=0 FROM offset WHERE object IS "
                            "NOT NULL",
                            err);
    for (size_t i = 0; rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row; i++) {
        struct merge_offset *o = &p->offsets[i];
        int64_t object = sqlite3_column_int64(q, 3), partition = sqlite3_column_int64(q, 1);
        if (i >= p->offsets_count || !part_column(o->topic, sizeof o->topic, q, 0) || object < 0 ||
            object >= (int64_t)p->objects_count || partition < 0 ||
            partition >= TM_MERGE_PARTITIONS_MAX) {
            rc = part_broken(p, "an offset", err);
            break;
        }
        o->object = (int)object;
        o->partition = (int32_t)partition;
        o->next = sqlite3_column_int64(q, 2);
        o->lost = sqlite3_column_int(q, 4) != 0;
    }
    tm_sql_finalize(q);
    return rc;
}

static enum tm_code part_clocks(struct merge_part *p, struct tm_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    enum tm_code rc =
        part_room((void **)&p->clocks, &p->clocks_count, p, "SELECT count(*) FROM clock",
                  sizeof *p->clocks, PART_CLOCKS_MAX, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&q, p->db, "SELECT at_ns,offset_ns,bound_ns FROM clock ORDER BY at_ns",
                            err);
    for (size_t i = 0; rc == TM_OK && (rc = tm_sql_step(q, &row, err)) == TM_OK && row; i++) {
        /* beyond a century nothing is an instant */
        static const int64_t max_ns = 4000000000LL * TM_NS_PER_S / 2;
        int64_t n[3];
        for (int k = 0; k < 3; k++)
            n[k] = sqlite3_column_int64(q, k);
        if (i >= p->clocks_count || n[0] < 0 || n[0] > max_ns || n[1] < -max_ns || n[1] > max_ns ||
            n[2] < 0 || n[2] > max_ns) {
            rc = part_broken(p, "a comparison of clocks", err);
            break;
        }
        p->clocks[i] = (struct tm_clock_seen){ n[0], { n[1], n[2] } };
    }
    tm_sql_finalize(q);
    return rc == TM_OK && p->clocks_count == 0
               ? part_broken(p, "its clock was never compared with the org's", err)
               : rc;
}

enum tm_code merge_part_open(struct merge_part *p, const char *folder, struct tm_err *err)
{
    p->folder = folder;
    snprintf(p->path, sizeof p->path, "%.580s/" TM_PART_FILE, folder);
    enum tm_code rc = tm_sql_open(&p->db, p->path, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = part_meta(p, err);
    if (rc == TM_OK)
        rc = part_objects(p, err);
    if (rc == TM_OK)
        rc = part_clocks(p, err);
    if (rc == TM_OK)
        rc = part_shown(p, err);
    if (rc == TM_OK)
        rc = part_places(p, err);
    if (rc == TM_OK)
        rc = part_offsets(p, err);
    return rc;
}

void merge_part_close(struct merge_part *p)
{
    tm_sql_close(p->db);
    tm_reader_close(p->reader);
    free(p->clocks);
    free(p->partitions);
    free(p->offsets);
    for (size_t o = 0; o < p->objects_count; o++)
        free(p->objects[o].columns);
}
