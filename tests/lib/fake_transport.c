#include "tests/lib/fake_transport.h"

#include <stdlib.h>
#include <string.h>

typedef enum what { FRAME, BULK_RECEIVED, BULK_SENT, LOST } what;

typedef struct entry {
    struct entry *next;
    what what;
    uint32_t peer;
    uint64_t id;
    uint64_t bytes;
    sl_blob *blob;
    uint8_t *frame;
    bool stray;
} entry;

typedef struct list {
    entry *head;
    entry *tail;
} list;

typedef struct fake_peer {
    _Alignas(8) uint8_t last[FAKE_FRAME_BYTES];
    uint64_t posted;
    list expected;
    list sent;
    bool abandoned, closed;
} fake_peer;

struct fake_transport {
    sl_transport base;
    fake_peer *peers;
    list events;
    uint32_t under_way, limit;
    bool breaks;
};

static bool push(list *l, entry e) {
    entry *copy = malloc(sizeof *copy);
    if (!copy)
        return false;
    *copy = e;
    copy->next = NULL;
    if (l->tail)
        l->tail->next = copy;
    else
        l->head = copy;
    l->tail = copy;
    return true;
}

static bool pop(list *l, entry *e) {
    entry *head = l->head;
    if (!head)
        return false;
    *e = *head;
    l->head = head->next;
    if (!l->head)
        l->tail = NULL;
    free(head);
    return true;
}

static uint32_t clear(list *l) {
    uint32_t count = 0;
    for (entry e; pop(l, &e); count++) {
        sl_blob_release(e.blob);
        free(e.frame);
    }
    return count;
}

static fake_transport *self_of(sl_transport *transport) {
    return (fake_transport *)transport;
}

/* ---- operations ---- */

static void *fake_acquire(sl_transport *transport, uint32_t peer) {
    fake_peer *p = &self_of(transport)->peers[peer];
    return p->closed ? NULL : p->last;
}

static void fake_post(sl_transport *transport, uint32_t peer, void *frame, size_t bytes) {
    (void)frame, (void)bytes;
    self_of(transport)->peers[peer].posted++;
}

static sl_err too_many(fake_transport *fake) {
    if (fake->breaks)
        return sl_fail(SL_ERR_IO, "no transfers at all");
    if (fake->limit && fake->under_way >= fake->limit)
        return sl_fail(SL_ERR_AGAIN, "too many transfers");
    fake->under_way++;
    return SL_OK;
}

static sl_err fake_bulk_send(sl_transport *transport, uint32_t peer, uint64_t id, sl_blob *blob) {
    fake_transport *fake = self_of(transport);
    SL_TRY(too_many(fake));
    if (!push(&fake->peers[peer].sent, (entry){.id = id, .blob = blob})) {
        fake->under_way--;
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a transfer");
    }
    (void)sl_blob_retain(blob);
    return SL_OK;
}

static sl_err fake_bulk_receive(sl_transport *transport, uint32_t peer, uint64_t id,
                                uint64_t bytes) {
    fake_transport *fake = self_of(transport);
    SL_TRY(too_many(fake));
    if (push(&fake->peers[peer].expected, (entry){.id = id, .bytes = bytes}))
        return SL_OK;
    fake->under_way--;
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for a transfer");
}

/* Taken from the expected transfers when it is one of them. */
static bool was_expected(fake_transport *fake, uint32_t peer, uint64_t id) {
    list *expected = &fake->peers[peer].expected, kept = {NULL, NULL};
    bool found = false;
    for (entry e; pop(expected, &e);) {
        if (e.id == id && !found)
            found = true;
        else
            push(&kept, e);
    }
    *expected = kept;
    fake->under_way -= found;
    return found;
}

static size_t fake_poll(sl_transport *transport, const sl_transport_sink *sink, size_t budget) {
    fake_transport *fake = self_of(transport);
    size_t count = 0;
    for (entry e; count < budget && pop(&fake->events, &e); count++) {
        if (e.what == FRAME)
            sink->frame(sink->context, e.peer, e.frame, e.bytes);
        else if (fake->peers[e.peer].abandoned)
            sl_blob_release(e.blob);
        else if (e.what == BULK_SENT)
            sink->bulk_sent(sink->context, e.peer, e.id);
        else if (e.what == LOST)
            sink->lost(sink->context, e.peer);
        else if (e.stray || was_expected(fake, e.peer, e.id))
            sink->bulk_received(sink->context, e.peer, e.id, e.blob);
        else
            sl_blob_release(e.blob);
        free(e.frame);
    }
    return count;
}

static uint32_t fake_arm(sl_transport *transport) {
    (void)transport;
    return 0;
}

static void fake_nothing(sl_transport *transport) {
    (void)transport;
}

static void fake_sleep(sl_transport *transport, uint32_t ticket, uint64_t timeout_ns) {
    (void)transport, (void)ticket, (void)timeout_ns;
}

static bool fake_drained(sl_transport *transport) {
    (void)transport;
    return true;
}

static void fake_abandon(sl_transport *transport, uint32_t peer) {
    fake_transport *fake = self_of(transport);
    fake_peer *p = &fake->peers[peer];
    p->abandoned = true;
    fake->under_way -= clear(&p->expected) + clear(&p->sent);
}

