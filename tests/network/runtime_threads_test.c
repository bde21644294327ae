/* What other threads do to a node: events, the pool, and leaving it alone. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/node.h"
#include "runtime/pool.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/test_msgs.h"
#include "tests/lib/world.h"

/* ---- jobs ---- */

enum { JOBS = 3000, CLIENTS = 4 };

typedef struct job {
    sl_job base;
    uint64_t input, output;
} job;

static _Atomic uint64_t jobs_run, jobs_dropped;

static void job_run(sl_job *base) {
    job *j = (job *)base;
    j->output = j->input * j->input + 1;
    atomic_fetch_add(&jobs_run, 1);
}

static void job_drop(sl_event *event) {
    free(event); /* the first member of the first member */
    atomic_fetch_add(&jobs_dropped, 1);
}

static job *job_create(sl_addr to, uint64_t input) {
    job *j = calloc(1, sizeof *j);
    *j = (job){.base = {.event = {.to = to, .drop = job_drop}, .run = job_run}, .input = input};
    return j;
}

typedef struct client_arguments {
    sl_pool **pool;
    uint64_t *answers; /* of this client */
    _Atomic uint32_t *clients_left;
    uint64_t stop_after; /* ends itself then, with jobs under way */
} client_arguments;

typedef struct client {
    client_arguments given;
    uint64_t posted;
} client;

static sl_err client_start(sl_actor *self, void *state, const void *arguments) {
    ((client *)state)->given = *(const client_arguments *)arguments;
    sl_timer_start(self, 0, 0);
    return SL_OK;
}

static void post_some(sl_actor *self, client *c, uint64_t count) {
    for (; count && c->posted < JOBS; count--)
        sl_pool_post(*c->given.pool, &job_create(sl_self(self), c->posted++)->base);
}

static sl_err client_receive(sl_actor *self, void *state, const sl_message *message) {
    client *c = state;
    if (message->type == &node_timer_type) {
        post_some(self, c, 100);
        return SL_OK;
    }
    job *j = (job *)node_event_of(message);
    CHECK_INT(j->output, j->input * j->input + 1);
    free(j);
    if (++*c->given.answers == c->given.stop_after)
        sl_stop(self, sl_self(self));
    else
        post_some(self, c, 1);
    return SL_OK;
}

static void client_stop(sl_actor *self, void *state) {
    client *c = state;
    if (atomic_fetch_sub(c->given.clients_left, 1) == 1)
        sl_node_stop(sl_actor_node(self), 0);
}

static const sl_actor_class client_class = {.name = "client",
                                            .state_bytes = sizeof(client),
                                            .start = client_start,
                                            .receive = client_receive,
                                            .stop = client_stop};

static void run_jobs(const uint64_t *stop_after) {
    world w;
    sl_pool *pool;
    uint64_t answers[CLIENTS] = {0};
    _Atomic uint32_t clients_left = CLIENTS;
    jobs_run = jobs_dropped = 0;
    REQUIRE(world_open(&w, &(world_options){.count = 1}));
    REQUIRE(sl_pool_create(w.nodes[0], &(sl_pool_options){.threads = 3}, &pool) == SL_OK);
    for (int i = 0; i < CLIENTS; i++) {
        client_arguments arguments = {&pool, &answers[i], &clients_left, stop_after[i]};
        CHECK_INT(sl_node_spawn(w.nodes[0], SL_SLOT_FIRST_FREE, &client_class, &arguments,
                                sizeof arguments, NULL),
                  SL_OK);
    }
    world_run(&w);
    uint64_t run_then = jobs_run;
    sl_pool_destroy(pool);
    world_free(&w); /* what was told since is dropped here */
    uint64_t answered = 0, posted = 0;
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_INT(answers[i], stop_after[i]);
        answered += answers[i];
        posted += stop_after[i] + 99 < JOBS ? stop_after[i] + 99 : JOBS;
    }
    CHECK(run_then >= answered);
    CHECK_INT(answered + jobs_dropped, posted); /* each job came back once, or was dropped once */
}

TEST(jobs_of_several_actors) {
    run_jobs((uint64_t[CLIENTS]){JOBS, JOBS, JOBS, JOBS});
}

TEST(jobs_of_actors_that_end_are_dropped) {
    run_jobs((uint64_t[CLIENTS]){1, 500, 2000, JOBS});
}

TEST(a_pool_destroyed_with_jobs_queued_drops_them) {
    world w;
    sl_pool *pool;
    jobs_run = jobs_dropped = 0;
    REQUIRE(world_open(&w, &(world_options){.count = 1}));
    REQUIRE(sl_pool_create(w.nodes[0], &(sl_pool_options){.threads = 2}, &pool) == SL_OK);
    CHECK_INT(sl_pool_threads(pool), 2);
    for (uint64_t i = 0; i < 2000; i++)
        sl_pool_post(pool, &job_create((sl_addr){0, 500, 0}, i)->base);
    sl_pool_destroy(pool);
    world_free(&w);
    CHECK_INT(jobs_dropped, 2000);
}

/* ---- jobs that wait for jobs ---- */

enum { CHAIN = 1200 /* more than may wait at once */ };

