/* support_folder: one fresh folder of /tmp for all tests of a program, given to cmocka as setup and
 * teardown of the group. */
#ifndef TM_TESTS_SUPPORT_FOLDER_H
#define TM_TESTS_SUPPORT_FOLDER_H

int folder_make(void **state);
int folder_remove(void **state); /* and all that is in it */
const char *folder_name(void);
/* The path of a file in it; good until the next call. */
const char *folder_path(const char *name);
#endif
