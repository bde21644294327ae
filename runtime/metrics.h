/* Metrics: counters, gauges and histograms of one node, from one table (runtime/metrics.def).
 *
 * A node owns one sl_metrics and only its loop thread changes it: with plain loads and stores,
 * relaxed atomic, so that any thread may read it at any time (each number is whole; numbers among
 * each other may be of slightly different moments). */
#ifndef SL_RUNTIME_METRICS_H
#define SL_RUNTIME_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"
#include "runtime/strbuf.h"

typedef enum sl_metric {
#define SL_METRIC(name, kind, unit, help) SL_METRIC_##name,
#include "runtime/metrics.def"
#undef SL_METRIC
    SL_METRIC_COUNT
} sl_metric;

typedef enum sl_metric_kind {
    SL_METRIC_KIND_COUNTER,
    SL_METRIC_KIND_GAUGE,
    SL_METRIC_KIND_HISTOGRAM
} sl_metric_kind;

typedef struct sl_metric_info {
    const char *name;
    sl_metric_kind kind;
    const char *unit;
    const char *help;
} sl_metric_info;

/* Log-linear buckets: 16 to a power of two, so a bucket is at most 1/16 of its values wide. Values
 * below 16 are exact; those from 2^44 (5 hours in ns) on share the last bucket. */
enum {
    SL_HISTOGRAM_SUB_BITS = 4,
    SL_HISTOGRAM_TOP_BITS = 44,
    SL_HISTOGRAM_BUCKETS = (SL_HISTOGRAM_TOP_BITS - SL_HISTOGRAM_SUB_BITS + 1)
                           << SL_HISTOGRAM_SUB_BITS
};

typedef struct sl_histogram {
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
    _Atomic uint64_t buckets[SL_HISTOGRAM_BUCKETS];
} sl_histogram;

/* The histograms among the metrics, numbered densely. */
enum {
#define SL_METRIC_SLOT_COUNTER(name)
#define SL_METRIC_SLOT_GAUGE(name)
#define SL_METRIC_SLOT_HISTOGRAM(name)    SL_METRIC_SLOT_##name,
#define SL_METRIC(name, kind, unit, help) SL_METRIC_SLOT_##kind(name)
#include "runtime/metrics.def"
#undef SL_METRIC
    SL_METRIC_HISTOGRAMS
};

typedef struct sl_metrics {
    _Atomic uint64_t values[SL_METRIC_COUNT]; /* of counters; of gauges in two's complement */
    sl_histogram histograms[SL_METRIC_HISTOGRAMS];
} sl_metrics;

/* All at zero. About 6 KiB a histogram, so not for the stack. */
void sl_metrics_init(sl_metrics *metrics);

/* The row of the table. Static storage. */
const sl_metric_info *sl_metric_get(sl_metric id);

/* Adds every value of `from` (perhaps live) to `into` (not live): totals over nodes. */
void sl_metrics_merge(sl_metrics *into, const sl_metrics *from);

static inline void sl_metric_bump(_Atomic uint64_t *value, uint64_t amount) {
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

/* Counter += amount; gauge += amount, which may then be negative. Loop thread. */
static inline void sl_metric_add(sl_metrics *metrics, sl_metric id, int64_t amount) {
    sl_metric_bump(&metrics->values[id], (uint64_t)amount);
}

/* The same for a counter that no loop changes. Any thread. */
static inline void sl_metric_count(sl_metrics *metrics, sl_metric id) {
    atomic_fetch_add_explicit(&metrics->values[id], 1, memory_order_relaxed);
}

/* Gauge = value. Loop thread. */
static inline void sl_metric_set(sl_metrics *metrics, sl_metric id, int64_t value) {
    atomic_store_explicit(&metrics->values[id], (uint64_t)value, memory_order_relaxed);
}

/* A counter's or gauge's value. Any thread. */
static inline int64_t sl_metric_value(const sl_metrics *metrics, sl_metric id) {
    return (int64_t)atomic_load_explicit(&metrics->values[id], memory_order_relaxed);
}

/* Where the histogram of `id` is; folds to a constant for a constant id. */
static inline int sl_metric_slot(sl_metric id) {
    switch ((int)id) {
#undef SL_METRIC_SLOT_HISTOGRAM
#define SL_METRIC_SLOT_HISTOGRAM(name)                                                             \
    case SL_METRIC_##name:                                                                         \
        return SL_METRIC_SLOT_##name;
#define SL_METRIC(name, kind, unit, help) SL_METRIC_SLOT_##kind(name)
#include "runtime/metrics.def"
#undef SL_METRIC
    default:
        return -1;
    }
}

/* The bucket that counts `value`. */
static inline unsigned sl_histogram_bucket(uint64_t value) {
    if (value < (1u << SL_HISTOGRAM_SUB_BITS))
        return (unsigned)value;
    unsigned octave = 63u - (unsigned)__builtin_clzll(value);
    if (octave >= SL_HISTOGRAM_TOP_BITS)
        return SL_HISTOGRAM_BUCKETS - 1;
    unsigned shift = octave - SL_HISTOGRAM_SUB_BITS;
    return (shift << SL_HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

/* Counts one value in. One writer. */
static inline void sl_histogram_observe(sl_histogram *histogram, uint64_t value) {
    sl_metric_bump(&histogram->buckets[sl_histogram_bucket(value)], 1);
    sl_metric_bump(&histogram->sum, value);
    if (value > atomic_load_explicit(&histogram->max, memory_order_relaxed))
        atomic_store_explicit(&histogram->max, value, memory_order_relaxed);
}

/* Counts one value in; `id` is a histogram's. Loop thread. */
static inline void sl_metric_observe(sl_metrics *metrics, sl_metric id, uint64_t value) {
    sl_histogram_observe(&metrics->histograms[sl_metric_slot(id)], value);
}

/* How many values were counted in, and the value below which a fraction `q` (0 … 1) of them lies:
 * off by at most half a bucket, 3 % (NAN when there is none). Any thread. */
uint64_t sl_histogram_count(const sl_histogram *histogram);
double sl_histogram_quantile(const sl_histogram *histogram, double q);

/* {"messages_sent": 1, …, "handler_ns": {"count", "sum", "max", "p50", "p90", "p99", "p999"}}. Any
 * thread. */
void sl_metrics_json(const sl_metrics *metrics, sl_strbuf *out);

/* One node's share of a Prometheus page; the strings are borrowed and may be NULL. */
typedef struct sl_metrics_part {
    const sl_metrics *metrics;
    uint32_t node;
    const char *host;
    const char *region;
} sl_metrics_part;

/* The text format 0.0.4 with labels node, host and region: counters as starlane_NAME_total,
 * histograms with a bucket at every second power of two. Any thread. */
void sl_metrics_prometheus(const sl_metrics_part *parts, size_t count, sl_strbuf *out);

#endif
