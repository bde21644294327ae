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

/* Of what is kept elsewhere the name. */
static const uint8_t *data_of(const sl_value *value) {
    return value->kept_ ? value->kept_ : value->data;
}

static size_t bytes_of(const sl_value *value) {
    return value->kept_ ? SL_VALUE_NAME_BYTES : value->bytes;
}

static void touch(const sl_value *value) {
    volatile uint8_t sum = 0;
    require(!value->kept_ || !value->data);
    for (size_t i = 0; i < bytes_of(value); i++)
        sum = (uint8_t)(sum + data_of(value)[i]);
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
        require(!again[i].kept_ == !values[i].kept_);
        require(!bytes_of(&values[i]) ||
                memcmp(data_of(&again[i]), data_of(&values[i]), bytes_of(&values[i])) == 0);
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
