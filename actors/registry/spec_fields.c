#include "actors/registry/spec_fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_GB_MAX (1 << 24) /* 16 EB */
#define STARS_MAX     4 /* in one pattern: fnmatch() may try every split of the name per star */

static sl_err add_host(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *value,
                       sl_spec_node *node) {
    char pattern[SL_SPEC_PATTERN_MAX];
    SL_TRY(sl_spec_string(reader, path, value, pattern, sizeof pattern));
    int stars = 0;
    for (const char *at = pattern; *at; at++)
        stars += *at == '*';
    if (stars > STARS_MAX)
        return sl_spec_fail(reader, path, SL_ERR_INVALID, "%d times `*`: at most %d are allowed",
                            stars, STARS_MAX);
    char *copy = strdup(pattern);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %s", reader->file);
    node->hosts[node->host_count++] = copy;
    return SL_OK;
}

static sl_err read_hosts(const sl_spec_reader *reader, const sl_spec_path *path,
                         const json_t *object, sl_spec_node *node) {
    const json_t *hosts = json_object_get(object, "hosts");
    sl_spec_path where = sl_spec_path_key(path, "hosts");
    size_t count = json_is_array(hosts) ? json_array_size(hosts) : 1;
    if (!hosts || count == 0 || count > SL_SPEC_HOSTS_MAX)
        return sl_spec_fail(reader, &where, SL_ERR_INVALID,
                            "a host pattern, or an array of 1 to %d of them, is wanted here",
                            SL_SPEC_HOSTS_MAX);
    node->hosts = calloc(count, sizeof *node->hosts);
    if (!node->hosts)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %s", reader->file);
    if (!json_is_array(hosts))
        return add_host(reader, &where, hosts, node);
    for (size_t i = 0; i < count; i++) {
        sl_spec_path element = sl_spec_path_index(&where, i);
        SL_TRY(add_host(reader, &element, json_array_get(hosts, i), node));
    }
    return SL_OK;
}

static sl_err read_location(const sl_spec_reader *reader, const sl_spec_path *path,
                            const json_t *object, sl_location *location) {
    SL_TRY(sl_spec_text(reader, path, object, "region", location->region, sizeof location->region));
    SL_TRY(sl_spec_text(reader, path, object, "zone", location->zone, sizeof location->zone));
    bool latitude = json_object_get(object, "latitude") != NULL;
    bool longitude = json_object_get(object, "longitude") != NULL;
    if (latitude != longitude) {
        sl_spec_path where = sl_spec_path_key(path, latitude ? "latitude" : "longitude");
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "%s is missing: give both or neither",
                            latitude ? "longitude" : "latitude");
    }
    location->has_coordinates = latitude;
    SL_TRY(sl_spec_number(reader, path, object, "latitude", -90, 90, &location->latitude));
    return sl_spec_number(reader, path, object, "longitude", -180, 180, &location->longitude);
}

static sl_err read_cpu(const sl_spec_reader *reader, const sl_spec_path *path, const json_t *object,
                       sl_spec_node *node) {
    static const char *const keys[] = {"model", "clock_ghz", NULL};
    const json_t *cpu = json_object_get(object, "cpu");
    sl_spec_path where = sl_spec_path_key(path, "cpu");
    if (!cpu)
        return SL_OK;
    SL_TRY(sl_spec_object(reader, &where, cpu, keys));
    SL_TRY(sl_spec_text(reader, &where, cpu, "model", node->cpu_model, sizeof node->cpu_model));
    return sl_spec_number(reader, &where, cpu, "clock_ghz", 0.05, 20, &node->clock_ghz);
}

static sl_err read_memory(const sl_spec_reader *reader, const sl_spec_path *path,
                          const json_t *object, uint64_t *bytes) {
    double gb = -1;
    SL_TRY(sl_spec_number(reader, path, object, "memory_gb", 1e-3, MEMORY_GB_MAX, &gb));
    if (gb > 0)
        *bytes = (uint64_t)llround(gb * (double)SL_SPEC_BYTES_PER_GB);
    return SL_OK;
}

