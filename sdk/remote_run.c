/* Design notes
 * A run over a connection: the list, the output directory and the reports are those of sl_run();
 * the tasks are futures of the connection. The net's thread tells of each that has ended by a
 * stack; this thread records them, fetches what they wrote, and submits more. A command names those
 * that it comes after and that have not ended here, and the gateway holds it back; a call of a
 * function, and what comes after one, is held back here, and so is all that is sealed: to the
 * gateway a sealed command is a call like any other. What is sealed is so, and is opened, on this
 * thread. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/thread.h"
#include "sdk/module.h"
#include "sdk/options.h"
#include "sdk/remote.h"
#include "sdk/run_seal.h"
#include "sdk/seal.h"

#define TICK_NS (100 * SL_NS_PER_MS)
#define END_NS  (10 * SL_NS_PER_S) /* for tasks that are taken back */

enum { UNDER_WAY_MOST = 4096, HELD_MOST = 4096, AFTER_MOST = 4096, INPUT_MOST = 16 << 20 };

typedef struct outside {
    sl_run_state run;
    sl_remote *remote;
    sl_future **futures;      /* by task, while it is under way */
    uint32_t under_way, most; /* no more than the project's quota, if nobody else uses that */
    uint32_t next;            /* in run.order */
    uint32_t *held;           /* tasks that wait here */
    uint32_t held_count;
    gateway_status *nodes;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sl_item *told; /* futures that have ended, linked by item.next; under the lock */
    gateway_number after[AFTER_MOST];
} outside;

/* ---- what has ended ---- */

static void on_told(sl_future *future, void *context) {
    outside *of = context;
    pthread_mutex_lock(&of->lock);
    sl_retain(future);
    future->item.next = of->told;
    of->told = &future->item;
    pthread_cond_signal(&of->changed);
    pthread_mutex_unlock(&of->lock);
}

static sl_item *take_told(outside *of, uint64_t wait_ns) {
    struct timespec end = sl_cond_deadline(wait_ns);
    pthread_mutex_lock(&of->lock);
    while (!of->told && wait_ns)
        if (pthread_cond_timedwait(&of->changed, &of->lock, &end) != 0)
            break;
    sl_item *told = of->told;
    of->told = NULL;
    pthread_mutex_unlock(&of->lock);
    return told;
}

/* ---- results ---- */

static sl_err write_all(int fd, const uint8_t *data, size_t bytes) {
    while (bytes) {
        ssize_t some = write(fd, data, bytes);
        if (some < 0)
            return sl_fail(SL_ERR_IO, "it cannot be written: is the disk full?");
        data += some;
        bytes -= (size_t)some;
    }
    return SL_OK;
}

/* What did not come along with the end. */
static sl_err fetch_rest(outside *of, uint64_t id, sl_output_stream stream, uint64_t at,
                         uint64_t end, int fd) {
    uint8_t *part = malloc(SL_GATEWAY_LOG_BYTES);
    sl_err err = part ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for an output");
    while (err == SL_OK && at < end) {
        size_t bytes = SL_GATEWAY_LOG_BYTES;
        int ended;
        err = (sl_err)sl_remote_output(of->remote, id, stream == SL_OUTPUT_STDERR, at, part, &bytes,
                                       &ended);
        if (err == SL_OK && !bytes)
            break;
        if (err == SL_OK)
            err = write_all(fd, part, bytes);
        at += bytes;
    }
    free(part);
    return err;
}

static void keep_stream(outside *of, const char *name, const gateway_ended *ended,
                        sl_output_stream stream) {
    sl_bytes head = stream == SL_OUTPUT_STDOUT ? ended->out : ended->err;
    uint64_t all = stream == SL_OUTPUT_STDOUT ? ended->stdout_bytes : ended->stderr_bytes;
    int fd;
    sl_err err = sl_output_create(&of->run.dir, stream, name, &fd);
    if (err == SL_OK) {
        err = write_all(fd, head.data, head.bytes);
        if (err == SL_OK && all > head.bytes)
            err = fetch_rest(of, ended->id, stream, head.bytes, all, fd);
        close(fd);
    }
    if (err != SL_OK)
        sl_run_say(&of->run, "starlane: the output of task %s is not whole: %s\n", name,
                   sl_err_detail());
}

