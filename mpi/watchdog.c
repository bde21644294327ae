#include "mpi/watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/thread.h"

static void *watch(void *argument) {
    sl_mpi_watchdog *w = argument;
    struct timespec deadline = sl_cond_deadline(w->timeout_s * SL_NS_PER_S);
    int code = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->over && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&w->changed, &w->lock, &deadline);
    bool over = w->over;
    pthread_mutex_unlock(&w->lock);
    if (!over) {
        sl_warn("mpi", "%s: not over after %u s, so this process ends", w->what, w->timeout_s);
        if (w->tell)
            w->tell(w->exit_code);
        _exit(w->exit_code);
    }
    return NULL;
}

void sl_mpi_watchdog_bite(const char *why, int exit_code) {
    sl_warn("mpi", "%s", why);
    fflush(NULL);
    _exit(exit_code);
}

void sl_mpi_watchdog_start(sl_mpi_watchdog *w, const char *what, uint32_t timeout_s, int exit_code,
                           void (*tell)(int exit_code)) {
    *w = (sl_mpi_watchdog){
        .timeout_s = timeout_s, .exit_code = exit_code, .what = what, .tell = tell};
    sl_cond_init(&w->changed);
    pthread_mutex_init(&w->lock, NULL);
    w->running = sl_thread_start(&w->thread, watch, w) == SL_OK;
    if (!w->running)
        sl_warn("mpi", "no thread to watch over %s", what);
}

void sl_mpi_watchdog_stop(sl_mpi_watchdog *w) {
    pthread_mutex_lock(&w->lock);
    w->over = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (w->running)
        pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}
