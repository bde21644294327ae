/* Dividing a host among its ranks: nothing offered twice, nothing lost; limits and their messages.
 */
#include "actors/registry/offer.h"
#include "tests/lib/test.h"

/* A machine of `cores` cores with ids 0, 1, …; `gpus` usable GPUs, and a TPU. */
static sl_hardware machine(uint32_t cores, uint32_t gpus) {
    sl_hardware hardware = {.hostname = "n1", .memory_bytes = UINT64_C(64000000007)};
    hardware.cpu = (sl_cpu){.cores = cores, .pus = cores, .clock_ghz = 3.0};
    hardware.cores = calloc(cores, sizeof *hardware.cores);
    hardware.pus = calloc(cores, sizeof *hardware.pus);
    for (uint32_t i = 0; i < cores; i++) {
        hardware.cores[i] = (sl_core){.id = (int32_t)i, .pu_first = i, .pu_count = 1};
        hardware.pus[i] = (int32_t)i;
    }
    hardware.accelerator_count = gpus + 1;
    for (uint32_t i = 0; i < gpus; i++)
        hardware.accelerators[i] = (sl_accelerator){.type = SL_HARDWARE_GPU,
                                                    .usable = true,
                                                    .id = 100 + i,
                                                    .cuda_cores = 1000,
                                                    .memory_gb = 10};
    hardware.accelerators[gpus] =
        (sl_accelerator){.type = SL_HARDWARE_TPU, .usable = true, .id = 200, .tflops = 100};
    return hardware;
}

/* The part of `hardware` that a rank bound to cores first … first + count - 1 sees. */
static sl_hardware bound_to(const sl_hardware *hardware, uint32_t first, uint32_t count) {
    sl_hardware part = *hardware;
    part.cores = calloc(count, sizeof *part.cores);
    part.pus = calloc(count, sizeof *part.pus);
    part.cpu.cores = part.cpu.pus = count;
    for (uint32_t i = 0; i < count; i++) {
        part.cores[i] = hardware->cores[first + i];
        part.cores[i].pu_first = i;
        part.pus[i] = part.cores[i].id;
    }
    return part;
}

typedef struct total {
    double core_shares, ucu;
    uint64_t memory_bytes;
    uint32_t gpus, tpus, cpus, shared_ranks, least, most;
    int users[SL_HARDWARE_PUS_MAX]; /* ranks per core id */
} total;

static total sum_of(const sl_hardware *ranks, const sl_claim *claims, int size) {
    total sum = {.least = UINT32_MAX};
    for (int rank = 0; rank < size; rank++) {
        sl_offer offer;
        const sl_hardware *hardware = claims ? &ranks[rank] : ranks;
        if (sl_offer_make(hardware, claims, size, rank, NULL, &offer) != SL_OK) {
            sl_test_fail(__FILE__, __LINE__, "rank %d: %s", rank, sl_err_detail());
            continue;
        }
        sum.core_shares += offer.core_shares;
        sum.ucu += offer.total_ucu;
        sum.memory_bytes += offer.memory_bytes;
        sum.gpus += offer.gpus;
        sum.tpus += offer.tpus;
        sum.cpus += offer.cpus;
        sum.shared_ranks += offer.oversubscribed;
        sum.least = offer.core_count < sum.least ? offer.core_count : sum.least;
        sum.most = offer.core_count > sum.most ? offer.core_count : sum.most;
        for (uint32_t i = 0; i < offer.core_count; i++)
            sum.users[hardware->cores[offer.cores[i]].id]++;
        sl_offer_fini(&offer);
    }
    return sum;
}

TEST(one_rank_offers_the_whole_machine) {
    sl_hardware hardware = machine(8, 2);
    sl_offer offer;
    REQUIRE(sl_offer_make(&hardware, NULL, 1, 0, NULL, &offer) == SL_OK);
    CHECK_INT(offer.cpus, 8);
    CHECK_INT(offer.core_count, 8);
    CHECK_INT(offer.memory_bytes, 64000000007);
    CHECK_INT(offer.gpus, 2);
    CHECK_INT(offer.tpus, 1);
    CHECK(!offer.oversubscribed);
    CHECK_DOUBLE(offer.cpu_ucu, 12, 1e-9);
    CHECK_DOUBLE(offer.gpu_ucu, 2 * 802, 1e-9);
    CHECK_DOUBLE(offer.tpu_ucu, 120, 1e-9);
    CHECK_DOUBLE(offer.total_ucu, 12 + 2 * 802 + 120, 1e-9);
    sl_offer_fini(&offer);
    sl_hardware_fini(&hardware);
}

