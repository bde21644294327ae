/* Sealed tasks through the application interface, on a network inside this process: every byte
 * between its nodes is recorded, and searched for what was sealed. */
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/lib/sealed_network.h"

enum { LARGE = 3 << 20 };

static const char secret[] = "what nobody between the two ends may read, whoever they are";
static const char answer[] = "and what comes back to the client alone, sealed the same way";
static const char reason[] = "a reason that would give away what was computed, if told";

/* ---- tasks ---- */

SL_TASK(tell_back) {
    size_t count;
    const double *numbers = sl_arg_array(call, 1, SL_F64, &count);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    if (strcmp(sl_arg_string(call, 0), secret) != 0)
        return sl_call_fail(call, "it got something else");
    char text[200];
    snprintf(text, sizeof text, "%s %.1f", answer, sum);
    return sl_return_string(call, text);
}

/* Answers with its argument, over and over. */
SL_TASK(repeat) {
    size_t bytes, size[] = {LARGE};
    const char *text = sl_arg_bytes(call, 0, &bytes);
    char *out = sl_return_array(call, SL_U8, 1, size);
    for (size_t i = 0; out && bytes && i < LARGE; i++)
        out[i] = text[i % bytes];
    return 0;
}

SL_TASK(say_why) {
    return sl_call_fail(call, "%s", reason);
}

SL_TASK(nothing) {
    (void)call;
    return 0;
}

SL_TASK(fail_twice, .retries = 2) {
    if (sl_call_attempt(call) < 3)
        return sl_call_fail(call, "%s", reason);
    return sl_return_i64(call, sl_call_attempt(call));
}

SL_TASK(give_object) {
    sl_object *object = sl_put(sl_string(secret));
    int err = sl_return_object(call, object);
    sl_object_release(object);
    return err;
}

SL_ACTOR(listener) {
    return 0;
}

/* A hundred times, so that some surely leave the client's node. */
enum { TIMES = 100 };

static void submit_all(const sl_task *task, sl_args args, const sl_task_options *how,
                       sl_future **futures) {
    for (int i = 0; i < TIMES; i++) {
        futures[i] = sl_submit_with(task, args, how);
        if (!futures[i])
            sl_test_fail(__FILE__, __LINE__, "not submitted: %s", sl_error_text());
    }
}

static void release_all(sl_future **futures) {
    for (int i = 0; i < TIMES; i++)
        sl_release(futures[i]);
}

static void tell_secret(const sl_task_options *how) {
    double numbers[] = {1, 2, 3.5};
    char expected[200];
    sl_future *futures[TIMES];
    snprintf(expected, sizeof expected, "%s 6.5", answer);
    submit_all(&tell_back, SL_ARGS(sl_string(secret), sl_vector(SL_F64, numbers, 3)), how, futures);
    for (int i = 0; i < TIMES; i++) {
        CHECK_INT(sl_wait(futures[i], 30), 0);
        CHECK_STR(sl_result_string(futures[i]), expected);
    }
    release_all(futures);
}

TEST(nobody_between_sees_a_sealed_task) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&tell_back);
    tell_secret(&how);
    CHECK(sl_recording_size(&between) > 0);
    CHECK(!heard(secret));
    CHECK(!heard(answer));
    CHECK(!sl_recording_has(&between, "tell_back", 9));
    CHECK(sl_recording_has(&between, "starlane.sealed", 15));
    leave();
}

TEST(everybody_between_sees_one_that_is_not) {
    join(sl_test_keys_make()->node);
    tell_secret(NULL);
    CHECK(heard(secret));
    CHECK(heard(answer));
    CHECK(sl_recording_has(&between, "tell_back", 9));
    leave();
}

