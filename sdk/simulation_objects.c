/* Objects of a simulated network: each node makes some, with a hold for another node, tells that
 * one of them, and lets go; the other reads them, and lets go later. An object is there as long as
 * somebody has it and its maker lives, and in the end none is left anywhere. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime_msgs.h"
#include "sdk/simulation.h"
#include "sdk/simulation_msgs.h"

#define KEPT_MOST_NS (300 * SL_NS_PER_MS) /* by whoever has it */

enum {
    STORE_BYTES = 1 << 20,
    ASK_AGAIN_EACH = 5, /* looks at one that has not come */
    OBJECTS_MOST = 24,  /* handles of one node; then it makes no more */
    OBJECT_BYTES = 9000,
    MADE_EACH = 24, /* ticks, about */
    BYTES_APART = 499
};

struct sl_sim_object {
    sl_sim_object *next;
    sl_store_object *handle;
    uint64_t until_ns;
    uint64_t bytes;
    uint32_t maker;
    uint32_t looks;
    uint8_t fill;
    bool read;
    bool orphan; /* the link to its maker was lost meanwhile */
};

/* Some seeds have objects; what the others bring is as it was without any. */
static bool has_objects(const sl_simulation *simulation) {
    return simulation->options.seed % 3 == 2;
}

/* ---- contents ---- */

void sl_sim_fill(uint8_t *data, uint64_t bytes, uint8_t value) {
    if (bytes <= SL_BLOB_INLINE_BYTES) {
        memset(data, value, bytes);
        return;
    }
    for (uint64_t i = 0; i < bytes; i += BYTES_APART)
        data[i] = value;
}

bool sl_sim_is_filled(const uint8_t *data, uint64_t bytes, uint8_t value) {
    for (uint64_t i = 0; i < bytes; i += BYTES_APART) {
        if (data[i] != value)
            return false;
    }
    return true;
}

/* ---- handles ---- */

static uint64_t now_of(const sl_sim_host *host) {
    return sl_simulator_now_ns(host->simulation->simulator);
}

static uint64_t draw(sl_sim_host *host, uint64_t below) {
    return sl_rng_below(&host->simulation->object_rng, below);
}

static sl_sim_object *keep(sl_sim_host *host, sl_store_object *handle, uint64_t bytes,
                           uint8_t fill) {
    sl_sim_object *object = malloc(sizeof *object);
    if (!object) {
        sl_store_object_release(handle);
        return NULL;
    }
    *object = (sl_sim_object){.next = host->objects,
                              .handle = handle,
                              .until_ns = now_of(host) + draw(host, KEPT_MOST_NS),
                              .bytes = bytes,
                              .maker = sl_store_id_of(handle).node,
                              .fill = fill};
    host->objects = object;
    host->object_count++;
    return object;
}

static void drop(sl_sim_host *host, sl_sim_object **at) {
    sl_sim_object *object = *at;
    *at = object->next;
    host->object_count--;
    sl_store_object_release(object->handle);
    free(object);
}

/* ---- making ---- */

static void offer(sl_actor *self, const sl_sim_object *object, uint32_t peer) {
    if (sl_store_hold(object->handle, peer, 0) != SL_OK)
        return; /* it is lost */
    sl_store_id id = sl_store_id_of(object->handle);
    simulation_offer body = {.incarnation = id.incarnation,
                             .sequence = id.sequence,
                             .bytes = object->bytes,
                             .fill = object->fill};
    if (simulation_offer_send(self, sl_addr_well_known(peer, SL_SIM_SLOT), &body) != SL_OK)
        sl_store_unhold(object->handle, peer);
}

static void make(sl_actor *self, sl_sim_host *host) {
    uint32_t nodes = host->simulation->options.nodes;
    uint64_t bytes = 1 + draw(host, OBJECT_BYTES);
    uint32_t peer = (uint32_t)draw(host, nodes), peers = 1 + (uint32_t)draw(host, 2);
    sl_store_type type = {.kind = 1, .dimensions = 1, .shape = {bytes}};
    sl_store_object *handle;
    if (sl_store_make(host->store, &type, bytes, &handle) != SL_OK)
        return; /* it is full */
    uint8_t fill = (uint8_t)sl_store_id_of(handle).sequence;
    sl_sim_fill(sl_store_data(handle), bytes, fill);
    if (sl_store_seal(handle) != SL_OK)
        sl_sim_violate(host->simulation, "node %u cannot seal its object", host->number);
    sl_sim_object *object = keep(host, handle, bytes, fill);
    for (uint32_t i = 0; object && i < peers; i++) {
        uint32_t to = (peer + i) % nodes;
        if (to != host->number)
            offer(self, object, to);
    }
}

