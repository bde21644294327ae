/* An executor whose rows are split all the time, while their threads call, wait and end: each
 * attempt is called at most once and answered once, and all that was granted comes back. */
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/executor/waiting.h"
#include "actors/registry/registry_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/node.h"
#include "runtime/rng.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"

enum {
    TASKS = 20000,
    CORES = 3,
    BATCH = 64,
    FLIGHT = 4000,
    PAYLOAD_BYTES = 64,
    SPLIT_NS = 20000, /* every row that is not over at once */
    SHORT_NS = 4000,
    LONG_NS = 400000
};

static _Atomic int calls[TASKS], working, most_working, waited;

/* What is asked of a call: how long it takes, and whether it waits meanwhile. */
typedef struct order {
    uint32_t task;
    uint32_t ns;
    bool waits;
} order;

static void work_for(uint64_t ns) {
    int now = atomic_fetch_add(&working, 1) + 1, most = atomic_load(&most_working);
    while (now > most && !atomic_compare_exchange_weak(&most_working, &most, now)) {
    }
    for (uint64_t end_ns = sl_clock_now_ns() + ns; sl_clock_now_ns() < end_ns;) {
    }
    atomic_fetch_sub(&working, 1);
}

static sl_err work(const void *args, size_t bytes, sl_task_output *output, void *user) {
    order o;
    (void)user;
    if (bytes != sizeof o)
        return sl_fail(SL_ERR_INVALID, "no order");
    memcpy(&o, args, sizeof o);
    atomic_fetch_add(&calls[o.task], 1);
    work_for(o.ns);
    if (o.waits && sl_executor_wait_begin() == SL_OK) {
        atomic_fetch_add(&waited, 1);
        sl_executor_wait_end();
        work_for(o.ns);
    }
    return sl_task_output_write(output, &o.task, sizeof o.task);
}

/* ---- who assigns, and takes the executor's answers; the registry's place is its too ---- */

typedef struct state {
    sl_rng rng;
    uint32_t assigned, flying, ended;
    uint32_t attempts[TASKS];
    uint32_t answers[TASKS];
    uint8_t statuses[TASKS];
    int wrong;
    bool done;
    registry_offer last;
} state;

static state s;

static sl_err send_assign(sl_actor *self, executor_task *tasks, uint32_t count) {
    executor_assign body = {.tasks = {tasks, count}};
    return executor_assign_send(self, sl_addr_well_known(0, SL_SLOT_EXECUTOR), &body);
}

static order order_for(uint32_t task) {
    uint64_t dice = sl_rng_below(&s.rng, 1000);
    return (order){.task = task,
                   .ns = (uint32_t)sl_rng_below(&s.rng, dice < 15 ? LONG_NS : SHORT_NS),
                   .waits = dice >= 15 && dice < 18};
}

static executor_task make_task(uint32_t task, uint8_t *payload) {
    order o = order_for(task);
    executor_function call = {.name = sl_text_of("work"),
                              .arguments = {(const uint8_t *)&o, sizeof o}};
    uint8_t *end = sl_record_encode(&executor_function_record, &call, payload, NULL);
    return (executor_task){.task = task,
                           .attempt = ++s.attempts[task],
                           .cpus = 1,
                           .kind = SL_TASK_FUNCTION,
                           .payload = {payload, (uint32_t)(end - payload)}};
}

static void cancel_some(sl_actor *self) {
    executor_attempt some[8];
    for (uint32_t i = 0; i < 8; i++) {
        some[i].task = sl_rng_below(&s.rng, s.assigned);
        some[i].attempt = s.attempts[some[i].task];
    }
    executor_cancel body = {.attempts = {some, 8}};
    (void)executor_cancel_send(self, sl_addr_well_known(0, SL_SLOT_EXECUTOR), &body);
}

static void assign_more(sl_actor *self) {
    executor_task tasks[BATCH];
    uint8_t payloads[BATCH][PAYLOAD_BYTES];
    while (s.assigned + BATCH <= TASKS && s.flying + BATCH <= FLIGHT) {
        for (uint32_t i = 0; i < BATCH; i++)
            tasks[i] = make_task(s.assigned + i, payloads[i]);
        if (send_assign(self, tasks, BATCH) != SL_OK) {
            for (uint32_t i = 0; i < BATCH; i++)
                s.attempts[s.assigned + i]--;
            sl_await_room(self, sl_addr_well_known(0, SL_SLOT_EXECUTOR));
            return;
        }
        s.assigned += BATCH;
        s.flying += BATCH;
    }
}

static void on_results(const scheduler_results *results) {
    for (uint32_t i = 0; i < results->results.count; i++) {
        const scheduler_result *result = &results->results.items[i];
        uint32_t answer;
        s.wrong += result->attempt != s.attempts[result->task];
        s.answers[result->task]++;
        s.statuses[result->task] = result->status;
        if (result->status == SL_TASK_DONE) {
            s.wrong += result->output.bytes != sizeof answer;
            memcpy(&answer, result->output.data, sizeof answer);
            s.wrong += answer != result->task || result->end_s < result->start_s;
        }
        s.flying--;
        s.ended++;
    }
}

