/* The network as a scheduler sees it: each node's offer from the registry, what this scheduler has
 * placed there, and what is therefore left. The view may be stale: the executor has the last word.
 */
#ifndef SL_SCHEDULER_NODES_H
#define SL_SCHEDULER_NODES_H

#include "actors/registry/registry_msgs.h"
#include "actors/scheduler/task_table.h"

typedef struct sl_amounts {
    uint64_t cores;
    uint64_t gpus;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
} sl_amounts;

typedef struct sl_node_view {
    uint32_t node;
    uint8_t known;
    uint8_t usable;    /* alive, and not leaving */
    uint8_t joins;     /* it may become so: it comes back, or stands by for another */
    uint8_t contended; /* it refused us: what others hold there counts, until they hold nothing. Not
                          before: a view that lags behind our own ended tasks would take them for
                          others' */
    uint8_t blocked;   /* the window to it is full: nothing is placed until there is room */
    uint32_t region;   /* index in regions */
    char *host;        /* owned; NULL: it has no name. See sl_node_host() */
    sl_amounts offer;
    sl_amounts others; /* taken by other owners, as last heard */
    sl_amounts mine;   /* placed there by this scheduler and not ended, backlog included */
    uint32_t tasks;    /* of this scheduler, placed and not ended */
    uint64_t work_ns;  /* expected run time of them, times their cores */
    uint64_t refusals;
    uint64_t attempts;
    uint64_t retry_ns; /* after a refusal: nothing is placed there before */
    uint64_t told_ns;  /* when what it offers was so, at least: older news is worth less */
} sl_node_view;

typedef struct sl_node_views {
    sl_node_view *views; /* by node number */
    uint32_t count;
    uint32_t known; /* nodes heard of */
    char **regions; /* names; index 0: any */
    uint32_t region_count;
    uint64_t largest_ucu_milli;
    bool contended; /* some node has refused us: there are other owners, and news of them counts */
} sl_node_views;

enum { SL_MAX_REGIONS = 65535 };

sl_err sl_node_views_init(sl_node_views *nodes, uint32_t count) SL_CHECKED;
void sl_node_views_fini(sl_node_views *nodes);

/* The index of a region's name, made when new; 0 for the empty name. SL_ERR_TOO_LARGE when there
 * are too many. */
sl_err sl_node_views_region(sl_node_views *nodes, sl_text name, uint32_t *region) SL_CHECKED;

/* "" for one without a name. Valid until the node's view is updated. */
const char *sl_node_host(const sl_node_view *view);

/* Takes over what the registry says of a member, which was so at `told_ns` or later. True when the
 * node became, or ceased to be, usable. */
bool sl_node_views_update(sl_node_views *nodes, const registry_member *member, uint64_t told_ns);

/* Could the node ever run the task: is the offer large enough, the region right, and
 * the node among those that may? */
bool sl_node_fits_ever(const sl_node_view *view, const sl_task *task);

/* Could a task like this one start there now? As sl_node_slots() > 0, and cheaper. */
bool sl_node_fits_now(const sl_node_view *view, const sl_task *task);

/* How many tasks like this one could start there now: what is free divided by what one takes. */
uint64_t sl_node_slots(const sl_node_view *view, const sl_task *task);

/* Accounts a placement, and its end. */
void sl_node_place(sl_node_view *view, const sl_task *task);
void sl_node_release(sl_node_view *view, const sl_task *task);

/* A placed task waits for others, and leaves cores and UCU to them; and has them again. */
void sl_node_lend(sl_node_view *view, const sl_task *task);
void sl_node_recover(sl_node_view *view, const sl_task *task);

#endif