static const gateway_member *node_of(const outside *of, uint32_t number) {
    for (uint32_t i = 0; of->nodes && i < of->nodes->list.count; i++)
        if (of->nodes->list.items[i].node == number)
            return &of->nodes->list.items[i];
    return NULL;
}

static void place(const outside *of, sl_task_result *result, uint32_t node) {
    const gateway_member *at = node_of(of, node);
    result->rank = (int32_t)node;
    result->host = at ? at->host.data : NULL;
    result->region = at ? at->region.data : NULL;
}

static sl_result_status status_of(const sl_future *future) {
    if (future->ended && future->ended->status == SL_TASK_SKIPPED)
        return SL_RESULT_SKIPPED;
    return !future->error                               ? SL_RESULT_DONE
           : future->error == (int32_t)SL_ERR_CANCELLED ? SL_RESULT_CANCELLED
                                                        : SL_RESULT_FAILED;
}

static bool is_command(const sl_future *future) {
    return future->ended && future->ended->id;
}

static void record(outside *of, uint32_t task, sl_future *future) {
    const gateway_ended *ended = future->ended;
    const char *name = sl_task_list_at(of->run.list, task)->name;
    sl_task_result result = {
        .name = name, .status = status_of(future), .rank = -1, .exit_code = -1};
    if (ended) {
        result.exit_code = ended->start_s > 0 && !ended->signal ? ended->exit_code : -1;
        result.signal = ended->signal;
        result.attempts = ended->attempts;
        result.start_s = ended->start_s;
        result.end_s = ended->end_s;
        result.user_s = ended->user_s;
        result.sys_s = ended->system_s;
        result.max_rss_bytes = ended->max_rss_bytes;
        result.stdout_bytes = ended->stdout_bytes;
        result.message =
            ended->message.bytes && !future->seal ? ended->message.data : future->message;
        if (ended->start_s > 0)
            place(of, &result, ended->node);
    } else {
        result.message = future->message;
        if (result.status == SL_RESULT_DONE)
            result.exit_code = 0;
    }
    if (is_command(future) && ended->start_s > 0) {
        keep_stream(of, name, ended, SL_OUTPUT_STDOUT);
        keep_stream(of, name, ended, SL_OUTPUT_STDERR);
    }
    if (future->seal)
        sl_run_seal_take(&of->run, future, &result);
    sl_run_record(&of->run, task, &result, false);
    sl_run_say_failure(&of->run, &result);
}

static void keep_answer(outside *of, uint32_t task, sl_future *future) {
    size_t bytes;
    const void *data = sl_result_bytes(future, &bytes);
    const char *name = sl_task_list_at(of->run.list, task)->name;
    if (data)
        sl_run_writer_await_room(of->run.writer);
    if (data && sl_run_writer_output(of->run.writer, name, data, bytes) != SL_OK)
        sl_run_say(&of->run, "starlane: the output of task %s is lost: %s\n", name,
                   sl_err_detail());
}

static void take_future(outside *of, sl_future *future) {
    uint32_t task = future->slot; /* it has no other use over a connection */
    sl_future_settle(future);
    if (!is_command(future) && !sl_future_is_sealed_command(future) && !future->error)
        keep_answer(of, task, future);
    record(of, task, future);
    of->futures[task] = NULL;
    of->under_way--;
    sl_release(future); /* of the table */
}

static void take_all(outside *of, uint64_t wait_ns) {
    sl_item *told = take_told(of, wait_ns), *first = NULL;
    while (told) { /* the oldest first */
        sl_item *next = told->next;
        told->next = first;
        first = told;
        told = next;
    }
    for (sl_item *next; first; first = next) {
        sl_future *future = (sl_future *)(void *)first;
        next = first->next;
        take_future(of, future);
        sl_release(future);
    }
}

