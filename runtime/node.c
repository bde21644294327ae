/* Design notes
 * A turn: take what the transport has, what other threads and timers have to say, run actors for a
 * bounded time, let frames leave. A loop with nothing to do polls for spin_ns, then arms the
 * doorbell, looks once more at everything, and sleeps. The end: node_stop stops the actors; what
 * they sent still leaves; goodbye is the last frame to each peer; the loop returns when every live
 * peer has said its own. */
#include "runtime/node_internal.h"

#include <string.h>

static const uint64_t default_window_bytes = 1 << 20;
static const uint64_t default_blob_window_bytes = 64 << 20;
static const uint32_t default_mailbox_limit = 65536;

/* ---- the actor at slot 0 ---- */

static sl_err node_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type == &node_stop_type)
        sl_node_stop(self->node, ((const node_stop *)message->body)->code);
    return SL_OK;
}

static const sl_actor_class node_class = {.name = "node", .receive = node_receive};

/* ---- creation ---- */

/* A window holds several frames, so that a quarter of it is always worth telling of. */
static void apply_defaults(sl_node_options *options) {
    uint64_t window_min_bytes = 4 * options->transport->frame_bytes;
    if (!options->mailbox_limit)
        options->mailbox_limit = default_mailbox_limit;
    if (!options->window_bytes)
        options->window_bytes = default_window_bytes;
    if (options->window_bytes < window_min_bytes)
        options->window_bytes = window_min_bytes;
    if (!options->blob_window_bytes)
        options->blob_window_bytes = default_blob_window_bytes;
    if (!options->idle_max_ns)
        options->idle_max_ns = SL_NS_PER_S;
    if (!options->close_timeout_ns)
        options->close_timeout_ns = 10 * SL_NS_PER_S;
    if (!options->clock)
        options->clock = &sl_clock_real;
}

static sl_err node_init(sl_node *node, const sl_node_options *options) {
    node->options = *options;
    apply_defaults(&node->options);
    node->transport = options->transport;
    node->clock = node->options.clock;
    node->id = options->transport->self;
    node->incarnation = options->incarnation;
    node->metrics = options->metrics;
    sl_slab_init(&node->slab);
    sl_timers_init(&node->timers);
    sl_rng_seed(&node->rng, options->seed);
    if (!node->metrics) {
        node->own_metrics = calloc(1, sizeof *node->own_metrics);
        if (!node->own_metrics)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for a node");
        sl_metrics_init(node->own_metrics);
        node->metrics = node->own_metrics;
    }
    SL_TRY(sl_channels_init(node));
    if (options->rejoins)
        sl_links_rejoin(node);
    return sl_node_spawn(node, SL_SLOT_NODE, &node_class, NULL, 0, NULL);
}

static bool take_events(sl_node *node);

void sl_node_abandon(sl_node *node) {
    node->phase = SL_NODE_CLOSED;
    sl_actors_destroy(node);
}

static void node_fini(sl_node *node) {
    sl_node_abandon(node);
    (void)take_events(node); /* told to nobody: dropped */
    sl_channels_fini(node);
    for (uint32_t i = 0; i < node->chunk_count; i++)
        free(node->chunks[i]);
    free(node->chunks);
    free(node->waiters);
    free(node->peer_watchers);
    sl_timers_fini(&node->timers);
    sl_slab_fini(&node->slab);
    free(node->own_metrics);
    free(node);
}

sl_err sl_node_create(const sl_node_options *options, sl_node **out) {
    if (options->transport->frame_bytes < 512)
        return sl_fail(SL_ERR_INVALID, "frames of %zu bytes are too small",
                       options->transport->frame_bytes);
    sl_node *node = calloc(1, sizeof *node);
    if (!node)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a node");
    sl_err err = node_init(node, options);
    if (err != SL_OK) {
        node_fini(node); /* the transport stays the caller's */
        return err;
    }
    *out = node;
    return SL_OK;
}

sl_err sl_node_spawn(sl_node *node, uint32_t slot, const sl_actor_class *actor_class,
                     const void *arguments, size_t argument_bytes, sl_addr *actor) {
    return sl_actor_create(node, slot, NULL, actor_class, arguments, argument_bytes, actor);
}

