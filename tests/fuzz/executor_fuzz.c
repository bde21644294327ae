/* Bytes as what crosses into an executor: a spawner's spec, and the payloads of tasks. Whatever
 * decodes must be within its bounds and encode again to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/executor/process_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void try_spec(const uint8_t *data, size_t size) {
    sl_process_spec spec;
    void *arrays;
    if (sl_process_spec_decode(data, size, &spec, &arrays) != SL_OK)
        return;
    unsigned char *again = NULL;
    size_t again_size;
    if (sl_process_check(&spec) == SL_OK)
        require(sl_process_spec_encode(&spec, &again, &again_size) == SL_OK);
    free(again);
    free(arrays);
}

static void try_payload(const sl_record *record, const uint8_t *data, size_t size) {
    size_t memory_bytes;
    if (sl_record_measure(record, data, size, &memory_bytes) != SL_OK)
        return;
    void *memory = malloc(memory_bytes + 1);
    require(sl_record_decode(record, data, size, memory, NULL) == SL_OK);
    require(sl_record_check(record, memory) == SL_OK);
    require(sl_record_wire_bytes(record, memory) == size);
    uint8_t *again = malloc(size + 1);
    require(sl_record_encode(record, memory, again, NULL) == again + size);
    require(memcmp(again, data, size) == 0);
    free(again);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    switch (data[0] % 3) {
    case 0:
        try_spec(data + 1, size - 1);
        break;
    case 1:
        try_payload(&executor_command_record, data + 1, size - 1);
        break;
    default:
        try_payload(&executor_function_record, data + 1, size - 1);
    }
    return 0;
}
