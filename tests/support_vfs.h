/* support_vfs: SQLite's files failing under a station: the n-th call of a kind answers "disk full",
 * "I/O error" or "busy". Wraps the system's own VFS and is the default one while installed, for
 * every file whose path holds `only` (NULL: all). */
#ifndef TM_TESTS_SUPPORT_VFS_H
#define TM_TESTS_SUPPORT_VFS_H
#include <stdbool.h>

enum sv_fault {
    SV_FAULT_WRITE, /* write, truncate, sync, growing the shared memory */
    SV_FAULT_READ,
    SV_FAULT_LOCK /* of the file and of the WAL index */
};
int support_vfs_install(void **state); /* cmocka group set-up and tear-down */
int support_vfs_remove(void **state);
#define SUPPORT_VFS_EVER 1000000000
/* `calls` of that kind still succeed, then `times` answer `code`. */
void support_vfs_arm(enum sv_fault kind, int calls, int times, int code, const char *only);
void support_vfs_pause(bool paused); /* neither counts nor fails meanwhile */
/* Whether it came to that; nothing fails afterwards. */
bool support_vfs_disarm(void);
#endif
