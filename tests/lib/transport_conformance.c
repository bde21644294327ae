#include "tests/lib/transport_conformance.h"

#include <pthread.h>
#include <time.h>

#include "runtime/clock.h"
#include "runtime/rng.h"
#include "tests/lib/test.h"

enum { MAGIC = 0x51a7, BUDGET = 64, PINGS = 200, SIZES = 8, NODES_MAX = 64, NAP_NS = 300000000 };
enum { FLOOD_FRAMES = 4096 };
static const uint64_t patience_ns =
    90 * SL_NS_PER_S; /* then the test gives up instead of hanging */

typedef enum kind { DATA, END, MEET, BULK, PING } kind;

typedef struct header {
    uint32_t magic, kind, from, bytes;
    uint64_t seq;    /* counts the frames from one node to another */
    uint64_t number; /* END: how many DATA; MEET: which meeting; BULK: the id; PING: which */
    uint64_t size;   /* BULK */
} header;

typedef struct expected_bulk {
    uint64_t id, bytes;
    uint32_t peer;
    bool asked;
} expected_bulk;

typedef struct player {
    sl_transport *t;
    sl_transport_sink sink;
    uint64_t seed, deadline_ns;
    sl_rng rng;
    uint64_t sent[NODES_MAX], received[NODES_MAX]; /* frames */
    uint64_t data_sent[NODES_MAX], data_received[NODES_MAX], ended[NODES_MAX];
    uint64_t meetings, met[NODES_MAX];
    uint64_t pings;
    uint32_t ends, bulks_sent, bulks_received, bulks_announced, bulks_expected, bulks_waiting;
    expected_bulk waiting[NODES_MAX * SIZES];
    bool sent_seen[NODES_MAX][SIZES], received_seen[NODES_MAX][SIZES];
    bool gave_up;
} player;

/* ---- content ---- */

/* Fills or checks bytes that follow from the seed and three numbers. */
static void content_seed(const player *p, sl_rng *rng, uint64_t from, uint64_t to,
                         uint64_t number) {
    sl_rng_seed(rng, p->seed ^ (from << 48) ^ (to << 32) ^ number * 2654435761u);
}

static void content_fill(sl_rng *rng, uint8_t *bytes, uint64_t count) {
    for (uint64_t i = 0; i < count; i += 8) {
        uint64_t word = sl_rng_u64(rng);
        memcpy(bytes + i, &word, count - i < 8 ? count - i : 8);
    }
}

static bool content_same(sl_rng *rng, const uint8_t *bytes, uint64_t count) {
    for (uint64_t i = 0; i < count; i += 8) {
        uint64_t word = sl_rng_u64(rng);
        if (memcmp(bytes + i, &word, count - i < 8 ? count - i : 8) != 0)
            return false;
    }
    return true;
}

/* ---- what arrives ---- */

static void bulk_ask(player *p, expected_bulk *e) {
    CHECK(p->t->ops->bulk_receive(p->t, e->peer, e->id, e->bytes) == SL_OK);
    e->asked = true;
    p->bulks_waiting--;
}

static void bulk_announced(player *p, uint32_t peer, const header *h) {
    REQUIRE(p->bulks_announced < NODES_MAX * SIZES);
    expected_bulk *e = &p->waiting[p->bulks_announced++];
    *e = (expected_bulk){h->number, h->size, peer, false};
    p->bulks_waiting++;
    if (h->number % 2) /* at once, in the callback; the others some turns later */
        bulk_ask(p, e);
}

