/* Design notes: all parts are in memory (mapped), checked once (after that every index in them is
 * good), and written event by event in Chrome's JSON trace format. Arrows need all spans of a flow
 * in the order of time, so those alone are gathered and sorted; memory is bounded by what the lanes
 * of the nodes held. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/strbuf.h"
#include "runtime/trace_part.h"

typedef struct part {
    bool good; /* what follows is set */
    const sl_trace_part_header *header;
    const uint32_t *lanes;
    const sl_trace_part_point *points;
    const char *strings;
    const sl_trace_part_event *events;
} part;

/* Where a flow passes. */
typedef struct stop {
    uint64_t flow, at_ns;
    uint32_t node;
    uint16_t lane;
} stop;

typedef struct merger {
    uint32_t nodes;
    part *parts;
    stop *stops;
    size_t stop_count;
    uint64_t origin_ns; /* the earliest event's time: the trace begins there */
    sl_trace_summary summary;
    FILE *file;
    sl_strbuf line;
    sl_err err; /* the first failure to build a line */
    bool comma;
} merger;

/* --- reading parts --- */

/* Lays the sections out over the bytes; false when they do not fill them exactly. */
static bool lay_out(part *p, const sl_trace_part *of) {
    const sl_trace_part_header *h = of->data;
    if (!h || of->size < sizeof *h || memcmp(h->magic, SL_TRACE_MAGIC, sizeof h->magic) != 0 ||
        h->event_bytes != sizeof(sl_trace_part_event) || h->lanes > SL_TRACE_LANES_MAX ||
        h->points > SL_TRACE_POINTS_MAX || h->string_bytes == 0 ||
        h->string_bytes > SL_TRACE_STRINGS_MAX_BYTES || h->string_bytes % 8)
        return false;
    size_t names = (h->lanes + h->lanes % 2) * sizeof(uint32_t);
    size_t head = sizeof *h + names + h->points * sizeof *p->points + h->string_bytes;
    if (of->size < head || (of->size - head) % sizeof *p->events ||
        (of->size - head) / sizeof *p->events != h->events)
        return false;
    const char *at = (const char *)of->data + sizeof *h;
    p->header = h;
    p->lanes = (const uint32_t *)at;
    p->points = (const sl_trace_part_point *)(at + names);
    p->strings = at + names + h->points * sizeof *p->points;
    p->events = (const sl_trace_part_event *)((const char *)of->data + head);
    return p->strings[0] == '\0' && p->strings[h->string_bytes - 1] == '\0';
}

/* True when every index in the part is good. */
static bool check(const part *p) {
    uint32_t strings = p->header->string_bytes;
    bool good = p->header->label < strings;
    for (uint32_t i = 0; i < p->header->lanes; i++)
        good = good && p->lanes[i] < strings;
    for (uint32_t i = 0; i < p->header->points; i++)
        good = good && p->points[i].name < strings && p->points[i].category < strings &&
               p->points[i].a < strings && p->points[i].b < strings;
    for (uint64_t i = 0; good && i < p->header->events; i++) {
        const sl_trace_part_event *e = &p->events[i];
        good = e->point < p->header->points && e->lane < p->header->lanes &&
               e->phase < SL_TRACE_PHASES;
    }
    return good;
}

static void read_parts(merger *m, sl_trace_part *parts) {
    for (uint32_t n = 0; n < m->nodes; n++) {
        part *p = &m->parts[n];
        p->good = lay_out(p, &parts[n]) && check(p) && p->header->node == n;
        parts[n].good = p->good;
        m->summary.missing += !p->good;
    }
}

/* --- flows --- */

static bool flows(const sl_trace_part_event *event) {
    return event->phase == SL_TRACE_SPAN && event->flow != 0;
}

