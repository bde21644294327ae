/* From a call of the API to a future in the client's inbox: on the thread that submits, which
 * encodes, so that the loop does not have to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/client.h"
#include "sdk/module.h"
#include "sdk/remote.h"
#include "sdk/seal.h"
#include "sdk/task_amounts.h"
#include "sdk/task_call.h"

enum {
    PUSH_MOST = 256 /* futures of a batch pushed at once: the loop sends while more are made */
};

/* ---- checks ---- */

sl_err sl_client_check(const sl_task *task, const sl_task_options *options) {
    if (!task || !task->name || !options)
        return sl_fail(SL_ERR_INVALID, "there is no task to submit");
    if (sl_size() && !sl_task_is_registered(task))
        return sl_fail(SL_ERR_INVALID, "task %.80s was not defined by SL_TASK()", task->name);
    return sl_task_options_check(task->name, options);
}

/* ---- one request ---- */

static void leave_alone(void *context, void *data) {
    (void)context, (void)data;
}

static uint32_t futures_in(const sl_args *args) {
    uint32_t count = 0;
    for (size_t i = 0; i < args->count; i++)
        count += args->values[i].type == SL_TYPE_FUTURE;
    return count;
}

/* A payload is an executor_function as it travels: two lengths, each before its bytes. A task that
 * waits for others has its arguments alone, until they are complete. */
size_t sl_client_payload_bytes(const char *name, size_t arguments) {
    return 2 * sizeof(uint32_t) + strlen(name) + arguments;
}

uint8_t *sl_client_payload_head(uint8_t *out, const char *name, size_t arguments) {
    uint32_t name_bytes = (uint32_t)strlen(name), argument_bytes = (uint32_t)arguments;
    memcpy(out, &name_bytes, sizeof name_bytes);
    memcpy(out + sizeof name_bytes, name, name_bytes);
    out += sizeof name_bytes + name_bytes;
    memcpy(out, &argument_bytes, sizeof argument_bytes);
    return out + sizeof argument_bytes;
}

static size_t align8(size_t bytes) {
    return (bytes + 7) & ~(size_t)7;
}

static sl_err check_needs(const sl_args *args) {
    for (size_t i = 0; i < args->count; i++)
        if (args->values[i].type == SL_TYPE_FUTURE && args->values[i].future->remote)
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: a future of another network; give its result instead", i);
        else if (args->values[i].type == SL_TYPE_FUTURE &&
                 sl_future_is_sealed(args->values[i].future))
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: a future whose result is sealed: wait for it, and give "
                           "its result, sealed again or not",
                           i);
    return SL_OK;
}

static void take_needs(sl_future *future, const sl_args *args) {
    uint32_t next = 0;
    for (size_t i = 0; i < args->count; i++)
        if (args->values[i].type == SL_TYPE_FUTURE)
            future->needs[next++] = sl_retain(args->values[i].future);
    future->need_count = next;
}

/* Options that are not the task's own are copied: a caller's may be gone by then. */
static void take_options(sl_future *future, const sl_task_options *options, uint8_t *at) {
    if (options == &future->task->options) {
        future->options = options;
        return;
    }
    sl_task_options *copy = (sl_task_options *)(void *)at;
    *copy = *options;
    copy->sealed = NULL;
    if (options->region)
        copy->region = strcpy((char *)(at + sizeof *copy), options->region);
    future->options = copy;
}

static size_t options_bytes(const sl_task *task, const sl_task_options *options) {
    if (options == &task->options)
        return 0;
    return align8(sizeof *options + (options->region ? strlen(options->region) + 1 : 0));
}

/* ---- sealed ---- */

/* A call on its way into a future, whose size is known once it is about to be sealed. */
typedef struct sealing {
    const char *function; /* that is given the envelope */
    const sl_task *task;
    const sl_task_options *options;
    const sl_value *object; /* with the module's file; NULL: of no module */
    sl_future *future;
} sealing;

