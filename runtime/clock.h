/* Time: the only module that asks the kernel for it.
 *
 * A node carries a `const sl_clock *` and asks that one, so that the simulator can hand it virtual
 * time. The plain functions are for what always runs in real time: benchmarks, log lines, the
 * launcher. All are thread safe. */
#ifndef SL_RUNTIME_CLOCK_H
#define SL_RUNTIME_CLOCK_H

#include <stdint.h>

#define SL_NS_PER_US 1000ull
#define SL_NS_PER_MS 1000000ull
#define SL_NS_PER_S  1000000000ull

/* A source of time. A virtual clock embeds it as its first member and casts back. */
typedef struct sl_clock sl_clock;
struct sl_clock {
    /* Monotonic nanoseconds since an arbitrary start; never goes back. */
    uint64_t (*now_ns)(const sl_clock *clock);
    /* Seconds since 1970 UTC; may jump when the machine's time is set. */
    double (*wall_s)(const sl_clock *clock);
    /* Pauses the calling thread for `pause_ns`; a signal may end it early. */
    void (*sleep_ns)(const sl_clock *clock, uint64_t pause_ns);
    /* Processor time of the calling thread; NULL: not known, which counts as none. */
    uint64_t (*thread_ns)(const sl_clock *clock);
};

/* The machine's own clock. */
extern const sl_clock sl_clock_real;

/* CLOCK_MONOTONIC through the vDSO (tens of nanoseconds, no system call). */
uint64_t sl_clock_now_ns(void);

/* Processor time of the calling thread, in nanoseconds (a system call). */
uint64_t sl_clock_thread_ns(void);

/* CLOCK_REALTIME, seconds since 1970 UTC. */
double sl_clock_wall_s(void);

#endif
