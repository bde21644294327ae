/* Tasks and commands on their way into envelopes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/secure/secret.h"
#include "runtime/clock.h"
#include "sdk/module.h"
#include "sdk/seal_internal.h"
#include "sdk/value.h"

enum { LIFETIME_S = 86400 };

uint64_t sl_seal_source_id(void) {
    static _Atomic uint64_t next;
    return atomic_fetch_add(&next, 1) + 1;
}

/* ---- sealing ---- */

static sl_err describe(const sl_seal *seal, uint32_t retries, const sl_peer *peers, uint32_t count,
                       sl_seal_request *request) {
    double lifetime_s = seal->lifetime_s > 0 ? seal->lifetime_s : LIFETIME_S;
    if (!(lifetime_s < 1e10))
        return sl_fail(SL_ERR_INVALID, "a sealed task is to be run within so many seconds");
    *request =
        (sl_seal_request){.sender = seal->keys->identity,
                          .recipients = peers,
                          .recipient_count = count,
                          .kind = SL_SEAL_TASK,
                          .runs = retries < SL_RUNS_MOST ? (uint8_t)(retries + 1) : SL_RUNS_MOST,
                          .now_s = (uint64_t)sl_clock_wall_s(),
                          .lifetime_s = (uint64_t)ceil(lifetime_s)};
    return SL_OK;
}

static sl_err make_end(const sl_seal *seal, uint64_t source, const uint8_t *id,
                       struct sl_future_seal **out) {
    struct sl_future_seal *end = calloc(1, sizeof *end);
    if (!end)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
    end->keys = seal->keys;
    end->source = source;
    atomic_fetch_add(&seal->keys->references, 1);
    pthread_mutex_init(&end->lock, NULL);
    memcpy(end->id, id, sizeof end->id);
    *out = end;
    return SL_OK;
}

static sl_err seal_with(const sl_seal *seal, uint64_t source, sl_sealer *sealer,
                        sl_seal_request *request, const sl_sealing *what,
                        uint8_t *(*place)(void *context, size_t size), void *context,
                        struct sl_future_seal **end) {
    size_t size;
    SL_TRY(sl_sealing_measure(request, what, &size));
    uint8_t *out = place(context, size);
    if (!out)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed task of %zu bytes", size);
    SL_TRY(sl_sealing_write(sealer, request, what, out));
    return make_end(seal, source, sl_sealer_id(sealer), end);
}

static sl_err borrow_and_seal(const sl_seal *seal, uint64_t source, sl_seal_request *request,
                              const sl_sealing *what, uint8_t *(*place)(void *context, size_t size),
                              void *context, struct sl_future_seal **end) {
    sl_seal_tools *t;
    SL_TRY(sl_seal_tools_borrow(&seal->keys->tools, &t));
    sl_err err = seal_with(seal, source, t->sealer, request, what, place, context, end);
    sl_seal_tools_give_back(&seal->keys->tools, t);
    return err;
}

/* The nodes that it may be sealed for, as recipients; the caller's. */
static sl_err choose_peers(const sl_seal *seal, const sl_seal_source *source, sl_peer **peers,
                           uint32_t *count, sl_seal_made *made) {
    sl_seal_known *nodes;
    SL_TRY(sl_seal_learn(seal->keys, source, &nodes, count));
    sl_err err = sl_seal_choose(seal->keys, seal, nodes, count, made);
    *peers = err == SL_OK ? malloc(*count * sizeof **peers) : NULL;
    if (err == SL_OK && !*peers)
        err = sl_fail(SL_ERR_NO_MEMORY, "no memory for nodes");
    for (uint32_t i = 0; err == SL_OK && i < *count; i++)
        (*peers)[i] = nodes[i].peer;
    free(nodes);
    return err;
}

sl_err sl_seal_make(const sl_seal *seal, const sl_seal_source *source, const sl_sealing *what,
                    uint32_t retries, uint8_t *(*place)(void *context, size_t size), void *context,
                    sl_seal_made *made) {
    sl_seal_request request;
    sl_peer *peers = NULL;
    uint32_t count = 0;
    *made = (sl_seal_made){0};
    if (!seal->keys)
        return sl_fail(SL_ERR_INVALID, "a task is sealed with keys: sl_keys_open()");
    sl_err err = choose_peers(seal, source, &peers, &count, made);
    if (err == SL_OK)
        err = describe(seal, retries, peers, count, &request);
    if (err == SL_OK)
        err = borrow_and_seal(seal, source->id, &request, what, place, context, &made->end);
    free(peers);
    if (err == SL_OK)
        return SL_OK;
    free(made->among);
    *made = (sl_seal_made){0};
    return err;
}

/* ---- calls ---- */

static sl_err only_data(const sl_args *args) {
    for (size_t i = 0; i < args->count; i++) {
        if (args->values[i].type == SL_TYPE_FUTURE)
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: a sealed task cannot wait for a future: wait for it, and "
                           "give its result",
                           i);
        if (args->values[i].type == SL_TYPE_OBJECT)
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: an object is not sealed: give a sealed task what is in "
                           "it",
                           i);
    }
    return SL_OK;
}

