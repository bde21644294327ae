/* One node by itself: actors, mailboxes, timers, supervision, events. */
#include "tests/lib/test.h"

#include <pthread.h>

#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"
#include "tests/lib/test_msgs.h"

static sl_node *node_create(uint32_t mailbox_limit) {
    sl_transport *transport;
    sl_node *node = NULL;
    if (sl_thread_network_create(1, 0, &transport) != SL_OK)
        return NULL;
    sl_node_options options = {
        .transport = transport, .incarnation = 1, .seed = 7, .mailbox_limit = mailbox_limit};
    return sl_node_create(&options, &node) == SL_OK ? node : NULL;
}

static void settle(sl_node *node) {
    while (sl_node_turn(node) || !sl_node_quiet(node)) {
    }
}

/* ---- an actor that remembers ---- */

typedef struct log_state {
    struct seen *seen;
} log_state;

typedef struct seen {
    uint64_t values[64];
    int count, starts, stops, rooms, child_failures;
    uint64_t poison; /* this value makes receive fail */
    sl_event *event;
} seen;

static sl_err log_start(sl_actor *self, void *state, const void *arguments) {
    (void)self;
    log_state *log = state;
    log->seen = *(seen *const *)arguments;
    log->seen->starts++;
    return SL_OK;
}

static sl_err log_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    seen *s = ((log_state *)state)->seen;
    if (message->type == &test_number_type || message->type == &test_urgent_type) {
        uint64_t value = ((const test_number *)message->body)->value;
        if (s->poison && value == s->poison)
            return sl_fail(SL_ERR_FAILED, "poison");
        s->values[s->count++ % 64] = value;
    } else if (message->type == &node_timer_type) {
        s->values[s->count++ % 64] = ((const node_timer *)message->body)->cookie;
    } else if (message->type == &node_event_type) {
        s->event = node_event_of(message);
    } else if (message->type == &node_room_type) {
        s->rooms++;
    } else if (message->type == &node_child_failed_type) {
        s->child_failures++;
    }
    return SL_OK;
}

static void log_stop(sl_actor *self, void *state) {
    (void)self;
    ((log_state *)state)->seen->stops++;
}

static const sl_actor_class log_class = {.name = "log",
                                         .state_bytes = sizeof(log_state),
                                         .start = log_start,
                                         .receive = log_receive,
                                         .stop = log_stop};
static const sl_actor_class restarting_class = {.name = "restarting",
                                                .state_bytes = sizeof(log_state),
                                                .start = log_start,
                                                .receive = log_receive,
                                                .stop = log_stop,
                                                .max_restarts = 2,
                                                .window_ns = 1000000000000};

static sl_addr spawn_log(sl_node *node, const sl_actor_class *class_, seen *s) {
    sl_addr at = SL_NO_ADDR;
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, class_, &s, sizeof s, &at), SL_OK);
    return at;
}

static sl_err send_number(sl_node *node, sl_addr to, uint64_t value) {
    test_number body = {value};
    return sl_node_send(node, to, &test_number_type, &body);
}

TEST(messages_arrive_in_order) {
    sl_node *node = node_create(0);
    seen s = {0};
    sl_addr at = spawn_log(node, &log_class, &s);
    for (uint64_t i = 0; i < 50; i++)
        CHECK_INT(send_number(node, at, i), SL_OK);
    settle(node);
    CHECK_INT(s.count, 50);
    for (int i = 0; i < 50; i++)
        CHECK_INT(s.values[i], i);
    sl_node_destroy(node);
    CHECK_INT(s.stops, 1);
}

TEST(control_overtakes_data) {
    sl_node *node = node_create(0);
    seen s = {0};
    sl_addr at = spawn_log(node, &log_class, &s);
    CHECK_INT(send_number(node, at, 1), SL_OK);
    test_urgent urgent = {2};
    CHECK_INT(sl_node_send(node, at, &test_urgent_type, &urgent), SL_OK);
    settle(node);
    CHECK_INT(s.values[0], 2);
    CHECK_INT(s.values[1], 1);
    sl_node_destroy(node);
}

