/* A set of nodes of one network, a bit each. */
#ifndef SL_REGISTRY_NODE_SET_H
#define SL_REGISTRY_NODE_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct sl_node_set {
    uint64_t *words; /* owned */
    uint32_t count;  /* of words */
} sl_node_set;

/* Empty, for nodes 0 … nodes - 1. False: no memory. */
static inline bool sl_node_set_init(sl_node_set *set, uint32_t nodes) {
    set->count = nodes / 64 + 1;
    set->words = calloc(set->count, sizeof *set->words);
    return set->words != NULL;
}

static inline void sl_node_set_fini(sl_node_set *set) {
    free(set->words);
    *set = (sl_node_set){NULL, 0};
}

static inline void sl_node_set_add(sl_node_set *set, uint32_t node) {
    set->words[node / 64] |= UINT64_C(1) << node % 64;
}

static inline void sl_node_set_remove(sl_node_set *set, uint32_t node) {
    set->words[node / 64] &= ~(UINT64_C(1) << node % 64);
}

static inline bool sl_node_set_has(const sl_node_set *set, uint32_t node) {
    return set->words[node / 64] >> node % 64 & 1;
}

static inline void sl_node_set_put(sl_node_set *set, uint32_t node, bool in) {
    if (in)
        sl_node_set_add(set, node);
    else
        sl_node_set_remove(set, node);
}

/* The first of the set from `node` on, or UINT32_MAX. */
static inline uint32_t sl_node_set_next(const sl_node_set *set, uint32_t node) {
    uint32_t at = node / 64;
    if (at >= set->count)
        return UINT32_MAX;
    uint64_t word = set->words[at] >> node % 64 << node % 64;
    while (!word) {
        if (++at == set->count)
            return UINT32_MAX;
        word = set->words[at];
    }
    return at * 64 + (uint32_t)__builtin_ctzll(word);
}

#endif
