/* The simulator: a network of whole nodes in one thread, in virtual time, with faults from a seed.
 *
 * Nodes run unchanged over a transport of the simulator's and a clock of its own. Everything that
 * happens is an event in one queue, ordered by time and then by the order it was asked for; chance
 * comes from one generator. So a seed decides everything, and the same seed gives the same run, bit
 * for bit, on every machine: sl_simulator_hash() shows it. Nothing is ever ordered by an address in
 * memory.
 *
 * One thread; many simulators may live side by side on different threads. */
#ifndef SL_RUNTIME_SIMULATOR_H
#define SL_RUNTIME_SIMULATOR_H

#include <stdbool.h>
#include <stdio.h>

#include "runtime/node.h"
#include "runtime/pool.h"
#include "runtime/rng.h"

typedef struct sl_simulator sl_simulator;

/* The way from one region to another. */
typedef struct sl_simulator_link {
    uint64_t delay_ns;    /* of every frame */
    uint64_t jitter_ns;   /* and up to this more, from the seed */
    uint64_t bytes_per_s; /* of one pair of nodes; 0: without bound */
} sl_simulator_link;

enum { SL_SIM_PLACES = 2 };

typedef struct sl_simulator_options {
    uint32_t nodes;
    uint64_t seed;
    uint32_t regions;               /* 0: one, of links with 100 us; node i lies in i % regions */
    const sl_simulator_link *links; /* regions * regions of them, [from * regions + to]; borrowed */
    uint32_t machines;  /* 0: one for each node; node i is on i % machines. A node's end is told at
                           once  to those of its machine, as a kernel does */
    size_t frame_bytes; /* 0: 8 KiB */
    uint64_t turn_ns;   /* what a turn of a loop takes; 0: 2 us */
    FILE *trace;        /* borrowed; NULL: none. See sl_simulator_note() */
    /* Sees every frame as it is posted, before it may be lost. NULL: nobody does. */
    void (*frame)(void *context, uint32_t from, uint32_t to, const void *frame, size_t bytes);
    /* Called after every turn of a node. NULL: nobody is. */
    void (*turned)(void *context, uint32_t node);
    /* Exchanges what is a thread's own (_Thread_local) with `places`, which are NULL at first: a
     * thread of sl_simulator_thread() is about to go on, or has stopped. NULL: nothing does. */
    void (*switches)(void *context, void *places[SL_SIM_PLACES]);
    void *context;
} sl_simulator_options;

/* NO_MEMORY, INVALID (no node). */
sl_err sl_simulator_create(const sl_simulator_options *options,
                           sl_simulator **simulator) SL_CHECKED;

/* Frees everything, the nodes that still live included. */
void sl_simulator_destroy(sl_simulator *simulator);

/* ---- time ---- */

uint64_t sl_simulator_now_ns(const sl_simulator *simulator);
sl_rng *sl_simulator_rng(sl_simulator *simulator);

/* Calls `call(context, number)` at `at_ns` (now, if that is over). NO_MEMORY. */
typedef void sl_simulator_call(void *context, uint64_t number);
sl_err sl_simulator_at(sl_simulator *simulator, uint64_t at_ns, sl_simulator_call *call,
                       void *context, uint64_t number) SL_CHECKED;

/* Lets the next event happen; false when there is none, or none before `until_ns`: then it is
 * `until_ns`. */
bool sl_simulator_step(sl_simulator *simulator, uint64_t until_ns);
void sl_simulator_run(sl_simulator *simulator, uint64_t until_ns);

/* Events so far, and what they amount to: a hash of the time, place and content of all of them. */
uint64_t sl_simulator_events(const sl_simulator *simulator);
uint64_t sl_simulator_hash(const sl_simulator *simulator);

/* Folds a fact of the caller's into the hash. */
void sl_simulator_mark(sl_simulator *simulator, uint64_t fact);

/* ---- nodes ---- */

/* Begins a life of a node: `options` are those of sl_node_create(); transport and clock are the
 * simulator's. Spawn its actors at once: its loop is first turned when the next event happens. */
sl_err sl_simulator_start(sl_simulator *simulator, uint32_t node, const sl_node_options *options,
                          sl_node **out) SL_CHECKED;

/* The node while it lives, or NULL; and the number of its life, from 1. */
sl_node *sl_simulator_node(const sl_simulator *simulator, uint32_t node);
uint32_t sl_simulator_life(const sl_simulator *simulator, uint32_t node);

