/* Placement policies: given a task and the nodes it may run on, choose one.
 *
 * The scheduler applies the hard limits (alive, region, cores, GPUs, memory, UCU) and then asks the
 * policy, which sees features, not the scheduler: what it knows of the task, ten figures about each
 * candidate, and, after the attempt has ended, what the choice led to. A policy that learns fits
 * behind the same three calls. All calls come from the scheduler's loop thread; a policy must
 * decide in microseconds. */
#ifndef SL_SCHEDULER_POLICY_H
#define SL_SCHEDULER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"
#include "runtime/rng.h"

/* What is known of a task when it is placed. */
typedef struct sl_task_features {
    uint32_t cpus;
    uint32_t gpus;
    double memory_bytes;
    double ucu;
    double priority;
    double age_s;         /* since it was accepted */
    double expected_s;    /* measured mean of its group, over all nodes; 0: unknown */
    double timeout_s;     /* 0: none */
    double payload_bytes; /* to be sent to the node */
    uint32_t attempt;     /* from 1 */
    bool is_function;
} sl_task_features;

enum { SL_NODE_FEATURES = 10 };

/* A candidate. Each figure is oriented so that more is better. */
typedef struct sl_node_features {
    uint32_t node;
    double cores_free;  /* fraction of the offer not taken, by anybody as far as known */
    double gpus_free;   /* likewise; 1 when it offers none and none is asked */
    double memory_free; /* likewise */
    double ucu_free;    /* likewise */
    double ucu;         /* offer, as a fraction of the largest node's */
    double speed;       /* measured: 1 is the network's mean, 2 takes half the time */
    double soonness;    /* 1 / (1 + seconds until it could start) */
    double finish;      /* 1 / (1 + seconds until it would be done) */
    double nearness;    /* 1 this node, 0.75 its host, 0.5 its region, 0 elsewhere */
    double reliability; /* fraction of attempts there that neither were refused nor lost */
    double expected_wait_s;
    double expected_run_s;
    double
        view_age_s; /* of what is known of other owners' tasks there, at most; 0 where none are */
    double slots_free; /* tasks of this shape that would still fit, backlog included */
} sl_node_features;

/* What a placement led to. */
typedef struct sl_placement_outcome {
    double wait_s; /* from placement to start */
    double run_s;
    bool succeeded;
    bool refused;
} sl_placement_outcome;

typedef struct sl_policy sl_policy;

typedef struct sl_policy_ops {
    const char *name;
    sl_err (*create)(uint64_t seed, sl_policy **policy);
    /* Index of the candidate chosen among `count` (>= 1), its scores (higher won) in `scores`. */
    uint32_t (*choose)(sl_policy *policy, const sl_task_features *task,
                       const sl_node_features *candidates, uint32_t count, double *scores);
    /* The attempt placed with these features has ended. NULL: the policy does not learn from it. */
    void (*observe)(sl_policy *policy, const sl_task_features *task, const sl_node_features *node,
                    const sl_placement_outcome *outcome);
    void (*destroy)(sl_policy *policy);
} sl_policy_ops;

struct sl_policy {
    const sl_policy_ops *ops;
};

/* The policy of this name: "random", "least-loaded", "earliest-completion". SL_ERR_NOT_FOUND names
 * them. */
sl_err sl_policy_create(const char *name, uint64_t seed, sl_policy **policy) SL_CHECKED;

extern const sl_policy_ops sl_policy_random;
extern const sl_policy_ops sl_policy_least_loaded;
extern const sl_policy_ops sl_policy_earliest_completion;

#endif
