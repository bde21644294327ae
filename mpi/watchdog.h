/* Ends the process when a first or a last step, which others have a part in, hangs. */
#ifndef SL_MPI_WATCHDOG_H
#define SL_MPI_WATCHDOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sl_mpi_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, over;
    uint32_t timeout_s;
    int exit_code;
    const char *what; /* for the log line */
    void (*tell)(int exit_code);
} sl_mpi_watchdog;

/* From now on, `what` may take timeout_s before the process ends by _exit(exit_code), and before
 * that calls `tell` on a thread of its own, unless it is NULL. Without a thread to be had it only
 * logs so. */
void sl_mpi_watchdog_start(sl_mpi_watchdog *watchdog, const char *what, uint32_t timeout_s,
                           int exit_code, void (*tell)(int exit_code));

/* Ends the process now, after a line in the log. */
_Noreturn void sl_mpi_watchdog_bite(const char *why, int exit_code);

/* `what` is over. */
void sl_mpi_watchdog_stop(sl_mpi_watchdog *watchdog);

#endif
