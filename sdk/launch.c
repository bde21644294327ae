/* Ranks started so that one's death does not end the others, and a run gone on with when its owner
 * dies. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpi/bootstrap.h"
#include "mpi/guard.h"
#include "mpi/launcher.h"
#include "sdk/launch_job.h"
#include "sdk/options.h"

typedef struct launch {
    const sl_config *config;
    const sl_launch_request *request;
    sl_launch_plan plan;
    sl_launch_signals signals;
    char folder[PATH_MAX];
    char state[PATH_MAX + 16]; /* of the start that runs */
    uint32_t starts;
} launch;

static void say(const launch *of, const char *format, ...) SL_PRINTF(2, 3);
static void say(const launch *of, const char *format, ...) {
    va_list arguments;
    if (!of->request->messages)
        return;
    va_start(arguments, format);
    vfprintf(of->request->messages, format, arguments);
    va_end(arguments);
    fflush(of->request->messages);
}

/* ---- the plan ---- */

/* Where a shell would find `program` here. */
static sl_err find_program(const char *program, char path[PATH_MAX]) {
    const char *folders = getenv("PATH");
    if (strchr(program, '/')) {
        snprintf(path, PATH_MAX, "%s", program);
        if (access(path, X_OK) == 0)
            return SL_OK;
        return sl_fail(SL_ERR_NOT_FOUND, "%s cannot be run: %s", program, strerror(errno));
    }
    for (const char *at = folders; at && *at;) {
        size_t length = strcspn(at, ":");
        snprintf(path, PATH_MAX, "%.*s/%s", (int)length, at, program);
        if (length && access(path, X_OK) == 0)
            return SL_OK;
        at += length + (at[length] == ':');
    }
    return sl_fail(SL_ERR_NOT_FOUND, "there is no program %s in PATH", program);
}

/* Of another host's files we know nothing. */
static sl_err check_program(const char *program) {
    char path[PATH_MAX];
    return sl_launcher_in_slurm(NULL) ? SL_OK : find_program(program, path);
}

/* Whether the ranks are of a program that tells how it ends, always: the one that has `guard`. */
static bool program_tells(const sl_launch_request *request) {
    char path[PATH_MAX];
    struct stat ranks, own;
    if (!request->guard || (request->command_words > 1 && !strcmp(request->command[1], "guard")))
        return false;
    return find_program(request->command[0], path) == SL_OK && stat(path, &ranks) == 0 &&
           stat(request->guard, &own) == 0 && ranks.st_ino == own.st_ino &&
           ranks.st_dev == own.st_dev;
}

static const char *text_or_null(const sl_config *config, sl_opt id) {
    return sl_config_is_set(config, id) ? sl_config_text(config, id) : NULL;
}

static sl_err make_plan(launch *of) {
    const sl_config *config = of->config;
    const sl_launch_request *request = of->request;
    int64_t spares = sl_config_int(config, SL_OPT_SPARES);
    if (request->command_words <= 0)
        return sl_fail(SL_ERR_INVALID, "no program: give it behind --");
    if (sl_mpi_launched())
        return sl_fail(SL_ERR_INVALID, "this process is a rank of a job already; it cannot start "
                                       "another");
    SL_TRY(check_program(request->command[0]));
    of->plan = (sl_launch_plan){
        .ranks = sl_config_is_set(config, SL_OPT_RANKS)
                     ? (uint32_t)(sl_config_int(config, SL_OPT_RANKS) + spares)
                     : 0,
        .spares = (uint32_t)spares,
        .cores = sl_launcher_cores(),
        .root = geteuid() == 0,
        .more = text_or_null(config, SL_OPT_LAUNCHER_ARGS),
        .guard = request->guard,
        .program = request->command,
        .program_words = request->command_words,
    };
    return sl_launcher_find((sl_launcher_choice)sl_config_enum(config, SL_OPT_LAUNCHER), NULL,
                            &of->plan.launcher);
}

/* ---- a dry run ---- */

/* As a shell would take it back. */
static void print_word(FILE *to, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./,:=+@%^";
    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, to);
        return;
    }
    fputc('\'', to);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, to);
    fputc('\'', to);
}

static sl_err print_words(const launch *of) {
    sl_words words = {.count = 0};
    FILE *to = of->request->results;
    sl_err err = sl_launcher_words(&of->plan, NULL, &words);
    for (uint32_t i = 0; to && err == SL_OK && i < words.count; i++) {
        print_word(to, words.items[i]);
        fputc(i + 1 < words.count ? ' ' : '\n', to);
    }
    sl_words_fini(&words);
    return err;
}

/* ---- the folder of the state file ---- */

/* Where ranks of other hosts may take part the first of them may be on one: then the folder is
 * where tasks are expected to find their files too. */
static bool one_host(const launch *of) {
    const char *nodes = getenv("SLURM_JOB_NUM_NODES");
    if (sl_launcher_in_slurm(NULL))
        return nodes && strcmp(nodes, "1") == 0;
    return !of->plan.more;
}

