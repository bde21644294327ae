/* User actors, on networks inside this process. */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "actors/store/store.h"
#include "sdk/client.h"
#include "starlane.h"

typedef struct counter {
    int64_t sum;
    int64_t next; /* that a row of numbers must go on with */
    int64_t wrong;
} counter;

static int counter_start(sl_call *call, void *state) {
    counter *c = state;
    if (sl_arg_count(call) > 0)
        c->sum = sl_arg_i64(call, 0);
    return c->sum < 0 ? sl_call_fail(call, "a counter starts from 0 or more") : 0;
}

static int count(sl_call *call, counter *c) {
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
    else if (sl_call_is(call, "go"))
        sl_call_migrate(call, (uint32_t)sl_arg_i64(call, 0));
    else if (!sl_call_is(call, "sum"))
        return sl_call_fail(call, "a counter cannot %s", sl_call_method(call));
    return sl_return_i64(call, c->sum);
}

SL_ACTOR(tally, .state_bytes = sizeof(counter), .start = counter_start) {
    return count(call, state);
}

SL_ACTOR(brief_tally, .state_bytes = sizeof(counter), .start = counter_start, .brief = 1) {
    return count(call, state);
}

typedef struct heap {
    unsigned char *data;
    size_t bytes;
} heap;

static int heap_start(sl_call *call, void *state) {
    heap *h = state;
    h->bytes = (size_t)sl_arg_i64(call, 0);
    h->data = malloc(h->bytes + 1);
    for (size_t i = 0; i < h->bytes; i++)
        h->data[i] = (unsigned char)(i * 7);
    return 0;
}

static void heap_stop(void *state) {
    free(((heap *)state)->data);
}

static size_t heap_save(const void *state, void *to) {
    const heap *h = state;
    if (to && h->bytes)
        memcpy(to, h->data, h->bytes);
    return h->bytes;
}

static int heap_load(void *state, const void *data, size_t bytes) {
    heap *h = state;
    h->bytes = bytes;
    h->data = malloc(bytes + 1);
    if (bytes)
        memcpy(h->data, data, bytes);
    return 0;
}

SL_ACTOR(heaped, .state_bytes = sizeof(heap), .start = heap_start, .stop = heap_stop,
         .save = heap_save, .load = heap_load) {
    heap *h = state;
    if (sl_call_is(call, "bytes"))
        return sl_return_bytes(call, h->data, h->bytes);
    for (size_t i = 0; i < h->bytes; i++)
        if (h->data[i] != (unsigned char)(i * 7))
            return sl_call_fail(call, "byte %zu is wrong", i);
    return sl_return_i64(call, (int64_t)h->bytes);
}

/* Asks another actor from its body. */
SL_ACTOR(asker) {
    sl_actor_ref other = sl_arg_actor(call, 0);
    sl_future *future = sl_actor_ask(&other, "sum", SL_NO_ARGS);
    int error = sl_wait(future, 30);
    if (error == 0)
        error = sl_return_i64(call, 1 + sl_result_i64(future));
    else
        error = sl_call_fail(call, "%s", sl_error_text());
    sl_release(future);
    return error;
}

static void join(uint32_t nodes) {
    if (sl_init(NULL, NULL, &(sl_init_options){.nodes = nodes}) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        abort();
    }
}

static int64_t ask(const sl_actor_ref *actor, const char *method) {
    sl_future *future = sl_actor_ask(actor, method, SL_NO_ARGS);
    int64_t answer = sl_wait(future, 30) == 0 ? sl_result_i64(future) : -1;
    if (answer < 0)
        fprintf(stderr, "%s: %s\n", method, sl_error_text());
    sl_release(future);
    return answer;
}

static int wait_and_release(sl_future *future) {
    int error = sl_wait(future, 30);
    sl_release(future);
    return error;
}

