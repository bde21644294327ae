/* A program that calls the API, on a thread of its process: it spawns actors and submits tasks,
 * asks, waits and lets go, for as long as there are faults; then all ask what has come of it. */
#include <stdlib.h>
#include <string.h>

#include "runtime/futex.h"
#include "sdk/simulation.h"

#define THINKS_LEAST_NS (5 * SL_NS_PER_MS)
#define THINKS_MOST_NS  (200 * SL_NS_PER_MS)
#define LOOKS_NS        (20 * SL_NS_PER_MS) /* whether the others are as far */

enum { STEPS_MOST = 36 };

uint64_t sl_sim_draw(sl_sim_program *program, uint64_t below) {
    return sl_rng_below(&program->host->simulation->program_rng, below);
}

bool sl_sim_program_is_over(const sl_sim_program *program) {
    return program->host->process->over || program->host->simulation->failed;
}

/* ---- what it waits for ---- */

static void look_at(sl_sim_program *program, sl_sim_pending *pending) {
    program->awaited = *pending;
    (void)!sl_wait(pending->future, SL_FOREVER);
    if (!sl_sim_program_is_over(program))
        sl_sim_counter_answered(program, pending);
    sl_release(pending->future);
}

static void take_first(sl_sim_program *program) {
    sl_sim_pending first = program->pending[0];
    memmove(program->pending, program->pending + 1,
            --program->pending_count * sizeof *program->pending);
    look_at(program, &first);
}

void sl_sim_settle_pending(sl_sim_program *program) {
    while (program->pending_count)
        take_first(program);
}

bool sl_sim_await(sl_sim_program *program, sl_sim_pending pending) {
    if (!pending.future)
        return false;
    if (program->pending_count == SL_SIM_PENDING_MOST)
        take_first(program);
    program->pending[program->pending_count++] = pending;
    return true;
}

/* ---- its life ---- */

static void wait_until_known(const sl_sim_program *program) {
    sl_client *client = &program->host->process->client;
    while (!atomic_load(&client->ready) && !sl_sim_program_is_over(program))
        sl_futex_wait(&client->ready, 0, SL_FUTEX_FOREVER);
}

static bool works(const sl_sim_program *program) {
    return !sl_sim_program_is_over(program) && program->host->simulation->chatting;
}

static void step(sl_sim_program *program) {
    sl_simulator_sleep(THINKS_LEAST_NS + sl_sim_draw(program, THINKS_MOST_NS));
    if (!works(program) || program->steps >= STEPS_MOST)
        return;
    program->steps++;
    if (program->host->number >= program->host->simulation->owners && sl_sim_draw(program, 2))
        sl_sim_calls_step(program);
    else
        sl_sim_counters_step(program);
    if (sl_sim_draw(program, 3) == 0 && program->pending_count)
        take_first(program);
}

/* Until all that live are as far: nothing is sent any more. */
static void wait_for_others(const sl_sim_program *program) {
    const sl_simulation *simulation = program->host->simulation;
    for (uint32_t i = 0; i < simulation->options.nodes && !sl_sim_program_is_over(program);) {
        const sl_sim_process *other = simulation->hosts[i].process;
        if (!other->open || other->program.stage >= program->stage)
            i++;
        else
            sl_simulator_sleep(LOOKS_NS);
    }
}

void sl_sim_program_main(void *context) {
    sl_sim_program *program = context;
    wait_until_known(program);
    while (works(program))
        step(program);
    sl_sim_settle_pending(program);
    sl_sim_calls_end(program);
    if (!sl_sim_program_is_over(program)) {
        sl_sim_counters_flush(program);
        program->stage = SL_SIM_FLUSHED;
        wait_for_others(program);
        if (!sl_sim_program_is_over(program))
            sl_sim_counters_end(program);
    }
    sl_sim_settle_pending(program);
    program->stage = SL_SIM_LEFT;
}
