/* What one rank of a job step sees, one line a rank: proves the cluster before anything of ours
 * runs on it. Ranks talk around a ring, so that a step whose ranks cannot reach each other hangs or
 * fails. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : "-";
}

int main(int argc, char **argv) {
    int rank, size, token = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Sendrecv(&rank, 1, MPI_INT, (rank + 1) % size, 0, &token, 1, MPI_INT,
                 (rank + size - 1) % size, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    char host[64];
    gethostname(host, sizeof host);
    printf("rank %d of %d host %s ring %s addr %s pattern %s partition %s gpus %s\n", rank, size,
           host, token == (rank + size - 1) % size ? "ok" : "broken",
           variable("SLURM_TOPOLOGY_ADDR"), variable("SLURM_TOPOLOGY_ADDR_PATTERN"),
           variable("SLURM_JOB_PARTITION"), variable("CUDA_VISIBLE_DEVICES"));
    fflush(stdout);
    MPI_Finalize();
    return 0;
}
