/* The executor actor: runs the attempts that schedulers assign to its node, within what the node
 * offers.
 *
 * Each attempt is granted its cores, GPUs, memory and UCU before it starts and gives them back when
 * it has ended; granted <= offered at every moment. Commands are processes (minder.h). Functions
 * run on the pool, several of one kind in a row under one grant when they are short; functions
 * measured to be very short run on the loop itself.
 *
 * Attempts start in the order they came. What cannot start at once waits here if this node's
 * attempts are short (the sender counted on that), and is refused otherwise, so that it is placed
 * elsewhere. */
#ifndef SL_EXECUTOR_EXECUTOR_H
#define SL_EXECUTOR_EXECUTOR_H

#include "actors/executor/commands.h"
#include "actors/executor/functions.h"
#include "actors/executor/grant.h"
#include "runtime/actor.h"
#include "runtime/pool.h"
#include "runtime/trace.h"

/* Everything is borrowed and outlives the actor, but `offer`, which is copied. */
typedef struct sl_executor_options {
    sl_grant_offer offer;
    const char *const
        *gpu_ids; /* offer.gpu_count words for CUDA_VISIBLE_DEVICES; NULL: no GPU is managed */
    const sl_functions *functions;  /* frozen; NULL: function tasks cannot start */
    sl_minder *minder;              /* NULL: command tasks cannot start, unless … */
    const sl_command_ops *commands; /* … these run them; NULL: the minder's */
    void *commands_context;
    sl_pool *pool;          /* for functions */
    uint64_t kill_grace_ns; /* from SIGTERM to SIGKILL */
    uint64_t keep_bytes;    /* a function's result of so many bytes may stay here */
    uint64_t row_ns;        /* a row that lasts so long is split; 0: 50 ms */
    bool bind;              /* commands run on the cores they were granted */
    sl_trace_lane *trace;   /* NULL: no spans */
} sl_executor_options;

/* Spawned at SL_SLOT_EXECUTOR with an sl_executor_options as argument. */
extern const sl_actor_class sl_executor_class;

#endif
