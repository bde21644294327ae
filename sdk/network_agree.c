/* What the ranks settle before the actors run, by collectives. In one process there is nothing to
 * settle. */
#include "sdk/network.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_NS (20 * SL_NS_PER_US)
#define PAUSE_MAX_NS (20 * SL_NS_PER_MS)

/* A rank that dies before all have begun leaves the others waiting for ever. */
static sl_err check_all_live(sl_network *network) {
    uint32_t rank = sl_mpi_ended(network->mpi);
    if (rank == SL_MPI_NONE)
        return SL_OK;
    network->clean = false;
    const sl_mpi_facts *peer = sl_mpi_peer(network->mpi, rank);
    return sl_fail(SL_ERR_DEAD, "rank %u on %s was lost before all had begun", rank, peer->host);
}

/* With no loop running this thread has nothing else to do: it tests, in pauses that grow with the
 * time waited. There is no limit: the first rank may be reading tasks from a pipe. */
static sl_err wait_for(sl_network *network, sl_collective_ticket ticket) {
    uint64_t begin_ns = sl_clock_now_ns();
    sl_err lost = SL_OK;
    for (bool done = false;;) {
        SL_TRY(sl_collective_test(network->agreeing, ticket, &done));
        if (done)
            return SL_OK;
        SL_TRY(lost);
        uint64_t pause_ns = (sl_clock_now_ns() - begin_ns) / 8;
        pause_ns = pause_ns < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause_ns;
        sl_clock_real.sleep_ns(&sl_clock_real, pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
        lost = check_all_live(network); /* what it had sent is there at the next look */
    }
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
    sl_collective_ticket ticket;
    SL_TRY(words_of(bytes, &words, &count));
    memcpy(words, data, bytes);
    sl_err err =
        sl_collective_broadcast(network->agreeing, words, count, SL_COLLECTIVE_INT64, 0, &ticket);
    if (err == SL_OK)
        err = wait_for(network, ticket);
    if (err != SL_OK) /* MPI may still write to the words */
        return err;
    memcpy(data, words, bytes);
    free(words);
    return SL_OK;
}

/* The largest `*value` of all ranks. */
static sl_err largest(sl_network *network, int64_t *value) {
    int64_t *word;
    uint64_t count;
    sl_collective_ticket ticket;
    SL_TRY(words_of(sizeof *word, &word, &count));
    *word = *value;
    sl_err err = sl_collective_allreduce(network->agreeing, word, count, SL_COLLECTIVE_INT64,
                                         SL_COLLECTIVE_MAX, &ticket);
    if (err == SL_OK)
        err = wait_for(network, ticket);
    if (err != SL_OK)
        return err;
    *value = *word;
    free(word);
    return SL_OK;
}

sl_err sl_network_agree(sl_network *network, sl_err mine) {
    char cause[512];
    if (!network->mpi)
        return mine;
    snprintf(cause, sizeof cause, "%s", mine == SL_OK ? "" : sl_err_detail());
    int64_t worst = mine == SL_OK ? 0 : 1 + network->nodes[0].rank;
    SL_TRY(largest(network, &worst));
    if (mine != SL_OK)
        return sl_fail(mine, "%s", cause);
    if (!worst)
        return SL_OK;
    const sl_mpi_facts *peer = sl_mpi_peer(network->mpi, (uint32_t)worst - 1);
    return sl_fail(SL_ERR_FAILED, "rank %u on %s cannot take part; see its own message", peer->rank,
                   peer->host);
}
