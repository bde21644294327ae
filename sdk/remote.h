/* The way from outside: a connection to a gateway, whose futures are those of the API.
 *
 * A connection has a net of one link, whose thread ends futures; programs' threads encode and send.
 * Only remote*.c and future.c include this. */
#ifndef SL_SDK_REMOTE_H
#define SL_SDK_REMOTE_H

#include <pthread.h>
#include <stdatomic.h>

#include "actors/gateway/gateway_msgs.h"
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

struct sl_remote {
    _Atomic uint32_t references; /* the program's, and those of objects */
    sl_net *net;
    sl_tls *tls;
    sl_link *link;
    _Atomic uint32_t any_epoch; /* changes when something has ended */
    _Atomic uint32_t any_waiters;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *secret_key; /* until the welcome */
    const char *project;
    bool welcome, closed, ending;
    sl_err err; /* why it is closed */
    char why[800];
    uint64_t next_number;
    uint32_t tasks_most, count;
    sl_future **futures; /* tasks_most of them, by number */
    uint64_t asked;
    bool answered;
    gateway_status status;
    sl_remote_object *objects; /* put or read just now */
    uint64_t next_object;
    uint64_t *gone; /* numbers of objects whose release could not be told yet */
    uint32_t gone_count, gone_room;
};

/* remote.c: the memory, once nobody has it any more. */
void sl_remote_release(sl_remote *remote);
/* What refuses to go on: it is closed. */
sl_err sl_remote_closed(const sl_remote *remote);
/* With the lock: until `*what`, which changes under it, the link's end or that of the time (a
 * deadline). False: the time is over. */
bool sl_remote_await(sl_remote *remote, const bool *what, const struct timespec *end);

/* remote_object.c: the net's thread. */
sl_err sl_remote_take_object(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
sl_err sl_remote_take_piece(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
/* The object that a result names; one reference. NULL when out of memory. */
sl_remote_object *sl_remote_object_make(sl_remote *remote, uint64_t number);
/* With the lock: tells of releases that could not be told. */
void sl_remote_tell_gone(sl_remote *remote);

/* remote_submit.c: with the lock, which is given away while there is no room. Not on the net's
 * thread. */
sl_err sl_remote_send(sl_remote *remote, sl_gateway_kind kind, const void *record,
                      sl_blob *data) SL_CHECKED;

/* remote_submit.c: the net's thread. */
sl_err sl_remote_take_results(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
/* Ends all that has not ended. */
void sl_remote_end_all(sl_remote *remote);
/* Takes one back; any thread. */
void sl_remote_cancel(sl_future *future);

#endif
