/* The inside of the simulator, shared by simulator*.c alone. */
#ifndef SL_RUNTIME_SIMULATOR_INTERNAL_H
#define SL_RUNTIME_SIMULATOR_INTERNAL_H

#include "runtime/simulator.h"

/* ---- events ---- */

typedef struct sl_sim_event {
    uint64_t at_ns;
    uint64_t order; /* grows with every one: ties happen in the order they were asked for */
    sl_simulator_call *call;
    void *context;
    uint64_t number;
} sl_sim_event;

typedef struct sl_sim_events {
    sl_sim_event *heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t next_order;
} sl_sim_events;

sl_err sl_sim_events_put(sl_sim_events *events, sl_sim_event event) SL_CHECKED;
bool sl_sim_events_take(sl_sim_events *events, uint64_t until_ns, sl_sim_event *event);

/* ---- what is on its way ---- */

/* A frame, or a blob of a bulk transfer. */
typedef struct sl_sim_parcel {
    struct sl_sim_parcel *next;
    uint64_t arrival_ns;
    uint64_t id;   /* of a transfer */
    sl_blob *blob; /* of a transfer; NULL: a frame */
    uint32_t from;
    uint32_t from_life;
    uint32_t to_life;
    uint32_t bytes; /* of a frame */
    _Alignas(8) uint8_t data[];
} sl_sim_parcel;

typedef struct sl_sim_queue {
    sl_sim_parcel *head;
    sl_sim_parcel *tail;
    uint32_t count;
} sl_sim_queue;

/* From one node to another. Frames wait in `frames`, and the first has an event; bulk data does not
 * wait for frames. */
enum { SL_SIM_WAY_CHUNK = 256 };

typedef struct sl_sim_way {
    sl_sim_queue frames;
    sl_sim_queue bulk;
    uint64_t free_ns;    /* when what was posted last has left */
    uint64_t arrival_ns; /* of the last frame: none arrives before */
    uint64_t extra_ns;
    uint32_t unread; /* frames posted and not taken by the receiver: bounded */
    uint32_t cuts;
    uint32_t next_free;
    bool refused; /* the sender found it full and wants to be turned */
    bool frame_event;
    bool bulk_event;
} sl_sim_way;

/* ---- nodes ---- */

typedef struct sl_sim_expected {
    struct sl_sim_expected *next;
    uint64_t id;
    uint64_t bytes;
    uint32_t peer;
} sl_sim_expected;

/* Of the transfers from and to one peer. */
typedef struct sl_sim_peer_bulk {
    uint64_t first_in;  /* transfers with lower ids are of an earlier life of the link */
    uint64_t first_out; /* nothing is told of transfers with lower ids */
    uint32_t to_peer;   /* transfers from here under way */
} sl_sim_peer_bulk;

typedef struct sl_sim_transport {
    sl_transport base;
    sl_simulator *simulator;
    uint32_t life;
    sl_sim_queue inbox;        /* frames and blobs that have arrived, in order */
    sl_sim_queue sent;         /* transfers to report as bulk_sent */
    sl_sim_queue unexpected;   /* blobs that nobody has asked for yet */
    sl_sim_expected *expected; /* asked for, not there yet */
    sl_sim_queue acquired;     /* buffers handed out, `to` in from */
    bool lost; /* this life is over: what its actors still say as they end goes nowhere */
    bool *abandoned;
    sl_sim_peer_bulk *bulk; /* per peer; NULL while there is nothing to know */
    uint32_t under_way;     /* transfers from here */
    uint32_t *ended; /* per peer: its newest life whose end is known, or to be told; 0: none. NULL:
                        it has no machine with others on it */
    bool *end_due;   /* per peer: that is to be told; NULL like the other */
    bool any_end_due;
} sl_sim_transport;

typedef struct sl_sim_clock {
    sl_clock base;
    sl_simulator *simulator;
    uint32_t node;
} sl_sim_clock;

