/* The gateway actor: clients from outside the job, their tasks, and what they may.
 *
 * A client says its API key and project, submits calls of functions, and gets each one's result; it
 * brings objects, and gets those that tasks return. It sees what it submitted itself, and sums of
 * its project, and nothing else: numbers are its own, and nothing in the protocol names what is
 * another's. Its tasks go to the scheduler of the gateway's node. A client that goes takes its
 * tasks with it: they are cancelled.
 *
 * How bytes reach it is the door's matter (the simulator and tests have one of their own). */
#ifndef SL_GATEWAY_GATEWAY_H
#define SL_GATEWAY_GATEWAY_H

#include "actors/gateway/gateway_msgs.h"
#include "actors/gateway/key_store.h"
#include "runtime/actor.h"
#include "runtime/pool.h"

/* A connection, as the door knows it. */
typedef struct sl_visitor sl_visitor;

/* What the gateway asks of the door; all on the loop's thread, none of it waits. */
typedef struct sl_gateway_door {
    /* Sends head and data (NULL: none; retained) as one message. SL_ERR_AGAIN: a VISIT_ROOM event
     * follows; else the visitor is about to leave. */
    sl_err (*send)(sl_visitor *visitor, const void *head, size_t bytes, sl_blob *data);
    void (*trust)(sl_visitor *visitor);              /* it has shown its key */
    void (*pause)(sl_visitor *visitor, bool paused); /* takes no more of it */
    void (*close)(sl_visitor *visitor, const char *why);
    const char *(*address)(const sl_visitor *visitor); /* without the port */
    /* The event has been dealt with; after VISIT_LEFT the visitor is the door's again. */
    void (*done)(sl_event *event);
} sl_gateway_door;

/* What the door tells, as node_event messages: event.kind. */
typedef enum sl_visit_kind {
    VISIT_CAME = 1,
    VISIT_SAID,
    VISIT_ROOM,
    VISIT_LEFT,
    VISIT_KINDS
} sl_visit_kind;

typedef struct sl_visit {
    sl_event event; /* first */
    sl_visitor *visitor;
    const uint8_t *bytes; /* VISIT_SAID: a message */
    size_t size;
} sl_visit;

/* Where the door keeps what the gateway knows of a visitor: it is the first member. */
struct sl_visitor {
    void *session;
};

/* Names the gateway's own object of a client's number; NULL: it has none such. `data`: the argument
 * is what is in it, which has to be fetched first. */
typedef void *(*sl_gateway_naming)(void *context, uint64_t number, bool data);

/* What the gateway asks of the network's store. On the loop's thread, and nothing waits, but
 * fetch(), which a pool's thread calls. An object here is a handle, which release() ends. */
typedef struct sl_gateway_objects {
    void *context;
    /* A new object of what a client says of it, to be written. SL_ERR_INVALID: it cannot be one;
     * SL_ERR_NO_MEMORY: the store has no room. */
    sl_err (*make)(void *context, const gateway_put *put, void **object);
    void (*write)(void *object, uint64_t offset, const uint8_t *data, size_t bytes);
    sl_err (*seal)(void *object);
    void (*release)(void *object); /* any thread; NULL is fine */
    /* Brings its content to where it can be read. */
    sl_err (*fetch)(void *object);
    /* What it is, once fetched or sealed: numbers of `about`, its shape into `shape`. */
    sl_err (*describe)(void *object, gateway_object *about, gateway_dimension shape[8]);
    /* A part of its content, which keeps the object. */
    sl_err (*part)(void *object, uint64_t offset, uint64_t bytes, sl_blob **blob);
    /* Puts the network's names for a client's into a call's arguments. SL_ERR_REFUSED, with the
     * reason: they name what is not its own. */
    sl_err (*arguments)(void *context, uint8_t *arguments, size_t bytes, const sl_blob *data,
                        sl_gateway_naming naming, void *naming_context);
    /* The name by which `function` is called when it has to wait for arguments: in `room`, or its
     * own.
     */
    const char *(*waiting)(const char *function, char room[256]);
    /* Takes the object that a task, or with no name of a function an actor, returned, or that a
     * task's result was kept in, out of its output: the handle, or NULL when that is something
     * else. Such an output has at most SL_GATEWAY_NAMING_BYTES. */
    void *(*result)(void *context, const char *function, sl_bytes output);
    /* Has such an output name the object by a client's number. */
    void (*name)(uint8_t *output, size_t bytes, uint64_t number);
} sl_gateway_objects;

