/* A call from inside: task_call.c (its way, arguments, results) and task_module.c (the way to a
 * module's code). */
#ifndef SL_SDK_TASK_CALL_INTERNAL_H
#define SL_SDK_TASK_CALL_INTERNAL_H

#include "actors/store/store.h"
#include "sdk/module_load.h"
#include "sdk/task_call.h"
#include "sdk/task_text.h"

enum { MESSAGE_BYTES = 1024 };

struct sl_call {
    const sl_task *task;
    sl_actor_turn *turn; /* of an actor, else NULL */
    const sl_task_facts *facts;
    sl_task_output *output;
    sl_value *values;
    size_t count;
    sl_loaded_module *module;              /* whose task it is; NULL: the program's */
    const void *module_name;               /* of its file's object */
    sl_object *module_object;              /* that, borrowed, once it is opened; or NULL */
    const struct sl_module_sealed *sealed; /* what is called, of a sealed one; NULL: it is not */
    sl_module *own_module;                 /* of it, once the body has submitted one of its tasks */
    sl_text_args *text;      /* what its arguments were read from; NULL: they came as values */
    sl_store_object *result; /* of the last sl_return_…(): what is named in the output … */
    bool kept;               /* … as where the data are, and to be sealed */
    sl_err failed;           /* the first error of the library's in this call */
    char message[MESSAGE_BYTES];
};

/* The call whose body this thread runs, or NULL. */
sl_call *sl_call_here(void);

/* A handle, borrowed, for an object of this name. */
sl_err sl_call_open_object(const sl_call *call, const void *name, sl_object **object) SL_CHECKED;

/* Fetches arguments that were kept where they were made. */
sl_err sl_call_fetch_all(sl_call *call) SL_CHECKED;

/* The body, and what came of it. */
sl_err sl_call_run_body(sl_call *call) SL_CHECKED;

/* Who gets the result holds the object before this call lets go of it. Returns `err`, or why that
 * did not go. */
sl_err sl_call_hand_over(sl_call *call, sl_err err) SL_CHECKED;

/* task_module.c: a call of a module, whose values are decoded: all of it. */
sl_err sl_call_run_module(sl_call *call) SL_CHECKED;

#endif
