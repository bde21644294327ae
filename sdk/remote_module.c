/* Modules from outside: the file is an object of the connection, and its tasks are calls with that
 * among their arguments. */
#include <stdlib.h>
#include <string.h>

#include "sdk/module.h"
#include "sdk/remote.h"
#include "sdk/remote_name.h"
#include "sdk/value.h"

int sl_remote_module_load(sl_remote *remote, const char *path, sl_module **module) {
    uint8_t *bytes;
    sl_module_key key;
    sl_module_file file;
    SL_TRY(sl_module_read(path, &bytes, &key, &file));
    sl_object *object = sl_remote_put(remote, sl_bytes(bytes, key.bytes));
    free(bytes);
    return sl_module_finish(SL_ERR_REFUSED, &key, &file, object, NULL, module);
}

int sl_remote_module_load_sealed(sl_remote *remote, const char *path, sl_module **module) {
    uint8_t *parcel, *data_key;
    size_t bytes;
    sl_module_key key;
    sl_module_file file;
    SL_TRY(sl_module_read_sealed(path, &parcel, &bytes, &data_key, &key, &file));
    sl_object *object = sl_remote_put(remote, sl_bytes(parcel, bytes));
    free(parcel);
    return sl_module_finish(SL_ERR_REFUSED, &key, &file, object, data_key, module);
}

sl_future *sl_remote_submit_task(sl_remote *remote, const sl_task *task, sl_args args,
                                 const sl_task_options *options) {
    if (!task || !sl_task_is_of_module(task)) {
        (void)sl_fail(SL_ERR_INVALID, "there is no task of a module to submit; a task of the "
                                      "network's programs goes by its name: sl_remote_submit()");
        return NULL;
    }
    options = options ? options : &task->options;
    if (sl_module_check_seal(task, options) != SL_OK)
        return NULL;
    if (options->sealed)
        return sl_remote_submit_sealed(remote, task, &args, NULL, options, NULL);
    size_t count = args.count + SL_MODULE_VALUES;
    sl_value *values = args.count <= SL_ARGS_MAX ? malloc(count * sizeof *values) : NULL;
    if (!values) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu arguments", args.count);
        return NULL;
    }
    sl_module_values(sl_module_entry_of(task), values);
    if (args.count)
        memcpy(values + SL_MODULE_VALUES, args.values, args.count * sizeof *values);
    sl_future *future = sl_remote_submit(remote, task->name, (sl_args){values, count}, options);
    free(values);
    return future;
}

sl_future *sl_remote_call_module(sl_remote *remote, const sl_task *task, const char *json,
                                 const sl_task_options *options,
                                 const struct sl_remote_teller *teller) {
    const sl_module_entry *entry = sl_module_entry_of(task);
    uint8_t about[sizeof entry->about];
    sl_value values[SL_MODULE_VALUES + 1];
    sl_value_size size;
    if (sl_module_check_seal(task, options) != SL_OK)
        return NULL;
    if (options->sealed)
        return sl_remote_submit_sealed(remote, task, NULL, json, options, teller);
    sl_module_text_values(entry, about, values);
    sl_store_id name = sl_remote_name_of(sl_remote_object_of(entry->module->object)->number);
    values[0] = (sl_value){.type = SL_TYPE_OBJECT, .data = &name};
    values[SL_MODULE_VALUES] = sl_string(json);
    if (sl_values_measure(values, SL_MODULE_VALUES + 1, &size) != SL_OK)
        return NULL;
    uint8_t *wire = malloc(size.bytes);
    if (!wire) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments");
        return NULL;
    }
    sl_values_encode(values, SL_MODULE_VALUES + 1, wire, NULL);
    sl_future *future =
        sl_remote_call_telling(remote, task->name, wire, size.bytes, options, teller);
    free(wire);
    return future;
}
