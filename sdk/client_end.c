/* Futures that end, and those that waited for them. All on the loop's thread.
 *
 * A chain of tasks that fails may be a million long: what ends because of another is listed and
 * ended after it, not by a call within a call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/futex.h"
#include "runtime/log.h"
#include "runtime/plant.h"
#include "sdk/client.h"
#include "sdk/task_call.h"

/* ---- dependencies ---- */

sl_err sl_client_depend(sl_future *future, sl_future *need) {
    sl_future_state state = sl_future_how(need);
    if (state != SL_FUTURE_PENDING)
        return state == SL_FUTURE_DONE ? SL_OK : SL_ERR_FAILED;
    sl_dependents *list = need->dependents;
    if (!list || list->count == list->capacity) {
        uint32_t capacity = list ? 2 * list->capacity : 2;
        sl_dependents *grown = realloc(list, sizeof *grown + capacity * sizeof(sl_future *));
        if (!grown)
            return SL_ERR_NO_MEMORY;
        grown->count = list ? grown->count : 0;
        grown->capacity = capacity;
        need->dependents = list = grown;
    }
    list->futures[list->count++] = sl_retain(future);
    future->pending++;
    return SL_OK;
}

static void drop_needs(sl_future *future) {
    for (uint32_t i = 0; i < future->need_count; i++)
        sl_future_drop(future->needs[i]);
    future->need_count = 0;
}

/* ---- arguments from results ---- */

/* The blob that the data of the only value apart fill, so that they need not be copied. */
static sl_blob *whole_blob(const sl_future *future, const sl_value *values, size_t count) {
    const sl_value *only = NULL;
    for (size_t i = 0; i < count; i++) {
        if (values[i].kept_ ||
            values[i].bytes + (values[i].type == SL_TYPE_STRING) < SL_VALUE_APART_BYTES)
            continue;
        if (only)
            return NULL;
        only = &values[i];
    }
    if (!only)
        return NULL;
    if (future->apart && future->apart->data == only->data)
        return future->apart;
    for (uint32_t i = 0; i < future->need_count; i++) {
        sl_blob *blob = future->needs[i]->result_apart;
        if (blob && blob->data == only->data)
            return blob;
    }
    return NULL;
}

/* Where the largest argument is kept; NULL: none is kept elsewhere. */
static const sl_value *largest_kept(const sl_value *values, size_t count) {
    const sl_value *largest = NULL;
    for (size_t i = 0; i < count; i++)
        if (values[i].kept_ && (!largest || values[i].bytes > largest->bytes))
            largest = &values[i];
    return largest;
}

static uint32_t node_of(const sl_value *kept) {
    sl_store_id id;
    memcpy(&id, kept->kept_, sizeof id);
    return id.node;
}

static sl_err encode(sl_future *future, const sl_value *values, size_t count) {
    sl_value_size size;
    char room[SL_FUNCTION_NAME_MAX_BYTES + 1];
    const char *name = future->task->name;
    const sl_value *kept = largest_kept(values, count);
    if (kept) {
        future->near = node_of(kept) + 1;
        name = sl_task_waiting_name(future->task, room, sizeof room);
    }
    SL_TRY(sl_values_measure(values, count, &size));
    size_t bytes = sl_client_payload_bytes(name, size.bytes);
    if (bytes > UINT32_MAX / 2)
        return sl_fail(SL_ERR_TOO_LARGE, "arguments of %zu bytes", bytes);
    sl_blob *apart = sl_blob_retain(whole_blob(future, values, count));
    bool copy = !apart && size.apart_bytes;
    if (copy)
        SL_TRY(sl_blob_create(size.apart_bytes, &apart));
    uint8_t *payload = malloc(bytes);
    if (!payload) {
        sl_blob_release(apart);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments of %zu bytes", bytes);
    }
    uint8_t *at = sl_client_payload_head(payload, name, size.bytes);
    sl_values_encode(values, count, at, copy ? apart->data : NULL);
    sl_blob_release(future->apart);
    future->apart = apart;
    future->payload = payload;
    future->payload_bytes = (uint32_t)bytes;
    return SL_OK;
}

