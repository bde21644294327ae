/* A run from its request to its exit code, on the rank that drives it and on those that serve. */
#include "sdk/run_seal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/launcher.h"
#include "mpi/slurm_time.h"
#include "runtime/log.h"
#include "sdk/client.h"
#include "sdk/launch_state.h"
#include "sdk/options.h"

#define LINE_MOST     (32u << 20) /* a task of the list, as JSON */
#define LOOK_AGAIN_NS (50 * SL_NS_PER_MS)
#define LOOK_FOR_NS   (10 * SL_NS_PER_S) /* a shared file system may show new files late */

/* What the first rank tells the others before anything is started. */
typedef struct run_word {
    int32_t code;                    /* SL_RUN_DONE: go on; else all end with it */
    char path[SL_OUTPUT_PATH_BYTES]; /* of the output directory */
    char lock[128];                  /* what its lock file says */
} run_word;

#define LOCK_NAME ".starlane-lock"

/* ---- is it the same directory everywhere? ---- */

static bool read_lock(const char *directory, char *text, size_t size) {
    char path[SL_OUTPUT_PATH_BYTES + sizeof LOCK_NAME + 1];
    snprintf(path, sizeof path, "%s/" LOCK_NAME, directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static sl_err see_directory(const sl_network *network, const run_word *word) {
    char seen[sizeof word->lock];
    uint64_t give_up_ns = sl_clock_now_ns() + LOOK_FOR_NS;
    do {
        if (read_lock(word->path, seen, sizeof seen) && strcmp(seen, word->lock) == 0)
            return SL_OK;
        sl_clock_real.sleep_ns(&sl_clock_real, LOOK_AGAIN_NS);
    } while (sl_clock_now_ns() < give_up_ns);
    return sl_fail(SL_ERR_NOT_FOUND,
                   "rank %u on %s does not see the output directory %s of the first rank; give an "
                   "--output on a file system that all nodes share",
                   network->nodes[0].rank, network->hardware.hostname, word->path);
}

/* ---- the ranks that serve ---- */

static void signals_to_driver(const sl_network *network) {
    sl_node *node = network->nodes[0].node;
    sl_run_signals_to(node, sl_addr_well_known(sl_node_id(node), SL_SLOT_DRIVER));
}

static sl_err serve(sl_network *network, int *code) {
    sl_run_argument argument = {.network = network};
    sl_network_setup setup = {.driver = &sl_run_follower_class,
                              .driver_argument = &argument,
                              .driver_argument_bytes = sizeof argument};
    uint32_t stopped_with = SL_RUN_FAILED;
    SL_TRY(sl_network_start(network, &setup));
    signals_to_driver(network);
    sl_err err = sl_network_loop(network, &stopped_with);
    sl_run_signals_release();
    *code = (int)stopped_with;
    char cause[512];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    sl_network_finish(network);
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}

static sl_err follow(sl_network *network, const sl_run_request *request, int *code) {
    run_word word = {.code = SL_RUN_FAILED};
    SL_TRY(sl_network_share(network, &word, sizeof word));
    *code = word.code;
    if (word.code != SL_RUN_DONE)
        return SL_OK;
    word.path[sizeof word.path - 1] = word.lock[sizeof word.lock - 1] = '\0';
    if (request->take_signals)
        sl_run_signals_take();
    *code = SL_RUN_BAD_INPUT;
    SL_TRY(sl_network_agree(network, see_directory(network, &word)));
    *code = SL_RUN_FAILED;
    SL_TRY(sl_network_agree(network, SL_OK)); /* the first rank opens its files */
    return serve(network, code);
}

/* ---- the rank that drives ---- */

static sl_err find_end(sl_run_state *run) {
    sl_slurm_time end;
    int64_t limit_s = 0;
    if (sl_config_is_set(run->config, SL_OPT_TIME_LIMIT))
        limit_s = (int64_t)(sl_config_duration_ns(run->config, SL_OPT_TIME_LIMIT) / SL_NS_PER_S);
    SL_TRY(sl_slurm_time_of_job(limit_s, (int64_t)sl_clock_wall_s(), NULL, &end));
    run->end_s = end.known ? (double)end.end_unix_s : 0;
    run->margin_s = (double)sl_config_duration_ns(run->config, SL_OPT_TIME_MARGIN) / 1e9;
    return SL_OK;
}

static sl_err prepare(sl_run_state *run) {
    uint32_t ranks = run->network->count;
    run->nodes = calloc(ranks, sizeof *run->nodes);
    run->summary.ranks = calloc(ranks, sizeof *run->summary.ranks);
    run->summary.rank_count = ranks;
    run->summary.version = sl_version();
    run->summary.started_s = sl_clock_wall_s();
    run->started_ns = sl_clock_now_ns();
    if (!run->nodes || !run->summary.ranks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u nodes", ranks);
    SL_TRY(find_end(run));
    SL_TRY(sl_run_seal_open(run, NULL));
    if (run->resumed) { /* the tasks are in it */
        SL_TRY(sl_run_open_dir(run));
        SL_TRY(sl_run_read(run));
        return sl_run_seal_check(run);
    }
    SL_TRY(sl_run_read(run));
    SL_TRY(sl_run_seal_check(run));
    return sl_run_open_dir(run);
}

static FILE *progress_stream(const sl_run_state *run) {
    enum { AUTO, ALWAYS, NEVER };
    return sl_config_enum(run->config, SL_OPT_PROGRESS) == NEVER ? NULL : run->request->messages;
}

static sl_object *put_here(void *store, sl_value value) {
    void *data;
    sl_object *object = sl_object_make(store, &value, &data);
    if (!object)
        return NULL;
    sl_object_write(data, &value);
    if (sl_object_seal(object) == SL_OK)
        return object;
    sl_object_release(object);
    return NULL;
}

static sl_err drive_nodes(sl_run_state *run) {
    sl_network *network = run->network;
    sl_run_argument argument = {.run = run};
    sl_network_setup setup = {.driver = &sl_run_driver_class,
                              .driver_argument = &argument,
                              .driver_argument_bytes = sizeof argument,
                              .ledger = run->ledger,
                              .end_s = run->end_s,
                              .margin_s = run->margin_s};
    uint32_t code;
    SL_TRY(sl_network_start(network, &setup));
    signals_to_driver(network);
    sl_run_modules_put(run, put_here, network->nodes[0].store);
    sl_err err = sl_network_loop(network, &code);
    sl_run_signals_release();
    char cause[512];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    if (run->closer_running)
        pthread_join(run->closer, NULL);
    sl_run_seal_stop(run);
    sl_network_finish(network);
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}

static void warn_of_launcher(sl_run_state *run) {
    const char *launcher =
        run->network->count > 1 && !sl_launch_here() ? sl_launcher_ends_job(NULL) : NULL;
    if (launcher && run->network->mpi)
        sl_run_say(run,
                   "starlane: should a rank die, %s ends the others too; started with `starlane "
                   "launch` they go on\n",
                   launcher);
}

/* From here on there is a run that can be resumed. */
static sl_err drive(sl_run_state *run) {
    sl_err err = sl_network_agree(run->network, sl_run_open_files(run));
    if (err != SL_OK) {
        run->code = SL_RUN_FAILED;
        return err;
    }
    run->network->drives = true;
    sl_launch_tell_run(run->dir.path);
    warn_of_launcher(run);
    sl_progress_init(&run->progress, progress_stream(run), sl_clock_now_ns());
    run->code = SL_RUN_FAILED;
    err = drive_nodes(run);
    if (run->failure[0])
        return sl_fail(SL_ERR_FAILED, "%s", run->failure);
    if (err != SL_OK && run->ending) { /* all is on disk; how the nodes parted is not the point */
        sl_warn("run", "the network did not end well: %s", sl_err_detail());
        err = SL_OK;
    }
    return err;
}

static sl_err lead(sl_run_state *run) {
    run_word word = {.code = SL_RUN_DONE};
    sl_err err = prepare(run);
    if (err == SL_OK) {
        snprintf(word.path, sizeof word.path, "%s", run->dir.path);
        (void)read_lock(run->dir.path, word.lock, sizeof word.lock);
    } else {
        word.code = run->code = SL_RUN_BAD_INPUT;
    }
    char cause[1024];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    sl_err shared = sl_network_share(run->network, &word, sizeof word);
    if (err != SL_OK)
        return sl_fail(err, "%s", cause);
    SL_TRY(shared);
    if (run->request->take_signals)
        sl_run_signals_take();
    err = sl_network_agree(run->network, SL_OK); /* the others look for the directory */
    if (err != SL_OK) {
        run->code = err == SL_ERR_DEAD ? SL_RUN_FAILED : SL_RUN_BAD_INPUT;
        return err;
    }
    return drive(run);
}

/* ---- what is said at the end ---- */

static void say_end(sl_run_state *run) {
    sl_run_summary *summary = &run->summary;
    double took_s = summary->took_s;
    uint64_t *statuses = summary->statuses;
    uint64_t ended = run->counts.finished;
    sl_run_say(run, "starlane: %u task%s: %llu done", run->total, run->total == 1 ? "" : "s",
               (unsigned long long)statuses[SL_RESULT_DONE]);
    for (int i = SL_RESULT_DONE + 1; i < SL_RESULT_STATUSES; i++)
        if (statuses[i])
            sl_run_say(run, ", %llu %s", (unsigned long long)statuses[i],
                       sl_result_status_name((sl_result_status)i));
    if (ended < run->total)
        sl_run_say(run, ", %llu left", (unsigned long long)(run->total - ended));
    sl_run_say(run, " in %.3g s; results in %s\n", took_s > 0 ? took_s : 0, run->dir.path);
    if (run->network && run->code != SL_RUN_DONE && run->code != SL_RUN_FAILED)
        sl_run_say(run, "starlane: to go on: starlane run --resume %s\n", run->dir.path);
}

static void write_summary(sl_run_state *run) {
    sl_strbuf text;
    if (!run->request->results)
        return;
    sl_strbuf_init(&text, 16 << 20);
    sl_summary_write(&text, &run->summary);
    if (sl_strbuf_err(&text) == SL_OK)
        fputs(text.data, run->request->results);
    fflush(run->request->results);
    sl_strbuf_fini(&text);
}

void sl_run_say_end(sl_run_state *run) {
    say_end(run);
    write_summary(run);
}

void sl_run_release(sl_run_state *run) {
    sl_run_close_files(run);
    sl_run_discard_dir(run);
    sl_output_dir_close(&run->dir);
    sl_run_batch_free(run->sealed);
    sl_run_seal_close(run);
    sl_task_list_destroy(run->list);
    sl_task_array_fini(&run->array);
    sl_strbuf_fini(&run->line);
    sl_run_modules_free(run);
    free(run->fate);
    free(run->attempts);
    free(run->accepted);
    free(run->order);
    free(run->start_cwd);
    free(run->nodes);
    free(run->summary.ranks);
}

static void find_earlier(sl_run_state *run) {
    run->earlier = sl_launch_restart();
    run->restarted = run->earlier != NULL;
    if (!run->earlier)
        run->earlier = run->request->resume;
    if (!run->earlier && sl_config_is_set(run->config, SL_OPT_RESUME))
        run->earlier = sl_config_text(run->config, SL_OPT_RESUME);
    run->resumed = run->earlier != NULL;
}

int sl_run(sl_network *network, const sl_run_request *request, int *code) {
    if (!sl_network_leads(network))
        return follow(network, request, code);
    sl_run_state run = {.network = network,
                        .config = network->config,
                        .request = request,
                        .code = SL_RUN_FAILED,
                        .dir = {.fd = -1, .lock_fd = -1, .stream_fds = {-1, -1}},
                        .results = {.fd = -1},
                        .joblog = {.fd = -1}};
    find_earlier(&run);
    sl_strbuf_init(&run.line, LINE_MOST);
    sl_err err = lead(&run);
    char cause[1024];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    if (run.ending)
        sl_run_say_end(&run);
    *code = run.code;
    sl_run_release(&run);
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}
