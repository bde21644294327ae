/* Collectives: operations in which all members of a group take part at once (reductions,
 * broadcasts).
 *
 * Nothing blocks: an operation is started, and test() says when it is done. Two stand behind this
 * interface: mpi (MPI_Iallreduce and its kin on a communicator of its own) and thread (members in
 * one process).
 *
 * Rules
 * - All members start the same operations, with the same count, type, operation and root, in the
 * same order. The thread implementation reports a difference as SL_ERR_INVALID; MPI need not notice
 * it.
 * - Buffers belong to the operation from start to done.
 * - One thread at a time uses a member object. Over MPI it is the thread that calls MPI (the loop),
 * or any one thread if MPI was opened with thread_multiple.
 * - Over MPI progress is made only inside calls: test() one operation under way every turn of the
 * loop.
 * - A member that dies leaves operations undone for ever: who hears of it closes the collective
 * (this abandons what is under way: its buffers must then live until the process ends) and makes
 * another.
 * - Sums of floating point are in the implementation's order; the thread one adds in order of rank.
 */
#ifndef SL_RUNTIME_COLLECTIVE_H
#define SL_RUNTIME_COLLECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

/* Operations of one member under way at once; start answers SL_ERR_AGAIN beyond. */
#define SL_COLLECTIVE_MAX_PENDING 64
/* Elements of one operation (of one member's part in an allgather); SL_ERR_TOO_LARGE beyond. */
#define SL_COLLECTIVE_MAX_COUNT   ((uint64_t)INT32_MAX)

typedef enum sl_collective_type {
    SL_COLLECTIVE_FLOAT32,
    SL_COLLECTIVE_FLOAT64,
    SL_COLLECTIVE_INT64,
    SL_COLLECTIVE_TYPES
} sl_collective_type;

typedef enum sl_collective_reduction {
    SL_COLLECTIVE_SUM,
    SL_COLLECTIVE_MIN,
    SL_COLLECTIVE_MAX,
    SL_COLLECTIVE_REDUCTIONS
} sl_collective_reduction;

typedef struct sl_collective sl_collective;

/* An operation under way. Tickets of one member are numbered from 1 in the order of their starts.
 */
typedef uint64_t sl_collective_ticket;

typedef struct sl_collective_ops {
    const char *name;
    sl_err (*allreduce)(sl_collective *, void *array, uint64_t count, sl_collective_type,
                        sl_collective_reduction, sl_collective_ticket *);
    sl_err (*broadcast)(sl_collective *, void *array, uint64_t count, sl_collective_type,
                        uint32_t root, sl_collective_ticket *);
    sl_err (*allgather)(sl_collective *, const void *part, void *array, uint64_t count,
                        sl_collective_type, sl_collective_ticket *);
    sl_err (*barrier)(sl_collective *, sl_collective_ticket *);
    sl_err (*test)(sl_collective *, sl_collective_ticket, bool *done);
    void (*close)(sl_collective *);
} sl_collective_ops;

/* The public head of every implementation's struct. */
struct sl_collective {
    const sl_collective_ops *ops;
    uint32_t self;  /* this member, 0 … count-1 */
    uint32_t count; /* members */
};

/* Replaces `array` at every member by the element-wise reduction over all members. */
sl_err sl_collective_allreduce(sl_collective *collective, void *array, uint64_t count,
                               sl_collective_type type, sl_collective_reduction reduction,
                               sl_collective_ticket *ticket) SL_CHECKED;

/* Replaces `array` at every member by the root's. SL_ERR_INVALID when there is no such member. */
sl_err sl_collective_broadcast(sl_collective *collective, void *array, uint64_t count,
                               sl_collective_type type, uint32_t root,
                               sl_collective_ticket *ticket) SL_CHECKED;

/* Fills `array` (members × count elements) with every member's `part` (count elements) in order of
 * rank. */
sl_err sl_collective_allgather(sl_collective *collective, const void *part, void *array,
                               uint64_t count, sl_collective_type type,
                               sl_collective_ticket *ticket) SL_CHECKED;

/* Done when every member has started it. */
sl_err sl_collective_barrier(sl_collective *collective, sl_collective_ticket *ticket) SL_CHECKED;

/* Whether `ticket` is done; never waits. An error means that the operation failed and is over; a
 * ticket seen done, or never given, is SL_ERR_NOT_FOUND. */
sl_err sl_collective_test(sl_collective *collective, sl_collective_ticket ticket,
                          bool *done) SL_CHECKED;

/* Frees the member (NULL is allowed). Over MPI with operations done it is collective over the
 * members; with some under way it only forgets (see above). */
void sl_collective_close(sl_collective *collective);

/* Bytes of one element, 0 for a type out of range. */
size_t sl_collective_type_bytes(sl_collective_type type);

/* The members of a group in this process, `count` (1 … 4096) of them into `members`; each is closed
 * by its own thread. A member closed with operations under way fails them for all (SL_ERR_CLOSED).
 */
sl_err sl_collective_thread_create(uint32_t count, sl_collective **members) SL_CHECKED;

#endif
