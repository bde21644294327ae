/* Design notes
 * Nodes are learned from the source and kept for a while, or until a task was not sealed to the
 * node that got it. To wrap a key costs some 50 us a node, so in a large network each task is
 * sealed for some of the nodes alone: always for one of the same few groups, since every other set
 * would be another queue to the scheduler. */
#include "sdk/seal.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/secure/identity_file.h"
#include "actors/secure/secret.h"
#include "runtime/clock.h"
#include "runtime/node.h"
#include "sdk/sealed.h"
#include "sdk/trust_words.h"

#define LEARNED_NS (60 * SL_NS_PER_S)

enum {
    LIFETIME_S = 86400,
    NODES_MOST = 16,
    SOURCES_MOST = 8,
    MESSAGE_MOST = 1023,
    NODE_MOST = 65535
};

_Static_assert((int)SL_ROSTER_CREDENTIAL_BYTES >= (int)SL_CREDENTIAL_MOST_BYTES, "credential");

typedef struct tools {
    struct tools *next;
    sl_opener *opener;
    sl_sealer *sealer;
} tools;

/* A node that may be sealed for. */
typedef struct known {
    uint32_t node;
    sl_peer peer;
} known;

/* What was learned from a source. */
typedef struct learned {
    uint64_t source, at_ns;
    known *nodes;
    uint32_t count;
} learned;

struct sl_keys {
    _Atomic uint32_t references;
    sl_identity *identity;
    sl_trust *trust;
    _Atomic uint32_t next_group;
    pthread_mutex_t lock; /* what follows */
    tools *idle;
    learned learned[SOURCES_MOST]; /* that learned last is the first */
};

struct sl_future_seal {
    sl_keys *keys;
    uint64_t source;
    uint8_t id[SL_ENVELOPE_ID_BYTES];
    bool raw; /* the result is bytes */
    pthread_mutex_t lock;
    _Atomic uint32_t settled;
    sl_opened opened;
    sl_blob *apart;
};

uint64_t sl_seal_source_id(void) {
    static _Atomic uint64_t next;
    return atomic_fetch_add(&next, 1) + 1;
}

/* ---- keys ---- */

static void tools_destroy(tools *t) {
    sl_opener_destroy(t->opener);
    sl_sealer_destroy(t->sealer);
    free(t);
}

static sl_err tools_borrow(sl_keys *keys, tools **borrowed) {
    pthread_mutex_lock(&keys->lock);
    tools *t = keys->idle;
    if (t)
        keys->idle = t->next;
    pthread_mutex_unlock(&keys->lock);
    if (!t) {
        t = calloc(1, sizeof *t);
        if (!t)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory to seal");
        sl_err err = sl_opener_create(&t->opener);
        if (err == SL_OK)
            err = sl_sealer_create(&t->sealer);
        if (err != SL_OK) {
            tools_destroy(t);
            return err;
        }
    }
    *borrowed = t;
    return SL_OK;
}

static void tools_give_back(sl_keys *keys, tools *t) {
    sl_opener_end(t->opener);
    sl_sealer_end(t->sealer);
    pthread_mutex_lock(&keys->lock);
    t->next = keys->idle;
    keys->idle = t;
    pthread_mutex_unlock(&keys->lock);
}

