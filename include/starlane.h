/* Starlane: one compute network out of an MPI allocation.
 *
 * This header is all a user of the library sees. A program defines tasks and submits them:
 *
 *     SL_TASK(square) {
 *         double x = sl_arg_f64(call, 0);
 *         return sl_return_f64(call, x * x);
 *     }
 *     int main(int argc, char **argv) {
 *         if (sl_init(&argc, &argv, NULL) != 0)
 *             return 1;
 *         sl_future *nine = sl_submit(&square, SL_ARGS(sl_f64(3)));
 *         if (sl_wait(nine, SL_FOREVER) == 0)
 *             printf("%g\n", sl_result_f64(nine));
 *         sl_release(nine);
 *         return sl_shutdown();
 *     }
 *
 * docs/api.md is the guide to that. Or it loads options, opens a network (every rank does; without
 * MPI the nodes are threads of this process), and then serves it, runs a list of tasks on it, or
 * looks at it:
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
#include <string.h>

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

/* What functions of this library return when they fail; others than these are for people. */
enum sl_error {
    SL_ERROR_INVALID = 1,
    SL_ERROR_TOO_LARGE = 4,
    SL_ERROR_NO_MEMORY = 5,
    SL_ERROR_TIMEOUT = 7, /* of a wait: it goes on; whether there will be a result is open */
    SL_ERROR_NOT_FOUND = 8,
    SL_ERROR_EXISTS = 9,
    SL_ERROR_DEAD = 10,   /* the actor or node addressed is gone */
    SL_ERROR_CLOSED = 11, /* there is no network (any more) */
    SL_ERROR_CANCELLED = 12,
    SL_ERROR_FAILED = 21
};

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

/* The value in force of an option that is a number: a size in bytes ("64KiB" is 65536), a time in
 * seconds ("5m" is 300). 0 for one that has none, or is no number. */
SL_API double sl_options_number(const sl_options *options, const char *name);

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

/* ---- values: what tasks take and give ---- */

/* A value is bytes, a string, or an array: elements of one type, in the order of C, with a shape; a
 * scalar is an array without dimensions, an image one of three. */
typedef enum sl_type {
    SL_TYPE_NONE, /* a task that returned nothing */
    SL_TYPE_BYTES,
    SL_TYPE_STRING,
    SL_TYPE_ARRAY,
    SL_TYPE_FUTURE, /* in arguments alone: the task runs once there is a result, and gets that */
    SL_TYPE_IMAGE,  /* an array u8[height, width, channels] */
    SL_TYPE_OBJECT  /* the name of an object: its content does not travel with it */
} sl_type;

typedef enum sl_dtype {
    SL_I8,
    SL_U8,
    SL_I16,
    SL_U16,
    SL_I32,
    SL_U32,
    SL_I64,
    SL_U64,
    SL_F16,
    SL_BF16,
    SL_F32,
    SL_F64
} sl_dtype;

enum { SL_DIMENSIONS_MAX = 8, SL_ARGS_MAX = 4096 };

typedef struct sl_future sl_future;
typedef struct sl_object sl_object;

typedef struct sl_value {
    sl_type type;
    sl_dtype dtype;      /* of an array */
    uint32_t dimensions; /* of an array */
    const size_t *shape; /* `dimensions` of them */
    const void *data;    /* borrowed; of a scalar to be submitted NULL: it is in `scalar` */
    size_t bytes;        /* of data; of a string without its terminator */
    union {
        int64_t i64;
        double f64;
        float f32;
        unsigned char bytes[8];
    } scalar;
    sl_future *future; /* borrowed */
    sl_object *object; /* borrowed; NULL in a task: sl_arg_object() */
    const void *kept_; /* the library's */
} sl_value;

/* These make values for arguments. Nothing is copied: what they point to is borrowed until the call
 * that they are given to returns. */
static inline sl_value sl_value_bytes(const void *data, size_t bytes) {
    sl_value value = {.type = SL_TYPE_BYTES, .data = data, .bytes = bytes};
    return value;
}
#define sl_bytes(data, bytes) sl_value_bytes(data, bytes)

static inline sl_value sl_string(const char *string) {
    sl_value value = {.type = SL_TYPE_STRING, .data = string, .bytes = string ? strlen(string) : 0};
    return value;
}

static inline sl_value sl_i64(int64_t number) {
    sl_value value = {.type = SL_TYPE_ARRAY, .dtype = SL_I64, .bytes = 8};
    value.scalar.i64 = number;
    return value;
}

static inline sl_value sl_f32(float number) {
    sl_value value = {.type = SL_TYPE_ARRAY, .dtype = SL_F32, .bytes = 4};
    value.scalar.f32 = number;
    return value;
}

static inline sl_value sl_f64(double number) {
    sl_value value = {.type = SL_TYPE_ARRAY, .dtype = SL_F64, .bytes = 8};
    value.scalar.f64 = number;
    return value;
}

/* An array of shape[0] x … x shape[dimensions - 1] elements. */
SL_API sl_value sl_array(sl_dtype dtype, const void *data, uint32_t dimensions,
                         const size_t *shape);

/* An array of `count` elements in one dimension. */
#define sl_vector(dtype, data, count) sl_array(dtype, data, 1, (const size_t[]){count})

/* An image of height x width pixels of so many channels, a byte each. */
SL_API sl_value sl_value_image(const void *data, const size_t *shape);
#define sl_image(data, height, width, channels)                                                    \
    sl_value_image(data, (const size_t[]){height, width, channels})

/* An object: the task is given its name, and reads it where it needs it. It is kept until the task
 * has ended. */
static inline sl_value sl_object_value(sl_object *object) {
    sl_value value = {.type = SL_TYPE_OBJECT, .object = object};
    return value;
}

