/* The way from outside: a connection to a gateway, whose futures are those of the API.
 *
 * A connection has a net of one link, whose thread ends futures; programs' threads encode and send.
 * When the link breaks, a thread of its own, the keeper, makes another, and the session goes on
 * where it was (actors/gateway/gateway_stream.h). Only when the gateway refuses, or it cannot be
 * reached for as long as it keeps a session, the connection is closed.
 *
 * Only remote*.c and future.c include this. */
#ifndef SL_SDK_REMOTE_H
#define SL_SDK_REMOTE_H

#include <pthread.h>
#include <stdatomic.h>

#include "actors/gateway/gateway_stream.h"
#include "net/link.h"
#include "sdk/client.h"
#include "sdk/remote_name.h"

/* An object of a connection. */
struct sl_remote_object {
    _Atomic uint32_t references;
    sl_remote *remote; /* retained */
    uint64_t number;
    /* under the connection's lock */
    struct sl_remote_object *next, *before; /* of those that the gateway may speak of */
    bool known;                             /* what it is */
    bool listed;
    sl_err err; /* why it cannot be had */
    char why[300];
    sl_store_type type;
    uint64_t bytes, asked, got; /* of its content: in all, asked for, here */
    uint8_t *data;
};

/* Who is told of a future's end, on the net's thread, once its state says so. */
typedef struct sl_remote_teller {
    void (*told)(sl_future *future, void *context);
    void *context;
    uint32_t slot; /* for the future's `slot`, which has no other use over a connection */
} sl_remote_teller;

/* Somebody waits for the answer. */
typedef struct sl_remote_question {
    struct sl_remote_question *next;
    uint64_t number;
    bool answered;
    void *answer; /* a record, malloc'ed */
} sl_remote_question;

struct sl_remote {
    _Atomic uint32_t references; /* the program's, and those of objects */
    sl_net *net;
    sl_tls *tls;
    sl_link *link;
    _Atomic uint32_t any_epoch; /* changes when something has ended */
    _Atomic uint32_t any_waiters;

    sl_address address;
    sl_stream_in in; /* the net's thread */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *secret_key; /* as long as it may have to be shown again */
    const char *project;
    char *own_project;
    sl_stream_out out;
    char session[SL_GATEWAY_SESSION_BYTES];
    uint64_t keep_ns;
    pthread_t keeper;
    bool has_keeper;
    bool welcome; /* once */
    bool up;      /* the link may be used */
    bool lost;    /* the keeper has to make another */
    uint64_t lost_ns;
    uint32_t links; /* how often one stood */
    bool closed, ending;
    sl_err err; /* why it is closed */
    char why[800];
    uint64_t next_number;
    uint32_t tasks_most, count;
    sl_future **futures; /* tasks_most of them, by number */
    struct sl_remote_question *questions;
    uint64_t asked;
    uint64_t refusals, refusals_told; /* of messages to actors: heard of; and told to the program */
    char refusal[300];                /* why the last */
    sl_remote_object *objects;        /* put or read just now */
    uint64_t next_object;
    uint64_t source; /* of the nodes that tasks are sealed for */
    uint64_t asked_nodes;
    bool told_nodes;
    struct sl_roster_node *nodes; /* as told last */
    uint32_t node_count;
};

/* remote.c: the memory, once nobody has it any more. */
void sl_remote_release(sl_remote *remote);
/* What refuses to go on: it is closed. */
sl_err sl_remote_closed(const sl_remote *remote);
/* With the lock: until `*what`, which changes under it, the link's end or that of the time (a
 * deadline). False: the time is over. */
bool sl_remote_await(sl_remote *remote, const bool *what, const struct timespec *end);

