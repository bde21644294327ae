#include "tests/lib/collective_conformance.h"

#include <sched.h>

#include "tests/lib/test.h"

enum { COUNT = 1000, MANY = SL_COLLECTIVE_MAX_PENDING };

/* Starts an operation; another member may be behind by a round. */
#define START(call)                                                                                \
    do {                                                                                           \
        sl_err start_err_;                                                                         \
        while ((start_err_ = (call)) == SL_ERR_AGAIN)                                              \
            sched_yield();                                                                         \
        REQUIRE(start_err_ == SL_OK);                                                              \
    } while (0)

static void finish(sl_collective *c, sl_collective_ticket ticket) {
    bool done = false;
    while (!done) {
        REQUIRE(sl_collective_test(c, ticket, &done) == SL_OK);
        if (!done)
            sched_yield();
    }
    CHECK(sl_collective_test(c, ticket, &done) == SL_ERR_NOT_FOUND);
}

static double combined(sl_collective_reduction reduction, uint32_t members, int i) {
    double n = members;
    if (reduction == SL_COLLECTIVE_SUM)
        return n * i + n * (n - 1) / 2;
    return reduction == SL_COLLECTIVE_MIN ? i : i + n - 1;
}

/* Member m's element i is i + m, exact in every type. */
#define ALLREDUCE_CASE(T, type)                                                                    \
    static void allreduce_##type(sl_collective *c) {                                               \
        for (int r = 0; r < SL_COLLECTIVE_REDUCTIONS; r++) {                                       \
            T array[COUNT];                                                                        \
            sl_collective_ticket ticket;                                                           \
            for (int i = 0; i < COUNT; i++)                                                        \
                array[i] = (T)(i + (int)c->self);                                                  \
            START(sl_collective_allreduce(c, array, COUNT, SL_COLLECTIVE_##type,                   \
                                          (sl_collective_reduction)r, &ticket));                   \
            finish(c, ticket);                                                                     \
            for (int i = 0; i < COUNT; i++)                                                        \
                CHECK_DOUBLE(array[i], combined((sl_collective_reduction)r, c->count, i), 0);      \
        }                                                                                          \
    }
ALLREDUCE_CASE(float, FLOAT32)
ALLREDUCE_CASE(double, FLOAT64)
ALLREDUCE_CASE(int64_t, INT64)

static void broadcast(sl_collective *c) {
    for (uint32_t root = 0; root < c->count; root++) {
        double array[COUNT];
        sl_collective_ticket ticket;
        for (int i = 0; i < COUNT; i++)
            array[i] = c->self == root ? i * 0.5 + root : -1;
        START(sl_collective_broadcast(c, array, COUNT, SL_COLLECTIVE_FLOAT64, root, &ticket));
        finish(c, ticket);
        for (int i = 0; i < COUNT; i++)
            CHECK_DOUBLE(array[i], i * 0.5 + root, 0);
    }
}

static void allgather(sl_collective *c) {
    int64_t part[3] = {c->self * 10, c->self * 10 + 1, c->self * 10 + 2};
    int64_t *array = calloc(c->count, sizeof part);
    sl_collective_ticket ticket;
    REQUIRE(array);
    START(sl_collective_allgather(c, part, array, 3, SL_COLLECTIVE_INT64, &ticket));
    finish(c, ticket);
    for (uint32_t m = 0; m < c->count; m++)
        for (int i = 0; i < 3; i++)
            CHECK_INT(array[3 * m + (uint32_t)i], 10 * m + (uint32_t)i);
    free(array);
}

/* As many at once as may be, tested in the order opposite to their starts. */
static void many(sl_collective *c) {
    int64_t values[MANY];
    sl_collective_ticket tickets[MANY], one_more;
    for (int i = 0; i < MANY; i++) {
        values[i] = i + (int)c->self;
        START(sl_collective_allreduce(c, &values[i], 1, SL_COLLECTIVE_INT64, SL_COLLECTIVE_MAX,
                                      &tickets[i]));
    }
    CHECK(sl_collective_barrier(c, &one_more) == SL_ERR_AGAIN);
    for (int i = MANY; i-- > 0;)
        finish(c, tickets[i]);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(values[i], i + (int)c->count - 1);
}

static void refusals(sl_collective *c) {
    float one = 1;
    bool done;
    sl_collective_ticket ticket;
    CHECK(sl_collective_allreduce(c, &one, 1, SL_COLLECTIVE_TYPES, SL_COLLECTIVE_SUM, &ticket) ==
          SL_ERR_INVALID);
    CHECK(sl_collective_allreduce(c, &one, 1, SL_COLLECTIVE_FLOAT32, SL_COLLECTIVE_REDUCTIONS,
                                  &ticket) == SL_ERR_INVALID);
    CHECK(sl_collective_broadcast(c, &one, 1, SL_COLLECTIVE_FLOAT32, c->count, &ticket) ==
          SL_ERR_INVALID);
    CHECK(sl_collective_allreduce(c, &one, (uint64_t)1 << 31, SL_COLLECTIVE_FLOAT32,
                                  SL_COLLECTIVE_SUM, &ticket) == SL_ERR_TOO_LARGE);
    CHECK(sl_collective_test(c, 0, &done) == SL_ERR_NOT_FOUND);
    CHECK(sl_collective_test(c, 1u << 30, &done) == SL_ERR_NOT_FOUND);
    START(sl_collective_allreduce(c, NULL, 0, SL_COLLECTIVE_FLOAT32, SL_COLLECTIVE_SUM, &ticket));
    finish(c, ticket);
}

void collective_conformance_run(sl_collective *c) {
    sl_collective_ticket ticket;
    allreduce_FLOAT32(c);
    allreduce_FLOAT64(c);
    allreduce_INT64(c);
    broadcast(c);
    allgather(c);
    many(c);
    refusals(c);
    START(sl_collective_barrier(c, &ticket));
    finish(c, ticket);
}
