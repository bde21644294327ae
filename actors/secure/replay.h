/* Envelopes that were opened here, so that none is opened more often than its sender allowed.
 *
 * An entry is kept until its envelope has expired, so nothing falls out early and the memory is
 * bounded: when it is full of envelopes in force, or one sender has half of it, the next is refused
 * for now. Any thread. */
#ifndef SL_SECURE_REPLAY_H
#define SL_SECURE_REPLAY_H

#include "actors/secure/envelope.h"

typedef struct sl_replay sl_replay;

/* Room for `entries` envelopes in force at once (40 bytes each, rounded up to a power of two). */
sl_err sl_replay_create(uint32_t entries, sl_replay **replay) SL_CHECKED;
void sl_replay_destroy(sl_replay *replay); /* NULL is fine */

/* SL_ERR_SEAL when `envelope` of the sender with this public key was opened as often as it may be.
 * Changes nothing. */
sl_err sl_replay_check(sl_replay *replay, const sl_seal_head *envelope,
                       const uint8_t sender[SL_PUBLIC_KEY_BYTES]) SL_CHECKED;

/* The same, and counts it as opened once more. `now_s` tells what has expired. SL_ERR_AGAIN when
 * there is no room. */
sl_err sl_replay_take(sl_replay *replay, const sl_seal_head *envelope,
                      const uint8_t sender[SL_PUBLIC_KEY_BYTES], uint64_t now_s) SL_CHECKED;

#endif
