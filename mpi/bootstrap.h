/* Bootstrap: starts MPI (or joins a communicator the caller has), learns who the peers are, and
 * ends it.
 *
 * No type of MPI shows here, so that who wires a node needs no <mpi.h>. The network lives on
 * private duplicates of the communicator it is given: nothing is ever sent on the caller's own,
 * whose error handler stays as it was.
 *
 * Threads: the thread that calls sl_mpi_open() is the one that calls MPI from then on: the
 * transport, the collectives and sl_mpi_close() are used by it alone (MPI_THREAD_FUNNELED: it must
 * be the process's main thread; a caller that started MPI at SERIALIZED or above may use any one
 * thread).
 *
 * Process-wide effects: SIGPIPE, and where hydra started the ranks SIGUSR1, are ignored if their
 * action was the default (programs started later
 * should have it reset: POSIX_SPAWN_SETSIGDEF), and OMPI_MCA_btl_{vader,sm}_eager_limit are set in
 * the environment before MPI starts, unless they are set already. If sl_mpi_open() starts MPI,
 * errors on MPI_COMM_WORLD and MPI_COMM_SELF are returned; a caller that starts MPICH itself should
 * see to that too, or bulk data that fails ends the process. */
#ifndef SL_MPI_BOOTSTRAP_H
#define SL_MPI_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/collective.h"
#include "runtime/err.h"
#include "runtime/transport.h"

/* Bounds. Values out of range are refused with SL_ERR_INVALID. */
#define SL_MPI_DATA_MAX_BYTES   4096 /* of the data a rank tells every other at the start */
#define SL_MPI_HOST_BYTES       64   /* of a host's name, its end included; longer ones are cut */
#define SL_MPI_FRAME_MIN_BYTES  512
#define SL_MPI_FRAME_MAX_BYTES  (1024 * 1024)
#define SL_MPI_WINDOW_MAX       1024  /* frame buffers outstanding to one peer */
#define SL_MPI_RING_MAX         256   /* receives posted at once */
#define SL_MPI_BULK_MAX         16384 /* bulk transfers under way at one node; then SL_ERR_AGAIN */
#define SL_MPI_PAUSE_MAX_NS     60000000000ull
#define SL_MPI_GATHER_MAX_BYTES (1 << 24) /* of a rank's part */

#define SL_MPI_NONE UINT32_MAX /* no rank */

typedef struct sl_mpi sl_mpi;

/* Zeroed options mean the defaults; see each field. */
typedef struct sl_mpi_options {
    const void
        *communicator; /* const MPI_Comm *, an intracommunicator; NULL: all ranks of the job */
    const void *data;  /* told to every peer (their sl_mpi_facts.data); borrowed during open */
    size_t data_bytes; /* 0 … SL_MPI_DATA_MAX_BYTES */

    size_t frame_bytes; /* 0: 16 KiB or what MPI sends eagerly, if less; all ranks take the least */
    uint32_t window;    /* 0: 16 frame buffers outstanding to one peer */
    uint32_t receive_ring; /* 0: 16 receives posted */

    /* A node that MPI cannot wake (see transport_mpi.c) sleeps in pauses that grow from pause_min
     * up to pause_max since the last event, and to 5 x pause_max when there is next to no traffic
     * (pause.h). Where only bulk data goes through MPI, pause_bells bounds the sleep; where nothing
     * does, nothing. */
    uint64_t pause_min_ns;   /* 0: 50 µs */
    uint64_t pause_max_ns;   /* 0: 2 ms, a message then waits 1 ms in the mean, 5 ms after 10 s */
    uint64_t pause_bells_ns; /* 0: 20 ms */
    bool no_sharing; /* do without shared memory: every peer is reached through MPI, and polled for
                      */

    /* 0: all ranks of a host share memory; else groups of at most so many, which reach each other
     * as if they were on several hosts (tests). The same at all ranks. */
    uint32_t sharing_ranks;

    uint64_t
        large_bytes; /* 0: INT_MAX; bulk above it goes as a derived datatype (tests lower it) */

    bool thread_multiple; /* ask for MPI_THREAD_MULTIPLE (collectives on a thread of their own) */
    uint32_t finalize_timeout_s; /* 0: 5 s, then sl_mpi_close(clean) ends the process */
} sl_mpi_options;

