/* Design notes
 * A session is a visitor and what is known of it. It ends in two steps: refused, after which
 * nothing of it is listened to, and gone, once the door says so, and no job knows it. */
#include "actors/gateway/gateway.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/gateway_internal.h"
#include "actors/registry/registry_msgs.h"
#include "actors/roster/roster_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"

#define AGAIN_NS SL_NS_PER_S /* keys are looked at again */

enum {
    NODES_MOST = 65536,
    /* in a status */ OUT_PAUSE_BYTES = 8 << 20
}; /* results that wait: then no more tasks are taken */

/* ---- sessions ---- */

void gw_refuse(gateway *gw, gw_session *session, const char *format, ...) {
    char why[400];
    va_list arguments;
    if (session->stage == GW_CLOSING)
        return;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    if (session->stage == GW_OPEN)
        gw_audit(gw, session, "close", "refused", "%s", why);
    session->stage = GW_CLOSING;
    if (session->visitor)
        gw->options.door->close(session->visitor, why);
}

gw_session *gw_session_of(const gateway *gw, uint64_t serial) {
    gw_session *session = gw->sessions;
    while (session && session->serial != serial)
        session = session->next;
    return session;
}

void gw_pace(gateway *gw, gw_session *session) {
    bool pause = gw->queue_count >= QUEUE_MOST || session->out.unsent_bytes > OUT_PAUSE_BYTES ||
                 session->letters >= LETTERS_MOST || session->letter_bytes > LETTER_BYTES_MOST;
    if (!session->visitor || pause == session->paused)
        return;
    session->paused = pause;
    gw->options.door->pause(session->visitor, pause);
}

static void come(gateway *gw, sl_visitor *visitor) {
    gw_session *session = calloc(1, sizeof *session);
    visitor->session = session;
    if (!session) {
        gw->options.door->close(visitor, "the gateway is out of memory");
        return;
    }
    if (gw->hanging_up) {
        gw->options.door->close(visitor, SL_GATEWAY_WAS_ENDED);
        session->stage = GW_CLOSING;
    }
    session->visitor = visitor;
    sl_stream_out_init(&session->out);
    sl_stream_in_init(&session->in, SL_GATEWAY_MESSAGE_BYTES);
    snprintf(session->address, sizeof session->address, "%s", gw->options.door->address(visitor));
    session->next = gw->sessions;
    if (gw->sessions)
        gw->sessions->before = session;
    gw->sessions = session;
}

static void free_session(gw_session *session) {
    gw_forget_out(session);
    free(session->buckets);
    free(session->objects);
    free(session->entries);
    free(session);
}

void gw_drop_session(gateway *gw, gw_session *session) {
    if (session->before)
        session->before->next = session->next;
    else
        gw->sessions = session->next;
    if (session->next)
        session->next->before = session->before;
    for (gw_session **at = &gw->touched; *at; at = &(*at)->next_touched)
        if (*at == session) {
            *at = session->next_touched;
            break;
        }
    free_session(session);
}

static void drop_all(gateway *gw) {
    gw->touched = NULL;
    for (gw_session *session = gw->sessions, *next; session; session = next) {
        next = session->next;
        free_session(session);
    }
    gw->sessions = NULL;
}

/* What it had is given up. */
static void release(gateway *gw, gw_session *session) {
    gw_audit_letters(gw, session);
    gw_cancel_all(gw, session);
    gw_release_actors(gw, session);
    gw_release_objects(gw, session);
    gw_release_entries(gw, session);
}

void gw_end_session(gateway *gw, gw_session *session) {
    release(gw, session);
    session->stage = GW_CLOSING;
    if (!session->checking)
        gw_drop_session(gw, session);
}

static void leave(gateway *gw, gw_session *session) {
    if (!session)
        return;
    session->visitor = NULL;
    bool lost = session->stage == GW_OPEN && !session->bye && gw->options.keep_ns;
    if (session->project) {
        gw_audit(gw, session, lost ? "lost" : "leave", "ok",
                 lost ? "%u tasks under way are kept" : "%u tasks under way are cancelled",
                 session->running);
        session->project->clients--;
    }
    session->lost_ns = sl_now_ns(gw->self);
    if (!lost)
        gw_end_session(gw, session);
}

static uint64_t kept_bytes(const gateway *gw, const gw_project *project) {
    uint64_t bytes = 0;
    for (const gw_session *session = gw->sessions; session; session = session->next)
        if (session->project == project && !session->visitor)
            bytes += session->out.held_bytes;
    return bytes;
}

