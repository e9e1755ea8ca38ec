/* seen: the event schema ids met last; the oldest is forgotten first, which costs one describe.
 * Pure, caller's memory. */
#ifndef TM_SOURCE_SEEN_H
#define TM_SOURCE_SEEN_H
#include <stdbool.h>
#include <stddef.h>

#define TM_SOURCE_SEEN_MAX 64
#define TM_SOURCE_SCHEMA_ID_BYTES 64 /* Salesforce's have 22 characters */
struct tm_source_seen {
    char names[TM_SOURCE_SEEN_MAX][TM_SOURCE_SCHEMA_ID_BYTES];
    size_t count;
};
bool tm_source_seen_has(const struct tm_source_seen *seen, const char *name);
void tm_source_seen_add(struct tm_source_seen *seen, const char *name);
#endif
