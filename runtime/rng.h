/* Random numbers: xoshiro256** 1.0 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
 * Generators", ACM TOMS 47(4), 2021), seeded through SplitMix64 as its authors advise. Not for
 * keys.
 *
 * One generator belongs to one thread at a time. The same seed gives the same numbers on every
 * machine. */
#ifndef SL_RUNTIME_RNG_H
#define SL_RUNTIME_RNG_H

#include <stdint.h>

#include "runtime/err.h"

typedef struct sl_rng {
    uint64_t state[4]; /* never all zero */
} sl_rng;

/* Any seed is good, 0 too. */
void sl_rng_seed(sl_rng *rng, uint64_t seed);

/* Seeds with getrandom(2). SL_ERR_UNAVAILABLE when the kernel gives none. */
sl_err sl_rng_seed_from_system(sl_rng *rng) SL_CHECKED;

/* Seeds `child` from `rng`: one run's seed gives each of its parts a generator of its own. */
void sl_rng_split(sl_rng *rng, sl_rng *child);

static inline uint64_t sl_rng_rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

/* The next 64 bits. */
static inline uint64_t sl_rng_u64(sl_rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = sl_rng_rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = sl_rng_rotl(s[3], 45);
    return result;
}

/* A number in [0, bound), each equally likely; `bound` is at least 1. Multiply-and-reject: D.
 * Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29(1), 2019. */
uint64_t sl_rng_below(sl_rng *rng, uint64_t bound);

/* A number in [0, 1), a multiple of 2^-53. */
static inline double sl_rng_double(sl_rng *rng) {
    return (double)(sl_rng_u64(rng) >> 11) * 0x1.0p-53;
}

#endif