TEST(ranks_together_offer_the_machine_once) {
    for (uint32_t cores = 1; cores <= 9; cores++)
        for (int size = 1; size <= 20; size++) {
            sl_hardware hardware = machine(cores, cores % 4);
            total sum = sum_of(&hardware, NULL, size);
            CHECK_DOUBLE(sum.core_shares, cores, 1e-9);
            CHECK_DOUBLE(sum.ucu, cores * 1.5 + cores % 4 * 802 + 120, 1e-6);
            CHECK(sum.memory_bytes == hardware.memory_bytes);
            CHECK_INT(sum.gpus, cores % 4);
            CHECK_INT(sum.tpus, 1);
            CHECK(sum.least >= 1);
            CHECK(sum.most - sum.least <= 1);
            for (uint32_t core = 0; core < cores; core++)
                CHECK(sum.users[core] >= 1);
            if ((uint32_t)size <= cores) {
                CHECK_INT(sum.cpus, cores);
                CHECK_INT(sum.shared_ranks, 0);
            } else {
                CHECK_INT(sum.cpus, size); /* one each */
                CHECK(sum.shared_ranks > (uint32_t)size - cores);
            }
            sl_hardware_fini(&hardware);
        }
}

TEST(cores_go_round_by_core) {
    sl_hardware hardware = machine(7, 0);
    sl_offer offer;
    REQUIRE(sl_offer_make(&hardware, NULL, 3, 1, NULL, &offer) == SL_OK);
    REQUIRE(offer.core_count == 2);
    CHECK_INT(offer.cores[0], 1);
    CHECK_INT(offer.cores[1], 4);
    sl_offer_fini(&offer);
    sl_hardware_fini(&hardware);
}

TEST(more_ranks_than_cores_share_and_say_so) {
    sl_hardware hardware = machine(2, 0);
    sl_offer offer;
    for (int rank = 0; rank < 4; rank++) {
        REQUIRE(sl_offer_make(&hardware, NULL, 4, rank, NULL, &offer) == SL_OK);
        CHECK_INT(offer.cpus, 1);
        CHECK_INT(offer.cores[0], rank % 2);
        CHECK_DOUBLE(offer.core_shares, 0.5, 0);
        CHECK(offer.oversubscribed);
        sl_offer_fini(&offer);
    }
    REQUIRE(sl_offer_make(&hardware, NULL, 3, 1, NULL, &offer) == SL_OK);
    CHECK(!offer.oversubscribed); /* ranks 0 and 2 share core 0; core 1 is this rank's alone */
    CHECK_DOUBLE(offer.core_shares, 1, 0);
    sl_offer_fini(&offer);
    sl_hardware_fini(&hardware);
}

TEST(bound_ranks_keep_what_they_are_bound_to) {
    sl_hardware hardware = machine(8, 2), ranks[4];
    sl_claim claims[4];
    static const uint32_t bounds[4][2] = {{0, 1}, {1, 4}, {5, 2}, {7, 1}};
    for (int rank = 0; rank < 4; rank++) {
        ranks[rank] = bound_to(&hardware, bounds[rank][0], bounds[rank][1]);
        sl_claim_of(&ranks[rank], &claims[rank]);
    }
    for (int rank = 0; rank < 4; rank++) {
        sl_offer offer;
        REQUIRE(sl_offer_make(&ranks[rank], claims, 4, rank, NULL, &offer) == SL_OK);
        CHECK_INT(offer.core_count, bounds[rank][1]);
        CHECK(!offer.oversubscribed);
        sl_offer_fini(&offer);
    }
    total sum = sum_of(ranks, claims, 4);
    CHECK_DOUBLE(sum.core_shares, 8, 0);
    CHECK_INT(sum.gpus, 2);
    CHECK_INT(sum.tpus, 1);
    for (int rank = 0; rank < 4; rank++)
        sl_hardware_fini(&ranks[rank]);
    sl_hardware_fini(&hardware);
}

