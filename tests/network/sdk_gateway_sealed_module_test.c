/* Sealed modules from outside: all that client and gateway say to each other (before TLS), all that
 * goes between the nodes, and all that the gateway writes to its disk is searched for what was
 * sealed, the module's own bytes among it; and clients that may not, or forge. */
#include "actors/gateway/gateway_msgs.h"
#include "actors/secure/parcel.h"
#include "sdk/module.h"
#include "sdk/remote.h"
#include "sdk/seal.h"
#include "sdk/value.h"
#include "tests/lib/module_files.h"
#include "tests/lib/sealed_outside.h"
#include "tests/lib/sealing_keys.h"

enum { TIMES = 50, LARGE = 1 << 20 };

static const char secret[] = "what nobody between the two ends may read, whoever they are";
static const char reason[] = "a reason that would give away what was computed, if told";
static const char code[] = "what stands in the module's file and is nobody's to read on its way";

SL_TASK(own) {
    return sl_return_string(call, "the program");
}

static void begin(const char *modules) {
    const sl_test_keys *k = sl_test_keys_make();
    const char *const options[] = {"keys",        k->node, "authority", k->fingerprint,
                                   "store-share", "false", "policy",    "random",
                                   "modules",     modules, NULL};
    begin_with(options, "submit,read,module");
}

/* Each is another module, and is loaded anew. */
static sl_module *bring_to(sl_remote *to, bool is_sealed) {
    static int number;
    char path[400];
    size_t size;
    sl_module *module = NULL;
    uint8_t *bytes = module_bytes("keen", &size);
    bytes = realloc(bytes, size + sizeof code + sizeof number);
    memcpy(bytes + size, code, sizeof code);
    memcpy(bytes + size + sizeof code, &number, sizeof number);
    snprintf(path, sizeof path, "%s/keen-%d.so", sl_test_dir(), number++);
    write_module(path, bytes, size + sizeof code + sizeof number);
    free(bytes);
    sl_test_keys_need(is_sealed ? sl_remote_module_load_sealed(to, path, &module)
                                : sl_remote_module_load(to, path, &module),
                      path);
    return module;
}

static sl_module *bring(bool is_sealed) {
    return bring_to(remote, is_sealed);
}

static void use(const sl_module *module, const sl_task_options *how) {
    sl_future *futures[TIMES];
    const sl_task *word = sl_module_task(module, "keen_word");
    for (int i = 0; i < TIMES; i++)
        futures[i] = sl_remote_submit_task(remote, word, SL_ARGS(sl_string(secret)), how);
    for (int i = 0; i < TIMES; i++) {
        CHECK_INT(sl_wait(futures[i], 60), 0);
        CHECK_STR(sl_result_string(futures[i]), secret);
        sl_release(futures[i]);
    }
}

