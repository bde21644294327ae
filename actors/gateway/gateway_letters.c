/* Design notes
 * Letters of a session go to the host in the order they came; it keeps that, whatever the actor
 * does. A letter that is refused would be a gap that its sender hears of too late: so after it
 * nothing is taken, until a letter says that its client knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway_internal.h"
#include "actors/scheduler/scheduler_msgs.h"

static const char no_actor[] = "there is no such actor (any more)";

/* ---- letters ---- */

static void link_letter(gateway *gw, gw_session *session, gw_letter *letter) {
    letter->session = session;
    letter->project = session->project;
    letter->next = gw->letters;
    if (letter->next)
        letter->next->before = letter;
    gw->letters = letter;
    session->letters++;
    session->letter_bytes += letter->bytes;
    letter->project->held_bytes += letter->bytes;
    gw_pace(gw, session);
}

static void unlink_letter(gateway *gw, gw_letter *letter) {
    gw_session *session = letter->session;
    if (letter->before)
        letter->before->next = letter->next;
    else
        gw->letters = letter->next;
    if (letter->next)
        letter->next->before = letter->before;
    letter->project->held_bytes -= letter->bytes;
    if (!session)
        return;
    session->letters--;
    session->letter_bytes -= letter->bytes;
    gw_pace(gw, session);
}

/* NULL when out of memory. */
gw_task *gw_enter_ask(gw_session *session, uint64_t number) {
    gw_task *task = calloc(1, sizeof *task);
    if (!task)
        return NULL;
    task->number = number;
    task->asks = true;
    gw_enter_task(session, task);
    return task;
}

static sl_err send_letter(gateway *gw, gw_session *session, const gateway_letter *body,
                          const gw_actor *actor, const sl_gateway_parts *parts, gw_letter *letter) {
    const sl_gateway_actors *actors = gw->options.actors;
    sl_blob *data = NULL;
    uint8_t *arguments = (uint8_t *)(uintptr_t)body->arguments.data; /* the decoded copy */
    SL_TRY(gw_copy_data(parts, &data));
    sl_err err = gw_name_arguments(gw, session, arguments, body->arguments.bytes, data, false,
                                   &letter->objects);
    if (err == SL_OK)
        err = actors->send(actors->context, &actor->ref, body, data, &letter->word);
    sl_blob_release(data);
    return err;
}

sl_err gw_tell_actor(gateway *gw, gw_session *session, const gateway_letter *body,
                     const gw_actor *actor, const sl_gateway_parts *parts) {
    gw_letter *letter = calloc(1, sizeof *letter);
    if (!letter)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for letters");
    letter->begins = body->what == SL_GATEWAY_NOTHING;
    letter->ref = actor->ref;
    letter->word.event = gw_event_of(gw, GW_EVENT_ANSWERED);
    letter->bytes = sizeof *letter + body->arguments.bytes + parts->data_bytes;
    letter->task = body->asks ? gw_enter_ask(session, body->number) : NULL;
    sl_err err = body->asks && !letter->task
                     ? sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for tasks")
                     : send_letter(gw, session, body, actor, parts, letter);
    if (err == SL_OK) {
        if (letter->task)
            letter->task->letter = letter;
        link_letter(gw, session, letter);
        return SL_OK;
    }
    gw_drop_named(gw, &letter->objects);
    if (letter->task) {
        gw_leave_task(letter->task);
        gw_free_task(gw, letter->task);
    }
    free(letter);
    return err;
}

/* ---- what clients say to them ---- */

static sl_err watch(gw_session *session, const gateway_letter *body, gw_actor *actor) {
    gw_task *task = gw_enter_ask(session, body->number);
    if (!task)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for tasks");
    task->watches = true;
    task->project->resting++;
    task->watched = actor;
    task->next = actor->watchers;
    actor->watchers = task;
    return SL_OK;
}

/* `actor` has ended, or is none (NULL). */
static void answer_for_none(gateway *gw, gw_session *session, const gateway_letter *body,
                            const gw_actor *actor) {
    uint8_t text[64];
    sl_bytes why = {text, 0};
    if (body->what == SL_GATEWAY_WATCH) {
        why.bytes = (uint32_t)gw->options.actors->text(no_actor, text);
        if (actor && actor->end.output_bytes)
            why = (sl_bytes){actor->end.output, (uint32_t)actor->end.output_bytes};
        gw_answer(gw, session, body->number, SL_OK, NULL, why);
    } else if (body->asks) {
        gw_answer(gw, session, body->number, SL_ERR_DEAD,
                  actor && actor->end.message ? actor->end.message : no_actor, (sl_bytes){});
    }
}

