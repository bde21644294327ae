#include "bench/floor_wake.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/machine.h"

struct floor_wake {
    pthread_t thread;
    _Atomic uint32_t rings;
    _Atomic bool over;
    double rung_s;
    samples latencies; /* the sleeper's until it has ended */
};

static void *sleep_and_wake(void *argument) {
    floor_wake *wake = argument;
    for (uint32_t seen = 0; !atomic_load(&wake->over); seen++) {
        while (atomic_load(&wake->rings) == seen)
            syscall(SYS_futex, &wake->rings, FUTEX_WAIT, seen, NULL, NULL, 0);
        if (!atomic_load(&wake->over))
            samples_add(&wake->latencies, machine_now_s() - wake->rung_s);
    }
    return NULL;
}

floor_wake *floor_wake_create(void) {
    floor_wake *wake = calloc(1, sizeof *wake);
    if (!wake || pthread_create(&wake->thread, NULL, sleep_and_wake, wake) != 0)
        bench_die("no thread for a floor");
    return wake;
}

void floor_wake_once(floor_wake *wake) {
    wake->rung_s = machine_now_s();
    atomic_fetch_add(&wake->rings, 1);
    syscall(SYS_futex, &wake->rings, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void floor_wake_destroy(floor_wake *wake, samples *latencies) {
    atomic_store(&wake->over, true);
    floor_wake_once(wake);
    pthread_join(wake->thread, NULL);
    for (uint32_t i = 0; i < wake->latencies.count; i++)
        samples_add(latencies, wake->latencies.values[i]);
    samples_fini(&wake->latencies);
    free(wake);
}