static sl_err fill_in(sl_future *future) {
    size_t count;
    uint32_t next = 0;
    SL_TRY(sl_values_count(future->payload, future->payload_bytes, &count));
    sl_value *values = malloc((count + 1) * sizeof *values);
    sl_store_id *ids = malloc(future->need_count * sizeof *ids);
    sl_err err =
        values && ids ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu arguments", count);
    if (err == SL_OK)
        err = sl_values_decode(future->payload, future->payload_bytes, future->apart, true, values);
    for (size_t i = 0; err == SL_OK && i < count; i++)
        if (values[i].type == SL_TYPE_FUTURE) {
            sl_future *need = sl_kept_newest(future->needs[next]);
            err = sl_gather_result(need);
            values[i] = sl_kept_value(need, &ids[next++]);
        }
    if (err == SL_OK)
        err = sl_future_keep(future, values, count);
    if (err == SL_OK)
        err = encode(future, values, count);
    free(values);
    free(ids);
    return err;
}

/* ---- arguments that are lost ---- */

static bool has_kept(const sl_future *future) {
    for (uint32_t i = 0; i < future->need_count; i++)
        if (future->needs[i]->kept)
            return true;
    return false;
}

/* With `all`: somebody could not fetch one of them, and which is not known here yet. */
static bool is_to_be_made(const sl_client *client, sl_future *need, bool all) {
    sl_store_object *object = (sl_store_object *)need->kept;
    if (!object || sl_state_of(need) != SL_FUTURE_DONE || sl_store_is_here(object))
        return false;
    bool may = all && need->again_left && sl_object_node(need->kept) != sl_node_id(client->node);
    return may || sl_kept_is_lost(need) || SL_PLANT(anew_needless);
}

/* Has those of its needs made anew whose results are lost, and waits for them. */
static sl_err find_lost(sl_client *client, sl_future *future, bool all) {
    for (uint32_t i = 0; i < future->need_count; i++) {
        sl_future *need = sl_kept_newest(future->needs[i]);
        if (is_to_be_made(client, need, all) && !(need = sl_kept_again(client, need)))
            return SL_ERR_DEAD;
        if (sl_client_depend(future, need) == SL_OK)
            continue;
        return sl_fail(SL_ERR_DEAD,
                       "it needs the result of task %.100s, which was lost and could not be made "
                       "anew: %.300s",
                       need->task->name, need->message ? need->message : "");
    }
    return SL_OK;
}

static void go_on(sl_client *client, sl_future *future, bool all) {
    sl_err err = SL_OK;
    bool kept = has_kept(future);
    if (kept)
        err = find_lost(client, future, all);
    if (err == SL_OK && future->pending && !SL_PLANT(need_missed))
        return;
    if (err == SL_OK && future->need_count)
        err = fill_in(future);
    if (err != SL_OK) {
        char cause[512];
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        sl_client_end(client, future, SL_FUTURE_FAILED, err, cause);
        return;
    }
    if (!kept) /* else they keep what is to be fetched */
        drop_needs(future);
    sl_client_queue(client, future);
}

void sl_client_go_on(sl_client *client, sl_future *future) {
    go_on(client, future, false);
}

/* Its attempt could not fetch an argument. False: nothing can be done about it. */
static bool go_on_again(sl_client *client, sl_future *future) {
    enum { LOSSES_MOST = 3 };
    if (!has_kept(future) || !future->accepted || future->losses == LOSSES_MOST)
        return false;
    future->losses++;
    future->stage = SL_STAGE_BLOCKED;
    future->accepted = false;
    future->payload = future->room;
    future->payload_bytes = future->asked_bytes;
    future->apart = sl_blob_retain(future->asked_apart);
    go_on(client, future, true);
    return true;
}

/* ---- the end ---- */

static void publish(sl_client *client, sl_future *future, sl_future_state state) {
    future->stage = SL_STAGE_ENDED;
    if (atomic_exchange(&future->state, state) & SL_FUTURE_AWAITED)
        sl_futex_wake(&future->state);
    atomic_store_explicit(&client->ended_some, 1, memory_order_relaxed);
}

static void say_cause(sl_future *future, const sl_future *cause) {
    char text[1024];
    const char *what = sl_future_how(cause) == SL_FUTURE_CANCELLED ? "was cancelled" : "failed";
    snprintf(text, sizeof text, "it needs the result of task %.100s, which %s%s%.800s",
             cause->task->name, what, cause->message ? ": " : "",
             cause->message ? cause->message : "");
    future->message = strdup(text);
    future->error = cause->error;
}

/* ---- maps ---- */

/* While it does this the map cannot end: its pieces are gone through. */
static void cancel_pieces(sl_client *client, sl_future *map) {
    map->pending++;
    for (uint32_t i = 0; i < map->need_count; i++)
        sl_client_cancel(client, map->needs[i]);
    map->pending--;
}

static void finish_all(sl_client *client, sl_future *future, sl_future_state state);

