/* Tells of ranks of this host whose process has ended: the kernel knows at once, heartbeats only
 * after a while. */
#ifndef SL_MPI_DEATHS_H
#define SL_MPI_DEATHS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "mpi/segment.h"

typedef struct sl_mpi_deaths {
    pthread_t thread;
    bool running;
    int stop;               /* an eventfd */
    struct pollfd *watched; /* by local rank, and last `stop` */
    uint32_t count;
    _Atomic bool *ended;   /* by local rank */
    _Atomic uint32_t news; /* how many have ended */
    void (*wake)(void *context);
    void *context;
} sl_mpi_deaths;

/* Watches every other rank of `host` that the system lets us watch, on a thread of its own;
 * `wake(context)` is called there for each that has ended. Without a thread or memory nobody is
 * watched. */
void sl_mpi_deaths_watch(sl_mpi_deaths *deaths, const sl_mpi_host *host, void (*wake)(void *),
                         void *context);

/* Stops watching. */
void sl_mpi_deaths_close(sl_mpi_deaths *deaths);

/* How many have ended. Any thread. */
static inline uint32_t sl_mpi_deaths_count(sl_mpi_deaths *deaths) {
    return atomic_load_explicit(&deaths->news, memory_order_acquire);
}

#endif