static void frame_arrived(void *context, uint32_t peer, const void *frame, size_t bytes) {
    player *p = context;
    header h;
    sl_rng content;
    REQUIRE(peer < p->t->count && bytes >= sizeof h && (uintptr_t)frame % 8 == 0);
    memcpy(&h, frame, sizeof h);
    CHECK_INT(h.magic, MAGIC);
    CHECK_INT(h.from, peer);
    CHECK_INT(h.bytes, bytes);
    CHECK_INT(h.seq, p->received[peer]); /* in order, none lost, none twice */
    p->received[peer] = h.seq + 1;
    content_seed(p, &content, peer, p->t->self, h.seq);
    CHECK(content_same(&content, (const uint8_t *)frame + sizeof h, bytes - sizeof h));
    if (h.kind == DATA)
        p->data_received[peer]++;
    else if (h.kind == END)
        p->ended[peer] = h.number, p->ends++;
    else if (h.kind == MEET)
        p->met[peer] = h.number;
    else if (h.kind == BULK)
        bulk_announced(p, peer, &h);
    else
        p->pings++;
}

static void bulk_left(void *context, uint32_t peer, uint64_t id) {
    player *p = context;
    REQUIRE(peer < p->t->count && id < SIZES);
    CHECK(!p->sent_seen[peer][id]);
    p->sent_seen[peer][id] = true;
    p->bulks_sent++;
}

static void bulk_arrived(void *context, uint32_t peer, uint64_t id, sl_blob *blob) {
    player *p = context;
    sl_rng content;
    REQUIRE(peer < p->t->count && id < SIZES && blob);
    CHECK(!p->received_seen[peer][id]);
    p->received_seen[peer][id] = true;
    p->bulks_received++;
    content_seed(p, &content, peer, p->t->self, id + 1000000);
    CHECK(content_same(&content, blob->data, blob->bytes));
    sl_blob_release(blob);
}

/* NULL, and a failure noted: no memory, or more nodes than a player knows. */
static player *player_create(sl_transport *t, uint64_t seed) {
    player *p = t->count <= NODES_MAX ? calloc(1, sizeof *p) : NULL;
    CHECK(p);
    if (!p)
        return NULL;
    p->t = t;
    p->seed = seed;
    p->deadline_ns = sl_clock_now_ns() + patience_ns;
    p->sink = (sl_transport_sink){p, frame_arrived, bulk_left, bulk_arrived, NULL};
    sl_rng_seed(&p->rng, seed + t->self * 7919);
    return p;
}

/* ---- turns ---- */

static bool patient(player *p, const char *waiting_for) {
    if (!p->gave_up && sl_clock_now_ns() > p->deadline_ns) {
        sl_test_fail(__FILE__, __LINE__, "node %u of %u waits in vain: %s", p->t->self, p->t->count,
                     waiting_for);
        p->gave_up = true;
    }
    return !p->gave_up;
}

static void bulk_ask_late(player *p) {
    for (uint32_t i = 0; i < p->bulks_announced && p->bulks_waiting; i++)
        if (!p->waiting[i].asked && sl_rng_below(&p->rng, 8) == 0)
            bulk_ask(p, &p->waiting[i]);
}

/* One turn of a node's loop: work, or sleep. */
static void turn(player *p, uint64_t sleep_ns) {
    const sl_transport_ops *ops = p->t->ops;
    if (ops->poll(p->t, &p->sink, BUDGET) || !sleep_ns)
        return;
    uint32_t ticket = ops->arm(p->t);
    if (ops->poll(p->t, &p->sink, BUDGET))
        ops->disarm(p->t);
    else
        ops->sleep(p->t, ticket, sleep_ns);
}

/* Posts when the window has room. */
static void frame_send(player *p, uint32_t peer, header h, size_t bytes) {
    sl_rng content;
    void *frame;
    while (!(frame = p->t->ops->acquire(p->t, peer)) && patient(p, "room in the window"))
        turn(p, SL_NS_PER_MS);
    if (!frame)
        return;
    CHECK((uintptr_t)frame % 8 == 0);
    h.magic = MAGIC;
    h.from = p->t->self;
    h.bytes = (uint32_t)bytes;
    h.seq = p->sent[peer]++;
    memcpy(frame, &h, sizeof h);
    content_seed(p, &content, p->t->self, peer, h.seq);
    content_fill(&content, (uint8_t *)frame + sizeof h, bytes - sizeof h);
    p->t->ops->post(p->t, peer, frame, bytes);
}

