/* Functions that wait for other tasks: the thread's side, and the loop's.
 *
 * Design notes
 * Between the two events of a wait its run belongs to the loop, which splits the row and takes the
 * cores; the thread looks at the run again only once it was granted them, or once the executor is
 * gone. Both events lie in the run: the second is sent before the
 * run's end, and events of one thread arrive in order. */
#include "actors/executor/waiting.h"

#include "actors/executor/executor_internal.h"
#include "runtime/futex.h"

static _Thread_local sl_run *here;

void sl_executor_run_here(sl_run *run) {
    here = run;
}

void *sl_executor_wait_swap(void *run) {
    void *old = here;
    here = run;
    return old;
}

/* ---- the thread ---- */

static void nobody(sl_event *event) {
    (void)event;
}

/* With the executor gone nobody answers, and an event may still be on its way as it comes up again.
 */
static void tell(sl_run *run, sl_event *event, uint32_t kind) {
    if (atomic_load(&run->again) == SL_RUN_ABANDONED)
        return;
    *event = (sl_event){.to = run->job.event.to, .kind = kind, .drop = nobody};
    sl_notify(run->node, event);
}

sl_err sl_executor_wait_begin(void) {
    sl_run *run = here;
    if (!run)
        return SL_OK;
    SL_TRY(sl_pool_wait_begin(run->pool));
    tell(run, &run->waits, SL_EXECUTOR_WAITS);
    return SL_OK;
}

void sl_executor_wait_end(void) {
    sl_run *run = here;
    uint32_t granted = SL_RUN_GRANTED;
    if (!run)
        return;
    tell(run, &run->goes_on, SL_EXECUTOR_GOES_ON);
    while (atomic_load(&run->again) == SL_RUN_NOT_YET)
        sl_futex_wait(&run->again, SL_RUN_NOT_YET, SL_FUTEX_FOREVER);
    atomic_compare_exchange_strong(&run->again, &granted, SL_RUN_NOT_YET);
    sl_pool_wait_end(run->pool);
}

/* ---- the loop ---- */

void sl_executor_release_run(sl_run *run) {
    atomic_store(&run->again, SL_RUN_ABANDONED);
    sl_futex_wake(&run->again);
}

static void owe(sl_executor *executor, sl_run *run) {
    executor->owed += !run->owes;
    run->owes = true;
}

/* Only the one that waits stays: those before it have ended, and somebody may wait for them,
 * perhaps this very run; those after it have not begun. */
void sl_executor_on_waits(sl_executor *executor, sl_run *run) {
    sl_executor_split_row(executor, run);
    run->lent = run->grant.amount;
    if (sl_grant_lend(executor->grants, &run->grant) != SL_OK)
        sl_error("executor", "the cores of a waiting task stay taken: %s", sl_err_detail());
    executor->free_changed = true;
    run->is_waiting = true;
    owe(executor, run);
}

void sl_executor_on_goes_on(sl_executor *executor, sl_run *run) {
    run->next_resuming = NULL;
    sl_run **at = &executor->resuming;
    while (*at)
        at = &(*at)->next_resuming;
    *at = run;
}

/* False: the first of them still waits for cores, and nothing new may start before it. */
bool sl_executor_resume(sl_executor *executor) {
    for (sl_run *run; (run = executor->resuming);) {
        sl_grant_request asked = {.cores = run->lent.cores, .ucu_milli = run->lent.ucu_milli};
        if (!sl_executor_is_free(executor, &asked) ||
            sl_grant_recover(executor->grants, &asked, &run->grant) != SL_OK)
            return false;
        executor->resuming = run->next_resuming;
        executor->free_changed = true;
        run->is_waiting = false;
        owe(executor, run);
        atomic_store(&run->again, SL_RUN_GRANTED);
        sl_futex_wake(&run->again);
    }
    return true;
}

static sl_err tell_owner(sl_executor *executor, const sl_run *run) {
    const sl_attempt *attempt = run->current;
    scheduler_waits body = {
        .task = attempt->result.task, .attempt = attempt->result.attempt, .waits = run->is_waiting};
    return scheduler_waits_send(executor->self, attempt->owner, &body);
}

/* Owners count with what a waiting task leaves free. */
void sl_executor_tell_waits(sl_executor *executor) {
    for (sl_run *run = executor->running; run && executor->owed; run = run->next) {
        if (!run->owes)
            continue;
        if (tell_owner(executor, run) == SL_ERR_AGAIN) {
            sl_await_room(executor->self, run->current->owner);
            return;
        }
        run->owes = false;
        executor->owed--;
    }
}
