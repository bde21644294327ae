#include "runtime/trace.h"
#include "tests/lib/test.h"

#include <jansson.h>
#include <unistd.h>

#include "runtime/rng.h"
#include "runtime/trace_part.h"

static const sl_trace_point place = {"place", "scheduler", "candidates", "node"};
static const sl_trace_point run = {"run \"it\"", "executor", "task", NULL};
static const sl_trace_point process = {"process", "executor", "pid", NULL};
static const sl_trace_point depth = {"queue depth", "node", "messages", NULL};
static const sl_trace_point lost = {"lost", "node", NULL, NULL};

/* Virtual time: every test decides what the clock says. */
static uint64_t now_ns;

static uint64_t test_now_ns(const sl_clock *clock) {
    (void)clock;
    return now_ns;
}

static double test_wall_s(const sl_clock *clock) {
    (void)clock;
    return 1000 + (double)now_ns * 1e-9;
}

static const sl_clock test_clock = {.now_ns = test_now_ns, .wall_s = test_wall_s};

static sl_trace *open_trace(uint32_t node, uint32_t lanes, size_t events) {
    char label[64];
    sl_trace *trace = NULL;
    snprintf(label, sizeof label, "rank %u host \"us-west\"", node);
    sl_trace_options options = {.node = node,
                                .label = label,
                                .clock = &test_clock,
                                .lanes = lanes,
                                .events_per_lane = events};
    if (sl_trace_open(&trace, &options) != SL_OK)
        exit(2);
    return trace;
}

static const char *trace_path(void) {
    static char path[200];
    snprintf(path, sizeof path, "%s/trace.json", sl_test_dir());
    return path;
}

static sl_err write_part(const sl_trace *trace, int64_t offset_ns) {
    char part[300];
    SL_TRY(sl_trace_part_path(trace_path(), trace->node, part, sizeof part));
    return sl_trace_write_part(trace, part, offset_ns);
}

static json_t *merge(uint32_t nodes, sl_trace_summary *summary) {
    json_error_t error;
    if (sl_trace_merge(trace_path(), nodes, summary) != SL_OK)
        return NULL;
    return json_load_file(trace_path(), JSON_REJECT_DUPLICATES, &error);
}

/* The `index`-th event with this phase and name, or NULL. */
static json_t *find(json_t *root, const char *phase, const char *name, int index) {
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(root, "traceEvents"), i, event) {
        const char *ph = json_string_value(json_object_get(event, "ph"));
        const char *called = json_string_value(json_object_get(event, "name"));
        if (ph && called && strcmp(ph, phase) == 0 && strcmp(called, name) == 0 && index-- == 0)
            return event;
    }
    return NULL;
}