static uint8_t *place_envelope(void *context, size_t size) {
    sealing *s = context;
    size_t arguments = sl_seal_carrier_bytes(s->object, size);
    size_t own = options_bytes(s->task, s->options);
    size_t payload = sl_client_payload_bytes(s->function, arguments);
    sl_future *future = s->future = sl_future_create(own + align8(payload));
    if (!future)
        return NULL;
    future->task = s->task;
    take_options(future, s->options, (uint8_t *)(future + 1));
    future->room = future->payload = (uint8_t *)(future + 1) + own;
    future->room_bytes = (uint32_t)align8(payload);
    future->payload_bytes = (uint32_t)payload;
    uint8_t *at = sl_client_payload_head(future->payload, s->function, arguments);
    at = sl_seal_carrier_write(s->object, size, at);
    if (at)
        return at;
    return sl_blob_create(size, &future->apart) == SL_OK ? future->apart->data : NULL;
}

/* It was sealed, or not. */
static sl_err take_sealed(sealing *s, sl_err err, const sl_seal_made *made, sl_future **out) {
    char cause[512];
    if (err == SL_OK) {
        s->future->seal = made->end;
        s->future->among = made->among;
        s->future->among_bytes = made->among_bytes;
        *out = s->future;
        return SL_OK;
    }
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    sl_release(s->future);
    return sl_fail(err, "task %.80s: %s", s->task->name, cause);
}

static sl_err make_sealed(const sl_task *task, const sl_args *args, const sl_task_options *options,
                          sl_future **out) {
    sealing s = {.function = SL_SEALED_FUNCTION, .task = task, .options = options};
    sl_seal_source source = sl_session_source();
    sl_seal_made made = {0};
    sl_err err = sl_seal_call(options->sealed, &source, task->name, args, options->retries,
                              place_envelope, &s, &made);
    return take_sealed(&s, err, &made, out);
}

static sl_err make_sealed_module(const sl_task *task, const sl_args *args,
                                 const sl_task_options *options, sl_future **out) {
    const sl_module_entry *entry = sl_module_entry_of(task);
    const sl_value object = sl_object_value(entry->module->object);
    sealing s = {.function = SL_SEALED_MODULE, .task = task, .options = options, .object = &object};
    sl_seal_source source = sl_session_source();
    sl_seal_made made = {0};
    if (sl_object_is_remote(object.object))
        return sl_fail(SL_ERR_INVALID,
                       "task %.80s: its module is an object of a connection, for tasks of that one "
                       "alone",
                       task->name);
    const sl_seal_module_asked asked = {.entry = entry, .args = args};
    sl_err err = sl_seal_module_call(options->sealed, &source, &asked, options->retries,
                                     place_envelope, &s, &made);
    return take_sealed(&s, err, &made, out);
}

static const sl_task any_command = {.name = "a sealed command"};

static sl_err make_sealed_command(const sl_command *command, const sl_task_options *options,
                                  sl_future **out) {
    sealing s = {.function = SL_SEALED_COMMAND, .task = &any_command, .options = options};
    sl_seal_source source = sl_session_source();
    sl_seal_made made = {0};
    sl_err err = sl_seal_a_command(options->sealed, &source, command, options->retries,
                                   place_envelope, &s, &made);
    return take_sealed(&s, err, &made, out);
}

/* ---- a call ---- */

/* What the data apart of a call lie in. */
static sl_err blob_of(const sl_args *args, size_t bytes, bool borrow, bool *copy, sl_blob **blob) {
    const sl_value *large = NULL;
    uint32_t count = 0;
    for (size_t i = 0; i < args->count && borrow; i++)
        if (args->values[i].bytes >= SL_VALUE_APART_BYTES) {
            large = &args->values[i];
            count++;
        }
    *copy = count != 1 || large->type == SL_TYPE_STRING || large->bytes != bytes;
    if (*copy)
        return sl_blob_create(bytes, blob);
    return sl_blob_wrap((void *)(uintptr_t)large->data, bytes, leave_alone, NULL, blob);
}

