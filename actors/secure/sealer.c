/* Design notes: what a head says is put together once (describe()), so that its size is known
 * before anything is drawn or sealed. The data key lives from begin to the next begin or end, not
 * only as long as the body: a recipient may be chosen after all of it has left.
 */
#include "actors/secure/sealer.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "actors/secure/body.h"
#include "actors/secure/feed.h"
#include "actors/secure/secret.h"

struct sl_sealer {
    sl_body body;
    sl_feed feed;
    const sl_identity *sender;
    uint32_t wraps; /* for others than the sender */
    bool has_key, finished;
};

sl_err sl_sealer_create(sl_sealer **sealer) {
    void *memory;
    SL_TRY(sl_secret_create(sizeof **sealer, &memory));
    sl_sealer *made = memory;
    sl_err err = sl_body_create(&made->body);
    if (err != SL_OK) {
        sl_secret_destroy(made);
        return err;
    }
    *sealer = made;
    return SL_OK;
}

void sl_sealer_destroy(sl_sealer *sealer) {
    if (!sealer)
        return;
    sl_feed_fini(&sealer->feed);
    sl_body_destroy(&sealer->body);
    sl_secret_destroy(sealer);
}

void sl_sealer_end(sl_sealer *sealer) {
    sl_body_end(&sealer->body);
    sl_feed_clear(&sealer->feed);
    sealer->has_key = false;
    sealer->sender = NULL;
}

/* ---- the head ---- */

static bool is_self(const sl_identity *sender, const sl_peer *peer) {
    return memcmp(sl_identity_key(sender), peer->certificate.identity, SL_PUBLIC_KEY_BYTES) == 0;
}

static uint32_t count_others(const sl_seal_request *request) {
    uint32_t others = 0;
    for (uint32_t i = 0; i < request->recipient_count; i++)
        others += !is_self(request->sender, &request->recipients[i]);
    return others;
}

static const char *request_fault(const sl_seal_request *r, uint32_t chunk_bytes) {
    if (r->kind < SL_SEAL_TASK || r->kind > SL_SEAL_DATA)
        return "it is of an unknown kind";
    if (r->suite && !sl_suite_known(r->suite))
        return "its suite is unknown";
    if (chunk_bytes < SL_CHUNK_LEAST_BYTES || chunk_bytes > SL_CHUNK_MOST_BYTES ||
        (chunk_bytes & (chunk_bytes - 1)))
        return "chunks have 64 KiB to 1 MiB, a power of two";
    if (!r->lifetime_s || r->lifetime_s > UINT64_MAX - r->now_s)
        return "it needs a time until it expires";
    return NULL;
}

static sl_err describe(const sl_seal_request *request, uint8_t *credential,
                       sl_seal_head *envelope) {
    const sl_seal_request *r = request;
    uint32_t chunk_bytes = r->chunk_bytes ? r->chunk_bytes : SL_CHUNK_LEAST_BYTES;
    const char *fault = request_fault(r, chunk_bytes);
    if (fault)
        return sl_fail(SL_ERR_INVALID, "an envelope cannot be made so: %s", fault);
    if (r->open_part.bytes > SL_OPEN_PART_MOST_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "the visible part of an envelope has %zu bytes, over %d",
                       r->open_part.bytes, SL_OPEN_PART_MOST_BYTES);
    if (r->recipient_count > SL_STANZAS_MOST)
        return sl_fail(SL_ERR_TOO_LARGE, "an envelope for %u recipients: at most %d",
                       r->recipient_count, SL_STANZAS_MOST);
    *envelope = (sl_seal_head){.kind = r->kind,
                               .suite = r->suite ? r->suite : sl_suite_best(),
                               .shared = r->shared || count_others(r) > 1,
                               .runs = r->runs ? r->runs : 1,
                               .chunk_bytes = chunk_bytes,
                               .body_bytes = r->body_bytes,
                               .created_s = r->now_s,
                               .expires_s = r->now_s + r->lifetime_s,
                               .open_part = r->open_part,
                               .stanza_count = r->recipient_count};
    if (r->about)
        memcpy(envelope->about, r->about, sizeof envelope->about);
    SL_TRY(sl_identity_credential(r->sender, credential, &envelope->credential.bytes));
    envelope->credential.data = credential;
    envelope->bytes = SL_ENVELOPE_FIXED_BYTES + envelope->credential.bytes + r->open_part.bytes +
                      SL_SIGNATURE_BYTES + 2 + (size_t)r->recipient_count * SL_STANZA_BYTES;
    return SL_OK;
}

