/* Channels: what stands between actors and the transport, one per peer.
 *
 * Outwards, messages are gathered into frames and the frames leave once a turn, control before
 * data, as far as the peer's window allows. Inwards, frames are decoded with bounds and delivered;
 * what a message weighed is given back to its sender as credit when it has been handled, so that
 * the memory a peer can take here is bounded whatever its actors do. A link that was lost is opened
 * again by an exchange of incarnations (link.c). Private to runtime/. */
#ifndef SL_RUNTIME_CHANNEL_H
#define SL_RUNTIME_CHANNEL_H

#include "runtime/actor.h"
#include "runtime/transport.h"

struct sl_envelope;

enum {
    SL_FRAME_MAGIC = 0x4c53, /* "SL" */
    SL_FRAME_VERSION = 2,
    SL_FRAME_GOODBYE = 1,        /* flag: no message follows from this node, only credit */
    SL_FRAME_HELLO = 2,          /* flag: no frame of a link; an sl_hello follows the head */
    SL_FRAME_ASK = 4,            /* flag: the sender wants any frame in return, at once */
    SL_RECORD_BULK_BODY = 1,     /* flag: the body comes as bulk data */
    SL_MAX_TRANSFERS = 1 << 20,  /* from the oldest that is under way to the newest */
    SL_TRANSFER_WEIGHT = 8192,   /* what a transfer counts in the bulk window beside its bytes */
    SL_CONTROL_WINDOW = 1 << 20, /* unhandled bytes of the control lane */
    SL_CONTROL_QUEUE =
        16 << 20 /* bytes of the control lane waiting to leave; beyond: SL_ERR_AGAIN */
};

/* The head of every frame, as it lies on the wire. */
typedef struct sl_frame_head {
    uint16_t magic;
    uint8_t version;
    uint8_t lane;
    uint32_t bytes;       /* of the whole frame */
    uint32_t incarnation; /* the sender's, on this link */
    uint16_t flags;
    uint16_t records;
    uint64_t sequence;           /* of this lane, from 0 */
    uint64_t consumed[SL_LANES]; /* bytes of the receiver's messages handled so far */
    uint64_t consumed_bulk;
} sl_frame_head;

/* The head of every message in a frame; records are padded to 8 bytes. */
typedef struct sl_record_head {
    uint32_t body_bytes;
    uint16_t type;
    uint16_t flags;
    uint32_t to_slot;
    uint32_t to_generation;
    uint32_t from_slot;
    uint32_t from_generation;
} sl_record_head;

/* Offers a link between the sender's incarnation and, once it is known, the receiver's. */
typedef struct sl_hello {
    uint32_t answers; /* 1: `yours` is known, 0: it is not */
    uint32_t yours;
    uint64_t first_bulk_id; /* of the sender's transfers */
} sl_hello;

_Static_assert(sizeof(sl_frame_head) == 48, "frame head has no padding");
_Static_assert(sizeof(sl_hello) == 16, "hello has no padding");
_Static_assert(sizeof(sl_record_head) == 24, "record head has no padding");

/* A frame being filled, or waiting for the window. */
typedef struct sl_gather {
    struct sl_gather *next;
    uint32_t bytes; /* with the head */
    uint16_t records;
} sl_gather;

typedef struct sl_lane_out {
    sl_gather *head;
    sl_gather *tail;
    uint64_t queued_bytes; /* records not yet posted */
    uint64_t sent_bytes;   /* records posted since the beginning */
    uint64_t acked_bytes;  /* handled by the peer */
    uint64_t sequence;
} sl_lane_out;

typedef struct sl_lane_in {
    uint64_t sequence;
    uint64_t received_bytes;
    uint64_t consumed_bytes;
    uint64_t told_bytes; /* of them the peer knows */
} sl_lane_in;

/* Transfers with consecutive ids, forgotten from the front as they complete. */
typedef struct sl_transfer {
    struct sl_envelope *envelope; /* inbound: whose part it is; NULL: done */
    sl_blob *blob;                /* inbound: what has come; outbound: what is not yet sent */
    uint64_t bytes;
    uint32_t offset;
    uint8_t is_body;
    uint8_t done;
} sl_transfer;

typedef struct sl_transfers {
    sl_transfer *ring; /* capacity is a power of two */
    uint32_t capacity;
    uint32_t count;
    uint64_t first_id;
    uint64_t start_id; /* the first that the transport does not know of yet */
} sl_transfers;

/* A peer that nothing was exchanged with, or only little and long ago, has no channel: what remains
 * of it is little, or nothing. */
typedef enum sl_peer_state {
    SL_PEER_UNTOUCHED,
    SL_PEER_RESTING,
    SL_PEER_LIVE,
    SL_PEER_SAID_GOODBYE,
    SL_PEER_LOST
} sl_peer_state;

/* What is known of every peer. */
typedef struct sl_peer {
    uint32_t incarnation; /* known since its first frame */
    uint8_t state;
    uint8_t known : 1;
    uint8_t goodbye_sent : 1;
    uint8_t dirty : 1;  /* in channels->dirty */
    uint8_t barred : 1; /* lost for good; then it may have no channel */
    uint16_t heard_ms;  /* when its last frame came: of the node's clock the low bits */
} sl_peer;