static void drain(player *p) {
    while (!p->t->ops->drained(p->t) && patient(p, "the transport to drain"))
        turn(p, SL_NS_PER_MS);
}

static bool all_met(const player *p) {
    for (uint32_t i = 0; i < p->t->count; i++)
        if (i != p->t->self && p->met[i] < p->meetings)
            return false;
    return true;
}

/* Nobody returns before all have called; what is under way stays so. */
static void assemble(player *p) {
    p->meetings++;
    for (uint32_t i = 0; i < p->t->count; i++)
        if (i != p->t->self)
            frame_send(p, i, (header){.kind = MEET, .number = p->meetings}, sizeof(header));
    while (!all_met(p) && patient(p, "all nodes to meet"))
        turn(p, 10 * SL_NS_PER_MS);
}

static void meet(player *p) {
    assemble(p);
    drain(p);
}

/* ---- the cases ---- */

static size_t random_bytes(player *p) {
    size_t most = sl_rng_below(&p->rng, 4) ? 256 : p->t->frame_bytes;
    return sizeof(header) + sl_rng_below(&p->rng, most - sizeof(header) + 1);
}

static uint32_t random_peer(player *p, bool to_self) {
    if (to_self)
        return (uint32_t)sl_rng_below(&p->rng, p->t->count);
    uint32_t peer = (uint32_t)sl_rng_below(&p->rng, p->t->count - 1);
    return peer + (peer >= p->t->self);
}

static void case_random(player *p, uint32_t frames, bool to_self) {
    if (p->t->count == 1 && !to_self)
        return;
    for (uint32_t i = 0; i < frames && !p->gave_up; i++) {
        uint32_t peer = random_peer(p, to_self);
        frame_send(p, peer, (header){.kind = DATA}, random_bytes(p));
        p->data_sent[peer]++;
        if (sl_rng_below(&p->rng, 16) == 0)
            p->t->ops->poll(p->t, &p->sink, 1 + sl_rng_below(&p->rng, BUDGET));
    }
    for (uint32_t i = 0; i < p->t->count; i++)
        if (i != p->t->self || to_self)
            frame_send(p, i, (header){.kind = END, .number = p->data_sent[i]}, sizeof(header));
    while (p->ends < p->t->count - !to_self && patient(p, "the end of the random frames"))
        turn(p, SL_NS_PER_MS);
    for (uint32_t i = 0; i < p->t->count; i++)
        CHECK_INT(p->data_received[i], p->ended[i]);
}

/* Posts a full frame if the window has room. */
static bool flood_one(player *p, uint32_t peer) {
    void *frame = p->t->ops->acquire(p->t, peer);
    size_t bytes = p->t->frame_bytes;
    header h = {MAGIC, DATA, p->t->self, (uint32_t)bytes, p->sent[peer], 0, 0};
    sl_rng content;
    if (!frame)
        return false;
    p->sent[peer]++;
    memcpy(frame, &h, sizeof h);
    content_seed(p, &content, p->t->self, peer, h.seq);
    content_fill(&content, (uint8_t *)frame + sizeof h, bytes - sizeof h);
    p->t->ops->post(p->t, peer, frame, bytes);
    return true;
}

/* Node 0 floods node 1, which looks away for a time that began no earlier than node 0's: within it
 * the window must close, unless node 0 was too slow to fill it. Then nothing is lost. */
static void case_window(player *p) {
    uint64_t until = sl_clock_now_ns() + NAP_NS, before = p->data_received[0];
    uint32_t frames = 0;
    if (p->t->count < 2)
        return;
    meet(p);
    if (p->t->self == 1)
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    if (p->t->self == 0) {
        while (frames < FLOOD_FRAMES && (!frames || sl_clock_now_ns() < until) && flood_one(p, 1))
            frames++;
        CHECK(frames < FLOOD_FRAMES);
    }
    meet(p);
    CHECK(p->t->self != 1 || p->data_received[0] > before);
}

