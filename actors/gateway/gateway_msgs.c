#include "actors/gateway/gateway_msgs.h"

#include <stdlib.h>
#include <string.h>

#define SL_PROTOCOL "actors/gateway/gateway_msgs.def"
#include "runtime/protocol_define.h"

static const sl_record *const records[SL_GATEWAY_KINDS] = {
    [SL_GATEWAY_HELLO] = &gateway_hello_record,     [SL_GATEWAY_WELCOME] = &gateway_welcome_record,
    [SL_GATEWAY_SUBMIT] = &gateway_submit_record,   [SL_GATEWAY_RESULTS] = &gateway_results_record,
    [SL_GATEWAY_CANCEL] = &gateway_cancel_record,   [SL_GATEWAY_ASK] = &gateway_ask_record,
    [SL_GATEWAY_STATUS] = &gateway_status_record,   [SL_GATEWAY_PUT] = &gateway_put_record,
    [SL_GATEWAY_PIECE] = &gateway_piece_record,     [SL_GATEWAY_READ] = &gateway_read_record,
    [SL_GATEWAY_RELEASE] = &gateway_release_record, [SL_GATEWAY_OBJECT] = &gateway_object_record,
    [SL_GATEWAY_RUN] = &gateway_run_record,         [SL_GATEWAY_NAMED] = &gateway_named_record,
    [SL_GATEWAY_ENDED] = &gateway_ended_record,     [SL_GATEWAY_FORGET] = &gateway_forget_record,
    [SL_GATEWAY_LOOK] = &gateway_look_record,       [SL_GATEWAY_SEEN] = &gateway_seen_record,
    [SL_GATEWAY_LOGS] = &gateway_logs_record,       [SL_GATEWAY_LOG] = &gateway_log_record,
    [SL_GATEWAY_TAKEN] = &gateway_taken_record,     [SL_GATEWAY_BYE] = &gateway_bye_record,
    [SL_GATEWAY_WHO] = &gateway_who_record,         [SL_GATEWAY_NODES] = &gateway_nodes_record,
    [SL_GATEWAY_ORDER] = &gateway_order_record,     [SL_GATEWAY_ORDERED] = &gateway_ordered_record,
    [SL_GATEWAY_SPAWN] = &gateway_spawn_record,     [SL_GATEWAY_LETTER] = &gateway_letter_record,
    [SL_GATEWAY_FIND] = &gateway_find_record,       [SL_GATEWAY_COLLECT] = &gateway_collect_record,
};

const sl_record *sl_gateway_record(sl_gateway_kind kind) {
    return kind < SL_GATEWAY_KINDS ? records[kind] : NULL;
}

sl_err sl_gateway_take_apart(const uint8_t *bytes, size_t size, sl_gateway_parts *parts) {
    uint32_t record_bytes;
    if (size < SL_GATEWAY_HEAD_BYTES || bytes[0] == 0 || bytes[0] >= SL_GATEWAY_KINDS || bytes[1] ||
        bytes[2] || bytes[3])
        return sl_fail(SL_ERR_DECODE, "no message of a gateway");
    memcpy(&record_bytes, bytes + 4, sizeof record_bytes);
    size_t rest = size - SL_GATEWAY_HEAD_BYTES;
    if (record_bytes > rest)
        return sl_fail(SL_ERR_DECODE, "a record of %u bytes in a message of %zu", record_bytes,
                       size);
    *parts = (sl_gateway_parts){.kind = (sl_gateway_kind)bytes[0],
                                .record = bytes + SL_GATEWAY_HEAD_BYTES,
                                .record_bytes = record_bytes,
                                .data = bytes + SL_GATEWAY_HEAD_BYTES + record_bytes,
                                .data_bytes = rest - record_bytes};
    return SL_OK;
}

static sl_err decode(const sl_gateway_parts *parts, sl_gateway_kind kind, void **record) {
    size_t bytes;
    if (parts->kind != kind || !records[kind])
        return sl_fail(SL_ERR_DECODE, "a message of kind %d, where %d is due", parts->kind, kind);
    SL_TRY(sl_record_measure(records[kind], parts->record, parts->record_bytes, &bytes));
    void *memory = malloc(bytes);
    if (!memory)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message of %zu bytes", bytes);
    sl_err err = sl_record_decode(records[kind], parts->record, parts->record_bytes, memory, NULL);
    if (err == SL_OK)
        *record = memory;
    else
        free(memory);
    return err;
}

void *sl_gateway_decode(const sl_gateway_parts *parts, sl_gateway_kind kind) {
    void *record = NULL;
    return decode(parts, kind, &record) == SL_OK ? record : NULL;
}

void sl_gateway_head(uint8_t out[SL_GATEWAY_HEAD_BYTES], sl_gateway_kind kind, uint32_t bytes) {
    memset(out, 0, SL_GATEWAY_HEAD_BYTES);
    out[0] = (uint8_t)kind;
    memcpy(out + 4, &bytes, sizeof bytes);
}

uint8_t *sl_gateway_encode(sl_gateway_kind kind, const void *record, size_t *size) {
    sl_record_size of;
    if (sl_record_survey(records[kind], record, &of) != SL_OK)
        return NULL;
    uint8_t *out =
        of.wire_bytes <= UINT32_MAX ? malloc(SL_GATEWAY_HEAD_BYTES + of.wire_bytes) : NULL;
    if (!out) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "no memory for a message of %zu bytes", of.wire_bytes);
        return NULL;
    }
    sl_gateway_head(out, kind, (uint32_t)of.wire_bytes);
    sl_record_encode(records[kind], record, out + SL_GATEWAY_HEAD_BYTES, NULL);
    *size = SL_GATEWAY_HEAD_BYTES + of.wire_bytes;
    return out;
}
