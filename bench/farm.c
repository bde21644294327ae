#include "bench/farm.h"

#include <stdlib.h>

#include "actors/scheduler/scheduler.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "bench/bench_msgs.h"
#include "bench/machine.h"
#include "bench/members.h"
#include "bench/worker.h"

enum { SUBMITS_MOST = 16 /* not yet accepted */, NODES_MOST = 64 };

/* ---- the driver ---- */

typedef struct driver {
    farm_plan *plan;
    scheduler_task *tasks; /* of one submit */
    uint64_t submitted, accepted, done;
    uint64_t begin_done; /* when the clock started; 0: not yet */
    double begin_s;
    bool over;
} driver;

static sl_addr scheduler_here(const sl_actor *self) {
    return sl_addr_well_known(sl_node_id(sl_actor_node(self)), SL_SLOT_SCHEDULER);
}

static sl_err driver_start(sl_actor *self, void *state, const void *arguments) {
    driver *d = state;
    (void)self;
    d->plan = *(farm_plan *const *)arguments;
    d->tasks = calloc(d->plan->batch, sizeof *d->tasks);
    if (!d->tasks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a submit");
    for (uint32_t i = 0; i < d->plan->batch; i++)
        d->tasks[i] = (scheduler_task){.kind = worker_kind(d->plan->commands),
                                       .cpus = 1,
                                       .group = sl_text_of("noop"),
                                       .payload = {d->plan->payload, d->plan->payload_bytes}};
    return SL_OK;
}

static void submit(sl_actor *self, driver *d) {
    for (uint32_t i = 0; i < d->plan->batch; i++)
        d->tasks[i].tag = d->submitted++;
    scheduler_submit body = {.tasks = {d->tasks, d->plan->batch}};
    network_check(scheduler_submit_send(self, scheduler_here(self), &body), "a submit");
}

static void top_up(sl_actor *self, driver *d) {
    const farm_plan *plan = d->plan;
    while (!d->over && d->submitted - d->done + plan->batch <= plan->depth &&
           d->submitted - d->accepted < (uint64_t)SUBMITS_MOST * plan->batch)
        submit(self, d);
}

/* The clock runs from the moment when the queue is as deep as asked and everything is warm. */
static void watch_clock(sl_actor *self, driver *d) {
    farm_plan *plan = d->plan;
    if (!d->begin_done && d->done >= plan->warm && d->submitted + plan->batch > plan->depth &&
        d->accepted >= plan->depth / plan->batch * plan->batch) {
        d->begin_done = d->done;
        d->begin_s = machine_now_s();
    }
    if (d->over || !d->begin_done || d->done < d->begin_done + plan->count)
        return;
    plan->per_s = (double)(d->done - d->begin_done) / (machine_now_s() - d->begin_s);
    d->over = true;
    network_check(scheduler_drain_send(self, scheduler_here(self), &(scheduler_drain){}), "drain");
}

static void on_done(driver *d, const scheduler_done *done) {
    for (uint32_t i = 0; i < done->outcomes.count && !d->over; i++) {
        const scheduler_outcome *outcome = &done->outcomes.items[i];
        if (outcome->status != 0)
            bench_die("a task did not succeed (status %u): %s", outcome->status,
                      outcome->message.data);
    }
    d->done += done->outcomes.count;
}

static sl_err driver_receive(sl_actor *self, void *state, const sl_message *message) {
    driver *d = state;
    if (message->type == &scheduler_done_type) {
        on_done(d, message->body);
    } else if (message->type == &scheduler_accepted_type) {
        const scheduler_accepted *accepted = message->body;
        if (accepted->error && !d->over)
            bench_die("a submit was refused: %s", accepted->detail.data);
        d->accepted += accepted->count;
    } else if (message->type == &scheduler_drained_type) {
        network_stop(self);
    }
    watch_clock(self, d);
    top_up(self, d);
    return SL_OK;
}

static void driver_stop(sl_actor *self, void *state) {
    (void)self;
    free(((driver *)state)->tasks);
}

static const sl_actor_class driver_class = {.name = "driver",
                                            .state_bytes = sizeof(driver),
                                            .start = driver_start,
                                            .receive = driver_receive,
                                            .stop = driver_stop};

/* ---- the network ---- */

static worker *workers[NODES_MOST]; /* of the nodes of this process */

static void spawn(sl_node *node, void *context) {
    farm_plan *plan = context;
    uint32_t id = sl_node_id(node), cores = id == plan->nodes - 1 ? plan->cores : 0;
    sl_scheduler_options scheduler = {.seed = 1};
    members_spawn(node, cores);
    workers[id] = worker_create(node, cores, plan->commands);
    network_check(sl_node_spawn(node, SL_SLOT_SCHEDULER, &sl_scheduler_class, &scheduler,
                                sizeof scheduler, NULL),
                  "a scheduler");
    if (id != 0)
        return;
    network_check(sl_node_spawn(node, SL_SLOT_DRIVER, &driver_class, &plan, sizeof plan, NULL),
                  "the driver");
    members_announce(node, plan->cores);
}

static void finish(sl_node *node, void *context) {
    (void)context;
    worker_destroy(workers[sl_node_id(node)]);
}

void farm_measure(farm_plan *plan) {
    network_run(&(network_plan){
        .mpi = plan->mpi, .nodes = plan->nodes, .spawn = spawn, .finish = finish, .context = plan});
}
