/* Scheduler and executors together, on networks of threads: submit -> place -> run -> result. */
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/scheduler.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"
#include "tests/lib/fake_registry.h"

enum { MOST_NODES = 8, MOST_TASKS = 4096 };

/* ---- functions the tasks call ---- */

static _Atomic int running_now, running_most;

static sl_err add_one(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)user;
    uint64_t value;
    if (bytes != sizeof value)
        return sl_fail(SL_ERR_INVALID, "add_one wants 8 bytes, not %zu", bytes);
    memcpy(&value, args, sizeof value);
    value++;
    return sl_task_output_write(output, &value, sizeof value);
}

static sl_err count_running(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)args, (void)bytes, (void)output, (void)user;
    int now = atomic_fetch_add(&running_now, 1) + 1, most = atomic_load(&running_most);
    while (now > most && !atomic_compare_exchange_weak(&running_most, &most, now)) {
    }
    usleep(300);
    atomic_fetch_sub(&running_now, 1);
    return SL_OK;
}

static sl_err fail_always(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)args, (void)bytes, (void)output, (void)user;
    return sl_fail(SL_ERR_FAILED, "it always fails");
}

static _Atomic int flaky_calls;

static sl_err fail_twice(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)args, (void)bytes, (void)output, (void)user;
    return atomic_fetch_add(&flaky_calls, 1) < 2 ? sl_fail(SL_ERR_FAILED, "not yet") : SL_OK;
}

/* ---- the driver: submits a plan, remembers outcomes, stops the network ---- */

typedef struct plan_task {
    const char *function;
    uint64_t argument;
    uint32_t cpus, gpus, retries;
    int32_t priority;
    const char *region;
    uint32_t after[4];
    uint32_t after_count;
} plan_task;

typedef struct plan {
    plan_task tasks[MOST_TASKS];
    uint32_t count;
    scheduler_outcome outcomes[MOST_TASKS];
    uint64_t answers[MOST_TASKS];
    char messages[MOST_TASKS][64];
    uint32_t order[MOST_TASKS]; /* tags in order of their end */
    uint32_t ended;
    uint32_t accept_error;
    char accept_detail[256];
    int cancel_after; /* cancel all when so many have ended; -1: never */
    bool paused;      /* from before they are submitted, for a while */
    bool drained;
} plan;

typedef struct driver_state {
    plan *p;
} driver_state;

static void stop_network(sl_actor *self) {
    node_stop stop = {0};
    for (uint32_t node = 0; node < sl_node_count(sl_actor_node(self)); node++)
        CHECK_INT(node_stop_send(self, sl_addr_well_known(node, SL_SLOT_NODE), &stop), SL_OK);
}

static sl_err submit_all(sl_actor *self, plan *p) {
    scheduler_task *tasks = calloc(p->count, sizeof *tasks);
    scheduler_tag *after = calloc(p->count * 4, sizeof *after);
    uint8_t *payloads = malloc(p->count * 128);
    for (uint32_t i = 0; i < p->count; i++) {
        const plan_task *from = &p->tasks[i];
        executor_function call = {.name = sl_text_of(from->function),
                                  .arguments = {(const uint8_t *)&from->argument, 8}};
        uint8_t *payload = payloads + (size_t)i * 128;
        uint8_t *end = sl_record_encode(&executor_function_record, &call, payload, NULL);
        for (uint32_t a = 0; a < from->after_count; a++)
            after[i * 4 + a].tag = from->after[a];
        tasks[i] = (scheduler_task){.tag = i,
                                    .kind = SL_TASK_FUNCTION,
                                    .cpus = from->cpus,
                                    .gpus = from->gpus,
                                    .retries = from->retries,
                                    .priority = from->priority,
                                    .region = sl_text_of(from->region),
                                    .group = sl_text_of(from->function),
                                    .after = {&after[i * 4], from->after_count},
                                    .payload = {payload, (uint32_t)(end - payload)}};
    }
    scheduler_submit submit = {.tasks = {tasks, p->count}};
    sl_err err = scheduler_submit_send(self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &submit);
    free(tasks), free(after), free(payloads);
    return err;
}