/* The first `front` arguments are kept by who calls this. */
static sl_err make(const sl_task *task, const sl_args *args, size_t front,
                   const sl_task_options *options, bool borrow, sl_future **out) {
    bool copy = false;
    sl_value_size size;
    if (options->sealed)
        return make_sealed(task, args, options, out);
    SL_TRY(sl_values_measure(args->values, args->count, &size));
    SL_TRY(check_needs(args));
    uint32_t needs = futures_in(args);
    size_t payload = needs ? size.bytes : sl_client_payload_bytes(task->name, size.bytes);
    size_t own = options_bytes(task, options), needs_bytes = needs * sizeof(sl_future *);
    size_t room = align8(payload);
    if (payload > UINT32_MAX / 2)
        return sl_fail(SL_ERR_TOO_LARGE, "task %s: arguments of %zu bytes", task->name, payload);
    sl_blob *apart = NULL;
    if (size.apart_bytes)
        SL_TRY(blob_of(args, size.apart_bytes, borrow, &copy, &apart));
    sl_future *future = sl_future_create(own + needs_bytes + room);
    if (!future) {
        sl_blob_release(apart);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
    }
    uint8_t *tail = (uint8_t *)(future + 1);
    future->task = task;
    take_options(future, options, tail);
    future->needs = (sl_future **)(void *)(tail + own);
    take_needs(future, args);
    future->room = future->payload = tail + own + needs_bytes;
    future->room_bytes = (uint32_t)room;
    future->payload_bytes = future->asked_bytes = (uint32_t)payload;
    future->apart = apart;
    future->again_left = options->retries;
    if (needs || options->retries)
        future->asked_apart = sl_blob_retain(apart);
    const sl_value *rest = front ? args->values + front : args->values; /* perhaps there are none */
    sl_err err = sl_future_keep(future, rest, args->count - front);
    if (err != SL_OK) {
        sl_future_drop(future);
        return err;
    }
    uint8_t *at =
        needs ? future->payload : sl_client_payload_head(future->payload, task->name, size.bytes);
    sl_values_encode(args->values, args->count, at, copy ? apart->data : NULL);
    *out = future;
    return SL_OK;
}

static sl_err make_of_module(const sl_task *task, const sl_args *args,
                             const sl_task_options *options, bool borrow, sl_future **out) {
    enum { FEW = 16 };
    sl_value few[FEW], *values = few;
    if (args->count > SL_ARGS_MAX - SL_MODULE_VALUES)
        return sl_fail(SL_ERR_TOO_LARGE, "%zu arguments; at most %d", args->count,
                       SL_ARGS_MAX - SL_MODULE_VALUES);
    sl_args all = {values, args->count + SL_MODULE_VALUES};
    if (all.count > FEW)
        all.values = values = malloc(all.count * sizeof *values);
    if (!values)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu arguments", all.count);
    sl_module_values(sl_module_entry_of(task), values);
    if (args->count)
        memcpy(values + SL_MODULE_VALUES, args->values, args->count * sizeof *values);
    sl_err err = make(task, &all, SL_MODULE_VALUES, options, borrow, out);
    if (values != few)
        free(values);
    return err;
}

sl_err sl_client_make(const sl_task *task, const sl_args *args, const sl_task_options *options,
                      bool borrow, sl_future **out) {
    if (!sl_task_is_of_module(task))
        return make(task, args, 0, options, borrow, out);
    SL_TRY(sl_module_check_seal(task, options));
    SL_TRY(options->sealed ? make_sealed_module(task, args, options, out)
                           : make_of_module(task, args, options, borrow, out));
    (*out)->module = sl_module_retain(sl_module_entry_of(task)->module); /* which keeps its file */
    return SL_OK;
}

sl_future *sl_client_make_again(sl_future *of) {
    size_t own = options_bytes(of->task, of->options);
    size_t needs = of->need_count * sizeof(sl_future *);
    sl_future *future = sl_future_create(own + needs + of->room_bytes);
    if (!future) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory to make the result of task %.100s anew",
                      of->task->name);
        return NULL;
    }
    uint8_t *tail = (uint8_t *)(future + 1);
    future->task = of->task;
    future->module = sl_module_retain(of->module);
    take_options(future, of->options, tail);
    future->needs = (sl_future **)(void *)(tail + own);
    for (; future->need_count < of->need_count; future->need_count++)
        future->needs[future->need_count] = sl_retain(of->needs[future->need_count]);
    future->room = future->payload = tail + own + needs;
    future->room_bytes = of->room_bytes;
    future->payload_bytes = future->asked_bytes = of->asked_bytes;
    memcpy(future->room, of->room, of->asked_bytes);
    future->apart = sl_blob_retain(of->asked_apart);
    future->asked_apart = sl_blob_retain(of->asked_apart);
    future->again_left = of->again_left - 1;
    if (sl_future_keep_those(future, of) == SL_OK)
        return future;
    sl_future_drop(future);
    return NULL;
}

/* ---- the API ---- */

