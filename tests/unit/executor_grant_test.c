#include "actors/executor/grant.h"
#include "runtime/rng.h"
#include "tests/lib/test.h"

/* `count` cores of two cpus (i, i + count), `per_numa` of them a memory node. */
static sl_grant_pool *pool_of(uint32_t count, uint32_t per_numa, uint32_t gpus, uint64_t memory) {
    static sl_grant_core cores[SL_GRANT_CORES_MAX];
    for (uint32_t i = 0; i < count; i++)
        cores[i] = (sl_grant_core){.numa = i / per_numa, .cpu_count = 2, .cpus = {i, i + count}};
    sl_grant_offer offer = {cores, count, gpus, memory, 5500};
    sl_grant_pool *pool = NULL;
    CHECK_INT(sl_grant_pool_create(&offer, &pool), SL_OK);
    return pool;
}

static uint32_t first_cpu(const sl_grant_pool *pool, const sl_grant *grant) {
    uint32_t cpu = UINT32_MAX;
    sl_grant_cpus(pool, grant, &cpu, 1);
    return cpu;
}

TEST(lowest_neighbours_in_one_memory_node) {
    sl_grant_pool *pool = pool_of(8, 4, 0, 0);
    sl_grant one, three, four, two, last;
    uint32_t cpus[16];
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){.cores = 1}, &one) == SL_OK);
    CHECK_INT(first_cpu(pool, &one), 0);
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){.cores = 4}, &four) == SL_OK);
    CHECK_INT(sl_grant_cpus(pool, &four, cpus, 16), 8); /* both threads of each core */
    CHECK_INT(cpus[0], 4);                              /* not 1–4, which cross the nodes */
    CHECK_INT(cpus[1], 12);
    CHECK_INT(cpus[7], 15);
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){.cores = 3}, &three) == SL_OK);
    CHECK_INT(first_cpu(pool, &three), 1);
    CHECK_INT(sl_grant_return(pool, &one), SL_OK);
    CHECK_INT(sl_grant_return(pool, &four), SL_OK);
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){.cores = 2}, &two) == SL_OK);
    CHECK_INT(first_cpu(pool, &two), 4);
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){.cores = 3}, &last) == SL_OK); /* scattered */
    CHECK_INT(first_cpu(pool, &last), 0);
    CHECK_INT(last.cores[0], 1 | 1 << 6 | 1 << 7);
    CHECK_INT(sl_grant_return(pool, &two), SL_OK);
    CHECK_INT(sl_grant_return(pool, &three), SL_OK);
    CHECK_INT(sl_grant_return(pool, &last), SL_OK);
    CHECK(sl_grant_pool_idle(pool));
    sl_grant_pool_destroy(pool);
}

TEST(refused_now_or_impossible_ever) {
    sl_grant_pool *pool = pool_of(2, 2, 1, 1000);
    sl_grant held, other = {.pool = 77};
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){1, 1, 600, 5000}, &held) == SL_OK);
    const sl_grant_request now[] = {{2, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 401, 0}, {0, 0, 0, 501}};
    const sl_grant_request never[] = {{3, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 1001, 0}, {0, 0, 0, 5501}};
    const char *names[] = {"cores", "GPUs", "memory", "UCU"};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(sl_grant_take(pool, &now[i], &other), SL_ERR_REFUSED);
        CHECK_CONTAINS(sl_err_detail(), names[i]);
        CHECK_INT(sl_grant_possible(pool, &now[i]), SL_OK);
        CHECK_INT(sl_grant_take(pool, &never[i], &other), SL_ERR_IMPOSSIBLE);
        CHECK_CONTAINS(sl_err_detail(), names[i]);
        CHECK_INT(sl_grant_possible(pool, &never[i]), SL_ERR_IMPOSSIBLE);
    }
    CHECK_INT(other.pool, 77); /* untouched by failures */
    CHECK_INT(sl_grant_count(pool), 1);
    CHECK_INT(sl_grant_granted(pool).memory_bytes, 600);
    CHECK_INT(sl_grant_free(pool).ucu_milli, 500);
    sl_grant_pool_destroy(pool);
}

TEST(a_grant_of_nothing_is_a_grant) {
    sl_grant_pool *pool = pool_of(0, 1, 0, 0);
    sl_grant grant;
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){0}, &grant) == SL_OK);
    CHECK(!sl_grant_pool_idle(pool));
    CHECK_INT(sl_grant_cpus(pool, &grant, NULL, 0), 0);
    CHECK_INT(sl_grant_return(pool, &grant), SL_OK);
    CHECK_INT(sl_grant_return(pool, &grant), SL_ERR_INTERNAL);
    CHECK(sl_grant_pool_idle(pool));
    sl_grant_pool_destroy(pool);
}

