/* Links over loopback: two nets, and peers that do not keep to the rules. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/link.h"
#include "runtime/clock.h"
#include "tests/lib/test.h"

/* ---- one side ---- */

typedef struct side {
    sl_net *net;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sl_link *link; /* the newest that opened */
    uint32_t opened, closed, messages, room;
    uint64_t bytes;
    bool echoes, trusts, pauses, is_slow;
    sl_err err; /* of the last that closed */
    char why[800];
    uint8_t last[64];
    size_t last_bytes;
    uint64_t sum;
} side;

static sl_err on_opened(void *context, sl_link *link) {
    side *of = context;
    pthread_mutex_lock(&of->lock);
    of->opened++;
    sl_link_release(of->link);
    of->link = sl_link_retain(link);
    if (of->trusts)
        sl_link_trust(link);
    if (of->pauses)
        sl_link_pause(link, true);
    pthread_cond_broadcast(&of->changed);
    pthread_mutex_unlock(&of->lock);
    return SL_OK;
}

static sl_err on_message(void *context, sl_link *link, const uint8_t *data, size_t bytes,
                         sl_blob *blob) {
    side *of = context;
    sl_err err = SL_OK;
    if (of->is_slow)
        usleep(100);
    pthread_mutex_lock(&of->lock);
    of->messages++;
    of->bytes += bytes;
    for (size_t i = 0; i < bytes; i += 997)
        of->sum = of->sum * 31 + data[i];
    of->last_bytes = bytes;
    memcpy(of->last, data, bytes < sizeof of->last ? bytes : sizeof of->last);
    if (of->echoes)
        err = blob ? sl_link_send(link, NULL, 0, blob) : sl_link_send(link, data, bytes, NULL);
    if (bytes == 4 && memcmp(data, "fail", 4) == 0)
        err = sl_fail(SL_ERR_REFUSED, "no such thing is done here");
    pthread_cond_broadcast(&of->changed);
    pthread_mutex_unlock(&of->lock);
    return err;
}

static void on_room(void *context, sl_link *link) {
    side *of = context;
    (void)link;
    pthread_mutex_lock(&of->lock);
    of->room++;
    pthread_cond_broadcast(&of->changed);
    pthread_mutex_unlock(&of->lock);
}

static void on_closed(void *context, sl_link *link, sl_err err, const char *why) {
    side *of = context;
    (void)link;
    pthread_mutex_lock(&of->lock);
    of->closed++;
    of->err = err;
    snprintf(of->why, sizeof of->why, "%s", why);
    pthread_cond_broadcast(&of->changed);
    pthread_mutex_unlock(&of->lock);
}

static const sl_net_ops ops = {on_opened, on_message, on_room, on_closed};

static void start(side *of, const sl_net_limits *limits) {
    sl_net_options options = {.ops = &ops, .context = of};
    if (limits)
        options.limits = *limits;
    pthread_mutex_init(&of->lock, NULL);
    pthread_cond_init(&of->changed, NULL);
    if (sl_net_create(&options, &of->net) != SL_OK)
        abort();
}

static void stop(side *of) {
    sl_net_destroy(of->net);
    sl_link_release(of->link);
}

/* Until a number of it has come that far; a test that hangs is ended by its runner. */
static void await(side *of, const uint32_t *number, uint32_t least) {
    pthread_mutex_lock(&of->lock);
    while (*number < least)
        pthread_cond_wait(&of->changed, &of->lock);
    pthread_mutex_unlock(&of->lock);
}

/* ---- both ---- */

static sl_tls *server_tls, *client_tls;

static void make_tls(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s/keys", sl_test_dir());
    sl_tls_server_options options = {.directory = path};
    if (server_tls)
        return;
    if (sl_tls_server(&options, &server_tls) != SL_OK ||
        sl_tls_client(sl_tls_fingerprint(server_tls), NULL, &client_tls) != SL_OK)
        abort();
}

typedef struct pair {
    side server, client;
    sl_address address;
    sl_link *link; /* the client's */
} pair;

static void begin(pair *p, const sl_net_limits *limits) {
    make_tls();
    if (sl_address_parse("127.0.0.1:0", &p->address) != SL_OK)
        abort();
    start(&p->server, limits);
    start(&p->client, limits);
    if (sl_net_listen(p->server.net, &p->address, server_tls, &p->address.port) != SL_OK)
        abort();
}