enum { SL_GATEWAY_NAMING_BYTES = 128 };

/* An actor's name in the network. Nobody can guess it: life and number are drawn by the gateway. */
typedef struct sl_gateway_ref {
    uint32_t home, place;
    uint64_t life, number;
} sl_gateway_ref;

/* What is waited for of the network's actors. Its event is told once: with an answer, or an error;
 * of a letter that does not ask, when nobody has anything of it any more. */
typedef struct sl_gateway_word {
    sl_event event; /* first; whom to tell is the gateway's to say */
    sl_err err;
    char *message;   /* malloc'ed, as is the next; or NULL */
    uint8_t *output; /* one value, or nothing */
    size_t output_bytes;
    sl_blob *data; /* beside it */
} sl_gateway_word;

/* What the gateway asks of the host of its node's actors. On the loop's thread, and nothing waits.
 * On an error nothing was done. */
typedef struct sl_gateway_actors {
    void *context;
    /* Starts an actor, of which life and number are given, and the rest is filled in; `end` is told
     * when it has ended: its output is a string that says why, and its message the same. */
    sl_err (*spawn)(void *context, const gateway_spawn *wish, sl_blob *data, sl_gateway_ref *ref,
                    sl_gateway_word *end);
    /* A call, a move, a stop, or nothing, which is answered when the actor has started. */
    sl_err (*send)(void *context, const sl_gateway_ref *ref, const gateway_letter *letter,
                   sl_blob *data, sl_gateway_word *word);
    /* Ends it, whatever waits for it. */
    void (*dismiss)(void *context, const sl_gateway_ref *ref);
    /* An output that names the actor, or is a string; `out` has room for so many bytes. */
    size_t (*name)(const sl_gateway_ref *ref, uint8_t out[64]);
    size_t (*text)(const char *text, uint8_t out[64]);
} sl_gateway_actors;

typedef struct sl_gateway_options {
    const sl_gateway_door *door;
    const sl_gateway_actors *actors;   /* borrowed, outlives the actor */
    const sl_gateway_objects *objects; /* borrowed, outlives the actor */
    sl_pool *fetchers;                 /* borrowed, outlives the actor: fetch() may take long */
    sl_key_store *keys;                /* borrowed, outlives the actor: nobody else uses it */
    sl_pool *pool; /* borrowed, outlives the actor; for the disk, not shared with tasks */
    int audit_fd;  /* borrowed; where lines of JSON are appended; -1: nowhere */
    void (*stop)(sl_actor *self); /* ends the network; NULL: it is not the gateway's to end */
    const char *output;     /* directory that all nodes see, for what commands write: absolute,
                               borrowed;     NULL: commands are refused */
    uint64_t keep_ended_ns; /* how long what became of a detached command is kept */
    uint64_t keep_ns; /* how long the session of a client that was cut off waits; 0: it does not */
    uint64_t keep_bytes;    /* of results kept for such clients of one project; and of the output of
                               its detached commands that have ended */
    uint64_t reserve_bytes; /* of the disk with `output`: with less, no command is taken */
    double core_ucu;        /* what an hour of a core counts for a task that asked for no UCU */
    void (*opened)(void *context, sl_addr gateway); /* it is ready for events; may be NULL */
    void *context;
} sl_gateway_options;

extern const sl_actor_class sl_gateway_class;

#endif
