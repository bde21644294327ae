/* Connecting, asking, leaving. */
#include "sdk/remote.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/thread.h"
#include "sdk/seal.h"

#define CONNECT_S    15.0
#define ANSWER_S     60.0 /* the connection may have to be made again meanwhile */
#define BYE_NS       (2 * SL_NS_PER_S)
#define BYE_PAUSE_NS (2 * SL_NS_PER_MS)

enum { IN_MOST_BYTES = 1 << 30 /* the gateway is believed to know its bounds */ };

/* ---- the net's thread ---- */

static void wipe_key(sl_remote *remote) {
    if (remote->secret_key) {
        explicit_bzero(remote->secret_key, strlen(remote->secret_key));
        (void)munlock(remote->secret_key, strlen(remote->secret_key));
    }
    free(remote->secret_key);
    remote->secret_key = NULL;
}

static sl_err on_opened(void *context, sl_link *link) {
    sl_remote *remote = context;
    size_t bytes;
    pthread_mutex_lock(&remote->lock);
    gateway_hello hello = {.version = SL_GATEWAY_VERSION,
                           .key = sl_text_of(remote->secret_key),
                           .project = sl_text_of(remote->project),
                           .session = sl_text_of(remote->session),
                           .taken = remote->in.count};
    uint8_t *message = sl_gateway_encode(SL_GATEWAY_HELLO, &hello, &bytes);
    pthread_mutex_unlock(&remote->lock);
    if (!message)
        return sl_fail(SL_ERR_INVALID, "%s", sl_err_detail());
    sl_err err = sl_link_send(link, message, bytes, NULL);
    explicit_bzero(message, bytes);
    free(message);
    return err;
}

/* With the lock. */
static sl_err begin_session(sl_remote *remote, const gateway_welcome *welcome) {
    uint64_t most = welcome->tasks_most;
    if (!most || most > 1 << 24 || welcome->session.bytes != sizeof remote->session - 1)
        return sl_fail(SL_ERR_DECODE, "no welcome that this version understands");
    remote->futures = calloc(most, sizeof *remote->futures);
    if (!remote->futures)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %llu tasks", (unsigned long long)most);
    remote->tasks_most = (uint32_t)most;
    memcpy(remote->session, welcome->session.data, sizeof remote->session);
    remote->welcome = true;
    return SL_OK;
}

static sl_err go_on(sl_remote *remote, const gateway_welcome *welcome) {
    if (welcome->version != SL_GATEWAY_VERSION)
        return sl_fail(SL_ERR_DECODE, "no welcome that this version understands");
    if (!remote->welcome)
        SL_TRY(begin_session(remote, welcome));
    SL_TRY(sl_stream_taken(&remote->out, welcome->taken));
    sl_stream_rewind(&remote->out);
    sl_stream_told(&remote->in);
    remote->keep_ns = welcome->keep_ns;
    remote->up = true;
    remote->links++;
    sl_remote_flush(remote);
    pthread_cond_broadcast(&remote->changed);
    return SL_OK;
}

static sl_err take_welcome(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_welcome *welcome = sl_gateway_decode(parts, SL_GATEWAY_WELCOME);
    if (!welcome)
        return SL_ERR_DECODE;
    pthread_mutex_lock(&remote->lock);
    sl_err err = go_on(remote, welcome);
    pthread_mutex_unlock(&remote->lock);
    free(welcome);
    return err;
}

static sl_err take_taken(sl_remote *remote, const sl_gateway_parts *parts) {
    gateway_taken *taken = sl_gateway_decode(parts, SL_GATEWAY_TAKEN);
    if (!taken)
        return SL_ERR_DECODE;
    pthread_mutex_lock(&remote->lock);
    sl_err err = sl_stream_taken(&remote->out, taken->count);
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    free(taken);
    return err;
}

/* A status, what was seen, a part of an output, or what became of an order: each has the number of
 * its question first. */
static sl_err take_answer(sl_remote *remote, const sl_gateway_parts *parts) {
    void *answer = sl_gateway_decode(parts, parts->kind);
    if (!answer)
        return SL_ERR_DECODE;
    uint64_t number = parts->kind == SL_GATEWAY_STATUS    ? ((gateway_status *)answer)->number
                      : parts->kind == SL_GATEWAY_SEEN    ? ((gateway_seen *)answer)->request
                      : parts->kind == SL_GATEWAY_ORDERED ? ((gateway_ordered *)answer)->number
                                                          : ((gateway_log *)answer)->request;
    sl_remote_question_answer(remote, number, answer);
    return SL_OK;
}

