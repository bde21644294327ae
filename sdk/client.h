/* What programs submit through the API, from their threads to the scheduler and back.
 *
 *   submit (any thread) -> inbox -> the client actor (the loop) -> scheduler -> results -> future
 *
 * A process has one client, at the driver's slot of its first node. The inbox is a stack that any
 * thread pushes on and the actor empties; one event tells it. A future is completed by the actor
 * alone, with one atomic exchange, and a system call only when somebody sleeps on it.
 *
 * Only the files sdk/client*.c, future.c, map.c and session.c include this. */
#ifndef SL_SDK_CLIENT_H
#define SL_SDK_CLIENT_H

#include <stdatomic.h>

#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/actor.h"
#include "sdk/network.h"
#include "sdk/value.h"

/* ---- futures ---- */

/* What the inbox holds. */
typedef enum sl_item_kind { SL_ITEM_TASK, SL_ITEM_CANCEL } sl_item_kind;

typedef struct sl_item {
    struct sl_item *next;
    uint32_t kind;
} sl_item;

/* A task's place in the client. */
typedef enum sl_future_stage {
    SL_STAGE_INBOX,   /* not seen by the actor */
    SL_STAGE_BLOCKED, /* waits for futures among its arguments, perhaps again */
    SL_STAGE_QUEUED,  /* to be sent to the scheduler */
    SL_STAGE_SENT,    /* has a slot, which is its tag */
    SL_STAGE_ENDED
} sl_future_stage;

/* In the state word: somebody sleeps on it. */
#define SL_FUTURE_AWAITED 0x100u

struct sl_future {
    sl_item item;           /* first; of the inbox, then of the list of its stage */
    _Atomic uint32_t state; /* sl_future_state, and the bit above */
    _Atomic uint32_t references;
    const sl_task *task;
    const sl_task_options *options; /* the task's, or a copy behind this struct */

    /* the request: the actor's once it is in the inbox */
    uint8_t *payload; /* behind this struct; or, once futures have been put in, malloc'ed */
    uint32_t payload_bytes;
    uint32_t room_bytes; /* of what is behind this struct for the payload, and later the result */
    uint8_t *room;
    sl_blob *apart;
    uint32_t asked_bytes; /* what was asked for is in the room until the end … */
    sl_blob *asked_apart; /* … and this with it, when it may have to be submitted again */
    sl_future **needs;    /* futures among the arguments, in their order; behind this struct */
    uint32_t need_count;
    uint32_t pending; /* of them not ended */
    struct sl_dependents *dependents;
    sl_object **objects; /* among the arguments: kept until the end; malloc'ed */
    uint32_t object_count;
    uint32_t slot;
    uint8_t stage;
    bool cancelled;
    bool accepted;               /* the scheduler has said so */
    bool travels;                /* its result does not stay where it is made */
    struct gateway_ended *ended; /* over a connection, of a command: how; malloc'ed */
    void (*told)(sl_future *future, void *context); /* … called at its end, on the net's thread */
    void *told_context;
    bool keeps_remote;        /* … and has a reference to the connection */
    bool raw;                 /* over a connection: the result is bytes as they came */
    bool to_actor;            /* over a connection: of a message to one */
    uint32_t again_left;      /* so often may it be run again when its result is lost */
    uint32_t losses;          /* so often were its arguments */
    uint32_t near;            /* one more than the node that has its largest argument; or 0 */
    sl_remote *remote;        /* of that connection; NULL: of this process's network */
    uint64_t number;          /* there */
    struct sl_gather *gather; /* of a map, whose `needs` are its pieces; NULL for a task */
    sl_module *module;        /* that the task is of, which keeps task and file; NULL */

    /* the end: written before the state says so */
    int32_t error;               /* what a wait returns */
    struct sl_future_seal *seal; /* of a sealed task: seal.h */
    uint8_t *among;              /* of it: the nodes that may run it; malloc'ed */
    uint32_t among_bytes;
    uint8_t *wire; /* the result as it came: in the room, or malloc'ed */
    char *message; /* malloc'ed */
    sl_value value;
    sl_blob *result_apart; /* that value.data may point into */

    /* a result that has stayed where it was made: future_kept.c */
    sl_object *kept;          /* its handle; with the value it does not change any more … */
    _Atomic uint32_t fetched; /* … but for value.data and value.kept_, once, under a lock */
    bool pinned;              /* under the lock, as is the next */
    sl_future *again;         /* it was lost, and is made anew by that one */
};

/* Of a map: what its pieces returned, until somebody asks for the whole. */
typedef struct sl_gather {
    sl_future **pieces; /* once it is done; before they are the map's needs */
    uint32_t count;
    bool sealed;       /* they are: what they returned is looked at by who asks first … */
    sl_future *failed; /* … and why the first of them failed; or NULL */
    uint32_t failed_index;
    _Atomic uint32_t settled;
    _Atomic uint32_t ready; /* they have been put together */
    size_t shape[SL_DIMENSIONS_MAX];
} sl_gather;

