#include "runtime/rng.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static uint64_t splitmix64(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void sl_rng_seed(sl_rng *rng, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix64(&seed);
}

sl_err sl_rng_seed_from_system(sl_rng *rng) {
    uint64_t seed;
    ssize_t got;
    do
        got = getrandom(&seed, sizeof seed, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof seed)
        return sl_fail(SL_ERR_UNAVAILABLE, "getrandom: %s", strerror(errno));
    sl_rng_seed(rng, seed);
    return SL_OK;
}

void sl_rng_split(sl_rng *rng, sl_rng *child) {
    sl_rng_seed(child, sl_rng_u64(rng));
}

uint64_t sl_rng_below(sl_rng *rng, uint64_t bound) {
    unsigned __int128 product = (unsigned __int128)sl_rng_u64(rng) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold =
            -bound % bound; /* 2^64 mod bound: that many low halves are one too many */
        while ((uint64_t)product < threshold)
            product = (unsigned __int128)sl_rng_u64(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}
