#include "sdk/task_functions.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/task_call.h"
#include "starlane.h"

/* A user's function with its context; lives as long as the table. */
typedef struct user_function {
    sl_function *function;
    void *context;
} user_function;

struct sl_reply {
    sl_task_output *output;
};

static sl_functions *table;

static sl_err call_user(const void *args, size_t args_bytes, sl_task_output *output, void *user) {
    const user_function *of = user;
    sl_reply reply = {output};
    int result = of->function(args, args_bytes, &reply, of->context);
    if (result == 0)
        return SL_OK;
    return result > 0 && result < SL_ERR_COUNT
               ? (sl_err)result
               : sl_fail(SL_ERR_FAILED, "the function returned %d", result);
}

sl_err sl_task_functions_get(sl_functions **functions) {
    if (!table) {
        sl_functions *made = NULL;
        SL_TRY(sl_functions_create(&made));
        sl_err err = sl_task_functions_own(made);
        if (err != SL_OK) {
            sl_functions_destroy(made);
            return err;
        }
        table = made;
    }
    *functions = table;
    return SL_OK;
}

sl_err sl_task_functions_freeze(const sl_functions **functions) {
    sl_functions *all = NULL;
    SL_TRY(sl_task_functions_get(&all));
    SL_TRY(sl_task_calls_register(all));
    sl_functions_freeze(all);
    *functions = all;
    return SL_OK;
}

int sl_register_function(const char *name, sl_function *function, void *context) {
    sl_functions *all = NULL;
    if (!function || strncmp(name, "starlane.", 9) == 0)
        return sl_fail(SL_ERR_INVALID, "%.80s: give a function, and a name not of starlane.*",
                       name);
    SL_TRY(sl_task_functions_get(&all));
    user_function *user = malloc(sizeof *user);
    if (!user)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the function %.80s", name);
    *user = (user_function){function, context};
    sl_err err = sl_functions_register(all, name, call_user, user);
    if (err != SL_OK)
        free(user);
    return err;
}

int sl_reply_write(sl_reply *reply, const void *bytes, size_t size) {
    return sl_task_output_write(reply->output, bytes, size);
}

int sl_reply_fail(sl_reply *reply, const char *reason) {
    (void)reply;
    return sl_fail(SL_ERR_FAILED, "%s", reason);
}
