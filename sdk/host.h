/* The host of a node: where user actors live, and where what is sent to them starts.
 *
 *   send (any thread) -> inbox -> the host of this process's first node -> the host that has the
 *   actor -> its body (on the loop, or on a pool thread) -> the answer -> the future
 *
 * Who sends numbers its messages to each actor and keeps them until they are handled. A host takes
 * them in that order alone; how far each sender's are handled moves along with the actor. Whoever
 * gets a message for an actor that has moved on says where it is, and the sender sends again from
 * the first that is not handled. So nothing is lost, doubled or out of order, whatever the moves,
 * and nothing is forwarded.
 *
 * Only the files sdk/host*.c and gateway_actors.c include this; client.c and session.c the part
 * that is for them. */
#ifndef SL_SDK_HOST_H
#define SL_SDK_HOST_H

#include "sdk/actor_msgs.h"
#include "sdk/client.h"
#include "sdk/task_call.h"

typedef struct sl_actor_id {
    uint32_t home;
    uint64_t life;
    uint64_t number;
} sl_actor_id;

/* ---- tables by id: intrusive, chained ---- */

typedef struct sl_id_node {
    struct sl_id_node *next;
    sl_actor_id id;
} sl_id_node;

typedef struct sl_id_table {
    sl_id_node **buckets;
    uint32_t count, capacity;
} sl_id_table;

void *sl_id_find(const sl_id_table *table, sl_actor_id id);
sl_err sl_id_add(sl_id_table *table, sl_id_node *node) SL_CHECKED;
void sl_id_remove(sl_id_table *table, sl_id_node *node);
static inline bool sl_id_equal(sl_actor_id a, sl_actor_id b) {
    return a.number == b.number && a.life == b.life && a.home == b.home;
}

/* ---- letters ---- */

/* Who is told what became of a letter or a watch, in place of a future: once, on the loop's thread.
 * Of a letter that asks it is the answer, of another that it is handled, or never will be. */
typedef struct sl_host_asker {
    void (*told)(struct sl_host_asker *asker, sl_err err, const char *message,
                 const uint8_t *output, size_t bytes, sl_blob *apart);
} sl_host_asker;

typedef enum sl_letter_what {
    SL_LETTER_CALL,
    SL_LETTER_MOVE,
    SL_LETTER_STOP,
    SL_LETTER_NOTHING
} sl_letter_what;

/* A message to an actor: at its sender until it is handled, and at the actor until it was run. One
 * allocation, arguments and method behind it. */
typedef struct sl_letter {
    struct sl_letter *next;
    sl_actor_id id;
    uint64_t epoch; /* that its sender knew of */
    uint64_t sequence, oldest;
    uint64_t tag;
    uint64_t from_life;
    uint32_t from;  /* node */
    uint32_t place; /* of an item of the inbox: the node named by the reference */
    uint32_t to;
    uint8_t what;
    bool risked; /* was on its way to a node that is lost */
    const char *method;
    uint8_t *arguments;
    size_t argument_bytes;
    sl_blob *apart;
    sl_object **objects; /* among the arguments: at its sender, kept; malloc'ed */
    uint32_t object_count;
    sl_host_asker *asker; /* at its sender, of one that does not ask; or NULL */
    bool outside; /* a client's: not the program's, whose threads wait while those are many */
    /* once run */
    sl_err error;
    char *message;   /* malloc'ed */
    uint8_t *output; /* malloc'ed */
    size_t output_bytes;
    sl_blob *output_apart;
    void (*settle)(void *context, bool sent); /* of sl_task_output */
    void *settled;
} sl_letter;

typedef struct sl_letters {
    sl_letter *head, *tail;
    uint32_t count;
} sl_letters;

void sl_letters_push(sl_letters *list, sl_letter *letter);
sl_letter *sl_letters_pop(sl_letters *list);
sl_letter *sl_letter_create(const char *method, size_t argument_bytes);
void sl_letter_destroy(sl_letter *letter);
void sl_letters_free(sl_letters *list);

/* What the inbox holds. */
typedef enum sl_order_kind {
    SL_ORDER_LETTER,
    SL_ORDER_SPAWN,
    SL_ORDER_FIND,
    SL_ORDER_WATCH,
    SL_ORDER_DISMISS
} sl_order_kind;

typedef struct sl_order {
    struct sl_order *next;
    uint8_t kind;
    sl_letter *letter;    /* of a spawn: its arguments */
    sl_future *future;    /* or NULL; two references are the host's */
    sl_host_asker *asker; /* in its place; or NULL */
    bool asks;            /* of that one's letter */
    const sl_actor_kind *actor_kind;
    char name[128]; /* of a spawn or a find */
    bool restart_on_error, restart_on_loss;
    uint32_t restarts_most, save_every;
    uint64_t restarts_ns;
} sl_order;