/* ---- what is submitted ---- */

typedef struct command_texts {
    gateway_word *argv, *env;
    char *input;
} command_texts;

static void free_texts(command_texts *texts) {
    free(texts->argv);
    free(texts->env);
    free(texts->input);
}

static sl_err read_input(const outside *of, const char *path, command_texts *texts,
                         gateway_command *command) {
    char whole[SL_OUTPUT_PATH_BYTES];
    struct stat info;
    snprintf(whole, sizeof whole, "%s%s%s", path[0] == '/' ? "" : of->run.start_cwd,
             path[0] == '/' ? "" : "/", path);
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size > INPUT_MOST) {
        if (fd >= 0)
            close(fd);
        return sl_fail(SL_ERR_IO, "stdin: %s cannot be read, or has more than 16 MiB", whole);
    }
    texts->input = malloc((size_t)info.st_size + 1);
    ssize_t got = texts->input ? read(fd, texts->input, (size_t)info.st_size) : -1;
    close(fd);
    if (got != info.st_size)
        return sl_fail(SL_ERR_IO, "stdin: %s cannot be read", whole);
    command->input = (sl_bytes){(const uint8_t *)texts->input, (uint32_t)got};
    return SL_OK;
}

static sl_err fill_input(const outside *of, const sl_task_spec *spec, command_texts *texts,
                         gateway_command *command) {
    if (spec->stdin_kind == SL_STDIN_TEXT)
        command->input = (sl_bytes){(const uint8_t *)spec->input, (uint32_t)strlen(spec->input)};
    return spec->stdin_kind == SL_STDIN_FILE ? read_input(of, spec->input, texts, command) : SL_OK;
}

static sl_err fill_texts(const outside *of, const sl_task_spec *spec, command_texts *texts,
                         gateway_command *command) {
    bool shell = spec->kind == SL_FORM_SHELL;
    uint32_t argc = shell ? 3 : spec->argc;
    texts->argv = calloc(argc + (size_t)1, sizeof *texts->argv);
    texts->env = calloc(spec->env_count + (size_t)1, sizeof *texts->env);
    if (!texts->argv || !texts->env)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command");
    const char *const shell_words[] = {"/bin/sh", "-c", shell ? spec->shell : ""};
    for (uint32_t i = 0; i < argc; i++)
        texts->argv[i].text = sl_text_of(shell ? shell_words[i] : spec->argv[i]);
    for (uint32_t i = 0; i < spec->env_count; i++)
        texts->env[i].text = sl_text_of(spec->env[i]);
    command->arguments.items = texts->argv;
    command->arguments.count = argc;
    command->environment.items = texts->env;
    command->environment.count = spec->env_count;
    return fill_input(of, spec, texts, command);
}

static sl_future *submit_command(outside *of, const sl_task_spec *spec, uint32_t after_count,
                                 const sl_remote_teller *teller) {
    command_texts texts = {.argv = NULL};
    gateway_command command = {.memory_bytes = spec->memory_bytes,
                               .ucu_milli = spec->ucu_milli,
                               .timeout_ns = spec->timeout_ns,
                               .cpus = spec->cpus,
                               .gpus = spec->gpus,
                               .priority = spec->priority,
                               .retries = spec->retries,
                               .region = sl_text_of(spec->region),
                               .name = sl_text_of(spec->name),
                               .directory = sl_text_of(spec->cwd),
                               .after = {of->after, after_count}};
    sl_future *future = NULL;
    if (fill_texts(of, spec, &texts, &command) == SL_OK)
        future = sl_remote_send_command(of->remote, &command, spec->name, teller);
    free_texts(&texts);
    return future;
}

