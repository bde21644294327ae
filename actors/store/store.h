/* The store: objects, data that tasks of any node may read.
 *
 * A node has one: a table that any thread uses, and an actor that speaks with the other stores. An
 * object is made at one node, its owner, written, sealed, and from then on the same for ever; its
 * id is never used again. The owner keeps it as long as a handle of its own program or a hold of
 * another node is left.
 *
 * A handle (sl_store_object) is a program's reference at one node; a hold is a node's reference at
 * the owner. A handle of a foreign object may be borrowed: without a hold, while somebody else is
 * known to keep it (who submitted a task keeps the objects among its arguments). A node that is
 * lost holds nothing any more; memory that it has mapped is kept until its process has ended.
 *
 * Unless said otherwise a function is for any thread. */
#ifndef SL_STORE_STORE_H
#define SL_STORE_STORE_H

#include "actors/store/spill.h"
#include "runtime/actor.h"

enum { SL_STORE_DIMENSIONS_MAX = 8 };

typedef struct sl_store_id {
    uint32_t node;        /* that made it */
    uint32_t incarnation; /* which life of it */
    uint64_t sequence;
} sl_store_id;

/* What an object is: the application's to understand. */
typedef struct sl_store_type {
    uint8_t kind;
    uint8_t dtype;
    uint32_t dimensions;
    uint64_t shape[SL_STORE_DIMENSIONS_MAX];
} sl_store_type;

typedef struct sl_store sl_store;
typedef struct sl_store_object sl_store_object;

typedef struct sl_store_options {
    uint32_t node;
    uint32_t nodes;              /* of the network */
    uint32_t incarnation;        /* of this life of the node */
    uint64_t limit_bytes;        /* for objects made here and copies of others' */
    bool shares;                 /* other nodes are other processes, some perhaps of this host */
    const char *spill_directory; /* for objects beyond the limit; NULL: there are none */
    const sl_spill_disk *disk;   /* NULL: the system's */
    uint64_t coming_ns;          /* what a lost node had sent is opened within that; 0: 10 s */
} sl_store_options;

/* The caller's reference; handles keep a store too. SL_ERR_IO: objects cannot be spilled there. */
sl_err sl_store_create(const sl_store_options *options, sl_store **store) SL_CHECKED;
void sl_store_release(sl_store *store); /* NULL is fine */

/* At SL_SLOT_STORE of a node; its argument is a pointer to the store, borrowed while it runs. When
 * it stops, requests fail with SL_ERR_CLOSED; what is here stays readable. */
extern const sl_actor_class sl_store_class;

/* A new object of this node, to be written at sl_store_data(), then sealed. One reference. Others,
 * whose content nobody has, may be spilled for it, which blocks for the disk; on a loop's thread
 * none is. SL_ERR_NO_MEMORY: the limit would be passed, or the disk takes no more. */
sl_err sl_store_make(sl_store *store, const sl_store_type *type, uint64_t bytes,
                     sl_store_object **object) SL_CHECKED;
void *sl_store_data(sl_store_object *object); /* NULL once it is sealed, or of a foreign one */
sl_err sl_store_seal(sl_store_object *object) SL_CHECKED;

/* A handle for an id that came from elsewhere, one reference. `held`: whoever sent the id made a
 * hold for this node, which passes to the handle; else it is borrowed. SL_ERR_NOT_FOUND: it cannot
 * be one (any more). */
sl_err sl_store_open(sl_store *store, sl_store_id id, bool held,
                     sl_store_object **object) SL_CHECKED;

sl_store_id sl_store_id_of(const sl_store_object *object);
void sl_store_object_retain(sl_store_object *object);
void sl_store_object_release(sl_store_object *object); /* NULL is fine */

/* True when nothing has to be asked of another node for `object` to be read, or held. */
bool sl_store_is_here(sl_store_object *object);
bool sl_store_is_held(sl_store_object *object);

/* The object's content, valid until it is unpinned, which follows each success while a handle is
 * left. Waits up to `timeout_ns` for its owner (UINT64_MAX: for ever), and for the disk, never on a
 * loop's thread.
 * SL_ERR_TIMEOUT, which may come early: who has a clock looks at it, and goes on; SL_ERR_DEAD: its
 * owner is lost; SL_ERR_NOT_FOUND: it is no more; SL_ERR_INVALID: it is not sealed;
 * SL_ERR_NO_MEMORY: it is larger than what the limit leaves, and, where objects can be spilled,
 * nobody has let go of enough within 10 s; SL_ERR_IO: it was spilled, and cannot
 * be read; SL_ERR_CLOSED. */
typedef struct sl_store_content {
    sl_store_type type;
    const void *data;
    uint64_t bytes;
} sl_store_content;
sl_err sl_store_get(sl_store_object *object, uint64_t timeout_ns,
                    sl_store_content *content) SL_CHECKED;
void sl_store_unpin(sl_store_object *object);
/* The same for who writes an own object, and goes on having its content when it is sealed. */
void sl_store_pin(sl_store_object *object);

/* Asks for the place of an object whose name has just come, so that it is known when somebody reads
 * it; where more than a few bytes would have to be copied nothing happens. Waits for nothing; the
 * loop too. */
void sl_store_expect(sl_store_object *object);

/* Makes a hold for `node`: for this one (then the handle has it, whoever else lets go), or for one
 * that is sent the id. Waits as above if the object is foreign. SL_ERR_DEAD: that node is lost. */
sl_err sl_store_hold(sl_store_object *object, uint32_t node, uint64_t timeout_ns) SL_CHECKED;

/* Takes back a hold made for `node`, which has not been sent the id and never will be. Waits for
 * nothing; the loop too. */
void sl_store_unhold(sl_store_object *object, uint32_t node);

/* For tests and metrics. */
typedef struct sl_store_load {
    uint64_t objects;       /* known here: own ones, and others' with a handle or a copy */
    uint64_t owned;         /* of them this node's own */
    uint64_t bytes;         /* that count against the limit */
    uint64_t holds;         /* of other nodes, on own objects */
    uint64_t leases;        /* of other nodes, on memory of this one */
    uint64_t mapped;        /* foreign objects read in their owner's memory */
    uint64_t copies;        /* foreign objects that have been copied here so far */
    uint64_t pinned;        /* own objects whose content somebody has */
    uint64_t spilled;       /* own objects that only the disk has */
    uint64_t spills, loads; /* so far: to the disk, and back */
} sl_store_load;
sl_store_load sl_store_loads(sl_store *store);

#endif
