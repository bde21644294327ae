/* Sending to actors: each message until it is handled.
 *
 * Design notes
 * At most WINDOW messages are on their way to one actor, and more of them wait here: so what a host
 * holds for its actors is bounded. After a move only a few are, until some are handled: an actor
 * that moves again and again would else be sent a whole window each time. */
#include <stdlib.h>
#include <string.h>

#include "runtime/futex.h"
#include "runtime/log.h"
#include "runtime/plant.h"
#include "sdk/host.h"

enum { WINDOW = 256, WINDOW_MOVED = 4, ORDERS_A_TURN = 1024 };

/* ---- asks ---- */

static bool is_open(const sl_ask *ask) {
    return ask->future || ask->asker;
}

uint64_t sl_host_ask(sl_host *host, const sl_order *order, sl_actor_id id) {
    if (host->ask_free == UINT32_MAX) {
        uint32_t count = host->ask_count ? 2 * host->ask_count : 256;
        sl_ask *asks = realloc(host->asks, count * sizeof *asks);
        if (!asks)
            return 0;
        for (uint32_t i = count; i-- > host->ask_count;) {
            asks[i] = (sl_ask){.id.number = host->ask_free};
            host->ask_free = i;
        }
        host->asks = asks;
        host->ask_count = count;
    }
    uint32_t slot = host->ask_free;
    sl_ask *ask = &host->asks[slot];
    host->ask_free = (uint32_t)ask->id.number;
    *ask = (sl_ask){.future = order->future,
                    .asker = order->asker,
                    .id = id,
                    .turn = ask->turn + 1,
                    .at = SL_NO_NODE,
                    .before = SL_NO_NODE,
                    .to = SL_NO_NODE};
    return (uint64_t)ask->turn << 32 | slot;
}

/* An object that was held for an answer that nobody wants any more. */
static void let_go_of(sl_host *host, const uint8_t *output, size_t bytes) {
    _Alignas(8) uint8_t wire[128];
    sl_value value;
    sl_store_id id;
    sl_store_object *object;
    size_t count;
    if (!bytes || bytes > sizeof wire)
        return;
    memcpy(wire, output, bytes);
    if (sl_values_count(wire, bytes, &count) != SL_OK || count != 1 ||
        sl_values_decode(wire, bytes, NULL, false, &value) != SL_OK || value.type != SL_TYPE_OBJECT)
        return;
    memcpy(&id, value.data, sizeof id);
    if (sl_store_open(host->of->store, id, true, &object) == SL_OK)
        sl_store_object_release(object);
}

static void end_future(sl_host *host, sl_future *future, sl_err err, const char *message,
                       const uint8_t *output, size_t bytes, sl_blob *apart) {
    if (!sl_future_ended(future)) {
        if (err == SL_OK)
            sl_client_end_done(host->client, future, output, bytes, apart);
        else
            sl_client_end(host->client, future, SL_FUTURE_FAILED, err, message);
    } else if (err == SL_OK) {
        let_go_of(host, output, bytes);
    }
    if (!SL_PLANT(future_kept))
        sl_future_drop(future);
}

void sl_host_end_ask(sl_host *host, uint64_t tag, sl_err err, const char *message,
                     const uint8_t *output, size_t bytes, sl_blob *apart) {
    uint32_t slot = (uint32_t)tag;
    sl_ask *ask = slot < host->ask_count ? &host->asks[slot] : NULL;
    if (!ask || !is_open(ask) || ask->turn != tag >> 32) { /* it was ended for another reason */
        let_go_of(host, output, bytes);
        return;
    }
    sl_future *future = ask->future;
    sl_host_asker *asker = ask->asker;
    ask->future = NULL;
    ask->asker = NULL;
    ask->id.number = host->ask_free;
    host->ask_free = slot;
    if (asker)
        asker->told(asker, err, message, output, bytes, apart);
    else
        end_future(host, future, err, message, output, bytes, apart);
}

void sl_host_on_answer(sl_host *host, const actor_answer *answer) {
    sl_err err = answer->error < SL_ERR_COUNT ? (sl_err)answer->error : SL_ERR_FAILED;
    if (host->client)
        sl_host_end_ask(host, answer->tag, err, answer->message.data, answer->output.data,
                        answer->output.bytes, answer->apart);
}

static void end_asks_of(sl_host *host, sl_actor_id id, sl_err err, const char *message) {
    for (uint32_t slot = 0; slot < host->ask_count; slot++)
        if (is_open(&host->asks[slot]) && sl_id_equal(host->asks[slot].id, id))
            sl_host_end_ask(host, (uint64_t)host->asks[slot].turn << 32 | slot, err, message, NULL,
                            0, NULL);
}