/* Futures that wait for one. */
typedef struct sl_dependents {
    uint32_t count;
    uint32_t capacity;
    sl_future *futures[];
} sl_dependents;

typedef struct sl_cancel_item {
    sl_item item; /* first */
    sl_future *future;
} sl_cancel_item;

/* ---- the client ---- */

typedef struct sl_client {
    sl_network *network;
    sl_node *node;
    sl_event event;
    uint32_t ranks;
    bool all_drive;

    /* any thread */
    _Atomic(sl_item *) inbox;
    _Atomic uint32_t told;          /* the event is on its way */
    _Atomic uint32_t closed;        /* nothing is taken any more */
    _Atomic uint32_t users;         /* threads inside a call */
    _Atomic uint32_t waiting_tasks; /* pushed and not taken */
    _Atomic uint32_t room;          /* changes when there is room in the inbox again */
    _Atomic uint32_t room_wanted;
    _Atomic uint32_t any_waiters; /* threads that wait for any of several */
    _Atomic uint32_t any_epoch;
    _Atomic uint32_t ended_some;    /* since the last look at any_waiters */
    _Atomic uint32_t ready;         /* the network is known, or is not going to be */
    _Atomic uint32_t cores;         /* of all nodes that are known */
    _Atomic(struct sl_host *) host; /* of this process's actors; NULL: there is none yet */
    _Atomic uint32_t host_closed;   /* it takes nothing any more */

    /* the actor's */
    sl_actor *self;
    sl_item *arrived;    /* from the inbox, the oldest first */
    sl_item *queue_head; /* futures to be sent */
    sl_item *queue_tail;
    uint32_t queue_count;
    bool going; /* a client_go message to ourselves is under way */
    sl_future **slots;
    uint32_t *free_slots;
    uint32_t slot_count, free_count;
    sl_future **unaccepted; /* a ring of what was sent, in order, until the scheduler answers */
    uint32_t unaccepted_first, unaccepted_count;
    scheduler_task *tasks; /* of one submit */
    bool blocked;          /* the scheduler's mailbox was full */
    uint32_t *known;       /* by node: 1 + its cores, once the registry has spoken of it */
    uint32_t known_count;
    uint8_t *left; /* by node, when all drive: it has shut down, or is lost */
    uint32_t left_count;
    uint64_t source;          /* of the nodes that tasks are sealed for */
    _Atomic uint32_t leaving; /* this rank shuts down; set by any thread, with the event */
    bool leaving_told;
} sl_client;

/* The argument is a pointer to the client, whose `ranks` and `all_drive` are set. */
extern const sl_actor_class sl_client_class;

/* client.c: any thread. Pushes futures, linked by item.next from `first` (the newest) to `last`,
 * and tells the actor. */
void sl_client_push(sl_client *client, sl_item *first, sl_item *last, uint32_t tasks);

/* Waits while very much is in the inbox; not on a loop's thread. */
void sl_client_await_room(sl_client *client);

void sl_client_queue(sl_client *client, sl_future *future);

/* client_submit.c: the head of a payload, of a task's name and so many bytes of arguments, which go
 * to what is returned; and the bytes of both. */
sl_err sl_client_check(const sl_task *task, const sl_task_options *options) SL_CHECKED;
/* One call as a future; with `borrow` large data are not copied if one argument alone is large. */
sl_err sl_client_make(const sl_task *task, const sl_args *args, const sl_task_options *options,
                      bool borrow, sl_future **future) SL_CHECKED;
/* Gives the actor its references, and pushes. */
void sl_client_push_futures(sl_client *client, sl_future **futures, size_t count);
size_t sl_client_payload_bytes(const char *name, size_t arguments);
uint8_t *sl_client_payload_head(uint8_t *out, const char *name, size_t arguments);

/* The same call once more, for a result that was lost; one reference. NULL: no memory. */
sl_future *sl_client_make_again(sl_future *future);

/* future_kept.c: any thread. Fetches the result of a future that is done, where it is kept
 * elsewhere; waits. */
sl_err sl_kept_fetch(sl_future *future) SL_CHECKED;
/* The same over a connection: remote_values.c. */
sl_err sl_remote_kept_fetch(sl_future *future) SL_CHECKED;
/* The value of a future that is done for somebody's arguments: by its name, in `id`, where it is
 * kept, unless that is lost and it is here. */
sl_value sl_kept_value(sl_future *future, sl_store_id *id);
/* The loop's thread. The future that has the result now: `future`, or the one that makes it anew.
 */
