/* How long tasks take: measured per group of alike tasks, and how fast each node is.
 *
 * A group's mean and each node's speed are exponentially weighted (weight 1/8, the usual choice
 * since RFC 6298's smoothed round-trip time). A node's speed is what its runs took against the mean
 * of their group, so that nodes are compared on the same work. */
#ifndef SL_SCHEDULER_ESTIMATE_H
#define SL_SCHEDULER_ESTIMATE_H

#include "runtime/err.h"
#include "runtime/message.h"

typedef struct sl_group {
    char *name;
    uint32_t name_bytes;
    double mean_s; /* at speed 1 */
    uint64_t samples;
} sl_group;

typedef struct sl_estimates {
    sl_group *groups; /* 0: tasks without a group */
    uint32_t count;
    uint32_t capacity;
    uint32_t *table; /* hash by name, open addressing */
    uint32_t table_size;
    double *speed; /* by node; 1: not measured, or the network's mean */
    uint32_t nodes;
    uint32_t last; /* group looked up last: tasks of one submit are mostly alike */
} sl_estimates;

enum { SL_MAX_GROUPS = 65536 /* further names share group 0 */ };

sl_err sl_estimates_init(sl_estimates *estimates, uint32_t nodes) SL_CHECKED;
void sl_estimates_fini(sl_estimates *estimates);

/* The group of this name, made when new; 0 for the empty name, or when there are too many. */
uint32_t sl_estimates_group(sl_estimates *estimates, sl_text name);

/* Seconds a task of the group takes on a node; 0: nothing measured yet. */
double sl_estimate_s(const sl_estimates *estimates, uint32_t group, uint32_t node);

/* A run of `seconds` on a node ended well. */
void sl_estimates_learn(sl_estimates *estimates, uint32_t group, uint32_t node, double seconds);

#endif
