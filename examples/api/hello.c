/* Ten lines that matter: a task, submitted, waited for.
 *
 *     cc hello.c -o hello $(pkg-config --cflags --libs starlane)
 *     ./hello                        # in this process
 *     mpirun -n 4 ./hello            # on the ranks of a job */
#include <starlane.h>
#include <stdio.h>

SL_TASK(square) {
    double x = sl_arg_f64(call, 0);
    return sl_return_f64(call, x * x);
}

int main(int argc, char **argv) {
    if (sl_init(&argc, &argv, NULL) != 0)
        return fprintf(stderr, "hello: %s\n", sl_error_text()), 1;
    sl_future *future = sl_submit(&square, SL_ARGS(sl_f64(12)));
    int error = sl_wait(future, SL_FOREVER);
    if (error == 0)
        printf("12 * 12 = %g, says one of %u nodes\n", sl_result_f64(future), sl_size());
    else
        fprintf(stderr, "hello: %s\n", sl_error_text());
    sl_release(future);
    return sl_shutdown() != 0 || error != 0;
}
