/* Commands of clients from outside: what they write, what they come after, detached ones, those of
 * other projects, and whole runs; and such as do not keep to the rules. */
#include "tests/lib/test.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cutter.h"
#include "tests/lib/outside_commands.h"

#define ALL "submit,read,command"

SL_TASK(add) {
    return sl_return_i64(call, sl_arg_i64(call, 0) + sl_arg_i64(call, 1));
}

static uint32_t files_left(void) {
    char path[600];
    uint32_t count = 0;
    snprintf(path, sizeof path, "%s/output", outside_directory);
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory && (entry = readdir(directory)) != NULL;)
        count += strchr(entry->d_name, '.') && entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return count;
}

static void await_no_files(void) {
    while (files_left())
        usleep(1000);
}

/* ---- one by one ---- */

static void ends_and_outputs(sl_remote *remote) {
    static const char *const argv[] = {
        "sh", "-c", "cat; echo $1 $WORD $STARLANE_TASK_NAME >&2; pwd", "zero", "one", NULL};
    static const char *const env[] = {"WORD=two", NULL};
    sl_command command = {.argv = argv,
                          .env = env,
                          .cwd = "/",
                          .input = "input\n",
                          .input_bytes = 6,
                          .name = "three"};
    size_t bytes;
    sl_future *good = sl_remote_command(remote, &command, NULL), *bad = shell(remote, "exit 7", 0),
              *killed = shell(remote, "kill -9 $$", 0), *none;
    CHECK_INT(sl_wait(good, SL_FOREVER), 0);
    CHECK(memcmp(sl_result_bytes(good, &bytes), "input\n/\n", 8) == 0); /* its beginning */
    sl_command_state state = state_of(good);
    CHECK_INT(state.stands, SL_COMMAND_DONE);
    CHECK_INT(state.stdout_bytes, 8);
    CHECK_INT(state.attempts, 1);
    CHECK(state.start_s > 1e9 && state.end_s >= state.start_s);
    CHECK_STR(read_all(remote, state.id, 1, &bytes), "one two three\n");
    CHECK_INT(sl_wait(bad, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "exit code 7");
    CHECK_INT(state_of(bad).exit_code, 7);
    CHECK_INT(sl_wait(killed, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_INT(state_of(killed).signal, 9);
    command = (sl_command){.argv = (const char *const[]){"/nosuch/program", NULL}};
    none = sl_remote_command(remote, &command, NULL);
    CHECK_INT(sl_wait(none, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "/nosuch/program");
    sl_release(good), sl_release(bad), sl_release(killed), sl_release(none);
    await_no_files(); /* with the futures */
    CHECK(!sl_remote_command(remote, &(sl_command){.shell = "true", .argv = argv}, NULL));
    CHECK(!sl_remote_command(remote, &(sl_command){.name = "nothing"}, NULL));
}

static void much_output(sl_remote *remote) {
    size_t bytes;
    sl_future *future = shell(remote, "seq 1 200000; seq 1 10 >&2", 0);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    sl_command_state state = state_of(future);
    const char *text = read_all(remote, state.id, 0, &bytes);
    CHECK_INT(bytes, state.stdout_bytes);
    CHECK_INT(bytes, 1288895);
    CHECK(memcmp(text, "1\n2\n3\n", 6) == 0 && strcmp(text + bytes - 7, "200000\n") == 0);
    sl_result_bytes(future, &bytes);
    CHECK_INT(bytes, SL_GATEWAY_HEAD_OF_OUTPUT);
    sl_release(future);
}

static void retries_and_timeouts(sl_remote *remote) {
    char text[700];
    snprintf(text, sizeof text,
             "if [ -e %s/twice ]; then echo done; else touch %s/twice; exit 3; fi", sl_test_dir(),
             sl_test_dir());
    sl_command command = {.shell = text};
    sl_task_options twice = {.retries = 2}, short_ = {.timeout_s = 0.2},
                    no_such = {.region = "mars"};
    sl_future *again = sl_remote_command(remote, &command, &twice);
    CHECK_INT(sl_wait(again, SL_FOREVER), 0);
    CHECK_INT(state_of(again).attempts, 2);
    command.shell = "sleep 100";
    sl_future *late = sl_remote_command(remote, &command, &short_);
    CHECK_INT(sl_wait(late, SL_FOREVER), SL_ERROR_FAILED);
    sl_future *nowhere = sl_remote_command(remote, &command, &no_such);
    CHECK_INT(sl_wait(nowhere, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "mars");
    sl_release(again), sl_release(late), sl_release(nowhere);
}

/* ---- detached ---- */

static uint64_t detach(sl_remote *remote, const char *text, const uint64_t *after, size_t count) {
    sl_command command = {.shell = text, .detached = 1, .after = after, .after_count = count};
    sl_future *future = sl_remote_command(remote, &command, NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    uint64_t id = state_of(future).id;
    CHECK(id != 0);
    sl_release(future);
    return id;
}

static sl_command_state await(sl_remote *remote, uint64_t id) {
    sl_command_state state = {};
    do
        CHECK_INT(sl_remote_commands(remote, &id, 1, &state), 0);
    while ((state.stands == SL_COMMAND_WAITS || state.stands == SL_COMMAND_RUNS) &&
           usleep(2000) == 0);
    return state;
}

static void detached_ones(void) {
    char text[700], path[600];
    size_t bytes;
    snprintf(path, sizeof path, "%s/go", sl_test_dir());
    snprintf(text, sizeof text, "while [ ! -e %s ]; do sleep 0.02; done; echo came", path);
    sl_remote *remote = outside_join("physics", ALL);
    uint64_t bad = detach(remote, "exit 1", NULL, 0);
    uint64_t skipped = detach(remote, "echo never", &bad, 1);
    uint64_t chain = detach(remote, "echo never", &skipped, 1);
    CHECK_INT(await(remote, chain).stands, SL_COMMAND_SKIPPED);
    CHECK_INT(await(remote, skipped).stands, SL_COMMAND_SKIPPED);
    uint64_t first = detach(remote, text, NULL, 0);
    uint64_t then[2] = {first, detach(remote, "echo then", &first, 1)};
    uint64_t last = detach(remote, "echo last", then, 2);
    sl_disconnect(remote); /* they go on */
    remote = outside_join("physics", ALL);
    sl_command_state states[2];
    do
        CHECK_INT(sl_remote_commands(remote, then, 2, states), 0);
    while (states[0].stands != SL_COMMAND_RUNS && usleep(1000) == 0);
    CHECK_INT(states[1].stands, SL_COMMAND_WAITS);
    CHECK_INT(outside_field(remote, "begun"), 1);
    REQUIRE(mkdir(path, 0700) == 0);
    CHECK_INT(await(remote, last).stands, SL_COMMAND_DONE);
    CHECK_STR(read_all(remote, first, 0, &bytes), "came\n");
    CHECK_STR(read_all(remote, last, 0, &bytes), "last\n");
    uint64_t after = detach(remote, "echo after", &last, 1); /* what has ended already */
    CHECK_INT(await(remote, after).stands, SL_COMMAND_DONE);
    uint64_t never = detach(remote, "echo never", &bad, 1);
    CHECK_INT(await(remote, never).stands, SL_COMMAND_SKIPPED);
    rmdir(path);
    sl_disconnect(remote);
}

static void live_logs(void) {
    char text[700], path[600], part[100];
    snprintf(path, sizeof path, "%s/next", sl_test_dir());
    snprintf(text, sizeof text, "echo one; while [ ! -e %s ]; do sleep 0.02; done; echo two", path);
    sl_remote *remote = outside_join("physics", ALL);
    uint64_t id = detach(remote, text, NULL, 0);
    size_t bytes;
    int ended;
    do {
        bytes = sizeof part;
        CHECK_INT(sl_remote_output(remote, id, 0, 0, part, &bytes, &ended), 0);
    } while (bytes < 4);
    CHECK(memcmp(part, "one\n", 4) == 0);
    CHECK_INT(ended, 0);
    REQUIRE(mkdir(path, 0700) == 0);
    await(remote, id);
    bytes = sizeof part;
    CHECK_INT(sl_remote_output(remote, id, 0, 4, part, &bytes, &ended), 0);
    CHECK_INT(bytes, 4);
    CHECK_INT(ended, 1);
    rmdir(path);
    sl_disconnect(remote);
}

static void taken_back(void) {
    sl_remote *remote = outside_join("physics", ALL);
    uint64_t runs = detach(remote, "sleep 100", NULL, 0), waits = detach(remote, "true", &runs, 1),
             more = detach(remote, "true", &waits, 1);
    CHECK_INT(sl_remote_cancel_command(remote, waits), 0);
    CHECK_INT(await(remote, waits).stands, SL_COMMAND_CANCELLED);
    CHECK_INT(await(remote, more).stands, SL_COMMAND_SKIPPED);
    CHECK_INT(sl_remote_cancel_command(remote, runs), 0);
    CHECK_INT(await(remote, runs).stands, SL_COMMAND_CANCELLED);
    sl_future *mine = shell(remote, "sleep 100", 0);
    sl_cancel(mine);
    CHECK_INT(sl_wait(mine, SL_FOREVER), SL_ERROR_CANCELLED);
    sl_release(mine);
    /* Who leaves takes back what is not detached, what waits too. */
    mine = shell(remote, "sleep 100", 0);
    sl_command_state state;
    sl_disconnect(remote);
    CHECK_INT(sl_result_command(mine, &state), SL_ERROR_CLOSED);
    sl_release(mine);
    remote = outside_join("physics", ALL);
    while (outside_field(remote, "running"))
        usleep(1000);
    CHECK_INT(outside_field(remote, "begun"), 0);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    sl_disconnect(remote);
}

/* ---- apart ---- */

static void projects_and_scopes(void) {
    sl_remote *one = outside_join("alpha", ALL), *two = outside_join("beta", ALL);
    char part[100];
    size_t bytes = sizeof part;
    int ended;
    sl_command_state state;
    uint64_t id = detach(one, "echo secret; sleep 100", NULL, 0);
    do
        CHECK_INT(sl_remote_commands(one, &id, 1, &state), 0);
    while (state.stands == SL_COMMAND_WAITS && usleep(1000) == 0);
    CHECK_INT(sl_remote_commands(two, &id, 1, &state), 0);
    CHECK_INT(state.stands, SL_COMMAND_UNKNOWN);
    CHECK_INT(state.node, 0);
    CHECK(sl_remote_output(two, id, 0, 0, part, &bytes, &ended) != 0);
    CHECK_CONTAINS(sl_error_text(), "there is no command");
    CHECK_INT(sl_remote_cancel_command(two, id), 0); /* nothing happens */
    sl_command after = {.shell = "true", .after = &id, .after_count = 1};
    sl_future *no = sl_remote_command(two, &after, NULL);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "not known here");
    sl_release(no);
    CHECK_INT(sl_remote_commands(one, &id, 1, &state), 0);
    CHECK_INT(state.stands, SL_COMMAND_RUNS);
    sl_remote *submits = outside_join("alpha", "submit"), *reads = outside_join("alpha", "read");
    no = shell(submits, "true", 0);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "lacks the scope command");
    sl_release(no);
    bytes = sizeof part;
    CHECK(sl_remote_output(submits, id, 0, 0, part, &bytes, &ended) != 0);
    CHECK_INT(sl_remote_cancel_command(reads, id), 0); /* nothing happens */
    bytes = sizeof part;
    CHECK_INT(sl_remote_output(reads, id, 0, 0, part, &bytes, &ended), 0);
    CHECK_INT(sl_remote_commands(reads, &id, 1, &state), 0);
    CHECK_INT(state.stands, SL_COMMAND_RUNS);
    CHECK_INT(sl_remote_cancel_command(submits, id), 0);
    CHECK_INT(await(reads, id).stands, SL_COMMAND_CANCELLED);
    sl_disconnect(one), sl_disconnect(two), sl_disconnect(submits), sl_disconnect(reads);
}

/* ---- a whole run ---- */

static const char tasks[] =
    "{\"name\":\"a\",\"shell\":\"echo A; echo E >&2\"}\n"
    "{\"name\":\"b\",\"shell\":\"cat\",\"stdin\":\"in\",\"after\":[\"a\"]}\n"
    "{\"name\":\"f\",\"function\":\"starlane.crc32\",\"args\":\"hello\","
    "\"after\":[\"b\"]}\n"
    "{\"name\":\"c\",\"command\":[\"seq\",\"1\",\"9000\"],\"after\":[\"f\"]}\n"
    "{\"name\":\"bad\",\"shell\":\"exit 4\",\"retries\":1}\n"
    "{\"name\":\"late\",\"shell\":\"true\",\"after\":[\"bad\"]}\n";

static char *file_text(const char *directory, const char *name) {
    static char text[200000];
    char path[700];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[bytes] = '\0';
    if (file)
        fclose(file);
    return text;
}

static int run_list(sl_remote *remote, const char *text, const char *directory) {
    char path[600];
    sl_options *options;
    int code = -1;
    snprintf(path, sizeof path, "%s/tasks.jsonl", sl_test_dir());
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0 || sl_options_create(&options) != 0 ||
        sl_options_set(options, "output", directory) != 0)
        abort();
    sl_run_request request = {.tasks = path};
    if (sl_remote_run(remote, options, &request, &code) != 0 && code != 2)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
    sl_options_destroy(options);
    return code;
}

static void whole_runs(void) {
    char directory[600];
    sl_remote *remote = outside_join("physics", ALL);
    snprintf(directory, sizeof directory, "%s/run", sl_test_dir());
    CHECK_INT(run_list(remote, tasks, directory), 1);
    CHECK_STR(file_text(directory, "stdout/a"), "A\n");
    CHECK_STR(file_text(directory, "stderr/a"), "E\n");
    CHECK_STR(file_text(directory, "stdout/b"), "in");
    CHECK_STR(file_text(directory, "stdout/f"), "3610a686\n");
    CHECK_INT(strlen(file_text(directory, "stdout/c")), 43893);
    char *results = file_text(directory, "results.jsonl");
    CHECK_CONTAINS(results,
                   "{\"name\":\"bad\",\"status\":\"failed\",\"exit_code\":4,\"signal\":null,"
                   "\"attempts\":2");
    CHECK_CONTAINS(results, "{\"name\":\"late\",\"status\":\"skipped\"");
    CHECK_CONTAINS(file_text(directory, "summary.json"), "\"done\": 4");
    snprintf(directory, sizeof directory, "%s/bad", sl_test_dir());
    CHECK_INT(run_list(remote, "{\"name\":\"x\"}\n", directory), 2);
    CHECK(access(directory, F_OK) != 0);
    await_no_files();
    CHECK_INT(outside_field(remote, "running"), 0);
    sl_disconnect(remote);
}

/* Many, each after the one before, and one after all of them; over a connection that is cut. */
static void a_run_that_is_cut(void) {
    enum { TASKS = 300 };
    static char text[TASKS * 200];
    char directory[600], *at = text, *key = outside_key("physics", ALL), url[600];
    uint16_t to, from;
    for (int i = 0; i < TASKS; i++)
        at += sprintf(at, "{\"name\":\"t%d\",\"shell\":\"echo %d >> %s/order\"%s%.0d", i, i,
                      sl_test_dir(), i % 3 ? ",\"after\":[\"t" : "}\n", 0),
            at += i % 3 ? sprintf(at, "%d\"]}\n", i - 1) : 0;
    sscanf(outside_url, "starlane://127.0.0.1:%hu", &to);
    cutter *between = cutter_start(to, &from);
    snprintf(url, sizeof url, "starlane://127.0.0.1:%u%s", from, strchr(outside_url, '#'));
    sl_remote *remote;
    REQUIRE(sl_connect(url, key, "physics", NULL, &remote) == 0);
    cutter_set(between, 30000);
    cutter_cut(between);
    snprintf(directory, sizeof directory, "%s/cut", sl_test_dir());
    CHECK_INT(run_list(remote, text, directory), 0);
    CHECK_CONTAINS(file_text(directory, "summary.json"), "\"done\": 300");
    CHECK(cutter_cuts(between) > 1);
    uint8_t seen[TASKS] = {};
    int lines = 0, wrong = 0, number;
    char *order = file_text(sl_test_dir(), "order");
    for (int used; sscanf(order, "%d\n%n", &number, &used) == 1; order += used, lines++)
        wrong += seen[number]++ || (number % 3 && !seen[number - 1]);
    CHECK_INT(lines, TASKS);
    CHECK_INT(wrong, 0);
    sl_disconnect(remote);
    cutter_stop(between);
    sl_free(key);
}

/* ---- what is no client ---- */

static void enter_with(raw *of, const char *scopes) {
    char *key = outside_key("epsilon", scopes);
    gateway_hello hello = {
        .version = SL_GATEWAY_VERSION, .key = sl_text_of(key), .project = sl_text_of("epsilon")};
    raw_dial(of);
    raw_say(of, SL_GATEWAY_HELLO, &hello, NULL, 0);
    raw_await(of, &of->messages);
    sl_free(key);
}

static void hostile(void) {
    gateway_word word = {sl_text_of("true")};
    gateway_number after = {.number = 9};
    gateway_command command = {.number = 1, .arguments = {&word, 1}}, odd = command;
    gateway_run run = {.commands = {&command, 1}}, none = {.commands = {&odd, 1}};
    gateway_logs logs = {.id = 12345, .bytes = 100};
    gateway_forget forget = {.id = 12345};
    gateway_look look = {};
    gateway_ended ended = {};
    raw r;
    enter_with(&r, ALL);
    raw_say(&r, SL_GATEWAY_RUN, &run, NULL, 0);
    raw_say(&r, SL_GATEWAY_RUN, &run, NULL, 0);
    raw_refused(&r, "task 1 after task 1: numbers ascend");
    enter_with(&r, ALL);
    odd.number = 2;
    odd.arguments.count = 0;
    raw_say(&r, SL_GATEWAY_RUN, &none, NULL, 0); /* refused alone, as is each of these */
    odd = command;
    odd.number = 3;
    odd.after.items = odd.after_ids.items = &after;
    odd.after.count = 1; /* after one that is to come */
    raw_say(&r, SL_GATEWAY_RUN, &none, NULL, 0);
    odd.number = after.number = 4; /* after itself */
    raw_say(&r, SL_GATEWAY_RUN, &none, NULL, 0);
    odd.number = 5;
    odd.after.count = 0;
    odd.after_ids.count = 1;
    raw_say(&r, SL_GATEWAY_RUN, &none, NULL, 0);
    for (int i = 0; i < 200; i++) { /* a flood for what is not there, or wrong */
        logs.stream = (uint8_t)i;
        logs.offset = i % 2 ? UINT64_MAX : 0;
        raw_say(&r, SL_GATEWAY_LOGS, &logs, NULL, 0);
        raw_say(&r, SL_GATEWAY_FORGET, &forget, NULL, 0);
        raw_say(&r, SL_GATEWAY_LOOK, &look, NULL, 0);
    }
    raw_say(&r, SL_GATEWAY_ENDED, &ended, NULL, 0);
    raw_refused(&r, "is not for a gateway");
}

/* More requests for logs than are answered at once: the rest is refused, and counted right. */
static void a_flood_of_requests(void) {
    enum { MANY = 2000 };
    sl_remote *remote = outside_join("epsilon", ALL);
    uint64_t id = detach(remote, "seq 1 50000", NULL, 0);
    await(remote, id);
    gateway_logs logs = {.id = id, .bytes = SL_GATEWAY_LOG_BYTES};
    raw r;
    enter_with(&r, "read");
    for (int i = 0; i < MANY; i++)
        raw_say(&r, SL_GATEWAY_LOGS, &logs, NULL, 0);
    size_t bytes;
    CHECK_INT(strlen(read_all(remote, id, 0, &bytes)), 288894); /* others are served meanwhile */
    raw_hang_up(&r);
    sl_disconnect(remote);
}

TEST(commands_from_outside) {
    REQUIRE(outside_begin() == 0);
    sl_remote *remote = outside_join("physics", ALL);
    ends_and_outputs(remote);
    much_output(remote);
    retries_and_timeouts(remote);
    sl_disconnect(remote);
    detached_ones();
    live_logs();
    taken_back();
    projects_and_scopes();
    hostile();
    a_flood_of_requests();
    /* What is there as the network ends. */
    remote = outside_join("physics", ALL);
    sl_future *over = shell(remote, "echo over", 0);
    CHECK_INT(sl_wait(over, SL_FOREVER), 0);
    sl_future *runs = shell(remote, "sleep 100", 0);
    uint64_t detached = detach(remote, "sleep 100", NULL, 0);
    detach(remote, "echo never", &detached, 1);
    CHECK_INT(sl_shutdown(), 0);
    CHECK_INT(sl_wait(runs, SL_FOREVER), SL_ERROR_CLOSED);
    CHECK_INT(files_left(), 0);
    sl_release(over), sl_release(runs);
    sl_disconnect(remote);
}

TEST(runs_from_outside) {
    REQUIRE(outside_begin() == 0);
    whole_runs();
    a_run_that_is_cut();
    CHECK_INT(sl_shutdown(), 0);
}

/* What is kept of detached commands is bounded by time and by bytes. */
TEST(what_is_kept) {
    static const char *const options[] = {"gateway-keep-ended", "1s", "gateway-keep-bytes", "100KB",
                                          NULL};
    REQUIRE(outside_begin_with(options) == 0);
    sl_remote *remote = outside_join("physics", ALL);
    uint64_t first = detach(remote, "seq 1 10000", NULL, 0);
    CHECK_INT(await(remote, first).stands, SL_COMMAND_DONE);
    uint64_t second = detach(remote, "seq 1 12000", NULL, 0);
    CHECK_INT(await(remote, second).stands, SL_COMMAND_DONE);
    CHECK_INT(await(remote, first).stands, SL_COMMAND_UNKNOWN); /* no room for both */
    while (await(remote, second).stands != SL_COMMAND_UNKNOWN)
        usleep(10000);
    await_no_files();
    sl_disconnect(remote);
    CHECK_INT(sl_shutdown(), 0);
}