/* The data apart, where they lie: as sl_values_encode() would put them into a blob. */
static size_t apart_parts(const sl_args *args, sl_part *parts) {
    static const uint8_t fill[SL_BODY_ALIGN];
    size_t count = 0, at = 0;
    for (size_t i = 0; i < args->count; i++) {
        const sl_value *value = &args->values[i];
        size_t bytes = value->bytes + (value->type == SL_TYPE_STRING);
        size_t before = (SL_BODY_ALIGN - at % SL_BODY_ALIGN) % SL_BODY_ALIGN;
        if (bytes < SL_VALUE_APART_BYTES)
            continue;
        if (before)
            parts[count++] = (sl_part){fill, before};
        parts[count++] = (sl_part){value->data, value->bytes};
        if (value->type == SL_TYPE_STRING)
            parts[count++] = (sl_part){fill, 1};
        at += before + bytes;
    }
    return count;
}

/* `what` has the form and the first section. */
static sl_err seal_values(const sl_seal *seal, const sl_seal_source *source, sl_sealing *what,
                          const sl_args *args, uint32_t retries,
                          uint8_t *(*place)(void *context, size_t size), void *context,
                          sl_seal_made *made) {
    sl_value_size size;
    SL_TRY(only_data(args));
    SL_TRY(sl_values_measure(args->values, args->count, &size));
    uint8_t *wire = malloc(size.bytes);
    sl_part *parts = malloc((3 * args->count + 1) * sizeof *parts);
    if (!wire || !parts) {
        free(wire), free(parts);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments of %zu bytes", size.bytes);
    }
    sl_values_encode(args->values, args->count, wire, NULL);
    const sl_part arguments = {wire, size.bytes};
    what->sections[1] = (sl_section){&arguments, 1, false};
    what->sections[2] = (sl_section){parts, apart_parts(args, parts), false};
    sl_err err = sl_seal_make(seal, source, what, retries, place, context, made);
    sl_secret_wipe(wire, size.bytes);
    free(wire), free(parts);
    return err;
}

sl_err sl_seal_call(const sl_seal *seal, const sl_seal_source *source, const char *function,
                    const sl_args *args, uint32_t retries,
                    uint8_t *(*place)(void *context, size_t size), void *context,
                    sl_seal_made *made) {
    const sl_part name = {function, strlen(function)};
    sl_sealing what = {.form = SL_BODY_CALL, .sections = {{&name, 1, false}}};
    return seal_values(seal, source, &what, args, retries, place, context, made);
}

sl_err sl_seal_bytes(const sl_seal *seal, const sl_seal_source *source, const char *function,
                     sl_part arguments, uint32_t retries,
                     uint8_t *(*place)(void *context, size_t size), void *context,
                     sl_seal_made *made) {
    const sl_part name = {function, strlen(function)};
    const sl_sealing what = {.form = SL_BODY_CALL,
                             .sections = {{&name, 1, false}, {&arguments, 1, false}}};
    SL_TRY(sl_seal_make(seal, source, &what, retries, place, context, made));
    made->end->raw = true;
    return SL_OK;
}

/* ---- tasks of modules ---- */

sl_err sl_seal_module_call(const sl_seal *seal, const sl_seal_source *source,
                           const sl_seal_module_asked *asked, uint32_t retries,
                           uint8_t *(*place)(void *context, size_t size), void *context,
                           sl_seal_made *made) {
    const sl_module_entry *entry = asked->entry;
    uint8_t about[sizeof entry->about];
    sl_value text[SL_MODULE_VALUES + 1];
    const sl_args spoken = {text + SL_MODULE_VALUES, 1};
    sl_module_values(entry, text);
    if (asked->json) {
        sl_module_text_values(entry, about, text);
        text[SL_MODULE_VALUES] = sl_string(asked->json);
    }
    const sl_part first[] = {{entry->module->data_key, SL_PARCEL_KEY_BYTES},
                             {text[1].data, text[1].bytes}};
    sl_sealing what = {.form = SL_BODY_MODULE, .sections = {{first, 2, false}}};
    SL_TRY(seal_values(seal, source, &what, asked->json ? &spoken : asked->args, retries, place,
                       context, made));
    made->end->module = true;
    made->end->raw = asked->json != NULL;
    return SL_OK;
}

/* ---- as it is carried ---- */

static bool is_apart(size_t size) {
    return size >= SL_VALUE_APART_BYTES;
}

static void carrier_values(const sl_value *object, size_t size, sl_value values[2]) {
    values[0] = *object;
    values[1] = sl_value_bytes(sl_value_unwritten, size);
}

