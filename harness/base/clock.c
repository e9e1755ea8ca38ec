#include "base/clock.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CLOCK_MAGIC 0x746d636c6f636b32ULL /* "tmclock2" */

#define CLOCK_READS_MAX 1000000

struct clock_page { /* shared memory: written by one process, read by many */
    uint64_t magic;
    char boot_id[40];
    _Atomic int64_t org_origin_ms, wall_origin_ns;
    _Atomic uint64_t turn; /* odd: the two are being changed together */
    int64_t compress;
    int64_t alive_ns;                    /* the creator's last sign of life */
    int64_t first_org_ms, first_wall_ns; /* the origins, before any pause */
    struct tm_clock_pause pauses[TM_CLOCK_PAUSES_MAX];
    _Atomic size_t pauses_count;
};
struct tm_clock_file {
    struct clock_page *page; /* mapped, sizeof(struct clock_page) bytes */
};

int64_t tm_clock_org_at(const struct tm_clock_map *map, int64_t wall_ns)
{
    assert(map->compress >= 1);
    if (map->wall_origin_ns == TM_NEVER || wall_ns <= map->wall_origin_ns)
        return map->org_origin_ms;
    return map->org_origin_ms +
           (int64_t)((__int128)(wall_ns - map->wall_origin_ns) * map->compress / TM_NS_PER_MS);
}

int64_t tm_clock_wall_at(const struct tm_clock_map *map, int64_t org_ms)
{
    assert(map->compress >= 1);
    if (org_ms == TM_NEVER || map->wall_origin_ns == TM_NEVER)
        return TM_NEVER;
    if (org_ms <= map->org_origin_ms)
        return map->wall_origin_ns;
    __int128 ns = (__int128)(org_ms - map->org_origin_ms) * TM_NS_PER_MS;
    ns = (ns + map->compress - 1) / map->compress + map->wall_origin_ns;
    return ns > TM_NEVER ? TM_NEVER : (int64_t)ns;
}

int64_t tm_clock_without(const struct tm_clock_pause *pauses, size_t count, int64_t wall_ns)
{
    int64_t stood_ns = 0;
    for (size_t i = 0; i < count && wall_ns > pauses[i].from_ns; i++)
        stood_ns +=
            (wall_ns < pauses[i].until_ns ? wall_ns : pauses[i].until_ns) - pauses[i].from_ns;
    return wall_ns - stood_ns;
}

static int64_t clock_read(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * TM_NS_PER_S + ts.tv_nsec;
}

void tm_clock_compare(struct tm_clock_offset *best, int64_t sent_ns, int64_t received_ns,
                      int64_t theirs_ns)
{
    int64_t bound_ns = (received_ns - sent_ns + 1) / 2;
    assert(received_ns >= sent_ns);
    if (best->bound_ns >= 0 && bound_ns >= best->bound_ns)
        return;
    best->offset_ns = theirs_ns - (sent_ns + (received_ns - sent_ns) / 2);
    best->bound_ns = bound_ns;
}

static void clock_widen(int64_t *low_ns, int64_t *high_ns, const struct tm_clock_seen *seen,
                        int64_t at_ns)
{
    int64_t apart_ns = seen->at_ns > at_ns ? seen->at_ns - at_ns : at_ns - seen->at_ns;
    int64_t bound_ns = seen->offset.bound_ns + apart_ns / 1000000 * TM_CLOCK_DRIFT_PPM +
                       (apart_ns % 1000000 * TM_CLOCK_DRIFT_PPM + 999999) / 1000000;
    int64_t low = seen->offset.offset_ns - bound_ns, high = seen->offset.offset_ns + bound_ns;
    assert(seen->offset.bound_ns >= 0);
    *low_ns = low > *low_ns ? low : *low_ns;
    *high_ns = high < *high_ns ? high : *high_ns;
}

enum tm_code tm_clock_offset_at(struct tm_clock_offset *out, const struct tm_clock_seen *all,
                                size_t count, int64_t at_ns, struct tm_err *err)
{
    size_t after = 0, end = count;
    int64_t low_ns = INT64_MIN, high_ns = INT64_MAX;
    assert(count > 0);
    while (after < end) {
        size_t middle = (after + end) / 2;
        if (all[middle].at_ns < at_ns)
            after = middle + 1;
        else
            end = middle;
    }
    if (after > 0)
        clock_widen(&low_ns, &high_ns, &all[after - 1], at_ns);
    if (after < count)
        clock_widen(&low_ns, &high_ns, &all[after], at_ns);
    if (low_ns > high_ns)
        return tm_fail(err, TM_E_ARG,
                       "between two comparisons a clock moved by more than %d ppm of the time: one "
                       "of the hosts was suspended, or its clock was set",
                       TM_CLOCK_DRIFT_PPM);
    out->offset_ns = low_ns + (high_ns - low_ns) / 2;
    out->bound_ns = (high_ns - low_ns + 1) / 2;
    return TM_OK;
}

