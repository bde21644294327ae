/* A program whose actors' rank dies: what was asked of them ends with an error, their names are
 * free again, and the others go on. Started by tests/cli/api_lost_test.sh on three ranks or more.
 */
#include <signal.h>
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct mortal {
    int64_t sum;
} mortal;

SL_ACTOR(mortals, .state_bytes = sizeof(mortal)) {
    mortal *m = state;
    if (sl_call_is(call, "die"))
        kill(getpid(), SIGKILL);
    m->sum += sl_call_is(call, "add");
    return sl_return_i64(call, m->sum);
}

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, sl_error_text());
    _exit(1);
}

static int end_of(sl_future *future) {
    int error = sl_wait(future, 60);
    sl_release(future);
    return error;
}

static sl_actor_ref spawn(uint32_t node, const char *name, int again) {
    sl_actor_ref actor;
    sl_spawn_options options = {.on_node = 1, .node = node, .name = name, .restart_on_loss = again};
    if (sl_actor_spawn(&mortals, SL_NO_ARGS, &options, &actor) != 0 ||
        end_of(sl_actor_ask(&actor, "", SL_NO_ARGS)) != 0)
        die("spawn");
    return actor;
}

int main(int argc, char **argv) {
    if (sl_init(&argc, &argv, NULL) != 0)
        die("sl_init");
    sl_actor_ref lives = spawn(2, "lives", 0), dies = spawn(1, "dies", 0),
                 moved = spawn(2, "moved", 0), again = spawn(1, "again", 1);
    sl_actor_send(&again, "add", SL_NO_ARGS);
    if (end_of(sl_actor_migrate(&moved, 1)) != 0)
        die("migrate");
    sl_future *asked = sl_actor_ask(&dies, "die", SL_NO_ARGS);
    sl_future *after = sl_actor_ask(&dies, "add", SL_NO_ARGS);
    int ends[] = {end_of(asked), end_of(after), end_of(sl_actor_ask(&moved, "add", SL_NO_ARGS)),
                  end_of(sl_actor_ask(&dies, "add", SL_NO_ARGS)),
                  end_of(sl_actor_look_up("moved"))};
    for (int i = 0; i < 100; i++)
        if (sl_actor_send(&lives, "add", SL_NO_ARGS) != 0 ||
            (i % 10 == 0 && end_of(sl_actor_migrate(&lives, i % 20 ? 2 : 0)) != 0))
            die("the one that lives");
    sl_future *sum = sl_actor_ask(&lives, "", SL_NO_ARGS);
    if (sl_wait(sum, 60) != 0)
        die("the one that lives");
    printf("asked %s %s %s %s, name %s, sum %lld\n", sl_error_name(ends[0]), sl_error_name(ends[1]),
           sl_error_name(ends[2]), sl_error_name(ends[3]), sl_error_name(ends[4]),
           (long long)sl_result_i64(sum));
    spawn(0, "dies", 0); /* its name is free again */
    sl_actor_send(&again, "add", SL_NO_ARGS);
    sl_future *anew = sl_actor_ask(&again, "", SL_NO_ARGS), *found = sl_actor_look_up("again");
    if (sl_wait(anew, 60) != 0 || sl_wait(found, 60) != 0)
        die("the one that is started again");
    printf("anew %lld\n", (long long)sl_result_i64(anew));
    printf("shutdown %s\n", sl_error_name(sl_shutdown()));
    fflush(stdout);
    sl_launch_exits(0);
    _exit(0);
}