TEST(actors_take_messages_and_answer) {
    const sl_actor_kind *kinds[] = {&tally, &brief_tally};
    for (uint32_t nodes = 1; nodes <= 3; nodes++) {
        join(nodes);
        for (int k = 0; k < 2; k++)
            for (uint32_t node = 0; node < nodes; node++) {
                sl_actor_ref actor;
                sl_spawn_options on = {.on_node = 1, .node = node};
                CHECK_INT(sl_actor_spawn(kinds[k], SL_ARGS(sl_i64(5)), &on, &actor), 0);
                for (int i = 0; i < 1000; i++)
                    CHECK_INT(sl_actor_send(&actor, "add", SL_ARGS(sl_i64(i))), 0);
                CHECK_INT(ask(&actor, "sum"), 499505);
                CHECK_INT(ask(&actor, "where"), node);
                CHECK_INT(sl_actor_stop(&actor), 0);
                sl_future *late = sl_actor_ask(&actor, "sum", SL_NO_ARGS);
                CHECK_INT(sl_wait(late, 30), SL_ERROR_DEAD);
                sl_release(late);
            }
        CHECK_INT(sl_shutdown(), 0);
    }
}

TEST(an_error_is_the_answer_and_the_actor_goes_on) {
    join(2);
    sl_actor_ref actor, refused;
    CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, NULL, &actor), 0);
    sl_future *bad = sl_actor_ask(&actor, "dance", SL_NO_ARGS);
    CHECK_INT(sl_wait(bad, 30), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "a counter cannot dance");
    sl_release(bad);
    bad = sl_actor_ask(&actor, "add", SL_NO_ARGS);
    CHECK_INT(sl_wait(bad, 30), SL_ERROR_INVALID);
    CHECK_CONTAINS(sl_error_text(), "argument 0 of actor tally is missing");
    sl_release(bad);
    CHECK_INT(ask(&actor, "sum"), 0);
    CHECK_INT(sl_actor_spawn(&tally, SL_ARGS(sl_i64(-1)), NULL, &refused), 0);
    bad = sl_actor_ask(&refused, "sum", SL_NO_ARGS);
    CHECK(sl_wait(bad, 30) != 0);
    CHECK_CONTAINS(sl_error_text(), "a counter starts from 0 or more");
    sl_release(bad);
    CHECK_INT(sl_shutdown(), 0);
}

/* What is behind an error in the row is for the next life, and nothing of it is lost. */
TEST(a_failing_actor_is_started_again) {
    static const sl_actor_kind *const kinds[] = {&tally, &brief_tally};
    join(3);
    for (uint32_t i = 0; i < 6; i++) {
        sl_actor_ref actor;
        sl_spawn_options options = {
            .on_node = 1, .node = i % 3, .restart_on_error = 1, .name = i ? NULL : "again"};
        CHECK_INT(sl_actor_spawn(kinds[i / 3], SL_ARGS(sl_i64(100)), &options, &actor), 0);
        for (int life = 0; life < 3; life++) {
            for (int j = 0; j < 5; j++)
                CHECK_INT(sl_actor_send(&actor, "add", SL_ARGS(sl_i64(1))), 0);
            sl_release(sl_actor_migrate(&actor, (i + (uint32_t)life) % 3));
            CHECK_INT(sl_actor_send(&actor, "add", SL_ARGS(sl_i64(1))), 0);
            sl_future *before = sl_actor_ask(&actor, "sum", SL_NO_ARGS);
            sl_future *fails = sl_actor_ask(&actor, "dance", SL_NO_ARGS);
            sl_future *after = sl_actor_ask(&actor, "add", SL_ARGS(sl_i64(life)));
            CHECK_INT(sl_wait(before, 30), 0);
            CHECK_INT(sl_result_i64(before), 106 + (life ? life - 1 : 0));
            CHECK_INT(sl_wait(fails, 30), SL_ERROR_FAILED);
            CHECK_INT(sl_wait(after, 30), 0);
            CHECK_INT(sl_result_i64(after), 100 + life);
            sl_release(before), sl_release(fails), sl_release(after);
        }
        sl_release(sl_actor_ask(&actor, "dance", SL_NO_ARGS)); /* one too many */
        CHECK_INT(wait_and_release(sl_actor_ask(&actor, "sum", SL_NO_ARGS)), SL_ERROR_DEAD);
    }
    CHECK_INT(wait_and_release(sl_actor_look_up("again")), SL_ERROR_NOT_FOUND);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(names_are_found_and_free_again) {
    join(3);
    for (int round = 0; round < 3; round++) {
        sl_actor_ref actor, second, found;
        sl_spawn_options named = {.name = "the counter"};
        CHECK_INT(sl_actor_spawn(&tally, SL_ARGS(sl_i64(round)), &named, &actor), 0);
        CHECK_INT(ask(&actor, "sum"), round);
        sl_future *future = sl_actor_look_up("the counter");
        CHECK_INT(sl_wait(future, 30), 0);
        REQUIRE(sl_result_actor(future, &found) == 0);
        sl_release(future);
        CHECK_INT(ask(&found, "sum"), round);
        CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, &named, &second), 0);
        CHECK_INT(wait_and_release(sl_actor_ask(&second, "sum", SL_NO_ARGS)), SL_ERROR_DEAD);
        CHECK_INT(sl_actor_stop(&actor), 0);
        CHECK_INT(wait_and_release(sl_actor_ask(&actor, "sum", SL_NO_ARGS)), SL_ERROR_DEAD);
        int error = 0;
        for (int tries = 0; tries < 1000 && error == 0; tries++) {
            error = wait_and_release(sl_actor_look_up("the counter"));
            usleep(1000);
        }
        CHECK_INT(error, SL_ERROR_NOT_FOUND);
    }
    CHECK_INT(sl_shutdown(), 0);
}

