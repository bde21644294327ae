/* Links: connections over TCP and TLS 1.3 to what MPI cannot reach, and the thread that serves
 * them.
 *
 * A net is one thread with an epoll set, beside any loop: it accepts, connects, encrypts and
 * watches. Its owner hears of what happens by three functions, which run on that thread and must
 * not block; they may call all of this header but sl_net_destroy(). Messages of one link arrive in
 * the order they were sent, but those above SL_FRAME_PAYLOAD_MOST bytes, which travel in pieces
 * between the others.
 *
 * Back-pressure: what the peer does not take waits here, up to `queued_bytes`; then sends are
 * SL_ERR_AGAIN. An owner that has enough pauses a link: nothing more is read, and TCP holds up the
 * peer. A peer that takes nothing for `stall_ns`, or is not heard of for `dead_ns`, is closed: so
 * are half-open connections found. */
#ifndef SL_NET_LINK_H
#define SL_NET_LINK_H

#include <stdbool.h>

#include "net/frame.h"
#include "net/tls.h"

typedef struct sl_net sl_net;
typedef struct sl_link sl_link;

/* What a peer may do, and how long it may take. Zeroed fields are the defaults. message_bytes and
 * stream_bytes are the same at both ends. */
typedef struct sl_net_limits {
    uint32_t stranger_bytes;    /* of a message before sl_link_trust(); 0: 4 KiB */
    uint64_t message_bytes;     /* of one after it; 0: 64 MiB */
    uint64_t stream_bytes;      /* of large messages under way on one link; 0: 64 MiB */
    uint64_t queued_bytes;      /* that a peer has not taken; 0: 16 MiB, and one message always */
    uint32_t frames_per_s;      /* read of one link, the rest waits; 0: 200,000 */
    uint32_t links;             /* at a time; 0: 1024 */
    uint32_t links_per_address; /* of them from one address; 0: 64 */
    uint64_t handshake_ns;      /* from a connection to sl_link_trust(); 0: 10 s */
    uint64_t beat_ns;           /* silence that a sign of life ends; 0: 5 s */
    uint64_t dead_ns;           /* silence of the peer; 0: 30 s */
    uint64_t stall_ns;          /* while nothing of what waits is taken; 0: 30 s */
} sl_net_limits;

typedef struct sl_net_ops {
    /* TLS stands: both know whom they speak to. An error closes the link, with its text. */
    sl_err (*opened)(void *context, sl_link *link);
    /* As sl_frame_ops. An error closes the link, and the peer is told its text. */
    sl_err (*message)(void *context, sl_link *link, const uint8_t *data, size_t bytes,
                      sl_blob *blob);
    /* After a send that was SL_ERR_AGAIN: half of what waited has left. May be NULL. */
    void (*room)(void *context, sl_link *link);
    /* The last word of a link, of one too that never opened. SL_OK: closed in good order;
     * SL_ERR_REFUSED: the peer said why it closes; SL_ERR_CLOSED: it is lost. `why` names the peer,
     * what was wrong, and what to do. */
    void (*closed)(void *context, sl_link *link, sl_err err, const char *why);
} sl_net_ops;

typedef struct sl_net_options {
    const sl_net_ops *ops; /* borrowed */
    void *context;
    sl_net_limits limits;
} sl_net_options;

sl_err sl_net_create(const sl_net_options *options, sl_net **net) SL_CHECKED;

/* Closes every link at once (each is told by `closed`), gives peers up to two seconds to read what
 * was said to them and to close too, ends the thread, and frees. NULL is fine. Any thread but its
 * own. */
void sl_net_destroy(sl_net *net);

/* Listens at every address that `address` means, and says in `*port` which port it is (that of the
 * address may be 0). Once. Blocks for a name's look-up. */
sl_err sl_net_listen(sl_net *net, const sl_address *address, const sl_tls *tls,
                     uint16_t *port) SL_CHECKED;

/* Begins to connect: `opened` or `closed` follows. `user` is sl_link_user()'s. The caller's
 * reference to `*link` ends with sl_link_release(). Blocks for a name's look-up. */
sl_err sl_net_connect(sl_net *net, const sl_address *address, const sl_tls *tls, void *user,
                      sl_link **link) SL_CHECKED;

/* ---- a link: any thread, unless said otherwise ---- */

/* Sends a message: the parts one after another (copied), and then `blob` (NULL: none; retained
 * until it has left). SL_ERR_AGAIN: too much waits. SL_ERR_CLOSED: the link is about to end.
 * SL_ERR_TOO_LARGE, SL_ERR_NO_MEMORY. */
sl_err sl_link_send(sl_link *link, const void *head, size_t head_bytes, sl_blob *blob) SL_CHECKED;

/* Ends the link once what waits has left, and tells the peer why (NULL: nothing is wrong). */
void sl_link_close(sl_link *link, const char *why);

/* The peer is known now: it may send as much as the limits say, and takes no more time for it. On
 * the net's thread, or before a message of it is answered. */
void sl_link_trust(sl_link *link);

/* Nothing more is read until it is resumed. */
void sl_link_pause(sl_link *link, bool paused);

/* "192.0.2.1:4711": static while the link is. */
const char *sl_link_peer(const sl_link *link);
/* The address alone. */
const char *sl_link_host(const sl_link *link);

/* What its owner likes: on the net's thread, or as sl_net_connect() was told. */
void *sl_link_user(const sl_link *link);
void sl_link_set_user(sl_link *link, void *user);

/* Links are counted: one that is kept beyond `closed` is retained. */
sl_link *sl_link_retain(sl_link *link);
void sl_link_release(sl_link *link);

#endif
