/* A program of which one rank dies while it runs tasks: they are run again elsewhere. Started by
 * tests/cli/api_lost_test.sh, whose ranks from 1 on are region `b`. */
#include <signal.h>
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TASKS = 200 };

/* The first attempt of one of them takes its rank along. */
SL_TASK(fragile, .region = "b") {
    if (sl_arg_i64(call, 0) == TASKS / 2 && sl_call_attempt(call) == 1)
        kill(getpid(), SIGKILL);
    usleep(1000);
    return sl_return_i64(call, sl_arg_i64(call, 0));
}

int main(int argc, char **argv) {
    sl_future *futures[TASKS];
    int64_t sum = 0;
    if (sl_init(&argc, &argv, NULL) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        return 1;
    }
    for (int i = 0; i < TASKS; i++)
        futures[i] = sl_submit(&fragile, SL_ARGS(sl_i64(i)));
    if (sl_wait_all(futures, TASKS, 60) != 0) {
        fprintf(stderr, "not all succeeded: %s\n", sl_error_text());
        _exit(1);
    }
    for (int i = 0; i < TASKS; i++) {
        sum += sl_result_i64(futures[i]);
        sl_release(futures[i]);
    }
    int error = sl_shutdown();
    printf("sum %lld, shutdown %s\n", (long long)sum, sl_error_name(error));
    fflush(stdout);
    sl_launch_exits(0);
    _exit(0);
}
