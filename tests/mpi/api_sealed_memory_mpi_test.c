/* How much memory a large sealed payload takes, by the kernel's count: one copy beside the caller's
 * at the client, and one at the rank that runs it. The payload is larger than what freed blobs are
 * kept for, so that no memory is used again. */
#include <mpi.h>
#include <unistd.h>

#include "tests/lib/sealing_keys.h"

#define PAYLOAD ((size_t)300 << 20)
#define SLACK   ((size_t)48 << 20) /* huge pages, pipes, buffers; far less than a second copy */

/* ---- what this process has: VmRSS and VmHWM ---- */

static size_t status_of(const char *field) {
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = strtoul(line + strlen(field) + 1, NULL, 10);
    if (file)
        fclose(file);
    return kib * 1024;
}

/* The peak counts from now on; what there is now. */
static size_t begin_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        return 0;
    return status_of("VmRSS");
}

SL_TASK(start_peak) {
    return sl_return_i64(call, (int64_t)begin_peak());
}

SL_TASK(read_peak) {
    return sl_return_i64(call, (int64_t)status_of("VmHWM"));
}

/* ---- the payload ---- */

static uint8_t byte_at(size_t i) {
    return (uint8_t)(i * 31 + i / 4099);
}

static void fill(uint8_t *data) {
    for (size_t i = 0; i < PAYLOAD; i++)
        data[i] = byte_at(i);
}

static size_t wrong_in(const uint8_t *data, size_t bytes) {
    size_t wrong = bytes == PAYLOAD ? 0 : 1;
    for (size_t i = 0; i < bytes && data; i++)
        wrong += data[i] != byte_at(i);
    return wrong;
}

SL_TASK(take) {
    size_t bytes;
    const uint8_t *data = sl_arg_bytes(call, 0, &bytes);
    return sl_return_i64(call, (int64_t)wrong_in(data, bytes));
}

SL_TASK(make) {
    size_t bytes = PAYLOAD;
    uint8_t *data = sl_return_array(call, SL_U8, 1, &bytes);
    if (data)
        fill(data);
    return 0;
}

/* ---- measured ---- */

static sl_seal seal;