/* Of those of no actor: of a node's word on a name that it keeps, or an actor's end, which has come
 * with its home. */
static void end_word(sl_host *host, uint64_t tag, bool of_end) {
    static const char why[] = "the node that it was spawned from was lost";
    uint8_t wire[128];
    if (of_end)
        sl_host_end_ask(host, tag, SL_OK, NULL, wire, sl_host_encode_text(why, wire, sizeof wire),
                        NULL);
    else
        sl_host_end_ask(host, tag, SL_ERR_DEAD, "the keeper of the name was lost", NULL, 0, NULL);
}

/* May that node have been about to answer? Where the actor is now says nothing of it. */
static bool may_come_from(const sl_ask *ask, uint32_t node) {
    return ask->many || ask->at == node || ask->before == node || ask->to == node;
}

/* Where a move goes to may have said that it is there while nothing could be heard of it. */
void sl_host_asks_back(sl_host *host, uint32_t node) {
    for (uint32_t slot = 0; slot < host->ask_count; slot++)
        if (is_open(&host->asks[slot]) && host->asks[slot].to == node)
            sl_host_end_ask(host, (uint64_t)host->asks[slot].turn << 32 | slot, SL_ERR_DEAD,
                            "the node that it was to move to was lost", NULL, 0, NULL);
}

void sl_host_asks_peer(sl_host *host, uint32_t node) {
    for (uint32_t slot = 0; slot < host->ask_count; slot++) {
        const sl_ask *ask = &host->asks[slot];
        uint64_t tag = (uint64_t)ask->turn << 32 | slot;
        if (!is_open(ask))
            continue;
        if (!ask->id.life && ask->id.home == node)
            end_word(host, tag, ask->id.number == SL_ASK_END);
        else if (ask->id.life && may_come_from(ask, node))
            sl_host_end_ask(host, tag, SL_ERR_DEAD, "a node that was to answer was lost", NULL, 0,
                            NULL);
    }
}

/* Its answer may come from there. */
static void note_place(sl_host *host, const sl_letter *letter, uint32_t place) {
    sl_ask *ask = letter->tag ? &host->asks[(uint32_t)letter->tag] : NULL;
    if (!ask || ask->turn != letter->tag >> 32 || ask->at == place)
        return;
    ask->many |= ask->before != SL_NO_NODE && ask->before != place;
    ask->before = ask->at;
    ask->at = place;
    if (letter->what == SL_LETTER_MOVE)
        ask->to = letter->to;
}

/* ---- orders ---- */

static void letter_done(sl_host *host, sl_letter *letter) {
    sl_host_asker *asker = letter->asker;
    if (letter->outside) {
        sl_letter_destroy(letter);
        if (asker)
            asker->told(asker, SL_OK, NULL, NULL, 0, NULL);
        return;
    }
    uint64_t bytes = letter->argument_bytes + (letter->apart ? letter->apart->bytes : 0);
    uint32_t left = atomic_fetch_sub(&host->letters, 1) - 1;
    uint64_t bytes_left = atomic_fetch_sub(&host->letter_bytes, bytes) - bytes;
    sl_letter_destroy(letter);
    if (left <= SL_LETTERS_MOST / 2 && bytes_left <= SL_LETTER_BYTES_MOST / 2 &&
        atomic_load(&host->room_wanted)) {
        atomic_fetch_add(&host->room, 1);
        sl_futex_wake(&host->room);
    }
}

void sl_order_end(sl_host *host, sl_order *order, sl_err err, const char *message) {
    if (order->letter)
        letter_done(host, order->letter);
    if (order->future)
        end_future(host, order->future, err, message, NULL, 0, NULL);
    if (order->asker)
        order->asker->told(order->asker, err, message, NULL, 0, NULL);
    free(order);
}

void sl_host_end_orders(sl_host *host, sl_order *orders) {
    for (sl_order *next; orders; orders = next) {
        next = orders->next;
        sl_order_end(host, orders, SL_ERR_CLOSED, "the network was left before the answer");
    }
}

/* ---- targets ---- */

static void unstall(sl_host *host, sl_target *target) {
    for (sl_target **at = &host->stalled; *at; at = &(*at)->next_stalled)
        if (*at == target) {
            *at = target->next_stalled;
            break;
        }
    target->stalled = false;
}

static void end_target(sl_host *host, sl_target *target, sl_err err, const char *message) {
    sl_actor_id id = target->node.id;
    for (sl_letter *letter; (letter = sl_letters_pop(&target->letters));)
        letter_done(host, letter);
    if (target->stalled)
        unstall(host, target);
    if (host->next_sequence < target->next_sequence)
        host->next_sequence = target->next_sequence;
    sl_id_remove(&host->targets, &target->node);
    free(target);
    end_asks_of(host, id, err, message);
}

