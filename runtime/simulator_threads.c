/* Threads of simulated nodes: programs that call the API, and jobs that wait.
 *
 * Design notes
 * What runs on a thread of its own in a real process may sleep in the midst of a call. Here it has
 * a stack of its own, and runs when the queue of events says so, until it sleeps or returns; then
 * whoever let it run goes on. So at any moment one of them runs, and none ever blocks the
 * simulator's thread, which is that of all. Values that are a thread's own (_Thread_local) and must
 * outlast a sleep are exchanged with each change of stacks: the last error here, others by
 * `switches` of the options.
 *
 * Sleeps may end for no reason (futex.h). A process that dies takes its threads along; here they
 * are woken until they have returned, so that what they hold is let go of. */
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "runtime/futex.h"
#include "runtime/log.h"
#include "runtime/simulator_internal.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#define PAUSED_NS (5 * SL_NS_PER_MS) /* looks again at a process that stands still */

enum { LEAVE_ROUNDS = 200, STACK_BYTES = 512 << 10, GUARD_BYTES = 4096 };

struct sl_sim_thread {
    struct sl_sim_thread *next;
    sl_simulator *simulator;
    ucontext_t own, outer; /* where it goes on, and who let it run */
    uint8_t *stack;
    sl_simulator_body *body; /* NULL: it is idle */
    void *context;
    uint32_t node;
    bool runs;
    _Atomic uint32_t *word; /* that it sleeps on; NULL: it was woken */
    uint64_t turn;          /* how often it was let run: an event for an earlier one is old */
    uint64_t ready_ns;      /* what it spent before it slept is over then */
    char error[SL_ERR_DETAIL_BYTES];
    void *places[SL_SIM_PLACES];
    void *asan_own, *asan_outer;
    const void *asan_outer_stack;
    size_t asan_outer_bytes;
    void *tsan_own, *tsan_outer;
};

/* ---- changing stacks ---- */

/* Sanitizers follow what runs where. `last`: the stack that is left is not gone back to. */
static void about_to_enter(sl_sim_thread *thread) {
    (void)thread;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&thread->asan_outer, thread->stack + GUARD_BYTES, STACK_BYTES);
#endif
#ifdef __SANITIZE_THREAD__
    thread->tsan_outer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(thread->tsan_own, 0);
#endif
}

static void have_come_back(sl_sim_thread *thread) {
    (void)thread;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(thread->asan_outer, NULL, NULL);
#endif
}

static void have_entered(sl_sim_thread *thread) {
    (void)thread;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(thread->asan_own, &thread->asan_outer_stack,
                                    &thread->asan_outer_bytes);
#endif
}

static void about_to_leave(sl_sim_thread *thread) {
    (void)thread;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&thread->asan_own, thread->asan_outer_stack,
                                   thread->asan_outer_bytes);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(thread->tsan_outer, 0);
#endif
}

/* What the one that goes left, for what the one that comes has. */
static void exchange(sl_sim_thread *thread) {
    const sl_simulator_options *options = &thread->simulator->options;
    sl_err_swap(thread->error);
    if (options->switches)
        options->switches(options->context, thread->places);
}

static void enter(sl_sim_thread *thread) {
    exchange(thread);
    about_to_enter(thread);
    swapcontext(&thread->outer, &thread->own);
    have_come_back(thread);
    exchange(thread);
}

static void leave(sl_sim_thread *thread) {
    about_to_leave(thread);
    swapcontext(&thread->own, &thread->outer);
    have_entered(thread);
}

/* ---- letting run ---- */

