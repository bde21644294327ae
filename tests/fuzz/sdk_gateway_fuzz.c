/* A whole gateway and clients that wish it ill: bytes of links, through the reader of frames and a
 * door that is all in memory, into the real actor, with a scheduler that does as the input says.
 * The input is a list of operations; what clients say is made of the table of messages, so a new
 * message is tried from its first day, or is any bytes.
 *
 * Whatever they say: what the gateway answers decodes; nothing follows a link's end; a task has at
 * most one result, and exactly one in the end, if its client is still there; the scheduler is asked
 * for no tag twice, and all it was asked for ends; objects are written and read within their
 * bounds, and all are released. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "runtime/record.h"
#include "tests/lib/gateway_stage.h"
#include "tests/lib/heap_actors.h"
#include "tests/lib/heap_objects.h"
#include "tests/lib/made_keys.h"
#include "tests/lib/maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS_MOST = 96, SAID_BYTES = 1 << 15, DATA_MOST = 64 };

static void require(bool holds) {
    if (!holds)
        abort();
}

/* ---- what clients say ---- */

/* Mostly what gets further: objects in their order, and of those there are. */
static bool known_of_object(client *c, const sl_record *record, const sl_field *field, void *at,
                            uint8_t first) {
    bool is_put = record == &gateway_put_record, is_piece = record == &gateway_piece_record;
    if (!is_put && !is_piece && record != &gateway_read_record && record != &gateway_release_record)
        return false;
    if (strcmp(field->name, "number") == 0 && is_put)
        *(uint64_t *)at = c->put + 1;
    else if (strcmp(field->name, "number") == 0)
        *(uint64_t *)at = is_piece || first % 4 ? c->put : SL_GATEWAY_OBJECT_OWN + 1 + first % 3;
    else if (strcmp(field->name, "offset") == 0 && is_piece)
        *(uint64_t *)at = c->put_got;
    else if (is_put && strcmp(field->name, "bytes") == 0)
        *(uint64_t *)at = first % DATA_MOST;
    else
        return false;
    return true;
}

/* Letters mostly to actors that there are, and taken. */
static bool known_of_letter(client *c, const sl_field *field, void *at, uint8_t first) {
    sl_gateway_ref ref = heap_actors_some(first % 4);
    if (strcmp(field->name, "life") == 0)
        *(uint64_t *)at = ref.life;
    else if (strcmp(field->name, "actor") == 0)
        *(uint64_t *)at = ref.number;
    else if (strcmp(field->name, "home") == 0 || strcmp(field->name, "node") == 0)
        *(uint32_t *)at = ref.home;
    else if (strcmp(field->name, "refusals") == 0)
        *(uint64_t *)at = c->refusals;
    else if (strcmp(field->name, "what") == 0)
        *(uint8_t *)at = first % 32 ? first % SL_GATEWAY_WHATS : SL_GATEWAY_CALL;
    else
        return false;
    return true;
}

static bool known_text(const sl_field *field, sl_text *at, uint8_t first) {
    static const char *const names[] = {"", "one", "two", "three"};
    if (strcmp(field->name, "name") == 0 || strcmp(field->name, "kind") == 0) {
        *at = sl_text_of(names[first % 4]);
        return true;
    }
    if (strcmp(field->name, "key") == 0)
        *at = sl_text_of(made_key(first));
    else if (strcmp(field->name, "project") == 0)
        *at = sl_text_of(first % 8 ? "p" : "q");
    else if (strcmp(field->name, "session") == 0)
        *at = sl_text_of(first % 8 ? "" : the_stage.session);
    else
        return false;
    return true;
}

static bool known_bytes(maker *m, const sl_field *field, sl_bytes *at, uint8_t first) {
    const client *c = m->context;
    uint8_t *name = maker_take(m, 2);
    if (strcmp(field->name, "arguments") != 0 || first % 2 || !name)
        return false;
    name[0] = HEAP_OBJECTS_NAME, name[1] = (uint8_t)c->put;
    *at = (sl_bytes){name, 2};
    return true;
}

/* A key that there is, tasks and commands in their order. */
static bool known(maker *m, const sl_record *record, const sl_field *field, void *at, int depth) {
    client *c = m->context;
    uint8_t first = maker_byte(m);
    (void)depth;
    if (first >= 0xe0)
        return false;
    if (field->kind == SL_KIND_TEXT)
        return known_text(field, at, first);
    if (field->kind == SL_KIND_BYTES)
        return known_bytes(m, field, at, first);
    if (record == &gateway_hello_record && strcmp(field->name, "version") == 0)
        *(uint32_t *)at = SL_GATEWAY_VERSION;
    else if ((record == &gateway_task_record || record == &gateway_command_record ||
              record == &gateway_spawn_record || record == &gateway_letter_record ||
              record == &gateway_find_record || record == &gateway_collect_record) &&
             strcmp(field->name, "number") == 0)
        *(uint64_t *)at = c->last += 1 + first % 2;
    else if (record == &gateway_collect_record)
        *(uint64_t *)at = the_stage.named - first % 2;
    else if (record == &gateway_letter_record)
        return known_of_letter(c, field, at, first);
    else
        return known_of_object(c, record, field, at, first);
    return true;
}

static size_t put_frame(uint8_t *to, sl_frame_kind kind, uint16_t stream, const void *payload,
                        size_t bytes) {
    sl_frame_put_head(to, kind, stream, (uint32_t)bytes);
    memcpy(to + SL_FRAME_HEAD_BYTES, payload, bytes);
    return SL_FRAME_HEAD_BYTES + bytes;
}

