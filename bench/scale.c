/* What a large network costs each of its nodes: registries under the simulator, in virtual time.
 *
 * Every node changes, once a second or so, between having all its cores free and none. Some of them
 * look on: a placement by their view is refused when the node they choose has none free by then.
 * They choose among all, among those the view shows free, and of these the one of which the news is
 * newest, as the scheduler does where others place too; that one not again until there is news. */
#include <malloc.h>

#include "actors/registry/registry.h"
#include "actors/registry/registry_msgs.h"
#include "bench/bench.h"
#include "bench/machine.h"
#include "bench/network.h"
#include "runtime/runtime_msgs.h"
#include "runtime/simulator.h"

enum {
    NODES_MOST = 10000,
    JOIN_MOST = 3000, /* larger networks begin with nodes that know each other */
    TOLD_AT_ONCE = 64,
    VIEWERS = 8,
    REGIONS = 3,
    CORES = 4
};

#define FLIP_NS    (500 * SL_NS_PER_MS) /* and up to twice as much more */
#define SETTLE_NS  (2 * SL_NS_PER_S)
#define MEASURE_NS (5 * SL_NS_PER_S)
#define LOOK_NS    (50 * SL_NS_PER_MS)
#define JOIN_NS    (60 * SL_NS_PER_S)
#define DEATH_NS   (600 * SL_NS_PER_S)

static const sl_simulator_link links[REGIONS * REGIONS] = {
    {50000, 20000, 1000000000},    {2000000, 200000, 100000000},  {40000000, 2000000, 10000000},
    {2000000, 200000, 100000000},  {50000, 20000, 1000000000},    {30000000, 2000000, 10000000},
    {40000000, 2000000, 10000000}, {30000000, 2000000, 10000000}, {50000, 20000, 1000000000}};

typedef struct scale scale;

typedef struct host {
    scale *of;
    uint32_t number;
    bool busy;
    char name[16];
} host;

struct scale {
    sl_simulator *simulator;
    uint32_t nodes;
    host hosts[NODES_MOST];
    bool viewed_busy[VIEWERS][NODES_MOST];
    uint64_t told_ns[VIEWERS]
                    [NODES_MOST]; /* when what is viewed was so, at least; 0: placed there */
    uint8_t states[VIEWERS][NODES_MOST];
    bool heard[VIEWERS][NODES_MOST];
    uint32_t known[VIEWERS];
    uint32_t seen_dead;
    uint32_t victim;
};

/* ---- the actor ---- */

typedef struct flipper {
    sl_actor *self;
    host *mine;
} flipper;

static void next_flip(const flipper *f) {
    uint64_t more_ns = sl_rng_below(sl_simulator_rng(f->mine->of->simulator), 2 * FLIP_NS);
    (void)sl_timer_start(f->self, FLIP_NS + more_ns, 0);
}

static sl_err flipper_start(sl_actor *self, void *state, const void *arguments) {
    flipper *f = state;
    *f = (flipper){self, *(host *const *)arguments};
    next_flip(f);
    if (f->mine->number >= VIEWERS)
        return SL_OK;
    registry_watch watch = {};
    return registry_watch_send(self, sl_addr_well_known(f->mine->number, SL_SLOT_REGISTRY), &watch);
}

static void flip(flipper *f) {
    host *mine = f->mine;
    mine->busy = !mine->busy;
    registry_offer offer = {.cores = CORES, .cores_free = mine->busy ? 0 : CORES};
    registry_free body = {.offer = {&offer, 1}};
    (void)registry_free_send(f->self, sl_addr_well_known(mine->number, SL_SLOT_REGISTRY), &body);
    next_flip(f);
}

static void look(const flipper *f, const registry_view *view) {
    scale *s = f->mine->of;
    uint32_t viewer = f->mine->number;
    for (uint32_t i = 0; i < view->members.count; i++) {
        const registry_member *member = &view->members.items[i];
        bool dead = member->state == SL_MEMBER_DEAD && member->node == s->victim;
        s->seen_dead += dead && s->states[viewer][member->node] != SL_MEMBER_DEAD;
        s->known[viewer] += !s->heard[viewer][member->node];
        s->heard[viewer][member->node] = true;
        s->states[viewer][member->node] = member->state;
        uint64_t now_ns = sl_simulator_now_ns(s->simulator);
        uint64_t age_ns = view->ages.items[i].ms * SL_NS_PER_MS;
        s->told_ns[viewer][member->node] = now_ns > age_ns ? now_ns - age_ns : 1;
        s->viewed_busy[viewer][member->node] = !member->offer.items[0].cores_free;
    }
}

static sl_err flipper_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    if (message->type == &node_timer_type)
        flip(state);
    else if (message->type == &registry_view_type)
        look(state, message->body);
    return SL_OK;
}

