#include "mpi/internal.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"

enum { LINE_BYTES = 64 };

/* One bell to a cache line: a rank's part has room for a whole line wherever the part begins. MPI
 * maps whole pages, so that every process rounds to the same line. */
static sl_doorbell *on_line(void *part) {
    return (sl_doorbell *)(((uintptr_t)part + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1));
}

/* True when every rank of the host says `mine`. */
static bool agreed(MPI_Comm host, bool mine) {
    int ok = mine, all = 0;
    return MPI_Allreduce(&ok, &all, 1, MPI_INT, MPI_MIN, host) == MPI_SUCCESS && all;
}

static bool window_open(sl_mpi_bells *bells, MPI_Comm host) {
    void *part = NULL;
    int code =
        MPI_Win_allocate_shared(2 * LINE_BYTES, 1, MPI_INFO_NULL, host, &part, &bells->window);
    if (code == MPI_SUCCESS) {
        MPI_Win_set_errhandler(bells->window, MPI_ERRORS_RETURN);
        bells->own = on_line(part);
        sl_doorbell_init(bells->own);
    }
    /* Also the barrier after which every bell is initialised. */
    if (agreed(host, code == MPI_SUCCESS))
        return true;
    bells->window = MPI_WIN_NULL;
    bells->own = bells->alone;
    sl_warn("mpi", "no shared memory between the ranks of this host: polling instead of doorbells");
    return false;
}

static sl_err reach_host(sl_mpi_bells *bells, MPI_Comm host, const int *ranks, int local_size) {
    for (int i = 0; i < local_size; i++) {
        MPI_Aint bytes;
        int unit;
        void *part;
        SL_MPI_TRY(MPI_Win_shared_query(bells->window, i, &bytes, &unit, &part));
        if (bytes >= 2 * LINE_BYTES && !bells->of[ranks[i]]) {
            bells->of[ranks[i]] = on_line(part);
            bells->unreached--;
        }
    }
    (void)host;
    return SL_OK;
}

/* The network's rank of every rank of the host, into `ranks`. */
static sl_err translate(MPI_Comm network, MPI_Comm host, int *ranks, int local_size) {
    MPI_Group all, local;
    int *positions = malloc((size_t)local_size * sizeof *positions);
    if (!positions)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %d ranks of this host", local_size);
    for (int i = 0; i < local_size; i++)
        positions[i] = i;
    MPI_Comm_group(network, &all);
    MPI_Comm_group(host, &local);
    int code = MPI_Group_translate_ranks(local, local_size, positions, all, ranks);
    MPI_Group_free(&all);
    MPI_Group_free(&local);
    free(positions);
    return sl_mpi_check(code, "MPI_Group_translate_ranks");
}

static sl_err reach(sl_mpi_bells *bells, MPI_Comm network, MPI_Comm host, int local_size) {
    int *ranks = malloc((size_t)local_size * sizeof *ranks);
    if (!ranks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %d ranks of this host", local_size);
    sl_err err = translate(network, host, ranks, local_size);
    if (err == SL_OK)
        err = reach_host(bells, host, ranks, local_size);
    free(ranks);
    return err;
}

sl_err sl_mpi_bells_open(sl_mpi_bells *bells, MPI_Comm network, MPI_Comm host, bool shared) {
    int rank = 0, count = 1, local_size = 1;
    MPI_Comm_rank(network, &rank);
    MPI_Comm_size(network, &count);
    MPI_Comm_size(host, &local_size);
    *bells = (sl_mpi_bells){.window = MPI_WIN_NULL, .unreached = (uint32_t)count - 1};
    bells->of = calloc((size_t)count, sizeof(sl_doorbell *));
    bells->alone = aligned_alloc(LINE_BYTES, LINE_BYTES);
    if (!bells->of || !bells->alone)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the doorbells of %d ranks", count);
    sl_doorbell_init(bells->alone);
    bells->own = bells->alone;
    bool windowed = shared && local_size > 1 && window_open(bells, host);
    bells->of[rank] = bells->own;
    return windowed ? reach(bells, network, host, local_size) : SL_OK;
}

void sl_mpi_bells_close(sl_mpi_bells *bells, bool clean) {
    if (clean && bells->window != MPI_WIN_NULL)
        MPI_Win_free(&bells->window);
    free(bells->of);
    if (clean)
        free(bells->alone);
    bells->of = NULL;
    bells->own = bells->alone = NULL;
}
