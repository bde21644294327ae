/* Every registered message: round trip, copy, cut at every byte, flipped bits. */
#include "tests/lib/test.h"

#include "runtime/record.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/test_msgs.h"

enum { ROUNDS = 40, MOST_TYPES = 256 };

typedef struct encoded {
    uint8_t *wire;
    size_t bytes;
    sl_blob_parts parts;
} encoded;

static encoded encode(const sl_record *record, const void *body) {
    encoded out = {.bytes = sl_record_wire_bytes(record, body), .parts = {.next_id = 100}};
    out.wire = malloc(out.bytes + 1);
    uint8_t *end = sl_record_encode(record, body, out.wire, &out.parts);
    CHECK_INT(end - out.wire, out.bytes);
    return out;
}

static void *decode(const sl_record *record, const uint8_t *wire, size_t bytes,
                    sl_blob_parts *parts) {
    size_t memory_bytes;
    if (sl_record_measure(record, wire, bytes, &memory_bytes) != SL_OK)
        return NULL;
    void *memory = malloc(memory_bytes + 1);
    parts->count = 0;
    CHECK_INT(sl_record_decode(record, wire, bytes, memory, parts), SL_OK);
    return memory;
}

static sl_blob **blob_at(const void *body, uint32_t offset) {
    return (sl_blob **)((uintptr_t)body + offset);
}

static void round_trip(const sl_message_type *type, sl_rng *rng) {
    const sl_record *record = &type->record;
    void *body = sl_record_generate(record, rng);
    CHECK_INT(sl_record_check(record, body), SL_OK);
    encoded wire = encode(record, body);
    sl_blob_parts parts;
    void *back = decode(record, wire.wire, wire.bytes, &parts);
    REQUIRE(back);
    CHECK_INT(parts.count, wire.parts.count);
    for (uint32_t i = 0; i < parts.count; i++) {
        CHECK_INT(parts.part[i].id, 100 + i);
        *blob_at(back, parts.part[i].offset) =
            sl_blob_retain(*blob_at(body, wire.parts.part[i].offset));
    }
    CHECK(sl_record_equal(record, body, back));

    void *copy = malloc(sl_record_memory_bytes(record, body) + 1);
    sl_record_copy(record, body, copy);
    CHECK(sl_record_equal(record, body, copy));

    sl_strbuf json;
    sl_strbuf_init(&json, 1 << 20);
    sl_record_json(record, body, &json);
    CHECK(json.length >= 2 && json.data[0] == '{' && json.data[json.length - 1] == '}');
    sl_strbuf_fini(&json);
    sl_record_release(record, copy);
    sl_record_release(record, back);
    sl_record_release(record, body);
    free(copy), free(back), free(body), free(wire.wire);
}

static size_t all_types(const sl_message_type **types) {
    CHECK(test_number_type.id && node_stop_type.id); /* link both protocols in */
    return sl_message_types(types, MOST_TYPES);
}

TEST(every_type_survives_the_wire_and_a_copy) {
    const sl_message_type *types[MOST_TYPES];
    size_t count = all_types(types);
    CHECK(count >= 8);
    sl_rng rng;
    sl_rng_seed(&rng, 42);
    for (size_t i = 0; i < count; i++)
        for (int round = 0; round < ROUNDS; round++)
            round_trip(types[i], &rng);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

TEST(a_survey_says_what_encoding_and_copying_take) {
    const sl_message_type *types[MOST_TYPES];
    size_t count = all_types(types), memory_bytes;
    sl_rng rng;
    sl_rng_seed(&rng, 45);
    for (size_t i = 0; i < count; i++) {
        const sl_record *record = &types[i]->record;
        void *body = sl_record_generate(record, &rng);
        encoded wire = encode(record, body);
        sl_record_size size;
        CHECK_INT(sl_record_survey(record, body, &size), SL_OK);
        CHECK_INT(size.wire_bytes, wire.bytes);
        CHECK_INT(size.memory_bytes, sl_record_memory_bytes(record, body));
        CHECK_INT(sl_record_measure(record, wire.wire, wire.bytes, &memory_bytes), SL_OK);
        CHECK_INT(size.memory_bytes, memory_bytes);
        sl_record_release(record, body);
        free(body), free(wire.wire);
    }
}

/* Neighbouring scalars are measured together, and still told apart. */
TEST(a_cut_message_names_the_field_it_ends_in) {
    test_everything body = {.text = {"abc", 3}};
    const sl_record *record = &test_everything_type.record;
    encoded wire = encode(record, &body);
    size_t bytes = 0, memory_bytes;
    for (uint32_t i = 0; i < record->field_count && sl_kind_bytes(record->fields[i].kind); i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "test_everything.%s: the data ends too early",
                 record->fields[i].name);
        CHECK_INT(sl_record_measure(record, wire.wire, bytes, &memory_bytes), SL_ERR_DECODE);
        CHECK_STR(sl_err_detail(), expected);
        bytes += sl_kind_bytes(record->fields[i].kind);
        CHECK_INT(sl_record_measure(record, wire.wire, bytes - 1, &memory_bytes), SL_ERR_DECODE);
        CHECK_STR(sl_err_detail(), expected);
    }
    CHECK(bytes > 8);
    free(wire.wire);
}

