#include "runtime/futex.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Thread_local struct {
    const sl_futex_ops *ops;
    void *context;
} stand_in;

void sl_futex_stand_in(const sl_futex_ops *ops, void *context) {
    stand_in.ops = ops;
    stand_in.context = context;
}

bool sl_futex_stands_in(void) {
    return stand_in.ops != NULL;
}

void sl_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns) {
    if (stand_in.ops) {
        stand_in.ops->wait(stand_in.context, word, value, timeout_ns);
        return;
    }
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                               .tv_nsec = (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
            timeout_ns == SL_FUTEX_FOREVER ? NULL : &timeout, NULL, 0);
}

void sl_futex_wake(_Atomic uint32_t *word) {
    if (stand_in.ops) {
        stand_in.ops->wake(stand_in.context, word);
        return;
    }
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
