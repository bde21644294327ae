/* Connecting, asking, leaving. */
#include "sdk/remote.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/thread.h"
#include "runtime/futex.h"

#define CONNECT_S 15.0
#define BYE_NS    (2 * SL_NS_PER_S)

/* ---- the net's thread ---- */

static void wipe_key(sl_remote *remote) {
    if (remote->secret_key)
        explicit_bzero(remote->secret_key, strlen(remote->secret_key));
    free(remote->secret_key);
    remote->secret_key = NULL;
}

static sl_err on_opened(void *context, sl_link *link) {
    sl_remote *remote = context;
    size_t bytes;
    pthread_mutex_lock(&remote->lock);
    gateway_hello hello = {.version = SL_GATEWAY_VERSION,
                           .key = sl_text_of(remote->secret_key),
                           .project = sl_text_of(remote->project)};
    uint8_t *message = sl_gateway_encode(SL_GATEWAY_HELLO, &hello, &bytes);
    wipe_key(remote);
    pthread_mutex_unlock(&remote->lock);
    if (!message)
        return sl_fail(SL_ERR_INVALID, "%s", sl_err_detail());
    sl_err err = sl_link_send(link, message, bytes, NULL);
    explicit_bzero(message, bytes);
    free(message);
    return err;
}

static sl_err take_welcome(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_welcome *welcome = sl_gateway_decode(parts, SL_GATEWAY_WELCOME);
    if (!welcome)
        return SL_ERR_DECODE;
    uint64_t most = welcome->tasks_most;
    sl_err err = SL_OK;
    if (welcome->version != SL_GATEWAY_VERSION || !most || most > 1 << 24)
        err = sl_fail(SL_ERR_DECODE, "no welcome that this version understands");
    free(welcome);
    SL_TRY(err);
    sl_future **futures = calloc(most, sizeof *futures);
    if (!futures)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %llu tasks", (unsigned long long)most);
    pthread_mutex_lock(&remote->lock);
    remote->futures = futures;
    remote->tasks_most = (uint32_t)most;
    remote->welcome = true;
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    return SL_OK;
}

static sl_err take_status(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_status *status = sl_gateway_decode(parts, SL_GATEWAY_STATUS);
    if (!status)
        return SL_ERR_DECODE;
    pthread_mutex_lock(&remote->lock);
    remote->answered |= status->number == remote->asked;
    remote->status = *status;
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    free(status);
    return SL_OK;
}

static sl_err on_message(void *context, sl_link *link, const uint8_t *data, size_t bytes,
                         sl_blob *blob) {
    sl_remote *remote = context;
    sl_gateway_parts parts;
    (void)link, (void)blob;
    SL_TRY(sl_gateway_take_apart(data, bytes, &parts));
    if (!remote->welcome) /* written by this thread alone */
        return take_welcome(remote, &parts);
    if (parts.kind == SL_GATEWAY_STATUS)
        return take_status(remote, &parts);
    if (parts.kind == SL_GATEWAY_OBJECT)
        return sl_remote_take_object(remote, &parts);
    if (parts.kind == SL_GATEWAY_PIECE)
        return sl_remote_take_piece(remote, &parts);
    if (parts.kind != SL_GATEWAY_RESULTS)
        return sl_fail(SL_ERR_DECODE, "a message of kind %d from a gateway", parts.kind);
    return sl_remote_take_results(remote, &parts);
}

static void on_room(void *context, sl_link *link) {
    sl_remote *remote = context;
    (void)link;
    pthread_mutex_lock(&remote->lock);
    sl_remote_tell_gone(remote);
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
}

static void on_closed(void *context, sl_link *link, sl_err err, const char *why) {
    sl_remote *remote = context;
    (void)link;
    pthread_mutex_lock(&remote->lock);
    remote->closed = true;
    remote->err = err == SL_OK ? SL_ERR_CLOSED : err;
    snprintf(remote->why, sizeof remote->why, "%s", why);
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    sl_remote_end_all(remote);
}

static const sl_net_ops ops = {on_opened, on_message, on_room, on_closed};

/* ---- connecting ---- */

static sl_err prepare(sl_remote *remote, const char *url, const sl_connect_options *options) {
    sl_net_options net = {.ops = &ops, .context = remote};
    sl_address address;
    SL_TRY(sl_url_parse(url, &address));
    SL_TRY(sl_tls_client(address.pinned ? address.fingerprint : NULL, options->authority_file,
                         &remote->tls));
    net.limits.message_bytes = 1ull << 30; /* the gateway is believed to know its bounds */
    SL_TRY(sl_net_create(&net, &remote->net));
    return sl_net_connect(remote->net, &address, remote->tls, NULL, &remote->link);
}

bool sl_remote_await(sl_remote *remote, const bool *what, const struct timespec *end) {
    while (!*what && !remote->closed)
        if (pthread_cond_timedwait(&remote->changed, &remote->lock, end) != 0)
            return *what || remote->closed;
    return true;
}

static bool wait_for(sl_remote *remote, const bool *what, double timeout_s) {
    struct timespec end = sl_cond_deadline((uint64_t)(timeout_s * 1e9));
    return sl_remote_await(remote, what, &end);
}

sl_err sl_remote_closed(const sl_remote *remote) {
    return sl_fail(SL_ERR_CLOSED, "the connection is closed: %s", remote->why);
}

