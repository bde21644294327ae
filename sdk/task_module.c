/* Calls of modules.
 *
 * Design notes
 * In front of the arguments stand two values more (sdk/module.h): once they are dealt with it is a
 * call like any other. The module's code is used until the result, and what is said of a failure,
 * are copied; then another module may take its place.
 *
 * The file of a sealed module is opened into memory of this process alone, for as long as it takes
 * to load it; what is called, and the key, came in the envelope (sdk/sealed.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/secure/secret.h"
#include "sdk/client.h"
#include "sdk/module.h"
#include "sdk/task_call_internal.h"

enum { MODULES_ON, MODULES_OFF }; /* of the option */

/* ---- having the module ---- */

/* Its file is opened when it is needed, which it mostly is not. */
static sl_err open_file(sl_call *call) {
    if (call->module_object)
        return SL_OK;
    return sl_call_open_object(call, call->module_name, &call->module_object);
}

static sl_store_object *file_of(void *context) {
    return (sl_store_object *)((sl_call *)context)->module_object;
}

/* The cores are kept meanwhile, as those who wait for this keep theirs: else as many threads as
 * tasks would wait here, and who fetches might get no core to go on. */
static sl_err fetch(void *context, const void **bytes, size_t *size) {
    sl_store_content content;
    char cause[512];
    SL_TRY(open_file(context));
    sl_err err;
    do
        err = sl_store_get(file_of(context), UINT64_MAX, &content);
    while (err == SL_ERR_TIMEOUT);
    if (err != SL_OK) {
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        return sl_fail(err, "the module cannot be fetched: %s", cause);
    }
    *bytes = content.data;
    *size = content.bytes;
    return SL_OK;
}

static void fetched(void *context) {
    sl_store_unpin(file_of(context));
}

/* ---- a sealed one ---- */

typedef struct unsealing {
    sl_call *call;
    uint8_t *plain;
    size_t bytes;
} unsealing;

static void drop_plain(void *context) {
    unsealing *u = context;
    sl_secret_wipe(u->plain, u->bytes);
    free(u->plain);
    u->plain = NULL;
}

static sl_err unseal(unsealing *u, const void *parcel, size_t size) {
    const sl_module_sealed *sealed = u->call->sealed;
    uint64_t bytes;
    SL_TRY(sl_parcel_measure(parcel, size, &bytes));
    if (bytes != sealed->what.key.bytes)
        return sl_fail(SL_ERR_INVALID, "the module has %llu bytes, not %llu",
                       (unsigned long long)bytes, (unsigned long long)sealed->what.key.bytes);
    u->bytes = (size_t)bytes;
    u->plain = malloc(u->bytes + 1);
    if (!u->plain)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a module of %zu bytes", u->bytes);
    sl_err err = sl_parcel_open(sealed->data_key, parcel, size, u->plain);
    if (err != SL_OK)
        drop_plain(u);
    return err;
}

/* What lies in the store is not needed once it is opened. */
static sl_err fetch_sealed(void *context, const void **bytes, size_t *size) {
    unsealing *u = context;
    const void *parcel;
    size_t parcel_bytes;
    char cause[512];
    SL_TRY(fetch(u->call, &parcel, &parcel_bytes));
    sl_err err = unseal(u, parcel, parcel_bytes);
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    fetched(u->call);
    if (err != SL_OK)
        return sl_fail(err, "the sealed module cannot be opened: %s", cause);
    *bytes = u->plain;
    *size = u->bytes;
    return SL_OK;
}

/* By the name of the function it is known on the way, to whoever counts, allows or writes down. */
static sl_err check_name(const char *function, const sl_module_call *what) {
    char prefix[SL_MODULE_PREFIX_BYTES];
    size_t length = sizeof prefix - 1, name = strlen(what->name);
    sl_module_key_prefix(&what->key, prefix);
    if (!function)
        return SL_OK;
    if (strncmp(function, prefix, length) == 0 && function[length] == '/' &&
        strncmp(function + length + 1, what->name, name) == 0 &&
        (!function[length + 1 + name] || function[length + 1 + name] == ':'))
        return SL_OK;
    return sl_fail(SL_ERR_INVALID, "a call of %s/%s, but named %.160s", prefix, what->name,
                   function);
}

