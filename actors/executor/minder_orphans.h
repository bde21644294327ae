/* What a spawner that died alone left running. */
#ifndef SL_ACTORS_EXECUTOR_MINDER_ORPHANS_H
#define SL_ACTORS_EXECUTOR_MINDER_ORPHANS_H

#include <sys/types.h>

/* Kills every process that descends from a command of `spawner` and still has its mark in its
 * environment (spawner/strays.h), until none is left or some time is over. Before `spawner` is
 * reaped, so that no other can have its number. Returns how many it killed. */
unsigned sl_minder_kill_orphans(pid_t spawner);

#endif
