/* A task of the list as the scheduler and the executor get it; and the order of submission. */
#include "tests/lib/test.h"

#include "actors/executor/executor_msgs.h"
#include "sdk/run.h"

typedef struct fixture {
    sl_run_state run;
    sl_arena arena;
    uint8_t fate[64], accepted[64];
    uint32_t attempts[64], order[64];
} fixture;

/* Reads the JSON lines; every task unfinished. */
static void open_fixture(fixture *of, const char *const *lines, uint32_t count) {
    sl_task_list_options options = {.source = "test"};
    memset(of, 0, sizeof *of);
    CHECK_INT(sl_task_list_create(&options, &of->run.list), SL_OK);
    for (uint32_t i = 0; i < count; i++)
        CHECK_INT(sl_task_list_add_line(of->run.list, i + 1, lines[i], strlen(lines[i])), SL_OK);
    CHECK_INT(sl_task_list_finish(of->run.list), SL_OK);
    memset(of->fate, SL_RUN_UNFINISHED, sizeof of->fate);
    of->run.fate = of->fate;
    of->run.accepted = of->accepted;
    of->run.attempts = of->attempts;
    of->run.start_cwd = (char *)"/start";
    of->run.dir.path = (char *)"/out";
    sl_strbuf_init(&of->run.line, 1 << 20);
    sl_arena_init(&of->arena);
    CHECK_INT(sl_task_list_order(of->run.list, of->order), SL_OK);
}

static void close_fixture(fixture *of) {
    sl_arena_fini(&of->arena);
    sl_strbuf_fini(&of->run.line);
    sl_task_list_destroy(of->run.list);
}

static void *payload_of(const sl_record *record, const scheduler_task *task) {
    size_t bytes = 0;
    CHECK_INT(sl_record_measure(record, task->payload.data, task->payload.bytes, &bytes), SL_OK);
    void *body = malloc(bytes + 1);
    CHECK_INT(sl_record_decode(record, task->payload.data, task->payload.bytes, body, NULL), SL_OK);
    return body;
}

TEST(a_command_carries_all_it_needs) {
    static const char *const lines[] = {
        "{\"name\":\"t\",\"command\":[\"/usr/bin/env\",\"a b\"],\"cpus\":2,\"gpus\":1,\"ucu\":1.5,"
        "\"memory_gb\":0.5,\"priority\":-3,\"retries\":4,\"timeout_s\":2,\"region\":\"eu\","
        "\"env\":{\"A\":\"1\"},\"cwd\":\"sub\",\"stdin\":{\"file\":\"in\"}}"};
    fixture of;
    scheduler_task task;
    open_fixture(&of, lines, 1);
    of.attempts[0] = 7;
    CHECK_INT(sl_run_encode(&of.run, 0, &of.arena, &task), SL_OK);
    CHECK_INT(task.kind, SL_TASK_COMMAND);
    CHECK_INT(task.cpus, 2);
    CHECK_INT(task.gpus, 1);
    CHECK_INT(task.ucu_milli, 1500);
    CHECK_INT(task.memory_bytes, 500000000);
    CHECK_INT(task.priority, -3);
    CHECK_INT(task.retries, 4);
    CHECK_INT(task.attempts, 7);
    CHECK_INT(task.timeout_ns, 2 * SL_NS_PER_S);
    CHECK_STR(task.region.data, "eu");
    CHECK_STR(task.group.data, "env");
    CHECK(strstr((const char *)task.record.data, "\"priority\":-3") != NULL);
    executor_command *command = payload_of(&executor_command_record, &task);
    CHECK_INT(command->arguments.count, 2);
    CHECK_STR(command->arguments.items[1].text.data, "a b");
    CHECK_INT(command->environment.count, 2);
    CHECK_STR(command->environment.items[0].text.data, "A=1");
    CHECK_STR(command->environment.items[1].text.data, "STARLANE_TASK_NAME=t");
    CHECK_STR(command->directory.data, "/start/sub");
    CHECK_STR(command->stdin_path.data, "/start/in");
    CHECK_STR(command->stdout_path.data, "/out/stdout/t");
    CHECK_STR(command->stderr_path.data, "/out/stderr/t");
    free(command);
    close_fixture(&of);
}

