/* `--array` and the texts that its members' are made of. The input: a byte, the list of indices, a
 * line feed, a text with placeholders. */
#include "sdk/task_array.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/line_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 };

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check(const sl_task_array *array) {
    require(array->count >= 1 && array->count <= MOST);
    for (uint32_t i = 0; i < array->count; i++)
        require(array->indices[i] <= SL_ARRAY_INDEX_MAX &&
                (i == 0 || array->indices[i] > array->indices[i - 1]));
}

static void fill(const char *text, const char *line, bool quote) {
    sl_strbuf out;
    sl_strbuf_init(&out, 1 << 20);
    sl_task_array_fill(&out, text, 7, line, quote);
    if (sl_strbuf_err(&out) == SL_OK) {
        require(strlen(out.data) == out.length);
        if (!sl_task_array_has_placeholder(text))
            require(strcmp(out.data, text) == 0);
    }
    sl_strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_task_array array = {0};
    if (!size)
        return 0;
    char *list = strndup((const char *)data + 1, size - 1);
    require(list != NULL);
    char *text = strchr(list, '\n');
    if (text)
        *text++ = '\0';
    sl_err err = sl_task_array_parse(&array, list, MOST);
    if (err == SL_OK)
        check(&array);
    else
        require((err == SL_ERR_SYNTAX || err == SL_ERR_INVALID) && sl_err_detail()[0]);
    if (text)
        fill(text, data[0] & 1 ? "it's a line" : NULL, data[0] & 2);
    sl_task_array_fini(&array);
    free(list);
    return 0;
}
