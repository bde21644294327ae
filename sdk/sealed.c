/* Design notes
 * Sealers and openers are many small maps of memory, so each pool thread borrows a pair for a call
 * and gives it back; there are as many as calls ran at once.
 * The envelope that the executor holds is not ours to write to: it is copied once and opened in
 * that copy. What was opened, and what the function wrote, is wiped before its memory is free.
 */
#include "sdk/sealed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/secure/secret.h"
#include "runtime/clock.h"

enum { OUTPUT_MOST = 60 << 20, ANSWER_HEAD_BYTES = 8, MESSAGE_MOST = 1023 };

typedef struct tools {
    struct tools *next;
    sl_opener *opener;
    sl_sealer *sealer;
} tools;

struct sl_sealed {
    sl_sealed_options options;
    pthread_mutex_t lock; /* what follows */
    tools *idle;
};

/* One call, on its pool thread. */
typedef struct call {
    sl_sealed *sealed;
    const sl_functions *functions;
    tools *tools;
    uint64_t now_s;
    uint8_t *copy; /* of the envelope; the body is opened in it */
    size_t size;
    sl_seal_head envelope;
    sl_peer sender;
    executor_function *record; /* decoded from the body */
    size_t record_bytes;
} call;

/* ---- tools ---- */

static void tools_destroy(tools *t) {
    sl_opener_destroy(t->opener);
    sl_sealer_destroy(t->sealer);
    free(t);
}

static sl_err tools_create(tools **made) {
    tools *t = calloc(1, sizeof *t);
    if (!t)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to open a sealed task");
    sl_err err = sl_opener_create(&t->opener);
    if (err == SL_OK)
        err = sl_sealer_create(&t->sealer);
    if (err != SL_OK) {
        tools_destroy(t);
        return err;
    }
    *made = t;
    return SL_OK;
}

static sl_err tools_borrow(sl_sealed *sealed, tools **borrowed) {
    pthread_mutex_lock(&sealed->lock);
    tools *t = sealed->idle;
    if (t)
        sealed->idle = t->next;
    pthread_mutex_unlock(&sealed->lock);
    if (!t)
        return tools_create(borrowed);
    *borrowed = t;
    return SL_OK;
}

static void tools_give_back(sl_sealed *sealed, tools *t) {
    sl_opener_end(t->opener);
    sl_sealer_end(t->sealer);
    pthread_mutex_lock(&sealed->lock);
    t->next = sealed->idle;
    sealed->idle = t;
    pthread_mutex_unlock(&sealed->lock);
}

/* ---- opening ---- */

static void wipe_and_free(void *bytes, size_t size) {
    if (bytes)
        sl_secret_wipe(bytes, size);
    free(bytes);
}

