#include "actors/scheduler/nodes.h"

#include <stdlib.h>
#include <string.h>

sl_err sl_node_views_init(sl_node_views *nodes, uint32_t count) {
    memset(nodes, 0, sizeof *nodes);
    nodes->views = calloc(count, sizeof *nodes->views);
    nodes->regions = calloc(1, sizeof *nodes->regions);
    if (!nodes->views || !nodes->regions)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the view of %u nodes", count);
    nodes->count = count;
    nodes->region_count = 1;
    for (uint32_t i = 0; i < count; i++)
        nodes->views[i].node = i;
    return SL_OK;
}

void sl_node_views_fini(sl_node_views *nodes) {
    for (uint32_t i = 1; i < nodes->region_count; i++)
        free(nodes->regions[i]);
    for (uint32_t i = 0; i < nodes->count; i++)
        free(nodes->views[i].host);
    free(nodes->regions);
    free(nodes->views);
    memset(nodes, 0, sizeof *nodes);
}

sl_err sl_node_views_region(sl_node_views *nodes, sl_text name, uint32_t *region) {
    *region = 0;
    if (!name.bytes)
        return SL_OK;
    for (uint32_t i = 1; i < nodes->region_count; i++) {
        if (strlen(nodes->regions[i]) == name.bytes &&
            memcmp(nodes->regions[i], name.data, name.bytes) == 0) {
            *region = i;
            return SL_OK;
        }
    }
    if (nodes->region_count > SL_MAX_REGIONS)
        return sl_fail(SL_ERR_TOO_LARGE, "more than %d regions", SL_MAX_REGIONS);
    char **regions = realloc(nodes->regions, (nodes->region_count + 1) * sizeof *regions);
    if (!regions)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a region");
    nodes->regions = regions;
    regions[nodes->region_count] = strndup(name.data, name.bytes);
    if (!regions[nodes->region_count])
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a region");
    *region = nodes->region_count++;
    return SL_OK;
}

const char *sl_node_host(const sl_node_view *view) {
    return view->host ? view->host : "";
}

/* Names differ in length, and ten thousand times the longest is much. Without memory for a new name
 * it has none. */
static void take_host(sl_node_view *view, sl_text host) {
    if (strcmp(sl_node_host(view), host.data) == 0)
        return;
    free(view->host);
    view->host = strdup(host.data);
}

static uint64_t excess(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

/* What the node has granted beyond what we know to be ours is somebody else's. */
static sl_amounts taken_by_others(const registry_offer *offer, const sl_amounts *mine) {
    return (sl_amounts){
        excess(excess(offer->cores, offer->cores_free), mine->cores),
        excess(excess(offer->gpus, offer->gpus_free), mine->gpus),
        excess(excess(offer->memory_bytes, offer->memory_free_bytes), mine->memory_bytes),
        excess(excess(offer->ucu_milli, offer->ucu_free_milli), mine->ucu_milli)};
}

bool sl_node_views_update(sl_node_views *nodes, const registry_member *member, uint64_t told_ns) {
    if (member->node >= nodes->count || member->offer.count != 1)
        return false;
    sl_node_view *view = &nodes->views[member->node];
    const registry_offer *offer = member->offer.items;
    nodes->known += !view->known;
    view->known = 1;
    view->told_ns = told_ns;
    if (sl_node_views_region(nodes, member->region, &view->region) != SL_OK)
        view->region = 0;
    take_host(view, member->host);
    view->offer = (sl_amounts){offer->cores, offer->gpus, offer->memory_bytes, offer->ucu_milli};
    view->others = view->contended ? taken_by_others(offer, &view->mine) : (sl_amounts){0, 0, 0, 0};
    view->contended = view->others.cores || view->others.gpus || view->others.memory_bytes ||
                      view->others.ucu_milli;
    if (offer->ucu_milli > nodes->largest_ucu_milli)
        nodes->largest_ucu_milli = offer->ucu_milli;
    bool usable = member->state == SL_MEMBER_ALIVE;
    bool changed = usable != view->usable;
    view->usable = usable;
    view->joins = member->state == SL_MEMBER_JOINING;
    return changed;
}

bool sl_node_fits_ever(const sl_node_view *view, const sl_task *task) {
    return (!task->region || task->region == view->region) && task->cpus <= view->offer.cores &&
           task->gpus <= view->offer.gpus && task->memory_bytes <= view->offer.memory_bytes &&
           task->ucu_milli <= view->offer.ucu_milli && sl_among_has(task->among, view->node);
}

static uint64_t times(uint64_t offer, uint64_t others, uint64_t mine, uint64_t each) {
    return each ? excess(offer, others + mine) / each : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

enum { SLOTS_OF_FREE_TASKS = 64 /* tasks that ask for nothing: a bound, so that they spread */ };

bool sl_node_fits_now(const sl_node_view *view, const sl_task *task) {
    const sl_amounts *offer = &view->offer, *others = &view->others, *mine = &view->mine;
    if (!task->cpus && !task->gpus && !task->memory_bytes && !task->ucu_milli)
        return view->tasks < SLOTS_OF_FREE_TASKS;
    return task->cpus <= excess(offer->cores, others->cores + mine->cores) &&
           task->gpus <= excess(offer->gpus, others->gpus + mine->gpus) &&
           task->memory_bytes <=
               excess(offer->memory_bytes, others->memory_bytes + mine->memory_bytes) &&
           task->ucu_milli <= excess(offer->ucu_milli, others->ucu_milli + mine->ucu_milli);
}

uint64_t sl_node_slots(const sl_node_view *view, const sl_task *task) {
    const sl_amounts *offer = &view->offer, *others = &view->others, *mine = &view->mine;
    uint64_t slots = times(offer->cores, others->cores, mine->cores, task->cpus);
    slots = least(slots, times(offer->gpus, others->gpus, mine->gpus, task->gpus));
    slots = least(slots, times(offer->memory_bytes, others->memory_bytes, mine->memory_bytes,
                               task->memory_bytes));
    slots =
        least(slots, times(offer->ucu_milli, others->ucu_milli, mine->ucu_milli, task->ucu_milli));
    return slots == UINT64_MAX ? excess(SLOTS_OF_FREE_TASKS, view->tasks) : slots;
}

void sl_node_place(sl_node_view *view, const sl_task *task) {
    view->mine.cores += task->cpus;
    view->mine.gpus += task->gpus;
    view->mine.memory_bytes += task->memory_bytes;
    view->mine.ucu_milli += task->ucu_milli;
    view->tasks++;
    view->work_ns += task->expected_ns * (task->cpus ? task->cpus : 1);
}

void sl_node_release(sl_node_view *view, const sl_task *task) {
    view->mine.cores -= task->cpus;
    view->mine.gpus -= task->gpus;
    view->mine.memory_bytes -= task->memory_bytes;
    view->mine.ucu_milli -= task->ucu_milli;
    view->tasks--;
    view->work_ns -= task->expected_ns * (task->cpus ? task->cpus : 1);
}

void sl_node_lend(sl_node_view *view, const sl_task *task) {
    view->mine.cores -= task->cpus;
    view->mine.ucu_milli -= task->ucu_milli;
    view->tasks--;
    view->work_ns -= task->expected_ns * (task->cpus ? task->cpus : 1);
}

void sl_node_recover(sl_node_view *view, const sl_task *task) {
    view->mine.cores += task->cpus;
    view->mine.ucu_milli += task->ucu_milli;
    view->tasks++;
    view->work_ns += task->expected_ns * (task->cpus ? task->cpus : 1);
}
