#include "tests/lib/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

typedef struct recorder {
    sl_transport transport; /* first */
    sl_transport *inner;
    sl_recording *recording;
} recorder;

static sl_transport *inner_of(sl_transport *transport) {
    return ((recorder *)transport)->inner;
}

static void record(sl_recording *r, const void *bytes, size_t size, uint64_t *counter) {
    pthread_mutex_lock(&r->lock);
    if (r->size + size > r->room) {
        r->room = 2 * (r->size + size);
        r->bytes = realloc(r->bytes, r->room);
        if (!r->bytes)
            abort();
    }
    memcpy(r->bytes + r->size, bytes, size);
    r->size += size;
    ++*counter;
    pthread_mutex_unlock(&r->lock);
}

static void *acquire(sl_transport *t, uint32_t peer) {
    return inner_of(t)->ops->acquire(inner_of(t), peer);
}

static void post(sl_transport *t, uint32_t peer, void *frame, size_t bytes) {
    sl_recording *r = ((recorder *)t)->recording;
    record(r, frame, bytes, &r->frames);
    inner_of(t)->ops->post(inner_of(t), peer, frame, bytes);
}

static sl_err bulk_send(sl_transport *t, uint32_t peer, uint64_t id, sl_blob *blob) {
    sl_recording *r = ((recorder *)t)->recording;
    record(r, blob->data, blob->bytes, &r->blobs);
    return inner_of(t)->ops->bulk_send(inner_of(t), peer, id, blob);
}

static sl_err bulk_receive(sl_transport *t, uint32_t peer, uint64_t id, uint64_t bytes) {
    return inner_of(t)->ops->bulk_receive(inner_of(t), peer, id, bytes);
}

static size_t poll_inner(sl_transport *t, const sl_transport_sink *sink, size_t budget) {
    return inner_of(t)->ops->poll(inner_of(t), sink, budget);
}

static uint32_t arm(sl_transport *t) {
    return inner_of(t)->ops->arm(inner_of(t));
}

static void disarm(sl_transport *t) {
    inner_of(t)->ops->disarm(inner_of(t));
}

static void sleep_inner(sl_transport *t, uint32_t ticket, uint64_t timeout_ns) {
    inner_of(t)->ops->sleep(inner_of(t), ticket, timeout_ns);
}

static void wake(sl_transport *t) {
    inner_of(t)->ops->wake(inner_of(t));
}

static bool drained(sl_transport *t) {
    return inner_of(t)->ops->drained(inner_of(t));
}

static void abandon(sl_transport *t, uint32_t peer) {
    inner_of(t)->ops->abandon(inner_of(t), peer);
}

static void readmit(sl_transport *t, uint32_t peer, uint64_t first_in, uint64_t first_out) {
    inner_of(t)->ops->readmit(inner_of(t), peer, first_in, first_out);
}

static void close_both(sl_transport *t) {
    inner_of(t)->ops->close(inner_of(t));
    free(t);
}

static const sl_transport_ops ops = {.name = "recorder",
                                     .acquire = acquire,
                                     .post = post,
                                     .bulk_send = bulk_send,
                                     .bulk_receive = bulk_receive,
                                     .poll = poll_inner,
                                     .arm = arm,
                                     .disarm = disarm,
                                     .sleep = sleep_inner,
                                     .wake = wake,
                                     .drained = drained,
                                     .abandon = abandon,
                                     .readmit = readmit,
                                     .close = close_both};

sl_transport *sl_recorder_create(sl_transport *inner, sl_recording *recording) {
    recorder *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->transport = *inner;
    made->transport.ops = &ops;
    made->inner = inner;
    made->recording = recording;
    return &made->transport;
}

void sl_recording_add(sl_recording *recording, const void *bytes, size_t size) {
    record(recording, bytes, size, &recording->frames);
}

void sl_recording_clear(sl_recording *recording) {
    pthread_mutex_lock(&recording->lock);
    recording->size = recording->frames = recording->blobs = 0;
    pthread_mutex_unlock(&recording->lock);
}

static uint64_t read_number(sl_recording *recording, const uint64_t *number) {
    pthread_mutex_lock(&recording->lock);
    uint64_t value = *number;
    pthread_mutex_unlock(&recording->lock);
    return value;
}

uint64_t sl_recording_size(sl_recording *recording) {
    return read_number(recording, &recording->size);
}

uint64_t sl_recording_blobs(sl_recording *recording) {
    return read_number(recording, &recording->blobs);
}

bool sl_recording_has(sl_recording *recording, const void *what, size_t size) {
    pthread_mutex_lock(&recording->lock);
    bool has = recording->size && memmem(recording->bytes, recording->size, what, size);
    pthread_mutex_unlock(&recording->lock);
    return has;
}
