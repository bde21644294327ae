/* The priorities at which tasks of one shape wait: found by priority, and the best of them first.
 */
#ifndef SL_SCHEDULER_LEVELS_H
#define SL_SCHEDULER_LEVELS_H

#include "actors/scheduler/key_heap.h"

/* Tasks of one priority, in order of arrival; there is one as long as a task waits in it. */
typedef struct sl_level {
    int32_t priority;
    uint32_t head; /* first task; of an unused level, the next unused one */
    uint32_t tail;
} sl_level;

typedef struct sl_levels {
    sl_level *all;
    sl_key_heap order; /* by the key of each level's head */
    uint32_t *table;   /* level by priority: open addressing; NULL while there are few */
    uint32_t capacity;
    uint32_t free;  /* first unused level */
    uint64_t looks; /* at levels and places of the table, beside order.looks: for tests */
} sl_levels;

enum { SL_LEVEL_NONE = UINT32_MAX };

/* Zeroed levels are empty. */
void sl_levels_fini(sl_levels *levels);

/* The level of a priority, or SL_LEVEL_NONE. */
uint32_t sl_levels_find(sl_levels *levels, int32_t priority);

/* A level for a priority that has none: to be given a head and a key before the next call. */
sl_err sl_levels_add(sl_levels *levels, int32_t priority, uint32_t *level) SL_CHECKED;

/* Its last task has gone. */
void sl_levels_remove(sl_levels *levels, uint32_t level);

#endif
