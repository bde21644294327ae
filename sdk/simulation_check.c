/* What must hold, seen from outside the actors. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "actors/scheduler/ledger_reader.h"
#include "sdk/simulation.h"

enum { MESSAGES_MOST = 20000, QUEUED_MOST = 64 << 20, APART_MOST = 25 /* ticks */ };

void sl_sim_violate(sl_simulation *simulation, const char *format, ...) {
    if (simulation->failed)
        return;
    simulation->failed = true;
    int length = snprintf(simulation->violation, sizeof simulation->violation,
                          "at %.3f ms: ", (double)sl_simulator_now_ns(simulation->simulator) / 1e6);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(simulation->violation + length, sizeof simulation->violation - (size_t)length, format,
              arguments);
    va_end(arguments);
    sl_simulator_note(simulation->simulator, 0, sl_simulator_now_ns(simulation->simulator), 0,
                      "violation: %s", simulation->violation);
}

/* ---- at every step ---- */

void sl_sim_check_step(sl_sim_host *host) {
    const sl_node *node = sl_simulator_node(host->simulation->simulator, host->number);
    sl_node_load load = sl_node_loads(node);
    if (load.messages > MESSAGES_MOST)
        sl_sim_violate(host->simulation, "node %u has %" PRIu64 " messages waiting", host->number,
                       load.messages);
    if (load.queued_bytes > QUEUED_MOST)
        sl_sim_violate(host->simulation, "node %u has %" PRIu64 " bytes waiting to leave",
                       host->number, load.queued_bytes);
}

/* ---- links ---- */

/* Nobody without a link is held for alive, whatever others say, for longer than it takes to tell.
 */
void sl_sim_check_tick(sl_sim_host *host) {
    const sl_node *node = sl_simulator_node(host->simulation->simulator, host->number);
    for (uint32_t peer = 0; peer < host->simulation->options.nodes; peer++) {
        bool apart = peer != host->number && host->states[peer] == SL_MEMBER_ALIVE &&
                     !sl_node_peer_alive(node, peer);
        host->apart[peer] = apart ? (uint8_t)(host->apart[peer] + 1) : 0;
        if (host->apart[peer] > APART_MOST)
            sl_sim_violate(host->simulation,
                           "node %u takes node %u for alive, and has no link to it", host->number,
                           peer);
    }
}

/* Nothing came from one of them to the other for long enough: it has given the link up. */
void sl_sim_check_cut(sl_simulation *simulation, uint32_t from, uint32_t to) {
    const sl_node *node = sl_simulator_node(simulation->simulator, to);
    if (node && sl_simulator_node(simulation->simulator, from) && sl_node_peer_alive(node, from))
        sl_sim_violate(simulation, "node %u keeps its link to node %u, from which nothing comes",
                       to, from);
}

/* What the other had assigned before is ended, or has been told to end. */
void sl_sim_check_disowned(sl_sim_host *host, uint32_t owner) {
    for (const sl_sim_command *each = host->commands; each; each = each->next) {
        if (each->task->owner == owner && !each->leaving && each->status != SL_PROCESS_CANCELLED)
            sl_sim_violate(host->simulation,
                           "node %u goes on with task %u.%u, whose owner has begun anew",
                           host->number, owner, each->task->tag);
    }
}

/* ---- ledgers ---- */

typedef struct audit {
    sl_simulation *simulation;
    sl_sim_user *user;
    bool *seen;
    bool at_end;
} audit;

static bool agrees(uint8_t status, sl_ledger_state state) {
    switch (status) {
    case SL_TASK_DONE:
        return state == SL_LEDGER_DONE;
    case SL_TASK_CANCELLED:
        return state == SL_LEDGER_CANCELLED;
    case SL_TASK_SKIPPED:
        return state == SL_LEDGER_SKIPPED;
    default:
        return state == SL_LEDGER_FAILED;
    }
}

static sl_err audit_entry(void *context, const sl_ledger_entry *entry) {
    audit *a = context;
    if (entry->task.id >= a->user->count) {
        sl_sim_violate(a->simulation, "the ledger has a task %u that nobody submitted",
                       entry->task.id);
        return SL_OK;
    }
    const sl_sim_task *task = &a->user->tasks[entry->task.id];
    a->seen[entry->task.id] = true;
    if (task->ended && !agrees(task->status, entry->state))
        sl_sim_violate(a->simulation, "task %u.%u was reported as %u; the ledger says %s",
                       task->owner, task->tag, task->status, sl_ledger_state_name(entry->state));
    if (entry->state == SL_LEDGER_DONE && !task->successes)
        sl_sim_violate(a->simulation, "the ledger says task %u.%u is done; it never ended well",
                       task->owner, task->tag);
    return SL_OK;
}

