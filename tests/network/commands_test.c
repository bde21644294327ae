/* The executor and real commands, on one node: the test plays their owner and the registry. */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/registry/registry_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/node.h"
#include "runtime/rng.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"
#include "tests/lib/files.h"

enum { TASKS = 400, CORES = 2, DEPTH = 12, LINE = 1200 };

/* What becomes of one in a few: the rest only say that they run. */
typedef enum fate { PLAIN, FAILS, TIMES_OUT, KILLS_SPAWNER, FATES } fate;

typedef struct owner {
    sl_rng rng;
    uint32_t sent, ended;
    uint32_t attempts[TASKS];
    uint8_t fates[TASKS], statuses[TASKS], answers[TASKS];
    bool disturb;
    bool all_free; /* the executor's last word */
    bool too_much;
} owner;

static owner the_owner;

static void make_line(char line[LINE], uint32_t task, fate what) {
    static const char *const ends[FATES] = {"", "exit 3", "sleep 60", "kill -9 $PPID; sleep 60"};
    char lock[300];
    snprintf(lock, sizeof lock, "%s", sl_test_path("lock"));
    snprintf(line, LINE,
             "echo %u >> %s; exec 9>>%s0; flock -n 9 || { exec 9>>%s1; flock -n 9 || "
             "echo overlap >> %s; }; %s",
             task, sl_test_path("ran"), lock, lock, sl_test_path("ran"), ends[what]);
}

static fate draw(owner *o) {
    uint32_t dice = (uint32_t)sl_rng_below(&o->rng, 40);
    return !o->disturb ? PLAIN
           : dice < 3  ? FAILS
           : dice < 5  ? TIMES_OUT
           : dice == 5 ? KILLS_SPAWNER
                       : PLAIN;
}

static void assign(sl_actor *self, owner *o, uint32_t task) {
    fate what = (fate)o->fates[task];
    char line[LINE];
    make_line(line, task, what);
    executor_word words[] = {{sl_text_of("/bin/sh")}, {sl_text_of("-c")}, {sl_text_of(line)}};
    executor_command command = {.arguments = {words, 3}};
    uint8_t payload[2 * LINE];
    uint8_t *end = sl_record_encode(&executor_command_record, &command, payload, NULL);
    executor_task one = {.task = task,
                         .attempt = ++o->attempts[task],
                         .kind = SL_TASK_COMMAND,
                         .cpus = 1,
                         .timeout_ns = what == TIMES_OUT ? 30 * SL_NS_PER_MS : 0,
                         .payload = {payload, (uint32_t)(end - payload)}};
    executor_assign body = {.tasks = {&one, 1}};
    CHECK_INT(executor_assign_send(self, sl_addr_well_known(0, SL_SLOT_EXECUTOR), &body), SL_OK);
}

static void top_up(sl_actor *self, owner *o) {
    while (o->sent < TASKS && o->sent - o->ended < DEPTH) {
        o->fates[o->sent] = (uint8_t)draw(o);
        assign(self, o, o->sent++);
    }
}

static void cancel_one(sl_actor *self, owner *o) {
    uint32_t task = (uint32_t)sl_rng_below(&o->rng, o->sent);
    executor_attempt one = {task, o->attempts[task]};
    executor_cancel body = {.attempts = {&one, 1}};
    CHECK_INT(executor_cancel_send(self, sl_addr_well_known(0, SL_SLOT_EXECUTOR), &body), SL_OK);
}

static void on_results(sl_actor *self, owner *o, const scheduler_results *results) {
    for (uint32_t i = 0; i < results->results.count; i++) {
        const scheduler_result *result = &results->results.items[i];
        o->answers[result->task]++;
        o->statuses[result->task] = result->status;
        o->ended++;
        if (o->disturb && sl_rng_below(&o->rng, 8) == 0)
            cancel_one(self, o);
    }
    top_up(self, o);
}

/* Where the machine is slow even short commands are not, and some wait for too long: an owner gives
 * them out again. */
static void on_refused(sl_actor *self, owner *o, const scheduler_refused *refused) {
    for (uint32_t i = 0; i < refused->attempts.count; i++) {
        const scheduler_refused_one *one = &refused->attempts.items[i];
        CHECK(one->error == SL_ERR_REFUSED || one->error == SL_ERR_CANCELLED);
        CHECK_INT(one->attempt, o->attempts[one->task]);
        assign(self, o, (uint32_t)one->task);
    }
}

