/* The index from names to numbers: task names and array names share it. One thread at a time. */
#ifndef SL_SDK_TASK_NAMES_H
#define SL_SDK_TASK_NAMES_H

#include <stdint.h>

#include "runtime/err.h"

typedef struct sl_task_names {
    struct sl_name_slot *slots; /* open addressing, a power of two, at most 3/4 full */
    uint64_t mask;              /* slots - 1; 0: none yet */
    uint64_t used;
    uint64_t seed; /* differs per process run, so that a file cannot aim at one chain */
} sl_task_names;

void sl_task_names_init(sl_task_names *names);
void sl_task_names_fini(sl_task_names *names);

/* Adds `name` (borrowed; must outlive the index) with `value`. SL_ERR_EXISTS: it is there already
 * and
 * `*present` is its value. SL_ERR_NO_MEMORY. */
sl_err sl_task_names_add(sl_task_names *names, const char *name, uint64_t value,
                         uint64_t *present) SL_CHECKED;

/* The value of `name`. SL_ERR_NOT_FOUND (without a recorded cause) when there is none. */
sl_err sl_task_names_find(const sl_task_names *names, const char *name, uint64_t *value) SL_CHECKED;

#endif
