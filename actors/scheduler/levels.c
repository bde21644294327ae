/* Design notes
 * Most shapes have one level or two: so few are looked through. Of many, a table of twice their
 * number finds one; what is taken out of it is filled from behind, so that nothing is left over by
 * priorities that come and go. */
#include "actors/scheduler/levels.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 8, FIRST_CAPACITY = 2 };

void sl_levels_fini(sl_levels *levels) {
    free(levels->all);
    free(levels->table);
    sl_key_heap_fini(&levels->order);
    memset(levels, 0, sizeof *levels);
}

/* ---- the table ---- */

static uint32_t home_of(const sl_levels *levels, int32_t priority) {
    uint64_t hash = (uint64_t)(uint32_t)priority * 0x9e3779b97f4a7c15u;
    return (uint32_t)(hash >> 32) & (2 * levels->capacity - 1);
}

/* Where the priority's level is in the table, or would be. */
static uint32_t place_of(sl_levels *levels, int32_t priority) {
    uint32_t mask = 2 * levels->capacity - 1, at = home_of(levels, priority);
    for (; levels->table[at] != SL_LEVEL_NONE; at = (at + 1) & mask) {
        levels->looks++;
        if (levels->all[levels->table[at]].priority == priority)
            break;
    }
    return at;
}

/* Levels behind the gap that could lie in it move up, and leave a gap of their own. */
static void close_gap(sl_levels *levels, uint32_t gap) {
    uint32_t mask = 2 * levels->capacity - 1;
    for (uint32_t at = gap;;) {
        levels->table[gap] = SL_LEVEL_NONE;
        uint32_t home;
        do {
            at = (at + 1) & mask;
            levels->looks++;
            if (levels->table[at] == SL_LEVEL_NONE)
                return;
            home = home_of(levels, levels->all[levels->table[at]].priority);
        } while (((at - home) & mask) < ((at - gap) & mask));
        levels->table[gap] = levels->table[at];
        gap = at;
    }
}

static sl_err grow(sl_levels *levels) {
    uint32_t capacity = levels->capacity ? 2 * levels->capacity : FIRST_CAPACITY;
    SL_TRY(sl_key_heap_reserve(&levels->order, capacity));
    sl_level *all = realloc(levels->all, capacity * sizeof *all);
    if (all)
        levels->all = all;
    uint32_t *table = capacity > FEW ? malloc(2 * (size_t)capacity * sizeof *table) : NULL;
    if (!all || (capacity > FEW && !table)) {
        free(table);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u priorities", capacity);
    }
    for (uint32_t i = levels->capacity; i < capacity; i++)
        all[i].head = i + 1 < capacity ? i + 1 : SL_LEVEL_NONE;
    levels->free = levels->capacity; /* only a full one grows */
    free(levels->table);
    levels->table = table;
    levels->capacity = capacity;
    if (!table)
        return SL_OK;
    memset(table, 0xff, 2 * (size_t)capacity * sizeof *table);
    for (uint32_t i = 0; i < levels->order.count; i++) {
        uint32_t level = levels->order.items[i].item;
        table[place_of(levels, all[level].priority)] = level;
    }
    return SL_OK;
}

/* ---- levels ---- */

uint32_t sl_levels_find(sl_levels *levels, int32_t priority) {
    if (levels->table)
        return levels->table[place_of(levels, priority)];
    for (uint32_t i = 0; i < levels->order.count; i++) {
        levels->looks++;
        if (levels->all[levels->order.items[i].item].priority == priority)
            return levels->order.items[i].item;
    }
    return SL_LEVEL_NONE;
}

sl_err sl_levels_add(sl_levels *levels, int32_t priority, uint32_t *level) {
    if (levels->order.count == levels->capacity)
        SL_TRY(grow(levels));
    *level = levels->free;
    levels->free = levels->all[*level].head;
    levels->all[*level] = (sl_level){priority, SL_LEVEL_NONE, SL_LEVEL_NONE};
    if (levels->table)
        levels->table[place_of(levels, priority)] = *level;
    return SL_OK;
}

void sl_levels_remove(sl_levels *levels, uint32_t level) {
    if (levels->table)
        close_gap(levels, place_of(levels, levels->all[level].priority));
    sl_key_heap_remove(&levels->order, level);
    levels->all[level].head = levels->free;
    levels->free = level;
}
