/* The way in from outside: a network in this process with a gateway, and clients over TLS; also
 * such as do not keep to the rules. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <unistd.h>

#include "sdk/value.h"
#include "tests/lib/outside.h"

/* ---- tasks ---- */

SL_TASK(square) {
    double x = sl_arg_f64(call, 0);
    return sl_return_f64(call, x * x);
}

SL_TASK(refuse) {
    return sl_call_fail(call, "I refuse %s", sl_arg_string(call, 0));
}

static _Atomic int waiting, given_up;

SL_TASK(wait_long) {
    atomic_fetch_add(&waiting, 1);
    for (int i = 0; i < 20000 && !sl_call_cancelled(call); i++)
        usleep(1000);
    atomic_fetch_add(&given_up, sl_call_cancelled(call));
    return 0;
}

SL_TASK(double_all) {
    size_t count;
    const float *in = sl_arg_array(call, 0, SL_F32, &count);
    float *out = sl_return_array(call, SL_F32, 1, &count);
    for (size_t i = 0; out && i < count; i++)
        out[i] = 2 * in[i];
    return 0;
}

SL_TASK(too_much) {
    size_t bytes = (size_t)65 << 20;
    void *data = sl_return_array(call, SL_U8, 1, &bytes);
    if (data)
        memset(data, 1, bytes);
    return 0;
}

/* ---- what clients do ---- */

static void results_and_errors(void) {
    sl_remote *remote = outside_join("physics", "submit,read");
    sl_future *nine = sl_remote_submit(remote, "square", SL_ARGS(sl_f64(3)), NULL);
    CHECK_INT(sl_wait(nine, SL_FOREVER), 0);
    CHECK_DOUBLE(sl_result_f64(nine), 9, 0);
    CHECK_INT(sl_result_i64(nine), 0); /* another type */
    CHECK_CONTAINS(sl_error_text(), "square");
    sl_future *no = sl_remote_submit(remote, "refuse", SL_ARGS(sl_string("this")), NULL);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "I refuse this");
    sl_future *none = sl_remote_submit(remote, "nosuch", SL_NO_ARGS, NULL);
    CHECK_INT(sl_wait(none, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "nosuch");
    sl_future *plain = sl_remote_call(remote, "starlane.crc32", "hello", 5, NULL);
    size_t bytes;
    CHECK_INT(sl_wait(plain, SL_FOREVER), 0);
    CHECK(memcmp(sl_result_bytes(plain, &bytes), "3610a686", 8) == 0);
    CHECK(!sl_remote_submit(remote, "", SL_NO_ARGS, NULL));
    CHECK(!sl_remote_submit(remote, "square", SL_ARGS(sl_wait_for(nine)), NULL));
    CHECK_CONTAINS(sl_error_text(), "give what is in it instead");
    CHECK(!sl_submit(&square, SL_ARGS(sl_wait_for(nine)))); /* nor in the network's own */
    CHECK_INT(outside_field(remote, "ended"), 4);
    CHECK_INT(outside_field(remote, "failed"), 2);
    sl_disconnect(remote);
    CHECK_DOUBLE(sl_result_f64(nine), 9, 0); /* futures stay */
    sl_release(nine), sl_release(no), sl_release(none), sl_release(plain);
}

static void large_arrays(void) {
    enum { COUNT = 3 << 20 };
    sl_remote *remote = outside_join("physics", "submit,read");
    float *in = malloc(COUNT * sizeof *in);
    for (size_t i = 0; i < COUNT; i++)
        in[i] = (float)i;
    sl_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] =
            sl_remote_submit(remote, "double_all", SL_ARGS(sl_vector(SL_F32, in, COUNT - i)), NULL);
    CHECK_INT(sl_wait_all(futures, 3, SL_FOREVER), 0);
    for (size_t f = 0; f < 3; f++) {
        size_t count, wrong = 0;
        const float *out = sl_result_array(futures[f], SL_F32, &count);
        CHECK_INT(count, COUNT - f);
        for (size_t i = 0; i < count; i++)
            wrong += out[i] != 2 * in[i];
        CHECK_INT(wrong, 0);
        sl_release(futures[f]);
    }
    free(in);
    sl_future *much = sl_remote_submit(remote, "too_much", SL_NO_ARGS, NULL);
    size_t bytes;
    CHECK_INT(sl_wait(much, SL_FOREVER), 0); /* sdk_gateway_large_test.c has more of it */
    const uint8_t *ones = sl_result_array(much, SL_U8, &bytes);
    CHECK(ones && bytes == (size_t)65 << 20 && ones[bytes - 1] == 1);
    sl_release(much);
    CHECK_INT(outside_field(remote, "running"), 0);
    sl_disconnect(remote);
}