static void fake_readmit(sl_transport *transport, uint32_t peer, uint64_t first_in,
                         uint64_t first_out) {
    (void)first_in, (void)first_out;
    self_of(transport)->peers[peer].abandoned = false;
}

static void fake_close(sl_transport *transport) {
    fake_transport *fake = self_of(transport);
    for (uint32_t peer = 0; peer < fake->base.count; peer++) {
        clear(&fake->peers[peer].expected);
        clear(&fake->peers[peer].sent);
    }
    clear(&fake->events);
    free(fake->peers);
    free(fake);
}

static const sl_transport_ops fake_ops = {
    .name = "fake",
    .acquire = fake_acquire,
    .post = fake_post,
    .bulk_send = fake_bulk_send,
    .bulk_receive = fake_bulk_receive,
    .poll = fake_poll,
    .arm = fake_arm,
    .disarm = fake_nothing,
    .sleep = fake_sleep,
    .wake = fake_nothing,
    .drained = fake_drained,
    .abandon = fake_abandon,
    .readmit = fake_readmit,
    .close = fake_close,
};

/* ---- the test's side ---- */

fake_transport *fake_transport_create(uint32_t count) {
    fake_transport *fake = calloc(1, sizeof *fake);
    fake->base = (sl_transport){.ops = &fake_ops, .count = count, .frame_bytes = FAKE_FRAME_BYTES};
    fake->peers = calloc(count, sizeof *fake->peers);
    return fake;
}

sl_transport *fake_transport_base(fake_transport *fake) {
    return &fake->base;
}

void fake_frame(fake_transport *fake, uint32_t peer, const void *frame, size_t bytes) {
    uint8_t *copy = malloc(bytes ? bytes : 1); /* exact, so that a read beyond it is seen */
    if (bytes)
        memcpy(copy, frame, bytes);
    push(&fake->events, (entry){.what = FRAME, .peer = peer, .bytes = bytes, .frame = copy});
}

bool fake_expected(const fake_transport *fake, uint32_t peer, uint64_t *id, uint64_t *bytes) {
    const entry *head = fake->peers[peer].expected.head;
    if (!head)
        return false;
    *id = head->id;
    *bytes = head->bytes;
    return true;
}

void fake_bulk(fake_transport *fake, uint32_t peer, uint64_t id, sl_blob *blob) {
    push(&fake->events, (entry){.what = BULK_RECEIVED, .peer = peer, .id = id, .blob = blob});
}

void fake_stray(fake_transport *fake, uint32_t peer, uint64_t id, sl_blob *blob) {
    push(&fake->events, (entry){.what = blob ? BULK_RECEIVED : BULK_SENT,
                                .peer = peer,
                                .id = id,
                                .blob = blob,
                                .stray = true});
}

void fake_bulk_breaks(fake_transport *fake) {
    fake->breaks = true;
}

void fake_lost(fake_transport *fake, uint32_t peer) {
    push(&fake->events, (entry){.what = LOST, .peer = peer});
}

void fake_bulk_sent(fake_transport *fake) {
    for (uint32_t peer = 0; peer < fake->base.count; peer++) {
        for (entry e; pop(&fake->peers[peer].sent, &e);) {
            sl_blob_release(e.blob);
            fake->under_way--;
            push(&fake->events, (entry){.what = BULK_SENT, .peer = peer, .id = e.id});
        }
    }
}

uint64_t fake_posted(const fake_transport *fake, uint32_t peer) {
    return fake->peers[peer].posted;
}

const sl_frame_head *fake_last(const fake_transport *fake, uint32_t peer) {
    return (const sl_frame_head *)(const void *)fake->peers[peer].last;
}

bool fake_abandoned(const fake_transport *fake, uint32_t peer) {
    return fake->peers[peer].abandoned;
}

void fake_bulk_limit(fake_transport *fake, uint32_t most) {
    fake->limit = most;
}

void fake_close_window(fake_transport *fake, uint32_t peer, bool closed) {
    fake->peers[peer].closed = closed;
}

/* ---- frames ---- */

sl_frame_head *fake_head(fake_writer *writer) {
    return (sl_frame_head *)(void *)writer->frame;
}

void fake_begin(fake_writer *writer, sl_lane lane, uint64_t sequence) {
    memset(writer, 0, sizeof *writer);
    writer->bytes = sizeof(sl_frame_head);
    *fake_head(writer) = (sl_frame_head){.magic = SL_FRAME_MAGIC,
                                         .version = SL_FRAME_VERSION,
                                         .lane = (uint8_t)lane,
                                         .bytes = (uint32_t)writer->bytes,
                                         .incarnation = 1,
                                         .sequence = sequence};
}

void fake_record(fake_writer *writer, uint16_t type, sl_addr to, uint16_t flags, const void *body,
                 size_t bytes) {
    sl_record_head head = {.body_bytes = (uint32_t)bytes,
                           .type = type,
                           .flags = flags,
                           .to_slot = to.slot,
                           .to_generation = to.generation,
                           .from_slot = 77};
    memcpy(writer->frame + writer->bytes, &head, sizeof head);
    if (bytes)
        memcpy(writer->frame + writer->bytes + sizeof head, body, bytes);
    writer->bytes += sizeof head + ((bytes + 7) & ~(size_t)7);
    fake_head(writer)->bytes = (uint32_t)writer->bytes;
    fake_head(writer)->records++;
}