void gw_look_after_lost(gateway *gw) {
    uint64_t now_ns = sl_now_ns(gw->self);
    for (gw_session *session = gw->sessions, *next; session; session = next) {
        next = session->next;
        if (session->visitor || session->checking)
            continue;
        if (session->stage == GW_OPEN && now_ns - session->lost_ns > gw->options.keep_ns)
            gw_refuse(gw, session, "its client has not come back in time");
        else if (session->stage == GW_OPEN &&
                 kept_bytes(gw, session->project) > gw->options.keep_bytes)
            gw_refuse(gw, session, "too much is kept for clients of its project that are cut off");
        if (session->stage == GW_CLOSING)
            gw_end_session(gw, session);
    }
}

/* ---- what visitors say ---- */

static void take_hello(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    uint64_t wait_ns = sl_guesses_wait_ns(&gw->guesses, session->address, sl_now_ns(gw->self));
    gateway_hello *hello = sl_gateway_decode(parts, SL_GATEWAY_HELLO);
    sl_err err = SL_OK;
    if (!hello)
        err = SL_ERR_DECODE;
    else if (hello->version != SL_GATEWAY_VERSION)
        err = sl_fail(SL_ERR_INVALID, "version %u of the protocol; this gateway speaks %d",
                      hello->version, SL_GATEWAY_VERSION);
    else if (wait_ns)
        err = sl_fail(SL_ERR_REFUSED, "too many wrong keys came from %s: wait %llu s",
                      session->address, (unsigned long long)(wait_ns / SL_NS_PER_S) + 1);
    if (err == SL_OK)
        err = gw_check_hello(gw, session, hello);
    if (hello) {
        explicit_bzero((void *)(uintptr_t)hello->key.data, hello->key.bytes);
        free(hello);
    }
    if (err == SL_OK)
        return;
    char why[300];
    snprintf(why, sizeof why, "%s", sl_err_detail());
    gw_audit(gw, session, "hello", "refused", "%s", why);
    gw_refuse(gw, session, "%s", why);
}

static void take_cancel(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_cancel *cancel = sl_gateway_decode(parts, SL_GATEWAY_CANCEL);
    if (!cancel) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    gw_take_cancel(gw, session, cancel);
    free(cancel);
}

static void take_ask(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_ask *ask = sl_gateway_decode(parts, SL_GATEWAY_ASK);
    const gw_project *project = session->project;
    if (!ask || !(session->scopes & (SL_SCOPE_READ | SL_SCOPE_ADMIN))) {
        gw_refuse(gw, session, "%s",
                  ask ? "this API key may not ask: it lacks the scope read" : sl_err_detail());
        free(ask);
        return;
    }
    gateway_status status = {.number = ask->number,
                             .running = project->running,
                             .begun = project->begun,
                             .ended = project->ended,
                             .failed = project->failed,
                             .ucu_s = project->ucu_s,
                             .ucu_s_most = project->quota.ucu_s,
                             .tasks_most = project->quota.tasks,
                             .held_bytes = project->held_bytes,
                             .held_bytes_most = project->quota.payload_bytes,
                             .output_bytes = project->written_bytes,
                             .output_bytes_most = project->quota.output_bytes,
                             .clients = project->clients,
                             .nodes = sl_node_count(sl_actor_node(gw->self))};
    if (ask->nodes) {
        status.list.items = gw->members;
        status.list.count = gw->member_count < NODES_MOST ? gw->member_count : NODES_MOST;
    }
    gw_send(gw, session, SL_GATEWAY_STATUS, &status, NULL);
    free(ask);
}

static void take_taken(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_taken *taken = sl_gateway_decode(parts, SL_GATEWAY_TAKEN);
    if (!taken || sl_stream_taken(&session->out, taken->count) != SL_OK)
        gw_refuse(gw, session, "%s", sl_err_detail());
    free(taken);
}

/* What is said for the connection alone. False: it is a message of the session. */
static bool hear_of_connection(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    if (session->stage == GW_NEW)
        take_hello(gw, session, parts);
    else if (session->stage == GW_CHECKING)
        gw_refuse(gw, session, "wait for the welcome");
    else if (parts->kind == SL_GATEWAY_TAKEN)
        take_taken(gw, session, parts);
    else if (parts->kind == SL_GATEWAY_BYE)
        session->bye = true;
    else
        return false;
    return true;
}

