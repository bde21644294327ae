/* Rows that last longer than was believed are split.
 *
 * Design notes
 * Short functions are given to a thread many at a time, a row that should be over in a millisecond.
 * How long a function takes is a belief: where one call lasts for seconds, those behind it would
 * wait for it, and so would the results of those before it, though other threads, cores and nodes
 * have nothing to do. So the loop looks at rows that have lasted for much longer than they should,
 * and leaves the thread only the call it is at (row.h says how both agree on which that is). What
 * has ended is reported; what has not begun goes to its place in the backlog, starts here if there
 * is room, or goes back to its owner as anything does that waits too long (executor_stale.c). The
 * same happens at once where the call waits for other tasks (executor_wait.c).
 *
 * A run keeps its grant until the call it is left with has returned. A row that waits in the pool's
 * queue is not looked at: it has not begun to last. On the loop itself nobody can take anything
 * from a row; there the row ends after the first call that was too long. */
#include "actors/executor/executor_internal.h"

static const uint64_t usual_ns = 50 * SL_NS_PER_MS;

static uint64_t patience_ns(const sl_executor *executor) {
    return executor->options.row_ns ? executor->options.row_ns : usual_ns;
}

void sl_executor_open_row(sl_executor *executor, sl_run *run) {
    sl_row_open(&run->row, run->attempts.count);
    run->may_split = run->attempts.count > 1 && !run->on_loop && executor->options.pool;
    executor->may_split += run->may_split;
}

void sl_executor_row_is_over(sl_executor *executor, sl_run *run) {
    executor->may_split -= run->may_split;
    run->may_split = false;
}

/* To the backlog, but for what nobody waits for any more. */
static void take_back(sl_executor *executor, sl_attempts *rest) {
    sl_attempts wanted = {NULL, NULL, 0};
    executor->running_count -= rest->count;
    for (sl_attempt *attempt; (attempt = sl_attempts_pop(rest));) {
        if (attempt->cancelled || attempt->owner.node == SL_NO_NODE)
            sl_attempt_end(executor, attempt, SL_TASK_CANCELLED, "cancelled before it started");
        else
            sl_attempts_push(&wanted, attempt);
    }
    sl_attempts_merge(&executor->backlog, &wanted);
}

/* The attempts after `last`, which becomes the run's last. */
static sl_attempts cut_after(sl_run *run, sl_attempt *last, uint32_t kept) {
    sl_attempts rest = {last->next, run->attempts.tail, run->attempts.count - kept};
    __atomic_store_n(&last->next, NULL, __ATOMIC_RELAXED); /* its thread may be reading it */
    run->attempts.tail = last;
    run->attempts.count = kept;
    return rest;
}

void sl_executor_split_row(sl_executor *executor, sl_run *run) {
    uint32_t called = sl_row_close(&run->row);
    sl_executor_row_is_over(executor, run);
    if (!called)
        return;
    executor->running_count -= called - 1;
    sl_metric_add(sl_node_metrics(sl_actor_node(executor->self)), SL_METRIC_tasks_started,
                  called - 1);
    while (--called) {
        sl_attempt *attempt = sl_attempts_pop(&run->attempts);
        attempt->result.user_s = (double)attempt->run_ns / 1e9;
        sl_executor_function_ended(executor, attempt);
    }
    sl_attempts rest = cut_after(run, run->attempts.head, 1);
    take_back(executor, &rest);
}

void sl_executor_take_back_rest(sl_executor *executor, sl_run *run) {
    uint32_t called = 1;
    if (!run->current->next)
        return;
    for (const sl_attempt *attempt = run->attempts.head; attempt != run->current;
         attempt = attempt->next)
        called++;
    sl_attempts rest = cut_after(run, run->current, called);
    take_back(executor, &rest);
}

/* ---- looking ---- */

void sl_executor_watch_rows(sl_executor *executor) {
    if (executor->may_split && !executor->rows_timer)
        executor->rows_timer =
            sl_timer_start(executor->self, patience_ns(executor), SL_EXECUTOR_ROWS);
}

static uint64_t began_ns(const sl_attempt *attempt) {
    return __atomic_load_n(&attempt->began_ns, __ATOMIC_RELAXED);
}

static bool lasts(const sl_executor *executor, const sl_run *run, uint64_t now_ns) {
    uint64_t start_ns = began_ns(run->attempts.head);
    return start_ns && start_ns < now_ns && now_ns - start_ns >= patience_ns(executor);
}

void sl_executor_on_rows(sl_executor *executor) {
    uint64_t now_ns = sl_now_ns(executor->self);
    executor->rows_timer = 0;
    for (sl_run *run = executor->running; run && executor->may_split; run = run->next) {
        if (!run->may_split || !lasts(executor, run, now_ns))
            continue;
        sl_executor_split_row(executor, run);
        uint64_t start_ns = began_ns(run->attempts.head);
        if (run->attempts.count == 1 && start_ns && start_ns < now_ns)
            sl_executor_function_lasts(executor, run->attempts.head, now_ns - start_ns);
    }
}