uint32_t sl_node_id(const sl_node *node) {
    return node->id;
}

uint32_t sl_node_count(const sl_node *node) {
    return node->transport->count;
}

sl_rng *sl_node_rng(sl_node *node) {
    return &node->rng;
}

sl_metrics *sl_node_metrics(sl_node *node) {
    sl_metric_set(node->metrics, SL_METRIC_actors_alive, (int64_t)node->actors_alive);
    sl_metric_set(node->metrics, SL_METRIC_queue_depth, (int64_t)node->messages_waiting);
    sl_metric_set(node->metrics, SL_METRIC_blob_bytes, (int64_t)sl_blob_alive_bytes());
    return node->metrics;
}

/* ---- peers ---- */

bool sl_node_peer_alive(const sl_node *node, uint32_t peer) {
    return peer < node->transport->count && node->channels.peers[peer]->state <= SL_PEER_LIVE;
}

void sl_node_watch_peers(sl_node *node, sl_addr actor) {
    sl_addr *watchers =
        realloc(node->peer_watchers, (node->peer_watcher_count + 1) * sizeof *watchers);
    if (!watchers)
        return;
    node->peer_watchers = watchers;
    watchers[node->peer_watcher_count++] = actor;
}

static void tell_peer_watchers(sl_node *node, const sl_message_type *type, const void *body) {
    for (uint32_t i = 0; i < node->peer_watcher_count; i++)
        (void)sl_node_tell(node, node->peer_watchers[i], type, body);
}

static void tell_lost(sl_node *node, uint32_t peer, bool calls, bool ended) {
    node_peer_lost body = {peer, calls, node->channels.peers[peer]->barred, ended};
    tell_peer_watchers(node, &node_peer_lost_type, &body);
}

void sl_node_tell_lost(sl_node *node, uint32_t peer, bool calls) {
    tell_lost(node, peer, calls, false);
}

void sl_node_tell_back(sl_node *node, uint32_t peer, bool buried) {
    node_peer_back body = {peer, buried};
    tell_peer_watchers(node, &node_peer_back_type, &body);
}

void sl_node_peer_hold(sl_node *node, uint32_t peer, bool hold) {
    if (peer < node->transport->count && peer != node->id)
        sl_channel_hold(node, peer, hold);
}

bool sl_node_peer_held(const sl_node *node, uint32_t peer) {
    return peer < node->transport->count && sl_channel_held(node, peer);
}

void sl_node_peer_ask(sl_node *node, uint32_t peer) {
    if (peer < node->transport->count && peer != node->id)
        sl_channel_ask(node, peer);
}

uint64_t sl_node_peer_frames(const sl_node *node, uint32_t peer, uint64_t *ago_ns) {
    *ago_ns = 0;
    return peer < node->transport->count ? sl_channel_frames(node, peer, ago_ns) : 0;
}

void sl_node_peer_lost(sl_node *node, uint32_t peer) {
    if (peer >= node->transport->count || peer == node->id ||
        node->channels.peers[peer]->state == SL_PEER_LOST)
        return;
    sl_link_lose(node, peer);
    sl_node_tell_lost(node, peer, false);
}

void sl_node_peer_gone(sl_node *node, uint32_t peer) {
    if (sl_node_peer_is_gone(node, peer) || peer == node->id)
        return;
    sl_link_bar(node, peer);
    sl_node_tell_lost(node, peer, false); /* again, to those who still hoped */
}

void sl_node_peer_ended(sl_node *node, uint32_t peer) {
    if (sl_node_peer_is_gone(node, peer) || peer == node->id)
        return;
    if (!node->transport->replaces)
        sl_link_bar(node, peer);
    else if (node->channels.peers[peer]->state != SL_PEER_LOST)
        sl_link_lose(node, peer);
    tell_lost(node, peer, false, true);
}

bool sl_node_peer_is_gone(const sl_node *node, uint32_t peer) {
    return peer >= node->transport->count || node->channels.peers[peer]->barred;
}

void sl_node_call_peer(sl_node *node, uint32_t peer) {
    if (!sl_node_peer_is_gone(node, peer) && peer != node->id &&
        node->channels.peers[peer]->state == SL_PEER_LOST && node->phase == SL_NODE_RUNNING)
        sl_link_call(node, peer);
}