static void hear_message(gateway *gw, gw_session *session, const uint8_t *bytes, size_t size) {
    sl_gateway_parts parts;
    if (sl_gateway_take_apart(bytes, size, &parts) != SL_OK)
        gw_refuse(gw, session, "%s", sl_err_detail());
    else if (parts.kind == SL_GATEWAY_SUBMIT)
        gw_take_submit(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_CANCEL)
        take_cancel(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_WHO)
        gw_take_who(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_ASK)
        take_ask(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_PUT)
        gw_take_put(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_PIECE)
        gw_take_piece(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_READ)
        gw_take_read(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_RELEASE)
        gw_take_release(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_RUN)
        gw_take_run(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_LOOK)
        gw_take_look(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_LOGS)
        gw_take_logs(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_FORGET)
        gw_take_forget(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_SPAWN)
        gw_take_spawn(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_LETTER)
        gw_take_letter(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_COLLECT)
        gw_take_collect(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_FIND)
        gw_take_find(gw, session, &parts);
    else if (parts.kind == SL_GATEWAY_ORDER)
        gw_take_order(gw, session, &parts);
    else
        gw_refuse(gw, session, "a message of kind %d is not for a gateway", parts.kind);
}

static void hear(gateway *gw, gw_session *session, const sl_visit *visit) {
    sl_gateway_parts parts;
    const uint8_t *message;
    size_t bytes;
    if (!session || session->stage == GW_CLOSING)
        return;
    sl_err err = sl_gateway_take_apart(visit->bytes, visit->size, &parts);
    if (err == SL_OK && hear_of_connection(gw, session, &parts))
        return;
    if (err == SL_OK)
        err = sl_stream_take(&session->in, visit->bytes, visit->size, &message, &bytes);
    if (err != SL_OK) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    if (message)
        hear_message(gw, session, message, bytes);
    if (sl_stream_must_tell(&session->in))
        gw_touch(gw, session);
}

/* ---- the network ---- */

static void forget_members(gateway *gw) {
    for (uint32_t i = 0; i < gw->member_count; i++) {
        free((void *)(uintptr_t)gw->members[i].host.data);
        free((void *)(uintptr_t)gw->members[i].region.data);
    }
    free(gw->members);
    gw->members = NULL;
    gw->member_count = 0;
}

void gw_copy_text(char *to, size_t room, sl_text text) {
    size_t bytes = text.bytes < room ? text.bytes : room - 1;
    memcpy(to, text.data, bytes);
    to[bytes] = '\0';
}

static void keep_text(sl_text *to, sl_text from) {
    if (to->data && to->bytes == from.bytes && memcmp(to->data, from.data, from.bytes) == 0)
        return;
    char *copy = strdup(from.data);
    if (!copy)
        return; /* what it was called before */
    free((void *)(uintptr_t)to->data);
    to->data = copy;
    to->bytes = from.bytes;
}

static gateway_member *member_of(gateway *gw, uint32_t number) {
    for (uint32_t i = 0; i < gw->member_count; i++)
        if (gw->members[i].node == number)
            return &gw->members[i];
    gateway_member *all = realloc(gw->members, (gw->member_count + (size_t)1) * sizeof *all);
    if (!all)
        return NULL;
    gw->members = all;
    all[gw->member_count] = (gateway_member){.node = number};
    return &all[gw->member_count++];
}

static void on_view(gateway *gw, const registry_view *view) {
    for (uint32_t i = 0; i < view->members.count; i++) {
        const registry_member *member = &view->members.items[i];
        gateway_member *node = member->offer.count == 1 ? member_of(gw, member->node) : NULL;
        if (!node)
            continue;
        const registry_offer *offer = &member->offer.items[0];
        node->cores = offer->cores;
        node->cores_free = offer->cores_free;
        node->gpus = offer->gpus;
        node->gpus_free = offer->gpus_free;
        node->running = offer->running;
        node->backlog = offer->backlog;
        node->memory_bytes = offer->memory_bytes;
        node->memory_free_bytes = offer->memory_free_bytes;
        node->ucu_milli = offer->ucu_milli;
        node->state = member->state;
        keep_text(&node->host, member->host);
        keep_text(&node->region, member->region);
    }
}

/* ---- the actor ---- */

static void on_visit(gateway *gw, sl_event *event) {
    sl_visit *visit = (sl_visit *)(void *)event;
    gw_session *session = visit->visitor->session;
    switch ((sl_visit_kind)event->kind) {
    case VISIT_CAME:
        come(gw, visit->visitor);
        break;
    case VISIT_SAID:
        hear(gw, session, visit);
        break;
    case VISIT_ROOM:
        if (session) {
            session->blocked = false;
            gw_send_out(gw, session);
        }
        break;
    case VISIT_LEFT:
        visit->visitor->session = NULL;
        leave(gw, session);
        break;
    case VISIT_KINDS:
        break;
    }
    gw->options.door->done(event);
}

