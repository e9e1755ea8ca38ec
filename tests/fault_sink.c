/* The sink when SQLite's file fails under it: the n-th write, sync or truncation answers "disk
 * full" or "I/O error", for n = 1, 2, 3 … until a whole run fails nothing. After each round the
 * file is sound, holds no half batch, and a sink started again on it ends with every record exactly
 * once. The VFS shim wraps the system's own. */
#include "support_sink.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROUNDS_MAX 2000
static struct {
    int left, code;
    bool sticky, hit;
} fault; /* left: calls that still succeed; -1 = none fails */

static int fault_now(void)
{
    if (fault.left < 0)
        return SQLITE_OK;
    if (fault.left > 0) {
        fault.left--;
        return SQLITE_OK;
    }
    fault.hit = true;
    if (!fault.sticky)
        fault.left = -1;
    return fault.code;
}

/* ---- the shim ---- */

struct shim_file {
    sqlite3_file base;
    sqlite3_file *real;
};
static sqlite3_vfs *shim_under, shim_vfs;
#define REAL(f) (((struct shim_file *)(f))->real)
#define CALL(f, method, ...) REAL(f)->pMethods->method(REAL(f), ##__VA_ARGS__)

static int shim_close(sqlite3_file *f)
{
    return CALL(f, xClose);
}
static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return CALL(f, xRead, p, n, at);
}
static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int rc = fault_now();
    return rc != SQLITE_OK ? rc : CALL(f, xWrite, p, n, at);
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    int rc = fault_now();
    return rc != SQLITE_OK ? SQLITE_IOERR_TRUNCATE : CALL(f, xTruncate, n);
}
static int shim_sync(sqlite3_file *f, int flags)
{
    int rc = fault_now();
    return rc != SQLITE_OK ? SQLITE_IOERR_FSYNC : CALL(f, xSync, flags);
}
static int shim_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return CALL(f, xFileSize, n);
}
static int shim_lock(sqlite3_file *f, int l)
{
    return CALL(f, xLock, l);
}
static int shim_unlock(sqlite3_file *f, int l)
{
    return CALL(f, xUnlock, l);
}
static int shim_reserved(sqlite3_file *f, int *out)
{
    return CALL(f, xCheckReservedLock, out);
}
static int shim_control(sqlite3_file *f, int op, void *p)
{
    return CALL(f, xFileControl, op, p);
}
static int shim_sector(sqlite3_file *f)
{
    return CALL(f, xSectorSize);
}
static int shim_device(sqlite3_file *f)
{
    return CALL(f, xDeviceCharacteristics);
}
static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    int rc = extend ? fault_now() : SQLITE_OK;
    return rc != SQLITE_OK ? SQLITE_IOERR_SHMMAP : CALL(f, xShmMap, page, size, extend, out);
}
static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return CALL(f, xShmLock, at, n, flags);
}
static void shim_shm_barrier(sqlite3_file *f)
{
    CALL(f, xShmBarrier);
}
static int shim_shm_unmap(sqlite3_file *f, int drop)
{
    return CALL(f, xShmUnmap, drop);
}

static const sqlite3_io_methods shim_methods = { .iVersion = 2,
                                                 .xClose = shim_close,
                                                 .xRead = shim_read,
                                                 .xWrite = shim_write,
                                                 .xTruncate = shim_truncate,
                                                 .xSync = shim_sync,
                                                 .xFileSize = shim_size,
                                                 .xLock = shim_lock,
                                                 .xUnlock = shim_unlock,
                                                 .xCheckReservedLock = shim_reserved,
                                                 .xFileControl = shim_control,
                                                 .xSectorSize = shim_sector,
                                                 .xDeviceCharacteristics = shim_device,
                                                 .xShmMap = shim_shm_map,
                                                 .xShmLock = shim_shm_lock,
                                                 .xShmBarrier = shim_shm_barrier,
                                                 .xShmUnmap = shim_shm_unmap };

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct shim_file *s = (struct shim_file *)f;
    (void)vfs;
    s->real = (sqlite3_file *)(s + 1);
    int rc = shim_under->xOpen(shim_under, name, s->real, flags, out_flags);
    s->base.pMethods = s->real->pMethods != NULL ? &shim_methods : NULL;
    return rc;
}

