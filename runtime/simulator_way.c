/* Ways: what is between one node and another.
 *
 * Design notes
 * - Frames of one pair arrive in the order they were posted: each arrives no earlier than the one
 *   before. Between pairs nothing is ordered but by delays.
 * - Only the first frame of a way has an event. A cut way has none: its frames wait.
 * - A parcel knows from which life it comes and to which it goes. At the end of its way it is
 *   dropped unless both still live; with ghosts it is handed to whoever lives there now. */
#include <stdlib.h>

#include "runtime/simulator_internal.h"

/* ---- parcels ---- */

sl_sim_parcel *sl_sim_parcel_take(sl_simulator *simulator) {
    sl_sim_parcel *parcel = simulator->free_parcels;
    if (parcel)
        simulator->free_parcels = parcel->next;
    else
        parcel = malloc(sizeof *parcel + simulator->options.frame_bytes);
    if (parcel)
        *parcel = (sl_sim_parcel){.next = NULL};
    return parcel;
}

void sl_sim_parcel_free(sl_simulator *simulator, sl_sim_parcel *parcel) {
    sl_blob_release(parcel->blob);
    parcel->blob = NULL;
    parcel->next = simulator->free_parcels;
    simulator->free_parcels = parcel;
}

void sl_sim_queue_push(sl_sim_queue *queue, sl_sim_parcel *parcel) {
    parcel->next = NULL;
    if (queue->tail)
        queue->tail->next = parcel;
    else
        queue->head = parcel;
    queue->tail = parcel;
    queue->count++;
}

sl_sim_parcel *sl_sim_queue_pop(sl_sim_queue *queue) {
    sl_sim_parcel *parcel = queue->head;
    if (!parcel)
        return NULL;
    queue->head = parcel->next;
    if (!queue->head)
        queue->tail = NULL;
    queue->count--;
    return parcel;
}

/* ---- ways ---- */

enum { ALL_KEPT = 256 /* nodes: in a network of so many no way is forgotten */ };

static uint32_t *index_of(sl_simulator *simulator, uint32_t from, uint32_t to) {
    return &simulator->ways[(size_t)from * simulator->options.nodes + to];
}

static sl_sim_way *way_at(const sl_simulator *simulator, uint32_t index) {
    return &simulator->way_chunks[index / SL_SIM_WAY_CHUNK][index % SL_SIM_WAY_CHUNK];
}

/* Those of a small network are all in the first chunk. */
sl_err sl_sim_ways_init(sl_simulator *simulator) {
    simulator->way_chunks = calloc(1, sizeof(void *));
    if (simulator->way_chunks)
        simulator->way_chunks[0] = calloc(SL_SIM_WAY_CHUNK, sizeof **simulator->way_chunks);
    if (!simulator->way_chunks || !simulator->way_chunks[0])
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the ways of a simulator");
    simulator->way_count = 1; /* number 0 is none */
    return SL_OK;
}

/* The index of a new one; 0: no memory. */
static uint32_t one_more(sl_simulator *simulator) {
    if (simulator->way_count % SL_SIM_WAY_CHUNK)
        return simulator->way_count++;
    uint32_t chunks = simulator->way_count / SL_SIM_WAY_CHUNK;
    sl_sim_way **grown = realloc(simulator->way_chunks, (chunks + 1) * sizeof(void *));
    if (!grown)
        return 0;
    simulator->way_chunks = grown;
    grown[chunks] = calloc(SL_SIM_WAY_CHUNK, sizeof **grown);
    if (!grown[chunks])
        return 0;
    return simulator->way_count++;
}

/* Without memory for it the pair has a way that takes no frame. */
static sl_sim_way *begin_way(sl_simulator *simulator, uint32_t *index) {
    *index = simulator->free_way ? simulator->free_way : one_more(simulator);
    if (!*index) {
        simulator->no_way = (sl_sim_way){.unread = UINT32_MAX / 2};
        return &simulator->no_way;
    }
    sl_sim_way *way = way_at(simulator, *index);
    if (*index == simulator->free_way)
        simulator->free_way = way->next_free;
    *way = (sl_sim_way){.next_free = 0};
    return way;
}