TEST(an_actor_asks_another) {
    join(3);
    sl_actor_ref target, asking;
    CHECK_INT(sl_actor_spawn(&tally, SL_ARGS(sl_i64(41)), NULL, &target), 0);
    CHECK_INT(sl_actor_spawn(&asker, SL_NO_ARGS, NULL, &asking), 0);
    for (int i = 0; i < 50; i++) {
        sl_future *future = sl_actor_ask(&asking, "", SL_ARGS(sl_actor_value(&target)));
        CHECK_INT(sl_wait(future, 30), 0);
        CHECK_INT(sl_result_i64(future), 42);
        sl_release(future);
    }
    CHECK_INT(sl_shutdown(), 0);
}

TEST(states_move_small_and_large) {
    static const int64_t sizes[] = {0, 1, 1000, 100000, 5000000};
    join(3);
    for (int i = 0; i < 5; i++) {
        sl_actor_ref actor;
        CHECK_INT(sl_actor_spawn(&heaped, SL_ARGS(sl_i64(sizes[i])), NULL, &actor), 0);
        for (uint32_t hop = 0; hop < 7; hop++) {
            CHECK_INT(wait_and_release(sl_actor_migrate(&actor, hop % 3)), 0);
            CHECK_INT(ask(&actor, "check"), sizes[i]);
        }
        sl_future *future = sl_actor_ask(&actor, "bytes", SL_NO_ARGS);
        size_t bytes;
        CHECK_INT(sl_wait(future, 30), 0);
        (void)sl_result_bytes(future, &bytes);
        CHECK_INT(bytes, sizes[i]);
        sl_release(future);
    }
    CHECK(sl_actor_migrate(&(sl_actor_ref){.life = 1}, 3) == NULL);
    CHECK_INT(sl_shutdown(), 0);
}

/* Rows of numbers while the actors move about, by order and by themselves, and, if they are saved
 * after each message, fail now and then. */