static void batches(void) {
    enum { COUNT = 100000 }; /* more than may be under way at once */
    sl_remote *remote = outside_join("physics", "submit,read");
    sl_value *values = calloc(COUNT, sizeof *values);
    sl_args *args = calloc(COUNT, sizeof *args);
    sl_future **futures = calloc(COUNT, sizeof(void *));
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = sl_f64((double)i);
        args[i] = (sl_args){&values[i], 1};
    }
    CHECK_INT(sl_remote_submit_batch(remote, "square", args, COUNT, NULL, futures), 0);
    CHECK_INT(sl_wait_all(futures, COUNT, SL_FOREVER), 0);
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT; i++) {
        wrong += sl_result_f64(futures[i]) != (double)i * (double)i;
        sl_release(futures[i]);
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(outside_field(remote, "running"), 0);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    sl_disconnect(remote);
    free(values), free(args), free(futures);
}

static void await_number(_Atomic int *number, int least) {
    while (atomic_load(number) < least)
        usleep(1000);
}

static void taking_back(void) {
    sl_remote *remote = outside_join("physics", "submit,read");
    atomic_store(&waiting, 0);
    atomic_store(&given_up, 0);
    sl_future *futures[2] = {sl_remote_submit(remote, "wait_long", SL_NO_ARGS, NULL),
                             sl_remote_submit(remote, "wait_long", SL_NO_ARGS, NULL)};
    size_t index = 9;
    await_number(&waiting, 2);
    CHECK_INT(sl_wait(futures[0], 0.01), SL_ERROR_TIMEOUT);
    sl_cancel(futures[1]);
    CHECK_INT(sl_wait_any(futures, 2, SL_FOREVER, &index), 0);
    CHECK_INT(index, 1);
    CHECK_INT(sl_wait(futures[1], 0), SL_ERROR_CANCELLED);
    sl_future *here = sl_submit(&wait_long, SL_NO_ARGS), *mixed[2] = {futures[0], here};
    CHECK_INT(sl_wait_any(mixed, 2, SL_FOREVER, &index), SL_ERROR_INVALID);
    sl_cancel(here);
    sl_release(here);
    /* Leaving takes back what is under way. */
    sl_disconnect(remote);
    CHECK_INT(sl_wait(futures[0], 0), SL_ERROR_CLOSED);
    await_number(&given_up, 2);
    sl_release(futures[0]), sl_release(futures[1]);
}

/* ---- what keys and projects may ---- */

static void projects_apart(void) {
    sl_remote *one = outside_join("alpha", "submit,read"),
              *two = outside_join("beta", "submit,read");
    atomic_store(&waiting, 0);
    sl_future *mine = sl_remote_submit(one, "wait_long", SL_NO_ARGS, NULL);
    sl_future *theirs = sl_remote_submit(two, "wait_long", SL_NO_ARGS, NULL);
    await_number(&waiting, 2);
    CHECK_INT(outside_field(one, "running"), 1); /* both have number 1 */
    CHECK_INT(outside_field(two, "clients"), 1);
    sl_cancel(mine);
    CHECK_INT(sl_wait(mine, SL_FOREVER), SL_ERROR_CANCELLED);
    CHECK_INT(sl_wait(theirs, 0.05), SL_ERROR_TIMEOUT);
    CHECK_INT(outside_field(two, "running"), 1);
    CHECK_INT(outside_field(one, "running"), 0);
    sl_disconnect(one);
    sl_disconnect(two);
    sl_release(mine), sl_release(theirs);
}