TEST(a_stopped_actor_is_a_dead_letter) {
    sl_node *node = node_create(0);
    seen s = {0}, other = {0};
    sl_addr at = spawn_log(node, &log_class, &s);
    sl_addr asker = spawn_log(node, &log_class, &other);
    (void)asker;
    CHECK_INT(send_number(node, at, 1), SL_OK);
    sl_node_stop(node, 0); /* actors end with the node */
    sl_node_run(node, NULL);
    CHECK_INT(s.stops, 1);
    CHECK_INT(send_number(node, at, 2), SL_ERR_DEAD);
    CHECK_INT(sl_metric_value(sl_node_metrics(node), SL_METRIC_dead_letters), 1);
    sl_node_destroy(node);
}

TEST(a_full_mailbox_refuses_and_tells_when_it_has_room) {
    sl_node *node = node_create(8);
    seen s = {0};
    sl_addr at = spawn_log(node, &log_class, &s);
    int sent = 0;
    while (send_number(node, at, 1) == SL_OK)
        sent++;
    CHECK_INT(sent, 8);
    test_urgent urgent = {9};
    CHECK_INT(sl_node_send(node, at, &test_urgent_type, &urgent),
              SL_OK); /* control is never refused */
    settle(node);
    CHECK_INT(s.count, 9);
    CHECK_INT(send_number(node, at, 1), SL_OK);
    settle(node);
    sl_node_destroy(node);
}

TEST(a_failing_actor_restarts_at_a_bounded_rate_then_the_node_ends) {
    sl_node *node = node_create(0);
    seen s = {.poison = 13};
    sl_addr at = spawn_log(node, &restarting_class, &s);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(send_number(node, at, 13), SL_OK);
        CHECK_INT(send_number(node, at, (uint64_t)i), SL_OK);
    }
    uint32_t code = 0;
    CHECK_INT(sl_node_run(node, &code), SL_ERR_FAILED); /* no parent: escalates to the node */
    CHECK_INT(code, 1);
    CHECK_INT(s.starts, 3);
    CHECK_INT(s.stops, 3);
    CHECK_INT(s.count, 2); /* what followed the poison was kept, until the third */
    sl_node_destroy(node);
}

/* ---- a parent and its children ---- */

typedef struct parent_state {
    seen *s;
    sl_addr child;
} parent_state;

static sl_err parent_start(sl_actor *self, void *state, const void *arguments) {
    parent_state *parent = state;
    parent->s = *(seen *const *)arguments;
    SL_TRY(sl_spawn(self, &log_class, &parent->s, sizeof parent->s, &parent->child));
    test_number poison = {13};
    return test_number_send(self, parent->child, &poison);
}

static sl_err parent_receive(sl_actor *self, void *state, const sl_message *message) {
    parent_state *parent = state;
    if (message->type == &node_child_failed_type) {
        const node_child_failed *failed = message->body;
        CHECK(sl_addr_equal(failed->child, parent->child));
        CHECK_INT(failed->error, SL_ERR_FAILED);
        parent->s->child_failures++;
        test_number number = {1};
        CHECK_INT(test_number_send(self, parent->child, &number), SL_ERR_DEAD);
        sl_addr again;
        CHECK_INT(sl_spawn(self, &log_class, &parent->s, sizeof parent->s, &again), SL_OK);
        CHECK(!sl_addr_equal(again, parent->child));
        sl_stop(self, again);
        sl_stop(self, sl_self(self));
    }
    return SL_OK;
}

static const sl_actor_class parent_class = {.name = "parent",
                                            .state_bytes = sizeof(parent_state),
                                            .start = parent_start,
                                            .receive = parent_receive};

