#include "runtime/metrics.h"

#include <math.h>
#include <string.h>

static const sl_metric_info infos[SL_METRIC_COUNT] = {
#define SL_METRIC(name, kind, unit, help) {#name, SL_METRIC_KIND_##kind, unit, help},
#include "runtime/metrics.def"
#undef SL_METRIC
};

void sl_metrics_init(sl_metrics *metrics) {
    memset(metrics, 0, sizeof *metrics);
}

const sl_metric_info *sl_metric_get(sl_metric id) {
    return &infos[id];
}

static uint64_t load(const _Atomic uint64_t *value) {
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void merge_histogram(sl_histogram *into, const sl_histogram *from) {
    for (int i = 0; i < SL_HISTOGRAM_BUCKETS; i++)
        sl_metric_bump(&into->buckets[i], load(&from->buckets[i]));
    sl_metric_bump(&into->sum, load(&from->sum));
    if (load(&from->max) > load(&into->max))
        atomic_store_explicit(&into->max, load(&from->max), memory_order_relaxed);
}

void sl_metrics_merge(sl_metrics *into, const sl_metrics *from) {
    for (int i = 0; i < SL_METRIC_COUNT; i++)
        sl_metric_bump(&into->values[i], load(&from->values[i]));
    for (int i = 0; i < SL_METRIC_HISTOGRAMS; i++)
        merge_histogram(&into->histograms[i], &from->histograms[i]);
}

/* The lowest value that `bucket` counts: the inverse of sl_histogram_bucket(). */
static double bucket_floor(unsigned bucket) {
    unsigned sub = 1u << SL_HISTOGRAM_SUB_BITS;
    if (bucket < sub)
        return bucket;
    unsigned shift = (bucket >> SL_HISTOGRAM_SUB_BITS) - 1;
    return ldexp((double)(sub + (bucket & (sub - 1))), (int)shift);
}

uint64_t sl_histogram_count(const sl_histogram *histogram) {
    uint64_t count = 0;
    for (int i = 0; i < SL_HISTOGRAM_BUCKETS; i++)
        count += load(&histogram->buckets[i]);
    return count;
}

/* Halfway into the bucket; a bucket one value wide is that value. */
static double bucket_middle(unsigned bucket, double max) {
    double floor = bucket_floor(bucket), top = bucket_floor(bucket + 1) - 1;
    if (top > max || bucket == SL_HISTOGRAM_BUCKETS - 1)
        top = max;
    return (floor + top) / 2;
}

double sl_histogram_quantile(const sl_histogram *histogram, double q) {
    uint64_t count = sl_histogram_count(histogram), seen = 0;
    if (count == 0)
        return NAN;
    double rank = q * (double)count;
    for (unsigned i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        uint64_t here = load(&histogram->buckets[i]);
        seen += here;
        if (here && (double)seen >= rank)
            return bucket_middle(i, (double)load(&histogram->max));
    }
    return (double)load(&histogram->max); /* more was counted in while we looked */
}

static void histogram_json(const sl_histogram *histogram, sl_strbuf *out) {
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    sl_strbuf_printf(out, "{\"count\": %llu, \"sum\": %llu, \"max\": %llu",
                     (unsigned long long)sl_histogram_count(histogram),
                     (unsigned long long)load(&histogram->sum),
                     (unsigned long long)load(&histogram->max));
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        sl_strbuf_printf(out, ", \"%s\": ", quantiles[i].name);
        sl_strbuf_json_double(out, sl_histogram_quantile(histogram, quantiles[i].q));
    }
    sl_strbuf_append(out, "}");
}

void sl_metrics_json(const sl_metrics *metrics, sl_strbuf *out) {
    sl_strbuf_append(out, "{");
    for (int i = 0; i < SL_METRIC_COUNT; i++) {
        sl_strbuf_printf(out, "%s\"%s\": ", i ? ", " : "", infos[i].name);
        if (infos[i].kind == SL_METRIC_KIND_HISTOGRAM)
            histogram_json(&metrics->histograms[sl_metric_slot((sl_metric)i)], out);
        else
            sl_strbuf_printf(out, "%lld", (long long)sl_metric_value(metrics, (sl_metric)i));
    }
    sl_strbuf_append(out, "}");
}
