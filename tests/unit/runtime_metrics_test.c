#include "runtime/metrics.h"
#include "tests/lib/test.h"

#include <jansson.h>
#include <pthread.h>

#include "runtime/rng.h"

static sl_metrics *fresh(void) {
    sl_metrics *metrics = malloc(sizeof *metrics);
    if (!metrics)
        exit(2);
    sl_metrics_init(metrics);
    return metrics;
}

TEST(rows_are_complete_and_distinct) {
    for (int i = 0; i < SL_METRIC_COUNT; i++) {
        const sl_metric_info *info = sl_metric_get((sl_metric)i);
        CHECK(strspn(info->name, "abcdefghijklmnopqrstuvwxyz_") == strlen(info->name));
        CHECK(info->unit[0] && strlen(info->help) > 5 && strlen(info->name) < 64);
        CHECK((sl_metric_slot((sl_metric)i) >= 0) == (info->kind == SL_METRIC_KIND_HISTOGRAM));
        for (int j = 0; j < i; j++)
            CHECK(strcmp(info->name, sl_metric_get((sl_metric)j)->name) != 0);
    }
}

TEST(counters_and_gauges) {
    sl_metrics *metrics = fresh();
    sl_metric_add(metrics, SL_METRIC_messages_sent, 3);
    sl_metric_add(metrics, SL_METRIC_messages_sent, 4);
    sl_metric_add(metrics, SL_METRIC_blob_bytes, 100);
    sl_metric_add(metrics, SL_METRIC_blob_bytes, -250);
    sl_metric_set(metrics, SL_METRIC_actors_alive, 9);
    CHECK_INT(sl_metric_value(metrics, SL_METRIC_messages_sent), 7);
    CHECK_INT(sl_metric_value(metrics, SL_METRIC_blob_bytes), -150);
    CHECK_INT(sl_metric_value(metrics, SL_METRIC_actors_alive), 9);
    CHECK_INT(sl_metric_value(metrics, SL_METRIC_dead_letters), 0);
    free(metrics);
}

/* Buckets must be in the order of their values, none skipped, none wider than 1/16. */
TEST(buckets_part_the_range) {
    unsigned last = 0;
    uint64_t first = 0;
    for (uint64_t v = 0; v < 1 << 20; v++) {
        unsigned bucket = sl_histogram_bucket(v);
        REQUIRE(bucket == last || bucket == last + 1);
        if (bucket != last) {
            CHECK(v - first == 1 || (v - first) * 16 <= first);
            first = v;
        }
        last = bucket;
    }
    CHECK_INT(sl_histogram_bucket(15), 15);
    CHECK_INT(sl_histogram_bucket(16), 16);
    CHECK_INT(sl_histogram_bucket((1ull << 44) - 1), SL_HISTOGRAM_BUCKETS - 1);
    CHECK_INT(sl_histogram_bucket(1ull << 44), SL_HISTOGRAM_BUCKETS - 1);
    CHECK_INT(sl_histogram_bucket(UINT64_MAX), SL_HISTOGRAM_BUCKETS - 1);
}

TEST(quantiles_of_a_known_distribution) {
    sl_histogram *histogram = calloc(1, sizeof *histogram);
    CHECK(isnan(sl_histogram_quantile(histogram, 0.5)));
    for (uint64_t v = 1; v <= 100000; v++)
        sl_histogram_observe(histogram, v);
    CHECK_INT(sl_histogram_count(histogram), 100000);
    static const double q[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof q / sizeof q[0]; i++)
        CHECK_DOUBLE(sl_histogram_quantile(histogram, q[i]), q[i] * 1e5, q[i] * 1e5 / 16);
    CHECK_DOUBLE(sl_histogram_quantile(histogram, 1), 1e5, 1e5 / 16);
    CHECK(sl_histogram_quantile(histogram, 1) <= 1e5);
    free(histogram);
}

TEST(small_and_single_values_are_exact) {
    sl_histogram *histogram = calloc(1, sizeof *histogram);
    sl_histogram_observe(histogram, 7);
    CHECK_DOUBLE(sl_histogram_quantile(histogram, 0), 7, 0);
    CHECK_DOUBLE(sl_histogram_quantile(histogram, 1), 7, 0);
    sl_histogram_observe(histogram, 0);
    CHECK_DOUBLE(sl_histogram_quantile(histogram, 0.5), 0, 0);
    free(histogram);
}

TEST(values_over_the_top_keep_sum_and_max) {
    sl_histogram *histogram = calloc(1, sizeof *histogram);
    sl_histogram_observe(histogram, 1ull << 50);
    CHECK(histogram->max == 1ull << 50);
    CHECK(histogram->sum == 1ull << 50);
    CHECK(sl_histogram_quantile(histogram, 0.5) <= 0x1p50);
    free(histogram);
}

TEST(merge_adds) {
    sl_metrics *a = fresh(), *b = fresh();
    sl_metric_add(a, SL_METRIC_timers_fired, 2);
    sl_metric_add(b, SL_METRIC_timers_fired, 3);
    sl_metric_observe(a, SL_METRIC_handler_ns, 10);
    sl_metric_observe(b, SL_METRIC_handler_ns, 1000);
    sl_metrics_merge(a, b);
    const sl_histogram *turns = &a->histograms[sl_metric_slot(SL_METRIC_handler_ns)];
    CHECK_INT(sl_metric_value(a, SL_METRIC_timers_fired), 5);
    CHECK_INT(sl_histogram_count(turns), 2);
    CHECK_INT(turns->sum, 1010);
    CHECK_INT(turns->max, 1000);
    free(a), free(b);
}

