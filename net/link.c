/* Design notes
 * Threads that send put finished frames behind those that wait, or a large message into the list of
 * streams, and mark the link; its thread alone touches TLS. So a send costs a copy and, when the
 * thread sleeps, one write to an eventfd. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/link_internal.h"

static void print_host(const struct sockaddr *address, char host[HOST_BYTES], uint16_t *port) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    bool six = address->sa_family == AF_INET6;
    *port = ntohs(six ? v6->sin6_port : v4->sin_port);
    if (six && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, HOST_BYTES);
    else
        inet_ntop(address->sa_family, six ? (const void *)&v6->sin6_addr : &v4->sin_addr, host,
                  HOST_BYTES);
}

static sl_err on_message(void *context, const uint8_t *data, size_t bytes, sl_blob *blob) {
    sl_link *link = context;
    return link->net->ops.message(link->net->context, link, data, bytes, blob);
}

static void on_bye(void *context, const char *why) {
    sl_link *link = context;
    if (why[0])
        sl_link_fail(link, SL_ERR_REFUSED, "%s closed the link: %s", link->peer, why);
    else
        sl_link_fail(link, SL_OK, "%s has left", link->peer);
}

static const sl_frame_ops frame_ops = {.message = on_message, .bye = on_bye};

sl_err sl_link_create(sl_net *net, int fd, const sl_tls *tls, const struct sockaddr *address,
                      link_stage stage, sl_link **out) {
    uint16_t port;
    sl_frame_limits limits = {.frame_bytes = net->limits.stranger_bytes};
    sl_link *link = calloc(1, sizeof *link);
    if (!link)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a link");
    link->ssl = SSL_new(sl_tls_context(tls));
    if (!link->ssl || !SSL_set_fd(link->ssl, fd)) {
        SSL_free(link->ssl);
        free(link);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for TLS");
    }
    link->net = net;
    link->fd = fd;
    link->stage = stage;
    link->streams_tail = &link->streams;
    atomic_init(&link->references, 1);
    pthread_mutex_init(&link->lock, NULL);
    print_host(address, link->host, &port);
    snprintf(link->peer, sizeof link->peer, strchr(link->host, ':') ? "[%s]:%u" : "%s:%u",
             link->host, port);
    sl_frame_reader_init(&link->reader, &frame_ops, link, &limits);
    link->tokens = net->limits.frames_per_s;
    link->begun_ns = link->heard_ns = link->said_ns = link->taken_ns = link->tokens_ns =
        sl_clock_now_ns();
    atomic_fetch_add(&net->count, 1);
    *out = link;
    return SL_OK;
}

sl_link *sl_link_retain(sl_link *link) {
    atomic_fetch_add_explicit(&link->references, 1, memory_order_relaxed);
    return link;
}

void sl_link_release(sl_link *link) {
    if (!link || atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) != 1)
        return;
    for (out_stream *next; link->streams; link->streams = next) {
        next = link->streams->next;
        sl_blob_release(link->streams->blob);
        free(link->streams);
    }
    sl_frame_reader_fini(&link->reader);
    SSL_free(link->ssl);
    free(link->queued.data);
    free(link->writing.data);
    free(link->in);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

const char *sl_link_peer(const sl_link *link) {
    return link->peer;
}

const char *sl_link_host(const sl_link *link) {
    return link->host;
}

void *sl_link_user(const sl_link *link) {
    return link->user;
}

void sl_link_set_user(sl_link *link, void *user) {
    link->user = user;
}

/* ---- sending ---- */

uint8_t *sl_out_reserve(out_buffer *buffer, size_t bytes) {
    if (buffer->room - buffer->bytes < bytes) {
        size_t room = buffer->room ? 2 * buffer->room : 4096;
        while (room - buffer->bytes < bytes)
            room *= 2;
        uint8_t *data = realloc(buffer->data, room);
        if (!data)
            return NULL;
        buffer->data = data;
        buffer->room = room;
    }
    uint8_t *at = buffer->data + buffer->bytes;
    buffer->bytes += bytes;
    return at;
}

static sl_err queue_whole(sl_link *link, const void *head, size_t head_bytes, const sl_blob *blob) {
    size_t bytes = head_bytes + (blob ? blob->bytes : 0);
    uint8_t *at = sl_out_reserve(&link->queued, SL_FRAME_HEAD_BYTES + bytes);
    if (!at)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message of %zu bytes", bytes);
    sl_frame_put_head(at, SL_FRAME_WHOLE, 0, (uint32_t)bytes);
    if (head_bytes)
        memcpy(at + SL_FRAME_HEAD_BYTES, head, head_bytes);
    if (blob && blob->bytes)
        memcpy(at + SL_FRAME_HEAD_BYTES + head_bytes, blob->data, blob->bytes);
    return SL_OK;
}

static sl_err queue_stream(sl_link *link, const void *head, size_t head_bytes, sl_blob *blob) {
    out_stream *stream = malloc(sizeof *stream + head_bytes);
    if (!stream)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a message");
    *stream = (out_stream){.head_bytes = head_bytes, .blob = sl_blob_retain(blob)};
    if (head_bytes)
        memcpy(stream->head, head, head_bytes);
    *link->streams_tail = stream;
    link->streams_tail = &stream->next;
    return SL_OK;
}

static sl_err queue(sl_link *link, const void *head, size_t head_bytes, sl_blob *blob) {
    uint64_t bytes = head_bytes + (blob ? blob->bytes : 0);
    if (link->closing)
        return sl_fail(SL_ERR_CLOSED, "the link to %s is closed", link->peer);
    if (link->queued_bytes && link->queued_bytes + bytes > link->net->limits.queued_bytes) {
        link->wants_room = true;
        return SL_ERR_AGAIN;
    }
    SL_TRY(bytes <= SL_FRAME_PAYLOAD_MOST ? queue_whole(link, head, head_bytes, blob)
                                          : queue_stream(link, head, head_bytes, blob));
    link->queued_bytes += bytes <= SL_FRAME_PAYLOAD_MOST ? SL_FRAME_HEAD_BYTES + bytes : bytes;
    return SL_OK;
}

sl_err sl_link_send(sl_link *link, const void *head, size_t head_bytes, sl_blob *blob) {
    uint64_t most = link->net->limits.message_bytes;
    if (head_bytes > most || (blob && blob->bytes > most - head_bytes))
        return sl_fail(SL_ERR_TOO_LARGE, "a message of %zu + %llu bytes; %llu are taken",
                       head_bytes, (unsigned long long)(blob ? blob->bytes : 0),
                       (unsigned long long)most);
    pthread_mutex_lock(&link->lock);
    sl_err err = queue(link, head, head_bytes, blob);
    pthread_mutex_unlock(&link->lock);
    if (err == SL_OK)
        sl_net_mark(link);
    return err;
}

void sl_link_close(sl_link *link, const char *why) {
    pthread_mutex_lock(&link->lock);
    if (!link->closing)
        snprintf(link->bye, sizeof link->bye, "%s", why ? why : "");
    link->closing = true;
    pthread_mutex_unlock(&link->lock);
    sl_net_mark(link);
}

void sl_link_trust(sl_link *link) {
    pthread_mutex_lock(&link->lock);
    link->trusted = true;
    pthread_mutex_unlock(&link->lock);
    sl_net_mark(link);
}

void sl_link_pause(sl_link *link, bool paused) {
    pthread_mutex_lock(&link->lock);
    bool changes = link->paused != paused;
    link->paused = paused;
    pthread_mutex_unlock(&link->lock);
    if (changes)
        sl_net_mark(link);
}
