#include "actors/scheduler/queue.h"

#include <stdlib.h>
#include <string.h>

void sl_queue_init(sl_queue_order *queue) {
    memset(queue, 0, sizeof *queue);
}

void sl_queue_fini(sl_queue_order *queue) {
    for (uint32_t i = 0; i < queue->shape_count; i++)
        sl_levels_fini(&queue->shapes[i].levels);
    sl_key_heap_fini(&queue->open);
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
    uint64_t hash =
        mix(mix(mix(mix(mix(0, task->cpus), task->gpus), task->memory_bytes), task->ucu_milli),
            task->region);
    return task->among ? mix(hash, (uint64_t)(uintptr_t)task->among) : hash;
}

static bool same_shape(const sl_shape *shape, const sl_task *task) {
    return shape->cpus == task->cpus && shape->gpus == task->gpus &&
           shape->memory_bytes == task->memory_bytes && shape->ucu_milli == task->ucu_milli &&
           shape->region == task->region && shape->among == task->among;
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
                    .region = shape->region,
                    .among = shape->among};
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
    SL_TRY(sl_key_heap_reserve(&queue->open, capacity));
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
                                                       .among = task->among,
                                                       .active_index = SL_TASK_NONE};
        *slot = queue->shape_count++;
    }
    *index = *slot;
    return SL_OK;
}

/* ---- tasks ---- */

/* Priorities beyond this order alike: else a key could overflow. */
enum { PRIORITY_MOST = 500000000 };

static int64_t key_of(const sl_task *task) {
    int64_t priority = task->priority;
    if (priority > PRIORITY_MOST)
        priority = PRIORITY_MOST;
    else if (priority < -PRIORITY_MOST)
        priority = -PRIORITY_MOST;
    return priority * (int64_t)SL_AGING_NS - (int64_t)task->arrival_ns;
}

static int64_t shape_key(const sl_shape *shape) {
    return shape->levels.order.items[0].key;
}

/* In a long queue the tasks are where nobody looked for long: while one is placed, those behind it
 * come. */
static void fetch_ahead(const sl_task_table *tasks, const sl_task *head) {
    __builtin_prefetch(head->payload);
    sl_task_fetch(tasks, head->next);
}

/* The first task of a level is another one. */
static void head_changed(sl_queue_order *queue, const sl_task_table *tasks, uint32_t index,
                         uint32_t level) {
    sl_levels *levels = &queue->shapes[index].levels;
    sl_key_heap_set(&levels->order, level, key_of(sl_task_at(tasks, levels->all[level].head)));
    if (sl_key_heap_has(&queue->open, index))
        sl_key_heap_set(&queue->open, index, shape_key(&queue->shapes[index]));
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
    SL_TRY(shape_of(queue, task, &index));
    sl_levels *levels = &queue->shapes[index].levels;
    uint32_t at = sl_levels_find(levels, task->priority);
    if (at == SL_LEVEL_NONE)
        SL_TRY(sl_levels_add(levels, task->priority, &at));
    sl_level *level = &levels->all[at];
    bool first = to_front || level->head == SL_TASK_NONE;
    task->shape = index;
    task->next = first ? level->head : SL_TASK_NONE;
    task->before = first ? SL_TASK_NONE : level->tail;
    if (level->head == SL_TASK_NONE)
        level->tail = task->slot;
    else if (first)
        sl_task_at(tasks, level->head)->before = task->slot;
    if (first) {
        level->head = task->slot;
        head_changed(queue, tasks, index, at);
    } else {
        sl_task_at(tasks, level->tail)->next = task->slot;
        level->tail = task->slot;
    }
    queue->shapes[index].count++;
    queue->count++;
    activate(queue, index);
    return SL_OK;
}

sl_task *sl_queue_first(const sl_queue_order *queue, const sl_task_table *tasks, uint32_t index) {
    const sl_levels *levels = &queue->shapes[index].levels;
    return levels->order.count ? sl_task_at(tasks, levels->all[levels->order.items[0].item].head)
                               : NULL;
}

/* The last task of its level was taken. */
static void level_emptied(sl_queue_order *queue, uint32_t index, uint32_t level) {
    sl_shape *shape = &queue->shapes[index];
    sl_levels_remove(&shape->levels, level);
    if (!shape->levels.order.count)
        sl_key_heap_remove(&queue->open, index);
    else if (sl_key_heap_has(&queue->open, index))
        sl_key_heap_set(&queue->open, index, shape_key(shape));
}

void sl_queue_take(sl_queue_order *queue, sl_task_table *tasks, sl_task *task) {
    sl_shape *shape = &queue->shapes[task->shape];
    uint32_t at = sl_levels_find(&shape->levels, task->priority);
    sl_level *level = &shape->levels.all[at];
    bool first = task->before == SL_TASK_NONE;
    *(first ? &level->head : &sl_task_at(tasks, task->before)->next) = task->next;
    *(task->next == SL_TASK_NONE ? &level->tail : &sl_task_at(tasks, task->next)->before) =
        task->before;
    task->next = task->before = SL_TASK_NONE;
    if (level->head == SL_TASK_NONE)
        level_emptied(queue, task->shape, at);
    else if (first) {
        head_changed(queue, tasks, task->shape, at);
        fetch_ahead(tasks, sl_task_at(tasks, level->head));
    }
    queue->count--;
    if (--shape->count == 0)
        deactivate(queue, task->shape);
}

/* ---- a pass ---- */

void sl_queue_close_all(sl_queue_order *queue) {
    sl_key_heap_clear(&queue->open);
}

void sl_queue_open(sl_queue_order *queue, uint32_t shape) {
    sl_key_heap_set(&queue->open, shape, shape_key(&queue->shapes[shape]));
}

void sl_queue_close(sl_queue_order *queue, uint32_t shape) {
    sl_key_heap_remove(&queue->open, shape);
}

sl_task *sl_queue_best(const sl_queue_order *queue, const sl_task_table *tasks) {
    return queue->open.count ? sl_queue_first(queue, tasks, queue->open.items[0].item) : NULL;
}
