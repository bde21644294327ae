/* The collectives over MPI: non-blocking operations on a communicator of the members' own. */
#include <limits.h>
#include <stdlib.h>

#include "mpi/internal.h"
#include "runtime/log.h"

enum { PENDING = SL_COLLECTIVE_MAX_PENDING };

typedef struct collective {
    sl_collective head;
    MPI_Comm comm;
    sl_collective_ticket started;
    uint32_t pending;
    MPI_Request requests[PENDING];         /* of ticket t at t % PENDING */
    sl_collective_ticket tickets[PENDING]; /* 0: the place is free */
} collective;

static MPI_Datatype type_of(sl_collective_type type) {
    return type == SL_COLLECTIVE_FLOAT32   ? MPI_FLOAT
           : type == SL_COLLECTIVE_FLOAT64 ? MPI_DOUBLE
                                           : MPI_INT64_T;
}

static MPI_Op reduction_of(sl_collective_reduction reduction) {
    return reduction == SL_COLLECTIVE_SUM   ? MPI_SUM
           : reduction == SL_COLLECTIVE_MIN ? MPI_MIN
                                            : MPI_MAX;
}

/* The place of the next operation, or NULL when it is still taken. */
static MPI_Request *place_next(collective *c) {
    uint32_t at = (c->started + 1) % PENDING;
    return c->tickets[at] ? NULL : &c->requests[at];
}

static sl_err full(void) {
    return sl_fail(SL_ERR_AGAIN, "%d collective operations are under way", PENDING);
}

/* What follows the start of an operation at place_next(). */
static sl_err started(collective *c, int code, const char *what, sl_collective_ticket *ticket) {
    SL_TRY(sl_mpi_check(code, what));
    c->started++;
    c->pending++;
    c->tickets[c->started % PENDING] = c->started;
    *ticket = c->started;
    return SL_OK;
}

static sl_err mpi_allreduce(sl_collective *base, void *array, uint64_t count,
                            sl_collective_type type, sl_collective_reduction reduction,
                            sl_collective_ticket *ticket) {
    collective *c = (collective *)base;
    MPI_Request *request = place_next(c);
    if (!request)
        return full();
    int code = MPI_Iallreduce(MPI_IN_PLACE, array, (int)count, type_of(type),
                              reduction_of(reduction), c->comm, request);
    return started(c, code, "MPI_Iallreduce", ticket);
}

static sl_err mpi_broadcast(sl_collective *base, void *array, uint64_t count,
                            sl_collective_type type, uint32_t root, sl_collective_ticket *ticket) {
    collective *c = (collective *)base;
    MPI_Request *request = place_next(c);
    if (!request)
        return full();
    int code = MPI_Ibcast(array, (int)count, type_of(type), (int)root, c->comm, request);
    return started(c, code, "MPI_Ibcast", ticket);
}

static sl_err mpi_allgather(sl_collective *base, const void *part, void *array, uint64_t count,
                            sl_collective_type type, sl_collective_ticket *ticket) {
    collective *c = (collective *)base;
    MPI_Request *request = place_next(c);
    if (!request)
        return full();
    int code = MPI_Iallgather(part, (int)count, type_of(type), array, (int)count, type_of(type),
                              c->comm, request);
    return started(c, code, "MPI_Iallgather", ticket);
}

static sl_err mpi_barrier(sl_collective *base, sl_collective_ticket *ticket) {
    collective *c = (collective *)base;
    MPI_Request *request = place_next(c);
    if (!request)
        return full();
    return started(c, MPI_Ibarrier(c->comm, request), "MPI_Ibarrier", ticket);
}

static sl_err mpi_test(sl_collective *base, sl_collective_ticket ticket, bool *done) {
    collective *c = (collective *)base;
    uint32_t at = ticket % PENDING;
    int over = 0;
    if (!ticket || c->tickets[at] != ticket)
        return sl_fail(SL_ERR_NOT_FOUND, "no collective operation %llu is under way",
                       (unsigned long long)ticket);
    int code = MPI_Test(&c->requests[at], &over, MPI_STATUS_IGNORE);
    if (over || code != MPI_SUCCESS) {
        c->tickets[at] = 0;
        c->pending--;
    }
    SL_TRY(sl_mpi_check(code, "a collective operation"));
    *done = over;
    return SL_OK;
}

static void mpi_close(sl_collective *base) {
    collective *c = (collective *)base;
    if (c->pending)
        sl_debug("mpi", "collective closed with %u operations under way", c->pending);
    else
        MPI_Comm_free(&c->comm);
    free(c);
}

static const sl_collective_ops operations = {
    .name = "mpi",
    .allreduce = mpi_allreduce,
    .broadcast = mpi_broadcast,
    .allgather = mpi_allgather,
    .barrier = mpi_barrier,
    .test = mpi_test,
    .close = mpi_close,
};

/* The members' ranks as MPI takes them; refuses what is not ascending or leaves this rank out. */
static sl_err ranks_check(const sl_mpi *mpi, const uint32_t *members, uint32_t count, int *ranks) {
    bool included = false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = members ? members[i] : i;
        if (rank >= mpi->count || (i > 0 && (int)rank <= ranks[i - 1]))
            return sl_fail(SL_ERR_INVALID,
                           "member %u is rank %u: not ascending, or not of %u ranks", i, rank,
                           mpi->count);
        included |= rank == mpi->rank;
        ranks[i] = (int)rank;
    }
    return included ? SL_OK
                    : sl_fail(SL_ERR_INVALID, "rank %u is not among the members", mpi->rank);
}

static sl_err communicator_create(sl_mpi *mpi, const int *ranks, uint32_t count, uint32_t tag,
                                  MPI_Comm *comm) {
    MPI_Group all, members;
    SL_MPI_TRY(MPI_Comm_group(mpi->bulk, &all));
    int code = MPI_Group_incl(all, (int)count, ranks, &members);
    MPI_Group_free(&all);
    SL_TRY(sl_mpi_check(code, "MPI_Group_incl"));
    code = MPI_Comm_create_group(mpi->bulk, members, (int)tag, comm);
    MPI_Group_free(&members);
    SL_TRY(sl_mpi_check(code, "MPI_Comm_create_group"));
    return sl_mpi_check(MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN),
                        "MPI_Comm_set_errhandler");
}

static sl_err collective_create(MPI_Comm comm, sl_collective **out) {
    int self, count;
    SL_MPI_TRY(MPI_Comm_rank(comm, &self));
    SL_MPI_TRY(MPI_Comm_size(comm, &count));
    collective *c = calloc(1, sizeof *c);
    if (!c)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a collective of %d ranks", count);
    c->head = (sl_collective){&operations, (uint32_t)self, (uint32_t)count};
    c->comm = comm;
    *out = &c->head;
    return SL_OK;
}

sl_err sl_mpi_collective(sl_mpi *mpi, const uint32_t *members, uint32_t count, uint32_t tag,
                         sl_collective **out) {
    MPI_Comm comm;
    if (!members)
        count = mpi->count;
    if (count < 1 || count > mpi->count || tag > 32767)
        return sl_fail(SL_ERR_INVALID, "%u members of %u ranks, tag %u of at most 32767", count,
                       mpi->count, tag);
    int *ranks = malloc(count * sizeof *ranks);
    if (!ranks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u ranks", count);
    sl_err err = ranks_check(mpi, members, count, ranks);
    if (err == SL_OK)
        err = communicator_create(mpi, ranks, count, tag, &comm);
    free(ranks);
    return err == SL_OK ? collective_create(comm, out) : err;
}
