/* What one rank offers to the network: its part of the machine, so that the ranks of one host
 * together offer the machine once, and the user's limits on top. */
#ifndef SL_REGISTRY_OFFER_H
#define SL_REGISTRY_OFFER_H

#include "actors/registry/hardware.h"

#define SL_OFFER_RANKS_MAX    4096  /* ranks on one host */
#define SL_OFFER_CPUS_MAX     65536 /* task slots of one rank */
#define SL_OFFER_UCU_MAX      1e12
#define SL_OFFER_BYTES_PER_GB 1000000000.0 /* `memory_gb` of limits, as that of tasks */

/* What a rank may use, in a form ranks of one host can exchange as bytes (same program, same
 * machine). */
typedef struct sl_claim {
    uint64_t cores[SL_HARDWARE_PUS_MAX / 64];            /* bit = sl_core.id */
    uint64_t accelerators[SL_HARDWARE_ACCELERATORS_MAX]; /* sl_accelerator.id of the usable ones */
    uint32_t accelerator_count;
} sl_claim;

/* The user's limits, from flags or the spec file. */
typedef struct sl_offer_limits {
    int64_t cpus;          /* task slots; -1 not given */
    int64_t gpus;          /* -1 not given */
    uint64_t memory_bytes; /* 0 not given */
    double ucu;            /* replaces the computed total; < 0 not given */
    bool oversubscribe;    /* allow more cpus than cores, more memory than this rank's part */
} sl_offer_limits;

#define SL_OFFER_LIMITS_NONE ((sl_offer_limits){-1, -1, 0, -1.0, false})

typedef struct sl_offer {
    uint32_t cpus; /* task slots; equals core_count unless limited or oversubscribed */
    uint32_t core_count;
    uint32_t *cores;     /* indexes into hardware->cores, ascending; owned */
    double core_shares;  /* core_count, where a core shared by n ranks counts 1/n */
    bool oversubscribed; /* a core is shared with another rank, or cpus > core_count */
    uint64_t memory_bytes;
    uint32_t gpus, tpus;
    uint32_t accelerator_count;                          /* gpus + tpus */
    uint32_t accelerators[SL_HARDWARE_ACCELERATORS_MAX]; /* indexes into hardware->accelerators */
    double cpu_ucu, gpu_ucu, tpu_ucu;                    /* of what is offered, by the formulae */
    double total_ucu;                                    /* their sum, or the user's figure */
    bool ucu_overridden;
} sl_offer;

/* This process's claim. */
void sl_claim_of(const sl_hardware *hardware, sl_claim *claim);

/* Divides the machine among the `local_size` ranks of the host and applies `limits` (NULL: none) to
 * this rank's part. `claims` holds every local rank's claim by local rank; NULL means that all see
 * what this one sees. A rank bound by itself (its claim meets no other) keeps all it has: that
 * needs no flag.
 *
 * Each core goes to one of the ranks that claim it: cores with fewest claimants first, each to the
 * claimant with fewest cores so far (equal claims: round robin by core). A rank left without a core
 * shares one, and both are marked oversubscribed; sums of core_shares stay those of the machine.
 * GPUs and TPUs likewise, but they are never shared: a rank may get none. Memory is divided evenly
 * by bytes (a step's cgroup limit is common to its ranks). Every rank computes the same division
 * from the same claims.
 *
 * INVALID when sizes are out of range, or a limit asks for more than there is (the message says
 * what there is and what allows it). On success *offer is to be given to sl_offer_fini(). Pure, any
 * thread. */
sl_err sl_offer_make(const sl_hardware *hardware, const sl_claim *claims, int local_size,
                     int local_rank, const sl_offer_limits *limits, sl_offer *offer) SL_CHECKED;

void sl_offer_fini(sl_offer *offer);

/* Overwrites in `limits` what `stronger` gives (flags over the spec file). */
void sl_offer_limits_merge(sl_offer_limits *limits, const sl_offer_limits *stronger);

#endif
