#include "actors/executor/grant.h"
#include "runtime/plant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct sl_grant_pool {
    uint64_t free_cores[SL_GRANT_CORE_WORDS];
    uint64_t free_gpus;
    uint64_t mark; /* tells this pool's grants from another's */
    uint64_t grants;
    sl_grant_request offered;
    sl_grant_request free;
    sl_grant_core cores[]; /* offered.cores of them */
};

static uint64_t low_bits(uint32_t count) {
    return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static bool bit(const uint64_t *words, uint32_t i) {
    return words[i / 64] >> (i % 64) & 1;
}

/* Two cores that share a cpu would be granted to two tasks at once. */
static sl_err check_cpus_distinct(const sl_grant_offer *offer) {
    for (uint32_t i = 0; i < offer->core_count; i++)
        for (uint32_t a = 0; a < offer->cores[i].cpu_count; a++)
            for (uint32_t j = 0; j <= i; j++)
                for (uint32_t b = 0; b < (j < i ? offer->cores[j].cpu_count : a); b++)
                    if (offer->cores[i].cpus[a] == offer->cores[j].cpus[b])
                        return sl_fail(SL_ERR_INVALID, "cores %u and %u both hold cpu %u", j, i,
                                       offer->cores[i].cpus[a]);
    return SL_OK;
}

static sl_err check_offer(const sl_grant_offer *offer) {
    if (offer->core_count > SL_GRANT_CORES_MAX)
        return sl_fail(SL_ERR_INVALID, "%u cores offered, at most %u can be", offer->core_count,
                       SL_GRANT_CORES_MAX);
    if (offer->gpu_count > SL_GRANT_GPUS_MAX)
        return sl_fail(SL_ERR_INVALID, "%u GPUs offered, at most %u can be", offer->gpu_count,
                       SL_GRANT_GPUS_MAX);
    for (uint32_t i = 0; i < offer->core_count; i++)
        if (offer->cores[i].cpu_count > SL_GRANT_CPUS_PER_CORE)
            return sl_fail(SL_ERR_INVALID, "core %u has %u cpus, at most %u can be", i,
                           offer->cores[i].cpu_count, SL_GRANT_CPUS_PER_CORE);
    return check_cpus_distinct(offer);
}

sl_err sl_grant_pool_create(const sl_grant_offer *offer, sl_grant_pool **pool) {
    static uint64_t marks;
    SL_TRY(check_offer(offer));
    size_t cores_bytes = offer->core_count * sizeof(sl_grant_core);
    sl_grant_pool *made = calloc(1, sizeof *made + cores_bytes);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the accounts of %u cores",
                       offer->core_count);
    if (cores_bytes)
        memcpy(made->cores, offer->cores, cores_bytes);
    for (uint32_t i = 0; i < offer->core_count; i++)
        made->free_cores[i / 64] |= UINT64_C(1) << (i % 64);
    made->free_gpus = low_bits(offer->gpu_count);
    made->mark = __atomic_add_fetch(&marks, 1, __ATOMIC_RELAXED);
    made->offered = (sl_grant_request){offer->core_count, offer->gpu_count, offer->memory_bytes,
                                       offer->ucu_milli};
    made->free = made->offered;
    *pool = made;
    return SL_OK;
}

void sl_grant_pool_destroy(sl_grant_pool *pool) {
    free(pool);
}

static bool fits(const sl_grant_request *request, const sl_grant_request *room) {
    return request->cores <= room->cores && request->gpus <= room->gpus &&
           request->memory_bytes <= room->memory_bytes && request->ucu_milli <= room->ucu_milli;
}

/* Says the first resource that is short. */
static sl_err fail_short(sl_err err, const char *how, const sl_grant_request *request,
                         const sl_grant_request *room) {
    if (request->cores > room->cores)
        return sl_fail(err, "%u cores asked, %u %s", request->cores, room->cores, how);
    if (request->gpus > room->gpus)
        return sl_fail(err, "%u GPUs asked, %u %s", request->gpus, room->gpus, how);
    if (request->memory_bytes > room->memory_bytes)
        return sl_fail(err, "%" PRIu64 " bytes of memory asked, %" PRIu64 " %s",
                       request->memory_bytes, room->memory_bytes, how);
    return sl_fail(err, "%" PRIu64 ".%03u UCU asked, %" PRIu64 ".%03u %s",
                   request->ucu_milli / 1000, (unsigned)(request->ucu_milli % 1000),
                   room->ucu_milli / 1000, (unsigned)(room->ucu_milli % 1000), how);
}