/* All its pieces have ended. */
static void end_map(sl_client *client, sl_future *map) {
    bool known = !map->error && !map->gather->sealed;
    sl_err err = known ? sl_gather_check(map->needs, map->need_count) : SL_OK;
    if (err != SL_OK) {
        map->error = (int32_t)err;
        map->message = strdup(sl_err_detail());
    }
    if (map->error) {
        finish_all(client, map,
                   map->error == SL_ERR_CANCELLED ? SL_FUTURE_CANCELLED : SL_FUTURE_FAILED);
        return;
    }
    map->gather->pieces = map->needs;
    map->gather->count = map->need_count;
    map->need_count = 0;
    finish_all(client, map, SL_FUTURE_DONE);
}

static void note_failure(sl_client *client, sl_future *map, sl_future *piece) {
    char text[1024];
    uint32_t index = 0;
    if (map->error)
        return;
    while (map->needs[index] != piece)
        index++;
    snprintf(text, sizeof text, "piece %u: %.960s", index,
             piece->message ? piece->message : sl_err_text((sl_err)piece->error));
    map->error = piece->error;
    map->message = strdup(text);
    if (piece->seal) {
        map->gather->failed = sl_retain(piece);
        map->gather->failed_index = index;
    }
    cancel_pieces(client, map);
}

static void piece_ended(sl_client *client, sl_future *map, sl_future *piece) {
    if (sl_future_how(piece) != SL_FUTURE_DONE)
        note_failure(client, map, piece);
    if (!map->pending)
        end_map(client, map);
}

void sl_client_cancel_map(sl_client *client, sl_future *map) {
    if (!map->error)
        map->error = SL_ERR_CANCELLED;
    cancel_pieces(client, map);
    if (!map->pending)
        end_map(client, map);
}

void sl_client_take_map(sl_client *client, sl_future *map) {
    map->stage = SL_STAGE_BLOCKED;
    map->pending = 1; /* until all have been looked at */
    for (uint32_t i = 0; i < map->need_count; i++) {
        sl_err err = sl_client_depend(map, map->needs[i]);
        if (err == SL_ERR_FAILED)
            note_failure(client, map, map->needs[i]);
        else if (err != SL_OK && !map->error)
            map->error = (int32_t)err;
    }
    if (!--map->pending)
        end_map(client, map);
}

/* Goes through those that waited for `future`: ready ones go on, lost ones are added to `doomed`.
 */
static void tell_dependents(sl_client *client, sl_future *future, sl_future **doomed) {
    sl_dependents *list = future->dependents;
    bool done = sl_future_how(future) == SL_FUTURE_DONE;
    future->dependents = NULL;
    for (uint32_t i = 0; list && i < list->count; i++) {
        sl_future *next = list->futures[i];
        next->pending--;
        if (next->gather)
            piece_ended(client, next, future);
        else if (next->stage == SL_STAGE_BLOCKED && !done) {
            say_cause(next, future);
            next->stage = SL_STAGE_ENDED;
            next->item.next = (sl_item *)*doomed;
            *doomed = next;
        } else if (next->stage == SL_STAGE_BLOCKED && (!next->pending || SL_PLANT(need_missed))) {
            sl_client_go_on(client, next);
        }
        sl_future_drop(next);
    }
    free(list);
}

static void forget_request(sl_future *future) {
    drop_needs(future);
    sl_future_let_go(future);
    sl_blob_release(future->asked_apart);
    future->asked_apart = NULL;
}

/* The actor's reference goes once the scheduler speaks of the task no more. */
static void finish(sl_client *client, sl_future *future, sl_future_state state,
                   sl_future **doomed) {
    bool sent = future->stage == SL_STAGE_SENT;
    bool may_come_again = future->kept && future->again_left && state == SL_FUTURE_DONE;
    publish(client, future, state);
    tell_dependents(client, future, doomed);
    if (!may_come_again)
        forget_request(future);
    if (!sent || future->accepted)
        sl_future_drop(future);
}

static void finish_all(sl_client *client, sl_future *future, sl_future_state state) {
    sl_future *doomed = NULL;
    finish(client, future, state, &doomed);
    while (doomed) {
        sl_future *next = doomed;
        doomed = (sl_future *)(void *)next->item.next;
        finish(client, next,
               next->error == SL_ERR_CANCELLED ? SL_FUTURE_CANCELLED : SL_FUTURE_FAILED, &doomed);
    }
}

void sl_client_end(sl_client *client, sl_future *future, sl_future_state state, sl_err error,
                   const char *message) {
    future->error = (int32_t)error;
    if (message && *message)
        future->message = strdup(message);
    finish_all(client, future, state);
}

