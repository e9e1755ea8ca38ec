#include "tests/support_folder.h"
#include <stdio.h>
#include <stdlib.h>

static char folder[64];

int folder_make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tidemark-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

int folder_remove(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

const char *folder_name(void)
{
    return folder;
}

const char *folder_path(const char *name)
{
    static char out[128];
    snprintf(out, sizeof out, "%s/%s", folder, name);
    return out;
}
