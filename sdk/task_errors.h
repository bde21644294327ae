/* What is wrong with a task file: the first bad lines in words, the rest as a count. */
#ifndef SL_SDK_TASK_ERRORS_H
#define SL_SDK_TASK_ERRORS_H

#include <stdint.h>
#include <stdio.h>

#include "runtime/err.h"

#define SL_TASK_ERRORS_KEPT 20

typedef struct sl_task_error {
    uint64_t line; /* from 1; 0: not about a line */
    char *text;    /* whole message, `SOURCE:LINE:COLUMN: field: what; what is allowed` */
} sl_task_error;

typedef struct sl_task_errors {
    sl_task_error kept[SL_TASK_ERRORS_KEPT]; /* the lowest lines, in order */
    uint32_t kept_count;
    uint64_t total;
} sl_task_errors;

/* Zeroed storage is an empty collection; fini frees the texts. */
void sl_task_errors_fini(sl_task_errors *errors);

/* Records the error of `line`. `text` is copied; when memory is short only the count grows. */
void sl_task_errors_add(sl_task_errors *errors, uint64_t line, const char *text);

/* True when an error of `line` would be kept, so that the caller need not word it otherwise. */
bool sl_task_errors_wanted(const sl_task_errors *errors, uint64_t line);

/* Writes the kept errors to `stream`, one a line, then "… and N more" when there are more. */
void sl_task_errors_print(const sl_task_errors *errors, FILE *stream);

#endif
