/* From the list to the scheduler, in batches, with a bound on what is under way: accepted means on
 * disk, and that takes a moment. */
#include "sdk/run_seal.h"

#include <stdlib.h>

enum {
    BATCH_BYTES = 1 << 20, /* a batch is closed when it has grown to this */
    UNACCEPTED_MOST = 8192
};

#define HELD_MOST                                                                                  \
    ((uint64_t)256 << 20) /* bytes of envelopes under way: then results are awaited                \
                           */

/* Takes the next unfinished tasks of the order. */
static sl_err fill(sl_run_state *run, sl_run_batch *of) {
    uint32_t at = run->next;
    for (; at < run->total && of->count < SL_RUN_BATCH_MOST && of->arena.held_bytes < BATCH_BYTES;
         at++) {
        if (run->fate[run->order[at]] != SL_RUN_UNFINISHED)
            continue;
        SL_TRY(sl_run_encode(run, run->order[at], &of->arena, &of->tasks[of->count]));
        of->after[of->count++] = at + 1;
    }
    of->end = at;
    return SL_OK;
}

/* The tasks from `sent` on that go in one message: one with data apart goes alone. */
static uint32_t message_tasks(const sl_run_batch *of) {
    uint32_t count = 0, left = of->count - of->sent;
    while (count < left && !of->apart[of->sent + count])
        count++;
    return count || !left ? count : 1;
}

static sl_err send_some(sl_run_state *run, sl_run_batch *of, uint32_t count) {
    sl_blob **apart = &of->apart[of->sent];
    scheduler_submit submit = {.tasks = {of->tasks + of->sent, count}, .apart = *apart};
    SL_TRY(scheduler_submit_send(run->self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &submit));
    sl_blob_release(*apart);
    *apart = NULL;
    of->sent += count;
    run->unaccepted += count;
    return SL_OK;
}

/* False: there is no more to submit, or no room for it now. */
static bool send_batch(sl_run_state *run, sl_run_batch *of, sl_err err) {
    while (err == SL_OK && of->sent < of->count)
        err = send_some(run, of, message_tasks(of));
    if (of->sent)
        run->next = of->after[of->sent - 1];
    if (err == SL_ERR_AGAIN) {
        sl_await_room(run->self, sl_addr_well_known(0, SL_SLOT_SCHEDULER));
        return false;
    }
    if (err != SL_OK) {
        sl_run_fail(run, "cannot submit tasks");
        return false;
    }
    run->next = of->end;
    return of->end < run->total;
}

static bool submit_batch(sl_run_state *run) {
    sl_run_batch of = {.count = 0};
    sl_arena_init(&of.arena);
    bool more = send_batch(run, &of, fill(run, &of));
    sl_arena_fini(&of.arena);
    return more;
}

/* ---- sealed ---- */

void sl_run_batch_free(sl_run_batch *batch) {
    if (!batch)
        return;
    for (uint32_t i = 0; i < batch->count; i++)
        sl_blob_release(batch->apart[i]);
    sl_arena_fini(&batch->arena);
    free(batch);
}

static void begin_sealing(sl_run_state *run) {
    sl_run_batch *batch = calloc(1, sizeof *batch);
    sl_err err = batch ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a batch");
    if (batch) {
        sl_arena_init(&batch->arena);
        err = fill(run, batch);
    }
    if (err != SL_OK || !batch->count) {
        sl_run_batch_free(batch);
        if (err != SL_OK)
            sl_run_fail(run, "cannot submit tasks");
        return;
    }
    run->sealing = true;
    sl_run_seal_batch(run, batch);
}

/* One that is sealed goes, and while the next one is sealed nothing does. */
static bool submit_sealed(sl_run_state *run) {
    sl_run_batch *batch = run->sealed;
    if (!batch) {
        if (!run->sealing)
            begin_sealing(run);
        return false;
    }
    bool more = send_batch(run, batch, SL_OK);
    if (batch->sent < batch->count)
        return false;
    run->sealed = NULL;
    sl_run_batch_free(batch);
    return more;
}

void sl_run_on_sealed(sl_run_state *run, sl_run_batch *batch) {
    run->sealing = false;
    run->sealed = batch;
    for (uint32_t i = 0; i < batch->count; i++)
        run->held_bytes += sl_run_seal_bytes(run, (uint32_t)batch->tasks[i].tag);
    if (batch->err == SL_OK) {
        sl_run_submit(run);
        return;
    }
    (void)sl_fail(batch->err, "%s", batch->detail);
    sl_run_fail(run, "cannot seal tasks");
}

void sl_run_submit(sl_run_state *run) {
    bool more = run->submitting && !run->draining && !run->ending && run->next < run->total;
    while (more && run->unaccepted < UNACCEPTED_MOST && run->held_bytes < HELD_MOST)
        more = run->seal ? submit_sealed(run) : submit_batch(run);
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