/* ---- reading ---- */

void sl_sim_objects_hear(sl_sim_host *host, uint32_t from, const simulation_offer *body) {
    sl_store_id id = {from, body->incarnation, body->sequence};
    sl_store_object *handle;
    if (!host->store)
        return;
    if (sl_store_open(host->store, id, true, &handle) == SL_OK)
        (void)keep(host, handle, body->bytes, body->fill);
    else
        sl_sim_violate(host->simulation, "node %u cannot take an object: %s", host->number,
                       sl_err_detail());
}

void sl_sim_objects_lost(sl_sim_host *host, uint32_t peer) {
    for (sl_sim_object *each = host->objects; each; each = each->next)
        each->orphan |= each->maker == peer;
}

/* True when there is nothing more to wait for. Nobody waits for the answer to what is asked here: a
 * refusal shows in that the object never comes. */
static bool look(sl_sim_host *host, sl_sim_object *object) {
    sl_store_content content;
    if (object->looks++ % ASK_AGAIN_EACH && !sl_store_is_here(object->handle))
        return false;
    sl_err err = sl_store_get(object->handle, 0, &content);
    if (err == SL_ERR_TIMEOUT)
        return object->orphan;
    if (err != SL_OK) {
        if (!object->orphan && err != SL_ERR_NO_MEMORY)
            sl_sim_violate(host->simulation, "node %u has an object of node %u, and cannot read it",
                           host->number, object->maker);
        return true;
    }
    if (content.bytes != object->bytes || content.type.kind != 1 || content.type.dimensions != 1 ||
        content.type.shape[0] != object->bytes ||
        !sl_sim_is_filled(content.data, content.bytes, object->fill))
        sl_sim_violate(host->simulation, "node %u reads another object than node %u made",
                       host->number, object->maker);
    return true;
}

void sl_sim_objects_tick(sl_actor *self, sl_sim_host *host) {
    const sl_simulation *simulation = host->simulation;
    if (!host->store)
        return;
    for (sl_sim_object **at = &host->objects; *at;) {
        sl_sim_object *object = *at;
        object->read = object->read || look(host, object);
        if (object->read && (!simulation->chatting || now_of(host) >= object->until_ns))
            drop(host, at);
        else
            at = &object->next;
    }
    if (simulation->chatting && simulation->options.nodes > 1 && has_objects(simulation) &&
        host->object_count < OBJECTS_MOST && draw(host, MADE_EACH) == 0)
        make(self, host);
}

/* ---- lives ---- */

sl_err sl_sim_objects_start(sl_sim_host *host, sl_node *node) {
    sl_store_options options = {.node = host->number,
                                .nodes = host->simulation->options.nodes,
                                .incarnation = host->incarnation,
                                .limit_bytes = STORE_BYTES};
    if (!has_objects(host->simulation) && !sl_sim_has_programs(host->simulation))
        return SL_OK;
    SL_TRY(sl_store_create(&options, &host->store));
    return sl_node_spawn(node, SL_SLOT_STORE, &sl_store_class, &host->store, sizeof host->store,
                         NULL);
}

void sl_sim_objects_end(sl_sim_host *host) {
    while (host->objects)
        drop(host, &host->objects);
    sl_store_release(host->store);
    host->store = NULL;
}

void sl_sim_check_objects(sl_sim_host *host) {
    if (!host->store)
        return;
    sl_store_load load = sl_store_loads(host->store);
    if (host->objects)
        sl_sim_violate(host->simulation, "node %u still waits for an object of node %u",
                       host->number, host->objects->maker);
    if (load.owned || load.holds || load.leases)
        sl_sim_violate(host->simulation,
                       "node %u has %" PRIu64 " objects left over, with %" PRIu64 " holds",
                       host->number, load.owned, load.holds);
}