static void join(pair *p) {
    if (sl_net_connect(p->client.net, &p->address, client_tls, p, &p->link) != SL_OK)
        abort();
    await(&p->client, &p->client.opened, 1);
    await(&p->server, &p->server.opened, 1);
}

static void finish(pair *p) {
    sl_link_release(p->link);
    stop(&p->client);
    stop(&p->server);
}

static pair *fresh(bool echoes, bool trusts) {
    static pair p;
    p = (pair){.server = {.echoes = echoes, .trusts = trusts}};
    return &p;
}

TEST(messages_go_there_and_back) {
    pair *p = fresh(true, true);
    begin(p, NULL);
    join(p);
    for (uint32_t i = 0; i < 1000; i++)
        REQUIRE(sl_link_send(p->link, &i, sizeof i, NULL) == SL_OK);
    await(&p->client, &p->client.messages, 1000);
    CHECK(memcmp(p->client.last, &(uint32_t){999}, 4) == 0);
    CHECK(sl_link_user(p->link) == p);
    CHECK_CONTAINS(sl_link_peer(p->link), "127.0.0.1:");
    CHECK_STR(sl_link_host(p->server.link), "127.0.0.1");
    sl_link_close(p->link, NULL);
    await(&p->client, &p->client.closed, 1);
    await(&p->server, &p->server.closed, 1);
    CHECK_INT(p->client.err, SL_OK);
    CHECK_INT(p->server.err, SL_OK);
    CHECK_CONTAINS(p->server.why, "has left");
    CHECK_INT(sl_link_send(p->link, "x", 1, NULL), SL_ERR_CLOSED);
    finish(p);
}

TEST(large_messages_travel_whole_and_small_ones_between_them) {
    enum { LARGE = 20 << 20, COUNT = 6 };
    pair *p = fresh(true, true);
    sl_net_limits limits = {.queued_bytes = 1ull << 30};
    uint64_t sum = 0;
    begin(p, &limits);
    join(p);
    sl_blob *blob;
    REQUIRE(sl_blob_create(LARGE, &blob) == SL_OK);
    for (size_t i = 0; i < LARGE; i++)
        blob->data[i] = (uint8_t)(i * 7 + i / 1000);
    for (size_t i = 0; i < LARGE; i += 997)
        sum = sum * 31 + blob->data[i];
    for (int i = 0; i < COUNT; i++) /* more than may be under way at once */
        REQUIRE(sl_link_send(p->link, NULL, 0, blob) == SL_OK);
    REQUIRE(sl_link_send(p->link, "small", 5, NULL) == SL_OK);
    await(&p->client, &p->client.messages, 1);
    CHECK_INT(p->client.bytes, 5); /* it was not behind them */
    await(&p->client, &p->client.messages, COUNT + 1);
    CHECK_INT(p->client.bytes, 5 + (uint64_t)COUNT * LARGE);
    REQUIRE(sl_link_send(p->link, NULL, 0, blob) == SL_OK);
    p->client.sum = 0;
    await(&p->client, &p->client.messages, COUNT + 2);
    CHECK(p->client.sum == sum);
    /* A head and a blob are one message. */
    p->client.bytes = 0;
    REQUIRE(sl_link_send(p->link, "head", 4, blob) == SL_OK);
    await(&p->client, &p->client.messages, COUNT + 3);
    CHECK_INT(p->client.bytes, 4 + LARGE);
    CHECK(memcmp(p->client.last, "head", 4) == 0);
    CHECK_INT(p->client.closed, 0);
    sl_blob_release(blob);
    finish(p);
}

TEST(who_does_not_read_is_waited_for_and_costs_a_bound) {
    pair *p = fresh(false, true);
    sl_net_limits limits = {.queued_bytes = 1 << 20};
    static uint8_t bytes[60000];
    p->server.pauses = true;
    uint32_t sent = 0;
    begin(p, &limits);
    join(p);
    sl_err err = SL_OK;
    for (uint32_t refused = 0; refused < 100 && sent < 2000;) { /* the sockets take some too */
        err = sl_link_send(p->link, bytes, sizeof bytes, NULL);
        sent += err == SL_OK;
        refused = err == SL_OK ? 0 : refused + 1;
        if (err != SL_OK)
            usleep(2000);
    }
    CHECK_INT(err, SL_ERR_AGAIN);
    CHECK_INT(p->server.messages, 0);
    sl_link_pause(p->server.link, false);
    await(&p->client, &p->client.room, 1);
    await(&p->server, &p->server.messages, sent);
    CHECK_INT(p->server.bytes, (uint64_t)sent * sizeof bytes);
    finish(p);
}

