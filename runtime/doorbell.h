/* A doorbell wakes one sleeping loop, from any thread or from another process that shares its
 * memory.
 *
 * The sleeper arms the bell, looks once more at everything it would be woken for, and then sleeps
 * (or disarms). Who has published work rings; ringing a bell that nobody armed costs one load. */
#ifndef SL_RUNTIME_DOORBELL_H
#define SL_RUNTIME_DOORBELL_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct sl_doorbell {
    _Atomic uint32_t rings; /* the futex word */
    _Atomic uint32_t armed;
} sl_doorbell;

/* Zeroed memory is a valid bell; this is for memory that is not. */
void sl_doorbell_init(sl_doorbell *bell);

/* Announces sleep; returns the ticket to sleep with. Only the owner arms. */
uint32_t sl_doorbell_arm(sl_doorbell *bell);
void sl_doorbell_disarm(sl_doorbell *bell);

/* Sleeps until rung since `ticket` was taken, or `timeout_ns` has passed; disarms. */
void sl_doorbell_sleep(sl_doorbell *bell, uint32_t ticket, uint64_t timeout_ns);

/* Wakes the owner if it is armed, once for each time it armed itself. Call after the work is
 * visible to it. */
void sl_doorbell_ring(sl_doorbell *bell);

#endif
