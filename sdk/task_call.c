/* Design notes
 * A body's access functions answer with a zero where the argument is not what it takes it to be;
 * the first such error is kept, and the task fails with it when the body has returned. So a body
 * need not look at every access, and its fault is reported in its own terms.
 *
 * A large result is an object of this node from the beginning, so that nothing is copied: it is
 * written there, sealed when the body has returned, and held for the node that gets the result. A
 * store without room makes it travel instead. Arguments that were kept elsewhere are fetched before
 * the body is called; a task that is brief may run on the loop, which cannot wait, and is called by
 * another name when it has such arguments. */
#include "sdk/task_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/client.h"
#include "sdk/module.h"
#include "sdk/task_call_internal.h"
#include "sdk/value.h"

enum { FEW = 8 /* arguments that need no allocation */ };

static _Thread_local sl_call *here;

sl_call *sl_call_here(void) {
    return here;
}

bool sl_call_is_brief(void) {
    return here && here->task->options.brief;
}

bool sl_call_runs_here(uint32_t *node) {
    if (!here || !here->facts)
        return false;
    *node = here->facts->node;
    return true;
}

/* ---- definition ---- */

static sl_task *defined; /* before main(): one thread */

void sl_task_define(sl_task *task) {
    if (sl_module_takes(task, NULL))
        return;
    task->next = defined;
    defined = task;
}

const sl_task *sl_task_defined(const char *name) {
    const sl_task *task = defined;
    while (task && strcmp(task->name, name) != 0)
        task = task->next;
    return task;
}

static sl_actor_kind *kinds; /* before main(): one thread */

void sl_actor_define(sl_actor_kind *kind) {
    if (sl_module_takes(NULL, kind->name))
        return;
    kind->task = (sl_task){.name = kind->name, .options = {.brief = kind->options.brief}};
    kind->options.last_ = 1;
    kind->next = kinds;
    kinds = kind;
}

const sl_actor_kind *sl_actor_kind_of(const char *name) {
    const sl_actor_kind *kind = kinds;
    while (kind && strcmp(kind->name, name) != 0)
        kind = kind->next;
    return kind;
}

struct sl_pool *sl_call_pool(void) {
    return here && here->turn ? here->turn->pool : NULL;
}

bool sl_call_is_actor(void) {
    return here && here->turn;
}

bool sl_task_is_registered(const sl_task *task) {
    return task->options.last_ != SL_TASK_UNKNOWN;
}

static bool is_sealed(const sl_call *call) {
    return call->facts && call->facts->is_sealed;
}

/* ---- a call ---- */

static sl_err keep(sl_call *call, sl_err err) {
    if (err != SL_OK && call->failed == SL_OK) {
        call->failed = err;
        snprintf(call->message, sizeof call->message, "%s", sl_err_detail());
    }
    return err;
}

static const char *what(const sl_call *call) {
    return call->turn ? "actor" : "task";
}

static sl_err judge(sl_call *call, int returned) {
    if (call->failed != SL_OK)
        return sl_fail(call->failed, "%s", call->message);
    if (returned == 0)
        return SL_OK;
    if (returned > 0 && returned < SL_ERR_COUNT && sl_err_detail()[0])
        return (sl_err)returned;
    return sl_fail(SL_ERR_FAILED, "%s %s returned %d", what(call), call->task->name, returned);
}

/* A hold that was made for who gets the result. */
typedef struct handing {
    sl_store_object *object; /* retained */
    uint32_t owner;
} handing;

static void settle(void *context, bool sent) {
    handing *one = context;
    if (!sent)
        sl_store_unhold(one->object, one->owner);
    sl_store_object_release(one->object);
    free(one);
}

static sl_err hold_for(sl_call *call, uint32_t owner) {
    handing *one = malloc(sizeof *one);
    if (!one)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a result");
    sl_err err = sl_store_hold(call->result, owner, UINT64_MAX);
    if (err != SL_OK) {
        free(one);
        return err;
    }
    *one = (handing){call->result, owner};
    sl_store_object_retain(call->result);
    call->output->settle = settle;
    call->output->settled = one;
    return SL_OK;
}

