/* One simulated network: whole nodes with the real actors, work for them, faults, and checks.
 *
 * A simulation goes through sessions. In the first all nodes start and the owners submit their
 * tasks; when an owner dies, or its ledger cannot be written, the session ends some time later with
 * the death of all, and the next one resumes from the ledgers. When the last fault is over
 * everything must come to its end: that is checked from outside the actors, by what their users,
 * the commands they run, and the disks saw. See docs/simulator.md. */
#ifndef SL_SDK_SIMULATION_H
#define SL_SDK_SIMULATION_H

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/registry/registry_msgs.h"
#include "actors/scheduler/ledger.h"
#include "actors/scheduler/ledger_simdisk.h"
#include "actors/store/store.h"
#include "runtime/simulator.h"
#include "sdk/client.h"
#include "sdk/simulation_msgs.h"

enum {
    SL_SIM_FAULTS_MOST = 12,
    SL_SIM_OWNERS_MOST = 3,
    SL_SIM_AFTER_MOST = 2,
    SL_SIM_CORES_MOST = 4,
    SL_SIM_TEXT = 256
};

/* Where each node's own actor of the simulation is: none stands by. */
#define SL_SIM_SLOT SL_SLOT_SPARE

#define SL_SIM_KEEP_BYTES 512 /* results of so many bytes stay where they are made */
#define SL_SIM_PERIOD_NS  (100 * SL_NS_PER_MS)  /* of the registries' gossip */
#define SL_SIM_DEAD_NS    (900 * SL_NS_PER_MS)  /* the longest of their dead times */
#define SL_SIM_KNOWN_NS   (1300 * SL_NS_PER_MS) /* within it all know of a death */

typedef struct sl_simulation sl_simulation;

/* ---- faults (simulation_plan.c, simulation_fault.c) ---- */

typedef enum sl_sim_kind {
    SL_SIM_PAUSE, /* a loop stands still for a while */
    SL_SIM_SLOW,  /* a loop takes many times as long */
    SL_SIM_CRASH, /* a node dies; it may come back */
    SL_SIM_CUT,   /* a region is cut off, one way or both */
    SL_SIM_DELAY, /* a way is longer */
    SL_SIM_SKEW,  /* a wall clock jumps */
    SL_SIM_OWNER, /* an owner dies, and with it the session */
    SL_SIM_POWER, /* the power goes in the midst of an operation of an owner's disk */
    SL_SIM_FULL,  /* an owner's disk is full */
    SL_SIM_ERROR, /* one operation of it fails */
    SL_SIM_LIE,   /* a node says of one on another machine that its process has ended */
    SL_SIM_KINDS
} sl_sim_kind;

/* Where a fault comes: at a time, or at the count-th passing of a point. */
typedef enum sl_sim_point {
    SL_SIM_AT_TIME,
    SL_SIM_AT_JOURNAL,   /* an owner is about to write its ledger */
    SL_SIM_AT_JOURNALED, /* it has, and has told nobody yet */
    SL_SIM_AT_ACCEPTED,  /* an owner's user was told that tasks are accepted */
    SL_SIM_AT_ASSIGNED,  /* a command starts */
    SL_SIM_AT_ENDED,     /* a command has ended */
    SL_SIM_AT_DONE,      /* an owner's user was told how tasks ended */
    SL_SIM_POINTS
} sl_sim_point;

typedef struct sl_sim_fault {
    sl_sim_kind kind;
    sl_sim_point point;
    uint64_t at_ns; /* of a time; else a delay after the point */
    uint32_t count; /* of passings, from 1 */
    uint32_t node;  /* SL_NO_NODE: the one that passes the point */
    uint32_t peer;
    uint64_t duration_ns;
    uint32_t amount;
    bool both;
    bool left_out; /* by the caller's wish */
    bool begun;
} sl_sim_fault;

typedef struct sl_sim_plan {
    sl_sim_fault faults[SL_SIM_FAULTS_MOST];
    uint32_t count;
    bool ghosts;
} sl_sim_plan;

/* ---- work ---- */

