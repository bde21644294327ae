/* The priority queue: order, ageing, shapes; against a plain model on random traffic. */
#include "tests/lib/test.h"

#include "actors/scheduler/queue.h"
#include "runtime/clock.h"
#include "runtime/rng.h"

typedef struct fixture {
    sl_task_table tasks;
    sl_queue_order queue;
} fixture;

static void setup(fixture *f) {
    sl_task_table_init(&f->tasks);
    sl_queue_init(&f->queue);
}

static void teardown(fixture *f) {
    sl_queue_fini(&f->queue);
    sl_task_table_fini(&f->tasks);
}

static sl_task *add(fixture *f, int32_t priority, uint32_t cpus, uint64_t arrival_ns) {
    sl_task *task = sl_task_create(&f->tasks);
    task->priority = priority;
    task->cpus = cpus;
    task->arrival_ns = arrival_ns;
    CHECK_INT(sl_queue_put(&f->queue, &f->tasks, task, false), SL_OK);
    return task;
}

/* The best of all shapes, as the scheduler picks it. */
static sl_task *best(fixture *f) {
    sl_queue_close_all(&f->queue);
    for (uint32_t i = 0; i < f->queue.active_count; i++)
        sl_queue_open(&f->queue, f->queue.active[i]);
    return sl_queue_best(&f->queue, &f->tasks);
}

static sl_task *take(fixture *f) {
    sl_task *task = best(f);
    if (task)
        sl_queue_take(&f->queue, &f->tasks, task);
    return task;
}

TEST(equal_priorities_keep_the_order_of_arrival) {
    fixture f;
    setup(&f);
    sl_task *tasks[10];
    for (uint64_t i = 0; i < 10; i++)
        tasks[i] = add(&f, 0, 1 + i % 3, 1000 + i);
    for (int i = 0; i < 10; i++)
        CHECK(take(&f) == tasks[i]);
    CHECK(take(&f) == NULL);
    CHECK_INT(f.queue.count, 0);
    CHECK_INT(f.queue.active_count, 0);
    teardown(&f);
}

TEST(higher_priority_goes_first_until_age_outweighs_it) {
    fixture f;
    setup(&f);
    sl_task *old = add(&f, 0, 1, 0);
    sl_task *young = add(&f, 3, 1, 2 * SL_AGING_NS);
    sl_task *too_young = add(&f, 3, 1, 4 * SL_AGING_NS);
    CHECK(take(&f) == young);
    CHECK(take(&f) == old); /* it waited four levels' worth: nobody starves */
    CHECK(take(&f) == too_young);
    teardown(&f);
}

TEST(what_came_back_goes_before_its_equals) {
    fixture f;
    setup(&f);
    sl_task *first = add(&f, 1, 1, 1), *second = add(&f, 1, 1, 2);
    CHECK(take(&f) == first);
    CHECK_INT(sl_queue_put(&f.queue, &f.tasks, first, true), SL_OK);
    CHECK(take(&f) == first);
    CHECK(take(&f) == second);
    teardown(&f);
}

TEST(any_task_can_be_taken_out) {
    fixture f;
    setup(&f);
    sl_task *tasks[5];
    for (uint64_t i = 0; i < 5; i++)
        tasks[i] = add(&f, 0, 1, i);
    sl_queue_take(&f.queue, &f.tasks, tasks[2]);
    sl_queue_take(&f.queue, &f.tasks, tasks[4]);
    sl_task *last = add(&f, 0, 1, 9); /* the tail was mended */
    CHECK(take(&f) == tasks[0]);
    CHECK(take(&f) == tasks[1]);
    CHECK(take(&f) == tasks[3]);
    CHECK(take(&f) == last);
    teardown(&f);
}

/* A model that looks at every task. */
static sl_task *model_best(sl_task **waiting, int count, int *at) {
    int chosen = -1;
    for (int i = 0; i < count; i++) {
        int64_t key =
            (int64_t)waiting[i]->priority * (int64_t)SL_AGING_NS - (int64_t)waiting[i]->arrival_ns;
        int64_t best_key = chosen < 0 ? 0
                                      : (int64_t)waiting[chosen]->priority * (int64_t)SL_AGING_NS -
                                            (int64_t)waiting[chosen]->arrival_ns;
        if (chosen < 0 || key > best_key)
            chosen = i;
    }
    *at = chosen;
    return waiting[chosen];
}

