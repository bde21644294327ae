/* Logging: levelled lines, for a person or as JSON lines, never payloads or keys.
 *
 * Any thread may log. The library writes nothing until sl_log_configure() was called (a program's
 * choice); lines are lower case: what happened, then `key value` pairs. */
#ifndef SL_RUNTIME_LOG_H
#define SL_RUNTIME_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/err.h"

typedef enum sl_log_level {
    SL_LOG_ERROR,
    SL_LOG_WARN,
    SL_LOG_INFO,
    SL_LOG_DEBUG,
    SL_LOG_TRACE
} sl_log_level;

typedef enum sl_log_format { SL_LOG_HUMAN, SL_LOG_JSON } sl_log_format;

typedef struct sl_log_options {
    FILE *stream;         /* borrowed; NULL silences everything */
    sl_log_level level;   /* lines above it are dropped before they are formatted */
    sl_log_format format; /* SL_LOG_HUMAN or SL_LOG_JSON (one object a line) */
} sl_log_options;

/* Process-wide; call before other threads start. */
void sl_log_configure(const sl_log_options *options);

/* "error" … "trace" to a level; SL_ERR_INVALID names the allowed words. */
sl_err sl_log_level_parse(const char *text, sl_log_level *level) SL_CHECKED;

/* The node this thread's lines are about (-1: none yet). Set by the node's loop and its pool
 * threads. */
void sl_log_set_node(int node);

bool sl_log_enabled(sl_log_level level);
void sl_log_write(sl_log_level level, const char *component, const char *format, ...)
    SL_PRINTF(3, 4);

/* `component` is the room that speaks: "node", "mpi", "scheduler", … */
#define SL_LOG(level, component, ...)                                                              \
    do {                                                                                           \
        if (sl_log_enabled(level))                                                                 \
            sl_log_write((level), (component), __VA_ARGS__);                                       \
    } while (0)
#define sl_error(component, ...) SL_LOG(SL_LOG_ERROR, component, __VA_ARGS__)
#define sl_warn(component, ...)  SL_LOG(SL_LOG_WARN, component, __VA_ARGS__)
#define sl_info(component, ...)  SL_LOG(SL_LOG_INFO, component, __VA_ARGS__)
#define sl_debug(component, ...) SL_LOG(SL_LOG_DEBUG, component, __VA_ARGS__)

#endif