static void keys_drop(sl_keys *keys) {
    if (!keys || atomic_fetch_sub(&keys->references, 1) != 1)
        return;
    for (tools *t; (t = keys->idle);) {
        keys->idle = t->next;
        tools_destroy(t);
    }
    for (int i = 0; i < SOURCES_MOST; i++)
        free(keys->learned[i].nodes);
    sl_trust_destroy(keys->trust);
    sl_identity_destroy(keys->identity);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

static sl_err check_client(const sl_keys *keys, const char *directory) {
    const sl_certificate *c = sl_identity_certificate(keys->identity);
    const sl_box_key *box = sl_identity_box(keys->identity);
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    char cause[512];
    sl_peer self;
    size_t bytes;
    if (!c || !box || c->role != SL_ROLE_CLIENT)
        return sl_fail(SL_ERR_INVALID,
                       "%s is not the identity of a client (starlane identity "
                       "create DIR client NAME)",
                       directory);
    sl_err err = sl_identity_credential(keys->identity, credential, &bytes);
    if (err == SL_OK)
        err = sl_trust_check(keys->trust, credential, bytes, (uint64_t)sl_clock_wall_s(), &self);
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    return err == SL_OK
               ? SL_OK
               : sl_fail(err, "%s: no node would run tasks of this identity: %s", directory, cause);
}

static sl_err keys_fill(sl_keys *keys, const char *directory, const char *authority,
                        const char *revoked) {
    SL_TRY(sl_identity_load(directory, &keys->identity));
    SL_TRY(sl_trust_create(&keys->trust));
    SL_TRY(sl_trust_pin_text(keys->trust, authority));
    if (revoked && *revoked)
        SL_TRY(sl_trust_revoke_file(keys->trust, revoked));
    return check_client(keys, directory);
}

int sl_keys_open(const char *directory, const char *authority, const char *revoked, sl_keys **out) {
    if (!directory || !authority)
        return sl_fail(SL_ERR_INVALID, "keys are those in a directory, and go with the fingerprint "
                                       "of an authority");
    sl_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for keys");
    atomic_init(&keys->references, 1);
    pthread_mutex_init(&keys->lock, NULL);
    sl_err err = keys_fill(keys, directory, authority, revoked);
    if (err != SL_OK) {
        char cause[900];
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        keys_drop(keys);
        return sl_fail(err, "%s", cause);
    }
    *out = keys;
    return SL_OK;
}

void sl_keys_close(sl_keys *keys) {
    keys_drop(keys);
}

/* ---- whom to seal for ---- */

/* Those whose credentials hold; what a node says of itself beyond that counts for nothing. */
static uint32_t believe(const sl_keys *keys, const sl_roster_node *list, uint32_t count,
                        known *nodes) {
    const sl_certificate *self = sl_identity_certificate(keys->identity);
    uint64_t now_s = (uint64_t)sl_clock_wall_s();
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++) {
        sl_peer *peer = &nodes[made].peer;
        if (list[i].node > NODE_MOST ||
            sl_trust_check(keys->trust, list[i].credential, list[i].bytes, now_s, peer) != SL_OK ||
            peer->certificate.role != SL_ROLE_NODE)
            continue;
        const char *project = peer->certificate.project;
        if (*project && strcmp(project, self->project) != 0)
            continue;
        nodes[made++].node = list[i].node;
    }
    return made;
}

/* With the lock. */
static learned *find_learned(sl_keys *keys, uint64_t source) {
    for (int i = 0; i < SOURCES_MOST; i++)
        if (keys->learned[i].source == source)
            return &keys->learned[i];
    return NULL;
}

static void keep_learned(sl_keys *keys, const learned *news) {
    pthread_mutex_lock(&keys->lock);
    learned *at = find_learned(keys, news->source);
    if (!at)
        at = &keys->learned[SOURCES_MOST - 1];
    free(at->nodes);
    memmove(keys->learned + 1, keys->learned, (size_t)(at - keys->learned) * sizeof *at);
    keys->learned[0] = *news;
    pthread_mutex_unlock(&keys->lock);
}

static sl_err copy_learned(sl_keys *keys, uint64_t source, known **nodes, uint32_t *count) {
    sl_err err = SL_ERR_NOT_FOUND;
    pthread_mutex_lock(&keys->lock);
    const learned *at = find_learned(keys, source);
    if (at && sl_clock_now_ns() - at->at_ns < LEARNED_NS) {
        *nodes = malloc((at->count + 1) * sizeof **nodes);
        *count = at->count;
        err = *nodes ? SL_OK : SL_ERR_NO_MEMORY;
        if (*nodes && at->count)
            memcpy(*nodes, at->nodes, at->count * sizeof **nodes);
    }
    pthread_mutex_unlock(&keys->lock);
    return err;
}

