/* The stored form of a task: what is written is read back, exactly. */
#include "sdk/task_list.h"

#include "tests/lib/task_lists.h"
#include "tests/lib/test.h"

/* Writes every spec of `list`, reads them into a new list, and writes that: both texts must agree.
 */
static void check_round_trip(const sl_task_list *list) {
    sl_task_list *again = new_list(SL_TASKS_JSON, NULL);
    sl_strbuf first, second;
    sl_strbuf_init(&first, 1 << 20);
    sl_strbuf_init(&second, 1 << 20);
    for (uint32_t i = 0; i < sl_task_list_count(list); i++) {
        sl_strbuf_clear(&first);
        sl_task_list_write_json(list, i, &first);
        CHECK_INT(sl_strbuf_err(&first), SL_OK);
        CHECK_INT(sl_task_list_add_stored(again, first.data, first.length), SL_OK);
    }
    CHECK_INT(sl_task_list_finish(again), SL_OK);
    REQUIRE(sl_task_list_count(again) == sl_task_list_count(list));
    for (uint32_t i = 0; i < sl_task_list_count(list); i++) {
        const sl_task_spec *a = sl_task_list_at(list, i), *b = sl_task_list_at(again, i);
        sl_strbuf_clear(&first);
        sl_strbuf_clear(&second);
        sl_task_list_write_json(list, i, &first);
        sl_task_list_write_json(again, i, &second);
        CHECK_STR(second.data, first.data);
        CHECK_INT(b->memory_bytes, a->memory_bytes);
        CHECK_INT(b->ucu_milli, a->ucu_milli);
        CHECK_INT(b->timeout_ns, a->timeout_ns);
        CHECK_INT(b->priority, a->priority);
        CHECK_INT(b->group, a->group);
        CHECK_INT(b->after_count, a->after_count);
        for (uint32_t j = 0; j < a->after_count && j < b->after_count; j++) {
            CHECK_INT(b->after[j].first, a->after[j].first);
            CHECK_INT(b->after[j].count, a->after[j].count);
        }
    }
    sl_strbuf_fini(&first);
    sl_strbuf_fini(&second);
    sl_task_list_destroy(again);
}

TEST(stored_text_in_normal_form) {
    sl_err err = SL_OK;
    static const char text[] =
        "{\"name\":\"a "
        "\xe2\x82\xac\",\"command\":[\"e\\\"\\\\\\n\\u0001\",\"\"],\"cpus\":2,\"gpus\":1,"
        "\"memory_gb\":0.1,\"ucu\":2.445,\"region\":\"r\",\"priority\":-1,\"after\":[\"t1\"],"
        "\"timeout_s\":0.3,\"retries\":1,\"stdin\":{\"file\":\"f\"},\"env\":{\"A\":\"b=c\"},"
        "\"cwd\":\"/\"}";
    char both[sizeof text + 64];
    snprintf(both, sizeof both, "%s\n{\"shell\":\"true\"}", text);
    sl_task_list *list = list_of(both, &err);
    REQUIRE(err == SL_OK);
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_task_list_write_json(list, 0, &out);
    CHECK_STR(out.data, text);
    sl_strbuf_clear(&out);
    sl_task_list_write_json(list, 1, &out);
    CHECK_STR(out.data, "{\"name\":\"t1\",\"shell\":\"true\"}");
    sl_strbuf_fini(&out);
    check_round_trip(list);
    sl_task_list_destroy(list);
}

TEST(stored_arrays_come_back) {
    sl_task_array array = {0};
    sl_err err = sl_task_array_parse(&array, "1,3", 100);
    sl_task_list *list = list_of_array(
        SL_TASKS_JSON, &array,
        "{\"name\":\"a\",\"function\":\"f\",\"args\":\"{#}\"}\n"
        "{\"name\":\"b\",\"function\":\"f\",\"args\":[1,-0.5,\"x\",{}],\"after\":[\"a\"]}",
        &err);
    REQUIRE(err == SL_OK);
    sl_strbuf out;
    sl_strbuf_init(&out, 4096);
    sl_task_list_write_json(list, 3, &out);
    CHECK_STR(out.data,
              "{\"name\":\"b.3\",\"array\":\"b\",\"function\":\"f\",\"args\":[1,-0.5,\"x\",{}],"
              "\"after\":[\"a\"],\"env\":{\"STARLANE_TASK_INDEX\":\"3\"}}");
    sl_strbuf_fini(&out);
    check_round_trip(list);
    sl_task_list_destroy(list);
    sl_task_array_fini(&array);
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* Numbers at every scale survive being written and read. */
TEST(random_specs_round_trip) {
    uint64_t state = 42;
    sl_task_list *list = new_list(SL_TASKS_JSON, NULL);
    char text[512];
    for (uint32_t i = 0; i < 3000; i++) {
        double scale = pow(10, (double)(next_random(&state) % 12) - 5);
        double memory = (double)next_random(&state) / 4294967296.0 * scale;
        double timeout = 0.001 + (double)next_random(&state) / 4294967296.0 * scale;
        char after[24] = "";
        if (i > 0)
            snprintf(after, sizeof after, "\"n%u\"", (uint32_t)(next_random(&state) % i));
        int size = snprintf(text, sizeof text,
                            "{\"name\":\"n%u\",\"shell\":\"x%c\",\"memory_gb\":%.17g,\"ucu\":%.17g,"
                            "\"timeout_s\":%.17g,\"priority\":%d,\"after\":[%s]}",
                            i, (int)(' ' + next_random(&state) % 2), memory, memory * 7, timeout,
                            (int)(next_random(&state) % 2000001) - 1000000, after);
        CHECK_INT(sl_task_list_add_line(list, i + 1, text, (size_t)size), SL_OK);
    }
    sl_err err = sl_task_list_finish(list);
    CHECK_STR(err == SL_OK ? "" : first_error(list), "");
    if (err == SL_OK)
        check_round_trip(list);
    sl_task_list_destroy(list);
}

TEST(stored_defects_are_errors_at_once) {
    static const char *const bad[] = {"", "{}", "{\"shell\":\"x\"}",
                                      "{\"name\":\"a\",\"shell\":\"x\",\"z\":1}",
                                      "{\"name\":\"used\",\"shell\":\"x\"}"};
    sl_task_list *list = new_list(SL_TASKS_JSON, NULL);
    const char *used = "{\"name\":\"used\",\"shell\":\"x\"}";
    CHECK_INT(sl_task_list_add_stored(list, used, strlen(used)), SL_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(sl_task_list_add_stored(list, bad[i], strlen(bad[i])) != SL_OK);
    CHECK_INT(sl_task_list_count(list), 1);
    sl_task_list_destroy(list);
}
