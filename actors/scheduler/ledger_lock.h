/* The lock that makes one process the only writer of a ledger: a file PATH-lock, locked while the
 * ledger is open, holding "PID HOST local" (or "shared"). The kernel drops the lock with the
 * process, however it dies.
 */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_LOCK_H
#define SL_ACTORS_SCHEDULER_LEDGER_LOCK_H

#include "runtime/err.h"

typedef struct sl_ledger_lock {
    int fd;     /* -1: not held */
    char *path; /* of the lock file */
} sl_ledger_lock;

#define SL_LEDGER_LOCK_NONE ((sl_ledger_lock){.fd = -1})

/* Takes the lock for the ledger at `ledger_path`. SL_ERR_REFUSED names the holder. */
sl_err sl_ledger_lock_take(const char *ledger_path, sl_ledger_lock *lock) SL_CHECKED;

/* Gives the lock up and removes its file. Does nothing when it is not held. */
void sl_ledger_lock_release(sl_ledger_lock *lock);

/* Says in the lock file whether machines other than this one must keep away (`local`: the
 * write-ahead log is shared through this machine's memory), or may read (a rollback journal). */
void sl_ledger_lock_describe(const sl_ledger_lock *lock, bool local);

/* SL_ERR_REFUSED when a process on another machine holds the lock and this one must keep away. */
sl_err sl_ledger_lock_check_local(const char *ledger_path) SL_CHECKED;

#endif
