#include "tests/lib/registry_world.h"

#include "runtime/transport_thread.h"
#include "tests/lib/test.h"

/* ---- the watcher ---- */

typedef struct spy_state {
    spy *seen;
} spy_state;

static sl_err watch(sl_actor *self) {
    registry_watch body = {};
    return registry_watch_send(
        self, sl_addr_well_known(sl_node_id(sl_actor_node(self)), SL_SLOT_REGISTRY), &body);
}

static sl_err spy_start(sl_actor *self, void *state, const void *arguments) {
    spy *seen = ((spy_state *)state)->seen = *(spy *const *)arguments;
    memset(seen, 0, sizeof *seen);
    memset(seen->states, 0xff, sizeof seen->states);
    return watch(self);
}

static void spy_member(spy *seen, const registry_member *member) {
    uint32_t node = member->node;
    uint8_t *count = &seen->history_count[node];
    if (seen->states[node] != member->state && *count < WORLD_HISTORY)
        seen->history[node][(*count)++] = member->state;
    seen->states[node] = member->state;
    seen->versions[node] = member->version;
    seen->offers[node] = *member->offer.items;
    snprintf(seen->hosts[node], sizeof seen->hosts[node], "%s", member->host.data);
}

static sl_err spy_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    spy *seen = ((spy_state *)state)->seen;
    if (message->type == &registry_view_type) {
        const registry_view *view = message->body;
        seen->views++;
        seen->told += view->members.count;
        for (uint32_t i = 0; i < view->members.count; i++)
            spy_member(seen, &view->members.items[i]);
    } else if (message->type == &registry_description_type) {
        const registry_description *description = message->body;
        seen->descriptions++;
        seen->described_node = description->node;
        snprintf(seen->description, sizeof seen->description, "%s", description->json.data);
    } else if (message->type == &registry_describe_type) {
        registry_describe describe = {};
        return registry_describe_send(self, sl_addr_well_known(seen->ask, SL_SLOT_REGISTRY),
                                      &describe);
    } else if (message->type == &registry_watch_type) {
        return watch(self);
    }
    return SL_OK;
}

/* ---- nodes ---- */

static uint64_t world_now_ns(const sl_clock *clock) {
    return ((const world *)(const void *)clock)->now_ns;
}

static double world_wall_s(const sl_clock *clock) {
    return (double)world_now_ns(clock) / 1e9;
}

static void world_sleep_ns(const sl_clock *clock, uint64_t pause_ns) {
    (void)clock;
    (void)pause_ns;
}

static const sl_actor_class spy_class = {
    .name = "spy", .state_bytes = sizeof(spy_state), .start = spy_start, .receive = spy_receive};
static const sl_actor_class narrow_spy_class = {.name = "narrow spy",
                                                .state_bytes = sizeof(spy_state),
                                                .start = spy_start,
                                                .receive = spy_receive,
                                                .mailbox_limit = 1};

static bool spawn_actors(world *w, const world_options *options, uint32_t i) {
    sl_registry_options registry = options->registry;
    snprintf(w->hosts[i], sizeof w->hosts[i], "host-%u",
             i % (options->hosts ? options->hosts : w->count));
    snprintf(w->descriptions[i], sizeof w->descriptions[i], "{\"node\": %u}", i);
    registry.hostname = w->hosts[i];
    registry.description = w->descriptions[i];
    registry.incarnation = 1;
    registry.cores = 4;
    registry.memory_bytes = 1 << 30;
    registry.ucu_milli = 8000 + i;
    snprintf(registry.location.region, sizeof registry.location.region, "region-%u", i % 4);
    spy *seen = &w->spies[i];
    return sl_node_spawn(w->nodes[i], SL_SLOT_REGISTRY, &sl_registry_class, &registry,
                         sizeof registry, NULL) == SL_OK &&
           sl_node_spawn(w->nodes[i], SL_SLOT_DRIVER,
                         options->narrow_spies ? &narrow_spy_class : &spy_class, &seen, sizeof seen,
                         NULL) == SL_OK;
}

static bool world_fill(world *w, const world_options *options) {
    sl_transport *transports[WORLD_NODES];
    if (sl_thread_network_create(w->count, options->frame_bytes, transports) != SL_OK)
        return false;
    for (uint32_t i = 0; i < w->count; i++) {
        sl_node_options node = {.transport = transports[i],
                                .clock = options->real_time ? NULL : &w->clock,
                                .incarnation = 1,
                                .seed = 1000 + i};
        if (sl_node_create(&node, &w->nodes[i]) != SL_OK)
            return false;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        if (!spawn_actors(w, options, i))
            return false;
    }
    return true;
}

world *world_create(const world_options *options) {
    world *w = calloc(1, sizeof *w);
    spy *spies = calloc(options->count, sizeof *spies);
    if (w && spies) {
        *w = (world){.clock = {world_now_ns, world_wall_s, world_sleep_ns, NULL},
                     .now_ns = SL_NS_PER_S,
                     .count = options->count,
                     .spies = spies};
        if (world_fill(w, options))
            return w;
    }
    sl_test_fail(__FILE__, __LINE__, "no network of %u nodes: %s", options->count, sl_err_detail());
    exit(1);
}

void world_destroy(world *w) {
    for (uint32_t i = 0; i < w->count; i++)
        sl_node_destroy(w->nodes[i]);
    free(w->spies);
    free(w);
}

/* ---- time ---- */

void world_settle(world *w) {
    for (bool busy = true; busy;) {
        busy = false;
        for (uint32_t i = 0; i < w->count; i++)
            busy |= !w->frozen[i] && sl_node_turn(w->nodes[i]);
    }
}

void world_run(world *w, uint64_t duration_ns, uint64_t step_ns) {
    for (uint64_t passed_ns = 0; passed_ns < duration_ns; passed_ns += step_ns) {
        w->now_ns += step_ns;
        world_settle(w);
    }
}

/* ---- what they know ---- */

bool world_agrees(const world *w, uint32_t node, uint8_t state) {
    for (uint32_t i = 0; i < w->count; i++) {
        if (!w->frozen[i] && w->spies[i].states[node] != state)
            return false;
    }
    return true;
}

bool world_all_alive(const world *w) {
    for (uint32_t node = 0; node < w->count; node++) {
        if (!world_agrees(w, node, SL_MEMBER_ALIVE))
            return false;
    }
    return true;
}

int64_t world_metric(const world *w, sl_metric metric) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < w->count; i++)
        sum += sl_metric_value(sl_node_metrics(w->nodes[i]), metric);
    return sum;
}

void world_send(world *w, uint32_t from, uint32_t to, const sl_message_type *type,
                const void *body) {
    CHECK_INT(sl_node_send(w->nodes[from], sl_addr_well_known(to, SL_SLOT_REGISTRY), type, body),
              SL_OK);
}

registry_member world_claim(uint32_t node, uint64_t version, uint8_t state, registry_offer *offer) {
    *offer = (registry_offer){.cores = 4, .cores_free = 4};
    return (registry_member){.node = node,
                             .incarnation = 1,
                             .version = version,
                             .state = state,
                             .host = sl_text_of("elsewhere"),
                             .region = sl_text_of("region"),
                             .zone = sl_text_of(""),
                             .offer = {offer, 1}};
}