sl_err sl_call_hand_over(sl_call *call, sl_err err) {
    if (!call->result)
        return err;
    if (err == SL_OK && call->kept)
        err = sl_store_seal(call->result);
    if (err == SL_OK && sl_call_cancelled(call))
        err = sl_fail(SL_ERR_CANCELLED, "nobody wants the object any more");
    else if (err == SL_OK && call->facts && call->facts->owner != SL_NO_NODE)
        err = hold_for(call, call->facts->owner);
    sl_store_object_release(call->result);
    return err;
}

/* ---- arguments that were kept where they were made ---- */

sl_err sl_call_open_object(const sl_call *call, const void *name, sl_object **object) {
    sl_store_id id;
    sl_store_object *opened = NULL;
    memcpy(&id, name, sizeof id);
    sl_store *store = call->facts ? sl_session_store(call->facts->node) : NULL;
    if (!store)
        return sl_fail(SL_ERR_CLOSED, "there is no store here");
    SL_TRY(sl_store_open(store, id, false, &opened));
    *object = (sl_object *)opened;
    return SL_OK;
}

static sl_err fetch(sl_call *call, size_t index) {
    sl_value *value = &call->values[index];
    SL_TRY(sl_call_open_object(call, value->kept_, &value->object)); /* let go of with the others */
    return sl_object_fetch(value->object, value);
}

/* Its maker's node may be lost, and the result of another task with it: SL_ERR_DEAD. */
sl_err sl_call_fetch_all(sl_call *call) {
    char cause[512];
    for (size_t i = 0; i < call->count; i++) {
        if (!call->values[i].kept_)
            continue;
        if (is_sealed(call))
            return sl_fail(SL_ERR_INVALID, "a sealed task is given data alone");
        sl_err err = fetch(call, i);
        if (err == SL_OK)
            continue;
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        return sl_fail(err == SL_ERR_NOT_FOUND ? SL_ERR_DEAD : err,
                       "argument %zu of task %.80s cannot be fetched: %.350s", i, call->task->name,
                       cause);
    }
    return SL_OK;
}

static void close_objects(const sl_call *call) {
    for (size_t i = 0; call->values && i < call->count; i++) {
        const sl_value *value = &call->values[i];
        if (value->object && value->type != SL_TYPE_OBJECT && value->data) /* was fetched */
            sl_store_unpin((sl_store_object *)value->object);
        sl_object_release(value->object);
    }
    sl_object_release(call->module_object);
}

sl_err sl_call_run_body(sl_call *call) {
    sl_call *outer = here;
    here = call;
    int returned = call->turn ? call->turn->body(call, call->turn->state) : call->task->body(call);
    here = outer;
    return judge(call, returned);
}

static sl_err decode_and_call(sl_call *call, const void *args, size_t bytes, sl_value *values) {
    SL_TRY(sl_values_decode(args, bytes, call->facts ? call->facts->apart : NULL, false, values));
    call->values = values;
    if (!call->task)
        return sl_call_run_module(call);
    SL_TRY(sl_call_fetch_all(call));
    return sl_call_hand_over(call, sl_call_run_body(call));
}

/* `task` NULL: of a module, and with `sealed` of one that is. */
static sl_err run_call(const sl_task *task, sl_actor_turn *turn,
                       const struct sl_module_sealed *sealed, const void *args, size_t bytes,
                       sl_task_output *output) {
    sl_call call;
    sl_value few[FEW], *values = few;
    call.task = task;
    call.turn = turn;
    call.facts = output->facts;
    call.output = output;
    call.failed = SL_OK;
    call.values = NULL;
    call.module = NULL;
    call.module_object = NULL;
    call.sealed = sealed;
    call.own_module = NULL;
    call.text = NULL;
    call.result = NULL;
    call.kept = false;
    SL_TRY(sl_values_count(args, bytes, &call.count));
    if (call.count > FEW)
        values = malloc(call.count * sizeof *values);
    if (!values)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu arguments", call.count);
    sl_err err = decode_and_call(&call, args, bytes, values);
    close_objects(&call);
    if (values != few)
        free(values);
    return err;
}