sl_err sl_grant_possible(const sl_grant_pool *pool, const sl_grant_request *request) {
    if (fits(request, &pool->offered))
        return SL_OK;
    return fail_short(SL_ERR_IMPOSSIBLE, "offered by this node", request, &pool->offered);
}

/* The lowest `count` set bits of `from`, which has that many, moved to `to`. */
static void take_lowest(uint64_t *from, uint64_t *to, uint32_t count) {
    for (size_t w = 0; count > 0; w++)
        for (; from[w] && count > 0; count--) {
            uint64_t lowest = from[w] & -from[w];
            from[w] ^= lowest;
            to[w] |= lowest;
        }
}

/* The first of the lowest `count` neighbouring free cores, or -1. */
static int find_run(const sl_grant_pool *pool, uint32_t count, bool one_numa) {
    uint32_t length = 0;
    for (uint32_t i = 0; i < pool->offered.cores; i++) {
        if (!bit(pool->free_cores, i)) {
            length = 0;
            continue;
        }
        if (one_numa && length && pool->cores[i].numa != pool->cores[i - 1].numa)
            length = 0;
        if (++length == count)
            return (int)(i + 1 - count);
    }
    return -1;
}

static void take_cores(sl_grant_pool *pool, uint32_t count, uint64_t *taken) {
    int first = count > 1 ? find_run(pool, count, true) : -1;
    if (count > 1 && first < 0)
        first = find_run(pool, count, false);
    if (first < 0) {
        take_lowest(pool->free_cores, taken, count);
        return;
    }
    for (uint32_t i = (uint32_t)first; i < (uint32_t)first + count; i++) {
        pool->free_cores[i / 64] ^= UINT64_C(1) << (i % 64);
        taken[i / 64] |= UINT64_C(1) << (i % 64);
    }
}

sl_err sl_grant_take(sl_grant_pool *pool, const sl_grant_request *request, sl_grant *grant) {
    if (!fits(request, &pool->free)) {
        SL_TRY(sl_grant_possible(pool, request));
        return fail_short(SL_ERR_REFUSED, "free now", request, &pool->free);
    }
    *grant = (sl_grant){.amount = *request, .pool = pool->mark};
    take_cores(pool, request->cores, grant->cores);
    take_lowest(&pool->free_gpus, &grant->gpus, request->gpus);
    pool->free.cores -= request->cores;
    pool->free.gpus -= request->gpus;
    if (!SL_PLANT(double_grant)) {
        pool->free.memory_bytes -= request->memory_bytes;
        pool->free.ucu_milli -= request->ucu_milli;
    }
    pool->grants++;
    return SL_OK;
}

/* How many cores a grant holds by its bits; bits that are free or not offered make it UINT32_MAX.
 */
static uint32_t held_cores(const sl_grant_pool *pool, const sl_grant *grant) {
    uint32_t count = 0;
    for (uint32_t w = 0; w < SL_GRANT_CORE_WORDS; w++) {
        if (!grant->cores[w])
            continue;
        uint32_t before = w * 64;
        uint32_t offered = pool->offered.cores > before ? pool->offered.cores - before : 0;
        if (grant->cores[w] & (pool->free_cores[w] | ~low_bits(offered)))
            return UINT32_MAX;
        count += (uint32_t)__builtin_popcountll(grant->cores[w]);
    }
    return count;
}

static bool is_out(const sl_grant_pool *pool, const sl_grant *grant) {
    const sl_grant_request granted = sl_grant_granted(pool);
    return grant->pool == pool->mark && pool->grants > 0 &&
           (fits(&grant->amount, &granted) || SL_PLANT(double_grant)) &&
           held_cores(pool, grant) == grant->amount.cores &&
           !(grant->gpus & (pool->free_gpus | ~low_bits(pool->offered.gpus))) &&
           (uint32_t)__builtin_popcountll(grant->gpus) == grant->amount.gpus;
}

