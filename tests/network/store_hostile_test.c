/* A store among stores that lie: what they say is refused, and what they ask for gives them no more
 * than they may have. Node 0 has a store; the others say what the test wants them to. */
#include "tests/lib/test.h"

#include <unistd.h>

#include "actors/store/store.h"
#include "actors/store/store_msgs.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "runtime/shared.h"
#include "tests/lib/world.h"

enum { NODES = 3 };

/* How the liar at a node answers a store_get. */
typedef enum lie {
    NO_BYTES,
    AN_ERROR_OF_NO_KIND,
    SAYS_IT_CAME,
    NO_PLACE,
    ANOTHER_PLACE,
    WRONG_COOKIE,
    DIES,
    LIES
} lie;

static struct {
    world w;
    sl_store *store;
    _Atomic uint32_t lie;
    _Atomic uint32_t asked;   /* of the liars */
    _Atomic uint32_t answers; /* the liars were given */
    _Atomic uint32_t last_error;
    _Atomic uint64_t told; /* messages that were sent for the test */
} here;

/* ---- the liars ---- */

static void answer_get(sl_actor *self, sl_addr to, const store_get *get) {
    store_answer answer = {.cookie = get->cookie};
    store_object object = {.cookie = get->cookie};
    store_place place = {.cookie = get->cookie, .arena_bytes = UINT64_MAX, .bytes = 5000};
    here.asked++;
    switch ((lie)here.lie) {
    case NO_BYTES:
        (void)store_object_send(self, to, &object);
        break;
    case AN_ERROR_OF_NO_KIND:
        answer.error = 12345;
        (void)store_answer_send(self, to, &answer);
        break;
    case SAYS_IT_CAME:
        (void)store_answer_send(self, to, &answer);
        break;
    case ANOTHER_PLACE: /* of an arena that is there, but beyond its end */
        place.arena_bytes = 1 << 20;
        place.pid = (uint32_t)getpid();
        place.offset = UINT64_MAX - 10;
        __attribute__((fallthrough));
    case NO_PLACE:
        if (!get->host) {
            answer.error = SL_ERR_NOT_FOUND; /* asked again for the bytes */
            (void)store_answer_send(self, to, &answer);
        } else {
            (void)store_place_send(self, to, &place);
        }
        break;
    case WRONG_COOKIE:
        answer.cookie += 77;
        answer.error = SL_ERR_NOT_FOUND;
        (void)store_answer_send(self, to, &answer);
        object.cookie += 77;
        (void)store_object_send(self, to, &object);
        place.cookie += 77;
        (void)store_place_send(self, to, &place);
        answer.cookie = get->cookie; /* at last */
        (void)store_answer_send(self, to, &answer);
        break;
    default:
        break;
    }
}

static sl_err liar_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type->id == store_get_id)
        answer_get(self, message->from, message->body);
    if (message->type->id == store_answer_id) {
        here.last_error = ((const store_answer *)message->body)->error;
        here.answers++;
    }
    return SL_OK;
}

static const sl_actor_class liar_class = {.name = "liar", .receive = liar_receive};

/* Sends what a message of its own node says it should, from that node's loop. */
typedef struct order {
    sl_event event;
    const sl_message_type *type;
    const void *body;
    void (*lose)(sl_node *node, uint32_t peer); /* instead: node 0 gives node 1 up */
} order;

static sl_err sender_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type->id != node_event_id)
        return SL_OK;
    const order *o = (const order *)(const void *)node_event_of(message);
    if (o->lose)
        o->lose(sl_actor_node(self), 1);
    else
        CHECK_INT(sl_send(self, sl_addr_well_known(0, SL_SLOT_STORE), o->type, o->body), SL_OK);
    here.told++;
    return SL_OK;
}

static const sl_actor_class sender_class = {.name = "sender", .receive = sender_receive};

