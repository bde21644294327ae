/* Task lists from texts, for the tests about them. */
#ifndef SL_TESTS_TASK_LISTS_H
#define SL_TESTS_TASK_LISTS_H

#include <stdint.h>
#include <string.h>

#include "sdk/task_list.h"

/* A text and a part of what is said about it. */
typedef struct bad_line {
    const char *text;
    const char *message;
} bad_line;

static inline sl_task_list *new_list(sl_task_format format, const sl_task_array *array) {
    sl_task_list *list = NULL;
    sl_err err = sl_task_list_create(
        &(sl_task_list_options){.source = "F", .format = format, .array = array}, &list);
    return err == SL_OK ? list : NULL;
}

/* Adds every line of `text`, finishes, and returns the list; `*err` is finish()'s answer. */
static inline sl_task_list *list_of_array(sl_task_format format, const sl_task_array *array,
                                          const char *text, sl_err *err) {
    sl_task_list *list = new_list(format, array);
    uint64_t number = 0;
    *err = SL_OK;
    while (*text != '\0' && *err == SL_OK) {
        size_t length = strcspn(text, "\n");
        *err = sl_task_list_add_line(list, ++number, text, length);
        text += length + (text[length] == '\n');
    }
    if (*err == SL_OK)
        *err = sl_task_list_finish(list);
    return list;
}

static inline sl_task_list *list_of(const char *text, sl_err *err) {
    return list_of_array(SL_TASKS_JSON, NULL, text, err);
}

static inline const char *first_error(const sl_task_list *list) {
    const sl_task_errors *errors = sl_task_list_errors(list);
    return errors->kept_count > 0 ? errors->kept[0].text : "(none)";
}

#endif