static sl_future *run_at_node(const sl_task *task, sl_args args) {
    sl_task_options how = task->options;
    how.sealed = &seal;
    sl_future *future = sl_submit_with(task, args, &how);
    if (sl_wait(future, 100) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s: %s", task->name, sl_error_text());
    return future;
}

static size_t ask(const sl_task *task) {
    sl_future *future = run_at_node(task, SL_NO_ARGS);
    size_t answer = (size_t)sl_result_i64(future);
    sl_release(future);
    return answer;
}

static void check_growth(const char *whose, size_t before, size_t peak) {
    size_t growth = peak > before ? peak - before : 0;
    printf("# %s grew by %zu MiB for a payload of %zu MiB\n", whose, growth >> 20, PAYLOAD >> 20);
    CHECK(before > 0);
    CHECK(growth <= PAYLOAD + SLACK);
}

static void check_arguments(void) {
    uint8_t *data = malloc(PAYLOAD);
    fill(data);
    size_t there = ask(&start_peak), here = begin_peak();
    sl_future *future = run_at_node(&take, SL_ARGS(sl_bytes(data, PAYLOAD)));
    CHECK_INT(sl_result_i64(future), 0);
    sl_release(future);
    check_growth("the client, by arguments,", here, status_of("VmHWM"));
    check_growth("the executor, by arguments,", there, ask(&read_peak));
    free(data);
}

static void check_result(void) {
    size_t bytes, there = ask(&start_peak), here = begin_peak();
    sl_future *future = run_at_node(&make, SL_NO_ARGS);
    const uint8_t *data = sl_result_array(future, SL_U8, &bytes);
    CHECK_INT(wrong_in(data, bytes), 0);
    check_growth("the client, by a result,", here, status_of("VmHWM"));
    check_growth("the executor, by a result,", there, ask(&read_peak));
    sl_release(future);
}

static sl_future *run_shell(const char *script, const void *input, size_t bytes) {
    const char *const arguments[] = {"sh", "-c", script, NULL};
    const sl_task_options how = {.sealed = &seal};
    sl_future *future = sl_seal_command(
        NULL, &(sl_command){.argv = arguments, .input = input, .input_bytes = bytes}, &how);
    if (sl_wait(future, 100) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s: %s", script, sl_error_text());
    return future;
}

static void check_commands(void) {
    sl_sealed_result result = {0};
    char script[80];
    uint8_t *data = malloc(PAYLOAD);
    fill(data);
    size_t there = ask(&start_peak), here = begin_peak();
    sl_future *future = run_shell("wc -c", data, PAYLOAD);
    CHECK_INT(sl_result_sealed(future, &result), 0);
    CHECK_INT(atoll(result.output), PAYLOAD);
    sl_release(future);
    check_growth("the client, by what a command reads,", here, status_of("VmHWM"));
    check_growth("the executor, by what a command reads,", there, ask(&read_peak));
    free(data);
    snprintf(script, sizeof script, "head -c %zu /dev/zero", PAYLOAD);
    there = ask(&start_peak), here = begin_peak();
    future = run_shell(script, NULL, 0);
    CHECK_INT(sl_result_sealed(future, &result), 0);
    CHECK_INT(result.output_bytes, PAYLOAD);
    sl_release(future);
    check_growth("the client, by what a command writes,", here, status_of("VmHWM"));
    check_growth("the executor, by what a command writes,", there, ask(&read_peak));
}

/* ---- the network ---- */

static sl_test_keys keys;

static void make_keys(int rank) {
    char folder[256] = "", name[32];
    if (rank == 0)
        snprintf(folder, sizeof folder, "%s", sl_test_dir());
    MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD);
    snprintf(keys.authority, sizeof keys.authority, "%s/authority", folder);
    snprintf(keys.client, sizeof keys.client, "%s/client", folder);
    snprintf(keys.node, sizeof keys.node, "%s/rank-%d", folder, rank);
    if (rank == 0) {
        sl_test_keys_need(sl_keys_create(keys.authority, "authority", NULL, NULL), "authority");
        sl_test_keys_certify(&keys, keys.client, "client", "alice", NULL);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    sl_test_fingerprint(keys.authority, keys.fingerprint);
    snprintf(name, sizeof name, "rank-%d", rank);
    sl_test_keys_certify(&keys, keys.node, "node", name, NULL);
}

static void drive(int ranks) {
    char name[32];
    const char *names[] = {name};
    sl_keys *client;
    snprintf(name, sizeof name, "rank-%d", ranks - 1);
    sl_test_keys_need(sl_keys_open(keys.client, keys.fingerprint, NULL, &client), "keys");
    seal = (sl_seal){.keys = client, .nodes = names, .node_count = 1};
    check_arguments();
    check_result();
    check_commands();
    sl_keys_close(client);
}

TEST(a_payload_is_never_there_twice) {
    int level, rank, ranks;
    sl_options *options;
    REQUIRE(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level) == MPI_SUCCESS);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    make_keys(rank);
    REQUIRE(sl_options_create(&options) == 0);
    CHECK_INT(sl_options_set(options, "keys", keys.node), 0);
    CHECK_INT(sl_options_set(options, "authority", keys.fingerprint), 0);
    CHECK_INT(sl_options_set(options, "cpus", "1"), 0);
    sl_test_keys_need(sl_init(NULL, NULL, &(sl_init_options){.options = options, .all_drive = 1}),
                      "init");
    if (rank == 0 && ranks > 1) /* one alone is client and executor */
        drive(ranks);
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
    MPI_Barrier(MPI_COMM_WORLD); /* nobody's folder goes before all are done */
    MPI_Finalize();
}