/* Both the registry and the owner; what is free may be told before the results that freed it. */
static sl_err owner_receive(sl_actor *self, void *state, const sl_message *message) {
    owner *o = *(owner **)state;
    if (message->type == &scheduler_results_type) {
        on_results(self, o, message->body);
    } else if (message->type == &scheduler_refused_type) {
        on_refused(self, o, message->body);
    } else if (message->type == &registry_free_type) {
        const registry_offer *offer = ((const registry_free *)message->body)->offer.items;
        o->too_much |= offer->cores_free > CORES || offer->running > CORES;
        o->all_free = offer->cores_free == CORES && !offer->running && !offer->backlog;
    }
    if (o->ended == TASKS && o->all_free)
        CHECK_INT(node_stop_send(self, sl_addr_well_known(0, SL_SLOT_NODE), &(node_stop){0}),
                  SL_OK);
    return SL_OK;
}

static sl_err owner_start(sl_actor *self, void *state, const void *arguments) {
    owner *o = *(owner **)state = *(owner *const *)arguments;
    top_up(self, o);
    return SL_OK;
}

static const sl_actor_class owner_class = {.name = "owner",
                                           .state_bytes = sizeof(owner *),
                                           .start = owner_start,
                                           .receive = owner_receive};

static void run_commands(owner *o, bool disturb, uint64_t seed) {
    sl_transport *transport;
    sl_node *node;
    sl_minder *minder = NULL;
    sl_grant_core cores[CORES] = {{.numa = 0}};
    sl_minder_options minder_options = {.running_max = 64};
    *o = (owner){.disturb = disturb};
    sl_rng_seed(&o->rng, seed);
    unlink(sl_test_path("ran"));
    REQUIRE(sl_minder_create(&minder_options, &minder) == SL_OK);
    REQUIRE(sl_thread_network_create(1, 0, &transport) == SL_OK);
    sl_node_options options = {.transport = transport, .incarnation = 1, .seed = seed};
    REQUIRE(sl_node_create(&options, &node) == SL_OK);
    sl_executor_options executor = {
        .offer = {cores, CORES, 0, 1 << 30, 1000}, .minder = minder, .kill_grace_ns = SL_NS_PER_S};
    REQUIRE(sl_node_spawn(node, SL_SLOT_EXECUTOR, &sl_executor_class, &executor, sizeof executor,
                          NULL) == SL_OK);
    REQUIRE(sl_node_spawn(node, SL_SLOT_REGISTRY, &owner_class, &o, sizeof o, NULL) == SL_OK);
    CHECK_INT(sl_node_run(node, NULL), SL_OK);
    sl_minder_destroy(minder);
    sl_node_destroy(node);
}

/* How often each ran, from what they wrote. */
static bool count_runs(uint32_t runs[TASKS]) {
    bool overlap = false;
    FILE *file = fopen(sl_test_path("ran"), "r");
    char line[64];
    while (file && fgets(line, sizeof line, file)) {
        overlap |= strcmp(line, "overlap\n") == 0;
        uint32_t task = (uint32_t)strtoul(line, NULL, 10);
        if (line[0] != 'o' && task < TASKS)
            runs[task]++;
    }
    if (file)
        fclose(file);
    return !overlap;
}

TEST(short_commands_run_once_within_their_cores) {
    uint32_t runs[TASKS] = {0};
    run_commands(&the_owner, false, 1);
    CHECK(count_runs(runs));
    CHECK(the_owner.all_free && !the_owner.too_much);
    for (uint32_t task = 0; task < TASKS; task++) {
        CHECK_INT(runs[task], 1);
        CHECK_INT(the_owner.answers[task], 1);
        CHECK_INT(the_owner.statuses[task], SL_TASK_DONE);
    }
}

/* Cancelled, timed out, failed, and their spawners killed, while others wait behind them. */
TEST(disturbed_commands_are_answered_once_and_give_back_what_they_had) {
    uint32_t runs[TASKS] = {0}, lost = 0, cancelled = 0;
    run_commands(&the_owner, true, 2);
    (void)count_runs(runs); /* what is killed may hold a lock until it is quite dead */
    CHECK(the_owner.all_free && !the_owner.too_much);
    for (uint32_t task = 0; task < TASKS; task++) {
        uint8_t status = the_owner.statuses[task];
        CHECK_INT(the_owner.answers[task], 1);
        CHECK(runs[task] <= 1);
        CHECK(runs[task] == 1 || status == SL_TASK_CANCELLED || status == SL_TASK_LOST);
        CHECK(the_owner.fates[task] != FAILS || status != SL_TASK_DONE);
        lost += status == SL_TASK_LOST;
        cancelled += status == SL_TASK_CANCELLED;
    }
    CHECK(lost > 0 && cancelled > 0);
}