TEST(who_takes_nothing_for_too_long_is_closed) {
    pair *p = fresh(false, true);
    sl_net_limits limits = {.stall_ns = 300 * SL_NS_PER_MS, .queued_bytes = 64 << 20};
    static uint8_t bytes[60000];
    p->server.pauses = true;
    begin(p, &limits);
    join(p);
    for (int i = 0; i < 800; i++)
        (void)!sl_link_send(p->link, bytes, sizeof bytes, NULL);
    await(&p->client, &p->client.closed, 1);
    CHECK_INT(p->client.err, SL_ERR_TIMEOUT);
    CHECK_CONTAINS(p->client.why, "too slow");
    finish(p);
}

TEST(who_sends_too_fast_is_held_up_and_loses_nothing) {
    pair *p = fresh(false, true);
    sl_net_limits limits = {.frames_per_s = 500};
    begin(p, &limits);
    join(p);
    uint64_t begin_ns = sl_clock_now_ns();
    for (uint32_t i = 0; i < 900; i++)
        REQUIRE(sl_link_send(p->link, &i, sizeof i, NULL) == SL_OK);
    await(&p->server, &p->server.messages, 900);
    CHECK(sl_clock_now_ns() - begin_ns >=
          700 * SL_NS_PER_MS); /* 500 at once, 400 at 500 a second */
    CHECK_INT(p->server.closed, 0);
    finish(p);
}

TEST(a_stranger_may_say_little_and_not_for_long) {
    pair *p = fresh(false, false);
    sl_net_limits limits = {.handshake_ns = 400 * SL_NS_PER_MS};
    static uint8_t bytes[5000];
    begin(p, &limits);
    join(p);
    REQUIRE(sl_link_send(p->link, bytes, 4096, NULL) == SL_OK);
    await(&p->server, &p->server.messages, 1);
    await(&p->client, &p->client.closed, 1); /* time is over */
    CHECK_CONTAINS(p->client.why, "took too long to say who it is");
    await(&p->server, &p->server.closed, 1);
    CHECK_INT(p->server.err, SL_ERR_TIMEOUT);
    sl_link_release(p->link);
    REQUIRE(sl_net_connect(p->client.net, &p->address, client_tls, NULL, &p->link) == SL_OK);
    await(&p->client, &p->client.opened, 2);
    REQUIRE(sl_link_send(p->link, bytes, 4097, NULL) == SL_OK);
    await(&p->client, &p->client.closed, 2);
    CHECK_CONTAINS(p->client.why, "a frame of 4097 bytes; at most 4096");
    CHECK_INT(p->client.err, SL_ERR_REFUSED);
    CHECK_INT(p->server.messages, 1);
    finish(p);
}

TEST(an_owner_that_refuses_says_why) {
    pair *p = fresh(false, true);
    begin(p, NULL);
    join(p);
    REQUIRE(sl_link_send(p->link, "fail", 4, NULL) == SL_OK);
    await(&p->client, &p->client.closed, 1);
    CHECK_CONTAINS(p->client.why, "no such thing is done here");
    await(&p->server, &p->server.closed, 1);
    CHECK_INT(p->server.err, SL_ERR_REFUSED);
    finish(p);
}

