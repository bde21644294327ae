/* An actor that a client outside the network's job has: the network is this program too.
 *
 *     starlane key create --project demo                          # the key, for STARLANE_API_KEY
 *     mpirun -n 3 ./remote_actor serve --starlane-listen :7433    # prints URL; ends with its input
 *     ./remote_actor URL demo */
#include <starlane.h>
#include <stdio.h>
#include <string.h>

struct account {
    int64_t balance;
};

SL_ACTOR(account, .state_bytes = sizeof(struct account)) {
    struct account *a = state;
    if (sl_call_is(call, "pay"))
        a->balance += sl_arg_i64(call, 0);
    else if (!sl_call_is(call, "balance"))
        return sl_call_fail(call, "an account cannot %s", sl_call_method(call));
    return sl_return_i64(call, a->balance);
}

static int serve(int argc, char **argv) {
    if (sl_init(&argc, &argv, NULL) != 0 || !sl_listening_at())
        return fprintf(stderr, "remote_actor: %s\n", sl_error_text()), 1;
    printf("%s\n", sl_listening_at());
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    return sl_shutdown();
}

int main(int argc, char **argv) {
    sl_remote *remote;
    sl_actor_ref mine;
    int64_t balance = -1;
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return serve(argc, argv);
    if (argc != 3)
        return fprintf(stderr, "usage: remote_actor serve | remote_actor URL PROJECT\n"), 2;
    if (sl_connect(argv[1], NULL, argv[2], NULL, &remote) != 0)
        return fprintf(stderr, "remote_actor: %s\n", sl_error_text()), 1;
    if (sl_remote_actor_spawn(remote, "account", SL_NO_ARGS, &(sl_spawn_options){.name = "mine"},
                              &mine) == 0) {
        for (int64_t amount = 1; amount <= 1000; amount++) /* in order, each once */
            sl_remote_actor_send(remote, &mine, "pay", SL_ARGS(sl_i64(amount)));
        sl_release(sl_remote_actor_migrate(remote, &mine, 0)); /* messages follow it */
        sl_future *answer = sl_remote_actor_ask(remote, &mine, "balance", SL_NO_ARGS);
        if (sl_wait(answer, 60) == 0)
            balance = sl_result_i64(answer);
        sl_release(answer);
    }
    if (balance < 0)
        fprintf(stderr, "remote_actor: %s\n", sl_error_text());
    else
        printf("the balance is %lld\n", (long long)balance);
    sl_disconnect(remote); /* and the actor ends */
    return balance != 500500;
}
