/* Design notes
 * A body's access functions answer with a zero where the argument is not what it takes it to be;
 * the first such error is kept, and the task fails with it when the body has returned. So a body
 * need not look at every access, and its fault is reported in its own terms.
 *
 * A call of a module has two values more, in front (sdk/module.h): once they are dealt with it is a
 * call like any other. */
#include "sdk/task_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/store/store.h"
#include "sdk/client.h"
#include "sdk/module.h"
#include "sdk/task_text.h"
#include "sdk/value.h"

enum { FEW = 8 /* arguments that need no allocation */, MESSAGE_BYTES = 1024 };
enum { MODULES_ON, MODULES_OFF }; /* of the option */

struct sl_call {
    const sl_task *task;
    sl_actor_turn *turn; /* of an actor, else NULL */
    const sl_task_facts *facts;
    sl_task_output *output;
    sl_value *values;
    size_t count;
    sl_loaded_module *module; /* whose task it is; NULL: the program's */
    sl_object *module_object; /* its file, borrowed */
    sl_text_args *text;       /* what its arguments were read from; NULL: they came as values */
    sl_module *own_module;    /* of it, once the body has submitted one of its tasks */
    sl_store_object *result;  /* held; of the last sl_return_…() */
    sl_err failed;            /* the first error of the library's in this call */
    char message[MESSAGE_BYTES];
};

static _Thread_local sl_call *here;

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

bool sl_task_is_defined(const char *name) {
    const sl_task *task = defined;
    while (task && strcmp(task->name, name) != 0)
        task = task->next;
    return task || strchr(name, '/'); /* all of the family are */
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

/* Who gets the result holds the object before this call lets go of it. */
static sl_err hand_over(sl_call *call, sl_err err) {
    if (!call->result)
        return err;
    if (err == SL_OK && sl_call_cancelled(call)) /* nobody would let go of it */
        err = sl_fail(SL_ERR_CANCELLED, "nobody wants the object any more");
    else if (err == SL_OK && call->facts && call->facts->owner != SL_NO_NODE)
        err = sl_store_hold(call->result, call->facts->owner, UINT64_MAX);
    sl_store_object_release(call->result);
    return err;
}

static void close_objects(const sl_call *call) {
    for (size_t i = 0; call->values && i < call->count; i++)
        sl_object_release(call->values[i].object);
    sl_object_release(call->module_object);
}

static sl_err run_body(sl_call *call) {
    sl_call *outer = here;
    here = call;
    int returned = call->turn ? call->turn->body(call, call->turn->state) : call->task->body(call);
    here = outer;
    return judge(call, returned);
}

static sl_err call_body(sl_call *call) {
    return hand_over(call, run_body(call));
}

static sl_err run_module(sl_call *call);

static sl_err decode_and_call(sl_call *call, const void *args, size_t bytes, sl_value *values) {
    SL_TRY(sl_values_decode(args, bytes, call->facts ? call->facts->apart : NULL, false, values));
    call->values = values;
    return call->task ? call_body(call) : run_module(call);
}

/* `task` NULL: of a module. */
static sl_err run_call(const sl_task *task, sl_actor_turn *turn, const void *args, size_t bytes,
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
    call.text = NULL;
    call.own_module = NULL;
    call.result = NULL;
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
    return run_call(user, NULL, args, bytes, output);
}

sl_err sl_actor_turn_run(sl_actor_turn *turn, const void *args, size_t bytes,
                         sl_task_output *output) {
    output->facts = &turn->facts;
    return run_call(&turn->kind->task, turn, args, bytes, output);
}

/* ---- a call of a module ---- */

typedef struct fetching {
    sl_object *object;
    sl_view view;
} fetching;

static sl_err fetch(void *context, const void **bytes, size_t *size) {
    fetching *of = context;
    char cause[512];
    sl_err err = (sl_err)sl_get(of->object, SL_FOREVER, &of->view);
    if (err != SL_OK) {
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        return sl_fail(err, "the module cannot be fetched: %s", cause);
    }
    *bytes = of->view.value.data;
    *size = of->view.value.bytes;
    return SL_OK;
}

static void fetched(void *context) {
    sl_view_release(&((fetching *)context)->view);
}

static sl_err open_object(const sl_call *call, const sl_value *value, sl_object **object) {
    sl_store_id id;
    sl_store_object *opened = NULL;
    memcpy(&id, value->data, sizeof id);
    sl_store *store = call->facts ? sl_session_store(call->facts->node) : NULL;
    if (!store)
        return sl_fail(SL_ERR_CLOSED, "there is no store here");
    SL_TRY(sl_store_open(store, id, false, &opened));
    *object = (sl_object *)opened;
    return SL_OK;
}

/* Takes the values that say so off the others, and has the module. */
static sl_err enter_module(sl_call *call) {
    sl_module_call what;
    bool came = false;
    const sl_network_node *node = call->facts ? sl_network_node_here(call->facts->node) : NULL;
    if (!node)
        return sl_fail(SL_ERR_CLOSED, "there is no network here");
    if (sl_config_enum(node->network->config, SL_OPT_MODULES) == MODULES_OFF)
        return sl_fail(SL_ERR_REFUSED, "this network takes no modules (--modules off)");
    if (call->count < SL_MODULE_VALUES || call->values[0].type != SL_TYPE_OBJECT)
        return sl_fail(SL_ERR_DECODE, "a call of a module without its file");
    SL_TRY(sl_module_about(&call->values[1], &what));
    SL_TRY(open_object(call, &call->values[0], &call->module_object));
    fetching of = {.object = call->module_object};
    sl_module_source source = {.get = fetch, .release = fetched, .context = &of};
    SL_TRY(sl_module_use(&what.key, &source, &came, &call->module));
    if (came)
        sl_metric_count(node->metrics, SL_METRIC_modules_loaded);
    call->values += SL_MODULE_VALUES;
    call->count -= SL_MODULE_VALUES;
    SL_TRY(sl_loaded_module_task(call->module, what.name, &call->task));
    if (what.form == SL_MODULE_OF_VALUES)
        return SL_OK;
    SL_TRY(sl_text_args_read(call->values, call->count, &call->text));
    call->values = sl_text_args_values(call->text, &call->count);
    return SL_OK;
}

/* The answer is written for people; of an object what is in it, because nobody would have it. */
static sl_err call_for_text(sl_call *call) {
    sl_task_output *output = call->output, inside;
    sl_task_output_init(&inside, output->limit_bytes);
    inside.facts = output->facts;
    call->output = &inside;
    sl_err err = run_body(call);
    if (err == SL_OK)
        err = sl_text_answer(&inside, (sl_object *)call->result, output);
    sl_store_object_release(call->result);
    call->result = NULL;
    call->output = output;
    sl_task_output_fini(&inside);
    return err;
}

/* Its code is used until its result, and what it says of a failure, are copied. */
static sl_err run_module(sl_call *call) {
    sl_err err = enter_module(call);
    if (err == SL_OK)
        err = call->text ? call_for_text(call) : call_body(call);
    if (call->text) { /* its values go with it */
        sl_text_args_free(call->text);
        call->count = 0;
    }
    sl_module_release(call->own_module);
    if (call->module)
        sl_module_done(call->module);
    return err;
}

static sl_err run_family(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)user;
    return run_call(NULL, NULL, args, bytes, output);
}