/* What is known of a rank since the start. */
typedef struct sl_mpi_facts {
    uint32_t rank;
    uint32_t local_rank; /* among the network's ranks that share memory with it, 0 … local_size-1 */
    uint32_t local_size;
    uint32_t incarnation; /* random, told apart from a later process under the same rank */
    int64_t pid;
    char host[SL_MPI_HOST_BYTES]; /* gethostname(), unprintable bytes as '?' */
    const void *data; /* its options.data; 8-byte aligned; hostile: decode with bounds */
    size_t data_bytes;
} sl_mpi_facts;

/* True when a launcher (mpirun, srun with PMIx or PMI-2, hydra) started this process as one rank of
 * a job, by its environment alone. MPI itself is not touched. */
bool sl_mpi_launched(void);

/* May a thread of its own call MPI beside the program's? SL_ERR_INVALID when the program has
 * started MPI below MPI_THREAD_MULTIPLE; not started yet, it is that thread's alone. */
sl_err sl_mpi_may_share(void) SL_CHECKED;

/* Starts MPI if nobody has, and joins. Collective over the communicator: it returns when every rank
 * has called it. SL_ERR_INVALID for options out of range or MPI at too low a thread level,
 * SL_ERR_TRANSPORT when MPI fails (the cause has its words). Ranks may differ in their options: the
 * least frame_bytes holds for all, and one rank's no_sharing. */
sl_err sl_mpi_open(const sl_mpi_options *options, sl_mpi **mpi) SL_CHECKED;

uint32_t sl_mpi_rank(const sl_mpi *mpi);
uint32_t sl_mpi_count(const sl_mpi *mpi);

/* The facts of `rank`, or NULL when there is no such rank. Valid until sl_mpi_close(). */
const sl_mpi_facts *sl_mpi_peer(const sl_mpi *mpi, uint32_t rank);

/* The transport over these ranks. Close it (ops->close) before sl_mpi_close(), which otherwise does
 * so; NULL once it was closed. Its bulk_received() hands over a NULL blob when a transfer failed.
 */
sl_transport *sl_mpi_transport(sl_mpi *mpi);

/* Collective operations over `members` (ascending ranks that include this one; NULL: all).
 * Collective over the members, who give the same `tag` (0 … 32767; distinct for calls that overlap
 * in time); waits for them. Close it before sl_mpi_close(). */
sl_err sl_mpi_collective(sl_mpi *mpi, const uint32_t *members, uint32_t count, uint32_t tag,
                         sl_collective **collective) SL_CHECKED;

/* Something that every rank has for the first one. */
typedef struct sl_mpi_gathering {
    const void *part; /* this rank's; copied */
    size_t bytes;     /* of each part, the same at all: 0 … SL_MPI_GATHER_MAX_BYTES */
    /* A rank whose process is known to have ended is not waited for; another no longer than until
     * nothing came from anybody for so long. */
    uint64_t patience_ns;
    const bool *lost; /* by rank: not to be waited for at all; or NULL */

    void *all;  /* of the first rank: place for all parts, by rank */
    bool *here; /* … and for which of them came; or NULL */
    bool taken; /* out: this rank's came */
    bool whole; /* out: all came, and all ranks know */
} sl_mpi_gathering;

/* Gathers at the end of a network, where any rank may be dead or die just then: the first rank
 * takes what comes and answers all others, and each goes on when it knows. Every living rank calls
 * it; errors are for what failed here (SL_ERR_NO_MEMORY, SL_ERR_TRANSPORT, SL_ERR_TOO_LARGE). When
 * it was not whole the network is not clean. Ranks whose part is missing, and the first for a rank
 * whose own was not taken, are to count as lost from then on. */
sl_err sl_mpi_gather(sl_mpi *mpi, sl_mpi_gathering *gathering) SL_CHECKED;

/* A rank of this host whose process has ended, or SL_MPI_NONE: as far as the system tells. */
uint32_t sl_mpi_ended(const sl_mpi *mpi);

/* Leaves the network and frees `mpi` (NULL is allowed).
 * clean: every peer was alive when last heard of, and calls this too. Communicators are freed and,
 * if sl_mpi_open() started MPI, MPI is finalized. Should a peer have died meanwhile, or all that
 * take over finalize_timeout_s, a line is logged and the process ends by _exit(exit_code). Not
 * clean: MPI is not called again, what it may still write to is left allocated, and the caller ends
 * the process by _exit(). */
void sl_mpi_close(sl_mpi *mpi, bool clean, int exit_code);

#endif
