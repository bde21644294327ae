/* Threads of simulated nodes: programs that call the API, and jobs that wait.
 *
 * Design notes
 * What runs on a thread of its own in a real process may sleep in the midst of a call, and has
 * values of its own (_Thread_local). So it is a thread here too, but one that runs only when it is
 * let run, while whoever let it sleeps: at any moment one thread of a simulation runs, and the
 * queue of events says which. Where it would sleep it gives back; who wakes it puts an event.
 *
 * Sleeps may end for no reason (futex.h). A process that dies takes its threads along; here they
 * are woken until they have returned, so that what they hold is let go of. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "runtime/futex.h"
#include "runtime/log.h"
#include "runtime/simulator_internal.h"
#include "runtime/thread.h"

#define PAUSED_NS (5 * SL_NS_PER_MS) /* looks again at a process that stands still */

enum { LEAVE_ROUNDS = 200 };

struct sl_sim_thread {
    struct sl_sim_thread *next;
    sl_simulator *simulator;
    pthread_t handle;
    sem_t go, back;
    sl_simulator_body *body; /* NULL: it is idle */
    void *context;
    uint32_t node;
    bool quits, runs;
    _Atomic uint32_t *word; /* that it sleeps on; NULL: it was woken */
    uint64_t turn;          /* how often it was let run: an event for an earlier one is old */
    uint64_t ready_ns;      /* what it spent before it slept is over then */
};

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0 && errno == EINTR)
        continue;
}

/* ---- letting run ---- */

static void let_run(sl_sim_thread *thread) {
    sl_simulator *simulator = thread->simulator;
    sl_sim_node *node = &simulator->nodes[thread->node];
    uint64_t outer_ns = node->spent_ns;
    uint32_t outer = simulator->turning;
    node->spent_ns = 0;
    simulator->turning = thread->node;
    thread->turn++;
    thread->runs = true;
    sl_sim_fold(simulator, simulator->now_ns << 16 ^ 0x8000 ^ thread->node);
    sem_post(&thread->go);
    wait_for(&thread->back);
    thread->runs = false;
    thread->ready_ns = simulator->now_ns + node->spent_ns;
    node->spent_ns = outer_ns;
    simulator->turning = outer;
}

static void on_due(void *context, uint64_t turn) {
    sl_sim_thread *thread = context;
    sl_simulator *simulator = thread->simulator;
    if (!thread->body || thread->runs || thread->turn != turn)
        return;
    if (!simulator->nodes[thread->node].pauses ||
        sl_simulator_at(simulator, simulator->now_ns + PAUSED_NS, on_due, thread, turn) != SL_OK)
        let_run(thread);
}

/* ---- sleeping and waking ---- */

static void thread_wait(void *context, _Atomic uint32_t *word, uint32_t value,
                        uint64_t timeout_ns) {
    sl_sim_thread *thread = context;
    sl_simulator *simulator = thread->simulator;
    if (atomic_load(word) != value)
        return;
    uint64_t now_ns = simulator->now_ns + simulator->nodes[thread->node].spent_ns;
    if (timeout_ns < UINT64_MAX - now_ns &&
        sl_simulator_at(simulator, now_ns + timeout_ns, on_due, thread, thread->turn) != SL_OK)
        return;
    thread->word = word;
    if (simulator->options.rests)
        simulator->options.rests(simulator->options.context);
    sem_post(&thread->back);
    wait_for(&thread->go);
    thread->word = NULL;
}

static void wake(sl_simulator *simulator, const _Atomic uint32_t *word) {
    for (sl_sim_thread *thread = simulator->threads; thread; thread = thread->next) {
        if (!thread->body || thread->word != word)
            continue;
        uint64_t at_ns = thread->ready_ns;
        thread->word = NULL;
        if (sl_simulator_at(simulator, at_ns, on_due, thread, thread->turn) != SL_OK)
            let_run(thread);
    }
}

static void thread_wake(void *context, _Atomic uint32_t *word) {
    wake(((sl_sim_thread *)context)->simulator, word);
}

/* The simulator's own thread turns loops, which never sleep. */
static void main_wait(void *context, _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns) {
    (void)word, (void)value, (void)timeout_ns;
    if (!((sl_simulator *)context)->slept)
        sl_error("simulator", "what runs on a loop's thread sleeps");
    ((sl_simulator *)context)->slept = true;
}

