/* Design notes: a dependency on an array stays one range. For the search the array is a node of its
 * own between the waiting task and the members, so that work and memory are linear in what the file
 * says, not in pairs of members. The search keeps its own stack: a chain may be as long as the
 * list. */
#include "sdk/task_list_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- names to ranges ---- */

static const char *range_name(const sl_task_list *list, sl_task_range range) {
    const sl_task_spec *first = &list->specs[range.first];
    return range.count > 1 ? list->groups[first->group].name : first->name;
}

static int compare_ranges(const void *left, const void *right) {
    const sl_task_range *a = left, *b = right;
    return a->first != b->first ? (a->first > b->first) - (a->first < b->first)
                                : (a->count > b->count) - (a->count < b->count);
}

/* A task must not be waited for twice: by its name again, or by it and its array. */
static sl_err check_overlap(const sl_task_list *list, const sl_task_range *ranges, uint32_t count) {
    if (count < 2)
        return SL_OK;
    sl_task_range *sorted = malloc(count * sizeof *sorted);
    if (!sorted)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to check dependencies");
    memcpy(sorted, ranges, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_ranges);
    sl_err err = SL_OK;
    for (uint32_t i = 1; i < count && err == SL_OK; i++)
        if (sorted[i].first < sorted[i - 1].first + sorted[i - 1].count)
            err = sl_fail(SL_ERR_INVALID, "\"%s\" is waited for twice; name each task once",
                          range_name(list, sorted[i]));
    free(sorted);
    return err;
}

static sl_err resolve_name(const sl_task_list *list, const sl_task_pending *pending,
                           const char *name, sl_task_range *out, bool *known) {
    uint64_t value = 0;
    sl_err err = sl_task_names_find(&list->names, name, &value);
    *known = !(err != SL_OK && list->nameless_bad) && (value & SL_NAME_KIND) != SL_NAME_BAD;
    if (!*known)
        return SL_OK;
    if (err != SL_OK)
        return sl_fail(SL_ERR_INVALID,
                       "no task is called \"%.200s\"; give names of tasks of this list", name);
    sl_task_range range = {(uint32_t)value, 1};
    if ((value & SL_NAME_KIND) == SL_NAME_GROUP)
        range = list->groups[(uint32_t)value].members;
    if (range.first < pending->tasks.first + pending->tasks.count &&
        pending->tasks.first < range.first + range.count)
        return sl_fail(SL_ERR_INVALID, "\"%s\" waits for itself; give names of other tasks", name);
    *out = range;
    return SL_OK;
}

static sl_err resolve_pending(sl_task_list *list, const sl_task_pending *pending) {
    sl_task_range *ranges =
        sl_arena_alloc(&list->arena, pending->name_count * sizeof *ranges, _Alignof(sl_task_range));
    uint32_t count = 0;
    if (!ranges)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for dependencies");
    for (uint32_t i = 0; i < pending->name_count; i++) {
        bool known = false;
        SL_TRY(resolve_name(list, pending, pending->names[i], &ranges[count], &known));
        count += known && ranges[count].count > 0;
    }
    SL_TRY(check_overlap(list, ranges, count));
    for (uint32_t i = 0; i < pending->tasks.count; i++) {
        list->specs[pending->tasks.first + i].after = count > 0 ? ranges : NULL;
        list->specs[pending->tasks.first + i].after_count = count;
    }
    return SL_OK;
}

sl_err sl_task_list_resolve(sl_task_list *list) {
    for (uint32_t i = 0; i < list->pending_count; i++) {
        const sl_task_pending *pending = &list->pending[i];
        sl_err err = resolve_pending(list, pending);
        if (err == SL_ERR_INVALID)
            sl_task_list_report(list, pending->line, pending->column, "after");
        else if (err != SL_OK)
            return err;
    }
    return SL_OK;
}

/* ---- cycles ---- */

enum { WHITE, OPEN, DONE };

typedef struct frame {
    uint32_t node; /* a task, or count + group */
    uint32_t next; /* its next edge */
} frame;

typedef struct search {
    const sl_task_list *list;
    uint8_t *colour;
    frame *stack;
    size_t depth, capacity;
    uint32_t *order; /* or NULL: tasks as they are done with, each after those it waits for */
    uint32_t ordered;
} search;

/* The node a range stands for: the array when it is all of one, else the task. */
static uint32_t range_node(const sl_task_list *list, sl_task_range range) {
    return range.count > 1 ? list->count + list->specs[range.first].group : range.first;
}

