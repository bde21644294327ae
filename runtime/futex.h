/* Sleeping until a word changes, for threads of this process. Who changes it wakes those that sleep
 * on it; a sleep may also end for no reason, so it stands in a loop that looks at the word. */
#ifndef SL_RUNTIME_FUTEX_H
#define SL_RUNTIME_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

#define SL_FUTEX_FOREVER UINT64_MAX

/* Returns at once when `*word` is not `value`, else when woken or after `timeout_ns`. */
void sl_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);

/* Wakes everyone who sleeps on `word`. */
void sl_futex_wake(_Atomic uint32_t *word);

#endif
