/* An executor and an owner of another node, which is silent for a while. */
#include "tests/lib/test.h"

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/node.h"
#include "runtime/transport_thread.h"

enum { OWNER, EXECUTOR, NODES };

static uint32_t begun, refused;
static sl_actor *the_owner;

static sl_err owner_start(sl_actor *self, void *state, const void *arguments) {
    (void)state, (void)arguments;
    the_owner = self;
    return SL_OK;
}

static sl_err owner_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state;
    if (message->type == &scheduler_refused_type) {
        const scheduler_refused *body = message->body;
        refused += body->attempts.count;
        CHECK_INT(body->attempts.items[0].error, SL_ERR_REFUSED);
    }
    return SL_OK;
}

static const sl_actor_class owner_class = {
    .name = "owner", .start = owner_start, .receive = owner_receive};

/* What has begun ends at once. */
static sl_err begin(void *context, sl_minder_handle before, const sl_process_spec *spec,
                    sl_minder_done done, void *done_context, sl_minder_handle *handle) {
    (void)context, (void)before, (void)spec;
    *handle = ++begun;
    done(done_context, &(sl_process_result){.status = SL_PROCESS_EXITED});
    return SL_OK;
}

static void let_go_on(void *context, sl_minder_handle handle) {
    (void)context, (void)handle;
}

static const sl_command_ops commands = {begin, let_go_on, let_go_on};

static void network_open(sl_node *nodes[NODES]) {
    static sl_grant_core core;
    sl_transport *transports[NODES];
    begun = refused = 0;
    REQUIRE(sl_thread_network_create(NODES, 0, transports) == SL_OK);
    for (uint32_t i = 0; i < NODES; i++) {
        sl_node_options options = {.transport = transports[i], .incarnation = 1, .seed = i};
        REQUIRE(sl_node_create(&options, &nodes[i]) == SL_OK);
    }
    sl_executor_options executor = {.offer = {&core, 1, 0, 1 << 30, 1000}, .commands = &commands};
    REQUIRE(sl_node_spawn(nodes[EXECUTOR], SL_SLOT_EXECUTOR, &sl_executor_class, &executor,
                          sizeof executor, NULL) == SL_OK);
    REQUIRE(sl_node_spawn(nodes[OWNER], SL_SLOT_SCHEDULER, &owner_class, NULL, 0, NULL) == SL_OK);
}

static void network_close(sl_node *nodes[NODES]) {
    for (uint32_t i = 0; i < NODES; i++)
        sl_node_destroy(nodes[i]);
}

static void settle(sl_node *nodes[NODES]) {
    for (bool busy = true; busy;) {
        busy = false;
        for (uint32_t i = 0; i < NODES; i++)
            busy |= sl_node_turn(nodes[i]);
    }
}

static void assign(uint32_t attempt) {
    executor_word words[] = {{sl_text_of("true")}};
    executor_command command = {.arguments = {words, 1}};
    uint8_t payload[256];
    uint8_t *end = sl_record_encode(&executor_command_record, &command, payload, NULL);
    executor_task one = {.task = 7,
                         .attempt = attempt,
                         .kind = SL_TASK_COMMAND,
                         .cpus = 1,
                         .payload = {payload, (uint32_t)(end - payload)}};
    executor_assign body = {.tasks = {&one, 1}};
    CHECK_INT(
        executor_assign_send(the_owner, sl_addr_well_known(EXECUTOR, SL_SLOT_EXECUTOR), &body),
        SL_OK);
}

/* It may have given this node up, and run the command elsewhere. */
TEST(nothing_of_a_silent_owner_begins_but_is_given_back) {
    sl_node *nodes[NODES] = {NULL};
    network_open(nodes);
    settle(nodes);
    sl_node_peer_hold(nodes[EXECUTOR], OWNER, true);
    CHECK(sl_node_peer_held(nodes[EXECUTOR], OWNER));
    assign(1);
    settle(nodes);
    CHECK_INT(begun, 0);
    CHECK_INT(refused, 0);
    sl_node_peer_hold(nodes[EXECUTOR], OWNER, false);
    settle(nodes);
    CHECK_INT(refused, 1);
    assign(2);
    settle(nodes);
    CHECK_INT(begun, 1);
    CHECK_INT(refused, 1);
    network_close(nodes);
}

TEST(of_an_owner_that_is_given_up_nothing_is_left) {
    sl_node *nodes[NODES] = {NULL};
    network_open(nodes);
    settle(nodes);
    sl_node_peer_hold(nodes[EXECUTOR], OWNER, true);
    assign(1);
    settle(nodes);
    sl_node_peer_lost(nodes[EXECUTOR], OWNER);
    settle(nodes);
    CHECK(!sl_node_peer_held(nodes[EXECUTOR], OWNER));
    CHECK_INT(begun, 0);
    CHECK_INT(refused, 0);
    network_close(nodes);
}
