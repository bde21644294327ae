/* A run that goes on: its tasks are those of tasks.jsonl, what became of them is in the ledger. */
#include "sdk/run_seal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/scheduler/ledger_reader.h"
#include "sdk/line_reader.h"

#define STORED_LINE_MOST                                                                           \
    (16u << 20) /* a task of a line of 1 MiB, escaped, with its defaults; sealed */

static sl_err path_in(const sl_run_state *run, const char *name, char *path, size_t size) {
    int length = snprintf(path, size, "%s/%s", run->dir.path, name);
    return length > 0 && (size_t)length < size
               ? SL_OK
               : sl_fail(SL_ERR_TOO_LARGE, "%s: the path is too long", run->dir.path);
}

static sl_err open_reader(const sl_run_state *run, sl_ledger_reader **reader) {
    char path[SL_OUTPUT_PATH_BYTES];
    SL_TRY(path_in(run, SL_OUTPUT_LEDGER, path, sizeof path));
    return sl_ledger_reader_open(path, reader);
}

/* ---- the list ---- */

static sl_err add_stored(sl_run_state *run, const char *text, size_t length) {
    char *plain;
    size_t bytes;
    SL_TRY(sl_run_unseal_line(run, text, length, &plain, &bytes));
    sl_err err = plain ? sl_task_list_add_stored(run->list, plain, bytes)
                       : sl_task_list_add_stored(run->list, text, length);
    free(plain);
    return err;
}

static sl_err read_stored(sl_run_state *run, sl_line_reader *reader) {
    char *text;
    size_t length;
    for (;;) {
        sl_err err = sl_line_reader_next(reader, &text, &length);
        if (err == SL_ERR_CLOSED)
            return SL_OK;
        SL_TRY(err);
        SL_TRY(add_stored(run, text, length));
    }
}

static sl_err read_list(sl_run_state *run) {
    char path[SL_OUTPUT_PATH_BYTES];
    sl_line_reader reader;
    sl_task_list_options options = {.source = SL_OUTPUT_TASKS};
    SL_TRY(path_in(run, SL_OUTPUT_TASKS, path, sizeof path));
    SL_TRY(sl_task_list_create(&options, &run->list));
    SL_TRY(sl_line_reader_open(&reader, path, STORED_LINE_MOST));
    sl_err err = read_stored(run, &reader);
    if (err != SL_OK)
        err =
            sl_fail(err, "%s:%llu: %.600s", path, (unsigned long long)reader.line, sl_err_detail());
    sl_line_reader_close(&reader);
    SL_TRY(err);
    return sl_task_list_finish(run->list);
}

sl_err sl_run_read_earlier(sl_run_state *run) {
    sl_ledger_reader *reader;
    char *count = NULL;
    SL_TRY(open_reader(run, &reader));
    sl_err err = sl_ledger_read_meta(reader, "tasks", &count);
    if (err == SL_OK)
        err = sl_ledger_read_meta(reader, "cwd", &run->start_cwd);
    sl_ledger_reader_close(reader);
    if (err == SL_OK)
        err = read_list(run);
    if (err == SL_OK && strtoull(count, NULL, 10) != sl_task_list_count(run->list))
        err =
            sl_fail(SL_ERR_LEDGER, "%s: " SL_OUTPUT_TASKS " has %u tasks, the ledger speaks of %s",
                    run->dir.path, sl_task_list_count(run->list), count);
    free(count);
    return err;
}

/* ---- what became of them ---- */

typedef struct finished_walk {
    sl_run_state *run;
    void (*visit)(sl_run_state *run, uint32_t task, const sl_task_result *result);
} finished_walk;

static sl_result_status status_of(sl_ledger_state state) {
    return state == SL_LEDGER_DONE        ? SL_RESULT_DONE
           : state == SL_LEDGER_CANCELLED ? SL_RESULT_CANCELLED
           : state == SL_LEDGER_SKIPPED   ? SL_RESULT_SKIPPED
                                          : SL_RESULT_FAILED;
}

static bool has_ended(sl_ledger_state state) {
    return state == SL_LEDGER_DONE || state == SL_LEDGER_FAILED || state == SL_LEDGER_CANCELLED ||
           state == SL_LEDGER_SKIPPED;
}

static sl_task_result result_of(const sl_ledger_entry *entry) {
    const sl_ledger_outcome *from = &entry->result;
    return (sl_task_result){.name = entry->task.name,
                            .host = from->host,
                            .region = from->region,
                            .message = from->message,
                            .status = status_of(entry->state),
                            .exit_code = from->exit_code,
                            .signal = from->signal,
                            .rank = from->rank,
                            .attempts = entry->attempts,
                            .start_s = from->start_s,
                            .end_s = from->end_s,
                            .user_s = from->user_s,
                            .sys_s = from->sys_s,
                            .max_rss_bytes = from->max_rss_bytes};
}

static sl_err visit_entry(void *context, const sl_ledger_entry *entry) {
    finished_walk *walk = context;
    sl_run_state *run = walk->run;
    uint32_t task = entry->task.id;
    if (task >= run->total || strcmp(entry->task.name, sl_task_list_at(run->list, task)->name) != 0)
        return sl_fail(SL_ERR_LEDGER, "%s: the ledger's task %u is not that of " SL_OUTPUT_TASKS,
                       run->dir.path, task);
    run->accepted[task] = 1;
    run->attempts[task] = entry->attempts;
    if (has_ended(entry->state)) {
        sl_task_result result = result_of(entry);
        walk->visit(run, task, &result);
    }
    return SL_OK;
}

