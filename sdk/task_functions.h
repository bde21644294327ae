/* The functions this process has registered: one table for all its networks. */
#ifndef SL_SDK_TASK_FUNCTIONS_H
#define SL_SDK_TASK_FUNCTIONS_H

#include "sdk/sealed.h"

/* The table with the library's own functions in it. Borrowed; lives as long as the process.
 * SL_ERR_NO_MEMORY. One thread at a time. */
sl_err sl_task_functions_get(sl_functions **functions) SL_CHECKED;

/* The same, closed to further registration. */
sl_err sl_task_functions_freeze(const sl_functions **functions) SL_CHECKED;

/* Where this process's starlane.sealed finds the identity of its nodes; NULL in it: none. */
sl_sealed_place *sl_task_functions_sealed(void);

/* Registers starlane.echo and the like (task_functions_own.c). */
sl_err sl_task_functions_own(sl_functions *functions) SL_CHECKED;

#endif
