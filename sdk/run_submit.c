/* From the list to the scheduler, in batches, with a bound on what is under way: accepted means on
 * disk, and that takes a moment. */
#include "sdk/run.h"

enum {
    BATCH_MOST = 256,
    BATCH_BYTES = 1 << 20, /* a batch is closed when it has grown to this */
    UNACCEPTED_MOST = 8192
};

typedef struct batch {
    sl_arena arena;
    scheduler_task tasks[BATCH_MOST];
    uint32_t count;
} batch;

/* Takes the next unfinished tasks of the order; `*end` is where the next batch starts. */
static sl_err fill(sl_run_state *run, batch *of, uint32_t *end) {
    uint32_t at = run->next;
    for (; at < run->total && of->count < BATCH_MOST && of->arena.held_bytes < BATCH_BYTES; at++) {
        if (run->fate[run->order[at]] != SL_RUN_UNFINISHED)
            continue;
        SL_TRY(sl_run_encode(run, run->order[at], &of->arena, &of->tasks[of->count]));
        of->count++;
    }
    *end = at;
    return SL_OK;
}

/* False: there is no more to submit, or no room for it now. */
static bool submit_batch(sl_run_state *run, batch *of) {
    uint32_t end = 0;
    sl_addr scheduler = sl_addr_well_known(0, SL_SLOT_SCHEDULER);
    sl_err err = fill(run, of, &end);
    if (err == SL_OK && of->count) {
        scheduler_submit submit = {.tasks = {of->tasks, of->count}};
        err = scheduler_submit_send(run->self, scheduler, &submit);
    }
    if (err == SL_ERR_AGAIN) {
        sl_await_room(run->self, scheduler);
        return false;
    }
    if (err != SL_OK) {
        sl_run_fail(run, "cannot submit tasks");
        return false;
    }
    run->next = end;
    run->unaccepted += of->count;
    return end < run->total;
}

void sl_run_submit(sl_run_state *run) {
    bool more = run->submitting && !run->draining && !run->ending && run->next < run->total;
    while (more && run->unaccepted < UNACCEPTED_MOST) {
        batch of = {.count = 0};
        sl_arena_init(&of.arena);
        more = submit_batch(run, &of);
        sl_arena_fini(&of.arena);
    }
}

void sl_run_on_accepted(sl_run_state *run, const scheduler_accepted *accepted) {
    run->unaccepted -= accepted->count < run->unaccepted ? accepted->count : run->unaccepted;
    if (accepted->error == SL_ERR_CLOSED && run->draining) /* it did not want any more */
        return;
    if (accepted->error == SL_OK) {
        sl_run_submit(run);
        return;
    }
    (void)sl_fail((sl_err)accepted->error, "%s", accepted->detail.data);
    sl_run_fail(run, accepted->error == SL_ERR_LEDGER ? "the ledger failed" : "a task was refused");
}
