/* What `starlane-bench api` measures, as a program on the public API: started by mpirun on two
 * ranks, it writes a line for each round to a file: the figure, and its floor where it has one.
 *
 *     starlane-bench-api batch|window|brief|map|hop-1k|hop-1m|ask|send|roam|remote|remote-one|
 *         sealed|sealed-one|sealed-bulk|module|module-first FILE COUNT ROUNDS */
#include <math.h>
#include <mpi.h>
#include <stdbool.h>
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/api_program.h"

enum { WINDOW = 64, ALIGN = 64 };

void api_die(const char *what) {
    fprintf(stderr, "starlane-bench-api: %s: %s\n", what, sl_error_text());
    _exit(1);
}

double api_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- tasks ---- */

SL_TASK(add_one) {
    return sl_return_i64(call, sl_arg_i64(call, 0) + 1);
}

SL_TASK(add_one_brief, .brief = 1) {
    return sl_return_i64(call, sl_arg_i64(call, 0) + 1);
}

/* The loop of the map, and of the ranks that do it by hand. */
static void smooth_step(const float *in, float *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = sqrtf(in[i]) * expf(-in[i]) + sinf(in[i]);
}

SL_TASK(smooth) {
    size_t count;
    const float *in = sl_arg_array(call, 0, SL_F32, &count);
    float *out = sl_return_array(call, SL_F32, 1, &count);
    if (in && out)
        smooth_step(in, out, count);
    return 0;
}

/* ---- tasks through one worker rank ---- */

static double batch_per_s(size_t count) {
    sl_value *values = malloc(count * sizeof *values);
    sl_args *args = malloc(count * sizeof *args);
    sl_future **futures = malloc(count * sizeof(sl_future *));
    if (!values || !args || !futures)
        api_die("no memory");
    for (size_t i = 0; i < count; i++) {
        values[i] = sl_i64((int64_t)i);
        args[i] = (sl_args){&values[i], 1};
    }
    double begin_s = api_now_s();
    if (sl_submit_batch(&add_one, args, count, NULL, futures) != 0 ||
        sl_wait_all(futures, count, SL_FOREVER) != 0)
        api_die("a batch");
    for (size_t i = 0; i < count; i++) {
        if (sl_result_i64(futures[i]) != (int64_t)i + 1)
            api_die("a wrong result");
        sl_release(futures[i]);
    }
    double seconds = api_now_s() - begin_s;
    free(values), free(args), free(futures);
    return (double)count / seconds;
}

/* The oldest is waited for, and another takes its place. */
double api_window_per_s(const sl_task *task, const sl_task_options *how, size_t count) {
    sl_future *futures[WINDOW] = {NULL};
    double begin_s = api_now_s();
    for (size_t i = 0; i < count + WINDOW; i++) {
        sl_future **at = &futures[i % WINDOW];
        if (*at &&
            (sl_wait(*at, SL_FOREVER) != 0 || sl_result_i64(*at) != (int64_t)(i - WINDOW) + 1))
            api_die("a task");
        sl_release(*at);
        *at = i < count ? sl_submit_with(task, SL_ARGS(sl_i64((int64_t)i)), how) : NULL;
    }
    return (double)count / (api_now_s() - begin_s);
}

/* ---- map, beside the same by hand ---- */

static double map_s(const float *numbers, float *sum, size_t count) {
    double begin_s = api_now_s();
    size_t got;
    sl_future *future = sl_map(&smooth, sl_vector(SL_F32, numbers, count), NULL);
    if (sl_wait(future, SL_FOREVER) != 0)
        api_die("a map");
    const float *result = sl_result_array(future, SL_F32, &got);
    double seconds = api_now_s() - begin_s;
    if (!result || got != count)
        api_die("a map's result");
    *sum = result[count / 3] + result[count - 1];
    sl_release(future);
    return seconds;
}

/* `mine` and `out` have room for a rank's part, and were written before: no page is new. */
static double by_hand_s(const float *numbers, float *mine, float *out, float *gathered, float *sum,
                        size_t count) {
    int ranks;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int part = (int)(count / (size_t)ranks);
    double begin_s = api_now_s();
    MPI_Scatter(numbers, part, MPI_FLOAT, mine, part, MPI_FLOAT, 0, MPI_COMM_WORLD);
    smooth_step(mine, out, (size_t)part);
    MPI_Gather(out, part, MPI_FLOAT, gathered, part, MPI_FLOAT, 0, MPI_COMM_WORLD);
    double seconds = api_now_s() - begin_s;
    if (gathered)
        *sum = gathered[count / 3] + gathered[count - 1];
    return seconds;
}

