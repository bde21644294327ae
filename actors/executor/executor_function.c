/* Function attempts: rows of calls on a pool thread, or on the loop when they are known to be
 * short. */
#include "actors/executor/executor_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_NS = 1000000, /* a row on the pool lasts about this long at most */
    ROW_MOST = 1024,
    ROW_UNKNOWN = 4,       /* functions that never ran yet: few, their length is unknown */
    INLINE_ROW_NS = 30000, /* a row on the loop */
    INLINE_LONGEST_NS = 5000,
    INLINE_STOP_NS = 10 * INLINE_ROW_NS, /* it turned out to be longer: the loop has other work */
    INLINE_RUNS = 64,                    /* measured so often before a function runs on the loop */
    OUTPUT_MOST = 64 << 20
};

/* Names of the family have places by their hash. */
static sl_err find_in_family(sl_executor *executor, sl_attempt *attempt, const char *name) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    size_t count = sl_functions_count(executor->options.functions);
    attempt->function = (uint32_t)count + (hash >> 8) % SL_FAMILY_PACES;
    sl_function_pace *pace = &executor->paces[attempt->function];
    if (pace->name && strcmp(pace->name, name) == 0)
        return SL_OK;
    char *copy = strdup(name);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the function %.160s", name);
    free(pace->name);
    *pace = (sl_function_pace){.name = copy};
    return SL_OK;
}

void sl_executor_free_paces(sl_executor *executor) {
    if (!executor->paces)
        return;
    size_t count = sl_functions_count(executor->options.functions);
    for (size_t i = 0; i < SL_FAMILY_PACES; i++)
        free(executor->paces[count + i].name);
    free(executor->paces);
}

sl_err sl_executor_find_function(sl_executor *executor, sl_attempt *attempt) {
    if (!executor->options.functions)
        return sl_fail(SL_ERR_NOT_FOUND, "this node has no functions");
    const executor_function *call = attempt->record;
    if (sl_functions_is_family(executor->options.functions, call->name.data))
        return find_in_family(executor, attempt, call->name.data);
    const char *last = sl_functions_name(executor->options.functions, executor->last_function);
    if (!last || strcmp(last, call->name.data) != 0)
        SL_TRY(sl_functions_find(executor->options.functions, call->name.data,
                                 &executor->last_function));
    attempt->function = executor->last_function;
    return SL_OK;
}

static uint32_t bounded(double count) {
    return count < 1 ? 1 : count > ROW_MOST ? ROW_MOST : (uint32_t)count;
}

uint32_t sl_executor_row(const sl_executor *executor, const sl_attempt *attempt, bool *inline_run) {
    const sl_function_pace *pace = &executor->paces[attempt->function];
    *inline_run = pace->runs >= INLINE_RUNS && pace->longest_ns < INLINE_LONGEST_NS &&
                  sl_functions_may_be_inline(executor->options.functions, attempt->function);
    if (*inline_run)
        return bounded(INLINE_ROW_NS / (pace->mean_ns + 1));
    return pace->runs ? bounded(ROW_NS / (pace->mean_ns + 1)) : ROW_UNKNOWN;
}

static void call_one(const sl_run *run, sl_attempt *attempt) {
    const executor_function *call = attempt->record;
    sl_task_facts facts = {.node = sl_node_id(run->node),
                           .attempt = attempt->result.attempt,
                           .owner = __atomic_load_n(&attempt->owner.node, __ATOMIC_RELAXED),
                           .holds_objects = attempt->holds_objects,
                           .keep_bytes = attempt->keep_bytes,
                           .function = call->name.data,
                           .apart = attempt->apart,
                           .cancelled = &attempt->cancelled};
    sl_task_output output;
    sl_task_output_init_in(&output, OUTPUT_MOST, attempt->short_output,
                           sizeof attempt->short_output);
    output.facts = &facts;
    sl_err err = sl_functions_call(run->functions, attempt->function, call->arguments.data,
                                   call->arguments.bytes, &output);
    attempt->result.status = err == SL_OK ? SL_TASK_DONE : SL_TASK_FAILED;
    attempt->result.exit_code = (int32_t)err;
    if (err != SL_OK) {
        const char *detail = sl_err_detail();
        attempt->message = strndup(*detail ? detail : sl_err_text(err), 1023);
        attempt->result.message = sl_text_of(attempt->message);
    }
    size_t bytes;
    void *data = sl_task_output_take(&output, &bytes);
    attempt->output = data == attempt->short_output ? NULL : data;
    attempt->result.output = (sl_bytes){data, (uint32_t)bytes};
    sl_attempt_drop_apart(attempt);
    if (err == SL_OK || output.of_failure) {
        attempt->apart = output.apart;
        attempt->settle = output.settle;
        attempt->settled = output.settled;
        output.apart = NULL;
        output.settle = NULL;
    }
    sl_task_output_fini(&output);
}

/* Processor time is measured over a row and shared out by time: asking for each call would cost
 * more than a short call does. */
static void share_out_cpu(sl_attempt *first, const sl_attempt *last, uint64_t cpu_ns,
                          uint64_t row_ns) {
    double share = row_ns && cpu_ns < row_ns ? (double)cpu_ns / (double)row_ns : 1;
    for (sl_attempt *attempt = first;; attempt = attempt->next) {
        attempt->result.user_s = (double)attempt->run_ns / 1e9 * share;
        if (attempt == last)
            return;
    }
}

