/* The way from outside: a connection to a gateway, whose futures are those of the API.
 *
 * A connection has a net of one link, whose thread ends futures; programs' threads encode and send.
 * Only remote.c, remote_submit.c and future.c include this. */
#ifndef SL_SDK_REMOTE_H
#define SL_SDK_REMOTE_H

#include <pthread.h>
#include <stdatomic.h>

#include "actors/gateway/gateway_msgs.h"
#include "net/link.h"
#include "sdk/client.h"

struct sl_remote {
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
};

/* remote_submit.c: the net's thread. */
sl_err sl_remote_take_results(sl_remote *remote, const sl_gateway_parts *parts) SL_CHECKED;
/* Ends all that has not ended. */
void sl_remote_end_all(sl_remote *remote);
/* Takes one back; any thread. */
void sl_remote_cancel(sl_future *future);

#endif
