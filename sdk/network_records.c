/* What a network leaves behind it if asked to: a trace and the metrics of every node that lives. A
 * rank may die while this goes on; what it did not give is left out, and said to be. */
#include "sdk/network.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "sdk/atomic_file.h"

#define PAGE_LIMIT_BYTES ((size_t)256 << 20)

/* How long a rank of another host may be silent. Nobody waits for one that is known to have died.
 */
#define METRICS_NS (1500 * SL_NS_PER_MS) /* they are in memory */
#define TRACE_NS   (10 * SL_NS_PER_S)    /* parts are written to files first */

/* ---- what every rank has ---- */

/* The parts of all ranks to the first one; `here`: by rank, whose came. */
static sl_err gather(sl_network *network, sl_mpi_gathering *parts, const char *what) {
    parts->lost = network->lost;
    SL_TRY(sl_mpi_gather(network->mpi, parts));
    network->clean &= parts->whole;
    if (!sl_network_leads(network)) {
        network->lost[0] |= !parts->taken;
        return SL_OK;
    }
    for (uint32_t i = 0; i < network->count; i++) {
        if (!parts->here[i])
            sl_warn("network", "no %s of rank %u on %s: it is lost", what, i,
                    sl_mpi_peer(network->mpi, i)->host);
        network->lost[i] |= !parts->here[i];
    }
    return SL_OK;
}

/* ---- traces: each node's part is written where it ran, on a file system all see ---- */

static sl_err write_parts(sl_network *network, const char *path) {
    for (uint32_t i = 0; i < network->local_count; i++) {
        char part[4096];
        SL_TRY(sl_trace_part_path(path, network->nodes[i].rank, part, sizeof part));
        SL_TRY(sl_trace_write_part(network->nodes[i].trace, part, 0));
    }
    return SL_OK;
}

/* Parts are there when all have got here. */
static void await_parts(sl_network *network) {
    sl_mpi_gathering turn = {.patience_ns = TRACE_NS};
    turn.here = calloc(network->count, sizeof *turn.here);
    sl_err err = turn.here ? gather(network, &turn, "trace") : SL_ERR_NO_MEMORY;
    if (err != SL_OK)
        sl_warn("network", "the trace may lack nodes: %s", sl_err_detail());
    free(turn.here);
}

static void write_trace(sl_network *network, const char *path) {
    sl_trace_summary summary;
    if (write_parts(network, path) != SL_OK)
        sl_warn("network", "no trace of this node: %s", sl_err_detail());
    if (network->mpi)
        await_parts(network);
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

/* The metrics of all nodes, and whose they are. */
static sl_err gather_metrics(sl_network *network, sl_metrics *all, bool *here) {
    if (network->mpi) {
        sl_mpi_gathering parts = {.part = network->nodes[0].metrics,
                                  .bytes = sizeof *all,
                                  .patience_ns = METRICS_NS,
                                  .all = all,
                                  .here = here};
        return gather(network, &parts, "metrics");
    }
    for (uint32_t i = 0; i < network->local_count; i++) {
        memcpy(&all[i], network->nodes[i].metrics, sizeof *all);
        here[i] = true;
    }
    return SL_OK;
}

static const char *host_of(const sl_network *network, uint32_t rank) {
    return network->mpi ? sl_mpi_peer(network->mpi, rank)->host : network->hardware.hostname;
}

/* What a page shows: the metrics of `count` nodes, by number. */
typedef struct page_parts {
    const sl_metrics *all;
    const bool *here;
    uint32_t count;
} page_parts;

static void prometheus_page(const sl_network *network, const page_parts *of, sl_strbuf *out) {
    sl_metrics_part *parts = calloc(of->count, sizeof *parts);
    uint32_t count = 0;
    for (uint32_t i = 0; parts && i < of->count; i++)
        if (of->here[i])
            parts[count++] = (sl_metrics_part){&of->all[i], i, host_of(network, i), NULL};
    if (parts)
        sl_metrics_prometheus(parts, count, out);
    free(parts);
}

static void json_page(const sl_network *network, const page_parts *of, sl_strbuf *out) {
    const char *before = "[";
    for (uint32_t i = 0; i < of->count; i++) {
        if (!of->here[i])
            continue;
        sl_strbuf_printf(out, "%s\n{\"node\": %u, \"host\": ", before, i);
        sl_strbuf_json(out, host_of(network, i));
        sl_strbuf_append(out, ", \"metrics\": ");
        sl_metrics_json(&of->all[i], out);
        sl_strbuf_append(out, "}");
        before = ",";
    }
    sl_strbuf_append(out, "\n]\n");
}

static sl_err save_metrics(const sl_network *network, const page_parts *parts, const char *path) {
    size_t length = strlen(path);
    bool json = length > 5 && strcmp(path + length - 5, ".json") == 0;
    sl_strbuf page;
    sl_strbuf_init(&page, PAGE_LIMIT_BYTES);
    (json ? json_page : prometheus_page)(network, parts, &page);
    sl_err err = sl_strbuf_err(&page);
    if (err == SL_OK)
        err = sl_atomic_write(AT_FDCWD, path, page.data, page.length);
    sl_strbuf_fini(&page);
    return err;
}

static void write_metrics(sl_network *network, const char *path) {
    sl_metrics *all = calloc(network->count, sizeof *all);
    bool *here = calloc(network->count, sizeof *here);
    sl_err err = all && here ? gather_metrics(network, all, here) : SL_ERR_NO_MEMORY;
    if (err == SL_OK && sl_network_leads(network))
        err = save_metrics(network, &(page_parts){all, here, network->count}, path);
    if (err != SL_OK)
        sl_warn("network", "no metrics: %s", sl_err_detail());
    free(here);
    free(all);
}

void sl_network_write_records(sl_network *network) {
    if (sl_config_is_set(network->config, SL_OPT_METRICS))
        write_metrics(network, sl_config_text(network->config, SL_OPT_METRICS));
    if (sl_config_is_set(network->config, SL_OPT_TRACE))
        write_trace(network, sl_config_text(network->config, SL_OPT_TRACE));
}