static void call_or_skip(const sl_run *run, sl_attempt *attempt) {
    if (__atomic_load_n(&attempt->cancelled, __ATOMIC_RELAXED) != SL_ATTEMPT_CANCELLED) {
        call_one(run, attempt);
        return;
    }
    attempt->result.status = SL_TASK_CANCELLED;
    sl_attempt_drop_apart(attempt);
}

/* On the loop nobody else takes from the row, but it is left when it is too long. */
static sl_row_turn step(sl_run *run, const sl_attempt *next, uint64_t spent_ns) {
    if (!run->on_loop)
        return sl_row_step(&run->row);
    return next && spent_ns < INLINE_STOP_NS ? SL_ROW_NEXT : SL_ROW_OVER;
}

/* On a pool thread, or the loop's: touches those of the run's attempts that are its own by row.h,
 * and the frozen function table only. */
void sl_executor_call_all(sl_run *run) {
    double wall_s = sl_wall_s(run->self);
    uint64_t first_cpu_ns = run->on_loop ? 0 : sl_thread_ns(run->self);
    uint64_t first_ns = sl_now_ns(run->self), start_ns = first_ns;
    sl_attempt *first = run->attempts.head, *attempt, *next = first;
    sl_row_turn turn;
    do {
        run->current = attempt = next;
        __atomic_store_n(&attempt->began_ns, start_ns, __ATOMIC_RELAXED);
        call_or_skip(run, attempt);
        uint64_t end_ns = sl_now_ns(run->self);
        attempt->result.start_s = wall_s + (double)(start_ns - first_ns) / 1e9;
        attempt->result.end_s = wall_s + (double)(end_ns - first_ns) / 1e9;
        attempt->run_ns = end_ns - start_ns;
        start_ns = end_ns;
        next = __atomic_load_n(&attempt->next, __ATOMIC_RELAXED);
        turn = step(run, next, end_ns - first_ns);
    } while (turn == SL_ROW_NEXT);
    /* A row on the loop is over in microseconds and does not wait: all of its time counts. */
    share_out_cpu(turn == SL_ROW_ALONE ? attempt : first, attempt,
                  run->on_loop ? UINT64_MAX : sl_thread_ns(run->self) - first_cpu_ns,
                  start_ns - first_ns);
}

/* A thread cannot be stopped: the function may ask whether it still makes sense. Its time counts
 * from its call, which may come after it was handed to the pool. */
static void look_at_time(sl_executor *executor, sl_attempt *attempt) {
    uint64_t now_ns = sl_now_ns(executor->self);
    uint64_t began_ns = __atomic_load_n(&attempt->began_ns, __ATOMIC_RELAXED);
    uint64_t spent_ns = began_ns && now_ns > began_ns ? now_ns - began_ns : 0;
    if (spent_ns <= attempt->timeout_ns)
        (void)sl_timer_start(executor->self, attempt->timeout_ns - spent_ns + 1, attempt->arrival);
    else if (!attempt->cancelled)
        __atomic_store_n(&attempt->cancelled, SL_ATTEMPT_TOO_LONG, __ATOMIC_RELAXED);
}

void sl_executor_function_late(sl_executor *executor, uint64_t arrival) {
    for (sl_run *run = executor->running; run; run = run->next)
        for (sl_attempt *attempt = run->attempts.head; attempt; attempt = attempt->next)
            if (attempt->arrival == arrival && attempt->kind == SL_TASK_FUNCTION)
                look_at_time(executor, attempt);
}

/* Whatever it returned: it ran longer than it may. */
static void end_late(sl_attempt *attempt) {
    char text[64];
    snprintf(text, sizeof text, "it ran for %.3g s, longer than its %.3g s",
             (double)attempt->run_ns / 1e9, (double)attempt->timeout_ns / 1e9);
    attempt->result.status = SL_TASK_TIMED_OUT;
    sl_attempt_settle(attempt, false);
    free(attempt->output);
    attempt->output = NULL;
    attempt->result.output = (sl_bytes){0};
    free(attempt->message);
    attempt->message = strdup(text);
    attempt->result.message = sl_text_of(attempt->message);
    sl_attempt_drop_apart(attempt);
}

static void learn(sl_function_pace *pace, double ns) {
    double weight = pace->runs ? 1.0 / 16 : 1;
    pace->runs++;
    pace->mean_ns += weight * (ns - pace->mean_ns);
    pace->longest_ns =
        ns > pace->longest_ns ? ns : pace->longest_ns + (ns - pace->longest_ns) / 256;
}

/* What is believed of others like it should not wait for its end. */
void sl_executor_function_lasts(sl_executor *executor, const sl_attempt *attempt, uint64_t ns) {
    sl_function_pace *pace = &executor->paces[attempt->function];
    if ((double)ns > pace->longest_ns)
        learn(pace, (double)ns);
}

void sl_executor_function_ended(sl_executor *executor, sl_attempt *attempt) {
    if (attempt->result.status != SL_TASK_CANCELLED) {
        learn(&executor->paces[attempt->function], (double)attempt->run_ns);
        if (attempt->timeout_ns &&
            (attempt->run_ns > attempt->timeout_ns || attempt->cancelled == SL_ATTEMPT_TOO_LONG))
            end_late(attempt);
    }
    if (attempt->owner.node == SL_NO_NODE) { /* its owner was lost */
        sl_attempt_destroy(executor, attempt);
        return;
    }
    sl_attempts_push(&executor->ended, attempt);
}
