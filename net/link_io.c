/* Design notes
 * A link is looked at ("a step") when its socket is ready, when somebody has marked it, and ten
 * times a second. A step does what can be done and says what to wait for, so there is one way
 * through the states, whatever comes first. A link that fails tells its owner at once, and then
 * lingers until the peer has closed too, or two seconds: were the socket closed while bytes of the
 * peer are unread, TCP would throw away what the peer has not read yet, and that is why it was
 * closed. */
#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link_internal.h"

#define LINGER_NS (2 * SL_NS_PER_S)

enum {
    READ_MOST = 262144,   /* bytes of a link in one step */
    FRAMES_AT_ONCE = 64,  /* before a pause is heeded */
    ROUNDS_MOST = 16,     /* buffers written in one step */
    KEPT_BYTES = 262144,  /* of an empty buffer */
    IN_SPARE_BYTES = 4096 /* beyond a whole frame */
};

/* The time of a turn may be a little older than what happened in it. */
static uint64_t since(uint64_t now_ns, uint64_t then_ns) {
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* ---- ending ---- */

static bool shaken(const sl_link *link) {
    return link->stage == LINK_OPEN;
}

static void end(sl_link *link, sl_err err) {
    link->stage = LINK_ENDS;
    link->err = err;
    link->ended_ns = sl_clock_now_ns();
    pthread_mutex_lock(&link->lock);
    link->closing = true;
    pthread_mutex_unlock(&link->lock);
    link->net->ops.closed(link->net->context, link, err, link->why);
}

void sl_link_fail(sl_link *link, sl_err err, const char *format, ...) {
    va_list arguments;
    if (link->stage >= LINK_ENDS)
        return;
    va_start(arguments, format);
    vsnprintf(link->why, sizeof link->why, format, arguments);
    va_end(arguments);
    end(link, err);
}

static void put_bye(sl_link *link, const char *why) {
    size_t bytes = strnlen(why, SL_FRAME_BYE_MOST);
    uint8_t *at = sl_out_reserve(&link->writing, SL_FRAME_HEAD_BYTES + bytes);
    link->bye_written = true;
    if (!at)
        return;
    sl_frame_put_head(at, SL_FRAME_BYE, 0, (uint32_t)bytes);
    memcpy(at + SL_FRAME_HEAD_BYTES, why, bytes);
}

static void say_bye(sl_link *link, const char *why) {
    if (!shaken(link) || link->bye_written)
        return;
    put_bye(link, why);
    while (link->written < link->writing.bytes) {
        int sent = SSL_write(link->ssl, link->writing.data + link->written,
                             (int)(link->writing.bytes - link->written));
        if (sent <= 0)
            break;
        link->written += (size_t)sent;
    }
    ERR_clear_error();
}

void sl_link_refuse(sl_link *link, sl_err err, const char *why) {
    char text[SL_FRAME_BYE_MOST];
    if (link->stage >= LINK_ENDS)
        return;
    snprintf(text, sizeof text, "%s", why);
    say_bye(link, text);
    sl_link_fail(link, err, "%s: %s", link->peer, text);
}

/* After the last word: nothing is sent any more, what comes is thrown away. */
static void linger(sl_link *link, uint64_t now_ns) {
    uint8_t scrap[4096];
    if (link->stage == LINK_ENDS) {
        link->stage = LINK_ENDED;
        (void)SSL_shutdown(link->ssl);
        ERR_clear_error();
        shutdown(link->fd, SHUT_WR);
    }
    ssize_t got = recv(link->fd, scrap, sizeof scrap, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) ||
        since(now_ns, link->ended_ns) > LINGER_NS)
        sl_net_drop(link);
    else
        sl_net_watch(link, EPOLLIN);
}

/* ---- what TLS says ---- */

static void fail_handshake(sl_link *link) {
    char reason[200];
    bool server = SSL_is_server(link->ssl);
    if (!server && SSL_get_verify_result(link->ssl) != X509_V_OK) {
        ERR_clear_error();
        sl_link_fail(link, SL_ERR_SEAL,
                     "%s is not the gateway that was meant: its certificate is another than the "
                     "one that was told. Compare fingerprints with who runs it; do not go on if "
                     "they differ",
                     link->peer);
        return;
    }
    sl_tls_reason(reason, sizeof reason);
    sl_link_fail(link, SL_ERR_TRANSPORT, "%s: no TLS 1.3 link comes about: %s%s", link->peer,
                 reason, server ? "" : "; is it a Starlane gateway?");
}

