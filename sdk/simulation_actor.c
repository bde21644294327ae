/* The actor at every simulated node's driver slot: the user of an owner's tasks, a watcher of the
 * registry, and one who talks to all others in numbered messages. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/scheduler/ledger_reader.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/runtime_msgs.h"
#include "sdk/simulation.h"
#include "sdk/simulation_msgs.h"

#define TICK_NS (20 * SL_NS_PER_MS)
#define WAIT_NS (400 * SL_NS_PER_MS) /* then tasks are submitted, whoever is known */

enum {
    COOKIE_TICK,
    COOKIE_WAITED,
    BATCH_MOST = 6,
    SAY_MOST = 3,
    BURST = 160,
    INLINE_MOST = 2000, /* bytes of a blob that travels in its frame */
    BLOB_MOST = 12000
};

typedef struct actor {
    sl_actor *self;
    sl_sim_host *host;
    bool submitting;
    bool ledger_lost;
} actor;

static sl_sim_user *user_of(const sl_sim_host *host) {
    bool owner = host->number < host->simulation->owners;
    return owner ? &host->simulation->users[host->number] : NULL;
}

/* ---- talk ---- */

static sl_sim_row *row_of(const sl_sim_host *host, sl_lane lane, uint32_t peer) {
    return &host->rows[(size_t)lane * host->simulation->options.nodes + peer];
}

static bool say(actor *a, uint32_t peer, uint64_t most) {
    sl_sim_row *row = row_of(a->host, SL_LANE_DATA, peer);
    simulation_say body = {.number = row->said};
    sl_rng *rng = &a->host->simulation->rng;
    if (sl_rng_below(rng, most < BLOB_MOST ? 2 : 4) == 0) {
        uint64_t bytes = 1 + sl_rng_below(rng, most);
        if (sl_blob_create(bytes, &body.blob) != SL_OK)
            return false;
        sl_sim_fill(body.blob->data, bytes, (uint8_t)row->said);
    }
    bool sent = simulation_say_send(a->self, sl_addr_well_known(peer, SL_SIM_SLOT), &body) == SL_OK;
    row->said += sent;
    sl_blob_release(body.blob);
    return sent;
}

static void shout(actor *a, uint32_t peer) {
    sl_sim_row *row = row_of(a->host, SL_LANE_CONTROL, peer);
    simulation_shout body = {.number = row->said};
    if (simulation_shout_send(a->self, sl_addr_well_known(peer, SL_SIM_SLOT), &body) == SL_OK)
        row->said++;
}

static void talk(actor *a) {
    sl_simulation *simulation = a->host->simulation;
    uint32_t nodes = simulation->options.nodes;
    if (!simulation->chatting || nodes < 2)
        return;
    uint64_t count = sl_rng_below(&simulation->rng, SAY_MOST + 1);
    uint32_t peer = (uint32_t)sl_rng_below(&simulation->rng, nodes);
    if (peer == a->host->number)
        return;
    bool burst = simulation->loud && sl_rng_below(&simulation->rng, 12) == 0;
    for (int i = 0; i < BURST && burst; i++)
        burst = say(a, peer, i % 8 ? INLINE_MOST : BLOB_MOST);
    for (uint64_t i = 0; i < count; i++)
        (void)say(a, peer, BLOB_MOST);
    if (count == SAY_MOST)
        shout(a, peer);
}

static void hear(actor *a, const sl_message *message, sl_lane lane, uint64_t number) {
    sl_simulation *simulation = a->host->simulation;
    uint32_t peer = message->from.node;
    sl_sim_row *row = row_of(a->host, lane, peer);
    if (row->heard != number)
        sl_sim_violate(simulation,
                       "node %u heard message %" PRIu64 " of node %u when %" PRIu64 " was due",
                       a->host->number, number, peer, row->heard);
    row->heard = number + 1;
}