TEST(shell_lines_and_functions) {
    static const char *const lines[] = {
        "{\"name\":\"s\",\"shell\":\" grep -c x | wc\",\"stdin\":\"text\"}",
        "{\"name\":\"f\",\"function\":\"starlane.echo\",\"args\":{\"a\":1}}"};
    fixture of;
    scheduler_task task;
    open_fixture(&of, lines, 2);
    CHECK_INT(sl_run_encode(&of.run, 0, &of.arena, &task), SL_OK);
    CHECK_STR(task.group.data, "grep");
    executor_command *command = payload_of(&executor_command_record, &task);
    CHECK_INT(command->arguments.count, 3);
    CHECK_STR(command->arguments.items[0].text.data, "/bin/sh");
    CHECK_STR(command->arguments.items[2].text.data, " grep -c x | wc");
    CHECK_STR(command->directory.data, "/start");
    CHECK_INT(command->stdin_data.bytes, 4);
    free(command);
    CHECK_INT(sl_run_encode(&of.run, 1, &of.arena, &task), SL_OK);
    CHECK_INT(task.kind, SL_TASK_FUNCTION);
    CHECK_STR(task.group.data, "starlane.echo");
    executor_function *function = payload_of(&executor_function_record, &task);
    CHECK_INT(function->arguments.bytes, strlen("{\"a\":1}"));
    free(function);
    close_fixture(&of);
}

TEST(what_is_done_is_not_waited_for) {
    static const char *const lines[] = {
        "{\"name\":\"last\",\"shell\":\"x\",\"after\":[\"a\",\"b\"]}",
        "{\"name\":\"a\",\"shell\":\"x\"}", "{\"name\":\"b\",\"shell\":\"x\",\"after\":[\"a\"]}"};
    fixture of;
    scheduler_task task;
    open_fixture(&of, lines, 3);
    CHECK_INT(sl_run_encode(&of.run, 0, &of.arena, &task), SL_OK);
    CHECK_INT(task.after.count, 2);
    of.fate[1] = SL_RESULT_DONE;
    of.accepted[0] = 1;
    CHECK_INT(sl_run_encode(&of.run, 0, &of.arena, &task), SL_OK);
    CHECK_INT(task.after.count, 1);
    CHECK_INT(task.after.items[0].tag, 2);
    CHECK_INT(task.record.bytes, 0); /* the ledger has it */
    CHECK_INT(of.order[0], 1);
    CHECK_INT(of.order[1], 2);
    CHECK_INT(of.order[2], 0);
    close_fixture(&of);
}

TEST(order_holds_every_task_behind_those_it_waits_for) {
    enum { TASKS = 60 };
    char text[TASKS][160];
    const char *lines[TASKS];
    uint32_t place[TASKS] = {0};
    fixture of;
    for (int i = 0; i < TASKS; i++) { /* each waits for later ones of the file */
        int first = i + 1 + i % 7, second = i + 9;
        snprintf(text[i], sizeof text[i], "{\"name\":\"t%d\",\"shell\":\"x\"", i);
        if (second < TASKS)
            snprintf(text[i] + strlen(text[i]), 100, ",\"after\":[\"t%d\",\"t%d\"]", first, second);
        strcat(text[i], "}");
        lines[i] = text[i];
    }
    open_fixture(&of, lines, TASKS);
    for (uint32_t i = 0; i < TASKS; i++)
        place[of.order[i]] += i + 1; /* once each: else two places would add up */
    for (uint32_t i = 0; i < TASKS; i++) {
        const sl_task_spec *spec = sl_task_list_at(of.run.list, i);
        CHECK(place[i] >= 1 && place[i] <= TASKS);
        for (uint32_t j = 0; j < spec->after_count; j++)
            CHECK(place[spec->after[j].first] < place[i]);
    }
    close_fixture(&of);
}