/* The result of another task of this process; the task that gets it waits for that. Is that task
 * unsuccessful, so is this one. */
static inline sl_value sl_wait_for(sl_future *future) {
    sl_value value = {.type = SL_TYPE_FUTURE, .future = future};
    return value;
}

/* A value as text for a person: of a number or a string a line, of an array its elements in
 * brackets; bytes as they are. `*text` is the caller's, and has a NUL behind its `*bytes`. Futures
 * and objects have none. Any thread. */
SL_API int sl_value_text(const sl_value *value, char **text, size_t *bytes);

/* "f32", …; bytes of an element; elements of an array (1 of a scalar). Any thread. */
SL_API const char *sl_dtype_name(sl_dtype dtype);
SL_API size_t sl_dtype_bytes(sl_dtype dtype);
SL_API size_t sl_value_count(const sl_value *value);

/* Arguments of a task: SL_ARGS(sl_f64(2), sl_string("x")). SL_NO_ARGS for none. */
typedef struct sl_args {
    const sl_value *values;
    size_t count;
} sl_args;
#define SL_ARGS(...)                                                                               \
    ((sl_args){(const sl_value[]){__VA_ARGS__},                                                    \
               sizeof((const sl_value[]){__VA_ARGS__}) / sizeof(sl_value)})
#define SL_NO_ARGS ((sl_args){NULL, 0})

/* ---- tasks ---- */

typedef struct sl_call sl_call;

enum { SL_NO_CPUS = -1 };

/* What a task needs, and how it is treated. Zeroed fields are the defaults. */
typedef struct sl_task_options {
    int32_t cpus; /* cores; 0: one; SL_NO_CPUS: none, for a task that hardly computes */
    uint32_t gpus;
    uint64_t memory_bytes; /* accounted for, not enforced */
    double ucu;            /* unified compute units */
    const char *region;    /* the only region it may run in; NULL: any */
    int32_t priority;      /* higher first */
    uint32_t retries;      /* attempts after the first, when it fails; one whose rank died is tried
                              again in any case */
    double timeout_s;      /* a longer attempt fails; it is not stopped, but can ask
                              sl_call_cancelled() */
    int32_t brief;         /* it takes a few microseconds and never waits for a future: may run
                              where messages are handled, which saves handing it to a thread */
    const struct sl_seal *sealed; /* nobody but the nodes named there can read arguments, function
                                     and result: see sl_seal. NULL: not sealed */
    int32_t last_;                /* the library's */
} sl_task_options;

/* A task as SL_TASK() defines it. */
typedef struct sl_task {
    const char *name;
    int (*body)(sl_call *call);
    sl_task_options options;
    struct sl_task *next; /* the library's */
} sl_task;

/* The version of what follows: of a module's notes, and of the structs that its tasks share with
 * the library. It changes when one that was built before could not be run any more. */
enum { SL_MODULE_ABI = 1, SL_TASK_NAME_BYTES = 128, SL_TASK_REGION_BYTES = 64 };

/* What SL_TASK() leaves in the file beside the task, for who looks at a module before it is loaded:
 * an ELF note of type 1 of owner "Starlane". The fields of the options are those of
 * sl_task_options. */
typedef struct __attribute__((packed, aligned(4))) sl_task_note {
    uint32_t owner_bytes;
    uint32_t desc_bytes;
    uint32_t type;
    char owner[12];
    uint32_t abi;
    uint32_t task_bytes; /* of an sl_task */
    char name[SL_TASK_NAME_BYTES];
    struct __attribute__((packed)) {
        int32_t cpus;
        uint32_t gpus;
        uint64_t memory_bytes;
        double ucu;
        char region[SL_TASK_REGION_BYTES];
        int32_t priority;
        uint32_t retries;
        double timeout_s;
        int32_t brief;
        const struct sl_seal *sealed; /* no matter here */
        int32_t last_;
    } options;
} sl_task_note;

/* SL_TASK(name, .cpus = 2, .retries = 1) { … } defines the task `name`, with any of the options
 * above, and makes it known before main(). The body gets `sl_call *call`, runs on a thread of the
 * node that was chosen, several calls at once, and returns 0 or an error: sl_call_fail(). A name is
 * used once in a program; every rank runs the same program. In a shared object that
 * sl_module_load() takes it defines a task of that module. SL_TASK_DECLARE(name) makes one known to
 * another file. */
#define SL_TASK(...) SL_TASK_(__VA_ARGS__, .last_ = 0)
#define SL_TASK_(task, ...)                                                                        \
    extern sl_task task;                                                                           \
    extern sl_task task;                                                                           \
    static int task##_body_(sl_call *call);                                                        \
    sl_task task = {.name = #task, .body = task##_body_, .options = {__VA_ARGS__}};                \
    static const sl_task_note task##_note_ __attribute__((                                         \
        section(".note.starlane"), used, aligned(4))) = {.owner_bytes = 9,                         \
                                                         .desc_bytes = sizeof(sl_task_note) - 24,  \
                                                         .type = 1,                                \
                                                         .owner = "Starlane",                      \
                                                         .abi = SL_MODULE_ABI,                     \
                                                         .task_bytes = sizeof(sl_task),            \
                                                         .name = #task,                            \
                                                         .options = {__VA_ARGS__}};                \
    __attribute__((constructor)) static void task##_define_(void) {                                \
        sl_task_define(&task);                                                                     \
    }                                                                                              \
    static int task##_body_(__attribute__((unused)) sl_call *call)
#define SL_TASK_DECLARE(name) extern sl_task name
SL_API void sl_task_define(sl_task *task);