static sl_err take_message(sl_remote *remote, const uint8_t *message, size_t bytes) {
    sl_gateway_parts parts;
    SL_TRY(sl_gateway_take_apart(message, bytes, &parts));
    if (parts.kind == SL_GATEWAY_STATUS || parts.kind == SL_GATEWAY_SEEN ||
        parts.kind == SL_GATEWAY_LOG || parts.kind == SL_GATEWAY_ORDERED)
        return take_answer(remote, &parts);
    if (parts.kind == SL_GATEWAY_ENDED)
        return sl_remote_take_ended(remote, &parts);
    if (parts.kind == SL_GATEWAY_NAMED)
        return sl_remote_take_named(remote, &parts);
    if (parts.kind == SL_GATEWAY_OBJECT)
        return sl_remote_take_object(remote, &parts);
    if (parts.kind == SL_GATEWAY_NODES)
        return sl_remote_take_nodes(remote, &parts);
    if (parts.kind == SL_GATEWAY_PIECE)
        return sl_remote_take_piece(remote, &parts);
    if (parts.kind != SL_GATEWAY_RESULTS)
        return sl_fail(SL_ERR_DECODE, "a message of kind %d from a gateway", parts.kind);
    return sl_remote_take_results(remote, &parts);
}

static sl_err on_message(void *context, sl_link *link, const uint8_t *data, size_t bytes,
                         sl_blob *blob) {
    sl_remote *remote = context;
    sl_gateway_parts parts;
    const uint8_t *message;
    size_t size;
    (void)blob;
    SL_TRY(sl_gateway_take_apart(data, bytes, &parts));
    if (!remote->up) /* set by this thread alone */
        return take_welcome(remote, &parts);
    if (parts.kind == SL_GATEWAY_TAKEN)
        return take_taken(remote, &parts);
    SL_TRY(sl_stream_take(&remote->in, data, bytes, &message, &size));
    if (message)
        SL_TRY(take_message(remote, message, size));
    gateway_taken taken = {.count = remote->in.count};
    if (sl_stream_must_tell(&remote->in) &&
        sl_remote_say(link, SL_GATEWAY_TAKEN, &taken) == SL_OK) /* else with the next */
        sl_stream_told(&remote->in);
    return SL_OK;
}

static void on_room(void *context, sl_link *link) {
    sl_remote *remote = context;
    (void)link;
    pthread_mutex_lock(&remote->lock);
    sl_remote_flush(remote);
    pthread_mutex_unlock(&remote->lock);
}

/* Of what may pass, with time. */
static bool is_passing(sl_err err) {
    return err == SL_OK || err == SL_ERR_CLOSED || err == SL_ERR_TRANSPORT ||
           err == SL_ERR_TIMEOUT || err == SL_ERR_NOT_FOUND;
}

static void on_closed(void *context, sl_link *link, sl_err err, const char *why) {
    sl_remote *remote = context;
    (void)link;
    pthread_mutex_lock(&remote->lock);
    if (remote->up)
        remote->lost_ns = sl_clock_now_ns();
    remote->up = false;
    bool goes_on = remote->has_keeper && !remote->ending && remote->keep_ns && is_passing(err);
    remote->lost = goes_on;
    if (goes_on)
        snprintf(remote->why, sizeof remote->why, "%s", why);
    else
        sl_remote_give_up(remote, err == SL_OK ? SL_ERR_CLOSED : err, why);
    pthread_cond_broadcast(&remote->changed);
    pthread_mutex_unlock(&remote->lock);
    if (!goes_on)
        sl_remote_end_all(remote);
}

static const sl_net_ops ops = {on_opened, on_message, on_room, on_closed};

/* ---- connecting ---- */

static sl_err prepare(sl_remote *remote, const char *url, const sl_connect_options *options) {
    sl_net_options net = {.ops = &ops, .context = remote};
    const sl_address *address = &remote->address;
    SL_TRY(sl_url_parse(url, &remote->address));
    SL_TRY(sl_tls_client(address->pinned ? address->fingerprint : NULL, options->authority_file,
                         &remote->tls));
    SL_TRY(sl_net_create(&net, &remote->net));
    SL_TRY(sl_thread_start(&remote->keeper, sl_remote_keeper, remote));
    remote->has_keeper = true; /* before the net's thread has anything to say */
    return sl_net_connect(remote->net, address, remote->tls, NULL, &remote->link);
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
    sl_stream_out_init(&remote->out);
    sl_stream_in_init(&remote->in, IN_MOST_BYTES);
    remote->secret_key = strdup(api_key);
    remote->project = remote->own_project = strdup(project);
    remote->source = sl_seal_source_id();
    if (remote->secret_key) /* where memory may be locked */
        (void)mlock(remote->secret_key, strlen(remote->secret_key));
    sl_err err = remote->secret_key && remote->project
                     ? prepare(remote, url, options)
                     : sl_fail(SL_ERR_NO_MEMORY, "no memory for a connection");
    if (err == SL_OK)
        err = await_welcome(remote, options->timeout_s > 0 ? options->timeout_s : CONNECT_S);
    if (err != SL_OK) {
        char why[900];
        snprintf(why, sizeof why, "%s", sl_err_detail());
        sl_disconnect(remote);
        return sl_fail(err, "%s", why);
    }
    *out = remote;
    return SL_OK;
}

