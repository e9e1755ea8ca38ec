#include "support_vfs.h"
#include <sqlite3.h>
#include <string.h>

static struct {
    enum sv_fault kind;
    int left, times, code; /* calls that still succeed, then fail */
    bool hit, paused;
    const char *only;
} fault;

struct shim_file {
    sqlite3_file base;
    sqlite3_file *real;
    const char *name; /* SQLite's own copy, which outlives the file; NULL: temporary */
};
static sqlite3_vfs *shim_under, shim_vfs;
#define REAL(f) (((struct shim_file *)(f))->real)
#define CALL(f, method, ...) REAL(f)->pMethods->method(REAL(f), ##__VA_ARGS__)

static int fault_now(sqlite3_file *f, enum sv_fault kind, int code)
{
    const char *name = ((struct shim_file *)f)->name;
    if (fault.times == 0 || fault.paused || fault.kind != kind ||
        (fault.only != NULL && (name == NULL || strstr(name, fault.only) == NULL)))
        return SQLITE_OK;
    if (fault.left > 0) {
        fault.left--;
        return SQLITE_OK;
    }
    fault.hit = true;
    fault.times--;
    return code != 0 ? code : fault.code;
}

static int shim_close(sqlite3_file *f)
{
    return CALL(f, xClose);
}
static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    int rc = fault_now(f, SV_FAULT_READ, 0);
    return rc != SQLITE_OK ? rc : CALL(f, xRead, p, n, at);
}
static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int rc = fault_now(f, SV_FAULT_WRITE, 0);
    return rc != SQLITE_OK ? rc : CALL(f, xWrite, p, n, at);
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    int rc = fault_now(f, SV_FAULT_WRITE, SQLITE_IOERR_TRUNCATE);
    return rc != SQLITE_OK ? rc : CALL(f, xTruncate, n);
}
static int shim_sync(sqlite3_file *f, int flags)
{
    int rc = fault_now(f, SV_FAULT_WRITE, SQLITE_IOERR_FSYNC);
    return rc != SQLITE_OK ? rc : CALL(f, xSync, flags);
}
static int shim_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return CALL(f, xFileSize, n);
}
static int shim_lock(sqlite3_file *f, int l)
{
    int rc = fault_now(f, SV_FAULT_LOCK, 0);
    return rc != SQLITE_OK ? rc : CALL(f, xLock, l);
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
    int rc = extend ? fault_now(f, SV_FAULT_WRITE, SQLITE_IOERR_SHMMAP) : SQLITE_OK;
    return rc != SQLITE_OK ? rc : CALL(f, xShmMap, page, size, extend, out);
}
static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    int rc = (flags & SQLITE_SHM_LOCK) != 0 ? fault_now(f, SV_FAULT_LOCK, 0) : SQLITE_OK;
    return rc != SQLITE_OK ? rc : CALL(f, xShmLock, at, n, flags);
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
    s->name = name;
    int rc = shim_under->xOpen(shim_under, name, s->real, flags, out_flags);
    s->base.pMethods = s->real->pMethods != NULL ? &shim_methods : NULL;
    return rc;
}

int support_vfs_install(void **state)
{
    (void)state;
    shim_under = sqlite3_vfs_find(NULL);
    shim_vfs = *shim_under;
    shim_vfs.zName = "faulty";
    shim_vfs.szOsFile = (int)sizeof(struct shim_file) + shim_under->szOsFile;
    shim_vfs.xOpen = shim_open;
    return sqlite3_vfs_register(&shim_vfs, 1) == SQLITE_OK ? 0 : -1;
}

int support_vfs_remove(void **state)
{
    (void)state;
    return sqlite3_vfs_unregister(&shim_vfs) == SQLITE_OK ? 0 : -1;
}

void support_vfs_arm(enum sv_fault kind, int calls, int times, int code, const char *only)
{
    fault.kind = kind;
    fault.left = calls;
    fault.code = code;
    fault.times = times;
    fault.hit = false;
    fault.only = only;
}

void support_vfs_pause(bool paused)
{
    fault.paused = paused;
}

bool support_vfs_disarm(void)
{
    fault.times = 0;
    return fault.hit;
}