TEST(a_free_rank_takes_what_bound_ranks_leave) {
    sl_hardware hardware = machine(6, 0),
                ranks[2] = {bound_to(&hardware, 0, 6), bound_to(&hardware, 0, 2)};
    sl_claim claims[2];
    sl_offer offer;
    sl_claim_of(&ranks[0], &claims[0]);
    sl_claim_of(&ranks[1], &claims[1]);
    REQUIRE(sl_offer_make(&ranks[0], claims, 2, 0, NULL, &offer) == SL_OK);
    CHECK_INT(offer.core_count, 4);
    CHECK_INT(offer.cores[0], 2);
    sl_offer_fini(&offer);
    total sum = sum_of(ranks, claims, 2);
    CHECK_DOUBLE(sum.core_shares, 6, 0);
    CHECK_INT(sum.shared_ranks, 0);
    for (int core = 0; core < 6; core++)
        CHECK_INT(sum.users[core], 1);
    sl_hardware_fini(&ranks[0]);
    sl_hardware_fini(&ranks[1]);
    sl_hardware_fini(&hardware);
}

TEST(overlapping_bindings_lose_and_double_nothing) {
    static const uint32_t bounds[5][2] = {{0, 6}, {0, 2}, {2, 4}, {1, 1}, {1, 1}};
    sl_hardware hardware = machine(6, 0), ranks[5];
    sl_claim claims[5];
    for (int rank = 0; rank < 5; rank++) {
        ranks[rank] = bound_to(&hardware, bounds[rank][0], bounds[rank][1]);
        sl_claim_of(&ranks[rank], &claims[rank]);
    }
    for (int size = 1; size <= 5; size++) {
        total sum = sum_of(ranks, claims, size);
        CHECK_DOUBLE(sum.core_shares, 6, 1e-12);
        CHECK(sum.least >= 1);
    }
    for (int rank = 0; rank < 5; rank++)
        sl_hardware_fini(&ranks[rank]);
    sl_hardware_fini(&hardware);
}

TEST(gpus_given_by_the_launcher_stay) {
    sl_hardware ranks[2] = {machine(2, 3), machine(2, 3)};
    sl_claim claims[2];
    for (int rank = 0; rank < 2;
         rank++) { /* rank 0 sees GPU 100, rank 1 sees 101 and 102; both the TPU */
        ranks[rank].accelerators[rank == 0 ? 1 : 0].usable = false;
        if (rank == 0)
            ranks[rank].accelerators[2].usable = false;
        sl_claim_of(&ranks[rank], &claims[rank]);
    }
    sl_offer offer;
    REQUIRE(sl_offer_make(&ranks[0], claims, 2, 0, NULL, &offer) == SL_OK);
    CHECK_INT(offer.gpus, 1);
    CHECK_INT(offer.accelerators[0], 0);
    sl_offer_fini(&offer);
    REQUIRE(sl_offer_make(&ranks[1], claims, 2, 1, NULL, &offer) == SL_OK);
    CHECK_INT(offer.gpus, 2);
    CHECK_INT(offer.accelerators[0], 1);
    CHECK_INT(offer.accelerators[1], 2);
    sl_offer_fini(&offer);
    total sum = sum_of(ranks, claims, 2);
    CHECK_INT(sum.tpus, 1);
    sl_hardware_fini(&ranks[0]);
    sl_hardware_fini(&ranks[1]);
}

TEST(limits_narrow_the_offer) {
    sl_hardware hardware = machine(8, 3);
    sl_offer offer;
    sl_offer_limits limits = {.cpus = 3, .gpus = 1, .memory_bytes = 1 << 20, .ucu = -1};
    REQUIRE(sl_offer_make(&hardware, NULL, 1, 0, &limits, &offer) == SL_OK);
    CHECK_INT(offer.cpus, 3);
    CHECK_INT(offer.core_count, 3);
    CHECK_INT(offer.memory_bytes, 1 << 20);
    CHECK_INT(offer.gpus, 1);
    CHECK_INT(offer.tpus, 1);
    CHECK_INT(offer.accelerator_count, 2);
    CHECK_DOUBLE(offer.total_ucu, 4.5 + 802 + 120, 1e-9);
    CHECK(!offer.ucu_overridden);
    sl_offer_fini(&offer);
    limits = (sl_offer_limits){.cpus = 0, .gpus = 0, .ucu = 7.5};
    REQUIRE(sl_offer_make(&hardware, NULL, 1, 0, &limits, &offer) == SL_OK);
    CHECK_INT(offer.cpus + offer.gpus + offer.core_count, 0);
    CHECK_DOUBLE(offer.cpu_ucu, 0, 0);
    CHECK_DOUBLE(offer.total_ucu, 7.5, 0);
    CHECK(offer.ucu_overridden);
    sl_offer_fini(&offer);
    sl_hardware_fini(&hardware);
}