static void fail_io(sl_link *link, int error, int system_error) {
    char reason[200];
    if (link->stage == LINK_SHAKES && error == SSL_ERROR_SSL) {
        fail_handshake(link);
    } else if (error == SSL_ERROR_ZERO_RETURN ||
               (error == SSL_ERROR_SYSCALL && system_error == 0)) {
        sl_link_fail(link, SL_ERR_CLOSED, "%s closed the connection without a word%s", link->peer,
                     link->stage == LINK_SHAKES && !SSL_is_server(link->ssl)
                         ? ": it may be no Starlane gateway, or have too many connections"
                         : "");
    } else if (error == SSL_ERROR_SYSCALL) {
        sl_link_fail(link, SL_ERR_CLOSED, "%s: the connection is lost: %s", link->peer,
                     strerror(system_error));
    } else {
        sl_tls_reason(reason, sizeof reason);
        /* An end of the stream that TLS did not announce is told as an error of TLS. */
        sl_link_fail(link, SL_ERR_CLOSED, "%s: the connection is lost: %s", link->peer, reason);
    }
    ERR_clear_error();
}

/* False: the link has failed. */
static bool go_on(sl_link *link, int result) {
    int system_error = errno, error = SSL_get_error(link->ssl, result);
    link->wants_write |= error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return true;
    fail_io(link, error, system_error);
    return false;
}

/* ---- coming about ---- */

static void connected(sl_link *link) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    if (error)
        sl_link_fail(link, SL_ERR_TRANSPORT, "%s: cannot be reached: %s", link->peer,
                     strerror(error));
    else
        link->stage = LINK_SHAKES;
}

static void shake(sl_link *link) {
    errno = 0;
    int result = SSL_do_handshake(link->ssl);
    if (result != 1) {
        (void)go_on(link, result);
        return;
    }
    link->stage = LINK_OPEN;
    sl_err err = link->net->ops.opened(link->net->context, link);
    if (err != SL_OK)
        sl_link_refuse(link, err, sl_err_detail());
}

/* ---- reading ---- */

static void take_flags(sl_link *link) {
    pthread_mutex_lock(&link->lock);
    bool trusted = link->trusted, paused = link->paused;
    pthread_mutex_unlock(&link->lock);
    link->reading_off = paused;
    if (trusted && link->reader.limits.frame_bytes != SL_FRAME_PAYLOAD_MOST)
        link->reader.limits = (sl_frame_limits){.frame_bytes = SL_FRAME_PAYLOAD_MOST,
                                                .message_bytes = link->net->limits.message_bytes,
                                                .stream_bytes = link->net->limits.stream_bytes};
}

static void earn_tokens(sl_link *link, uint64_t now_ns) {
    double rate = link->net->limits.frames_per_s;
    if (now_ns > link->tokens_ns)
        link->tokens += rate * (double)(now_ns - link->tokens_ns) / 1e9;
    link->tokens_ns = now_ns;
    if (link->tokens > rate)
        link->tokens = rate;
}

/* Hands on the whole frames that have been read, as long as nobody says stop. */
static void parse(sl_link *link) {
    size_t at = 0, used = link->in_bytes;
    while (link->stage == LINK_OPEN && used && !link->reading_off) {
        uint64_t most = link->tokens < FRAMES_AT_ONCE ? (uint64_t)link->tokens : FRAMES_AT_ONCE;
        uint64_t before = link->reader.frames;
        sl_err err = sl_frame_read(&link->reader, link->in + at, link->in_bytes - at, most, &used);
        if (err != SL_OK)
            sl_link_refuse(link, err, sl_err_detail());
        at += used;
        link->tokens -= (double)(link->reader.frames - before);
        take_flags(link);
        link->reading_off |= link->tokens < 1;
    }
    if (at)
        memmove(link->in, link->in + at, link->in_bytes - at);
    link->in_bytes -= at;
}

static bool make_room(sl_link *link) {
    size_t room = link->reader.limits.frame_bytes + SL_FRAME_HEAD_BYTES + IN_SPARE_BYTES;
    if (link->in_room >= room)
        return true;
    uint8_t *in = realloc(link->in, room);
    if (!in) {
        sl_link_fail(link, SL_ERR_NO_MEMORY, "%s: no memory to read from it", link->peer);
        return false;
    }
    link->in = in;
    link->in_room = room;
    return true;
}

