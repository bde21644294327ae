/* A stateful actor that migrates: a ledger of sums visits every node while amounts go on being sent
 * to it, and has them all in the end. */
#include <starlane.h>
#include <stdio.h>

struct sums {
    int64_t total;
    int64_t count;
    int64_t visited; /* a bit for each node */
};

SL_ACTOR(sums, .state_bytes = sizeof(struct sums)) {
    struct sums *s = state;
    s->visited |= (int64_t)1 << (sl_call_node(call) % 63);
    if (sl_call_is(call, "add")) {
        s->total += sl_arg_i64(call, 0);
        s->count++;
        return 0;
    }
    if (sl_call_is(call, "total"))
        return sl_return_i64(call, s->total);
    if (sl_call_is(call, "nodes"))
        return sl_return_i64(call, __builtin_popcountll((unsigned long long)s->visited));
    return sl_call_fail(call, "sums cannot %s", sl_call_method(call));
}

static int64_t ask(const sl_actor_ref *actor, const char *method) {
    sl_future *future = sl_actor_ask(actor, method, SL_NO_ARGS);
    int64_t answer = -1;
    if (sl_wait(future, 60) == 0)
        answer = sl_result_i64(future);
    else
        fprintf(stderr, "actor: %s\n", sl_error_text());
    sl_release(future);
    return answer;
}

int main(int argc, char **argv) {
    sl_actor_ref mine, found = {0};
    if (sl_init(&argc, &argv, NULL) != 0 ||
        sl_actor_spawn(&sums, SL_NO_ARGS, &(sl_spawn_options){.name = "sums"}, &mine) != 0) {
        fprintf(stderr, "actor: %s\n", sl_error_text());
        return 1;
    }
    for (uint32_t node = 0; node < sl_size(); node++) {
        sl_release(sl_actor_migrate(&mine, node)); /* messages follow it, in order */
        for (int64_t amount = 1; amount <= 1000; amount++)
            sl_actor_send(&mine, "add", SL_ARGS(sl_i64(amount)));
    }
    int64_t total = ask(&mine, "total"), nodes = ask(&mine, "nodes");
    sl_future *named = sl_actor_look_up("sums"); /* as a program of another rank would */
    if (sl_wait(named, 60) != 0 || sl_result_actor(named, &found) != 0)
        fprintf(stderr, "actor: %s\n", sl_error_text());
    sl_release(named);
    int ok = total == 500500 * (int64_t)sl_size() && ask(&found, "total") == total;
    printf("the total is %s after visits to %lld of %u nodes\n", ok ? "right" : "wrong",
           (long long)nodes, sl_size());
    sl_actor_stop(&mine);
    return sl_shutdown() != 0 || !ok;
}
