#include "runtime/trace_part.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/strbuf.h"

enum { SLOTS = 4 * SL_TRACE_POINTS_MAX };

/* The points in use, numbered as they are met. */
typedef struct interner {
    const sl_trace_point *points[SL_TRACE_POINTS_MAX];
    uint32_t count;
    uint16_t slots[SLOTS]; /* by hash of the address: 1 + number, 0 empty */
} interner;

/* The point's number; false when there are too many. */
static bool intern(interner *in, const sl_trace_point *point, uint32_t *number) {
    size_t slot = ((uintptr_t)point >> 4) * 0x9e3779b97f4a7c15u >> 52;
    for (; in->slots[slot % SLOTS]; slot++) {
        *number = in->slots[slot % SLOTS] - 1u;
        if (in->points[*number] == point)
            return true;
    }
    if (in->count == SL_TRACE_POINTS_MAX)
        return false;
    *number = in->count++;
    in->points[*number] = point;
    in->slots[slot % SLOTS] = (uint16_t)in->count;
    return true;
}

static uint32_t add_string(sl_strbuf *strings, const char *text) {
    if (!text || !text[0])
        return 0;
    uint32_t offset = (uint32_t)strings->length;
    sl_strbuf_append_bytes(strings, text, strlen(text) + 1);
    return offset;
}

/* Numbers all points, and counts the events that will be written. */
static uint64_t intern_all(const sl_trace *trace, interner *in) {
    uint64_t events = 0;
    uint32_t number;
    for (uint32_t l = 0; l < trace->lane_count; l++)
        for (size_t i = 0; i < trace->lanes[l].count; i++)
            events += intern(in, trace->lanes[l].events[i].point, &number);
    return events;
}

static uint64_t all_dropped(const sl_trace *trace, uint64_t events) {
    uint64_t total = 0;
    for (uint32_t l = 0; l < trace->lane_count; l++)
        total += trace->lanes[l].count + trace->lanes[l].dropped;
    return total - events;
}

/* Header, names and points; the strings follow them. */
static sl_err write_head(const sl_trace *trace, interner *in, FILE *file) {
    sl_trace_part_header header = {.event_bytes = sizeof(sl_trace_part_event),
                                   .node = trace->node,
                                   .lanes = trace->lane_count};
    sl_trace_part_point points[SL_TRACE_POINTS_MAX];
    uint32_t names[SL_TRACE_LANES_MAX] = {0};
    sl_strbuf strings;
    sl_strbuf_init(&strings, SL_TRACE_STRINGS_MAX_BYTES);
    sl_strbuf_append_char(&strings, '\0');
    memcpy(header.magic, SL_TRACE_MAGIC, sizeof header.magic);
    header.events = intern_all(trace, in);
    header.dropped = all_dropped(trace, header.events);
    header.points = in->count;
    header.label = add_string(&strings, trace->label);
    for (uint32_t l = 0; l < trace->lane_count; l++)
        names[l] = add_string(&strings, trace->lanes[l].name);
    for (uint32_t p = 0; p < in->count; p++)
        points[p] = (sl_trace_part_point){add_string(&strings, in->points[p]->name),
                                          add_string(&strings, in->points[p]->category),
                                          add_string(&strings, in->points[p]->a),
                                          add_string(&strings, in->points[p]->b)};
    while (strings.length % 8 &&
           sl_strbuf_err(&strings) == SL_OK) /* events are read where they lie */
        sl_strbuf_append_char(&strings, '\0');
    header.string_bytes = (uint32_t)strings.length;
    fwrite(&header, sizeof header, 1, file);
    fwrite(names, sizeof names[0], header.lanes + header.lanes % 2, file);
    /* cppcheck-suppress uninitvar -- none is written when there are none */
    fwrite(points, sizeof points[0], in->count, file);
    fwrite(strings.data, 1, strings.length, file);
    sl_err err = sl_strbuf_err(&strings);
    sl_strbuf_fini(&strings);
    return err;
}

static void write_event(const sl_trace *trace, interner *in, uint32_t lane,
                        const sl_trace_event *event, int64_t offset_ns, FILE *file) {
    sl_trace_part_event out = {.length_ns = event->length_ns,
                               .flow = event->flow,
                               .lane = (uint16_t)lane,
                               .phase = event->phase,
                               .has_text = event->has_text};
    if (!intern(in, event->point, &out.point))
        return;
    out.at_ns = event->at_ns - trace->opened_ns + trace->opened_wall_ns + (uint64_t)offset_ns;
    memcpy(&out.args, &event->args, sizeof out.args);
    fwrite(&out, sizeof out, 1, file);
}

static void write_events(const sl_trace *trace, interner *in, int64_t offset_ns, FILE *file) {
    for (uint32_t l = 0; l < trace->lane_count; l++)
        for (size_t i = 0; i < trace->lanes[l].count; i++)
            write_event(trace, in, l, &trace->lanes[l].events[i], offset_ns, file);
}

sl_err sl_trace_write_part(const sl_trace *trace, const char *path, int64_t offset_ns) {
    interner *in = calloc(1, sizeof *in);
    if (!in)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to write the trace");
    FILE *file = fopen(path, "we");
    if (!file) {
        free(in);
        return sl_fail(SL_ERR_IO, "cannot write trace %s: %s", path, strerror(errno));
    }
    sl_err err = write_head(trace, in, file);
    write_events(trace, in, offset_ns, file);
    bool failed = ferror(file);
    failed |= fclose(file) != 0;
    free(in);
    if (err == SL_OK && failed)
        err = sl_fail(SL_ERR_IO, "cannot write trace %s: %s", path, strerror(errno));
    return err;
}
