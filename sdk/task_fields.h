/* One line of a task file: a JSON object with the fields of a task, checked one by one. */
#ifndef SL_SDK_TASK_FIELDS_H
#define SL_SDK_TASK_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"
#include "sdk/arena.h"
#include "sdk/task_spec.h"

/* Where the fields' texts go, and what the last line used: tasks repeat their region and directory,
 * so one copy serves all. */
typedef struct sl_task_fields_reader {
    sl_arena *arena;   /* texts of the spec */
    sl_arena *pending; /* names of dependencies, needed until they are resolved */
    const char *memo[4];
    bool stored; /* reading what sl_task_list_write_json() wrote: `array` is a field too */
} sl_task_fields_reader;

typedef struct sl_task_fields {
    sl_task_spec spec;  /* name NULL when the object has none; `after` not set */
    const char **after; /* names, in the reader's `pending` arena */
    uint32_t after_count;
    const char *array;   /* stored objects only: the array it is a member of, or NULL */
    size_t after_column; /* of the field `after`, from 1 */
    const char *field;   /* after an error: the field at fault, or NULL (the object itself) */
    size_t column;       /* after an error: where, in characters from 1 */
} sl_task_fields;

/* Reads the object in `text`, starting from `defaults`. SL_ERR_SYNTAX: not one JSON object.
 * SL_ERR_INVALID: a field is wrong; then the cause is in sl_err_detail(), `fields->field` and
 * `->column` say where, and `fields->spec.name` is set if the name was good. SL_ERR_NO_MEMORY. */
sl_err sl_task_fields_read(sl_task_fields_reader *reader, const char *text, size_t length,
                           const sl_task_spec *defaults, sl_task_fields *fields) SL_CHECKED;

/* The column (characters from 1) of the key `name` of the JSON object in `text`; 1 when it is not
 * found (written with escapes). */
size_t sl_task_fields_column(const char *text, size_t length, const char *name);

#endif