static scheduler_task needs_of(const sl_task_spec *spec) {
    return (scheduler_task){.cpus = spec->cpus,
                            .gpus = spec->gpus,
                            .memory_bytes = spec->memory_bytes,
                            .ucu_milli = spec->ucu_milli,
                            .timeout_ns = spec->timeout_ns,
                            .priority = spec->priority,
                            .retries = spec->retries,
                            .region = sl_text_of(spec->region)};
}

static sl_task_options options_of(const outside *of, const scheduler_task *needs) {
    return (sl_task_options){.sealed = sl_run_seal_how(&of->run),
                             .cpus = needs->cpus ? (int)needs->cpus : SL_NO_CPUS,
                             .gpus = needs->gpus,
                             .memory_bytes = needs->memory_bytes,
                             .ucu = (double)needs->ucu_milli / 1000,
                             .timeout_s = (double)needs->timeout_ns * 1e-9,
                             .priority = needs->priority,
                             .retries = needs->retries,
                             .region = needs->region.bytes ? needs->region.data : NULL};
}

static sl_future *submit_sealed_command(outside *of, const sl_task_spec *spec,
                                        const sl_remote_teller *teller) {
    command_texts texts = {.argv = NULL};
    gateway_command command = {.number = 0};
    scheduler_task needs = needs_of(spec);
    sl_task_options options = options_of(of, &needs);
    sl_future *future = NULL;
    if (fill_input(of, spec, &texts, &command) == SL_OK)
        future = sl_run_seal_submit(
            of->remote, spec, (sl_part){command.input.data, command.input.bytes}, &options, teller);
    free_texts(&texts);
    return future;
}

static sl_future *submit_module(outside *of, const sl_task_spec *spec,
                                const sl_remote_teller *teller) {
    const sl_task *task;
    sl_strbuf args;
    sl_future *future = NULL;
    scheduler_task needs = needs_of(spec);
    if (sl_run_module_task(&of->run, spec, &task) != SL_OK)
        return NULL;
    sl_run_module_needs(task, &needs);
    sl_task_options options = options_of(of, &needs);
    if (sl_run_module_args(spec, &args) == SL_OK)
        future = sl_remote_call_module(of->remote, task, args.data, &options, teller);
    sl_strbuf_fini(&args);
    return future;
}

static sl_future *submit_call(outside *of, const sl_task_spec *spec,
                              const sl_remote_teller *teller) {
    scheduler_task needs = needs_of(spec);
    sl_task_options options = options_of(of, &needs);
    if (spec->module)
        return submit_module(of, spec, teller);
    const char *arguments = spec->args ? spec->args : "";
    return sl_remote_call_telling(of->remote, spec->function, arguments, strlen(arguments),
                                  &options, teller);
}

typedef enum readiness { GO, WAIT, SKIP } readiness;

/* What it comes after and has not ended here is named in `after`, if the gateway can hold it back.
 */
static readiness look_at_one(outside *of, uint32_t before, uint32_t *count) {
    uint8_t fate = of->run.fate[before];
    const sl_future *future = of->futures[before];
    if (fate == SL_RESULT_DONE)
        return GO;
    if (fate != SL_RUN_UNFINISHED)
        return SKIP;
    if (!future || of->run.seal || *count == AFTER_MOST ||
        sl_task_list_at(of->run.list, before)->kind == SL_FORM_FUNCTION)
        return WAIT;
    of->after[(*count)++].number = future->number;
    return GO;
}

static readiness look_at(outside *of, const sl_task_spec *spec, uint32_t *count) {
    readiness all = GO;
    *count = 0;
    for (uint32_t i = 0; i < spec->after_count; i++)
        for (uint32_t j = 0; j < spec->after[i].count && all == GO; j++)
            all = look_at_one(of, spec->after[i].first + j, count);
    return all == GO && *count && spec->kind == SL_FORM_FUNCTION ? WAIT : all;
}

static void record_alone(outside *of, uint32_t task, sl_result_status status, const char *why) {
    sl_task_result result = {.name = sl_task_list_at(of->run.list, task)->name,
                             .status = status,
                             .message = why,
                             .exit_code = -1,
                             .rank = -1};
    sl_run_record(&of->run, task, &result, false);
    sl_run_say_failure(&of->run, &result);
}

