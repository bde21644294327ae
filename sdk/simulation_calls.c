/* Tasks of the API in a simulated network: what they return is known, and how often they may run.
 *
 * Arrays count up from a number of their own, so their content tells which call made them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/simulation.h"
#include "sdk/task_call.h"

enum { SUM, SUM_BRIEF, MAKE, TAKE, TAKE_BRIEF, NEST, READ, TWICE, TASKS };
enum { WORK_MOST_MS = 20, BATCH = 4, BURST_MOST = 4, NEEDS_MOST = 3, RAMP = 5000, CHUNK = 700 };

static void note(sl_simulation *simulation, uint32_t node, const char *what,
                 const sl_sim_call *call) {
    sl_simulator *simulator = simulation->simulator;
    sl_simulator_note(simulator, node, sl_simulator_now_ns(simulator), 0, "%s call %" PRId64, what,
                      (int64_t)(call - simulation->calls));
}

/* ---- bodies ---- */

static sl_sim_call *call_of(sl_simulation *simulation, sl_call *call) {
    int64_t index = sl_arg_i64(call, 0);
    if (index >= 0 && index < simulation->call_count)
        return &simulation->calls[index];
    sl_sim_violate(simulation, "a task is called that nobody submitted");
    return NULL;
}

/* As long as its number says. */
static void work(sl_simulation *simulation, const sl_call *call, const sl_sim_call *of) {
    uint64_t index = (uint64_t)(of - simulation->calls);
    if (of->task == SUM_BRIEF || of->task == TAKE_BRIEF)
        sl_simulator_spend(simulation->simulator, sl_call_node(call), 2 * SL_NS_PER_US);
    else
        sl_simulator_sleep((1 + index * 7 % WORK_MOST_MS) * SL_NS_PER_MS);
}

/* NULL: it has failed, as it is to. */
static sl_sim_call *enter(sl_call *call) {
    sl_simulation *simulation = sl_sim_here();
    sl_sim_call *of = call_of(simulation, call);
    if (!of)
        return NULL;
    of->runs++;
    note(simulation, sl_call_node(call), "runs", of);
    sl_sim_pass(simulation, SL_SIM_AT_ASSIGNED, sl_call_node(call));
    work(simulation, call, of);
    sl_sim_pass(simulation, SL_SIM_AT_ENDED, sl_call_node(call));
    if (!of->doomed)
        return of;
    (void)!sl_call_fail(call, "it is to fail");
    return NULL;
}

static int sum_body(sl_call *call) {
    const sl_sim_call *of = enter(call);
    int64_t sum = of ? of - sl_sim_here()->calls : 0;
    for (size_t i = 1; of && i < sl_arg_count(call); i++)
        sum += sl_arg_i64(call, i);
    return of ? sl_return_i64(call, sum) : SL_ERROR_FAILED;
}

static int make_body(sl_call *call) {
    const sl_sim_call *of = enter(call);
    if (!of)
        return SL_ERROR_FAILED;
    size_t count = of->count;
    int64_t *array = sl_return_array(call, SL_I64, 1, &count);
    for (size_t i = 0; array && i < count; i++)
        array[i] = of->value + (int64_t)i;
    return array ? 0 : SL_ERROR_FAILED;
}

static int64_t sum_of(const int64_t *array, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += array[i];
    return sum;
}

static int take_body(sl_call *call) {
    size_t count = 0;
    const sl_sim_call *of = enter(call);
    const int64_t *array = of ? sl_arg_array(call, 1, SL_I64, &count) : NULL;
    return array ? sl_return_i64(call, sum_of(array, count)) : SL_ERROR_FAILED;
}

static int read_body(sl_call *call) {
    sl_view view;
    const sl_sim_call *of = enter(call);
    if (!of)
        return SL_ERROR_FAILED;
    if (sl_get(sl_arg_object(call, 1), SL_FOREVER, &view) != SL_OK)
        return sl_call_fail(call, "it cannot read the object: %s", sl_error_text());
    int64_t sum = sum_of(view.value.data, view.value.bytes / sizeof(int64_t));
    sl_view_release(&view);
    return sl_return_i64(call, sum);
}

static int twice_body(sl_call *call) {
    size_t count = 0;
    const int64_t *array = sl_arg_array(call, 0, SL_I64, &count);
    int64_t *out = sl_return_array(call, SL_I64, 1, &count);
    sl_simulator_sleep((1 + count % 5) * SL_NS_PER_MS);
    for (size_t i = 0; array && out && i < count; i++)
        out[i] = 2 * array[i];
    return 0;
}

static int nest_body(sl_call *call);

