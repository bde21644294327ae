/* The spec file: what the user knows better than discovery, per host. JSON:
 *
 *   {"nodes": [{
 *      "hosts": "n[12]"  or  ["gpu*", "login1"],     fnmatch(3) patterns; the first entry that
 * matches counts "region": "us-west", "zone": "a", "latitude": 45.6, "longitude": -121.2, "cpu":
 * {"model": "…", "clock_ghz": 2.45}, "memory_gb": 64,                               1 GB = 2^30
 * bytes, as Slurm counts "discover_accelerators": false,                true: entries below are
 * added to what is found "accelerators": [
 *         {"type": "GPU", "name": "H100", "count": 4, "sms": 132, "compute_capability": "9.0",
 *          "cuda_cores": 16896, "memory_gb": 80, "clock_mhz": 1980, "pci_bus_id": "0000:17:00.0"},
 *         {"type": "TPU", "name": "v5e", "count": 8, "tflops": 197}],
 *      "offer": {"cpus": 8, "gpus": 1, "memory_gb": 32, "ucu": 100, "oversubscribe": false}
 *   }]}
 *
 * An accelerator with the pci_bus_id of one discovered corrects that one. Anything unknown, twice
 * or out of range is an error that names file:line:field. */
#ifndef SL_REGISTRY_SPEC_H
#define SL_REGISTRY_SPEC_H

#include "actors/registry/hardware.h"
#include "actors/registry/location.h"
#include "actors/registry/offer.h"

#define SL_SPEC_FILE_MAX  (1u << 20) /* bytes */
#define SL_SPEC_NODES_MAX 4096
#define SL_SPEC_HOSTS_MAX 256 /* patterns of one entry */
#define SL_SPEC_PATTERN_MAX                                                                        \
    128 /* bytes of one pattern, and at most 4 `*` in it: matching stays cheap */
#define SL_SPEC_BYTES_PER_GB SL_OFFER_BYTES_PER_GB

typedef struct sl_spec_node {
    char **hosts; /* owned */
    uint32_t host_count;
    sl_location location;
    char cpu_model[SL_HARDWARE_NAME_MAX]; /* "" not given */
    double clock_ghz;                     /* 0 not given */
    uint64_t memory_bytes;                /* 0 not given */
    bool discover_accelerators;
    sl_accelerator *accelerators; /* `count` already unfolded; owned */
    uint32_t accelerator_count;
    sl_offer_limits limits;
} sl_spec_node;

typedef struct sl_spec {
    sl_spec_node *nodes;
    uint32_t node_count;
} sl_spec;

/* Reads a file. SYNTAX, INVALID, UNSUPPORTED or TOO_LARGE with "file:line:field: why"; IO,
 * NO_MEMORY. The caller owns *spec. */
sl_err sl_spec_load(const char *path, sl_spec **spec) SL_CHECKED;

/* The same from memory; `name` stands for the file in messages. */
sl_err sl_spec_parse(const char *text, size_t length, const char *name, sl_spec **spec) SL_CHECKED;

void sl_spec_destroy(sl_spec *spec);

/* The first entry with a pattern that matches the host name, or its part before the first dot;
 * NULL: none. Borrowed from `spec`, which may be NULL. */
const sl_spec_node *sl_spec_find(const sl_spec *spec, const char *hostname);

#endif