/* Tasks come, go in order, are taken out of the middle, and come back to the front. */
static void random_traffic(uint32_t priorities, uint32_t shapes, uint64_t seed) {
    enum { STEPS = 6000, MOST = 512 };
    fixture f;
    setup(&f);
    sl_task *waiting[MOST];
    int count = 0, at;
    sl_rng rng;
    sl_rng_seed(&rng, seed);
    for (uint64_t step = 0; step < STEPS; step++) {
        if (count < MOST && (count == 0 || sl_rng_below(&rng, 2))) {
            /* arrival grows, as in life; its step divides no level, so no two keys are equal */
            waiting[count++] =
                add(&f, (int32_t)sl_rng_below(&rng, priorities) - 3,
                    1 + (uint32_t)sl_rng_below(&rng, shapes), step * (SL_AGING_NS / 64 + 7));
            continue;
        }
        sl_task *expected = model_best(waiting, count, &at), *got = take(&f);
        CHECK(got == expected);
        if (sl_rng_below(&rng, 8) == 0) {
            CHECK_INT(sl_queue_put(&f.queue, &f.tasks, got, true), SL_OK);
            CHECK(take(&f) == got);
        }
        waiting[at] = waiting[--count];
        sl_task_destroy(&f.tasks, got);
        if (count && sl_rng_below(&rng, 8) == 0) {
            at = (int)sl_rng_below(&rng, (uint64_t)count);
            sl_queue_take(&f.queue, &f.tasks, waiting[at]);
            sl_task_destroy(&f.tasks, waiting[at]);
            waiting[at] = waiting[--count];
        }
    }
    CHECK_INT(f.queue.count, count);
    teardown(&f);
}

TEST(random_traffic_comes_out_as_the_model_says) {
    random_traffic(7, 40, 5);
    random_traffic(7, 1, 6);
    random_traffic(300, 2, 7);
    random_traffic(400000000, 3, 8);
}

/* In one pass, as the scheduler makes it: shapes close when they are found full. */
TEST(a_pass_takes_the_best_of_what_is_open) {
    fixture f;
    setup(&f);
    sl_task *tasks[6];
    for (uint64_t i = 0; i < 6; i++)
        tasks[i] = add(&f, 5 - (int32_t)i, 1 + i % 3, 0);
    sl_queue_close_all(&f.queue);
    CHECK(sl_queue_best(&f.queue, &f.tasks) == NULL);
    for (int i = 0; i < 3; i++)
        sl_queue_open(&f.queue, tasks[i]->shape);
    CHECK(sl_queue_best(&f.queue, &f.tasks) == tasks[0]);
    sl_queue_take(&f.queue, &f.tasks, tasks[0]);
    CHECK(sl_queue_best(&f.queue, &f.tasks) == tasks[1]);
    sl_queue_close(&f.queue, tasks[1]->shape);
    CHECK(sl_queue_best(&f.queue, &f.tasks) == tasks[2]);
    sl_queue_take(&f.queue, &f.tasks, tasks[2]);
    CHECK(sl_queue_best(&f.queue, &f.tasks) == tasks[3]);
    CHECK_INT(sl_queue_put(&f.queue, &f.tasks, tasks[2], true), SL_OK); /* its shape is open */
    CHECK(sl_queue_best(&f.queue, &f.tasks) == tasks[2]);
    sl_queue_take(&f.queue, &f.tasks, tasks[2]);
    sl_queue_take(&f.queue, &f.tasks, tasks[3]);
    sl_queue_take(&f.queue, &f.tasks, tasks[5]);
    CHECK(sl_queue_best(&f.queue, &f.tasks) == NULL); /* what waits is in a closed shape */
    CHECK_INT(f.queue.count, 2);
    teardown(&f);
}

static uint64_t looks(const fixture *f) {
    uint64_t sum = f->queue.open.looks;
    for (uint32_t i = 0; i < f->queue.shape_count; i++)
        sum += f->queue.shapes[i].levels.looks + f->queue.shapes[i].levels.order.looks;
    return sum;
}

/* Each task its own priority, then each its own shape: the work of a task grows with their
 * logarithm (2 * 15 comparisons for the way down a heap of 20,000), not with their number. */
