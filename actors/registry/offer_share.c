#include "actors/registry/offer_share.h"

#include <stdlib.h>
#include <string.h>

/* The division while it is being made; the same in every rank. */
typedef struct division {
    const sl_claim *claims;
    int ranks;
    int32_t *owner;    /* per core id: the rank it went to, -1 nobody claims it */
    uint32_t *sharers; /* per core id: ranks that use it in the end */
    uint32_t *load;    /* per rank: cores, later accelerators, it got so far */
    int32_t *borrowed; /* per rank: the core it shares because none was left, -1 none */
} division;

static bool claims_core(const sl_claim *claim, int core) {
    return claim->cores[core / 64] >> (core % 64) & 1;
}

static int count_claimants(const division *d, int core) {
    int count = 0;
    for (int rank = 0; rank < d->ranks; rank++)
        count += claims_core(&d->claims[rank], core);
    return count;
}

static void assign_core(division *d, int core) {
    int best = -1;
    for (int rank = 0; rank < d->ranks; rank++)
        if (claims_core(&d->claims[rank], core) && (best < 0 || d->load[rank] < d->load[best]))
            best = rank;
    d->owner[core] = best;
    d->sharers[core] = 1;
    d->load[best]++;
}

/* Cores with fewest claimants first: those of bound ranks go to their only claimant, and the ranks
 * that may run anywhere share what is left. */
static sl_err assign_cores(division *d) {
    int *claimants = calloc(SL_HARDWARE_PUS_MAX, sizeof *claimants);
    bool *present = calloc((size_t)d->ranks + 1, sizeof *present);
    if (!claimants || !present) {
        free(claimants);
        free(present);
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for dividing cores");
    }
    for (int core = 0; core < SL_HARDWARE_PUS_MAX; core++) {
        d->owner[core] = -1;
        claimants[core] = count_claimants(d, core);
        present[claimants[core]] = true;
    }
    for (int wanted = 1; wanted <= d->ranks; wanted++)
        for (int core = 0; present[wanted] && core < SL_HARDWARE_PUS_MAX; core++)
            if (claimants[core] == wanted)
                assign_core(d, core);
    free(claimants);
    free(present);
    return SL_OK;
}

/* A rank left without takes part in the least shared of the cores it may use. */
static void borrow_cores(division *d) {
    for (int rank = 0; rank < d->ranks; rank++) {
        int best = -1;
        for (int core = 0; d->load[rank] == 0 && core < SL_HARDWARE_PUS_MAX; core++)
            if (claims_core(&d->claims[rank], core) &&
                (best < 0 || d->sharers[core] < d->sharers[best]))
                best = core;
        d->borrowed[rank] = best;
        if (best >= 0)
            d->sharers[best]++;
    }
}

static sl_err collect_cores(const division *d, int rank, sl_share *share) {
    size_t count = d->borrowed[rank] >= 0 ? 1 : d->load[rank];
    share->core_ids = calloc(count + 1, sizeof *share->core_ids);
    share->sharers = calloc(count + 1, sizeof *share->sharers);
    if (!share->core_ids || !share->sharers)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %zu cores", count);
    for (int core = 0; core < SL_HARDWARE_PUS_MAX; core++)
        if (d->owner[core] == rank || d->borrowed[rank] == core) {
            share->core_ids[share->core_count] = core;
            share->sharers[share->core_count++] = d->sharers[core];
        }
    return SL_OK;
}

static bool claims_accelerator(const sl_claim *claim, uint64_t id) {
    for (uint32_t i = 0; i < claim->accelerator_count; i++)
        if (claim->accelerators[i] == id)
            return true;
    return false;
}

/* Accelerators go to the claimant with fewest so far; one device's turn comes with the first rank
 * that claims it, so that every rank sees the same order. */
static void assign_accelerators(division *d, int local_rank, sl_share *share) {
    memset(d->load, 0, (size_t)d->ranks * sizeof *d->load);
    for (int first = 0; first < d->ranks; first++)
        for (uint32_t i = 0; i < d->claims[first].accelerator_count; i++) {
            uint64_t id = d->claims[first].accelerators[i];
            int best = -1;
            bool done = false;
            for (int rank = 0; rank < d->ranks && !done; rank++) {
                bool claimed = claims_accelerator(&d->claims[rank], id);
                done = claimed && rank < first;
                if (claimed && (best < 0 || d->load[rank] < d->load[best]))
                    best = rank;
            }
            if (done)
                continue;
            d->load[best]++;
            if (best == local_rank && share->accelerator_count < SL_HARDWARE_ACCELERATORS_MAX)
                share->accelerator_ids[share->accelerator_count++] = id;
        }
}

static sl_err divide(division *d, int local_rank, sl_share *share) {
    size_t ranks = (size_t)d->ranks;
    d->owner = calloc(SL_HARDWARE_PUS_MAX, sizeof *d->owner);
    d->sharers = calloc(SL_HARDWARE_PUS_MAX, sizeof *d->sharers);
    d->load = calloc(ranks, sizeof *d->load);
    d->borrowed = calloc(ranks, sizeof *d->borrowed);
    if (!d->owner || !d->sharers || !d->load || !d->borrowed)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for dividing a host among %d ranks",
                       d->ranks);
    SL_TRY(assign_cores(d));
    borrow_cores(d);
    SL_TRY(collect_cores(d, local_rank, share));
    assign_accelerators(d, local_rank, share);
    return SL_OK;
}

sl_err sl_share_compute(const sl_claim *claims, int local_size, int local_rank, sl_share *out) {
    division d = {.claims = claims, .ranks = local_size};
    sl_share share = {0};
    sl_err err = divide(&d, local_rank, &share);
    free(d.owner);
    free(d.sharers);
    free(d.load);
    free(d.borrowed);
    if (err == SL_OK)
        *out = share;
    else
        sl_share_fini(&share);
    return err;
}

void sl_share_fini(sl_share *share) {
    free(share->core_ids);
    free(share->sharers);
    memset(share, 0, sizeof *share);
}
