#include "bench/floor_farm.h"

#include <mpi.h>

#include "bench/bench.h"

enum { TAG = 20011, BATCH_MAX = 256 };

typedef struct item {
    uint64_t task;
    uint64_t value;
} item;

static void master(uint32_t batches, uint32_t batch, uint32_t ahead) {
    item tasks[BATCH_MAX] = {{0, 0}}, results[BATCH_MAX];
    int bytes = (int)(batch * sizeof(item));
    for (uint32_t sent = 0, done = 0; done < batches;) {
        if (sent < batches && sent - done < ahead) {
            for (uint32_t i = 0; i < batch; i++)
                tasks[i] = (item){(uint64_t)sent * batch + i, 1};
            MPI_Send(tasks, bytes, MPI_BYTE, 1, TAG, MPI_COMM_WORLD);
            sent++;
            continue;
        }
        MPI_Recv(results, bytes, MPI_BYTE, 1, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (uint32_t i = 0; i < batch; i++)
            if (results[i].value != results[i].task + 1)
                bench_die("the farm gave a wrong result");
        done++;
    }
}

static void worker(uint32_t batches, uint32_t batch) {
    item items[BATCH_MAX];
    int bytes = (int)(batch * sizeof(item));
    for (uint32_t done = 0; done < batches; done++) {
        MPI_Recv(items, bytes, MPI_BYTE, 0, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (uint32_t i = 0; i < batch; i++)
            items[i].value += items[i].task;
        MPI_Send(items, bytes, MPI_BYTE, 0, TAG, MPI_COMM_WORLD);
    }
}

double floor_farm_per_s(uint32_t tasks, uint32_t batch, uint32_t window) {
    uint32_t batches = (tasks + batch - 1) / batch, ahead = window > batch ? window / batch : 1;
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank > 1 || batch > BATCH_MAX)
        return 0;
    double begin_s = MPI_Wtime();
    if (rank == 0)
        master(batches, batch, ahead);
    else
        worker(batches, batch);
    return rank == 0 ? (double)batches * batch / (MPI_Wtime() - begin_s) : 0;
}