sl_sim_way *sl_sim_way_of(sl_simulator *simulator, uint32_t from, uint32_t to) {
    uint32_t *index = index_of(simulator, from, to);
    return *index ? way_at(simulator, *index) : begin_way(simulator, index);
}

const sl_sim_way *sl_sim_way_known(const sl_simulator *simulator, uint32_t from, uint32_t to) {
    uint32_t index = simulator->ways[(size_t)from * simulator->options.nodes + to];
    return index ? way_at(simulator, index) : NULL;
}

/* Would a new one be the same? */
static bool is_blank(const sl_simulator *simulator, const sl_sim_way *way) {
    return !way->frames.head && !way->bulk.head && !way->unread && !way->cuts && !way->extra_ns &&
           !way->refused && !way->frame_event && !way->bulk_event &&
           way->arrival_ns <= simulator->now_ns && way->free_ns <= simulator->now_ns;
}

void sl_sim_way_leave(sl_simulator *simulator, uint32_t from, uint32_t to) {
    uint32_t *index = index_of(simulator, from, to);
    if (simulator->options.nodes <= ALL_KEPT || !*index)
        return;
    sl_sim_way *way = way_at(simulator, *index);
    if (!is_blank(simulator, way))
        return;
    way->next_free = simulator->free_way;
    simulator->free_way = *index;
    *index = 0;
}

static const sl_simulator_link *link_of(const sl_simulator *simulator, uint32_t from, uint32_t to) {
    static const sl_simulator_link near = {.delay_ns = 100 * SL_NS_PER_US};
    uint32_t regions = simulator->options.regions;
    return regions ? &simulator->options.links[from % regions * regions + to % regions] : &near;
}

static void arrange(sl_simulator *simulator, uint32_t from, uint32_t to, sl_sim_way *way);

static bool is_from_a_life_gone(const sl_simulator *simulator, const sl_sim_parcel *parcel,
                                uint32_t to) {
    return parcel->to_life != simulator->nodes[to].life ||
           parcel->from_life != simulator->nodes[parcel->from].life;
}

static inline uint64_t mixed(uint64_t sum, uint64_t word) {
    uint64_t product = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return product ^ product >> 32;
}

/* Side by side, where folding each word would wait for the one before. */
static void fold_bytes(sl_simulator *simulator, const uint8_t *data, uint32_t bytes) {
    uint64_t sums[4] = {bytes, 1, 2, 3}, words[4];
    uint32_t at = 0;
    for (; at + sizeof words <= bytes; at += sizeof words) {
        __builtin_memcpy(words, data + at, sizeof words);
        for (int i = 0; i < 4; i++)
            sums[i] = mixed(sums[i], words[i]);
    }
    for (; at + 8 <= bytes; at += 8) {
        __builtin_memcpy(words, data + at, 8);
        sums[0] = mixed(sums[0], words[0]);
    }
    sl_sim_fold(simulator, mixed(sums[0], sums[1]));
    sl_sim_fold(simulator, mixed(sums[2], sums[3]));
}

static void fold_parcel(sl_simulator *simulator, const sl_sim_parcel *parcel, uint32_t to) {
    sl_sim_fold(simulator, simulator->now_ns ^ (uint64_t)parcel->from << 48 ^ (uint64_t)to << 32);
    if (parcel->blob) {
        sl_sim_fold(simulator, parcel->blob->bytes);
        return;
    }
    fold_bytes(simulator, parcel->data, parcel->bytes);
}

static void arrive(sl_simulator *simulator, uint32_t to, sl_sim_way *way, sl_sim_parcel *parcel) {
    sl_sim_node *node = &simulator->nodes[to];
    simulator->on_the_way--;
    fold_parcel(simulator, parcel, to);
    bool gone = is_from_a_life_gone(simulator, parcel, to) && !simulator->ghosts;
    if (!node->node || gone) {
        simulator->traffic.lost++;
        if (!parcel->blob)
            way->unread--;
        sl_sim_parcel_free(simulator, parcel);
        return;
    }
    sl_sim_queue_push(&node->transport->inbox, parcel);
    sl_sim_wake(simulator, to);
}