static int shim_install(void **state)
{
    (void)state;
    shim_under = sqlite3_vfs_find(NULL);
    shim_vfs = *shim_under;
    shim_vfs.zName = "faulty";
    shim_vfs.szOsFile = (int)sizeof(struct shim_file) + shim_under->szOsFile;
    shim_vfs.xOpen = shim_open;
    return sqlite3_vfs_register(&shim_vfs, 1) == SQLITE_OK ? 0 : -1;
}

static int shim_remove(void **state)
{
    (void)state;
    return sqlite3_vfs_unregister(&shim_vfs) == SQLITE_OK ? 0 : -1;
}

/* ---- rounds ---- */

static void fill(struct ss_world *w)
{
    ss_schema(w, 1, "Id:string");
    ss_schema(w, 2, "Id:string,More:string");
    for (int i = 0; i < 8; i++)
        ss_produce(w, "a.b", i % 2, 1, (const char *const[]){ "one" });
    for (int i = 0; i < 4; i++)
        ss_produce(w, "a_b", i % 2, 2, (const char *const[]){ "two", "m" });
    ss_produce_bytes(w, "a.b", 0, "junk", 4);
}

/* Whole batches or none: what the offsets say is what the tables hold. */
static void sound(struct ss_world *w)
{
    char text[64];
    ss_text(w, text, sizeof text, "PRAGMA integrity_check");
    assert_string_equal(text, "ok");
    int64_t rows = 0;
    for (int t = 0; t < 2; t++) {
        if (ss_int(w, t == 0 ? "SELECT count(*) FROM sqlite_master WHERE name='a.b'"
                             : "SELECT count(*) FROM sqlite_master WHERE name='a_b'") > 0)
            rows += ss_int(w, t == 0 ? "SELECT count(*) FROM \"a.b\"" : "SELECT count(*) FROM a_b");
    }
    rows += ss_int(w, "SELECT count(*) FROM _undecodable");
    assert_int_equal(ss_int(w, "SELECT coalesce(sum(next_offset),0) FROM _offsets"), rows);
}

/* One run with the fault at call `n`; true when something failed. */
static bool one_round(int n, int code, bool sticky)
{
    struct ss_world w;
    struct tm_err err = { .code = TM_OK };
    ss_open(&w);
    fill(&w);
    fault.left = n;
    fault.code = code;
    fault.sticky = sticky;
    fault.hit = false;
    enum tm_code rc = ss_start(&w, &err);
    if (rc == TM_OK)
        rc = ss_run(&w, &err);
    /* a fault may also hit where SQLite can do without */
    if (fault.hit && rc != TM_OK) {
        assert_true(rc == TM_E_IO || rc == TM_E_NOMEM);
        assert_non_null(strstr(err.msg, "raw.db"));
    } else {
        assert_int_equal(rc, TM_OK);
    }
    bool hit = fault.hit;
    ss_stop(&w);
    fault.left = -1;
    tm_err_clear(&err);
    assert_int_equal(ss_start(&w, &err), TM_OK);
    sound(&w);
    ss_run_ok(&w);
    sound(&w);
    assert_int_equal(ss_int(&w, "SELECT count(*) FROM \"a.b\""), 8);
    assert_int_equal(ss_int(&w, "SELECT count(*) FROM a_b WHERE More='m'"), 4);
    assert_int_equal(ss_int(&w, "SELECT count(*) FROM _undecodable"), 1);
    ss_close(&w);
    return hit;
}

static void rounds(int code, bool sticky)
{
    int n = 0;
    while (n < ROUNDS_MAX && one_round(n, code, sticky))
        n++;
    /* faults were met, and then none was left to meet */
    assert_true(n > 10 && n < ROUNDS_MAX);
}

static void a_disk_that_is_full_for_a_moment_loses_and_doubles_nothing(void **state)
{
    (void)state;
    rounds(SQLITE_FULL, false);
}

static void a_disk_that_stays_full_loses_and_doubles_nothing(void **state)
{
    (void)state;
    rounds(SQLITE_FULL, true);
}

static void an_io_error_at_any_write_loses_and_doubles_nothing(void **state)
{
    (void)state;
    rounds(SQLITE_IOERR_WRITE, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_is_full_for_a_moment_loses_and_doubles_nothing),
        cmocka_unit_test(a_disk_that_stays_full_loses_and_doubles_nothing),
        cmocka_unit_test(an_io_error_at_any_write_loses_and_doubles_nothing),
    };
    return cmocka_run_group_tests(tests, shim_install, shim_remove);
}