static void ask_home(sl_host *host, const sl_target *target) {
    sl_actor_id id = target->node.id;
    actor_where body = {.life = id.life, .number = id.number};
    (void)actor_where_send(host->self, sl_host_at(id.home), &body);
    sl_host_tick(host);
}

static sl_err send_one(sl_host *host, const sl_target *target, const sl_letter *letter) {
    sl_actor_id id = target->node.id;
    actor_tell body = {.home = id.home,
                       .life = id.life,
                       .number = id.number,
                       .from_life = host->life,
                       .epoch = target->epoch,
                       .sequence = letter->sequence,
                       .oldest = target->letters.head->sequence,
                       .tag = letter->tag,
                       .to = letter->to,
                       .what = letter->what,
                       .method = sl_text_of(letter->method),
                       .arguments = {letter->arguments, (uint32_t)letter->argument_bytes},
                       .apart = letter->apart};
    return actor_tell_send(host->self, sl_host_at(target->place), &body);
}

static void stall(sl_host *host, sl_target *target) {
    if (target->stalled)
        return;
    target->stalled = true;
    target->next_stalled = host->stalled;
    host->stalled = target;
}

static void pump(sl_host *host, sl_target *target) {
    while (target->unsent && target->in_flight < target->window && !target->lost) {
        sl_err err =
            host->blocked[target->place] ? SL_ERR_AGAIN : send_one(host, target, target->unsent);
        if (err == SL_ERR_AGAIN) {
            if (!host->blocked[target->place])
                sl_await_room(host->self, sl_host_at(target->place));
            host->blocked[target->place] = true;
            stall(host, target);
            return;
        }
        if (err != SL_OK) { /* DEAD, or no memory: asked again by and by */
            target->lost = true;
            ask_home(host, target);
            return;
        }
        target->in_flight++;
        note_place(host, target->unsent, target->place);
        target->unsent->risked = false;
        target->unsent = target->unsent->next;
    }
}

void sl_host_pump_stalled(sl_host *host) {
    sl_target *all = host->stalled;
    host->stalled = NULL;
    for (sl_target *next; all; all = next) {
        next = all->next_stalled;
        all->stalled = false;
        pump(host, all);
    }
}

static void send_again(sl_host *host, sl_target *target) {
    target->unsent = target->letters.head;
    target->in_flight = 0;
    target->lost = false;
    pump(host, target);
}

static sl_target *target_of(sl_host *host, const sl_letter *letter) {
    sl_target *target = sl_id_find(&host->targets, letter->id);
    if (target)
        return target;
    target = calloc(1, sizeof *target);
    if (!target)
        return NULL;
    target->node.id = letter->id;
    target->place = letter->place;
    target->next_sequence = host->next_sequence;
    target->window = WINDOW;
    if (sl_id_add(&host->targets, &target->node) == SL_OK)
        return target;
    free(target);
    return NULL;
}

static void take_letter(sl_host *host, sl_order *order) {
    sl_letter *letter = order->letter;
    sl_target *target = target_of(host, letter);
    bool asks = order->future || order->asks;
    if (target && asks)
        letter->tag = sl_host_ask(host, order, letter->id);
    if (!target || (asks && !letter->tag)) {
        sl_order_end(host, order, SL_ERR_NO_MEMORY, "no memory for a message");
        return;
    }
    letter->asker = asks ? NULL : order->asker;
    letter->sequence = target->next_sequence++;
    sl_letters_push(&target->letters, letter);
    if (!target->unsent)
        target->unsent = letter;
    free(order);
    pump(host, target);
}

static void take_order(sl_host *host, sl_order *order) {
    if (order->kind == SL_ORDER_LETTER)
        take_letter(host, order);
    else if (order->kind == SL_ORDER_SPAWN)
        sl_host_spawn(host, order);
    else if (order->kind == SL_ORDER_WATCH)
        sl_host_watch(host, order);
    else if (order->kind == SL_ORDER_DISMISS)
        sl_host_dismiss(host, order);
    else
        sl_host_look_up(host, order);
}

static void turn_over(sl_host *host) {
    sl_order *newest = atomic_exchange(&host->inbox, NULL), *oldest = NULL;
    for (sl_order *next; newest; newest = next) {
        next = newest->next;
        newest->next = oldest;
        oldest = newest;
    }
    host->arrived = oldest;
}

void sl_host_take_orders(sl_host *host) {
    for (uint32_t i = 0; i < ORDERS_A_TURN; i++) {
        if (!host->arrived)
            turn_over(host);
        sl_order *order = host->arrived;
        if (!order)
            return;
        host->arrived = order->next;
        take_order(host, order);
    }
    sl_host_again(host);
}

/* ---- what other hosts say ---- */