/* A pair of nodes in one number. */
static void on_frame_event(void *context, uint64_t pair) {
    sl_simulator *simulator = context;
    uint32_t from = (uint32_t)(pair >> 32), to = (uint32_t)pair;
    sl_sim_way *way = sl_sim_way_of(simulator, from, to);
    way->frame_event = false;
    if (!way->cuts && way->frames.head && way->frames.head->arrival_ns <= simulator->now_ns)
        arrive(simulator, to, way, sl_sim_queue_pop(&way->frames));
    arrange(simulator, from, to, way);
    sl_sim_way_leave(simulator, from, to);
}

static void on_bulk_event(void *context, uint64_t pair) {
    sl_simulator *simulator = context;
    uint32_t from = (uint32_t)(pair >> 32), to = (uint32_t)pair;
    sl_sim_way *way = sl_sim_way_of(simulator, from, to);
    way->bulk_event = false;
    if (!way->cuts && way->bulk.head && way->bulk.head->arrival_ns <= simulator->now_ns)
        arrive(simulator, to, way, sl_sim_queue_pop(&way->bulk));
    arrange(simulator, from, to, way);
    sl_sim_way_leave(simulator, from, to);
}

/* Sees to it that the first of each queue has its event, unless the way is cut. */
static void arrange(sl_simulator *simulator, uint32_t from, uint32_t to, sl_sim_way *way) {
    uint64_t pair = (uint64_t)from << 32 | to;
    if (way->cuts)
        return;
    if (way->frames.head && !way->frame_event)
        way->frame_event = sl_simulator_at(simulator, way->frames.head->arrival_ns, on_frame_event,
                                           simulator, pair) == SL_OK;
    if (way->bulk.head && !way->bulk_event)
        way->bulk_event = sl_simulator_at(simulator, way->bulk.head->arrival_ns, on_bulk_event,
                                          simulator, pair) == SL_OK;
}

static uint64_t time_on_the_wire_ns(const sl_simulator_link *link, uint64_t bytes) {
    return link->bytes_per_s ? bytes * SL_NS_PER_S / link->bytes_per_s : 0;
}