/* A submit is in the ledger whole, or not at all. */
static void check_whole(const audit *a) {
    for (uint32_t tag = 0; tag + 1 < a->user->count; tag++) {
        const sl_sim_task *task = &a->user->tasks[tag], *next = task + 1;
        if (task->batch && task->batch == next->batch && a->seen[tag] != a->seen[tag + 1])
            sl_sim_violate(a->simulation, "of one submit task %u.%u is in the ledger, and %u not",
                           task->owner, a->seen[tag] ? tag : tag + 1, a->seen[tag] ? tag + 1 : tag);
    }
}

void sl_sim_check_ledger(sl_sim_host *host, bool at_end) {
    sl_simulation *simulation = host->simulation;
    sl_sim_user *user = &simulation->users[host->number];
    sl_ledger_reader *reader;
    audit a = {simulation, user, calloc(user->count, sizeof(bool)), at_end};
    sl_err err =
        a.seen ? sl_ledger_reader_open_on(sl_ledger_simdisk_base(host->disk), "ledger.db", &reader)
               : sl_fail(SL_ERR_NO_MEMORY, "no memory to check it");
    if (err == SL_OK) {
        err = sl_ledger_read_tasks(reader, 0, audit_entry, &a);
        sl_ledger_reader_close(reader);
    }
    if (err != SL_OK)
        sl_sim_violate(simulation, "owner %u: the ledger cannot be read: %s", host->number,
                       sl_err_detail());
    if (a.seen && !at_end)
        check_whole(&a);
    for (uint32_t tag = 0; a.seen && tag < user->count; tag++) {
        if (user->tasks[tag].accepted && !a.seen[tag])
            sl_sim_violate(simulation, "task %u.%u was accepted and is not in the ledger",
                           host->number, tag);
    }
    free(a.seen);
}

/* ---- at the end ---- */

bool sl_sim_all_ended(const sl_simulation *simulation) {
    for (uint32_t owner = 0; owner < simulation->owners; owner++) {
        if (simulation->users[owner].ended < simulation->users[owner].count)
            return false;
    }
    return true;
}

static bool lives(const sl_simulation *simulation, uint32_t node) {
    return sl_simulator_node(simulation->simulator, node) != NULL;
}

/* All that live have found each other, however often they had lost each other, and what the
 * registry says is so. */
void sl_sim_check_views(sl_simulation *simulation) {
    uint32_t nodes = simulation->options.nodes;
    for (uint32_t a = 0; a < nodes; a++) {
        const sl_sim_host *host = &simulation->hosts[a];
        if (!lives(simulation, a))
            continue;
        for (uint32_t b = 0; b < nodes; b++) {
            bool near =
                b == a || sl_node_peer_alive(sl_simulator_node(simulation->simulator, a), b);
            if (near && !lives(simulation, b))
                sl_sim_violate(simulation, "node %u keeps its link to node %u, which is dead", a,
                               b);
            else if (!near && lives(simulation, b))
                sl_sim_violate(simulation, "node %u has lost node %u, and not found it again", a,
                               b);
            else if (near != (host->states[b] == SL_MEMBER_ALIVE))
                sl_sim_violate(simulation, "node %u sees node %u as %u", a, b, host->states[b]);
        }
    }
}

void sl_sim_check_death(sl_simulation *simulation, uint32_t node) {
    for (uint32_t i = 0; !lives(simulation, node) && i < simulation->options.nodes; i++) {
        if (i != node && lives(simulation, i) &&
            sl_node_peer_alive(sl_simulator_node(simulation->simulator, i), node))
            sl_sim_violate(simulation, "node %u does not know that node %u has died", i, node);
    }
}

void sl_sim_check_rest(sl_simulation *simulation) {
    for (uint32_t i = 0; i < simulation->options.nodes; i++) {
        sl_sim_host *host = &simulation->hosts[i];
        const registry_offer *own = &host->own;
        if (!lives(simulation, i))
            continue;
        sl_sim_check_objects(host);
        sl_sim_check_process(host);
        if (own->cores != own->cores_free || own->memory_bytes != own->memory_free_bytes ||
            own->ucu_milli != own->ucu_free_milli || own->running || own->backlog)
            sl_sim_violate(simulation,
                           "node %u has not got everything back: %u of %u cores, %u running, %u "
                           "waiting",
                           i, own->cores_free, own->cores, own->running, own->backlog);
        if (host->commands)
            sl_sim_violate(simulation, "node %u still runs commands", i);
    }
}
