/* The disk under a ledger, as far as SQLite does not stand between: names of files. The machine's,
 * or a simulated one (ledger_simdisk.h). */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_DISK_H
#define SL_ACTORS_SCHEDULER_LEDGER_DISK_H

#include <stdbool.h>

#include "runtime/err.h"

typedef struct sl_ledger_disk sl_ledger_disk;
struct sl_ledger_disk {
    const char *vfs; /* the name under which SQLite knows it; NULL: SQLite's default */
    bool alone;      /* nobody else has it: no lock file, and no machine to name in it */
    /* SL_OK: a regular file with something in it; SL_ERR_NOT_FOUND; SL_ERR_LEDGER: something else.
     */
    sl_err (*check)(const sl_ledger_disk *disk, const char *path);
    void (*remove)(const sl_ledger_disk *disk, const char *path);
    /* Durably: both return when it is on disk. */
    sl_err (*rename)(const sl_ledger_disk *disk, const char *from, const char *to);
};

extern const sl_ledger_disk sl_ledger_disk_real;

#endif