static sl_task tasks[TASKS] = {
    [SUM] = {.name = "simulated.sum", .body = sum_body},
    [SUM_BRIEF] = {.name = "simulated.sum_brief", .body = sum_body, .options = {.brief = 1}},
    [MAKE] = {.name = "simulated.make", .body = make_body},
    [TAKE] = {.name = "simulated.take", .body = take_body},
    [TAKE_BRIEF] = {.name = "simulated.take_brief", .body = take_body, .options = {.brief = 1}},
    [NEST] = {.name = "simulated.nest", .body = nest_body},
    [READ] = {.name = "simulated.read", .body = read_body},
    [TWICE] = {.name = "simulated.twice", .body = twice_body}};

static int64_t ramp[RAMP];

sl_err sl_sim_calls_register(sl_functions *functions) {
    for (int64_t i = 0; i < RAMP; i++)
        ramp[i] = i;
    for (uint32_t i = 0; i < TASKS; i++)
        SL_TRY(sl_task_call_register(functions, &tasks[i]));
    return SL_OK;
}

/* ---- calls ---- */

static sl_sim_call *call_new(sl_simulation *simulation, uint8_t task) {
    if (simulation->call_count == SL_SIM_CALLS_MOST)
        return NULL;
    sl_sim_call *call = &simulation->calls[simulation->call_count++];
    *call = (sl_sim_call){.task = task, .free = true, .deaths = simulation->deaths};
    return call;
}

static int64_t index_of(const sl_simulation *simulation, const sl_sim_call *call) {
    return call - simulation->calls;
}

/* Waits on its pool thread for a task of its own, where there is somebody to submit to. */
static int nest_body(sl_call *call) {
    sl_simulation *simulation = sl_sim_here();
    const sl_sim_call *of = enter(call);
    if (!of)
        return SL_ERROR_FAILED;
    sl_sim_call *inner = NULL;
    if (sl_call_node(call) >= simulation->owners)
        inner = call_new(simulation, SUM);
    if (!inner)
        return sl_return_i64(call, of->value);
    inner->value = index_of(simulation, inner) + 1;
    sl_future *future =
        sl_submit(&tasks[SUM], SL_ARGS(sl_i64(index_of(simulation, inner)), sl_i64(1)));
    int error = sl_wait(future, SL_FOREVER);
    int64_t answer = error ? 0 : sl_result_i64(future);
    sl_release(future);
    if (error)
        return sl_call_fail(call, "its own task failed: %s", sl_error_text());
    if (answer != inner->value)
        sl_sim_violate(simulation, "a task within a task returns %" PRId64, answer);
    return sl_return_i64(call, of->value);
}

/* ---- what must hold of one that has ended ---- */

/* All that could lose an attempt, or a result, was the death of nodes. */
static bool only_deaths(const sl_simulation *simulation) {
    for (uint32_t i = 0; i < simulation->plan.count; i++) {
        const sl_sim_fault *fault = &simulation->plan.faults[i];
        if (fault->begun && fault->kind != SL_SIM_CRASH && fault->kind != SL_SIM_SKEW &&
            fault->kind != SL_SIM_LIE)
            return false;
    }
    return simulation->session == 1;
}

static void check_runs(sl_simulation *simulation, const sl_sim_call *call) {
    uint32_t deaths = simulation->deaths - call->deaths;
    uint32_t once = call->doomed ? call->retries + 1 : 1;
    /* A task that cannot fetch a result has all that it needs, and are kept elsewhere, made anew.
     */
    uint32_t anew = call->count && deaths ? call->retries : 0;
    if (call->task == TWICE)
        return;
    if (!simulation->losses && !call->loose && call->free && call->runs != once)
        sl_sim_violate(simulation, "call %" PRId64 " ran %u times, with %u retries",
                       index_of(simulation, call), call->runs, call->retries);
    else if (only_deaths(simulation) && call->runs > once + deaths + anew)
        sl_sim_violate(simulation, "call %" PRId64 " ran %u times, and %u nodes died",
                       index_of(simulation, call), call->runs, deaths);
}

static bool is_as_made(const sl_sim_call *call, const sl_value *value) {
    const int64_t *data = value->data;
    int64_t step = call->task == TWICE ? 2 : 1;
    if (value->type != SL_TYPE_ARRAY || value->dtype != SL_I64)
        return false;
    if (!call->count)
        return value->bytes == sizeof *data && *data == call->value;
    if (value->bytes != call->count * sizeof *data)
        return false;
    for (uint64_t i = 0; i < call->count; i++)
        if (data[i] != call->value + step * (int64_t)i)
            return false;
    return true;
}

