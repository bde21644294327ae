/* What the executor says: results and refusals to owners, what is free to the registry. */
#include "actors/executor/executor_internal.h"
#include "runtime/plant.h"

#include <stdlib.h>

enum {
    RESULTS_MOST = 1024,  /* in one message */
    RESULTS_BYTES = 8192, /* and about so many bytes, so that it travels in a frame */
    RESULT_BYTES = 96,    /* of one without its message and output */
    REFUSALS_MOST = 64    /* in one message */
};
static const uint64_t free_period_ns = 20 * SL_NS_PER_MS;

/* What finds no memory to leave is said again soon. */
static void say_later(sl_executor *executor) {
    if (!executor->free_timer)
        executor->free_timer = sl_timer_start(executor->self, free_period_ns, SL_EXECUTOR_FREE);
}

/* ---- refusals ---- */

/* A refusal that were lost would leave the task assigned for ever: it waits for room like a
 * result. */
void sl_executor_refuse(sl_executor *executor, sl_addr owner, uint64_t task, uint32_t attempt,
                        sl_err why) {
    if (SL_PLANT(refusal_lost))
        return;
    sl_attempt *answer = sl_slab_take(&executor->slab, sizeof *answer);
    if (!answer) {
        sl_error("executor", "no memory to refuse an attempt");
        executor->out_of_memory = true;
        return;
    }
    *answer = (sl_attempt){
        .owner = owner, .refusal = (uint32_t)why, .result = {.task = task, .attempt = attempt}};
    sl_attempts_push(&executor->refused, answer);
}

/* Those of one owner at the head of the list. */
static uint32_t gather_refused(const sl_attempts *refused, scheduler_refused_one *ones) {
    uint32_t count = 0;
    for (const sl_attempt *attempt = refused->head;
         attempt && count < REFUSALS_MOST && sl_addr_equal(attempt->owner, refused->head->owner);
         attempt = attempt->next)
        ones[count++] = (scheduler_refused_one){attempt->result.task, attempt->result.attempt,
                                                attempt->refusal};
    return count;
}

void sl_executor_send_refused(sl_executor *executor) {
    scheduler_refused_one ones[REFUSALS_MOST];
    while (executor->refused.head) {
        sl_addr owner = executor->refused.head->owner;
        uint32_t count = gather_refused(&executor->refused, ones);
        scheduler_refused body = {.attempts = {ones, count}};
        sl_err err = scheduler_refused_send(executor->self, owner, &body);
        if (err == SL_ERR_AGAIN) {
            sl_await_room(executor->self, owner);
            return;
        }
        if (err == SL_ERR_NO_MEMORY) {
            say_later(executor);
            return;
        }
        if (err != SL_OK)
            sl_debug("executor", "%u refusals for an owner that is gone: %s", count,
                     sl_err_detail());
        for (uint32_t i = 0; i < count; i++)
            sl_attempt_destroy(executor, sl_attempts_pop(&executor->refused));
    }
}

/* ---- results ---- */

/* The results of the longest run of one owner at the head of the list; one with data apart goes
 * alone. */
static uint32_t gather(const sl_attempts *ended, scheduler_result *results, uint32_t most) {
    sl_addr owner = ended->head->owner;
    uint32_t count = 0;
    size_t bytes = 0;
    for (const sl_attempt *attempt = ended->head;
         attempt && count < most && bytes < RESULTS_BYTES && sl_addr_equal(attempt->owner, owner) &&
         (!attempt->apart || !count);
         attempt = attempt->next) {
        results[count++] = attempt->result;
        bytes += RESULT_BYTES + attempt->result.message.bytes + attempt->result.output.bytes;
        if (attempt->apart)
            break;
    }
    return count;
}

void sl_executor_send_ended(sl_executor *executor) {
    if (!executor->ended.head)
        return;
    scheduler_result one = {0}, *many = malloc(RESULTS_MOST * sizeof *many);
    /* cppcheck-suppress uninitdata ; gather() fills what is sent */
    scheduler_result *results = many ? many : &one;
    while (executor->ended.head) {
        uint32_t count = gather(&executor->ended, results, many ? RESULTS_MOST : 1);
        sl_addr owner = executor->ended.head->owner;
        scheduler_results body = {.results = {results, count},
                                  .apart = executor->ended.head->apart};
        sl_err err = scheduler_results_send(executor->self, owner, &body);
        if (err == SL_ERR_AGAIN && !SL_PLANT(result_lost)) {
            sl_await_room(executor->self, owner);
            break;
        }
        if (err == SL_ERR_NO_MEMORY) {
            say_later(executor);
            break;
        }
        if (err != SL_OK)
            sl_debug("executor", "%u results for an owner that is gone: %s", count,
                     sl_err_detail());
        for (uint32_t i = 0; i < count; i++) {
            sl_attempt *attempt = sl_attempts_pop(&executor->ended);
            sl_attempt_settle(attempt, err == SL_OK);
            sl_attempt_destroy(executor, attempt);
        }
    }
    free(many);
}

/* ---- what is free ---- */

static sl_err tell_registry(sl_executor *executor) {
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
                            .backlog = executor->backlog.count + executor->ahead_count};
    registry_free body = {.offer = {&offer, 1}};
    return registry_free_send(
        executor->self,
        sl_addr_well_known(sl_node_id(sl_actor_node(executor->self)), SL_SLOT_REGISTRY), &body);
}

/* At most once in a period: the view of others is stale by more than that anyway. */
void sl_executor_report_free(sl_executor *executor) {
    if (!executor->free_changed || executor->free_timer)
        return;
    uint64_t now_ns = sl_now_ns(executor->self);
    if (now_ns - executor->told_free_ns < free_period_ns) {
        executor->free_timer = sl_timer_start(executor->self, free_period_ns, SL_EXECUTOR_FREE);
        return;
    }
    executor->told_free_ns = now_ns;
    sl_err err = tell_registry(executor);
    executor->free_changed = err == SL_ERR_AGAIN || err == SL_ERR_NO_MEMORY;
    if (executor->free_changed) /* others may be waiting for these very cores */
        executor->free_timer = sl_timer_start(executor->self, free_period_ns, SL_EXECUTOR_FREE);
}
