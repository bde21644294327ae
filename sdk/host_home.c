/* What a home knows of the actors that were spawned from it, and names.
 *
 * Design notes
 * A name is kept by the first node that lives, counted from one that its letters choose. Homes
 * claim the names of their actors anew when a node is lost or comes back; so names move with their
 * keepers, and whoever looks one up asks the node that it would have claimed it from. */
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/plant.h"
#include "sdk/host.h"

/* ---- names: who keeps them ---- */

static uint32_t hash_of(const char *name) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

static uint32_t keeper_of(const sl_host *host, const char *name) {
    uint32_t first = hash_of(name) % host->count;
    for (uint32_t i = 0; i < host->count; i++)
        if (sl_host_is_alive(host, (first + i) % host->count))
            return (first + i) % host->count;
    return host->rank;
}

static void tell_one(sl_host *host, uint32_t keeper, const sl_record_of *record, uint64_t tag,
                     bool free) {
    sl_actor_id id = record->node.id;
    actor_name body = {.tag = tag,
                       .life = id.life,
                       .number = id.number,
                       .place = record->place,
                       .free = free,
                       .name = sl_text_of(record->name)};
    (void)actor_name_send(host->self, sl_host_at(keeper), &body);
}

/* That it is this one's, who keeps it from now on; and who did so before does no more. */
static void claim(sl_host *host, sl_record_of *record) {
    uint32_t before = record->keeper;
    record->keeper = keeper_of(host, record->name);
    tell_one(host, record->keeper, record, record->node.id.number, false);
    if (before != record->keeper && before != SL_NO_NODE && !SL_PLANT(name_kept))
        tell_one(host, before, record, 0, true);
}

