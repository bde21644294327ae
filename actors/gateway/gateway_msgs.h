/* The gateway's protocol: what clients and it say to each other. */
#ifndef SL_GATEWAY_MSGS_H
#define SL_GATEWAY_MSGS_H
#define SL_PROTOCOL "actors/gateway/gateway_msgs.def"
#include "runtime/protocol.h"

/* A message on a link: a head, a record, and, where a record refers to large data, these.
 *
 *   u8 kind, u8 zero[3], u32 record bytes, the record, data
 */
enum {
    SL_GATEWAY_VERSION = 3,
    SL_GATEWAY_HEAD_BYTES = 8,
    SL_GATEWAY_MESSAGE_BYTES = 64 << 20, /* the longest of a client */
    SL_GATEWAY_SESSION_BYTES = 33,       /* of a session's name, with its NUL */
    SL_GATEWAY_PIECE_BYTES = 65000,  /* of an object in one message, which is one frame with them */
    SL_GATEWAY_READ_BYTES = 1 << 20, /* of an object by one request */
    SL_GATEWAY_HEAD_OF_OUTPUT = 16384, /* that comes with the word of a command's end */
    SL_GATEWAY_LOG_BYTES = 262144,     /* of output by one request */
    SL_GATEWAY_LOGS_MOST = 32,         /* such requests under way in a session */
    SL_GATEWAY_ORDERS_MOST = 8,        /* of who runs the network, likewise */
    SL_GATEWAY_AUDIT_BYTES = 262144    /* of the audit log by one of those */
};

/* Why a link ends when the network was ended by an order. */
#define SL_GATEWAY_WAS_ENDED "the network was ended by who runs it"

/* Objects that the gateway names, as results, have numbers from here on. */
#define SL_GATEWAY_OBJECT_OWN (UINT64_C(1) << 63)

typedef enum sl_gateway_kind {
    SL_GATEWAY_HELLO = 1,
    SL_GATEWAY_WELCOME,
    SL_GATEWAY_SUBMIT,
    SL_GATEWAY_RESULTS,
    SL_GATEWAY_CANCEL,
    SL_GATEWAY_ASK,
    SL_GATEWAY_STATUS,
    SL_GATEWAY_PUT,
    SL_GATEWAY_PIECE,
    SL_GATEWAY_READ,
    SL_GATEWAY_RELEASE,
    SL_GATEWAY_OBJECT,
    SL_GATEWAY_RUN,
    SL_GATEWAY_NAMED,
    SL_GATEWAY_ENDED,
    SL_GATEWAY_FORGET,
    SL_GATEWAY_LOOK,
    SL_GATEWAY_SEEN,
    SL_GATEWAY_LOGS,
    SL_GATEWAY_LOG,
    SL_GATEWAY_TAKEN,
    SL_GATEWAY_BYE,
    SL_GATEWAY_LONG, /* these two: parts of a message (gateway_stream.h) */
    SL_GATEWAY_MORE,
    SL_GATEWAY_WHO,
    SL_GATEWAY_NODES,
    SL_GATEWAY_ORDER,
    SL_GATEWAY_ORDERED,
    SL_GATEWAY_SPAWN,
    SL_GATEWAY_LETTER,
    SL_GATEWAY_FIND,
    SL_GATEWAY_COLLECT,
    SL_GATEWAY_KINDS
} sl_gateway_kind;

/* What is said to an actor. */
typedef enum sl_gateway_letter_what {
    SL_GATEWAY_CALL,
    SL_GATEWAY_MOVE,
    SL_GATEWAY_STOP,
    SL_GATEWAY_WATCH, /* answered when it has ended, by why */
    SL_GATEWAY_WHATS, /* … clients may say these */
    SL_GATEWAY_NOTHING = SL_GATEWAY_WHATS
} sl_gateway_letter_what;

/* What who runs the network may do. */
typedef enum sl_gateway_act {
    SL_ACT_PROJECTS = 1, /* how are all of them? */
    SL_ACT_KEYS,         /* which are there? */
    SL_ACT_REVOKE,       /* this key holds no more */
    SL_ACT_CANCEL,       /* takes back all tasks of a project */
    SL_ACT_AUDIT,        /* the end of the audit log */
    SL_ACT_DOWN,         /* ends the network, once its tasks have ended */
    SL_ACTS
} sl_gateway_act;

/* How a command stands. */
typedef enum sl_gateway_state {
    SL_GATEWAY_UNKNOWN, /* there is no such command of the project, or not any more */
    SL_GATEWAY_WAITS,
    SL_GATEWAY_BEGUN,
    SL_GATEWAY_OVER
} sl_gateway_state;

/* What of a message lies where. */
typedef struct sl_gateway_parts {
    sl_gateway_kind kind;
    const uint8_t *record;
    size_t record_bytes;
    const uint8_t *data;
    size_t data_bytes;
} sl_gateway_parts;

/* Any bytes. SL_ERR_DECODE. */
sl_err sl_gateway_take_apart(const uint8_t *bytes, size_t size, sl_gateway_parts *parts) SL_CHECKED;

/* What messages of this kind hold; NULL: there is no such kind. */
const sl_record *sl_gateway_record(sl_gateway_kind kind);

/* The record of a message, decoded, which must be of this kind: to be freed; or NULL, with an
 * error (SL_ERR_DECODE, SL_ERR_NO_MEMORY). */
void *sl_gateway_decode(const sl_gateway_parts *parts, sl_gateway_kind kind);

/* A message with this record, in memory that is the caller's; NULL with an error (SL_ERR_TOO_LARGE,
 * SL_ERR_NO_MEMORY). */
uint8_t *sl_gateway_encode(sl_gateway_kind kind, const void *record, size_t *size);

/* Writes a head to `out`. */
void sl_gateway_head(uint8_t out[SL_GATEWAY_HEAD_BYTES], sl_gateway_kind kind, uint32_t bytes);

#endif