/* remote_object.c: the net's thread, unless said otherwise. */
sl_err sl_remote_take_object(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
sl_err sl_remote_take_piece(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
/* Any thread but the net's: puts an object, and waits until it is whole there. */
sl_err sl_remote_bring(sl_remote *remote, const sl_value *value, sl_object **object) SL_CHECKED;
/* The object that a result names; one reference. NULL when out of memory. */
sl_remote_object *sl_remote_object_make(sl_remote *remote, uint64_t number);

/* remote_values.c: arguments that were put as objects. */
typedef struct sl_remote_brought {
    sl_object **objects;
    size_t count;
} sl_remote_brought;
bool sl_remote_too_large(const sl_args *args);
/* Brings all that are large, and has the values name them, by `names`. What is brought is the
 * caller's, to be let go of once the call has left, also on an error. */
sl_err sl_remote_bring_large(sl_remote *remote, sl_value *values, size_t count, sl_store_id *names,
                             sl_remote_brought *all) SL_CHECKED;
/* The same of what belongs behind a call, which is released then: `*number` is what the call says
 * of it. 0: it is not too large. */
sl_err sl_remote_bring_apart(sl_remote *remote, sl_blob **apart, sl_remote_brought *all,
                             uint64_t *number) SL_CHECKED;
void sl_remote_let_go(sl_remote_brought *all);

/* remote_nodes.c: the net's thread; and where tasks learn whom they may be sealed for. */
sl_err sl_remote_take_nodes(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
struct sl_seal_source sl_remote_source(sl_remote *remote);

/* remote_keep.c: the thread that makes links anew. */
void *sl_remote_keeper(void *remote);
/* With the lock: the session is over, for this reason. sl_remote_end_all() follows, without it. */
void sl_remote_give_up(sl_remote *remote, sl_err err, const char *why);
/* With the lock: what waits, as far as it goes. */
void sl_remote_flush(sl_remote *remote);
/* With the lock: adds a message of the session. */
sl_err sl_remote_put_message(sl_remote *remote, sl_gateway_kind kind, const void *record,
                             sl_blob *data) SL_CHECKED;
/* The same once there is room: the lock is given away meanwhile. Not on the net's thread. */
sl_err sl_remote_send(sl_remote *remote, sl_gateway_kind kind, const void *record,
                      sl_blob *data) SL_CHECKED;
/* With the lock: that would not wait. */
bool sl_remote_has_room(const sl_remote *remote);
/* At once, no part of the session. */
sl_err sl_remote_say(sl_link *link, sl_gateway_kind kind, const void *record) SL_CHECKED;

/* Asks with a record in which `*number` is to be the question's, and waits for the answer: a record
 * that is the caller's. */
sl_err sl_remote_question_ask(sl_remote *remote, sl_gateway_kind kind, const void *record,
                              uint64_t *number, void **answer) SL_CHECKED;
/* The answer to question `number` has come; takes the record. The net's thread. */
void sl_remote_question_answer(sl_remote *remote, uint64_t number, void *answer);

/* remote_command.c: the net's thread. */
sl_err sl_remote_take_ended(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
sl_err sl_remote_take_named(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
sl_command_state sl_remote_state_of(const gateway_ended *ended);
/* A command's future is released: its output is not wanted any more. */
void sl_remote_command_forget(sl_future *future);
/* The future of a command, or a call, that is named and numbered; `wish` or `command` is sent under
 * that number. NULL with an error. */
sl_future *sl_remote_send_command(sl_remote *remote, gateway_command *command, const char *name,
                                  const sl_remote_teller *teller);

/* remote_submit.c: any thread; without the lock. `teller` may be NULL. */
void sl_remote_will_tell(sl_future *future, const sl_remote_teller *teller);
sl_future *sl_remote_make_future(sl_remote *remote, const char *name, bool raw);
/* With the lock: gives it the next number and a place, once there is one. */
sl_err sl_remote_enter(sl_remote *remote, sl_future *future, uint64_t *number) SL_CHECKED;
void sl_remote_take_back(sl_remote *remote, sl_future *future);
/* Sends the record, in which `number` is the future's; NULL with an error, and the future gone. */
sl_future *sl_remote_send_asking(sl_remote *remote, sl_future *future, sl_gateway_kind kind,
                                 const void *record, uint64_t *number, sl_blob *apart);
/* sl_remote_call(), with a word at its end. */
sl_future *sl_remote_call_telling(sl_remote *remote, const char *function, const void *arguments,
                                  size_t bytes, const sl_task_options *options,
                                  const sl_remote_teller *teller);

/* The values of one call as they travel: the caller's, as is what is apart. What is too large for a
 * message is brought, to be let go of also on an error; `brought` NULL: it is sent as it is. */
sl_err sl_remote_encode(sl_remote *remote, const sl_args *args, uint8_t **wire, size_t *bytes,
                        sl_blob **apart, sl_remote_brought *brought) SL_CHECKED;

/* remote_actor.c: the net's thread; a message to an actor was refused, and nobody waits for its
 * answer. */
void sl_remote_note_refusal(sl_remote *remote, const gateway_result *result, bool told);

/* remote_result.c: any thread; without the lock. */
sl_future *sl_remote_take_out(sl_remote *remote, uint64_t number);
void sl_remote_end(sl_remote *remote, sl_future *future, sl_future_state state);
void sl_remote_fail(sl_remote *remote, sl_future *future, sl_err err, const char *message);
/* Ends all that has not ended. */
void sl_remote_end_all(sl_remote *remote);
/* The net's thread. */
sl_err sl_remote_take_results(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;

/* remote_submit.c: takes one back; any thread. */
void sl_remote_cancel(sl_future *future);
void sl_remote_cancel_all(sl_remote *remote);

#endif