/* ---- in a task's body: all for the thread that runs it, until it returns ---- */

/* Arguments, from 0. One that is missing or of another type makes the task fail, with a message
 * that names the argument and both types, whatever the body then returns; the answer is 0, "" or
 * NULL with a count of 0. What is pointed to is borrowed until the body returns. sl_arg() alone
 * just answers NULL where there is none. */
SL_API size_t sl_arg_count(const sl_call *call);
SL_API const sl_value *sl_arg(const sl_call *call, size_t index);
SL_API double sl_arg_f64(sl_call *call, size_t index);
SL_API int64_t sl_arg_i64(sl_call *call, size_t index);
SL_API const char *sl_arg_string(sl_call *call, size_t index);
SL_API const void *sl_arg_bytes(sl_call *call, size_t index, size_t *bytes);
SL_API const void *sl_arg_array(sl_call *call, size_t index, sl_dtype dtype, size_t *count);

/* An object among the arguments, borrowed until the body returns; NULL, as above, where there is
 * none. sl_object_retain() keeps it. */
SL_API sl_object *sl_arg_object(sl_call *call, size_t index);

/* The task's result; what counts is the last. Copied, but for sl_return_array(), which answers with
 * the place for the elements (not cleared), or NULL when there is no memory. The others return 0
 * for the body to return, or an error; every error makes the task fail. */
SL_API int sl_return_f64(sl_call *call, double number);
SL_API int sl_return_i64(sl_call *call, int64_t number);
SL_API int sl_return_string(sl_call *call, const char *string);
SL_API int sl_return_bytes(sl_call *call, const void *data, size_t bytes);
SL_API void *sl_return_array(sl_call *call, sl_dtype dtype, uint32_t dimensions,
                             const size_t *shape);
SL_API int sl_return_value(sl_call *call, const sl_value *value);
SL_API int sl_return_object(sl_call *call, sl_object *object);

/* Says why the task fails (printf style, at most 1023 bytes travel); returns the error for the body
 * to return. */