static void move_under_traffic(const sl_actor_kind *kind, uint32_t nodes, int moves,
                               const sl_spawn_options *options) {
    enum { ACTORS = 4 };
    sl_actor_ref actors[ACTORS];
    int64_t next[ACTORS] = {0};
    join(nodes);
    for (int i = 0; i < ACTORS; i++)
        CHECK_INT(sl_actor_spawn(kind, SL_NO_ARGS, options, &actors[i]), 0);
    srandom(7);
    for (int move = 0; move < moves; move++) {
        int which = (int)(random() % ACTORS);
        uint32_t to = (uint32_t)random() % nodes;
        for (int64_t burst = random() % 8; burst > 0; burst--) {
            sl_value row = sl_i64(next[which]++);
            CHECK_INT(sl_actor_send(&actors[which], "row", SL_ARGS(row)), 0);
        }
        if (options && random() % 4 == 0)
            CHECK_INT(sl_actor_send(&actors[which], "cannot", SL_NO_ARGS), 0);
        if (random() % 2)
            sl_release(sl_actor_migrate(&actors[which], to));
        else
            CHECK_INT(sl_actor_send(&actors[which], "go", SL_ARGS(sl_i64(to))), 0);
    }
    for (int i = 0; i < ACTORS; i++) {
        CHECK_INT(ask(&actors[i], "wrong"), 0);
        CHECK_INT(ask(&actors[i], "next"), next[i]);
    }
    CHECK_INT(sl_shutdown(), 0);
}

TEST(order_is_kept_while_actors_move) {
    move_under_traffic(&tally, 3, 5000, NULL);
    move_under_traffic(&brief_tally, 4, 100000, NULL);
}

/* Each message is in the state once, whatever lives come between. */
TEST(nothing_is_lost_where_each_message_is_saved) {
    sl_spawn_options saved = {
        .restart_on_error = 1, .restarts_most = UINT32_MAX, .restarts_s = 3600, .save_every = 1};
    move_under_traffic(&tally, 3, 3000, &saved);
    move_under_traffic(&brief_tally, 4, 10000, &saved);
}

TEST(leaving_ends_what_is_asked) {
    sl_future *futures[100];
    sl_actor_ref actor;
    join(2);
    CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, NULL, &actor), 0);
    for (int i = 0; i < 100; i++)
        futures[i] = sl_actor_ask(&actor, "sum", SL_NO_ARGS);
    CHECK_INT(sl_shutdown(), 0);
    for (int i = 0; i < 100; i++) {
        int error = sl_wait(futures[i], 30);
        CHECK(error == 0 || error == SL_ERROR_CLOSED || error == SL_ERROR_DEAD);
        sl_release(futures[i]);
    }
    CHECK(sl_actor_send(&actor, "add", SL_ARGS(sl_i64(1))) == SL_ERROR_CLOSED);
}

static const char *end_of(sl_future *future) {
    if (sl_wait(future, 30) != 0)
        return sl_error_text();
    return sl_result_string(future);
}

TEST(who_watches_an_actor_is_told_of_its_end) {
    sl_actor_ref actor, negative, taken, ended;
    sl_spawn_options named = {.name = "the only one"}, again = {.restart_on_error = 1};
    join(3);
    for (uint32_t node = 0; node < 3; node++) {
        sl_spawn_options there = {.on_node = 1, .node = node};
        CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, &there, &actor), 0);
        sl_future *end = sl_actor_monitor(&actor), *second = sl_actor_monitor(&actor);
        CHECK_INT(sl_wait(end, 0.02), SL_ERROR_TIMEOUT);
        sl_release(sl_actor_migrate(&actor, (node + 1) % 3));
        sl_actor_stop(&actor);
        CHECK_STR(end_of(end), "the actor has ended");
        CHECK_STR(end_of(second), "the actor has ended");
        sl_release(end), sl_release(second);
    }
    CHECK_INT(sl_actor_spawn(&tally, SL_ARGS(sl_i64(-1)), NULL, &negative), 0);
    CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, &named, &actor), 0);
    CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, &named, &taken), 0);
    CHECK_INT(sl_actor_spawn(&tally, SL_NO_ARGS, &again, &ended), 0);
    sl_future *ends[] = {sl_actor_monitor(&negative), sl_actor_monitor(&taken),
                         sl_actor_monitor(&ended), sl_actor_monitor(&actor)};
    for (int i = 0; i < 5; i++)
        sl_actor_send(&ended, "cannot", SL_NO_ARGS);
    end_of(ends[0]); /* before the watch came, or after it */
    CHECK(strstr(sl_result_string(ends[0]), "starts from 0") ||
          strstr(sl_result_string(ends[0]), "no such actor"));
    CHECK(strstr(end_of(ends[1]), "name is taken") || strstr(end_of(ends[1]), "no such actor"));
    CHECK_STR(end_of(ends[2]), "its body failed too often");
    sl_future *late = sl_actor_monitor(&ended);
    CHECK_STR(end_of(late), "there is no such actor (any more)");
    CHECK(sl_actor_monitor(&(sl_actor_ref){.home = 77}) == NULL);
    CHECK_INT(sl_shutdown(), 0);
    CHECK(sl_wait(ends[3], 30) != 0); /* it lives as long as the network */
    sl_release(late);
    for (int i = 0; i < 4; i++)
        sl_release(ends[i]);
}

