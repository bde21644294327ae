/* Calls of a module by lists of tasks: JSON for arguments, text for an answer. */
#ifndef SL_SDK_TASK_TEXT_H
#define SL_SDK_TASK_TEXT_H

#include "actors/executor/functions.h"
#include "starlane.h"

/* Arguments read from JSON: an array's elements are one each, anything else is the only one. A
 * whole number is an i64, another an f64, a string a string, an array of numbers a vector of i64 or
 * f64, null nothing, true and false are 1 and 0. */
typedef struct sl_text_args sl_text_args;

/* From the only one of `values`, a string. SL_ERR_INVALID says which argument is none. */
sl_err sl_text_args_read(const sl_value *values, size_t count, sl_text_args **args) SL_CHECKED;
sl_value *sl_text_args_values(sl_text_args *args, size_t *count);
void sl_text_args_free(sl_text_args *args);

/* Writes the value that a body wrote to `from` as text (sl_value_text()) to `to`; `object` is what
 * it names, or what its data are in, or NULL. Waits for the object. */
sl_err sl_text_answer(const sl_task_output *from, sl_object *object, sl_task_output *to) SL_CHECKED;

#endif
