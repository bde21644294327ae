/* Design notes: after the first failure the keys are gone and nothing more of the envelope opens,
 * so no caller can go on behind a chunk that does not hold. The replay window counts at the end:
 * who spoils envelopes on their way must not use up their runs.
 */
#include "actors/secure/opener.h"

#include <sodium.h>

#include "actors/secure/body.h"
#include "actors/secure/feed.h"
#include "actors/secure/secret.h"

struct sl_opener {
    sl_body body;
    sl_feed feed;
    sl_open_request request;
    uint8_t sender[SL_PUBLIC_KEY_BYTES];
    bool finished;
};

sl_err sl_opener_create(sl_opener **opener) {
    void *memory;
    SL_TRY(sl_secret_create(sizeof **opener, &memory));
    sl_opener *made = memory;
    sl_err err = sl_body_create(&made->body);
    if (err != SL_OK) {
        sl_secret_destroy(made);
        return err;
    }
    *opener = made;
    return SL_OK;
}

void sl_opener_destroy(sl_opener *opener) {
    if (!opener)
        return;
    sl_feed_fini(&opener->feed);
    sl_body_destroy(&opener->body);
    sl_secret_destroy(opener);
}

void sl_opener_end(sl_opener *opener) {
    sl_body_end(&opener->body);
    sl_feed_clear(&opener->feed);
    opener->finished = false;
}

/* ---- the head ---- */

static sl_err check_expected(const sl_seal_head *envelope, const sl_open_request *request,
                             const sl_peer *sender) {
    const sl_certificate *c = &sender->certificate;
    if (envelope->kind != request->kind)
        return sl_fail(SL_ERR_SEAL, "an envelope of kind %u, where %u was expected",
                       (unsigned)envelope->kind, (unsigned)request->kind);
    if (request->role && c->role != request->role)
        return sl_fail(SL_ERR_SEAL, "%s is no %s", c->name,
                       request->role == SL_ROLE_NODE ? "node" : "client");
    if (request->project && strcmp(c->project, request->project) != 0)
        return sl_fail(SL_ERR_SEAL, "%s is of project '%s', not '%s'", c->name, c->project,
                       request->project);
    if (request->about && memcmp(envelope->about, request->about, sizeof envelope->about) != 0)
        return sl_fail(SL_ERR_SEAL, "an envelope that answers another one than was asked");
    return SL_OK;
}

static sl_err begin(sl_opener *opener, const sl_seal_head *envelope, const sl_open_request *request,
                    sl_peer *sender) {
    SL_TRY(sl_seal_head_check(envelope, request->trust, request->now_s, sender));
    SL_TRY(check_expected(envelope, request, sender));
    if (request->replay)
        SL_TRY(sl_replay_check(request->replay, envelope, sender->certificate.identity));
    const uint8_t *stanza =
        request->stanza ? request->stanza : sl_seal_head_stanza(envelope, request->recipient);
    SL_TRY(sl_body_unwrap(envelope, request->recipient, stanza, opener->body.data_key));
    memcpy(opener->sender, sender->certificate.identity, sizeof opener->sender);
    opener->request = *request;
    opener->finished = false;
    return sl_body_begin(&opener->body, envelope, false);
}

sl_err sl_opener_begin(sl_opener *opener, const void *head, size_t size,
                       const sl_open_request *request, sl_seal_head *envelope, sl_peer *sender) {
    sl_seal_head read;
    sl_peer peer;
    sl_opener_end(opener);
    SL_TRY(sl_seal_head_read(head, size, &read));
    sl_err err = begin(opener, &read, request, &peer);
    if (err != SL_OK) {
        sl_opener_end(opener);
        return err;
    }
    if (envelope)
        *envelope = read;
    if (sender)
        *sender = peer;
    return SL_OK;
}

/* ---- the body ---- */

typedef struct record {
    size_t bytes; /* plain */
    size_t whole; /* sealed, with the signature behind the last */
    bool last;
} record;

