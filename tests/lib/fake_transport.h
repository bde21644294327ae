/* A transport whose other ends are the test: it hands in what frames and bulk data it likes, and
 * looks at what the node sends. One thread. */
#ifndef SL_TESTS_FAKE_TRANSPORT_H
#define SL_TESTS_FAKE_TRANSPORT_H

#include "runtime/channel.h"
#include "runtime/transport.h"

enum { FAKE_FRAME_BYTES = 2048 };

typedef struct fake_transport fake_transport;

/* Node 0 of `count`. Freed by its close. */
fake_transport *fake_transport_create(uint32_t count);
sl_transport *fake_transport_base(fake_transport *fake);

/* Queues a copy of `bytes` as a frame from `peer`, for the next poll. */
void fake_frame(fake_transport *fake, uint32_t peer, const void *frame, size_t bytes);

/* The oldest transfer the node waits for from `peer`; false when there is none. */
bool fake_expected(const fake_transport *fake, uint32_t peer, uint64_t *id, uint64_t *bytes);

/* Queues a blob (taken over; NULL: failure) as transfer `id`, whether waited for or not. */
void fake_bulk(fake_transport *fake, uint32_t peer, uint64_t id, sl_blob *blob);

/* Hands on what nobody asked for, as if it had been waited for: bulk data (taken over), or word
 * that some was sent (`blob` NULL). */
void fake_stray(fake_transport *fake, uint32_t peer, uint64_t id, sl_blob *blob);

/* From now on no bulk transfer can begin, for another reason than that there are too many. */
void fake_bulk_breaks(fake_transport *fake);

/* Queues bulk_sent for every transfer the node has under way. */
void fake_bulk_sent(fake_transport *fake);

/* Tells that `peer` is gone, as a transport does that has seen its process end. */
void fake_lost(fake_transport *fake, uint32_t peer);

/* What the node has posted to `peer`: how many frames, and the last. */
uint64_t fake_posted(const fake_transport *fake, uint32_t peer);
const sl_frame_head *fake_last(const fake_transport *fake, uint32_t peer);
bool fake_abandoned(const fake_transport *fake, uint32_t peer);

/* 0: the node may have any number of bulk transfers under way. */
void fake_bulk_limit(fake_transport *fake, uint32_t most);

/* Stops taking frames to `peer`, or takes them again. */
void fake_close_window(fake_transport *fake, uint32_t peer, bool closed);

/* Builds a frame in `out`: a head that fits what the node expects next, to be spoilt afterwards. */
typedef struct fake_writer {
    _Alignas(8) uint8_t frame[FAKE_FRAME_BYTES];
    size_t bytes;
} fake_writer;

void fake_begin(fake_writer *writer, sl_lane lane, uint64_t sequence);
void fake_record(fake_writer *writer, uint16_t type, sl_addr to, uint16_t flags, const void *body,
                 size_t bytes);
sl_frame_head *fake_head(fake_writer *writer);

#endif