static void give_order(uint32_t node, order *o) {
    uint64_t before = here.told;
    o->event.to = sl_addr_well_known(node, SL_SLOT_DRIVER);
    sl_notify(here.w.nodes[node], &o->event);
    while (here.told == before)
        usleep(100);
}

static void tell(uint32_t node, const sl_message_type *type, const void *body) {
    give_order(node, &(order){.type = type, .body = body});
}

/* An answer to a question comes after everything that was said before it. */
static uint32_t ask(uint32_t node, const sl_message_type *type, const void *body) {
    uint32_t before = here.answers;
    tell(node, type, body);
    while (here.answers == before)
        usleep(100);
    return here.last_error;
}

static void begin(uint64_t limit_bytes) {
    static FILE *nowhere; /* what liars make a node say is not for the test's reader */
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    world_options options = {.count = NODES, .node.close_timeout_ns = SL_NS_PER_S / 10};
    sl_store_options store = {.nodes = NODES,
                              .incarnation = 1,
                              .limit_bytes = limit_bytes,
                              .shares = true,
                              .coming_ns = SL_NS_PER_MS};
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
    memset(&here, 0, sizeof here);
    if (!world_open(&here.w, &options) || sl_store_create(&store, &here.store) != SL_OK)
        abort();
    sl_err err = sl_node_spawn(here.w.nodes[0], SL_SLOT_STORE, &sl_store_class, &here.store,
                               sizeof here.store, NULL);
    for (uint32_t i = 0; i < NODES && err == SL_OK; i++) {
        if (i)
            err = sl_node_spawn(here.w.nodes[i], SL_SLOT_STORE, &liar_class, NULL, 0, NULL);
        if (err == SL_OK)
            err = sl_node_spawn(here.w.nodes[i], SL_SLOT_DRIVER, &sender_class, NULL, 0, NULL);
    }
    CHECK_INT(err, SL_OK);
    for (uint32_t i = 0; i < NODES; i++)
        world_start(&here.w, i);
}

static void end(void) {
    for (uint32_t i = 0; i < NODES; i++)
        sl_node_stop(here.w.nodes[i], 0);
    for (uint32_t i = 0; i < NODES; i++)
        world_join(&here.w, i);
    world_free(&here.w);
    sl_store_release(here.store);
}

static sl_store_object *object_of(uint64_t bytes) {
    sl_store_object *object = NULL;
    sl_store_type type = {.kind = 1};
    if (sl_store_make(here.store, &type, bytes, &object) != SL_OK ||
        (memset(sl_store_data(object), 5, bytes), sl_store_seal(object)) != SL_OK)
        abort();
    return object;
}

TEST(false_answers_fail_the_get_and_no_more) {
    static const sl_err expected[LIES] = {[NO_BYTES] = SL_ERR_DECODE,
                                          [AN_ERROR_OF_NO_KIND] = SL_ERR_FAILED,
                                          [SAYS_IT_CAME] = SL_ERR_DECODE,
                                          [NO_PLACE] = SL_ERR_NOT_FOUND,
                                          [ANOTHER_PLACE] = SL_ERR_NOT_FOUND,
                                          [WRONG_COOKIE] = SL_ERR_NOT_FOUND,
                                          [DIES] = SL_ERR_TIMEOUT};
    begin(1 << 24);
    for (uint32_t round = 0; round < 3 * LIES; round++) {
        sl_store_content content;
        sl_store_object *object = NULL;
        uint32_t i = round % LIES;
        here.lie = i;
        CHECK_INT(sl_store_open(here.store, (sl_store_id){1, 2, round + 1}, false, &object), SL_OK);
        if (round >= LIES) /* a get meets what was asked early */
            sl_store_expect(object);
        if (round < 2 * LIES)
            CHECK_INT(sl_store_get(object, i == DIES ? 1000000 : 20000000000, &content),
                      expected[i]);
        sl_store_object_release(object);
    }
    CHECK_INT(sl_store_loads(here.store).mapped, 0);
    end();
}