static void fails(sl_future *future, const char *why) {
    CHECK_INT(sl_wait(future, 60), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
}

TEST(nobody_on_the_way_sees_a_sealed_module) {
    begin("on");
    sl_module *module = bring(true);
    use(module, sealed());
    CHECK(sl_recording_size(&outside) > 0 && sl_recording_size(&between) > 0);
    CHECK(!seen(code));
    CHECK(!seen(secret));
    CHECK(!sl_recording_has(&outside, "keen_", 5) && !sl_recording_has(&between, "keen_", 5));
    CHECK(!seen(sl_module_id(module)) && !disk_has("keen_"));
    CHECK(sl_recording_has(&outside, SL_SEALED_MODULE, sizeof SL_SEALED_MODULE - 1));
    sl_module_release(module);
    end();
    CHECK(disk_has(SL_SEALED_MODULE)); /* the audit log tells that it was allowed one */
    CHECK(!disk_has(code) && !disk_has("keen_"));
}

TEST(everybody_sees_one_that_is_not) {
    begin("on");
    sl_module *module = bring(false);
    use(module, NULL);
    CHECK(sl_recording_has(&outside, code, strlen(code)));
    CHECK(sl_recording_has(&outside, secret, strlen(secret)));
    CHECK(sl_recording_has(&between, secret, strlen(secret)));
    CHECK(sl_recording_has(&outside, "keen_word", 9));
    sl_module_release(module);
    end();
    CHECK(disk_has("keen_word"));
}

TEST(large_data_and_errors) {
    size_t bytes = 0;
    begin("on");
    sl_module *module = bring(true);
    char *text = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        text[i] = secret[i % sizeof secret];
    for (int i = 0; i < 4; i++) {
        sl_future *future = sl_remote_submit_task(remote, sl_module_task(module, "keen_echo"),
                                                  SL_ARGS(sl_bytes(text, LARGE)), sealed());
        CHECK_INT(sl_wait(future, 60), 0);
        const void *got = sl_result_bytes(future, &bytes);
        CHECK_INT(bytes, LARGE);
        CHECK(bytes == LARGE && memcmp(got, text, LARGE) == 0);
        sl_release(future);
        fails(sl_remote_submit_task(remote, sl_module_task(module, "keen_refusal"),
                                    SL_ARGS(sl_string(reason)), sealed()),
              reason);
    }
    CHECK(!seen(secret));
    CHECK(!seen(reason));
    free(text);
    CHECK(outside_field(remote, "held_bytes") > 10000); /* the file, as any object of it */
    sl_module_release(module);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    end();
}

/* More than a message holds: it goes ahead, as an object, and so does the module's file. */
TEST(very_large_data) {
    const size_t bytes = (size_t)70 << 20;
    begin("on");
    sl_module *module = bring(true);
    char *text = malloc(bytes);
    int64_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += text[i] = secret[i % sizeof secret];
    for (int i = 0; i < 2; i++) {
        sl_future *future = sl_remote_submit_task(remote, sl_module_task(module, "keen_count"),
                                                  SL_ARGS(sl_bytes(text, bytes)), sealed());
        CHECK_INT(sl_wait(future, 60), 0);
        CHECK_INT(sl_result_i64(future), sum);
        sl_release(future);
    }
    CHECK(!seen(secret));
    free(text);
    sl_module_release(module);
    end();
}

/* A call as no client of ours makes it: by the name `function`, an envelope and the object. */
static sl_future *forge(sl_remote *by, const char *function, uint64_t number, const void *envelope,
                        size_t bytes) {
    sl_store_id id = sl_remote_name_of(number);
    sl_value values[2] = {{.type = SL_TYPE_OBJECT, .data = &id}, sl_bytes(envelope, bytes)};
    sl_value_size size;
    uint8_t wire[8192];
    if (sl_values_measure(values, 2, &size) != SL_OK || size.bytes > sizeof wire)
        abort();
    sl_values_encode(values, 2, wire, NULL);
    return sl_remote_call(by, function, wire, size.bytes, NULL);
}

/* Envelopes of this client's, as it makes them. */
typedef struct sealing {
    uint8_t bytes[4096];
    size_t size;
} sealing;

static uint8_t *place(void *context, size_t size) {
    sealing *s = context;
    s->size = size;
    return size <= sizeof s->bytes ? s->bytes : NULL;
}

static sl_err no_nodes(void *context, sl_roster_node **list, uint32_t *count) {
    (void)context, (void)list, (void)count;
    return sl_fail(SL_ERR_NOT_FOUND, "they are known");
}

/* The nodes are known from what was sealed for this connection before. */
static sl_seal_source known(void) {
    return (sl_seal_source){.id = ((const struct sl_remote *)remote)->source, .fetch = no_nodes};
}

static void drop(sl_seal_made *made) {
    free(made->among);
    sl_future_seal_drop(made->end);
}

TEST(who_may_not_bring_modules_may_not_bring_sealed_ones) {
    sealing s;
    sl_seal_made made;
    begin("on");
    sl_module *module = bring(true);
    const sl_task *word = sl_module_task(module, "keen_word");
    use(module, sealed());
    sl_remote *mere = outside_join("physics", "submit,read,command");
    sl_module *brought = bring_to(mere, true); /* an object like any other */
    fails(sl_remote_submit_task(mere, sl_module_task(brought, "keen_word"), SL_ARGS(sl_string("x")),
                                sealed()),
          "it lacks the scope module");
    /* By another name, for which it has the scope, the nodes refuse it. */
    const sl_seal_source source = known();
    const sl_value given = sl_string("x");
    const sl_args args = {&given, 1};
    REQUIRE(sl_seal_module_call(&seal, &source,
                                &(sl_seal_module_asked){sl_module_entry_of(word), &args, NULL}, 9,
                                place, &s, &made) == SL_OK);
    fails(sl_remote_call(mere, SL_SEALED_FUNCTION, s.bytes, s.size, NULL),
          "not what it travels as");
    fails(sl_remote_call(mere, SL_SEALED_COMMAND, s.bytes, s.size, NULL), "not what it travels as");
    fails(forge(mere, SL_SEALED_MODULE, 1, s.bytes, s.size), "it lacks the scope module");
    drop(&made);
    /* And what is no module's is not run as one. */
    REQUIRE(sl_seal_call(&seal, &source, "own", &args, 9, place, &s, &made) == SL_OK);
    fails(forge(remote, SL_SEALED_MODULE, 1, s.bytes, s.size), "not what it travels as");
    drop(&made);
    /* A task of a module in the clear, sealed as if it were the program's. */
    REQUIRE(sl_seal_call(&seal, &source, word->name, &args, 9, place, &s, &made) == SL_OK);
    fails(sl_remote_call(mere, SL_SEALED_FUNCTION, s.bytes, s.size, NULL), "a sealed task failed");
    drop(&made);
    sl_module_release(module), sl_module_release(brought);
    sl_disconnect(mere);
    end();
}

TEST(what_is_not_theirs_and_what_is_no_envelope) {
    sealing s;
    sl_seal_made made;
    begin("on");
    sl_module *module = bring(true);
    const sl_task *word = sl_module_task(module, "keen_word");
    const sl_value given = sl_string("x");
    const sl_args args = {&given, 1};
    use(module, sealed());
    const sl_seal_source source = known();
    fails(forge(remote, SL_SEALED_MODULE, 4711, code, sizeof code), "there is no such object here");
    fails(forge(remote, SL_SEALED_MODULE, 1, code, sizeof code), "no sealed envelope");
    fails(sl_remote_call(remote, SL_SEALED_MODULE, code, sizeof code, NULL), "do not decode");
    fails(sl_remote_call(remote, SL_SEALED_MODULE, "", 0, NULL), "do not decode");
    /* With another object, before anybody has this module: it does not open. */
    sl_module *fresh = bring(true), *other = bring(true);
    REQUIRE(sl_seal_module_call(
                &seal, &source,
                &(sl_seal_module_asked){sl_module_entry_of(sl_module_task(fresh, "keen_word")),
                                        &args, NULL},
                9, place, &s, &made) == SL_OK);
    uint64_t number = sl_remote_object_of(other->object)->number;
    fails(forge(remote, SL_SEALED_MODULE, number, s.bytes, s.size), "a sealed task failed");
    drop(&made);
    /* A client of another connection has not the object. */
    sl_remote *elsewhere = outside_join("chemistry", "submit,read,module");
    CHECK(!sl_remote_submit_task(elsewhere, word, SL_ARGS(sl_string("x")), sealed()));
    CHECK_CONTAINS(sl_error_text(), "not of this connection");
    CHECK(!sl_submit_with(word, SL_ARGS(sl_string("x")), sealed()));
    CHECK_CONTAINS(sl_error_text(), "object of a connection");
    CHECK(!sl_remote_submit_task(remote, word, SL_ARGS(sl_string("x")), NULL));
    CHECK_CONTAINS(sl_error_text(), "its module is sealed, and so are its tasks");
    sl_module *told = bring(false);
    CHECK(!sl_remote_submit_task(remote, sl_module_task(told, "keen_word"), SL_ARGS(sl_string("x")),
                                 sealed()));
    CHECK_CONTAINS(sl_error_text(), "load it by sl_module_load_sealed()");
    sl_disconnect(elsewhere);
    sl_module_release(module), sl_module_release(fresh), sl_module_release(other);
    sl_module_release(told);
    end();
}

TEST(a_network_that_takes_none) {
    begin("off");
    sl_module *module = bring(true);
    fails(sl_remote_submit_task(remote, sl_module_task(module, "keen_word"),
                                SL_ARGS(sl_string("x")), sealed()),
          "this network takes no modules");
    sl_module_release(module);
    end();
}
