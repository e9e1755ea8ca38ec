#include "source/seen.h"
#include <stdio.h>
#include <string.h>

bool tm_source_seen_has(const struct tm_source_seen *seen, const char *name)
{
    for (size_t i = 0; i < seen->count; i++)
        if (strncmp(seen->names[i], name, TM_SOURCE_SCHEMA_ID_BYTES - 1) == 0)
            return true;
    return false;
}

void tm_source_seen_add(struct tm_source_seen *seen, const char *name)
{
    if (seen->count == TM_SOURCE_SEEN_MAX) {
        memmove(seen->names[0], seen->names[1], sizeof seen->names - sizeof seen->names[0]);
        seen->count--;
    }
    snprintf(seen->names[seen->count++], sizeof seen->names[0], "%s", name);
}