static const sl_actor_class flipper_class = {.name = "flipper",
                                             .state_bytes = sizeof(flipper),
                                             .start = flipper_start,
                                             .receive = flipper_receive};

/* ---- the network ---- */

static void name_node(scale *s, uint32_t number) {
    host *mine = &s->hosts[number];
    *mine = (host){.of = s, .number = number};
    snprintf(mine->name, sizeof mine->name, "host-%u", number);
}

static void start_node(scale *s, uint32_t number) {
    host *mine = &s->hosts[number];
    sl_node *node;
    sl_node_options options = {.incarnation = 1, .seed = number};
    sl_registry_options registry = {.hostname = mine->name, .cores = CORES, .incarnation = 1};
    snprintf(registry.location.region, sizeof registry.location.region, "region-%u",
             number % REGIONS);
    network_check(sl_simulator_start(s->simulator, number, &options, &node), "node");
    network_check(
        sl_node_spawn(node, SL_SLOT_REGISTRY, &sl_registry_class, &registry, sizeof registry, NULL),
        "registry");
    network_check(sl_node_spawn(node, SL_SLOT_DRIVER, &flipper_class, &mine, sizeof mine, NULL),
                  "actor");
}

/* ---- placements ---- */

typedef enum way { BLINDLY, BY_VIEW, BY_NEWEST, WAYS } way;

static const char *const way_words[WAYS] = {"chosen blindly", "free by the view",
                                            "free by the newest of it"};

static bool is_alive(const scale *s, uint32_t viewer, uint32_t node) {
    return s->states[viewer][node] == SL_MEMBER_ALIVE;
}

static uint32_t choose_any(const scale *s, uint32_t viewer, bool viewed_free) {
    sl_rng *rng = sl_simulator_rng(s->simulator);
    for (int tries = 0; tries < 64; tries++) {
        uint32_t node = (uint32_t)sl_rng_below(rng, s->nodes);
        if (is_alive(s, viewer, node) && !(viewed_free && s->viewed_busy[viewer][node]))
            return node;
    }
    return SL_NO_NODE;
}

static uint32_t choose_newest(scale *s, uint32_t viewer) {
    uint32_t newest = SL_NO_NODE;
    uint64_t *told_ns = s->told_ns[viewer];
    for (uint32_t node = 0; node < s->nodes; node++) {
        if (is_alive(s, viewer, node) && !s->viewed_busy[viewer][node] && told_ns[node] &&
            (newest == SL_NO_NODE || told_ns[node] > told_ns[newest]))
            newest = node;
    }
    if (newest != SL_NO_NODE)
        told_ns[newest] = 0;
    return newest;
}

static uint32_t choose(scale *s, uint32_t viewer, way by) {
    return by == BY_NEWEST ? choose_newest(s, viewer) : choose_any(s, viewer, by == BY_VIEW);
}

/* In percent. */
static void measure_refused(scale *s, double refused_share[WAYS]) {
    uint64_t chosen[WAYS] = {0}, refused[WAYS] = {0};
    uint64_t end_ns = sl_simulator_now_ns(s->simulator) + MEASURE_NS;
    while (sl_simulator_now_ns(s->simulator) < end_ns) {
        sl_simulator_run(s->simulator, sl_simulator_now_ns(s->simulator) + LOOK_NS);
        for (uint32_t i = 0; i < VIEWERS * WAYS; i++) {
            uint32_t viewer = i / WAYS, by = i % WAYS;
            uint32_t node = viewer < s->nodes ? choose(s, viewer, (way)by) : SL_NO_NODE;
            chosen[by] += node != SL_NO_NODE;
            refused[by] += node != SL_NO_NODE && s->hosts[node].busy;
        }
    }
    for (int by = 0; by < WAYS; by++)
        refused_share[by] = chosen[by] ? 100.0 * (double)refused[by] / (double)chosen[by] : 0;
}

/* As in a network that has run for a while: its registries know of each other before time begins.
 * Called in the order in which the nodes were started. */
static void introduce(scale *s, uint32_t number) {
    static registry_member entries[TOLD_AT_ONCE];
    static const registry_offer offer = {.cores = CORES, .cores_free = CORES};
    sl_node *node = sl_simulator_node(s->simulator, number);
    char regions[REGIONS][16];
    for (uint32_t i = 0; i < REGIONS; i++)
        snprintf(regions[i], sizeof regions[i], "region-%u", i);
    for (uint32_t first = 0; first < s->nodes; first += TOLD_AT_ONCE) {
        uint32_t count = s->nodes - first < TOLD_AT_ONCE ? s->nodes - first : TOLD_AT_ONCE;
        for (uint32_t i = 0; i < count; i++)
            entries[i] = (registry_member){.node = first + i,
                                           .incarnation = 1,
                                           .version = 1,
                                           .state = SL_MEMBER_ALIVE,
                                           .host = sl_text_of(s->hosts[first + i].name),
                                           .region = sl_text_of(regions[(first + i) % REGIONS]),
                                           .zone = sl_text_of(""),
                                           .offer = {&offer, 1}};
        registry_gossip all = {.members = {entries, count}};
        network_check(sl_node_send(node, sl_addr_well_known(number, SL_SLOT_REGISTRY),
                                   &registry_gossip_type, &all),
                      "gossip");
    }
    (void)sl_simulator_step(s->simulator, 0); /* its first turn: all have one before time passes */
}