static sl_err pause_or_go_on(sl_actor *self, bool paused) {
    scheduler_pause body = {.paused = paused};
    return scheduler_pause_send(self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &body);
}

static sl_err driver_start(sl_actor *self, void *state, const void *arguments) {
    driver_state *driver = state;
    driver->p = *(plan *const *)arguments;
    if (driver->p->paused)
        CHECK_INT(pause_or_go_on(self, true), SL_OK);
    return submit_all(self, driver->p);
}

static void on_done(sl_actor *self, plan *p, const scheduler_done *done) {
    for (uint32_t i = 0; i < done->outcomes.count; i++) {
        const scheduler_outcome *outcome = &done->outcomes.items[i];
        p->outcomes[outcome->tag] = *outcome;
        if (outcome->output.bytes == 8)
            memcpy(&p->answers[outcome->tag], outcome->output.data, 8);
        snprintf(p->messages[outcome->tag], 64, "%.*s", (int)outcome->message.bytes,
                 outcome->message.data);
        p->order[p->ended++] = (uint32_t)outcome->tag;
    }
    if (p->cancel_after >= 0 && p->ended >= (uint32_t)p->cancel_after) {
        p->cancel_after = -1;
        scheduler_cancel cancel = {.all = true};
        CHECK_INT(scheduler_cancel_send(self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &cancel),
                  SL_OK);
    }
    if (p->ended == p->count)
        stop_network(self);
}

static sl_err driver_receive(sl_actor *self, void *state, const sl_message *message) {
    plan *p = ((driver_state *)state)->p;
    if (message->type == &scheduler_accepted_type) {
        const scheduler_accepted *accepted = message->body;
        p->accept_error = accepted->error;
        snprintf(p->accept_detail, sizeof p->accept_detail, "%s", accepted->detail.data);
        if (accepted->error)
            stop_network(self);
        else if (p->paused)
            (void)sl_timer_start(self, 200 * SL_NS_PER_MS, 0);
    } else if (message->type == &node_timer_type) {
        CHECK_INT(p->ended, 0);
        CHECK_INT(pause_or_go_on(self, false), SL_OK);
    } else if (message->type == &scheduler_done_type) {
        on_done(self, p, message->body);
    }
    return SL_OK;
}

static const sl_actor_class driver_class = {.name = "driver",
                                            .state_bytes = sizeof(driver_state),
                                            .start = driver_start,
                                            .receive = driver_receive};

/* ---- the network ---- */

typedef struct network_options {
    uint32_t nodes, cores, gpus;
    const char *const *regions;
    const char *policy;
    uint32_t without;
    uint32_t liar; /* node liar - 1 has no cores, whatever the registry says; 0: none lies */
    uint32_t mailbox_limit;
} network_options;

typedef struct member {
    sl_node *node;
    sl_pool *pool;
    pthread_t thread;
} member;

static sl_functions *functions_create(void) {
    sl_functions *functions;
    if (sl_functions_create(&functions) != SL_OK)
        return NULL;
    CHECK_INT(sl_functions_register(functions, "add_one", add_one, NULL), SL_OK);
    CHECK_INT(sl_functions_register(functions, "count_running", count_running, NULL), SL_OK);
    CHECK_INT(sl_functions_register(functions, "fail_always", fail_always, NULL), SL_OK);
    CHECK_INT(sl_functions_register(functions, "fail_twice", fail_twice, NULL), SL_OK);
    sl_functions_freeze(functions);
    return functions;
}

static void *run_node(void *argument) {
    member *m = argument;
    sl_err err = sl_node_run(m->node, NULL);
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "node ends with %s: %s", sl_err_text(err),
                     sl_err_detail());
    return NULL;
}

