/* What who runs a network does from outside, by a key with the scope `admin`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/thread.h"
#include "sdk/key_text.h"
#include "sdk/remote.h"

#define GONE_NS  (2 * SL_NS_PER_S) /* out of reach for so long after it was told to end: it has */
#define LOOK_NS  (20 * SL_NS_PER_MS)
#define SLACK_NS (15 * SL_NS_PER_S)

/* The answer to an order that was carried out: to be freed. */
static sl_err order(sl_remote *remote, gateway_order *body, gateway_ordered **answer) {
    gateway_ordered *got;
    SL_TRY(sl_remote_question_ask(remote, SL_GATEWAY_ORDER, body, &body->number, (void **)&got));
    if (!got->error) {
        *answer = got;
        return SL_OK;
    }
    sl_err err = got->error < SL_ERR_COUNT ? (sl_err)got->error : SL_ERR_FAILED;
    (void)sl_fail(err, "%s", got->detail.data);
    free(got);
    return err;
}

/* ---- projects ---- */

static void print_project(const gateway_project *p, int json, sl_strbuf *out) {
    if (json) {
        sl_strbuf_append(out, "{\"project\":");
        sl_strbuf_json(out, p->name.data);
    } else {
        sl_strbuf_printf(out, "%-20s", p->name.data);
    }
    sl_strbuf_printf(
        out,
        json
            ? ",\"clients\":%u,\"running\":%llu,\"begun\":%llu,\"ended\":%llu,\"failed\":%llu,"
              "\"held_bytes\":%llu,\"output_bytes\":%llu,\"ucu_s\":%.6g,\"quota_tasks\":%llu,"
              "\"quota_bytes\":%llu,\"quota_output_bytes\":%llu,\"quota_ucu_s\":%.6g}"
            : "  %7u  %8llu  %8llu  %10llu  %8llu  %14llu  %14llu  %10.6g  %llu tasks, %llu bytes, "
              "%llu of output, %.6g UCU s\n",
        p->clients, (unsigned long long)p->running, (unsigned long long)p->begun,
        (unsigned long long)p->ended, (unsigned long long)p->failed,
        (unsigned long long)p->held_bytes, (unsigned long long)p->output_bytes, p->ucu_s,
        (unsigned long long)p->tasks_most, (unsigned long long)p->held_bytes_most,
        (unsigned long long)p->output_bytes_most, p->ucu_s_most);
}

int sl_remote_projects(sl_remote *remote, int json, char **text) {
    gateway_order body = {.act = SL_ACT_PROJECTS};
    gateway_ordered *answer;
    sl_strbuf out;
    SL_TRY(order(remote, &body, &answer));
    sl_strbuf_init(&out, 16 << 20);
    sl_strbuf_append(&out, json
                               ? "{\"projects\":["
                               : "PROJECT               CLIENTS   RUNNING     BEGUN       ENDED    "
                                 "FAILED      HELD BYTES    OUTPUT BYTES       UCU S  QUOTAS (0: "
                                 "no bound)\n");
    for (uint32_t i = 0; i < answer->projects.count; i++) {
        sl_strbuf_append(&out, json && i ? "," : "");
        print_project(&answer->projects.items[i], json, &out);
    }
    sl_strbuf_append(&out, json ? "]}\n" : "");
    free(answer);
    sl_err err = sl_strbuf_err(&out);
    *text = err == SL_OK ? sl_strbuf_take(&out) : NULL;
    sl_strbuf_fini(&out);
    return *text ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a list of projects");
}

int sl_remote_cancel_project(sl_remote *remote, const char *project, uint64_t *count) {
    gateway_order body = {.act = SL_ACT_CANCEL, .name = sl_text_of(project)};
    gateway_ordered *answer;
    SL_TRY(order(remote, &body, &answer));
    *count = answer->count;
    free(answer);
    return SL_OK;
}

/* ---- keys ---- */

static void fill_key(sl_api_key *key, const gateway_key *from) {
    snprintf(key->id, sizeof key->id, "%s", from->id.data);
    snprintf(key->project, sizeof key->project, "%s", from->project.data);
    key->scopes = from->scopes & SL_SCOPES_ALL;
    key->created_s = from->created_s;
    key->expires_s = from->expires_s;
    key->revoked_s = from->revoked_s;
}

int sl_remote_keys(sl_remote *remote, int json, char **text) {
    gateway_order body = {.act = SL_ACT_KEYS};
    gateway_ordered *answer;
    SL_TRY(order(remote, &body, &answer));
    sl_key_list list = {.keys = calloc(answer->keys.count + (size_t)1, sizeof *list.keys),
                        .count = answer->keys.count};
    for (size_t i = 0; list.keys && i < list.count; i++)
        fill_key(&list.keys[i], &answer->keys.items[i]);
    free(answer);
    sl_err err = list.keys ? sl_key_list_text(&list, json, text)
                           : sl_fail(SL_ERR_NO_MEMORY, "no memory for a list of keys");
    free(list.keys);
    return err;
}

int sl_remote_revoke(sl_remote *remote, const char *id) {
    gateway_order body = {.act = SL_ACT_REVOKE, .name = sl_text_of(id)};
    gateway_ordered *answer;
    SL_TRY(order(remote, &body, &answer));
    free(answer);
    return SL_OK;
}

/* ---- the audit log ---- */

int sl_remote_audit(sl_remote *remote, char **text) {
    gateway_order body = {.act = SL_ACT_AUDIT};
    gateway_ordered *answer;
    SL_TRY(order(remote, &body, &answer));
    *text = calloc(1, answer->data.bytes + (size_t)1);
    if (*text && answer->data.bytes)
        memcpy(*text, answer->data.data, answer->data.bytes);
    free(answer);
    return *text ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for the end of an audit log");
}

/* ---- the end ---- */

/* With the lock: the gateway has said so, or is not there any more. */
static bool is_down(const sl_remote *remote) {
    return remote->closed ||
           (!remote->up && sl_clock_now_ns() - remote->lost_ns > GONE_NS && remote->lost_ns);
}

static sl_err await_end(sl_remote *remote, uint64_t ns) {
    uint64_t end_ns = sl_clock_now_ns() + ns;
    pthread_mutex_lock(&remote->lock);
    while (!is_down(remote) && sl_clock_now_ns() < end_ns) {
        struct timespec pause = sl_cond_deadline(LOOK_NS);
        pthread_cond_timedwait(&remote->changed, &remote->lock, &pause);
    }
    sl_err err = SL_OK;
    if (!is_down(remote))
        err = sl_fail(SL_ERR_TIMEOUT, "the network was told to end, and is still there");
    else if (remote->closed && !strstr(remote->why, SL_GATEWAY_WAS_ENDED) &&
             remote->err != SL_ERR_CLOSED && remote->err != SL_ERR_TRANSPORT)
        err = sl_remote_closed(remote);
    pthread_mutex_unlock(&remote->lock);
    return err;
}

int sl_remote_down(sl_remote *remote, double drain_s) {
    if (!(drain_s >= 0 && drain_s <= 30 * 86400.0))
        return sl_fail(SL_ERR_INVALID, "tasks may go on for 0 s to 30 days");
    gateway_order body = {.act = SL_ACT_DOWN, .wait_ns = (uint64_t)(drain_s * 1e9)};
    gateway_ordered *answer;
    SL_TRY(order(remote, &body, &answer));
    free(answer);
    return await_end(remote, body.wait_ns + SLACK_NS);
}
