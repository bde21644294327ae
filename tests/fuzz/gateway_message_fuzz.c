/* What comes to a gateway, or from one, with any bytes: what decodes is encoded to the same. */
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/gateway_msgs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_gateway_parts parts;
    if (sl_gateway_take_apart(data, size, &parts) != SL_OK)
        return 0;
    require(SL_GATEWAY_HEAD_BYTES + parts.record_bytes + parts.data_bytes == size);
    void *record = sl_gateway_decode(&parts, parts.kind);
    if (!record)
        return 0;
    size_t bytes;
    uint8_t *again = sl_gateway_encode(parts.kind, record, &bytes);
    require(again && bytes == SL_GATEWAY_HEAD_BYTES + parts.record_bytes);
    require(memcmp(again, data, bytes) == 0);
    free(again);
    free(record);
    return 0;
}
