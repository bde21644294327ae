/* What goes to a client. Results of one turn are gathered into one message; what a client does not
 * take waits, up to a bound. */
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/gateway_internal.h"

enum { LIST_HEAD_BYTES = SL_GATEWAY_HEAD_BYTES + 4 }; /* and the list's count */

void gw_touch(gateway *gw, gw_session *session) {
    if (session->touched)
        return;
    session->touched = true;
    session->next_touched = gw->touched;
    gw->touched = session;
}

static void put_message(gateway *gw, gw_session *session, const void *message, size_t bytes,
                        sl_blob *data) {
    if (sl_stream_put(&session->out, message, bytes, data) == SL_OK)
        gw_touch(gw, session);
    else
        gw_refuse(gw, session, "the gateway is out of memory for answers");
}

static void end_results(gateway *gw, gw_session *session, sl_blob *data) {
    uint32_t count = session->results_count;
    if (!count)
        return;
    sl_gateway_head(session->results, SL_GATEWAY_RESULTS,
                    (uint32_t)(session->results_bytes - SL_GATEWAY_HEAD_BYTES));
    memcpy(session->results + SL_GATEWAY_HEAD_BYTES, &count, sizeof count);
    session->results_count = 0;
    put_message(gw, session, session->results, session->results_bytes, data);
}

static bool reserve(gw_session *session, size_t bytes) {
    size_t room = session->results_room ? session->results_room : 4096;
    if (!session->results_count)
        session->results_bytes = LIST_HEAD_BYTES;
    while (room < session->results_bytes + bytes)
        room *= 2;
    if (room == session->results_room)
        return true;
    uint8_t *grown = realloc(session->results, room);
    if (!grown)
        return false;
    session->results = grown;
    session->results_room = room;
    return true;
}

void gw_add_result(gateway *gw, gw_session *session, const gateway_result *result, sl_blob *data) {
    if (session->stage != GW_OPEN)
        return;
    if (data || session->results_bytes > CHUNK_BYTES)
        end_results(gw, session, NULL);
    size_t bytes = sl_record_wire_bytes(&gateway_result_record, result);
    if (!reserve(session, bytes)) {
        gw_refuse(gw, session, "the gateway is out of memory for results");
        return;
    }
    sl_record_encode(&gateway_result_record, result, session->results + session->results_bytes,
                     NULL);
    session->results_bytes += bytes;
    session->results_count++;
    gw_touch(gw, session);
    if (data)
        end_results(gw, session, data);
}

void gw_send(gateway *gw, gw_session *session, sl_gateway_kind kind, const void *record,
             sl_blob *data) {
    size_t bytes;
    uint8_t *message = sl_gateway_encode(kind, record, &bytes);
    if (!message) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    end_results(gw, session, NULL);
    put_message(gw, session, message, bytes, data);
    free(message);
}

sl_err gw_say(gateway *gw, gw_session *session, sl_gateway_kind kind, const void *record) {
    size_t bytes;
    uint8_t *message = sl_gateway_encode(kind, record, &bytes);
    if (!message)
        return SL_ERR_NO_MEMORY;
    sl_err err = gw->options.door->send(session->visitor, message, bytes, NULL);
    free(message);
    return err;
}

/* What it has sent has come, it is told now and then. */
static void tell_taken(gateway *gw, gw_session *session) {
    gateway_taken taken = {.count = session->in.count};
    if (!sl_stream_must_tell(&session->in) ||
        gw_say(gw, session, SL_GATEWAY_TAKEN, &taken) != SL_OK)
        return; /* again once there is room */
    sl_stream_told(&session->in);
}

static void send_frames(gateway *gw, gw_session *session) {
    while (session->out.unsent && !session->blocked) {
        const sl_stream_frame *frame = session->out.unsent;
        sl_err err =
            gw->options.door->send(session->visitor, frame->data, frame->bytes, frame->blob);
        session->blocked = err != SL_OK; /* until there is room, or it has left */
        if (err == SL_ERR_TOO_LARGE || err == SL_ERR_NO_MEMORY)
            gw_refuse(gw, session, "an answer cannot be sent: %s", sl_err_detail());
        if (err == SL_OK)
            sl_stream_sent(&session->out);
    }
}

void gw_send_out(gateway *gw, gw_session *session) {
    uint64_t most = session->visitor ? OUT_MOST_BYTES : gw->options.keep_bytes;
    if (session->visitor && session->stage == GW_OPEN) {
        send_frames(gw, session);
        tell_taken(gw, session);
    }
    if (session->out.held_bytes > most)
        gw_refuse(gw, session,
                  "more than %llu MiB of results wait and are not taken: take them faster, or "
                  "submit less at once",
                  (unsigned long long)most >> 20);
    gw_pace(gw, session);
}

void gw_send_touched(gateway *gw) {
    for (gw_session *session = gw->touched, *next; session; session = next) {
        next = session->next_touched;
        session->touched = false;
        gw->touched = next;
        end_results(gw, session, NULL);
        if (session->touched) { /* by the above: it is in front of the list again */
            session->touched = false;
            gw->touched = next;
        }
        gw_send_out(gw, session);
    }
}

void gw_forget_out(gw_session *session) {
    sl_stream_out_fini(&session->out);
    sl_stream_in_fini(&session->in);
    free(session->results);
    session->results = NULL;
    session->results_room = session->results_count = 0;
}