TEST(large_arguments_and_results_are_sealed_too) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&repeat);
    char *text = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        text[i] = secret[i % sizeof secret];
    sl_future *futures[8];
    for (int i = 0; i < 8; i++)
        futures[i] = sl_submit_with(&repeat, SL_ARGS(sl_bytes(text, LARGE)), &how);
    CHECK_INT(sl_wait_all(futures, 8, 60), 0);
    for (int i = 0; i < 8; i++) {
        size_t count = 0;
        const char *got = sl_result_array(futures[i], SL_U8, &count);
        CHECK_INT(count, LARGE);
        CHECK(got && memcmp(got, text, LARGE) == 0);
        sl_release(futures[i]);
    }
    CHECK(sl_recording_blobs(&between) > 0);
    CHECK(!heard(secret));
    free(text);
    leave();
}

TEST(why_it_failed_comes_sealed) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&say_why);
    sl_future *futures[TIMES];
    submit_all(&say_why, SL_NO_ARGS, &how, futures);
    for (int i = 0; i < TIMES; i++) {
        CHECK_INT(sl_wait(futures[i], 30), SL_ERROR_FAILED);
        CHECK_STR(sl_error_text(), reason);
        CHECK_INT(sl_state_of(futures[i]), SL_FUTURE_FAILED);
        CHECK(!sl_result(futures[i]));
    }
    release_all(futures);
    CHECK(!heard(reason));
    leave();
}

TEST(a_sealed_task_may_be_tried_again) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&fail_twice);
    sl_future *future = sl_submit_with(&fail_twice, SL_NO_ARGS, &how);
    CHECK_INT(sl_wait(future, 30), 0);
    CHECK_INT(sl_result_i64(future), 3);
    sl_release(future);
    leave();
}

TEST(a_batch_and_a_task_that_returns_nothing) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&nothing);
    sl_future *futures[TIMES];
    sl_args args[TIMES];
    const sl_value given = sl_string(secret);
    for (int i = 0; i < TIMES; i++)
        args[i] = (sl_args){&given, 1};
    CHECK_INT(sl_submit_batch(&nothing, args, TIMES, &how, futures), 0);
    CHECK_INT(sl_wait_all(futures, TIMES, 30), 0);
    CHECK_INT(sl_result(futures[0])->type, SL_TYPE_NONE);
    release_all(futures);
    CHECK(!heard(secret));
    leave();
}

static void check_refused(const sl_task *task, sl_args args, const char *why) {
    sl_task_options how = sealed(task);
    sl_future *future = sl_submit_with(task, args, &how);
    CHECK(!future);
    CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
}

TEST(what_cannot_be_sealed_is_not_submitted) {
    join(sl_test_keys_make()->node);
    double numbers[] = {1, 2, 3};
    sl_task_options how = sealed(&nothing);
    sl_future *clear = sl_submit(&nothing, SL_NO_ARGS);
    sl_future *future = sl_submit_with(&nothing, SL_NO_ARGS, &how);
    sl_object *object = sl_put(sl_string(secret));
    check_refused(&nothing, SL_ARGS(sl_wait_for(clear)), "cannot wait for a future");
    check_refused(&nothing, SL_ARGS(sl_object_value(object)), "an object is not sealed");
    CHECK(!sl_submit(&nothing, SL_ARGS(sl_wait_for(future))));
    CHECK_CONTAINS(sl_error_text(), "whose result is sealed");
    sl_actor_ref actor;
    CHECK(sl_actor_spawn(&listener, SL_ARGS(sl_wait_for(future)), NULL, &actor) != 0);
    CHECK_CONTAINS(sl_error_text(), "whose result is sealed");
    const sl_map_options map = {.options = &how};
    sl_future *mapped = sl_map(&nothing, sl_vector(SL_F64, numbers, 3), &map);
    CHECK(!sl_submit(&nothing, SL_ARGS(sl_wait_for(mapped))));
    CHECK_CONTAINS(sl_error_text(), "whose result is sealed");
    CHECK(sl_actor_spawn(&listener, SL_ARGS(sl_wait_for(mapped)), NULL, &actor) != 0);
    CHECK_CONTAINS(sl_error_text(), "whose result is sealed");
    const sl_map_options with_object = {.options = &how, .args = SL_ARGS(sl_object_value(object))};
    CHECK(!sl_map(&nothing, sl_vector(SL_F64, numbers, 3), &with_object));
    CHECK_CONTAINS(sl_error_text(), "an object is not sealed");
    sl_release(mapped);
    sl_future *gives = sl_submit_with(&give_object, SL_NO_ARGS, &how);
    CHECK_INT(sl_wait(gives, 30), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "an object is not sealed");
    sl_release(clear), sl_release(future), sl_release(gives);
    sl_object_release(object);
    leave();
}