TEST(a_parent_is_told_and_slots_get_new_generations) {
    sl_node *node = node_create(0);
    seen s = {.poison = 13}, *p = &s;
    CHECK_INT(sl_node_spawn(node, SL_SLOT_DRIVER, &parent_class, &p, sizeof p, NULL), SL_OK);
    CHECK_INT(sl_node_spawn(node, SL_SLOT_DRIVER, &parent_class, &p, sizeof p, NULL),
              SL_ERR_EXISTS);
    settle(node);
    CHECK_INT(s.child_failures, 1);
    CHECK_INT(s.stops, 2);                    /* the failed child and its replacement */
    CHECK_INT(sl_node_loads(node).actors, 1); /* the node's own */
    sl_node_destroy(node);
}

/* ---- timers and events ---- */

static sl_err clockwork_start(sl_actor *self, void *state, const void *arguments) {
    SL_TRY(log_start(self, state, arguments));
    sl_timer_start(self, 3000000, 3);
    sl_timer_start(self, 1000000, 1);
    uint64_t never = sl_timer_start(self, 2000000, 99);
    sl_timer_start(self, 2000000, 2);
    sl_timer_cancel(self, never);
    return SL_OK;
}

static const sl_actor_class clockwork_class = {.name = "clockwork",
                                               .state_bytes = sizeof(log_state),
                                               .start = clockwork_start,
                                               .receive = log_receive};

TEST(timers_fire_in_order_and_can_be_cancelled) {
    sl_node *node = node_create(0);
    seen s = {0};
    spawn_log(node, &clockwork_class, &s);
    while (s.count < 3)
        sl_node_turn(node);
    CHECK_INT(s.values[0], 1);
    CHECK_INT(s.values[1], 2);
    CHECK_INT(s.values[2], 3);
    sl_node_destroy(node);
}

static sl_event event;
static int dropped;

static void drop(sl_event *which) {
    CHECK(which == &event);
    dropped++;
}

static void *notify(void *node) {
    sl_notify(node, &event);
    sl_node_stop(node, 3);
    return NULL;
}

TEST(another_thread_wakes_a_sleeping_loop) {
    sl_node *node = node_create(0);
    seen s = {0};
    event = (sl_event){.to = spawn_log(node, &log_class, &s), .drop = drop};
    pthread_t thread;
    pthread_create(&thread, NULL, notify, node);
    uint32_t code = 0;
    CHECK_INT(sl_node_run(node, &code), SL_OK);
    pthread_join(thread, NULL);
    CHECK_INT(code, 3);
    CHECK(s.event == &event ||
          dropped == 1); /* told, or told that nobody is there: never neither */
    sl_node_destroy(node);
}

TEST(events_that_nobody_took_are_dropped_with_the_node) {
    sl_node *node = node_create(0);
    seen s = {0};
    event = (sl_event){.to = spawn_log(node, &log_class, &s), .drop = drop};
    dropped = 0;
    sl_notify(node, &event);
    sl_node_destroy(node);
    CHECK_INT(dropped, 1);
}

/* ---- waiting for room ---- */

typedef struct waiting {
    sl_addr target;
    int rooms;
    sl_addr at; /* of the last node_room */
} waiting;

static waiting *the_waiting;

static sl_err waiter_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type == &node_room_type) {
        the_waiting->rooms++;
        the_waiting->at = ((const node_room *)message->body)->at;
    } else {
        sl_await_room(self, the_waiting->target);
        sl_await_room(self, the_waiting->target); /* twice is once */
    }
    return SL_OK;
}

static const sl_actor_class waiter_class = {.name = "waiter", .receive = waiter_receive};

static void ask(sl_node *node, sl_addr waiter) {
    test_urgent body = {0};
    CHECK_INT(sl_node_send(node, waiter, &test_urgent_type, &body), SL_OK);
}

