/* Design notes
 * - A node is turned when something has come for it, when a timer of it is due, and after a turn
 *   that left work over. A turn takes `turn_ns` of virtual time times the node's slowness; until
 *   then it is not turned again. Within a turn its clock stands still, but for what is spent.
 * - At most one turn of a node is asked for that counts: the earliest. Events of turns that were
 *   asked for later, or for an earlier life, find another time noted and do nothing.
 * - Whatever chance decides draws from one generator in the order of events, so it is part of what
 *   a seed determines. */
#include "runtime/simulator.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/simulator_internal.h"

enum { DEFAULT_FRAME_BYTES = 8192, DEFAULT_TURN_NS = 2000 };

static const double epoch_s = 1.8e9; /* when every simulation begins */

/* ---- time ---- */

uint64_t sl_simulator_now_ns(const sl_simulator *simulator) {
    return simulator->now_ns;
}

sl_rng *sl_simulator_rng(sl_simulator *simulator) {
    return &simulator->rng;
}

uint64_t sl_simulator_events(const sl_simulator *simulator) {
    return simulator->happened;
}

uint64_t sl_simulator_hash(const sl_simulator *simulator) {
    return simulator->hash;
}

/* FNV-1a over words, with a rotation to bring the upper bits into play. */
void sl_sim_fold(sl_simulator *simulator, uint64_t fact) {
    uint64_t mixed = (simulator->hash ^ fact) * UINT64_C(0x100000001b3);
    simulator->hash = mixed << 23 | mixed >> 41;
}

void sl_simulator_mark(sl_simulator *simulator, uint64_t fact) {
    sl_sim_fold(simulator, fact);
}

sl_err sl_simulator_at(sl_simulator *simulator, uint64_t at_ns, sl_simulator_call *call,
                       void *context, uint64_t number) {
    if (at_ns < simulator->now_ns)
        at_ns = simulator->now_ns;
    return sl_sim_events_put(
        &simulator->events,
        (sl_sim_event){.at_ns = at_ns, .call = call, .context = context, .number = number});
}

bool sl_simulator_step(sl_simulator *simulator, uint64_t until_ns) {
    sl_sim_event event;
    if (!sl_sim_events_take(&simulator->events, until_ns, &event)) {
        if (until_ns != UINT64_MAX && until_ns > simulator->now_ns)
            simulator->now_ns = until_ns;
        return false;
    }
    simulator->now_ns = event.at_ns;
    simulator->happened++;
    event.call(event.context, event.number);
    return true;
}

void sl_simulator_run(sl_simulator *simulator, uint64_t until_ns) {
    while (sl_simulator_step(simulator, until_ns)) {
    }
}

/* ---- clocks ---- */

static uint64_t clock_now_ns(const sl_clock *clock) {
    const sl_sim_clock *own = (const sl_sim_clock *)(const void *)clock;
    const sl_sim_node *node = &own->simulator->nodes[own->node];
    uint64_t now_ns = own->simulator->now_ns, lived_ns = now_ns - node->born_ns;
    int64_t drift_ns = (int64_t)(lived_ns / 1000000) * node->ppm;
    return now_ns + SL_NS_PER_S + (uint64_t)drift_ns + node->spent_ns;
}

static double clock_wall_s(const sl_clock *clock) {
    const sl_sim_clock *own = (const sl_sim_clock *)(const void *)clock;
    const sl_sim_node *node = &own->simulator->nodes[own->node];
    return epoch_s + (double)(own->simulator->now_ns + node->spent_ns) / 1e9 + node->wall_skew_s;
}

static void clock_sleep_ns(const sl_clock *clock, uint64_t pause_ns) {
    const sl_sim_clock *own = (const sl_sim_clock *)(const void *)clock;
    own->simulator->nodes[own->node].spent_ns += pause_ns;
}

static uint64_t clock_thread_ns(const sl_clock *clock) {
    return clock_now_ns(clock);
}