static void on_event(gateway *gw, const node_event *body) {
    sl_event *event = (sl_event *)(uintptr_t)body->event;
    if (event->kind == GW_EVENT_CHECKED)
        gw_on_checked(gw, event);
    else if (event->kind == GW_EVENT_WRITTEN)
        gw_on_written(gw, event);
    else if (event->kind == GW_EVENT_FETCHED)
        gw_on_fetched(gw, event);
    else if (event->kind == GW_EVENT_OUTPUT)
        gw_on_output(gw, event);
    else if (event->kind == GW_EVENT_ANSWERED)
        gw_on_answered(gw, event);
    else if (event->kind == GW_EVENT_ACTOR_ENDED)
        gw_on_actor_ended(gw, event);
    else if (event->kind == GW_EVENT_LOOKED)
        gw_on_looked(gw, event);
    else
        on_visit(gw, event);
}

static void on_timer(gateway *gw, uint64_t cookie) {
    if (cookie == GW_TIMER_DRAIN) {
        gw_drain_on(gw);
        return;
    }
    gw->will_look &= cookie != GW_TIMER_LOOK;
    gw_look_at_disk(gw);
    if (cookie == GW_TIMER_LOOK)
        return;
    gw_look_after_lost(gw);
    gw_forget_old(gw);
    gw_check_again(gw);
    for (gw_session *session = gw->sessions; session; session = session->next)
        gw_audit_letters(gw, session);
    (void)sl_timer_start(gw->self, AGAIN_NS, GW_TIMER_EACH_SECOND);
}

static sl_err gateway_start(sl_actor *self, void *state, const void *arguments) {
    gateway *gw = state;
    gw->self = self;
    gw->options = *(const sl_gateway_options *)arguments;
    gw->checks_tail = &gw->checks;
    sl_strbuf_init(&gw->audit, 8 << 20);
    SL_TRY(gw_tasks_init(gw));
    SL_TRY(gw_commands_init(gw));
    SL_TRY(gw_actors_init(gw));
    registry_watch watch = {};
    SL_TRY(registry_watch_send(self, sl_addr_well_known(sl_self(self).node, SL_SLOT_REGISTRY),
                               &watch));
    if (!sl_timer_start(self, AGAIN_NS, GW_TIMER_EACH_SECOND))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a timer");
    if (gw->options.opened)
        gw->options.opened(gw->options.context, sl_self(self));
    return SL_OK;
}

static sl_err gateway_receive(sl_actor *self, void *state, const sl_message *message) {
    gateway *gw = state;
    (void)self;
    switch (message->type->id) {
    case node_event_id:
        on_event(gw, message->body);
        break;
    case scheduler_accepted_id:
        gw_on_accepted(gw, message->body);
        break;
    case scheduler_done_id:
        gw_on_done(gw, message->body);
        break;
    case scheduler_began_id:
        gw_on_began(gw, message->body);
        return SL_OK;
    case registry_view_id:
        on_view(gw, message->body);
        return SL_OK;
    case roster_list_id:
        gw_on_roster(gw, message->body);
        break;
    case node_room_id:
        gw->blocked = false;
        break;
    case node_timer_id:
        on_timer(gw, ((const node_timer *)message->body)->cookie);
        break;
    default:
        sl_warn("gateway", "unwelcome message %s from node %u", message->type->record.name,
                message->from.node);
        return SL_OK;
    }
    gw_settle(gw);
    gw_submit_queue(gw);
    gw_send_touched(gw);
    return SL_OK;
}

static void gateway_stop(sl_actor *self, void *state) {
    gateway *gw = state;
    (void)self;
    gw->stopping = true;
    for (gw_session *session = gw->sessions; session; session = session->next)
        if (session->visitor) {
            gw->options.door->close(session->visitor, "the network is being left");
            session->visitor->session = NULL;
            session->visitor = NULL;
        }
    for (gw_session *session = gw->sessions; session; session = session->next)
        release(gw, session);
    drop_all(gw);
    gw_actors_fini(gw);
    gw_commands_fini(gw);
    gw_tasks_fini(gw);
    gw_check_fini(gw);
    gw_audit_fini(gw);
    free(gw->known);
    for (gw_project *next; gw->projects; gw->projects = next) {
        next = gw->projects->next;
        free(gw->projects);
    }
    forget_members(gw);
}

const sl_actor_class sl_gateway_class = {.name = "gateway",
                                         .state_bytes = sizeof(gateway),
                                         .start = gateway_start,
                                         .receive = gateway_receive,
                                         .stop = gateway_stop};
