/* A net and its links from inside: net.c (the thread), link.c (what others ask for), link_io.c (TLS
 * and bytes). */
#ifndef SL_NET_LINK_INTERNAL_H
#define SL_NET_LINK_INTERNAL_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/link.h"
#include "runtime/clock.h"

enum { LISTENERS_MOST = 8, HOST_BYTES = 64, WHY_BYTES = 768 };

/* Bytes to be sent. */
typedef struct out_buffer {
    uint8_t *data;
    size_t bytes, room;
} out_buffer;

/* A large message on its way out. */
typedef struct out_stream {
    struct out_stream *next;
    sl_blob *blob; /* NULL: the head is all */
    size_t head_bytes;
    uint64_t sent;   /* of head and blob */
    uint16_t number; /* once `begun` */
    bool begun;
    uint8_t head[];
} out_stream;

typedef enum link_stage { LINK_CONNECTS, LINK_SHAKES, LINK_OPEN, LINK_ENDS, LINK_ENDED } link_stage;

struct sl_link {
    sl_net *net;
    _Atomic uint32_t references;
    void *user;
    char host[HOST_BYTES];
    char peer[HOST_BYTES + 10];

    /* under the lock: any thread */
    pthread_mutex_t lock;
    out_buffer queued; /* frames */
    out_stream *streams, **streams_tail;
    uint64_t queued_bytes; /* of the two, and of what is being written */
    bool wants_room;
    bool closing; /* nothing more is taken */
    bool paused;
    bool trusted;
    bool marked; /* is in the net's list of links that want to be looked at */
    char bye[SL_FRAME_BYE_MOST + 1];

    struct sl_link *next_marked; /* under the net's lock */

    /* the thread's */
    struct sl_link *next, *before; /* of all */
    int fd;
    SSL *ssl;
    link_stage stage;
    uint32_t watched; /* by epoll; 0: not in it */
    bool wants_write; /* TLS waits for room in the socket */
    bool reading_off; /* paused, or too fast */
    bool bye_written;
    bool listed; /* among the net's */
    out_buffer writing;
    size_t written;        /* of it */
    uint64_t writing_cost; /* what it counts for in queued_bytes */
    uint8_t streams_busy;  /* a bit for each number */
    uint8_t *in;
    size_t in_bytes, in_room;
    sl_frame_reader reader;
    double tokens; /* frames it may send now */
    uint64_t tokens_ns, begun_ns, heard_ns, said_ns, taken_ns, ended_ns;
    sl_err err; /* why it ends */
    char why[WHY_BYTES];
};

struct sl_net {
    sl_net_ops ops;
    void *context;
    sl_net_limits limits;
    pthread_t thread;
    int epoll_fd, wake_fd;
    _Atomic uint32_t count; /* links */

    /* under the lock */
    pthread_mutex_t lock;
    sl_link *marked;
    bool ending;
    int listeners[LISTENERS_MOST];
    uint32_t listener_count;
    const sl_tls *server_tls;

    /* the thread's */
    sl_link *links;
    uint64_t swept_ns;
    bool refusing; /* no more descriptors: said once */
};

/* net.c */
void sl_net_mark(sl_link *link);                   /* has the thread look at it; any thread */
void sl_net_watch(sl_link *link, uint32_t events); /* EPOLLIN, EPOLLOUT */
void sl_net_drop(sl_link *link);                   /* closes, and lets go of it */

/* link.c: a link of this descriptor, which is its own from now on. */
sl_err sl_link_create(sl_net *net, int fd, const sl_tls *tls, const struct sockaddr *address,
                      link_stage stage, sl_link **link) SL_CHECKED;

/* link_io.c: the thread. Everything ends in sl_link_step(): looks what can be done, and does it. */
void sl_link_step(sl_link *link, bool readable, bool writable, uint64_t now_ns);
void sl_link_watch_time(sl_link *link, uint64_t now_ns);
/* Ends it, and tells its owner why. sl_link_refuse() tells the peer too. */
void sl_link_fail(sl_link *link, sl_err err, const char *format, ...) SL_PRINTF(3, 4);
void sl_link_refuse(sl_link *link, sl_err err, const char *why);
/* link.c: room behind what a buffer holds, or NULL. */
uint8_t *sl_out_reserve(out_buffer *buffer, size_t bytes);

#endif
