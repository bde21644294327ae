/* The scheduler actor: owns the tasks submitted at its node until their results are delivered.
 *
 * submit -> ledger: accepted -> priority queue (after its dependencies) -> policy -> executor of
 * the chosen node -> result -> ledger -> done, told to the submitter. It knows the network from the
 * registry of its node; the view may be stale, so an executor may refuse, and the task is placed
 * again. */
#ifndef SL_SCHEDULER_SCHEDULER_H
#define SL_SCHEDULER_SCHEDULER_H

#include "actors/scheduler/ledger.h"
#include "runtime/actor.h"
#include "runtime/trace.h"

typedef struct sl_scheduler_options {
    sl_ledger *ledger;  /* borrowed, outlives the actor; NULL: nothing is written down */
    const char *policy; /* borrowed until start; NULL: "earliest-completion" */
    uint64_t seed;
    double
        end_s; /* wall clock at which the job ends; 0: unknown. No task starts that could not end */
    double margin_s;      /* this long before */
    sl_trace_lane *trace; /* borrowed; NULL: no spans */
    bool explain;         /* write why each task went where it went */
} sl_scheduler_options;

/* Spawned at SL_SLOT_SCHEDULER with an sl_scheduler_options as argument. */
extern const sl_actor_class sl_scheduler_class;

#endif
