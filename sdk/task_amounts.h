/* What a task asks for, from the options of the public API to the amounts that messages carry, once
 * they have been checked. Any thread. */
#ifndef SL_SDK_TASK_AMOUNTS_H
#define SL_SDK_TASK_AMOUNTS_H

#include <math.h>
#include <string.h>

#include "runtime/err.h"
#include "starlane.h"

/* SL_ERR_INVALID: they cannot be; the text begins with "task NAME". */
static inline sl_err sl_task_options_check(const char *name, const sl_task_options *options) {
    if (options->cpus < SL_NO_CPUS)
        return sl_fail(SL_ERR_INVALID, "task %.80s: %d cpus", name, options->cpus);
    if (!(options->ucu >= 0 && options->ucu < 1e12) ||
        !(options->timeout_s >= 0 && options->timeout_s < 1e9))
        return sl_fail(SL_ERR_INVALID, "task %.80s: ucu and timeout_s are 0 or more", name);
    if (options->region && strlen(options->region) > 63)
        return sl_fail(SL_ERR_INVALID, "task %.80s: a region's name has at most 63 bytes", name);
    return SL_OK;
}

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
