/* A client outside the network's job: submits over TLS, to a gateway.
 *
 *     starlane key create --project demo     # the key, for STARLANE_API_KEY
 *     starlane up                            # prints URL
 *     ./remote URL demo hello world */
#include <starlane.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 64 };

int main(int argc, char **argv) {
    sl_remote *remote;
    sl_future *futures[MOST];
    int failed = 0, count = argc - 3 < MOST ? argc - 3 : MOST;
    if (argc < 4)
        return fprintf(stderr, "usage: remote URL PROJECT TEXT...\n"), 2;
    if (sl_connect(argv[1], NULL, argv[2], NULL, &remote) != 0)
        return fprintf(stderr, "remote: %s\n", sl_error_text()), 1;
    for (int i = 0; i < count; i++) /* all are under way at once */
        futures[i] =
            sl_remote_call(remote, "starlane.crc32", argv[3 + i], strlen(argv[3 + i]), NULL);
    for (int i = 0; i < count; i++) {
        size_t bytes = 0;
        if (sl_wait(futures[i], SL_FOREVER) == 0) {
            const char *text = sl_result_bytes(futures[i], &bytes);
            printf("%s %.*s\n", argv[3 + i], (int)bytes, text);
        } else {
            fprintf(stderr, "remote: %s: %s\n", argv[3 + i], sl_error_text());
            failed = 1;
        }
        sl_release(futures[i]);
    }
    sl_disconnect(remote);
    return failed;
}
