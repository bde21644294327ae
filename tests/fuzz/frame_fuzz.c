/* Frames and bulk data into a node. The input is a list of operations: a byte that says which, two
 * bytes of length, the data. Frames may have their head put right, so that the fuzzer reaches what
 * lies behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/node.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/test_msgs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { PEER = 1, NODES = 2, BULK_MOST_BYTES = 1 << 14 };

static sl_err reader_receive(sl_actor *self, void *state, const sl_message *message) {
    sl_strbuf json;
    (void)self, (void)state;
    sl_strbuf_init(&json, 0);
    sl_record_json(&message->type->record, message->body, &json);
    sl_strbuf_fini(&json);
    return SL_OK;
}

static const sl_actor_class reader_class = {.name = "reader", .receive = reader_receive};

typedef struct session {
    fake_transport *fake;
    sl_node *node;
    uint64_t sequence[SL_LANES];
} session;

static void frame(session *s, const uint8_t *data, size_t bytes, bool put_right) {
    uint8_t copy[FAKE_FRAME_BYTES];
    if (bytes > sizeof copy)
        bytes = sizeof copy;
    memcpy(copy, data, bytes);
    if (put_right && bytes >= sizeof(sl_frame_head)) {
        sl_frame_head head;
        memcpy(&head, copy, sizeof head);
        head = (sl_frame_head){.magic = SL_FRAME_MAGIC,
                               .version = SL_FRAME_VERSION,
                               .lane = head.lane % SL_LANES,
                               .bytes = (uint32_t)bytes,
                               .incarnation = 1,
                               .flags = head.flags,
                               .records = head.records,
                               .sequence = s->sequence[head.lane % SL_LANES]++};
        memcpy(copy, &head, sizeof head);
    }
    fake_frame(s->fake, PEER, copy, bytes);
}

static void bulk(session *s, const uint8_t *data, size_t bytes) {
    uint64_t id, wanted;
    sl_blob *blob;
    if (!fake_expected(s->fake, PEER, &id, &wanted) || wanted > BULK_MOST_BYTES)
        return;
    if (sl_blob_create(wanted, &blob) != SL_OK)
        return;
    memset(blob->data, 0, wanted);
    memcpy(blob->data, data, bytes < wanted ? bytes : wanted);
    fake_bulk(s->fake, PEER, id, blob);
}

static void operation(session *s, uint8_t what, const uint8_t *data, size_t bytes) {
    if (what % 4 == 0)
        frame(s, data, bytes, false);
    else if (what % 4 == 1)
        frame(s, data, bytes, true);
    else if (what % 4 == 2)
        bulk(s, data, bytes);
    else
        sl_node_turn(s->node);
}

static session session_open(void) {
    static FILE *nowhere;
    session s = {.fake = fake_transport_create(NODES)};
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_ERROR});
    sl_node_options options = {
        .transport = fake_transport_base(s.fake), .incarnation = 1, .blob_window_bytes = 1 << 20};
    if (sl_node_create(&options, &s.node) != SL_OK ||
        sl_node_spawn(s.node, SL_SLOT_FIRST_FREE, &reader_class, NULL, 0, NULL) != SL_OK)
        abort();
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    session s = session_open();
    while (bytes >= 3) {
        size_t length = data[1] | (size_t)data[2] << 8;
        uint8_t what = data[0];
        data += 3, bytes -= 3;
        if (length > bytes)
            length = bytes;
        operation(&s, what, data, length);
        data += length, bytes -= length;
    }
    for (int i = 0; i < 10 && sl_node_turn(s.node); i++) {
    }
    sl_node_destroy(s.node);
    if (sl_blob_alive_bytes())
        abort();
    return 0;
}