TEST(names_that_nobody_has) {
    sl_store_object *object = NULL;
    begin(1 << 24);
    CHECK_INT(sl_store_open(here.store, (sl_store_id){NODES, 1, 1}, false, &object),
              SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_open(here.store, (sl_store_id){UINT32_MAX, 1, 1}, true, &object),
              SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_open(here.store, (sl_store_id){0, 1, 99}, true, &object), SL_ERR_NOT_FOUND);
    sl_store_object *own = object_of(100);
    sl_store_id id = sl_store_id_of(own);
    id.incarnation++; /* of another life of this node */
    CHECK_INT(sl_store_open(here.store, id, false, &object), SL_ERR_NOT_FOUND);
    sl_store_object_release(own);
    end();
}

TEST(releases_of_what_one_does_not_have) {
    sl_store_content content;
    begin(1 << 24);
    sl_store_object *object = object_of(100000);
    sl_store_id id = sl_store_id_of(object);
    store_release all = {id.incarnation, id.sequence, UINT32_MAX, UINT32_MAX};
    store_hold hold = {1, id.incarnation, id.sequence, 1};
    store_hold nobody = {2, id.incarnation, id.sequence, UINT32_MAX};
    store_hold none = {3, id.incarnation, id.sequence + 1, 1};
    CHECK_INT(ask(1, &store_hold_type, &hold), SL_OK);
    CHECK_INT(ask(1, &store_hold_type, &nobody), SL_ERR_DEAD);
    CHECK_INT(ask(1, &store_hold_type, &none), SL_ERR_NOT_FOUND);
    tell(2, &store_release_type, &all); /* has nothing of it */
    CHECK_INT(ask(2, &store_hold_type, &none), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_loads(here.store).holds, 1);
    sl_store_object_release(object); /* node 1 has it still */
    CHECK_INT(sl_store_loads(here.store).objects, 1);
    CHECK_INT(sl_store_open(here.store, id, false, &object), SL_OK);
    CHECK_INT(sl_store_get(object, 0, &content), SL_OK);
    tell(1, &store_release_type, &all);
    CHECK_INT(ask(1, &store_hold_type, &none), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_loads(here.store).holds, 0);
    CHECK(((const char *)content.data)[99999] == 5);
    sl_store_object_release(object);
    CHECK_INT(sl_store_loads(here.store).objects, 0);
    CHECK_INT(sl_store_loads(here.store).bytes, 0);
    end();
}

/* Holds that nobody made are said to have been made: what somebody has stays. */
TEST(gifts_that_are_none) {
    sl_store_content content;
    begin(1 << 24);
    sl_store_object *object = object_of(100000);
    sl_store_id id = sl_store_id_of(object);
    store_hold none = {3, id.incarnation, id.sequence + 1, 1};
    const store_given given[] = {{0, id.incarnation, id.sequence},
                                 {0, id.incarnation, id.sequence + 1},
                                 {0, id.incarnation + 1, id.sequence},
                                 {2, 5, 6},
                                 {NODES, 1, 1},
                                 {UINT32_MAX, UINT32_MAX, UINT64_MAX}};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        tell(1, &store_given_type, &given[i]);
    CHECK_INT(ask(1, &store_hold_type, &none), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_loads(here.store).objects, 1);
    CHECK_INT(sl_store_get(object, 0, &content), SL_OK);
    CHECK(((const char *)content.data)[99999] == 5);
    sl_store_object_release(object);
    CHECK_INT(sl_store_loads(here.store).objects, 0);
    end();
}

