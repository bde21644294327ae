#include "mpi/ulfm.h"

#ifdef STARLANE_ULFM

#include <mpi-ext.h>
#include <stdlib.h>

bool sl_mpi_ulfm_tells(int code) {
    int class = MPI_SUCCESS;
    return code != MPI_SUCCESS && MPI_Error_class(code, &class) == MPI_SUCCESS &&
           (class == MPIX_ERR_PROC_FAILED || class == MPIX_ERR_PROC_FAILED_PENDING);
}

/* `dead` is ordered as MPI likes; translated into ranks of the communicator. */
static void tell_of(MPI_Comm comm, MPI_Group dead, int count,
                    void (*lost)(void *context, uint32_t rank), void *context) {
    MPI_Group all;
    int *numbers = malloc(2 * (size_t)count * sizeof *numbers);
    if (!numbers || MPI_Comm_group(comm, &all) != MPI_SUCCESS) {
        free(numbers);
        return;
    }
    for (int i = 0; i < count; i++)
        numbers[i] = i;
    int *ranks = numbers + count;
    if (MPI_Group_translate_ranks(dead, count, numbers, all, ranks) == MPI_SUCCESS)
        for (int i = 0; i < count; i++)
            if (ranks[i] >= 0)
                lost(context, (uint32_t)ranks[i]);
    MPI_Group_free(&all);
    free(numbers);
}

void sl_mpi_ulfm_look(MPI_Comm comm, void (*lost)(void *context, uint32_t rank), void *context) {
    MPI_Group dead;
    int count = 0;
    if (MPIX_Comm_failure_ack(comm) != MPI_SUCCESS ||
        MPIX_Comm_failure_get_acked(comm, &dead) != MPI_SUCCESS)
        return;
    if (MPI_Group_size(dead, &count) == MPI_SUCCESS && count > 0)
        tell_of(comm, dead, count, lost, context);
    if (dead != MPI_GROUP_EMPTY)
        MPI_Group_free(&dead);
}

#else

bool sl_mpi_ulfm_tells(int code) {
    (void)code;
    return false;
}

void sl_mpi_ulfm_look(MPI_Comm comm, void (*lost)(void *context, uint32_t rank), void *context) {
    (void)comm;
    (void)lost;
    (void)context;
}

#endif