void sl_client_push_futures(sl_client *client, sl_future **futures, size_t count) {
    for (size_t i = 0; i < count; i++) {
        atomic_fetch_add_explicit(&futures[i]->references, 1, memory_order_relaxed);
        futures[i]->item.kind = SL_ITEM_TASK;
        futures[i]->item.next = i ? &futures[i - 1]->item : NULL;
    }
    sl_client_push(client, &futures[count - 1]->item, &futures[0]->item, (uint32_t)count);
}

/* True unless there is such a task and it cannot be submitted. */
static bool resolve(const sl_task **task, const sl_task_options **options) {
    bool there = *task != NULL;
    *task = sl_task_to_submit(*task);
    if (*task && !*options)
        *options = &(*task)->options;
    return *task || !there;
}

sl_future *sl_submit_with(const sl_task *task, sl_args args, const sl_task_options *options) {
    sl_future *future = NULL;
    if (!resolve(&task, &options))
        return NULL;
    if (sl_client_check(task, options) != SL_OK)
        return NULL;
    sl_client *client = sl_client_enter();
    if (!client)
        return NULL;
    if (sl_client_make(task, &args, options, false, &future) == SL_OK) {
        sl_client_await_room(client);
        sl_client_push_futures(client, &future, 1);
    }
    sl_client_leave(client);
    return future;
}

sl_future *sl_client_submit_command(const sl_command *command, const sl_task_options *options) {
    sl_future *future = NULL;
    if (sl_task_options_check(any_command.name, options) != SL_OK)
        return NULL;
    sl_client *client = sl_client_enter();
    if (!client)
        return NULL;
    if (make_sealed_command(command, options, &future) == SL_OK) {
        sl_client_await_room(client);
        sl_client_push_futures(client, &future, 1);
    }
    sl_client_leave(client);
    return future;
}

sl_future *sl_submit(const sl_task *task, sl_args args) {
    return sl_submit_with(task, args, NULL);
}

static sl_err check_all(const sl_args *args, size_t count) {
    sl_value_size size;
    for (size_t i = 0; i < count; i++) {
        if (sl_values_measure(args[i].values, args[i].count, &size) == SL_OK)
            continue;
        char cause[512];
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        return sl_fail(SL_ERR_INVALID, "call %zu of the batch: %s", i, cause);
    }
    return SL_OK;
}

static sl_err submit_all(sl_client *client, const sl_task *task, const sl_args *args, size_t count,
                         const sl_task_options *options, sl_future **futures) {
    size_t made = 0, pushed = 0;
    sl_err err = SL_OK;
    while (err == SL_OK && made < count) {
        err = sl_client_make(task, &args[made], options, false, &futures[made]);
        made += err == SL_OK;
        if (made > pushed && (made == count || made - pushed == PUSH_MOST)) {
            sl_client_await_room(client);
            sl_client_push_futures(client, futures + pushed, made - pushed);
            pushed = made;
        }
    }
    if (err == SL_OK)
        return SL_OK;
    char cause[512];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    for (size_t i = 0; i < made; i++) {
        if (i < pushed)
            sl_cancel(futures[i]);
        sl_release(futures[i]);
    }
    return sl_fail(err, "%s", cause);
}

int sl_submit_batch(const sl_task *task, const sl_args *args, size_t count,
                    const sl_task_options *options, sl_future **futures) {
    if (!resolve(&task, &options))
        return SL_ERR_INVALID;
    SL_TRY(sl_client_check(task, options));
    SL_TRY(check_all(args, count));
    sl_client *client = sl_client_enter();
    if (!client)
        return SL_ERR_CLOSED;
    sl_err err = submit_all(client, task, args, count, options, futures);
    sl_client_leave(client);
    return err;
}

void sl_cancel(sl_future *future) {
    if (!future || sl_future_ended(future))
        return;
    if (future->remote) {
        sl_remote_cancel(future);
        return;
    }
    sl_client *client = sl_client_enter();
    if (!client) /* it has ended by now */
        return;
    sl_cancel_item *cancel = malloc(sizeof *cancel);
    if (cancel) {
        *cancel = (sl_cancel_item){.item = {.kind = SL_ITEM_CANCEL}, .future = sl_retain(future)};
        sl_client_push(client, &cancel->item, &cancel->item, 0);
    }
    sl_client_leave(client);
}