static const char *letter_refusal(const gw_session *session, const gateway_letter *body,
                                  uint64_t bytes) {
    if (body->refusals != session->refusals)
        return "a message of this connection to an actor, before it, was refused";
    return body->asks ? gw_over_quota(session, SL_SCOPE_SUBMIT, bytes)
                      : gw_over_bytes(session, SL_SCOPE_SUBMIT, bytes);
}

static sl_err take_for(gateway *gw, gw_session *session, const gateway_letter *body,
                       gw_actor *actor, const sl_gateway_parts *parts) {
    if (body->what == SL_GATEWAY_WATCH)
        return watch(session, body, actor);
    if (body->what != SL_GATEWAY_CALL)
        gw_audit(gw, session, body->what == SL_GATEWAY_STOP ? "stop" : "move", "ok",
                 "task %llu, actor %s", (unsigned long long)body->number, actor->name);
    session->said++;
    return gw_tell_actor(gw, session, body, actor, parts);
}

static void take_letter(gateway *gw, gw_session *session, const gateway_letter *body,
                        const sl_gateway_parts *parts) {
    char detail[400];
    const char *why =
        letter_refusal(session, body, body->arguments.bytes + (uint64_t)parts->data_bytes);
    gw_actor *actor = why ? NULL : gw_find_actor(gw, session, body);
    sl_err err = SL_OK;
    if (!why && (!actor || actor->over))
        answer_for_none(gw, session, body, actor);
    else if (!why && body->what == SL_GATEWAY_MOVE &&
             body->node >= sl_node_count(sl_actor_node(gw->self)))
        gw_answer(gw, session, body->number, SL_ERR_INVALID, "there is no such node", (sl_bytes){});
    else if (!why)
        err = take_for(gw, session, body, actor, parts);
    if (!why && err == SL_OK)
        return;
    snprintf(detail, sizeof detail, "%s", why ? why : sl_err_detail());
    if (body->refusals == session->refusals) /* those behind it are refused for it */
        gw_audit(gw, session, "letter", "refused", "task %llu: %s",
                 (unsigned long long)body->number, detail);
    session->refusals++;
    gw_answer(gw, session, body->number, SL_ERR_REFUSED, detail, (sl_bytes){});
}

void gw_take_letter(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_letter *body = sl_gateway_decode(parts, SL_GATEWAY_LETTER);
    if (!body)
        gw_refuse(gw, session, "%s", sl_err_detail());
    else if (body->what >= SL_GATEWAY_WHATS || (body->what == SL_GATEWAY_WATCH && !body->asks))
        gw_refuse(gw, session, "a letter of kind %u, which there is not", body->what);
    else if (gw_take_number(gw, session, body->number))
        take_letter(gw, session, body, parts);
    free(body);
}

void gw_audit_letters(gateway *gw, gw_session *session) {
    if (session->said)
        gw_audit(gw, session, "letters", "ok", "%u to actors, up to %llu", session->said,
                 (unsigned long long)session->last_number);
    session->said = 0;
}

/* ---- what comes of them ---- */

/* An actor may answer with any error: but that a letter was refused is for the gateway to say. */
static sl_err error_of(const sl_gateway_word *word) {
    return word->err == SL_ERR_REFUSED ? SL_ERR_FAILED : word->err;
}

void gw_on_answered(gateway *gw, sl_event *event) {
    gw_letter *letter = (gw_letter *)(void *)event;
    sl_gateway_word *word = &letter->word;
    gw_task *task = letter->task;
    gateway_result result = {.error = (uint32_t)error_of(word),
                             .status = word->err == SL_OK ? SL_TASK_DONE : SL_TASK_FAILED,
                             .message = sl_text_of(word->message),
                             .output = {word->output, (uint32_t)word->output_bytes}};
    unlink_letter(gw, letter);
    gw_drop_named(gw, &letter->objects);
    if (task)
        task->letter = NULL;
    if (!task)
        gw_let_go(gw, result.output);
    else if (letter->begins)
        gw_began(gw, letter);
    else if (word->err != SL_OK || !gw_fetch_result(gw, task, &result))
        gw_end_task(gw, task, &result, word->data);
    gw_free_word(word);
}

static void take_out(gw_task **at, gw_task *task) {
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    task->next = NULL;
}

/* It has ended for its client. An answer that is being fetched ends it when it has come. */
void gw_cancel_ask(gateway *gw, gw_task *task) {
    if (task->letter) {
        task->letter->task = NULL;
        task->letter = NULL;
    } else if (task->watched) {
        take_out(&task->watched->watchers, task);
        task->watched = NULL;
    } else if (task->collects) {
        take_out(&task->collects->collectors, task);
        task->collects = NULL;
    } else {
        return;
    }
    gw_end_soon(gw, task, SL_TASK_CANCELLED);
}