static void forget_learned(sl_keys *keys, uint64_t source) {
    pthread_mutex_lock(&keys->lock);
    learned *at = find_learned(keys, source);
    if (at)
        at->source = 0;
    pthread_mutex_unlock(&keys->lock);
}

/* The nodes of a source; the list is the caller's. */
static sl_err learn(sl_keys *keys, const sl_seal_source *source, known **nodes, uint32_t *count) {
    sl_roster_node *list;
    uint32_t found;
    sl_err err = copy_learned(keys, source->id, nodes, count);
    if (err != SL_ERR_NOT_FOUND)
        return err == SL_OK ? SL_OK : sl_fail(err, "no memory for nodes");
    if (sl_node_runs_here())
        return sl_fail(SL_ERR_INVALID, "nothing can be sealed where messages are handled");
    learned news = {.source = source->id, .at_ns = sl_clock_now_ns()};
    SL_TRY(source->fetch(source->context, &list, &found));
    news.nodes = malloc((found + 1) * sizeof *news.nodes);
    if (news.nodes)
        news.count = believe(keys, list, found, news.nodes);
    free(list);
    if (!news.nodes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for nodes");
    keep_learned(keys, &news);
    err = copy_learned(keys, source->id, nodes, count);
    return err == SL_OK ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for nodes");
}

static bool is_named(const sl_seal *seal, const known *node) {
    bool named = !seal->nodes;
    for (size_t i = 0; i < seal->node_count && !named; i++)
        named = strcmp(seal->nodes[i], node->peer.certificate.name) == 0;
    return named;
}

static int by_key(const void *a, const void *b) {
    return memcmp(((const known *)a)->peer.key_id, ((const known *)b)->peer.key_id,
                  SL_KEY_ID_BYTES);
}

static bool same_key(const known *a, const known *b) {
    return by_key(a, b) == 0;
}

/* Nodes of one process have one key. */
static uint32_t count_keys(const known *nodes, uint32_t count) {
    uint32_t keys = 0;
    for (uint32_t i = 0; i < count; i++)
        keys += !i || !same_key(&nodes[i - 1], &nodes[i]);
    return keys;
}

static sl_err refuse_all(const sl_seal *seal) {
    return sl_fail(SL_ERR_NOT_FOUND,
                   seal->nodes ? "none of the nodes named for this task is in the network with a "
                                 "certificate that is believed"
                               : "no node of the network has a certificate that is believed: "
                                 "nodes are started with --keys and --authority");
}

/* Leaves those named, of these one group, with a bit for each node of it. */
static sl_err choose(sl_keys *keys, const sl_seal *seal, known *nodes, uint32_t *count,
                     sl_seal_made *made) {
    uint32_t kept = 0, top = 0, most = seal->nodes_most ? seal->nodes_most : NODES_MOST;
    for (uint32_t i = 0; i < *count; i++)
        if (is_named(seal, &nodes[i]))
            nodes[kept++] = nodes[i];
    if (!kept)
        return refuse_all(seal);
    qsort(nodes, kept, sizeof *nodes, by_key);
    uint32_t keys_found = count_keys(nodes, kept), groups = (keys_found + most - 1) / most;
    uint32_t group = atomic_fetch_add(&keys->next_group, 1) % groups, key = 0, chosen = 0;
    for (uint32_t i = 0; i < kept; i++)
        top = nodes[i].node > top ? nodes[i].node : top;
    made->among_bytes = top / 8 + 1;
    made->among = calloc(1, made->among_bytes);
    if (!made->among)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a set of nodes");
    known last = nodes[0];
    for (uint32_t i = 0; i < kept; i++) {
        bool another = !same_key(&last, &nodes[i]);
        key += another;
        last = nodes[i];
        if (key % groups != group)
            continue;
        made->among[last.node / 8] |= (uint8_t)(1u << last.node % 8);
        if (!chosen || !same_key(&nodes[chosen - 1], &last))
            nodes[chosen++] = last;
    }
    *count = chosen;
    return SL_OK;
}

/* ---- sealing ---- */

static sl_err describe(const sl_seal *seal, uint32_t retries, const sl_peer *peers, uint32_t count,
                       sl_seal_request *request) {
    double lifetime_s = seal->lifetime_s > 0 ? seal->lifetime_s : LIFETIME_S;
    if (!(lifetime_s < 1e10))
        return sl_fail(SL_ERR_INVALID, "a sealed task is to be run within so many seconds");
    *request =
        (sl_seal_request){.sender = seal->keys->identity,
                          .recipients = peers,
                          .recipient_count = count,
                          .kind = SL_SEAL_TASK,
                          .runs = retries < SL_RUNS_MOST ? (uint8_t)(retries + 1) : SL_RUNS_MOST,
                          .now_s = (uint64_t)sl_clock_wall_s(),
                          .lifetime_s = (uint64_t)ceil(lifetime_s)};
    return SL_OK;
}

static sl_err make_end(const sl_seal *seal, uint64_t source, const uint8_t *id,
                       struct sl_future_seal **out) {
    struct sl_future_seal *end = calloc(1, sizeof *end);
    if (!end)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a future");
    end->keys = seal->keys;
    end->source = source;
    atomic_fetch_add(&seal->keys->references, 1);
    pthread_mutex_init(&end->lock, NULL);
    memcpy(end->id, id, sizeof end->id);
    *out = end;
    return SL_OK;
}

static sl_err seal_with(const sl_seal *seal, uint64_t source, sl_sealer *sealer,
                        sl_seal_request *request, const sl_sealing *what,
                        uint8_t *(*place)(void *context, size_t size), void *context,
                        struct sl_future_seal **end) {
    size_t size;
    SL_TRY(sl_sealing_measure(request, what, &size));
    uint8_t *out = place(context, size);
    if (!out)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed task of %zu bytes", size);
    SL_TRY(sl_sealing_write(sealer, request, what, out));
    return make_end(seal, source, sl_sealer_id(sealer), end);
}

static sl_err seal_for(const sl_seal *seal, const sl_seal_source *source, const known *nodes,
                       uint32_t count, const sl_sealing *what, uint32_t retries,
                       uint8_t *(*place)(void *context, size_t size), void *context,
                       sl_seal_made *made) {
    sl_seal_request request;
    tools *t;
    sl_peer *peers = malloc(count * sizeof *peers);
    if (!peers)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for nodes");
    for (uint32_t i = 0; i < count; i++)
        peers[i] = nodes[i].peer;
    sl_err err = describe(seal, retries, peers, count, &request);
    if (err == SL_OK)
        err = tools_borrow(seal->keys, &t);
    if (err == SL_OK) {
        err = seal_with(seal, source->id, t->sealer, &request, what, place, context, &made->end);
        tools_give_back(seal->keys, t);
    }
    free(peers);
    return err;
}

sl_err sl_seal_make(const sl_seal *seal, const sl_seal_source *source, const sl_sealing *what,
                    uint32_t retries, uint8_t *(*place)(void *context, size_t size), void *context,
                    sl_seal_made *made) {
    known *nodes;
    uint32_t count;
    *made = (sl_seal_made){0};
    if (!seal->keys)
        return sl_fail(SL_ERR_INVALID, "a task is sealed with keys: sl_keys_open()");
    SL_TRY(learn(seal->keys, source, &nodes, &count));
    sl_err err = choose(seal->keys, seal, nodes, &count, made);
    if (err == SL_OK)
        err = seal_for(seal, source, nodes, count, what, retries, place, context, made);
    free(nodes);
    if (err == SL_OK)
        return SL_OK;
    free(made->among);
    *made = (sl_seal_made){0};
    return err;
}

/* ---- calls ---- */

static sl_err only_data(const sl_args *args) {
    for (size_t i = 0; i < args->count; i++) {
        if (args->values[i].type == SL_TYPE_FUTURE)
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: a sealed task cannot wait for a future: wait for it, and "
                           "give its result",
                           i);
        if (args->values[i].type == SL_TYPE_OBJECT)
            return sl_fail(SL_ERR_INVALID,
                           "argument %zu: an object is not sealed: give a sealed task what is in "
                           "it",
                           i);
    }
    return SL_OK;
}

