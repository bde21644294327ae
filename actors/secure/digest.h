/* The SHA-256 of bytes that lie in memory. */
#ifndef SL_SECURE_DIGEST_H
#define SL_SECURE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

enum { SL_DIGEST_BYTES = 32 };

/* SL_ERR_NO_MEMORY: it could not be made. Any thread. */
sl_err sl_digest(const void *bytes, size_t size, uint8_t digest[SL_DIGEST_BYTES]) SL_CHECKED;

#endif
