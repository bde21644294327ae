/* The processor side of discovery, by hwloc. */
#include "actors/registry/discovery.h"

#include <hwloc.h>
#include <stdlib.h>
#include <string.h>

static sl_err load(const sl_hardware_source *source, hwloc_topology_t topology) {
    if (source->synthetic && hwloc_topology_set_synthetic(topology, source->synthetic) != 0)
        return sl_fail(SL_ERR_INVALID, "hwloc refuses the synthetic topology \"%s\"",
                       source->synthetic);
    if (source->xml_path && hwloc_topology_set_xml(topology, source->xml_path) != 0)
        return sl_fail(SL_ERR_INVALID, "%s: hwloc cannot read this topology file",
                       source->xml_path);
    if (hwloc_topology_load(topology) != 0)
        return sl_fail(SL_ERR_INVALID, "hwloc cannot load the topology%s%s",
                       source->xml_path ? " of " : "", source->xml_path ? source->xml_path : "");
    return SL_OK;
}

/* allowed = what cgroups leave (hwloc knows) and what this thread is bound to. */
static sl_err find_allowed(const sl_hardware_source *source, hwloc_topology_t topology,
                           hwloc_bitmap_t allowed) {
    hwloc_bitmap_t bound = hwloc_bitmap_alloc();
    if (!bound || hwloc_bitmap_copy(allowed, hwloc_topology_get_allowed_cpuset(topology)) != 0) {
        hwloc_bitmap_free(bound);
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for a cpuset");
    }
    bool parsed = true;
    if (source->affinity)
        parsed = hwloc_bitmap_list_sscanf(bound, source->affinity) == 0;
    else if (!hwloc_topology_is_thissystem(topology) ||
             hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_THREAD) != 0)
        hwloc_bitmap_fill(bound);
    hwloc_bitmap_and(allowed, allowed, bound);
    hwloc_bitmap_free(bound);
    if (!parsed)
        return sl_fail(SL_ERR_INVALID, "\"%s\" is not a list of cpus such as 0-3,8",
                       source->affinity);
    if (hwloc_bitmap_iszero(allowed))
        return sl_fail(SL_ERR_INVALID, "no cpu of this machine is allowed%s%s",
                       source->affinity ? " by the cpu list " : "",
                       source->affinity ? source->affinity : "");
    return SL_OK;
}

static void drop_high_pus(sl_hardware *hardware, hwloc_bitmap_t allowed) {
    int last = hwloc_bitmap_last(allowed);
    if (last < SL_HARDWARE_PUS_MAX)
        return;
    hwloc_bitmap_clr_range(allowed, SL_HARDWARE_PUS_MAX, -1);
    sl_hardware_warn(hardware, "cpus %d to %d are not used: at most %d are supported",
                     SL_HARDWARE_PUS_MAX, last, SL_HARDWARE_PUS_MAX);
}

static uint32_t count_intersecting(hwloc_topology_t topology, hwloc_obj_type_t type,
                                   hwloc_const_bitmap_t allowed) {
    uint32_t count = 0;
    for (hwloc_obj_t object = NULL;
         (object = hwloc_get_next_obj_by_type(topology, type, object)) != NULL;)
        count += hwloc_bitmap_intersects(object->cpuset, allowed) != 0;
    return count;
}

static int32_t package_of(hwloc_topology_t topology, hwloc_obj_t object) {
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, object);
    return package ? (int32_t)package->os_index : -1;
}

static void add_core(hwloc_topology_t topology, hwloc_obj_t object, hwloc_const_bitmap_t allowed,
                     sl_hardware *hardware) {
    sl_core *core = &hardware->cores[hardware->cpu.cores];
    core->pu_first = hardware->cpu.pus;
    for (int pu = -1; (pu = hwloc_bitmap_next(object->cpuset, pu)) >= 0;)
        if (hwloc_bitmap_isset(allowed, (unsigned)pu))
            hardware->pus[hardware->cpu.pus++] = pu;
    core->pu_count = hardware->cpu.pus - core->pu_first;
    if (core->pu_count == 0)
        return;
    core->id = hardware->pus[core->pu_first];
    core->package = package_of(topology, object);
    core->numa = object->nodeset ? hwloc_bitmap_first(object->nodeset) : -1;
    hardware->cpu.cores++;
}

