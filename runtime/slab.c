#include "runtime/slab.h"

#include <string.h>
#include <sys/mman.h>

enum { CHUNK_BYTES = 1024 * 1024 };

typedef struct chunk {
    struct chunk *next;
    uint8_t pad[SL_SLAB_GRAIN - sizeof(void *)];
} chunk;

void sl_slab_init(sl_slab *slab) {
    memset(slab, 0, sizeof *slab);
}

void sl_slab_fini(sl_slab *slab) {
    chunk *next;
    for (chunk *each = slab->chunks; each; each = next) {
        next = each->next;
        munmap(each, CHUNK_BYTES);
    }
    memset(slab, 0, sizeof *slab);
}

static int chunk_add(sl_slab *slab) {
    chunk *fresh =
        mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED)
        return -1;
    fresh->next = slab->chunks;
    slab->chunks = fresh;
    slab->chunk_bytes += CHUNK_BYTES;
    slab->at = (uint8_t *)(fresh + 1);
    slab->end = (uint8_t *)fresh + CHUNK_BYTES;
    return 0;
}

void *sl_slab_refill(sl_slab *slab, size_t size_class) {
    size_t bytes = (size_class ? size_class : 1) * SL_SLAB_GRAIN;
    if ((size_t)(slab->end - slab->at) < bytes && chunk_add(slab) != 0)
        return NULL;
    void *taken = slab->at;
    slab->at += bytes;
    return taken;
}