static sl_err read_record(const sl_opener *opener, const uint8_t *bytes, record *r) {
    const sl_body *body = &opener->body;
    const sl_seal_head *e = &body->envelope;
    sl_reader reader = {bytes, bytes + RECORD_HEAD_BYTES, false};
    uint32_t length = sl_read_u32(&reader);
    if (!body->under_way || opener->finished)
        return sl_fail(SL_ERR_INVALID, "no envelope waits for a chunk");
    r->last = length & RECORD_LAST;
    r->bytes = length & ~RECORD_LAST;
    if (r->last ? r->bytes > e->chunk_bytes || (!r->bytes && body->bytes)
                : r->bytes != e->chunk_bytes)
        return sl_fail(SL_ERR_DECODE, "a%s chunk of %zu bytes, where chunks have %u",
                       r->last ? " last" : "", r->bytes, e->chunk_bytes);
    uint64_t whole = body->bytes + r->bytes;
    if (e->body_bytes != SL_BODY_UNKNOWN &&
        (whole > e->body_bytes || (r->last && whole != e->body_bytes)))
        return sl_fail(SL_ERR_SEAL, "the body is not of the %llu bytes that its head says",
                       (unsigned long long)e->body_bytes);
    r->whole =
        r->bytes + RECORD_EXTRA_BYTES + (r->last && e->shared ? (size_t)SL_SIGNATURE_BYTES : 0);
    return SL_OK;
}

sl_err sl_opener_measure(const sl_opener *opener, const void *bytes, size_t size, size_t *needed) {
    record r;
    if (size < RECORD_HEAD_BYTES) {
        *needed = RECORD_HEAD_BYTES;
        return SL_OK;
    }
    SL_TRY(read_record(opener, bytes, &r));
    *needed = r.whole;
    return SL_OK;
}

/* Behind the last chunk: who signed all of it, and whether it was opened before. */
static sl_err finish(sl_opener *opener, const uint8_t *signature) {
    sl_body *body = &opener->body;
    const sl_open_request *request = &opener->request;
    if (body->envelope.shared) {
        uint8_t digest[32];
        sl_part parts[2];
        SL_TRY(sl_body_signed_parts(body, digest, parts));
        if (!sl_verify_parts(opener->sender, parts, SL_PART_COUNT(parts), signature))
            return sl_fail(SL_ERR_SEAL, "the body of a shared envelope is not the one its sender "
                                        "signed");
    }
    if (request->replay)
        SL_TRY(sl_replay_take(request->replay, &body->envelope, opener->sender, request->now_s));
    opener->finished = true;
    return SL_OK;
}

static sl_err open_record(sl_opener *opener, const uint8_t *bytes, size_t size, uint8_t *to,
                          record *r) {
    size_t needed;
    SL_TRY(sl_opener_measure(opener, bytes, size, &needed));
    if (size != needed)
        return sl_fail(SL_ERR_INVALID, "a chunk of %zu bytes was given as %zu", needed, size);
    SL_TRY(read_record(opener, bytes, r));
    const uint8_t *sealed = bytes + RECORD_HEAD_BYTES, *tag = sealed + r->bytes;
    SL_TRY(sl_body_digest(&opener->body, bytes, r->bytes + RECORD_EXTRA_BYTES));
    SL_TRY(sl_chunks_open(opener->body.chunks, sealed, r->bytes, r->last, tag, to));
    opener->body.bytes += r->bytes;
    sl_err err = r->last ? finish(opener, tag + SL_CHUNK_TAG_BYTES) : SL_OK;
    if (err != SL_OK)
        sl_secret_wipe(to, r->bytes);
    return err;
}

sl_err sl_opener_chunk(sl_opener *opener, const uint8_t *bytes, size_t size, uint8_t *to,
                       size_t *opened, bool *last) {
    record r;
    sl_err err = open_record(opener, bytes, size, to, &r);
    if (err != SL_OK || opener->finished)
        sl_body_end(&opener->body);
    SL_TRY(err);
    *opened = r.bytes;
    *last = r.last;
    return SL_OK;
}

/* ---- streaming ---- */

/* Opens from the input straight to the output, where both have all of a chunk. */
static sl_err open_through(sl_opener *opener, const uint8_t *in, size_t in_bytes, uint8_t *out,
                           size_t room, sl_flow *flow) {
    while (!opener->finished) {
        size_t needed, bytes, left = in_bytes - flow->taken;
        bool last;
        SL_TRY(sl_opener_measure(opener, in + flow->taken, left, &needed));
        if (left < needed || room - flow->made + RECORD_EXTRA_BYTES < needed)
            return SL_OK;
        SL_TRY(sl_opener_chunk(opener, in + flow->taken, needed, out + flow->made, &bytes, &last));
        flow->taken += needed;
        flow->made += bytes;
    }
    return SL_OK;
}