static int by_id(const void *left, const void *right) {
    const sl_core *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

/* Some virtual machines show no cores: then each PU stands for one. */
static sl_err list_cores(hwloc_topology_t topology, hwloc_const_bitmap_t allowed,
                         sl_hardware *hardware) {
    hwloc_obj_type_t type = HWLOC_OBJ_CORE;
    if (count_intersecting(topology, type, allowed) == 0) {
        type = HWLOC_OBJ_PU;
        sl_hardware_warn(hardware, "hwloc shows no cores: each hardware thread counts as a core");
    }
    size_t pus = (size_t)hwloc_bitmap_weight(allowed);
    hardware->cores =
        calloc(pus + 1, sizeof *hardware->cores); /* + 1: add_core() fills, then keeps */
    hardware->pus = calloc(pus, sizeof *hardware->pus);
    if (!hardware->cores || !hardware->pus)
        return sl_fail(SL_ERR_NO_MEMORY, "out of memory for %zu cpus", pus);
    for (hwloc_obj_t object = NULL;
         (object = hwloc_get_next_obj_by_type(topology, type, object)) != NULL;)
        add_core(topology, object, allowed, hardware);
    qsort(hardware->cores, hardware->cpu.cores, sizeof *hardware->cores, by_id);
    int machine = hwloc_get_nbobjs_by_type(topology, type);
    hardware->cpu.machine_cores = machine > 0 ? (uint32_t)machine : 0;
    return SL_OK;
}

static uint64_t cache_bytes(hwloc_topology_t topology, hwloc_obj_t pu, hwloc_obj_type_t type) {
    hwloc_obj_t cache = hwloc_get_ancestor_obj_by_type(topology, type, pu);
    return cache ? cache->attr->cache.size : 0;
}

static void find_caches(hwloc_topology_t topology, sl_hardware *hardware) {
    hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(topology, (unsigned)hardware->pus[0]);
    if (!pu)
        return;
    hardware->cpu.l1_bytes = cache_bytes(topology, pu, HWLOC_OBJ_L1CACHE);
    hardware->cpu.l2_bytes = cache_bytes(topology, pu, HWLOC_OBJ_L2CACHE);
    hardware->cpu.l3_bytes = cache_bytes(topology, pu, HWLOC_OBJ_L3CACHE);
}

static const char *object_info(hwloc_obj_t object, const char *name) {
    return object ? hwloc_obj_get_info_by_name(object, name) : NULL;
}

static void find_model(sl_discovery *discovery, hwloc_topology_t topology) {
    sl_hardware *hardware = discovery->hardware;
    char text[SL_HARDWARE_NAME_MAX];
    hwloc_obj_t root = hwloc_get_root_obj(topology);
    const char *model =
        object_info(hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0), "CPUModel");
    if (!model)
        model = object_info(root, "CPUModel");
    if (!model && sl_cpuinfo_text(discovery, "model name", text, sizeof text))
        model = text;
    if (!model)
        model = object_info(root, "Architecture");
    sl_hardware_text(hardware->cpu.model, sizeof hardware->cpu.model, model ? model : "unknown");
}

/* The frequency one cpukind states, in GHz; base before max, as in the cpufreq steps of the chain.
 */
static double kind_ghz(const struct hwloc_info_s *infos, unsigned count) {
    double base = 0, max = 0;
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(infos[i].name, "FrequencyBaseMHz") == 0)
            base = strtod(infos[i].value, NULL) / 1000;
        else if (strcmp(infos[i].name, "FrequencyMaxMHz") == 0)
            max = strtod(infos[i].value, NULL) / 1000;
    }
    return base > 0 ? base : max;
}

/* Weighted by the allowed PUs of each kind, for processors with big and little cores. */
static double cpukinds_ghz(hwloc_topology_t topology, hwloc_const_bitmap_t allowed) {
    double sum = 0, weight = 0;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    int kinds = set ? hwloc_cpukinds_get_nr(topology, 0) : 0;
    for (int kind = 0; kind < kinds; kind++) {
        struct hwloc_info_s *infos;
        unsigned count;
        if (hwloc_cpukinds_get_info(topology, (unsigned)kind, set, NULL, &count, &infos, 0) != 0)
            continue;
        double ghz = kind_ghz(infos, count);
        hwloc_bitmap_and(set, set, allowed);
        int pus = hwloc_bitmap_weight(set);
        if (ghz > 0 && pus > 0)
            sum += ghz * pus, weight += pus;
    }
    hwloc_bitmap_free(set);
    return weight > 0 ? sum / weight : 0;
}

static sl_err describe(sl_discovery *discovery, hwloc_topology_t topology, hwloc_bitmap_t allowed) {
    sl_hardware *hardware = discovery->hardware;
    SL_TRY(find_allowed(discovery->source, topology, allowed));
    drop_high_pus(hardware, allowed);
    if (hwloc_bitmap_iszero(allowed))
        return sl_fail(SL_ERR_TOO_LARGE, "every allowed cpu is numbered %d or above",
                       SL_HARDWARE_PUS_MAX);
    SL_TRY(list_cores(topology, allowed, hardware));
    hardware->cpu.packages = count_intersecting(topology, HWLOC_OBJ_PACKAGE, allowed);
    hardware->cpu.numa_nodes = count_intersecting(topology, HWLOC_OBJ_NUMANODE, allowed);
    int pus = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    hardware->cpu.machine_pus = pus > 0 ? (uint32_t)pus : 0;
    find_caches(topology, hardware);
    find_model(discovery, topology);
    discovery->hwloc_clock_ghz = cpukinds_ghz(topology, allowed);
    discovery->hwloc_memory_bytes = hwloc_get_root_obj(topology)->total_memory;
    return SL_OK;
}

sl_err sl_topology_discover(sl_discovery *discovery) {
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0)
        return sl_fail(SL_ERR_NO_MEMORY, "hwloc cannot start");
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    sl_err err = allowed ? load(discovery->source, topology)
                         : sl_fail(SL_ERR_NO_MEMORY, "out of memory for a cpuset");
    if (err == SL_OK)
        err = describe(discovery, topology, allowed);
    hwloc_bitmap_free(allowed);
    hwloc_topology_destroy(topology);
    return err;
}
