/* A set of MPI requests under way, each with what it is about, tested all at once. */
#ifndef SL_MPI_REQUESTS_H
#define SL_MPI_REQUESTS_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

typedef enum sl_mpi_kind { SL_MPI_FRAME_SEND, SL_MPI_BULK_SEND, SL_MPI_BULK_RECEIVE } sl_mpi_kind;

/* What a request is about; the set only keeps it. */
typedef struct sl_mpi_entry {
    void *object; /* a frame buffer, or a blob with one reference */
    uint64_t id;
    uint32_t peer;
    sl_mpi_kind kind;
} sl_mpi_entry;

/* A request that is over. */
typedef struct sl_mpi_finished {
    sl_mpi_entry entry;
    int code; /* MPI_SUCCESS or what it failed with */
    bool cancelled;
    uint64_t bytes; /* of a receive */
} sl_mpi_finished;

typedef struct sl_mpi_requests {
    MPI_Request *requests;
    sl_mpi_entry *entries;
    int *indices;
    MPI_Status *statuses;
    sl_mpi_finished *finished;
    int count, capacity;
} sl_mpi_requests;

/* Makes room for `more` besides those in the set, so that the add() which follows cannot fail. */
sl_err sl_mpi_requests_reserve(sl_mpi_requests *set, int more) SL_CHECKED;
void sl_mpi_requests_add(sl_mpi_requests *set, MPI_Request request, sl_mpi_entry entry);

/* Takes out what is over, into set->finished (valid until the next call), and returns how many. */
int sl_mpi_requests_test(sl_mpi_requests *set);

/* Moves all that concern `peer` to another set that has room for them. */
void sl_mpi_requests_move(sl_mpi_requests *from, sl_mpi_requests *to, uint32_t peer);

/* Frees the arrays, not what the entries name. Requests under way stay MPI's. */
void sl_mpi_requests_fini(sl_mpi_requests *set);

#endif
