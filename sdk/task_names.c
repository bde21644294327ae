#include "sdk/task_names.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 256

typedef struct sl_name_slot {
    const char *name; /* NULL: empty */
    uint64_t value;
} sl_name_slot;

void sl_task_names_init(sl_task_names *names) {
    memset(names, 0, sizeof *names);
    /* The address of heap and stack vary by ASLR: enough against a file that aims at collisions. */
    names->seed = (uint64_t)(uintptr_t)names * 0x9e3779b97f4a7c15ull;
}

void sl_task_names_fini(sl_task_names *names) {
    free(names->slots);
    memset(names, 0, sizeof *names);
}

/* Multiply-and-fold over eight bytes at a time. */
static uint64_t hash_name(uint64_t seed, const char *name) {
    size_t left = strlen(name);
    uint64_t hash = seed ^ (left * 0x9fb21c651e98df25ull);
    while (left > 0) {
        uint64_t word = 0;
        size_t take = left < 8 ? left : 8;
        memcpy(&word, name, take);
        __uint128_t product = (__uint128_t)(hash ^ word) * 0xd6e8feb86659fd93ull;
        hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ seed;
        name += take;
        left -= take;
    }
    return hash ^ (hash >> 32);
}

/* The slot that holds `name`, or the empty one where it belongs. */
static sl_name_slot *slot_of(const sl_task_names *names, const char *name) {
    uint64_t at = hash_name(names->seed, name) & names->mask;
    while (names->slots[at].name && strcmp(names->slots[at].name, name) != 0)
        at = (at + 1) & names->mask;
    return &names->slots[at];
}

static sl_err grow(sl_task_names *names) {
    uint64_t count = names->mask ? (names->mask + 1) * 2 : FIRST_SLOTS;
    sl_task_names larger = {.mask = count - 1, .used = names->used, .seed = names->seed};
    larger.slots = calloc(count, sizeof *larger.slots);
    if (!larger.slots)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the names of %llu tasks",
                       (unsigned long long)names->used);
    for (uint64_t i = 0; names->mask && i <= names->mask; i++)
        if (names->slots[i].name)
            *slot_of(&larger, names->slots[i].name) = names->slots[i];
    free(names->slots);
    *names = larger;
    return SL_OK;
}

sl_err sl_task_names_add(sl_task_names *names, const char *name, uint64_t value,
                         uint64_t *present) {
    if ((names->used + 1) * 4 > (names->mask ? (names->mask + 1) * 3 : 0))
        SL_TRY(grow(names));
    sl_name_slot *slot = slot_of(names, name);
    if (slot->name) {
        *present = slot->value;
        return SL_ERR_EXISTS;
    }
    *slot = (sl_name_slot){name, value};
    names->used++;
    return SL_OK;
}

sl_err sl_task_names_find(const sl_task_names *names, const char *name, uint64_t *value) {
    if (!names->mask)
        return SL_ERR_NOT_FOUND;
    const sl_name_slot *slot = slot_of(names, name);
    if (!slot->name)
        return SL_ERR_NOT_FOUND;
    *value = slot->value;
    return SL_OK;
}