TEST(a_message_cut_anywhere_does_not_decode) {
    const sl_message_type *types[MOST_TYPES];
    size_t count = all_types(types), memory_bytes;
    sl_rng rng;
    sl_rng_seed(&rng, 43);
    for (size_t i = 0; i < count; i++) {
        void *body = sl_record_generate(&types[i]->record, &rng);
        encoded wire = encode(&types[i]->record, body);
        for (size_t bytes = 0; bytes < wire.bytes; bytes++) {
            uint8_t *exact =
                malloc(bytes ? bytes : 1); /* so that a sanitizer sees a read past the end */
            memcpy(exact, wire.wire, bytes);
            CHECK_INT(sl_record_measure(&types[i]->record, exact, bytes, &memory_bytes),
                      SL_ERR_DECODE);
            free(exact);
        }
        uint8_t *longer = realloc(wire.wire, wire.bytes + 1);
        CHECK_INT(sl_record_measure(&types[i]->record, longer, wire.bytes + 1, &memory_bytes),
                  SL_ERR_DECODE);
        sl_record_release(&types[i]->record, body);
        free(body), free(longer);
    }
}

/* A flipped bit may give another valid message; it must never give a crash, or a body over its
 * bounds. */
TEST(flipped_bits_decode_to_something_valid_or_not_at_all) {
    sl_rng rng;
    sl_rng_seed(&rng, 44);
    int refused = 0;
    for (int round = 0; round < 300; round++) {
        void *body = sl_record_generate(&test_everything_type.record, &rng);
        encoded wire = encode(&test_everything_type.record, body);
        wire.wire[sl_rng_below(&rng, wire.bytes)] ^= (uint8_t)(1u << sl_rng_below(&rng, 8));
        sl_blob_parts parts;
        void *back = decode(&test_everything_type.record, wire.wire, wire.bytes, &parts);
        if (back) {
            CHECK_INT(sl_record_check(&test_everything_type.record, back), SL_OK);
            sl_record_release(&test_everything_type.record, back);
        } else
            refused++;
        free(back);
        sl_record_release(&test_everything_type.record, body);
        free(body), free(wire.wire);
    }
    CHECK(refused > 0);
    CHECK_INT(sl_blob_alive_bytes(), 0);
}

TEST(bounds_are_checked_before_sending) {
    static char text[2000];
    test_everything body = {.text = {text, 1001}};
    CHECK_INT(sl_record_check(&test_everything_type.record, &body), SL_ERR_TOO_LARGE);
    CHECK_CONTAINS(sl_err_detail(), "test_everything.text: 1001 is over the bound of 1000");
    test_item item = {.name = {text, 101}};
    body.text.bytes = 1000;
    body.items.items = &item;
    body.items.count = 1;
    CHECK_INT(sl_record_check(&test_everything_type.record, &body), SL_ERR_TOO_LARGE);
    CHECK_CONTAINS(sl_err_detail(), "test_item.name");
}

TEST(json_shows_fields_and_hides_payloads) {
    test_point point = {1, 2};
    test_everything body = {
        .u8 = 7, .text = sl_text_of("a\"b"), .bytes = {(const uint8_t *)"secret", 6}};
    body.points.items = &point;
    body.points.count = 1;
    sl_strbuf json;
    sl_strbuf_init(&json, 4096);
    sl_record_json(&test_everything_type.record, &body, &json);
    CHECK_CONTAINS(json.data, "\"u8\":7");
    CHECK_CONTAINS(json.data, "\"text\":\"a\\\"b\"");
    CHECK_CONTAINS(json.data, "\"bytes\":{\"bytes\":6}");
    CHECK_CONTAINS(json.data, "\"points\":[{\"x\":1");
    CHECK(!strstr(json.data, "secret"));
    sl_strbuf_fini(&json);
}

TEST(flat_types_are_known_as_such) {
    CHECK(test_number_type.record.flat);
    CHECK(test_point_record.flat);
    CHECK(!test_everything_type.record.flat);
    CHECK(test_everything_type.has_blobs);
    CHECK(sl_message_type_of(0xff03) == &test_everything_type);
    CHECK(sl_message_type_of(0xfffe) == NULL);
}
