/* Starlane: one compute network out of an MPI allocation.
 *
 * This header is all a user of the library sees. A program loads options, opens a network (every
 * rank does; without MPI the nodes are threads of this process), and then serves it, runs a list of
 * tasks on it, or looks at it:
 *
 *     sl_options *options;
 *     sl_network *network;
 *     int code = 1;
 *     if (sl_options_create(&options) == 0 &&
 *         sl_options_load(options, "run network", &argc, argv) == 0 &&
 *         sl_network_open(options, NULL, &network) == 0) {
 *         sl_run_request request = {.tasks = argv[1]};
 *         if (sl_run(network, &request, &code) != 0)
 *             fprintf(stderr, "%s\n", sl_error_text());
 *         sl_network_close(network, code);
 *     }
 *
 * Functions that can fail return 0, or an error whose name sl_error_name() gives and whose cause
 * sl_error_text() says; their outputs are set only on success. Pointers returned are the caller's
 * where it is said so (sl_free()), else borrowed. Unless said otherwise a function is called by one
 * thread at a time for one object. */
#ifndef STARLANE_H
#define STARLANE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SL_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the library ---- */

#define SL_VERSION_MAJOR 0
#define SL_VERSION_MINOR 1
#define SL_VERSION_PATCH 0

/* The version of the library in use: "0.1.0". Static storage. Any thread. */
SL_API const char *sl_version(void);

/* How it was built, a line: version, compiler, kind of build. Static storage. Any thread. */
SL_API const char *sl_build_info(void);

/* The name of an error returned by a function of this library ("INVALID"), "OK" for 0. Static
 * storage. Any thread. */
SL_API const char *sl_error_name(int error);

/* What went wrong in the last call of this thread that failed: a sentence for the user. Valid until
 * the thread's next call into the library. */
SL_API const char *sl_error_text(void);

/* Frees what a function here handed over; NULL is fine. */
SL_API void sl_free(void *memory);

/* This process's rank as its launcher (mpirun, srun) says, or 0: known before any network is open,
 * for programs of which one rank shall print. Any thread. */
SL_API int sl_launch_rank(void);

/* ---- options ---- */

/* Values for every option of Starlane, and where each came from: flags beat the environment
 * (STARLANE_NAME), which beats a file, which beats the defaults. `starlane config` lists them. */
typedef struct sl_options sl_options;

/* Every option at its default. */
SL_API int sl_options_create(sl_options **options);
SL_API void sl_options_destroy(sl_options *options);

/* Takes the flags of the options in `groups` ("run network"; what all commands share is always in)
 * out of argv[1] … and leaves the rest, in order, in argv and *argc (as it is behind a `--`); then
 * takes the environment, and the file that --config or STARLANE_CONFIG names. An error's text is
 * for the user, and says what to write instead; argv's order is lost then. */
SL_API int sl_options_load(sl_options *options, const char *groups, int *argc, char **argv);

/* Takes the lines `name = value` of a file. */
SL_API int sl_options_load_file(sl_options *options, const char *path);

/* Sets one option, as a user would write it; beats the environment. */
SL_API int sl_options_set(sl_options *options, const char *name, const char *value);

/* The value in force as text ("" when it has none), or NULL when there is no such option. Borrowed
 * from `options` until it is changed. */
SL_API const char *sl_options_get(const sl_options *options, const char *name);

/* 1 when somebody set it: it is not at its default by itself. */
SL_API int sl_options_is_set(const sl_options *options, const char *name);

/* 1 for a switch that is on, else 0. */
SL_API int sl_options_is_on(const sl_options *options, const char *name);

/* Warnings of loading (an unknown STARLANE_ variable, say), a line each, or "". Borrowed. */
SL_API const char *sl_options_warnings(const sl_options *options);

/* What is in force and where it came from: a table, or with `json` a JSON object. The caller's;
 * NULL when out of memory. */
SL_API char *sl_options_print(const sl_options *options, int json);

/* The flags of `groups` for a --help; and the options' part of the manual page, and of the
 * documentation in Markdown. The caller's; NULL when out of memory. */
SL_API char *sl_options_help(const char *groups);
SL_API char *sl_options_man(void);
SL_API char *sl_options_markdown(void);

/* Starts logging to standard error as the options log-level and log-format say. A program's choice:
 * a library that is not told so writes nothing. Before any network is opened. */
SL_API void sl_options_start_log(const sl_options *options);

/* ---- function tasks ---- */

