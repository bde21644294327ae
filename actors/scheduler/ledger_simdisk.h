/* A disk in memory, under SQLite, that does what disks do when the power goes: what was not synced
 * is there, or not, or half. One for each simulated node; one thread.
 *
 * What happens at a loss of power is drawn from the seed; every write, truncation and sync is an
 * operation with a number, so that a fault can be put at the n-th. */
#ifndef SL_ACTORS_SCHEDULER_LEDGER_SIMDISK_H
#define SL_ACTORS_SCHEDULER_LEDGER_SIMDISK_H

#include <stdint.h>

#include "actors/scheduler/ledger_disk.h"

typedef struct sl_ledger_simdisk sl_ledger_simdisk;

sl_err sl_ledger_simdisk_create(uint64_t seed, sl_ledger_simdisk **disk) SL_CHECKED;

/* No ledger may be open on it. */
void sl_ledger_simdisk_destroy(sl_ledger_simdisk *disk);

const sl_ledger_disk *sl_ledger_simdisk_base(const sl_ledger_simdisk *disk);

typedef enum sl_simdisk_fault {
    SL_SIMDISK_WELL,
    SL_SIMDISK_POWER, /* at that operation, in the midst of it; every later one fails */
    SL_SIMDISK_FULL,  /* writes that need more room fail, until it is well again */
    SL_SIMDISK_ERROR  /* that one operation fails */
} sl_simdisk_fault;

/* Puts a fault at the `after`-th operation from now (0: the next). */
void sl_ledger_simdisk_break(sl_ledger_simdisk *disk, sl_simdisk_fault fault, uint64_t after);

/* True when the power is gone: by a fault, or switched off. */
bool sl_ledger_simdisk_dead(const sl_ledger_simdisk *disk);

/* The power is gone from this moment: every operation fails, so that what holds the ledger open can
 * be closed without trace. Then `restore`: the disk as it is found at the next start. */
void sl_ledger_simdisk_power_off(sl_ledger_simdisk *disk);
void sl_ledger_simdisk_restore(sl_ledger_simdisk *disk);

uint64_t sl_ledger_simdisk_operations(const sl_ledger_simdisk *disk);

#endif
