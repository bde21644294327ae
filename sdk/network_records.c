/* What a network leaves behind it if asked to: a trace and the metrics of every node. */
#include "sdk/network.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "sdk/atomic_file.h"

#define PAGE_LIMIT_BYTES ((size_t)256 << 20)

/* ---- traces: each node's part is written where it ran, on a file system all see ---- */

static sl_err write_parts(sl_network *network, const char *path) {
    for (uint32_t i = 0; i < network->local_count; i++) {
        char part[4096];
        SL_TRY(sl_trace_part_path(path, network->nodes[i].rank, part, sizeof part));
        SL_TRY(sl_trace_write_part(network->nodes[i].trace, part, 0));
    }
    return SL_OK;
}

static void write_trace(sl_network *network, const char *path) {
    sl_trace_summary summary;
    if (write_parts(network, path) != SL_OK)
        sl_warn("network", "no trace of this node: %s", sl_err_detail());
    int64_t turn = 0; /* parts are there when all have got here */
    if (network->clean && sl_network_largest(network, &turn) != SL_OK)
        sl_warn("network", "the trace may lack nodes: %s", sl_err_detail());
    if (!sl_network_leads(network))
        return;
    if (sl_trace_merge(path, network->count, &summary) != SL_OK)
        sl_warn("network", "no trace: %s", sl_err_detail());
    else if (summary.dropped || summary.missing)
        sl_warn("network", "the trace %s lacks %llu events and %u nodes", path,
                (unsigned long long)summary.dropped, summary.missing);
}

/* ---- metrics: gathered as they are in memory ---- */

_Static_assert(sizeof(sl_metrics) % 8 == 0, "metrics travel as 64-bit words");

static sl_err gather_metrics(sl_network *network, sl_metrics *all) {
    if (!network->mpi || !network->clean) {
        for (uint32_t i = 0; i < network->local_count; i++)
            memcpy(&all[network->mpi ? 0 : i], network->nodes[i].metrics, sizeof *all);
        return SL_OK;
    }
    return sl_network_gather(network, network->nodes[0].metrics, all, sizeof *all);
}

static const char *host_of(const sl_network *network, uint32_t rank) {
    return network->mpi ? sl_mpi_peer(network->mpi, rank)->host : network->hardware.hostname;
}

static void metrics_page(const sl_network *network, const sl_metrics *all, uint32_t count,
                         bool json, sl_strbuf *out) {
    if (!json) {
        sl_metrics_part *parts = calloc(count, sizeof *parts);
        for (uint32_t i = 0; parts && i < count; i++)
            parts[i] = (sl_metrics_part){&all[i], i, host_of(network, i), NULL};
        if (parts)
            sl_metrics_prometheus(parts, count, out);
        free(parts);
        return;
    }
    sl_strbuf_append(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        sl_strbuf_printf(out, "%s\n{\"node\": %u, \"host\": ", i ? "," : "", i);
        sl_strbuf_json(out, host_of(network, i));
        sl_strbuf_append(out, ", \"metrics\": ");
        sl_metrics_json(&all[i], out);
        sl_strbuf_append(out, "}");
    }
    sl_strbuf_append(out, "\n]\n");
}

static sl_err save_metrics(sl_network *network, const sl_metrics *all, const char *path) {
    uint32_t count = network->mpi && !network->clean ? 1 : network->count;
    size_t length = strlen(path);
    sl_strbuf page;
    sl_strbuf_init(&page, PAGE_LIMIT_BYTES);
    metrics_page(network, all, count, length > 5 && strcmp(path + length - 5, ".json") == 0, &page);
    sl_err err = sl_strbuf_err(&page);
    if (err == SL_OK)
        err = sl_atomic_write(AT_FDCWD, path, page.data, page.length);
    sl_strbuf_fini(&page);
    return err;
}

static void write_metrics(sl_network *network, const char *path) {
    sl_metrics *all = calloc(network->count, sizeof *all);
    sl_err err = all ? gather_metrics(network, all) : SL_ERR_NO_MEMORY;
    if (err == SL_OK && sl_network_leads(network))
        err = save_metrics(network, all, path);
    if (err != SL_OK)
        sl_warn("network", "no metrics: %s", sl_err_detail());
    free(all);
}

void sl_network_write_records(sl_network *network) {
    if (sl_config_is_set(network->config, SL_OPT_TRACE))
        write_trace(network, sl_config_text(network->config, SL_OPT_TRACE));
    if (sl_config_is_set(network->config, SL_OPT_METRICS))
        write_metrics(network, sl_config_text(network->config, SL_OPT_METRICS));
}
