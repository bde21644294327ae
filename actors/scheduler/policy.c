#include "actors/scheduler/policy.h"

#include <stdlib.h>
#include <string.h>

static const sl_policy_ops *const policies[] = {&sl_policy_random, &sl_policy_least_loaded,
                                                &sl_policy_earliest_completion};

sl_err sl_policy_create(const char *name, uint64_t seed, sl_policy **policy) {
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        if (strcmp(policies[i]->name, name) == 0)
            return policies[i]->create(seed, policy);
    }
    return sl_fail(SL_ERR_NOT_FOUND,
                   "no placement policy is called \"%s\"; there are random, least-loaded and "
                   "earliest-completion",
                   name);
}

/* None of the three learns from outcomes by itself (observe is NULL): what they use of measured
 * times comes in the features. */
typedef struct seeded_policy {
    sl_policy base;
    sl_rng rng;
} seeded_policy;

static sl_err create(const sl_policy_ops *ops, uint64_t seed, sl_policy **out) {
    seeded_policy *policy = calloc(1, sizeof *policy);
    if (!policy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a policy");
    policy->base.ops = ops;
    sl_rng_seed(&policy->rng, seed);
    *out = &policy->base;
    return SL_OK;
}

static void destroy(sl_policy *policy) {
    free(policy);
}

/* The highest score; the first of equals. */
static uint32_t best(const double *scores, uint32_t count) {
    uint32_t chosen = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (scores[i] > scores[chosen])
            chosen = i;
    }
    return chosen;
}

/* ---- random: uniform over the candidates ---- */

static sl_err random_create(uint64_t seed, sl_policy **policy) {
    return create(&sl_policy_random, seed, policy);
}

static uint32_t random_choose(sl_policy *policy, const sl_task_features *task,
                              const sl_node_features *candidates, uint32_t count, double *scores) {
    (void)task, (void)candidates;
    for (uint32_t i = 0; i < count; i++)
        scores[i] = 0;
    uint32_t chosen = (uint32_t)sl_rng_below(&((seeded_policy *)policy)->rng, count);
    scores[chosen] = 1;
    return chosen;
}

const sl_policy_ops sl_policy_random = {"random", random_create, random_choose, NULL, destroy};

/* ---- least loaded: most of its offer free, by the scarcest of what the task asks for ---- */

static sl_err least_loaded_create(uint64_t seed, sl_policy **policy) {
    return create(&sl_policy_least_loaded, seed, policy);
}

static double scarcest(const sl_task_features *task, const sl_node_features *node) {
    double least = node->cores_free;
    if (task->memory_bytes > 0 && node->memory_free < least)
        least = node->memory_free;
    if (task->gpus && node->gpus_free < least)
        least = node->gpus_free;
    if (task->ucu > 0 && node->ucu_free < least)
        least = node->ucu_free;
    return least;
}

/* Where other owners take and give back too, what is free by old news may be taken since, and
 * what is taken be free: it tends to what nothing is known of. Loads change in about a second. */
static double sureness(const sl_node_features *node) {
    return 1 / (1 + node->view_age_s);
}

static uint32_t least_loaded_choose(sl_policy *policy, const sl_task_features *task,
                                    const sl_node_features *candidates, uint32_t count,
                                    double *scores) {
    (void)policy;
    for (uint32_t i = 0; i < count; i++) /* where nothing is free, the shorter backlog goes first */
        scores[i] = scarcest(task, &candidates[i]) * sureness(&candidates[i]) -
                    candidates[i].expected_wait_s * 1e-6 + candidates[i].slots_free * 1e-9;
    return best(scores, count);
}

const sl_policy_ops sl_policy_least_loaded = {"least-loaded", least_loaded_create,
                                              least_loaded_choose, NULL, destroy};

/* ---- earliest completion: wait for a free slot plus run time at the node's measured speed, as in
 * the processor selection of HEFT (Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002) ---- */

static sl_err earliest_create(uint64_t seed, sl_policy **policy) {
    return create(&sl_policy_earliest_completion, seed, policy);
}

static uint32_t earliest_choose(sl_policy *policy, const sl_task_features *task,
                                const sl_node_features *candidates, uint32_t count,
                                double *scores) {
    (void)policy;
    for (uint32_t i = 0; i < count; i++) /* among equals, the one with most room */
        scores[i] = -(candidates[i].expected_wait_s + candidates[i].expected_run_s) +
                    1e-9 * scarcest(task, &candidates[i]) * sureness(&candidates[i]);
    return best(scores, count);
}

const sl_policy_ops sl_policy_earliest_completion = {"earliest-completion", earliest_create,
                                                     earliest_choose, NULL, destroy};
