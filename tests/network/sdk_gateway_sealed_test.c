/* Sealed tasks from outside: all that client and gateway say to each other (before TLS), all that
 * goes between the nodes, and all that the gateway writes to its disk is searched for what was
 * sealed. */
#include <unistd.h>

#include "actors/gateway/gateway_msgs.h"
#include "tests/lib/sealed_outside.h"
#include "tests/lib/sealing_keys.h"

enum { TIMES = 50, LARGE = 2 << 20 };

static const char secret[] = "what nobody between the two ends may read, whoever they are";
static const char answer[] = "and what comes back to the client alone, sealed the same way";
static const char reason[] = "a reason that would give away what was computed, if told";

SL_TASK(tell_back) {
    if (strcmp(sl_arg_string(call, 0), secret) != 0)
        return sl_call_fail(call, "it got something else");
    return sl_return_string(call, answer);
}

SL_TASK(say_why) {
    return sl_call_fail(call, "%s", reason);
}

SL_TASK(give_back) {
    size_t bytes;
    const void *data = sl_arg_bytes(call, 0, &bytes);
    return sl_return_bytes(call, data, bytes);
}

SL_TASK(look_at_end) {
    size_t bytes;
    const char *data = sl_arg_bytes(call, 0, &bytes);
    const char *end = data && bytes > sizeof secret ? data + bytes - sizeof secret : "";
    return sl_return_string(call, strcmp(end, secret) == 0 ? answer : "something else");
}

SL_TASK(look_inside) {
    return sl_return_string(call, sl_arg_object(call, 0) ? "it has an object" : "it has none");
}

static void begin(const char *identity) {
    const sl_test_keys *k = sl_test_keys_make();
    const char *const options[] = {"keys", identity, "authority", k->fingerprint, NULL};
    begin_with(identity ? options : NULL, "submit,read,command");
}

static void tell_secret(const sl_task_options *how) {
    sl_future *futures[TIMES];
    sl_args args[TIMES];
    const sl_value given = sl_string(secret);
    for (int i = 0; i < TIMES; i++)
        args[i] = (sl_args){&given, 1};
    sl_test_keys_need(sl_remote_submit_batch(remote, "tell_back", args, TIMES, how, futures),
                      "batch");
    for (int i = 0; i < TIMES; i++) {
        CHECK_INT(sl_wait(futures[i], 30), 0);
        CHECK_STR(sl_result_string(futures[i]), answer);
        sl_release(futures[i]);
    }
}

TEST(nobody_on_the_way_sees_what_a_client_seals) {
    begin(sl_test_keys_make()->node);
    tell_secret(sealed());
    CHECK(sl_recording_size(&outside) > 0 && sl_recording_size(&between) > 0);
    CHECK(!seen(secret));
    CHECK(!seen(answer));
    CHECK(!seen("tell_back tell_back") && !sl_recording_has(&outside, "tell_back", 9));
    CHECK(sl_recording_has(&outside, "starlane.sealed", 15));
    end();
}

TEST(everybody_sees_what_it_does_not) {
    begin(sl_test_keys_make()->node);
    tell_secret(NULL);
    CHECK(sl_recording_has(&outside, secret, strlen(secret)));
    CHECK(sl_recording_has(&outside, answer, strlen(answer)));
    CHECK(sl_recording_has(&between, secret, strlen(secret)));
    end();
}

TEST(large_data_and_errors_are_sealed_on_the_way_in_and_out) {
    begin(sl_test_keys_make()->node);
    char *text = malloc(LARGE);
    size_t bytes = 0;
    for (size_t i = 0; i < LARGE; i++)
        text[i] = secret[i % sizeof secret];
    for (int i = 0; i < 4; i++) {
        sl_future *future =
            sl_remote_submit(remote, "give_back", SL_ARGS(sl_bytes(text, LARGE)), sealed());
        CHECK_INT(sl_wait(future, 30), 0);
        const void *got = sl_result_bytes(future, &bytes);
        CHECK_INT(bytes, LARGE);
        CHECK(bytes == LARGE && memcmp(got, text, LARGE) == 0);
        sl_release(future);
        future = sl_remote_submit(remote, "say_why", SL_NO_ARGS, sealed());
        CHECK_INT(sl_wait(future, 30), SL_ERROR_FAILED);
        CHECK_STR(sl_error_text(), reason);
        sl_release(future);
    }
    CHECK(!seen(secret));
    CHECK(!seen(reason));
    free(text);
    end();
}

TEST(functions_of_bytes) {
    size_t bytes = 0;
    begin(sl_test_keys_make()->node);
    sl_future *future =
        sl_remote_call(remote, "starlane.echo", secret, sizeof secret - 1, sealed());
    CHECK_INT(sl_wait(future, 30), 0);
    const char *got = sl_result_bytes(future, &bytes);
    CHECK_INT(bytes, sizeof secret - 1);
    CHECK(got && memcmp(got, secret, bytes) == 0);
    sl_release(future);
    CHECK(!seen(secret));
    CHECK(!sl_recording_has(&outside, "starlane.echo", 13));
    end();
}

