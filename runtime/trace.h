/* Traces: what a node did, when, written as a file for ui.perfetto.dev or chrome://tracing.
 *
 * Each thread that records has a lane: a bounded buffer of fixed-size events that only it writes. A
 * full lane drops what comes later and counts it. Where tracing is off the lane is NULL, and
 * recording is one branch.
 *
 *     static const sl_trace_point place = {"place", "scheduler", "candidates", "node"};
 *     uint64_t start_ns = sl_trace_now(lane);
 *     ...
 *     sl_trace_span(lane, &place, start_ns, task_id, candidates, node);
 *
 * Spans that carry the same flow id, on any thread of any node, are joined by arrows in the order
 * of time: give a task's id and the trace shows its way. At the end each node writes a part
 * (FILE.part-NODE), and one of them merges the parts into FILE, one process per node. */
#ifndef SL_RUNTIME_TRACE_H
#define SL_RUNTIME_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/clock.h"
#include "runtime/err.h"

/* What an event is about; static, one per place in the code. */
typedef struct sl_trace_point {
    const char *name;     /* what happens: "place", "run", … */
    const char *category; /* the room that speaks: "scheduler", "executor", … */
    const char *a, *b;    /* names of the two numbers, NULL where there is none; `a` of the text */
} sl_trace_point;

typedef enum sl_trace_phase {
    SL_TRACE_SPAN,    /* has a length; spans of one lane lie beside or inside each other */
    SL_TRACE_ASYNC,   /* has a length; may overlap others of its lane (a process, a transfer) */
    SL_TRACE_INSTANT, /* a moment */
    SL_TRACE_VALUE,   /* a number over time; `a` is it */
    SL_TRACE_PHASES
} sl_trace_phase;

enum { SL_TRACE_TEXT_BYTES = 24 }; /* of an event's text, NUL included */

typedef struct sl_trace_event {
    uint64_t at_ns; /* by the node's clock */
    uint64_t length_ns;
    uint64_t flow; /* 0: none */
    const sl_trace_point *point;
    union {
        uint64_t number[SL_TRACE_TEXT_BYTES / 8]; /* two are used */
        char text[SL_TRACE_TEXT_BYTES];
    } args;
    uint8_t phase;    /* sl_trace_phase */
    uint8_t has_text; /* args is text */
} sl_trace_event;

typedef struct sl_trace_lane {
    const sl_clock *clock;
    const char *name; /* of the thread, as shown */
    size_t count, capacity;
    uint64_t dropped;
    sl_trace_event *events;
} sl_trace_lane;

typedef struct sl_trace sl_trace;

typedef struct sl_trace_options {
    uint32_t node;          /* the node's rank: its process id in the trace */
    const char *label;      /* as shown: "rank 3 host us-west"; copied */
    const sl_clock *clock;  /* borrowed for the trace's life */
    uint32_t lanes;         /* 1 … 1024 */
    size_t events_per_lane; /* bound of each; 0: 131072 (8 MiB, touched as it fills) */
} sl_trace_options;

/* A node's trace with its lanes. SL_ERR_INVALID or SL_ERR_NO_MEMORY. */
sl_err sl_trace_open(sl_trace **trace, const sl_trace_options *options) SL_CHECKED;

/* Frees it; no thread may record any more. NULL is fine. */
void sl_trace_close(sl_trace *trace);

/* Lane `index` for one thread, shown as `name` (static storage). NULL when `trace` is NULL or has
 * fewer lanes. */
sl_trace_lane *sl_trace_lane_open(sl_trace *trace, uint32_t index, const char *name);

/* Writes all events to `path`, their times moved by `offset_ns` (what to add to this node's clock
 * to get the network's). No thread may record meanwhile. SL_ERR_IO. */
sl_err sl_trace_write_part(const sl_trace *trace, const char *path, int64_t offset_ns) SL_CHECKED;

/* "FILE.part-NODE"; SL_ERR_TOO_LARGE when it does not fit in `size` bytes. */
sl_err sl_trace_part_path(const char *path, uint32_t node, char *part, size_t size) SL_CHECKED;

typedef struct sl_trace_summary {
    uint64_t events;  /* written */
    uint64_t dropped; /* for want of room in a lane */
    uint32_t missing; /* parts that are not there or do not decode */
} sl_trace_summary;

/* Merges the parts of nodes 0 … nodes-1 of `path` into it and removes them. A part that is missing
 * or damaged is left out and counted, here and in the file. `summary` may be NULL. SL_ERR_IO or
 * SL_ERR_NO_MEMORY. */
sl_err sl_trace_merge(const char *path, uint32_t nodes, sl_trace_summary *summary) SL_CHECKED;

/* Appends an event; drops and counts it when the lane is full. `lane` is not NULL. */
void sl_trace_record(sl_trace_lane *lane, sl_trace_phase phase, const sl_trace_point *point,
                     uint64_t at_ns, uint64_t flow, uint64_t a, uint64_t b);

/* The same with a text, of which the first SL_TRACE_TEXT_BYTES - 1 bytes are kept. */
void sl_trace_record_text(sl_trace_lane *lane, sl_trace_phase phase, const sl_trace_point *point,
                          uint64_t at_ns, uint64_t flow, const char *text);

/* When a span begins; 0 while tracing is off. */
static inline uint64_t sl_trace_now(const sl_trace_lane *lane) {
    return lane ? lane->clock->now_ns(lane->clock) : 0;
}

/* A span from `start_ns` to now. `flow` 0: none. */
static inline void sl_trace_span(sl_trace_lane *lane, const sl_trace_point *point,
                                 uint64_t start_ns, uint64_t flow, uint64_t a, uint64_t b) {
    if (lane)
        sl_trace_record(lane, SL_TRACE_SPAN, point, start_ns, flow, a, b);
}

static inline void sl_trace_span_text(sl_trace_lane *lane, const sl_trace_point *point,
                                      uint64_t start_ns, uint64_t flow, const char *text) {
    if (lane)
        sl_trace_record_text(lane, SL_TRACE_SPAN, point, start_ns, flow, text);
}

/* Like a span, for what overlaps others of its lane. `id` tells apart what runs at the same time.
 */
static inline void sl_trace_async(sl_trace_lane *lane, const sl_trace_point *point,
                                  uint64_t start_ns, uint64_t id, uint64_t a, uint64_t b) {
    if (lane)
        sl_trace_record(lane, SL_TRACE_ASYNC, point, start_ns, id, a, b);
}

static inline void sl_trace_async_text(sl_trace_lane *lane, const sl_trace_point *point,
                                       uint64_t start_ns, uint64_t id, const char *text) {
    if (lane)
        sl_trace_record_text(lane, SL_TRACE_ASYNC, point, start_ns, id, text);
}

/* A moment: now. */
static inline void sl_trace_instant(sl_trace_lane *lane, const sl_trace_point *point, uint64_t a,
                                    uint64_t b) {
    if (lane)
        sl_trace_record(lane, SL_TRACE_INSTANT, point, sl_trace_now(lane), 0, a, b);
}

/* A number over time: its value from now on. */
static inline void sl_trace_value(sl_trace_lane *lane, const sl_trace_point *point,
                                  uint64_t value) {
    if (lane)
        sl_trace_record(lane, SL_TRACE_VALUE, point, sl_trace_now(lane), 0, value, 0);
}

#endif