void sl_host_on_handled(sl_host *host, const actor_handled *handled) {
    sl_target *target =
        sl_id_find(&host->targets, (sl_actor_id){handled->home, handled->life, handled->number});
    if (!target)
        return;
    while (target->letters.head && target->letters.head != target->unsent &&
           target->letters.head->sequence < handled->next) {
        letter_done(host, sl_letters_pop(&target->letters));
        target->in_flight--;
        target->window += target->window < WINDOW;
    }
    pump(host, target);
}

/* Not to be run (again); its number stays. */
static void void_letter(sl_letter *letter) {
    letter->what = SL_LETTER_NOTHING;
    letter->tag = 0;
}

void sl_host_target_moved(sl_host *host, const actor_moved *moved) {
    sl_target *target =
        sl_id_find(&host->targets, (sl_actor_id){moved->home, moved->life, moved->number});
    if (!target || moved->epoch <= target->epoch)
        return;
    bool anew = moved->epoch >> SL_EPOCH_LIFE > target->epoch >> SL_EPOCH_LIFE;
    for (sl_letter *letter = target->letters.head; anew && letter; letter = letter->next)
        if (letter->risked) /* one that kills a node kills one */
            void_letter(letter);
    target->epoch = moved->epoch;
    target->place = moved->place;
    target->window = WINDOW_MOVED;
    if (target->stalled)
        unstall(host, target);
    send_again(host, target);
}

void sl_host_target_lost(sl_host *host, uint32_t from, const actor_lost *lost) {
    sl_target *target =
        sl_id_find(&host->targets, (sl_actor_id){lost->home, lost->life, lost->number});
    if (!target || (lost->final && lost->epoch && lost->epoch < target->epoch))
        return;
    if (lost->final || from == lost->home || !sl_host_is_alive(host, lost->home)) {
        end_target(host, target, lost->error < SL_ERR_COUNT ? (sl_err)lost->error : SL_ERR_DEAD,
                   lost->message.data);
        return;
    }
    target->lost = true;
    ask_home(host, target);
}

/* Goes through all targets; `visit` may end the one it is given. */
static void each_target(sl_host *host, void (*visit)(sl_host *, sl_target *, uint32_t),
                        uint32_t node) {
    for (uint32_t i = 0; i < host->targets.capacity; i++)
        for (sl_id_node *at = host->targets.buckets[i], *next; at; at = next) {
            next = at->next;
            visit(host, (sl_target *)(void *)at, node);
        }
}

static void look_again(sl_host *host, sl_target *target, uint32_t node) {
    (void)node;
    if (!target->lost)
        return;
    if (!sl_host_is_alive(host, target->node.id.home))
        end_target(host, target, SL_ERR_DEAD, "the actor's home was lost");
    else if (!sl_host_is_alive(host, target->place))
        ask_home(host, target);
    else
        send_again(host, target);
}

void sl_host_targets_tick(sl_host *host) {
    if (host->client)
        each_target(host, look_again, 0);
}

static void peer_lost(sl_host *host, sl_target *target, uint32_t node) {
    if (target->node.id.home == node) {
        end_target(host, target, SL_ERR_DEAD, "the actor's home was lost");
        return;
    }
    if (target->place != node)
        return;
    for (sl_letter *letter = target->letters.head; letter != target->unsent; letter = letter->next)
        letter->risked = true;
    end_asks_of(host, target->node.id, SL_ERR_DEAD, "the actor's node was lost");
    for (sl_letter *letter = target->letters.head; letter; letter = letter->next)
        if (letter->tag)
            void_letter(letter);
    target->lost = true;
    ask_home(host, target);
}

static void peer_back(sl_host *host, sl_target *target, uint32_t node) {
    if (target->place == node)
        send_again(host, target);
}

void sl_host_targets_peer(sl_host *host, uint32_t node, bool back) {
    if (host->client)
        each_target(host, back ? peer_back : peer_lost, node);
}

/* ---- the end ---- */

static void close_target(sl_host *host, sl_target *target, uint32_t node) {
    (void)node;
    end_target(host, target, SL_ERR_CLOSED, "the network was left before the answer");
}

void sl_host_send_stop(sl_host *host) {
    each_target(host, close_target, 0);
    for (uint32_t slot = 0; slot < host->ask_count; slot++)
        if (is_open(&host->asks[slot]))
            sl_host_end_ask(host, (uint64_t)host->asks[slot].turn << 32 | slot, SL_ERR_CLOSED,
                            "the network was left before the answer", NULL, 0, NULL);
    sl_host_end_orders(host, host->arrived);
    host->arrived = NULL;
    sl_host_end_orders(host, atomic_exchange(&host->inbox, NULL));
    free(host->targets.buckets);
    free(host->asks);
}
