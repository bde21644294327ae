/* A node: one loop thread that runs actors, fires timers and polls the transport. */
#ifndef SL_RUNTIME_NODE_H
#define SL_RUNTIME_NODE_H

#include "runtime/actor.h"
#include "runtime/transport.h"

typedef struct sl_node_options {
    sl_transport *transport; /* taken over: closed by sl_node_destroy */
    const sl_clock *clock;   /* borrowed; NULL: the machine's */
    sl_metrics *metrics;     /* borrowed; NULL: the node makes its own */
    uint64_t seed;           /* of sl_node_rng */
    uint32_t incarnation;    /* tells this life of the node from an earlier one: higher than any it
                                had. It grows as links are lost: leave room */
    bool rejoins; /* peers may know an earlier life of this node: its links open by calling them */
    uint32_t mailbox_limit; /* data messages an actor may have waiting; 0: 65,536 */
    /* The same at all nodes of a network: a peer that goes beyond them is dropped. */
    uint64_t window_bytes; /* unhandled data of one peer, at least 4 frames; 0: 1 MiB */
    uint64_t
        blob_window_bytes;     /* unhandled bulk bytes of one peer, one message always; 0: 64 MiB */
    uint64_t spin_ns;          /* how long an idle loop polls before it sleeps */
    uint64_t idle_max_ns;      /* longest sleep; 0: 1 s */
    uint64_t close_timeout_ns; /* wait for the peers' goodbyes; 0: 10 s */
} sl_node_options;

sl_err sl_node_create(const sl_node_options *options, sl_node **node) SL_CHECKED;

/* Starts a root actor: at a well-known slot (below SL_SLOT_FIRST_FREE, generation 0), or anywhere
 * with slot SL_SLOT_FIRST_FREE. Before the loop runs, or on its thread. */
sl_err sl_node_spawn(sl_node *node, uint32_t slot, const sl_actor_class *actor_class,
                     const void *arguments, size_t argument_bytes, sl_addr *actor) SL_CHECKED;

/* Sends from outside any actor, on the loop thread (or before it runs). Errors as sl_send. */
sl_err sl_node_send(sl_node *node, sl_addr to, const sl_message_type *type, const void *body);

/* Runs the loop on this thread until the node was told to stop, its actors are stopped, every live
 * peer has said goodbye and everything has left. SL_ERR_TIMEOUT names the peers that did not
 * answer; the error of a root actor that failed for good otherwise. `code` (may be NULL): what
 * node_stop carried. */
sl_err sl_node_run(sl_node *node, uint32_t *code);

/* True on a thread that is inside sl_node_run(): what waits there waits for itself. */
bool sl_node_runs_here(void);

/* One turn of the loop: true when anything was done. For tests and the simulator. */
bool sl_node_turn(sl_node *node);

/* For who turns the loop: how long it may rest unless something comes for it (0: it has work,
 * UINT64_MAX: for ever); and whether it has come to its end, with what sl_node_run() would say. */
uint64_t sl_node_rest_ns(const sl_node *node);
bool sl_node_closed(const sl_node *node, sl_err *err, uint32_t *code);

/* Tells this node to stop with `code`. Any thread. */
void sl_node_stop(sl_node *node, uint32_t code);

/* Gives the link to `peer` up: nothing that was sent on it is accepted any more, by either, and
 * every actor that asked by sl_node_watch_peers gets node_peer_lost. When something is heard from
 * the peer again the two open a new link, and node_peer_back tells of it. Loop thread. */
void sl_node_peer_lost(sl_node *node, uint32_t peer);
void sl_node_watch_peers(sl_node *node, sl_addr actor);
bool sl_node_peer_alive(const sl_node *node, uint32_t peer);

/* As sl_node_peer_lost(), and for good: nothing of it is heard any more. */
void sl_node_peer_gone(sl_node *node, uint32_t peer);
bool sl_node_peer_is_gone(const sl_node *node, uint32_t peer);

/* Its process has ended, for certain: as sl_node_peer_gone(), but where the transport may bring
 * another process of its number (sl_transport.replaces). */
void sl_node_peer_ended(sl_node *node, uint32_t peer);

/* Calls a peer whose link is lost, and not for good: should both have given each other up, one must
 * speak first. Of regular calls fewer and fewer are made. */
void sl_node_call_peer(sl_node *node, uint32_t peer);

/* The newest incarnation of this node. */
uint32_t sl_node_incarnation(const sl_node *node);

/* While `peer` is held, what is sent to it waits here, within the windows (then SL_ERR_AGAIN), and
 * leaves when it is held no more. With its link all that is dropped. Loop thread, as those below.
 */
void sl_node_peer_hold(sl_node *node, uint32_t peer, bool hold);
bool sl_node_peer_held(const sl_node *node, uint32_t peer);

/* Asks `peer` for a sign of life, also while it is held: a frame without messages, which its loop
 * answers at once with another. */
void sl_node_peer_ask(sl_node *node, uint32_t peer);

/* How many frames have come from `peer` in this life of the link: when that grows, its loop runs.
 * `*ago_ns`: how long ago the last one was taken, to a millisecond; after 65 s that begins at 0
 * again. */
uint64_t sl_node_peer_frames(const sl_node *node, uint32_t peer, uint64_t *ago_ns);

/* True when no actor has a message waiting and nothing is queued to leave. Loop thread. */
bool sl_node_quiet(const sl_node *node);

/* Actors alive, messages waiting, and bytes queued to other nodes: for tests and metrics. */
typedef struct sl_node_load {
    uint64_t actors;
    uint64_t messages;
    uint64_t queued_bytes;
    uint64_t memory_bytes; /* of envelopes and small states, high-water */
} sl_node_load;
sl_node_load sl_node_loads(const sl_node *node);

/* Ends its actors as they are, and says nothing to others; what its threads still use stays until
 * it is destroyed. The loop must not be running, nor run again. */
void sl_node_abandon(sl_node *node);

/* Frees everything; the loop must not be running. */
void sl_node_destroy(sl_node *node);

#endif
