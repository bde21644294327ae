/* Back-pressure between whole nodes over MPI: many senders on all ranks, one slow actor on rank 0.
 */
#include <mpi.h>

#include "mpi/bootstrap.h"
#include "tests/lib/scenario_pressure.h"
#include "tests/lib/test.h"
#include "tests/lib/world.h"

static void run_pressure(sl_node_options node, scenario_pressure_options what) {
    MPI_Comm all = MPI_COMM_WORLD;
    sl_mpi *mpi;
    world w;
    scenario_pressure_result result;
    what.mailbox_limit = 50;
    REQUIRE(sl_mpi_open(&(sl_mpi_options){.communicator = &all, .frame_bytes = 4096}, &mpi) ==
            SL_OK);
    uint32_t count = sl_mpi_count(mpi), rank = sl_mpi_rank(mpi);
    REQUIRE(world_open(&w, &(world_options){.transport = sl_mpi_transport(mpi), .node = node}));
    scenario_pressure_spawn(w.nodes[0], &what, &result);
    world_run(&w);
    CHECK_INT(w.results[0], SL_OK);
    CHECK_STR(w.details[0], "");
    CHECK(result.refused > 0);
    if (rank == 0)
        CHECK_INT(result.received, (uint64_t)count * what.senders * what.messages);
    world_close(&w);
    sl_mpi_close(mpi, true, 1);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

TEST(starts) {
    int level;
    REQUIRE(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) == MPI_SUCCESS);
}

TEST(the_window_holds_senders) {
    run_pressure((sl_node_options){.window_bytes = 16384},
                 (scenario_pressure_options){.senders = 60, .messages = 50, .body_bytes = 200});
}

TEST(the_bulk_window_holds_senders) {
    run_pressure((sl_node_options){.blob_window_bytes = 1 << 20},
                 (scenario_pressure_options){.senders = 60, .messages = 5, .blob_bytes = 100000});
}

TEST(ends) {
    CHECK(MPI_Finalize() == MPI_SUCCESS);
}
