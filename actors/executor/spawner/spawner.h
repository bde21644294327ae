/* The spawner's table and loop: starts what the node asks for, watches the time, reaps, replies.
 *
 * One thread starts, signals and reaps, so a signal can never reach a process that took over a
 * number: no lock is needed for it. Only starting a command takes long (until its exec). */
#ifndef SL_ACTORS_EXECUTOR_SPAWNER_SPAWNER_H
#define SL_ACTORS_EXECUTOR_SPAWNER_SPAWNER_H

#include "actors/executor/process.h"

typedef struct sl_spawner sl_spawner;

/* Takes over `socket` (the node's other end), `bell` (an eventfd that tells the node of replies)
 * and `signals` (a signalfd of SIGCHLD and of the signal sent when the node dies); all stay the
 * caller's to close. `home` is borrowed. */
sl_err sl_spawner_create(int socket, int bell, int signals, const sl_process_home *home,
                         sl_spawner **spawner) SL_CHECKED;
void sl_spawner_destroy(sl_spawner *spawner);

/* Serves until the node closes its end or dies; then kills every process it started, with what they
 * started, and returns. SL_ERR_IO when waiting itself fails (after the same killing). */
sl_err sl_spawner_serve(sl_spawner *spawner) SL_CHECKED;

#endif