/* With a link all that was said on it is over: what is said on the next is counted from 0. */
static void on_lost(actor *a, uint32_t peer) {
    sl_simulator *simulator = a->host->simulation->simulator;
    sl_simulator_note(simulator, a->host->number, sl_simulator_now_ns(simulator), 0,
                      "loses node %u", peer);
    *row_of(a->host, SL_LANE_DATA, peer) = *row_of(a->host, SL_LANE_CONTROL, peer) =
        (sl_sim_row){.said = 0};
    sl_sim_objects_lost(a->host, peer);
}

static void on_back(actor *a, uint32_t peer) {
    sl_simulator *simulator = a->host->simulation->simulator;
    sl_simulator_note(simulator, a->host->number, sl_simulator_now_ns(simulator), 0,
                      "finds node %u again", peer);
    sl_sim_check_disowned(a->host, peer);
}

static void check_blob(const actor *a, const simulation_say *said) {
    if (said->blob && !sl_sim_is_filled(said->blob->data, said->blob->bytes, (uint8_t)said->number))
        sl_sim_violate(a->host->simulation, "node %u got another blob than was sent",
                       a->host->number);
}

/* ---- the user ---- */

/* An owner's task by its words, as its commands and functions are told. */
static sl_bytes payload_of(const sl_sim_task *task, uint8_t *out) {
    char words[32];
    snprintf(words, sizeof words, "%u.%u", task->owner, task->tag);
    executor_word word = {sl_text_of(words)};
    executor_command command = {.arguments = {&word, 1}};
    executor_function function = {.name = sl_text_of("sim.work"),
                                  .arguments = {(const uint8_t *)words, (uint32_t)strlen(words)}};
    bool is_command = task->kind == SL_TASK_COMMAND;
    const sl_record *record = is_command ? &executor_command_record : &executor_function_record;
    const void *body = is_command ? (const void *)&command : (const void *)&function;
    uint32_t bytes = (uint32_t)sl_record_wire_bytes(record, body);
    sl_record_encode(record, body, out, NULL);
    return (sl_bytes){out, bytes};
}

typedef struct batch {
    scheduler_task tasks[BATCH_MOST];
    scheduler_tag after[BATCH_MOST][SL_SIM_AFTER_MOST];
    char names[BATCH_MOST][24];
    uint8_t payloads[BATCH_MOST][256];
    uint32_t count;
} batch;

static void batch_add(batch *b, const sl_sim_user *user, const sl_sim_task *task) {
    uint32_t at = b->count++, after = 0;
    for (uint32_t i = 0; i < task->after_count; i++) {
        const sl_sim_task *first = &user->tasks[task->after[i]];
        if (!first->ended || first->status != SL_TASK_DONE)
            b->after[at][after++].tag = task->after[i];
    }
    snprintf(b->names[at], sizeof b->names[at], "task-%u", task->tag);
    const char *record = task->in_ledger ? "" : "{\"simulated\":true}";
    b->tasks[at] = (scheduler_task){
        .tag = task->tag,
        .kind = task->kind,
        .cpus = task->cores,
        .memory_bytes = task->memory_bytes,
        .ucu_milli = task->ucu_milli,
        .timeout_ns = task->timeout_ns,
        .priority = task->priority,
        .retries = task->retries,
        .attempts = task->earlier,
        .group = sl_text_of(task->kind == SL_TASK_COMMAND ? "command" : "function"),
        .name = sl_text_of(b->names[at]),
        .record = {(const uint8_t *)record, (uint32_t)strlen(record)},
        .after = {b->after[at], after},
        .payload = payload_of(task, b->payloads[at])};
}

static bool submit_batch(actor *a, sl_sim_user *user) {
    batch b = {.count = 0};
    uint32_t most = 1 + (uint32_t)sl_rng_below(&a->host->simulation->rng, BATCH_MOST);
    uint32_t at = user->next;
    for (; at < user->count && b.count < most; at++) {
        if (!user->tasks[at].ended)
            batch_add(&b, user, &user->tasks[at]);
    }
    if (!b.count) {
        user->next = at;
        return at < user->count;
    }
    scheduler_submit submit = {.tasks = {b.tasks, b.count}};
    sl_addr scheduler = sl_addr_well_known(a->host->number, SL_SLOT_SCHEDULER);
    if (scheduler_submit_send(a->self, scheduler, &submit) != SL_OK)
        return false;
    user->submits++;
    for (uint32_t i = 0; i < b.count; i++) {
        sl_sim_task *task = &user->tasks[b.tasks[i].tag];
        task->submitted = true;
        task->batch = task->in_ledger ? 0 : user->submits;
    }
    user->batches[2 * (size_t)user->batch_count] = (uint32_t)b.tasks[0].tag;
    user->batches[2 * (size_t)user->batch_count++ + 1] = b.count;
    user->next = at;
    return true;
}

