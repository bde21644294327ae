#include "actors/secure/digest.h"

#include <openssl/evp.h>

sl_err sl_digest(const void *bytes, size_t size, uint8_t digest[SL_DIGEST_BYTES]) {
    return EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) == 1
               ? SL_OK
               : sl_fail(SL_ERR_NO_MEMORY, "a SHA-256 cannot be made");
}
