/* Actors from outside: what clients do with them, and what they may not. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/cutter.h"
#include "tests/lib/outside.h"

typedef struct counter {
    int64_t sum;
    int64_t next; /* that a row of numbers must go on with */
    int64_t wrong;
} counter;

static _Atomic int alive, hold, held;

static int counter_start(sl_call *call, void *state) {
    counter *c = state;
    c->sum = sl_arg_count(call) ? sl_arg_i64(call, 0) : 0;
    if (c->sum < 0)
        return sl_call_fail(call, "a counter starts from 0 or more");
    atomic_fetch_add(&alive, 1);
    return 0;
}

static void counter_stop(void *state) {
    (void)state;
    atomic_fetch_sub(&alive, 1);
}

static size_t counter_save(const void *state, void *to) {
    if (to)
        memcpy(to, state, sizeof(counter));
    return sizeof(counter);
}

static int counter_load(void *state, const void *data, size_t bytes) {
    atomic_fetch_add(&alive, 1);
    memcpy(state, data, bytes);
    return 0;
}

SL_ACTOR(tally, .state_bytes = sizeof(counter), .start = counter_start, .stop = counter_stop,
         .save = counter_save, .load = counter_load) {
    counter *c = state;
    if (sl_call_is(call, "add"))
        c->sum += sl_arg_i64(call, 0);
    else if (sl_call_is(call, "row"))
        c->wrong += sl_arg_i64(call, 0) != c->next++;
    else if (sl_call_is(call, "wrong"))
        return sl_return_i64(call, c->wrong);
    else if (sl_call_is(call, "next"))
        return sl_return_i64(call, c->next);
    else if (sl_call_is(call, "where"))
        return sl_return_i64(call, sl_call_node(call));
    else if (sl_call_is(call, "self")) {
        sl_actor_ref self = sl_call_self(call);
        sl_value value = sl_actor_value(&self);
        return sl_return_value(call, &value);
    } else if (sl_call_is(call, "odd"))
        return 13; /* what the gateway says of a message that it refuses */
    else if (!sl_call_is(call, "sum"))
        return sl_call_fail(call, "a counter cannot %s", sl_call_method(call));
    return sl_return_i64(call, c->sum);
}

/* Holds its node up, until it is let go. */
SL_ACTOR(slow) {
    atomic_fetch_add(&held, 1);
    while (atomic_load(&hold))
        usleep(1000);
    return sl_return_i64(call, 1);
}

/* Objects, large data, and other actors. */
SL_ACTOR(clerk) {
    if (sl_call_is(call, "sum of")) { /* an object */
        sl_view view;
        if (sl_get(sl_arg_object(call, 0), 30, &view) != 0)
            return sl_call_fail(call, "%s", sl_error_text());
        int64_t sum = 0;
        for (size_t i = 0; i < view.value.bytes; i++)
            sum += ((const uint8_t *)view.value.data)[i];
        sl_view_release(&view);
        return sl_return_i64(call, sum);
    }
    if (sl_call_is(call, "make")) {
        uint8_t data[5000];
        memset(data, 3, sizeof data);
        sl_object *object = sl_put(sl_bytes(data, sizeof data));
        int err = sl_return_object(call, object);
        sl_object_release(object);
        return err;
    }
    if (sl_call_is(call, "ask")) {
        sl_actor_ref other = sl_arg_actor(call, 0);
        sl_future *future = sl_actor_ask(&other, "sum", SL_NO_ARGS);
        int err = sl_wait(future, 30);
        err = err ? sl_call_fail(call, "%s", sl_error_text())
                  : sl_return_i64(call, 1 + sl_result_i64(future));
        sl_release(future);
        return err;
    }
    size_t bytes;
    const void *data = sl_arg_bytes(call, 0, &bytes);
    return sl_return_bytes(call, data, bytes);
}

/* ---- helpers ---- */

static sl_future *ask_of(sl_remote *remote, const sl_actor_ref *actor, const char *method) {
    return sl_remote_actor_ask(remote, actor, method, SL_NO_ARGS);
}

static int wait_and_release(sl_future *future) {
    int error = sl_wait(future, 30);
    sl_release(future);
    return error;
}

