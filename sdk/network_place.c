/* Where each node is, and what of the machine is its to offer. */
#include "sdk/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/registry/hardware_json.h"
#include "mpi/regions.h"

#define DESCRIPTION_MOST 262144 /* bound of registry_description.json */

/* ---- the machine ---- */

static const char *path_of(const sl_network *network, sl_opt id) {
    return sl_config_is_set(network->config, id) ? sl_config_text(network->config, id) : NULL;
}

static sl_err read_timings(sl_network *network) {
    const sl_config *config = network->config;
    sl_link_timings *timings = &network->timings;
    if (sl_config_is_set(config, SL_OPT_SUSPECT_MS))
        timings->all.suspect_ns = sl_config_duration_ns(config, SL_OPT_SUSPECT_MS);
    if (sl_config_is_set(config, SL_OPT_DEAD_MS))
        timings->all.dead_ns = sl_config_duration_ns(config, SL_OPT_DEAD_MS);
    if (sl_config_is_set(config, SL_OPT_LINK_TIMING))
        SL_TRY(sl_link_timings_parse(timings, sl_config_text(config, SL_OPT_LINK_TIMING)));
    return sl_link_timings_check(timings, sl_config_duration_ns(config, SL_OPT_HEARTBEAT_MS));
}

sl_err sl_network_discover(sl_network *network) {
    const char *spec = path_of(network, SL_OPT_SPEC_FILE);
    const char *topology = path_of(network, SL_OPT_TOPOLOGY_FILE);
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        strcpy(host, "unknown");
    if (spec)
        SL_TRY(sl_spec_load(spec, &network->spec));
    if (topology)
        SL_TRY(sl_topology_file_load(topology, &network->topology));
    if (path_of(network, SL_OPT_REGIONS))
        SL_TRY(sl_regions_check(path_of(network, SL_OPT_REGIONS)));
    SL_TRY(read_timings(network));
    sl_hardware_source source = {.spec = sl_spec_find(network->spec, host)};
    SL_TRY(sl_hardware_discover(&source, &network->hardware));
    return sl_ucu_of_hardware(&network->hardware, &network->ucu);
}

/* ---- a node's place ---- */

static const sl_spec_node *spec_of(const sl_network *network) {
    return sl_spec_find(network->spec, network->hardware.hostname);
}

/* The spec file's word beats what was guessed from a batch system, not what was asked for. */
static void apply_spec(sl_network_node *node, const sl_spec_node *spec, bool asked_for) {
    const sl_location *said = &spec->location;
    if (said->region[0] && !asked_for) {
        snprintf(node->location.region, sizeof node->location.region, "%s", said->region);
        snprintf(node->location_source, sizeof node->location_source, "the spec file");
    }
    if (said->zone[0] && !node->location.zone[0])
        snprintf(node->location.zone, sizeof node->location.zone, "%s", said->zone);
    if (said->has_coordinates && !node->location.has_coordinates) {
        node->location.latitude = said->latitude;
        node->location.longitude = said->longitude;
        node->location.has_coordinates = true;
    }
}

static sl_err locate(sl_network_node *node) {
    const sl_network *network = node->network;
    sl_regions_place place;
    sl_regions_query query = {.flag = path_of(network, SL_OPT_REGIONS),
                              .topology = network->topology,
                              .host = network->hardware.hostname,
                              .rank = node->rank,
                              .count = network->count};
    SL_TRY(sl_regions_locate(&query, &place));
    node->location = (sl_location){.latitude = place.latitude,
                                   .longitude = place.longitude,
                                   .has_coordinates = place.has_coordinates};
    snprintf(node->location.region, sizeof node->location.region, "%s", place.region);
    snprintf(node->location.zone, sizeof node->location.zone, "%s", place.zone);
    snprintf(node->location_source, sizeof node->location_source, "%s", place.source);
    if (spec_of(network))
        apply_spec(node, spec_of(network), query.flag || network->topology);
    return SL_OK;
}

/* ---- a node's share ---- */

static sl_offer_limits limits_of(const sl_network *network) {
    const sl_config *config = network->config;
    sl_offer_limits limits = SL_OFFER_LIMITS_NONE, flags = SL_OFFER_LIMITS_NONE;
    if (spec_of(network))
        limits = spec_of(network)->limits;
    if (sl_config_is_set(config, SL_OPT_CPUS))
        flags.cpus = sl_config_int(config, SL_OPT_CPUS);
    if (sl_config_is_set(config, SL_OPT_GPUS))
        flags.gpus = sl_config_int(config, SL_OPT_GPUS);
    if (sl_config_is_set(config, SL_OPT_MEMORY_GB))
        flags.memory_bytes =
            (uint64_t)(sl_config_double(config, SL_OPT_MEMORY_GB) * (double)SL_OFFER_BYTES_PER_GB);
    if (sl_config_is_set(config, SL_OPT_UCU))
        flags.ucu = sl_config_double(config, SL_OPT_UCU);
    sl_offer_limits_merge(&limits, &flags);
    return limits;
}