TEST(wrong_returns_change_nothing) {
    sl_grant_pool *pool = pool_of(4, 4, 2, 100), *other = pool_of(4, 4, 2, 100);
    sl_grant grant, second;
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){2, 1, 10, 10}, &grant) == SL_OK);
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){1, 0, 10, 10}, &second) == SL_OK);
    sl_grant copy = grant, altered = grant;
    altered.cores[0] = 0xf0; /* cores that are not there */
    CHECK_INT(sl_grant_return(pool, &altered), SL_ERR_INTERNAL);
    altered = grant;
    altered.cores[15] = UINT64_C(1) << 63;
    CHECK_INT(sl_grant_return(pool, &altered), SL_ERR_INTERNAL);
    altered = grant;
    altered.amount.memory_bytes = 90;
    CHECK_INT(sl_grant_return(pool, &altered), SL_ERR_INTERNAL);
    altered = grant;
    altered.gpus = 2;
    CHECK_INT(sl_grant_return(pool, &altered), SL_ERR_INTERNAL);
    CHECK_INT(sl_grant_return(other, &copy), SL_ERR_INTERNAL);
    CHECK_INT(sl_grant_granted(pool).cores, 3);
    CHECK_INT(sl_grant_return(pool, &grant), SL_OK);
    CHECK_INT(sl_grant_return(pool, &grant), SL_ERR_INTERNAL);
    CHECK_INT(sl_grant_return(pool, &copy), SL_ERR_INTERNAL); /* a copy does not return it twice */
    CHECK_INT(sl_grant_return(pool, &second), SL_OK);
    CHECK(sl_grant_pool_idle(pool) && sl_grant_pool_idle(other));
    sl_grant_pool_destroy(pool);
    sl_grant_pool_destroy(other);
}

TEST(cores_and_ucu_are_lent) {
    sl_grant_pool *pool = pool_of(4, 4, 2, 1000);
    sl_grant_request asked = {3, 1, 600, 2000};
    sl_grant waits, other, none = {.pool = 0};
    REQUIRE(sl_grant_take(pool, &asked, &waits) == SL_OK);
    uint64_t gpus = waits.gpus;
    CHECK_INT(sl_grant_lend(pool, &waits), SL_OK);
    CHECK_INT(sl_grant_free(pool).cores, 4);
    CHECK_INT(sl_grant_free(pool).ucu_milli, 5500);
    CHECK_INT(sl_grant_free(pool).gpus, 1); /* these it may be using */
    CHECK_INT(sl_grant_free(pool).memory_bytes, 400);
    CHECK_INT(sl_grant_count(pool), 1);
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){2, 0, 0, 0}, &other) == SL_OK);
    CHECK_INT(sl_grant_recover(pool, &asked, &waits), SL_ERR_REFUSED);
    CHECK_INT(waits.amount.cores, 0);
    CHECK_INT(sl_grant_return(pool, &other), SL_OK);
    CHECK_INT(sl_grant_recover(pool, &asked, &waits), SL_OK);
    CHECK_INT(sl_grant_free(pool).cores, 1);
    CHECK_INT(sl_grant_free(pool).ucu_milli, 3500);
    CHECK(waits.gpus == gpus);
    CHECK_INT(sl_grant_lend(pool, &none), SL_ERR_INTERNAL);
    CHECK_INT(sl_grant_return(pool, &waits), SL_OK);
    CHECK(sl_grant_pool_idle(pool));
    sl_grant_pool_destroy(pool);
}

TEST(bad_offers_are_refused) {
    static sl_grant_core cores[2] = {{.cpu_count = 1, .cpus = {3}}, {.cpu_count = 1, .cpus = {3}}};
    sl_grant_pool *pool = NULL;
    CHECK_INT(sl_grant_pool_create(&(sl_grant_offer){cores, 2, 0, 0, 0}, &pool), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "cpu 3");
    cores[1] = (sl_grant_core){.cpu_count = 2, .cpus = {4, 4}};
    CHECK_INT(sl_grant_pool_create(&(sl_grant_offer){cores, 2, 0, 0, 0}, &pool), SL_ERR_INVALID);
    cores[1].cpu_count = 9;
    CHECK_INT(sl_grant_pool_create(&(sl_grant_offer){cores, 2, 0, 0, 0}, &pool), SL_ERR_INVALID);
    CHECK_INT(sl_grant_pool_create(&(sl_grant_offer){cores, 1, 65, 0, 0}, &pool), SL_ERR_INVALID);
    CHECK_INT(sl_grant_pool_create(&(sl_grant_offer){cores, 1025, 0, 0, 0}, &pool), SL_ERR_INVALID);
    CHECK(!pool);
}

TEST(slots_without_a_cpu_are_granted_and_bind_nothing) {
    static sl_grant_core slots[3];
    sl_grant_pool *pool = NULL;
    CHECK_INT(sl_grant_pool_create(&(sl_grant_offer){slots, 3, 0, 0, 0}, &pool), SL_OK);
    sl_grant grant, more;
    CHECK_INT(sl_grant_take(pool, &(sl_grant_request){.cores = 2}, &grant), SL_OK);
    CHECK_INT(sl_grant_cpus(pool, &grant, NULL, 0), 0);
    CHECK_INT(sl_grant_take(pool, &(sl_grant_request){.cores = 2}, &more), SL_ERR_REFUSED);
    CHECK_INT(sl_grant_return(pool, &grant), SL_OK);
    sl_grant_pool_destroy(pool);
}

