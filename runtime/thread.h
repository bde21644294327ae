/* Threads beside the loop, and waiting with a bound. */
#ifndef SL_RUNTIME_THREAD_H
#define SL_RUNTIME_THREAD_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "runtime/err.h"

/* Starts a thread that takes no signals: they are the main thread's. SL_ERR_UNAVAILABLE. */
sl_err sl_thread_start(pthread_t *thread, void *(*run)(void *), void *argument) SL_CHECKED;

/* A condition whose deadlines are made by sl_cond_deadline(): so many nanoseconds from now, by a
 * clock that nobody sets. */
void sl_cond_init(pthread_cond_t *condition);
struct timespec sl_cond_deadline(uint64_t ns);

#endif