/* The claims of the ranks of this host, by local rank: they told them when they joined. */
static sl_err local_claims(const sl_network *network, uint32_t local_size, sl_claim **out) {
    sl_claim *claims = calloc(local_size, sizeof *claims);
    const char *host = sl_mpi_peer(network->mpi, sl_mpi_rank(network->mpi))->host;
    uint32_t found = 0;
    if (!claims)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the claims of %u ranks", local_size);
    for (uint32_t i = 0; i < network->count; i++) {
        const sl_mpi_facts *peer = sl_mpi_peer(network->mpi, i);
        if (strcmp(peer->host, host) != 0 || peer->local_rank >= local_size ||
            peer->local_size != local_size || peer->data_bytes != sizeof *claims)
            continue;
        memcpy(&claims[peer->local_rank], peer->data, sizeof *claims);
        if (claims[peer->local_rank].accelerator_count > SL_HARDWARE_ACCELERATORS_MAX)
            claims[peer->local_rank].accelerator_count = SL_HARDWARE_ACCELERATORS_MAX;
        found++;
    }
    if (found !=
        local_size) { /* two hosts of one name: each rank takes the others to be as itself */
        free(claims);
        claims = NULL;
    }
    *out = claims;
    return SL_OK;
}

/* Takes the spares of this host out of its ranks: what is divided goes to the others. */
static sl_err without_spares(const sl_network *network, uint32_t rank, sl_claim *claims,
                             uint32_t *local_size, uint32_t *local_rank) {
    uint32_t left = 0, place = 0;
    if (!claims)
        return sl_fail(SL_ERR_INVALID, "spares: several hosts here go by one name");
    for (uint32_t i = 0; i < network->count; i++) {
        if (!sl_network_same_host(network, i, rank) || sl_network_is_spare(network, i))
            continue;
        place +=
            sl_mpi_peer(network->mpi, i)->local_rank < sl_mpi_peer(network->mpi, rank)->local_rank;
    }
    for (uint32_t local = 0; local < *local_size; local++) {
        for (uint32_t i = 0; i < network->count; i++)
            if (sl_network_same_host(network, i, rank) && !sl_network_is_spare(network, i) &&
                sl_mpi_peer(network->mpi, i)->local_rank == local)
                claims[left++] = claims[local];
    }
    *local_size = left;
    *local_rank = place;
    return SL_OK;
}

static sl_err divide(const sl_network *network, uint32_t rank, sl_offer *offer) {
    sl_offer_limits limits = limits_of(network);
    uint32_t local_size = network->count, local_rank = rank;
    sl_claim *claims = NULL;
    sl_err err = SL_OK;
    if (network->mpi) {
        const sl_mpi_facts *facts = sl_mpi_peer(network->mpi, rank);
        local_size = facts->local_size;
        local_rank = facts->local_rank;
        SL_TRY(local_claims(network, local_size, &claims));
    }
    if (network->is_spare)
        err = without_spares(network, rank, claims, &local_size, &local_rank);
    if (err == SL_OK)
        err = sl_offer_make(&network->hardware, claims, (int)local_size, (int)local_rank, &limits,
                            offer);
    free(claims);
    return err;
}

sl_err sl_network_offer(const sl_network *network, uint32_t rank, sl_offer *offer) {
    return divide(network, rank, offer);
}

/* A spare says what it might offer: what the first rank of its host does. */
static sl_err make_offer(sl_network_node *node) {
    const sl_network *network = node->network;
    uint32_t rank = node->rank;
    if (sl_network_is_spare(network, rank))
        for (rank = 0; !sl_network_same_host(network, rank, node->rank) ||
                       sl_network_is_spare(network, rank);)
            rank++;
    return divide(network, rank, &node->offer);
}

static sl_err describe(sl_network_node *node) {
    const sl_network *network = node->network;
    json_t *whole = json_object();
    json_object_set_new(whole, "rank", json_integer(node->rank));
    json_object_set_new(whole, "host", json_string(network->hardware.hostname));
    json_object_set_new(whole, "region", json_string(node->location.region));
    json_object_set_new(whole, "region_source", json_string(node->location_source));
    json_object_set_new(whole, "location", sl_location_to_json(&node->location));
    if (sl_network_is_spare(network, node->rank))
        json_object_set_new(whole, "spare", json_true());
    json_object_set_new(whole, "offer", sl_offer_to_json(&node->offer, &network->hardware));
    json_object_set_new(whole, "hardware", sl_hardware_to_json(&network->hardware, &network->ucu));
    node->description = json_dumps(whole, JSON_COMPACT);
    json_decref(whole);
    if (!node->description)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to describe node %u", node->rank);
    if (strlen(node->description) > DESCRIPTION_MOST)
        return sl_fail(SL_ERR_TOO_LARGE, "the description of node %u has more than %d bytes",
                       node->rank, DESCRIPTION_MOST);
    return SL_OK;
}

sl_err sl_network_place(sl_network *network) {
    for (uint32_t i = 0; i < network->local_count; i++) {
        SL_TRY(locate(&network->nodes[i]));
        SL_TRY(make_offer(&network->nodes[i]));
        SL_TRY(describe(&network->nodes[i]));
    }
    return SL_OK;
}
