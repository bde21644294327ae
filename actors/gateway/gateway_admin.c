/* Design notes
 * What who runs the network may do from outside is an order: of all projects, and of keys. A key
 * with the scope `admin` may see and end, and make nothing: no tasks, and no keys, which could then
 * do what it may not. Each order goes through the pool, where the keys are read anew: so the key
 * that it came with is looked at as it is done, not only once a second. All are in the audit log,
 * as they are asked for and as they end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/gateway/gateway_internal.h"

enum { WAIT_MOST_DAYS = 30 };

struct gw_order {
    uint64_t session, number, wait_ns;
    sl_gateway_act act;
    char key_id[SL_KEY_NAME_BYTES];
    char name[SL_PROJECT_BYTES];
    int audit_fd;
    /* the answer */
    sl_err err;
    char why[400];
    uint64_t count;
    char *text; /* of the audit log */
    size_t text_bytes;
};

static const char *const words[SL_ACTS] = {
    [SL_ACT_PROJECTS] = "projects", [SL_ACT_KEYS] = "keys",   [SL_ACT_REVOKE] = "revoke",
    [SL_ACT_CANCEL] = "cancel all", [SL_ACT_AUDIT] = "audit", [SL_ACT_DOWN] = "down"};

void gw_order_free(gw_order *order) {
    if (!order)
        return;
    free(order->text);
    free(order);
}

/* ---- on a thread of the pool ---- */

static sl_err still_holds(const gw_order *order, sl_key_store *keys, uint64_t now_s) {
    SL_TRY(sl_key_store_refresh(keys));
    const sl_api_key *key = sl_key_list_find(sl_key_store_list(keys), order->key_id);
    if (!key || key->revoked_s || (key->expires_s && now_s >= key->expires_s) ||
        !(key->scopes & SL_SCOPE_ADMIN))
        return sl_fail(SL_ERR_REFUSED, "API key %s holds no more", order->key_id);
    return SL_OK;
}

/* Whole lines. */
static sl_err read_audit(gw_order *order) {
    off_t end = order->audit_fd >= 0 ? lseek(order->audit_fd, 0, SEEK_END) : -1;
    if (end < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "there is no audit log that can be read");
    off_t begin = end > SL_GATEWAY_AUDIT_BYTES ? end - SL_GATEWAY_AUDIT_BYTES : 0;
    order->text = malloc(SL_GATEWAY_AUDIT_BYTES);
    if (!order->text)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    ssize_t got = pread(order->audit_fd, order->text, (size_t)(end - begin), begin);
    if (got < 0)
        return sl_fail(SL_ERR_IO, "the audit log cannot be read");
    order->text_bytes = (size_t)got;
    const char *line = begin ? memchr(order->text, '\n', order->text_bytes) : NULL;
    if (line) {
        order->text_bytes -= (size_t)(line + 1 - order->text);
        memmove(order->text, line + 1, order->text_bytes);
    }
    return SL_OK;
}

static sl_err do_it(gw_order *order, sl_key_store *keys, uint64_t now_s) {
    SL_TRY(still_holds(order, keys, now_s));
    if (order->act == SL_ACT_REVOKE)
        return sl_key_store_revoke(keys, order->name, now_s);
    if (order->act == SL_ACT_AUDIT)
        return read_audit(order);
    return SL_OK;
}

static void keep_error(gw_order *order, sl_err err) {
    order->err = err;
    if (err != SL_OK)
        snprintf(order->why, sizeof order->why, "%s", sl_err_detail());
}

void gw_order_run(gw_order *order, sl_key_store *keys, uint64_t now_s) {
    keep_error(order, do_it(order, keys, now_s));
}

/* ---- answers ---- */

static int by_name(const void *one, const void *other) {
    return strcmp(((const gateway_project *)one)->name.data,
                  ((const gateway_project *)other)->name.data);
}

static gateway_project *project_in(gateway_project *list, uint32_t *count, const char *name) {
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp(list[i].name.data, name) == 0)
            return &list[i];
    list[*count] = (gateway_project){.name = sl_text_of(name)};
    return &list[(*count)++];
}