sl_err sl_run_each_finished(sl_run_state *run, void (*visit)(sl_run_state *run, uint32_t task,
                                                             const sl_task_result *result)) {
    sl_ledger_reader *reader;
    finished_walk walk = {run, visit};
    SL_TRY(open_reader(run, &reader));
    sl_err err = sl_ledger_read_tasks(reader, 0, visit_entry, &walk);
    sl_ledger_reader_close(reader);
    return err;
}

/* ---- what is to run again, and what never can ---- */

static sl_run_again again(const sl_run_state *run) {
    if (run->restarted) /* what was to run again was reopened at the first start */
        return SL_AGAIN_NOTHING;
    if (run->request->again != SL_AGAIN_NOTHING)
        return run->request->again;
    return sl_config_bool(run->config, SL_OPT_RERUN) ? SL_AGAIN_FAILED : SL_AGAIN_NOTHING;
}

static void note_fate(sl_run_state *run, uint32_t task, const sl_task_result *result) {
    run->fate[task] = (uint8_t)result->status;
}

/* Nobody else writes yet, so a full queue has room again after a flush. */
static sl_err post(sl_run_state *run, const sl_ledger_record *records, size_t count) {
    sl_err err = sl_ledger_post(run->ledger, records, count, NULL, NULL);
    if (err != SL_ERR_AGAIN)
        return err;
    SL_TRY(sl_ledger_flush(run->ledger));
    return sl_ledger_post(run->ledger, records, count, NULL, NULL);
}

static sl_err reopen(sl_run_state *run, uint32_t task) {
    sl_ledger_record record = {.kind = SL_LEDGER_REOPEN, .reopen = task};
    SL_TRY(post(run, &record, 1));
    run->fate[task] = SL_RUN_UNFINISHED;
    return SL_OK;
}

static bool waits_for_failure(const sl_run_state *run, const sl_task_spec *spec) {
    for (uint32_t i = 0; i < spec->after_count; i++)
        for (uint32_t j = 0; j < spec->after[i].count; j++) {
            uint8_t fate = run->fate[spec->after[i].first + j];
            if (fate != SL_RUN_UNFINISHED && fate != SL_RESULT_DONE)
                return true;
        }
    return false;
}

/* What the scheduler would have told the ledger of a task that never reached it. */
static sl_err task_record(sl_run_state *run, uint32_t task, uint32_t *after,
                          sl_ledger_record *out) {
    const sl_task_spec *spec = sl_task_list_at(run->list, task);
    uint32_t count = 0;
    for (uint32_t i = 0; i < spec->after_count; i++)
        for (uint32_t j = 0; j < spec->after[i].count; j++)
            after[count++] = spec->after[i].first + j;
    sl_run_ledger_line(run, task, &run->line);
    SL_TRY(sl_strbuf_err(&run->line));
    *out = (sl_ledger_record){.kind = SL_LEDGER_TASK,
                              .task = {.id = task,
                                       .priority = spec->priority,
                                       .name = spec->name,
                                       .spec = run->line.data,
                                       .region = spec->region,
                                       .accepted_s = sl_clock_wall_s(),
                                       .timeout_s = (double)spec->timeout_ns / 1e9,
                                       .cpus = spec->cpus,
                                       .gpus = spec->gpus,
                                       .retries = spec->retries,
                                       .after_count = count,
                                       .after = after,
                                       .memory_bytes = spec->memory_bytes,
                                       .ucu_milli = (int64_t)spec->ucu_milli}};
    return SL_OK;
}

static uint64_t after_count(const sl_task_spec *spec) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < spec->after_count; i++)
        count += spec->after[i].count;
    return count;
}

/* A task that this one comes after did not succeed, and the run ended before that was written down
 * for this one. */
static sl_err skip(sl_run_state *run, uint32_t task) {
    sl_ledger_record records[2];
    uint32_t *after = calloc(after_count(sl_task_list_at(run->list, task)) + 1, sizeof *after);
    if (!after)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to skip a task");
    sl_err err = task_record(run, task, after, &records[0]);
    records[1] =
        (sl_ledger_record){.kind = SL_LEDGER_RESULT,
                           .outcome = {.task = task,
                                       .state = SL_LEDGER_SKIPPED,
                                       .exit_code = -1,
                                       .rank = -1,
                                       .message = "a task it comes after did not succeed"}};
    uint32_t first = run->accepted[task];
    if (err == SL_OK)
        err = post(run, records + first, 2 - first);
    free(after);
    if (err == SL_OK)
        run->fate[task] = SL_RESULT_SKIPPED;
    return err;
}

sl_err sl_run_settle_earlier(sl_run_state *run) {
    sl_run_again which = again(run);
    SL_TRY(sl_run_each_finished(run, note_fate));
    for (uint32_t i = 0; i < run->total && which != SL_AGAIN_NOTHING; i++)
        if (run->fate[i] != SL_RUN_UNFINISHED &&
            (which == SL_AGAIN_ALL || run->fate[i] != SL_RESULT_DONE))
            SL_TRY(reopen(run, i));
    for (uint32_t i = 0; i < run->total; i++) {
        uint32_t task = run->order[i];
        if (run->fate[task] == SL_RUN_UNFINISHED &&
            waits_for_failure(run, sl_task_list_at(run->list, task)))
            SL_TRY(skip(run, task));
    }
    return sl_ledger_flush(run->ledger);
}
