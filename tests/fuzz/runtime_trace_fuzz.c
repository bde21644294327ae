/* A part of a trace of any bytes: merged, or left out and counted. The first byte says how much of
 * the head is put right, so that what lies behind it is reached. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/trace_part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
    if (!holds)
        abort();
}

/* A head that fits what follows: small counts, and the rest is events. */
static void put_right(uint8_t *bytes, size_t size) {
    sl_trace_part_header h;
    memcpy(&h, bytes, sizeof h);
    memcpy(h.magic, SL_TRACE_MAGIC, sizeof h.magic);
    h.event_bytes = sizeof(sl_trace_part_event);
    h.node = 0;
    h.lanes = 1 + h.lanes % 4;
    h.points = 1 + h.points % 4;
    h.string_bytes = 8 + h.string_bytes % 8 * 8;
    h.label %= h.string_bytes;
    size_t names = (h.lanes + h.lanes % 2) * sizeof(uint32_t);
    size_t strings = sizeof h + names + h.points * sizeof(sl_trace_part_point);
    size_t head = strings + h.string_bytes;
    if (head > size)
        return;
    h.events = (size - head) / sizeof(sl_trace_part_event);
    memcpy(bytes, &h, sizeof h);
    bytes[strings] = bytes[head - 1] = 0;
    for (size_t at = sizeof h; at < strings; at += sizeof(uint32_t)) {
        uint32_t name;
        memcpy(&name, bytes + at, sizeof name);
        name %= h.string_bytes;
        memcpy(bytes + at, &name, sizeof name);
    }
    for (size_t i = 0; i < h.events; i++) {
        sl_trace_part_event event;
        uint8_t *at = bytes + head + i * sizeof event;
        memcpy(&event, at, sizeof event);
        event.point %= h.points;
        event.lane = (uint16_t)(event.lane % h.lanes);
        event.phase %= SL_TRACE_PHASES;
        memcpy(at, &event, sizeof event);
    }
}

/* Puts the head right, and cuts what is no whole event. */
static size_t mend(uint8_t *bytes, size_t size) {
    sl_trace_part_header h;
    put_right(bytes, size);
    memcpy(&h, bytes, sizeof h);
    size_t head = sizeof h + (h.lanes + h.lanes % 2) * sizeof(uint32_t) +
                  h.points * sizeof(sl_trace_part_point) + h.string_bytes;
    return head <= size
               ? head + (size - head) / sizeof(sl_trace_part_event) * sizeof(sl_trace_part_event)
               : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *nowhere;
    sl_trace_summary summary;
    if (!nowhere)
        require((nowhere = fopen("/dev/null", "we")) != NULL);
    if (size < 1)
        return 0;
    bool mended = *data++ & 1;
    uint8_t *bytes = malloc(--size); /* aligned, and nothing behind it */
    require(bytes != NULL);
    memcpy(bytes, data, size);
    if (mended && size >= sizeof(sl_trace_part_header))
        size = mend(bytes, size);
    sl_trace_part part = {.data = bytes, .size = size};
    require(sl_trace_merge_parts(&part, 1, nowhere, &summary) == SL_OK);
    require(summary.missing <= 1 && (!summary.missing || !summary.events));
    require(part.good == !summary.missing);
    free(bytes);
    return 0;
}