static void scopes_and_quotas(void) {
    sl_remote *reader = outside_join("gamma", "read"), *writer = outside_join("gamma", "submit");
    char *text;
    sl_future *no = sl_remote_submit(reader, "square", SL_ARGS(sl_f64(1)), NULL);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "lacks the scope submit");
    sl_release(no);
    CHECK_INT(sl_remote_status(writer, 0, &text), SL_ERROR_CLOSED);
    CHECK_CONTAINS(sl_error_text(), "lacks the scope read");
    sl_disconnect(writer);
    CHECK_INT(sl_api_quota(outside_directory, "gamma", 0, 2, 1000, 0), 0);
    writer = outside_join("gamma", "submit");
    sl_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] = sl_remote_submit(writer, "wait_long", SL_NO_ARGS, NULL);
    CHECK_INT(sl_wait(futures[2], SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "quota");
    CHECK_INT(sl_state_of(futures[1]), SL_FUTURE_PENDING);
    sl_cancel(futures[0]);
    CHECK_INT(sl_wait(futures[0], SL_FOREVER), SL_ERROR_CANCELLED);
    static const char large[2000];
    no = sl_remote_call(writer, "starlane.echo", large, sizeof large, NULL);
    CHECK_INT(sl_wait(no, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "bytes as its quota allows");
    sl_disconnect(writer);
    sl_disconnect(reader);
    for (int i = 0; i < 3; i++)
        sl_release(futures[i]);
    sl_release(no);
}

static void a_revoked_key(void) {
    sl_remote *remote = NULL, *again;
    char *key = outside_key("delta", "submit"), id[17] = {};
    memcpy(id, key + 4, 16);
    REQUIRE(sl_connect(outside_url, key, "delta", NULL, &remote) == 0);
    sl_future *task = sl_remote_submit(remote, "wait_long", SL_NO_ARGS, NULL);
    CHECK_INT(sl_api_key_revoke(outside_directory, id), 0);
    CHECK_INT(sl_wait(task, SL_FOREVER), SL_ERROR_CLOSED);
    CHECK_CONTAINS(sl_error_text(), "was revoked");
    CHECK(!sl_remote_submit(remote, "square", SL_ARGS(sl_f64(1)), NULL));
    CHECK_CONTAINS(sl_error_text(), "was revoked");
    CHECK(sl_connect(outside_url, key, "delta", NULL, &again) != 0);
    CHECK_CONTAINS(sl_error_text(), "was revoked");
    sl_disconnect(remote);
    sl_release(task);
    sl_free(key);
}

/* ---- what is no client ---- */

/* The name of an object that the network's own program has: a client cannot know it, but may guess.
 */
static void a_guessed_object(void) {
    sl_remote *remote = outside_join("epsilon", "submit");
    sl_object *object = sl_put(sl_string("ours"));
    REQUIRE(object != NULL);
    sl_value value = sl_object_value(object);
    sl_value_size size;
    CHECK(!sl_remote_submit(remote, "square", SL_ARGS(value), NULL));
    REQUIRE(sl_values_measure(&value, 1, &size) == SL_OK);
    uint8_t *wire = malloc(size.bytes);
    sl_values_encode(&value, 1, wire, NULL);
    sl_future *future = sl_remote_call(remote, "square", wire, size.bytes, NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "there is no such object");
    sl_release(future);
    free(wire);
    sl_object_release(object);
    sl_disconnect(remote);
}

static void what_is_no_client(void) {
    sl_remote *good = outside_join("epsilon", "submit,read");
    gateway_task call = {.number = 5, .function = sl_text_of("starlane.echo")};
    gateway_task calls[2] = {call, call};
    gateway_submit one = {.tasks = {&call, 1}}, two = {.tasks = {calls, 2}};
    gateway_hello hello = {.version = 99};
    gateway_status status = {};
    raw r;
    raw_dial(&r);
    CHECK_INT(sl_link_send(r.link, "nonsense", 8, NULL), SL_OK);
    raw_refused(&r, "no message of a gateway");
    raw_dial(&r);
    raw_say(&r, SL_GATEWAY_SUBMIT, &one, NULL, 0); /* before it was welcome */
    raw_refused(&r, "kind 3, where 1 is due");
    raw_dial(&r);
    raw_say(&r, SL_GATEWAY_HELLO, &hello, NULL, 0);
    raw_refused(&r, "version 99");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_SUBMIT, &one, NULL, 0);
    raw_say(&r, SL_GATEWAY_SUBMIT, &one, NULL, 0); /* a replay */
    raw_refused(&r, "task 5 after task 5: numbers ascend");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_SUBMIT, &two, "large", 5);
    raw_refused(&r, "large data behind 2 tasks");
    raw_enter(&r, "epsilon");
    raw_say(&r, SL_GATEWAY_STATUS, &status, NULL, 0);
    raw_refused(&r, "is not for a gateway");
    raw_enter(&r, "epsilon");
    hello.version = SL_GATEWAY_VERSION;
    raw_say(&r, SL_GATEWAY_HELLO, &hello, NULL, 0); /* again */
    raw_refused(&r, "is not for a gateway");
    /* Others notice nothing. */
    sl_future *nine = sl_remote_submit(good, "square", SL_ARGS(sl_f64(3)), NULL);
    CHECK_INT(sl_wait(nine, SL_FOREVER), 0);
    sl_release(nine);
    sl_disconnect(good);
}