TEST(only_nodes_named_run_it) {
    const char *known[] = {"node-9.site", "node-1.site"}, *unknown[] = {"node-9.site"};
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&nothing);
    seal.nodes = known;
    seal.node_count = 2;
    sl_future *future = sl_submit_with(&nothing, SL_NO_ARGS, &how);
    CHECK_INT(sl_wait(future, 30), 0);
    sl_release(future);
    seal.nodes = unknown;
    seal.node_count = 1;
    check_refused(&nothing, SL_NO_ARGS, "none of the nodes named");
    leave();
}

TEST(without_nodes_that_are_believed_nothing_is_sealed) {
    join(NULL);
    check_refused(&nothing, SL_NO_ARGS, "no node of the network has a certificate");
    sl_future *clear = sl_submit(&nothing, SL_NO_ARGS);
    CHECK_INT(sl_wait(clear, 30), 0);
    sl_release(clear);
    leave();
}

TEST(results_outlive_the_keys_and_the_network) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&tell_back);
    double numbers[] = {1};
    sl_future *future =
        sl_submit_with(&tell_back, SL_ARGS(sl_string(secret), sl_vector(SL_F64, numbers, 1)), &how);
    CHECK_INT(sl_wait_any(&future, 1, 30, &(size_t){0}), 0);
    leave();
    CHECK_INT(sl_wait(future, 0), 0);
    CHECK_CONTAINS(sl_result_string(future), answer);
    sl_release(future);
}

static void *ask(void *future) {
    CHECK_CONTAINS(sl_result_string(future), answer);
    CHECK_INT(sl_state_of(future), SL_FUTURE_DONE);
    return NULL;
}

TEST(several_threads_open_one_result) {
    join(sl_test_keys_make()->node);
    sl_task_options how = sealed(&tell_back);
    double numbers[] = {1};
    pthread_t threads[4];
    sl_future *future =
        sl_submit_with(&tell_back, SL_ARGS(sl_string(secret), sl_vector(SL_F64, numbers, 1)), &how);
    CHECK_INT(sl_wait_any(&future, 1, 30, &(size_t){0}), 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, ask, future);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    sl_release(future);
    leave();
}

/* ---- commands ---- */

static sl_future *run_shell(const char *script, const char *word, const void *input, size_t bytes) {
    static sl_task_options how;
    char variable[200];
    snprintf(variable, sizeof variable, "TOLD=%s", word);
    const char *const arguments[] = {"sh", "-c", script, "sh", word, NULL};
    const char *const environment[] = {variable, NULL};
    const sl_command command = {
        .argv = arguments, .env = environment, .cwd = "/tmp", .input = input, .input_bytes = bytes};
    how = (sl_task_options){.sealed = &seal};
    sl_future *future = sl_seal_command(NULL, &command, &how);
    if (!future)
        sl_test_fail(__FILE__, __LINE__, "not submitted: %s", sl_error_text());
    return future;
}

static void check_text(const void *data, size_t bytes, const char *text) {
    CHECK_INT(bytes, strlen(text));
    CHECK(bytes == strlen(text) && memcmp(data, text, bytes) == 0);
}

TEST(nobody_between_sees_a_sealed_command) {
    char expected[300];
    sl_sealed_result result;
    join(sl_test_keys_make()->node);
    snprintf(expected, sizeof expected, "%s|%s|/tmp|%s", secret, secret, answer);
    for (int i = 0; i < 20; i++) {
        sl_future *future = run_shell("printf '%s|' \"$1\" \"$TOLD\" \"$PWD\"; cat", secret, answer,
                                      sizeof answer - 1);
        CHECK_INT(sl_wait(future, 30), 0);
        CHECK_INT(sl_result_sealed(future, &result), 0);
        CHECK_INT(result.exit_code, 0);
        check_text(result.output, result.output_bytes, expected);
        CHECK_INT(result.error_bytes, 0);
        CHECK(result.max_rss_bytes > 100000);
        sl_release(future);
    }
    CHECK(!heard(secret));
    CHECK(!heard(answer));
    CHECK(!sl_recording_has(&between, "printf", 6));
    leave();
}

