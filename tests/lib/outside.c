#include "tests/lib/outside.h"

#include <string.h>

#include "tests/lib/test.h"

/* ---- the network ---- */

char outside_directory[512], outside_url[600];

char *outside_key(const char *project, const char *scopes) {
    char *key = NULL;
    if (sl_api_key_create(outside_directory, project, scopes, 30, &key) != 0)
        abort();
    return key;
}

int outside_begin(void) {
    return outside_begin_with(NULL);
}

int outside_begin_with(const char *const *more) {
    static sl_options *options; /* of the last network: it may look at them */
    sl_options_destroy(options);
    snprintf(outside_directory, sizeof outside_directory, "%s/gateway", sl_test_dir());
    if (sl_options_create(&options) != 0 || sl_options_set(options, "listen", "127.0.0.1:0") != 0 ||
        sl_options_set(options, "gateway", outside_directory) != 0)
        return 1;
    for (; more && *more; more += 2)
        if (sl_options_set(options, more[0], more[1]) != 0)
            return 1;
    sl_init_options init = {.options = options, .nodes = 2};
    int err = sl_init(NULL, NULL, &init);
    if (err == 0)
        snprintf(outside_url, sizeof outside_url, "%s", sl_listening_at());
    return err;
}

sl_remote *outside_join(const char *project, const char *scopes) {
    char *key = outside_key(project, scopes);
    sl_remote *remote = NULL;
    if (sl_connect(outside_url, key, project, NULL, &remote) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
    sl_free(key);
    return remote;
}

uint64_t outside_field(sl_remote *remote, const char *name) {
    char *text = NULL, quoted[40];
    if (sl_remote_status(remote, 1, &text) != 0)
        return UINT64_MAX;
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    uint64_t value = strtoull(strstr(text, quoted) + strlen(quoted), NULL, 10);
    sl_free(text);
    return value;
}

/* ---- what is no client ---- */

static void change(raw *of, int *number) {
    pthread_mutex_lock(&of->lock);
    ++*number;
    pthread_cond_broadcast(&of->changed);
    pthread_mutex_unlock(&of->lock);
}

void raw_await(raw *of, const int *number) {
    pthread_mutex_lock(&of->lock);
    while (!*number)
        pthread_cond_wait(&of->changed, &of->lock);
    pthread_mutex_unlock(&of->lock);
}

static sl_err raw_opened(void *context, sl_link *link) {
    (void)link;
    change(context, &((raw *)context)->opened);
    return SL_OK;
}

static sl_err raw_message(void *context, sl_link *link, const uint8_t *data, size_t bytes,
                          sl_blob *blob) {
    raw *of = context;
    sl_gateway_parts parts;
    (void)link, (void)blob;
    if (sl_gateway_take_apart(data, bytes, &parts) == SL_OK && parts.kind == SL_GATEWAY_WELCOME) {
        gateway_welcome *welcome = sl_gateway_decode(&parts, SL_GATEWAY_WELCOME);
        snprintf(of->session, sizeof of->session, "%s", welcome ? welcome->session.data : "");
        free(welcome);
    }
    change(of, &of->messages);
    return SL_OK;
}

static void raw_closed(void *context, sl_link *link, sl_err err, const char *why) {
    (void)link, (void)err;
    snprintf(((raw *)context)->why, 800, "%s", why);
    change(context, &((raw *)context)->closed);
}

static const sl_net_ops raw_ops = {raw_opened, raw_message, NULL, raw_closed};

void raw_dial(raw *of) {
    sl_net_options options = {.ops = &raw_ops, .context = of};
    sl_address address;
    *of = (raw){};
    pthread_mutex_init(&of->lock, NULL);
    pthread_cond_init(&of->changed, NULL);
    if (sl_url_parse(outside_url, &address) != SL_OK ||
        sl_tls_client(address.fingerprint, NULL, &of->tls) != SL_OK ||
        sl_net_create(&options, &of->net) != SL_OK ||
        sl_net_connect(of->net, &address, of->tls, NULL, &of->link) != SL_OK)
        abort();
    raw_await(of, &of->opened);
}

void raw_hang_up(raw *of) {
    sl_net_destroy(of->net);
    sl_link_release(of->link);
    sl_tls_destroy(of->tls);
}

void raw_say(raw *of, sl_gateway_kind kind, const void *record, const void *data, size_t more) {
    size_t bytes;
    sl_blob *blob = NULL;
    uint8_t *message = sl_gateway_encode(kind, record, &bytes);
    if (!message || (more && sl_blob_copy(data, more, &blob) != SL_OK) ||
        sl_link_send(of->link, message, bytes, blob) != SL_OK)
        abort();
    sl_blob_release(blob);
    free(message);
}

void raw_enter(raw *of, const char *project) {
    char *key = outside_key(project, "submit");
    gateway_hello hello = {
        .version = SL_GATEWAY_VERSION, .key = sl_text_of(key), .project = sl_text_of(project)};
    raw_dial(of);
    raw_say(of, SL_GATEWAY_HELLO, &hello, NULL, 0);
    raw_await(of, &of->messages);
    sl_free(key);
}

void raw_refused(raw *of, const char *why) {
    raw_await(of, &of->closed);
    CHECK_CONTAINS(of->why, why);
    raw_hang_up(of);
}