/* While the link has no room, or is being made anew: the gateway would keep the session for long.
 * False: not in this time. */
static bool say_bye_in(sl_remote *remote, uint64_t ns) {
    gateway_bye bye = {};
    uint64_t end_ns = sl_clock_now_ns() + ns;
    while (remote->links && !remote->closed && sl_clock_now_ns() < end_ns) {
        if (remote->up && sl_remote_say(remote->link, SL_GATEWAY_BYE, &bye) != SL_ERR_AGAIN)
            return true;
        struct timespec pause = sl_cond_deadline(BYE_PAUSE_NS);
        pthread_cond_timedwait(&remote->changed, &remote->lock, &pause);
    }
    return false;
}

static void say_bye(sl_remote *remote) {
    bool never = false;
    pthread_mutex_lock(&remote->lock);
    (void)say_bye_in(remote, BYE_NS);
    remote->ending = true;
    pthread_cond_broadcast(&remote->changed);
    if (remote->up) {
        sl_link_close(remote->link, NULL);
        (void)wait_for(remote, &never, (double)BYE_NS / 1e9);
    }
    pthread_mutex_unlock(&remote->lock);
}

void sl_disconnect(sl_remote *remote) {
    if (!remote)
        return;
    say_bye(remote);
    if (remote->has_keeper)
        pthread_join(remote->keeper, NULL);
    sl_net_destroy(remote->net);
    sl_link_release(remote->link);
    pthread_mutex_lock(&remote->lock);
    remote->closed = true; /* also one that never had a link */
    pthread_mutex_unlock(&remote->lock);
    sl_remote_end_all(remote);
    sl_tls_destroy(remote->tls);
    wipe_key(remote);
    sl_stream_out_fini(&remote->out);
    sl_stream_in_fini(&remote->in);
    sl_remote_release(remote);
}

void sl_remote_release(sl_remote *remote) {
    if (atomic_fetch_sub(&remote->references, 1) != 1)
        return;
    free(remote->futures);
    free(remote->own_project);
    free(remote->nodes);
    pthread_cond_destroy(&remote->changed);
    pthread_mutex_destroy(&remote->lock);
    free(remote);
}

/* ---- asking ---- */

void sl_remote_question_answer(sl_remote *remote, uint64_t number, void *answer) {
    pthread_mutex_lock(&remote->lock);
    sl_remote_question *question = remote->questions;
    while (question && question->number != number)
        question = question->next;
    if (question && !question->answered) {
        question->answered = true;
        question->answer = answer;
        answer = NULL;
        pthread_cond_broadcast(&remote->changed);
    }
    pthread_mutex_unlock(&remote->lock);
    free(answer); /* nobody waits for it any more */
}

static void forget_question(sl_remote *remote, const sl_remote_question *question) {
    sl_remote_question **at = &remote->questions;
    while (*at != question)
        at = &(*at)->next;
    *at = question->next;
}

/* With the lock. */
static sl_err ask(sl_remote *remote, sl_gateway_kind kind, const void *record,
                  sl_remote_question *question) {
    question->next = remote->questions;
    remote->questions = question;
    sl_err err = sl_remote_send(remote, kind, record, NULL);
    if (err == SL_OK && !wait_for(remote, &question->answered, ANSWER_S))
        err = sl_fail(SL_ERR_TIMEOUT, "%s does not answer", sl_link_peer(remote->link));
    if (err == SL_OK && !question->answered)
        err = sl_fail(SL_ERR_CLOSED, "%s", remote->why);
    forget_question(remote, question);
    return err;
}

sl_err sl_remote_question_ask(sl_remote *remote, sl_gateway_kind kind, const void *record,
                              uint64_t *number, void **answer) {
    sl_remote_question *question = calloc(1, sizeof *question);
    if (!question)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a question");
    pthread_mutex_lock(&remote->lock);
    *number = question->number = ++remote->asked;
    sl_err err = ask(remote, kind, record, question);
    pthread_mutex_unlock(&remote->lock);
    if (err == SL_OK)
        *answer = question->answer;
    else
        free(question->answer);
    free(question);
    return err;
}
