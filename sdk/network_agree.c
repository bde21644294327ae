/* What the ranks settle before the actors run, and after: by collectives, whose member lives for
 * one operation. In one process there is nothing to settle. */
#include "sdk/network.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_NS (20 * SL_NS_PER_US)
#define PAUSE_MAX_NS (20 * SL_NS_PER_MS)

/* With no loop running this thread has nothing else to do: it tests, in pauses that grow with the
 * time waited. There is no limit: the first rank may be reading tasks from a pipe. */
static sl_err wait_for(sl_collective *of, sl_collective_ticket ticket) {
    uint64_t begin_ns = sl_clock_now_ns();
    for (bool done = false;;) {
        SL_TRY(sl_collective_test(of, ticket, &done));
        if (done)
            return SL_OK;
        uint64_t pause_ns = (sl_clock_now_ns() - begin_ns) / 8;
        pause_ns = pause_ns < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause_ns;
        sl_clock_real.sleep_ns(&sl_clock_real, pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
    }
}

static sl_err member(sl_network *network, sl_collective **of) {
    return sl_mpi_collective(network->mpi, NULL, 0, network->tags++ % 32768, of);
}

static sl_err words_of(size_t bytes, int64_t **words, uint64_t *count) {
    *count = (bytes + 7) / 8;
    *words = calloc(*count, sizeof **words);
    return *words ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory to agree with the other ranks");
}

sl_err sl_network_share(sl_network *network, void *data, size_t bytes) {
    if (!network->mpi)
        return SL_OK;
    int64_t *words;
    uint64_t count;
    sl_collective *of;
    sl_collective_ticket ticket;
    SL_TRY(words_of(bytes, &words, &count));
    memcpy(words, data, bytes);
    sl_err err = member(network, &of);
    if (err == SL_OK) {
        err = sl_collective_broadcast(of, words, count, SL_COLLECTIVE_INT64, 0, &ticket);
        if (err == SL_OK)
            err = wait_for(of, ticket);
        sl_collective_close(of);
    }
    if (err == SL_OK)
        memcpy(data, words, bytes);
    free(words);
    return err;
}

sl_err sl_network_gather(sl_network *network, const void *part, void *all, size_t bytes) {
    if (!network->mpi) {
        memcpy(all, part, bytes);
        return SL_OK;
    }
    sl_collective *of;
    sl_collective_ticket ticket;
    SL_TRY(member(network, &of));
    sl_err err = sl_collective_allgather(of, part, all, bytes / 8, SL_COLLECTIVE_INT64, &ticket);
    if (err == SL_OK)
        err = wait_for(of, ticket);
    sl_collective_close(of);
    return err;
}

sl_err sl_network_largest(sl_network *network, int64_t *value) {
    int64_t *all = calloc(network->count, sizeof *all);
    if (!all)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to agree with the other ranks");
    sl_err err = sl_network_gather(network, value, all, sizeof *all);
    for (uint32_t i = 0; err == SL_OK && network->mpi && i < network->count; i++)
        *value = all[i] > *value ? all[i] : *value;
    free(all);
    return err;
}

sl_err sl_network_agree(sl_network *network, sl_err mine) {
    char cause[512];
    if (!network->mpi)
        return mine;
    snprintf(cause, sizeof cause, "%s", mine == SL_OK ? "" : sl_err_detail());
    int64_t worst = mine == SL_OK ? 0 : 1 + network->nodes[0].rank;
    SL_TRY(sl_network_largest(network, &worst));
    if (mine != SL_OK)
        return sl_fail(mine, "%s", cause);
    if (!worst)
        return SL_OK;
    const sl_mpi_facts *peer = sl_mpi_peer(network->mpi, (uint32_t)worst - 1);
    return sl_fail(SL_ERR_FAILED, "rank %u on %s cannot take part; see its own message", peer->rank,
                   peer->host);
}