typedef struct sl_sim_node {
    sl_sim_clock clock;
    sl_node *node;
    sl_sim_transport *transport;
    uint32_t life;
    uint64_t turn_at_ns; /* of the event that turns it; UINT64_MAX: none */
    uint64_t busy_ns;    /* it is not turned before */
    uint64_t spent_ns;   /* by the job or actor that runs now */
    uint64_t born_ns;
    double wall_skew_s;
    int32_t ppm, next_ppm;
    uint32_t slow;
    uint32_t pauses;
    bool turning;
    bool ended;
    sl_err err;
    uint32_t code;
} sl_sim_node;

typedef struct sl_sim_thread sl_sim_thread;

struct sl_simulator {
    sl_simulator_options options;
    sl_sim_events events;
    sl_rng rng;
    uint64_t now_ns;
    uint64_t happened;
    uint64_t hash;
    sl_sim_node *nodes;
    uint32_t *ways; /* [from * nodes + to]: which of the chunks' ways; 0: nothing to know */
    sl_sim_way **way_chunks; /* of SL_SIM_WAY_CHUNK */
    uint32_t way_count;      /* in the chunks; the first is none */
    uint32_t free_way;       /* linked by `next_free`; 0: none */
    sl_sim_way no_way;       /* where there is no memory for one */
    sl_sim_parcel *free_parcels;
    uint64_t on_the_way;
    sl_simulator_traffic traffic;
    uint32_t turning;
    sl_sim_thread *threads;
    sl_sim_thread *running; /* NULL: the simulator itself, or a loop */
    bool ghosts;
    bool noted;
    bool slept; /* a loop: it was told */
};

/* simulator.c */
void sl_sim_fold(sl_simulator *simulator, uint64_t fact);
void sl_sim_wake(sl_simulator *simulator, uint32_t node);
void sl_sim_job_ended(sl_simulator *simulator, sl_job *job, uint32_t node, uint32_t life);

/* simulator_threads.c */
/* The node has died: its threads return. Those that do not, whatever wakes them, are left. */
void sl_sim_threads_leave(sl_simulator *simulator, uint32_t node);
void sl_sim_threads_destroy(sl_simulator *simulator);

/* simulator_transport.c */
sl_err sl_sim_transport_create(sl_simulator *simulator, uint32_t node,
                               sl_sim_transport **transport) SL_CHECKED;
/* Tells those of its machine that a node has ended. */
void sl_sim_transports_tell_end(sl_simulator *simulator, uint32_t node);
/* What is on its way to or from this life is lost (what is going to it: unless ghosts may come). */
void sl_sim_transport_lose(sl_sim_transport *transport);

/* simulator_way.c */
/* Made when it is new; sl_sim_way_known(): NULL then. */
sl_err sl_sim_ways_init(sl_simulator *simulator) SL_CHECKED;
sl_sim_way *sl_sim_way_of(sl_simulator *simulator, uint32_t from, uint32_t to);
const sl_sim_way *sl_sim_way_known(const sl_simulator *simulator, uint32_t from, uint32_t to);
/* Nothing more of it is needed by the caller: in a large network it is forgotten when there is
 * nothing to know. */
void sl_sim_way_leave(sl_simulator *simulator, uint32_t from, uint32_t to);
sl_sim_parcel *sl_sim_parcel_take(sl_simulator *simulator);
void sl_sim_parcel_free(sl_simulator *simulator, sl_sim_parcel *parcel);
void sl_sim_queue_push(sl_sim_queue *queue, sl_sim_parcel *parcel);
sl_sim_parcel *sl_sim_queue_pop(sl_sim_queue *queue);
void sl_sim_send(sl_simulator *simulator, uint32_t to, sl_sim_parcel *parcel);
void sl_sim_ways_lose(sl_simulator *simulator, uint32_t node);
/* Of all that is on its way, what comes from a life that has ended, or goes to one. */
void sl_sim_ways_drop_gone(sl_simulator *simulator);
void sl_sim_ways_destroy(sl_simulator *simulator);

#endif