SL_API int sl_call_fail(sl_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* 1 once nobody wants the result any more: it was cancelled, or takes too long. */
SL_API int sl_call_cancelled(const sl_call *call);

/* The node it runs on, and which attempt it is, from 1. */
SL_API uint32_t sl_call_node(const sl_call *call);
SL_API uint32_t sl_call_attempt(const sl_call *call);

/* ---- joining the network, and leaving it ---- */

typedef struct sl_init_options {
    sl_options *options; /* every option of the group `network`; borrowed until sl_shutdown(). NULL:
                            what the command line and the environment say */
    uint32_t nodes;      /* without MPI: nodes in this process; 0: as the options say */
    int all_drive;       /* every rank returns from sl_init() and may submit */
} sl_init_options;

/* Joins the network that this program's ranks form, or without mpirun and the like that of this
 * process alone. `argc` and `argv` (NULL: none) lose the flags that are Starlane's: --starlane-NAME
 * for each option of the group `network`. `options` NULL: the defaults. Collective. The first rank
 * returns and drives; the others run tasks in here until it leaves, and then end the process with
 * exit code 0, or 1 if the network was lost. A program that starts MPI itself asks for
 * MPI_THREAD_MULTIPLE. Once in a process. */
SL_API int sl_init(int *argc, char ***argv, const sl_init_options *options);

/* Leaves: tasks that have not ended are cancelled, and waits for them fail with SL_ERROR_CLOSED.
 * Collective over the ranks that drive; until the last of them leaves all serve on in here. Results
 * stay valid until they are released. Returns 0, or an error when the network did not end well
 * (then end the process with _exit()). */
SL_API int sl_shutdown(void);

/* This process's (first) node, and how many nodes there are; 0 without a network. Any thread. */
SL_API uint32_t sl_rank(void);
SL_API uint32_t sl_size(void);

/* ---- futures: any thread, a task's body included; one future from several threads at once ---- */

#define SL_FOREVER (-1.0)

/* Submits one call of `task`. The future is the caller's, and is to be released. NULL: refused, and
 * sl_error_text() says why; that NULL may be given to sl_wait() as it is. May wait a moment when
 * very much is on its way to the scheduler. */
SL_API sl_future *sl_submit(const sl_task *task, sl_args args);

/* The same with other options than the task's own (all of them: start from task->options; NULL: the
 * task's own). */
SL_API sl_future *sl_submit_with(const sl_task *task, sl_args args, const sl_task_options *options);

/* Submits `count` calls, args[i] each, at once, and sets futures[0] … futures[count - 1]. `options`
 * NULL: the task's own. All or, on an error, none. */
SL_API int sl_submit_batch(const sl_task *task, const sl_args *args, size_t count,
                           const sl_task_options *options, sl_future **futures);

/* Waits up to `timeout_s` seconds (SL_FOREVER; 0 only looks) for the end of a task. 0: it
 * succeeded; SL_ERROR_TIMEOUT: it has not ended; else sl_error_text() has the message of the task
 * that failed. In a task's body a wait gives the cores back to other tasks meanwhile. */
SL_API int sl_wait(sl_future *future, double timeout_s);

/* Waits until one of them has ended, well or not; `*index` is the first such. NULLs are passed
 * over. */
SL_API int sl_wait_any(sl_future *const *futures, size_t count, double timeout_s, size_t *index);

/* Waits until all have ended. 0: all succeeded; else what sl_wait() says of the first that did not.
 */
SL_API int sl_wait_all(sl_future *const *futures, size_t count, double timeout_s);

typedef enum sl_future_state {
    SL_FUTURE_PENDING,
    SL_FUTURE_DONE,
    SL_FUTURE_FAILED,
    SL_FUTURE_CANCELLED
} sl_future_state;
SL_API sl_future_state sl_state_of(const sl_future *future);

/* Takes a task back: what has not begun never does; what runs can ask sl_call_cancelled(). The
 * future ends as cancelled, unless its task has ended first. */
SL_API void sl_cancel(sl_future *future);

/* The result of a task that succeeded, borrowed until the future is released, else NULL. The others
 * answer as sl_arg_…() do, with sl_error_text() for what is wrong. A large result (option
 * result-inline) has stayed where it was made: the first of these calls fetches it, and waits for
 * that. If its node was lost before, a task with retries is run again, else the answer is NULL. */
SL_API const sl_value *sl_result(sl_future *future);
SL_API double sl_result_f64(sl_future *future);
SL_API int64_t sl_result_i64(sl_future *future);
SL_API const char *sl_result_string(sl_future *future);
SL_API const void *sl_result_bytes(sl_future *future, size_t *bytes);
SL_API const void *sl_result_array(sl_future *future, sl_dtype dtype, size_t *count);
SL_API sl_object *sl_result_object(sl_future *future);

/* One more owner of a future; and one less. The task of a future without an owner runs all the
 * same. NULL is fine. */
SL_API sl_future *sl_retain(sl_future *future);
SL_API void sl_release(sl_future *future);

/* ---- objects: any thread, a task's body included ---- */

/* An object is data with a type (bytes, a string, an array, an image) that tasks on any node may
 * read. It is made at one node, sealed, and from then on never changes; it lies there, in memory
 * that the ranks of a host share, and goes to another host when somebody there reads it. It lives
 * as long as any rank has a handle, a view, or a task under way with it among its arguments. A node
 * that dies takes its objects along; what ranks of its host have a view of stays readable. */

/* Makes an object of a copy of `value`. The handle is the caller's: sl_object_release(). NULL, with
 * sl_error_text(): NO_MEMORY when the store of this rank (option store-bytes) has no room, and
 * other objects cannot be spilled for it (option store-spill). */
SL_API sl_object *sl_put(sl_value value);

/* The same without a copy: of the type of `value`, whose data is not looked at; bytes, an array or
 * an image. Its content is to be written at *data before it is sealed. */
SL_API sl_object *sl_object_create(sl_value value, void **data);

/* Ends the writing: from now on it may be read, here and elsewhere, and not be written any more. */
SL_API int sl_object_seal(sl_object *object);

/* What an object holds, to be read until the view is released. */
typedef struct sl_view {
    sl_value value;
    sl_object *object_;               /* the library's, as is the next */
    size_t shape_[SL_DIMENSIONS_MAX]; /* a view is not to be copied */
} sl_view;

/* Opens a view of an object: no copy where it lies at a rank of this host, else it is fetched
 * first, once for all who read it here. Waits up to `timeout_s` for that. 0, or SL_ERROR_TIMEOUT;
 * SL_ERROR_NO_MEMORY: larger than what store-bytes leaves; SL_ERROR_INVALID: not sealed; others
 * when its node is lost, it is no more, or it was spilled and cannot be read. The view has its own
 * hold on the object. */
SL_API int sl_get(sl_object *object, double timeout_s, sl_view *view);

/* Closes it; one that is zeroed or closed is fine. */
SL_API void sl_view_release(sl_view *view);

/* One more handle: the same pointer, or NULL when the object, borrowed from a task's arguments, can
 * not be kept. And one less; NULL is fine. */
SL_API sl_object *sl_object_retain(sl_object *object);
SL_API void sl_object_release(sl_object *object);

/* The node it was made at. */
SL_API uint32_t sl_object_node(const sl_object *object);

/* ---- map ---- */

typedef struct sl_map_options {
    size_t chunk;                   /* rows of the first dimension in a task; 0: chosen */
    sl_args args;                   /* further arguments of each task, after its piece */
    const sl_task_options *options; /* NULL: the task's own */
} sl_map_options;

/* Cuts `array` along its first dimension, runs `task` on each piece (its argument 0, an array of
 * the same dimensions), and gathers the arrays that they return, whose first dimensions may be any,
 * into one. The future has it; a piece that fails makes it fail. The array's data is borrowed until
 * the map has ended. `options` NULL: the defaults. With a seal among options->options each piece is
 * a sealed task, and is opened by who asks first for the whole, or how it ended. */
SL_API sl_future *sl_map(const sl_task *task, sl_value array, const sl_map_options *options);

/* ---- modules: tasks that are not in the program ---- */

/* A module is a shared object whose tasks SL_TASK() defines:
 *
 *     cc -shared -fPIC mine.c -o libmine.so $(pkg-config --cflags --libs starlane)
 *
 * A node that is to run one of them fetches the file by the network's objects, once, holds it
 * against its SHA-256, and loads it into its process: a module may do whatever the node may. */
typedef struct sl_module sl_module;

/* Reads a module's file and puts it where nodes find it. Files that are no module fail here; what
 * a node finds wrong (another machine, a library that is missing) is told by the wait for its
 * tasks. The handle is the caller's: sl_module_release(). A file that has changed is another
 * module; who loaded it before goes on with what it was. Any thread, a task's body included. */
SL_API int sl_module_load(const char *path, sl_module **module);

/* The same, sealed: what lies in the network can be opened by those nodes alone that a task of the
 * module is sealed for. All its tasks are submitted with sl_task_options.sealed; then which module,
 * which task, arguments and results are known to this client and these nodes only. */
SL_API int sl_module_load_sealed(const char *path, sl_module **module);

/* The task `name` of a module: for sl_submit(), sl_map() and their kin, with the options that it
 * was defined with. NULL, with what there is in sl_error_text(). Borrowed from the module. */
SL_API const sl_task *sl_module_task(const sl_module *module, const char *name);

/* Its tasks, in the order of their names; NULL beyond the last. */
SL_API const sl_task *sl_module_task_at(const sl_module *module, size_t index);

/* The SHA-256 of its file, 64 hexadecimal digits; borrowed from the module. */
SL_API const char *sl_module_id(const sl_module *module);

/* Lets go of it: tasks that were submitted keep what they need. NULL is fine. */
SL_API void sl_module_release(sl_module *module);

/* In a constructor of a module, which may not wait for tasks: says why the module cannot be used
 * here (printf style). Its tasks then fail with that, and it is not loaded. Elsewhere no effect. */
SL_API void sl_module_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- actors: state that lives on one node at a time, and that only messages reach ---- */

/* Names an actor, on every node; may be copied, stored and sent. `place` is where it was spawned:
 * where it is now is found out. */
typedef struct sl_actor_ref {
    uint32_t home; /* the node whose program spawned it */
    uint32_t place;
    uint64_t life;
    uint64_t number;
} sl_actor_ref;

/* What an actor is. Zeroed fields are the defaults. */
typedef struct sl_actor_options {
    size_t state_bytes; /* zeroed before it starts */
    /* Prepares the state, with the arguments of the spawn. */
    int (*start)(sl_call *call, void *state);
    /* Releases what the state holds: when the actor ends, and when it has moved away. */
    void (*stop)(void *state);
    /* For a state that is more than its own bytes: how many `save` writes to `to` (NULL: it only
     * says so), and taking them on the other node, into a zeroed state. Without them the state's
     * bytes move as they are. */
    size_t (*save)(const void *state, void *to);
    int (*load)(void *state, const void *data, size_t bytes);
    int32_t brief; /* its body takes a few microseconds and never waits: runs where messages are
                      handled */
    int32_t last_; /* the library's */
} sl_actor_options;

typedef struct sl_actor_kind {
    const char *name;
    int (*body)(sl_call *call, void *state);
    sl_actor_options options;
    sl_task task;               /* the library's */
    struct sl_actor_kind *next; /* the library's */
} sl_actor_kind;

/* SL_ACTOR(name, .state_bytes = sizeof(struct counter)) { … } defines a kind of actor, with any of
 * the options above. The body gets `sl_call *call` and `void *state`, and runs once for each
 * message, one at a time; the messages of one program to one actor come in the order they were
 * sent, each once. It reads arguments and returns a value as a task's body does; an error is the
 * answer of who asked, and the actor goes on, unless it was spawned
 * otherwise. Every rank runs the same program. */
#define SL_ACTOR(...) SL_ACTOR_(__VA_ARGS__, .last_ = 0)
#define SL_ACTOR_(actor, ...)                                                                      \
    extern sl_actor_kind actor;                                                                    \
    extern sl_actor_kind actor;                                                                    \
    static int actor##_body_(sl_call *call, void *state);                                          \
    sl_actor_kind actor = {.name = #actor, .body = actor##_body_, .options = {__VA_ARGS__}};       \
    __attribute__((constructor)) static void actor##_define_(void) {                               \
        sl_actor_define(&actor);                                                                   \
    }                                                                                              \
    static int actor##_body_(__attribute__((unused)) sl_call *call,                                \
                             __attribute__((unused)) void *state)
