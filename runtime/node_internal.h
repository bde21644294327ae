/* The inside of a node, shared by node.c, actors.c, mailbox.c, waiters.c, supervisor.c and
 * channel*.c alone. */
#ifndef SL_RUNTIME_NODE_INTERNAL_H
#define SL_RUNTIME_NODE_INTERNAL_H

#include <stdatomic.h>

#include "runtime/channel.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/record.h"
#include "runtime/runtime_msgs.h"
#include "runtime/slab.h"
#include "runtime/timer.h"

/* A message waiting in a mailbox. The body lies behind it, or behind its bulk note. */
typedef struct sl_envelope {
    struct sl_envelope *next;
    const sl_message_type *type;
    sl_addr from;
    uint32_t bytes;       /* of this allocation */
    uint32_t credit;      /* wire bytes to give back to from.node's channel; 0 for local ones */
    uint16_t pending;     /* bulk transfers still to come; nothing behind it is delivered before */
    uint8_t dropped : 1;  /* not to be delivered */
    uint8_t hollow : 1;   /* its body has not come, or did not decode */
    uint8_t has_note : 1; /* an sl_bulk_note follows */
} sl_envelope;

/* What else there is to know of a message that bulk data may belong to. */
typedef struct sl_bulk_note {
    void *body_apart; /* malloc'ed: the body itself came as bulk data */
    uint64_t credit;  /* bulk bytes to give back */
    uint32_t to_slot; /* whose mailbox it is in */
    uint32_t to_generation;
} sl_bulk_note;

_Static_assert(sizeof(sl_envelope) == 40, "with a body of up to 24 bytes it takes 64");

static inline sl_bulk_note *sl_envelope_note(sl_envelope *envelope) {
    return (sl_bulk_note *)(envelope + 1);
}

static inline void *sl_envelope_body(sl_envelope *envelope) {
    if (!envelope->has_note)
        return envelope + 1;
    sl_bulk_note *note = sl_envelope_note(envelope);
    return note->body_apart ? note->body_apart : note + 1;
}

typedef struct sl_queue {
    sl_envelope *head;
    sl_envelope *tail;
} sl_queue;

enum sl_actor_flags {
    SL_ACTOR_ALIVE = 1,
    SL_ACTOR_URGENT = 2,   /* in node->urgent */
    SL_ACTOR_READY = 4,    /* in node->ready */
    SL_ACTOR_STOPPING = 8, /* stops when the running receive returns */
    SL_ACTOR_AWAITED = 16, /* somebody waits for room in its mailbox */
    SL_ACTOR_ENTERED = 32  /* its start or stop function runs */
};

/* Kept for actors that may restart or were given arguments. */
typedef struct sl_supervision {
    void *arguments;
    size_t argument_bytes;
    uint64_t window_start_ns;
    uint32_t restarts;
} sl_supervision;

struct sl_actor {
    const sl_actor_class *actor_class;
    void *state;
    sl_node *node;
    sl_queue mailbox[SL_LANES]; /* local messages go with the control lane */
    sl_actor *next_urgent;
    sl_actor *next_ready; /* also links free slots */
    sl_supervision *supervision;
    uint32_t slot;
    uint32_t generation;
    uint32_t parent_slot; /* UINT32_MAX: a root */
    uint32_t parent_generation;
    uint32_t waiting; /* data messages in the mailbox */
    uint32_t flags;
};

typedef struct sl_run_queue {
    sl_actor *head;
    sl_actor *tail;
} sl_run_queue;

typedef struct sl_waiter {
    sl_addr at;
    sl_addr who;
} sl_waiter;

enum { SL_ACTOR_CHUNK = 64, SL_POLL_BUDGET = 64, SL_ENOUGH_MESSAGES = 512 };

typedef enum sl_node_phase { SL_NODE_RUNNING, SL_NODE_CLOSING, SL_NODE_CLOSED } sl_node_phase;

struct sl_node {
    sl_transport *transport;
    const sl_clock *clock;
    sl_metrics *metrics;
    sl_slab slab;
    uint32_t id;
    uint32_t incarnation; /* the newest; links keep that of their beginning */