typedef struct sl_sim_task {
    uint32_t owner;
    uint32_t tag;
    uint8_t kind;
    uint8_t cancel; /* its user takes it back once it is accepted */
    uint32_t cores;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
    uint64_t duration_ns;
    uint64_t timeout_ns;
    uint64_t work_ns; /* as a function: what it spends */
    int exit_code;
    uint32_t retries;
    int32_t priority;
    uint32_t after[SL_SIM_AFTER_MOST];
    uint32_t after_count;
    char region[16];

    /* what its user knows */
    bool submitted; /* in this session */
    bool accepted;
    bool ended;
    uint8_t status;
    bool cancel_sent;
    bool in_ledger;
    uint32_t batch;   /* that it was submitted in, to be written; 0: it is written */
    uint32_t earlier; /* attempts of earlier sessions */

    /* what happened */
    uint32_t runs;      /* begun in this session */
    uint32_t running;   /* now */
    uint32_t successes; /* of all sessions */
} sl_sim_task;

/* The user of an owner: outlives its node. */
typedef struct sl_sim_user {
    sl_sim_task *tasks;
    uint32_t count;
    uint32_t next; /* to submit */
    uint32_t ended;
    uint32_t *batches; /* tags of the first of each submit not answered, and their counts */
    uint32_t batch_count;
    uint32_t submits;
} sl_sim_user;

/* ---- nodes ---- */

typedef struct sl_sim_command {
    struct sl_sim_command *next;
    struct sl_sim_host *host;
    sl_sim_task *task;
    sl_minder_done done;
    void *context;
    sl_minder_handle handle;
    uint32_t life;
    double start_s;
    uint64_t start_ns;
    uint64_t end_ns; /* an event at another time is one that no longer counts */
    sl_process_status status;
    sl_minder_handle before; /* it waits for this one's end; 0: it runs */
    bool leaving;            /* asked to go before it has started */
} sl_sim_command;

typedef struct sl_sim_row {
    uint64_t said;
    uint64_t heard;
} sl_sim_row;

/* A handle of an object that a node's actor has; simulation_objects.c. */
typedef struct sl_sim_object sl_sim_object;

/* ---- programs of the API ---- */

enum {
    SL_SIM_WRITERS_MOST = 16,
    SL_SIM_COUNTERS_MOST = 48,
    SL_SIM_PENDING_MOST = 24,
    SL_SIM_CALLS_MOST = 1024,
    SL_SIM_HELD_MOST = 16
};

/* A user actor as those know it who look from outside. */
typedef struct sl_sim_counter {
    sl_actor_ref ref;
    char name[8];
    sl_spawn_options options;           /* but for the name */
    bool contested;                     /* others were spawned by its name */
    bool stopped;                       /* somebody has asked for its end, or … */
    bool gone;                          /* … its home has died */
    uint32_t starts;                    /* from its arguments */
    uint32_t failures;                  /* of its body */
    uint64_t sent[SL_SIM_WRITERS_MOST]; /* the last number of each program … */
    uint64_t told[SL_SIM_WRITERS_MOST]; /* … and a bit for each that was answered, up to 64 */
} sl_sim_counter;

/* A call of a task, as who submitted it knows it. */
typedef struct sl_sim_call {
    uint8_t task; /* which of simulation_calls.c */
    bool doomed;  /* it is to fail, or needs one that is */
    bool loose;   /* it was taken back, or needs one that was */
    bool free;    /* it needs no other */
    uint32_t retries;
    uint32_t runs;   /* of its body */
    uint32_t deaths; /* before it was submitted */
    uint64_t count;  /* of an array that it returns */
    int64_t value;   /* that it returns, or of the array's first element */
} sl_sim_call;

typedef enum sl_sim_wish { SL_SIM_ADD, SL_SIM_MOVE, SL_SIM_FIND, SL_SIM_WATCH } sl_sim_wish;

/* What a program waits for. */
typedef struct sl_sim_pending {
    sl_future *future;
    sl_sim_wish wish;
    uint32_t index; /* of a counter */
    uint64_t number;
    bool fails;
} sl_sim_pending;

typedef enum sl_sim_stage { SL_SIM_WORKS, SL_SIM_FLUSHED, SL_SIM_LEFT } sl_sim_stage;

typedef struct sl_sim_program {
    struct sl_sim_host *host;
    uint32_t writer; /* its number in what it sends */
    uint32_t steps;
    sl_sim_stage stage;
    sl_sim_pending pending[SL_SIM_PENDING_MOST];
    uint32_t pending_count;
    sl_sim_pending awaited;            /* now */
    sl_future *held[SL_SIM_HELD_MOST]; /* of calls, the oldest first */
    uint32_t held_calls[SL_SIM_HELD_MOST];
    uint32_t held_count;
} sl_sim_program;