#define SL_ACTOR_DECLARE(name) extern sl_actor_kind name
SL_API void sl_actor_define(sl_actor_kind *kind);

#define SL_ANY_NODE UINT32_MAX

typedef struct sl_spawn_options {
    int on_node; /* it is to live on `node`, else a node is chosen */
    uint32_t node;
    const char *name; /* to be found by, at most 127 bytes; NULL: none */
    /* When it is started again, from the arguments of the spawn: */
    int restart_on_error;   /* when its body returns an error; else it goes on */
    int restart_on_loss;    /* on another node, when its own is lost; else it ends */
    uint32_t restarts_most; /* 0: 3; one failure more within … */
    double restarts_s;      /* … so many seconds (0: 60), and it ends */
    /* Of one that is started again: after so many messages its state is saved, and it begins with
     * that instead; 0: only when its body says so, by sl_call_save(). */
    uint32_t save_every;
} sl_spawn_options;

/* Any thread, bodies included. Spawns an actor and names it in `*actor`, at once: whether it could
 * start (and its name was free) is told by what it is asked. It ends by sl_actor_stop(), with the
 * node it is on, or with its home. `options` NULL: the defaults. Futures among `args`, here and
 * below, must have ended. */
SL_API int sl_actor_spawn(const sl_actor_kind *kind, sl_args args, const sl_spawn_options *options,
                          sl_actor_ref *actor);

/* Sends a message: `method` (at most 127 bytes) and arguments. Returns 0 when it is on its way. A
 * message to an actor that has ended is dropped. */
SL_API int sl_actor_send(const sl_actor_ref *actor, const char *method, sl_args args);

/* The same for an answer: what the body returns. When the actor ends before, or its node is lost,
 * the future fails with SL_ERROR_DEAD. */
SL_API sl_future *sl_actor_ask(const sl_actor_ref *actor, const char *method, sl_args args);

/* Moves it to another node, after the messages sent before: its state is saved there and loaded
 * here, and messages follow it. The future ends once it is there. */
SL_API sl_future *sl_actor_migrate(const sl_actor_ref *actor, uint32_t node);

/* A future that is done when the actor has ended, for good: its result is a string that says why.
 * It says nothing of new starts. */
SL_API sl_future *sl_actor_monitor(const sl_actor_ref *actor);

/* Ends it, after the messages sent before. */
SL_API int sl_actor_stop(const sl_actor_ref *actor);

