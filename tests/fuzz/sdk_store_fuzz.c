/* A node's store, objects of its own and others', and peers that say well-formed messages of any
 * content to it: none may harm it, whatever is asked for, held, let go of or answered, and whoever
 * is lost meanwhile. The input is a list of operations; how many messages there were in all is said
 * at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/store/store.h"
#include "actors/store/store_msgs.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/record.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 3, OBJECTS = 8, OPERATIONS_MOST = 96, OBJECT_MOST_BYTES = 300, LIMIT_BYTES = 4096 };

static void require(bool holds) {
    if (!holds)
        abort();
}

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_store *store;
    sl_store_object *objects[OBJECTS];
    bool pinned[OBJECTS];
    uint64_t sequence[NODES][SL_LANES];
} stage;

static unsigned long long said;
static sl_blob *small; /* of every message that has one */

static void tell_said(void) {
    fprintf(stderr, "messages: %llu\n", said);
    sl_blob_release(small);
}

static void turn(stage *s) {
    sl_err err = SL_OK;
    uint32_t code;
    for (int i = 0; i < 8 && sl_node_turn(s->node); i++) {
    }
    if (sl_node_closed(s->node, &err, &code))
        require(err == SL_OK);
}

/* ---- what peers say ---- */

static const sl_message_type *const types[] = {
    &store_get_type,    &store_object_type,  &store_place_type, &store_hold_type,
    &store_answer_type, &store_release_type, &store_given_type};

/* Mostly what there is: small numbers of objects, of this life of the node. */
static bool known(maker *m, const sl_record *record, const sl_field *field, void *at, int depth) {
    uint8_t first = maker_byte(m);
    (void)record, (void)depth;
    if (field->kind == SL_KIND_BLOB)
        *(sl_blob **)at = first % 4 ? small : NULL;
    else if (strcmp(field->name, "incarnation") == 0 && first < 0xe0)
        *(uint32_t *)at = 1;
    else if (strcmp(field->name, "cookie") == 0 && first < 0xe0)
        *(uint64_t *)at = 1 + first % 8;
    else if (strcmp(field->name, "sequence") == 0 && first < 0xe0)
        *(uint64_t *)at = 1 + first % OBJECTS;
    else if (strcmp(field->name, "most_bytes") == 0 && first < 0x80)
        *(uint64_t *)at = UINT64_MAX;
    else
        return false;
    return true;
}

static void say(stage *s, maker *in) {
    uint32_t peer = 1 + maker_byte(in) % (NODES - 1);
    const sl_message_type *type = types[maker_byte(in) % (sizeof types / sizeof *types)];
    void *body = maker_begin(in, &type->record);
    size_t bytes = sl_record_wire_bytes(&type->record, body);
    if (sl_record_check(&type->record, body) != SL_OK || bytes > FAKE_FRAME_BYTES - 200)
        return;
    uint8_t wire[FAKE_FRAME_BYTES];
    sl_blob_parts parts = {.count = 0};
    require(sl_record_encode(&type->record, body, wire, &parts) == wire + bytes);
    fake_writer w;
    fake_begin(&w, type->lane, s->sequence[peer][type->lane]++);
    fake_record(&w, type->id, (sl_addr){0, SL_SLOT_STORE, 0}, 0, wire, bytes);
    fake_frame(s->fake, peer, w.frame, w.bytes);
    said++;
    turn(s);
}

/* ---- what the program does ---- */

static void let_go(stage *s, uint32_t i) {
    if (s->pinned[i])
        sl_store_unpin(s->objects[i]);
    s->pinned[i] = false;
    sl_store_object_release(s->objects[i]);
    s->objects[i] = NULL;
}

static void make(stage *s, uint32_t i, uint8_t how) {
    sl_store_type type = {.kind = 1, .dtype = how % 4};
    sl_err err = sl_store_make(s->store, &type, how % OBJECT_MOST_BYTES, &s->objects[i]);
    require(err == SL_OK || err == SL_ERR_NO_MEMORY);
    if (err != SL_OK)
        return;
    memset(sl_store_data(s->objects[i]), how, how % OBJECT_MOST_BYTES);
    if (how % 8)
        require(sl_store_seal(s->objects[i]) == SL_OK);
}

static void open_foreign(stage *s, uint32_t i, uint8_t how) {
    sl_store_id id = {how % NODES, 1 + how / 16 % 2, 1 + how / 4 % OBJECTS};
    if (sl_store_open(s->store, id, how & 0x80, &s->objects[i]) != SL_OK)
        s->objects[i] = NULL;
}

static void use(stage *s, uint32_t i, uint8_t how) {
    sl_store_content content;
    sl_store_object *object = s->objects[i];
    if (how % 4 == 0) {
        sl_store_expect(object);
    } else if (how % 4 == 1) {
        (void)!sl_store_hold(object, how / 4 % NODES, 0);
    } else if (how % 4 == 2 && !s->pinned[i]) {
        s->pinned[i] = sl_store_get(object, 0, &content) == SL_OK;
        if (s->pinned[i])
            require(content.bytes == 0 || content.data != NULL);
    } else if (s->pinned[i]) {
        sl_store_unpin(object);
        s->pinned[i] = false;
    }
}

static void operation(stage *s, maker *in) {
    uint8_t what = maker_byte(in) % 16, how = maker_byte(in);
    uint32_t i = maker_byte(in) % OBJECTS;
    if (what < 9) {
        say(s, in);
        return;
    }
    if (what == 15)
        fake_lost(s->fake, 1 + how % (NODES - 1));
    else if (what == 14)
        fake_bulk_sent(s->fake);
    else if (s->objects[i] && what < 12)
        use(s, i, how);
    else if (s->objects[i])
        let_go(s, i);
    else if (what % 2)
        make(s, i, how);
    else
        open_foreign(s, i, how);
    turn(s);
}

/* ---- opening and closing ---- */

static void stage_open(stage *s) {
    static FILE *nowhere;
    if (!nowhere) {
        nowhere = fopen("/dev/null", "we");
        require(nowhere && sl_blob_copy("some content", 12, &small) == SL_OK);
        atexit(tell_said);
    }
    *s = (stage){.fake = fake_transport_create(NODES)};
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_ERROR});
    sl_node_options options = {.transport = fake_transport_base(s->fake), .incarnation = 1};
    sl_store_options store = {.nodes = NODES, .incarnation = 1, .limit_bytes = LIMIT_BYTES};
    require(sl_node_create(&options, &s->node) == SL_OK);
    require(sl_store_create(&store, &s->store) == SL_OK);
    require(sl_node_spawn(s->node, SL_SLOT_STORE, &sl_store_class, &s->store, sizeof s->store,
                          NULL) == SL_OK);
    for (uint32_t i = 0; i < 3; i++)
        make(s, i, (uint8_t)(41 + 2 * i));
    turn(s);
}

static void stage_close(stage *s, bool actor_first) {
    for (uint32_t i = 0; !actor_first && i < OBJECTS; i++)
        let_go(s, i);
    turn(s);
    sl_node_destroy(s->node);
    for (uint32_t i = 0; i < OBJECTS; i++)
        let_go(s, i);
    sl_store_release(s->store);
    require(sl_blob_alive_bytes() == small->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static stage s;
    static maker in = {.nodes = NODES, .slots = 10, .known = known};
    in.at = data, in.end = data + size;
    stage_open(&s);
    for (int i = 0; i < OPERATIONS_MOST && in.at < in.end; i++)
        operation(&s, &in);
    stage_close(&s, size % 2);
    return 0;
}
