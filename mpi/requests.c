#include "mpi/requests.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 32 };

/* realloc() for an array of the set; keeps the old one where there is no memory. */
static bool resize(void *array, size_t bytes) {
    void **slot = array;
    void *grown = realloc(*slot, bytes);
    if (!grown)
        return false;
    *slot = grown;
    return true;
}

static sl_err grow(sl_mpi_requests *set, int capacity) {
    size_t n = (size_t)capacity;
    if (!resize(&set->requests, n * sizeof *set->requests) ||
        !resize(&set->entries, n * sizeof *set->entries) ||
        !resize(&set->indices, n * sizeof *set->indices) ||
        !resize(&set->statuses, n * sizeof *set->statuses) ||
        !resize(&set->finished, n * sizeof *set->finished))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %d MPI requests", capacity);
    set->capacity = capacity;
    return SL_OK;
}

sl_err sl_mpi_requests_reserve(sl_mpi_requests *set, int more) {
    int capacity = set->capacity ? set->capacity : FIRST_CAPACITY;
    while (capacity - set->count < more)
        capacity *= 2;
    return capacity > set->capacity ? grow(set, capacity) : SL_OK;
}

void sl_mpi_requests_add(sl_mpi_requests *set, MPI_Request request, sl_mpi_entry entry) {
    set->requests[set->count] = request;
    set->entries[set->count++] = entry;
}

static sl_mpi_finished finished_of(const sl_mpi_entry *entry, MPI_Status *status, bool failed) {
    sl_mpi_finished finished = {.entry = *entry, .code = failed ? status->MPI_ERROR : MPI_SUCCESS};
    if (entry->kind != SL_MPI_BULK_RECEIVE || finished.code != MPI_SUCCESS)
        return finished;
    int cancelled = 0;
    MPI_Count bytes = 0;
    MPI_Test_cancelled(status, &cancelled);
    MPI_Get_elements_x(status, MPI_BYTE, &bytes);
    finished.cancelled = cancelled;
    finished.bytes = bytes > 0 ? (uint64_t)bytes : 0;
    return finished;
}

/* Testsome has made the requests that are over null. */
static void compact(sl_mpi_requests *set) {
    int kept = 0;
    for (int i = 0; i < set->count; i++) {
        if (set->requests[i] == MPI_REQUEST_NULL)
            continue;
        set->requests[kept] = set->requests[i];
        set->entries[kept++] = set->entries[i];
    }
    set->count = kept;
}

int sl_mpi_requests_test(sl_mpi_requests *set) {
    int over = 0;
    if (set->count == 0)
        return 0;
    int code = MPI_Testsome(set->count, set->requests, &over, set->indices, set->statuses);
    if (over == MPI_UNDEFINED || over <= 0 || (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS))
        return 0;
    for (int i = 0; i < over; i++)
        set->finished[i] = finished_of(&set->entries[set->indices[i]], &set->statuses[i],
                                       code == MPI_ERR_IN_STATUS);
    compact(set);
    return over;
}

void sl_mpi_requests_move(sl_mpi_requests *from, sl_mpi_requests *to, uint32_t peer) {
    int kept = 0;
    for (int i = 0; i < from->count; i++) {
        if (from->entries[i].peer == peer) {
            sl_mpi_requests_add(to, from->requests[i], from->entries[i]);
            continue;
        }
        from->requests[kept] = from->requests[i];
        from->entries[kept++] = from->entries[i];
    }
    from->count = kept;
}

void sl_mpi_requests_fini(sl_mpi_requests *set) {
    free(set->requests);
    free(set->entries);
    free(set->indices);
    free(set->statuses);
    free(set->finished);
    *set = (sl_mpi_requests){0};
}
