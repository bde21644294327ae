/* Whole nodes over MPI: the scenarios of tests/network, each rank one node. */
#include <mpi.h>

#include "mpi/bootstrap.h"
#include "tests/lib/scenario_graph.h"
#include "tests/lib/test.h"
#include "tests/lib/world.h"

static void run_graph(sl_mpi_options over, sl_node_options node, scenario_graph_options what) {
    MPI_Comm all = MPI_COMM_WORLD;
    sl_mpi *mpi;
    world w;
    scenario_graph_result result;
    over.communicator = &all;
    REQUIRE(sl_mpi_open(&over, &mpi) == SL_OK);
    uint32_t count = sl_mpi_count(mpi), rank = sl_mpi_rank(mpi);
    REQUIRE(world_open(
        &w, &(world_options){.transport = sl_mpi_transport(mpi), .node = node, .seed = what.seed}));
    scenario_graph_spawn(w.nodes[0], &what, &result);
    world_run(&w);
    CHECK_INT(w.results[0], SL_OK);
    CHECK_STR(w.details[0], "");
    CHECK_INT(result.errors, 0);
    if (rank == 0) {
        CHECK_INT(result.total_received, scenario_graph_total(&what, count));
        CHECK_INT(result.total_errors, 0);
    }
    world_close(&w);
    sl_mpi_close(mpi, true, 1);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

TEST(starts) {
    int level;
    REQUIRE(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) == MPI_SUCCESS);
}

TEST(small_messages) {
    run_graph((sl_mpi_options){0}, (sl_node_options){0},
              (scenario_graph_options){
                  .seed = 1, .actors = 8, .parcels = 10, .hops = 20, .body_bytes = 300});
}

TEST(all_sizes) {
    for (uint64_t seed = 1; seed <= 2; seed++)
        run_graph((sl_mpi_options){0}, (sl_node_options){0},
                  (scenario_graph_options){.seed = seed,
                                           .actors = 3,
                                           .parcels = 5,
                                           .hops = 10,
                                           .body_bytes = 1000000,
                                           .blob_bytes = 3000000});
}

TEST(small_windows) {
    run_graph(
        (sl_mpi_options){.frame_bytes = 1024, .window = 2},
        (sl_node_options){.window_bytes = 1, .blob_window_bytes = 1 << 16, .mailbox_limit = 2},
        (scenario_graph_options){.seed = 3,
                                 .actors = 3,
                                 .parcels = 5,
                                 .hops = 10,
                                 .body_bytes = 100000,
                                 .blob_bytes = 300000});
}

TEST(ends) {
    CHECK(MPI_Finalize() == MPI_SUCCESS);
}