sl_err sl_seal_head_bytes(const sl_seal_request *request, size_t *bytes) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    sl_seal_head envelope;
    SL_TRY(describe(request, credential, &envelope));
    *bytes = envelope.bytes;
    return SL_OK;
}

static sl_err write_head(sl_sealer *sealer, const sl_seal_request *request, sl_seal_head *envelope,
                         uint8_t *head) {
    sl_part parts[2];
    randombytes_buf(sealer->body.data_key, sizeof sealer->body.data_key);
    randombytes_buf(envelope->id, sizeof envelope->id);
    sl_body_commit(sealer->body.data_key, envelope->commitment);
    uint8_t *at = head + sl_seal_head_encode(envelope, head);
    sl_seal_head_signed_parts(envelope, parts);
    sl_identity_sign(request->sender, parts, SL_PART_COUNT(parts), at);
    at = sl_write_number(at + SL_SIGNATURE_BYTES, request->recipient_count, 2);
    for (uint32_t i = 0; i < request->recipient_count; i++, at += SL_STANZA_BYTES)
        SL_TRY(sl_body_wrap(sealer->body.data_key, envelope->hash, &request->recipients[i], at));
    assert((size_t)(at - head) == envelope->bytes);
    return sl_body_begin(&sealer->body, envelope, true);
}

sl_err sl_sealer_begin(sl_sealer *sealer, const sl_seal_request *request, uint8_t *head) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    sl_seal_head envelope;
    sl_sealer_end(sealer);
    SL_TRY(describe(request, credential, &envelope));
    sl_err err = write_head(sealer, request, &envelope, head);
    if (err != SL_OK) {
        sl_sealer_end(sealer);
        return err;
    }
    sealer->sender = request->sender;
    sealer->wraps = count_others(request);
    sealer->has_key = true;
    sealer->finished = false;
    return SL_OK;
}

const uint8_t *sl_sealer_id(const sl_sealer *sealer) {
    return sealer->body.envelope.id;
}

/* ---- the body ---- */

size_t sl_sealer_chunk_bytes(const sl_sealer *sealer, size_t bytes, bool last) {
    return bytes + RECORD_EXTRA_BYTES +
           (last && sealer->body.envelope.shared ? SL_SIGNATURE_BYTES : 0);
}

static sl_err check_chunk(const sl_sealer *sealer, size_t bytes, bool last) {
    const sl_body *body = &sealer->body;
    const sl_seal_head *e = &body->envelope;
    if (!body->under_way || sealer->finished)
        return sl_fail(SL_ERR_INVALID, "no envelope waits for a chunk");
    if (last ? bytes > e->chunk_bytes || (!bytes && body->bytes) : bytes != e->chunk_bytes)
        return sl_fail(SL_ERR_INVALID, "a%s chunk of %zu bytes, where chunks have %u",
                       last ? " last" : "", bytes, e->chunk_bytes);
    uint64_t whole = body->bytes + bytes;
    if (e->body_bytes != SL_BODY_UNKNOWN &&
        (whole > e->body_bytes || (last && whole != e->body_bytes)))
        return sl_fail(SL_ERR_INVALID, "the body is not of the %llu bytes that its head says",
                       (unsigned long long)e->body_bytes);
    return SL_OK;
}

static sl_err sign_body(sl_sealer *sealer, uint8_t *signature) {
    uint8_t digest[32];
    sl_part parts[2];
    SL_TRY(sl_body_signed_parts(&sealer->body, digest, parts));
    sl_identity_sign(sealer->sender, parts, SL_PART_COUNT(parts), signature);
    return SL_OK;
}

