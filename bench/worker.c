#include "bench/worker.h"

#include <stdlib.h>

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "bench/network.h"

enum { CORES_MOST = 64, WORDS_MOST = 16 };

struct worker {
    sl_functions *functions;
    sl_minder *minder;
    sl_pool *pool;
};

static sl_err noop(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)user;
    return sl_task_output_write(output, args, bytes);
}

static void spawn_executor(sl_node *node, const worker *w, uint32_t count) {
    sl_grant_core cores[CORES_MOST];
    for (uint32_t i = 0; i < count; i++)
        cores[i] = (sl_grant_core){.cpu_count = 1, .cpus = {i}};
    sl_executor_options options = {
        .offer = {cores, count, 0, (uint64_t)1 << 30, 1000},
        .functions = w->functions,
        .minder = w->minder,
        .pool = w->pool,
        .kill_grace_ns = SL_NS_PER_S,
    };
    network_check(
        sl_node_spawn(node, SL_SLOT_EXECUTOR, &sl_executor_class, &options, sizeof options, NULL),
        "an executor");
}

worker *worker_create(sl_node *node, uint32_t cores, bool commands) {
    worker *w = calloc(1, sizeof *w);
    if (!w || cores > CORES_MOST)
        bench_die("no worker with %u cores", cores);
    network_check(sl_functions_create(&w->functions), "functions");
    network_check(sl_functions_register(w->functions, "noop", noop, NULL), "functions");
    sl_functions_freeze(w->functions);
    sl_pool_options pool = {.threads = cores ? cores : 1};
    network_check(sl_pool_create(node, &pool, &w->pool), "a pool");
    sl_minder_options minder = {.running_max = 1024};
    if (commands)
        network_check(sl_minder_create(&minder, &w->minder), "a minder");
    spawn_executor(node, w, cores);
    return w;
}

void worker_destroy(worker *w) {
    if (!w)
        return;
    sl_minder_destroy(w->minder);
    sl_pool_destroy(w->pool);
    sl_functions_destroy(w->functions);
    free(w);
}

static uint32_t encode(const sl_record *record, const void *body, uint8_t *payload,
                       uint32_t capacity) {
    if (sl_record_wire_bytes(record, body) > capacity)
        bench_die("a payload is too large");
    return (uint32_t)(sl_record_encode(record, body, payload, NULL) - payload);
}

uint32_t worker_noop(uint8_t *payload, uint32_t capacity) {
    static const uint8_t arguments[16] = {1};
    executor_function call = {sl_text_of("noop"), {arguments, sizeof arguments}};
    return encode(&executor_function_record, &call, payload, capacity);
}

uint32_t worker_command(const char *const *argv, uint8_t *payload, uint32_t capacity) {
    executor_word words[WORDS_MOST];
    uint32_t count = 0;
    for (; argv[count]; count++)
        if (count < WORDS_MOST)
            words[count].text = sl_text_of(argv[count]);
    if (count > WORDS_MOST)
        bench_die("a command of %u words", count);
    executor_command command = {.arguments = {words, count}};
    return encode(&executor_command_record, &command, payload, capacity);
}

uint8_t worker_kind(bool command) {
    return command ? SL_TASK_COMMAND : SL_TASK_FUNCTION;
}
