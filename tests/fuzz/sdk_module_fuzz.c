/* A module of any bytes: its head, segments, dynamic section and notes. What passes holds together;
 * what is said of a call of it, sealed or not, and arguments in text, are decoded too. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/module.h"
#include "sdk/seal.h"
#include "sdk/task_text.h"
#include "sdk/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check_task(const sl_module_file_task *task) {
    require(task->name[0] && memchr(task->name, '\0', sizeof task->name));
    require(memchr(task->region, '\0', sizeof task->region) != NULL);
    require(isfinite(task->options.ucu) && isfinite(task->options.timeout_s));
    require(task->options.cpus >= SL_NO_CPUS);
}

static void check_file(const uint8_t *data, size_t size) {
    sl_module_file file;
    if (sl_module_file_read(data, size, &file) != SL_OK)
        return;
    require(file.task_count && file.task_count <= SL_MODULE_TASKS_MOST);
    for (uint32_t i = 0; i < file.task_count; i++) {
        check_task(&file.tasks[i]);
        require(!i || strcmp(file.tasks[i - 1].name, file.tasks[i].name) < 0);
    }
    sl_module_file_fini(&file);
}

static void check_about(const uint8_t *data, size_t size) {
    sl_module_call call;
    sl_value value = sl_value_bytes(data, size);
    if (sl_module_about(&value, &call) == SL_OK)
        require(memchr(call.name, '\0', sizeof call.name) && call.form <= SL_MODULE_OF_TEXT);
}

/* Of a sealed call: the first section of what was in its envelope, and what carries that. */
static void check_sealed(const uint8_t *data, size_t size) {
    sl_module_sealed sealed = {.object = data};
    sl_value values[2];
    const sl_part section = {data, size};
    if (sl_module_sealed_read(section, &sealed) == SL_OK) {
        require(sealed.data_key == data && size > SL_PARCEL_KEY_BYTES);
        require(memchr(sealed.what.name, '\0', sizeof sealed.what.name) != NULL);
    }
    uint8_t *aligned = malloc(size + 1);
    require(aligned != NULL);
    if (size)
        memcpy(aligned, data, size);
    if (sl_seal_carrier_read(aligned, size, NULL, values) == SL_OK) {
        const uint8_t *end = aligned + size, *name = values[0].data, *envelope = values[1].data;
        require(name >= aligned && name + SL_VALUE_NAME_BYTES <= end);
        require(!values[1].bytes || (envelope >= aligned && envelope + values[1].bytes <= end));
    }
    free(aligned);
}

/* Arguments of a call in text. */
static void check_text(const uint8_t *data, size_t size) {
    sl_value text = {.type = SL_TYPE_STRING, .data = data, .bytes = size};
    sl_text_args *args;
    sl_value_size taken;
    size_t count;
    if (size > 256 || sl_text_args_read(&text, 1, &args) != SL_OK)
        return;
    const sl_value *values = sl_text_args_values(args, &count);
    require(count <= SL_ARGS_MAX && sl_values_measure(values, count, &taken) == SL_OK);
    sl_text_args_free(args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_file(data, size);
    check_about(data, size);
    check_sealed(data, size);
    check_text(data, size);
    return 0;
}