static void read_some(sl_link *link, uint64_t now_ns) {
    size_t taken = 0;
    parse(link);
    while (link->stage == LINK_OPEN && !link->reading_off && taken < READ_MOST) {
        if (!make_room(link))
            return;
        errno = 0;
        int got =
            SSL_read(link->ssl, link->in + link->in_bytes, (int)(link->in_room - link->in_bytes));
        if (got <= 0) {
            (void)go_on(link, got);
            return;
        }
        link->heard_ns = now_ns;
        link->in_bytes += (size_t)got;
        taken += (size_t)got;
        parse(link);
    }
    if (link->stage == LINK_OPEN && !link->reading_off)
        sl_net_mark(link); /* TLS may hold more, of which the socket says nothing */
}

/* ---- writing ---- */

static uint16_t free_number(const sl_link *link) {
    uint16_t number = 0;
    while (link->streams_busy & 1u << number)
        number++;
    return number;
}

static void copy_part(const out_stream *stream, uint64_t from, size_t bytes, uint8_t *to) {
    size_t of_head = 0;
    if (from < stream->head_bytes) {
        of_head =
            stream->head_bytes - (size_t)from < bytes ? stream->head_bytes - (size_t)from : bytes;
        memcpy(to, stream->head + from, of_head);
    }
    if (bytes > of_head)
        memcpy(to + of_head, stream->blob->data + (from + of_head - stream->head_bytes),
               bytes - of_head);
}

static uint64_t total_of(const out_stream *stream) {
    return stream->head_bytes + (stream->blob ? stream->blob->bytes : 0);
}

static void put_piece(sl_link *link, out_stream *stream) {
    uint64_t total = total_of(stream);
    size_t prefix = stream->begun ? 0 : sizeof(uint64_t);
    uint64_t left = total - stream->sent, most = SL_FRAME_PAYLOAD_MOST - prefix;
    size_t bytes = (size_t)(left < most ? left : most);
    uint8_t *at = sl_out_reserve(&link->writing, SL_FRAME_HEAD_BYTES + prefix + bytes);
    if (!at)
        return; /* the next step tries again */
    if (!stream->begun)
        stream->number = free_number(link);
    sl_frame_put_head(at, stream->begun ? SL_FRAME_MORE : SL_FRAME_BEGIN, stream->number,
                      (uint32_t)(prefix + bytes));
    at += SL_FRAME_HEAD_BYTES;
    for (size_t i = 0; i < prefix; i++)
        *at++ = (uint8_t)(total >> (8 * i));
    copy_part(stream, stream->sent, bytes, at);
    stream->begun = true;
    stream->sent += bytes;
    link->streams_busy |= (uint8_t)(1u << stream->number);
    link->writing_cost += bytes;
}

/* The first that has begun, or may: the peer takes so much at a time and no more. */
static out_stream **choose_stream(sl_link *link) {
    uint64_t begun = 0;
    for (out_stream *stream = link->streams; stream; stream = stream->next)
        begun += stream->begun ? total_of(stream) : 0;
    out_stream **place = &link->streams;
    while (*place && !(*place)->begun && begun &&
           begun + total_of(*place) > link->net->limits.stream_bytes)
        place = &(*place)->next;
    return place;
}

static void unlink_stream(sl_link *link, out_stream **place) {
    *place = (*place)->next;
    if (!*place)
        link->streams_tail = place;
}

/* A piece of the chosen stream, which then goes behind the others that have begun. */

static void put_streams(sl_link *link) {
    out_stream **chosen = choose_stream(link), *stream = *chosen;
    if (!stream)
        return;
    put_piece(link, stream);
    unlink_stream(link, chosen);
    if (stream->sent == total_of(stream)) {
        link->streams_busy &= (uint8_t) ~(1u << stream->number);
        sl_blob_release(stream->blob);
        free(stream);
        return;
    }
    /* … and before those that would need one number too many. */
    out_stream **place = &link->streams;
    for (int i = 1; i < SL_FRAME_STREAMS && *place; i++)
        place = &(*place)->next;
    stream->next = *place;
    *place = stream;
    if (!stream->next)
        link->streams_tail = &stream->next;
}

static void gather(sl_link *link) {
    pthread_mutex_lock(&link->lock);
    out_buffer empty = link->writing;
    empty.bytes = 0;
    if (empty.room > KEPT_BYTES) {
        free(empty.data);
        empty = (out_buffer){};
    }
    link->written = 0;
    link->writing = link->queued;
    link->queued = empty;
    link->writing_cost = link->writing.bytes;
    put_streams(link);
    if (!link->writing.bytes && link->closing && !link->streams && !link->bye_written)
        put_bye(link, link->bye);
    pthread_mutex_unlock(&link->lock);
}