static void submit(actor *a) {
    sl_sim_user *user = user_of(a->host);
    if (!user || !a->submitting)
        return;
    if (user->next < user->count && sl_rng_below(&a->host->simulation->rng, 2))
        (void)submit_batch(a, user);
    for (uint32_t tag = 0; tag < user->count; tag++) {
        sl_sim_task *task = &user->tasks[tag];
        scheduler_cancel body = {.tag = tag};
        if (task->cancel && task->accepted && !task->ended && task->submitted &&
            !task->cancel_sent &&
            scheduler_cancel_send(a->self, sl_addr_well_known(a->host->number, SL_SLOT_SCHEDULER),
                                  &body) == SL_OK)
            task->cancel_sent = true;
    }
}

/* Answers come in the order of the submits. */
static void on_accepted(actor *a, const scheduler_accepted *accepted) {
    sl_simulation *simulation = a->host->simulation;
    sl_sim_user *user = user_of(a->host);
    if (a->ledger_lost) /* nothing more is accepted, and what follows is wrong because of that */
        return;
    if (accepted->error == SL_ERR_LEDGER) {
        a->ledger_lost = true;
        sl_sim_session_ends(simulation, sl_simulator_now_ns(simulation->simulator) +
                                            sl_rng_below(&simulation->rng, SL_NS_PER_S));
        return;
    }
    if (accepted->error != SL_OK || !user || !user->batch_count ||
        user->batches[0] != accepted->first_tag || user->batches[1] != accepted->count) {
        sl_sim_violate(simulation, "owner %u: a submit was answered wrongly: %s", a->host->number,
                       accepted->detail.data);
        return;
    }
    memmove(user->batches, user->batches + 2,
            2 * (size_t)(--user->batch_count) * sizeof *user->batches);
    for (uint32_t tag = (uint32_t)accepted->first_tag, left = accepted->count;
         left && tag < user->count; tag++) {
        sl_sim_task *task = &user->tasks[tag];
        if (!task->submitted || task->ended)
            continue;
        task->accepted = true;
        left--;
    }
    sl_sim_pass(simulation, SL_SIM_AT_ACCEPTED, a->host->number);
}

/* What an outcome may be, of what is known of its task. */
static void check_outcome(sl_simulation *simulation, const sl_sim_task *task,
                          const scheduler_outcome *outcome) {
    enum { LOSSES_MOST = 3 };
    uint32_t tried = outcome->attempts - task->earlier;
    uint64_t takes_ns = task->kind == SL_TASK_COMMAND ? task->duration_ns : task->work_ns;
    bool late = task->timeout_ns && task->timeout_ns < takes_ns;
    bool fails = task->exit_code || late;
    if (!task->submitted || task->ended)
        sl_sim_violate(simulation, "task %u.%u ended %s", task->owner, task->tag,
                       task->ended ? "twice" : "and was never submitted");
    else if (outcome->status == SL_TASK_DONE && (!task->successes || fails))
        sl_sim_violate(simulation, "task %u.%u is done and never ended well", task->owner,
                       task->tag);
    else if (task->runs > tried)
        sl_sim_violate(simulation, "task %u.%u was tried %u times and ran %u times", task->owner,
                       task->tag, tried, task->runs);
    else if (tried > task->retries + 1 + LOSSES_MOST)
        sl_sim_violate(simulation, "task %u.%u was tried %u times, with %u retries", task->owner,
                       task->tag, tried, task->retries);
    else if (outcome->status == SL_TASK_FAILED && !simulation->losses && !task->cancel &&
             tried != task->retries + 1)
        sl_sim_violate(simulation, "task %u.%u failed after %u attempts, with %u retries",
                       task->owner, task->tag, tried, task->retries);
    else if (!simulation->losses && !fails && !task->cancel && !task->after_count &&
             outcome->status != SL_TASK_DONE)
        sl_sim_violate(simulation, "task %u.%u ended as %u without a cause: %.80s", task->owner,
                       task->tag, outcome->status, outcome->message.data);
    else if (outcome->status == SL_TASK_CANCELLED && !task->cancel)
        sl_sim_violate(simulation, "task %u.%u was cancelled and nobody wanted that", task->owner,
                       task->tag);
}