TEST(another_server_is_not_believed) {
    pair *p = fresh(false, true);
    char path[4096];
    sl_tls *other;
    uint8_t wrong[SL_FINGERPRINT_BYTES] = {1, 2, 3};
    begin(p, NULL);
    REQUIRE(sl_tls_client(wrong, NULL, &other) == SL_OK);
    REQUIRE(sl_net_connect(p->client.net, &p->address, other, NULL, &p->link) == SL_OK);
    await(&p->client, &p->client.closed, 1);
    CHECK_INT(p->client.err, SL_ERR_SEAL);
    CHECK_CONTAINS(p->client.why, "Compare fingerprints");
    await(&p->server, &p->server.closed, 1);
    CHECK_INT(p->client.opened + p->server.opened, 0);
    sl_link_release(p->link);
    /* Its own certificate as an authority's file: trusted, but for another name. */
    snprintf(path, sizeof path, "%s/keys/" SL_TLS_OWN_FILE, sl_test_dir());
    sl_tls *by_file;
    REQUIRE(sl_tls_client(NULL, path, &by_file) == SL_OK);
    REQUIRE(sl_net_connect(p->client.net, &p->address, by_file, NULL, &p->link) == SL_OK);
    await(&p->client, &p->client.closed, 2);
    CHECK_INT(p->client.opened, 0);
    CHECK_INT(p->client.err, SL_ERR_SEAL);
    CHECK_INT(sl_tls_client(NULL, NULL, &by_file), SL_ERR_INVALID);
    finish(p);
    sl_tls_destroy(other);
    sl_tls_destroy(by_file);
}

TEST(keys_of_a_server_are_private_and_stay) {
    char path[3000], file[4096];
    snprintf(path, sizeof path, "%s/more", sl_test_dir());
    snprintf(file, sizeof file, "%s/" SL_TLS_OWN_FILE, path);
    sl_tls_server_options options = {.directory = path};
    sl_tls *one, *two;
    struct stat found;
    REQUIRE(sl_tls_server(&options, &one) == SL_OK);
    REQUIRE(sl_tls_server(&options, &two) == SL_OK);
    CHECK(memcmp(sl_tls_fingerprint(one), sl_tls_fingerprint(two), SL_FINGERPRINT_BYTES) == 0);
    REQUIRE(stat(file, &found) == 0);
    CHECK_INT(found.st_mode & 0777, 0600);
    sl_tls_destroy(two);
    sl_tls_server_options files = {.certificate_file = file, .key_file = file};
    REQUIRE(sl_tls_server(&files, &two) == SL_OK);
    CHECK(memcmp(sl_tls_fingerprint(one), sl_tls_fingerprint(two), SL_FINGERPRINT_BYTES) == 0);
    sl_tls_destroy(one);
    sl_tls_destroy(two);
    files.key_file = NULL;
    CHECK_INT(sl_tls_server(&files, &two), SL_ERR_INVALID);
    REQUIRE(chmod(file, 0644) == 0);
    CHECK_INT(sl_tls_server(&options, &two), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "chmod 600");
    REQUIRE(chmod(file, 0600) == 0 && truncate(file, 100) == 0);
    CHECK_INT(sl_tls_server(&options, &two), SL_ERR_INVALID);
    REQUIRE(chmod(path, 0755) == 0);
    CHECK_INT(sl_tls_server(&options, &two), SL_ERR_REFUSED);
}

/* ---- raw peers ---- */

static int dial(const pair *p) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(p->address.port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        abort();
    return fd;
}

static bool ended(int fd) {
    char byte[4096];
    while (recv(fd, byte, sizeof byte, 0) > 0)
        continue;
    close(fd);
    return true;
}

TEST(what_is_no_tls_harms_nobody) {
    pair *p = fresh(true, true);
    sl_net_limits limits = {.handshake_ns = 500 * SL_NS_PER_MS};
    begin(p, &limits);
    join(p);
    int garbage = dial(p), silent = dial(p), gone = dial(p);
    CHECK(send(garbage, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) == 18);
    close(gone);
    CHECK(ended(garbage) && ended(silent));
    await(&p->server, &p->server.closed, 3);
    REQUIRE(sl_link_send(p->link, "still", 5, NULL) == SL_OK);
    await(&p->client, &p->client.messages, 1);
    CHECK_INT(p->client.closed, 0);
    finish(p);
}

TEST(one_address_has_so_many_connections) {
    pair *p = fresh(true, true);
    sl_net_limits limits = {.links_per_address = 3};
    begin(p, &limits);
    join(p);
    int first = dial(p), second = dial(p), third = dial(p);
    CHECK(ended(third));
    close(first);
    close(second);
    await(&p->server, &p->server.closed, 2);
    REQUIRE(sl_link_send(p->link, "still", 5, NULL) == SL_OK);
    await(&p->client, &p->client.messages, 1);
    finish(p);
}