static uint64_t bulk_bytes(const player *p, uint32_t from, uint32_t to, uint32_t id,
                           uint64_t most) {
    static const uint64_t sizes[SIZES] = {1, 7, 4096, 4097, 65539, 262144, 1 << 20, 0};
    if (id + 1 < SIZES && sizes[id] <= most)
        return sizes[id];
    bool largest = (from == 0 && to == p->t->count - 1) || (to == 0 && from == p->t->count - 1);
    return largest ? most : 100 + id;
}

static void bulk_send_one(player *p, uint32_t peer, uint32_t id, uint64_t bytes) {
    sl_blob *blob;
    sl_rng content;
    REQUIRE(sl_blob_create(bytes, &blob) == SL_OK);
    content_seed(p, &content, p->t->self, peer, id + 1000000);
    content_fill(&content, blob->data, bytes);
    header h = {.kind = BULK, .number = id, .size = bytes};
    bool first = sl_rng_below(&p->rng, 2); /* the frame that tells of it may come before or after */
    if (first)
        frame_send(p, peer, h, sizeof h);
    CHECK(p->t->ops->bulk_send(p->t, peer, id, blob) == SL_OK);
    if (!first)
        frame_send(p, peer, h, sizeof h);
    sl_blob_release(blob); /* the transport has its own reference */
}

static void case_bulk(player *p, uint64_t most) {
    uint32_t expected = (p->t->count - 1) * SIZES;
    for (uint32_t id = 0; id < SIZES; id++)
        for (uint32_t i = 1; i < p->t->count; i++) {
            uint32_t peer = (p->t->self + i) % p->t->count;
            bulk_send_one(p, peer, id, bulk_bytes(p, p->t->self, peer, id, most));
            turn(p, 0);
        }
    while ((p->bulks_sent < expected || p->bulks_received < expected) && patient(p, "bulk data")) {
        bulk_ask_late(p);
        turn(p, 0);
    }
    CHECK_INT(p->bulks_sent, expected);
    CHECK_INT(p->bulks_received, expected);
    CHECK_INT(p->bulks_announced, expected);
    drain(p);
}

/* Nodes 0 and 1 wake each other from sleep, the others sleep on until the meeting after it. */
static void case_sleep(player *p) {
    uint32_t self = p->t->self;
    if (p->t->count > 1 && self < 2) {
        for (uint32_t i = 0; i < PINGS && !p->gave_up; i++) {
            if (self == 0)
                frame_send(p, 1, (header){.kind = PING}, sizeof(header));
            while (p->pings == i && patient(p, "a ping"))
                turn(p, 10 * SL_NS_PER_S);
            if (self == 1)
                frame_send(p, 0, (header){.kind = PING}, sizeof(header));
        }
        CHECK_INT(p->pings, PINGS);
    }
    meet(p);
}

typedef struct waker {
    sl_transport *t;
    _Atomic bool done;
} waker;

static void *wake_later(void *argument) {
    waker *w = argument;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    w->done = true;
    w->t->ops->wake(w->t);
    return NULL;
}

static void case_wake(player *p) {
    const sl_transport_ops *ops = p->t->ops;
    uint64_t start = sl_clock_now_ns();
    ops->wake(p->t); /* before the sleep: it must not last */
    ops->sleep(p->t, ops->arm(p->t), 60 * SL_NS_PER_S);
    waker w = {.t = p->t};
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, wake_later, &w) == 0);
    while (!w.done && patient(p, "to be woken"))
        turn(p, 60 * SL_NS_PER_S);
    pthread_join(thread, NULL);
    CHECK(sl_clock_now_ns() - start < 60 * SL_NS_PER_S);
    meet(p);
}

/* ---- the suites ---- */

