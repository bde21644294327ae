/* What the ledger's test programs share. */
#ifndef SL_TESTS_LEDGER_SUPPORT_H
#define SL_TESTS_LEDGER_SUPPORT_H

#include "actors/scheduler/ledger.h"

/* What the victim writes to its standard output for every record it was told is on disk. */
typedef struct ledger_victim_word {
    uint32_t task;
    uint32_t result; /* 0: accepted, 1: done */
} ledger_victim_word;

#endif