/* What a function answers with. */
typedef struct sl_reply sl_reply;

/* A task's function: runs on a compute thread, several calls at once. `arguments` is borrowed for
 * the call; what it writes to `reply` is the task's output. Returns 0, or (with sl_reply_fail()) an
 * error, which makes the task fail. */
typedef int sl_function(const void *arguments, size_t argument_bytes, sl_reply *reply,
                        void *context);

/* Makes `function` known as `name` (letters, digits and `_ - . :`, at most 127 bytes) in this
 * process. Every rank registers the same names, before the first network is opened. Names that
 * begin with `starlane.` are the library's: starlane.echo (answers its arguments), starlane.sleep
 * (seconds, as text), starlane.fail (fails with its arguments as the reason), starlane.crc32 (of
 * its arguments, as text). */
SL_API int sl_register_function(const char *name, sl_function *function, void *context);

/* Appends `size` bytes (copied) to the reply. */
SL_API int sl_reply_write(sl_reply *reply, const void *bytes, size_t size);

/* Says why the task fails; returns the error for the function to return. */
SL_API int sl_reply_fail(sl_reply *reply, const char *reason);

/* ---- networks ---- */

typedef struct sl_network sl_network;

/* Opens the network that `options` (borrowed until close) describe: over the ranks of an MPI job if
 * this process was launched as one, or if `communicator` (a const MPI_Comm *) is given; else over
 * the nodes (option `nodes`) of this process. Collective over the ranks: an error on one is an
 * error on all. With MPI the calling thread is the one that uses the network until it is closed,
 * and if the network starts MPI it must be the process's main thread. */
SL_API int sl_network_open(const sl_options *options, const void *communicator,
                           sl_network **network);

/* This process's (first) node, and how many nodes there are. */
SL_API uint32_t sl_network_rank(const sl_network *network);
SL_API uint32_t sl_network_size(const sl_network *network);

/* Runs this process's nodes until the network is stopped; `*code` is what it was stopped with. A
 * network is served, run or looked at (below) once. Collective. */
SL_API int sl_network_serve(sl_network *network, int *code);

/* Stops every node of the network with an exit code of 0 … 255. Any thread; a network that is not
 * served yet then ends as soon as it is. */
SL_API int sl_network_stop(sl_network *network, int code);

/* 1 when nothing has gone wrong so far: then closing leaves MPI in good order. Else the process
 * should end by _exit() after closing, because peers that are gone cannot take part any more. */
SL_API int sl_network_is_clean(const sl_network *network);

/* Leaves the network and frees it; NULL is fine. Should leaving MPI hang, the process ends with
 * `code`. Collective. */
SL_API void sl_network_close(sl_network *network, int code);

/* What the network consists of: a table, or with `json` a JSON array with an object per node. On
 * the first rank `*text` is the caller's; on the others it is NULL. Collective, in place of
 * serving. */
SL_API int sl_topo(sl_network *network, int json, char **text);

/* ---- lists of tasks ---- */

/* Exit codes of a run. */
enum {
    SL_RUN_DONE = 0,         /* every task succeeded */
    SL_RUN_FAILED = 1,       /* some did not, or the network failed */
    SL_RUN_BAD_INPUT = 2,    /* nothing was run */
    SL_RUN_REQUEUE = 75,     /* ended before its end, by a signal or for want of time: resume it */
    SL_RUN_INTERRUPTED = 130 /* ended by Ctrl-C; can be resumed */
};

/* What of an earlier run is to be run again. */
typedef enum sl_run_again { SL_AGAIN_NOTHING, SL_AGAIN_FAILED, SL_AGAIN_ALL } sl_run_again;

/* What to run; zeroed fields mean nothing or the default. All are borrowed. More is in the options
 * of the group `run`: output, shell, array, each-line, resume, priority, retries, time-limit, … */
typedef struct sl_run_request {
    const char *tasks;          /* a file of tasks, "-" for standard input; or … */
    const char *const *command; /* … one command, `command_words` of it */
    int command_words;
    const char *resume; /* directory of an earlier run to go on with; NULL: the option `resume` */
    sl_run_again again; /* with resume; SL_AGAIN_NOTHING: what the option `rerun` says */
    int take_signals;   /* SIGINT, SIGTERM and SIGUSR2 end the run in good order meanwhile */
    int ends_process;   /* nothing but leaving follows: sl_launch() waits for no more */
    FILE *messages;     /* bad lines, progress, how it ended; NULL: nothing is said */
    FILE *results;      /* summary as JSON at the end; NULL: none */
} sl_run_request;