static void on_refused(sl_actor *self, const scheduler_refused *refused) {
    for (uint32_t i = 0; i < refused->attempts.count; i++) {
        uint8_t payload[PAYLOAD_BYTES];
        uint32_t task = (uint32_t)refused->attempts.items[i].task;
        s.wrong += refused->attempts.items[i].attempt != s.attempts[task];
        executor_task again = make_task(task, payload);
        CHECK_INT(send_assign(self, &again, 1), SL_OK);
    }
}

static bool is_idle(const registry_offer *offer) {
    return offer->cores_free == offer->cores && offer->ucu_free_milli == offer->ucu_milli &&
           !offer->running && !offer->backlog;
}

static void maybe_stop(sl_actor *self) {
    node_stop stop = {0};
    if (s.done || s.ended < TASKS / BATCH * BATCH || !is_idle(&s.last))
        return;
    s.done = true;
    CHECK_INT(node_stop_send(self, sl_addr_well_known(0, SL_SLOT_NODE), &stop), SL_OK);
}

static sl_err driver_start(sl_actor *self, void *nothing, const void *arguments) {
    (void)nothing, (void)arguments;
    assign_more(self);
    return SL_OK;
}

static sl_err driver_receive(sl_actor *self, void *nothing, const sl_message *message) {
    (void)nothing;
    if (message->type == &scheduler_results_type)
        on_results(message->body);
    else if (message->type == &scheduler_refused_type)
        on_refused(self, message->body);
    else if (message->type == &registry_free_type)
        s.last = ((const registry_free *)message->body)->offer.items[0];
    assign_more(self);
    if (sl_rng_below(&s.rng, 20) == 0)
        cancel_some(self);
    maybe_stop(self);
    return SL_OK;
}

static const sl_actor_class driver_class = {
    .name = "driver", .state_bytes = 1, .start = driver_start, .receive = driver_receive};

/* Tells the driver what the registry is told. */
static sl_err registry_receive(sl_actor *self, void *nothing, const sl_message *message) {
    (void)nothing;
    if (message->type == &registry_free_type)
        CHECK_INT(
            sl_send(self, sl_addr_well_known(0, SL_SLOT_DRIVER), message->type, message->body),
            SL_OK);
    return SL_OK;
}

static const sl_actor_class registry_class = {
    .name = "registry", .state_bytes = 1, .receive = registry_receive};

/* ---- one node ---- */

static void run_node(uint64_t seed, uint64_t row_ns) {
    sl_transport *transport;
    sl_node *node;
    sl_pool *pool;
    sl_functions *functions;
    sl_grant_core cores[CORES] = {{0, 1, {0}}, {0, 1, {1}}, {0, 1, {2}}};
    memset(&s, 0, sizeof s);
    sl_rng_seed(&s.rng, seed);
    for (uint32_t i = 0; i < TASKS; i++)
        atomic_store(&calls[i], 0);
    REQUIRE(sl_functions_create(&functions) == SL_OK);
    CHECK_INT(sl_functions_register_slow(functions, "work", work, NULL), SL_OK);
    sl_functions_freeze(functions);
    REQUIRE(sl_thread_network_create(1, 0, &transport) == SL_OK);
    sl_node_options node_options = {.transport = transport, .incarnation = 1, .seed = seed};
    REQUIRE(sl_node_create(&node_options, &node) == SL_OK);
    REQUIRE(sl_pool_create(node, &(sl_pool_options){.threads = CORES}, &pool) == SL_OK);
    sl_executor_options options = {.offer = {cores, CORES, 0, 1u << 20, 1000},
                                   .functions = functions,
                                   .pool = pool,
                                   .row_ns = row_ns};
    CHECK_INT(sl_node_spawn(node, SL_SLOT_REGISTRY, &registry_class, NULL, 0, NULL), SL_OK);
    CHECK_INT(
        sl_node_spawn(node, SL_SLOT_EXECUTOR, &sl_executor_class, &options, sizeof options, NULL),
        SL_OK);
    CHECK_INT(sl_node_spawn(node, SL_SLOT_DRIVER, &driver_class, NULL, 0, NULL), SL_OK);
    CHECK_INT(sl_node_run(node, NULL), SL_OK);
    sl_pool_destroy(pool);
    sl_node_destroy(node);
    sl_functions_destroy(functions);
}

static void check_all(void) {
    int done = 0, cancelled = 0, wrong = 0;
    for (uint32_t i = 0; i < s.assigned; i++) {
        bool is_done = s.statuses[i] == SL_TASK_DONE;
        done += is_done;
        cancelled += s.statuses[i] == SL_TASK_CANCELLED;
        wrong += s.answers[i] != 1 || atomic_load(&calls[i]) != is_done;
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(s.wrong, 0);
    CHECK_INT(done + cancelled, s.assigned);
    CHECK(done > 0 && cancelled > 0);
    CHECK(s.done && is_idle(&s.last));
    CHECK_INT(atomic_load(&working), 0);
    CHECK(atomic_load(&most_working) <= CORES);
    CHECK(atomic_load(&waited) > 0);
}

TEST(rows_that_are_split_lose_nothing_and_repeat_nothing) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_node(seed, SPLIT_NS);
        check_all();
    }
}

TEST(rows_that_are_left_alone_do_the_same) {
    run_node(4, 0);
    check_all();
}
