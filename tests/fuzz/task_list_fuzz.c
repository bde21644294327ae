/* Task files from bytes: the first byte picks the format and an array, the rest is the file. What
 * is accepted must survive being stored and read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/task_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_lines(sl_task_list *list, const char *text, size_t size) {
    uint64_t line = 0;
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t length = newline ? (size_t)(newline - text) : size;
        if (sl_task_list_add_line(list, ++line, text, length) != SL_OK)
            return;
        text += newline ? length + 1 : length;
        size -= newline ? length + 1 : length;
    }
}

static void store_and_read(const sl_task_list *list) {
    sl_task_list *again = NULL;
    if (sl_task_list_create(&(sl_task_list_options){.source = "stored"}, &again) != SL_OK)
        abort();
    for (uint32_t i = 0; i < sl_task_list_count(list); i++) {
        sl_strbuf text;
        sl_strbuf_init(&text, 64u << 20);
        sl_task_list_write_json(list, i, &text);
        if (sl_strbuf_err(&text) == SL_OK &&
            sl_task_list_add_stored(again, text.data, text.length) != SL_OK)
            abort();
        sl_strbuf_fini(&text);
    }
    if (sl_task_list_finish(again) != SL_OK ||
        sl_task_list_count(again) != sl_task_list_count(list) ||
        sl_task_list_dependency_count(again) != sl_task_list_dependency_count(list))
        abort();
    sl_task_list_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_task_list *list = NULL;
    sl_task_array array = {0};
    if (size == 0 || size > SL_TASK_LINE_MAX)
        return 0;
    if ((data[0] & 2) && sl_task_array_parse(&array, "0,9", 100) != SL_OK)
        abort();
    sl_task_list_options options = {.source = "fuzz",
                                    .format = data[0] & 1 ? SL_TASKS_SHELL : SL_TASKS_JSON,
                                    .array = data[0] & 2 ? &array : NULL};
    if (sl_task_list_create(&options, &list) != SL_OK)
        abort();
    add_lines(list, (const char *)data + 1, size - 1);
    if (sl_task_list_finish(list) == SL_OK)
        store_and_read(list);
    sl_task_list_destroy(list);
    sl_task_array_fini(&array);
    return 0;
}