int64_t tm_clock_monotonic_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}
int64_t tm_clock_realtime_ns(void)
{
    return clock_read(CLOCK_REALTIME);
}

int64_t tm_clock_real_ms_at_zero(void)
{
    return (tm_clock_realtime_ns() - tm_clock_monotonic_ns()) / TM_NS_PER_MS;
}

static void clock_boot_id(char out[40])
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    memset(out, 0, 40);
    if (f == NULL)
        return;
    if (fgets(out, 40, f) == NULL)
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(f);
}

static enum tm_code clock_map(struct tm_clock_file **out, const char *path, int flags, int prot,
                              struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct clock_page *page = MAP_FAILED;
    struct tm_clock_file *file = NULL;
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        return tm_fail(err, TM_E_IO, "clock file %s: %s", path, strerror(errno));
    if ((flags & O_CREAT) && ftruncate(fd, (off_t)sizeof *page) != 0) {
        rc = tm_fail(err, TM_E_IO, "clock file %s: %s", path, strerror(errno));
        goto done;
    }
    if (!(flags & O_CREAT) && lseek(fd, 0, SEEK_END) < (off_t)sizeof *page) {
        rc = tm_fail(err, TM_E_PROTO, "clock file %s: too short to be one", path);
        goto done;
    }
    page = mmap(NULL, sizeof *page, prot, MAP_SHARED, fd, 0);
    file = calloc(1, sizeof *file);
    if (page == MAP_FAILED || file == NULL) {
        rc = tm_fail(err, TM_E_IO, "clock file %s: cannot map", path);
        goto done;
    }
    file->page = page;
    *out = file;
    file = NULL;
    page = MAP_FAILED;
done:
    if (page != MAP_FAILED)
        munmap(page, sizeof *page);
    free(file);
    close(fd);
    return rc;
}

enum tm_code tm_clock_file_create(struct tm_clock_file **out, const char *path,
                                  int64_t org_origin_ms, int64_t compress, struct tm_err *err)
{
    if (compress < 1)
        return tm_fail(err, TM_E_ARG, "compress must be at least 1, not %lld", (long long)compress);
    enum tm_code rc = clock_map(out, path, O_RDWR | O_CREAT | O_TRUNC, PROT_READ | PROT_WRITE, err);
    if (rc != TM_OK)
        return rc;
    struct clock_page *p = (*out)->page;
    clock_boot_id(p->boot_id);
    atomic_store(&p->org_origin_ms, org_origin_ms);
    p->compress = compress;
    atomic_store(&p->wall_origin_ns, TM_NEVER);
    p->first_org_ms = org_origin_ms;
    p->first_wall_ns = TM_NEVER;
    p->magic = CLOCK_MAGIC;
    return TM_OK;
}

/* Maps an existing file and checks what it is. */
static enum tm_code clock_existing(struct tm_clock_file **out, const char *path, int flags,
                                   int prot, struct tm_err *err)
{
    char boot[40];
    enum tm_code rc = clock_map(out, path, flags, prot, err);
    if (rc != TM_OK)
        return rc;
    clock_boot_id(boot);
    if ((*out)->page->magic != CLOCK_MAGIC)
        rc = tm_fail(err, TM_E_PROTO, "%s is not a clock file", path);
    else if (strncmp(boot, (*out)->page->boot_id, sizeof boot) != 0)
        rc = tm_fail(err, TM_E_MISMATCH, "clock file %s was made on another boot of a machine",
                     path);
    if (rc != TM_OK) {
        tm_clock_file_close(*out);
        *out = NULL;
    }
    return rc;
}

enum tm_code tm_clock_file_open(struct tm_clock_file **out, const char *path, struct tm_err *err)
{
    return clock_existing(out, path, O_RDONLY, PROT_READ, err);
}

void tm_clock_file_stop(struct tm_clock_file *file, int64_t now_ns)
{
    struct clock_page *p = file->page;
    size_t count = atomic_load(&p->pauses_count);
    struct tm_clock_map map;
    tm_clock_file_read(file, &map);
    if (map.wall_origin_ns == TM_NEVER || count == TM_CLOCK_PAUSES_MAX)
        return;
    /* at the next full millisecond of the org: nothing is rounded away */
    int64_t org_ms = tm_clock_org_at(&map, now_ns) + 1;
    p->pauses[count] = (struct tm_clock_pause){ tm_clock_wall_at(&map, org_ms), TM_NEVER };
    atomic_store(&p->pauses_count, count + 1);
    atomic_fetch_add(&p->turn, 1);
    atomic_store(&p->wall_origin_ns, TM_NEVER);
    atomic_store(&p->org_origin_ms, org_ms);
    atomic_fetch_add(&p->turn, 1);
}

