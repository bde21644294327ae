#include "runtime/collective.h"

#include <pthread.h>

#include "tests/lib/collective_conformance.h"
#include "tests/lib/test.h"

enum { MOST = 8 };

static void *run_member(void *argument) {
    collective_conformance_run(argument);
    sl_collective_close(argument);
    return NULL;
}

static void run(uint32_t count) {
    sl_collective *members[MOST];
    pthread_t threads[MOST];
    REQUIRE(sl_collective_thread_create(count, members) == SL_OK);
    for (uint32_t i = 0; i < count; i++)
        REQUIRE(pthread_create(&threads[i], NULL, run_member, members[i]) == 0);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

TEST(one_member) {
    run(1);
}

TEST(two_members) {
    run(2);
}

TEST(seven_members) {
    run(7);
}

TEST(counts_out_of_range) {
    sl_collective *members[1];
    CHECK(sl_collective_thread_create(0, members) == SL_ERR_INVALID);
    CHECK(sl_collective_thread_create(5000, members) == SL_ERR_INVALID);
}

TEST(different_operations_fail_for_all) {
    sl_collective *members[2];
    sl_collective_ticket tickets[2];
    double a = 1, b = 2;
    bool done;
    REQUIRE(sl_collective_thread_create(2, members) == SL_OK);
    CHECK(sl_collective_allreduce(members[0], &a, 1, SL_COLLECTIVE_FLOAT64, SL_COLLECTIVE_SUM,
                                  &tickets[0]) == SL_OK);
    CHECK(sl_collective_allreduce(members[1], &b, 1, SL_COLLECTIVE_FLOAT64, SL_COLLECTIVE_MAX,
                                  &tickets[1]) == SL_OK);
    CHECK(sl_collective_test(members[0], tickets[0], &done) == SL_ERR_INVALID);
    CHECK(sl_collective_test(members[1], tickets[1], &done) == SL_ERR_INVALID);
    CHECK_DOUBLE(a, 1, 0);
    sl_collective_close(members[0]);
    sl_collective_close(members[1]);
}

TEST(leaving_ends_what_is_under_way) {
    sl_collective *members[2];
    sl_collective_ticket ticket;
    bool done = true;
    REQUIRE(sl_collective_thread_create(2, members) == SL_OK);
    CHECK(sl_collective_barrier(members[0], &ticket) == SL_OK);
    CHECK(sl_collective_test(members[0], ticket, &done) == SL_OK && !done);
    sl_collective_close(members[0]);
    CHECK(sl_collective_barrier(members[1], &ticket) == SL_ERR_CLOSED);
    sl_collective_close(members[1]);
}