static uint64_t later_of(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

void sl_sim_send(sl_simulator *simulator, uint32_t to, sl_sim_parcel *parcel) {
    uint32_t from = parcel->from;
    sl_sim_way *way = sl_sim_way_of(simulator, from, to);
    const sl_simulator_link *link = link_of(simulator, from, to);
    uint64_t bytes = parcel->blob ? parcel->blob->bytes : parcel->bytes;
    way->free_ns = later_of(way->free_ns, simulator->now_ns) + time_on_the_wire_ns(link, bytes);
    uint64_t jitter_ns = link->jitter_ns ? sl_rng_below(&simulator->rng, link->jitter_ns + 1) : 0;
    parcel->arrival_ns = way->free_ns + link->delay_ns + way->extra_ns + jitter_ns;
    parcel->from_life = simulator->nodes[from].life;
    parcel->to_life = simulator->nodes[to].life;
    sl_sim_queue *queue = parcel->blob ? &way->bulk : &way->frames;
    if (queue->tail)
        parcel->arrival_ns = later_of(parcel->arrival_ns, queue->tail->arrival_ns);
    if (!parcel->blob) {
        parcel->arrival_ns = later_of(parcel->arrival_ns, way->arrival_ns);
        way->arrival_ns = parcel->arrival_ns;
    }
    sl_sim_queue_push(queue, parcel);
    simulator->on_the_way++;
    simulator->traffic.frames++;
    simulator->traffic.bytes += bytes;
    arrange(simulator, from, to, way);
}

/* ---- faults ---- */

void sl_simulator_cut(sl_simulator *simulator, uint32_t from, uint32_t to, bool cut) {
    if (from == to)
        return;
    sl_sim_way *way = sl_sim_way_of(simulator, from, to);
    if (cut) {
        way->cuts++;
        return;
    }
    if (!way->cuts || --way->cuts)
        return;
    /* What was held comes now, one after another. */
    uint64_t delay_ns = link_of(simulator, from, to)->delay_ns;
    for (sl_sim_parcel *each = way->frames.head; each; each = each->next)
        each->arrival_ns = later_of(each->arrival_ns, simulator->now_ns + delay_ns);
    for (sl_sim_parcel *each = way->bulk.head; each; each = each->next)
        each->arrival_ns = later_of(each->arrival_ns, simulator->now_ns + delay_ns);
    way->arrival_ns = later_of(way->arrival_ns, simulator->now_ns + delay_ns);
    arrange(simulator, from, to, way);
}

void sl_simulator_delay(sl_simulator *simulator, uint32_t from, uint32_t to, uint64_t extra_ns) {
    if (from != to)
        sl_sim_way_of(simulator, from, to)->extra_ns = extra_ns;
}

/* ---- ends ---- */

static void drop_all(sl_simulator *simulator, sl_sim_way *way, sl_sim_queue *queue) {
    for (sl_sim_parcel *parcel; (parcel = sl_sim_queue_pop(queue));) {
        simulator->on_the_way--;
        simulator->traffic.lost++;
        if (!parcel->blob)
            way->unread--;
        sl_sim_parcel_free(simulator, parcel);
    }
}

static bool live_both_ends(const sl_simulator *simulator, const sl_sim_parcel *parcel,
                           uint32_t to) {
    return simulator->nodes[parcel->from].node && simulator->nodes[to].node &&
           !is_from_a_life_gone(simulator, parcel, to);
}

static void drop_gone(sl_simulator *simulator, uint32_t to, sl_sim_way *way, sl_sim_queue *queue) {
    sl_sim_queue gone = {NULL, NULL, 0}, kept = gone;
    for (sl_sim_parcel *parcel; (parcel = sl_sim_queue_pop(queue));)
        sl_sim_queue_push(live_both_ends(simulator, parcel, to) ? &kept : &gone, parcel);
    *queue = kept;
    drop_all(simulator, way, &gone);
}

void sl_sim_ways_drop_gone(sl_simulator *simulator) {
    uint32_t count = simulator->options.nodes;
    for (uint32_t from = 0; from < count; from++) {
        for (uint32_t to = 0; to < count; to++) {
            uint32_t index = *index_of(simulator, from, to);
            if (!index)
                continue;
            sl_sim_way *way = way_at(simulator, index);
            drop_gone(simulator, to, way, &way->frames);
            drop_gone(simulator, to, way, &way->bulk);
        }
    }
}

/* A life of a node has ended: its ways begin anew. With ghosts, what is on them goes on. */
void sl_sim_ways_lose(sl_simulator *simulator, uint32_t node) {
    uint32_t count = simulator->options.nodes;
    for (uint32_t peer = 0; peer < count; peer++) {
        uint32_t both[] = {*index_of(simulator, node, peer), *index_of(simulator, peer, node)};
        for (int i = 0; i < 2; i++) {
            if (!both[i])
                continue;
            sl_sim_way *way = way_at(simulator, both[i]);
            if (!simulator->ghosts) {
                drop_all(simulator, way, &way->frames);
                drop_all(simulator, way, &way->bulk);
            }
            way->refused = false;
        }
    }
}

void sl_sim_ways_destroy(sl_simulator *simulator) {
    for (uint32_t index = 1; index < simulator->way_count; index++) {
        sl_sim_way *way = way_at(simulator, index);
        drop_all(simulator, way, &way->frames);
        drop_all(simulator, way, &way->bulk);
    }
    for (uint32_t at = 0; at < simulator->way_count; at += SL_SIM_WAY_CHUNK)
        free(simulator->way_chunks[at / SL_SIM_WAY_CHUNK]);
    free(simulator->way_chunks);
    free(simulator->ways);
    for (sl_sim_parcel *parcel = simulator->free_parcels, *next; parcel; parcel = next) {
        next = parcel->next;
        free(parcel);
    }
}
