#include "actors/scheduler/queue.h"

#include <stdlib.h>
#include <string.h>

void sl_queue_init(sl_queue_order *queue) {
    memset(queue, 0, sizeof *queue);
}

void sl_queue_fini(sl_queue_order *queue) {
    for (uint32_t i = 0; i < queue->shape_count; i++)
        free(queue->shapes[i].levels);
    free(queue->shapes);
    free(queue->active);
    free(queue->table);
    memset(queue, 0, sizeof *queue);
}

static sl_err no_memory(void) {
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for the task queue");
}

/* ---- shapes ---- */

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t shape_hash(const sl_task *task) {
    return mix(mix(mix(mix(mix(0, task->cpus), task->gpus), task->memory_bytes), task->ucu_milli),
               task->region);
}

static bool same_shape(const sl_shape *shape, const sl_task *task) {
    return shape->cpus == task->cpus && shape->gpus == task->gpus &&
           shape->memory_bytes == task->memory_bytes && shape->ucu_milli == task->ucu_milli &&
           shape->region == task->region;
}

static uint32_t *table_slot(const sl_queue_order *queue, const sl_task *task) {
    uint64_t at = shape_hash(task);
    for (;; at++) {
        uint32_t *slot = &queue->table[at & (queue->table_size - 1)];
        if (*slot == SL_TASK_NONE || same_shape(&queue->shapes[*slot], task))
            return slot;
    }
}

static uint64_t stored_hash(const sl_shape *shape) {
    sl_task like = {.cpus = shape->cpus,
                    .gpus = shape->gpus,
                    .memory_bytes = shape->memory_bytes,
                    .ucu_milli = shape->ucu_milli,
                    .region = shape->region};
    return shape_hash(&like);
}

static sl_err shapes_grow(sl_queue_order *queue) {
    uint32_t capacity = queue->shape_capacity ? 2 * queue->shape_capacity : 16, size = 4 * capacity;
    sl_shape *shapes = realloc(queue->shapes, capacity * sizeof *shapes);
    if (!shapes)
        return no_memory();
    queue->shapes = shapes;
    uint32_t *active = realloc(queue->active, capacity * sizeof *active);
    if (!active)
        return no_memory();
    queue->active = active;
    uint32_t *table = malloc(size * sizeof *table);
    if (!table)
        return no_memory();
    memset(table, 0xff, size * sizeof *table);
    for (uint32_t i = 0; i < queue->shape_count; i++) {
        uint64_t at = stored_hash(&shapes[i]);
        while (table[at & (size - 1)] != SL_TASK_NONE)
            at++;
        table[at & (size - 1)] = i;
    }
    free(queue->table);
    queue->table = table;
    queue->table_size = size;
    queue->shape_capacity = capacity;
    return SL_OK;
}

static sl_err shape_of(sl_queue_order *queue, const sl_task *task, uint32_t *index) {
    if (queue->shape_count == queue->shape_capacity)
        SL_TRY(shapes_grow(queue));
    uint32_t *slot = table_slot(queue, task);
    if (*slot == SL_TASK_NONE) {
        queue->shapes[queue->shape_count] = (sl_shape){.cpus = task->cpus,
                                                       .gpus = task->gpus,
                                                       .memory_bytes = task->memory_bytes,
                                                       .ucu_milli = task->ucu_milli,
                                                       .region = task->region,
                                                       .active_index = SL_TASK_NONE};
        *slot = queue->shape_count++;
    }
    *index = *slot;
    return SL_OK;
}

/* ---- levels ---- */

static sl_level *level_find(sl_shape *shape, int32_t priority) {
    for (uint32_t i = 0; i < shape->level_count; i++) {
        if (shape->levels[i].priority == priority)
            return &shape->levels[i];
    }
    return NULL;
}

static sl_err level_of(sl_shape *shape, int32_t priority, sl_level **level) {
    *level = level_find(shape, priority);
    if (*level)
        return SL_OK;
    for (uint32_t i = 0; i < shape->level_count && !*level; i++) {
        if (shape->levels[i].head == SL_TASK_NONE) /* an empty one serves another priority */
            *level = &shape->levels[i];
    }
    if (!*level && shape->level_count == shape->level_capacity) {
        uint32_t capacity = shape->level_capacity ? 2 * shape->level_capacity : 2;
        sl_level *levels = realloc(shape->levels, capacity * sizeof *levels);
        if (!levels)
            return no_memory();
        shape->levels = levels;
        shape->level_capacity = capacity;
    }
    if (!*level)
        *level = &shape->levels[shape->level_count++];
    **level = (sl_level){priority, SL_TASK_NONE, SL_TASK_NONE};
    return SL_OK;
}

static void activate(sl_queue_order *queue, uint32_t index) {
    sl_shape *shape = &queue->shapes[index];
    if (shape->active_index != SL_TASK_NONE)
        return;
    shape->active_index = queue->active_count;
    queue->active[queue->active_count++] = index;
}

static void deactivate(sl_queue_order *queue, uint32_t index) {
    sl_shape *shape = &queue->shapes[index];
    uint32_t last = queue->active[--queue->active_count];
    queue->active[shape->active_index] = last;
    queue->shapes[last].active_index = shape->active_index;
    shape->active_index = SL_TASK_NONE;
}

sl_err sl_queue_put(sl_queue_order *queue, sl_task_table *tasks, sl_task *task, bool to_front) {
    uint32_t index;
    sl_level *level;
    SL_TRY(shape_of(queue, task, &index));
    SL_TRY(level_of(&queue->shapes[index], task->priority, &level));
    task->shape = index;
    task->next = to_front ? level->head : SL_TASK_NONE;
    if (level->head == SL_TASK_NONE)
        level->head = level->tail = task->slot;
    else if (to_front)
        level->head = task->slot;
    else {
        sl_task_at(tasks, level->tail)->next = task->slot;
        level->tail = task->slot;
    }
    queue->shapes[index].count++;
    queue->count++;
    activate(queue, index);
    return SL_OK;
}

static int64_t key_of(const sl_task *task) {
    return (int64_t)task->priority * (int64_t)SL_AGING_NS - (int64_t)task->arrival_ns;
}

sl_task *sl_queue_first(const sl_queue_order *queue, const sl_task_table *tasks, uint32_t index,
                        int64_t *key) {
    const sl_shape *shape = &queue->shapes[index];
    sl_task *first = NULL;
    for (uint32_t i = 0; i < shape->level_count; i++) {
        if (shape->levels[i].head == SL_TASK_NONE)
            continue;
        sl_task *head = sl_task_at(tasks, shape->levels[i].head);
        if (!first || key_of(head) > *key) {
            first = head;
            *key = key_of(head);
        }
    }
    return first;
}

void sl_queue_take(sl_queue_order *queue, sl_task_table *tasks, sl_task *task) {
    sl_shape *shape = &queue->shapes[task->shape];
    sl_level *level = level_find(shape, task->priority);
    sl_task *before = NULL;
    for (uint32_t at = level->head; at != task->slot; at = before->next)
        before = sl_task_at(tasks, at);
    if (before)
        before->next = task->next;
    else
        level->head = task->next;
    if (level->tail == task->slot)
        level->tail = before ? before->slot : SL_TASK_NONE;
    task->next = SL_TASK_NONE;
    queue->count--;
    if (--shape->count == 0)
        deactivate(queue, task->shape);
}