/* A rank that waits inside MPI would take a core from the tasks that it serves. */
static void meet(void) {
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
        usleep(2000);
}

static void compare_maps(FILE *out, size_t count, int rounds) {
    float *numbers = NULL, *gathered = NULL, ours_sum, floor_sum = 0;
    float *mine = calloc(count, sizeof *mine), *out_part = calloc(count, sizeof *out_part);
    if (!mine || !out_part)
        api_die("no memory");
    memset(mine, 1, count * sizeof *mine);
    memset(out_part, 1, count * sizeof *out_part);
    if (sl_rank() == 0) {
        numbers = aligned_alloc(ALIGN, (count * sizeof *numbers + ALIGN - 1) / ALIGN * ALIGN);
        gathered = malloc(count * sizeof *gathered);
        if (!numbers || !gathered)
            api_die("no memory");
        for (size_t i = 0; i < count; i++)
            numbers[i] = (float)(i % 4096) / 512;
    }
    for (int round = -1; round < rounds; round++) { /* one to warm up */
        meet();
        double floor_s = by_hand_s(numbers, mine, out_part, gathered, &floor_sum, count);
        double ours_s = numbers ? map_s(numbers, &ours_sum, count) : 0;
        if (numbers && ours_sum != floor_sum)
            api_die("a map that differs");
        if (numbers && round >= 0)
            fprintf(out, "%.9g %.9g\n", (double)count / ours_s, (double)count / floor_s);
    }
    meet();
    free(numbers), free(gathered), free(mine), free(out_part);
}

/* ---- actors ---- */

enum { ROAMERS = 16, SMALL = 1024, LARGE = 1 << 20 };

typedef struct hopper {
    int64_t left;
    sl_actor_ref told; /* that it has hopped enough */
} hopper;

/* Moves to the other rank with each message, and sends itself the next. */
static int hop(sl_call *call, hopper *h) {
    sl_actor_ref self = sl_call_self(call);
    if (sl_call_is(call, "begin")) {
        h->left = sl_arg_i64(call, 0);
        h->told = sl_arg_actor(call, 1);
    }
    if (!h->left)
        return sl_actor_send(&h->told, "done", SL_NO_ARGS);
    h->left--;
    sl_call_migrate(call, 1 - sl_call_node(call));
    return sl_actor_send(&self, "hop", SL_NO_ARGS);
}

SL_ACTOR(small_hopper, .state_bytes = SMALL, .brief = 1) {
    return hop(call, state);
}

SL_ACTOR(large_hopper, .state_bytes = LARGE, .brief = 1) {
    return hop(call, state);
}

static volatile int hopped;

SL_ACTOR(watcher, .brief = 1) {
    hopped = 1;
    return 0;
}

typedef struct rows {
    int64_t next, wrong;
} rows;

SL_ACTOR(roamer, .state_bytes = sizeof(rows), .brief = 1) {
    rows *r = state;
    if (sl_call_is(call, "row"))
        r->wrong += sl_arg_i64(call, 0) != r->next++;
    return sl_return_i64(call, r->wrong ? -1 : r->next);
}

static sl_actor_ref spawn_on(const sl_actor_kind *kind, uint32_t node) {
    sl_actor_ref actor;
    if (sl_actor_spawn(kind, SL_NO_ARGS, &(sl_spawn_options){.on_node = 1, .node = node}, &actor) !=
        0)
        api_die("spawn");
    return actor;
}

static int64_t answer_of(const sl_actor_ref *actor) {
    sl_future *future = sl_actor_ask(actor, "", SL_NO_ARGS);
    if (sl_wait(future, SL_FOREVER) != 0)
        api_die("an ask");
    int64_t answer = sl_result_i64(future);
    sl_release(future);
    return answer;
}

static double hop_s(const sl_actor_kind *kind, size_t count) {
    sl_actor_ref told = spawn_on(&watcher, 0), actor = spawn_on(kind, 0);
    hopped = 0;
    double begin_s = api_now_s();
    sl_actor_send(&actor, "begin", SL_ARGS(sl_i64((int64_t)count), sl_actor_value(&told)));
    while (!hopped)
        usleep(200);
    double seconds = (api_now_s() - begin_s) / (double)count;
    sl_actor_stop(&actor);
    sl_actor_stop(&told);
    return seconds;
}

static double ask_s(size_t count) {
    sl_actor_ref actor = spawn_on(&roamer, 1);
    answer_of(&actor);
    double begin_s = api_now_s();
    for (size_t i = 0; i < count; i++)
        answer_of(&actor);
    double seconds = (api_now_s() - begin_s) / (double)count;
    sl_actor_stop(&actor);
    return seconds;
}

