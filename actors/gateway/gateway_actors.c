/* Design notes
 * An actor of a client lives with the hosts of the network; here is who it belongs to. Clients say
 * its name in the network, which is drawn at random, so that nobody can guess one: neither a client
 * here, nor what it sends to an actor that would pass it on. A name that is not of an actor of the
 * client's project is that of one that has ended. What actors are called for people is known here
 * alone, by project. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway_internal.h"
#include "actors/scheduler/scheduler_msgs.h"

sl_err gw_actors_init(gateway *gw) {
    gw->actors = calloc(ACTOR_BUCKETS, sizeof(gw_actor *));
    gw->names = calloc(ACTOR_BUCKETS, sizeof(gw_actor *));
    sl_draw(gw->name_key, sizeof gw->name_key);
    return gw->actors && gw->names ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a gateway");
}

void gw_free_word(sl_gateway_word *word) {
    free(word->message);
    free(word->output);
    sl_blob_release(word->data);
    free(word); /* of a letter or an actor: it is first there */
}

/* ---- the tables ---- */

static gw_actor **by_number(const gateway *gw, uint64_t number) {
    return &gw->actors[number % ACTOR_BUCKETS];
}

static gw_actor **by_name(const gateway *gw, const char *name) {
    return &gw->names[sl_name_hash(name, gw->name_key) % ACTOR_BUCKETS];
}

static gw_actor *find_ref(const gateway *gw, const sl_gateway_ref *ref) {
    gw_actor *actor = *by_number(gw, ref->number);
    while (actor && (actor->ref.number != ref->number || actor->ref.life != ref->life ||
                     actor->ref.home != ref->home))
        actor = actor->chain;
    return actor;
}

gw_actor *gw_find_actor(const gateway *gw, const gw_session *session,
                        const gateway_letter *letter) {
    gw_actor *actor = find_ref(
        gw, &(sl_gateway_ref){.home = letter->home, .life = letter->life, .number = letter->actor});
    return actor && actor->session && actor->project == session->project ? actor : NULL;
}

static gw_actor *find_name(const gateway *gw, const gw_project *project, const char *name) {
    gw_actor *actor = *by_name(gw, name);
    while (actor && (actor->project != project || strcmp(actor->name, name) != 0))
        actor = actor->name_chain;
    return actor;
}

static void put_name(gateway *gw, gw_actor *actor, sl_text name) {
    gw_copy_text(actor->name, sizeof actor->name, name);
    gw_actor **at = by_name(gw, actor->name);
    actor->has_name = true;
    actor->name_chain = *at;
    *at = actor;
}

static void take_name(gateway *gw, gw_actor *actor) {
    if (!actor->has_name)
        return;
    gw_actor **at = by_name(gw, actor->name);
    while (*at != actor)
        at = &(*at)->name_chain;
    *at = actor->name_chain;
    actor->has_name = false;
}

static void enter(gateway *gw, gw_session *session, gw_actor *actor) {
    actor->chain = *by_number(gw, actor->ref.number);
    *by_number(gw, actor->ref.number) = actor;
    actor->session = session;
    actor->next = session->actors;
    if (actor->next)
        actor->next->before = actor;
    session->actors = actor;
    actor->project->actors++;
    actor->project->running++;
    actor->project->resting++;
    actor->project->held_bytes += actor->held_bytes;
}

static void leave_session(gw_actor *actor) {
    if (!actor->session)
        return;
    if (actor->before)
        actor->before->next = actor->next;
    else
        actor->session->actors = actor->next;
    if (actor->next)
        actor->next->before = actor->before;
    actor->session = NULL;
}

/* Of no use to anybody any more. */
static void remove_actor(gateway *gw, gw_actor *actor) {
    gw_actor **at = by_number(gw, actor->ref.number);
    while (*at != actor)
        at = &(*at)->chain;
    *at = actor->chain;
    gw_free_word(&actor->end);
}

static void keep_gone(gateway *gw, gw_session *session, gw_actor *actor) {
    actor->session = session;
    actor->before = NULL;
    actor->next = session->gone;
    if (actor->next)
        actor->next->before = actor;
    else
        session->gone_last = actor;
    session->gone = actor;
    if (++session->gone_count <= GONE_MOST)
        return;
    gw_actor *oldest = session->gone_last, *last = oldest->before;
    session->gone_last = last;
    if (last) /* there are more than one */
        last->next = NULL;
    session->gone_count--;
    remove_actor(gw, oldest);
}

/* Ends it: nobody can reach it any more. */
void gw_give_up_actor(gateway *gw, gw_actor *actor) {
    leave_session(actor);
    take_name(gw, actor);
    gw->options.actors->dismiss(gw->options.actors->context, &actor->ref);
}

static void count_end(gw_actor *actor) {
    actor->over = true;
    actor->project->actors--;
    actor->project->running--;
    actor->project->resting--;
    actor->project->ended++;
    actor->project->held_bytes -= actor->held_bytes;
}

/* ---- words of the network ---- */