static void spawn_actors(member *m, const network_options *options, const sl_functions *functions,
                         plan *p) {
    sl_grant_core cores[64];
    for (uint32_t i = 0; i < options->cores; i++)
        cores[i] = (sl_grant_core){0, 1, {i}};
    bool none = sl_node_id(m->node) == options->without || sl_node_id(m->node) + 1 == options->liar;
    sl_fake_registry fake = {options->nodes, options->cores,   options->gpus,   1ull << 30,
                             1000,           options->regions, options->without};
    sl_executor_options executor = {
        .offer = {cores, none ? 0 : options->cores, options->gpus, 1ull << 30, 1000},
        .functions = functions,
        .pool = m->pool};
    sl_scheduler_options scheduler = {.policy = options->policy, .seed = 1};
    CHECK_INT(
        sl_node_spawn(m->node, SL_SLOT_REGISTRY, &sl_fake_registry_class, &fake, sizeof fake, NULL),
        SL_OK);
    CHECK_INT(sl_node_spawn(m->node, SL_SLOT_EXECUTOR, &sl_executor_class, &executor,
                            sizeof executor, NULL),
              SL_OK);
    CHECK_INT(sl_node_spawn(m->node, SL_SLOT_SCHEDULER, &sl_scheduler_class, &scheduler,
                            sizeof scheduler, NULL),
              SL_OK);
    if (sl_node_id(m->node) == 0)
        CHECK_INT(sl_node_spawn(m->node, SL_SLOT_DRIVER, &driver_class, &p, sizeof p, NULL), SL_OK);
}

static void run_network(const network_options *options, plan *p) {
    sl_transport *transports[MOST_NODES];
    member members[MOST_NODES];
    sl_functions *functions = functions_create();
    REQUIRE(sl_thread_network_create(options->nodes, 0, transports) == SL_OK);
    for (uint32_t i = 0; i < options->nodes; i++) {
        sl_node_options node_options = {.transport = transports[i],
                                        .incarnation = i + 1,
                                        .seed = i,
                                        .mailbox_limit = options->mailbox_limit};
        REQUIRE(sl_node_create(&node_options, &members[i].node) == SL_OK);
        sl_pool_options pool_options = {.threads = options->cores};
        REQUIRE(sl_pool_create(members[i].node, &pool_options, &members[i].pool) == SL_OK);
        spawn_actors(&members[i], options, functions, p);
    }
    for (uint32_t i = 0; i < options->nodes; i++)
        pthread_create(&members[i].thread, NULL, run_node, &members[i]);
    for (uint32_t i = 0; i < options->nodes; i++)
        pthread_join(members[i].thread, NULL);
    for (uint32_t i = 0; i < options->nodes; i++) {
        sl_pool_destroy(members[i].pool);
        sl_node_destroy(members[i].node);
    }
    sl_functions_destroy(functions);
}

static plan *plan_create(uint32_t count, const char *function) {
    plan *p = calloc(1, sizeof *p);
    p->count = count;
    p->cancel_after = -1;
    for (uint32_t i = 0; i < count; i++)
        p->tasks[i] = (plan_task){.function = function, .argument = i, .cpus = 1, .region = ""};
    return p;
}

static uint32_t count_status(const plan *p, sl_task_status status) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        count += p->outcomes[i].status == status;
    return count;
}

/* ---- tests ---- */

TEST(every_function_task_answers_on_each_policy) {
    static const char *const policies[] = {"random", "least-loaded", "earliest-completion"};
    for (int i = 0; i < 3; i++) {
        plan *p = plan_create(2000, "add_one");
        network_options options = {
            .nodes = 4, .cores = 2, .policy = policies[i], .without = UINT32_MAX};
        run_network(&options, p);
        CHECK_INT(p->ended, 2000);
        CHECK_INT(count_status(p, SL_TASK_DONE), 2000);
        uint32_t used[4] = {0};
        for (uint32_t t = 0; t < p->count; t++) {
            CHECK_INT(p->answers[t], t + 1);
            used[p->outcomes[t].node % 4]++;
        }
        CHECK(used[0] && used[1] && used[2] && used[3]);
        free(p);
    }
}