static int saver(sl_call *call, counter *c) {
    if (sl_call_is(call, "fail"))
        return sl_call_fail(call, "on purpose");
    if (sl_call_is(call, "save"))
        sl_call_save(call);
    if (sl_call_is(call, "save and go")) {
        sl_call_save(call);
        sl_call_migrate(call, (sl_call_node(call) + 1) % 3);
    }
    c->sum += sl_call_is(call, "add");
    return sl_return_i64(call, c->sum);
}

SL_ACTOR(saving, .state_bytes = sizeof(counter), .start = counter_start) {
    return saver(call, state);
}

SL_ACTOR(saving_briefly, .state_bytes = sizeof(counter), .start = counter_start, .brief = 1) {
    return saver(call, state);
}

static void check_saved(const sl_actor_kind *kind, uint32_t node) {
    sl_actor_ref actor;
    sl_spawn_options options = {
        .on_node = 1, .node = node, .restart_on_error = 1, .restarts_most = 1000};
    CHECK_INT(sl_actor_spawn(kind, SL_ARGS(sl_i64(100)), &options, &actor), 0);
    for (int i = 0; i < 10; i++)
        sl_actor_send(&actor, "add", SL_NO_ARGS);
    CHECK_INT(ask(&actor, "fail"), -1);
    CHECK_INT(ask(&actor, "get"), 100); /* nothing was saved yet */
    sl_actor_send(&actor, "add", SL_NO_ARGS);
    CHECK_INT(ask(&actor, "save"), 101);
    for (int i = 0; i < 10; i++)
        sl_actor_send(&actor, "add", SL_NO_ARGS);
    sl_actor_send(&actor, "fail", SL_NO_ARGS);
    for (int i = 0; i < 5; i++) /* those behind are for the next life */
        sl_actor_send(&actor, "add", SL_NO_ARGS);
    CHECK_INT(ask(&actor, "get"), 106);
    CHECK_INT(ask(&actor, "save and go"), 106);
    sl_actor_send(&actor, "add", SL_NO_ARGS);
    CHECK_INT(ask(&actor, "fail"), -1);
    CHECK_INT(ask(&actor, "get"), 106);
    sl_actor_stop(&actor);
    options.save_every = 7;
    CHECK_INT(sl_actor_spawn(kind, SL_ARGS(sl_i64(0)), &options, &actor), 0);
    for (int i = 0; i < 100; i++)
        sl_actor_send(&actor, "add", SL_NO_ARGS);
    sl_actor_send(&actor, "fail", SL_NO_ARGS);
    CHECK_INT(ask(&actor, "get"), 98);
    sl_actor_stop(&actor);
}

TEST(actors_start_again_from_what_was_saved) {
    sl_actor_ref actor;
    join(3);
    for (uint32_t node = 0; node < 3; node++) {
        check_saved(&saving, node);
        check_saved(&saving_briefly, node);
    }
    sl_spawn_options senseless = {.save_every = 3};
    CHECK_INT(sl_actor_spawn(&saving, SL_NO_ARGS, &senseless, &actor), SL_ERROR_INVALID);
    CHECK_CONTAINS(sl_error_text(), "restart_on_error");
    CHECK_INT(sl_shutdown(), 0);
}

typedef struct reader {
    int64_t first;
    sl_object *kept;
} reader;

static int64_t first_of(sl_object *object) {
    sl_view view;
    int64_t first = -1;
    if (sl_get(object, 30, &view) == 0)
        first = *(const int64_t *)view.value.data;
    sl_view_release(&view);
    return first;
}

