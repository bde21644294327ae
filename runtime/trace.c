#include "runtime/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/trace_part.h"

enum { DEFAULT_EVENTS = 131072 };

static sl_err allocate_lanes(sl_trace *trace, const sl_trace_options *options) {
    size_t capacity = options->events_per_lane ? options->events_per_lane : DEFAULT_EVENTS;
    trace->label = strdup(options->label);
    if (!trace->label)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the trace");
    for (uint32_t i = 0; i < options->lanes; i++) {
        /* malloc, not calloc: pages are touched only as events come */
        sl_trace_event *events =
            capacity <= SIZE_MAX / sizeof *events ? malloc(capacity * sizeof *events) : NULL;
        if (!events)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu trace events", capacity);
        trace->lanes[i] = (sl_trace_lane){
            .clock = options->clock, .name = "", .capacity = capacity, .events = events};
        trace->lane_count++;
    }
    return SL_OK;
}

sl_err sl_trace_open(sl_trace **trace, const sl_trace_options *options) {
    if (options->lanes < 1 || options->lanes > SL_TRACE_LANES_MAX)
        return sl_fail(SL_ERR_INVALID, "a trace has 1 to %d lanes, not %u", SL_TRACE_LANES_MAX,
                       options->lanes);
    sl_trace *self = calloc(1, sizeof *self + options->lanes * sizeof self->lanes[0]);
    if (!self)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the trace");
    self->node = options->node;
    self->opened_ns = options->clock->now_ns(options->clock);
    self->opened_wall_ns = (uint64_t)(options->clock->wall_s(options->clock) * 1e9);
    sl_err err = allocate_lanes(self, options);
    if (err != SL_OK) {
        sl_trace_close(self);
        return err;
    }
    *trace = self;
    return SL_OK;
}

void sl_trace_close(sl_trace *trace) {
    if (!trace)
        return;
    for (uint32_t i = 0; i < trace->lane_count; i++)
        free(trace->lanes[i].events);
    free(trace->label);
    free(trace);
}

sl_trace_lane *sl_trace_lane_open(sl_trace *trace, uint32_t index, const char *name) {
    if (!trace || index >= trace->lane_count)
        return NULL;
    trace->lanes[index].name = name;
    return &trace->lanes[index];
}

sl_err sl_trace_part_path(const char *path, uint32_t node, char *part, size_t size) {
    int length = snprintf(part, size, "%s.part-%u", path, node);
    if (length < 0 || (size_t)length >= size)
        return sl_fail(SL_ERR_TOO_LARGE, "the path of the trace is longer than %zu bytes", size);
    return SL_OK;
}

/* The event to fill, with what all have, or NULL when the lane is full. */
static sl_trace_event *append(sl_trace_lane *lane, sl_trace_phase phase,
                              const sl_trace_point *point, uint64_t at_ns, uint64_t flow) {
    if (lane->count == lane->capacity) {
        lane->dropped++;
        return NULL;
    }
    sl_trace_event *event = &lane->events[lane->count++];
    uint64_t now_ns = phase <= SL_TRACE_ASYNC ? lane->clock->now_ns(lane->clock) : at_ns;
    *event = (sl_trace_event){.at_ns = at_ns,
                              .length_ns = now_ns > at_ns ? now_ns - at_ns : 0,
                              .flow = flow,
                              .point = point,
                              .phase = (uint8_t)phase};
    return event;
}

void sl_trace_record(sl_trace_lane *lane, sl_trace_phase phase, const sl_trace_point *point,
                     uint64_t at_ns, uint64_t flow, uint64_t a, uint64_t b) {
    sl_trace_event *event = append(lane, phase, point, at_ns, flow);
    if (event) {
        event->args.number[0] = a;
        event->args.number[1] = b;
    }
}

void sl_trace_record_text(sl_trace_lane *lane, sl_trace_phase phase, const sl_trace_point *point,
                          uint64_t at_ns, uint64_t flow, const char *text) {
    sl_trace_event *event = append(lane, phase, point, at_ns, flow);
    if (event) {
        event->has_text = 1;
        memcpy(event->args.text, text,
               strnlen(text, SL_TRACE_TEXT_BYTES - 1)); /* the rest is zero */
    }
}
