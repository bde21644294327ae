/* The part file of one node's trace, between trace_part.c that writes it and trace_merge.c that
 * reads it (only they and trace.c include this). A part is read by the same program on the same
 * kind of machine, but perhaps after a crash or a full disk: the reader trusts no number in it.
 *
 *   header | names of lanes (u32 each) | points | strings | events
 *
 * A u32 that names a string is its offset in `strings`, which begins with and ends in a NUL; 0 is
 * "". */
#ifndef SL_RUNTIME_TRACE_PART_H
#define SL_RUNTIME_TRACE_PART_H

#include <stdio.h>

#include "runtime/trace.h"

#define SL_TRACE_MAGIC "SLTRACE1"

enum {
    SL_TRACE_LANES_MAX = 1024,
    SL_TRACE_POINTS_MAX = 1024,
    SL_TRACE_STRINGS_MAX_BYTES = 1 << 18
};

typedef struct sl_trace_part_header {
    char magic[8];
    uint32_t event_bytes; /* sizeof(sl_trace_part_event) of the writer */
    uint32_t node;
    uint32_t lanes;
    uint32_t points;
    uint32_t string_bytes;
    uint32_t label;
    uint64_t events;
    uint64_t dropped;
} sl_trace_part_header;

typedef struct sl_trace_part_point {
    uint32_t name, category, a, b;
} sl_trace_part_point;

typedef struct sl_trace_part_event {
    uint64_t at_ns; /* since 1970, by the network's clock */
    uint64_t length_ns;
    uint64_t flow;
    uint32_t point;
    uint16_t lane;
    uint8_t phase;
    uint8_t has_text;
    union {
        uint64_t number[SL_TRACE_TEXT_BYTES / 8];
        char text[SL_TRACE_TEXT_BYTES];
    } args;
} sl_trace_part_event;

/* A part as it lies in memory, 8-byte aligned; `data` NULL: there is none. */
typedef struct sl_trace_part {
    const void *data;
    size_t size;
    bool good; /* set by the merge: it was whole, and is in the trace */
} sl_trace_part;

/* Writes the trace of nodes 0, 1, ... to `out`, leaving out parts that are not good. The summary,
 * if any, is set on success. Whether `out` took it all its ferror() says. SL_ERR_NO_MEMORY;
 * SL_ERR_TOO_LARGE. */
sl_err sl_trace_merge_parts(sl_trace_part *parts, uint32_t nodes, FILE *out,
                            sl_trace_summary *summary) SL_CHECKED;

struct sl_trace {
    uint32_t node;
    char *label;
    uint64_t opened_ns; /* the node's clock, and the time of day, at the same moment */
    uint64_t opened_wall_ns;
    uint32_t lane_count;
    sl_trace_lane lanes[];
};

#endif