static double number(json_t *event, const char *key) {
    json_t *value = json_object_get(event, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static json_t *arg(json_t *event, const char *key) {
    return json_object_get(json_object_get(event, "args"), key);
}

TEST(off_records_nothing_and_does_not_crash) {
    CHECK(sl_trace_lane_open(NULL, 0, "loop") == NULL);
    CHECK_INT(sl_trace_now(NULL), 0);
    sl_trace_span(NULL, &place, 0, 1, 2, 3);
    sl_trace_span_text(NULL, &place, 0, 1, "x");
    sl_trace_async(NULL, &place, 0, 1, 2, 3);
    sl_trace_instant(NULL, &place, 0, 1);
    sl_trace_value(NULL, &place, 0);
    sl_trace_close(NULL);
}

TEST(every_kind_of_event_reaches_the_file) {
    now_ns = 5000000;
    sl_trace *trace = open_trace(3, 2, 100);
    sl_trace_lane *loop = sl_trace_lane_open(trace, 0, "loop");
    sl_trace_lane *pool = sl_trace_lane_open(trace, 1, "pool 0");
    REQUIRE(loop && pool && !sl_trace_lane_open(trace, 2, "none"));
    uint64_t start_ns = sl_trace_now(loop);
    now_ns += 1500;
    sl_trace_span(loop, &place, start_ns, 0, 12, UINT64_MAX);
    sl_trace_span_text(pool, &run, start_ns + 500, 77, "a task's \"name\" that is too long");
    sl_trace_async(loop, &process, start_ns + 250, 9, 4711, 0);
    sl_trace_instant(loop, &lost, 0, 0);
    sl_trace_value(pool, &depth, 42);
    REQUIRE(write_part(trace, 0) == SL_OK);
    sl_trace_close(trace);

    sl_trace_summary summary;
    json_t *root = merge(4, &summary), *event;
    REQUIRE(root != NULL);
    CHECK_INT(summary.events, 5);
    CHECK_INT(summary.dropped, 0);
    CHECK_INT(summary.missing, 3);
    CHECK_INT(json_array_size(json_object_get(json_object_get(root, "otherData"), "missing_nodes")),
              3);

    event = find(root, "X", "place", 0);
    CHECK_STR(json_string_value(json_object_get(event, "cat")), "scheduler");
    CHECK_DOUBLE(number(event, "ts"), 0, 0);
    CHECK_DOUBLE(number(event, "dur"), 1.5, 1e-9);
    CHECK_DOUBLE(number(event, "pid"), 3, 0);
    CHECK_DOUBLE(number(event, "tid"), 0, 0);
    CHECK_INT(json_integer_value(arg(event, "candidates")), 12);
    CHECK_STR(json_string_value(arg(event, "node")), "18446744073709551615");

    event = find(root, "X", "run \"it\"", 0);
    CHECK_DOUBLE(number(event, "ts"), 0.5, 1e-9);
    CHECK_DOUBLE(number(event, "tid"), 1, 0);
    CHECK_STR(json_string_value(arg(event, "task")), "a task's \"name\" that is");
    CHECK_INT(json_integer_value(arg(event, "flow")), 77);

    event = find(root, "b", "process", 0);
    json_t *end = find(root, "e", "process", 0);
    CHECK_DOUBLE(number(event, "ts"), 0.25, 1e-9);
    CHECK_DOUBLE(number(end, "ts"), 1.5, 1e-9);
    CHECK_STR(json_string_value(json_object_get(event, "id")),
              json_string_value(json_object_get(end, "id")));
    CHECK_INT(json_integer_value(arg(event, "pid")), 4711);

    CHECK_DOUBLE(number(find(root, "i", "lost", 0), "ts"), 1.5, 1e-9);
    CHECK_INT(json_integer_value(arg(find(root, "C", "queue depth", 0), "messages")), 42);
    CHECK_STR(json_string_value(arg(find(root, "M", "process_name", 0), "name")),
              "rank 3 host \"us-west\"");
    CHECK_STR(json_string_value(arg(find(root, "M", "thread_name", 1), "name")), "pool 0");
    CHECK(find(root, "s", "flow", 0) == NULL); /* one span alone is no flow */
    json_decref(root);
}

/* Three nodes whose clocks are off; with the offsets given, the task's arrows go 0 -> 1 -> 2 in
 * time. */
TEST(a_flow_follows_a_task_over_nodes_with_skewed_clocks) {
    static const int64_t skew_ns[] = {0, 900000, -400000};
    for (uint32_t n = 0; n < 3; n++) {
        now_ns = 10000000;
        sl_trace *trace = open_trace(n, 1, 10);
        sl_trace_lane *lane = sl_trace_lane_open(trace, 0, "loop");
        uint64_t start_ns = now_ns + n * 1000 + (uint64_t)skew_ns[n];
        now_ns = start_ns + 800;
        sl_trace_span(lane, &place, start_ns, 1234567890123456789u, n, 0);
        sl_trace_span(lane, &place, start_ns, 5, n, 0); /* another flow, the same moments */
        REQUIRE(write_part(trace, -skew_ns[n]) == SL_OK);
        sl_trace_close(trace);
    }
    json_t *root = merge(3, NULL);
    REQUIRE(root != NULL);
    static const char *const phases[] = {"s", "t", "f"};
    for (int n = 0; n < 3; n++) {
        CHECK_DOUBLE(number(find(root, "X", "place", 2 * n), "ts"), n,
                     0.0011); /* µs; wall is a double */
        json_t *stop = find(root, phases[n], "flow", 1);
        CHECK_DOUBLE(number(stop, "pid"), n, 0);
        CHECK_STR(json_string_value(json_object_get(stop, "id")), "112210f47de98115");
        CHECK(find(root, phases[n], "flow", 2) == NULL);
    }
    json_decref(root);
}

TEST(a_full_lane_drops_and_counts) {
    sl_trace *trace = open_trace(0, 1, 16);
    sl_trace_lane *lane = sl_trace_lane_open(trace, 0, "loop");
    for (int i = 0; i < 50; i++)
        sl_trace_instant(lane, &lost, 0, 0);
    REQUIRE(write_part(trace, 0) == SL_OK);
    sl_trace_close(trace);
    sl_trace_summary summary;
    json_t *root = merge(1, &summary);
    REQUIRE(root != NULL);
    CHECK_INT(summary.events, 16);
    CHECK_INT(summary.dropped, 34);
    CHECK_DOUBLE(number(json_object_get(root, "otherData"), "dropped_events"), 34, 0);
    CHECK(find(root, "i", "lost", 15) && !find(root, "i", "lost", 16));
    json_decref(root);
}

TEST(more_points_than_fit_are_counted_as_dropped) {
    enum { POINTS = SL_TRACE_POINTS_MAX + 10 };
    static sl_trace_point points[POINTS];
    sl_trace *trace = open_trace(0, 1, POINTS);
    sl_trace_lane *lane = sl_trace_lane_open(trace, 0, "loop");
    for (int i = 0; i < POINTS; i++) {
        points[i] = (sl_trace_point){"p", "c", NULL, NULL};
        sl_trace_instant(lane, &points[i], 0, 0);
    }
    REQUIRE(write_part(trace, 0) == SL_OK);
    sl_trace_close(trace);
    sl_trace_summary summary;
    json_t *root = merge(1, &summary);
    REQUIRE(root != NULL);
    CHECK_INT(summary.events, SL_TRACE_POINTS_MAX);
    CHECK_INT(summary.dropped, 10);
    json_decref(root);
}

TEST(an_empty_trace_is_a_file_too) {
    sl_trace *trace = open_trace(0, 1, 1);
    REQUIRE(write_part(trace, 0) == SL_OK);
    sl_trace_close(trace);
    json_t *root = merge(1, NULL);
    REQUIRE(root != NULL);
    CHECK(json_is_array(json_object_get(root, "traceEvents")));
    json_decref(root);
}

TEST(parts_are_removed_and_errors_are_told) {
    sl_trace *trace = open_trace(0, 1, 1);
    char part[300];
    REQUIRE(sl_trace_part_path(trace_path(), 0, part, sizeof part) == SL_OK);
    REQUIRE(write_part(trace, 0) == SL_OK);
    CHECK_INT(access(part, F_OK), 0);
    json_decref(merge(1, NULL));
    CHECK(access(part, F_OK) != 0);
    CHECK_INT(sl_trace_write_part(trace, "/nowhere/at/all", 0), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "/nowhere/at/all: No such file");
    CHECK_INT(sl_trace_merge("/nowhere/at/all", 1, NULL), SL_ERR_IO);
    CHECK_INT(sl_trace_part_path("abc", 1, part, 10), SL_ERR_TOO_LARGE);
    CHECK_INT(sl_trace_part_path("abc", 1, part, 11), SL_OK);
    sl_trace_close(trace);
    sl_trace_options none = {.label = "", .clock = &test_clock, .lanes = 0};
    CHECK_INT(sl_trace_open(&trace, &none), SL_ERR_INVALID);
}

TEST(a_full_disk_is_an_error) {
    if (access("/dev/full", W_OK) != 0)
        return;
    sl_trace *trace = open_trace(0, 1, 1);
    CHECK_INT(sl_trace_write_part(trace, "/dev/full", 0), SL_ERR_IO);
    sl_trace_close(trace);
}

static size_t read_part(const char *path, char *bytes, size_t size) {
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(bytes, 1, size, file) : 0;
    if (file)
        fclose(file);
    return got;
}

/* Merges these bytes as the one part; the result must be JSON that parses. True when they were
 * taken. */
static bool merges(const char *part, const char *bytes, size_t size) {
    FILE *file = fopen(part, "w");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        exit(2);
    sl_trace_summary summary = {0};
    json_t *root = merge(1, &summary);
    CHECK(root != NULL);
    json_decref(root);
    return summary.missing == 0;
}

/* Cut at every byte: never taken. One bit turned: taken or not, but no crash, and JSON. */
TEST(damaged_parts_do_no_harm) {
    static char good[4096], bad[4096];
    char part[300];
    sl_trace *trace = open_trace(0, 1, 4);
    sl_trace_lane *lane = sl_trace_lane_open(trace, 0, "loop");
    sl_trace_span(lane, &place, 0, 1, 2, 3);
    sl_trace_span_text(lane, &run, 0, 1, "text");
    REQUIRE(sl_trace_part_path(trace_path(), 0, part, sizeof part) == SL_OK);
    REQUIRE(write_part(trace, 0) == SL_OK);
    sl_trace_close(trace);
    size_t size = read_part(part, good, sizeof good);
    REQUIRE(size > 200 && size < sizeof good);
    CHECK(merges(part, good, size));
    for (size_t cut = 0; cut < size; cut++)
        CHECK(!merges(part, good, cut));
    CHECK(!merges(part, good, size + 1));
    for (size_t bit = 0; bit < size * 8; bit += 3) {
        memcpy(bad, good, size);
        bad[bit / 8] ^= (char)(1 << bit % 8);
        merges(part, bad, size);
    }
    unlink(part);
}