void sl_client_end_for(sl_client *client, sl_future *future, const sl_future *cause) {
    say_cause(future, cause);
    finish_all(client, future, sl_future_how(cause));
}

/* ---- results ---- */

/* The hold that its maker made for this node passes to the future's handle. */
static sl_err take_object(const sl_client *client, sl_future *future) {
    sl_store_id id;
    sl_store_object *object = NULL;
    sl_value *value = &future->value;
    if (value->type != SL_TYPE_OBJECT && !value->kept_)
        return SL_OK;
    memcpy(&id, value->kept_ ? value->kept_ : value->data, sizeof id);
    SL_TRY(sl_store_open(client->network->nodes[0].store, id, true, &object));
    *(value->kept_ ? &future->kept : &value->object) = (sl_object *)object;
    sl_store_expect(object);
    return SL_OK;
}

static sl_err keep_result(const sl_client *client, sl_future *future, const uint8_t *output,
                          size_t bytes, sl_blob *apart) {
    size_t count = 0;
    if (future->seal)
        future->result_apart = sl_blob_retain(apart);
    if (!bytes)
        return SL_OK; /* it returned nothing */
    bool in_room = bytes <= future->room_bytes && !future->again_left;
    future->wire = in_room ? future->room : malloc(bytes);
    if (!future->wire)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a result of %zu bytes", bytes);
    memcpy(future->wire, output, bytes);
    if (future->seal) { /* who asks for it opens it */
        future->value = (sl_value){.type = SL_TYPE_BYTES, .data = future->wire, .bytes = bytes};
        return SL_OK;
    }
    future->result_apart = sl_blob_retain(apart);
    SL_TRY(sl_values_count(future->wire, bytes, &count));
    if (count != 1)
        return sl_fail(SL_ERR_DECODE, "a result of %zu values", count);
    SL_TRY(sl_values_decode(future->wire, bytes, apart, false, &future->value));
    return take_object(client, future);
}

void sl_client_end_done(sl_client *client, sl_future *future, const uint8_t *output, size_t bytes,
                        sl_blob *apart) {
    char cause[512];
    if (keep_result(client, future, output, bytes, apart) == SL_OK) {
        finish_all(client, future, SL_FUTURE_DONE);
        return;
    }
    snprintf(cause, sizeof cause, "its result cannot be read: %.400s", sl_err_detail());
    future->value = (sl_value){.type = SL_TYPE_NONE};
    sl_client_end(client, future, SL_FUTURE_FAILED, SL_ERR_FAILED, cause);
}

static void end_with(sl_client *client, sl_future *future, const scheduler_outcome *outcome,
                     sl_blob *apart) {
    const char *message = outcome->message.bytes ? outcome->message.data : NULL;
    if (future->cancelled) {                 /* however it ended: nobody counts on it */
        if (outcome->status == SL_TASK_DONE) /* an object is to be let go of */
            (void)keep_result(client, future, outcome->output.data, outcome->output.bytes, apart);
        sl_client_end(client, future, SL_FUTURE_CANCELLED, SL_ERR_CANCELLED, NULL);
    } else if (outcome->status == SL_TASK_DONE) {
        sl_client_end_done(client, future, outcome->output.data, outcome->output.bytes, apart);
    } else if (outcome->status == SL_TASK_CANCELLED) {
        sl_client_end(client, future, SL_FUTURE_CANCELLED, SL_ERR_CANCELLED, message);
    } else if (outcome->exit_code != SL_ERR_DEAD || !go_on_again(client, future)) {
        if (future->seal) /* why it failed */
            (void)keep_result(client, future, outcome->output.data, outcome->output.bytes, apart);
        sl_client_end(client, future, SL_FUTURE_FAILED, SL_ERR_FAILED, message);
    }
}

void sl_client_on_done(sl_client *client, const scheduler_done *done) {
    for (uint32_t i = 0; i < done->outcomes.count; i++) {
        const scheduler_outcome *outcome = &done->outcomes.items[i];
        sl_future *future = outcome->tag < client->slot_count ? client->slots[outcome->tag] : NULL;
        if (!future) {
            sl_warn("client", "a result for task %llu, which has one",
                    (unsigned long long)outcome->tag);
            continue;
        }
        client->slots[outcome->tag] = NULL;
        client->free_slots[client->free_count++] = (uint32_t)outcome->tag;
        end_with(client, future, outcome, i == 0 && done->outcomes.count == 1 ? done->apart : NULL);
    }
}