static void fill_quota(gateway_project *to, const sl_quota *quota) {
    to->ucu_s_most = quota->ucu_s;
    to->tasks_most = quota->tasks;
    to->held_bytes_most = quota->payload_bytes;
    to->output_bytes_most = quota->output_bytes;
}

static void fill_project(gateway_project *to, const gw_project *project) {
    to->running = project->running;
    to->begun = project->begun;
    to->ended = project->ended;
    to->failed = project->failed;
    to->ucu_s = project->ucu_s;
    to->held_bytes = project->held_bytes;
    to->output_bytes = project->written_bytes;
    to->clients = project->clients;
}

/* Those that were here, and those of which the keys know. */
static sl_err list_projects(const gateway *gw, const sl_key_list *keys, gateway_ordered *answer) {
    size_t most = keys->count + keys->quota_count;
    for (const gw_project *project = gw->projects; project; project = project->next)
        most++;
    gateway_project *list = calloc(most + 1, sizeof *list);
    uint32_t count = 0;
    if (!list)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    for (const gw_project *project = gw->projects; project; project = project->next)
        fill_project(project_in(list, &count, project->name), project);
    for (size_t i = 0; i < keys->count; i++)
        (void)project_in(list, &count, keys->keys[i].project);
    for (size_t i = 0; i < keys->quota_count; i++)
        fill_quota(project_in(list, &count, keys->quotas[i].project), &keys->quotas[i]);
    qsort(list, count, sizeof *list, by_name);
    answer->projects.items = list;
    answer->projects.count = count < 8192 ? count : 8192;
    return SL_OK;
}

static sl_err list_keys(const sl_key_list *keys, gateway_ordered *answer) {
    gateway_key *list = calloc(keys->count + 1, sizeof *list);
    if (!list)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    for (size_t i = 0; i < keys->count; i++) {
        const sl_api_key *key = &keys->keys[i];
        list[i] = (gateway_key){.id = sl_text_of(key->id),
                                .project = sl_text_of(key->project),
                                .scopes = key->scopes,
                                .created_s = key->created_s,
                                .expires_s = key->expires_s,
                                .revoked_s = key->revoked_s};
    }
    answer->keys.items = list;
    answer->keys.count = (uint32_t)keys->count;
    return SL_OK;
}

/* ---- what the loop does of it ---- */

static uint64_t cancel_one(gateway *gw, gw_task *task) {
    bool before = task->cancelled;
    gw_cancel_task(gw, task);
    return !before;
}

static uint64_t cancel_project(gateway *gw, const gw_project *project) {
    uint64_t count = 0;
    for (const gw_session *session = gw->sessions; session; session = session->next)
        for (uint32_t i = 0; session->project == project && session->buckets && i < BUCKETS; i++)
            for (gw_task *task = session->buckets[i]; task; task = task->chain)
                count += cancel_one(gw, task);
    for (uint32_t i = 0; i < ENTRY_BUCKETS; i++) /* also those whose session is over */
        for (const gw_entry *entry = gw->entries[i]; entry; entry = entry->next)
            if (entry->project == project && entry->task)
                count += cancel_one(gw, entry->task);
    return count + gw_end_actors(gw, project);
}

static sl_err cancel_all(gateway *gw, gw_order *order) {
    const gw_project *project = gw->projects;
    while (project && strcmp(project->name, order->name) != 0)
        project = project->next;
    if (!project)
        return sl_fail(SL_ERR_NOT_FOUND, "no project '%.64s' has been here", order->name);
    order->count = cancel_project(gw, project);
    return SL_OK;
}

static sl_err end_network(gateway *gw, gw_order *order) {
    if (!gw->options.stop)
        return sl_fail(SL_ERR_UNAVAILABLE, "this network was not started by starlane up: it ends "
                                           "with the program that it is part of");
    for (const gw_project *project = gw->projects; project; project = project->next)
        order->count += project->running;
    gw_drain(gw, order->wait_ns);
    return SL_OK;
}

