/* What of this node is granted to running tasks: exact accounts of cores, memory, GPUs and UCU.
 *
 * One thread (the executor actor's). At every moment granted <= offered in every resource, and a
 * resource is in at most one grant; a return that would break this is refused and changes nothing.
 */
#ifndef SL_ACTORS_EXECUTOR_GRANT_H
#define SL_ACTORS_EXECUTOR_GRANT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

#define SL_GRANT_CORES_MAX     1024u
#define SL_GRANT_CORE_WORDS    (SL_GRANT_CORES_MAX / 64)
#define SL_GRANT_GPUS_MAX      64u
#define SL_GRANT_CPUS_PER_CORE 8u /* hardware threads; POWER has eight */

/* One core that a node offers. */
typedef struct sl_grant_core {
    uint32_t numa;                         /* cores with the same value share a memory node */
    uint32_t cpu_count;                    /* 0: a task slot bound to no cpu (oversubscription) */
    uint32_t cpus[SL_GRANT_CPUS_PER_CORE]; /* the operating system's numbers */
} sl_grant_core;

/* All a node offers. The order of `cores` is the order of nearness: neighbours share caches. */
typedef struct sl_grant_offer {
    const sl_grant_core *cores;
    uint32_t core_count;
    uint32_t gpu_count; /* GPUs are numbered from 0, as the registry lists them */
    uint64_t memory_bytes;
    uint64_t ucu_milli; /* thousandths of a UCU */
} sl_grant_offer;

/* What a task asks for; also what is granted or free, as numbers. Zero asks for none of it. */
typedef struct sl_grant_request {
    uint32_t cores; /* whole cores */
    uint32_t gpus;  /* whole GPUs */
    uint64_t memory_bytes;
    uint64_t ucu_milli;
} sl_grant_request;

/* What a task got. Plain data: it may be moved or copied, but is returned once. */
typedef struct sl_grant {
    uint64_t cores[SL_GRANT_CORE_WORDS]; /* bit i: core i of the offer */
    uint64_t gpus;                       /* bit i: GPU i */
    sl_grant_request amount;
    uint64_t pool; /* the pool's mark while held, 0 once returned */
} sl_grant;

typedef struct sl_grant_pool sl_grant_pool;

/* Copies the offer. SL_ERR_INVALID when a bound above is broken or two cores share an OS cpu,
 * SL_ERR_NO_MEMORY. */
sl_err sl_grant_pool_create(const sl_grant_offer *offer, sl_grant_pool **pool) SL_CHECKED;

/* Frees the pool. Grants still out are forgotten; ask sl_grant_pool_idle() first. NULL is fine. */
void sl_grant_pool_destroy(sl_grant_pool *pool);

/* Takes `request` whole or not at all. Cores: the lowest run of neighbours inside one memory node,
 * else the lowest run, else the lowest free ones; GPUs: the lowest free ones.
 * SL_ERR_IMPOSSIBLE: more than is offered; SL_ERR_REFUSED: not free now. */
sl_err sl_grant_take(sl_grant_pool *pool, const sl_grant_request *request,
                     sl_grant *grant) SL_CHECKED;

/* Gives everything of `grant` back and empties it. SL_ERR_INTERNAL, and nothing changed, when it is
 * not out: returned before, of another pool, or altered. */
sl_err sl_grant_return(sl_grant_pool *pool, sl_grant *grant) SL_CHECKED;

/* Gives back the cores and UCU of `grant` alone, for as long as its holder waits for others; and
 * takes as many again (perhaps other cores): SL_ERR_REFUSED, they are not free now. */
sl_err sl_grant_lend(sl_grant_pool *pool, sl_grant *grant) SL_CHECKED;
sl_err sl_grant_recover(sl_grant_pool *pool, const sl_grant_request *amount,
                        sl_grant *grant) SL_CHECKED;

/* SL_OK when an empty node could grant `request`, else SL_ERR_IMPOSSIBLE (the cause names what). */
sl_err sl_grant_possible(const sl_grant_pool *pool, const sl_grant_request *request) SL_CHECKED;

/* The totals: all that is offered, granted now, free now. */
sl_grant_request sl_grant_offered(const sl_grant_pool *pool);
sl_grant_request sl_grant_granted(const sl_grant_pool *pool);
sl_grant_request sl_grant_free(const sl_grant_pool *pool);

/* Grants out at this moment. */
uint64_t sl_grant_count(const sl_grant_pool *pool);

/* True when nothing is granted: every total zero, every core and GPU free. */
bool sl_grant_pool_idle(const sl_grant_pool *pool);

/* The OS cpus of the granted cores, ascending by core, at most `capacity` into `cpus` (borrowed).
 * Returns how many there are in all. */
size_t sl_grant_cpus(const sl_grant_pool *pool, const sl_grant *grant, uint32_t *cpus,
                     size_t capacity);

/* The numbers of the granted GPUs, ascending. Returns how many there are in all. */
size_t sl_grant_gpus(const sl_grant *grant, uint32_t *gpus, size_t capacity);

#endif