TEST(no_hold_is_made_for_a_lost_node) {
    begin(1 << 24);
    sl_store_object *object = object_of(100000);
    CHECK_INT(sl_store_hold(object, 1, 0), SL_OK);
    sl_store_unhold(object, 1);
    CHECK_INT(sl_store_loads(here.store).holds, 0);
    sl_store_unhold(object, 1); /* there is none */
    give_order(0, &(order){.lose = sl_node_peer_lost});
    sl_err err = SL_OK;
    for (int i = 0; i < 20000 && err == SL_OK; i++) {
        err = sl_store_hold(object, 1, 0);
        usleep(100);
    }
    CHECK_INT(err, SL_ERR_DEAD);
    CHECK_INT(sl_store_hold(object, 2, 0), SL_OK);
    sl_store_object_release(object);
    CHECK_INT(sl_store_loads(here.store).objects, 1); /* node 2 has it */
    end();
}

TEST(an_unsealed_object_is_nobodys) {
    sl_store_object *object = NULL;
    sl_store_type type = {.kind = 1};
    begin(1 << 24);
    CHECK_INT(sl_store_make(here.store, &type, 100, &object), SL_OK);
    sl_store_id id = sl_store_id_of(object);
    store_hold hold = {1, id.incarnation, id.sequence, 1};
    store_get get = {2, id.incarnation, id.sequence, 0, UINT64_MAX};
    CHECK_INT(ask(1, &store_hold_type, &hold), SL_ERR_NOT_FOUND);
    CHECK_INT(ask(1, &store_get_type, &get), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_seal(object), SL_OK);
    CHECK_INT(ask(1, &store_hold_type, &hold), SL_OK);
    get.most_bytes = 99;
    CHECK_INT(ask(1, &store_get_type, &get), SL_ERR_NO_MEMORY);
    sl_store_object_release(object);
    end();
}

/* What a lost node held is let go of; what it may still read is not. */
TEST(a_lost_node_holds_nothing_but_what_it_reads) {
    begin(1 << 24);
    sl_store_object *held = object_of(100000), *read = object_of(100000);
    sl_store_id id = sl_store_id_of(held), read_id = sl_store_id_of(read);
    store_hold hold = {1, id.incarnation, id.sequence, 1};
    store_hold none = {3, id.incarnation, UINT64_MAX, 1};
    store_get get = {2, read_id.incarnation, read_id.sequence, sl_shared_host(), UINT64_MAX};
    CHECK_INT(ask(1, &store_hold_type, &hold), SL_OK);
    tell(1, &store_get_type, &get);
    CHECK_INT(ask(1, &store_hold_type, &none), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_loads(here.store).leases, 1);
    sl_store_object_release(held);
    sl_store_object_release(read);
    CHECK_INT(sl_store_loads(here.store).objects, 2);
    give_order(0, &(order){.lose = sl_node_peer_lost});
    while (sl_store_loads(here.store).holds)
        usleep(100);
    CHECK_INT(sl_store_loads(here.store).objects, 1);
    CHECK_INT(sl_store_loads(here.store).leases, 1); /* it may read on */
    give_order(0, &(order){.lose = sl_node_peer_gone});
    while (sl_store_loads(here.store).objects)
        usleep(100);
    end();
}

/* Who returns an object of ours to us is lost: what is on its way may come yet, or never. */
TEST(what_a_lost_node_was_sending_back_is_given_up) {
    begin(1 << 24);
    sl_store_object *never = object_of(5000), *came = object_of(5000), *again = NULL;
    sl_store_id never_id = sl_store_id_of(never), came_id = sl_store_id_of(came);
    store_hold hold_never = {1, never_id.incarnation, never_id.sequence, 0};
    store_hold hold_came = {2, came_id.incarnation, came_id.sequence, 0};
    CHECK_INT(ask(1, &store_hold_type, &hold_never), SL_OK);
    CHECK_INT(ask(1, &store_hold_type, &hold_never), SL_OK);
    CHECK_INT(ask(1, &store_hold_type, &hold_came), SL_OK);
    CHECK_INT(sl_store_open(here.store, came_id, true, &again), SL_OK);
    sl_store_object_release(never);
    sl_store_object_release(came);
    CHECK_INT(sl_store_loads(here.store).objects, 2);
    CHECK_INT(sl_store_loads(here.store).holds, 2);
    give_order(0, &(order){.lose = sl_node_peer_lost});
    while (sl_store_loads(here.store).holds)
        usleep(100);
    CHECK_INT(sl_store_loads(here.store).objects, 1); /* the one that somebody has */
    sl_store_object_release(again);
    CHECK_INT(sl_store_loads(here.store).objects, 0);
    end();
}