sl_err sl_sealer_chunk(sl_sealer *sealer, const void *from, size_t bytes, bool last, uint8_t *to) {
    SL_TRY(check_chunk(sealer, bytes, last));
    uint8_t *at = to + RECORD_HEAD_BYTES;
    SL_TRY(sl_chunks_seal(sealer->body.chunks, from, bytes, last, at, at + bytes));
    sl_write_number(to, (uint32_t)bytes | (last ? RECORD_LAST : 0), RECORD_HEAD_BYTES);
    SL_TRY(sl_body_digest(&sealer->body, to, bytes + RECORD_EXTRA_BYTES));
    sealer->body.bytes += bytes;
    if (!last)
        return SL_OK;
    sealer->finished = true;
    sl_chunks_end(sealer->body.chunks);
    return sealer->body.envelope.shared ? sign_body(sealer, to + bytes + RECORD_EXTRA_BYTES)
                                        : SL_OK;
}

/* ---- streaming ---- */

static bool is_whole(const sl_sealer *sealer, size_t bytes, bool end) {
    return bytes > sealer->body.envelope.chunk_bytes || end;
}

/* The chunk that `bytes` of input make, once more follow or it is the last. */
static size_t chunk_of(const sl_sealer *sealer, size_t bytes, bool *last) {
    size_t chunk = sealer->body.envelope.chunk_bytes;
    *last = bytes <= chunk;
    return *last ? bytes : chunk;
}

/* Seals from the input straight to the output, where both have all of a chunk. */
static sl_err seal_through(sl_sealer *sealer, const uint8_t *in, size_t in_bytes, bool end,
                           uint8_t *out, size_t room, sl_flow *flow) {
    while (!sealer->finished && is_whole(sealer, in_bytes - flow->taken, end)) {
        bool last;
        size_t bytes = chunk_of(sealer, in_bytes - flow->taken, &last);
        size_t sealed = sl_sealer_chunk_bytes(sealer, bytes, last);
        if (room - flow->made < sealed)
            return SL_OK;
        SL_TRY(sl_sealer_chunk(sealer, in + flow->taken, bytes, last, out + flow->made));
        flow->taken += bytes;
        flow->made += sealed;
    }
    return SL_OK;
}

/* Gathers a chunk of input, and seals it in place once it is whole. */
static sl_err seal_gathered(sl_sealer *sealer, const uint8_t *in, size_t in_bytes, bool end,
                            sl_flow *flow) {
    sl_feed *feed = &sealer->feed;
    size_t chunk = sealer->body.envelope.chunk_bytes;
    SL_TRY(sl_feed_reserve(feed, chunk + RECORD_EXTRA_BYTES + SL_SIGNATURE_BYTES));
    flow->taken +=
        sl_feed_take(feed, RECORD_HEAD_BYTES, chunk, in + flow->taken, in_bytes - flow->taken);
    bool more = flow->taken < in_bytes;
    if (!(more && feed->held == chunk) && !(end && !more))
        return SL_OK;
    bool last = !more;
    size_t sealed = sl_sealer_chunk_bytes(sealer, feed->held, last);
    SL_TRY(sl_sealer_chunk(sealer, feed->bytes + RECORD_HEAD_BYTES, feed->held, last, feed->bytes));
    sl_feed_ready(feed, 0, sealed);
    return SL_OK;
}

sl_err sl_sealer_feed(sl_sealer *sealer, const void *in, size_t in_bytes, bool end, uint8_t *out,
                      size_t room, sl_flow *flow) {
    sl_flow f = {0};
    in = in ? in : "";
    if (!sealer->body.under_way)
        return sl_fail(SL_ERR_INVALID, "no envelope waits for bytes");
    for (;;) {
        f.made += sl_feed_give(&sealer->feed, out + f.made, room - f.made);
        if (sealer->feed.ready)
            break;
        if (!sealer->feed.held)
            SL_TRY(seal_through(sealer, in, in_bytes, end, out, room, &f));
        if (sealer->finished)
            break;
        size_t taken = f.taken;
        SL_TRY(seal_gathered(sealer, in, in_bytes, end, &f));
        if (!sealer->feed.ready && f.taken == taken)
            break;
    }
    f.done = sealer->finished && !sealer->feed.ready;
    *flow = f;
    return SL_OK;
}

/* ---- whole ---- */

static size_t chunk_count(const sl_seal_head *envelope) {
    return envelope->body_bytes ? (size_t)((envelope->body_bytes + envelope->chunk_bytes - 1) /
                                           envelope->chunk_bytes)
                                : 1;
}

