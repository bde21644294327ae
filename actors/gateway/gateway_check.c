/* Design notes
 * The disk is the pool's: a job reads the keys again if they have changed, and checks one. A job
 * owns all it needs, because the actor may be gone when it ends. One is under way at a time, as a
 * store is one thread's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/gateway/gateway_internal.h"
#include "runtime/log.h"

/* ---- keys ---- */

/* A key that shall be checked; or an order; or, without a session, all keys of those that are here.
 */
typedef struct gw_check {
    sl_job job; /* first */
    struct gw_check *next;
    gw_session *session;
    gw_order *order;
    sl_key_store *keys;
    uint64_t now_s;
    char key[128];
    size_t key_bytes;
    char project[SL_PROJECT_BYTES];
    char name[SL_GATEWAY_SESSION_BYTES]; /* of the session that it goes on with */
    uint64_t taken;
    /* the answer */
    sl_err err;
    char why[256];
    char known[SL_KEY_NAME_BYTES];
    sl_api_key found;
    sl_quota quota;
} gw_check;

static void forget(gw_check *check) {
    explicit_bzero(check->key, sizeof check->key);
    gw_order_free(check->order);
    free(check);
}

static void drop_check(sl_event *event) {
    forget((gw_check *)(void *)event);
}

static void run_check(sl_job *job) {
    gw_check *check = (gw_check *)(void *)job;
    const sl_api_key *found = NULL;
    const char *known = "";
    if (check->order) {
        gw_order_run(check->order, check->keys, check->now_s);
        return;
    }
    check->err = sl_key_store_refresh(check->keys);
    if (check->err == SL_OK && check->session)
        check->err = sl_key_store_check(check->keys, check->key, check->key_bytes, check->project,
                                        check->now_s, &found, &known);
    if (check->err != SL_OK)
        snprintf(check->why, sizeof check->why, "%s", sl_err_detail());
    snprintf(check->known, sizeof check->known, "%s", known);
    if (found)
        check->found = *found;
    check->quota = sl_key_store_quota(check->keys, check->project);
}

static void post_next(gateway *gw) {
    gw_check *check = gw->checks;
    if (!check || gw->check_busy)
        return;
    gw->checks = check->next;
    if (!gw->checks)
        gw->checks_tail = &gw->checks;
    gw->check_busy = true;
    check->next = NULL;
    check->now_s = (uint64_t)sl_wall_s(gw->self);
    sl_pool_post(gw->options.pool, &check->job);
}

static gw_check *make_check(gateway *gw, gw_session *session) {
    gw_check *check = calloc(1, sizeof *check);
    if (!check)
        return NULL;
    check->job =
        (sl_job){.event = {.to = sl_self(gw->self), .kind = GW_EVENT_CHECKED, .drop = drop_check},
                 .run = run_check};
    check->session = session;
    check->keys = gw->options.keys;
    return check;
}

static void add_check(gateway *gw, gw_check *check) {
    if (!gw->checks_tail)
        gw->checks_tail = &gw->checks;
    *gw->checks_tail = check;
    gw->checks_tail = &check->next;
    post_next(gw);
}

sl_err gw_check_hello(gateway *gw, gw_session *session, const gateway_hello *hello) {
    gw_check *check = make_check(gw, session);
    if (!check)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    memcpy(check->key, hello->key.data, hello->key.bytes);
    check->key_bytes = hello->key.bytes;
    snprintf(check->project, sizeof check->project, "%s", hello->project.data);
    snprintf(check->name, sizeof check->name, "%s", hello->session.data);
    check->taken = hello->taken;
    session->checking = true;
    session->stage = GW_CHECKING;
    add_check(gw, check);
    return SL_OK;
}

sl_err gw_check_order(gateway *gw, gw_order *order) {
    gw_check *check = make_check(gw, NULL);
    if (!check)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    check->order = order;
    add_check(gw, check);
    return SL_OK;
}

void gw_check_again(gateway *gw) {
    gw_check *check = gw->check_busy ? NULL : make_check(gw, NULL);
    if (check)
        add_check(gw, check);
}

static gw_project *project_of(gateway *gw, const char *name) {
    gw_project *project = gw->projects;
    while (project && strcmp(project->name, name) != 0)
        project = project->next;
    if (project)
        return project;
    project = calloc(1, sizeof *project);
    if (project) {
        snprintf(project->name, sizeof project->name, "%s", name);
        project->draining = gw->draining;
        project->next = gw->projects;
        gw->projects = project;
    }
    return project;
}

static void say_welcome(gateway *gw, gw_session *session) {
    gateway_welcome welcome = {.version = SL_GATEWAY_VERSION,
                               .nodes = sl_node_count(sl_actor_node(gw->self)),
                               .scopes = session->scopes,
                               .tasks_most = TASKS_MOST,
                               .keep_ns = gw->options.keep_ns,
                               .taken = session->in.count,
                               .session = sl_text_of(session->name)};
    gw->options.door->trust(session->visitor);
    if (gw_say(gw, session, SL_GATEWAY_WELCOME, &welcome) != SL_OK)
        gw_refuse(gw, session, "a welcome cannot be sent: %s", sl_err_detail());
    sl_stream_told(&session->in);
    gw_touch(gw, session);
}