void transport_conformance_run(sl_transport *t, const transport_conformance_options *options) {
    player *p = player_create(t, options->seed);
    if (!p)
        return;
    meet(p);
    case_random(p, options->frames ? options->frames : 2000, options->to_self);
    case_window(p);
    case_bulk(p, options->bulk_max_bytes ? options->bulk_max_bytes : 8 << 20);
    meet(p);
    case_sleep(p);
    case_wake(p);
    free(p);
}

void transport_conformance_meet(sl_transport *t) {
    player *p = player_create(t, 0);
    if (!p)
        return;
    meet(p);
    free(p);
}

/* Goes on sending to the previous node, which has given this one up or is about to. */
static void shout_back(player *p, uint32_t previous) {
    uint64_t until = sl_clock_now_ns() + 100 * SL_NS_PER_MS;
    while (sl_clock_now_ns() < until) {
        frame_send(p, previous, (header){.kind = PING}, sizeof(header));
        turn(p, SL_NS_PER_MS);
    }
}

void transport_conformance_abandon(sl_transport *t) {
    player *p = player_create(t, 11);
    sl_blob *blob;
    uint32_t next = (t->self + 1) % t->count, previous = (t->self + t->count - 1) % t->count;
    if (!p)
        return;
    meet(p);
    if (t->count < 3) {
        free(p);
        return;
    }
    REQUIRE(sl_blob_create(100000, &blob) == SL_OK);
    memset(blob->data, 1, blob->bytes);
    CHECK(t->ops->bulk_send(t, next, 1, blob) == SL_OK);    /* never asked for */
    CHECK(t->ops->bulk_receive(t, next, 2, 5000) == SL_OK); /* never sent */
    for (uint64_t id = 10; id < 16; id++)
        CHECK(t->ops->bulk_receive(t, next, id, 300000) == SL_OK);
    t->ops->abandon(t, next);
    t->ops->abandon(t, next);
    CHECK(t->ops->bulk_send(t, next, 3, blob) == SL_ERR_DEAD);
    CHECK(t->ops->bulk_receive(t, next, 4, 10) == SL_ERR_DEAD);
    shout_back(p, previous); /* frames go on: each player checks their order */
    meet(p);
    CHECK(p->pings > 0);
    CHECK_INT(p->bulks_sent + p->bulks_received, 0);
    sl_blob_release(blob);
    free(p);
}

/* ---- readmission ---- */

enum { LIFE_IDS = 1000, FIRST_LIFE = 10, LIVES = 4, LIFE_BULKS = 6 };

typedef struct lives {
    player *p;
    uint64_t first; /* of the present life */
    uint32_t sent, received;
} lives;

static uint8_t life_byte(uint32_t from, uint64_t id) {
    return (uint8_t)(from * 31 + id);
}

static void life_frame(void *context, uint32_t peer, const void *frame, size_t bytes) {
    frame_arrived(((lives *)context)->p, peer, frame, bytes);
}

static void life_left(void *context, uint32_t peer, uint64_t id) {
    lives *l = context;
    (void)peer;
    CHECK(id >= l->first);
    l->sent++;
}

static void life_arrived(void *context, uint32_t peer, uint64_t id, sl_blob *blob) {
    lives *l = context;
    REQUIRE(blob != NULL);
    CHECK(id >= l->first);
    CHECK_INT(blob->data[0], life_byte(peer, id));
    CHECK_INT(blob->data[blob->bytes - 1], life_byte(peer, id));
    l->received++;
    sl_blob_release(blob);
}

static void life_send(lives *l, uint32_t to, uint64_t id, uint64_t bytes) {
    sl_blob *blob;
    REQUIRE(sl_blob_create(bytes, &blob) == SL_OK);
    memset(blob->data, life_byte(l->p->t->self, id), bytes);
    CHECK(l->p->t->ops->bulk_send(l->p->t, to, id, blob) == SL_OK);
    sl_blob_release(blob);
}