static sl_err make_folder(launch *of) {
    const char *temporary = getenv("TMPDIR");
    char base[PATH_MAX - 64];
    if (!one_host(of)) {
        if (!getcwd(base, sizeof base))
            return sl_fail(SL_ERR_IO, "the current directory cannot be named");
    } else if (!temporary || temporary[0] != '/' || strlen(temporary) >= sizeof base) {
        strcpy(base, "/tmp");
    } else {
        strcpy(base, temporary);
    }
    snprintf(of->folder, sizeof of->folder, "%s/.starlane-launch-XXXXXX", base);
    if (!mkdtemp(of->folder)) {
        sl_err err = sl_fail(SL_ERR_IO, "no folder can be made in %s: %s", base, strerror(errno));
        of->folder[0] = '\0';
        return err;
    }
    return SL_OK;
}

static void remove_state(const launch *of) {
    char path[sizeof of->state + sizeof SL_LAUNCH_INTERRUPT];
    snprintf(path, sizeof path, "%s" SL_LAUNCH_INTERRUPT, of->state);
    unlink(path);
    unlink(of->state);
}

/* Ranks of an earlier start may have something to say late: they find no file. */
static void next_state(launch *of) {
    if (of->starts)
        remove_state(of);
    snprintf(of->state, sizeof of->state, "%s/state%u", of->folder, of->starts++);
}

static void remove_folder(const launch *of) {
    remove_state(of);
    rmdir(of->folder);
}

/* ---- starts ---- */

static sl_err run_once(launch *of, sl_launch_job *job, const char *restart) {
    sl_words words = {.count = 0};
    next_state(of);
    of->plan.restart = restart != NULL;
    job->obeys = of->plan.launcher == SL_LAUNCHER_SRUN;
    sl_err err = sl_launcher_words(&of->plan, NULL, &words);
    if (err == SL_OK)
        err = sl_launch_job_start(job, words.items, restart);
    sl_words_fini(&words);
    if (err == SL_OK)
        sl_launch_job_watch(job);
    return err;
}

/* Of a job that has ended: whether it is to be started again. One that drove several runs did more
 * than they say. */
static bool to_go_on(const launch *of, const sl_launch_job *job) {
    return job->news.runs == 1 && !job->news.closed && !job->news.left && !of->signals.first;
}

static int code_of(const launch *of, const sl_launch_job *job) {
    if (job->news.ended || job->news.left)
        return job->news.code;
    if (of->signals.at_once)
        return SL_RUN_INTERRUPTED;
    if (job->news.runs == 1 && job->news.closed) /* lost between that and its end */
        return job->news.code;
    if (job->news.runs && !job->news.closed) {
        say(of, "starlane: to go on: starlane run --resume %s\n", job->news.directory);
        return of->signals.first ? SL_RUN_REQUEUE : SL_RUN_FAILED;
    }
    int code = sl_launch_job_code(job);
    if (code != 0 || !program_tells(of->request))
        return code;
    say(of, "starlane: the first rank is lost, or ended without a word\n");
    return SL_RUN_FAILED;
}

static sl_err run_all(launch *of, int *code) {
    int64_t restarts = sl_config_int(of->config, SL_OPT_RESTARTS);
    char directory[SL_OUTPUT_PATH_BYTES];
    sl_launch_job job = {.state = of->state,
                         .signals = &of->signals,
                         .drain = sl_launcher_drain_signal(of->plan.launcher)};
    SL_TRY(run_once(of, &job, NULL));
    for (int64_t i = 1; to_go_on(of, &job) && i <= restarts; i++) {
        strcpy(directory, job.news.directory);
        say(of,
            "starlane: the rank that owns the run is lost; start %lld of %lld goes on with %s\n",
            (long long)i, (long long)restarts, directory);
        SL_TRY(run_once(of, &job, directory));
        if (!job.news.runs) { /* it did not get that far: the run stands as it stood */
            job.news.runs = 1;
            strcpy(job.news.directory, directory);
        }
    }
    *code = code_of(of, &job);
    return SL_OK;
}

int sl_launch(const sl_options *options, const sl_launch_request *request, int *code) {
    launch of = {.config = options->config, .request = request};
    *code = SL_RUN_BAD_INPUT;
    SL_TRY(make_plan(&of));
    if (sl_config_bool(of.config, SL_OPT_DRY_RUN)) {
        *code = SL_RUN_DONE;
        return print_words(&of);
    }
    *code = SL_RUN_FAILED;
    SL_TRY(make_folder(&of));
    sl_launch_signals_take(&of.signals);
    sl_err err = run_all(&of, code);
    sl_launch_signals_release(&of.signals);
    remove_folder(&of);
    return err;
}

void sl_launch_exits(int code) {
    if (sl_launch_rank() == 0)
        sl_launch_tell_exit(code);
}

int sl_guard(const char *const *command, int *code) {
    return sl_mpi_guard(command, code);
}