/* In one frame, or as a stream of several. */
static void hear_framed(client *c, maker *in, const uint8_t *message, size_t bytes) {
    static uint8_t frames[2 * SAID_BYTES];
    uint8_t how = maker_byte(in);
    size_t at, some = 0;
    uint16_t stream = how % SL_FRAME_STREAMS;
    if (how < 0xc0) {
        stage_hear(c, frames, put_frame(frames, SL_FRAME_WHOLE, 0, message, bytes));
        return;
    }
    uint64_t whole = bytes;
    uint8_t *first = frames + SAID_BYTES;
    memcpy(first, &whole, sizeof whole);
    some = bytes / 2;
    memcpy(first + sizeof whole, message, some);
    at = put_frame(frames, SL_FRAME_BEGIN, stream, first, sizeof whole + some);
    at += put_frame(frames + at, SL_FRAME_MORE, stream, message + some, bytes - some);
    stage_hear(c, frames, at);
}

/* Whole, or in parts as a session has them: its length, then two halves. */
static void hear_message(client *c, maker *in, const uint8_t *message, size_t bytes, bool cut) {
    static uint8_t part[SL_GATEWAY_HEAD_BYTES + SAID_BYTES];
    uint64_t whole = bytes;
    if (!cut) {
        hear_framed(c, in, message, bytes);
        return;
    }
    sl_gateway_head(part, SL_GATEWAY_LONG, 0);
    memcpy(part + SL_GATEWAY_HEAD_BYTES, &whole, sizeof whole);
    hear_framed(c, in, part, SL_GATEWAY_HEAD_BYTES + sizeof whole);
    sl_gateway_head(part, SL_GATEWAY_MORE, 0);
    memcpy(part + SL_GATEWAY_HEAD_BYTES, message, bytes / 2);
    hear_framed(c, in, part, SL_GATEWAY_HEAD_BYTES + bytes / 2);
    memcpy(part + SL_GATEWAY_HEAD_BYTES, message + bytes / 2, bytes - bytes / 2);
    hear_framed(c, in, part, SL_GATEWAY_HEAD_BYTES + bytes - bytes / 2);
}

static sl_gateway_kind some_kind(const client *c, uint8_t which) {
    if (which >= 0x80)
        return c->welcomed ? SL_GATEWAY_SUBMIT : SL_GATEWAY_HELLO;
    return 1 + which % (SL_GATEWAY_KINDS - 1);
}

/* A part alone has no record: only what is behind it. */
static bool make_message(maker *in, sl_gateway_kind kind, uint8_t *to, size_t *bytes) {
    const sl_record *record = sl_gateway_record(kind);
    *bytes = SL_GATEWAY_HEAD_BYTES;
    sl_gateway_head(to, kind, 0);
    if (!record)
        return true;
    void *body = maker_begin(in, record);
    if (sl_record_check(record, body) != SL_OK ||
        sl_record_wire_bytes(record, body) > SAID_BYTES / 2)
        return false;
    uint8_t *message = sl_gateway_encode(kind, body, bytes);
    require(message != NULL);
    memcpy(to, message, *bytes);
    free(message);
    return true;
}

static void say_message(client *c, maker *in) {
    static uint8_t message[SAID_BYTES];
    sl_gateway_kind kind = some_kind(c, maker_byte(in));
    uint8_t data = maker_byte(in);
    size_t bytes, behind = data >= 0x80 ? data % DATA_MOST : 0;
    in->context = c;
    if (!make_message(in, kind, message, &bytes))
        return;
    if (kind == SL_GATEWAY_PIECE && data % 4 && c->put_bytes - c->put_got <= DATA_MOST)
        behind = c->put_bytes - c->put_got;
    while (behind-- > 0)
        message[bytes++] = maker_byte(in);
    hear_message(c, in, message, bytes, data % 16 == 15);
}

/* Any bytes: of a message, or of the link. */
static void say_bytes(client *c, maker *in, bool framed) {
    size_t bytes = maker_byte(in), left = (size_t)(in->end - in->at);
    bytes = bytes < left ? bytes : left;
    const uint8_t *data = in->at;
    in->at += bytes;
    if (framed)
        hear_framed(c, in, data, bytes);
    else
        stage_hear(c, data, bytes);
}

/* The scheduler answers at once, or is slow. */
static void answer_as(uint8_t how) {
    if (how % 4 < 2)
        the_stage.is_slow = how % 4;
    else
        stage_order(how % 4 == 2 ? ORDER_ACCEPT : ORDER_REFUSE);
}

static void operation(maker *in) {
    uint8_t what = maker_byte(in);
    client *c = &the_stage.clients[what >> 4 & (CLIENTS - 1)];
    what %= 16;
    if (what < 2)
        stage_come(c, maker_byte(in));
    else if (what < 8)
        say_message(c, in);
    else if (what < 10)
        say_bytes(c, in, what == 8);
    else if (what == 10)
        stage_deafen(c, maker_byte(in) & 1);
    else if (what == 11)
        stage_leave(c);
    else if (what == 12)
        answer_as(maker_byte(in));
    else if (what < 15) {
        the_stage.status = maker_byte(in) % SL_TASK_STATUSES;
        the_stage.with_data = what == 14;
        the_stage.with_object = maker_byte(in) & 1;
        stage_order(ORDER_END);
    } else {
        the_stage.now_ns += (uint64_t)maker_byte(in) * 100 * SL_NS_PER_MS;
        stage_turn();
    }
    if (the_stage.asked_count && !the_stage.is_slow)
        stage_order(ORDER_ACCEPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static maker in = {.nodes = 1, .slots = 8, .known = known};
    in.at = data, in.end = data + size;
    stage_open();
    for (int i = 0; i < OPERATIONS_MOST && in.at < in.end; i++)
        operation(&in);
    stage_close(size % 4 != 0);
    return 0;
}
