/* The files of a run: opened in an order in which a crash at any moment leaves either nothing or a
 * run that can be resumed, and closed in one.
 *
 * tasks.jsonl is written before the ledger exists: the ledger learns of tasks as the scheduler
 * accepts them, and a run killed meanwhile must still know what it was asked for. */
#include "sdk/run_seal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/log.h"
#include "sdk/launch_state.h"

#define LINGER_NS (200 * SL_NS_PER_MS)

sl_err sl_run_open_dir(sl_run_state *run) {
    if (run->resumed)
        return sl_output_dir_open(run->earlier, SL_OUTPUT_RESUME, 0, &run->dir);
    const char *path = sl_config_is_set(run->config, SL_OPT_OUTPUT)
                           ? sl_config_text(run->config, SL_OPT_OUTPUT)
                           : NULL;
    return sl_output_dir_open(path, SL_OUTPUT_CREATE, sl_clock_wall_s(), &run->dir);
}

void sl_run_discard_dir(sl_run_state *run) {
    if (run->dir.fd < 0 || run->resumed || run->begun || (!run->network && run->ending))
        return;
    unlinkat(run->dir.fd, SL_OUTPUT_TASKS, 0);
    unlinkat(run->dir.fd, "stdout", AT_REMOVEDIR);
    unlinkat(run->dir.fd, "stderr", AT_REMOVEDIR);
    char *path = strdup(run->dir.path);
    sl_output_dir_close(&run->dir);
    if (path)
        rmdir(path); /* only if it is empty */
    free(path);
}

/* ---- open ---- */

static sl_err write_tasks(sl_run_state *run) {
    sl_line_log log;
    sl_err err = sl_line_log_create(&log, run->dir.fd, SL_OUTPUT_TASKS, UINT64_MAX, &sl_clock_real);
    if (err != SL_OK)
        return err;
    for (uint32_t i = 0; i < run->total && err == SL_OK; i++) {
        err = sl_run_stored_line(run, i, &run->line);
        sl_strbuf_append_char(&run->line, '\n');
        if (err == SL_OK)
            err = sl_strbuf_err(&run->line);
        if (err == SL_OK)
            err = sl_line_log_add(&log, run->line.data, run->line.length);
    }
    sl_err closed = sl_line_log_close(&log);
    return err == SL_OK ? closed : err;
}

static sl_err open_ledger(sl_run_state *run) {
    char path[SL_OUTPUT_PATH_BYTES], count[16];
    const char *name = sl_config_text(run->config, SL_OPT_NAME);
    snprintf(path, sizeof path, "%s/" SL_OUTPUT_LEDGER, run->dir.path);
    snprintf(count, sizeof count, "%u", run->total);
    sl_ledger_meta meta[] = {{"tasks", count}, {"cwd", run->start_cwd}, {"name", name}};
    sl_ledger_options options = {.mode = run->resumed ? SL_LEDGER_RESUME : SL_LEDGER_CREATE,
                                 .version = sl_version(),
                                 .command = run->resumed ? "run --resume" : "run",
                                 .meta = meta,
                                 .meta_count = name[0] ? 3 : 2};
    SL_TRY(sl_ledger_open(path, &options, &run->ledger));
    run->begun = true;
    return SL_OK;
}

static void record_earlier(sl_run_state *run, uint32_t task, const sl_task_result *result) {
    sl_run_record(run, task, result, true);
}

static sl_err open_logs(sl_run_state *run) {
    SL_TRY(sl_line_log_create(&run->results, run->dir.fd, SL_OUTPUT_RESULTS, LINGER_NS,
                              &sl_clock_real));
    if (sl_config_is_set(run->config, SL_OPT_JOBLOG)) {
        SL_TRY(sl_joblog_open(&run->joblog, sl_config_text(run->config, SL_OPT_JOBLOG),
                              &sl_clock_real));
        run->has_joblog = true;
    }
    if (run->resumed)
        SL_TRY(sl_run_each_finished(run, record_earlier));
    return sl_line_log_publish(&run->results);
}

/* On the writer's thread. */
static void tell_room(void *context) {
    sl_run_state *run = context;
    sl_notify(sl_actor_node(run->self), &run->room);
}

/* Over a connection there is no driver: the thread that has something to be written waits. */
static sl_err start_writer(sl_run_state *run) {
    sl_line_log *logs[] = {&run->results, &run->joblog};
    return sl_run_writer_start(&run->dir, logs, run->has_joblog ? 2 : 1,
                               run->network ? tell_room : NULL, run, &run->writer);
}

sl_err sl_run_open_files(sl_run_state *run) {
    if (!run->resumed)
        SL_TRY(write_tasks(run));
    if (run->network)
        SL_TRY(open_ledger(run));
    if (run->resumed)
        SL_TRY(sl_run_settle_earlier(run));
    SL_TRY(open_logs(run));
    return start_writer(run);
}

/* ---- close ---- */

static void warn(sl_err err) {
    if (err != SL_OK)
        sl_error("run", "%s", sl_err_detail());
}

/* Traces and metrics are gathered after the files are closed, and worth waiting for. */
static void tell_launch(sl_run_state *run) {
    sl_network *network = run->network;
    bool more = sl_config_is_set(run->config, SL_OPT_TRACE) ||
                sl_config_is_set(run->config, SL_OPT_METRICS);
    if (run->request->ends_process && !more) {
        sl_launch_tell_end(run->code, !network->clean);
        network->drives = false; /* told all there is */
    } else {
        sl_launch_tell_closed(run->code);
    }
}

void sl_run_close_files(sl_run_state *run) {
    if (run->closed_files)
        return;
    run->closed_files = true;
    sl_ledger_end end = {run->reason ? run->reason : "failed", run->code};
    if (run->ledger)
        warn(sl_ledger_close(run->ledger, &end));
    run->ledger = NULL;
    sl_run_writer_stop(run->writer);
    run->writer = NULL;
    if (run->results.fd >= 0)
        warn(sl_line_log_close(&run->results));
    if (run->has_joblog)
        warn(sl_line_log_close(&run->joblog));
    run->has_joblog = false;
    if (run->dir.fd >= 0 && run->summary.ranks && run->reason) {
        run->summary.took_s = (double)(sl_clock_now_ns() - run->started_ns) * 1e-9;
        run->summary.reason = run->reason;
        warn(sl_summary_save(run->dir.fd, &run->summary));
    }
    if (run->begun)
        tell_launch(run);
}
