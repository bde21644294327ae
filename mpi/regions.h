/* The map rank -> region. Every rank decides for itself: no message is sent and Slurm is not asked.
 *
 * The first that knows decides:
 *   1. the value of --regions:
 *        us-west:2,eu-central:2   as many ranks, in rank order, that add up to all ranks; the last
 *                                 may go without a number and takes the rest (at least one)
 *        us-west,eu-central       the ranks in blocks as even as can be, earlier ones the larger
 *      A name may come again ("a:1,b:1,a:1"; "a,b,a,b").
 *   2. STARLANE_NODE_REGION in this rank's environment
 *   3. the topology file, by host name
 *   4. SLURM_TOPOLOGY_ADDR, when SLURM_TOPOLOGY_ADDR_PATTERN has two switches or more: the part
 *      below the top switch ("wan.us-west.n1" with "switch.switch.node" is us-west)
 *   5. in a heterogeneous job, the component whose node list has this node: its partition if the
 *      partitions differ, else its job name if those differ, else het-group-N. SLURM_JOB_PARTITION
 *      is not asked there: Slurm 22.05 gives tasks of a het step that of any of its components
 *   6. SLURM_JOB_PARTITION
 *   7. "local"
 *
 * Whatever decided the region, a topology file's rule of the same region and host adds zone and
 * coordinates. What Slurm says but cannot be a name (a switch called "s[0-1]") is passed over; what
 * a person wrote wrongly is an error. */
#ifndef SL_MPI_REGIONS_H
#define SL_MPI_REGIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/env.h"
#include "mpi/topology_file.h"
#include "runtime/err.h"

#define SL_REGIONS_MAX 1024 /* items of --regions */

typedef struct sl_regions_query {
    const char *flag;                 /* the value of --regions; NULL: not given */
    const sl_topology_file *topology; /* NULL: none */
    const char *host;                 /* this rank's host name */
    uint32_t rank, count;             /* this rank, and the number of ranks (> rank) */
    const sl_env *env;                /* NULL: the process's environment */
} sl_regions_query;

typedef struct sl_regions_place {
    char region[SL_REGION_NAME_BYTES];
    char zone[SL_REGION_NAME_BYTES]; /* "" not known */
    bool has_coordinates;
    double latitude, longitude; /* degrees, north and east positive; only with has_coordinates */
    char source[256];           /* what decided, for a person: "--regions", "topology.txt:3",
                                   "SLURM_TOPOLOGY_ADDR" … */
} sl_regions_place;

/* Checks the value of --regions before the number of ranks is known. SL_ERR_SYNTAX says which item
 * is wrong. */
sl_err sl_regions_check(const char *flag) SL_CHECKED;

/* Where this rank is. SL_ERR_SYNTAX for a value a person got wrong, SL_ERR_INVALID when --regions
 * does not fit the number of ranks. Pure, any thread. */
sl_err sl_regions_locate(const sl_regions_query *query, sl_regions_place *place) SL_CHECKED;

#endif
