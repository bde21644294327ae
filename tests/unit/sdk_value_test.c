/* Values on the wire: round trips, bounds, and what another process may have written instead. */
#include "tests/lib/test.h"

#include "actors/executor/executor_msgs.h"
#include "runtime/rng.h"
#include "sdk/client.h"

enum { MOST = 8 };

static uint8_t *encode(const sl_value *values, size_t count, sl_value_size *size, sl_blob **apart) {
    *apart = NULL;
    if (sl_values_measure(values, count, size) != SL_OK ||
        (size->apart_bytes && sl_blob_create(size->apart_bytes, apart) != SL_OK))
        abort();
    uint8_t *wire = malloc(size->bytes);
    sl_values_encode(values, count, wire, *apart ? (*apart)->data : NULL);
    return wire;
}

static bool same(const sl_value *a, const sl_value *b) {
    const void *data = a->data ? a->data : a->scalar.bytes;
    return a->type == b->type && a->bytes == b->bytes &&
           (a->type != SL_TYPE_ARRAY || (a->dtype == b->dtype && a->dimensions == b->dimensions)) &&
           (!a->dimensions || memcmp(a->shape, b->shape, a->dimensions * sizeof(size_t)) == 0) &&
           (!a->bytes || memcmp(data, b->data, a->bytes) == 0);
}

static void check_round_trip(const sl_value *values, size_t count) {
    sl_value_size size;
    sl_blob *apart;
    sl_value got[MOST];
    size_t found = 0;
    uint8_t *wire = encode(values, count, &size, &apart);
    CHECK_INT(sl_values_count(wire, size.bytes, &found), SL_OK);
    CHECK_INT(found, count);
    CHECK_INT(sl_values_decode(wire, size.bytes, apart, false, got), SL_OK);
    for (size_t i = 0; i < count; i++) {
        CHECK(same(&values[i], &got[i]));
        CHECK((uintptr_t)got[i].data % 8 == 0);
    }
    for (size_t cut = 0; cut < size.bytes; cut++) { /* copied, so that a sanitizer sees its end */
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, wire, cut);
        CHECK(sl_values_decode(part, cut, apart, false, got) != SL_OK);
        free(part);
    }
    free(wire);
    sl_blob_release(apart);
}

TEST(values_come_back_as_they_were) {
    static uint8_t large[3 * SL_VALUE_APART_BYTES];
    float numbers[6] = {1, 2, 3, 4, 5, 6};
    sl_value some[MOST] = {sl_f64(2.5),       sl_bytes("abc", 3),
                           sl_string("text"), sl_array(SL_F32, numbers, 2, (size_t[]){2, 3}),
                           sl_i64(-1),        sl_bytes(NULL, 0),
                           sl_string(""),     sl_array(SL_I16, numbers, 3, (size_t[]){2, 0, 7})};
    for (size_t count = 0; count <= MOST; count++)
        check_round_trip(some, count);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7);
    sl_value apart[4] = {sl_bytes(large, sizeof large), sl_f64(1),
                         sl_bytes(large + 3, SL_VALUE_APART_BYTES + 1),
                         sl_array(SL_U8, large, 1, (size_t[]){SL_VALUE_APART_BYTES})};
    for (size_t count = 1; count <= 4; count++)
        check_round_trip(apart, count);
}

TEST(what_is_no_value_is_refused) {
    sl_value_size size;
    float number = 1;
    sl_value bad[] = {
        {.type = (sl_type)99},
        {.type = SL_TYPE_STRING},
        {.type = SL_TYPE_FUTURE},
        sl_bytes(NULL, 4),
        sl_array((sl_dtype)50, &number, 0, NULL),
        sl_array(SL_F32, &number, SL_DIMENSIONS_MAX + 1, (size_t[SL_DIMENSIONS_MAX + 1]){1}),
        sl_array(SL_F32, &number, 1, NULL),
        sl_array(SL_F32, NULL, 1, (size_t[]){1}),
        sl_array(SL_F64, &number, 2, (size_t[]){SIZE_MAX / 4, 8}),
        {.type = SL_TYPE_ARRAY, .dtype = SL_F32, .bytes = 5, .data = &number},
        sl_bytes(&number, (size_t)SL_BLOB_MAX_BYTES + 1),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(sl_values_measure(&bad[i], 1, &size) != SL_OK);
        CHECK_CONTAINS(sl_err_detail(), "argument 0");
    }
    CHECK_INT(sl_values_measure(bad, SL_ARGS_MAX + 1, &size), SL_ERR_TOO_LARGE);
}

/* Every byte of a message changed in every way that matters: it is refused, or it is a value within
 * its bounds. */
static void check_hostile(uint8_t *wire, size_t bytes, const sl_blob *apart, size_t count) {
    static const uint8_t changes[] = {1, 2, 0x80, 0xff};
    sl_value got[MOST];
    for (size_t at = 8; at < bytes; at++) /* behind the count, for which there is room here */
        for (size_t c = 0; c < sizeof changes; c++) {
            wire[at] ^= changes[c];
            if (sl_values_decode(wire, bytes, apart, true, got) == SL_OK)
                for (size_t i = 0; i < count; i++) {
                    const uint8_t *data = got[i].data;
                    bool here = data >= wire && data + got[i].bytes <= wire + bytes;
                    bool there = apart && data >= apart->data &&
                                 data + got[i].bytes <= apart->data + apart->bytes;
                    CHECK(here || there);
                    CHECK(got[i].dimensions <= SL_DIMENSIONS_MAX);
                }
            wire[at] ^= changes[c];
        }
}