/* What a process that calls the API has beside its node's actors. */
typedef struct sl_sim_process {
    sl_network network;
    sl_network_node node;
    sl_client client;
    sl_sim_program program;
    bool *lost; /* the network's */
    bool open;
    bool over; /* its node has died */
} sl_sim_process;

typedef struct sl_sim_host {
    sl_simulation *simulation;
    uint32_t number;
    uint32_t incarnation;
    bool back; /* it died and came back while the others live on */
    char name[24];
    sl_pool *pool;
    sl_grant_core cores[SL_SIM_CORES_MOST];
    uint32_t core_count;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
    sl_ledger_simdisk *disk; /* of an owner */
    sl_ledger *ledger;
    bool step_asked;
    sl_store *store; /* NULL: there are no objects in this seed */
    sl_sim_object *objects;
    uint32_t object_count;
    sl_sim_process *process; /* NULL: none calls the API in this seed */
    sl_sim_command *commands;
    sl_minder_handle next_handle;

    /* what its actor was told and has said */
    uint8_t *states;  /* of each node; UINT8_MAX: nothing yet */
    uint8_t *apart;   /* of each node: ticks in which it was alive without a link to it */
    sl_sim_row *rows; /* [lane * nodes + peer] */
    registry_offer own;
    uint32_t known;
} sl_sim_host;

typedef struct sl_simulation_options {
    uint32_t nodes;
    uint64_t seed;
    FILE *trace;
    const bool *faults; /* [SL_SIM_FAULTS_MOST]: those that come; NULL: all */
} sl_simulation_options;

struct sl_simulation {
    sl_simulation_options options;
    sl_simulator *simulator;
    sl_functions *functions;
    sl_sim_plan plan;
    sl_rng rng; /* of the work and the commands; the simulator has its own */
    sl_rng object_rng;
    sl_rng program_rng;
    sl_sim_counter *counters; /* SL_SIM_COUNTERS_MOST; NULL: no programs */
    uint32_t counter_count, writers;
    sl_sim_call *calls; /* SL_SIM_CALLS_MOST */
    uint32_t call_count;
    uint32_t deaths; /* of nodes */
    sl_sim_host *hosts;
    sl_sim_user users[SL_SIM_OWNERS_MOST];
    uint32_t owners;
    uint32_t machines;
    uint32_t session;
    uint32_t passed[SL_SIM_POINTS];
    uint64_t faults_over_ns;  /* when the last fault that has begun is over */
    uint64_t session_over_ns; /* UINT64_MAX: it goes on */
    uint32_t function_host;   /* whose job runs now */
    uint32_t parted;          /* faults so far that could part two nodes */
    uint32_t deaths_session;  /* in which the last node crashed */
    bool gentle;              /* no fault so far could part two nodes that live */
    bool losses;              /* or take an attempt away */
    bool loud;                /* its actors fill each other's windows now and then */
    bool chatting;
    bool stopping;
    bool failed;
    char violation[SL_SIM_TEXT];
};

/* What a seed came to. */
typedef struct sl_simulation_result {
    bool failed;
    char violation[SL_SIM_TEXT];
    sl_sim_plan plan;
    uint64_t events;
    uint64_t hash;
    uint64_t virtual_ns;
    uint64_t tasks;
    uint64_t frames;
    uint32_t sessions;
    uint32_t faults; /* that came */
} sl_simulation_result;

/* Runs one seed. An error: it could not be run (memory); a violation is no error. */
sl_err sl_simulation_run(const sl_simulation_options *options,
                         sl_simulation_result *result) SL_CHECKED;

/* ---- for the files of the simulation alone ---- */

/* Notes the first thing that must not be; the simulation ends. */
void sl_sim_violate(sl_simulation *simulation, const char *format, ...) SL_PRINTF(2, 3);

/* simulation_plan.c: what a seed brings. */
void sl_sim_plan_draw(sl_sim_plan *plan, uint32_t nodes, uint32_t owners, bool programs,
                      sl_rng *rng);
void sl_sim_fault_describe(const sl_sim_fault *fault, char *text, size_t size);
sl_err sl_sim_work_draw(sl_simulation *simulation) SL_CHECKED;
void sl_sim_work_free(sl_simulation *simulation);

/* simulation_run.c: after so long without a word from another a node has given it up. */
uint64_t sl_sim_parted_ns(const sl_simulation *simulation);

/* simulation_fault.c */
void sl_sim_faults_begin(sl_simulation *simulation);
void sl_sim_pass(sl_simulation *simulation, sl_sim_point point, uint32_t node);

