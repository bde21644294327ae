/* A task whose argument, name and result nobody between this program and the node that runs it can
 * read. Keys are made beforehand, as docs/security.md says:
 *
 *     ./sealed alice FINGERPRINT --starlane-keys=node --starlane-authority=FINGERPRINT */
#include <starlane.h>
#include <stdio.h>

SL_TASK(greet) {
    char text[200];
    snprintf(text, sizeof text, "hello, %s", sl_arg_string(call, 0));
    return sl_return_string(call, text);
}

int main(int argc, char **argv) {
    sl_keys *keys = NULL;
    if (sl_init(&argc, &argv, NULL) != 0)
        return fprintf(stderr, "sealed: %s\n", sl_error_text()), 1;
    if (argc != 3 || sl_keys_open(argv[1], argv[2], NULL, &keys) != 0)
        fprintf(stderr, "sealed: %s\n", argc == 3 ? sl_error_text() : "it takes KEYS FINGERPRINT");

    const sl_seal seal = {.keys = keys};
    sl_task_options sealed = greet.options;
    sealed.sealed = &seal;
    sl_future *greeting = sl_submit_with(&greet, SL_ARGS(sl_string("whoever you are")), &sealed);
    int failed = sl_wait(greeting, SL_FOREVER);
    if (failed)
        fprintf(stderr, "sealed: %s\n", sl_error_text());
    else
        printf("%s\n", sl_result_string(greeting));
    sl_release(greeting);
    sl_keys_close(keys);
    return sl_shutdown() || failed;
}