/* ---- an actor that one of this process's threads has sent to ---- */

typedef struct sl_target {
    sl_id_node node; /* first */
    uint32_t place;
    uint64_t epoch;
    uint64_t next_sequence;
    sl_letters letters; /* not known to be handled */
    sl_letter *unsent;  /* of them the first that is not on its way */
    uint32_t in_flight, window;
    bool lost;    /* its place is: the home is asked */
    bool stalled; /* is in host->stalled */
    struct sl_target *next_stalled;
} sl_target;

/* ---- an actor that lives here, has lived here, or is to come ---- */

typedef struct sl_sender {
    uint32_t node;
    uint64_t life;
    uint64_t expected; /* sequence of the next to be taken */
    uint64_t done;     /* of the next to be handled */
    uint64_t told;     /* what the sender was told of that */
} sl_sender;

typedef enum sl_resident_stage { SL_COMING, SL_HERE, SL_GONE } sl_resident_stage;

typedef struct sl_resident {
    sl_id_node node; /* first */
    struct sl_host *host;
    uint64_t epoch;
    uint32_t place; /* once it is gone */
    uint8_t stage;
    bool running, queued, started, ends, supervised, fails;
    uint64_t given_up_at; /* epoch with which it ended here, as its home was lost; 0: none */
    bool unsure;          /* it has left for `place`, and has not said that it is there */
    bool given_up;        /* by its home, or with it; perhaps while it runs */
    bool dismissed;       /* … by its home's word */
    uint32_t rank;        /* of its host, for who runs it */
    struct sl_pool *pool; /* that runs it; NULL: the loop does */
    const sl_actor_kind *kind;
    void *state;
    sl_letters mailbox; /* not run; of one to come: in no order */
    sl_letters batch;   /* being run */
    sl_letters ran;
    sl_sender *senders;
    uint32_t sender_count, sender_capacity;
    sl_letter *start; /* arguments to start with, until it has */
    sl_blob *saved;   /* the state to load, until it is; or as it was saved, to go */
    sl_err failed;    /* of start, save or load */
    char *failure;
    bool moves; /* it is to move, once it has been saved */
    uint32_t move_to;
    uint32_t answer_node; /* who wanted it moved */
    uint64_t answer_tag;
    bool saves, save_due;            /* its home keeps states; that of now is to go there */
    bool awaits;                     /* the home's word that it has it */
    uint32_t save_every, since_save; /* messages */
    struct sl_resident *next_ready;
    sl_job job;
} sl_resident;

/* ---- at its home ---- */

typedef struct sl_record_of {
    sl_id_node node; /* first */
    uint64_t epoch;
    uint64_t arrived; /* the last epoch with which it has come where it is */
    uint32_t place;
    uint32_t from;      /* where it has come from, or is coming from */
    sl_order *claiming; /* the spawn, until its name is its own */
    /* of one that may be started again */
    sl_letter *start;
    const sl_actor_kind *actor_kind;
    bool restart_on_error, restart_on_loss;
    uint32_t restarts_most, restarts; /* of them within the time */
    uint64_t restarts_ns, since_ns;
    uint32_t save_every;
    sl_blob *saved;       /* state to begin with, rather than `start`; NULL: none was saved */
    actor_passed *passed; /* how far each sender's messages are in it */
    uint32_t passed_count;
    sl_object **objects; /* among its arguments */
    uint32_t object_count;
    struct sl_watcher *watchers;
    char name[128];
    uint32_t keeper; /* of the name: who was told; SL_NO_NODE: nobody */
} sl_record_of;

/* Who wants to hear of its end. */
typedef struct sl_watcher {
    struct sl_watcher *next;
    uint32_t node;
    uint64_t tag;
} sl_watcher;

/* A name kept here. */
typedef struct sl_name_entry {
    struct sl_name_entry *next;
    sl_actor_id id;
    uint32_t place;
    char name[128];
} sl_name_entry;

/* ---- the host ---- */

typedef struct sl_waiting_body {
    struct sl_waiting_body *next;
    const sl_message_type *type;
    void *body;
} sl_waiting_body;

typedef struct sl_ask {
    sl_future *future;    /* or … */
    sl_host_asker *asker; /* … this one; both NULL: the slot is free */
    sl_actor_id id;
    uint32_t turn;       /* tells uses of a slot apart */
    uint32_t at, before; /* nodes that it was sent to, the last and the one before; SL_NO_NODE */
    uint32_t to;         /* of a move: who answers; SL_NO_NODE */
    bool many;           /* it was sent to more */
} sl_ask;

