#include "runtime/clock.h"

#include <time.h>

uint64_t sl_clock_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SL_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t sl_clock_thread_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * SL_NS_PER_S + (uint64_t)used.tv_nsec;
}

double sl_clock_wall_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t real_now_ns(const sl_clock *clock) {
    (void)clock;
    return sl_clock_now_ns();
}

static double real_wall_s(const sl_clock *clock) {
    (void)clock;
    return sl_clock_wall_s();
}

static void real_sleep_ns(const sl_clock *clock, uint64_t pause_ns) {
    struct timespec pause = {.tv_sec = (time_t)(pause_ns / SL_NS_PER_S),
                             .tv_nsec = (long)(pause_ns % SL_NS_PER_S)};
    (void)clock;
    nanosleep(&pause, NULL);
}

static uint64_t real_thread_ns(const sl_clock *clock) {
    (void)clock;
    return sl_clock_thread_ns();
}

const sl_clock sl_clock_real = {.now_ns = real_now_ns,
                                .wall_s = real_wall_s,
                                .sleep_ns = real_sleep_ns,
                                .thread_ns = real_thread_ns};