static void check_result(sl_sim_program *program, const sl_sim_call *call, sl_future *future) {
    sl_simulation *simulation = program->host->simulation;
    const sl_value *value = sl_result(future);
    if (sl_sim_program_is_over(program))
        return;
    bool may_be_lost = simulation->losses;
    if (only_deaths(simulation) && call->free && simulation->deaths - call->deaths <= call->retries)
        may_be_lost = false;
    if (!value && !may_be_lost)
        sl_sim_violate(simulation, "the result of call %" PRId64 " is lost: %s",
                       index_of(simulation, call), sl_error_text());
    else if (value && !is_as_made(call, value))
        sl_sim_violate(simulation, "call %" PRId64 " returns something else than it made",
                       index_of(simulation, call));
}

static void check_call(sl_sim_program *program, const sl_sim_call *call, sl_future *future) {
    sl_simulation *simulation = program->host->simulation;
    (void)!sl_wait(future, SL_FOREVER);
    if (sl_sim_program_is_over(program))
        return;
    sl_future_state state = sl_state_of(future);
    if (state == SL_FUTURE_DONE && call->doomed)
        sl_sim_violate(simulation, "call %" PRId64 " is done, and was to fail",
                       index_of(simulation, call));
    else if (state == SL_FUTURE_DONE)
        check_result(program, call, future);
    else if (state == SL_FUTURE_CANCELLED && !call->loose)
        sl_sim_violate(simulation, "call %" PRId64 " was cancelled and nobody wanted that",
                       index_of(simulation, call));
    else if (!call->doomed && !call->loose && !simulation->losses)
        sl_sim_violate(simulation, "call %" PRId64 " failed without a cause: %s",
                       index_of(simulation, call), sl_error_text());
    check_runs(simulation, call);
}

/* ---- the program's side ---- */

/* The newest first: whatever needs another one keeps it. */
static void drop_last(sl_sim_program *program) {
    sl_simulation *simulation = program->host->simulation;
    sl_future *future = program->held[--program->held_count];
    check_call(program, &simulation->calls[program->held_calls[program->held_count]], future);
    sl_release(future);
}

static void hold(sl_sim_program *program, const sl_sim_call *call, sl_future *future) {
    sl_simulation *simulation = program->host->simulation;
    if (!future) {
        if (!sl_sim_program_is_over(program))
            sl_sim_violate(simulation, "program %u cannot submit: %s", program->writer,
                           sl_error_text());
        return;
    }
    note(simulation, program->host->number, "submits", call);
    while (program->held_count == SL_SIM_HELD_MOST)
        drop_last(program);
    program->held[program->held_count] = future;
    program->held_calls[program->held_count++] = (uint32_t)index_of(simulation, call);
}

/* One of the calls held that returns an array, or a number; UINT32_MAX: there is none. */
static uint32_t choose(sl_sim_program *program, bool array) {
    const sl_simulation *simulation = program->host->simulation;
    uint32_t first = program->held_count ? (uint32_t)sl_sim_draw(program, program->held_count) : 0;
    for (uint32_t i = 0; i < program->held_count; i++) {
        uint32_t at = (first + i) % program->held_count;
        const sl_sim_call *call = &simulation->calls[program->held_calls[at]];
        if (call->task != TWICE && (call->count != 0) == array)
            return at;
    }
    return UINT32_MAX;
}

static void need(sl_sim_call *call, const sl_sim_call *other) {
    call->free = false;
    call->doomed |= other->doomed;
    call->loose |= other->loose;
}

static sl_task_options options_of(sl_sim_program *program, sl_sim_call *call) {
    sl_task_options options = tasks[call->task].options;
    call->retries = options.retries = (uint32_t)sl_sim_draw(program, 3);
    options.priority = (int32_t)sl_sim_draw(program, 3);
    return options;
}

static void submit(sl_sim_program *program, sl_sim_call *call, sl_args args) {
    sl_task_options options = options_of(program, call);
    hold(program, call, sl_submit_with(&tasks[call->task], args, &options));
}

/* Of a number of its own, and up to NEEDS_MOST results. */
static void submit_sum(sl_sim_program *program, sl_sim_call *call) {
    sl_simulation *simulation = program->host->simulation;
    int64_t index = index_of(simulation, call);
    sl_value values[2 + NEEDS_MOST] = {sl_i64(index), sl_i64(5)};
    sl_args args = {values, 2};
    call->task = sl_sim_draw(program, 2) ? SUM : SUM_BRIEF;
    call->doomed = sl_sim_draw(program, 10) == 0;
    call->value = index + 5;
    for (uint64_t needs = sl_sim_draw(program, NEEDS_MOST + 1); needs; needs--) {
        uint32_t of = choose(program, false);
        if (of == UINT32_MAX)
            break;
        const sl_sim_call *other = &simulation->calls[program->held_calls[of]];
        need(call, other);
        call->value += other->value;
        values[args.count++] = sl_wait_for(program->held[of]);
    }
    submit(program, call, args);
}

