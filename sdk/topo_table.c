#include <string.h>

#include "sdk/topo.h"

#define GIB 1073741824.0

/* ---- values of objects that may lack them ---- */

static const json_t *at(const json_t *object, const char *outer, const char *inner) {
    const json_t *first = json_object_get(object, outer);
    return inner ? json_object_get(first, inner) : first;
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

/* ---- the table ---- */

enum { NAME_MOST = 24 };

/* How wide a column of names must be. */
static int width_of(json_t *const *nodes, uint32_t count, const char *key, const char *title) {
    size_t width = strlen(title);
    for (uint32_t i = 0; i < count; i++) {
        size_t length = nodes[i] ? strlen(text(nodes[i], key)) : 0;
        width = length > width ? length : width;
    }
    return (int)(width < NAME_MOST ? width : NAME_MOST);
}

static void table_row(const json_t *node, int host, int region, sl_strbuf *out) {
    const json_t *cpu = at(node, "hardware", "cpu"), *offer = json_object_get(node, "offer");
    char memory[24];
    snprintf(memory, sizeof memory, "%.1f", number(offer, "memory_bytes") / GIB);
    sl_strbuf_printf(out, "%4.0f  %-*.*s  %-*.*s  %5.0f  %5.2f  %7.1f  %4.0f  %4.0f  %10.4g",
                     number(node, "rank"), host, NAME_MOST, text(node, "host"), region, NAME_MOST,
                     text(node, "region"), number(cpu, "cores"), number(cpu, "clock_ghz"),
                     number(at(node, "hardware", NULL), "memory_bytes") / GIB,
                     number(offer, "gpus"), number(offer, "tpus"), number(offer, "total_ucu"));
    sl_strbuf_printf(
        out, "  %s%.0f cpus, %s GiB%s\n",
        json_is_true(json_object_get(node, "spare")) ? "spare: " : "", number(offer, "cpus"),
        memory, json_is_true(json_object_get(offer, "oversubscribed")) ? ", cores shared" : "");
}

/* ---- a host ---- */

static void accelerator_lines(const json_t *hardware, sl_strbuf *out) {
    size_t index;
    json_t *each;
    json_array_foreach(json_object_get(hardware, "accelerators"), index, each) {
        sl_strbuf_printf(out, "  %-8s%s", text(each, "type"), text(each, "name"));
        if (number(each, "cuda_cores") > 0)
            sl_strbuf_printf(out, ", %.0f CUDA cores", number(each, "cuda_cores"));
        if (number(each, "memory_gb") > 0)
            sl_strbuf_printf(out, ", %.0f GB", number(each, "memory_gb"));
        if (number(each, "tflops") > 0)
            sl_strbuf_printf(out, ", %.0f TFLOPS", number(each, "tflops"));
        sl_strbuf_printf(out, " (%s)%s%s\n", text(each, "found"),
                         text(each, "warning")[0] ? "; " : "", text(each, "warning"));
    }
}

static void ucu_lines(const json_t *hardware, sl_strbuf *out) {
    const json_t *ucu = json_object_get(hardware, "ucu");
    size_t index;
    json_t *each;
    json_array_foreach(json_object_get(ucu, "terms"), index, each)
        sl_strbuf_printf(out, "  UCU     %s: %s = %.6g\n", text(each, "type"),
                         text(each, "formula"), number(each, "ucu"));
    sl_strbuf_printf(out, "  UCU     total %.6g\n", number(ucu, "total_ucu"));
}

static void host_block(const json_t *node, sl_strbuf *out) {
    const json_t *hardware = json_object_get(node, "hardware");
    const json_t *cpu = json_object_get(hardware, "cpu");
    size_t index;
    json_t *each;
    sl_strbuf_printf(out, "\n%s\n  CPU     %s, %.0f cores, %.0f threads", text(node, "host"),
                     text(cpu, "model"), number(cpu, "cores"), number(cpu, "pus"));
    sl_strbuf_printf(out, "\n  clock   %.3f GHz (%s)\n", number(cpu, "clock_ghz"),
                     text(cpu, "clock_source"));
    sl_strbuf_printf(out, "  memory  %.1f GiB (%s)\n", number(hardware, "memory_bytes") / GIB,
                     text(hardware, "memory_source"));
    accelerator_lines(hardware, out);
    ucu_lines(hardware, out);
    json_array_foreach(json_object_get(hardware, "warnings"), index, each)
        sl_strbuf_printf(out, "  note    %s\n", json_string_value(each));
}

static int is_first_of_host(json_t *const *nodes, uint32_t index) {
    for (uint32_t i = 0; i < index; i++)
        if (nodes[i] && strcmp(text(nodes[i], "host"), text(nodes[index], "host")) == 0 &&
            json_equal(at(nodes[i], "hardware", "cpu"), at(nodes[index], "hardware", "cpu")))
            return 0;
    return 1;
}

void sl_topo_table(json_t *const *nodes, uint32_t count, sl_strbuf *out) {
    int host = width_of(nodes, count, "host", "host");
    int region = width_of(nodes, count, "region", "region");
    double total = 0;
    sl_strbuf_printf(out, "%4s  %-*s  %-*s  %5s  %5s  %7s  %4s  %4s  %10s  %s\n", "rank", host,
                     "host", region, "region", "cores", "GHz", "GiB", "GPUs", "TPUs", "UCU",
                     "offer");
    for (uint32_t i = 0; i < count; i++) {
        if (!nodes[i])
            continue;
        table_row(nodes[i], host, region, out);
        if (!json_is_true(json_object_get(nodes[i], "spare")))
            total += number(json_object_get(nodes[i], "offer"), "total_ucu");
    }
    sl_strbuf_printf(out, "%u node%s, %.6g UCU offered\n", count, count == 1 ? "" : "s", total);
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i] && is_first_of_host(nodes, i))
            host_block(nodes[i], out);
}
