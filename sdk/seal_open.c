/* Results of sealed tasks: opened once, by who asks first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "sdk/seal_internal.h"
#include "sdk/sealed_command.h"

enum { MESSAGE_MOST = 1023 };

/* ---- opening ---- */

void sl_future_seal_drop(struct sl_future_seal *end) {
    if (!end)
        return;
    sl_blob_release(end->apart);
    sl_opened_close(&end->opened);
    sl_keys_drop(end->keys);
    pthread_mutex_destroy(&end->lock);
    free(end);
}

static void set_error(sl_future *future, sl_err err, const char *text, size_t bytes) {
    char *message = malloc(bytes + 1);
    if (message)
        snprintf(message, bytes + 1, "%.*s", (int)bytes, text);
    free(future->message);
    future->message = message;
    future->error = (int32_t)err;
    future->value = (sl_value){.type = SL_TYPE_NONE};
    atomic_store(&future->state, SL_FUTURE_FAILED);
}

sl_err sl_seal_open(struct sl_future_seal *end, sl_blob *apart, const void *wire, size_t bytes,
                    sl_opened *opened) {
    sl_seal_tools *t;
    const sl_open_request request = {.recipient = end->keys->identity,
                                     .trust = end->keys->trust,
                                     .kind = SL_SEAL_RESULT,
                                     .role = SL_ROLE_NODE,
                                     .about = end->id,
                                     .now_s = (uint64_t)sl_clock_wall_s()};
    SL_TRY(sl_seal_tools_borrow(&end->keys->tools, &t));
    sl_err err = apart ? sl_opened_take(t->opener, &request, apart, opened)
                       : sl_opened_copy(t->opener, &request, wire, bytes, opened);
    sl_seal_tools_give_back(&end->keys->tools, t);
    SL_TRY(err);
    if (opened->form == SL_BODY_ANSWER || opened->form == SL_BODY_ENDED)
        return SL_OK;
    sl_opened_close(opened);
    return sl_fail(SL_ERR_DECODE, "a sealed result of another kind");
}

static sl_err open_result(sl_future *future, struct sl_future_seal *end) {
    SL_TRY(sl_seal_open(end, future->result_apart, future->wire, (size_t)future->value.bytes,
                        &end->opened));
    return end->opened.form == SL_BODY_ANSWER || end->command
               ? SL_OK
               : sl_fail(SL_ERR_DECODE, "a sealed result of another kind");
}

static sl_err read_value(sl_future *future, struct sl_future_seal *end) {
    const sl_part *output = &end->opened.sections[1];
    size_t count = 0;
    future->value = (sl_value){.type = SL_TYPE_NONE};
    if (end->raw) {
        future->value =
            (sl_value){.type = SL_TYPE_BYTES, .data = output->data, .bytes = output->bytes};
        return SL_OK;
    }
    if (!output->bytes)
        return SL_OK;
    SL_TRY(sl_opened_apart(&end->opened, &end->apart));
    SL_TRY(sl_values_count(output->data, output->bytes, &count));
    if (count != 1)
        return sl_fail(SL_ERR_DECODE, "a result of %zu values", count);
    SL_TRY(sl_values_decode(output->data, output->bytes, end->apart, false, &future->value));
    return future->value.type == SL_TYPE_OBJECT || future->value.kept_
               ? sl_fail(SL_ERR_DECODE, "an object, which nobody sealed")
               : SL_OK;
}

/* Exit code 0 is success; what it wrote can be read in any case. */
static void settle_command(sl_future *future, struct sl_future_seal *end) {
    char text[MESSAGE_MOST + 1];
    sl_ended ended;
    future->value = (sl_value){.type = SL_TYPE_NONE};
    if (sl_ended_read(end->opened.sections[0], &ended) != SL_OK) {
        set_error(future, SL_ERR_DECODE, sl_err_detail(), strlen(sl_err_detail()));
    } else if (ended.status != SL_PROCESS_EXITED || ended.exit_code) {
        sl_ended_say(&ended, text, sizeof text);
        set_error(future, SL_ERR_FAILED, text, strlen(text));
    }
}

/* What the executor sealed is what counts; that a task failed may be said by others too, who can
 * stop it as well. */