/* Gathers a record, and opens it in place once it is whole. */
static sl_err open_gathered(sl_opener *opener, const uint8_t *in, size_t in_bytes, sl_flow *flow) {
    sl_feed *feed = &opener->feed;
    size_t needed, bytes;
    bool last;
    SL_TRY(sl_feed_reserve(feed, opener->body.envelope.chunk_bytes + RECORD_EXTRA_BYTES +
                                     SL_SIGNATURE_BYTES));
    for (;;) {
        SL_TRY(sl_opener_measure(opener, feed->bytes, feed->held, &needed));
        if (feed->held == needed)
            break;
        size_t some = sl_feed_take(feed, 0, needed, in + flow->taken, in_bytes - flow->taken);
        flow->taken += some;
        if (!some)
            return SL_OK;
    }
    SL_TRY(sl_opener_chunk(opener, feed->bytes, needed, feed->bytes + RECORD_HEAD_BYTES, &bytes,
                           &last));
    sl_feed_ready(feed, RECORD_HEAD_BYTES, bytes);
    return SL_OK;
}

static sl_err feed_all(sl_opener *opener, const void *in, size_t in_bytes, uint8_t *out,
                       size_t room, sl_flow *flow) {
    for (;;) {
        flow->made += sl_feed_give(&opener->feed, out + flow->made, room - flow->made);
        if (opener->feed.ready)
            return SL_OK;
        if (!opener->feed.held)
            SL_TRY(open_through(opener, in, in_bytes, out, room, flow));
        if (opener->finished)
            return SL_OK;
        size_t taken = flow->taken;
        SL_TRY(open_gathered(opener, in, in_bytes, flow));
        if (!opener->feed.ready && !opener->finished && flow->taken == taken)
            return SL_OK;
    }
}

sl_err sl_opener_feed(sl_opener *opener, const void *in, size_t in_bytes, bool end, uint8_t *out,
                      size_t room, sl_flow *flow) {
    sl_flow f = {0};
    if (!opener->body.under_way && !opener->finished)
        return sl_fail(SL_ERR_INVALID, "no envelope waits for bytes");
    sl_err err = feed_all(opener, in ? in : "", in_bytes, out, room, &f);
    f.done = opener->finished && !opener->feed.ready;
    if (err == SL_OK && opener->finished && f.taken < in_bytes)
        err = sl_fail(SL_ERR_SEAL, "%zu bytes follow the end of an envelope", in_bytes - f.taken);
    if (err == SL_OK && end && !opener->finished && !opener->feed.ready && f.taken == in_bytes)
        err = sl_fail(SL_ERR_SEAL, "an envelope was cut: its last chunk is missing");
    if (err != SL_OK) {
        sl_secret_wipe(out, f.made);
        sl_opener_end(opener);
        return err;
    }
    *flow = f;
    return SL_OK;
}

/* ---- whole ---- */

/* Each chunk is opened where it lies, then moved down to the one before it. */
static sl_err open_body(sl_opener *opener, uint8_t *at, uint8_t *end, uint8_t *to, size_t *made) {
    for (bool last = false; !last;) {
        size_t needed, bytes;
        SL_TRY(sl_opener_measure(opener, at, (size_t)(end - at), &needed));
        if ((size_t)(end - at) < needed)
            return sl_fail(SL_ERR_SEAL, "an envelope was cut: its last chunk is missing");
        SL_TRY(sl_opener_chunk(opener, at, needed, at + RECORD_HEAD_BYTES, &bytes, &last));
        memmove(to + *made, at + RECORD_HEAD_BYTES, bytes);
        *made += bytes;
        at += needed;
    }
    if (at != end)
        return sl_fail(SL_ERR_SEAL, "%zu bytes follow the end of an envelope", (size_t)(end - at));
    return SL_OK;
}

sl_err sl_open_whole(sl_opener *opener, uint8_t *envelope, size_t size,
                     const sl_open_request *request, sl_peer *sender, uint8_t **body,
                     size_t *body_bytes) {
    sl_seal_head read;
    size_t made = 0;
    SL_TRY(sl_opener_begin(opener, envelope, size, request, &read, sender));
    uint8_t *at = envelope + read.bytes;
    sl_err err = open_body(opener, at, envelope + size, at + RECORD_HEAD_BYTES, &made);
    if (err != SL_OK) {
        sl_secret_wipe(at, size - read.bytes);
        sl_opener_end(opener);
        return err;
    }
    *body = at + RECORD_HEAD_BYTES;
    *body_bytes = made;
    return SL_OK;
}