uint32_t sl_node_incarnation(const sl_node *node) {
    return node->incarnation;
}

sl_err sl_node_tell(sl_node *node, sl_addr to, const sl_message_type *type, const void *body) {
    sl_err err = sl_deliver_local(node, SL_NO_ADDR, to, type, body);
    if (err == SL_ERR_NO_MEMORY && node->failure == SL_OK) {
        sl_error("node", "no memory to tell an actor of %s, the node ends", type->record.name);
        node->failure = err;
        sl_node_stop(node, 1);
    }
    return err;
}

/* ---- other threads ---- */

void sl_notify(sl_node *node, sl_event *event) {
    sl_event *head = atomic_load_explicit(&node->events, memory_order_relaxed);
    do
        event->next = head;
    while (!atomic_compare_exchange_weak_explicit(&node->events, &head, event, memory_order_release,
                                                  memory_order_relaxed));
    node->transport->ops->wake(node->transport);
}

void sl_node_stop(sl_node *node, uint32_t code) {
    uint32_t none = 0;
    if (atomic_compare_exchange_strong(&node->stop_requested, &none, (code & 0xff) + 1))
        node->transport->ops->wake(node->transport);
}

static bool take_events(sl_node *node) {
    if (!atomic_load_explicit(&node->events, memory_order_relaxed))
        return false;
    sl_event *newest = atomic_exchange_explicit(&node->events, NULL, memory_order_acquire),
             *oldest = NULL;
    while (newest) {
        sl_event *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        sl_event *event = oldest;
        oldest = event->next; /* its owner may free it as soon as it is delivered */
        node_event body = {(uint64_t)(uintptr_t)event};
        sl_err err = sl_node_tell(node, event->to, &node_event_type, &body);
        if (err == SL_ERR_NO_MEMORY) /* its actor still counts on it */
            sl_notify(node, event);
        else if (err != SL_OK && event->drop)
            event->drop(event);
    }
    return true;
}

static bool fire_timers(sl_node *node) {
    if (!node->timers.count)
        return false;
    uint64_t now_ns = node->polled_ns ? node->polled_ns : sl_node_now_ns(node);
    bool fired = false;
    for (sl_timer timer; sl_timers_due(&node->timers, now_ns, &timer); fired = true) {
        node_timer body = {timer.id, timer.cookie};
        sl_metric_add(node->metrics, SL_METRIC_timers_fired, 1);
        if (sl_actor_find(node, timer.owner))
            (void)sl_node_tell(node, timer.owner, &node_timer_type, &body);
    }
    return fired;
}

/* ---- the loop ---- */

static void begin_close(sl_node *node) {
    uint32_t requested = atomic_load_explicit(&node->stop_requested, memory_order_acquire);
    if (!requested)
        return;
    node->code = requested - 1;
    node->phase = SL_NODE_CLOSING;
    node->close_deadline_ns = sl_node_now_ns(node) + node->options.close_timeout_ns;
    sl_actors_destroy(node);
}

static bool all_ended(const sl_node *node) {
    if (node->channels.said_goodbye + 1 < node->transport->count)
        return false;
    for (uint32_t peer = 0; peer < node->transport->count; peer++) {
        if (peer != node->id && !sl_channel_ended(node, peer))
            return false;
    }
    return true;
}

static sl_err name_missing(const sl_node *node) {
    char names[256] = "";
    size_t length = 0;
    for (uint32_t peer = 0; peer < node->transport->count && length < sizeof names - 12; peer++) {
        if (peer != node->id && !sl_channel_ended(node, peer))
            length += (size_t)snprintf(names + length, sizeof names - length, " %u", peer);
    }
    if (!length)
        return sl_fail(SL_ERR_TIMEOUT, "at the end not everything sent could leave this node");
    return sl_fail(SL_ERR_TIMEOUT, "at the end no goodbye came from node%s", names);
}

static void go_on_closing(sl_node *node) {
    bool told = sl_channels_goodbye(node);
    if (told && all_ended(node) && node->transport->ops->drained(node->transport)) {
        node->phase = SL_NODE_CLOSED;
    } else if (sl_node_now_ns(node) > node->close_deadline_ns) {
        sl_err missing = name_missing(node);
        if (node->failure == SL_OK)
            node->failure = missing;
        node->phase = SL_NODE_CLOSED;
    }
}