/* True when the node's loop has come to its end in good order or bad; `err` and `code` (may be
 * NULL) as of sl_node_run(). It still is to be killed. */
bool sl_simulator_ended(const sl_simulator *simulator, uint32_t node, sl_err *err, uint32_t *code);

/* Ends a life at this very moment: what was on the way to and from it is lost. Not from inside one
 * of its actors: see sl_simulator_at(). */
void sl_simulator_kill(sl_simulator *simulator, uint32_t node);

/* The node whose loop is being turned, or whose thread runs, or SL_NO_NODE. */
uint32_t sl_simulator_turning(const sl_simulator *simulator);

/* The clock that a node of this number has; for who runs in its place (jobs, commands, ledger). */
const sl_clock *sl_simulator_clock(sl_simulator *simulator, uint32_t node);

/* Inside a job, or an actor: takes `spent_ns` of the node's time. A job ends so much later; a loop
 * is so much longer busy. */
void sl_simulator_spend(sl_simulator *simulator, uint32_t node, uint64_t spent_ns);

/* Runs a job at once; the actor that posted it hears of its end when the time that the job spent is
 * over. For sl_pool_options; `context` is what sl_simulator_pool() gave. */
void sl_simulator_run_job(void *context, sl_job *job);
void *sl_simulator_pool(sl_simulator *simulator, uint32_t node);

/* ---- threads ---- */

/* Runs `body(context)` on a thread of the node's process, at once, until it sleeps or returns; this
 * call returns then. Where the thread would sleep (sl_futex_wait()) others go on until it is woken,
 * or its time is over. When the node dies its threads are woken until they have returned. On each
 * real thread one simulator at a time has threads. UNAVAILABLE. */
typedef void sl_simulator_body(void *context);
sl_err sl_simulator_thread(sl_simulator *simulator, uint32_t node, sl_simulator_body *body,
                           void *context) SL_CHECKED;

/* On such a thread: sleeps so long, or until its node dies. */
void sl_simulator_sleep(uint64_t ns);

/* Those of the node that have not returned: after its death, those that never will. */
uint32_t sl_simulator_threads(const sl_simulator *simulator, uint32_t node);

/* As sl_simulator_run_job(), on a thread, so that the job may wait for others. */
void sl_simulator_run_job_apart(void *context, sl_job *job);

/* ---- faults ---- */

/* Stops the loop (SIGSTOP): nothing is taken or sent until it is let go. */
void sl_simulator_pause(sl_simulator *simulator, uint32_t node, bool paused);

/* Every turn takes `factor` times as long; 1: as usual. */
void sl_simulator_slow(sl_simulator *simulator, uint32_t node, uint32_t factor);

/* The node's wall clock jumps to so much beside the true time. Its monotonic clock may run fast or
 * slow by parts in a million, from its next life on. */
void sl_simulator_skew(sl_simulator *simulator, uint32_t node, double wall_s, int32_t ppm);

/* Holds back everything on the way from one node to another; what was held arrives after the way is
 * open again. Cuts add up: each needs its healing. */
void sl_simulator_cut(sl_simulator *simulator, uint32_t from, uint32_t to, bool cut);

/* Makes the way from one node to another slower by so much; 0: as usual. */
void sl_simulator_delay(sl_simulator *simulator, uint32_t from, uint32_t to, uint64_t extra_ns);

/* What reaches a node from before its present life, or from an earlier life of another, is lost;
 * with `ghosts` it arrives. Without, what is on its way from or to the dead is lost at once. */
void sl_simulator_ghosts(sl_simulator *simulator, bool ghosts);

/* ---- what can be seen ---- */

typedef struct sl_simulator_traffic {
    uint64_t frames;
    uint64_t bytes;
    uint64_t lost;       /* frames: a node had died, or gave the other up */
    uint64_t high_bytes; /* on the way at once between one pair */
} sl_simulator_traffic;
sl_simulator_traffic sl_simulator_traffic_of(const sl_simulator *simulator);

/* True when nothing is on its way between nodes. */
bool sl_simulator_still(const sl_simulator *simulator);

/* Writes a mark into the trace, if there is one: a file that Perfetto and chrome://tracing open, a
 * track for each node. `duration_ns` 0: an instant. The text is printed as it is (no quotes). */
bool sl_simulator_traces(const sl_simulator *simulator);
void sl_simulator_note(sl_simulator *simulator, uint32_t node, uint64_t start_ns,
                       uint64_t duration_ns, const char *format, ...) SL_PRINTF(5, 6);

#endif