static void submit_make(sl_sim_program *program, sl_sim_call *call) {
    static const uint64_t sizes[] = {10, 200, 1500, 5000};
    int64_t index = index_of(program->host->simulation, call);
    call->task = MAKE;
    call->count = 1 + sl_sim_draw(program, sizes[sl_sim_draw(program, 4)]);
    call->value = 100000 * index;
    submit(program, call, SL_ARGS(sl_i64(index)));
}

static int64_t sum_from(int64_t first, uint64_t count) {
    int64_t n = (int64_t)count;
    return first * n + n * (n - 1) / 2;
}

static void submit_take(sl_sim_program *program, sl_sim_call *call) {
    sl_simulation *simulation = program->host->simulation;
    uint32_t of = choose(program, true);
    if (of == UINT32_MAX) {
        submit_make(program, call);
        return;
    }
    const sl_sim_call *other = &simulation->calls[program->held_calls[of]];
    call->task = sl_sim_draw(program, 2) ? TAKE : TAKE_BRIEF;
    need(call, other);
    call->value = sum_from(other->value, other->count);
    submit(program, call,
           SL_ARGS(sl_i64(index_of(simulation, call)), sl_wait_for(program->held[of])));
}

static void submit_nest(sl_sim_program *program, sl_sim_call *call) {
    int64_t index = index_of(program->host->simulation, call);
    call->task = NEST;
    call->value = index * 3;
    submit(program, call, SL_ARGS(sl_i64(index)));
}

static void submit_read(sl_sim_program *program, sl_sim_call *call) {
    int64_t index = index_of(program->host->simulation, call);
    size_t count = 1 + sl_sim_draw(program, RAMP);
    sl_object *object = sl_put(sl_array(SL_I64, ramp, 1, &count));
    call->task = READ;
    call->value = sum_from(0, count);
    if (object) /* else the store is full */
        submit(program, call, SL_ARGS(sl_i64(index), sl_object_value(object)));
    sl_object_release(object);
}

static void submit_map(sl_sim_program *program, sl_sim_call *call) {
    size_t count = 1 + sl_sim_draw(program, RAMP);
    sl_map_options options = {.chunk = CHUNK};
    call->task = TWICE;
    call->count = count;
    hold(program, call, sl_map(&tasks[TWICE], sl_array(SL_I64, ramp, 1, &count), &options));
}

static void submit_batch(sl_sim_program *program, sl_sim_call *first) {
    sl_simulation *simulation = program->host->simulation;
    sl_value values[BATCH];
    sl_args args[BATCH];
    sl_future *futures[BATCH];
    sl_sim_call *calls[BATCH] = {first};
    sl_task_options options = options_of(program, first);
    uint32_t count = 0;
    for (; count < BATCH && (calls[count] || (calls[count] = call_new(simulation, SUM))); count++) {
        int64_t index = index_of(simulation, calls[count]);
        calls[count]->value = index;
        calls[count]->retries = options.retries;
        values[count] = sl_i64(index);
        args[count] = (sl_args){&values[count], 1};
        if (count + 1 < BATCH)
            calls[count + 1] = NULL;
    }
    bool submitted = sl_submit_batch(&tasks[SUM], args, count, &options, futures) == SL_OK;
    for (uint32_t i = 0; i < count && (submitted || i == 0); i++)
        hold(program, calls[i], submitted ? futures[i] : NULL);
}

static void cancel_some(sl_sim_program *program) {
    sl_simulation *simulation = program->host->simulation;
    if (!program->held_count)
        return;
    uint32_t at = (uint32_t)sl_sim_draw(program, program->held_count);
    for (uint32_t i = at; i < program->held_count; i++) /* those after it may need it */
        simulation->calls[program->held_calls[i]].loose = true;
    note(simulation, program->host->number, "takes back",
         &simulation->calls[program->held_calls[at]]);
    sl_cancel(program->held[at]);
}

static void step(sl_sim_program *program) {
    static void (*const kinds[])(sl_sim_program *, sl_sim_call *) = {
        submit_sum,  submit_sum,  submit_make, submit_take, submit_take,
        submit_nest, submit_read, submit_map,  submit_batch};
    uint64_t what = sl_sim_draw(program, 12);
    if (what < sizeof kinds / sizeof *kinds) {
        sl_sim_call *call = call_new(program->host->simulation, SUM);
        if (call)
            kinds[what](program, call);
    } else if (what == 9) {
        cancel_some(program);
    } else if (program->held_count) {
        drop_last(program);
    }
}

/* Several at once, so that some wait for others that have not ended. */
void sl_sim_calls_step(sl_sim_program *program) {
    for (uint64_t count = sl_sim_draw(program, BURST_MOST); count; count--, program->steps++)
        step(program);
    step(program);
}

void sl_sim_calls_end(sl_sim_program *program) {
    while (program->held_count)
        drop_last(program);
}