static sl_err await_welcome(sl_remote *remote, double timeout_s) {
    sl_err err = SL_OK;
    pthread_mutex_lock(&remote->lock);
    if (!wait_for(remote, &remote->welcome, timeout_s))
        err = sl_fail(SL_ERR_TIMEOUT,
                      "%s does not answer: is it a gateway of Starlane, and can it "
                      "be reached from here?",
                      sl_link_peer(remote->link));
    else if (remote->closed)
        err =
            sl_fail(remote->err == SL_ERR_CLOSED ? SL_ERR_REFUSED : remote->err, "%s", remote->why);
    pthread_mutex_unlock(&remote->lock);
    return err;
}

int sl_connect(const char *url, const char *api_key, const char *project,
               const sl_connect_options *options, sl_remote **out) {
    static const sl_connect_options defaults = {};
    options = options ? options : &defaults;
    api_key = api_key ? api_key : getenv("STARLANE_API_KEY");
    if (!url || !project || !api_key)
        return sl_fail(SL_ERR_INVALID, "to connect takes the gateway's URL, an API key (or "
                                       "STARLANE_API_KEY), and a project");
    sl_remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a connection");
    atomic_init(&remote->references, 1);
    pthread_mutex_init(&remote->lock, NULL);
    sl_cond_init(&remote->changed);
    remote->secret_key = strdup(api_key);
    remote->project = project;
    sl_err err = remote->secret_key ? prepare(remote, url, options)
                                    : sl_fail(SL_ERR_NO_MEMORY, "no memory for a connection");
    if (err == SL_OK)
        err = await_welcome(remote, options->timeout_s > 0 ? options->timeout_s : CONNECT_S);
    if (err != SL_OK) {
        char why[900];
        snprintf(why, sizeof why, "%s", sl_err_detail());
        sl_disconnect(remote);
        return sl_fail(err, "%s", why);
    }
    remote->project = NULL; /* the caller's */
    *out = remote;
    return SL_OK;
}

void sl_disconnect(sl_remote *remote) {
    if (!remote)
        return;
    if (remote->link && remote->welcome) {
        sl_link_close(remote->link, NULL);
        pthread_mutex_lock(&remote->lock);
        bool never = false;
        (void)wait_for(remote, &never, (double)BYE_NS / 1e9);
        pthread_mutex_unlock(&remote->lock);
    }
    sl_net_destroy(remote->net);
    sl_link_release(remote->link);
    pthread_mutex_lock(&remote->lock);
    remote->closed = true; /* for one that never had a link */
    pthread_mutex_unlock(&remote->lock);
    sl_remote_end_all(remote);
    sl_tls_destroy(remote->tls);
    wipe_key(remote);
    sl_remote_release(remote);
}

void sl_remote_release(sl_remote *remote) {
    if (atomic_fetch_sub(&remote->references, 1) != 1)
        return;
    free(remote->futures);
    free(remote->gone);
    pthread_cond_destroy(&remote->changed);
    pthread_mutex_destroy(&remote->lock);
    free(remote);
}

/* ---- asking ---- */

static sl_err ask(sl_remote *remote, gateway_status *status) {
    size_t bytes;
    pthread_mutex_lock(&remote->lock);
    gateway_ask body = {.number = ++remote->asked};
    uint8_t *message = sl_gateway_encode(SL_GATEWAY_ASK, &body, &bytes);
    sl_err err = message ? sl_link_send(remote->link, message, bytes, NULL) : SL_ERR_NO_MEMORY;
    remote->answered = false;
    if (err == SL_ERR_AGAIN)
        err = sl_fail(SL_ERR_TIMEOUT, "the connection is busy");
    if (err == SL_OK && !wait_for(remote, &remote->answered, CONNECT_S))
        err = sl_fail(SL_ERR_TIMEOUT, "%s does not answer", sl_link_peer(remote->link));
    if (err == SL_ERR_CLOSED || (err == SL_OK && !remote->answered))
        err = sl_fail(SL_ERR_CLOSED, "%s", remote->why);
    *status = remote->status;
    pthread_mutex_unlock(&remote->lock);
    free(message);
    return err;
}

int sl_remote_status(sl_remote *remote, int json, char **text) {
    gateway_status s;
    sl_strbuf out;
    SL_TRY(ask(remote, &s));
    sl_strbuf_init(&out, 4096);
    sl_strbuf_printf(
        &out,
        json ? "{\"nodes\":%u,\"clients\":%u,\"running\":%llu,\"ended\":%llu,"
               "\"failed\":%llu,\"held_bytes\":%llu,\"ucu_s\":%.6g,\"quota_tasks\":%llu,"
               "\"quota_bytes\":%llu,\"quota_ucu_s\":%.6g}\n"
             : "nodes       %u\nclients     %u\nrunning     %llu\nended       %llu\n"
               "failed      %llu\nheld bytes  %llu\nUCU s       %.6g\n"
               "quotas      %llu tasks, %llu bytes, %.6g UCU s (0: no bound)\n",
        s.nodes, s.clients, (unsigned long long)s.running, (unsigned long long)s.ended,
        (unsigned long long)s.failed, (unsigned long long)s.held_bytes, s.ucu_s,
        (unsigned long long)s.tasks_most, (unsigned long long)s.held_bytes_most, s.ucu_s_most);
    sl_err err = sl_strbuf_err(&out);
    *text = err == SL_OK ? sl_strbuf_take(&out) : NULL;
    sl_strbuf_fini(&out);
    return *text ? SL_OK : SL_ERR_NO_MEMORY;
}
