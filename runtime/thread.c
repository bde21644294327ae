#include "runtime/thread.h"

#include <signal.h>

#include "runtime/clock.h"

sl_err sl_thread_start(pthread_t *thread, void *(*run)(void *), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited */
    int code = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0 ? SL_OK : sl_fail(SL_ERR_UNAVAILABLE, "the system starts no more threads");
}

void sl_cond_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec sl_cond_deadline(uint64_t ns) {
    uint64_t at = sl_clock_now_ns() + ns; /* CLOCK_MONOTONIC */
    return (struct timespec){.tv_sec = (time_t)(at / SL_NS_PER_S),
                             .tv_nsec = (long)(at % SL_NS_PER_S)};
}