/* The data apart, where they lie: as sl_values_encode() would put them into a blob. */
static size_t apart_parts(const sl_args *args, sl_part *parts) {
    static const uint8_t fill[SL_BODY_ALIGN];
    size_t count = 0, at = 0;
    for (size_t i = 0; i < args->count; i++) {
        const sl_value *value = &args->values[i];
        size_t bytes = value->bytes + (value->type == SL_TYPE_STRING);
        size_t before = (SL_BODY_ALIGN - at % SL_BODY_ALIGN) % SL_BODY_ALIGN;
        if (bytes < SL_VALUE_APART_BYTES)
            continue;
        if (before)
            parts[count++] = (sl_part){fill, before};
        parts[count++] = (sl_part){value->data, value->bytes};
        if (value->type == SL_TYPE_STRING)
            parts[count++] = (sl_part){fill, 1};
        at += before + bytes;
    }
    return count;
}

sl_err sl_seal_call(const sl_seal *seal, const sl_seal_source *source, const char *function,
                    const sl_args *args, uint32_t retries,
                    uint8_t *(*place)(void *context, size_t size), void *context,
                    sl_seal_made *made) {
    sl_value_size size;
    SL_TRY(only_data(args));
    SL_TRY(sl_values_measure(args->values, args->count, &size));
    uint8_t *wire = malloc(size.bytes);
    sl_part *parts = malloc((3 * args->count + 1) * sizeof *parts);
    if (!wire || !parts) {
        free(wire), free(parts);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for arguments of %zu bytes", size.bytes);
    }
    sl_values_encode(args->values, args->count, wire, NULL);
    const sl_part name = {function, strlen(function)}, arguments = {wire, size.bytes};
    const sl_sealing what = {
        .form = SL_BODY_CALL,
        .sections = {{&name, 1}, {&arguments, 1}, {parts, apart_parts(args, parts)}}};
    sl_err err = sl_seal_make(seal, source, &what, retries, place, context, made);
    sl_secret_wipe(wire, size.bytes);
    free(wire), free(parts);
    return err;
}

