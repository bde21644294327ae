/* Slurm's compact host lists ("n[1-4,7],login,r[0-1]n[01-16]"), asked without calling Slurm. */
#ifndef SL_MPI_HOSTLIST_H
#define SL_MPI_HOSTLIST_H

#include <stdbool.h>

/* True when `host` is one of the names `list` stands for. A part of the list that is not well
 * formed matches nothing. Bracketed ranges hold decimal numbers; leading zeros count ("[01-16]" has
 * "07", not "7"). Pure, any thread. The time is bounded whatever the text: longer names than 255
 * bytes match nothing. */
bool sl_hostlist_has(const char *list, const char *host);

#endif