static sl_err run(const void *args, size_t bytes, sl_task_output *output, void *user) {
    return run_call(user, NULL, NULL, args, bytes, output);
}

static sl_err run_family(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)user;
    return run_call(NULL, NULL, NULL, args, bytes, output);
}

sl_err sl_call_sealed_module(const struct sl_module_sealed *sealed, const void *args, size_t bytes,
                             sl_task_output *output) {
    return run_call(NULL, NULL, sealed, args, bytes, output);
}

sl_err sl_actor_turn_run(sl_actor_turn *turn, const void *args, size_t bytes,
                         sl_task_output *output) {
    output->facts = &turn->facts;
    return run_call(&turn->kind->task, turn, NULL, args, bytes, output);
}

/* Of a name that is too long nothing is made: its calls fail where they would wait. */
const char *sl_task_waiting_name(const sl_task *task, char *room, size_t size) {
    int length = snprintf(room, size, "%s:waits", task->name);
    return task->options.brief && length < (int)size ? room : task->name;
}

static sl_err register_brief(sl_functions *functions, sl_task *task) {
    char room[SL_FUNCTION_NAME_MAX_BYTES + 1];
    const char *name = sl_task_waiting_name(task, room, sizeof room);
    SL_TRY(sl_functions_register(functions, task->name, run, task));
    return name == task->name ? SL_OK : sl_functions_register_slow(functions, name, run, task);
}

sl_err sl_task_calls_register(sl_functions *functions) {
    for (sl_task *task = defined; task; task = task->next) {
        if (sl_task_is_registered(task))
            continue;
        SL_TRY(task->options.brief ? register_brief(functions, task)
                                   : sl_functions_register_slow(functions, task->name, run, task));
        task->options.last_ = SL_TASK_REGISTERED;
    }
    if (!sl_functions_is_family(functions, "/"))
        SL_TRY(sl_functions_register_family(functions, run_family, NULL));
    return SL_OK;
}

/* ---- arguments ---- */

size_t sl_arg_count(const sl_call *call) {
    return call->count;
}

const sl_value *sl_arg(const sl_call *call, size_t index) {
    return index < call->count ? &call->values[index] : NULL;
}

/* The argument, or NULL with the error kept; `whose` names it in errors of its type. */
static const sl_value *wanted(sl_call *call, size_t index, char *whose, size_t size) {
    snprintf(whose, size, "argument %zu of %s %.80s", index, what(call), call->task->name);
    if (index < call->count)
        return &call->values[index];
    (void)keep(call,
               sl_fail(SL_ERR_INVALID, "%s is missing: it was given %zu", whose, call->count));
    return NULL;
}

static const void *kept(sl_call *call, const void *data) {
    if (!data)
        (void)keep(call, SL_ERR_INVALID);
    return data;
}

static const void *scalar(sl_call *call, size_t index, sl_dtype dtype) {
    char whose[128];
    const sl_value *value = sl_arg(call, index);
    if (sl_value_is_scalar(value, dtype))
        return value->data;
    value = wanted(call, index, whose, sizeof whose);
    return value ? kept(call, sl_value_as_scalar(value, dtype, whose)) : NULL;
}

static const void *plain(sl_call *call, size_t index, sl_type type) {
    char whose[128];
    const sl_value *value = sl_arg(call, index);
    if (sl_value_is(value, type))
        return value->data;
    value = wanted(call, index, whose, sizeof whose);
    return value ? kept(call, sl_value_as(value, type, whose)) : NULL;
}

static const void *array(sl_call *call, size_t index, sl_dtype dtype) {
    char whose[128];
    const sl_value *value = sl_arg(call, index);
    if (sl_value_is_array(value, dtype))
        return value->data;
    value = wanted(call, index, whose, sizeof whose);
    return value ? kept(call, sl_value_as_array(value, dtype, whose)) : NULL;
}

double sl_arg_f64(sl_call *call, size_t index) {
    double number = 0;
    const void *data = scalar(call, index, SL_F64);
    if (data)
        memcpy(&number, data, sizeof number);
    return number;
}