TEST(json_holds_every_metric) {
    sl_metrics *metrics = fresh();
    sl_strbuf out;
    sl_strbuf_init(&out, 1 << 20);
    sl_metric_add(metrics, SL_METRIC_bytes_sent, 1ll << 60);
    sl_metric_add(metrics, SL_METRIC_queue_depth, -1);
    sl_metric_observe(metrics, SL_METRIC_ledger_commit_ns, 12);
    sl_metrics_json(metrics, &out);
    json_error_t error;
    json_t *root = json_loads(out.data, JSON_REJECT_DUPLICATES, &error);
    REQUIRE(root != NULL);
    CHECK_INT(json_object_size(root), SL_METRIC_COUNT);
    CHECK_INT(json_integer_value(json_object_get(root, "bytes_sent")), 1ll << 60);
    CHECK_INT(json_integer_value(json_object_get(root, "queue_depth")), -1);
    json_t *commits = json_object_get(root, "ledger_commit_ns");
    CHECK_INT(json_integer_value(json_object_get(commits, "count")), 1);
    CHECK_DOUBLE(json_number_value(json_object_get(commits, "p99")), 12, 0);
    CHECK(json_is_null(json_object_get(json_object_get(root, "handler_ns"), "p50")));
    json_decref(root);
    sl_strbuf_fini(&out);
    free(metrics);
}

/* name{labels} value: the grammar of a sample line, by hand. */
static bool sample_line(const char *line) {
    size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    const char *close = strstr(line, "} ");
    char *end;
    if (!name || line[name] != '{' || !close)
        return false;
    strtod(close + 2, &end);
    return end > close + 2 && *end == '\0';
}

TEST(prometheus_text) {
    sl_metrics *a = fresh(), *b = fresh();
    sl_strbuf out;
    sl_strbuf_init(&out, 1 << 20);
    sl_metric_add(a, SL_METRIC_messages_sent, 5);
    sl_metric_set(b, SL_METRIC_actors_alive, 2);
    for (uint64_t v = 1023; v <= 1025; v++)
        sl_metric_observe(a, SL_METRIC_handler_ns, v);
    sl_metrics_part parts[] = {{a, 0, "n1", "eu"}, {b, 1, "a\"b\\c\n", NULL}};
    sl_metrics_prometheus(parts, 2, &out);
    CHECK_CONTAINS(out.data,
                   "# TYPE starlane_messages_sent_total counter\n"
                   "starlane_messages_sent_total{node=\"0\",host=\"n1\",region=\"eu\"} 5\n");
    CHECK_CONTAINS(out.data, "starlane_actors_alive{node=\"1\",host=\"a\\\"b\\\\c\\n\"} 2\n");
    CHECK_CONTAINS(out.data, "# TYPE starlane_handler_seconds histogram\n");
    CHECK_CONTAINS(out.data, "starlane_handler_seconds_bucket{node=\"0\",host=\"n1\",region=\"eu\","
                             "le=\"1.023e-06\"} 1\n");
    CHECK_CONTAINS(out.data, "le=\"4.095e-06\"} 3\n");
    CHECK_CONTAINS(out.data, "le=\"+Inf\"} 3\n");
    CHECK_CONTAINS(
        out.data, "starlane_handler_seconds_sum{node=\"0\",host=\"n1\",region=\"eu\"} 3.072e-06\n");
    CHECK_CONTAINS(out.data,
                   "starlane_handler_seconds_count{node=\"0\",host=\"n1\",region=\"eu\"} 3\n");
    int types = 0;
    for (char *rest = out.data, *line; (line = strsep(&rest, "\n"));) {
        types += strncmp(line, "# TYPE ", 7) == 0;
        if (*line && *line != '#' && !sample_line(line))
            sl_test_fail(__FILE__, __LINE__, "line \"%s\"", line);
    }
    CHECK_INT(types, SL_METRIC_COUNT); /* once a family, not once a node */
    sl_strbuf_fini(&out);
    free(a), free(b);
}

static atomic_bool stop;

/* Reads while the owner writes: what is read never goes back (and TSan finds no race). */
static void *watch(void *argument) {
    const sl_metrics *metrics = argument;
    const sl_histogram *turns = &metrics->histograms[sl_metric_slot(SL_METRIC_handler_ns)];
    int64_t value = 0;
    uint64_t count = 0;
    do {
        int64_t now = sl_metric_value(metrics, SL_METRIC_loop_turns);
        uint64_t counted = sl_histogram_count(turns);
        CHECK(now >= value && counted >= count);
        CHECK(counted == 0 || sl_histogram_quantile(turns, 0.5) >= 0);
        value = now, count = counted;
    } while (!atomic_load(&stop));
    return NULL;
}

TEST(another_thread_may_read) {
    sl_metrics *metrics = fresh();
    pthread_t thread;
    sl_rng rng;
    sl_rng_seed(&rng, 1);
    REQUIRE(pthread_create(&thread, NULL, watch, metrics) == 0);
    for (int i = 0; i < 200000; i++) {
        sl_metric_add(metrics, SL_METRIC_loop_turns, 1);
        sl_metric_observe(metrics, SL_METRIC_handler_ns, sl_rng_below(&rng, 100000));
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    CHECK_INT(sl_metric_value(metrics, SL_METRIC_loop_turns), 200000);
    CHECK_INT(sl_histogram_count(&metrics->histograms[sl_metric_slot(SL_METRIC_handler_ns)]),
              200000);
    free(metrics);
}