/* False: it has to wait. */
static bool submit_one(outside *of, uint32_t task) {
    const sl_task_spec *spec = sl_task_list_at(of->run.list, task);
    uint32_t count;
    readiness ready = look_at(of, spec, &count);
    if (ready == WAIT)
        return false;
    if (ready == SKIP) {
        record_alone(of, task, SL_RESULT_SKIPPED, NULL);
        return true;
    }
    sl_remote_teller teller = {on_told, of, task};
    sl_future *future = spec->kind == SL_FORM_FUNCTION ? submit_call(of, spec, &teller)
                        : of->run.seal                 ? submit_sealed_command(of, spec, &teller)
                                                       : submit_command(of, spec, count, &teller);
    of->futures[task] = future;
    of->under_way += future != NULL;
    if (!future) {
        char why[600];
        snprintf(why, sizeof why, "%s", sl_err_detail());
        record_alone(of, task, SL_RESULT_FAILED, why);
    }
    return true;
}

static void submit_held(outside *of) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < of->held_count; i++)
        if (of->under_way >= of->most || !submit_one(of, of->held[i]))
            of->held[kept++] = of->held[i];
    of->held_count = kept;
}

static void submit_more(outside *of) {
    submit_held(of);
    while (of->next < of->run.total && of->under_way < of->most && of->held_count < HELD_MOST) {
        uint32_t task = of->run.order[of->next++];
        if (!submit_one(of, task))
            of->held[of->held_count++] = task;
        if (of->under_way % 64 == 0)
            take_all(of, 0);
    }
}

/* ---- driving ---- */

static void interrupt(outside *of, int number) {
    sl_run_state *run = &of->run;
    run->draining = true;
    run->code = number == SIGINT ? SL_RUN_INTERRUPTED : SL_RUN_REQUEUE;
    run->reason = number == SIGINT ? "interrupted" : "requeue";
    run->drain_deadline_ns = sl_clock_now_ns() + END_NS;
    sl_run_say(run, "starlane: %s; ending the tasks that run\n",
               number == SIGINT ? "interrupted" : "told to end");
    sl_remote_cancel_all(of->remote);
}

static bool is_over(const outside *of) {
    const sl_run_state *run = &of->run;
    if (run->draining)
        return !of->under_way || sl_clock_now_ns() > run->drain_deadline_ns;
    return run->counts.finished == run->total;
}

static void drive(outside *of) {
    sl_run_state *run = &of->run;
    run->reason = "finished";
    while (!is_over(of)) {
        int number = run->request->take_signals ? sl_run_signal() : 0;
        if (number && !run->draining)
            interrupt(of, number);
        if (!run->draining)
            submit_more(of);
        run->counts.running = of->under_way;
        sl_progress_report(&run->progress, &run->counts, sl_clock_now_ns());
        if (!is_over(of))
            take_all(of, TICK_NS);
    }
    sl_progress_clear(&run->progress);
    if (!run->draining)
        run->code = run->counts.failed ? SL_RUN_FAILED : SL_RUN_DONE;
}

/* What does not end in time is given up: nothing of it is told any more. */
static void leave_rest(outside *of) {
    for (uint32_t i = 0; of->under_way && i < of->run.total; i++) {
        sl_future *future = of->futures[i];
        if (future)
            future = sl_remote_take_out(of->remote, future->number);
        if (future)
            sl_remote_fail(of->remote, future, SL_ERR_CANCELLED, NULL);
    }
    while (of->under_way)
        take_all(of, TICK_NS);
}