sl_future *sl_kept_newest(sl_future *future);
/* True: nobody can fetch it any more. */
bool sl_kept_is_lost(sl_future *future);
/* Has it made anew, unless it is already; the future that does, borrowed, or NULL: it cannot be,
 * and why is said. */
sl_future *sl_kept_again(sl_client *client, sl_future *future);

/* map.c: do what the pieces of a map returned go together? */
sl_err sl_gather_check(sl_future *const *pieces, uint32_t count) SL_CHECKED;
/* Makes the value of a map that is done whole; no effect on others. Any thread. */
sl_err sl_gather_result(sl_future *map) SL_CHECKED;
void sl_gather_forget(sl_gather *gather);

/* client.c: after futures were ended from elsewhere on the loop's thread: those that waited. */
void sl_client_pump(sl_client *client);

/* client.c: takes a task back, on the loop's thread. */
void sl_client_cancel(sl_client *client, sl_future *future);

/* client_end.c: the loop's thread, or, once the client is closed, who emptied the inbox. */
/* Ends a future, and those for which that is the end too. `message` (NULL: what the error says) is
 * copied. The actor's reference goes. */
void sl_client_end(sl_client *client, sl_future *future, sl_future_state state, sl_err error,
                   const char *message);
/* Ends one because of `cause`, which it needs and which did not succeed. */
void sl_client_end_for(sl_client *client, sl_future *future, const sl_future *cause);
/* `future` waits for `need`, unless that has ended. SL_ERR_FAILED: it has, without success;
 * SL_ERR_NO_MEMORY. */
sl_err sl_client_depend(sl_future *future, sl_future *need);
/* A map waits for its pieces, and, when one fails, takes the others back. */
void sl_client_take_map(sl_client *client, sl_future *map);
void sl_client_cancel_map(sl_client *client, sl_future *map);
/* It needs nothing more: its arguments are completed and it is queued. */
void sl_client_go_on(sl_client *client, sl_future *future);
/* Ends one with a result as it came: `bytes` of one value (0: nothing). */
void sl_client_end_done(sl_client *client, sl_future *future, const uint8_t *output, size_t bytes,
                        sl_blob *apart);
void sl_client_on_done(sl_client *client, const scheduler_done *done);

/* session.c: the client of this process, for the time of one call, or NULL with an error.
 * sl_client_leave() ends that. */
sl_client *sl_client_enter(void);
void sl_client_leave(sl_client *client);

/* session.c: starts a network that is not sl_init()'s so that bodies of its tasks may submit; no
 * more, after its loop; and, once it is finished, frees what was made for it. */
sl_err sl_session_start(sl_network *network) SL_CHECKED;
void sl_session_stop(void);
void sl_session_forget(void);

/* object.c: keeps the objects among `values` until the future has ended; and lets go of them. */
sl_err sl_future_keep(sl_future *future, const sl_value *values, size_t count) SL_CHECKED;
sl_err sl_future_keep_those(sl_future *future, const sl_future *of) SL_CHECKED;
void sl_future_let_go(sl_future *future);

/* object.c: a view of a content, which is believed only if it is as a value is. SL_ERR_DECODE. */
sl_err sl_view_fill(sl_view *view, const sl_store_content *content) SL_CHECKED;
/* object.c: one of `store`, to be written at *data and sealed; and its writing. */
sl_object *sl_object_make(sl_store *store, const sl_value *value, void **data);
void sl_object_write(void *data, const sl_value *value);
/* The content of an object as the data of a value that is kept in it, valid while there is a
 * handle, until it is unpinned. Waits, for ever, but not on a loop's thread. */
sl_err sl_object_fetch(sl_object *object, sl_value *value) SL_CHECKED;

/* session.c: the store of a node of this process: inside a call of its tasks, or of the client's.
 */
sl_store *sl_session_store(uint32_t node);

/* session.c: where tasks in the job learn whom they may be sealed for; inside a call. */
struct sl_seal_source sl_session_source(void);

/* future.c: lets go of one reference. */
void sl_future_drop(sl_future *future);
/* A future with `tail_bytes` behind it, one reference, pending; NULL when out of memory. */
sl_future *sl_future_create(size_t tail_bytes);
/* What a wait returns: the future has ended. */
int sl_future_verdict(sl_future *future);

/* Its state, as far as it can be told without opening what is sealed. */
static inline sl_future_state sl_future_how(const sl_future *future) {
    return (sl_future_state)(atomic_load(&future->state) & ~SL_FUTURE_AWAITED);
}

static inline bool sl_future_ended(const sl_future *future) {
    return sl_future_how(future) != SL_FUTURE_PENDING;
}

/* True when its result is opened by who asks for it: until then nobody knows how it ended. */
static inline bool sl_future_is_sealed(const sl_future *future) {
    return future->seal || (future->gather && future->gather->sealed);
}

#endif