sl_err sl_seal_bytes(const sl_seal *seal, const sl_seal_source *source, const char *function,
                     sl_part arguments, uint32_t retries,
                     uint8_t *(*place)(void *context, size_t size), void *context,
                     sl_seal_made *made) {
    const sl_part name = {function, strlen(function)};
    const sl_sealing what = {.form = SL_BODY_CALL, .sections = {{&name, 1}, {&arguments, 1}}};
    SL_TRY(sl_seal_make(seal, source, &what, retries, place, context, made));
    made->end->raw = true;
    return SL_OK;
}

/* ---- opening ---- */

void sl_future_seal_drop(struct sl_future_seal *end) {
    if (!end)
        return;
    sl_blob_release(end->apart);
    sl_opened_close(&end->opened);
    keys_drop(end->keys);
    pthread_mutex_destroy(&end->lock);
    free(end);
}

static void set_error(sl_future *future, sl_err err, const char *text, size_t bytes) {
    char *message = malloc(bytes + 1);
    if (message)
        snprintf(message, bytes + 1, "%.*s", (int)bytes, text);
    free(future->message);
    future->message = message;
    future->error = (int32_t)err;
    future->value = (sl_value){.type = SL_TYPE_NONE};
    atomic_store(&future->state, SL_FUTURE_FAILED);
}