const sl_clock *sl_simulator_clock(sl_simulator *simulator, uint32_t node) {
    return &simulator->nodes[node].clock.base;
}

void sl_simulator_spend(sl_simulator *simulator, uint32_t node, uint64_t spent_ns) {
    simulator->nodes[node].spent_ns += spent_ns;
}

void sl_simulator_skew(sl_simulator *simulator, uint32_t node, double wall_s, int32_t ppm) {
    simulator->nodes[node].wall_skew_s = wall_s;
    simulator->nodes[node].next_ppm = ppm;
}

/* ---- turning ---- */

static void on_turn(void *context, uint64_t number);

static void ask_for_turn(sl_simulator *simulator, uint32_t number, uint64_t at_ns) {
    sl_sim_node *node = &simulator->nodes[number];
    if (at_ns < node->busy_ns)
        at_ns = node->busy_ns;
    if (at_ns >= node->turn_at_ns || node->ended || node->pauses)
        return;
    if (sl_simulator_at(simulator, at_ns, on_turn, simulator, number) == SL_OK)
        node->turn_at_ns = at_ns;
}

void sl_sim_wake(sl_simulator *simulator, uint32_t number) {
    const sl_sim_node *node = &simulator->nodes[number];
    if (node->node && !node->turning)
        ask_for_turn(simulator, number, simulator->now_ns);
}

/* The node's clock may be slow: what is left by it is longer by ours. */
static uint64_t to_true_ns(const sl_sim_node *node, uint64_t rest_ns) {
    if (!node->ppm || rest_ns > UINT64_MAX / 2)
        return rest_ns;
    int64_t stretch_ns = -(int64_t)(rest_ns / 1000000) * node->ppm;
    return rest_ns + (uint64_t)stretch_ns + 1;
}

static void after_turn(sl_simulator *simulator, uint32_t number) {
    sl_sim_node *node = &simulator->nodes[number];
    node->busy_ns = simulator->now_ns + simulator->options.turn_ns * node->slow + node->spent_ns;
    node->spent_ns = 0;
    if (sl_node_closed(node->node, &node->err, &node->code)) {
        node->ended = true;
        return;
    }
    uint64_t rest_ns = node->transport->inbox.head || node->transport->sent.head
                           ? 0
                           : to_true_ns(node, sl_node_rest_ns(node->node));
    if (rest_ns < UINT64_MAX - simulator->now_ns)
        ask_for_turn(simulator, number, simulator->now_ns + rest_ns);
}

static void on_turn(void *context, uint64_t number) {
    sl_simulator *simulator = context;
    sl_sim_node *node = &simulator->nodes[number];
    if (!node->node || node->turn_at_ns != simulator->now_ns || node->pauses || node->ended)
        return;
    node->turn_at_ns = UINT64_MAX;
    node->turning = true;
    sl_sim_fold(simulator, simulator->now_ns << 16 ^ number);
    simulator->turning = (uint32_t)number;
    sl_log_set_node((int)number);
    (void)sl_node_turn(node->node);
    simulator->turning = SL_NO_NODE;
    sl_log_set_node(-1);
    node->turning = false;
    after_turn(simulator, (uint32_t)number);
    if (simulator->options.turned)
        simulator->options.turned(simulator->options.context, (uint32_t)number);
}

void sl_simulator_pause(sl_simulator *simulator, uint32_t node, bool paused) {
    sl_sim_node *of = &simulator->nodes[node];
    if (paused) {
        of->pauses++;
        of->turn_at_ns = UINT64_MAX;
    } else if (of->pauses && !--of->pauses) {
        sl_sim_wake(simulator, node);
    }
}

void sl_simulator_slow(sl_simulator *simulator, uint32_t node, uint32_t factor) {
    simulator->nodes[node].slow = factor ? factor : 1;
}

/* ---- jobs ---- */

void *sl_simulator_pool(sl_simulator *simulator, uint32_t node) {
    return &simulator->nodes[node].clock;
}