size_t sl_seal_carrier_bytes(const sl_value *object, size_t size) {
    sl_value values[2];
    sl_value_size measured = {0};
    if (!object)
        return is_apart(size) ? 0 : size;
    carrier_values(object, size, values);
    return sl_values_measure(values, 2, &measured) == SL_OK ? measured.bytes : 0;
}

uint8_t *sl_seal_carrier_write(const sl_value *object, size_t size, uint8_t *out) {
    sl_value values[2];
    if (object) {
        carrier_values(object, size, values);
        sl_values_encode(values, 2, out, NULL);
        out += sl_seal_carrier_bytes(object, size) - sl_value_padded(is_apart(size) ? 0 : size);
    }
    return is_apart(size) ? NULL : out;
}

sl_err sl_seal_carrier_read(const void *wire, size_t bytes, const sl_blob *apart,
                            sl_value values[2]) {
    size_t count;
    SL_TRY(sl_values_count(wire, bytes, &count));
    if (count != 2)
        return sl_fail(SL_ERR_DECODE, "a sealed task of a module with %zu values", count);
    SL_TRY(sl_values_decode(wire, bytes, apart, false, values));
    if (values[0].type != SL_TYPE_OBJECT || values[1].type != SL_TYPE_BYTES || values[1].kept_)
        return sl_fail(SL_ERR_DECODE, "a sealed task of a module without its file");
    return SL_OK;
}

/* ---- commands ---- */

static uint32_t count_words(const char *const *words) {
    uint32_t count = 0;
    while (words && words[count])
        count++;
    return count;
}

static executor_word *words_of(const char *const *words, uint32_t count) {
    executor_word *list = calloc(count + 1, sizeof *list);
    for (uint32_t i = 0; list && i < count; i++)
        list[i].text = sl_text_of(words[i]);
    return list;
}

static sl_err encode_command(const executor_command *command, uint8_t **out, size_t *bytes) {
    SL_TRY(sl_record_check(&executor_command_record, command));
    *bytes = sl_record_wire_bytes(&executor_command_record, command);
    *out = malloc(*bytes);
    if (!*out)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command of %zu bytes", *bytes);
    sl_record_encode(&executor_command_record, command, *out, NULL);
    return SL_OK;
}

static sl_err encode_words(const sl_command *command, uint8_t **out, size_t *bytes) {
    const char *const shell[] = {"/bin/sh", "-c", command->shell, NULL};
    const char *const *argv = command->shell ? shell : command->argv;
    uint32_t arguments = count_words(argv), environment = count_words(command->env);
    executor_command record = {.arguments = {words_of(argv, arguments), arguments},
                               .environment = {words_of(command->env, environment), environment},
                               .directory = sl_text_of(command->cwd)};
    sl_err err = record.arguments.items && record.environment.items
                     ? encode_command(&record, out, bytes)
                     : sl_fail(SL_ERR_NO_MEMORY, "no memory for the words of a command");
    free((void *)(uintptr_t)record.arguments.items);
    free((void *)(uintptr_t)record.environment.items);
    return err;
}

sl_err sl_seal_a_command(const sl_seal *seal, const sl_seal_source *source,
                         const sl_command *command, uint32_t retries,
                         uint8_t *(*place)(void *context, size_t size), void *context,
                         sl_seal_made *made) {
    uint8_t *words = NULL;
    size_t bytes = 0;
    sl_err err = encode_words(command, &words, &bytes);
    if (err == SL_OK) {
        const sl_part first = {words, bytes}, input = {command->input, command->input_bytes};
        const sl_sealing what = {.form = SL_BODY_COMMAND,
                                 .sections = {{&first, 1, false}, {&input, 1, false}}};
        err = sl_seal_make(seal, source, &what, retries, place, context, made);
    }
    if (words)
        sl_secret_wipe(words, bytes);
    free(words);
    if (err == SL_OK)
        made->end->command = made->command = true;
    return err;
}

static sl_err check_command(const sl_command *command, const sl_task_options *options) {
    if (!command || !command->shell == !(command->argv && command->argv[0]))
        return sl_fail(SL_ERR_INVALID, "a command has either a program or shell");
    if (command->name || command->after_count || command->detached)
        return sl_fail(SL_ERR_UNAVAILABLE,
                       "a sealed command has no name, comes after no other, and "
                       "is not detached");
    if (command->input_bytes && !command->input)
        return sl_fail(SL_ERR_INVALID, "a command whose input is at NULL");
    if (!options || !options->sealed)
        return sl_fail(SL_ERR_INVALID, "options.sealed says how the command is sealed");
    return options->gpus ? sl_fail(SL_ERR_UNAVAILABLE, "a sealed command cannot be given GPUs yet")
                         : SL_OK;
}

sl_future *sl_seal_command(sl_remote *remote, const sl_command *command,
                           const sl_task_options *options) {
    if (check_command(command, options) != SL_OK)
        return NULL;
    return remote ? sl_remote_submit_command(remote, "a sealed command", command, options, NULL)
                  : sl_client_submit_command(command, options);
}