/* simulation_host.c */
extern const sl_link_timings sl_sim_timings;
sl_err sl_sim_host_create(sl_simulation *simulation, uint32_t number) SL_CHECKED;
void sl_sim_host_destroy(sl_sim_host *host);
sl_err sl_sim_host_start(sl_sim_host *host) SL_CHECKED;
/* At once; `power`: with its disk. */
void sl_sim_host_kill(sl_sim_host *host, bool power);
void sl_sim_host_turned(sl_sim_host *host);
void sl_sim_session_ends(sl_simulation *simulation, uint64_t at_ns);

/* simulation_work.c */
extern const sl_command_ops sl_sim_commands;
void sl_sim_commands_kill(sl_sim_host *host);
sl_err sl_sim_function(const void *args, size_t args_bytes, sl_task_output *output, void *user);
void sl_sim_run_job(void *host, sl_job *job);

/* simulation_actor.c: an sl_sim_host ** as argument. */
extern const sl_actor_class sl_sim_actor_class;
/* A user resumes from what the ledger holds. */
sl_err sl_sim_user_resume(sl_sim_host *host) SL_CHECKED;

/* simulation_objects.c */
sl_err sl_sim_objects_start(sl_sim_host *host, sl_node *node) SL_CHECKED;
void sl_sim_objects_end(sl_sim_host *host);
void sl_sim_objects_tick(sl_actor *self, sl_sim_host *host);
void sl_sim_objects_hear(sl_sim_host *host, uint32_t from, const simulation_offer *body);
void sl_sim_objects_lost(sl_sim_host *host, uint32_t peer);
void sl_sim_check_objects(sl_sim_host *host);
/* Bytes that tell one content from any other. What is copied is hashed, and is filled as a whole.
 */
void sl_sim_fill(uint8_t *data, uint64_t bytes, uint8_t value);
bool sl_sim_is_filled(const uint8_t *data, uint64_t bytes, uint8_t value);

/* simulation_process.c */
bool sl_sim_has_programs(const sl_simulation *simulation);
sl_err sl_sim_processes_create(sl_simulation *simulation) SL_CHECKED;
void sl_sim_processes_destroy(sl_simulation *simulation);
sl_err sl_sim_process_start(sl_sim_host *host, sl_node *node) SL_CHECKED;
void sl_sim_process_dies(sl_sim_host *host); /* about to */
void sl_sim_process_end(sl_sim_host *host);
bool sl_sim_programs_ended(sl_simulation *simulation);
void sl_sim_check_process(sl_sim_host *host);
void sl_sim_check_futures(sl_simulation *simulation);
void sl_sim_switches(void *simulation, void *places[SL_SIM_PLACES]);
/* Of the thread that asks. */
sl_simulation *sl_sim_here(void);

/* simulation_program.c: an sl_sim_program as argument. */
void sl_sim_program_main(void *program);
uint64_t sl_sim_draw(sl_sim_program *program, uint64_t below);
bool sl_sim_program_is_over(const sl_sim_program *program);
/* Waits for all that the program waits for, and looks at it. */
void sl_sim_settle_pending(sl_sim_program *program);
bool sl_sim_await(sl_sim_program *program, sl_sim_pending pending);

/* simulation_counters.c: user actors */
void sl_sim_counters_define(void);
void sl_sim_counters_step(sl_sim_program *program);
void sl_sim_counter_answered(sl_sim_program *program, const sl_sim_pending *pending);
void sl_sim_counters_flush(sl_sim_program *program);
void sl_sim_counters_end(sl_sim_program *program);

/* simulation_calls.c: tasks of the API */
sl_err sl_sim_calls_register(sl_functions *functions) SL_CHECKED;
void sl_sim_calls_step(sl_sim_program *program);
void sl_sim_calls_end(sl_sim_program *program);

/* simulation_check.c */
void sl_sim_check_step(sl_sim_host *host);
void sl_sim_check_disowned(sl_sim_host *host, uint32_t owner);
void sl_sim_check_tick(sl_sim_host *host);
void sl_sim_check_cut(sl_simulation *simulation, uint32_t from, uint32_t to);
void sl_sim_check_ledger(sl_sim_host *host, bool at_end);
void sl_sim_check_views(sl_simulation *simulation);
/* A node that has died is known to be dead by all others. */
void sl_sim_check_death(sl_simulation *simulation, uint32_t node);
void sl_sim_check_rest(sl_simulation *simulation);
bool sl_sim_all_ended(const sl_simulation *simulation);

#endif
