#include "actors/scheduler/among.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits. */
static uint64_t hash_of(sl_bytes bits) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < bits.bytes; i++)
        hash = (hash ^ bits.data[i]) * 0x100000001b3u;
    return hash;
}

static bool is_same(const sl_among *among, uint64_t hash, sl_bytes bits) {
    return among->hash == hash && among->bytes == bits.bytes &&
           memcmp(among->bits, bits.data, bits.bytes) == 0;
}

static sl_err make(sl_amongs *all, uint64_t hash, sl_bytes bits, sl_among **among) {
    if (all->count == SL_AMONG_MOST)
        return sl_fail(SL_ERR_TOO_LARGE, "tasks name more than %d sets of nodes", SL_AMONG_MOST);
    sl_among *made = malloc(sizeof *made + bits.bytes);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a set of nodes");
    *made = (sl_among){.next = all->first, .hash = hash, .tasks = 1, .bytes = bits.bytes};
    memcpy(made->bits, bits.data, bits.bytes);
    all->first = made;
    all->count++;
    *among = made;
    return SL_OK;
}

sl_err sl_among_take(sl_amongs *all, sl_bytes bits, sl_among **among) {
    *among = NULL;
    if (!bits.bytes)
        return SL_OK;
    uint64_t hash = hash_of(bits);
    for (sl_among **at = &all->first; *at; at = &(*at)->next) {
        sl_among *found = *at;
        if (!is_same(found, hash, bits))
            continue;
        *at = found->next;
        found->next = all->first;
        all->first = found;
        found->tasks++;
        *among = found;
        return SL_OK;
    }
    return make(all, hash, bits, among);
}

void sl_among_give(sl_amongs *all, sl_among *among) {
    if (!among || --among->tasks)
        return;
    sl_among **at = &all->first;
    while (*at != among)
        at = &(*at)->next;
    *at = among->next;
    all->count--;
    free(among);
}