static sl_err finish(gateway *gw, gw_order *order, const sl_key_list *keys,
                     gateway_ordered *answer) {
    switch (order->act) {
    case SL_ACT_PROJECTS:
        return list_projects(gw, keys, answer);
    case SL_ACT_KEYS:
        return list_keys(keys, answer);
    case SL_ACT_REVOKE:
        gw_check_again(gw); /* who is here by it leaves at once */
        return SL_OK;
    case SL_ACT_CANCEL:
        return cancel_all(gw, order);
    case SL_ACT_DOWN:
        return end_network(gw, order);
    default:
        answer->data = (sl_bytes){(const uint8_t *)order->text, (uint32_t)order->text_bytes};
        return SL_OK;
    }
}

/* Also of one who has left meanwhile. */
static void note(gateway *gw, const gw_session *session, const gw_order *order) {
    gw_session left = {};
    memcpy(left.key_id, order->key_id, sizeof left.key_id);
    gw_audit(gw, session ? session : &left, words[order->act],
             order->err == SL_OK ? "ok" : "refused", "%s%s%llu tasks%s%s", order->name,
             *order->name ? ": " : "", (unsigned long long)order->count,
             order->err == SL_OK ? "" : ": ", order->why);
}

void gw_order_ran(gateway *gw, gw_order *order, const sl_key_store *keys) {
    gw_session *session = gw_session_of(gw, order->session);
    gateway_ordered answer = {.number = order->number};
    if (order->err == SL_OK)
        keep_error(order, finish(gw, order, sl_key_store_list(keys), &answer));
    note(gw, session, order);
    answer.error = (uint32_t)order->err;
    answer.detail = sl_text_of(order->why);
    answer.count = order->count;
    if (session) {
        session->orders--;
        gw_send(gw, session, SL_GATEWAY_ORDERED, &answer, NULL);
    }
    free((void *)(uintptr_t)answer.projects.items);
    free((void *)(uintptr_t)answer.keys.items);
}

/* ---- taking ---- */

static sl_err begin(gateway *gw, gw_session *session, const gateway_order *asked) {
    if (!asked->act || asked->act >= SL_ACTS ||
        asked->wait_ns > WAIT_MOST_DAYS * 86400 * SL_NS_PER_S)
        return sl_fail(SL_ERR_INVALID, "no order that this version understands");
    if (session->orders >= SL_GATEWAY_ORDERS_MOST)
        return sl_fail(SL_ERR_AGAIN, "%d orders are under way: wait for their answers",
                       SL_GATEWAY_ORDERS_MOST);
    gw_order *order = calloc(1, sizeof *order);
    if (!order)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    *order = (gw_order){.session = session->serial,
                        .number = asked->number,
                        .wait_ns = asked->wait_ns,
                        .act = (sl_gateway_act)asked->act,
                        .audit_fd = gw->options.audit_fd};
    memcpy(order->key_id, session->key_id, sizeof order->key_id);
    gw_copy_text(order->name, sizeof order->name, asked->name);
    sl_err err = gw_check_order(gw, order);
    if (err != SL_OK)
        gw_order_free(order);
    else
        session->orders++;
    return err;
}

void gw_take_order(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_order *asked = sl_gateway_decode(parts, SL_GATEWAY_ORDER);
    if (!asked || !(session->scopes & SL_SCOPE_ADMIN)) {
        gw_refuse(gw, session, "%s",
                  asked ? "this API key may not run the network: it lacks the scope admin"
                        : sl_err_detail());
        free(asked);
        return;
    }
    sl_err err = begin(gw, session, asked);
    if (err != SL_OK) {
        char why[400];
        snprintf(why, sizeof why, "%s", sl_err_detail());
        gateway_ordered answer = {
            .number = asked->number, .error = (uint32_t)err, .detail = sl_text_of(why)};
        gw_send(gw, session, SL_GATEWAY_ORDERED, &answer, NULL);
    }
    free(asked);
}
