/* A module with a task that the test's program exports under the same name. */
#include <starlane.h>

SL_TASK(task_of_the_program) {
    return sl_return_string(call, "clashing");
}
