/* Design notes
 * sodium_malloc() puts what it hands out against the end of its pages, so that the first byte
 * behind it faults; the size is rounded up to keep structs aligned. It asks for mlock() and
 * MADV_DONTDUMP itself, and goes on where the former is refused: a small `ulimit -l` must not keep
 * a node from starting.
 */
#include "actors/secure/secret.h"

#include <sodium.h>

sl_err sl_secret_create(size_t bytes, void **memory) {
    if (sodium_init() < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "the system gives no random numbers for keys");
    size_t whole = (bytes + 63) & ~(size_t)63;
    void *made = sodium_malloc(whole);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for keys");
    sodium_memzero(made, whole);
    *memory = made;
    return SL_OK;
}

void sl_secret_destroy(void *memory) {
    sodium_free(memory);
}

void sl_secret_wipe(void *memory, size_t bytes) {
    sodium_memzero(memory, bytes);
}
