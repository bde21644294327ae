/* What the executor says: results and refusals to owners, what is free to the registry. */
#include "actors/executor/executor_internal.h"

#include <stdlib.h>

enum {
    RESULTS_MOST = 1024,  /* in one message */
    RESULTS_BYTES = 8192, /* and about so many bytes, so that it travels in a frame */
    RESULT_BYTES = 96     /* of one without its message and output */
};
static const uint64_t free_period_ns = 20 * SL_NS_PER_MS;

void sl_executor_refuse(sl_executor *executor, sl_addr owner, uint64_t task, uint32_t attempt,
                        sl_err why) {
    scheduler_refused_one one = {task, attempt, (uint32_t)why};
    scheduler_refused refused = {.attempts = {&one, 1}};
    /* A refusal that finds no room would leave the task assigned for ever: it goes as a result
     * instead, which waits for room. */
    if (scheduler_refused_send(executor->self, owner, &refused) == SL_OK)
        return;
    sl_attempt *answer = sl_slab_take(&executor->slab, sizeof *answer);
    if (!answer)
        return;
    *answer =
        (sl_attempt){.owner = owner, .result = {.task = task, .attempt = attempt, .exit_code = -1}};
    sl_attempt_end(executor, answer, SL_TASK_NOT_STARTED, "refused by a busy node");
}

/* The results of the longest run of one owner at the head of the list. */
static uint32_t gather(const sl_attempts *ended, scheduler_result *results) {
    sl_addr owner = ended->head->owner;
    uint32_t count = 0;
    size_t bytes = 0;
    for (const sl_attempt *attempt = ended->head;
         attempt && count < RESULTS_MOST && bytes < RESULTS_BYTES &&
         sl_addr_equal(attempt->owner, owner);
         attempt = attempt->next) {
        results[count++] = attempt->result;
        bytes += RESULT_BYTES + attempt->result.message.bytes + attempt->result.output.bytes;
    }
    return count;
}

void sl_executor_send_ended(sl_executor *executor) {
    if (!executor->ended.head)
        return;
    scheduler_result *results = malloc(RESULTS_MOST * sizeof *results);
    while (results && executor->ended.head) {
        uint32_t count = gather(&executor->ended, results);
        sl_addr owner = executor->ended.head->owner;
        scheduler_results body = {.results = {results, count}};
        sl_err err = scheduler_results_send(executor->self, owner, &body);
        if (err == SL_ERR_AGAIN) {
            sl_await_room(executor->self, owner);
            break;
        }
        if (err != SL_OK)
            sl_debug("executor", "%u results for an owner that is gone: %s", count,
                     sl_err_detail());
        for (uint32_t i = 0; i < count; i++)
            sl_attempt_destroy(executor, sl_attempts_pop(&executor->ended));
    }
    free(results);
}

static void tell_registry(sl_executor *executor) {
    sl_grant_request all = sl_grant_offered(executor->grants),
                     free_now = sl_grant_free(executor->grants);
    registry_offer offer = {.cores = all.cores,
                            .cores_free = free_now.cores,
                            .gpus = all.gpus,
                            .gpus_free = free_now.gpus,
                            .memory_bytes = all.memory_bytes,
                            .memory_free_bytes = free_now.memory_bytes,
                            .ucu_milli = all.ucu_milli,
                            .ucu_free_milli = free_now.ucu_milli,
                            .running = executor->running_count,
                            .backlog = executor->backlog.count};
    registry_free body = {.offer = {&offer, 1}};
    (void)registry_free_send(
        executor->self,
        sl_addr_well_known(sl_node_id(sl_actor_node(executor->self)), SL_SLOT_REGISTRY), &body);
}

/* At most once in a period: the view of others is stale by more than that anyway. */
void sl_executor_report_free(sl_executor *executor) {
    if (!executor->free_changed || executor->free_timer)
        return;
    uint64_t now_ns = sl_now_ns(executor->self);
    if (now_ns - executor->told_free_ns < free_period_ns) {
        executor->free_timer = sl_timer_start(executor->self, free_period_ns, 0);
        return;
    }
    executor->told_free_ns = now_ns;
    executor->free_changed = false;
    tell_registry(executor);
}