static sl_err open_envelope(call *c, const void *envelope, size_t size, uint8_t **body,
                            size_t *body_bytes) {
    const sl_sealed_options *o = &c->sealed->options;
    const sl_open_request request = {.recipient = o->identity,
                                     .trust = o->trust,
                                     .replay = o->replay,
                                     .kind = SL_SEAL_TASK,
                                     .project = o->project,
                                     .now_s = c->now_s};
    c->copy = malloc(size ? size : 1);
    if (!c->copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed task of %zu bytes", size);
    c->size = size;
    if (size)
        memcpy(c->copy, envelope, size);
    SL_TRY(sl_open_whole(c->tools->opener, c->copy, size, &request, &c->sender, body, body_bytes));
    return sl_seal_head_read(c->copy, size, &c->envelope); /* the head is as it was */
}

static sl_err decode_call(call *c, const uint8_t *body, size_t body_bytes) {
    size_t bytes;
    SL_TRY(sl_record_measure(&executor_function_record, body, body_bytes, &bytes));
    c->record = malloc(bytes);
    if (!c->record)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed task of %zu bytes", bytes);
    c->record_bytes = bytes;
    return sl_record_decode(&executor_function_record, body, body_bytes, c->record, NULL);
}

/* ---- running ---- */

static sl_err run_inside(const call *c, sl_task_output *output) {
    uint32_t id;
    if (strcmp(c->record->name.data, SL_SEALED_FUNCTION) == 0)
        return sl_fail(SL_ERR_INVALID, "a sealed task inside a sealed task");
    SL_TRY(sl_functions_find(c->functions, c->record->name.data, &id));
    SL_TRY(sl_functions_call(c->functions, id, c->record->arguments.data,
                             c->record->arguments.bytes, output));
    /* It would travel beside the answer, in the clear. */
    if (output->apart)
        return sl_fail(SL_ERR_UNAVAILABLE, "a result this large cannot be sealed yet: return it "
                                           "in parts");
    return SL_OK;
}

/* Seals the answer to the sender, and writes it to `output`. */
static sl_err seal_answer(const call *c, sl_err err, const char *message, sl_part answer,
                          sl_task_output *output) {
    size_t message_bytes = strlen(message), size, body_at;
    const sl_seal_request request = {.sender = c->sealed->options.identity,
                                     .recipients = &c->sender,
                                     .recipient_count = 1,
                                     .kind = SL_SEAL_RESULT,
                                     .body_bytes = ANSWER_HEAD_BYTES + message_bytes + answer.bytes,
                                     .now_s = c->now_s,
                                     .lifetime_s = c->sealed->options.result_lifetime_s,
                                     .about = c->envelope.id};
    SL_TRY(sl_seal_layout(&request, &size, &body_at));
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed result of %zu bytes", size);
    uint8_t *at = sl_write_number(bytes + body_at, err, 4);
    at = sl_write_number(at, message_bytes, 4);
    at = sl_write_bytes(at, message, message_bytes);
    sl_write_bytes(at, answer.data, answer.bytes);
    sl_err sealing = sl_seal_whole(c->tools->sealer, &request, bytes);
    if (sealing == SL_OK)
        sealing = sl_task_output_write(output, bytes, size);
    wipe_and_free(bytes, size);
    return sealing;
}

static sl_err run_and_seal(const call *c, sl_task_output *output) {
    sl_task_output inside;
    sl_task_facts facts = {0};
    char message[MESSAGE_MOST + 1] = "";
    size_t bytes;
    sl_task_output_init(&inside, OUTPUT_MOST);
    if (output->facts) {
        facts = *output->facts;
        facts.apart = NULL; /* nothing of a sealed task comes beside it, and nothing stays */
        facts.holds_objects = false;
        facts.keep_bytes = UINT64_MAX;
        inside.facts = &facts;
    }
    sl_err_clear();
    sl_err err = run_inside(c, &inside);
    if (err != SL_OK)
        strncpy(message, *sl_err_detail() ? sl_err_detail() : sl_err_text(err), MESSAGE_MOST);
    void *answer = sl_task_output_take(&inside, &bytes);
    sl_task_output_fini(&inside);
    sl_err sealing = seal_answer(c, err, message, (sl_part){answer, bytes}, output);
    wipe_and_free(answer, bytes);
    sl_secret_wipe(message, sizeof message);
    SL_TRY(sealing);
    /* Also takes the place of what the function said, which the executor would pass on. */
    return err == SL_OK ? SL_OK : sl_fail(err, "a sealed task failed; why is in its sealed result");
}

static sl_err find_node(const sl_sealed_place *place, sl_sealed **sealed) {
    *sealed = atomic_load(&place->sealed);
    return *sealed ? SL_OK
                   : sl_fail(SL_ERR_UNAVAILABLE, "this node has no identity, so nothing can be "
                                                 "sealed to it: start it with --keys");
}

static sl_err tell_credential(const void *arguments, size_t bytes, sl_task_output *output,
                              void *user) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    sl_sealed *sealed;
    (void)arguments, (void)bytes;
    SL_TRY(find_node(user, &sealed));
    SL_TRY(sl_identity_credential(sealed->options.identity, credential, &bytes));
    return sl_task_output_write(output, credential, bytes);
}

