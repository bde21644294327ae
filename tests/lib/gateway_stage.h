/* A whole gateway with everything around it in memory: a door whose links are the reader of frames
 * and the test, a scheduler that answers when it is told to, objects, keys. It aborts where the
 * gateway breaks its word: what it answers decodes, nothing follows a link's end, a task has at
 * most one result, and exactly one in the end if its client is still there, no tag is given twice.
 * One thread, one stage. */
#ifndef SL_TESTS_GATEWAY_STAGE_H
#define SL_TESTS_GATEWAY_STAGE_H

#include "actors/gateway/gateway.h"
#include "net/frame.h"
#include "runtime/node.h"

enum { CLIENTS = 4, NUMBERS_MOST = 512, TAGS_MOST = 4096, UNANSWERED_MOST = 256 };

/* A task of a client, or what is answered as one: how often it was submitted, and answered; and how
 * often it may be besides. */
typedef struct number {
    uint64_t number;
    uint32_t submitted, answered, may;
    bool letter;
} number;

typedef struct client {
    sl_visitor visitor; /* first */
    sl_frame_reader reader;
    uint32_t host;
    bool here, closed, ended, left; /* closed by the gateway; its link has ended */
    bool paused, deaf, welcomed;
    bool lossy;    /* its tasks cannot all be told apart, or are of an earlier connection too */
    uint64_t last; /* number of a task, or a command */
    uint64_t put, put_bytes, put_got; /* the last object it brought */
    uint64_t refusals;                /* of letters to actors that it has heard of */
    uint32_t number_count;
    number numbers[NUMBERS_MOST];
} client;

/* What the scheduler was asked and has not answered. */
typedef struct asked {
    uint64_t first_tag;
    uint32_t count;
} asked;

typedef enum order_kind { ORDER_ACCEPT = 1, ORDER_REFUSE, ORDER_END } order_kind;

typedef struct stage {
    struct fake_transport *fake;
    sl_node *node;
    sl_pool *pool;
    sl_clock clock;
    uint64_t now_ns;
    sl_addr gateway, scheduler;
    client clients[CLIENTS];
    uint32_t visits; /* told, and not dealt with */

    asked asked[UNANSWERED_MOST];
    uint32_t asked_count;
    uint32_t accepted_count, tag_count; /* of all that are under way */
    uint64_t tags[TAGS_MOST];
    sl_event order;
    uint8_t status; /* of ORDER_END */
    bool with_data, with_object, is_slow;
    char session[SL_GATEWAY_SESSION_BYTES]; /* the last that was opened */
    uint64_t named;                         /* id of what was detached last */
} stage;

extern stage the_stage;

void stage_open(void);
/* `orderly`: all tasks end and all clients leave before, and what was promised is checked. */
void stage_close(bool orderly);
void stage_turn(void);

void stage_come(client *c, uint8_t host);
/* Bytes of its link. What cannot be read ends it. */
void stage_hear(client *c, const uint8_t *data, size_t bytes);
void stage_deafen(client *c, bool deaf); /* takes nothing more, or goes on */
void stage_leave(client *c);

/* The scheduler answers the oldest submit, or ends the oldest task, as `the_stage` says; and with
 * it the oldest letter to an actor is answered. */
void stage_order(order_kind kind);

#endif
