/* Commands given to spawners ahead of their time.
 *
 * Design notes
 * A core that waits for its next command while an end travels to the loop and an order back is
 * idle for as long as a short command runs. So what the backlog's order lets start next is handed
 * over beforehand, "after" a run that asks for exactly the same: the spawner starts it the moment
 * that run has ended, within its grant, which passes on whole when the end is heard of here. A few
 * may wait in a row. Nothing is granted for what is ahead, so granted <= offered as ever, and a
 * process runs only within a grant whose former user is gone.
 *
 * Only where commands are short, and behind those that have not run for long: what waits behind
 * one that turns out to be long is asked back, and so is what could start on its own by now. Until
 * the answer comes, what it asks for is kept free, so that nothing younger takes its place. */
#include "actors/executor/executor_internal.h"
#include "runtime/plant.h"

#include <string.h>

/* Behind one run: a loop that comes late still finds the spawner at work, and it is given several
 * at once, as each time it is given something takes the core from a command. */
enum { ROW_MOST = 4, ROW_REFILL = 2 };

static const uint64_t short_ns = 20 * SL_NS_PER_MS;

static bool are_short(const sl_executor *executor) {
    return executor->command_mean_s > 0 &&
           executor->command_mean_s * (double)SL_NS_PER_S < (double)short_ns;
}

/* The last of the row behind a running command, or NULL when `most` wait or its last leaves. */
static sl_run *end_of_row(sl_run *run, uint32_t most, uint32_t *length) {
    *length = 0;
    for (; run->after; run = run->after)
        ++*length;
    return *length < most && !(run->before && run->attempts.head->cancelled) ? run : NULL;
}

/* What to come after: the shortest row, of less than `most`, behind a run that holds exactly what
 * `asked` asks for; of equals the one most likely to end first. */
static sl_run *find_before(const sl_executor *executor, const sl_grant_request *asked,
                           uint32_t most) {
    uint64_t now_ns = sl_now_ns(executor->self);
    uint32_t length, shortest = most;
    sl_run *best = NULL;
    for (sl_run *run = executor->running; run && now_ns - run->since_ns < short_ns;
         run = run->next) {
        if (!run->handle || memcmp(&run->attempts.head->request, asked, sizeof *asked) != 0)
            continue;
        sl_run *last = end_of_row(run, most, &length);
        if (!last || length > shortest)
            continue;
        shortest = length;
        best = last;
    }
    return best;
}

static bool give_first(sl_executor *executor, uint32_t most) {
    const sl_attempt *first = executor->backlog.head;
    bool may =
        first && first->kind == SL_TASK_COMMAND && !sl_executor_may_be_given_up(executor, first);
    sl_run *before = may ? find_before(executor, &first->request, most) : NULL;
    sl_run *run = before ? sl_run_create(executor, before) : NULL;
    if (!run)
        return false;
    sl_attempts_push(&run->attempts, sl_attempts_pop(&executor->backlog));
    if (sl_executor_start_command(executor, run) == SL_OK)
        return true;
    /* It will be told why when its turn comes. */
    sl_attempts_put_back(&executor->backlog, sl_attempts_pop(&run->attempts));
    sl_run_destroy(executor, run);
    return false;
}

void sl_executor_give_ahead(sl_executor *executor) {
    if (!are_short(executor) || executor->recalled_count || !executor->options.commands)
        return;
    if (give_first(executor, ROW_REFILL))
        while (give_first(executor, ROW_MOST))
            ;
}

static sl_run *oldest_ahead(const sl_executor *executor) {
    sl_run *oldest = NULL;
    for (sl_run *run = executor->ahead; run; run = run->next)
        if (!run->recalled)
            oldest = run;
    return oldest;
}

void sl_executor_recall_ahead(sl_executor *executor) {
    uint64_t now_ns = executor->ahead ? sl_now_ns(executor->self) : 0;
    for (sl_run *run; (run = oldest_ahead(executor));) {
        const sl_grant_request *asked = &run->grant.amount;
        if (now_ns - run->since_ns < 2 * short_ns && !sl_executor_is_free(executor, asked))
            return;
        run->recalled = true;
        executor->recalled_count++;
        executor->promised.cores += asked->cores;
        executor->promised.gpus += asked->gpus;
        executor->promised.memory_bytes += asked->memory_bytes;
        executor->promised.ucu_milli += asked->ucu_milli;
        executor->options.commands->recall(executor->options.commands_context, run->handle);
    }
}

void sl_executor_drop_promise(sl_executor *executor, sl_run *run) {
    const sl_grant_request *asked = &run->grant.amount;
    if (!run->recalled)
        return;
    run->recalled = false;
    executor->recalled_count--;
    executor->promised.cores -= asked->cores;
    executor->promised.gpus -= asked->gpus;
    executor->promised.memory_bytes -= asked->memory_bytes;
    executor->promised.ucu_milli -= asked->ucu_milli;
}

void sl_executor_withdrawn(sl_executor *executor, sl_attempt *attempt) {
    if (SL_PLANT(withdrawn_lost))
        return;
    if (attempt->cancelled)
        sl_attempt_end(executor, attempt, SL_TASK_CANCELLED, "cancelled before it started");
    else
        sl_attempts_put_back(&executor->backlog, attempt);
}