/* What another one is sending back is never taken for the lost one's. */
TEST(what_others_are_sending_back_stays) {
    begin(1 << 24);
    sl_store_object *object = object_of(5000), *here_again = NULL;
    sl_store_id id = sl_store_id_of(object);
    store_hold hold = {1, id.incarnation, id.sequence, 0};
    store_given given = {0, id.incarnation, id.sequence};
    store_hold none = {3, id.incarnation, UINT64_MAX, 1};
    CHECK_INT(ask(1, &store_hold_type, &hold), SL_OK);
    CHECK_INT(ask(2, &store_hold_type, &hold), SL_OK);
    CHECK_INT(sl_store_hold(object, 0, 0), SL_OK); /* and a task of this node */
    sl_store_object_release(object);
    CHECK_INT(sl_store_loads(here.store).holds, 3);
    CHECK_INT(sl_store_open(here.store, id, true, &object), SL_OK); /* of one of the three */
    give_order(0, &(order){.lose = sl_node_peer_lost});
    usleep(20000);
    CHECK_INT(sl_store_loads(here.store).holds, 2);
    CHECK_INT(sl_store_open(here.store, id, true, &here_again), SL_OK);
    sl_store_object_release(here_again);
    tell(2, &store_given_type, &given); /* it says that it will not send it */
    CHECK_INT(ask(2, &store_hold_type, &none), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_loads(here.store).holds, 0);
    tell(2, &store_given_type, &given); /* there is none */
    CHECK_INT(ask(2, &store_hold_type, &none), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_store_loads(here.store).objects, 1);
    sl_store_object_release(object);
    CHECK_INT(sl_store_loads(here.store).objects, 0);
    end();
}

static void *get_for_ever(void *object) {
    sl_store_content content;
    CHECK_INT(sl_store_get(object, UINT64_MAX, &content), SL_ERR_DEAD);
    return NULL;
}

TEST(who_waits_is_told_when_the_owner_is_lost) {
    pthread_t thread;
    sl_store_content content;
    sl_store_object *object = NULL;
    begin(1 << 24);
    here.lie = DIES;
    CHECK_INT(sl_store_open(here.store, (sl_store_id){1, 2, 1}, false, &object), SL_OK);
    REQUIRE(pthread_create(&thread, NULL, get_for_ever, object) == 0);
    while (!here.asked)
        usleep(100);
    give_order(0, &(order){.lose = sl_node_peer_gone});
    pthread_join(thread, NULL);
    CHECK_INT(sl_store_get(object, UINT64_MAX, &content), SL_ERR_DEAD);
    CHECK_CONTAINS(sl_err_detail(), "node 1");
    sl_store_object_release(object);
    end();
}

/* Another thread's request is not left waiting for ever. */
TEST(who_waits_is_told_when_the_node_ends) {
    sl_store_content content;
    sl_store_object *object = NULL;
    begin(1 << 24);
    here.lie = DIES;
    CHECK_INT(sl_store_open(here.store, (sl_store_id){1, 2, 1}, false, &object), SL_OK);
    CHECK_INT(sl_store_get(object, 1000000, &content), SL_ERR_TIMEOUT);
    sl_store_object *own = object_of(100);
    end();
    CHECK_INT(sl_store_get(object, UINT64_MAX, &content), SL_ERR_CLOSED);
    CHECK_INT(sl_store_get(own, 0, &content), SL_OK);
    sl_store_object_release(own);
    sl_store_object_release(object);
}