static void main_wake(void *context, _Atomic uint32_t *word) {
    wake(context, word);
}

static const sl_futex_ops thread_ops = {thread_wait, thread_wake};
static const sl_futex_ops main_ops = {main_wait, main_wake};

/* ---- the threads ---- */

static void *thread_main(void *context) {
    sl_sim_thread *thread = context;
    const sl_simulator_options *options = &thread->simulator->options;
    sl_futex_stand_in(&thread_ops, thread);
    wait_for(&thread->go);
    if (options->begins)
        options->begins(options->context);
    while (!thread->quits) {
        sl_log_set_node((int)thread->node);
        thread->body(thread->context);
        thread->body = NULL;
        if (options->rests)
            options->rests(options->context);
        sem_post(&thread->back);
        wait_for(&thread->go);
    }
    return NULL;
}

static sl_sim_thread *make(sl_simulator *simulator) {
    sl_sim_thread *thread = calloc(1, sizeof *thread), **at = &simulator->threads;
    if (!thread)
        return NULL;
    thread->simulator = simulator;
    sem_init(&thread->go, 0, 0);
    sem_init(&thread->back, 0, 0);
    if (sl_thread_start(&thread->handle, thread_main, thread) != SL_OK) {
        free(thread);
        return NULL;
    }
    if (!simulator->threads)
        sl_futex_stand_in(&main_ops, simulator);
    while (*at)
        at = &(*at)->next;
    return *at = thread;
}

sl_err sl_simulator_thread(sl_simulator *simulator, uint32_t node, sl_simulator_body *body,
                           void *context) {
    sl_sim_thread *thread = simulator->threads;
    while (thread && thread->body)
        thread = thread->next;
    if (!thread && !(thread = make(simulator)))
        return sl_fail(SL_ERR_UNAVAILABLE, "no simulated thread can be started");
    thread->body = body;
    thread->context = context;
    thread->node = node;
    let_run(thread);
    return SL_OK;
}

void sl_simulator_sleep(uint64_t ns) {
    _Atomic uint32_t word = 0;
    sl_futex_wait(&word, 0, ns);
}

uint32_t sl_simulator_threads(const sl_simulator *simulator, uint32_t node) {
    uint32_t count = 0;
    for (const sl_sim_thread *thread = simulator->threads; thread; thread = thread->next)
        count += thread->body && thread->node == node;
    return count;
}

void sl_sim_threads_leave(sl_simulator *simulator, uint32_t node) {
    bool some = true;
    for (uint32_t round = 0; some && round < LEAVE_ROUNDS; round++) {
        some = false;
        for (sl_sim_thread *thread = simulator->threads; thread; thread = thread->next)
            if (thread->body && !thread->runs && thread->node == node) {
                some = true;
                let_run(thread);
            }
    }
}

/* One that does not return stays where it is. */
void sl_sim_threads_destroy(sl_simulator *simulator) {
    if (simulator->threads)
        sl_futex_stand_in(NULL, NULL);
    for (sl_sim_thread *next; simulator->threads; simulator->threads = next) {
        sl_sim_thread *thread = simulator->threads;
        next = thread->next;
        if (thread->body) {
            pthread_detach(thread->handle);
            continue;
        }
        thread->quits = true;
        sem_post(&thread->go);
        pthread_join(thread->handle, NULL);
        sem_destroy(&thread->go);
        sem_destroy(&thread->back);
        free(thread);
    }
}

/* ---- jobs that may wait ---- */

typedef struct apart {
    sl_simulator *simulator;
    sl_job *job;
    uint32_t node, life;
} apart;

static void run_apart(void *context) {
    apart one = *(apart *)context;
    free(context);
    one.job->run(one.job);
    sl_sim_job_ended(one.simulator, one.job, one.node, one.life);
}

void sl_simulator_run_job_apart(void *context, sl_job *job) {
    const sl_sim_clock *clock = context;
    sl_simulator *simulator = clock->simulator;
    apart *one = malloc(sizeof *one);
    if (one)
        *one = (apart){simulator, job, clock->node, simulator->nodes[clock->node].life};
    if (!one || sl_simulator_thread(simulator, clock->node, run_apart, one) != SL_OK) {
        free(one);
        sl_simulator_run_job(context, job);
    }
}