TEST(oversubscription_is_allowed_when_said) {
    sl_hardware hardware = machine(2, 0);
    sl_offer offer;
    sl_offer_limits limits = {.cpus = 16, .gpus = -1, .ucu = -1};
    CHECK_INT(sl_offer_make(&hardware, NULL, 1, 0, &limits, &offer), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "cpus 16");
    CHECK_CONTAINS(sl_err_detail(), "2 of 2 cores");
    CHECK_CONTAINS(sl_err_detail(), "oversubscribe");
    limits.oversubscribe = true;
    REQUIRE(sl_offer_make(&hardware, NULL, 1, 0, &limits, &offer) == SL_OK);
    CHECK_INT(offer.cpus, 16);
    CHECK_INT(offer.core_count, 2);
    CHECK(offer.oversubscribed);
    CHECK_DOUBLE(offer.cpu_ucu, 3, 1e-9); /* slots are no compute units */
    sl_offer_fini(&offer);
    limits = (sl_offer_limits){.cpus = -1,
                               .gpus = -1,
                               .ucu = -1,
                               .memory_bytes = UINT64_C(40000000000),
                               .oversubscribe = true};
    REQUIRE(sl_offer_make(&hardware, NULL, 2, 0, &limits, &offer) == SL_OK);
    CHECK_INT(offer.memory_bytes, 40000000000);
    sl_offer_fini(&offer);
    sl_hardware_fini(&hardware);
}

TEST(limits_that_cannot_be_met_are_refused) {
    sl_hardware hardware = machine(4, 2);
    sl_offer offer;
    const sl_offer_limits bad[] = {
        {.cpus = 5, .gpus = -1, .ucu = -1},
        {.cpus = 70000, .gpus = -1, .ucu = -1, .oversubscribe = true},
        {.cpus = -1, .gpus = 3, .ucu = -1, .oversubscribe = true},
        {.cpus = -1, .gpus = -1, .ucu = -1, .memory_bytes = UINT64_C(64000000008)},
        {.cpus = -1,
         .gpus = -1,
         .ucu = -1,
         .memory_bytes = UINT64_C(64000000008),
         .oversubscribe = true},
        {.cpus = -1, .gpus = -1, .ucu = INFINITY},
        {.cpus = -1, .gpus = -1, .ucu = NAN},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(sl_offer_make(&hardware, NULL, 1, 0, &bad[i], &offer), SL_ERR_INVALID);
    CHECK_INT(sl_offer_make(&hardware, NULL, 0, 0, NULL, &offer), SL_ERR_INVALID);
    CHECK_INT(sl_offer_make(&hardware, NULL, 4, 4, NULL, &offer), SL_ERR_INVALID);
    CHECK_INT(sl_offer_make(&hardware, NULL, 4, -1, NULL, &offer), SL_ERR_INVALID);
    CHECK_INT(sl_offer_make(&hardware, NULL, SL_OFFER_RANKS_MAX + 1, 0, NULL, &offer),
              SL_ERR_INVALID);
    sl_hardware_fini(&hardware);
}

TEST(damaged_claims_are_refused) {
    sl_hardware hardware = machine(2, 0);
    sl_claim claims[2];
    sl_offer offer;
    sl_claim_of(&hardware, &claims[0]);
    claims[1] = claims[0];
    claims[1].accelerator_count = 1000;
    CHECK_INT(sl_offer_make(&hardware, claims, 2, 0, NULL, &offer), SL_ERR_INVALID);
    claims[1] = claims[0];
    claims[0].cores[5] = ~UINT64_C(0); /* cores this rank does not have */
    CHECK_INT(sl_offer_make(&hardware, claims, 2, 0, NULL, &offer), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "claim");
    sl_hardware_fini(&hardware);
}

TEST(stronger_limits_win_one_by_one) {
    sl_offer_limits limits = {.cpus = 4, .gpus = 1, .memory_bytes = 10, .ucu = 5};
    const sl_offer_limits none = SL_OFFER_LIMITS_NONE;
    sl_offer_limits_merge(&limits, &none);
    CHECK_INT(limits.cpus, 4);
    CHECK_DOUBLE(limits.ucu, 5, 0);
    const sl_offer_limits flags = {.cpus = 0, .gpus = -1, .ucu = 0, .oversubscribe = true};
    sl_offer_limits_merge(&limits, &flags);
    CHECK_INT(limits.cpus, 0);
    CHECK_INT(limits.gpus, 1);
    CHECK_INT(limits.memory_bytes, 10);
    CHECK_DOUBLE(limits.ucu, 0, 0);
    CHECK(limits.oversubscribe);
}
