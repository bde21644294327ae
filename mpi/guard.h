/* Keeps srun and MPICH's hydra from ending a job because one of its ranks has died.
 *
 * Slurm's PMIx plug-in kills the whole step when it loses the connection to a rank that has not
 * taken its leave. The guard is the step's task: it starts the rank as its child, and holds a
 * duplicate of the child's connection to PMIx, which therefore does not end with the child. hydra
 * kills the ranks of a host of which one was killed: there it is enough that the process hydra
 * started is not the one that was killed. */
#ifndef SL_MPI_GUARD_H
#define SL_MPI_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

/* hydra sends it to all other ranks when one dies. */
#define SL_MPI_GUARD_NOTICE SIGUSR1

/* Runs `command` (ends with NULL) as a child, passes signals on to it, and waits until it has ended
 * and the guard is not needed any more: when the child took leave of PMIx, or never spoke to it, at
 * once; else when SIGTERM comes. `*code` is the child's exit code, 128 + its signal if that ended
 * it. Where the connection cannot be duplicated it says so, and guards nothing. For a process of
 * one thread; SIGUSR1 is ignored afterwards. SL_ERR_NOT_FOUND: the command cannot be started. */
sl_err sl_mpi_guard(const char *const *command, int *code) SL_CHECKED;

/* The address in a PMIX_SERVER_URI ("…;tcp4://127.0.0.1:4711"), as /proc/net/tcp writes it
 * ("0100007F:1267"); false: it is none, or not IPv4. Pure. */
bool sl_mpi_guard_address(const char *uri, char address[14]);

/* The inode of a connection to `address` in a line of /proc/net/tcp; 0: it is another. Pure. */
uint64_t sl_mpi_guard_inode(const char *line, const char *address);

#endif