TEST(thousands_of_priorities_and_shapes_cost_little_a_task) {
    enum { MANY = 20000, LOOKS_A_TASK = 100 };
    for (int shapes = 0; shapes < 2; shapes++) {
        fixture f;
        setup(&f);
        sl_rng rng;
        sl_rng_seed(&rng, 9);
        for (uint32_t i = 0; i < MANY; i++) {
            sl_task *task = sl_task_create(&f.tasks);
            task->priority = (int32_t)(i * 7919 % MANY) - MANY / 2;
            task->cpus = shapes ? i : 1;
            CHECK_INT(sl_queue_put(&f.queue, &f.tasks, task, false), SL_OK);
        }
        sl_queue_close_all(&f.queue);
        for (uint32_t i = 0; i < f.queue.active_count; i++)
            sl_queue_open(&f.queue, f.queue.active[i]);
        for (int32_t priority = MANY / 2; priority-- > -MANY / 2;) {
            sl_task *task = sl_queue_best(&f.queue, &f.tasks);
            CHECK_INT(task->priority, priority);
            sl_queue_take(&f.queue, &f.tasks, task);
        }
        CHECK(looks(&f) < (uint64_t)MANY * LOOKS_A_TASK);
        CHECK(looks(&f) > MANY); /* it does count */
        CHECK_INT(f.queue.count, 0);
        teardown(&f);
    }
}

/* As when a program cancels what it has submitted, the last first: were each looked for from the
 * front, it would take minutes. */
TEST(any_task_of_many_is_taken_out_at_once) {
    enum { MANY = 400000 };
    fixture f;
    setup(&f);
    sl_task **tasks = malloc(MANY * sizeof *tasks);
    REQUIRE(tasks);
    for (uint32_t i = 0; i < MANY; i++)
        tasks[i] = add(&f, 0, 1, i);
    for (uint32_t i = MANY; i-- > 1;)
        sl_queue_take(&f.queue, &f.tasks, tasks[i]);
    CHECK(take(&f) == tasks[0]);
    CHECK(take(&f) == NULL);
    free(tasks);
    teardown(&f);
}

TEST(an_extreme_priority_has_its_place) {
    fixture f;
    setup(&f);
    sl_task *least = add(&f, INT32_MIN, 1, 5), *most = add(&f, INT32_MAX, 2, 5),
            *usual = add(&f, 0, 1, 5);
    CHECK(take(&f) == most);
    CHECK(take(&f) == usual);
    CHECK(take(&f) == least);
    teardown(&f);
}

TEST(numbers_of_ended_tasks_find_nothing) {
    fixture f;
    setup(&f);
    sl_task *task = sl_task_create(&f.tasks);
    uint64_t number = sl_task_number(task);
    CHECK(sl_task_find(&f.tasks, number) == task);
    sl_task_destroy(&f.tasks, task);
    CHECK(sl_task_find(&f.tasks, number) == NULL);
    sl_task *next = sl_task_create(&f.tasks);
    CHECK(next == task); /* the slot is used again */
    CHECK(sl_task_find(&f.tasks, number) == NULL);
    CHECK(sl_task_find(&f.tasks, UINT64_MAX) == NULL);
    teardown(&f);
}

TEST(tags_remember_how_tasks_ended) {
    fixture f;
    setup(&f);
    uint32_t me = sl_task_submitter(&f.tasks, (sl_addr){0, 4, 0}),
             other = sl_task_submitter(&f.tasks, (sl_addr){1, 4, 0});
    CHECK(me != other);
    CHECK_INT(sl_task_submitter(&f.tasks, (sl_addr){0, 4, 0}), me);
    sl_task *task = sl_task_create(&f.tasks), *found = NULL;
    CHECK_INT(sl_task_tag_set(&f.tasks, me, 70000, SL_TAG_LIVE, task->slot), SL_OK);
    CHECK_INT(sl_task_by_tag(&f.tasks, me, 70000, &found), SL_TAG_LIVE);
    CHECK(found == task);
    CHECK_INT(sl_task_by_tag(&f.tasks, other, 70000, &found), SL_TAG_UNKNOWN);
    CHECK_INT(sl_task_by_tag(&f.tasks, me, 70001, &found), SL_TAG_UNKNOWN);
    CHECK_INT(sl_task_tag_set(&f.tasks, me, 70000, SL_TAG_NOT_DONE, 0), SL_OK);
    CHECK_INT(sl_task_by_tag(&f.tasks, me, 70000, &found), SL_TAG_NOT_DONE);
    teardown(&f);
}
