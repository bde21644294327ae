/* What a task asks for, from the options of the public API to the amounts that messages carry. The
 * options have been checked. Any thread. */
#ifndef SL_SDK_TASK_AMOUNTS_H
#define SL_SDK_TASK_AMOUNTS_H

#include <math.h>

#include "starlane.h"

static inline uint32_t sl_task_cpus(const sl_task_options *options) {
    if (options->cpus == SL_NO_CPUS)
        return 0;
    return options->cpus == 0 ? 1 : (uint32_t)options->cpus;
}

static inline uint64_t sl_task_ucu_milli(const sl_task_options *options) {
    return options->ucu > 0 ? (uint64_t)llround(options->ucu * 1000) : 0;
}

static inline uint64_t sl_task_timeout_ns(const sl_task_options *options) {
    return options->timeout_s > 0 ? (uint64_t)(options->timeout_s * 1e9) : 0;
}

#endif