static void account(sl_link *link) {
    pthread_mutex_lock(&link->lock);
    link->queued_bytes -= link->writing_cost;
    link->writing_cost = 0;
    bool room = link->wants_room && link->queued_bytes <= link->net->limits.queued_bytes / 2;
    link->wants_room &= !room;
    pthread_mutex_unlock(&link->lock);
    if (room && link->net->ops.room)
        link->net->ops.room(link->net->context, link);
}

/* False when nothing more can be written now. */
static bool write_buffer(sl_link *link, uint64_t now_ns) {
    while (link->written < link->writing.bytes) {
        errno = 0;
        int sent = SSL_write(link->ssl, link->writing.data + link->written,
                             (int)(link->writing.bytes - link->written));
        if (sent <= 0) {
            (void)go_on(link, sent);
            return false;
        }
        link->written += (size_t)sent;
        link->taken_ns = link->said_ns = now_ns;
    }
    return true;
}

static void write_some(sl_link *link, uint64_t now_ns) {
    for (uint32_t rounds = 0; link->stage == LINK_OPEN; rounds++) {
        if (rounds == ROUNDS_MOST) {
            sl_net_mark(link);
            return;
        }
        if (!write_buffer(link, now_ns))
            return;
        if (link->writing_cost)
            account(link);
        if (link->bye_written) {
            sl_link_fail(link, SL_OK, "%s: closed%s%s", link->peer, link->bye[0] ? ": " : "",
                         link->bye);
            return;
        }
        gather(link);
        if (!link->writing.bytes)
            return;
        link->taken_ns = now_ns;
    }
}

/* ---- a step ---- */

void sl_link_step(sl_link *link, bool readable, bool writable, uint64_t now_ns) {
    if (link->stage == LINK_CONNECTS && writable)
        connected(link);
    link->wants_write = link->stage == LINK_CONNECTS;
    if (link->stage == LINK_SHAKES)
        shake(link);
    if (link->stage == LINK_OPEN) {
        take_flags(link);
        earn_tokens(link, now_ns);
        link->reading_off |= link->tokens < 1;
        if (readable || link->in_bytes || SSL_pending(link->ssl))
            read_some(link, now_ns);
    }
    if (link->stage == LINK_OPEN)
        write_some(link, now_ns);
    if (link->stage >= LINK_ENDS)
        linger(link, now_ns);
    else
        sl_net_watch(link, (link->reading_off ? 0u : EPOLLIN) |
                               (link->wants_write ? (uint32_t)EPOLLOUT : 0u));
}

static void beat(sl_link *link) {
    uint8_t *at;
    pthread_mutex_lock(&link->lock);
    at = link->queued_bytes ? NULL : sl_out_reserve(&link->queued, SL_FRAME_HEAD_BYTES);
    if (at) {
        sl_frame_put_head(at, SL_FRAME_BEAT, 0, 0);
        link->queued_bytes += SL_FRAME_HEAD_BYTES;
    }
    pthread_mutex_unlock(&link->lock);
}

static double seconds(uint64_t ns) {
    return (double)ns / 1e9;
}

/* Time that passes is news too. */
void sl_link_watch_time(sl_link *link, uint64_t now_ns) {
    const sl_net_limits *limits = &link->net->limits;
    pthread_mutex_lock(&link->lock);
    bool trusted = link->trusted, waits = link->written < link->writing.bytes;
    pthread_mutex_unlock(&link->lock);
    if (link->reading_off) /* it may say what it wants: we do not listen */
        link->heard_ns = now_ns;
    if (link->stage < LINK_ENDS && (link->stage < LINK_OPEN || !trusted) &&
        since(now_ns, link->begun_ns) > limits->handshake_ns)
        sl_link_refuse(link, SL_ERR_TIMEOUT, "it took too long to say who it is");
    else if (link->stage == LINK_OPEN && waits && since(now_ns, link->taken_ns) > limits->stall_ns)
        sl_link_fail(link, SL_ERR_TIMEOUT, "%s has taken nothing for %.3g s: it is too slow",
                     link->peer, seconds(limits->stall_ns));
    else if (link->stage == LINK_OPEN && since(now_ns, link->heard_ns) > limits->dead_ns)
        sl_link_fail(link, SL_ERR_TIMEOUT,
                     "nothing was heard of %s for %.3g s: it has died, or the network is cut",
                     link->peer, seconds(limits->dead_ns));
    else if (link->stage == LINK_OPEN && since(now_ns, link->said_ns) > limits->beat_ns)
        beat(link);
    sl_link_step(link, false, false, now_ns);
}
