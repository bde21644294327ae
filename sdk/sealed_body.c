#include "sdk/sealed_body.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "actors/secure/secret.h"
#include "runtime/clock.h"

enum { HEAD_BYTES = 64, STAGE_BYTES = SL_CHUNK_LEAST_BYTES, HUGE_BYTES = 1 << 21 };
enum { WAIT_BYTES = 1 << 20 };

static const uint8_t zeros[SL_BODY_ALIGN];

static uint64_t padded(uint64_t bytes) {
    return (bytes + SL_BODY_ALIGN - 1) & ~(uint64_t)(SL_BODY_ALIGN - 1);
}

/* ---- sealing ---- */

static uint64_t section_bytes(const sl_section *section) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < section->count; i++)
        bytes += section->parts[i].bytes;
    return bytes;
}

static uint64_t body_bytes(const sl_sealing *what) {
    uint64_t at = HEAD_BYTES;
    for (int i = 0; i < SL_BODY_SECTIONS; i++)
        at = padded(at) + section_bytes(&what->sections[i]);
    return at;
}

sl_err sl_sealing_measure(sl_seal_request *request, const sl_sealing *what, size_t *size) {
    size_t body_at;
    request->body_bytes = body_bytes(what);
    if (request->body_bytes > SL_BLOB_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "a sealed task of more than %llu bytes",
                       (unsigned long long)SL_BLOB_MAX_BYTES);
    return sl_seal_layout(request, size, &body_at);
}

/* The bytes of a body, from parts, as they are wanted. */
typedef struct source {
    const sl_sealing *what;
    uint8_t head[HEAD_BYTES];
    int section; /* -1: the head */
    size_t part, at;
    uint64_t made; /* bytes given out */
    sl_part now;   /* the rest of the part that is read */
    uint8_t *used; /* of a part that is consumed: given out, and not wiped yet … */
    uint8_t *end;  /* … up to here */
} source;

static void begin_source(source *s, const sl_sealing *what) {
    *s = (source){.what = what, .section = -1, .now = {s->head, HEAD_BYTES}};
    memset(s->head, 0, sizeof s->head);
    uint8_t *at = sl_write_number(s->head, what->form, 4);
    at = sl_write_number(at, what->code, 4);
    for (int i = 0; i < SL_BODY_SECTIONS; i++)
        at = sl_write_number(at, section_bytes(&what->sections[i]), 8);
}

/* Goes on to the next part that has bytes, or to what fills up a section. */
static void next_part(source *s) {
    while (!s->now.bytes) {
        const sl_section *section = s->section >= 0 ? &s->what->sections[s->section] : NULL;
        if (section && s->part < section->count) {
            s->now = section->parts[s->part++];
        } else if (s->section + 1 < SL_BODY_SECTIONS) {
            s->section++;
            s->part = 0;
            s->now = (sl_part){zeros, (size_t)(padded(s->made) - s->made)};
        } else {
            return;
        }
    }
}

