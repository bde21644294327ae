/* Memory for keys: on pages of its own between guard pages, kept out of swap where the process's
 * limit (ulimit -l) allows, always kept out of core dumps, and wiped when it is given back.
 *
 * What holds a secret says so in its name (`secret`, `seed`, `data_key`): tests/lint refuses to
 * see such a name in anything that logs, prints or says an error. Thread safe. */
#ifndef SL_SECURE_SECRET_H
#define SL_SECURE_SECRET_H

#include <stddef.h>

#include "runtime/err.h"

/* Zeroed memory, 64-byte aligned, the caller's. SL_ERR_NO_MEMORY; SL_ERR_UNAVAILABLE when the
 * system gives no randomness. Some microseconds and at least four pages each: for objects that are
 * used again and again. */
sl_err sl_secret_create(size_t bytes, void **memory) SL_CHECKED;

/* Wipes and frees; NULL is fine. */
void sl_secret_destroy(void *memory);

/* Zeroes bytes that held a secret, in a way that no compiler leaves out. */
void sl_secret_wipe(void *memory, size_t bytes);

#endif
