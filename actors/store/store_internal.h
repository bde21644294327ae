/* What the files of the store share. */
#ifndef SL_STORE_INTERNAL_H
#define SL_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "actors/store/store.h"
#include "actors/store/spill.h"
#include "actors/store/store_msgs.h"
#include "runtime/shared.h"

/* A node's part in an object of ours. */
typedef struct sl_holder {
    uint32_t node;
    uint32_t holds;  /* of this node itself: for handles that are on their way */
    uint32_t leases; /* it was told the place */
} sl_holder;

/* Names of an own object that are on their way here, with a hold for this node: coming.c. */
typedef struct sl_coming {
    uint32_t from;  /* who asked for the holds */
    uint32_t holds; /* in this life of the link to it … */
    uint32_t lost;  /* … and in one that has ended */
} sl_coming;

/* What is to be told an owner. */
typedef struct sl_giving {
    struct sl_giving *next;
    sl_store_id id;
    uint32_t holds, leases;
    uint32_t to; /* SL_NO_NODE: its owner; else who was to hold it */
} sl_giving;

struct sl_store_object {
    sl_store *store;
    sl_store_id id;
    sl_store_object *next; /* in its bucket */
    uint32_t references;   /* handles, and requests */
    bool sealed;           /* own: it may be read */
    bool here;             /* it can be read: `data` is set */
    sl_store_type type;
    uint64_t bytes;
    const void *data;
    sl_blob *blob; /* own, or a copy; NULL: mapped */
    sl_shared_map *map;
    sl_holder *holders; /* own */
    uint32_t holder_count;
    sl_coming *coming; /* own */
    uint32_t coming_count;
    uint32_t held, leased;          /* foreign: at its owner */
    sl_giving *giving;              /* foreign: made before there is anything to give back */
    sl_store_object *newer, *older; /* in one of the lists: */
    bool idle;                      /* a copy whose content nobody has */
    bool listed;                    /* own, and may be spilled: spilling.c */
    bool busy;                      /* own: it is being written to the disk, or read */
    bool stored;                    /* own: the disk has it, at `place`, and … */
    bool spilled;                   /* … memory has not */
    uint32_t pins;                  /* of those that have its content */
    sl_spill_place place;
};

/* A spilled object that another node has asked for. */
typedef struct sl_reading {
    struct sl_reading *next;
    sl_store_object *object; /* retained; once it is read, pinned */
    uint32_t node;
    store_get get;
    sl_store_content content;
    sl_err err;
    char why[256];
} sl_reading;

typedef enum sl_asking_kind { SL_ASKING_GET, SL_ASKING_HOLD } sl_asking_kind;

/* A thread waits for it. */
typedef struct sl_asking {
    struct sl_asking *next;
    _Atomic uint32_t references; /* the thread's and the actor's */
    _Atomic uint32_t done;
    sl_asking_kind kind;
    sl_store_object *object; /* retained */
    uint32_t holder;
    uint64_t cookie;
    bool early;  /* nobody waits: it is asked for because its name has come */
    bool copied; /* its bytes are wanted, whatever the host */
    sl_err err;
    char detail[256];
} sl_asking;

struct sl_store {
    _Atomic uint32_t references;
    sl_store_options options;
    uint64_t host;     /* 0: nothing is shared */
    sl_shared *shared; /* NULL: objects lie in memory of this process alone */

    pthread_mutex_t lock; /* of what follows */
    sl_store_object **buckets;
    uint32_t bucket_count, object_count;
    sl_store_object *newest, *oldest; /* copies whose content nobody has */
    uint64_t idle_bytes;              /* of them */
    uint64_t sequence, used_bytes, copies;

    sl_spill *spill;        /* NULL: nothing is spilled; the file has a lock of its own */
    pthread_cond_t changed; /* an object is not busy any more, or there is more room */
    uint32_t hungry;        /* threads that wait for room */
    sl_store_object *newest_own, *oldest_own; /* that may be spilled */
    uint64_t listed_bytes, spills, loads;
    uint32_t writing; /* threads that spill */
    pthread_t reader;
    pthread_cond_t wanted;      /* there is something to read, or `closing` */
    sl_reading *to_read, *read; /* the oldest first; the newest first, for the actor */
    uint32_t reading;           /* of both, and the one that is being read */
    bool reads, closing;        /* there is a reader; it is to end */
    sl_asking *asked;           /* the newest first, for the actor to take */
    sl_giving *givings;         /* the same */
    bool *lost;                 /* by node */
    sl_node *node;              /* while the actor runs */
    bool told;                  /* the event is on its way */
    sl_event event;
};

/* An object that was asked for and could not be sent yet. */
typedef struct sl_owed {
    struct sl_owed *next;
    uint32_t node;
    uint64_t cookie;
    sl_store_type type;
    sl_blob *blob;
} sl_owed;

