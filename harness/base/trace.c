#include "base/trace.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tm_trace {
    FILE *f;
};

enum tm_code tm_trace_open(struct tm_trace **out, const char *path, struct tm_err *err)
{
    struct tm_trace *t = calloc(1, sizeof *t);
    if (t == NULL)
        return tm_fail(err, TM_E_NOMEM, "trace %s", path);
    t->f = fopen(path, "ab");
    if (t->f == NULL) {
        free(t);
        return tm_fail(err, TM_E_IO, "trace %s: %s", path, strerror(errno));
    }
    /* a process that was killed may have left half a mark, and all behind it would be read askew */
    long bytes = fseek(t->f, 0, SEEK_END) == 0 ? ftell(t->f) : 0, over = 0;
    if (bytes > 0)
        over = bytes % (long)sizeof(struct tm_trace_mark);
    if (over != 0 && ftruncate(fileno(t->f), bytes - over) != 0) {
        fclose(t->f);
        free(t);
        return tm_fail(err, TM_E_IO, "trace %s: %s", path, strerror(errno));
    }
    setvbuf(t->f, NULL, _IOFBF, 1 << 16);
    *out = t;
    return TM_OK;
}

uint32_t tm_trace_object_hash(const char *object)
{
    char lower[128];
    tm_name_lower(lower, sizeof lower, object);
    return (uint32_t)tm_hash64(lower, strlen(lower), 0);
}

void tm_trace_add(struct tm_trace *t, enum tm_trace_kind kind, const char *object, int64_t key,
                  int64_t wall_ns)
{
    if (t == NULL)
        return;
    struct tm_trace_mark m = { .kind = (uint32_t)kind,
                               .object_hash = tm_trace_object_hash(object),
                               .key = key,
                               .wall_ns = wall_ns };
    fwrite(&m, sizeof m, 1, t->f);
}

void tm_trace_flush(struct tm_trace *t)
{
    if (t != NULL)
        fflush(t->f);
}

void tm_trace_close(struct tm_trace *t)
{
    if (t == NULL)
        return;
    fclose(t->f);
    free(t);
}
