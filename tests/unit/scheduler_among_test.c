/* Sets of nodes that tasks may run on: equal ones are one, and the queue and the nodes heed them.
 */
#include "tests/lib/test.h"

#include "actors/scheduler/nodes.h"
#include "actors/scheduler/queue.h"

static sl_bytes bits_of(const uint8_t *bits, uint32_t bytes) {
    return (sl_bytes){bits, bytes};
}

TEST(equal_sets_are_one_and_go_with_their_last_task) {
    const uint8_t odd[] = {0xaa, 0x02}, even[] = {0x55}, longer[] = {0x55, 0x00};
    sl_amongs all = {0};
    sl_among *a, *b, *c, *d, *none;
    CHECK_INT(sl_among_take(&all, bits_of(odd, 2), &a), SL_OK);
    CHECK_INT(sl_among_take(&all, bits_of(even, 1), &b), SL_OK);
    CHECK_INT(sl_among_take(&all, bits_of(odd, 2), &c), SL_OK);
    CHECK_INT(sl_among_take(&all, bits_of(longer, 2), &d), SL_OK);
    CHECK_INT(sl_among_take(&all, bits_of(NULL, 0), &none), SL_OK);
    CHECK(a == c && a != b && b != d && !none);
    CHECK_INT(all.count, 3);
    sl_among_give(&all, a);
    CHECK_INT(all.count, 3);
    sl_among_give(&all, c);
    CHECK_INT(all.count, 2);
    sl_among_give(&all, d), sl_among_give(&all, b), sl_among_give(&all, NULL);
    CHECK_INT(all.count, 0);
    CHECK(!all.first);
}

TEST(who_is_in_a_set) {
    const uint8_t bits[] = {0x01, 0x80};
    sl_amongs all = {0};
    sl_among *among;
    CHECK_INT(sl_among_take(&all, bits_of(bits, 2), &among), SL_OK);
    for (uint32_t node = 0; node < 40; node++)
        CHECK_INT(sl_among_has(among, node), node == 0 || node == 15);
    CHECK(sl_among_has(NULL, 1000000));
    CHECK(!sl_among_has(among, UINT32_MAX));
    sl_among_give(&all, among);
}

TEST(there_is_a_bound_to_sets) {
    sl_amongs all = {0};
    static sl_among *sets[200];
    sl_among *one;
    uint32_t number = 0;
    all.count = SL_AMONG_MOST - 200;
    for (; number < 200; number++)
        CHECK_INT(sl_among_take(&all, bits_of((uint8_t *)&number, 4), &sets[number]), SL_OK);
    CHECK_INT(sl_among_take(&all, bits_of((uint8_t *)&number, 4), &one), SL_ERR_TOO_LARGE);
    number = 7;
    CHECK_INT(sl_among_take(&all, bits_of((uint8_t *)&number, 4), &one), SL_OK); /* it is there */
    sl_among_give(&all, one);
    for (uint32_t i = 0; i < 200; i++)
        sl_among_give(&all, sets[i]);
    CHECK(!all.first);
}

TEST(tasks_of_another_set_are_of_another_shape) {
    const uint8_t bits[] = {0x02};
    sl_task_table tasks;
    sl_queue_order queue;
    sl_node_view here = {.node = 0, .offer = {.cores = 4}},
                 there = {.node = 1, .offer = {.cores = 4}};
    sl_task *made[4];
    sl_task_table_init(&tasks);
    sl_queue_init(&queue);
    for (int i = 0; i < 4; i++) {
        made[i] = sl_task_create(&tasks);
        made[i]->cpus = 1;
        CHECK_INT(sl_among_take(&tasks.amongs, bits_of(bits, i % 2), &made[i]->among), SL_OK);
        CHECK_INT(sl_queue_put(&queue, &tasks, made[i], false), SL_OK);
    }
    CHECK_INT(queue.shape_count, 2);
    CHECK(made[0]->shape == made[2]->shape && made[1]->shape == made[3]->shape);
    CHECK(made[0]->shape != made[1]->shape);
    CHECK(sl_node_fits_ever(&here, made[0]) && sl_node_fits_ever(&there, made[0]));
    CHECK(!sl_node_fits_ever(&here, made[1]) && sl_node_fits_ever(&there, made[1]));
    for (int i = 0; i < 4; i++) {
        sl_queue_take(&queue, &tasks, made[i]);
        sl_task_destroy(&tasks, made[i]);
    }
    CHECK_INT(tasks.amongs.count, 0);
    sl_queue_fini(&queue);
    sl_task_table_fini(&tasks);
}