typedef struct sl_channel {
    sl_peer peer;
    sl_lane_out out[SL_LANES];
    sl_lane_in in[SL_LANES];
    sl_transfers bulk_out;
    sl_transfers bulk_in;
    /* Bulk data with SL_TRANSFER_WEIGHT for each transfer. */
    uint64_t bulk_sent_bytes;
    uint64_t bulk_acked_bytes;
    uint64_t bulk_wanted_bytes; /* the most that a refused send asked for */
    uint64_t bulk_announced_bytes;
    uint64_t bulk_consumed_bytes;
    uint64_t bulk_told_bytes;
    uint32_t own;      /* incarnation of this node, on this link */
    uint32_t calls;    /* that were asked for since the link was lost */
    uint8_t awaited;   /* an actor waits for room */
    uint8_t hello_due; /* a HELLO is to be sent before anything else */
    uint8_t buried;    /* it was the peer who gave the link up */
    uint8_t held;      /* what is sent waits here */
    uint8_t ask;       /* a frame that asks for an answer is to leave */
    uint8_t answer;    /* the peer asked for a frame */
} sl_channel;

typedef struct sl_channels {
    sl_peer **peers; /* those with a channel are its head; see sl_channel_of() */
    uint32_t *open;  /* peers that have a channel, in any order */
    uint32_t *dirty; /* of them, those with something to flush or to acknowledge */
    uint32_t open_count;
    uint32_t open_capacity; /* of both lists */
    uint32_t hand;          /* in `open`: which is next asked whether it may rest */
    uint32_t dirty_count;
    uint32_t frame_bytes;
    uint64_t queued_bytes; /* over all peers */
    uint32_t said_goodbye; /* peers that have, or are lost */
    bool stalled;          /* the transport has too many transfers under way to start all */
    sl_gather *free_gathers;
    uint32_t free_gather_count;
} sl_channels;

/* The channel of a peer whose state is SL_PEER_LIVE, _SAID_GOODBYE or _LOST and that is not barred,
 * or of any that was ever opened and could not rest since. */
#define sl_channel_of(node, number) ((sl_channel *)(void *)(node)->channels.peers[number])

sl_err sl_channels_init(sl_node *node);

/* channel_rest.c: the channel of a peer that is not barred, made if need be; NULL: no memory. */
sl_channel *sl_channel_open(sl_node *node, uint32_t peer);
void sl_channels_fini(sl_node *node);

sl_err sl_channel_send(sl_node *node, sl_addr from, sl_addr to, const sl_message_type *type,
                       const void *body);
/* May an actor that was refused try again? False also asks for sl_waiters_tell_node() when it may.
 */
bool sl_channel_await_room(sl_node *node, uint32_t peer);

/* A message from `peer` was handled: its bytes may come again. */
void sl_channel_credit(sl_node *node, uint32_t peer, sl_lane lane, uint64_t bytes,
                       uint64_t bulk_bytes);

/* The last bulk part of an envelope has come, or never will: its mailbox may go on. */
void sl_channel_unblock(sl_node *node, struct sl_envelope *envelope);

/* Posts what the windows allow. True when anything left. */
bool sl_channels_flush(sl_node *node);

/* Delivers what the transport has. True when anything came. */
bool sl_channels_poll(sl_node *node);

/* Says goodbye to every live peer that everything has left for; true when all have been told. */
bool sl_channels_goodbye(sl_node *node);

/* Is nothing more to be expected from `peer`: it is lost, or has said goodbye and all bulk data
 * both ways has arrived? */
bool sl_channel_ended(const sl_node *node, uint32_t peer);

/* channel_rest.c, for link.c: true when the peer has no channel; then it is lost for good. */
bool sl_channel_bar_unopened(sl_node *node, uint32_t peer);

/* channel_hold.c: as sl_node_peer_hold(), _held() and _ask(). */
void sl_channel_hold(sl_node *node, uint32_t peer, bool hold);
bool sl_channel_held(const sl_node *node, uint32_t peer);
void sl_channel_ask(sl_node *node, uint32_t peer);

/* As sl_node_peer_frames(). */
uint64_t sl_channel_frames(const sl_node *node, uint32_t peer, uint64_t *ago_ns);

/* channel.c, for channel_in.c and link.c */
void sl_channel_mark(sl_node *node, uint32_t peer);
void sl_channel_clear(sl_node *node, sl_channel *channel);

/* ---- link.c ---- */

/* All links are lost from the beginning, and called for: see sl_node_options.rejoins. */
void sl_links_rejoin(sl_node *node);

/* Of a peer that is not lost. Without memory to note what its next life needs, it is barred. */
void sl_link_lose(sl_node *node, uint32_t peer);

/* As sl_link_lose(), also of one that is lost already: nothing of it is heard any more. */
void sl_link_bar(sl_node *node, uint32_t peer);

/* Something came from a peer whose link is lost: it is told, as often as it speaks. */
void sl_link_answer(sl_node *node, uint32_t peer);

/* Calls a peer whose link is lost, or not: the less often, the longer it has been lost. */
void sl_link_call(sl_node *node, uint32_t peer);

/* A HELLO frame from `peer`, whose size was checked. */
void sl_link_hello(sl_node *node, uint32_t peer, const sl_frame_head *head, const sl_hello *hello);

/* Posts the HELLO that is due; false when it cannot be posted yet. */
bool sl_link_post_hello(sl_node *node, uint32_t peer);

/* transfers.c. The transfers of a peer are added with consecutive ids, started in order, end in any
 * order, and are forgotten in order. Pointers hold until the next is added. */
bool sl_transfers_reserve(sl_transfers *transfers, uint32_t count);
sl_transfer *sl_transfers_add(sl_transfers *transfers);
sl_transfer *sl_transfers_find(sl_transfers *transfers, uint64_t id);
void sl_transfers_trim(sl_transfers *transfers);

/* Starts those the transport does not know of yet, or as many as it takes. On error: lose the peer.
 */
sl_err sl_transfers_start(sl_node *node, uint32_t peer, bool outward) SL_CHECKED;
void sl_transfers_start_stalled(sl_node *node);
void sl_transfers_clear(sl_node *node, sl_transfers *transfers);

#endif