int64_t sl_arg_i64(sl_call *call, size_t index) {
    int64_t number = 0;
    const void *data = scalar(call, index, SL_I64);
    if (data)
        memcpy(&number, data, sizeof number);
    return number;
}

const char *sl_arg_string(sl_call *call, size_t index) {
    const char *string = plain(call, index, SL_TYPE_STRING);
    return string ? string : "";
}

const void *sl_arg_bytes(sl_call *call, size_t index, size_t *bytes) {
    const void *data = plain(call, index, SL_TYPE_BYTES);
    *bytes = data ? call->values[index].bytes : 0;
    return data;
}

const void *sl_arg_array(sl_call *call, size_t index, sl_dtype dtype, size_t *count) {
    const void *data = array(call, index, dtype);
    *count = data ? sl_value_count(&call->values[index]) : 0;
    return data;
}

sl_object *sl_arg_object(sl_call *call, size_t index) {
    char whose[128];
    sl_object *object = NULL;
    const sl_value *value = wanted(call, index, whose, sizeof whose);
    const void *name = value ? kept(call, sl_value_as(value, SL_TYPE_OBJECT, whose)) : NULL;
    if (!name || value->object)
        return value ? value->object : NULL;
    if (is_sealed(call)) { /* its name came from who could not have given it to another task */
        (void)keep(
            call, sl_fail(SL_ERR_INVALID, "%s is an object, which no sealed task is given", whose));
        return NULL;
    }
    if (keep(call, sl_call_open_object(call, name, &object)) != SL_OK)
        return NULL;
    return call->values[index].object = object;
}

/* ---- the result ---- */

/* Whatever was returned before is forgotten. */
static void forget(sl_call *call) {
    call->output->size_bytes = 0;
    sl_blob_release(call->output->apart);
    call->output->apart = NULL;
    sl_store_object_release(call->result);
    call->result = NULL;
    call->kept = false;
}

/* A result that stays here: only its name is written. `value` is to be written at *data. NULL: it
 * does not. */
static sl_store_object *keep_here(sl_call *call, const sl_value *value, void **data) {
    const sl_task_facts *facts = call->facts;
    if (call->turn || !facts || value->type == SL_TYPE_OBJECT || value->bytes < facts->keep_bytes)
        return NULL;
    sl_store *store = sl_session_store(facts->node);
    return store ? (sl_store_object *)sl_object_make(store, value, data) : NULL;
}

static sl_err put_kept(sl_call *call, const sl_value *value, sl_store_object *object, void *data) {
    sl_store_id id = sl_store_id_of(object);
    uint8_t wire[256];
    sl_value named = *value;
    sl_value_size size;
    named.kept_ = &id;
    sl_err err = sl_values_measure(&named, 1, &size);
    if (err == SL_OK && size.bytes > sizeof wire)
        err = sl_fail(SL_ERR_INTERNAL, "a name of %zu bytes", size.bytes);
    forget(call);
    if (err == SL_OK) {
        sl_values_encode(&named, 1, wire, NULL);
        err = sl_task_output_write(call->output, wire, size.bytes);
    }
    if (err != SL_OK) {
        sl_store_object_release(object);
        return err;
    }
    sl_object_write(data, value);
    call->result = object;
    call->kept = true;
    return SL_OK;
}

static sl_err put(sl_call *call, const sl_value *value) {
    sl_value_size size;
    sl_blob *blob = NULL;
    uint8_t few[128], *wire = few;
    void *data = NULL;
    SL_TRY(sl_values_measure(value, 1, &size));
    sl_store_object *kept = keep_here(call, value, &data);
    if (kept)
        return put_kept(call, value, kept, data);
    if (size.apart_bytes)
        SL_TRY(sl_blob_create(size.apart_bytes, &blob));
    if (size.bytes > sizeof few)
        wire = malloc(size.bytes);
    if (!wire) {
        sl_blob_release(blob);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a result of %zu bytes", size.bytes);
    }
    forget(call);
    sl_values_encode(value, 1, wire, blob ? blob->data : NULL);
    sl_err err = sl_task_output_write(call->output, wire, size.bytes);
    call->output->apart = blob;
    if (wire != few)
        free(wire);
    return err;
}

