/* Bytes as any message of any protocol: the first two name the type. What decodes must be within
 * its bounds, and encode again to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/registry/registry_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void try_type(const sl_message_type *type, const uint8_t *data, size_t size) {
    const sl_record *record = &type->record;
    size_t memory_bytes;
    if (sl_record_measure(record, data, size, &memory_bytes) != SL_OK)
        return;
    void *memory = malloc(memory_bytes + 1);
    sl_blob_parts parts = {.count = 0};
    require(sl_record_decode(record, data, size, memory, &parts) == SL_OK);
    require(sl_record_check(record, memory) == SL_OK);
    require(sl_record_wire_bytes(record, memory) == size);
    uint8_t *again = malloc(size + 1);
    require(sl_record_encode(record, memory, again, &parts) == again + size);
    require(memcmp(again, data, size) == 0);
    sl_strbuf json;
    sl_strbuf_init(&json, 1 << 20);
    sl_record_json(record, memory, &json);
    sl_strbuf_fini(&json);
    free(again);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const sl_message_type *types[] = {
        &registry_gossip_type,      &registry_view_type,     &registry_free_type,
        &registry_description_type, &scheduler_submit_type,  &scheduler_accepted_type,
        &scheduler_done_type,       &scheduler_cancel_type,  &scheduler_drained_type,
        &scheduler_started_type,    &scheduler_results_type, &scheduler_refused_type,
        &executor_assign_type,      &executor_cancel_type};
    if (size)
        try_type(types[data[0] % (sizeof types / sizeof *types)], data + 1, size - 1);
    return 0;
}