bool sl_node_turn(sl_node *node) {
    sl_metric_add(node->metrics, SL_METRIC_loop_turns, 1);
    bool busy = sl_channels_poll(node);
    busy |= take_events(node);
    busy |= fire_timers(node);
    busy |= sl_run_actors(node);
    if (node->channels.dirty_count)
        busy |= sl_channels_flush(node);
    if (node->phase == SL_NODE_RUNNING)
        begin_close(node);
    else if (node->phase == SL_NODE_CLOSING)
        go_on_closing(node);
    return busy;
}

static uint64_t sleep_limit_ns(const sl_node *node) {
    uint64_t limit_ns = node->phase == SL_NODE_RUNNING ? node->options.idle_max_ns : SL_NS_PER_MS;
    uint64_t timer_ns = sl_timers_delay_ns(&node->timers, sl_node_now_ns(node));
    return timer_ns < limit_ns ? timer_ns : limit_ns;
}

uint64_t sl_node_rest_ns(const sl_node *node) {
    bool asked_to_stop = node->phase == SL_NODE_RUNNING &&
                         atomic_load_explicit(&node->stop_requested, memory_order_relaxed);
    if (node->urgent.head || node->ready.head || asked_to_stop ||
        atomic_load_explicit(&node->events, memory_order_relaxed))
        return 0;
    uint64_t timer_ns = sl_timers_delay_ns(&node->timers, sl_node_now_ns(node));
    if (node->phase == SL_NODE_CLOSING && timer_ns > SL_NS_PER_MS)
        return SL_NS_PER_MS;
    return timer_ns;
}

bool sl_node_closed(const sl_node *node, sl_err *err, uint32_t *code) {
    if (node->phase != SL_NODE_CLOSED)
        return false;
    *err = node->failure;
    *code = node->code;
    return true;
}

static void sleep_until_woken(sl_node *node) {
    const sl_transport_ops *ops = node->transport->ops;
    uint32_t ticket = ops->arm(node->transport);
    bool busy = sl_node_turn(node);
    if (busy || (node->phase == SL_NODE_RUNNING && atomic_load(&node->stop_requested))) {
        ops->disarm(node->transport);
        node->idle_since_ns = 0;
        return;
    }
    sl_metric_add(node->metrics, SL_METRIC_loop_sleeps, 1);
    uint64_t limit_ns = sleep_limit_ns(node);
    if (limit_ns)
        ops->sleep(node->transport, ticket, limit_ns);
    else
        ops->disarm(node->transport);
}

/* The loop had nothing to do: poll on for a while, then sleep. */
static void idle(sl_node *node) {
    uint64_t now_ns = sl_node_now_ns(node);
    if (!node->idle_since_ns)
        node->idle_since_ns = now_ns;
    if (now_ns - node->idle_since_ns >= node->options.spin_ns)
        sleep_until_woken(node);
}

static _Thread_local bool runs_here;

bool sl_node_runs_here(void) {
    return runs_here;
}

sl_err sl_node_run(sl_node *node, uint32_t *code) {
    sl_log_set_node((int)node->id);
    runs_here = true;
    while (node->phase != SL_NODE_CLOSED) {
        if (sl_node_turn(node))
            node->idle_since_ns = 0;
        else if (node->phase != SL_NODE_CLOSED)
            idle(node);
    }
    runs_here = false;
    if (code)
        *code = node->code;
    return node->failure;
}

bool sl_node_quiet(const sl_node *node) {
    return !node->messages_waiting && !node->channels.queued_bytes &&
           !atomic_load_explicit(&node->events, memory_order_relaxed);
}

sl_node_load sl_node_loads(const sl_node *node) {
    return (sl_node_load){node->actors_alive, node->messages_waiting, node->channels.queued_bytes,
                          node->slab.chunk_bytes};
}

void sl_node_destroy(sl_node *node) {
    if (!node)
        return;
    sl_transport *transport = node->transport;
    node_fini(node);
    transport->ops->close(transport);
}