static void settle(sl_future *future, struct sl_future_seal *end) {
    static const char unsealed[] = "its result is not sealed";
    bool failed = future->error != 0;
    if (!future->result_apart && !(future->wire && future->value.bytes)) {
        if (future->error != SL_ERR_CANCELLED) /* perhaps it was sealed to a key that is gone */
            sl_seal_forget(end->keys, end->source);
        if (!failed)
            set_error(future, SL_ERR_SEAL, unsealed, sizeof unsealed - 1);
        return;
    }
    sl_err err = open_result(future, end);
    if (err == SL_OK && end->opened.form == SL_BODY_ENDED) {
        settle_command(future, end);
        return;
    }
    if (err == SL_OK && end->opened.code) {
        const sl_part *why = &end->opened.sections[0];
        set_error(future, SL_ERR_FAILED, why->data,
                  why->bytes < MESSAGE_MOST ? why->bytes : MESSAGE_MOST);
        return;
    }
    if (err == SL_OK && !failed)
        err = read_value(future, end);
    if (err != SL_OK && !failed) {
        char cause[600];
        snprintf(cause, sizeof cause, "its sealed result cannot be read: %.500s", sl_err_detail());
        set_error(future, err, cause, strlen(cause));
    }
}

/* ---- maps ---- */

static void settle_piece(sl_future *map, uint32_t index, sl_future *piece) {
    char text[MESSAGE_MOST + 1];
    sl_future_settle(piece);
    if (!piece->error || piece->error == SL_ERR_CANCELLED)
        return;
    int length = snprintf(text, sizeof text, "piece %u: %.960s", index,
                          piece->message ? piece->message : sl_err_text((sl_err)piece->error));
    set_error(map, (sl_err)piece->error, text, (size_t)length);
}

/* Of one that failed, why is in the piece that did; of one that did not, whether it really has not
 * is in all of them. */
static void settle_pieces(sl_future *map) {
    const sl_gather *gather = map->gather;
    if (gather->failed)
        settle_piece(map, gather->failed_index, gather->failed);
    for (uint32_t i = 0; i < gather->count && !map->error; i++)
        settle_piece(map, i, gather->pieces[i]);
    if (map->error || sl_gather_check(gather->pieces, gather->count) == SL_OK)
        return;
    char cause[600];
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    set_error(map, SL_ERR_FAILED, cause, strlen(cause));
}

static void settle_map(sl_future *map) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (atomic_load(&map->gather->settled) || !sl_future_ended(map))
        return;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&map->gather->settled)) {
        settle_pieces(map);
        atomic_store(&map->gather->settled, 1);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- who asks ---- */

void sl_future_settle(sl_future *future) {
    struct sl_future_seal *end = future->seal;
    if (future->gather && future->gather->sealed)
        settle_map(future);
    if (!end || atomic_load(&end->settled) || !sl_future_ended(future))
        return;
    pthread_mutex_lock(&end->lock);
    if (!atomic_load(&end->settled)) {
        settle(future, end);
        sl_blob_release(future->result_apart);
        future->result_apart = NULL;
        atomic_store(&end->settled, 1);
    }
    pthread_mutex_unlock(&end->lock);
}

const char *sl_future_seal_name(const struct sl_future_seal *end) {
    return end->command ? SL_SEALED_COMMAND : end->module ? SL_SEALED_MODULE : SL_SEALED_FUNCTION;
}

bool sl_future_is_sealed_command(const sl_future *future) {
    return future->seal && future->seal->command;
}

int sl_result_sealed(sl_future *future, sl_sealed_result *result) {
    const struct sl_future_seal *end = future ? future->seal : NULL;
    sl_ended ended;
    if (!end || !end->command)
        return sl_fail(SL_ERR_INVALID, "that is no future of a command");
    if (!sl_future_ended(future))
        return sl_fail(SL_ERR_TIMEOUT, "the command has not ended yet");
    int err = sl_future_verdict(future);
    if (end->opened.form != SL_BODY_ENDED)
        return err ? err : SL_ERR_FAILED;
    SL_TRY(sl_ended_read(end->opened.sections[0], &ended));
    const sl_part *out = &end->opened.sections[1], *errors = &end->opened.sections[2];
    *result = (sl_sealed_result){.exit_code = ended.exit_code,
                                 .signal = ended.signal,
                                 .user_s = (double)ended.user_us / 1e6,
                                 .system_s = (double)ended.system_us / 1e6,
                                 .max_rss_bytes = ended.max_rss_bytes,
                                 .output = out->data,
                                 .output_bytes = out->bytes,
                                 .errors = errors->data,
                                 .error_bytes = errors->bytes};
    return SL_OK;
}