/* Totals, the origin, and how many stops of flows there are. */
static size_t survey(merger *m) {
    size_t stops = 0;
    m->origin_ns = UINT64_MAX;
    for (uint32_t n = 0; n < m->nodes; n++) {
        const part *p = &m->parts[n];
        if (!p->good)
            continue;
        m->summary.events += p->header->events;
        m->summary.dropped += p->header->dropped;
        for (uint64_t i = 0; i < p->header->events; i++) {
            stops += flows(&p->events[i]);
            if (p->events[i].at_ns < m->origin_ns)
                m->origin_ns = p->events[i].at_ns;
        }
    }
    return stops;
}

static void collect_stops(merger *m, const part *p) {
    for (uint64_t i = 0; i < p->header->events; i++) {
        const sl_trace_part_event *e = &p->events[i];
        if (flows(e))
            m->stops[m->stop_count++] = (stop){e->flow, e->at_ns, p->header->node, e->lane};
    }
}

static int compare_stops(const void *left, const void *right) {
    const stop *a = left, *b = right;
    if (a->flow != b->flow)
        return a->flow < b->flow ? -1 : 1;
    return a->at_ns < b->at_ns ? -1 : a->at_ns > b->at_ns;
}

static sl_err gather(merger *m) {
    size_t count = survey(m);
    m->stops = calloc(count ? count : 1, sizeof *m->stops);
    if (!m->stops)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to order %zu spans of the trace", count);
    for (uint32_t n = 0; n < m->nodes; n++)
        if (m->parts[n].good)
            collect_stops(m, &m->parts[n]);
    qsort(m->stops, m->stop_count, sizeof *m->stops, compare_stops);
    return SL_OK;
}

/* --- writing --- */

static void start_line(merger *m) {
    sl_strbuf_clear(&m->line);
    sl_strbuf_append(&m->line, m->comma ? ",\n{" : "\n{");
    m->comma = true;
}

static void end_line(merger *m) {
    sl_strbuf_append(&m->line, "}");
    if (m->err == SL_OK)
        m->err = sl_strbuf_err(&m->line);
    fwrite(m->line.data, 1, m->line.length, m->file);
}

/* Chrome counts in microseconds. */
static void append_us(merger *m, const char *key, uint64_t ns) {
    sl_strbuf_printf(&m->line, ",\"%s\":%llu.%03u", key, (unsigned long long)(ns / 1000),
                     (unsigned)(ns % 1000));
}

/* Readers take numbers as doubles: what would lose digits goes as text. */
static void append_number(merger *m, const char *key, uint64_t value) {
    sl_strbuf_json(&m->line, key);
    sl_strbuf_printf(&m->line, value > 1ull << 53 ? ":\"%llu\"" : ":%llu",
                     (unsigned long long)value);
}

static void append_args(merger *m, const part *p, const sl_trace_part_event *e) {
    const sl_trace_part_point *point = &p->points[e->point];
    const char *names[2] = {p->strings + point->a, p->strings + point->b};
    bool comma = false;
    sl_strbuf_append(&m->line, ",\"args\":{");
    if (e->flow) {
        append_number(m, "flow", e->flow);
        comma = true;
    }
    if (e->has_text) {
        sl_strbuf_append(&m->line, comma ? "," : "");
        sl_strbuf_json(&m->line, names[0][0] ? names[0] : "text");
        sl_strbuf_append_char(&m->line, ':');
        sl_strbuf_json_bytes(&m->line, e->args.text, strnlen(e->args.text, sizeof e->args.text));
    }
    for (int i = 0; !e->has_text && i < 2; i++)
        if (names[i][0]) {
            sl_strbuf_append(&m->line, comma ? "," : "");
            append_number(m, names[i], e->args.number[i]);
            comma = true;
        }
    sl_strbuf_append(&m->line, "}");
}