TEST(how_a_sealed_command_failed_comes_sealed) {
    sl_sealed_result result;
    join(sl_test_keys_make()->node);
    sl_future *future = run_shell("echo \"$1\" >&2; echo out; exit 7", reason, NULL, 0);
    CHECK_INT(sl_wait(future, 30), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(), "exit code 7");
    CHECK_INT(sl_result_sealed(future, &result), 0);
    CHECK_INT(result.exit_code, 7);
    check_text(result.output, result.output_bytes, "out\n");
    CHECK_INT(result.error_bytes, sizeof reason);
    sl_release(future);
    future = run_shell("kill -9 $$", reason, NULL, 0);
    CHECK_INT(sl_wait(future, 30), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "signal 9");
    CHECK_INT(sl_result_sealed(future, &result), 0);
    CHECK_INT(result.signal, 9);
    sl_release(future);
    const char *const nowhere[] = {"/no/such/program", reason, NULL};
    const sl_task_options how = {.sealed = &seal};
    future = sl_seal_command(NULL, &(sl_command){.argv = nowhere}, &how);
    CHECK_INT(sl_wait(future, 30), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "/no/such/program");
    sl_release(future);
    CHECK(!heard(reason));
    leave();
}

TEST(much_goes_through_a_sealed_command) {
    sl_sealed_result result;
    join(sl_test_keys_make()->node);
    size_t bytes = 3 * (size_t)LARGE + 17;
    char *text = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        text[i] = secret[i % sizeof secret];
    sl_future *both = run_shell("cat; cat /dev/null", "x", text, bytes);
    sl_future *unread = run_shell("exec <&-; echo done", "x", text, bytes);
    sl_future *fails = run_shell("cat >&2; exit 1", "x", text, bytes);
    CHECK_INT(sl_wait(both, 60), 0);
    CHECK_INT(sl_result_sealed(both, &result), 0);
    CHECK_INT(result.output_bytes, bytes);
    CHECK(result.output_bytes == bytes && memcmp(result.output, text, bytes) == 0);
    CHECK_INT(sl_wait(unread, 60), 0);
    CHECK_INT(sl_wait(fails, 60), SL_ERROR_FAILED);
    CHECK_STR(sl_error_text(), "exit code 1");
    CHECK_INT(sl_result_sealed(fails, &result), 0);
    CHECK_INT(result.error_bytes, bytes);
    CHECK(result.error_bytes == bytes && memcmp(result.errors, text, bytes) == 0);
    sl_release(both), sl_release(unread), sl_release(fails);
    CHECK(!heard(secret));
    free(text);
    leave();
}

TEST(a_sealed_command_can_be_cancelled_and_has_a_time) {
    sl_sealed_result result;
    join(sl_test_keys_make()->node);
    const char *const arguments[] = {"sleep", "100", NULL};
    sl_task_options how = {.sealed = &seal, .timeout_s = 0.2};
    sl_future *late = sl_seal_command(NULL, &(sl_command){.argv = arguments}, &how);
    how.timeout_s = 0;
    sl_future *gone = sl_seal_command(NULL, &(sl_command){.argv = arguments}, &how);
    usleep(300000);
    sl_cancel(gone);
    CHECK_INT(sl_wait(gone, 30), SL_ERROR_CANCELLED);
    CHECK(sl_result_sealed(gone, &result) != 0);
    CHECK_INT(sl_wait(late, 30), SL_ERROR_FAILED);
    sl_release(late), sl_release(gone);
    leave();
}

