/* Sleeping until a word changes, for threads of this process. Who changes it wakes those that sleep
 * on it; a sleep may also end for no reason, so it stands in a loop that looks at the word. */
#ifndef SL_RUNTIME_FUTEX_H
#define SL_RUNTIME_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SL_FUTEX_FOREVER UINT64_MAX

/* Returns at once when `*word` is not `value`, else when woken or after `timeout_ns`. */
void sl_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);

/* Wakes everyone who sleeps on `word`. */
void sl_futex_wake(_Atomic uint32_t *word);

/* What the calling thread does in place of the kernel's sleep and waking: a simulator's threads, of
 * which one runs at a time. `ops` NULL: the kernel's again. */
typedef struct sl_futex_ops {
    void (*wait)(void *context, _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
    void (*wake)(void *context, _Atomic uint32_t *word);
} sl_futex_ops;
void sl_futex_stand_in(const sl_futex_ops *ops, void *context);

/* True on such a thread: what it looks at does not change before it sleeps. */
bool sl_futex_stands_in(void);

#endif
