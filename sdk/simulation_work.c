/* What stands in for processes and functions: a command takes as long, and ends as, its task says.
 *
 * Here the executors' promises are kept account of from outside: what runs at once on a node never
 * exceeds what the node offers, nothing runs before what it comes after has ended well, and no
 * attempt is begun twice. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/simulation.h"

static sl_sim_task *task_named(sl_simulation *simulation, const char *words) {
    char *dot, *end;
    unsigned long owner = strtoul(words, &dot, 10);
    if (*dot != '.' || owner >= simulation->owners)
        return NULL;
    unsigned long tag = strtoul(dot + 1, &end, 10);
    if (*end || tag >= simulation->users[owner].count)
        return NULL;
    return &simulation->users[owner].tasks[tag];
}

/* ---- what must hold when work begins ---- */

static void check_dependencies(sl_simulation *simulation, const sl_sim_task *task) {
    const sl_sim_user *user = &simulation->users[task->owner];
    for (uint32_t i = 0; i < task->after_count; i++) {
        if (!user->tasks[task->after[i]].successes)
            sl_sim_violate(simulation, "task %u.%u runs before task %u, which it comes after",
                           task->owner, task->tag, task->after[i]);
    }
}

static void check_room(const sl_sim_host *host) {
    uint64_t cores = 0, memory_bytes = 0, ucu_milli = 0;
    for (const sl_sim_command *each = host->commands; each; each = each->next) {
        if (each->before)
            continue;
        cores += each->task->cores;
        memory_bytes += each->task->memory_bytes;
        ucu_milli += each->task->ucu_milli;
    }
    if (cores > host->core_count || memory_bytes > host->memory_bytes ||
        ucu_milli > host->ucu_milli)
        sl_sim_violate(host->simulation,
                       "node %u runs more than it offers: %" PRIu64 " cores of %u, %" PRIu64
                       " bytes of %" PRIu64 ", %" PRIu64 " mUCU of %" PRIu64,
                       host->number, cores, host->core_count, memory_bytes, host->memory_bytes,
                       ucu_milli, host->ucu_milli);
}

static void begin(sl_sim_host *host, sl_sim_task *task) {
    sl_simulation *simulation = host->simulation;
    check_dependencies(simulation, task);
    if (task->ended)
        return; /* its owner may have given this node up, and placed it elsewhere */
    if (task->running && !simulation->losses)
        sl_sim_violate(simulation, "task %u.%u runs twice at once", task->owner, task->tag);
    task->runs++;
}

/* ---- commands ---- */

static sl_process_result result_of(const sl_sim_command *command) {
    const sl_clock *clock =
        sl_simulator_clock(command->host->simulation->simulator, command->host->number);
    double spent_s =
        (double)(sl_simulator_now_ns(command->host->simulation->simulator) - command->start_ns) /
        1e9;
    sl_process_result result = {.status = command->status,
                                .exit_code = -1,
                                .start_s = command->start_s,
                                .end_s = clock->wall_s(clock),
                                .wall_s = spent_s,
                                .user_s = spent_s / 2,
                                .max_rss_bytes = 4 << 20};
    if (command->status == SL_PROCESS_EXITED)
        result.exit_code = command->task->exit_code;
    return result;
}

static void unlink_command(sl_sim_command *command) {
    for (sl_sim_command **at = &command->host->commands; *at; at = &(*at)->next) {
        if (*at != command)
            continue;
        *at = command->next;
        return;
    }
}

static sl_sim_command *command_of(const sl_sim_host *host, sl_minder_handle handle) {
    sl_sim_command *command = host->commands;
    while (command && command->handle != handle)
        command = command->next;
    return command;
}

static sl_sim_command *command_after(const sl_sim_host *host, sl_minder_handle handle) {
    sl_sim_command *command = host->commands;
    while (command && command->before != handle)
        command = command->next;
    return command;
}

static void on_end(void *context, uint64_t handle);

static sl_err ask_for_end(sl_sim_command *command, uint64_t end_ns) {
    command->end_ns = end_ns;
    return sl_simulator_at(command->host->simulation->simulator, end_ns, on_end, command->host,
                           command->handle);
}

/* A moment after SIGTERM. */
static sl_err end_soon(sl_sim_command *command) {
    sl_simulation *simulation = command->host->simulation;
    uint64_t end_ns = sl_simulator_now_ns(simulation->simulator) +
                      (1 + sl_rng_below(&simulation->rng, 20)) * SL_NS_PER_MS;
    command->status = SL_PROCESS_CANCELLED;
    return end_ns < command->end_ns ? ask_for_end(command, end_ns) : SL_OK;
}

static sl_err start(sl_sim_command *command) {
    sl_sim_host *host = command->host;
    sl_simulator *simulator = host->simulation->simulator;
    sl_sim_task *task = command->task;
    const sl_clock *clock = sl_simulator_clock(simulator, host->number);
    bool late = task->timeout_ns && task->timeout_ns < task->duration_ns;
    bool cancelled = command->leaving && command->status == SL_PROCESS_CANCELLED;
    command->before = 0;
    command->leaving = false;
    command->start_ns = sl_simulator_now_ns(simulator);
    command->start_s = clock->wall_s(clock);
    command->status = late ? SL_PROCESS_TIMED_OUT : SL_PROCESS_EXITED;
    begin(host, task);
    task->running++;
    check_room(host);
    SL_TRY(ask_for_end(command, command->start_ns + (late ? task->timeout_ns : task->duration_ns)));
    sl_sim_pass(host->simulation, SL_SIM_AT_ASSIGNED, host->number);
    return cancelled ? end_soon(command) : SL_OK;
}