TEST(hostile_values_do_not_decode) {
    static uint8_t large[SL_VALUE_APART_BYTES];
    float numbers[6] = {1, 2, 3, 4, 5, 6};
    sl_value some[4] = {sl_bytes(large, sizeof large), sl_string("text"),
                        sl_array(SL_F32, numbers, 2, (size_t[]){2, 3}), sl_f64(1)};
    sl_value_size size;
    sl_blob *apart, *shorter;
    sl_value got[MOST];
    size_t count;
    uint8_t *wire = encode(some, 4, &size, &apart);
    check_hostile(wire, size.bytes, apart, 4);
    CHECK(sl_values_decode(wire, size.bytes, NULL, false, got) == SL_ERR_DECODE);
    REQUIRE(sl_blob_copy(large, sizeof large - 1, &shorter) == SL_OK);
    CHECK(sl_values_decode(wire, size.bytes, shorter, false, got) == SL_ERR_DECODE);
    wire[0] ^= 1;
    CHECK(sl_values_count(wire, size.bytes, &count) == SL_ERR_DECODE);
    CHECK(sl_values_count(wire, 3, &count) == SL_ERR_DECODE);
    wire[0] ^= 1;
    wire[5] = 0xff; /* the count */
    CHECK(sl_values_count(wire, size.bytes, &count) == SL_ERR_DECODE);
    free(wire);
    sl_blob_release(apart);
    sl_blob_release(shorter);
}

/* Data that are kept elsewhere: their name travels in their place. */
TEST(what_is_kept_elsewhere_is_named) {
    const uint8_t name[SL_VALUE_NAME_BYTES] = "sixteen bytes!!";
    size_t shape[2] = {1000, 1000};
    sl_value some[] = {sl_i64(7), sl_array(SL_F32, sl_value_unwritten, 2, shape), sl_string("kept"),
                       sl_bytes("kept too", 8), sl_f64(1)};
    enum { COUNT = sizeof some / sizeof *some };
    sl_value got[COUNT];
    sl_value_size size;
    sl_blob *apart;
    for (int i = 1; i < 4; i++) {
        some[i].kept_ = name;
        some[i].data = NULL;
    }
    uint8_t *wire = encode(some, COUNT, &size, &apart);
    CHECK(!apart && size.bytes < 400);
    CHECK_INT(sl_values_decode(wire, size.bytes, NULL, false, got), SL_OK);
    for (int i = 0; i < COUNT; i++) {
        bool kept = i > 0 && i < 4;
        CHECK(got[i].type == some[i].type && got[i].bytes == some[i].bytes);
        CHECK(kept == (got[i].kept_ != NULL) && kept == (got[i].data == NULL));
        CHECK(!kept || !got[i].kept_ || memcmp(got[i].kept_, name, sizeof name) == 0);
    }
    CHECK_INT(got[1].shape[1], 1000);
    for (size_t cut = 0; cut < size.bytes; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, wire, cut);
        CHECK(sl_values_decode(part, cut, NULL, false, got) != SL_OK);
        free(part);
    }
    wire[8 + 3] = 2;        /* where the data of the first are … */
    wire[8] = SL_TYPE_NONE; /* … which is nothing */
    CHECK(sl_values_decode(wire, size.bytes, NULL, false, got) != SL_OK);
    free(wire);
}

TEST(types_are_named_in_errors) {
    char text[128];
    float numbers[6] = {0};
    sl_value array = sl_array(SL_F32, numbers, 2, (size_t[]){2, 3}), number = sl_i64(1);
    CHECK_STR(sl_value_describe(&array, text, sizeof text), "an array f32[2, 3]");
    CHECK_STR(sl_value_describe(&array, text, 12), "an array f3");
    CHECK(sl_value_as_array(&array, SL_F32, "it") == (const void *)numbers);
    CHECK(sl_value_as_array(&array, SL_F64, "argument 2 of task x") == NULL);
    CHECK_STR(sl_err_detail(), "argument 2 of task x is an array f32[2, 3], not an array f64");
    CHECK(sl_value_as_scalar(&number, SL_F64, "it") == NULL);
    CHECK_STR(sl_err_detail(), "it is a number i64, not a number f64");
    CHECK(sl_value_as(&array, SL_TYPE_BYTES, "it") == NULL);
    CHECK_STR(sl_dtype_name(SL_BF16), "bf16");
    CHECK_STR(sl_dtype_name((sl_dtype)77), "no dtype");
    CHECK_INT(sl_dtype_bytes(SL_F64), 8);
    CHECK_INT(sl_value_count(&array), 6);
    CHECK_INT(sl_value_count(&number), 1);
}

/* What the API writes by hand is what the executor decodes. */
TEST(a_payload_is_an_executor_function) {
    sl_task task = {.name = "some.task"};
    uint8_t wire[128];
    size_t bytes = sl_client_payload_bytes(task.name, 5), memory;
    memcpy(sl_client_payload_head(wire, task.name, 5), "abcde", 5);
    REQUIRE(sl_record_measure(&executor_function_record, wire, bytes, &memory) == SL_OK);
    executor_function *call = malloc(memory);
    REQUIRE(sl_record_decode(&executor_function_record, wire, bytes, call, NULL) == SL_OK);
    CHECK_STR(call->name.data, "some.task");
    CHECK_INT(call->arguments.bytes, 5);
    CHECK(memcmp(call->arguments.data, "abcde", 5) == 0);
    free(call);
}