static void let_run(sl_sim_thread *thread) {
    sl_simulator *simulator = thread->simulator;
    sl_sim_node *node = &simulator->nodes[thread->node];
    uint64_t outer_ns = node->spent_ns;
    uint32_t outer = simulator->turning;
    sl_sim_thread *outer_thread = simulator->running;
    node->spent_ns = 0;
    simulator->running = thread;
    simulator->turning = thread->node;
    thread->turn++;
    thread->runs = true;
    sl_sim_fold(simulator, simulator->now_ns << 16 ^ 0x8000 ^ thread->node);
    enter(thread);
    thread->runs = false;
    thread->ready_ns = simulator->now_ns + node->spent_ns;
    node->spent_ns = outer_ns;
    simulator->turning = outer;
    simulator->running = outer_thread;
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

static void thread_sleep(sl_sim_thread *thread, _Atomic uint32_t *word, uint64_t timeout_ns) {
    sl_simulator *simulator = thread->simulator;
    uint64_t now_ns = simulator->now_ns + simulator->nodes[thread->node].spent_ns;
    if (timeout_ns < UINT64_MAX - now_ns &&
        sl_simulator_at(simulator, now_ns + timeout_ns, on_due, thread, thread->turn) != SL_OK)
        return;
    thread->word = word;
    leave(thread);
    thread->word = NULL;
}

/* Loops never sleep. */
static void futex_wait(void *context, _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns) {
    sl_simulator *simulator = context;
    if (atomic_load(word) != value)
        return;
    if (simulator->running)
        thread_sleep(simulator->running, word, timeout_ns);
    else if (!simulator->slept)
        sl_error("simulator", "what runs where messages are handled sleeps");
    simulator->slept |= !simulator->running;
}

static void futex_wake(void *context, _Atomic uint32_t *word) {
    sl_simulator *simulator = context;
    for (sl_sim_thread *thread = simulator->threads; thread; thread = thread->next) {
        if (!thread->body || thread->word != word)
            continue;
        uint64_t at_ns = thread->ready_ns;
        thread->word = NULL;
        if (sl_simulator_at(simulator, at_ns, on_due, thread, thread->turn) != SL_OK)
            let_run(thread);
    }
}

static const sl_futex_ops futexes = {futex_wait, futex_wake};

/* ---- the threads ---- */

/* makecontext() hands on numbers alone. */
static void thread_main(uint32_t upper, uint32_t lower) {
    sl_sim_thread *thread = (sl_sim_thread *)((uintptr_t)upper << 32 | lower);
    have_entered(thread);
    for (;;) {
        sl_log_set_node((int)thread->node);
        if (thread->body)
            thread->body(thread->context);
        thread->body = NULL;
        leave(thread);
    }
}

static void thread_free(sl_sim_thread *thread) {
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(thread->stack + GUARD_BYTES, STACK_BYTES);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_destroy_fiber(thread->tsan_own);
#endif
    munmap(thread->stack, GUARD_BYTES + STACK_BYTES);
    free(thread);
}

static bool stack_make(sl_sim_thread *thread) {
    void *stack = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return false;
    thread->stack = stack;
    return mprotect(stack, GUARD_BYTES, PROT_NONE) == 0 && getcontext(&thread->own) == 0;
}

static sl_sim_thread *make(sl_simulator *simulator) {
    sl_sim_thread *thread = calloc(1, sizeof *thread), **at = &simulator->threads;
    if (!thread || !stack_make(thread)) {
        if (thread && thread->stack)
            munmap(thread->stack, GUARD_BYTES + STACK_BYTES);
        free(thread);
        return NULL;
    }
    thread->simulator = simulator;
    thread->own.uc_stack.ss_sp = thread->stack + GUARD_BYTES;
    thread->own.uc_stack.ss_size = STACK_BYTES;
    makecontext(&thread->own, (void (*)(void))thread_main, 2, (uint32_t)((uintptr_t)thread >> 32),
                (uint32_t)(uintptr_t)thread);
#ifdef __SANITIZE_THREAD__
    thread->tsan_own = __tsan_create_fiber(0);
#endif
    if (!simulator->threads)
        sl_futex_stand_in(&futexes, simulator);
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

/* What one that never returned has on its stack is left over. */
void sl_sim_threads_destroy(sl_simulator *simulator) {
    if (simulator->threads)
        sl_futex_stand_in(NULL, NULL);
    for (sl_sim_thread *next; simulator->threads; simulator->threads = next) {
        next = simulator->threads->next;
        thread_free(simulator->threads);
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
