/* What waits here for too long goes back to its owner.
 *
 * Design notes
 * Owners give a node somewhat more than fits, of what they expect to be short: the node then never
 * waits for the next. Where it turns out that what runs is long, what waits behind it would wait
 * for as long, while other nodes may be idle. So if nothing could start here for a while, all that
 * has waited as long is refused, as if it had just come: its owner places it again, here too if
 * there is no better place, but not before a pause. */
#include "actors/executor/executor_internal.h"

static const uint64_t stale_ns = 250 * SL_NS_PER_MS;

/* In arrivals, so that those are told apart that came since the timer was started. */
void sl_executor_watch_backlog(sl_executor *executor) {
    if (!executor->backlog.head || executor->stale_timer)
        return;
    executor->stale_timer = sl_timer_start(executor->self, stale_ns, SL_EXECUTOR_STALE);
    executor->stale_arrivals = executor->arrivals;
    executor->stale_starts = executor->starts;
}

void sl_executor_on_stale(sl_executor *executor) {
    sl_attempts waiting = executor->backlog;
    executor->stale_timer = 0;
    if (executor->starts != executor->stale_starts)
        return;
    executor->backlog = (sl_attempts){NULL, NULL, 0};
    for (sl_attempt *attempt; (attempt = sl_attempts_pop(&waiting));) {
        if (attempt->arrival > executor->stale_arrivals) {
            sl_attempts_push(&executor->backlog, attempt);
            continue;
        }
        attempt->refusal = SL_ERR_REFUSED;
        sl_attempts_push(&executor->refused, attempt);
    }
}
