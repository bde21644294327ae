/* A part of a trace of any bytes: merged, or left out and counted. The first byte says how much of
 * the head is put right, so that what lies behind it is reached. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/trace_part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], path[96], part[128];

static void require(int holds) {
    if (!holds)
        abort();
}

static void remove_folder(void) {
    unlink(path);
    unlink(part);
    rmdir(folder);
}

/* In memory, where there is a file system for it. */
static void make_folder(void) {
    strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/starlane-fuzz-XXXXXX"
                                                 : "/tmp/starlane-fuzz-XXXXXX");
    require(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/trace.json", folder);
    require(sl_trace_part_path(path, 0, part, sizeof part) == SL_OK);
    atexit(remove_folder);
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
    static uint8_t bytes[1 << 16];
    sl_trace_summary summary;
    if (!folder[0])
        make_folder();
    if (size < 1 || size > sizeof bytes)
        return 0;
    memcpy(bytes, data + 1, --size);
    if ((data[0] & 1) && size >= sizeof(sl_trace_part_header))
        size = mend(bytes, size);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    require(sl_trace_merge(path, 1, &summary) == SL_OK);
    require(summary.missing <= 1 && (!summary.missing || !summary.events));
    return 0;
}
