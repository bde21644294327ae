/* The environment of a command: the node's, without what its MPI launcher put there for the rank.
 */
#ifndef SL_ACTORS_EXECUTOR_ENVIRONMENT_H
#define SL_ACTORS_EXECUTOR_ENVIRONMENT_H

#include <stddef.h>

#include "runtime/err.h"

/* True for variables that tell a program that it is a rank of a running MPI job or Slurm step:
 * OMPI_*, ORTE_*, PRTE_*, PMIX_*, PMI_*, PMI2_*, HYDI_*, HYDRA_*, MPI_LOCAL*, MV2_COMM_WORLD_*,
 * SLURM_STEP*, SLURM_PMI*, SLURM_SRUN_COMM_*, SLURM_MPI_TYPE. What describes the allocation stays
 * (SLURM_JOB_ID, SLURM_CPUS_ON_NODE, …). `variable` is "NAME=VALUE" or "NAME". A task that wants
 * one of them (say OMPI_MCA_btl) sets it in its own `env`. */
bool sl_environment_is_launcher(const char *variable);

/* A new NULL-terminated array of the strings of `environment` that are not the launcher's. free()
 * the array, not the strings. NULL: out of memory. */
char **sl_environment_filter(char *const *environment) SL_CHECKED;

/* A new array: `base` with `additions` applied in order ("NAME=VALUE" sets, "NAME" removes), and
 * then `last`, if not NULL, the same way. free() the array, not the strings. NULL: out of memory.
 */
char **sl_environment_merge(char *const *base, const char *const *additions,
                            const char *last) SL_CHECKED;

/* The value of `name` in `environment`, or NULL. */
const char *sl_environment_get(char *const *environment, const char *name);

/* True when `variable` is "NAME=VALUE" or "NAME" with a name of one byte or more. */
bool sl_environment_is_valid(const char *variable);

#endif
