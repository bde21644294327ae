/* Actors: state that only messages reach. What the author of an actor needs is in this header.
 *
 * An actor runs on its node's loop thread, one message at a time, and never blocks: no waiting
 * call, no disk sync, no sleep; anything longer than about 50 us goes to the pool. All functions
 * here are called on the loop thread, sl_notify() excepted.
 *
 * Order: messages of one lane from one actor to another arrive in the order they were sent; control
 * messages overtake data messages. A send that fails has no effect and leaves everything with the
 * caller. */
#ifndef SL_RUNTIME_ACTOR_H
#define SL_RUNTIME_ACTOR_H

#include "runtime/address.h"
#include "runtime/clock.h"
#include "runtime/message.h"
#include "runtime/metrics.h"
#include "runtime/rng.h"

typedef struct sl_node sl_node;
typedef struct sl_actor sl_actor;

typedef struct sl_message {
    const sl_message_type *type;
    sl_addr from;     /* slot UINT32_MAX when the sender is no actor; node is the true one */
    const void *body; /* the type's struct; valid until receive returns; retain a blob to keep it */
} sl_message;

typedef struct sl_actor_class {
    const char *name;
    size_t state_bytes; /* zeroed before start */

    /* Prepares the state. `arguments` is the copy that spawn made (NULL when none). */
    sl_err (*start)(sl_actor *self, void *state, const void *arguments);

    /* Handles one message. An error is a failure of the actor: its supervision decides. A message
     * that is merely unwelcome is logged and dropped by the actor itself. */
    sl_err (*receive)(sl_actor *self, void *state, const sl_message *message);

    /* Releases what the state holds; also before a restart. May be NULL. */
    void (*stop)(sl_actor *self, void *state);

    /* Data messages waiting at most; a send beyond is SL_ERR_AGAIN. 0: the node's default. */
    uint32_t mailbox_limit;

    /* A failing actor is stopped and started again, its mailbox kept, at most max_restarts times
     * within window_ns; then it is stopped and its parent told (node_child_failed). Without a
     * parent the node ends with the error. */
    uint32_t max_restarts;
    uint64_t window_ns;
} sl_actor_class;

/* ---- being one ---- */

sl_addr sl_self(const sl_actor *self);
sl_node *sl_actor_node(const sl_actor *self);

/* The node's number, clock, random numbers and metrics. */
uint32_t sl_node_id(const sl_node *node);
uint32_t sl_node_count(const sl_node *node);
uint64_t sl_now_ns(const sl_actor *self);
double sl_wall_s(const sl_actor *self);
/* Processor time of the calling thread, by the node's clock. */
uint64_t sl_thread_ns(const sl_actor *self);
sl_rng *sl_node_rng(sl_node *node);
sl_metrics *sl_node_metrics(sl_node *node);

/* ---- messages ---- */

/* Sends `body` (copied; blobs retained) to an actor of any node.
 * SL_ERR_AGAIN: the mailbox here, or the window to that node, is full (data lane; see
 * sl_await_room). SL_ERR_DEAD: no such actor on this node, or that node is gone. SL_ERR_TOO_LARGE:
 * a field is over its bound. A remote actor that is gone is a dead letter there: counted, not
 * reported. */
sl_err sl_send(sl_actor *self, sl_addr to, const sl_message_type *type, const void *body);

/* Asks for one node_room message when a send to `to` that was SL_ERR_AGAIN may succeed. */
void sl_await_room(sl_actor *self, sl_addr to);

/* ---- life ---- */

/* Starts a child of `self` on this node. `arguments` (argument_bytes, may be 0) are copied and kept
 * for restarts. Errors: the class's start, SL_ERR_NO_MEMORY, SL_ERR_CLOSED when the node ends. */
sl_err sl_spawn(sl_actor *self, const sl_actor_class *actor_class, const void *arguments,
                size_t argument_bytes, sl_addr *child) SL_CHECKED;

/* Stops an actor of this node, itself included (then when the running function has returned). Its
 * messages are dropped. */
void sl_stop(sl_actor *self, sl_addr actor);

/* ---- time and events ---- */

/* Sends node_timer{cookie} to `self` once, `delay_ns` from now. Returns its id, for
 * sl_timer_cancel(); 0 when there is no memory for it. */
uint64_t sl_timer_start(sl_actor *self, uint64_t delay_ns, uint64_t cookie);
void sl_timer_cancel(sl_actor *self, uint64_t timer);

/* What another thread has to tell an actor: intrusive, so that telling allocates nothing. Its owner
 * keeps it alive until the node_event message has been received. */
typedef struct sl_event {
    struct sl_event *next;
    sl_addr to;
    uint32_t kind; /* the receiver's own: which of its events this is */
    /* Called on the loop thread instead of delivery when `to` is gone by then. May be NULL. */
    void (*drop)(struct sl_event *event);
} sl_event;

/* Delivers node_event{event} to event->to on `node`. Any thread. */
void sl_notify(sl_node *node, sl_event *event);

#endif