static void wrong_keys(void) {
    sl_remote *remote;
    char *key = outside_key("zeta", "submit"), wrong[100];
    snprintf(wrong, sizeof wrong, "%s", key);
    wrong[60] = wrong[60] == '0' ? '1' : '0';
    CHECK_INT(sl_connect("starlane://127.0.0.1:1", key, "zeta", NULL, &remote), SL_ERROR_INVALID);
    CHECK(sl_connect(outside_url, key, "eta", NULL, &remote) != 0);
    CHECK_CONTAINS(sl_error_text(), "not for project 'eta'");
    int refusals = 0;
    for (int i = 0; i < 6; i++) {
        CHECK(sl_connect(outside_url, wrong, "zeta", NULL, &remote) != 0);
        refusals += strstr(sl_error_text(), "too many wrong keys") != NULL;
    }
    CHECK(refusals >= 1); /* guessing has to wait, also with the right one: */
    CHECK(sl_connect(outside_url, key, "zeta", NULL, &remote) != 0 || refusals < 3);
    sl_free(key);
}

static void audited(void) {
    char path[600], line[2000];
    int lines = 0, wrong = 0;
    snprintf(path, sizeof path, "%s/audit.jsonl", outside_directory);
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    while (fgets(line, sizeof line, file)) {
        lines++;
        wrong += line[0] != '{' || strncmp(line + strlen(line) - 2, "}\n", 2) != 0;
        CHECK(!strstr(line, "slk_") || strstr(line, "one is slk_ and"));
    }
    fclose(file);
    CHECK(lines > 20);
    CHECK_INT(wrong, 0);
}

TEST(clients_from_outside) {
    REQUIRE(outside_begin() == 0);
    CHECK_CONTAINS(outside_url, "starlane://127.0.0.1:");
    results_and_errors();
    large_arrays();
    batches();
    taking_back();
    projects_apart();
    scopes_and_quotas();
    a_revoked_key();
    what_is_no_client();
    a_guessed_object();
    /* A client that is there as the network ends. */
    sl_remote *last = outside_join("physics", "submit");
    sl_future *task = sl_remote_submit(last, "wait_long", SL_NO_ARGS, NULL);
    wrong_keys();
    CHECK_INT(sl_shutdown(), 0);
    CHECK_INT(sl_wait(task, SL_FOREVER), SL_ERROR_CLOSED);
    CHECK_CONTAINS(sl_error_text(), "the network is being left");
    sl_release(task);
    sl_disconnect(last);
    audited();
}
