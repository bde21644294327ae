/* Design notes
 * Store-buffer ordering is the whole difficulty: the sleeper stores `armed` and then loads the
 * queues, the ringer stores to a queue and then loads `armed`. A sequentially consistent fence on
 * both sides makes it impossible that both miss the other's store. The futex is not private: the
 * bell may lie in memory shared by the ranks of one host. */
#include "runtime/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void sl_doorbell_init(sl_doorbell *bell) {
    atomic_init(&bell->rings, 0);
    atomic_init(&bell->armed, 0);
}

uint32_t sl_doorbell_arm(sl_doorbell *bell) {
    uint32_t ticket = atomic_load_explicit(&bell->rings, memory_order_acquire);
    atomic_store_explicit(&bell->armed, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    return ticket;
}

void sl_doorbell_disarm(sl_doorbell *bell) {
    atomic_store_explicit(&bell->armed, 0, memory_order_release);
}

void sl_doorbell_sleep(sl_doorbell *bell, uint32_t ticket, uint64_t timeout_ns) {
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                               .tv_nsec = (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, &bell->rings, FUTEX_WAIT, ticket, &timeout, NULL, 0);
    sl_doorbell_disarm(bell);
}

void sl_doorbell_ring(sl_doorbell *bell) {
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&bell->armed, memory_order_relaxed) ||
        !atomic_exchange_explicit(&bell->armed, 0, memory_order_relaxed))
        return; /* it is awake, or somebody else wakes it now */
    atomic_fetch_add_explicit(&bell->rings, 1, memory_order_release);
    syscall(SYS_futex, &bell->rings, FUTEX_WAKE, 1, NULL, NULL, 0);
}