static void turn_until_rooms(sl_node *node, int rooms) {
    for (int i = 0; i < 100 && the_waiting->rooms < rooms; i++)
        sl_node_turn(node);
    CHECK_INT(the_waiting->rooms, rooms);
    CHECK(sl_addr_equal(the_waiting->at, the_waiting->target));
}

TEST(room_is_told_when_a_full_mailbox_empties) {
    sl_node *node = node_create(8);
    seen s = {0};
    waiting w = {.target = spawn_log(node, &log_class, &s)};
    sl_addr waiter = SL_NO_ADDR;
    the_waiting = &w;
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &waiter_class, NULL, 0, &waiter), SL_OK);
    while (send_number(node, w.target, 1) == SL_OK) {
    }
    ask(node, waiter);
    turn_until_rooms(node, 1);
    settle(node);
    CHECK_INT(w.rooms, 1);
    sl_node_destroy(node);
}

static sl_err stop_target(sl_actor *self, void *state, const sl_message *message) {
    (void)state, (void)message;
    sl_stop(self, the_waiting->target);
    return SL_OK;
}

static const sl_actor_class stopping_class = {.name = "stopping", .receive = stop_target};

TEST(room_is_told_where_there_is_room_or_nobody) {
    sl_node *node = node_create(8);
    seen s = {0};
    waiting w = {.target = spawn_log(node, &log_class, &s)};
    sl_addr waiter = SL_NO_ADDR, stopper = SL_NO_ADDR;
    the_waiting = &w;
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &waiter_class, NULL, 0, &waiter), SL_OK);
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &stopping_class, NULL, 0, &stopper), SL_OK);
    ask(node, waiter);
    settle(node);
    CHECK_INT(w.rooms, 2); /* empty: told at once, as often as asked */
    w.rooms = 0;
    while (send_number(node, w.target, 1) == SL_OK) {
    }
    ask(node, waiter); /* full; and then it ends */
    ask(node, stopper);
    turn_until_rooms(node, 1);
    CHECK_INT(s.count, 0);
    ask(node, waiter); /* gone */
    turn_until_rooms(node, 3);
    w = (waiting){.target = {7, 16, 0}}; /* no such node */
    ask(node, waiter);
    turn_until_rooms(node, 2);
    sl_node_destroy(node);
}

/* ---- what is urgent comes first, even between the messages of one actor ---- */

static sl_err chatty_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    test_urgent body = {100 + ((const test_number *)message->body)->value};
    return test_urgent_send(self, the_waiting->target, &body);
}

static const sl_actor_class chatty_class = {.name = "chatty", .receive = chatty_receive};

TEST(urgent_messages_are_looked_for_before_every_message) {
    sl_node *node = node_create(0);
    seen s = {0};
    waiting w = {.target = spawn_log(node, &log_class, &s)};
    sl_addr chatty = SL_NO_ADDR;
    the_waiting = &w;
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &chatty_class, NULL, 0, &chatty), SL_OK);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK_INT(send_number(node, chatty, i), SL_OK);
        CHECK_INT(send_number(node, w.target, i), SL_OK);
    }
    settle(node);
    uint64_t expected[] = {100, 0, 1, 2, 101, 102};
    for (int i = 0; i < 6; i++)
        CHECK_INT(s.values[i], expected[i]);
    sl_node_destroy(node);
}

static sl_err restless_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    return test_urgent_send(self, sl_self(self), message->body);
}

static const sl_actor_class restless_class = {.name = "restless", .receive = restless_receive};

TEST(an_actor_that_never_rests_leaves_others_their_turn) {
    sl_node *node = node_create(0);
    seen s = {0};
    sl_addr at = spawn_log(node, &log_class, &s), restless = SL_NO_ADDR;
    CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &restless_class, NULL, 0, &restless), SL_OK);
    ask(node, restless);
    sl_node_turn(node);
    ask(node, at);
    sl_node_turn(node);
    CHECK_INT(s.count, 1);
    sl_node_destroy(node);
}