/* Finds an actor by its name; the future has it for sl_result_actor(), or fails with
 * SL_ERROR_NOT_FOUND. */
SL_API sl_future *sl_actor_look_up(const char *name);
SL_API int sl_result_actor(sl_future *future, sl_actor_ref *actor);

/* As a value, and as an argument. */
static inline sl_value sl_actor_value(const sl_actor_ref *actor) {
    return sl_value_bytes(actor, sizeof *actor);
}
SL_API sl_actor_ref sl_arg_actor(sl_call *call, size_t index);

/* In an actor's body: the method that was sent, 1 when it is `name`, the actor itself; and moving
 * it once the body has returned. */
SL_API const char *sl_call_method(const sl_call *call);
SL_API int sl_call_is(const sl_call *call, const char *method);
SL_API sl_actor_ref sl_call_self(const sl_call *call);
SL_API void sl_call_migrate(sl_call *call, uint32_t node);

/* In the body of an actor that is started again (sl_spawn_options): has its state saved once the
 * body has returned, before this message's sender hears anything of it. Others: no effect. */
SL_API void sl_call_save(sl_call *call);

/* ---- sealed tasks: what only their client and the nodes that run them can read ---- */

/* A client's keys: its identity, as `starlane identity` makes it, and whose certificates it
 * believes. */
typedef struct sl_keys sl_keys;

/* Opens the identity of a client in `directory`. `authority` is the fingerprint of who certifies
 * the nodes (several: commas between them), by which alone they are believed. `revoked` (NULL:
 * none) is a file of fingerprints that are not, one a line. Blocks for the disk. */
SL_API int sl_keys_open(const char *directory, const char *authority, const char *revoked,
                        sl_keys **keys);

/* Futures of sealed tasks keep what they need of them. NULL is fine. */
SL_API void sl_keys_close(sl_keys *keys);

/* How to seal a task, by sl_task_options.sealed. What it is called, its arguments, its result or
 * why it failed are sealed; everybody on the way sees the other options, the nodes that may run it,
 * sizes and times. Arguments are data: no futures, and no objects. Sealing takes some 80
 * microseconds and 50 for each node, on the thread that submits; the first time, and about once a
 * minute, it asks the nodes who they are. */
typedef struct sl_seal {
    sl_keys *keys;
    const char *const *nodes; /* that may run it, as their certificates name them; NULL: every node
                                 that the authority has certified */
    size_t node_count;
    uint32_t nodes_most; /* of them at most so many, one task for these and the next for others, may
                            run each task; 0: 16 */
    double lifetime_s;   /* it is to be started within so many seconds; 0: a day */
} sl_seal;

/* A program to run on a node of the network. Zeroed fields are none. What it writes is captured. */
typedef struct sl_command {
    const char *const *argv; /* the program and its arguments, a NULL behind the last; or … */
    const char *shell;       /* … text for /bin/sh -c */
    const char *const *env;  /* NAME=VALUE each, a NULL behind the last; over the node's own */
    const char *cwd;         /* on the node; NULL: where the network was started */
    const void *input;       /* its standard input, at most 16 MiB unless it is sealed */
    size_t input_bytes;
    /* Of those that are not sealed: */
    const char *name;      /* for people, and in STARLANE_TASK_NAME; at most 200 bytes */
    const uint64_t *after; /* ids of commands of the project that must be done first, … */
    size_t after_count;    /* … at most 4096 */
    int detached;          /* it goes on without this client, and what became of it is kept */
} sl_command;

/* What became of a sealed command. Borrowed from its future. */
typedef struct sl_sealed_result {
    int exit_code; /* -1 when a signal ended it */
    int signal;    /* 0 when it exited */
    double user_s, system_s;
    uint64_t max_rss_bytes;
    const void *output, *errors; /* what it wrote: at most 2 GiB in all, else it is ended */
    size_t output_bytes, error_bytes;
} sl_sealed_result;

typedef struct sl_remote sl_remote;

/* Submits a command, sealed as options->sealed says: all of it is for the node that runs it alone.
 * In the job, or, with a connection, from outside, which takes the scopes `submit` and `command`.
 * The future fails, saying how it ended, unless that was with exit code 0. What it reads and writes
 * goes through pipes, and lies in no file; what itself it writes to files, and tells by its command
 * line to those on the node who list processes, is its own matter. It gets no GPUs. */
SL_API sl_future *sl_seal_command(sl_remote *remote, const sl_command *command,
                                  const sl_task_options *options);

/* The result of one that has run, well or not; an error when it has not. */
SL_API int sl_result_sealed(sl_future *future, sl_sealed_result *result);

/* ---- from outside: a connection to the gateway of a network ---- */

struct sl_run_request;

typedef struct sl_connect_options {
    const char *authority_file; /* believe certificates that an authority in it (PEM) has signed,
                                   when the URL has no fingerprint */
    double timeout_s;           /* for the whole of connecting; 0: 15 s */
} sl_connect_options;

/* Connects to the gateway at `url`, starlane://HOST:PORT#FINGERPRINT as `starlane up` prints it,
 * with an API key (NULL: what STARLANE_API_KEY has), for a project. The error's text says who
 * refused, and why. `options` NULL: the defaults. */
SL_API int sl_connect(const char *url, const char *api_key, const char *project,
                      const sl_connect_options *options, sl_remote **remote);

/* Submits one call of the task that the network's programs define as `task`. The future is as that
 * of sl_submit(); futures cannot be among the arguments, objects of the connection can. May wait
 * when very much is under way; with arguments of more than 63 MiB until the network has them, which
 * it holds among the project's bytes. NULL: refused. Any thread. */