/* The actor's. */
typedef struct sl_store_state {
    sl_store *store;
    sl_actor *self;
    uint64_t cookie;
    sl_asking *waiting; /* for answers */
    sl_giving *giving;  /* that could not be told: the link is lost */
    sl_owed *owed, **owed_end;
    uint32_t owed_count;
    sl_shared_map *maps[64]; /* of others' memory; the first free is NULL */
} sl_store_state;

static inline sl_addr sl_store_at(uint32_t node) {
    return sl_addr_well_known(node, SL_SLOT_STORE);
}

/* store_serve.c: what other nodes ask, and what they are owed. */
void sl_store_on_get(sl_store_state *s, uint32_t node, const store_get *get);
/* What was spilled has been read for it: frees `reading`. */
void sl_store_on_read(sl_store_state *s, sl_reading *reading);
void sl_store_on_hold(sl_store_state *s, uint32_t node, const store_hold *hold);
void sl_store_on_release(sl_store_state *s, uint32_t node, const store_release *body);
/* Sends as far as there is room; those to lost nodes go nowhere. */
void sl_store_pay(sl_store_state *s);
void sl_owed_free(sl_owed *one);

/* objects.c: under the lock. */
sl_store_object *sl_store_find(sl_store *store, sl_store_id id);
/* Room for `bytes` more, if need be by letting go of copies; they are added to `gone`, linked by
 * `next`, to be freed by sl_store_bury() without the lock. */
bool sl_store_make_room(sl_store *store, uint64_t bytes, sl_store_object **gone);
uint64_t sl_store_room(const sl_store *store);
/* An own object that nobody has any more leaves the table. */
void sl_store_look_over(sl_store_object *object, sl_store_object **gone);
sl_holder *sl_store_holder(sl_store_object *object, uint32_t node, bool make);

void sl_store_relist_copy(sl_store_object *object);
/* Gives the place of a foreign object back, if nobody has its content, so that its owner may spill
 * it. Handles stay. */
void sl_store_leave_place(sl_store_object *object, sl_store_object **gone);
/* One more handle; the first keeps the store. */
void sl_store_retain(sl_store_object *object);

/* coming.c: under the lock. Makes a hold for this node on an own object, for who sends its name
 * here; false without memory. */
bool sl_store_comes(sl_store_object *object, uint32_t from);
/* It has come: a handle has taken it over. */
void sl_store_has_come(sl_store_object *object);
/* It will not; false: there is none of that node's. */
bool sl_store_comes_not(sl_store_object *object, uint32_t from);
/* The node is lost: true if something of its may never come. */
bool sl_store_coming_lost(sl_store_object *object, uint32_t from);
/* Without it: what may never come is given up after a while, and now. */
void sl_store_await_coming(sl_store_state *s, uint32_t from);
void sl_store_coming_over(sl_store_state *s, uint32_t from);

/* Without it. */
void sl_store_bury(sl_store_object *gone);
sl_err sl_store_memory(sl_store *store, uint64_t bytes, sl_blob **blob);

/* spilling.c: under the lock. After something that decides whether memory may do without an object.
 */
void sl_store_relist(sl_store_object *object);
void sl_store_unlist(sl_store_object *object);
/* The reader brings it back, for a get that is answered then. False: no memory, or no reader. */
bool sl_store_read_for(sl_store *store, uint32_t node, const store_get *get,
                       sl_store_object *object);

enum { SL_STORE_ROUND_NS = 50000000 };

static inline void sl_store_feed(sl_store *store) {
    if (store->hungry)
        pthread_cond_broadcast(&store->changed);
}

/* Without it. Waits up to `rounds` times this long for room that others have; false: it was in
 * vain. */
bool sl_store_await_room(sl_store *store, uint32_t *rounds);

/* Counts so many bytes before memory is taken for them; blocks to spill others, but on
 * a loop's thread, where nothing is. SL_ERR_NO_MEMORY. */
sl_err sl_store_reserve(sl_store *store, uint64_t bytes) SL_CHECKED;
void sl_store_unreserve(sl_store *store, uint64_t bytes);
/* Spills what is beyond the limit, as far as it can. */
void sl_store_trim(sl_store *store);
/* An own object that is spilled; blocks. SL_OK: look again. */
sl_err sl_store_bring_back(sl_store_object *object) SL_CHECKED;
/* The loop's thread. */
sl_err sl_store_start_reader(sl_store *store) SL_CHECKED;
void sl_store_stop_reader(sl_store *store);
void sl_reading_free(sl_reading *reading);

/* asking.c: wakes the actor, under the lock; and ends a request. */
void sl_store_tell(sl_store *store);
void sl_asking_end(sl_asking *asking, sl_err err, const char *detail);
void sl_asking_drop(sl_asking *asking);

#endif
