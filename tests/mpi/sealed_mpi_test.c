/* Sealed tasks over the ranks of an MPI job: each rank has an identity of its own, and records all
 * that it sends to others, by MPI or through shared memory. The first rank seals tasks, some for
 * all ranks, some for one, and of a module that it brings sealed, and no rank finds in its record
 * what was sealed. Objects are copied between ranks, so that modules are in the records too. */
#include <mpi.h>
#include <unistd.h>

#include "mpi/internal.h"
#include "tests/lib/module_files.h"
#include "tests/lib/recorder.h"
#include "tests/lib/sealing_keys.h"

enum { TIMES = 64, LARGE = 1 << 20 };

static const char secret[] = "what nobody between the two ends may read, whoever they are";
static const char clear[] = "what everybody may read, for nobody has thought of sealing it";
static const char reason[] = "a reason that would give away what was computed, if told";
static const char code[] = "what stands in the module's file and is nobody's to read on its way";
static const char shown[] = "what stands in another module's file, which is brought in the clear";

SL_TASK(add_node) {
    char text[200];
    snprintf(text, sizeof text, "%s %u", sl_arg_string(call, 0), sl_call_node(call));
    return sl_return_string(call, text);
}

SL_TASK(say_why) {
    return sl_call_fail(call, "%s", reason);
}

SL_TASK(give_back) {
    size_t bytes;
    const void *data = sl_arg_bytes(call, 0, &bytes);
    return sl_return_bytes(call, data, bytes);
}

/* ---- who listens ---- */

static sl_recording recording = {.lock = PTHREAD_MUTEX_INITIALIZER};

sl_err __real_sl_mpi_transport_open(sl_mpi *mpi, sl_transport **transport);
sl_err __wrap_sl_mpi_transport_open(sl_mpi *mpi, sl_transport **transport);
sl_err __wrap_sl_mpi_transport_open(sl_mpi *mpi, sl_transport **transport) {
    sl_err err = __real_sl_mpi_transport_open(mpi, transport);
    if (err == SL_OK)
        *transport = sl_recorder_create(*transport, &recording);
    return err;
}

static bool heard(const char *what) {
    size_t size = strlen(what);
    for (size_t at = 0; at + 16 <= size; at += 4)
        if (sl_recording_has(&recording, what + at, 16))
            return true;
    return false;
}

/* ---- keys: the first rank certifies all ---- */

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

/* ---- what the first rank does ---- */

static sl_task_options sealed(const sl_task *task, const sl_seal *seal) {
    sl_task_options how = task->options;
    how.sealed = seal;
    return how;
}

/* Runs `text` so often and says on which ranks. */
static uint64_t spread(const char *text, const sl_task_options *how) {
    sl_future *futures[TIMES];
    char expected[200];
    uint64_t seen = 0;
    for (int i = 0; i < TIMES; i++)
        futures[i] = sl_submit_with(&add_node, SL_ARGS(sl_string(text)), how);
    for (int i = 0; i < TIMES; i++) {
        if (sl_wait(futures[i], 60) != 0)
            sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
        const char *got = sl_result_string(futures[i]);
        unsigned node = (unsigned)atoi(got + (strlen(got) > strlen(text) ? strlen(text) : 0));
        snprintf(expected, sizeof expected, "%s %u", text, node);
        CHECK_STR(got, expected);
        seen |= UINT64_C(1) << node;
        sl_release(futures[i]);
    }
    return seen;
}

static void check_named(sl_keys *client, uint32_t rank) {
    char name[32];
    snprintf(name, sizeof name, "rank-%u", rank);
    const char *names[] = {name};
    const sl_seal seal = {.keys = client, .nodes = names, .node_count = 1};
    sl_task_options how = sealed(&add_node, &seal);
    CHECK_INT(spread(secret, &how), UINT64_C(1) << rank);
}

static void check_errors(const sl_seal *seal) {
    sl_task_options how = sealed(&say_why, seal);
    for (int i = 0; i < 16; i++) {
        sl_future *future = sl_submit_with(&say_why, SL_NO_ARGS, &how);
        CHECK_INT(sl_wait(future, 60), SL_ERROR_FAILED);
        CHECK_STR(sl_error_text(), reason);
        sl_release(future);
    }
}

static void check_large(const sl_seal *seal) {
    sl_task_options how = sealed(&give_back, seal);
    char *text = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        text[i] = secret[i % sizeof secret];
    for (int i = 0; i < 8; i++) {
        size_t bytes;
        sl_future *future = sl_submit_with(&give_back, SL_ARGS(sl_bytes(text, LARGE)), &how);
        CHECK_INT(sl_wait(future, 60), 0);
        const void *got = sl_result_bytes(future, &bytes);
        CHECK_INT(bytes, LARGE);
        CHECK(bytes == LARGE && memcmp(got, text, LARGE) == 0);
        sl_release(future);
    }
    free(text);
}