/* Edge `edge` of `node`, or false when it has no more. */
static bool edge_of(const sl_task_list *list, uint32_t node, uint32_t edge, uint32_t *to) {
    if (node >= list->count) {
        sl_task_range members = list->groups[node - list->count].members;
        *to = members.first + edge;
        return edge < members.count;
    }
    const sl_task_spec *spec = &list->specs[node];
    if (edge >= spec->after_count)
        return false;
    *to = range_node(list, spec->after[edge]);
    return true;
}

static sl_err open_node(search *of, uint32_t node) {
    SL_TRY(sl_task_list_grow((void **)&of->stack, &of->capacity, of->depth, sizeof *of->stack));
    of->stack[of->depth++] = (frame){node, 0};
    of->colour[node] = OPEN;
    return SL_OK;
}

/* Searches from `root`; `*back` is the open node a cycle closes at, when SL_ERR_CYCLE. */
static sl_err search_from(search *of, uint32_t root, uint32_t *back) {
    SL_TRY(open_node(of, root));
    while (of->depth > 0) {
        frame *top = &of->stack[of->depth - 1];
        uint32_t to = 0;
        if (!edge_of(of->list, top->node, top->next, &to)) {
            of->colour[top->node] = DONE;
            if (of->order && top->node < of->list->count)
                of->order[of->ordered++] = top->node;
            of->depth--;
            continue;
        }
        top->next++;
        if (of->colour[to] == OPEN) {
            *back = to;
            return SL_ERR_CYCLE;
        }
        if (of->colour[to] == WHITE)
            SL_TRY(open_node(of, to));
    }
    return SL_OK;
}

/* The tasks (not arrays) of the cycle, compacted to the bottom of the stack; returns how many. */
static size_t cycle_tasks(search *of, uint32_t back) {
    size_t from = of->depth, count = 0, lowest = 0;
    while (of->stack[--from].node != back)
        continue;
    for (size_t i = from; i < of->depth; i++)
        if (of->stack[i].node < of->list->count)
            of->stack[count++].node = of->stack[i].node;
    for (size_t i = 1; i < count; i++)
        if (of->stack[i].node < of->stack[lowest].node)
            lowest = i;
    for (size_t i = 0; i < count; i++) /* `next` becomes the order of printing */
        of->stack[i].next = of->stack[(lowest + i) % count].node;
    return count;
}

static sl_err report_cycle(search *of, sl_task_list *list, uint32_t back) {
    char storage[900];
    sl_strbuf text;
    size_t count = cycle_tasks(of, back), shown = count < 12 ? count : 12;
    uint32_t first = of->stack[0].next;
    sl_strbuf_init_fixed(&text, storage, sizeof storage);
    for (size_t i = 0; i < shown; i++)
        sl_strbuf_printf(&text, "%.48s -> ", list->specs[of->stack[i].next].name);
    if (count > shown)
        sl_strbuf_printf(&text, "(%zu more) -> ", count - shown);
    sl_strbuf_printf(&text, "%.48s", list->specs[first].name);
    uint32_t column = 1;
    for (uint32_t i = 0; i < list->pending_count; i++)
        if (first - list->pending[i].tasks.first < list->pending[i].tasks.count)
            column = list->pending[i].column;
    sl_fail(SL_ERR_CYCLE,
            "a cycle, each task waits for the next: %s; remove one of these dependencies",
            text.data);
    sl_task_list_report(list, list->specs[first].line, column, "after");
    return SL_ERR_CYCLE;
}

sl_err sl_task_list_check_cycles(sl_task_list *list) {
    search of = {.list = list};
    uint32_t back = 0;
    of.colour = calloc((size_t)list->count + list->group_count + 1, 1);
    if (!of.colour)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to look for cycles");
    sl_err err = SL_OK;
    for (uint32_t i = 0; i < list->count && err == SL_OK; i++)
        if (list->specs[i].after_count > 0 && of.colour[i] == WHITE)
            err = search_from(&of, i, &back);
    if (err == SL_ERR_CYCLE)
        err = report_cycle(&of, list, back);
    free(of.colour);
    free(of.stack);
    return err;
}

sl_err sl_task_list_order(const sl_task_list *list, uint32_t *order) {
    search of = {.list = list, .order = order};
    uint32_t back = 0;
    of.colour = calloc((size_t)list->count + list->group_count + 1, 1);
    if (!of.colour)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to put %u tasks in order", list->count);
    sl_err err = SL_OK;
    for (uint32_t i = 0; i < list->count && err == SL_OK; i++)
        if (of.colour[i] == WHITE)
            err = search_from(&of, i, &back);
    free(of.colour);
    free(of.stack);
    return err;
}
