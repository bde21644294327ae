/* A program of which one rank dies with results of tasks that stayed there: those of tasks with
 * retries are made anew, for who reads them and for tasks that take them; of the others the error
 * says what happened. Started by tests/cli/api_lost_test.sh, whose ranks from 1 on are region `b`.
 */
#include <signal.h>
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 100000, TASKS = 12 };

static int make(sl_call *call) {
    double *numbers = sl_return_array(call, SL_F64, 1, (size_t[]){COUNT});
    if (!numbers)
        return 1;
    for (size_t i = 0; i < COUNT; i++)
        numbers[i] = sl_arg_f64(call, 0);
    return 0;
}

SL_TASK(make_surely, .region = "b", .retries = 2) {
    return make(call);
}

SL_TASK(make_once, .region = "b") {
    return make(call);
}

/* Its argument may be lost with its own result: both are made anew. */
SL_TASK(twice, .region = "b", .retries = 2) {
    size_t count;
    const double *from = sl_arg_array(call, 0, SL_F64, &count);
    double *numbers = sl_return_array(call, SL_F64, 1, (size_t[]){count});
    for (size_t i = 0; numbers && i < count; i++)
        numbers[i] = 2 * from[i];
    return numbers == NULL;
}

SL_TASK(sum) {
    size_t count;
    double total = 0;
    const double *numbers = sl_arg_array(call, 0, SL_F64, &count);
    for (size_t i = 0; i < count; i++)
        total += numbers[i];
    return sl_return_f64(call, total);
}

SL_TASK(die, .region = "b") {
    if (sl_call_attempt(call) == 1 && sl_call_node(call) == (uint32_t)sl_arg_i64(call, 0))
        kill(getpid(), SIGKILL);
    usleep(1000);
    return sl_return_i64(call, sl_call_attempt(call));
}

/* Which rank runs a task is the scheduler's business. */
static void kill_rank(uint32_t rank) {
    for (int i = 0; i < 2000; i++) {
        sl_future *one = sl_submit(&die, SL_ARGS(sl_i64(rank)));
        sl_future *two = sl_submit(&die, SL_ARGS(sl_i64(rank)));
        int again = sl_wait(one, 30) != 0 || sl_result_i64(one) > 1;
        again |= sl_wait(two, 30) != 0 || sl_result_i64(two) > 1;
        sl_release(one), sl_release(two);
        if (again)
            return;
    }
}

static int is_all(sl_future *future, double number) {
    size_t count = 0;
    const double *numbers = sl_result_array(future, SL_F64, &count);
    for (size_t i = 0; numbers && i < COUNT; i++)
        if (count != COUNT || numbers[i] != number)
            return 0;
    return numbers != NULL;
}

int main(int argc, char **argv) {
    sl_future *made[TASKS], *doubled[TASKS], *once[TASKS], *sums[TASKS], *none[TASKS];
    int right = 0, added = 0, lost = 0, told = 0;
    if (sl_init(&argc, &argv, NULL) != 0) {
        fprintf(stderr, "%s\n", sl_error_text());
        return 1;
    }
    for (int i = 0; i < TASKS; i++) {
        made[i] = sl_submit(&make_surely, SL_ARGS(sl_f64(i)));
        doubled[i] = sl_submit(&twice, SL_ARGS(sl_wait_for(made[i])));
        once[i] = sl_submit(&make_once, SL_ARGS(sl_f64(i)));
    }
    if (sl_wait_all(doubled, TASKS, 60) != 0 || sl_wait_all(once, TASKS, 60) != 0) {
        fprintf(stderr, "not all succeeded: %s\n", sl_error_text());
        _exit(1);
    }
    kill_rank(1);
    for (int i = 0; i < TASKS; i++) {
        sums[i] = sl_submit(&sum, SL_ARGS(sl_wait_for(doubled[i])));
        none[i] = sl_submit(&sum, SL_ARGS(sl_wait_for(once[i])));
    }
    for (int i = 0; i < TASKS; i++) {
        right += is_all(doubled[i], 2 * i) && is_all(made[i], i);
        added += sl_wait(sums[i], 60) == 0 && sl_result_f64(sums[i]) == 2.0 * i * COUNT;
        if (!is_all(once[i], i)) {
            lost++;
            told += strstr(sl_error_text(), "lost") != NULL;
        }
        told += sl_wait(none[i], 60) != 0 && strstr(sl_error_text(), "lost") != NULL;
    }
    printf("right %d, added %d, lost %s, told %s\n", right, added, lost ? "some" : "none",
           told == 2 * lost ? "all" : "not all");
    for (int i = 0; i < TASKS; i++) {
        sl_release(made[i]), sl_release(doubled[i]), sl_release(once[i]);
        sl_release(sums[i]), sl_release(none[i]);
    }
    int error = sl_shutdown();
    printf("shutdown %s\n", sl_error_name(error));
    fflush(stdout);
    sl_launch_exits(0);
    _exit(0);
}
