/* When the job ends: from --time-limit, STARLANE_END_TIME or SLURM_JOB_END_TIME. Slurm itself is
 * never asked. */
#ifndef SL_MPI_SLURM_TIME_H
#define SL_MPI_SLURM_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/env.h"
#include "runtime/err.h"

typedef struct sl_slurm_time {
    bool known;         /* false: no end is known, or the job has none */
    int64_t end_unix_s; /* seconds since 1970-01-01 UTC; 0 when not known */
    const char *source; /* the variable's name, "--time-limit" or "none"; static */
} sl_slurm_time;

/* A moment: seconds since 1970 ("1767323045") or, in the process's time zone, "2026-01-02T03:04:05"
 * as squeue prints it. "UNLIMITED", "INFINITE", "N/A", "NONE", "Unknown" give known = false. `name`
 * is what the error calls the value. SL_ERR_SYNTAX otherwise, with nothing set. */
sl_err sl_slurm_time_parse(const char *name, const char *text, bool *known,
                           int64_t *unix_s) SL_CHECKED;

/* The job's end. `limit_s` is the value of --time-limit, counted from `now_unix_s`, or 0 when it
 * was not given; it wins over STARLANE_END_TIME, which wins over SLURM_JOB_END_TIME (Slurm 23 and
 * later set it; 22.05 does not). SL_ERR_SYNTAX as above, SL_ERR_INVALID for a limit out of range.
 * Pure, any thread. */
sl_err sl_slurm_time_of_job(int64_t limit_s, int64_t now_unix_s, const sl_env *env,
                            sl_slurm_time *end) SL_CHECKED;

#endif