static int64_t ask(sl_remote *remote, const sl_actor_ref *actor, const char *method) {
    sl_future *future = ask_of(remote, actor, method);
    int64_t answer = sl_wait(future, 30) == 0 ? sl_result_i64(future) : -1;
    if (answer < 0)
        fprintf(stderr, "%s: %s\n", method, sl_error_text());
    sl_release(future);
    return answer;
}

static void await_alive(int count) {
    for (int i = 0; i < 30000 && atomic_load(&alive) != count; i++)
        usleep(1000);
    CHECK_INT(atomic_load(&alive), count);
}

/* ---- what clients do ---- */

static void messages_and_answers(void) {
    sl_remote *remote = outside_join("physics", "submit,read");
    for (uint32_t node = 0; node < 2; node++) {
        sl_actor_ref actor;
        sl_spawn_options on = {.on_node = 1, .node = node};
        CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_ARGS(sl_i64(5)), &on, &actor), 0);
        for (int i = 0; i < 1000; i++)
            CHECK_INT(sl_remote_actor_send(remote, &actor, "add", SL_ARGS(sl_i64(i))), 0);
        CHECK_INT(ask(remote, &actor, "sum"), 499505);
        CHECK_INT(ask(remote, &actor, "where"), node);
        CHECK_INT(wait_and_release(ask_of(remote, &actor, "dance")), SL_ERROR_FAILED);
        CHECK_CONTAINS(sl_error_text(), "a counter cannot dance");
        CHECK(wait_and_release(ask_of(remote, &actor, "odd")) != 0);
        CHECK_INT(wait_and_release(sl_remote_actor_migrate(remote, &actor, 1 - node)), 0);
        CHECK_INT(ask(remote, &actor, "where"), 1 - node);
        CHECK_INT(ask(remote, &actor, "sum"), 499505);
        CHECK_INT(wait_and_release(sl_remote_actor_migrate(remote, &actor, 7)), SL_ERROR_INVALID);
        CHECK_CONTAINS(sl_error_text(), "no such node");
        sl_future *end = sl_remote_actor_monitor(remote, &actor);
        CHECK_INT(sl_wait(end, 0.02), SL_ERROR_TIMEOUT);
        CHECK_INT(sl_remote_actor_stop(remote, &actor), 0);
        CHECK_INT(wait_and_release(ask_of(remote, &actor, "sum")), SL_ERROR_DEAD);
        CHECK_INT(sl_wait(end, 30), 0);
        CHECK_CONTAINS(sl_result_string(end), "has ended");
        sl_release(end);
        CHECK_INT(sl_remote_actor_send(remote, &actor, "add", SL_ARGS(sl_i64(1))), 0);
        end = sl_remote_actor_monitor(remote, &actor);
        CHECK_INT(sl_wait(end, 30), 0);
        CHECK_CONTAINS(sl_result_string(end), "has ended");
        sl_release(end);
    }
    sl_actor_ref none;
    CHECK_INT(sl_remote_actor_spawn(remote, "nosuch", SL_NO_ARGS, NULL, &none), SL_ERROR_NOT_FOUND);
    CHECK_CONTAINS(sl_error_text(), "nosuch");
    sl_spawn_options far = {.on_node = 1, .node = 9}, saves = {.save_every = 1};
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_NO_ARGS, &far, &none), SL_ERROR_INVALID);
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_NO_ARGS, &saves, &none), SL_ERROR_INVALID);
    CHECK(sl_remote_actor_spawn(remote, "tally", SL_ARGS(sl_i64(-1)), NULL, &none) != 0);
    CHECK_CONTAINS(sl_error_text(), "a counter starts from 0 or more");
    await_alive(0);
    while (outside_field(remote, "running") || outside_field(remote, "held_bytes"))
        usleep(1000);
    sl_disconnect(remote);
}