    sl_actor **chunks; /* of SL_ACTOR_CHUNK actors; room for a power of two of them */
    uint32_t chunk_count;
    sl_actor *free_slots;
    uint64_t actors_alive;
    uint64_t messages_waiting;
    sl_run_queue urgent; /* actors with control or local messages */
    sl_run_queue ready;  /* actors with data messages */
    sl_actor *running;

    sl_waiter *waiters;
    uint32_t waiter_count;
    uint32_t waiter_capacity;
    sl_addr *peer_watchers;
    uint32_t peer_watcher_count;

    sl_timers timers;
    sl_channels channels;
    _Atomic(sl_event *) events;
    _Atomic uint32_t stop_requested; /* 1 + code */

    sl_node_options options;
    sl_metrics *own_metrics;
    sl_rng rng;
    sl_node_phase phase;
    uint32_t code;
    sl_err failure;
    uint64_t close_deadline_ns;
    uint64_t idle_since_ns; /* 0: the last turn did something */
    uint64_t polled_ns;     /* when this turn took its first frame; 0: it took none */
    uint32_t turns;         /* that ran actors */
    bool slow;              /* messages of the last timed turn took long: see mailbox.c */
};

static inline uint64_t sl_node_now_ns(const sl_node *node) {
    return node->clock->now_ns(node->clock);
}

/* The live actor at an address of this node, or NULL. */
static inline sl_actor *sl_actor_find(const sl_node *node, sl_addr at) {
    uint32_t chunk = at.slot / SL_ACTOR_CHUNK;
    if (chunk >= node->chunk_count)
        return NULL;
    sl_actor *actor = &node->chunks[chunk][at.slot % SL_ACTOR_CHUNK];
    return (actor->flags & SL_ACTOR_ALIVE) && actor->generation == at.generation ? actor : NULL;
}

static inline uint32_t sl_mailbox_limit(const sl_actor *actor) {
    uint32_t limit = actor->actor_class->mailbox_limit;
    return limit ? limit : actor->node->options.mailbox_limit;
}

/* mailbox.c */
sl_envelope *sl_envelope_take(sl_node *node, const sl_message_type *type, sl_addr from,
                              size_t body_bytes, bool with_note);
void sl_envelope_free(sl_node *node, sl_envelope *envelope);
void sl_mailbox_put(sl_actor *actor, sl_envelope *envelope);
/* A flat message from another node, in one go; false when out of memory. */
bool sl_mailbox_put_flat(sl_actor *actor, const sl_message_type *type, sl_addr from,
                         uint32_t credit, const void *body);
void sl_mailbox_drop_all(sl_actor *actor);
/* The link to a peer is lost: what it has sent and no actor has handled yet is not to be delivered
 * (some of it may be missing, and all of it is of a life that is over), and its credit is nobody's.
 */
void sl_mailboxes_forget(sl_node *node, uint32_t peer);
void sl_actor_schedule(sl_actor *actor);
/* The node's own word to an actor: a timer, an event, room, a peer that is lost. An actor that
 * never hears it may wait for ever: without memory for it the node ends. SL_ERR_DEAD: nobody there.
 */
sl_err sl_node_tell(sl_node *node, sl_addr to, const sl_message_type *type, const void *body);

sl_err sl_deliver_local(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                        const void *body);
bool sl_run_actors(sl_node *node);

/* waiters.c */
void sl_waiters_tell(sl_node *node, sl_addr at);
void sl_waiters_tell_node(sl_node *node, uint32_t peer);
void sl_waiters_check(sl_actor *actor);

/* actors.c */
sl_err sl_actor_create(sl_node *node, uint32_t slot, const sl_actor *parent,
                       const sl_actor_class *actor_class, const void *arguments,
                       size_t argument_bytes, sl_addr *address);
void sl_actor_end(sl_actor *actor);
void sl_actor_unqueued(sl_actor *actor);
sl_err sl_actor_start(sl_actor *actor);
void sl_actor_leave(sl_actor *actor);
void sl_actors_destroy(sl_node *node);

/* node.c */
void sl_node_tell_lost(sl_node *node, uint32_t peer, bool calls);
void sl_node_tell_back(sl_node *node, uint32_t peer, bool buried);

/* supervisor.c */
void sl_supervise(sl_actor *actor, sl_err failure);

#endif