/* Of a process, not handled: then who sends waits. */
#define SL_LETTERS_MOST      65536u
#define SL_LETTER_BYTES_MOST (UINT64_C(256) << 20)

enum { SL_NAME_BUCKETS = 1024 };

typedef struct sl_host {
    sl_actor *self;
    sl_network_node *of;
    sl_client *client; /* of the process's first node; NULL elsewhere */
    uint32_t rank, count;
    uint64_t life;

    /* any thread */
    _Atomic(sl_order *) inbox;
    _Atomic uint32_t told;
    _Atomic uint64_t numbers;
    _Atomic uint32_t spawned;
    _Atomic uint32_t letters; /* sent, and not known to be handled … */
    _Atomic uint64_t letter_bytes;
    _Atomic uint32_t room; /* changes when they have become few */
    _Atomic uint32_t room_wanted;
    sl_event event;

    sl_order *arrived; /* the oldest first */
    bool going;
    bool ticking;
    sl_id_table targets, residents, records;
    uint64_t next_sequence; /* above those to all targets that have ended: none is used twice */
    sl_target *stalled;
    bool *blocked;             /* by node: no room for data */
    sl_waiting_body **waiting; /* by node, in order */
    sl_ask *asks;
    uint32_t ask_count, ask_free; /* of free slots: `turn` is kept, `id.number` is the next */
    sl_resident *ready, **ready_end;
    sl_actor_id *gone; /* a ring of those that have left */
    uint64_t gone_count;
    sl_name_entry *names[SL_NAME_BUCKETS];
    _Atomic bool serves[]; /* by node: actors may live there; any thread */
} sl_host;

/* Epochs: below, the moves of one life of an actor; above, its lives. */
enum { SL_EPOCH_LIFE = 32 };

/* The argument is a pointer to an sl_host_setup. */
typedef struct sl_host_setup {
    sl_network_node *of;
    sl_client *client;
} sl_host_setup;
extern const sl_actor_class sl_host_class;

/* An ask that is not of an actor: of its home's word on its end, rather than a name's keeper's. */
enum { SL_ASK_NAME, SL_ASK_END };

/* host.c */
static inline sl_addr sl_host_at(uint32_t node) {
    return sl_addr_well_known(node, SL_SLOT_HOST);
}
/* Sends data, now or once there is room: never lost while the node lives. SL_ERR_DEAD and what else
 * makes it impossible. */
sl_err sl_host_post(sl_host *host, uint32_t node, const sl_message_type *type, const void *body);
/* Looks again at what is unsure, after a while. */
void sl_host_tick(sl_host *host);
void sl_host_again(sl_host *host);

/* host_api.c: any thread, inside a call of the client's. */
void sl_host_push(sl_host *host, sl_order *order);
sl_err sl_host_check_spawn(const sl_host *host, const sl_actor_kind *kind,
                           const sl_spawn_options *options) SL_CHECKED;
/* Makes an order one to spawn the actor `id`, with the arguments that are its letter's; where. */
uint32_t sl_host_fill_spawn(sl_host *host, sl_order *order, sl_actor_id id,
                            const sl_actor_kind *kind, const sl_spawn_options *options);

/* host_words.c */
/* True when actors may live there: no spare does, before it has taken another's place. Any thread.
 */
/* A string as one value; bytes, 0 if it is more than `size`. */
size_t sl_host_encode_text(const char *text, uint8_t *wire, size_t size);
bool sl_host_serves(const sl_host *host, uint32_t node);
bool sl_host_is_alive(const sl_host *host, uint32_t node);
void sl_host_say_moved(sl_host *host, uint32_t to, sl_actor_id id, uint64_t epoch, uint32_t place);
/* `final`: the life `epoch` of it has ended here. */
void sl_host_say_lost(sl_host *host, uint32_t to, sl_actor_id id, uint64_t epoch, sl_err err,
                      bool final, const char *message);
/* False: it will not arrive. */
bool sl_host_answer(sl_host *host, uint32_t to, const actor_answer *body);