/* The module with `words` behind its file. */
static sl_module *load(const char *words, bool is_sealed) {
    char path[400];
    size_t size;
    sl_module *module = NULL;
    uint8_t *bytes = module_bytes("keen", &size);
    bytes = realloc(bytes, size + strlen(words));
    memcpy(bytes + size, words, strlen(words));
    snprintf(path, sizeof path, "%s/keen-%d.so", sl_test_dir(), is_sealed);
    write_module(path, bytes, size + strlen(words));
    free(bytes);
    sl_test_keys_need(
        is_sealed ? sl_module_load_sealed(path, &module) : sl_module_load(path, &module), path);
    return module;
}

/* On which ranks its tasks ran. */
static uint64_t use(const sl_module *module, const char *words, const sl_seal *seal) {
    sl_future *futures[TIMES];
    uint64_t seen = 0;
    const sl_task *word = sl_module_task(module, "keen_word"),
                  *node = sl_module_task(module, "keen_node");
    const sl_task_options how = {.cpus = 1, .sealed = seal};
    for (int i = 0; i < TIMES; i++)
        futures[i] = sl_submit_with(i % 2 ? word : node, SL_ARGS(sl_string(words)), &how);
    for (int i = 0; i < TIMES; i++) {
        if (sl_wait(futures[i], 60) != 0)
            sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
        else if (i % 2)
            CHECK_STR(sl_result_string(futures[i]), words);
        else
            seen |= UINT64_C(1) << sl_result_i64(futures[i]);
        sl_release(futures[i]);
    }
    return seen;
}

/* Sealed once, before it is known who will run its tasks: one rank, groups of two, all. */
static void check_modules(const sl_seal *all, const sl_seal *few, int ranks) {
    char name[32];
    const char *names[] = {name};
    const sl_seal last = {.keys = all->keys, .nodes = names, .node_count = 1};
    sl_module *closed = load(code, true), *open_one = load(shown, false);
    snprintf(name, sizeof name, "rank-%d", ranks - 1);
    CHECK_INT(use(closed, secret, &last), UINT64_C(1) << (ranks - 1));
    use(closed, secret, few);
    uint64_t seen = use(closed, secret, all);
    if (ranks > 1)
        CHECK((seen & (seen - 1)) != 0);
    use(open_one, clear, NULL);
    sl_module_release(closed), sl_module_release(open_one);
}

static void drive(int ranks) {
    sl_keys *client;
    sl_test_keys_need(sl_keys_open(keys.client, keys.fingerprint, NULL, &client), "keys");
    const sl_seal all = {.keys = client}, few = {.keys = client, .nodes_most = 2};
    sl_task_options how = sealed(&add_node, &all), in_groups = sealed(&add_node, &few);
    uint64_t seen = spread(secret, &how);
    if (ranks > 1)
        CHECK((seen & (seen - 1)) != 0);
    seen = spread(secret, &in_groups);
    if (ranks > 1)
        CHECK((seen & (seen - 1)) != 0);
    check_named(client, 0);
    check_named(client, (uint32_t)ranks - 1);
    check_errors(&all);
    check_large(&all);
    check_modules(&all, &few, ranks);
    spread(clear, NULL);
    sl_keys_close(client);
}

TEST(no_rank_tells_another_what_was_sealed) {
    int level, rank, ranks;
    sl_options *options;
    REQUIRE(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level) == MPI_SUCCESS);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    make_keys(rank);
    REQUIRE(sl_options_create(&options) == 0);
    CHECK_INT(sl_options_set(options, "keys", keys.node), 0);
    CHECK_INT(sl_options_set(options, "authority", keys.fingerprint), 0);
    CHECK_INT(sl_options_set(options, "policy", "random"), 0);
    CHECK_INT(sl_options_set(options, "cpus", "1"), 0);
    CHECK_INT(sl_options_set(options, "store-share", "false"), 0);
    sl_test_keys_need(sl_init(NULL, NULL, &(sl_init_options){.options = options, .all_drive = 1}),
                      "init");
    if (rank == 0)
        drive(ranks);
    CHECK_INT(sl_shutdown(), 0);
    sl_options_destroy(options);
    CHECK(ranks == 1 || recording.frames > 0);
    CHECK(!heard(secret));
    CHECK(!heard(reason));
    CHECK(!heard(code));
    CHECK(!sl_recording_has(&recording, "say_why", 7));
    if (rank == 0 && ranks > 1) { /* the search finds what is there */
        CHECK(heard(clear));
        CHECK(heard(shown));
        CHECK(sl_recording_has(&recording, "/keen_word", 10));
    }
    MPI_Barrier(MPI_COMM_WORLD); /* nobody's folder goes before all are done */
    MPI_Finalize();
}
