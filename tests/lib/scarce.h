/* Want of memory, and calls of the system that fail, at the n-th of them: for tests that go through
 * all n. Programs named NAME_scarce_test.c are linked so that the calls of the code under test, and
 * of the test, come here (the linker's --wrap); those of libraries do not. */
#ifndef SL_TESTS_SCARCE_H
#define SL_TESTS_SCARCE_H

#include <stdbool.h>

typedef enum scarce_kind {
    SCARCE_MEMORY = 1, /* malloc and its kin, mmap */
    SCARCE_SQLITE = 2, /* what SQLite allocates */
    SCARCE_SYSTEM = 4  /* open, rename, fsync and the like: with EIO */
} scarce_kind;

/* From now on, in this thread, the `n`-th call (from 1) of these kinds fails; `for_ever`: and all
 * after it. */
void scarce_begin(unsigned kinds, unsigned n, bool for_ever);

/* Nothing fails any more. True when it came to that. */
bool scarce_end(void);

/* What statfs(2) says every file system is from now on; 0: what it is. */
void scarce_filesystem(long type);

/* What the test itself needs, in between. */
void scarce_pause(void);
void scarce_resume(void);

/* The calls since scarce_begin(). */
unsigned scarce_calls(void);

#endif