TEST(nothing_starts_while_the_scheduler_is_paused) {
    plan *p = plan_create(100, "add_one");
    network_options options = {.nodes = 2, .cores = 2, .without = UINT32_MAX};
    p->paused = true;
    run_network(&options, p);
    CHECK_INT(count_status(p, SL_TASK_DONE), 100);
    free(p);
}

TEST(a_node_without_cores_gets_nothing) {
    plan *p = plan_create(500, "add_one");
    network_options options = {.nodes = 2, .cores = 1, .without = 0};
    run_network(&options, p);
    for (uint32_t t = 0; t < p->count; t++)
        CHECK_INT(p->outcomes[t].node, 1);
    free(p);
}

/* More refusals at once than the mailbox holds: each must arrive, and fail no task. */
TEST(a_node_that_refuses_all_fails_none) {
    plan *p = plan_create(500, "add_one");
    network_options options = {.nodes = 2,
                               .cores = 64,
                               .without = UINT32_MAX,
                               .liar = 1,
                               .mailbox_limit = 16,
                               .policy = "random"};
    run_network(&options, p);
    CHECK_INT(count_status(p, SL_TASK_DONE), 500);
    for (uint32_t t = 0; t < p->count; t++)
        CHECK_INT(p->outcomes[t].node, 1);
    free(p);
}

TEST(never_more_run_than_cores_are_offered) {
    running_now = running_most = 0;
    plan *p = plan_create(200, "count_running");
    network_options options = {.nodes = 3, .cores = 2, .without = UINT32_MAX};
    run_network(&options, p);
    CHECK_INT(count_status(p, SL_TASK_DONE), 200);
    CHECK(running_most <= 6);
    CHECK(running_most >= 2);
    free(p);
}

TEST(wide_tasks_and_gpus_are_never_shared) {
    running_now = running_most = 0;
    plan *p = plan_create(60, "count_running");
    for (uint32_t t = 0; t < p->count; t++) {
        p->tasks[t].cpus = t % 2 ? 2 : 1;
        p->tasks[t].gpus = 1;
    }
    network_options options = {.nodes = 2, .cores = 2, .gpus = 1, .without = UINT32_MAX};
    run_network(&options, p);
    CHECK_INT(count_status(p, SL_TASK_DONE), 60);
    CHECK(running_most <= 2); /* one GPU a node */
    free(p);
}

TEST(dependencies_hold_and_failures_skip_what_follows) {
    plan *p = plan_create(300, "add_one");
    for (uint32_t t = 1; t < 200;
         t++) { /* a tree: each waits for its parent, and for the one before */
        p->tasks[t].after[p->tasks[t].after_count++] = (t - 1) / 2;
        if (t % 3 == 0)
            p->tasks[t].after[p->tasks[t].after_count++] = t - 1;
    }
    p->tasks[200].function = "fail_always";
    for (uint32_t t = 201; t < 300; t++) {
        p->tasks[t].after[0] = t - 1;
        p->tasks[t].after_count = 1;
    }
    network_options options = {.nodes = 3, .cores = 2, .without = UINT32_MAX};
    run_network(&options, p);
    uint32_t place[300] = {0};
    for (uint32_t i = 0; i < p->ended; i++)
        place[p->order[i]] = i;
    for (uint32_t t = 1; t < 200; t++)
        for (uint32_t a = 0; a < p->tasks[t].after_count; a++)
            CHECK(place[p->tasks[t].after[a]] < place[t]);
    CHECK_INT(count_status(p, SL_TASK_DONE), 200);
    CHECK_INT(p->outcomes[200].status, SL_TASK_FAILED);
    CHECK_STR(p->messages[200], "it always fails");
    CHECK_INT(count_status(p, SL_TASK_SKIPPED), 99);
    CHECK_CONTAINS(p->messages[299], "did not succeed");
    free(p);
}

