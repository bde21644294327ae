/* Inside of a task list, shared by the files that build it. Not for others. */
#ifndef SL_SDK_TASK_LIST_INTERNAL_H
#define SL_SDK_TASK_LIST_INTERNAL_H

#include "sdk/arena.h"
#include "sdk/task_fields.h"
#include "sdk/task_list.h"
#include "sdk/task_names.h"

/* What a name in the index stands for: the low 32 bits and one of these. */
#define SL_NAME_TASK  (0ull << 62) /* index of a spec */
#define SL_NAME_GROUP (1ull << 62) /* index of a group */
#define SL_NAME_BAD   (2ull << 62) /* a line (low 32 bits) with an error: known, but no task */
#define SL_NAME_KIND  (3ull << 62)

/* An array of tasks: its members stand together in the list. */
typedef struct sl_task_group {
    const char *name;
    sl_task_range members;
    uint32_t line;
} sl_task_group;

/* Dependencies not yet resolved: `tasks` wait for `names`. */
typedef struct sl_task_pending {
    sl_task_range tasks;
    const char **names;
    uint32_t name_count;
    uint32_t line;
    uint32_t column;
} sl_task_pending;

struct sl_task_list {
    char *source; /* NULL until known */
    sl_task_format format;
    const sl_task_array *array;
    sl_task_spec defaults;
    uint32_t max_tasks;

    sl_arena arena;   /* texts of the specs and groups */
    sl_arena scratch; /* names of dependencies; emptied by finish() */
    sl_task_fields_reader reader;
    sl_task_spec *specs;
    uint32_t count;
    sl_task_group *groups;
    uint32_t group_count;
    sl_task_pending *pending; /* in the order of the tasks */
    uint32_t pending_count;
    size_t spec_capacity, group_capacity, pending_capacity;

    sl_task_names names;
    sl_task_errors errors;
    uint32_t ordinal;  /* tasks (lines) seen so far: the number in a default name */
    bool nameless_bad; /* a bad line's names are not known: unknown names may be its */
    sl_strbuf text;    /* for putting texts together */
};

/* Records `SOURCE:LINE:COLUMN: FIELD: <the thread's error detail>`; `field` may be NULL. */
void sl_task_list_report(sl_task_list *list, uint64_t line, size_t column, const char *field);

/* Grows `*array` (elements of `size` bytes) so that element `count` exists. */
sl_err sl_task_list_grow(void **array, size_t *capacity, size_t count, size_t size) SL_CHECKED;

/* Adds the spec (name set), its name and its dependencies. SL_ERR_EXISTS: the name is taken, and
 * the error detail says by whom. */
sl_err sl_task_list_push(sl_task_list *list, const sl_task_spec *spec) SL_CHECKED;

/* Starts an array called `name` (copied already); `*group` is its index. SL_ERR_EXISTS. */
sl_err sl_task_list_push_group(sl_task_list *list, const char *name, uint32_t line,
                               uint32_t *group) SL_CHECKED;

sl_err sl_task_list_push_pending(sl_task_list *list, const sl_task_pending *pending) SL_CHECKED;

/* Adds the members that the list's array makes of `fields`. */
sl_err sl_task_list_expand(sl_task_list *list, const sl_task_fields *fields) SL_CHECKED;

/* Turns pending names into ranges; reports what does not resolve. */
sl_err sl_task_list_resolve(sl_task_list *list) SL_CHECKED;

/* SL_ERR_CYCLE (reported) when tasks wait for each other. Needs resolved dependencies. */
sl_err sl_task_list_check_cycles(sl_task_list *list) SL_CHECKED;

#endif