typedef struct job_end {
    sl_simulator *simulator;
    sl_job *job;
    uint32_t node;
    uint32_t life;
} job_end;

static void on_job_end(void *context, uint64_t number) {
    job_end *end = context;
    (void)number;
    sl_sim_node *node = &end->simulator->nodes[end->node];
    if (node->node && node->life == end->life)
        sl_notify(node->node, &end->job->event);
    else if (end->job->event.drop)
        end->job->event.drop(&end->job->event);
    free(end);
}

/* It has run; what it spent is over later. */
void sl_sim_job_ended(sl_simulator *simulator, sl_job *job, uint32_t number, uint32_t life) {
    uint64_t end_ns = simulator->now_ns + simulator->nodes[number].spent_ns;
    job_end *end = malloc(sizeof *end);
    if (end)
        *end = (job_end){simulator, job, number, life};
    if (!end || sl_simulator_at(simulator, end_ns, on_job_end, end, 0) != SL_OK) {
        free(end);
        sl_notify(simulator->nodes[number].node, &job->event);
    }
}

/* What the job spends is not the loop's time. */
void sl_simulator_run_job(void *context, sl_job *job) {
    const sl_sim_clock *clock = context;
    sl_simulator *simulator = clock->simulator;
    sl_sim_node *node = &simulator->nodes[clock->node];
    uint64_t loop_ns = node->spent_ns;
    job->run(job);
    sl_sim_job_ended(simulator, job, clock->node, node->life);
    node->spent_ns = loop_ns;
}

/* ---- lives ---- */

uint32_t sl_simulator_turning(const sl_simulator *simulator) {
    return simulator->turning;
}

sl_node *sl_simulator_node(const sl_simulator *simulator, uint32_t node) {
    return simulator->nodes[node].node;
}

uint32_t sl_simulator_life(const sl_simulator *simulator, uint32_t node) {
    return simulator->nodes[node].life;
}

bool sl_simulator_ended(const sl_simulator *simulator, uint32_t node, sl_err *err, uint32_t *code) {
    const sl_sim_node *of = &simulator->nodes[node];
    if (!of->node || !of->ended)
        return false;
    if (err)
        *err = of->err;
    if (code)
        *code = of->code;
    return true;
}

sl_err sl_simulator_start(sl_simulator *simulator, uint32_t number, const sl_node_options *options,
                          sl_node **out) {
    sl_sim_node *node = &simulator->nodes[number];
    if (node->node)
        return sl_fail(SL_ERR_EXISTS, "node %u lives already", number);
    node->life++;
    node->ppm = node->next_ppm;
    node->born_ns = node->busy_ns = simulator->now_ns;
    node->turn_at_ns = UINT64_MAX;
    node->spent_ns = 0;
    node->pauses = 0;
    node->ended = false;
    sl_node_options own = *options;
    own.clock = &node->clock.base;
    SL_TRY(sl_sim_transport_create(simulator, number, &node->transport));
    own.transport = &node->transport->base;
    sl_err err = sl_node_create(&own, &node->node);
    if (err != SL_OK) {
        own.transport->ops->close(own.transport);
        node->node = NULL;
        return err;
    }
    ask_for_turn(simulator, number, simulator->now_ns);
    sl_sim_fold(simulator, (uint64_t)node->life << 32 | number);
    if (out)
        *out = node->node;
    return SL_OK;
}

void sl_simulator_kill(sl_simulator *simulator, uint32_t number) {
    sl_sim_node *node = &simulator->nodes[number];
    if (!node->node)
        return;
    sl_node *dying = node->node;
    node->turning = true; /* its actors' stops wake nobody */
    sl_sim_transport_lose(node->transport);
    sl_node_abandon(dying);
    sl_sim_threads_leave(simulator, number);
    sl_node_destroy(dying);
    node->node = NULL;
    node->turning = false;
    node->turn_at_ns = UINT64_MAX;
    sl_sim_fold(simulator, ~(uint64_t)number);
    sl_sim_transports_tell_end(simulator, number);
}