/* Until all who look on know every node; in seconds. */
static double join_s(scale *s) {
    for (uint32_t viewer = 0; viewer < VIEWERS && viewer < s->nodes; viewer++) {
        while (s->known[viewer] < s->nodes &&
               sl_simulator_step(s->simulator, sl_simulator_now_ns(s->simulator) + JOIN_NS)) {
        }
    }
    return (double)sl_simulator_now_ns(s->simulator) / 1e9;
}

/* Until all who look on know that a node that stopped speaking is dead. */
static double notice_s(scale *s) {
    uint64_t begin_ns = sl_simulator_now_ns(s->simulator);
    uint32_t viewers = VIEWERS < s->nodes - 1 ? VIEWERS : s->nodes - 1;
    s->victim = s->nodes - 1;
    sl_simulator_kill(s->simulator, s->victim);
    while (s->seen_dead < viewers && sl_simulator_step(s->simulator, begin_ns + DEATH_NS)) {
    }
    return (double)(sl_simulator_now_ns(s->simulator) - begin_ns) / 1e9;
}

/* ---- rows ---- */

static void row(bench *b, uint32_t nodes, const char *what, report_unit unit, double value) {
    samples one = {0};
    char text[96];
    samples_add(&one, value);
    snprintf(text, sizeof text, "%s, %u nodes", what, nodes);
    report_print(
        &b->report,
        &(report_row){
            .bench = "scale", .what = text, .unit = unit, .ours = &one, .less_is_better = true});
    samples_fini(&one);
}

static void measure(bench *b, uint32_t nodes) {
    scale *s = calloc(1, sizeof *s);
    malloc_trim(0);
    double before_bytes = (double)machine_rss_bytes();
    if (!s)
        bench_die("no memory for a network of %u nodes", nodes);
    s->nodes = nodes;
    s->victim = UINT32_MAX;
    network_check(
        sl_simulator_create(
            &(sl_simulator_options){
                .nodes = nodes, .seed = 1, .frame_bytes = 2048, .regions = REGIONS, .links = links},
            &s->simulator),
        "simulator");
    for (uint32_t i = 0; i < nodes; i++)
        name_node(s, i);
    for (uint32_t i = 0; i < nodes; i++)
        start_node(s, i);
    for (uint32_t i = 0; i < nodes && nodes > JOIN_MOST; i++)
        introduce(s, i);
    if (nodes <= JOIN_MOST)
        row(b, nodes, "until all know each other", REPORT_SECONDS, join_s(s));
    sl_simulator_run(s->simulator, sl_simulator_now_ns(s->simulator) + SETTLE_NS);
    double sent_bytes = (double)sl_simulator_traffic_of(s->simulator).bytes;
    double refused[WAYS];
    measure_refused(s, refused);
    sent_bytes = (double)sl_simulator_traffic_of(s->simulator).bytes - sent_bytes;
    double memory_bytes = ((double)machine_rss_bytes() - before_bytes) / nodes;
    row(b, nodes, "gossip a node sends in a second", REPORT_BYTES,
        sent_bytes / nodes / ((double)MEASURE_NS / 1e9));
    row(b, nodes, "memory of a node", REPORT_BYTES, memory_bytes);
    for (int by = 0; by < WAYS; by++) {
        char text[64];
        snprintf(text, sizeof text, "placements refused, %s", way_words[by]);
        row(b, nodes, text, REPORT_PERCENT, refused[by]);
    }
    row(b, nodes, "until a death is known", REPORT_SECONDS, notice_s(s));
    sl_simulator_destroy(s->simulator);
    free(s);
}

void bench_scale(bench *b) {
    static const uint32_t sizes[] = {4, 16, 64, 250, 1000, 3000, 10000};
    uint32_t count = sizeof sizes / sizeof *sizes;
    if (b->ranks > 1)
        return;
    for (uint32_t i = 0; i < count - (b->quick ? 3 : 0); i++) {
        char words[32];
        snprintf(words, sizeof words, "%u nodes", sizes[i]);
        if (bench_wants(b, words))
            measure(b, sizes[i]);
    }
}
