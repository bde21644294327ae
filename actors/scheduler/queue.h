/* The priority queue: higher priority first, then order of arrival, and age counts.
 *
 * A waiting task gains one level of priority every SL_AGING_NS, so that none starves. Since all age
 * alike, the order of two tasks never changes: it is that of key = priority * SL_AGING_NS -
 * arrival. Tasks that ask for the same resources form a shape; what does not fit for one does not
 * fit for any of its shape, so a pass over the queue looks at the head of each shape, not at each
 * task. A pass opens the shapes that have room somewhere, and takes the best head of those still
 * open until none is. Whatever the number of tasks, putting and taking one is O(log priorities) in
 * its shape, and O(log shapes) during a pass. */
#ifndef SL_SCHEDULER_QUEUE_H
#define SL_SCHEDULER_QUEUE_H

#include "actors/scheduler/levels.h"
#include "actors/scheduler/task_table.h"

#define SL_AGING_NS (10 * SL_NS_PER_S)

typedef struct sl_shape {
    uint32_t cpus;
    uint32_t gpus;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
    uint32_t region;
    sl_among *among;
    uint32_t active_index; /* in queue->active; SL_TASK_NONE when nothing waits */
    uint64_t count;        /* tasks waiting */
    sl_levels levels;
} sl_shape;

typedef struct sl_queue_order {
    sl_shape *shapes;
    uint32_t shape_count;
    uint32_t shape_capacity;
    uint32_t *active; /* shapes with tasks waiting */
    uint32_t active_count;
    sl_key_heap open; /* shapes of the running pass, by the keys of their heads */
    uint32_t *table;  /* hash of shapes, open addressing; a power of two */
    uint32_t table_size;
    uint64_t count;
} sl_queue_order;

void sl_queue_init(sl_queue_order *queue);
void sl_queue_fini(sl_queue_order *queue);

/* Adds a task by its resources, priority and arrival_ns; sets task->shape. `to_front`: before the
 * others of its priority (it was placed once and came back). */
sl_err sl_queue_put(sl_queue_order *queue, sl_task_table *tasks, sl_task *task,
                    bool to_front) SL_CHECKED;

/* The task of a shape that goes first, NULL when none waits. */
sl_task *sl_queue_first(const sl_queue_order *queue, const sl_task_table *tasks, uint32_t shape);

/* Takes a task out, wherever it waits. */
void sl_queue_take(sl_queue_order *queue, sl_task_table *tasks, sl_task *task);

/* ---- a pass ---- */

/* No shape is open. */
void sl_queue_close_all(sl_queue_order *queue);

/* A shape in which tasks wait takes part; it closes with its last task. */
void sl_queue_open(sl_queue_order *queue, uint32_t shape);

/* Its tasks have room nowhere: it takes no part any more. */
void sl_queue_close(sl_queue_order *queue, uint32_t shape);

/* The task that goes first among the open shapes, NULL when none is open. */
sl_task *sl_queue_best(const sl_queue_order *queue, const sl_task_table *tasks);

#endif
