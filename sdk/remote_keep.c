/* A session over links that break: what waits to be sent, and the thread that makes links anew. */
#include <stdlib.h>
#include <string.h>

#include "runtime/thread.h"
#include "sdk/remote.h"

#define TRY_NS       (10 * SL_NS_PER_S) /* for a new link until the welcome */
#define WAIT_NS      (5 * SL_NS_PER_MS)
#define WAIT_MOST_NS SL_NS_PER_S

enum { HELD_MOST = 16 << 20 /* bytes that the gateway is not known to have: then senders wait */ };

/* ---- sending ---- */

void sl_remote_flush(sl_remote *remote) {
    while (remote->up && remote->out.unsent) {
        const sl_stream_frame *frame = remote->out.unsent;
        if (sl_link_send(remote->link, frame->data, frame->bytes, frame->blob) != SL_OK)
            return; /* once there is room, or another link */
        sl_stream_sent(&remote->out);
    }
}

sl_err sl_remote_put_message(sl_remote *remote, sl_gateway_kind kind, const void *record,
                             sl_blob *data) {
    size_t bytes;
    uint8_t *message = sl_gateway_encode(kind, record, &bytes);
    if (!message)
        return sl_fail(SL_ERR_TOO_LARGE, "%s", sl_err_detail());
    uint64_t all = bytes + (data ? data->bytes : 0);
    sl_err err =
        all > SL_GATEWAY_MESSAGE_BYTES
            ? sl_fail(SL_ERR_TOO_LARGE,
                      "a message of %llu bytes; %d are taken: make an object of what is large",
                      (unsigned long long)all, SL_GATEWAY_MESSAGE_BYTES)
            : sl_stream_put(&remote->out, message, bytes, data);
    free(message);
    if (err == SL_OK)
        sl_remote_flush(remote);
    return err;
}

bool sl_remote_has_room(const sl_remote *remote) {
    return remote->out.held_bytes <= HELD_MOST;
}

sl_err sl_remote_send(sl_remote *remote, sl_gateway_kind kind, const void *record, sl_blob *data) {
    while (!sl_remote_has_room(remote) && !remote->closed)
        pthread_cond_wait(&remote->changed, &remote->lock);
    return remote->closed ? sl_remote_closed(remote)
                          : sl_remote_put_message(remote, kind, record, data);
}

sl_err sl_remote_say(sl_link *link, sl_gateway_kind kind, const void *record) {
    size_t bytes;
    uint8_t *message = sl_gateway_encode(kind, record, &bytes);
    if (!message)
        return SL_ERR_NO_MEMORY;
    sl_err err = sl_link_send(link, message, bytes, NULL);
    free(message);
    return err;
}

/* ---- the keeper ---- */

void sl_remote_give_up(sl_remote *remote, sl_err err, const char *why) {
    remote->closed = true;
    remote->err = err;
    if (why != remote->why)
        snprintf(remote->why, sizeof remote->why, "%s", why);
    pthread_cond_broadcast(&remote->changed);
}

static void wait_for_ns(sl_remote *remote, uint64_t ns) {
    struct timespec end = sl_cond_deadline(ns);
    while (!remote->ending && !remote->closed)
        if (pthread_cond_timedwait(&remote->changed, &remote->lock, &end) != 0)
            return;
}

/* The old link has ended: nothing of it comes any more. */
static void connect_again(sl_remote *remote) {
    sl_link *link = NULL;
    remote->lost = false;
    if (sl_net_connect(remote->net, &remote->address, remote->tls, NULL, &link) != SL_OK) {
        remote->lost = true;
        return;
    }
    sl_link_release(remote->link);
    remote->link = link;
}

/* Until it stands, has failed, or has taken too long. */
static void await_link(sl_remote *remote) {
    struct timespec end = sl_cond_deadline(TRY_NS);
    while (!remote->up && !remote->lost && !remote->closed && !remote->ending)
        if (pthread_cond_timedwait(&remote->changed, &remote->lock, &end) != 0) {
            sl_link_close(remote->link, "no welcome came");
            end = sl_cond_deadline(TRY_NS);
        }
}

/* True: it gave up. */
static bool mend(sl_remote *remote) {
    uint64_t wait_ns = 0;
    while (remote->lost && !remote->ending && !remote->closed) {
        if (sl_clock_now_ns() - remote->lost_ns > remote->keep_ns) {
            char why[700];
            snprintf(why, sizeof why, "%.400s; and it could not be reached again in time",
                     remote->why);
            remote->lost = false;
            sl_remote_give_up(remote, SL_ERR_CLOSED, why);
            return true;
        }
        uint32_t links = remote->links;
        wait_for_ns(remote, wait_ns);
        connect_again(remote);
        await_link(remote);
        wait_ns = remote->links != links ? 0 : wait_ns ? 2 * wait_ns : WAIT_NS;
        wait_ns = wait_ns < WAIT_MOST_NS ? wait_ns : WAIT_MOST_NS;
    }
    return false;
}

void *sl_remote_keeper(void *of) {
    sl_remote *remote = of;
    pthread_mutex_lock(&remote->lock);
    while (!remote->ending && !remote->closed) {
        if (!remote->lost) {
            pthread_cond_wait(&remote->changed, &remote->lock);
        } else if (mend(remote)) {
            pthread_mutex_unlock(&remote->lock);
            sl_remote_end_all(remote);
            pthread_mutex_lock(&remote->lock);
        }
    }
    pthread_mutex_unlock(&remote->lock);
    return NULL;
}
