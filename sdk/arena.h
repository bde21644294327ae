/* An arena: many small allocations, freed together. One thread at a time. */
#ifndef SL_SDK_ARENA_H
#define SL_SDK_ARENA_H

#include <stddef.h>

#include "runtime/err.h"

typedef struct sl_arena {
    struct sl_arena_chunk *chunks; /* the newest first */
    char *next;                    /* free part of the newest chunk */
    char *end;
    size_t held_bytes; /* taken from the heap so far */
} sl_arena;

void sl_arena_init(sl_arena *arena);
/* Frees every allocation made from it. */
void sl_arena_fini(sl_arena *arena);

/* `size` bytes, not cleared; `align` is 1, 2, 4 or 8. NULL when out of memory. */
void *sl_arena_alloc(sl_arena *arena, size_t size, size_t align) SL_CHECKED;

/* A NUL-terminated copy of `length` bytes of `text`. NULL when out of memory. */
char *sl_arena_copy(sl_arena *arena, const char *text, size_t length) SL_CHECKED;

#endif