TEST(commands_from_outside) {
    sl_sealed_result result;
    const char *const arguments[] = {"sh", "-c",   "printf '%s ' \"$1\"; cat; exit 4",
                                     "sh", secret, NULL};
    const sl_command command = {
        .argv = arguments, .input = answer, .input_bytes = sizeof answer - 1};
    begin(sl_test_keys_make()->node);
    sl_remote *without = outside_join("physics", "submit");
    sl_future *refused = sl_seal_command(without, &command, sealed());
    CHECK_INT(sl_wait(refused, 30), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "lacks the scope command");
    sl_release(refused);
    sl_disconnect(without);
    for (int i = 0; i < 10; i++) {
        sl_future *future = i % 2 ? sl_remote_command(remote, &command, sealed())
                                  : sl_seal_command(remote, &command, sealed());
        CHECK_INT(sl_wait(future, 30), SL_ERROR_FAILED);
        CHECK_STR(sl_error_text(), "exit code 4");
        CHECK_INT(sl_result_sealed(future, &result), 0);
        CHECK_INT(result.output_bytes, sizeof secret + sizeof answer - 1);
        CHECK(result.output_bytes && memcmp(result.output, secret, sizeof secret - 1) == 0);
        sl_release(future);
    }
    CHECK(!seen(secret));
    CHECK(!seen(answer));
    end();
}

TEST(commands_take_a_scope) {
    begin(sl_test_keys_make()->node);
    sl_remote *mere = outside_join("physics", "submit,read");
    sl_future *future = sl_seal_command(mere, &(sl_command){.shell = "true"}, sealed());
    CHECK_INT(sl_wait(future, 30), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "lacks the scope command");
    sl_release(future);
    future = sl_seal_command(remote, &(sl_command){.shell = "true"}, sealed());
    CHECK_INT(sl_wait(future, 30), 0);
    sl_release(future);
    sl_disconnect(mere);
    end();
}

/* More than a message takes: the envelope goes as an object, of which nobody knows more either. */
TEST(what_is_too_large_for_a_message) {
    enum { MUCH = 70 << 20 };
    begin(sl_test_keys_make()->node);
    char *data = calloc(1, MUCH);
    REQUIRE(data);
    for (size_t at = 0; at + 4096 < MUCH; at += 4096)
        memcpy(data + at, secret, sizeof secret);
    memcpy(data + MUCH - sizeof secret, secret, sizeof secret);
    sl_future *future =
        sl_remote_submit(remote, "look_at_end", SL_ARGS(sl_value_bytes(data, MUCH)), sealed());
    CHECK_INT(sl_wait(future, 60), 0);
    CHECK_STR(sl_result_string(future), answer);
    sl_release(future);
    CHECK(!seen(secret));
    while (outside_field(remote, "held_bytes"))
        usleep(1000);
    /* What comes back has to fit. */
    future = sl_remote_submit(remote, "give_back", SL_ARGS(sl_value_bytes(data, MUCH)), sealed());
    CHECK_INT(sl_wait(future, 60), SL_ERROR_FAILED);
    sl_release(future);
    free(data);
    end();
}

/* An object's name that nobody on the way can see is not looked at by the gateway either. */
TEST(no_object_is_reached_by_a_sealed_task) {
    begin(sl_test_keys_make()->node);
    sl_object *object = sl_remote_put(remote, sl_string("somebody's"));
    CHECK(!sl_remote_submit(remote, "look_inside", SL_ARGS(sl_object_value(object)), sealed()));
    CHECK_CONTAINS(sl_error_text(), "an object is not sealed");
    sl_object_release(object);
    end();
}

TEST(a_network_without_identities_runs_nothing_sealed) {
    begin(NULL);
    CHECK(!sl_remote_submit(remote, "tell_back", SL_ARGS(sl_string(secret)), sealed()));
    CHECK_CONTAINS(sl_error_text(), "no node of the network has a certificate");
    CHECK(!sl_remote_call(remote, "starlane.echo", secret, sizeof secret, sealed()));
    CHECK(!seen(secret));
    tell_secret(NULL);
    end();
}

/* The gateway is believed in nothing: a node that the authority did not certify gets nothing. */
TEST(a_node_that_the_gateway_makes_up_gets_nothing) {
    const sl_test_keys *k = sl_test_keys_make();
    sl_test_keys other = *k;
    snprintf(other.authority, sizeof other.authority, "%s", sl_test_path("other-authority"));
    snprintf(other.node, sizeof other.node, "%s", sl_test_path("other-node"));
    sl_test_keys_need(sl_keys_create(other.authority, "authority", NULL, NULL), "authority");
    sl_test_fingerprint(other.authority, other.fingerprint);
    sl_test_keys_certify(&other, other.node, "node", "node-1.site", NULL);
    const char *const options[] = {"keys", other.node, "authority", other.fingerprint, NULL};
    sl_test_keys_need(outside_begin_with(options), "network");
    remote = outside_join("physics", "submit,read,command");
    sl_test_keys_need(sl_keys_open(k->client, k->fingerprint, NULL, &keys), "keys");
    seal = (sl_seal){.keys = keys};
    sl_recording_clear(&between), sl_recording_clear(&outside);
    CHECK(!sl_remote_submit(remote, "tell_back", SL_ARGS(sl_string(secret)), sealed()));
    CHECK_CONTAINS(sl_error_text(), "no node of the network has a certificate");
    CHECK(!seen(secret));
    end();
}

TEST(who_may_not_submit_may_not_ask_for_nodes) {
    begin(sl_test_keys_make()->node);
    sl_remote *reader = outside_join("physics", "read");
    CHECK(!sl_remote_submit(reader, "tell_back", SL_ARGS(sl_string(secret)), sealed()));
    CHECK_CONTAINS(sl_error_text(), "lacks the scope submit");
    sl_disconnect(reader);
    end();
}
