/* Design notes
 * A fresh large allocation costs one page fault per 4 KiB, more than moving its bytes over shared
 * memory, and reading it from another process costs a walk per page. So blobs lie in huge pages
 * where the system gives them, and freed ones are kept, bounded in total. Up to 1 MiB they are cut
 * from a huge page in units of 64 KiB, of which a word of bits tells the free ones; larger ones are
 * powers of two, each with a list. What was freed last is taken first: it is warm. */
#include "runtime/pages.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { UNIT_SHIFT = 16, HUGE_SHIFT = 21, UNITS = 1 << (HUGE_SHIFT - UNIT_SHIFT), CLASSES = 41 };
enum { LOOKED_AT = 8 /* pages with holes, before a new one is taken */ };

#define PIECE_MOST_BYTES  ((uint64_t)1 << 20)
#define CACHE_LIMIT_BYTES ((uint64_t)256 << 20)

/* In the list while it has free units. */
struct sl_page {
    sl_page *next, *before;
    uint8_t *memory;
    uint32_t free_units;
};

/* At the beginning of free memory. */
typedef struct block {
    struct block *next;
} block;

static struct {
    pthread_mutex_t lock;
    sl_page *pages;
    block *free[CLASSES];
    uint64_t bytes; /* free ones */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* On a border of huge pages, as only whole ones are used as such. */
static void *map(uint64_t bytes) {
    uint64_t huge = (uint64_t)1 << HUGE_SHIFT;
    uint8_t *all =
        mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    uint64_t before = (huge - (uintptr_t)all % huge) % huge;
    if (before)
        munmap(all, before);
    munmap(all + before + bytes, huge - before);
    (void)madvise(all + before, bytes, MADV_HUGEPAGE);
    return all + before;
}

/* ---- pieces of a huge page ---- */

static uint32_t units_of(uint64_t bytes) {
    return (uint32_t)((bytes + ((uint64_t)1 << UNIT_SHIFT) - 1) >> UNIT_SHIFT);
}

static uint32_t mask_of(uint32_t units, uint32_t at) {
    return (units == UNITS ? UINT32_MAX : ((uint32_t)1 << units) - 1) << at;
}

/* Where `units` in a row are free, or UNITS. */
static uint32_t find_run(uint32_t free_units, uint32_t units) {
    while (units > 1) {
        uint32_t half = units / 2;
        free_units &= free_units >> half;
        units -= half;
    }
    return free_units ? (uint32_t)__builtin_ctz(free_units) : UNITS;
}

static void page_in(sl_page *page) {
    page->before = NULL;
    page->next = cache.pages;
    if (cache.pages)
        cache.pages->before = page;
    cache.pages = page;
}

static void page_out(sl_page *page) {
    if (page->next)
        page->next->before = page->before;
    *(page->before ? &page->before->next : &cache.pages) = page->next;
}

static void *piece_of(sl_page *page, uint32_t at, uint32_t units) {
    page->free_units &= ~mask_of(units, at);
    cache.bytes -= (uint64_t)units << UNIT_SHIFT;
    if (!page->free_units)
        page_out(page);
    return page->memory + ((size_t)at << UNIT_SHIFT);
}

static sl_page *page_create(void) {
    sl_page *page = malloc(sizeof *page);
    uint8_t *memory = page ? map((uint64_t)1 << HUGE_SHIFT) : NULL;
    if (!memory) {
        free(page);
        return NULL;
    }
    *page = (sl_page){.memory = memory, .free_units = UINT32_MAX};
    cache.bytes += (uint64_t)1 << HUGE_SHIFT;
    page_in(page);
    return page;
}

static void *piece_take(uint64_t bytes, sl_page **out) {
    uint32_t units = units_of(bytes), looked_at = 0, at = UNITS;
    sl_page *page = cache.pages;
    for (; page && looked_at < LOOKED_AT; page = page->next, looked_at++)
        if ((at = find_run(page->free_units, units)) < UNITS)
            break;
    if (at == UNITS) {
        page = page_create();
        at = 0;
    }
    *out = page;
    return page ? piece_of(page, at, units) : NULL;
}

static void piece_give(uint8_t *data, uint64_t bytes, sl_page *page) {
    uint32_t units = units_of(bytes), at = (uint32_t)((data - page->memory) >> UNIT_SHIFT);
    if (page->free_units)
        page_out(page);
    page->free_units |= mask_of(units, at);
    cache.bytes += (uint64_t)units << UNIT_SHIFT;
    if (page->free_units == UINT32_MAX && cache.bytes > CACHE_LIMIT_BYTES) {
        cache.bytes -= (uint64_t)1 << HUGE_SHIFT;
        munmap(page->memory, (size_t)1 << HUGE_SHIFT);
        free(page);
        return;
    }
    page_in(page);
}

/* ---- larger ones ---- */

static uint32_t class_of(uint64_t bytes) {
    uint32_t size_class = 64 - (uint32_t)__builtin_clzll(bytes - 1);
    return size_class < HUGE_SHIFT ? HUGE_SHIFT : size_class;
}

static void *block_take(uint32_t size_class) {
    block *first = cache.free[size_class];
    if (!first)
        return NULL;
    cache.free[size_class] = first->next;
    cache.bytes -= (uint64_t)1 << size_class;
    return first;
}

static bool block_keep(void *data, uint32_t size_class) {
    uint64_t bytes = (uint64_t)1 << size_class;
    if (cache.bytes + bytes > CACHE_LIMIT_BYTES)
        return false;
    block *first = data;
    first->next = cache.free[size_class];
    cache.free[size_class] = first;
    cache.bytes += bytes;
    return true;
}

/* ---- both ---- */

void *sl_pages_take(uint64_t bytes, sl_page **page) {
    bool piece = bytes <= PIECE_MOST_BYTES;
    *page = NULL;
    pthread_mutex_lock(&cache.lock);
    void *data = piece ? piece_take(bytes, page) : block_take(class_of(bytes));
    pthread_mutex_unlock(&cache.lock);
    return data || piece ? data : map((uint64_t)1 << class_of(bytes));
}

void sl_pages_give(void *data, uint64_t bytes, sl_page *page) {
    bool kept = true;
    pthread_mutex_lock(&cache.lock);
    if (page)
        piece_give(data, bytes, page);
    else
        kept = block_keep(data, class_of(bytes));
    pthread_mutex_unlock(&cache.lock);
    if (!kept)
        munmap(data, (size_t)1 << class_of(bytes));
}

uint64_t sl_pages_cached_bytes(void) {
    pthread_mutex_lock(&cache.lock);
    uint64_t bytes = cache.bytes;
    pthread_mutex_unlock(&cache.lock);
    return bytes;
}