/* Of the processes that are not the command's own none has its words. */
static bool listed(const char *what) {
    bool found = false;
    DIR *all = opendir("/proc");
    for (struct dirent *e; all && (e = readdir(all));) {
        char path[300], line[4096], name[4096];
        snprintf(path, sizeof path, "/proc/%s/comm", e->d_name);
        FILE *comm = atoi(e->d_name) ? fopen(path, "r") : NULL;
        size_t length = comm ? fread(name, 1, sizeof name - 1, comm) : 0;
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        FILE *words = comm ? fopen(path, "r") : NULL;
        size_t got = words ? fread(line, 1, sizeof line, words) : 0;
        name[length] = '\0';
        found |= strncmp(name, "sh", 2) != 0 && got && memmem(line, got, what, strlen(what));
        if (comm)
            fclose(comm);
        if (words)
            fclose(words);
    }
    if (all)
        closedir(all);
    return found;
}

TEST(only_the_command_itself_lists_its_words) {
    join(sl_test_keys_make()->node);
    sl_future *future = run_shell("sleep 0.4; :", secret, NULL, 0);
    for (int i = 0; i < 10; i++) {
        CHECK(!listed(secret));
        usleep(30000);
    }
    CHECK_INT(sl_wait(future, 30), 0);
    sl_release(future);
    leave();
}

TEST(commands_that_cannot_be_submitted) {
    const char *const arguments[] = {"true", NULL}, *const none[] = {NULL};
    join(sl_test_keys_make()->node);
    sl_task_options how = {.sealed = &seal, .gpus = 1}, clear = {0};
    CHECK(!sl_seal_command(NULL, &(sl_command){.argv = arguments}, &how));
    CHECK_CONTAINS(sl_error_text(), "GPUs");
    CHECK(!sl_seal_command(NULL, &(sl_command){.argv = arguments}, &clear));
    CHECK_CONTAINS(sl_error_text(), "options.sealed");
    CHECK(!sl_seal_command(NULL, &(sl_command){.argv = none}, &how));
    CHECK_CONTAINS(sl_error_text(), "either a program or shell");
    leave();
}

/* ---- keys ---- */

static void check_keys(const char *directory, const char *authority, const char *revoked,
                       const char *why) {
    sl_keys *none = NULL;
    CHECK(sl_keys_open(directory, authority, revoked, &none) != 0);
    CHECK_CONTAINS(sl_error_text(), why);
    CHECK(!none);
}

static const char *file_with(const char *name, const char *text) {
    const char *path = sl_test_path(name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        exit(1);
    return path;
}

TEST(keys_that_are_of_no_use) {
    const sl_test_keys *k = sl_test_keys_make();
    char other[65], text[200], path[400];
    snprintf(other, sizeof other, "%064d", 7);
    check_keys(sl_test_path("nowhere"), k->fingerprint, NULL, "nowhere");
    check_keys(k->client, "12", NULL, "64 hexadecimal digits");
    check_keys(k->client, other, NULL, "no node would run tasks of this identity");
    check_keys(k->node, k->fingerprint, NULL, "is not the identity of a client");
    check_keys(k->client, k->fingerprint, sl_test_path("no-file"), "cannot be opened");
    snprintf(path, sizeof path, "%s", file_with("bad", "# people\n\nnonsense\n"));
    check_keys(k->client, k->fingerprint, path, "line 3");
    sl_test_fingerprint(k->client, other);
    snprintf(text, sizeof text, "# stolen\n%s # alice\n", other);
    snprintf(path, sizeof path, "%s", file_with("revoked", text));
    check_keys(k->client, k->fingerprint, path, "revoked");
}

/* A node that is revoked is sealed for no more; a client that is revoked is run no more. */
TEST(who_is_revoked) {
    const sl_test_keys *k = sl_test_keys_make();
    char fingerprint[65], text[100], path[400];
    join(k->node);
    sl_test_fingerprint(k->node, fingerprint);
    snprintf(text, sizeof text, "%s\n", fingerprint);
    snprintf(path, sizeof path, "%s", file_with("revoked-node", text));
    sl_keys_close(keys);
    sl_test_keys_need(sl_keys_open(k->client, k->fingerprint, path, &keys), "keys");
    seal.keys = keys;
    check_refused(&nothing, SL_NO_ARGS, "no node of the network has a certificate");
    leave();
}