SL_API sl_future *sl_remote_submit(sl_remote *remote, const char *task, sl_args args,
                                   const sl_task_options *options);

/* The same for `count` calls. All or, on an error, none. */
SL_API int sl_remote_submit_batch(sl_remote *remote, const char *task, const sl_args *args,
                                  size_t count, const sl_task_options *options,
                                  sl_future **futures);

/* Calls a function that was registered by sl_register_function(), or one of the library's; the
 * result is bytes. */
SL_API sl_future *sl_remote_call(sl_remote *remote, const char *function, const void *arguments,
                                 size_t bytes, const sl_task_options *options);

/* Makes an object of the network out of a copy of `value`, which goes there in pieces; it counts
 * against the project's quota of bytes. As an argument of sl_remote_submit() it is read by tasks as
 * any object is; sl_get() fetches it, or one that a task returned, in pieces too. It is there until
 * its handle is released, and tasks that have it among their arguments have ended, or the
 * connection does. NULL: refused, and sl_error_text() says why (the quota, the network's memory).
 * Waits until it is whole there. Any thread. */
SL_API sl_object *sl_remote_put(sl_remote *remote, sl_value value);

/* The same as the two above, detached: the call goes on without this client, and its result is kept
 * for the project, as what detached commands write is. The future ends when it is accepted;
 * sl_result_command() has its id then, by which sl_remote_commands() tells how it stands (it
 * waits, until it has ended), and sl_remote_cancel_command() takes it back. It returns a value, no
 * object; it is not sealed. */
SL_API sl_future *sl_remote_submit_detached(sl_remote *remote, const char *task, sl_args args,
                                            const sl_task_options *options);
SL_API sl_future *sl_remote_call_detached(sl_remote *remote, const char *function,
                                          const void *arguments, size_t bytes,
                                          const sl_task_options *options);

/* A future of a detached call, of whatever client of the project, by its id: it ends when the call
 * has, with its result. Any number of times; NOT_FOUND once the result is not kept any more. Of a
 * call of another client needs the scope `read`. */
SL_API sl_future *sl_remote_collect(sl_remote *remote, uint64_t id);

/* Actors from outside: each does what the sl_actor_…() of that name does in the job, for an actor
 * of a kind that the network's program defines by SL_ACTOR(). The API key needs the scope `submit`.
 *
 * Actors are the project's: every client of it may find them by name and send to them, and nobody
 * else; to a client they are the only ones there are. Those that a client has spawned end when it
 * leaves, not when its connection breaks. Its messages to one actor come in the order they were
 * sent, each once, also over a connection that breaks. In a body sl_arg_actor() takes such a
 * reference as any other. */

/* Spawns an actor of the kind called `kind`, and waits until it has started: the error of its
 * `start` is this call's. Futures cannot be among the arguments, objects of the connection can, and
 * are kept until it ends. `options` NULL: the defaults. NOT_FOUND: there is no such kind; EXISTS:
 * the project has an actor of that name. Any thread, as all of these. */
SL_API int sl_remote_actor_spawn(sl_remote *remote, const char *kind, sl_args args,
                                 const sl_spawn_options *options, sl_actor_ref *actor);

/* Sends a message; returns 0 when it is on its way, and may wait while very many are. One that the
 * gateway then refuses (a quota) is told by the next call: until that, nothing of this connection
 * comes to any actor, so that no message is missing before another. */
SL_API int sl_remote_actor_send(sl_remote *remote, const sl_actor_ref *actor, const char *method,
                                sl_args args);
SL_API sl_future *sl_remote_actor_ask(sl_remote *remote, const sl_actor_ref *actor,
                                      const char *method, sl_args args);

/* `node` is a number as sl_remote_top() has them. */
SL_API sl_future *sl_remote_actor_migrate(sl_remote *remote, const sl_actor_ref *actor,
                                          uint32_t node);
SL_API sl_future *sl_remote_actor_monitor(sl_remote *remote, const sl_actor_ref *actor);
SL_API int sl_remote_actor_stop(sl_remote *remote, const sl_actor_ref *actor);

/* Finds an actor of the project by its name: sl_result_actor(). */
SL_API sl_future *sl_remote_actor_look_up(sl_remote *remote, const char *name);

typedef enum sl_command_stands {
    SL_COMMAND_UNKNOWN, /* there is none of this id in the project, or not any more */
    SL_COMMAND_WAITS,
    SL_COMMAND_RUNS,
    SL_COMMAND_DONE,
    SL_COMMAND_FAILED,
    SL_COMMAND_CANCELLED,
    SL_COMMAND_SKIPPED /* one that it comes after did not end well */
} sl_command_stands;

typedef struct sl_command_state {
    uint64_t id; /* its name in the project */
    sl_command_stands stands;
    int call;                /* 1: it is a detached call; stdout_bytes is what its result has */
    int exit_code, signal;   /* signal 0: none ended it */
    uint32_t node, attempts; /* the last that it ran on */
    double start_s, end_s;   /* seconds since 1970; 0: it did not run */
    double user_s, sys_s;
    uint64_t max_rss_bytes, stdout_bytes, stderr_bytes;
    int output_cut; /* it wrote more than its project may keep: it has failed, the rest is gone */
} sl_command_state;

/* Submits a command, not sealed: the API key needs the scope `command`. The future ends when it
 * has, and fails when it did not exit with 0; of a detached one it ends when that is accepted.
 * NULL: refused. Any thread. */
SL_API sl_future *sl_remote_command(sl_remote *remote, const sl_command *command,
                                    const sl_task_options *options);

/* How a command's future ended, whether well or not; of a detached one its id. */
SL_API int sl_result_command(sl_future *future, sl_command_state *state);