/* Runs a list of tasks to its end and says in `*code` (above) how it ended; the first rank drives
 * it. In ranks that sl_launch() has started again it goes on with the run as it stands, whatever
 * `request` and the options ask for. Fails when the run could not go on (then `*code` is set too).
 * Collective, in place of serving. */
SL_API int sl_run(sl_network *network, const sl_run_request *request, int *code);

/* Says what is known of `task` of the run in `directory`, live or ended: its state, why it waits,
 * where it ran and why there, attempts, limits. `task` NULL: the run as a whole. Text, or with
 * `json` a JSON object; the caller's. */
SL_API int sl_explain(const char *directory, const char *task, int json, char **text);

/* ---- identities ---- */

/* Makes the identity of a "node", a "client" or an "authority" in `directory` (made if need be, of
 * mode 0700), unless there is one; and beside it, in the file `certificate`, a request for a
 * certificate for `name` and `project` (NULL: none), which an authority has no need of. An identity
 * that has a certificate keeps it: an error. Blocks for the disk. */
SL_API int sl_keys_create(const char *directory, const char *role, const char *name,
                          const char *project);

/* What is public of the identity in `directory`, for a person or, with `json`, as a JSON object;
 * the caller's. */
SL_API int sl_keys_show(const char *directory, int json, char **text);

/* The authority in `directory` signs the request in the file `request`, for so many days;
 * `certificate` is the file it goes to, which must not be there yet. The asker puts it in place of
 * the request. */
SL_API int sl_keys_sign(const char *directory, const char *request, double days,
                        const char *certificate);

/* ---- the simulator ---- */

/* What to simulate; zeroed fields mean the default. All are borrowed. */
typedef struct sl_simulate_request {
    uint32_t nodes;     /* 0: 5 */
    uint64_t seed;      /* the first */
    int random_seed;    /* or one from the system; it is in every message */
    uint64_t seeds;     /* how many, one after another; 0: one, or as many as fit in `minutes` */
    double minutes;     /* no seed begins later; 0: no bound */
    const char *faults; /* of each seed's faults only these: "0,3", or "none"; NULL or "": all */
    const char *trace;  /* write what happens there, for ui.perfetto.dev; of one seed */
    FILE *messages;     /* what came of it, and a line that replays each failure; NULL: nothing */
} sl_simulate_request;

/* Runs whole networks inside this thread, in virtual time, with work and faults that a seed
 * decides, and checks that nothing is lost, doubled, out of order or left over. The same seed is
 * the same run, on every machine. `*code`: SL_RUN_DONE; SL_RUN_FAILED: a seed failed;
 * SL_RUN_BAD_INPUT. */
SL_API int sl_simulate(const sl_simulate_request *request, int *code);

/* ---- starting ranks ---- */

/* What to start. Borrowed. More is in the options of the group `launch`: ranks, launcher, … */
typedef struct sl_launch_request {
    const char *const *command; /* the program and its arguments, `command_words` of them */
    int command_words;
    const char *guard; /* path of the command `starlane`, to guard ranks under srun; NULL: none */
    FILE *messages;    /* new starts, how to go on; NULL: nothing is said */
    FILE *results;     /* of a dry run: the command line; NULL: none */
} sl_launch_request;

/* Starts the ranks of an MPI job by mpirun or srun so that the death of one does not end the
 * others, and waits for their end. A run (sl_run()) whose first rank dies is started again. How it
 * ended is judged by what the run says of itself, not by the launcher's exit code: `*code` is the
 * run's, or the launcher's where nothing was run. SIGINT, SIGTERM and SIGUSR2 go on to the ranks,
 * once; a second SIGINT ends them. For a process with one thread and no other children. */
SL_API int sl_launch(const sl_options *options, const sl_launch_request *request, int *code);

/* Tells sl_launch() of the exit code of this program, from its first rank, at its end; needed only
 * where no run was begun, because launchers that let ranks die do not report how they ended. The
 * other ranks have 5 s to end too. */
SL_API void sl_launch_exits(int code);

/* Runs `command` (ends with NULL) as a rank under srun and keeps its end from ending the job;
 * `*code` is what it ended with. For a process with one thread and no other children. */
SL_API int sl_guard(const char *const *command, int *code);

#ifdef __cplusplus
}
#endif

#endif