static uint8_t *next_huge(uint8_t *at) {
    return (uint8_t *)(((uintptr_t)at + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
}

/* Pages that are given back are cleared before anybody gets them; whole huge ones, for half a one
 * would be taken apart. */
static void use_up(source *s, bool all) {
    uint8_t *first = s->used ? next_huge(s->used) : NULL;
    uint8_t *last = first ? (uint8_t *)((uintptr_t)s->end & ~(uintptr_t)(HUGE_BYTES - 1)) : NULL;
    if (!s->used || (!all && last <= first))
        return;
    if (last > first && madvise(first, (size_t)(last - first), MADV_DONTNEED) == 0) {
        sl_secret_wipe(s->used, (size_t)(first - s->used));
        s->used = last;
    }
    if (all) {
        sl_secret_wipe(s->used, (size_t)(s->end - s->used));
        s->used = s->end = NULL;
    }
}

static void note_use(source *s, size_t bytes) {
    uint8_t *from = (uint8_t *)(uintptr_t)s->now.data;
    bool filling = from >= zeros && from < zeros + sizeof zeros;
    if (s->section < 0 || !s->what->sections[s->section].consume || filling)
        return;
    if (s->used && s->end != from)
        use_up(s, true);
    if (!s->used)
        s->used = from;
    s->end = from + bytes;
}

static void advance(source *s, size_t bytes) {
    note_use(s, bytes);
    s->now.data = (const uint8_t *)s->now.data + bytes;
    s->now.bytes -= bytes;
    s->made += bytes;
}

/* The next `bytes` in one piece: where they lie, or put together in `stage`. */
static const void *take(source *s, size_t bytes, uint8_t *stage) {
    next_part(s);
    if (s->now.bytes >= bytes) {
        const void *data = s->now.data;
        advance(s, bytes);
        return data;
    }
    for (size_t got = 0; got < bytes;) {
        next_part(s);
        size_t some = s->now.bytes < bytes - got ? s->now.bytes : bytes - got;
        memcpy(stage + got, s->now.data, some);
        advance(s, some);
        got += some;
    }
    return stage;
}

static sl_err seal_all(sl_sealer *sealer, const sl_seal_request *request, source *from,
                       uint8_t *stage, uint8_t *out) {
    for (uint64_t left = request->body_bytes;;) {
        bool last = left <= STAGE_BYTES;
        size_t bytes = last ? (size_t)left : STAGE_BYTES;
        SL_TRY(sl_sealer_chunk(sealer, take(from, bytes, stage), bytes, last, out));
        use_up(from, last);
        out += sl_sealer_chunk_bytes(sealer, bytes, last);
        left -= bytes;
        if (last)
            return SL_OK;
    }
}

sl_err sl_sealing_write(sl_sealer *sealer, const sl_seal_request *request, const sl_sealing *what,
                        uint8_t *out) {
    size_t head;
    source from;
    size_t staged = request->body_bytes < STAGE_BYTES ? (size_t)request->body_bytes : STAGE_BYTES;
    uint8_t *stage = malloc(staged);
    if (!stage)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to seal");
    begin_source(&from, what);
    sl_err err = sl_seal_head_bytes(request, &head);
    if (err == SL_OK)
        err = sl_sealer_begin(sealer, request, out);
    if (err == SL_OK)
        err = seal_all(sealer, request, &from, stage, out + head);
    sl_secret_wipe(stage, staged);
    free(stage);
    return err;
}

/* ---- opening ---- */

/* Each chunk is opened where it lies and moved down, or, apart from the envelope, to its place. */
static sl_err open_chunks(sl_opener *opener, const uint8_t *at, const uint8_t *end, uint8_t *to,
                          bool in_place, size_t *made) {
    for (bool last = false; !last;) {
        size_t needed, bytes;
        SL_TRY(sl_opener_measure(opener, at, (size_t)(end - at), &needed));
        if ((size_t)(end - at) < needed)
            return sl_fail(SL_ERR_SEAL, "an envelope was cut: its last chunk is missing");
        uint8_t *opened = in_place ? (uint8_t *)(uintptr_t)at + 4 : to + *made;
        SL_TRY(sl_opener_chunk(opener, at, needed, opened, &bytes, &last));
        if (in_place)
            memmove(to + *made, opened, bytes);
        *made += bytes;
        at += needed;
    }
    if (at != end)
        return sl_fail(SL_ERR_SEAL, "%zu bytes follow the end of an envelope", (size_t)(end - at));
    return SL_OK;
}

static sl_err broken(void) {
    return sl_fail(SL_ERR_DECODE, "what was in an envelope does not decode");
}

static sl_err read_sections(sl_opened *opened, size_t bytes) {
    const uint8_t *body = opened->blob->data;
    sl_reader head = {body, body + bytes, false};
    uint64_t at = HEAD_BYTES;
    uint32_t form = sl_read_u32(&head);
    opened->code = sl_read_u32(&head);
    if (bytes < HEAD_BYTES || form < SL_BODY_CALL || form > SL_BODY_MODULE)
        return broken();
    opened->form = (sl_body_form)form;
    for (int i = 0; i < SL_BODY_SECTIONS; i++) {
        uint64_t size = sl_read_u64(&head);
        at = padded(at);
        if (at > bytes || size > bytes - at)
            return broken();
        opened->sections[i] = (sl_part){body + at, (size_t)size};
        at += size;
    }
    return at == bytes ? SL_OK : broken();
}

static sl_err open_all(sl_opener *opener, const sl_open_request *request, const uint8_t *envelope,
                       size_t size, bool in_place, sl_opened *opened) {
    sl_seal_head head;
    size_t made = 0;
    SL_TRY(sl_opener_begin(opener, envelope, size, request, &head, &opened->sender));
    memcpy(opened->id, head.id, sizeof opened->id);
    if (!in_place)
        SL_TRY(sl_blob_create(size - head.bytes, &opened->blob));
    SL_TRY(open_chunks(opener, envelope + head.bytes, envelope + size, opened->blob->data, in_place,
                       &made));
    return read_sections(opened, made);
}

static sl_err closed_unless(sl_err err, sl_opened *opened) {
    if (err != SL_OK)
        sl_opened_close(opened);
    return err;
}

/* Who brought a blob lets go of it a moment after it was handed over: of a large one that is waited
 * for, though not for longer than it takes to do with a copy. */
static bool is_alone(const sl_blob *blob) {
    uint64_t begin_ns = sl_clock_now_ns(), most_ns = blob->bytes < WAIT_BYTES ? 0 : blob->bytes;
    while (atomic_load(&blob->references) != 1) {
        if (sl_clock_now_ns() - begin_ns >= most_ns)
            return false;
        sched_yield();
    }
    return (uintptr_t)blob->data % SL_BODY_ALIGN == 0;
}

sl_err sl_opened_take(sl_opener *opener, const sl_open_request *request, sl_blob *blob,
                      sl_opened *opened) {
    *opened = (sl_opened){0};
    if (!is_alone(blob))
        return sl_opened_copy(opener, request, blob->data, (size_t)blob->bytes, opened);
    opened->blob = sl_blob_retain(blob);
    return closed_unless(open_all(opener, request, blob->data, (size_t)blob->bytes, true, opened),
                         opened);
}

sl_err sl_opened_copy(sl_opener *opener, const sl_open_request *request, const void *envelope,
                      size_t size, sl_opened *opened) {
    *opened = (sl_opened){0};
    return closed_unless(open_all(opener, request, envelope, size, false, opened), opened);
}

static void release_parent(void *parent, void *data) {
    (void)data;
    sl_blob_release(parent);
}

sl_err sl_opened_apart(const sl_opened *opened, sl_blob **apart) {
    const sl_part *third = &opened->sections[2];
    *apart = NULL;
    if (!third->bytes)
        return SL_OK;
    SL_TRY(sl_blob_wrap((void *)(uintptr_t)third->data, third->bytes, release_parent, opened->blob,
                        apart));
    sl_blob_retain(opened->blob);
    return SL_OK;
}

void sl_opened_close(sl_opened *opened) {
    if (opened->blob && atomic_load(&opened->blob->references) == 1)
        sl_secret_wipe(opened->blob->data, (size_t)opened->blob->bytes);
    sl_blob_release(opened->blob);
    *opened = (sl_opened){0};
}
