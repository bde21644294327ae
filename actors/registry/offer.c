#include "actors/registry/offer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/registry/offer_share.h"
#include "actors/registry/ucu.h"

void sl_claim_of(const sl_hardware *hardware, sl_claim *claim) {
    memset(claim, 0, sizeof *claim);
    for (uint32_t i = 0; i < hardware->cpu.cores; i++)
        claim->cores[hardware->cores[i].id / 64] |= UINT64_C(1) << (hardware->cores[i].id % 64);
    for (uint32_t i = 0; i < hardware->accelerator_count; i++)
        if (hardware->accelerators[i].usable)
            claim->accelerators[claim->accelerator_count++] = hardware->accelerators[i].id;
}

void sl_offer_limits_merge(sl_offer_limits *limits, const sl_offer_limits *stronger) {
    if (stronger->cpus >= 0)
        limits->cpus = stronger->cpus;
    if (stronger->gpus >= 0)
        limits->gpus = stronger->gpus;
    if (stronger->memory_bytes != 0)
        limits->memory_bytes = stronger->memory_bytes;
    if (stronger->ucu >= 0)
        limits->ucu = stronger->ucu;
    limits->oversubscribe |= stronger->oversubscribe;
}

static sl_err limit_cpus(const sl_hardware *hardware, const sl_offer_limits *limits,
                         sl_offer *offer) {
    if (limits->cpus < 0)
        return SL_OK;
    if (limits->cpus > SL_OFFER_CPUS_MAX)
        return sl_fail(SL_ERR_INVALID, "cpus %lld: at most %d are allowed", (long long)limits->cpus,
                       SL_OFFER_CPUS_MAX);
    if (limits->cpus > offer->core_count && !limits->oversubscribe)
        return sl_fail(
            SL_ERR_INVALID,
            "cpus %lld: this rank's part of %s is %u of %u cores; ask for no more, or allow it "
            "with oversubscribe",
            (long long)limits->cpus, hardware->hostname, offer->core_count, hardware->cpu.cores);
    offer->cpus = (uint32_t)limits->cpus;
    if (offer->cpus > offer->core_count)
        offer->oversubscribed = true;
    else
        offer->core_count = offer->cpus;
    return SL_OK;
}

static double gb(uint64_t bytes) {
    return (double)bytes / (double)SL_OFFER_BYTES_PER_GB;
}

static sl_err limit_memory(const sl_hardware *hardware, const sl_offer_limits *limits,
                           sl_offer *offer) {
    if (limits->memory_bytes == 0)
        return SL_OK;
    if (limits->memory_bytes > offer->memory_bytes && !limits->oversubscribe)
        return sl_fail(
            SL_ERR_INVALID,
            "memory of %.2f GB: this rank's part of %s is %.2f of %.2f GB; ask for no more, or "
            "allow it with oversubscribe",
            gb(limits->memory_bytes), hardware->hostname, gb(offer->memory_bytes),
            gb(hardware->memory_bytes));
    if (limits->memory_bytes > hardware->memory_bytes)
        return sl_fail(SL_ERR_INVALID, "memory of %.2f GB: %s has %.2f GB (%s)",
                       gb(limits->memory_bytes), hardware->hostname, gb(hardware->memory_bytes),
                       hardware->memory_source);
    offer->memory_bytes = limits->memory_bytes;
    return SL_OK;
}

/* Keeps the first `limit` GPUs, and every TPU. */
static void keep_gpus(const sl_hardware *hardware, uint32_t limit, sl_offer *offer) {
    uint32_t kept = 0, gpus = 0;
    for (uint32_t i = 0; i < offer->accelerator_count; i++) {
        uint32_t index = offer->accelerators[i];
        bool gpu = hardware->accelerators[index].type == SL_HARDWARE_GPU;
        if (!gpu || gpus++ < limit)
            offer->accelerators[kept++] = index;
    }
    offer->accelerator_count = kept;
    offer->gpus = limit;
}

static sl_err limit_gpus(const sl_hardware *hardware, const sl_offer_limits *limits,
                         sl_offer *offer) {
    if (limits->gpus < 0)
        return SL_OK;
    if (limits->gpus > offer->gpus)
        return sl_fail(SL_ERR_INVALID, "gpus %lld: this rank's part of %s is %u of %u usable GPUs",
                       (long long)limits->gpus, hardware->hostname, offer->gpus,
                       sl_hardware_count(hardware, SL_HARDWARE_GPU));
    keep_gpus(hardware, (uint32_t)limits->gpus, offer);
    return SL_OK;
}

static sl_err override_ucu(const sl_offer_limits *limits, sl_offer *offer) {
    if (limits->ucu < 0)
        return SL_OK;
    if (!(limits->ucu <= SL_OFFER_UCU_MAX)) /* also when it is no number */
        return sl_fail(SL_ERR_INVALID, "ucu %g is not within 0 to %g", limits->ucu,
                       SL_OFFER_UCU_MAX);
    offer->total_ucu = limits->ucu;
    offer->ucu_overridden = true;
    return SL_OK;
}

static int core_index(const sl_hardware *hardware, int32_t id) {
    for (uint32_t i = 0; i < hardware->cpu.cores; i++)
        if (hardware->cores[i].id == id)
            return (int)i;
    return -1;
}