static void objects_and_large_data(void) {
    enum { LARGE = 3 << 20 };
    sl_remote *remote = outside_join("physics", "submit,read");
    sl_actor_ref actor, other;
    uint8_t *data = malloc(LARGE);
    memset(data, 1, LARGE);
    CHECK_INT(sl_remote_actor_spawn(remote, "clerk", SL_NO_ARGS, NULL, &actor), 0);
    sl_object *object = sl_remote_put(remote, sl_value_bytes(data, 70000));
    REQUIRE(object != NULL);
    sl_future *sum =
        sl_remote_actor_ask(remote, &actor, "sum of", SL_ARGS(sl_object_value(object)));
    sl_object_release(object); /* the message keeps it */
    CHECK_INT(sl_wait(sum, 30), 0);
    CHECK_INT(sl_result_i64(sum), 70000);
    sl_future *made = ask_of(remote, &actor, "make");
    CHECK_INT(sl_wait(made, 30), 0);
    sl_view view;
    CHECK_INT(sl_get(sl_result_object(made), 30, &view), 0);
    CHECK(view.value.bytes == 5000 && ((const uint8_t *)view.value.data)[4999] == 3);
    sl_view_release(&view);
    sl_future *unwanted = ask_of(remote, &actor, "make");
    sl_cancel(unwanted);
    CHECK(wait_and_release(unwanted) == 0 || sl_error_text());
    sl_future *back = sl_remote_actor_ask(remote, &actor, "", SL_ARGS(sl_bytes(data, LARGE)));
    size_t bytes;
    CHECK_INT(sl_wait(back, 30), 0);
    const void *same = sl_result_bytes(back, &bytes);
    CHECK(same && bytes == LARGE && memcmp(same, data, LARGE) == 0);
    /* Another actor's name is an argument as in the job. */
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_ARGS(sl_i64(41)), NULL, &other), 0);
    sl_future *asked = sl_remote_actor_ask(remote, &actor, "ask", SL_ARGS(sl_actor_value(&other)));
    CHECK_INT(sl_wait(asked, 30), 0);
    CHECK_INT(sl_result_i64(asked), 42);
    CHECK(!sl_remote_actor_ask(remote, &actor, "", SL_ARGS(sl_wait_for(asked))));
    sl_release(sum), sl_release(made), sl_release(back), sl_release(asked);
    sl_disconnect(remote);
    await_alive(0);
    free(data);
}

static void names(void) {
    sl_remote *one = outside_join("alpha", "submit"), *same = outside_join("alpha", "submit,read"),
              *other = outside_join("beta", "submit");
    sl_spawn_options named = {.name = "the counter"};
    sl_actor_ref actor, second, found, inside;
    CHECK_INT(sl_remote_actor_spawn(one, "tally", SL_ARGS(sl_i64(1)), &named, &actor), 0);
    CHECK_INT(sl_remote_actor_spawn(same, "tally", SL_NO_ARGS, &named, &second), SL_ERROR_EXISTS);
    /* Another project has names of its own, and so has the program. */
    CHECK_INT(wait_and_release(sl_remote_actor_look_up(other, "the counter")), SL_ERROR_NOT_FOUND);
    CHECK_INT(sl_remote_actor_spawn(other, "tally", SL_ARGS(sl_i64(2)), &named, &second), 0);
    CHECK_INT(wait_and_release(sl_actor_look_up("the counter")), SL_ERROR_NOT_FOUND);
    sl_spawn_options private = {.name = "the program's"};
    CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, &private, &inside), 0);
    CHECK_INT(wait_and_release(sl_remote_actor_look_up(one, "the program's")), SL_ERROR_NOT_FOUND);
    CHECK_INT(wait_and_release(sl_actor_ask(&inside, "sum", SL_NO_ARGS)), 0);
    /* Who finds it may send to it, and what it is sent belongs to who sends. */
    sl_future *future = sl_remote_actor_look_up(same, "the counter");
    CHECK_INT(sl_wait(future, 30), 0);
    REQUIRE(sl_result_actor(future, &found) == 0);
    sl_release(future);
    CHECK_INT(ask(same, &found, "sum"), 1);
    /* The names of others, and of the program's own, are of no use. */
    CHECK_INT(wait_and_release(ask_of(other, &actor, "sum")), SL_ERROR_DEAD);
    CHECK_INT(wait_and_release(ask_of(one, &second, "sum")), SL_ERROR_DEAD);
    CHECK_INT(wait_and_release(ask_of(one, &inside, "sum")), SL_ERROR_DEAD);
    CHECK_INT(sl_remote_actor_stop(other, &actor), 0);
    CHECK_INT(sl_remote_actor_stop(one, &inside), 0);
    sl_release(sl_remote_actor_migrate(other, &actor, 1));
    CHECK_INT(ask(one, &actor, "sum"), 1);
    CHECK_INT(ask(other, &second, "sum"), 2);
    CHECK_INT(wait_and_release(sl_actor_ask(&inside, "sum", SL_NO_ARGS)), 0);
    CHECK_INT(sl_actor_stop(&inside), 0);
    /* Who leaves takes its own along, and the name is free. */
    sl_future *end = sl_remote_actor_monitor(same, &found);
    CHECK_INT(ask(same, &found, "sum"), 1); /* it has been taken */
    sl_disconnect(one);
    CHECK_INT(sl_wait(end, 30), 0);
    CHECK_CONTAINS(sl_result_string(end), "its client has left");
    sl_release(end);
    CHECK_INT(wait_and_release(ask_of(same, &found, "sum")), SL_ERROR_DEAD);
    CHECK_INT(wait_and_release(sl_remote_actor_look_up(same, "the counter")), SL_ERROR_NOT_FOUND);
    CHECK_INT(sl_remote_actor_spawn(same, "tally", SL_ARGS(sl_i64(3)), &named, &actor), 0);
    CHECK_INT(ask(same, &actor, "sum"), 3);
    while (outside_field(same, "running") != 1)
        usleep(1000);
    sl_disconnect(same);
    sl_disconnect(other);
    await_alive(0);
}

