/* Modules over the ranks of an MPI job: each rank fetches and loads one once, however many of its
 * tasks come there, and at once. */
#include "tests/lib/test.h"

#include "starlane.h"
#include "tests/lib/module_files.h"

enum { COUNT = 600, ROUNDS = 3, RANKS_MOST = 64 };

static bool ran[RANKS_MOST];

static void run_many(const sl_module *module) {
    static sl_args args[COUNT];
    static sl_future *nodes[COUNT], *constructions[COUNT];
    for (int i = 0; i < COUNT; i++)
        args[i] = SL_NO_ARGS;
    CHECK_INT(sl_submit_batch(sl_module_task(module, "node"), args, COUNT, NULL, nodes), 0);
    CHECK_INT(
        sl_submit_batch(sl_module_task(module, "constructions"), args, COUNT, NULL, constructions),
        0);
    CHECK_INT(sl_wait_all(nodes, COUNT, SL_FOREVER), 0);
    CHECK_INT(sl_wait_all(constructions, COUNT, SL_FOREVER), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(sl_result_i64(constructions[i]), 1);
        ran[sl_result_i64(nodes[i])] = true;
        sl_release(nodes[i]);
        sl_release(constructions[i]);
    }
}

/* Objects that a module makes at one rank, and reads at another. */
static void pass_objects(const sl_module *module) {
    sl_future *made[8], *summed[8];
    for (int i = 0; i < 8; i++) {
        made[i] = sl_submit(sl_module_task(module, "make_object"), SL_ARGS(sl_i64(10000)));
        summed[i] = sl_submit(sl_module_task(module, "sum_object"), SL_ARGS(sl_wait_for(made[i])));
    }
    CHECK_INT(sl_wait_all(summed, 8, SL_FOREVER), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_DOUBLE(sl_result_f64(summed[i]), 10000, 0);
        sl_release(made[i]);
        sl_release(summed[i]);
    }
}

static void nest(const sl_module *module) {
    sl_future *sums[8];
    for (int i = 0; i < 8; i++)
        sums[i] = sl_submit(sl_module_task(module, "sum_of_squares"), SL_ARGS(sl_i64(10)));
    CHECK_INT(sl_wait_all(sums, 8, SL_FOREVER), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_DOUBLE(sl_result_f64(sums[i]), 285, 0);
        sl_release(sums[i]);
    }
}

/* What each rank has counted, by rank. */
static int loads_of(const char *path, int64_t *loads) {
    static char line[65536];
    int nodes = 0;
    FILE *file = fopen(path, "r");
    while (file && nodes < RANKS_MOST && fgets(line, sizeof line, file)) {
        unsigned node;
        long long value;
        const char *at = strstr(line, "starlane_modules_loaded");
        if (at == line && (at = strstr(line, "node=\"")) && sscanf(at + 6, "%u", &node) == 1 &&
            (at = strrchr(line, ' ')) && sscanf(at, "%lld", &value) == 1 && node < RANKS_MOST) {
            loads[node] = value;
            nodes++;
        }
    }
    if (file)
        fclose(file);
    return nodes;
}

TEST(once_on_each_rank) {
    char path[600], program[] = "test", *argv[] = {program, NULL};
    int64_t loads[RANKS_MOST] = {0};
    int argc = 1;
    sl_options *options;
    sl_module *one;
    snprintf(path, sizeof path, "%s/metrics", sl_test_dir());
    REQUIRE(sl_options_create(&options) == 0 &&
            sl_options_load(options, "network", &argc, argv) == 0 &&
            sl_options_set(options, "metrics", path) == 0);
    sl_init_options init = {.options = options};
    REQUIRE(sl_init(NULL, NULL, &init) == 0);
    int size = (int)sl_size();
    REQUIRE(sl_module_load(module_path("one"), &one) == 0);
    for (int round = 0; round < ROUNDS; round++)
        run_many(one);
    pass_objects(one);
    nest(one);
    sl_module_release(one);
    CHECK_INT(sl_shutdown(), 0);
    CHECK_INT(loads_of(path, loads), size);
    for (int rank = 0; rank < size; rank++)
        CHECK(loads[rank] == 1 || (!ran[rank] && !loads[rank]));
    sl_options_destroy(options);
}
