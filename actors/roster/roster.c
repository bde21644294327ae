/* Design notes
 * A round asks every node that lives and is over when each has answered or was lost. Who comes
 * while one is under way waits for the next: its answers are no older than the question. Rounds
 * are rare (who seals keeps what it learned for a while), so nothing is kept between them. */
#include "actors/roster/roster.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/thread.h"

#define ROUND_NS (5 * SL_NS_PER_S) /* then it is over without those that do not answer */

typedef enum said { NOTHING, ASKED, ANSWERED } said;

struct sl_roster {
    sl_roster_options options;
    sl_node *node;
    sl_event event;

    /* threads */
    pthread_mutex_t lock;
    pthread_cond_t over;
    uint64_t wanted, done; /* rounds asked for, and how many are over */
    bool told, closed;
    sl_roster_node *result; /* of the last round */
    uint32_t result_count;

    /* the actor's */
    sl_actor *self;
    sl_roster_node *nodes;
    uint8_t *said;
    uint32_t open;   /* nodes that are to answer */
    uint64_t serves; /* threads' rounds that this one is for */
    bool running, again;
    uint64_t timer;
    sl_addr *askers, *later; /* actors that this round, and the next, is for */
    uint32_t asker_count, later_count;
};

/* ---- the end of a round ---- */

static uint32_t gather_result(const sl_roster *r, sl_roster_node **out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->options.nodes; i++)
        count += r->said[i] == ANSWERED && r->nodes[i].bytes;
    *out = count ? malloc(count * sizeof **out) : NULL;
    if (!*out)
        return 0;
    count = 0;
    for (uint32_t i = 0; i < r->options.nodes; i++)
        if (r->said[i] == ANSWERED && r->nodes[i].bytes)
            (*out)[count++] = r->nodes[i];
    return count;
}

static void tell_actors(const sl_roster *r, const sl_roster_node *nodes, uint32_t count) {
    roster_entry *entries = malloc((count + 1) * sizeof *entries);
    for (uint32_t i = 0; entries && i < count; i++)
        entries[i] = (roster_entry){.node = nodes[i].node,
                                    .credential = {nodes[i].credential, nodes[i].bytes}};
    roster_list list = {.nodes = {entries, entries ? count : 0}};
    for (uint32_t i = 0; i < r->asker_count; i++)
        if (roster_list_send(r->self, r->askers[i], &list) != SL_OK)
            sl_warn("roster", "an actor is not told of the nodes: %s", sl_err_detail());
    free(entries);
}

static void begin(sl_roster *r);

static void end(sl_roster *r) {
    sl_roster_node *result;
    uint32_t count = gather_result(r, &result);
    sl_timer_cancel(r->self, r->timer);
    r->running = false;
    tell_actors(r, result, count);
    r->asker_count = 0;
    pthread_mutex_lock(&r->lock);
    free(r->result);
    r->result = result;
    r->result_count = count;
    r->done = r->serves;
    r->again |= r->wanted > r->done;
    pthread_cond_broadcast(&r->over);
    pthread_mutex_unlock(&r->lock);
    if (r->again)
        begin(r);
}

/* ---- a round ---- */

static void begin(sl_roster *r) {
    roster_ask ask = {};
    r->again = r->running;
    if (r->running)
        return;
    r->running = true;
    r->open = 0;
    sl_addr *askers = r->askers;
    r->askers = r->later;
    r->asker_count = r->later_count;
    r->later = askers;
    r->later_count = 0;
    pthread_mutex_lock(&r->lock);
    r->serves = r->wanted;
    pthread_mutex_unlock(&r->lock);
    for (uint32_t i = 0; i < r->options.nodes; i++) {
        bool sent = (i == sl_node_id(r->node) || sl_node_peer_alive(r->node, i)) &&
                    roster_ask_send(r->self, sl_addr_well_known(i, SL_SLOT_ROSTER), &ask) == SL_OK;
        r->said[i] = sent ? ASKED : NOTHING;
        r->open += sent;
    }
    r->timer = sl_timer_start(r->self, ROUND_NS, 0);
    if (!r->open)
        end(r);
}

static void settle(sl_roster *r, uint32_t node, said how) {
    if (node >= r->options.nodes || !r->running || r->said[node] != ASKED)
        return;
    r->said[node] = (uint8_t)how;
    if (!--r->open)
        end(r);
}

static void on_credential(sl_roster *r, uint32_t node, const roster_credential *body) {
    if (node >= r->options.nodes)
        return;
    r->nodes[node] = (sl_roster_node){.node = node, .bytes = body->credential.bytes};
    if (body->credential.bytes)
        memcpy(r->nodes[node].credential, body->credential.data, body->credential.bytes);
    settle(r, node, ANSWERED);
}