static sl_err open_result(sl_future *future, struct sl_future_seal *end) {
    tools *t;
    const sl_open_request request = {.recipient = end->keys->identity,
                                     .trust = end->keys->trust,
                                     .kind = SL_SEAL_RESULT,
                                     .role = SL_ROLE_NODE,
                                     .about = end->id,
                                     .now_s = (uint64_t)sl_clock_wall_s()};
    SL_TRY(tools_borrow(end->keys, &t));
    sl_err err = future->result_apart
                     ? sl_opened_take(t->opener, &request, future->result_apart, &end->opened)
                     : sl_opened_copy(t->opener, &request, future->wire,
                                      (size_t)future->value.bytes, &end->opened);
    tools_give_back(end->keys, t);
    SL_TRY(err);
    return end->opened.form == SL_BODY_ANSWER
               ? SL_OK
               : sl_fail(SL_ERR_DECODE, "a sealed result of another kind");
}

static sl_err read_value(sl_future *future, struct sl_future_seal *end) {
    const sl_part *output = &end->opened.sections[1];
    size_t count = 0;
    future->value = (sl_value){.type = SL_TYPE_NONE};
    if (end->raw) {
        future->value =
            (sl_value){.type = SL_TYPE_BYTES, .data = output->data, .bytes = output->bytes};
        return SL_OK;
    }
    if (!output->bytes)
        return SL_OK;
    SL_TRY(sl_opened_apart(&end->opened, &end->apart));
    SL_TRY(sl_values_count(output->data, output->bytes, &count));
    if (count != 1)
        return sl_fail(SL_ERR_DECODE, "a result of %zu values", count);
    SL_TRY(sl_values_decode(output->data, output->bytes, end->apart, false, &future->value));
    return future->value.type == SL_TYPE_OBJECT || future->value.kept_
               ? sl_fail(SL_ERR_DECODE, "an object, which nobody sealed")
               : SL_OK;
}

/* What the executor sealed is what counts; that a task failed may be said by others too, who can
 * stop it as well. */
static void settle(sl_future *future, struct sl_future_seal *end) {
    static const char unsealed[] = "its result is not sealed";
    bool failed = future->error != 0;
    if (!future->result_apart && !(future->wire && future->value.bytes)) {
        if (future->error != SL_ERR_CANCELLED) /* perhaps it was sealed to a key that is gone */
            forget_learned(end->keys, end->source);
        if (!failed)
            set_error(future, SL_ERR_SEAL, unsealed, sizeof unsealed - 1);
        return;
    }
    sl_err err = open_result(future, end);
    if (err == SL_OK && end->opened.code) {
        const sl_part *why = &end->opened.sections[0];
        set_error(future, SL_ERR_FAILED, why->data,
                  why->bytes < MESSAGE_MOST ? why->bytes : MESSAGE_MOST);
        return;
    }
    if (err == SL_OK && !failed)
        err = read_value(future, end);
    if (err != SL_OK && !failed) {
        char cause[600];
        snprintf(cause, sizeof cause, "its sealed result cannot be read: %.500s", sl_err_detail());
        set_error(future, err, cause, strlen(cause));
    }
}

void sl_future_settle(sl_future *future) {
    struct sl_future_seal *end = future->seal;
    if (!end || atomic_load(&end->settled) || !sl_future_ended(future))
        return;
    pthread_mutex_lock(&end->lock);
    if (!atomic_load(&end->settled)) {
        settle(future, end);
        sl_blob_release(future->result_apart);
        future->result_apart = NULL;
        atomic_store(&end->settled, 1);
    }
    pthread_mutex_unlock(&end->lock);
}