void sl_simulator_ghosts(sl_simulator *simulator, bool ghosts) {
    simulator->ghosts = ghosts;
    if (!ghosts)
        sl_sim_ways_drop_gone(simulator);
}

sl_simulator_traffic sl_simulator_traffic_of(const sl_simulator *simulator) {
    return simulator->traffic;
}

bool sl_simulator_still(const sl_simulator *simulator) {
    return !simulator->on_the_way;
}

/* ---- the whole ---- */

static void begin_node(sl_simulator *simulator, uint32_t number) {
    simulator->nodes[number] = (sl_sim_node){
        .clock = {{clock_now_ns, clock_wall_s, clock_sleep_ns, clock_thread_ns}, simulator, number},
        .turn_at_ns = UINT64_MAX,
        .slow = 1};
}

sl_err sl_simulator_create(const sl_simulator_options *options, sl_simulator **out) {
    if (!options->nodes)
        return sl_fail(SL_ERR_INVALID, "a network has at least one node");
    sl_simulator *simulator = calloc(1, sizeof *simulator);
    if (!simulator)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a simulator");
    simulator->options = *options;
    if (!options->frame_bytes)
        simulator->options.frame_bytes = DEFAULT_FRAME_BYTES;
    if (!options->turn_ns)
        simulator->options.turn_ns = DEFAULT_TURN_NS;
    simulator->hash = UINT64_C(0xcbf29ce484222325);
    simulator->turning = SL_NO_NODE;
    sl_rng_seed(&simulator->rng, options->seed);
    simulator->nodes = calloc(options->nodes, sizeof *simulator->nodes);
    simulator->ways = calloc((size_t)options->nodes * options->nodes, sizeof *simulator->ways);
    if (!simulator->nodes || !simulator->ways || sl_sim_ways_init(simulator) != SL_OK) {
        sl_simulator_destroy(simulator);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u simulated nodes", options->nodes);
    }
    for (uint32_t i = 0; i < options->nodes; i++)
        begin_node(simulator, i);
    *out = simulator;
    return SL_OK;
}

/* Job ends that have not come are the only events that own something. */
static void drop_events(sl_simulator *simulator) {
    for (uint32_t i = 0; i < simulator->events.count; i++) {
        if (simulator->events.heap[i].call == on_job_end)
            on_job_end(simulator->events.heap[i].context, 0);
    }
    free(simulator->events.heap);
}

void sl_simulator_destroy(sl_simulator *simulator) {
    for (uint32_t i = 0; simulator->nodes && i < simulator->options.nodes; i++)
        sl_simulator_kill(simulator, i);
    drop_events(simulator);
    sl_sim_threads_destroy(simulator);
    sl_sim_ways_destroy(simulator);
    if (simulator->noted)
        fputs("\n]\n", simulator->options.trace);
    free(simulator->nodes);
    free(simulator);
}

/* ---- the trace: an array of events as chrome://tracing and Perfetto read it ---- */

bool sl_simulator_traces(const sl_simulator *simulator) {
    return simulator->options.trace != NULL;
}

void sl_simulator_note(sl_simulator *simulator, uint32_t node, uint64_t start_ns,
                       uint64_t duration_ns, const char *format, ...) {
    FILE *file = simulator->options.trace;
    if (!file)
        return;
    fprintf(file, "%s{\"pid\":%u,\"tid\":0,\"ts\":%.3f,", simulator->noted ? ",\n" : "[\n", node,
            (double)start_ns / 1e3);
    simulator->noted = true;
    if (duration_ns)
        fprintf(file, "\"ph\":\"X\",\"dur\":%.3f,", (double)duration_ns / 1e3);
    else
        fputs("\"ph\":\"i\",\"s\":\"p\",", file);
    va_list arguments;
    va_start(arguments, format);
    fputs("\"name\":\"", file);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputs("\"}", file);
}