int sl_return_value(sl_call *call, const sl_value *value) {
    if (value->type == SL_TYPE_FUTURE)
        return keep(call, sl_fail(SL_ERR_INVALID, "task %s: a future is no result: wait for it",
                                  call->task->name));
    if (value->type == SL_TYPE_OBJECT)
        return sl_return_object(call, value->object);
    return keep(call, put(call, value));
}

int sl_return_object(sl_call *call, sl_object *object) {
    if (is_sealed(call))
        return keep(call, sl_fail(SL_ERR_INVALID,
                                  "task %.80s: an object is not sealed: a sealed task returns what "
                                  "is in it",
                                  call->task->name));
    if (call->facts && !call->facts->holds_objects)
        return keep(call, sl_fail(SL_ERR_UNAVAILABLE,
                                  "task %.80s: an object stays in the network, and who submitted "
                                  "this task cannot hold it",
                                  call->task->name));
    sl_value value = sl_object_value(object);
    SL_TRY(keep(call, put(call, &value)));
    call->result = (sl_store_object *)object;
    sl_store_object_retain(call->result);
    return SL_OK;
}

int sl_return_f64(sl_call *call, double number) {
    sl_value value = sl_f64(number);
    return sl_return_value(call, &value);
}

int sl_return_i64(sl_call *call, int64_t number) {
    sl_value value = sl_i64(number);
    return sl_return_value(call, &value);
}

int sl_return_string(sl_call *call, const char *string) {
    sl_value value = sl_string(string);
    return sl_return_value(call, &value);
}

int sl_return_bytes(sl_call *call, const void *data, size_t bytes) {
    sl_value value = sl_value_bytes(data, bytes);
    return sl_return_value(call, &value);
}

void *sl_return_array(sl_call *call, sl_dtype dtype, uint32_t dimensions, const size_t *shape) {
    sl_value value = sl_array(dtype, sl_value_unwritten, dimensions, shape);
    if (keep(call, put(call, &value)) != SL_OK)
        return NULL;
    if (call->kept)
        return sl_store_data(call->result);
    if (call->output->apart)
        return call->output->apart->data;
    return call->output->data + call->output->size_bytes - sl_value_padded(value.bytes);
}

int sl_call_fail(sl_call *call, const char *format, ...) {
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return keep(call, sl_fail(SL_ERR_FAILED, "%s", message));
}

/* ---- facts ---- */

int sl_call_cancelled(const sl_call *call) {
    return call->facts && call->facts->cancelled &&
           __atomic_load_n(call->facts->cancelled, __ATOMIC_RELAXED);
}

uint32_t sl_call_node(const sl_call *call) {
    return call->facts ? call->facts->node : 0;
}

uint32_t sl_call_attempt(const sl_call *call) {
    return call->facts ? call->facts->attempt : 1;
}

/* ---- actors ---- */

const char *sl_call_method(const sl_call *call) {
    return call->turn ? call->turn->method : "";
}

int sl_call_is(const sl_call *call, const char *method) {
    return strcmp(sl_call_method(call), method) == 0;
}

sl_actor_ref sl_call_self(const sl_call *call) {
    return call->turn ? call->turn->self : (sl_actor_ref){.place = SL_ANY_NODE};
}

void sl_call_migrate(sl_call *call, uint32_t node) {
    if (!call->turn)
        return;
    call->turn->moves = true;
    call->turn->move_to = node;
}

void sl_call_save(sl_call *call) {
    if (call->turn)
        call->turn->saves = true;
}

sl_actor_ref sl_arg_actor(sl_call *call, size_t index) {
    sl_actor_ref actor = {.place = SL_ANY_NODE};
    size_t bytes;
    const void *data = sl_arg_bytes(call, index, &bytes);
    if (data && bytes == sizeof actor)
        memcpy(&actor, data, sizeof actor);
    else if (data)
        (void)keep(call, sl_fail(SL_ERR_INVALID, "argument %zu of %s %.80s is no actor", index,
                                 what(call), call->task->name));
    return actor;
}