enum tm_code tm_clock_file_resume(struct tm_clock_file **out, const char *path, int64_t last_ns,
                                  struct tm_err *err)
{
    enum tm_code rc = clock_existing(out, path, O_RDWR, PROT_READ | PROT_WRITE, err);
    if (rc != TM_OK)
        return rc;
    struct clock_page *p = (*out)->page;
    size_t count = atomic_load(&p->pauses_count);
    struct tm_clock_map map;
    tm_clock_file_read(*out, &map);
    if (map.wall_origin_ns == TM_NEVER && count == 0)
        rc = tm_fail(err, TM_E_ARG, "%s: the org's clock had not started yet", path);
    else if (count > TM_CLOCK_PAUSES_MAX || map.compress < 1)
        rc = tm_fail(err, TM_E_PROTO, "clock file %s is damaged", path);
    else if (map.wall_origin_ns != TM_NEVER && count == TM_CLOCK_PAUSES_MAX)
        rc = tm_fail(err, TM_E_LIMIT, "%s: it was resumed %d times already, the most there can be",
                     path, TM_CLOCK_PAUSES_MAX);
    if (rc != TM_OK) {
        tm_clock_file_close(*out);
        *out = NULL;
        return rc;
    }
    if (map.wall_origin_ns == TM_NEVER) /* the last try to resume did not come that far */
        return TM_OK;
    last_ns = p->alive_ns > last_ns ? p->alive_ns : last_ns;
    tm_clock_file_stop(*out, map.wall_origin_ns > last_ns ? map.wall_origin_ns : last_ns);
    return TM_OK;
}

void tm_clock_file_alive(struct tm_clock_file *file, int64_t wall_ns)
{
    file->page->alive_ns = wall_ns;
}

size_t tm_clock_file_history(const struct tm_clock_file *file, struct tm_clock_map *out_first,
                             struct tm_clock_pause out[TM_CLOCK_PAUSES_MAX])
{
    const struct clock_page *p = file->page;
    size_t count = atomic_load(&p->pauses_count);
    assert(count <= TM_CLOCK_PAUSES_MAX);
    *out_first = (struct tm_clock_map){ p->first_org_ms, p->first_wall_ns, p->compress };
    memcpy(out, p->pauses, count * sizeof *out);
    return count;
}

void tm_clock_file_start(struct tm_clock_file *file, int64_t wall_origin_ns)
{
    struct clock_page *p = file->page;
    size_t count = atomic_load(&p->pauses_count);
    assert(atomic_load(&p->wall_origin_ns) == TM_NEVER);
    if (count > 0)
        p->pauses[count - 1].until_ns = wall_origin_ns;
    else
        p->first_wall_ns = wall_origin_ns;
    atomic_store(&p->wall_origin_ns, wall_origin_ns);
}

void tm_clock_file_advance(struct tm_clock_file *file, int64_t ms)
{
    assert(file != NULL && ms >= 0);
    atomic_fetch_add(&file->page->org_origin_ms, ms);
}

void tm_clock_file_read(const struct tm_clock_file *file, struct tm_clock_map *out)
{
    struct clock_page *p = file->page;
    /* bounded: whoever changes them may be killed in between, and then so are we */
    for (int i = 0; i < CLOCK_READS_MAX; i++) {
        uint64_t turn = atomic_load(&p->turn);
        out->org_origin_ms = atomic_load(&p->org_origin_ms);
        out->wall_origin_ns = atomic_load(&p->wall_origin_ns);
        if (turn % 2 == 0 && atomic_load(&p->turn) == turn)
            break;
    }
    out->compress = p->compress;
}

void tm_clock_file_close(struct tm_clock_file *file)
{
    if (file == NULL)
        return;
    munmap(file->page, sizeof *file->page);
    free(file);
}

struct tm_now tm_clock_now(const struct tm_clock_file *file)
{
    struct tm_now now = { .wall_ns = tm_clock_monotonic_ns() };
    if (file == NULL) {
        now.org_ms = tm_clock_realtime_ns() / TM_NS_PER_MS;
        return now;
    }
    struct tm_clock_map map;
    tm_clock_file_read(file, &map);
    now.org_ms = tm_clock_org_at(&map, now.wall_ns);
    return now;
}