static void append_common(merger *m, const part *p, const sl_trace_part_event *e, const char *phase,
                          uint64_t at_ns) {
    const sl_trace_part_point *point = &p->points[e->point];
    sl_strbuf_append(&m->line, "\"name\":");
    sl_strbuf_json(&m->line, p->strings + point->name);
    sl_strbuf_append(&m->line, ",\"cat\":");
    sl_strbuf_json(&m->line, p->strings + point->category);
    sl_strbuf_printf(&m->line, ",\"ph\":\"%s\",\"pid\":%u,\"tid\":%u", phase, p->header->node,
                     e->lane);
    append_us(m, "ts", at_ns - m->origin_ns);
}

/* An asynchronous span is two events with an id; else one suffices. */
static void write_event(merger *m, const part *p, const sl_trace_part_event *e) {
    static const char *const phases[] = {"X", "b", "i", "C"};
    start_line(m);
    append_common(m, p, e, phases[e->phase], e->at_ns);
    if (e->phase == SL_TRACE_SPAN)
        append_us(m, "dur", e->length_ns);
    else if (e->phase == SL_TRACE_ASYNC)
        sl_strbuf_printf(&m->line, ",\"id\":\"%u.%llx\"", p->header->node,
                         (unsigned long long)e->flow);
    else if (e->phase == SL_TRACE_INSTANT)
        sl_strbuf_append(&m->line, ",\"s\":\"t\"");
    append_args(m, p, e);
    end_line(m);
    if (e->phase == SL_TRACE_ASYNC) {
        start_line(m);
        append_common(m, p, e, "e", e->at_ns + e->length_ns);
        sl_strbuf_printf(&m->line, ",\"id\":\"%u.%llx\"", p->header->node,
                         (unsigned long long)e->flow);
        end_line(m);
    }
}

static void write_name(merger *m, const char *kind, uint32_t node, uint32_t lane,
                       const char *name) {
    start_line(m);
    sl_strbuf_printf(&m->line,
                     "\"ph\":\"M\",\"name\":\"%s_name\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":",
                     kind, node, lane);
    sl_strbuf_json(&m->line, name);
    sl_strbuf_append(&m->line, "}");
    end_line(m);
    start_line(m);
    sl_strbuf_printf(&m->line,
                     "\"ph\":\"M\",\"name\":\"%s_sort_index\",\"pid\":%u,\"tid\":%u,\"args\":{"
                     "\"sort_index\":%u}",
                     kind, node, lane, strcmp(kind, "process") == 0 ? node : lane);
    end_line(m);
}

static void write_part(merger *m, const part *p) {
    write_name(m, "process", p->header->node, 0, p->strings + p->header->label);
    for (uint32_t l = 0; l < p->header->lanes; l++)
        write_name(m, "thread", p->header->node, l, p->strings + p->lanes[l]);
    for (uint64_t i = 0; i < p->header->events; i++)
        write_event(m, p, &p->events[i]);
}

/* Arrows: "s" starts at the first span of a flow, "t" passes the middle ones, "f" ends at the last;
 * each binds to the span that encloses its moment. A flow with one span has none. */
static void write_flows(merger *m) {
    for (size_t i = 0; i < m->stop_count; i++) {
        const stop *s = &m->stops[i];
        bool first = i == 0 || s[-1].flow != s->flow;
        bool last = i + 1 == m->stop_count || s[1].flow != s->flow;
        if (first && last)
            continue;
        start_line(m);
        sl_strbuf_printf(
            &m->line,
            "\"name\":\"flow\",\"cat\":\"flow\",\"ph\":\"%s\",\"bp\":\"e\",\"id\":\"%llx\","
            "\"pid\":%u,\"tid\":%u",
            first  ? "s"
            : last ? "f"
                   : "t",
            (unsigned long long)s->flow, s->node, s->lane);
        append_us(m, "ts", s->at_ns - m->origin_ns);
        end_line(m);
    }
}

static void write_metadata(merger *m) {
    const char *comma = "";
    fprintf(m->file,
            "{\"displayTimeUnit\":\"ns\",\n\"otherData\":{\"events\":%llu,\"dropped_events\":%llu,",
            (unsigned long long)m->summary.events, (unsigned long long)m->summary.dropped);
    fprintf(m->file, "\"nodes\":%u,\"missing_nodes\":[", m->nodes);
    for (uint32_t n = 0; n < m->nodes; n++)
        if (!m->parts[n].good) {
            fprintf(m->file, "%s%u", comma, n);
            comma = ",";
        }
    fputs("]},\n\"traceEvents\":[", m->file);
}