static sl_err read_offer(const sl_spec_reader *reader, const sl_spec_path *path,
                         const json_t *object, sl_offer_limits *limits) {
    static const char *const keys[] = {"cpus", "gpus", "memory_gb", "ucu", "oversubscribe", NULL};
    const json_t *offer = json_object_get(object, "offer");
    sl_spec_path where = sl_spec_path_key(path, "offer");
    if (!offer)
        return SL_OK;
    SL_TRY(sl_spec_object(reader, &where, offer, keys));
    SL_TRY(sl_spec_integer(reader, &where, offer, "cpus", 0, SL_OFFER_CPUS_MAX, &limits->cpus));
    SL_TRY(sl_spec_integer(reader, &where, offer, "gpus", 0, SL_HARDWARE_ACCELERATORS_MAX,
                           &limits->gpus));
    SL_TRY(read_memory(reader, &where, offer, &limits->memory_bytes));
    SL_TRY(sl_spec_number(reader, &where, offer, "ucu", 0, SL_OFFER_UCU_MAX, &limits->ucu));
    return sl_spec_bool(reader, &where, offer, "oversubscribe", &limits->oversubscribe);
}

static sl_err add_accelerators(const sl_spec_reader *reader, const sl_spec_path *path,
                               const json_t *value, sl_spec_node *node) {
    sl_accelerator device = {0};
    int64_t count = 1;
    SL_TRY(sl_spec_read_accelerator(reader, path, value, &device, &count));
    if (count > SL_HARDWARE_ACCELERATORS_MAX - (int64_t)node->accelerator_count)
        return sl_spec_fail(reader, path, SL_ERR_TOO_LARGE, "a node has at most %d accelerators",
                            SL_HARDWARE_ACCELERATORS_MAX);
    while (count-- > 0)
        node->accelerators[node->accelerator_count++] = device;
    return SL_OK;
}

static sl_err read_accelerators(const sl_spec_reader *reader, const sl_spec_path *path,
                                const json_t *object, sl_spec_node *node) {
    node->discover_accelerators = true;
    SL_TRY(
        sl_spec_bool(reader, path, object, "discover_accelerators", &node->discover_accelerators));
    const json_t *list = json_object_get(object, "accelerators");
    sl_spec_path where = sl_spec_path_key(path, "accelerators");
    if (!list)
        return SL_OK;
    if (!json_is_array(list))
        return sl_spec_fail(reader, &where, SL_ERR_INVALID, "an array of objects is wanted here");
    node->accelerators = calloc(SL_HARDWARE_ACCELERATORS_MAX, sizeof *node->accelerators);
    if (!node->accelerators)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %s", reader->file);
    for (size_t i = 0; i < json_array_size(list); i++) {
        sl_spec_path element = sl_spec_path_index(&where, i);
        SL_TRY(add_accelerators(reader, &element, json_array_get(list, i), node));
    }
    return SL_OK;
}

sl_err sl_spec_read_node(const sl_spec_reader *reader, const sl_spec_path *path,
                         const json_t *value, sl_spec_node *node) {
    static const char *const keys[] = {
        "hosts", "region",    "zone",         "latitude", "longitude",
        "cpu",   "memory_gb", "accelerators", "offer",    "discover_accelerators",
        NULL};
    node->limits = SL_OFFER_LIMITS_NONE;
    SL_TRY(sl_spec_object(reader, path, value, keys));
    SL_TRY(read_hosts(reader, path, value, node));
    SL_TRY(read_location(reader, path, value, &node->location));
    SL_TRY(read_cpu(reader, path, value, node));
    SL_TRY(read_memory(reader, path, value, &node->memory_bytes));
    SL_TRY(read_accelerators(reader, path, value, node));
    return read_offer(reader, path, value, &node->limits);
}
