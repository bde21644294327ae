/* Tasks of a module, a shared object that the program was built without.
 *
 *     cc module.c -o module $(pkg-config --cflags --libs starlane)
 *     cc -shared -fPIC libmine.c -o libmine.so $(pkg-config --cflags --libs starlane)
 *     mpirun -n 4 ./module ./libmine.so 100000 */
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>

static int count(const sl_module *module, int64_t to) {
    const sl_task *task = sl_module_task(module, "count_primes_in_tenths");
    sl_future *primes = sl_submit(task, SL_ARGS(sl_i64(to)));
    int error = sl_wait(primes, SL_FOREVER);
    if (error == 0)
        printf("%lld primes below %lld\n", (long long)sl_result_i64(primes), (long long)to);
    else
        fprintf(stderr, "module: %s\n", sl_error_text());
    sl_release(primes);
    return error;
}

int main(int argc, char **argv) {
    sl_module *module = NULL;
    if (sl_init(&argc, &argv, NULL) != 0)
        return fprintf(stderr, "module: %s\n", sl_error_text()), 1;
    if (argc < 3)
        return fprintf(stderr, "usage: module MODULE NUMBER\n"), sl_shutdown(), 2;
    int failed = sl_module_load(argv[1], &module);
    if (failed)
        fprintf(stderr, "module: %s\n", sl_error_text());
    for (size_t i = 0; !failed && sl_module_task_at(module, i); i++)
        printf("it has %s\n", sl_module_task_at(module, i)->name);
    if (!failed)
        failed = count(module, strtoll(argv[2], NULL, 10));
    sl_module_release(module);
    return sl_shutdown() != 0 || failed;
}
