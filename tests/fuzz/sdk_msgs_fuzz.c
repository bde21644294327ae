/* Bytes as any message of any protocol: the first says which of the types. What decodes must be
 * within its bounds, and encode again to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/registry/registry_msgs.h"
#include "actors/roster/roster_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "actors/store/store_msgs.h"
#include "runtime/runtime_msgs.h"
#include "sdk/actor_msgs.h"
#include "sdk/client_msgs.h"
#include "sdk/run_msgs.h"
#include "sdk/simulation_msgs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TYPES_MOST = 256 };

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
    require(parts.count || sl_record_wire_bytes(record, memory) == size);
    uint8_t *again = malloc(size + 1);
    if (!parts.count) { /* else blobs are still to come */
        require(sl_record_encode(record, memory, again, &parts) == again + size);
        require(memcmp(again, data, size) == 0);
    }
    sl_strbuf json;
    sl_strbuf_init(&json, 1 << 20);
    sl_record_json(record, memory, &json);
    sl_strbuf_fini(&json);
    sl_record_release(record, memory);
    free(again);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* One of each protocol, so that the linker takes them all. */
    static const sl_message_type *const volatile protocols[] = {
        &node_stop_type,  &registry_gossip_type, &scheduler_submit_type, &executor_assign_type,
        &run_signal_type, &simulation_say_type,  &client_left_type,      &store_get_type,
        &actor_tell_type, &roster_ask_type};
    static const sl_message_type *types[TYPES_MOST];
    static size_t count;
    if (!count)
        count = protocols[0] ? sl_message_types(types, TYPES_MOST) : 0;
    require(count > sizeof protocols / sizeof *protocols && count < TYPES_MOST);
    if (size)
        try_type(types[data[0] % count], data + 1, size - 1);
    return 0;
}