static void write_all(merger *m) {
    write_metadata(m);
    for (uint32_t n = 0; n < m->nodes; n++)
        if (m->parts[n].good)
            write_part(m, &m->parts[n]);
    write_flows(m);
    fputs("\n]}\n", m->file);
}

static sl_err merge(merger *m, sl_trace_part *parts) {
    read_parts(m, parts);
    SL_TRY(gather(m));
    write_all(m);
    return m->err;
}

sl_err sl_trace_merge_parts(sl_trace_part *parts, uint32_t nodes, FILE *out,
                            sl_trace_summary *summary) {
    merger m = {.nodes = nodes, .parts = calloc(nodes ? nodes : 1, sizeof *m.parts), .file = out};
    if (!m.parts)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to merge the trace");
    sl_strbuf_init(&m.line, 32 * SL_TRACE_STRINGS_MAX_BYTES); /* four strings, escaped */
    sl_err err = merge(&m, parts);
    if (err == SL_OK && summary)
        *summary = m.summary;
    sl_strbuf_fini(&m.line);
    free(m.stops);
    free(m.parts);
    return err;
}

/* --- files --- */

/* Leaves `of->data` NULL when there is no such file. */
static void map_part(sl_trace_part *of, const char *path) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED)
            *of = (sl_trace_part){.data = map, .size = (size_t)info.st_size};
    }
    close(fd);
}

static sl_err map_parts(sl_trace_part *parts, uint32_t nodes, const char *path) {
    char name[PATH_MAX];
    for (uint32_t n = 0; n < nodes; n++) {
        SL_TRY(sl_trace_part_path(path, n, name, sizeof name));
        map_part(&parts[n], name);
    }
    return SL_OK;
}

/* Writes beside `path` and renames, so that `path` is whole or not there. */
static sl_err write_file(sl_trace_part *parts, uint32_t nodes, const char *path,
                         sl_trace_summary *summary) {
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (length < 0 || length >= (int)sizeof temporary)
        return sl_fail(SL_ERR_TOO_LARGE, "the path of the trace is longer than %d bytes", PATH_MAX);
    FILE *file = fopen(temporary, "we");
    if (!file)
        return sl_fail(SL_ERR_IO, "cannot write trace %s: %s", temporary, strerror(errno));
    sl_err err = sl_trace_merge_parts(parts, nodes, file, summary);
    bool failed = ferror(file);
    failed |= fclose(file) != 0;
    if (err == SL_OK && (failed || rename(temporary, path) != 0))
        err = sl_fail(SL_ERR_IO, "cannot write trace %s: %s", path, strerror(errno));
    if (err != SL_OK)
        unlink(temporary);
    return err;
}

static void remove_parts(const sl_trace_part *parts, uint32_t nodes, const char *path) {
    char name[PATH_MAX];
    for (uint32_t n = 0; n < nodes; n++)
        if (parts[n].good && sl_trace_part_path(path, n, name, sizeof name) == SL_OK)
            unlink(name);
}

sl_err sl_trace_merge(const char *path, uint32_t nodes, sl_trace_summary *summary) {
    sl_trace_part *parts = calloc(nodes ? nodes : 1, sizeof *parts);
    if (!parts)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to merge the trace");
    sl_err err = map_parts(parts, nodes, path);
    if (err == SL_OK)
        err = write_file(parts, nodes, path, summary);
    if (err == SL_OK)
        remove_parts(parts, nodes, path);
    for (uint32_t n = 0; n < nodes; n++)
        if (parts[n].data)
            munmap((void *)(uintptr_t)parts[n].data, parts[n].size);
    free(parts);
    return err;
}