/* host_send.c: the sender's side. */
void sl_host_take_orders(sl_host *host);
void sl_host_pump_stalled(sl_host *host);
void sl_host_on_answer(sl_host *host, const actor_answer *answer);
void sl_host_on_handled(sl_host *host, const actor_handled *handled);
void sl_host_target_moved(sl_host *host, const actor_moved *moved);
void sl_host_target_lost(sl_host *host, uint32_t from, const actor_lost *lost);
void sl_host_targets_tick(sl_host *host);
void sl_host_targets_peer(sl_host *host, uint32_t node, bool back);
/* Ends an ask by its tag; `bytes` of one value. */
/* Whoever has asked this node for a word that it will not give any more: it is lost. */
void sl_host_asks_peer(sl_host *host, uint32_t node);
void sl_host_asks_back(sl_host *host, uint32_t node);
void sl_host_end_ask(sl_host *host, uint64_t tag, sl_err err, const char *message,
                     const uint8_t *output, size_t bytes, sl_blob *apart);
uint64_t sl_host_ask(sl_host *host, const sl_order *order, sl_actor_id id);
void sl_host_send_stop(sl_host *host);
/* The network is left: nothing comes of them. */
void sl_host_end_orders(sl_host *host, sl_order *orders);
void sl_order_end(sl_host *host, sl_order *order, sl_err err, const char *message);

/* host_live.c: actors that live here. */
void sl_host_on_tell(sl_host *host, uint32_t from, const actor_tell *tell);
void sl_host_on_come(sl_host *host, uint32_t from, const actor_come *come);
void sl_host_on_kept(sl_host *host, uint32_t from, const actor_kept *kept);
void sl_host_on_quit(sl_host *host, uint32_t from, const actor_quit *quit);
void sl_host_on_dismiss(sl_host *host, uint32_t from, const actor_dismiss *dismiss);
void sl_host_residents_peer(sl_host *host, uint32_t node);
void sl_host_run_ready(sl_host *host);
void sl_host_ran(sl_resident *resident);
void sl_host_live_stop(sl_host *host);

/* host_held.c: actors that are not here, or no more. */
void sl_host_ask_where(sl_host *host, sl_actor_id id);
void sl_host_resident_moved(sl_host *host, uint32_t from, const actor_moved *moved);
void sl_host_resident_lost(sl_host *host, uint32_t from, const actor_lost *lost);
void sl_host_residents_tick(sl_host *host);
void sl_resident_refuse_held(sl_host *host, const sl_resident *resident, sl_err err, bool final,
                             const char *message);
/* The entry goes, unless it is to be remembered that the actor was given up here. */
void sl_resident_end_held(sl_host *host, sl_resident *resident, sl_err err, bool final,
                          const char *message);
void sl_resident_bury(sl_host *host, sl_resident *resident, uint64_t epoch);
void sl_resident_stray(sl_host *host, sl_resident *resident, uint64_t epoch);
void sl_resident_unsure_no_more(sl_host *host, sl_resident *resident, const char *why);

/* host_live.c, for host_move.c and host_held.c */
void sl_resident_destroy(sl_host *host, sl_resident *resident);
void sl_resident_say_here(sl_host *host, const sl_resident *resident, uint32_t place,
                          uint64_t epoch);
/* What it had is released; where it went is remembered. */
void sl_resident_become_gone(sl_host *host, sl_resident *resident, uint32_t place, uint64_t epoch);

/* host_move.c: goes to where it is to move, once its state was saved; or stays, and says so. */
void sl_resident_depart(sl_host *host, sl_resident *resident);
/* How far each sender's messages are handled, those just run included; the list is to be freed. */
sl_err sl_resident_passed(const sl_resident *resident, actor_passed **list) SL_CHECKED;

/* host_turn.c: runs what a resident has to run, on any thread. */
void sl_resident_run(sl_resident *resident);

/* host_home.c: what a home knows of its actors, and names. */
void sl_host_spawn(sl_host *host, sl_order *order);
void sl_host_look_up(sl_host *host, sl_order *order);
void sl_host_watch(sl_host *host, sl_order *order);
/* Ends an actor at once, whatever waits for it. */
void sl_host_dismiss(sl_host *host, sl_order *order);
void sl_host_on_watch(sl_host *host, uint32_t from, const actor_watch *watch);
void sl_host_on_saved(sl_host *host, uint32_t from, const actor_saved *saved);
void sl_host_on_where(sl_host *host, uint32_t from, const actor_where *where);
void sl_host_on_here(sl_host *host, uint32_t from, const actor_here *here);
void sl_host_on_failed(sl_host *host, uint32_t from, const actor_failed *failed);
void sl_host_on_ended(sl_host *host, const actor_ended *ended);
void sl_host_on_name(sl_host *host, uint32_t from, const actor_name *name);
void sl_host_on_find(sl_host *host, uint32_t from, const actor_find *find);
void sl_host_on_named(sl_host *host, const actor_named *named);
void sl_host_records_peer(sl_host *host, uint32_t node, bool back);
void sl_host_home_stop(sl_host *host);

#endif
