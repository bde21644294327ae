/* A program one of whose ranks dies: actors that were there go on elsewhere from the state that was
 * saved, who watched one that was not to be started again is told, and actors live on the spare
 * that has taken the rank's place. Started by tests/cli/api_lost_test.sh on three ranks and a
 * spare. */
#include <signal.h>
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct counter {
    int64_t sum;
} counter;

SL_ACTOR(counting, .state_bytes = sizeof(counter)) {
    counter *c = state;
    if (sl_call_is(call, "die"))
        kill(getpid(), SIGKILL);
    if (sl_call_is(call, "where"))
        return sl_return_i64(call, sl_call_node(call));
    if (sl_call_is(call, "save"))
        sl_call_save(call);
    c->sum += sl_call_is(call, "add");
    return sl_return_i64(call, c->sum);
}

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, sl_error_text());
    _exit(1);
}

static sl_actor_ref spawn(int again, uint32_t save_every) {
    sl_actor_ref actor;
    sl_spawn_options options = {
        .on_node = 1, .node = 1, .restart_on_loss = again, .save_every = save_every};
    if (sl_actor_spawn(&counting, SL_NO_ARGS, &options, &actor) != 0)
        die("spawn");
    return actor;
}

static int64_t ask(const sl_actor_ref *actor, const char *method) {
    sl_future *future = sl_actor_ask(actor, method, SL_NO_ARGS);
    int64_t answer = sl_wait(future, 60) == 0 ? sl_result_i64(future) : -1;
    sl_release(future);
    return answer;
}

/* Once it has taken the place of the rank that is dead. */
static int lives_on_the_spare(void) {
    uint32_t spare = sl_size() - 1;
    sl_spawn_options options = {.on_node = 1, .node = spare};
    sl_actor_ref actor;
    for (int i = 0; i < 6000; i++) {
        if (sl_actor_spawn(&counting, SL_NO_ARGS, &options, &actor) == 0)
            return ask(&actor, "where") == spare;
        usleep(10000);
    }
    return 0;
}

int main(int argc, char **argv) {
    sl_actor_ref refused;
    if (sl_init(&argc, &argv, NULL) != 0)
        die("sl_init");
    sl_spawn_options early = {.on_node = 1, .node = sl_size() - 1};
    int idle = sl_actor_spawn(&counting, SL_NO_ARGS, &early, &refused) != 0;
    sl_actor_ref each = spawn(1, 1), some = spawn(1, 0), never = spawn(1, 0), watched = spawn(0, 0);
    sl_future *end = sl_actor_monitor(&watched);
    int64_t sums[4] = {0};
    for (int i = 0; i < 10; i++) {
        sums[0] = ask(&each, "add");
        ask(&never, "add");
        if (i == 5)
            ask(&some, "save");
        ask(&some, "add");
    }
    sl_future *dies = sl_actor_ask(&watched, "die", SL_NO_ARGS);
    if (sl_wait(dies, 60) == 0)
        die("it lives");
    sl_release(dies);
    if (sl_wait(end, 60) != 0)
        die("the watch");
    printf("its end: %s\n", sl_result_string(end));
    sl_release(end);
    sums[1] = ask(&each, "get");
    sums[2] = ask(&some, "get");
    sums[3] = ask(&never, "get");
    printf("answered %lld, saved %lld %lld %lld\n", (long long)sums[0], (long long)sums[1],
           (long long)sums[2], (long long)sums[3]);
    printf("spare %s, then %s\n", idle ? "refused" : "taken",
           lives_on_the_spare() ? "taken" : "refused");
    printf("shutdown %s\n", sl_error_name(sl_shutdown()));
    fflush(stdout);
    sl_launch_exits(0);
    _exit(0);
}
