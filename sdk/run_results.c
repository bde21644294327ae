/* Results as they come: told to files and to the person who waits. */
#include "sdk/run_seal.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "actors/executor/executor_msgs.h"
#include "runtime/log.h"

enum { FAILURES_TOLD = 10 };

void sl_run_say(sl_run_state *run, const char *format, ...) {
    va_list arguments;
    if (!run->request->messages)
        return;
    sl_progress_clear(&run->progress);
    va_start(arguments, format);
    vfprintf(run->request->messages, format, arguments);
    va_end(arguments);
    fflush(run->request->messages);
}

/* ---- writing one down ---- */

/* Before the run is driven, of what is finished already, lines go to the log itself. */
static void add_line(sl_run_state *run, sl_line_log *log, const sl_strbuf *line) {
    sl_err err = sl_strbuf_err(line);
    if (err == SL_OK)
        err = run->writer ? sl_run_writer_row(run->writer, log, line->data, line->length)
                          : sl_line_log_add(log, line->data, line->length);
    if (err != SL_OK)
        sl_error("run", "a result is not in %s, but in the ledger: %s", log->path, sl_err_detail());
}

static uint64_t stdout_bytes(const sl_run_state *run, const char *name) {
    struct stat info;
    if (fstatat(run->dir.stream_fds[SL_OUTPUT_STDOUT], name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return (uint64_t)info.st_size;
}

static void log_job(sl_run_state *run, uint32_t task, const sl_task_result *result) {
    sl_strbuf command;
    sl_task_result whole = *result;
    if (!whole.stdout_bytes)
        whole.stdout_bytes = stdout_bytes(run, result->name);
    sl_strbuf_init(&command, 2 * (size_t)SL_TASK_LINE_MAX);
    if (!run->seal)
        sl_task_spec_command_text(sl_task_list_at(run->list, task), &command);
    sl_strbuf_clear(&run->line);
    sl_joblog_write(&run->line, (uint64_t)task + 1, &whole,
                    sl_strbuf_err(&command) == SL_OK && command.length ? command.data
                                                                       : result->name);
    sl_strbuf_fini(&command);
    if (run->line.length)
        add_line(run, &run->joblog, &run->line);
}

void sl_run_record(sl_run_state *run, uint32_t task, const sl_task_result *result, bool earlier) {
    run->fate[task] = (uint8_t)result->status;
    run->counts.finished++;
    run->counts.failed += result->status != SL_RESULT_DONE;
    sl_summary_result(&run->summary, result->status, earlier);
    if (!earlier && result->start_s > 0)
        sl_summary_attempt(&run->summary, result->rank, sl_task_list_at(run->list, task)->cpus,
                           result->start_s, result->end_s);
    sl_strbuf_clear(&run->line);
    sl_result_write(&run->line, result);
    add_line(run, &run->results, &run->line);
    if (run->has_joblog)
        log_job(run, task, result);
}

/* ---- from the scheduler ---- */

static sl_result_status status_of(uint8_t status) {
    return status == SL_TASK_DONE        ? SL_RESULT_DONE
           : status == SL_TASK_CANCELLED ? SL_RESULT_CANCELLED
           : status == SL_TASK_SKIPPED   ? SL_RESULT_SKIPPED
                                         : SL_RESULT_FAILED;
}

static sl_task_result result_of(const sl_run_state *run, const scheduler_outcome *outcome) {
    uint32_t task = (uint32_t)outcome->tag;
    sl_task_result result = {.name = sl_task_list_at(run->list, task)->name,
                             .message = outcome->message.bytes ? outcome->message.data : NULL,
                             .status = status_of(outcome->status),
                             .exit_code = outcome->exit_code,
                             .signal = outcome->signal,
                             .rank = -1,
                             .attempts = outcome->attempts,
                             .start_s = outcome->start_s,
                             .end_s = outcome->end_s,
                             .user_s = outcome->user_s,
                             .sys_s = outcome->system_s,
                             .max_rss_bytes = outcome->max_rss_bytes};
    if (outcome->node < run->network->count) {
        result.rank = (int32_t)outcome->node;
        if (run->nodes[outcome->node].known) {
            result.host = run->nodes[outcome->node].host;
            result.region = run->nodes[outcome->node].region;
        }
    }
    return result;
}

void sl_run_say_failure(sl_run_state *run, const sl_task_result *result) {
    if (result->status != SL_RESULT_FAILED || ++run->failures_told > FAILURES_TOLD + 1)
        return;
    if (run->failures_told > FAILURES_TOLD) {
        sl_run_say(run, "starlane: more tasks failed; see %s/%s\n", run->dir.path,
                   SL_OUTPUT_RESULTS);
        return;
    }
    sl_run_say(run, "starlane: task %s failed: ", result->name);
    if (result->message)
        sl_run_say(run, "%s\n", result->message);
    else if (result->signal)
        sl_run_say(run, "ended by signal %d (%s)\n", result->signal, strsignal(result->signal));
    else
        sl_run_say(run, "exit code %d; see %s/stderr/%s\n", result->exit_code, run->dir.path,
                   result->name);
}

static bool answered(const sl_run_state *run, const scheduler_outcome *outcome) {
    return outcome->start_s > 0 &&
           sl_task_list_at(run->list, (uint32_t)outcome->tag)->kind == SL_FORM_FUNCTION;
}

/* What a function answered becomes its standard output. */
static void keep_output(sl_run_state *run, const scheduler_outcome *outcome) {
    const char *name = sl_task_list_at(run->list, (uint32_t)outcome->tag)->name;
    if (sl_run_writer_output(run->writer, name, outcome->output.data, outcome->output.bytes) !=
        SL_OK)
        sl_error("run", "the output of task %s is lost: %s", name, sl_err_detail());
}

/* On its way to be opened: it is recorded when it comes back. */
static bool is_opened(sl_run_state *run, const scheduler_outcome *outcome, sl_blob *apart) {
    if (!run->seal || (!outcome->output.bytes && !apart))
        return false;
    if (sl_run_seal_result(run, outcome, apart) != SL_OK) {
        sl_error("run", "the output of task %llu is lost: %s", (unsigned long long)outcome->tag,
                 sl_err_detail());
        return false;
    }
    run->opening++;
    return true;
}

/* What is being written is as much as may wait: nothing new is started until there is room. */
static void mind_disk(sl_run_state *run) {
    scheduler_pause pause = {.paused = true};
    if (run->paused || run->ending || !sl_run_writer_is_full(run->writer))
        return;
    sl_warn("run", "outputs wait for the disk: no task is started meanwhile");
    run->room.to = sl_self(run->self);
    run->paused =
        scheduler_pause_send(run->self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &pause) == SL_OK;
}

void sl_run_on_room(sl_run_state *run) {
    scheduler_pause pause = {.paused = false};
    if (run->ending || !run->paused)
        return;
    run->paused = false;
    if (scheduler_pause_send(run->self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &pause) != SL_OK)
        sl_run_fail(run, "the scheduler cannot be told to go on");
}

void sl_run_on_opened(sl_run_state *run, sl_run_opened *opened) {
    sl_task_result result = result_of(run, &opened->outcome);
    result.message = opened->message[0] ? opened->message : NULL;
    result.stdout_bytes = opened->stdout_bytes;
    run->opening--;
    if (!run->ending) {
        sl_run_record(run, opened->task, &result, false);
        sl_run_say_failure(run, &result);
    }
    sl_run_opened_free(opened);
    mind_disk(run);
}

void sl_run_on_done(sl_run_state *run, const scheduler_done *done) {
    for (uint32_t i = 0; i < done->outcomes.count && !run->ending; i++) {
        const scheduler_outcome *outcome = &done->outcomes.items[i];
        if (outcome->tag >= run->total || run->fate[outcome->tag] != SL_RUN_UNFINISHED) {
            sl_warn("run", "a result for task %llu, which has one",
                    (unsigned long long)outcome->tag);
            continue;
        }
        if (run->seal)
            run->held_bytes -= sl_run_seal_bytes(run, (uint32_t)outcome->tag);
        if (is_opened(run, outcome, done->outcomes.count == 1 ? done->apart : NULL))
            continue;
        sl_task_result result = result_of(run, outcome);
        if (answered(run, outcome)) {
            keep_output(run, outcome);
            result.stdout_bytes = outcome->output.bytes;
        }
        sl_run_record(run, (uint32_t)outcome->tag, &result, false);
        sl_run_say_failure(run, &result);
    }
    mind_disk(run);
    if (run->seal)
        sl_run_submit(run); /* there may be room again */
}