/* A client that leaves while its actors move, start and are busy. */
static void leaving_at_once(void) {
    for (int round = 0; round < 30; round++) {
        sl_remote *remote = outside_join("physics", "submit,read");
        for (uint32_t i = 0; i < 10; i++) {
            sl_actor_ref actor;
            sl_spawn_options on = {.on_node = 1, .node = i % 2};
            CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_NO_ARGS, &on, &actor), 0);
            for (int j = 0; j < round; j++)
                CHECK_INT(sl_remote_actor_send(remote, &actor, "row", SL_ARGS(sl_i64(j))), 0);
            sl_release(sl_remote_actor_migrate(remote, &actor, round % 2));
            sl_release(ask_of(remote, &actor, "sum"));
            sl_release(sl_remote_actor_monitor(remote, &actor));
        }
        sl_disconnect(remote);
    }
    await_alive(0);
}

static void supervision(void) {
    sl_remote *remote = outside_join("physics", "submit,read");
    sl_spawn_options again = {.restart_on_error = 1, .restarts_most = 1, .save_every = 1};
    sl_actor_ref actor;
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_ARGS(sl_i64(10)), &again, &actor), 0);
    CHECK_INT(sl_remote_actor_send(remote, &actor, "add", SL_ARGS(sl_i64(5))), 0);
    CHECK_INT(wait_and_release(ask_of(remote, &actor, "dance")), SL_ERROR_FAILED);
    CHECK_INT(ask(remote, &actor, "sum"), 15); /* as it was saved */
    sl_release(ask_of(remote, &actor, "dance"));
    CHECK_INT(wait_and_release(ask_of(remote, &actor, "sum")), SL_ERROR_DEAD);
    sl_disconnect(remote);
    await_alive(0);
}

/* ---- what it may not ---- */

