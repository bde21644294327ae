#include "bench/members.h"

#include "actors/registry/registry.h"
#include "actors/registry/registry_msgs.h"
#include "bench/bench_msgs.h"
#include "bench/network.h"

enum { MEMORY_BYTES = 1 << 30, UCU_MILLI = 1000, NODES_MOST = 64 };

void members_spawn(sl_node *node, uint32_t cores) {
    sl_registry_options options = {.hostname = "bench",
                                   .cores = cores,
                                   .memory_bytes = MEMORY_BYTES,
                                   .ucu_milli = UCU_MILLI,
                                   .incarnation = 1,
                                   .gossip_period_ns = 20 * SL_NS_PER_MS};
    network_check(
        sl_node_spawn(node, SL_SLOT_REGISTRY, &sl_registry_class, &options, sizeof options, NULL),
        "a registry");
}

/* ---- the announcer ---- */

typedef struct announcer {
    uint32_t wanted;
    uint32_t cores[NODES_MOST]; /* offered by each node */
    bool told;
} announcer;

static sl_err announcer_start(sl_actor *self, void *state, const void *arguments) {
    ((announcer *)state)->wanted = *(const uint32_t *)arguments;
    return registry_watch_send(
        self, sl_addr_well_known(sl_node_id(sl_actor_node(self)), SL_SLOT_REGISTRY),
        &(registry_watch){});
}

static uint32_t cores_known(announcer *a, const registry_view *view) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < view->members.count; i++) {
        const registry_member *m = &view->members.items[i];
        if (m->node < NODES_MOST)
            a->cores[m->node] =
                m->state == SL_MEMBER_ALIVE && m->offer.count ? m->offer.items->cores : 0;
    }
    for (uint32_t i = 0; i < NODES_MOST; i++)
        sum += a->cores[i];
    return sum;
}

static sl_err announcer_receive(sl_actor *self, void *state, const sl_message *message) {
    announcer *a = state;
    if (message->type != &registry_view_type || a->told ||
        cores_known(a, message->body) < a->wanted)
        return SL_OK;
    a->told = true;
    uint32_t node = sl_node_id(sl_actor_node(self));
    return bench_go_send(self, sl_addr_well_known(node, SL_SLOT_DRIVER), &(bench_go){});
}

static const sl_actor_class announcer_class = {.name = "announcer",
                                               .state_bytes = sizeof(announcer),
                                               .start = announcer_start,
                                               .receive = announcer_receive};

void members_announce(sl_node *node, uint32_t cores) {
    network_check(sl_node_spawn(node, SLOT_CLERK, &announcer_class, &cores, sizeof cores, NULL),
                  "the announcer");
}