static double send_per_s(size_t count) {
    sl_actor_ref actor = spawn_on(&roamer, 1);
    answer_of(&actor);
    double begin_s = api_now_s();
    for (size_t i = 0; i < count; i++)
        if (sl_actor_send(&actor, "row", SL_ARGS(sl_i64((int64_t)i))) != 0)
            api_die("a send");
    if (answer_of(&actor) != (int64_t)count)
        api_die("messages lost, doubled or out of order");
    double seconds = api_now_s() - begin_s;
    sl_actor_stop(&actor);
    return (double)count / seconds;
}

static double roam_per_s(size_t count) {
    sl_actor_ref actors[ROAMERS];
    int64_t next[ROAMERS] = {0};
    uint32_t place[ROAMERS];
    uint64_t random = 88172645463325252u;
    for (uint32_t i = 0; i < ROAMERS; i++)
        actors[i] = spawn_on(&roamer, place[i] = i % 2);
    double begin_s = api_now_s();
    for (size_t i = 0; i < count; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        int which = (int)(random % ROAMERS);
        sl_release(sl_actor_migrate(&actors[which], place[which] ^= 1));
        for (uint64_t burst = (random >> 20) % 3; burst > 0; burst--) {
            sl_value row = sl_i64(next[which]++);
            sl_actor_send(&actors[which], "row", SL_ARGS(row));
        }
    }
    for (int i = 0; i < ROAMERS; i++) {
        if (answer_of(&actors[i]) != next[i])
            api_die("messages lost, doubled or out of order");
        sl_actor_stop(&actors[i]);
    }
    return (double)count / (api_now_s() - begin_s);
}

/* ---- the same from outside: over TLS, through the gateway of the first rank ---- */

static sl_remote *connect_here(const char *directory) {
    sl_remote *remote;
    char *key;
    if (sl_api_key_create(directory, "bench", "submit", 1, &key) != 0 ||
        sl_connect(sl_listening_at(), key, "bench", NULL, &remote) != 0)
        api_die("sl_connect");
    sl_free(key);
    return remote;
}

static double remote_per_s(sl_remote *remote, size_t count) {
    enum { REMOTE_WINDOW = 1024 };
    sl_future *futures[REMOTE_WINDOW] = {NULL};
    double begin_s = api_now_s();
    for (size_t i = 0; i < count + REMOTE_WINDOW; i++) {
        sl_future **at = &futures[i % REMOTE_WINDOW];
        if (*at && (sl_wait(*at, SL_FOREVER) != 0 ||
                    sl_result_i64(*at) != (int64_t)(i - REMOTE_WINDOW) + 1))
            api_die("a task");
        sl_release(*at);
        *at = i < count ? sl_remote_submit(remote, "add_one", SL_ARGS(sl_i64((int64_t)i)), NULL)
                        : NULL;
    }
    return (double)count / (api_now_s() - begin_s);
}

int api_by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the time from a submit to its result, one after another. */
static double remote_one_s(sl_remote *remote, size_t count) {
    double *took = malloc((count + 1) * sizeof *took);
    if (!took)
        api_die("no memory");
    for (size_t i = 0; i <= count; i++) {
        double begin_s = api_now_s();
        sl_future *future = sl_remote_submit(remote, "add_one", SL_ARGS(sl_i64((int64_t)i)), NULL);
        if (sl_wait(future, SL_FOREVER) != 0 || sl_result_i64(future) != (int64_t)i + 1)
            api_die("a task");
        took[i] = api_now_s() - begin_s;
        sl_release(future);
    }
    qsort(took, count + 1, sizeof *took, api_by_value);
    double median = took[count / 2];
    free(took);
    return median;
}

static void run_remote(const char *what, FILE *out, const char *directory, size_t count,
                       int rounds) {
    sl_remote *remote = connect_here(directory);
    bool one = strcmp(what, "remote-one") == 0;
    for (int round = -1; round < rounds; round++) {
        double value = one ? remote_one_s(remote, count) : remote_per_s(remote, count);
        if (round >= 0)
            fprintf(out, "%.9g\n", value);
    }
    sl_disconnect(remote);
}

/* ---- a module: the same task as the program has, in a file of 1 MiB ---- */

static uint8_t *read_module(size_t *size) {
    char path[4200];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);
    if (length <= 0)
        api_die("/proc/self/exe");
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "starlane-bench-module.so");
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        api_die(path);
    *size = (size_t)ftell(file);
    uint8_t *bytes = malloc(*size + sizeof(uint64_t));
    rewind(file);
    if (!bytes || fread(bytes, 1, *size, file) != *size)
        api_die(path);
    fclose(file);
    return bytes;
}