TEST(failures_are_tried_again_as_asked) {
    flaky_calls = 0;
    plan *p = plan_create(2, "fail_twice");
    p->tasks[0].retries = 2;
    p->tasks[1].function = "fail_always";
    p->tasks[1].retries = 3;
    network_options options = {.nodes = 2, .cores = 1, .without = UINT32_MAX};
    run_network(&options, p);
    CHECK_INT(p->outcomes[0].status, SL_TASK_DONE);
    CHECK_INT(p->outcomes[0].attempts, 3);
    CHECK_INT(p->outcomes[1].status, SL_TASK_FAILED);
    CHECK_INT(p->outcomes[1].attempts, 4);
    free(p);
}

TEST(regions_are_kept_and_the_impossible_is_said) {
    static const char *const regions[] = {"us-west", "eu-central", "us-west", "sa-east"};
    plan *p = plan_create(100, "add_one");
    for (uint32_t t = 0; t < 98; t++)
        p->tasks[t].region = t % 2 ? "eu-central" : "us-west";
    p->tasks[98].region = "ap-southeast";
    p->tasks[99].cpus = 3;
    network_options options = {.nodes = 4, .cores = 2, .regions = regions, .without = UINT32_MAX};
    run_network(&options, p);
    for (uint32_t t = 0; t < 98; t++)
        CHECK_STR(regions[p->outcomes[t].node], p->tasks[t].region);
    CHECK_INT(p->outcomes[98].status, SL_TASK_NOT_STARTED);
    CHECK_CONTAINS(p->messages[98], "no node of the network could ever run it");
    CHECK_INT(p->outcomes[99].status, SL_TASK_NOT_STARTED);
    free(p);
}

TEST(higher_priority_goes_first) {
    plan *p = plan_create(50, "add_one");
    for (uint32_t t = 0; t < 50; t++) {
        p->tasks[t].function =
            "count_running"; /* slow: no backlog blurs the order once it is measured */
        p->tasks[t].priority = (int32_t)(t / 10);
    }
    network_options options = {.nodes = 1, .cores = 1, .without = UINT32_MAX};
    run_network(&options, p);
    uint32_t early = 0; /* of the ten most urgent, how many are among the first forty-two ended */
    for (uint32_t i = 0; i < 42; i++)
        early += p->order[i] >= 40;
    CHECK_INT(early, 10);
    free(p);
}

TEST(cancelling_ends_everything) {
    plan *p = plan_create(1000, "count_running");
    p->cancel_after = 5;
    network_options options = {.nodes = 2, .cores = 2, .without = UINT32_MAX};
    run_network(&options, p);
    CHECK_INT(p->ended, 1000);
    CHECK(count_status(p, SL_TASK_CANCELLED) > 500);
    CHECK_INT(count_status(p, SL_TASK_CANCELLED) + count_status(p, SL_TASK_DONE), 1000);
    free(p);
}

TEST(a_submit_that_cannot_be_accepted_is_refused_whole) {
    plan *p = plan_create(10, "add_one");
    p->tasks[5].after[0] = 7; /* not submitted before it */
    p->tasks[5].after_count = 1;
    network_options options = {.nodes = 1, .cores = 1, .without = UINT32_MAX};
    run_network(&options, p);
    CHECK_INT(p->accept_error, SL_ERR_NOT_FOUND);
    CHECK_CONTAINS(p->accept_detail, "tag 5 comes after tag 7");
    CHECK_INT(p->ended, 0);
    free(p);
}

TEST(an_unknown_function_does_not_start) {
    plan *p = plan_create(1, "no_such_function");
    network_options options = {.nodes = 2, .cores = 1, .without = UINT32_MAX};
    run_network(&options, p);
    CHECK_INT(p->outcomes[0].status, SL_TASK_NOT_STARTED);
    CHECK_CONTAINS(p->messages[0], "no_such_function");
    free(p);
}