static void on_done(actor *a, const scheduler_done *done) {
    sl_simulation *simulation = a->host->simulation;
    sl_sim_user *user = user_of(a->host);
    for (uint32_t i = 0; i < done->outcomes.count; i++) {
        const scheduler_outcome *outcome = &done->outcomes.items[i];
        if (!user || outcome->tag >= user->count) {
            sl_sim_violate(simulation, "node %u heard of a task that is not its own",
                           a->host->number);
            return;
        }
        sl_sim_task *task = &user->tasks[outcome->tag];
        check_outcome(simulation, task, outcome);
        sl_simulator_mark(simulation->simulator,
                          (uint64_t)task->owner << 40 | outcome->tag << 8 | outcome->status);
        task->ended = true;
        task->status = outcome->status;
        user->ended++;
    }
    sl_sim_pass(simulation, SL_SIM_AT_DONE, a->host->number);
}

/* ---- resuming ---- */

static bool is_final(sl_ledger_state state) {
    return state == SL_LEDGER_DONE || state == SL_LEDGER_FAILED || state == SL_LEDGER_CANCELLED ||
           state == SL_LEDGER_SKIPPED;
}

static uint8_t status_of(sl_ledger_state state) {
    return state == SL_LEDGER_DONE        ? SL_TASK_DONE
           : state == SL_LEDGER_CANCELLED ? SL_TASK_CANCELLED
           : state == SL_LEDGER_SKIPPED   ? SL_TASK_SKIPPED
                                          : SL_TASK_FAILED;
}

static sl_err take_entry(void *context, const sl_ledger_entry *entry) {
    sl_sim_user *user = context;
    if (entry->task.id >= user->count)
        return SL_OK;
    sl_sim_task *task = &user->tasks[entry->task.id];
    task->in_ledger = true;
    task->accepted = true;
    task->earlier = entry->attempts;
    if (is_final(entry->state) && !task->ended) {
        task->ended = true; /* it was on disk, and its user not told yet */
        task->status = status_of(entry->state);
        user->ended++;
    }
    return SL_OK;
}

static bool waits_for_failure(const sl_sim_user *user, const sl_sim_task *task) {
    for (uint32_t i = 0; i < task->after_count; i++) {
        const sl_sim_task *first = &user->tasks[task->after[i]];
        if (first->ended && first->status != SL_TASK_DONE)
            return true;
    }
    return false;
}

/* As sdk/run_resume.c does: what can never run is skipped before anything is submitted. */
static sl_err skip(sl_sim_host *host, sl_sim_user *user, sl_sim_task *task) {
    char name[24];
    snprintf(name, sizeof name, "task-%u", task->tag);
    sl_ledger_record records[2] = {
        {.kind = SL_LEDGER_TASK,
         .task = {.id = task->tag, .name = name, .spec = "{}", .cpus = task->cores}},
        {.kind = SL_LEDGER_RESULT,
         .outcome = {.task = task->tag, .state = SL_LEDGER_SKIPPED, .exit_code = -1, .rank = -1}}};
    size_t first = task->in_ledger ? 1 : 0;
    SL_TRY(sl_ledger_post(host->ledger, records + first, 2 - first, NULL, NULL));
    task->ended = true;
    task->status = SL_TASK_SKIPPED;
    user->ended++;
    return SL_OK;
}

