/* Functions that wait for other tasks.
 *
 * A function that waits on its pool thread for what another task gives would hold its cores from
 * that very task. So before it waits it gives cores and UCU back (memory and GPUs it keeps), the
 * rest of its row goes back to the backlog, its owner is told, and another thread serves the pool
 * in its place; afterwards it goes on as soon as its cores are free again, before anything new
 * starts. */
#ifndef SL_EXECUTOR_WAITING_H
#define SL_EXECUTOR_WAITING_H

#include "runtime/err.h"

/* On a pool thread, inside a function: about to wait. SL_ERR_TOO_LARGE: too many wait here already,
 * and it must not. Anywhere else: no effect. */
sl_err sl_executor_wait_begin(void) SL_CHECKED;

/* The wait is over; returns when the cores are back. Follows each success of the above. */
void sl_executor_wait_end(void);

/* What this thread runs, for what another one had: of those that take turns on one. */
void *sl_executor_wait_swap(void *run);

#endif
