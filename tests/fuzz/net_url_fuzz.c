/* URLs and addresses of any text. */
#include <stdlib.h>
#include <string.h>

#include "net/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[1024], print[SL_FINGERPRINT_TEXT], endpoint[SL_ENDPOINT_TEXT];
    uint8_t again[SL_FINGERPRINT_BYTES];
    sl_address address;
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (sl_url_parse(text, &address) == SL_OK) {
        if (!address.host[0])
            abort();
        if (address.pinned) {
            sl_fingerprint_print(address.fingerprint, print);
            if (sl_fingerprint_parse(print, again) != SL_OK ||
                memcmp(again, address.fingerprint, sizeof again) != 0)
                abort();
        }
    }
    if (sl_address_parse(text, &address) == SL_OK) {
        sl_address same;
        sl_endpoint_print(address.host, address.port, endpoint);
        if (sl_address_parse(endpoint, &same) != SL_OK || strcmp(same.host, address.host) != 0 ||
            same.port != address.port)
            abort();
    }
    return 0;
}