enum { HELD_MAX = 300 };

/* What is granted, counted from the grants themselves; overlap is a failure. */
static sl_grant_request sum_of(const sl_grant *held, int count) {
    sl_grant_request sum = {0};
    uint64_t cores[SL_GRANT_CORE_WORDS] = {0}, gpus = 0;
    for (int i = 0; i < count; i++) {
        uint32_t ids[SL_GRANT_GPUS_MAX];
        for (int w = 0; w < (int)SL_GRANT_CORE_WORDS; w++) {
            CHECK(!(cores[w] & held[i].cores[w]));
            cores[w] |= held[i].cores[w];
            sum.cores += (uint32_t)__builtin_popcountll(held[i].cores[w]);
        }
        CHECK(!(gpus & held[i].gpus));
        gpus |= held[i].gpus;
        sum.gpus += (uint32_t)sl_grant_gpus(&held[i], ids, SL_GRANT_GPUS_MAX);
        sum.memory_bytes += held[i].amount.memory_bytes;
        sum.ucu_milli += held[i].amount.ucu_milli;
    }
    return sum;
}

static void check_conserved(const sl_grant_pool *pool, const sl_grant *held, int count) {
    sl_grant_request sum = sum_of(held, count), granted = sl_grant_granted(pool);
    sl_grant_request offered = sl_grant_offered(pool), free_now = sl_grant_free(pool);
    CHECK(memcmp(&sum, &granted, sizeof sum) == 0);
    CHECK(granted.cores <= offered.cores && granted.gpus <= offered.gpus);
    CHECK(granted.memory_bytes <= offered.memory_bytes && granted.ucu_milli <= offered.ucu_milli);
    CHECK(granted.cores + free_now.cores == offered.cores);
    CHECK(granted.memory_bytes + free_now.memory_bytes == offered.memory_bytes);
    CHECK_INT(sl_grant_count(pool), count);
}

/* A request and the answer the sums demand for it. */
static void step(sl_grant_pool *pool, sl_rng *rng, sl_grant *held, int *count) {
    if (*count && (*count == HELD_MAX || sl_rng_below(rng, 5) < 2)) {
        int i = (int)sl_rng_below(rng, (uint64_t)*count);
        CHECK_INT(sl_grant_return(pool, &held[i]), SL_OK);
        held[i] = held[--*count];
        return;
    }
    sl_grant_request request = {(uint32_t)sl_rng_below(rng, 24), (uint32_t)sl_rng_below(rng, 3),
                                sl_rng_below(rng, 100), sl_rng_below(rng, 120)};
    sl_grant_request room = sl_grant_free(pool);
    bool fits = request.cores <= room.cores && request.gpus <= room.gpus &&
                request.memory_bytes <= room.memory_bytes && request.ucu_milli <= room.ucu_milli;
    sl_err err = sl_grant_take(pool, &request, &held[*count]);
    CHECK_INT(err, fits ? SL_OK : SL_ERR_REFUSED);
    if (err == SL_OK)
        ++*count;
}

TEST(random_grants_are_conserved) {
    static sl_grant held[HELD_MAX];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        sl_rng rng;
        int count = 0;
        sl_rng_seed(&rng, seed);
        sl_grant_pool *pool = pool_of(seed % 2 ? 200 : 67, 16, 7, 5000);
        for (int i = 0; i < 1500; i++) {
            step(pool, &rng, held, &count);
            check_conserved(pool, held, count);
        }
        while (count)
            CHECK_INT(sl_grant_return(pool, &held[--count]), SL_OK);
        CHECK(sl_grant_pool_idle(pool));
        sl_grant_pool_destroy(pool);
    }
}

TEST(every_core_of_the_largest_node) {
    sl_grant_pool *pool = pool_of(SL_GRANT_CORES_MAX, 64, SL_GRANT_GPUS_MAX, 0);
    sl_grant all, one;
    uint32_t gpus[SL_GRANT_GPUS_MAX];
    REQUIRE(sl_grant_take(pool, &(sl_grant_request){.cores = 1024, .gpus = 64}, &all) == SL_OK);
    CHECK_INT(sl_grant_cpus(pool, &all, NULL, 0), 2048);
    CHECK_INT(sl_grant_gpus(&all, gpus, SL_GRANT_GPUS_MAX), 64);
    CHECK_INT(gpus[63], 63);
    CHECK_INT(sl_grant_take(pool, &(sl_grant_request){.cores = 1}, &one), SL_ERR_REFUSED);
    CHECK_INT(sl_grant_return(pool, &all), SL_OK);
    CHECK(sl_grant_pool_idle(pool));
    sl_grant_pool_destroy(pool);
}