/* What waited for it starts in the same instant; a row that one leaves closes. */
static void go_on(sl_sim_host *host, const sl_sim_command *gone) {
    sl_sim_command *next = command_after(host, gone->handle);
    if (!next)
        return;
    next->before = gone->before;
    if (!next->before && start(next) != SL_OK)
        sl_sim_violate(host->simulation, "out of memory");
}

static void note_end(const sl_sim_command *command, const sl_process_result *result) {
    sl_sim_task *task = command->task;
    task->running--;
    if (result->status == SL_PROCESS_EXITED && result->exit_code == 0)
        task->successes++;
    sl_simulator_note(command->host->simulation->simulator, command->host->number,
                      command->start_ns, command->end_ns - command->start_ns + 1, "task %u.%u",
                      task->owner, task->tag);
}

static void on_end(void *context, uint64_t handle) {
    sl_sim_host *host = context;
    sl_simulation *simulation = host->simulation;
    sl_sim_command *command = command_of(host, handle);
    if (!command || command->end_ns != sl_simulator_now_ns(simulation->simulator) ||
        command->life != sl_simulator_life(simulation->simulator, host->number))
        return;
    sl_process_result result = result_of(command);
    if (!command->before)
        note_end(command, &result);
    unlink_command(command);
    go_on(host, command);
    command->done(command->context, &result);
    free(command);
    sl_sim_pass(simulation, SL_SIM_AT_ENDED, host->number);
}

static sl_err run(void *context, sl_minder_handle before, const sl_process_spec *spec,
                  sl_minder_done done, void *done_context, sl_minder_handle *handle) {
    sl_sim_host *host = context;
    sl_simulation *simulation = host->simulation;
    sl_sim_task *task = spec->argv[0] ? task_named(simulation, spec->argv[0]) : NULL;
    if (!task) {
        sl_sim_violate(simulation, "node %u was given a task that nobody has", host->number);
        return sl_fail(SL_ERR_INVALID, "no such task");
    }
    const sl_sim_command *first = before ? command_of(host, before) : NULL;
    if (before && (!first || first->leaving))
        return sl_fail(SL_ERR_NOT_FOUND, "what it was to come after has gone");
    if (before && command_after(host, before))
        return sl_fail(SL_ERR_EXISTS, "another comes after that");
    sl_sim_command *command = calloc(1, sizeof *command);
    if (!command)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command");
    *command = (sl_sim_command){.next = host->commands,
                                .host = host,
                                .task = task,
                                .done = done,
                                .context = done_context,
                                .handle = ++host->next_handle,
                                .life = sl_simulator_life(simulation->simulator, host->number),
                                .before = before};
    host->commands = command;
    *handle = command->handle;
    return before ? SL_OK : start(command);
}

/* Before it has started, as soon as its spawner hears of it. */
static void leave(sl_sim_command *command, sl_process_status status) {
    sl_simulation *simulation = command->host->simulation;
    uint64_t delay_ns = sl_rng_below(&simulation->rng, 200) * SL_NS_PER_US;
    if (command->leaving)
        return;
    command->leaving = true;
    command->status = status;
    if (ask_for_end(command, sl_simulator_now_ns(simulation->simulator) + delay_ns) != SL_OK)
        sl_sim_violate(simulation, "out of memory");
}

static void cancel(void *context, sl_minder_handle handle) {
    sl_sim_command *command = command_of(context, handle);
    if (!command || command->status == SL_PROCESS_CANCELLED)
        return;
    if (command->before)
        leave(command, SL_PROCESS_CANCELLED);
    else if (end_soon(command) != SL_OK)
        sl_sim_violate(command->host->simulation, "out of memory");
}

static void recall(void *context, sl_minder_handle handle) {
    sl_sim_command *command = command_of(context, handle);
    if (command && command->before)
        leave(command, SL_PROCESS_WITHDRAWN);
}

const sl_command_ops sl_sim_commands = {run, cancel, recall};

/* They die with their node. Their executor is handed each back, as it would be by a minder that
 * ends: what it keeps for them is freed when it has stopped. */
void sl_sim_commands_kill(sl_sim_host *host) {
    for (sl_sim_command *command; (command = host->commands);) {
        sl_process_result result = {.status = SL_PROCESS_LOST, .exit_code = -1};
        host->commands = command->next;
        if (!command->before)
            command->task->running--;
        command->done(command->context, &result);
        free(command);
    }
}

/* ---- functions ---- */

sl_err sl_sim_function(const void *args, size_t args_bytes, sl_task_output *output, void *user) {
    sl_simulation *simulation = user;
    char words[32] = "";
    memcpy(words, args, args_bytes < sizeof words ? args_bytes : sizeof words - 1);
    sl_sim_task *task = task_named(simulation, words);
    uint32_t turning = sl_simulator_turning(simulation->simulator);
    uint32_t number = simulation->function_host != SL_NO_NODE ? simulation->function_host : turning;
    if (!task || number == SL_NO_NODE) {
        sl_sim_violate(simulation, "a function was called that nobody asked for");
        return sl_fail(SL_ERR_INVALID, "no such task");
    }
    begin(&simulation->hosts[number], task);
    sl_simulator_spend(simulation->simulator, number, task->work_ns);
    if (task->exit_code)
        return sl_fail(SL_ERR_FAILED, "it fails");
    task->successes++;
    return sl_task_output_write(output, words, strlen(words));
}

void sl_sim_run_job(void *context, sl_job *job) {
    sl_sim_host *host = context;
    sl_simulation *simulation = host->simulation;
    void *pool = sl_simulator_pool(simulation->simulator, host->number);
    if (host->process) { /* what runs there may wait for others */
        sl_simulator_run_job_apart(pool, job);
        return;
    }
    simulation->function_host = host->number;
    sl_simulator_run_job(pool, job);
    simulation->function_host = SL_NO_NODE;
}
