#include "simulate/memory.h"
#include <assert.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_STEP 32   /* between one size and the next */
#define MEMORY_SIZES 160 /* up to a page of 4 KiB and what goes with it */
#define MEMORY_LISTED_MAX (MEMORY_STEP * MEMORY_SIZES) /* larger ones are the system's */
#define MEMORY_CHUNK_BYTES (256 * 1024)                /* taken from the system at once */

/* Before every block; keeps it aligned for anything. */
union block {
    size_t bytes;      /* that follow, as rounded */
    union block *next; /* while it is free: it lies behind, in the block itself */
    max_align_t align;
};
static union block *memory_free[MEMORY_SIZES + 1]; /* by bytes / MEMORY_STEP */
static char *memory_chunk;
static size_t memory_left; /* of the chunk */

static int memory_round(int bytes)
{
    return (bytes + MEMORY_STEP - 1) / MEMORY_STEP * MEMORY_STEP;
}

static union block *memory_cut(size_t bytes)
{
    size_t whole = bytes + sizeof(union block);
    if (memory_left < whole) { /* what is left is smaller than any of its size: it is lost */
        memory_chunk = malloc(MEMORY_CHUNK_BYTES);
        memory_left = memory_chunk != NULL ? MEMORY_CHUNK_BYTES : 0;
    }
    if (memory_left < whole)
        return NULL;
    union block *b = (union block *)(void *)memory_chunk;
    memory_chunk += whole;
    memory_left -= whole;
    return b;
}

static void *memory_malloc(int bytes)
{
    size_t size = (size_t)memory_round(bytes > 0 ? bytes : 1);
    union block *b;
    if (size > MEMORY_LISTED_MAX) {
        b = malloc(size + sizeof *b);
    } else if ((b = memory_free[size / MEMORY_STEP]) != NULL) {
        memory_free[size / MEMORY_STEP] = b[1].next;
    } else {
        b = memory_cut(size);
    }
    if (b == NULL)
        return NULL;
    b->bytes = size;
    return b + 1;
}

static void memory_release(void *at)
{
    union block *b = (union block *)at - 1;
    if (b->bytes > MEMORY_LISTED_MAX) {
        free(b);
        return;
    }
    b[1].next = memory_free[b->bytes / MEMORY_STEP];
    memory_free[b->bytes / MEMORY_STEP] = b;
}

static int memory_size(void *at)
{
    return at != NULL ? (int)((union block *)at - 1)->bytes : 0;
}

static void *memory_realloc(void *at, int bytes)
{
    size_t before = (size_t)memory_size(at), size = (size_t)memory_round(bytes);
    if (before > MEMORY_LISTED_MAX && size > MEMORY_LISTED_MAX) {
        union block *b = realloc((union block *)at - 1, size + sizeof *b);
        if (b == NULL)
            return NULL;
        b->bytes = size;
        return b + 1;
    }
    void *out = memory_malloc(bytes);
    if (out == NULL)
        return NULL;
    memcpy(out, at, before < size ? before : size);
    memory_release(at);
    return out;
}

static int memory_open(void *self)
{
    (void)self;
    return SQLITE_OK;
}

static void memory_shut(void *self)
{
    (void)self;
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define MEMORY_WATCHED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMORY_WATCHED 1
#endif
#endif
#ifndef MEMORY_WATCHED
#define MEMORY_WATCHED 0
#endif

void tm_sim_memory(void)
{
    static const sqlite3_mem_methods methods = { memory_malloc,  memory_release,
                                                 memory_realloc, memory_size,
                                                 memory_round,   memory_open,
                                                 memory_shut,    NULL };
    static_assert(sizeof(union block) <= MEMORY_STEP, "a free block has room for its list");
    if (!MEMORY_WATCHED)
        (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}