static int reader_start(sl_call *call, void *state) {
    reader *r = state;
    r->first = first_of(sl_arg_object(call, 0));
    return 0;
}

static void reader_stop(void *state) {
    sl_object_release(((reader *)state)->kept);
}

SL_ACTOR(readers, .state_bytes = sizeof(reader), .start = reader_start, .stop = reader_stop) {
    reader *r = state;
    if (sl_call_is(call, "first"))
        return sl_return_i64(call, r->first);
    if (sl_call_is(call, "give"))
        return sl_return_object(call, r->kept ? r->kept : sl_arg_object(call, 0));
    if (sl_call_is(call, "keep") && !(r->kept = sl_object_retain(sl_arg_object(call, 0))))
        return sl_call_fail(call, "keep: %s", sl_error_text());
    return sl_return_i64(call, first_of(r->kept ? r->kept : sl_arg_object(call, 0)));
}

static sl_object *numbers(int64_t first) {
    int64_t all[5000] = {first};
    return sl_put(sl_vector(SL_I64, all, 5000));
}

TEST(objects_among_the_arguments_of_messages) {
    sl_actor_ref actors[3];
    sl_future *futures[3 * 20];
    join(3);
    for (uint32_t node = 0; node < 3; node++) {
        sl_spawn_options there = {.on_node = 1, .node = node};
        sl_object *first = numbers(node), *kept = numbers(100 + node);
        CHECK_INT(sl_actor_spawn(&readers, SL_ARGS(sl_object_value(first)), &there, &actors[node]),
                  0);
        sl_object_release(first); /* the actor has it until it ends */
        CHECK_INT(ask(&actors[node], "first"), node);
        sl_object *objects[20];
        for (int i = 0; i < 20; i++) {
            objects[i] = numbers(i);
            futures[i] = sl_actor_ask(&actors[node], "read",
                                      SL_ARGS(sl_i64(0), sl_object_value(objects[i])));
            sl_release(futures[i]);
            futures[i] = sl_actor_ask(&actors[node], "read", SL_ARGS(sl_object_value(objects[i])));
            sl_object_release(objects[i]); /* the message has it */
        }
        for (int i = 0; i < 20; i++) {
            CHECK_INT(sl_wait(futures[i], 30), 0);
            CHECK_INT(sl_result_i64(futures[i]), i);
            sl_release(futures[i]);
        }
        sl_future *keep = sl_actor_ask(&actors[node], "keep", SL_ARGS(sl_object_value(kept)));
        sl_object_release(kept);
        CHECK_INT(sl_wait(keep, 30), 0);
        sl_release(keep);
        CHECK_INT(ask(&actors[node], "read"), 100 + node);
        sl_future *given = sl_actor_ask(&actors[node], "give", SL_NO_ARGS);
        CHECK_INT(sl_wait(given, 30), 0);
        sl_object *object = sl_object_retain(sl_result_object(given));
        sl_release(given);
        CHECK_INT(first_of(object), 100 + node);
        for (int i = 0; i < 20; i++) { /* answers that nobody waits for */
            given = sl_actor_ask(&actors[node], "give", SL_NO_ARGS);
            sl_cancel(given);
            sl_release(given);
        }
        CHECK(sl_actor_send(&actors[node], "give", SL_NO_ARGS) == 0);
        sl_future *end = sl_actor_monitor(&actors[node]);
        sl_actor_stop(&actors[node]);
        CHECK_STR(end_of(end), "the actor has ended");
        sl_release(end);
        CHECK_INT(first_of(object), 100 + node); /* not with the actor */
        sl_object_release(object);
    }
    uint64_t left = 1;
    for (int i = 0; i < 5000 && left; i++) {
        left = 0;
        for (uint32_t node = 0; node < 3; node++) {
            sl_store_load load = sl_store_loads(sl_session_store(node));
            left += load.owned + load.holds + load.leases + load.pinned;
        }
        usleep(1000);
    }
    CHECK_INT(left, 0);
    CHECK_INT(sl_shutdown(), 0);
}
