/* A module that takes its time to be loaded. */
#include <starlane.h>
#include <unistd.h>

static int constructed;

__attribute__((constructor)) static void begin(void) {
    usleep(300000);
    constructed++;
}

SL_TASK(constructions) {
    return sl_return_i64(call, constructed);
}