static void scopes_and_quotas(void) {
    sl_remote *reader = outside_join("gamma", "read"), *writer;
    sl_actor_ref actor, second;
    CHECK(sl_remote_actor_spawn(reader, "tally", SL_NO_ARGS, NULL, &actor) != 0);
    CHECK_CONTAINS(sl_error_text(), "lacks the scope submit");
    CHECK_INT(sl_api_quota(outside_directory, "gamma", 0, 2, 20000, 0), 0);
    writer = outside_join("gamma", "submit,read");
    CHECK_INT(sl_remote_actor_spawn(writer, "tally", SL_NO_ARGS, NULL, &actor), 0);
    CHECK_INT(sl_remote_actor_spawn(writer, "slow", SL_NO_ARGS, NULL, &second), 0);
    CHECK(sl_remote_actor_spawn(writer, "tally", SL_NO_ARGS, NULL, &second) != 0);
    CHECK_CONTAINS(sl_error_text(), "quota");
    /* Asking is a task more; sending is not. */
    CHECK(wait_and_release(ask_of(writer, &actor, "sum")) != 0);
    CHECK_CONTAINS(sl_error_text(), "quota");
    CHECK_INT(sl_remote_actor_send(writer, &actor, "add", SL_ARGS(sl_i64(1))), 0);
    CHECK_INT(outside_field(writer, "running"), 2);
    CHECK_INT(sl_api_quota(outside_directory, "gamma", 0, 9, 20000, 0), 0);
    sl_remote *again = outside_join("gamma", "submit"); /* which has the quota looked at */
    CHECK_INT(ask(writer, &actor, "sum"), 1);
    /* A message that is refused: nothing comes after it before its sender knows. */
    static uint8_t data[30000];
    CHECK_INT(sl_remote_actor_send(writer, &actor, "", SL_ARGS(sl_bytes(data, sizeof data))), 0);
    sl_future *behind = ask_of(writer, &actor, "sum");
    if (behind) { /* it was sent before the refusal came */
        CHECK(sl_wait(behind, 30) != 0);
        CHECK_CONTAINS(sl_error_text(), "before it, was refused");
    } else {
        CHECK_CONTAINS(sl_error_text(), "as many bytes as its quota allows");
    }
    sl_release(behind);
    CHECK_INT(ask(writer, &actor, "sum"), 1);
    CHECK_INT(sl_remote_actor_send(writer, &actor, "", SL_ARGS(sl_bytes(data, sizeof data))), 0);
    int err = 0;
    for (int i = 0; i < 30000 && err == 0; i++, usleep(1000))
        err = sl_remote_actor_send(writer, &actor, "add", SL_ARGS(sl_i64(0)));
    CHECK(err != 0);
    CHECK_CONTAINS(sl_error_text(), "an earlier message to an actor was refused");
    CHECK_CONTAINS(sl_error_text(), "as many bytes as its quota allows");
    CHECK_INT(sl_remote_actor_send(writer, &actor, "add", SL_ARGS(sl_i64(1))), 0);
    CHECK_INT(ask(writer, &actor, "sum"), 2);
    sl_disconnect(reader);
    sl_disconnect(writer);
    sl_disconnect(again);
    await_alive(0);
}

/* Who takes a project's tasks back ends its actors. */
static void taken_back(void) {
    sl_remote *remote = outside_join("delta", "submit,read"),
              *other = outside_join("gamma", "submit"), *admin = outside_join("ops", "admin");
    sl_actor_ref actor, theirs;
    uint64_t count = 0;
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_NO_ARGS, NULL, &actor), 0);
    CHECK_INT(sl_remote_actor_spawn(other, "tally", SL_NO_ARGS, NULL, &theirs), 0);
    sl_future *end = sl_remote_actor_monitor(remote, &actor);
    CHECK_INT(ask(remote, &actor, "sum"), 0);
    CHECK_INT(sl_remote_cancel_project(admin, "delta", &count), 0);
    CHECK_INT(count, 2); /* the monitor is one */
    CHECK_INT(sl_wait(end, 30), SL_ERROR_CANCELLED);
    CHECK_INT(wait_and_release(ask_of(remote, &actor, "sum")), SL_ERROR_DEAD);
    CHECK_INT(ask(other, &theirs, "sum"), 0);
    sl_release(end);
    sl_disconnect(remote);
    sl_disconnect(other);
    sl_disconnect(admin);
    await_alive(0);
}

