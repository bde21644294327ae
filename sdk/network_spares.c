/* Which ranks stand by for others of their host.
 *
 * Design notes
 * A rank that died cannot be started again in its place: what MPI has for that is collective over
 * the ranks, of which more may die meanwhile, and joins the new process to those alone that called
 * it. So the place is filled by a rank that has been there from the beginning, has all its links,
 * and has offered nothing so far. Only one of the same host can offer what was the dead one's. */
#include <stdlib.h>
#include <string.h>

#include "sdk/network.h"

/* The last rank of the host that does not stand by yet, or `count`; it keeps its first. */
static uint32_t last_of(const uint32_t *host, uint32_t count, uint32_t which,
                        const bool *is_spare) {
    uint32_t last = count, left = 0;
    for (uint32_t rank = 0; rank < count; rank++) {
        if (host[rank] != which || is_spare[rank])
            continue;
        last = rank;
        left++;
    }
    return left > 1 ? last : count;
}

uint32_t sl_spares_mark(const uint32_t *host, uint32_t count, uint32_t spares, bool *is_spare) {
    uint32_t marked = 0;
    memset(is_spare, 0, count * sizeof *is_spare);
    for (bool any = true; any && marked < spares;) {
        any = false;
        for (uint32_t which = 0; which < count && marked < spares; which++) {
            uint32_t rank = host[which] == which ? last_of(host, count, which, is_spare) : count;
            if (rank == count)
                continue;
            is_spare[rank] = any = true;
            marked++;
        }
    }
    return marked;
}

bool sl_network_same_host(const sl_network *network, uint32_t a, uint32_t b) {
    return !network->mpi ||
           strcmp(sl_mpi_peer(network->mpi, a)->host, sl_mpi_peer(network->mpi, b)->host) == 0;
}

sl_err sl_network_spares(sl_network *network) {
    uint32_t spares = (uint32_t)sl_config_int(network->config, SL_OPT_SPARES), marked;
    if (!network->mpi || !spares)
        return SL_OK;
    network->is_spare = calloc(network->count, sizeof *network->is_spare);
    uint32_t *host = calloc(network->count, sizeof *host);
    if (!network->is_spare || !host) {
        free(host);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u ranks", network->count);
    }
    for (uint32_t rank = 0; rank < network->count; rank++)
        while (!sl_network_same_host(network, host[rank], rank))
            host[rank]++;
    marked = sl_spares_mark(host, network->count, spares, network->is_spare);
    free(host);
    if (marked == spares)
        return SL_OK;
    return sl_fail(SL_ERR_INVALID,
                   "spares %u: of these %u ranks only %u can stand by; each host keeps one", spares,
                   network->count, marked);
}

bool sl_network_is_spare(const sl_network *network, uint32_t rank) {
    return network->is_spare && network->is_spare[rank];
}