static sl_err know_nodes(outside *of) {
    gateway_ask ask = {.nodes = true};
    sl_run_summary *summary = &of->run.summary;
    if (sl_remote_question_ask(of->remote, SL_GATEWAY_ASK, &ask, &ask.number,
                               (void **)&of->nodes) != SL_OK)
        return sl_fail(SL_ERR_REFUSED, "%s", sl_err_detail());
    of->most = UNDER_WAY_MOST;
    if (of->nodes->tasks_most && of->nodes->tasks_most < of->most)
        of->most = (uint32_t)of->nodes->tasks_most;
    summary->rank_count = of->nodes->nodes;
    summary->ranks = calloc(summary->rank_count + (size_t)1, sizeof *summary->ranks);
    if (!summary->ranks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u nodes", summary->rank_count);
    for (uint32_t i = 0; i < of->nodes->list.count; i++) {
        const gateway_member *node = &of->nodes->list.items[i];
        if (node->node < summary->rank_count)
            summary->ranks[node->node] = (sl_rank_summary){
                .host = node->host.data, .region = node->region.data, .cores = node->cores};
    }
    return SL_OK;
}

static sl_object *put_there(void *remote, sl_value value) {
    return sl_remote_put(remote, value);
}

static sl_err prepare(outside *of) {
    sl_run_state *run = &of->run;
    run->code = SL_RUN_BAD_INPUT;
    run->summary.version = sl_version();
    run->summary.started_s = sl_clock_wall_s();
    run->started_ns = sl_clock_now_ns();
    if (run->request->resume || sl_config_is_set(run->config, SL_OPT_RESUME))
        return sl_fail(SL_ERR_INVALID, "a run over a connection has no ledger, and cannot be "
                                       "resumed");
    sl_seal_source source = sl_remote_source(of->remote);
    SL_TRY(sl_run_seal_open(run, &source));
    SL_TRY(sl_run_read(run));
    SL_TRY(sl_run_seal_check(run));
    SL_TRY(know_nodes(of));
    SL_TRY(sl_run_open_dir(run));
    run->code = SL_RUN_FAILED;
    SL_TRY(sl_run_open_files(run));
    sl_run_modules_put(run, put_there, of->remote);
    of->futures = calloc(run->total + (size_t)1, sizeof(sl_future *));
    of->held = calloc(HELD_MOST, sizeof *of->held);
    return of->futures && of->held
               ? SL_OK
               : sl_fail(SL_ERR_NO_MEMORY, "no memory for %u tasks", run->total);
}

static sl_err lead(outside *of) {
    sl_run_state *run = &of->run;
    enum { AUTO, ALWAYS, NEVER };
    bool silent = sl_config_enum(run->config, SL_OPT_PROGRESS) == NEVER;
    SL_TRY(prepare(of));
    sl_progress_init(&run->progress, silent ? NULL : run->request->messages, sl_clock_now_ns());
    run->ending = true; /* from here on there is something to tell */
    if (run->request->take_signals)
        sl_run_signals_take();
    drive(of);
    leave_rest(of);
    if (run->request->take_signals)
        sl_run_signals_release();
    sl_run_close_files(run);
    return SL_OK;
}

static void free_all(outside *of) {
    sl_run_release(&of->run);
    free(of->futures);
    free(of->held);
    free(of->nodes);
    pthread_cond_destroy(&of->changed);
    pthread_mutex_destroy(&of->lock);
    free(of);
}

int sl_remote_run(sl_remote *remote, const sl_options *options, const sl_run_request *request,
                  int *code) {
    char cause[1024];
    outside *of = calloc(1, sizeof *of);
    *code = SL_RUN_FAILED;
    if (!of)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a run");
    of->remote = remote;
    of->run = (sl_run_state){.config = options->config,
                             .request = request,
                             .dir = {.fd = -1, .lock_fd = -1, .stream_fds = {-1, -1}},
                             .results = {.fd = -1},
                             .joblog = {.fd = -1}};
    pthread_mutex_init(&of->lock, NULL);
    sl_cond_init(&of->changed);
    sl_strbuf_init(&of->run.line, 32u << 20);
    sl_err err = lead(of);
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    if (of->run.ending)
        sl_run_say_end(&of->run);
    *code = of->run.code;
    free_all(of);
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}