sl_err sl_sim_user_resume(sl_sim_host *host) {
    sl_sim_user *user = &host->simulation->users[host->number];
    user->next = user->batch_count = 0;
    for (uint32_t tag = 0; tag < user->count; tag++) {
        sl_sim_task *task = &user->tasks[tag];
        task->submitted = task->in_ledger = task->cancel_sent = false;
        task->runs = 0;
        task->earlier = 0;
    }
    sl_sim_check_ledger(host, false);
    for (uint32_t tag = 0; tag < user->count; tag++)
        user->tasks[tag].batch = 0;
    sl_ledger_reader *reader;
    SL_TRY(sl_ledger_reader_open_on(sl_ledger_simdisk_base(host->disk), "ledger.db", &reader));
    sl_err err = sl_ledger_read_tasks(reader, 0, take_entry, user);
    sl_ledger_reader_close(reader);
    for (uint32_t tag = 0; err == SL_OK && tag < user->count; tag++) {
        if (!user->tasks[tag].ended && waits_for_failure(user, &user->tasks[tag]))
            err = skip(host, user, &user->tasks[tag]);
    }
    if (err == SL_OK)
        err = sl_ledger_flush(host->ledger);
    return err;
}

/* ---- the network ---- */

static void on_view(actor *a, const registry_view *view) {
    sl_sim_host *host = a->host;
    for (uint32_t i = 0; i < view->members.count; i++) {
        const registry_member *member = &view->members.items[i];
        if (member->node >= host->simulation->options.nodes)
            continue;
        host->known += host->states[member->node] == UINT8_MAX;
        host->states[member->node] = member->state;
        if (member->node == host->number)
            host->own = *member->offer.items;
    }
    if (host->known == host->simulation->options.nodes)
        a->submitting = true;
}

/* ---- the actor ---- */

static sl_err actor_start(sl_actor *self, void *state, const void *arguments) {
    actor *a = state;
    a->self = self;
    a->host = *(sl_sim_host *const *)arguments;
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    (void)sl_timer_start(self, TICK_NS, COOKIE_TICK);
    (void)sl_timer_start(self, WAIT_NS, COOKIE_WAITED);
    registry_watch watch = {};
    return registry_watch_send(self, sl_addr_well_known(a->host->number, SL_SLOT_REGISTRY), &watch);
}

static void on_timer(actor *a, const node_timer *timer) {
    if (timer->cookie == COOKIE_WAITED) {
        a->submitting = true;
        return;
    }
    talk(a);
    submit(a);
    sl_sim_objects_tick(a->self, a->host);
    sl_sim_check_tick(a->host);
    (void)sl_timer_start(a->self, TICK_NS, COOKIE_TICK);
}

static sl_err actor_receive(sl_actor *self, void *state, const sl_message *message) {
    actor *a = state;
    (void)self;
    switch (message->type->id) {
    case simulation_say_id:
        hear(a, message, SL_LANE_DATA, ((const simulation_say *)message->body)->number);
        check_blob(a, message->body);
        break;
    case simulation_shout_id:
        hear(a, message, SL_LANE_CONTROL, ((const simulation_shout *)message->body)->number);
        break;
    case simulation_offer_id:
        sl_sim_objects_hear(a->host, message->from.node, message->body);
        break;
    case registry_view_id:
        on_view(a, message->body);
        break;
    case scheduler_accepted_id:
        on_accepted(a, message->body);
        break;
    case scheduler_done_id:
        on_done(a, message->body);
        break;
    case node_timer_id:
        on_timer(a, message->body);
        break;
    case node_peer_lost_id:
        on_lost(a, ((const node_peer_lost *)message->body)->node);
        break;
    case node_peer_back_id:
        on_back(a, ((const node_peer_back *)message->body)->node);
        break;
    default:
        break;
    }
    return SL_OK;
}

const sl_actor_class sl_sim_actor_class = {.name = "simulated",
                                           .state_bytes = sizeof(actor),
                                           .start = actor_start,
                                           .receive = actor_receive};
