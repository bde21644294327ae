/* Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/metrics.h"

/* A bucket's upper bound for every second power of two in this range; the rest is in +Inf. */
enum { LOW_BITS = 8, HIGH_BITS = 40, STEP_BITS = 2 };

typedef struct family {
    const sl_metric_info *info;
    sl_metric id;
    char name[96];
    double per; /* how many of ours make one of the exported unit */
} family;

static bool ends_in(const char *text, const char *end) {
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

static family family_of(sl_metric id) {
    static const char *const suffixes[] = {"_total", "", ""};
    family f = {.info = sl_metric_get(id), .id = id, .per = 1};
    int length = (int)strlen(f.info->name);
    bool time = ends_in(f.info->name, "_ns");
    f.per = time ? 1e9 : 1;
    snprintf(f.name, sizeof f.name, "starlane_%.*s%s%s", time ? length - 3 : length, f.info->name,
             time ? "_seconds" : "", suffixes[f.info->kind]);
    return f;
}

static void label(const char *name, const char *value, sl_strbuf *out) {
    if (!value)
        return;
    sl_strbuf_printf(out, ",%s=\"", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\n')
            sl_strbuf_append(out, "\\n");
        else if (*c == '"' || *c == '\\')
            sl_strbuf_printf(out, "\\%c", *c);
        else
            sl_strbuf_append_char(out, *c);
    }
    sl_strbuf_append_char(out, '"');
}

/* name_SUFFIX{node="3",host="n1",region="eu" — open, for a bucket's bound to follow. */
static void series(const family *f, const char *suffix, const sl_metrics_part *part,
                   sl_strbuf *out) {
    sl_strbuf_printf(out, "%s%s{node=\"%u\"", f->name, suffix, part->node);
    label("host", part->host, out);
    label("region", part->region, out);
}

static void number(double value, sl_strbuf *out) {
    sl_strbuf_json_double(out, value);
    sl_strbuf_append_char(out, '\n');
}

static void export_histogram(const family *f, const sl_metrics_part *part, sl_strbuf *out) {
    const sl_histogram *histogram = &part->metrics->histograms[sl_metric_slot(f->id)];
    uint64_t seen = 0;
    unsigned next = 0;
    for (unsigned bits = LOW_BITS; bits <= HIGH_BITS; bits += STEP_BITS) {
        for (unsigned end = sl_histogram_bucket(1ull << bits); next < end; next++)
            seen += atomic_load_explicit(&histogram->buckets[next], memory_order_relaxed);
        series(f, "_bucket", part, out);
        sl_strbuf_append(out, ",le=\"");
        sl_strbuf_json_double(out, (ldexp(1, (int)bits) - 1) / f->per); /* the bound is included */
        sl_strbuf_printf(out, "\"} %llu\n", (unsigned long long)seen);
    }
    for (; next < SL_HISTOGRAM_BUCKETS; next++)
        seen += atomic_load_explicit(&histogram->buckets[next], memory_order_relaxed);
    series(f, "_bucket", part, out);
    sl_strbuf_printf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)seen);
    series(f, "_sum", part, out);
    sl_strbuf_append(out, "} ");
    number((double)atomic_load_explicit(&histogram->sum, memory_order_relaxed) / f->per, out);
    series(f, "_count", part, out);
    sl_strbuf_printf(out, "} %llu\n", (unsigned long long)seen);
}

static void export_value(const family *f, const sl_metrics_part *part, sl_strbuf *out) {
    series(f, "", part, out);
    sl_strbuf_append(out, "} ");
    number((double)sl_metric_value(part->metrics, f->id) / f->per, out);
}

void sl_metrics_prometheus(const sl_metrics_part *parts, size_t count, sl_strbuf *out) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    for (int i = 0; i < SL_METRIC_COUNT; i++) {
        family f = family_of((sl_metric)i);
        sl_strbuf_printf(out, "# HELP %s %s (%s)\n# TYPE %s %s\n", f.name, f.info->help,
                         f.per > 1 ? "seconds" : f.info->unit, f.name, types[f.info->kind]);
        for (size_t p = 0; p < count; p++)
            (f.info->kind == SL_METRIC_KIND_HISTOGRAM ? export_histogram
                                                      : export_value)(&f, &parts[p], out);
    }
}
