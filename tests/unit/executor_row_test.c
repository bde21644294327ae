/* Of each attempt of a row one side becomes the owner, whenever the loop closes it. What the thread
 * wrote is plain memory: a checker of threads sees an order that is too weak. */
#include <pthread.h>
#include <stdatomic.h>

#include "actors/executor/row.h"
#include "runtime/rng.h"
#include "tests/lib/test.h"

enum { MOST = 64, ROUNDS = 20000, LONGEST_SPIN = 400 };

typedef struct place {
    struct place *next; /* as in an attempt: the thread reads it, the loop writes it */
    uint32_t called;
    uint32_t taken; /* by the loop, not called */
    uint32_t told;  /* by the loop, called */
} place;

typedef struct one_row {
    sl_row row;
    place places[MOST];
    uint32_t length;
    uint32_t last; /* called last, from 1 */
    sl_row_turn turn;
    pthread_barrier_t *starts, *ends;
} one_row;

static void spin(uint64_t times) {
    for (volatile uint64_t i = 0; i < times; i++) {
    }
}

static void prepare(one_row *r, uint32_t length) {
    memset(r->places, 0, sizeof r->places);
    for (uint32_t i = 0; i + 1 < length; i++)
        r->places[i].next = &r->places[i + 1];
    r->length = length;
    sl_row_open(&r->row, length);
}

static void *call_rows(void *context) {
    one_row *r = context;
    sl_rng rng;
    sl_rng_seed(&rng, 1);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(r->starts);
        place *at, *next = r->places;
        do {
            at = next;
            spin(sl_rng_below(&rng, LONGEST_SPIN / 8));
            at->called++;
            next = __atomic_load_n(&at->next, __ATOMIC_RELAXED);
            r->turn = sl_row_step(&r->row);
        } while (r->turn == SL_ROW_NEXT);
        r->last = (uint32_t)(at - r->places) + 1;
        pthread_barrier_wait(r->ends);
    }
    return NULL;
}

/* What the loop does with what it has got, while the thread goes on. */
static void take(one_row *r, uint32_t called) {
    for (uint32_t i = 0; i + 1 < called; i++)
        r->places[i].told += r->places[i].called, r->places[i].next = NULL;
    __atomic_store_n(&r->places[called - 1].next, NULL, __ATOMIC_RELAXED);
    for (uint32_t i = called; i < r->length; i++)
        r->places[i].taken++, r->places[i].next = NULL;
}

static bool is_right(const one_row *r, uint32_t called) {
    bool right = called ? r->last == called : r->last == r->length;
    right &= r->turn == (called ? SL_ROW_ALONE : SL_ROW_OVER);
    for (uint32_t i = 0; i < r->length; i++) {
        const place *p = &r->places[i];
        right &= p->called + p->taken == 1;
        right &= p->told == (i + 1 < called);
        right &= p->taken == (called && i >= called);
    }
    return right;
}

TEST(each_attempt_of_a_row_has_one_owner) {
    static one_row r;
    pthread_barrier_t starts, ends;
    pthread_t thread;
    sl_rng rng;
    int wrong = 0, split = 0, over = 0;
    pthread_barrier_init(&starts, NULL, 2), pthread_barrier_init(&ends, NULL, 2);
    r.starts = &starts, r.ends = &ends;
    sl_rng_seed(&rng, 2);
    prepare(&r, 1);
    REQUIRE(pthread_create(&thread, NULL, call_rows, &r) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        prepare(&r, 1 + (uint32_t)sl_rng_below(&rng, MOST));
        pthread_barrier_wait(&starts);
        spin(sl_rng_below(&rng, LONGEST_SPIN * MOST / 16));
        uint32_t called = sl_row_close(&r.row);
        if (called)
            take(&r, called);
        wrong += sl_row_close(&r.row) != 0; /* the second time it takes nothing */
        pthread_barrier_wait(&ends);
        wrong += !is_right(&r, called);
        split += called > 0;
        over += called == 0;
    }
    pthread_join(thread, NULL);
    CHECK_INT(wrong, 0);
    CHECK(split > 0 && over > 0);
    pthread_barrier_destroy(&starts), pthread_barrier_destroy(&ends);
}

TEST(a_row_of_one_is_never_closed) {
    sl_row row;
    sl_row_open(&row, 1);
    CHECK_INT(sl_row_close(&row), 0);
    CHECK_INT(sl_row_step(&row), SL_ROW_OVER);
}