static sl_err make_own_module(sl_call *call) {
    sl_module_file file;
    SL_TRY(sl_module_file_copy(sl_loaded_module_file(call->module), &file));
    sl_object *object = sl_object_retain(call->module_object);
    sl_err err = object ? sl_module_make(sl_loaded_module_key(call->module), &file, object,
                                         &call->own_module)
                        : SL_ERR_DEAD;
    if (err == SL_OK)
        return SL_OK;
    sl_module_file_fini(&file);
    sl_object_release(object);
    return err;
}

const sl_task *sl_task_to_submit(const sl_task *task) {
    if (!task || task->options.last_ != SL_TASK_OF_LOADED)
        return task;
    if (!here || !here->module || !sl_loaded_module_has(here->module, task)) {
        (void)sl_fail(SL_ERR_INVALID,
                      "task %.100s is a module's: a task of that module may submit "
                      "it, and who has the module by sl_module_task()",
                      task->name);
        return NULL;
    }
    if (!here->own_module && make_own_module(here) != SL_OK)
        return NULL;
    return sl_module_task(here->own_module, task->name);
}

sl_err sl_task_calls_register(sl_functions *functions) {
    for (sl_task *task = defined; task; task = task->next) {
        if (sl_task_is_registered(task))
            continue;
        SL_TRY(task->options.brief ? sl_functions_register(functions, task->name, run, task)
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
    if (keep(call, open_object(call, value, &object)) != SL_OK)
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
}

static sl_err put(sl_call *call, const sl_value *value) {
    sl_value_size size;
    sl_blob *blob = NULL;
    uint8_t few[128], *wire = few;
    SL_TRY(sl_values_measure(value, 1, &size));
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
    if (call->turn)
        return keep(call, sl_fail(SL_ERR_INVALID, "actor %.80s: an object is no answer of an actor",
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