/* In a pass from the front no record may reach what is still to be read: each chunk lies behind its
 * place by what the records after it add, so the last one is where it belongs. */
sl_err sl_seal_layout(const sl_seal_request *request, size_t *bytes, size_t *body_at) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    sl_seal_head envelope;
    SL_TRY(describe(request, credential, &envelope));
    if (envelope.body_bytes > SIZE_MAX / 4)
        return sl_fail(SL_ERR_TOO_LARGE, "a body of %llu bytes cannot be sealed whole",
                       (unsigned long long)envelope.body_bytes);
    size_t records = chunk_count(&envelope) * RECORD_EXTRA_BYTES;
    *body_at = envelope.bytes + records - SL_CHUNK_TAG_BYTES;
    *bytes = envelope.bytes + records + (size_t)envelope.body_bytes +
             (envelope.shared ? SL_SIGNATURE_BYTES : 0);
    return SL_OK;
}

sl_err sl_seal_whole(sl_sealer *sealer, const sl_seal_request *request, uint8_t *buffer) {
    size_t bytes, body_at, chunk;
    SL_TRY(sl_seal_layout(request, &bytes, &body_at));
    SL_TRY(sl_sealer_begin(sealer, request, buffer));
    const uint8_t *from = buffer + body_at;
    uint8_t *to = buffer + sealer->body.envelope.bytes;
    for (bool last = false; !last; from += chunk) {
        chunk = chunk_of(sealer, (size_t)(request->body_bytes - sealer->body.bytes), &last);
        size_t sealed = sl_sealer_chunk_bytes(sealer, chunk, last);
        memmove(to + RECORD_HEAD_BYTES, from, chunk);
        SL_TRY(sl_sealer_chunk(sealer, to + RECORD_HEAD_BYTES, chunk, last, to));
        to += sealed;
    }
    assert(to == buffer + bytes);
    return SL_OK;
}

/* ---- recipients added later ---- */

static sl_err refuse_more(void) {
    return sl_fail(SL_ERR_REFUSED, "this envelope was sealed for one recipient alone: seal it as "
                                   "shared to add others");
}

sl_err sl_sealer_wrap(sl_sealer *sealer, const sl_peer *recipient,
                      uint8_t stanza[SL_STANZA_BYTES]) {
    if (!sealer->has_key)
        return sl_fail(SL_ERR_INVALID, "the data key of that envelope is gone");
    uint32_t other = !is_self(sealer->sender, recipient);
    if (other && sealer->wraps && !sealer->body.envelope.shared)
        return refuse_more();
    SL_TRY(sl_body_wrap(sealer->body.data_key, sealer->body.envelope.hash, recipient, stanza));
    sealer->wraps += other;
    return SL_OK;
}

sl_err sl_seal_add_recipient(const void *head, size_t size, const sl_identity *owner,
                             const sl_peer *recipient, uint8_t stanza[SL_STANZA_BYTES]) {
    sl_seal_head envelope;
    void *data_key;
    SL_TRY(sl_seal_head_read(head, size, &envelope));
    if (!envelope.shared)
        return refuse_more();
    SL_TRY(sl_secret_create(SL_DATA_KEY_BYTES, &data_key));
    sl_err err = sl_body_unwrap(&envelope, owner, sl_seal_head_stanza(&envelope, owner), data_key);
    if (err == SL_OK)
        err = sl_body_wrap(data_key, envelope.hash, recipient, stanza);
    sl_secret_destroy(data_key);
    return err;
}

sl_err sl_seal_head_append(const void *head, size_t size, const uint8_t stanza[SL_STANZA_BYTES],
                           uint8_t *out) {
    sl_seal_head envelope;
    SL_TRY(sl_seal_head_read(head, size, &envelope));
    if (envelope.stanza_count == SL_STANZAS_MOST)
        return sl_fail(SL_ERR_TOO_LARGE, "an envelope has at most %d recipients", SL_STANZAS_MOST);
    size_t count_at = (size_t)(envelope.stanzas - (const uint8_t *)head) - 2;
    uint8_t *end = sl_write_bytes(out, head, envelope.bytes);
    sl_write_number(out + count_at, envelope.stanza_count + 1, 2);
    sl_write_bytes(end, stanza, SL_STANZA_BYTES);
    return SL_OK;
}