/* A client of TLS that speaks no frames, or none at all. */
static SSL *dial_tls(const pair *p, SSL_CTX **context) {
    int fd = dial(p);
    *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(*context);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        abort();
    return ssl;
}

static void hang_up(SSL *ssl, SSL_CTX *context) {
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
    SSL_CTX_free(context);
}

TEST(a_peer_that_is_silent_or_speaks_nonsense_is_closed) {
    pair *p = fresh(false, true);
    sl_net_limits limits = {.dead_ns = 400 * SL_NS_PER_MS, .beat_ns = 100 * SL_NS_PER_MS};
    SSL_CTX *context;
    char text[1024];
    begin(p, &limits);
    join(p); /* this one beats, and stays */
    SSL *silent = dial_tls(p, &context);
    await(&p->server, &p->server.closed, 1);
    CHECK_INT(p->server.err, SL_ERR_TIMEOUT);
    CHECK_CONTAINS(p->server.why, "nothing was heard of 127.0.0.1:");
    hang_up(silent, context);
    SSL *mad = dial_tls(p, &context);
    CHECK_INT(SSL_write(mad, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 8);
    await(&p->server, &p->server.closed, 2);
    CHECK_INT(p->server.err, SL_ERR_TOO_LARGE);
    int got = SSL_read(mad, text, sizeof text);
    CHECK(got > SL_FRAME_HEAD_BYTES && text[4] == SL_FRAME_BYE); /* it is told */
    hang_up(mad, context);
    CHECK_INT(p->client.closed, 0);
    finish(p);
}

TEST(nobody_there_is_told) {
    pair *p = fresh(false, true);
    begin(p, NULL);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t bytes = sizeof at;
    REQUIRE(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
            getsockname(fd, (struct sockaddr *)&at, &bytes) == 0);
    sl_address nobody = p->address;
    nobody.port = ntohs(at.sin_port);
    if (sl_net_connect(p->client.net, &nobody, client_tls, NULL, &p->link) == SL_OK) {
        await(&p->client, &p->client.closed, 1);
        CHECK_CONTAINS(p->client.why, "cannot be reached");
    }
    close(fd);
    finish(p);
}

TEST(leaving_a_net_tells_every_peer) {
    pair *p = fresh(true, true);
    begin(p, NULL);
    join(p);
    sl_net_destroy(p->server.net);
    p->server.net = NULL;
    await(&p->client, &p->client.closed, 1);
    CHECK_CONTAINS(p->client.why, "the network is being left");
    CHECK_INT(p->server.closed, 1);
    finish(p);
}

static void *send_many(void *argument) {
    uint8_t bytes[100] = {1};
    for (int i = 0; i < 2000; i++)
        while (sl_link_send(argument, bytes, sizeof bytes, NULL) == SL_ERR_AGAIN)
            sched_yield();
    return NULL;
}

/* Answers that it has not read must not cost what it has said. */
TEST(what_was_said_before_leaving_arrives) {
    enum { COUNT = 2000 };
    static const uint8_t kilobyte[1024];
    pair *p = fresh(true, true);
    p->client.pauses = p->server.is_slow = true;
    begin(p, NULL);
    join(p);
    for (uint32_t i = 0; i < COUNT; i++)
        REQUIRE(sl_link_send(p->link, kilobyte, sizeof kilobyte, NULL) == SL_OK);
    sl_link_close(p->link, NULL);
    await(&p->client, &p->client.closed, 1);
    sl_link_release(p->link);
    stop(&p->client);
    await(&p->server, &p->server.closed, 1);
    CHECK_INT(p->server.messages, COUNT);
    CHECK_CONTAINS(p->server.why, "has left");
    stop(&p->server);
}

TEST(many_threads_send_on_one_link) {
    enum { THREADS = 4, EACH = 2000 };
    pair *p = fresh(false, true);
    pthread_t threads[THREADS];
    begin(p, NULL);
    join(p);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, send_many, p->link) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    await(&p->server, &p->server.messages, THREADS * EACH);
    CHECK_INT(p->server.bytes, THREADS * EACH * 100);
    finish(p);
}