static sl_err read_front(sl_call *call, sl_module_call *what) {
    if (call->sealed) {
        *what = call->sealed->what;
        call->module_name = call->sealed->object;
        return SL_OK;
    }
    if (call->count < SL_MODULE_VALUES || call->values[0].type != SL_TYPE_OBJECT)
        return sl_fail(SL_ERR_DECODE, "a call of a module without its file");
    SL_TRY(sl_module_about(&call->values[1], what));
    SL_TRY(check_name(call->facts->function, what));
    call->module_name = call->values[0].data;
    call->values += SL_MODULE_VALUES;
    call->count -= SL_MODULE_VALUES;
    return SL_OK;
}

static sl_err enter(sl_call *call) {
    sl_module_call what;
    bool came = false;
    const sl_network_node *node = call->facts ? sl_network_node_here(call->facts->node) : NULL;
    if (!node)
        return sl_fail(SL_ERR_CLOSED, "there is no network here");
    if (sl_config_enum(node->network->config, SL_OPT_MODULES) == MODULES_OFF)
        return sl_fail(SL_ERR_REFUSED, "this network takes no modules (--modules off)");
    SL_TRY(read_front(call, &what));
    unsealing u = {.call = call};
    sl_module_source source = {.get = fetch, .release = fetched, .context = call};
    if (call->sealed)
        source = (sl_module_source){
            .get = fetch_sealed, .release = drop_plain, .context = &u, .is_sealed = true};
    SL_TRY(sl_module_use(&what.key, &source, &came, &call->module));
    if (came)
        sl_metric_count(node->metrics, SL_METRIC_modules_loaded);
    SL_TRY(sl_loaded_module_task(call->module, what.name, &call->task));
    if (what.form == SL_MODULE_OF_VALUES)
        return sl_call_fetch_all(call);
    SL_TRY(sl_text_args_read(call->values, call->count, &call->text));
    call->values = sl_text_args_values(call->text, &call->count);
    return SL_OK;
}

/* ---- running ---- */

/* The answer is written for people; of an object what is in it: nobody would hold it. */
static sl_err run_for_text(sl_call *call) {
    sl_task_output *output = call->output, inside;
    sl_task_facts facts = *call->facts;
    facts.holds_objects = true;
    facts.owner = SL_NO_NODE;
    sl_task_output_init(&inside, output->limit_bytes);
    inside.facts = call->facts = &facts;
    call->output = &inside;
    sl_err err = sl_call_run_body(call);
    if (err == SL_OK && call->kept)
        err = sl_store_seal(call->result);
    if (err == SL_OK)
        err = sl_text_answer(&inside, (sl_object *)call->result, output);
    sl_store_object_release(call->result);
    call->result = NULL;
    call->output = output;
    call->facts = output->facts;
    sl_task_output_fini(&inside);
    return err;
}

sl_err sl_call_run_module(sl_call *call) {
    sl_err err = enter(call);
    if (err == SL_OK)
        err = call->text ? run_for_text(call) : sl_call_hand_over(call, sl_call_run_body(call));
    if (call->text) { /* its values go with it */
        sl_text_args_free(call->text);
        call->count = 0;
    }
    sl_module_release(call->own_module);
    if (call->module)
        sl_module_done(call->module);
    return err;
}

/* ---- tasks of a module that submit others of it ---- */

static sl_err make_own_module(sl_call *call) {
    sl_module_file file;
    SL_TRY(open_file(call));
    SL_TRY(sl_module_file_copy(sl_loaded_module_file(call->module), &file));
    uint8_t *data_key = NULL;
    sl_object *object = sl_object_retain(call->module_object);
    sl_err err = object ? SL_OK : SL_ERR_DEAD;
    if (err == SL_OK && call->sealed)
        err = sl_parcel_key_copy(call->sealed->data_key, &data_key);
    if (err == SL_OK)
        err = sl_module_make(sl_loaded_module_key(call->module), &file, object, &call->own_module);
    if (err == SL_OK) {
        call->own_module->data_key = data_key;
        return SL_OK;
    }
    sl_secret_destroy(data_key);
    sl_module_file_fini(&file);
    sl_object_release(object);
    return err;
}

const sl_task *sl_task_to_submit(const sl_task *task) {
    sl_call *call = sl_call_here();
    if (!task || task->options.last_ != SL_TASK_OF_LOADED)
        return task;
    if (!call || !call->module || !sl_loaded_module_has(call->module, task)) {
        (void)sl_fail(SL_ERR_INVALID,
                      "task %.100s is a module's: a task of that module may submit it, and who "
                      "has the module by sl_module_task()",
                      task->name);
        return NULL;
    }
    if (!call->own_module && make_own_module(call) != SL_OK)
        return NULL;
    return sl_module_task(call->own_module, task->name);
}