static sl_err take_cores(const sl_hardware *hardware, const sl_share *share, sl_offer *offer) {
    offer->cores = calloc(share->core_count + 1u, sizeof *offer->cores);
    if (!offer->cores)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %u cores", share->core_count);
    for (uint32_t i = 0; i < share->core_count; i++) {
        int index = core_index(hardware, share->core_ids[i]);
        if (index < 0)
            return sl_fail(SL_ERR_INVALID, "the claim at this local rank is not this rank's own");
        offer->cores[offer->core_count++] = (uint32_t)index;
        offer->oversubscribed |= share->sharers[i] > 1;
    }
    offer->cpus = offer->core_count;
    return SL_OK;
}

static void take_accelerators(const sl_hardware *hardware, const sl_share *share, sl_offer *offer) {
    for (uint32_t i = 0; i < hardware->accelerator_count; i++)
        for (uint32_t k = 0; k < share->accelerator_count; k++)
            if (hardware->accelerators[i].usable &&
                hardware->accelerators[i].id == share->accelerator_ids[k]) {
                offer->accelerators[offer->accelerator_count++] = i;
                offer->gpus += hardware->accelerators[i].type == SL_HARDWARE_GPU;
                offer->tpus += hardware->accelerators[i].type == SL_HARDWARE_TPU;
                break;
            }
}

/* The formulae over what is left after the limits. */
static sl_err count_ucu(const sl_hardware *hardware, const sl_share *share, sl_offer *offer) {
    sl_ucu all;
    SL_TRY(sl_ucu_of_hardware(hardware, &all));
    for (uint32_t i = 0; i < offer->core_count; i++)
        offer->core_shares += 1.0 / share->sharers[i];
    sl_ucu_device cpu = {
        .type = SL_HARDWARE_CPU, .cores = offer->core_shares, .clock_ghz = hardware->cpu.clock_ghz};
    SL_TRY(sl_ucu_compute(&cpu, &offer->cpu_ucu));
    for (uint32_t i = 0; i < offer->accelerator_count; i++) {
        const sl_ucu_term *term = &all.terms[1 + offer->accelerators[i]];
        *(term->device.type == SL_HARDWARE_GPU ? &offer->gpu_ucu : &offer->tpu_ucu) += term->ucu;
    }
    offer->total_ucu = offer->cpu_ucu + offer->gpu_ucu + offer->tpu_ucu;
    return SL_OK;
}

static sl_err fill(const sl_hardware *hardware, const sl_share *share,
                   const sl_offer_limits *limits, sl_offer *offer) {
    SL_TRY(take_cores(hardware, share, offer));
    take_accelerators(hardware, share, offer);
    SL_TRY(limit_cpus(hardware, limits, offer));
    SL_TRY(limit_memory(hardware, limits, offer));
    SL_TRY(limit_gpus(hardware, limits, offer));
    SL_TRY(count_ucu(hardware, share, offer));
    return override_ucu(limits, offer);
}

/* Claims that are all this rank's own. */
static sl_err equal_claims(const sl_hardware *hardware, int local_size, sl_claim **claims) {
    sl_claim *copies = calloc((size_t)local_size, sizeof *copies);
    if (!copies)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %d claims", local_size);
    for (int rank = 0; rank < local_size; rank++)
        sl_claim_of(hardware, &copies[rank]);
    *claims = copies;
    return SL_OK;
}

static bool sound_claims(const sl_claim *claims, int local_size) {
    for (int rank = 0; rank < local_size; rank++)
        if (claims[rank].accelerator_count > SL_HARDWARE_ACCELERATORS_MAX)
            return false;
    return true;
}

static uint64_t memory_part(uint64_t bytes, int local_size, int local_rank) {
    uint64_t size = (uint64_t)local_size;
    return bytes / size + ((uint64_t)local_rank < bytes % size);
}

sl_err sl_offer_make(const sl_hardware *hardware, const sl_claim *claims, int local_size,
                     int local_rank, const sl_offer_limits *limits, sl_offer *out) {
    if (local_size < 1 || local_size > SL_OFFER_RANKS_MAX || local_rank < 0 ||
        local_rank >= local_size)
        return sl_fail(SL_ERR_INVALID,
                       "local rank %d of %d: at most %d ranks on a host are supported", local_rank,
                       local_size, SL_OFFER_RANKS_MAX);
    if (claims && !sound_claims(claims, local_size))
        return sl_fail(SL_ERR_INVALID, "a local rank's claim is damaged");
    const sl_offer_limits none = SL_OFFER_LIMITS_NONE;
    sl_claim *own = NULL;
    sl_share share = {0};
    sl_offer offer = {.memory_bytes = memory_part(hardware->memory_bytes, local_size, local_rank)};
    sl_err err = claims ? SL_OK : equal_claims(hardware, local_size, &own);
    if (err == SL_OK)
        err = sl_share_compute(claims ? claims : own, local_size, local_rank, &share);
    if (err == SL_OK)
        err = fill(hardware, &share, limits ? limits : &none, &offer);
    sl_share_fini(&share);
    free(own);
    if (err == SL_OK)
        *out = offer;
    else
        sl_offer_fini(&offer);
    return err;
}

void sl_offer_fini(sl_offer *offer) {
    free(offer->cores);
    memset(offer, 0, sizeof *offer);
}
