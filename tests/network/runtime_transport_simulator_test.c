/* The simulator's transport keeps what runtime/transport.h promises.
 *
 * The suite has a thread for each node, and waits; the simulator has one thread and its events. So
 * every call goes through a turnstile: one at a time, and who finds nothing to do lets the next
 * event happen. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/clock.h"
#include "runtime/simulator_internal.h"
#include "tests/lib/test.h"
#include "tests/lib/transport_conformance.h"

enum { MOST = 8 };

typedef struct world {
    pthread_mutex_t lock; /* recursive: callbacks call operations */
    sl_simulator *simulator;
} world;

typedef struct turnstile {
    sl_transport base;
    world *of;
    bool woken; /* and has not slept since */
} turnstile;

static turnstile *self_of(sl_transport *t) {
    return (turnstile *)(void *)t;
}

static sl_sim_node *node_of(turnstile *s) {
    return &s->of->simulator->nodes[s->base.self];
}

static sl_transport *enter(sl_transport *t) {
    pthread_mutex_lock(&self_of(t)->of->lock);
    return &node_of(self_of(t))->transport->base;
}

static void leave(sl_transport *t) {
    pthread_mutex_unlock(&self_of(t)->of->lock);
}

/* ---- the operations ---- */

static void *acquire(sl_transport *t, uint32_t peer) {
    sl_transport *inner = enter(t);
    void *frame = inner->ops->acquire(inner, peer);
    leave(t);
    return frame;
}

static void post(sl_transport *t, uint32_t peer, void *frame, size_t bytes) {
    sl_transport *inner = enter(t);
    inner->ops->post(inner, peer, frame, bytes);
    leave(t);
}

static sl_err bulk_send(sl_transport *t, uint32_t peer, uint64_t id, sl_blob *blob) {
    sl_transport *inner = enter(t);
    sl_err err = inner->ops->bulk_send(inner, peer, id, blob);
    leave(t);
    return err;
}

static sl_err bulk_receive(sl_transport *t, uint32_t peer, uint64_t id, uint64_t bytes) {
    sl_transport *inner = enter(t);
    sl_err err = inner->ops->bulk_receive(inner, peer, id, bytes);
    leave(t);
    return err;
}

static size_t poll(sl_transport *t, const sl_transport_sink *sink, size_t budget) {
    sl_transport *inner = enter(t);
    size_t events = inner->ops->poll(inner, sink, budget);
    if (!events && sl_simulator_step(self_of(t)->of->simulator, UINT64_MAX))
        events = inner->ops->poll(inner, sink, budget);
    leave(t);
    return events;
}

static uint32_t arm(sl_transport *t) {
    (void)t;
    return 0;
}

static void disarm(sl_transport *t) {
    (void)t;
}

static void sleep_until(sl_transport *t, uint32_t ticket, uint64_t timeout_ns) {
    uint64_t end_ns = sl_clock_now_ns() + timeout_ns;
    (void)ticket;
    for (bool done = false; !done && sl_clock_now_ns() < end_ns;) {
        enter(t);
        const sl_sim_transport *inner = node_of(self_of(t))->transport;
        done = self_of(t)->woken || inner->inbox.head || inner->sent.head;
        bool stepped = !done && sl_simulator_step(self_of(t)->of->simulator, UINT64_MAX);
        leave(t);
        if (!done && !stepped)
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    enter(t);
    self_of(t)->woken = false;
    leave(t);
}

static void wake(sl_transport *t) {
    enter(t);
    self_of(t)->woken = true;
    leave(t);
}

static bool drained(sl_transport *t) {
    sl_transport *inner = enter(t);
    bool is = inner->ops->drained(inner);
    leave(t);
    return is;
}

static void abandon(sl_transport *t, uint32_t peer) {
    sl_transport *inner = enter(t);
    inner->ops->abandon(inner, peer);
    leave(t);
}

static void end_life(sl_transport *t) {
    sl_transport *inner = enter(t);
    sl_sim_transport_lose(node_of(self_of(t))->transport);
    node_of(self_of(t))->node = NULL;
    inner->ops->close(inner);
    leave(t);
}

static const sl_transport_ops ops = {.name = "simulator, through a turnstile",
                                     .acquire = acquire,
                                     .post = post,
                                     .bulk_send = bulk_send,
                                     .bulk_receive = bulk_receive,
                                     .poll = poll,
                                     .arm = arm,
                                     .disarm = disarm,
                                     .sleep = sleep_until,
                                     .wake = wake,
                                     .drained = drained,
                                     .abandon = abandon,
                                     .close = end_life};

/* ---- the network ---- */

static void *run_node(void *argument) {
    sl_transport *t = argument;
    transport_conformance_run(t, &(transport_conformance_options){.seed = 3, .frames = 2000});
    return NULL;
}

static void *run_abandoning_node(void *argument) {
    transport_conformance_abandon(argument);
    return NULL;
}

static void *run_misfit_node(void *argument) {
    transport_conformance_misfit(argument);
    return NULL;
}

/* A life whose loop the simulator does not turn: this test is its loop. */
static void begin_life(world *w, turnstile *s, uint32_t number, size_t frame_bytes) {
    static int loop;
    sl_sim_node *node = &w->simulator->nodes[number];
    node->life = 1;
    node->turning = true;
    node->node = (sl_node *)(void *)&loop;
    REQUIRE(sl_sim_transport_create(w->simulator, number, &node->transport) == SL_OK);
    *s = (turnstile){.base = {.ops = &ops,
                              .self = number,
                              .count = w->simulator->options.nodes,
                              .frame_bytes = frame_bytes},
                     .of = w};
}

static void run(uint32_t count, size_t frame_bytes, void *(*node)(void *)) {
    static const sl_simulator_link links[4] = {
        {50000, 20000, 1000000000}, {2000000, 500000, 0}, {40000000, 0, 10000000}, {1, 0, 0}};
    turnstile nodes[MOST];
    pthread_t threads[MOST];
    world w;
    pthread_mutexattr_t recursive;
    uint64_t alive = sl_blob_alive_bytes();
    sl_simulator_options options = {
        .nodes = count, .seed = 7, .regions = 2, .links = links, .frame_bytes = frame_bytes};
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&w.lock, &recursive);
    REQUIRE(sl_simulator_create(&options, &w.simulator) == SL_OK);
    for (uint32_t i = 0; i < count; i++)
        begin_life(&w, &nodes[i], i, frame_bytes);
    for (uint32_t i = 0; i < count; i++)
        REQUIRE(pthread_create(&threads[i], NULL, node, &nodes[i].base) == 0);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < count; i++)
        end_life(&nodes[i].base);
    CHECK(sl_simulator_still(w.simulator));
    sl_simulator_destroy(w.simulator);
    pthread_mutex_destroy(&w.lock);
    pthread_mutexattr_destroy(&recursive);
    CHECK_INT(sl_blob_alive_bytes(), alive);
}

TEST(one_node) {
    run(1, 8192, run_node);
}

TEST(two_nodes) {
    run(2, 8192, run_node);
}

TEST(seven_nodes_with_small_frames) {
    run(7, 512, run_node);
}

TEST(abandons) {
    run(4, 8192, run_abandoning_node);
}

TEST(tells_of_bulk_data_of_another_length) {
    run(3, 8192, run_misfit_node);
}