/* Each is a module of its own: a number stands behind it. */
static sl_module *next_module(uint8_t *bytes, size_t size, const char *path) {
    static uint64_t number;
    sl_module *module;
    number++;
    memcpy(bytes + size, &number, sizeof number);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size + sizeof number, file) != size + sizeof number ||
        fclose(file) != 0 || sl_module_load(path, &module) != 0)
        api_die(path);
    return module;
}

static double call_once_s(const sl_module *module) {
    double begin_s = api_now_s();
    sl_future *future = sl_submit(sl_module_task(module, "add_one"), SL_ARGS(sl_i64(1)));
    if (sl_wait(future, SL_FOREVER) != 0 || sl_result_i64(future) != 2)
        api_die("a task of a module");
    double seconds = api_now_s() - begin_s;
    sl_release(future);
    return seconds;
}

static void run_module(const char *what, FILE *out, const char *path, size_t count, int rounds) {
    size_t size;
    uint8_t *bytes = read_module(&size);
    sl_module *module = next_module(bytes, size, path);
    bool first = strcmp(what, "module-first") == 0;
    for (int round = -1; round < rounds; round++) {
        double ours = 0, floor = 0;
        for (size_t i = 0; i < count && first; i++) {
            sl_module_release(module);
            module = next_module(bytes, size, path);
            ours += call_once_s(module) / (double)count;
        }
        if (!first) {
            ours = api_window_per_s(sl_module_task(module, "add_one"), NULL, count);
            floor = api_window_per_s(&add_one, NULL, count);
        }
        if (round >= 0)
            fprintf(out, "%.9g %.9g\n", ours, floor);
    }
    sl_module_release(module);
    free(bytes);
    unlink(path);
}

/* ---- the program ---- */

static double measure(const char *what, size_t count) {
    if (strcmp(what, "batch") == 0)
        return batch_per_s(count);
    if (strcmp(what, "window") == 0)
        return api_window_per_s(&add_one, NULL, count);
    if (strcmp(what, "hop-1k") == 0)
        return hop_s(&small_hopper, count);
    if (strcmp(what, "hop-1m") == 0)
        return hop_s(&large_hopper, count);
    if (strcmp(what, "ask") == 0)
        return ask_s(count);
    if (strcmp(what, "send") == 0)
        return send_per_s(count);
    if (strcmp(what, "roam") == 0)
        return roam_per_s(count);
    return api_window_per_s(&add_one_brief, NULL, count);
}

static void run(const char *what, FILE *out, size_t count, int rounds) {
    for (int round = -1; round < rounds; round++) {
        double value = measure(what, count);
        if (round >= 0)
            fprintf(out, "%.9g\n", value);
    }
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    int map = strcmp(argv[1], "map") == 0, rounds = (int)strtol(argv[4], NULL, 10), level;
    size_t count = strtoull(argv[3], NULL, 10);
    bool remote = strncmp(argv[1], "remote", 6) == 0, sealed = strncmp(argv[1], "sealed", 6) == 0;
    char directory[4200], path[4200], node[4300], pin[65] = "";
    sl_options *options;
    snprintf(directory, sizeof directory, "%s-gateway", argv[2]);
    snprintf(path, sizeof path, "%s.so", argv[2]);
    if (map)
        MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    snprintf(node, sizeof node, "%s/node", directory);
    if (sealed)
        api_make_keys(directory, pin);
    if (sl_options_create(&options) != 0 ||
        (sealed && (sl_options_set(options, "keys", node) != 0 ||
                    sl_options_set(options, "authority", pin) != 0)) ||
        sl_options_set(options, "cpus", !map && sl_launch_rank() == 0 ? "0" : "1") != 0 ||
        (remote && (sl_options_set(options, "listen", "127.0.0.1:0") != 0 ||
                    sl_options_set(options, "gateway", directory) != 0)) ||
        sl_init(NULL, NULL, &(sl_init_options){.options = options, .all_drive = map}) != 0)
        api_die("sl_init");
    FILE *out = sl_rank() == 0 ? fopen(argv[2], "w") : NULL;
    if (sl_rank() == 0 && !out)
        api_die(argv[2]);
    if (map)
        compare_maps(out, count, rounds);
    else if (remote)
        run_remote(argv[1], out, directory, count, rounds);
    else if (sealed)
        api_run_sealed(argv[1], out, directory, pin, count, rounds);
    else if (strncmp(argv[1], "module", 6) == 0)
        run_module(argv[1], out, path, count, rounds);
    else
        run(argv[1], out, count, rounds);
    int error = sl_shutdown();
    sl_options_destroy(options);
    if (map)
        MPI_Finalize();
    return (out && fclose(out) != 0) || error;
}