/* How commands and detached calls of the project stand, `count` of them. Needs the scope `read`. */
SL_API int sl_remote_commands(sl_remote *remote, const uint64_t *ids, size_t count,
                              sl_command_state *states);

/* Takes a command of the project back, as sl_cancel() does a task. */
SL_API int sl_remote_cancel_command(sl_remote *remote, uint64_t id);

/* Reads what a command has written, `errors` 1: to its standard error, from `offset` on: `*bytes`
 * of them at most into `to`; then `*bytes` is how many there were, and `*ended` 1 when the command
 * had ended before. Fewer than asked for: there are no more, yet. Those of one that is not detached
 * are there until its future is released, or its session ends. */
SL_API int sl_remote_output(sl_remote *remote, uint64_t id, int errors, uint64_t offset, void *to,
                            size_t *bytes, int *ended);

/* Does over a connection what sl_run() does in the job: the same request, options and output
 * directory, but for the ledger: it cannot be resumed, and when this process ends its tasks do.
 * Files for standard input are read here. */
SL_API int sl_remote_run(sl_remote *remote, const sl_options *options,
                         const struct sl_run_request *request, int *code);

/* How the project is doing, with the nodes of the network: as sl_remote_status(). */
SL_API int sl_remote_top(sl_remote *remote, int json, char **text);
/* Reads a module's file as sl_module_load() does, and puts it into the network. Its tasks are for
 * sl_remote_submit_task() on this connection, whose API key must have the scope `module`: that is
 * as much as being a node of the network. Waits until it is there. Any thread. */
SL_API int sl_remote_module_load(sl_remote *remote, const char *path, sl_module **module);

/* The same, sealed: as sl_module_load_sealed(). */
SL_API int sl_remote_module_load_sealed(sl_remote *remote, const char *path, sl_module **module);

/* Submits one call of a task of such a module. `options` NULL: those it was defined with. As
 * sl_remote_submit() else. */
SL_API sl_future *sl_remote_submit_task(sl_remote *remote, const sl_task *task, sl_args args,
                                        const sl_task_options *options);

/* How the project is doing: text, or with `json` a JSON object; the caller's. */
SL_API int sl_remote_status(sl_remote *remote, int json, char **text);

/* Leaves. Tasks that have not ended are cancelled, and their futures end with SL_ERROR_CLOSED; so
 * it is when the connection breaks. After all other threads are done with it; futures stay. NULL is
 * fine. */
SL_API void sl_disconnect(sl_remote *remote);

/* ---- functions of task lists ---- */

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
 * its arguments, as text), and starlane.sealed and its kin, which run sealed tasks. */
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

/* As sl_network_serve(), with a gateway if the option `listen` is set, until SIGINT or SIGTERM.
 * `messages` (NULL: nothing) is told the URL that clients connect to. */
SL_API int sl_up(sl_network *network, FILE *messages, int *code);

/* That URL, in the process with node 0 of a network that runs and listens; else NULL. Borrowed. */
SL_API const char *sl_gateway_url(const sl_network *network);

/* The same of the network that sl_init() joined. */
SL_API const char *sl_listening_at(void);

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

/* Gives the client in `directory` a new encryption key, for so many days, in place of the one it
 * has: results that were sealed to that are lost. Nodes have a new one at every start. Blocks for
 * the disk. */
SL_API int sl_keys_renew(const char *directory, double days);

/* ---- who runs a network, from outside: by an API key with the scope `admin`, which is for all
 * ---- projects, and for nothing else; each of these is in the gateway's audit log ---- */

/* How all projects are doing, and their quotas: `*text` is the caller's. */
SL_API int sl_remote_projects(sl_remote *remote, int json, char **text);

/* Takes back all tasks of a project, of whatever client, and ends its actors; `*count` of them.
 * Single commands of any project: sl_remote_cancel_command(). */
SL_API int sl_remote_cancel_project(sl_remote *remote, const char *project, uint64_t *count);

/* The API keys, without what opens anything: `*text` is the caller's. */
SL_API int sl_remote_keys(sl_remote *remote, int json, char **text);

/* A key holds no more, also for those who are connected by it. */
SL_API int sl_remote_revoke(sl_remote *remote, const char *id);

/* The last lines of the gateway's audit log, at most 256 KiB: `*text` is the caller's. */
SL_API int sl_remote_audit(sl_remote *remote, char **text);

/* Ends the network that `starlane up` started: it takes no more tasks, those under way may go on
 * for `drain_s` seconds, and then all nodes stop. Waits for that. */
SL_API int sl_remote_down(sl_remote *remote, double drain_s);

/* ---- API keys: what `starlane key` does. `directory` is the gateway's, made if need be ---- */

/* A new key for a project, with scopes ("submit,read"), that holds for so many days (0: for ever).
 * `*key` is the caller's, and kept nowhere else. */
SL_API int sl_api_key_create(const char *directory, const char *project, const char *scopes,
                             double days, char **key);
SL_API int sl_api_key_list(const char *directory, int json, char **text);
SL_API int sl_api_key_revoke(const char *directory, const char *id);

/* What a project may use: UCU seconds while the network is up, tasks under way, bytes that these
 * hold, and bytes of output of its commands that lie at the gateway; 0: no bound. */
SL_API int sl_api_quota(const char *directory, const char *project, double ucu_s, uint64_t tasks,
                        uint64_t bytes, uint64_t output_bytes);

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
    const char *
        guard; /* path of the command `starlane`, to guard ranks under srun and hydra; NULL: none */
    FILE *messages; /* new starts, how to go on; NULL: nothing is said */
    FILE *results;  /* of a dry run: the command line; NULL: none */
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
