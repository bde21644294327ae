/* Commands of a client from outside, as tests submit and look at them. */
#ifndef SL_TESTS_OUTSIDE_COMMANDS_H
#define SL_TESTS_OUTSIDE_COMMANDS_H

#include "tests/lib/outside.h"
#include "tests/lib/test.h"

static inline sl_future *shell(sl_remote *remote, const char *text, int detached) {
    sl_command command = {.shell = text, .detached = detached};
    sl_future *future = sl_remote_command(remote, &command, NULL);
    CHECK(future != NULL);
    return future;
}

static inline sl_command_state state_of(sl_future *future) {
    sl_command_state state = {};
    CHECK_INT(sl_result_command(future, &state), 0);
    return state;
}

/* All that it has written, as a string; until the next call. */
static inline char *read_all(sl_remote *remote, uint64_t id, int errors, size_t *bytes) {
    static char text[3 << 20];
    size_t at = 0, some;
    int ended;
    do {
        some = sizeof text - 1 - at;
        if (sl_remote_output(remote, id, errors, at, text + at, &some, &ended) != 0) {
            sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
            break;
        }
        at += some;
    } while (some);
    text[at] = '\0';
    *bytes = at;
    return text;
}

#endif