/* Very many messages to one that is slow: their sender waits, and nobody else does. */
static void a_slow_actor(void) {
    enum { COUNT = 40000 };
    sl_remote *remote = outside_join("physics", "submit,read"),
              *other = outside_join("delta", "submit");
    sl_actor_ref actor, quick;
    atomic_store(&hold, 1);
    atomic_store(&held, 0);
    CHECK_INT(sl_remote_actor_spawn(remote, "slow", SL_NO_ARGS, NULL, &actor), 0);
    CHECK_INT(sl_remote_actor_spawn(other, "tally", SL_NO_ARGS, NULL, &quick), 0);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(sl_remote_actor_send(remote, &actor, "", SL_NO_ARGS), 0);
    sl_future *last = ask_of(remote, &actor, "");
    CHECK_INT(ask(other, &quick, "sum"), 0);
    CHECK_INT(sl_wait(last, 0.05), SL_ERROR_TIMEOUT);
    atomic_store(&hold, 0);
    CHECK_INT(sl_wait(last, 60), 0);
    CHECK_INT(atomic_load(&held), COUNT + 1);
    sl_release(last);
    sl_disconnect(remote);
    sl_disconnect(other);
    await_alive(0);
}

/* A monitor keeps its number, however many come after. */
static void long_monitors(void) {
    enum { COUNT = 70000 };
    sl_remote *remote = outside_join("physics", "submit");
    sl_actor_ref actor;
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_NO_ARGS, NULL, &actor), 0);
    sl_future *end = sl_remote_actor_monitor(remote, &actor);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(sl_remote_actor_send(remote, &actor, "row", SL_ARGS(sl_i64(i))), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(ask(remote, &actor, "next"), COUNT);
    CHECK_INT(ask(remote, &actor, "wrong"), 0);
    sl_cancel(end);
    CHECK_INT(sl_wait(end, 30), SL_ERROR_CANCELLED);
    sl_release(end);
    sl_disconnect(remote);
    await_alive(0);
}

/* ---- what is no client ---- */

static void hostile(void) {
    sl_remote *owner = outside_join("alpha", "submit");
    sl_actor_ref actor;
    CHECK_INT(sl_remote_actor_spawn(owner, "tally", SL_ARGS(sl_i64(8)), NULL, &actor), 0);
    gateway_letter letter = {.number = 5,
                             .life = actor.life,
                             .actor = actor.number,
                             .home = actor.home,
                             .what = SL_GATEWAY_STOP};
    raw r;
    raw_enter(&r, "epsilon"); /* a name of another project's, and one that is guessed */
    raw_say(&r, SL_GATEWAY_LETTER, &letter, NULL, 0);
    letter.number = 6, letter.actor++;
    raw_say(&r, SL_GATEWAY_LETTER, &letter, NULL, 0);
    raw_say(&r, SL_GATEWAY_LETTER, &letter, NULL, 0); /* again */
    raw_refused(&r, "numbers ascend");
    raw_enter(&r, "epsilon");
    letter.what = SL_GATEWAY_WHATS;
    raw_say(&r, SL_GATEWAY_LETTER, &letter, NULL, 0);
    raw_refused(&r, "a letter of kind 4");
    raw_enter(&r, "epsilon");
    letter.what = SL_GATEWAY_WATCH;
    raw_say(&r, SL_GATEWAY_LETTER, &letter, NULL, 0);
    raw_refused(&r, "a letter of kind 3");
    raw_enter(&r, "epsilon");
    letter.what = SL_GATEWAY_MOVE, letter.node = UINT32_MAX, letter.refusals = 7;
    letter.number = 1;
    raw_say(&r, SL_GATEWAY_LETTER, &letter, NULL, 0);
    gateway_spawn spawn = {.number = 2, .kind = sl_text_of("tally"), .node = 77, .on_node = true};
    raw_say(&r, SL_GATEWAY_SPAWN, &spawn, "odd", 3);
    gateway_find find = {.number = 2};
    raw_say(&r, SL_GATEWAY_FIND, &find, NULL, 0);
    raw_refused(&r, "numbers ascend");
    CHECK_INT(ask(owner, &actor, "sum"), 8);
    sl_disconnect(owner);
    await_alive(0);
}

TEST(actors_from_outside) {
    REQUIRE(outside_begin() == 0);
    messages_and_answers();
    objects_and_large_data();
    names();
    supervision();
    leaving_at_once();
    CHECK_INT(sl_shutdown(), 0);
}