static void drop_word(sl_event *event) {
    gw_free_word((sl_gateway_word *)(void *)event);
}

sl_event gw_event_of(const gateway *gw, uint32_t kind) {
    return (sl_event){.to = sl_self(gw->self), .kind = kind, .drop = drop_word};
}

void gw_answer(gateway *gw, gw_session *session, uint64_t number, sl_err err, const char *message,
               sl_bytes output) {
    gateway_result result = {.number = number,
                             .error = (uint32_t)err,
                             .status = err == SL_OK ? SL_TASK_DONE : SL_TASK_FAILED,
                             .message = sl_text_of(message),
                             .output = output};
    gw_add_result(gw, session, &result, NULL);
}

static void answer_name(gateway *gw, gw_session *session, uint64_t number, const gw_actor *actor) {
    uint8_t name[64];
    sl_bytes output = {name, (uint32_t)gw->options.actors->name(&actor->ref, name)};
    gw_answer(gw, session, number, SL_OK, NULL, output);
}

/* Numbers ascend, as those of tasks do. False: the session is refused. */
bool gw_take_number(gateway *gw, gw_session *session, uint64_t number) {
    if (number <= session->last_number) {
        gw_refuse(gw, session, "task %llu after task %llu: numbers ascend",
                  (unsigned long long)number, (unsigned long long)session->last_number);
        return false;
    }
    session->last_number = number;
    return true;
}

sl_err gw_copy_data(const sl_gateway_parts *parts, sl_blob **data) {
    return parts->data_bytes ? sl_blob_copy(parts->data, parts->data_bytes, data) : SL_OK;
}

/* ---- spawning ---- */

static const char *refusal(const gateway *gw, const gw_session *session, const gateway_spawn *spawn,
                           uint64_t bytes, sl_err *err) {
    const char *why = gw_over_quota(session, SL_SCOPE_SUBMIT, bytes);
    *err = SL_ERR_REFUSED;
    if (why)
        return why;
    if (session->project->actors >= ACTORS_MOST)
        return "the project has very many actors: stop some";
    if (!spawn->name.bytes || !find_name(gw, session->project, spawn->name.data))
        return NULL;
    *err = SL_ERR_EXISTS;
    return "an actor of the project has that name";
}

static sl_err make_actor(gateway *gw, gw_session *session, const gateway_spawn *wish,
                         const sl_gateway_parts *parts, gw_actor *actor) {
    const sl_gateway_actors *actors = gw->options.actors;
    sl_blob *data = NULL;
    uint8_t *arguments = (uint8_t *)(uintptr_t)wish->arguments.data; /* the decoded copy */
    SL_TRY(gw_copy_data(parts, &data));
    sl_err err = gw_name_arguments(gw, session, arguments, wish->arguments.bytes, data, false,
                                   &actor->objects);
    sl_draw(&actor->ref.life, sizeof actor->ref.life);
    sl_draw(&actor->ref.number, sizeof actor->ref.number);
    actor->ref.life |= 1; /* 0 is none's */
    if (err == SL_OK)
        err = actors->spawn(actors->context, wish, data, &actor->ref, &actor->end);
    sl_blob_release(data);
    return err;
}

/* NULL, with an error. */
static gw_actor *spawn(gateway *gw, gw_session *session, const gateway_spawn *wish,
                       const sl_gateway_parts *parts, uint64_t bytes, sl_err *err) {
    gw_actor *actor = calloc(1, sizeof *actor);
    if (!actor) {
        *err = sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
        return NULL;
    }
    actor->end.event = gw_event_of(gw, GW_EVENT_ACTOR_ENDED);
    actor->project = session->project;
    actor->held_bytes = bytes;
    *err = make_actor(gw, session, wish, parts, actor);
    if (*err == SL_OK) {
        enter(gw, session, actor);
        if (wish->name.bytes)
            put_name(gw, actor, wish->name);
        return actor;
    }
    gw_drop_named(gw, &actor->objects);
    free(actor);
    return NULL;
}

/* What has become of it is known once a first letter is answered. */
static sl_err begin(gateway *gw, gw_session *session, const gateway_spawn *wish, gw_actor *actor) {
    static const sl_gateway_parts nothing;
    gateway_letter first = {
        .number = wish->number, .what = SL_GATEWAY_NOTHING, .asks = true, .method = sl_text_of("")};
    sl_err err = gw_tell_actor(gw, session, &first, actor, &nothing);
    if (err != SL_OK)
        gw_give_up_actor(gw, actor);
    return err;
}

void gw_began(gateway *gw, const gw_letter *letter) {
    const sl_gateway_word *word = &letter->word;
    uint8_t name[64];
    gateway_result result = {.error = (uint32_t)word->err, .message = sl_text_of(word->message)};
    gw_actor *actor = find_ref(gw, &letter->ref);
    if (word->err == SL_OK) {
        result.output = (sl_bytes){name, (uint32_t)gw->options.actors->name(&letter->ref, name)};
    } else {
        result.status = SL_TASK_FAILED;
        if (actor && !actor->over && actor->session)
            gw_give_up_actor(gw, actor);
    }
    gw_end_task(gw, letter->task, &result, NULL);
}

