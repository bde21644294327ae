/* Design notes
 * A process descriptor (pidfd) becomes readable when its process has ended, reaped or not. It was
 * opened before the process's memory was found to be that of the rank, so that it cannot be another
 * process's under the same number. */
#include "mpi/deaths.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/thread.h"

static void look(sl_mpi_deaths *deaths) {
    for (uint32_t i = 0; i < deaths->count; i++) {
        if (!deaths->watched[i].revents)
            continue;
        deaths->watched[i].fd = -1; /* poll() passes it over from now on */
        atomic_store_explicit(&deaths->ended[i], true, memory_order_relaxed);
        atomic_fetch_add_explicit(&deaths->news, 1, memory_order_release);
        deaths->wake(deaths->context);
    }
}

static void *watch(void *argument) {
    sl_mpi_deaths *deaths = argument;
    while (!deaths->watched[deaths->count].revents)
        if (poll(deaths->watched, deaths->count + 1, -1) > 0)
            look(deaths);
    return NULL;
}

void sl_mpi_deaths_watch(sl_mpi_deaths *deaths, const sl_mpi_host *host, void (*wake)(void *),
                         void *context) {
    *deaths = (sl_mpi_deaths){.stop = -1, .count = host->count, .wake = wake, .context = context};
    if (!host->neighbours || host->count < 2)
        return;
    deaths->stop = eventfd(0, EFD_CLOEXEC);
    deaths->watched = calloc(host->count + 1, sizeof *deaths->watched);
    deaths->ended = calloc(host->count, sizeof *deaths->ended);
    if (deaths->stop < 0 || !deaths->watched || !deaths->ended)
        return;
    for (uint32_t i = 0; i < host->count; i++)
        deaths->watched[i] = (struct pollfd){.fd = i == host->self ? -1 : host->neighbours[i].pidfd,
                                             .events = POLLIN};
    deaths->watched[host->count] = (struct pollfd){.fd = deaths->stop, .events = POLLIN};
    deaths->running = sl_thread_start(&deaths->thread, watch, deaths) == SL_OK;
}

void sl_mpi_deaths_close(sl_mpi_deaths *deaths) {
    if (deaths->running) {
        eventfd_write(deaths->stop, 1);
        pthread_join(deaths->thread, NULL);
        deaths->running = false;
    }
    if (deaths->watched)
        close(deaths->stop);
    free(deaths->watched);
    free(deaths->ended);
    deaths->watched = NULL;
    deaths->ended = NULL;
}
