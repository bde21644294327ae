/* Bytes as the arguments or the result of a task, the tail of them as the data beside. What decodes
 * must lie within its bounds and encode again to what decodes to the same. */
#include <stdlib.h>
#include <string.h>

#include "sdk/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void touch(const sl_value *value) {
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < value->bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)value->data)[i]);
    char text[64];
    require(strlen(sl_value_describe(value, text, sizeof text)) < sizeof text);
    require(value->dimensions <= SL_DIMENSIONS_MAX);
}

/* Data from other than a future's place may now lie elsewhere, so only values are compared. */
static void encode_again(const sl_value *values, size_t count) {
    sl_value_size size;
    sl_blob *apart = NULL;
    if (sl_values_measure(values, count, &size) != SL_OK)
        return; /* a future without its pointer */
    require(!size.apart_bytes || sl_blob_create(size.apart_bytes, &apart) == SL_OK);
    uint8_t *wire = malloc(size.bytes);
    sl_value *again = malloc((count + 1) * sizeof *again);
    sl_values_encode(values, count, wire, apart ? apart->data : NULL);
    require(sl_values_decode(wire, size.bytes, apart, false, again) == SL_OK);
    for (size_t i = 0; i < count; i++) {
        require(again[i].type == values[i].type && again[i].bytes == values[i].bytes);
        require(!values[i].bytes || memcmp(again[i].data, values[i].data, values[i].bytes) == 0);
    }
    free(again);
    free(wire);
    sl_blob_release(apart);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_blob *apart = NULL;
    size_t count, beside = size ? data[0] : 0, bytes;
    if (size < 2 || beside > size - 2)
        return 0;
    bytes = size - 2 - beside;
    if (beside && sl_blob_copy(data + 2 + bytes, beside, &apart) != SL_OK)
        return 0;
    uint8_t *wire = malloc(bytes + 1); /* aligned, and of its very size */
    memcpy(wire, data + 2, bytes);
    if (sl_values_count(wire, bytes, &count) == SL_OK) {
        sl_value *values = calloc(count + 1, sizeof *values);
        if (sl_values_decode(wire, bytes, apart, data[1] & 1, values) == SL_OK) {
            for (size_t i = 0; i < count; i++)
                touch(&values[i]);
            encode_again(values, count);
        }
        free(values);
    }
    free(wire);
    sl_blob_release(apart);
    return 0;
}