sl_err sl_grant_return(sl_grant_pool *pool, sl_grant *grant) {
    if (!is_out(pool, grant))
        return sl_fail(SL_ERR_INTERNAL, "a grant was returned that is not out (%u cores, %u GPUs)",
                       grant->amount.cores, grant->amount.gpus);
    for (uint32_t w = 0; w < SL_GRANT_CORE_WORDS; w++)
        pool->free_cores[w] |= grant->cores[w];
    pool->free_gpus |= grant->gpus;
    pool->free.cores += grant->amount.cores;
    pool->free.gpus += grant->amount.gpus;
    if (!SL_PLANT(double_grant)) {
        pool->free.memory_bytes += grant->amount.memory_bytes;
        pool->free.ucu_milli += grant->amount.ucu_milli;
    }
    pool->grants--;
    *grant = (sl_grant){0};
    return SL_OK;
}

sl_err sl_grant_lend(sl_grant_pool *pool, sl_grant *grant) {
    if (!is_out(pool, grant))
        return sl_fail(SL_ERR_INTERNAL, "a grant was lent that is not out");
    for (uint32_t w = 0; w < SL_GRANT_CORE_WORDS; w++) {
        pool->free_cores[w] |= grant->cores[w];
        grant->cores[w] = 0;
    }
    pool->free.cores += grant->amount.cores;
    pool->free.ucu_milli += grant->amount.ucu_milli;
    grant->amount.cores = 0;
    grant->amount.ucu_milli = 0;
    return SL_OK;
}

sl_err sl_grant_recover(sl_grant_pool *pool, const sl_grant_request *amount, sl_grant *grant) {
    sl_grant_request more = {.cores = amount->cores, .ucu_milli = amount->ucu_milli};
    if (!fits(&more, &pool->free))
        return fail_short(SL_ERR_REFUSED, "free now", &more, &pool->free);
    take_cores(pool, more.cores, grant->cores);
    pool->free.cores -= more.cores;
    pool->free.ucu_milli -= more.ucu_milli;
    grant->amount.cores += more.cores;
    grant->amount.ucu_milli += more.ucu_milli;
    return SL_OK;
}

sl_grant_request sl_grant_offered(const sl_grant_pool *pool) {
    return pool->offered;
}

sl_grant_request sl_grant_free(const sl_grant_pool *pool) {
    return pool->free;
}

sl_grant_request sl_grant_granted(const sl_grant_pool *pool) {
    const sl_grant_request *offered = &pool->offered, *free_now = &pool->free;
    return (sl_grant_request){offered->cores - free_now->cores, offered->gpus - free_now->gpus,
                              offered->memory_bytes - free_now->memory_bytes,
                              offered->ucu_milli - free_now->ucu_milli};
}

uint64_t sl_grant_count(const sl_grant_pool *pool) {
    return pool->grants;
}

bool sl_grant_pool_idle(const sl_grant_pool *pool) {
    uint32_t free_cores = 0;
    for (size_t w = 0; w < SL_GRANT_CORE_WORDS; w++)
        free_cores += (uint32_t)__builtin_popcountll(pool->free_cores[w]);
    return pool->grants == 0 && fits(&pool->offered, &pool->free) &&
           free_cores == pool->offered.cores && pool->free_gpus == low_bits(pool->offered.gpus);
}

size_t sl_grant_cpus(const sl_grant_pool *pool, const sl_grant *grant, uint32_t *cpus,
                     size_t capacity) {
    size_t count = 0;
    for (uint32_t i = 0; i < pool->offered.cores; i++)
        for (uint32_t c = 0; bit(grant->cores, i) && c < pool->cores[i].cpu_count; c++) {
            if (count < capacity)
                cpus[count] = pool->cores[i].cpus[c];
            count++;
        }
    return count;
}

size_t sl_grant_gpus(const sl_grant *grant, uint32_t *gpus, size_t capacity) {
    size_t count = 0;
    for (uint64_t rest = grant->gpus; rest; rest &= rest - 1) {
        if (count < capacity)
            gpus[count] = (uint32_t)__builtin_ctzll(rest);
        count++;
    }
    return count;
}