static sl_pool *chain_pool;
static uint64_t chain_length;
static bool chain_gated; /* all wait for the first that may not */
static _Atomic uint32_t chain_ended[CHAIN + 1];
static _Atomic uint64_t chain_refused;

/* Each waits for the one that was posted after it. */
static void chain_run(sl_job *base) {
    job *j = (job *)base;
    uint64_t awaited = chain_gated ? chain_length : j->input + 1;
    if (chain_gated || awaited < chain_length) {
        if (sl_pool_wait_begin(chain_pool) == SL_OK) {
            while (!atomic_load(&chain_ended[awaited]))
                usleep(chain_gated ? 20000 : 200);
            sl_pool_wait_end(chain_pool);
        } else {
            atomic_fetch_add(&chain_refused, 1);
            atomic_store(&chain_ended[awaited], 1);
        }
    }
    atomic_store(&chain_ended[j->input], 1);
    job_run(base);
}

static void run_chain(uint64_t length, uint32_t threads) {
    world w;
    jobs_run = jobs_dropped = 0;
    chain_length = length;
    chain_refused = 0;
    memset(chain_ended, 0, sizeof chain_ended);
    REQUIRE(world_open(&w, &(world_options){.count = 1}));
    REQUIRE(sl_pool_create(w.nodes[0], &(sl_pool_options){.threads = threads}, &chain_pool) ==
            SL_OK);
    for (uint64_t i = 0; i < length; i++) {
        job *j = job_create((sl_addr){0, 500, 0}, i);
        j->base.run = chain_run;
        sl_pool_post(chain_pool, &j->base);
    }
    while (atomic_load(&jobs_run) < length)
        usleep(1000);
    sl_pool_destroy(chain_pool);
    world_free(&w);
    CHECK_INT(jobs_dropped, length);
}

TEST(jobs_wait_for_jobs_behind_them) {
    run_chain(60, 1);
    CHECK_INT(chain_refused, 0);
    run_chain(60, 3);
    CHECK_INT(chain_refused, 0);
}

TEST(so_many_jobs_may_wait) {
    chain_gated = true;
    run_chain(CHAIN, 2);
    CHECK(chain_refused > 0);
    chain_gated = false;
}

/* ---- events ---- */

enum { TELLERS = 4, EVENTS = 2500 };

typedef struct numbered {
    sl_event event;
    uint32_t teller, number;
} numbered;

typedef struct listener {
    uint32_t next[TELLERS];
    uint32_t count;
} listener;

static sl_err listener_receive(sl_actor *self, void *state, const sl_message *message) {
    listener *l = state;
    numbered *n = (numbered *)node_event_of(message);
    CHECK_INT(n->number, l->next[n->teller]); /* each thread's in order */
    l->next[n->teller]++;
    free(n);
    if (++l->count == TELLERS * EVENTS)
        sl_node_stop(sl_actor_node(self), 7);
    return SL_OK;
}

static const sl_actor_class listener_class = {
    .name = "listener", .state_bytes = sizeof(listener), .receive = listener_receive};

typedef struct teller {
    sl_node *node;
    sl_addr to;
    uint32_t index;
} teller;

static void *tell(void *context) {
    const teller *t = context;
    for (uint32_t i = 0; i < EVENTS; i++) {
        numbered *n = calloc(1, sizeof *n);
        *n = (numbered){.event = {.to = t->to}, .teller = t->index, .number = i};
        sl_notify(t->node, &n->event);
        if (i % 500 == 0)
            usleep(100); /* let the loop fall asleep at times */
    }
    return NULL;
}

TEST(threads_tell_in_order_and_nothing_is_lost) {
    world w;
    pthread_t threads[TELLERS];
    teller tellers[TELLERS];
    sl_addr at;
    REQUIRE(world_open(&w, &(world_options){.count = 1}));
    CHECK_INT(sl_node_spawn(w.nodes[0], SL_SLOT_FIRST_FREE, &listener_class, NULL, 0, &at), SL_OK);
    for (uint32_t i = 0; i < TELLERS; i++) {
        tellers[i] = (teller){w.nodes[0], at, i};
        pthread_create(&threads[i], NULL, tell, &tellers[i]);
    }
    world_run(&w);
    for (uint32_t i = 0; i < TELLERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(w.codes[0], 7);
    world_close(&w);
}

/* ---- idleness ---- */

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/* A loop that spins would use a second and more; this one has slept nearly always. */
TEST(a_network_left_alone_costs_nothing) {
    world w;
    REQUIRE(world_open(&w, &(world_options){.count = 4, .node = {.spin_ns = 10000}}));
    for (uint32_t i = 0; i < 4; i++)
        world_start(&w, i);
    usleep(20000);
    double before_s = cpu_s();
    usleep(1000000);
    double used_s = cpu_s() - before_s;
    for (uint32_t i = 0; i < 4; i++)
        sl_node_stop(w.nodes[i], 0);
    for (uint32_t i = 0; i < 4; i++) {
        world_join(&w, i);
        CHECK_INT(w.results[i], SL_OK);
        CHECK(sl_metric_value(sl_node_metrics(w.nodes[i]), SL_METRIC_loop_sleeps) > 0);
    }
    CHECK(used_s < 0.02);
    world_close(&w);
}
