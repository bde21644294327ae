#include "sdk/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Chunks grow with what there is: a run of ten tasks stays small, and of a million malloc is not
 * seen. */
#define CHUNK_LEAST_BYTES ((size_t)4 * 1024)
#define CHUNK_BYTES       ((size_t)256 * 1024)

struct sl_arena_chunk {
    struct sl_arena_chunk *older;
    char bytes[];
};

void sl_arena_init(sl_arena *arena) {
    memset(arena, 0, sizeof *arena);
}

void sl_arena_fini(sl_arena *arena) {
    struct sl_arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct sl_arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    sl_arena_init(arena);
}

static size_t next_chunk_bytes(const sl_arena *arena, size_t size) {
    size_t bytes = CHUNK_LEAST_BYTES;
    while (bytes < CHUNK_BYTES && (bytes < arena->held_bytes || bytes / 4 < size))
        bytes *= 2;
    return bytes;
}

static struct sl_arena_chunk *chunk_add(sl_arena *arena, size_t size) {
    if (size > SIZE_MAX / 2)
        return NULL;
    struct sl_arena_chunk *chunk = malloc(sizeof *chunk + size);
    if (!chunk)
        return NULL;
    arena->held_bytes += sizeof *chunk + size;
    return chunk;
}

/* A chunk of its own, put behind the newest so that the newest's free part stays in use. */
static void *alloc_large(sl_arena *arena, size_t size) {
    struct sl_arena_chunk *chunk = chunk_add(arena, size);
    if (!chunk)
        return NULL;
    if (arena->chunks) {
        chunk->older = arena->chunks->older;
        arena->chunks->older = chunk;
    } else {
        chunk->older = NULL;
        arena->chunks = chunk;
    }
    return chunk->bytes;
}

void *sl_arena_alloc(sl_arena *arena, size_t size, size_t align) {
    size_t pad = (size_t)(-(uintptr_t)arena->next & (align - 1));
    if (size <= (size_t)(arena->end - arena->next) &&
        pad <= (size_t)(arena->end - arena->next) - size) {
        char *result = arena->next + pad;
        arena->next = result + size;
        return result;
    }
    if (size > CHUNK_BYTES / 4)
        return alloc_large(arena, size);
    size_t bytes = next_chunk_bytes(arena, size);
    struct sl_arena_chunk *chunk = chunk_add(arena, bytes);
    if (!chunk)
        return NULL;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->next = chunk->bytes + size;
    arena->end = chunk->bytes + bytes;
    return chunk->bytes;
}

char *sl_arena_copy(sl_arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX)
        return NULL;
    char *copy = sl_arena_alloc(arena, length + 1, 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}