static sl_err call_sealed(const void *arguments, size_t bytes, sl_task_output *output, void *user) {
    const sl_sealed_place *place = user;
    call c = {.functions = place->functions, .now_s = (uint64_t)sl_clock_wall_s()};
    uint8_t *body;
    size_t body_bytes;
    SL_TRY(find_node(place, &c.sealed));
    SL_TRY(tools_borrow(c.sealed, &c.tools));
    sl_err err = open_envelope(&c, arguments, bytes, &body, &body_bytes);
    if (err == SL_OK)
        err = decode_call(&c, body, body_bytes);
    if (err == SL_OK)
        err = run_and_seal(&c, output);
    wipe_and_free(c.record, c.record_bytes);
    wipe_and_free(c.copy, c.size);
    tools_give_back(c.sealed, c.tools);
    return err;
}

/* ---- a node's side ---- */

sl_err sl_sealed_create(const sl_sealed_options *options, sl_sealed **sealed) {
    sl_sealed *made = calloc(1, sizeof *made);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for sealed tasks");
    made->options = *options;
    pthread_mutex_init(&made->lock, NULL);
    *sealed = made;
    return SL_OK;
}

void sl_sealed_destroy(sl_sealed *sealed) {
    if (!sealed)
        return;
    for (tools *t; (t = sealed->idle);) {
        sealed->idle = t->next;
        tools_destroy(t);
    }
    pthread_mutex_destroy(&sealed->lock);
    free(sealed);
}

sl_err sl_sealed_register(sl_functions *functions, sl_sealed_place *place) {
    SL_TRY(sl_functions_register_slow(functions, SL_SEALED_FUNCTION, call_sealed, place));
    SL_TRY(sl_functions_register(functions, SL_CREDENTIAL_FUNCTION, tell_credential, place));
    place->functions = functions;
    return SL_OK;
}

/* ---- a client's side ---- */

sl_err sl_sealed_call(sl_sealer *sealer, const sl_seal_request *request, const char *function,
                      const void *arguments, size_t argument_bytes, uint8_t **envelope,
                      size_t *size) {
    sl_seal_request whole = *request;
    size_t body_at;
    const executor_function record = {.name = sl_text_of(function),
                                      .arguments = {arguments, (uint32_t)argument_bytes}};
    if (argument_bytes > UINT32_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "%zu bytes of arguments", argument_bytes);
    SL_TRY(sl_record_check(&executor_function_record, &record));
    whole.kind = SL_SEAL_TASK;
    whole.body_bytes = sl_record_wire_bytes(&executor_function_record, &record);
    SL_TRY(sl_seal_layout(&whole, size, &body_at));
    uint8_t *bytes = malloc(*size);
    if (!bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed task of %zu bytes", *size);
    sl_record_encode(&executor_function_record, &record, bytes + body_at, NULL);
    sl_err err = sl_seal_whole(sealer, &whole, bytes);
    if (err != SL_OK) {
        wipe_and_free(bytes, *size);
        return err;
    }
    *envelope = bytes;
    return SL_OK;
}

sl_err sl_sealed_open_answer(sl_opener *opener, const sl_open_request *request, uint8_t *envelope,
                             size_t size, sl_sealed_answer *answer) {
    sl_open_request whole = *request;
    uint8_t *body;
    size_t bytes;
    whole.kind = SL_SEAL_RESULT;
    whole.role = SL_ROLE_NODE;
    SL_TRY(sl_open_whole(opener, envelope, size, &whole, NULL, &body, &bytes));
    sl_reader reader = {body, body + bytes, false};
    uint32_t err = sl_read_u32(&reader), message_bytes = sl_read_u32(&reader);
    const uint8_t *message = sl_read_bytes(&reader, message_bytes);
    if (reader.bad || err >= SL_ERR_COUNT)
        return sl_fail(SL_ERR_DECODE, "a sealed result does not decode");
    answer->err = (sl_err)err;
    answer->message = (sl_part){message, message_bytes};
    answer->output = (sl_part){reader.at, (size_t)(reader.end - reader.at)};
    return SL_OK;
}
