/* The tasks of a run, in memory: read from a file, a pipe or the command line, checked whole, with
 * dependencies resolved. Nothing is run from a list that has one error.
 *
 *   create -> read (or add_command, or add_stored for --resume) -> finish -> at / find
 *
 * One task is about 150 bytes and its texts. One thread at a time; after finish() any number may
 * read. */
#ifndef SL_SDK_TASK_LIST_H
#define SL_SDK_TASK_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"
#include "runtime/strbuf.h"
#include "sdk/task_array.h"
#include "sdk/task_errors.h"
#include "sdk/task_spec.h"

typedef struct sl_task_list sl_task_list;

typedef enum sl_task_format {
    SL_TASKS_JSON, /* JSON Lines: an object a line; blank lines are skipped, comments are not JSON
                    */
    SL_TASKS_SHELL /* a shell command a line; blank lines and lines starting with # are skipped */
} sl_task_format;

typedef struct sl_task_list_options {
    const char *source; /* named in messages; NULL: the path given to read() */
    sl_task_format format;
    const sl_task_array *array;   /* borrowed; NULL: each task once */
    const sl_task_spec *defaults; /* copied, its strings borrowed; NULL: sl_task_spec_init() */
    uint32_t max_tasks;           /* 0: SL_TASK_COUNT_MAX */
} sl_task_list_options;

/* Borrowed pointers must outlive the list. */
sl_err sl_task_list_create(const sl_task_list_options *options, sl_task_list **list) SL_CHECKED;
void sl_task_list_destroy(sl_task_list *list);

/* Reads every line of `path` ("-": standard input). Bad lines are kept in the list's errors and are
 * no failure of this call. SL_ERR_IO, SL_ERR_NO_MEMORY, SL_ERR_TOO_LARGE (max_tasks exceeded). */
sl_err sl_task_list_read(sl_task_list *list, const char *path) SL_CHECKED;

/* One line, as read() does it for each. `line` counts from 1. */
sl_err sl_task_list_add_line(sl_task_list *list, uint64_t line, const char *text,
                             size_t length) SL_CHECKED;

/* One task (or one array) that runs `argv`. Errors as for a line, reported without a position. */
sl_err sl_task_list_add_command(sl_task_list *list, uint32_t argc,
                                const char *const *argv) SL_CHECKED;

/* One task from the text sl_task_list_write_json() made of it, in the order of that list. Any
 * defect is SL_ERR_INVALID or SL_ERR_SYNTAX at once. For lists created without an array. */
sl_err sl_task_list_add_stored(sl_task_list *list, const char *text, size_t length) SL_CHECKED;

/* Resolves the dependencies. SL_ERR_INVALID: there are errors (of lines, unknown names, a task
 * after itself …). SL_ERR_CYCLE: tasks wait for each other; the error names the cycle. */
sl_err sl_task_list_finish(sl_task_list *list) SL_CHECKED;

/* What is wrong so far; empty when nothing is. Belongs to the list. */
const sl_task_errors *sl_task_list_errors(const sl_task_list *list);

uint32_t sl_task_list_count(const sl_task_list *list);
/* Task `index` < count. Valid until the next add; for good after finish(). */
const sl_task_spec *sl_task_list_at(const sl_task_list *list, uint32_t index);

/* The task called `name`, or all members of the array called so. SL_ERR_NOT_FOUND. */
sl_err sl_task_list_find(const sl_task_list *list, const char *name,
                         sl_task_range *range) SL_CHECKED;

/* Every task's index into `order` (room for all), each behind those it waits for, else as in the
 * file. Only after finish(). SL_ERR_NO_MEMORY. */
sl_err sl_task_list_order(const sl_task_list *list, uint32_t *order) SL_CHECKED;

/* Single dependencies over all tasks: ranges counted by their members. */
uint64_t sl_task_list_dependency_count(const sl_task_list *list);

/* Appends the spec as one JSON object in normal form: fields in a fixed order, defaults left out.
 * The same spec gives the same text, and add_stored() gives the spec back. Only after finish(). */
void sl_task_list_write_json(const sl_task_list *list, uint32_t index, sl_strbuf *out);

/* Bytes held by the list. */
size_t sl_task_list_memory_bytes(const sl_task_list *list);

#endif