/* In each life some blobs are exchanged, some are sent and never asked for, and some are asked for
 * and never sent; then both sides give each other up and open a new life, in which only what
 * belongs to it arrives. */
static void live(lives *l, uint32_t next, uint32_t previous) {
    sl_transport *t = l->p->t;
    const sl_transport_sink sink = {l, life_frame, life_left, life_arrived, NULL};
    uint64_t bytes = 3000 + 70000 * (l->first % 7);
    l->sent = l->received = 0;
    for (uint64_t id = l->first; id < l->first + LIFE_BULKS; id++) {
        life_send(l, next, id, bytes);
        CHECK(t->ops->bulk_receive(t, previous, id, bytes) == SL_OK);
    }
    while ((l->sent < LIFE_BULKS || l->received < LIFE_BULKS) &&
           patient(l->p, "bulk data of this life"))
        t->ops->poll(t, &sink, BUDGET);
    for (uint64_t id = l->first + LIFE_BULKS; id < l->first + 2 * LIFE_BULKS; id++) {
        life_send(l, next, id, bytes);
        CHECK(t->ops->bulk_receive(t, previous, id + LIFE_BULKS, bytes) == SL_OK);
    }
}

void transport_conformance_readmit(sl_transport *t) {
    player *p = player_create(t, 14);
    lives l = {.p = p, .first = FIRST_LIFE};
    uint32_t next = (t->self + 1) % t->count, previous = (t->self + t->count - 1) % t->count;
    if (!p)
        return;
    p->sink = (sl_transport_sink){&l, life_frame, life_left, life_arrived, NULL};
    for (int life = 0; life < LIVES && t->count > 1; life++) {
        live(&l, next, previous);
        assemble(p);
        t->ops->abandon(t, next);
        t->ops->abandon(t, previous);
        CHECK(t->ops->bulk_send(t, next, l.first, NULL) == SL_ERR_DEAD);
        CHECK(t->ops->bulk_receive(t, previous, l.first, 10) == SL_ERR_DEAD);
        meet(p); /* frames go on, also between those who have given each other up */
        l.first += LIFE_IDS;
        t->ops->readmit(t, next, l.first, l.first);
        t->ops->readmit(t, previous, l.first, l.first);
        meet(p);
    }
    live(&l, next, previous);
    t->ops->abandon(t, next);
    t->ops->abandon(t, previous);
    drain(p);
    meet(p);
    free(p);
}

static void misfit_arrived(void *context, uint32_t peer, uint64_t id, sl_blob *blob) {
    player *p = context;
    REQUIRE(peer < p->t->count && id < SIZES && !p->received_seen[peer][id]);
    CHECK_INT(blob != NULL, id == 2); /* the one of the length that was asked for */
    p->received_seen[peer][id] = true;
    p->bulks_received++;
    sl_blob_release(blob);
}

void transport_conformance_misfit(sl_transport *t) {
    static const uint64_t sent_bytes[] = {70000, 3, 1000}, asked_bytes[] = {69999, 5000, 1000};
    uint32_t next = (t->self + 1) % t->count, previous = (t->self + t->count - 1) % t->count;
    player *p = player_create(t, 12);
    if (!p)
        return;
    p->sink.bulk_received = misfit_arrived;
    for (uint64_t id = 0; id < 3 && t->count > 1; id++) {
        sl_blob *blob;
        REQUIRE(sl_blob_create(sent_bytes[id], &blob) == SL_OK);
        memset(blob->data, 1, blob->bytes);
        CHECK(t->ops->bulk_send(t, next, id, blob) == SL_OK);
        CHECK(t->ops->bulk_receive(t, previous, id, asked_bytes[id]) == SL_OK);
        sl_blob_release(blob);
    }
    while (t->count > 1 && (p->bulks_sent < 3 || p->bulks_received < 3) &&
           patient(p, "bulk data of another length"))
        turn(p, 0);
    meet(p);
    free(p);
}