static void on_ask(sl_roster *r, sl_addr asker) {
    uint8_t credential[SL_ROSTER_CREDENTIAL_BYTES];
    uint32_t bytes = r->options.own(r->options.context, credential);
    roster_credential body = {.credential = {credential, bytes}};
    if (roster_credential_send(r->self, asker, &body) != SL_OK)
        sl_warn("roster", "node %u is not told who this one is: %s", asker.node, sl_err_detail());
}

static void on_gather(sl_roster *r, sl_addr asker) {
    bool ours = asker.node == sl_node_id(r->node);
    sl_addr *grown = ours ? realloc(r->later, (r->later_count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        sl_warn("roster", "node %u asks who the nodes are, in vain", asker.node);
        return;
    }
    r->later = grown;
    r->later[r->later_count++] = asker;
    begin(r);
}

/* ---- the actor ---- */

static sl_err roster_start(sl_actor *self, void *state, const void *arguments) {
    sl_roster *r = *(sl_roster **)state = *(sl_roster *const *)arguments;
    r->self = self;
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    pthread_mutex_lock(&r->lock);
    r->node = sl_actor_node(self);
    r->event.to = sl_self(self);
    pthread_mutex_unlock(&r->lock);
    return SL_OK;
}

static void on_event(sl_roster *r) {
    pthread_mutex_lock(&r->lock);
    r->told = false;
    pthread_mutex_unlock(&r->lock);
    begin(r);
}

static sl_err roster_receive(sl_actor *self, void *state, const sl_message *message) {
    sl_roster *r = *(sl_roster **)state;
    (void)self;
    switch (message->type->id) {
    case node_event_id:
        on_event(r);
        break;
    case roster_ask_id:
        on_ask(r, message->from);
        break;
    case roster_credential_id:
        on_credential(r, message->from.node, message->body);
        break;
    case roster_gather_id:
        on_gather(r, message->from);
        break;
    case node_peer_lost_id:
        settle(r, ((const node_peer_lost *)message->body)->node, NOTHING);
        break;
    case node_timer_id:
        if (r->running)
            end(r);
        break;
    default:
        break; /* of peers that come back, say */
    }
    return SL_OK;
}

static void roster_stop(sl_actor *self, void *state) {
    sl_roster *r = *(sl_roster **)state;
    (void)self;
    pthread_mutex_lock(&r->lock);
    r->closed = true;
    pthread_cond_broadcast(&r->over);
    pthread_mutex_unlock(&r->lock);
}

const sl_actor_class sl_roster_class = {.name = "roster",
                                        .state_bytes = sizeof(sl_roster *),
                                        .start = roster_start,
                                        .receive = roster_receive,
                                        .stop = roster_stop};

/* ---- threads ---- */

/* With the lock. */
static sl_err await_round(sl_roster *r, uint64_t round, uint64_t timeout_ns) {
    struct timespec until = sl_cond_deadline(timeout_ns);
    while (r->done < round && !r->closed)
        if (pthread_cond_timedwait(&r->over, &r->lock, &until) != 0)
            break;
    if (r->done >= round)
        return SL_OK;
    return r->closed ? sl_fail(SL_ERR_CLOSED, "the network was left")
                     : sl_fail(SL_ERR_TIMEOUT, "the nodes do not say who they are");
}

static sl_err copy_result(const sl_roster *r, sl_roster_node **list, uint32_t *count) {
    sl_roster_node *copy = malloc((r->result_count + 1) * sizeof *copy);
    if (!copy)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a list of nodes");
    if (r->result_count)
        memcpy(copy, r->result, r->result_count * sizeof *copy);
    *list = copy;
    *count = r->result_count;
    return SL_OK;
}

sl_err sl_roster_gather(sl_roster *r, uint64_t timeout_ns, sl_roster_node **list, uint32_t *count) {
    pthread_mutex_lock(&r->lock);
    sl_err err = r->node ? SL_OK : sl_fail(SL_ERR_CLOSED, "there is no network");
    if (err == SL_OK) {
        uint64_t round = ++r->wanted;
        if (!r->told && !r->closed) {
            r->told = true;
            sl_notify(r->node, &r->event);
        }
        err = await_round(r, round, timeout_ns);
    }
    if (err == SL_OK)
        err = copy_result(r, list, count);
    pthread_mutex_unlock(&r->lock);
    return err;
}

sl_err sl_roster_create(const sl_roster_options *options, sl_roster **roster) {
    sl_roster *made = calloc(1, sizeof *made);
    if (made) {
        made->nodes = calloc(options->nodes, sizeof *made->nodes);
        made->said = calloc(options->nodes, 1);
    }
    if (!made || !made->nodes || !made->said) {
        if (made)
            free(made->nodes), free(made->said);
        free(made);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a roster of %u nodes", options->nodes);
    }
    made->options = *options;
    pthread_mutex_init(&made->lock, NULL);
    sl_cond_init(&made->over);
    *roster = made;
    return SL_OK;
}

void sl_roster_destroy(sl_roster *r) {
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->over);
    free(r->result);
    free(r->nodes);
    free(r->said);
    free(r->askers);
    free(r->later);
    free(r);
}
