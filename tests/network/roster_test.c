/* The roster: every node says who it is, to threads and actors that ask; nodes without an identity
 * are left out, and one that does not answer holds nobody up for ever. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "actors/roster/roster.h"
#include "runtime/clock.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"
#include "tests/lib/test.h"

enum { NODES = 4, NAMELESS = 2, ASKERS = 8 };

typedef struct member {
    uint32_t number;
    sl_node *node;
    sl_roster *roster;
    pthread_t thread;
} member;

static member members[NODES];

static uint32_t say_who(void *context, uint8_t credential[SL_ROSTER_CREDENTIAL_BYTES]) {
    const member *m = context;
    if (m->number == NAMELESS)
        return 0;
    memset(credential, (int)m->number, 100 + m->number);
    return 100 + m->number;
}

static void *run_node(void *argument) {
    member *m = argument;
    CHECK_INT(sl_node_run(m->node, NULL), SL_OK);
    return NULL;
}

/* Node `mute` has no roster, and answers nothing. */
static void start(uint32_t mute, const sl_actor_class *asker) {
    sl_transport *transports[NODES];
    REQUIRE(sl_thread_network_create(NODES, 0, transports) == SL_OK);
    for (uint32_t i = 0; i < NODES; i++) {
        member *m = &members[i];
        *m = (member){.number = i};
        sl_node_options options = {.transport = transports[i], .incarnation = i + 1, .seed = i};
        sl_roster_options roster = {.nodes = NODES, .own = say_who, .context = m};
        REQUIRE(sl_node_create(&options, &m->node) == SL_OK);
        REQUIRE(sl_roster_create(&roster, &m->roster) == SL_OK);
        if (i != mute)
            REQUIRE(sl_node_spawn(m->node, SL_SLOT_ROSTER, &sl_roster_class, &m->roster,
                                  sizeof m->roster, NULL) == SL_OK);
        if (i == 0 && asker)
            REQUIRE(sl_node_spawn(m->node, SL_SLOT_DRIVER, asker, NULL, 0, NULL) == SL_OK);
    }
    for (uint32_t i = 0; i < NODES; i++)
        pthread_create(&members[i].thread, NULL, run_node, &members[i]);
}

static void stop(void) {
    for (uint32_t i = 0; i < NODES; i++)
        sl_node_stop(members[i].node, 0);
    for (uint32_t i = 0; i < NODES; i++)
        pthread_join(members[i].thread, NULL);
    for (uint32_t i = 0; i < NODES; i++) {
        sl_node_destroy(members[i].node);
        sl_roster_destroy(members[i].roster);
    }
}

static void check_list(const sl_roster_node *list, uint32_t count, uint32_t without) {
    uint32_t at = 0;
    for (uint32_t node = 0; node < NODES; node++) {
        if (node == NAMELESS || node == without)
            continue;
        REQUIRE(at < count);
        CHECK_INT(list[at].node, node);
        CHECK_INT(list[at].bytes, 100 + node);
        CHECK_INT(list[at].credential[50], node);
        at++;
    }
    CHECK_INT(at, count);
}

static void *gather(void *argument) {
    sl_roster_node *list;
    uint32_t count;
    member *m = argument;
    for (int i = 0; i < 50; i++) {
        sl_err err = sl_roster_gather(m->roster, 60 * SL_NS_PER_S, &list, &count);
        CHECK_INT(err, SL_OK);
        if (err != SL_OK)
            break;
        check_list(list, count, SL_NO_NODE);
        free(list);
    }
    return NULL;
}

TEST(threads_learn_who_the_nodes_are) {
    pthread_t threads[ASKERS];
    start(SL_NO_NODE, NULL);
    for (int i = 0; i < ASKERS; i++)
        pthread_create(&threads[i], NULL, gather, &members[i % 2]);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    stop();
}

TEST(a_node_that_says_nothing_is_left_out) {
    sl_roster_node *list;
    uint32_t count;
    start(3, NULL);
    CHECK_INT(sl_roster_gather(members[0].roster, 1, &list, &count), SL_ERR_TIMEOUT);
    CHECK_INT(sl_roster_gather(members[0].roster, 60 * SL_NS_PER_S, &list, &count), SL_OK);
    check_list(list, count, 3);
    free(list);
    CHECK_INT(sl_roster_gather(members[3].roster, 1, &list, &count), SL_ERR_CLOSED);
    stop();
}

/* ---- an actor that asks ---- */

static int answers;

static sl_err asker_start(sl_actor *self, void *state, const void *arguments) {
    roster_gather ask = {};
    (void)state, (void)arguments;
    answers = 0;
    return roster_gather_send(self, sl_addr_well_known(0, SL_SLOT_ROSTER), &ask);
}

static sl_err asker_receive(sl_actor *self, void *state, const sl_message *message) {
    roster_gather ask = {};
    node_stop end = {0};
    (void)state;
    if (message->type != &roster_list_type)
        return SL_OK;
    const roster_list *list = message->body;
    CHECK_INT(list->nodes.count, NODES - 1);
    CHECK_INT(list->nodes.items[1].node, 1);
    CHECK_INT(list->nodes.items[1].credential.bytes, 101);
    if (++answers < 5)
        return roster_gather_send(self, sl_addr_well_known(0, SL_SLOT_ROSTER), &ask);
    for (uint32_t node = 0; node < NODES; node++)
        CHECK_INT(node_stop_send(self, sl_addr_well_known(node, SL_SLOT_NODE), &end), SL_OK);
    return SL_OK;
}

TEST(an_actor_learns_it_by_a_message) {
    static const sl_actor_class asker = {
        .name = "asker", .start = asker_start, .receive = asker_receive};
    sl_roster_node *list;
    uint32_t count;
    start(SL_NO_NODE, &asker);
    for (uint32_t i = 0; i < NODES; i++)
        pthread_join(members[i].thread, NULL);
    CHECK_INT(answers, 5);
    CHECK_INT(sl_roster_gather(members[0].roster, SL_NS_PER_S, &list, &count), SL_ERR_CLOSED);
    for (uint32_t i = 0; i < NODES; i++) {
        sl_node_destroy(members[i].node);
        sl_roster_destroy(members[i].roster);
    }
}