TEST(actors_within_bounds) {
    REQUIRE(outside_begin() == 0);
    scopes_and_quotas();
    taken_back();
    a_slow_actor();
    long_monitors();
    hostile();
    CHECK_INT(sl_shutdown(), 0);
}

/* ---- connections that break ---- */

static cutter *between;
static char cut_url[600];

static sl_remote *join_behind(const char *project) {
    uint16_t to, from;
    sscanf(outside_url, "starlane://127.0.0.1:%hu", &to);
    between = cutter_start(to, &from);
    snprintf(cut_url, sizeof cut_url, "starlane://127.0.0.1:%u%s", from, strchr(outside_url, '#'));
    char *key = outside_key(project, "submit,read");
    sl_remote *remote = NULL;
    if (sl_connect(cut_url, key, project, NULL, &remote) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
    sl_free(key);
    return remote;
}

/* Each once, in their order, though the connection breaks and the actor moves all the time. */
static void rows_over_cuts(void) {
    enum { CUTS = 300, MESSAGES_LEAST = 20000 };
    sl_remote *remote = join_behind("physics");
    sl_actor_ref actor;
    int64_t sent = 0;
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_NO_ARGS, NULL, &actor), 0);
    cutter_set(between, 30000);
    cutter_cut(between);
    while (cutter_cuts(between) < CUTS || sent < MESSAGES_LEAST) {
        for (int i = 0; i < 100; i++, sent++)
            CHECK_INT(sl_remote_actor_send(remote, &actor, "row", SL_ARGS(sl_i64(sent))), 0);
        sl_future *move = sl_remote_actor_migrate(remote, &actor, (uint32_t)(sent / 100) % 2);
        sl_future *next = ask_of(remote, &actor, "next");
        CHECK_INT(sl_wait(next, 60), 0);
        CHECK_INT(sl_result_i64(next), sent);
        CHECK_INT(sl_wait(move, 60), 0);
        sl_release(next), sl_release(move);
    }
    cutter_set(between, 0);
    cutter_cut(between);
    CHECK_INT(ask(remote, &actor, "wrong"), 0);
    CHECK_INT(ask(remote, &actor, "next"), sent);
    printf("# %llu cuts, %lld messages\n", (unsigned long long)cutter_cuts(between),
           (long long)sent);
    sl_disconnect(remote);
    await_alive(0);
    cutter_stop(between);
}

TEST(actors_behind_connections_that_break) {
    REQUIRE(outside_begin() == 0);
    rows_over_cuts();
    CHECK_INT(sl_shutdown(), 0);
}

/* Cut off they live, until the gateway gives their client up. */
TEST(actors_of_clients_that_stay_away) {
    const char *const options[] = {"gateway-keep", "2s", NULL};
    sl_actor_ref actor;
    REQUIRE(outside_begin_with(options) == 0);
    sl_remote *remote = join_behind("physics"), *other = outside_join("physics", "submit,read");
    sl_spawn_options named = {.name = "here"};
    CHECK_INT(sl_remote_actor_spawn(remote, "tally", SL_ARGS(sl_i64(4)), &named, &actor), 0);
    CHECK_INT(ask(remote, &actor, "sum"), 4);
    cutter_block(between, 1);
    while (outside_field(other, "clients") != 1)
        usleep(1000);
    CHECK_INT(ask(other, &actor, "sum"), 4);
    cutter_block(between, 0);
    CHECK_INT(ask(remote, &actor, "sum"), 4);
    cutter_block(between, 1);
    sl_future *end = sl_remote_actor_monitor(other, &actor);
    CHECK_INT(sl_wait(end, 60), 0);
    CHECK_CONTAINS(sl_result_string(end), "its client has left");
    CHECK_INT(wait_and_release(sl_remote_actor_look_up(other, "here")), SL_ERROR_NOT_FOUND);
    sl_release(end);
    cutter_block(between, 0);
    sl_disconnect(remote);
    sl_disconnect(other);
    await_alive(0);
    cutter_stop(between);
    CHECK_INT(sl_shutdown(), 0);
}
