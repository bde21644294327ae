/* A disk that fails on command, under SQLite: a VFS in front of the usual one that counts writes
 * and syncs, keeps account of what is not synced yet, and can fail at the n-th of them. Syncs are
 * not passed on, so that tests are quick. One thread at a time. */
#ifndef SL_TESTS_FAULTY_DISK_H
#define SL_TESTS_FAULTY_DISK_H

#include <stdbool.h>

typedef struct faulty_disk {
    unsigned operations; /* writes, truncations and syncs so far */
    unsigned syncs;      /* of them */
    unsigned unsynced;   /* writes to a write-ahead log since its last sync */
    unsigned fail_at;    /* the operation that fails; 0: none */
    bool fail_for_ever;  /* and all after it */
    bool failed;         /* it came to that */
} faulty_disk;

/* Makes it SQLite's default for the rest of the program. */
faulty_disk *faulty_disk_install(void);

#endif