static sl_name_entry **name_at(sl_host *host, const char *name) {
    sl_name_entry **at = &host->names[hash_of(name) / 7 % SL_NAME_BUCKETS];
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void say_named(sl_host *host, uint32_t to, uint64_t tag, const sl_name_entry *entry) {
    actor_named body = {.tag = tag, .error = entry ? SL_OK : SL_ERR_NOT_FOUND};
    if (entry) {
        body.home = entry->id.home;
        body.life = entry->id.life;
        body.number = entry->id.number;
        body.place = entry->place;
    }
    (void)actor_named_send(host->self, sl_host_at(to), &body);
}

void sl_host_on_name(sl_host *host, uint32_t from, const actor_name *name) {
    sl_actor_id id = {from, name->life, name->number};
    sl_name_entry **at = name_at(host, name->name.data), *entry = *at;
    if (name->free) {
        if (entry && sl_id_equal(entry->id, id)) {
            *at = entry->next;
            free(entry);
        }
        return;
    }
    if (!entry && (entry = calloc(1, sizeof *entry))) {
        entry->id = id;
        entry->place = name->place;
        snprintf(entry->name, sizeof entry->name, "%s", name->name.data);
        *at = entry;
    }
    if (entry && sl_id_equal(entry->id, id))
        entry->place = name->place;
    if (name->tag)
        say_named(host, from, name->tag, entry);
}

void sl_host_on_find(sl_host *host, uint32_t from, const actor_find *find) {
    say_named(host, from, find->tag, *name_at(host, find->name.data));
}

static void forget_names_of(sl_host *host, uint32_t node) {
    for (uint32_t i = 0; i < SL_NAME_BUCKETS; i++)
        for (sl_name_entry **at = &host->names[i], *entry; (entry = *at);) {
            if (entry->id.home != node) {
                at = &entry->next;
                continue;
            }
            *at = entry->next;
            free(entry);
        }
}

/* ---- those who want to hear of an actor's end ---- */

static void say_end(sl_host *host, uint32_t to, uint64_t tag, const char *why) {
    _Alignas(8) uint8_t wire[1200];
    size_t bytes = sl_host_encode_text(why, wire, sizeof wire);
    actor_answer body = {.tag = tag, .output = {wire, (uint32_t)bytes}};
    sl_host_answer(host, to, &body);
}

static void tell_watchers(sl_host *host, sl_record_of *record, const char *why) {
    for (sl_watcher *next; record->watchers; record->watchers = next) {
        next = record->watchers->next;
        if (host)
            say_end(host, record->watchers->node, record->watchers->tag, why);
        free(record->watchers);
    }
}

void sl_host_on_watch(sl_host *host, uint32_t from, const actor_watch *watch) {
    sl_actor_id id = {host->rank, watch->life, watch->number};
    sl_record_of *record = sl_id_find(&host->records, id);
    sl_watcher *watcher = record ? malloc(sizeof *watcher) : NULL;
    if (!watcher) {
        say_end(host, from, watch->tag,
                record ? "its home has no memory to watch it"
                       : "there is no such actor (any more)");
        return;
    }
    *watcher = (sl_watcher){record->watchers, from, watch->tag};
    record->watchers = watcher;
}

void sl_host_watch(sl_host *host, sl_order *order) {
    sl_actor_id id = order->letter->id;
    actor_watch body = {.life = id.life, .number = id.number};
    body.tag = sl_host_ask(host, order, (sl_actor_id){.home = id.home, .number = SL_ASK_END});
    if (!body.tag) {
        sl_order_end(host, order, SL_ERR_NO_MEMORY, NULL);
        return;
    }
    order->future = NULL;
    order->asker = NULL;
    sl_order_end(host, order, SL_OK, NULL);
    if (!sl_host_is_alive(host, id.home) ||
        actor_watch_send(host->self, sl_host_at(id.home), &body) != SL_OK)
        sl_host_asks_peer(host, id.home);
}

/* ---- the end of a record ---- */

static void record_free(sl_record_of *record) {
    sl_letter_destroy(record->start);
    sl_blob_release(record->saved);
    free(record->passed);
    for (uint32_t i = 0; i < record->object_count; i++)
        sl_object_release(record->objects[i]);
    free(record->objects);
    free(record);
}

static void forget(sl_host *host, sl_record_of *record, const char *why) {
    if (record->name[0]) /* behind its claim, if that is on its way */
        tell_one(host, record->keeper, record, 0, true);
    if (record->claiming)
        sl_order_end(host, record->claiming, SL_ERR_DEAD, NULL);
    tell_watchers(host, record, why);
    sl_id_remove(&host->records, &record->node);
    record_free(record);
}

/* On the lane of its coming, which it shall not overtake. On its way elsewhere it is told when it
 * says that it has come. */
void sl_host_dismiss(sl_host *host, sl_order *order) {
    sl_record_of *record = sl_id_find(&host->records, order->letter->id);
    if (record) {
        actor_dismiss body = {record->node.id.life, record->node.id.number};
        (void)sl_host_post(host, record->place, &actor_dismiss_type, &body);
        forget(host, record, "its client has left");
    }
    sl_order_end(host, order, SL_OK, NULL);
}

/* What it takes to start it again. */
static void keep_start(sl_record_of *record, const sl_order *order) {
    sl_letter *letter = order->letter;
    record->objects = letter->objects; /* until it ends, as it may keep their names */
    record->object_count = letter->object_count;
    letter->objects = NULL;
    letter->object_count = 0;
    if (!order->restart_on_error && !order->restart_on_loss)
        return;
    record->start = sl_letter_create("", letter->argument_bytes);
    if (!record->start) /* it is not, then */
        return;
    memcpy(record->start->arguments, letter->arguments, letter->argument_bytes);
    record->start->apart = sl_blob_retain(letter->apart);
    record->actor_kind = order->actor_kind;
    record->restart_on_error = order->restart_on_error;
    record->restart_on_loss = order->restart_on_loss;
    record->restarts_most = order->restarts_most;
    record->restarts_ns = order->restarts_ns;
    record->save_every = order->save_every;
}

/* ---- starting again ---- */

/* One restart more: false when there were too many within the time. */
static bool may_restart(sl_host *host, sl_record_of *record) {
    uint64_t now_ns = sl_now_ns(host->self);
    if (!record->restarts || now_ns - record->since_ns > record->restarts_ns) {
        record->since_ns = now_ns;
        record->restarts = 0;
    }
    return record->start && record->restarts++ < record->restarts_most;
}

/* What a node is told of an actor that shall begin a life there. */
static actor_come begins(const sl_host *host, const sl_record_of *record, const char *kind,
                         const sl_letter *start) {
    sl_actor_id id = record->node.id;
    return (actor_come){.home = id.home,
                        .life = id.life,
                        .number = id.number,
                        .epoch = record->epoch,
                        .answer_node = host->rank,
                        .kind = sl_text_of(kind),
                        .arguments = {start->arguments, (uint32_t)start->argument_bytes},
                        .apart = start->apart};
}

static sl_err restart(sl_host *host, sl_record_of *record, uint32_t place, const void *passed,
                      uint32_t passed_count) {
    record->place = record->from = place;
    record->epoch = ((record->epoch >> SL_EPOCH_LIFE) + 1) << SL_EPOCH_LIFE;
    actor_come body = begins(host, record, record->actor_kind->name, record->start);
    body.supervised = record->restart_on_error;
    body.saves = true;
    body.save_every = record->save_every;
    body.moves = record->saved && !SL_PLANT(state_forgotten);
    body.state = SL_PLANT(state_forgotten) ? NULL : record->saved;
    body.passed.items = passed;
    body.passed.count = passed_count;
    return sl_host_post(host, place, &actor_come_type, &body);
}

/* The next node after `place` that actors may live on. */
static uint32_t place_after(const sl_host *host, uint32_t place) {
    do
        place = (place + 1) % host->count;
    while (place != host->rank && !(sl_host_is_alive(host, place) && sl_host_serves(host, place)));
    return place;
}

/* Its node is lost. True: it is started again elsewhere, or, as its name is not its own yet, will
 * be. */
static bool lose(sl_host *host, sl_record_of *record) {
    if (record->claiming && record->claiming->restart_on_loss) {
        record->place = record->from = place_after(host, record->place);
        record->epoch++; /* of the other place some may have heard */
        return true;
    }
    bool again = record->restart_on_loss && may_restart(host, record);
    for (uint32_t i = 1; again && i <= host->count; i++) {
        uint32_t place = (record->place + i) % host->count;
        if (!sl_host_is_alive(host, place) || !sl_host_serves(host, place))
            continue;
        if (restart(host, record, place, record->passed, record->passed_count) == SL_OK)
            return true;
    }
    forget(host, record, "its node was lost");
    return false;
}

/* ---- spawning ---- */

static void launch(sl_host *host, sl_record_of *record, sl_order *order) {
    actor_come body = begins(host, record, order->actor_kind->name, order->letter);
    body.supervised = order->restart_on_error;
    body.saves = order->restart_on_error || order->restart_on_loss;
    body.save_every = order->save_every;
    sl_err err = sl_host_post(host, record->place, &actor_come_type, &body);
    keep_start(record, order);
    sl_order_end(host, order, SL_OK, NULL);
    record->claiming = NULL;
    if (err == SL_ERR_DEAD && !sl_host_is_alive(host, record->place)) {
        (void)lose(host, record); /* before it was there */
        return;
    }
    if (err == SL_OK)
        return;
    sl_warn("host", "an actor cannot start on node %u: %s", record->place, sl_err_text(err));
    forget(host, record, "it could not be started");
}

void sl_host_spawn(sl_host *host, sl_order *order) {
    sl_record_of *record = calloc(1, sizeof *record);
    if (record) {
        record->node.id = order->letter->id;
        record->place = record->from = order->letter->place;
        record->epoch = 1;
        record->keeper = SL_NO_NODE;
        memcpy(record->name, order->name, sizeof record->name);
    }
    if (!record || sl_id_add(&host->records, &record->node) != SL_OK) {
        sl_error("host", "no memory for an actor");
        free(record);
        sl_order_end(host, order, SL_ERR_NO_MEMORY, NULL);
        return;
    }
    if (!record->name[0]) {
        launch(host, record, order);
        return;
    }
    record->claiming = order;
    claim(host, record);
}

/* Claims are tagged by the actor's number, look-ups by the tag of an ask, whose upper half is never
 * 0; a number that large is not reached. */
static bool is_claim(uint64_t tag) {
    return tag >> 32 == 0;
}

static void on_claimed(sl_host *host, const actor_named *named) {
    sl_actor_id mine = {host->rank, host->life, named->tag};
    sl_record_of *record = sl_id_find(&host->records, mine);
    if (!record)
        return;
    bool own = named->error == SL_OK &&
               sl_id_equal(mine, (sl_actor_id){named->home, named->life, named->number});
    if (own && record->claiming) {
        launch(host, record, record->claiming);
    } else if (!own && record->claiming) {
        sl_warn("host", "the name %s is taken", record->name);
        forget(host, record, "its name is taken");
    } else if (!own) {
        sl_warn("host", "the name %s was taken while its keeper was lost", record->name);
        record->name[0] = '\0';
    }
}

void sl_host_look_up(sl_host *host, sl_order *order) {
    actor_find body = {.name = sl_text_of(order->name)};
    uint32_t keeper = keeper_of(host, order->name);
    /* An ask of the keeper: lost with it. */
    body.tag = sl_host_ask(host, order, (sl_actor_id){.home = keeper});
    if (!body.tag) {
        sl_order_end(host, order, SL_ERR_NO_MEMORY, NULL);
        return;
    }
    if (actor_find_send(host->self, sl_host_at(keeper), &body) != SL_OK)
        sl_host_end_ask(host, body.tag, SL_ERR_DEAD, "the keeper of the name was lost", NULL, 0,
                        NULL);
    free(order);
}

void sl_host_on_named(sl_host *host, const actor_named *named) {
    uint8_t wire[128];
    sl_value_size size;
    if (is_claim(named->tag)) {
        on_claimed(host, named);
        return;
    }
    if (!host->client)
        return;
    if (named->error != SL_OK) {
        sl_host_end_ask(host, named->tag, SL_ERR_NOT_FOUND, "no actor has that name", NULL, 0,
                        NULL);
        return;
    }
    sl_actor_ref actor = {named->home, named->place, named->life, named->number};
    sl_value value = sl_actor_value(&actor);
    if (sl_values_measure(&value, 1, &size) != SL_OK || size.bytes > sizeof wire)
        return;
    sl_values_encode(&value, 1, wire, NULL);
    sl_host_end_ask(host, named->tag, SL_OK, NULL, wire, size.bytes, NULL);
}

/* ---- what becomes of it ---- */

void sl_host_on_failed(sl_host *host, uint32_t from, const actor_failed *failed) {
    sl_actor_id id = {host->rank, failed->life, failed->number};
    sl_record_of *record = sl_id_find(&host->records, id);
    if (!record || failed->epoch < record->epoch)
        return; /* who holds its messages asks where it is */
    if (record->restart_on_error && may_restart(host, record) &&
        restart(host, record, from, failed->passed.items, failed->passed.count) == SL_OK)
        return;
    forget(host, record, "its body failed too often");
}

static bool keep_saved(sl_record_of *record, const actor_saved *saved) {
    uint32_t count = saved->passed.count;
    actor_passed *passed = malloc((count + 1) * sizeof *passed);
    if (!passed)
        return false;
    if (count)
        memcpy(passed, saved->passed.items, count * sizeof *passed);
    free(record->passed);
    sl_blob_release(record->saved);
    record->passed = passed;
    record->passed_count = count;
    record->saved = sl_blob_retain(saved->state);
    return true;
}

/* The newest is what counts; of an older life nothing does any more. */
void sl_host_on_saved(sl_host *host, uint32_t from, const actor_saved *saved) {
    sl_actor_id id = {host->rank, saved->life, saved->number};
    sl_record_of *record = sl_id_find(&host->records, id);
    if (!record || saved->epoch >> SL_EPOCH_LIFE != record->epoch >> SL_EPOCH_LIFE ||
        !saved->state) {
        actor_quit quit = {.life = saved->life,
                           .number = saved->number,
                           .epoch = record ? record->epoch : UINT64_MAX};
        (void)actor_quit_send(host->self, sl_host_at(from), &quit);
        return;
    }
    actor_kept kept = {saved->life, saved->number, saved->epoch};
    if (!keep_saved(record, saved)) {
        actor_quit quit = {saved->life, saved->number, UINT64_MAX};
        (void)actor_quit_send(host->self, sl_host_at(from), &quit);
        forget(host, record, "its home has no memory for its state");
        return;
    }
    (void)actor_kept_send(host->self, sl_host_at(from), &kept);
}

/* ---- the home ---- */

void sl_host_on_where(sl_host *host, uint32_t from, const actor_where *where) {
    sl_actor_id id = {host->rank, where->life, where->number};
    const sl_record_of *record = sl_id_find(&host->records, id);
    if (!record) {
        sl_host_say_lost(host, from, id, 0, SL_ERR_DEAD, false,
                         "there is no such actor (any more)");
        return;
    }
    actor_moved body = {id.home, id.life, id.number, record->epoch, record->place};
    (void)actor_moved_send(host->self, sl_host_at(from), &body);
}

/* From where it leaves, and from where it comes to, in any order. */
void sl_host_on_here(sl_host *host, uint32_t from, const actor_here *here) {
    sl_actor_id id = {host->rank, here->life, here->number};
    sl_record_of *record = sl_id_find(&host->records, id);
    actor_quit quit = {.life = here->life, .number = here->number};
    if (here->place >= host->count)
        return;
    quit.epoch = record ? record->epoch : UINT64_MAX;
    if (!record || here->epoch >> SL_EPOCH_LIFE < record->epoch >> SL_EPOCH_LIFE) { /* given up */
        (void)actor_quit_send(host->self, sl_host_at(here->place), &quit);
        return;
    }
    if (from == here->place && here->epoch > record->arrived)
        record->arrived = here->epoch;
    if (here->epoch <= record->epoch)
        return;
    record->epoch = here->epoch;
    record->place = here->place;
    record->from = from;
    if (!sl_host_is_alive(host, here->place))
        (void)lose(host, record);
}

void sl_host_on_ended(sl_host *host, const actor_ended *ended) {
    sl_record_of *record =
        sl_id_find(&host->records, (sl_actor_id){host->rank, ended->life, ended->number});
    if (!record || ended->epoch >> SL_EPOCH_LIFE != record->epoch >> SL_EPOCH_LIFE)
        return;
    if (!ended->strayed)
        forget(host, record, ended->message.data);
    else if (record->arrived < ended->epoch && record->epoch <= ended->epoch)
        (void)lose(host, record);
}

/* An actor ends with its node; names are claimed from who keeps them now. */
void sl_host_records_peer(sl_host *host, uint32_t node, bool back) {
    if (!back)
        forget_names_of(host, node);
    for (uint32_t i = 0; i < host->records.capacity; i++)
        for (sl_id_node *at = host->records.buckets[i], *next; at; at = next) {
            sl_record_of *record = (sl_record_of *)(void *)at;
            next = at->next;
            bool lost =
                record->place == node || (record->from == node && record->arrived < record->epoch);
            if (!back && lost && !lose(host, record))
                continue;
            if (record->name[0])
                claim(host, record);
        }
}

void sl_host_home_stop(sl_host *host) {
    for (uint32_t i = 0; i < host->records.capacity; i++)
        for (sl_id_node *at = host->records.buckets[i], *next; at; at = next) {
            sl_record_of *record = (sl_record_of *)(void *)at;
            next = at->next;
            if (record->claiming)
                sl_order_end(host, record->claiming, SL_ERR_CLOSED, NULL);
            tell_watchers(NULL, record, NULL);
            record_free(record);
        }
    free(host->records.buckets);
    for (uint32_t i = 0; i < SL_NAME_BUCKETS; i++)
        for (sl_name_entry *entry; (entry = host->names[i]);) {
            host->names[i] = entry->next;
            free(entry);
        }
}
