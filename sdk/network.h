/* A network as one process sees it: its node (with MPI), or all nodes (threads of this process).
 *
 *   open -> start (nodes and their actors) -> loop (until the network is stopped) -> finish ->
 * close
 *
 * Every step is made by the same thread; with MPI by every rank. */
#ifndef SL_SDK_NETWORK_H
#define SL_SDK_NETWORK_H

#include <pthread.h>

#include "actors/executor/executor.h"
#include "actors/registry/location.h"
#include "actors/registry/offer.h"
#include "actors/registry/registry_msgs.h"
#include "actors/registry/spec.h"
#include "actors/registry/timing.h"
#include "actors/registry/ucu.h"
#include "actors/scheduler/ledger.h"
#include "actors/roster/roster.h"
#include "actors/store/store.h"
#include "mpi/bootstrap.h"
#include "mpi/topology_file.h"
#include "runtime/config.h"
#include "runtime/node.h"
#include "runtime/trace.h"
#include "starlane.h"

/* One node of this process. */
typedef struct sl_network_node {
    sl_network *network;
    uint32_t rank;
    uint32_t incarnation;
    sl_location location;
    char location_source[256];
    sl_offer offer;
    char *description;       /* JSON, what `starlane topo --json` shows of it */
    sl_transport *transport; /* until the node has it */

    /* from start to finish */
    sl_metrics *metrics;
    sl_trace *trace; /* NULL: not wanted */
    sl_trace_lane *lane;
    sl_grant_core *grant_cores;
    const char **gpu_ids;
    sl_minder *minder;
    sl_pool *pool;
    sl_node *node;
    sl_store *store;
    sl_roster *roster;

    /* of its loop */
    pthread_t thread;
    bool threaded;
    uint32_t code;
    sl_err err;
    char detail[256];
} sl_network_node;

/* What sl_network_stop() tells the stopper, once: from any thread, so under a lock. */
typedef struct sl_network_ending {
    sl_event event;
    pthread_mutex_t lock;
    bool serving; /* the first node's loop runs, or is about to */
    bool asked;
    bool told;
    uint32_t code;
} sl_network_ending;

struct sl_network {
    const sl_config *config; /* borrowed */
    sl_mpi *mpi;             /* NULL: the nodes are threads */
    uint32_t count;          /* nodes in all */
    uint32_t local_count;    /* of them in this process: count, or 1 */
    sl_network_node *nodes;  /* local_count of them, ascending */
    sl_hardware hardware;
    sl_ucu ucu;
    sl_spec *spec;              /* or NULL */
    sl_topology_file *topology; /* or NULL */
    sl_link_timings timings;
    bool *is_spare; /* by rank; NULL: none is */
    const sl_functions *functions;
    struct sl_network_keys *keys; /* NULL: no identity */
    uint64_t seed;
    sl_collective *agreeing; /* of all ranks; NULL without MPI */
    bool *lost;              /* by rank: those that this one has heard to be */
    sl_network_ending ending;
    struct sl_gateway_place *gateway; /* of the process with node 0, if it listens; or NULL */
    bool stays;                       /* for clients from outside, who may be let end it */
    bool used;                        /* started once */
    bool drives;                      /* a run, whose end `starlane launch` has not been told */
    bool clean;                       /* no node has failed */
    bool stuck; /* something runs that cannot be waited for: nodes are left as they are */
};

/* What a start needs besides the options. Borrowed until finish. */
typedef struct sl_network_setup {
    const sl_actor_class *driver; /* spawned at SL_SLOT_DRIVER of this process's first node; NULL */
    const void *driver_argument;
    size_t driver_argument_bytes;
    struct sl_client *client; /* there are user actors, and this is how the program speaks to them;
                                 NULL: there are none */
    sl_ledger *ledger;        /* of the first node's scheduler; NULL */
    double end_s;             /* see sl_scheduler_options */
    double margin_s;
} sl_network_setup;

/* Node `rank` is lost, says one of ours: the network is not clean any more. */
void sl_network_lose(sl_network *network, uint32_t rank);

/* … and is back: what it has is worth waiting for again. The network stays as it is. */
void sl_network_regain(sl_network *network, uint32_t rank);

/* The network that this process's nodes belong to, from start to finish; of several the first.
 * NULL: there is none. Any thread. */
sl_network *sl_network_here(void);

/* Its node `rank`, if it is one of this process; else NULL. */
sl_network_node *sl_network_node_here(uint32_t rank);

/* True in the process that has node 0. */
bool sl_network_leads(const sl_network *network);

/* Makes the nodes and their actors. On an error nothing is left started. */
sl_err sl_network_start(sl_network *network, const sl_network_setup *setup) SL_CHECKED;

/* Runs the loops until the network is stopped. The first error of a node; `code` is set anyway. */
sl_err sl_network_loop(sl_network *network, uint32_t *code) SL_CHECKED;

/* Ends the nodes and frees what start made. Writes traces and metrics if they are wanted. */
void sl_network_finish(sl_network *network);

/* ---- for the files of the network alone ---- */

/* network_place.c: what this process may use, and each node's place and share. */
sl_err sl_network_discover(sl_network *network) SL_CHECKED;
sl_err sl_network_place(sl_network *network) SL_CHECKED;
/* What `rank`, one of this host that is no spare, offers. */
sl_err sl_network_offer(const sl_network *network, uint32_t rank, sl_offer *offer) SL_CHECKED;

/* network_spares.c. Chooses the ranks that stand by: the last of each host, one host after another,
 * as many as are asked for. INVALID: there are not so many. */
sl_err sl_network_spares(sl_network *network) SL_CHECKED;
bool sl_network_is_spare(const sl_network *network, uint32_t rank);
bool sl_network_same_host(const sl_network *network, uint32_t a, uint32_t b);
/* The choice itself, by the first rank of each rank's host. Returns how many were marked. Pure. */
uint32_t sl_spares_mark(const uint32_t *host, uint32_t count, uint32_t spares, bool *is_spare);

/* spare.c: the actor of a rank that stands by; its argument is an sl_network_node *. */
extern const sl_actor_class sl_spare_class;

/* network_keys.c: the identity of this process's nodes, when the option `keys` names one. One
 * network of a process may have one at a time. */
sl_err sl_network_keys_open(sl_network *network) SL_CHECKED;
void sl_network_keys_close(sl_network *network);

/* network_node.c */
sl_err sl_network_node_start(sl_network_node *node, const sl_network_setup *setup) SL_CHECKED;
void sl_network_node_finish(sl_network_node *node);
/* Its pool and executor, for what of->offer says. On the loop's thread, once it runs. */
sl_err sl_network_node_serve(sl_network_node *node) SL_CHECKED;
registry_offer sl_network_node_offer(const sl_network_node *node);

/* network_records.c: traces and metrics, at the end, of the ranks that live. */
void sl_network_write_records(sl_network *network);

/* ---- agreement, between open and start (network_agree.c). SL_ERR_DEAD when a rank of this host
 * has died: the network is not clean then. ---- */

/* Replaces `bytes` of `data` by the first rank's. `bytes` is the same at all. */
sl_err sl_network_share(sl_network *network, void *data, size_t bytes) SL_CHECKED;

/* SL_OK when every rank says so; else this rank's own error, or SL_ERR_FAILED naming the rank. */
sl_err sl_network_agree(sl_network *network, sl_err mine) SL_CHECKED;

#endif