static void welcome(gateway *gw, gw_session *session, const gw_check *check) {
    session->project = project_of(gw, check->project);
    session->buckets = calloc(BUCKETS, sizeof *session->buckets);
    session->objects = calloc(OBJECT_BUCKETS, sizeof *session->objects);
    session->entries = calloc(BUCKETS, sizeof *session->entries);
    if (!session->project || !session->buckets || !session->objects || !session->entries) {
        session->project = NULL;
        gw_refuse(gw, session, "the gateway is out of memory");
        return;
    }
    sl_name_draw(session->name);
    session->serial = ++gw->last_serial;
    session->project->quota = check->quota;
    session->project->clients++;
    session->scopes = check->found.scopes;
    session->stage = GW_OPEN;
    gw_audit(gw, session, "hello", "ok", "project %s", session->project->name);
    say_welcome(gw, session);
}

/* The session of that name, if it is of the key and project that were shown. */
static gw_session *kept_session(gateway *gw, const gw_check *check) {
    for (gw_session *session = gw->sessions; session; session = session->next)
        if (session->stage == GW_OPEN && sl_name_is(session->name, check->name) &&
            strcmp(session->key_id, check->known) == 0 &&
            strcmp(session->project->name, check->project) == 0)
            return session;
    return NULL;
}

/* A connection that seems to stand may be half open: the client knows better. */
static void hang_up(gateway *gw, gw_session *session) {
    if (!session->visitor) {
        session->project->clients++;
        return;
    }
    session->visitor->session = NULL;
    gw->options.door->close(session->visitor, "the client has come by another connection");
    session->visitor = NULL;
}

/* The new connection gets the old session. */
static void resume(gateway *gw, gw_session *fresh, const gw_check *check) {
    gw_session *session = kept_session(gw, check);
    if (!session || sl_stream_taken(&session->out, check->taken) != SL_OK) {
        gw_audit(gw, fresh, "resume", "refused", "project %s", check->project);
        gw_refuse(gw, fresh, "there is no such session any more: its tasks were taken back");
        return;
    }
    hang_up(gw, session);
    session->visitor = fresh->visitor;
    session->visitor->session = session;
    memcpy(session->address, fresh->address, sizeof session->address);
    fresh->visitor = NULL;
    gw_drop_session(gw, fresh);
    session->blocked = session->paused = false;
    sl_stream_rewind(&session->out);
    gw_audit(gw, session, "resume", "ok", "%u tasks under way", session->running);
    say_welcome(gw, session);
}

static void answer_hello(gateway *gw, gw_check *check) {
    gw_session *session = check->session;
    session->checking = false;
    memcpy(session->key_id, check->known, sizeof session->key_id);
    if (!session->visitor) {
        gw_drop_session(gw, session);
        return;
    }
    if (session->stage != GW_CHECKING)
        return;
    if (check->err == SL_OK) {
        sl_guesses_right(&gw->guesses, session->address);
        if (check->name[0])
            resume(gw, session, check);
        else
            welcome(gw, session, check);
        return;
    }
    if (check->err == SL_ERR_REFUSED)
        sl_guesses_wrong(&gw->guesses, session->address, sl_now_ns(gw->self));
    gw_audit(gw, session, "hello", "refused", "project %s: %s", check->project, check->why);
    gw_refuse(gw, session, "%s", check->why);
}

/* No job is under way: the store is ours to read. */
static void look_again(gateway *gw, const gw_check *check) {
    const sl_key_list *list = sl_key_store_list(gw->options.keys);
    if (check->err != SL_OK) {
        sl_warn("gateway", "API keys cannot be read again: %s", check->why);
        return;
    }
    for (gw_session *session = gw->sessions; session; session = session->next) {
        if (session->stage != GW_OPEN)
            continue;
        const sl_api_key *key = sl_key_list_find(list, session->key_id);
        session->project->quota = sl_key_store_quota(gw->options.keys, session->project->name);
        if (!key || key->revoked_s)
            gw_refuse(gw, session, "API key %s was revoked", session->key_id);
        else if (key->expires_s && check->now_s >= key->expires_s)
            gw_refuse(gw, session, "API key %s has expired: ask for a new one", session->key_id);
    }
}

void gw_on_checked(gateway *gw, sl_event *event) {
    gw_check *check = (gw_check *)(void *)event;
    gw->check_busy = false;
    if (check->session)
        answer_hello(gw, check);
    else if (check->order)
        gw_order_ran(gw, check->order, gw->options.keys);
    else
        look_again(gw, check);
    forget(check);
    post_next(gw);
}

void gw_check_fini(gateway *gw) {
    for (gw_check *next; gw->checks; gw->checks = next) {
        next = gw->checks->next;
        forget(gw->checks);
    }
}