static void take_spawn(gateway *gw, gw_session *session, const gateway_spawn *wish,
                       const sl_gateway_parts *parts) {
    sl_err err;
    char detail[400];
    uint64_t bytes = wish->arguments.bytes + parts->data_bytes;
    const char *why = refusal(gw, session, wish, bytes, &err);
    gw_actor *actor = why ? NULL : spawn(gw, session, wish, parts, bytes, &err);
    if (actor && (err = begin(gw, session, wish, actor)) != SL_OK)
        actor = NULL;
    snprintf(detail, sizeof detail, "%s", actor ? "" : why ? why : sl_err_detail());
    gw_audit(gw, session, "spawn", actor ? "ok" : "refused", "task %llu, actor %.127s%s%.127s%s%s",
             (unsigned long long)wish->number, wish->kind.data, wish->name.bytes ? " named " : "",
             wish->name.data, actor ? "" : ": ", detail);
    if (!actor)
        gw_answer(gw, session, wish->number, err, detail, (sl_bytes){});
}

void gw_take_spawn(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_spawn *wish = sl_gateway_decode(parts, SL_GATEWAY_SPAWN);
    if (!wish)
        gw_refuse(gw, session, "%s", sl_err_detail());
    else if (gw_take_number(gw, session, wish->number))
        take_spawn(gw, session, wish, parts);
    free(wish);
}

void gw_take_find(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_find *wish = sl_gateway_decode(parts, SL_GATEWAY_FIND);
    if (!wish) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    if (gw_take_number(gw, session, wish->number)) {
        const char *why = gw_over_bytes(session, SL_SCOPE_SUBMIT, 0);
        const gw_actor *actor = why ? NULL : find_name(gw, session->project, wish->name.data);
        if (actor)
            answer_name(gw, session, wish->number, actor);
        else
            gw_answer(gw, session, wish->number, why ? SL_ERR_REFUSED : SL_ERR_NOT_FOUND,
                      why ? why : "no actor of the project has that name", (sl_bytes){});
    }
    free(wish);
}

/* ---- the end ---- */

static void tell_watchers(gateway *gw, gw_actor *actor) {
    const sl_gateway_word *word = &actor->end;
    for (gw_task *task; (task = actor->watchers) != NULL;) {
        actor->watchers = task->next;
        task->next = NULL;
        task->watched = NULL;
        gateway_result result = {.error = (uint32_t)word->err,
                                 .status = word->err == SL_OK ? SL_TASK_DONE : SL_TASK_FAILED,
                                 .message = sl_text_of(word->err == SL_OK ? "" : word->message),
                                 .output = {word->output, (uint32_t)word->output_bytes}};
        gw_end_task(gw, task, &result, NULL);
    }
}

void gw_on_actor_ended(gateway *gw, sl_event *event) {
    gw_actor *actor = (gw_actor *)(void *)event;
    gw_session *session = actor->session;
    count_end(actor);
    take_name(gw, actor);
    leave_session(actor);
    tell_watchers(gw, actor);
    gw_drop_named(gw, &actor->objects);
    if (!session) {
        remove_actor(gw, actor);
        return;
    }
    gw_audit(gw, session, "actor", "ended", "%s%s%s", actor->name, actor->name[0] ? ": " : "",
             actor->end.message ? actor->end.message : "");
    keep_gone(gw, session, actor);
}

void gw_release_actors(gateway *gw, gw_session *session) {
    while (session->actors)
        gw_give_up_actor(gw, session->actors);
    for (gw_actor *actor = session->gone, *next; actor; actor = next) {
        next = actor->next;
        remove_actor(gw, actor);
    }
    session->gone = session->gone_last = NULL;
    for (gw_letter *letter = gw->letters; letter; letter = letter->next)
        if (letter->session == session)
            letter->session = NULL;
}

uint64_t gw_end_actors(gateway *gw, const gw_project *project) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < ACTOR_BUCKETS; i++)
        for (gw_actor *actor = gw->actors[i]; actor; actor = actor->chain)
            if (actor->project == project && actor->session && !actor->over) {
                gw_give_up_actor(gw, actor);
                count++;
            }
    return count;
}

/* What the host has yet to tell is dropped then. Tasks that were to end have nobody to be told. */
void gw_actors_fini(gateway *gw) {
    for (gw_letter *letter = gw->letters; letter; letter = letter->next)
        gw_drop_named(gw, &letter->objects);
    for (uint32_t i = 0; gw->actors && i < ACTOR_BUCKETS; i++)
        for (gw_actor *actor = gw->actors[i]; actor; actor = actor->chain)
            gw_drop_named(gw, &actor->objects);
    for (gw_task **at = &gw->ending; *at;) {
        gw_task *task = *at;
        if (!task->asks) {
            at = &task->next;
            continue;
        }
        *at = task->next;
        gw_free_task(gw, task);
    }
    free(gw->actors);
    free(gw->names);
    gw->actors = gw->names = NULL;
}
