/* Processes that outlived the command they belong to by leaving its process group (setsid,
 * daemons).
 *
 * The spawner is their new parent when their own dies (a child subreaper). Each command's
 * environment carries SL_STRAYS_VARIABLE with a mark of its own, which its descendants inherit: a
 * child of the spawner whose mark is not that of a running command is a stray. One that cleaned its
 * environment is known as a stray only when no command runs. */
#ifndef SL_ACTORS_EXECUTOR_SPAWNER_STRAYS_H
#define SL_ACTORS_EXECUTOR_SPAWNER_STRAYS_H

#include <stdint.h>
#include <sys/types.h>

#include "runtime/err.h"

#define SL_STRAYS_VARIABLE "STARLANE_COMMAND"

/* Says whether pid is a running command's leader, or mark is that of a running command. */
typedef bool (*sl_strays_is_leader)(const void *context, pid_t pid);
typedef bool (*sl_strays_is_running)(const void *context, uint64_t mark);

/* Puts the variable into `environ`, and makes this process its descendants' reaper. Once, before
 * sl_process_home_open(). */
sl_err sl_strays_open(void) SL_CHECKED;

/* Gives the command that is started next its mark. */
void sl_strays_mark(uint64_t mark);

/* Kills (SIGKILL) each child of this process that is a stray; with `idle` (no command runs) every
 * child is one. They are reaped like any child, and may leave strays in turn. */
void sl_strays_kill(const void *context, sl_strays_is_leader is_leader,
                    sl_strays_is_running is_running, bool idle);

#endif
